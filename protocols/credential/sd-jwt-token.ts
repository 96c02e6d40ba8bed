/**
 * The signed tokens inside an SD-JWT: the issuer's JWT and the holder's Key Binding JWT, both in the compact
 * form (RFC 7515 §7.1), by Ed25519 or P-256.
 *
 * base64url comes from \@scure/base and not from Node's Buffer: it runs in a browser, and it refuses stray last
 * bits, so that one signature has one text.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { keyFromJwk, type PublicKeyJwk } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'
import { parseJsonBounded } from '../message.ts'
import type { ProofCrypto, ProofSigner } from './crypto.ts'
import { CREDENTIAL_BYTES_MAX, isJsonObject, type JsonObject, type JsonValue } from './json.ts'

/** Largest SD-JWT read or written, disclosures and key binding included, in bytes: what a credential may have. */
export const SD_JWT_BYTES_MAX = CREDENTIAL_BYTES_MAX

/** Why an SD-JWT is refused. */
export type SdJwtFault =
  | 'malformed' // not an SD-JWT: parts, base64url, JSON
  | 'limit-exceeded'
  | 'type-unsupported' // `typ` of another kind of token
  | 'algorithm-unsupported' // `alg` none, unknown, or not the key's; `crit`; `_sd_alg`
  | 'key-unknown' // the issuer's key is not to be had
  | 'signature-wrong'
  | 'claims-malformed'
  | 'claim-reserved' // a name that may not be disclosed: `_sd`, `...`, and those a verifier must always see
  | 'claim-repeated' // a disclosure of a claim that is there already
  | 'digest-repeated'
  | 'disclosure-malformed'
  | 'disclosure-repeated'
  | 'disclosure-unused' // changed, or never by this issuer
  | 'key-binding-missing'
  | 'key-binding-malformed'
  | 'key-binding-wrong' // not by the holder's key, or over another presentation
  | 'key-binding-audience'
  | 'key-binding-nonce'
  | 'key-binding-stale' // made too long ago, or in the future

/** Thrown inside these files only; the exported functions of sd-jwt.ts turn it into a value or a ProtocolError. */
export class SdJwtRefusal extends Error {
  readonly fault: SdJwtFault

  constructor(fault: SdJwtFault, reason: string, options: { readonly cause?: unknown } = {}) {
    super(reason, options)
    this.name = 'SdJwtRefusal'
    this.fault = fault
  }
}

/** A key a token is to be verified with: 32 raw bytes of Ed25519, or a JWK on Ed25519 or P-256. */
export type TokenKey = { readonly publicKey: Uint8Array } | { readonly jwk: PublicKeyJwk }

/** A token taken apart; nothing in it has been verified. */
export interface Token {
  readonly header: JsonObject
  readonly payload: JsonObject
  /** What was signed: the first two parts with the dot between. */
  readonly input: string
  readonly signature: Uint8Array
}

/** The algorithm of a key. `Ed25519` is the fully specified name of what `EdDSA` means here, RFC 9864 §2.2. */
// oxfmt-ignore
const NAMES: ReadonlyMap<string, readonly string[]> = new Map([
  ['Ed25519', ['EdDSA', 'Ed25519']],
  ['P-256',   ['ES256']]
])

const ALGORITHMS: ReadonlySet<string> = new Set([...NAMES.values()].flat())

const UTF8 = new TextEncoder()

/**
 * Takes a compact JWT apart.
 *
 * @param fault what to refuse it with when it is not one.
 * @throws SdJwtRefusal
 */
