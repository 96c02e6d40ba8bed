/**
 * The outbox: messages on their way to parties that may be away.
 *
 * Sublevel `outbox`, one record a message, keyed by the message's id. Messages to one contact leave in
 * the order they were queued, one at a time; messages to different contacts do not wait for each other.
 * A message is packed when it is sent, so that keys and addresses are those in force then.
 *
 * | state     | meaning                                                              | leaves it by                  |
 * |-----------|----------------------------------------------------------------------|-------------------------------|
 * | `waiting` | queued; `nextAttemptAt` when an attempt has failed                   | attempt, expiry               |
 * | `sending` | an attempt is under way; in memory only                              | its outcome                   |
 * | `sent`    | a transport has taken it; `acknowledgedAt` once the other side said so | a problem report, 24 h later  |
 * | `failed`  | expired, too large, or refused by the other side; says why           | {@link Outbox.retry}, 7 days  |
 *
 * A transport takes an envelope before the other agent has processed it, and that agent may be killed in
 * between. So a message asks for an acknowledgement and goes out again, with the same id, until it has
 * one or expires; the other side knows the id and only acknowledges again.
 *
 * @module
 */
import type { Audit } from './audit.ts'
import type { Clock, Logger, Random } from './components.ts'
import type { Delivery, DeliveryOutcome } from './delivery.ts'
import { LockerError } from './errors.ts'
import type { Batch, Collection, Records } from './records.ts'
import { TokenBucket, type Rate } from './token-bucket.ts'
import { newMessageId } from '../protocols/message.ts'
import {
  expired,
  expiredReason,
  factsOf,
  queued,
  queuedOf,
  renewed,
  type OutboxItem,
  type OutgoingMessage,
  type Queued
} from './outbox-item.ts'

export type { OutboxItem, OutgoingMessage } from './outbox-item.ts'

/** Messages that wait, over all contacts; `outbox-full` beyond. */
const OUTBOX_ITEMS_MAX = 10_000

/** Pauses after the first, second, … failed attempt, milliseconds; the last one repeats. */
const RETRY_MS: readonly number[] = [5_000, 30_000, 120_000, 600_000, 3_600_000]

/**
 * When an unacknowledged message goes out again, milliseconds after the last time; the last pause repeats
 * until the message expires, so software that never acknowledges gets a message eleven times in seven days.
 */
const ACKNOWLEDGE_MS: readonly number[] = [
  60_000,
  600_000,
  3_600_000,
  6 * 3_600_000,
  24 * 3_600_000
]

/** How long a message stays listed once it needs no further attempt, milliseconds. */
const SENT_LISTED_MS = 24 * 3_600_000

/** How long a failed message stays listed for the owner to see and retry, milliseconds. */
const FAILED_LISTED_MS = 7 * 24 * 3_600_000

/** A contact that shows up again within this time sets off no further attempt, milliseconds. */
const WAKE_PAUSE_MS = 2_000

/** Below what other agents accept from one sender (50 a second, burst 100: DESIGN §11), so that none is refused. */
const PACE: Rate = { perSecond: 40, burst: 60 }

/** A pause after storing an outcome has failed, milliseconds. */
const STORAGE_PAUSE_MS = 30_000

/** The longest delay a {@link Clock} takes is longer; an hour keeps sweeps regular. */
const SWEEP_MS = 3_600_000

/** What the other features use of the outbox. */
export interface Outbox {
  /**
   * Queues a message for a contact; it is on its way once the batch is durable. Returns its id.
   * Throws `contact-unknown`, `outbox-full`, `envelope-too-large`.
   */
  enqueue(batch: Batch, message: OutgoingMessage): string
  /** Oldest first. */
  list(): readonly OutboxItem[]
  get(id: string): OutboxItem | undefined
  /** Tries a waiting or failed item at once. Throws `not-found`, and `peer-refused` when the other side has said no. */
  retry(id: string): Promise<void>
  /** The contact has shown up: what waits for it is tried at once. */
  wake(did: string): void
  /** Removes what waits for this contact, e.g. because it is being removed. Returns how many. */
  drop(batch: Batch, did: string): number
  /** Whether anything waits for this contact. */
  waitsFor(did: string): boolean
  /** Resolves when nothing waits for this contact, or an attempt has failed, or the time is over. */
  drained(did: string, timeoutMs: number): Promise<void>
  /** Called with an item whose state changed, after the change is durable or visible. Returns what stops it. */
  onChange(listener: (item: OutboxItem) => void): () => void
}

