/**
 * A kind of credential as data: what its claims are, how they are called in each language, which of them
 * a holder may keep back, how long it holds, who may attest it. One JSON file and no code.
 *
 * Fields are named by JSON pointers (RFC 6901) into the claims (`credentialSubject`), in which `*` stands for each
 * entry of a list: `/subjects/*\/grade`. A claim itself cannot be named `*`.
 *
 * Versions are `MAJOR.MINOR.PATCH`. What only adds raises MINOR; what could make a reader of the older version misread a
 * credential raises MAJOR. A credential names the version it was issued under and stays checked by it.
 *
 * @module
 */
import { z } from 'zod'
import { isJsonObject, jsonFault, type JsonObject, type JsonValue } from './json.ts'
import { schemaFault } from './schema.ts'

/** Longest credential type as JSON, in characters; the longest of the seven built in takes about 11,000. */
export const TYPE_CHARS_MAX = 131_072

/** Most fields of one type, inner ones included: a form longer than that nobody fills in. */
export const FIELDS_MAX = 400

/** Deepest nesting of fields within fields. */
const FIELD_DEPTH_MAX = 8

/** Most languages of one type: those of the Indian constitution, and some more. */
const LANGUAGES_MAX = 40

/** Longest validity, in years; beyond that nobody means a date. */
const VALIDITY_YEARS_MAX = 200

export const CREDENTIAL_CATEGORIES = [
  'education',
  'identity',
  'insurance',
  'finance',
  'skill',
  'health',
  'property',
  'other'
] as const

/**
 * Whether a holder may keep a field back when presenting: never; yes; or yes, and it is kept back unless they say
 * otherwise. It binds formats that can disclose selectively (SD-JWT VC); elsewhere it is advice.
 */
const disclosureRule = z.enum(['always', 'selectable', 'hidden-by-default'])
export type DisclosureRule = z.infer<typeof disclosureRule>

const slug = z
  .string()
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, 'not a name of a-z, 0-9 and -')
  .max(64)
const pointer = z
  .string()
  .regex(/^(?:\/(?:[^~/]|~[01])+)+$/, 'not a JSON pointer')
  .max(500)
const language = z
  .string()
  .regex(/^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$/, 'not a language tag (BCP 47)')
  .max(35)
const version = z
  .string()
  .regex(/^(?:0|[1-9]\d{0,5})(?:\.(?:0|[1-9]\d{0,5})){2}$/, 'not MAJOR.MINOR.PATCH')
const duration = z
  .string()
  .regex(
    /^P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?$/,
    'not an ISO 8601 duration of days or longer'
  )
const jsonObject = z.custom<JsonObject>((value) => isJsonObject(value), 'not a JSON object')

const display = z.strictObject({
  name: z.string().min(1).max(200),
  description: z.exactOptional(z.string().max(2000)),
  /** A field that is absent is called by its `title` in the schema. */
  fields: z.record(
    pointer,
    z.strictObject({
      label: z.string().min(1).max(200),
      help: z.exactOptional(z.string().max(1000))
    })
  )
})

const attestation = z.strictObject({
  /** Who may attest: DIDs, or names of roles that the institution knows. Anybody when undefined. */
  attesters: z.exactOptional(z.array(z.string().min(1).max(4096)).max(100)),
  /** How many of them have to. Default 1. */
  approvals: z.exactOptional(z.int().min(1).max(10)),
  /** What the holder has to send along, in words. */
  evidence: z.exactOptional(z.array(z.string().min(1).max(500)).max(20)),
  /** How sure an attester can be, from the least. */
  levels: z.exactOptional(z.array(z.string().min(1).max(100)).max(10))
})

