/**
 * The gateway: the agent over HTTP, on two listeners. It answers requests; the process (node/) opens and
 * closes the sockets.
 *
 * @module
 */
import type { RequestListener } from 'node:http'
import type { Agent, Clock, Logger, Random } from '../agent/agent.ts'
import { Authenticator, Sessions } from './auth.ts'
import type { CertificateRenderer } from './certificate.ts'
import { EventHub } from './events.ts'
import { Idempotency } from './idempotency.ts'
import { RATES, rateLimits, type Rates } from './limits.ts'
import { Metrics } from './metrics.ts'
import type { NodeFacts } from './node-facts.ts'
import { openApiText, type RouteTable } from './openapi.ts'
import { Page } from './page.ts'
import { API_BASE, privateApp } from './private.ts'
import { publicApp } from './public.ts'
import { privateRoutes, publicRoutes } from './table.ts'
import { UPLOAD_BYTES_MAX } from './uploads.ts'

/** Bounds the owner may set. */
export interface GatewayLimits {
  /** Largest document taken, bytes. Default 4 GiB. */
  readonly uploadBytesMax?: number
  readonly rates?: Partial<Rates>
}

export interface GatewayComponents {
  readonly agent: Agent
  readonly node: NodeFacts
  /** Bearer token of the process' own tools, with every scope; stands in run.json. */
  readonly runToken: string
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** What `vite build gateway/web` wrote: `locker/index.html`, `share/index.html`, `assets/`. */
  readonly pageFolder: string
  readonly limits?: GatewayLimits
  /** Further host names of the private listener, e.g. behind a reverse proxy. Default none. */
  readonly hosts?: readonly string[]
  /** Makes certificates of credentials; without it their route answers with a problem. */
  readonly certificates?: CertificateRenderer
  /** Proxies before the public listener whose `X-Forwarded-For` is believed. Default 0. */
  readonly trustProxy?: number
}

export interface Gateway {
  /** For the private listener and its unix socket. */
  readonly private: RequestListener
  readonly public: RequestListener
  /** The token of the printed address `<private url>/#t=<token>`: opens a session once, within 12 hours. */
  oneTimeUrlToken(): string
  /** Says no to new requests at `/readyz` and ends the event streams. Requests under way go on. */
  close(): void
}

export function createGateway(components: GatewayComponents): Gateway {
  const { agent, node, clock, random, limits = {} } = components
  const sessions = new Sessions({ clock, random })
  const authenticator = new Authenticator({ agent, sessions, runToken: components.runToken, clock })
  const events = new EventHub({ agent, clock })
  const metrics = new Metrics({ agent, node, events })
  const page = new Page(components.pageFolder)
  const rates = rateLimits({ ...RATES, ...limits.rates })
  const uploadBytesMax = limits.uploadBytesMax ?? UPLOAD_BYTES_MAX
  const routes = privateRoutes({ ...components, sessions, authenticator, events, uploadBytesMax })
  const forAll = publicRoutes({ agent, node, page, clock })
  const tables: readonly RouteTable[] = [
    { base: API_BASE, listener: 'private', routes },
    { base: '', listener: 'public', routes: forAll }
  ]
  let openApi: string | undefined
  let ready = true
  const common = { ...components, metrics, page, limits: rates }
  const { trustProxy = 0, hosts = [] } = components
  return {
    private: privateApp({
      ...common,
      listener: 'private',
      authenticator,
      idempotency: new Idempotency({ clock }),
      routes,
      hosts,
      trustProxy: 0,
      openApi: () => (openApi ??= openApiText(tables, node.version)),
      ready: () => ready
    }),
    public: publicApp({
      ...common,
      listener: 'public',
      authenticator,
      routes: forAll,
      trustProxy
    }),
    oneTimeUrlToken: () => sessions.issueToken(),
    close: () => {
      ready = false
      events.close()
    }
  }
}
