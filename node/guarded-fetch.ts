/**
 * HTTP to places that others name: did:web documents, DIDComm endpoints of contacts. Whoever writes a DID
 * chooses where this process connects to, so every request passes the same guard (server-side request
 * forgery, OWASP ASVS 5.0 §1.3.6):
 *
 * - https, no user information, port 443; `post` also plain http (an envelope is encrypted in itself) and
 *   unprivileged ports;
 * - the name is looked up here, every address it has must be public, and the connection goes to the address
 *   that was checked: a name that changes its address between check and use (DNS rebinding) gains nothing;
 * - no redirect is followed, no proxy setting read, no compressed answer unpacked;
 * - 10 s and 512 KiB for the whole answer; two requests to a host at once.
 *
 * Hosts on the operator's allow-list are exempt from the rules about address, scheme and port, and from no other.
 *
 * Node's global fetch cannot be told which address to connect to, so this speaks node:http over a socket it
 * opened itself. Look-up and connecting are components: the tests send nothing anywhere.
 *
 * @module
 */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect as connectTcp, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import { deadline } from './deadline.ts'
import { isPublicAddress } from './public-address.ts'
import { QueueFullError, Semaphore } from './semaphore.ts'

/** Longest a request may take from its turn to the last byte of the answer, milliseconds (DESIGN §11). */
export const FETCH_TIMEOUT_MS = 10_000

/** Largest answer read, bytes (DESIGN §11). */
export const ANSWER_BYTES_MAX = 512 * 1024

/** Requests to one host at once, and waiting for their turn; a slow host must not take the others' places. */
export const PER_HOST_MAX = 2
export const PER_HOST_WAITING_MAX = 64

/** Hosts in work at once: what one flood of envelopes can make this process open. */
export const HOSTS_MAX = 64

/** Addresses of a name that are tried. */
const ADDRESSES_TRIED_MAX = 4

const URL_CHARS_MAX = 2048
const UNPRIVILEGED_PORT_MIN = 1024
const JSON_TYPE = /^application\/(?:[a-z0-9.-]+\+)*json\s*(?:;|$)/i

export interface ConnectTarget {
  /** IP address that has passed the guard. */
  readonly address: string
  readonly port: number
  readonly tls: boolean
  /** Name the certificate must be for. */
  readonly servername: string
}

export interface GuardedFetchComponents {
  readonly clock: Clock
  /** Hosts exempt from the public rules: `name`, `name:port`, `[ipv6]:port`; lower case. Default none. */
  readonly allow?: readonly string[]
  /** All addresses of a name. Default: the system's resolver, IPv4 first. */
  readonly lookup?: (host: string) => Promise<readonly string[]>
  /** Opens a connection, and for TLS checks the certificate, before it resolves. Default: node:net, node:tls. */
  readonly connect?: (target: ConnectTarget, signal: AbortSignal) => Promise<Duplex>
}

/** Why a request failed: `facts.reason` of the error. */
export type FetchFault =
  | 'url-refused'
  | 'address-refused'
  | 'name-unknown'
  | 'no-connection'
  | 'status'
  | 'redirect'
  | 'content-type'
  | 'too-large'
  | 'timeout'
  | 'busy'

export interface GuardedFetch {
  /**
   * Fetches a JSON document's bytes, unparsed.
   *
   * @throws LockerError `peer-unreachable` with `facts.reason` ({@link FetchFault}).
   */
  getJson(url: string, options?: { signal?: AbortSignal }): Promise<Uint8Array<ArrayBuffer>>
  /**
   * Posts bytes; resolves when the other side has answered 2xx, whatever its body.
   *
   * @throws LockerError as `getJson`.
   */
  post(
    url: string,
    body: Uint8Array,
    options: { contentType: string; signal?: AbortSignal }
  ): Promise<void>
}

export function createGuardedFetch(components: GuardedFetchComponents): GuardedFetch {
  return new HostQueues(components)
}

