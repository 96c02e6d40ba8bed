import { randomBytes } from 'node:crypto'
import { withBitswap } from '@helia/bitswap'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createHeliaLight } from 'helia'
import { createLibp2p } from 'libp2p'
import type { CID } from 'multiformats/cid'
import type { Peer } from './peers.ts'
import { rawBlock, startPeer } from './peers.ts'

/** An ordinary IPFS node that knows every CID: libp2p and bitswap as they come. */
async function ipfsNode(privateKey: PrivateKey): Promise<{
  fetch(from: Peer, cid: CID, withinMs: number): Promise<Uint8Array | undefined>
  stop(): Promise<void>
}> {
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
      await libp2p.dial(from.network.addresses().map((a) => multiaddr(a)))
      const parts: Uint8Array[] = []
      const session = helia.blockstore.createSession(cid, {
        providers: [peerIdFromString(from.network.peerId).toCID()]
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

describe('bitswap', () => {
  const stops: Array<() => PromiseLike<void>> = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
  })

  async function owner(
    bitswapPeers: readonly string[]
  ): Promise<{ peer: Peer; cid: CID; bytes: Buffer }> {
    const peer = await startPeer({ p2p: { bitswapPeers } })
    stops.push(() => peer[Symbol.asyncDispose]())
    const bytes = randomBytes(1000)
    const cid = await rawBlock(bytes)
    await peer.blocks.put(cid, bytes)
    return { peer, cid, bytes }
  }

  async function node(): Promise<{ id: string; ipfs: Awaited<ReturnType<typeof ipfsNode>> }> {
    const privateKey = await generateKeyPair('Ed25519')
    const ipfs = await ipfsNode(privateKey)
    stops.push(() => ipfs.stop())
    return { id: peerIdFromPrivateKey(privateKey).toString(), ipfs }
  }

  it('serves a named peer, and nothing to anyone else who knows the CID', async () => {
    const named = await node()
    const other = await node()
    const { peer, cid, bytes } = await owner([named.id])
    const [served, refused] = await Promise.all([
      named.ipfs.fetch(peer, cid, 8_000),
      other.ipfs.fetch(peer, cid, 2_000)
    ])
    expect(served && bytes.equals(Buffer.from(served))).to.equal(true)
    expect(refused).to.equal(undefined)
    expect(peer.events).to.include('bitswap-refused')
  }).timeout(20_000)

  it('is off while no peer is named', async () => {
    const anyone = await node()
    const { peer, cid } = await owner([])
    expect(await anyone.ipfs.fetch(peer, cid, 1_000)).to.equal(undefined)
    expect(peer.events).to.not.include('bitswap-on')
  })
})
