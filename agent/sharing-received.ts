/**
 * The recipient's side of sharing: asking, accepting, opening, and letting go when a grant ends.
 *
 * @module
 */
import { newMessageId } from '../protocols/message.ts'
import { sharingBodies } from '../protocols/sharing.ts'
import type { Audit } from './audit.ts'
import type { Background } from './background.ts'
import type { Clock, Logger, Network, Random } from './components.ts'
import type { ContactDirectory, ContactFacts } from './contacts.ts'
import type { DocumentFacts, DocumentStore } from './documents.ts'
import { LockerError } from './errors.ts'
import type { Outbox, OutboxItem } from './outbox.ts'
import type { Records } from './records.ts'
import type { GrantReader, ReadOptions } from './sharing-fetch.ts'
import { textBody } from './sharing-given.ts'
import { PendingCopies } from './sharing-pending.ts'
import type { GrantFacts, GrantThread, RequestFacts, Threads } from './sharing-threads.ts'

/** Longest wait for the owner's agent to confirm an accept before the fetch is tried anyway, milliseconds. */
const CONFIRM_WAIT_MS = 5_000
/** Longest delay a Clock takes, milliseconds; a later expiry is looked at in between. */
const TIMER_MAX_MS = 2 ** 31 - 1

export interface ReceivedComponents {
  readonly records: Records
  readonly audit: Audit
  readonly threads: Threads
  readonly reader: GrantReader
  readonly documents: Pick<DocumentStore, 'open'>
  readonly contacts: Pick<ContactDirectory, 'get'>
  readonly outbox: Pick<Outbox, 'get' | 'onChange'>
  readonly network: Pick<Network, 'peerId'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly background: Background
  readonly changed: (kind: 'grant' | 'request', id: string) => void
  /** Has unreferenced blocks removed, soon. */
  readonly collect: () => void
}

export class ReceivedGrants {
  readonly #components: ReceivedComponents
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #copies: PendingCopies
  /** When the next grant expires, and what cancels the timer. */
  #next: { readonly atMs: number; readonly cancel: () => void } | undefined

