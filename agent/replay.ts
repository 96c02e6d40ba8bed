/**
 * What has been received: a message that comes again changes nothing (DIDComm v2.1 "Message IDs").
 *
 * Sublevel `received`, one record a message, keyed by an HMAC of sender and message id. It is written in the
 * batch of the message's effect, so a crash leaves both or neither. Kept until the message would be refused
 * as late anyway, and at least {@link REMEMBERED_MS}, both plus the clock skew that is forgiven. Messages of
 * stateless protocols (a ping) are remembered in memory only: taking one twice harms nothing.
 *
 * @module
 */
import { createHmac } from 'node:crypto'
import { base32nopad } from '@scure/base'
import { z } from 'zod'
import type { Clock, Logger } from './components.ts'
import type { Batch, Collection, Records } from './records.ts'
import { CLOCK_SKEW_MS } from '../protocols/message.ts'

/** How long an id is remembered at least, milliseconds: as long as an outbox keeps trying. */
const REMEMBERED_MS = 7 * 24 * 3_600_000

/** Ids remembered, over all senders; they are read at every opening, some 60 µs each. */
const REMEMBERED_MAX = 50_000

/** Ids remembered of one sender, so that none can fill the memory of all. */
const REMEMBERED_PER_SENDER_MAX = 10_000

/** Ids of stateless messages remembered, in memory; the oldest go first. */
const STATELESS_MAX = 10_000

/** Expired ids removed in one batch. */
const SWEEP_BATCH = 1_000
const SWEEP_MS = 3_600_000

const receivedRecord = z.strictObject({
  from: z.string(),
  /** Milliseconds since 1970. */
  until: z.int().positive(),
  /** With what it was refused; the same answer is given again. */
  refused: z.exactOptional(z.strictObject({ problem: z.string(), comment: z.string() }))
})

type Received = z.infer<typeof receivedRecord>

export interface ReplayComponents {
  readonly records: Records
  readonly clock: Clock
  readonly logger: Logger
  /** 32 bytes; keys the HMAC, so that the database does not show who writes how often. */
  readonly key: Uint8Array
  /** Defaults {@link REMEMBERED_MAX} and {@link REMEMBERED_PER_SENDER_MAX}. */
  readonly limits?: { readonly total?: number; readonly perSender?: number }
}

/** Reads what is remembered and forgets what has expired. */
export async function openReplayMemory(components: ReplayComponents): Promise<ReplayMemory> {
  const received = await components.records.collection('received', receivedRecord)
  const memory = new ReplayMemory(components, received)
  await memory.sweep()
  return memory
}

export class ReplayMemory {
  readonly #components: ReplayComponents
  readonly #received: Collection<Received>
  readonly #perSender = new Map<string, number>()
  readonly #stateless = new Map<string, Received['refused']>()
  #cancelSweep: () => void = () => {}
  #sweeping: Promise<void> = Promise.resolve()
  #closed = false

  constructor(components: ReplayComponents, received: Collection<Received>) {
    this.#components = components
    this.#received = received
    for (const [, { from }] of received.entries()) this.#count(from, 1)
  }

  /** `undefined`: new. `refused` is set when it was refused. */
  known(from: string, id: string): { readonly refused?: Received['refused'] } | undefined {
    const key = this.#keyOf(from, id)
    if (this.#stateless.has(key)) return { refused: this.#stateless.get(key) }
    const record = this.#received.get(key)
    return record === undefined ? undefined : { refused: record.refused }
  }

  /** Whether no further message of this sender can be remembered, so that none may be taken. */
  full(from: string): boolean {
    const { total = REMEMBERED_MAX, perSender = REMEMBERED_PER_SENDER_MAX } =
      this.#components.limits ?? {}
    return this.#received.size >= total || (this.#perSender.get(from) ?? 0) >= perSender
  }

  /** Remembers a message in the batch of its effect. The caller has checked {@link full}. */
  remember(
    batch: Batch,
    message: { readonly from: string; readonly id: string; readonly expiresTime?: Date },
    refused?: { readonly problem: string; readonly comment: string }
  ): void {
    const earliest = this.#components.clock.now().getTime() + REMEMBERED_MS
    const until = Math.max(message.expiresTime?.getTime() ?? 0, earliest) + CLOCK_SKEW_MS
    this.#received.put(batch, this.#keyOf(message.from, message.id), {
      from: message.from,
      until,
      ...(refused === undefined ? {} : { refused: { ...refused } })
    })
    batch.afterwards(() => this.#count(message.from, 1))
  }

  /** Remembers a message that changes nothing. */
  rememberStateless(
    message: { readonly from: string; readonly id: string },
    refused?: Received['refused']
  ): void {
    this.#stateless.set(this.#keyOf(message.from, message.id), refused)
    const [oldest] = this.#stateless.keys()
    if (this.#stateless.size > STATELESS_MAX && oldest !== undefined) this.#stateless.delete(oldest)
  }

  /** Forgets what has expired, and comes back in an hour. */
  async sweep(): Promise<void> {
    const { clock, records, logger } = this.#components
    const nowMs = clock.now().getTime()
    const expired = [...this.#received.entries()].filter(([, { until }]) => until < nowMs)
    for (let start = 0; start < expired.length; start += SWEEP_BATCH)
      await records.change((batch) => {
        for (const [key, { from }] of expired.slice(start, start + SWEEP_BATCH)) {
          this.#received.delete(batch, key)
          batch.afterwards(() => this.#count(from, -1))
        }
      })
    if (this.#closed) return
    this.#cancelSweep = clock.after(SWEEP_MS, () => {
      this.#sweeping = this.sweep().catch((error: unknown) => {
        logger.error('received-not-swept', { error: String(error) })
      })
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelSweep()
    this.#stateless.clear()
    await this.#sweeping
  }

  #count(from: string, change: 1 | -1): void {
    const count = (this.#perSender.get(from) ?? 0) + change
    if (count > 0) this.#perSender.set(from, count)
    else this.#perSender.delete(from)
  }

  #keyOf(from: string, id: string): string {
    const digest = createHmac('sha256', this.#components.key).update(`${from}\0${id}`).digest()
    return base32nopad.encode(digest.subarray(0, 20)).toLowerCase()
  }
}
