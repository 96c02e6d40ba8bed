/**
 * Messages of share 1.0 as they come in. Every one is checked in this order, and the first no is
 * answered with a problem report that changes nothing: its name, its thread's id, its body, whose thread
 * it is, the table.
 *
 * @module
 */
import { z } from 'zod'
import {
  isSharingMessage,
  sharing as protocol,
  sharingBodies,
  SHARING_TEXT_CHARACTERS_MAX,
  threadId,
  type AcceptBody,
  type GrantBody,
  type ReplaceBody,
  type RequestBody,
  type SharingBodyName
} from '../protocols/sharing.ts'
import type { Audit, AuditAction } from './audit.ts'
import type { Clock } from './components.ts'
import type { ContactFacts } from './contacts.ts'
import type { IncomingMessage, ProblemReport, Refusal } from './exchanges.ts'
import type { Batch } from './records.ts'
import type { GivenGrants } from './sharing-given.ts'
import {
  isGrant,
  resourceRecord,
  step,
  type GrantThread,
  type Thread,
  type Threads
} from './sharing-threads.ts'

export interface InboundComponents {
  readonly threads: Threads
  readonly audit: Audit
  readonly given: Pick<GivenGrants, 'replaceBody'>
  readonly clock: Clock
  /** Has unreferenced blocks removed, soon. */
  readonly collect: () => void
}

/** What a checked message is applied to. */
interface Arrival {
  readonly batch: Batch
  readonly contact: ContactFacts
  /** The thread in the state the message leads to. */
  readonly thread: Thread
  readonly body: unknown
}

export class InboundSharing {
  readonly #components: InboundComponents

  constructor(components: InboundComponents) {
    this.#components = components
  }

  /** Puts a message's effect into the batch, or says why not. */
  receive(message: IncomingMessage, contact: ContactFacts, batch: Batch): Refusal | undefined {
    const { threads } = this.#components
    const { name } = message
    if (!isSharingMessage(name))
      return { problem: 'e.p.msg.unsupported', comment: 'share 1.0 has no such message' }
    const id = threadId.safeParse(message.thid)
    if (!id.success) return invalid(name, 'its thread id is not 8 to 64 unreserved characters')
    const body = sharingBodies[name].safeParse(message.body)
    if (!body.success) return invalid(name, z.prettifyError(body.error).replaceAll('\n', '; '))
    if (name === 'grant') {
      const { grant_id: named } = sharingBodies.grant.parse(message.body)
      if (named !== undefined && named !== id.data)
        return invalid(name, 'grant_id is not the id of the thread')
    }
    const known = threads.get(id.data)
    // Another contact's thread is no thread of this one; the answer does not say that it exists.
    if (known !== undefined && known.contact !== contact.did) return unexpected(name, 'start')
    const thread = known ?? this.#opened(message, contact)
    if (thread === undefined) return unexpected(name, 'start')
    const before = known?.state ?? 'start'
    const state = step(thread.role, before, thread.id, 'receive', name)
    if (state === undefined) return unexpected(name, before)
    if (known === undefined && !threads.makeRoom(batch, contact.did))
      return { problem: 'e.p.me.res.storage', comment: 'too many open shares with this contact' }
    this.#apply(name, { batch, contact, thread: { ...thread, state }, body: body.data })
    return undefined
  }

  /** The other agent could not take our grant or request. */
  problem(report: ProblemReport, contact: ContactFacts, batch: Batch): void {
    const { threads } = this.#components
    const thread = threads.get(report.thid)
    if (thread === undefined || thread.contact !== contact.did) return
    if (!report.code.startsWith('e.')) return
    // A late complaint about another message of the thread does not undo what was granted.
    const about = thread.role === 'owner' ? thread.grantMessage : thread.id
    if (report.ack.length > 0 && about !== undefined && !report.ack.includes(about)) return
    const state = step(thread.role, thread.state, thread.id, 'receive', 'problem-report')
    if (state === undefined) return
    const reason = (report.comment === '' ? report.code : report.comment).slice(
      0,
      SHARING_TEXT_CHARACTERS_MAX
    )
    threads.put(batch, { ...thread, state, reason })
    const action = thread.role === 'owner' ? 'grant-declined' : 'request-declined'
    this.#note(batch, contact, thread, action, { problem: report.code, reason })
  }

