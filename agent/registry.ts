/**
 * The issuer's own records: what it knows of people, by credential type, from which credentials are issued.
 *
 * | record     | key           | holds                                                              |
 * |------------|---------------|--------------------------------------------------------------------|
 * | `registry` | the record id | type, claims as JSON text, what it is found by, time               |
 *
 * The claims stay text in memory and are parsed when somebody asks: a hundred thousand records would
 * otherwise be ten million objects. What a record is found by (the type's `search` fields, in the form of
 * registry-comparison.ts) stands beside them. The sublevel is
 * read when it is first needed, not when the locker is opened.
 *
 * A holder's form fits none, one or many records, and all three are answers: nothing picks one of many.
 *
 * @module
 */
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'
import { checkSchema } from '../protocols/credential/schema.ts'
import type { Audit } from './audit.ts'
import type { Clock, Random } from './components.ts'
import type { ByWhom, CredentialTypes } from './credential-types.ts'
import { LockerError } from './errors.ts'
import { newRecordId } from './record-id.ts'
import type { Batch, Collection, Records } from './records.ts'
import { comparable, folded, questionsOf, valueAt, type Question } from './registry-comparison.ts'
import { csvRows } from './registry-csv.ts'
import { RegistryIndex } from './registry-index.ts'
import { ImportRun, type ImportOptions, type ImportReport } from './registry-import.ts'
import {
  claimsOf,
  factsOf,
  problemsOf,
  registryRecord,
  searchOf,
  searchTexts,
  shapeOf,
  type RegistryRecord,
  type Shape,
  type StoredRecord
} from './registry-record.ts'

export type { ImportReport } from './registry-import.ts'
export type { RegistryRecord } from './registry-record.ts'

/** Records of one locker, all types together: about 1 KiB each in memory. */
const REGISTRY_RECORDS_MAX = 250_000
/** Records one change writes during an import: what a crash can lose, and how long others wait. */
export const IMPORT_BATCH_RECORDS = 500
/** Records that are shown when many fit. */
export const MATCHES_SHOWN_MAX = 20
/** Records of one page of a search, and what a search gives when nothing is said. */
export const SEARCH_LIMIT_MAX = 200
const SEARCH_LIMIT_DEFAULT = 50

/** What a holder's form fits. */
export type Match =
  | { readonly outcome: 'none' }
  | { readonly outcome: 'one'; readonly record: RegistryRecord }
  | {
      readonly outcome: 'many'
      readonly count: number
      /** The first {@link MATCHES_SHOWN_MAX}. */
      readonly records: readonly RegistryRecord[]
    }
  /** The form does not fit its schema, or gives nothing that records are found by. */
  | {
      readonly outcome: 'form-invalid'
      readonly problems: ReadonlyArray<{ readonly pointer: string; readonly message: string }>
    }

export interface Registry {
  /** How many records there are, by type. */
  counts(): Promise<ReadonlyMap<string, number>>
  /** Throws `record-unknown`. */
  get(id: string): Promise<RegistryRecord>
  /**
   * Records of a type in which every word of the query is found, newest first. Throws `type-unknown`,
   * `request-invalid` beyond {@link SEARCH_LIMIT_MAX}.
   */
  search(
    type: string,
    options?: { readonly query?: string; readonly offset?: number; readonly limit?: number }
  ): Promise<{ readonly total: number; readonly records: readonly RegistryRecord[] }>
  /** Which records fit what a holder filled in. Throws `type-unknown`. */
  match(type: string, form: JsonObject): Promise<Match>
  /** Adds, or replaces the one with `id`. Throws `type-unknown`, `registry-invalid`, `record-unknown`, `storage-full`. */
  put(
    type: string,
    claims: JsonObject,
    options?: ByWhom & { readonly id?: string }
  ): Promise<RegistryRecord>
  /** Throws `record-unknown`. */
  remove(id: string, options?: ByWhom): Promise<void>
  /**
   * Stores rows as they come, a batch at a time: whatever the length of the source, no more than a batch is
   * held. A crash or `signal` leaves the batches that were stored; importing again is harmless. Throws
   * `type-unknown`, `registry-invalid`, `storage-full`, `operation-cancelled`.
   */
  import(type: string, rows: AsyncIterable<unknown>, options?: ImportOptions): Promise<ImportReport>
  /** {@link import} of a CSV file, see registry-csv.ts. */
  importCsv(
    type: string,
    source: AsyncIterable<Uint8Array | string>,
    options?: ImportOptions
  ): Promise<ImportReport>
}

