/**
 * Keys as node:crypto wants them, imported once: importing a JWK costs more than the Diffie-Hellman it is for.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, KeyObject } from 'node:crypto'
import type { Curve, OkpCurve, PrivateKeyJwk, PublicKeyJwk } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'

/** A private key: a KeyObject, or a JWK that is imported once for as long as the caller keeps it. */
export type SecretKey = KeyObject | PrivateKeyJwk

/** A private key under the absolute DID URL of its public half. */
export interface SecretKeyRef {
  readonly kid: string
  readonly key: SecretKey
}

/** Imported public keys kept. At some 2 KiB each; an agent with more contacts than this imports again. */
const PUBLIC_KEYS_MAX = 1024

const publicKeys = new Map<string, KeyObject>()
/** By identity, so the key is forgotten with the JWK: nothing here outlives a sealed vault. */
const secretKeys = new WeakMap<PrivateKeyJwk, KeyObject>()

const NAMED_CURVES: ReadonlyMap<string, Curve> = new Map([
  ['prime256v1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
  ['secp256k1', 'secp256k1']
])

/**
 * Imports a public key.
 *
 * @throws ProtocolError `envelope-malformed` when the point is not on its curve (invalid curve attack;
 * DIDComm v2.1 "Curves and Content Encryption Algorithms").
 */
export function publicKeyOf(jwk: PublicKeyJwk): KeyObject {
  const name = jwk.kty === 'OKP' ? `${jwk.crv} ${jwk.x}` : `${jwk.crv} ${jwk.x} ${jwk.y}`
  const cached = publicKeys.get(name)
  if (cached !== undefined) {
    // To the end of the order: the first in the map is the one unused for longest.
    publicKeys.delete(name)
    publicKeys.set(name, cached)
    return cached
  }
  const key = importPublicKey(jwk)
  publicKeys.set(name, key)
  if (publicKeys.size > PUBLIC_KEYS_MAX) {
    const [oldest] = publicKeys.keys()
    if (oldest !== undefined) publicKeys.delete(oldest)
  }
  return key
}

/** As {@link publicKeyOf}, for keys used once (`epk`): nothing is kept. */
export function importPublicKey(jwk: PublicKeyJwk): KeyObject {
  try {
    return createPublicKey(jwk.kty === 'OKP' ? pemOf(jwk) : { key: { ...jwk }, format: 'jwk' })
  } catch (cause) {
    throw new ProtocolError('envelope-malformed', `not a public key on ${jwk.crv}`, { cause })
  }
}

/**
 * SubjectPublicKeyInfo of RFC 8410 §4 as PEM: node:crypto imports that in 10 µs, a JWK in 25 µs (Node 24.21), and
 * every envelope brings a new key. The 12 bytes before the key are 16 characters of base64.
 */
function pemOf({ crv, x }: { readonly crv: OkpCurve; readonly x: string }): string {
  const prefix = crv === 'X25519' ? 'MCowBQYDK2VuAyEA' : 'MCowBQYDK2VwAyEA'
  const key = x.replaceAll('-', '+').replaceAll('_', '/')
  return `-----BEGIN PUBLIC KEY-----\n${prefix}${key}=\n-----END PUBLIC KEY-----`
}

/** Imports a private key; a KeyObject is taken as it is. */
export function secretKeyOf(key: SecretKey): KeyObject {
  if (key instanceof KeyObject) return key
  const cached = secretKeys.get(key)
  if (cached !== undefined) return cached
  const imported = createPrivateKey({ key: { ...key }, format: 'jwk' })
  secretKeys.set(key, imported)
  return imported
}

/** The curve a private key is on; undefined for one that DIDComm does not use. */
export function curveOf(key: SecretKey): Curve | undefined {
  if (!(key instanceof KeyObject)) return key.crv
  const type = key.asymmetricKeyType
  if (type === 'x25519') return 'X25519'
  if (type === 'ed25519') return 'Ed25519'
  return type === 'ec' ? NAMED_CURVES.get(key.asymmetricKeyDetails?.namedCurve ?? '') : undefined
}
