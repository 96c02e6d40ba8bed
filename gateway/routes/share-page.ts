/**
 * Share links on the public listener (protocols/share-link.ts). Every GET is inert: chat programs and
 * scanners load links before people do, and that must use nothing up. A use is a POST with a proof that
 * only the fragment of the link gives.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Agent, Clock } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { etagOf, sendContent } from '../content.ts'
import type { Page } from '../page.ts'
import { jsonRoute, streamRoute, type Route } from '../route.ts'
import { byId, linkDescription, openLink, openedLink, ticketQuery } from '../schemas.ts'

/** How long a ticket is good for (agent/links.ts), so how long its file's length is remembered, ms. */
const TICKET_MS = 10 * 60 * 1_000

/** Tickets remembered; the oldest makes room. */
const TICKETS_MAX = 10_000

export interface ShareRoutesComponents {
  readonly agent: Agent
  readonly page: Page
  readonly clock: Clock
}

export function shareRoutes({ agent, page, clock }: ShareRoutesComponents): readonly Route[] {
  const tickets = new Tickets(clock)
  return [...describing(agent, page), ...opening(agent, tickets)]
}

function describing(agent: Agent, page: Page): readonly Route[] {
  return [
    streamRoute({
      method: 'get',
      path: '/s/:id',
      access: 'none',
      summary: 'The page that opens a link in the browser; the same for every id',
      pathSchema: byId,
      media: 'text/html',
      answers: 'The page',
      handle: ({ response }) => page.send(response, 'share')
    }),
    jsonRoute({
      method: 'get',
      path: '/s/:id/facts',
      access: 'none',
      summary: 'What the page must know to open a link; uses nothing up',
      pathSchema: byId,
      answer: linkDescription,
      answers: 'State, and what the passphrase is mixed with',
      handle: ({ path }) => agent.links.describe(path.id)
    })
  ]
}

function opening(agent: Agent, tickets: Tickets): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/s/:id/open',
      access: 'none',
      summary: 'Use a link once: the use is counted before the answer leaves',
      pathSchema: byId,
      body: openLink,
      answer: openedLink,
      answers: 'The sealed capability (base64url) and a ticket for the ciphertext',
      handle: async ({ path, body }) => {
        const opened = await agent.links.open(path.id, Buffer.from(body.proof, 'base64url'))
        tickets.add(path.id, opened.ticket, opened.sealedBytes)
        return {
          capability: Buffer.from(opened.capability).toString('base64url'),
          ticket: opened.ticket,
          sealedBytes: opened.sealedBytes,
          usesLeft: opened.usesLeft
        }
      }
    }),
    streamRoute({
      method: 'get',
      path: '/s/:id/content',
      access: 'none',
      summary: 'The ciphertext of an opened link; `Range` gives a part',
      pathSchema: byId,
      query: ticketQuery,
      media: 'application/octet-stream',
      answers: 'An age file',
      handle: async ({ path, query, request, response, signal }) => {
        const sizeBytes = tickets.sizeOf(path.id, query.ticket)
        if (sizeBytes === undefined)
          throw new LockerError(
            'link-unknown',
            'the ticket is not, or no longer, good for this link'
          )
        response.setHeader('content-type', 'application/octet-stream')
        response.setHeader('content-disposition', 'attachment; filename="document.age"')
        response.setHeader('accept-ranges', 'bytes')
        // One ticket reads one file, so its digest names what is read without saying what it is.
        const etag = etagOf(digest(`etag ${query.ticket}`))
        response.setHeader('etag', etag)
        await sendContent(
          request,
          response,
          { etag, sizeBytes, open: (range) => agent.links.read(path.id, query.ticket, range) },
          signal
        )
      }
    })
  ]
}

/** Lengths of the files behind tickets: a range needs them, and the agent says them at the opening alone. */
class Tickets {
  readonly #sizes = new Map<string, { readonly sizeBytes: number; readonly endsAt: number }>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(link: string, ticket: string, sizeBytes: number): void {
    const now = this.#clock.now().getTime()
    for (const [key, { endsAt }] of this.#sizes) {
      if (endsAt > now && this.#sizes.size < TICKETS_MAX) break
      this.#sizes.delete(key)
    }
    this.#sizes.set(digest(`${link} ${ticket}`), { sizeBytes, endsAt: now + TICKET_MS })
  }

  sizeOf(link: string, ticket: string): number | undefined {
    const known = this.#sizes.get(digest(`${link} ${ticket}`))
    return known !== undefined && known.endsAt > this.#clock.now().getTime()
      ? known.sizeBytes
      : undefined
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
