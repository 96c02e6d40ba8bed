/**
 * Delivery: one attempt to bring one message to another agent, over every endpoint of its DID document.
 * What has to survive a restart is queued in agent/outbox.ts; what is worth nothing a minute later (a
 * ping, an acknowledgement) is posted here directly.
 *
 * @module
 */
import type { Clock, Endpoint, Logger, Network } from './components.ts'
import { LockerError } from './errors.ts'
import { ProtocolError } from '../protocols/errors.ts'
import type { Attachment } from '../protocols/message.ts'

/** Sends under way at once, over all contacts: each holds an envelope of up to 256 KiB and a stream. */
export const SENDS_IN_FLIGHT_MAX = 64

/** Posts waiting for a free send; more are dropped, which a ping survives. */
export const POSTS_WAITING_MAX = 1_000

/** How long one endpoint may take, milliseconds: a dial through a relay takes up to 10 s. */
export const SEND_TIMEOUT_MS = 20_000

/** How long a posted message is worth processing, milliseconds. */
export const POST_LIFETIME_MS = 60_000

/** A message without its addressing: the courier adds `from`, `to` and, after a rotation, `from_prior`. */
export interface Letter {
  readonly id: string
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
  readonly thid?: string
  readonly pthid?: string
  readonly attachments?: readonly Attachment[]
  readonly ack?: readonly string[]
  readonly pleaseAck?: boolean
  /** Seconds since 1970, as on the wire. */
  readonly createdTime: number
  readonly expiresTime: number
}

/** Who a letter goes to: a contact by its handle, or a DID that is no contact, from a DID of ours. */
export type Route =
  | { readonly contact: string }
  | { readonly stranger: string; readonly from: string }

/** Knows keys and addresses; agent.ts builds it from identity and contacts. */
export interface Courier {
  /**
   * Packs with the DIDs in force now, authcrypt, for each of the recipient's endpoints, libp2p first. Throws
   * `contact-unknown`, `did-unresolvable`.
   */
  pack(
    letter: Letter,
    route: Route
  ): Promise<ReadonlyArray<{ readonly endpoint: Endpoint; readonly envelope: Uint8Array }>>
}

export type DeliveryOutcome =
  | { readonly ok: true }
  /** `final`: no later attempt can go better. */
  | { readonly ok: false; readonly error: string; readonly final: boolean }

export interface Delivery {
  /** Waits for a free send, then tries each endpoint once. Never rejects. */
  deliver(letter: Letter, route: Route): Promise<DeliveryOutcome>
  /**
   * Tries once, in memory only; expires after {@link POST_LIFETIME_MS}. Returns the message's id at once;
   * `done` tells how it went.
   */
  post(message: PostedMessage, route: Route): { id: string; done: Promise<DeliveryOutcome> }
  /** Aborts what is under way and resolves when nothing is. */
  close(): Promise<void>
}

export type PostedMessage = Pick<Letter, 'type' | 'body'> &
  Partial<Pick<Letter, 'id' | 'thid' | 'pthid' | 'ack'>>

export interface DeliveryComponents {
  readonly network: Pick<Network, 'send'>
  readonly courier: Courier
  readonly clock: Clock
  readonly logger: Logger
  /** Makes a message id. */
  readonly newId: () => string
}

/** Builds the way out. Nothing is sent before the first call. */
export function createDelivery(components: DeliveryComponents): Delivery {
  const { clock, courier, logger, newId } = components
  const closing = new AbortController()
  const slots = new Slots(SENDS_IN_FLIGHT_MAX)
  const underWay = new Set<Promise<unknown>>()
  let postsWaiting = 0

  async function attempt(letter: Letter, route: Route): Promise<DeliveryOutcome> {
    await slots.take()
    try {
      if (closing.signal.aborted) return { ok: false, error: 'the vault was sealed', final: false }
      return await tryEndpoints(components, closing.signal, await courier.pack(letter, route))
    } catch (error) {
      return { ok: false, error: describe(error), final: hopeless(error) }
    } finally {
      slots.give()
    }
  }

  async function tracked(letter: Letter, route: Route): Promise<DeliveryOutcome> {
    const running = attempt(letter, route)
    underWay.add(running)
    try {
      return await running
    } finally {
      underWay.delete(running)
    }
  }

  async function posted(letter: Letter, route: Route): Promise<DeliveryOutcome> {
    if (postsWaiting >= POSTS_WAITING_MAX) {
      logger.warn('post-dropped', { type: letter.type, waiting: postsWaiting })
      return { ok: false, error: 'too many posts waiting', final: true }
    }
    postsWaiting += 1
    try {
      const outcome = await tracked(letter, route)
      if (!outcome.ok) logger.debug('post-failed', { type: letter.type, error: outcome.error })
      return outcome
    } finally {
      postsWaiting -= 1
    }
  }

  return {
    deliver: tracked,
    post(message, route) {
      const id = message.id ?? newId()
      const nowMs = clock.now().getTime()
      const letter: Letter = {
        ...message,
        id,
        createdTime: Math.floor(nowMs / 1000),
        expiresTime: Math.ceil((nowMs + POST_LIFETIME_MS) / 1000)
      }
      return { id, done: posted(letter, route) }
    },
    async close() {
      closing.abort(new LockerError('operation-cancelled', 'the vault was sealed'))
      await Promise.allSettled(underWay)
    }
  }
}

async function tryEndpoints(
  components: DeliveryComponents,
  closing: AbortSignal,
  packed: Awaited<ReturnType<Courier['pack']>>
): Promise<DeliveryOutcome> {
  let error = 'the contact names no endpoint we can use'
  for (const { endpoint, envelope } of packed) {
    const timeout = new AbortController()
    const cancel = components.clock.after(SEND_TIMEOUT_MS, () =>
      timeout.abort(new LockerError('peer-unreachable', `no answer in ${SEND_TIMEOUT_MS} ms`))
    )
    try {
      const signal = AbortSignal.any([closing, timeout.signal])
      await abortable(components.network.send(endpoint, envelope, { signal }), signal)
      return { ok: true }
    } catch (caught) {
      if (closing.aborted) return { ok: false, error: 'the vault was sealed', final: false }
      error = describe(caught)
    } finally {
      cancel()
    }
  }
  return { ok: false, error, final: false }
}

/** A transport that forgets its signal must not hold a send for ever. */
async function abortable(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => {
      const reason: unknown = signal.reason
      reject(reason instanceof Error ? reason : new Error(String(reason)))
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work, aborted])
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop)
  }
}

/** What the owner reads beside a message that does not get through. */
function describe(error: unknown): string {
  if (error instanceof ProtocolError) return `${error.code}: ${error.message}`.slice(0, 300)
  if (error instanceof LockerError) {
    const { problem } = error.facts
    return `${typeof problem === 'string' ? problem : error.code}: ${error.message}`.slice(0, 300)
  }
  return `peer-unreachable: ${error instanceof Error ? error.message : String(error)}`.slice(0, 300)
}

/** No later attempt helps when there is nobody to write to any more, or the message itself is at fault. */
function hopeless(error: unknown): boolean {
  if (error instanceof ProtocolError) return true
  return error instanceof LockerError && error.code === 'contact-unknown'
}

/** Lets so many in at once, the others in the order they came. */
class Slots {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(free: number) {
    this.#free = free
  }

  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
