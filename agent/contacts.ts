/**
 * Contacts: the other parties, each under a pairwise DID and a name of the owner's choice.
 *
 * @module
 */

export interface ContactFacts {
  /** Their DID. */
  readonly did: string
  /** Our pairwise DID for them. */
  readonly ourDid: string
  /** The owner's name for them; unique without regard to case. */
  readonly name: string
  /** What they call themselves; unproven. */
  readonly claimedName?: string
  /** `waiting`: our first message has not been answered. */
  readonly state: 'waiting' | 'connected'
  readonly addedAt: string
  readonly lastSeenAt?: string
}

export interface InvitationFacts {
  readonly id: string
  /** `http…/i?_oob=…`, out-of-band 2.0. */
  readonly url: string
  readonly expiresAt: string
  readonly usedBy?: string
}

export interface Contacts {
  list(): readonly ContactFacts[]
  /** By DID, or by name without regard to case. Throws `contact-unknown`, `contact-ambiguous`. */
  get(didOrName: string): ContactFacts
  rename(did: string, name: string): Promise<ContactFacts>
  /** Forgets the contact; live grants to it are revoked first. */
  remove(did: string): Promise<void>
  /** Round trip by trust-ping 2.0, in milliseconds. Throws `peer-unreachable` after 15 s. */
  ping(did: string): Promise<number>
  /** Protocols the other agent discloses (discover-features 2.0). */
  features(did: string): Promise<readonly string[]>
  /** A single-use invitation, 7 days by default. `name`: what to call whoever answers. */
  invite(options?: { name?: string; expiresAt?: Date }): Promise<InvitationFacts>
  invitations(): readonly InvitationFacts[]
  cancelInvitation(id: string): Promise<void>
  /** Accepts an invitation URL; the contact is stored at once, the other side learns of it when reachable. */
  accept(url: string, options?: { name?: string }): Promise<ContactFacts>
}