/** Structure of a credential type; {@link parseCredentialType} also checks that its parts fit together. */
export const credentialType = z.strictObject({
  id: slug,
  version,
  category: z.enum(CREDENTIAL_CATEGORIES),
  /** VC `type` values beside `VerifiableCredential`. */
  types: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9]*$/, 'not a name of letters and digits')
        .max(64)
    )
    .min(1)
    .max(8)
    .refine(
      (names) => !names.includes('VerifiableCredential'),
      'VerifiableCredential goes without saying'
    ),
  /** JSON Schema 2020-12 of the claims, every property with a `title`. */
  schema: jsonObject,
  display: z
    .record(language, display)
    .refine((languages) => languages['en'] !== undefined, 'English (en) is missing')
    .refine((languages) => Object.keys(languages).length <= LANGUAGES_MAX, 'too many languages'),
  /** How long a credential holds, counted from the day it is issued; until revoked when undefined. */
  validity: z.exactOptional(duration),
  /** By field; `always` for a field that is absent. A rule for a group holds for all in it. */
  disclosure: z.record(pointer, disclosureRule),
  /** Name of the certificate template. */
  template: slug.default('certificate'),
  attestation: z.exactOptional(attestation),
  /** Contexts beside those of the data model and of eLocker; only bundled ones can be signed. */
  context: z.exactOptional(z.array(z.url().max(2000)).max(8)),
  /** Fields by which the registry finds a record. */
  search: z.exactOptional(z.array(pointer).max(16)),
  /** JSON Schema of what a holder fills in to have it fetched. */
  form: z.exactOptional(jsonObject)
})

export type CredentialType = Readonly<z.infer<typeof credentialType>>

export type ParsedCredentialType =
  | { readonly ok: true; readonly type: CredentialType }
  /** Sentences for the person who wrote the file, at least one. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** Reads a credential type from outside: structure, both schemas compiled, every field named anywhere known. */
export async function parseCredentialType(value: unknown): Promise<ParsedCredentialType> {
  const fault = jsonFault(value)
  if (fault !== undefined)
    return { ok: false, problems: [`The credential type cannot be read: ${fault}.`] }
  if (JSON.stringify(value).length > TYPE_CHARS_MAX) {
    return {
      ok: false,
      problems: [`The credential type is longer than ${TYPE_CHARS_MAX} characters.`]
    }
  }
  const parsed = credentialType.safeParse(value)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) =>
        `${path.length === 0 ? 'The credential type' : path.join('.')}: ${message}.`
    )
    return { ok: false, problems }
  }
  const type = parsed.data
  const problems = [...(await schemaProblems(type)), ...fieldProblems(type)]
  return problems.length === 0 ? { ok: true, type } : { ok: false, problems }
}

/** One field of a type, as a form, a certificate or a table shows it. */
export interface Field {
  /** JSON pointer with `*` for each entry of a list. */
  readonly pointer: string
  readonly label: string
  readonly help?: string
  /** Whether its group must have it. */
  readonly required: boolean
  readonly disclosure: DisclosureRule
  /** JSON Schema of this field alone. */
  readonly schema: JsonObject
  /** Whether it has fields of its own, which follow it. */
  readonly group: boolean
}

/**
 * The fields in the order of the schema, a group before its own fields.
 *
 * @param tag - BCP 47. What has no label in it is called as in its language without region, then as in English, then
 * by its `title`.
 */
export function fieldsOf(type: CredentialType, tag = 'en'): readonly Field[] {
  return shapeOf(type.schema).map(({ pointer: at, schema, required, group }) => {
    const texts = [tag, tag.split('-')[0] ?? tag, 'en'].flatMap(
      (each) => type.display[each]?.fields[at] ?? []
    )
    const { title } = schema
    const help = texts.find((text) => text.help !== undefined)?.help
    return {
      pointer: at,
      label: texts[0]?.label ?? (typeof title === 'string' ? title : lastOf(at)),
      ...(help === undefined ? {} : { help }),
      required,
      disclosure: disclosureOf(type, at),
      schema,
      group
    }
  })
}

