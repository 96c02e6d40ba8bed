/**
 * The sentence of a check, for people.
 *
 * @module
 */
import type { Check } from '../../../protocols/credential/checks.ts'
import { tIfKnown } from '../language.ts'

/** In the reader's language where a translator gave it; else the verdict's own English. */
export function reasonOf(check: Check): string {
  return tIfKnown(`checkReasons.${check.code}`, { ...check.facts }) ?? check.reason
}
