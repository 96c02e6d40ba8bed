/**
 * The holder's side of issue-credential 3.0: asking, accepting, and keeping what arrives.
 *
 * **Keeping** is crash-safe in three steps: the message's batch puts the credential into the thread's record; then
 * it is judged, which may need the network; then its blocks are written, and one batch makes the document,
 * the record of the credential, the end of the thread and the `ack`. A crash in between leaves the
 * thread `issued` with the credential in it, and {@link HolderSide.resume} goes on.
 *
 * @module
 */
import {
  isJsonObject,
  JSON_DEPTH_MAX,
  JSON_KEYS_MAX,
  type JsonObject
} from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import type { ProofSigner } from '../protocols/credential/crypto.ts'
import type { Verdict } from '../protocols/credential/verdict.ts'
import { decodeMultikey } from '../protocols/did/multikey.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { signHolderBinding } from '../protocols/holder-binding.ts'
import {
  CREDENTIAL_REQUEST_FORMAT,
  credentialRequest,
  HOLDER_BINDING_FORMAT,
  issuanceAttachment,
  type CredentialFormat,
  type CredentialOffer,
  type CredentialRequest,
  type IssuanceReading
} from '../protocols/issuance-attachments.ts'
import { ISSUANCE_PROBLEMS, ISSUANCE_TEXT_CHARACTERS_MAX } from '../protocols/issuance.ts'
import { MESSAGE_BYTES_MAX, newMessageId, parseJsonBounded } from '../protocols/message.ts'
import type { Audit } from './audit.ts'
import type { Background } from './background.ts'
import type { Clock, Logger, Random } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import type { CredentialRecord, CredentialStore } from './credentials.ts'
import type { DocumentStore } from './documents.ts'
import { LockerError } from './errors.ts'
import type { ProblemReport, Refusal } from './exchanges.ts'
import { examine } from './issuance-check.ts'
import type { Arrival } from './issuance-issuer.ts'
import {
  attended,
  ended,
  type Arrived,
  type IssuanceFacts,
  type Outgoing,
  type Thread,
  type Threads
} from './issuance-threads.ts'
import type { Batch, Records } from './records.ts'

/**
 * Pauses before a credential that could not be judged (its issuer's DID cannot be resolved) or stored (the disk
 * is full) is tried again, milliseconds; the last one repeats.
 */
export const KEEP_RETRIES_MS: readonly number[] = [60_000, 600_000, 3_600_000]

/** Characters of a document's name made of what the issuer calls the kind of credential. */
const NAME_CHARACTERS_MAX = 120

export interface HolderComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly threads: Threads
  readonly contacts: Pick<ContactDirectory, 'get'>
  readonly documents: Pick<DocumentStore, 'addAlong'>
  readonly credentials: CredentialStore
  readonly identity: { readonly holderDid: string; holderSigner(): ProofSigner }
  readonly judge: Judge
  readonly background: Background
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Judges what has arrived. Keys are those that the issuer's DID resolves to, never those that came along: whoever
 * sends a credential may write what they like beside it. `bundle`: the one that came, with the document that was
 * resolved; worth keeping.
 */
export type Judge = (
  input: JsonObject | string,
  bundle: JsonObject | undefined
) => Promise<{ readonly verdict: Verdict; readonly bundle?: JsonObject }>

export interface ProposeOptions {
  /** The issuer, a contact: DID or name. */
  readonly to: string
  /** Id of the kind of credential, from the issuer's descriptor. */
  readonly type: string
  readonly version?: string
  /** What the issuer's form asks for. */
  readonly form?: JsonObject
  /** The preferred one first; default: the issuer chooses. */
  readonly formats?: readonly CredentialFormat[]
  readonly comment?: string
}

export class HolderSide {
  readonly #components: HolderComponents
  /** Threads whose credential is being kept. */
  readonly #keeping = new Set<string>()
  readonly #retries = new Map<string, () => void>()
  /** How often keeping has failed, by thread. */
  readonly #failures = new Map<string, number>()
  #closed = false

  constructor(components: HolderComponents) {
    this.#components = components
  }

  /** `begin`: a proposal, or a request, which some issuers expect. Throws `contact-unknown`, `request-invalid`. */
  async propose(
    options: ProposeOptions,
    begin: 'propose-credential' | 'request-credential' = 'propose-credential'
  ): Promise<IssuanceFacts> {
    const { records, threads, contacts, random } = this.#components
    const request = this.#requestOf(options)
    const id = newMessageId(random)
    await records.change((batch) => {
      const { did: contact, name: contactName } = contacts.get(options.to)
      const { type, version } = request
      const thread = {
        id,
        role: 'holder' as const,
        contact,
        contactName,
        type,
        ...(version === undefined ? {} : { version }),
        request
      }
      threads.open(batch, thread, begin, asking(request, options.comment))
      this.#noteRequested(batch, { type, to: contactName, thid: id })
    })
    return threads.facts(threads.get(id))
  }

