/**
 * What both listeners have in common: request ids, security headers, figures, and problems at the end.
 *
 * @module
 */
import type { ErrorRequestHandler, Express, RequestHandler } from 'express'
import express from 'express'
import type { Agent, Clock, Logger, Random } from '../agent/agent.ts'
import { securityHeaders } from './headers.ts'
import type { Metrics } from './metrics.ts'
import type { NodeFacts } from './node-facts.ts'
import { answerProblem, requestIdOf } from './routing.ts'

/** Bytes of a request id: enough that two are never the same. */
const REQUEST_ID_BYTES = 12

/** What a listener is made of, whichever it is. */
export interface ListenerComponents {
  readonly listener: 'private' | 'public'
  readonly agent: Agent
  readonly node: NodeFacts
  readonly metrics: Metrics
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /**
   * How many proxies before the listener are trusted to say a client's address (`X-Forwarded-For`).
   * Default 0: the header means nothing.
   */
  readonly trustProxy: number
}

/** An app with nothing of express' own that reads or shows more than it must. */
export function baseApp(components: ListenerComponents): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.set('trust proxy', components.trustProxy)
  app.set('case sensitive routing', true)
  app.use(observed(components), ...securityHeaders())
  return app
}

/** Adds what turns errors into problems; nothing may be added to the app after it. */
export function finish(app: Express, components: ListenerComponents): Express {
  const problems: ErrorRequestHandler = (error, request, response, _next) =>
    answerProblem(request, response, error, components)
  app.use(problems)
  return app
}

/** Gives the request its id, and counts and logs it when it is over. The path is not logged: it holds ids. */
function observed({
  listener,
  metrics,
  clock,
  random,
  logger
}: ListenerComponents): RequestHandler {
  return (request, response, next) => {
    const startedMs = clock.now().getTime()
    response.locals['requestId'] = Buffer.from(random(REQUEST_ID_BYTES)).toString('base64url')
    response.setHeader('x-request-id', requestIdOf(response))
    response.once('close', () => {
      const { route } = response.locals as { route?: string }
      const facts = {
        listener,
        method: METHODS.has(request.method) ? request.method : 'other',
        route: route ?? 'other',
        status: response.statusCode,
        seconds: (clock.now().getTime() - startedMs) / 1_000
      }
      metrics.answered(facts)
      logger.debug('request answered', { ...facts, requestId: requestIdOf(response) })
    })
    next()
  }
}

/** Methods that become a label; what a client invents would grow the figures without bound. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PUT'])
