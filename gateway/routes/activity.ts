/**
 * The audit log, for the owner to read.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { jsonRoute, type Route } from '../route.ts'
import { activityEntry, activityQuery, activityVerdict, page, PAGE_MAX } from '../schemas.ts'

/** Entries on a page when the caller does not say: a few screens. */
const ENTRIES = 100

export function activityRoutes({ agent: { activity } }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/activity',
      access: 'activity',
      summary: 'What happened, newest first; the cursor is the number of the last entry',
      query: activityQuery,
      answer: page(activityEntry),
      answers: 'Entries',
      handle: async ({ query: { cursor, before = cursor, limit = ENTRIES, document } }) => {
        // One more than asked tells whether there is a next page, as far as the agent's own bound allows.
        const entries = await activity.list({
          limit: Math.min(limit + 1, PAGE_MAX),
          ...(before === undefined ? {} : { before }),
          ...(document === undefined ? {} : { document })
        })
        const items = entries.slice(0, limit)
        const last = items.at(-1)
        const more = entries.length > limit || (limit === PAGE_MAX && entries.length === limit)
        return last !== undefined && more ? { items, nextCursor: String(last.number) } : { items }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/activity/verify',
      access: 'activity',
      summary: 'Compute the hash chain of the log again',
      answer: activityVerdict,
      answers: 'Whether it fits, and where not',
      handle: () => activity.verify()
    })
  ]
}
