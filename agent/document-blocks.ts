/**
 * The blocks of documents: who needs them, who no longer does.
 *
 * A block stays because a record names the root above it (docs/decisions/0003). Blocks are put before their
 * record and removed after it, so a crash leaves blocks too many, never too few; {@link
 * DocumentBlocks.collect} removes those. It must not take what is just being put: a writer's blocks are
 * protected until its record is durable, and while a collection runs until that has ended.
 *
 * @module
 */
import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { Logger } from './components.ts'
import { LockerError } from './errors.ts'
import { damaged, type DagBlock, walkDag } from './sealed-dag.ts'
import { isNotFound, storageError } from './storage-error.ts'

/** Trees remembered for {@link DocumentBlocks.dag}; one of 4 GiB holds about 400 KiB. */
const DAGS_REMEMBERED_MAX = 16
/** Files deleted while blocks are held, whose blocks go afterwards; beyond it they are left to collecting. */
const DEFERRED_MAX = 10_000
/** Features that may keep blocks. */
export const KEEPERS_MAX = 16

/** Foreign sealed files to leave alone. */
export type Roots = () => Iterable<string>

export interface DocumentBlocksComponents {
  readonly blocks: Blockstore
  readonly logger: Logger
}

/** The blocks of one file on its way in. */
export class IncomingBlocks {
  readonly cids: CID[] = []
  /** Hashes of the same blocks. */
  readonly hashes = new Set<string>()
  readonly #put: (cid: CID, bytes: Uint8Array) => Promise<void>

  constructor(put: (cid: CID, bytes: Uint8Array) => Promise<void>) {
    this.#put = put
  }

  readonly putBlock = async (cid: CID, bytes: Uint8Array): Promise<void> => {
    // Noted first: a put that fails may have left something.
    this.cids.push(cid)
    this.hashes.add(hashText(cid))
    await this.#put(cid, bytes)
  }
}

export class DocumentBlocks {
  readonly #blocks: Blockstore
  readonly #logger: Logger
  readonly #keepers = new Map<string, Roots>()
  readonly #dags = new Map<string, ReadonlySet<string>>()
  /** Files on their way in: no record names them yet. */
  readonly #incoming = new Set<IncomingBlocks>()
  /** Writers that ended while a collection was running. */
  #endedMeanwhile: IncomingBlocks[] | undefined
  #collecting: Promise<{ removed: number }> | undefined
  /** Backups under way: while there is one, no block of a document is removed. */
  #holds = 0
  /** Roots whose blocks wait for the backups to end. */
  readonly #waiting = new Set<string>()

  constructor(components: DocumentBlocksComponents) {
    this.#blocks = components.blocks
    this.#logger = components.logger
  }

