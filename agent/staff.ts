/**
 * The people and machines of an institution, each with a role, and what each role may do.
 *
 * | record  | key         | holds                                                        |
 * |---------|-------------|--------------------------------------------------------------|
 * | `staff` | the account | name, role, times, SHA-256 of the token text                 |
 *
 * An account is shown to the gateway by its bearer token: 256 random bits, so a plain hash is enough; its
 * text is returned once and stored nowhere. The owner of the locker stands above all of this and needs no
 * account.
 *
 * Two rules beside the table {@link PERMISSIONS}: only an owner makes, changes or removes an owner, so that
 * no admin lifts themself up; and where the issuer wants a second approval, who asked for a credential does
 * not approve it ({@link Staff.mayApprove}).
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import type { Audit } from './audit.ts'
import type { Clock, Random } from './components.ts'
import { cleanName } from './contact-book.ts'
import { LockerError } from './errors.ts'
import { newRecordId } from './record-id.ts'
import type { Batch, Collection, Records } from './records.ts'

export const STAFF_ROLES = ['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'] as const
export type StaffRole = (typeof STAFF_ROLES)[number]

/** What of issuing a token may be allowed: an account's by its role, the owner's own as the owner says. */
export const ISSUING_SCOPES = [
  'issuer:read',
  'issuer:change',
  'issuer:rotate-key',
  'staff:read',
  'staff:change',
  'types:read',
  'types:change',
  'types:publish',
  'registry:read',
  'registry:change',
  'credentials:read',
  'credentials:issue',
  'credentials:approve',
  'credentials:revoke'
] as const

/** What staff may do; also the scopes that an account's token carries. */
export const STAFF_ACTIONS = [...ISSUING_SCOPES, 'activity:read'] as const
export type StaffAction = (typeof STAFF_ACTIONS)[number]

/**
 * Role × action. A registrar keeps the records and issues nothing; an issuer issues from them; a service is
 * a machine that issues and approves nothing; an auditor reads everything and changes nothing.
 */
// oxfmt-ignore
export const PERMISSIONS: Readonly<Record<StaffAction, readonly StaffRole[]>> = {
  'issuer:read':         ['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'],
  'issuer:change':       ['owner', 'admin'],
  'issuer:rotate-key':   ['owner'],
  'staff:read':          ['owner', 'admin', 'auditor'],
  'staff:change':        ['owner', 'admin'],
  'types:read':          ['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'],
  'types:change':        ['owner', 'admin', 'registrar'],
  'types:publish':       ['owner', 'admin'],
  'registry:read':       ['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'],
  'registry:change':     ['owner', 'admin', 'registrar'],
  'credentials:read':    ['owner', 'admin', 'issuer', 'registrar', 'auditor', 'service'],
  'credentials:issue':   ['owner', 'admin', 'issuer', 'service'],
  'credentials:approve': ['owner', 'admin', 'issuer'],
  'credentials:revoke':  ['owner', 'admin', 'issuer'],
  'activity:read':       ['owner', 'admin', 'auditor']
}

/** Accounts of one institution; each check compares against all of them. */
export const STAFF_MAX = 1000
/** Random bytes of a token. */
const TOKEN_BYTES = 32
const TOKEN_TEXT = /^els_[A-Za-z0-9_-]{43}$/

