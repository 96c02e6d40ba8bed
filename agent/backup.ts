/**
 * Writes a backup (backup-format.ts has the layout) as a stream: memory does not grow with the locker.
 *
 * What belongs together is fixed in one moment between two state changes: the list of documents, the vault's
 * files, and a snapshot of the records. From then on the owner works on; blocks that deleting or re-sealing
 * would remove are held until the backup has ended. The records are read twice from the
 * snapshot, for the manifest names their blocks and comes first.
 *
 * @module
 */
import type { AbstractSnapshot } from 'abstract-level'
import type { Blockstore } from 'interface-blockstore'
import { CID } from 'multiformats/cid'
import {
  type BackupEnd,
  type BackupManifest,
  belongsToBackup,
  cborBlock,
  MISSING_NAMED_MAX,
  rawBlock,
  RECORD_BLOCK_BYTES,
  RECORD_BLOCKS_MAX,
  RECORD_KEY,
  type RecordEntry,
  VAULT_FILE_BYTES_MAX
} from './backup-format.ts'
import { type CarBlock, formatCarBlock, formatCarHeader } from './car.ts'
import type { Clock, Logger, SmallFiles } from './components.ts'
import { LockerError } from './errors.ts'
import type { RecordDatabase } from './record-batch.ts'
import { damaged, hasHash, walkDag } from './sealed-dag.ts'
import { cancelled } from './sealed-writer.ts'
import { isNotFound, storageError } from './storage-error.ts'
import { isSlotName } from './vault-slots.ts'

export interface BackupComponents {
  readonly db: RecordDatabase
  readonly blocks: Blockstore
  readonly vaultFiles: SmallFiles
  readonly clock: Clock
  readonly logger: Logger
  /** Runs `work` while no state changes: `(work) => records.change(work)`. */
  readonly betweenChanges: <T>(work: () => Promise<T>) => Promise<T>
  /** Every document, trashed ones too, with the roots of its versions. Asked between two changes. */
  readonly documents: () => Iterable<{ readonly roots: readonly string[] }>
  /** From now until the returned function is called no block is removed. */
  readonly holdBlocks: () => () => void
}

/** What a finished backup holds. */
export interface BackupReport {
  readonly documents: number
  /** Blocks of documents, and their bytes. */
  readonly blocks: number
  readonly bytes: number
  /** CIDs of blocks that could not be read, at most {@link MISSING_NAMED_MAX} of them. */
  readonly missing: readonly string[]
}

export interface BackupOptions {
  readonly signal?: AbortSignal
  /** Called once, after the last byte was taken. */
  readonly onEnd?: (report: BackupReport) => void
}

/** One state of the locker. */
interface State {
  readonly snapshot: AbstractSnapshot
  readonly vault: ReadonlyArray<{ readonly name: string; readonly block: CarBlock }>
  readonly documents: number
  readonly roots: readonly string[]
}

/**
 * The bytes of the CAR. Throws `storage-failed`, `records-damaged`, `operation-cancelled`, `vault-absent`
 * when there is no slot to open the backup with. Damaged documents are no error: they are named in it.
 */
export async function* createBackup(
  components: BackupComponents,
  options: BackupOptions = {}
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const release = components.holdBlocks()
  let state: State | undefined
  try {
    state = await components.betweenChanges(() => fixState(components))
    yield* writeBackup(components, state, options)
  } finally {
    release()
    await state?.snapshot.close()
  }
}

async function fixState(components: BackupComponents): Promise<State> {
  // Before the snapshot: the head may lag behind the records, and must not be ahead of them.
  const vault = await readVault(components.vaultFiles)
  const documents = [...components.documents()]
  const roots = documents.flatMap((document) => document.roots)
  return { snapshot: components.db.snapshot(), vault, documents: documents.length, roots }
}

async function readVault(files: SmallFiles): Promise<Array<{ name: string; block: CarBlock }>> {
  const vault: Array<{ name: string; block: CarBlock }> = []
  for (const name of (await files.list()).filter(belongsToBackup).toSorted()) {
    const bytes = await files.read(name)
    if (bytes === undefined || bytes.length > VAULT_FILE_BYTES_MAX) continue
    vault.push({ name, block: rawBlock(bytes) })
  }
  if (!vault.some(({ name }) => isSlotName(name)))
    throw new LockerError('vault-absent', 'the vault has no slot a backup could be opened with')
  return vault
}

async function* writeBackup(
  components: BackupComponents,
  state: State,
  options: BackupOptions
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { signal } = options
  const manifest = cborBlock(await manifestOf(components, state, signal))
  yield formatCarHeader([manifest.cid, ...state.roots.map((root) => CID.parse(root))])
  yield formatCarBlock(manifest.cid, manifest.bytes)
  const files = new DocumentFiles(components)
  for (const root of state.roots)
    for await (const block of files.read(root)) {
      throwIfAborted(signal)
      yield formatCarBlock(block.cid, block.bytes)
    }
  for await (const { block } of recordBlocks(components.db, state.snapshot)) {
    throwIfAborted(signal)
    yield formatCarBlock(block.cid, block.bytes)
  }
  for (const { block } of state.vault) yield formatCarBlock(block.cid, block.bytes)
  const end = cborBlock(files.end(manifest.cid))
  yield formatCarBlock(end.cid, end.bytes)
  const { blocks, bytes, missing } = files
  const named = missing.map((cid) => cid.toString())
  options.onEnd?.({ documents: state.documents, blocks, bytes, missing: named })
}

