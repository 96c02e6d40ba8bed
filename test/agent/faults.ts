/**
 * Storage with faults played back at will: a database, a block store and small files that count their
 * writes, fail or crash at the nth, and hold bytes that a test can change.
 */
import { Buffer } from 'node:buffer'
import { createHash, randomBytes } from 'node:crypto'
import { MemoryLevel } from 'memory-level'
import { BaseBlockstore } from 'blockstore-core'
import { NotFoundError } from 'interface-store'
import type { InputPair, Pair } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { Clock, Logger, Random, SmallFiles } from '../../agent/components.ts'

/** Thrown where a test lets the machine stop: nothing after it happens. */
export class Crash extends Error {}

/** An error as the system words it. */
export function systemError(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code })
}

export const noSpace = (): Error => systemError('ENOSPC', 'no space left on device, write')

/**
 * Counts the writes of all stores that share it, and lets the test decide about each: `plan` is asked
 * before the nth write (from 1) and throws to make it fail. After a {@link Crash} every write fails.
 */
export class Writes {
  count = 0
  crashed = false
  plan: (write: number, what: string) => void = () => undefined
  readonly names: string[] = []

  /** Asked after the nth write took effect; may throw {@link Crash}. */
  planAfter: (write: number) => void = () => undefined

  /** To be called when the write has taken effect: the machine may stop before anyone hears of it. */
  done(): void {
    try {
      this.planAfter(this.count)
    } catch (error) {
      if (error instanceof Crash) this.crashed = true
      throw error
    }
  }

  next(what: string): void {
    if (this.crashed) throw new Crash(`after the crash: ${what}`)
    this.count++
    this.names.push(what)
    try {
      this.plan(this.count, what)
    } catch (error) {
      if (error instanceof Crash) this.crashed = true
      throw error
    }
  }
}

/**
 * A database in memory whose batches can fail, before or after they took effect: `batchFails` returns
 * `written` true for a batch that reaches the disk although the caller is told that it failed.
 */
export class FaultyLevel extends MemoryLevel<string, Uint8Array> {
  readonly writes: Writes
  batchFails: (() => { error: Error; written: boolean } | undefined) | undefined
  openFails: (() => Error | undefined) | undefined
  opens = 0

  constructor(writes = new Writes()) {
    super({ keyEncoding: 'utf8', valueEncoding: 'view', storeEncoding: 'view' })
    this.writes = writes
    const superBatch: unknown = Reflect.get(MemoryLevel.prototype, 'batch')
    if (typeof superBatch !== 'function') throw new TypeError('MemoryLevel has no batch method')
    const open = super.open.bind(this)
    // The overloads of AbstractLevel.batch cannot be overridden by a method that has only one of them.
    Object.assign(this, {
      batch: async (operations: readonly unknown[], options: object): Promise<void> => {
        this.writes.next(`batch of ${operations.length}`)
        const failure = this.batchFails?.()
        if (failure === undefined || failure.written)
          await Reflect.apply(superBatch, this, [operations, options])
        if (failure !== undefined) throw failure.error
        this.writes.done()
      },
      open: async (): Promise<void> => {
        this.opens++
        const failure = this.openFails?.()
        if (failure !== undefined) throw failure
        await open()
      }
    })
  }

  /** Every key and value as stored. */
  async contents(): Promise<Array<[string, Uint8Array]>> {
    return await this.iterator().all()
  }
}

/** A block store in memory that, like the one on disk, gives back only blocks that have their hash. */
export class FaultyBlocks extends BaseBlockstore {
  readonly blocks = new Map<string, { cid: CID; bytes: Uint8Array }>()
  readonly writes: Writes
  /** Blocks read so far. */
  reads = 0
  /** Asked before a read; throws to make it fail. */
  readFails: (cid: CID) => void = () => undefined
  /** Whether reads check the hash, as the store on disk does. */
  verifies = true
  /** Puts going on at this moment, and the most there ever were. */
  putsNow = 0
  putsMax = 0

