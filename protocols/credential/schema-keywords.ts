/**
 * The keywords of JSON Schema that run patterns, for @hyperjump/json-schema: the same as its own, but on
 * the linear engine of pattern.ts, so that no schema can hold its reader up.
 *
 * @module
 */
import * as Browser from '@hyperjump/browser'
import {
  getKeywordName,
  Validation,
  type Keyword,
  type SchemaDocument
} from '@hyperjump/json-schema/experimental'
import * as Instance from '@hyperjump/json-schema/instance/experimental'
import { compilePattern, type Pattern } from './pattern.ts'

/** JSON Schema 2020-12 Validation §6.3.3, on an engine that does not backtrack. */
export const pattern: Keyword<Pattern> = {
  id: 'https://json-schema.org/keyword/pattern',
  compile: async (schema) => compilePattern(Browser.value<string>(schema)),
  interpret: (compiled, instance) =>
    Instance.typeOf(instance) !== 'string' || compiled.test(Instance.value<string>(instance))
}

/** JSON Schema 2020-12 §10.3.2.2. */
export const patternProperties: Keyword<readonly (readonly [Pattern, string])[]> = {
  id: 'https://json-schema.org/keyword/patternProperties',
  simpleApplicator: true,
  compile: async (schema, ast, parent) => {
    const compiled: (readonly [Pattern, string])[] = []
    for await (const [source, member] of Browser.entries(schema)) {
      if (!isSchema(member)) throw new TypeError(`${source} leads to what is not a schema`)
      compiled.push([compilePattern(source), await Validation.compile(member, ast, parent)])
    }
    return compiled
  },
  interpret: (compiled, instance, context) => {
    if (Instance.typeOf(instance) !== 'object') return true
    let valid = true
    for (const [names, schemaUri] of compiled) {
      for (const [nameNode, member] of Instance.entries(instance)) {
        const name = Instance.value<string>(nameNode)
        if (!names.test(name)) continue
        if (!Validation.interpret(schemaUri, member, context)) valid = false
        evaluatedIn(context)?.add(name)
      }
    }
    return valid
  }
}

interface Additional {
  readonly names: ReadonlySet<string>
  readonly patterns: readonly Pattern[]
  readonly schemaUri: string
}

/** JSON Schema 2020-12 §10.3.2.3. */
export const additionalProperties: Keyword<Additional> = {
  id: 'https://json-schema.org/keyword/additionalProperties',
  simpleApplicator: true,
  compile: async (schema, ast, parent) => ({
    names: new Set(await siblingNames('properties', parent)),
    patterns: (await siblingNames('patternProperties', parent)).map((source) =>
      compilePattern(source)
    ),
    schemaUri: await Validation.compile(schema, ast, parent)
  }),
  interpret: ({ names, patterns, schemaUri }, instance, context) => {
    if (Instance.typeOf(instance) !== 'object') return true
    let valid = true
    for (const [nameNode, member] of Instance.entries(instance)) {
      const name = Instance.value<string>(nameNode)
      if (names.has(name) || patterns.some((each) => each.test(name))) continue
      if (!Validation.interpret(schemaUri, member, context)) valid = false
      evaluatedIn(context)?.add(name)
    }
    return valid
  }
}

async function siblingNames(
  keyword: string,
  parent: Browser.Browser<SchemaDocument>
): Promise<readonly string[]> {
  const id = `https://json-schema.org/keyword/${keyword}`
  const sibling = await Browser.step(getKeywordName(parent.document.dialectId, id), parent)
  return Browser.typeOf(sibling) === 'object' ? [...Browser.keys(sibling)] : []
}

/** Every part of a schema is in a schema document; the library's type of a part does not say so. */
function isSchema(part: Browser.Browser): part is Browser.Browser<SchemaDocument> {
  return 'dialectId' in part.document
}

/** Where the library records which members were looked at, for `unevaluatedProperties`. */
function evaluatedIn(context: object): Set<unknown> | undefined {
  const names = 'evaluatedProperties' in context ? context.evaluatedProperties : undefined
  return names instanceof Set ? names : undefined
}
