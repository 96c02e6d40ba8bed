/**
 * The other process of test/bench/network.ts: an agent's network with 256 MiB of blocks on disk, or a whole
 * agent. Speaks with its parent by messages, and ends when the parent lets go.
 */
import { randomBytes } from 'node:crypto'
import { temporaryFolder } from '../node/faulty-files.ts'
import { rawBlock, startPeer } from '../node/peers.ts'
import type { FromWorker, ToWorker } from './network.ts'
import { PASSPHRASE, startAgent } from './whole-agent.ts'

const BLOCKS = 256
const MIB = 1024 * 1024

function tell(message: FromWorker): void {
  process.send?.(message)
}

async function servePeer(bitswapPeer: string): Promise<void> {
  const peer = await startPeer({ p2p: { bitswapPeers: bitswapPeer === '' ? [] : [bitswapPeer] } })
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

async function serveAgent(): Promise<void> {
  const folder = await temporaryFolder()
  const whole = await startAgent(folder.path)
  await whole.agent.vault.create({ name: 'Worker', passphrase: PASSPHRASE })
  const { url } = await whole.agent.contacts.invite()
  tell({ invitation: url })
  process.once('disconnect', () => {
    void whole[Symbol.asyncDispose]()
      .then(() => folder[Symbol.asyncDispose]())
      .then(() => process.exit())
  })
}

const [, , role, bitswapPeer = ''] = process.argv
await (role === 'agent' ? serveAgent() : servePeer(bitswapPeer))
