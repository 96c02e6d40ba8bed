/**
 * The way out (agent/components.ts `Network`) over libp2p and HTTP, and the way in.
 *
 * @module
 */
import type { Libp2p, PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Agent } from '../agent/agent.ts'
import type {
  Clock,
  Endpoint,
  Logger,
  Network,
  PullSession,
  Random,
  SmallFiles
} from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { Rate } from '../agent/token-bucket.ts'
import type { PeerFacts } from '../gateway/node-facts.ts'
import { SequenceMemory } from './address-record.ts'
import type { BlockStore } from './blocks.ts'
import type { Config } from './config.ts'
import { deadline } from './deadline.ts'
import { DidcommStreams } from './didcomm-stream.ts'
import { Discovery } from './discovery.ts'
import type { GuardedPost } from './http-delivery.ts'
import { deliverByHttp } from './http-delivery.ts'
import type { Services } from './libp2p.ts'
import { createPeer, listenError, loopbackOnly } from './libp2p.ts'
import { PullStreams } from './pull-stream.ts'
import { Watchdog } from './relays.ts'

/** Addresses put into a DID or an invitation; more would not fit a QR code. */
const ENDPOINT_ADDRESSES_MAX = 8

/** Open connections may take this long to say good-bye; then they are cut. */
const STOP_MS_MAX = 8_000

export interface NetworkComponents {
  readonly config: Config['p2p']
  readonly privateKey: PrivateKey
  readonly blocks: BlockStore
  /** Folder for what the network remembers (`network/`). */
  readonly files: SmallFiles
  readonly post: GuardedPost
  /** Base URL of the public listener, or `undefined` while others cannot reach it. */
  readonly publicUrl: () => string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Envelopes a peer may send; `undefined`: 50 a second, bursts of 100. */
  readonly rate?: Rate | undefined
}

/** A network that can be started once its agent exists, because each needs the other. */
export class PeerNetwork implements Network {
  readonly #components: NetworkComponents
  readonly #libp2p: Libp2p<Services>
  readonly #memory: SequenceMemory
  readonly #discovery: Discovery
  readonly #watchdog: Watchdog
  #didcomm: DidcommStreams | undefined
  #pulls: PullStreams | undefined
  #bitswap: { stop(): Promise<void> } | undefined

  private constructor(
    components: NetworkComponents,
    libp2p: Libp2p<Services>,
    memory: SequenceMemory
  ) {
    const { config, privateKey, clock, random, logger } = components
    this.#components = components
    this.#libp2p = libp2p
    this.#memory = memory
    this.#discovery = new Discovery({ libp2p, privateKey, memory, clock, logger })
    const peers = [...config.bootstrap, ...config.relays]
    this.#watchdog = new Watchdog({ libp2p, peers, clock, random, logger })
  }

  /** Creates the node without opening a socket. */
  static async create(components: NetworkComponents): Promise<PeerNetwork> {
    const { config, privateKey, files, clock } = components
    const memory = await SequenceMemory.open(files, clock)
    const libp2p = await createPeer({
      privateKey,
      listen: config.listen,
      announce: config.announce,
      mayUseRelays: config.relays.length + config.bootstrap.length > 0,
      relay: config.relay,
      mdns: config.mdns && !loopbackOnly(config.listen),
      memory,
      clock
    })
    return new PeerNetwork(components, libp2p, memory)
  }

