/**
 * Figures for an operator, in the text form of Prometheus. Counts and sizes only: no name, no id.
 *
 * @module
 */
import { memoryUsage } from 'node:process'
import type { Request, Response } from 'express'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Agent } from '../agent/agent.ts'
import type { EventHub } from './events.ts'
import type { NodeFacts } from './node-facts.ts'

/** Seconds: from an answer out of memory to an upload of gigabytes. */
const DURATION_BUCKETS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600]

export class Metrics {
  readonly #registry = new Registry()
  readonly #durations: Histogram<'listener' | 'method' | 'route' | 'status'>
  readonly #refusals: Counter<'listener' | 'code'>

  constructor({ agent, node, events }: { agent: Agent; node: NodeFacts; events: EventHub }) {
    const registers = [this.#registry]
    this.#durations = new Histogram({
      name: 'elocker_http_request_seconds',
      help: 'Time from a request to the end of its answer.',
      labelNames: ['listener', 'method', 'route', 'status'],
      buckets: DURATION_BUCKETS,
      registers
    })
    this.#refusals = new Counter({
      name: 'elocker_http_problems_total',
      help: 'Answers that were a problem, by its code.',
      labelNames: ['listener', 'code'],
      registers
    })
    const gauge = (name: string, help: string, read: () => number): void => {
      void new Gauge({
        name: `elocker_${name}`,
        help,
        registers,
        collect() {
          this.set(read())
        }
      })
    }
    // The agent's lists can be read only while the vault is open; closed, they count nothing.
    const open = (read: () => number) => () => (agent.vault.state === 'open' ? read() : 0)
    gauge(
      'vault_open',
      '1 while the locker is open.',
      open(() => 1)
    )
    gauge(
      'documents',
      'Documents outside the trash.',
      open(() => agent.documents.list().length)
    )
    gauge(
      'outbox_waiting',
      'Messages that have not reached the other agent.',
      open(() => agent.outbox().filter(({ state }) => state !== 'sent').length)
    )
    gauge(
      'contacts',
      'Contacts.',
      open(() => agent.contacts.list().length)
    )
    gauge('damage', 'Records found missing or damaged at start.', () => agent.damage.length)
    gauge('peers', 'libp2p peers connected.', () => node.peers().length)
    gauge('event_streams', 'Listeners to /api/v1/events.', () => events.clients)
    gauge('resident_memory_bytes', 'Resident set size.', () => memoryUsage.rss())
  }

  /** One answered request. `route` is the pattern, never the path: paths hold ids. */
  answered(labels: {
    listener: 'private' | 'public'
    method: string
    route: string
    status: number
    seconds: number
  }): void {
    const { seconds, status, ...rest } = labels
    this.#durations.observe({ ...rest, status: String(status) }, seconds)
  }

  problem(listener: 'private' | 'public', code: string): void {
    this.#refusals.inc({ listener, code })
  }

  async send(_request: Request, response: Response): Promise<void> {
    const text = await this.#registry.metrics()
    response.setHeader('content-type', this.#registry.contentType)
    response.end(text)
  }
}
