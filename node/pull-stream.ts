/**
 * `/elocker/pull/1.0.0` over libp2p, both sides; protocols/pull.ts describes the frames.
 *
 * @module
 */
import { hash } from 'node:crypto'
import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import { z } from 'zod'
import type { PullAnswer } from '../agent/agent.ts'
import type { Clock, Logger, PullSession } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { PullProblem } from '../protocols/pull.ts'
import {
  BLOCK_BYTES_MAX,
  CONTROL_FRAME_BYTES_MAX,
  FRAME_OK,
  FRAME_REFUSED,
  PULL_PROTOCOL,
  WANTS_IN_FLIGHT_MAX,
  WANT_BYTES_MAX
} from '../protocols/pull.ts'
import { deadline } from './deadline.ts'
import type { OpenStream } from './discovery.ts'
import { FrameError, FrameReader, sendFrame, unsentAtMost, writeFrame } from './frames.ts'
import { Semaphore } from './semaphore.ts'

/** Pull streams between two peers at the same time, each way. The dialling side queues, the other resets. */
const STREAMS_MAX = 8

/** Calls that may wait for a stream, and blocks of one session that may wait for their turn. */
const WAITING_MAX = 16_384

/** Longest wait of a client for an answer, milliseconds. */
const ANSWER_MS_MAX = 60_000

/** Longest silence of a client, milliseconds: while four blocks trickle to it over a slow line it has nothing to say. */
const CLIENT_IDLE_MS_MAX = 4 * ANSWER_MS_MAX

/** A frame from its first byte to its last: 2 MiB at 34 KiB/s. */
const FRAME_MS_MAX = 60_000

/** Multicodec of sha2-256; what hashes otherwise could not be checked. */
const SHA2_256 = 0x12

/** Characters of a comment that fit into a refusal beside its problem code. */
const COMMENT_CHARACTERS_MAX = 200

const openFrame = z.strictObject({ grant: z.string().min(1).max(256) })
const openedFrame = z.object({ root: z.string().min(1).max(256) })
const refusalFrame = z.object({
  problem: z.string().regex(/^[a-z0-9.-]{1,100}$/),
  comment: z.string().max(CONTROL_FRAME_BYTES_MAX)
})

/** Refusals after which the stream goes on: they answer one want. */
const ONE_WANT: ReadonlySet<string> = new Set<PullProblem>([
  'e.p.pull.not-in-grant',
  'e.p.pull.block-missing'
])

const OK = Uint8Array.of(FRAME_OK)

export interface PullComponents {
  readonly libp2p: Libp2p
  readonly openStream: OpenStream
  /** agent/agent.ts: counts and audits the fetch before it resolves. */
  readonly authorise: (grant: string, peer: string) => Promise<PullAnswer>
  /** Bytes that have been checked against the hash; throws `NotFoundError` when absent. */
  readonly readBlock: (cid: CID) => Promise<Uint8Array>
  readonly clock: Clock
  readonly logger: Logger
}

export class PullStreams {
  readonly #components: PullComponents
  readonly #perPeer = new Map<string, Semaphore>()
  readonly #stopping = new AbortController()

  constructor(components: PullComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    await this.#components.libp2p.handle(PULL_PROTOCOL, this.#serve, {
      maxInboundStreams: STREAMS_MAX,
      runOnLimitedConnection: true
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'))
    await this.#components.libp2p.unhandle(PULL_PROTOCOL)
  }

