/**
 * The checks of an SD-JWT VC: the same as of a credential with Data Integrity proofs, over what this format has
 * for them: `iss`, `iat`, `nbf`, `exp`, `status`, `cnf`.
 *
 * The issuer is a DID, in `iss` or as the DID of `kid`. Its `status` is read where it holds Bitstring Status List entries
 * (`bitstring_status_list`); other mechanisms are named as not read.
 *
 * @module
 */
import { didOf, isDid, isKeyId, keysOf } from '../did/document.ts'
import { HOLDER_NOT_ASKED, checkHolderDid, type HolderQuestion } from './check-holder.ts'
import { documentOf, checkKeyLife, listedKey, unreachable } from './check-proof.ts'
import {
  failed,
  notApplicable,
  notChecked,
  passed,
  whenOf,
  type Check,
  type CheckCode,
  type IssuerDocument,
  type Known,
  type VerificationSources
} from './checks.ts'
import type { JsonObject } from './json.ts'
import { peekSdJwt, readSdJwt, type SdJwtKeyAnswer, type SdJwtOutcome } from './sd-jwt.ts'
import type { SdJwtContent } from './sd-jwt-parts.ts'
import type { SdJwtFault } from './sd-jwt-token.ts'

/** Oldest key binding taken, in seconds: what a person takes to answer a request that is on the screen. */
const KEY_BINDING_AGE_MAX_S = 600

/** What an SD-JWT gives to the verdict. */
export interface SdJwtChecks {
  readonly structure: Check
  readonly proof: Check
  readonly key: Check
  readonly holder: Check
  /** undefined when its parts do not fit together. */
  readonly content?: SdJwtContent
  readonly issuer?: string
  readonly known?: Known<IssuerDocument>
}

/** @param holder - What the presenter was asked, or who they are known to be. */
export async function checkSdJwt(
  text: string,
  sources: VerificationSources,
  holder: { readonly question?: HolderQuestion; readonly did?: string }
): Promise<SdJwtChecks> {
  const peeked = peekSdJwt(text, sources.crypto)
  if (!peeked.ok && isStructural(peeked.fault)) return malformed(peeked.reason)
  const found: { issuer?: string; kid?: string; known?: Known<IssuerDocument> } = {}
  const key = async (kid: string | undefined, iss: string | undefined): Promise<SdJwtKeyAnswer> => {
    const issuer = iss ?? (kid !== undefined && isKeyId(kid) ? didOf(kid) : undefined)
    if (issuer === undefined) return { ok: false, reason: 'it names no issuer' }
    found.issuer = issuer
    // Before anybody is asked: an issuer that was changed afterwards has no keys that could be had.
    if (kid !== undefined && isKeyId(kid) && didOf(kid) !== issuer) {
      return { ok: false, reason: `${kid} is not a key of ${issuer}` }
    }
    const known = await documentOf(issuer, sources)
    found.known = known
    if (!known.ok) return { ok: false, reason: known.reason }
    const method = methodOf(known.value, issuer, kid)
    if (method === undefined)
      return { ok: false, reason: `${kid ?? 'its key'} is not a key of ${issuer}` }
    found.kid = method
    const jwk = listedKey(known.value, method, 'assertionMethod')
    return jwk === undefined
      ? { ok: false, reason: `${issuer} does not list ${method} among the keys it issues with` }
      : { ok: true, jwk }
  }
  const outcome = await readSdJwt(text, { crypto: sources.crypto, key })
  if (!outcome.ok && isStructural(outcome.fault)) return malformed(outcome.reason)
  const issued = {
    structure: SOUND,
    ...(found.issuer === undefined ? {} : { issuer: found.issuer }),
    ...(found.known === undefined ? {} : { known: found.known }),
    ...(peeked.ok ? { content: peeked } : {})
  }
  if (!outcome.ok) return { ...issued, ...refusedChecks(outcome, found), holder: HOLDER_NOT_ASKED }
  const { known, issuer = '', kid = '' } = found
  const life =
    known === undefined
      ? notChecked('issuer-key', 'not-reached', 'The issuer’s key was not checked.')
      : checkKeyLife(kid, issuer, known, outcome.iat, sources.now)
  return {
    ...issued,
    proof: passed(
      'proof',
      'proof-fits',
      `The proof fits: nothing was changed since it was signed${outcome.iat === undefined ? '' : ` on ${whenOf(outcome.iat)}`}.`,
      { suite: 'SD-JWT' }
    ),
    key: life,
    holder: await holderCheck(text, { ...sources, key }, holder, outcome)
  }
}

const SOUND = passed('structure', 'structure-sound', 'It is a credential in the form SD-JWT VC.')

/** The subject of an SD-JWT VC: `sub`; undefined when it names none. */
export function subjectOf(claims: JsonObject): string | undefined {
  const { sub } = claims
  return typeof sub === 'string' ? sub : undefined
}

/** Faults that say it is no SD-JWT VC at all. */
const STRUCTURAL: ReadonlySet<SdJwtFault> = new Set([
  'malformed',
  'limit-exceeded',
  'type-unsupported',
  'claims-malformed',
  'claim-reserved'
])

