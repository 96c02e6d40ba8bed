/**
 * Wrong passphrases cost time, and restarts do not give it back.
 *
 *     wrong within the last hour      wait before the next is tried
 *     0 to 2                          none
 *     3 to 9                          250 ms · 2^(n − 3), at most 8 s
 *     10 and more                     refused for 1 min · 4^(p − 1), at most 24 h, p counting the refusals
 *
 * After the first pause every further wrong passphrase begins the next; a right one clears the count.
 * Only passphrases are counted: words and key files hold 256 random bits, so guessing them is no
 * threat, and they still open a locker whose passphrase somebody else has tried too often.
 *
 * An attempt is written down as wrong before it is evaluated and taken back when it was right: a
 * process killed while scrypt runs has still used it up. `attempts.json`:
 *
 *     { "version": 1, "wrongAt": [ISO time, …at most 10], "pauses": 0, "pausedAt": ISO time (absent: no pause) }
 *
 * A file that cannot be read counts as the tenth wrong attempt at that moment. A clock set back never
 * ends a pause early: the pause then begins again at the time the clock shows.
 *
 * @module
 */
import { z } from 'zod'
import type { Clock, Logger, SmallFiles } from './components.ts'
import { LockerError } from './errors.ts'
import { jsonOf } from './vault-slots.ts'

/** Wrong passphrases within {@link WINDOW_MS} that begin a pause; DESIGN §5.2. */
const WRONG_MAX = 10
const WINDOW_MS = 3_600_000
const PAUSE_MS = 60_000
const PAUSE_FACTOR = 4
const PAUSE_MS_MAX = 86_400_000
/** Calls that wait while one passphrase is evaluated; each evaluation takes 256 MiB for about a second. */
export const WAITING_MAX = 8

/** Wrong attempts that cost no wait: a slip of the finger is not an attack. */
const FREE_WRONG = 3
const DELAY_MS = 250
const DELAY_MS_MAX = 8_000
const FILE = 'attempts.json'
/** Later pauses are as long as this one already: 1 min · 4^9 is above the maximum. */
const PAUSES_MAX = 10

const time = z.iso.datetime()
const attemptsFile = z.strictObject({
  version: z.literal(1),
  wrongAt: z.array(time).max(WRONG_MAX),
  pauses: z.int().min(0).max(PAUSES_MAX),
  pausedAt: z.optional(time)
})

interface Count {
  /** Milliseconds since 1970, oldest first; the newest {@link WRONG_MAX}. */
  readonly wrongAt: readonly number[]
  readonly pauses: number
  readonly pausedAt?: number
}

const NONE: Count = { wrongAt: [], pauses: 0 }

/** Lets passphrases be tried one at a time, and counts. */
export interface Attempts {
  /**
   * Runs `attempt` when it is its turn and the count allows it. `attempt` resolves to `undefined` for
   * a wrong passphrase. Throws `vault-throttled` with `facts.retryAt` (ISO). What `attempt` throws is
   * not counted: nothing was learnt about the passphrase.
   */
  run<T>(attempt: () => Promise<T | undefined>): Promise<T | undefined>
  /** Runs other work that takes as much memory in the same queue; not counted. */
  exclusively<T>(work: () => Promise<T>): Promise<T>
}

/** How long the `pauses`-th pause is. */
export function pauseMs(pauses: number): number {
  return Math.min(PAUSE_MS * PAUSE_FACTOR ** (pauses - 1), PAUSE_MS_MAX)
}

/** Wait before an attempt after `wrong` wrong ones within the hour. */
export function delayMs(wrong: number): number {
  return wrong < FREE_WRONG ? 0 : Math.min(DELAY_MS * 2 ** (wrong - FREE_WRONG), DELAY_MS_MAX)
}

/** Reads what earlier runs counted. */
export async function openAttempts(components: {
  readonly files: SmallFiles
  readonly clock: Clock
  readonly logger: Logger
}): Promise<Attempts> {
  const attempts = new CountedAttempts(components)
  await attempts.load()
  return attempts
}

class CountedAttempts implements Attempts {
  readonly #files: SmallFiles
  readonly #clock: Clock
  readonly #logger: Logger
  #count: Count = NONE
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(components: {
    readonly files: SmallFiles
    readonly clock: Clock
    readonly logger: Logger
  }) {
    this.#files = components.files
    this.#clock = components.clock
    this.#logger = components.logger
  }

