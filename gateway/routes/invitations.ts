/**
 * Invitations: how two agents come to know each other.
 *
 * @module
 */
import { renderSVG } from 'uqr'
import type { z } from 'zod'
import type { Agent, InvitationFacts } from '../../agent/agent.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import {
  acceptInvitation,
  byId,
  contactFacts,
  createInvitation,
  invitationFacts,
  page,
  pageQuery
} from '../schemas.ts'

/** Bytes a QR code of version 40 and level L holds (ISO/IEC 18004, table 7). */
const QR_BYTES_MAX = 2_953

/** Codes kept, so that a list is not drawn anew each time it is shown. */
const DRAWN_MAX = 200

export function invitationRoutes({ agent }: { agent: Agent }): readonly Route[] {
  const { contacts } = agent
  const drawn = new Map<string, string>()
  const withCode = (facts: InvitationFacts): z.input<typeof invitationFacts> => {
    const svg = drawn.get(facts.id) ?? codeOf(facts.url)
    if (svg === undefined) return facts
    const [oldest] = drawn.keys()
    if (drawn.size >= DRAWN_MAX && oldest !== undefined) drawn.delete(oldest)
    drawn.set(facts.id, svg)
    return { ...facts, svg }
  }
  return [
    jsonRoute({
      method: 'get',
      path: '/invitations',
      access: 'contacts',
      summary: 'Invitations that are open or used',
      query: pageQuery,
      answer: page(invitationFacts),
      answers: 'Invitations',
      handle: ({ query }) => {
        const { items, ...rest } = pageOf(contacts.invitations(), query, ({ id }) => id)
        return { items: items.map(withCode), ...rest }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/invitations',
      access: 'contacts',
      summary: 'Make an invitation: one use, 7 days unless said',
      body: createInvitation,
      bodyOptional: true,
      status: 201,
      answer: invitationFacts,
      answers: 'The invitation, its URL and QR code',
      handle: async ({ body: { expiresAt, ...options } }) =>
        withCode(
          await contacts.invite({
            ...options,
            ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
          })
        )
    }),
    emptyRoute({
      method: 'delete',
      path: '/invitations/:id',
      access: 'contacts',
      summary: 'Withdraw an invitation',
      pathSchema: byId,
      answers: 'Withdrawn',
      handle: ({ path }) => contacts.cancelInvitation(path.id)
    }),
    jsonRoute({
      method: 'post',
      path: '/invitations/accept',
      access: 'contacts',
      summary: 'Accept an invitation',
      body: acceptInvitation,
      status: 201,
      answer: contactFacts,
      answers: 'The contact',
      handle: ({ body: { url, ...options } }) => contacts.accept(url, options)
    })
  ]
}

/** The URL as an SVG picture; `undefined` when it is longer than a QR code holds. */
function codeOf(url: string): string | undefined {
  return Buffer.byteLength(url) > QR_BYTES_MAX ? undefined : renderSVG(url, { ecc: 'L', border: 2 })
}
