/**
 * Exchanges: every message that comes in, from the packed envelope to one durable batch with its effect,
 * the replies and the audit entry.
 *
 * The steps of {@link OpenExchanges.receive}, and what happens to a message that one of them stops:
 *
 * | step                                                          | stopped: the sender gets            |
 * |---------------------------------------------------------------|-------------------------------------|
 * | 1 size, rate of the peer                                      | nothing                             |
 * | 2 unpack: envelope, schema, addressing, `from_prior`          | nothing                             |
 * | 3 encrypted and authenticated                                 | nothing                             |
 * | 4 sender: a contact writing to the DID made for it, a contact | nothing; to who answers an          |
 * |   that has rotated, or the answer to a live invitation        | invitation too late, a report       |
 * | 5 rate of the contact                                         | nothing                             |
 * | 6 times: `created_time`, `expires_time`, skew 300 s           | problem report                      |
 * | 7 not received before                                         | the same answer as before           |
 * | 8 a protocol for the type, and its handler                    | problem report                      |
 *
 * Steps 7 and 8 are one `records.change`: id, effect, replies, audit. A problem report is never answered,
 * and no message gets more than one. Nothing here throws for what the other side did.
 *
 * @module
 */
import type { Admission } from './admission.ts'
import type { Clock, Logger } from './components.ts'
import type { ContactBook, ContactRecord } from './contact-book.ts'
import type { ContactFacts } from './contacts.ts'
import type { Delivery } from './delivery.ts'
import { LockerError, type LockerErrorCode } from './errors.ts'
import type { Identity } from './identity.ts'
import type { Outbox, OutboxAnswers } from './outbox.ts'
import type { Batch, Records } from './records.ts'
import type { ReplayMemory } from './replay.ts'
import { EMPTY } from '../protocols/empty.ts'
import { fromPriorIsCurrent, type FromPrior } from '../protocols/envelope/from-prior.ts'
import { ProtocolError } from '../protocols/errors.ts'
import {
  MESSAGE_BYTES_MAX,
  parseMessageType,
  timeFault,
  type Attachment,
  type PlaintextMessage
} from '../protocols/message.ts'
import { commentOf, problemReport, REPORT_PROBLEM } from '../protocols/report-problem.ts'

/** Longest `expires_time` accepted, milliseconds from now: an id is remembered until then. */
export const EXPIRY_MS_MAX = 90 * 24 * 3_600_000

/** A message whose sender has been authenticated and is a contact. */
export interface IncomingMessage {
  readonly id: string
  /** Message type URI as received. */
  readonly type: string
  /** Last path segment of the type: `grant` of `…/share/1.0/grant`. */
  readonly name: string
  /** The thread's id; the message's own id when it opened the thread. */
  readonly thid: string
  readonly pthid?: string
  /** The contact's handle ({@link ContactFacts.did}), whatever DID the envelope came from. */
  readonly from: string
  /** Our DID it was sent to. */
  readonly to: string
  /** Hostile until the handler's schema has passed. */
  readonly body: unknown
  readonly attachments: readonly Attachment[]
  readonly createdTime?: Date
  readonly expiresTime?: Date
}

/** A handler's no: a problem report goes out and nothing of the batch is kept but the message's id. */
export interface Refusal {
  /** DIDComm problem code: `e.p.…` or `e.m.…`. */
  readonly problem: string
  /** For the other party to read; no secret. */
  readonly comment: string
}

/** Puts the message's effect into the batch. Runs inside `records.change`, so it must not call it. */
export type Handler = (
  message: IncomingMessage,
  contact: ContactFacts,
  batch: Batch
) => Refusal | undefined | Promise<Refusal | undefined>

/** The other side's problem report about a thread. */
export interface ProblemReport {
  /** Thread the report speaks of: its `pthid`, else its `thid`. */
  readonly thid: string
  /** Ids of the messages it answers; may be empty. */
  readonly ack: readonly string[]
  readonly code: string
  /** Arguments filled in, control characters removed, at most 500 characters. */
  readonly comment: string
}

export interface ProtocolOptions {
  /** Roles this agent can take; disclosed by discover-features 2.0. */
  readonly roles: readonly string[]
  readonly handler: Handler
  /**
   * True when a message of this protocol changes nothing that lasts (a ping): its id is remembered in
   * memory only. Messages of the others must carry `expires_time`. Default false.
   */
  readonly stateless?: boolean
  /** Told of problem reports on any thread; the protocol looks whether the thread is its own. */
  readonly problem?: (report: ProblemReport, contact: ContactFacts, batch: Batch) => void
}