  async load(): Promise<void> {
    const bytes = await this.#files.read(FILE)
    if (bytes === undefined) return
    const count = parseCount(bytes)
    if (count !== undefined) {
      this.#count = count
      return
    }
    this.#logger.warn('attempts-unreadable')
    await this.#keep({ wrongAt: [], pauses: 1, pausedAt: this.#now() })
  }

  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    // One runs, the others wait: `#waiting` counts both.
    if (this.#waiting > WAITING_MAX) throw throttled(this.#now() + PAUSE_MS, 'too many wait')
    this.#waiting += 1
    const turn = this.#last.then(work).finally(() => {
      this.#waiting -= 1
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async run<T>(attempt: () => Promise<T | undefined>): Promise<T | undefined> {
    // Asked once before the queue, so that a paused vault answers at once, and once at its turn.
    await this.#refusePaused()
    return this.exclusively(async () => {
      await this.#refusePaused()
      const before = this.#count
      await this.#delay(delayMs(this.#recent().length))
      await this.#keep(this.#withOneWrong())
      let result: T | undefined
      try {
        result = await attempt()
      } catch (error) {
        await this.#keep(before)
        throw error
      }
      if (result !== undefined) await this.#clear()
      return result
    })
  }

  async #refusePaused(): Promise<void> {
    const { pausedAt, pauses } = this.#count
    if (pausedAt === undefined) return
    const now = this.#now()
    if (now < pausedAt) await this.#keep({ ...this.#count, pausedAt: now })
    const until = Math.min(pausedAt, now) + pauseMs(pauses)
    if (now < until) throw throttled(until, 'too many wrong passphrases')
  }

  #withOneWrong(): Count {
    const now = this.#now()
    const wrongAt = [...this.#recent(), now].slice(-WRONG_MAX)
    const { pauses } = this.#count
    if (pauses === 0 && wrongAt.length < WRONG_MAX) return { wrongAt, pauses }
    return { wrongAt, pauses: Math.min(pauses + 1, PAUSES_MAX), pausedAt: now }
  }

  /** A time later than the clock's stays in the window: setting the clock back forgets nothing. */
  #recent(): readonly number[] {
    const since = this.#now() - WINDOW_MS
    return this.#count.wrongAt.filter((at) => at > since)
  }

  async #keep(count: Count): Promise<void> {
    this.#count = count
    try {
      await this.#files.write(FILE, formatCount(count))
    } catch (error) {
      // A full disk must not keep its owner from opening the vault and making room; this process still counts.
      this.#logger.warn('attempts-not-written', { error: String(error) })
    }
  }

  async #clear(): Promise<void> {
    this.#count = NONE
    try {
      await this.#files.remove(FILE)
    } catch (error) {
      this.#logger.warn('attempts-not-written', { error: String(error) })
    }
  }

  #delay(waitMs: number): Promise<void> {
    if (waitMs === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#clock.after(waitMs, resolve)
    })
  }

  #now(): number {
    return this.#clock.now().getTime()
  }
}

function parseCount(bytes: Uint8Array): Count | undefined {
  const parsed = attemptsFile.safeParse(jsonOf(bytes))
  if (!parsed.success) return undefined
  const { wrongAt, pauses, pausedAt } = parsed.data
  return {
    wrongAt: wrongAt.map((at) => Date.parse(at)),
    pauses,
    ...(pausedAt === undefined ? {} : { pausedAt: Date.parse(pausedAt) })
  }
}

function formatCount(count: Count): Uint8Array {
  const file: z.input<typeof attemptsFile> = {
    version: 1,
    wrongAt: count.wrongAt.map((at) => new Date(at).toISOString()),
    pauses: count.pauses,
    ...(count.pausedAt === undefined ? {} : { pausedAt: new Date(count.pausedAt).toISOString() })
  }
  return new TextEncoder().encode(JSON.stringify(file))
}

function throttled(untilMs: number, fact: string): LockerError {
  const retryAt = new Date(untilMs).toISOString()
  return new LockerError('vault-throttled', `${fact}; the next is taken at ${retryAt}`, {
    facts: { retryAt }
  })
}
