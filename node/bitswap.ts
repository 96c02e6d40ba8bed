/**
 * Bitswap for the peers the owner names (a Kubo node, a cluster, an archive), and for nobody else.
 *
 * Bitswap has no authorisation: whoever is connected may fetch any block whose CID it knows. So Helia gets
 * libp2p through a gate: streams of others are reset at the protocol handler before a byte is read, and
 * Helia itself sees and dials no other peer, so that it tells nobody which blocks it wants. libp2p's own
 * stream middleware (`libp2p.use`) is not used for the gate: 3.3 appends each stream's handler to the
 * registered list, so the second stream would be handled twice.
 *
 * Helia is loaded by `import()` in node/network.ts, only when peers are named: it takes about 40 MiB.
 *
 * @module
 */
import { withBitswap } from '@helia/bitswap'
import type { Connection, Libp2p, PeerId, Stream, StreamHandler, Topology } from '@libp2p/interface'
import { isPeerId } from '@libp2p/interface'
import { createHeliaLight } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import type { Logger } from '../agent/components.ts'

/** One wantlist or block message, bytes: a block of 2 MiB and its envelope. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024

const INBOUND_STREAMS_MAX = 32

/** A stream from, or to, a peer the owner has not named. */
class NotNamedError extends Error {
  constructor(peer: string) {
    super(`${peer} is not a bitswap peer`)
    this.name = 'NotNamedError'
  }
}

/** Starts Helia with bitswap on this libp2p node; the result stops Helia and leaves libp2p running. */
export async function startBitswap(components: {
  libp2p: Libp2p
  blocks: Blockstore
  /** PeerIds, base58. */
  peers: ReadonlySet<string>
  logger: Logger
}): Promise<{ stop(): Promise<void> }> {
  const { libp2p, blocks, peers, logger } = components
  // Helia 7 has no option for a libp2p node that is already there; this sets the property its mixin would.
  const helia = Object.assign(
    createHeliaLight({ blockstore: blocks, routers: [], blockBrokers: [] }),
    { libp2p: gated(libp2p, peers, logger) }
  )
  await withBitswap(helia, {
    maxInboundStreams: INBOUND_STREAMS_MAX,
    maxIncomingMessageSize: MESSAGE_BYTES_MAX,
    maxOutgoingMessageSize: MESSAGE_BYTES_MAX
  }).start()
  logger.info('bitswap-on', { peers: [...peers] })
  return {
    stop: async () => {
      await helia.stop()
    }
  }
}

function gated(libp2p: Libp2p, peers: ReadonlySet<string>, logger: Logger): Libp2p {
  const named = (peer: PeerId): boolean => peers.has(peer.toString())
  const gate =
    (handler: StreamHandler): StreamHandler =>
    async (stream: Stream, connection: Connection) => {
      if (named(connection.remotePeer)) {
        await handler(stream, connection)
        return
      }
      const peer = connection.remotePeer.toString()
      logger.debug('bitswap-refused', { peer })
      stream.abort(new NotNamedError(peer))
    }
  const onlyNamed = (target: unknown): void => {
    if (!isPeerId(target) || !named(target)) throw new NotNamedError(String(target))
  }
  const overrides: Partial<Libp2p> = {
    handle: (protocols, handler, options) => libp2p.handle(protocols, gate(handler), options),
    register: (protocol, topology) => libp2p.register(protocol, namedTopology(topology, named)),
    getConnections: (peer) => libp2p.getConnections(peer).filter((c) => named(c.remotePeer)),
    getPeers: () => libp2p.getPeers().filter(named),
    dial: async (target, options) => {
      onlyNamed(target)
      return libp2p.dial(target, options)
    },
    dialProtocol: async (target, protocols, options) => {
      onlyNamed(target)
      return libp2p.dialProtocol(target, protocols, options)
    }
  }
  return new Proxy(libp2p, {
    get(target, name) {
      const override: unknown = Reflect.get(overrides, name)
      if (override !== undefined) return override
      const value: unknown = Reflect.get(target, name)
      // Methods of libp2p use private fields, which a proxy does not have.
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

function namedTopology(topology: Topology, named: (peer: PeerId) => boolean): Topology {
  return {
    ...topology,
    onConnect: async (peer, connection) => {
      if (named(peer)) await topology.onConnect?.(peer, connection)
    },
    onDisconnect: async (peer) => {
      if (named(peer)) await topology.onDisconnect?.(peer)
    }
  }
}
