/**
 * The kinds of credential an institution issues.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { actorOf } from '../auth.ts'
import { byType, byTypeVersion, publishType, typeFacts, typeQuery } from '../issuing-schemas.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { page, pageQuery } from '../schemas.ts'
import { jsonObject } from '../vcalm.ts'

export function credentialTypeRoutes({ agent: { types } }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer/types',
      access: 'types:read',
      summary: 'Every version of every type, those that come with the program among them',
      query: pageQuery,
      answer: page(typeFacts),
      answers: 'Types with their states',
      handle: ({ query }) => pageOf(types.list(), query, ({ type }) => `${type.id}@${type.version}`)
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/types/:id',
      access: 'types:read',
      summary: 'One type; without `version` what is issued now',
      pathSchema: byType,
      query: typeQuery,
      answer: typeFacts,
      answers: 'The type',
      handle: ({ path, query }) => types.get(path.id, query.version)
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/types',
      access: 'types:change',
      summary: 'Save a type as a draft; the same version again replaces the draft',
      body: jsonObject,
      status: 201,
      answer: typeFacts,
      answers: 'The draft',
      handle: ({ body, caller }) => types.save(body, { by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/types/:id/publish',
      access: 'types:publish',
      summary: 'Publish a draft: from now on that version never changes',
      pathSchema: byType,
      body: publishType,
      bodyOptional: true,
      answer: typeFacts,
      answers: 'The type',
      handle: ({ path, body, caller }) => types.publish(path.id, { ...body, by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/types/:id/versions/:version/deprecate',
      access: 'types:publish',
      summary: 'Issue nothing more under a version; what was, stays valid',
      pathSchema: byTypeVersion,
      answer: typeFacts,
      answers: 'The type',
      handle: ({ path, caller }) => types.deprecate(path.id, path.version, { by: actorOf(caller) })
    }),
    emptyRoute({
      method: 'delete',
      path: '/issuer/types/:id/versions/:version',
      access: 'types:change',
      summary: 'Forget a draft',
      pathSchema: byTypeVersion,
      answers: 'Forgotten',
      handle: ({ path, caller }) => types.discard(path.id, path.version, { by: actorOf(caller) })
    })
  ]
}
