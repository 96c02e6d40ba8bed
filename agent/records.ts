/**
 * Sealed records over one `abstract-level` database: every value encrypted, every state change one
 * durable batch.
 *
 *     <sublevel>/<name>       one record of a collection; the name hides its key
 *     <sublevel>/<number>     one entry of a sequence, 000000000001 first
 *     manifest/manifest       counts and digests of all sublevels (record-manifest.ts)
 *
 * agent/record-seal.ts has the bytes of a record. Inside is JSON: `[key, value]` in a collection,
 * `[number, value]` in a sequence. Collections are held in memory, decrypted, while the vault is open;
 * of a sequence only its head.
 *
 * **A change** is a function that puts and deletes into a {@link Batch}. Changes run one after the other.
 * When the function returns, everything it staged and the new manifest go to the database in one
 * `batch(…, { sync: true })`; only then does memory change, and only then is the caller told. So what a
 * caller reads is durable, a crash leaves all of a change or nothing, and a failure leaves memory as it was.
 *
 * **A failed write** leaves LevelDB's log in a state nobody promises anything about: later writes may
 * succeed and be lost at the next opening. The database is therefore closed and opened again before
 * anything else is written, and if the failed batch turns out to have reached the disk it is undone,
 * because its caller was told that it failed. Where that does not work (the disk is still full) the error
 * says `outcome: 'unknown'` in its facts and the next change tries again.
 *
 * **Damage** is named, never repaired in silence and never fatal for the rest: a record that does not
 * open stays where it is, absent from its collection and listed in {@link Records.damaged}.
 *
 * @module
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { ZodType } from 'zod'
import type { Logger, Random, SmallFiles } from './components.ts'
import { LockerError } from './errors.ts'
import {
  type Batch,
  OpenBatch,
  type OpenSublevel,
  type Operation,
  operationsOf,
  type Settlement,
  type RecordDatabase,
  type SublevelHost
} from './record-batch.ts'
import { type Collection, digestText, reasonOf, SealedCollection } from './record-collection.ts'
import {
  ACCEPTED_MAX,
  EMPTY_MANIFEST,
  HeadFile,
  MANIFEST_PATH,
  type Manifest,
  openManifest,
  sealManifest,
  type SublevelState,
  SUBLEVELS_MAX
} from './record-manifest.ts'
import { RecordSeal } from './record-seal.ts'
import { SealedSequence, type Sequence } from './record-sequence.ts'
import { isNotFound, storageError } from './storage-error.ts'

/** Changes that may wait for the one that runs. Callers wait for each, so more means a runaway loop. */
export const CHANGES_WAITING_MAX = 10_000
/** Damaged records named one by one; beyond it one line says how many more there are. */
export const DAMAGED_NAMED_MAX = 1_000

export type { Batch, RecordDatabase } from './record-batch.ts'
export type { Collection } from './record-collection.ts'
export type { Sequence } from './record-sequence.ts'

/** A record that could not be opened, or a sublevel (`key` `*`) that is not what the manifest says. */
interface DamagedRecord {
  readonly sublevel: string
  /** The stored name: hidden for collections, the number for sequences, `*` for the sublevel itself. */
  readonly key: string
  readonly reason: string
}

export interface Records {
  /** Opens a sublevel: decrypts and validates every record. Damaged records are set aside and named in {@link damaged}. */
  collection<T>(name: string, schema: ZodType<T>): Promise<Collection<T>>
  sequence<T>(name: string, schema: ZodType<T>): Promise<Sequence<T>>
  /**
   * Runs one state change: `work` fills the batch, then everything is written with `{ sync: true }`, or
   * nothing. Changes run one after the other, so what `work` reads cannot move under it. A change
   * inside a change is an error. Throws `storage-full`, `storage-failed`, and `vault-sealed` once closed.
   */
  change<T>(work: (batch: Batch) => T | Promise<T>): Promise<T>
  /** Records that could not be opened or that the manifest misses, by sublevel and key. */
  readonly damaged: readonly DamagedRecord[]
  /**
   * Takes everything in {@link damaged} as lost: what does not open is removed, counts and digests are those of
   * what is there, and it is not named any more. `note` adds to the same batch, and must. Resolves with how much was
   * lost; 0 changes nothing. Throws `records-damaged` when more entries of a sequence are lost than can be
   * remembered.
   */
  acceptLoss(note: (batch: Batch, lost: readonly DamagedRecord[]) => void): Promise<number>
  /** Waits for the changes under way and forgets keys and values. The database stays open: it was handed in. */
  close(): Promise<void>
}

