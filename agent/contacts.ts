/**
 * Contacts: the other parties, each under a pairwise DID and a name of the owner's choice.
 *
 * How two agents become contacts (out-of-band 2.0, trust-ping 2.0, user-profile 1.0):
 *
 * | inviter                                      |   | who accepts                                    |
 * |----------------------------------------------|---|------------------------------------------------|
 * | makes a DID and an invitation that names it  | → | (outside of any agent: URL, QR code)           |
 * |                                              |   | makes a DID, stores the contact as `waiting`   |
 * | stores the contact as `connected`, marks the | ← | ping and profile, `pthid` the invitation's id  |
 * | invitation used, in one batch                |   |                                                |
 * | ping-response and profile                    | → | `connected`                                    |
 *
 * @module
 */
import type { Asking } from './asking.ts'
import type { Audit } from './audit.ts'
import { Background } from './background.ts'
import type { Clock, Endpoint, Logger, Random } from './components.ts'
import {
  cleanClaimedName,
  cleanName,
  type ContactBook,
  type ContactRecord
} from './contact-book.ts'
import type { Delivery } from './delivery.ts'
import { LockerError } from './errors.ts'
import type { Answer, Introductions, OpenExchanges, ProblemReport, Refusal } from './exchanges.ts'
import type { Identity } from './identity.ts'
import type { Outbox } from './outbox.ts'
import type { Batch, Records } from './records.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { CLOCK_SKEW_MS, newMessageId } from '../protocols/message.ts'
import {
  GOAL_CONNECT,
  invitationUrl,
  OUT_OF_BAND,
  parseInvitationUrl,
  type Invitation
} from '../protocols/out-of-band.ts'
import { TRUST_PING } from '../protocols/trust-ping.ts'
import { profile, USER_PROFILE } from '../protocols/user-profile.ts'

/** How long an invitation is open when the owner does not say, and at most, milliseconds. */
export const INVITATION_MS = 7 * 24 * 3_600_000
export const INVITATION_MS_MAX = 90 * 24 * 3_600_000

/** How long an invitation is kept after its end, so that latecomers are told why, milliseconds. */
const INVITATION_KEPT_MS = 30 * 24 * 3_600_000

/** Contacts greeted at opening, and how far apart: a start must not look like a flood. */
const GREETED_MAX = 1_000
const GREETING_PAUSE_MS = 100

/** How long removing a contact waits for its last messages (a revocation) to go out, milliseconds. */
const FAREWELL_MS = 5_000

/** How long keys of a former DID of ours are kept, milliseconds: as long as others' outboxes keep trying, and a day. */
const OUR_FORMER_DID_MS = 8 * 24 * 3_600_000

export interface ContactFacts {
  /**
   * The DID they were first known by: the contact's handle everywhere in this agent, and it stays the
   * same when they rotate.
   */
  readonly did: string
  /** The DID they use now, when it is another. */
  readonly currentDid?: string
  /** Our pairwise DID for them. */
  readonly ourDid: string
  /** The owner's name for them; unique without regard to case. */
  readonly name: string
  /** What they call themselves; unproven. */
  readonly claimedName?: string
  /** `waiting`: our first message has not been answered. */
  readonly state: 'waiting' | 'connected'
  /** Why the other side refuses to be a contact, e.g. because the invitation has been used. */
  readonly problem?: string
  readonly addedAt: string
  readonly lastSeenAt?: string
}

export interface InvitationFacts {
  readonly id: string
  /** `http…/i?_oob=…`, out-of-band 2.0. */
  readonly url: string
  readonly expiresAt: string
  readonly usedBy?: string
}

export interface Contacts {
  list(): readonly ContactFacts[]
  /** By DID, or by name without regard to case. Throws `contact-unknown`, `contact-ambiguous`. */
  get(didOrName: string): ContactFacts
  rename(did: string, name: string): Promise<ContactFacts>
  /** Forgets the contact; live grants to it are revoked first. */
  remove(did: string): Promise<void>
  /** Round trip by trust-ping 2.0, in milliseconds. Throws `peer-unreachable` after 15 s. */
  ping(did: string): Promise<number>
  /** Protocols the other agent discloses (discover-features 2.0). */
  features(did: string): Promise<readonly string[]>
  /** A single-use invitation, 7 days by default. `name`: what to call whoever answers. */
  invite(options?: { name?: string; expiresAt?: Date }): Promise<InvitationFacts>
  invitations(): readonly InvitationFacts[]
  cancelInvitation(id: string): Promise<void>
  /** Accepts an invitation URL; the contact is stored at once, the other side learns of it when reachable. */
  accept(url: string, options?: { name?: string }): Promise<ContactFacts>
}

