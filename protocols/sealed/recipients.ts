/**
 * To whom a file is sealed, and who opens it: the recipient types of age we write and read.
 *
 * | stanza           | recipient text | identity text          | what it is                                        |
 * |------------------|----------------|------------------------|---------------------------------------------------|
 * | `mlkem768x25519` | `age1pq1…`     | `AGE-SECRET-KEY-PQ-1…` | hybrid post-quantum: documents, words, key files  |
 * | `X25519`         | `age1…`        | `AGE-SECRET-KEY-1…`    | age's classic key pair: read and written for import |
 * | `scrypt`         | (a passphrase) | (a passphrase)         | always the only stanza of its file                |
 *
 * Every wrap is 32 bytes: the 16-byte file key and a tag. Its length is checked before it is opened,
 * so a ciphertext that opens under several keys (a partitioning oracle) finds no room.
 *
 * @module
 */
import { diffieHellman, scrypt, type KeyObject } from 'node:crypto'
import { base64nopad, bech32 } from '@scure/base'
import { ProtocolError } from '../errors.ts'
import { decodeBase64, FILE_KEY_BYTES, type Stanza } from './header.ts'
import {
  hpkeContext,
  HYBRID_ENCAPSULATION_BYTES,
  HYBRID_PUBLIC_BYTES,
  HYBRID_SEED_BYTES,
  hybridDecapsulate,
  hybridEncapsulate,
  hybridPrivateKey,
  hybridPublicKey,
  x25519PrivateKey,
  x25519PublicBytes,
  x25519PublicKey
} from './hybrid.ts'
import { native } from './native.ts'
import { TAG_BYTES } from './stream.ts'
import type { Random } from './primitives.ts'

/** log2 of scrypt's N for new files: about 1 s and 256 MiB; age's default. */
export const SCRYPT_WORK_FACTOR = 18
/** log2 of N on reading; 22 takes 4 GiB. A file asking for more is refused (age.md "scrypt recipient stanza"). */
const SCRYPT_WORK_FACTOR_MAX = 22

/** Characters; a hybrid recipient has 1,959. */
const TEXT_LENGTH_MAX = 2_048
const X25519_BYTES = 32
const SALT_BYTES = 16
const WRAPPED_BYTES = FILE_KEY_BYTES + TAG_BYTES
/** A wrap key is used once, so its nonce is constant (age.md "X25519 recipient stanza"). */
const ZERO_NONCE = new Uint8Array(12)

const HYBRID_STANZA = 'mlkem768x25519'
const X25519_STANZA = 'X25519'
const X25519_INFO = 'age-encryption.org/v1/X25519'
const SCRYPT_STANZA = 'scrypt'
const SCRYPT_INFO = 'age-encryption.org/v1/scrypt'

/** Someone a file key can be wrapped to. */
export interface Recipient {
  /** `age1pq1…` or `age1…`; `undefined` for a passphrase. */
  readonly text: string | undefined
  /** A passphrase may not share a file with other recipients: they could then pretend to know it. */
  readonly alone: boolean
  wrap(fileKey: Uint8Array, random: Random): Stanza | Promise<Stanza>
}

/** Someone who may open files. */
export interface Identity {
  /**
   * The file key in the first stanza that is this identity's, or `undefined`. Throws
   * `sealed-malformed` for a stanza of its type that no writer makes. The key is not authenticated
   * before the header's MAC has been checked with it.
   */
  unwrap(
    stanzas: readonly Stanza[]
  ): Uint8Array<ArrayBuffer> | undefined | Promise<Uint8Array<ArrayBuffer> | undefined>
}

/** A key pair of either kind, in age's text forms. */
export interface KeyPair extends Identity {
  readonly recipient: Recipient & { readonly text: string }
  /** `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`: a secret. */
  toText(): string
}

/** The hybrid key pair of a 32-byte seed. The seed is copied. */
export function hybridIdentity(seed: Uint8Array): KeyPair {
  if (seed.length !== HYBRID_SEED_BYTES) throw malformed('a hybrid identity is a seed of 32 bytes')
  const kept = new Uint8Array(seed)
  const key = hybridPrivateKey(kept)
  const text = bech32.encode('age1pq', bech32.toWords(key.publicBytes), false)
  return {
    recipient: hybridRecipient(text, key.publicBytes),
    toText: () => bech32.encodeFromBytes('age-secret-key-pq-', kept).toUpperCase(),
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.args[0] !== HYBRID_STANZA) continue
        const encapsulation = onlyArgument(stanza, HYBRID_ENCAPSULATION_BYTES)
        const secret = agree(() => hybridDecapsulate(key, encapsulation))
        const context = hpkeContext(secret)
        const fileKey = openWrap(context.key, context.nonce, stanza)
        if (fileKey !== undefined) return fileKey
      }
      return undefined
    }
  }
}

