/**
 * Data Integrity proofs (W3C Verifiable Credential Data Integrity 1.0) with the EdDSA cryptosuites
 * (Data Integrity EdDSA Cryptosuites 1.0): made and verified, in sets and in chains. Ed25519Signature2020, which software for VC 1.1
 * still issues, is verified.
 *
 * What is signed is always two digests, 64 bytes: SHA-256 of the canonical proof without its `proofValue`, then SHA-256 of the
 * canonical document without its proofs — but with those that the proof names in `previousProof`, whole, as its `proof`.
 *
 * | suite                | canonical form                  | covers                                    |
 * | -------------------- | ------------------------------- | ----------------------------------------- |
 * | eddsa-jcs-2022       | RFC 8785                        | every character of the document           |
 * | eddsa-rdfc-2022      | RDF, rdfc.ts                    | what its terms mean in known contexts     |
 * | Ed25519Signature2020 | RDF, rdfc.ts                    | as above                                  |
 *
 * A proof that verifies says: the holder of that key signed this document. Whether the key is the issuer's, and
 * was at the time, is asked through `key`; whether the document holds is for verdict.ts.
 *
 * @module
 */
import { base58 } from '@scure/base'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import { ProtocolError } from '../errors.ts'
import { instantOf } from './credential.ts'
import type { ProofCrypto, ProofSigner } from './crypto.ts'
import { isJsonObject, jsonFault, type JsonObject, type JsonValue } from './json.ts'
import type { CanonicalRdf, RdfWork } from './rdfc.ts'

export type Cryptosuite = 'eddsa-jcs-2022' | 'eddsa-rdfc-2022'

/** What a key must be listed for: to say something of someone else, or to prove who one is. */
export type ProofPurpose = 'assertionMethod' | 'authentication'

/** Most proofs on one document; each costs a signature and a canonical form. Chains of attestation have 2 to 5. */
export const PROOFS_MAX = 16

/** Longest name in a proof, characters: a verification method of did:peer:4 takes 1,300. */
const NAME_CHARS_MAX = 4096

const SIGNATURE_BYTES = 64

/** base58btc of 64 bytes with its `z`: 88 characters and one, fewer when it begins with zeros. */
const PROOF_VALUE = /^z[1-9A-HJ-NP-Za-km-z]{64,88}$/

export type ProofFault =
  | 'proof-missing'
  | 'proof-malformed'
  | 'suite-unsupported'
  | 'signature-wrong'
  | 'key-unknown'
  | 'context-unknown'
  | 'context-mismatch'
  | 'term-undefined'
  | 'previous-unknown'
  | 'limit-exceeded'

export interface ProofOptions {
  readonly signer: ProofSigner
  /** Stands in the proof to the second. */
  readonly created: Date
  /** Default `assertionMethod`. */
  readonly purpose?: ProofPurpose
  /** What the verifier asked to be signed, so that a presentation cannot be shown again. */
  readonly challenge?: string
  readonly domain?: string
  /** Name of this proof, a URL; needed when a later one is to name it. */
  readonly id?: string
  /** `id` of the proofs this one signs too. */
  readonly previousProof?: string | readonly string[]
}

/** A raw Ed25519 public key, 32 bytes, or why there is none. */
export type KeyAnswer =
  | { readonly ok: true; readonly publicKey: Uint8Array }
  | { readonly ok: false; readonly reason: string }

export interface ProofVerification {
  /** The key of a verification method, if it may be used for that purpose by its controller. */
  readonly key: (verificationMethod: string, purpose: ProofPurpose) => Promise<KeyAnswer>
  readonly crypto: ProofCrypto
}

export type ProofOutcome =
  | {
      readonly ok: true
      readonly verificationMethod: string
      readonly cryptosuite: Cryptosuite | 'Ed25519Signature2020'
      readonly purpose: ProofPurpose
      /** The signer's own claim. */
      readonly created?: Date
      /** Until when the signer wants the proof to count; not compared with any clock here. */
      readonly expires?: Date
      readonly challenge?: string
      readonly domain?: string | readonly string[]
      readonly id?: string
      /** `id` of the proofs this one signs too; each has an outcome of its own. */
      readonly previous: readonly string[]
    }
  | {
      readonly ok: false
      readonly fault: ProofFault
      /** A fact in lower case, to follow a colon. */
      readonly reason: string
      readonly verificationMethod?: string
    }

const name = z.string().min(1).max(NAME_CHARS_MAX)
const time = z
  .string()
  .refine((text) => instantOf(text) !== undefined, 'not a date and time with its zone')
