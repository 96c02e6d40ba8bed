/**
 * The words a kind of credential has for its fields, in the reader's language where it has them.
 *
 * @module
 */
import type { CredentialType } from '../../../protocols/credential/credential-type.ts'
import type { JsonObject, JsonValue } from '../../../protocols/credential/json.ts'
import type { TypeFacts } from '../wire.ts'
import { type Labels, escaped } from './content.ts'

/** Deepest group of fields (protocols/credential/credential-type.ts allows no more). */
const DEPTH_MAX = 8

/** The newest type with these VC types; `undefined` where it is not known here. */
export function typeAmong(
  facts: readonly TypeFacts[],
  types: readonly string[]
): CredentialType | undefined {
  const wanted = new Set(types)
  return facts.find(({ type }) => type.types.every((name) => wanted.has(name)))?.type
}

/** What the type is called. */
export function nameOf(type: CredentialType, language: string): string {
  return (displayOf(type, language) ?? displayOf(type, 'en'))?.name ?? type.id
}

/** Labels by pointer: the display's, else English, else the title in the schema. */
export function labelsOf(type: CredentialType, language: string): Labels {
  const labels = new Map<string, string>()
  collect(type.schema, '', labels, 0)
  for (const display of [displayOf(type, 'en'), displayOf(type, language)])
    for (const [pointer, { label }] of Object.entries(display?.fields ?? {}))
      labels.set(pointer, label)
  return labels
}

/** What explains a field, by pointer. */
export function helpOf(type: CredentialType, language: string): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const display of [displayOf(type, 'en'), displayOf(type, language)])
    for (const [pointer, { help }] of Object.entries(display?.fields ?? {}))
      if (help !== undefined) texts.set(pointer, help)
  return texts
}

function displayOf(
  type: CredentialType,
  language: string
): CredentialType['display'][string] | undefined {
  const displays = new Map(Object.entries(type.display))
  return displays.get(language) ?? displays.get(language.split('-')[0] ?? '')
}

function collect(
  schema: JsonValue | undefined,
  path: string,
  into: Map<string, string>,
  depth: number
): void {
  if (!isObject(schema) || depth > DEPTH_MAX) return
  const { title, properties, items } = schema
  if (typeof title === 'string') into.set(path, title)
  if (isObject(properties))
    for (const [name, inner] of Object.entries(properties))
      collect(inner, `${path}/${escaped(name)}`, into, depth + 1)
  collect(items, `${path}/*`, into, depth + 1)
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
