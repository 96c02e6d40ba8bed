/**
 * Signatures of DIDComm v2.1 messages: JWS JSON serialisation (RFC 7515 §7.2), EdDSA, ES256 and ES256K, and
 * the compact form used for `from_prior`.
 *
 * @module
 */
import { sign as nodeSign, verify as nodeVerify } from 'node:crypto'
import { z } from 'zod'
import { didOf, isKeyId } from '../did/document.ts'
import type { Curve, PublicKeyJwk } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'
import { parseJsonBounded } from '../message.ts'
import { fromBase64url, toBase64url } from './base64url.ts'
import { curveOf, publicKeyOf, secretKeyOf, type SecretKey, type SecretKeyRef } from './keys.ts'

/** Most signatures of one message. More than one is for a key change; each costs a resolution and a verification. */
export const SIGNATURES_MAX = 4

/** Largest protected header, in bytes. */
const HEADER_BYTES_MAX = 8 * 1024

interface Algorithm {
  readonly alg: 'EdDSA' | 'ES256' | 'ES256K'
  readonly hash: 'sha256' | null
}

const ALGORITHMS: ReadonlyMap<Curve, Algorithm> = new Map([
  ['Ed25519', { alg: 'EdDSA', hash: null }],
  ['P-256', { alg: 'ES256', hash: 'sha256' }],
  ['secp256k1', { alg: 'ES256K', hash: 'sha256' }]
])

const SIGNED_TYPES: readonly string[] = ['application/didcomm-signed+json', 'didcomm-signed+json']

/** A signed message as a JSON value, General form. */
export interface Jws {
  readonly payload: string
  readonly signatures: ReadonlyArray<{
    readonly protected: string
    readonly header: { readonly kid: string }
    readonly signature: string
  }>
}

/** Finds the signer's key, checked to stand in `authentication` of its DID document. */
export type ResolveSigner = (kid: string, purpose: 'authentication') => Promise<PublicKeyJwk>

/**
 * Signs.
 *
 * @throws ProtocolError `envelope-unsupported` for a key on a curve that does not sign.
 */
export function signJws(payload: Uint8Array, signer: SecretKeyRef): Jws {
  const header = toBase64url(
    JSON.stringify({ typ: 'application/didcomm-signed+json', alg: algorithmOf(signer.key).alg })
  )
  const encoded = toBase64url(payload)
  const signature = toBase64url(signBytes(`${header}.${encoded}`, signer.key))
  return {
    payload: encoded,
    signatures: [{ protected: header, header: { kid: signer.kid }, signature }]
  }
}

export interface VerifiedJws {
  readonly payload: Buffer
  /** Key ids of all signers, all of one DID. */
  readonly kids: readonly string[]
}

/**
 * Verifies every signature, not only one of them.
 *
 * @throws ProtocolError `envelope-malformed`, `envelope-unsupported`, `envelope-unauthenticated`, and what
 * `resolveKey` throws.
 */
export async function verifyJws(value: unknown, resolveKey: ResolveSigner): Promise<VerifiedJws> {
  const { payload, signatures } = parseJws(value)
  const signers = signatures.map(({ protected: encoded, header, signature }) => {
    const facts = parseHeader(encoded, SIGNED_TYPES)
    const kid = facts.kid ?? header?.kid
    if (kid === undefined || !isKeyId(kid) || (header?.kid ?? kid) !== kid) {
      throw new ProtocolError('envelope-malformed', 'a signature without one key id')
    }
    return { kid, alg: facts.alg, input: `${encoded}.${payload}`, signature }
  })
  const dids = new Set(signers.map(({ kid }) => didOf(kid)))
  if (dids.size !== 1) throw new ProtocolError('envelope-malformed', 'signers of more than one DID')
  for (const { kid, alg, input, signature } of signers) {
    verifyBytes(input, signature, { alg, jwk: await resolveKey(kid, 'authentication') })
  }
  return { payload: fromBase64url(payload, 'payload'), kids: signers.map(({ kid }) => kid) }
}

/** Signs claims as a compact JWT with `kid` in its header: what `from_prior` is. */
export function signJwt(claims: Readonly<Record<string, unknown>>, signer: SecretKeyRef): string {
  const { alg } = algorithmOf(signer.key)
  const header = toBase64url(JSON.stringify({ typ: 'JWT', alg, kid: signer.kid }))
  const input = `${header}.${toBase64url(JSON.stringify(claims))}`
  return `${input}.${toBase64url(signBytes(input, signer.key))}`
}

