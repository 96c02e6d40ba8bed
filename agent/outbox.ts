/**
 * The outbox: messages on their way to parties that may be away.
 *
 * @module
 */
import type { Batch } from './records.ts'

/** A message as a feature hands it over; the outbox adds `id`, `from`, `to`, the times and, after a rotation, `from_prior`. */
export interface OutgoingMessage {
  /** The contact's DID, any it is or was known by. */
  readonly to: string
  /** Message type URI. */
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
  /** Default: none, the message opens a thread whose id is the message's own. */
  readonly thid?: string
  readonly pthid?: string
  readonly attachments?: ReadonlyArray<Readonly<Record<string, unknown>>>
  /** The id to use, for a thread whose id must be known before; a random UUID when undefined. */
  readonly id?: string
  /** Goes out as `expires_time`; 7 days from now when undefined. */
  readonly expiresAt?: Date
  /** Asks the other side to acknowledge, and sends again until it does. Default true. */
  readonly pleaseAck?: boolean
}

/** What the other features use of the outbox. */
export interface Outbox {
  /**
   * Queues a message for a contact; it is on its way once the batch is durable. Returns its id.
   * Throws `contact-unknown`, `outbox-full`, `envelope-too-large`.
   */
  enqueue(batch: Batch, message: OutgoingMessage): string
  /** Oldest first. */
  list(): readonly OutboxItem[]
  get(id: string): OutboxItem | undefined
  /** Tries a waiting or failed item at once. Throws `not-found`. */
  retry(id: string): Promise<void>
  /** The contact has shown up: what waits for it is tried at once. */
  wake(did: string): void
  /** Removes what waits for this contact, e.g. because it is being removed. Returns how many. */
  drop(batch: Batch, did: string): number
  /** Called with the id of an item whose state changed, after the change is durable or visible. */
  onChange(listener: (item: OutboxItem) => void): void
}

export interface OutboxItem {
  readonly id: string
  readonly to: { readonly did: string; readonly name?: string }
  /** Message type URI. */
  readonly type: string
  readonly thid?: string
  readonly state: 'waiting' | 'sending' | 'sent' | 'failed'
  readonly attempts: number
  readonly createdAt: string
  readonly nextAttemptAt?: string
  readonly expiresAt: string
  readonly lastError?: string
  /** When the other agent confirmed it has processed the message. */
  readonly acknowledgedAt?: string
}
