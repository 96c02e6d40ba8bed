/**
 * The libp2p node: transports, limits and services, and nothing public. No bootstrap peer, relay or router
 * is known but the ones the owner names.
 *
 * @module
 */
import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerRouting, PrivateKey } from '@libp2p/interface'
import { peerRoutingSymbol } from '@libp2p/interface'
import type { KadDHT, KadDHTComponents, KadDHTInit } from '@libp2p/kad-dht'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import type { mdns as mdnsFactory } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import type { Ping } from '@libp2p/ping'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { SequenceMemory } from './address-record.ts'
import { addressRecordRules } from './address-record.ts'
import { pause } from './deadline.ts'

/** Own name, so that this DHT never mixes with the public one of IPFS. */
const DHT_PROTOCOL = '/elocker/kad/1.0.0'

/** Own mDNS name: other libp2p programs on the LAN are not dialled. */
const MDNS_SERVICE = '_elocker._udp.local'

/** Largest yamux window of a stream, bytes. Larger ones gain nothing and let a paused reader hold more. */
const WINDOW_BYTES_MAX = 1024 * 1024

/** Bytes a paused stream may hold before it is reset: the window, blocks in flight, and slack. */
const READ_BUFFER_BYTES_MAX = 8 * 1024 * 1024

/** libp2p's defaults (5 a second a host, 10 pending) lock out agents behind one NAT, or let ten silent sockets block everyone. */
const CONNECTIONS = {
  maxConnections: 300,
  /** A second and host. */
  inboundConnectionThreshold: 40,
  maxIncomingPendingConnections: 100,
  inboundUpgradeTimeout: 5_000,
  inboundStreamProtocolNegotiationTimeout: 10_000,
  outboundStreamProtocolNegotiationTimeout: 10_000,
  dialTimeout: 10_000,
  addressDialTimeout: 6_000,
  maxParallelDials: 50,
  maxDialQueueLength: 500,
  maxPeerAddrsToDial: 25,
  /** node/relays.ts does that for the named peers, with a longer breath. */
  reconnectRetries: 0
}

/**
 * A relayed connection carries a document, not a film: libp2p's default of 128 KiB in two minutes ends it
 * inside the first block.
 */
const RELAY_RESERVATIONS = {
  maxReservations: 256,
  defaultDataLimit: 1024n ** 3n,
  /** Milliseconds. */
  defaultDurationLimit: 3_600_000
}

/** Rest between two queries of libp2p's random walk, milliseconds. */
const WALK_REST_MS = 10_000

/** Streams of libp2p's ping on one connection: its own monitor and node/echo.ts each use one. */
const PING_STREAMS_MAX = 8

/** What is needed of the services by name. */
export interface Services extends Record<string, unknown> {
  readonly dht: KadDHT
  readonly ping: Ping
}

export interface PeerOptions {
  readonly privateKey: PrivateKey
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  /** Whether there is someone to ask for a relay. */
  readonly mayUseRelays: boolean
  readonly relay: boolean
  readonly mdns: boolean
  readonly memory: SequenceMemory
  readonly clock: Clock
}

