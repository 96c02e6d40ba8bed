/**
 * Sealing and opening whole age files on node:crypto.
 *
 * A small file (a vault slot) is sealed and opened whole: {@link encrypt}, {@link decrypt}. A document
 * is sealed as it streams in, padded at its end (padding.ts), with memory that does not grow with it:
 * {@link sealStream}. It is opened by its header, {@link openHeader}, and then chunk by chunk (stream.ts).
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'
import {
  checkHeader,
  FILE_KEY_BYTES,
  formatHeader,
  HEADER_BYTES_MAX,
  parseHeader,
  type Stanza
} from './header.ts'
import { bytesOf, native, sealInto, sealParts } from './native.ts'
import { paddingAfter } from './padding.ts'
import { unwrapFileKey, type Identity, type Recipient } from './recipients.ts'
import {
  CHUNK_BYTES,
  chunkCount,
  chunkNonce,
  openChunk,
  PAYLOAD_NONCE_BYTES,
  payloadKey,
  SEALED_CHUNK_BYTES,
  sealedLength,
  TAG_BYTES
} from './stream.ts'
import type { Random } from './primitives.ts'

/** Any sealed file can be opened by this many of its first bytes: header and payload nonce. */
export const PREFIX_BYTES_MAX = HEADER_BYTES_MAX + PAYLOAD_NONCE_BYTES

/**
 * Bytes of every piece that {@link sealStream} yields but the last: the leaves of a sealed document, so
 * that who cuts it into blocks need not copy it once more.
 */
const PIECE_BYTES = 1_048_576

export interface OpenedHeader {
  readonly fileKey: Uint8Array<ArrayBuffer>
  readonly payloadKey: Uint8Array<ArrayBuffer>
  /** Where chunk 0 begins in the file, in bytes: behind header and nonce. */
  readonly payloadOffset: number
}

/** What opens a header: identities that a stanza may be for, or the file key itself (from a record or a grant). */
export type Opener = { readonly identities: readonly Identity[] } | { readonly fileKey: Uint8Array }

interface SealOptions {
  readonly recipients: readonly Recipient[]
  readonly random: Random
  /** 16 bytes; fresh random ones unless given. Never use one for two files. */
  readonly fileKey?: Uint8Array
}

export interface SealStreamOptions extends SealOptions {
  /** Called once, before the first byte is yielded. */
  readonly onHeader?: (header: {
    readonly fileKey: Uint8Array<ArrayBuffer>
    readonly payloadOffset: number
  }) => void
  /** Called once, after the last byte of the source was taken. */
  readonly onEnd?: (lengths: {
    /** True length of the content. */
    readonly sizeBytes: number
    readonly paddedBytes: number
    /** Length of the whole age file. */
    readonly sealedBytes: number
  }) => void
}

/** Seals a small file whole, without padding. Throws `sealed-malformed` for recipients that cannot share a file. */
export async function encrypt(
  plaintext: Uint8Array,
  recipients: readonly Recipient[],
  random: Random,
  options: { readonly fileKey?: Uint8Array } = {}
): Promise<Uint8Array<ArrayBuffer>> {
  const { prefix, key } = await sealPrefix({ recipients, random, ...options })
  const file = new Uint8Array(prefix.length + sealedLength(plaintext.length))
  file.set(prefix)
  const chunks = chunkCount(plaintext.length)
  for (let index = 0; index < chunks; index++) {
    const chunk = plaintext.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
    const target = file.subarray(prefix.length + index * SEALED_CHUNK_BYTES)
    sealInto(key, chunkNonce(index, index === chunks - 1), chunk, target)
  }
  return file
}

/**
 * Opens a small file held whole; everything in it has been authenticated on return. Throws
 * `sealed-malformed`, `sealed-no-match`, `sealed-damaged`.
 */
export async function decrypt(
  file: Uint8Array,
  identities: readonly Identity[]
): Promise<Uint8Array<ArrayBuffer>> {
  const header = await openHeader(file, { identities })
  return openChunks(file.subarray(header.payloadOffset), header.payloadKey)
}

/**
 * Opens the header of a sealed file from its first bytes ({@link PREFIX_BYTES_MAX} always suffice).
 * On return the header is authentic: whoever wrote it knew the file key. Throws `sealed-malformed`,
 * `sealed-no-match`, `sealed-damaged`.
 */
export async function openHeader(bytes: Uint8Array, opener: Opener): Promise<OpenedHeader> {
  const header = parseHeader(bytes)
  const payloadOffset = header.sizeBytes + PAYLOAD_NONCE_BYTES
  const fileKey =
    'fileKey' in opener
      ? new Uint8Array(opener.fileKey)
      : await unwrapFileKey(header.stanzas, opener.identities)
  checkHeader(header, fileKey, native)
  const nonce = bytes.subarray(header.sizeBytes, payloadOffset)
  if (nonce.length !== PAYLOAD_NONCE_BYTES)
    throw new ProtocolError('sealed-malformed', `the payload nonce has ${nonce.length} bytes`)
  return { fileKey, payloadKey: payloadKey(fileKey, nonce, native), payloadOffset }
}

/**
 * Seals a stream as a padded age file, in pieces of 1 MiB, the last one shorter, that the receiver owns.
 * Holds two pieces and one chunk. The pieces of `source` are read before the next is asked for, and never kept.
 */
