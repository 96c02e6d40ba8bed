/**
 * Encryption of DIDComm v2.1 messages: JWE in General JSON form (RFC 7516 §7.2.1), one common ephemeral key,
 * the content key wrapped for each recipient key.
 *
 * | `alg`             | shared secret               | sender         | `enc`                            |
 * |-------------------|-----------------------------|----------------|----------------------------------|
 * | ECDH-1PU+A256KW   | DH(e, r) ‖ DH(s, r)         | authenticated  | A256CBC-HS512                    |
 * | ECDH-ES+A256KW    | DH(e, r)                    | anonymous      | A256CBC-HS512, A256GCM, XC20P    |
 *
 * The key-encryption key is Concat KDF of the shared secret with `alg`, `apu`, `apv`, 256 bits, and for 1PU
 * the content tag (draft-madden-jose-ecdh-1pu-04 §2.3). `apv` binds the list of recipients, `apu` the sender.
 *
 * Randomness is node:crypto's and cannot be handed in: a repeated nonce or ephemeral key would be a break.
 *
 * What JWE does not bind: the `encrypted_key` of *other* recipients. A recipient that opens an envelope
 * knows that its list of recipients is the sender's, not that each of them can open it.
 *
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  type KeyObject
} from 'node:crypto'
import { z } from 'zod'
import { didOf, isKeyId, type KeyRef } from '../did/document.ts'
import { keyFromJwk, type Curve, type PublicKeyJwk } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'
import { parseJsonBounded } from '../message.ts'
import { fromBase64url, toBase64url } from './base64url.ts'
import { CONTENT_CIPHERS, type ContentEncryption } from './content-encryption.ts'
import {
  curveOf,
  importPublicKey,
  publicKeyOf,
  secretKeyOf,
  type SecretKey,
  type SecretKeyRef
} from './keys.ts'

type KeyWrap = 'ECDH-1PU+A256KW' | 'ECDH-ES+A256KW'
export type AgreementCurve = 'X25519' | 'P-256' | 'P-384' | 'P-521'

/** Curves for key agreement, DIDComm v2.1 "Curves and Content Encryption Algorithms". */
export const AGREEMENT_CURVES: readonly AgreementCurve[] = ['X25519', 'P-256', 'P-384', 'P-521']

/** Most recipient keys of one envelope (DESIGN §11): each is a Diffie-Hellman on both sides. */
export const RECIPIENTS_MAX = 64

/** Largest protected header, in bytes: two DIDs of the longest kind, one of them encoded twice, fit. */
const HEADER_BYTES_MAX = 16 * 1024

/** RFC 3394 §2.2.3.1. */
const KEY_WRAP_IV = Buffer.from('A6A6A6A6A6A6A6A6', 'hex')

const ONE = Buffer.from([0, 0, 0, 1])
const KEK_BITS = Buffer.from([0, 0, 1, 0])
const EMPTY = Buffer.alloc(0)

const ENCRYPTED_TYPES: readonly string[] = [
  'application/didcomm-encrypted+json',
  'didcomm-encrypted+json'
]

/** An encrypted message as a JSON value. */
export interface Jwe {
  readonly protected: string
  readonly recipients: ReadonlyArray<{
    readonly header: { readonly kid: string }
    readonly encrypted_key: string
  }>
  readonly iv: string
  readonly ciphertext: string
  readonly tag: string
}

export interface EncryptOptions {
  /** Keys of one DID on one curve, at most {@link RECIPIENTS_MAX}. */
  readonly to: readonly KeyRef[]
  /** The sender's key agreement key, on the same curve: authcrypt. Absent: anoncrypt. */
  readonly from?: SecretKeyRef
  /** Default A256CBC-HS512, the only one that authcrypt allows. */
  readonly enc?: ContentEncryption
}

/**
 * Encrypts.
 *
 * @throws ProtocolError `envelope-unsupported` when keys, curves and `enc` do not go together;
 * `limit-exceeded` for too many recipients.
 */
