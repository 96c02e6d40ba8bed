/**
 * Parties for tests and scenarios: named agents with a home in memory, a clock moved by hand, and a place on
 * a LocalNetwork. A party can be closed and opened again on the same home, as a process that restarts.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { MemoryBlockstore } from 'blockstore-core'
import {
  createAgent,
  type Agent,
  type AgentComponents,
  type AgentLimits,
  type ContactFacts
} from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'
import type { Clock, Network, Random } from '../agent/components.ts'
import type { RecordDatabase } from '../agent/records.ts'
import { parseDidDocument } from '../protocols/did/document.ts'
import { resolveDidKey } from '../protocols/did/key.ts'
import { didWebUrl } from '../protocols/did/web.ts'
import { Crash, FaultyLevel, MemoryFiles, RecordingLogger } from './agent/faults.ts'
import { FakeClock, turns, until } from './clock.ts'
import { LocalNetwork, type LocalNode } from './network.ts'

/** Passes every check of the vault. */
export const PASSPHRASE = 'six seventy cranes over the harbour'

/** Bytes that depend on the seed alone. For tests: whoever knows the seed knows the keys. */
export function seededRandom(seed: string): Random {
  let count = 0
  return (sizeBytes) => {
    const bytes = new Uint8Array(sizeBytes)
    for (let start = 0; start < sizeBytes; start += 32) {
      const block = createHash('sha256')
        .update(`${seed}/${(count += 1)}`)
        .digest()
      bytes.set(block.subarray(0, Math.min(32, sizeBytes - start)), start)
    }
    return bytes
  }
}

export interface PartyOptions {
  readonly publicUrl?: string
  readonly limits?: AgentLimits
  /** Answers GETs of JSON documents, by their URL. Default: nothing is looked up. */
  readonly fetchJson?: (url: string) => Promise<Uint8Array>
}

/** One person or institution, its home and its agent. */
export class Party implements AsyncDisposable {
  readonly name: string
  readonly world: World
  readonly node: LocalNode
  db = new FaultyLevel()
  readonly blocks = new MemoryBlockstore()
  vaultFiles = new MemoryFiles()
  spoolFiles = new MemoryFiles()
  readonly logger = new RecordingLogger()
  readonly options: PartyOptions
  #agent: Agent | undefined
  #starts = 0

  constructor(world: World, name: string, options: PartyOptions) {
    this.world = world
    this.name = name
    this.options = options
    this.node = world.network.join(name, options)
  }