/** Creates the node without starting it. */
export async function createPeer(options: PeerOptions): Promise<Libp2p<Services>> {
  const { memory, relay } = options
  const listen = [...options.listen, ...(options.mayUseRelays ? ['/p2p-circuit'] : [])]
  return createLibp2p<Services>({
    start: false,
    privateKey: options.privateKey,
    nodeInfo: { name: 'elocker', userAgent: 'elocker' },
    addresses: { listen, announce: [...options.announce] },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: 128,
        maxOutboundStreams: 256,
        streamOptions: {
          maxStreamWindowSize: WINDOW_BYTES_MAX,
          maxReadBufferLength: READ_BUFFER_BYTES_MAX
        }
      })
    ],
    connectionManager: CONNECTIONS,
    peerDiscovery: options.mdns ? [await lanDiscovery()] : [],
    services: {
      identify: identify(),
      ping: ping({ maxInboundStreams: PING_STREAMS_MAX, maxOutboundStreams: PING_STREAMS_MAX }),
      autonat: autoNAT(),
      dcutr: dcutr(),
      dht: unhurriedDht(
        {
          protocol: DHT_PROTOCOL,
          // The default mode is client until an address is public, which it never is on a LAN.
          clientMode: false,
          peerInfoMapper: passthroughMapper,
          // With nobody to ask, a query ends at once instead of waiting for its time to pass.
          allowQueryWithZeroPeers: true,
          ...addressRecordRules(memory)
        },
        options.clock
      ),
      ...(relay ? { relay: circuitRelayServer({ reservations: RELAY_RESERVATIONS }) } : {})
    }
  })
}

/**
 * A DHT that lets libp2p's random walk rest between two queries. The walk, which relay discovery and
 * autonat use, asks for the peers closest to a random key in a loop without a pause: with an empty routing
 * table that is a loop of microtasks, and the process does nothing else any more; with a few peers it is a
 * busy one. Own look-ups do not come this way.
 */
function unhurriedDht(init: KadDHTInit, clock: Clock): (components: KadDHTComponents) => KadDHT {
  return (components) => {
    const dht = kadDHT(init)(components)
    const routing: unknown = Reflect.get(dht, peerRoutingSymbol)
    if (!isPeerRouting(routing)) throw new TypeError('kad-dht offers no peer routing')
    const closest = routing.getClosestPeers.bind(routing)
    routing.getClosestPeers = async function* (key, options) {
      await rested(clock, options?.signal)
      if (options?.signal?.aborted !== true) yield* closest(key, options)
    }
    return dht
  }
}

function isPeerRouting(value: unknown): value is PeerRouting {
  return typeof value === 'object' && value !== null && 'getClosestPeers' in value
}

/** Never resolves within the same turn of the event loop, also when the signal has aborted. */
async function rested(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(clock, WALK_REST_MS, signal ?? new AbortController().signal)
  } catch {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Whether every address is on this machine only: then nothing is sent to the LAN either. */
export function loopbackOnly(listen: readonly string[]): boolean {
  return listen.every((text) => {
    const [first] = multiaddr(text).getComponents()
    const address = first?.value ?? ''
    return (first?.name === 'ip4' && address.startsWith('127.')) || address === '::1'
  })
}

/** Names what keeps a node from listening: `port-taken` with the address, else `config-invalid`. */
export function listenError(error: unknown, listen: readonly string[]): LockerError {
  if (error instanceof LockerError) return error
  const taken = listen.find((text) => String(innermost(error)).includes(portOf(text)))
  const inUse = /EADDRINUSE/.test(String(innermost(error)))
  return inUse
    ? new LockerError(
        'port-taken',
        `another program listens on ${taken ?? listen.join(' or ')}; choose another with ELOCKER_P2P, or end that program`,
        { cause: error, facts: { listen: [...listen] } }
      )
    : new LockerError(
        'config-invalid',
        `cannot listen on ${listen.join(', ')}: ${String(innermost(error))}`,
        {
          cause: error,
          facts: { listen: [...listen] }
        }
      )
}

function portOf(text: string): string {
  const port = multiaddr(text)
    .getComponents()
    .find(({ name }) => name === 'tcp')?.value
  return port === undefined ? text : `:${port}`
}

/** libp2p wraps what the socket said into an AggregateError or a message of its own. */
function innermost(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  if (error instanceof Error && error.cause !== undefined) return innermost(error.cause)
  return error
}

/** Loaded only where there is a LAN to look at. */
async function lanDiscovery(): Promise<ReturnType<typeof mdnsFactory>> {
  const { mdns } = await import('@libp2p/mdns')
  return mdns({ serviceTag: MDNS_SERVICE })
}
