/**
 * The public listener: what others may reach. A stranger gets the share page, the ciphertext of a link
 * that was opened, the letter box for envelopes, what an issuer publishes, and verdicts. Only the issuing machines
 * of an institution bring tokens here; nothing knows sessions.
 *
 * @module
 */
import { Router, type Express } from 'express'
import { LockerError } from '../agent/errors.ts'
import type { Access, Authenticator, Caller } from './auth.ts'
import type { RateLimits } from './limits.ts'
import { baseApp, finish, type ListenerComponents } from './listener.ts'
import type { Page } from './page.ts'
import type { Route } from './route.ts'
import { VERIFIER_PATHS } from './routes/vcalm-verifier.ts'
import { VERIFY_PAGE_PATH } from './routes/verify-page.ts'
import { mount, notFound } from './routing.ts'

export interface PublicComponents extends ListenerComponents {
  readonly routes: readonly Route[]
  readonly page: Page
  readonly limits: RateLimits
  readonly authenticator: Authenticator
}

export function publicApp(components: PublicComponents): Express {
  const { page, limits } = components
  const app = baseApp(components)
  app.get('/livez', (_request, response) => void response.json({ status: 'ok' }))
  app.use(limits.public)
  app.get('/i', (_request, response) => page.send(response, 'share'))
  app.use('/assets', ...page.assets('public'))
  app.post('/s/:id/open', limits.open)
  app.post('/didcomm', limits.envelopes)
  app.post([...VERIFIER_PATHS, VERIFY_PAGE_PATH], limits.verdicts)
  const router = Router({ caseSensitive: true, strict: true })
  mount(router, components.routes, {
    ...components,
    callerOf: (request, access) => callerOf(components, request.headers.authorization, access),
    idempotency: undefined
  })
  app.use(router)
  app.use(limits.failedAuthentication)
  app.use(notFound)
  return finish(app, components)
}

/**
 * Credentials are looked at only where an address asks for one. The run token is not taken: it is of the tools on
 * this machine, which come in by the private listener.
 */
function callerOf(
  { authenticator }: PublicComponents,
  authorization: string | undefined,
  access: Access
): Caller {
  if (access === 'none') return { kind: 'none' }
  const caller = authenticator.caller({ authorization, session: undefined })
  if (caller.kind === 'run')
    throw new LockerError('not-authenticated', 'the run token is for the private listener')
  return caller
}
