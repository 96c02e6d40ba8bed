/** An IPFS node that is none of ours, for the tests of who gets a block. */
import { withBitswap } from '@helia/bitswap'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { createLibp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'

interface IpfsNode {
  /** Asks one agent for one block by bitswap; `undefined` when it is not served. */
  fetch(
    from: { readonly peerId: string; readonly multiaddrs: readonly string[] },
    cid: CID,
    withinMs: number
  ): Promise<Uint8Array | undefined>
  stop(): Promise<void>
}

/** libp2p and bitswap as they come. */
export async function ipfsNode(privateKey: PrivateKey): Promise<IpfsNode> {
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  const helia = await withBitswap(
    Object.assign(createHeliaLight({ routers: [], blockBrokers: [] }), { libp2p })
  ).start()
  return {
    async fetch(from, cid, withinMs) {
      await libp2p.dial(from.multiaddrs.map((a) => multiaddr(a)))
      const parts: Uint8Array[] = []
      const session = helia.blockstore.createSession(cid, {
        providers: [peerIdFromString(from.peerId).toCID()]
      })
      try {
        for await (const part of session.get(cid, { signal: AbortSignal.timeout(withinMs) }))
          parts.push(part)
        return Buffer.concat(parts)
      } catch {
        // Not served is what the tests ask about; why it was not is bitswap's own affair.
        return undefined
      }
    },
    stop: async () => {
      await helia.stop()
      await libp2p.stop()
    }
  }
}
