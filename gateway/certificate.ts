/**
 * From a credential the owner keeps to what a certificate is made of.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Agent, CredentialFacts } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'
import { parseBundle, type VerificationBundle } from '../protocols/credential/bundle.ts'
import { compactCredential } from '../protocols/credential/compact.ts'
import type { CredentialType } from '../protocols/credential/credential-type.ts'
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { peekSdJwt } from '../protocols/credential/sd-jwt.ts'

/** Makes certificates; node/certificates.ts is one. */
export interface CertificateRenderer {
  /** PDF. Throws `certificate-invalid`, `certificate-busy`, `certificate-failed`. */
  render(input: CertificateContent): Promise<Uint8Array>
}

/** What is printed, and what is attached byte for byte. */
export interface CertificateContent {
  readonly credential: JsonObject
  readonly attachment: {
    readonly mediaType: 'application/vc+json' | 'application/dc+sd-jwt'
    readonly bytes: Uint8Array
  }
  readonly type: CredentialType
  readonly language: string
  readonly secondLanguage?: string
  readonly issuerNames: Readonly<Record<string, string>>
  readonly qr:
    | { readonly kind: 'compact'; readonly text: string }
    | { readonly kind: 'url'; readonly url: string; readonly hash: string }
  readonly verifyUrl?: string
}

export interface CertificateOptions {
  readonly types: Pick<Agent['types'], 'get'>
  /** Page that verifies uploads. */
  readonly verifyUrl: string
  /** BCP 47. */
  readonly language: string
  readonly second?: string
}

/**
 * The code is the credential itself where that fits; else the address of the page that verifies uploads, and the
 * SHA-256 of what is attached. Throws `credential-absent` when the stored text is none.
 */
export async function certificateInput(
  facts: CredentialFacts,
  held: { readonly text: string; readonly bundle?: JsonObject },
  { types, verifyUrl, language, second }: CertificateOptions
): Promise<CertificateContent> {
  const sdJwt = facts.format === 'sd-jwt-vc'
  const bytes = Buffer.from(held.text, 'utf8')
  const credential = sdJwt ? shapeOfSdJwt(held.text, facts) : objectIn(held.text)
  const compact = sdJwt ? undefined : await compactCredential(credential)
  const bundle = bundleIn(held.bundle)
  return {
    credential,
    attachment: {
      mediaType: sdJwt ? 'application/dc+sd-jwt' : 'application/vc+json',
      bytes
    },
    type: typeFor(facts, types, bundle),
    language,
    ...(second === undefined ? {} : { secondLanguage: second }),
    issuerNames: namesIn(bundle) ?? { en: facts.from.name },
    qr:
      compact === undefined
        ? {
            kind: 'url',
            url: verifyUrl,
            hash: createHash('sha256').update(bytes).digest('hex')
          }
        : { kind: 'compact', text: compact },
    verifyUrl
  }
}

function objectIn(text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value))
    throw new LockerError('credential-absent', 'what is kept is no credential')
  return value
}

/** What every SD-JWT VC says, beside its claims. */
const SD_JWT_NAMES = new Set(['iss', 'iat', 'nbf', 'exp', 'vct', 'cnf', 'status', 'jti'])

/** The claims of an SD-JWT in the shape of a credential: what the page shows. */
function shapeOfSdJwt(text: string, facts: CredentialFacts): JsonObject {
  const read = peekSdJwt(text, nativeProofCrypto)
  if (!read.ok)
    throw new LockerError('credential-absent', `what is kept is no SD-JWT: ${read.reason}`)
  const claims = Object.entries(read.claims).filter(([name]) => !SD_JWT_NAMES.has(name))
  return {
    '@context': ['https://www.w3.org/ns/credentials/v2'],
    id: facts.credentialId,
    type: ['VerifiableCredential', ...facts.types],
    issuer: facts.issuer,
    ...(facts.validFrom === undefined ? {} : { validFrom: facts.validFrom }),
    ...(facts.validUntil === undefined ? {} : { validUntil: facts.validUntil }),
    credentialSubject: {
      ...(facts.subject === undefined ? {} : { id: facts.subject }),
      ...Object.fromEntries(claims)
    }
  }
}

function bundleIn(value: JsonObject | undefined): VerificationBundle | undefined {
  const read = value === undefined ? undefined : parseBundle(value)
  return read?.ok === true ? read.bundle : undefined
}

/** The issuer's own names, from the descriptor that came along. */
function namesIn(bundle: VerificationBundle | undefined): Record<string, string> | undefined {
  const names = bundle?.descriptor?.['names']
  if (!isJsonObject(names)) return undefined
  const texts = Object.entries(names).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string'
  )
  return texts.length === 0 ? undefined : Object.fromEntries(texts)
}

/**
 * The type as it is known here (ours, or one that comes with the program), when it is of that version; else one made
 * of the schema that came along, whose titles label the fields.
 */
function typeFor(
  { type: id, version, types: names }: CredentialFacts,
  types: CertificateOptions['types'],
  bundle: VerificationBundle | undefined
): CredentialType {
  try {
    return types.get(id, version).type
  } catch (error) {
    if (!(error instanceof LockerError) || error.code !== 'type-unknown') throw error
  }
  const schema = bundle?.schemas.map((each) => each.schema).find(isJsonObject)
  const definitions = schema?.['$defs']
  const subject = isJsonObject(definitions) ? definitions['subject'] : undefined
  const title = schema?.['title']
  const name = typeof title === 'string' && title !== '' ? title : (names[0] ?? 'Credential')
  return {
    id,
    version,
    category: 'other',
    types: [...names],
    schema: isJsonObject(subject) ? subject : { type: 'object', properties: {} },
    display: { en: { name, fields: {} } },
    disclosure: {},
    template: 'certificate'
  }
}
