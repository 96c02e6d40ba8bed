/**
 * A real node on loopback for the browser scenarios: home in a temp folder, all ports free ones.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../node/config.ts'
import { type RunningNode, startNode } from '../../node/node.ts'

export interface TestNode extends AsyncDisposable {
  readonly node: RunningNode
  /** Origins the page may ask: its own, and that of the public listener. */
  readonly origins: readonly string[]
}

/** Starts a node whose vault does not exist yet. */
export async function startTestNode(): Promise<TestNode> {
  const home = await mkdtemp(join(tmpdir(), 'elocker-page-'))
  const node = await startNode(
    readConfig(
      {
        home,
        private: '127.0.0.1:0',
        public: '127.0.0.1:0',
        p2p: ['/ip4/127.0.0.1/tcp/0'],
        socket: 'off',
        mdns: 'off',
        log: 'silent'
      },
      {}
    )
  )
  return {
    node,
    origins: [node.urls.private, node.urls.public ?? ''],
    async [Symbol.asyncDispose]() {
      await node.close()
      await rm(home, { recursive: true, force: true })
    }
  }
}
