/**
 * One feature's records, held decrypted in memory.
 *
 * @module
 */
import type { ZodType } from 'zod'
import { LockerError } from './errors.ts'
import {
  type Batch,
  type OpenSublevel,
  RECORD_BYTES_MAX,
  type Settlement,
  type SublevelHost
} from './record-batch.ts'
import { type RecordSeal, SEAL_BYTES } from './record-seal.ts'

/** Characters of a collection's key; the longest are did:peer:2 with several services. */
export const KEY_LENGTH_MAX = 4_096
/** Records of one collection: memory holds them all, at about 1 KiB each. */
const COLLECTION_RECORDS_MAX = 1_000_000

/**
 * One feature's records, decrypted in memory. Reads see what is durable; a `put` in a batch that has
 * not ended is not seen. Values are validated with the collection's schema on read as on write, and
 * frozen: only a batch changes them.
 */
export interface Collection<T> {
  get(key: string): T | undefined
  entries(): IterableIterator<[key: string, value: T]>
  readonly size: number
  put(batch: Batch, key: string, value: T): void
  delete(batch: Batch, key: string): void
}

/** What a sublevel is opened with. */
export interface SublevelComponents<T> {
  readonly name: string
  readonly schema: ZodType<T>
  readonly seal: RecordSeal
  readonly records: SublevelHost
}

/** The one implementation of {@link Collection}. */
export class SealedCollection<T> implements Collection<T>, OpenSublevel {
  readonly name: string
  readonly #schema: ZodType<T>
  readonly #seal: RecordSeal
  readonly #records: SublevelHost
  readonly #entries = new Map<string, { readonly value: T; readonly digest: bigint }>()
  /** Digests of records that do not open, by path. */
  readonly #damaged = new Map<string, bigint>()
  /** How far the manifest's digest is from what was found, when the counts agree. */
  #difference = 0n

  constructor(components: SublevelComponents<T>) {
    this.name = components.name
    this.#schema = components.schema
    this.#seal = components.seal
    this.#records = components.records
  }

