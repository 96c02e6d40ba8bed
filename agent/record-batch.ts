/**
 * One state change while it is being filled.
 *
 * @module
 */
import type { AbstractSnapshot } from 'abstract-level'
import type { SublevelState } from './record-manifest.ts'

/** Bytes of one record's JSON. A document of 1,000 versions takes about a third of it. */
export const RECORD_BYTES_MAX = 1_048_576
/** Records one batch may touch; a state change is a handful, an import some thousands. */
export const BATCH_OPERATIONS_MAX = 20_000

/** All writes of one state change. Nothing is visible, in memory or on disk, until the batch is durable. */
export interface Batch {
  /** Runs after the batch is durable, in the order given: the place to update memory and emit events. */
  afterwards(work: () => void): void
}

/** Encoding names of `abstract-level`; these two are the only ones used. */
interface RecordEncodings {
  readonly keyEncoding?: 'utf8'
  readonly valueEncoding?: 'view'
}

/** Which keys; all when nothing is said. `limit` -1 is no limit. */
interface RecordRange {
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly reverse?: boolean
  readonly limit?: number
}

/** Reads in key order; `db.iterator` and `db.keys` of `abstract-level`. */
interface RecordIterator<T> extends AsyncIterable<T> {
  nextv(size: number): Promise<T[]>
  all(): Promise<T[]>
  close(): Promise<void>
}

/**
 * What is used of an `abstract-level` database with text keys and binary values. Its own type names the
 * concrete database in so many places that no subclass of it fits; this one every `abstract-level` does.
 */
export interface RecordDatabase {
  get(
    key: string,
    options: RecordEncodings & { snapshot?: AbstractSnapshot }
  ): Promise<Uint8Array | undefined>
  batch(
    operations: Operation[],
    options: RecordEncodings & { readonly sync?: boolean }
  ): Promise<void>
  iterator(
    options: RecordRange & RecordEncodings & { snapshot?: AbstractSnapshot }
  ): RecordIterator<[string, Uint8Array]>
  keys(options: RecordRange & Pick<RecordEncodings, 'keyEncoding'>): RecordIterator<string>
  clear(): Promise<void>
  snapshot(): AbstractSnapshot
  open(): Promise<void>
  close(): Promise<void>
}

/** A write, as the database takes it. */
export type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string }

/** One record of one collection, staged; without `write` it is deleted. */
export interface Staged {
  readonly sublevel: string
  /** Sealed bytes and their keyed digest. */
  readonly write?: { readonly sealed: Uint8Array; readonly digest: bigint }
  /** Digest of what the manifest counts at this place; `undefined` when it counts nothing there. */
  readonly digestBefore: () => bigint | undefined
  /** Brings memory to the staged state. */
  apply(): void
  /** Stages what memory holds, to undo this. */
  restage(batch: OpenBatch): void
}

/** What a batch appends to one sequence. */
export interface Appended {
  readonly sequence: { readonly name: string; apply(last: number, head: string): void }
  readonly entries: Array<{ readonly path: string; readonly sealed: Uint8Array }>
  /** Number of the last entry once the batch is durable, and SHA-256 of its sealed bytes. */
  readonly last: number
  readonly head: string
}

/** What a sublevel gives up when its losses are accepted. */
export interface Settlement {
  /** What it holds now, to be held to from here on; `undefined`: what the manifest says stays. */
  readonly state?: SublevelState
  /** Database keys of what does not open and goes. */
  readonly removed: readonly string[]
  /** Numbers of lost entries. */
  readonly accepted: readonly string[]
}

/** A sublevel as its records know it. */
export interface OpenSublevel {
  /** What accepting these damaged names comes to. */
  settle(damaged: readonly string[]): Settlement
  /** The settlement is durable. */
  settled(): void
  forget(): void
}

/** What collections and sequences need of the records they belong to. */
export interface SublevelHost {
  /** The batch behind the interface; throws for one of other records or outside of its change. */
  batch(batch: Batch): OpenBatch
  /** Throws `vault-sealed` once closed. */
  mustBeOpen(): void
  /** What the sublevel should hold; `undefined` when the manifest was lost or does not know it. */
  expected(sublevel: string): SublevelState | undefined
  /** Takes what was found as what should be. */
  adopt(sublevel: string, state: SublevelState): void
  /** Names a damaged record, once. */
  name(sublevel: string, key: string, reason: string): void
  /** Entries of a sublevel in key order, a page at a time. Throws `storage-failed`. */
  scan(
    sublevel: string,
    options?: { from?: string; to?: string; reverse?: boolean; limit?: number }
  ): AsyncIterable<ReadonlyArray<readonly [path: string, sealed: Uint8Array]>>
  /** Stored names of a sublevel, ascending, without reading the records. Throws `storage-failed`. */
  names(sublevel: string): AsyncIterable<string>
}

/** The only implementation of {@link Batch}: what is staged, by database key. */
export class OpenBatch implements Batch {
  readonly owner: SublevelHost
  readonly staged = new Map<string, Staged>()
  readonly appended = new Map<string, Appended>()
  readonly after: Array<() => void> = []
  /** Losses taken as they are, by sublevel. */
  settlements: ReadonlyMap<string, Settlement> = new Map()
  ended = false
  #operations = 0

  constructor(owner: SublevelHost) {
    this.owner = owner
  }

  afterwards(work: () => void): void {
    this.#mustBeOpen()
    this.after.push(work)
  }

  stage(path: string, staged: Staged): void {
    this.#count()
    this.staged.set(path, staged)
  }

  append(appended: Appended): void {
    this.#count()
    this.appended.set(appended.sequence.name, appended)
  }

  #count(): void {
    this.#mustBeOpen()
    if (++this.#operations > BATCH_OPERATIONS_MAX)
      throw new RangeError(`a batch of more than ${BATCH_OPERATIONS_MAX} operations`)
  }

  #mustBeOpen(): void {
    if (this.ended) throw new TypeError('the batch has ended: it was used outside of its change')
  }
}

/** The writes of a batch, without the manifest. */
export function operationsOf(batch: OpenBatch): Operation[] {
  const operations: Operation[] = []
  for (const { removed } of batch.settlements.values())
    for (const key of removed) operations.push({ type: 'del', key })
  for (const [key, { write }] of batch.staged)
    operations.push(
      write === undefined ? { type: 'del', key } : { type: 'put', key, value: write.sealed }
    )
  for (const { entries } of batch.appended.values())
    for (const { path, sealed } of entries)
      operations.push({ type: 'put', key: path, value: sealed })
  return operations
}
