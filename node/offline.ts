/**
 * The agent on a home without a network: for what must work while no agent runs, `init`, `backup
 * restore` and `doctor`.
 *
 * @module
 */
import type { Agent } from '../agent/agent.ts'
import { createAgent } from '../agent/agent.ts'
import type { Network } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import { openBlocks } from './blocks.ts'
import { systemClock, systemRandom } from './clock.ts'
import { openHome } from './home.ts'
import { openLog } from './log.ts'
import { openRecordDatabase } from './records.ts'
import { openSmallFiles } from './small-files.ts'

/** An agent that can be reached by nobody; dispose it to give the home back. */
export interface OfflineAgent extends AsyncDisposable {
  readonly agent: Agent
}

/** Nobody is reachable: what is sent waits in the outbox until the agent starts. */
const away: Network = {
  send: (to) => Promise.reject(unreachable(to.kind)),
  pull: (to) => Promise.reject(unreachable(to.kind)),
  endpoints: () => [],
  peerId: ''
}

function unreachable(kind: string): LockerError {
  return new LockerError('peer-unreachable', `this agent has no network (asked for ${kind})`)
}

/**
 * Opens the home. Throws `home-locked` when a process has it, `storage-failed`, `records-damaged`.
 */
export async function openOffline(folder: string): Promise<OfflineAgent> {
  const logger = openLog({ level: 'error' })
  const closing: Array<() => Promise<void>> = []
  const close = async (): Promise<void> => {
    for (const step of closing.toReversed()) await step()
  }
  try {
    const home = await openHome(folder)
    closing.push(() => home.close())
    const db = await openRecordDatabase({ folder: home.records, logger })
    closing.push(() => db.close())
    const agent = await createAgent({
      db,
      blocks: await openBlocks({ folder: home.blocks, logger }),
      vaultFiles: await openSmallFiles({ folder: home.vault }),
      spoolFiles: await openSmallFiles({ folder: home.spool }),
      network: away,
      resolve: (did) =>
        Promise.reject(
          new LockerError('did-unresolvable', `${did} cannot be looked up without a network`)
        ),
      clock: systemClock,
      random: systemRandom,
      logger,
      baseUrl: () => 'http://localhost:4280'
    })
    closing.push(() => agent.close())
    return { agent, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