  /** Answers an offer with what is wanted instead. Throws `exchange-unknown`, `exchange-state`, `request-invalid`. */
  async counter(
    thid: string,
    options: Partial<Omit<ProposeOptions, 'to'>> = {}
  ): Promise<IssuanceFacts> {
    const { records, threads } = this.#components
    await records.change((batch) => {
      const thread = threads.get(thid, 'holder')
      const { form: before } = thread.request ?? {}
      const form = options.form ?? before
      const request = this.#requestOf({
        type: thread.type,
        ...(form === undefined ? {} : { form }),
        ...options
      })
      const { offer: _offer, reason: _reason, ...rest } = attended(thread)
      const outgoing = asking(request, options.comment)
      threads.send(batch, rest, 'propose-credential', outgoing, { request, type: request.type })
      this.#noteRequested(batch, { type: request.type, to: thread.contactName, thid })
    })
    return threads.facts(threads.get(thid))
  }

  /** Accepts an offer: proves the holder's DID and asks for the credential. Throws `exchange-unknown`, `exchange-state`. */
  async accept(thid: string): Promise<IssuanceFacts> {
    const { records, threads, identity, clock } = this.#components
    await records.change((batch) => {
      const thread = threads.get(thid, 'holder')
      const question = thread.offer?.binding
      const attachments =
        question === undefined
          ? []
          : [
              issuanceAttachment(
                HOLDER_BINDING_FORMAT,
                signHolderBinding(question, {
                  signer: identity.holderSigner(),
                  created: clock.now(),
                  crypto: nativeProofCrypto
                })
              )
            ]
      threads.send(batch, attended(thread), 'request-credential', { body: {}, attachments })
    })
    return threads.facts(threads.get(thid))
  }

  /**
   * Ends a thread: an offer is declined, what was asked for is cancelled, and what has arrived and cannot be judged
   * is not waited for any longer. Throws `exchange-unknown`, `exchange-state`.
   */
  async end(
    thid: string,
    how: 'declined' | 'cancelled',
    reason: string = ''
  ): Promise<IssuanceFacts> {
    mustBeShort(reason)
    const { records, threads, audit } = this.#components
    await records.change((batch) => {
      const thread = threads.get(thid, 'holder')
      threads.end(batch, thread, ISSUANCE_PROBLEMS[how], reason)
      audit.append(batch, {
        action: 'credential-abandoned',
        actor: 'owner',
        details: { problem: ISSUANCE_PROBLEMS[how], reason, thid, type: thread.type }
      })
    })
    return threads.facts(threads.get(thid))
  }

  offered(
    { batch, contact, thread }: Arrival,
    reading: IssuanceReading<'offer-credential'> & { ok: true }
  ): Refusal | undefined {
    const { threads, audit } = this.#components
    const { offer } = reading.contents
    if (offer === undefined)
      return { problem: 'e.p.msg.invalid', comment: 'no credential-offer in it' }
    const { comment } = reading.body
    const { reason: _before, expectedAt: _expected, ...rest } = thread
    threads.put(batch, {
      ...rest,
      type: offer.type,
      version: offer.version,
      offer,
      attention: 'accept',
      ...(comment === undefined ? {} : { reason: comment })
    })
    audit.append(batch, {
      action: 'credential-offered',
      actor: contact.did,
      actorName: contact.name,
      details: { type: offer.type, issuer: offer.issuer, thid: thread.id }
    })
    return undefined
  }

  /** It takes longer: shown, and nothing else. */
  pending(
    { batch, thread }: Arrival,
    { body }: IssuanceReading<'pending'> & { ok: true }
  ): undefined {
    const { expected_time: expectedAt, comment } = body
    this.#components.threads.put(batch, {
      ...thread,
      ...(expectedAt === undefined ? {} : { expectedAt }),
      ...(comment === undefined ? {} : { reason: comment })
    })
  }

  /** Puts the credential where a crash cannot lose it, and has it judged and kept. */
  issued(
    { batch, thread }: Arrival,
    { contents }: IssuanceReading<'issue-credential'> & { ok: true }
  ): Refusal | undefined {
    const { credential, sdJwt, bundle } = contents
    // The format that was offered, when both are there.
    const wantsSdJwt = thread.offer?.formats[0] === 'sd-jwt-vc' || credential === undefined
    const arrived: Arrived | undefined =
      wantsSdJwt && sdJwt !== undefined
        ? { format: 'sd-jwt-vc', credential: sdJwt }
        : credential === undefined
          ? undefined
          : { format: 'vcdm-2.0', credential: JSON.stringify(credential) }
    if (arrived === undefined) return { problem: 'e.p.msg.invalid', comment: 'no credential in it' }
    const along = bundle === undefined ? {} : { bundle: JSON.stringify(bundle) }
    this.#components.threads.put(batch, { ...thread, arrived: { ...arrived, ...along } })
    batch.afterwards(() => this.#keepLater(thread.id))
    return undefined
  }

  /** The issuer has ended the thread. */
  ended({ batch, contact, thread }: Arrival, report: ProblemReport, reason: string): void {
    const { threads, audit } = this.#components
    threads.put(batch, { ...ended(thread), problem: report.code, endedByThem: true, reason })
    audit.append(batch, {
      action: 'credential-abandoned',
      actor: contact.did,
      actorName: contact.name,
      details: { problem: report.code, reason, thid: thread.id, type: thread.type }
    })
  }

  /** Goes on with what a crash or a fault has interrupted. */
  resume(): void {
    for (const thread of this.#components.threads.all())
      if (thread.role === 'holder' && thread.arrived !== undefined) this.#keepLater(thread.id)
  }

  close(): void {
    this.#closed = true
    for (const cancel of this.#retries.values()) cancel()
    this.#retries.clear()
  }

  #requestOf(options: Omit<ProposeOptions, 'to'>): CredentialRequest {
    const { type, version, form, formats, comment } = options
    mustBeShort(comment)
    const request = credentialRequest.safeParse({
      type,
      subject: this.#components.identity.holderDid,
      ...(version === undefined ? {} : { version }),
      ...(form === undefined ? {} : { form }),
      ...(formats === undefined ? {} : { formats: [...formats] })
    })
    if (request.success) return request.data
    const [issue] = request.error.issues
    throw new LockerError(
      'request-invalid',
      `the request does not hold: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`,
      { cause: request.error }
    )
  }

  #noteRequested(
    batch: Batch,
    details: { readonly type: string; readonly to: string; readonly thid: string }
  ): void {
    this.#components.audit.append(batch, {
      action: 'credential-requested',
      actor: 'owner',
      details
    })
  }

  #keepLater(thid: string): void {
    this.#components.background.run('credential-not-kept', () => this.#keep(thid))
  }

  async #keep(thid: string): Promise<void> {
    if (this.#keeping.has(thid) || this.#closed) return
    this.#keeping.add(thid)
    try {
      const thread = this.#components.threads.get(thid, 'holder')
      const { arrived, offer } = thread
      if (thread.state !== 'issued' || arrived === undefined || offer === undefined) return
      await this.#judgeAndKeep(thread, arrived, offer)
      this.#failures.delete(thid)
    } catch (error) {
      this.#retryLater(thid)
      throw error
    } finally {
      this.#keeping.delete(thid)
    }
  }

  async #judgeAndKeep(thread: Thread, arrived: Arrived, offer: CredentialOffer): Promise<void> {
    const { identity, judge } = this.#components
    const { format, credential: text } = arrived
    const came = arrived.bundle === undefined ? undefined : jsonOf(arrived.bundle)
    const input = format === 'sd-jwt-vc' ? text : (jsonOf(text) ?? text)
    const { verdict, bundle } = await judge(input, came)
    const key = verdict.checks.find(({ name }) => name === 'issuer-key')
    if (key?.code === 'issuer-unreachable') {
      await this.#noteWaiting(thread.id, `It has arrived and cannot be checked yet. ${key.reason}`)
      throw new LockerError('did-unresolvable', `it cannot be judged yet: ${key.reason}`)
    }
    const { holderDid: holder } = identity
    const holderKey = decodeMultikey(holder.slice('did:key:'.length)).x
    const result = examine({ format, text, offer, holder, holderKey, verdict })
    if (!result.ok) await this.#refuse(thread.id, result)
    else await this.#store(thread, arrived, offer, result.facts, bundle)
  }

  /** Shown until it has been judged. */
  async #noteWaiting(thid: string, said: string): Promise<void> {
    const { records, threads } = this.#components
    const reason = said.slice(0, ISSUANCE_TEXT_CHARACTERS_MAX)
    await records.change((batch) => {
      const thread = threads.get(thid, 'holder')
      if (thread.state === 'issued' && thread.reason !== reason)
        threads.put(batch, { ...thread, reason })
    })
  }

  async #refuse(
    thid: string,
    { check, reason }: { readonly check: string; readonly reason: string }
  ): Promise<void> {
    const { records, threads, audit } = this.#components
    await records.change((batch) => {
      const thread = threads.get(thid, 'holder')
      threads.end(batch, thread, ISSUANCE_PROBLEMS.credentialInvalid, `${check}: ${reason}`)
      audit.append(batch, {
        action: 'credential-refused',
        actor: 'locker',
        details: { check, reason, thid, type: thread.type, from: thread.contactName }
      })
    })
  }

  async #store(
    thread: Thread,
    arrived: Arrived,
    offer: CredentialOffer,
    facts: Pick<
      CredentialRecord,
      'credentialId' | 'types' | 'issuer' | 'subject' | 'validFrom' | 'validUntil'
    >,
    bundle: JsonObject | undefined
  ): Promise<void> {
    const { documents, clock } = this.#components
    const record: CredentialRecord = {
      ...facts,
      type: offer.type,
      version: offer.version,
      format: arrived.format,
      contact: thread.contact,
      contactName: thread.contactName,
      receivedAt: clock.now().toISOString(),
      thid: thread.id,
      ...(offer.replaces === undefined ? {} : { replaces: offer.replaces }),
      ...(bundle === undefined ? {} : { bundle: JSON.stringify(bundle) })
    }
    const options = {
      name: nameOf(offer, bundle),
      type: offer.type,
      tags: ['credential']
    }
    await documents.addAlong(bytesOf(arrived.credential), options, (batch, id) =>
      this.#kept(batch, thread.id, id, record)
    )
  }

  /** In the batch that makes the document. */
  #kept(batch: Batch, thid: string, document: string, record: CredentialRecord): void {
    const { threads, credentials, audit } = this.#components
    const thread = threads.get(thid, 'holder')
    credentials.put(batch, document, record)
    threads.send(batch, ended(thread), 'ack', { body: { status: 'OK' } }, { credential: document })
    audit.append(batch, {
      action: 'credential-received',
      actor: thread.contact,
      actorName: record.contactName,
      details: { credential: record.credentialId, type: record.type, issuer: record.issuer, thid }
    })
  }

  #retryLater(thid: string): void {
    if (this.#closed) return
    this.#retries.get(thid)?.()
    const again = (): void => {
      this.#retries.delete(thid)
      this.#keepLater(thid)
    }
    const failures = this.#failures.get(thid) ?? 0
    this.#failures.set(thid, failures + 1)
    const pauseMs = KEEP_RETRIES_MS[failures] ?? KEEP_RETRIES_MS.at(-1) ?? 0
    this.#retries.set(thid, this.#components.clock.after(pauseMs, again))
  }
}

