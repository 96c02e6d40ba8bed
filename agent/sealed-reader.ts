/**
 * Opens a sealed document, whole or by byte range, from blocks that need not be trusted.
 *
 * Four checks stand between a block and the plaintext that is yielded: the tree is one our writer makes
 * (sealed-dag.ts); the header's MAC fits the file key; the file is exactly as long as a document of the
 * recorded size is when padded; and the tag of each 64 KiB chunk fits its place. Where a tag does not fit,
 * the blocks under the chunk are hashed, to say which one is damaged.
 *
 * Blocks are fetched {@link READ_AHEAD} ahead of the reader and no further: a reader that stops, stops
 * the fetching, and memory does not grow with the document.
 *
 * @module
 */
import { openHeader, PREFIX_BYTES_MAX } from '../protocols/sealed/age.ts'
import { native } from '../protocols/sealed/native.ts'
import { checkPadding, paddedLength } from '../protocols/sealed/padding.ts'
import {
  CHUNK_BYTES,
  chunkCount,
  chunkSpan,
  openChunk,
  SEALED_CHUNK_BYTES,
  sealedLength
} from '../protocols/sealed/stream.ts'
import { LockerError } from './errors.ts'
import { damaged, type DagBlock, type GetBlock, hasHash, SealedDag } from './sealed-dag.ts'

/** Blocks fetched ahead of the one being read. Four of 1 MiB in memory keep a disk and a loopback peer busy. */
export const READ_AHEAD = 3

/** A sealed document and where its blocks come from. */
export interface SealedFile {
  /** Root CID of the age file. */
  readonly root: string
  /** 16 bytes. */
  readonly fileKey: Uint8Array
  /** True length of the plaintext, from the record or the grant. */
  readonly sizeBytes: number
  /** Errors of it are passed on as they are. */
  readonly getBlock: GetBlock
}

/** Inclusive byte offsets, as in RFC 9110 §14.1.2. */
interface Range {
  readonly start: number
  readonly end: number
}

/**
 * Plaintext in chunks of at most 64 KiB, each authenticated before it is yielded. Without a range the
 * recorded length is proven by the trailer as well, after the last content. An end behind the document's
 * is taken as its end. Throws `range-invalid`; `document-damaged` naming the block; `integrity-failed`
 * when whole blocks are not what was sealed.
 */
export async function* openSealed(
  file: SealedFile,
  range?: Range
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const { sizeBytes } = file
  const end = Math.min(range?.end ?? sizeBytes - 1, sizeBytes - 1)
  const start = range?.start ?? 0
  if (range !== undefined && !(Number.isSafeInteger(start) && start >= 0 && start <= end))
    throw new LockerError('range-invalid', `bytes ${start} to ${range.end} of ${sizeBytes}`)
  const payload = await openPayload(file)
  if (start <= end)
    for await (const { plaintext, offset } of payload.chunks({ start, end })) {
      const from = Math.max(start - offset, 0)
      yield plaintext.subarray(from, Math.min(end + 1 - offset, plaintext.length))
    }
  if (range === undefined) await payload.checkEnd()
}

/** Sealed bytes by inclusive range of the age file, for someone who opens them elsewhere. Throws `range-invalid`. */
export async function* readSealedBytes(
  file: Pick<SealedFile, 'root' | 'getBlock'>,
  range?: Range
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const dag = await SealedDag.open(file.root, file.getBlock)
  const start = range?.start ?? 0
  const end = Math.min(range?.end ?? dag.sizeBytes - 1, dag.sizeBytes - 1)
  if (!(Number.isSafeInteger(start) && start >= 0 && start <= end))
    throw new LockerError('range-invalid', `sealed bytes ${start} to ${end} of ${dag.sizeBytes}`)
  for await (const { bytes } of readPieces(dag, start, end + 1)) yield new Uint8Array(bytes)
}

/** Part of a leaf, and the leaf it is of. */
interface Piece {
  readonly bytes: Uint8Array
  readonly leaf: DagBlock
  readonly leafBytes: Uint8Array
}

interface Payload {
  /** The chunks that hold a plaintext range; `offset` is the chunk's first byte's. */
  chunks(range: Range): AsyncGenerator<{ plaintext: Uint8Array<ArrayBuffer>; offset: number }>
  /** Opens the last chunk and checks trailer and zeros in it. */
  checkEnd(): Promise<void>
}

