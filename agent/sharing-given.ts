/**
 * The owner's side of sharing: giving, serving, taking back.
 *
 * **Taking back** is crash-safe in three steps (DESIGN §5.4): one batch refuses the grant, tells the
 * audience and marks the document; then its versions are sealed under new keys, and one batch puts them
 * in place and sends `replace` to the grants that stay; then the old blocks go. A crash in between leaves
 * the mark, and {@link GivenGrants.resume} finishes.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { newMessageId } from '../protocols/message.ts'
import type { PullProblem } from '../protocols/pull.ts'
import {
  sharingBodies,
  SHARING_NAME_CHARACTERS_MAX,
  type SharedResource
} from '../protocols/sharing.ts'
import type { Audit } from './audit.ts'
import type { Background } from './background.ts'
import type { Clock, Logger, PullAnswer, Random } from './components.ts'
import type { ContactDirectory, ContactFacts } from './contacts.ts'
import type { DocumentStore, SealedVersion } from './documents.ts'
import { LockerError } from './errors.ts'
import type { Batch, Records } from './records.ts'
import type { FetchNote, StandingGrant } from './standing-grants.ts'
import {
  type GrantFacts,
  type GrantThread,
  type Permission,
  type RequestFacts,
  resourceRecord,
  type Thread,
  type Threads
} from './sharing-threads.ts'

/** Live grants of one document: each gets a message when the document is sealed again. */
export const GRANTS_PER_DOCUMENT_MAX = 1000
/** Wait before sealing again is tried anew after it failed, milliseconds. */
const RESEAL_RETRY_MS = 60_000

export interface GivenComponents {
  readonly records: Records
  readonly audit: Audit
  readonly threads: Threads
  readonly documents: DocumentStore
  readonly contacts: Pick<ContactDirectory, 'get'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly background: Background
}

export interface GiveOptions {
  readonly document: string
  readonly to: string
  readonly purpose: string
  readonly permission?: Permission
  readonly expiresAt?: Date
  readonly request?: string
}

export class GivenGrants {
  readonly #components: GivenComponents
  /** Sealing again, by document: one after the other. */
  readonly #resealing = new Map<string, Promise<void>>()
  readonly #retries = new Map<string, () => void>()

