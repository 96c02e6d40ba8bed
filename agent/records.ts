/**
 * Sealed records over one `abstract-level` database: every value encrypted, every state change one
 * durable batch.
 *
 * @module
 */
import type { ZodType } from 'zod'

/** All writes of one state change. Nothing is visible, in memory or on disk, until the batch is durable. */
export interface Batch {
  /** Runs after the batch is durable, in the order given: the place to update memory and emit events. */
  afterwards(work: () => void): void
}

/**
 * One feature's records, decrypted in memory. Reads see what is durable; a `put` in a batch that has
 * not ended is not seen. Values are validated with the collection's schema on read as on write.
 */
export interface Collection<T> {
  get(key: string): T | undefined
  entries(): IterableIterator<[key: string, value: T]>
  readonly size: number
  put(batch: Batch, key: string, value: T): void
  delete(batch: Batch, key: string): void
}

/** An append-only sequence, read from disk in pages; nothing but its head is held in memory. */
export interface Sequence<T> {
  /** Number of the last entry; 0 when empty. Entries count from 1 without gaps. */
  readonly last: number
  /** Number the entry gets. At most one append per batch and sequence is not a rule: several may follow. */
  append(batch: Batch, value: T): number
  /** Entries with `from <= number <= to`, newest first when `reverse`. */
  read(options: {
    from?: number
    to?: number
    reverse?: boolean
    limit: number
  }): AsyncIterable<{ number: number; value: T }>
}

export interface Records {
  /** Opens a sublevel: decrypts and validates every record. Damaged records are set aside and named in {@link damaged}. */
  collection<T>(name: string, schema: ZodType<T>): Promise<Collection<T>>
  sequence<T>(name: string, schema: ZodType<T>): Promise<Sequence<T>>
  /**
   * Runs one state change: `work` fills the batch, then everything is written with `{ sync: true }`, or
   * nothing. Changes run one after the other, so what `work` reads cannot move under it. A change
   * inside a change is an error.
   */
  change<T>(work: (batch: Batch) => T | Promise<T>): Promise<T>
  /** Records that could not be opened or that the manifest misses, by sublevel and key. */
  readonly damaged: ReadonlyArray<{ sublevel: string; key: string; reason: string }>
  close(): Promise<void>
}
