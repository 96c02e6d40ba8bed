/**
 * How schema.ts compiles and evaluates: @hyperjump/json-schema behind the guards that schema.ts describes. A file of its
 * own because the library is some hundred modules, which are loaded when the first schema is checked.
 *
 * @module
 */
import * as Browser from '@hyperjump/browser'
import {
  InvalidSchemaError,
  setShouldValidateFormat,
  type SchemaObject
} from '@hyperjump/json-schema/draft-2020-12'
import {
  BASIC,
  addFormat,
  addKeyword,
  buildSchemaDocument,
  compile,
  getSchema,
  interpret,
  type CompiledSchema,
  type EvaluationPlugin,
  type SchemaDocument
} from '@hyperjump/json-schema/experimental'
import * as Instance from '@hyperjump/json-schema/instance/experimental'
import { JSON_DEPTH_MAX, isJsonObject, jsonFault, type JsonObject } from './json.ts'
import { PatternError } from './pattern.ts'
import { FORMATS } from './schema-formats.ts'
import { additionalProperties, pattern, patternProperties } from './schema-keywords.ts'
import {
  SCHEMA_BYTES_MAX,
  pointerOf,
  problemsOf,
  shown,
  type SchemaFault,
  type SchemaOutcome,
  type SchemaProblem
} from './schema-problems.ts'

/** Compiled schemas remembered, with their text: at most 4 MiB of it. */
const COMPILED_MAX = 64

/** Most subschemas applied in one check, counted as often as they are applied: about a second. */
const EVALUATIONS_MAX = 200_000

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

/** Name of a schema that has none: only what `$ref` inside it is resolved against. */
const UNNAMED = 'https://elocker.example/schemas/unnamed'

/** JSON as the library's types have it: arrays that may be changed, which nobody does. */
type Plain = Parameters<typeof Instance.fromJs>[0]

function isPlain(value: unknown): value is Plain {
  return jsonFault(value) === undefined
}

/** A schema ready to be evaluated. */
export interface Compiled {
  readonly schema: SchemaObject | boolean
  readonly baseUri: string
  readonly program: CompiledSchema
}

/** Why there is none. */
export interface Refused {
  readonly code: SchemaFault
  readonly problem: SchemaProblem
}

/** By the text of the schema, the least recently used first; refusals too, so that they cost once. */
const remembered = new Map<string, Promise<Compiled | Refused>>()

/** The schema compiled, or why it is refused; from memory where it was met before. */
export function compiledOf(schema: unknown): Promise<Compiled | Refused> {
  if (!fits(schema)) return Promise.resolve(tooLarge)
  if (!isPlain(schema)) {
    return Promise.resolve(malformed(`it cannot be read: ${jsonFault(schema) ?? 'not JSON'}`))
  }
  const text = JSON.stringify(schema)
  if (new TextEncoder().encode(text).length > SCHEMA_BYTES_MAX) return Promise.resolve(tooLarge)
  let found = remembered.get(text)
  if (found === undefined) {
    found = compileSchema(structuredClone(schema))
    const [oldest] = remembered.keys()
    if (remembered.size >= COMPILED_MAX && oldest !== undefined) remembered.delete(oldest)
  } else {
    remembered.delete(text)
  }
  remembered.set(text, found)
  return found
}

const tooLarge: Refused = refused(
  'schema-too-large',
  `the schema is larger than ${SCHEMA_BYTES_MAX} bytes or nested deeper than ${JSON_DEPTH_MAX} levels`
)

/**
 * Whether what is inside can be within the limits. Stops as soon as it cannot: a schema of 10 MB is neither
 * walked to its end nor made text of. A level may hold another, so they are counted by passes, not by recursion.
 */
function fits(value: unknown): boolean {
  let characters = 0
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > JSON_DEPTH_MAX) return false
    const next: unknown[] = []
    for (const part of level) {
      if (typeof part === 'string') characters += part.length
      else if (typeof part === 'object' && part !== null) {
        // Names first: they cost less than the pairs of an object with a million members.
        for (const name of Object.keys(part)) {
          characters += name.length + 1
          if (characters > SCHEMA_BYTES_MAX) return false
        }
        next.push(...Object.values(part))
      }
      if (characters > SCHEMA_BYTES_MAX) return false
    }
    level = next
  }
  return true
}

async function compileSchema(schema: Plain): Promise<Compiled | Refused> {
  if (!isSchema(schema)) return malformed('it is neither an object nor true or false')
  const unsuitable = typeof schema === 'boolean' ? undefined : unsuitability(schema)
  if (unsuitable !== undefined) return malformed(unsuitable)
  await prepare()
  try {
    const document = buildSchemaDocument(schema, UNNAMED, DIALECT)
    if (document.baseUri.startsWith('https://json-schema.org/')) {
      return malformed(`its $id is ${document.baseUri}, which belongs to JSON Schema itself`)
    }
    const program = await compile(await getSchema(document.baseUri, only(document)))
    return { schema, baseUri: document.baseUri, program }
  } catch (error) {
    return refusalOf(error)
  }
}

let prepared: Promise<void> | undefined

