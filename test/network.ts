/**
 * LocalNetwork: agents in one process, joined by memory instead of sockets, with the faults of a real
 * network played back from a seed: away, drop, delay, duplicate, reorder.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { base58 } from '@scure/base'
import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { PullAnswer } from '../agent/agent.ts'
import type { Clock, Endpoint, Network, PullSession } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'

/** What a network delivers to: an agent, or what a test puts in its place. */
export interface Receiver {
  receive(
    envelope: Uint8Array,
    from: { transport: 'libp2p' | 'http'; peer?: string }
  ): Promise<void>
  authorisePull(grant: string, peerId: string): Promise<PullAnswer>
}

/** Faults of every path of the network; probabilities 0 to 1, all 0 at first. */
export interface Faults {
  /** The envelope is taken and never delivered. */
  drop: number
  /** The envelope is delivered twice. */
  duplicate: number
  /** The envelope is overtaken by the one after it. */
  reorder: number
  /** How long delivery takes, in milliseconds of the clock. */
  delayMs: number
}

/** One envelope as it passed, for tests that count or replay. */
export interface Passed {
  readonly from: string
  readonly to: string
  readonly envelope: Uint8Array
}

export interface LocalNetworkOptions {
  readonly clock: Clock
  /** Default 1. The same seed plays the same faults. */
  readonly seed?: number
}

export class LocalNetwork {
  readonly faults: Faults = { drop: 0, duplicate: 0, reorder: 0, delayMs: 0 }
  readonly passed: Passed[] = []
  readonly clock: Clock
  readonly #nodes = new Map<string, LocalNode>()
  readonly #held = new Map<string, () => void>()
  #inFlight = 0
  #seed: number

  constructor(options: LocalNetworkOptions) {
    this.clock = options.clock
    this.#seed = options.seed ?? 1
  }

  /** A place on the network; the same name gives the same PeerId, as a home that is opened again would. */
  join(name: string, options: { publicUrl?: string } = {}): LocalNode {
    const node = new LocalNode(this, name, options.publicUrl)
    this.#nodes.set(node.peerId, node)
    return node
  }

  /** Deliveries under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** The node an endpoint leads to; throws `peer-unreachable` when it is away or unknown. */
  reach(to: Endpoint): LocalNode {
    const node =
      to.kind === 'libp2p'
        ? this.#nodes.get(to.peerId)
        : [...this.#nodes.values()].find((each) => `${each.publicUrl}/didcomm` === to.url)
    if (node === undefined || node.away || node.receiver === undefined)
      throw new LockerError(
        'peer-unreachable',
        `no answer from ${to.kind === 'http' ? to.url : to.peerId}`
      )
    return node
  }

  /** Takes an envelope: from here on the sender believes it has been sent. */
  carry(from: LocalNode, to: LocalNode, transport: 'libp2p' | 'http', envelope: Uint8Array): void {
    const copy = Uint8Array.from(envelope)
    this.passed.push({ from: from.name, to: to.name, envelope: copy })
    if (this.#chance(this.faults.drop)) return
    const times = this.#chance(this.faults.duplicate) ? 2 : 1
    const deliver = (): void => {
      for (let time = 0; time < times; time += 1) this.#deliver(from, to, transport, copy)
    }
    const path = `${from.name}→${to.name}`
    const overtaken = this.#held.get(path)
    if (overtaken === undefined && this.#chance(this.faults.reorder)) {
      this.#held.set(path, deliver)
      return
    }
    deliver()
    this.#held.delete(path)
    overtaken?.()
  }

  /** Delivers what is still held back for reordering. */
  release(): void {
    const held = [...this.#held.values()]
    this.#held.clear()
    for (const deliver of held) deliver()
  }

  #deliver(
    from: LocalNode,
    to: LocalNode,
    transport: 'libp2p' | 'http',
    envelope: Uint8Array
  ): void {
    const arrive = async (): Promise<void> => {
      try {
        await to.receiver?.receive(Uint8Array.from(envelope), { transport, peer: from.peerId })
      } catch (error) {
        to.errors.push(error)
      } finally {
        this.#inFlight -= 1
      }
    }
    this.#inFlight += 1
    if (this.faults.delayMs === 0) void arrive()
    else this.clock.after(this.faults.delayMs, () => void arrive())
  }

  /** A linear congruential generator (Numerical Recipes): enough for faults, never for keys. */
  #chance(probability: number): boolean {
    if (probability === 0) return false
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0
    return this.#seed / 2 ** 32 < probability
  }
}

/** One agent's place on a {@link LocalNetwork}. */
export class LocalNode implements Network {
  readonly name: string
  readonly peerId: string
  /** Set while this agent has a public listener. */
  publicUrl: string | undefined
  /** True: cannot be reached and cannot reach anyone. */
  away = false
  receiver: Receiver | undefined
  blocks: Pick<Blockstore, 'get' | 'has'> | undefined
  /** What the receiver's `receive` threw; a healthy agent throws nothing. */
  readonly errors: unknown[] = []
  /** Blocks served, by PeerId of who pulled. */
  readonly served = new Map<string, number>()
  readonly #network: LocalNetwork