  get agent(): Agent {
    if (this.#agent === undefined) throw new Error(`${this.name}'s agent is not running`)
    return this.#agent
  }

  /** Starts the process; the vault is `new` or `sealed`. */
  async start(): Promise<void> {
    this.#starts += 1
    const run = this.#starts
    const db: RecordDatabase = this.db
    this.#agent = await createAgent({
      db,
      blocks: this.blocks,
      vaultFiles: this.vaultFiles,
      spoolFiles: this.spoolFiles,
      network: this.#networkOf(run),
      ...this.#looksUp(),
      clock: this.#clockOf(run),
      random: seededRandom(`${this.world.seed}/${this.name}/${this.#starts}`),
      logger: this.logger,
      baseUrl: () => this.node.publicUrl ?? 'http://localhost:4280',
      limits: { scryptWorkFactor: 10, ...this.options.limits }
    })
    this.node.receiver = this.#agent
    this.node.blocks = this.blocks
  }

  /** Creates the locker on an empty home. */
  async create(): Promise<void> {
    await this.agent.vault.create({ name: this.name, passphrase: PASSPHRASE })
  }

  async open(): Promise<void> {
    await this.agent.vault.open({ kind: 'passphrase', passphrase: PASSPHRASE })
  }

  /** Ends the process; the home stays. */
  async stop(): Promise<void> {
    this.node.receiver = undefined
    const agent = this.#agent
    this.#agent = undefined
    await agent?.close()
  }

  /**
   * Ends the process as kill -9 does: nothing it still had in hand reaches disk or network, and nothing is
   * tidied up.
   */
  async kill(): Promise<void> {
    this.node.receiver = undefined
    this.#agent = undefined
    this.#starts += 1
    const { db, vaultFiles, spoolFiles } = this
    db.writes.crashed = true
    vaultFiles.writeFails = dead
    spoolFiles.writeFails = dead
    this.db = new FaultyLevel()
    for (const [key, value] of await db.contents()) await this.db.put(key, value)
    this.vaultFiles = copied(vaultFiles)
    this.spoolFiles = copied(spoolFiles)
  }

  /** did:key is computed; did:web asks the domain, where there is a web at all. */
  #looksUp(): Pick<AgentComponents, 'resolve' | 'fetchJson'> {
    const { fetchJson } = this.options
    if (fetchJson === undefined)
      return {
        resolve: (did) =>
          Promise.reject(new LockerError('did-unresolvable', `nothing is known of ${did}`))
      }
    return {
      fetchJson,
      resolve: async (did) => {
        if (did.startsWith('did:key:')) return resolveDidKey(did)
        const bytes = await fetchJson(didWebUrl(did, { allow: () => true }))
        return parseDidDocument(JSON.parse(new TextDecoder().decode(bytes)), did)
      }
    }
  }

  /** The network as one run of the process has it: a run that has ended reaches nobody. */
  #networkOf(run: number): Network {
    const gone = (): void => {
      if (run !== this.#starts) throw new LockerError('peer-unreachable', 'this process has ended')
    }
    return {
      peerId: this.node.peerId,
      endpoints: () => this.node.endpoints(),
      send: async (...parameters) => {
        gone()
        await this.node.send(...parameters)
      },
      pull: async (...parameters) => {
        gone()
        return this.node.pull(...parameters)
      }
    }
  }

  /** The clock as one run of the process has it: a run that was killed is woken by no timer. */
  #clockOf(run: number): Clock {
    const { clock } = this.world
    return {
      now: () => clock.now(),
      after: (delayMs, work) =>
        clock.after(delayMs, () => {
          if (run === this.#starts) work()
        })
    }
  }

  /** As a process that is started again and unlocked. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
    await this.open()
  }

  /** Events logged under this name. */
  logged(event: string): ReadonlyArray<Readonly<Record<string, unknown>>> {
    return this.logger.events
      .filter((entry) => entry.event === event)
      .map(({ fields }) => ({ ...fields }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** A clock, a network, and the parties on it. */
export class World implements AsyncDisposable {
  readonly seed: number
  readonly clock = new FakeClock()
  readonly network: LocalNetwork
  readonly #parties: Party[] = []

  constructor(seed = 1) {
    this.seed = seed
    this.network = new LocalNetwork({ clock: this.clock, seed })
  }

  /** A running agent with an open locker of that name. */
  async party(name: string, options: PartyOptions = {}): Promise<Party> {
    const party = await this.empty(name, options)
    await party.create()
    return party
  }

  /** A running agent on an empty home: its vault is `new`. */
  async empty(name: string, options: PartyOptions = {}): Promise<Party> {
    const party = new Party(this, name, options)
    this.#parties.push(party)
    await party.start()
    return party
  }

  /** Waits until nothing is on its way and no outbox is sending. No time passes. */
  async settle(): Promise<void> {
    let quiet = 0
    await until(() => {
      const busy = this.network.inFlight > 0 || this.#parties.some((party) => isSending(party))
      quiet = busy ? 0 : quiet + 1
      return quiet > 20
    }, 'the network is quiet')
  }

  /** Lets time pass, and what it sets off happen. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
    await this.settle()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const party of this.#parties) await party.stop()
  }
}

function dead(): Error {
  return new Crash('the process is gone')
}

function copied(files: MemoryFiles): MemoryFiles {
  const copy = new MemoryFiles()
  for (const [name, bytes] of files.files) copy.files.set(name, bytes)
  return copy
}

function isSending(party: Party): boolean {
  // Looking into the outbox is a use of the agent: it would keep it from being idle.
  if (party.options.limits?.idleMs !== undefined) return false
  try {
    return party.agent.outbox().some(({ state }) => state === 'sending')
  } catch {
    // Stopped or sealed: it sends nothing.
    return false
  }
}

/** Makes two parties contacts of each other; returns how each sees the other. */
export async function connect(
  inviter: Party,
  guest: Party
): Promise<{ guest: ContactFacts; inviter: ContactFacts }> {
  const { url } = await inviter.agent.contacts.invite({ name: guest.name })
  const { did } = await guest.agent.contacts.accept(url, { name: inviter.name })
  await until(
    () =>
      guest.agent.contacts.get(did).state === 'connected' &&
      inviter.agent.contacts.list().some(({ name }) => name === guest.name),
    `${inviter.name} and ${guest.name} are contacts`
  )
  await turns()
  await inviter.world.settle()
  return { guest: inviter.agent.contacts.get(guest.name), inviter: guest.agent.contacts.get(did) }
}

/** How a party sees the contact with this DID. */
export function contactOf(party: Party, did: string): ContactFacts {
  return party.agent.contacts.get(did)
}
