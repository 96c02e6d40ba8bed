/**
 * The check `status`: is it revoked or suspended, by a list that the issuer signed, and how old that list is.
 *
 * A list that is older than it may be says nothing of what was revoked since: on-line that is "could not be checked", off-line it is what
 * is known, with its age. A bit that is set in an old list still counts where it means revoked, because nothing
 * un-revokes; a suspension may have been lifted.
 *
 * @module
 */
import {
  ageOf,
  failed,
  notApplicable,
  notChecked,
  passed,
  whenOf,
  type Check,
  type Facts,
  type IssuerDocument,
  type Known,
  type VerificationSources
} from './checks.ts'
import { checkProofs } from './check-proof.ts'
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts'
import {
  openStatusList,
  statusIn,
  statusListUrl,
  type StatusFault,
  type StatusList,
  type StatusListOutcome
} from './status-list.ts'

/** Most status entries looked up for one credential: two are usual, and each may ask a server. */
const ENTRIES_MAX = 8

/** What this check rests on beside the verdict's own material. */
export interface StatusCheck {
  readonly check: Check
  /** Time of the oldest list that was not read live. */
  readonly asOf?: Date
}

interface Signer {
  readonly did: string
  readonly known: Known<IssuerDocument>
}

/** One entry judged. The order of severity is the order in which the whole is decided. */
type Finding = StatusCheck & { readonly severity: 'revoked' | 'suspended' | 'open' | 'clear' }

/**
 * @param entries - `credentialStatus` of a credential whose proof holds.
 * @param signer - Its issuer, who must also have signed the lists.
 */
export async function checkStatus(
  entries: readonly JsonValue[],
  signer: Signer,
  sources: VerificationSources
): Promise<StatusCheck> {
  const relevant = entries.filter((entry) => !isOtherPurpose(entry))
  if (relevant.length === 0) {
    const check = notApplicable(
      'status',
      'status-none',
      'The issuer keeps no list in which it could be revoked or suspended.'
    )
    return { check }
  }
  if (relevant.length > ENTRIES_MAX) {
    const reason = `It names ${relevant.length} status lists, more than the ${ENTRIES_MAX} that are looked up.`
    return { check: notChecked('status', 'status-unsupported', reason) }
  }
  const findings: Finding[] = []
  for (const entry of relevant) findings.push(await findingOf(entry, signer, sources))
  return merged(findings)
}

/** `refresh` and `message` entries say nothing about whether it holds. */
function isOtherPurpose(entry: JsonValue): boolean {
  const purpose = isJsonObject(entry) ? entry['statusPurpose'] : undefined
  return purpose === 'refresh' || purpose === 'message'
}

async function findingOf(
  entry: JsonValue,
  signer: Signer,
  sources: VerificationSources
): Promise<Finding> {
  const url = statusListUrl(entry)
  if (url === undefined) return open(unsupported(entry))
  const known = await sources.statusList(url)
  if (!known.ok) return open(unreached(url, known))
  const opened = await openedList(known.value)
  if (!opened.ok) return open(listFault(url, opened.code, opened.reason))
  const unproven = await provenBy(known.value, opened.list, url, signer, sources)
  if ('outcome' in unproven) return open(unproven)
  const status = statusIn(entry, opened.list)
  if (!status.ok) return open(listFault(url, status.code, status.reason))
  const asOf = seenAt(known, unproven.signedAt ?? opened.list.validFrom)
  const times = { url, asOf, fresh: isFresh(known, asOf, opened.list, sources.now) }
  const finding = status.set
    ? setFinding(status.purpose, times, sources)
    : clearFinding(status.purpose, times, sources)
  return { ...finding, ...(known.from === 'live' ? {} : { asOf }) }
}

/**
 * Lists that were inflated, for as long as their sources keep them: whoever verifies many credentials of one issuer looks into the
 * same list each time. What was inflated has not been believed yet; its proof is checked every time.
 */
const inflated = new WeakMap<object, Promise<StatusListOutcome>>()

function openedList(value: unknown): Promise<StatusListOutcome> {
  if (!isJsonObject(value)) return openStatusList(value)
  let opened = inflated.get(value)
  if (opened === undefined) inflated.set(value, (opened = openStatusList(value)))
  return opened
}

interface Times {
  readonly url: string
  readonly asOf: Date
  readonly fresh: boolean
}

/**
 * When the list was as it is. Of one that came along with the credential only what its issuer signed counts: whoever
 * presents it may write a later time beside an old list.
 */
function seenAt(known: Extract<Known<unknown>, { ok: true }>, signedAt: Date | undefined): Date {
  const claimed = known.from === 'bundle'
  return claimed && signedAt !== undefined && signedAt < known.asOf ? signedAt : known.asOf
}

/** The issuer says how long its list may be kept (`ttl`), and until when it holds. */
function isFresh(known: Known<unknown>, asOf: Date, list: StatusList, now: Date): boolean {
  if (list.validUntil !== undefined && list.validUntil < now) return false
  if (known.ok && known.from === 'live') return true
  return now.getTime() - asOf.getTime() <= list.ttlMs
}

/** When the issuer signed the list; or the check that says why it is not believed. */
async function provenBy(
  value: unknown,
  list: StatusList,
  url: string,
  signer: Signer,
  sources: VerificationSources
): Promise<Check | { readonly signedAt?: Date }> {
  if (!isJsonObject(value) || list.issuer !== signer.did) {
    return notChecked(
      'status',
      'status-list-of-another',
      `The status list ${url} is by ${list.issuer ?? 'nobody'}, not by the issuer ${signer.did}, so it says nothing about this.`,
      { url, issuer: signer.did, ...(list.issuer === undefined ? {} : { by: list.issuer }) }
    )
  }
  const { proof, key, created } = await checkProofs(value, signer.did, signer.known, sources)
  const fault = [proof, key].find(({ outcome }) => outcome !== 'passed')
  if (fault === undefined) return created === undefined ? {} : { signedAt: created }
  return notChecked(
    'status',
    'status-list-unproven',
    `The status list ${url} cannot be believed. ${fault.reason}`,
    { url }
  )
}

