/**
 * Threads of issue-credential 3.0: one record a thread, for both roles, and what is told of it.
 *
 * | record     | key                      | holds                                                          |
 * |------------|--------------------------|----------------------------------------------------------------|
 * | `issuance` | the thread's id (`thid`) | role, state, contact, what was asked for, what was offered     |
 *
 * The state changes by the table of protocols/issuance.ts alone. A credential that has arrived stands in
 * the holder's record until it has been judged and stored, so that a crash in between loses nothing.
 *
 * @module
 */
import { z } from 'zod'
import { advance, type Direction } from '../protocols/exchange.ts'
import {
  CREDENTIAL_FORMATS,
  credentialOffer,
  credentialRequest,
  type CredentialOffer
} from '../protocols/issuance-attachments.ts'
import {
  endingOf,
  issuance as protocol,
  ISSUANCE_TEXT_CHARACTERS_MAX,
  issuanceMessageType,
  type IssuanceBodyName,
  type IssuanceMessage,
  type IssuanceRole,
  type IssuanceState
} from '../protocols/issuance.ts'
import { MESSAGE_BYTES_MAX, type Attachment } from '../protocols/message.ts'
import { REPORT_PROBLEM } from '../protocols/report-problem.ts'
import type { Clock } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import { LockerError } from './errors.ts'
import type { Outbox } from './outbox.ts'
import type { Batch, Collection, Records } from './records.ts'

/** How long a message of a thread is worth delivering, milliseconds: people are away, institutions take days. */
const ISSUANCE_MESSAGE_MS = 30 * 24 * 3_600_000

/**
 * Threads one contact may have opened here. Beyond it the oldest ended ones are forgotten; when none has
 * ended, the contact is refused.
 */
export const ISSUANCE_THREADS_PER_CONTACT_MAX = 1000

/** What a thread waits for from the owner of this locker, or from the issuer's staff. */
type Attention =
  | 'accept' // holder: an offer
  | 'choose' // issuer: no record fits by itself; a person says what to issue, or refuses
  | 'approve' // issuer: prepared, and a second person has to approve it
  | 'sign' // issuer: accepted, and a fault of ours kept it from being signed

export interface IssuanceFacts {
  /** The same on both sides. */
  readonly thid: string
  readonly role: IssuanceRole
  readonly state: IssuanceState
  /** How an abandoned thread ended. */
  readonly ending?: 'declined' | 'cancelled' | 'failed'
  /** Whether the ending was the other side's. */
  readonly endedByThem?: boolean
  /** Id of the kind of credential at its issuer. */
  readonly type: string
  readonly version?: string
  readonly with: { readonly did: string; readonly name: string }
  /** Whose message began it. */
  readonly openedBy: 'us' | 'them'
  readonly createdAt: string
  /** When it last changed. */
  readonly at: string
  /** When the issuer expects to be ready. */
  readonly expectedAt?: string
  /** The other's last comment, or why it ended. */
  readonly reason?: string
  /** What the holder filled in. */
  readonly form?: Readonly<Record<string, unknown>>
  /** What is offered; unsigned. */
  readonly offer?: CredentialOffer
  /** Issuer: how many records fit the form. */
  readonly candidates?: number
  /** Issuer: id of the issued credential. Holder: id of the document it is kept as. */
  readonly credentialId?: string
  readonly attention?: Attention
  /** Whether the last message to the other side has gone out; absent once the outbox has forgotten it. */
  readonly delivery?: 'waiting' | 'sent' | 'failed'
}

const instant = z.iso.datetime()
const text = z.string().max(ISSUANCE_TEXT_CHARACTERS_MAX)

/** A credential that has arrived and has not been stored. */
const arrived = z.strictObject({
  format: z.enum(CREDENTIAL_FORMATS),
  credential: z.string().max(MESSAGE_BYTES_MAX),
  /** JSON of the verification bundle. */
  bundle: z.exactOptional(z.string().max(MESSAGE_BYTES_MAX))
})
export type Arrived = z.infer<typeof arrived>