/** What agent/exchanges.ts tells the outbox beside. */
export interface OutboxAnswers {
  /** The contact has processed these messages. */
  acknowledge(batch: Batch, did: string, ids: readonly string[]): void
  /** The contact refuses a message, or a thread this outbox has sent the last message of. */
  refuse(
    batch: Batch,
    did: string,
    report: { ack: readonly string[]; thid: string; code: string; comment: string }
  ): void
}

export interface OutboxComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly delivery: Pick<Delivery, 'deliver'>
  /** The contact a DID belongs or belonged to; with a batch, also one that the batch adds. */
  readonly recipient: (
    did: string,
    batch?: Batch
  ) => { readonly did: string; readonly name: string } | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Default {@link OUTBOX_ITEMS_MAX}. */
  readonly itemsMax?: number
}

/** What waits for one contact, in order. */
interface Lane {
  readonly did: string
  readonly ids: string[]
  readonly pace: TokenBucket
  busy: boolean
  lastAttemptMs: number
  cancelTimer: (() => void) | undefined
}

/** Opens the outbox. Nothing is sent before {@link DurableOutbox.begin}. */
export async function openOutbox(components: OutboxComponents): Promise<DurableOutbox> {
  const items = await components.records.collection('outbox', queued)
  const outbox = new DurableOutbox(components, items)
  await outbox.load()
  return outbox
}

export class DurableOutbox implements Outbox, OutboxAnswers {
  readonly #components: OutboxComponents
  readonly #items: Collection<Queued>
  readonly #lanes = new Map<string, Lane>()
  readonly #sending = new Set<string>()
  readonly #repeatTimers = new Map<string, () => void>()
  readonly #running = new Set<Promise<void>>()
  readonly #listeners = new Set<(item: OutboxItem) => void>()
  /** Items put in a batch that has not ended. */
  readonly #reserved = new WeakMap<Batch, number>()
  #order = 0
  #waiting = 0
  #begun = false
  #closed = false
  #cancelSweep: () => void = () => {}

  constructor(components: OutboxComponents, items: Collection<Queued>) {
    this.#components = components
    this.#items = items
  }

  /** Called once by {@link openOutbox}. */
  async load(): Promise<void> {
    await this.#sweep()
    for (const [id, item] of this.#inOrder()) {
      this.#order = Math.max(this.#order, item.order)
      if (item.state === 'waiting') {
        this.#waiting += 1
        this.#laneOf(item.to).ids.push(id)
      }
    }
  }

