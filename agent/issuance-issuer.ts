/**
 * The issuer's side of issue-credential 3.0: offers, answers to proposals, signing.
 *
 * A proposal is answered from the registry. No record: a problem report with the reason. One: an offer at once,
 * or after a second person's approval. Several, or a type without a form: `pending`, and a person chooses
 * ({@link IssuerSide.deliver}) or refuses. A fault of the issuer's own (claims that do not fit their type any more)
 * is work for a person too, and no reason to lose the proposal.
 *
 * Signing happens in the batch that takes the holder's request, once. The same message again is known by its
 * id; another request on the thread is refused by the table. Docs: docs/decisions/0125, 0126.
 *
 * @module
 */
import type { CredentialType } from '../protocols/credential/credential-type.ts'
import type { JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { decodeMultikey, encodeMultikey } from '../protocols/did/multikey.ts'
import { verifyHolderBinding, type BindingOutcome } from '../protocols/holder-binding.ts'
import type { HolderBinding, IssuanceReading } from '../protocols/issuance-attachments.ts'
import { ISSUANCE_PROBLEMS, ISSUANCE_TEXT_CHARACTERS_MAX } from '../protocols/issuance.ts'
import type { ContactDirectory, ContactFacts } from './contacts.ts'
import { LockerError } from './errors.ts'
import type { ProblemReport, Refusal } from './exchanges.ts'
import {
  detailsOf,
  Preparing,
  type CredentialWish,
  type PreparingComponents
} from './issuance-preparing.ts'
import {
  credentialAttachments,
  signCredential,
  type SigningComponents
} from './issuance-signing.ts'
import type { StatusChanges, StatusReason } from './issuance-status.ts'
import { attended, ended, type Thread } from './issuance-threads.ts'
import { isOpen, type IssuedCredential, type IssuedFacts } from './issued.ts'
import { AwaitedOffers } from './issuance-awaited.ts'
import type { Batch, Records } from './records.ts'
import type { Registry, RegistryRecord } from './registry.ts'

/** Problems of a form that are told to the holder. */
const FORM_PROBLEMS_MAX = 5

/** What a person is told to wait for, when no record fits by itself. */
const PERSON_ANSWERS = 'Somebody at the issuer looks at it.'

export interface IssuerComponents extends PreparingComponents, SigningComponents {
  readonly records: Records
  readonly contacts: Pick<ContactDirectory, 'get' | 'invite' | 'invitations' | 'find'>
  readonly registry: Pick<Registry, 'match' | 'get'>
  readonly status: StatusChanges
  readonly issuer: PreparingComponents['issuer'] & SigningComponents['issuer']
  /** Verification bundles for a credential, the fullest first. */
  readonly bundles: (
    credential: IssuedCredential,
    type: CredentialType
  ) => Promise<readonly JsonObject[]>
}

/** A message that has passed the table. */
export interface Arrival {
  readonly batch: Batch
  readonly contact: ContactFacts
  /** The thread in the state the message leads to. */
  readonly thread: Thread
}

/** Who does it, and what is said. */
export interface ByAndWhy {
  /** Default `owner`. */
  readonly by?: string
  /** At most 500 characters; told to the holder. */
  readonly reason?: string
}

/** What was signed and handed out directly. */
export interface IssuedDirectly {
  readonly facts: IssuedFacts
  /** JSON text, or a compact SD-JWT. */
  readonly credential: string
}

type Proposal = IssuanceReading<'propose-credential'> & { ok: true }
type Request = IssuanceReading<'request-credential'> & { ok: true }

export class IssuerSide {
  readonly #components: IssuerComponents
  readonly #preparing: Preparing
  /** Offers for who has not come yet. */
  readonly awaited: AwaitedOffers

  constructor(components: IssuerComponents) {
    this.#components = components
    this.#preparing = new Preparing(components)
    this.awaited = new AwaitedOffers({ ...components, preparing: this.#preparing })
  }

  /** Throws `contact-unknown`, and what {@link Preparing.check} and {@link Preparing.place} throw. */
  async offer(wish: CredentialWish, to: string): Promise<IssuedFacts> {
    const { records, contacts, issued } = this.#components
    const prepared = await this.#preparing.check(wish)
    const { id } = await records.change((batch) => {
      const { did: contact, name: contactName } = contacts.get(to)
      return this.#preparing.place(batch, prepared, { contact, contactName })
    })
    return issued.facts(issued.get(id))
  }

  /** As {@link offer}, to whoever answers an invitation. */
  async offerTo(wish: CredentialWish, invitation: string): Promise<IssuedFacts> {
    const { records, issued } = this.#components
    const prepared = await this.#preparing.check(wish)
    const { id } = await records.change((batch) => {
      const credential = this.#preparing.place(batch, prepared, { invitation })
      batch.afterwards(() => this.awaited.add(credential))
      return credential
    })
    return issued.facts(issued.get(id))
  }

  /** Signs at once, for a caller that delivers it. Throws `issuer-state` where a second approval is wanted. */
  async issue(wish: CredentialWish, subject?: string): Promise<IssuedDirectly> {
    const { records, issued, audit } = this.#components
    const prepared = await this.#preparing.check(wish)
    if (this.#preparing.issuer().secondApproval)
      throw new LockerError('issuer-state', 'this issuer wants a second approval: offer it instead')
    const { by, type } = prepared
    const did = subject ?? textOf(prepared.claims['id'])
    return records.change(async (batch) => {
      const draft = { ...this.#preparing.fresh(batch, prepared), state: 'issued' as const }
      const signed = await signCredential(
        draft,
        type,
        did === undefined ? undefined : { did },
        this.#components
      )
      const credential = issued.note(
        batch,
        issued.note(batch, draft, { what: 'prepared', by }),
        { what: 'issued', by },
        this.#signedNow(signed, did)
      )
      this.#replaceOld(batch, credential)
      audit.append(batch, {
        action: 'credential-issued',
        actor: by,
        details: detailsOf(credential)
      })
      return { facts: issued.facts(credential), credential: signed }
    })
  }

  /** The second person's yes. Throws `credential-unknown`, `credential-state`, `role-forbidden`. */
  async approve(id: string, by = 'owner'): Promise<IssuedFacts> {
    const { records, issued, threads, types } = this.#components
    await records.change((batch) => {
      const approved = this.#preparing.approve(batch, issued.get(id), by)
      const { contact, contactName = '', thid, type, version } = approved
      if (contact === undefined) {
        batch.afterwards(() => this.awaited.add(approved))
        return
      }
      const thread = thid === undefined ? undefined : threads.find(thid)
      const to = { contact, contactName, ...(thread === undefined ? {} : { thread }) }
      this.#preparing.offer(batch, approved, types.get(type, version).type, to)
    })
    await this.awaited.resume()
    return issued.facts(issued.get(id))
  }

  /** Takes back what has not been signed. Throws `credential-unknown`, `credential-state`. */
  async withdraw(id: string, { by = 'owner', reason = '' }: ByAndWhy = {}): Promise<IssuedFacts> {
    const { records, issued, threads } = this.#components
    await records.change((batch) => {
      const credential = issued.get(id)
      if (!isOpen(credential))
        throw new LockerError('credential-state', `credential ${id} is ${credential.state}`, {
          facts: { state: credential.state }
        })
      const thread = credential.thid === undefined ? undefined : threads.find(credential.thid)
      if (thread === undefined) this.#withdrawn(batch, credential, by, reason)
      else this.#end(batch, thread, ISSUANCE_PROBLEMS.cancelled, { by, reason })
    })
    return issued.facts(issued.get(id))
  }

  /** Tells the holder that it takes longer. Throws `exchange-unknown`, `exchange-state`, `request-invalid`. */
  async pending(
    thid: string,
    said: { readonly expectedTime?: Date; readonly comment?: string }
  ): Promise<void> {
    const { records, threads } = this.#components
    const { expectedTime, comment } = said
    mustBeShort(comment)
    if (expectedTime !== undefined && Number.isNaN(expectedTime.getTime()))
      throw new LockerError('request-invalid', 'the expected time is no time')
    const expectedAt = expectedTime?.toISOString()
    const body = {
      ...(expectedAt === undefined ? {} : { expected_time: expectedAt }),
      ...(comment === undefined ? {} : { comment })
    }
    await records.change((batch) => {
      const changes = expectedAt === undefined ? {} : { expectedAt }
      threads.send(batch, threads.get(thid, 'issuer'), 'pending', { body }, changes)
    })
  }

  /** Records that fit the form of a thread, for a person to choose from. Throws `exchange-unknown`, `type-unknown`. */
  async candidates(thid: string): Promise<readonly RegistryRecord[]> {
    const { threads, registry } = this.#components
    const { type, request } = threads.get(thid, 'issuer')
    const match = await registry.match(type, request?.form ?? {})
    if (match.outcome === 'one') return [match.record]
    return match.outcome === 'many' ? match.records : []
  }

  /**
   * Answers a proposal, perhaps days later: with a record of the registry, or with claims that a person wrote. Throws
   * `exchange-unknown`, `exchange-state`, `record-unknown`, and as {@link offer}.
   */
  async deliver(
    thid: string,
    what: Omit<CredentialWish, 'type' | 'claims'> &
      ({ readonly record: string } | { readonly claims: JsonObject })
  ): Promise<IssuedFacts> {
    const { records, issued, threads } = this.#components
    const { type, request } = threads.get(thid, 'issuer')
    const claims = 'record' in what ? await this.#claimsOf(type, what.record) : what.claims
    const format = what.format ?? request?.formats?.[0] ?? 'vcdm-2.0'
    const prepared = await this.#preparing.check({ ...what, type, claims, format })
    const { id } = await records.change((batch) => {
      const thread = threads.get(thid, 'issuer')
      this.#mustBeUnanswered(thread)
      return this.#place(batch, prepared, thread)
    })
    return issued.facts(issued.get(id))
  }

  /** Ends a thread: what was asked for is not issued. Throws `exchange-unknown`, `exchange-state`. */
  async refuse(thid: string, { by = 'owner', reason = '' }: ByAndWhy): Promise<void> {
    mustBeShort(reason)
    const { records, threads } = this.#components
    await records.change((batch) =>
      this.#end(batch, threads.get(thid, 'issuer'), ISSUANCE_PROBLEMS.declined, { by, reason })
    )
  }

  /** Ends a thread from this side because the contact is being forgotten. */
  async cancel(thid: string, reason: string): Promise<void> {
    const { records, threads } = this.#components
    await records.change((batch) =>
      this.#end(batch, threads.get(thid, 'issuer'), ISSUANCE_PROBLEMS.cancelled, {
        by: 'owner',
        reason
      })
    )
  }

  /** Signs what the holder has accepted, after a fault of ours is gone. Throws `exchange-state`. */
  async sign(thid: string): Promise<IssuedFacts> {
    const { records, issued, threads } = this.#components
    const id = await records.change(async (batch) => {
      const thread = threads.get(thid, 'issuer')
      const { subject, subjectKey, issued: recordId } = thread
      if (thread.attention !== 'sign' || subject === undefined || subjectKey === undefined)
        throw new LockerError('exchange-state', `nothing is to be signed on issuance ${thid}`)
      const credential = issued.get(recordId ?? '')
      const holder = { did: subject, jwk: decodeMultikey(subjectKey) }
      await this.#sign(batch, thread, credential, holder)
      return credential.id
    })
    return issued.facts(issued.get(id))
  }

  /** A correction or a renewal: as {@link offer}, to the same holder, with the claims there are unless others are given. */
  async replace(
    id: string,
    changes: Partial<Omit<CredentialWish, 'type' | 'replaces'>> = {}
  ): Promise<IssuedFacts> {
    const { issued } = this.#components
    const old = issued.get(id)
    const { type, claims, format, suite, contact } = old
    if (contact === undefined)
      throw new LockerError('credential-state', `credential ${id} was not issued to a contact`)
    const wish = { claims, format, suite, ...changes, type, replaces: id }
    return this.offer(wish, contact)
  }

  suspend(id: string, why: StatusReason = {}): Promise<IssuedFacts> {
    return this.#components.status.change(id, 'suspended', why)
  }

  reinstate(id: string, why: StatusReason = {}): Promise<IssuedFacts> {
    return this.#components.status.change(id, 'reinstated', why)
  }

  revoke(id: string, why: StatusReason = {}): Promise<IssuedFacts> {
    return this.#components.status.change(id, 'revoked', why)
  }

  /** A proposal, or a request that begins a thread; both are answered with an offer. */
  async proposed(arrival: Arrival, reading: Proposal | Request): Promise<Refusal | undefined> {
    const { audit } = this.#components
    const { batch, contact, thread } = arrival
    const { request } = reading.contents
    if (request === undefined)
      return { problem: 'e.p.msg.invalid', comment: 'no credential-request in it' }
    const earlier = this.#openOf(thread)
    const comment = reading.body.comment
    if (earlier !== undefined)
      this.#withdrawn(batch, earlier, contact.did, comment ?? '', 'declined')
    audit.append(batch, {
      action: 'credential-requested',
      actor: contact.did,
      actorName: contact.name,
      details: { type: request.type, thid: thread.id }
    })
    const { issued: _issued, candidates: _candidates, offer: _offer, ...rest } = attended(thread)
    await this.#answer(batch, {
      ...rest,
      type: request.type,
      ...(request.version === undefined ? {} : { version: request.version }),
      request,
      ...(comment === undefined ? {} : { reason: comment })
    })
    return undefined
  }

  /** The holder accepts the offer. */
  async requested(arrival: Arrival, reading: Request): Promise<Refusal | undefined> {
    const { batch, thread } = arrival
    const credential = this.#openOf(thread)
    if (credential === undefined || credential.state !== 'offered') {
      this.#end(batch, thread, ISSUANCE_PROBLEMS.abandoned, {
        by: 'locker',
        reason: 'What was offered is not on record any more.'
      })
      return undefined
    }
    const proven = await this.#boundTo(thread, credential, reading.contents.binding)
    if (!proven.ok) {
      this.#end(batch, thread, ISSUANCE_PROBLEMS.bindingWrong, {
        by: 'locker',
        reason: `The proof of the holder’s DID does not hold: ${proven.reason}.`
      })
      return undefined
    }
    const accepted = { ...thread, subject: proven.did, subjectKey: encodeMultikey(proven.jwk) }
    try {
      await this.#sign(batch, accepted, credential, proven)
    } catch (error) {
      if (!isOurs(error)) throw error
      const reason = error.message.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX)
      this.#components.threads.put(batch, { ...accepted, attention: 'sign', reason })
    }
    return undefined
  }

  /** The holder keeps it. */
  acknowledged({ batch, contact, thread }: Arrival): undefined {
    const { threads, issued, audit } = this.#components
    threads.put(batch, ended(thread))
    const credential = issued.find(thread.issued ?? '')
    if (credential === undefined) return undefined
    issued.note(batch, credential, { what: 'accepted', by: contact.did }, { state: 'accepted' })
    audit.append(batch, {
      action: 'credential-delivered',
      actor: contact.did,
      actorName: contact.name,
      details: detailsOf(credential)
    })
    return undefined
  }

  /** The holder has ended the thread. */
  ended(arrival: Arrival, report: ProblemReport, reason: string): void {
    const { threads, issued, audit } = this.#components
    const { batch, contact, thread } = arrival
    threads.put(batch, { ...ended(thread), problem: report.code, endedByThem: true, reason })
    const credential = issued.find(thread.issued ?? '')
    if (credential !== undefined) {
      const what = isOpen(credential) ? 'declined' : 'refused'
      issued.note(batch, credential, { what, by: contact.did, reason }, { state: what })
    }
    audit.append(batch, {
      action: credential === undefined ? 'credential-abandoned' : 'credential-refused',
      actor: contact.did,
      actorName: contact.name,
      details: { problem: report.code, reason, thid: thread.id, type: thread.type }
    })
  }

  async #answer(batch: Batch, thread: Thread): Promise<void> {
    const { registry } = this.#components
    const type = this.#published(thread.type)
    const refuse = (code: string, reason: string): void =>
      this.#end(batch, thread, code, { by: 'locker', reason })
    if (type === undefined)
      return refuse(ISSUANCE_PROBLEMS.typeUnknown, `${thread.type} is not issued here.`)
    if (type.form === undefined) return this.#forPerson(batch, thread, {})
    try {
      const match = await registry.match(type.id, thread.request?.form ?? {})
      if (match.outcome === 'none')
        return refuse(ISSUANCE_PROBLEMS.noRecord, 'No record fits what the form says.')
      if (match.outcome === 'form-invalid')
        return refuse(ISSUANCE_PROBLEMS.formInvalid, formProblems(match.problems))
      if (match.outcome === 'many')
        return this.#forPerson(batch, thread, { candidates: match.count })
      const format = thread.request?.formats?.[0] ?? 'vcdm-2.0'
      const wish = { type: type.id, claims: match.record.claims, format, by: 'locker' }
      this.#place(batch, await this.#preparing.check(wish), thread)
    } catch (error) {
      if (!isOurs(error)) throw error
      this.#forPerson(batch, thread, { reason: error.message })
    }
  }

  async #claimsOf(type: string, id: string): Promise<JsonObject> {
    const record = await this.#components.registry.get(id)
    if (record.type !== type)
      throw new LockerError('record-unknown', `record ${id} is of the type ${record.type}`)
    return record.claims
  }

  #place(
    batch: Batch,
    prepared: Awaited<ReturnType<Preparing['check']>>,
    thread: Thread
  ): IssuedCredential {
    const { contact, contactName } = thread
    return this.#preparing.place(batch, prepared, { contact, contactName, thread })
  }

  #forPerson(
    batch: Batch,
    thread: Thread,
    { candidates, reason }: { readonly candidates?: number; readonly reason?: string }
  ): void {
    const changes = {
      attention: 'choose' as const,
      ...(candidates === undefined ? {} : { candidates }),
      ...(reason === undefined ? {} : { reason: reason.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX) })
    }
    const { threads } = this.#components
    threads.send(batch, thread, 'pending', { body: { comment: PERSON_ANSWERS } }, changes)
  }

  async #boundTo(
    { offer }: Thread,
    { claims }: IssuedCredential,
    binding: HolderBinding | undefined
  ): Promise<BindingOutcome> {
    if (binding === undefined) return { ok: false, reason: 'there is none' }
    if (offer?.binding === undefined) return { ok: false, reason: 'none was asked for' }
    const proven = await verifyHolderBinding(binding, offer.binding, nativeProofCrypto)
    if (!proven.ok) return proven
    const wanted = textOf(claims['id'])
    return wanted === undefined || wanted === proven.did
      ? proven
      : { ok: false, reason: `it is for ${wanted}, not for ${proven.did}` }
  }

  async #sign(
    batch: Batch,
    thread: Thread,
    credential: IssuedCredential,
    holder: Extract<BindingOutcome, { ok: true }> | Parameters<typeof signCredential>[2]
  ): Promise<void> {
    const { threads, issued, audit, types, bundles } = this.#components
    const { type } = types.get(credential.type, credential.version)
    const signed = await signCredential(credential, type, holder, this.#components)
    const attachments = credentialAttachments(
      credential.format,
      signed,
      await bundles(credential, type)
    )
    const by = credential.approvedBy ?? credential.preparedBy
    const changes = { state: 'issued' as const, ...this.#signedNow(signed, holder?.did) }
    const done = issued.note(batch, credential, { what: 'issued', by }, changes)
    const body = { replacement_id: credential.series }
    threads.send(batch, attended(thread), 'issue-credential', { body, attachments })
    this.#replaceOld(batch, done)
    audit.append(batch, { action: 'credential-issued', actor: by, details: detailsOf(done) })
  }

  #signedNow(signed: string, subject: string | undefined): Partial<IssuedCredential> {
    return {
      signed,
      status: 'valid',
      issuedAt: this.#components.clock.now().toISOString(),
      ...(subject === undefined ? {} : { subject })
    }
  }

  /** In the batch that signs a new one: exactly one of a series holds. */
  #replaceOld(batch: Batch, next: IssuedCredential): void {
    const { issued, status } = this.#components
    const old = next.replaces === undefined ? undefined : issued.find(next.replaces)
    if (old === undefined) return
    const reason = next.reason === undefined ? {} : { reason: next.reason }
    status.replace(batch, old, next, { by: next.preparedBy, ...reason })
  }

  #end(batch: Batch, thread: Thread, code: string, { by, reason }: Required<ByAndWhy>): void {
    const { threads, audit } = this.#components
    threads.end(batch, thread, code, reason)
    const open = this.#openOf(thread)
    if (open !== undefined) this.#withdrawn(batch, open, by, reason)
    audit.append(batch, {
      action: 'credential-abandoned',
      actor: by,
      details: { problem: code, reason, thid: thread.id, type: thread.type, to: thread.contactName }
    })
  }

  #withdrawn(
    batch: Batch,
    credential: IssuedCredential,
    by: string,
    reason: string,
    what: 'withdrawn' | 'declined' = 'withdrawn'
  ): void {
    const said = reason === '' ? {} : { reason }
    this.#components.issued.note(batch, credential, { what, by, ...said }, { state: what })
    const { invitation } = credential
    if (invitation !== undefined) batch.afterwards(() => this.awaited.forget(invitation))
  }

  /** The credential of a thread while it can still be signed. */
  #openOf(thread: Thread): IssuedCredential | undefined {
    const credential = this.#components.issued.find(thread.issued ?? '')
    return credential !== undefined && isOpen(credential) ? credential : undefined
  }

  #mustBeUnanswered(thread: Thread): void {
    const open = this.#openOf(thread)
    if (open === undefined && (thread.state === 'proposed' || thread.state === 'requested')) return
    throw new LockerError(
      'exchange-state',
      `issuance ${thread.id} is ${thread.state}${open === undefined ? '' : `, with ${open.id} prepared`}`,
      { facts: { state: thread.state } }
    )
  }

  #published(id: string): CredentialType | undefined {
    const { types, issuer } = this.#components
    if (issuer.facts() === undefined) return undefined
    try {
      const { type, state } = types.get(id)
      return state === 'published' ? type : undefined
    } catch (error) {
      if (error instanceof LockerError && error.code === 'type-unknown') return undefined
      throw error
    }
  }
}

function formProblems(
  problems: ReadonlyArray<{ readonly pointer: string; readonly message: string }>
): string {
  const said = problems
    .slice(0, FORM_PROBLEMS_MAX)
    .map(({ pointer, message }) => `${pointer} ${message}`.trim())
  return `The form does not fit: ${said.join('; ')}.`
}

/** A fault on our side that a person can mend, as against one of the storage, which passes. */
function isOurs(error: unknown): error is LockerError {
  if (!(error instanceof LockerError)) return false
  return !PASSING.has(error.code)
}

const PASSING: ReadonlySet<string> = new Set([
  'storage-full',
  'storage-failed',
  'vault-sealed',
  'outbox-full'
])

function textOf(value: JsonObject[string] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function mustBeShort(text: string | undefined): void {
  if (text !== undefined && text.length > ISSUANCE_TEXT_CHARACTERS_MAX)
    throw new LockerError(
      'request-invalid',
      `a text has at most ${ISSUANCE_TEXT_CHARACTERS_MAX} characters`
    )
}
