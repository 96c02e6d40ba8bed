/**
 * Finding a peer: a connection there is, then the addresses its DID document and the peer store (identify,
 * mDNS) know, then the DHT and the peer's signed address record. Addresses in a did:peer go stale as soon as
 * a laptop moves, and libp2p itself does not ask the DHT when a dial to known addresses fails.
 *
 * @module
 */
import type {
  Connection,
  IdentifyResult,
  Libp2p,
  PeerId,
  PrivateKey,
  Stream
} from '@libp2p/interface'
import type { KadDHT, SingleKadDHT } from '@libp2p/kad-dht'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock, Logger } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { SequenceMemory } from './address-record.ts'
import { addressKey, openAddressRecord, sealAddressRecord } from './address-record.ts'
import { deadline } from './deadline.ts'

/** Addresses of one peer that are dialled; a DID document may list any number. */
const ADDRESSES_MAX = 16

/** Peers whose last addresses are held in memory; the agent keeps as many. */
const MET_MAX = 1_000

/** One round of dialling all known addresses, and one look-up in the DHT, milliseconds. */
const DIAL_MS_MAX = 10_000
const LOOK_UP_MS_MAX = 10_000

/** The own record is put again after this, well before the 48 h a DHT serves it. */
const PUBLISH_EVERY_MS = 12 * 3_600_000

/** Changes within this time are published together; a failed attempt is repeated after the second. */
const PUBLISH_AFTER_MS = 1_000
const PUBLISH_AGAIN_MS = 60_000

/** What an address from outside may consist of. `dnsaddr` could name any number of further addresses. */
const DIALLED = new Set([
  'ip4',
  'ip6',
  'ip6zone',
  'dns',
  'dns4',
  'dns6',
  'tcp',
  'tls',
  'sni',
  'ws',
  'wss',
  'p2p',
  'p2p-circuit'
])

/** Errors of a connection that is listed as open and is not; its peer has gone, perhaps to come back. */
const DEAD_CONNECTION = new Set([
  'ConnectionClosedError',
  'ConnectionClosingError',
  'MuxerClosedError',
  'MuxerUnavailableError'
])

/** A stream, and the connection it runs on. */
interface PeerStream {
  readonly stream: Stream
  readonly connection: Connection
}

/** Opens a stream to a peer by any way known; see {@link Discovery.openStream}. */
export type OpenStream = (
  peer: PeerId,
  hints: readonly string[],
  protocols: string[],
  signal: AbortSignal
) => Promise<PeerStream>

export interface DiscoveryComponents {
  readonly libp2p: Libp2p<{ dht: KadDHT }>
  readonly privateKey: PrivateKey
  readonly memory: SequenceMemory
  readonly clock: Clock
  readonly logger: Logger
}

export class Discovery {
  readonly #components: DiscoveryComponents
  /** Peers we opened a stream to, and where they were last reached; no stranger gets in by connecting. */
  readonly #met = new Map<string, readonly string[]>()
  #learnt: ((peerId: string, multiaddrs: readonly string[]) => void) | undefined
  readonly #stopping = new AbortController()
  #cancelPublish: (() => void) | undefined
  #publishing: Promise<void> | undefined

  constructor(components: DiscoveryComponents) {
    this.#components = components
  }

