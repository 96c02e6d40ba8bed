/**
 * The sockets of the gateway: TCP listeners and the unix socket, with the limits that keep slow or many
 * clients from taking the process over (DESIGN §11).
 *
 * @module
 */
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { LockerError } from '../agent/errors.ts'
import type { Clock } from '../agent/components.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, systemCode } from './durable-files.ts'
import { deadline } from './deadline.ts'

/** All headers of a request, milliseconds. */
const HEADERS_MS_MAX = 10_000

/** Silence on a socket, milliseconds. An upload may take hours as long as bytes keep coming. */
const IDLE_MS_MAX = 60_000

/** How often Node looks for requests beyond {@link HEADERS_MS_MAX}, milliseconds. */
const CHECK_EVERY_MS = 2_000

/** Connections of one listener. */
const CONNECTIONS_MAX = 512

const HEADER_BYTES_MAX = 16 * 1024

/** Requests under way may end within this time at stop, milliseconds. */
const CLOSE_MS_MAX = 3_000

/** An open listener. */
export interface Listening {
  /** The port, which the system may have picked; `undefined` for a unix socket. */
  readonly port: number | undefined
  close(): Promise<void>
}

/** Listens on TCP. Throws `port-taken` when another program does, else `config-invalid`. */
export async function listenTcp(
  answer: RequestListener,
  where: { readonly host: string; readonly port: number; readonly setting: string },
  clock: Clock
): Promise<Listening> {
  const server = createLimitedServer(answer)
  await listening(server, { host: where.host, port: where.port }, (error) => {
    const { host, port, setting } = where
    return systemCode(error) === 'EADDRINUSE'
      ? new LockerError(
          'port-taken',
          `another program listens on ${host}:${port}; end it, or choose another port with ${setting} (0 picks a free one)`,
          { cause: error, facts: { host, port } }
        )
      : new LockerError('config-invalid', `cannot listen on ${host}:${port}: ${codeOf(error)}`, {
          cause: error,
          facts: { host, port }
        })
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : undefined,
    close: () => closed(server, clock)
  }
}

/**
 * Listens on a unix socket only the owner may open. The caller holds the home's lock, so a socket that is
 * there was left by a process that is gone.
 */
export async function listenUnix(
  answer: RequestListener,
  path: string,
  clock: Clock,
  files: FileSystem = diskFiles
): Promise<Listening> {
  await files.rm(path, { force: true })
  const server = createLimitedServer(answer)
  await listening(
    server,
    { path },
    (error) =>
      new LockerError('config-invalid', `cannot listen on ${path}: ${codeOf(error)}`, {
        cause: error,
        facts: { path }
      })
  )
  await files.chmod(path, 0o600)
  return { port: undefined, close: () => closed(server, clock) }
}

function createLimitedServer(answer: RequestListener): Server {
  const underWay = new Map<Socket, { request: IncomingMessage; response: ServerResponse }>()
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS_MAX,
      // A large upload over a slow line takes long; silence is what ends it.
      requestTimeout: 0,
      keepAliveTimeout: IDLE_MS_MAX,
      connectionsCheckingInterval: CHECK_EVERY_MS
    },
    (request, response) => {
      underWay.set(request.socket, { request, response })
      response.once('close', () => {
        underWay.delete(request.socket)
        // While closing, a connection that has had its answer is not kept for another request.
        if (!server.listening) setImmediate(() => server.closeIdleConnections())
      })
      answer(request, response)
    }
  )
  server.maxConnections = CONNECTIONS_MAX
  server.setTimeout(IDLE_MS_MAX, (socket) => {
    const current = underWay.get(socket)
    // The client has said everything and we have not answered yet: the silence is ours.
    if (current?.request.complete === true && !current.response.headersSent)
      socket.setTimeout(IDLE_MS_MAX)
    else socket.destroy()
  })
  return server
}

async function listening(
  server: Server,
  where: { host: string; port: number } | { path: string },
  named: (error: unknown) => LockerError
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (error: unknown): void => reject(named(error))
  server.once('error', failed)
  server.listen(where, resolve)
  await promise
  server.removeListener('error', failed)
}

/** Takes no new connection, lets requests under way end for a moment, then cuts what is left. */
async function closed(server: Server, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeIdleConnections()
  using limit = deadline(clock, CLOSE_MS_MAX)
  limit.signal.addEventListener('abort', () => server.closeAllConnections())
  await promise
}

function codeOf(error: unknown): string {
  return systemCode(error) ?? String(error)
}
