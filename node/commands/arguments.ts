/**
 * Reads what a person typed: durations, secrets, ids; and asks for what is missing on a terminal.
 *
 * @module
 */
import { readFile, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { LockerError } from '../../agent/errors.ts'
import { CommandFailure, EXIT, messageOf } from './outcome.ts'

/** Largest secret or token file, bytes: a passphrase, 24 words or one age identity fit many times over. */
const SECRET_FILE_BYTES_MAX = 64 * 1024

/** Largest JSON file, bytes: a credential's claims, or a type with its texts in many languages. */
const JSON_FILE_BYTES_MAX = 256 * 1024

const UNIT_MS: ReadonlyMap<string | undefined, number> = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000]
])

/**
 * A moment from `7d`, `24h`, `30m`, `2w`, or an ISO 8601 date or time.
 *
 * @throws LockerError `request-invalid` for anything else, and for the past.
 */
export function moment(text: string, now: Date): Date {
  const duration = /^(\d{1,5})([mhdw])$/.exec(text)
  const unitMs = UNIT_MS.get(duration?.[2])
  const at =
    unitMs === undefined ? new Date(text) : new Date(now.getTime() + Number(duration?.[1]) * unitMs)
  if (Number.isNaN(at.getTime()) || (unitMs === undefined && !/^\d{4}-\d{2}-\d{2}/.test(text))) {
    throw new LockerError(
      'request-invalid',
      `'${text}' is no time: write 30m, 24h, 7d, 2w or a date like 2027-01-31`
    )
  }
  if (at <= now) throw new LockerError('request-invalid', `${at.toISOString()} is in the past`)
  return at
}

/**
 * A secret from a file: the first line, without its line end. `-` reads stdin.
 *
 * @throws CommandFailure `secret-file` when it cannot be read, is empty or over 64 KiB.
 */
export async function secretFrom(path: string): Promise<string> {
  const text = await wholeFile(path)
  const line = text.split(/\r?\n/, 1)[0] ?? ''
  if (line === '') throw new CommandFailure(EXIT.usage, 'secret-file', `${path} is empty`)
  return line
}

/** A whole small text file, at most 64 KiB where nothing else is said; `-` reads stdin. */
export async function wholeFile(
  path: string,
  bytesMax: number = SECRET_FILE_BYTES_MAX
): Promise<string> {
  try {
    if (path === '-') {
      const parts: Buffer[] = []
      let bytes = 0
      for await (const part of process.stdin as AsyncIterable<Buffer>) {
        bytes += part.length
        if (bytes > bytesMax) throw new Error(`over ${bytesMax} bytes`)
        parts.push(part)
      }
      return Buffer.concat(parts).toString('utf8')
    }
    const { size } = await stat(path)
    if (size > bytesMax) throw new Error(`over ${bytesMax} bytes`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CommandFailure(EXIT.usage, 'secret-file', `cannot read ${path}: ${messageOf(error)}`)
  }
}

/** A JSON document in a file; `-` reads stdin. Throws CommandFailure for what is none or too large. */
export async function jsonFrom(path: string): Promise<unknown> {
  const text = await wholeFile(path, JSON_FILE_BYTES_MAX)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandFailure(EXIT.usage, 'not-json', `${path} is not JSON: ${messageOf(error)}`)
  }
}

/** Whether a person can be asked. */
export function canAsk(options: { input?: boolean; json?: boolean }): boolean {
  return options.input !== false && options.json !== true && process.stdin.isTTY
}

/** Asks one question on the terminal. `hidden` shows nothing of what is typed. */
export async function ask(question: string, options: { hidden?: boolean } = {}): Promise<string> {
  let muted = false
  // readline echoes through its output; what is typed after the question stays dark.
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!muted) process.stderr.write(chunk)
      done()
    }
  })
  const reader = createInterface({ input: process.stdin, output, terminal: true })
  try {
    const answer = reader.question(question)
    muted = options.hidden === true
    return await answer
  } finally {
    reader.close()
    if (options.hidden === true) process.stderr.write('\n')
  }
}

/**
 * The passphrase: from the file, else asked for (twice when it is a new one).
 *
 * @throws CommandFailure `passphrase-missing` where nobody can be asked.
 */
export async function passphraseFor(options: {
  file: string | undefined
  askable: boolean
  fresh?: boolean
}): Promise<string> {
  if (options.file !== undefined) return secretFrom(options.file)
  if (!options.askable) {
    throw new CommandFailure(
      EXIT.usage,
      'passphrase-missing',
      'no passphrase: give --passphrase-file FILE or set ELOCKER_PASSPHRASE_FILE'
    )
  }
  const passphrase = await ask('Passphrase: ', { hidden: true })
  if (
    options.fresh === true &&
    (await ask('The same once more: ', { hidden: true })) !== passphrase
  ) {
    throw new CommandFailure(EXIT.usage, 'passphrase-differs', 'the two passphrases differ')
  }
  return passphrase
}

/**
 * The one id that begins with `prefix`, so that a few characters are enough on a terminal.
 *
 * @throws LockerError with `code` when none does, or several do.
 */
export function oneOf(
  ids: readonly string[],
  prefix: string,
  code:
    | 'document-unknown'
    | 'grant-unknown'
    | 'inbox-unknown'
    | 'token-unknown'
    | 'credential-unknown'
    | 'exchange-unknown'
    | 'record-unknown'
    | 'staff-unknown',
  what: string
): string {
  const exact = ids.find((id) => id === prefix)
  if (exact !== undefined) return exact
  const found = ids.filter((id) => id.startsWith(prefix))
  const [only] = found
  if (only === undefined || prefix.length < 4) {
    throw new LockerError(code, `no ${what} ${prefix}`)
  }
  if (found.length > 1) {
    throw new LockerError('request-invalid', `${found.length} ${what}s begin with ${prefix}`)
  }
  return only
}
