/**
 * The door of the agent: everything the gateway and the process may ask of it.
 *
 * @module
 */
import type { Activity } from './audit.ts'
import type { PullAnswer } from './components.ts'
import type { Contacts } from './contacts.ts'
import type { Documents } from './documents.ts'
import type { Links } from './links.ts'
import type { OutboxItem } from './outbox.ts'
import type { InboxItem, Sharing } from './sharing.ts'
import type { TokenFacts } from './tokens.ts'
import type { RecoveryKit, Secret, VaultState } from './vault.ts'

export type { ActivityEntry, Activity } from './audit.ts'
export type {
  Clock,
  Endpoint,
  Logger,
  Network,
  PullAnswer,
  PullSession,
  Random,
  SmallFiles
} from './components.ts'
export type { ContactFacts, Contacts, InvitationFacts } from './contacts.ts'
export type {
  AddOptions,
  ByteRange,
  CheckReport,
  DocumentFacts,
  Documents,
  OpenedDocument,
  VersionFacts
} from './documents.ts'
export type { LinkFacts, Links, OpenedLink } from './links.ts'
export type { OutboxItem } from './outbox.ts'
export type { GrantFacts, InboxItem, RequestFacts, Sharing } from './sharing.ts'
export type { TokenFacts } from './tokens.ts'
export type { RecoveryKit, Secret, VaultState } from './vault.ts'

/** Who the owner is, to themself. Only while the vault is open. */
export interface OwnerFacts {
  readonly name: string
  /** did:key of the holder, the subject of credentials. Contacts see pairwise did:peer DIDs instead. */
  readonly did: string
  readonly createdAt: string
  /** Whether three of the recovery words were given back. */
  readonly recoveryConfirmed: boolean
}

/** Something changed; the page and `GET /events` follow these. */
export interface AgentEvent {
  /** Counts from 1 at start. */
  readonly number: number
  readonly type:
    | 'vault'
    | 'document'
    | 'grant'
    | 'request'
    | 'link'
    | 'contact'
    | 'outbox'
    | 'activity'
  /** Id of the thing that changed. */
  readonly id?: string
}

export interface Agent {
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
  /** One packed envelope from a transport. Never throws for what the other side did wrong. */
  receive(
    envelope: Uint8Array,
    from: { transport: 'libp2p' | 'http'; peer?: string }
  ): Promise<void>
  /** Authorises a peer to pull a grant's blocks; the fetch is counted and audited before this resolves. */
  authorisePull(grant: string, peerId: string): Promise<PullAnswer>
  /** What start found missing or damaged; empty on a healthy home. */
  readonly damage: ReadonlyArray<{ sublevel: string; key: string; reason: string }>
  /** Returns what unsubscribes. */
  subscribe(listener: (event: AgentEvent) => void): () => void
  close(): Promise<void>
}