  constructor(network: LocalNetwork, name: string, publicUrl: string | undefined) {
    this.#network = network
    this.name = name
    this.peerId = peerIdOf(name)
    this.publicUrl = publicUrl
  }

  endpoints(): readonly Endpoint[] {
    const libp2p: Endpoint = {
      kind: 'libp2p',
      peerId: this.peerId,
      multiaddrs: [`/memory/${this.name}/p2p/${this.peerId}`]
    }
    return this.publicUrl === undefined
      ? [libp2p]
      : [libp2p, { kind: 'http', url: `${this.publicUrl}/didcomm` }]
  }

  async send(to: Endpoint, envelope: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    options.signal.throwIfAborted()
    // As on a real network, an answer never comes within the same turn.
    await Promise.resolve()
    this.#mustBeHere()
    this.#network.carry(this, this.#network.reach(to), to.kind, envelope)
  }

  async pull(to: Endpoint, grant: string, options: { signal: AbortSignal }): Promise<PullSession> {
    options.signal.throwIfAborted()
    this.#mustBeHere()
    const server = this.#network.reach(to)
    const answer = await server.receiver?.authorisePull(grant, this.peerId)
    if (answer === undefined) throw new LockerError('peer-unreachable', `${server.name} is gone`)
    if (!answer.ok) throw refused(answer.problem, answer.comment)
    let open = true
    return {
      block: async (cid, blockOptions = {}) => {
        blockOptions.signal?.throwIfAborted()
        if (!open) throw new LockerError('peer-unreachable', 'the session is closed')
        this.#mustBeHere()
        return this.#network.reach(to).serve(this.peerId, cid, answer)
      },
      close: async () => {
        open = false
      }
    }
  }

  /** One block, as the pull protocol's server gives it out. */
  async serve(
    peerId: string,
    cid: CID,
    answer: PullAnswer & { ok: true }
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!answer.has(cid.toString()))
      throw refused('e.p.pull.not-in-grant', `not in the grant: ${cid.toString()}`)
    if (this.blocks === undefined || !(await this.blocks.has(cid)))
      throw refused('e.p.pull.block-missing', `block is missing: ${cid.toString()}`)
    const parts: Uint8Array[] = []
    for await (const part of this.blocks.get(cid)) parts.push(part)
    const block = Uint8Array.from(Buffer.concat(parts))
    const digest = createHash('sha256').update(block).digest()
    if (!digest.equals(cid.multihash.digest))
      throw new LockerError('integrity-failed', `block ${cid.toString()} is not what its CID says`)
    this.served.set(peerId, (this.served.get(peerId) ?? 0) + 1)
    return block
  }

  #mustBeHere(): void {
    if (this.away) throw new LockerError('peer-unreachable', `${this.name} has no network`)
  }
}

function refused(problem: string, comment: string): LockerError {
  return new LockerError('peer-refused', comment, { facts: { problem } })
}

/** A well-formed PeerId (identity multihash of an Ed25519 public key protobuf) that no key stands behind. */
function peerIdOf(name: string): string {
  const key = createHash('sha256').update(name).digest()
  return base58.encode(Uint8Array.from([0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...key]))
}