  /** Opens a session with the agent that gave the grant. Throws `peer-refused` (`facts.problem`), `peer-unreachable`. */
  async open(
    peer: PeerId,
    multiaddrs: readonly string[],
    grant: string,
    callerSignal: AbortSignal
  ): Promise<PullSession> {
    const { openStream, clock } = this.#components
    const signal = AbortSignal.any([callerSignal, this.#stopping.signal])
    const giveBack = await this.#place(peer, signal)
    let session: ClientSession | undefined
    const abandon = (): void => session?.abandon()
    const ended = (): void => {
      this.#stopping.signal.removeEventListener('abort', abandon)
      giveBack()
    }
    try {
      const { stream } = await openStream(peer, multiaddrs, [PULL_PROTOCOL], signal)
      this.#stopping.signal.addEventListener('abort', abandon)
      session = new ClientSession(stream, clock, ended)
      await session.begin(grant, signal)
      return session
    } catch (error) {
      session?.abandon()
      ended()
      throw clientError(error)
    }
  }

  /** Waits for one of the {@link STREAMS_MAX} places of this peer; the result gives it back, once. */
  async #place(peer: PeerId, signal: AbortSignal): Promise<() => void> {
    const name = peer.toString()
    const places = this.#perPeer.get(name) ?? new Semaphore(STREAMS_MAX, WAITING_MAX)
    this.#perPeer.set(name, places)
    const taken = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const holding = places
      .run(() => {
        taken.resolve()
        return released.promise
      }, signal)
      .finally(() => {
        if (places.running === 0 && this.#perPeer.get(name) === places) this.#perPeer.delete(name)
      })
    holding.catch(taken.reject)
    try {
      await taken.promise
    } catch (error) {
      throw clientError(error)
    }
    return released.resolve
  }

  readonly #serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const { clock, logger } = this.#components
    const peer = connection.remotePeer.toString()
    const abort = (): void => stream.abort(new Error('the agent is stopping'))
    this.#stopping.signal.addEventListener('abort', abort, { once: true })
    try {
      await new ServerSession(stream, peer, this.#components).run()
      using limit = deadline(clock, ANSWER_MS_MAX)
      await unsentAtMost(stream, 0, limit.signal)
      await stream.close({ signal: limit.signal })
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      logger.debug('pull-stream-ended', { peer, error })
    } finally {
      this.#stopping.signal.removeEventListener('abort', abort)
    }
  }
}

/** What ends a served stream with a last frame instead of a reset. */
class Refusal extends Error {
  readonly problem: string

  constructor(problem: string, comment: string) {
    super(comment)
    this.name = 'Refusal'
    this.problem = problem
  }
}

class ServerSession {
  readonly #stream: Stream
  readonly #peer: string
  readonly #components: PullComponents
  readonly #reader: FrameReader
  /** Answers leave in the order of the wants: each waits for the one before it. */
  #lastAnswer: Promise<void> = Promise.resolve()
  #unanswered = 0

  constructor(stream: Stream, peer: string, components: PullComponents) {
    this.#stream = stream
    this.#peer = peer
    this.#components = components
    const limits = {
      frameBytesMax: CONTROL_FRAME_BYTES_MAX,
      frameMsMax: FRAME_MS_MAX,
      idleMsMax: CLIENT_IDLE_MS_MAX
    }
    this.#reader = new FrameReader(stream, limits, components.clock)
  }

  async run(): Promise<void> {
    try {
      const has = await this.#open()
      for (let want = await this.#next(); want !== undefined; want = await this.#next())
        this.#answer(want, has)
      await this.#lastAnswer
    } catch (error) {
      const refusal = asRefusal(error)
      if (refusal === undefined) throw error
      await this.#lastAnswer.catch(() => undefined)
      await this.#write([refusalBytes(refusal.problem, refusal.message)])
    }
  }

  async #open(): Promise<(cid: string) => boolean> {
    const frame = await this.#reader.next()
    const request = openFrame.safeParse(json(frame))
    if (!request.success) throw new Refusal('e.p.pull.malformed', 'the first frame names no grant')
    const answer = await this.#components.authorise(request.data.grant, this.#peer)
    if (!answer.ok) throw new Refusal(answer.problem, answer.comment)
    await this.#write([OK, Buffer.from(JSON.stringify({ root: answer.root }))])
    return answer.has
  }

  /** The next want, once fewer than {@link WANTS_IN_FLIGHT_MAX} are unanswered; a failed answer ends the wait. */
  async #next(): Promise<CID | undefined> {
    const next = this.#reader.next()
    // An answer that cannot be written must end the session although the client sends nothing more.
    const failed = this.#lastAnswer.then(() => new Promise<never>(() => undefined))
    const frame = await Promise.race([next, failed])
    if (frame === undefined) return undefined
    if (this.#unanswered >= WANTS_IN_FLIGHT_MAX)
      throw new Refusal('e.p.pull.malformed', `more than ${WANTS_IN_FLIGHT_MAX} unanswered wants`)
    return wantedCid(frame)
  }

  #answer(cid: CID, has: (cid: string) => boolean): void {
    this.#unanswered++
    // Reading begins at once, so the disk works while the answers before it leave.
    const read = this.#read(cid, has)
    read.catch(() => undefined)
    this.#lastAnswer = this.#after(this.#lastAnswer, read)
    this.#lastAnswer.catch(() => undefined)
  }

  async #after(before: Promise<void>, read: Promise<readonly Uint8Array[]>): Promise<void> {
    await before
    await this.#write(await read)
    this.#unanswered--
  }

