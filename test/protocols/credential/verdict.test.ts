import { expect } from 'chai'
import fc from 'fast-check'
import {
  CHECK_NAMES,
  type CheckCode,
  type CheckName,
  type VerificationSources
} from '../../../protocols/credential/checks.ts'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue
} from '../../../protocols/credential/json.ts'
import {
  judge,
  type JudgeOptions,
  type Result,
  type Verdict
} from '../../../protocols/credential/verdict.ts'
import {
  DAY_MS,
  INDEX,
  ISSUER,
  NOW,
  OTHER,
  REVOCATION,
  ROTATED_AT,
  SCHEMA_URL,
  SUSPENSION,
  cached,
  entryOf,
  gone,
  holder,
  issued,
  issuerDocument,
  keys,
  listOf,
  live,
  schema,
  stranger,
  unsigned,
  worldOf,
  sign
} from './issuing-world.ts'

/** One row: what is the matter → the result, and the check that says so with its code and in these words. */
interface Row {
  readonly what: string
  readonly input: () => Promise<JsonObject | string> | JsonObject | string
  readonly world?: () => Promise<VerificationSources>
  readonly options?: JudgeOptions
  readonly result: Result
  readonly check: CheckName
  readonly code: CheckCode
  readonly says: readonly string[]
}

const without = (name: string) => async (): Promise<JsonObject> => {
  const { [name]: _, ...rest } = await issued()
  return rest
}

/** The proof of a signed credential with some members replaced. */
const proofWith = (changes: JsonObject) => async (): Promise<JsonObject> => {
  const credential = await issued()
  const proof = credential['proof']
  return { ...credential, proof: { ...(isJsonObject(proof) ? proof : {}), ...changes } }
}

const days = (count: number): Date => new Date(NOW.getTime() - count * DAY_MS)

const lists =
  (
    known: NonNullable<Parameters<typeof worldOf>[0]>['lists'],
    others: Partial<VerificationSources> = {}
  ) =>
  (): Promise<VerificationSources> =>
    worldOf({ ...(known === undefined ? {} : { lists: known }), ...others })

const bombOf = (list: JsonObject): JsonObject => {
  const subject = list['credentialSubject']
  return {
    ...list,
    credentialSubject: { ...(isJsonObject(subject) ? subject : {}), encodedList: 'uH4sIAAAA' }
  }
}