export function encrypt(plaintext: Uint8Array, options: EncryptOptions): Jwe {
  const { to, from, enc = 'A256CBC-HS512' } = options
  const curve = commonCurve(to, from)
  if (from !== undefined && enc !== 'A256CBC-HS512') {
    throw new ProtocolError('envelope-unsupported', `authcrypt with ${enc}`)
  }
  const alg: KeyWrap = from === undefined ? 'ECDH-ES+A256KW' : 'ECDH-1PU+A256KW'
  const ephemeral = generateKeyPair(curve)
  const apv = partyInfoOf(to.map(({ kid }) => kid))
  const apu = from === undefined ? EMPTY : Buffer.from(from.kid, 'utf8')
  const header = toBase64url(
    JSON.stringify({
      typ: 'application/didcomm-encrypted+json',
      alg,
      enc,
      ...(from === undefined ? {} : { skid: from.kid, apu: toBase64url(apu) }),
      apv: toBase64url(apv),
      epk: ephemeral.publicKey.export({ format: 'jwk' })
    })
  )
  const cipher = CONTENT_CIPHERS[enc]
  const contentKey = randomBytes(cipher.keyBytes)
  const iv = randomBytes(cipher.ivBytes)
  const sealed = cipher.seal(contentKey, iv, Buffer.from(header, 'latin1'), plaintext)
  const sender = from === undefined ? undefined : secretKeyOf(from.key)
  return {
    protected: header,
    recipients: to.map(({ kid, jwk }) => {
      const publicKey = publicKeyOf(jwk)
      const parts = [diffieHellman({ privateKey: ephemeral.privateKey, publicKey })]
      if (sender !== undefined) parts.push(diffieHellman({ privateKey: sender, publicKey }))
      const kek = deriveKey(parts, { alg, apu, apv, tag: sender && sealed.tag })
      return { header: { kid }, encrypted_key: toBase64url(wrapKey(kek, contentKey)) }
    }),
    iv: toBase64url(iv),
    ciphertext: toBase64url(sealed.ciphertext),
    tag: toBase64url(sealed.tag)
  }
}

/** Where decryption finds keys. */
export interface DecryptKeys {
  /** Our private key with this id, if it is ours. Must not fetch anything. */
  readonly secrets: (kid: string) => SecretKey | undefined
  /**
   * The other party's public key, checked to stand in that relationship of its DID document. Called only
   * after an own key was found among the recipients, so a stranger's envelope makes us fetch nothing.
   * What it throws is passed on as it is.
   */
  readonly resolveKey: (
    kid: string,
    purpose: 'keyAgreement' | 'authentication'
  ) => Promise<PublicKeyJwk>
}

export interface Decrypted {
  readonly plaintext: Buffer
  /** Our key that opened it. */
  readonly kid: string
  /** All recipient keys, of one DID. */
  readonly kids: readonly string[]
  /** The sender's key; undefined for anoncrypt. */
  readonly skid?: string
  readonly alg: KeyWrap
  readonly enc: ContentEncryption
}

/**
 * Decrypts. On return the plaintext is what the holder of `skid` (authcrypt) or somebody (anoncrypt) sent to
 * exactly the recipients in `kids`. Whether `from` says the same is for the caller to check.
 *
 * @throws ProtocolError `envelope-malformed`, `envelope-unsupported`, `envelope-not-for-us`,
 * `envelope-unauthenticated` (no key of ours opens it, or the tag does not fit), `limit-exceeded`.
 */
export async function decrypt(value: unknown, keys: DecryptKeys): Promise<Decrypted> {
  const jwe = parseJwe(value)
  const header = parseHeader(jwe.protected)
  const kids = recipientKids(jwe)
  const apv = fromBase64url(header.apv, 'apv')
  if (!partyInfoOf(kids).equals(apv)) {
    throw new ProtocolError('envelope-malformed', 'apv is not the hash of the recipient list')
  }
  const sender = senderOf(header)
  const own = jwe.recipients.flatMap(({ header: { kid }, encrypted_key }) => {
    const secret = keys.secrets(kid)
    return secret === undefined
      ? []
      : [{ kid, secret, wrapped: fromBase64url(encrypted_key, 'encrypted_key') }]
  })
  if (own.length === 0) {
    throw new ProtocolError('envelope-not-for-us', `no key of ours among ${kids.length} recipients`)
  }
  const usable = own.filter(({ secret }) => curveOf(secret) === header.epk.crv)
  if (usable.length === 0) {
    throw new ProtocolError('envelope-malformed', `epk on ${header.epk.crv}, our key is not`)
  }
  const ephemeral = importPublicKey(header.epk)
  const senderKey =
    sender.skid === undefined ? undefined : await senderKeyOf(sender.skid, header, keys)
  const cipher = CONTENT_CIPHERS[header.enc]
  const iv = fromBase64url(jwe.iv, 'iv')
  const tag = fromBase64url(jwe.tag, 'tag')
  const ciphertext = fromBase64url(jwe.ciphertext, 'ciphertext')
  if (iv.length !== cipher.ivBytes || tag.length !== cipher.tagBytes) {
    throw new ProtocolError('envelope-malformed', `iv or tag of the wrong size for ${header.enc}`)
  }
  const aad = Buffer.from(jwe.protected, 'latin1')
  let fault: unknown
  for (const { kid, secret, wrapped } of usable) {
    try {
      const privateKey = secretKeyOf(secret)
      const parts = [diffieHellman({ privateKey, publicKey: ephemeral })]
      if (senderKey !== undefined) parts.push(diffieHellman({ privateKey, publicKey: senderKey }))
      const kdf = { alg: header.alg, apu: sender.apu, apv, tag: senderKey && tag }
      const contentKey = unwrapKey(deriveKey(parts, kdf), wrapped)
      if (contentKey.length !== cipher.keyBytes) throw new Error('content key of the wrong size')
      return {
        plaintext: cipher.open(contentKey, iv, aad, ciphertext, tag),
        kid,
        kids,
        ...(sender.skid === undefined ? {} : { skid: sender.skid }),
        alg: header.alg,
        enc: header.enc
      }
    } catch (error) {
      // Another key of ours may open it; which step failed is kept as the cause and told to nobody.
      fault = error
    }
  }
  throw new ProtocolError('envelope-unauthenticated', 'the envelope opens with no key of ours', {
    cause: fault
  })
}