export interface RegistryComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly clock: Clock
  readonly random: Random
  readonly types: Pick<CredentialTypes, 'get'>
}

/** The registry of an open vault; its records are read when they are first asked for. */
export function openRegistry(components: RegistryComponents): Registry {
  return new SealedRegistry(components)
}

/** A row of a source, by its line or number. */
interface Row {
  readonly number: number
  readonly claims: unknown
}

class SealedRegistry implements Registry {
  readonly #components: RegistryComponents
  #opened: Promise<Collection<StoredRecord>> | undefined
  /** By type; made when a form is first matched. `by`: the search fields it is of. */
  readonly #indexes = new Map<string, { readonly by: string; readonly index: RegistryIndex }>()

  constructor(components: RegistryComponents) {
    this.#components = components
  }

  async counts(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    for (const [, { type }] of (await this.#records()).entries())
      counts.set(type, (counts.get(type) ?? 0) + 1)
    return counts
  }

  async get(id: string): Promise<RegistryRecord> {
    const record = (await this.#records()).get(id)
    if (record === undefined) throw unknownRecord(id)
    return factsOf(id, record)
  }

  async search(
    type: string,
    options: { readonly query?: string; readonly offset?: number; readonly limit?: number } = {}
  ): ReturnType<Registry['search']> {
    const { query = '', offset = 0, limit = SEARCH_LIMIT_DEFAULT } = options
    if (!Number.isInteger(limit) || limit < 1 || limit > SEARCH_LIMIT_MAX || !(offset >= 0))
      throw new LockerError('request-invalid', `a page has 1 to ${SEARCH_LIMIT_MAX} records`)
    const shape = this.#shape(type)
    const words = folded(query).split(' ')
    const found = [...(await this.#ofType(shape))].filter(([, record]) => {
      const text = searchOf(shape, record).join('\n')
      return words.every((word) => text.includes(word))
    })
    found.sort(([one, { updatedAt }], [other, record]) =>
      updatedAt === record.updatedAt
        ? one.localeCompare(other)
        : record.updatedAt.localeCompare(updatedAt)
    )
    const page = found.slice(offset, offset + limit)
    return { total: found.length, records: page.map(([id, record]) => factsOf(id, record)) }
  }

  async match(type: string, form: JsonObject): Promise<Match> {
    const shape = this.#shape(type)
    const schema = shape.type.form
    const checked = schema === undefined ? undefined : await checkSchema(schema, form)
    if (checked?.ok === false) return { outcome: 'form-invalid', problems: checked.problems }
    const asked = questionsOf(shape.type).flatMap((question) => {
      const value = comparable(valueAt(form, question.form), question.schema)
      return value === undefined ? [] : [{ ...question, value }]
    })
    if (!asked.some(({ search }) => search)) {
      const message = 'gives nothing that records are found by'
      return { outcome: 'form-invalid', problems: [{ pointer: '', message }] }
    }
    const found = (await this.#near(shape, asked)).filter(([, record]) => fits(asked, record))
    const [first] = found
    if (first === undefined) return { outcome: 'none' }
    if (found.length === 1) return { outcome: 'one', record: factsOf(...first) }
    const records = found.slice(0, MATCHES_SHOWN_MAX).map((entry) => factsOf(...entry))
    return { outcome: 'many', count: found.length, records }
  }

  async put(
    type: string,
    claims: JsonObject,
    options: ByWhom & { readonly id?: string } = {}
  ): Promise<RegistryRecord> {
    const shape = this.#shape(type)
    const [problem] = await problemsOf(shape, claims)
    if (problem !== undefined)
      throw new LockerError('registry-invalid', `${problem.pointer || 'it'} ${problem.message}`, {
        facts: { pointer: problem.pointer }
      })
    const stored = await this.#records()
    const { records, audit, random } = this.#components
    const id = options.id ?? newRecordId(random)
    const record = this.#recordOf(shape, claims)
    await records.change((batch) => {
      const before = stored.get(id)
      if (options.id !== undefined && before?.type !== type) throw unknownRecord(id)
      if (before === undefined) mustHaveRoom(stored, 1)
      this.#put(batch, stored, id, record)
      const details = { type, record: id }
      audit.append(batch, { action: 'registry-changed', actor: options.by ?? 'owner', details })
    })
    return factsOf(id, record)
  }

  async remove(id: string, options: ByWhom = {}): Promise<void> {
    const stored = await this.#records()
    const { records, audit } = this.#components
    await records.change((batch) => {
      const record = stored.get(id)
      if (record === undefined) throw unknownRecord(id)
      this.#delete(batch, stored, id)
      const details = { type: record.type, record: id }
      audit.append(batch, { action: 'registry-removed', actor: options.by ?? 'owner', details })
    })
  }

  import(
    type: string,
    rows: AsyncIterable<unknown>,
    options: ImportOptions = {}
  ): Promise<ImportReport> {
    return this.#import(this.#shape(type), numbered(rows), options, [])
  }

  importCsv(
    type: string,
    source: AsyncIterable<Uint8Array | string>,
    options: ImportOptions = {}
  ): Promise<ImportReport> {
    const shape = this.#shape(type)
    const ignored: string[] = []
    const rows = csvRows(shape.type, source, (columns) => ignored.push(...columns))
    return this.#import(shape, fromCsv(rows), options, ignored)
  }

  async #import(
    shape: Shape,
    rows: AsyncIterable<Row>,
    options: ImportOptions,
    ignored: readonly string[]
  ): Promise<ImportReport> {
    const stored = await this.#records()
    const run = new ImportRun(shape, options, await this.#ofType(shape))
    let waiting: JsonObject[] = []
    const flush = async (): Promise<void> => {
      const claims = waiting
      waiting = []
      if (claims.length > 0) await this.#store(stored, run, claims)
      options.onProgress?.(run.rows)
    }
    for await (const { number, claims } of rows) {
      if (options.signal?.aborted === true)
        throw new LockerError('operation-cancelled', `the import ended after ${run.rows} rows`, {
          cause: options.signal.reason
        })
      run.rows++
      const problems = await problemsOf(shape, claims)
      if (problems.length > 0 || !isJsonObject(claims)) run.reject(number, problems)
      else if (waiting.push(claims) >= IMPORT_BATCH_RECORDS) await flush()
    }
    await flush()
    if (options.whole === true) await this.#removeRest(stored, run)
    return run.report(ignored)
  }

  /** One batch of an import. What the batch comes to is counted when it is durable. */
  async #store(
    stored: Collection<StoredRecord>,
    run: ImportRun,
    rows: readonly JsonObject[]
  ): Promise<void> {
    const { records, audit, random } = this.#components
    await records.change((batch) => {
      const changes = run.changes(rows, () => newRecordId(random))
      mustHaveRoom(stored, changes.added.size)
      for (const [id, claims] of changes.written)
        this.#put(batch, stored, id, this.#recordOf(run.shape, claims))
      batch.afterwards(() => run.stored(changes))
      if (changes.written.size > 0)
        this.#noteImport(audit, batch, run, { stored: changes.written.size })
    })
  }

  async #removeRest(stored: Collection<StoredRecord>, run: ImportRun): Promise<void> {
    const { records, audit } = this.#components
    const rest = [...run.unseen()]
    for (let start = 0; start < rest.length; start += IMPORT_BATCH_RECORDS) {
      const ids = rest.slice(start, start + IMPORT_BATCH_RECORDS)
      await records.change((batch) => {
        for (const id of ids) this.#delete(batch, stored, id)
        batch.afterwards(() => run.removed(ids.length))
        this.#noteImport(audit, batch, run, { removed: ids.length })
      })
    }
  }

  #noteImport(
    audit: Pick<Audit, 'append'>,
    batch: Batch,
    run: ImportRun,
    counts: Readonly<Record<string, number>>
  ): void {
    const details = { type: run.shape.type.id, ...counts }
    audit.append(batch, { action: 'registry-imported', actor: run.by, details })
  }

  /** Records that have every given value in their search fields. */
  async #near(
    shape: Shape,
    asked: readonly Asked[]
  ): Promise<ReadonlyArray<readonly [id: string, record: StoredRecord]>> {
    const stored = await this.#records()
    const index = await this.#indexOf(shape)
    const sets = asked
      .filter(({ search }) => search)
      .map(({ claim, value }) => index.ids(shape.pointers.indexOf(claim), value))
      .toSorted((one, other) => one.size - other.size)
    const [fewest = new Set<string>(), ...others] = sets
    return [...fewest].flatMap((id) => {
      const record = stored.get(id)
      const near = record?.type === shape.type.id && others.every((ids) => ids.has(id))
      return record !== undefined && near ? [[id, record] as const] : []
    })
  }