  /** The thread a message opens: it must be the thread's first, so its id is the thread's. */
  #opened(message: IncomingMessage, contact: ContactFacts): Thread | undefined {
    const opens = message.name === 'request' || message.name === 'grant'
    if (!opens || message.thid !== message.id) return undefined
    return {
      id: message.thid,
      role: message.name === 'request' ? 'owner' : 'recipient',
      // Overwritten by the table's next state before anything is stored.
      state: 'requested',
      contact: contact.did,
      contactName: contact.name,
      createdAt: this.#components.clock.now().toISOString(),
      openedByThem: true,
      peers: []
    }
  }

  #apply(name: SharingBodyName, arrival: Arrival): void {
    switch (name) {
      case 'request':
        return this.#request(arrival, sharingBodies.request.parse(arrival.body))
      case 'grant':
        return this.#grant(arrival, sharingBodies.grant.parse(arrival.body))
      case 'accept':
        return this.#accept(arrival, sharingBodies.accept.parse(arrival.body))
      case 'decline':
        return this.#decline(arrival, sharingBodies.decline.parse(arrival.body))
      case 'revoke':
        return this.#revoke(arrival, sharingBodies.revoke.parse(arrival.body))
      case 'replace':
        return this.#replace(arrival, sharingBodies.replace.parse(arrival.body))
    }
  }

  #request({ batch, contact, thread }: Arrival, body: RequestBody): void {
    const received = { ...thread, request: body }
    this.#components.threads.put(batch, received)
    this.#note(batch, contact, received, 'request-received', { wanted: body.wanted })
  }

  #grant({ batch, contact, thread }: Arrival, body: GrantBody): void {
    const { threads, clock } = this.#components
    const received: GrantThread = {
      ...thread,
      grant: {
        ...resourceRecord(body.resource),
        key: body.key,
        permission: body.permission,
        purpose: body.purpose,
        createdAt: clock.now().toISOString(),
        expiresAt: body.valid_until,
        fetches: 0
      }
    }
    // One that came too late is shown as expired; its key is of no use to anyone.
    const grant = threads.isLive(received) ? received.grant : { ...received.grant, key: undefined }
    threads.put(batch, { ...received, grant })
    this.#note(batch, contact, received, 'grant-received', { permission: body.permission })
  }

  #accept({ batch, contact, thread }: Arrival, body: AcceptBody): void {
    const { threads, given } = this.#components
    const accepted = { ...thread, peers: body.peer_ids }
    this.#note(batch, contact, accepted, 'grant-accepted', { peers: body.peer_ids.join(' ') })
    if (accepted.replaced === true && isGrant(accepted) && threads.isLive(accepted)) {
      const replacement = given.replaceBody(accepted)
      threads.send(batch, accepted, 'replace', replacement, { replaced: false })
      return
    }
    threads.put(batch, accepted)
  }

  #decline({ batch, contact, thread }: Arrival, body: { reason?: string | undefined }): void {
    this.#components.threads.put(batch, { ...thread, reason: body.reason })
    const action = thread.role === 'owner' ? 'grant-declined' : 'request-declined'
    this.#note(batch, contact, thread, action, reasonOf(body))
  }

  #revoke({ batch, contact, thread }: Arrival, body: { reason?: string | undefined }): void {
    const { threads, collect } = this.#components
    const grant = thread.grant === undefined ? undefined : { ...thread.grant, key: undefined }
    threads.put(batch, { ...thread, grant, reason: body.reason })
    this.#note(batch, contact, thread, 'grant-revoked', reasonOf(body))
    batch.afterwards(collect)
  }

  #replace({ batch, contact, thread }: Arrival, body: ReplaceBody): void {
    const { threads, collect } = this.#components
    if (thread.grant === undefined) return
    const grant = { ...thread.grant, ...resourceRecord(body.resource) }
    // An expired grant has lost its key already and gets no other.
    const replaced = { ...thread, grant: { ...grant, key: body.key } }
    threads.put(batch, threads.isLive(replaced) ? replaced : { ...thread, grant })
    this.#note(batch, contact, thread, 'grant-replaced', {})
    batch.afterwards(collect)
  }

  #note(
    batch: Batch,
    contact: ContactFacts,
    thread: Thread,
    action: AuditAction,
    details: Readonly<Record<string, string>>
  ): void {
    const { document, name } = thread.grant ?? {}
    const purpose = thread.grant?.purpose ?? thread.request?.purpose
    this.#components.audit.append(batch, {
      action,
      actor: contact.did,
      actorName: contact.name,
      ...(thread.grant === undefined ? {} : { grant: thread.id }),
      ...(document === undefined || name === undefined ? {} : { document: { id: document, name } }),
      ...(purpose === undefined ? {} : { purpose }),
      details: { ...details, ...(document === undefined && name !== undefined ? { name } : {}) }
    })
  }
}

function reasonOf(body: { reason?: string | undefined }): { reason?: string } {
  return body.reason === undefined ? {} : { reason: body.reason }
}

function invalid(name: string, why: string): Refusal {
  return { problem: 'e.p.msg.invalid', comment: `${name}: ${why}`.slice(0, 300) }
}

function unexpected(name: string, state: string): Refusal {
  const expected = protocol.rules.some((row) => row[1] === state)
  const comment = expected ? `${name} is not expected in state ${state}` : `the share is ${state}`
  return { problem: 'e.p.msg.unexpected', comment }
}
