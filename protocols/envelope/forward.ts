/**
 * routing 2.0: an envelope inside an envelope to the mediator, which learns only who is next (DIDComm v2.1
 * "Routing Protocol 2.0").
 *
 * @module
 */
import { z } from 'zod'
import { did, isKeyId, type KeyRef } from '../did/document.ts'
import { ProtocolError } from '../errors.ts'
import {
  messageOf,
  parseJsonBounded,
  MESSAGE_BYTES_MAX,
  type PlaintextMessage
} from '../message.ts'
import type { ContentEncryption } from './content-encryption.ts'
import { pack } from './pack.ts'

export const FORWARD_TYPE = 'https://didcomm.org/routing/2.0/forward'

const body = z.object({
  next: z.string().refine((text) => did.safeParse(text).success || isKeyId(text))
})

export interface ForwardOptions {
  /** Fresh message id. */
  readonly id: string
  /** The DID or key id that the mediator is to hand the envelope to. */
  readonly next: string
  /** The mediator's key agreement keys, of one DID on one curve. */
  readonly to: readonly KeyRef[]
  /** After this the mediator may drop it. Default: it decides. */
  readonly expiresAt?: Date
  readonly enc?: ContentEncryption
}

/**
 * Wraps an envelope for one mediator, by anoncrypt. For several, wrap again from the recipient's side outwards.
 *
 * @throws ProtocolError `limit-exceeded` when the result is over 256 KiB: base64 adds a third at each hop.
 */
export function wrapForward(
  envelope: Uint8Array,
  options: ForwardOptions
): Uint8Array<ArrayBuffer> {
  const { id, next, to, expiresAt, enc } = options
  const message = messageOf({
    type: FORWARD_TYPE,
    id,
    body: { next },
    ...(expiresAt === undefined ? {} : { expiresAt }),
    attachments: [
      {
        media_type: 'application/didcomm-encrypted+json',
        data: { json: parseJsonBounded(envelope, { bytesMax: MESSAGE_BYTES_MAX }) }
      }
    ]
  })
  return pack(message, enc === undefined ? { to } : { to, enc })
}

/**
 * What a mediator, or a recipient that is its own mediator, reads from an unpacked `forward`. A forward may
 * come from anyone; nothing in it proves a sender. `to` is not required: didcomm-rust does not send it.
 *
 * @throws ProtocolError `message-malformed`.
 */
export function readForward(message: PlaintextMessage): {
  readonly next: string
  readonly envelope: Uint8Array<ArrayBuffer>
} {
  const parsed = body.safeParse(message.body)
  const [attachment, ...more] = message.attachments ?? []
  if (
    message.type !== FORWARD_TYPE ||
    !parsed.success ||
    attachment === undefined ||
    more.length > 0
  ) {
    throw new ProtocolError('message-malformed', 'not a forward of one envelope')
  }
  const { json, base64 } = attachment.data
  if (json !== undefined)
    return { next: parsed.data.next, envelope: Buffer.from(JSON.stringify(json)) }
  if (base64 === undefined) {
    throw new ProtocolError('message-malformed', 'a forward whose envelope is not inline')
  }
  return { next: parsed.data.next, envelope: Buffer.from(base64, 'base64url') }
}
