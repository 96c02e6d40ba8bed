/**
 * From an envelope to a plaintext message and what is proven about it.
 *
 * @module
 */
import { didOf } from '../did/document.ts'
import { ProtocolError } from '../errors.ts'
import {
  MESSAGE_BYTES_MAX,
  parseJsonBounded,
  parseMessage,
  type PlaintextMessage
} from '../message.ts'
import type { ContentEncryption } from './content-encryption.ts'
import { unpackFromPrior, type FromPrior } from './from-prior.ts'
import { decrypt, type DecryptKeys } from './jwe.ts'
import { verifyJws } from './jws.ts'

/** Most layers of one envelope (DESIGN §11): anoncrypt(authcrypt(sign)). */
export const LAYERS_MAX = 3

/** What is proven about an unpacked message. */
interface EnvelopeFacts {
  /** The sender is proven, by authcrypt or by a signature: `message.from` may be believed. */
  readonly authenticated: boolean
  /** The proof is a signature, so it convinces third parties too. */
  readonly nonRepudiable: boolean
  readonly encrypted: boolean
  /** The outermost encryption does not name the sender. */
  readonly senderHidden: boolean
  /** The authenticated sender's DID, equal to `message.from`; absent when not authenticated. */
  readonly from?: string
  /** Our DID that the envelope was encrypted to; absent when it was not encrypted. */
  readonly to?: string
  /** Our key that opened it. */
  readonly recipientKid?: string
  /** The sender's key agreement key, for authcrypt. */
  readonly senderKid?: string
  /** The signers' keys. */
  readonly signerKids: readonly string[]
  /** Content encryption of the outermost layer. */
  readonly enc?: ContentEncryption
  /** Present when the message announces a change of DID; verified, and `sub` equals `from`. */
  readonly fromPrior?: FromPrior
  readonly layers: number
}

export interface Unpacked {
  readonly message: PlaintextMessage
  readonly meta: EnvelopeFacts
}

export interface UnpackOptions extends DecryptKeys {
  /**
   * Also accept messages that are only signed or not protected at all: out-of-band material and tests.
   * Default false: what comes over a transport must be encrypted.
   */
  readonly allowUnencrypted?: boolean
}

/**
 * Opens an envelope of at most 256 KiB and {@link LAYERS_MAX} layers.
 *
 * Guarantees on return: all tags and signatures fit; if `meta.authenticated`, `message.from` is the DID of
 * the proven key; `message.to`, if present, contains our DID; a signed and encrypted message has such a `to`
 * (else its recipient could have re-encrypted it to us: surreptitious forwarding); a `from_prior` is signed by
 * the old DID and names `message.from` as the new one. When not authenticated, `message.from` is a claim.
 *
 * Not checked here, because it needs a clock and a memory: expiry (`timeFault`), replay.
 *
 * @throws ProtocolError `envelope-malformed`, `envelope-unsupported`, `envelope-unauthenticated`,
 * `envelope-not-for-us`, `message-malformed`, `limit-exceeded`, and what `resolveKey` throws.
 */
export async function unpack(bytes: Uint8Array, options: UnpackOptions): Promise<Unpacked> {
  let current: Uint8Array = bytes
  let facts: EnvelopeFacts = {
    authenticated: false,
    nonRepudiable: false,
    encrypted: false,
    senderHidden: false,
    signerKids: [],
    layers: 0
  }
  for (;;) {
    const value = parseJsonBounded(current, { bytesMax: MESSAGE_BYTES_MAX })
    const kind = kindOf(value)
    // Before a signer is resolved: a stranger's signed message must not make us fetch anything.
    if (kind !== 'jwe' && !facts.encrypted && options.allowUnencrypted !== true) {
      throw new ProtocolError('envelope-unauthenticated', 'the message is not encrypted')
    }
    if (kind === 'plaintext') return finish(parseMessage(value), facts, options)
    if (facts.layers === LAYERS_MAX) {
      throw new ProtocolError('limit-exceeded', `an envelope of more than ${LAYERS_MAX} layers`)
    }
    const layer =
      kind === 'jwe' ? await openJwe(value, facts, options) : await openJws(value, facts, options)
    current = layer.content
    facts = layer.facts
  }
}

interface Layer {
  readonly content: Uint8Array
  readonly facts: EnvelopeFacts
}

/** Encryption stands outside a signature, and authcrypt innermost of the encryptions. */
async function openJwe(
  value: unknown,
  facts: EnvelopeFacts,
  options: UnpackOptions
): Promise<Layer> {
  if (facts.nonRepudiable || facts.senderKid !== undefined) {
    throw new ProtocolError('envelope-malformed', 'encryption inside a signature or authcrypt')
  }
  const { plaintext, kid, skid, enc } = await decrypt(value, options)
  if (skid === undefined && facts.encrypted) {
    throw new ProtocolError('envelope-malformed', 'anoncrypt inside anoncrypt')
  }
  const to = didOf(kid)
  if (facts.to !== undefined && facts.to !== to) {
    throw new ProtocolError(
      'envelope-unauthenticated',
      'layers encrypted to different DIDs of ours'
    )
  }
  return {
    content: plaintext,
    facts: {
      ...facts,
      encrypted: true,
      senderHidden: facts.encrypted || skid === undefined,
      to,
      recipientKid: kid,
      enc: facts.enc ?? enc,
      ...(skid === undefined ? {} : { authenticated: true, from: didOf(skid), senderKid: skid }),
      layers: facts.layers + 1
    }
  }
}

async function openJws(
  value: unknown,
  facts: EnvelopeFacts,
  options: UnpackOptions
): Promise<Layer> {
  if (facts.nonRepudiable) {
    throw new ProtocolError('envelope-malformed', 'a signature inside a signature')
  }
  const { payload, kids } = await verifyJws(value, options.resolveKey)
  const from = didOf(kids[0] ?? '')
  if (facts.from !== undefined && facts.from !== from) {
    throw new ProtocolError('envelope-unauthenticated', 'sender and signer are not the same DID')
  }
  return {
    content: payload,
    facts: {
      ...facts,
      authenticated: true,
      nonRepudiable: true,
      from,
      signerKids: kids,
      layers: facts.layers + 1
    }
  }
}

/** DIDComm v2.1 "Message Layer Addressing Consistency", and `from_prior`. */
async function finish(
  message: PlaintextMessage,
  facts: EnvelopeFacts,
  options: UnpackOptions
): Promise<Unpacked> {
  if (facts.from !== undefined && message.from !== facts.from) {
    throw new ProtocolError('envelope-unauthenticated', 'from is not the DID of the proven key')
  }
  if (facts.to !== undefined) {
    const named = message.to?.includes(facts.to)
    if (named === false || (named === undefined && facts.nonRepudiable)) {
      throw new ProtocolError(
        'envelope-unauthenticated',
        'to does not contain the DID encrypted to'
      )
    }
  }
  if (message.from_prior === undefined) return { message, meta: facts }
  const fromPrior = await unpackFromPrior(message.from_prior, options.resolveKey)
  if (fromPrior.sub !== message.from) {
    throw new ProtocolError('envelope-unauthenticated', 'from_prior is about another DID')
  }
  return { message, meta: { ...facts, fromPrior } }
}

/** Told apart by members, because the media type does not travel over every transport. */
function kindOf(value: unknown): 'jwe' | 'jws' | 'plaintext' {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('envelope-malformed', 'an envelope that is not a JSON object')
  }
  if (Object.hasOwn(value, 'ciphertext')) return 'jwe'
  return Object.hasOwn(value, 'payload') ? 'jws' : 'plaintext'
}
