/**
 * A credential as the text of a QR code, so that paper can be verified without a network:
 *
 *     "ELC1:" ‖ base45(DEFLATE(CBOR))          RFC 9285, RFC 1951, RFC 8949
 *
 * base45 because a QR code packs its 45 characters at 5.5 bits each (alphanumeric mode); base64 would take the 8 of
 * byte mode. The CBOR is JSON with one addition: a text of COMPACT_TERMS is written as its number, in the place of a
 * member's name as it is, in the place of a value under tag 25.
 *
 * | JSON            | CBOR                                                       |
 * | --------------- | ---------------------------------------------------------- |
 * | object          | map, definite length, names as text or term number         |
 * | array           | array, definite length                                     |
 * | text            | text, or 25(term number)                                   |
 * | number          | integer when it is a safe one, else 64-bit float           |
 * | true false null | simple values 20, 21, 22                                   |
 *
 * Proofs survive it: eddsa-jcs-2022 and RDF do not look at the order of members, which is kept all the same.
 *
 * @module
 */
import { concat } from '../did/multikey.ts'
import { ProtocolError } from '../errors.ts'
import { COMPACT_TERMS } from './compact-terms.ts'
import { through } from './compression.ts'
import { isJsonObject, jsonFault, JSON_DEPTH_MAX, type JsonObject, type JsonValue } from './json.ts'

/**
 * Longest text made and read, characters. A QR code of version 25 at correction level L holds 1,853; at 1,200 it is
 * version 20, 97 modules wide, which a phone reads off 4 cm of paper.
 */
export const COMPACT_CHARS_MAX = 1200

const PREFIX = 'ELC1:'

/** What the text may inflate to, bytes; an honest credential of that length has some 3 KiB. */
const INFLATED_BYTES_MAX = 65_536

const TAG_TERM = 25
const BREAK_OFF = 'the text breaks off'

const NUMBERS: ReadonlyMap<string, number> = new Map(
  COMPACT_TERMS.map((term, number) => [term, number])
)

/** CBOR's major types, RFC 8949 §3.1; byte strings (2) are not used. */
const UNSIGNED = 0
const NEGATIVE = 1
const TEXT = 3
const ARRAY = 4
const MAP = 5
const TAG = 6
const SIMPLE = 7

const FALSE = 0xf4
const TRUE = 0xf5
const NULL = 0xf6
const FLOAT64 = 0xfb

export type CompactReading =
  | { readonly ok: true; readonly credential: JsonObject }
  | { readonly ok: false; readonly reason: string }

/**
 * The text of a credential; undefined when it would be longer than {@link COMPACT_CHARS_MAX}.
 *
 * @throws ProtocolError `limit-exceeded` for what is beyond the limits of json.ts.
 */
export async function compactCredential(credential: JsonObject): Promise<string | undefined> {
  const fault = jsonFault(credential)
  if (fault !== undefined) throw new ProtocolError('limit-exceeded', `no credential: ${fault}`)
  const parts: Uint8Array[] = []
  write(credential, parts)
  const packed = await through(
    new CompressionStream('deflate-raw'),
    concat(parts),
    COMPACT_CHARS_MAX
  )
  if (packed === undefined) return undefined
  const text = PREFIX + toBase45(packed)
  return text.length > COMPACT_CHARS_MAX ? undefined : text
}

/**
 * The credential of such a text. Its structure and proofs are still to be checked.
 */
export async function readCompact(text: string): Promise<CompactReading> {
  if (!text.startsWith(PREFIX)) return { ok: false, reason: `it does not begin with ${PREFIX}` }
  if (text.length > COMPACT_CHARS_MAX) {
    return { ok: false, reason: `it is longer than ${COMPACT_CHARS_MAX} characters` }
  }
  const packed = fromBase45(text.slice(PREFIX.length))
  if (packed === undefined) return { ok: false, reason: 'it is not base45' }
  const bytes = await inflate(packed)
  if (!(bytes instanceof Uint8Array)) return { ok: false, reason: bytes }
  const reader = new Reader(bytes)
  try {
    const value = reader.value(0)
    reader.end()
    if (!isJsonObject(value)) return { ok: false, reason: 'it holds no JSON object' }
    const fault = jsonFault(value)
    return fault === undefined ? { ok: true, credential: value } : { ok: false, reason: fault }
  } catch (cause) {
    if (cause instanceof Unreadable) return { ok: false, reason: cause.message }
    throw cause
  }
}

