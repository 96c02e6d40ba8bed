/**
 * The door of the agent: everything the gateway and the process may ask of it.
 *
 * @module
 */
import type { AgentEvent } from './agent-event.ts'
import type { Activity } from './audit.ts'
import { Background } from './background.ts'
import { backupDoor } from './backup-door.ts'
import { clearUnfinishedRestore } from './backup-restore.ts'
import type { PullAnswer, SmallFiles } from './components.ts'
import { cleanName } from './contact-book.ts'
import type { Contacts } from './contacts.ts'
import type { Documents } from './documents.ts'
import { doorTo } from './door.ts'
import { LockerError } from './errors.ts'
import type { Origin } from './exchanges.ts'
import { listInbox } from './inbox.ts'
import type { Links } from './links.ts'
import { issuingDoors, type IssuingDoors } from './open-issuing.ts'
import {
  openLocker,
  OWNER,
  UNNAMED_OWNER,
  type LockerComponents,
  type OpenLocker
} from './open-locker.ts'
import type { OutboxItem } from './outbox.ts'
import type { InboxItem, Sharing } from './sharing.ts'
import { sealedNotesIdentity } from './keys.ts'
import { openSpool, type Spool } from './spool.ts'
import { LOCKED, StandingGrants, takeFetchNotes } from './standing-grants.ts'
import type { TokenFacts, Tokens } from './tokens.ts'
import { openVault, type RecoveryKit, type Secret, type Vault, type VaultState } from './vault.ts'
import { createVerifier, type Verifier } from './verification.ts'
import { MESSAGE_BYTES_MAX } from '../protocols/message.ts'
import type { KeyPair } from '../protocols/sealed/recipients.ts'

export type { AgentEvent } from './agent-event.ts'
export type { ActivityEntry } from './audit.ts'
export type { Clock, Logger, PullAnswer, Random } from './components.ts'
export type { ContactFacts, InvitationFacts } from './contacts.ts'
export type {
  AddOptions,
  ByteRange,
  CheckReport,
  DocumentFacts,
  Documents,
  VersionFacts
} from './documents.ts'
export type { CredentialFacts } from './credentials.ts'
export type { IssuanceFacts, IssuedFacts } from './issuance.ts'
export type { LinkFacts } from './links.ts'
export type { OutboxItem } from './outbox.ts'
export type { GrantFacts, InboxItem, RequestFacts, Sharing } from './sharing.ts'
export { ISSUING_SCOPES, STAFF_ROLES, type StaffFacts } from './staff.ts'
export type { TokenFacts } from './tokens.ts'
export type { RecoveryKit, Secret, VaultState } from './vault.ts'
export { VERIFIED_BYTES_MAX, type Verification } from './verification.ts'
export type { Check } from '../protocols/credential/checks.ts'
export type { Verdict } from '../protocols/credential/verdict.ts'

export type { AgentLimits } from './open-locker.ts'

/** A pause before envelopes are tried again that a fault of ours kept from being processed, milliseconds. */
const SPOOL_RETRY_MS = 30_000

/** Listeners of one agent: pages and event streams that are open. */
const LISTENERS_MAX = 1_000

/** Who the owner is, to themself. Only while the vault is open. */
export interface OwnerFacts {
  readonly name: string
  /** did:key of the holder, the subject of credentials. Contacts see pairwise did:peer DIDs instead. */
  readonly did: string
  readonly createdAt: string
  /** Whether three of the recovery words were given back. */
  readonly recoveryConfirmed: boolean
}

