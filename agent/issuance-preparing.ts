/**
 * Preparing a credential: claims against their type, validity, place in the status lists, the offer; and the
 * second person's approval where the issuer wants one.
 *
 * @module
 */
import {
  subjectSchemaOf,
  validUntilOf,
  type CredentialType
} from '../protocols/credential/credential-type.ts'
import type { Cryptosuite } from '../protocols/credential/data-integrity.ts'
import { isJsonObject, jsonFault, type JsonObject } from '../protocols/credential/json.ts'
import { checkSchema } from '../protocols/credential/schema.ts'
import { isDid } from '../protocols/did/document.ts'
import {
  CREDENTIAL_OFFER_FORMAT,
  issuanceAttachment,
  PREVIEW_BYTES_MAX,
  type CredentialFormat,
  type CredentialOffer
} from '../protocols/issuance-attachments.ts'
import { ISSUANCE_TEXT_CHARACTERS_MAX } from '../protocols/issuance.ts'
import { newMessageId } from '../protocols/message.ts'
import type { Audit } from './audit.ts'
import type { Clock, Random } from './components.ts'
import type { CredentialTypes } from './credential-types.ts'
import { LockerError } from './errors.ts'
import { sdJwtFault } from './issuance-signing.ts'
import { attended, type Thread, type Threads } from './issuance-threads.ts'
import { isCurrent, type IssuedCredential, type IssuedRecords } from './issued.ts'
import type { IssuerFacts } from './issuer.ts'
import { newRecordId } from './record-id.ts'
import type { Batch } from './records.ts'
import type { StatusLists } from './status-lists.ts'

/** Problems of claims that are told one by one. */
const PROBLEMS_MAX = 20

/**
 * Claims of one credential, bytes of JSON. What may be kept back of an SD-JWT is base64 within base64, and takes
 * nearly twice its size on the way.
 */
const BYTES_MAX: Readonly<Record<CredentialFormat, number>> = {
  'vcdm-2.0': PREVIEW_BYTES_MAX,
  'sd-jwt-vc': PREVIEW_BYTES_MAX / 2
}

/** What is to be issued; everything but type and claims has a default. */
export interface CredentialWish {
  /** Id of a published kind of credential. */
  readonly type: string
  /** `credentialSubject`. An `id` in it is the DID the holder must prove. */
  readonly claims: JsonObject
  /** Default `vcdm-2.0`. */
  readonly format?: CredentialFormat
  /** Of a `vcdm-2.0` credential; default `eddsa-jcs-2022`. */
  readonly suite?: Cryptosuite
  /** Default: now. */
  readonly validFrom?: Date
  /** Default: what the type says, else open. */
  readonly validUntil?: Date
  /** Id of the issued credential that this one corrects or renews. */
  readonly replaces?: string
  /** Said to the holder with the offer, at most 500 characters. */
  readonly comment?: string
  /** Who prepares it: `owner` (the default), the id of a member of staff, or `locker` for what the registry answers. */
  readonly by?: string
}

/** A wish that has been checked. */
export interface Prepared {
  readonly wish: CredentialWish
  readonly type: CredentialType
  readonly claims: JsonObject
  readonly format: CredentialFormat
  readonly suite: Cryptosuite
  readonly validFrom: Date
  readonly validUntil?: Date
  readonly by: string
}

/** Whom a prepared credential is for. */
export type Addressee =
  | { readonly contact: string; readonly contactName: string; readonly thread?: Thread }
  | { readonly invitation: string }

export interface PreparingComponents {
  readonly audit: Pick<Audit, 'append'>
  readonly issued: IssuedRecords
  readonly threads: Threads
  readonly types: Pick<CredentialTypes, 'get'>
  readonly issuer: { facts(): IssuerFacts | undefined }
  readonly statusLists: Pick<StatusLists, 'allocate'>
  readonly staff: { mayApprove(approver: string, asker: string): boolean }
  readonly clock: Clock
  readonly random: Random
}

export class Preparing {
  readonly #components: PreparingComponents

  constructor(components: PreparingComponents) {
    this.#components = components
  }

  /** Throws `issuer-absent`. */
  issuer(): IssuerFacts {
    const facts = this.#components.issuer.facts()
    if (facts === undefined) throw new LockerError('issuer-absent', 'no issuer has been set up')
    return facts
  }

