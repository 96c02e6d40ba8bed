/**
 * Contacts: the other parties, each under a pairwise DID and a name of the owner's choice.
 *
 * @module
 */
import type { Endpoint } from './components.ts'

export interface ContactFacts {
  /**
   * The DID they were first known by: the contact's handle everywhere in this agent, and it stays the
   * same when they rotate.
   */
  readonly did: string
  /** The DID they use now, when it is another. */
  readonly currentDid?: string
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

/** What the other features use of the contacts beside the owner's door. */
export interface ContactDirectory extends Contacts {
  /** By any DID the contact is or was known by; `undefined` when it is no contact. */
  find(did: string): ContactFacts | undefined
  /** Where the contact can be reached, libp2p first. Throws `contact-unknown`, `did-unresolvable`. */
  endpoints(did: string): Promise<readonly Endpoint[]>
  /** Called before a contact is forgotten, one hook after the other; a hook that throws stops the removal. */
  onRemove(hook: (contact: ContactFacts) => Promise<void>): void
}
