/**
 * Issuing: credentials offered, approved, corrected and revoked, and the worklist of what holders ask for.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { actorOf } from '../auth.ts'
import {
  byThread,
  deliverCredential,
  exchangesQuery,
  issuanceFacts,
  issuedFacts,
  issuedQuery,
  offerCredential,
  offered,
  recordList,
  replaceCredential,
  sayPending,
  whyBody
} from '../issuing-schemas.ts'
import { pageOf } from '../paging.ts'
import { jsonRoute, type Route } from '../route.ts'
import { byId, isSet, page } from '../schemas.ts'

export function issuingRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    ...issued(agent),
    ...offering(agent),
    ...deciding(agent),
    ...worklist(agent),
    ...answering(agent)
  ]
}

function issued({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer/credentials',
      access: 'credentials:read',
      summary: 'What was issued or is prepared, newest first',
      query: issuedQuery,
      answer: page(issuedFacts),
      answers: 'Credentials with their states',
      handle: ({ query: { type, open, series, ...paging } }) => {
        const found = issuance.issued({
          ...(type === undefined ? {} : { type }),
          ...(open === undefined ? {} : { open: isSet(open) }),
          ...(series === undefined ? {} : { series })
        })
        return pageOf(found, paging, ({ id }) => id)
      }
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/credentials/:id',
      access: 'credentials:read',
      summary: 'One credential with its history',
      pathSchema: byId,
      answer: issuedFacts,
      answers: 'The credential',
      handle: ({ path }) => issuance.issuedCredential(path.id)
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/credentials/:id/approve',
      access: 'credentials:approve',
      summary: 'The second person’s yes',
      pathSchema: byId,
      answer: issuedFacts,
      answers: 'The credential',
      handle: ({ path, caller }) => issuance.approve(path.id, { by: actorOf(caller) })
    })
  ]
}

function offering({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/issuer/credentials',
      access: 'credentials:issue',
      summary: 'Offer a credential to a contact, or to whoever answers a new invitation',
      body: offerCredential,
      status: 201,
      answer: offered,
      answers: 'The prepared credential, and the invitation',
      handle: async ({ body: { to, invitation, ...rest }, caller }) => {
        const wish = { ...dated(rest), type: rest.type, claims: rest.claims, by: actorOf(caller) }
        if (to !== undefined) return issuance.offer({ ...wish, to })
        const { name, expiresAt } = invitation ?? {}
        const made = await issuance.offerByInvitation({
          ...wish,
          ...(name === undefined ? {} : { name }),
          ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) })
        })
        return { ...made.facts, invitation: made.invitation }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/credentials/:id/replace',
      access: 'credentials:issue',
      summary: 'Offer a correction or renewal; the old one is void once the new one is signed',
      pathSchema: byId,
      body: replaceCredential,
      bodyOptional: true,
      status: 201,
      answer: issuedFacts,
      answers: 'The new credential',
      handle: ({ path, body, caller }) =>
        issuance.replace(path.id, {
          ...dated(body),
          ...(body.claims === undefined ? {} : { claims: body.claims }),
          by: actorOf(caller)
        })
    })
  ]
}

/** What is decided of one credential with a reason. */
function deciding({ issuance }: Agent): readonly Route[] {
  const decide = (what: 'withdraw' | 'revoke' | 'suspend' | 'reinstate', summary: string): Route =>
    jsonRoute({
      method: 'post',
      path: `/issuer/credentials/:id/${what}`,
      access: what === 'withdraw' ? 'credentials:issue' : 'credentials:revoke',
      summary,
      pathSchema: byId,
      body: whyBody,
      bodyOptional: true,
      answer: issuedFacts,
      answers: 'The credential',
      handle: ({ path, body, caller }) => issuance[what](path.id, { ...body, by: actorOf(caller) })
    })
  return [
    decide('withdraw', 'Take back what has not been signed'),
    decide('revoke', 'Revoke for good; the holder is told why'),
    decide('suspend', 'Suspend until reinstated; the holder is told why'),
    decide('reinstate', 'End a suspension')
  ]
}

