/**
 * One verdict on a credential: every check with its reason, and one result out of seven (DESIGN §7).
 *
 * | result               | because                                                                              |
 * | -------------------- | ------------------------------------------------------------------------------------ |
 * | invalid              | a check failed: it was changed, is by another key, breaks its schema, is another's    |
 * | revoked              | its issuer's list says so                                                            |
 * | could-not-be-checked | the issuer's keys cannot be had, or the proof is of a kind that is not verified here |
 * | suspended            | its issuer's list says so, for now                                                   |
 * | not-yet-valid        | its time has not come                                                                |
 * | expired              | its time is over                                                                     |
 * | could-not-be-checked | its status is not known, or known only from long ago                                 |
 * | valid                | none of these                                                                        |
 *
 * The first row that applies is the result. How the issuer is trusted is shown and never changes it: a proof
 * says who signed, not who that is to the one who asks.
 *
 * What a document names is looked up only after its proof has held: until then it is a stranger's list of
 * servers to ask.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'
import { parseJsonBounded } from '../message.ts'
import {
  HOLDER_NOT_ASKED,
  checkHolderDid,
  checkPresenter,
  checkSubject,
  type HolderCheck,
  type HolderQuestion
} from './check-holder.ts'
import { checkProofs, documentOf } from './check-proof.ts'
import { checkCredentialSchema } from './check-schema.ts'
import { checkSdJwt, subjectOf } from './check-sd-jwt.ts'
import { checkStatus, statusEntriesOf } from './check-status.ts'
import { checkValidity, dateFault } from './check-validity.ts'
import {
  CHECK_NAMES,
  failed,
  notApplicable,
  notChecked,
  oldest,
  passed,
  type Check,
  type CheckCode,
  type CheckName,
  type IssuerDocument,
  type Known,
  type Trust,
  type VerificationSources
} from './checks.ts'
import { bundledContext } from './contexts.ts'
import {
  entriesOf,
  issuerIdOf,
  parseCredential,
  subjectsOf,
  typesOf,
  validityOf,
  type Credential
} from './credential.ts'
import {
  CREDENTIAL_BYTES_MAX,
  isJsonObject,
  jsonFault,
  type JsonObject,
  type JsonValue
} from './json.ts'

/** Most credentials judged in one presentation; each may ask several servers. */
export const PRESENTED_MAX = 16

export type Result =
  | 'valid'
  | 'expired'
  | 'not-yet-valid'
  | 'suspended'
  | 'revoked'
  | 'invalid'
  | 'could-not-be-checked'

export interface Verdict {
  readonly result: Result
  readonly format: 'vcdm-2.0' | 'vcdm-1.1' | 'sd-jwt-vc' | 'unknown'
  /** Each of {@link CHECK_NAMES} once, in that order. */
  readonly checks: readonly Check[]
  /** undefined when the document does not say who issued it. */
  readonly issuer?: { readonly did: string; readonly name?: string; readonly trust: Trust }
  /** Whom it is about: the first subject's id. */
  readonly subject?: string
  /** VC types beside `VerifiableCredential`; `vct` of an SD-JWT VC. */
  readonly types: readonly string[]
  /** ISO 8601. */
  readonly checkedAt: string
  /** Time of the oldest material it rests on; undefined when all of it was asked for now. */
  readonly knownAsOf?: string
  readonly offline: boolean
  /** `holder`: issued by the very one it is about. Never shown like one of an institution. */
  readonly declaredBy: 'issuer' | 'holder'
}

export interface JudgeOptions {
  /** What is known, or was asked, of whoever presents it; holder binding is not checked when undefined. */
  readonly holder?: {
    /** Who presents, as an authenticated channel says. */
    readonly did?: string
    /** What they were asked to sign, with `presentation` or inside an SD-JWT. */
    readonly challenge?: string
    readonly domain?: string
    /** The presentation it came in. */
    readonly presentation?: JsonObject
  }
}

