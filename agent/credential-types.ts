/**
 * The kinds of credential an institution issues: data, not code (protocols/credential/credential-type.ts).
 *
 * | record             | key              | holds                                             |
 * |--------------------|------------------|---------------------------------------------------|
 * | `credential-types` | `<id>@<version>` | the type as it was saved, its state and its times |
 *
 *     draft ──publish──▶ published ──deprecate──▶ deprecated
 *
 * A draft may be saved again and discarded. What was published never changes: credentials name the version
 * they were issued under. The next version says how much it changes (additive: minor, breaking: major).
 *
 * Seven types come with the program. They are drafts that stand in no record until they are published or
 * saved under the same id and version with changes.
 *
 * @module
 */
import { z } from 'zod'
import {
  credentialType,
  parseCredentialType,
  versionFault,
  type CredentialType
} from '../protocols/credential/credential-type.ts'
import type { Audit } from './audit.ts'
import type { Clock } from './components.ts'
import academicMarksheet from './credential-types/academic-marksheet.json' with { type: 'json' }
import bankStatement from './credential-types/bank-statement.json' with { type: 'json' }
import governmentId from './credential-types/government-id.json' with { type: 'json' }
import insurancePolicy from './credential-types/insurance-policy.json' with { type: 'json' }
import landRecord from './credential-types/land-record.json' with { type: 'json' }
import skillBadge from './credential-types/skill-badge.json' with { type: 'json' }
import vaccination from './credential-types/vaccination.json' with { type: 'json' }
import { LockerError } from './errors.ts'
import type { Collection, Records } from './records.ts'

/** Versions of all types together: each is in memory, at most 128 KiB. */
export const TYPE_VERSIONS_MAX = 500
/** Problems of a type that are told one by one. */
const PROBLEMS_MAX = 20

type TypeState = 'draft' | 'published' | 'deprecated'

export interface TypeFacts {
  readonly type: CredentialType
  readonly state: TypeState
  /** Comes with the program, and nobody has saved or published it here. */
  readonly builtIn: boolean
  /** Absent for one that is built in. */
  readonly savedAt?: string
  readonly publishedAt?: string
  readonly deprecatedAt?: string
}

/** Who does it, for the audit log: `owner`, or the id of a member of staff. Whether they may is the caller's to know. */
export interface ByWhom {
  /** Default `owner`. */
  readonly by?: string
}

export interface CredentialTypes {
  /** Every version of every type, by id, the newest version first. */
  list(): readonly TypeFacts[]
  /**
   * One version; without one the newest that is published, else the newest draft, else the newest of all.
   * Throws `type-unknown`.
   */
  get(id: string, version?: string): TypeFacts
  /** The newest published version of each type, by id: what is issued now. */
  published(): readonly CredentialType[]
  /**
   * Saves a draft; the same id and version again replaces it. Throws `type-invalid` with `problems`, `type-state`
   * when that version was published, `storage-full`.
   */
  save(type: unknown, options?: ByWhom): Promise<TypeFacts>
  /** Publishes a draft, the newest without `version`. Throws `type-unknown`, `type-state`, `type-invalid`. */
  publish(id: string, options?: ByWhom & { readonly version?: string }): Promise<TypeFacts>
  /** Nothing is issued under that version any more; what was, stays valid. Throws `type-unknown`, `type-state`. */
  deprecate(id: string, version: string, options?: ByWhom): Promise<TypeFacts>
  /** Forgets a draft. Throws `type-unknown`, `type-state`. */
  discard(id: string, version: string, options?: ByWhom): Promise<void>
}

export interface CredentialTypesComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly clock: Clock
}

const instant = z.iso.datetime()

const typeRecord = z.strictObject({
  type: credentialType,
  state: z.enum(['draft', 'published', 'deprecated']),
  savedAt: instant,
  publishedAt: z.exactOptional(instant),
  deprecatedAt: z.exactOptional(instant)
})

type TypeRecord = z.infer<typeof typeRecord>

/** Opens the types of an open vault. */
export async function openCredentialTypes(
  components: CredentialTypesComponents
): Promise<CredentialTypes> {
  const { records } = components
  return new TypeStore(components, await records.collection('credential-types', typeRecord))
}

/** By key. Their structure is checked here, the rest when they are published, like everybody else's. */
const BUILT_IN: ReadonlyMap<string, CredentialType> = new Map(
  [
    academicMarksheet,
    governmentId,
    insurancePolicy,
    bankStatement,
    skillBadge,
    vaccination,
    landRecord
  ].map((file) => {
    const type = credentialType.parse(file)
    return [keyOf(type.id, type.version), type]
  })
)

class TypeStore implements CredentialTypes {
  readonly #components: CredentialTypesComponents
  readonly #types: Collection<TypeRecord>

  constructor(components: CredentialTypesComponents, types: Collection<TypeRecord>) {
    this.#components = components
    this.#types = types
  }