function worklist({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer/exchanges',
      access: 'credentials:read',
      summary: 'Exchanges with holders, the latest change first; `open` leaves out what has ended',
      query: exchangesQuery,
      answer: page(issuanceFacts),
      answers: 'Exchanges, with what they wait for',
      handle: ({ query: { open, ...paging } }) => {
        const found = issuance.list({
          role: 'issuer',
          ...(open === undefined ? {} : { open: isSet(open) })
        })
        return pageOf(found, paging, ({ thid }) => thid)
      }
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/exchanges/:thid',
      access: 'credentials:read',
      summary: 'One exchange',
      pathSchema: byThread,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path }) => asIssuer(issuance, path.thid)
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/exchanges/:thid/candidates',
      access: 'registry:read',
      summary: 'Records that fit what the holder filled in',
      pathSchema: byThread,
      answer: recordList,
      answers: 'Records',
      handle: async ({ path }) => {
        asIssuer(issuance, path.thid)
        return { items: await issuance.candidates(path.thid) }
      }
    })
  ]
}

function answering({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/issuer/exchanges/:thid/deliver',
      access: 'credentials:issue',
      summary: 'Answer a request with a record, or with claims',
      pathSchema: byThread,
      body: deliverCredential,
      status: 201,
      answer: issuedFacts,
      answers: 'The prepared credential',
      handle: ({ path, body, caller }) => {
        asIssuer(issuance, path.thid)
        const { record, claims = {} } = body
        const said = { ...dated(body), by: actorOf(caller) }
        return issuance.deliver(
          path.thid,
          record === undefined ? { ...said, claims } : { ...said, record }
        )
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/exchanges/:thid/pending',
      access: 'credentials:issue',
      summary: 'Tell the holder that it takes longer, and until when',
      pathSchema: byThread,
      body: sayPending,
      bodyOptional: true,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path, body: { expectedTime, ...rest } }) => {
        asIssuer(issuance, path.thid)
        return issuance.pending(path.thid, {
          ...rest,
          ...(expectedTime === undefined ? {} : { expectedTime: new Date(expectedTime) })
        })
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/exchanges/:thid/refuse',
      access: 'credentials:issue',
      summary: 'End an exchange; the holder is told why',
      pathSchema: byThread,
      body: whyBody,
      bodyOptional: true,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path, body, caller }) => {
        asIssuer(issuance, path.thid)
        return issuance.refuse(path.thid, { ...body, by: actorOf(caller) })
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/exchanges/:thid/sign',
      access: 'credentials:issue',
      summary: 'Sign what was accepted and could not be signed then',
      pathSchema: byThread,
      answer: issuedFacts,
      answers: 'The credential',
      handle: ({ path }) => {
        asIssuer(issuance, path.thid)
        return issuance.sign(path.thid)
      }
    })
  ]
}

/** The exchange, when it is one of the issuer's: staff learn nothing of what the owner holds. */
function asIssuer(issuance: Agent['issuance'], thid: string): ReturnType<Agent['issuance']['get']> {
  const facts = issuance.get(thid)
  if (facts.role !== 'issuer') throw new LockerError('exchange-unknown', `no exchange ${thid}`)
  return facts
}

/** The members of a wish that every request may carry, with their times as times. */
function dated(
  body: Said
): Pick<Wish, 'format' | 'suite' | 'comment' | 'validFrom' | 'validUntil'> {
  const { format, suite, comment, validFrom, validUntil } = body
  return {
    ...(format === undefined ? {} : { format }),
    ...(suite === undefined ? {} : { suite }),
    ...(comment === undefined ? {} : { comment }),
    ...(validFrom === undefined ? {} : { validFrom: new Date(validFrom) }),
    ...(validUntil === undefined ? {} : { validUntil: new Date(validUntil) })
  }
}

type Wish = Parameters<Agent['issuance']['offer']>[0]
type Said = Pick<Wish, 'format' | 'suite' | 'comment'> & {
  readonly validFrom?: string
  readonly validUntil?: string
}
