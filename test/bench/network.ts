/** Two processes over loopback: pull beside a Helia bitswap session, and DIDComm round trips. */
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
import { eventually, startPeer } from '../node/peers.ts'
import type { Row } from './row.ts'
import { each, median, seconds } from './row.ts'
import { PASSPHRASE, startAgent } from './whole-agent.ts'

/** Runs of each way to fetch, one after the other in turns; the median counts. */
const ROUNDS = 3

/** Blocks asked for at the same time. The pull session itself keeps four in flight. */
const FETCHES_AT_ONCE = 8
const BITSWAP_AT_ONCE = 16

const MESSAGES = 6_000
const MESSAGES_AT_ONCE = 64

const PINGS = 1_000

/** An agent has at most 100 questions waiting for their answer. */
const PINGS_AT_ONCE = 64

export interface ToWorker {
  readonly echoTo: Peer['endpoint']
}

export type FromWorker =
  | { readonly endpoint: Peer['endpoint']; readonly cids: readonly string[] }
  | { readonly echoing: true }
  | { readonly invitation: string }
  | { readonly failed: string }

interface Serving {
  readonly child: ChildProcess
  readonly endpoint: Peer['endpoint']
  readonly cids: readonly CID[]
}

/** Fetches 256 blocks of 1 MiB from the other process, disk to disk: by pull, and by a Helia bitswap session, in turns. */
export async function pullRows(): Promise<readonly Row[]> {
  const privateKey = await generateKeyPair('Ed25519')
  const serving = await startServing(peerIdFromPrivateKey(privateKey).toString())
  const peer = await startPeer()
  try {
    const pulled: number[] = []
    const swapped: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      pulled.push(await pullRate(peer, serving))
      swapped.push(await bitswapRate(privateKey, serving))
    }
    return [
      {
        what: 'fetch 256 MiB from a peer, disk stores',
        unit: 'MiB/s',
        ours: median(pulled),
        asked: { value: 100, bound: 'at least' },
        peer: { what: 'bitswap session', value: median(swapped), asked: 1.5 }
      }
    ]
  } finally {
    await peer[Symbol.asyncDispose]()
    await ended(serving.child)
  }
}

/**
 * Two processes over one reused stream each way: bare envelopes of 1 KiB there and back, and a trust-ping
 * between two whole agents, packed, unpacked and checked against replay on both sides.
 */
export async function messageRows(): Promise<readonly Row[]> {
  return [
    {
      what: `DIDComm round trip, 1 KiB, ${MESSAGES_AT_ONCE} at once`,
      unit: '/s',
      ours: await envelopeRoundTrips(),
      asked: { value: 2_000, bound: 'at least' }
    },
    ...(await agentRoundTrips())
  ]
}

async function envelopeRoundTrips(): Promise<number> {
  const serving = await startServing('')
  const peer = await startPeer()
  try {
    return await roundTripRate(peer, serving)
  } finally {
    await peer[Symbol.asyncDispose]()
    await ended(serving.child)
  }
}

async function agentRoundTrips(): Promise<readonly Row[]> {
  await using folder = await temporaryFolder()
  const child = worker('agent')
  try {
    const { invitation } = await answer(child, 'invitation')
    await using whole = await startAgent(folder.path)
    const { vault, contacts } = whole.agent
    await vault.create({ name: 'Bench', passphrase: PASSPHRASE })
    const { did } = await contacts.accept(invitation)
    await eventually(() => contacts.get(did).state === 'connected', 'the two agents are contacts')
    const rate = async (atOnce: number): Promise<number> => {
      const pings = Array.from({ length: PINGS })
      const time = await seconds(() =>
        each(pings, atOnce, async () => {
          await contacts.ping(did)
        })
      )
      return PINGS / time
    }
    await rate(PINGS_AT_ONCE)
    const [alone, together] = [await rate(1), await rate(PINGS_AT_ONCE)]
    return [
      { what: 'round trip of two whole agents, one at a time', unit: '/s', ours: alone },
      {
        what: `round trip of two whole agents, ${PINGS_AT_ONCE} at once`,
        unit: '/s',
        ours: together
      }
    ]
  } finally {
    await ended(child)
  }
}

async function startServing(bitswapPeer: string): Promise<Serving> {
  const child = worker('peer', bitswapPeer)
  const { endpoint, cids } = await answer(child, 'endpoint')
  return { child, endpoint, cids: cids.map((cid) => CID.parse(cid)) }
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
  const exchange = (): Promise<void> =>
    each(Array.from({ length: MESSAGES }), MESSAGES_AT_ONCE, async () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      await peer.network.send(endpoint, Buffer.alloc(1024), patience())
      await promise
    })
  const failed = answer(child, 'failed').then(({ failed: reason }) => {
    throw new Error(reason)
  })
  // The worker ends when the measurement has ended; only a failure before that counts.
  failed.catch(() => undefined)
  return MESSAGES / (await seconds(() => Promise.race([exchange(), failed])))
}

function worker(...parameters: readonly string[]): ChildProcess {
  return fork(new URL('./network-worker.ts', import.meta.url), parameters)
}

/** The worker's next message that has the field. Rejects when the worker fails or ends first. */
async function answer<K extends string>(
  child: ChildProcess,
  field: K
): Promise<Extract<FromWorker, Record<K, unknown>>> {
  const { promise, resolve, reject } =
    Promise.withResolvers<Extract<FromWorker, Record<K, unknown>>>()
  const told = (message: unknown): void => {
    const known = message as FromWorker
    if (has(known, field)) resolve(known)
    else if ('failed' in known) reject(new Error(known.failed))
  }
  const gone = (code: unknown): void =>
    reject(new Error(`the other process ended with ${String(code)}`))
  child.on('message', told).once('exit', gone)
  try {
    return await promise
  } finally {
    child.off('message', told).off('exit', gone)
  }
}

function has<K extends string>(
  message: FromWorker,
  field: K
): message is Extract<FromWorker, Record<K, unknown>> {
  return field in message
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  if (child.connected) child.disconnect()
  await exit
}

function patience(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(120_000) }
}