async function manifestOf(
  components: BackupComponents,
  state: State,
  signal: AbortSignal | undefined
): Promise<BackupManifest> {
  const records: CID[] = []
  let recordCount = 0
  for await (const { block, entries } of recordBlocks(components.db, state.snapshot)) {
    throwIfAborted(signal)
    records.push(block.cid)
    recordCount += entries
  }
  if (records.length > RECORD_BLOCKS_MAX)
    throw new LockerError('storage-failed', `${recordCount} records are too many for one backup`)
  return {
    kind: 'elocker/backup',
    version: 1,
    createdAt: components.clock.now().toISOString(),
    documents: state.documents,
    records,
    recordCount,
    vault: state.vault.map(({ name, block }) => ({ name, cid: block.cid }))
  }
}

/** The records of the snapshot in blocks; the same blocks each time. */
async function* recordBlocks(
  db: RecordDatabase,
  snapshot: AbstractSnapshot
): AsyncGenerator<{ block: CarBlock; entries: number }> {
  let entries: RecordEntry[] = []
  let bytes = 0
  const iterator = db.iterator({
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    snapshot
  })
  try {
    for await (const [key, value] of iterator) {
      if (!RECORD_KEY.test(key))
        throw new LockerError('records-damaged', `the database holds the foreign key ${key}`)
      entries.push([key, value])
      bytes += key.length + value.length
      if (bytes < RECORD_BLOCK_BYTES) continue
      yield { block: cborBlock(entries), entries: entries.length }
      entries = []
      bytes = 0
    }
  } catch (error) {
    throw storageError(error, 'reading the records for a backup')
  } finally {
    await iterator.close()
  }
  if (entries.length > 0) yield { block: cborBlock(entries), entries: entries.length }
}

/** Reads the documents' blocks, and keeps count of what was read and what was not there. */
class DocumentFiles {
  blocks = 0
  bytes = 0
  /** The first {@link MISSING_NAMED_MAX}. */
  readonly missing: CID[] = []
  #missingCount = 0
  readonly #store: Blockstore
  readonly #logger: Logger
  /** The node read last: the walk gives it out next, and it is not read twice. */
  #node: CarBlock | undefined

  constructor(components: { readonly blocks: Blockstore; readonly logger: Logger }) {
    this.#store = components.blocks
    this.#logger = components.logger
  }

  /** The blocks of one file, as far as they can be read. Throws `storage-failed`. */
  async *read(root: string): AsyncGenerator<CarBlock> {
    const missingBefore = this.#missingCount
    try {
      for await (const { cid } of walkDag(root, this.#getNode)) {
        const block = this.#node?.cid.equals(cid) === true ? this.#node : await this.#get(cid)
        if (block === undefined) continue
        this.blocks += 1
        this.bytes += block.bytes.length
        yield block
      }
    } catch (error) {
      // A node that cannot be read hides what lies below it; the other documents go on.
      const unreadable =
        error instanceof LockerError &&
        (error.code === 'document-damaged' || error.code === 'integrity-failed')
      if (!unreadable) throw error
      if (this.#missingCount === missingBefore) this.#miss(CID.parse(root))
    }
    if (this.#missingCount > missingBefore) this.#logger.warn('backup-incomplete', { root })
  }

  end(manifest: CID): BackupEnd {
    const { blocks, bytes, missing } = this
    return {
      kind: 'elocker/backup-end',
      version: 1,
      manifest,
      blocks,
      bytes,
      missing,
      missingCount: this.#missingCount
    }
  }

  readonly #getNode = async (cid: CID): Promise<Uint8Array> => {
    this.#node = await this.#get(cid)
    if (this.#node === undefined) throw damaged(cid)
    return this.#node.bytes
  }

  /** A block as its CID says, or `undefined` when it is missing or damaged. */
  async #get(cid: CID): Promise<CarBlock | undefined> {
    const parts: Uint8Array[] = []
    try {
      for await (const part of this.#store.get(cid)) parts.push(part)
    } catch (error) {
      if (!isNotFound(error)) throw storageError(error, `reading block ${cid.toString()}`)
      this.#miss(cid)
      return undefined
    }
    const bytes = new Uint8Array(Buffer.concat(parts))
    if (hasHash(cid, bytes)) return { cid, bytes }
    this.#miss(cid)
    return undefined
  }

  #miss(cid: CID): void {
    this.#missingCount += 1
    if (this.missing.length < MISSING_NAMED_MAX) this.missing.push(cid)
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancelled(signal)
}
