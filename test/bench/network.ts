/** Two processes over loopback: pull beside a Helia bitswap session, DIDComm round trips, and a node's start. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { withBitswap } from '@helia/bitswap'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { PrivateKey } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createHeliaLight } from 'helia'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { openBlocks } from '../../node/blocks.ts'
import { keepingLogger, temporaryFolder } from '../node/faulty-files.ts'
import type { Peer } from '../node/peers.ts'
import { startPeer } from '../node/peers.ts'
import type { Row } from './row.ts'
import { median, seconds } from './row.ts'

const MIB = 1024 * 1024

/** Runs of each way to fetch, one after the other in turns; the median counts. */
const ROUNDS = 3

/** Blocks asked for at the same time. The pull session itself keeps four in flight. */
const FETCHES_AT_ONCE = 8
const BITSWAP_AT_ONCE = 16

const MESSAGES = 6_000
const MESSAGES_AT_ONCE = 64

export interface ToWorker {
  readonly echoTo: Peer['endpoint']
}

export type FromWorker =
  | { readonly endpoint: Peer['endpoint']; readonly cids: readonly string[] }
  | { readonly echoing: true }
  | { readonly rssBytes: number }
  | { readonly failed: string }

interface Serving {
  readonly child: ChildProcess
  readonly endpoint: Peer['endpoint']
  readonly cids: readonly CID[]
}

export async function networkRows(): Promise<readonly Row[]> {
  const privateKey = await generateKeyPair('Ed25519')
  const child = worker('peer', peerIdFromPrivateKey(privateKey).toString())
  const { endpoint, cids } = await answer(child, 'endpoint')
  const serving = { child, endpoint, cids: cids.map((cid) => CID.parse(cid)) }
  const peer = await startPeer()
  try {
    const pulled: number[] = []
    const swapped: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      pulled.push(await pullRate(peer, serving))
      swapped.push(await bitswapRate(privateKey, serving))
    }
    const roundTrips = await roundTripRate(peer, serving)
    return [
      {
        what: 'fetch 256 MiB from a peer, disk stores',
        unit: 'MiB/s',
        ours: median(pulled),
        asked: { value: 100, bound: 'at least' },
        peer: { what: 'bitswap session', value: median(swapped) }
      },
      {
        what: `DIDComm round trip, 1 KiB, ${MESSAGES_AT_ONCE} at once`,
        unit: '/s',
        ours: roundTrips,
        asked: { value: 2_000, bound: 'at least' }
      },
      ...(await startRows())
    ]
  } finally {
    await peer[Symbol.asyncDispose]()
    await ended(child)
  }
}

async function startRows(): Promise<readonly Row[]> {
  let rssBytes = 0
  let child: ChildProcess | undefined
  const time = await seconds(async () => {
    child = worker('node')
    rssBytes = (await answer(child, 'rssBytes')).rssBytes
  })
  if (child !== undefined) await ended(child)
  return [
    {
      what: 'process start to first answer',
      unit: 's',
      ours: time,
      asked: { value: 3, bound: 'at most' }
    },
    {
      what: 'memory then',
      unit: 'MiB',
      ours: rssBytes / MIB,
      asked: { value: 200, bound: 'at most' }
    }
  ]
}

async function pullRate(peer: Peer, { endpoint, cids }: Serving): Promise<number> {
  const time = await seconds(async () => {
    const session = await peer.network.pull(endpoint, 'bench', patience())
    await each(cids, FETCHES_AT_ONCE, async (cid) => {
      await peer.blocks.put(cid, await session.block(cid, patience()))
    })
    await session.close()
  })
  for (const cid of cids) await peer.blocks.delete(cid)
  return cids.length / time
}

async function bitswapRate(privateKey: PrivateKey, serving: Serving): Promise<number> {
  await using folder = await temporaryFolder()
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  const blockstore = await openBlocks({ folder: folder.path, logger: keepingLogger() })
  const light = createHeliaLight({ blockstore, routers: [], blockBrokers: [] })
  const helia = await withBitswap(Object.assign(light, { libp2p })).start()
  const { endpoint, cids } = serving
  await libp2p.dial(endpoint.multiaddrs.map((address) => multiaddr(address)))
  const [first] = cids
  if (first === undefined) throw new Error('the worker has no blocks')
  const provider = peerIdFromString(endpoint.peerId).toCID()
  const time = await seconds(async () => {
    const session = helia.blockstore.createSession(first, {
      providers: [provider],
      maxProviders: 1
    })
    await each(cids, BITSWAP_AT_ONCE, async (cid) => {
      for await (const part of session.get(cid, patience())) if (part.length === 0) return
    })
  })
  await helia.stop()
  await libp2p.stop()
  return cids.length / time
}

async function roundTripRate(peer: Peer, { child, endpoint }: Serving): Promise<number> {
  const echoTo: ToWorker = { echoTo: peer.endpoint }
  child.send(echoTo)
  await answer(child, 'echoing')
  const waiting: Array<() => void> = []
  peer.receive = () => Promise.resolve(waiting.shift()?.())
  const time = await seconds(() =>
    each(Array.from({ length: MESSAGES }), MESSAGES_AT_ONCE, async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      await peer.network.send(endpoint, Buffer.alloc(1024), patience())
      await promise
    })
  )
  return MESSAGES / time
}

async function each<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  const left = items.values()
  const one = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

function worker(...parameters: readonly string[]): ChildProcess {
  return fork(new URL('./network-worker.ts', import.meta.url), parameters)
}

/** The worker's next message that has the field. */
async function answer<K extends string>(
  child: ChildProcess,
  field: K
): Promise<Extract<FromWorker, Record<K, unknown>>> {
  while (true) {
    const [message] = (await once(child, 'message')) as [FromWorker]
    if (has(message, field)) return message
    if ('failed' in message) throw new Error(message.failed)
  }
}

function has<K extends string>(
  message: FromWorker,
  field: K
): message is Extract<FromWorker, Record<K, unknown>> {
  return field in message
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.disconnect()
  await exit
}

function patience(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(120_000) }
}
