/**
 * The check `validity`: is the credential within the time its issuer gave it. A clock that is a little behind the issuer's
 * is forgiven at the beginning, as for messages; the end is the end.
 *
 * @module
 */
import { CLOCK_SKEW_MS } from '../message.ts'
import { ageOf, failed, passed, whenOf, type Check } from './checks.ts'
import { instantOf, type Validity } from './credential.ts'
import type { JsonObject } from './json.ts'

/**
 * @param validity - As credential.ts reads it: a text when it makes no sense.
 * @param proofUntil - `expires` of the proof: until when the signer wants it to count.
 */
export function checkValidity(
  validity: Validity | string,
  proofUntil: Date | undefined,
  now: Date
): Check {
  if (typeof validity === 'string') {
    return failed('validity', 'validity-nonsense', `The dates contradict each other: ${validity}.`)
  }
  const { from, until: stated } = validity
  const until =
    proofUntil !== undefined && (stated === undefined || proofUntil < stated) ? proofUntil : stated
  const facts = {
    ...(from === undefined ? {} : { from: from.toISOString() }),
    ...(until === undefined ? {} : { until: until.toISOString() })
  }
  if (from !== undefined && from.getTime() > now.getTime() + CLOCK_SKEW_MS) {
    const reason = `It is valid only from ${whenOf(from)} on, and now it is ${whenOf(now)}.`
    return failed('validity', 'not-yet-valid', reason, facts)
  }
  if (until !== undefined && until < now) {
    const reason = `It was valid until ${whenOf(until)} and expired ${ageOf(until, now)} ago.`
    return failed('validity', 'expired', reason, facts)
  }
  if (until === undefined) {
    const since =
      from === undefined
        ? 'It has no end of validity'
        : `It is valid since ${whenOf(from)}, without an end`
    return passed('validity', 'validity-open', `${since}.`, facts)
  }
  return passed('validity', 'validity-holds', `It is valid until ${whenOf(until)}.`, facts)
}

const DATES = ['validFrom', 'validUntil', 'issuanceDate', 'expirationDate'] as const

/** A sentence about the first date of a credential that is none; undefined when all are. */
export function dateFault(credential: JsonObject): string | undefined {
  for (const name of DATES) {
    const value = credential[name]
    if (value === undefined) continue
    if (typeof value === 'string' && instantOf(value) !== undefined) continue
    const given = JSON.stringify(value).slice(0, 80)
    return `Its ${name} is ${given}, which is no date and time with a zone, such as 2026-11-23T10:00:00Z.`
  }
  return undefined
}
