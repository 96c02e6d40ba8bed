/**
 * The hybrid post-quantum KEM of age, MLKEM768-X25519 (X-Wing, draft-connolly-cfrg-xwing-kem), and the
 * HPKE key schedule around it (RFC 9180 §5.1, mode base), on node:crypto.
 *
 *     seed (32 B) ─SHAKE-256─> ML-KEM-768 seed d ‖ z (64 B), X25519 scalar (32 B)
 *     public key    = ML-KEM encapsulation key (1,184 B) ‖ X25519 public key (32 B)
 *     encapsulation = ML-KEM ciphertext (1,088 B) ‖ X25519 ephemeral public key (32 B)
 *     shared secret = SHA3-256(ML-KEM secret ‖ X25519 secret ‖ X25519 ephemeral ‖ X25519 public ‖ "\.//^\")
 *
 * Whoever breaks one of the two alone learns nothing.
 *
 * @module
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject
} from 'node:crypto'
import { bytesOf } from './native.ts'

export const HYBRID_SEED_BYTES = 32
export const HYBRID_PUBLIC_BYTES = 1_216
export const HYBRID_ENCAPSULATION_BYTES = 1_120

const MLKEM_PUBLIC_BYTES = 1_184
const MLKEM_CIPHERTEXT_BYTES = 1_088
const MLKEM_SEED_BYTES = 64
const X25519_BYTES = 32

/** DER around raw keys: RFC 9935 (ML-KEM in SubjectPublicKeyInfo and PKCS #8, seed form) and RFC 8410 (X25519). */
const MLKEM_PUBLIC_DER = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex')
const MLKEM_PRIVATE_DER = Buffer.from('3054020100300b060960864801650304040204428040', 'hex')
const X25519_PUBLIC_DER = Buffer.from('302a300506032b656e032100', 'hex')
const X25519_PRIVATE_DER = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** X-Wing's label, `\.//^\`. */
const XWING_LABEL = Buffer.from('5c2e2f2f5e5c', 'hex')
/** RFC 9180 §5.1: "HPKE", KEM 0x647a (X-Wing), KDF 0x0001 (HKDF-SHA256), AEAD 0x0003 (ChaCha20-Poly1305). */
const SUITE = Buffer.from(`${Buffer.from('HPKE').toString('hex')}647a00010003`, 'hex')
const EMPTY = Buffer.alloc(0)
/** age.md "Hybrid recipient stanza". */
const INFO = Buffer.from('age-encryption.org/mlkem768x25519')
/** RFC 9180 §5.1: mode ‖ psk_id_hash ‖ info_hash, the same for every file. */
const KEY_SCHEDULE_CONTEXT = Buffer.concat([
  Buffer.of(0),
  labeledExtract(EMPTY, 'psk_id_hash', EMPTY),
  labeledExtract(EMPTY, 'info_hash', INFO)
])

export interface HybridPublicKey {
  readonly mlkem: KeyObject
  readonly x25519: KeyObject
  readonly x25519Bytes: Uint8Array
}

export interface HybridPrivateKey {
  readonly mlkem: KeyObject
  readonly x25519: KeyObject
  readonly publicBytes: Uint8Array<ArrayBuffer>
}

