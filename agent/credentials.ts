/**
 * The holder's credentials: each is a document of the locker, and beside it a record of where it came
 * from, what it is verified with off-line, and what its issuer has said of it since.
 *
 * | record        | key               | holds                                                              |
 * |---------------|-------------------|--------------------------------------------------------------------|
 * | `credentials` | the document's id | issuer, subject, kind, contact, verification bundle, status notice |
 *
 * The document's bytes are the credential as it was issued, to the byte: that is what is shared and verified. Its
 * record goes with the document.
 *
 * What the issuer says in a notice is shown as that. Whether a credential holds, the verdict says, from the signed
 * status list (protocols/credential/verdict.ts).
 *
 * @module
 */
import { z } from 'zod'
import type { StatusNotice } from '../protocols/credential-status.ts'
import { CREDENTIAL_BYTES_MAX, type JsonObject } from '../protocols/credential/json.ts'
import { CREDENTIAL_FORMATS, type CredentialFormat } from '../protocols/issuance-attachments.ts'
import { MESSAGE_BYTES_MAX } from '../protocols/message.ts'
import type { Audit } from './audit.ts'
import type { Clock } from './components.ts'
import type { ContactDirectory, ContactFacts } from './contacts.ts'
import type { DocumentStore } from './documents.ts'
import { LockerError } from './errors.ts'
import type { Refusal } from './exchanges.ts'
import type { Batch, Collection, Records } from './records.ts'

/** What the issuer has said last; `current` when nothing. */
type CredentialState = 'current' | 'suspended' | 'revoked' | 'replaced'

export interface CredentialFacts {
  /** Id of the document, and of the credential here. */
  readonly id: string
  /** The document's name. */
  readonly name: string
  /** `id` of the credential, or `jti` of an SD-JWT. */
  readonly credentialId: string
  /** Id of the kind of credential at its issuer. */
  readonly type: string
  readonly version: string
  /** VC types beside `VerifiableCredential`. */
  readonly types: readonly string[]
  readonly format: CredentialFormat
  /** Who signed it. */
  readonly issuer: string
  /** The contact it came from. */
  readonly from: { readonly did: string; readonly name: string }
  /** Whom it is about. */
  readonly subject?: string
  readonly state: CredentialState
  /** Why, in the issuer's words, and when it said so. */
  readonly reason?: string
  readonly stateAt?: string
  readonly validFrom?: string
  readonly validUntil?: string
  readonly receivedAt: string
  /** Documents, when they are here. */
  readonly replaces?: string
  readonly replacedBy?: string
  /** The issuance thread. */
  readonly thid: string
}

/** What a verdict on a kept credential starts from. */
interface VerdictInput {
  /** JSON text or compact SD-JWT, as it was issued. */
  readonly text: string
  /** JSON of the verification bundle; `undefined` when none came along. */
  readonly bundle?: JsonObject
}

export interface Credentials {
  /** Newest first; without those in the trash. */
  list(): readonly CredentialFacts[]
  /** By the document's id. Throws `credential-unknown`. */
  get(id: string): CredentialFacts
  /** Throws `credential-unknown`, `document-damaged`. */
  verdictInput(id: string): Promise<VerdictInput>
}

const instant = z.iso.datetime()
const name = z.string().min(1).max(4096)

const credentialRecord = z.strictObject({
  credentialId: name,
  type: z.string().max(128),
  version: z.string().max(64),
  types: z.array(z.string().max(128)).max(16),
  format: z.enum(CREDENTIAL_FORMATS),
  issuer: name,
  contact: name,
  contactName: z.string().max(256),
  subject: z.exactOptional(name),
  validFrom: z.exactOptional(instant),
  validUntil: z.exactOptional(instant),
  receivedAt: instant,
  thid: z.string().max(128),
  /** `id` of the credential it replaces. */
  replaces: z.exactOptional(name),
  /** JSON of the verification bundle. */
  bundle: z.exactOptional(z.string().max(MESSAGE_BYTES_MAX)),
  notice: z.exactOptional(
    z.strictObject({
      state: z.enum(['current', 'suspended', 'revoked', 'replaced']),
      reason: z.exactOptional(z.string().max(500)),
      at: instant,
      /** `id` of the credential that holds instead. */
      replacement: z.exactOptional(name)
    })
  )
})

export type CredentialRecord = Readonly<z.infer<typeof credentialRecord>>

/** What the holder's side of issuance uses beside the owner's door. */
export interface CredentialStore extends Credentials {
  /** Records a credential with the document it has become, and that it replaces another. */
  put(batch: Batch, document: string, record: CredentialRecord): void
  /** The issuer says that a status has changed. Believed only from the contact the credential came from. */
  told(batch: Batch, notice: StatusNotice, contact: ContactFacts): Refusal | undefined
}

export interface CredentialsComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly documents: Pick<DocumentStore, 'get' | 'open' | 'list'>
  readonly contacts: Pick<ContactDirectory, 'find'>
  readonly clock: Clock
  /** Called after the change is durable, with the document's id. */
  readonly changed: (id: string) => void
}

/** Opens the credentials of an open vault, and forgets those whose documents have been deleted. */
export async function openCredentials(components: CredentialsComponents): Promise<CredentialStore> {
  const { records } = components
  const kept = new KeptCredentials(
    components,
    await records.collection('credentials', credentialRecord)
  )
  await kept.sweep()
  return kept
}