const proofSchema = z.looseObject({
  id: name.optional(),
  verificationMethod: name,
  proofPurpose: z.enum(['assertionMethod', 'authentication']),
  proofValue: z.string().regex(PROOF_VALUE, 'not the base58btc of 64 bytes'),
  created: time.optional(),
  expires: time.optional(),
  challenge: name.optional(),
  domain: z.union([name, z.array(name).min(1).max(PROOFS_MAX)]).optional(),
  previousProof: z.union([name, z.array(name).min(1).max(PROOFS_MAX)]).optional()
})

/** A proof in its form, beside the object that was signed. */
interface ReadProof extends z.infer<typeof proofSchema> {
  readonly suite: Cryptosuite | 'Ed25519Signature2020'
}

/** Canonical documents by the proofs they are signed with, so that a set of proofs takes one; and what it took. */
interface RdfForms {
  readonly work: RdfWork
  readonly documents: Map<string, CanonicalRdf>
}

interface Secured {
  readonly document: JsonObject
  readonly proofs: readonly JsonValue[]
  readonly rdf: RdfForms
}

type Failure = Extract<ProofOutcome, { ok: false }>

/**
 * The document with one more proof, after those it has.
 *
 * @throws ProtocolError `credential-malformed` when it cannot be signed so: a context that is not bundled or a term that is not
 * defined (eddsa-rdfc-2022), a `previousProof` it does not have; `limit-exceeded` beyond the limits of json.ts or
 * 16 proofs.
 */
export async function addProof(
  document: JsonObject,
  options: ProofOptions & { readonly suite: Cryptosuite },
  crypto: ProofCrypto
): Promise<JsonObject> {
  if (options.suite === 'eddsa-jcs-2022') return addJcsProof(document, options, crypto)
  const unsigned = unsignedPart(document, options)
  const config = configOf('eddsa-rdfc-2022', options)
  const digests = await rdfDigests(unsigned, config, crypto)
  if (!(digests instanceof Uint8Array)) {
    throw new ProtocolError('credential-malformed', `cannot be signed: ${digests.reason}`)
  }
  return withProof(document, config, options.signer.sign(digests))
}

/**
 * {@link addProof} with eddsa-jcs-2022 at once: nothing in it waits.
 *
 * @throws ProtocolError as {@link addProof}.
 */
export function addJcsProof(
  document: JsonObject,
  options: ProofOptions,
  crypto: Pick<ProofCrypto, 'sha256'>
): JsonObject {
  const unsigned = unsignedPart(document, options)
  const context = document['@context']
  const config = {
    ...configOf('eddsa-jcs-2022', options),
    // Data Integrity EdDSA Cryptosuites 1.0 §3.3.1: the contexts are part of what is signed.
    ...(context === undefined ? {} : { '@context': context })
  }
  return withProof(document, config, options.signer.sign(jcsDigests(unsigned, config, crypto)))
}

/**
 * Verifies every proof of a document, in their order; at least one outcome. One that failed says nothing of the others: what a
 * set or chain must have is for the caller to say.
 */
export async function verifyProofs(
  document: JsonObject,
  verification: ProofVerification
): Promise<readonly ProofOutcome[]> {
  const large = jsonFault(document)
  if (large !== undefined) return [failure('limit-exceeded', large)]
  const { proof } = document
  if (proof === undefined) return [failure('proof-missing', 'it has no proof')]
  const proofs: readonly JsonValue[] = Array.isArray(proof) ? proof : [proof]
  if (proofs.length === 0) return [failure('proof-missing', 'its list of proofs is empty')]
  if (proofs.length > PROOFS_MAX) {
    return [failure('limit-exceeded', `it has ${proofs.length} proofs, more than ${PROOFS_MAX}`)]
  }
  const outcomes: ProofOutcome[] = []
  const rdf: RdfForms = { work: { done: 0 }, documents: new Map() }
  for (const one of proofs)
    outcomes.push(await verifyOne({ document, proofs, rdf }, one, verification))
  return outcomes
}

