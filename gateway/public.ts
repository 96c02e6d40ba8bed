/**
 * The public listener: what others may reach. A stranger gets the share page, the ciphertext of a link
 * that was opened, and the letter box for envelopes; nothing here knows sessions or tokens.
 *
 * @module
 */
import { Router, type Express } from 'express'
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
    callerOf: () => ({ kind: 'none' }),
    idempotency: undefined
  })
  app.use(router)
  app.use(notFound)
  return finish(app, components)
}
