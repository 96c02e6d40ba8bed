/**
 * An append-only sequence: the audit log and what else only grows.
 *
 * At opening the numbers on the disk are counted against the manifest and the last entry is compared with
 * it, so a cut tail, a gap or a foreign entry is named. The entries in between are authenticated when
 * they are read; who needs more chains them by {@link Sequence.head}, as agent/audit.ts does.
 *
 * @module
 */
import type { ZodType } from 'zod'
import {
  type Batch,
  type OpenSublevel,
  RECORD_BYTES_MAX,
  type Settlement,
  type SublevelHost
} from './record-batch.ts'
import { deepFreeze, reasonOf, type SublevelComponents } from './record-collection.ts'
import { type RecordSeal, SEAL_BYTES, sealedHash } from './record-seal.ts'

const NUMBER_DIGITS = 12
const NUMBER_MAX = 10 ** NUMBER_DIGITS - 1
const NUMBER = /^[0-9]{12}$/
/** Missing entries named one by one. */
const MISSING_NAMED_MAX = 100

/** An append-only sequence, read from disk in pages; nothing but its head is held in memory. */
export interface Sequence<T> {
  /** Number of the last entry; 0 when empty. Entries count from 1 without gaps. */
  readonly last: number
  /** Number the entry gets. At most one append per batch and sequence is not a rule: several may follow. */
  append(batch: Batch, value: T): number
  /**
   * SHA-256 of the last sealed entry, hex, for a hash chain; empty before the first. With `batch`, what
   * it will be when the batch ends.
   */
  head(batch?: Batch): string
  /**
   * Entries with `from <= number <= to`, newest first when `reverse`. `hash` is the SHA-256 of the
   * sealed entry. A damaged entry is left out and named in {@link Records.damaged}.
   */
  read(options: {
    from?: number
    to?: number
    reverse?: boolean
    limit: number
  }): AsyncIterable<{ number: number; value: T; hash: string }>
}

/** The one implementation of {@link Sequence}. */
export class SealedSequence<T> implements Sequence<T>, OpenSublevel {
  readonly name: string
  readonly #schema: ZodType<T>
  readonly #seal: RecordSeal
  readonly #records: SublevelHost
  #last = 0
  #head = ''

  constructor(components: SublevelComponents<T>) {
    this.name = components.name
    this.#schema = components.schema
    this.#seal = components.seal
    this.#records = components.records
  }

  async load(): Promise<void> {
    const expected = this.#records.expected(this.name)
    let highest = 0
    let found = ''
    try {
      highest = await this.#countNumbers(expected?.count)
      for await (const page of this.#records.scan(this.name, { reverse: true, limit: 1 }))
        for (const [, sealed] of page) found = sealedHash(sealed)
    } catch (error) {
      this.#records.name(this.name, '*', reasonOf(error))
    }
    // A number is given once: after a loss, counting goes on behind the highest ever used.
    this.#last = Math.max(highest, expected?.count ?? 0)
    this.#head = expected?.digest ?? found
    if (expected === undefined) {
      if (highest > 0) this.#records.adopt(this.name, { count: highest, digest: found })
    } else if (highest === expected.count && found !== expected.digest)
      this.#records.name(this.name, numberText(highest), 'the last entry is not the one written')
  }

  get last(): number {
    this.#records.mustBeOpen()
    return this.#last
  }

  append(batch: Batch, value: T): number {
    const open = this.#records.batch(batch)
    const before = open.appended.get(this.name)
    const number = (before?.last ?? this.#last) + 1
    if (number > NUMBER_MAX) throw new RangeError(`${this.name} is full`)
    const path = `${this.name}/${numberText(number)}`
    const checked = this.#decode(JSON.stringify([number, value]), number)
    const text = JSON.stringify([number, checked])
    if (Buffer.byteLength(text) > RECORD_BYTES_MAX)
      throw new RangeError(`an entry of ${this.name} takes more than ${RECORD_BYTES_MAX} bytes`)
    const sealed = this.#seal.seal(path, text)
    const entries = before?.entries ?? []
    entries.push({ path, sealed })
    open.append({ sequence: this, entries, last: number, head: sealedHash(sealed) })
    return number
  }

  head(batch?: Batch): string {
    if (batch === undefined) return this.#head
    return this.#records.batch(batch).appended.get(this.name)?.head ?? this.#head
  }

  async *read(options: {
    from?: number
    to?: number
    reverse?: boolean
    limit: number
  }): AsyncGenerator<{ number: number; value: T; hash: string }> {
    const { from = 1, to = this.#last, reverse = false, limit } = options
    if (from > to || limit <= 0) return
    const range = { from: numberText(from), to: numberText(to), reverse, limit }
    for await (const page of this.#records.scan(this.name, range))
      for (const [path, sealed] of page) {
        const entry = this.#open(path, sealed)
        if (entry !== undefined) yield entry
      }
  }

  apply(last: number, head: string): void {
    this.#last = last
    this.#head = head
  }

  /** Numbers are never given again, so a lost entry can only be accepted; what is no number goes. */
  settle(damaged: readonly string[]): Settlement {
    const names = damaged.filter((name) => name !== '*')
    return {
      removed: names.filter((name) => !NUMBER.test(name)).map((name) => `${this.name}/${name}`),
      accepted: names.filter((name) => NUMBER.test(name))
    }
  }

  settled(): void {
    // Nothing of the losses is held here.
  }

  forget(): void {
    this.#head = ''
  }

  #open(path: string, sealed: Uint8Array): { number: number; value: T; hash: string } | undefined {
    const name = path.slice(this.name.length + 1)
    try {
      if (sealed.length > RECORD_BYTES_MAX + SEAL_BYTES)
        throw new RangeError(`an entry of ${sealed.length} bytes`)
      const number = Number(name)
      const value = this.#decode(this.#seal.open(path, sealed), number)
      return { number, value, hash: sealedHash(sealed) }
    } catch (error) {
      this.#records.name(this.name, name, reasonOf(error))
      return undefined
    }
  }

  /** Walks the numbers on the disk, naming gaps, a missing tail and what is no number; returns the highest. */
  async #countNumbers(expected: number | undefined): Promise<number> {
    let highest = 0
    let named = 0
    const missing = (upTo: number): void => {
      for (let number = highest + 1; number < upTo && named < MISSING_NAMED_MAX; number++, named++)
        this.#records.name(this.name, numberText(number), 'the entry is missing')
    }
    for await (const name of this.#records.names(this.name)) {
      if (!NUMBER.test(name) || Number(name) === 0) {
        this.#records.name(this.name, name, 'not an entry of this sequence')
        continue
      }
      const number = Number(name)
      missing(number)
      if (expected !== undefined && number > expected)
        this.#records.name(this.name, name, 'an entry that the manifest does not know')
      highest = number
    }
    if (expected !== undefined) missing(expected + 1)
    return highest
  }

  #decode(text: string, number: number): T {
    const inside: unknown = JSON.parse(text)
    if (!Array.isArray(inside) || inside.length !== 2 || inside[0] !== number)
      throw new TypeError('not a number and a value')
    return deepFreeze(this.#schema.parse(inside[1]))
  }
}

function numberText(number: number): string {
  return String(number).padStart(NUMBER_DIGITS, '0')
}
