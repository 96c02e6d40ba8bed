/**
 * Bearer tokens for machines.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { byId, createdToken, createToken, page, pageQuery, tokenFacts } from '../schemas.ts'

export function tokenRoutes({ agent: { tokens } }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/tokens',
      access: 'admin',
      summary: 'Tokens the owner made',
      query: pageQuery,
      answer: page(tokenFacts),
      answers: 'Tokens, without their text',
      handle: ({ query }) => pageOf(tokens.list(), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'post',
      path: '/tokens',
      access: 'admin',
      summary: 'Make a token',
      body: createToken,
      status: 201,
      answer: createdToken,
      answers: 'The token, this once',
      secret: true,
      handle: async ({ body: { expiresAt, ...options } }) => {
        const { facts, token } = await tokens.create({
          ...options,
          ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
        })
        return { ...facts, token }
      }
    }),
    emptyRoute({
      method: 'delete',
      path: '/tokens/:id',
      access: 'admin',
      summary: 'Revoke a token: the next request with it is refused',
      pathSchema: byId,
      answers: 'Revoked',
      handle: ({ path }) => tokens.revoke(path.id)
    })
  ]
}
