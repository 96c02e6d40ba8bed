/**
 * The block store: IPFS blocks as files, each written so that it is durable before `put` returns, and
 * checked against its hash on every read.
 *
 *     blocks/<shard>/<CIDv1 in base32>      one block; shard: the two characters before the last
 *     blocks/tmp/<number>                   being written; emptied at open
 *     blocks/damaged/<CIDv1 in base32>      found not to match its hash
 *
 * The name is the whole CID, not only its hash: `getAll` gives back what was put, and a person with
 * stock tools sees which file is which block. It is made from the CID alone, so nothing a peer sends
 * can name another file.
 *
 * Helia returns a damaged local block without an error and treats every failed read as absent. Here
 * absent means absent: a disk without descriptors, space or good sectors is a LockerError.
 *
 * @module
 */
import { hash } from 'node:crypto'
import { join } from 'node:path'
import { BaseBlockstore } from 'blockstore-core'
import type { InputPair, Pair } from 'interface-blockstore'
import { NotFoundError } from 'interface-store'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { Logger } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import { BLOCK_BYTES_MAX } from '../protocols/pull.ts'
import type { FileSystem } from './durable-files.ts'
import {
  diskFiles,
  readBounded,
  storageError,
  syncFolder,
  systemCode,
  writeThenRename
} from './durable-files.ts'
import { QueueFullError, Semaphore } from './semaphore.ts'

/** Files open at once. Far below the usual limit of 1,024 descriptors a process, which sockets share. */
export const OPEN_FILES_MAX = 64

/** Reads and writes that may wait for a descriptor; a careless reader of a 4 GiB file asks for 4,096 at once. */
const WAITING_MAX = 16_384

/** Blocks of a `putMany` written at the same time: as many as libuv has threads for, twice. */
const PUTS_AT_ONCE = 8

/** Multicodec of sha2-256. Other hashes are not kept: what cannot be checked here cannot be trusted. */
const SHA2_256 = 0x12

export interface BlockStatistics {
  readonly blocks: number
  /** Sum of the block sizes, bytes. */
  readonly bytes: number
}

export interface BlockStoreComponents {
  readonly folder: string
  readonly logger: Logger
  /** Called once for a block that was found not to match its hash, after it was moved to `damaged/`. */
  readonly damaged?: (cid: CID) => void
  readonly files?: FileSystem
}

/** Opens the store, creating its folders (0700) and removing what a crash left half written. */
export async function openBlocks(components: BlockStoreComponents): Promise<BlockStore> {
  const { folder, files = diskFiles } = components
  const temporary = join(folder, 'tmp')
  try {
    await files.mkdir(temporary, { recursive: true, mode: 0o700 })
    await files.mkdir(join(folder, 'damaged'), { recursive: true, mode: 0o700 })
    for (const name of await files.readdir(temporary))
      await files.rm(join(temporary, name), { force: true })
  } catch (error) {
    throw storageError(error, 'opening', folder)
  }
  return new BlockStore(components)
}

/**
 * interface-blockstore over {@link FileSystem}. Methods throw `storage-full` or `storage-failed`, and
 * `NotFoundError` for a block that is absent or was found damaged.
 */
export class BlockStore extends BaseBlockstore {
  readonly #folder: string
  readonly #files: FileSystem
  readonly #logger: Logger
  readonly #damaged: (cid: CID) => void
  readonly #descriptors = new Semaphore(OPEN_FILES_MAX, WAITING_MAX)
  /** Shard folders that exist. At most 1,024 names. */
  readonly #shards = new Map<string, Promise<void>>()
  /** Folder syncs that wait for a descriptor; a put that comes meanwhile shares the sync. */
  readonly #syncs = new Map<string, Promise<void>>()
  #temporaries = 0

  constructor(components: BlockStoreComponents) {
    super()
    this.#folder = components.folder
    this.#files = components.files ?? diskFiles
    this.#logger = components.logger
    this.#damaged = components.damaged ?? (() => undefined)
  }

