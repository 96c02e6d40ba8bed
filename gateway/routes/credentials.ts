/**
 * Credentials as holder: what the owner keeps, what stands about it now, the certificate to print, and the
 * exchanges in which credentials are asked for and offered.
 *
 * @module
 */
import { z } from 'zod'
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { certificateInput, type CertificateRenderer } from '../certificate.ts'
import { verification } from '../credential-schemas.ts'
import { attachment } from '../headers.ts'
import {
  byThread,
  credentialFacts,
  exchangesQuery,
  issuanceFacts,
  proposeCredential,
  verdictQuery,
  whyBody
} from '../issuing-schemas.ts'
import { parseBundle } from '../../protocols/credential/bundle.ts'
import type { NodeFacts } from '../node-facts.ts'
import { pageOf } from '../paging.ts'
import { jsonRoute, streamRoute, type Route } from '../route.ts'
import { byId, isSet, page, pageQuery } from '../schemas.ts'

/** Language tags (BCP 47) of the labels. */
const language = z.string().regex(/^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3}$/)
const certificateQuery = z.strictObject({
  language: language.exactOptional(),
  second: language.exactOptional()
})

export interface CredentialRoutesComponents {
  readonly agent: Agent
  readonly node: Pick<NodeFacts, 'addresses'>
  readonly certificates?: CertificateRenderer
}

export function credentialRoutes(components: CredentialRoutesComponents): readonly Route[] {
  return [...kept(components), ...asking(components.agent), ...answering(components.agent)]
}

function kept(components: CredentialRoutesComponents): readonly Route[] {
  const { agent } = components
  const { credentials } = agent
  return [
    jsonRoute({
      method: 'get',
      path: '/credentials',
      access: 'documents:read',
      summary: 'Credentials the owner keeps, newest first',
      query: pageQuery,
      answer: page(credentialFacts),
      answers: 'Credentials',
      handle: ({ query }) => pageOf(credentials.list(), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'get',
      path: '/credentials/:id',
      access: 'documents:read',
      summary: 'One credential; its text is the content of the document of the same id',
      pathSchema: byId,
      answer: credentialFacts,
      answers: 'The credential',
      handle: ({ path }) => credentials.get(path.id)
    }),
    jsonRoute({
      method: 'get',
      path: '/credentials/:id/verdict',
      access: 'documents:read',
      summary: 'What a verifier would say of it now; off-line from what came along with it',
      pathSchema: byId,
      query: verdictQuery,
      answer: verification,
      answers: 'The verdict, with every check',
      handle: async ({ path, query }) => {
        const { text, bundle } = await credentials.verdictInput(path.id)
        const read = bundle === undefined ? undefined : parseBundle(bundle)
        return agent.verification.verify(text, {
          offline: isSet(query.offline),
          // It came from the issuer itself, over a channel that proves who speaks.
          ...(read?.ok === true ? { bundle: { value: read.bundle, vouchedFor: true } } : {})
        })
      }
    }),
    certificateRoute(components)
  ]
}

function certificateRoute({ agent, node, certificates }: CredentialRoutesComponents): Route {
  return streamRoute({
    method: 'get',
    path: '/credentials/:id/certificate',
    access: 'documents:read',
    summary: 'A certificate to print, with the credential inside it',
    pathSchema: byId,
    query: certificateQuery,
    media: 'application/pdf',
    answers: 'PDF/A-3 with the credential attached',
    handle: async ({ path, query, response }) => {
      const facts = agent.credentials.get(path.id)
      const held = await agent.credentials.verdictInput(path.id)
      if (certificates === undefined)
        throw new LockerError('certificate-failed', 'this process makes no certificates')
      const { public: outside, private: inside } = node.addresses()
      const input = await certificateInput(facts, held, {
        types: agent.types,
        verifyUrl: `${outside ?? inside}/verify`,
        language: query.language ?? 'en',
        ...(query.second === undefined ? {} : { second: query.second })
      })
      const pdf = await certificates.render(input)
      response.setHeader('content-type', 'application/pdf')
      response.setHeader('content-disposition', attachment(`${facts.name}.pdf`))
      response.setHeader('content-length', pdf.byteLength)
      response.end(pdf)
    }
  })
}

function asking({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/exchanges',
      access: 'inbox',
      summary: 'Credentials asked for and offered, the latest change first',
      query: exchangesQuery,
      answer: page(issuanceFacts),
      answers: 'Exchanges, with what they wait for',
      handle: ({ query: { open, ...paging } }) => {
        const found = issuance.list({
          role: 'holder',
          ...(open === undefined ? {} : { open: isSet(open) })
        })
        return pageOf(found, paging, ({ thid }) => thid)
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/exchanges',
      access: 'inbox',
      summary: 'Ask an issuer for a credential, with its form filled in',
      body: proposeCredential,
      status: 201,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ body }) => issuance.propose(body)
    }),
    jsonRoute({
      method: 'get',
      path: '/exchanges/:thid',
      access: 'inbox',
      summary: 'One exchange',
      pathSchema: byThread,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path }) => asHolder(issuance, path.thid)
    })
  ]
}

function answering({ issuance }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/exchanges/:thid/accept',
      access: 'inbox',
      summary: 'Take the offer; the credential is kept once it has arrived and been checked',
      pathSchema: byThread,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path }) => {
        asHolder(issuance, path.thid)
        return issuance.accept(path.thid)
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/exchanges/:thid/decline',
      access: 'inbox',
      summary: 'Say no to the offer',
      pathSchema: byThread,
      body: whyBody,
      bodyOptional: true,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path, body }) => {
        asHolder(issuance, path.thid)
        return issuance.decline(path.thid, body.reason)
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/exchanges/:thid/cancel',
      access: 'inbox',
      summary: 'Take the own request back',
      pathSchema: byThread,
      body: whyBody,
      bodyOptional: true,
      answer: issuanceFacts,
      answers: 'The exchange',
      handle: ({ path, body }) => {
        asHolder(issuance, path.thid)
        return issuance.cancel(path.thid, body.reason)
      }
    })
  ]
}

/** The exchange, when the owner is its holder. */
function asHolder(issuance: Agent['issuance'], thid: string): ReturnType<Agent['issuance']['get']> {
  const facts = issuance.get(thid)
  if (facts.role !== 'holder') throw new LockerError('exchange-unknown', `no exchange ${thid}`)
  return facts
}
