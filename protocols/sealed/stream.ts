/**
 * The payload of an age v1 file: STREAM (C2SP age.md, "Payload"). Pure: runs in the browser.
 *
 *     nonce (16 bytes) ‖ chunk 0 ‖ chunk 1 ‖ … ‖ last chunk
 *
 * The payload key is HKDF-SHA-256(file key, salt = nonce, "payload"). Each chunk is ChaCha20-Poly1305
 * over 64 KiB of plaintext (the last over 1 byte to 64 KiB) with a 16-byte tag after it; its nonce is
 * an 11-byte big-endian counter and one byte that is 1 for the last chunk only. So a chunk moved,
 * dropped, repeated or added is refused, and so is a file cut at a chunk's edge. An empty last chunk
 * stands only for an empty plaintext.
 *
 * Every chunk opens alone, so a plaintext range maps to a range of sealed bytes by arithmetic
 * ({@link chunkSpan}). All lengths and offsets are in bytes and exact up to 2^53.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'
import type { Aead, Primitives } from './primitives.ts'

/** Plaintext bytes of every chunk but the last. */
export const CHUNK_BYTES = 65_536
/** Poly1305 tag. */
export const TAG_BYTES = 16
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
/** Stands before the first chunk. */
export const PAYLOAD_NONCE_BYTES = 16

const KEY_BYTES = 32
const CHUNK_NONCE_BYTES = 12
const TWO_TO_32 = 0x1_0000_0000

/** Key of every chunk of the payload behind `nonce` (16 bytes). */
export function payloadKey(
  fileKey: Uint8Array,
  nonce: Uint8Array,
  primitives: Primitives
): Uint8Array<ArrayBuffer> {
  return primitives.hkdfSha256(fileKey, nonce, 'payload', KEY_BYTES)
}

/** Nonce of chunk `index` (from 0). */
export function chunkNonce(index: number, last: boolean): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(CHUNK_NONCE_BYTES)
  const view = new DataView(nonce.buffer)
  // The counter fills bytes 0 to 10; a safe integer needs the lower seven of them.
  view.setUint32(3, Math.floor(index / TWO_TO_32))
  view.setUint32(7, index % TWO_TO_32)
  nonce[11] = last ? 1 : 0
  return nonce
}

/** Seals one chunk: `CHUNK_BYTES` of plaintext, fewer only in the last. */
export function sealChunk(
  aead: Aead,
  key: Uint8Array,
  chunk: { readonly index: number; readonly last: boolean; readonly plaintext: Uint8Array }
): Uint8Array<ArrayBuffer> {
  return aead.seal(key, chunkNonce(chunk.index, chunk.last), chunk.plaintext)
}

/**
 * Opens one chunk; what it returns is what was sealed at that place of that file. Throws
 * `sealed-damaged`, also for a length no writer makes.
 */
export function openChunk(
  aead: Aead,
  key: Uint8Array,
  chunk: { readonly index: number; readonly last: boolean; readonly sealed: Uint8Array }
): Uint8Array<ArrayBuffer> {
  const { index, last, sealed } = chunk
  const plainBytes = sealed.length - TAG_BYTES
  const possible = last
    ? plainBytes <= CHUNK_BYTES && (plainBytes > 0 || (plainBytes === 0 && index === 0))
    : plainBytes === CHUNK_BYTES
  if (!possible)
    throw new ProtocolError('sealed-damaged', `chunk ${index} has ${sealed.length} bytes`)
  try {
    return aead.open(key, chunkNonce(index, last), sealed)
  } catch (cause) {
    throw new ProtocolError('sealed-damaged', `the tag of chunk ${index} does not fit`, { cause })
  }
}

/** Number of chunks of a plaintext; an empty plaintext has one, empty. */
export function chunkCount(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_BYTES))
}

/** Bytes of the chunks of a plaintext, without header and nonce. */
export function sealedLength(plainBytes: number): number {
  return plainBytes + chunkCount(plainBytes) * TAG_BYTES
}

/** The plaintext length behind `sealedBytes` of chunks (without header and nonce). Throws `sealed-damaged` where no plaintext gives it. */
export function plainLength(sealedBytes: number): number {
  const chunks = Math.max(1, Math.ceil(sealedBytes / SEALED_CHUNK_BYTES))
  const plainBytes = sealedBytes - chunks * TAG_BYTES
  if (plainBytes < 0 || sealedLength(plainBytes) !== sealedBytes)
    throw new ProtocolError('sealed-damaged', `no payload has ${sealedBytes} bytes of chunks`)
  return plainBytes
}

/** Which chunks hold a plaintext range, and where they lie. */
export interface ChunkSpan {
  readonly firstChunk: number
  /** Inclusive. */
  readonly lastChunk: number
  /** Offset of the first chunk, counted from the first byte after the payload nonce. */
  readonly sealedStart: number
  /** Offset just behind the last chunk, counted likewise. */
  readonly sealedEnd: number
  /** Bytes to drop from the first chunk's plaintext. */
  readonly skipBytes: number
}

/**
 * Maps plaintext bytes `start` to `end` (both inclusive, RFC 9110 §14.1.2) of a payload of
 * `plainBytes` to its chunks. The caller has checked 0 ≤ start ≤ end < plainBytes.
 */
export function chunkSpan(
  range: { readonly start: number; readonly end: number },
  plainBytes: number
): ChunkSpan {
  const firstChunk = Math.floor(range.start / CHUNK_BYTES)
  const lastChunk = Math.floor(range.end / CHUNK_BYTES)
  return {
    firstChunk,
    lastChunk,
    sealedStart: firstChunk * SEALED_CHUNK_BYTES,
    sealedEnd: Math.min((lastChunk + 1) * SEALED_CHUNK_BYTES, sealedLength(plainBytes)),
    skipBytes: range.start % CHUNK_BYTES
  }
}

/**
 * Opens a whole payload as it arrives, cut anywhere: `source` begins just behind the nonce. Yields the
 * plaintext chunk by chunk, each authenticated before it is yielded; holds at most two chunks. That
 * the end was not cut off is known only when the generator returns. Throws `sealed-damaged`.
 */
export async function* openPayload(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  key: Uint8Array,
  aead: Aead
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const held = new Uint8Array(SEALED_CHUNK_BYTES)
  let heldBytes = 0
  let index = 0
  for await (const piece of source) {
    let rest = piece
    while (rest.length > 0) {
      // A full chunk is opened only when a byte follows it: until then it may be the last.
      if (heldBytes === SEALED_CHUNK_BYTES) {
        yield openChunk(aead, key, { index, last: false, sealed: held })
        index += 1
        heldBytes = 0
      }
      const taken = rest.subarray(0, SEALED_CHUNK_BYTES - heldBytes)
      held.set(taken, heldBytes)
      heldBytes += taken.length
      rest = rest.subarray(taken.length)
    }
  }
  yield openChunk(aead, key, { index, last: true, sealed: held.subarray(0, heldBytes) })
}