/** What the other features use. */
export interface Exchanges {
  /** Registers a protocol by its PIURI (without trailing slash); messages of its major version reach the handler. */
  handle(piuri: string, options: ProtocolOptions): void
  /** `listener` hears of each contact, by its DID, from which a new message has been taken. */
  onHeard(listener: (did: string) => void): void
}

/** Where an envelope came from. `peer`: PeerId or address, for its rate; all without one share a rate. */
export interface Origin {
  readonly transport: 'libp2p' | 'http'
  readonly peer?: string
}

/**
 * What became of an envelope. `later`: a fault of ours (the disk is full, the vault was sealed meanwhile)
 * kept it from being processed; the caller keeps it and tries again.
 */
export type Reception = 'done' | 'later'

/** A message from a DID that is no contact but writes to a DID offered in an invitation. */
export interface Answer {
  readonly from: string
  readonly to: string
  readonly pthid?: string
}

/** agent/contacts.ts: makes a contact of who answers a live invitation. */
export interface Introductions {
  /** `undefined`: no invitation offered this DID, so the sender is a stranger who gets no answer. */
  admit(answer: Answer): Promise<{ contact: ContactFacts } | { refusal: Refusal } | undefined>
}

export interface ExchangesComponents {
  readonly records: Records
  readonly identity: Pick<Identity, 'unpack' | 'forget'>
  readonly book: ContactBook
  readonly outbox: Pick<Outbox, 'wake'> & OutboxAnswers
  readonly delivery: Pick<Delivery, 'post'>
  readonly replay: ReplayMemory
  readonly admission: Admission
  readonly introductions: Introductions
  readonly clock: Clock
  readonly logger: Logger
  /** A contact has changed. */
  readonly changed: (did: string) => void
}

/** A message that has passed steps 1 to 6. */
interface Sound {
  readonly message: IncomingMessage
  readonly contact: ContactFacts
  readonly plaintext: PlaintextMessage
  /** Their new DID, when this message announces it. */
  readonly rotatedTo?: string
}

/** Thrown inside a change so that nothing of its batch is kept. */
class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.comment)
    this.refusal = refusal
  }
}

/** Faults of ours that pass: the envelope is kept and tried again. */
const PASSING: ReadonlySet<LockerErrorCode> = new Set([
  'vault-sealed',
  'storage-full',
  'storage-failed',
  'outbox-full'
])

export class OpenExchanges implements Exchanges {
  readonly #components: ExchangesComponents
  readonly #protocols = new Map<string, ProtocolOptions & { readonly piuri: string }>()
  /** One for each feature that waits for contacts. */
  readonly #heard: Array<(did: string) => void> = []
  /** Envelopes of one peer are processed in the order they came. */
  readonly #tails = new Map<string, Promise<unknown>>()
  #closed = false

  constructor(components: ExchangesComponents) {
    this.#components = components
  }

