/**
 * The inbox: grants and credentials offered to the owner, and requests of others.
 *
 * @module
 */
import { z } from 'zod'
import type {
  Agent,
  GrantFacts,
  InboxItem,
  IssuanceFacts,
  RequestFacts
} from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { etagOf, sendContent } from '../content.ts'
import { documentHeaders } from '../headers.ts'
import { issuanceFacts } from '../issuing-schemas.ts'
import { pageOf } from '../paging.ts'
import { jsonRoute, streamRoute, type Route } from '../route.ts'
import {
  answerRequest,
  byId,
  grantFacts,
  inboxItem,
  page,
  pageQuery,
  requestFacts,
  withReason
} from '../schemas.ts'

export function inboxRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [...reading(agent), ...answering(agent)]
}

function reading(agent: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/inbox',
      access: 'inbox',
      summary: 'What came in',
      query: pageQuery,
      answer: page(inboxItem),
      answers: 'Items',
      handle: ({ query }) => pageOf(agent.inbox(), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'get',
      path: '/inbox/:id',
      access: 'inbox',
      summary: 'One item',
      pathSchema: byId,
      answer: inboxItem,
      answers: 'The item',
      handle: ({ path }) => find(agent, path.id)
    }),
    streamRoute({
      method: 'get',
      path: '/inbox/:id/content',
      access: 'inbox',
      summary:
        'The bytes of an accepted grant; `Range` gives a part. Each reading asks the other agent',
      pathSchema: byId,
      media: 'application/octet-stream',
      answers: 'The bytes, to be saved and not shown',
      handle: async ({ path, request, response, signal }) => {
        const { document } = received(agent, path.id)
        const etag = etagOf(document.root)
        documentHeaders(response, { name: document.name, mediaType: document.mediaType, etag })
        const open = async (
          range: { start: number; end: number } | undefined
        ): Promise<AsyncIterable<Uint8Array>> => {
          const options = range === undefined ? { signal } : { signal, range }
          return (await agent.sharing.open(path.id, options)).content
        }
        await sendContent(request, response, { etag, sizeBytes: document.sizeBytes, open }, signal)
      }
    })
  ]
}

function answering(agent: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/inbox/:id/accept',
      access: 'inbox',
      summary:
        'Accept a grant, of which a copy is in the locker when this answers; or a credential, which arrives later',
      pathSchema: byId,
      answer: z.union([grantFacts, issuanceFacts]),
      answers: 'The grant, or the exchange of the credential',
      handle: ({ path, signal }) => {
        if (kindOf(agent, path.id) === 'credential-offer') return agent.issuance.accept(path.id)
        received(agent, path.id)
        return agent.sharing.accept(path.id, { signal })
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/inbox/:id/decline',
      access: 'inbox',
      summary: 'Decline what was offered or asked for',
      pathSchema: byId,
      body: withReason,
      bodyOptional: true,
      answer: z.union([grantFacts, requestFacts, issuanceFacts]),
      answers: 'The grant, the request or the exchange',
      handle: ({ path, body }) => decline(agent, find(agent, path.id), body)
    }),
    jsonRoute({
      method: 'post',
      path: '/inbox/:id/grant',
      access: 'inbox',
      summary: 'Answer a request with a document',
      pathSchema: byId,
      body: answerRequest,
      answer: grantFacts,
      answers: 'The grant given',
      handle: ({ path, body }) => {
        const asked = agent.sharing
          .requests()
          .find(({ id, direction }) => id === path.id && direction === 'received')
        if (asked === undefined) throw unknown(path.id)
        const { expiresAt, purpose = asked.purpose, ...rest } = body
        return agent.sharing.give({
          ...rest,
          purpose,
          to: asked.contact.did,
          request: asked.id,
          ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
        })
      }
    })
  ]
}

/** Says no in the protocol the item came by. */
function decline(
  agent: Agent,
  { id, kind }: InboxItem,
  { reason }: { reason?: string }
): Promise<GrantFacts | RequestFacts | IssuanceFacts> {
  switch (kind) {
    case 'grant':
      return agent.sharing.decline(id, reason)
    case 'request':
      return agent.sharing.declineRequest(id, reason)
    case 'credential-offer':
      return agent.issuance.decline(id, reason)
    case 'credential-request':
      break
  }
  return agent.issuance.refuse(id, reason === undefined ? {} : { reason })
}

function kindOf(agent: Agent, id: string): InboxItem['kind'] | undefined {
  return agent.inbox().find((known) => known.id === id)?.kind
}

function find(agent: Agent, id: string): InboxItem {
  const item = agent.inbox().find((known) => known.id === id)
  if (item === undefined) throw unknown(id)
  return item
}

/** A grant that was given to the owner; one the owner gave is no inbox item, and looks like none. */
function received(agent: Agent, id: string): GrantFacts {
  const grant = agent.sharing.grants({ direction: 'received' }).find((known) => known.id === id)
  if (grant === undefined) throw unknown(id)
  return grant
}

function unknown(id: string): LockerError {
  return new LockerError('inbox-unknown', `there is no inbox item ${id}`)
}