function isStructural(fault: SdJwtFault): boolean {
  return STRUCTURAL.has(fault)
}

function malformed(reason: string): SdJwtChecks {
  const because = 'it is not an SD-JWT VC'
  return {
    structure: failed(
      'structure',
      'structure-malformed',
      `This is not a credential in the form SD-JWT VC: ${reason}.`
    ),
    proof: notChecked('proof', 'not-reached', `The proof was not checked, because ${because}.`),
    key: notChecked(
      'issuer-key',
      'not-reached',
      `The issuer’s key was not checked, because ${because}.`
    ),
    holder: HOLDER_NOT_ASKED
  }
}

/** `kid` as it may stand: an absolute key id, a fragment, or nothing where there is only one key. */
function methodOf(
  document: IssuerDocument,
  issuer: string,
  kid: string | undefined
): string | undefined {
  if (kid === undefined) {
    const [only, second] = keysOf(document, 'assertionMethod')
    return second === undefined ? only?.kid : undefined
  }
  const absolute = isKeyId(kid) ? kid : `${issuer}#${kid.replace(/^#/, '')}`
  return didOf(absolute) === issuer ? absolute : undefined
}

type Refused = Extract<SdJwtOutcome, { ok: false }>

function refusedChecks(
  { fault, reason }: Refused,
  found: { readonly issuer?: string; readonly known?: Known<IssuerDocument> }
): Pick<SdJwtChecks, 'proof' | 'key'> {
  const { issuer, known } = found
  const notReached = notChecked(
    'issuer-key',
    'not-reached',
    'The issuer’s key was not checked, because the proof does not hold.'
  )
  if (fault !== 'key-unknown') return { proof: proofFault(fault, reason), key: notReached }
  const proof = notChecked(
    'proof',
    'not-reached',
    'The proof was not checked, because the key that made it is not at hand.'
  )
  if (issuer === undefined) {
    return {
      proof,
      key: failed('issuer-key', 'key-not-the-issuers', `Its issuer is not known: ${reason}.`)
    }
  }
  if (known !== undefined && !known.ok) return { proof, key: unreachable(issuer, known) }
  return {
    proof,
    key: failed(
      'issuer-key',
      'key-not-the-issuers',
      `The proof is not by a key of the issuer: ${reason}.`,
      { issuer }
    )
  }
}

function proofFault(fault: SdJwtFault, reason: string): Check {
  const said: Partial<Record<SdJwtFault, readonly [CheckCode, string]>> = {
    'signature-wrong': [
      'proof-wrong',
      'The proof does not fit: something was changed after it was signed'
    ],
    'algorithm-unsupported': [
      'proof-suite-unsupported',
      'The proof is of a kind that is not verified here'
    ]
  }
  const [code, sentence] = said[fault] ?? [
    'proof-malformed',
    'The disclosures do not fit what was signed'
  ]
  return failed('proof', code, `${sentence}: ${reason}.`)
}

async function holderCheck(
  text: string,
  sources: VerificationSources & { readonly key: Parameters<typeof readSdJwt>[1]['key'] },
  { question, did }: { readonly question?: HolderQuestion; readonly did?: string },
  content: SdJwtContent
): Promise<Check> {
  if (question === undefined) return did === undefined ? HOLDER_NOT_ASKED : boundTo(did, content)
  if (question.domain === undefined && content.keyBinding === undefined) {
    return failed(
      'holder-binding',
      'holder-proof-missing',
      'It was not signed for this request by its holder.'
    )
  }
  const aud = question.domain ?? content.keyBinding?.aud ?? ''
  const { crypto, key, now } = sources
  const keyBinding = { aud, nonce: question.challenge, now, maxAgeS: KEY_BINDING_AGE_MAX_S }
  const outcome = await readSdJwt(text, { crypto, key, keyBinding })
  if (outcome.ok) {
    const reason = 'The holder signed it for this request, with the key it is issued to.'
    return passed('holder-binding', 'holder-proven', reason)
  }
  return failed(
    'holder-binding',
    HOLDER_CODES[outcome.fault] ?? 'holder-proof-wrong',
    `The holder’s signature does not hold: ${outcome.reason}.`
  )
}

const HOLDER_CODES: Partial<Record<SdJwtFault, CheckCode>> = {
  'key-binding-missing': 'holder-proof-missing',
  'key-binding-audience': 'holder-challenge-wrong',
  'key-binding-nonce': 'holder-challenge-wrong',
  'key-binding-stale': 'holder-stale'
}

function boundTo(did: string, { claims, holderKey }: SdJwtContent): Check {
  const subject = subjectOf(claims)
  if (subject !== undefined || holderKey === undefined)
    return checkHolderDid(subject === undefined ? [] : [subject], did)
  return isDid(did)
    ? notApplicable(
        'holder-binding',
        'holder-not-asked',
        `It is bound to a key, and ${did} was not asked to sign with it.`,
        { did }
      )
    : HOLDER_NOT_ASKED
}
