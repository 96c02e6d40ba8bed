/**
 * The running node: what is opened in which order, and closed in the reverse one.
 *
 * @module
 */
import { statfs } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Agent } from '../agent/agent.ts'
import { createAgent } from '../agent/agent.ts'
import type { Logger } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { NodeFacts } from '../gateway/node-facts.ts'
import type { Gateway } from '../gateway/server.ts'
import { createGateway } from '../gateway/server.ts'
import type { BlockStore } from './blocks.ts'
import { openBlocks } from './blocks.ts'
import { systemClock, systemRandom } from './clock.ts'
import { createCertificateRenderer } from './certificates.ts'
import type { Config } from './config.ts'
import type { GuardedFetch } from './guarded-fetch.ts'
import { createGuardedFetch } from './guarded-fetch.ts'
import type { Home } from './home.ts'
import { openHome } from './home.ts'
import { listenTcp, listenUnix } from './http-servers.ts'
import type { Log } from './log.ts'
import { openLog } from './log.ts'
import { PeerNetwork } from './network.ts'
import { openNodeKey } from './node-key.ts'
import { openRecordDatabase } from './records.ts'
import { createResolver } from './resolver.ts'
import { openSmallFiles } from './small-files.ts'
import { secretAtStart } from './unlock.ts'
import { packageVersion } from './version.ts'

/** The token in run.json, bytes. */
const RUN_TOKEN_BYTES = 32

/** A started node. */
export interface RunningNode {
  readonly agent: Agent
  readonly urls: {
    /** Base URL of the private listener. */
    readonly private: string
    /** Base URL of the public listener; `undefined` while it is off. */
    readonly public: string | undefined
    /** Path of the unix socket, when there is one. */
    readonly socket: string | undefined
    readonly p2p: readonly string[]
    /** Address that opens the owner's page, once. Holds a token. */
    readonly open: string
  }
  /** Closes everything in reverse order, in at most ten seconds. */
  close(): Promise<void>
}

/** What {@link startNode} has opened so far, newest last. */
type Closing = Array<readonly [what: string, close: () => Promise<void> | void]>

/**
 * Starts a node on a home. What had been opened is closed again when it throws: `home-locked`, `port-taken`,
 * `config-invalid`, `storage-…`, `records-damaged`, and what opening the vault throws when the configuration
 * names a secret.
 */
export async function startNode(config: Config): Promise<RunningNode> {
  const log = openLog({ level: config.logLevel })
  const closing: Closing = []
  try {
    return await open(config, log, closing)
  } catch (error) {
    await closeAll(closing, log)
    throw error
  }
}

/** Where the listeners are, once they are. */
interface Urls {
  private: string
  public: string | undefined
  socket: string | undefined
}

async function open(config: Config, log: Log, closing: Closing): Promise<RunningNode> {
  const secret = await secretAtStart(config.unlock)
  closing.push(['rejections', watchRejections(log)])

  // Nothing in the home is touched before its lock is held.
  const home = await openHome(config.home)
  closing.push(['home', () => home.close()])
  const db = await openRecordDatabase({ folder: home.records, logger: log.forComponent('records') })
  closing.push(['records', () => db.close()])
  const blocks = await openBlocks({ folder: home.blocks, logger: log.forComponent('blocks') })

  const urls: Urls = { private: '', public: undefined, socket: undefined }
  const fetch = createGuardedFetch({ clock: systemClock, allow: config.allowedHosts })
  const network = await createNetwork(config, home, blocks, fetch, urls, log)
  const agent = await createAgent({
    db,
    blocks,
    vaultFiles: await openSmallFiles({ folder: home.vault }),
    spoolFiles: await openSmallFiles({ folder: home.spool }),
    network,
    resolve: createResolver({ fetch, clock: systemClock, allow: config.allowedHosts }),
    fetchJson: (url) => fetch.getJson(url),
    clock: systemClock,
    random: systemRandom,
    logger: log.forComponent('agent'),
    baseUrl: () => urls.public ?? urls.private
  })
  closing.push(['agent', () => agent.close()])

  closing.push(['network', () => network.stop()])
  await network.start(agent)

  const runToken = Buffer.from(systemRandom(RUN_TOKEN_BYTES)).toString('base64url')
  const certificates = createCertificateRenderer()
  closing.push(['certificates', async () => certificates.close()])
  const gateway = createGateway({
    agent,
    node: nodeFacts({ config, home, agent, blocks, network, urls }),
    runToken,
    clock: systemClock,
    random: systemRandom,
    logger: log.forComponent('gateway'),
    pageFolder: pageFolder(),
    certificates,
    limits: { uploadBytesMax: config.uploadBytesMax },
    hosts: config.private.hosts,
    trustProxy: config.trustProxy
  })
  Object.assign(urls, await listen(config, home, gateway, closing))
  await unlock(agent, secret, log)

  const p2p = network.addresses()
  const { private: url, public: publicUrl, socket } = urls
  await home.writeRun({
    pid: process.pid,
    url,
    token: runToken,
    p2p: [...p2p],
    ...(socket === undefined ? {} : { socket }),
    ...(publicUrl === undefined ? {} : { publicUrl })
  })
  // Closed first: new requests are told that the node is stopping.
  closing.push(['gateway', () => gateway.close()])
  log.info('started', { private: url, public: publicUrl, p2p })
  return {
    agent,
    urls: { ...urls, p2p, open: `${url}/#t=${gateway.oneTimeUrlToken()}` },
    close: () => closeAll(closing, log)
  }
}