  /** Listens and serves; nothing is dialled but the named peers. Throws `port-taken`, `config-invalid`. */
  async start(agent: Pick<Agent, 'receive' | 'authorisePull'>): Promise<void> {
    const { blocks, clock, random, logger, rate } = this.#components
    const libp2p = this.#libp2p
    const { openStream } = this.#discovery
    const receive = agent.receive.bind(agent)
    this.#didcomm = new DidcommStreams({ libp2p, openStream, receive, clock, random, logger, rate })
    this.#pulls = new PullStreams({
      libp2p,
      openStream,
      authorise: (grant, peer) => agent.authorisePull(grant, peer),
      readBlock: (cid) => blocks.read(cid),
      clock,
      logger
    })
    try {
      await libp2p.start()
    } catch (error) {
      throw listenError(error, this.#components.config.listen)
    }
    await this.#didcomm.start()
    await this.#pulls.start()
    await this.#startBitswap()
    this.#discovery.start()
    this.#watchdog.start()
  }

  /** Ends what is under way and closes every connection, in at most ten seconds. */
  async stop(): Promise<void> {
    const { clock, logger } = this.#components
    await this.#watchdog.stop()
    await this.#discovery.stop()
    await this.#didcomm?.stop()
    await this.#pulls?.stop()
    await this.#bitswap?.stop()
    await this.#memory.flush()
    using limit = deadline(clock, STOP_MS_MAX)
    const late = Promise.withResolvers<'late'>()
    limit.signal.addEventListener('abort', () => late.resolve('late'))
    const stopped = Promise.resolve(this.#libp2p.stop()).catch((error: unknown) => {
      // A connection that cannot be closed politely is gone with the process.
      logger.warn('network-stop-failed', { error })
    })
    if ((await Promise.race([stopped, late.promise])) === 'late') {
      for (const connection of this.#libp2p.getConnections())
        connection.abort(new Error('the agent is stopping'))
      logger.warn('network-stop-late', { limitMs: STOP_MS_MAX })
    }
  }

  get peerId(): string {
    return this.#libp2p.peerId.toString()
  }

  async send(to: Endpoint, envelope: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    if (to.kind === 'http') {
      await deliverByHttp(this.#components.post, to.url, envelope, options.signal)
      return
    }
    const didcomm = started(this.#didcomm)
    await didcomm.send(peerOf(to.peerId), to.multiaddrs, envelope, options.signal)
  }

  async pull(to: Endpoint, grant: string, options: { signal: AbortSignal }): Promise<PullSession> {
    if (to.kind === 'http')
      throw new LockerError('peer-unreachable', 'blocks are fetched over libp2p, not over http')
    const pulls = started(this.#pulls)
    return pulls.open(peerOf(to.peerId), to.multiaddrs, grant, options.signal)
  }

  endpoints(): readonly Endpoint[] {
    const multiaddrs = this.addresses()
    const publicUrl = this.#components.publicUrl()
    return [
      {
        kind: 'libp2p',
        peerId: this.peerId,
        multiaddrs: reachable(multiaddrs).slice(0, ENDPOINT_ADDRESSES_MAX)
      },
      ...(publicUrl === undefined ? [] : [{ kind: 'http', url: `${publicUrl}/didcomm` } as const])
    ]
  }

  learnt(
    before: ReadonlyMap<string, readonly string[]>,
    changed: (peerId: string, multiaddrs: readonly string[]) => void
  ): () => void {
    return this.#discovery.learnt(before, changed)
  }

  /** Multiaddrs with the PeerId at their end; empty before the start. */
  addresses(): readonly string[] {
    return this.#libp2p.getMultiaddrs().map(String)
  }

  /** One entry a connected peer. */
  peers(): readonly PeerFacts[] {
    const byPeer = Map.groupBy(this.#libp2p.getConnections(), (connection) =>
      connection.remotePeer.toString()
    )
    return [...byPeer].map(([peerId, connections]) => ({
      peerId,
      addresses: connections.map((connection) => connection.remoteAddr.toString()),
      direction: connections[0]?.direction ?? 'inbound',
      since: new Date(Math.min(...connections.map((c) => c.timeline.open))).toISOString()
    }))
  }

  async #startBitswap(): Promise<void> {
    const { config, blocks, logger } = this.#components
    if (config.bitswapPeers.length === 0) return
    const peers = new Set(config.bitswapPeers.map((peer) => peerOf(peer).toString()))
    const { startBitswap } = await import('./bitswap.ts')
    this.#bitswap = await startBitswap({ libp2p: this.#libp2p, blocks, peers, logger })
  }
}

/** Loopback addresses are of no use to others, unless there are no others: two agents on one machine. */
function reachable(multiaddrs: readonly string[]): readonly string[] {
  const beyond = multiaddrs.filter((text) => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(text))
  return beyond.length > 0 ? beyond : multiaddrs
}

function peerOf(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (error) {
    throw new LockerError('peer-unreachable', `${text.slice(0, 100)} is not a PeerId`, {
      cause: error
    })
  }
}

function started<T>(part: T | undefined): T {
  if (part === undefined)
    throw new LockerError('peer-unreachable', 'the network has not been started')
  return part
}
