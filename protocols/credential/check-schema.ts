/**
 * The check `schema`: are the claims what the issuer said they would be (VC JSON Schema 1.0).
 *
 * Claims that break their own schema make a credential invalid. A schema that cannot be had or used does not: the
 * proof says whose word the claims are, the schema only in which form, and many that are named in the world are
 * names without anything behind them. The check is then shown as not made. docs/decisions/0111.
 *
 * @module
 */
import {
  failed,
  notApplicable,
  notChecked,
  passed,
  whenOf,
  type Check,
  type Known,
  type VerificationSources
} from './checks.ts'
import type { JsonObject } from './json.ts'
import { checkSchema } from './schema.ts'

/** Most schemas looked up for one credential; one is usual, and each may ask a server. */
const SCHEMAS_MAX = 4

/** Most problems put into the sentence. */
const PROBLEMS_SAID_MAX = 3

/** The gravest first. */
const ORDER: readonly string[] = ['failed', 'not-checked', 'passed']

export interface SchemaCheck {
  readonly check: Check
  readonly known: readonly Known<unknown>[]
}

/** @param entries - `credentialSchema` of a credential whose proof holds. */
export async function checkCredentialSchema(
  credential: JsonObject,
  entries: readonly JsonObject[],
  sources: VerificationSources
): Promise<SchemaCheck> {
  if (entries.length === 0) {
    const reason = 'It names no schema that its claims would have to follow.'
    return { check: notApplicable('schema', 'schema-none', reason), known: [] }
  }
  if (entries.length > SCHEMAS_MAX) {
    const reason = `It names ${entries.length} schemas, more than the ${SCHEMAS_MAX} that are looked up.`
    return { check: notChecked('schema', 'schema-unsupported', reason), known: [] }
  }
  const checks: Check[] = []
  const known: Known<unknown>[] = []
  for (const entry of entries) {
    const { id, type } = entry
    const url = typeof id === 'string' ? id : ''
    if (![type].flat().includes('JsonSchema')) {
      checks.push(unsupported(url, type))
      continue
    }
    const schema = await sources.schema(url)
    known.push(schema)
    checks.push(schema.ok ? await against(schema.value, url, credential) : unreachable(url, schema))
  }
  const [worst] = checks.toSorted(
    (one, other) => ORDER.indexOf(one.outcome) - ORDER.indexOf(other.outcome)
  )
  return { check: worst ?? notApplicable('schema', 'schema-none', 'It names no schema.'), known }
}

async function against(schema: unknown, url: string, credential: JsonObject): Promise<Check> {
  const outcome = await checkSchema(schema, credential)
  const facts = { url }
  if (outcome.ok) {
    return passed('schema', 'schema-conforms', `Its claims follow the schema ${url}.`, facts)
  }
  const said = outcome.problems
    .slice(0, PROBLEMS_SAID_MAX)
    .map(({ pointer, message }) => (pointer === '' ? message : `${pointer} ${message}`))
  const more = outcome.problems.length - said.length
  const list = `${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
  return outcome.code === 'value-wrong'
    ? failed(
        'schema',
        'schema-mismatch',
        `Its claims do not follow the schema ${url}: ${list}.`,
        facts
      )
    : notChecked(
        'schema',
        'schema-unusable',
        `Its claims were not checked against the schema ${url}: ${list}.`,
        facts
      )
}

function unreachable(url: string, known: Extract<Known<unknown>, { ok: false }>): Check {
  const since = known.since === undefined ? '' : ` It was last reached on ${whenOf(known.since)}.`
  return notChecked(
    'schema',
    'schema-unreachable',
    `Its claims were not checked against the schema ${url}, which cannot be had: ${known.reason}.${since}`,
    { url, ...(known.since === undefined ? {} : { since: known.since.toISOString() }) }
  )
}

function unsupported(url: string, type: JsonObject[string] | undefined): Check {
  return notChecked(
    'schema',
    'schema-unsupported',
    `Its claims were not checked against the schema ${url}, which is of the kind ${JSON.stringify(type ?? null)}.`,
    { url }
  )
}