export function parseToken(jwt: string, fault: SdJwtFault, what: string): Token {
  const parts = jwt.split('.', 4)
  const [header, payload, signature] = parts
  if (parts.length !== 3 || header === undefined || payload === undefined || !signature) {
    throw new SdJwtRefusal(fault, `${what} is not three parts with dots between`)
  }
  const token = {
    header: objectOf(header, fault, `the header of ${what}`),
    payload: objectOf(payload, fault, `the payload of ${what}`),
    input: `${header}.${payload}`,
    signature: bytesOf(signature, fault, `the signature of ${what}`)
  }
  const { alg, crit } = token.header
  if (typeof alg !== 'string' || !ALGORITHMS.has(alg)) {
    throw new SdJwtRefusal(
      'algorithm-unsupported',
      `${what} has alg ${shown(alg)}; EdDSA and ES256 are read`
    )
  }
  // What `crit` names changes what is signed or what it means, RFC 7515 §4.1.11.
  if (crit !== undefined) {
    throw new SdJwtRefusal('algorithm-unsupported', `${what} has crit, and none of it is supported`)
  }
  return token
}

/**
 * Whether the token is by this key. The algorithm follows from the key and must be the one the header
 * names: no choice for an attacker.
 *
 * @throws SdJwtRefusal `algorithm-unsupported` when key and header disagree.
 */
export function verifiesToken(token: Token, key: TokenKey, crypto: ProofCrypto): boolean {
  const curve = 'jwk' in key ? key.jwk.crv : 'Ed25519'
  const { alg } = token.header
  if (typeof alg !== 'string' || NAMES.get(curve)?.includes(alg) !== true) {
    throw new SdJwtRefusal('algorithm-unsupported', `alg ${shown(alg)} with a key on ${curve}`)
  }
  const message = UTF8.encode(token.input)
  if (!('jwk' in key)) return crypto.verifyEd25519(key.publicKey, message, token.signature)
  if (curve === 'P-256') return crypto.verifyP256(key.jwk, message, token.signature)
  return crypto.verifyEd25519(base64urlnopad.decode(key.jwk.x), message, token.signature)
}

/** Signs a header and a payload as a compact JWT; `alg` is the signer's. */
export function signToken(header: JsonObject, payload: JsonObject, signer: ProofSigner): string {
  const input = `${encodeJson({ alg: signer.algorithm, ...header })}.${encodeJson(payload)}`
  return `${input}.${base64urlnopad.encode(signer.sign(UTF8.encode(input)))}`
}

/** A value as base64url of its JSON. */
export function encodeJson(value: JsonValue): string {
  return base64urlnopad.encode(UTF8.encode(JSON.stringify(value)))
}

/** The JSON a base64url text stands for, within the limits of json.ts; refuses with `fault` and names `what`. */
export function decodeJson(text: string, fault: SdJwtFault, what: string): unknown {
  try {
    return parseJsonBounded(bytesOf(text, fault, what), { bytesMax: SD_JWT_BYTES_MAX })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const limit = cause.code === 'limit-exceeded'
    throw new SdJwtRefusal(limit ? 'limit-exceeded' : fault, `${what}: ${cause.message}`, { cause })
  }
}

/**
 * The holder's key that the issuer put into `cnf` (RFC 7800 §3.2); undefined when there is none, or one of a
 * kind that is not verified here: then a presentation cannot be bound to its holder.
 */
export function holderKeyOf(claims: JsonObject): PublicKeyJwk | undefined {
  const { cnf } = claims
  if (!isJsonObject(cnf) || !isJsonObject(cnf['jwk'])) return undefined
  try {
    const jwk = keyFromJwk(cnf['jwk'])
    return NAMES.has(jwk.crv) ? jwk : undefined
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    return undefined
  }
}

/** A value from outside for a reason: short, whatever it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  return value === undefined ? 'absent' : typeof value
}

function objectOf(text: string, fault: SdJwtFault, what: string): JsonObject {
  const value = decodeJson(text, fault, what)
  if (!isJsonObject(value)) throw new SdJwtRefusal(fault, `${what} is not a JSON object`)
  return value
}

function bytesOf(text: string, fault: SdJwtFault, what: string): Uint8Array {
  try {
    return base64urlnopad.decode(text)
  } catch (cause) {
    throw new SdJwtRefusal(fault, `${what} is not canonical base64url`, { cause })
  }
}
