import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect } from 'chai'
import type { CID } from 'multiformats/cid'
import { ipfsNode } from './ipfs-node.ts'
import type { Peer } from './peers.ts'
import { rawBlock, startPeer } from './peers.ts'

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
      named.ipfs.fetch(peer.endpoint, cid, 8_000),
      other.ipfs.fetch(peer.endpoint, cid, 2_000)
    ])
    expect(served && bytes.equals(Buffer.from(served))).to.equal(true)
    expect(refused).to.equal(undefined)
    expect(peer.events).to.include('bitswap-refused')
  }).timeout(20_000)

  it('is off while no peer is named', async () => {
    const anyone = await node()
    const { peer, cid } = await owner([])
    expect(await anyone.ipfs.fetch(peer.endpoint, cid, 1_000)).to.equal(undefined)
    expect(peer.events).to.not.include('bitswap-on')
  })
})
