/**
 * Issuance: credentials offered, asked for, signed, delivered, kept; both roles of issue-credential 3.0.
 *
 * | file                   | holds                                                                     |
 * |------------------------|---------------------------------------------------------------------------|
 * | issuance-threads.ts    | the record of a thread, its state by the protocol's table, the facts       |
 * | issuance-preparing.ts  | a wish against its type, the offer, the second person's approval          |
 * | issuance-signing.ts    | the signed credential in its format, and what goes along with it          |
 * | issuance-issuer.ts     | the issuer's side: offers, answers from the registry, signing             |
 * | issuance-status.ts     | suspended, reinstated, revoked, replaced                                  |
 * | issuance-holder.ts     | the holder's side: ask, accept, check, keep                               |
 * | issuance-material.ts   | verification bundles sent along, and judged with                          |
 * | issuance-check.ts      | what the holder checks                                                    |
 * | issued.ts              | the issuer's record of each credential                                    |
 * | credentials.ts         | the holder's record of each credential                                    |
 *
 * @module
 */
import type { JsonObject } from '../protocols/credential/json.ts'
import {
  CREDENTIAL_STATUS,
  readStatusNotice,
  REVOCATION_NOTIFICATION
} from '../protocols/credential-status.ts'
import {
  isIssuanceMessage,
  ISSUANCE_STATUS,
  ISSUANCE_TEXT_CHARACTERS_MAX,
  issuance as protocol,
  ISSUE_CREDENTIAL,
  type IssuanceBodyName,
  type IssuanceRole
} from '../protocols/issuance.ts'
import { readIssuance } from '../protocols/issuance-attachments.ts'
import { threadId } from '../protocols/sharing.ts'
import type { Audit } from './audit.ts'
import { Background } from './background.ts'
import type { Clock, Logger, Random } from './components.ts'
import type { ContactDirectory, ContactFacts, InvitationFacts } from './contacts.ts'
import type { CredentialStore } from './credentials.ts'
import type { CredentialTypes } from './credential-types.ts'
import type { DocumentStore } from './documents.ts'
import { LockerError } from './errors.ts'
import type { Exchanges, IncomingMessage, ProblemReport, Refusal } from './exchanges.ts'
import type { Identity } from './identity.ts'
import { HolderSide, type ProposeOptions } from './issuance-holder.ts'
import { IssuerSide, type Arrival, type ByAndWhy, type IssuedDirectly } from './issuance-issuer.ts'
import type { CredentialWish } from './issuance-preparing.ts'
import { bundler, judgeWith } from './issuance-material.ts'
import { StatusChanges, type StatusReason } from './issuance-status.ts'
import {
  isFinal,
  openThreads,
  step,
  type IssuanceFacts,
  type Thread,
  type Threads
} from './issuance-threads.ts'
import { isOpen, openIssued, type IssuedFacts, type IssuedRecords } from './issued.ts'
import type { Issuer } from './issuer.ts'
import type { Outbox } from './outbox.ts'
import type { Batch, Records } from './records.ts'
import type { Registry, RegistryRecord } from './registry.ts'
import type { Staff } from './staff.ts'
import type { StatusLists } from './status-lists.ts'

export type { IssuanceFacts } from './issuance-threads.ts'
export type { IssuedFacts } from './issued.ts'

/** Who may do what is the caller's to know (agent/staff.ts), but for who approves whose. */
export interface Issuance {
  /** Threads, the latest change first. `open`: those that have not ended. */
  list(options?: {
    readonly role?: IssuanceRole
    readonly open?: boolean
  }): readonly IssuanceFacts[]
  /** Throws `exchange-unknown`. */
  get(thid: string): IssuanceFacts

  /** As holder: asks a contact for a credential. Throws `contact-unknown`, `request-invalid`. */
  propose(options: ProposeOptions): Promise<IssuanceFacts>
  /** As {@link propose}, by a request, with which the standard lets a thread begin as well. */
  request(options: ProposeOptions): Promise<IssuanceFacts>
  /** As holder: answers an offer with what is wanted instead. Throws `exchange-unknown`, `exchange-state`, `request-invalid`. */
  counter(thid: string, options?: Partial<Omit<ProposeOptions, 'to'>>): Promise<IssuanceFacts>
  /** As holder: takes the offer. The credential is kept when it has arrived and been checked. Throws `exchange-unknown`, `exchange-state`. */
  accept(thid: string): Promise<IssuanceFacts>
  /** As holder: does not want the offer. Throws as {@link accept}, `request-invalid`. */
  decline(thid: string, reason?: string): Promise<IssuanceFacts>
  /** As holder: takes the own proposal or request back. Throws as {@link decline}. */
  cancel(thid: string, reason?: string): Promise<IssuanceFacts>

