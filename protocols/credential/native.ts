/**
 * The cryptography of proofs on node:crypto.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import type { PublicKeyJwk } from '../did/multikey.ts'
import { publicKeyOf } from '../envelope/keys.ts'
import { ProtocolError } from '../errors.ts'
import type { ProofCrypto, ProofSigner } from './crypto.ts'

/** Imported Ed25519 keys kept, at some 2 KiB each: the issuers whose credentials one agent sees. */
const KEYS_MAX = 1024

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** SubjectPublicKeyInfo and PrivateKeyInfo of an Ed25519 key up to its 32 bytes, RFC 8410 §4 and §7. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

const keys = new Map<string, KeyObject>()

/** node:crypto (OpenSSL): 10 times \@noble. */
export const nativeProofCrypto: ProofCrypto = {
  sha256: (bytes) => hash('sha256', bytes, 'buffer'),
  sha384: (bytes) => hash('sha384', bytes, 'buffer'),
  verifyEd25519(publicKey, message, signature) {
    if (signature.length !== SIGNATURE_BYTES) return false
    const key = ed25519Key(publicKey)
    return key !== undefined && verify(null, message, key, signature)
  },
  verifyP256(publicKey, message, signature) {
    if (publicKey.crv !== 'P-256' || signature.length !== SIGNATURE_BYTES) return false
    const key = p256Key(publicKey)
    return (
      key !== undefined && verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature)
    )
  }
}

/**
 * A signer from a 32-byte Ed25519 seed or a private KeyObject; `verificationMethod` is an absolute DID URL.
 *
 * @throws ProtocolError `limit-exceeded` for a seed that is not 32 bytes; `envelope-unsupported` for a
 * KeyObject that is not a private Ed25519 key.
 */
export function nativeSigner(key: Uint8Array | KeyObject, verificationMethod: string): ProofSigner {
  const secret = key instanceof Uint8Array ? keyOfSeed(key) : key
  if (secret.type !== 'private' || secret.asymmetricKeyType !== 'ed25519') {
    throw new ProtocolError(
      'envelope-unsupported',
      `a ${secret.asymmetricKeyType} ${secret.type} key signs no proof`
    )
  }
  return {
    algorithm: 'EdDSA',
    verificationMethod,
    sign: (message) => sign(null, message, secret)
  }
}

function keyOfSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== KEY_BYTES) {
    throw new ProtocolError('limit-exceeded', `an Ed25519 seed of ${seed.length} bytes`)
  }
  const pkcs8 = Buffer.concat([PKCS8_PREFIX, seed])
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  pkcs8.fill(0)
  return key
}

/** undefined for what is not a public key that can bind anyone to a message. */
function ed25519Key(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== KEY_BYTES) return undefined
  const name = Buffer.from(publicKey).toString('latin1')
  const cached = keys.get(name)
  if (cached !== undefined) {
    // To the end of the order: the first in the map is the one unused for longest.
    keys.delete(name)
    keys.set(name, cached)
    return cached
  }
  if (!bindsItsOwner(publicKey)) return undefined
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: 'der',
    type: 'spki'
  })
  keys.set(name, key)
  if (keys.size > KEYS_MAX) {
    const [oldest] = keys.keys()
    if (oldest !== undefined) keys.delete(oldest)
  }
  return key
}

/**
 * OpenSSL imports any 32 bytes. A point of small order verifies one signature over every message, so the
 * credential would prove nothing against its issuer; \@noble in the browser refuses it, and the verdict must
 * be the same in both.
 */
function bindsItsOwner(publicKey: Uint8Array): boolean {
  try {
    return !ed25519.Point.fromBytes(publicKey, false).isSmallOrder()
  } catch {
    // Not a point of the curve: no signature can verify under it.
    return false
  }
}

function p256Key(jwk: PublicKeyJwk): KeyObject | undefined {
  try {
    return publicKeyOf(jwk)
  } catch {
    // Not a point of the curve: no signature can verify under it.
    return undefined
  }
}