  /** Publishes the own addresses whenever they change and a DHT is there, and again every 12 hours. */
  start(): void {
    const { libp2p } = this.#components
    libp2p.addEventListener('self:peer:update', this.#changed)
    libp2p.addEventListener('peer:identify', this.#changed)
    libp2p.addEventListener('peer:identify', this.#identified)
    this.#schedule(PUBLISH_AFTER_MS)
  }

  async stop(): Promise<void> {
    const { libp2p } = this.#components
    libp2p.removeEventListener('self:peer:update', this.#changed)
    libp2p.removeEventListener('peer:identify', this.#changed)
    libp2p.removeEventListener('peer:identify', this.#identified)
    this.#stopping.abort(new Error('the agent is stopping'))
    this.#cancelPublish?.()
    await this.#publishing
  }

  /**
   * A stream of the first protocol the peer speaks, on a connection there is or a new one. A connection that
   * turns out to be dead is cut and replaced, once. Throws `peer-unreachable`, and what libp2p throws.
   */
  readonly openStream: OpenStream = async (peer, hints, protocols, signal) => {
    const options = { signal, runOnLimitedConnection: true }
    await this.#meet(peer)
    const connection = await this.connect(peer, hints, signal)
    try {
      return { connection, stream: await connection.newStream(protocols, options) }
    } catch (error) {
      if (!(error instanceof Error && DEAD_CONNECTION.has(error.name))) throw error
      connection.abort(error)
    }
    const fresh = await this.connect(peer, hints, signal)
    return { connection: fresh, stream: await fresh.newStream(protocols, options) }
  }

  /** See agent/components.ts `Network.learnt`. */
  learnt(
    before: ReadonlyMap<string, readonly string[]>,
    changed: (peerId: string, multiaddrs: readonly string[]) => void
  ): () => void {
    for (const [peer, multiaddrs] of before)
      if ((this.#met.get(peer) ?? []).length === 0) this.#met.set(peer, multiaddrs)
    this.#learnt = changed
    return () => {
      if (this.#learnt === changed) this.#learnt = undefined
    }
  }

  /**
   * A connection to the peer, by any way known. `hints`: multiaddrs from its DID document. Throws
   * `peer-unreachable`.
   */
  async connect(
    peer: PeerId,
    hints: readonly string[],
    callerSignal: AbortSignal
  ): Promise<Connection> {
    const { libp2p } = this.#components
    if (peer.equals(libp2p.peerId))
      throw new LockerError('peer-unreachable', `${peer.toString()} is this agent itself`)
    const signal = AbortSignal.any([callerSignal, this.#stopping.signal])
    const open = openConnection(libp2p, peer)
    if (open !== undefined) return open
    const met = this.#met.get(peer.toString()) ?? []
    const known = unique([
      ...(await this.#fromStore(peer)),
      ...this.#fromHints(peer, met),
      ...this.#fromHints(peer, hints)
    ])
    const tried = new Set(known.map(String))
    const failures: unknown[] = []
    const direct = await this.#dial(known, signal, failures)
    if (direct !== undefined) return direct
    signal.throwIfAborted()
    const found = (await this.#lookUp(peer, signal)).filter((a) => !tried.has(a.toString()))
    const moved = await this.#dial(found, signal, failures)
    if (moved !== undefined) {
      this.#components.logger.info('peer-moved', { peer: peer.toString() })
      return moved
    }
    throw new LockerError(
      'peer-unreachable',
      tried.size + found.length === 0
        ? `no address of ${peer.toString()} is known`
        : `none of ${tried.size + found.length} addresses of ${peer.toString()} answers`,
      { cause: failures.at(-1), facts: { peer: peer.toString() } }
    )
  }

  async #dial(
    addresses: readonly Multiaddr[],
    signal: AbortSignal,
    failures: unknown[]
  ): Promise<Connection | undefined> {
    if (addresses.length === 0) return undefined
    const { libp2p, clock } = this.#components
    using limit = deadline(clock, DIAL_MS_MAX, signal)
    try {
      return await libp2p.dial(addresses.slice(0, ADDRESSES_MAX), { signal: limit.signal })
    } catch (error) {
      failures.push(error)
      return undefined
    }
  }

  #fromHints(peer: PeerId, hints: readonly string[]): readonly Multiaddr[] {
    return hints.slice(0, ADDRESSES_MAX).flatMap((hint) => {
      try {
        return dialable(multiaddr(hint), peer)
      } catch {
        // Written by someone else: not a multiaddr, so not an address.
        return []
      }
    })
  }

  async #fromStore(peer: PeerId): Promise<readonly Multiaddr[]> {
    try {
      const { addresses } = await this.#components.libp2p.peerStore.get(peer)
      return addresses.flatMap((address) => dialable(address.multiaddr, peer))
    } catch (error) {
      if (error instanceof Error && error.name === 'NotFoundError') return []
      throw error
    }
  }

  /** Asks the DHT both ways: its nodes may themselves remember an old address, the signed record cannot be older than seen. */
  async #lookUp(peer: PeerId, signal: AbortSignal): Promise<readonly Multiaddr[]> {
    const { libp2p, clock } = this.#components
    if (!knowsAnyone(libp2p.services.dht)) return []
    using limit = deadline(clock, LOOK_UP_MS_MAX, signal)
    const options = { signal: limit.signal, useCache: false }
    const key = addressKey(peer.toString())
    const answers = await Promise.allSettled([
      libp2p.contentRouting
        .get(key, options)
        .then((value) => openAddressRecord(key, value))
        .then((record) => record.multiaddrs),
      libp2p.peerRouting.findPeer(peer, options).then((found) => found.multiaddrs)
    ])
    const found = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value.flatMap((a) => dialable(a, peer)) : []
    )
    return unique(found)
  }

  async #meet(peer: PeerId): Promise<void> {
    const name = peer.toString()
    if (this.#met.has(name)) return
    if (this.#met.size >= MET_MAX) {
      const [oldest] = this.#met.keys()
      if (oldest !== undefined) this.#met.delete(oldest)
    }
    this.#met.set(name, [])
    // Connected before we had anything to say to it: identify has run already.
    await this.#remember(peer)
  }

  readonly #identified = ({ detail }: CustomEvent<IdentifyResult>): void => {
    if (!this.#met.has(detail.peerId.toString())) return
    this.#remember(detail.peerId).catch((error: unknown) =>
      this.#components.logger.warn('peer-address-not-learnt', { error })
    )
  }

  async #remember(peer: PeerId): Promise<void> {
    const name = peer.toString()
    const now = (await this.#fromStore(peer)).slice(0, ADDRESSES_MAX).map(String).toSorted()
    const before = this.#met.get(name) ?? []
    if (now.length === 0 || now.join() === before.join()) return
    this.#met.set(name, now)
    this.#learnt?.(name, now)
  }

  readonly #changed = (): void => this.#schedule(PUBLISH_AFTER_MS)

  #schedule(delayMs: number): void {
    if (this.#stopping.signal.aborted) return
    this.#cancelPublish?.()
    this.#cancelPublish = this.#components.clock.after(delayMs, () => {
      this.#publishing = this.#publish().then(
        (published) => this.#schedule(published ? PUBLISH_EVERY_MS : PUBLISH_AGAIN_MS),
        (error: unknown) => {
          this.#components.logger.debug('address-record-failed', { error })
          this.#schedule(PUBLISH_AGAIN_MS)
        }
      )
    })
  }

  /** Puts the own record and reads it back, because a put never fails; `false` when nobody keeps it. */
  async #publish(): Promise<boolean> {
    const { libp2p, privateKey, memory, clock } = this.#components
    const addresses = libp2p.getMultiaddrs()
    // With nobody to keep it, the first peer that says who it is triggers this again.
    if (!knowsAnyone(libp2p.services.dht) || addresses.length === 0) return true
    const self = libp2p.peerId.toString()
    const now = BigInt(clock.now().getTime())
    const highest = memory.highest(self)
    // Milliseconds, so that a home restored from a backup still goes upwards; never downwards if the clock was set back.
    const sequence = now > highest ? now : highest + 1n
    const value = await sealAddressRecord(privateKey, addresses, sequence)
    using limit = deadline(clock, LOOK_UP_MS_MAX, this.#stopping.signal)
    const key = addressKey(self)
    memory.note(self, sequence)
    await libp2p.contentRouting.put(key, value, { signal: limit.signal })
    for await (const event of libp2p.services.dht.get(key, {
      signal: limit.signal,
      useCache: false
    })) {
      const kept = event.name === 'VALUE' && !event.from.equals(libp2p.peerId)
      if (kept && Buffer.compare(event.value, value) === 0) return true
    }
    return false
  }
}

/** Direct connections before relayed ones, whose bytes and time are limited. */
function openConnection(libp2p: Libp2p, peer: PeerId): Connection | undefined {
  const open = libp2p.getConnections(peer).filter(({ status }) => status === 'open')
  return open.find(({ limits }) => limits === undefined) ?? open[0]
}

function unique(addresses: readonly Multiaddr[]): readonly Multiaddr[] {
  return [...new Map(addresses.map((address) => [address.toString(), address])).values()]
}

/** Without a peer in its routing table a query only waits for its time to pass. */
function knowsAnyone(dht: KadDHT): boolean {
  return !hasTable(dht) || dht.routingTable.size > 0
}

function hasTable(dht: KadDHT): dht is SingleKadDHT {
  return 'routingTable' in dht
}

/** The address with the peer's id at its end, or nothing when it names another peer or something not dialled. */
function dialable(address: Multiaddr, peer: PeerId): readonly Multiaddr[] {
  const components = address.getComponents()
  if (components.length === 0 || components.some(({ name }) => !DIALLED.has(name))) return []
  const last = components.at(-1)
  if (last?.name !== 'p2p') return [address.encapsulate(`/p2p/${peer.toString()}`)]
  return last.value === peer.toString() ? [address] : []
}
