/**
 * Credentials by structure: Verifiable Credentials Data Model 2.0 §4, and 1.1 §4 for the ones other software
 * still issues. A credential that passed has the members its model asks for, in their form; nothing is said yet of
 * who signed it, whether it holds, or what its claims are.
 *
 * Nothing is dropped or rewritten: what is returned is the very object that was given, because a proof covers
 * every member of it, known here or not.
 *
 * @module
 */
import { z } from 'zod'
import { isJsonObject, jsonFault, type JsonObject } from './json.ts'

/** The data models' own contexts; a credential names its model by the first of its contexts. */
export const CREDENTIALS_V2 = 'https://www.w3.org/ns/credentials/v2'
const CREDENTIALS_V1 = 'https://www.w3.org/2018/credentials/v1'

/** Most subjects, types, status or schema entries in one credential: tens are an oddity, hundreds an attack. */
const ENTRIES_MAX = 100

/** Longest URL or DID as a name, characters; a did:peer:4 long form with a service takes 1,238. */
const URL_CHARS_MAX = 4096

/** XML Schema 1.1 dateTimeStamp, years 0000 to 9999: no form without a zone, which would name 26 instants. */
const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|[+-](\d\d):(\d\d))$/

const url = z
  .string()
  .max(URL_CHARS_MAX)
  .regex(/^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]+$/, 'not an absolute URL')
const timestamp = z
  .string()
  .refine((text) => instantOf(text) !== undefined, 'not a date and time with its zone')
const context = z.union([z.string().max(URL_CHARS_MAX), z.looseObject({})])
const types = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(ENTRIES_MAX)])
const named = z.looseObject({ id: url })
const subject = z
  .looseObject({ id: url.optional() })
  .refine((claims) => Object.keys(claims).length > 0, 'no claim in it')
const typed = z.looseObject({ id: url.optional(), type: types })

const shared = {
  '@context': z.array(context).min(1).max(ENTRIES_MAX),
  id: url.optional(),
  type: types.refine(
    (given) => given === 'VerifiableCredential' || given.includes('VerifiableCredential'),
    'VerifiableCredential is not among them'
  ),
  issuer: z.union([url, named]),
  credentialSubject: oneOrMany(subject),
  credentialStatus: oneOrMany(typed).optional(),
  credentialSchema: oneOrMany(z.looseObject({ id: url, type: types })).optional(),
  termsOfUse: oneOrMany(typed).optional(),
  refreshService: oneOrMany(typed).optional(),
  proof: oneOrMany(z.looseObject({})).optional()
}

const credential20 = z.looseObject({
  ...shared,
  evidence: oneOrMany(z.looseObject({ type: types })).optional(),
  validFrom: timestamp.optional(),
  validUntil: timestamp.optional()
})
const credential11 = z.looseObject({
  ...shared,
  issuanceDate: timestamp,
  expirationDate: timestamp.optional()
})

/** VCDM 2.0 §4: what is known of it by structure; members beyond are in {@link JsonObject}. */
type Credential20 = JsonObject & Readonly<z.infer<typeof credential20>>

/** VCDM 1.1 §4, as {@link Credential20}. */
type Credential11 = JsonObject & Readonly<z.infer<typeof credential11>>

export type Credential = Credential20 | Credential11

export type ParsedCredential =
  | { readonly ok: true; readonly credential: Credential20; readonly model: '2.0' }
  | { readonly ok: true; readonly credential: Credential11; readonly model: '1.1' }
  | { readonly ok: false; readonly reason: string }

/** When a credential holds; an end that is undefined is open. Both ends belong to it. */
export interface Validity {
  readonly from?: Date
  readonly until?: Date
}

/**
 * A credential by structure, with or without proofs. Bounded before anything walks it (json.ts): the depth, the members, the
 * size.
 */
