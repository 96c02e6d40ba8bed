/**
 * Sessions of browsers: from the one-time token of the printed address to the cookie.
 *
 * @module
 */
import { LockerError } from '../../agent/errors.ts'
import { cookieName, sessionCookie, type Sessions } from '../auth.ts'
import type { NodeFacts } from '../node-facts.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { openingAddress, startSession } from '../schemas.ts'

export function sessionRoutes({
  sessions,
  node
}: {
  sessions: Sessions
  node: NodeFacts
}): readonly Route[] {
  const secure = (): boolean => node.addresses().private.startsWith('https:')
  return [
    jsonRoute({
      method: 'post',
      path: '/session/addresses',
      access: 'admin',
      secret: true,
      summary:
        'Make an address that opens the page once, for a browser that is not let in (any more)',
      status: 201,
      answer: openingAddress,
      answers: 'The address; it holds a one-time token',
      handle: () => ({ url: `${node.addresses().private}/#t=${sessions.issueToken()}` })
    }),
    emptyRoute({
      method: 'post',
      path: '/session',
      access: 'none',
      summary: 'Trade the one-time token of the printed address for a session cookie',
      body: startSession,
      answers: 'The cookie is set',
      handle: ({ body, request, response }) => {
        const id = sessions.start(body.token)
        if (id === undefined)
          throw new LockerError(
            'not-authenticated',
            'the one-time token is unknown, used or expired'
          )
        const name = cookieName(request.headers.host ?? '')
        response.setHeader('set-cookie', sessionCookie(name, id, { secure: secure() }))
      }
    }),
    emptyRoute({
      method: 'delete',
      path: '/session',
      access: 'none',
      summary: 'End the session',
      answers: 'The cookie is gone',
      handle: ({ caller, request, response }) => {
        if (caller.kind === 'session') sessions.end(caller.id)
        const name = cookieName(request.headers.host ?? '')
        response.setHeader('set-cookie', sessionCookie(name, undefined, { secure: secure() }))
      }
    })
  ]
}
