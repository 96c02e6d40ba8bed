/**
 * Asks the other side of a connection for a sign of life behind what was just sent.
 *
 * DIDComm streams are simplex: a write succeeds as soon as the local socket takes it, also when the
 * other machine lost its power a second ago. libp2p's ping protocol echoes 32 bytes on the same connection,
 * and a connection keeps its order, so when the echo is back everything sent before it has arrived.
 *
 * @module
 */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock, Random } from '../agent/components.ts'
import { deadline } from './deadline.ts'

const PING_PROTOCOL = '/ipfs/ping/1.0.0'

/** libp2p ping: the payload's size, bytes. */
const PING_BYTES = 32

/** js-libp2p ends a ping stream after ten seconds, whether it is used or not; ours is renewed before. */
const STREAM_MS_MAX = 8_000

/** How long the echo may take, milliseconds: slow relays included. */
const ECHO_MS_MAX = 10_000

export class Echo {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #random: Random
  #stream: { readonly stream: Stream; readonly openedMs: number } | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #supported = true

  constructor(connection: Connection, clock: Clock, random: Random) {
    this.#connection = connection
    this.#clock = clock
    this.#random = random
  }

  /**
   * Resolves when everything sent on the connection before this call has arrived; rejects when that
   * cannot be said. Calls at the same time share an echo. A peer without ping is believed.
   */
  async confirm(): Promise<void> {
    if (!this.#supported) return
    if (this.#running === undefined) {
      this.#running = this.#echo().finally(() => {
        this.#running = undefined
      })
      await this.#running
      return
    }
    // The echo under way may have left before the caller's bytes did: it takes the one after it.
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.confirm()
      })
    await this.#next
  }

  close(): void {
    this.#stream?.stream.abort(new Error('the DIDComm stream was closed'))
    this.#stream = undefined
  }

  async #echo(): Promise<void> {
    using limit = deadline(this.#clock, ECHO_MS_MAX)
    const stream = await this.#open(limit.signal)
    if (stream === undefined) return
    const payload = this.#random(PING_BYTES)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let received = Buffer.alloc(0)
    const message = ({ data }: { data: { subarray(): Uint8Array } }): void => {
      received = Buffer.concat([received, data.subarray()])
      if (received.length < PING_BYTES) return
      if (received.equals(payload)) resolve()
      else reject(new Error('the echo differs from what was sent'))
    }
    const closed = ({ error }: { error?: Error }): void =>
      reject(error ?? new Error('the ping stream was closed'))
    const aborted = (): void => reject(limit.signal.reason)
    stream.addEventListener('message', message)
    stream.addEventListener('close', closed)
    limit.signal.addEventListener('abort', aborted)
    try {
      stream.send(payload)
      await promise
    } catch (error) {
      this.close()
      throw error
    } finally {
      stream.removeEventListener('message', message)
      stream.removeEventListener('close', closed)
      limit.signal.removeEventListener('abort', aborted)
    }
  }

  async #open(signal: AbortSignal): Promise<Stream | undefined> {
    const now = this.#clock.now().getTime()
    const open = this.#stream
    if (open?.stream.status === 'open' && Math.abs(now - open.openedMs) < STREAM_MS_MAX)
      return open.stream
    this.close()
    try {
      const stream = await this.#connection.newStream(PING_PROTOCOL, {
        signal,
        runOnLimitedConnection: true,
        negotiateFully: true
      })
      this.#stream = { stream, openedMs: now }
      return stream
    } catch (error) {
      if (!(error instanceof Error && error.name === 'UnsupportedProtocolError')) throw error
      // Negotiating took a round trip of its own, so this once the bytes before it have arrived too.
      this.#supported = false
      return undefined
    }
  }
}
