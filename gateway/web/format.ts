/**
 * Numbers and times in the reader's language, through Intl only: no sentence is built from parts.
 *
 * @module
 */
const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const
const MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/** `1.4 MB`: decimal units, as file managers of this century show them. */
export function formatBytes(bytes: number, language?: string): string {
  let value = Math.max(0, bytes)
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: UNITS[unit] ?? 'byte',
    unitDisplay: unit === 0 ? 'long' : 'short',
    maximumFractionDigits: unit === 0 || value >= 100 ? 0 : 1
  }).format(value)
}

/** `23 Nov 2026`. */
export function formatDate(time: string | Date, language?: string): string {
  return format(time, { dateStyle: 'medium' }, language)
}

/** `23 Nov 2026, 14:05`. */
export function formatDateTime(time: string | Date, language?: string): string {
  return format(time, { dateStyle: 'medium', timeStyle: 'short' }, language)
}

/** `14:05`. */
export function formatTime(time: string | Date, language?: string): string {
  return format(time, { timeStyle: 'short' }, language)
}

/** `in 3 days`, `2 hours ago`, `now`: the largest unit that is at least one. */
export function formatRelative(time: string | Date, now: Date, language?: string): string {
  const difference = new Date(time).getTime() - now.getTime()
  const size = Math.abs(difference)
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  if (size < MS.minute) return words.format(0, 'second')
  if (size < MS.hour) return words.format(Math.round(difference / MS.minute), 'minute')
  if (size < MS.day) return words.format(Math.round(difference / MS.hour), 'hour')
  return words.format(Math.round(difference / MS.day), 'day')
}

/** The calendar day of a time where the reader is, `2026-11-23`, to group by. */
export function dayOf(time: string | Date): string {
  const date = new Date(time)
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`
}

/** `today`, `yesterday`, or the date with its weekday. */
export function formatDay(time: string | Date, now: Date, language?: string): string {
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1)
  const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  if (dayOf(time) === dayOf(now)) return words.format(0, 'day')
  if (dayOf(time) === dayOf(yesterday)) return words.format(-1, 'day')
  return format(time, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }, language)
}

/** Items in their order, cut where the calendar day changes. */
export function groupByDay<T>(
  items: readonly T[],
  timeOf: (item: T) => string
): ReadonlyArray<{ readonly day: string; readonly time: string; readonly items: readonly T[] }> {
  const groups = new Map<string, { day: string; time: string; items: T[] }>()
  for (const item of items) {
    const time = timeOf(item)
    const day = dayOf(time)
    const group = groups.get(day)
    if (group === undefined) groups.set(day, { day, time, items: [item] })
    else group.items.push(item)
  }
  return [...groups.values()]
}

/** `1:05` until a time, for a countdown; `0:00` once it has passed. */
export function formatCountdown(until: Date, now: Date): string {
  const seconds = Math.max(0, Math.ceil((until.getTime() - now.getTime()) / 1000))
  const minutes = Math.floor(seconds / 60)
  return `${minutes}:${String(seconds % 60).padStart(2, '0')}`
}

/** Up to two letters that stand for a name, in any script. */
export function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean)
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => Array.from(word ?? '')[0] ?? ''
  )
  return letters.join('').toUpperCase() || '?'
}

/** The middle cut out of an identifier that nobody reads whole: `did:peer:2.Ez6L…9fQk`. */
export function shorten(text: string, head = 16, tail = 6): string {
  return text.length <= head + tail + 1 ? text : `${text.slice(0, head)}…${text.slice(-tail)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function format(
  time: string | Date,
  options: Intl.DateTimeFormatOptions,
  language?: string
): string {
  const date = new Date(time)
  // A time that is none comes from outside; Intl would throw and take the screen with it.
  if (Number.isNaN(date.getTime())) return '—'
  return new Intl.DateTimeFormat(language, options).format(date)
}