  async load(): Promise<void> {
    let count = 0
    let digest = 0n
    try {
      for await (const page of this.#records.scan(this.name))
        for (const [path, sealed] of page) {
          const recordDigest = this.#seal.digest(path, sealed)
          count++
          digest ^= recordDigest
          this.#loadOne(path, sealed, recordDigest)
        }
    } catch (error) {
      // A page the database cannot read costs the records behind it, not the whole locker.
      this.#records.name(this.name, '*', reasonOf(error))
    }
    this.#compare(count, digest)
  }

  get(key: string): T | undefined {
    this.#records.mustBeOpen()
    return this.#entries.get(key)?.value
  }

  *entries(): IterableIterator<[key: string, value: T]> {
    this.#records.mustBeOpen()
    for (const [key, { value }] of this.#entries) yield [key, value]
  }

  get size(): number {
    return this.#entries.size
  }

  put(batch: Batch, key: string, value: T): void {
    if (key.length === 0 || key.length > KEY_LENGTH_MAX)
      throw new RangeError(`a key of ${key.length} characters in ${this.name}`)
    if (this.#entries.size >= COLLECTION_RECORDS_MAX && !this.#entries.has(key))
      throw new LockerError(
        'storage-full',
        `${this.name} holds ${COLLECTION_RECORDS_MAX} records, the most it can`
      )
    const path = this.#path(key)
    const checked = this.#decode(JSON.stringify([key, value]))
    const text = JSON.stringify([key, checked.value])
    if (Buffer.byteLength(text) > RECORD_BYTES_MAX)
      throw new RangeError(`a record of ${this.name} takes more than ${RECORD_BYTES_MAX} bytes`)
    const sealed = this.#seal.seal(path, text)
    const digest = this.#seal.digest(path, sealed)
    const entry = { value: checked.value, digest }
    this.#records.batch(batch).stage(path, {
      sublevel: this.name,
      write: { sealed, digest },
      digestBefore: () => this.#digestOf(key, path),
      apply: () => {
        this.#repaired(path)
        this.#entries.set(key, entry)
      },
      restage: (undoing) => this.#restage(undoing, key)
    })
  }

  delete(batch: Batch, key: string): void {
    const path = this.#path(key)
    this.#records.batch(batch).stage(path, {
      sublevel: this.name,
      digestBefore: () => this.#digestOf(key, path),
      apply: () => {
        this.#repaired(path)
        this.#entries.delete(key)
      },
      restage: (undoing) => this.#restage(undoing, key)
    })
  }

  settle(): Settlement {
    let digest = 0n
    for (const entry of this.#entries.values()) digest ^= entry.digest
    return {
      state: { count: this.#entries.size, digest: digestText(digest) },
      removed: [...this.#damaged.keys()],
      accepted: []
    }
  }

  settled(): void {
    this.#damaged.clear()
    this.#difference = 0n
  }

  forget(): void {
    this.#entries.clear()
  }

  #digestOf(key: string, path: string): bigint | undefined {
    const entry = this.#entries.get(key)
    if (entry !== undefined) return entry.digest
    const damaged = this.#damaged.get(path)
    if (damaged === undefined) return undefined
    // What the manifest counts is the record as it was before the damage, so the difference goes with it; of
    // several damaged ones it goes with the first alone, or it would cancel out.
    return this.#carriesDifference(path) ? damaged ^ this.#difference : damaged
  }

  /** A damaged record has been replaced: with the first of them the manifest says what is there. */
  #repaired(path: string): void {
    if (this.#carriesDifference(path)) this.#difference = 0n
    this.#damaged.delete(path)
  }

  #carriesDifference(path: string): boolean {
    const [first] = this.#damaged.keys()
    return first === path
  }

  #restage(undoing: Batch, key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) this.delete(undoing, key)
    else this.put(undoing, key, entry.value)
  }

  #path(key: string): string {
    return `${this.name}/${this.#seal.name(key)}`
  }

  #loadOne(path: string, sealed: Uint8Array, digest: bigint): void {
    try {
      if (sealed.length > RECORD_BYTES_MAX + SEAL_BYTES)
        throw new RangeError(`a record of ${sealed.length} bytes`)
      const { key, value } = this.#decode(this.#seal.open(path, sealed))
      this.#entries.set(key, { value, digest })
    } catch (error) {
      this.#damaged.set(path, digest)
      this.#records.name(this.name, path.slice(this.name.length + 1), reasonOf(error))
    }
  }

  #compare(count: number, digest: bigint): void {
    const expected = this.#records.expected(this.name)
    if (expected === undefined) {
      if (count > 0) this.#records.adopt(this.name, { count, digest: digestText(digest) })
      return
    }
    if (expected.count !== count) {
      const reason = `${count} records where ${expected.count} should be`
      this.#records.name(this.name, '*', reason)
      return
    }
    this.#difference = digest ^ BigInt(`0x${expected.digest}`)
    if (this.#difference !== 0n && this.#damaged.size === 0)
      this.#records.name(this.name, '*', 'a record is not the one last written')
  }

  #decode(text: string): { key: string; value: T } {
    const inside: unknown = JSON.parse(text)
    if (!Array.isArray(inside) || inside.length !== 2 || typeof inside[0] !== 'string')
      throw new TypeError('not a key and a value')
    return { key: inside[0], value: deepFreeze(this.#schema.parse(inside[1])) }
  }
}

/** 128 bits as the manifest writes them. */
export function digestText(digest: bigint): string {
  return digest.toString(16).padStart(32, '0')
}

/** Why a record does not open, for the list of damages: never what it says. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'ZodError') return 'its content is not as expected'
  if (error instanceof SyntaxError) return 'its content is not JSON'
  return error instanceof Error ? error.message : String(error)
}

/** A change of memory that is not on the disk must not be possible, not even by mistake. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