/** Bounded by the frame. */
const text = z.string()

/** Unknown members would change what is authenticated (`aad`, `unprotected`), so they are refused. */
const jweSchema = z.strictObject({
  protected: text,
  recipients: z
    .array(z.strictObject({ header: z.strictObject({ kid: text }), encrypted_key: text }))
    .min(1),
  iv: text,
  ciphertext: text,
  tag: text
})

function parseJwe(value: unknown): Jwe {
  const parsed = jweSchema.safeParse(value)
  if (!parsed.success) {
    throw new ProtocolError('envelope-malformed', 'not a JWE in General JSON form', {
      cause: parsed.error
    })
  }
  return parsed.data
}

interface Header {
  readonly alg: KeyWrap
  readonly enc: ContentEncryption
  readonly epk: PublicKeyJwk
  readonly apv: string
  readonly apu?: string
  readonly skid?: string
}

const headerSchema = z.object({
  typ: z.exactOptional(z.string()),
  alg: z.string(),
  enc: z.string(),
  epk: z.custom<Readonly<Record<string, unknown>>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
  ),
  apv: z.string(),
  apu: z.exactOptional(z.string()),
  skid: z.exactOptional(z.string()),
  crit: z.exactOptional(z.unknown()),
  zip: z.exactOptional(z.unknown())
})

function parseHeader(encoded: string): Header {
  const bytes = fromBase64url(encoded, 'protected header')
  const parsed = headerSchema.safeParse(parseJsonBounded(bytes, { bytesMax: HEADER_BYTES_MAX }))
  if (!parsed.success) {
    throw new ProtocolError('envelope-malformed', 'not a JWE protected header', {
      cause: parsed.error
    })
  }
  const { typ, alg, enc, crit, zip, epk, ...rest } = parsed.data
  if (crit !== undefined || zip !== undefined) {
    throw new ProtocolError('envelope-unsupported', 'crit and zip are not supported')
  }
  if (typ !== undefined && !ENCRYPTED_TYPES.includes(typ)) {
    throw new ProtocolError('envelope-malformed', 'typ is not that of an encrypted message')
  }
  if (alg !== 'ECDH-1PU+A256KW' && alg !== 'ECDH-ES+A256KW') {
    throw new ProtocolError('envelope-unsupported', `alg ${alg.slice(0, 40)}`)
  }
  if (enc !== 'A256CBC-HS512' && enc !== 'A256GCM' && enc !== 'XC20P') {
    throw new ProtocolError('envelope-unsupported', `enc ${enc.slice(0, 40)}`)
  }
  if (alg === 'ECDH-1PU+A256KW' && enc !== 'A256CBC-HS512') {
    throw new ProtocolError('envelope-unsupported', `authcrypt with ${enc}`)
  }
  return { alg, enc, epk: ephemeralKey(epk), ...rest }
}

function ephemeralKey(epk: Readonly<Record<string, unknown>>): PublicKeyJwk {
  let key: PublicKeyJwk
  try {
    key = keyFromJwk(epk)
  } catch (cause) {
    throw new ProtocolError('envelope-malformed', 'epk is not a public key', { cause })
  }
  if (!isAgreementCurve(key.crv)) {
    throw new ProtocolError('envelope-unsupported', `epk on ${key.crv}`)
  }
  return key
}