export interface Agent extends IssuingDoors {
  readonly vault: {
    readonly state: VaultState
    /** Creates the locker and opens it. Throws `vault-exists`, `passphrase-weak`. */
    create(options: { name: string; passphrase: string; keyFile?: boolean }): Promise<{
      owner: OwnerFacts
      kit: RecoveryKit
      /** Text of the key file, when asked for. */
      keyFile?: string
    }>
    /** Throws `vault-secret-wrong`, `vault-throttled`, `vault-damaged`, `vault-absent`. */
    open(secret: Secret): Promise<OwnerFacts>
    seal(): Promise<void>
    /** Throws `vault-secret-wrong`, `passphrase-weak`. `secret` may be the words, for a forgotten passphrase. */
    changePassphrase(secret: Secret, passphrase: string): Promise<void>
    /** Replaces the recovery words; the old ones open nothing afterwards. */
    newRecoveryKit(secret: Secret): Promise<RecoveryKit>
    /** `words`: position (1 to 24) → word. Throws `words-invalid`. */
    confirmRecovery(words: Readonly<Record<number, string>>): Promise<void>
    /** Slots by kind, and files that cannot be read. */
    slots(): Promise<ReadonlyArray<{ id: string; kind: Secret['kind']; damaged?: string }>>
  }
  /** Throws `vault-sealed`. */
  owner(): OwnerFacts
  rename(name: string): Promise<OwnerFacts>
  readonly documents: Documents
  readonly contacts: Contacts
  readonly sharing: Sharing
  readonly links: Links
  readonly activity: Activity
  inbox(): readonly InboxItem[]
  outbox(): readonly OutboxItem[]
  retryOutbox(id: string): Promise<void>
  readonly tokens: {
    list(): readonly TokenFacts[]
    create(options: { name: string; scopes: readonly string[]; expiresAt?: Date }): Promise<{
      facts: TokenFacts
      token: string
    }>
    revoke(id: string): Promise<void>
    /** The token's facts, or `undefined`. Constant-time. */
    check(token: string): TokenFacts | undefined
  }
  readonly backup: {
    /** A CAR: sealed blocks, sealed records, slots. Roots: the manifest first, then every document's root. */
    create(options?: { signal?: AbortSignal }): AsyncIterable<Uint8Array<ArrayBuffer>>
    /** Into an empty home; opened with the words afterwards. Throws `backup-damaged`, `vault-exists`. */
    restore(
      source: AsyncIterable<Uint8Array>,
      options?: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
    ): Promise<{
      documents: number
      blocks: number
      bytes: number
    }>
  }
  /** Judges credentials that others show; works while the vault is sealed too. */
  readonly verification: Verifier
  /** One packed envelope from a transport. Never throws for what the other side did wrong. */
  receive(
    envelope: Uint8Array,
    from: { transport: 'libp2p' | 'http'; peer?: string }
  ): Promise<void>
  /** Authorises a peer to pull a grant's blocks; the fetch is counted and audited before this resolves. */
  authorisePull(grant: string, peerId: string): Promise<PullAnswer>
  /** What start found missing or damaged; empty on a healthy home. */
  readonly damage: ReadonlyArray<{ sublevel: string; key: string; reason: string }>
  /** Takes that loss as it is, for good, and logs it; resolves with how much it was. Throws `records-damaged` when it is too much. */
  acceptLoss(): Promise<number>
  /** Returns what unsubscribes. */
  subscribe(listener: (event: AgentEvent) => void): () => void
  close(): Promise<void>
}

export interface AgentComponents extends LockerComponents {
  /** For envelopes that arrive while the vault is sealed. */
  readonly spoolFiles: SmallFiles
  /** A JSON document at a public URL, at most 512 KiB, guarded (DESIGN §6); undefined: nothing is looked up. */
  readonly fetchJson?: (url: string) => Promise<Uint8Array>
}

/** Looks at the home: the vault is `new` or `sealed` on return. Throws `storage-failed`. */
export async function createAgent(components: AgentComponents): Promise<Agent> {
  const { db, vaultFiles, spoolFiles, random, clock, logger, limits = {} } = components
  await clearUnfinishedRestore({ db, vaultFiles })
  const { scryptWorkFactor, spool: spoolLimits } = limits
  const vault = await openVault({
    files: vaultFiles,
    random,
    clock,
    logger,
    ...(scryptWorkFactor === undefined ? {} : { scryptWorkFactor })
  })
  const spool = await openSpool({
    files: spoolFiles,
    logger,
    ...(spoolLimits === undefined ? {} : { limits: spoolLimits })
  })
  return new VaultedAgent(components, vault, spool)
}

