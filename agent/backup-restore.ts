/**
 * Brings a locker back from a backup (backup-format.ts) into an empty home.
 *
 *     1  the file `restoring` is written to the vault folder
 *     2  document blocks, each checked against its hash and durable before the first record
 *     3  records, block by block, each durable
 *     4  the end is compared with what came, and every document walked: nothing lacks but what the backup names
 *     5  the files of the vault, the slots last; `restoring` is removed
 *
 * A locker exists as soon as a slot does, so a restore cut short anywhere before leaves none, and can be
 * started again: what it left of the records is removed first, for `restoring` says whose they are. Records
 * without that mark and without slots are left alone: they may belong to a locker whose slots are
 * in somebody's hands.
 *
 * Nothing in the file is believed. Whoever forged a backup gets blocks and records stored that nobody can
 * open; what the vault seals under its own root key is checked when it is opened (records.ts).
 *
 * @module
 */
import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import {
  backupEnd,
  type BackupEnd,
  backupManifest,
  type BackupManifest,
  MISSING_NAMED_MAX,
  recordBlock,
  valueOf,
  VAULT_FILE_BYTES_MAX
} from './backup-format.ts'
import { type CarBlock, carDamaged, openCar, type OpenedCar } from './car.ts'
import type { Logger, SmallFiles } from './components.ts'
import { LockerError } from './errors.ts'
import type { RecordDatabase } from './record-batch.ts'
import { damaged, walkDag } from './sealed-dag.ts'
import { cancelled, PutQueue } from './sealed-writer.ts'
import { isNotFound, storageError } from './storage-error.ts'
import { isSlotName } from './vault-slots.ts'

const MARK = 'restoring'
const RAW = 0x55
const DAG_PB = 0x70
/** The words' slot is written first of the slots: who restores has the words in hand. */
const SLOT_ORDER = ['slot-words-', 'slot-key-file-', 'slot-passphrase-']

export interface RestoreComponents {
  readonly db: RecordDatabase
  readonly blocks: Blockstore
  readonly vaultFiles: SmallFiles
  readonly logger: Logger
}

export interface RestoreOptions {
  readonly signal?: AbortSignal
  /** Called with the bytes of document blocks taken so far. */
  readonly onProgress?: (bytes: number) => void
}

export interface RestoreReport {
  readonly documents: number
  /** Blocks of documents, and their bytes. */
  readonly blocks: number
  readonly bytes: number
  /** CIDs that the backup itself says it lacks: their documents are damaged. */
  readonly missing: readonly string[]
}

/**
 * Reads the backup to its end; the locker exists, sealed, when the promise resolves. Throws
 * `backup-damaged` with `facts.reason`, `vault-exists`, `storage-full`, `storage-failed`,
 * `operation-cancelled`, and what the source throws.
 */
export async function restoreBackup(
  components: RestoreComponents,
  source: AsyncIterable<Uint8Array>,
  options: RestoreOptions = {}
): Promise<RestoreReport> {
  await claimHome(components)
  try {
    const car = await openCar(source)
    try {
      return await restoreFrom(car, components, options)
    } finally {
      await car.close()
    }
  } catch (error) {
    await giveUp(components)
    throw error
  }
}

/**
 * Removes what a restore that was cut short left of records, so that the home is empty again; does
 * nothing where there is no such restore. Called before a new locker is created.
 */
export async function clearUnfinishedRestore({
  db,
  vaultFiles
}: Pick<RestoreComponents, 'db' | 'vaultFiles'>): Promise<void> {
  const names = await vaultFiles.list()
  if (!names.includes(MARK)) return
  if (!names.some(isSlotName)) await db.clear()
  await vaultFiles.remove(MARK)
}

/** Throws `vault-exists` unless the home is empty or holds what an earlier restore left. */
async function claimHome(components: RestoreComponents): Promise<void> {
  const { db, vaultFiles } = components
  const names = await vaultFiles.list()
  if (names.some(isSlotName)) throw new LockerError('vault-exists', 'a locker exists in this home')
  await clearUnfinishedRestore(components)
  if ((await db.keys({ limit: 1 }).all()).length > 0)
    throw new LockerError('vault-exists', 'this home holds the records of a locker without slots')
  await vaultFiles.write(MARK, new Uint8Array())
}

async function restoreFrom(
  car: OpenedCar,
  components: RestoreComponents,
  options: RestoreOptions
): Promise<RestoreReport> {
  const manifest = await readManifest(car)
  const restore = new Restore(components, manifest, options)
  try {
    for await (const block of car.blocks) await restore.take(block)
  } finally {
    // Whatever went wrong, nothing is being written any more when the caller hears of it.
    await restore.settled()
  }
  const report = await restore.finish(car.roots)
  await writeVault(components, restore.vaultFiles)
  return report
}

