/**
 * From a plaintext message to an envelope, DIDComm v2.1 "DIDComm Message Layering".
 *
 * | wanted                          | layers, from the outside            | options                |
 * |---------------------------------|-------------------------------------|------------------------|
 * | the default                     | authcrypt                           | `from`                 |
 * | sender hidden from mediators    | anoncrypt(authcrypt)                | `from`, `protectSender`|
 * | provable to third parties       | anoncrypt(sign)                     | `sign`                 |
 * | sender unknown to the recipient | anoncrypt                           | neither                |
 *
 * authcrypt(sign) is never written ("SHOULD NOT be emitted"), only read.
 *
 * @module
 */
import { didOf, keysOf, type DidDocument, type KeyRef } from '../did/document.ts'
import { ProtocolError } from '../errors.ts'
import { MESSAGE_BYTES_MAX, type PlaintextMessage } from '../message.ts'
import type { ContentEncryption } from './content-encryption.ts'
import { AGREEMENT_CURVES, encrypt } from './jwe.ts'
import { signJws } from './jws.ts'
import { curveOf, type SecretKey, type SecretKeyRef } from './keys.ts'

export interface PackOptions {
  /** Recipient keys: of one DID, on one curve. {@link packFor} chooses them from a document. */
  readonly to: readonly KeyRef[]
  /** Our key agreement key: authcrypt. Its DID must be the message's `from`. */
  readonly from?: SecretKeyRef
  /** Our authentication key: anoncrypt(sign). Not together with `from`. */
  readonly sign?: SecretKeyRef
  /** Hides the sender behind a layer of anoncrypt. Only with `from`. Default false. */
  readonly protectSender?: boolean
  /**
   * Content encryption of the anoncrypt layer. Default A256CBC-HS512, which everyone must understand, and the
   * only one for authcrypt.
   */
  readonly enc?: ContentEncryption
}

/**
 * Packs a message into the bytes that go over the wire.
 *
 * @throws ProtocolError `envelope-unsupported` when the options or keys do not go together;
 * `envelope-unauthenticated` when `from` and `to` of the message are not the keys' DIDs: the other side would
 * refuse it; `limit-exceeded` when the envelope is over 256 KiB.
 */
export function pack(message: PlaintextMessage, options: PackOptions): Uint8Array<ArrayBuffer> {
  const { to, from, sign, protectSender = false, enc } = options
  if (sign !== undefined && from !== undefined) {
    throw new ProtocolError('envelope-unsupported', 'authcrypt of a signed message is not written')
  }
  if (protectSender && from === undefined) {
    throw new ProtocolError('envelope-unsupported', 'there is no sender to protect')
  }
  checkAddresses(message, options)
  const anonymous = enc === undefined ? { to } : { to, enc }
  const plaintext = jsonBytes(message)
  if (from === undefined) {
    const inner = sign === undefined ? plaintext : jsonBytes(signJws(plaintext, sign))
    return frame(encrypt(inner, anonymous))
  }
  if (!protectSender) return frame(encrypt(plaintext, { ...anonymous, from }))
  return frame(encrypt(jsonBytes(encrypt(plaintext, { to, from })), anonymous))
}

export interface PackForOptions {
  /** The recipient's document. */
  readonly to: DidDocument
  /** Our document, whose keys `secrets` holds. Absent: anoncrypt. */
  readonly from?: DidDocument
  /** Our private keys by key id. */
  readonly secrets?: (kid: string) => SecretKey | undefined
  /** `authcrypt` (default when `from` is given), `protect-sender`, or `sign` for anoncrypt(sign). */
  readonly as?: 'authcrypt' | 'protect-sender' | 'sign'
  readonly enc?: ContentEncryption
}

/**
 * Packs for a DID: all of its key agreement keys of one type, the first type in its document's order that we
 * can use too (DIDComm v2.1 "Key IDs": all of them, so that any of the recipient's devices opens it).
 *
 * @throws ProtocolError `envelope-unsupported` when the two documents have no key type in common, and as
 * {@link pack}.
 */
export function packFor(
  message: PlaintextMessage,
  options: PackForOptions
): Uint8Array<ArrayBuffer> {
  const { to, from, secrets = () => undefined, as = 'authcrypt', enc } = options
  const theirs = keysOf(to, 'keyAgreement', AGREEMENT_CURVES)
  const encryption = enc === undefined ? {} : { enc }
  if (from === undefined) {
    return pack(message, { to: ofFirstCurve(theirs, to.id), ...encryption })
  }
  if (as === 'sign') {
    const sign = ownKeys(from, 'authentication', secrets)[0]
    if (sign === undefined) {
      throw new ProtocolError('envelope-unsupported', `no private authentication key of ${from.id}`)
    }
    return pack(message, { to: ofFirstCurve(theirs, to.id), sign, ...encryption })
  }
  const ours = ownKeys(from, 'keyAgreement', secrets)
  for (const { jwk } of theirs) {
    const sender = ours.find(({ key }) => curveOf(key) === jwk.crv)
    if (sender === undefined) continue
    const keys = theirs.filter((candidate) => candidate.jwk.crv === jwk.crv)
    const protectSender = as === 'protect-sender'
    return pack(message, { to: keys, from: sender, protectSender, ...encryption })
  }
  throw new ProtocolError(
    'envelope-unsupported',
    `${from.id} and ${to.id} have no key type in common`
  )
}

/** Bytes of an envelope. @throws ProtocolError `limit-exceeded` over 256 KiB. */
function frame(envelope: unknown): Uint8Array<ArrayBuffer> {
  const bytes = jsonBytes(envelope)
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new ProtocolError(
      'limit-exceeded',
      `an envelope of ${bytes.length} bytes, at most ${MESSAGE_BYTES_MAX}`
    )
  }
  return bytes
}

function jsonBytes(value: unknown): Buffer<ArrayBuffer> {
  return Buffer.from(JSON.stringify(value), 'utf8')
}

/** DIDComm v2.1 "Message Layer Addressing Consistency", from the sender's side. */
function checkAddresses(message: PlaintextMessage, { to, from, sign }: PackOptions): void {
  const sender = from ?? sign
  if (sender !== undefined && message.from !== didOf(sender.kid)) {
    throw new ProtocolError('envelope-unauthenticated', 'from is not the DID of the sending key')
  }
  const recipient = didOf(to[0]?.kid ?? '')
  const named = message.to?.includes(recipient)
  if (named === false || (named === undefined && sign !== undefined)) {
    throw new ProtocolError('envelope-unauthenticated', 'to does not contain the recipient')
  }
}

function ofFirstCurve(keys: readonly KeyRef[], did: string): readonly KeyRef[] {
  const [first] = keys
  if (first === undefined) {
    throw new ProtocolError('envelope-unsupported', `${did} has no key agreement key that we know`)
  }
  return keys.filter(({ jwk }) => jwk.crv === first.jwk.crv)
}

function ownKeys(
  document: DidDocument,
  purpose: 'keyAgreement' | 'authentication',
  secrets: (kid: string) => SecretKey | undefined
): readonly SecretKeyRef[] {
  return keysOf(document, purpose).flatMap(({ kid }) => {
    const key = secrets(kid)
    return key === undefined ? [] : [{ kid, key }]
  })
}
