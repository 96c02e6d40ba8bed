/**
 * What a command prints: data on stdout (a table on a terminal, tab-separated lines otherwise, one JSON
 * object with `--json`), progress and messages on stderr.
 *
 * @module
 */
import { LockerError, type LockerErrorCode } from '../../agent/errors.ts'
import { CommandFailure, EXIT, EXIT_OF, type ExitCode } from './outcome.ts'

/** How a command was asked to speak. */
export interface Voice {
  readonly json: boolean
  readonly quiet: boolean
}

/** Time between two progress lines where stderr is not a terminal, milliseconds. */
const PROGRESS_LINE_MS = 10_000
/** Time between two redraws of the progress line on a terminal, milliseconds: fast enough to look alive. */
const PROGRESS_DRAW_MS = 200
/** Nothing is said of work that ends sooner, milliseconds. */
const PROGRESS_QUIET_MS = 1_000

/** Control characters, and those that turn the direction of what follows. */
const CONTROL = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Text of another party made safe for a terminal: control and bidirectional characters become visible escapes. */
export function printable(text: string): string {
  return text.replace(
    CONTROL,
    (character) => `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0') ?? ''}`
  )
}

/** Prints one result: `json` as it is with `--json`, else `text` (nothing when empty). */
export function say(voice: Voice, json: unknown, text: string): void {
  if (voice.json) process.stdout.write(`${JSON.stringify(json)}\n`)
  else if (text !== '' && !voice.quiet) process.stdout.write(`${text}\n`)
}

/** A remark beside the result, for a person: stderr, and not with `--quiet`. */
export function remark(voice: Voice, text: string): void {
  if (!voice.quiet) process.stderr.write(`${text}\n`)
}

/** Prints rows. On a terminal columns are aligned under a heading; otherwise tab-separated without one. */
export function table(
  voice: Voice,
  json: unknown,
  columns: readonly string[],
  rows: ReadonlyArray<readonly string[]>,
  empty: string
): void {
  if (voice.json) {
    process.stdout.write(`${JSON.stringify(json)}\n`)
    return
  }
  const safe = rows.map((row) => row.map(printable))
  if (!process.stdout.isTTY) {
    for (const row of safe) process.stdout.write(`${row.join('\t')}\n`)
    return
  }
  if (safe.length === 0) {
    remark(voice, empty)
    return
  }
  const heads = columns.map((column) => column.toUpperCase())
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...safe.map((row) => Array.from(row[column] ?? '').length))
  )
  for (const row of [heads, ...safe]) {
    const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

/** Byte count for a person: `25.0 MB`, powers of 1,000. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const steps = ['kB', 'MB', 'GB', 'TB']
  const step = Math.min(Math.floor(Math.log10(bytes) / 3), steps.length)
  return `${(bytes / 1000 ** step).toFixed(1)} ${steps[step - 1] ?? 'B'}`
}

/**
 * Reports work that takes longer than a second on stderr: a line redrawn in place on a terminal, a JSON
 * line with `--json`, else a line each 10 s.
 *
 * @param total - Bytes expected; `undefined` when unknown.
 */
export function progress(
  voice: Voice,
  label: string,
  total: number | undefined
): { at(bytes: number): void; end(): void } {
  const terminal = process.stderr.isTTY && !voice.json
  const started = performance.now()
  let drawn = false
  let last = started + PROGRESS_QUIET_MS - (terminal ? PROGRESS_DRAW_MS : PROGRESS_LINE_MS)
  return {
    at(bytes) {
      const now = performance.now()
      const pause = terminal ? PROGRESS_DRAW_MS : PROGRESS_LINE_MS
      if (voice.quiet || now - started < PROGRESS_QUIET_MS || now - last < pause) return
      last = now
      if (voice.json) {
        process.stderr.write(`${JSON.stringify({ progress: label, bytes, total })}\n`)
        return
      }
      const share =
        total === undefined || total === 0 ? '' : ` ${Math.floor((bytes / total) * 100)} %`
      const line = `${printable(label)}: ${size(bytes)}${total === undefined ? '' : ` of ${size(total)}`}${share}`
      process.stderr.write(terminal ? `\r\u001b[2K${line}` : `${line}\n`)
      drawn = true
    },
    end() {
      if (terminal && drawn) process.stderr.write('\r\u001b[2K')
    }
  }
}

/** What to do next, where the message itself cannot know. Only for codes where there is one clear answer. */
const ADVICE: Partial<Record<LockerErrorCode, string>> = {
  'vault-sealed': 'open it with: elocker unlock',
  'vault-absent': 'create one with: elocker init',
  'vault-exists': 'it was left as it is; use another --home for a second locker',
  'vault-damaged': 'open it another way (recovery words, key file), then set a new passphrase',
  'home-locked': 'stop that process first, or use another --home',
  'records-damaged': 'see what is affected with: elocker doctor; restore it from a backup',
  'storage-full': 'free space on this disk, then try again; nothing half-written was kept',
  'document-damaged': 'the rest of the document is usable; restore it from a backup or the sender',
  'peer-unreachable':
    'try again when they are back; what waits to be sent is listed by: elocker outbox'
}

/** Ends a failed command: the message, what to do, and the exit code. Sets `process.exitCode`. */
export function fail(voice: Voice, error: unknown): void {
  const { code, message, exit, advice, facts } = explain(error)
  process.exitCode = exit
  if (voice.json) {
    process.stderr.write(`${JSON.stringify({ error: { code, message, ...facts } })}\n`)
    return
  }
  process.stderr.write(`elocker: ${printable(message)}\n`)
  if (advice !== undefined) process.stderr.write(`  ${advice}\n`)
  if (code === 'internal' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`)
}

function explain(error: unknown): {
  code: string
  message: string
  exit: ExitCode
  advice: string | undefined
  facts: Readonly<Record<string, unknown>>
} {
  if (error instanceof LockerError) {
    const { code, message, facts } = error
    return { code, message, exit: EXIT_OF[code], advice: ADVICE[code], facts }
  }
  if (error instanceof CommandFailure) {
    const { code, message, exit } = error
    return { code, message, exit, advice: undefined, facts: {} }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'internal', message, exit: EXIT.failed, advice: undefined, facts: {} }
}