  constructor(components: GivenComponents) {
    this.#components = components
    components.documents.onRemove((batch, document) => this.#documentRemoved(batch, document))
  }

  async give(options: GiveOptions): Promise<GrantFacts> {
    const { records, threads } = this.#components
    const thread = await records.change((batch) => this.#give(batch, options))
    return threads.grantFacts(threads.grant(thread.id, 'given'))
  }

  /** Resolves when the grant is refused and the document sealed again, or that has been put off by a fault. */
  async revoke(id: string, reason?: string): Promise<GrantFacts> {
    const { records, threads, documents } = this.#components
    const document = await records.change((batch) => {
      const thread = threads.grant(id, 'given')
      this.#end(batch, thread, reason)
      const { document: given } = thread.grant
      // Already deleted for good: there is nothing left to seal again.
      if (given === undefined || !isKnown(documents, given)) return undefined
      documents.markReseal(batch, given)
      return given
    })
    if (document !== undefined) await this.#reseal(document)
    return threads.grantFacts(threads.grant(id, 'given'))
  }

  async declineRequest(id: string, reason?: string): Promise<RequestFacts> {
    const { records, threads, audit } = this.#components
    const body = textBody('decline', reason)
    await records.change((batch) => {
      const thread = this.#request(id)
      threads.send(batch, thread, 'decline', body, body)
      audit.append(batch, {
        action: 'request-declined',
        actor: 'owner',
        details: { from: threads.contactOf(thread).name }
      })
    })
    const facts = threads.requestFacts(this.#request(id))
    if (facts === undefined) throw unknownRequest(id)
    return facts
  }

  /**
   * Whether a peer may fetch a grant's blocks now. The fetch is counted and recorded before this
   * resolves; when that cannot be written, the answer is no (DESIGN §9, fail closed).
   */
  async authorise(id: string, peerId: string): Promise<PullAnswer> {
    const { records, documents, threads, logger } = this.#components
    const early = this.#refusal(threads.get(id), peerId)
    if (early !== undefined) return early
    const failed = (problem: PullProblem, comment: string, error: unknown): PullAnswer => {
      logger.error('sharing-pull-not-authorised', { grant: id, problem, error: String(error) })
      return refuse(problem, comment)
    }
    let cids: ReadonlySet<string>
    try {
      cids = await documents.dag(threads.grant(id, 'given').grant.root)
    } catch (error) {
      return failed('e.p.pull.block-missing', 'the document is damaged at its owner', error)
    }
    try {
      return await records.change((batch) => this.#count(batch, id, peerId, cids))
    } catch (error) {
      return failed('e.p.pull.busy', 'the fetch could not be recorded', error)
    }
  }

  /** Whether a session that was opened before may go on. */
  allows(id: string, peerId: string, root: string): boolean {
    const thread = this.#components.threads.get(id)
    return this.#refusal(thread, peerId) === undefined && thread?.grant?.root === root
  }

  /** What may be served while the vault is sealed. */
  standing(): readonly StandingGrant[] {
    const { threads } = this.#components
    return [...threads.grants('given')]
      .filter((thread) => thread.state === 'accepted' && threads.isLive(thread))
      .map(({ id, peers, grant: { root, expiresAt } }) => ({ id, root, peers, expiresAt }))
  }

  /** Counts and logs a fetch that was served while the vault was sealed; no grant, no entry: it may have been forgotten. */
  async noteFetch({ grant: id, peer, time }: FetchNote): Promise<void> {
    const { records, threads } = this.#components
    await records.change((batch) => {
      const thread = threads.get(id)
      if (thread?.grant === undefined || thread.role !== 'owner') return
      this.#countFetch(batch, threads.grant(id, 'given'), peer, { time, whileSealed: true })
    })
  }

  /** A contact is being forgotten: what it was given ends, in one batch. */
  async contactRemoved(contact: ContactFacts): Promise<void> {
    const { records, threads, documents, background } = this.#components
    const marked = await records.change((batch) => {
      const given = new Set<string>()
      for (const thread of threads.grants('given'))
        if (thread.contact === contact.did && threads.isLive(thread)) {
          this.#end(batch, thread, 'contact removed')
          if (thread.grant.document !== undefined) given.add(thread.grant.document)
        }
      for (const document of given) documents.markReseal(batch, document)
      return given
    })
    for (const document of marked)
      background.run('sharing-reseal-failed', () => this.#reseal(document))
  }

  /** Finishes what a crash or a fault left undone. */
  resume(): void {
    const { documents, background } = this.#components
    for (const document of documents.pendingReseals())
      background.run('sharing-reseal-failed', () => this.#reseal(document))
  }

  close(): void {
    for (const cancel of this.#retries.values()) cancel()
    this.#retries.clear()
  }

  /** `replace` for a grant whose document was sealed again before the other side had answered. */
  replaceBody(thread: GrantThread): { resource: SharedResource; key: string } {
    const { document = '', version } = thread.grant
    return bodyOf(this.#components.documents.sealed(document, version))
  }

  #give(batch: Batch, options: GiveOptions): Thread {
    const { documents, contacts, threads, audit, clock, random } = this.#components
    const contact = contacts.get(options.to)
    const document = documents.get(options.document)
    if (document.trashedAt !== undefined)
      throw new LockerError('document-trashed', `document ${document.id} is in the trash`)
    const now = clock.now()
    const { purpose, permission = 'read', expiresAt } = options
    if (expiresAt !== undefined && !(expiresAt.getTime() > now.getTime()))
      throw new LockerError('request-invalid', 'the grant would be expired from the start')
    this.#mustHaveRoom(document.id)
    const request = options.request === undefined ? undefined : this.#answered(options, contact)
    const id = request?.id ?? newMessageId(random)
    const sealed = documents.sealed(document.id)
    const body = sharingBodies.grant.safeParse({
      grant_id: id,
      ...bodyOf(sealed),
      permission,
      purpose,
      ...(expiresAt === undefined ? {} : { valid_until: expiresAt.toISOString() })
    })
    if (!body.success)
      throw new LockerError('request-invalid', 'a purpose has 1 to 500 characters', {
        cause: body.error
      })
    const grant = {
      ...resourceRecord(body.data.resource),
      document: document.id,
      version: sealed.version,
      permission,
      purpose,
      createdAt: now.toISOString(),
      ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() }),
      fetches: 0
    }
    audit.append(batch, {
      action: 'grant-given',
      actor: 'owner',
      grant: id,
      document: { id: document.id, name: document.name },
      purpose,
      details: { to: contact.name, did: contact.did, permission }
    })
    if (request !== undefined)
      return threads.send(batch, request, 'grant', body.data, { grant }, expiresAt)
    const { did, name } = contact
    const opened = { id, role: 'owner' as const, contact: did, contactName: name, grant }
    return threads.open(batch, opened, 'grant', body.data, expiresAt)
  }

  #mustHaveRoom(document: string): void {
    const { threads } = this.#components
    let live = 0
    for (const thread of threads.grants('given'))
      if (thread.grant.document === document && threads.isLive(thread)) live += 1
    if (live >= GRANTS_PER_DOCUMENT_MAX)
      throw new LockerError(
        'request-invalid',
        `document ${document} has ${GRANTS_PER_DOCUMENT_MAX} live grants already`
      )
  }

  /** The request a grant answers; throws unless it is this contact's and waits for an answer. */
  #answered(options: GiveOptions, contact: ContactFacts): Thread {
    const thread = this.#request(options.request ?? '')
    if (thread.contact !== contact.did)
      throw new LockerError(
        'request-invalid',
        `request ${thread.id} came from another contact than ${contact.name}`
      )
    return thread
  }

  #request(id: string): Thread {
    const thread = this.#components.threads.get(id)
    if (thread === undefined || thread.request === undefined || thread.role !== 'owner')
      throw unknownRequest(id)
    return thread
  }

  /** Takes a grant back within the batch. */
  #end(batch: Batch, thread: GrantThread, reason: string | undefined): void {
    const { threads, audit } = this.#components
    const body = textBody('revoke', reason)
    threads.send(batch, thread, 'revoke', body, body)
    audit.append(batch, {
      ...entryOf(thread),
      action: 'grant-revoked',
      actor: 'owner',
      details: {
        to: threads.contactOf(thread).name,
        ...(reason === undefined ? {} : { reason })
      }
    })
  }

  #refusal(thread: Thread | undefined, peerId: string): (PullAnswer & { ok: false }) | undefined {
    const { threads } = this.#components
    if (thread === undefined || thread.role !== 'owner' || thread.grant === undefined)
      return refuse('e.p.pull.grant-unknown', 'no such grant')
    // Once an audience is named, others learn no more than that they are not in it.
    if (thread.peers.length > 0 && !thread.peers.includes(peerId))
      return refuse('e.p.pull.not-in-audience', 'this peer is not in the audience of the grant')
    if (thread.state === 'revoked') return refuse('e.p.pull.grant-revoked', 'the grant was revoked')
    if (thread.state === 'declined')
      return refuse('e.p.pull.grant-not-accepted', 'the grant was declined')
    if (!threads.isLive(thread)) return refuse('e.p.pull.grant-expired', 'the grant has expired')
    if (thread.state !== 'accepted')
      return refuse('e.p.pull.grant-not-accepted', 'the grant has not been accepted')
    return undefined
  }