/** The default {@link GuardedFetchComponents.connect}. Goes to the address given, never to a name. */
export async function connectTo(target: ConnectTarget, signal: AbortSignal): Promise<Duplex> {
  const { address: host, port, servername } = target
  const socket = target.tls
    ? connectTls({
        host,
        port,
        ALPNProtocols: ['http/1.1'],
        // An IP address is no server name (RFC 6066 §3); the certificate is then checked for `host`.
        ...(isIP(servername) === 0 ? { servername } : {})
      })
    : connectTcp({ host, port })
  try {
    await once(socket, target.tls ? 'secureConnect' : 'connect', { signal })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

interface Exchange {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string | number>>
  readonly body?: Uint8Array
}

class HostQueues implements GuardedFetch {
  readonly #components: Required<GuardedFetchComponents>
  /** Host and port → its turns. An entry lives as long as somebody has or awaits one. */
  readonly #hosts = new Map<string, { readonly turns: Semaphore; users: number }>()

  constructor(components: GuardedFetchComponents) {
    this.#components = { allow: [], lookup: systemLookup, connect: connectTo, ...components }
  }

  async getJson(
    url: string,
    options: { signal?: AbortSignal } = {}
  ): Promise<Uint8Array<ArrayBuffer>> {
    const target = checkUrl(url, 'GET', this.#components.allow)
    const exchange: Exchange = { method: 'GET', headers: { accept: 'application/json' } }
    return this.#run(target, options.signal, async (signal) => {
      const answer = await this.#exchange(target, exchange, signal)
      try {
        checkJsonAnswer(answer, target.host)
        return await readBody(answer, target.host)
      } finally {
        answer.destroy()
      }
    })
  }

  async post(
    url: string,
    body: Uint8Array,
    options: { contentType: string; signal?: AbortSignal }
  ): Promise<void> {
    const target = checkUrl(url, 'POST', this.#components.allow)
    const headers = { 'content-type': options.contentType, 'content-length': body.length }
    await this.#run(target, options.signal, async (signal) => {
      const answer = await this.#exchange(target, { method: 'POST', headers, body }, signal)
      try {
        const status = answer.statusCode ?? 0
        if (status < 200 || status > 299) throw statusFault(status, target.host)
      } finally {
        answer.destroy()
      }
    })
  }

  /** One turn at the host, within the time limit; everything that fails becomes `peer-unreachable`. */
  async #run<T>(
    target: URL,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>
  ): Promise<T> {
    const host = this.#enter(target)
    try {
      return await host.turns.run(async () => {
        using limit = deadline(
          this.#components.clock,
          FETCH_TIMEOUT_MS,
          ...(signal ? [signal] : [])
        )
        try {
          return await work(limit.signal)
        } catch (error) {
          if (!limit.signal.aborted || signal?.aborted === true) throw error
          throw fault('timeout', `${target.host} took longer than ${FETCH_TIMEOUT_MS} ms`, error)
        }
      }, signal)
    } catch (error) {
      if (error instanceof LockerError || signal?.aborted === true) throw error
      if (error instanceof QueueFullError) throw busy(target.host, error)
      throw fault('no-connection', `no answer from ${target.host}`, error)
    } finally {
      host.users--
      if (host.users === 0) this.#hosts.delete(target.host)
    }
  }

  #enter(target: URL): { readonly turns: Semaphore; users: number } {
    let host = this.#hosts.get(target.host)
    if (host === undefined) {
      if (this.#hosts.size >= HOSTS_MAX) throw busy(target.host)
      host = { turns: new Semaphore(PER_HOST_MAX, PER_HOST_WAITING_MAX), users: 0 }
      this.#hosts.set(target.host, host)
    }
    host.users++
    return host
  }

  async #exchange(target: URL, exchange: Exchange, signal: AbortSignal): Promise<IncomingMessage> {
    const socket = await this.#connect(target, signal)
    const sent: ClientRequest = request({
      method: exchange.method,
      path: target.pathname + target.search,
      headers: {
        host: target.host,
        'accept-encoding': 'identity',
        connection: 'close',
        ...exchange.headers
      },
      // The socket is there already, to the address that was checked: nothing below looks up a name.
      createConnection: () => socket,
      signal
    })
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    sent.once('response', resolve)
    // Stays for the life of the request: what fails while the body is read reaches its reader through the answer.
    sent.on('error', reject)
    sent.on('close', () => {
      socket.destroy()
      // An upgrade to another protocol ends the request without answer and without error.
      reject(new Error('closed without an answer'))
    })
    sent.end(exchange.body)
    return promise
  }

  async #connect(target: URL, signal: AbortSignal): Promise<Duplex> {
    const { connect } = this.#components
    const tls = target.protocol === 'https:'
    const servername = bareHost(target)
    let failure: unknown
    for (const address of await this.#addresses(target, signal)) {
      signal.throwIfAborted()
      try {
        return await connect({ address, port: portOf(target), tls, servername }, signal)
      } catch (error) {
        failure = error
      }
    }
    throw fault('no-connection', `cannot connect to ${target.host}`, failure)
  }

  async #addresses(target: URL, signal: AbortSignal): Promise<readonly string[]> {
    const name = bareHost(target)
    const addresses = isIP(name) === 0 ? await this.#lookup(name, signal) : [name]
    // All of them, not only the one used: a name with one private address is aimed at something.
    const refused = isAllowed(target, this.#components.allow)
      ? undefined
      : addresses.find((address) => !isPublicAddress(address))
    if (refused !== undefined) {
      throw fault('address-refused', `${target.host} is at ${refused}, which is not public`)
    }
    return addresses.slice(0, ADDRESSES_TRIED_MAX)
  }

  async #lookup(name: string, signal: AbortSignal): Promise<readonly string[]> {
    // A look-up cannot be called off; its answer is then ignored.
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const addresses = await Promise.race([this.#components.lookup(name), aborted])
      if (addresses.length > 0) return addresses
    } catch (error) {
      signal.throwIfAborted()
      throw fault('name-unknown', `${name} has no address`, error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
    throw fault('name-unknown', `${name} has no address`)
  }
}

async function systemLookup(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: 'ipv4first' })
  return found.map(({ address }) => address)
}

