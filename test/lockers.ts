/**
 * Lockers that are open, on a network in memory, with what they stand on in reach of the test: blocks to
 * damage, a database to fail, messages to say that no healthy agent would.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { expect } from 'chai'
import type { PullAnswer } from '../agent/agent.ts'
import { LockerError, type LockerErrorCode } from '../agent/errors.ts'
import { listInbox } from '../agent/inbox.ts'
import { openLocker, type OpenLocker } from '../agent/open-locker.ts'
import type { OutboxItem } from '../agent/outbox.ts'
import type { InboxItem } from '../agent/sharing.ts'
import { newMessageId } from '../protocols/message.ts'
import { REPORT_PROBLEM } from '../protocols/report-problem.ts'
import type { DidDocument } from '../protocols/did/document.ts'
import type { Attachment } from '../protocols/message.ts'
import { sharing as protocol } from '../protocols/sharing.ts'
import {
  FaultyBlocks,
  FaultyLevel,
  MemoryFiles,
  RecordingLogger,
  secureRandom
} from './agent/faults.ts'
import { FakeClock, turns, until } from './clock.ts'
import { LocalNetwork, type LocalNode } from './network.ts'

/** Quiet turns in a row after which a world counts as settled. */
const QUIET_TURNS = 60

/** The parties of one test: `join` them, `befriend` them, `close` at the end. */
export class Lockers {
  readonly clock = new FakeClock()
  readonly network = new LocalNetwork({ clock: this.clock })
  readonly parties: Party[] = []
  /** DID documents that can be fetched; of other methods than key and peer, nothing else can. */
  readonly documents = new Map<string, DidDocument>()

  async join(name: string): Promise<Party> {
    const party = new Party(name, this)
    await party.open()
    this.parties.push(party)
    return party
  }

  /** Makes contacts of two parties by an invitation of the first. */
  async befriend(one: Party, other: Party): Promise<void> {
    const { url } = await one.locker.contacts.invite({ name: other.name })
    await other.locker.contacts.accept(url, { name: one.name })
    const connected = (party: Party, contact: Party): boolean =>
      party.locker.contacts
        .list()
        .some(({ name, state }) => name === contact.name && state === 'connected')
    await until(() => connected(one, other) && connected(other, one), 'they are connected')
    await this.settled()
  }

  /** Resolves when nobody has anything left to do at this time. */
  async settled(): Promise<void> {
    for (let passed = -1; passed !== this.network.passed.length;) {
      passed = this.network.passed.length
      for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
        await turns(1)
        if (this.network.inFlight > 0) quiet = 0
      }
      for (const { running } of this.parties) {
        await running?.sharing.settled()
        await running?.issuance.settled()
      }
      await turns()
    }
  }

  async close(): Promise<void> {
    for (const party of this.parties) await party.close()
    for (const { node } of this.parties) expect(node.errors, node.name).to.be.empty
  }
}

/** One party: a home, a place on the network, and the locker while it is open. */
export class Party {
  readonly name: string
  /** Its place on the network; another one after {@link moveTo}. */
  node: LocalNode
  readonly db = new FaultyLevel()
  readonly blocks = new FaultyBlocks()
  readonly files = new MemoryFiles()
  readonly logger = new RecordingLogger()
  /** Changes the locker told its listeners of, as `<kind> <id>`. */
  readonly changes: string[] = []
  readonly rootKey: Uint8Array = secureRandom(32)
  readonly #world: Lockers
  #locker: OpenLocker | undefined

  constructor(name: string, world: Lockers) {
    this.name = name
    this.#world = world
    this.node = world.network.join(name)
    this.node.blocks = this.blocks
  }

  /** The locker, unless it is closed. */
  get running(): OpenLocker | undefined {
    return this.#locker
  }