  async #read(cid: CID, has: (cid: string) => boolean): Promise<readonly Uint8Array[]> {
    if (!has(cid.toString()))
      return [refusalBytes('e.p.pull.not-in-grant', `${cid.toString()} is no block of this grant`)]
    try {
      const block = await this.#components.readBlock(cid)
      // Asked again: the grant may have been revoked while the disk was read.
      if (!has(cid.toString()))
        return [
          refusalBytes('e.p.pull.not-in-grant', `${cid.toString()} is no block of this grant`)
        ]
      return [OK, block]
    } catch (error) {
      this.#components.logger.warn('pull-block-missing', { cid: cid.toString(), error })
      return [refusalBytes('e.p.pull.block-missing', `${cid.toString()} cannot be read here`)]
    }
  }

  async #write(parts: readonly Uint8Array[]): Promise<void> {
    using limit = deadline(this.#components.clock, FRAME_MS_MAX)
    await writeFrame(this.#stream, parts, limit.signal)
  }
}

/** One want on its way. */
interface Waiting {
  readonly cid: CID
  readonly resolve: (block: Uint8Array<ArrayBuffer>) => void
  readonly reject: (error: unknown) => void
}

class ClientSession implements PullSession {
  readonly #stream: Stream
  readonly #clock: Clock
  readonly #reader: FrameReader
  readonly #ended: () => void
  readonly #turns = new Semaphore(WANTS_IN_FLIGHT_MAX, WAITING_MAX)
  /** In the order of the wants, which is the order of the answers. */
  readonly #waiting: Waiting[] = []
  #failure: LockerError | undefined
  #cancelTimer: () => void = () => undefined

  constructor(stream: Stream, clock: Clock, ended: () => void) {
    this.#stream = stream
    this.#clock = clock
    this.#ended = ended
    const limits = {
      frameBytesMax: BLOCK_BYTES_MAX + 1,
      frameMsMax: FRAME_MS_MAX,
      // The client decides when it wants more; an answer's time is limited below.
      idleMsMax: 2 ** 31 - 1
    }
    this.#reader = new FrameReader(stream, limits, clock)
  }

