/**
 * What was issued: one record a credential, from the day it is prepared, and what its issuer did with it
 * since.
 *
 * | record   | key           | holds                                                                      |
 * |----------|---------------|----------------------------------------------------------------------------|
 * | `issued` | a random id   | claims, for whom, state, place in the status lists, the signed text, history |
 *
 *     awaiting-approval ─▶ awaiting-contact ─▶ offered ─▶ issued ─▶ accepted
 *            └──────────────────┴──────────────┬─┘          └─────▶ refused
 *                                  withdrawn, declined
 *
 * Beside its state, which is how far it has come, a signed credential has a status, which is what it is
 * worth: `valid`, `suspended`, `revoked`, `replaced`. The status here and the bits of the status lists change
 * in one batch. Corrections and renewals form a series, of which at most one credential is `valid` or
 * `suspended`; `series` goes out as `replacement_id`.
 *
 * @module
 */
import { z } from 'zod'
import { isJsonObject, jsonFault, type JsonObject } from '../protocols/credential/json.ts'
import {
  CREDENTIAL_FORMATS,
  credentialTypeId,
  credentialTypeVersion,
  type CredentialFormat
} from '../protocols/issuance-attachments.ts'
import { ISSUANCE_TEXT_CHARACTERS_MAX } from '../protocols/issuance.ts'
import { MESSAGE_BYTES_MAX } from '../protocols/message.ts'
import type { Clock } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import { LockerError } from './errors.ts'
import type { Batch, Collection, Records } from './records.ts'

/** Events remembered of one credential, the first and the latest; suspended and reinstated each month for a decade. */
export const HISTORY_MAX = 240
/** Status entries of one credential: revocation and suspension. */
const STATUS_ENTRIES_MAX = 4

const ISSUED_STATES = [
  'awaiting-approval', // prepared; a second person has to approve
  'awaiting-contact', // approved; the invitation has not been answered
  'offered',
  'issued', // signed and on its way
  'accepted', // the holder keeps it
  'refused', // the holder's check said no; it is signed all the same
  'declined', // the holder did not want it
  'withdrawn' // the issuer took the offer back
] as const
type IssuedState = (typeof ISSUED_STATES)[number]

/** States in which an offer can still become a credential. */
const OPEN: ReadonlySet<IssuedState> = new Set(['awaiting-approval', 'awaiting-contact', 'offered'])

const ISSUED_STATUSES = ['unsigned', 'valid', 'suspended', 'revoked', 'replaced'] as const
export type IssuedStatus = (typeof ISSUED_STATUSES)[number]

/** What happened to a credential, by whom: `owner`, the id of a member of staff, a contact's DID, or `locker`. */
export interface IssuedEvent {
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
}

export interface IssuedFacts {
  readonly id: string
  /** Kind of credential and the version it is issued under. */
  readonly type: string
  readonly version: string
  readonly format: CredentialFormat
  /** `id` of the credential, or `jti` of an SD-JWT: `urn:uuid:…`. */
  readonly credentialId: string
  /** The same for a credential and all that replace it. */
  readonly series: string
  readonly state: IssuedState
  readonly status: IssuedStatus
  /** Absent while the invitation has not been answered, and for one that was handed out directly. */
  readonly to?: { readonly did: string; readonly name: string }
  /** The issuance thread. */
  readonly thid?: string
  /** The holder's DID, once proven; or the one that was asked for. */
  readonly subject?: string
  /** `credentialSubject`, as prepared. */
  readonly claims: JsonObject
  readonly validFrom: string
  readonly validUntil?: string
  /** Ids of issued credentials. */
  readonly replaces?: string
  readonly replacedBy?: string
  readonly preparedBy: string
  readonly approvedBy?: string
  readonly createdAt: string
  readonly issuedAt?: string
  /** The latest reason that was given. */
  readonly reason?: string
  readonly history: readonly IssuedEvent[]
}

const instant = z.iso.datetime()
const who = z.string().min(1).max(4096)
const text = z.string().max(ISSUANCE_TEXT_CHARACTERS_MAX)
/** Members stay as they are: whatever the type calls them, they are data. */
const jsonObject = z.custom<JsonObject>(
  (value) => isJsonObject(value) && jsonFault(value) === undefined,
  'not a JSON object'
)

/** Where a credential stands in a status list. */
const statusEntry = z.strictObject({ list: z.string().max(64), index: z.int().nonnegative() })

