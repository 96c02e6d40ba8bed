/**
 * What an institution says of itself, so that a holder finds it and knows what to ask for: names per
 * language, logo, the kinds of credential, for each the form the holder fills in, and where it is reached.
 * Signed by the issuer's own key (signed-document.ts), so it can be handed on by anyone: as a file of the
 * issuer's gateway, in the DHT, in a directory.
 *
 * A descriptor is the issuer's claim about itself. That the proof holds says who wrote it, not whether the
 * names in it are true: trust is decided elsewhere (DESIGN §7).
 *
 * @module
 */
import { z } from 'zod'
import { CREDENTIAL_CATEGORIES } from './credential/credential-type.ts'
import type { ProofCrypto, ProofSigner } from './credential/crypto.ts'
import { isJsonObject, type JsonObject } from './credential/json.ts'
import { did } from './did/document.ts'
import {
  CREDENTIAL_FORMATS,
  credentialTypeId,
  credentialTypeVersion
} from './issuance-attachments.ts'
import {
  languageNames,
  readDocument,
  signDocument,
  type DocumentKind,
  type SignatureSources,
  type SignedReading
} from './signed-document.ts'

/** Largest descriptor, bytes of compact JSON with its proof: 20 kinds with their forms and a logo. */
export const DESCRIPTOR_BYTES_MAX = 65_536
/** Largest logo, bytes of the picture. */
export const LOGO_BYTES_MAX = 32_768
/** Kinds of credential in one descriptor. */
export const DESCRIPTOR_TYPES_MAX = 64
/** Longest a descriptor may speak, milliseconds: an institution that is gone must not be found for ever. */
export const DESCRIPTOR_LIFETIME_MS_MAX = 400 * 24 * 3_600_000

/** Where an issuer's gateway serves its descriptor, and the service type that its DID document names it by. */
export const DESCRIPTOR_PATH = '/.well-known/elocker-issuer.json'
export const DESCRIPTOR_SERVICE = 'ElockerIssuerDescriptor'

/** Only pictures that run no script: SVG is a document. Both begin with bytes of their own. */
const PNG = /^data:image\/png;base64,iVBORw0KGgo[A-Za-z0-9+/]+={0,2}$/

/** A logo as a `data:` URL: PNG or WebP of at most {@link LOGO_BYTES_MAX}. */
export const logo = z
  .string()
  .max(40 + Math.ceil(LOGO_BYTES_MAX / 3) * 4)
  .refine((url) => PNG.test(url) || isWebp(url), 'not a data: URL of a PNG or WebP picture')
  .refine((url) => pictureBytes(url) <= LOGO_BYTES_MAX, `more than ${LOGO_BYTES_MAX} bytes`)

/** `P3D`, `PT4H`: ISO 8601 duration without fractions and alternatives. */
const duration = z
  .string()
  .max(40)
  .regex(
    /^P(?!$)(?:\d{1,4}Y)?(?:\d{1,4}M)?(?:\d{1,4}W)?(?:\d{1,4}D)?(?:T(?=\d)(?:\d{1,4}H)?(?:\d{1,4}M)?(?:\d{1,4}S)?)?$/
  )

const jsonSchema = z.custom<JsonObject>(isJsonObject, 'not a JSON object')

const httpUrl = z
  .string()
  .max(2048)
  .refine((text) => {
    const url = URL.parse(text)
    if (url === null || url.username !== '' || url.password !== '') return false
    return url.protocol === 'https:' || url.protocol === 'http:'
  }, 'not an http or https URL')

const descriptorType = z.object({
  id: credentialTypeId,
  version: credentialTypeVersion,
  names: languageNames,
  category: z.enum(CREDENTIAL_CATEGORIES),
  /** JSON Schema of what the holder fills in; absent: nothing, or it is not fetched but only offered. */
  form: z.exactOptional(jsonSchema),
  /** How long an answer usually takes. */
  expectedTime: z.exactOptional(duration),
  formats: z.array(z.enum(CREDENTIAL_FORMATS)).min(1).max(CREDENTIAL_FORMATS.length)
})

