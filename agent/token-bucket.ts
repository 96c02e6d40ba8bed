/**
 * A token bucket: so many a second on average, so many at once.
 *
 * @module
 */

export interface Rate {
  readonly perSecond: number
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #atMs: number

  constructor(rate: Rate, now: Date) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#atMs = now.getTime()
  }

  /** Takes one token and returns 0, or takes none and returns how many milliseconds until there is one. */
  take(now: Date): number {
    this.#refill(now)
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return 0
    }
    return Math.ceil(((1 - this.#tokens) * 1000) / this.#rate.perSecond)
  }

  /**
   * Takes one token, now or in advance, and returns how many milliseconds to wait for it: who reserves
   * first goes first. `undefined`, and nothing taken, when `waitingMax` tokens are reserved already.
   */
  reserve(now: Date, waitingMax: number): number | undefined {
    this.#refill(now)
    if (this.#tokens - 1 < -waitingMax) return undefined
    this.#tokens -= 1
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens * 1000) / this.#rate.perSecond)
  }

  /** True when nothing has been taken for long enough that forgetting the bucket changes nothing. */
  full(now: Date): boolean {
    this.#refill(now)
    return this.#tokens >= this.#rate.burst
  }

  #refill(now: Date): void {
    // A clock that was set back gives no tokens and takes none away.
    const elapsedMs = Math.max(0, now.getTime() - this.#atMs)
    this.#atMs = now.getTime()
    this.#tokens = Math.min(
      this.#rate.burst,
      this.#tokens + (elapsedMs * this.#rate.perSecond) / 1000
    )
  }
}
