/**
 * Threads of share 1.0: one record a thread, for both roles, and what the owner is told of it.
 *
 * | record   | key                        | holds                                                          |
 * |----------|----------------------------|----------------------------------------------------------------|
 * | `shares` | the thread's id (`thid`)   | role, state, contact, what was asked, what was granted, uses   |
 *
 * The state changes by the table of protocols/sharing.ts alone; expiry is read off the clock and is in
 * no record. A received grant's file key is in the record only while the grant is live.
 *
 * @module
 */
import { z } from 'zod'
import { advance, type Direction } from '../protocols/exchange.ts'
import {
  sharing as protocol,
  SHARING_NAME_CHARACTERS_MAX,
  SHARING_PEERS_MAX,
  SHARING_TEXT_CHARACTERS_MAX,
  type SharedResource,
  type SharingMessage,
  type SharingRole,
  type SharingState
} from '../protocols/sharing.ts'
import type { Clock } from './components.ts'
import type { ContactDirectory, ContactFacts } from './contacts.ts'
import { LockerError } from './errors.ts'
import type { Outbox } from './outbox.ts'
import type { Batch, Collection, Records } from './records.ts'

export type Permission = 'read' | 'copy'

/** States of the share protocol (protocols/sharing.ts), and `expired`, which the clock decides. */
type GrantState = 'requested' | 'granted' | 'accepted' | 'declined' | 'revoked' | 'expired'

export interface GrantFacts {
  /** The thread's id; the same on both sides. */
  readonly id: string
  readonly direction: 'given' | 'received'
  readonly state: GrantState
  /** The other party. */
  readonly contact: { readonly did: string; readonly name: string }
  readonly document: {
    /** Ours: set on given grants, and on received copies once stored. */
    readonly id?: string
    readonly name: string
    readonly mediaType: string
    readonly sizeBytes: number
    readonly root: string
  }
  readonly permission: Permission
  readonly purpose: string
  readonly createdAt: string
  readonly expiresAt?: string
  /** Why it was declined or revoked, in the other's or our words. */
  readonly reason?: string
  /** Given: how often the blocks were fetched, and when last. */
  readonly fetches?: number
  readonly lastFetchedAt?: string
  /** Whether the last message to the other side has gone out; absent once the outbox has forgotten it. */
  readonly delivery?: 'waiting' | 'sent' | 'failed'
}

/** A contact asks for a document. */
export interface RequestFacts {
  readonly id: string
  readonly direction: 'sent' | 'received'
  /** `granted` however the grant went on; `expired` after 30 days without an answer. */
  readonly state: 'requested' | 'granted' | 'declined' | 'expired'
  readonly contact: { readonly did: string; readonly name: string }
  /** What is wanted, in the asker's words. */
  readonly wanted: string
  readonly purpose: string
  readonly createdAt: string
  readonly reason?: string
}

/** How long a request waits for an answer before it shows as expired, milliseconds. */
export const REQUEST_LIFETIME_MS = 30 * 24 * 3_600_000

/**
 * Threads one contact may have opened here. Beyond it the oldest ended ones are forgotten; when none has
 * ended, the contact is refused: memory must not be theirs to fill.
 */
export const THREADS_PER_CONTACT_MAX = 1000

const text = z.string().max(SHARING_TEXT_CHARACTERS_MAX)

const grantRecord = z.object({
  /** Owner: the document given. Recipient: the copy, once it is stored. */
  document: z.string().max(64).optional(),
  /** Owner: the version given. */
  version: z.int().positive().optional(),
  root: z.string().max(128),
  sealedBytes: z.int().positive(),
  sizeBytes: z.int().nonnegative(),
  mediaType: z.string().max(127),
  name: z.string().max(SHARING_NAME_CHARACTERS_MAX),
  /** Recipient: the file key, 16 bytes base64url, while the grant is live. */
  key: z.string().max(22).optional(),
  permission: z.enum(['read', 'copy']),
  purpose: text,
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().optional(),
  fetches: z.int().nonnegative(),
  lastFetchedAt: z.iso.datetime().optional()
})

