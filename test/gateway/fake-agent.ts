/**
 * An agent in memory: the interface of agent/agent.ts with real state and no cryptography, so that what
 * the gateway does can be tested by itself and fast. Tests of whole agents are elsewhere.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import type {
  ActivityEntry,
  Agent,
  AgentEvent,
  Clock,
  ContactFacts,
  InvitationFacts,
  LinkFacts,
  OutboxItem,
  OwnerFacts,
  StaffFacts,
  RecoveryKit,
  Secret,
  TokenFacts,
  VaultState
} from '../../agent/agent.ts'
import { doorTo } from '../../agent/door.ts'
import { createVerifier } from '../../agent/verification.ts'
import { newId, refuse, type FakeCore } from './fake-core.ts'
import { FakeDocuments } from './fake-documents.ts'
import { FakeSharing } from './fake-sharing.ts'

export const PASSPHRASE = 'correct horse battery staple'
export const WORDS = Array.from({ length: 24 }, () => 'abandon')

export class FakeAgent implements Agent, FakeCore {
  readonly clock: Clock
  readonly documents: FakeDocuments
  readonly sharing: FakeSharing
  readonly received: Uint8Array[] = []
  readonly verification: Agent['verification']
  /** No credentials in this fake: what the gateway does with them is tested with whole agents. */
  readonly credentials = doorTo<Agent['credentials']>(() => this.#absent())
  readonly issuance = doorTo<Agent['issuance']>(() => this.#absent())
  readonly issuer = doorTo<Agent['issuer']>(() => this.#absent())
  readonly types = doorTo<Agent['types']>(() => this.#absent())
  readonly registry = doorTo<Agent['registry']>(() => this.#absent())
  /** Accounts by their tokens, as a test puts them there; nothing else is known of staff. */
  readonly staffTokens = new Map<string, StaffFacts>()
  readonly staff = doorTo<Agent['staff']>(() => this.#staff())
  readonly statusLists = doorTo<Agent['statusLists']>(() => this.#absent())
  damage: Agent['damage'] = []
  readonly contactMap = new Map<string, ContactFacts>()
  readonly outboxItems: OutboxItem[] = []
  readonly #linkMap = new Map<string, { facts: LinkFacts; proof: string; tickets: Set<string> }>()
  readonly #invitations = new Map<string, InvitationFacts>()
  readonly #tokenMap = new Map<string, { facts: TokenFacts; token: string }>()
  readonly #entries: ActivityEntry[] = []
  readonly #listeners = new Set<(event: AgentEvent) => void>()
  #state: VaultState = 'new'
  #owner: OwnerFacts | undefined
  #passphrase = PASSPHRASE
  #events = 0

  constructor(clock: Clock) {
    this.clock = clock
    this.documents = new FakeDocuments(this)
    this.sharing = new FakeSharing(this, this.documents)
    this.verification = createVerifier({
      clock,
      resolve: (did) => Promise.reject(refuse('did-unresolvable', `${did} is not known here`))
    })
  }

  /** An agent whose vault is in this state. */
  static async inState(clock: Clock, state: VaultState): Promise<FakeAgent> {
    const agent = new FakeAgent(clock)
    if (state === 'new') return agent
    await agent.vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    if (state === 'sealed') await agent.vault.seal()
    return agent
  }

  /** A feature that answers every call with `issuer-absent`. */
  #absent(): never {
    this.guard()
    return refuse('issuer-absent')
  }

  /** Knows tokens; everything else of it is absent. */
  #staff(): Agent['staff'] {
    this.guard()
    const absent = (): never => this.#absent()
    return {
      check: (token) => this.staffTokens.get(token),
      list: () => [...this.staffTokens.values()],
      get: absent,
      add: absent,
      change: absent,
      replaceToken: absent,
      remove: absent,
      require: absent,
      mayApprove: absent
    }
  }

  guard(): void {
    if (this.#state === 'new') refuse('vault-absent')
    if (this.#state !== 'open') refuse('vault-sealed')
  }

  async acceptLoss(): Promise<number> {
    this.guard()
    const lost = this.damage.length
    this.damage = []
    return lost
  }

  changed(type: AgentEvent['type'], id?: string): void {
    this.#events += 1
    const event = { number: this.#events, type, ...(id === undefined ? {} : { id }) }
    for (const listener of this.#listeners) listener(event)
  }

  log(entry: Omit<ActivityEntry, 'number' | 'time'>): void {
    const number = this.#entries.length + 1
    this.#entries.push({ ...entry, number, time: this.clock.now().toISOString() })
  }

  contactOf(didOrName: string): ContactFacts {
    const found =
      this.contactMap.get(didOrName) ??
      [...this.contactMap.values()].find(({ name }) => name === didOrName)
    return found ?? refuse('contact-unknown', `no contact ${didOrName}`)
  }

  addContact(did: string, name: string): void {
    const addedAt = this.clock.now().toISOString()
    this.contactMap.set(did, {
      did,
      ourDid: `${did}-us`,
      name,
      state: 'connected',
      addedAt
    })
  }

  readonly #unlock = (secret: Secret): void => {
    if (this.#state === 'new') refuse('vault-absent')
    const good =
      secret.kind === 'passphrase'
        ? secret.passphrase === this.#passphrase
        : secret.kind === 'words' && secret.words.join(' ') === WORDS.join(' ')
    if (!good) refuse('vault-secret-wrong', 'the secret opens no slot')
  }

  readonly #kit: RecoveryKit = {
    words: WORDS,
    documentIdentity: 'AGE-SECRET-KEY-PQ-1TEST',
    documentRecipient: 'age1pqtest',
    ask: [3, 11, 19]
  }

  readonly #setState = (state: VaultState): void => {
    this.#state = state
    this.changed('vault')
  }

  readonly vault: Agent['vault'] = ((agent: FakeAgent) => ({
    get state() {
      return agent.#state
    },
    async create({ name, passphrase, keyFile }) {
      if (agent.#state !== 'new') refuse('vault-exists')
      if (passphrase.length < 12) refuse('passphrase-weak')
      const owner = {
        name,
        did: 'did:key:z6MkTest',
        createdAt: agent.clock.now().toISOString(),
        recoveryConfirmed: false
      }
      agent.#owner = owner
      agent.#passphrase = passphrase
      agent.#setState('open')
      return {
        owner,
        kit: agent.#kit,
        ...(keyFile === true ? { keyFile: 'AGE-SECRET-KEY-1X' } : {})
      }
    },
    async open(secret) {
      agent.#unlock(secret)
      agent.#setState('open')
      return agent.owner()
    },
    async seal() {
      if (agent.#state === 'new') refuse('vault-absent')
      agent.#setState('sealed')
    },
    async changePassphrase(secret, passphrase) {
      agent.#unlock(secret)
      if (passphrase.length < 12) refuse('passphrase-weak')
      agent.#passphrase = passphrase
    },
    async newRecoveryKit(secret) {
      agent.#unlock(secret)
      return agent.#kit
    },
    async confirmRecovery(words) {
      agent.guard()
      if (Object.values(words).some((word) => word !== 'abandon')) refuse('words-invalid')
      agent.#owner = { ...agent.owner(), recoveryConfirmed: true }
    },
    async slots() {
      if (agent.#state === 'new') return []
      return [{ id: 'slot-passphrase', kind: 'passphrase' as const }]
    }
  }))(this)

  owner(): OwnerFacts {
    this.guard()
    return this.#owner ?? refuse('vault-absent')
  }

  async rename(name: string): Promise<OwnerFacts> {
    this.#owner = { ...this.owner(), name }
    return this.#owner
  }

  readonly contacts: Agent['contacts'] = {
    list: () => {
      this.guard()
      return [...this.contactMap.values()]
    },
    get: (didOrName) => {
      this.guard()
      return this.contactOf(didOrName)
    },
    rename: async (did, name) => {
      const facts = { ...this.contactOf(did), name }
      this.contactMap.set(did, facts)
      return facts
    },
    remove: async (did) => void this.contactMap.delete(this.contactOf(did).did),
    ping: async (did) =>
      this.contactOf(did).state === 'connected' ? 3.5 : refuse('peer-unreachable'),
    features: async () => [],
    invite: async (options = {}) => {
      this.guard()
      const id = newId()
      const url = `http://localhost/i?_oob=${id}`
      const end = options.expiresAt ?? new Date(this.clock.now().getTime() + 7 * 86_400_000)
      const facts = { id, url, expiresAt: end.toISOString() }
      this.#invitations.set(id, facts)
      return facts
    },
    invitations: () => {
      this.guard()
      return [...this.#invitations.values()]
    },
    cancelInvitation: async (id) => {
      this.guard()
      if (!this.#invitations.delete(id)) refuse('not-found')
    },
    accept: async (url, options = {}) => {
      this.guard()
      if (!URL.canParse(url)) refuse('invitation-invalid')
      const did = `did:key:z6Mk${newId()}`
      this.addContact(did, options.name ?? 'somebody')
      return this.contactOf(did)
    }
  }

  readonly links: Agent['links'] = {
    list: () => {
      this.guard()
      return [...this.#linkMap.values()].map(({ facts }) => facts)
    },
    create: async (options) => {
      const document = this.documents.get(options.document)
      const now = this.clock.now().getTime()
      const facts: LinkFacts = {
        id: newId(),
        document: { id: document.id, name: document.name },
        ...(options.purpose === undefined ? {} : { purpose: options.purpose }),
        createdAt: new Date(now).toISOString(),
        expiresAt: (options.expiresAt ?? new Date(now + 86_400_000)).toISOString(),
        usesMax: options.usesMax ?? 1,
        uses: 0,
        passphrase: options.passphrase !== undefined,
        state: 'live'
      }
      const proof = randomBytes(32).toString('base64url')
      this.#linkMap.set(facts.id, { facts, proof, tickets: new Set() })
      return { facts, url: `http://public.test/s/${facts.id}#${proof}` }
    },
    stop: async (id) => {
      const link = this.#link(id)
      link.facts = { ...link.facts, state: 'stopped' }
      return link.facts
    },
    describe: (id) => {
      const { facts } = this.#link(id)
      return {
        passphrase: facts.passphrase,
        salt: '',
        state: facts.state,
        expiresAt: facts.expiresAt
      }
    },
    open: async (id, proof) => {
      const link = this.#link(id)
      if (link.facts.state === 'stopped') refuse('link-stopped')
      if (link.facts.uses >= link.facts.usesMax) refuse('link-used-up', 'the link has been used up')
      if (Buffer.from(proof).toString('base64url') !== link.proof) refuse('link-proof-wrong')
      const uses = link.facts.uses + 1
      const state = uses >= link.facts.usesMax ? 'used-up' : 'live'
      link.facts = { ...link.facts, uses, state }
      this.log({ action: 'link-opened', actor: 'link', link: id })
      const ticket = randomBytes(16).toString('base64url')
      link.tickets.add(ticket)
      return {
        capability: new Uint8Array([1, 2, 3]),
        ticket,
        sealedBytes: this.documents.bytesOf(link.facts.document.id).length,
        usesLeft: link.facts.usesMax - uses
      }
    },
    read: async (id, ticket, range) => {
      const link = this.#link(id)
      if (!link.tickets.has(ticket)) refuse('link-unknown')
      return this.documents.chunks(link.facts.document.id, range)
    }
  }

  #link(id: string): { facts: LinkFacts; proof: string; tickets: Set<string> } {
    this.guard()
    return this.#linkMap.get(id) ?? refuse('link-unknown', `no link ${id}`)
  }

  readonly activity: Agent['activity'] = {
    list: async ({ before = Number.POSITIVE_INFINITY, limit = 100, document } = {}) => {
      this.guard()
      return this.#entries
        .filter((entry) => entry.number < before)
        .filter((entry) => document === undefined || entry.document?.id === document)
        .toReversed()
        .slice(0, limit)
    },
    verify: async () => {
      this.guard()
      return { entries: this.#entries.length, ok: true }
    }
  }

  inbox(): ReturnType<Agent['inbox']> {
    return this.sharing.inbox()
  }

  outbox(): readonly OutboxItem[] {
    this.guard()
    return this.outboxItems
  }

  async retryOutbox(id: string): Promise<void> {
    if (!this.outbox().some((item) => item.id === id)) refuse('not-found')
  }

  readonly tokens: Agent['tokens'] = {
    list: () => {
      this.guard()
      return [...this.#tokenMap.values()].map(({ facts }) => facts)
    },
    create: async ({ name, scopes, expiresAt }) => {
      this.guard()
      const facts: TokenFacts = {
        id: newId(),
        name,
        scopes,
        createdAt: this.clock.now().toISOString(),
        ...(expiresAt === undefined ? {} : { expiresAt: expiresAt.toISOString() })
      }
      const token = `elk_${randomBytes(32).toString('base64url')}`
      this.#tokenMap.set(facts.id, { facts, token })
      return { facts, token }
    },
    revoke: async (id) => {
      this.guard()
      if (!this.#tokenMap.delete(id)) refuse('token-unknown')
    },
    check: (token) => {
      const found = [...this.#tokenMap.values()].find((known) => known.token === token)?.facts
      const ended = found?.expiresAt !== undefined && new Date(found.expiresAt) <= this.clock.now()
      return ended ? undefined : found
    }
  }

  readonly backup: Agent['backup'] = ((agent: FakeAgent) => ({
    async *create() {
      agent.guard()
      for (const { id } of agent.documents.list()) yield new Uint8Array(agent.documents.bytesOf(id))
    },
    async restore(source: AsyncIterable<Uint8Array>) {
      if (agent.#state !== 'new') refuse('vault-exists')
      let bytes = 0
      for await (const chunk of source) bytes += chunk.length
      return { documents: 0, blocks: 1, bytes }
    }
  }))(this)

  async receive(envelope: Uint8Array): Promise<void> {
    this.received.push(envelope)
  }

  async authorisePull(): ReturnType<Agent['authorisePull']> {
    return { ok: false, problem: 'e.p.pull.grant-unknown', comment: 'no grants here' }
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
  }
}
