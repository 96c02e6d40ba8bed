/**
 * The private listener: the owner's page, the control API, figures and health. Reached from this machine
 * unless the owner binds it elsewhere.
 *
 * @module
 */
import { Router, type Express, type RequestHandler } from 'express'
import { LockerError } from '../agent/errors.ts'
import { cookieName, cookieValue, type Authenticator } from './auth.ts'
import { docsPage } from './docs-page.ts'
import type { Idempotency } from './idempotency.ts'
import { baseApp, finish, type ListenerComponents } from './listener.ts'
import type { RateLimits } from './limits.ts'
import { checkOrigin, hostIsOurs } from './origin.ts'
import type { Page } from './page.ts'
import type { Route } from './route.ts'
import { mount, notFound, type RoutingComponents } from './routing.ts'

/** Where the routes stand. */
export const API_BASE = '/api/v1'

export interface PrivateComponents extends ListenerComponents {
  readonly authenticator: Authenticator
  readonly idempotency: Idempotency
  readonly routes: readonly Route[]
  readonly page: Page
  readonly limits: RateLimits
  /** Further names the listener is reached by. */
  readonly hosts: readonly string[]
  /** The text of `/openapi.json`. */
  readonly openApi: () => string
  /** False from the moment the gateway closes. */
  readonly ready: () => boolean
}

export function privateApp(components: PrivateComponents): Express {
  const { page, metrics } = components
  const app = baseApp(components)
  app.use(hostCheck(components))
  app.get('/livez', (_request, response) => void response.json({ status: 'ok' }))
  app.get(['/readyz', '/healthz'], readiness(components))
  app.get('/metrics', (request, response) => metrics.send(request, response))
  app.get('/openapi.json', (_request, response) => {
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(components.openApi())
  })
  app.use('/docs', docsPage())
  app.get(['/', '/i'], (_request, response) => page.send(response, 'locker'))
  app.use('/assets', ...page.assets('all'))
  app.use(API_BASE, api(components))
  app.use(notFound)
  return finish(app, components)
}

function api(components: PrivateComponents): Router {
  const { authenticator, limits } = components
  const router = Router({ caseSensitive: true, strict: true })
  router.use((request, _response, next) => {
    const site = request.headers['sec-fetch-site']
    checkOrigin({
      host: request.headers.host ?? '',
      origin: request.headers.origin,
      site: Array.isArray(site) ? 'cross-site' : site
    })
    next()
  })
  const routing: RoutingComponents = {
    ...components,
    callerOf: (request) => {
      const { authorization, cookie, host = '' } = request.headers
      return authenticator.caller({ authorization, session: cookieValue(cookie, cookieName(host)) })
    }
  }
  mount(router, components.routes, routing)
  router.use(notFound)
  // Guessing is slowed; whoever knows a credential is never held up by someone who does not.
  router.use(limits.failedAuthentication)
  return router
}

function hostCheck({ node, hosts }: PrivateComponents): RequestHandler {
  return (request, _response, next) => {
    if (!hostIsOurs(request.headers.host, node.addresses().private, hosts))
      throw new LockerError('request-misdirected', 'the host header names none of our names')
    next()
  }
}

/** Whether requests are taken, and what a person should look at. Says nothing of the owner. */
function readiness({ agent, ready }: PrivateComponents): RequestHandler {
  return (_request, response) => {
    response.status(ready() ? 200 : 503)
    response.json({
      status: ready() ? 'ok' : 'closing',
      checks: { vault: agent.vault.state, damage: agent.damage.length }
    })
  }
}