export interface RecordsComponents {
  readonly db: RecordDatabase
  /** 32 bytes; read when a sublevel is opened, so it must stay whole until the records are closed. */
  readonly rootKey: Uint8Array
  readonly random: Random
  /** Where the head file goes: the vault's folder, not the database's. */
  readonly files: SmallFiles
  readonly logger: Logger
}

/**
 * Opens the records of an unsealed vault. Reads the manifest and the head; records are read when their
 * sublevel is opened. Throws `storage-failed`; damage is named in {@link Records.damaged}.
 */
export async function openRecords(components: RecordsComponents): Promise<Records> {
  const records = new SealedRecords(components)
  await records.open()
  return records
}

/** Encodings are named at each call: whatever defaults the database was opened with, these bytes are ours. */
const ENCODINGS = { keyEncoding: 'utf8', valueEncoding: 'view' } as const
/** Entries fetched from the database at once. */
const PAGE_ENTRIES = 1_000
const SUBLEVEL_NAME = /^[a-z][a-z0-9-]{0,63}$/

class SealedRecords implements Records, SublevelHost {
  readonly #components: RecordsComponents
  readonly #manifestSeal: RecordSeal
  readonly #head: HeadFile
  readonly #running = new AsyncLocalStorage<OpenBatch>()
  readonly #opened = new Map<string, OpenSublevel>()
  readonly #damaged: DamagedRecord[] = []
  #unnamed = 0
  #manifest: Manifest = EMPTY_MANIFEST
  #sealedManifest: Uint8Array | undefined
  /** A manifest that was lost or damaged: what is found becomes what should be. */
  #manifestLost = false
  /** The batch whose write failed, until it is known what reached the disk. */
  #uncertain: { batch: OpenBatch; sealedManifest: Uint8Array } | undefined
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #closing = false
  #closed = false

  constructor(components: RecordsComponents) {
    const { rootKey, random, files, logger } = components
    this.#components = components
    this.#manifestSeal = new RecordSeal(rootKey, 'manifest', random)
    this.#head = new HeadFile({ files, seal: this.#manifestSeal, logger })
  }

