/**
 * When two values are the same to a person: what a holder writes in a form against what stands in the
 * issuer's records, and a cell of a file against the type of its field.
 *
 * Texts are compared without regard to case, width, spaces, invisible characters and the script of digits
 * (NFKC, Unicode case folding as far as JavaScript has it), dates by their day. Nothing is guessed: `Kumar, R.`
 * and `R Kumar` are different, and somebody has to look.
 *
 * @module
 */
import {
  fieldsOf,
  type CredentialType,
  type Field
} from '../protocols/credential/credential-type.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../protocols/credential/json.ts'

/** Longest text that is compared, UTF-16 code units; longer ones differ from everything. */
const TEXT_CHARACTERS_MAX = 10_000

/** One field of a form, and the claim it asks for. */
export interface Question {
  /** JSON pointer into the form. */
  readonly form: string
  /** JSON pointer into the claims. */
  readonly claim: string
  readonly schema: JsonObject
  /** Whether records are found by it; the others only tell found ones apart. */
  readonly search: boolean
}

/**
 * What a form asks, as claims: a field that is a claim by its own pointer; else the only search field, else the only
 * claim, with the same name. A field that asks for no claim (a term, a remark) is for people and left out.
 */
export function questionsOf(type: CredentialType): readonly Question[] {
  const claims = leaves(fieldsOf(type))
  const search = new Set(type.search ?? [])
  const form = type.form === undefined ? claims : leaves(fieldsOf({ ...type, schema: type.form }))
  return form.flatMap(({ pointer }) => {
    const claim =
      claims.find((each) => each.pointer === pointer) ??
      only(claims.filter((each) => search.has(each.pointer) && sameName(each.pointer, pointer))) ??
      only(claims.filter((each) => sameName(each.pointer, pointer)))
    return claim === undefined
      ? []
      : [
          {
            form: pointer,
            claim: claim.pointer,
            schema: claim.schema,
            search: search.has(claim.pointer)
          }
        ]
  })
}

/** Fields that are one value, not in a list. */
export function leaves(fields: readonly Field[]): readonly Field[] {
  return fields.filter(
    ({ pointer, group, schema }) =>
      !group && !pointer.includes('/*') && schema['type'] !== 'array' && schema['type'] !== 'object'
  )
}

/**
 * The form in which two values of a field are the same; `undefined` for what is absent, empty or not one
 * value.
 *
 * @param schema - JSON Schema of the field: says whether it is a date or a number.
 */
export function comparable(
  value: JsonValue | undefined,
  schema: JsonObject | undefined
): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'string' || value.length > TEXT_CHARACTERS_MAX) return undefined
  const text = folded(value)
  if (text === '') return undefined
  if (schema?.['format'] === 'date') return isoDate(text) ?? text
  const type = schema?.['type']
  if (type === 'number' || type === 'integer') return String(numberOf(text) ?? text)
  return text
}

/** NFKC without invisible characters, digits of every script as ASCII, single spaces, one case. */
export function folded(text: string): string {
  return text
    .toWellFormed()
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/(?![0-9])\p{Nd}/gu, asciiDigit)
    .replaceAll(/\s+/gu, ' ')
    .trim()
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
}

/**
 * The day as `YYYY-MM-DD`, of `2003-05-17`, `17-05-2003`, `17/05/2003`, `17.5.2003`, `20030517`, `17052003` or a
 * time stamp; `undefined` for anything else and for days that are in no calendar. The day stands before the
 * month wherever the year does not stand first.
 */
export function isoDate(text: string): string | undefined {
  const plain = folded(text)
  const first = /^(\d{4})([-/. ])(\d{1,2})\2(\d{1,2})(?:t.*)?$/.exec(plain)
  if (first !== null) return dayOf(first[1], first[3], first[4])
  const last = /^(\d{1,2})([-/. ])(\d{1,2})\2(\d{4})$/.exec(plain)
  if (last !== null) return dayOf(last[4], last[3], last[1])
  if (!/^\d{8}$/.test(plain)) return undefined
  const year = plain.slice(0, 4)
  return year >= '1800' && year < '2200'
    ? dayOf(year, plain.slice(4, 6), plain.slice(6))
    : dayOf(plain.slice(4), plain.slice(2, 4), plain.slice(0, 2))
}

/** A decimal number as people write it without grouping; `undefined` for anything else. */
export function numberOf(text: string): number | undefined {
  return /^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : undefined
}

/** The value at a JSON pointer without `*`; `undefined` where there is none. Own members only. */
export function valueAt(value: JsonValue | undefined, pointer: string): JsonValue | undefined {
  let at = value
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (!isJsonObject(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

function dayOf(
  year: string | undefined,
  month: string | undefined,
  day: string | undefined
): string | undefined {
  const iso = `${year ?? ''}-${(month ?? '').padStart(2, '0')}-${(day ?? '').padStart(2, '0')}`
  const time = Date.parse(`${iso}T00:00:00Z`)
  // Date.parse takes the 30th of February for the 2nd of March.
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== iso ? undefined : iso
}

/** Decimal digits stand in runs of ten from zero to nine (Unicode Standard §4.6). */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  for (let value = 0; value < 10; value++)
    if (!/\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) return String(value)
  return digit
}

function sameName(one: string, other: string): boolean {
  return one.slice(one.lastIndexOf('/')) === other.slice(other.lastIndexOf('/'))
}

function only<T>(found: readonly T[]): T | undefined {
  return found.length === 1 ? found[0] : undefined
}