/** What a proposal, or a request that begins a thread, takes along. */
function asking(request: CredentialRequest, comment: string | undefined): Outgoing {
  return {
    body: comment === undefined ? {} : { comment },
    attachments: [issuanceAttachment(CREDENTIAL_REQUEST_FORMAT, { ...request })]
  }
}

/** As the issuer's schema calls the kind, else by its VC type. */
function nameOf({ types, type }: CredentialOffer, bundle: JsonObject | undefined): string {
  const schemas = bundle?.['schemas']
  const [first]: readonly unknown[] = Array.isArray(schemas) ? schemas : []
  const schema = isJsonObject(first) ? first['schema'] : undefined
  const title = isJsonObject(schema) ? schema['title'] : undefined
  const called = typeof title === 'string' ? title.replaceAll(/\p{C}+/gu, ' ').trim() : ''
  if (called !== '') return Array.from(called).slice(0, NAME_CHARACTERS_MAX).join('')
  return (types[0] ?? type).replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
}

/** A text from our own record that was JSON of bounded depth when it came; undefined for what is none. */
function jsonOf(text: string): JsonObject | undefined {
  try {
    const value = parseJsonBounded(Buffer.from(text), {
      bytesMax: MESSAGE_BYTES_MAX,
      depthMax: JSON_DEPTH_MAX,
      keysMax: JSON_KEYS_MAX
    })
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

function mustBeShort(text: string | undefined): void {
  if (text !== undefined && text.length > ISSUANCE_TEXT_CHARACTERS_MAX)
    throw new LockerError(
      'request-invalid',
      `a text has at most ${ISSUANCE_TEXT_CHARACTERS_MAX} characters`
    )
}
