/**
 * A gateway on two real sockets of loopback, with an agent in memory behind it and an HTTP client that
 * says exactly what a test wants to be sent.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger, VaultState } from '../../agent/agent.ts'
import type { NodeFacts } from '../../gateway/node-facts.ts'
import { createGateway, type Gateway, type GatewayLimits } from '../../gateway/server.ts'
import { FakeClock } from '../clock.ts'
import { FakeAgent } from './fake-agent.ts'

export const RUN_TOKEN = 'run-token-of-this-process'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body as JSON. */
  json(): Record<string, unknown>
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly body?: Uint8Array | string
}

export interface GatewayOptions {
  readonly state?: VaultState
  readonly limits?: GatewayLimits
  readonly pageFolder?: string
  readonly hosts?: readonly string[]
  readonly privateUrl?: string
  readonly trustProxy?: number
}

/** One line of the log. */
export interface Logged {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

export class TestGateway implements AsyncDisposable {
  readonly clock: FakeClock
  readonly agent: FakeAgent
  readonly gateway: Gateway
  readonly logged: Logged[] = []
  readonly #served: Served[] = []

  private constructor(agent: FakeAgent, clock: FakeClock, options: GatewayOptions) {
    this.agent = agent
    this.clock = clock
    this.gateway = createGateway({
      agent,
      node: this.#facts(options),
      runToken: RUN_TOKEN,
      clock,
      random: (sizeBytes) => new Uint8Array(randomBytes(sizeBytes)),
      logger: this.#logger(),
      pageFolder: options.pageFolder ?? '/nonexistent',
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
      ...(options.trustProxy === undefined ? {} : { trustProxy: options.trustProxy })
    })
  }

  static async open(options: GatewayOptions = {}): Promise<TestGateway> {
    const clock = new FakeClock()
    const agent = await FakeAgent.inState(clock, options.state ?? 'open')
    const test = new TestGateway(agent, clock, options)
    for (const listener of [test.gateway.private, test.gateway.public])
      test.#served.push(await Served.open(listener))
    return test
  }

  get privatePort(): number {
    return this.#served[0]?.port ?? 0
  }

  get publicPort(): number {
    return this.#served[1]?.port ?? 0
  }

  /** A request to the private listener with nothing added but what HTTP needs. */
  bare(path: string, sent: Sent = {}): Promise<Answer> {
    return send(this.privatePort, path, sent)
  }

  /** A request to the private listener with the run token. */
  call(path: string, sent: Sent = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${RUN_TOKEN}`, ...sent.headers }
    return send(this.privatePort, path, { ...sent, headers })
  }

  /** A request to the public listener. */
  stranger(path: string, sent: Sent = {}): Promise<Answer> {
    return send(this.publicPort, path, sent)
  }

  /** Starts a session; the `Cookie` header of it. */
  async session(): Promise<string> {
    const token = this.gateway.oneTimeUrlToken()
    const answer = await this.bare('/api/v1/session', { method: 'POST', json: { token } })
    return String(answer.headers['set-cookie']?.[0]).split(';', 1)[0] ?? ''
  }

  /** Adds a document by HTTP; its id. */
  async add(name: string, body: Uint8Array | string): Promise<string> {
    const path = `/api/v1/documents?name=${encodeURIComponent(name)}`
    const answer = await this.call(path, { method: 'POST', body })
    if (answer.status !== 201) throw new Error(answer.body.toString())
    return String(answer.json()['id'])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.gateway.close()
    for (const served of this.#served) await served[Symbol.asyncDispose]()
  }

  #facts(options: GatewayOptions): NodeFacts {
    return {
      ...nodeFacts('', null),
      addresses: () => ({
        private: options.privateUrl ?? `http://localhost:${this.privatePort}`,
        public: `http://localhost:${this.publicPort}`,
        p2p: []
      })
    }
  }

  #logger(): Logger {
    const at = (level: string) => (event: string, fields?: Readonly<Record<string, unknown>>) =>
      void this.logged.push({ level, event, fields })
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

/** A process without peers and blocks. */
export function nodeFacts(privateUrl: string, publicUrl: string | null): NodeFacts {
  return {
    version: '0.0.0-test',
    peerId: '12D3KooWTest',
    relay: false,
    addresses: () => ({ private: privateUrl, public: publicUrl, p2p: [] }),
    peers: () => [],
    storage: async () => ({ blocks: 0, bytes: 0, documents: 0 })
  }
}

const nothing = (): void => undefined

/** A log nobody reads. */
export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** A request listener on a free port of loopback. */
export class Served implements AsyncDisposable {
  readonly #server: Server
  readonly port: number

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async open(listener: RequestListener): Promise<Served> {
    const server = createServer(listener)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Served(server)
  }

  send(path: string, sent: Sent = {}): Promise<Answer> {
    return send(this.port, path, sent)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** Sends one request on a connection of its own. */
async function send(port: number, path: string, sent: Sent): Promise<Answer> {
  const body = sent.json === undefined ? sent.body : JSON.stringify(sent.json)
  const type = sent.json === undefined ? {} : { 'content-type': 'application/json' }
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: sent.method ?? 'GET',
    agent: false,
    headers: {
      host: `localhost:${port}`,
      ...type,
      ...(body === undefined || sent.headers?.['transfer-encoding'] !== undefined
        ? {}
        : { 'content-length': Buffer.byteLength(body) }),
      ...sent.headers
    }
  })
  // An answer may come before the body was taken; then that answer counts, and not the cut connection.
  const answered = once(outgoing, 'response')
  outgoing.end(body)
  const [response] = (await answered) as [IncomingMessage]
  const parts: Buffer[] = []
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part)
  const bytes = Buffer.concat(parts)
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: bytes,
    json: () => JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
  }
}
