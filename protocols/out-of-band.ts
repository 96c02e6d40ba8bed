/**
 * Out-of-band 2.0 invitations as URLs: `<base>/i?_oob=<base64url of the plaintext message>`
 * (DIDComm Messaging v2.1 "Out Of Band Messages").
 *
 * An invitation is not authenticated: who sees the URL can answer it, and anyone can make one. The DID in
 * `from` proves itself only with the first envelope.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { did } from './did/document.ts'
import { ProtocolError } from './errors.ts'
import type { Protocol } from './exchange.ts'
import { parseJsonBounded } from './message.ts'

export const OUT_OF_BAND = 'https://didcomm.org/out-of-band/2.0'

/** Longest invitation URL read, in characters: a DID of 4,096 in base64url takes 5,462; a request may be attached. */
export const INVITATION_URL_CHARS_MAX = 16_384

/** Goal of every invitation this project makes: to become contacts, nothing is asked or given yet. */
export const GOAL_CONNECT = 'elocker.connect'

export type InvitationRole = 'sender' | 'receiver'
export type InvitationState = 'start' | 'invited' | 'answered'
/** `response`: the first message of any protocol whose `pthid` is the invitation's id. */
export type InvitationMessage = 'invitation' | 'response'

/** An invitation is good for one answer. The page out-of-band.md has the same table. */
// oxfmt-ignore
export const outOfBand: Protocol<InvitationRole, InvitationState, InvitationMessage> = {
  piuri: OUT_OF_BAND,
  rules: [
    ['sender',   'start',   'send',    'invitation', 'invited'],
    ['receiver', 'start',   'receive', 'invitation', 'invited'],
    ['receiver', 'invited', 'send',    'response',   'answered'],
    ['sender',   'invited', 'receive', 'response',   'answered']
  ]
}

const seconds = z.int().min(0).max(253_402_300_799)

/** What of an invitation is read; other members are dropped. `timeFault` of ./message.ts says whether it is over. */
export const invitation = z.object({
  type: z.literal(`${OUT_OF_BAND}/invitation`),
  id: z.string().regex(/^[\x21-\x7e]{1,128}$/),
  from: did,
  created_time: z.exactOptional(seconds),
  expires_time: z.exactOptional(seconds),
  body: z
    .object({
      goal_code: z.exactOptional(z.string().max(200)),
      goal: z.exactOptional(z.string().max(500)),
      accept: z.exactOptional(z.array(z.string().max(128)).max(16))
    })
    .default({})
})

export type Invitation = Readonly<z.infer<typeof invitation>>

/** The URL to hand over. `base`: of the page that explains invitations, without a trailing slash. */
export function invitationUrl(base: string, message: Invitation): string {
  const text = JSON.stringify(message)
  return `${base}/i?_oob=${base64urlnopad.encode(new TextEncoder().encode(text))}`
}

/**
 * Reads an invitation from its URL, on whatever host: the host only explains it.
 *
 * @throws ProtocolError `limit-exceeded`, `message-malformed`, and `did-unsupported` when the inviter does
 * not speak DIDComm v2.
 */
export function parseInvitationUrl(text: string): Invitation {
  if (text.length > INVITATION_URL_CHARS_MAX)
    throw new ProtocolError('limit-exceeded', `an invitation of ${text.length} characters`)
  const encoded = URL.parse(text.trim())?.searchParams.get('_oob')
  if (encoded === null || encoded === undefined)
    throw new ProtocolError('message-malformed', 'not an invitation URL: no _oob in it')
  const parsed = invitation.safeParse(
    parseJsonBounded(decode(encoded), { bytesMax: INVITATION_URL_CHARS_MAX })
  )
  if (!parsed.success)
    throw new ProtocolError('message-malformed', 'not an out-of-band 2.0 invitation', {
      cause: parsed.error
    })
  const { accept } = parsed.data.body
  if (accept !== undefined && !accept.includes('didcomm/v2'))
    throw new ProtocolError('did-unsupported', 'the inviter does not accept didcomm/v2')
  return parsed.data
}

/** Some software pads base64url; a query turns `+` into a space, so plain base64 is not accepted. */
function decode(encoded: string): Uint8Array {
  try {
    return base64urlnopad.decode(encoded.replace(/={1,2}$/, ''))
  } catch (cause) {
    throw new ProtocolError('message-malformed', 'the invitation is not base64url', { cause })
  }
}
