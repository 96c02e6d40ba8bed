/**
 * What happens, as it happens.
 *
 * @module
 */
import type { AgentEvent } from '../../agent/agent.ts'
import type { Authenticator } from '../auth.ts'
import type { EventHub } from '../events.ts'
import { streamRoute, type Route } from '../route.ts'

/** What members of staff are told: of their institution, and nothing of the owner's documents and contacts. */
const OF_STAFF: ReadonlySet<AgentEvent['type']> = new Set(['vault', 'issuance', 'issued'])

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
        else
          await events.stream(request, response, {
            holds: () => authenticator.holds(caller),
            hears: (type) => caller.kind !== 'staff' || OF_STAFF.has(type)
          })
      }
    })
  ]
}