export interface PresentationVerdict {
  /** One for each credential, in their order. */
  readonly verdicts: readonly Verdict[]
  readonly holder: Check
  /** The gravest of all. */
  readonly result: Result
}

/**
 * Judges a credential: an object, its JSON text, or a compact SD-JWT.
 *
 * @returns Never throws for anything a credential can be; what `sources` throw is thrown on.
 */
export async function judge(
  input: JsonObject | string,
  sources: VerificationSources,
  options: JudgeOptions = {}
): Promise<Verdict> {
  if (typeof input === 'string') {
    const text = input.trim()
    if (text.includes('~') && !text.startsWith('{')) return judgeSdJwt(text, sources, options)
    const read = readText(text)
    return typeof read === 'string'
      ? unreadable(read, sources)
      : judgeObject(read, sources, options)
  }
  return judgeObject(input, sources, options)
}

/**
 * Judges a presentation: its holder's answer to the question, and each credential in it.
 *
 * @param question - undefined: nothing was asked, so nothing is said of who presents.
 */
export async function judgePresentation(
  presentation: JsonObject,
  sources: VerificationSources,
  question: HolderQuestion | undefined
): Promise<PresentationVerdict> {
  const credentials = presentedIn(presentation)
  if (typeof credentials === 'string') {
    const holder = failed('holder-binding', 'holder-proof-wrong', credentials)
    return { verdicts: [], holder, result: 'invalid' }
  }
  const holder: HolderCheck =
    question === undefined
      ? { check: HOLDER_NOT_ASKED }
      : await checkPresenter(presentation, question, sources)
  const verdicts: Verdict[] = []
  for (const credential of credentials) {
    verdicts.push(await judgeWith(credential, sources, holder))
  }
  const results = verdicts.map(({ result }) => result)
  const result = gravest([...results, resultOf([holder.check])])
  return { verdicts, holder: holder.check, result }
}

/** The gravest first, for several credentials at once. */
const GRAVITY: readonly Result[] = [
  'invalid',
  'revoked',
  'could-not-be-checked',
  'suspended',
  'not-yet-valid',
  'expired',
  'valid'
]

function gravest(results: readonly Result[]): Result {
  return GRAVITY.find((result) => results.includes(result)) ?? 'valid'
}

/** The result of one credential: the first row of the table at the top that applies. */
function resultOf(checks: readonly Check[]): Result {
  const grave = checks.filter(({ outcome }) => outcome === 'failed')
  if (grave.some(({ code }) => !MILD.has(code))) return 'invalid'
  const has = (code: CheckCode): boolean => grave.some((check) => check.code === code)
  const open = (...names: readonly CheckName[]): boolean =>
    checks.some(({ name, outcome }) => outcome === 'not-checked' && names.includes(name))
  if (has('revoked')) return 'revoked'
  if (open('structure', 'proof', 'issuer-key', 'holder-binding')) return 'could-not-be-checked'
  if (has('suspended')) return 'suspended'
  if (has('not-yet-valid')) return 'not-yet-valid'
  if (has('expired')) return 'expired'
  return open('status') ? 'could-not-be-checked' : 'valid'
}

/** Failures that are a result of their own; every other one is `invalid`. */
const MILD: ReadonlySet<CheckCode> = new Set(['revoked', 'suspended', 'not-yet-valid', 'expired'])

async function judgeObject(
  document: JsonObject,
  sources: VerificationSources,
  { holder }: JudgeOptions
): Promise<Verdict> {
  if (holder?.presentation === undefined) {
    const binding =
      holder?.did === undefined
        ? (): Check => HOLDER_NOT_ASKED
        : (subjects: readonly string[]): Check => checkHolderDid(subjects, holder.did ?? '')
    return judgeCredential(document, sources, binding)
  }
  const question = questionOf(holder)
  const presenter =
    question === undefined
      ? { check: HOLDER_NOT_ASKED }
      : await checkPresenter(holder.presentation, question, sources)
  return judgeCredential(document, sources, (subjects) => checkSubject(subjects, presenter))
}