/** The classic key pair of a 32-byte scalar. The scalar is copied. */
export function x25519Identity(scalar: Uint8Array): KeyPair {
  if (scalar.length !== X25519_BYTES) throw malformed('an X25519 identity is a scalar of 32 bytes')
  const kept = new Uint8Array(scalar)
  const privateKey = x25519PrivateKey(kept)
  const publicBytes = x25519PublicBytes(privateKey)
  return {
    recipient: x25519Recipient(bech32.encodeFromBytes('age', publicBytes), publicBytes),
    toText: () => bech32.encodeFromBytes('age-secret-key-', kept).toUpperCase(),
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.args[0] !== X25519_STANZA) continue
        const share = onlyArgument(stanza, X25519_BYTES)
        const key = x25519WrapKey(privateKey, x25519PublicKey(share), share, publicBytes)
        const fileKey = openWrap(key, ZERO_NONCE, stanza)
        if (fileKey !== undefined) return fileKey
      }
      return undefined
    }
  }
}

/** Seals to a passphrase (taken as it is: normalise first). `workFactor` is log2 of N, 18 unless given. */
export function scryptRecipient(
  passphrase: string,
  options: { readonly workFactor?: number } = {}
): Recipient {
  const workFactor = options.workFactor ?? SCRYPT_WORK_FACTOR
  if (!Number.isInteger(workFactor) || workFactor < 1 || workFactor > SCRYPT_WORK_FACTOR_MAX)
    throw new ProtocolError('limit-exceeded', `a scrypt work factor of ${workFactor}`)
  return {
    text: undefined,
    alone: true,
    async wrap(fileKey, random) {
      const salt = random(SALT_BYTES)
      const key = await scryptWrapKey(passphrase, salt, workFactor)
      const body = native.aead.seal(key, ZERO_NONCE, fileKey)
      return { args: [SCRYPT_STANZA, base64nopad.encode(salt), String(workFactor)], body }
    }
  }
}

/** Opens what was sealed to a passphrase; takes `128 · 8 · 2^workFactor` bytes of memory while it runs, off the event loop. */
export function scryptIdentity(
  passphrase: string,
  options: { readonly workFactorMax?: number } = {}
): Identity {
  const workFactorMax = options.workFactorMax ?? SCRYPT_WORK_FACTOR_MAX
  return {
    async unwrap(stanzas) {
      const stanza = stanzas.find(({ args }) => args[0] === SCRYPT_STANZA)
      if (stanza === undefined) return undefined
      const [, saltText, workFactorText] = stanza.args
      if (stanza.args.length !== 3 || saltText === undefined || workFactorText === undefined)
        throw malformed(`a scrypt stanza has ${stanza.args.length} arguments`)
      const salt = decodeBase64(saltText)
      if (salt.length !== SALT_BYTES) throw malformed(`a scrypt salt of ${salt.length} bytes`)
      // At most two digits, so that the number is exact before it is compared.
      if (!/^[1-9][0-9]?$/.test(workFactorText) || Number(workFactorText) > workFactorMax)
        throw malformed(`a scrypt work factor that is not 1 to ${workFactorMax}`)
      checkWrap(stanza)
      const key = await scryptWrapKey(passphrase, salt, Number(workFactorText))
      return openWrap(key, ZERO_NONCE, stanza)
    }
  }
}

/** Reads `age1pq1…` or `age1…`. Throws `sealed-malformed`. */
export function parseRecipient(text: string): Recipient & { readonly text: string } {
  const { prefix, bytes } = decodeBech32(text)
  if (text === text.toLowerCase()) {
    if (prefix === 'age1pq' && bytes.length === HYBRID_PUBLIC_BYTES)
      return hybridRecipient(text, bytes)
    if (prefix === 'age' && bytes.length === X25519_BYTES) return x25519Recipient(text, bytes)
  }
  throw malformed('the text is no recipient eLocker knows')
}

/** Reads `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`. Throws `sealed-malformed`; the message holds nothing of the text. */
export function parseIdentity(text: string): KeyPair {
  const { prefix, bytes } = decodeBech32(text)
  if (text === text.toUpperCase()) {
    if (prefix === 'age-secret-key-pq-' && bytes.length === HYBRID_SEED_BYTES)
      return hybridIdentity(bytes)
    if (prefix === 'age-secret-key-' && bytes.length === X25519_BYTES) return x25519Identity(bytes)
  }
  throw malformed('the text is no identity eLocker knows')
}

/**
 * The file key, from the first identity that opens a stanza; not authenticated before the header's
 * MAC has been checked with it. Throws `sealed-no-match`, or `sealed-malformed` for a passphrase
 * stanza that is not alone (age.md "scrypt recipient stanza").
 */