/**
 * Makes the library ours, once, before any schema from outside is compiled: it compiles the schema of schemas once and
 * for all with the documents it finds beside the first schema it meets. Not at import: most commands check no schema.
 */
function prepare(): Promise<void> {
  prepared ??= (async () => {
    // Taken out for the whole process, which has no other use for them: no schema makes this library fetch.
    for (const scheme of ['http', 'https', 'file']) Browser.removeUriSchemePlugin(scheme)
    setShouldValidateFormat(true)
    for (const format of FORMATS) addFormat(format)
    addKeyword(pattern)
    addKeyword(patternProperties)
    addKeyword(additionalProperties)
    const document = buildSchemaDocument({}, UNNAMED, DIALECT)
    await compile(await getSchema(UNNAMED, only(document)))
  })()
  return prepared
}

/**
 * A place for the library to look schemas up in, that holds this one and those of JSON Schema itself: its own registry is one
 * for the whole process, where one issuer's schema would answer to the name of another's.
 */
function only(document: SchemaDocument): Browser.Browser {
  const browser = {
    uri: document.baseUri,
    document,
    cursor: '',
    _cache: { [document.baseUri]: document }
  }
  return browser
}

function isSchema(value: Plain): value is SchemaObject | boolean {
  return typeof value === 'boolean' || isJsonObject(value)
}

function refusalOf(error: unknown): Refused {
  if (error instanceof InvalidSchemaError) {
    const [unit] = error.output.errors ?? []
    const where = unit === undefined ? '' : ` at ${pointerOf(unit.instanceLocation)}`
    return malformed(`it is not JSON Schema 2020-12${where}`)
  }
  const chain = causesOf(error)
  const scheme = chain.find((cause) => cause instanceof Browser.UnsupportedUriSchemeError)
  if (scheme !== undefined) {
    const url = /'([^']+)'/.exec(chain[0]?.message ?? '')?.[1] ?? 'another document'
    return refused(
      'schema-remote-ref',
      `the schema refers to ${url}, which is not inside it; nothing is fetched`
    )
  }
  return malformed(chain[0]?.message ?? 'it cannot be compiled')
}

function causesOf(error: unknown): readonly Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 8; link = link.cause) {
    chain.push(link)
  }
  return chain
}

/** Keywords whose value is data, not a schema: a claim may well be named `$vocabulary`. */
const DATA_KEYWORDS: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples'])

/** Keywords whose value names schemas: the names in it are not keywords. */
const NAMING_KEYWORDS: ReadonlySet<string> = new Set([
  '$defs',
  'definitions',
  'properties',
  'patternProperties',
  'dependentSchemas'
])

/** What the library would take and must not be given, or undefined. */
function unsuitability(schema: JsonObject): string | undefined {
  if (schema['$vocabulary'] !== undefined) return 'it defines a vocabulary of its own'
  const dialect = schema['$schema']
  if (dialect !== undefined && dialect !== DIALECT && dialect !== `${DIALECT}#`) {
    return `it is written for ${shown(dialect)}, and only JSON Schema 2020-12 is read`
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (DATA_KEYWORDS.has(keyword)) continue
    const inner =
      NAMING_KEYWORDS.has(keyword) && isJsonObject(value) ? Object.values(value) : [value]
    for (const part of inner.flat()) {
      const fault = isJsonObject(part) ? unsuitability(part) : undefined
      if (fault !== undefined) return fault
    }
  }
  return undefined
}

/** Evaluates a value; one that is not JSON within the limits of json.ts does not conform. */
export function evaluate(compiled: Compiled, value: unknown): SchemaOutcome {
  if (!isPlain(value)) {
    return wrong([{ pointer: '', message: `cannot be read: ${jsonFault(value) ?? 'not JSON'}` }])
  }
  try {
    const instance = Instance.fromJs(value)
    const output = interpret(compiled.program, instance, {
      outputFormat: BASIC,
      plugins: [budget()]
    })
    if (output.valid) return { ok: true }
    return wrong(problemsOf(output.errors ?? [], compiled.schema, compiled.baseUri, value))
  } catch (error) {
    const chain = causesOf(error)
    const tooCostly = chain.some(
      // A schema that refers to itself without going deeper into the value ends at the stack.
      (cause) =>
        cause instanceof CostError || cause instanceof PatternError || cause instanceof RangeError
    )
    if (!tooCostly) throw error
    const message = `the schema takes more than ${EVALUATIONS_MAX} evaluations, or does not end`
    return { ok: false, code: 'schema-too-costly', problems: [{ pointer: '', message }] }
  }
}

class CostError extends Error {}

function budget(): EvaluationPlugin {
  let evaluations = 0
  return {
    beforeSchema: () => {
      evaluations += 1
      if (evaluations > EVALUATIONS_MAX) throw new CostError('too many evaluations')
    }
  }
}

function malformed(message: string): Refused {
  return refused('schema-malformed', `the schema cannot be used: ${message}`)
}

function refused(code: SchemaFault, message: string): Refused {
  return { code, problem: { pointer: '', message } }
}

function wrong(problems: readonly SchemaProblem[]): SchemaOutcome {
  return { ok: false, code: 'value-wrong', problems }
}
