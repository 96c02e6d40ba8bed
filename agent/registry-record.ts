/**
 * One record of the registry: how it is stored, what of a credential type it needs, and whether claims fit.
 *
 * @module
 */
import { z } from 'zod'
import { fieldsOf, type CredentialType } from '../protocols/credential/credential-type.ts'
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'
import { checkSchema } from '../protocols/credential/schema.ts'
import { comparable, leaves, valueAt } from './registry-comparison.ts'

/** Claims of one record, bytes of JSON. */
export const REGISTRY_CLAIMS_BYTES_MAX = 65_536
export interface RegistryRecord {
  readonly id: string
  /** Id of the credential type. */
  readonly type: string
  /** `credentialSubject` without the holder's DID. */
  readonly claims: JsonObject
  readonly updatedAt: string
}

export const registryRecord = z.strictObject({
  type: z.string().min(1).max(64),
  claims: z.string().max(REGISTRY_CLAIMS_BYTES_MAX),
  /** The search fields the values below are of, in order; another version of the type may have others. */
  by: z.string().max(9000),
  search: z.array(z.string().max(12_000)).max(16),
  updatedAt: z.iso.datetime()
})

export type StoredRecord = z.infer<typeof registryRecord>

/** A type as the registry needs it. */
export interface Shape {
  readonly type: CredentialType
  readonly pointers: readonly string[]
  readonly schemas: ReadonlyMap<string, JsonObject>
  /** {@link pointers} as one text. */
  readonly by: string
}

export function shapeOf(type: CredentialType): Shape {
  const pointers = type.search ?? []
  const schemas = new Map(leaves(fieldsOf(type)).map(({ pointer, schema }) => [pointer, schema]))
  return { type, pointers, schemas, by: pointers.join(' ') }
}

export function searchTexts({ pointers, schemas }: Shape, claims: JsonObject): string[] {
  return pointers.map((each) => comparable(valueAt(claims, each), schemas.get(each)) ?? '')
}

/** What a record is found by; made anew where it was stored under a version with other search fields. */
export function searchOf(shape: Shape, record: StoredRecord): readonly string[] {
  return record.by === shape.by ? record.search : searchTexts(shape, claimsOf(record))
}

export function claimsOf(record: StoredRecord): JsonObject {
  const claims: unknown = JSON.parse(record.claims)
  // It was an object when it was stored, and sealed since.
  return isJsonObject(claims) ? claims : {}
}

export async function problemsOf(
  { type }: Shape,
  claims: unknown
): Promise<ReadonlyArray<{ readonly pointer: string; readonly message: string }>> {
  const checked = await checkSchema(type.schema, claims)
  if (!checked.ok) return checked.problems
  const sizeBytes = Buffer.byteLength(JSON.stringify(claims))
  if (sizeBytes <= REGISTRY_CLAIMS_BYTES_MAX) return []
  const message = `has ${sizeBytes} bytes, at most ${REGISTRY_CLAIMS_BYTES_MAX}`
  return [{ pointer: '', message }]
}

export function factsOf(id: string, record: StoredRecord): RegistryRecord {
  return { id, type: record.type, claims: claimsOf(record), updatedAt: record.updatedAt }
}
