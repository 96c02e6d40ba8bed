/**
 * The other process of test/bench/network.ts: an agent's network with 256 MiB of blocks on disk, or a whole
 * node on an empty home. Speaks with its parent by messages.
 */
import { randomBytes } from 'node:crypto'
import { readConfig } from '../../node/config.ts'
import { startNode } from '../../node/node.ts'
import { temporaryFolder } from '../node/faulty-files.ts'
import { rawBlock, startPeer } from '../node/peers.ts'
import type { FromWorker, ToWorker } from './network.ts'

const BLOCKS = 256
const MIB = 1024 * 1024

function tell(message: FromWorker): void {
  process.send?.(message)
}

async function servePeer(bitswapPeer: string): Promise<void> {
  const peer = await startPeer({ p2p: { bitswapPeers: [bitswapPeer] } })
  const cids: string[] = []
  for (let n = 0; n < BLOCKS; n++) {
    const bytes = randomBytes(MIB)
    const cid = await rawBlock(bytes)
    await peer.blocks.put(cid, bytes)
    cids.push(cid.toString())
  }
  peer.authorise = () => ({ ok: true, root: cids[0] ?? '', has: () => true })
  process.on('message', ({ echoTo }: ToWorker) => {
    peer.receive = () => {
      peer.network
        .send(echoTo, Buffer.alloc(1024), { signal: AbortSignal.timeout(60_000) })
        .catch((error: unknown) => tell({ failed: String(error) }))
      return Promise.resolve()
    }
    tell({ echoing: true })
  })
  tell({ endpoint: peer.endpoint, cids })
  process.once('disconnect', () => void peer[Symbol.asyncDispose]().then(() => process.exit()))
}

async function serveNode(): Promise<void> {
  const home = await temporaryFolder()
  const flags = { home: home.path, private: 0, p2p: '/ip4/127.0.0.1/tcp/0', log: 'silent' }
  const node = await startNode(readConfig(flags, {}))
  const answer = await fetch(`${node.urls.private}/api/v1/node`)
  await answer.arrayBuffer()
  tell({ rssBytes: process.memoryUsage().rss })
  process.once('disconnect', () => {
    void node
      .close()
      .then(() => home[Symbol.asyncDispose]())
      .then(() => process.exit())
  })
}

const [, , role, bitswapPeer = ''] = process.argv
await (role === 'node' ? serveNode() : servePeer(bitswapPeer))
