/**
 * A form out of the JSON Schema of a kind of credential, and the claims out of what was filled in. The agent
 * checks the claims against the schema itself; here is only what makes filling in easy.
 *
 * @module
 */
import type { CredentialType } from '../../../protocols/credential/credential-type.ts'
import type { JsonObject, JsonValue } from '../../../protocols/credential/json.ts'
import { escaped, words } from './content.ts'
import { helpOf, labelsOf } from './labels.ts'

/** Deepest group of fields drawn. */
const DEPTH_MAX = 8
/** From this length on a text gets several lines. */
const LONG_TEXT_CHARACTERS = 250

interface Common {
  readonly name: string
  readonly label: string
  readonly help: string | undefined
  readonly required: boolean
}

export type FormField = Common &
  (
    | {
        readonly kind: 'leaf'
        /** `list`: one value a line. `time`: a moment; `yes-no`: true, false or not said. */
        readonly input: 'text' | 'long' | 'number' | 'date' | 'time' | 'choice' | 'yes-no' | 'list'
        readonly options: readonly string[]
        readonly charactersMax: number | undefined
        readonly whole: boolean
      }
    | { readonly kind: 'group'; readonly fields: readonly FormField[] }
    | {
        readonly kind: 'rows'
        readonly fields: readonly FormField[]
        readonly rowsMin: number
        readonly rowsMax: number
      }
    /** Says what sort of thing the group around it is; nobody fills it in. */
    | { readonly kind: 'fixed'; readonly value: JsonValue }
  )

/** What was filled in: texts by concrete JSON pointer, and how many rows each table has. */
export interface Filled {
  readonly texts: ReadonlyMap<string, string>
  readonly rows: ReadonlyMap<string, number>
}

/** The fields of a kind of credential; without the holder's DID, which issuing finds out. */
export function formOf(type: CredentialType, language: string): readonly FormField[] {
  const maker = new FormMaker(labelsOf(type, language), helpOf(type, language))
  return maker.members(type.schema, '', 0).filter(({ name }) => name !== 'id')
}

/** The claims filled in so far; what was left empty is left out. */
export function claimsOf(fields: readonly FormField[], filled: Filled): JsonObject {
  return membersOf(fields, '', filled).claims
}

/** The pointer of a field within the group or row at `base`. */
export function pathOf(base: string, field: FormField): string {
  return `${base}/${escaped(field.name)}`
}

/** How many rows a table shows: what it must have, at the least. */
export function rowsOf(field: FormField & { kind: 'rows' }, path: string, filled: Filled): number {
  return filled.rows.get(path) ?? Math.max(field.required ? 1 : 0, field.rowsMin)
}

class FormMaker {
  readonly #labels: ReadonlyMap<string, string>
  readonly #help: ReadonlyMap<string, string>

  constructor(labels: ReadonlyMap<string, string>, help: ReadonlyMap<string, string>) {
    this.#labels = labels
    this.#help = help
  }

  members(schema: JsonObject, path: string, depth: number): FormField[] {
    const { properties, required } = schema
    if (!isObject(properties) || depth > DEPTH_MAX) return []
    const needed = new Set(Array.isArray(required) ? required : [])
    return Object.entries(properties).flatMap(([name, inner]) => {
      const at = `${path}/${escaped(name)}`
      if (!isObject(inner)) return []
      const common = {
        name,
        label: this.#labels.get(at) ?? words(name),
        help: this.#help.get(at),
        required: needed.has(name)
      }
      return [this.#field(common, inner, at, depth)]
    })
  }

  #field(common: Common, schema: JsonObject, path: string, depth: number): FormField {
    const { items, properties } = schema
    const fixed = fixedIn(schema)
    if (fixed !== undefined) return { ...common, kind: 'fixed', value: fixed }
    if (isObject(properties))
      return { ...common, kind: 'group', fields: this.members(schema, path, depth + 1) }
    if (isObject(items) && isObject(items['properties']))
      return {
        ...common,
        kind: 'rows',
        fields: this.members(items, `${path}/*`, depth + 1),
        rowsMin: numberIn(schema['minItems']) ?? 0,
        rowsMax: numberIn(schema['maxItems']) ?? 100
      }
    return { ...common, ...leafOf(schema) }
  }
}

/** `const`, or an array that must contain one. */
function fixedIn({ const: only, contains }: JsonObject): JsonValue | undefined {
  if (only !== undefined) return only
  const within = isObject(contains) ? contains['const'] : undefined
  return within === undefined ? undefined : [within]
}

type Leaf = Omit<Extract<FormField, { kind: 'leaf' }>, keyof Common>

function leafOf(schema: JsonObject): Leaf {
  const options = Array.isArray(schema['enum']) ? schema['enum'].map(String) : []
  const charactersMax = numberIn(schema['maxLength'])
  const { type } = schema
  return {
    kind: 'leaf',
    input: options.length > 0 ? 'choice' : inputOf(type, schema['format'], charactersMax),
    options,
    charactersMax,
    whole: type === 'integer'
  }
}

function inputOf(
  type: JsonValue | undefined,
  format: JsonValue | undefined,
  charactersMax: number | undefined
): Leaf['input'] {
  if (type === 'boolean') return 'yes-no'
  if (type === 'number' || type === 'integer') return 'number'
  if (type === 'array') return 'list'
  if (format === 'date') return 'date'
  if (format === 'date-time') return 'time'
  return (charactersMax ?? 0) > LONG_TEXT_CHARACTERS ? 'long' : 'text'
}

function membersOf(
  fields: readonly FormField[],
  base: string,
  filled: Filled
): { readonly claims: JsonObject; readonly empty: boolean } {
  const members = new Map<string, JsonValue>()
  let empty = true
  for (const field of fields) {
    const value = valueOf(field, pathOf(base, field), filled)
    if (value === undefined) continue
    members.set(field.name, value)
    if (field.kind !== 'fixed') empty = false
  }
  return { claims: Object.fromEntries(members), empty }
}

function valueOf(field: FormField, path: string, filled: Filled): JsonValue | undefined {
  if (field.kind === 'fixed') return field.value
  if (field.kind === 'leaf') {
    const text = (filled.texts.get(path) ?? '').trim()
    return text === '' ? undefined : leafValue(field, text)
  }
  if (field.kind === 'group') {
    const { claims, empty } = membersOf(field.fields, path, filled)
    return empty && !field.required ? undefined : claims
  }
  const rows = Array.from({ length: rowsOf(field, path, filled) }, (_, place) =>
    membersOf(field.fields, `${path}/${place}`, filled)
  ).filter(({ empty }) => !empty)
  return rows.length === 0 ? undefined : rows.map(({ claims }) => claims)
}

function leafValue({ input }: Leaf, text: string): JsonValue {
  // What is no number and no time goes as it is, and the agent says that it is none.
  if (input === 'number') return Number.isFinite(Number(text)) ? Number(text) : text
  if (input === 'yes-no') return text === 'true'
  if (input === 'list')
    return text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
  if (input !== 'time') return text
  // The control gives the time where the clerk is, without its zone.
  const time = new Date(text)
  return Number.isNaN(time.getTime()) ? text : time.toISOString()
}

function numberIn(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
