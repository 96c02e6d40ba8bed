/**
 * From what was prepared to what is signed: the credential in its format, and the verification bundle that
 * goes with it.
 *
 * @module
 */
import { ELOCKER_CONTEXT } from '../protocols/credential/contexts.ts'
import { CREDENTIALS_V2 } from '../protocols/credential/credential.ts'
import {
  credentialSchemaOf,
  disclosablePointers,
  type CredentialType
} from '../protocols/credential/credential-type.ts'
import type { ProofSigner } from '../protocols/credential/crypto.ts'
import { addProof } from '../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { issueSdJwt } from '../protocols/credential/sd-jwt.ts'
import { didOf } from '../protocols/did/document.ts'
import type { PublicKeyJwk } from '../protocols/did/multikey.ts'
import { ProtocolError } from '../protocols/errors.ts'
import {
  issuanceAttachment,
  LD_PROOF_FORMAT,
  SD_JWT_FORMAT,
  VERIFICATION_BUNDLE_FORMAT
} from '../protocols/issuance-attachments.ts'
import type { Attachment } from '../protocols/message.ts'
import type { Clock, Random } from './components.ts'
import { LockerError } from './errors.ts'
import type { IssuedRecord } from './issued.ts'
import { PLAINTEXT_BYTES_MAX } from './outbox-item.ts'

/** What a message with a credential takes beside its attachments, bytes: body, type, ids, times. */
const MESSAGE_REST_BYTES = 4096

/**
 * The kind of an SD-JWT VC is named as the same kind is in JSON-LD: the term of our context, as an IRI.
 * https://elocker.example/vocab# is the `@vocab` of {@link ELOCKER_CONTEXT}.
 */
const VOCABULARY = 'https://elocker.example/vocab#'

/** Names an SD-JWT VC has beside the claims of its type; a type that uses one cannot be issued so. */
const SD_JWT_NAMES: ReadonlySet<string> = new Set([
  'iss',
  'sub',
  'jti',
  'vct',
  'vct#integrity',
  'iat',
  'exp',
  'nbf',
  'cnf',
  'status',
  '_sd',
  '_sd_alg'
])

export interface SigningComponents {
  readonly issuer: { signer(): ProofSigner }
  readonly clock: Clock
  readonly random: Random
  /** Base URL of the public gateway, without a trailing slash; schemas are named under it. */
  readonly baseUrl: () => string
}

/** Where the schema of a type is published: `credentialSchema` of the credentials issued under it. */
export function schemaUrlOf(
  baseUrl: string,
  { id, version }: { id: string; version: string }
): string {
  return `${baseUrl}/schemas/${id}/${version}`
}

/** `vct` of the SD-JWT VCs of a type. */
export function vctOf(types: readonly string[]): string {
  return VOCABULARY + (types[0] ?? 'Credential')
}

/** The claims of an SD-JWT VC without what every SD-JWT VC has. */
export function claimsOfSdJwt(claims: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !SD_JWT_NAMES.has(name)))
}

/** Why claims cannot be issued as an SD-JWT VC; `undefined` when they can. */
export function sdJwtFault(claims: JsonObject): string | undefined {
  const taken = Object.keys(claims).find((name) => SD_JWT_NAMES.has(name))
  return taken === undefined ? undefined : `an SD-JWT VC has a claim ${taken} of its own`
}

/**
 * Signs with the issuer's present key.
 *
 * @param holder - Whom it is about, and the key an SD-JWT VC is bound to; `undefined` for a credential about nobody
 * in particular.
 * @returns JSON, or a compact SD-JWT.
 * @throws LockerError `claims-invalid` for what no reader would take; `issuer-absent`, `issuer-state`.
 */
