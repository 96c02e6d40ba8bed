/**
 * Contacts, by DID or by the owner's name for them.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { byContact, contactFacts, page, pageQuery, pong, renameContact } from '../schemas.ts'

export function contactRoutes({ agent: { contacts } }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/contacts',
      access: 'contacts',
      summary: 'Everyone the owner knows',
      query: pageQuery,
      answer: page(contactFacts),
      answers: 'Contacts',
      handle: ({ query }) => pageOf(contacts.list(), query, ({ did }) => did)
    }),
    jsonRoute({
      method: 'get',
      path: '/contacts/:did',
      access: 'contacts',
      summary: 'One contact',
      pathSchema: byContact,
      answer: contactFacts,
      answers: 'The contact',
      handle: ({ path }) => contacts.get(path.did)
    }),
    jsonRoute({
      method: 'patch',
      path: '/contacts/:did',
      access: 'contacts',
      summary: 'Give a contact another name',
      pathSchema: byContact,
      body: renameContact,
      answer: contactFacts,
      answers: 'The contact',
      handle: ({ path, body }) => contacts.rename(contacts.get(path.did).did, body.name)
    }),
    emptyRoute({
      method: 'delete',
      path: '/contacts/:did',
      access: 'contacts',
      summary: 'Forget a contact; what it was given is revoked first',
      pathSchema: byContact,
      answers: 'Forgotten',
      handle: ({ path }) => contacts.remove(contacts.get(path.did).did)
    }),
    jsonRoute({
      method: 'post',
      path: '/contacts/:did/ping',
      access: 'contacts',
      summary: 'A round trip to the other agent (trust-ping 2.0)',
      pathSchema: byContact,
      answer: pong,
      answers: 'How long it took',
      handle: async ({ path }) => ({
        milliseconds: await contacts.ping(contacts.get(path.did).did)
      })
    })
  ]
}
