/** What the bench prints: rows as an aligned table or as JSON, and which rows it is asked for. */
import type { Beside, Row } from './row.ts'

/** Where and when the figures were measured. */
export interface Machine {
  readonly date: string
  readonly node: string
  readonly processor: string
  readonly cores: number
  /** Load average of the last minute, before the first row. */
  readonly load: number
}

const COLUMNS = ['what', 'figure', 'target', 'limit or peer', 'ratio', 'verdict'] as const

/** Columns of figures, which stand on the right. */
const RIGHT: ReadonlySet<string> = new Set(['figure', 'target', 'ratio'])

/** `met`, what was missed, or `-` for a row that nothing is asked of. */
export function verdictOf(row: Row): string {
  const { asked } = row
  const missed: string[] = []
  if (asked !== undefined) {
    const short = asked.bound === 'at least' ? row.ours < asked.value : row.ours > asked.value
    // A figure that is no number misses whatever is asked.
    if (short || Number.isNaN(row.ours)) missed.push('target')
  }
  for (const beside of [row.limit, row.peer])
    if (beside?.asked !== undefined && !(ratioOf(row, beside) >= beside.asked))
      missed.push(`${beside.what} × ${beside.asked}`)
  if (missed.length > 0) return `missed: ${missed.join(', ')}`
  const askedFor = [asked, row.limit?.asked, row.peer?.asked]
  return askedFor.every((each) => each === undefined) ? '-' : 'met'
}

/** The rows as text, one line each, columns aligned. */
export function tableOf(rows: readonly Row[]): string {
  const lines = [COLUMNS, ...rows.map(cellsOf)]
  const widths = COLUMNS.map((_, at) => Math.max(...lines.map((cells) => (cells[at] ?? '').length)))
  return lines
    .map((cells) =>
      cells
        .map((cell, at) => {
          const width = widths[at] ?? 0
          return RIGHT.has(COLUMNS[at] ?? '') ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd()
    )
    .join('\n')
}

/** The rows as JSON, with ratios and verdicts, and the machine they were measured on. */
export function jsonOf(rows: readonly Row[], machine: Machine): string {
  const judged = rows.map((row) => ({
    ...row,
    ...(row.limit && { limit: { ...row.limit, ratio: ratioOf(row, row.limit) } }),
    ...(row.peer && { peer: { ...row.peer, ratio: ratioOf(row, row.peer) } }),
    verdict: verdictOf(row)
  }))
  return JSON.stringify({ machine, rows: judged }, null, 2)
}

/** The names asked for, in the order they are measured; all when none is. Throws for a name there is not. */
export function selected(names: readonly string[], only: readonly string[]): readonly string[] {
  const wanted = only.flatMap((text) => text.split(',')).map((text) => text.trim())
  for (const name of wanted)
    if (!names.includes(name))
      throw new RangeError(`no rows are called ${name}; there are ${names.join(', ')}`)
  return wanted.length === 0 ? names : names.filter((name) => wanted.includes(name))
}

function cellsOf(row: Row): readonly string[] {
  const { what, unit, ours, asked } = row
  const beside = [row.limit, row.peer].filter((each) => each !== undefined)
  const bound = asked?.bound === 'at most' ? '≤' : '≥'
  return [
    what,
    `${figure(ours)} ${unit}`,
    asked === undefined ? '' : `${bound} ${figure(asked.value)} ${unit}`,
    beside.map((each) => `${each.what} ${figure(each.value)}`).join('; '),
    beside.map((each) => ratioText(row, each)).join('; '),
    verdictOf(row)
  ]
}

function ratioText(row: Row, beside: Beside): string {
  const ratio = ratioOf(row, beside).toFixed(2)
  return beside.asked === undefined ? ratio : `${ratio} (≥ ${beside.asked})`
}

function ratioOf(row: Row, beside: Beside): number {
  return row.ours / beside.value
}

/** Three digits at least, no more behind the point than they need. */
function figure(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return String(Number(value.toFixed(value >= 10 ? 1 : 2)))
}