  async #indexOf(shape: Shape): Promise<RegistryIndex> {
    const entries = await this.#ofType(shape)
    const kept = this.#indexes.get(shape.type.id)
    if (kept?.by === shape.by) return kept.index
    const index = new RegistryIndex(shape.pointers.length)
    for (const [id, record] of entries) index.add(id, searchOf(shape, record))
    this.#indexes.set(shape.type.id, { by: shape.by, index })
    return index
  }

  /** Once it is durable: one record of a type was put, changed or removed. */
  #reindex(id: string, before: StoredRecord | undefined, after: StoredRecord | undefined): void {
    const type = after?.type ?? before?.type ?? ''
    const kept = this.#indexes.get(type)
    if (kept === undefined) return
    if ((before ?? after)?.by !== kept.by || (after ?? before)?.by !== kept.by) {
      // Another version of the type has other search fields: the index is made anew when it is next needed.
      this.#indexes.delete(type)
      return
    }
    if (before !== undefined) kept.index.remove(id, before.search)
    if (after !== undefined) kept.index.add(id, after.search)
  }

  #put(batch: Batch, stored: Collection<StoredRecord>, id: string, record: StoredRecord): void {
    const before = stored.get(id)
    stored.put(batch, id, record)
    batch.afterwards(() => this.#reindex(id, before, record))
  }

  #delete(batch: Batch, stored: Collection<StoredRecord>, id: string): void {
    const before = stored.get(id)
    stored.delete(batch, id)
    batch.afterwards(() => this.#reindex(id, before, undefined))
  }

  async #ofType(shape: Shape): Promise<Iterable<readonly [id: string, record: StoredRecord]>> {
    const id = shape.type.id
    return entriesOf(await this.#records(), id)
  }

  #recordOf(shape: Shape, claims: JsonObject): StoredRecord {
    return {
      type: shape.type.id,
      claims: JSON.stringify(claims),
      by: shape.by,
      search: searchTexts(shape, claims),
      updatedAt: this.#components.clock.now().toISOString()
    }
  }

  #shape(id: string): Shape {
    return shapeOf(this.#components.types.get(id).type)
  }

  async #records(): Promise<Collection<StoredRecord>> {
    this.#opened ??= this.#components.records.collection('registry', registryRecord)
    return this.#opened
  }
}