/** The error that ended the restore is what the caller hears; the next restore removes what stays now. */
async function giveUp(components: RestoreComponents): Promise<void> {
  try {
    await clearUnfinishedRestore(components)
  } catch (error) {
    components.logger.warn('unfinished-restore-not-removed', { error: String(error) })
  }
}

async function readManifest({ roots, blocks }: OpenedCar): Promise<BackupManifest> {
  const first = await blocks.next()
  if (first.done === true) throw carDamaged(0, 'the file has no block')
  if (roots[0]?.equals(first.value.cid) !== true)
    throw carDamaged(0, 'the first block is not the first root')
  const manifest = backupManifest.safeParse(valueOf(first.value))
  if (!manifest.success) throw carDamaged(0, 'the first root is not the manifest of a backup')
  if (!manifest.data.vault.some(({ name }) => isSlotName(name)))
    throw carDamaged(0, 'the manifest names no slot')
  return manifest.data
}

/** Slots last, of those the words' first; then the mark goes. */
async function writeVault(
  { vaultFiles, logger }: RestoreComponents,
  files: ReadonlyMap<string, Uint8Array>
): Promise<void> {
  const ordered = [...files].toSorted(([a], [b]) => placeOf(a) - placeOf(b))
  try {
    for (const [name, bytes] of ordered) await vaultFiles.write(name, bytes)
  } catch (error) {
    // Half the slots would be a locker its owner was told there is none of.
    for (const [name] of ordered) await vaultFiles.remove(name)
    throw error
  }
  try {
    await vaultFiles.remove(MARK)
  } catch (error) {
    // The locker exists; beside slots the mark means nothing.
    logger.warn('restore-mark-not-removed', { error: String(error) })
  }
}

function placeOf(name: string): number {
  return SLOT_ORDER.findIndex((slot) => name.startsWith(slot))
}

/** The order a backup must have after its manifest. */
type Stage = 'documents' | 'records' | 'vault' | 'ended'

class Restore {
  readonly vaultFiles = new Map<string, Uint8Array>()
  readonly #components: RestoreComponents
  readonly #manifest: BackupManifest
  readonly #options: RestoreOptions
  readonly #puts: PutQueue
  #stage: Stage = 'documents'
  #blocks = 0
  #bytes = 0
  #recordBlocks = 0
  #records = 0
  /** Keys come in ascending order, so none comes twice. */
  #lastKey = ''
  #end: BackupEnd | undefined

