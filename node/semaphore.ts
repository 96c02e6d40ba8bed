/**
 * A bound on how many things happen at once, with a bounded, first-come queue before it.
 *
 * @module
 */

/** Thrown by {@link Semaphore.run} when the queue before it is full. */
export class QueueFullError extends Error {
  constructor(queueMax: number) {
    super(`${queueMax} calls are already waiting`)
    this.name = 'QueueFullError'
  }
}

export class Semaphore {
  readonly #atOnceMax: number
  readonly #queueMax: number
  readonly #waiting: Array<() => void> = []
  #running = 0

  /**
   * @param atOnceMax - Calls that run at the same time.
   * @param queueMax - Calls that may wait; one more throws {@link QueueFullError}.
   */
  constructor(atOnceMax: number, queueMax: number) {
    this.#atOnceMax = atOnceMax
    this.#queueMax = queueMax
  }

  /** Calls that run now. */
  get running(): number {
    return this.#running
  }

  /** Runs `work` when its turn comes. The signal ends the waiting, not the work. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#turn(signal)
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // The place passes straight to the next in line, so that nobody overtakes the queue.
      if (next === undefined) this.#running--
      else next()
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#running < this.#atOnceMax) {
      this.#running++
      return
    }
    if (this.#waiting.length >= this.#queueMax) throw new QueueFullError(this.#queueMax)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (): void => {
      const place = this.#waiting.indexOf(resolve)
      if (place === -1) return
      this.#waiting.splice(place, 1)
      reject(signal?.reason)
    }
    this.#waiting.push(resolve)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}
