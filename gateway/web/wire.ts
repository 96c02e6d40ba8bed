/**
 * The shapes the private listener answers with. They repeat the agent's contract types on purpose: the page
 * may not import the agent (test/architecture.test.ts), and test/web/wire.test.ts does not compile when
 * the two differ.
 *
 * @module
 */
import type { Check } from '../../protocols/credential/checks.ts'
import type { CredentialType } from '../../protocols/credential/credential-type.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import type { Verdict } from '../../protocols/credential/verdict.ts'
import type { CredentialOffer } from '../../protocols/issuance-attachments.ts'

/** `new`: no locker has been created yet. */
export type VaultState = 'new' | 'sealed' | 'opening' | 'open'

/** What opens a vault. */
export type Secret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'key-file'; readonly text: string }

/** `GET /node`. The owner's facts are there only while the vault is open and the caller authenticated. */
export interface NodeState {
  readonly state: VaultState
  readonly version: string
  readonly name?: string
  readonly did?: string
  readonly recoveryConfirmed?: boolean
  readonly peerId: string
  readonly addresses: {
    readonly private: string
    /** `null`: the public listener is off, so links and invitations reach nobody outside. */
    readonly public: string | null
    readonly socket?: string
    readonly p2p: readonly string[]
  }
  /** Connected peers, counted. */
  readonly peers: number
  readonly relay: boolean
  /** How many records start found missing or damaged. */
  readonly damage: number
}

export interface PeerFacts {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
  readonly since: string
}

export interface StorageFacts {
  readonly blocks: number
  readonly bytes: number
  readonly documents: number
  /** Bytes left on the disk, where the system tells. */
  readonly free?: number
}

export interface OwnerFacts {
  readonly name: string
  readonly did: string
  readonly createdAt: string
  readonly recoveryConfirmed: boolean
}

/** Shown once. `ask`: positions (1 to 24) of the words to ask back. */
export interface RecoveryKit {
  readonly words: readonly string[]
  readonly documentIdentity: string
  readonly documentRecipient: string
  readonly ask: readonly [number, number, number]
}

interface VersionFacts {
  readonly number: number
  readonly root: string
  readonly sizeBytes: number
  readonly mediaType: string
  readonly addedAt: string
}

export interface DocumentFacts {
  readonly id: string
  readonly name: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly root: string
  readonly version: number
  readonly versions: readonly VersionFacts[]
  readonly tags: readonly string[]
  readonly type?: string
  readonly addedAt: string
  readonly changedAt: string
  readonly trashedAt?: string
  readonly source?: { readonly grant: string; readonly from: string }
  readonly damagedBlocks?: readonly string[]
}

export interface CheckReport {
  readonly documents: number
  readonly blocks: number
  readonly bytes: number
  readonly damaged: ReadonlyArray<{
    id: string
    name: string
    version: number
    blocks: readonly string[]
  }>
}

export type Permission = 'read' | 'copy'
type GrantState = 'requested' | 'granted' | 'accepted' | 'declined' | 'revoked' | 'expired'

