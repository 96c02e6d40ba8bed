/**
 * What a verdict is made of: the checks, each with its outcome, a code and a whole sentence for the person
 * at the counter; and what the checks need to know of the world.
 *
 * Codes are a closed list, so that a page can say the same in another language: the values that stand in the sentence
 * are also in `facts`.
 *
 * @module
 */
import type { DidDocument } from '../did/document.ts'
import type { ProofCrypto } from './crypto.ts'

/** The checks in the order they are shown; a verdict has each of them once. */
export const CHECK_NAMES = [
  'structure',
  'schema',
  'proof',
  'issuer-key',
  'validity',
  'status',
  'holder-binding',
  'issuer-trust'
] as const

export type CheckName = (typeof CHECK_NAMES)[number]

/**
 * `passed` and `failed` are findings. `not-checked`: it could not be made, and the reason says why.
 * `not-applicable`: the credential, or whoever asks, gives nothing to check.
 */
type CheckOutcome = 'passed' | 'failed' | 'not-checked' | 'not-applicable'

// oxfmt-ignore
export type CheckCode =
  | 'not-reached'             // an earlier check failed, and this one would rest on it
  // structure
  | 'structure-sound' | 'structure-malformed' | 'dates-malformed' | 'format-unknown' | 'context-unknown'
  // schema
  | 'schema-none' | 'schema-conforms' | 'schema-mismatch'
  | 'schema-unreachable' | 'schema-unusable' | 'schema-unsupported'
  // proof
  | 'proof-fits' | 'proof-missing' | 'proof-malformed' | 'proof-wrong' | 'proof-chain-broken'
  | 'proof-suite-unsupported' | 'proof-suite-unknown' | 'proof-context-unknown' | 'proof-term-undefined'
  // issuer-key
  | 'key-current' | 'key-rotated-since' | 'key-rotated-before' | 'key-revoked' | 'key-times-malformed'
  | 'key-not-the-issuers' | 'key-of-another' | 'issuer-unreachable' | 'issuer-no-did'
  // validity
  | 'validity-open' | 'validity-holds' | 'expired' | 'not-yet-valid' | 'validity-nonsense'
  // status
  | 'status-none' | 'status-clear' | 'revoked' | 'suspended'
  | 'status-unreachable' | 'status-old' | 'status-unsupported' | 'status-list-malformed'
  | 'status-list-unproven' | 'status-list-of-another' | 'status-index-out-of-range'
  // holder-binding
  | 'holder-not-asked' | 'holder-open' | 'holder-proven' | 'holder-another' | 'holder-proof-missing'
  | 'holder-proof-wrong' | 'holder-challenge-wrong' | 'holder-stale' | 'holder-unreachable'
  // issuer-trust
  | 'trust-own-contact' | 'trust-list' | 'trust-domain-proven' | 'trust-unknown' | 'trust-self'

export type Facts = Readonly<Record<string, string | number>>

export interface Check {
  readonly name: CheckName
  readonly outcome: CheckOutcome
  readonly code: CheckCode
  /** A whole sentence in English, values included. */
  readonly reason: string
  /** The values of the reason: times as ISO 8601, DIDs, URLs, numbers. */
  readonly facts?: Facts
}

/** What something was when it was last seen; or why it cannot be had, and when it last could. */
export type Known<T> =
  | {
      readonly ok: true
      readonly value: T
      readonly asOf: Date
      /** `live`: asked for now. `cache`: kept from before. `bundle`: came along with the credential. */
      readonly from: 'live' | 'cache' | 'bundle'
    }
  | {
      readonly ok: false
      /** A fact in lower case, to follow a colon. */
      readonly reason: string
      /** When it was last reached; undefined for never. */
      readonly since?: Date
    }

/** Keys are listed with `expires` and `revoked` (Controlled Identifiers 1.0 §2.2); old ones stay listed. */
export type IssuerDocument = DidDocument

/** How an issuer is known: by the owner's own contacts, by a list the owner trusts, by a domain it controls; or not. */
export type Trust = 'own-contact' | 'trust-list' | 'domain-proven' | 'unknown'

/**
 * The world as a verdict sees it. None of these throws for what cannot be reached: that is a {@link Known} with
 * `ok: false`. Only URLs and DIDs of documents whose proof has held are asked for, but for the issuer itself.
 */
export interface VerificationSources {
  readonly now: Date
  readonly crypto: ProofCrypto
  /** Without the network on purpose: old material is accepted, and its age is said. */
  readonly offline: boolean
  /** The DID document of an issuer, or of a holder who presents. */
  issuerDocument(did: string): Promise<Known<IssuerDocument>>
  /** A status list credential as it came, not changed afterwards; its proof is checked here. */
  statusList(url: string): Promise<Known<unknown>>
  /** A JSON Schema as it came. */
  schema(url: string): Promise<Known<unknown>>
  trust(did: string): Promise<Trust>
  /** What the owner calls that DID; undefined for a stranger. */
  name?(did: string): string | undefined
}

export function passed(name: CheckName, code: CheckCode, reason: string, facts?: Facts): Check {
  return made(name, 'passed', code, reason, facts)
}

export function failed(name: CheckName, code: CheckCode, reason: string, facts?: Facts): Check {
  return made(name, 'failed', code, reason, facts)
}

export function notChecked(name: CheckName, code: CheckCode, reason: string, facts?: Facts): Check {
  return made(name, 'not-checked', code, reason, facts)
}

export function notApplicable(
  name: CheckName,
  code: CheckCode,
  reason: string,
  facts?: Facts
): Check {
  return made(name, 'not-applicable', code, reason, facts)
}

function made(
  name: CheckName,
  outcome: CheckOutcome,
  code: CheckCode,
  reason: string,
  facts: Facts | undefined
): Check {
  return { name, outcome, code, reason, ...(facts === undefined ? {} : { facts }) }
}

/** The oldest of what was not asked for live; undefined when all of it was. */
export function oldest(known: readonly Known<unknown>[]): Date | undefined {
  const times = known.flatMap((one) => (one.ok && one.from !== 'live' ? [one.asOf] : []))
  return times.toSorted((one, other) => one.getTime() - other.getTime())[0]
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December'
]

/** `23 November 2026, 10:05 UTC`. */
export function whenOf(date: Date): string {
  const time = date.toISOString().slice(11, 16)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ''} ${date.getUTCFullYear()}, ${time} UTC`
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000]
] as const

/** `3 days`, `1 hour`, `less than a minute`. */
export function ageOf(from: Date, to: Date): string {
  const milliseconds = Math.max(0, to.getTime() - from.getTime())
  for (const [unit, size] of UNITS) {
    const count = Math.floor(milliseconds / size)
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return 'less than a minute'
}