/** What the other features use of the contacts beside the owner's door. */
export interface ContactDirectory extends Contacts {
  /** By any DID the contact is or was known by; `undefined` when it is no contact. */
  find(did: string): ContactFacts | undefined
  /** Where the contact can be reached, libp2p first. Throws `contact-unknown`, `did-unresolvable`. */
  endpoints(did: string): Promise<readonly Endpoint[]>
  /** Called before a contact is forgotten, one hook after the other; a hook that throws stops the removal. */
  onRemove(hook: (contact: ContactFacts) => Promise<void>): void
}

export interface ContactsComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly book: ContactBook
  readonly identity: Identity
  readonly outbox: Outbox
  readonly delivery: Pick<Delivery, 'post'>
  readonly asking: Asking
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Where invitations are explained, without a trailing slash. */
  readonly baseUrl: () => string
  readonly ownerName: () => string
  /** A contact or an invitation has changed. */
  readonly changed: (id: string) => void
}

export class OpenContacts implements ContactDirectory, Introductions {
  readonly #components: ContactsComponents
  readonly #hooks: Array<(contact: ContactFacts) => Promise<void>> = []
  readonly #background: Background
  #cancelGreeting: () => void = () => {}
  #closed = false

  constructor(components: ContactsComponents) {
    this.#components = components
    this.#background = new Background(components.logger)
  }

  /** Registers user-profile 1.0; trust-ping is {@link Asking}'s. */
  register(exchanges: OpenExchanges): void {
    exchanges.handle(USER_PROFILE, {
      roles: ['sender', 'receiver'],
      handler: (message, contact, batch) => this.#profileReceived(message.body, contact, batch),
      problem: (report, contact, batch) => this.#refused(report, contact, batch)
    })
  }

  list(): readonly ContactFacts[] {
    return this.#components.book.list()
  }

  get(didOrName: string): ContactFacts {
    return this.#components.book.get(didOrName)
  }

  find(did: string): ContactFacts | undefined {
    return this.#components.book.find(did)
  }

  async endpoints(did: string): Promise<readonly Endpoint[]> {
    const record = this.#components.book.record(did)
    if (record === undefined) throw new LockerError('contact-unknown', `no contact ${did}`)
    return this.#components.identity.endpoints(record.currentDid)
  }

  onRemove(hook: (contact: ContactFacts) => Promise<void>): void {
    this.#hooks.push(hook)
  }

  async rename(did: string, name: string): Promise<ContactFacts> {
    const { audit, book, records } = this.#components
    const clean = cleanName(name)
    return records.change((batch) => {
      const contact = book.get(did)
      mustBeFree(book, clean, contact.did)
      audit.append(batch, { action: 'contact-renamed', actor: 'owner', details: of(contact) })
      this.#announce(batch, contact.did)
      return book.change(batch, contact.did, { name: clean, named: true })
    })
  }