async function createNetwork(
  config: Config,
  home: Home,
  blocks: BlockStore,
  fetch: GuardedFetch,
  urls: Urls,
  log: Log
): Promise<PeerNetwork> {
  return PeerNetwork.create({
    config: config.p2p,
    privateKey: await openNodeKey(home.nodeKey),
    blocks,
    files: await openSmallFiles({ folder: home.network }),
    post: (url, { body, mediaType, signal }) =>
      fetch.post(url, body, { contentType: mediaType, signal }),
    publicUrl: () => urls.public,
    clock: systemClock,
    random: systemRandom,
    logger: log.forComponent('network')
  })
}

/** Opens the listeners; port 0 becomes the port the system picked. */
async function listen(
  config: Config,
  home: Home,
  gateway: Gateway,
  closing: Closing
): Promise<Urls> {
  const clock = systemClock
  const { host, port } = config.private
  const own = await listenTcp(gateway.private, { host, port, setting: 'ELOCKER_PRIVATE' }, clock)
  closing.push(['private listener', () => own.close()])
  const socket = config.private.socket ? home.socket : undefined
  if (socket !== undefined) {
    const unix = await listenUnix(gateway.private, socket, clock)
    closing.push(['unix socket', () => unix.close()])
  }
  const url = baseUrl(host, own.port ?? port)
  if (config.public === undefined) return { private: url, public: undefined, socket }
  const where = { ...config.public, setting: 'ELOCKER_PUBLIC' }
  const others = await listenTcp(gateway.public, where, clock)
  closing.push(['public listener', () => others.close()])
  const publicUrl = config.public.url ?? baseUrl(where.host, others.port ?? where.port)
  return { private: url, public: publicUrl, socket }
}

/** Loopback goes by its name, which the page's cookie and the owner's bookmarks belong to. */
function baseUrl(host: string, port: number): string {
  const name = host === '127.0.0.1' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}

async function unlock(
  agent: Agent,
  secret: Awaited<ReturnType<typeof secretAtStart>>,
  log: Logger
): Promise<void> {
  if (secret === undefined) return
  // A container is given its passphrase file before its locker is created.
  if (agent.vault.state === 'new') {
    log.info('vault-absent')
    return
  }
  try {
    await agent.vault.open(secret)
  } catch (error) {
    if (!(error instanceof LockerError && error.code === 'vault-damaged')) throw error
    // The words open the vault all the same, and only a running agent can be given them.
    log.error('vault-not-opened', { error })
  }
}

function nodeFacts(parts: {
  config: Config
  home: Home
  agent: Agent
  blocks: BlockStore
  network: PeerNetwork
  urls: Urls
}): NodeFacts {
  const { config, home, agent, blocks, network, urls } = parts
  return {
    version: packageVersion(),
    peerId: network.peerId,
    relay: config.p2p.relay,
    addresses: () => ({
      private: urls.private,
      public: urls.public ?? null,
      ...(urls.socket === undefined ? {} : { socket: urls.socket }),
      p2p: network.addresses()
    }),
    peers: () => network.peers(),
    async storage() {
      const disk = await statfs(home.folder)
      const documents =
        agent.vault.state === 'open'
          ? agent.documents.list().length + agent.documents.list({ trashed: true }).length
          : 0
      return { ...(await blocks.stat()), documents, free: disk.bavail * disk.bsize }
    }
  }
}

/** The built page stands beside the source of the gateway, in a checkout and in the package. */
function pageFolder(): string {
  const root = import.meta.url.endsWith('.ts') ? '..' : '../..'
  return fileURLToPath(new URL(`${root}/gateway/web/dist`, import.meta.url))
}

/**
 * A promise nobody waits for, rejected inside a library, ends a Node process; a peer could bring that
 * about. It is a fault to be seen, not a reason for the owner's agent to be away.
 */
function watchRejections(log: Logger): () => void {
  const rejected = (error: unknown): void => log.error('unhandled-rejection', { error })
  process.on('unhandledRejection', rejected)
  return () => void process.off('unhandledRejection', rejected)
}

/** Every step is taken, whatever the ones before it throw. */
async function closeAll(closing: Closing, log: Logger): Promise<void> {
  for (let step = closing.pop(); step !== undefined; step = closing.pop()) {
    const [what, close] = step
    try {
      await close()
    } catch (error) {
      log.error('close-failed', { what, error })
    }
  }
}
