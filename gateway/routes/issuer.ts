/**
 * The issuer: what it says of itself, its keys, its staff.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { actorOf } from '../auth.ts'
import {
  addStaff,
  changeIssuer,
  changeStaff,
  issuerFacts,
  rotateKey,
  setUpIssuer,
  staffFacts,
  staffWithToken
} from '../issuing-schemas.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import { byId, page, pageQuery } from '../schemas.ts'
import { jsonObject } from '../vcalm.ts'

export function issuerRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [...itself(agent), ...people(agent)]
}

function itself({ issuer }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer',
      access: 'issuer:read',
      summary: 'The issuer of this locker and its keys',
      answer: issuerFacts,
      answers: 'The issuer',
      handle: () => {
        const facts = issuer.facts()
        if (facts === undefined) throw new LockerError('issuer-absent', 'no issuer has been set up')
        return facts
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer',
      access: 'admin',
      summary: 'Set up the issuer and its first key; with a domain it is a did:web',
      body: setUpIssuer,
      status: 201,
      answer: issuerFacts,
      answers: 'The issuer',
      handle: ({ body, caller }) => issuer.setUp({ ...body, by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'patch',
      path: '/issuer',
      access: 'issuer:change',
      summary: 'Change what the issuer says of itself',
      body: changeIssuer,
      answer: issuerFacts,
      answers: 'The issuer',
      handle: ({ body, caller }) => issuer.change({ ...body, by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/keys',
      access: 'issuer:rotate-key',
      summary: 'Sign with a new key from now on; or say that a key was found out',
      body: rotateKey,
      bodyOptional: true,
      status: 201,
      answer: issuerFacts,
      answers: 'The issuer with its new key',
      handle: ({ body: { reason = 'rotated', ...rest }, caller }) =>
        issuer.rotateKey(reason, { ...rest, by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/descriptor',
      access: 'issuer:read',
      summary: 'The signed issuer descriptor, as it is published',
      answer: jsonObject,
      answers: 'The descriptor',
      handle: () => issuer.descriptor()
    })
  ]
}

function people({ staff }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer/staff',
      access: 'staff:read',
      summary: 'Accounts of the institution',
      query: pageQuery,
      answer: page(staffFacts),
      answers: 'Accounts, without their tokens',
      handle: ({ query }) => pageOf(staff.list(), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/staff',
      access: 'staff:change',
      summary: 'Make an account',
      body: addStaff,
      status: 201,
      answer: staffWithToken,
      answers: 'The account and its token, this once',
      secret: true,
      handle: async ({ body: { expiresAt, ...rest }, caller }) => {
        const { facts, token } = await staff.add({
          ...rest,
          by: actorOf(caller),
          ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
        })
        return { ...facts, token }
      }
    }),
    jsonRoute({
      method: 'patch',
      path: '/issuer/staff/:id',
      access: 'staff:change',
      summary: 'Give an account another name or role',
      pathSchema: byId,
      body: changeStaff,
      answer: staffFacts,
      answers: 'The account',
      handle: ({ path, body, caller }) => staff.change(path.id, { ...body, by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/staff/:id/token',
      access: 'staff:change',
      summary: 'Give an account another token: the old one is nothing from then on',
      pathSchema: byId,
      status: 201,
      answer: staffWithToken,
      answers: 'The account and its token, this once',
      secret: true,
      handle: async ({ path, caller }) => {
        const { facts, token } = await staff.replaceToken(path.id, { by: actorOf(caller) })
        return { ...facts, token }
      }
    }),
    emptyRoute({
      method: 'delete',
      path: '/issuer/staff/:id',
      access: 'staff:change',
      summary: 'Remove an account: the next request with its token is refused',
      pathSchema: byId,
      answers: 'Removed',
      handle: ({ path, caller }) => staff.remove(path.id, { by: actorOf(caller) })
    })
  ]
}