async function inflate(packed: Uint8Array): Promise<Uint8Array | string> {
  try {
    const bytes = await through(new DecompressionStream('deflate-raw'), packed, INFLATED_BYTES_MAX)
    return bytes ?? `it inflates to more than ${INFLATED_BYTES_MAX} bytes`
  } catch {
    // A stream fails by its input only, and each platform in its own words.
    return 'it is damaged: its compressed form cannot be read'
  }
}

function write(value: JsonValue, parts: Uint8Array[]): void {
  if (value === null) parts.push(Uint8Array.of(NULL))
  else if (typeof value === 'boolean') parts.push(Uint8Array.of(value ? TRUE : FALSE))
  else if (typeof value === 'number') writeNumber(value, parts)
  else if (typeof value === 'string') writeText(value, parts, true)
  else if (isJsonObject(value)) {
    const members = Object.entries(value)
    parts.push(head(MAP, members.length))
    for (const [name, member] of members) {
      writeText(name, parts, false)
      write(member, parts)
    }
  } else {
    parts.push(head(ARRAY, value.length))
    for (const element of value) write(element, parts)
  }
}

function writeNumber(value: number, parts: Uint8Array[]): void {
  if (Number.isSafeInteger(value)) {
    parts.push(value < 0 ? head(NEGATIVE, -1 - value) : head(UNSIGNED, value))
    return
  }
  const float = new Uint8Array(9)
  float[0] = FLOAT64
  new DataView(float.buffer).setFloat64(1, value)
  parts.push(float)
}

function writeText(text: string, parts: Uint8Array[], tagged: boolean): void {
  const number = NUMBERS.get(text)
  if (number !== undefined) {
    if (tagged) parts.push(head(TAG, TAG_TERM))
    parts.push(head(UNSIGNED, number))
    return
  }
  const bytes = new TextEncoder().encode(text)
  parts.push(head(TEXT, bytes.length), bytes)
}

/** Major type and argument in the fewest bytes, RFC 8949 §4.2.1. */
function head(major: number, argument: number): Uint8Array {
  const type = major << 5
  if (argument < 24) return Uint8Array.of(type | argument)
  if (argument < 0x100) return Uint8Array.of(type | 24, argument)
  const bytes = new Uint8Array(9)
  const view = new DataView(bytes.buffer)
  if (argument < 0x1_0000) {
    view.setUint8(0, type | 25)
    view.setUint16(1, argument)
    return bytes.subarray(0, 3)
  }
  if (argument < 0x1_0000_0000) {
    view.setUint8(0, type | 26)
    view.setUint32(1, argument)
    return bytes.subarray(0, 5)
  }
  view.setUint8(0, type | 27)
  view.setBigUint64(1, BigInt(argument))
  return bytes
}

/** Why a text is no credential; thrown and caught in this file only. */
class Unreadable extends Error {}

