/**
 * Exchanges: every message that comes in, from the packed envelope to one durable batch with its effect,
 * the replies and the audit entry.
 *
 * @module
 */
import type { ContactFacts } from './contacts.ts'
import type { Batch } from './records.ts'

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
  readonly attachments: readonly unknown[]
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
}
