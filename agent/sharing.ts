/**
 * Sharing with contacts: grants given and received, requests for documents.
 *
 * | file                  | holds                                                                     |
 * |-----------------------|---------------------------------------------------------------------------|
 * | sharing-threads.ts    | the record of a thread, its state by the protocol's table, the facts       |
 * | sharing-given.ts      | the owner's side: give, serve, revoke                                     |
 * | sharing-received.ts   | the recipient's side: ask, accept, open                                   |
 * | sharing-pending.ts    | copies that were accepted and have not arrived                            |
 * | sharing-fetch.ts      | fetching blocks under a grant, the cache of ciphertext, copies            |
 * | sharing-inbound.ts    | messages as they come in                                                  |
 *
 * @module
 */
import type { Blockstore } from 'interface-blockstore'
import { sharing as protocol } from '../protocols/sharing.ts'
import type { Audit } from './audit.ts'
import { Background } from './background.ts'
import type { Clock, Logger, Network, PullAnswer, Random } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import type { ByteRange, DocumentStore } from './documents.ts'
import type { Exchanges } from './exchanges.ts'
import type { Outbox } from './outbox.ts'
import type { Records } from './records.ts'
import { GrantReader } from './sharing-fetch.ts'
import { GivenGrants } from './sharing-given.ts'
import { InboundSharing } from './sharing-inbound.ts'
import { ReceivedGrants } from './sharing-received.ts'
import type { FetchNote, StandingGrant } from './standing-grants.ts'
import {
  openThreads,
  type GrantFacts,
  type Permission,
  type RequestFacts,
  type Threads
} from './sharing-threads.ts'

export type { GrantFacts, RequestFacts } from './sharing-threads.ts'

export interface Sharing {
  grants(options?: { direction?: 'given' | 'received' }): readonly GrantFacts[]
  grant(id: string): GrantFacts
  /** Offers a document to a contact. `request`: the id of the request this answers. */
  give(options: {
    document: string
    to: string
    purpose: string
    permission?: Permission
    expiresAt?: Date
    request?: string
  }): Promise<GrantFacts>
  /** Accepts a received grant; a copy has been fetched and re-sealed into this locker when this resolves. */
  accept(
    id: string,
    options?: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
  ): Promise<GrantFacts>
  decline(id: string, reason?: string): Promise<GrantFacts>
  /** Refuses first, then re-seals the document under a new key, re-sends live grants, tells the audience. */
  revoke(id: string, reason?: string): Promise<GrantFacts>
  /** Opens a received, accepted grant: asks the owner's agent each time; nothing in plaintext is kept. */
  open(
    id: string,
    options?: { range?: ByteRange; signal?: AbortSignal }
  ): Promise<{
    readonly facts: GrantFacts
    readonly content: AsyncIterable<Uint8Array<ArrayBuffer>>
  }>
  request(options: { from: string; wanted: string; purpose: string }): Promise<RequestFacts>
  requests(): readonly RequestFacts[]
  declineRequest(id: string, reason?: string): Promise<RequestFacts>
}

/** One line of the inbox: what waits for, or came to, the owner. */
export interface InboxItem {
  readonly id: string
  /** Credentials: offered to the owner, or asked of the owner as issuer (agent/issuance.ts). */
  readonly kind: 'grant' | 'request' | 'credential-offer' | 'credential-request'
  readonly state: string
  /** The contact's name. */
  readonly from: string
  readonly fromDid: string
  /** The document's name, or what is wanted. */
  readonly subject: string
  readonly purpose: string
  readonly receivedAt: string
  readonly expiresAt?: string
}

export interface SharingComponents {
  readonly records: Records
  readonly audit: Audit
  readonly documents: DocumentStore
  readonly contacts: ContactDirectory
  readonly outbox: Outbox
  readonly exchanges: Exchanges
  readonly network: Network
  /** The own block store: ciphertext fetched under a grant is cached in it. */
  readonly blocks: Blockstore
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Called after a change is durable; a grant that answers a request is told as both. */
  readonly changed: (kind: 'grant' | 'request', id: string) => void
}

/** What the agent uses of sharing beside the owner's door. */
export interface SharingStore extends Sharing {
  /** Answers a peer that asks for a grant's blocks; counted and audited before it resolves. Never throws. */
  authorisePull(grant: string, peerId: string): Promise<PullAnswer>
  /** Whether a session that was opened under a grant may go on, with this root. */
  allowsPull(grant: string, peerId: string, root: string): boolean
  /** What may be served while the vault is sealed; still answers once this is closed. */
  standing(): readonly StandingGrant[]
  /** Counts and logs a fetch that was served while the vault was sealed. */
  noteFetch(note: FetchNote): Promise<void>
  /** Fetches what was accepted and has not arrived. Called once, when the opening has succeeded. */
  begin(): void
  /** Resolves when no work is left in the background: sealing again, sweeping, collecting. */
  settled(): Promise<void>
  /** Stops timers and waits for the work in the background. The records must still be open. */
  close(): Promise<void>
}