/** Reads what {@link write} writes and nothing else. Every item takes a byte at least, so the input bounds the work. */
class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  value(depth: number): JsonValue {
    if (depth > JSON_DEPTH_MAX) throw new Unreadable(`nested deeper than ${JSON_DEPTH_MAX} levels`)
    const initial = this.#byte()
    const major = initial >> 5
    if (major === SIMPLE) return this.#simple(initial)
    const argument = this.#argument(initial & 31)
    if (major === UNSIGNED) return argument
    if (major === NEGATIVE) return -1 - argument
    if (major === TEXT) return this.#string(argument)
    if (major === ARRAY) return this.#array(argument, depth)
    if (major === MAP) return this.#map(argument, depth)
    if (major === TAG && argument === TAG_TERM) {
      const number = this.#byte()
      if (number >> 5 === UNSIGNED) return this.#term(this.#argument(number & 31))
    }
    throw new Unreadable(`an item of type ${major} is not used here`)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Unreadable('something follows the credential')
  }

  #array(length: number, depth: number): JsonValue {
    const elements: JsonValue[] = []
    for (let count = 0; count < length; count++) elements.push(this.value(depth + 1))
    return elements
  }

  #map(length: number, depth: number): JsonObject {
    const members = new Map<string, JsonValue>()
    for (let count = 0; count < length; count++) {
      const name = this.#name()
      if (members.has(name)) throw new Unreadable(`member ${name} stands twice in an object`)
      members.set(name, this.value(depth + 1))
    }
    return Object.fromEntries(members)
  }

  #name(): string {
    const initial = this.#byte()
    const argument = this.#argument(initial & 31)
    if (initial >> 5 === UNSIGNED) return this.#term(argument)
    if (initial >> 5 === TEXT) return this.#string(argument)
    throw new Unreadable('a name that is not a text')
  }

  #term(number: number): string {
    const term = COMPACT_TERMS[number]
    if (term === undefined) throw new Unreadable(`term ${number} is not known`)
    return term
  }

  #string(length: number): string {
    const bytes = this.#bytes.subarray(this.#at, this.#skip(length))
    try {
      return this.#text.decode(bytes)
    } catch {
      throw new Unreadable('a text that is not UTF-8')
    }
  }

  #simple(initial: number): JsonValue {
    if (initial === FALSE) return false
    if (initial === TRUE) return true
    if (initial === NULL) return null
    if (initial !== FLOAT64) throw new Unreadable('a simple value that JSON does not have')
    return this.#view.getFloat64(this.#skip(8) - 8)
  }

  #argument(short: number): number {
    if (short < 24) return short
    if (short === 24) return this.#byte()
    if (short === 25) return this.#view.getUint16(this.#skip(2) - 2)
    if (short === 26) return this.#view.getUint32(this.#skip(4) - 4)
    if (short === 27) return Number(this.#view.getBigUint64(this.#skip(8) - 8))
    throw new Unreadable('a length that is not definite')
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new Unreadable(BREAK_OFF)
    this.#at++
    return byte
  }

  /** Moves on; answers where to. */
  #skip(length: number): number {
    if (length > this.#bytes.length - this.#at) throw new Unreadable(BREAK_OFF)
    this.#at += length
    return this.#at
  }
}

const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:'

/** RFC 9285 §4.1: two bytes are three characters, a last single byte two. */
function toBase45(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 2) {
    const high = bytes[at] ?? 0
    const low = bytes[at + 1]
    const value = low === undefined ? high : high * 256 + low
    text += BASE45.charAt(value % 45) + BASE45.charAt(Math.floor(value / 45) % 45)
    if (low !== undefined) text += BASE45.charAt(Math.floor(value / 2025))
  }
  return text
}

/** undefined for what {@link toBase45} never makes: other characters, a length of 3n + 1, values beyond the bytes. */
function fromBase45(text: string): Uint8Array | undefined {
  if (text.length % 3 === 1) return undefined
  const bytes = new Uint8Array(Math.floor(text.length / 3) * 2 + (text.length % 3 === 2 ? 1 : 0))
  let to = 0
  for (let at = 0; at < text.length; at += 3) {
    const digits = text
      .slice(at, at + 3)
      .split('')
      .map((character) => BASE45.indexOf(character))
    const value = digits.reduce((sum, digit, place) => sum + digit * 45 ** place, 0)
    if (digits.includes(-1) || value >= 256 ** (digits.length - 1)) return undefined
    if (digits.length === 3) bytes[to++] = value >> 8
    bytes[to++] = value & 255
  }
  return bytes
}