/** The rules that need no look-up. The URL parser has already made `0x7f.1` and full-width digits an address. */
function checkUrl(text: string, method: 'GET' | 'POST', allow: readonly string[]): URL {
  const url = text.length <= URL_CHARS_MAX ? URL.parse(text) : null
  if (url === null) throw fault('url-refused', 'not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw fault('url-refused', `scheme ${url.protocol.slice(0, 20)} is not http`)
  }
  if (url.username !== '' || url.password !== '') {
    throw fault('url-refused', 'a URL with user information')
  }
  if (isAllowed(url, allow)) return url
  if (method === 'GET' && url.protocol !== 'https:') throw fault('url-refused', 'not https')
  const port = portOf(url)
  const usual =
    url.port === '' ||
    (method === 'POST' && (port >= UNPRIVILEGED_PORT_MIN || port === 80 || port === 443))
  if (!usual) throw fault('url-refused', `port ${port} is not allowed`)
  const name = bareHost(url)
  if (isIP(name) === 0 && (!name.includes('.') || name.endsWith('.'))) {
    throw fault('url-refused', `${name} is not a public name`)
  }
  return url
}

/** An entry with a port allows that port; one without allows the scheme's own. */
function isAllowed(url: URL, allow: readonly string[]): boolean {
  return (
    allow.includes(`${url.hostname}:${portOf(url)}`) ||
    (url.port === '' && allow.includes(url.hostname))
  )
}

function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
}

/** The host without the brackets of an IPv6 address. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

function checkJsonAnswer(answer: IncomingMessage, host: string): void {
  const { statusCode = 0, headers } = answer
  if (statusCode !== 200) throw statusFault(statusCode, host)
  const type = headers['content-type'] ?? ''
  const encoding = headers['content-encoding'] ?? 'identity'
  if (!JSON_TYPE.test(type) || encoding !== 'identity') {
    throw fault('content-type', `${host} answered with another content type than plain JSON`)
  }
  if (Number(headers['content-length'] ?? 0) > ANSWER_BYTES_MAX) throw tooLarge(host)
}

async function readBody(answer: IncomingMessage, host: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > ANSWER_BYTES_MAX) throw tooLarge(host)
    chunks.push(chunk)
  }
  if (!answer.complete) throw fault('no-connection', `${host} broke off its answer`)
  return Buffer.concat(chunks)
}

function fault(reason: FetchFault, message: string, cause?: unknown): LockerError {
  return new LockerError('peer-unreachable', message, { cause, facts: { reason } })
}

function statusFault(status: number, host: string): LockerError {
  if (status >= 300 && status < 400) return fault('redirect', `${host} answered with a redirect`)
  return new LockerError('peer-unreachable', `${host} answered ${status}`, {
    facts: { reason: 'status', status }
  })
}

function tooLarge(host: string): LockerError {
  return fault('too-large', `${host} answered with more than ${ANSWER_BYTES_MAX} bytes`)
}

function busy(host: string, cause?: unknown): LockerError {
  return fault('busy', `too many requests to ${host} or to other hosts wait already`, cause)
}