  /**
   * As issuer: prepares and offers a credential to a contact. Throws `issuer-absent`, `type-unknown`, `type-state`,
   * `claims-invalid` with `problems`, `request-invalid`, `contact-unknown`, `credential-state`.
   */
  offer(wish: CredentialWish & { readonly to: string }): Promise<IssuedFacts>
  /** As {@link offer}, to whoever answers the new invitation. `name`: what to call them. */
  offerByInvitation(
    wish: CredentialWish & { readonly name?: string; readonly expiresAt?: Date }
  ): Promise<{ readonly facts: IssuedFacts; readonly invitation: InvitationFacts }>
  /** Signs at once, without a thread: for a caller that delivers it. Throws as {@link offer}, `issuer-state`. */
  issue(wish: CredentialWish & { readonly subject?: string }): Promise<IssuedDirectly>
  /** The second person's yes. Throws `credential-unknown`, `credential-state`, `role-forbidden`. */
  approve(id: string, options?: { readonly by?: string }): Promise<IssuedFacts>
  /** Takes back what has not been signed. Throws `credential-unknown`, `credential-state`. */
  withdraw(id: string, options?: ByAndWhy): Promise<IssuedFacts>
  /** Tells the holder of an open thread that it takes longer, and until when. Throws `exchange-unknown`, `exchange-state`, `request-invalid`. */
  pending(
    thid: string,
    said?: { readonly expectedTime?: Date; readonly comment?: string }
  ): Promise<IssuanceFacts>
  /** What the registry has for the form of a thread. Throws `exchange-unknown`, `type-unknown`. */
  candidates(thid: string): Promise<readonly RegistryRecord[]>
  /** Answers a proposal with a record or with claims. Throws as {@link offer}, `exchange-state`, `record-unknown`. */
  deliver(
    thid: string,
    what: Omit<CredentialWish, 'type' | 'claims'> &
      ({ readonly record: string } | { readonly claims: JsonObject })
  ): Promise<IssuedFacts>
  /** Ends a thread as issuer. Throws `exchange-unknown`, `exchange-state`, `request-invalid`. */
  refuse(thid: string, options?: ByAndWhy): Promise<IssuanceFacts>
  /** Signs what was accepted and could not be signed then. Throws `exchange-state`, and what kept it from being signed. */
  sign(thid: string): Promise<IssuedFacts>
  /** A correction or renewal of an issued credential, offered to the same holder; the old one is void once the new one is signed. */
  replace(
    id: string,
    changes?: Partial<Omit<CredentialWish, 'type' | 'replaces'>>
  ): Promise<IssuedFacts>
  suspend(id: string, why?: StatusReason): Promise<IssuedFacts>
  reinstate(id: string, why?: StatusReason): Promise<IssuedFacts>
  revoke(id: string, why?: StatusReason): Promise<IssuedFacts>

  /** What was issued or is prepared, newest first. `series`: one credential with what replaced it. */
  issued(options?: {
    readonly type?: string
    readonly open?: boolean
    readonly series?: string
  }): readonly IssuedFacts[]
  /** Throws `credential-unknown`. */
  issuedCredential(id: string): IssuedFacts
  /** What was signed: JSON text, or a compact SD-JWT. Throws `credential-unknown`, `credential-state` before it is signed. */
  signedText(id: string): string
}

/** What the agent uses of issuance beside the owner's door. */
export interface IssuanceStore extends Issuance {
  /** Goes on with what a crash has interrupted. Called once, when the opening has succeeded. */
  begin(): void
  /** Resolves when no work is left in the background. */
  settled(): Promise<void>
  close(): Promise<void>
}

export interface IssuanceComponents {
  readonly records: Records
  readonly audit: Audit
  readonly contacts: ContactDirectory
  readonly exchanges: Exchanges
  readonly outbox: Outbox
  readonly identity: Identity
  readonly documents: DocumentStore
  readonly credentials: CredentialStore
  readonly issuer: Issuer
  readonly types: CredentialTypes
  readonly registry: Registry
  readonly statusLists: StatusLists
  readonly staff: Pick<Staff, 'mayApprove'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Base URL of the public gateway, without a trailing slash. */
  readonly baseUrl: () => string
  /** Called after a change is durable. */
  readonly changed: (kind: 'issuance' | 'issued', id: string) => void
}

