/**
 * One line of the bench: a figure of ours beside its limit and, where another package does the same job, that
 * package, all in the same run.
 */

/** What a figure is held against. */
export interface Beside {
  readonly what: string
  /** In the row's unit. */
  readonly value: number
  /** How many times it ours must at least be; absent: it is only shown. */
  readonly asked?: number
}

export interface Row {
  readonly what: string
  readonly unit: string
  readonly ours: number
  /** What is asked for, in the same unit; `at most` for times and memory. */
  readonly asked?: { readonly value: number; readonly bound: 'at least' | 'at most' }
  /** What the primitives alone reach. */
  readonly limit?: Beside
  /** Another implementation of the same job. */
  readonly peer?: Beside
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

/** Does `work` for every item, so many at the same time. */
export async function each<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  const left = items[Symbol.iterator]()
  const one = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}
