/**
 * The checks `proof` and `issuer-key`: does the proof fit, and was the key the issuer's when it was made.
 *
 * A document may carry more proofs than its issuer's, by those who attest it. The issuer's decide; the others must fit
 * as well, where their keys can be had, because a proof that does not fit is damage or forgery, whoever made it.
 *
 * When a key was rotated (`expires`), what it signed before stays. When it was compromised (`revoked`), nothing
 * it signed counts: the time in a proof is written by whoever signs.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { didOf, isDid, keyTimesOf, keysOf } from '../did/document.ts'
import type { PublicKeyJwk } from '../did/multikey.ts'
import {
  failed,
  notChecked,
  passed,
  whenOf,
  type Check,
  type CheckCode,
  type IssuerDocument,
  type Known,
  type VerificationSources
} from './checks.ts'
import { instantOf } from './credential.ts'
import {
  verifyProofs,
  type KeyAnswer,
  type ProofFault,
  type ProofOutcome,
  type ProofPurpose
} from './data-integrity.ts'
import { isJsonObject, type JsonObject, type JsonValue } from './json.ts'

/**
 * Suites there are and that are not verified here. A name outside this list and our own is not a suite nobody has
 * heard of: it is a damaged name.
 */
const OTHER_SUITES: ReadonlySet<unknown> = new Set([
  'ecdsa-rdfc-2019',
  'ecdsa-jcs-2019',
  'ecdsa-sd-2023',
  'bbs-2023',
  'eddsa-2022',
  'JsonWebSignature2020',
  'Ed25519Signature2018',
  'RsaSignature2018',
  'EcdsaSecp256k1Signature2019',
  'EcdsaSecp256k1RecoverySignature2020',
  'BbsBlsSignature2020',
  'BbsBlsSignatureProof2020'
])

export interface ProofChecks {
  readonly proof: Check
  readonly key: Check
  /** When the signer wants the proof to stop counting, the earliest of them; Data Integrity 1.0 §2.1 `expires`. */
  readonly expires?: Date
  /** When the issuer says it signed, the latest. */
  readonly created?: Date
}

type Verified = Extract<ProofOutcome, { ok: true }>

/** A proof that does not hold, with the suite it names. */
type Refused = Extract<ProofOutcome, { ok: false }> & { readonly suite: unknown }

/**
 * Checks the proofs of a document that `signer` is said to have signed.
 *
 * @param known - The signer's DID document.
 */
export async function checkProofs(
  document: JsonObject,
  signer: string,
  known: Known<IssuerDocument>,
  sources: VerificationSources
): Promise<ProofChecks> {
  const raw = proofsOf(document)
  if (raw.length > 0 && !raw.some((proof) => signerOf(proof) === signer))
    return byAnother(raw, signer)
  const mine = await verifyProofs(document, {
    crypto: sources.crypto,
    key: async (method, purpose) => answerOf(known, method, signer, purpose, 'assertionMethod')
  })
  const verified = mine.filter((outcome) => outcome.ok)
  const refused = refusedOf(mine, raw, (did) => did === signer)
  const proof = proofCheck(refused, verified, signer, known)
  if (proof.outcome !== 'passed') return { proof, key: keyCheckWithout(refused, signer, known) }
  const others = raw.some((one) => signerOf(one) !== signer)
  const further = others ? await checkOthers(document, raw, signer, known, sources) : undefined
  return {
    proof: further ?? proof,
    key: worstOf(
      verified.map(({ verificationMethod, created }) =>
        checkKeyLife(verificationMethod, signer, known, created, sources.now)
      )
    ),
    ...timesOf(verified)
  }
}

/**
 * Whether a key of this document may be used for the purpose, and which it is.
 *
 * @param wanted - The purpose a proof of this kind of document must have.
 */
export function answerOf(
  known: Known<IssuerDocument>,
  method: string,
  signer: string,
  purpose: ProofPurpose,
  wanted: ProofPurpose
): KeyAnswer {
  if (purpose !== wanted)
    return { ok: false, reason: `the proof is made for ${purpose}, not for ${wanted}` }
  if (didOf(method) !== signer) return { ok: false, reason: `${method} is not a key of ${signer}` }
  if (!known.ok) return { ok: false, reason: known.reason }
  const jwk = listedKey(known.value, method, purpose)
  return jwk?.crv === 'Ed25519'
    ? { ok: true, publicKey: base64urlnopad.decode(jwk.x) }
    : {
        ok: false,
        reason: `${method} is not among the Ed25519 keys that ${signer} lists for ${purpose}`
      }
}

