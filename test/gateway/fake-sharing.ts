/**
 * Sharing of the agent in memory (fake-agent.ts): both sides' facts, and nobody on the other side.
 *
 * @module
 */
import type { GrantFacts, InboxItem, RequestFacts, Sharing } from '../../agent/agent.ts'
import { newId, refuse, type FakeCore } from './fake-core.ts'
import type { FakeDocuments } from './fake-documents.ts'

export class FakeSharing implements Sharing {
  readonly #core: FakeCore
  readonly #documents: FakeDocuments
  readonly #grants = new Map<string, GrantFacts>()
  readonly #requests = new Map<string, RequestFacts>()
  /** Bytes behind received grants. */
  readonly #contents = new Map<string, Uint8Array<ArrayBuffer>>()

  constructor(core: FakeCore, documents: FakeDocuments) {
    this.#core = core
    this.#documents = documents
  }

  /** A grant comes in. */
  receive(options: { from: string; name: string; content: Uint8Array<ArrayBuffer> }): GrantFacts {
    const contact = this.#core.contactOf(options.from)
    const facts: GrantFacts = {
      id: newId(),
      direction: 'received',
      state: 'granted',
      contact: { did: contact.did, name: contact.name },
      document: {
        name: options.name,
        mediaType: 'application/pdf',
        sizeBytes: options.content.length,
        root: `bafyr${newId()}`
      },
      permission: 'read',
      purpose: 'a test',
      createdAt: this.#core.clock.now().toISOString()
    }
    this.#grants.set(facts.id, facts)
    this.#contents.set(facts.id, options.content)
    return facts
  }

  /** A contact asks for a document. */
  receiveRequest(options: { from: string; wanted: string }): RequestFacts {
    return this.#ask('received', { ...options, purpose: 'a test' })
  }

  grants(options: { direction?: 'given' | 'received' } = {}): readonly GrantFacts[] {
    this.#core.guard()
    return [...this.#grants.values()].filter(
      ({ direction }) => options.direction === undefined || direction === options.direction
    )
  }

  grant(id: string): GrantFacts {
    this.#core.guard()
    return this.#grants.get(id) ?? refuse('grant-unknown')
  }

  async give(options: Parameters<Sharing['give']>[0]): Promise<GrantFacts> {
    const contact = this.#core.contactOf(options.to)
    const { id, name, mediaType, sizeBytes, root } = this.#documents.get(options.document)
    const facts: GrantFacts = {
      id: newId(),
      direction: 'given',
      state: 'granted',
      contact: { did: contact.did, name: contact.name },
      document: { id, name, mediaType, sizeBytes, root },
      permission: options.permission ?? 'read',
      purpose: options.purpose,
      createdAt: this.#core.clock.now().toISOString(),
      ...(options.expiresAt === undefined ? {} : { expiresAt: options.expiresAt.toISOString() }),
      fetches: 0
    }
    this.#grants.set(facts.id, facts)
    this.#core.changed('grant', facts.id)
    return facts
  }

  accept(id: string): Promise<GrantFacts> {
    return this.#move(id, ['granted'], 'accepted')
  }

  decline(id: string, reason?: string): Promise<GrantFacts> {
    return this.#move(id, ['granted', 'accepted'], 'declined', reason)
  }

  async revoke(id: string, reason?: string): Promise<GrantFacts> {
    if (this.grant(id).direction === 'received') refuse('grant-not-yours')
    return this.#move(id, ['granted', 'accepted'], 'revoked', reason)
  }

  async open(
    id: string,
    options: Parameters<Sharing['open']>[1] = {}
  ): ReturnType<Sharing['open']> {
    const facts = this.grant(id)
    if (facts.state !== 'accepted') refuse('grant-state', `the grant is ${facts.state}`)
    const bytes = this.#contents.get(id) ?? refuse('peer-unreachable')
    const { start, end } = options.range ?? { start: 0, end: bytes.length - 1 }
    const content = (async function* () {
      yield bytes.slice(start, end + 1)
    })()
    return { facts, content }
  }

  async request(options: Parameters<Sharing['request']>[0]): Promise<RequestFacts> {
    return this.#ask('sent', options)
  }

  requests(): readonly RequestFacts[] {
    this.#core.guard()
    return [...this.#requests.values()]
  }

  async declineRequest(id: string, reason?: string): Promise<RequestFacts> {
    const facts = this.requests().find((known) => known.id === id) ?? refuse('inbox-unknown')
    const next = {
      ...facts,
      state: 'declined' as const,
      ...(reason === undefined ? {} : { reason })
    }
    this.#requests.set(id, next)
    return next
  }

  inbox(): readonly InboxItem[] {
    const grants = this.grants({ direction: 'received' }).map((grant) => ({
      id: grant.id,
      kind: 'grant' as const,
      state: grant.state,
      from: grant.contact.name,
      fromDid: grant.contact.did,
      subject: grant.document.name,
      purpose: grant.purpose,
      receivedAt: grant.createdAt
    }))
    const requests = this.requests()
      .filter(({ direction }) => direction === 'received')
      .map((request) => ({
        id: request.id,
        kind: 'request' as const,
        state: request.state,
        from: request.contact.name,
        fromDid: request.contact.did,
        subject: request.wanted,
        purpose: request.purpose,
        receivedAt: request.createdAt
      }))
    return [...grants, ...requests]
  }

  #ask(
    direction: 'sent' | 'received',
    { from, wanted, purpose }: { from: string; wanted: string; purpose: string }
  ): RequestFacts {
    this.#core.guard()
    const contact = this.#core.contactOf(from)
    const facts: RequestFacts = {
      id: newId(),
      direction,
      state: 'requested',
      contact: { did: contact.did, name: contact.name },
      wanted,
      purpose,
      createdAt: this.#core.clock.now().toISOString()
    }
    this.#requests.set(facts.id, facts)
    return facts
  }

  async #move(
    id: string,
    from: readonly GrantFacts['state'][],
    state: GrantFacts['state'],
    reason?: string
  ): Promise<GrantFacts> {
    const facts = this.grant(id)
    if (!from.includes(facts.state)) refuse('grant-state', `the grant is ${facts.state}`)
    const next = { ...facts, state, ...(reason === undefined ? {} : { reason }) }
    this.#grants.set(id, next)
    return next
  }
}