  handle(piuri: string, options: ProtocolOptions): void {
    const key = majorOf(`${piuri}/any`)
    if (this.#protocols.has(key)) throw new TypeError(`${piuri} is handled already`)
    this.#protocols.set(key, { ...options, piuri })
  }

  onHeard(listener: (did: string) => void): void {
    this.#heard.push(listener)
  }

  /** The protocols registered, for discover-features. */
  protocols(): ReadonlyArray<{ readonly piuri: string; readonly roles: readonly string[] }> {
    return [...this.#protocols.values()].map(({ piuri, roles }) => ({ piuri, roles }))
  }

  /**
   * Processes one envelope. Never rejects. `admitted`: it waited in the spool, whose bounds stand in for the
   * rate of the peer.
   */
  async receive(
    envelope: Uint8Array,
    origin: Origin,
    options: { admitted?: boolean } = {}
  ): Promise<Reception> {
    const { admission, logger } = this.#components
    const peer = `${origin.transport}:${origin.peer ?? ''}`
    const sizeBytes = envelope.byteLength
    if (sizeBytes > MESSAGE_BYTES_MAX) {
      logger.warn('envelope-refused', { peer, reason: 'envelope-too-large', sizeBytes })
      return 'done'
    }
    if (options.admitted === true) return this.#inTurn('spool', () => this.#process(envelope))
    if (!(await admission.enter(peer, sizeBytes))) {
      logger.warn('envelope-refused', { peer, reason: 'rate-limited' })
      return 'done'
    }
    try {
      return await this.#inTurn(peer, () => this.#process(envelope, peer))
    } finally {
      admission.leave(sizeBytes)
    }
  }

  /** Envelopes that come from here on are answered `later`; resolves when none is being processed. */
  async close(): Promise<void> {
    this.#closed = true
    this.#components.admission.close()
    await Promise.allSettled(this.#tails.values())
  }

  async #inTurn(peer: string, work: () => Promise<Reception>): Promise<Reception> {
    const turn = (this.#tails.get(peer) ?? Promise.resolve()).then(work)
    this.#tails.set(peer, turn)
    try {
      return await turn
    } finally {
      if (this.#tails.get(peer) === turn) this.#tails.delete(peer)
    }
  }

  /** Never rejects: what fails for a reason of ours is logged and, if the reason passes, kept. */
  async #process(envelope: Uint8Array, peer?: string): Promise<Reception> {
    if (this.#closed) return 'later'
    const { logger } = this.#components
    try {
      const sound = await this.#examine(envelope, peer)
      if (sound !== undefined) await this.#take(sound)
      return 'done'
    } catch (error) {
      if (error instanceof ProtocolError || isCode(error, 'did-unresolvable')) {
        logger.warn('envelope-refused', { peer, reason: error.code, error: error.message })
        return 'done'
      }
      const later = error instanceof LockerError && PASSING.has(error.code)
      logger.error('envelope-not-processed', { peer, later, error: String(error) })
      return later ? 'later' : 'done'
    }
  }

  /** Steps 2 to 6. */
  async #examine(envelope: Uint8Array, peer: string | undefined): Promise<Sound | undefined> {
    const { admission, book, clock, identity, logger } = this.#components
    const { message: plaintext, meta } = await identity.unpack(envelope)
    const { from, to } = meta
    const refused = (reason: string): undefined => {
      logger.warn('message-refused', { peer, from, type: plaintext.type, reason })
      return undefined
    }
    if (!meta.encrypted || from === undefined || to === undefined) return refused('anonymous')
    const sender = await this.#sender(plaintext, { from, to, fromPrior: meta.fromPrior })
    if (sender === undefined) return refused('stranger')
    if ('former' in sender) return refused('former-did')
    if ('refusal' in sender) {
      this.#report({ stranger: from, from: to }, plaintext, sender.refusal)
      return refused(sender.refusal.problem)
    }
    const { contact, rotatedTo } = sender
    if (peer !== undefined) {
      admission.recognise(peer)
      if (!(await admission.contact(contact.did))) return refused('rate-limited')
    }
    if (this.#closed) throw new LockerError('vault-sealed', 'the vault was sealed meanwhile')
    const late = timeFault(plaintext, clock.now())
    if (late !== undefined) {
      this.#report({ contact: contact.did }, plaintext, {
        problem: 'e.p.req.time',
        comment: `the message is refused: ${late}`
      })
      return refused(late)
    }
    book.seen(contact.did)
    return {
      message: incoming(plaintext, contact, to),
      contact,
      plaintext,
      ...(rotatedTo === undefined ? {} : { rotatedTo })
    }
  }

  /** Step 4: who this is. `former`: the DID was theirs before a rotation and is not accepted any more. */
  async #sender(
    plaintext: PlaintextMessage,
    envelope: { from: string; to: string; fromPrior: FromPrior | undefined }
  ): Promise<
    | { contact: ContactFacts; rotatedTo?: string }
    | { refusal: Refusal }
    | { former: true }
    | undefined
  > {
    const { book, clock, introductions } = this.#components
    const { from, to, fromPrior } = envelope
    const known = book.record(from)
    if (known !== undefined) {
      // Each contact knows one DID of ours; who writes to another has it from somebody else.
      if (book.recordByOurDid(to)?.did !== known.did) return undefined
      if (!book.accepts(known, from)) return { former: true }
      return { contact: mustFind(book, known) }
    }
    const before = fromPrior === undefined ? undefined : book.record(fromPrior.iss)
    if (fromPrior !== undefined && before !== undefined) {
      if (!book.accepts(before, fromPrior.iss)) return { former: true }
      if (!fromPriorIsCurrent(fromPrior, clock.now())) return undefined
      if (book.recordByOurDid(to)?.did !== before.did) return undefined
      return { contact: mustFind(book, before), rotatedTo: from }
    }
    const { pthid } = plaintext
    return introductions.admit({ from, to, ...(pthid === undefined ? {} : { pthid }) })
  }

  /** Steps 7 and 8. */
  async #take(sound: Sound): Promise<void> {
    const { outbox, records, replay } = this.#components
    const { contact, plaintext } = sound
    const seen = replay.known(contact.did, plaintext.id)
    if (seen !== undefined) {
      this.#answerAgain(sound, seen.refused)
      return
    }
    try {
      await records.change((batch) => this.#effect(sound, batch))
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      await this.#refuse(sound, error.refusal)
      return
    }
    outbox.wake(contact.did)
    for (const listener of this.#heard) listener(contact.did)
    this.#acknowledge(sound)
  }

  async #effect(sound: Sound, batch: Batch): Promise<void> {
    const { outbox, replay } = this.#components
    const { message, plaintext, contact } = sound
    // Two copies may have passed the first check together.
    if (replay.known(contact.did, plaintext.id) !== undefined) return
    const report = isReport(message.type)
    const protocol = report ? undefined : this.#protocols.get(majorOf(message.type))
    if (!report && protocol === undefined)
      throw new Refused({ problem: 'e.p.msg.unsupported', comment: `no ${message.type} here` })
    if (report || protocol?.stateless === true)
      batch.afterwards(() => replay.rememberStateless(message))
    else {
      const fault = expiryFault(message, this.#components.clock.now())
      if (fault !== undefined) throw new Refused({ problem: 'e.p.req.time', comment: fault })
      if (replay.full(contact.did))
        throw new Refused({ problem: 'e.p.me.res.storage', comment: 'too many messages in 7 days' })
      replay.remember(batch, message)
    }
    this.#noteContact(sound, batch)
    if (report) {
      this.#problem(message, plaintext, contact, batch)
      return
    }
    if (plaintext.ack !== undefined) outbox.acknowledge(batch, contact.did, plaintext.ack)
    const refusal = await callHandler(protocol?.handler, message, contact, batch)
    if (refusal !== undefined) throw new Refused(refusal)
  }

  /** What any authenticated message says about the contact: that it is there, and how it is reached from now on. */
  #noteContact(sound: Sound, batch: Batch): void {
    const { book, changed, logger } = this.#components
    const { contact, message, rotatedTo } = sound
    const record = book.record(contact.did)
    if (record === undefined) return
    if (rotatedTo !== undefined) {
      book.rotated(batch, contact.did, rotatedTo)
      batch.afterwards(() =>
        logger.info('contact-rotated', { contact: contact.did, to: rotatedTo })
      )
    }
    // A problem report may well say that they will not be one.
    if (record.state === 'waiting' && !isReport(message.type)) {
      book.change(batch, contact.did, { state: 'connected', problem: undefined })
      batch.afterwards(() => changed(contact.did))
    }
    // They have written to our new DID, so they know it: `from_prior` need not be repeated.
    if (record.fromPrior !== undefined && message.to === record.ourDid)
      book.change(batch, contact.did, { fromPrior: undefined })
  }

  #problem(
    message: IncomingMessage,
    plaintext: PlaintextMessage,
    contact: ContactFacts,
    batch: Batch
  ): void {
    const { logger, outbox } = this.#components
    const body = problemReport.safeParse(message.body)
    if (!body.success) {
      logger.warn('message-refused', { from: contact.did, type: message.type, reason: 'schema' })
      return
    }
    const report: ProblemReport = {
      thid: message.pthid ?? message.thid,
      ack: plaintext.ack ?? [],
      code: body.data.code.toLowerCase(),
      comment: commentOf(body.data)
    }
    logger.warn('problem-reported', { from: contact.did, code: report.code, thid: report.thid })
    // A warning (`w.`) does not say that the message failed.
    if (report.code.startsWith('e.')) outbox.refuse(batch, contact.did, report)
    for (const { problem } of this.#protocols.values()) problem?.(report, contact, batch)
  }

  /** Remembers a refused message with its answer, keeps nothing else of it, and answers. */
  async #refuse(sound: Sound, refusal: Refusal): Promise<void> {
    const { logger, records, replay } = this.#components
    const { contact, message, plaintext } = sound
    const protocol = this.#protocols.get(majorOf(message.type))
    const lasting = protocol !== undefined && protocol.stateless !== true
    await records.change((batch) => {
      if (replay.known(message.from, message.id) !== undefined) return
      if (lasting && !replay.full(contact.did)) replay.remember(batch, message, refusal)
      else batch.afterwards(() => replay.rememberStateless(message, refusal))
      this.#noteContact(sound, batch)
    })
    logger.warn('message-refused', {
      from: contact.did,
      type: message.type,
      reason: refusal.problem
    })
    this.#report({ contact: contact.did }, plaintext, refusal)
  }

