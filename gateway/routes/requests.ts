/**
 * Asking contacts for documents.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { pageOf } from '../paging.ts'
import { jsonRoute, type Route } from '../route.ts'
import { createRequest, page, pageQuery, requestFacts } from '../schemas.ts'

export function requestRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/requests',
      access: 'shares',
      summary: 'Requests sent and received',
      query: pageQuery,
      answer: page(requestFacts),
      answers: 'Requests',
      handle: ({ query }) => pageOf(agent.sharing.requests(), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'post',
      path: '/requests',
      access: 'shares',
      summary: 'Ask a contact for a document',
      body: createRequest,
      status: 201,
      answer: requestFacts,
      answers: 'The request',
      handle: ({ body }) => agent.sharing.request(body)
    })
  ]
}