/** What a field may be kept back: its own rule, or that of the nearest group around it. */
export function disclosureOf(type: CredentialType, field: string): DisclosureRule {
  for (let at = field; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const rule = Object.hasOwn(type.disclosure, at) ? type.disclosure[at] : undefined
    if (rule !== undefined) return rule
  }
  return 'always'
}

/**
 * JSON pointers of what these claims hold that may be kept back, `*` replaced by the entries there are: what
 * an SD-JWT makes disclosable. A rule for a group is one pointer, to the whole group.
 */
export function disclosablePointers(type: CredentialType, claims: JsonObject): readonly string[] {
  return Object.entries(type.disclosure)
    .filter(([, rule]) => rule !== 'always')
    .flatMap(([field]) => pointersIn(claims, field.split('/').slice(1)))
}

/** The end of the validity of a credential issued then; undefined when the type has none. */
export function validUntilOf(type: CredentialType, from: Date): Date | undefined {
  if (type.validity === undefined) return undefined
  const [, years = '0', months = '0', weeks = '0', days = '0'] =
    /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$/.exec(type.validity) ?? []
  const until = new Date(from)
  const day = until.getUTCDate()
  until.setUTCDate(1)
  until.setUTCMonth(until.getUTCMonth() + 12 * Number(years) + Number(months))
  // The 31st of a month and a month later: its last day, not the first days of the next.
  const last = new Date(Date.UTC(until.getUTCFullYear(), until.getUTCMonth() + 1, 0)).getUTCDate()
  until.setUTCDate(Math.min(day, last) + 7 * Number(weeks) + Number(days))
  return until
}

/**
 * The schema of `credentialSubject` as it is issued: whoever it is about has an `id`, whether or not the author of the type
 * has thought of it. Without it, a type that allows nothing else could be issued to nobody.
 */
export function subjectSchemaOf(type: CredentialType): JsonObject {
  const { properties } = type.schema
  if (!isJsonObject(properties) || Object.hasOwn(properties, 'id')) return type.schema
  const id = { title: 'Identifier of the holder', type: 'string', format: 'uri', maxLength: 4096 }
  return { ...type.schema, properties: { id, ...properties } }
}

/**
 * What is published as the `credentialSchema` of this type (VC JSON Schema 1.0 §2): a schema of the
 * whole credential, around the one of its claims.
 *
 * @param url - Where it is published; also its `$id`.
 */
export function credentialSchemaOf(type: CredentialType, url: string): JsonObject {
  // The schema of the claims is a resource of its own, so that `#/$defs/…` in it keeps its meaning.
  const { $schema: _, ...claims } = subjectSchemaOf(type)
  return {
    $id: url,
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: type.display['en']?.name ?? type.id,
    type: 'object',
    required: ['credentialSubject'],
    properties: {
      credentialSubject: {
        if: { type: 'array' },
        // oxlint-disable-next-line unicorn/no-thenable -- the keyword of JSON Schema
        then: { items: { $ref: `${url}/subject` } },
        else: { $ref: `${url}/subject` }
      }
    },
    $defs: { subject: { ...claims, $id: `${url}/subject` } }
  }
}

/** Whether every reader of the old version reads the new one rightly. */
export function compareVersions(
  old: CredentialType,
  next: CredentialType
): 'additive' | 'breaking' {
  const same =
    old.id === next.id &&
    old.category === next.category &&
    isSame(old.types, next.types) &&
    isSame(old.context ?? [], next.context ?? []) &&
    shapeOf(old.schema).every(({ pointer: at }) => disclosureOf(old, at) === disclosureOf(next, at))
  return same && isExtension(old.schema, next.schema) ? 'additive' : 'breaking'
}