  /** The first answer may have been lost, or the first copy taken just before a crash. */
  #answerAgain(sound: Sound, refused: Refusal | undefined): void {
    const { contact, message, plaintext } = sound
    this.#components.logger.debug('message-repeated', { from: contact.did, id: message.id })
    if (refused !== undefined) this.#report({ contact: contact.did }, plaintext, refused)
    else this.#acknowledge(sound)
  }

  #acknowledge({ contact, plaintext }: Sound): void {
    const asked = plaintext.please_ack?.some((id) => id === '' || id === plaintext.id)
    if (asked !== true) return
    this.#components.delivery.post(
      {
        type: `${EMPTY}/empty`,
        body: {},
        thid: plaintext.thid ?? plaintext.id,
        ack: [plaintext.id]
      },
      { contact: contact.did }
    )
  }

  #report(route: Parameters<Delivery['post']>[1], about: PlaintextMessage, refusal: Refusal): void {
    // DIDComm v2.1 "Cascading Problems": no report about a report.
    if (isReport(about.type)) return
    this.#components.delivery.post(
      {
        type: `${REPORT_PROBLEM}/problem-report`,
        pthid: about.thid ?? about.id,
        ack: [about.id],
        body: { code: refusal.problem, comment: refusal.comment }
      },
      route
    )
  }
}

