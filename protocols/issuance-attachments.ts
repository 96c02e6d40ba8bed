/**
 * What the messages of issue-credential 3.0 carry, format by format (protocols/issuance.md, "Messages").
 *
 * A message may carry the same thing in several formats, so formats that are not known are passed over; a
 * message that carries only such is refused with their names. A format that is known and stands twice is
 * refused: two readers may take different ones.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { credentialType } from './credential/credential-type.ts'
import { isJsonObject, jsonFault, type JsonObject } from './credential/json.ts'
import { did } from './did/document.ts'
import { ProtocolError } from './errors.ts'
import {
  issuanceBodies,
  ISSUANCE_PROBLEMS,
  type IssuanceBody,
  type IssuanceBodyName
} from './issuance.ts'
import { MESSAGE_BYTES_MAX, parseJsonBounded, type Attachment } from './message.ts'

/** What a holder wants: in a proposal, or in a request that begins a thread. */
export const CREDENTIAL_REQUEST_FORMAT = 'elocker/credential-request@v1.0'
/** What the issuer will issue. */
export const CREDENTIAL_OFFER_FORMAT = 'elocker/credential-offer@v1.0'
/** Proof that the holder has the key of the DID the credential will be about. */
export const HOLDER_BINDING_FORMAT = 'elocker/holder-binding@v1.0'
/** A credential of the Verifiable Credentials Data Model with embedded proofs (RFC 0593). */
export const LD_PROOF_FORMAT = 'aries/ld-proof-vc@v1.0'
/** A compact SD-JWT VC, as text. */
export const SD_JWT_FORMAT = 'elocker/sd-jwt-vc@v1.0'
/** What the credential is verified with off-line (protocols/credential/bundle.ts). */
export const VERIFICATION_BUNDLE_FORMAT = 'elocker/verification-bundle@v1.0'

/** What the holder filled in, bytes of its JSON. */
export const FORM_BYTES_MAX = 32 * 1024
/** The claims of an offer, bytes of their JSON: leaves half of an envelope for the rest. */
export const PREVIEW_BYTES_MAX = 128 * 1024
/** VC `type` values of one credential. */
const TYPES_MAX = 16

/** Credential formats that are issued. */
export const CREDENTIAL_FORMATS = ['vcdm-2.0', 'sd-jwt-vc'] as const
export type CredentialFormat = (typeof CREDENTIAL_FORMATS)[number]

/** A kind of credential at its issuer, and its version: as in a credential type's own file. */
export const credentialTypeId = credentialType.shape.id
export const credentialTypeVersion = credentialType.shape.version

export const credentialRequest = z.object({
  type: credentialTypeId,
  /** Version of the form that was filled in; absent: the present one. */
  version: z.exactOptional(credentialTypeVersion),
  /** What the holder filled in; checked by the issuer against the type's form. */
  form: z.exactOptional(jsonMembers(FORM_BYTES_MAX)),
  /** DID the credential is to be about; absent: the issuer decides. */
  subject: z.exactOptional(did),
  /** Formats the holder can take, the preferred one first; absent: all. */
  formats: z.exactOptional(z.array(z.enum(CREDENTIAL_FORMATS)).min(1).max(4))
})

const instant = z.iso.datetime()

export const credentialOffer = z.object({
  /** Who will sign. */
  issuer: did,
  type: credentialTypeId,
  version: credentialTypeVersion,
  /** The VC `type` values beside `VerifiableCredential`. */
  types: z.array(z.string().min(1).max(128)).min(1).max(TYPES_MAX),
  /** `credentialSubject` as it will be signed. */
  preview: jsonMembers(PREVIEW_BYTES_MAX),
  formats: z.array(z.enum(CREDENTIAL_FORMATS)).min(1).max(4),
  valid_from: z.exactOptional(instant),
  valid_until: z.exactOptional(instant),
  /** `id` of the credential that this one corrects or renews. */
  replaces: z.exactOptional(z.string().min(1).max(2048)),
  /** When present, the request must prove the subject's DID with these two, by {@link HOLDER_BINDING_FORMAT}. */
  binding: z.exactOptional(
    z.object({ challenge: z.string().min(16).max(128), domain: z.string().min(1).max(512) })
  )
})

/**
 * `{holder, type, proof}`; the proof is Data Integrity for `authentication` with the offer's challenge and
 * domain, and this schema says nothing about whether it holds. Members stay: they are signed.
 */
const holderBinding = z.looseObject({
  holder: did,
  type: z.literal('HolderBinding'),
  proof: z.custom<JsonObject>(isJsonObject, 'not a JSON object')
})

/** An SD-JWT: JWT, disclosures and possibly a key binding JWT, RFC 9901 §4; read on by sd-jwt.ts. */
const compactSdJwt = z
  .string()
  .max(MESSAGE_BYTES_MAX)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+~(?:[A-Za-z0-9_-]+~)*$/)

export type CredentialRequest = z.infer<typeof credentialRequest>
export type CredentialOffer = z.infer<typeof credentialOffer>
export type HolderBinding = z.infer<typeof holderBinding>

/** Formats by message, with the schema of each; everything else is passed over. */
const FORMATS = {
  'propose-credential': { request: [CREDENTIAL_REQUEST_FORMAT, credentialRequest] },
  'offer-credential': { offer: [CREDENTIAL_OFFER_FORMAT, credentialOffer] },
  'request-credential': {
    request: [CREDENTIAL_REQUEST_FORMAT, credentialRequest],
    binding: [HOLDER_BINDING_FORMAT, holderBinding]
  },
  'issue-credential': {
    credential: [LD_PROOF_FORMAT, jsonMembers(MESSAGE_BYTES_MAX)],
    sdJwt: [SD_JWT_FORMAT, compactSdJwt],
    bundle: [VERIFICATION_BUNDLE_FORMAT, jsonMembers(MESSAGE_BYTES_MAX)]
  },
  ack: {},
  pending: {}
} as const satisfies Record<IssuanceBodyName, Record<string, readonly [string, z.ZodType]>>

