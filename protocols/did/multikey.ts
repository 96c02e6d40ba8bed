/**
 * Public keys in their two text forms: Multikey (multibase of a multicodec-prefixed key, W3C Controlled
 * Identifiers 1.0 §2.2.2) and JWK (RFC 7517, RFC 8037, RFC 8812).
 *
 * Elliptic-curve points are compressed in a Multikey, which node:crypto cannot expand; @noble/curves
 * does, and refuses what is not on the curve. Runs in a browser too.
 *
 * @module
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256, p384, p521 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { base58, base64urlnopad } from '@scure/base'
import { ProtocolError } from '../errors.ts'

export type OkpCurve = 'Ed25519' | 'X25519'
type EcCurve = 'P-256' | 'P-384' | 'P-521' | 'secp256k1'
export type Curve = OkpCurve | EcCurve

/** A public key as JWK, coordinates as canonical base64url of full length. */
export type PublicKeyJwk =
  | { readonly kty: 'OKP'; readonly crv: OkpCurve; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: EcCurve; readonly x: string; readonly y: string }

/** A private key as JWK. */
export type PrivateKeyJwk = PublicKeyJwk & { readonly d: string }

interface Format {
  readonly curve: Curve
  /** Multicodec of the public key, multiformats/multicodec table. */
  readonly codec: number
  /** Key as it stands in a Multikey, in bytes: raw for OKP, compressed point for EC. */
  readonly sizeBytes: number
  /** One coordinate, in bytes. */
  readonly coordinateBytes: number
  readonly point?: { fromBytes(bytes: Uint8Array): { toBytes(compressed: boolean): Uint8Array } }
}

// oxfmt-ignore
const FORMATS: readonly Format[] = [
  { curve: 'Ed25519',   codec: 0xed,   sizeBytes: 32, coordinateBytes: 32 },
  { curve: 'X25519',    codec: 0xec,   sizeBytes: 32, coordinateBytes: 32 },
  { curve: 'P-256',     codec: 0x1200, sizeBytes: 33, coordinateBytes: 32, point: p256.Point },
  { curve: 'P-384',     codec: 0x1201, sizeBytes: 49, coordinateBytes: 48, point: p384.Point },
  { curve: 'P-521',     codec: 0x1202, sizeBytes: 67, coordinateBytes: 66, point: p521.Point },
  { curve: 'secp256k1', codec: 0xe7,   sizeBytes: 33, coordinateBytes: 32, point: secp256k1.Point }
]
const BY_CURVE: ReadonlyMap<string, Format> = new Map(
  FORMATS.map((format) => [format.curve, format])
)
const BY_CODEC: ReadonlyMap<number, Format> = new Map(
  FORMATS.map((format) => [format.codec, format])
)

/** Longest Multikey read, in characters: P-521 takes 95. base58 decoding is quadratic. */
const MULTIKEY_CHARS_MAX = 128

/**
 * The key of a Multikey text such as `z6Mk…`.
 *
 * @throws ProtocolError `did-malformed`; `did-unsupported` for a key type outside the table.
 */
export function decodeMultikey(text: string): PublicKeyJwk {
  const bytes = decodeMultibase58(text, MULTIKEY_CHARS_MAX)
  const [codec, start] = readVarint(bytes)
  const format = BY_CODEC.get(codec)
  if (format === undefined) {
    throw new ProtocolError('did-unsupported', `key type 0x${codec.toString(16)} is not supported`)
  }
  return publicJwk(format.curve, bytes.subarray(start))
}

/** The Multikey text of a public key. */
export function encodeMultikey(jwk: PublicKeyJwk): string {
  const format = formatOf(jwk.crv)
  const x = base64urlnopad.decode(jwk.x)
  const key = jwk.kty === 'OKP' ? x : concat([Uint8Array.of(2 + parityOf(jwk.y)), x])
  return encodeMultibase58(concat([varint(format.codec), key]))
}

/**
 * A public key from its bytes: raw for Ed25519 and X25519, a compressed point otherwise.
 *
 * @throws ProtocolError `did-malformed` when the length is wrong or the point is not on the curve.
 */
export function publicJwk(curve: Curve, bytes: Uint8Array): PublicKeyJwk {
  const format = formatOf(curve)
  if (bytes.length !== format.sizeBytes) {
    throw new ProtocolError('did-malformed', `a ${curve} key of ${bytes.length} bytes`)
  }
  if (curve === 'Ed25519' || curve === 'X25519') {
    return { kty: 'OKP', crv: curve, x: base64urlnopad.encode(bytes) }
  }
  const point = expand(format, bytes)
  const middle = 1 + format.coordinateBytes
  return {
    kty: 'EC',
    crv: curve,
    x: base64urlnopad.encode(point.subarray(1, middle)),
    y: base64urlnopad.encode(point.subarray(middle))
  }
}