const staffRecord = z.strictObject({
  name: z.string().min(1).max(400),
  role: z.enum(STAFF_ROLES),
  createdAt: z.iso.datetime(),
  expiresAt: z.exactOptional(z.iso.datetime()),
  /** SHA-256 of the token text, canonical base64url: the last of 43 characters carries two zero bits. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)
})

type StaffRecord = z.infer<typeof staffRecord>

export interface StaffFacts {
  readonly id: string
  readonly name: string
  readonly role: StaffRole
  /** What {@link PERMISSIONS} gives the role. */
  readonly scopes: readonly StaffAction[]
  readonly createdAt: string
  /** From then on the token is nothing; absent: until removed. */
  readonly expiresAt?: string
}

/** Who changes the staff: an account's id, or `owner` (the default), which is the owner of the locker. */
interface ByStaff {
  readonly by?: string
}

export interface Staff {
  /** By name. */
  list(): readonly StaffFacts[]
  /** Throws `staff-unknown`. */
  get(id: string): StaffFacts
  /** The token's text is in the answer and nowhere else. Throws `request-invalid`, `role-forbidden`. */
  add(
    options: {
      readonly name: string
      readonly role: StaffRole
      readonly expiresAt?: Date
    } & ByStaff
  ): Promise<{ facts: StaffFacts; token: string }>
  /** Throws `staff-unknown`, `request-invalid`, `role-forbidden`. */
  change(
    id: string,
    options: { readonly name?: string; readonly role?: StaffRole } & ByStaff
  ): Promise<StaffFacts>
  /** A new token; the old one is nothing from then on. Throws `staff-unknown`, `role-forbidden`. */
  replaceToken(id: string, options?: ByStaff): Promise<{ facts: StaffFacts; token: string }>
  /** Throws `staff-unknown`, `role-forbidden`. */
  remove(id: string, options?: ByStaff): Promise<void>
  /** Whose token it is, or `undefined`. Takes the same time for every wrong text. */
  check(token: string): StaffFacts | undefined
  /** Throws `role-forbidden` when the account may not, `staff-unknown` when there is none; `owner` may everything. */
  require(by: string, action: StaffAction): void
  /** Whether this account may approve what that one asked for: two people, both `owner` or ids of accounts. */
  mayApprove(approver: string, asker: string): boolean
}

export interface StaffComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly clock: Clock
  readonly random: Random
}

/** Opens the accounts of an open vault. */
export async function openStaff(components: StaffComponents): Promise<Staff> {
  return new StaffStore(components, await components.records.collection('staff', staffRecord))
}

/** Whether the table gives an action to a role. */
export function mayDo(role: StaffRole, action: StaffAction): boolean {
  return PERMISSIONS[action].includes(role)
}

/** The owner of the locker, who has no account. */
const LOCKER_OWNER = 'owner'

class StaffStore implements Staff {
  readonly #components: StaffComponents
  readonly #staff: Collection<StaffRecord>

  constructor(components: StaffComponents, staff: Collection<StaffRecord>) {
    this.#components = components
    this.#staff = staff
  }

  list(): readonly StaffFacts[] {
    return [...this.#staff.entries()]
      .map(([id, record]) => factsOf(id, record))
      .toSorted((one, other) => one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1))
  }

