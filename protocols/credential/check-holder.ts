/**
 * The check `holder-binding`: is whoever presents it the one it is about. A presentation is signed by its holder over
 * a challenge of the verifier's, so that one that was overheard cannot be shown again.
 *
 * @module
 */
import { didOf, keyTimesOf } from '../did/document.ts'
import { answerOf, documentOf } from './check-proof.ts'
import {
  failed,
  notApplicable,
  notChecked,
  passed,
  type Check,
  type VerificationSources
} from './checks.ts'
import { verifyProofs, type ProofOutcome } from './data-integrity.ts'
import { isJsonObject, type JsonObject } from './json.ts'

/** What a verifier asked the holder to sign. */
export interface HolderQuestion {
  /** The verifier's, fresh for this presentation; that it was given out once is for the caller to know. */
  readonly challenge: string
  /** The verifier, as it named itself; any is accepted when undefined. */
  readonly domain?: string
}

/** Who presented: a DID when the presentation is theirs. */
export interface HolderCheck {
  readonly check: Check
  readonly did?: string
}

export const HOLDER_NOT_ASKED: Check = notApplicable(
  'holder-binding',
  'holder-not-asked',
  'Nobody was asked to show that it is theirs.'
)

/** Checks that a presentation was signed by its holder, for this question. */
export async function checkPresenter(
  presentation: JsonObject,
  question: HolderQuestion,
  sources: VerificationSources
): Promise<HolderCheck> {
  const did = presenterOf(presentation)
  if (did === undefined) {
    const reason = 'The presentation does not say whose it is, by a proof that names a key.'
    return { check: failed('holder-binding', 'holder-proof-missing', reason) }
  }
  const holder = presentation['holder']
  const named = isJsonObject(holder) ? holder['id'] : holder
  if (typeof named === 'string' && named !== did) {
    const reason = `The presentation says it is by ${named}, but its proof is by ${did}.`
    return { check: failed('holder-binding', 'holder-proof-wrong', reason, { did, holder: named }) }
  }
  const known = await documentOf(did, sources)
  if (!known.ok) {
    const reason = `The keys of ${did}, who presents it, cannot be had: ${known.reason}.`
    return { check: notChecked('holder-binding', 'holder-unreachable', reason, { did }), did }
  }
  const outcomes = await verifyProofs(presentation, {
    crypto: sources.crypto,
    key: async (method, purpose) => {
      const { revoked } = keyTimesOf(known.value, method)
      if (revoked !== undefined) return { ok: false, reason: `${method} is revoked` }
      return answerOf(known, method, did, purpose, 'authentication')
    }
  })
  const fault = outcomes
    .map((outcome) => faultOf(outcome, question))
    .find((one) => one !== undefined)
  if (fault !== undefined) return { check: fault }
  const reason = `The presentation is by ${did} and was made for this request.`
  return { check: passed('holder-binding', 'holder-proven', reason, { did }), did }
}

/**
 * Whether a credential is about the one who presents it.
 *
 * @param subjects - `id` of every subject that has one; none for a credential about nobody in particular.
 */
export function checkSubject(subjects: readonly string[], holder: HolderCheck): Check {
  if (holder.check.outcome !== 'passed') return holder.check
  return checkHolderDid(subjects, holder.did ?? '')
}

/** As {@link checkSubject}, where the caller knows by other means who presents it: an authenticated message. */
export function checkHolderDid(subjects: readonly string[], did: string): Check {
  const [subject] = subjects
  if (subject === undefined) {
    const reason = 'It is issued to nobody in particular: whoever has it may show it.'
    return notApplicable('holder-binding', 'holder-open', reason)
  }
  return subjects.includes(did)
    ? passed('holder-binding', 'holder-proven', `It is issued to ${did}, who presents it.`, { did })
    : failed(
        'holder-binding',
        'holder-another',
        `It is issued to ${subjects.join(' and ')}, but ${did} presents it.`,
        { did, subject }
      )
}

function presenterOf({ proof }: JsonObject): string | undefined {
  const first: unknown = Array.isArray(proof) ? proof[0] : proof
  const method = isJsonObject(first) ? first['verificationMethod'] : undefined
  return typeof method === 'string' ? didOf(method) : undefined
}

function faultOf(outcome: ProofOutcome, question: HolderQuestion): Check | undefined {
  if (!outcome.ok) {
    const reason = `The holder’s proof does not hold: ${outcome.reason}.`
    return failed('holder-binding', 'holder-proof-wrong', reason)
  }
  if (outcome.challenge !== question.challenge) {
    const given =
      outcome.challenge === undefined
        ? 'no challenge'
        : `the challenge ${JSON.stringify(outcome.challenge.slice(0, 80))}`
    const reason = `The presentation answers ${given}, not the one that was asked here: it may have been made for somebody else, or shown before.`
    return failed('holder-binding', 'holder-challenge-wrong', reason)
  }
  const domains = [outcome.domain ?? []].flat()
  if (question.domain !== undefined && !domains.includes(question.domain)) {
    const given = domains.length === 0 ? 'nobody in particular' : domains.join(', ')
    const reason = `The presentation was made for ${given}, not for ${question.domain}.`
    return failed('holder-binding', 'holder-challenge-wrong', reason)
  }
  return undefined
}