async function openPayload(file: SealedFile): Promise<Payload> {
  const { sizeBytes } = file
  const dag = await SealedDag.open(file.root, file.getBlock)
  const { prefix, under: first } = await readPrefix(dag)
  const open = { fileKey: file.fileKey }
  const header = await integrity(file.root, () => openHeader(prefix, open), first)
  const plainBytes = paddedLength(sizeBytes)
  const { payloadOffset } = header
  if (dag.sizeBytes !== payloadOffset + sealedLength(plainBytes))
    throw new LockerError(
      'integrity-failed',
      `sealed file ${file.root} has ${dag.sizeBytes} bytes, which no document of ${sizeBytes} bytes has`
    )
  const lastChunk = chunkCount(plainBytes) - 1

  async function* chunks(
    range: Range
  ): AsyncGenerator<{ plaintext: Uint8Array<ArrayBuffer>; offset: number }> {
    const span = chunkSpan(range, plainBytes)
    const pieces = readPieces(dag, payloadOffset + span.sealedStart, payloadOffset + span.sealedEnd)
    let index = span.firstChunk
    for await (const { sealed, under } of cutChunks(pieces)) {
      const chunk = { index, last: index === lastChunk, sealed }
      const plaintext = await integrity(
        file.root,
        () => openChunk(native.aead, header.payloadKey, chunk),
        under
      )
      yield { plaintext, offset: index * CHUNK_BYTES }
      index++
    }
  }

  async function checkEnd(): Promise<void> {
    for await (const { plaintext, offset } of chunks({
      start: plainBytes - 1,
      end: plainBytes - 1
    }))
      await integrity(file.root, () => checkPadding(plaintext, offset, sizeBytes))
  }

  return { chunks, checkEnd }
}

async function readPrefix(
  dag: SealedDag
): Promise<{ prefix: Uint8Array; under: readonly Piece[] }> {
  const under: Piece[] = []
  const end = Math.min(PREFIX_BYTES_MAX, dag.sizeBytes)
  for await (const piece of readPieces(dag, 0, end)) under.push(piece)
  const [first] = under
  if (under.length === 1 && first !== undefined) return { prefix: first.bytes, under }
  return { prefix: Buffer.concat(under.map(({ bytes }) => bytes)), under }
}

/** Bytes `start` to `end` (exclusive) of the file, leaf by leaf, {@link READ_AHEAD} leaves ahead. */
async function* readPieces(dag: SealedDag, start: number, end: number): AsyncGenerator<Piece> {
  const leaves = dag.leaves(start, end)
  const ahead: Array<{ leaf: DagBlock; bytes: Promise<Uint8Array> }> = []
  let more = true
  try {
    for (;;) {
      while (more && ahead.length <= READ_AHEAD) {
        const next = await leaves.next()
        if (next.done === true) more = false
        else ahead.push({ leaf: next.value, bytes: fetchAhead(dag, next.value) })
      }
      const first = ahead.shift()
      if (first === undefined) return
      const { leaf } = first
      const leafBytes = await first.bytes
      const from = Math.max(start - leaf.start, 0)
      yield { bytes: leafBytes.subarray(from, end - leaf.start), leaf, leafBytes }
    }
  } finally {
    await leaves.return(undefined)
  }
}

/** Begins a fetch that may be awaited late, or never when the reader stops: its failure waits with it. */
function fetchAhead(dag: SealedDag, leaf: DagBlock): Promise<Uint8Array> {
  const bytes = dag.leaf(leaf)
  bytes.catch(() => undefined)
  return bytes
}

/** Cuts pieces into sealed chunks; the last may be shorter. `under` are the leaves a chunk lies in. */
async function* cutChunks(
  pieces: AsyncIterable<Piece>
): AsyncGenerator<{ sealed: Uint8Array; under: readonly Piece[] }> {
  const held = new Uint8Array(SEALED_CHUNK_BYTES)
  let heldBytes = 0
  let under: Piece[] = []
  for await (const piece of pieces) {
    let rest = piece.bytes
    while (rest.length > 0) {
      if (heldBytes === 0 && rest.length >= SEALED_CHUNK_BYTES) {
        // The whole chunk lies in this leaf: opened from there, without a copy.
        yield { sealed: rest.subarray(0, SEALED_CHUNK_BYTES), under: [piece] }
        rest = rest.subarray(SEALED_CHUNK_BYTES)
        continue
      }
      const taken = rest.subarray(0, SEALED_CHUNK_BYTES - heldBytes)
      held.set(taken, heldBytes)
      heldBytes += taken.length
      rest = rest.subarray(taken.length)
      under.push(piece)
      if (heldBytes === SEALED_CHUNK_BYTES) {
        yield { sealed: held, under }
        heldBytes = 0
        under = []
      }
    }
  }
  if (heldBytes > 0) yield { sealed: held.subarray(0, heldBytes), under }
}

/** Runs a check of the format; a refusal becomes `document-damaged` where a block is, else `integrity-failed`. */
async function integrity<T>(
  root: string,
  check: () => T | Promise<T>,
  under: readonly Piece[] = []
): Promise<T> {
  try {
    return await check()
  } catch (cause) {
    const bad = under.find(({ leaf, leafBytes }) => !hasHash(leaf.cid, leafBytes))
    if (bad !== undefined) throw damaged(bad.leaf.cid, cause)
    throw new LockerError('integrity-failed', `sealed file ${root} is not what was sealed`, {
      cause
    })
  }
}
