/**
 * Seals a stream and stores it: content → age file → UnixFS blocks. Nothing of the plaintext touches
 * the disk, and memory does not grow with the document.
 *
 * @module
 */
import { importFile } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { sealStream } from '../protocols/sealed/age.ts'
import type { Recipient } from '../protocols/sealed/recipients.ts'
import type { Random } from './components.ts'
import { LockerError } from './errors.ts'
import { sniffMediaType, SNIFF_BYTES } from './media-type.ts'
import { LINKS_MAX } from './sealed-dag.ts'
import { storageError } from './storage-error.ts'

/** Bytes of a leaf: fewer blocks, and seals and writes in strides; DESIGN §5.1. */
const LEAF_BYTES = 1_048_576
/** Blocks being written at the same time: enough to keep a disk busy while the next one is sealed. */
export const PUTS_AT_ONCE = 4
/** Default limit of one document's plaintext, bytes; DESIGN §11. */
export const DOCUMENT_BYTES_MAX = 4 * 1024 ** 3

/** Puts one block; it is durable when the promise resolves. */
export type PutBlock = (cid: CID, bytes: Uint8Array) => Promise<void>

export interface SealingOptions {
  readonly recipient: Recipient
  readonly random: Random
  /** Called from the sealing, {@link PUTS_AT_ONCE} at the same time. */
  readonly putBlock: PutBlock
  /** Plaintext bytes; beyond it `document-too-large`. */
  readonly sizeBytesMax: number
  readonly signal?: AbortSignal
  /** Called with the plaintext bytes taken so far. */
  readonly onProgress?: (bytes: number) => void
}

/** A sealed file whose blocks are durable. */
export interface StoredFile {
  readonly root: string
  readonly fileKey: Uint8Array<ArrayBuffer>
  readonly sizeBytes: number
  readonly sealedBytes: number
  readonly mediaType: string
}

/**
 * Seals and stores; resolves when every block is durable. On an error blocks already put remain, for
 * the caller to remove: none is being written any more. Throws `document-too-large`, `storage-full`,
 * `storage-failed`, `operation-cancelled`, and what the source throws.
 */
export async function storeSealed(
  source: AsyncIterable<Uint8Array>,
  options: SealingOptions
): Promise<StoredFile> {
  const { recipient, random } = options
  const intake = new Intake(options)
  const puts = new PutQueue(options.putBlock)
  let fileKey: Uint8Array<ArrayBuffer> | undefined
  let sealedBytes = 0
  const sealed = sealStream(intake.take(source), {
    recipients: [recipient],
    random,
    onHeader: (header) => {
      fileKey = header.fileKey
    },
    onEnd: (lengths) => {
      sealedBytes = lengths.sealedBytes
    }
  })
  try {
    const { cid } = await importFile({ content: sealed }, puts, {
      rawLeaves: true,
      cidVersion: 1,
      reduceSingleLeafToSelf: true,
      chunker: fixedSize({ chunkSize: LEAF_BYTES }),
      layout: balanced({ maxChildrenPerNode: LINKS_MAX }),
      // The queue writes in the background; the importer's own concurrency would work in bursts.
      blockWriteConcurrency: 1
    })
    await puts.written()
    if (fileKey === undefined) throw new TypeError('the sealing had no header')
    const mediaType = await intake.mediaType()
    return { root: cid.toString(), fileKey, sizeBytes: intake.sizeBytes, sealedBytes, mediaType }
  } catch (error) {
    await puts.settled()
    // A source ends with an error of its own when the signal takes it down.
    if (options.signal?.aborted === true) throw cancelled(options.signal)
    throw error
  }
}

/** The error of an operation whose signal has fired. */
export function cancelled(signal: AbortSignal): LockerError {
  return new LockerError('operation-cancelled', 'the operation was cancelled', {
    cause: signal.reason
  })
}

/** Counts, bounds and looks at the plaintext as it passes. */
class Intake {
  sizeBytes = 0
  readonly #options: SealingOptions
  /** The first {@link SNIFF_BYTES} of the plaintext, as copies: the source may use its memory again. */
  readonly #head: Uint8Array[] = []

  constructor(options: SealingOptions) {
    this.#options = options
  }

  async *take(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { sizeBytesMax, signal, onProgress } = this.#options
    for await (const piece of untilAborted(source, signal)) {
      if (this.sizeBytes < SNIFF_BYTES)
        this.#head.push(Uint8Array.from(piece.subarray(0, SNIFF_BYTES - this.sizeBytes)))
      this.sizeBytes += piece.length
      if (this.sizeBytes > sizeBytesMax)
        throw new LockerError(
          'document-too-large',
          `the document has more than ${sizeBytesMax} bytes`,
          { facts: { sizeBytesMax } }
        )
      onProgress?.(this.sizeBytes)
      yield piece
    }
  }

  async mediaType(): Promise<string> {
    const whole = this.sizeBytes <= SNIFF_BYTES
    return sniffMediaType(Buffer.concat(this.#head), whole)
  }
}

/** Passes a source on until the signal fires, then throws without waiting for a piece that may never come. */
async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal | undefined
): AsyncGenerator<T> {
  if (signal === undefined) {
    yield* source
    return
  }
  const iterator = source[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      const next = await orAborted(iterator.next(), signal)
      if (next.done === true) {
        ended = true
        return
      }
      yield next.value
    }
  } finally {
    if (!ended) {
      // A source that waits for a piece would not return before that piece comes.
      const returned = iterator.return?.()
      if (signal.aborted) returned?.catch(() => undefined)
      else await returned
    }
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(cancelled(signal))
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** The importer's block store: takes a block at once and writes it behind, a few at a time. */
export class PutQueue {
  readonly #putBlock: PutBlock
  readonly #running = new Set<Promise<void>>()
  #failure: LockerError | undefined

  constructor(putBlock: PutBlock) {
    this.#putBlock = putBlock
  }

  /** Resolves when there is room for the next block, not when this one is durable: {@link written} says that. */
  async put(cid: CID, bytes: unknown): Promise<CID> {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('the importer puts whole blocks')
    while (this.#running.size >= PUTS_AT_ONCE) await Promise.race(this.#running)
    this.#throwFailure()
    const put = this.#put(cid, bytes).finally(() => this.#running.delete(put))
    this.#running.add(put)
    return cid
  }

  /** Resolves when every block is durable. */
  async written(): Promise<void> {
    await this.settled()
    this.#throwFailure()
  }

  /** Resolves when no block is being written any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async #put(cid: CID, bytes: Uint8Array): Promise<void> {
    try {
      await this.#putBlock(cid, bytes)
    } catch (error) {
      this.#failure ??= storageError(error, `storing block ${cid.toString()}`)
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