/**
 * Verifies a compact JWT whose header names the key.
 *
 * @returns the claims, of any shape, and the key id that signed them.
 * @throws ProtocolError as {@link verifyJws}.
 */
export async function verifyJwt(
  jwt: string,
  resolveKey: ResolveSigner
): Promise<{ readonly claims: unknown; readonly kid: string }> {
  const [encoded = '', payload = '', signature = '', ...more] = jwt.split('.', 4)
  if (more.length > 0 || signature === '') {
    throw new ProtocolError('envelope-malformed', 'not a compact JWT')
  }
  const { kid, alg } = parseHeader(encoded, ['JWT'])
  if (kid === undefined || !isKeyId(kid)) {
    throw new ProtocolError('envelope-malformed', 'a JWT without a key id')
  }
  const claims = parseJsonBounded(fromBase64url(payload, 'JWT payload'), {
    bytesMax: HEADER_BYTES_MAX
  })
  verifyBytes(`${encoded}.${payload}`, signature, {
    alg,
    jwk: await resolveKey(kid, 'authentication')
  })
  return { claims, kid }
}

/** Bounded by the frame. */
const text = z.string()
const unprotected = z.exactOptional(z.strictObject({ kid: text }))
const general = z.strictObject({
  payload: text,
  signatures: z
    .array(z.strictObject({ protected: text, header: unprotected, signature: text }))
    .min(1)
    .max(SIGNATURES_MAX)
})
const flattened = z.strictObject({
  payload: text,
  protected: text,
  header: unprotected,
  signature: text
})

type ParsedJws = z.infer<typeof general>

function parseJws(value: unknown): ParsedJws {
  const parsed = general.safeParse(value)
  if (parsed.success) return parsed.data
  const single = flattened.safeParse(value)
  if (!single.success) {
    throw new ProtocolError('envelope-malformed', 'not a JWS in JSON form', { cause: parsed.error })
  }
  const { payload, ...signature } = single.data
  return { payload, signatures: [signature] }
}

const headerSchema = z.object({
  typ: z.exactOptional(z.string()),
  alg: z.string(),
  kid: z.exactOptional(z.string()),
  crit: z.exactOptional(z.unknown())
})

function parseHeader(
  encoded: string,
  types: readonly string[]
): { readonly alg: string; readonly kid?: string } {
  const bytes = fromBase64url(encoded, 'protected header')
  const parsed = headerSchema.safeParse(parseJsonBounded(bytes, { bytesMax: HEADER_BYTES_MAX }))
  if (!parsed.success) {
    throw new ProtocolError('envelope-malformed', 'not a JWS protected header', {
      cause: parsed.error
    })
  }
  const { typ, alg, kid, crit } = parsed.data
  // `b64: false` changes what is signed, and must stand in `crit` (RFC 7797 §6).
  if (crit !== undefined) throw new ProtocolError('envelope-unsupported', 'crit is not supported')
  if (typ !== undefined && !types.includes(typ)) {
    throw new ProtocolError('envelope-malformed', 'typ is not that of a signature expected here')
  }
  return kid === undefined ? { alg } : { alg, kid }
}

function algorithmOf(key: SecretKey): Algorithm {
  const curve = curveOf(key)
  const algorithm = curve === undefined ? undefined : ALGORITHMS.get(curve)
  if (algorithm === undefined) {
    throw new ProtocolError(
      'envelope-unsupported',
      `a key on ${curve ?? 'no known curve'} does not sign`
    )
  }
  return algorithm
}

function signBytes(input: string, key: SecretKey): Buffer {
  const { hash } = algorithmOf(key)
  return nodeSign(hash, Buffer.from(input, 'latin1'), {
    key: secretKeyOf(key),
    dsaEncoding: 'ieee-p1363'
  })
}

/** The algorithm follows from the key and must be the one the header names: no choice for an attacker. */
function verifyBytes(
  input: string,
  signature: string,
  { alg, jwk }: { readonly alg: string; readonly jwk: PublicKeyJwk }
): void {
  const algorithm = ALGORITHMS.get(jwk.crv)
  if (algorithm === undefined || algorithm.alg !== alg) {
    throw new ProtocolError(
      'envelope-unsupported',
      `alg ${alg.slice(0, 20)} with a key on ${jwk.crv}`
    )
  }
  const key = { key: publicKeyOf(jwk), dsaEncoding: 'ieee-p1363' } as const
  const bytes = fromBase64url(signature, 'signature')
  if (!nodeVerify(algorithm.hash, Buffer.from(input, 'latin1'), key, bytes)) {
    throw new ProtocolError('envelope-unauthenticated', 'a signature does not fit')
  }
}