  list(): readonly TypeFacts[] {
    const stored = [...this.#types.entries()].map(([, record]) => factsOf(record))
    const untouched = [...BUILT_IN]
      .filter(([key]) => this.#types.get(key) === undefined)
      .map(([, type]) => builtInFacts(type))
    return [...stored, ...untouched].toSorted(
      ({ type: one }, { type: other }) =>
        one.id.localeCompare(other.id) || compareVersionNumbers(other.version, one.version)
    )
  }

  get(id: string, version?: string): TypeFacts {
    const versions = this.#versions(id)
    const found =
      version === undefined
        ? (versions.find(({ state }) => state === 'published') ??
          versions.find(({ state }) => state === 'draft') ??
          versions[0])
        : versions.find(({ type }) => type.version === version)
    if (found === undefined)
      throw new LockerError('type-unknown', `no credential type ${nameOf(id, version)}`)
    return found
  }

  published(): readonly CredentialType[] {
    const newest = new Map<string, CredentialType>()
    for (const { type, state } of this.list())
      if (state === 'published' && !newest.has(type.id)) newest.set(type.id, type)
    return [...newest.values()]
  }

  async save(value: unknown, options: ByWhom = {}): Promise<TypeFacts> {
    const type = await validType(value)
    const record: TypeRecord = { type, state: 'draft', savedAt: this.#now() }
    await this.#change('type-saved', type, options, (known) => {
      if (known !== undefined && known.state !== 'draft') throw stateError(known)
      if (known === undefined && this.#types.size >= TYPE_VERSIONS_MAX)
        throw new LockerError('storage-full', `${TYPE_VERSIONS_MAX} versions of credential types`)
      this.#mustFollow(type)
      return record
    })
    return this.get(type.id, type.version)
  }

  async publish(
    id: string,
    options: ByWhom & { readonly version?: string } = {}
  ): Promise<TypeFacts> {
    const draft =
      options.version === undefined
        ? this.#versions(id).find(({ state }) => state === 'draft')
        : this.get(id, options.version)
    // Without a draft there is either no such type, or all of it is published.
    if (draft === undefined) throw stateError(this.get(id))
    if (draft.state !== 'draft') throw stateError(draft)
    const type = await validType(draft.type)
    await this.#change('type-published', type, options, (known) => {
      if (known !== undefined && known.state !== 'draft') throw stateError(known)
      this.#mustFollow(type)
      const now = this.#now()
      return { type, state: 'published', savedAt: known?.savedAt ?? now, publishedAt: now }
    })
    return this.get(type.id, type.version)
  }

  async deprecate(id: string, version: string, options: ByWhom = {}): Promise<TypeFacts> {
    const { type } = this.get(id, version)
    await this.#change('type-deprecated', type, options, (known) => {
      if (known?.state !== 'published') throw stateError(this.get(id, version))
      return { ...known, state: 'deprecated', deprecatedAt: this.#now() }
    })
    return this.get(id, version)
  }

  async discard(id: string, version: string, options: ByWhom = {}): Promise<void> {
    const { type } = this.get(id, version)
    await this.#change('type-saved', type, { ...options, discarded: true }, (known) => {
      if (known?.state !== 'draft') throw stateError(this.get(id, version))
      return undefined
    })
  }

  /** Of one type, the newest first. */
  #versions(id: string): readonly TypeFacts[] {
    return this.list().filter(({ type }) => type.id === id)
  }

  /** Puts what `next` makes of the record, or deletes it when that is undefined. */
  async #change(
    action: 'type-saved' | 'type-published' | 'type-deprecated',
    { id, version }: CredentialType,
    options: ByWhom & { readonly discarded?: boolean },
    next: (known: TypeRecord | undefined) => TypeRecord | undefined
  ): Promise<void> {
    const { records, audit } = this.#components
    const { by = 'owner', discarded = false } = options
    await records.change((batch) => {
      const key = keyOf(id, version)
      const record = next(this.#types.get(key))
      if (record === undefined) this.#types.delete(batch, key)
      else this.#types.put(batch, key, record)
      const details = { type: id, version, ...(discarded ? { discarded } : {}) }
      audit.append(batch, { action, actor: by, details })
    })
  }

  /** What was published binds what comes after it. */
  #mustFollow(type: CredentialType): void {
    const last = this.#versions(type.id).find(({ state }) => state !== 'draft')
    const fault = last === undefined ? undefined : versionFault(last.type, type)
    if (fault !== undefined) throw invalid([fault])
  }

  #now(): string {
    return this.#components.clock.now().toISOString()
  }
}

async function validType(value: unknown): Promise<CredentialType> {
  const parsed = await parseCredentialType(value)
  if (!parsed.ok) throw invalid(parsed.problems)
  return parsed.type
}

function invalid(problems: readonly string[]): LockerError {
  const named = problems.slice(0, PROBLEMS_MAX)
  return new LockerError('type-invalid', `the credential type does not hold: ${named[0] ?? ''}`, {
    facts: { problems: named }
  })
}

function stateError({ type, state }: Pick<TypeFacts, 'type' | 'state'>): LockerError {
  return new LockerError('type-state', `${nameOf(type.id, type.version)} is ${state}`, {
    facts: { state }
  })
}

function factsOf(record: TypeRecord): TypeFacts {
  return { ...record, builtIn: false }
}

function builtInFacts(type: CredentialType): TypeFacts {
  return { type, state: 'draft', builtIn: true }
}

/** `@` stands in neither an id nor a version. */
function keyOf(id: string, version: string): string {
  return `${id}@${version}`
}

function nameOf(id: string, version?: string): string {
  return version === undefined ? id.slice(0, 100) : `${id.slice(0, 100)} ${version.slice(0, 40)}`
}

function compareVersionNumbers(one: string, other: string): number {
  const numbers = other.split('.').map(Number)
  for (const [index, number] of one.split('.').map(Number).entries()) {
    const difference = number - (numbers[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