function questionOf(holder: NonNullable<JudgeOptions['holder']>): HolderQuestion | undefined {
  if (holder.challenge === undefined) return undefined
  return {
    challenge: holder.challenge,
    ...(holder.domain === undefined ? {} : { domain: holder.domain })
  }
}

/** A credential inside a presentation: as it is, or enveloped (VCDM 2.0 §4.12) as an SD-JWT. */
function judgeWith(
  credential: JsonObject | string,
  sources: VerificationSources,
  holder: HolderCheck
): Promise<Verdict> {
  if (typeof credential === 'string') {
    const options = holder.did === undefined ? {} : { holder: { did: holder.did } }
    return judgeSdJwt(credential, sources, options)
  }
  return judgeCredential(credential, sources, (subjects) => checkSubject(subjects, holder))
}

async function judgeCredential(
  document: JsonObject,
  sources: VerificationSources,
  binding: (subjects: readonly string[]) => Check
): Promise<Verdict> {
  const parsed = parseCredential(document)
  if (!parsed.ok) return malformed(document, parsed.reason, sources)
  const { credential, model } = parsed
  const issuer = issuerIdOf(credential)
  const subjects = subjectsOf(credential).flatMap(({ id }) => (typeof id === 'string' ? [id] : []))
  const [subject] = subjects
  const known = await documentOf(issuer, sources)
  const { proof, key, expires } = await checkProofs(document, issuer, known, sources)
  const proven = proof.outcome === 'passed' && key.outcome === 'passed'
  const looked = proven ? await lookUp(credential, { did: issuer, known }, sources) : undefined
  const trust = await trustOf(issuer, subject, sources)
  return {
    ...verdictOf(
      {
        structure: structureCheck(credential, model),
        schema: looked?.schema ?? unproven('schema', 'Its claims were not compared with a schema'),
        proof,
        'issuer-key': key,
        validity: checkValidity(validityOf(credential), expires, sources.now),
        status: looked?.status ?? unproven('status', 'Whether it was revoked was not looked up'),
        'holder-binding': binding(subjects),
        'issuer-trust': trust.check
      },
      sources,
      [oldest([known]), looked?.asOf]
    ),
    format: model === '2.0' ? 'vcdm-2.0' : 'vcdm-1.1',
    issuer: trust.issuer,
    ...(subject === undefined ? {} : { subject }),
    types: typesOf(credential).filter((type) => type !== 'VerifiableCredential'),
    declaredBy: subject === issuer ? 'holder' : 'issuer'
  }
}

async function judgeSdJwt(
  text: string,
  sources: VerificationSources,
  { holder }: JudgeOptions
): Promise<Verdict> {
  const question = holder === undefined ? undefined : questionOf(holder)
  const read = await checkSdJwt(text, sources, {
    ...(question === undefined ? {} : { question }),
    ...(holder?.did === undefined ? {} : { did: holder.did })
  })
  const { structure, proof, key, issuer, known, content } = read
  const claims = content?.claims ?? {}
  const subject = subjectOf(claims)
  const proven = proof.outcome === 'passed' && key.outcome === 'passed'
  const status =
    proven && issuer !== undefined && known !== undefined
      ? await checkStatus(statusEntriesOf(claims), { did: issuer, known }, sources)
      : undefined
  const trust = issuer === undefined ? undefined : await trustOf(issuer, subject, sources)
  const { nbf, exp } = content ?? {}
  const dates = {
    ...(nbf === undefined ? {} : { from: nbf }),
    ...(exp === undefined ? {} : { until: exp })
  }
  return {
    ...verdictOf(
      {
        structure,
        schema: notApplicable(
          'schema',
          'schema-none',
          'It names no schema that its claims would have to follow.'
        ),
        proof,
        'issuer-key': key,
        validity:
          content === undefined
            ? unproven('validity', 'Its dates were not read')
            : checkValidity(dates, undefined, sources.now),
        status: status?.check ?? unproven('status', 'Whether it was revoked was not looked up'),
        'holder-binding': read.holder,
        'issuer-trust': trust?.check ?? unproven('issuer-trust', 'Who issued it is not known')
      },
      sources,
      [known === undefined ? undefined : oldest([known]), status?.asOf]
    ),
    format: 'sd-jwt-vc',
    ...(trust === undefined ? {} : { issuer: trust.issuer }),
    ...(subject === undefined ? {} : { subject }),
    types: content?.vct === undefined ? [] : [content.vct],
    declaredBy: subject !== undefined && subject === issuer ? 'holder' : 'issuer'
  }
}