const endpoints = z.object({
  /** DIDComm v2 service endpoints, as in a DID document. */
  didcomm: z
    .array(
      z.object({
        uri: z.string().min(1).max(2048),
        accept: z.exactOptional(z.array(z.string().max(128)).max(16)),
        routingKeys: z.exactOptional(z.array(z.string().max(4096)).max(8)),
        multiAddrs: z.exactOptional(z.array(z.string().max(512)).max(16))
      })
    )
    .max(8),
  /** An out-of-band invitation to become a contact that many may use, when there is one. */
  invitation: z.exactOptional(httpUrl),
  /** Base URL of the public gateway. */
  gateway: z.exactOptional(httpUrl)
})

const instant = z.iso.datetime()

const issuerDescriptor = z
  .object({
    v: z.literal(1),
    did,
    names: languageNames,
    logo: z.exactOptional(logo),
    categories: z.array(z.enum(CREDENTIAL_CATEGORIES)).min(1).max(CREDENTIAL_CATEGORIES.length),
    types: z.array(descriptorType).max(DESCRIPTOR_TYPES_MAX),
    endpoints,
    issuedAt: instant,
    expiresAt: instant
  })
  .refine(
    ({ issuedAt, expiresAt }) => {
      const lifeMs = Date.parse(expiresAt) - Date.parse(issuedAt)
      return lifeMs > 0 && lifeMs <= DESCRIPTOR_LIFETIME_MS_MAX
    },
    { message: 'a lifetime that cannot be', path: ['expiresAt'] }
  )
  .refine(({ types }) => new Set(types.map(({ id }) => id)).size === types.length, {
    message: 'a kind of credential twice',
    path: ['types']
  })

export type IssuerDescriptor = Readonly<z.infer<typeof issuerDescriptor>>
/** A kind of credential, as a holder sees it before asking. */
export type DescriptorType = IssuerDescriptor['types'][number]

const DESCRIPTOR: DocumentKind<IssuerDescriptor> = {
  name: 'descriptor',
  bytesMax: DESCRIPTOR_BYTES_MAX,
  schema: issuerDescriptor,
  speaker: (descriptor) => descriptor.did,
  times: (descriptor) => descriptor
}

/**
 * Signs a descriptor. The signer's key must be of the descriptor's DID.
 *
 * @throws ProtocolError `message-malformed`, `limit-exceeded`.
 */
export function signDescriptor(
  descriptor: IssuerDescriptor,
  options: { readonly signer: ProofSigner; readonly created: Date; readonly crypto: ProofCrypto }
): JsonObject {
  return signDocument(DESCRIPTOR, descriptor, options)
}

/**
 * Reads a descriptor from anywhere: bytes, or an object of parsed JSON. Guarantees that the DID it names
 * signed it and that it is in its time; the newest of several is the one with the latest `issuedAt`, which
 * the caller keeps, so that an older one cannot come back.
 */
export function readDescriptor(
  input: unknown,
  sources: SignatureSources
): Promise<SignedReading<IssuerDescriptor>> {
  return readDocument(DESCRIPTOR, input, sources)
}

/** The DID a descriptor claims to be of, to resolve it by; proves nothing. */
export function claimedDid(value: unknown): string | undefined {
  const parsed = z.object({ did }).safeParse(value)
  return parsed.success ? parsed.data.did : undefined
}

function isWebp(url: string): boolean {
  // `RIFF` size `WEBP`: bytes 0 to 3 and 8 to 11, which fall on no boundary of base64's threes together.
  if (!url.startsWith('data:image/webp;base64,UklGR')) return false
  return /^[A-Za-z0-9+/]+={0,2}$/.test(url.slice(23)) && atob(url.slice(23, 39)).slice(8) === 'WEBP'
}

function pictureBytes(url: string): number {
  const text = url.slice(url.indexOf(',') + 1)
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return (text.length / 4) * 3 - padding
}