  /** Called once, when everything that answers may cause is in place: what was waiting is on its way again. */
  begin(): void {
    this.#begun = true
    for (const [id, item] of this.#items.entries()) this.#scheduleRepeat(id, item)
    for (const lane of this.#lanes.values()) this.#kick(lane)
  }

  enqueue(batch: Batch, message: OutgoingMessage): string {
    const { clock, random, recipient } = this.#components
    const to = recipient(message.to, batch)
    if (to === undefined) throw new LockerError('contact-unknown', `no contact ${message.to}`)
    this.#makeRoom(batch)
    const id = message.id ?? newMessageId(random)
    const order = (this.#order += 1)
    const stored = queuedOf(message, { to: to.did, order, now: clock.now() })
    this.#items.put(batch, id, stored)
    batch.afterwards(() => {
      this.#waiting += 1
      this.#notify(id)
      const lane = this.#laneOf(to.did)
      lane.ids.push(id)
      this.#kick(lane)
    })
    return id
  }

  list(): readonly OutboxItem[] {
    return this.#inOrder().map(([id, item]) => this.#facts(id, item))
  }

  get(id: string): OutboxItem | undefined {
    const item = this.#items.get(id)
    return item === undefined ? undefined : this.#facts(id, item)
  }

  async retry(id: string): Promise<void> {
    const { clock, records } = this.#components
    await records.change((batch) => {
      const item = this.#items.get(id)
      if (item === undefined || item.state === 'sent')
        throw new LockerError('not-found', `nothing waits in the outbox as ${id}`)
      if (item.refusedWith !== undefined)
        // The other side remembers the id, so sending it again could only be taken for a replay.
        throw new LockerError('peer-refused', `${id} was refused: ${item.lastError ?? ''}`, {
          facts: { problem: item.refusedWith }
        })
      this.#items.put(batch, id, renewed(item, clock.now()))
      batch.afterwards(() => {
        const lane = this.#laneOf(item.to)
        if (item.state === 'failed') {
          this.#waiting += 1
          this.#insert(lane, id)
        }
        this.#notify(id)
        this.#kick(lane, { now: true })
      })
    })
  }

  wake(did: string): void {
    const handle = this.#components.recipient(did)?.did
    if (handle === undefined || !this.#begun || this.#closed) return
    const nowMs = this.#components.clock.now().getTime()
    this.#repeatUnacknowledged(handle, nowMs)
    const lane = this.#lanes.get(handle)
    if (lane === undefined || nowMs - lane.lastAttemptMs < WAKE_PAUSE_MS) return
    this.#kick(lane, { now: true })
  }

  drop(batch: Batch, did: string): number {
    let dropped = 0
    for (const [id, item] of this.#items.entries()) {
      if (item.to !== did) continue
      if (item.state === 'waiting') dropped += 1
      this.#items.delete(batch, id)
    }
    batch.afterwards(() => {
      const lane = this.#lanes.get(did)
      this.#waiting -= dropped
      lane?.cancelTimer?.()
      lane?.ids.splice(0)
      if (lane?.busy === false) this.#lanes.delete(did)
    })
    return dropped
  }

  waitsFor(did: string): boolean {
    return (this.#lanes.get(did)?.ids.length ?? 0) > 0
  }

  async drained(did: string, timeoutMs: number): Promise<void> {
    const first = (): string | undefined => this.#lanes.get(did)?.ids[0]
    const stuck = (): boolean => {
      const id = first()
      return id === undefined || (!this.#sending.has(id) && this.get(id)?.lastError !== undefined)
    }
    if (stuck()) return
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        cancel()
        stop()
        resolve()
      }
      const cancel = this.#components.clock.after(timeoutMs, finish)
      const stop = this.onChange((item) => {
        if (item.to.did === did && stuck()) finish()
      })
    })
  }

  onChange(listener: (item: OutboxItem) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  acknowledge(batch: Batch, did: string, ids: readonly string[]): void {
    for (const id of ids) {
      const item = this.#items.get(id)
      if (item === undefined || item.to !== did) continue
      if (item.acknowledgedAt !== undefined || item.state === 'failed') continue
      const now = this.#components.clock.now().toISOString()
      this.#finish(batch, id, {
        ...item,
        state: 'sent',
        sentAt: item.sentAt ?? now,
        acknowledgedAt: now
      })
    }
  }

  refuse(
    batch: Batch,
    did: string,
    report: { ack: readonly string[]; thid: string; code: string; comment: string }
  ): void {
    const now = this.#components.clock.now().toISOString()
    const named = report.ack.length > 0 ? report.ack : this.#lastOfThread(did, report.thid)
    for (const id of named) {
      const item = this.#items.get(id)
      if (item === undefined || item.to !== did || item.state === 'failed') continue
      this.#finish(batch, id, {
        ...item,
        state: 'failed',
        refusedWith: report.code,
        lastError: `${report.code}: ${report.comment}`.slice(0, 1000),
        acknowledgedAt: now
      })
    }
  }