  get damaged(): readonly DamagedRecord[] {
    if (this.#unnamed === 0) return this.#damaged
    const more = { sublevel: '*', key: '*', reason: `${this.#unnamed} further records are damaged` }
    return [...this.#damaged, more]
  }

  async open(): Promise<void> {
    const present = await this.#presentSublevels()
    const sealed = await this.#readManifest()
    if (sealed === undefined && present.length > 0) this.#loseManifest('the manifest is missing')
    if (sealed !== undefined) {
      try {
        this.#manifest = openManifest(this.#manifestSeal, sealed)
        this.#sealedManifest = sealed
      } catch (error) {
        this.#loseManifest(`the manifest does not open: ${reasonOf(error)}`)
      }
    }
    const verdict = await this.#head.compare(this.#manifest, this.#sealedManifest)
    this.#manifest = { ...this.#manifest, seq: verdict.minimumSeq }
    // Without a manifest, how far the database was is not known, so it cannot be behind.
    if (verdict.reason !== undefined && !this.#manifestLost)
      this.name('manifest', 'head', verdict.reason)
    for (const name of present)
      if (!this.#manifestLost && !this.#manifest.sublevels.has(name))
        this.name(name, '*', 'records that the manifest does not know')
  }

  async collection<T>(name: string, schema: ZodType<T>): Promise<Collection<T>> {
    const seal = this.#openSublevel(name)
    const collection = new SealedCollection<T>({ name, schema, seal, records: this })
    this.#opened.set(name, collection)
    await collection.load()
    return collection
  }

  async sequence<T>(name: string, schema: ZodType<T>): Promise<Sequence<T>> {
    const seal = this.#openSublevel(name)
    const sequence = new SealedSequence<T>({ name, schema, seal, records: this })
    this.#opened.set(name, sequence)
    await sequence.load()
    return sequence
  }

  change<T>(work: (batch: Batch) => T | Promise<T>): Promise<T> {
    const outer = this.#running.getStore()
    if (outer !== undefined && !outer.ended)
      return Promise.reject(new TypeError('a change inside a change would wait for itself'))
    if (this.#closing) return Promise.reject(new LockerError('vault-sealed', 'the vault is sealed'))
    if (this.#waiting >= CHANGES_WAITING_MAX)
      return Promise.reject(
        new LockerError('storage-failed', `${CHANGES_WAITING_MAX} changes are waiting already`)
      )
    this.#waiting++
    const result = this.#tail.then(() => this.#run(work))
    // The next change runs whether or not this one succeeds; the caller of this one sees its error.
    this.#tail = result.then(
      () => this.#waiting--,
      () => this.#waiting--
    )
    return result
  }

  acceptLoss(note: (batch: Batch, lost: readonly DamagedRecord[]) => void): Promise<number> {
    return this.change(async (given) => {
      const batch = this.batch(given)
      const lost = this.damaged
      if (lost.length === 0) return 0
      batch.settlements = await this.#settlements()
      if (acceptedAfter(this.#manifest, batch).size > ACCEPTED_MAX)
        throw new LockerError(
          'records-damaged',
          `more than ${ACCEPTED_MAX} entries are lost: restore a backup into another home`
        )
      batch.afterwards(() => {
        for (const sublevel of this.#opened.values()) sublevel.settled()
        this.#damaged.length = 0
        this.#unnamed = 0
      })
      note(batch, lost)
      return lost.length
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#tail
    if (this.#closed) return
    this.#closed = true
    await this.#head.close(this.#manifest.seq, this.#sealedManifest)
    for (const sublevel of this.#opened.values()) sublevel.forget()
    this.#opened.clear()
  }

  batch(batch: Batch): OpenBatch {
    if (!(batch instanceof OpenBatch) || batch.owner !== this)
      throw new TypeError('the batch belongs to no change of these records')
    return batch
  }

  mustBeOpen(): void {
    if (this.#closed) throw new LockerError('vault-sealed', 'the vault is sealed')
  }

  expected(sublevel: string): SublevelState | undefined {
    return this.#manifest.sublevels.get(sublevel)
  }

  adopt(sublevel: string, state: SublevelState): void {
    this.#manifest = {
      ...this.#manifest,
      sublevels: new Map(this.#manifest.sublevels).set(sublevel, state)
    }
  }

  name(sublevel: string, key: string, reason: string): void {
    if (this.#manifest.accepted.has(`${sublevel}/${key}`)) return
    if (this.#damaged.some((known) => known.sublevel === sublevel && known.key === key)) return
    this.#components.logger.error('record-damaged', { sublevel, key, reason })
    if (this.#damaged.length < DAMAGED_NAMED_MAX) this.#damaged.push({ sublevel, key, reason })
    else this.#unnamed++
  }

  async *scan(
    sublevel: string,
    options: { from?: string; to?: string; reverse?: boolean; limit?: number } = {}
  ): AsyncGenerator<Array<[path: string, sealed: Uint8Array]>> {
    this.mustBeOpen()
    const { from = '', to, reverse = false, limit = -1 } = options
    const iterator = this.#components.db.iterator({
      ...ENCODINGS,
      gte: `${sublevel}/${from}`,
      ...(to === undefined ? { lt: `${sublevel}0` } : { lte: `${sublevel}/${to}` }),
      reverse,
      limit
    })
    try {
      for (;;) {
        const page = await iterator.nextv(PAGE_ENTRIES)
        if (page.length === 0) return
        yield page
      }
    } catch (error) {
      throw storageError(error, `reading records of ${sublevel}`)
    } finally {
      await iterator.close()
    }
  }

  async *names(sublevel: string): AsyncGenerator<string> {
    const range = { keyEncoding: 'utf8', gte: `${sublevel}/`, lt: `${sublevel}0` } as const
    const iterator = this.#components.db.keys(range)
    try {
      for (;;) {
        const page = await iterator.nextv(PAGE_ENTRIES)
        if (page.length === 0) return
        for (const path of page) yield path.slice(sublevel.length + 1)
      }
    } catch (error) {
      throw storageError(error, `reading records of ${sublevel}`)
    } finally {
      await iterator.close()
    }
  }

  #openSublevel(name: string): RecordSeal {
    this.mustBeOpen()
    if (!SUBLEVEL_NAME.test(name) || name === 'manifest')
      throw new TypeError(`${name} cannot name a sublevel`)
    if (this.#opened.has(name)) throw new TypeError(`sublevel ${name} is open already`)
    if (this.#opened.size >= SUBLEVELS_MAX)
      throw new RangeError(`more than ${SUBLEVELS_MAX} sublevels`)
    return new RecordSeal(this.#components.rootKey, name, this.#components.random)
  }

  /** What every sublevel comes to when its damage is accepted, those nobody opens included. */
  async #settlements(): Promise<ReadonlyMap<string, Settlement>> {
    const settlements = new Map<string, Settlement>()
    for (const { sublevel: name } of this.#damaged) {
      const foreign = !this.#opened.has(name) && !this.#manifest.sublevels.has(name)
      if (!foreign || name === 'manifest' || settlements.has(name)) continue
      const removed = [name]
      for await (const stored of this.names(name)) removed.push(`${name}/${stored}`)
      settlements.set(name, { removed, accepted: [] })
    }
    for (const [name, sublevel] of this.#opened) {
      const damaged = this.#damaged.filter((record) => record.sublevel === name)
      settlements.set(name, sublevel.settle(damaged.map(({ key }) => key)))
    }
    return settlements
  }

  async #run<T>(work: (batch: Batch) => T | Promise<T>): Promise<T> {
    if (this.#uncertain !== undefined) await this.#recover()
    const batch = new OpenBatch(this)
    let result: T
    try {
      result = await this.#running.run(batch, async () => work(batch))
    } finally {
      batch.ended = true
    }
    if (batch.staged.size > 0 || batch.appended.size > 0) await this.#commit(batch)
    for (const effect of batch.after) {
      try {
        effect()
      } catch (error) {
        // The change is durable and must not look failed because a listener is broken.
        this.#components.logger.error('records-afterwards-failed', { error })
      }
    }
    return result
  }

  async #commit(batch: OpenBatch): Promise<void> {
    const manifest = this.#manifestAfter(batch)
    const sealedManifest = sealManifest(this.#manifestSeal, manifest)
    try {
      await this.#write(operationsOf(batch), sealedManifest)
    } catch (cause) {
      throw await this.#failed(cause, batch, sealedManifest)
    }
    for (const staged of batch.staged.values()) staged.apply()
    for (const { sequence, last, head } of batch.appended.values()) sequence.apply(last, head)
    this.#manifest = manifest
    this.#sealedManifest = sealedManifest
    this.#head.passed(manifest.seq, sealedManifest)
  }

  async #write(operations: readonly Operation[], sealedManifest: Uint8Array): Promise<void> {
    // `sync` is LevelDB's: the batch is on the disk when the promise resolves. Others ignore it.
    const options = { ...ENCODINGS, sync: true }
    await this.#components.db.batch(
      [...operations, { type: 'put', key: MANIFEST_PATH, value: sealedManifest }],
      options
    )
  }

  #manifestAfter(batch: OpenBatch): Manifest {
    const sublevels = new Map(this.#manifest.sublevels)
    for (const [name, { state }] of batch.settlements)
      if (state !== undefined) sublevels.set(name, state)
    for (const { sublevel, write, digestBefore } of batch.staged.values()) {
      const before = sublevels.get(sublevel) ?? { count: 0, digest: digestText(0n) }
      const old = digestBefore()
      const digest = BigInt(`0x${before.digest}`) ^ (old ?? 0n) ^ (write?.digest ?? 0n)
      const count = before.count + (write === undefined ? 0 : 1) - (old === undefined ? 0 : 1)
      sublevels.set(sublevel, { count, digest: digestText(digest) })
    }
    for (const { sequence, last, head } of batch.appended.values())
      sublevels.set(sequence.name, { count: last, digest: head })
    const accepted = acceptedAfter(this.#manifest, batch)
    return { seq: this.#manifest.seq + 1, sublevels, accepted }
  }

  /** Finds out what a failed write left on the disk; returns the error for the caller. */
  async #failed(
    cause: unknown,
    batch: OpenBatch,
    sealedManifest: Uint8Array
  ): Promise<LockerError> {
    const error = storageError(cause, 'writing records')
    this.#components.logger.error('records-write-failed', { code: error.code, error: cause })
    this.#uncertain = { batch, sealedManifest }
    try {
      await this.#recover()
      return error
    } catch (recoverError) {
      this.#components.logger.error('records-reopen-failed', { error: recoverError })
      return new LockerError(error.code, error.message, { cause, facts: { outcome: 'unknown' } })
    }
  }

  /** Opens the database again after a failed write and undoes that write if it reached the disk. */
  async #recover(): Promise<void> {
    const uncertain = this.#uncertain
    if (uncertain === undefined) return
    try {
      await this.#components.db.close()
      await this.#components.db.open()
    } catch (error) {
      throw storageError(error, 'opening the database again')
    }
    const found = await this.#readManifest()
    if (found !== undefined && sameBytes(found, uncertain.sealedManifest))
      await this.#undo(uncertain.batch)
    else if (!sameOrBothAbsent(found, this.#sealedManifest))
      throw new LockerError(
        'records-damaged',
        'the database is not at the last change that was made'
      )
    this.#uncertain = undefined
  }

  /** Writes what memory holds over everything the batch touched, as one more change. */
  async #undo(batch: OpenBatch): Promise<void> {
    const undoing = new OpenBatch(this)
    for (const staged of batch.staged.values()) staged.restage(undoing)
    const manifest = this.#manifestAfter(undoing)
    const sealedManifest = sealManifest(this.#manifestSeal, manifest)
    const removed = [...batch.appended.values()].flatMap(({ entries }) =>
      entries.map(({ path }): Operation => ({ type: 'del', key: path }))
    )
    try {
      await this.#write([...operationsOf(undoing), ...removed], sealedManifest)
    } catch (error) {
      throw storageError(error, 'undoing a failed write')
    }
    for (const staged of undoing.staged.values()) staged.apply()
    this.#manifest = manifest
    this.#sealedManifest = sealedManifest
  }

  async #readManifest(): Promise<Uint8Array | undefined> {
    try {
      return await this.#components.db.get(MANIFEST_PATH, ENCODINGS)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw storageError(error, 'reading the manifest')
    }
  }

  #loseManifest(reason: string): void {
    this.#manifestLost = true
    this.name('manifest', 'manifest', reason)
  }

  /** Names of the sublevels that hold anything: one seek for each, not a walk over the records. */
  async #presentSublevels(): Promise<string[]> {
    const names: string[] = []
    let gte = ''
    try {
      while (names.length <= SUBLEVELS_MAX) {
        const [path] = await this.#components.db.keys({ keyEncoding: 'utf8', gte, limit: 1 }).all()
        if (path === undefined) break
        const slash = path.indexOf('/')
        const name = slash === -1 ? path : path.slice(0, slash)
        // The character after '/' ends the sublevel; a key without '/' is a foreign one, passed over alone.
        gte = slash === -1 ? `${path}\0` : `${name}0`
        if (name !== 'manifest') names.push(name)
      }
    } catch (error) {
      throw storageError(error, 'reading the database')
    }
    return names
  }
}

function acceptedAfter({ accepted }: Manifest, { settlements }: OpenBatch): ReadonlySet<string> {
  const more = [...settlements].flatMap(([name, settlement]) =>
    settlement.accepted.map((number) => `${name}/${number}`)
  )
  return more.length === 0 ? accepted : new Set([...accepted, ...more])
}

function sameOrBothAbsent(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === undefined || right === undefined ? left === right : sameBytes(left, right)
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}