/**
 * A context gives the terms their meaning: of one that does not come with the program nothing is fetched, and what the
 * claims mean is then not known, also where the proof covers every character (eddsa-jcs-2022).
 */
function structureCheck(credential: Credential, model: '2.0' | '1.1'): Check {
  const foreign = credential['@context'].find(
    (context) => typeof context !== 'string' || bundledContext(context) === undefined
  )
  if (foreign === undefined) {
    const reason = `It is a credential of the W3C data model, version ${model}.`
    return passed('structure', 'structure-sound', reason)
  }
  const context = typeof foreign === 'string' ? foreign : 'one written into the document itself'
  return notChecked(
    'structure',
    'context-unknown',
    `What its terms mean is not known here: the context ${context} does not come with this program, and none is fetched.`,
    { context }
  )
}

interface LookedUp {
  readonly schema: Check
  readonly status: Check
  readonly asOf: Date | undefined
}

async function lookUp(
  credential: Credential,
  signer: { readonly did: string; readonly known: Known<IssuerDocument> },
  sources: VerificationSources
): Promise<LookedUp> {
  const schema = await checkCredentialSchema(
    credential,
    entriesOf(credential, 'credentialSchema'),
    sources
  )
  const status = await checkStatus(entriesOf(credential, 'credentialStatus'), signer, sources)
  return {
    schema: schema.check,
    status: status.check,
    asOf: earliest([oldest(schema.known), status.asOf])
  }
}

type Checks = Readonly<Record<CheckName, Check>>

function verdictOf(
  checks: Checks,
  { now, offline }: VerificationSources,
  times: readonly (Date | undefined)[]
): Pick<Verdict, 'result' | 'checks' | 'checkedAt' | 'knownAsOf' | 'offline'> {
  const list = CHECK_NAMES.map((name) => checks[name])
  const asOf = earliest(times)
  return {
    result: resultOf(list),
    checks: list,
    checkedAt: now.toISOString(),
    ...(asOf === undefined ? {} : { knownAsOf: asOf.toISOString() }),
    offline
  }
}

function earliest(times: readonly (Date | undefined)[]): Date | undefined {
  return times
    .filter((time) => time !== undefined)
    .toSorted((one, other) => one.getTime() - other.getTime())[0]
}

// oxfmt-ignore
const TRUST: Readonly<Record<Trust, readonly [CheckCode, (who: string) => string]>> = {
  'own-contact':   ['trust-own-contact',   (who) => `${who} is one of your own contacts.`],
  'trust-list':    ['trust-list',          (who) => `${who} is on a list of issuers that you trust.`],
  'domain-proven': ['trust-domain-proven', (who) => `${who} has proven that it controls its internet domain; nobody you know vouches for it.`],
  unknown:         ['trust-unknown',       (who) => `Nobody you know vouches for ${who}: the proof shows that it signed, not who it is.`]
}

