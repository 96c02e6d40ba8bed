/**
 * Time limits on the process's clock, so that tests move them by hand.
 *
 * @module
 */
import type { Clock } from '../agent/components.ts'

/** Thrown where a {@link deadline} passed. */
class TimeOutError extends Error {
  constructor(limitMs: number) {
    super(`not done within ${limitMs} ms`)
    this.name = 'TimeoutError'
  }
}

/** A signal that aborts after `limitMs`, or with the first of `others`. Dispose it when the work is done. */
export function deadline(
  clock: Clock,
  limitMs: number,
  ...others: readonly AbortSignal[]
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const cancel = clock.after(limitMs, () => controller.abort(new TimeOutError(limitMs)))
  return {
    signal: AbortSignal.any([controller.signal, ...others]),
    [Symbol.dispose]: cancel
  }
}

/** Resolves after `delayMs`; rejects at once when the signal aborts. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const cancel = clock.after(delayMs, resolve)
  const aborted = (): void => reject(signal.reason)
  signal.addEventListener('abort', aborted)
  try {
    await promise
  } finally {
    cancel()
    signal.removeEventListener('abort', aborted)
  }
}