/** Why `next` may not be published after `old`, as a sentence; undefined when it may. */
export function versionFault(old: CredentialType, next: CredentialType): string | undefined {
  const [oldMajor, oldMinor, oldPatch] = numbersOf(old.version)
  const [major, minor, patch] = numbersOf(next.version)
  const higher = major - oldMajor || minor - oldMinor || patch - oldPatch
  if (higher <= 0) return `Version ${next.version} does not come after version ${old.version}.`
  const change = compareVersions(old, next)
  if (change === 'breaking' && major === oldMajor) {
    return `Version ${next.version} changes what version ${old.version} says, so it must be ${oldMajor + 1}.0.0.`
  }
  const labelsOnly = isSame(shapeOf(old.schema).map(nameOf), shapeOf(next.schema).map(nameOf))
  if (change === 'additive' && !labelsOnly && major === oldMajor && minor === oldMinor) {
    return `Version ${next.version} adds fields to version ${old.version}, so it must be ${major}.${oldMinor + 1}.0.`
  }
  return undefined
}

function nameOf(shape: Shape): string {
  return shape.pointer
}

function numbersOf(text: string): readonly [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number)
  return [major, minor, patch]
}

interface Shape {
  readonly pointer: string
  readonly schema: JsonObject
  readonly required: boolean
  readonly group: boolean
}

function shapeOf(schema: JsonObject): readonly Shape[] {
  const shapes: Shape[] = []
  collect(schema, '', 0, shapes)
  return shapes
}