// oxfmt-ignore
const ROWS: readonly Row[] = [
  // In order.
  { what: 'an untouched credential', input: () => issued(), result: 'valid', check: 'proof', code: 'proof-fits', says: ['1 May 2026, 00:00 UTC'] },
  { what: 'its text', input: async () => `  ${JSON.stringify(await issued(), null, 2)}\n`, result: 'valid', check: 'structure', code: 'structure-sound', says: ['version 2.0'] },
  { what: 'a credential by eddsa-rdfc-2022', input: () => issued({}, { suite: 'eddsa-rdfc-2022' }), result: 'valid', check: 'proof', code: 'proof-fits', says: ['fits'] },
  { what: 'a credential without status or schema', input: () => issued({ credentialStatus: undefined, credentialSchema: undefined }), result: 'valid', check: 'status', code: 'status-none', says: ['keeps no list'] },
  { what: 'a credential without an end', input: () => issued({ validUntil: undefined }), result: 'valid', check: 'validity', code: 'validity-open', says: ['without an end'] },

  // Tampered and forged.
  { what: 'no proof', input: without('proof'), result: 'invalid', check: 'proof', code: 'proof-missing', says: ['no proof'] },
  { what: 'a grade changed', input: async () => ({ ...(await issued()), credentialSubject: { id: holder.did, degree: 'Bachelor of Engineering', grade: 9.4 } }), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['changed after it was signed'] },
  { what: 'a field added', input: async () => ({ ...(await issued()), name: 'Honours' }), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['changed'] },
  { what: 'a status entry changed', input: async () => ({ ...(await issued()), credentialStatus: entryOf('revocation', { statusListIndex: '4712' }) }), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['changed'] },
  { what: 'the status removed', input: without('credentialStatus'), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['changed'] },
  { what: 'another issuer written in', input: async () => ({ ...(await issued()), issuer: OTHER }), result: 'invalid', check: 'issuer-key', code: 'key-of-another', says: [`${ISSUER}#current`, OTHER] },
  { what: 'a key that was never the issuer’s', input: () => issued({}, { signer: stranger.signer }), result: 'invalid', check: 'issuer-key', code: 'key-of-another', says: [stranger.did, ISSUER] },
  { what: 'a key the issuer never listed', input: () => issued({}, { signer: keys.unlisted }), result: 'invalid', check: 'issuer-key', code: 'key-not-the-issuers', says: [`${ISSUER}#unlisted`] },
  { what: 'a key of the issuer’s for another purpose', input: () => issued({}, { signer: keys.login }), result: 'invalid', check: 'issuer-key', code: 'key-not-the-issuers', says: ['assertionMethod'] },
  { what: 'the issuer’s key name over a stranger’s signature', input: () => issued({}, { signer: { ...stranger.signer, verificationMethod: `${ISSUER}#current` } }), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['another key signed it'] },
  { what: 'a proof made to log in', input: proofWith({ proofPurpose: 'authentication' }), result: 'invalid', check: 'issuer-key', code: 'key-not-the-issuers', says: ['authentication'] },
  { what: 'a proof that is no object', input: async () => ({ ...(await issued()), proof: 'signed' }), result: 'invalid', check: 'structure', code: 'structure-malformed', says: ['proof'] },
  { what: 'a proof without a key', input: proofWith({ verificationMethod: 5 }), result: 'invalid', check: 'proof', code: 'proof-malformed', says: ['does not name the key'] },
  { what: 'a suite that does not exist', input: proofWith({ cryptosuite: 'eddsa-jcs-2023' }), result: 'invalid', check: 'proof', code: 'proof-suite-unknown', says: ['eddsa-jcs-2023'] },
  { what: 'a suite that is not verified here', input: proofWith({ cryptosuite: 'ecdsa-sd-2023' }), result: 'could-not-be-checked', check: 'proof', code: 'proof-suite-unsupported', says: ['ecdsa-sd-2023'] },
  { what: 'a second proof by a stranger that fits', input: async () => sign(await issued(), { signer: stranger.signer }), result: 'valid', check: 'proof', code: 'proof-fits', says: ['fits'] },
  { what: 'a second proof by a stranger that does not fit', input: async () => sign(await issued(), { signer: { ...stranger.signer, sign: () => new Uint8Array(64) } }), result: 'invalid', check: 'proof', code: 'proof-wrong', says: ['does not fit'] },
  { what: 'a second proof by someone who cannot be reached', input: async () => sign(await issued(), { signer: { ...stranger.signer, verificationMethod: 'did:web:gone.example#k' } }), result: 'valid', check: 'proof', code: 'proof-fits', says: ['could not be checked: its domain does not answer'] },

  // Keys in time.
  { what: 'a rotated key, signed before', input: () => issued({}, { signer: keys.rotated, created: '2026-05-31T23:59:59Z' }), result: 'valid', check: 'issuer-key', code: 'key-rotated-since', says: ['31 May 2026, 23:59 UTC', '1 June 2026, 00:00 UTC'] },
  { what: 'a rotated key, signed at that time', input: () => issued({}, { signer: keys.rotated, created: ROTATED_AT }), result: 'invalid', check: 'issuer-key', code: 'key-rotated-before', says: ['1 June 2026'] },
  { what: 'a rotated key, signed after', input: () => issued({}, { signer: keys.rotated, created: '2026-07-01T00:00:00Z' }), result: 'invalid', check: 'issuer-key', code: 'key-rotated-before', says: ['1 June 2026', '1 July 2026'] },
  { what: 'a revoked key, signed long before', input: () => issued({}, { signer: keys.revoked, created: '2026-01-01T00:00:00Z' }), result: 'invalid', check: 'issuer-key', code: 'key-revoked', says: ['1 August 2026', 'nothing signed with it counts'] },
  { what: 'issuer keys last seen three days ago', input: () => issued(), world: () => worldOf({ documents: { [ISSUER]: cached(issuerDocument, 3 * DAY_MS) } }), result: 'valid', check: 'issuer-key', code: 'key-current', says: ['20 November 2026'] },

  // The issuer.
  { what: 'an issuer that is nowhere to be found', input: async () => sign(unsigned({ issuer: 'did:web:gone.example' }), { signer: { ...keys.current, verificationMethod: 'did:web:gone.example#k' } }), result: 'could-not-be-checked', check: 'issuer-key', code: 'issuer-unreachable', says: ['did:web:gone.example', 'its domain does not answer', 'never been seen'] },
  { what: 'an issuer last seen in October', input: () => issued(), world: () => worldOf({ documents: { [ISSUER]: gone('its domain does not answer', new Date('2026-10-05T08:30:00Z')) } }), result: 'could-not-be-checked', check: 'issuer-key', code: 'issuer-unreachable', says: ['5 October 2026, 08:30 UTC'] },
  { what: 'an issuer that is no DID', input: async () => sign(unsigned({ issuer: 'https://uni.example/issuer' }), { signer: { ...keys.current, verificationMethod: 'https://uni.example/issuer#k' } }), result: 'could-not-be-checked', check: 'issuer-key', code: 'issuer-no-did', says: ['https://uni.example/issuer'] },
  { what: 'an issuer nobody vouches for', input: async () => sign(unsigned({ issuer: OTHER, credentialStatus: undefined }), { signer: keys.other }), result: 'valid', check: 'issuer-trust', code: 'trust-unknown', says: ['not who it is', OTHER] },
  { what: 'an issuer who is a contact', input: () => issued(), result: 'valid', check: 'issuer-trust', code: 'trust-own-contact', says: ['University'] },
  { what: 'an issuer whose domain is proven', input: () => issued(), world: () => worldOf({ trust: async () => 'domain-proven' }), result: 'valid', check: 'issuer-trust', code: 'trust-domain-proven', says: ['domain'] },
  { what: 'a credential the holder issued', input: async () => sign(unsigned({ issuer: holder.did, credentialStatus: undefined }), { signer: holder.signer }), result: 'valid', check: 'issuer-trust', code: 'trust-self', says: ['declared by the one it is about'] },

  // Time.
  { what: 'one that has expired', input: () => issued({ validUntil: '2026-11-20T10:00:00Z' }), result: 'expired', check: 'validity', code: 'expired', says: ['20 November 2026', '3 days ago'] },
  { what: 'the last moment of its validity', input: () => issued({ validUntil: '2026-11-23T10:00:00Z' }), result: 'valid', check: 'validity', code: 'validity-holds', says: ['23 November 2026'] },
  { what: 'one that is not yet valid', input: () => issued({ validFrom: '2026-12-01T00:00:00Z' }), result: 'not-yet-valid', check: 'validity', code: 'not-yet-valid', says: ['1 December 2026'] },
  { what: 'one that begins in four minutes, by another clock', input: () => issued({ validFrom: '2026-11-23T10:04:00Z' }), result: 'valid', check: 'validity', code: 'validity-holds', says: ['2030'] },
  { what: 'a validity that ends before it begins', input: () => issued({ validUntil: '2026-04-01T00:00:00Z' }), result: 'invalid', check: 'validity', code: 'validity-nonsense', says: ['2026-04-01', '2026-05-01'] },
  { what: 'the 30th of February', input: () => issued({ validFrom: '2023-02-30T00:00:00Z' }), result: 'invalid', check: 'structure', code: 'dates-malformed', says: ['validFrom', '2023-02-30T00:00:00Z'] },
  { what: 'a time without a zone', input: () => issued({ validUntil: '2030-01-01T00:00:00' }), result: 'invalid', check: 'structure', code: 'dates-malformed', says: ['validUntil', '2030-01-01T00:00:00'] },
  { what: 'the year 99999', input: () => issued({ validUntil: '99999-01-01T00:00:00Z' }), result: 'invalid', check: 'structure', code: 'dates-malformed', says: ['99999'] },
  { what: 'a number for a date', input: () => issued({ validUntil: 1893456000 }), result: 'invalid', check: 'structure', code: 'dates-malformed', says: ['1893456000'] },

  // Status.
  { what: 'one that is revoked', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) } }), result: 'revoked', check: 'status', code: 'revoked', says: ['revoked', '23 November 2026', REVOCATION] },
  { what: 'one that is suspended', input: () => issued(), world: async () => worldOf({ lists: { [SUSPENSION]: live(await listOf('suspension', { set: true })) } }), result: 'suspended', check: 'status', code: 'suspended', says: ['suspended it for now'] },
  { what: 'one that is both', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { set: true })), [SUSPENSION]: live(await listOf('suspension', { set: true })) } }), result: 'revoked', check: 'status', code: 'revoked', says: ['has revoked it', 'has suspended it'] },
  { what: 'one that is revoked and expired', input: () => issued({ validUntil: '2026-11-01T00:00:00Z' }), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) } }), result: 'revoked', check: 'validity', code: 'expired', says: ['22 days ago'] },
  { what: 'a list that cannot be had', input: () => issued(), world: lists({ [REVOCATION]: gone('the server does not answer', days(2)) }), result: 'could-not-be-checked', check: 'status', code: 'status-unreachable', says: [REVOCATION, 'the server does not answer', '21 November 2026'] },
  { what: 'a list that was never seen', input: () => issued(), world: lists({ [SUSPENSION]: gone('the server does not answer') }), result: 'could-not-be-checked', check: 'status', code: 'status-unreachable', says: [SUSPENSION, 'never been seen'] },
  { what: 'a list that cannot be had, and it has expired', input: () => issued({ validUntil: '2026-11-01T00:00:00Z' }), world: lists({ [REVOCATION]: gone('the server does not answer') }), result: 'expired', check: 'status', code: 'status-unreachable', says: [REVOCATION] },
  { what: 'suspended, and the other list cannot be had', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: gone('the server does not answer'), [SUSPENSION]: live(await listOf('suspension', { set: true })) } }), result: 'suspended', check: 'status', code: 'suspended', says: ['suspended', 'Whether it has been revoked could not be checked'] },
  { what: 'a list kept for four minutes', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: cached(await listOf('revocation'), 240_000) } }), result: 'valid', check: 'status', code: 'status-clear', says: ['09:56 UTC'] },
  { what: 'a list kept for three days', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: cached(await listOf('revocation'), 3 * DAY_MS) } }), result: 'could-not-be-checked', check: 'status', code: 'status-old', says: [REVOCATION, '20 November 2026', '3 days ago'] },
  { what: 'a list kept for three days, off-line', input: () => issued(), world: async () => worldOf({ offline: true, lists: { [REVOCATION]: cached(await listOf('revocation'), 3 * DAY_MS) } }), result: 'valid', check: 'status', code: 'status-clear', says: ['3 days ago', 'what has happened since is not known'] },
  { what: 'revoked in a list kept for three days', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: cached(await listOf('revocation', { set: true }), 3 * DAY_MS) } }), result: 'revoked', check: 'status', code: 'revoked', says: ['20 November 2026'] },
  { what: 'suspended in a list kept for three days', input: () => issued(), world: async () => worldOf({ lists: { [SUSPENSION]: cached(await listOf('suspension', { set: true }), 3 * DAY_MS) } }), result: 'could-not-be-checked', check: 'status', code: 'status-old', says: ['suspended could not be checked'] },
  { what: 'suspended in a list kept for three days, off-line', input: () => issued(), world: async () => worldOf({ offline: true, lists: { [SUSPENSION]: cached(await listOf('suspension', { set: true }), 3 * DAY_MS) } }), result: 'suspended', check: 'status', code: 'suspended', says: ['3 days ago'] },
  { what: 'a list whose own validity is over', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { changes: (list) => ({ ...list, validUntil: '2026-11-01T00:00:00Z' }) })) } }), result: 'could-not-be-checked', check: 'status', code: 'status-old', says: [REVOCATION] },
  { what: 'a list by another issuer', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { issuer: OTHER, signer: keys.other })) } }), result: 'could-not-be-checked', check: 'status', code: 'status-list-of-another', says: [OTHER, ISSUER] },
  { what: 'a list that names the issuer and is signed by another', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { signer: keys.other })) } }), result: 'could-not-be-checked', check: 'status', code: 'status-list-unproven', says: ['cannot be believed', OTHER] },
  { what: 'a list changed after it was signed', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live({ ...(await listOf('revocation', { set: true })), credentialSubject: (await listOf('revocation'))['credentialSubject'] ?? null }) } }), result: 'could-not-be-checked', check: 'status', code: 'status-list-unproven', says: ['cannot be believed'] },
  { what: 'a list signed by a key that was revoked', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { signer: keys.revoked })) } }), result: 'could-not-be-checked', check: 'status', code: 'status-list-unproven', says: ['withdrew the key'] },
  { what: 'a list that lies about its size', input: () => issued(), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { changes: bombOf })) } }), result: 'could-not-be-checked', check: 'status', code: 'status-list-malformed', says: [REVOCATION] },
  { what: 'the list of the other purpose', input: () => issued({ credentialStatus: entryOf('revocation', { statusPurpose: 'suspension' }) }), result: 'could-not-be-checked', check: 'status', code: 'status-list-malformed', says: ['"revocation"', '"suspension"'] },
  { what: 'what is no list', input: () => issued(), world: lists({ [REVOCATION]: live({ hello: 'world' }) }), result: 'could-not-be-checked', check: 'status', code: 'status-list-malformed', says: ['not a status list'] },
  { what: 'an index outside the list', input: () => issued({ credentialStatus: entryOf('revocation', { statusListIndex: '131072' }) }), result: 'could-not-be-checked', check: 'status', code: 'status-index-out-of-range', says: ['131072'] },
  { what: 'an index below zero', input: () => issued({ credentialStatus: entryOf('revocation', { statusListIndex: '-1' }) }), result: 'could-not-be-checked', check: 'status', code: 'status-unsupported', says: ['"-1"'] },
  { what: 'a kind of status that is not read', input: () => issued({ credentialStatus: { id: 'https://uni.example/crl', type: 'RevocationList2020Status' } }), result: 'could-not-be-checked', check: 'status', code: 'status-unsupported', says: ['RevocationList2020Status'] },
  { what: 'nine status entries', input: () => issued({ credentialStatus: Array.from({ length: 9 }, () => entryOf('revocation')) }), result: 'could-not-be-checked', check: 'status', code: 'status-unsupported', says: ['9 status lists'] },

  // Terms and contexts.
  { what: 'a context that is not known, under eddsa-jcs-2022', input: () => issued({ '@context': ['https://www.w3.org/ns/credentials/v2', 'https://mill.example/contexts/degree'] }), result: 'could-not-be-checked', check: 'structure', code: 'context-unknown', says: ['https://mill.example/contexts/degree', 'none is fetched'] },
  { what: 'a context written into the credential', input: () => issued({ '@context': ['https://www.w3.org/ns/credentials/v2', { degree: 'https://mill.example/degree' }] }), result: 'could-not-be-checked', check: 'structure', code: 'context-unknown', says: ['into the document itself'] },
  { what: 'a context that is not known, under eddsa-rdfc-2022', input: async () => ({ ...(await issued({}, { suite: 'eddsa-rdfc-2022' })), '@context': ['https://www.w3.org/ns/credentials/v2', 'https://mill.example/contexts/degree'] }), result: 'could-not-be-checked', check: 'proof', code: 'proof-context-unknown', says: ['https://mill.example/contexts/degree'] },

  // Schema.
  { what: 'claims that break their schema', input: () => issued({ credentialSubject: { id: holder.did, grade: 11 } }), result: 'invalid', check: 'schema', code: 'schema-mismatch', says: ['/credentialSubject lacks "degree"', 'must be at most 10, not 11'] },
  { what: 'a schema that cannot be had', input: () => issued(), world: () => worldOf({ schema: async () => gone('the server does not answer', days(1)) }), result: 'valid', check: 'schema', code: 'schema-unreachable', says: [SCHEMA_URL, '22 November 2026'] },
  { what: 'a schema that does not compile', input: () => issued(), world: () => worldOf({ schema: async () => live({ type: 'objct' }) }), result: 'valid', check: 'schema', code: 'schema-unusable', says: ['cannot be used'] },
  { what: 'a schema of 10 MB', input: () => issued(), world: () => worldOf({ schema: async () => live({ description: 'a'.repeat(10_000_000) }) }), result: 'valid', check: 'schema', code: 'schema-unusable', says: ['larger than 65536 bytes'] },
  { what: 'a schema that leads elsewhere', input: () => issued(), world: () => worldOf({ schema: async () => live({ $ref: 'https://mill.example/s' }) }), result: 'valid', check: 'schema', code: 'schema-unusable', says: ['https://mill.example/s', 'nothing is fetched'] },
  { what: 'a schema of another kind', input: () => issued({ credentialSchema: { id: SCHEMA_URL, type: 'ShaclSchema' } }), result: 'valid', check: 'schema', code: 'schema-unsupported', says: ['ShaclSchema'] },

  // What is no credential.
  { what: 'an empty object', input: () => ({}), result: 'invalid', check: 'structure', code: 'structure-malformed', says: ['@context'] },
  { what: 'a text that is no JSON', input: () => 'Dear Sir or Madam', result: 'invalid', check: 'structure', code: 'format-unknown', says: ['not a credential'] },
  { what: 'a text with a key twice', input: async () => JSON.stringify(await issued()).replace('{', '{"issuer":"did:web:mill.example",'), result: 'invalid', check: 'structure', code: 'format-unknown', says: ['twice'] },
  { what: 'a plain JWT', input: () => 'eyJhbGciOiJFZERTQSJ9.e30.c2ln', result: 'invalid', check: 'structure', code: 'format-unknown', says: ['plain JWT'] },
  { what: 'JSON nested 40 deep', input: async () => ({ ...(await issued()), evidence: Array.from({ length: 40 }).reduce<JsonValue>((inner) => ({ inner }), 1) }), result: 'invalid', check: 'structure', code: 'structure-malformed', says: ['nested deeper than 32'] },

  // The holder.
  { what: 'its subject, who presents it', input: () => issued(), options: { holder: { did: holder.did } }, result: 'valid', check: 'holder-binding', code: 'holder-proven', says: [holder.did] },
  { what: 'somebody else presenting it', input: () => issued(), options: { holder: { did: stranger.did } }, result: 'invalid', check: 'holder-binding', code: 'holder-another', says: [holder.did, stranger.did] },
  { what: 'the second of two subjects, who presents it', input: () => issued({ credentialSubject: [{ id: holder.did, degree: 'B. E.' }, { id: stranger.did, degree: 'B. E.' }], credentialSchema: undefined }), options: { holder: { did: stranger.did } }, result: 'valid', check: 'holder-binding', code: 'holder-proven', says: [stranger.did] },
  { what: 'one about nobody in particular', input: () => issued({ credentialSubject: { degree: 'Bachelor of Engineering' } }), options: { holder: { did: stranger.did } }, result: 'valid', check: 'holder-binding', code: 'holder-open', says: ['nobody in particular'] },
  { what: 'nobody asked', input: () => issued(), result: 'valid', check: 'holder-binding', code: 'holder-not-asked', says: ['Nobody was asked'] }
]

