/**
 * From a declared route to an answered request: who calls, what they may, whether the request fits its
 * schemas, whether it has been done before, and the answer.
 *
 * @module
 */
import type { Request, RequestHandler, Response, Router } from 'express'
import { z } from 'zod'
import type { Clock, Logger } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'
import { callerId, permits, SESSION_HEADER, type Access, type Caller } from './auth.ts'
import { hasBody, JSON_BYTES_MAX, linger, mediaTypeOf, parseJson, readBytes } from './body.ts'
import type { Idempotency, KeptAnswer, Turn } from './idempotency.ts'
import type { Metrics } from './metrics.ts'
import { asLockerError, invalid, memberOf, sendProblem } from './problem.ts'
import type { Route } from './route.ts'

/** Query parameters of one request: more than any route names. */
const QUERY_PARAMETERS_MAX = 64

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE = new Set(['GET', 'HEAD'])

export interface RoutingComponents {
  readonly listener: 'private' | 'public'
  /** Tells who calls a route of that access; throws for a credential that is no good. */
  readonly callerOf: (request: Request, access: Access) => Caller
  /** `undefined` where requests cannot be repeated: the public listener. */
  readonly idempotency: Idempotency | undefined
  readonly metrics: Metrics
  readonly clock: Clock
  readonly logger: Logger
}

/** Registers the routes under the router, and 405 for every other method of their paths. */
export function mount(
  router: Router,
  routes: readonly Route[],
  components: RoutingComponents
): void {
  const methods = new Map<string, string[]>()
  for (const route of routes) {
    const known = methods.get(route.path) ?? []
    methods.set(route.path, [
      ...known,
      ...(route.method === 'get' ? ['GET', 'HEAD'] : [route.method.toUpperCase()])
    ])
    router[route.method](route.path, handler(route, components))
  }
  for (const [path, allowed] of methods)
    router.all(path, (_request, response) => {
      response.setHeader('allow', allowed.join(', '))
      throw new LockerError('method-not-allowed', `this address takes ${allowed.join(', ')}`)
    })
}

/** Answers what no route answered. */
export const notFound: RequestHandler = () => {
  throw new LockerError('not-found', 'there is nothing at this address')
}

/** Id of the request, in its log lines and in its problem. */
export function requestIdOf(response: Response): string {
  return String(response.locals['requestId'])
}

/** Answers with the problem of an error and logs it; the last word of every request that failed. */
export function answerProblem(
  request: Request,
  response: Response,
  error: unknown,
  { listener, metrics, clock, logger }: Omit<RoutingComponents, 'callerOf' | 'idempotency'>
): void {
  const requestId = requestIdOf(response)
  const problem = sendProblem(response, error, { requestId, now: clock.now(), listener })
  metrics.problem(listener, problem.code)
  linger(request)
  // 507 is the owner's disk, 503 and 504 are weather: what is left above 500 is ours to explain.
  if (problem.status !== 500) return
  const { code, cause } = asLockerError(error)
  logger.error('request failed', {
    requestId,
    route: response.locals['route'],
    code,
    fault: faultOf(cause ?? error)
  })
}

/** What of an unforeseen error is logged: where it arose. Its message may hold what it was about. */
function faultOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  if (error instanceof z.ZodError)
    return error.issues
      .map(({ code, path }) => `${code} at /${path.map(String).join('/')}`)
      .join('; ')
  const frames = (error.stack ?? '').split('\n').filter((text) => text.startsWith('    at '))
  const code = memberOf(error, 'code')
  return [`${error.name} ${typeof code === 'string' ? code : ''}`, ...frames.slice(0, 8)].join('\n')
}

function handler(route: Route, components: RoutingComponents): RequestHandler {
  return async (request, response) => {
    response.locals['route'] = route.path
    const caller = components.callerOf(request, route.access)
    checkAccess(route, caller, request)
    const path = checked(route.pathSchema, request.params, 'path')
    const query = checked(route.querySchema, queryOf(request.url), 'query')
    const raw = await rawBody(route, request)
    const body =
      route.body.kind === 'json'
        ? checked(
            route.body.schema,
            raw?.length === 0 ? {} : parseJson(raw ?? new Uint8Array()),
            'body'
          )
        : undefined
    const turn = turnOf(route, { request, caller, raw, components })
    if (turn !== undefined && 'replay' in turn) return send(response, turn.replay, true)
    const signal = signalOf(response)
    try {
      const value = await route.run({ path, query, body, caller, signal, request, response })
      const answer = answerOf(route, response, value)
      turn?.turn.finish(answer)
      if (!response.headersSent) send(response, answer, false)
    } catch (error) {
      turn?.turn.release()
      throw error
    }
  }
}