  /** Throws while it is closed. */
  get locker(): OpenLocker {
    if (this.#locker === undefined) throw new Error(`${this.name}'s locker is closed`)
    return this.#locker
  }

  /** Opens the home, again after {@link close}: what a restart does. */
  async open(): Promise<void> {
    const { db, blocks, files, logger, node } = this
    const locker = await openLocker(
      {
        db,
        blocks,
        vaultFiles: files,
        network: node,
        resolve: async (did) => {
          const document = this.#world.documents.get(did)
          if (document !== undefined) return document
          throw new LockerError('did-unresolvable', `nobody resolves ${did} here`)
        },
        clock: this.#world.clock,
        random: secureRandom,
        logger,
        baseUrl: () => `https://${this.name.toLowerCase()}.example`
      },
      Uint8Array.from(this.rootKey),
      (kind, id) => this.changes.push(`${kind} ${id}`)
    )
    this.#locker = locker
    this.node.receiver = {
      receive: async (envelope, from) => {
        await locker.exchanges.receive(envelope, from)
      },
      authorisePull: (grant, peerId): Promise<PullAnswer> =>
        locker.sharing.authorisePull(grant, peerId)
    }
    locker.begin()
  }

  async close(): Promise<void> {
    this.node.receiver = undefined
    await this.#locker?.close()
    this.#locker = undefined
  }

  /** Opens the home on another machine, as a restored backup is: the same locker, another PeerId. */
  async moveTo(machine: string): Promise<void> {
    await this.close()
    this.node = this.#world.network.join(machine)
    this.node.blocks = this.blocks
    await this.open()
  }

  inbox(): readonly InboxItem[] {
    return listInbox(this.locker.sharing, this.locker.issuance)
  }

  /**
   * Says something on a share thread that the own state table may not allow, and waits for what becomes
   * of it: the item is `failed` with the other side's problem, or acknowledged.
   */
  async say(
    to: Party,
    message: string,
    thid: string,
    body: Readonly<Record<string, unknown>>,
    id: string = newMessageId(secureRandom)
  ): Promise<OutboxItem> {
    return this.tell(to, { type: `${protocol.piuri}/${message}`, thid, body, id })
  }

  /** As {@link say}, any message. The type of a problem report is `problem-report`, whatever stands before it. */
  async tell(
    to: Party,
    message: {
      readonly type: string
      readonly thid: string
      readonly body: Readonly<Record<string, unknown>>
      readonly attachments?: readonly Attachment[]
      readonly id?: string
    }
  ): Promise<OutboxItem> {
    const { type, thid, body, attachments, id = newMessageId(secureRandom) } = message
    const { records, outbox, contacts } = this.locker
    const report = type.endsWith('problem-report')
    await records.change((batch) =>
      outbox.enqueue(batch, {
        to: contacts.get(to.name).did,
        type: report ? `${REPORT_PROBLEM}/problem-report` : type,
        id,
        body,
        ...(attachments === undefined ? {} : { attachments }),
        ...(report ? { pthid: thid, pleaseAck: false } : {}),
        ...(report || thid === id ? {} : { thid })
      })
    )
    const answered = (): boolean => {
      const item = outbox.get(id)
      return item === undefined || item.state === 'failed' || item.acknowledgedAt !== undefined
    }
    // Nobody answers a problem report.
    if (report) await this.#world.settled()
    else await until(answered, `${to.name} answered ${type}`)
    const item = outbox.get(id)
    if (item === undefined) throw new Error(`${type} has left the outbox`)
    return item
  }
}

/** The error's code; fails when the work succeeds, and throws what is no LockerError. */
export async function refusal(work: Promise<unknown>): Promise<LockerErrorCode> {
  return (await failure(work)).code
}

/** The LockerError the work rejects with. */
export async function failure(work: Promise<unknown>): Promise<LockerError> {
  try {
    await work
  } catch (error) {
    if (error instanceof LockerError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** A document's bytes as a stream of one piece. */
export async function* source(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Everything a stream of content yields; its pieces have at most 64 KiB. */
export async function collect(
  content: AsyncIterable<Uint8Array>
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = []
  for await (const part of content) {
    expect(part.length).to.be.at.most(65_536)
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}