  #count(batch: Batch, id: string, peerId: string, cids: ReadonlySet<string>): PullAnswer {
    const { threads, clock } = this.#components
    const thread = threads.get(id)
    // Looked at again: it may have been revoked while the block list was read.
    const refused = this.#refusal(thread, peerId)
    if (refused !== undefined) return refused
    const counted = threads.grant(id, 'given')
    const { root } = counted.grant
    this.#countFetch(batch, counted, peerId, { time: clock.now().toISOString() })
    const has = (cid: string): boolean => {
      if (!cids.has(cid)) return false
      // A session outlives the moment it was opened: revocation, expiry and a new root end it block by block.
      return this.allows(id, peerId, root)
    }
    return { ok: true, root, has }
  }

  #countFetch(
    batch: Batch,
    thread: GrantThread,
    peerId: string,
    { time, whileSealed }: { time: string; whileSealed?: boolean }
  ): void {
    const { threads, audit } = this.#components
    const fetches = thread.grant.fetches + 1
    threads.put(batch, { ...thread, grant: { ...thread.grant, fetches, lastFetchedAt: time } })
    audit.append(batch, {
      ...entryOf(thread),
      action: 'grant-fetched',
      actor: thread.contact,
      actorName: threads.contactOf(thread).name,
      // The entry's own time is that of the opening at which it was written.
      details: {
        peerId,
        fetch: fetches,
        ...(whileSealed === true ? { whileSealed, at: time } : {})
      }
    })
  }

  #documentRemoved(batch: Batch, document: string): void {
    const { threads, documents, background } = this.#components
    const given = [...threads.grants('given')].filter(
      (thread) => thread.grant.document === document && threads.isLive(thread)
    )
    for (const thread of given) this.#end(batch, thread, 'document removed')
    if (given.length === 0) return
    // It may come back from the trash. One deleted for good takes its mark and its key with it.
    documents.markReseal(batch, document)
    batch.afterwards(() => background.run('sharing-reseal-failed', () => this.#reseal(document)))
  }

  /** Seals a marked document again. A fault is logged and tried again: the grant is refused either way. */
  async #reseal(document: string): Promise<void> {
    const { documents, clock, logger, background } = this.#components
    const before = this.#resealing.get(document)
    const sealAgain = async (): Promise<void> => {
      await before
      if (!documents.pendingReseals().includes(document)) return
      try {
        await documents.reseal(document, (batch, sealed) =>
          this.#replaceLive(batch, document, sealed)
        )
      } catch (error) {
        logger.error('sharing-reseal-failed', { document, error: String(error) })
        this.#retries.get(document)?.()
        const again = (): void => {
          this.#retries.delete(document)
          background.run('sharing-reseal-failed', () => this.#reseal(document))
        }
        this.#retries.set(document, clock.after(RESEAL_RETRY_MS, again))
      }
    }
    const work = sealAgain()
    this.#resealing.set(document, work)
    await work
    if (this.#resealing.get(document) === work) this.#resealing.delete(document)
  }

  #replaceLive(batch: Batch, document: string, sealed: readonly SealedVersion[]): void {
    const { threads } = this.#components
    for (const thread of threads.grants('given')) {
      if (thread.grant.document !== document || !threads.isLive(thread)) continue
      const version = sealed.find((each) => each.version === thread.grant.version)
      if (version === undefined) continue
      const body = bodyOf(version)
      const grant = { ...thread.grant, ...resourceRecord(body.resource) }
      // The other side may see this before the grant itself: it is sent again once they accept.
      const replaced = thread.state === 'granted'
      threads.send(batch, thread, 'replace', body, { grant, replaced })
    }
  }
}