/** What HPKE's base mode gives both sides for the first and only message. */
export interface HpkeContext {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/** Reads 1,216 raw bytes. Throws when they are no key pair's public half. */
export function hybridPublicKey(bytes: Uint8Array): HybridPublicKey {
  const x25519Bytes = bytes.subarray(MLKEM_PUBLIC_BYTES)
  return {
    mlkem: publicKey(MLKEM_PUBLIC_DER, bytes.subarray(0, MLKEM_PUBLIC_BYTES)),
    x25519: x25519PublicKey(x25519Bytes),
    x25519Bytes
  }
}

/** Expands a 32-byte seed. */
export function hybridPrivateKey(seed: Uint8Array): HybridPrivateKey {
  const expanded = createHash('shake256', { outputLength: MLKEM_SEED_BYTES + X25519_BYTES })
    .update(seed)
    .digest()
  const mlkem = privateKey(MLKEM_PRIVATE_DER, expanded.subarray(0, MLKEM_SEED_BYTES))
  const x25519 = x25519PrivateKey(expanded.subarray(MLKEM_SEED_BYTES))
  expanded.fill(0)
  const publicBytes = new Uint8Array(HYBRID_PUBLIC_BYTES)
  publicBytes.set(rawPublic(mlkem, MLKEM_PUBLIC_BYTES))
  publicBytes.set(rawPublic(x25519, X25519_BYTES), MLKEM_PUBLIC_BYTES)
  return { mlkem, x25519, publicBytes }
}

/**
 * A fresh shared secret for the holder of `recipient`, and what carries it there (1,120 bytes). The
 * randomness is OpenSSL's: its ML-KEM takes no other.
 */
export function hybridEncapsulate(recipient: HybridPublicKey): {
  secret: Uint8Array
  encapsulation: Uint8Array
} {
  const { sharedKey, ciphertext } = encapsulate(recipient.mlkem)
  const { privateKey: ephemeral, publicKey: ephemeralPublic } = generateKeyPairSync('x25519')
  const ephemeralBytes = rawPublic(ephemeralPublic, X25519_BYTES)
  const agreed = diffieHellman({ privateKey: ephemeral, publicKey: recipient.x25519 })
  return {
    secret: combine(sharedKey, agreed, ephemeralBytes, recipient.x25519Bytes),
    encapsulation: Buffer.concat([ciphertext, ephemeralBytes])
  }
}

/**
 * The shared secret in an encapsulation of 1,120 bytes. ML-KEM rejects implicitly: a tampered one
 * gives another secret. Throws where the X25519 part is of low order (RFC 7748 §6.1).
 */
export function hybridDecapsulate(
  identity: HybridPrivateKey,
  encapsulation: Uint8Array
): Uint8Array {
  const ephemeralBytes = encapsulation.subarray(MLKEM_CIPHERTEXT_BYTES)
  const agreed = diffieHellman({
    privateKey: identity.x25519,
    publicKey: x25519PublicKey(ephemeralBytes)
  })
  const sharedKey = decapsulate(identity.mlkem, encapsulation.subarray(0, MLKEM_CIPHERTEXT_BYTES))
  return combine(
    sharedKey,
    agreed,
    ephemeralBytes,
    identity.publicBytes.subarray(MLKEM_PUBLIC_BYTES)
  )
}

/** RFC 9180 §5.1 KeySchedule in mode base, with age's info string and no pre-shared key: key 32 bytes, nonce 12. */
export function hpkeContext(secret: Uint8Array): HpkeContext {
  const extracted = labeledExtract(secret, 'secret', EMPTY)
  return {
    key: labeledExpand(extracted, 'key', KEY_SCHEDULE_CONTEXT, 32),
    nonce: labeledExpand(extracted, 'base_nonce', KEY_SCHEDULE_CONTEXT, 12)
  }
}

/** Raw 32 bytes as a key; any 32 bytes are one (RFC 7748 §5). */
export function x25519PublicKey(bytes: Uint8Array): KeyObject {
  return publicKey(X25519_PUBLIC_DER, bytes)
}

/** A raw scalar as a key; clamped in use (RFC 7748 §5). */
export function x25519PrivateKey(scalar: Uint8Array): KeyObject {
  return privateKey(X25519_PRIVATE_DER, scalar)
}

/** The public half of an X25519 private key, 32 bytes. */
export function x25519PublicBytes(key: KeyObject): Uint8Array<ArrayBuffer> {
  return rawPublic(key, X25519_BYTES)
}

function combine(
  mlkemSecret: Uint8Array,
  x25519Secret: Uint8Array,
  ephemeral: Uint8Array,
  recipient: Uint8Array
): Uint8Array {
  return createHash('sha3-256')
    .update(mlkemSecret)
    .update(x25519Secret)
    .update(ephemeral)
    .update(recipient)
    .update(XWING_LABEL)
    .digest()
}

/** RFC 9180 §4 LabeledExtract; HMAC with an empty key is HKDF's extract with a salt of zeros. */
function labeledExtract(salt: Uint8Array, label: string, keyMaterial: Uint8Array): Buffer {
  const hmac = createHmac('sha256', salt).update('HPKE-v1').update(SUITE).update(label)
  return hmac.update(keyMaterial).digest()
}

/** RFC 9180 §4 LabeledExpand for at most one block of 32 bytes. */
function labeledExpand(
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  sizeBytes: number
): Buffer {
  const hmac = createHmac('sha256', key).update(Buffer.of(0, sizeBytes)).update('HPKE-v1')
  return hmac
    .update(SUITE)
    .update(label)
    .update(info)
    .update(Buffer.of(1))
    .digest()
    .subarray(0, sizeBytes)
}

function publicKey(der: Uint8Array, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([der, raw]), format: 'der', type: 'spki' })
}

function privateKey(der: Uint8Array, raw: Uint8Array): KeyObject {
  const encoded = Buffer.concat([der, raw])
  const key = createPrivateKey({ key: encoded, format: 'der', type: 'pkcs8' })
  encoded.fill(0)
  return key
}

/** The raw key stands at the end of both encodings' public form. */
function rawPublic(key: KeyObject, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const half = key.type === 'private' ? createPublicKey(key) : key
  return bytesOf(half.export({ format: 'der', type: 'spki' }).subarray(-sizeBytes))
}
