/**
 * What a screen shows, fetched once and again when something changed: value, problem, and whether a fetch
 * is under way. Made inside a component, it ends with it.
 *
 * @module
 */
import { follow } from './follow.ts'
import { type Problem, asProblem } from './problem.ts'
import type { AgentEvent } from './wire.ts'

/** How long changes are gathered before one fetch answers them all, milliseconds. */
const GATHER_MS = 120

export interface Live<T> {
  /** `undefined` until the first answer; the last good value after that. */
  readonly value: T | undefined
  /** Of the last fetch, until one succeeds. */
  readonly problem: Problem | undefined
  reload(): void
}

/**
 * Fetches with `load` now, on every event of `types`, and whenever what `load` reads of reactive state
 * changes.
 */
export function live<T>(
  load: (signal: AbortSignal) => Promise<T>,
  types: readonly AgentEvent['type'][] = []
): Live<T> {
  let value = $state.raw<T>()
  let problem = $state.raw<Problem>()
  let turn = $state(0)

  $effect(() => {
    void turn
    const controller = new AbortController()
    void fetchInto(load, controller.signal)
    return () => controller.abort()
  })

  async function fetchInto(
    from: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal
  ): Promise<void> {
    try {
      const loaded = await from(signal)
      if (signal.aborted) return
      value = loaded
      problem = undefined
    } catch (thrown) {
      if (!signal.aborted) problem = asProblem(thrown)
    }
  }

  $effect(() => {
    if (types.length === 0) return undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    const stop = follow(types, () => {
      timer ??= setTimeout(() => {
        timer = undefined
        turn += 1
      }, GATHER_MS)
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  })

  return {
    get value() {
      return value
    },
    get problem() {
      return problem
    },
    reload() {
      turn += 1
    }
  }
}
