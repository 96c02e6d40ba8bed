/**
 * What is wrong with a value by its schema, said to a person: not "failed keyword enum", but which values
 * there are and which one was given.
 *
 * @module
 */
import { isJsonObject, type JsonValue } from './json.ts'

/** Largest schema read, bytes of JSON without whitespace. The longest of the seven types takes about 6 KiB. */
export const SCHEMA_BYTES_MAX = 65_536

/** Most problems reported of one value; after fifty the form is wrong, not a field. */
export const SCHEMA_PROBLEMS_MAX = 50

/** Longest value quoted in a message, in characters. */
const SHOWN_CHARS_MAX = 80

/** What is wrong with a value, and where: `pointer` is a JSON pointer (RFC 6901), empty for the whole. */
export interface SchemaProblem {
  readonly pointer: string
  /** A clause for a person that follows the name of the field, such as `must be one of "A1", "A2"`. */
  readonly message: string
}

export type SchemaFault =
  | 'schema-malformed' // not JSON Schema 2020-12, or a pattern that is not regular
  | 'schema-too-large' // beyond SCHEMA_BYTES_MAX, or nested too deep
  | 'schema-too-costly' // evaluating it takes more than a person waits for
  | 'schema-remote-ref' // leads to a document that is not inside it
  | 'value-wrong'

export type SchemaOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false
      readonly code: SchemaFault
      /** At least one, at most {@link SCHEMA_PROBLEMS_MAX}. */
      readonly problems: readonly SchemaProblem[]
    }

/** JSON Schema 2020-12 §12.4.2 "Basic", as far as it is read here. */
export interface Finding {
  readonly absoluteKeywordLocation: string
  readonly instanceLocation: string
}

/**
 * What the evaluator found, for a person: one problem for each place and rule, at most
 * {@link SCHEMA_PROBLEMS_MAX}.
 *
 * @param schema - The schema, known to the evaluator as `baseUri`.
 */
export function problemsOf(
  units: readonly Finding[],
  schema: JsonValue,
  baseUri: string,
  value: JsonValue
): readonly SchemaProblem[] {
  const problems = new Map<string, SchemaProblem>()
  for (const unit of units) {
    if (problems.size >= SCHEMA_PROBLEMS_MAX) break
    const pointer = pointerOf(unit.instanceLocation)
    const [base, location = ''] = unit.absoluteKeywordLocation.split('#', 2)
    const path = decodeURI(location)
    const rule = base === baseUri ? at(schema, path) : undefined
    const message = messageOf(path.slice(path.lastIndexOf('/') + 1), rule, at(value, pointer))
    problems.set(`${pointer}\n${message}`, { pointer, message })
  }
  return [...problems.values()]
}

/** The JSON pointer of a place the library names as `#/a/b`, or `#*\/a` for the name of a member. */
export function pointerOf(location: string): string {
  return decodeURI(location).replace(/^#\*?/, '')
}

/** What stands at a JSON pointer; undefined when nothing does. */
function at(value: JsonValue, pointer: string): JsonValue | undefined {
  let found: JsonValue | undefined = value
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(found)) found = elementOf(found, name)
    else found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined
  }
  return found
}

function elementOf(elements: readonly JsonValue[], index: string): JsonValue | undefined {
  return elements[Number(index)]
}

/** A clause that says what the rule asks and what was given instead. */
function messageOf(
  keyword: string,
  rule: JsonValue | undefined,
  given: JsonValue | undefined
): string {
  switch (keyword) {
    case 'required':
      return `lacks ${missing(rule, given)}`
    case 'type':
      return `must be ${kinds(rule)}, not ${shown(given)}`
    case 'enum':
      return `must be one of ${list(rule)}, not ${shown(given)}`
    case 'const':
      return `must be ${shown(rule)}, not ${shown(given)}`
    case 'format':
      return `is not a valid ${typeof rule === 'string' ? rule : 'value'}: ${shown(given)}`
    case 'pattern':
      return `does not have the form ${shown(rule)}: ${shown(given)}`
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return 'is not a field of this form'
    default:
      return ruleMessage(keyword, rule, given)
  }
}

const BOUNDS: ReadonlyMap<string, string> = new Map([
  ['minimum', 'must be at least'],
  ['maximum', 'must be at most'],
  ['exclusiveMinimum', 'must be more than'],
  ['exclusiveMaximum', 'must be less than'],
  ['multipleOf', 'must be a multiple of'],
  ['minLength', 'must have at least this many characters:'],
  ['maxLength', 'must have at most this many characters:'],
  ['minItems', 'must have at least this many entries:'],
  ['maxItems', 'must have at most this many entries:']
])

function ruleMessage(
  keyword: string,
  rule: JsonValue | undefined,
  given: JsonValue | undefined
): string {
  const bound = BOUNDS.get(keyword)
  if (bound !== undefined) return `${bound} ${shown(rule)}, not ${shown(given)}`
  if (keyword === 'uniqueItems') return 'has the same entry twice'
  return `breaks the rule ${shown(keyword)}: ${shown(given)}`
}

function missing(rule: JsonValue | undefined, given: JsonValue | undefined): string {
  const names = Array.isArray(rule) ? rule : []
  const absent = names.filter(
    (name) => typeof name === 'string' && !(isJsonObject(given) && Object.hasOwn(given, name))
  )
  return absent.length === 0 ? 'a field' : list(absent)
}

const KINDS: ReadonlyMap<unknown, string> = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['integer', 'a whole number'],
  ['boolean', 'true or false'],
  ['object', 'a group of fields'],
  ['array', 'a list'],
  ['null', 'empty']
])

function kinds(rule: JsonValue | undefined): string {
  const names = [rule].flat().map((name) => KINDS.get(name) ?? 'of another kind')
  return names.join(' or ')
}

function list(rule: JsonValue | undefined): string {
  return Array.isArray(rule)
    ? rule
        .slice(0, 12)
        .map((each) => shown(each))
        .join(', ')
    : shown(rule)
}

/** A value for a message: as JSON, cut. */
export function shown(value: JsonValue | undefined): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text
}
