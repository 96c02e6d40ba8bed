/**
 * Copies that were accepted and have not arrived yet, because the owner's agent was away or the disk full:
 * fetched without the owner of this locker having to ask again.
 *
 * Tried when the locker opens, when the contact shows up, and otherwise with the growing pauses of
 * {@link COPY_RETRIES_MS}.
 * Nothing is stored for it: a live, accepted grant of a copy without its document is one that waits.
 *
 * @module
 */
import type { Background } from './background.ts'
import type { Clock, Logger } from './components.ts'
import { LockerError } from './errors.ts'
import type { GrantThread, Threads } from './sharing-threads.ts'

/**
 * Pauses before copies that did not arrive are tried again without a sign of life, milliseconds; the last
 * one repeats. The first is short: an agent that has just come back may be heard before it can be dialled.
 */
export const COPY_RETRIES_MS: readonly number[] = [5_000, 30_000, 120_000, 600_000]

/** Least pause between two passes that signs of life bring about, milliseconds: a contact may send many. */
const HEARD_PAUSE_MS = 5_000

export interface PendingComponents {
  readonly threads: Pick<Threads, 'grants' | 'isLive' | 'contactOf'>
  /** Fetches and stores one copy; goes on where an earlier try broke off. */
  readonly fetch: (id: string, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
  readonly background: Background
}

export class PendingCopies {
  readonly #components: PendingComponents
  /** Grants whose copy somebody waits for: theirs is the progress shown and the way to cancel. */
  readonly #attended = new Set<string>()
  readonly #closing = new AbortController()
  #running = false
  /** Passes since the last sign of life. */
  #tries = 0
  /** When the last pass ended, milliseconds since the epoch. */
  #endedMs = Number.NEGATIVE_INFINITY
  #cancelTimer: () => void = () => {}

  constructor(components: PendingComponents) {
    this.#components = components
  }

  /** Runs what somebody waits for; it is left alone meanwhile, and tried again later when it fails. */
  async attended(id: string, work: () => Promise<void>): Promise<void> {
    this.#attended.add(id)
    try {
      await work()
    } finally {
      this.#attended.delete(id)
      this.#arm()
    }
  }

  /** The contact has shown up: what it gave may be there to be fetched. */
  heard(contact: string): void {
    const { threads, clock } = this.#components
    if (!this.#waiting().some((thread) => threads.contactOf(thread).did === contact)) return
    this.#tries = 0
    // The pass that runs may have met a closed door already: the next one comes soon.
    if (this.#running) return
    const restMs = this.#endedMs + HEARD_PAUSE_MS - clock.now().getTime()
    if (restMs > 0) this.#arm(restMs)
    else this.resume()
  }

  /** Tries every copy that waits, one after the other. */
  resume(): void {
    const waiting = this.#waiting()
    if (this.#running || waiting.length === 0 || this.#closing.signal.aborted) return
    this.#running = true
    this.#cancelTimer()
    this.#components.background.run('sharing-copies-failed', async () => {
      try {
        for (const { id } of waiting) await this.#try(id)
      } finally {
        this.#running = false
        this.#endedMs = this.#components.clock.now().getTime()
        this.#arm()
      }
    })
  }

  /** Breaks off what is being fetched; what has arrived of it is in the cache for the next time. */
  close(): void {
    this.#closing.abort(new LockerError('vault-sealed', 'the locker is being closed'))
    this.#cancelTimer()
  }

  async #try(id: string): Promise<void> {
    const { fetch, logger } = this.#components
    const { signal } = this.#closing
    if (this.#attended.has(id) || signal.aborted) return
    try {
      await fetch(id, signal)
    } catch (error) {
      const reason = error instanceof LockerError ? error.code : String(error)
      logger.info('sharing-copy-waits', { grant: id, reason })
    }
  }

  #arm(pauseMs?: number): void {
    this.#cancelTimer()
    if (this.#waiting().length === 0 || this.#closing.signal.aborted) return
    const delayMs = pauseMs ?? COPY_RETRIES_MS[this.#tries] ?? COPY_RETRIES_MS.at(-1) ?? 0
    this.#tries += pauseMs === undefined ? 1 : 0
    this.#cancelTimer = this.#components.clock.after(delayMs, () => this.resume())
  }

  #waiting(): readonly GrantThread[] {
    const { threads } = this.#components
    return [...threads.grants('received')].filter(
      (thread) =>
        thread.grant.permission === 'copy' &&
        thread.grant.document === undefined &&
        thread.state === 'accepted' &&
        threads.isLive(thread) &&
        !this.#attended.has(thread.id)
    )
  }
}