async function trustOf(
  issuer: string,
  subject: string | undefined,
  sources: VerificationSources
): Promise<{ readonly check: Check; readonly issuer: NonNullable<Verdict['issuer']> }> {
  const trust = await sources.trust(issuer)
  const name = sources.name?.(issuer)
  const named = { did: issuer, ...(name === undefined ? {} : { name }), trust }
  if (issuer === subject) {
    const reason = `It is declared by the one it is about (${issuer}), and by nobody else.`
    return { check: notApplicable('issuer-trust', 'trust-self', reason, { issuer }), issuer: named }
  }
  const [code, sentence] = TRUST[trust]
  const reason = sentence(name === undefined ? issuer : `${name} (${issuer})`)
  const check =
    trust === 'unknown'
      ? notChecked('issuer-trust', code, reason, { issuer })
      : passed('issuer-trust', code, reason, { issuer })
  return { check, issuer: named }
}

function unproven(name: CheckName, what: string): Check {
  return notChecked(name, 'not-reached', `${what}, because the proof does not hold.`)
}

/** The verdict on what is no credential: one check says why, the others are not reached. */
function malformed(document: JsonObject, reason: string, sources: VerificationSources): Verdict {
  const dates = dateFault(document)
  if (dates !== undefined) return unreadableAs('dates-malformed', dates, sources)
  return unreadableAs(
    'structure-malformed',
    `This cannot be read as a credential: ${reason}.`,
    sources
  )
}

function unreadable(reason: string, sources: VerificationSources): Verdict {
  return unreadableAs('format-unknown', reason, sources)
}

const NOT_REACHED = 'This was not checked, because the document cannot be read as a credential.'

function unreadableAs(code: CheckCode, reason: string, sources: VerificationSources): Verdict {
  const checks = CHECK_NAMES.map((name) =>
    name === 'structure' ? failed(name, code, reason) : notChecked(name, 'not-reached', NOT_REACHED)
  )
  return {
    result: 'invalid',
    format: 'unknown',
    checks,
    types: [],
    checkedAt: sources.now.toISOString(),
    offline: sources.offline,
    declaredBy: 'issuer'
  }
}

/** The object of a JSON text; a sentence when it is none. */
function readText(text: string): JsonObject | string {
  if (/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) {
    return 'This is a credential in the form of a plain JWT, which is not read here.'
  }
  try {
    const value = parseJsonBounded(new TextEncoder().encode(text), {
      bytesMax: CREDENTIAL_BYTES_MAX
    })
    return isJsonObject(value) ? value : 'This is not a credential: it is JSON, but not an object.'
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return `This is not a credential: ${error.message}.`
  }
}

/** The credentials of a presentation; a sentence when it is none. */
function presentedIn(presentation: JsonObject): readonly (JsonObject | string)[] | string {
  const fault = jsonFault(presentation)
  if (fault !== undefined) return `This cannot be read as a presentation: ${fault}.`
  if (![presentation['type']].flat().includes('VerifiablePresentation')) {
    return 'This is not a presentation: its type is not VerifiablePresentation.'
  }
  const given: readonly JsonValue[] = [presentation['verifiableCredential'] ?? []].flat()
  if (given.length > PRESENTED_MAX) {
    return `The presentation holds ${given.length} credentials, more than the ${PRESENTED_MAX} that are judged at once.`
  }
  const credentials = given.map((one) => presentedAs(one))
  return credentials.includes(undefined)
    ? 'The presentation holds something that is no credential.'
    : credentials.filter((one) => one !== undefined)
}

const ENVELOPE = /^data:application\/(?:dc|vc)\+sd-jwt[;,]/

function presentedAs(value: JsonValue): JsonObject | string | undefined {
  if (!isJsonObject(value)) return undefined
  const { id, type } = value
  if (![type].flat().includes('EnvelopedVerifiableCredential')) return value
  return typeof id === 'string' && ENVELOPE.test(id) ? id.slice(id.indexOf(',') + 1) : undefined
}
