/**
 * DIDComm over libp2p (DIF extension "DIDComm over libp2p"): packed envelopes as frames on simplex
 * streams that are kept open and reused.
 *
 * @module
 */
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { Clock, Logger, Random } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { Rate } from '../agent/token-bucket.ts'
import { TokenBucket } from '../agent/token-bucket.ts'
import { deadline, pause } from './deadline.ts'
import type { OpenStream } from './discovery.ts'
import { Echo } from './echo.ts'
import { FrameReader, unsentAtMost, writeFrame } from './frames.ts'
import { Semaphore } from './semaphore.ts'

/** The extension writes the name without a slash; libp2p convention has one. Both are served, the standard's is offered first. */
const DIDCOMM_PROTOCOLS = ['didcomm/v2', '/didcomm/v2']

/** Largest packed envelope, bytes (DESIGN §11; disclosed as `max_receive_bytes`). */
export const ENVELOPE_BYTES_MAX = 256 * 1024

/** Streams one connection may have open towards us; a well-behaved peer needs one. */
const INBOUND_STREAMS_MAX = 4

/** From the first byte of an envelope to its last: 256 KiB at 9 KiB/s. */
const ENVELOPE_MS_MAX = 30_000

/** A silent inbound stream is reset after this; our own outbound streams end by themselves before. */
const INBOUND_IDLE_MS_MAX = 120_000
const OUTBOUND_IDLE_MS_MAX = 60_000

/** Envelopes for one peer that may wait for its stream; the outbox sends a few at a time. */
const SENDS_WAITING_MAX = 1_000

/** Peers whose stream is kept open; the one unused longest makes room. */
const CHANNELS_MAX = 256

/** Peers whose message rate is remembered; the full buckets of the quiet are forgotten first. */
const BUCKETS_MAX = 1_000

/** Envelopes taken from one peer (DESIGN §11). Beyond it the peer is slowed down, not refused. */
const RATE: Rate = { perSecond: 50, burst: 100 }

export interface DidcommComponents {
  readonly libp2p: Libp2p
  readonly openStream: OpenStream
  readonly receive: (
    envelope: Uint8Array,
    from: { transport: 'libp2p'; peer: string }
  ) => Promise<void>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** `undefined`: 50 a second, bursts of 100. */
  readonly rate?: Rate | undefined
}

/** Envelopes to and from peers. */
export class DidcommStreams {
  readonly #components: DidcommComponents
  readonly #channels = new Map<string, Promise<Channel>>()
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #stopping = new AbortController()

  constructor(components: DidcommComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    await this.#components.libp2p.handle(DIDCOMM_PROTOCOLS, this.#serve, {
      maxInboundStreams: INBOUND_STREAMS_MAX,
      runOnLimitedConnection: true
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'))
    await this.#components.libp2p.unhandle(DIDCOMM_PROTOCOLS)
    const channels = await Promise.allSettled(this.#channels.values())
    for (const channel of channels) if (channel.status === 'fulfilled') channel.value.close()
    this.#channels.clear()
  }

  /**
   * Delivers one envelope; resolves when it has reached the other machine. A stream that died unnoticed
   * is replaced once. Throws `peer-unreachable`, `envelope-too-large`.
   */
  async send(
    peer: PeerId,
    multiaddrs: readonly string[],
    envelope: Uint8Array,
    signal: AbortSignal
  ): Promise<void> {
    if (envelope.length === 0 || envelope.length > ENVELOPE_BYTES_MAX)
      throw new LockerError(
        'envelope-too-large',
        `an envelope of ${envelope.length} bytes; 1 to ${ENVELOPE_BYTES_MAX} are sent`
      )
    try {
      await this.#sendOnce(peer, multiaddrs, envelope, signal)
    } catch (error) {
      if (error instanceof LockerError || signal.aborted) throw unreachable(peer, error)
      this.#components.logger.debug('didcomm-stream-renewed', { peer: peer.toString(), error })
      try {
        await this.#sendOnce(peer, multiaddrs, envelope, signal)
      } catch (second) {
        throw unreachable(peer, second)
      }
    }
  }

  async #sendOnce(
    peer: PeerId,
    multiaddrs: readonly string[],
    envelope: Uint8Array,
    signal: AbortSignal
  ): Promise<void> {
    const channel = await this.#channel(peer, multiaddrs, signal)
    try {
      await channel.send(envelope, signal)
    } catch (error) {
      // Others may have begun a new one meanwhile.
      const current = await this.#channels.get(peer.toString())?.catch(() => undefined)
      if (current === channel) this.#channels.delete(peer.toString())
      channel.close()
      throw error
    }
  }