  /** Stops attempts and timers at once; resolves when nothing is under way. The caller closes the delivery meanwhile. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelSweep()
    for (const lane of this.#lanes.values()) lane.cancelTimer?.()
    for (const cancel of this.#repeatTimers.values()) cancel()
    this.#listeners.clear()
    await Promise.allSettled(this.#running)
  }

  /** Starts the lane's next attempt, or the timer for it. */
  #kick(lane: Lane, options: { now?: boolean } = {}): void {
    lane.cancelTimer?.()
    lane.cancelTimer = undefined
    if (!this.#begun || this.#closed || lane.busy) return
    const id = lane.ids[0]
    if (id === undefined) {
      // A bucket that is not full is kept, or emptying the lane would refill it.
      if (lane.pace.full(this.#components.clock.now())) this.#lanes.delete(lane.did)
      return
    }
    const item = this.#items.get(id)
    if (item === undefined) {
      lane.ids.shift()
      this.#kick(lane)
      return
    }
    const delayMs = options.now === true ? 0 : this.#delayMs(item)
    const pauseMs = delayMs > 0 ? delayMs : lane.pace.take(this.#components.clock.now())
    if (pauseMs > 0) this.#timer(lane, pauseMs)
    else this.#run(lane, id, item)
  }

  /** Milliseconds until the item's next attempt or expiry, whichever is sooner. */
  #delayMs(item: Queued): number {
    if (item.state !== 'waiting' || item.nextAttemptAt === undefined) return 0
    const due = Math.min(Date.parse(item.nextAttemptAt), item.letter.expiresTime * 1000)
    return Math.max(0, due - this.#components.clock.now().getTime())
  }

  #timer(lane: Lane, delayMs: number): void {
    lane.cancelTimer = this.#components.clock.after(Math.min(delayMs, SWEEP_MS), () => {
      lane.cancelTimer = undefined
      this.#kick(lane)
    })
  }

