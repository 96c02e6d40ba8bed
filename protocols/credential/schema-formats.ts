/**
 * The formats of JSON Schema 2020-12 §7.3 that forms and claims use. Others are accepted as they stand, which
 * the standard allows. The library's own come with the tables of international host names, 290 kB that the page of a
 * verifier would have to load.
 *
 * None of these expressions backtracks over more than it has read once.
 *
 * @module
 */
import type { Format } from '@hyperjump/json-schema/experimental'
import { instantOf } from './credential.ts'

const DURATION =
  /^P(?=\d|T\d)(?:\d{1,9}Y)?(?:\d{1,9}M)?(?:\d{1,9}W)?(?:\d{1,9}D)?(?:T(?=\d)(?:\d{1,9}H)?(?:\d{1,9}M)?(?:\d{1,9}S)?)?$/
const EMAIL = /^[^\s@]{1,64}@[^\s@.]{1,63}(?:\.[^\s@.]{1,63}){1,8}$/
const URI = /^[A-Za-z][A-Za-z0-9+.-]{0,63}:[^\s<>"{}|\\^`]+$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

// oxfmt-ignore
const CHECKS: readonly (readonly [string, (text: string) => boolean])[] = [
  ['date',      (text) => /^\d{4}-\d\d-\d\d$/.test(text) && instantOf(`${text}T00:00:00Z`) !== undefined],
  ['date-time', (text) => instantOf(text.toUpperCase()) !== undefined],
  ['time',      (text) => instantOf(`2000-01-01T${text.toUpperCase()}`) !== undefined],
  ['duration',  (text) => DURATION.test(text)],
  ['email',     (text) => EMAIL.test(text)],
  ['uri',       (text) => URI.test(text)],
  ['uuid',      (text) => UUID.test(text)]
]

/** For `addFormat` of @hyperjump/json-schema; what is no text has no format. */
export const FORMATS: readonly Format[] = CHECKS.map(([name, holds]) => ({
  id: `https://json-schema.org/format/${name}`,
  handler: (value) => typeof value !== 'string' || holds(value)
}))