/** Opens issuance on an open vault: registers the protocols of issuing and of status notices. */
export async function openIssuance(components: IssuanceComponents): Promise<IssuanceStore> {
  const { changed } = components
  const threads = await openThreads(components)
  const issued = await openIssued({ ...components, changed: (id) => changed('issued', id) })
  await repairLists(components, issued)
  return new AgentIssuance(components, threads, issued)
}

/** Status lists that lost entries get them back from what was issued, if all of that is there. */
async function repairLists(
  { records, statusLists, logger }: IssuanceComponents,
  issued: IssuedRecords
): Promise<void> {
  if (!statusLists.lost()) return
  const whole = !records.damaged.some(({ sublevel }) => sublevel === 'issued')
  if (whole)
    await statusLists.repair(
      [...issued.all()].flatMap(({ revocation, suspension, status }) => [
        { entry: revocation, set: status === 'revoked' || status === 'replaced' },
        { entry: suspension, set: status === 'suspended' }
      ])
    )
  logger.warn('status-lists-damaged', { repaired: whole })
}

/** Said to a contact that is being forgotten. */
const CONTACT_REMOVED = 'contact removed'

class AgentIssuance implements IssuanceStore {
  readonly #threads: Threads
  readonly #issued: IssuedRecords
  readonly #issuer: IssuerSide
  readonly #holder: HolderSide
  readonly #contacts: ContactDirectory
  readonly #background: Background