type Contents<Name extends IssuanceBodyName> = {
  -readonly [
    Member in keyof (typeof FORMATS)[Name]
  ]?: (typeof FORMATS)[Name][Member] extends readonly [string, infer Schema extends z.ZodType]
    ? z.infer<Schema>
    : never
}

/**
 * A message that was read. Nothing in it has been verified: no proof, no form against its schema.
 * `ignored`: formats that were passed over.
 */
export type IssuanceReading<Name extends IssuanceBodyName> =
  | {
      readonly ok: true
      readonly body: IssuanceBody<Name>
      readonly contents: Readonly<Contents<Name>>
      readonly ignored: readonly string[]
    }
  | { readonly ok: false; readonly problem: string; readonly comment: string }

/** Reads body and attachments of a message from outside. A refusal is what the problem report says. */
export function readIssuance<Name extends IssuanceBodyName>(
  name: Name,
  message: { readonly body: unknown; readonly attachments?: readonly Attachment[] | undefined }
): IssuanceReading<Name> {
  const body = issuanceBodies[name].safeParse(message.body)
  if (!body.success) return invalid(`the body of ${name} breaks its schema`)
  const known = new Map<string, readonly [member: string, schema: z.ZodType]>(
    Object.entries<readonly [string, z.ZodType]>(FORMATS[name]).map(
      ([member, [format, schema]]) => [format, [member, schema]]
    )
  )
  const contents = new Map<string, unknown>()
  const ignored: string[] = []
  for (const attachment of message.attachments ?? []) {
    const format = attachment.format ?? 'none'
    const found = known.get(format)
    if (found === undefined) {
      ignored.push(format)
      continue
    }
    const [member, schema] = found
    if (contents.has(member)) return invalid(`${format} stands twice in ${name}`)
    const data = dataOf(attachment, format)
    if (data === undefined) return invalid(`${format} in ${name} carries no data inline`)
    const parsed = schema.safeParse(data.value)
    if (!parsed.success) return invalid(`${format} in ${name} breaks its schema`)
    contents.set(member, parsed.data)
  }
  const refusal = lacking(name, contents, ignored)
  if (refusal !== undefined) return refusal
  // Map to members: `contents` holds what the schemas of this very message's formats gave.
  const reading: unknown = {
    ok: true,
    body: body.data,
    contents: Object.fromEntries(contents),
    ignored
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return reading as IssuanceReading<Name>
}

/** An attachment in one of the formats above. `value`: JSON, or the compact text of an SD-JWT. */
export function issuanceAttachment(format: string, value: JsonObject | string): Attachment {
  const id = format.slice(format.indexOf('/') + 1, format.indexOf('@'))
  return typeof value === 'string'
    ? {
        id,
        format,
        media_type: 'application/dc+sd-jwt',
        data: { base64: base64urlnopad.encode(new TextEncoder().encode(value)) }
      }
    : { id, format, media_type: 'application/json', data: { json: value } }
}

function lacking(
  name: IssuanceBodyName,
  contents: ReadonlyMap<string, unknown>,
  ignored: readonly string[]
): { ok: false; problem: string; comment: string } | undefined {
  if (contents.size === 0 && ignored.length > 0)
    return {
      ok: false,
      problem: ISSUANCE_PROBLEMS.formatUnsupported,
      comment: `none of the formats of ${name} is known here: ${ignored.join(', ').slice(0, 300)}`
    }
  if (name === 'issue-credential' && !contents.has('credential') && !contents.has('sdJwt'))
    return invalid('issue-credential without a credential')
  return undefined
}

function invalid(comment: string): { ok: false; problem: string; comment: string } {
  return { ok: false, problem: 'e.p.msg.invalid', comment }
}

/** Inline data; the standard asks readers to expect JSON and base64. Links are not followed. */
function dataOf({ data }: Attachment, format: string): { readonly value: unknown } | undefined {
  if (data.json !== undefined) return { value: data.json }
  const bytes = data.base64 === undefined ? undefined : bytesOf(data.base64)
  if (bytes === undefined) return undefined
  if (format === SD_JWT_FORMAT) return { value: new TextDecoder().decode(bytes) }
  try {
    return { value: parseJsonBounded(bytes, { bytesMax: MESSAGE_BYTES_MAX }) }
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/** Both alphabets, with or without padding: DIDComm asks for base64url, and others send base64. */
function bytesOf(text: string): Uint8Array | undefined {
  if (!BASE64.test(text)) return undefined
  const plain = text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
  try {
    return base64urlnopad.decode(plain)
  } catch {
    // A length or last bits that no encoder makes: no data, like any other text that is not base64.
    return undefined
  }
}

/** An object of plain JSON as it was parsed: not copied, so that a key `__proto__` stays data. */
function jsonMembers(bytesMax: number): z.ZodType<JsonObject> {
  return z.custom<JsonObject>(
    (value) =>
      isJsonObject(value) &&
      jsonFault(value) === undefined &&
      new TextEncoder().encode(JSON.stringify(value)).length <= bytesMax,
    `not a JSON object of at most ${bytesMax} bytes`
  )
}