  async #channel(
    peer: PeerId,
    multiaddrs: readonly string[],
    signal: AbortSignal
  ): Promise<Channel> {
    const name = peer.toString()
    const known = this.#channels.get(name)
    if (known !== undefined) {
      const channel = await known.catch(() => undefined)
      if (this.#channels.get(name) === known) this.#channels.delete(name)
      if (channel?.open === true) {
        // Put back at the end: the map's order is the order of use.
        if (!this.#channels.has(name)) this.#channels.set(name, known)
        return channel
      }
      if (!this.#channels.has(name)) return this.#begin(peer, multiaddrs, signal)
      return this.#channel(peer, multiaddrs, signal)
    }
    return this.#begin(peer, multiaddrs, signal)
  }

  #begin(peer: PeerId, multiaddrs: readonly string[], signal: AbortSignal): Promise<Channel> {
    const name = peer.toString()
    const opening = this.#open(peer, multiaddrs, signal)
    this.#channels.set(name, opening)
    opening.catch(() => {
      if (this.#channels.get(name) === opening) this.#channels.delete(name)
    })
    this.#makeRoom()
    return opening
  }

  async #open(
    peer: PeerId,
    multiaddrs: readonly string[],
    callerSignal: AbortSignal
  ): Promise<Channel> {
    const { openStream, clock, random } = this.#components
    const signal = AbortSignal.any([callerSignal, this.#stopping.signal])
    const opened = await openStream(peer, multiaddrs, DIDCOMM_PROTOCOLS, signal)
    const { stream, connection } = opened
    // Simplex: what the other side sends here is thrown away.
    await stream.closeRead({ signal })
    return new Channel(stream, new Echo(connection, clock, random), clock)
  }

  #makeRoom(): void {
    if (this.#channels.size <= CHANNELS_MAX) return
    const [oldest] = this.#channels
    if (oldest === undefined) return
    this.#channels.delete(oldest[0])
    oldest[1].then(
      (channel) => channel.close(),
      () => undefined
    )
  }

  readonly #serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const { clock, logger, receive } = this.#components
    const peer = connection.remotePeer.toString()
    const limits = {
      frameBytesMax: ENVELOPE_BYTES_MAX,
      frameMsMax: ENVELOPE_MS_MAX,
      idleMsMax: INBOUND_IDLE_MS_MAX
    }
    const reader = new FrameReader(stream, limits, clock)
    try {
      using limit = deadline(clock, ENVELOPE_MS_MAX, this.#stopping.signal)
      await stream.close({ signal: limit.signal })
      for (let frame = await reader.next(); frame !== undefined; frame = await reader.next()) {
        await this.#paced(peer)
        await receive(frame, { transport: 'libp2p', peer })
      }
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      logger.debug('didcomm-stream-ended', { peer, error })
    }
  }

  /** Waits until the peer's rate allows one more envelope. Meanwhile its stream fills up and stops it. */
  async #paced(peer: string): Promise<void> {
    const { clock, rate = RATE } = this.#components
    if (!Number.isFinite(rate.perSecond)) return
    let bucket = this.#buckets.get(peer)
    if (bucket === undefined) {
      bucket = new TokenBucket(rate, clock.now())
      this.#forgetQuiet()
      this.#buckets.set(peer, bucket)
    }
    for (let waitMs = bucket.take(clock.now()); waitMs > 0; waitMs = bucket.take(clock.now()))
      await pause(clock, waitMs, this.#stopping.signal)
  }

  #forgetQuiet(): void {
    if (this.#buckets.size < BUCKETS_MAX) return
    const now = this.#components.clock.now()
    for (const [peer, bucket] of this.#buckets) if (bucket.full(now)) this.#buckets.delete(peer)
    // All of them busy: the oldest starts afresh, which allows it one more burst.
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size >= BUCKETS_MAX && oldest !== undefined) this.#buckets.delete(oldest)
  }
}

/** One outbound stream and the echo that says that its envelopes arrived. */
class Channel {
  readonly #stream: Stream
  readonly #echo: Echo
  readonly #clock: Clock
  /** One frame after the other, so that each waits for room of its own. */
  readonly #turn = new Semaphore(1, SENDS_WAITING_MAX)
  #cancelIdle: () => void = () => undefined
  #sending = 0

  constructor(stream: Stream, echo: Echo, clock: Clock) {
    this.#stream = stream
    this.#echo = echo
    this.#clock = clock
    this.#restartIdle()
  }

  get open(): boolean {
    return this.#stream.status === 'open' && this.#stream.writeStatus === 'writable'
  }

  async send(envelope: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#cancelIdle()
    this.#sending++
    try {
      await this.#turn.run(() => writeFrame(this.#stream, [envelope], signal), signal)
      await unsentAtMost(this.#stream, 0, signal)
      await this.#echo.confirm()
    } finally {
      this.#sending--
      if (this.#sending === 0) this.#restartIdle()
    }
  }

  close(): void {
    this.#cancelIdle()
    this.#echo.close()
    this.#stream.close().catch((error: unknown) => {
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)))
    })
  }

  #restartIdle(): void {
    this.#cancelIdle()
    if (!this.open) return
    this.#cancelIdle = this.#clock.after(OUTBOUND_IDLE_MS_MAX, () => this.close())
  }
}

function unreachable(peer: PeerId, cause: unknown): LockerError {
  if (cause instanceof LockerError) return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  return new LockerError(
    'peer-unreachable',
    `${peer.toString()} did not take the message: ${why}`,
    {
      cause,
      facts: { peer: peer.toString() }
    }
  )
}