  constructor(writes = new Writes()) {
    super()
    this.writes = writes
  }

  override async put(
    cid: CID,
    value: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  ): Promise<CID> {
    this.putsMax = Math.max(this.putsMax, ++this.putsNow)
    try {
      const parts: Uint8Array[] = []
      if (value instanceof Uint8Array) parts.push(value)
      else for await (const part of value) parts.push(part)
      // A disk takes a while: the others go on meanwhile.
      await new Promise(setImmediate)
      this.writes.next(`put ${cid.toString()}`)
      this.blocks.set(cid.toString(), { cid, bytes: new Uint8Array(Buffer.concat(parts)) })
      this.writes.done()
      return cid
    } finally {
      this.putsNow--
    }
  }

  override async *get(cid: CID): AsyncGenerator<Uint8Array> {
    this.reads++
    this.readFails(cid)
    const block = this.blocks.get(cid.toString())
    if (block === undefined) throw new NotFoundError(`no block ${cid.toString()}`)
    const digest = createHash('sha256').update(block.bytes).digest()
    if (this.verifies && !digest.equals(cid.multihash.digest))
      throw new NotFoundError(`damaged block ${cid.toString()}`)
    yield block.bytes
  }

  override async has(cid: CID): Promise<boolean> {
    return this.blocks.has(cid.toString())
  }

  override async delete(cid: CID): Promise<void> {
    this.writes.next(`delete ${cid.toString()}`)
    this.blocks.delete(cid.toString())
    this.writes.done()
  }

  override async *getAll(): AsyncGenerator<Pair> {
    for (const { cid } of this.blocks.values()) yield { cid, bytes: this.get(cid) }
  }

  override async *putMany(
    source: Iterable<InputPair> | AsyncIterable<InputPair>
  ): AsyncGenerator<CID> {
    for await (const { cid, bytes } of source) yield this.put(cid, bytes)
  }

  /** Flips one bit of a stored block. */
  flip(cid: string, offset = 0): void {
    const block = this.blocks.get(cid)
    if (block === undefined) throw new Error(`no block ${cid} to flip`)
    block.bytes[offset] = (block.bytes[offset] ?? 0) ^ 1
  }
}

/** Small files in memory. */
export class MemoryFiles implements SmallFiles {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>()
  writeFails: (() => Error | undefined) | undefined

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.files.get(name)
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const failure = this.writeFails?.()
    if (failure !== undefined) throw failure
    this.files.set(name, new Uint8Array(bytes))
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name)
  }

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()]
  }
}

/** A clock moved by hand. */
export class ManualClock implements Clock {
  #now: number
  #timers: Array<{ at: number; work: () => void }> = []

  constructor(start = '2026-11-23T12:00:00.000Z') {
    this.#now = Date.parse(start)
  }

  now(): Date {
    return new Date(this.#now)
  }

  after(delayMs: number, work: () => void): () => void {
    const timer = { at: this.#now + delayMs, work }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Moves on, running what falls due on the way in order. */
  advance(byMs: number): void {
    const end = this.#now + byMs
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = next.at
      next.work()
    }
    this.#now = end
  }
}

export const secureRandom: Random = (sizeBytes) => new Uint8Array(randomBytes(sizeBytes))

/** A log that remembers its events. */
export class RecordingLogger implements Logger {
  readonly events: Array<{ level: string; event: string; fields: object }> = []

  debug(event: string, fields: object = {}): void {
    this.events.push({ level: 'debug', event, fields })
  }

  info(event: string, fields: object = {}): void {
    this.events.push({ level: 'info', event, fields })
  }

  warn(event: string, fields: object = {}): void {
    this.events.push({ level: 'warn', event, fields })
  }

  error(event: string, fields: object = {}): void {
    this.events.push({ level: 'error', event, fields })
  }
}
