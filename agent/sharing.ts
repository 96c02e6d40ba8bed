/**
 * Sharing with contacts: grants given and received, requests for documents.
 *
 * @module
 */
import type { ByteRange } from './documents.ts'

export type Permission = 'read' | 'copy'

/** States of the share protocol (protocols/sharing.ts), and `expired`, which the clock decides. */
export type GrantState = 'requested' | 'granted' | 'accepted' | 'declined' | 'revoked' | 'expired'

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
  /** Whether the last message to the other side has gone out. */
  readonly delivery?: 'waiting' | 'sent' | 'failed'
}

/** A contact asks for a document. */
export interface RequestFacts {
  readonly id: string
  readonly direction: 'sent' | 'received'
  readonly state: 'requested' | 'granted' | 'declined' | 'expired'
  readonly contact: { readonly did: string; readonly name: string }
  /** What is wanted, in the asker's words. */
  readonly wanted: string
  readonly purpose: string
  readonly createdAt: string
  readonly reason?: string
}

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
  readonly kind: 'grant' | 'request'
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