function setFinding(purpose: string, times: Times, { now, offline }: VerificationSources): Finding {
  const { url, asOf, fresh } = times
  const facts = factsOf(times)
  const seen = fresh ? '' : `, as the list was ${ageOf(asOf, now)} ago`
  if (purpose === 'revocation') {
    const reason = `The issuer has revoked it, according to its list ${url} of ${whenOf(asOf)}.`
    return { severity: 'revoked', check: failed('status', 'revoked', reason, facts) }
  }
  if (purpose !== 'suspension') {
    const reason = `The list ${url} marks it for ${JSON.stringify(purpose)}, which is not understood here.`
    return open(notChecked('status', 'status-unsupported', reason, facts))
  }
  if (!fresh && !offline) return open(old(purpose, times, now))
  const reason = `The issuer has suspended it for now, according to its list ${url} of ${whenOf(asOf)}${seen}.`
  return { severity: 'suspended', check: failed('status', 'suspended', reason, facts) }
}

function clearFinding(
  purpose: string,
  times: Times,
  { now, offline }: VerificationSources
): Finding {
  const { url, asOf, fresh } = times
  if (!fresh && !offline) return open(old(purpose, times, now))
  const what = purpose === 'suspension' ? 'suspended' : 'revoked'
  const age = fresh ? '' : `, ${ageOf(asOf, now)} ago; what has happened since is not known`
  const reason = `It was not ${what} on ${whenOf(asOf)}${age} (list ${url}).`
  return { severity: 'clear', check: passed('status', 'status-clear', reason, factsOf(times)) }
}

function old(purpose: string, times: Times, now: Date): Check {
  const { url, asOf } = times
  const what = purpose === 'suspension' ? 'suspended' : 'revoked'
  return notChecked(
    'status',
    'status-old',
    `Whether it has been ${what} could not be checked: the list ${url} cannot be had now, and was last seen on ${whenOf(asOf)}, ${ageOf(asOf, now)} ago.`,
    { ...factsOf(times), since: asOf.toISOString() }
  )
}

function unreached(url: string, known: Extract<Known<unknown>, { ok: false }>): Check {
  const since =
    known.since === undefined
      ? 'it has never been seen here'
      : `it was last reached on ${whenOf(known.since)}`
  return notChecked(
    'status',
    'status-unreachable',
    `Whether it has been revoked could not be checked: the list ${url} cannot be had (${known.reason}), and ${since}.`,
    { url, ...(known.since === undefined ? {} : { since: known.since.toISOString() }) }
  )
}

function unsupported(entry: JsonValue): Check {
  const type = isJsonObject(entry) ? entry['type'] : undefined
  const index = isJsonObject(entry) ? entry['statusListIndex'] : undefined
  return notChecked(
    'status',
    'status-unsupported',
    `Its status entry cannot be read: type ${shown(type)}, index ${shown(index)}.`
  )
}

function listFault(url: string, code: StatusFault, reason: string): Check {
  const facts = { url }
  if (code === 'index-out-of-range') {
    return notChecked(
      'status',
      'status-index-out-of-range',
      `The status list ${url} has no such entry: ${reason}.`,
      facts
    )
  }
  return notChecked(
    'status',
    'status-list-malformed',
    `The status list ${url} cannot be used: ${reason}.`,
    facts
  )
}

const SEVERITIES = ['revoked', 'suspended', 'open', 'clear'] as const

/** One check out of many: the gravest decides, and all that is as grave is said. */
function merged(findings: readonly Finding[]): StatusCheck {
  const severity = SEVERITIES.find((each) => findings.some((one) => one.severity === each))
  const same = findings.filter((one) => one.severity === severity)
  // Revoked and suspended at once, or suspended and the other list not to be had: all of it is said.
  const said = severity === 'clear' ? same : findings.filter((one) => isSaid(one, severity))
  const [first] = same
  if (first === undefined)
    return { check: notApplicable('status', 'status-none', 'It has no status.') }
  const [asOf] = findings
    .flatMap((one) => one.asOf ?? [])
    .toSorted((one, other) => one.getTime() - other.getTime())
  const check = {
    ...first.check,
    reason: [...new Set(said.map((one) => one.check.reason))].join(' ')
  }
  return { check, ...(asOf === undefined ? {} : { asOf }) }
}

function isSaid({ severity, check }: Finding, gravest: Finding['severity'] | undefined): boolean {
  return gravest === 'revoked' ? check.outcome === 'failed' : severity !== 'clear'
}

function open(check: Check): Finding {
  return { severity: 'open', check }
}

function factsOf({ url, asOf }: Times): Facts {
  return { url, asOf: asOf.toISOString() }
}

function shown(value: JsonValue | undefined): string {
  return value === undefined ? 'none' : JSON.stringify(value).slice(0, 80)
}

/** `credentialStatus` of an SD-JWT VC, which has no such member: the entries in its `status` claim. */
export function statusEntriesOf(claims: JsonObject): readonly JsonValue[] {
  const { status } = claims
  if (status === undefined) return []
  const entries = isJsonObject(status) ? status['bitstring_status_list'] : undefined
  // What is there in another form is an entry that cannot be read, not none.
  if (entries === undefined) return [status]
  return Array.isArray(entries) ? entries : [entries]
}
