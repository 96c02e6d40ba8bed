/**
 * Staying connected to the peers the owner named: bootstrap nodes and relays.
 *
 * After a relay restarts, libp2p does not come back to it by itself (js-libp2p #3601). Once it is dialled
 * again, a node that listens on `/p2p-circuit` reserves its place anew.
 *
 * @module
 */
import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Clock, Logger, Random } from '../agent/components.ts'
import { deadline } from './deadline.ts'

/** First and longest wait between two attempts; it doubles in between, give or take a fifth. */
const WAIT_MS_MIN = 1_000
const WAIT_MS_MAX = 60_000

const DIAL_MS_MAX = 10_000

/** Weight by which libp2p keeps these connections when it has too many; ordinary peers have 0 to 100. */
const TAG_VALUE = 1_000

interface Target {
  readonly peer: PeerId
  readonly addresses: Multiaddr[]
  failures: number
  cancel: (() => void) | undefined
  dialling: Promise<void> | undefined
}

export interface WatchdogComponents {
  readonly libp2p: Libp2p
  /** Multiaddrs that end in `/p2p/<PeerId>`. */
  readonly peers: readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export class Watchdog {
  readonly #components: WatchdogComponents
  readonly #targets = new Map<string, Target>()
  readonly #stopping = new AbortController()

  constructor(components: WatchdogComponents) {
    this.#components = components
    for (const text of components.peers) this.#add(multiaddr(text))
  }

  start(): void {
    this.#components.libp2p.addEventListener('peer:disconnect', this.#disconnected)
    for (const target of this.#targets.values()) this.#schedule(target, 0)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the agent is stopping'))
    this.#components.libp2p.removeEventListener('peer:disconnect', this.#disconnected)
    for (const target of this.#targets.values()) target.cancel?.()
    await Promise.all([...this.#targets.values()].map(async ({ dialling }) => dialling))
  }

  #add(address: Multiaddr): void {
    const last = address.getComponents().at(-1)
    if (last?.name !== 'p2p' || last.value === undefined) return
    const peer = peerIdFromString(last.value)
    if (peer.equals(this.#components.libp2p.peerId)) return
    const target = this.#targets.get(peer.toString())
    if (target !== undefined) target.addresses.push(address)
    else
      this.#targets.set(peer.toString(), {
        peer,
        addresses: [address],
        failures: 0,
        cancel: undefined,
        dialling: undefined
      })
  }

  readonly #disconnected = ({ detail }: CustomEvent<PeerId>): void => {
    const target = this.#targets.get(detail.toString())
    if (target === undefined) return
    this.#components.logger.info('peer-lost', { peer: detail.toString() })
    this.#schedule(target, this.#waitMs(target))
  }

  #schedule(target: Target, delayMs: number): void {
    if (this.#stopping.signal.aborted || target.dialling !== undefined) return
    target.cancel?.()
    target.cancel = this.#components.clock.after(delayMs, () => {
      target.dialling = this.#dial(target)
    })
  }

  async #dial(target: Target): Promise<void> {
    const { libp2p, clock, logger } = this.#components
    const peer = target.peer.toString()
    try {
      using limit = deadline(clock, DIAL_MS_MAX, this.#stopping.signal)
      await libp2p.dial(target.addresses, { signal: limit.signal })
      await libp2p.peerStore.merge(target.peer, {
        tags: { 'elocker-named': { value: TAG_VALUE } }
      })
      target.failures = 0
      logger.info('peer-connected', { peer })
    } catch (error) {
      target.failures++
      // Once in full; a relay that is away for a day need not fill the log.
      if (target.failures === 1) logger.warn('peer-unreachable', { peer, error })
      else logger.debug('peer-unreachable', { peer, failures: target.failures })
    } finally {
      target.dialling = undefined
    }
    // Lost while the tag was written, or never had: both need another attempt.
    if (libp2p.getConnections(target.peer).length === 0)
      this.#schedule(target, this.#waitMs(target))
  }

  #waitMs(target: Target): number {
    const doubled = Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 2 ** Math.min(target.failures, 16))
    // Many agents lose the same relay at the same moment; the fifth keeps them from coming back at once.
    const spread = ((this.#components.random(1)[0] ?? 0) / 255 - 0.5) * 0.4
    return Math.round(doubled * (1 + spread))
  }
}
