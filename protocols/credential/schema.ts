/**
 * JSON Schema 2020-12 for what other people wrote: the claims of a credential against `credentialSchema`
 * (VC JSON Schema 1.0), and a form against the schema that an issuer published for it.
 *
 * Evaluated by @hyperjump/json-schema, which compiles to data and not to code, so that it runs under a
 * content security policy without `unsafe-eval`. A schema is as hostile as the credential that names it:
 *
 * - nothing is fetched. The library's own loaders are taken out; a reference that leads out of the schema
 *   is an outcome that names it;
 * - `pattern`, `patternProperties` and `additionalProperties` run on the linear engine of pattern.ts;
 * - how much is compiled, evaluated and remembered is bounded: a dozen lines of `allOf` over `$ref` can ask for
 *   2^12 evaluations of the same claim;
 * - `$vocabulary` is refused, because the library would keep the dialect for every later schema.
 *
 * `format` is asserted: a schema that says `date` means it.
 *
 * @module
 */
import type { SchemaFault, SchemaOutcome, SchemaProblem } from './schema-problems.ts'

/**
 * Checks a value against a schema, both from outside.
 *
 * @returns Never throws for anything a schema or a value can hold. A value beyond the limits of json.ts is
 * `value-wrong`.
 */
export async function checkSchema(schema: unknown, value: unknown): Promise<SchemaOutcome> {
  const { compiledOf, evaluate } = await import('./schema-engine.ts')
  const compiled = await compiledOf(schema)
  if ('code' in compiled) return { ok: false, code: compiled.code, problems: [compiled.problem] }
  return evaluate(compiled, value)
}

/** As {@link checkSchema}, of the schema alone: undefined when it compiles. */
export async function schemaFault(
  schema: unknown
): Promise<{ readonly code: SchemaFault; readonly problem: SchemaProblem } | undefined> {
  const { compiledOf } = await import('./schema-engine.ts')
  const compiled = await compiledOf(schema)
  return 'code' in compiled ? compiled : undefined
}
