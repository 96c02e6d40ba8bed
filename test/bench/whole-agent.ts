/** An agent as node/node.ts builds it, on disk and on loopback, without the gateway and the limits that slow a stranger down. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createAgent } from '../../agent/agent.ts'
import type { Agent } from '../../agent/agent.ts'
import { openBlocks } from '../../node/blocks.ts'
import { systemClock, systemRandom } from '../../node/clock.ts'
import { openHome } from '../../node/home.ts'
import { PeerNetwork } from '../../node/network.ts'
import { openRecordDatabase } from '../../node/records.ts'
import { openSmallFiles } from '../../node/small-files.ts'
import { keepingLogger } from '../node/faulty-files.ts'

export const PASSPHRASE = 'correct horse battery staple'

/** Far more than is sent. */
const UNBOUNDED = { perSecond: Number.POSITIVE_INFINITY, burst: 1 }

export interface WholeAgent extends AsyncDisposable {
  readonly agent: Agent
}

/** Opens the home in the folder, creating it where it is missing. The vault is `new` or `sealed` afterwards. */
export async function startAgent(folder: string): Promise<WholeAgent> {
  const logger = keepingLogger()
  const home = await openHome(folder)
  const db = await openRecordDatabase({ folder: home.records, logger })
  const blocks = await openBlocks({ folder: home.blocks, logger })
  const network = await PeerNetwork.create({
    config: {
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      bootstrap: [],
      relays: [],
      relay: false,
      bitswapPeers: [],
      mdns: false
    },
    privateKey: await generateKeyPair('Ed25519'),
    blocks,
    files: await openSmallFiles({ folder: home.network }),
    post: () => Promise.reject(new Error('no http here')),
    publicUrl: () => undefined,
    clock: systemClock,
    random: systemRandom,
    logger,
    rate: UNBOUNDED
  })
  const agent = await createAgent({
    db,
    blocks,
    vaultFiles: await openSmallFiles({ folder: home.vault }),
    spoolFiles: await openSmallFiles({ folder: home.spool }),
    network,
    resolve: (did) => Promise.reject(new Error(`nothing is known of ${did}`)),
    clock: systemClock,
    random: systemRandom,
    logger,
    baseUrl: () => 'http://localhost:4280',
    limits: { rate: UNBOUNDED }
  })
  await network.start(agent)
  return {
    agent,
    [Symbol.asyncDispose]: async () => {
      await network.stop()
      await agent.close()
      await db.close()
      await home.close()
    }
  }
}
