/**
 * Offers for someone new: they wait until their invitation has been answered.
 *
 * @module
 */
import type { ContactDirectory } from './contacts.ts'
import type { CredentialTypes } from './credential-types.ts'
import type { Preparing } from './issuance-preparing.ts'
import type { IssuedCredential, IssuedRecords } from './issued.ts'
import type { Records } from './records.ts'

export interface AwaitedComponents {
  readonly records: Records
  readonly issued: IssuedRecords
  readonly types: Pick<CredentialTypes, 'get'>
  readonly contacts: Pick<ContactDirectory, 'invitations' | 'find'>
  readonly preparing: Preparing
}

export class AwaitedOffers {
  readonly #components: AwaitedComponents
  /** Invitations that offers wait for; messages of contacts come often, and most are about something else. */
  readonly #invitations = new Set<string>()

  constructor(components: AwaitedComponents) {
    this.#components = components
    for (const credential of components.issued.all()) this.add(credential)
  }

  add({ invitation, state, contact }: IssuedCredential): void {
    if (invitation !== undefined && state === 'awaiting-contact' && contact === undefined)
      this.#invitations.add(invitation)
  }

  forget(invitation: string): void {
    this.#invitations.delete(invitation)
  }

  /** A contact has been heard: it may be who an invitation was for. */
  async heard(did: string): Promise<void> {
    if (this.#invitations.size > 0) await this.#offer(did)
  }

  /** Offers what a crash, or a second person's approval, has kept from being offered. */
  async resume(): Promise<void> {
    if (this.#invitations.size > 0) await this.#offer()
  }

  async #offer(did?: string): Promise<void> {
    for (const { id: invitation, usedBy } of this.#components.contacts.invitations()) {
      if (usedBy === undefined || !this.#invitations.has(invitation)) continue
      if (did === undefined || usedBy === did) await this.#offerTo(usedBy, invitation)
    }
  }

  async #offerTo(did: string, invitation: string): Promise<void> {
    const { records, contacts, issued, types, preparing } = this.#components
    await records.change((batch) => {
      const contact = contacts.find(did)
      if (contact === undefined) return
      const to = { contact: contact.did, contactName: contact.name }
      for (const credential of issued.all()) {
        if (credential.invitation !== invitation || credential.state !== 'awaiting-contact')
          continue
        const { type } = types.get(credential.type, credential.version)
        preparing.offer(batch, credential, type, to)
      }
      batch.afterwards(() => this.forget(invitation))
    })
  }
}
