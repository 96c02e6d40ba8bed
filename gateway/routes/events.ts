/**
 * What happens, as it happens.
 *
 * @module
 */
import type { Authenticator } from '../auth.ts'
import type { EventHub } from '../events.ts'
import { streamRoute, type Route } from '../route.ts'

export function eventRoutes({
  events,
  authenticator
}: {
  events: EventHub
  authenticator: Authenticator
}): readonly Route[] {
  return [
    streamRoute({
      method: 'get',
      path: '/events',
      access: 'any',
      summary: 'Server-sent events; `Last-Event-ID` brings what was missed, or one event `gap`',
      media: 'text/event-stream',
      answers: 'The stream: kinds and ids of what changed, never contents',
      handle: async ({ request, response, caller }) => {
        if (request.method === 'HEAD') response.type('text/event-stream').end()
        else await events.stream(request, response, () => authenticator.holds(caller))
      }
    })
  ]
}