/** Body of a decline or revoke. Throws `request-invalid` for a reason that is too long. */
export function textBody(
  message: 'decline' | 'revoke',
  reason: string | undefined
): { reason?: string } {
  const body = sharingBodies[message].safeParse({ reason })
  if (!body.success)
    throw new LockerError('request-invalid', 'a reason has at most 500 characters', {
      cause: body.error
    })
  return reason === undefined ? {} : { reason }
}

function bodyOf(sealed: SealedVersion): { resource: SharedResource; key: string } {
  return {
    resource: {
      root: sealed.root,
      sealed_bytes: sealed.sealedBytes,
      size_bytes: sealed.sizeBytes,
      media_type: sealed.mediaType,
      name: sealed.name.slice(0, SHARING_NAME_CHARACTERS_MAX)
    },
    key: base64urlnopad.encode(sealed.fileKey)
  }
}

function refuse(problem: PullProblem, comment: string): PullAnswer & { ok: false } {
  return { ok: false, problem, comment }
}

function unknownRequest(id: string): LockerError {
  return new LockerError('inbox-unknown', `no request ${id.slice(0, 64)}`)
}

function entryOf(thread: GrantThread): {
  grant: string
  document: { id: string; name: string }
  purpose: string
} {
  const { document = '', name, purpose } = thread.grant
  return { grant: thread.id, document: { id: document, name }, purpose }
}

function isKnown(documents: Pick<DocumentStore, 'get'>, id: string): boolean {
  try {
    documents.get(id)
    return true
  } catch (error) {
    if (error instanceof LockerError && error.code === 'document-unknown') return false
    throw error
  }
}