/** The key under that id, if the document lists it for the purpose. */
export function listedKey(
  document: IssuerDocument,
  method: string,
  purpose: ProofPurpose
): PublicKeyJwk | undefined {
  return keysOf(document, purpose).find(({ kid }) => kid === method)?.jwk
}

/**
 * Whether a key, listed in the signer's document, was the signer's when it signed.
 *
 * @param created - When it signed, by its own word; undefined when it does not say.
 */
export function checkKeyLife(
  method: string,
  signer: string,
  known: Known<IssuerDocument>,
  created: Date | undefined,
  now: Date
): Check {
  if (!known.ok) return unreachable(signer, known)
  const check = keyLifeCheck(method, known.value, created, now)
  if (known.from === 'live' || check.outcome !== 'passed') return check
  return {
    ...check,
    reason: `${check.reason} This is as the issuer’s keys were known on ${whenOf(known.asOf)}.`,
    facts: { ...check.facts, asOf: known.asOf.toISOString() }
  }
}

function keyLifeCheck(
  method: string,
  document: IssuerDocument,
  created: Date | undefined,
  now: Date
): Check {
  const { expires, revoked } = keyTimesOf(document, method)
  const revokedAt = revoked === undefined ? undefined : instantOf(revoked)
  const expiresAt = expires === undefined ? undefined : instantOf(expires)
  if (revoked !== undefined && (revokedAt === undefined || revokedAt <= now)) {
    const when = revokedAt === undefined ? '' : ` on ${whenOf(revokedAt)}`
    return failed(
      'issuer-key',
      'key-revoked',
      `The issuer withdrew the key ${method}${when} as known to others, so nothing signed with it counts.`,
      { method, ...(revokedAt === undefined ? {} : { at: revokedAt.toISOString() }) }
    )
  }
  if (expires !== undefined && expiresAt === undefined) {
    return failed(
      'issuer-key',
      'key-times-malformed',
      `The issuer says of the key ${method} that it ended, but ${JSON.stringify(expires)} is no time.`,
      { method }
    )
  }
  if (expiresAt !== undefined && expiresAt <= now) return rotatedCheck(method, expiresAt, created)
  return passed('issuer-key', 'key-current', `The key ${method} is the issuer’s.`, { method })
}

function rotatedCheck(method: string, expiresAt: Date, created: Date | undefined): Check {
  const facts = {
    method,
    at: expiresAt.toISOString(),
    ...(created === undefined ? {} : { created: created.toISOString() })
  }
  if (created !== undefined && created < expiresAt) {
    return passed(
      'issuer-key',
      'key-rotated-since',
      `The key ${method} was the issuer’s when it signed on ${whenOf(created)}; it was replaced on ${whenOf(expiresAt)}.`,
      facts
    )
  }
  const when =
    created === undefined
      ? 'and the proof does not say when it was made'
      : `before the proof was made on ${whenOf(created)}`
  return failed(
    'issuer-key',
    'key-rotated-before',
    `The issuer replaced the key ${method} on ${whenOf(expiresAt)}, ${when}.`,
    facts
  )
}

/** What is said when the signer's document cannot be had. */
export function unreachable(signer: string, known: Extract<Known<unknown>, { ok: false }>): Check {
  if (!isDid(signer)) {
    return notChecked(
      'issuer-key',
      'issuer-no-did',
      `The issuer is named ${signer}, which is no DID, so its keys cannot be found.`,
      { issuer: signer }
    )
  }
  const since =
    known.since === undefined
      ? 'They have never been seen here.'
      : `They were last seen on ${whenOf(known.since)}.`
  return notChecked(
    'issuer-key',
    'issuer-unreachable',
    `The keys of the issuer ${signer} cannot be had now: ${known.reason}. ${since}`,
    { issuer: signer, ...(known.since === undefined ? {} : { since: known.since.toISOString() }) }
  )
}