/**
 * Reads a public JWK from outside. Coordinates shorter than the field are padded: some software strips
 * the leading zeros of P-521. Whether the point is on its curve is checked where the key is imported
 * (protocols/envelope/keys.ts): node:crypto refuses it.
 *
 * @throws ProtocolError `did-malformed`; `did-unsupported` for a curve outside the table.
 */
export function keyFromJwk(value: Readonly<Record<string, unknown>>): PublicKeyJwk {
  const { kty, crv, x, y } = value
  const format = typeof crv === 'string' ? BY_CURVE.get(crv) : undefined
  if (format === undefined) {
    throw new ProtocolError('did-unsupported', 'a JWK on a curve that is not supported')
  }
  if ('d' in value) throw new ProtocolError('did-malformed', 'a public JWK with a private part')
  const { curve } = format
  if (curve === 'Ed25519' || curve === 'X25519') {
    if (kty !== 'OKP') throw new ProtocolError('did-malformed', `a ${curve} JWK that is not OKP`)
    return { kty, crv: curve, x: coordinate(format, x) }
  }
  if (kty !== 'EC') throw new ProtocolError('did-malformed', `a ${curve} JWK that is not EC`)
  return { kty, crv: curve, x: coordinate(format, x), y: coordinate(format, y) }
}

/**
 * The X25519 key that belongs to an Ed25519 key, did:key §3.1.2 (RFC 7748 birational map).
 *
 * @throws ProtocolError `did-malformed` when the bytes are not a point of the curve.
 */
export function x25519Of(key: PublicKeyJwk): PublicKeyJwk {
  if (key.crv !== 'Ed25519')
    throw new ProtocolError('did-malformed', `${key.crv} has no X25519 twin`)
  try {
    return publicJwk('X25519', ed25519.utils.toMontgomery(base64urlnopad.decode(key.x)))
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'an Ed25519 key that is not on its curve', { cause })
  }
}

/** Multibase `z`: base58btc. */
export function encodeMultibase58(bytes: Uint8Array): string {
  return `z${base58.encode(bytes)}`
}

/** @throws ProtocolError `did-malformed` when it is not base58btc of at most `charsMax` characters. */
export function decodeMultibase58(text: string, charsMax: number): Uint8Array {
  if (!text.startsWith('z') || text.length > charsMax) {
    throw new ProtocolError(
      'did-malformed',
      `not multibase base58btc of at most ${charsMax} characters`
    )
  }
  try {
    return base58.decode(text.slice(1))
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'not base58btc', { cause })
  }
}

/** Unsigned varint of the multiformats, at most 21 bits: enough for every codec used here. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** Reads a minimal varint of at most three bytes; returns the value and where the rest begins. */
export function readVarint(bytes: Uint8Array): readonly [value: number, end: number] {
  let value = 0
  for (let position = 0; position < 3; position++) {
    const byte = bytes[position]
    if (byte === undefined) break
    value |= (byte & 0x7f) << (7 * position)
    if (byte >= 0x80) continue
    if (byte === 0 && position > 0) break
    return [value, position + 1]
  }
  throw new ProtocolError('did-malformed', 'not a minimal varint of at most three bytes')
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}

function formatOf(curve: Curve): Format {
  const format = BY_CURVE.get(curve)
  if (format === undefined) throw new ProtocolError('did-unsupported', `curve ${curve}`)
  return format
}

function expand(format: Format, bytes: Uint8Array): Uint8Array {
  if (format.point === undefined) return bytes
  try {
    return format.point.fromBytes(bytes).toBytes(false)
  } catch (cause) {
    throw new ProtocolError('did-malformed', `not a point of ${format.curve}`, { cause })
  }
}

/** 32 bytes in canonical base64url: the last of 43 characters carries four bits. Spares the usual key a decoding. */
const CANONICAL_32_BYTES = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

function coordinate(format: Format, value: unknown): string {
  if (typeof value !== 'string' || value.length > 128) {
    throw new ProtocolError('did-malformed', `a ${format.curve} JWK without its coordinates`)
  }
  if (format.coordinateBytes === 32 && CANONICAL_32_BYTES.test(value)) return value
  const bytes = decodeBase64url(value)
  const missing = format.coordinateBytes - bytes.length
  if (missing === 0) return value
  if (missing < 0 || bytes.length === 0 || format.point === undefined) {
    throw new ProtocolError(
      'did-malformed',
      `a ${format.curve} coordinate of ${bytes.length} bytes`
    )
  }
  return base64urlnopad.encode(concat([new Uint8Array(missing), bytes]))
}

function decodeBase64url(text: string): Uint8Array {
  try {
    return base64urlnopad.decode(text)
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'a coordinate that is not canonical base64url', {
      cause
    })
  }
}

/** 0 for an even y, 1 for an odd one: what the first byte of a compressed point says. */
function parityOf(y: string): number {
  return (base64urlnopad.decode(y).at(-1) ?? 0) & 1
}
