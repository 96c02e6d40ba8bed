/**
 * One line of the bench: a figure of ours beside its limit and, where another package does the same job, that
 * package, all in the same run.
 */

export interface Row {
  readonly what: string
  readonly unit: string
  readonly ours: number
  /** What DESIGN asks for, in the same unit; `at most` for times and memory. */
  readonly asked?: { readonly value: number; readonly bound: 'at least' | 'at most' }
  /** What the primitives alone reach. */
  readonly limit?: { readonly what: string; readonly value: number }
  /** Another implementation of the same job. */
  readonly peer?: { readonly what: string; readonly value: number }
}

/** Shortest measured stretch, milliseconds: long enough that a garbage collection is part of it. */
const STRETCH_MS = 700

/** Stretches measured; the median is taken. */
const STRETCHES = 3

/** Runs `work` over and over and answers how often a second; the median of three stretches. */
export async function perSecond(work: () => unknown): Promise<number> {
  // The first calls compile the code; they do not count.
  for (let warm = 0; warm < 20; warm++) await work()
  const rates: number[] = []
  for (let stretch = 0; stretch < STRETCHES; stretch++) {
    const started = performance.now()
    let count = 0
    while (performance.now() - started < STRETCH_MS) {
      await work()
      count++
    }
    rates.push((count / (performance.now() - started)) * 1000)
  }
  return median(rates)
}

/** Seconds that `work` takes, once. */
export async function seconds(work: () => unknown): Promise<number> {
  const started = performance.now()
  await work()
  return (performance.now() - started) / 1000
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
