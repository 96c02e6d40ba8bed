/**
 * A whole agent behind both listeners of its gateway, and a web on which agents find each other's public
 * listeners by host name.
 *
 * @module
 */
import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import { createGateway } from '../../gateway/server.ts'
import { seededRandom, World, type Party } from '../parties.ts'
import { nodeFacts, RUN_TOKEN, Served, silent, type Answer, type Sent } from './harness.ts'

/** A world with a web in it. */
export class WebWorld extends World {
  /** Public listeners by host; one that is taken out cannot be reached. */
  readonly hosts = new Map<string, Served>()

  /** What an agent's guarded fetch would answer. */
  async getJson(url: string): Promise<Uint8Array> {
    const { host, pathname } = new URL(url)
    const answer = await this.hosts.get(host)?.send(pathname)
    if (answer === undefined) throw new LockerError('peer-unreachable', `${host} does not answer`)
    if (answer.status !== 200)
      throw new LockerError('peer-unreachable', `${host} answered ${answer.status}`)
    return answer.body
  }
}

/** A party behind both listeners of its gateway; the public one is `http://<name>.test`. */
export class Door implements AsyncDisposable {
  readonly party: Party
  readonly host: string
  readonly #private: Served
  readonly public: Served

  private constructor(party: Party, host: string, served: readonly [Served, Served]) {
    this.party = party
    this.host = host
    ;[this.#private, this.public] = served
  }

  static async open(world: World, name: string): Promise<Door> {
    const host = `${name.toLowerCase()}.test`
    const publicUrl = `http://${host}`
    const web = world instanceof WebWorld ? world : undefined
    const party = await world.party(name, {
      publicUrl,
      ...(web === undefined ? {} : { fetchJson: (url) => web.getJson(url) })
    })
    const gateway = createGateway({
      agent: party.agent,
      node: nodeFacts('http://localhost', publicUrl),
      runToken: RUN_TOKEN,
      clock: world.clock,
      random: seededRandom(`gateway of ${name}`),
      logger: silent,
      pageFolder: '/nonexistent'
    })
    const served = [await Served.open(gateway.private), await Served.open(gateway.public)] as const
    web?.hosts.set(host, served[1])
    return new Door(party, host, served)
  }

  /** A request to the private listener, with the run token unless the headers say otherwise. */
  async call(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${RUN_TOKEN}`, ...sent.headers }
    return this.#private.send(`/api/v1${path}`, { method, ...sent, headers })
  }

  /** Calls and expects success; the JSON of the answer. */
  async ask(method: string, path: string, json?: unknown): Promise<Record<string, unknown>> {
    const answer = await this.call(method, path, json === undefined ? {} : { json })
    expect(answer.status, answer.body.toString().slice(0, 500)).to.be.within(200, 204)
    return answer.body.length === 0 ? {} : answer.json()
  }

  async list(path: string): Promise<ReadonlyArray<Record<string, unknown>>> {
    return (await this.ask('GET', path))['items'] as ReadonlyArray<Record<string, unknown>>
  }

  async add(name: string, body: Buffer): Promise<string> {
    const answer = await this.call('POST', `/documents?name=${name}`, { body })
    return String(answer.json()['id'])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#private[Symbol.asyncDispose]()
    await this.public[Symbol.asyncDispose]()
  }
}

/** Makes contacts of two doors, by their HTTP. */
export async function meet(world: World, one: Door, other: Door): Promise<void> {
  const { url } = await one.ask('POST', '/invitations', { name: other.party.name })
  await other.ask('POST', '/invitations/accept', { url, name: one.party.name })
  await world.settle()
}