const threadRecord = z.object({
  role: z.enum(['owner', 'recipient']),
  state: z.enum(['requested', 'granted', 'accepted', 'declined', 'revoked']),
  /** The contact's handle, {@link ContactFacts.did}. */
  contact: z.string().max(4096),
  /** Their name when the thread began: shown once the contact has been removed. */
  contactName: z.string().max(SHARING_NAME_CHARACTERS_MAX),
  createdAt: z.iso.datetime(),
  /** Whether the contact sent the message that opened the thread. */
  openedByThem: z.boolean(),
  request: z.object({ wanted: text, purpose: text }).optional(),
  grant: grantRecord.optional(),
  reason: text.optional(),
  /** PeerIds of the last accept: on the owner's side, who may fetch. */
  peers: z.array(z.string().max(128)).max(SHARING_PEERS_MAX),
  /** Id of the message that granted: a problem report about another one does not undo the grant. */
  grantMessage: z.string().max(128).optional(),
  /** Owner: sealed again before the other side had accepted. */
  replaced: z.boolean().optional(),
  /** Outbox id of the last message to the other side. */
  lastMessage: z.string().max(128).optional()
})

export type GrantRecord = z.infer<typeof grantRecord>
type ThreadRecord = z.infer<typeof threadRecord>

/** A thread as its record says. Not changed in place: {@link Threads.move} and {@link Threads.put} do. */
export type Thread = ThreadRecord & { readonly id: string }
/** A thread in which something has been granted. */
export type GrantThread = Thread & { readonly grant: GrantRecord }

export interface ThreadsComponents {
  readonly records: Records
  readonly contacts: Pick<ContactDirectory, 'find'>
  readonly outbox: Pick<Outbox, 'enqueue' | 'get'>
  readonly clock: Clock
  /** Called after the change is durable. */
  readonly changed: (kind: 'grant' | 'request', id: string) => void
}

/** Opens the threads of an open vault. */
export async function openThreads(components: ThreadsComponents): Promise<Threads> {
  return new Threads(components, await components.records.collection('shares', threadRecord))
}

export class Threads {
  readonly #components: ThreadsComponents
  readonly #threads: Collection<ThreadRecord>
  readonly #watchers = new Set<(id: string) => void>()

  constructor(components: ThreadsComponents, threads: Collection<ThreadRecord>) {
    this.#components = components
    this.#threads = threads
  }

  get(id: string): Thread | undefined {
    const record = this.#threads.get(id)
    return record === undefined ? undefined : { ...record, id }
  }