  #run(lane: Lane, id: string, item: Queued): void {
    lane.busy = true
    lane.lastAttemptMs = this.#components.clock.now().getTime()
    const running = this.#attempt(lane, id, item).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #attempt(lane: Lane, id: string, item: Queued): Promise<void> {
    const { clock, delivery, logger } = this.#components
    let stored = true
    try {
      if (expired(item, clock.now())) {
        await this.#settle(lane, id, { ok: false, error: expiredReason(item), final: true })
      } else {
        this.#sending.add(id)
        this.#notify(id)
        const outcome = await delivery.deliver({ ...item.letter, id }, { contact: item.to })
        this.#sending.delete(id)
        // After closing, records are closed too; the attempt is made again at the next opening.
        if (!this.#closed) await this.#settle(lane, id, outcome)
      }
    } catch (error) {
      stored = false
      logger.error('outbox-not-stored', { id, error: String(error) })
    } finally {
      this.#sending.delete(id)
      lane.busy = false
      if (stored) this.#kick(lane)
      else if (!this.#closed) this.#timer(lane, STORAGE_PAUSE_MS)
    }
  }

  /** Stores what an attempt came to. */
  async #settle(lane: Lane, id: string, outcome: DeliveryOutcome): Promise<void> {
    const { clock, logger, records } = this.#components
    await records.change((batch) => {
      const item = this.#items.get(id)
      const now = clock.now()
      if (item === undefined) return
      if (item.state !== 'waiting') {
        batch.afterwards(() => leave(lane, id))
        this.#putRepeat(batch, id, item, outcome)
        return
      }
      const tried = { ...item, attempts: item.attempts + 1 }
      if (outcome.ok) {
        const { nextAttemptAt: _next, lastError: _error, ...sent } = tried
        this.#finish(batch, id, { ...sent, state: 'sent', sentAt: now.toISOString() })
      } else if (outcome.final) {
        logger.warn('outbox-failed', { id, to: item.to, error: outcome.error })
        this.#noteGivenUp(batch, item, outcome.error)
        this.#finish(batch, id, { ...tried, state: 'failed', lastError: outcome.error })
      } else {
        const pauseMs = RETRY_MS[Math.min(item.attempts, RETRY_MS.length - 1)] ?? SWEEP_MS
        const nextAttemptAt = new Date(now.getTime() + pauseMs).toISOString()
        this.#items.put(batch, id, { ...tried, lastError: outcome.error, nextAttemptAt })
        batch.afterwards(() => this.#notify(id))
      }
    })
  }

  /** Giving up is not to be missed: the owner believes that the contact has been told. */
  #noteGivenUp(batch: Batch, { to, letter }: Queued, reason: string): void {
    const name = this.#components.recipient(to)?.name ?? ''
    this.#components.audit.append(batch, {
      action: 'message-given-up',
      actor: 'locker',
      details: { contact: to, to: name, type: letter.type, reason }
    })
  }

  /** The item needs no further attempt; it stays listed for a while. */
  #finish(batch: Batch, id: string, item: Queued): void {
    const wasWaiting = this.#items.get(id)?.state === 'waiting'
    const finished = { ...item, finishedAt: this.#components.clock.now().toISOString() }
    this.#items.put(batch, id, finished)
    batch.afterwards(() => {
      if (wasWaiting) this.#waiting -= 1
      const lane = this.#lanes.get(item.to)
      if (lane !== undefined) leave(lane, id)
      this.#repeatTimers.get(id)?.()
      this.#repeatTimers.delete(id)
      this.#scheduleRepeat(id, finished)
      this.#notify(id)
    })
  }

  /** Sets the timer for sending again what has not been acknowledged. */
  #scheduleRepeat(id: string, item: Queued): void {
    const pauseMs = ACKNOWLEDGE_MS[Math.min(item.repeats, ACKNOWLEDGE_MS.length - 1)] ?? SWEEP_MS
    if (!unacknowledged(item, this.#components.clock.now()) || item.sentAt === undefined) return
    const dueMs = Date.parse(item.sentAt) + pauseMs - this.#components.clock.now().getTime()
    const cancel = this.#components.clock.after(Math.max(0, dueMs), () => this.#repeat(id))
    this.#repeatTimers.set(id, cancel)
  }

  #repeat(id: string): void {
    this.#repeatTimers.get(id)?.()
    this.#repeatTimers.delete(id)
    const item = this.#items.get(id)
    if (this.#closed || item?.state !== 'sent' || item.acknowledgedAt !== undefined) return
    if (expired(item, this.#components.clock.now())) return
    const lane = this.#laneOf(item.to)
    if (lane.ids.includes(id)) return
    lane.ids.push(id)
    this.#kick(lane)
  }

  #putRepeat(batch: Batch, id: string, item: Queued, outcome: DeliveryOutcome): void {
    if (item.state !== 'sent' || item.acknowledgedAt !== undefined) return
    const attempts = outcome.ok ? item.attempts + 1 : item.attempts
    const sentAt = this.#components.clock.now().toISOString()
    const repeated = { ...item, attempts, sentAt, repeats: item.repeats + 1 }
    this.#items.put(batch, id, repeated)
    batch.afterwards(() => {
      this.#scheduleRepeat(id, repeated)
      this.#notify(id)
    })
  }

  /** A contact that comes back may have been killed before it could store what it took. */
  #repeatUnacknowledged(handle: string, nowMs: number): void {
    for (const id of this.#repeatTimers.keys()) {
      const item = this.#items.get(id)
      if (item?.to !== handle || item.sentAt === undefined) continue
      if (nowMs - Date.parse(item.sentAt) >= (RETRY_MS[1] ?? 0)) this.#repeat(id)
    }
  }

  #lastOfThread(did: string, thid: string): readonly string[] {
    const last = this.#inOrder().findLast(
      ([id, item]) => item.to === did && (item.letter.thid ?? id) === thid
    )
    return last === undefined ? [] : [last[0]]
  }

  #laneOf(did: string): Lane {
    const known = this.#lanes.get(did)
    if (known !== undefined) return known
    const lane: Lane = {
      did,
      ids: [],
      pace: new TokenBucket(PACE, this.#components.clock.now()),
      busy: false,
      lastAttemptMs: Number.NEGATIVE_INFINITY,
      cancelTimer: undefined
    }
    this.#lanes.set(did, lane)
    return lane
  }

  /** Puts a retried item back where its order says. */
  #insert(lane: Lane, id: string): void {
    const order = this.#items.get(id)?.order ?? Number.POSITIVE_INFINITY
    const before = lane.ids.findIndex((other) => (this.#items.get(other)?.order ?? 0) > order)
    if (lane.busy && before === 0) lane.ids.splice(1, 0, id)
    else if (before === -1) lane.ids.push(id)
    else lane.ids.splice(before, 0, id)
  }

  #makeRoom(batch: Batch): void {
    const itemsMax = this.#components.itemsMax ?? OUTBOX_ITEMS_MAX
    const reserved = (this.#reserved.get(batch) ?? 0) + 1
    if (this.#waiting + reserved > itemsMax)
      throw new LockerError('outbox-full', `${itemsMax} messages wait in the outbox`)
    this.#reserved.set(batch, reserved)
    if (this.#items.size + reserved <= 2 * itemsMax) return
    const done = this.#inOrder().find(([, item]) => item.state !== 'waiting')
    if (done !== undefined) this.#remove(batch, done[0])
  }

  /** Forgets what has been listed long enough, and comes back in an hour. */
  async #sweep(): Promise<void> {
    const { clock, records } = this.#components
    const nowMs = clock.now().getTime()
    const old = this.#inOrder().filter(([, item]) => {
      if (item.finishedAt === undefined || unacknowledged(item, clock.now())) return false
      const listedMs = item.state === 'sent' ? SENT_LISTED_MS : FAILED_LISTED_MS
      return Date.parse(item.finishedAt) + listedMs <= nowMs
    })
    if (old.length > 0)
      await records.change((batch) => {
        for (const [id] of old) this.#remove(batch, id)
      })
    if (this.#closed) return
    this.#cancelSweep = clock.after(SWEEP_MS, () => {
      const running = this.#sweep().catch((error: unknown) => {
        this.#components.logger.error('outbox-not-swept', { error: String(error) })
      })
      this.#running.add(running)
      void running.finally(() => this.#running.delete(running))
    })
  }

  #remove(batch: Batch, id: string): void {
    this.#items.delete(batch, id)
    batch.afterwards(() => {
      this.#repeatTimers.get(id)?.()
      this.#repeatTimers.delete(id)
    })
  }

  #inOrder(): Array<[id: string, item: Queued]> {
    return [...this.#items.entries()].toSorted(([, a], [, b]) => a.order - b.order)
  }

  #notify(id: string): void {
    const item = this.get(id)
    if (item === undefined) return
    for (const listener of this.#listeners) listener(item)
  }

  #facts(id: string, item: Queued): OutboxItem {
    const name = this.#components.recipient(item.to)?.name
    return factsOf(id, item, { name, sending: this.#sending.has(id) })
  }
}

/** Sent, and to be sent again unless the other side says that it has processed it. */
function unacknowledged(item: Queued, now: Date): boolean {
  const { pleaseAck } = item.letter
  return (
    item.state === 'sent' && item.acknowledgedAt === undefined && pleaseAck && !expired(item, now)
  )
}

function leave(lane: Lane, id: string): void {
  const position = lane.ids.indexOf(id)
  if (position !== -1) lane.ids.splice(position, 1)
}
