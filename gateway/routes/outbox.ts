/**
 * Messages on their way.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { byMessageId, outboxItem, page, pageQuery } from '../schemas.ts'

export function outboxRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/outbox',
      access: 'admin',
      summary: 'Messages that wait, were sent, or failed',
      query: pageQuery,
      answer: page(outboxItem),
      answers: 'Messages',
      handle: ({ query }) => pageOf(agent.outbox(), query, ({ id }) => id)
    }),
    emptyRoute({
      method: 'post',
      path: '/outbox/:id/retry',
      access: 'admin',
      summary: 'Try a message again now',
      pathSchema: byMessageId,
      answers: 'It is being tried',
      handle: ({ path }) => agent.retryOutbox(path.id)
    })
  ]
}