async function verifyOne(
  { document, proofs, rdf }: Secured,
  value: JsonValue,
  { key, crypto }: ProofVerification
): Promise<ProofOutcome> {
  if (!isJsonObject(value)) return failure('proof-malformed', 'a proof that is not an object')
  const read = readProof(value)
  if (!('suite' in read)) return read
  const { verificationMethod, proofPurpose: purpose } = read
  const failed = ({ fault, reason }: Pick<Failure, 'fault' | 'reason'>): Failure => ({
    ...failure(fault, reason),
    verificationMethod
  })
  const signature = base58.decode(read.proofValue.slice(1))
  if (signature.length !== SIGNATURE_BYTES) {
    return failed(failure('proof-malformed', `a signature of ${signature.length} bytes`))
  }
  const signed = signedPart(document, proofs, read)
  if (!signed.ok) return failed(signed)
  // The very object that came, not what the schema made of it: its every member is signed.
  const { proofValue: _, ...config } = value
  const digests =
    read.suite === 'eddsa-jcs-2022'
      ? verifiedJcsDigests(signed.document, config, crypto)
      : await rdfDigests(signed.document, config, crypto, rdf)
  if (!(digests instanceof Uint8Array)) return failed(digests)
  const answer = await key(verificationMethod, purpose)
  if (!answer.ok) return failed(failure('key-unknown', answer.reason))
  if (!crypto.verifyEd25519(answer.publicKey, digests, signature)) {
    return failed(
      failure(
        'signature-wrong',
        `the signature does not fit the document and ${verificationMethod}`
      )
    )
  }
  return outcomeOf(read)
}

/** By its suite first: what another suite puts into a proof is not for us to judge. */
function readProof(value: JsonObject): ReadProof | Failure {
  const { type, cryptosuite } = value
  const suite = type === 'DataIntegrityProof' ? cryptosuite : type
  if (
    !(
      type === 'DataIntegrityProof' &&
      (suite === 'eddsa-jcs-2022' || suite === 'eddsa-rdfc-2022')
    ) &&
    suite !== 'Ed25519Signature2020'
  ) {
    return failure(
      'suite-unsupported',
      `a proof by ${typeof suite === 'string' ? suite.slice(0, 64) : 'no named suite'} is not supported`
    )
  }
  const parsed = proofSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    return failure(
      'proof-malformed',
      `the proof's ${issue?.path.join('/') ?? 'form'}: ${issue?.message ?? 'wrong'}`
    )
  }
  return { ...parsed.data, suite }
}

function outcomeOf(proof: ReadProof): ProofOutcome {
  const { id, challenge, domain, previousProof } = proof
  const created = proof.created === undefined ? undefined : instantOf(proof.created)
  const expires = proof.expires === undefined ? undefined : instantOf(proof.expires)
  return {
    ok: true,
    verificationMethod: proof.verificationMethod,
    cryptosuite: proof.suite,
    purpose: proof.proofPurpose,
    ...(created === undefined ? {} : { created }),
    ...(expires === undefined ? {} : { expires }),
    ...(challenge === undefined ? {} : { challenge }),
    ...(domain === undefined ? {} : { domain }),
    ...(id === undefined ? {} : { id }),
    previous: listOf(previousProof)
  }
}

/** The document as that proof signed it, Data Integrity 1.0 §4.5. */
function signedPart(
  document: JsonObject,
  proofs: readonly JsonValue[],
  { id, previousProof }: Pick<ReadProof, 'id' | 'previousProof'>
): { readonly ok: true; readonly document: JsonObject } | Failure {
  const { proof: _, ...unsecured } = document
  const names = listOf(previousProof)
  if (names.length === 0) return { ok: true, document: unsecured }
  const byId = new Map<string, JsonObject>()
  for (const one of proofs) {
    const given = isJsonObject(one) ? one['id'] : undefined
    if (typeof given !== 'string' || !isJsonObject(one)) continue
    if (byId.has(given)) return failure('proof-malformed', `two proofs with the id ${given}`)
    byId.set(given, one)
  }
  const absent = names.find((previous) => !byId.has(previous))
  if (absent !== undefined) {
    return failure('previous-unknown', `it follows a proof ${absent}, which is not there`)
  }
  if (id !== undefined && follows(id, id, byId, new Set())) {
    return failure('previous-unknown', `its previous proofs lead in a circle back to ${id}`)
  }
  return {
    ok: true,
    document: {
      ...unsecured,
      proof: proofs.filter(
        (one) => isJsonObject(one) && typeof one['id'] === 'string' && names.includes(one['id'])
      )
    }
  }
}

/** Whether proof `from` comes after proof `target`, over any number of steps. */
function follows(
  from: string,
  target: string,
  byId: ReadonlyMap<string, JsonObject>,
  seen: Set<string>
): boolean {
  if (seen.has(from)) return false
  seen.add(from)
  const given = byId.get(from)?.['previousProof']
  const names = (Array.isArray(given) ? given : [given]).filter((one) => typeof one === 'string')
  return names.some((previous) => previous === target || follows(previous, target, byId, seen))
}

