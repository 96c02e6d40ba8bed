/**
 * `encodedList` of a status list, W3C Bitstring Status List 1.0 §2.2 and §3.3:
 *
 *     "u" ‖ base64url(GZIP(bitstring))      without the "u", and in base64 as well, in StatusList2021
 *
 * A list comes from outside, and 1 KiB of GZIP may stand for 1 MiB of zeros: inflating stops at the limit.
 * Compression is the platform's stream, the same in Node and in a browser; docs/decisions/0106 has the figures.
 *
 * @module
 */
import { base64, base64url, base64urlnopad } from '@scure/base'
import { ProtocolError } from '../errors.ts'
import { through } from './compression.ts'

/** Fewest entries in a list, §6.1: a bit among fewer would tell whose it is. */
export const STATUS_LIST_ENTRIES = 131_072

/** Largest list, inflated, in bytes: 8,388,608 credentials. */
export const STATUS_LIST_BYTES_MAX = 1_048_576

/**
 * Longest `encodedList`, characters. Random bits do not compress: GZIP adds 5 bytes a block of at most 64 KiB and 18
 * around them, and base64 a third.
 */
export const STATUS_LIST_CHARS_MAX = 1_400_000

/**
 * `encodedList` of a bitstring.
 *
 * @throws ProtocolError `limit-exceeded` for more than {@link STATUS_LIST_BYTES_MAX}.
 */
export async function encodeList(bits: Uint8Array): Promise<string> {
  const bytesMax = STATUS_LIST_CHARS_MAX
  const packed =
    bits.length > STATUS_LIST_BYTES_MAX
      ? undefined
      : await through(new CompressionStream('gzip'), bits, bytesMax)
  if (packed === undefined) {
    throw new ProtocolError('limit-exceeded', `a status list of ${bits.length} bytes`)
  }
  return `u${base64urlnopad.encode(packed)}`
}

export interface DecodeList {
  /** Most entries read; default eight times {@link STATUS_LIST_BYTES_MAX}. */
  readonly entriesMax?: number
  /** Whether the text is multibase, as in Bitstring Status List; StatusList2021 has plain base64 or base64url. Default true. */
  readonly multibase?: boolean
}

/**
 * The bitstring of an `encodedList`.
 *
 * @throws ProtocolError `credential-malformed` for what is not base64url of GZIP, or inflates to fewer than
 * {@link STATUS_LIST_ENTRIES} entries; `limit-exceeded` for what inflates to more than `entriesMax`: inflating
 * has stopped there.
 */
export async function decodeList(
  text: string,
  { entriesMax = STATUS_LIST_BYTES_MAX * 8, multibase = true }: DecodeList = {}
): Promise<Uint8Array<ArrayBuffer>> {
  const bytesMax = Math.min(Math.ceil(entriesMax / 8), STATUS_LIST_BYTES_MAX)
  const outcome = await inflateList(text, { bytesMax, multibase })
  if (outcome.ok) return outcome.bits
  const code = outcome.code === 'limit-exceeded' ? 'limit-exceeded' : 'credential-malformed'
  throw new ProtocolError(code, outcome.reason)
}

/** What became of an encoded list. */
export type InflatedList =
  | { readonly ok: true; readonly bits: Uint8Array<ArrayBuffer> }
  | {
      readonly ok: false
      readonly code: 'list-malformed' | 'list-too-short' | 'limit-exceeded'
      /** What is wrong, fit to be shown. */
      readonly reason: string
    }

/** As {@link decodeList}, with what is wrong as a value. */
export async function inflateList(
  list: string,
  { bytesMax, multibase }: { readonly bytesMax: number; readonly multibase: boolean }
): Promise<InflatedList> {
  if (list.length > STATUS_LIST_CHARS_MAX) {
    return refused('limit-exceeded', `an encoded list of ${list.length} characters`)
  }
  const packed = multibase ? fromMultibase(list) : fromBase64(list)
  if (packed === undefined) return refused('list-malformed', 'the list is not base64url')
  const bits = await gunzip(packed, bytesMax)
  if (bits === 'not gzip') return refused('list-malformed', 'the list is not GZIP, or damaged')
  if (bits === undefined) {
    return refused('limit-exceeded', `the list inflates to more than ${bytesMax} bytes`)
  }
  if (bits.length * 8 < STATUS_LIST_ENTRIES) {
    return refused(
      'list-too-short',
      `a list of ${bits.length * 8} entries, at least ${STATUS_LIST_ENTRIES}`
    )
  }
  return { ok: true, bits }
}

function fromMultibase(text: string): Uint8Array | undefined {
  return text.startsWith('u') ? decodedBy(base64urlnopad, text.slice(1)) : undefined
}

/** StatusList2021 says base64 and its issuers write base64url as well. */
function fromBase64(text: string): Uint8Array | undefined {
  const padded = text.padEnd(Math.ceil(text.length / 4) * 4, '=')
  return decodedBy(base64, padded) ?? decodedBy(base64url, padded)
}

function decodedBy(
  coder: { decode(text: string): Uint8Array },
  text: string
): Uint8Array | undefined {
  try {
    return coder.decode(text)
  } catch {
    // The coder throws for nothing but a text that is not its own.
    return undefined
  }
}

async function gunzip(
  packed: Uint8Array,
  bytesMax: number
): Promise<Uint8Array<ArrayBuffer> | 'not gzip' | undefined> {
  try {
    return await through(new DecompressionStream('gzip'), packed, bytesMax)
  } catch {
    // A stream fails by its input only, and each platform in its own words.
    return 'not gzip'
  }
}

function refused(
  code: 'list-malformed' | 'list-too-short' | 'limit-exceeded',
  reason: string
): InflatedList {
  return { ok: false, code, reason }
}