async function verdictOf(row: Pick<Row, 'input' | 'world' | 'options'>): Promise<Verdict> {
  return judge(await row.input(), await (row.world ?? worldOf)(), row.options)
}

const checkOf = (verdict: Verdict, name: CheckName): Verdict['checks'][number] => {
  const check = verdict.checks.find((one) => one.name === name)
  if (check === undefined) throw new Error(`no check ${name}`)
  return check
}

/** A sentence begins with a capital and ends with a full stop, and nothing of the program shows in it. */
const SENTENCE = /^[A-Z][^]*\.$/

describe('verdict', () => {
  for (const row of ROWS) {
    it(`on ${row.what} is ${row.result}`, async () => {
      const verdict = await verdictOf(row)
      const check = checkOf(verdict, row.check)
      expect(`${verdict.result} ${check.code}`, JSON.stringify(verdict.checks, null, 1)).to.equal(
        `${row.result} ${row.code}`
      )
      for (const words of row.says) expect(check.reason).to.include(words)
      expect(verdict.checks.map(({ name }) => name)).to.deep.equal(CHECK_NAMES)
      for (const { reason } of verdict.checks) {
        expect(reason).to.match(SENTENCE)
        expect(reason).to.not.match(/undefined|\[object|\.\.$|NaN|: \./)
      }
    })
  }

  it('names exactly one check for one thing that is wrong', async () => {
    const failing: Record<string, readonly string[]> = {}
    for (const row of ROWS.filter(({ result }) => result === 'invalid')) {
      failing[row.what] = (await verdictOf(row)).checks
        .filter(({ outcome }) => outcome === 'failed')
        .map(({ name }) => name)
      expect(failing[row.what], row.what).to.have.lengthOf(1)
    }
  })

  it('on one character changed anywhere is invalid, and says which check failed', async () => {
    const text = JSON.stringify(await issued())
    const world = await worldOf()
    const letters = [...text.matchAll(/[A-Za-z0-9]/g)].map(({ index }) => index)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...letters),
        fc.constantFrom('a', 'Z', '7'),
        async (at, letter) => {
          fc.pre(text[at] !== letter)
          const changed = `${text.slice(0, at)}${letter}${text.slice(at + 1)}`
          const verdict = await judge(changed, world)
          expect(verdict.result, changed.slice(Math.max(0, at - 40), at + 20)).to.equal('invalid')
          const failing = verdict.checks.filter(({ outcome }) => outcome === 'failed')
          // A date may fail besides, but it is not what gives the change away.
          expect(failing.map(({ name }) => name)).to.include.oneOf([
            'structure',
            'proof',
            'issuer-key'
          ])
        }
      ),
      { numRuns: 500 }
    )
  })

  it('asks for nothing that an unproven document names', async () => {
    const world = await worldOf()
    await judge({ ...(await issued()), name: 'changed' }, world)
    expect(world.asked).to.deep.equal([ISSUER])
  })

  it('says who issued it, whom it is about, what it is and when it was judged', async () => {
    const { checks: _, ...verdict } = await verdictOf({ input: () => issued() })
    expect(verdict).to.deep.equal({
      result: 'valid',
      format: 'vcdm-2.0',
      issuer: { did: ISSUER, name: 'University', trust: 'own-contact' },
      subject: holder.did,
      types: ['AcademicMarksheet'],
      checkedAt: NOW.toISOString(),
      offline: false,
      declaredBy: 'issuer'
    })
  })

  it('says that a self-declared credential is declared by its holder', async () => {
    const own = unsigned({ issuer: holder.did, credentialStatus: undefined })
    const verdict = await judge(await sign(own, { signer: holder.signer }), await worldOf())
    expect(verdict.declaredBy).to.equal('holder')
  })

  it('says the time of the oldest material it rests on', async () => {
    const world = await worldOf({
      offline: true,
      documents: { [ISSUER]: cached(issuerDocument, 2 * DAY_MS) },
      lists: { [REVOCATION]: cached(await listOf('revocation'), 5 * DAY_MS) },
      schema: async () => cached(schema, DAY_MS)
    })
    const verdict = await judge(await issued(), world)
    expect([verdict.result, verdict.offline, verdict.knownAsOf]).to.deep.equal([
      'valid',
      true,
      days(5).toISOString()
    ])
  })

  it('takes the time a list was signed, not the one written beside it by whoever brought it', async () => {
    const created = days(30)
    const list = await listOf('revocation', { created })
    const world = () =>
      worldOf({
        offline: true,
        lists: { [REVOCATION]: { ok: true, value: list, asOf: NOW, from: 'bundle' } }
      })
    const verdict = await verdictOf({ input: () => issued(), world })
    expect(verdict.knownAsOf).to.equal(created.toISOString())
    expect(checkOf(verdict, 'status').reason).to.include('30 days ago')
  })

  it(`looks entry ${INDEX} up and no other`, async () => {
    const world = await worldOf({
      lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) }
    })
    const neighbour = entryOf('revocation', { statusListIndex: String(INDEX + 1) })
    const verdict = await judge(await issued({ credentialStatus: neighbour }), world)
    expect(verdict.result).to.equal('valid')
  })
})