const threadRecord = z.strictObject({
  role: z.enum(['issuer', 'holder']),
  state: z.enum(['proposed', 'offered', 'requested', 'issued', 'done', 'abandoned']),
  /** The contact's handle, {@link ContactFacts.did}, and its name when the thread began. */
  contact: z.string().max(4096),
  contactName: z.string().max(256),
  createdAt: instant,
  changedAt: instant,
  openedByThem: z.boolean(),
  type: z.string().max(128),
  version: z.exactOptional(z.string().max(64)),
  request: z.exactOptional(credentialRequest),
  offer: z.exactOptional(credentialOffer),
  /** Issuer: the record in `issued`. */
  issued: z.exactOptional(z.string().max(64)),
  /** Issuer: the holder's DID, once its proof has held, and the key it was proven by (Multikey). */
  subject: z.exactOptional(z.string().max(4096)),
  subjectKey: z.exactOptional(z.string().max(256)),
  candidates: z.exactOptional(z.int().nonnegative()),
  attention: z.exactOptional(z.enum(['accept', 'choose', 'approve', 'sign'])),
  arrived: z.exactOptional(arrived),
  /** Holder: the document. */
  credential: z.exactOptional(z.string().max(64)),
  expectedAt: z.exactOptional(instant),
  reason: z.exactOptional(text),
  /** Code of the problem report that ended it, and whose it was. */
  problem: z.exactOptional(z.string().max(300)),
  endedByThem: z.exactOptional(z.boolean()),
  lastMessage: z.exactOptional(z.string().max(128))
})

export type ThreadRecord = z.infer<typeof threadRecord>
/** A thread as its record says. Not changed in place: {@link Threads.put} stores what became of it. */
export type Thread = ThreadRecord & { readonly id: string }

/** What a message takes along. */
export interface Outgoing {
  readonly body: Readonly<Record<string, unknown>>
  readonly attachments?: readonly Attachment[]
}

export interface ThreadsComponents {
  readonly records: Records
  readonly contacts: Pick<ContactDirectory, 'find'>
  readonly outbox: Pick<Outbox, 'enqueue' | 'get'>
  readonly clock: Clock
  /** Called after the change is durable. */
  readonly changed: (kind: 'issuance', thid: string) => void
}

/** Opens the threads of an open vault. */
export async function openThreads(components: ThreadsComponents): Promise<Threads> {
  return new Threads(components, await components.records.collection('issuance', threadRecord))
}

export class Threads {
  readonly #components: ThreadsComponents
  readonly #threads: Collection<ThreadRecord>

  constructor(components: ThreadsComponents, threads: Collection<ThreadRecord>) {
    this.#components = components
    this.#threads = threads
  }

  find(thid: string): Thread | undefined {
    const record = this.#threads.get(thid)
    return record === undefined ? undefined : { ...record, id: thid }
  }

  /** Throws `exchange-unknown`, and for a thread in the other role too when one is given. */
  get(thid: string, role?: IssuanceRole): Thread {
    const thread = this.find(thid)
    if (thread === undefined || (role !== undefined && thread.role !== role))
      throw new LockerError('exchange-unknown', `no issuance ${thid.slice(0, 64)}`)
    return thread
  }

