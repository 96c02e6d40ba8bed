/** Real libp2p nodes on loopback with a block store each, for the tests of node/. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import type { PullAnswer } from '../../agent/agent.ts'
import type { Clock, Endpoint } from '../../agent/components.ts'
import type { Rate } from '../../agent/token-bucket.ts'
import type { BlockStore } from '../../node/blocks.ts'
import { openBlocks } from '../../node/blocks.ts'
import { systemClock, systemRandom } from '../../node/clock.ts'
import type { Config } from '../../node/config.ts'
import { PeerNetwork } from '../../node/network.ts'
import { openSmallFiles } from '../../node/small-files.ts'
import { keepingLogger, temporaryFolder } from './faulty-files.ts'

/** Far more than a test sends. */
const UNBOUNDED: Rate = { perSecond: Number.POSITIVE_INFINITY, burst: 1 }

export interface Peer extends AsyncDisposable {
  readonly network: PeerNetwork
  readonly blocks: BlockStore
  readonly privateKey: PrivateKey
  /** Envelopes received, oldest first. */
  readonly received: Array<{ envelope: Uint8Array; peer: string | undefined }>
  readonly events: string[]
  /** Answers `authorisePull`; refuses everything at first. */
  authorise: (grant: string, peer: string) => PullAnswer | Promise<PullAnswer>
  /** Called before an envelope counts as received. */
  receive: () => Promise<void>
  readonly endpoint: Extract<Endpoint, { kind: 'libp2p' }>
}

export interface PeerOptions {
  readonly p2p?: Partial<Config['p2p']>
  readonly clock?: Clock
  readonly privateKey?: PrivateKey
  readonly rate?: Rate
  readonly publicUrl?: string
}

/** Starts a node on `127.0.0.1`, port 0. */
export async function startPeer(options: PeerOptions = {}): Promise<Peer> {
  const folder = await temporaryFolder()
  const logger = keepingLogger()
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'))
  const blocks = await openBlocks({ folder: `${folder.path}/blocks`, logger })
  const network = await PeerNetwork.create({
    config: {
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      bootstrap: [],
      relays: [],
      relay: false,
      bitswapPeers: [],
      mdns: true,
      ...options.p2p
    },
    privateKey,
    blocks,
    files: await openSmallFiles({ folder: `${folder.path}/network` }),
    post: () => Promise.reject(new Error('no http here')),
    publicUrl: () => options.publicUrl,
    clock: options.clock ?? systemClock,
    random: systemRandom,
    logger,
    rate: options.rate ?? UNBOUNDED
  })
  const received: Array<{ envelope: Uint8Array; peer: string | undefined }> = []
  const peer: Peer = {
    network,
    blocks,
    privateKey,
    received,
    events: logger.events,
    authorise: () => ({ ok: false, problem: 'e.p.pull.grant-unknown', comment: 'no such grant' }),
    receive: () => Promise.resolve(),
    get endpoint() {
      return { kind: 'libp2p' as const, peerId: network.peerId, multiaddrs: network.addresses() }
    },
    [Symbol.asyncDispose]: async () => {
      await network.stop()
      await folder[Symbol.asyncDispose]()
    }
  }
  await network.start({
    receive: async (envelope, from) => {
      await peer.receive()
      received.push({ envelope, peer: from.peer })
    },
    authorisePull: async (grant, peerId) => peer.authorise(grant, peerId)
  })
  return peer
}

/** A signal no test should live to see. */
export function soon(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(8_000) }
}

export async function rawBlock(bytes: Uint8Array): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(bytes))
}

/** What libp2p and the watchdog need for a second try on a busy machine, milliseconds. */
const EVENTUALLY_MS = 20_000

/** Waits, turn by turn of the event loop, until the claim holds: for what real timers have to bring about. */
export async function eventually(claim: () => boolean, what: string): Promise<void> {
  const end = performance.now() + EVENTUALLY_MS
  while (!claim()) {
    if (performance.now() > end) throw new Error(`not within ${EVENTUALLY_MS} ms: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
