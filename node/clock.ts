/**
 * Wall clock, timers and random bytes of this machine (agent/components.ts).
 *
 * @module
 */
import { randomFillSync } from 'node:crypto'
import type { Clock, Random } from '../agent/components.ts'

/** Longest delay of a timer, milliseconds; a longer one would fire at once in Node. */
const DELAY_MS_MAX = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => new Date(),
  after(delayMs, work) {
    if (!(delayMs >= 0 && delayMs <= DELAY_MS_MAX))
      throw new RangeError(`a timer waits 0 to ${DELAY_MS_MAX} ms, not ${delayMs}`)
    const timer = setTimeout(work, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

export const systemRandom: Random = (sizeBytes) => randomFillSync(new Uint8Array(sizeBytes))