export async function* sealStream(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: SealStreamOptions
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { prefix, key, fileKey } = await sealPrefix(options)
  options.onHeader?.({ fileKey, payloadOffset: prefix.length })
  const sealer = new ChunkSealer(key)
  const pieces = new Pieces()
  yield* pieces.take([prefix])
  let sizeBytes = 0
  for await (const piece of source) {
    sizeBytes += piece.length
    for (const sealed of sealer.take(piece)) yield* pieces.take(sealed)
  }
  // Padding is never empty, so no chunk of content is the last one.
  for (const piece of paddingAfter(sizeBytes))
    for (const sealed of sealer.take(piece)) yield* pieces.take(sealed)
  yield* pieces.take(sealer.end())
  yield* pieces.end()
  const paddedBytes = sealer.plainBytes
  options.onEnd?.({
    sizeBytes,
    paddedBytes,
    sealedBytes: prefix.length + sealedLength(paddedBytes)
  })
}

async function sealPrefix(
  options: SealOptions
): Promise<{ prefix: Uint8Array<ArrayBuffer>; key: Uint8Array; fileKey: Uint8Array<ArrayBuffer> }> {
  const { recipients, random } = options
  const fileKey = new Uint8Array(options.fileKey ?? random(FILE_KEY_BYTES))
  if (fileKey.length !== FILE_KEY_BYTES)
    throw new ProtocolError('sealed-malformed', `a file key of ${fileKey.length} bytes`)
  if (recipients.length > 1 && recipients.some(({ alone }) => alone))
    throw new ProtocolError('sealed-malformed', 'a passphrase cannot share a file')
  const stanzas: Stanza[] = []
  for (const recipient of recipients) stanzas.push(await recipient.wrap(fileKey, random))
  const header = formatHeader(stanzas, fileKey, native)
  const nonce = random(PAYLOAD_NONCE_BYTES)
  const prefix = new Uint8Array(header.length + nonce.length)
  prefix.set(header)
  prefix.set(nonce, header.length)
  return { prefix, key: payloadKey(fileKey, nonce, native), fileKey }
}

function openChunks(sealed: Uint8Array, key: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunks = Math.max(1, Math.ceil(sealed.length / SEALED_CHUNK_BYTES))
  const plaintext = new Uint8Array(Math.max(0, sealed.length - chunks * TAG_BYTES))
  for (let index = 0; index < chunks; index++) {
    const chunk = sealed.subarray(index * SEALED_CHUNK_BYTES, (index + 1) * SEALED_CHUNK_BYTES)
    const last = index === chunks - 1
    plaintext.set(openChunk(native.aead, key, { index, last, sealed: chunk }), index * CHUNK_BYTES)
  }
  return plaintext
}

/** A sealed chunk as it comes from the cipher: ciphertext and tag. */
type SealedParts = readonly Uint8Array[]

/** Cuts a plaintext that comes in pieces of any size into chunks and seals them. */
class ChunkSealer {
  plainBytes = 0
  readonly #key: Uint8Array
  /** Plaintext of a chunk that is not yet full. */
  readonly #held = new Uint8Array(CHUNK_BYTES)
  #heldBytes = 0
  #index = 0

  constructor(key: Uint8Array) {
    this.#key = key
  }

  *take(piece: Uint8Array): Generator<SealedParts> {
    this.plainBytes += piece.length
    let rest = piece
    while (rest.length > 0) {
      if (this.#heldBytes === CHUNK_BYTES) {
        // A byte follows, so the chunk held is not the last.
        this.#heldBytes = 0
        yield this.#seal(this.#held, false)
      }
      if (this.#heldBytes === 0 && rest.length > CHUNK_BYTES) {
        // A whole chunk and more lie in the piece: sealed from there, without a copy.
        yield this.#seal(rest.subarray(0, CHUNK_BYTES), false)
        rest = rest.subarray(CHUNK_BYTES)
        continue
      }
      const taken = rest.subarray(0, CHUNK_BYTES - this.#heldBytes)
      this.#held.set(taken, this.#heldBytes)
      this.#heldBytes += taken.length
      rest = rest.subarray(taken.length)
    }
  }

  /** Seals the last chunk. */
  end(): SealedParts {
    return this.#seal(this.#held.subarray(0, this.#heldBytes), true)
  }

  #seal(plaintext: Uint8Array, last: boolean): SealedParts {
    return sealParts(this.#key, chunkNonce(this.#index++, last), plaintext)
  }
}

/** Joins what the cipher gives out to pieces of {@link PIECE_BYTES}. */
class Pieces {
  #parts: Uint8Array[] = []
  #bytes = 0

  #cut(sizeBytes: number): Uint8Array<ArrayBuffer> {
    // Every byte is written below, so it need not be zero first.
    const piece = bytesOf(Buffer.allocUnsafeSlow(sizeBytes))
    let filled = 0
    while (filled < sizeBytes) {
      const part = this.#parts.shift()
      if (part === undefined) throw new RangeError('a piece of more bytes than there are')
      const taken = part.subarray(0, sizeBytes - filled)
      piece.set(taken, filled)
      filled += taken.length
      if (taken.length < part.length) this.#parts.unshift(part.subarray(taken.length))
    }
    this.#bytes -= sizeBytes
    return piece
  }

  *take(parts: SealedParts): Generator<Uint8Array<ArrayBuffer>> {
    for (const part of parts) {
      this.#parts.push(part)
      this.#bytes += part.length
      while (this.#bytes >= PIECE_BYTES) yield this.#cut(PIECE_BYTES)
    }
  }

  /** The rest, shorter than a piece. */
  *end(): Generator<Uint8Array<ArrayBuffer>> {
    if (this.#bytes > 0) yield this.#cut(this.#bytes)
  }
}