function mustFind(book: ContactBook, record: ContactRecord): ContactFacts {
  const contact = book.find(record.did)
  if (contact === undefined) throw new LockerError('contact-unknown', `no contact ${record.did}`)
  return contact
}

function incoming(plaintext: PlaintextMessage, contact: ContactFacts, to: string): IncomingMessage {
  const { created_time: created, expires_time: expires } = plaintext
  return {
    id: plaintext.id,
    type: plaintext.type,
    name: parseMessageType(plaintext.type).name,
    thid: plaintext.thid ?? plaintext.id,
    ...(plaintext.pthid === undefined ? {} : { pthid: plaintext.pthid }),
    from: contact.did,
    to,
    body: plaintext.body,
    attachments: plaintext.attachments ?? [],
    ...(created === undefined ? {} : { createdTime: new Date(created * 1000) }),
    ...(expires === undefined ? {} : { expiresTime: new Date(expires * 1000) })
  }
}

/** A message that changes something must say until when it may, or it could be replayed once its id is forgotten. */
function expiryFault(message: IncomingMessage, now: Date): string | undefined {
  if (message.expiresTime === undefined) return 'expires_time is missing'
  const aheadMs = message.expiresTime.getTime() - now.getTime()
  return aheadMs > EXPIRY_MS_MAX ? 'expires_time is more than 90 days ahead' : undefined
}

/** What a handler's parser throws about the message is the other side's fault, and so a refusal. */
async function callHandler(
  handler: Handler | undefined,
  ...call: Parameters<Handler>
): Promise<Refusal | undefined> {
  try {
    return await handler?.(...call)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { problem: 'e.p.msg.invalid', comment: error.message.slice(0, 500) }
  }
}

/** `<base>/<protocol>/<major>`: agents with the same major version understand each other. */
function majorOf(type: string): string {
  const { piuri, major, version } = parseMessageType(type)
  return piuri.slice(0, -version.length) + String(major)
}

function isReport(type: string): boolean {
  return majorOf(type) === majorOf(`${REPORT_PROBLEM}/problem-report`)
}

function isCode<Code extends LockerErrorCode>(
  error: unknown,
  code: Code
): error is LockerError & { readonly code: Code } {
  return error instanceof LockerError && error.code === code
}
