/**
 * Work that nobody waits for: started after a change, logged when it fails, waited for when its owner closes.
 *
 * @module
 */
import type { Logger } from './components.ts'

export class Background {
  readonly #logger: Logger
  readonly #running = new Set<Promise<void>>()
  #closed = false

  constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Starts the work unless closed. A failure is logged under the event; whoever needs more catches it in `work`. */
  run(event: string, work: () => Promise<void>): void {
    if (this.#closed) return
    const running = work()
      .catch((error: unknown) => this.#logger.error(event, { error: String(error) }))
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when nothing is running, work started meanwhile included. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  /** Starts nothing more and waits for what runs. */
  async close(): Promise<void> {
    this.#closed = true
    await this.settled()
  }
}