function checkAccess(route: Route, caller: Caller, request: Request): void {
  if (!permits(caller, route.access)) {
    if (caller.kind === 'none')
      throw new LockerError('not-authenticated', 'this address needs a session or a bearer token')
    throw new LockerError('not-allowed', `the token lacks the scope ${route.access}`)
  }
  if (SAFE.has(request.method) || caller.kind !== 'session') return
  if (request.headers[SESSION_HEADER] !== '1')
    throw new LockerError(
      'not-allowed',
      `a session's changes carry the header ${SESSION_HEADER}: 1`
    )
}

/** A path that fits no schema names nothing that exists. */
function checked(schema: z.ZodType, value: unknown, part: 'path' | 'query' | 'body'): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  if (part === 'path') throw new LockerError('not-found', 'there is nothing at this address')
  throw invalid(part, result.error, value)
}

/** The query, whatever its names (`fromEntries` sets own members, `__proto__` too); a repeated name becomes a list. */
function queryOf(url: string): Readonly<Record<string, string | string[]>> {
  const query = new Map<string, string | string[]>()
  const start = url.indexOf('?')
  if (start < 0) return {}
  let parameters = 0
  for (const [name, value] of new URLSearchParams(url.slice(start + 1))) {
    parameters += 1
    if (parameters > QUERY_PARAMETERS_MAX)
      throw new LockerError('request-invalid', `at most ${QUERY_PARAMETERS_MAX} query parameters`)
    const known = query.get(name)
    query.set(name, known === undefined ? value : [known, value].flat())
  }
  return Object.fromEntries(query)
}

/** The bytes of a JSON body; `undefined` for a route that reads its own, empty when there is none. */
async function rawBody(route: Route, request: Request): Promise<Uint8Array | undefined> {
  if (route.body.kind === 'stream') return undefined
  if (route.body.kind === 'none') return new Uint8Array()
  if (!hasBody(request) && route.body.optional) return new Uint8Array()
  const mediaType = mediaTypeOf(request)
  if (mediaType !== 'application/json')
    throw new LockerError('request-unsupported', 'the body must be application/json')
  const bytes = await readBytes(request, JSON_BYTES_MAX)
  if (bytes.length === 0 && !route.body.optional)
    throw new LockerError('request-invalid', 'the body is empty')
  return bytes
}

function turnOf(
  route: Route,
  {
    request,
    caller,
    raw,
    components
  }: {
    request: Request
    caller: Caller
    raw: Uint8Array | undefined
    components: RoutingComponents
  }
): { replay: KeptAnswer } | { turn: Turn } | undefined {
  const key = request.headers['idempotency-key']
  // A stream of bytes or events is not kept, and neither is what nobody in particular was told.
  if (key === undefined || route.method !== 'post' || route.answer.media !== undefined)
    return undefined
  if (components.idempotency === undefined || caller.kind === 'none') return undefined
  return components.idempotency.begin({
    caller: callerId(caller),
    target: `${request.method} ${request.originalUrl}`,
    key: String(key),
    body: raw,
    secret: route.secret
  })
}

/** Fires when the client is gone before the answer is complete. */
function signalOf(response: Response): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}

/** The answer as the schema lets it out: a member it does not name stays here. */
function answerOf(route: Route, response: Response, value: unknown): KeptAnswer {
  const { status, schema } = route.answer
  const location = response.getHeader('location')
  const headers: Record<string, string> = typeof location === 'string' ? { location } : {}
  if (schema === undefined) return { status, headers, body: '' }
  return {
    status,
    headers: { ...headers, 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(schema.parse(value))
  }
}

function send(response: Response, { status, headers, body }: KeptAnswer, replayed: boolean): void {
  response.status(status)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  if (replayed) response.setHeader('idempotent-replayed', 'true')
  if (body !== '') response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body === '' ? undefined : body)
}