  async remove(did: string): Promise<void> {
    const { audit, book, identity, outbox, records } = this.#components
    const contact = book.get(did)
    for (const hook of this.#hooks) await hook(contact)
    // What the hooks have queued (a revocation) gets its chance; the contact may be away for good.
    await outbox.drained(contact.did, FAREWELL_MS)
    await records.change((batch) => {
      const record = mustRecord(book, contact.did)
      outbox.drop(batch, contact.did)
      book.remove(batch, contact.did)
      for (const ours of [record.ourDid, ...record.ourFormer.map((each) => each.did)])
        identity.forget(batch, ours)
      audit.append(batch, { action: 'contact-removed', actor: 'owner', details: of(contact) })
      this.#announce(batch, contact.did)
    })
  }

  async ping(did: string): Promise<number> {
    return this.#components.asking.ping(this.get(did).did)
  }

  async features(did: string): Promise<readonly string[]> {
    return this.#components.asking.features(this.get(did).did)
  }

  async invite(options: { name?: string; expiresAt?: Date } = {}): Promise<InvitationFacts> {
    const { audit, baseUrl, book, clock, identity, random, records } = this.#components
    const now = clock.now()
    const name = options.name === undefined ? undefined : cleanName(options.name)
    const expiresAt = options.expiresAt ?? new Date(now.getTime() + INVITATION_MS)
    const aheadMs = expiresAt.getTime() - now.getTime()
    if (!(aheadMs > 0 && aheadMs <= INVITATION_MS_MAX))
      throw new LockerError('request-invalid', 'an invitation ends 1 second to 90 days from now')
    return records.change((batch) => {
      this.#forgetStale(batch)
      if (name !== undefined) mustBeFree(book, name)
      const id = newMessageId(random)
      const ourDid = identity.pairwise(batch)
      const message: Invitation = {
        type: `${OUT_OF_BAND}/invitation`,
        id,
        from: ourDid,
        created_time: Math.floor(now.getTime() / 1000),
        expires_time: Math.ceil(expiresAt.getTime() / 1000),
        body: { goal_code: GOAL_CONNECT, accept: ['didcomm/v2'] }
      }
      audit.append(batch, {
        action: 'invitation-created',
        actor: 'owner',
        details: { invitation: id }
      })
      this.#announce(batch, id)
      return book.putInvitation(batch, id, {
        url: invitationUrl(baseUrl(), message),
        ourDid,
        ...(name === undefined ? {} : { name }),
        createdAt: now.toISOString(),
        expiresAt: expiresAt.toISOString()
      })
    })
  }

  invitations(): readonly InvitationFacts[] {
    return this.#components.book.invitations()
  }

  async cancelInvitation(id: string): Promise<void> {
    const { audit, book, clock, records } = this.#components
    await records.change((batch) => {
      const record = book.invitation(id)
      if (record === undefined || record.cancelledAt !== undefined)
        throw new LockerError('not-found', `no invitation ${id.slice(0, 100)}`)
      if (record.usedBy !== undefined)
        throw new LockerError('invitation-used', `invitation ${id} has been answered`)
      // Kept, cancelled, so that whoever answers it is told instead of waiting.
      book.putInvitation(batch, id, { ...record, cancelledAt: clock.now().toISOString() })
      audit.append(batch, {
        action: 'invitation-cancelled',
        actor: 'owner',
        details: { invitation: id }
      })
      this.#announce(batch, id)
    })
  }

  async accept(url: string, options: { name?: string } = {}): Promise<ContactFacts> {
    const { audit, book, identity, outbox, records } = this.#components
    const name = options.name === undefined ? undefined : cleanName(options.name)
    const invitation = this.#readInvitation(url)
    const endpoints = await identity.endpoints(invitation.from)
    if (endpoints.length === 0)
      throw new LockerError('invitation-invalid', 'the invitation names no way to answer it')
    return records.change((batch) => {
      if (name !== undefined) mustBeFree(book, name)
      const contact = book.add(batch, {
        did: invitation.from,
        ourDid: identity.pairwise(batch),
        state: 'waiting',
        name
      })
      const expires = invitation.expires_time
      const opening = {
        to: contact.did,
        pthid: invitation.id,
        // Later than this the inviter would only refuse.
        ...(expires === undefined ? {} : { expiresAt: new Date(expires * 1000) })
      }
      outbox.enqueue(batch, {
        ...opening,
        type: `${TRUST_PING}/ping`,
        body: { response_requested: true }
      })
      outbox.enqueue(batch, { ...opening, ...this.#profile() })
      audit.append(batch, {
        action: 'contact-added',
        actor: 'owner',
        details: { ...of(contact), invitation: invitation.id }
      })
      this.#announce(batch, contact.did)
      return contact
    })
  }

  async admit(
    answer: Answer
  ): Promise<{ contact: ContactFacts } | { refusal: Refusal } | undefined> {
    const { audit, book, clock, logger, outbox, records } = this.#components
    return records.change((batch) => {
      // Another copy of the same message may have come first.
      const known = book.find(answer.from)
      if (known !== undefined) return known.ourDid === answer.to ? { contact: known } : undefined
      const found = book.invitationByDid(answer.to)
      // Only who has seen the invitation knows its id beside the DID.
      if (found === undefined || found.id !== answer.pthid) return undefined
      const { id, record } = found
      if (record.usedBy !== undefined)
        return refuse(
          'e.p.req.invitation-used',
          'the invitation has been answered by another party'
        )
      const endMs = Date.parse(record.expiresAt) + CLOCK_SKEW_MS
      if (record.cancelledAt !== undefined || clock.now().getTime() > endMs)
        return refuse('e.p.req.invitation-expired', 'the invitation is not open any more')
      const contact = book.add(batch, {
        did: answer.from,
        ourDid: answer.to,
        state: 'connected',
        name: record.name,
        lastSeenAt: clock.now().toISOString()
      })
      book.putInvitation(batch, id, { ...record, usedBy: contact.did })
      outbox.enqueue(batch, { to: contact.did, ...this.#profile() })
      audit.append(batch, {
        action: 'invitation-accepted',
        actor: contact.did,
        actorName: contact.name,
        details: { invitation: id }
      })
      batch.afterwards(() => logger.info('contact-added', { contact: contact.did }))
      this.#announce(batch, contact.did)
      return { contact }
    })
  }

  /** Tells every contact the owner's new name. */
  async announceProfile(): Promise<void> {
    const { outbox, records } = this.#components
    await records.change((batch) => {
      for (const contact of this.list().slice(0, GREETED_MAX))
        outbox.enqueue(batch, { to: contact.did, ...this.#profile() })
    })
  }

  /**
   * Run once the vault is open: moves to new DIDs where ours name a PeerId or URL that is not ours any more
   * (a locker restored on another machine), and lets contacts know that we are there, so that what waits in
   * their outboxes comes now.
   */
  start(): void {
    this.#background.run('contacts-not-greeted', async () => {
      await this.#rotateStale()
      this.#greet(this.list().slice(0, GREETED_MAX))
    })
  }

  /** Moves to a new DID for one contact (DIDComm v2.1 "DID Rotation"); they learn of it with the next message. */
  async rotate(did: string): Promise<ContactFacts> {
    return this.#components.records.change((batch) => this.#rotate(batch, did))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelGreeting()
    await this.#background.close()
  }

  /** Throws `invitation-invalid`, `invitation-expired`, `contact-exists`. */
  #readInvitation(url: string): Invitation {
    const { book, clock, identity } = this.#components
    const invitation = parsed(url)
    const endMs = (invitation.expires_time ?? Number.POSITIVE_INFINITY) * 1000
    if (clock.now().getTime() > endMs)
      throw new LockerError(
        'invitation-expired',
        `the invitation ended at ${new Date(endMs).toISOString()}`
      )
    if (identity.owns(invitation.from))
      throw new LockerError('invitation-invalid', 'the invitation is your own')
    const known = book.find(invitation.from)
    if (known !== undefined)
      throw new LockerError(
        'contact-exists',
        `the invitation is of ${known.name}, a contact already`
      )
    return invitation
  }

  #profile(): { type: string; body: Readonly<Record<string, unknown>> } {
    return {
      type: `${USER_PROFILE}/profile`,
      body: { profile: { displayName: this.#components.ownerName() }, send_back_yours: false }
    }
  }

  #profileReceived(body: unknown, contact: ContactFacts, batch: Batch): Refusal | undefined {
    const { audit, book, outbox } = this.#components
    const read = profile.safeParse(body)
    if (!read.success)
      return { problem: 'e.p.msg.invalid', comment: 'the body of profile breaks its schema' }
    if (read.data.send_back_yours) outbox.enqueue(batch, { to: contact.did, ...this.#profile() })
    const claimedName = cleanClaimedName(read.data.profile.displayName ?? '')
    if (claimedName === undefined || claimedName === contact.claimedName) return undefined
    const { named } = mustRecord(book, contact.did)
    const name = named ? contact.name : book.freeName(claimedName, contact.did)
    book.change(batch, contact.did, { claimedName, name })
    if (contact.claimedName !== undefined)
      audit.append(batch, {
        action: 'contact-changed',
        actor: contact.did,
        actorName: contact.name,
        details: { claimedName }
      })
    this.#announce(batch, contact.did)
    return undefined
  }

  /** The other side does not want to be a contact: the owner sees why. */
  #refused(report: ProblemReport, contact: ContactFacts, batch: Batch): void {
    if (contact.state !== 'waiting' || !report.code.startsWith('e.p.req.invitation-')) return
    const problem = `${report.code}: ${report.comment}`
    this.#components.book.change(batch, contact.did, { problem })
    this.#announce(batch, contact.did)
  }

  async #rotateStale(): Promise<void> {
    const { book, clock, identity, records } = this.#components
    const keptMs = clock.now().getTime() - OUR_FORMER_DID_MS
    for (const { did } of this.list()) {
      if (this.#closed) return
      const record = mustRecord(book, did)
      const old = record.ourFormer.filter(({ since }) => Date.parse(since) < keptMs)
      const stale = !identity.current(record.ourDid)
      if (old.length === 0 && !stale) continue
      await records.change((batch) => {
        for (const each of old) identity.forget(batch, each.did)
        const ourFormer = record.ourFormer.filter((each) => !old.includes(each))
        if (old.length > 0) book.change(batch, did, { ourFormer })
        if (stale) this.#rotate(batch, did)
      })
    }
  }

  #rotate(batch: Batch, did: string): ContactFacts {
    const { audit, book, clock, identity, logger } = this.#components
    const record = mustRecord(book, did)
    const newDid = identity.pairwise(batch)
    // They may not have heard of a rotation before this one: the oldest DID they can know speaks.
    const known = record.fromPrior?.did ?? record.ourDid
    const since = clock.now().toISOString()
    const ourFormer = [{ did: record.ourDid, since }, ...record.ourFormer]
    for (const dropped of ourFormer.slice(OUR_FORMER_MAX)) identity.forget(batch, dropped.did)
    audit.append(batch, {
      action: 'contact-changed',
      actor: 'locker',
      details: { contact: did, ourDid: newDid }
    })
    batch.afterwards(() => logger.info('did-rotated', { contact: did, from: record.ourDid }))
    return book.change(batch, did, {
      ourDid: newDid,
      ourFormer: ourFormer.slice(0, OUR_FORMER_MAX),
      fromPrior: { did: known, jwt: identity.fromPrior(known, newDid) }
    })
  }

  /** One greeting after the other; a contact for whom something waits needs none. */
  #greet(contacts: readonly ContactFacts[]): void {
    const [contact, ...others] = contacts
    if (contact === undefined || this.#closed) return
    const { book, clock, delivery, outbox } = this.#components
    const record = book.record(contact.did)
    if (record?.state === 'connected' && !outbox.waitsFor(contact.did))
      delivery.post(
        {
          type: `${TRUST_PING}/ping`,
          // An answer is the only way to know that a new DID of ours has been understood.
          body: { response_requested: record.fromPrior !== undefined }
        },
        { contact: contact.did }
      )
    this.#cancelGreeting = clock.after(GREETING_PAUSE_MS, () => this.#greet(others))
  }

  #forgetStale(batch: Batch): void {
    const { book, clock, identity } = this.#components
    const before = new Date(clock.now().getTime() - INVITATION_KEPT_MS)
    for (const [id, record] of book.staleInvitations(before)) {
      book.deleteInvitation(batch, id)
      if (book.recordByOurDid(record.ourDid) === undefined) identity.forget(batch, record.ourDid)
    }
  }

  #announce(batch: Batch, id: string): void {
    batch.afterwards(() => this.#components.changed(id))
  }
}

/** Former DIDs of ours whose keys are kept for one contact. */
const OUR_FORMER_MAX = 8

function parsed(url: string): Invitation {
  try {
    return parseInvitationUrl(url)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new LockerError('invitation-invalid', cause.message, { cause })
  }
}

function mustRecord(book: ContactBook, did: string): ContactRecord {
  const record = book.record(did)
  if (record === undefined) throw new LockerError('contact-unknown', `no contact ${did}`)
  return record
}

/** A name the owner chooses is taken as it is or not at all; only claimed names get a number. */
function mustBeFree(book: ContactBook, name: string, except?: string): void {
  if (book.freeName(name, except) !== name)
    throw new LockerError('contact-exists', `another contact is called ${name}`)
}

function of(contact: ContactFacts): { contact: string; name: string } {
  return { contact: contact.did, name: contact.name }
}

function refuse(problem: string, comment: string): { refusal: Refusal } {
  return { refusal: { problem, comment } }
}