  constructor(components: ReceivedComponents) {
    this.#components = components
    this.#copies = new PendingCopies({
      ...components,
      fetch: (id, signal) => this.#copy(id, { signal })
    })
    components.outbox.onChange((item) => this.#outboxChanged(item))
    components.threads.watch((id) => this.#arm(id))
  }

  async request(options: { from: string; wanted: string; purpose: string }): Promise<RequestFacts> {
    const { records, threads, contacts, audit, random } = this.#components
    const body = sharingBodies.request.safeParse({
      wanted: options.wanted,
      purpose: options.purpose
    })
    if (!body.success)
      throw new LockerError('request-invalid', 'what is wanted and why have 1 to 500 characters', {
        cause: body.error
      })
    const thread = await records.change((batch) => {
      const { did, name } = contacts.get(options.from)
      audit.append(batch, {
        action: 'request-sent',
        actor: 'owner',
        purpose: body.data.purpose,
        details: { to: name, did, wanted: body.data.wanted }
      })
      const opened = {
        id: newMessageId(random),
        role: 'recipient' as const,
        contact: did,
        contactName: name,
        request: body.data
      }
      return threads.open(batch, opened, 'request', body.data)
    })
    const facts = threads.requestFacts(thread)
    if (facts === undefined) throw new TypeError('a request without a request')
    return facts
  }

  async accept(
    id: string,
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void } = {}
  ): Promise<GrantFacts> {
    const { threads } = this.#components
    await this.#announce(id)
    const { grant } = threads.grant(id, 'received')
    if (grant.permission === 'copy' && grant.document === undefined)
      await this.#copies.attended(id, () => this.#copy(id, options)).catch(willFollow)
    return threads.grantFacts(threads.grant(id, 'received'))
  }

  /** Fetches the copies that were accepted and have not arrived. */
  begin(): void {
    this.#copies.resume()
  }

  /** A contact has shown up. */
  heard(contact: string): void {
    this.#copies.heard(contact)
  }

  /** Declines a grant, or hands an accepted one back; a copy already stored stays. */
  async decline(id: string, reason?: string): Promise<GrantFacts> {
    const { records, threads, audit, collect } = this.#components
    const body = textBody('decline', reason)
    await records.change((batch) => {
      const thread = threads.grant(id, 'received')
      const grant = { ...thread.grant, key: undefined }
      threads.send(batch, thread, 'decline', body, { ...body, grant })
      audit.append(batch, {
        action: 'grant-declined',
        actor: 'owner',
        grant: id,
        purpose: grant.purpose,
        details: { from: threads.contactOf(thread).name, name: grant.name }
      })
      batch.afterwards(collect)
    })
    return threads.grantFacts(threads.grant(id, 'received'))
  }

  async open(
    id: string,
    options: ReadOptions = {}
  ): Promise<{ facts: GrantFacts; content: AsyncIterable<Uint8Array<ArrayBuffer>> }> {
    const { threads, reader, documents } = this.#components
    const thread = threads.grant(id, 'received')
    const { document } = thread.grant
    if (document !== undefined) {
      // A stored copy is the owner's own: it opens without asking anyone, also after the grant has ended.
      const { content } = await documents.open(document, options)
      return { facts: threads.grantFacts(thread), content }
    }
    threads.mustBeAccepted(thread)
    await this.#announce(id)
    await this.#confirmed(id, options.signal)
    const content = await reader.open(id, options)
    return { facts: threads.grantFacts(threads.grant(id, 'received')), content }
  }

  /** The content to mend a damaged copy with; `undefined` when the grant gives nothing now. */
  async heal(
    facts: DocumentFacts
  ): Promise<{ content: AsyncIterable<Uint8Array<ArrayBuffer>> } | undefined> {
    const { threads, reader, logger } = this.#components
    const thread = threads.get(facts.source?.grant ?? '')
    if (thread?.state !== 'accepted' || !threads.isLive(thread)) return undefined
    try {
      await this.#announce(thread.id)
      await this.#confirmed(thread.id, undefined)
      return { content: await reader.source(thread.id) }
    } catch (error) {
      // The reading that asked will report the damage; this says why it could not be mended.
      logger.warn('sharing-heal-failed', { grant: thread.id, error: String(error) })
      return undefined
    }
  }

  /** A contact is being forgotten: what it gave can no longer be fetched. */
  async contactRemoved(contact: ContactFacts): Promise<void> {
    const { records, threads, collect } = this.#components
    await records.change((batch) => {
      for (const thread of threads.grants('received'))
        if (thread.contact === contact.did && threads.isLive(thread)) {
          const body = { reason: 'contact removed' }
          const grant = { ...thread.grant, key: undefined }
          threads.send(batch, thread, 'decline', body, { ...body, grant })
          batch.afterwards(collect)
        }
    })
  }

  /**
   * Drops the keys of grants that have ended by the clock, tells listeners of those that just did, and
   * sets the timer for the next one.
   */
  async sweep(): Promise<void> {
    const { records, threads, audit, collect } = this.#components
    const ended = [...threads.grants('received')].filter(
      (thread) => thread.grant.key !== undefined && !threads.isLive(thread)
    )
    if (ended.length > 0)
      await records.change((batch) => {
        for (const { id } of ended) {
          const now = threads.grant(id, 'received')
          if (threads.isLive(now)) continue
          threads.put(batch, { ...now, grant: { ...now.grant, key: undefined } })
          audit.append(batch, {
            action: 'grant-expired',
            actor: 'locker',
            grant: id,
            purpose: now.grant.purpose,
            details: { from: threads.contactOf(now).name, name: now.grant.name }
          })
        }
        batch.afterwards(collect)
      })
    for (const thread of threads.grants()) this.#armFor(thread)
  }

  close(): void {
    this.#copies.close()
    this.#next?.cancel()
    this.#next = undefined
    for (const waiting of this.#waiting.values()) for (const resolve of waiting) resolve()
    this.#waiting.clear()
  }

  async #copy(
    id: string,
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
  ): Promise<void> {
    await this.#announce(id)
    await this.#confirmed(id, options.signal)
    await this.#components.reader.copy(id, options)
  }

  /** Tells the owner's agent which PeerId will fetch; again when the locker has moved to another machine. */
  async #announce(id: string): Promise<void> {
    const { records, threads, audit, network } = this.#components
    await records.change((batch) => {
      const thread = threads.grant(id, 'received')
      const { peerId } = network
      const first = thread.state === 'granted'
      // Throws what the grant is instead: revoked, expired, declined.
      threads.mustBeAccepted(first ? { ...thread, state: 'accepted' } : thread)
      if (!first && thread.peers.includes(peerId)) return
      threads.send(batch, thread, 'accept', { peer_ids: [peerId] }, { peers: [peerId] })
      if (!first) return
      audit.append(batch, {
        action: 'grant-accepted',
        actor: 'owner',
        grant: id,
        purpose: thread.grant.purpose,
        details: { from: threads.contactOf(thread).name, name: thread.grant.name }
      })
    })
  }

  /**
   * Waits until the other agent has confirmed the accept, it cannot be delivered now, or time is up: a
   * fetch that overtakes its accept is refused.
   */
  async #confirmed(id: string, signal: AbortSignal | undefined): Promise<void> {
    const { outbox, clock, threads } = this.#components
    const message = threads.grant(id, 'received').lastMessage ?? ''
    const item = outbox.get(message)
    if (isSettled(item)) return
    const sentMs = Date.parse(item?.createdAt ?? '')
    // Sent long ago and never confirmed: the fetch itself will tell.
    if (item?.state === 'sent' && clock.now().getTime() - sentMs >= CONFIRM_WAIT_MS) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(message) ?? new Set()
    this.#waiting.set(message, waiting.add(resolve))
    const cancel = clock.after(CONFIRM_WAIT_MS, resolve)
    const abort = (): void => resolve()
    signal?.addEventListener('abort', abort, { once: true })
    await promise
    cancel()
    signal?.removeEventListener('abort', abort)
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(message)
    signal?.throwIfAborted()
  }

  #outboxChanged(item: OutboxItem): void {
    const { threads, changed } = this.#components
    if (isSettled(item)) for (const resolve of this.#waiting.get(item.id) ?? []) resolve()
    const id = item.thid ?? item.id
    const thread = threads.get(id)
    if (thread?.lastMessage !== item.id) return
    changed(thread.grant === undefined ? 'request' : 'grant', id)
  }

  #arm(id: string): void {
    const thread = this.#components.threads.get(id)
    if (thread?.grant !== undefined) this.#armFor({ ...thread, grant: thread.grant })
  }

  #armFor(thread: GrantThread): void {
    const { threads, clock } = this.#components
    const { expiresAt } = thread.grant
    if (expiresAt === undefined || !threads.isLive(thread)) return
    const atMs = Date.parse(expiresAt)
    if (this.#next !== undefined && this.#next.atMs <= atMs) return
    this.#next?.cancel()
    const delayMs = Math.min(Math.max(0, atMs - clock.now().getTime()), TIMER_MAX_MS)
    this.#next = { atMs, cancel: clock.after(delayMs, () => this.#timeIsUp(atMs)) }
  }

  #timeIsUp(atMs: number): void {
    const { threads, background, changed } = this.#components
    this.#next = undefined
    for (const thread of threads.grants())
      if (Date.parse(thread.grant.expiresAt ?? '') === atMs && !threads.isLive(thread))
        changed('grant', thread.id)
    background.run('sharing-sweep-failed', () => this.sweep())
  }
}

/** Whether waiting longer for this message changes nothing soon. */
function isSettled(item: OutboxItem | undefined): boolean {
  if (item === undefined || item.acknowledgedAt !== undefined) return true
  return item.state === 'failed' || (item.state === 'waiting' && item.attempts > 0)
}

/** An accepted copy whose owner is away is no failure for good, and the error says so. */
function willFollow(error: unknown): never {
  if (!(error instanceof LockerError) || error.code !== 'peer-unreachable') throw error
  throw new LockerError(
    error.code,
    `accepted; the copy follows by itself once the other agent can be reached (${error.message})`,
    { cause: error, facts: error.facts }
  )
}