  /** A block's bytes. Throws `document-damaged` when it is missing or damaged, `storage-failed`. */
  readonly get = async (cid: CID): Promise<Uint8Array> => {
    try {
      const parts: Uint8Array[] = []
      for await (const part of this.#blocks.get(cid)) parts.push(part)
      return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
    } catch (error) {
      if (isNotFound(error)) throw damaged(cid, error)
      throw storageError(error, `reading block ${cid.toString()}`)
    }
  }

  /** Begins a file: its blocks are protected until {@link keep} or {@link discard}. */
  begin(): IncomingBlocks {
    const incoming = new IncomingBlocks(async (cid, bytes) => {
      await this.#blocks.put(cid, bytes)
    })
    this.#incoming.add(incoming)
    return incoming
  }

  /** The record that names the file is durable, or nobody knows: the blocks stay where they are. */
  keep(incoming: IncomingBlocks): void {
    this.#incoming.delete(incoming)
    this.#endedMeanwhile?.push(incoming)
  }

  /** No record names the file: its blocks go. What cannot be removed now is left to {@link collect}. */
  async discard(incoming: IncomingBlocks): Promise<void> {
    await this.#deleteAll(incoming.cids)
    this.#incoming.delete(incoming)
  }

  /** Removes the files below the roots, which no record names any more. What cannot be is left to {@link collect}. */
  async remove(roots: readonly string[]): Promise<void> {
    if (this.#holds > 0) {
      for (const root of roots) if (this.#waiting.size < DEFERRED_MAX) this.#waiting.add(root)
      return
    }
    for (const root of roots) {
      try {
        const cids: CID[] = []
        for await (const { cid } of walkDag(root, this.get)) cids.push(cid)
        await this.#deleteAll(cids)
      } catch (error) {
        this.#logger.warn('blocks-not-removed', { root, error })
      }
      this.#dags.delete(root)
    }
  }

  /** From now until the returned function is called no block is removed: a backup reads them. */
  hold(): () => void {
    this.#holds++
    let ended = false
    return () => {
      if (ended) return
      ended = true
      if (--this.#holds > 0) return
      const roots = [...this.#waiting]
      this.#waiting.clear()
      void this.remove(roots)
    }
  }

  /** Every CID of the file below the root. Throws `document-damaged`. */
  async dag(root: string): Promise<ReadonlySet<string>> {
    const cids = this.#dags.get(root) ?? (await this.#cidsBelow(root))
    // Put last, so that the first is the one longest unused.
    this.#dags.delete(root)
    this.#dags.set(root, cids)
    const [oldest] = this.#dags.keys()
    if (this.#dags.size > DAGS_REMEMBERED_MAX && oldest !== undefined) this.#dags.delete(oldest)
    return cids
  }

  /** Every block of the file, in order. */
  walk(root: string): AsyncIterable<DagBlock> {
    return walkDag(root, this.get)
  }

  keepBlocks(name: string, roots: Roots): void {
    if (this.#keepers.size >= KEEPERS_MAX && !this.#keepers.has(name))
      throw new RangeError(`more than ${KEEPERS_MAX} keepers of blocks`)
    this.#keepers.set(name, roots)
  }

  /**
   * Removes blocks below no root. When a file's inner blocks are damaged, what belongs to it cannot be
   * told, and nothing is removed; nor while blocks are held. A second call waits for the first and then collects again.
   */
  collect(roots: Roots): Promise<{ removed: number }> {
    const before = this.#collecting ?? Promise.resolve({ removed: 0 })
    const next = before.then(
      async () => this.#collectOnce(roots),
      async () => this.#collectOnce(roots)
    )
    this.#collecting = next
    return next
  }

  async #cidsBelow(root: string): Promise<ReadonlySet<string>> {
    const cids = new Set<string>()
    for await (const { cid } of walkDag(root, this.get)) cids.add(cid.toString())
    return cids
  }

  async #collectOnce(roots: Roots): Promise<{ removed: number }> {
    if (this.#holds > 0) return { removed: 0 }
    this.#endedMeanwhile = []
    try {
      const needed = await this.#needed(roots)
      if (needed === undefined) return { removed: 0 }
      let removed = 0
      for await (const { cid } of this.#blocks.getAll()) {
        if (needed.has(hashText(cid)) || this.#isIncoming(cid)) continue
        await this.#blocks.delete(cid)
        removed++
      }
      if (removed > 0) this.#logger.info('blocks-collected', { removed })
      return { removed }
    } catch (error) {
      throw storageError(error, 'collecting unreferenced blocks')
    } finally {
      this.#endedMeanwhile = undefined
    }
  }

  /** Hashes of all blocks below a root. A hash and not a CID: a store may name the same block by another codec. */
  async #needed(roots: Roots): Promise<ReadonlySet<string> | undefined> {
    const needed = new Set<string>()
    for (const root of roots()) {
      try {
        for await (const { cid } of walkDag(root, this.get)) needed.add(hashText(cid))
      } catch (error) {
        if (!(error instanceof LockerError) || error.code === 'storage-failed') throw error
        this.#logger.warn('blocks-not-collected', { root, error: error.code })
        return undefined
      }
    }
    for (const keeper of this.#keepers.values())
      for (const root of keeper()) {
        try {
          for await (const { cid } of walkDag(root, this.get)) needed.add(hashText(cid))
        } catch (error) {
          // A cache may be incomplete, and a foreign tree malformed; its blocks can be fetched again.
          this.#logger.debug('kept-blocks-incomplete', { root, error })
        }
      }
    return needed
  }

  #isIncoming(cid: CID): boolean {
    const hash = hashText(cid)
    const putBy = ({ cids }: IncomingBlocks): boolean =>
      cids.some((each) => hashText(each) === hash)
    return [...this.#incoming].some(putBy) || (this.#endedMeanwhile ?? []).some(putBy)
  }

  async #deleteAll(cids: readonly CID[]): Promise<void> {
    for (const cid of cids) {
      try {
        await this.#blocks.delete(cid)
      } catch (error) {
        this.#logger.warn('block-not-removed', { cid: cid.toString(), error })
      }
    }
  }
}

function hashText(cid: CID): string {
  return Buffer.from(cid.multihash.digest).toString('base64')
}