  constructor(components: IssuanceComponents, threads: Threads, issued: IssuedRecords) {
    const { exchanges, credentials, contacts, logger } = components
    const background = new Background(logger)
    const status = new StatusChanges({ ...components, issued })
    this.#threads = threads
    this.#issued = issued
    this.#contacts = contacts
    this.#background = background
    this.#issuer = new IssuerSide({
      ...components,
      threads,
      issued,
      status,
      bundles: bundler(components)
    })
    this.#holder = new HolderSide({
      ...components,
      threads,
      background,
      judge: judgeWith(components)
    })
    for (const piuri of [ISSUE_CREDENTIAL, ISSUANCE_STATUS])
      exchanges.handle(piuri, {
        roles: ['issuer', 'holder'],
        handler: (message, contact, batch) => this.#receive(piuri, message, contact, batch),
        // One thread, one ear: both protocols are of the same threads.
        ...(piuri === ISSUE_CREDENTIAL
          ? { problem: (report, contact, batch) => this.#problem(report, contact, batch) }
          : {})
      })
    for (const piuri of [REVOCATION_NOTIFICATION, CREDENTIAL_STATUS])
      exchanges.handle(piuri, {
        roles: ['issuer', 'holder'],
        handler: ({ name, body }, contact, batch) => {
          const notice = readStatusNotice(piuri, name, body)
          return notice === undefined
            ? invalid(`${name} is no notice of a status that is read here`)
            : credentials.told(batch, notice, contact)
        }
      })
    contacts.onRemove((contact) => this.#contactRemoved(contact))
    exchanges.onHeard((did) =>
      background.run('issuance-offer-failed', () => this.#issuer.awaited.heard(did))
    )
  }

  list(
    options: { readonly role?: IssuanceRole; readonly open?: boolean } = {}
  ): readonly IssuanceFacts[] {
    const { role, open } = options
    return [...this.#threads.all()]
      .filter((thread) => role === undefined || thread.role === role)
      .filter((thread) => open === undefined || open !== isFinal(thread.state))
      .map((thread) => this.#threads.facts(thread))
      .toSorted((one, other) => other.at.localeCompare(one.at))
  }

  get(thid: string): IssuanceFacts {
    return this.#threads.facts(this.#threads.get(thid))
  }

  propose(options: ProposeOptions): Promise<IssuanceFacts> {
    return this.#holder.propose(options)
  }

  request(options: ProposeOptions): Promise<IssuanceFacts> {
    return this.#holder.propose(options, 'request-credential')
  }

  counter(thid: string, options?: Partial<Omit<ProposeOptions, 'to'>>): Promise<IssuanceFacts> {
    return this.#holder.counter(thid, options)
  }

  accept(thid: string): Promise<IssuanceFacts> {
    return this.#holder.accept(thid)
  }

  decline(thid: string, reason?: string): Promise<IssuanceFacts> {
    return this.#holder.end(thid, 'declined', reason)
  }

  cancel(thid: string, reason?: string): Promise<IssuanceFacts> {
    return this.#holder.end(thid, 'cancelled', reason)
  }

  offer({ to, ...wish }: CredentialWish & { readonly to: string }): Promise<IssuedFacts> {
    return this.#issuer.offer(wish, to)
  }

  async offerByInvitation({
    name,
    expiresAt,
    ...wish
  }: CredentialWish & { readonly name?: string; readonly expiresAt?: Date }): Promise<{
    facts: IssuedFacts
    invitation: InvitationFacts
  }> {
    const invitation = await this.#contacts.invite({
      ...(name === undefined ? {} : { name }),
      ...(expiresAt === undefined ? {} : { expiresAt })
    })
    try {
      return { facts: await this.#issuer.offerTo(wish, invitation.id), invitation }
    } catch (error) {
      await this.#contacts.cancelInvitation(invitation.id)
      throw error
    }
  }

  issue({
    subject,
    ...wish
  }: CredentialWish & { readonly subject?: string }): Promise<IssuedDirectly> {
    return this.#issuer.issue(wish, subject)
  }

  approve(id: string, options: { readonly by?: string } = {}): Promise<IssuedFacts> {
    return this.#issuer.approve(id, options.by)
  }

  withdraw(id: string, options?: ByAndWhy): Promise<IssuedFacts> {
    return this.#issuer.withdraw(id, options)
  }

  async pending(
    thid: string,
    said: { readonly expectedTime?: Date; readonly comment?: string } = {}
  ): Promise<IssuanceFacts> {
    await this.#issuer.pending(thid, said)
    return this.get(thid)
  }

  candidates(thid: string): Promise<readonly RegistryRecord[]> {
    return this.#issuer.candidates(thid)
  }

  deliver(thid: string, what: Parameters<Issuance['deliver']>[1]): Promise<IssuedFacts> {
    return this.#issuer.deliver(thid, what)
  }

  async refuse(thid: string, options: ByAndWhy = {}): Promise<IssuanceFacts> {
    await this.#issuer.refuse(thid, options)
    return this.get(thid)
  }

  sign(thid: string): Promise<IssuedFacts> {
    return this.#issuer.sign(thid)
  }

  replace(id: string, changes?: Parameters<Issuance['replace']>[1]): Promise<IssuedFacts> {
    return this.#issuer.replace(id, changes)
  }

  suspend(id: string, why?: StatusReason): Promise<IssuedFacts> {
    return this.#issuer.suspend(id, why)
  }

  reinstate(id: string, why?: StatusReason): Promise<IssuedFacts> {
    return this.#issuer.reinstate(id, why)
  }

  revoke(id: string, why?: StatusReason): Promise<IssuedFacts> {
    return this.#issuer.revoke(id, why)
  }

  issued(
    options: { readonly type?: string; readonly open?: boolean; readonly series?: string } = {}
  ): readonly IssuedFacts[] {
    const { type, open, series } = options
    return [...this.#issued.all()]
      .filter((each) => type === undefined || each.type === type)
      .filter((each) => open === undefined || isOpen(each) === open)
      .filter((each) => series === undefined || each.series === series)
      .map((each) => this.#issued.facts(each))
      .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
  }

  issuedCredential(id: string): IssuedFacts {
    return this.#issued.facts(this.#issued.get(id))
  }

  signedText(id: string): string {
    const { signed, state } = this.#issued.get(id)
    if (signed !== undefined) return signed
    throw new LockerError(
      'credential-state',
      `credential ${id} is ${state}: it has not been signed`,
      {
        facts: { state }
      }
    )
  }

  begin(): void {
    this.#holder.resume()
    this.#background.run('issuance-offer-failed', () => this.#issuer.awaited.resume())
  }

  settled(): Promise<void> {
    return this.#background.settled()
  }

  async close(): Promise<void> {
    this.#holder.close()
    await this.#background.close()
  }

  /**
   * Checks a message in this order: its name, its thread's id, whose thread it is, the table, its body and attachments.
   * The first no is answered with a problem report and changes nothing.
   */
  async #receive(
    piuri: string,
    message: IncomingMessage,
    contact: ContactFacts,
    batch: Batch
  ): Promise<Refusal | undefined> {
    const { name } = message
    if (!isIssuanceMessage(piuri, name))
      return { problem: 'e.p.msg.unsupported', comment: `${piuri} has no such message` }
    if (!threadId.safeParse(message.thid).success)
      return invalid(`${name}: its thread id is not 8 to 64 unreserved characters`)
    const known = this.#threads.find(message.thid)
    // Another contact's thread is no thread of this one; the answer does not say that it exists.
    if (known !== undefined && known.contact !== contact.did) return unexpected(name, 'start')
    const before = known ?? this.#opened(message, contact)
    if (before === undefined) return unexpected(name, 'start')
    const from = known?.state ?? 'start'
    const state = step(before.role, from, before.id, 'receive', name)
    if (state === undefined) return unexpected(name, from)
    if (known === undefined && !this.#threads.makeRoom(batch, contact.did))
      return { problem: 'e.p.me.res.storage', comment: 'too many open issuances with this contact' }
    return this.#apply(name, message, { batch, contact, thread: { ...before, state } }, from)
  }

  async #apply(
    name: IssuanceBodyName,
    message: IncomingMessage,
    arrival: Arrival,
    from: string
  ): Promise<Refusal | undefined> {
    if (name === 'propose-credential') {
      const reading = readIssuance(name, message)
      return reading.ok ? this.#issuer.proposed(arrival, reading) : refusalOf(reading)
    }
    if (name === 'request-credential') {
      const reading = readIssuance(name, message)
      if (!reading.ok) return refusalOf(reading)
      return from === 'start'
        ? this.#issuer.proposed(arrival, reading)
        : this.#issuer.requested(arrival, reading)
    }
    if (name === 'offer-credential') {
      const reading = readIssuance(name, message)
      return reading.ok ? this.#holder.offered(arrival, reading) : refusalOf(reading)
    }
    if (name === 'issue-credential') {
      const reading = readIssuance(name, message)
      return reading.ok ? this.#holder.issued(arrival, reading) : refusalOf(reading)
    }
    if (name === 'pending') {
      const reading = readIssuance(name, message)
      return reading.ok ? this.#holder.pending(arrival, reading) : refusalOf(reading)
    }
    const reading = readIssuance(name, message)
    return reading.ok ? this.#issuer.acknowledged(arrival) : refusalOf(reading)
  }

  /** The other side ends a thread, or could not take our last message of it. */
  #problem(report: ProblemReport, contact: ContactFacts, batch: Batch): void {
    const thread = this.#threads.find(report.thid)
    if (thread === undefined || thread.contact !== contact.did) return
    const said = report.comment === '' ? report.code : report.comment
    const reason = said.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX)
    const { lastMessage } = thread
    // A late complaint about another message of the thread does not end it.
    if (report.ack.length > 0 && lastMessage !== undefined && !report.ack.includes(lastMessage))
      return
    // A warning is shown and changes nothing.
    if (!report.code.startsWith('e.')) {
      if (!isFinal(thread.state)) this.#threads.put(batch, { ...thread, reason })
      return
    }
    const state = step(thread.role, thread.state, thread.id, 'receive', 'problem-report')
    if (state === undefined) return
    const arrival = { batch, contact, thread: { ...thread, state } }
    if (thread.role === 'issuer') this.#issuer.ended(arrival, report, reason)
    else this.#holder.ended(arrival, report, reason)
  }

  /** A contact is being forgotten: what is open with it ends on both sides. */
  async #contactRemoved({ did }: ContactFacts): Promise<void> {
    const open = [...this.#threads.all()].filter(
      ({ contact, state }) => contact === did && !isFinal(state)
    )
    for (const { id, role, state } of open) {
      // What has been signed is out, and its holder may still say that it has come.
      if (role === 'issuer' && state === 'issued') continue
      if (role === 'issuer') await this.#issuer.cancel(id, CONTACT_REMOVED)
      else await this.#holder.end(id, 'cancelled', CONTACT_REMOVED)
    }
  }

  /** The thread a message opens: it must be the thread's first, so its id is the thread's. */
  #opened({ name, id, thid }: IncomingMessage, contact: ContactFacts): Thread | undefined {
    const opens = protocol.rules.find(
      ([, state, direction, message]) =>
        state === 'start' && direction === 'receive' && message === name
    )
    if (opens === undefined || thid !== id) return undefined
    return {
      id,
      role: opens[0],
      // Overwritten by the table's next state before anything is stored, as is the type by what the message says.
      state: 'proposed',
      type: '',
      contact: contact.did,
      contactName: contact.name,
      createdAt: this.#now(),
      changedAt: this.#now(),
      openedByThem: true
    }
  }

  #now(): string {
    return this.#threads.now()
  }
}

/** A refusal is remembered with the message's id, and so is these two members and no more. */
function refusalOf({ problem, comment }: Refusal): Refusal {
  return { problem, comment }
}

function invalid(comment: string): Refusal {
  return { problem: 'e.p.msg.invalid', comment: comment.slice(0, 300) }
}

function unexpected(name: string, state: string): Refusal {
  const open = protocol.rules.some((row) => row[1] === state)
  const comment = open ? `${name} is not expected in state ${state}` : `the issuance is ${state}`
  return { problem: 'e.p.msg.unexpected', comment }
}
