/**
 * What a credential says, made ready to be shown: names and values as a stranger wrote them, in a tree of
 * bounded size. Nothing here has been verified; the verdict stands beside it.
 *
 * @module
 */
import type { JsonObject, JsonValue } from '../../../protocols/credential/json.ts'

/** Most lines shown of one credential; a marksheet of 60 papers has some 300. */
const FIELDS_MAX = 600
/** Longest value shown, characters. */
const VALUE_CHARACTERS_MAX = 2_000
const LABEL_CHARACTERS_MAX = 120
const DEPTH_MAX = 8

export type CredentialField =
  | { readonly kind: 'text'; readonly label: string; readonly value: string }
  /** `value`: a data: URL of a raster image. */
  | { readonly kind: 'image'; readonly label: string; readonly value: string }
  | { readonly kind: 'group'; readonly label: string; readonly fields: readonly CredentialField[] }

export interface CredentialContent {
  /** What it calls itself: its name, else its most special type. */
  readonly title: string
  /** The issuer's name for itself; a claim like all others. */
  readonly issuerName: string | undefined
  readonly types: readonly string[]
  /** As written: ISO 8601, or whatever stands there. */
  readonly validFrom: string | undefined
  readonly validUntil: string | undefined
  readonly fields: readonly CredentialField[]
  /** More was in it than is shown. */
  readonly cut: boolean
}

/** Labels by JSON Pointer into the subject, `*` for any element of an array; from the kind of credential. */
export type Labels = ReadonlyMap<string, string>

const NO_LABELS: Labels = new Map()

/** Members of an SD-JWT VC that are about the credential, not in it (SD-JWT VC §3.2.2.2, RFC 9901). */
// oxfmt-ignore
const REGISTERED: ReadonlySet<string> = new Set([
  'iss', 'sub', 'iat', 'nbf', 'exp', 'jti', 'cnf', 'vct', 'vct#integrity', 'status', '_sd', '_sd_alg', '_sd_hash', '...'
])

/** Of a W3C credential, model 1.1 or 2.0. */
export function contentOfCredential(
  credential: JsonObject,
  labels: Labels = NO_LABELS
): CredentialContent {
  const subjects = [credential['credentialSubject'] ?? []].flat()
  const one = subjects.length === 1 ? subjects[0] : undefined
  const maker = new Maker(labels)
  const fields = isObject(one) ? maker.members(one, '', 0, isId) : maker.elements(subjects, '', 0)
  const types = textsIn(credential['type']).filter((type) => type !== 'VerifiableCredential')
  const { issuer } = credential
  return {
    issuerName: isObject(issuer) ? nameIn(issuer['name']) : undefined,
    validFrom: textIn(credential['validFrom'] ?? credential['issuanceDate']),
    validUntil: textIn(credential['validUntil'] ?? credential['expirationDate']),
    title: nameIn(credential['name']) ?? words(types.at(-1) ?? ''),
    types,
    fields,
    cut: maker.cut
  }
}

/** Of the claims of an SD-JWT VC, disclosed ones in their places. */
export function contentOfClaims(claims: JsonObject, labels: Labels = NO_LABELS): CredentialContent {
  const maker = new Maker(labels)
  const fields = maker.members(claims, '', 0, (name) => REGISTERED.has(name))
  const type = textIn(claims['vct'])
  return {
    issuerName: undefined,
    validFrom: timeIn(claims['nbf']),
    validUntil: timeIn(claims['exp']),
    title: words(type?.split(/[/#:]/).at(-1) ?? ''),
    types: type === undefined ? [] : [type],
    fields,
    cut: maker.cut
  }
}

/** A name as a part of a JSON pointer, RFC 6901 §3. */
export function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** `registerNumber` → `Register number`: names of members are English words in most credentials. */
export function words(name: string): string {
  const spaced = name
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .replaceAll(/[_-]+/g, ' ')
    .trim()
  const lower = spaced.replaceAll(/(?<=\s)\p{Lu}(?=\p{Ll})/gu, (letter) => letter.toLowerCase())
  return plain(lower.charAt(0).toUpperCase() + lower.slice(1), LABEL_CHARACTERS_MAX)
}

/** Walks the subject and counts what it makes. */
class Maker {
  readonly #labels: Labels
  #made = 0
  cut = false

  constructor(labels: Labels) {
    this.#labels = labels
  }

  members(
    object: JsonObject,
    path: string,
    depth: number,
    skipped: (name: string) => boolean = isType
  ): CredentialField[] {
    return Object.entries(object)
      .filter(([name]) => !skipped(name))
      .flatMap(([name, value]) => {
        const at = `${path}/${escaped(name)}`
        return this.#field(this.#labels.get(at) ?? words(name), value, at, depth)
      })
  }

  elements(values: readonly JsonValue[], path: string, depth: number): CredentialField[] {
    return values.flatMap((value, place) => this.#field(`${place + 1}`, value, `${path}/*`, depth))
  }

  #field(label: string, value: JsonValue, path: string, depth: number): CredentialField[] {
    if (value === null) return []
    this.#made += 1
    if (this.#made > FIELDS_MAX || depth > DEPTH_MAX) {
      this.cut = true
      return []
    }
    if (Array.isArray(value) && value.every((one) => typeof one !== 'object'))
      return [this.#text(label, value.map(String).join(', '))]
    if (Array.isArray(value))
      return grouped(label, this.elements(value as readonly JsonValue[], path, depth + 1))
    if (isObject(value)) return grouped(label, this.members(value, path, depth + 1))
    if (typeof value === 'string' && IMAGE.test(value)) return [{ kind: 'image', label, value }]
    return [this.#text(label, typeof value === 'string' ? value : JSON.stringify(value))]
  }

  #text(label: string, value: string): CredentialField {
    if (value.length > VALUE_CHARACTERS_MAX) this.cut = true
    return { kind: 'text', label, value: plain(value, VALUE_CHARACTERS_MAX) }
  }
}

/** Raster images alone: an SVG may hold a script. */
const IMAGE = /^data:image\/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2}$/

function grouped(label: string, fields: readonly CredentialField[]): CredentialField[] {
  return fields.length === 0 ? [] : [{ kind: 'group', label, fields }]
}

/** Line feed, and the joiners that shape Indic letters. */
const KEPT: ReadonlySet<string> = new Set(['\n', '\u200c', '\u200d'])

/** Without what moves or hides the text around it. */
function plain(text: string, charactersMax: number): string {
  const visible = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    KEPT.has(character) ? character : ''
  )
  return visible.length > charactersMax ? `${visible.slice(0, charactersMax)}…` : visible
}

function isId(name: string): boolean {
  return name === 'id' || name === 'type'
}

function isType(name: string): boolean {
  return name === 'type'
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textIn(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? plain(value, LABEL_CHARACTERS_MAX) : undefined
}

/** A name is a text, or texts with their languages (VCDM 2.0 §11.1). */
function nameIn(value: JsonValue | undefined): string | undefined {
  const [first] = [value ?? []].flat()
  return textIn(isObject(first) ? first['@value'] : first)
}

function textsIn(value: JsonValue | undefined): string[] {
  return [value ?? []].flat().flatMap((one) => textIn(one) ?? [])
}

/** Seconds since 1970 (RFC 7519 §2) as ISO 8601. */
function timeIn(value: JsonValue | undefined): string | undefined {
  if (typeof value !== 'number') return undefined
  const time = new Date(value * 1_000)
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}