  /** Names the grant and waits for the authorisation. */
  async begin(grant: string, callerSignal: AbortSignal): Promise<void> {
    using limit = deadline(this.#clock, ANSWER_MS_MAX, callerSignal)
    const aborted = (): void => this.#stream.abort(asError(limit.signal.reason))
    limit.signal.addEventListener('abort', aborted)
    try {
      limit.signal.throwIfAborted()
      const request = Buffer.from(JSON.stringify({ grant }))
      await writeFrame(this.#stream, [request], limit.signal)
      const frame = await this.#reader.next()
      if (frame === undefined) throw new FrameError('cut', 'the peer ended the stream')
      if (frame[0] === FRAME_REFUSED) throw refused(frame)
      if (frame[0] !== FRAME_OK || !openedFrame.safeParse(json(frame.subarray(1))).success)
        throw new FrameError('malformed', 'the peer answered with something else than a root')
    } finally {
      limit.signal.removeEventListener('abort', aborted)
    }
    void this.#read()
  }

  async block(cid: CID, options: { signal?: AbortSignal } = {}): Promise<Uint8Array<ArrayBuffer>> {
    if (cid.multihash.code !== SHA2_256)
      throw new LockerError('integrity-failed', `${cid.toString()} is not a sha2-256 CID`)
    try {
      // The answer takes the want's place in the order even when nobody waits for it any more: the
      // turn ends with the answer, the caller may leave before.
      const answer = this.#turns.run(() => this.#want(cid), options.signal)
      return await orAborted(answer, options.signal)
    } catch (error) {
      throw clientError(error)
    }
  }

  async close(): Promise<void> {
    if (this.#failure !== undefined) return
    this.#fail(new LockerError('peer-unreachable', 'the pull session was closed'), 'close')
    try {
      using limit = deadline(this.#clock, ANSWER_MS_MAX)
      await this.#stream.close({ signal: limit.signal })
    } catch (error) {
      this.#stream.abort(asError(error))
    }
  }

  /** Ends the session at once; what is on its way fails. */
  abandon(): void {
    this.#fail(new LockerError('peer-unreachable', 'the pull session was ended'), 'abort')
  }

  async #want(cid: CID): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#failure !== undefined) throw this.#failure
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>()
    this.#waiting.push({ cid, resolve, reject })
    if (this.#waiting.length === 1) this.#restartTimer()
    try {
      sendFrame(this.#stream, [cid.bytes])
    } catch (error) {
      this.#fail(clientError(error), 'abort')
    }
    return promise
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        const frame = await this.#reader.next()
        if (frame === undefined) throw new FrameError('cut', 'the peer ended the stream')
        const waiting = this.#waiting[0]
        const refusal = frame[0] === FRAME_REFUSED ? refused(frame) : undefined
        if (refusal !== undefined && !ONE_WANT.has(String(refusal.facts['problem']))) throw refusal
        if (waiting === undefined) throw new FrameError('malformed', 'an answer nobody asked for')
        if (refusal === undefined && frame[0] !== FRAME_OK)
          throw new FrameError('malformed', `a frame begins with ${frame[0]}`)
        if (refusal === undefined) waiting.resolve(checked(waiting.cid, frame.subarray(1)))
        else waiting.reject(refusal)
        this.#waiting.shift()
        this.#restartTimer()
      }
    } catch (error) {
      this.#fail(clientError(error), 'abort')
    }
  }

  #restartTimer(): void {
    this.#cancelTimer()
    if (this.#waiting.length === 0) return
    this.#cancelTimer = this.#clock.after(ANSWER_MS_MAX, () =>
      this.#fail(
        new LockerError('peer-unreachable', `no answer within ${ANSWER_MS_MAX} ms`),
        'abort'
      )
    )
  }

  #fail(error: LockerError, how: 'abort' | 'close'): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#cancelTimer()
    if (how === 'abort') this.#stream.abort(error)
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.#ended()
  }
}

/** Throws `integrity-failed`: a peer that sends other bytes than asked for is not asked again. */
function checked(cid: CID, block: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (Buffer.compare(hash('sha256', block, 'buffer'), cid.multihash.digest) !== 0)
    throw new LockerError('integrity-failed', `the peer sent other bytes than ${cid.toString()}`, {
      facts: { cid: cid.toString() }
    })
  return block
}

function wantedCid(frame: Uint8Array): CID {
  if (frame.length > WANT_BYTES_MAX)
    throw new Refusal('e.p.pull.malformed', `a want of ${frame.length} bytes`)
  try {
    return CID.decode(frame)
  } catch (error) {
    throw Object.assign(new Refusal('e.p.pull.malformed', 'a want that is not a CID'), {
      cause: error
    })
  }
}

function refusalBytes(problem: string, comment: string): Uint8Array {
  const body = { problem, comment: comment.slice(0, COMMENT_CHARACTERS_MAX) }
  return Buffer.concat([Uint8Array.of(FRAME_REFUSED), Buffer.from(JSON.stringify(body))])
}

function refused(frame: Uint8Array): LockerError {
  const refusal = refusalFrame.safeParse(json(frame.subarray(1)))
  const problem = refusal.success ? refusal.data.problem : 'e.p.pull.malformed'
  const comment = refusal.success ? refusal.data.comment : 'without a reason'
  return new LockerError('peer-refused', `the other agent refused: ${comment}`, {
    facts: { problem }
  })
}

/** The work's outcome, or the signal's reason when that comes first. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  const { promise, reject } = Promise.withResolvers<never>()
  const aborted = (): void => reject(signal.reason)
  signal.addEventListener('abort', aborted)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', aborted)
  }
}

function asRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (error instanceof FrameError && error.problem === 'malformed')
    return new Refusal('e.p.pull.malformed', error.message)
  return undefined
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

function clientError(error: unknown): LockerError {
  if (error instanceof LockerError) return error
  const cancelled = error instanceof Error && error.name === 'AbortError'
  return new LockerError(
    cancelled ? 'operation-cancelled' : 'peer-unreachable',
    cancelled ? 'the fetch was cancelled' : `fetching failed: ${asError(error).message}`,
    { cause: error }
  )
}

function json(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined || bytes.length > CONTROL_FRAME_BYTES_MAX) return undefined
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}