  *all(): IterableIterator<Thread> {
    for (const [id, record] of this.#threads.entries()) yield { ...record, id }
  }

  /** The thread after one message; throws `exchange-state` when the table has no such row. */
  after(thread: Thread, direction: Direction, message: IssuanceMessage): Thread {
    const state = step(thread.role, thread.state, thread.id, direction, message)
    if (state === undefined)
      throw new LockerError(
        'exchange-state',
        `issuance ${thread.id} is ${thread.state}: it takes no ${message} now`,
        { facts: { state: thread.state } }
      )
    return { ...thread, state }
  }

  /** Sends one message of a thread and stores where that leads, in one batch. */
  send(
    batch: Batch,
    thread: Thread,
    message: IssuanceBodyName,
    { body, attachments }: Outgoing,
    changes: Partial<ThreadRecord> = {}
  ): Thread {
    const moved = this.after(thread, 'send', message)
    const lastMessage = this.#components.outbox.enqueue(batch, {
      to: thread.contact,
      type: issuanceMessageType(message),
      body,
      thid: thread.id,
      expiresAt: this.#expiresAt(),
      ...(attachments === undefined ? {} : { attachments })
    })
    return this.put(batch, { ...moved, ...changes, lastMessage })
  }

  /** Opens a thread by its first message, whose id is the thread's. `pthid`: the invitation it follows. */
  open(
    batch: Batch,
    thread: Omit<ThreadRecord, 'state' | 'openedByThem' | 'createdAt' | 'changedAt'> & {
      readonly id: string
    },
    message: 'propose-credential' | 'request-credential' | 'offer-credential',
    { body, attachments }: Outgoing,
    pthid?: string
  ): Thread {
    const state = step(thread.role, 'start', thread.id, 'send', message)
    if (state === undefined)
      throw new TypeError(`issue-credential 3.0 does not begin with ${message} by ${thread.role}`)
    this.#components.outbox.enqueue(batch, {
      id: thread.id,
      to: thread.contact,
      type: issuanceMessageType(message),
      body,
      expiresAt: this.#expiresAt(),
      ...(attachments === undefined ? {} : { attachments }),
      ...(pthid === undefined ? {} : { pthid })
    })
    const now = this.now()
    return this.put(batch, {
      ...thread,
      state,
      createdAt: now,
      changedAt: now,
      openedByThem: false,
      lastMessage: thread.id
    })
  }

  /** Ends a thread by a problem report; what only an open thread needs is dropped. */
  end(batch: Batch, thread: Thread, code: string, comment: string): Thread {
    const moved = this.after(thread, 'send', 'problem-report')
    const reason = comment.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX)
    const { contacts, outbox } = this.#components
    const lastMessage =
      // A contact that has been removed is told nothing more.
      contacts.find(thread.contact) === undefined
        ? undefined
        : outbox.enqueue(batch, {
            to: thread.contact,
            type: `${REPORT_PROBLEM}/problem-report`,
            body: { code, comment: reason },
            pthid: thread.id,
            expiresAt: this.#expiresAt()
          })
    return this.put(batch, {
      ...ended(moved),
      problem: code,
      endedByThem: false,
      ...(reason === '' ? {} : { reason }),
      ...(lastMessage === undefined ? {} : { lastMessage })
    })
  }

  /** Stores a thread as it stands; tells listeners once that is durable. */
  put(batch: Batch, thread: Thread): Thread {
    const { id, ...record } = thread
    this.#threads.put(batch, id, { ...record, changedAt: this.now() })
    batch.afterwards(() => this.#components.changed('issuance', id))
    return thread
  }

  /** Whether the contact may open another thread; forgets its oldest ended ones to make room. */
  makeRoom(batch: Batch, contact: string): boolean {
    const theirs = [...this.all()].filter((each) => each.openedByThem && each.contact === contact)
    const surplus = theirs.length + 1 - ISSUANCE_THREADS_PER_CONTACT_MAX
    if (surplus <= 0) return true
    const over = theirs
      .filter(({ state }) => isFinal(state))
      .toSorted((one, other) => one.changedAt.localeCompare(other.changedAt))
    if (over.length < surplus) return false
    for (const { id } of over.slice(0, surplus)) this.#threads.delete(batch, id)
    return true
  }

  facts(thread: Thread): IssuanceFacts {
    const { id, role, state, type, version, createdAt, changedAt, expectedAt, reason } = thread
    const { request, offer, candidates, attention, problem, endedByThem } = thread
    const credentialId = role === 'issuer' ? thread.issued : thread.credential
    return {
      thid: id,
      role,
      state,
      ...(problem === undefined ? {} : { ending: endingOf(problem) }),
      ...(endedByThem === undefined ? {} : { endedByThem }),
      type,
      ...(version === undefined ? {} : { version }),
      with: this.contactOf(thread),
      openedBy: thread.openedByThem ? 'them' : 'us',
      createdAt,
      at: changedAt,
      ...(expectedAt === undefined ? {} : { expectedAt }),
      ...(reason === undefined ? {} : { reason }),
      ...(request?.form === undefined ? {} : { form: request.form }),
      ...(offer === undefined ? {} : { offer }),
      ...(candidates === undefined ? {} : { candidates }),
      ...(credentialId === undefined ? {} : { credentialId }),
      ...(attention === undefined ? {} : { attention }),
      ...this.#delivery(thread)
    }
  }

  contactOf(thread: Thread): { did: string; name: string } {
    const contact = this.#components.contacts.find(thread.contact)
    return { did: thread.contact, name: contact?.name ?? thread.contactName }
  }

  #delivery(thread: Thread): { delivery?: 'waiting' | 'sent' | 'failed' } {
    const item =
      thread.lastMessage === undefined ? undefined : this.#components.outbox.get(thread.lastMessage)
    if (item === undefined) return {}
    return { delivery: item.state === 'sending' ? 'waiting' : item.state }
  }

  #expiresAt(): Date {
    return new Date(this.#components.clock.now().getTime() + ISSUANCE_MESSAGE_MS)
  }

  now(): string {
    return this.#components.clock.now().toISOString()
  }
}

/** The next state by the table, or `undefined` when it has no such row. */
export function step(
  role: IssuanceRole,
  state: IssuanceState,
  thid: string,
  direction: Direction,
  message: IssuanceMessage
): ThreadRecord['state'] | undefined {
  const outcome = advance(protocol, { thid, role, state }, direction, message)
  if (!outcome.ok || outcome.exchange.state === 'start') return undefined
  return outcome.exchange.state
}

/** No message is sent or taken any more. */
export function isFinal(state: IssuanceState): boolean {
  return !protocol.rules.some((row) => row[1] === state)
}

/** A thread without what only an open one needs. */
export function ended(thread: Thread): Thread {
  const { attention: _attention, arrived: _arrived, expectedAt: _expected, ...rest } = thread
  return rest
}

/** A thread that no longer waits for anybody here. */
export function attended(thread: Thread): Thread {
  const { attention: _attention, ...rest } = thread
  return rest
}
