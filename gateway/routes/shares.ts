/**
 * What the owner shares: grants to contacts, and links for everyone else, in one list.
 *
 * @module
 */
import type { z } from 'zod'
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { pageOf } from '../paging.ts'
import { jsonRoute, type Route } from '../route.ts'
import {
  byId,
  createShare,
  listSharesQuery,
  page,
  pageQuery,
  share,
  withReason
} from '../schemas.ts'

type Share = z.input<typeof share>

/** The reason of a revocation may stand in the query too: some clients send no body with DELETE. */
const reasonQuery = pageQuery.pick({}).extend(withReason.shape)

export function sharingRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/shares',
      access: 'shares',
      summary: 'Grants and links, newest first',
      query: listSharesQuery,
      answer: page(share),
      answers: 'Shares',
      handle: ({ query }) => pageOf(listed(agent, query), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'post',
      path: '/shares',
      access: 'shares',
      summary: 'Give a document to a contact, or make a link',
      body: createShare,
      status: 201,
      answer: share,
      answers: 'The share; the `url` of a link this once',
      secret: true,
      handle: async ({ body, response }) => {
        const made = await create(agent, body)
        response.setHeader('location', `/api/v1/shares/${made.id}`)
        return made
      }
    }),
    jsonRoute({
      method: 'get',
      path: '/shares/:id',
      access: 'shares',
      summary: 'One grant or link',
      pathSchema: byId,
      answer: share,
      answers: 'The share',
      handle: ({ path }) => find(agent, path.id)
    }),
    jsonRoute({
      method: 'delete',
      path: '/shares/:id',
      access: 'shares',
      summary: 'Revoke a grant, or stop a link',
      pathSchema: byId,
      query: reasonQuery,
      body: withReason,
      bodyOptional: true,
      answer: share,
      answers: 'The share as it is now',
      handle: async ({ path, query, body }): Promise<Share> => {
        const found = find(agent, path.id)
        return found.kind === 'grant'
          ? { kind: 'grant', ...(await agent.sharing.revoke(path.id, body.reason ?? query.reason)) }
          : { kind: 'link', ...(await agent.links.stop(path.id)) }
      }
    })
  ]
}

function listed(agent: Agent, { kind, direction }: z.output<typeof listSharesQuery>): Share[] {
  const grants =
    kind === 'link'
      ? []
      : agent.sharing.grants(direction === undefined ? {} : { direction }).map(asShare)
  // Links have one direction only: given.
  const links =
    kind === 'grant' || direction === 'received'
      ? []
      : agent.links.list().map((facts): Share => ({ kind: 'link', ...facts }))
  return [...grants, ...links].toSorted((a, b) => b.createdAt.localeCompare(a.createdAt))
}

function asShare(facts: ReturnType<Agent['sharing']['grant']>): Share {
  return { kind: 'grant', ...facts }
}

function find(agent: Agent, id: string): Share {
  const found = listed(agent, {}).find((known) => known.id === id)
  if (found === undefined) throw new LockerError('grant-unknown', `there is no share ${id}`)
  return found
}

async function create(agent: Agent, body: z.output<typeof createShare>): Promise<Share> {
  const { expiresAt, ...rest } = body
  const until = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }
  if ('to' in rest) return asShare(await agent.sharing.give({ ...rest, ...until }))
  const { link: _link, ...options } = rest
  const { facts, url } = await agent.links.create({ ...options, ...until })
  return { kind: 'link', ...facts, url }
}
