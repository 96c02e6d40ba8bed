/**
 * A clock the test moves by hand: nothing happens until {@link FakeClock.advance}.
 *
 * @module
 */
import type { Clock } from '../agent/components.ts'

interface Timer {
  readonly at: number
  readonly order: number
  readonly work: () => void
}

/** Turns of the event loop that count as "everything that was going to happen has happened". */
const TURNS = 12

/** Lets pending promises, batches and deliveries run for some turns of the event loop; no time passes. */
export async function turns(count: number = TURNS): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Turns of the event loop {@link until} waits before it gives up: seconds, on a busy machine. */
const TURNS_MAX = 200_000

/** Waits, turn by turn, until the claim holds; fails naming it after {@link TURNS_MAX} turns. */
export async function until(claim: () => boolean, what: string): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    if (claim()) return
    await turns(1)
  }
  throw new Error(`never came true: ${what}`)
}

export class FakeClock implements Clock {
  #nowMs: number
  #order = 0
  readonly #timers = new Set<Timer>()

  constructor(start: string = '2026-11-23T12:00:00.000Z') {
    this.#nowMs = Date.parse(start)
  }

  now(): Date {
    return new Date(this.#nowMs)
  }

  after(delayMs: number, work: () => void): () => void {
    if (!(delayMs >= 0 && delayMs <= 2 ** 31 - 1)) throw new RangeError(`delay ${delayMs} ms`)
    const timer = { at: this.#nowMs + delayMs, order: (this.#order += 1), work }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers not yet run or cancelled. */
  get pending(): number {
    return this.#timers.size
  }

  /** Moves time forward, running timers in order; what they set off gets its turns before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms
    await turns()
    for (;;) {
      const next = this.#nextBefore(end)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.at)
      next.work()
      await turns()
    }
    this.#nowMs = end
    await turns()
  }

  /** Sets the time, also backwards, without running a timer: what a wrong system clock does. */
  set(to: string | Date): void {
    this.#nowMs = new Date(to).getTime()
  }

  #nextBefore(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.at > end) continue
      if (next === undefined || timer.at < next.at) next = timer
      else if (timer.at === next.at && timer.order < next.order) next = timer
    }
    return next
  }
}