  get(id: string): StaffFacts {
    return factsOf(id, this.#record(id))
  }

  async add(options: Parameters<Staff['add']>[0]): ReturnType<Staff['add']> {
    const { clock, random } = this.#components
    const { name, role, expiresAt, by = LOCKER_OWNER } = options
    const now = clock.now()
    if (expiresAt !== undefined && !(expiresAt.getTime() > now.getTime()))
      throw new LockerError('request-invalid', 'the account would be expired from the start')
    const { token, hash } = this.#newToken()
    const id = newRecordId(random)
    const record: StaffRecord = {
      name: cleanName(name),
      role: roleOf(role),
      createdAt: now.toISOString(),
      hash,
      ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() })
    }
    await this.#change('staff-added', id, by, (batch) => {
      this.#mustOutrank(by, record.role)
      if (this.#staff.size >= STAFF_MAX)
        throw new LockerError('request-invalid', `there are ${STAFF_MAX} accounts already`)
      this.#staff.put(batch, id, record)
      return record.role
    })
    return { facts: factsOf(id, record), token }
  }

  async change(
    id: string,
    options: { readonly name?: string; readonly role?: StaffRole } & ByStaff
  ): Promise<StaffFacts> {
    const { by = LOCKER_OWNER } = options
    await this.#change('staff-changed', id, by, (batch) => {
      const before = this.#record(id)
      const name = options.name === undefined ? before.name : cleanName(options.name)
      const role = options.role === undefined ? before.role : roleOf(options.role)
      this.#mustOutrank(by, before.role)
      this.#mustOutrank(by, role)
      this.#staff.put(batch, id, { ...before, name, role })
      return role
    })
    return this.get(id)
  }

  async replaceToken(id: string, { by = LOCKER_OWNER }: ByStaff = {}): ReturnType<Staff['add']> {
    const { token, hash } = this.#newToken()
    await this.#change('staff-changed', id, by, (batch) => {
      const before = this.#record(id)
      this.#mustOutrank(by, before.role)
      this.#staff.put(batch, id, { ...before, hash })
      return before.role
    })
    return { facts: this.get(id), token }
  }

  async remove(id: string, { by = LOCKER_OWNER }: ByStaff = {}): Promise<void> {
    await this.#change('staff-removed', id, by, (batch) => {
      const { role } = this.#record(id)
      this.#mustOutrank(by, role)
      this.#staff.delete(batch, id)
      return role
    })
  }

  check(token: string): StaffFacts | undefined {
    if (!TOKEN_TEXT.test(token)) return undefined
    const hash = hashOf(token)
    let found: [string, StaffRecord] | undefined
    // Every record is compared, found or not, so the time says nothing about how near a guess was.
    for (const entry of this.#staff.entries())
      if (timingSafeEqual(base64urlnopad.decode(entry[1].hash), hash)) found = entry
    if (found === undefined || this.#expired(found[1])) return undefined
    return factsOf(...found)
  }

  require(by: string, action: StaffAction): void {
    if (by === LOCKER_OWNER) return
    const record = this.#record(by)
    if (!mayDo(record.role, action) || this.#expired(record)) throw forbidden(record.role, action)
  }

  mayApprove(approver: string, asker: string): boolean {
    if (approver === asker) return false
    if (approver === LOCKER_OWNER) return true
    const record = this.#staff.get(approver)
    return (
      record !== undefined && !this.#expired(record) && mayDo(record.role, 'credentials:approve')
    )
  }

  async #change(
    action: 'staff-added' | 'staff-changed' | 'staff-removed',
    id: string,
    by: string,
    work: (batch: Batch) => StaffRole
  ): Promise<void> {
    const { records, audit } = this.#components
    await records.change((batch) => {
      this.require(by, 'staff:change')
      const role = work(batch)
      audit.append(batch, { action, actor: by, details: { staff: id, role } })
    })
  }

  /** An owner's account is an owner's business. */
  #mustOutrank(by: string, role: StaffRole): void {
    if (role !== 'owner' || by === LOCKER_OWNER) return
    const mine = this.#record(by).role
    if (mine !== 'owner') throw forbidden(mine, 'staff:change')
  }

  #expired({ expiresAt }: StaffRecord): boolean {
    const nowMs = this.#components.clock.now().getTime()
    return expiresAt !== undefined && nowMs >= Date.parse(expiresAt)
  }

  #record(id: string): StaffRecord {
    const record = this.#staff.get(id)
    if (record === undefined)
      throw new LockerError('staff-unknown', `no member of staff ${id.slice(0, 100)}`)
    return record
  }

  #newToken(): { token: string; hash: string } {
    const token = `els_${base64urlnopad.encode(this.#components.random(TOKEN_BYTES))}`
    return { token, hash: base64urlnopad.encode(hashOf(token)) }
  }
}

/** What came in as a role, from wherever. */
function roleOf(role: string): StaffRole {
  const known = STAFF_ROLES.find((each) => each === role)
  if (known === undefined)
    throw new LockerError('request-invalid', `a role is one of: ${STAFF_ROLES.join(', ')}`)
  return known
}

function forbidden(role: StaffRole, action: StaffAction): LockerError {
  return new LockerError('role-forbidden', `the role ${role} does not allow ${action} here`, {
    facts: { role, action }
  })
}

function hashOf(token: string): Uint8Array {
  return createHash('sha256').update(token, 'utf8').digest()
}

function factsOf(id: string, record: StaffRecord): StaffFacts {
  const { name, role, createdAt, expiresAt } = record
  return {
    id,
    name,
    role,
    scopes: STAFF_ACTIONS.filter((action) => mayDo(role, action)),
    createdAt,
    ...(expiresAt === undefined ? {} : { expiresAt })
  }
}