  *all(): IterableIterator<Thread> {
    for (const [id, record] of this.#threads.entries()) yield { ...record, id }
  }

  *grants(direction?: GrantFacts['direction']): IterableIterator<GrantThread> {
    for (const thread of this.all())
      if (isGrant(thread) && (direction === undefined || directionOf(thread) === direction))
        yield thread
  }

  /** Throws `grant-unknown`, and `grant-not-yours` when it goes the other way. */
  grant(id: string, direction?: GrantFacts['direction']): GrantThread {
    const thread = this.get(id)
    if (thread === undefined || !isGrant(thread))
      throw new LockerError('grant-unknown', `no grant ${id.slice(0, 64)}`)
    if (direction !== undefined && directionOf(thread) !== direction)
      throw new LockerError('grant-not-yours', `grant ${id} was ${directionOf(thread)}`)
    return thread
  }

  /** Whether the grant gives anything now: neither ended nor past its time. */
  isLive(thread: Thread): boolean {
    const going = thread.state === 'granted' || thread.state === 'accepted'
    return going && isGrant(thread) && !this.isExpired(thread)
  }

  isExpired(thread: GrantThread): boolean {
    const { expiresAt } = thread.grant
    return expiresAt !== undefined && this.#now() >= Date.parse(expiresAt)
  }

  /** Throws `grant-expired`, `grant-revoked` or `grant-state` unless the grant was accepted and is live. */
  mustBeAccepted(thread: GrantThread): void {
    const { id, state, reason, grant } = thread
    if (state === 'revoked')
      throw new LockerError('grant-revoked', `grant ${id} was revoked`, {
        facts: reason === undefined ? {} : { reason }
      })
    if (state === 'accepted' || state === 'granted')
      if (this.isExpired(thread))
        throw new LockerError('grant-expired', `grant ${id} expired at ${grant.expiresAt ?? ''}`)
    if (state !== 'accepted')
      throw new LockerError('grant-state', `grant ${id} is ${state}, not accepted`)
  }

  /** The thread after one message; throws `grant-state` when the table has no such row. */
  after(thread: Thread, direction: Direction, message: SharingMessage): Thread {
    const outcome = step(thread.role, thread.state, thread.id, direction, message)
    if (outcome === undefined)
      throw new LockerError(
        'grant-state',
        `share ${thread.id} is ${thread.state}: it takes no ${message} now`,
        { facts: { state: thread.state } }
      )
    return { ...thread, state: outcome }
  }

  /**
   * Sends one message of a thread and stores where that leads, in one batch.
   *
   * @param changes - Members to set beside the state.
   * @param expiresAt - When the message itself is of no use any more; the outbox's default when undefined.
   */
  send(
    batch: Batch,
    thread: Thread,
    message: Exclude<SharingMessage, 'problem-report'>,
    body: Readonly<Record<string, unknown>>,
    changes: Partial<ThreadRecord> = {},
    expiresAt?: Date
  ): Thread {
    const moved = this.after(thread, 'send', message)
    const lastMessage = this.#components.outbox.enqueue(batch, {
      to: thread.contact,
      type: `${protocol.piuri}/${message}`,
      body,
      thid: thread.id,
      ...(expiresAt === undefined ? {} : { expiresAt })
    })
    const grantMessage = message === 'grant' ? { grantMessage: lastMessage } : {}
    return this.put(batch, { ...moved, ...changes, ...grantMessage, lastMessage })
  }

  /** Opens a thread by its first message, whose id is the thread's. */
  open(
    batch: Batch,
    thread: Omit<ThreadRecord, 'state' | 'openedByThem' | 'createdAt' | 'peers'> & { id: string },
    message: 'request' | 'grant',
    body: Readonly<Record<string, unknown>>,
    expiresAt?: Date
  ): Thread {
    const state = step(thread.role, 'start', thread.id, 'send', message)
    if (state === undefined)
      throw new TypeError(`share 1.0 does not begin with ${message} by the ${thread.role}`)
    this.#components.outbox.enqueue(batch, {
      id: thread.id,
      to: thread.contact,
      type: `${protocol.piuri}/${message}`,
      body,
      ...(expiresAt === undefined ? {} : { expiresAt })
    })
    return this.put(batch, {
      ...thread,
      state,
      createdAt: this.#components.clock.now().toISOString(),
      openedByThem: false,
      peers: [],
      ...(message === 'grant' ? { grantMessage: thread.id } : {}),
      lastMessage: thread.id
    })
  }

  /** Stores a thread as it stands; tells listeners once that is durable. */
  put(batch: Batch, thread: Thread): Thread {
    const { id, ...record } = thread
    this.#threads.put(batch, id, record)
    const { changed } = this.#components
    batch.afterwards(() => {
      for (const watcher of this.#watchers) watcher(id)
      if (record.grant !== undefined) changed('grant', id)
      if (record.request !== undefined) changed('request', id)
    })
    return thread
  }

  /** Calls the listener after each durable change, with the thread's id; returns what ends that. */
  watch(listener: (id: string) => void): () => void {
    this.#watchers.add(listener)
    return () => this.#watchers.delete(listener)
  }

  /** Whether the contact may open another thread; forgets its oldest ended ones to make room. */
  makeRoom(batch: Batch, contact: string): boolean {
    const theirs = [...this.all()].filter((each) => each.openedByThem && each.contact === contact)
    const surplus = theirs.length + 1 - THREADS_PER_CONTACT_MAX
    if (surplus <= 0) return true
    const ended = theirs
      .filter((each) => !this.isLive(each) && this.requestFacts(each)?.state !== 'requested')
      // A copy's thread is what heals it.
      .filter((each) => each.grant?.document === undefined)
      .toSorted((one, other) => one.createdAt.localeCompare(other.createdAt))
    if (ended.length < surplus) return false
    for (const { id } of ended.slice(0, surplus)) this.#threads.delete(batch, id)
    return true
  }

  grantFacts(thread: GrantThread): GrantFacts {
    const { id, role, state, grant, reason } = thread
    const going = state === 'granted' || state === 'accepted'
    return {
      id,
      direction: directionOf(thread),
      state: going && this.isExpired(thread) ? 'expired' : state,
      contact: this.contactOf(thread),
      document: {
        ...(grant.document === undefined ? {} : { id: grant.document }),
        name: grant.name,
        mediaType: grant.mediaType,
        sizeBytes: grant.sizeBytes,
        root: grant.root
      },
      permission: grant.permission,
      purpose: grant.purpose,
      createdAt: grant.createdAt,
      ...(grant.expiresAt === undefined ? {} : { expiresAt: grant.expiresAt }),
      ...(reason === undefined ? {} : { reason }),
      ...(role === 'owner' ? { fetches: grant.fetches } : {}),
      ...(grant.lastFetchedAt === undefined ? {} : { lastFetchedAt: grant.lastFetchedAt }),
      ...this.#delivery(thread)
    }
  }

  /** `undefined` for a thread that began with a grant. */
  requestFacts(thread: Thread): RequestFacts | undefined {
    const { id, role, state, request, createdAt, reason } = thread
    if (request === undefined) return undefined
    const answered = thread.grant === undefined ? 'declined' : 'granted'
    const late = this.#now() >= Date.parse(createdAt) + REQUEST_LIFETIME_MS
    return {
      id,
      direction: role === 'recipient' ? 'sent' : 'received',
      state: state === 'requested' ? (late ? 'expired' : 'requested') : answered,
      contact: this.contactOf(thread),
      wanted: request.wanted,
      purpose: request.purpose,
      createdAt,
      ...(reason === undefined || answered === 'granted' ? {} : { reason })
    }
  }

  contactOf(thread: Thread): { did: string; name: string } {
    const contact: ContactFacts | undefined = this.#components.contacts.find(thread.contact)
    return { did: thread.contact, name: contact?.name ?? thread.contactName }
  }

  #delivery(thread: Thread): { delivery?: 'waiting' | 'sent' | 'failed' } {
    const item =
      thread.lastMessage === undefined ? undefined : this.#components.outbox.get(thread.lastMessage)
    if (item === undefined) return {}
    return { delivery: item.state === 'sending' ? 'waiting' : item.state }
  }

  #now(): number {
    return this.#components.clock.now().getTime()
  }
}

/** The next state by the table, or `undefined` when it has no such row. */
export function step(
  role: SharingRole,
  state: SharingState,
  thid: string,
  direction: Direction,
  message: SharingMessage
): ThreadRecord['state'] | undefined {
  const outcome = advance(protocol, { thid, role, state }, direction, message)
  if (!outcome.ok || outcome.exchange.state === 'start') return undefined
  return outcome.exchange.state
}

/** What a resource of a message becomes in a record. */
export function resourceRecord(
  resource: SharedResource
): Pick<GrantRecord, 'root' | 'sealedBytes' | 'sizeBytes' | 'mediaType' | 'name'> {
  return {
    root: resource.root,
    sealedBytes: resource.sealed_bytes,
    sizeBytes: resource.size_bytes,
    mediaType: resource.media_type,
    name: resource.name
  }
}

/** Whether something has been granted in the thread, ended or not. */
export function isGrant(thread: Thread): thread is GrantThread {
  return thread.grant !== undefined
}

function directionOf(thread: Thread): GrantFacts['direction'] {
  return thread.role === 'owner' ? 'given' : 'received'
}