  /**
   * Throws `issuer-absent`, `type-unknown`, `type-state` for a type that is not published, `claims-invalid` with
   * `problems`, `request-invalid` for a validity that is none.
   */
  async check(wish: CredentialWish): Promise<Prepared> {
    const issuer = this.issuer()
    const { type, state } = this.#components.types.get(wish.type)
    if (state !== 'published')
      throw new LockerError('type-state', `${type.id} ${type.version} is ${state}, not published`, {
        facts: { state }
      })
    const { claims, comment, format = 'vcdm-2.0', suite = 'eddsa-jcs-2022', by = 'owner' } = wish
    if (comment !== undefined && comment.length > ISSUANCE_TEXT_CHARACTERS_MAX)
      throw new LockerError(
        'request-invalid',
        `a comment has at most ${ISSUANCE_TEXT_CHARACTERS_MAX} characters`
      )
    await checkClaims(claims, type, issuer.did, BYTES_MAX[format])
    const fault = format === 'sd-jwt-vc' ? sdJwtFault(claims) : undefined
    if (fault !== undefined) throw claimsInvalid([fault])
    const validFrom = wish.validFrom ?? this.#components.clock.now()
    const validUntil = wish.validUntil ?? validUntilOf(type, validFrom)
    this.#checkValidity(validFrom, validUntil)
    const until = validUntil === undefined ? {} : { validUntil }
    return { wish, type, claims, format, suite, validFrom, ...until, by }
  }

  /**
   * Records a prepared credential with its place in the status lists, and offers it, unless a second person has
   * to approve it or nobody is there yet. Throws `credential-state` when what it replaces does not hold any more or
   * is being replaced already.
   */
  place(batch: Batch, prepared: Prepared, to: Addressee): IssuedCredential {
    const { issued, audit } = this.#components
    const { by, type } = prepared
    const approval = this.issuer().secondApproval
    const state = approval ? ('awaiting-approval' as const) : ('awaiting-contact' as const)
    const record = { ...this.fresh(batch, prepared), state, ...addressOf(to) }
    const credential = issued.note(batch, record, { what: 'prepared', by })
    audit.append(batch, {
      action: 'credential-prepared',
      actor: by,
      details: { ...detailsOf(credential), approval }
    })
    const thread = 'thread' in to ? to.thread : undefined
    if (!approval) return 'invitation' in to ? credential : this.offer(batch, credential, type, to)
    if (thread !== undefined) this.#waitForApproval(batch, thread, credential)
    return credential
  }

  /** A record that is neither offered nor signed, with its place in the status lists; not stored yet. */
  fresh(batch: Batch, prepared: Prepared): Omit<IssuedCredential, 'state'> {
    const { statusLists, clock, random } = this.#components
    const { wish, type, claims, format, suite, validFrom, validUntil, by } = prepared
    const replaced = wish.replaces === undefined ? undefined : this.#replaceable(wish)
    const credentialId = `urn:uuid:${newMessageId(random)}`
    const { revocation, suspension, credentialStatus } = statusLists.allocate(batch)
    return {
      id: newRecordId(random),
      type: type.id,
      version: type.version,
      format,
      suite,
      credentialId,
      series: replaced?.series ?? newMessageId(random),
      status: 'unsigned',
      claims,
      validFrom: validFrom.toISOString(),
      ...(validUntil === undefined ? {} : { validUntil: validUntil.toISOString() }),
      revocation,
      suspension,
      entries: [...credentialStatus],
      ...(replaced === undefined ? {} : { replaces: replaced.id }),
      preparedBy: by,
      createdAt: clock.now().toISOString(),
      ...(wish.comment === undefined ? {} : { reason: wish.comment }),
      history: []
    }
  }

  /** Offers what has been prepared, on the thread there is or on a new one. */
  offer(
    batch: Batch,
    credential: IssuedCredential,
    type: CredentialType,
    to: { readonly contact: string; readonly contactName: string; readonly thread?: Thread }
  ): IssuedCredential {
    const { issued, threads, audit, random } = this.#components
    const thread = to.thread
    const offer = this.#offerOf(credential, type)
    const comment = credential.reason === undefined ? {} : { comment: credential.reason }
    const outgoing = {
      body: { replacement_id: credential.series, ...comment },
      attachments: [issuanceAttachment(CREDENTIAL_OFFER_FORMAT, { ...offer })]
    }
    const thid = thread?.id ?? newMessageId(random)
    const changes = { offer, issued: credential.id, type: type.id, version: type.version }
    if (thread !== undefined)
      threads.send(batch, attended(thread), 'offer-credential', outgoing, changes)
    else {
      const { contact, contactName } = to
      const opened = { id: thid, role: 'issuer' as const, contact, contactName, ...changes }
      const { invitation } = credential
      threads.open(batch, opened, 'offer-credential', outgoing, invitation)
    }
    const by = credential.approvedBy ?? credential.preparedBy
    const offered = issued.note(
      batch,
      credential,
      { what: 'offered', by },
      { state: 'offered', thid, contact: to.contact, contactName: to.contactName }
    )
    audit.append(batch, {
      action: 'credential-offered',
      actor: by,
      details: detailsOf(offered)
    })
    return offered
  }