export interface GrantFacts {
  readonly id: string
  readonly direction: 'given' | 'received'
  readonly state: GrantState
  readonly contact: { readonly did: string; readonly name: string }
  readonly document: {
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
  readonly reason?: string
  readonly fetches?: number
  readonly lastFetchedAt?: string
  readonly delivery?: 'waiting' | 'sent' | 'failed'
}

export interface LinkFacts {
  readonly id: string
  readonly document: { readonly id: string; readonly name: string }
  readonly purpose?: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly usesMax: number
  readonly uses: number
  readonly passphrase: boolean
  readonly state: 'live' | 'used-up' | 'expired' | 'stopped'
}

/** One line of `GET /shares`. */
export type ShareFacts =
  | ({ readonly kind: 'grant' } & GrantFacts)
  | ({ readonly kind: 'link' } & LinkFacts)

export interface RequestFacts {
  readonly id: string
  readonly direction: 'sent' | 'received'
  readonly state: 'requested' | 'granted' | 'declined' | 'expired'
  readonly contact: { readonly did: string; readonly name: string }
  readonly wanted: string
  readonly purpose: string
  readonly createdAt: string
  readonly reason?: string
}

export interface InboxItem {
  readonly id: string
  readonly kind: 'grant' | 'request' | 'credential-offer' | 'credential-request'
  readonly state: string
  readonly from: string
  readonly fromDid: string
  readonly subject: string
  readonly purpose: string
  readonly receivedAt: string
  readonly expiresAt?: string
}

export interface ContactFacts {
  readonly did: string
  readonly ourDid: string
  readonly name: string
  readonly claimedName?: string
  readonly state: 'waiting' | 'connected'
  readonly addedAt: string
  readonly lastSeenAt?: string
}

export interface InvitationFacts {
  readonly id: string
  readonly url: string
  readonly expiresAt: string
  readonly usedBy?: string
}

export interface ActivityEntry {
  readonly number: number
  readonly time: string
  /** One of agent/audit.ts; an older page may meet an action it has no words for. */
  readonly action: string
  readonly actor: string
  readonly actorName?: string
  readonly document?: { readonly id: string; readonly name: string }
  readonly grant?: string
  readonly link?: string
  readonly purpose?: string
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export interface OutboxItem {
  readonly id: string
  readonly to: { readonly did: string; readonly name?: string }
  readonly type: string
  readonly thid?: string
  readonly state: 'waiting' | 'sending' | 'sent' | 'failed'
  readonly attempts: number
  readonly createdAt: string
  readonly nextAttemptAt?: string
  readonly expiresAt: string
  readonly lastError?: string
}

export interface TokenFacts {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt?: string
  readonly lastUsedAt?: string
}

/** One message of `GET /events`. */
export interface AgentEvent {
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
    | 'issuance'
    | 'issued'
    | 'credential'
  readonly id?: string
}

type CredentialFormat = 'vcdm-2.0' | 'sd-jwt-vc'

/** A credential the owner keeps; it is the document of the same id. */
export interface CredentialFacts {
  readonly id: string
  readonly name: string
  readonly credentialId: string
  readonly type: string
  readonly version: string
  readonly types: readonly string[]
  readonly format: CredentialFormat
  readonly issuer: string
  readonly from: { readonly did: string; readonly name: string }
  readonly subject?: string
  /** What the issuer has said last. */
  readonly state: 'current' | 'suspended' | 'revoked' | 'replaced'
  readonly reason?: string
  readonly stateAt?: string
  readonly validFrom?: string
  readonly validUntil?: string
  readonly receivedAt: string
  readonly replaces?: string
  readonly replacedBy?: string
  readonly thid: string
}

/** One exchange in which a credential is asked for, offered and delivered. */
export interface IssuanceFacts {
  readonly thid: string
  readonly role: 'issuer' | 'holder'
  readonly state: 'start' | 'proposed' | 'offered' | 'requested' | 'issued' | 'done' | 'abandoned'
  readonly ending?: 'declined' | 'cancelled' | 'failed'
  readonly endedByThem?: boolean
  readonly type: string
  readonly version?: string
  readonly with: { readonly did: string; readonly name: string }
  readonly openedBy: 'us' | 'them'
  readonly createdAt: string
  readonly at: string
  readonly expectedAt?: string
  readonly reason?: string
  readonly form?: Readonly<Record<string, unknown>>
  readonly offer?: CredentialOffer
  readonly candidates?: number
  /** Holder: id of the document it is kept as. */
  readonly credentialId?: string
  readonly attention?: 'accept' | 'choose' | 'approve' | 'sign'
  readonly delivery?: 'waiting' | 'sent' | 'failed'
}

export interface IssuerFacts {
  readonly did: string
  readonly domain?: string
  /** By language. */
  readonly names: Readonly<Record<string, string>>
  readonly categories: readonly CredentialType['category'][]
  readonly logo?: string
  readonly secondApproval: boolean
  readonly createdAt: string
  readonly keys: ReadonlyArray<{
    readonly id: string
    readonly createdAt: string
    readonly expiresAt?: string
    readonly revokedAt?: string
  }>
}

export interface TypeFacts {
  readonly type: CredentialType
  readonly state: 'draft' | 'published' | 'deprecated'
  readonly builtIn: boolean
  readonly savedAt?: string
  readonly publishedAt?: string
  readonly deprecatedAt?: string
}

export interface IssuedFacts {
  readonly id: string
  readonly type: string
  readonly version: string
  readonly format: CredentialFormat
  readonly credentialId: string
  readonly series: string
  readonly state:
    | 'awaiting-approval'
    | 'awaiting-contact'
    | 'offered'
    | 'issued'
    | 'accepted'
    | 'refused'
    | 'declined'
    | 'withdrawn'
  readonly status: 'unsigned' | 'valid' | 'suspended' | 'revoked' | 'replaced'
  readonly to?: { readonly did: string; readonly name: string }
  readonly thid?: string
  readonly subject?: string
  readonly claims: JsonObject
  readonly validFrom: string
  readonly validUntil?: string
  readonly replaces?: string
  readonly replacedBy?: string
  readonly preparedBy: string
  readonly approvedBy?: string
  readonly createdAt: string
  readonly issuedAt?: string
  readonly reason?: string
  readonly history: ReadonlyArray<{
    readonly at: string
    readonly by: string
    readonly what:
      | 'prepared'
      | 'approved'
      | 'offered'
      | 'issued'
      | 'accepted'
      | 'refused'
      | 'declined'
      | 'withdrawn'
      | 'suspended'
      | 'reinstated'
      | 'revoked'
      | 'replaced'
    readonly reason?: string
  }>
}

/** Verdicts on what was shown; their parts are the protocols' own types, which the page may import. */
export interface Verification {
  readonly carrier: 'json' | 'sd-jwt' | 'qr' | 'pdf' | 'presentation'
  /** One for each credential shown. */
  readonly verdicts: readonly Verdict[]
  /** The gravest of all. */
  readonly result: Verdict['result']
  readonly holder?: Check
}

/** A page of a list. */
export interface Listed<T> {
  readonly items: readonly T[]
  readonly nextCursor?: string
}

/** The scopes a token may have; `admin` implies all. */
export const SCOPES = [
  'documents:read',
  'documents:write',
  'shares',
  'inbox',
  'contacts',
  'activity',
  'issuer:read',
  'issuer:change',
  'issuer:rotate-key',
  'staff:read',
  'staff:change',
  'types:read',
  'types:change',
  'types:publish',
  'registry:read',
  'registry:change',
  'credentials:read',
  'credentials:issue',
  'credentials:approve',
  'credentials:revoke',
  'admin'
] as const
