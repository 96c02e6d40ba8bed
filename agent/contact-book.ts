/**
 * The contact book: which DIDs belong to whom, and the owner's name for them.
 *
 * Sublevel `contacts`, one record a contact under a random id; sublevel `invitations`, one record an
 * invitation under the invitation's id. A contact is known by the DID it was first met with, `did`, which
 * never changes; when it rotates (DIDComm v2.1 "DID Rotation"), `currentDid` follows and the DID before it
 * is accepted for {@link FORMER_DID_MS} more, because messages overtake each other.
 *
 * @module
 */
import { z } from 'zod'
import type { Clock, Random } from './components.ts'
import type { ContactFacts, InvitationFacts } from './contacts.ts'
import { LockerError } from './errors.ts'
import { newRecordId } from './record-id.ts'
import type { Batch, Collection, Records } from './records.ts'
import { DID_CHARS_MAX, isDid } from '../protocols/did/document.ts'

/** Contacts of one locker; an institution that outgrows it takes another storage (DESIGN §10). */
const CONTACTS_MAX = 100_000

/** Invitations kept, used and unused. */
const INVITATIONS_MAX = 1_000

/** Longest name, in code points: what a list still shows on one line of a desktop. */
export const NAME_CODE_POINTS_MAX = 100

/** How long the DID before a rotation is still accepted, milliseconds: longer than a message usually waits. */
const FORMER_DID_MS = 24 * 3_600_000

/** Contacts whose last sign of life is stored in one batch. */
const SEEN_STORED_MAX = 5_000

/** Former DIDs remembered, for finding a contact by an old DID; the oldest go first. */
const FORMER_DIDS_MAX = 16

const someDid = z.string().max(DID_CHARS_MAX).refine(isDid)
const instant = z.iso.datetime()

const contactRecord = z.strictObject({
  did: someDid,
  currentDid: someDid,
  /** Theirs, before rotations: accepted until. */
  former: z.array(z.strictObject({ did: someDid, until: instant })).max(FORMER_DIDS_MAX),
  ourDid: someDid,
  /** Ours, before rotations: their keys are kept, messages to them still arrive. */
  ourFormer: z.array(z.strictObject({ did: someDid, since: instant })).max(FORMER_DIDS_MAX),
  /** Our rotation that they may not have heard of: the DID they know, and the JWT for every message until they write to `ourDid`. */
  fromPrior: z.exactOptional(z.strictObject({ did: someDid, jwt: z.string() })),
  name: z.string(),
  /** Whether the owner chose the name; a claimed name replaces only one that was not chosen. */
  named: z.boolean(),
  claimedName: z.exactOptional(z.string()),
  state: z.enum(['waiting', 'connected']),
  /** Why the other side does not want to be a contact. */
  problem: z.exactOptional(z.string().max(1000)),
  addedAt: instant,
  lastSeenAt: z.exactOptional(instant)
})

export type ContactRecord = Readonly<z.infer<typeof contactRecord>>

const invitationRecord = z.strictObject({
  url: z.string(),
  ourDid: someDid,
  /** What to call whoever answers. */
  name: z.exactOptional(z.string()),
  createdAt: instant,
  expiresAt: instant,
  /** Handle of who answered. */
  usedBy: z.exactOptional(someDid),
  cancelledAt: z.exactOptional(instant)
})

export type InvitationRecord = Readonly<z.infer<typeof invitationRecord>>

export interface ContactBookComponents {
  readonly records: Records
  readonly clock: Clock
  readonly random: Random
}

/** Reads both sublevels into memory. */
export async function openContactBook(components: ContactBookComponents): Promise<ContactBook> {
  const contacts = await components.records.collection('contacts', contactRecord)
  const invitations = await components.records.collection('invitations', invitationRecord)
  return new ContactBook(components, contacts, invitations)
}

export class ContactBook {
  readonly #clock: Clock
  readonly #random: Random
  readonly #contacts: Collection<ContactRecord>
  readonly #invitations: Collection<InvitationRecord>
  /** Every DID of theirs, present and former → record id. */
  readonly #byDid = new Map<string, string>()
  /** Every DID of ours, present and former → record id. */
  readonly #byOurDid = new Map<string, string>()
  readonly #byName = new Map<string, string>()
  readonly #invitationByDid = new Map<string, string>()
  /** Seen in this run, not yet stored: a message that changes nothing costs no write. */
  readonly #seen = new Map<string, string>()
  /** Records put in a batch that has not ended, so that two changes of one batch build on each other. */
  readonly #pending = new WeakMap<Batch, Map<string, ContactRecord>>()