const issuedRecord = z.strictObject({
  type: credentialTypeId,
  version: credentialTypeVersion,
  format: z.enum(CREDENTIAL_FORMATS),
  suite: z.enum(['eddsa-jcs-2022', 'eddsa-rdfc-2022']),
  credentialId: z.string().max(256),
  series: z.string().min(1).max(256),
  state: z.enum(ISSUED_STATES),
  status: z.enum(ISSUED_STATUSES),
  /** The contact's handle and its name at the time. */
  contact: z.exactOptional(who),
  contactName: z.exactOptional(z.string().max(256)),
  invitation: z.exactOptional(z.string().max(128)),
  thid: z.exactOptional(z.string().max(128)),
  subject: z.exactOptional(who),
  claims: jsonObject,
  validFrom: instant,
  validUntil: z.exactOptional(instant),
  revocation: statusEntry,
  suspension: statusEntry,
  /** `credentialStatus`, as it stands in the credential. */
  entries: z.array(jsonObject).max(STATUS_ENTRIES_MAX),
  replaces: z.exactOptional(z.string().max(64)),
  replacedBy: z.exactOptional(z.string().max(64)),
  preparedBy: who,
  approvedBy: z.exactOptional(who),
  createdAt: instant,
  issuedAt: z.exactOptional(instant),
  /** What was signed and sent: JSON, or a compact SD-JWT. Signed once; whoever asks again gets the same. */
  signed: z.exactOptional(z.string().max(MESSAGE_BYTES_MAX)),
  reason: z.exactOptional(text),
  history: z
    .array(
      z.strictObject({
        at: instant,
        by: who,
        what: z.enum([
          'prepared',
          'approved',
          'offered',
          'issued',
          'accepted',
          'refused',
          'declined',
          'withdrawn',
          'suspended',
          'reinstated',
          'revoked',
          'replaced'
        ]),
        reason: z.exactOptional(text)
      })
    )
    .max(HISTORY_MAX)
})

export type IssuedRecord = Readonly<z.infer<typeof issuedRecord>>
/** A record with its key. Not changed in place: {@link IssuedRecords.put} stores what became of it. */
export type IssuedCredential = IssuedRecord & { readonly id: string }

export interface IssuedComponents {
  readonly records: Records
  readonly contacts: Pick<ContactDirectory, 'find'>
  readonly clock: Clock
  /** Called after the change is durable. */
  readonly changed: (id: string) => void
}

/** Opens what was issued from an open vault. */
export async function openIssued(components: IssuedComponents): Promise<IssuedRecords> {
  return new IssuedRecords(components, await components.records.collection('issued', issuedRecord))
}

export class IssuedRecords {
  readonly #components: IssuedComponents
  readonly #issued: Collection<IssuedRecord>

  constructor(components: IssuedComponents, issued: Collection<IssuedRecord>) {
    this.#components = components
    this.#issued = issued
  }

  find(id: string): IssuedCredential | undefined {
    const record = this.#issued.get(id)
    return record === undefined ? undefined : { ...record, id }
  }

  /** Throws `credential-unknown`. */
  get(id: string): IssuedCredential {
    const found = this.find(id)
    if (found === undefined)
      throw new LockerError('credential-unknown', `no credential ${id.slice(0, 64)} was issued`)
    return found
  }

  *all(): IterableIterator<IssuedCredential> {
    for (const [id, record] of this.#issued.entries()) yield { ...record, id }
  }

  put(batch: Batch, credential: IssuedCredential): IssuedCredential {
    const { id, ...record } = credential
    this.#issued.put(batch, id, record)
    batch.afterwards(() => this.#components.changed(id))
    return credential
  }

  /** The credential after something happened to it, with that in its history; stored. */
  note(
    batch: Batch,
    credential: IssuedCredential,
    event: Omit<IssuedEvent, 'at'>,
    changes: Partial<IssuedRecord> = {}
  ): IssuedCredential {
    const reason = event.reason?.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX)
    const entry = {
      at: this.#components.clock.now().toISOString(),
      by: event.by,
      what: event.what,
      ...(reason === undefined ? {} : { reason })
    }
    const { history } = credential
    // How it began stays, whatever comes after.
    const kept =
      history.length < HISTORY_MAX ? history : [...history.slice(0, 1), ...history.slice(2)]
    return this.put(batch, {
      ...credential,
      ...changes,
      ...(reason === undefined ? {} : { reason }),
      history: [...kept, entry]
    })
  }

  /** What is on its way to take this one's place. */
  replacement(id: string): IssuedCredential | undefined {
    for (const credential of this.all())
      if (credential.replaces === id && OPEN.has(credential.state)) return credential
    return undefined
  }

  facts(credential: IssuedCredential): IssuedFacts {
    const {
      suite: _suite,
      contact,
      contactName,
      invitation: _invitation,
      entries: _entries,
      revocation: _revocation,
      suspension: _suspension,
      signed: _signed,
      ...facts
    } = credential
    const name = contact === undefined ? undefined : this.#components.contacts.find(contact)?.name
    return {
      ...facts,
      ...(contact === undefined ? {} : { to: { did: contact, name: name ?? contactName ?? '' } })
    }
  }
}

/** Whether it has been signed, and neither revoked nor replaced. */
export function isCurrent({ status }: Pick<IssuedRecord, 'status'>): boolean {
  return status === 'valid' || status === 'suspended'
}

/** Whether it can still become a credential. */
export function isOpen({ state }: Pick<IssuedRecord, 'state'>): boolean {
  return OPEN.has(state)
}