class KeptCredentials implements CredentialStore {
  readonly #components: CredentialsComponents
  readonly #kept: Collection<CredentialRecord>

  constructor(components: CredentialsComponents, kept: Collection<CredentialRecord>) {
    this.#components = components
    this.#kept = kept
  }

  list(): readonly CredentialFacts[] {
    const { documents } = this.#components
    return documents
      .list()
      .flatMap(({ id, name: called }) => {
        const record = this.#kept.get(id)
        return record === undefined ? [] : [this.#facts(id, called, record)]
      })
      .toSorted((one, other) => other.receivedAt.localeCompare(one.receivedAt))
  }

  get(id: string): CredentialFacts {
    const record = this.#record(id)
    return this.#facts(id, this.#components.documents.get(id).name, record)
  }

  async verdictInput(id: string): Promise<VerdictInput> {
    const { bundle } = this.#record(id)
    // What was issued, whatever versions the owner has added by hand.
    const { content } = await this.#components.documents.open(id, { version: 1 })
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    for await (const part of content) {
      sizeBytes += part.length
      if (sizeBytes > CREDENTIAL_BYTES_MAX)
        throw new LockerError(
          'credential-unknown',
          `document ${id} has over ${CREDENTIAL_BYTES_MAX} bytes: no credential`
        )
      parts.push(part)
    }
    const text = Buffer.concat(parts).toString('utf8')
    return { text, ...(bundle === undefined ? {} : { bundle: parsedBundle(bundle) }) }
  }

  put(batch: Batch, document: string, record: CredentialRecord): void {
    this.#kept.put(batch, document, record)
    batch.afterwards(() => this.#components.changed(document))
    const old = this.#find(record.replaces, record.contact)
    if (old === undefined || old.record.notice?.state === 'revoked') return
    const notice = {
      ...old.record.notice,
      state: 'replaced' as const,
      at: record.receivedAt,
      replacement: record.credentialId
    }
    this.#kept.put(batch, old.id, { ...old.record, notice })
    batch.afterwards(() => this.#components.changed(old.id))
  }

  told(batch: Batch, notice: StatusNotice, contact: ContactFacts): Refusal | undefined {
    const { audit, clock } = this.#components
    const found = this.#find(notice.credential_id, contact.did)
    // Says nothing about what is held here: another's credential is answered like one there never was.
    if (found === undefined)
      return { problem: 'e.p.msg.unexpected', comment: 'no such credential came from this contact' }
    const { id, record } = found
    const { status, reason, replacement_id: replacement } = notice
    const before = record.notice?.state ?? 'current'
    // Nothing un-revokes, whatever comes late or twice.
    const final = before === 'revoked' || before === 'replaced'
    const state = status === 'reinstated' ? 'current' : status
    if (!final || status === 'revoked' || status === 'replaced')
      this.#kept.put(batch, id, {
        ...record,
        notice: {
          state,
          at: notice.at ?? clock.now().toISOString(),
          ...(reason === undefined ? {} : { reason }),
          ...(replacement === undefined ? {} : { replacement })
        }
      })
    batch.afterwards(() => this.#components.changed(id))
    audit.append(batch, {
      action: 'credential-status-told',
      actor: contact.did,
      actorName: contact.name,
      details: {
        credential: notice.credential_id,
        status,
        ...(reason === undefined ? {} : { reason })
      }
    })
    return undefined
  }

  /** Forgets what belongs to documents that are gone; those in the trash may come back. */
  async sweep(): Promise<void> {
    const { records, documents } = this.#components
    const there = new Set(
      [...documents.list(), ...documents.list({ trashed: true })].map(({ id }) => id)
    )
    const gone = [...this.#kept.entries()].map(([id]) => id).filter((id) => !there.has(id))
    // A record that cannot be read is no document that was deleted.
    if (gone.length === 0 || records.damaged.length > 0) return
    await records.change((batch) => {
      for (const id of gone) this.#kept.delete(batch, id)
    })
  }

  #record(id: string): CredentialRecord {
    const record = this.#kept.get(id)
    if (record === undefined)
      throw new LockerError('credential-unknown', `no credential ${id.slice(0, 64)}`)
    return record
  }

  #find(
    credentialId: string | undefined,
    contact?: string
  ): { readonly id: string; readonly record: CredentialRecord } | undefined {
    if (credentialId === undefined) return undefined
    for (const [id, record] of this.#kept.entries())
      if (
        record.credentialId === credentialId &&
        (contact === undefined || record.contact === contact)
      )
        return { id, record }
    return undefined
  }

  #facts(id: string, called: string, record: CredentialRecord): CredentialFacts {
    const { contact, contactName, bundle: _bundle, notice, replaces, ...facts } = record
    const from = this.#components.contacts.find(contact)?.name ?? contactName
    const before = this.#find(replaces, contact)
    const after = this.#find(notice?.replacement, contact)
    return {
      ...facts,
      id,
      name: called,
      from: { did: contact, name: from },
      state: notice?.state ?? 'current',
      ...(notice?.reason === undefined ? {} : { reason: notice.reason }),
      ...(notice === undefined ? {} : { stateAt: notice.at }),
      ...(before === undefined ? {} : { replaces: before.id }),
      ...(after === undefined ? {} : { replacedBy: after.id })
    }
  }
}

/** JSON of a bundle that was read when it came. */
function parsedBundle(text: string): JsonObject {
  const value: JsonObject = JSON.parse(text)
  return value
}
