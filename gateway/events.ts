/**
 * Server-sent events (WHATWG HTML §9.2): what happens in the agent, to every page and program that
 * listens.
 *
 * Each event is `id: <number>` and `data: <AgentEvent as JSON>`. A client that comes back with
 * `Last-Event-ID` gets what it missed; when that is no longer known (too long ago, or the agent was
 * started again) it gets one `event: gap` and reads anew what it shows.
 *
 * @module
 */
import type { Request, Response } from 'express'
import type { Agent, AgentEvent, Clock } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'

/** Events kept for clients that come back: minutes of a busy import. */
export const RING_MAX = 1_000

/** Listeners at once: one person's tabs and programs. */
export const CLIENTS_MAX = 64

/** A comment each 15 s keeps proxies from closing the stream and finds clients that are gone. */
export const COMMENT_EVERY_MS = 15_000

/** Bytes a client may be behind before it is dropped; it comes back with `Last-Event-ID`. */
const BEHIND_BYTES_MAX = 64 * 1024

/** What a client waits before it connects again, ms. */
const RETRY_MS = 2_000

/** What is asked of a listener while it listens. */
interface Listening {
  /** Asked before each comment: whether its proof of who it is still holds. When false the stream ends. */
  readonly holds: () => boolean
  /** Which kinds of event it is told. */
  readonly hears: (type: AgentEvent['type']) => boolean
}

interface Client extends Listening {
  readonly response: Response
}

/** One subscription to the agent, many listeners. */
export class EventHub {
  readonly #clients = new Set<Client>()
  readonly #ring: AgentEvent[] = []
  readonly #clock: Clock
  readonly #unsubscribe: () => void
  #cancelComment: (() => void) | undefined
  #closed = false

  constructor({ agent, clock }: { agent: Agent; clock: Clock }) {
    this.#clock = clock
    this.#unsubscribe = agent.subscribe((event) => this.#publish(event))
  }

  /** Listeners now. */
  get clients(): number {
    return this.#clients.size
  }

  /**
   * Answers with the stream; resolves when it has ended.
   *
   * @throws `gateway-busy` for more than {@link CLIENTS_MAX} listeners, and once closed.
   */
  async stream(request: Request, response: Response, listening: Listening): Promise<void> {
    if (this.#closed || this.#clients.size >= CLIENTS_MAX)
      throw new LockerError('gateway-busy', `${this.#clients.size} event streams are open`)
    response.status(200)
    response.setHeader('content-type', 'text/event-stream; charset=utf-8')
    // Proxies that buffer answers (nginx) would hold events back.
    response.setHeader('x-accel-buffering', 'no')
    const missed = this.#missed(request.headers['last-event-id'], listening)
    response.write(`retry: ${RETRY_MS}\n\n${missed}`)
    const client = { response, ...listening }
    this.#clients.add(client)
    this.#cancelComment ??= this.#clock.after(COMMENT_EVERY_MS, () => this.#comment())
    await new Promise<void>((resolve) => response.once('close', resolve))
    this.#clients.delete(client)
  }

  /** Ends every stream; later ones are refused. */
  close(): void {
    this.#closed = true
    this.#unsubscribe()
    this.#cancelComment?.()
    for (const { response } of this.#clients) response.end()
    this.#clients.clear()
  }

  #publish(event: AgentEvent): void {
    this.#ring.push(event)
    if (this.#ring.length > RING_MAX) this.#ring.shift()
    const frame = frameOf(event)
    for (const client of this.#clients) if (client.hears(event.type)) this.#send(client, frame)
  }

  #comment(): void {
    for (const client of this.#clients) {
      if (client.holds()) this.#send(client, ':\n\n')
      else {
        this.#clients.delete(client)
        client.response.end()
      }
    }
    this.#cancelComment =
      this.#clients.size === 0
        ? undefined
        : this.#clock.after(COMMENT_EVERY_MS, () => this.#comment())
  }

  #send(client: Client, frame: string): void {
    client.response.write(frame)
    if (client.response.writableLength <= BEHIND_BYTES_MAX) return
    this.#clients.delete(client)
    client.response.destroy()
  }

  /** What a client that saw `lastEventId` has not seen. */
  #missed(lastEventId: string | string[] | undefined, { hears }: Listening): string {
    if (typeof lastEventId !== 'string' || !/^[0-9]{1,15}$/.test(lastEventId)) return ''
    const last = Number(lastEventId)
    const oldest = this.#ring[0]?.number
    const newest = this.#ring.at(-1)?.number ?? 0
    // Numbers begin at 1 with each start of the agent, so a later number is of an earlier run.
    if (last > newest || (oldest !== undefined && last < oldest - 1))
      return `event: gap\nid: ${newest}\ndata: {}\n\n`
    return this.#ring
      .filter((event) => event.number > last && hears(event.type))
      .map(frameOf)
      .join('')
  }
}

/** JSON text has no line breaks, so one `data` line holds it. */
function frameOf({ number, type, id }: AgentEvent): string {
  return `id: ${number}\ndata: ${JSON.stringify({ number, type, id })}\n\n`
}