  constructor(
    components: ContactBookComponents,
    contacts: Collection<ContactRecord>,
    invitations: Collection<InvitationRecord>
  ) {
    this.#clock = components.clock
    this.#random = components.random
    this.#contacts = contacts
    this.#invitations = invitations
    for (const [id, record] of contacts.entries()) this.#index(id, record)
    for (const [id, { ourDid }] of invitations.entries()) this.#invitationByDid.set(ourDid, id)
  }

  /** By name, without regard to case. */
  list(): readonly ContactFacts[] {
    return [...this.#contacts.entries()]
      .map(([, record]) => this.#facts(record))
      .toSorted((a, b) => (folded(a.name) < folded(b.name) ? -1 : 1))
  }

  /** By any DID of theirs, present or former. */
  record(did: string): ContactRecord | undefined {
    const id = this.#byDid.get(did)
    return id === undefined ? undefined : this.#contacts.get(id)
  }

  /** By any DID of ours, present or former. */
  recordByOurDid(ourDid: string): ContactRecord | undefined {
    const id = this.#byOurDid.get(ourDid)
    return id === undefined ? undefined : this.#contacts.get(id)
  }

  /** As {@link find}, and sees a contact that this batch adds. */
  findWithin(batch: Batch, did: string): ContactFacts | undefined {
    const added = [...(this.#pending.get(batch)?.values() ?? [])].find((each) => each.did === did)
    return this.find(did) ?? (added === undefined ? undefined : this.#facts(added))
  }

  find(did: string): ContactFacts | undefined {
    const record = this.record(did)
    return record === undefined ? undefined : this.#facts(record)
  }

  /** By DID, or by name without regard to case. Throws `contact-unknown`. */
  get(didOrName: string): ContactFacts {
    const byDid = this.find(didOrName)
    if (byDid !== undefined) return byDid
    const id = this.#byName.get(folded(didOrName))
    const record = id === undefined ? undefined : this.#contacts.get(id)
    if (record === undefined)
      throw new LockerError('contact-unknown', `no contact ${didOrName.slice(0, 100)}`)
    return this.#facts(record)
  }

  /**
   * Adds a contact. `name`: the owner's choice, already {@link cleanName}d; `claimedName`: theirs. Throws
   * `contact-exists` when the DID is known.
   */
  add(
    batch: Batch,
    facts: Pick<ContactRecord, 'did' | 'ourDid' | 'state'> & {
      name?: string | undefined
      lastSeenAt?: string
    }
  ): ContactFacts {
    if (this.#byDid.has(facts.did))
      throw new LockerError('contact-exists', `${facts.did} is a contact already`)
    if (this.#contacts.size >= CONTACTS_MAX)
      throw new LockerError('storage-full', `${CONTACTS_MAX} contacts`)
    const id = newRecordId(this.#random)
    const record: ContactRecord = {
      did: facts.did,
      currentDid: facts.did,
      former: [],
      ourDid: facts.ourDid,
      ourFormer: [],
      name: this.freeName(facts.name ?? UNNAMED),
      named: facts.name !== undefined,
      state: facts.state,
      addedAt: this.#clock.now().toISOString(),
      ...(facts.lastSeenAt === undefined ? {} : { lastSeenAt: facts.lastSeenAt })
    }
    this.#put(batch, id, record)
    return this.#facts(record)
  }

  /** Changes what is given. Returns the contact as it will be when the batch is durable. */
  change(
    batch: Batch,
    did: string,
    facts: Partial<Omit<ContactRecord, 'did' | 'addedAt' | 'fromPrior' | 'problem'>> & {
      fromPrior?: ContactRecord['fromPrior'] | undefined
      problem?: string | undefined
    }
  ): ContactFacts {
    const [id, record] = this.#within(batch, did)
    const { fromPrior, problem, ...rest } = { ...record, ...facts }
    const next: ContactRecord = {
      ...rest,
      ...(fromPrior === undefined ? {} : { fromPrior }),
      ...(problem === undefined ? {} : { problem })
    }
    this.#put(batch, id, next)
    return this.#facts(next)
  }

  remove(batch: Batch, did: string): void {
    const id = this.#byDid.get(did)
    const record = id === undefined ? undefined : this.#contacts.get(id)
    if (id === undefined || record === undefined)
      throw new LockerError('contact-unknown', `no contact ${did}`)
    this.#contacts.delete(batch, id)
    batch.afterwards(() => {
      this.#unindex(record)
      this.#seen.delete(record.did)
    })
  }

  /** The contact follows to its new DID. The caller has verified `from_prior`. */
  rotated(batch: Batch, did: string, newDid: string): ContactFacts {
    const [, record] = this.#within(batch, did)
    const until = new Date(this.#clock.now().getTime() + FORMER_DID_MS).toISOString()
    const former = [{ did: record.currentDid, until }, ...record.former].slice(0, FORMER_DIDS_MAX)
    return this.change(batch, did, { currentDid: newDid, former })
  }

  /** Whether a message from this DID of the contact is still accepted: the present one, or a former one in its grace. */
  accepts(record: ContactRecord, did: string): boolean {
    if (did === record.currentDid) return true
    const nowMs = this.#clock.now().getTime()
    return record.former.some((each) => each.did === did && Date.parse(each.until) > nowMs)
  }

  /** The contact was heard of just now. Kept in memory; stored with the contact's next change. */
  seen(did: string): void {
    const record = this.record(did)
    if (record !== undefined) this.#seen.set(record.did, this.#clock.now().toISOString())
  }

  /** Stores when contacts were heard of since their records were last stored, at most {@link SEEN_STORED_MAX} of them. */
  storeSeen(batch: Batch): void {
    for (const [did, lastSeenAt] of [...this.#seen].slice(0, SEEN_STORED_MAX))
      this.change(batch, did, { lastSeenAt })
  }

  /** A name nobody has: the wanted one, or with ` (2)`, ` (3)` … behind it. `except`: whose own name is free. */
  freeName(wanted: string, except?: string): string {
    const own = except === undefined ? undefined : this.#byDid.get(except)
    const taken = (name: string): boolean => {
      const id = this.#byName.get(folded(name))
      return id !== undefined && id !== own
    }
    let name = wanted
    for (let number = 2; taken(name); number += 1) {
      const suffix = ` (${number})`
      name =
        Array.from(wanted)
          .slice(0, NAME_CODE_POINTS_MAX - suffix.length)
          .join('') + suffix
    }
    return name
  }

  invitations(): readonly InvitationFacts[] {
    return [...this.#invitations.entries()]
      .filter(([, record]) => record.cancelledAt === undefined)
      .toSorted(([, a], [, b]) => (a.createdAt < b.createdAt ? 1 : -1))
      .map(([id, record]) => invitationFacts(id, record))
  }

  invitation(id: string): InvitationRecord | undefined {
    return this.#invitations.get(id)
  }

  /** The invitation that offered this DID of ours. */
  invitationByDid(ourDid: string): { id: string; record: InvitationRecord } | undefined {
    const id = this.#invitationByDid.get(ourDid)
    const record = id === undefined ? undefined : this.#invitations.get(id)
    return id === undefined || record === undefined ? undefined : { id, record }
  }

  /** Throws `storage-full` beyond {@link INVITATIONS_MAX}. */
  putInvitation(batch: Batch, id: string, record: InvitationRecord): InvitationFacts {
    if (this.#invitations.get(id) === undefined && this.#invitations.size >= INVITATIONS_MAX)
      throw new LockerError('storage-full', `${INVITATIONS_MAX} invitations; cancel some`)
    this.#invitations.put(batch, id, record)
    batch.afterwards(() => this.#invitationByDid.set(record.ourDid, id))
    return invitationFacts(id, record)
  }

  deleteInvitation(batch: Batch, id: string): void {
    const record = this.#invitations.get(id)
    this.#invitations.delete(batch, id)
    batch.afterwards(() => {
      if (record !== undefined) this.#invitationByDid.delete(record.ourDid)
    })
  }

  /** Invitations that nobody can answer and that need not be explained to latecomers any more. */
  staleInvitations(olderThan: Date): ReadonlyArray<[id: string, record: InvitationRecord]> {
    const before = olderThan.toISOString()
    return [...this.#invitations.entries()].filter(([, { expiresAt }]) => expiresAt < before)
  }

  /** The record as this batch has it so far. Throws `contact-unknown`. */
  #within(batch: Batch, did: string): [id: string, record: ContactRecord] {
    const id = this.#byDid.get(did)
    const stored = id === undefined ? undefined : this.#contacts.get(id)
    if (id === undefined || stored === undefined)
      throw new LockerError('contact-unknown', `no contact ${did.slice(0, 200)}`)
    return [id, this.#pending.get(batch)?.get(id) ?? stored]
  }

  #put(batch: Batch, id: string, record: ContactRecord): void {
    const previous = this.#contacts.get(id)
    const seen = this.#seen.get(record.did)
    const stored =
      seen === undefined || seen < (record.lastSeenAt ?? '')
        ? record
        : { ...record, lastSeenAt: seen }
    this.#contacts.put(batch, id, stored)
    const pending = this.#pending.get(batch) ?? new Map<string, ContactRecord>()
    this.#pending.set(batch, pending.set(id, stored))
    batch.afterwards(() => {
      // The index holds what the last put of the batch says; an earlier one of it leaves nothing behind.
      for (const old of [previous, record]) if (old !== undefined) this.#unindex(old)
      const now = this.#contacts.get(id)
      if (now !== undefined) this.#index(id, now)
      if (this.#seen.get(record.did) === stored.lastSeenAt) this.#seen.delete(record.did)
    })
  }

  #index(id: string, record: ContactRecord): void {
    for (const did of theirDids(record)) this.#byDid.set(did, id)
    for (const did of ourDids(record)) this.#byOurDid.set(did, id)
    this.#byName.set(folded(record.name), id)
  }

  #unindex(record: ContactRecord): void {
    for (const did of theirDids(record)) this.#byDid.delete(did)
    for (const did of ourDids(record)) this.#byOurDid.delete(did)
    this.#byName.delete(folded(record.name))
  }

  #facts(record: ContactRecord): ContactFacts {
    const lastSeenAt = this.#seen.get(record.did) ?? record.lastSeenAt
    return {
      did: record.did,
      ...(record.currentDid === record.did ? {} : { currentDid: record.currentDid }),
      ourDid: record.ourDid,
      name: record.name,
      ...(record.claimedName === undefined ? {} : { claimedName: record.claimedName }),
      state: record.state,
      ...(record.problem === undefined ? {} : { problem: record.problem }),
      addedAt: record.addedAt,
      ...(lastSeenAt === undefined ? {} : { lastSeenAt })
    }
  }
}

/** What a contact is called until the owner or the contact itself gives a name. */
const UNNAMED = 'Contact'

/** The owner's name for a contact, or for themself, in the form it is stored. Throws `request-invalid`. */
export function cleanName(name: string): string {
  const clean = name.normalize('NFC').replaceAll(/\s+/gu, ' ').trim()
  if (clean === '') throw new LockerError('request-invalid', 'a name is empty')
  if (Array.from(clean).length > NAME_CODE_POINTS_MAX)
    throw new LockerError(
      'request-invalid',
      `a name of ${Array.from(clean).length} characters is over ${NAME_CODE_POINTS_MAX}`
    )
  // Controls, and the invisible characters that make one name look like another. Joiners stay: Indic
  // scripts, Persian and emoji need them.
  if (INVISIBLE.test(clean))
    throw new LockerError('request-invalid', 'a name holds control or direction characters')
  if (clean.toLowerCase().startsWith('did:'))
    throw new LockerError('request-invalid', 'a name that reads like a DID')
  return clean
}

/** What another party calls itself, made fit to be shown; `undefined` when nothing of it is. */
export function cleanClaimedName(name: string): string | undefined {
  const clean = name
    .toWellFormed()
    .normalize('NFC')
    .replaceAll(new RegExp(INVISIBLE, 'gu'), '')
    .replaceAll(/\s+/gu, ' ')
    .trim()
  const short = Array.from(clean).slice(0, NAME_CODE_POINTS_MAX).join('').trim()
  return short === '' || short.toLowerCase().startsWith('did:') ? undefined : short
}

/** Control, format, surrogate, private and unassigned characters, except the joiners U+200C and U+200D. */
const INVISIBLE = /(?![\u200C\u200D])\p{C}/u

/** The form in which two names are the same. */
function folded(name: string): string {
  return name.normalize('NFKC').toLowerCase()
}

function theirDids(record: ContactRecord): readonly string[] {
  return [record.did, record.currentDid, ...record.former.map((each) => each.did)]
}

function ourDids(record: ContactRecord): readonly string[] {
  return [record.ourDid, ...record.ourFormer.map((each) => each.did)]
}

function invitationFacts(id: string, record: InvitationRecord): InvitationFacts {
  return {
    id,
    url: record.url,
    expiresAt: record.expiresAt,
    ...(record.usedBy === undefined ? {} : { usedBy: record.usedBy })
  }
}