class VaultedAgent implements Agent {
  readonly vault: Agent['vault']
  readonly documents: Documents = doorTo(() => this.#used().documents)
  readonly contacts: Contacts = doorTo<Contacts>(() => this.#used().contacts)
  readonly sharing: Sharing = doorTo<Sharing>(() => this.#used().sharing)
  readonly links: Links = doorTo(() => this.#used().links)
  readonly activity: Activity = doorTo<Activity>(() => this.#used().audit)
  readonly tokens: Tokens = doorTo(() => this.#used().tokens)
  readonly #issuing = issuingDoors(() => this.#used())
  readonly credentials = this.#issuing.credentials
  readonly issuance = this.#issuing.issuance
  readonly issuer = this.#issuing.issuer
  readonly types = this.#issuing.types
  readonly registry = this.#issuing.registry
  readonly staff = this.#issuing.staff
  readonly statusLists = this.#issuing.statusLists
  readonly backup: Agent['backup']
  readonly verification: Verifier
  readonly #components: AgentComponents
  readonly #vault: Vault
  readonly #spool: Spool
  readonly #background: Background
  readonly #listeners = new Set<(event: AgentEvent) => void>()
  /** Present while the vault is open. */
  #locker: OpenLocker | undefined
  /** Of the open vault: opens the notes of fetches that were served while it was sealed. */
  #notes: KeyPair | undefined
  /** Present while the vault is sealed and has been open before: what is still served. */
  #standing: StandingGrants | undefined
  /** Openings and sealings run one after the other. */
  #lastTurn: Promise<unknown> = Promise.resolve()
  #opening = false
  #draining = false
  /** A fault of ours keeps the spool from being emptied; a timer is set. */
  #retrying = false
  #closed = false
  #events = 0
  #cancelIdle: () => void = () => {}
  #cancelRetry: () => void = () => {}

  constructor(components: AgentComponents, vault: Vault, spool: Spool) {
    this.#components = components
    this.#vault = vault
    this.#spool = spool
    this.#background = new Background(components.logger)
    this.vault = this.#vaultDoor()
    this.verification = createVerifier(components)
    this.backup = backupDoor({
      home: components,
      locker: () => this.#used(),
      intoEmptyHome: (restore) =>
        this.#inTurn(async () => {
          if (this.#state() !== 'new')
            throw new LockerError('vault-exists', 'a locker exists in this home')
          const report = await restore()
          await this.#vault.look()
          this.#emit('vault')
          return report
        })
    })
  }

  owner(): OwnerFacts {
    return this.#ownerOf(this.#used())
  }

  async rename(name: string): Promise<OwnerFacts> {
    const locker = this.#used()
    const clean = cleanName(name)
    await locker.records.change((batch) => {
      const createdAt = this.#ownerOf(locker).createdAt
      locker.owner.put(batch, OWNER, { name: clean, createdAt })
      locker.audit.append(batch, { action: 'owner-renamed', actor: 'owner' })
      batch.afterwards(() => this.#emit('vault'))
    })
    await locker.contacts.announceProfile()
    return this.#ownerOf(locker)
  }

  inbox(): readonly InboxItem[] {
    return listInbox(this.#used().sharing, this.#used().issuance)
  }

  outbox(): readonly OutboxItem[] {
    return this.#used().outbox.list()
  }

  async retryOutbox(id: string): Promise<void> {
    await this.#used().outbox.retry(id)
  }

  async receive(envelope: Uint8Array, from: Origin): Promise<void> {
    const { logger } = this.#components
    const peer = from.peer
    if (this.#closed || this.vault.state === 'new' || envelope.byteLength > MESSAGE_BYTES_MAX) {
      const reason = envelope.byteLength > MESSAGE_BYTES_MAX ? 'envelope-too-large' : 'no-locker'
      logger.warn('envelope-refused', { peer, reason, sizeBytes: envelope.byteLength })
      return
    }
    // What comes while something waits in the spool queues up behind it: the order of arrival is kept.
    const queued = this.#draining || this.#spool.size > 0
    const locker = queued ? undefined : this.#locker
    if ((await locker?.exchanges.receive(envelope, from)) === 'done') return
    try {
      await this.#spool.put(envelope, from)
    } catch (error) {
      logger.error('envelope-lost', { peer, error: String(error) })
      return
    }
    if (this.#locker === undefined || this.#draining) return
    if (locker !== undefined) this.#drainLater()
    else if (!this.#retrying) this.#drain()
  }

  async authorisePull(grant: string, peerId: string): Promise<PullAnswer> {
    const locker = this.#locker
    if (locker !== undefined) return locker.sharing.authorisePull(grant, peerId)
    const answer = await this.#standing?.authorise(grant, peerId)
    if (answer?.ok !== true) return answer ?? LOCKED
    // Once the vault is open again, what the owner does there ends the session.
    const goesOn = (): boolean =>
      this.#locker?.sharing.allowsPull(grant, peerId, answer.root) ?? true
    return { ...answer, has: (cid) => answer.has(cid) && goesOn() }
  }

  get damage(): Agent['damage'] {
    return this.#locker?.records.damaged ?? []
  }

  async acceptLoss(): Promise<number> {
    const { records, audit } = this.#used()
    return records.acceptLoss((batch, lost) => {
      const sublevels = [...new Set(lost.map(({ sublevel }) => sublevel))].join(' ')
      const details = { lost: lost.length, sublevels }
      audit.append(batch, { action: 'loss-accepted', actor: 'owner', details })
      batch.afterwards(() => this.#emit('vault'))
    })
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    if (this.#listeners.size >= LISTENERS_MAX)
      throw new LockerError('rate-limited', `${LISTENERS_MAX} listeners already`)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#inTurn(() => this.#seal())
    await this.#standing?.close()
    await this.#background.close()
    this.#listeners.clear()
  }

  #vaultDoor(): Agent['vault'] {
    const vault = this.#vault
    const state = (): VaultState => this.#state()
    return {
      get state() {
        return state()
      },
      create: (options) => this.#inTurn(() => this.#create(options)),
      open: (secret) =>
        this.#inTurn(async () => {
          await this.#opened(() => vault.open(secret), { action: 'vault-opened' })
          return this.owner()
        }),
      seal: () => this.#inTurn(() => this.#seal()),
      changePassphrase: async (secret, passphrase) => {
        const name = this.#locker === undefined ? {} : { name: this.owner().name }
        await vault.changePassphrase(secret, passphrase, name)
        await this.#note('passphrase-changed')
      },
      newRecoveryKit: async (secret) => {
        const kit = await vault.newRecoveryKit(secret)
        await this.#note('recovery-kit-replaced')
        return kit
      },
      confirmRecovery: async (words) => {
        this.#used()
        await vault.confirmRecovery(words)
        await this.#note('recovery-confirmed')
      },
      slots: () => vault.slots()
    }
  }

  async #create(options: {
    name: string
    passphrase: string
    keyFile?: boolean
  }): Promise<Awaited<ReturnType<Agent['vault']['create']>>> {
    const name = cleanName(options.name)
    let made: Omit<Awaited<ReturnType<Vault['create']>>, 'rootKey'> | undefined
    await this.#opened(
      async () => {
        const { rootKey, ...rest } = await this.#vault.create({ ...options, name })
        made = rest
        return rootKey
      },
      { action: 'locker-created', name }
    )
    if (made === undefined) throw new LockerError('vault-exists', 'a locker exists in this home')
    return { owner: this.owner(), ...made }
  }

  /** Opens every feature with the root key that `unlock` brings; on any failure the vault is sealed again. */
  async #opened(
    unlock: () => Promise<Uint8Array>,
    entry: { action: 'locker-created' | 'vault-opened'; name?: string }
  ): Promise<void> {
    if (this.#closed) throw new LockerError('operation-cancelled', 'the agent is closing')
    this.#opening = true
    try {
      const rootKey = await unlock()
      // Open already, and the secret was right.
      if (this.#locker !== undefined) return
      try {
        this.#locker = await this.#openLocker(rootKey, entry)
        this.#notes = sealedNotesIdentity(rootKey)
      } catch (error) {
        this.#vault.seal()
        throw error
      }
    } finally {
      this.#opening = false
    }
    this.#emit('vault')
    this.#touch()
    this.#locker.begin()
    this.#takeNotes(this.#locker)
    this.#drain()
  }

  /** What was served while sealed goes into the log. */
  #takeNotes(locker: OpenLocker): void {
    const { spoolFiles: files, logger } = this.#components
    const [standing, identity] = [this.#standing, this.#notes]
    this.#standing = undefined
    if (identity === undefined) return
    this.#background.run('fetch-notes-not-taken', async () => {
      await standing?.close()
      await takeFetchNotes({ files, identity, logger }, (note) => locker.sharing.noteFetch(note))
    })
  }

  async #openLocker(
    rootKey: Uint8Array,
    entry: { action: 'locker-created' | 'vault-opened'; name?: string }
  ): Promise<OpenLocker> {
    const { clock, logger } = this.#components
    const locker = await openLocker(this.#components, rootKey, (type, id) => this.#emit(type, id))
    try {
      for (const damage of locker.records.damaged) logger.error('records-damaged', { ...damage })
      await locker.records.change((batch) => {
        locker.audit.append(batch, { action: entry.action, actor: 'owner' })
        // A crash right after creating the vault leaves one without an owner: it gets a name to change.
        if (locker.owner.get(OWNER) === undefined)
          locker.owner.put(batch, OWNER, {
            name: entry.name ?? UNNAMED_OWNER,
            createdAt: clock.now().toISOString()
          })
      })
      return locker
    } catch (error) {
      await locker.close()
      throw error
    }
  }

  async #seal(): Promise<void> {
    const locker = this.#locker
    if (locker === undefined) {
      this.#vault.seal()
      return
    }
    const { logger } = this.#components
    // From here on every door says `vault-sealed`, and envelopes go to the spool.
    this.#locker = undefined
    this.#cancelIdle()
    this.#cancelRetry()
    this.#retrying = false
    try {
      await locker.records.change((batch) => {
        locker.audit.append(batch, { action: 'vault-sealed', actor: 'owner' })
      })
    } catch (error) {
      // Sealing must not depend on a disk that has room.
      logger.error('sealing-not-noted', { error: String(error) })
    }
    const notes = this.#notes
    this.#notes = undefined
    try {
      const grants = await locker.close()
      if (notes !== undefined && !this.#closed)
        this.#standing = new StandingGrants({
          ...this.#components,
          grants,
          files: this.#components.spoolFiles,
          recipient: notes.recipient
        })
    } finally {
      this.#vault.seal()
      this.#emit('vault')
    }
  }

  /** Empties the spool into the open locker. */
  #drain(): void {
    const locker = this.#locker
    if (locker === undefined || this.#draining || this.#spool.size === 0) return
    this.#draining = true
    this.#background.run('spool-not-drained', async () => {
      let emptied = false
      try {
        emptied = await this.#spool.drain(async (envelope) => {
          if (this.#locker !== locker) return 'later'
          const origin: Origin = { transport: 'libp2p' }
          return locker.exchanges.receive(envelope, origin, { admitted: true })
        })
      } finally {
        this.#draining = false
        // A locker opened while the one before was leaving the spool found it busy.
        if (emptied || this.#locker !== locker) this.#drain()
        else this.#drainLater()
      }
    })
  }

