/**
 * Documents that a DID publishes about itself, outside any thread: issuer descriptors, directories. JSON
 * with one Data Integrity proof, `eddsa-jcs-2022` for `assertionMethod`, by a key of the DID that the
 * document names as its own.
 *
 * Reading is in this order: size, JSON within limits, schema, proof, times. Nothing of a document is
 * returned before its proof holds.
 *
 * @module
 */
import { z } from 'zod'
import type { ProofCrypto, ProofSigner } from './credential/crypto.ts'
import { addJcsProof, verifyProofs, type KeyAnswer } from './credential/data-integrity.ts'
import { isJsonObject, jsonFault, type JsonObject } from './credential/json.ts'
import { didOf } from './did/document.ts'
import { ProtocolError } from './errors.ts'
import { CLOCK_SKEW_MS, parseJsonBounded } from './message.ts'

/** Why a document from outside is not taken. */
type DocumentFault =
  | 'too-large'
  | 'malformed'
  | 'proof-wrong' // no proof, more than one, by another's key, or it does not verify
  | 'not-yet-valid' // issued in the future, beyond the clock skew
  | 'expired'

/** A document whose proof holds, or why there is none. `reason`: a sentence with the values. */
export type SignedReading<T> =
  | {
      readonly ok: true
      readonly value: T
      /** Absolute DID URL of the key; its DID is the document's own. */
      readonly verificationMethod: string
    }
  | { readonly ok: false; readonly fault: DocumentFault; readonly reason: string }

/** What verifying needs of the outside. */
export interface SignatureSources {
  readonly now: Date
  readonly crypto: ProofCrypto
  /**
   * The key, if its DID's document has it in `assertionMethod` and says neither `expires` nor `revoked` for
   * the present. Asked only for keys of the DID that the document names.
   */
  readonly key: (verificationMethod: string) => Promise<KeyAnswer>
}

/** Times of a published document; both ends belong to it. */
interface PublishedTimes {
  readonly issuedAt: string
  readonly expiresAt?: string | undefined
}

export interface DocumentKind<T> {
  /** For reasons: `descriptor`. */
  readonly name: string
  readonly bytesMax: number
  readonly schema: z.ZodType<T>
  /** The DID that speaks, and must have signed. */
  readonly speaker: (value: T) => string
  readonly times: (value: T) => PublishedTimes
}

/** Names by language; {@link nameIn} picks one. */
export const languageNames = z
  .record(z.string().regex(/^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$/), z.string().min(1).max(200))
  .refine((names) => Object.keys(names).length >= 1 && Object.keys(names).length <= 32, {
    message: 'between 1 and 32 languages'
  })

/** The name in a language (BCP 47), else in its main language, else in English, else the first. */
export function nameIn(names: Readonly<Record<string, string>>, language: string): string {
  const main = language.split('-')[0] ?? ''
  for (const wanted of [language, main, 'en']) {
    if (Object.hasOwn(names, wanted)) return names[wanted] ?? ''
  }
  return Object.values(names)[0] ?? ''
}

/**
 * Signs a document.
 *
 * @throws ProtocolError `message-malformed` when the content does not fit its own schema, `limit-exceeded`
 * when it is too large: faults of ours, found here and not by every reader.
 */
export function signDocument<T>(
  kind: DocumentKind<T>,
  content: JsonObject,
  options: { readonly signer: ProofSigner; readonly created: Date; readonly crypto: ProofCrypto }
): JsonObject {
  const { signer, created, crypto } = options
  const parsed = kind.schema.safeParse(content)
  const fault = jsonFault(content) ?? (parsed.success ? undefined : z.prettifyError(parsed.error))
  if (fault !== undefined || !parsed.success)
    throw new ProtocolError('message-malformed', `the ${kind.name} is not one: ${fault}`)
  if (didOf(signer.verificationMethod) !== kind.speaker(parsed.data))
    throw new ProtocolError('message-malformed', `the ${kind.name} is of another DID than the key`)
  const signed = addJcsProof(content, { signer, created }, crypto)
  const sizeBytes = jsonBytes(signed)
  if (sizeBytes > kind.bytesMax)
    throw new ProtocolError(
      'limit-exceeded',
      `a ${kind.name} of ${sizeBytes} bytes, at most ${kind.bytesMax}`
    )
  return signed
}