/** What a new proof signs. Throws where {@link signedPart} answers: here the caller is our own. */
function unsignedPart(document: JsonObject, options: ProofOptions): JsonObject {
  const large = jsonFault(document)
  if (large !== undefined) throw new ProtocolError('limit-exceeded', `cannot be signed: ${large}`)
  const proofs = proofsOf(document)
  if (proofs.length >= PROOFS_MAX) {
    throw new ProtocolError('limit-exceeded', `it has ${proofs.length} proofs already`)
  }
  const signed = signedPart(document, proofs, {
    id: options.id,
    previousProof:
      options.previousProof === undefined ? undefined : [...listOf(options.previousProof)]
  })
  if (!signed.ok) {
    throw new ProtocolError('credential-malformed', `cannot be signed: ${signed.reason}`)
  }
  return signed.document
}

function configOf(cryptosuite: Cryptosuite, options: ProofOptions): JsonObject {
  const { id, challenge, domain, previousProof } = options
  return {
    type: 'DataIntegrityProof',
    ...(id === undefined ? {} : { id }),
    cryptosuite,
    created: `${options.created.toISOString().slice(0, 19)}Z`,
    verificationMethod: options.signer.verificationMethod,
    proofPurpose: options.purpose ?? 'assertionMethod',
    ...(challenge === undefined ? {} : { challenge }),
    ...(domain === undefined ? {} : { domain }),
    ...(previousProof === undefined ? {} : { previousProof })
  }
}

function withProof(document: JsonObject, config: JsonObject, signature: Uint8Array): JsonObject {
  const proof = { ...config, proofValue: `z${base58.encode(signature)}` }
  const proofs = proofsOf(document)
  return { ...document, proof: proofs.length === 0 ? proof : [...proofs, proof] }
}

/**
 * Data Integrity EdDSA Cryptosuites 1.0 §3.3.2: the contexts the proof was made over come first in the document's, and it is
 * they that were hashed. Contexts added behind them since change no name that JSON has.
 */
function verifiedJcsDigests(
  document: JsonObject,
  config: JsonObject,
  crypto: ProofCrypto
): Uint8Array | Failure {
  const signed = config['@context']
  if (signed === undefined) return jcsDigests(document, config, crypto)
  const present = contextsOf(document['@context'])
  const same = contextsOf(signed).every(
    (context, position) => canonicalize(context) === canonicalize(present[position])
  )
  if (!same) {
    return failure('context-mismatch', 'its contexts do not begin with those that were signed')
  }
  return jcsDigests({ ...document, '@context': signed }, config, crypto)
}

function jcsDigests(
  document: JsonObject,
  config: JsonObject,
  crypto: Pick<ProofCrypto, 'sha256'>
): Uint8Array {
  return digestsOf(canonicalize(config) ?? '', canonicalize(document) ?? '', crypto)
}

/** Loads what RDF takes only when a proof needs it: most never do, and it is half a megabyte. */
async function rdfDigests(
  document: JsonObject,
  config: JsonObject,
  crypto: ProofCrypto,
  { work, documents }: RdfForms = { work: { done: 0 }, documents: new Map() }
): Promise<Uint8Array | Failure> {
  const { canonicalRdf } = await import('./rdfc.ts')
  const signedWith = JSON.stringify(config['previousProof'] ?? [])
  const canonicalDocument =
    documents.get(signedWith) ?? (await canonicalRdf(document, crypto, work))
  documents.set(signedWith, canonicalDocument)
  if (!canonicalDocument.ok) return canonicalDocument
  // §3.2.5: a proof is read with the contexts of its document.
  const context = document['@context'] ?? []
  const canonicalConfig = await canonicalRdf({ ...config, '@context': context }, crypto, work)
  if (!canonicalConfig.ok) {
    return failure(canonicalConfig.fault, `in the proof, ${canonicalConfig.reason}`)
  }
  return digestsOf(canonicalConfig.text, canonicalDocument.text, crypto)
}

function digestsOf(
  config: string,
  document: string,
  crypto: Pick<ProofCrypto, 'sha256'>
): Uint8Array {
  const digests = new Uint8Array(64)
  digests.set(crypto.sha256(encoder.encode(config)))
  digests.set(crypto.sha256(encoder.encode(document)), 32)
  return digests
}

const encoder = new TextEncoder()

function proofsOf({ proof }: JsonObject): readonly JsonValue[] {
  if (proof === undefined) return []
  return Array.isArray(proof) ? proof : [proof]
}

function contextsOf(context: JsonValue | undefined): readonly JsonValue[] {
  if (context === undefined) return []
  return Array.isArray(context) ? context : [context]
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  return typeof value === 'string' ? [value] : value
}

function failure(fault: ProofFault, reason: string): Failure {
  return { ok: false, fault, reason }
}