/** The ids of the recipients' keys, once each and all of one DID (DIDComm v2.1 "Message Encryption"). */
function recipientKids(jwe: Jwe): readonly string[] {
  const kids = jwe.recipients.map(({ header }) => header.kid)
  if (kids.length > RECIPIENTS_MAX) {
    throw new ProtocolError(
      'limit-exceeded',
      `${kids.length} recipients, at most ${RECIPIENTS_MAX}`
    )
  }
  const [first = ''] = kids
  if (!kids.every(isKeyId) || new Set(kids).size !== kids.length) {
    throw new ProtocolError('envelope-malformed', 'recipients without a key id each of its own')
  }
  if (kids.some((kid) => didOf(kid) !== didOf(first))) {
    throw new ProtocolError('envelope-malformed', 'recipients of more than one DID')
  }
  return kids
}

/** DIDComm v2.1 "ECDH-1PU key wrapping": `apu` is the encoded `skid`, and stands for it where it is absent. */
function senderOf(header: Header): { readonly apu: Buffer; readonly skid?: string } {
  const apu = header.apu === undefined ? EMPTY : fromBase64url(header.apu, 'apu')
  if (header.alg === 'ECDH-ES+A256KW') {
    if (header.skid !== undefined) {
      throw new ProtocolError('envelope-malformed', 'anoncrypt with a skid')
    }
    return { apu }
  }
  const skid = header.skid ?? apu.toString('utf8')
  if (!apu.equals(Buffer.from(skid, 'utf8')) || !isKeyId(skid)) {
    throw new ProtocolError('envelope-malformed', 'apu is not the encoded skid')
  }
  return { apu, skid }
}

async function senderKeyOf(skid: string, header: Header, keys: DecryptKeys): Promise<KeyObject> {
  const jwk = await keys.resolveKey(skid, 'keyAgreement')
  if (jwk.crv !== header.epk.crv) {
    throw new ProtocolError(
      'envelope-malformed',
      `epk on ${header.epk.crv}, sender's key on ${jwk.crv}`
    )
  }
  return publicKeyOf(jwk)
}

function commonCurve(to: readonly KeyRef[], from: SecretKeyRef | undefined): AgreementCurve {
  const [first] = to
  if (first === undefined) throw new ProtocolError('envelope-unsupported', 'no recipient key')
  if (to.length > RECIPIENTS_MAX) {
    throw new ProtocolError('limit-exceeded', `${to.length} recipients, at most ${RECIPIENTS_MAX}`)
  }
  const { crv } = first.jwk
  const fits =
    isAgreementCurve(crv) &&
    to.every(({ kid, jwk }) => jwk.crv === crv && didOf(kid) === didOf(first.kid)) &&
    (from === undefined || curveOf(from.key) === crv)
  if (!fits || !isAgreementCurve(crv)) {
    throw new ProtocolError(
      'envelope-unsupported',
      'keys are not of one DID on one agreement curve'
    )
  }
  return crv
}

function isAgreementCurve(curve: Curve): curve is AgreementCurve {
  return (AGREEMENT_CURVES as readonly Curve[]).includes(curve)
}

function generateKeyPair(curve: AgreementCurve): {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
} {
  return curve === 'X25519'
    ? generateKeyPairSync('x25519')
    : generateKeyPairSync('ec', { namedCurve: curve })
}

/** `apv`: SHA-256 over the sorted key ids joined by dots. */
function partyInfoOf(kids: readonly string[]): Buffer {
  return createHash('sha256').update(kids.toSorted().join('.')).digest()
}

interface KdfInput {
  readonly alg: KeyWrap
  readonly apu: Uint8Array
  readonly apv: Uint8Array
  /** The content tag, for 1PU. */
  readonly tag: Uint8Array | undefined
}

/** Concat KDF (NIST SP 800-56A §5.8.1; RFC 7518 §4.6.2), one round of SHA-256. */
function deriveKey(sharedSecrets: readonly Buffer[], { alg, apu, apv, tag }: KdfInput): Buffer {
  const hash = createHash('sha256').update(ONE)
  for (const secret of sharedSecrets) hash.update(secret)
  for (const part of [Buffer.from(alg, 'latin1'), apu, apv]) hash.update(sizeOf(part)).update(part)
  hash.update(KEK_BITS)
  if (tag !== undefined) hash.update(sizeOf(tag)).update(tag)
  return hash.digest()
}

function sizeOf(bytes: Uint8Array): Buffer {
  const size = Buffer.allocUnsafe(4)
  size.writeUInt32BE(bytes.length)
  return size
}

function wrapKey(kek: Buffer, key: Buffer): Buffer {
  const cipher = createCipheriv('id-aes256-wrap', createSecretKey(kek), KEY_WRAP_IV)
  return Buffer.concat([cipher.update(key), cipher.final()])
}

function unwrapKey(kek: Buffer, wrapped: Buffer): Buffer {
  const decipher = createDecipheriv('id-aes256-wrap', createSecretKey(kek), KEY_WRAP_IV)
  return Buffer.concat([decipher.update(wrapped), decipher.final()])
}