/**
 * Opens sharing on an open vault: registers share 1.0, finishes what a crash interrupted, drops the keys
 * of grants that ended meanwhile.
 */
export async function openSharing(components: SharingComponents): Promise<SharingStore> {
  const threads = await openThreads(components)
  return new AgentSharing(components, threads)
}

class AgentSharing implements SharingStore {
  readonly #threads: Threads
  readonly #given: GivenGrants
  readonly #received: ReceivedGrants
  readonly #background: Background
  #standing: readonly StandingGrant[] | undefined

  constructor(components: SharingComponents, threads: Threads) {
    const { documents, contacts, exchanges } = components
    const background = new Background(components.logger)
    const collect = collector(background, documents)
    const reader = new GrantReader({ ...components, threads, collect })
    this.#threads = threads
    this.#background = background
    this.#given = new GivenGrants({ ...components, threads, background })
    this.#received = new ReceivedGrants({ ...components, threads, reader, background, collect })
    const inbound = new InboundSharing({ ...components, threads, given: this.#given, collect })
    exchanges.handle(protocol.piuri, {
      roles: ['owner', 'recipient'],
      handler: (message, contact, batch) => inbound.receive(message, contact, batch),
      problem: (report, contact, batch) => inbound.problem(report, contact, batch)
    })
    exchanges.onHeard((contact) => this.#received.heard(contact))
    documents.keepBlocks('sharing', () => reader.cachedRoots())
    documents.setHeal((facts) => this.#received.heal(facts))
    contacts.onRemove(async (contact) => {
      await this.#given.contactRemoved(contact)
      await this.#received.contactRemoved(contact)
    })
    this.#given.resume()
    background.run('sharing-sweep-failed', () => this.#received.sweep())
  }

  grants(options: { direction?: 'given' | 'received' } = {}): readonly GrantFacts[] {
    return [...this.#threads.grants(options.direction)]
      .map((thread) => this.#threads.grantFacts(thread))
      .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
  }

  grant(id: string): GrantFacts {
    return this.#threads.grantFacts(this.#threads.grant(id))
  }

  give(options: Parameters<Sharing['give']>[0]): Promise<GrantFacts> {
    return this.#given.give(options)
  }

  accept(id: string, options?: Parameters<Sharing['accept']>[1]): Promise<GrantFacts> {
    return this.#received.accept(id, options)
  }

  decline(id: string, reason?: string): Promise<GrantFacts> {
    return this.#received.decline(id, reason)
  }

  revoke(id: string, reason?: string): Promise<GrantFacts> {
    return this.#given.revoke(id, reason)
  }

  open(id: string, options?: Parameters<Sharing['open']>[1]): ReturnType<Sharing['open']> {
    return this.#received.open(id, options)
  }

  request(options: Parameters<Sharing['request']>[0]): Promise<RequestFacts> {
    return this.#received.request(options)
  }

  requests(): readonly RequestFacts[] {
    return [...this.#threads.all()]
      .flatMap((thread) => this.#threads.requestFacts(thread) ?? [])
      .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
  }

  declineRequest(id: string, reason?: string): Promise<RequestFacts> {
    return this.#given.declineRequest(id, reason)
  }

  authorisePull(grant: string, peerId: string): Promise<PullAnswer> {
    return this.#given.authorise(grant, peerId)
  }

  allowsPull(grant: string, peerId: string, root: string): boolean {
    return this.#given.allows(grant, peerId, root)
  }

  standing(): readonly StandingGrant[] {
    return this.#standing ?? this.#given.standing()
  }

  noteFetch(note: FetchNote): Promise<void> {
    return this.#given.noteFetch(note)
  }

  begin(): void {
    this.#received.begin()
  }

  settled(): Promise<void> {
    return this.#background.settled()
  }

  async close(): Promise<void> {
    this.#given.close()
    this.#received.close()
    await this.#background.close()
    // From here on no grant changes, and nothing more can be read.
    this.#standing = this.#given.standing()
  }
}

/** One collection at a time; what is asked for meanwhile becomes one more. */
function collector(background: Background, documents: Pick<DocumentStore, 'collect'>): () => void {
  let running = false
  let again = false
  return () => {
    again = true
    if (running) return
    running = true
    background.run('sharing-collect-failed', async () => {
      try {
        while (again) {
          again = false
          await documents.collect()
        }
      } finally {
        running = false
      }
    })
  }
}