/** Reads a document from outside: its bytes, or the value that JSON.parse made of them within other limits. */
export async function readDocument<T>(
  kind: DocumentKind<T>,
  input: unknown,
  sources: SignatureSources
): Promise<SignedReading<T>> {
  const document = jsonOf(input, kind)
  if ('fault' in document) return document
  const parsed = kind.schema.safeParse(document.value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue?.path.map(String).join('/').slice(0, 200) ?? ''
    return refused('malformed', `the ${kind.name} breaks its schema at /${where}`)
  }
  const proved = await prove(document.value, kind.speaker(parsed.data), sources)
  if (!proved.ok) return refused('proof-wrong', `the ${kind.name} ${proved.reason}`)
  const fault = timesFault(kind.times(parsed.data), sources.now)
  if (fault !== undefined) return refused(fault.fault, `the ${kind.name} ${fault.reason}`)
  return { ok: true, value: parsed.data, verificationMethod: proved.verificationMethod }
}

/** UTF-8 bytes of a value as compact JSON. */
export function jsonBytes(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length
}

async function prove(
  document: JsonObject,
  speaker: string,
  sources: SignatureSources
): Promise<{ ok: true; verificationMethod: string } | { ok: false; reason: string }> {
  const outcomes = await verifyProofs(document, {
    crypto: sources.crypto,
    // Another's key is not even looked up: a document must not make this agent fetch what it likes.
    key: async (method): Promise<KeyAnswer> =>
      didOf(method) === speaker
        ? sources.key(method)
        : { ok: false, reason: `${method} is not a key of ${speaker}` }
  })
  const [outcome] = outcomes
  if (outcome === undefined || outcomes.length > 1)
    return { ok: false, reason: `has ${outcomes.length} proofs, not one` }
  if (!outcome.ok) return { ok: false, reason: `is not proved: ${outcome.reason}` }
  if (outcome.cryptosuite !== 'eddsa-jcs-2022' || outcome.purpose !== 'assertionMethod')
    return { ok: false, reason: `has a proof ${outcome.cryptosuite} for ${outcome.purpose}` }
  return { ok: true, verificationMethod: outcome.verificationMethod }
}

function timesFault(
  { issuedAt, expiresAt }: PublishedTimes,
  now: Date
): { fault: 'not-yet-valid' | 'expired'; reason: string } | undefined {
  if (Date.parse(issuedAt) > now.getTime() + CLOCK_SKEW_MS)
    return { fault: 'not-yet-valid', reason: `is issued at ${issuedAt}, in the future` }
  if (expiresAt !== undefined && Date.parse(expiresAt) + CLOCK_SKEW_MS < now.getTime())
    return { fault: 'expired', reason: `expired at ${expiresAt}` }
  return undefined
}

type Refused = Extract<SignedReading<never>, { ok: false }>

function refused(fault: DocumentFault, reason: string): Refused {
  return { ok: false, fault, reason }
}

function jsonOf(
  input: unknown,
  { name, bytesMax }: Pick<DocumentKind<unknown>, 'name' | 'bytesMax'>
): { readonly value: JsonObject } | Refused {
  let value = input
  if (input instanceof Uint8Array) {
    try {
      value = parseJsonBounded(input, { bytesMax })
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const fault = error.code === 'limit-exceeded' ? 'too-large' : 'malformed'
      return refused(fault, `the ${name} cannot be read: ${error.message}`)
    }
  }
  if (!isJsonObject(value)) return refused('malformed', `the ${name} is not a JSON object`)
  const fault = jsonFault(value)
  if (fault !== undefined) return refused('malformed', `the ${name} cannot be read: ${fault}`)
  const sizeBytes = jsonBytes(value)
  if (sizeBytes > bytesMax)
    return refused('too-large', `a ${name} of ${sizeBytes} bytes, at most ${bytesMax}`)
  return { value }
}
