/**
 * One import into the registry: which rows are new, which are records that are there already, and what it
 * comes to.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { JsonObject } from '../protocols/credential/json.ts'
import type { ByWhom } from './credential-types.ts'
import { LockerError } from './errors.ts'
import { comparable, valueAt } from './registry-comparison.ts'
import { claimsOf, type Shape, type StoredRecord } from './registry-record.ts'

/** Rows of an import that are told one by one when they do not fit. */
export const IMPORT_PROBLEMS_MAX = 100
export interface RowProblem {
  /** Line of the file, or number of the row from 1. */
  readonly row: number
  /** JSON pointer into the claims; empty for the whole row. */
  readonly pointer: string
  readonly message: string
}

export interface ImportReport {
  readonly rows: number
  readonly added: number
  /** The same record by `key`, with other claims. */
  readonly replaced: number
  /** There already, claim for claim. */
  readonly unchanged: number
  /** Removed because the file, which is the whole register, does not have them. */
  readonly removed: number
  /** Rows that do not fit the type; nothing of them is stored. */
  readonly rejected: number
  /** The first {@link IMPORT_PROBLEMS_MAX}. */
  readonly problems: readonly RowProblem[]
  /** Columns of a CSV file that name no field. */
  readonly ignored: readonly string[]
}

export interface ImportOptions extends ByWhom {
  /** JSON pointers that make two rows one record (a roll number); without them only equal rows are one. */
  readonly key?: readonly string[]
  /** The source is the whole register: what it does not have is removed at the end. */
  readonly whole?: boolean
  readonly signal?: AbortSignal
  /** Told after each batch, how many rows have been read. */
  readonly onProgress?: (rows: number) => void
}

/** What a batch of rows means for what is stored. */
export interface Changes {
  readonly written: ReadonlyMap<string, JsonObject>
  /** Ids that are new. */
  readonly added: ReadonlySet<string>
  /** Identity → id, of all rows of the batch. */
  readonly seen: ReadonlyMap<string, string>
  readonly unchanged: number
}

/** What one import has come to. Identities of records are held while it runs: 32 bytes each. */
export class ImportRun {
  readonly shape: Shape
  readonly by: string
  rows = 0
  readonly #key: readonly string[] | undefined
  /** Identity → record id, of what is stored. */
  readonly #ids = new Map<string, string>()
  /** Record id → digest of its claims; only with a key. */
  readonly #digests = new Map<string, string>()
  readonly #unseen: Set<string> | undefined
  readonly #problems: RowProblem[] = []
  #added = 0
  #replaced = 0
  #unchanged = 0
  #removed = 0
  #rejected = 0

  constructor(
    shape: Shape,
    { key, by = 'owner', whole = false }: ImportOptions,
    stored: Iterable<readonly [id: string, record: StoredRecord]>
  ) {
    const unknown = key?.find((pointer) => !shape.schemas.has(pointer))
    if (unknown !== undefined || key?.length === 0)
      throw new LockerError(
        'registry-invalid',
        `${unknown ?? 'nothing'} cannot tell records of ${shape.type.id} apart`
      )
    this.shape = shape
    this.by = by
    this.#key = key
    this.#unseen = whole ? new Set() : undefined
    for (const [id, record] of stored) {
      const claims = claimsOf(record)
      this.#ids.set(this.#identity(claims), id)
      if (key !== undefined) this.#digests.set(id, digestOf(claims))
      this.#unseen?.add(id)
    }
  }

  reject(
    row: number,
    problems: ReadonlyArray<{ readonly pointer: string; readonly message: string }>
  ): void {
    this.#rejected++
    const [first] = problems
    if (this.#problems.length < IMPORT_PROBLEMS_MAX)
      this.#problems.push({ row, pointer: first?.pointer ?? '', message: first?.message ?? '' })
  }

  /** What these rows mean for what is stored; the last of several rows that are one record counts. */
  changes(rows: readonly JsonObject[], newId: () => string): Changes {
    const written = new Map<string, JsonObject>()
    const added = new Set<string>()
    const seen = new Map<string, string>()
    let unchanged = 0
    for (const claims of rows) {
      const identity = this.#identity(claims)
      const known = seen.get(identity) ?? this.#ids.get(identity)
      const id = known ?? newId()
      if (known === undefined) added.add(id)
      seen.set(identity, id)
      const same =
        known !== undefined &&
        (this.#key === undefined ||
          (!written.has(id) && this.#digests.get(id) === digestOf(claims)))
      if (same) unchanged++
      else written.set(id, claims)
    }
    return { written, added, seen, unchanged }
  }

  stored({ written, added, seen, unchanged }: Changes): void {
    this.#added += added.size
    this.#replaced += written.size - added.size
    this.#unchanged += unchanged
    for (const [identity, id] of seen) {
      this.#ids.set(identity, id)
      this.#unseen?.delete(id)
    }
    if (this.#key !== undefined)
      for (const [id, claims] of written) this.#digests.set(id, digestOf(claims))
  }

  unseen(): Iterable<string> {
    return this.#unseen ?? []
  }

  removed(count: number): void {
    this.#removed += count
  }

  report(ignored: readonly string[]): ImportReport {
    return {
      rows: this.rows,
      added: this.#added,
      replaced: this.#replaced,
      unchanged: this.#unchanged,
      removed: this.#removed,
      rejected: this.#rejected,
      problems: this.#problems,
      ignored
    }
  }

  #identity(claims: JsonObject): string {
    if (this.#key === undefined) return digestOf(claims)
    const { schemas } = this.shape
    const parts = this.#key.map((each) => comparable(valueAt(claims, each), schemas.get(each)))
    // A row without its key is told apart by all it says.
    return parts.includes(undefined) ? digestOf(claims) : JSON.stringify(parts)
  }
}

function digestOf(claims: JsonObject): string {
  return createHash('sha256')
    .update(canonicalize(claims) ?? '')
    .digest()
    .toString('latin1')
}
