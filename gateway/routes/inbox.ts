/**
 * The inbox: grants offered to the owner, and requests for the owner's documents.
 *
 * @module
 */
import { z } from 'zod'
import type { Agent, GrantFacts, InboxItem } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { etagOf, sendContent } from '../content.ts'
import { documentHeaders } from '../headers.ts'
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
      handle: ({ query }) => pageOf(documentItems(agent), query, ({ id }) => id)
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
      summary: 'Accept a grant; a copy is in the locker when this answers',
      pathSchema: byId,
      answer: grantFacts,
      answers: 'The grant',
      handle: ({ path, signal }) => {
        received(agent, path.id)
        return agent.sharing.accept(path.id, { signal })
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/inbox/:id/decline',
      access: 'inbox',
      summary: 'Decline a grant or a request',
      pathSchema: byId,
      body: withReason,
      bodyOptional: true,
      answer: z.union([grantFacts, requestFacts]),
      answers: 'The grant or the request',
      handle: ({ path, body }) =>
        find(agent, path.id).kind === 'grant'
          ? agent.sharing.decline(path.id, body.reason)
          : agent.sharing.declineRequest(path.id, body.reason)
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

/** What the routes below answer; credentials are answered by those of issuing. */
function documentItems(agent: Agent): readonly InboxItem[] {
  return agent.inbox().filter(({ kind }) => kind === 'grant' || kind === 'request')
}

function find(agent: Agent, id: string): InboxItem {
  const item = documentItems(agent).find((known) => known.id === id)
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
