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

/**
 * Longest `encodedList`, characters: of a mebibyte of bits. Random bits do not compress: GZIP adds 5 bytes a block of at most 64 KiB and 18
 * around them, and base64 a third.
 */
export const STATUS_LIST_CHARS_MAX = 1_400_000

/**
 * `encodedList` of a bitstring.
 *
 * @throws ProtocolError `limit-exceeded` for more than {@link STATUS_LIST_CHARS_MAX}.
 */
export async function packList(bits: Uint8Array): Promise<string> {
  const packed = await through(new CompressionStream('gzip'), bits, STATUS_LIST_CHARS_MAX)
  const text = packed === undefined ? '' : `u${base64urlnopad.encode(packed)}`
  if (text === '' || text.length > STATUS_LIST_CHARS_MAX) {
    throw new ProtocolError('limit-exceeded', `a status list of ${bits.length} bytes`)
  }
  return text
}

/** What became of an encoded list. */
export type UnpackedList =
  | { readonly ok: true; readonly bits: Uint8Array<ArrayBuffer> }
  | {
      readonly ok: false
      readonly code: 'list-malformed' | 'list-too-short' | 'limit-exceeded'
      /** What is wrong, fit to be shown. */
      readonly reason: string
    }

export interface UnpackLimits {
  readonly bytesMin: number
  /** Inflating stops here. */
  readonly bytesMax: number
  /** Whether the text is multibase, as in Bitstring Status List; StatusList2021 has plain base64 or base64url. */
  readonly multibase: boolean
}

/** The bitstring of an `encodedList`, or what is wrong with it. */
export async function unpackList(
  list: string,
  { bytesMin, bytesMax, multibase }: UnpackLimits
): Promise<UnpackedList> {
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
  if (bits.length < bytesMin) {
    return refused(
      'list-too-short',
      `a list of ${bits.length * 8} entries, at least ${bytesMin * 8}`
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
): UnpackedList {
  return { ok: false, code, reason }
}