export async function unwrapFileKey(
  stanzas: readonly Stanza[],
  identities: readonly Identity[]
): Promise<Uint8Array<ArrayBuffer>> {
  if (stanzas.length > 1 && stanzas.some(({ args }) => args[0] === SCRYPT_STANZA))
    throw malformed('a scrypt stanza is not alone')
  for (const identity of identities) {
    // One after the other: a passphrase costs 256 MiB while it is tried.
    const fileKey = await identity.unwrap(stanzas)
    if (fileKey !== undefined) return fileKey
  }
  throw new ProtocolError('sealed-no-match', 'the file is sealed to none of the identities')
}

function hybridRecipient(text: string, bytes: Uint8Array): Recipient & { readonly text: string } {
  const key = agree(() => hybridPublicKey(bytes))
  return {
    text,
    alone: false,
    wrap(fileKey) {
      const { secret, encapsulation } = agree(() => hybridEncapsulate(key))
      const context = hpkeContext(secret)
      const body = native.aead.seal(context.key, context.nonce, fileKey)
      return { args: [HYBRID_STANZA, base64nopad.encode(encapsulation)], body }
    }
  }
}

function x25519Recipient(text: string, bytes: Uint8Array): Recipient & { readonly text: string } {
  const recipientKey = x25519PublicKey(bytes)
  return {
    text,
    alone: false,
    wrap(fileKey, random) {
      const ephemeral = x25519PrivateKey(random(X25519_BYTES))
      const share = x25519PublicBytes(ephemeral)
      const key = x25519WrapKey(ephemeral, recipientKey, share, bytes)
      const body = native.aead.seal(key, ZERO_NONCE, fileKey)
      return { args: [X25519_STANZA, base64nopad.encode(share)], body }
    }
  }
}

function x25519WrapKey(
  privateKey: KeyObject,
  publicKey: KeyObject,
  share: Uint8Array,
  recipient: Uint8Array
): Uint8Array {
  const secret = agree(() => diffieHellman({ privateKey, publicKey }))
  return native.hkdfSha256(secret, Buffer.concat([share, recipient]), X25519_INFO, 32)
}

function scryptWrapKey(
  passphrase: string,
  salt: Uint8Array,
  workFactor: number
): Promise<Uint8Array> {
  const N = 2 ** workFactor
  // OpenSSL counts a little more than 128·N·r; twice that is a bound, not an allocation.
  const options = { N, r: 8, p: 1, maxmem: 2 * 128 * 8 * N + 65_536 }
  const labelled = Buffer.concat([Buffer.from(SCRYPT_INFO), salt])
  return new Promise((resolve, reject) => {
    scrypt(Buffer.from(passphrase), labelled, 32, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/**
 * OpenSSL refuses a low-order X25519 point (a shared secret of zeros: RFC 7748 §6.1, age.md "X25519
 * recipient stanza") and a key outside its ring by throwing; nothing else makes these calls throw.
 */
function agree<T>(agreement: () => T): T {
  try {
    return agreement()
  } catch (cause) {
    throw new ProtocolError('sealed-malformed', 'a public key no writer makes', { cause })
  }
}

/** The one argument after the type, of exactly `sizeBytes`; also checks the body, before any key is computed. */
function onlyArgument(stanza: Stanza, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const [type, argument] = stanza.args
  if (argument === undefined || stanza.args.length !== 2)
    throw malformed(`a ${type} stanza has ${stanza.args.length} arguments`)
  const bytes = decodeBase64(argument)
  if (bytes.length !== sizeBytes)
    throw malformed(`the argument of a ${type} stanza has ${bytes.length} bytes`)
  checkWrap(stanza)
  return bytes
}

function checkWrap(stanza: Stanza): void {
  if (stanza.body.length !== WRAPPED_BYTES)
    throw malformed(`the body of a ${stanza.args[0]} stanza has ${stanza.body.length} bytes`)
}

/** `undefined` when the tag does not fit: the stanza is somebody else's. */
function openWrap(
  key: Uint8Array,
  nonce: Uint8Array,
  stanza: Stanza
): Uint8Array<ArrayBuffer> | undefined {
  try {
    return native.aead.open(key, nonce, stanza.body)
  } catch {
    return undefined
  }
}

function decodeBech32(text: string): { prefix: string; bytes: Uint8Array } {
  if (text.length > TEXT_LENGTH_MAX) throw malformed(`a key text of ${text.length} characters`)
  if (!hasSeparator(text)) throw malformed('the text is not bech32')
  try {
    const { prefix, words } = bech32.decode(text, false)
    return { prefix: prefix.toLowerCase(), bytes: bech32.fromWords(words) }
  } catch {
    // The library's message may quote the text, which may be a secret: it is not handed on.
    throw malformed('the text is not bech32')
  }
}

function hasSeparator(text: string): text is `${string}1${string}` {
  return text.includes('1')
}

function malformed(fact: string): ProtocolError {
  return new ProtocolError('sealed-malformed', fact)
}