  #drainLater(): void {
    this.#cancelRetry()
    this.#retrying = true
    this.#cancelRetry = this.#components.clock.after(SPOOL_RETRY_MS, () => {
      this.#retrying = false
      this.#drain()
    })
  }

  /** The open locker, for a use that counts against idle sealing. Throws `vault-sealed`. */
  #used(): OpenLocker {
    const locker = this.#locker
    if (locker === undefined) throw new LockerError('vault-sealed', 'the vault is sealed')
    this.#touch()
    return locker
  }

  #touch(): void {
    const { clock, logger, limits = {} } = this.#components
    if (limits.idleMs === undefined) return
    this.#cancelIdle()
    this.#cancelIdle = clock.after(limits.idleMs, () => {
      logger.info('sealed-when-idle', { idleMs: limits.idleMs })
      this.#background.run('not-sealed-when-idle', () => this.#inTurn(() => this.#seal()))
    })
  }

  /** An entry in the audit log, when it can be read and so written. */
  async #note(
    action: 'passphrase-changed' | 'recovery-kit-replaced' | 'recovery-confirmed'
  ): Promise<void> {
    const locker = this.#locker
    await locker?.records.change((batch) => {
      locker.audit.append(batch, { action, actor: 'owner' })
      batch.afterwards(() => this.#emit('vault'))
    })
  }

  #ownerOf({ owner, identity }: OpenLocker): OwnerFacts {
    const record = owner.get(OWNER)
    return {
      name: record?.name ?? UNNAMED_OWNER,
      did: identity.holderDid,
      createdAt: record?.createdAt ?? this.#components.clock.now().toISOString(),
      recoveryConfirmed: this.#vault.recoveryConfirmed
    }
  }

  #state(): VaultState {
    if (this.#locker !== undefined) return 'open'
    if (this.#opening) return 'opening'
    // The vault still holds its key while the features close.
    return this.#vault.state === 'new' ? 'new' : 'sealed'
  }

  #emit(type: AgentEvent['type'], id?: string): void {
    this.#events += 1
    const event: AgentEvent = { number: this.#events, type, ...(id === undefined ? {} : { id }) }
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#components.logger.error('listener-failed', { error: String(error) })
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work)
    this.#lastTurn = turn.catch(() => undefined)
    return turn
  }
}