export async function signCredential(
  credential: IssuedRecord,
  type: CredentialType,
  holder: { readonly did: string; readonly jwk?: PublicKeyJwk } | undefined,
  components: SigningComponents
): Promise<string> {
  const signer = components.issuer.signer()
  try {
    return credential.format === 'sd-jwt-vc'
      ? signSdJwt(credential, type, holder, { ...components, signer })
      : await signData(credential, type, holder?.did, { ...components, signer })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new LockerError('claims-invalid', `it cannot be signed: ${cause.message}`, { cause })
  }
}

async function signData(
  credential: IssuedRecord,
  type: CredentialType,
  subject: string | undefined,
  { signer, clock, baseUrl }: SigningComponents & { signer: ProofSigner }
): Promise<string> {
  const { credentialId, claims, validFrom, validUntil, entries, suite } = credential
  const document: JsonObject = {
    '@context': [CREDENTIALS_V2, ...(type.context ?? []), ELOCKER_CONTEXT],
    id: credentialId,
    type: ['VerifiableCredential', ...type.types],
    name: type.display['en']?.name ?? type.id,
    issuer: didOf(signer.verificationMethod),
    validFrom,
    ...(validUntil === undefined ? {} : { validUntil }),
    credentialSubject: { ...claims, ...(subject === undefined ? {} : { id: subject }) },
    credentialStatus: entries,
    credentialSchema: { id: schemaUrlOf(baseUrl(), type), type: 'JsonSchema' }
  }
  const created = clock.now()
  return JSON.stringify(await addProof(document, { suite, signer, created }, nativeProofCrypto))
}

function signSdJwt(
  credential: IssuedRecord,
  type: CredentialType,
  holder: { readonly did: string; readonly jwk?: PublicKeyJwk } | undefined,
  { signer, clock, random }: SigningComponents & { signer: ProofSigner }
): string {
  const { credentialId, validFrom, validUntil, entries } = credential
  const { id: _subject, ...claims } = credential.claims
  return issueSdJwt(
    { ...claims, jti: credentialId, ...(holder === undefined ? {} : { sub: holder.did }) },
    {
      signer,
      vct: vctOf(type.types),
      iss: didOf(signer.verificationMethod),
      iat: clock.now(),
      nbf: new Date(validFrom),
      ...(validUntil === undefined ? {} : { exp: new Date(validUntil) }),
      status: { bitstring_status_list: entries },
      ...(holder?.jwk === undefined ? {} : { cnf: { jwk: holder.jwk } }),
      disclosable: disclosablePointers(type, claims),
      random
    },
    nativeProofCrypto
  )
}

/** The schema of a type as it is published and goes into bundles. */
export function publishedSchemaOf(baseUrl: string, type: CredentialType): JsonObject {
  return credentialSchemaOf(type, schemaUrlOf(baseUrl, type))
}

/**
 * The attachments of `issue-credential`. The largest of the bundles that fits into one envelope goes along; a
 * credential can be verified without one, on-line.
 *
 * @param bundles - The fullest first.
 * @throws LockerError `claims-invalid` when the credential alone does not fit.
 */
export function credentialAttachments(
  format: IssuedRecord['format'],
  signed: string,
  bundles: readonly JsonObject[]
): readonly Attachment[] {
  const credential = issuanceAttachment(
    format === 'sd-jwt-vc' ? SD_JWT_FORMAT : LD_PROOF_FORMAT,
    format === 'sd-jwt-vc' ? signed : jsonOf(signed)
  )
  const budget = PLAINTEXT_BYTES_MAX - MESSAGE_REST_BYTES - sizeOf(credential)
  if (budget < 0)
    throw new LockerError('claims-invalid', `the credential is ${-budget} bytes over one message`)
  const fitting = bundles
    .map((bundle) => issuanceAttachment(VERIFICATION_BUNDLE_FORMAT, bundle))
    .find((attachment) => sizeOf(attachment) <= budget)
  return fitting === undefined ? [credential] : [credential, fitting]
}

/** JSON of our own making, from our own record. */
function jsonOf(text: string): JsonObject {
  const value: JsonObject = JSON.parse(text)
  return value
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
