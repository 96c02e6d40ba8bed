/**
 * Padding of a sealed document, so that its stored size says little about its true one. Pure: runs in
 * the browser.
 *
 *     content ‖ zero bytes ‖ true length (8 bytes, big-endian)          total = paddedLength(content length)
 *
 * The total is the PADMÉ size (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
 * Communication with PURBs", §4) of content and trailer, and at least 4 KiB: it costs at most 12 %, and
 * only O(log log n) bits of the length show. The trailer stands at the end so that a stream of unknown
 * length can be sealed as it comes, and inside the file so that stock tools can cut the padding away
 * without an index: the last eight bytes say how much to keep.
 *
 * There is exactly one padding for a content: the reader refuses every other, so the padding carries
 * no hidden bytes and a length in the index cannot disagree with the file unnoticed.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'

/** The true length, unsigned 64-bit big-endian, at the very end. */
export const TRAILER_BYTES = 8
/** Every document looks at least this large, so a short note and a certificate are alike. */
export const PADDED_BYTES_MIN = 4_096
/** Largest content: beyond 2^52 bytes the arithmetic on numbers is not exact. */
export const CONTENT_BYTES_MAX = 2 ** 52

/** Zeros are handed out in pieces of this size, so that the padding of a large file takes no memory. */
const ZEROS_BYTES = 65_536
const TWO_TO_32 = 0x1_0000_0000

/** Length of the padded plaintext for a content of `contentBytes`. Throws `limit-exceeded` above 2^52. */
export function paddedLength(contentBytes: number): number {
  if (!Number.isSafeInteger(contentBytes) || contentBytes < 0 || contentBytes > CONTENT_BYTES_MAX)
    throw new ProtocolError('limit-exceeded', `a content of ${contentBytes} bytes cannot be padded`)
  return Math.max(PADDED_BYTES_MIN, padme(contentBytes + TRAILER_BYTES))
}

/** What follows the content: zeros in pieces of at most 64 KiB (views of one array: not to be written to), then the trailer. */
export function* paddingAfter(contentBytes: number): Generator<Uint8Array<ArrayBuffer>> {
  let zeros = paddedLength(contentBytes) - contentBytes - TRAILER_BYTES
  const piece = new Uint8Array(Math.min(zeros, ZEROS_BYTES))
  for (; zeros > 0; zeros -= piece.length) yield piece.subarray(0, Math.min(zeros, piece.length))
  yield formatTrailer(contentBytes)
}

/**
 * The true length behind the last eight bytes of a padded plaintext of `paddedBytes`. Throws
 * `sealed-damaged` unless the two belong together.
 */
export function parseTrailer(trailer: Uint8Array, paddedBytes: number): number {
  if (trailer.length !== TRAILER_BYTES) throw damaged(`the trailer has ${trailer.length} bytes`)
  const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_BYTES)
  const contentBytes = view.getUint32(0) * TWO_TO_32 + view.getUint32(4)
  if (contentBytes > CONTENT_BYTES_MAX || paddedLength(contentBytes) !== paddedBytes)
    throw damaged(`a content of ${contentBytes} bytes is not padded to ${paddedBytes}`)
  return contentBytes
}

/**
 * Checks what `piece`, lying at `offset` of the padded plaintext, holds of the padding of a content of
 * `contentBytes`; a piece of content alone passes. Throws `sealed-damaged`.
 */
export function checkPadding(piece: Uint8Array, offset: number, contentBytes: number): void {
  const trailerStart = paddedLength(contentBytes) - TRAILER_BYTES
  if (offset + piece.length <= contentBytes) return
  if (offset + piece.length > trailerStart + TRAILER_BYTES)
    throw damaged(`bytes follow the padding of a content of ${contentBytes} bytes`)
  const trailer = formatTrailer(contentBytes)
  for (let at = Math.max(0, contentBytes - offset); at < piece.length; at++) {
    const place = offset + at
    const expected = place < trailerStart ? 0 : trailer[place - trailerStart]
    if (piece[at] !== expected) throw damaged(`byte ${place} of the padding is not what it must be`)
  }
}

/** The content of a padded plaintext held whole, as a view. Throws `sealed-damaged`. */
export function removePadding(padded: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (padded.length < PADDED_BYTES_MIN) throw damaged(`a padded content of ${padded.length} bytes`)
  const contentBytes = parseTrailer(padded.subarray(-TRAILER_BYTES), padded.length)
  checkPadding(padded, 0, contentBytes)
  return padded.subarray(0, contentBytes)
}

/** The smallest number ≥ `bytes` whose lower bits are zero as PADMÉ wants them. */
function padme(bytes: number): number {
  const exponent = floorLog2(bytes)
  const significantBits = floorLog2(exponent) + 1
  const unit = 2 ** (exponent - significantBits)
  return Math.ceil(bytes / unit) * unit
}

/** Exact for 1 ≤ value ≤ 2^53; Math.log2 rounds up just below large powers of two. */
function floorLog2(value: number): number {
  return value < TWO_TO_32 ? 31 - Math.clz32(value) : 63 - Math.clz32(Math.floor(value / TWO_TO_32))
}

function formatTrailer(contentBytes: number): Uint8Array<ArrayBuffer> {
  const trailer = new Uint8Array(TRAILER_BYTES)
  const view = new DataView(trailer.buffer)
  view.setUint32(0, Math.floor(contentBytes / TWO_TO_32))
  view.setUint32(4, contentBytes % TWO_TO_32)
  return trailer
}

function damaged(fact: string): ProtocolError {
  return new ProtocolError('sealed-damaged', `the padding does not fit: ${fact}`)
}