function byAnother(raw: readonly JsonValue[], signer: string): ProofChecks {
  const method = raw.map((proof) => methodOf(proof)).find((name) => name !== undefined)
  if (method === undefined) {
    return {
      proof: failed('proof', 'proof-malformed', 'The proof does not name the key that made it.'),
      key: notReached('issuer-key', 'the proof names no key')
    }
  }
  return {
    proof: notChecked(
      'proof',
      'not-reached',
      `The proof was not checked, because it is not by the issuer: it names the key ${method}.`,
      { method }
    ),
    key: failed(
      'issuer-key',
      'key-of-another',
      `The proof names the key ${method}, which is not a key of the issuer ${signer}.`,
      { method, issuer: signer }
    )
  }
}

/** @param refused - Those of the signer's own proofs that do not hold. */
function proofCheck(
  refused: readonly Refused[],
  verified: readonly Verified[],
  signer: string,
  known: Known<IssuerDocument>
): Check {
  const damaged = refused.find(
    (one) =>
      one.fault !== 'key-unknown' && (one.fault !== 'suite-unsupported' || !isOtherSuite(one))
  )
  if (damaged !== undefined) return faultCheck(damaged)
  if (verified.length > 0) {
    const [first] = verified
    return passed(
      'proof',
      'proof-fits',
      `The proof fits: nothing was changed since ${first?.created === undefined ? 'it was signed' : `it was signed on ${whenOf(first.created)}`}.`,
      {
        suite: first?.cryptosuite ?? '',
        ...(first?.created === undefined ? {} : { created: first.created.toISOString() })
      }
    )
  }
  const [unsupported] = refused.filter(({ fault }) => fault === 'suite-unsupported')
  if (unsupported !== undefined) return faultCheck(unsupported)
  return notReached(
    'proof',
    known.ok ? `its key is not a key of ${signer}` : 'the issuer’s keys cannot be had'
  )
}

// oxfmt-ignore
const FAULTS: Readonly<Record<ProofFault, readonly [CheckCode, string]>> = {
  'proof-missing':     ['proof-missing',           'There is no proof in it, so it could be by anyone'],
  'proof-malformed':   ['proof-malformed',         'The proof cannot be read'],
  'suite-unsupported': ['proof-suite-unsupported', 'The proof is of a kind that is not verified here'],
  'signature-wrong':   ['proof-wrong',             'The proof does not fit: something was changed after it was signed, or another key signed it'],
  'key-unknown':       ['key-not-the-issuers',     'The proof is by a key that is not the issuer’s'],
  'context-unknown':   ['proof-context-unknown',   'The proof cannot be verified, because the meaning of the terms is not known here'],
  'context-mismatch':  ['proof-wrong',             'The proof does not fit: the contexts were changed after it was signed'],
  'term-undefined':    ['proof-term-undefined',    'The proof does not cover everything in it, because a term is not defined'],
  'previous-unknown':  ['proof-chain-broken',      'A proof follows another one that is not there'],
  'limit-exceeded':    ['proof-malformed',         'The proof goes beyond what is read']
}

function faultCheck(refused: Refused): Check {
  const { fault, reason, verificationMethod } = refused
  const [code, sentence] = FAULTS[fault]
  const facts = verificationMethod === undefined ? undefined : { method: verificationMethod }
  const whole = `${sentence}: ${reason}.`
  if (fault === 'context-unknown') return notChecked('proof', code, whole, facts)
  if (fault !== 'suite-unsupported') return failed('proof', code, whole, facts)
  return isOtherSuite(refused)
    ? notChecked('proof', code, whole, facts)
    : failed(
        'proof',
        'proof-suite-unknown',
        `The proof is of a kind that does not exist: ${reason}.`,
        facts
      )
}

function isOtherSuite({ suite }: Refused): boolean {
  return OTHER_SUITES.has(suite)
}

/** The proofs that do not hold, of those whose signer is meant. One outcome for the whole document is everybody's. */
function refusedOf(
  outcomes: readonly ProofOutcome[],
  raw: readonly JsonValue[],
  meant: (did: string | undefined) => boolean
): readonly Refused[] {
  return outcomes.flatMap((outcome, at) => {
    const proof = outcomes.length === raw.length ? raw[at] : undefined
    if (outcome.ok || (proof !== undefined && !meant(signerOf(proof)))) return []
    return [{ ...outcome, suite: suiteOf(proof) }]
  })
}