/** Fields are found where a form has them: in `properties`, and in `items` of a list. */
function collect(schema: JsonObject, base: string, depth: number, shapes: Shape[]): void {
  const { properties, required, items } = schema
  if (depth > FIELD_DEPTH_MAX) return
  if (isJsonObject(items)) collect(items, `${base}/*`, depth + 1, shapes)
  if (!isJsonObject(properties)) return
  for (const [name, member] of Object.entries(properties)) {
    if (shapes.length > FIELDS_MAX) return
    if (!isJsonObject(member)) continue
    const at = `${base}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    shapes.push({
      pointer: at,
      schema: member,
      required: Array.isArray(required) && required.includes(name),
      group: isGroup(member)
    })
    collect(member, at, depth + 1, shapes)
  }
}

function isGroup(schema: JsonObject): boolean {
  const { items } = schema
  return isJsonObject(schema['properties']) || (isJsonObject(items) && isGroup(items))
}

async function schemaProblems(type: CredentialType): Promise<readonly string[]> {
  const problems: string[] = []
  for (const part of ['schema', 'form'] as const) {
    const schema = type[part]
    if (schema === undefined) continue
    const fault = await schemaFault(schema)
    if (fault !== undefined) problems.push(`${part}: ${fault.problem.message}.`)
    if (schema['type'] !== 'object') problems.push(`${part}: its type is not "object".`)
  }
  return problems
}

/** Names at the top of an SD-JWT VC that are not for the claims to use (RFC 9901 §4.1, SD-JWT VC §3.2.2.2). */
const RESERVED: ReadonlySet<string> = new Set(
  ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti', 'cnf', 'vct', 'vct#integrity', 'status'].map(
    (name) => `/${name}`
  )
)

/** Whether a name means something to a format of credentials, so that a claim cannot be called so. */
function isReserved(at: string): boolean {
  return RESERVED.has(at) || /\/(?:@[^/]*|_sd|_sd_alg|\.\.\.)$/.test(at)
}

function fieldProblems(type: CredentialType): readonly string[] {
  const shapes = shapeOf(type.schema)
  if (shapes.length > FIELDS_MAX) return [`schema: it has more than ${FIELDS_MAX} fields.`]
  const known = new Map(shapes.map((shape) => [shape.pointer, shape]))
  const named = [
    ...Object.entries(type.display).flatMap(([tag, { fields }]) =>
      Object.keys(fields).map((at) => [`display.${tag}`, at] as const)
    ),
    ...Object.keys(type.disclosure).map((at) => ['disclosure', at] as const),
    ...(type.search ?? []).map((at) => ['search', at] as const)
  ]
  return [
    ...shapes
      .filter(({ schema }) => typeof schema['title'] !== 'string')
      .map(({ pointer: at }) => `schema: the field ${at} has no title.`),
    ...shapes
      .filter(({ pointer: at }) => isReserved(at))
      .map(
        ({ pointer: at }) =>
          `schema: the name of the field ${at} is kept for the credential itself.`
      ),
    ...named
      .filter(([, at]) => !known.has(at))
      .map(([where, at]) => `${where}: there is no field ${at} in the schema.`),
    ...(type.search ?? [])
      .filter((at) => known.get(at)?.group === true || at.includes('/*/'))
      .map((at) => `search: the field ${at} is not a single value.`),
    ...validityProblems(type)
  ]
}

function validityProblems(type: CredentialType): readonly string[] {
  const start = new Date(0)
  const until = validUntilOf(type, start)
  if (until === undefined) return []
  if (until <= start) return [`validity: ${type.validity ?? ''} is no time at all.`]
  return until.getUTCFullYear() - 1970 > VALIDITY_YEARS_MAX
    ? [`validity: ${type.validity ?? ''} is more than ${VALIDITY_YEARS_MAX} years.`]
    : []
}

function pointersIn(
  value: JsonValue | undefined,
  parts: readonly string[],
  base = ''
): readonly string[] {
  const [part, ...rest] = parts
  if (part === undefined) return value === undefined ? [] : [base]
  if (part === '*') {
    return Array.isArray(value)
      ? value.flatMap((entry: JsonValue, index) => pointersIn(entry, rest, `${base}/${index}`))
      : []
  }
  const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
  return isJsonObject(value) && Object.hasOwn(value, name)
    ? pointersIn(value[name], rest, `${base}/${part}`)
    : []
}

/** Keywords that say something to people and nothing about values. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$comment',
  '$id',
  'title',
  'description',
  'default',
  'examples'
])

/** Keywords whose value maps names to schemas, where more names may come. */
const GROWING: ReadonlySet<string> = new Set(['properties', '$defs'])

/**
 * Whether whatever was said by the old schema is said by the new one: fields may come that need not be
 * there, lists of values may grow, and nothing else changes. A schema that differs in other ways may still mean the same;
 * then it is called breaking, which is the safe side.
 */
function isExtension(old: JsonValue | undefined, next: JsonValue | undefined): boolean {
  if (!isJsonObject(old) || !isJsonObject(next)) return isSame(old, next)
  const keywords = new Set([...Object.keys(old), ...Object.keys(next)])
  return [...keywords].every((keyword) => {
    const [before, after] = [old[keyword], next[keyword]]
    if (ANNOTATIONS.has(keyword)) return true
    if (GROWING.has(keyword)) return isGrown(before, after)
    if (keyword === 'items') return isExtension(before, after)
    if (keyword === 'enum' && Array.isArray(before) && Array.isArray(after)) {
      return before.every((each: JsonValue) =>
        after.some((other: JsonValue) => isSame(each, other))
      )
    }
    if (keyword === 'required') return isSame(sorted(before), sorted(after))
    return isSame(before, after)
  })
}

function isGrown(before: JsonValue | undefined, after: JsonValue | undefined): boolean {
  if (before === undefined) return true
  if (!isJsonObject(before) || !isJsonObject(after)) return false
  return Object.entries(before).every(
    ([name, member]) => Object.hasOwn(after, name) && isExtension(member, after[name])
  )
}

function sorted(names: JsonValue | undefined): JsonValue {
  return Array.isArray(names) ? names.map((name) => JSON.stringify(name)).toSorted() : []
}

/** Whether two values are the same JSON, whatever the order of members. */
function isSame(one: JsonValue | undefined, other: JsonValue | undefined): boolean {
  if (Array.isArray(one)) {
    return (
      Array.isArray(other) &&
      one.length === other.length &&
      one.every((entry: JsonValue, index) => isSame(entry, other[index]))
    )
  }
  if (!isJsonObject(one) || !isJsonObject(other)) return one === other
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  )
}

function lastOf(at: string): string {
  return at.slice(at.lastIndexOf('/') + 1)
}