  /**
   * Stores one block; durable on return. The caller has made sure that the bytes have this CID's hash.
   * Throws `integrity-failed` for a hash other than sha2-256 and for more than 2 MiB.
   */
  override async put(
    cid: CID,
    value: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options: { signal?: AbortSignal } = {}
  ): Promise<CID> {
    const name = blockName(cid)
    if (name === undefined)
      throw new LockerError('integrity-failed', `${cid.toString()} is not a sha2-256 CID`)
    const bytes = value instanceof Uint8Array ? value : await joined(value)
    if (bytes.length > BLOCK_BYTES_MAX)
      throw new LockerError(
        'integrity-failed',
        `block ${name} has ${bytes.length} bytes, at most ${BLOCK_BYTES_MAX} are kept`
      )
    const shard = join(this.#folder, shardOf(name))
    const temporary = join(this.#folder, 'tmp', String(this.#temporaries++))
    await this.#guarded('writing', name, options.signal, async () => {
      await this.#shardExists(shard)
      await writeThenRename(this.#files, temporary, join(shard, name), bytes)
    })
    await this.#synced(shard)
    return cid
  }

  /** Stores blocks, {@link PUTS_AT_ONCE} at a time; yields each CID once its block is durable, in order. */
  override async *putMany(
    source: Iterable<InputPair> | AsyncIterable<InputPair>,
    options: { signal?: AbortSignal } = {}
  ): AsyncGenerator<CID> {
    const running: Array<Promise<CID>> = []
    try {
      for await (const { cid, bytes } of source) {
        const put = this.put(cid, bytes, options)
        // Reported where it is awaited below; unawaited puts must not end the process meanwhile.
        put.catch(() => undefined)
        running.push(put)
        const first = running.length >= PUTS_AT_ONCE ? running.shift() : undefined
        if (first !== undefined) yield await first
      }
      while (running.length > 0) {
        const first = running.shift()
        if (first !== undefined) yield await first
      }
    } finally {
      await Promise.allSettled(running)
    }
  }

  override async *get(
    cid: CID,
    options: { signal?: AbortSignal } = {}
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield await this.read(cid, options)
  }

  /** The block's bytes, checked against its hash. Throws `NotFoundError` when absent or damaged. */
  async read(cid: CID, options: { signal?: AbortSignal } = {}): Promise<Uint8Array<ArrayBuffer>> {
    const name = blockName(cid)
    if (name === undefined) throw new NotFoundError(`${cid.toString()} is not a sha2-256 CID`)
    const path = join(this.#folder, shardOf(name), name)
    const file = await this.#guarded('reading', name, options.signal, () => this.#open(path))
    if (file === undefined) throw new NotFoundError(`block ${name} is not here`)
    if (file.bytes !== undefined && hasHash(cid, file.bytes)) return file.bytes
    await this.#setAside(cid, name, path, file.inode)
    throw new NotFoundError(`block ${name} was damaged and has been set aside`)
  }

  override async has(cid: CID): Promise<boolean> {
    const name = blockName(cid)
    if (name === undefined) return false
    try {
      await this.#files.stat(join(this.#folder, shardOf(name), name))
      return true
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return false
      throw storageError(error, 'looking for', name)
    }
  }

  /** Removes a block; absent is fine. */
  override async delete(cid: CID): Promise<void> {
    const name = blockName(cid)
    if (name === undefined) return
    try {
      await this.#files.rm(join(this.#folder, shardOf(name), name), { force: true })
    } catch (error) {
      throw storageError(error, 'deleting', name)
    }
  }

  /** Every block; the bytes are read and checked when they are iterated. */
  override async *getAll(options: { signal?: AbortSignal } = {}): AsyncGenerator<Pair> {
    for await (const { cid } of this.#names()) {
      options.signal?.throwIfAborted()
      yield { cid, bytes: this.get(cid, options) }
    }
  }

  /** Counts blocks and bytes by walking the folders: a few milliseconds a thousand blocks. */
  async stat(): Promise<BlockStatistics> {
    let blocks = 0
    let bytes = 0
    for await (const { path } of this.#names()) {
      try {
        bytes += (await this.#files.stat(path)).size
        blocks++
      } catch (error) {
        // Deleted since its folder was read.
        if (systemCode(error) !== 'ENOENT') throw storageError(error, 'looking at', path)
      }
    }
    return { blocks, bytes }
  }

  async *#names(): AsyncGenerator<{ cid: CID; path: string }> {
    for (const shard of await this.#list(this.#folder)) {
      if (!SHARD.test(shard)) continue
      for (const name of await this.#list(join(this.#folder, shard))) {
        const cid = blockCid(name)
        if (cid !== undefined && shardOf(name) === shard)
          yield { cid, path: join(this.#folder, shard, name) }
      }
    }
  }

  async #list(folder: string): Promise<readonly string[]> {
    return this.#guarded('listing', folder, undefined, () => this.#files.readdir(folder))
  }

  /** `bytes` is `undefined` for a file too large to be a block, which is damaged without being read. */
  async #open(
    path: string
  ): Promise<{ bytes?: Uint8Array<ArrayBuffer>; inode: number } | undefined> {
    try {
      return await readBounded(this.#files, path, BLOCK_BYTES_MAX)
    } catch (error) {
      if (error instanceof LockerError && typeof error.facts['inode'] === 'number')
        return { inode: error.facts['inode'] }
      throw error
    }
  }

  /**
   * Moves a damaged block out of the way. A second reader of the same damage may come here after a good
   * block was put back: the inode tells whether the file is still the one that was read.
   */
  async #setAside(cid: CID, name: string, path: string, inode: number): Promise<void> {
    try {
      if ((await this.#files.stat(path)).ino !== inode) return
      await this.#files.rename(path, join(this.#folder, 'damaged', name))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw storageError(error, 'setting aside', name)
    }
    this.#logger.warn('block-damaged', { cid: name })
    this.#damaged(cid)
  }

  async #shardExists(shard: string): Promise<void> {
    let made = this.#shards.get(shard)
    if (made === undefined) {
      made = this.#makeShard(shard)
      this.#shards.set(shard, made)
      made.catch(() => this.#shards.delete(shard))
    }
    await made
  }

  async #makeShard(shard: string): Promise<void> {
    const created = await this.#files.mkdir(shard, { recursive: true, mode: 0o700 })
    if (created !== undefined) await syncFolder(this.#files, this.#folder)
  }

  /**
   * Resolves when the shard's names are durable. A sync that has not begun yet covers every rename
   * before it, so puts that arrive while it waits for a descriptor share it.
   */
  async #synced(shard: string): Promise<void> {
    let sync = this.#syncs.get(shard)
    if (sync === undefined) {
      sync = this.#guarded('syncing', shard, undefined, () => {
        this.#syncs.delete(shard)
        return syncFolder(this.#files, shard)
      }).finally(() => {
        if (this.#syncs.get(shard) === sync) this.#syncs.delete(shard)
      })
      this.#syncs.set(shard, sync)
    }
    await sync
  }

  async #guarded<T>(
    doing: string,
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>
  ): Promise<T> {
    try {
      return await this.#descriptors.run(work, signal)
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) throw error
      if (error instanceof QueueFullError)
        throw new LockerError('storage-failed', `${doing} ${what}: ${error.message}`, {
          cause: error
        })
      throw storageError(error, doing, what)
    }
  }
}

/** Two characters of base32: 1,024 folders, so a million blocks make about a thousand names each. */
const SHARD = /^[a-z2-7]{2}$/

/** The two characters before the last: the last one of a 36-byte CID carries three bits only. */
function shardOf(name: string): string {
  return name.slice(-3, -1)
}

/** The file name of a block, or `undefined` for a CID whose hash this store does not check. */
function blockName(cid: CID): string | undefined {
  const { code, digest } = cid.multihash
  if (code !== SHA2_256 || digest.length !== 32) return undefined
  return cid.toV1().toString(base32)
}

function blockCid(name: string): CID | undefined {
  try {
    const cid = CID.parse(name, base32)
    return blockName(cid) === name ? cid : undefined
  } catch {
    // A foreign file in a shard folder is none of our blocks.
    return undefined
  }
}

function hasHash(cid: CID, bytes: Uint8Array): boolean {
  return Buffer.compare(hash('sha256', bytes, 'buffer'), cid.multihash.digest) === 0
}

async function joined(
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of source) {
    sizeBytes += part.length
    if (sizeBytes > BLOCK_BYTES_MAX) break
    parts.push(part)
  }
  if (sizeBytes > BLOCK_BYTES_MAX)
    throw new LockerError('integrity-failed', `a block has at most ${BLOCK_BYTES_MAX} bytes`)
  return Buffer.concat(parts)
}
