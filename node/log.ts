/**
 * The log: one JSON object a line on standard error, an event name and fields. DIDs, CIDs and PeerIds
 * may appear; names, keys and document text never do, and what looks like a secret is cut out here even
 * if a caller forgets.
 *
 * @module
 */
import { destination, pino } from 'pino'
import type { DestinationStream } from 'pino'
import type { Logger } from '../agent/components.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** A logger that hands out loggers for parts of the program, told apart by the field `component`. */
export interface Log extends Logger {
  forComponent(name: string): Logger
}

/** Nesting, entries and characters kept of a field; the rest is cut, so one line stays readable. */
const DEPTH_MAX = 4
const ENTRIES_MAX = 50
const CHARACTERS_MAX = 1_000

/** Fields that are never written, whatever they hold. */
const SECRET_FIELD =
  /pass(word|phrase)|secret|token|words|cookie|authori[sz]ation|mnemonic|proof|capability|(private|file|root|open)key|^key$|^(file)?name$|^title$|^text$|^body$|^content$|^plaintext$/i

/** Secrets that may stand inside a text: age identities, the fragment and the credentials of a URL, bearer tokens. */
const SECRET_TEXT: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/AGE-SECRET-KEY-[0-9A-Z-]+/gi, '[secret]'],
  [/(https?:\/\/[^\s#]*)#\S+/gi, '$1#[secret]'],
  [/\b(token|ticket|_oob|proof)=[^\s&]+/gi, '$1=[secret]'],
  [/\bBearer\s+\S+/gi, 'Bearer [secret]']
]

/** `to` undefined: standard error, written at once, so that the last line before a crash is there. */
export function openLog(options: { level: LogLevel; to?: DestinationStream }): Log {
  const lines = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) }
    },
    options.to ?? destination({ fd: 2, sync: true })
  )
  const forComponent = (component?: string): Logger => {
    const child = component === undefined ? lines : lines.child({ component })
    const write =
      (level: 'debug' | 'info' | 'warn' | 'error') =>
      (event: string, fields?: Readonly<Record<string, unknown>>): void => {
        if (child.isLevelEnabled(level))
          child[level](fields === undefined ? {} : { fields: withoutSecrets(fields) }, event)
      }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error')
    }
  }
  return { ...forComponent(), forComponent }
}

/** A copy of a field's value with secrets, raw bytes and excess cut out. */
export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return cleanText(value)
  if (typeof value === 'object' && value !== null) return cleanObject(value, depth)
  if (typeof value === 'bigint') return value.toString()
  return typeof value === 'function' || typeof value === 'symbol' ? `[${typeof value}]` : value
}

function cleanText(text: string): string {
  let clean = text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}…` : text
  for (const [pattern, replacement] of SECRET_TEXT) clean = clean.replace(pattern, replacement)
  return clean
}

function cleanObject(value: object, depth: number): unknown {
  if (depth >= DEPTH_MAX) return '[…]'
  if (value instanceof Error) return cleanError(value, depth)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value))
    return value.slice(0, ENTRIES_MAX).map((entry) => withoutSecrets(entry, depth + 1))
  // CIDs, PeerIds and multiaddrs say best themselves what they are.
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    // oxlint-disable-next-line typescript/no-base-to-string -- a class without its own text is `[object Object]`, which is right here
    return cleanText(String(value))
  const entries = Object.entries(value).slice(0, ENTRIES_MAX)
  // Object.fromEntries defines properties, so a field named `__proto__` stays a field.
  return Object.fromEntries(
    entries.map(([name, field]) => [
      cleanText(name),
      SECRET_FIELD.test(name) ? '[secret]' : withoutSecrets(field, depth + 1)
    ])
  )
}

function cleanError(error: Error, depth: number): unknown {
  const code: unknown = 'code' in error ? error.code : undefined
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: cleanText(error.message),
    ...(error.stack === undefined ? {} : { stack: cleanText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: withoutSecrets(error.cause, depth + 1) })
  }
}