export function parseCredential(value: unknown): ParsedCredential {
  const fault = jsonFault(value)
  if (fault !== undefined) return { ok: false, reason: `not a credential: ${fault}` }
  if (!isJsonObject(value)) return { ok: false, reason: 'not a credential: not a JSON object' }
  const first = Array.isArray(value['@context']) ? value['@context'][0] : undefined
  if (first === CREDENTIALS_V2) {
    if (conforms(credential20, value)) return { ok: true, credential: value, model: '2.0' }
    return { ok: false, reason: reasonOf(credential20, value) }
  }
  if (first === CREDENTIALS_V1) {
    if (conforms(credential11, value)) return { ok: true, credential: value, model: '1.1' }
    return { ok: false, reason: reasonOf(credential11, value) }
  }
  return {
    ok: false,
    reason: `not a credential: its first @context is neither ${CREDENTIALS_V2} nor ${CREDENTIALS_V1}`
  }
}

/** The issuer's name, a DID or another URL. */
export function issuerIdOf(credential: Credential): string {
  return typeof credential.issuer === 'string' ? credential.issuer : credential.issuer.id
}

/** The claims, one object for each subject; at least one. */
export function subjectsOf(credential: Credential): readonly JsonObject[] {
  return entriesOf(credential, 'credentialSubject')
}

/** The `type` values, VerifiableCredential among them. */
export function typesOf(credential: Credential): readonly string[] {
  return typeof credential.type === 'string' ? [credential.type] : credential.type
}

/** The objects of a member that may be one or many; none when it is absent. */
export function entriesOf(
  credential: Credential,
  member: 'credentialSubject' | 'credentialStatus' | 'credentialSchema' | 'evidence' | 'proof'
): readonly JsonObject[] {
  const value = (credential as JsonObject)[member]
  if (value === undefined) return []
  return (Array.isArray(value) ? value : [value]).filter((entry) => isJsonObject(entry))
}

/** The validity period; a text saying why when its end comes before its beginning. */
export function validityOf(credential: Credential): Validity | string {
  const { validFrom, validUntil, issuanceDate, expirationDate } = credential as JsonObject
  const [start, end] =
    credential['@context'][0] === CREDENTIALS_V1
      ? [issuanceDate, expirationDate]
      : [validFrom, validUntil]
  const from = typeof start === 'string' ? instantOf(start) : undefined
  const until = typeof end === 'string' ? instantOf(end) : undefined
  if (from !== undefined && until !== undefined && until < from) {
    return `its validity ends at ${until.toISOString()}, before it begins at ${from.toISOString()}`
  }
  return { ...(from === undefined ? {} : { from }), ...(until === undefined ? {} : { until }) }
}

/**
 * The instant of an XML Schema dateTimeStamp such as `2026-11-23T10:00:00+05:30`; undefined for anything else,
 * the 30th of February among it, which Date.parse() takes for the 1st of March.
 */
export function instantOf(text: string): Date | undefined {
  const match = TIMESTAMP.exec(text)
  if (match === null) return undefined
  const [
    year = 0,
    month = 0,
    day = 0,
    hour = 0,
    minute = 0,
    second = 0,
    zoneHour = 0,
    zoneMinute = 0
  ] = match.slice(1).map((digits) => Number(digits ?? 0))
  const midnight = hour === 24 && minute === 0 && second === 0
  if (hour > 23 && !midnight) return undefined
  if (minute > 59 || second > 59 || zoneHour > 14 || zoneMinute > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  const instant = new Date(text)
  return Number.isNaN(instant.getTime()) ? undefined : instant
}

function oneOrMany<Schema extends z.ZodType>(
  schema: Schema
): z.ZodUnion<[Schema, z.ZodArray<Schema>]> {
  return z.union([schema, z.array(schema).min(1).max(ENTRIES_MAX)])
}

/** The schemas change nothing, so a value that passes is of their type as it stands. */
function conforms<Schema extends z.ZodType>(
  schema: Schema,
  value: JsonObject
): value is JsonObject & z.infer<Schema> {
  return schema.safeParse(value).success
}

function reasonOf(schema: z.ZodType, value: JsonObject): string {
  const [issue] = schema.safeParse(value).error?.issues ?? []
  const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('/')}: `
  return `not a credential: ${where}${issue?.message ?? 'wrong structure'}`
}