function suiteOf(proof: JsonValue | undefined): unknown {
  if (!isJsonObject(proof)) return undefined
  return proof['type'] === 'DataIntegrityProof' ? proof['cryptosuite'] : proof['type']
}

/** Of a key whose proof did not hold: whether it is listed, and no more. */
function keyCheckWithout(
  refused: readonly Refused[],
  signer: string,
  known: Known<IssuerDocument>
): Check {
  if (!known.ok) return unreachable(signer, known)
  const unknown = refused.find(({ fault }) => fault === 'key-unknown')
  if (unknown === undefined) return notReached('issuer-key', 'the proof does not hold')
  const method = unknown.verificationMethod ?? ''
  return failed(
    'issuer-key',
    'key-not-the-issuers',
    `The proof is not by a key the issuer issues with: ${unknown.reason}.`,
    { method, issuer: signer }
  )
}

/** The check of proofs by others than the signer, if it does not pass. */
async function checkOthers(
  document: JsonObject,
  raw: readonly JsonValue[],
  signer: string,
  known: Known<IssuerDocument>,
  sources: VerificationSources
): Promise<Check | undefined> {
  const documents = new Map([[signer, Promise.resolve(known)]])
  const outcomes = await verifyProofs(document, {
    crypto: sources.crypto,
    key: async (method, purpose) => {
      const other = didOf(method)
      const found = documents.get(other) ?? documentOf(other, sources)
      documents.set(other, found)
      return answerOf(await found, method, other, purpose, 'assertionMethod')
    }
  })
  const refused = refusedOf(outcomes, raw, (did) => did !== signer)
  const damaged = refused.find(
    (one) => one.fault !== 'key-unknown' && faultCheck(one).outcome === 'failed'
  )
  if (damaged !== undefined) return faultCheck(damaged)
  const [open] = refused
  if (open === undefined) return undefined
  return passed(
    'proof',
    'proof-fits',
    `The issuer’s proof fits. A further proof could not be checked: ${open.reason}.`
  )
}

/** The document of whoever signed; a name that is no DID has none. */
export function documentOf(
  did: string,
  sources: Pick<VerificationSources, 'issuerDocument'>
): Promise<Known<IssuerDocument>> {
  return isDid(did)
    ? sources.issuerDocument(did)
    : Promise.resolve({ ok: false, reason: `${did} is no DID` })
}

function worstOf(checks: readonly Check[]): Check {
  const worst = checks.find(({ outcome }) => outcome === 'failed') ?? checks[0]
  return worst ?? notReached('issuer-key', 'there is no proof')
}

function notReached(name: 'proof' | 'issuer-key', because: string): Check {
  const what = name === 'proof' ? 'The proof' : 'The issuer’s key'
  return notChecked(name, 'not-reached', `${what} was not checked, because ${because}.`)
}

function timesOf(verified: readonly Verified[]): {
  readonly expires?: Date
  readonly created?: Date
} {
  const [expires] = verified.flatMap((outcome) => outcome.expires ?? []).toSorted(byTime)
  const created = verified
    .flatMap((outcome) => outcome.created ?? [])
    .toSorted(byTime)
    .at(-1)
  return {
    ...(expires === undefined ? {} : { expires }),
    ...(created === undefined ? {} : { created })
  }
}

function byTime(one: Date, other: Date): number {
  return one.getTime() - other.getTime()
}

function proofsOf({ proof }: JsonObject): readonly JsonValue[] {
  if (proof === undefined) return []
  return Array.isArray(proof) ? proof : [proof]
}

function methodOf(proof: JsonValue | undefined): string | undefined {
  const method = isJsonObject(proof) ? proof['verificationMethod'] : undefined
  return typeof method === 'string' ? method : undefined
}

/** Whose key a proof names: a DID, or whatever else stands before the `#`. */
function signerOf(proof: JsonValue | undefined): string | undefined {
  const method = methodOf(proof)
  if (method === undefined) return undefined
  return method.startsWith('did:') ? didOf(method) : method.split('#', 1)[0]
}