  constructor(components: RestoreComponents, manifest: BackupManifest, options: RestoreOptions) {
    this.#components = components
    this.#manifest = manifest
    this.#options = options
    this.#puts = new PutQueue(async (cid, bytes) => {
      await components.blocks.put(cid, bytes)
    })
  }

  /** Takes one block, whose hash is right. Throws `backup-damaged` where it does not belong. */
  async take(block: CarBlock): Promise<void> {
    const { signal } = this.#options
    if (signal?.aborted === true) throw cancelled(signal)
    const { records, vault } = this.#manifest
    if (this.#stage === 'ended') throw this.#damaged('blocks follow the end')
    if (this.#stage === 'documents' && this.#isDocumentBlock(block)) return this.#putBlock(block)
    if (this.#stage === 'documents') await this.#enterRecords()
    if (this.#stage === 'records' && this.#recordBlocks < records.length)
      return this.#putRecords(block)
    this.#stage = 'vault'
    return this.vaultFiles.size < vault.length ? this.#keepVaultFile(block) : this.#takeEnd(block)
  }

  /** Resolves when no block is being written. */
  settled(): Promise<void> {
    return this.#puts.settled()
  }

  /** Everything has come: checks that it is everything. */
  async finish(roots: readonly CID[]): Promise<RestoreReport> {
    const end = this.#end
    if (end === undefined) throw this.#damaged('the file was cut off: it has no end')
    const [manifest, ...documents] = roots
    if (manifest?.equals(end.manifest) !== true) throw this.#damaged('the end is of another backup')
    if (end.blocks !== this.#blocks || end.bytes !== this.#bytes)
      throw this.#damaged(`${this.#blocks} blocks came where ${end.blocks} were written`)
    if (this.#records !== this.#manifest.recordCount)
      throw this.#damaged(
        `${this.#records} records came where ${this.#manifest.recordCount} were written`
      )
    await this.#checkDocuments(documents, end)
    return {
      documents: this.#manifest.documents,
      blocks: this.#blocks,
      bytes: this.#bytes,
      missing: end.missing.map((cid) => cid.toString())
    }
  }

  /** The first block that is of the records, of the vault or the end closes the documents. */
  #isDocumentBlock({ cid }: CarBlock): boolean {
    if (cid.code !== RAW && cid.code !== DAG_PB) return false
    // With records or not, the vault's files come next; nothing that is a document's can be one of them.
    return !this.#manifest.vault.some((file) => file.cid.equals(cid))
  }

  async #putBlock({ cid, bytes }: CarBlock): Promise<void> {
    await this.#puts.put(cid, bytes)
    this.#blocks += 1
    this.#bytes += bytes.length
    this.#options.onProgress?.(this.#bytes)
  }

  /** No record is written before every block is durable. */
  async #enterRecords(): Promise<void> {
    await this.#puts.written()
    this.#stage = 'records'
  }

  async #putRecords(block: CarBlock): Promise<void> {
    const { cid } = block
    const expected = this.#manifest.records[this.#recordBlocks]
    if (expected?.equals(cid) !== true)
      throw this.#damaged(`block ${cid.toString()} is not record block ${this.#recordBlocks + 1}`)
    const entries = recordBlock.safeParse(valueOf(block))
    if (!entries.success) throw this.#damaged(`block ${cid.toString()} holds no records`)
    for (const [key] of entries.data) {
      if (key <= this.#lastKey) throw this.#damaged(`record ${key} is out of order`)
      this.#lastKey = key
    }
    const operations = entries.data.map(([key, value]) => ({ type: 'put' as const, key, value }))
    // `sync` is LevelDB's: the batch is on the disk when the promise resolves. Others ignore it.
    const options = { keyEncoding: 'utf8', valueEncoding: 'view', sync: true } as const
    try {
      await this.#components.db.batch(operations, options)
    } catch (error) {
      throw storageError(error, 'restoring records')
    }
    this.#recordBlocks += 1
    this.#records += entries.data.length
  }

  #keepVaultFile({ cid, bytes }: CarBlock): void {
    const expected = this.#manifest.vault[this.vaultFiles.size]
    if (expected?.cid.equals(cid) !== true || bytes.length > VAULT_FILE_BYTES_MAX)
      throw this.#damaged(`block ${cid.toString()} is not the next file of the vault`)
    if (this.vaultFiles.has(expected.name))
      throw this.#damaged(`the manifest names ${expected.name} twice`)
    this.vaultFiles.set(expected.name, bytes)
  }

  #takeEnd(block: CarBlock): void {
    const end = backupEnd.safeParse(valueOf(block))
    if (!end.success)
      throw this.#damaged(`block ${block.cid.toString()} is not the end of a backup`)
    this.#end = end.data
    this.#stage = 'ended'
  }

  /** Every block of every document is here, or the backup says that it is not. */
  async #checkDocuments(documents: readonly CID[], end: BackupEnd): Promise<void> {
    if (end.missingCount > end.missing.length) return
    const { blocks } = this.#components
    const said = new Set(end.missing.map((cid) => cid.toString()))
    const lacking: string[] = []
    for (const root of documents) {
      try {
        for await (const { cid, kind } of walkDag(root.toString(), this.#getNode))
          if (kind === 'leaf' && !said.has(cid.toString()) && !(await blocks.has(cid)))
            lacking.push(cid.toString())
      } catch (error) {
        const [node] = error instanceof LockerError ? blocksOf(error) : []
        if (node === undefined && !isMalformed(error)) throw error
        if (!said.has(node ?? root.toString())) lacking.push(node ?? root.toString())
      }
      if (lacking.length >= MISSING_NAMED_MAX) break
    }
    if (lacking.length > 0)
      throw new LockerError('backup-damaged', `the backup lacks ${lacking.length} blocks`, {
        facts: { reason: 'blocks of documents are missing', blocks: lacking }
      })
  }

  readonly #getNode = async (cid: CID): Promise<Uint8Array> => {
    const parts: Uint8Array[] = []
    try {
      for await (const part of this.#components.blocks.get(cid)) parts.push(part)
    } catch (error) {
      throw isNotFound(error) ? damaged(cid, error) : storageError(error, 'reading a block')
    }
    return Buffer.concat(parts)
  }

  #damaged(fact: string): LockerError {
    return new LockerError('backup-damaged', `the backup is damaged: ${fact}`, {
      facts: { reason: fact }
    })
  }
}

/** CIDs a `document-damaged` names. */
function blocksOf(error: LockerError): readonly string[] {
  const blocks = error.code === 'document-damaged' ? error.facts['blocks'] : undefined
  return Array.isArray(blocks) ? blocks.map(String) : []
}

function isMalformed(error: unknown): boolean {
  return error instanceof LockerError && error.code === 'integrity-failed'
}