/** What a form gives, in the form in which it is compared. */
interface Asked extends Question {
  readonly value: string
}

/** Whether everything the form gives is what the record says; a claim that is absent is not. */
function fits(asked: readonly Asked[], record: StoredRecord): boolean {
  const rest = asked.filter(({ search }) => !search)
  if (rest.length === 0) return true
  const claims = claimsOf(record)
  return rest.every(
    ({ claim, schema, value }) => comparable(valueAt(claims, claim), schema) === value
  )
}

function* entriesOf(
  stored: Collection<StoredRecord>,
  type: string
): Generator<readonly [id: string, record: StoredRecord]> {
  for (const entry of stored.entries()) if (entry[1].type === type) yield entry
}

async function* numbered(rows: AsyncIterable<unknown>): AsyncGenerator<Row> {
  let number = 0
  for await (const claims of rows) yield { number: ++number, claims }
}

async function* fromCsv(
  rows: AsyncIterable<{ readonly line: number; readonly claims: JsonObject }>
): AsyncGenerator<Row> {
  for await (const { line, claims } of rows) yield { number: line, claims }
}

function mustHaveRoom(stored: Collection<StoredRecord>, more: number): void {
  if (stored.size + more > REGISTRY_RECORDS_MAX)
    throw new LockerError(
      'storage-full',
      `the registry holds ${REGISTRY_RECORDS_MAX} records at most`
    )
}

function unknownRecord(id: string): LockerError {
  return new LockerError('record-unknown', `no record ${id.slice(0, 100)}`)
}
