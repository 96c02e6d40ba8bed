/**
 * What an issued credential is worth: suspended, reinstated, revoked, replaced. The bit of the status list, the
 * record, the notice to the holder and the audit entry are one batch: nobody is told what the list does not
 * say, and the list says nothing that is not on record.
 *
 * @module
 */
import {
  CREDENTIAL_STATUS,
  REVOCATION_FORMAT,
  REVOCATION_NOTIFICATION,
  type RevokeBody,
  type StatusChangedBody
} from '../protocols/credential-status.ts'
import { ISSUANCE_TEXT_CHARACTERS_MAX } from '../protocols/issuance.ts'
import type { Audit } from './audit.ts'
import type { Clock } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import { LockerError } from './errors.ts'
import {
  isCurrent,
  type IssuedCredential,
  type IssuedFacts,
  type IssuedRecords,
  type IssuedStatus
} from './issued.ts'
import type { Outbox } from './outbox.ts'
import type { Batch, Records } from './records.ts'
import type { StatusLists } from './status-lists.ts'

/** Why, in the issuer's words, and who: `owner`, the id of a member of staff, or `locker`. */
export interface StatusReason {
  /** At most 500 characters; told to the holder. */
  readonly reason?: string
  /** Default `owner`. */
  readonly by?: string
}

export interface StatusComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly issued: IssuedRecords
  readonly statusLists: Pick<StatusLists, 'set'>
  readonly contacts: Pick<ContactDirectory, 'find'>
  readonly outbox: Pick<Outbox, 'enqueue'>
  readonly clock: Clock
}

type Change = 'suspended' | 'reinstated' | 'revoked' | 'replaced'

/** From which status each change leads where, and which bit says so. */
// oxfmt-ignore
const CHANGES = {
  suspended:  { from: ['valid'],              to: 'suspended', list: 'suspension', value: true  },
  reinstated: { from: ['suspended'],          to: 'valid',     list: 'suspension', value: false },
  revoked:    { from: ['valid', 'suspended'], to: 'revoked',   list: 'revocation', value: true  },
  replaced:   { from: ['valid', 'suspended'], to: 'replaced',  list: 'revocation', value: true  }
} as const satisfies Record<Change, {
  readonly from: readonly IssuedStatus[]
  readonly to: IssuedStatus
  readonly list: 'revocation' | 'suspension'
  readonly value: boolean
}>

export class StatusChanges {
  readonly #components: StatusComponents

  constructor(components: StatusComponents) {
    this.#components = components
  }

  /** Throws `credential-unknown`, `credential-state`, `request-invalid` for a reason that is too long. */
  async change(
    id: string,
    change: Exclude<Change, 'replaced'>,
    { reason, by = 'owner' }: StatusReason
  ): Promise<IssuedFacts> {
    if (reason !== undefined && reason.length > ISSUANCE_TEXT_CHARACTERS_MAX)
      throw new LockerError(
        'request-invalid',
        `a reason has at most ${ISSUANCE_TEXT_CHARACTERS_MAX} characters`
      )
    const { records, issued } = this.#components
    await records.change((batch) => {
      const credential = issued.get(id)
      const allowed: readonly IssuedStatus[] = CHANGES[change].from
      if (!allowed.includes(credential.status))
        throw new LockerError(
          'credential-state',
          `credential ${id} is ${credential.status} and cannot be ${change}`,
          { facts: { status: credential.status } }
        )
      this.#apply(batch, credential, change, { by, ...(reason === undefined ? {} : { reason }) })
    })
    return issued.facts(issued.get(id))
  }

  /** Puts a new credential in the place of an old one, in the batch that signs the new one. */
  replace(
    batch: Batch,
    old: IssuedCredential,
    next: IssuedCredential,
    { reason, by = 'owner' }: StatusReason
  ): void {
    const { issued } = this.#components
    // Revoked meanwhile: it stays so, and is followed all the same.
    if (!isCurrent(old)) {
      issued.put(batch, { ...old, replacedBy: next.id })
      return
    }
    this.#apply(batch, { ...old, replacedBy: next.id }, 'replaced', {
      by,
      reason: reason ?? 'replaced',
      replacement: next.credentialId
    })
  }

  #apply(
    batch: Batch,
    credential: IssuedCredential,
    change: Change,
    why: { readonly by: string; readonly reason?: string; readonly replacement?: string }
  ): void {
    const { audit, issued, statusLists } = this.#components
    const { to: status, list, value } = CHANGES[change]
    const { by, reason } = why
    const event = { what: change, by, ...(reason === undefined ? {} : { reason }) }
    const changed = issued.note(batch, credential, event, { status })
    statusLists.set(batch, credential[list], value)
    this.#tell(batch, changed, change, why)
    audit.append(batch, {
      action: `credential-${change}`,
      actor: by,
      details: {
        credential: credential.credentialId,
        type: credential.type,
        ...(credential.contactName === undefined ? {} : { to: credential.contactName }),
        ...(reason === undefined ? {} : { reason })
      }
    })
  }

  #tell(
    batch: Batch,
    { contact, credentialId }: IssuedCredential,
    change: Change,
    { reason, replacement }: { readonly reason?: string; readonly replacement?: string }
  ): void {
    const { contacts, outbox, clock } = this.#components
    // Handed out to nobody we can reach, or to a contact that has been removed.
    if (contact === undefined || contacts.find(contact) === undefined) return
    if (change === 'revoked') {
      const body: RevokeBody = {
        revocation_format: REVOCATION_FORMAT,
        credential_id: credentialId,
        ...(reason === undefined ? {} : { comment: reason })
      }
      outbox.enqueue(batch, { to: contact, type: `${REVOCATION_NOTIFICATION}/revoke`, body })
      return
    }
    const body: StatusChangedBody = {
      credential_id: credentialId,
      status: change,
      at: clock.now().toISOString(),
      ...(reason === undefined ? {} : { reason }),
      ...(replacement === undefined ? {} : { replacement_id: replacement })
    }
    outbox.enqueue(batch, { to: contact, type: `${CREDENTIAL_STATUS}/changed`, body })
  }
}