  /** Records the second person's yes. Throws `credential-state`, and `role-forbidden` for the same person. */
  approve(batch: Batch, credential: IssuedCredential, by: string): IssuedCredential {
    const { issued, staff, audit } = this.#components
    const { id, state, preparedBy } = credential
    if (state !== 'awaiting-approval')
      throw new LockerError('credential-state', `credential ${id} is ${state}`, {
        facts: { state }
      })
    if (!staff.mayApprove(by, preparedBy))
      throw new LockerError('role-forbidden', `${by} may not approve what ${preparedBy} prepared`, {
        facts: { action: 'credentials:approve' }
      })
    audit.append(batch, {
      action: 'credential-approved',
      actor: by,
      details: { ...detailsOf(credential), preparedBy }
    })
    const changes = { approvedBy: by, state: 'awaiting-contact' as const }
    return issued.note(batch, credential, { what: 'approved', by }, changes)
  }

  #waitForApproval(batch: Batch, thread: Thread, credential: IssuedCredential): void {
    const { threads } = this.#components
    const comment = 'It is prepared, and a second person has to approve it.'
    threads.send(
      batch,
      thread,
      'pending',
      { body: { comment } },
      {
        attention: 'approve',
        issued: credential.id
      }
    )
  }

  #offerOf(credential: IssuedCredential, type: CredentialType): CredentialOffer {
    const { issued, random } = this.#components
    const { validFrom, validUntil, claims, format, replaces } = credential
    const { did } = this.issuer()
    const replaced = replaces === undefined ? undefined : issued.find(replaces)
    return {
      issuer: did,
      type: type.id,
      version: type.version,
      types: [...type.types],
      preview: claims,
      formats: [format],
      valid_from: validFrom,
      ...(validUntil === undefined ? {} : { valid_until: validUntil }),
      ...(replaced === undefined ? {} : { replaces: replaced.credentialId }),
      binding: { challenge: newMessageId(random), domain: did }
    }
  }

  #replaceable(wish: CredentialWish): IssuedCredential {
    const { issued } = this.#components
    const old = issued.get(wish.replaces ?? '')
    const other = issued.replacement(old.id)
    if (!isCurrent(old) || other !== undefined) {
      const why = other === undefined ? `is ${old.status}` : `is being replaced by ${other.id}`
      throw new LockerError('credential-state', `credential ${old.id} ${why}`, {
        facts: { status: old.status }
      })
    }
    if (old.type !== wish.type)
      throw new LockerError(
        'request-invalid',
        `credential ${old.id} is of the type ${old.type}, not ${wish.type}`
      )
    return old
  }

  #checkValidity(from: Date, until: Date | undefined): void {
    if (Number.isNaN(from.getTime()) || (until !== undefined && Number.isNaN(until.getTime())))
      throw new LockerError('request-invalid', 'a time of the validity is no time')
    if (until === undefined) return
    if (until <= from || until <= this.#components.clock.now())
      throw new LockerError(
        'request-invalid',
        `it would be valid from ${from.toISOString()} until ${until.toISOString()}: never`
      )
  }
}

/** What is said of a credential in the audit log. */
export function detailsOf(credential: IssuedCredential): Readonly<Record<string, string>> {
  const { id, type, version, credentialId, contactName } = credential
  const to = contactName === undefined ? {} : { to: contactName }
  return { issued: id, credential: credentialId, type, version, ...to }
}

/** Throws `claims-invalid` with what is wrong, field by field. */
async function checkClaims(
  claims: unknown,
  type: CredentialType,
  anyDid: string,
  bytesMax: number
): Promise<void> {
  const fault = jsonFault(claims) ?? (isJsonObject(claims) ? undefined : 'not a JSON object')
  if (fault !== undefined || !isJsonObject(claims)) throw claimsInvalid([fault ?? ''])
  const sizeBytes = Buffer.byteLength(JSON.stringify(claims))
  if (sizeBytes > bytesMax)
    throw claimsInvalid([`${sizeBytes} bytes, and at most ${bytesMax} fit into one message`])
  const { id } = claims
  if (id !== undefined && (typeof id !== 'string' || !isDid(id)))
    throw claimsInvalid(['/id is not a DID'])
  // As verifiers will check them: whoever it is about has an id.
  const outcome = await checkSchema(subjectSchemaOf(type), { ...claims, id: id ?? anyDid })
  if (outcome.ok) return
  throw claimsInvalid(
    outcome.problems.map(({ pointer, message }) => `${pointer} ${message}`.trim())
  )
}

function claimsInvalid(problems: readonly string[]): LockerError {
  const named = problems.slice(0, PROBLEMS_MAX)
  return new LockerError('claims-invalid', `the claims do not fit their type: ${named[0] ?? ''}`, {
    facts: { problems: named }
  })
}

function addressOf(to: Addressee): Partial<IssuedCredential> {
  if ('invitation' in to) return { invitation: to.invitation }
  const { contact, contactName, thread } = to
  return { contact, contactName, ...(thread === undefined ? {} : { thid: thread.id }) }
}
