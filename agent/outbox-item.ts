/**
 * One message of the outbox: as a feature hands it over, as it is stored, as the owner sees it.
 *
 * @module
 */
import { z } from 'zod'
import { LockerError } from './errors.ts'
import { attachment, MESSAGE_BYTES_MAX, type Attachment } from '../protocols/message.ts'

/** How long a message is worth delivering when its sender does not say, milliseconds. */
export const LIFETIME_MS = 7 * 24 * 3_600_000

/** Largest plaintext, bytes: JWE base64url adds a third, its header and keys less than 8 KiB. */
export const PLAINTEXT_BYTES_MAX = Math.floor(((MESSAGE_BYTES_MAX - 8 * 1024) * 3) / 4)

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
  readonly attachments?: readonly Attachment[]
  /** Ids of the messages this one answers; processing this one acknowledges them. */
  readonly ack?: readonly string[]
  /** The id to use, for a thread whose id must be known before; a random UUID when undefined. */
  readonly id?: string
  /** Goes out as `expires_time`; 7 days from now when undefined. */
  readonly expiresAt?: Date
  /** Asks the other side to acknowledge, and sends again until it does. Default true. */
  readonly pleaseAck?: boolean
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

/** The letter of agent/delivery.ts without its id, which is the record's key. */
const letter = z.strictObject({
  type: z.string(),
  body: z.custom<Readonly<Record<string, unknown>>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
  ),
  thid: z.exactOptional(z.string()),
  pthid: z.exactOptional(z.string()),
  attachments: z.exactOptional(z.array(attachment).readonly()),
  ack: z.exactOptional(z.array(z.string()).readonly()),
  pleaseAck: z.boolean(),
  createdTime: z.int().nonnegative(),
  expiresTime: z.int().nonnegative()
})

/** The record of one message. */
export const queued = z.strictObject({
  /** Position in the outbox; messages to one contact leave in this order. */
  order: z.int().positive(),
  /** Handle of the contact. */
  to: z.string(),
  letter,
  state: z.enum(['waiting', 'sent', 'failed']),
  attempts: z.int().nonnegative(),
  nextAttemptAt: z.exactOptional(z.iso.datetime()),
  lastError: z.exactOptional(z.string().max(1000)),
  /** Times it went out again for want of an acknowledgement. */
  repeats: z.int().nonnegative(),
  sentAt: z.exactOptional(z.iso.datetime()),
  acknowledgedAt: z.exactOptional(z.iso.datetime()),
  /** The problem code with which the other side refused it. */
  refusedWith: z.exactOptional(z.string()),
  finishedAt: z.exactOptional(z.iso.datetime())
})

export type Queued = z.infer<typeof queued>

/**
 * The record of a new message. Deep: what is queued does not change with the caller's objects. Throws
 * `envelope-too-large`.
 */
export function queuedOf(
  message: OutgoingMessage,
  facts: { readonly to: string; readonly order: number; readonly now: Date }
): Queued {
  const expiresMs = message.expiresAt?.getTime() ?? facts.now.getTime() + LIFETIME_MS
  const { to: _to, id: _id, expiresAt: _expires, pleaseAck = true, ...content } = message
  const createdTime = Math.floor(facts.now.getTime() / 1000)
  const expiresTime = Math.ceil(expiresMs / 1000)
  const text = JSON.stringify({
    order: facts.order,
    to: facts.to,
    letter: { ...content, pleaseAck, createdTime, expiresTime },
    state: 'waiting',
    attempts: 0,
    repeats: 0
  })
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes > PLAINTEXT_BYTES_MAX)
    throw new LockerError(
      'envelope-too-large',
      `message of ${sizeBytes} bytes is over ${PLAINTEXT_BYTES_MAX}`
    )
  return queued.parse(JSON.parse(text))
}

/** The record of a message that is to be tried anew; an expired one gets its whole lifetime again. */
export function renewed(item: Queued, now: Date): Queued {
  const { nextAttemptAt: _next, finishedAt: _finished, ...rest } = item
  const { createdTime, expiresTime } = item.letter
  const nowSeconds = Math.floor(now.getTime() / 1000)
  const times =
    expiresTime > nowSeconds
      ? {}
      : { createdTime: nowSeconds, expiresTime: nowSeconds + expiresTime - createdTime }
  return { ...rest, letter: { ...item.letter, ...times }, state: 'waiting', attempts: 0 }
}

/** What the owner sees. `name`: the contact's; `sending`: an attempt is under way. */
export function factsOf(
  id: string,
  item: Queued,
  live: { readonly name?: string | undefined; readonly sending: boolean }
): OutboxItem {
  return {
    id,
    to: { did: item.to, ...(live.name === undefined ? {} : { name: live.name }) },
    type: item.letter.type,
    ...(item.letter.thid === undefined ? {} : { thid: item.letter.thid }),
    state: live.sending ? 'sending' : item.state,
    attempts: item.attempts,
    createdAt: new Date(item.letter.createdTime * 1000).toISOString(),
    ...(item.nextAttemptAt === undefined ? {} : { nextAttemptAt: item.nextAttemptAt }),
    expiresAt: new Date(item.letter.expiresTime * 1000).toISOString(),
    ...(item.lastError === undefined ? {} : { lastError: item.lastError }),
    ...(item.acknowledgedAt === undefined ? {} : { acknowledgedAt: item.acknowledgedAt })
  }
}

/** Whether the message is of no use to its recipient any more. */
export function expired(item: Queued, now: Date): boolean {
  return now.getTime() >= item.letter.expiresTime * 1000
}

/** What the owner reads beside a message that was never delivered. */
export function expiredReason(item: Queued): string {
  const at = new Date(item.letter.expiresTime * 1000).toISOString()
  return `message-expired: not delivered by ${at}; ${item.lastError ?? 'never tried'}`.slice(
    0,
    1000
  )
}
