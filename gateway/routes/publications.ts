/**
 * What an issuer publishes on the public listener: its DID document with every key it ever signed with, the
 * proof of its domain, its descriptor, status lists, schemas and the context of our credentials.
 *
 * All of it but the context lies in the sealed records, so while the locker is locked these addresses answer 503
 * and say when to ask again (docs/decisions/0130-a-locked-issuer-says-so.md).
 *
 * @module
 */
import { z } from 'zod'
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { bundledContext, ELOCKER_CONTEXT } from '../../protocols/credential/contexts.ts'
import { credentialSchemaOf, credentialType } from '../../protocols/credential/credential-type.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { STATUS_TTL_DEFAULT_MS } from '../../protocols/credential/status-list.ts'
import { DID_CONFIGURATION_PATH } from '../../protocols/domain-linkage.ts'
import { DESCRIPTOR_PATH } from '../../protocols/issuer-descriptor.ts'
import type { NodeFacts } from '../node-facts.ts'
import { publish } from '../published.ts'
import { streamRoute, type Route } from '../route.ts'
import { byId } from '../schemas.ts'

/**
 * How long caches keep the DID document, the descriptor and the proof of the domain, seconds: as long as the
 * world may go on trusting a key that was found out.
 */
const IDENTITY_MAX_AGE_S = 300
/** A published version of a type never changes, seconds. */
const SCHEMA_MAX_AGE_S = 86_400
const STATUS_MAX_AGE_S = STATUS_TTL_DEFAULT_MS / 1_000

const typeVersion = z.object({
  id: credentialType.shape.id,
  version: credentialType.shape.version
})

export interface PublicationComponents {
  readonly agent: Agent
  readonly node: Pick<NodeFacts, 'addresses'>
}

export function publicationRoutes(components: PublicationComponents): readonly Route[] {
  return [...identityRoutes(components.agent), ...vocabularyRoutes(components)]
}

function identityRoutes({ issuer, statusLists }: Agent): readonly Route[] {
  return [
    identity(
      '/.well-known/did.json',
      'The DID document of the issuer (did:web)',
      'Every key it signed with, old ones with their end',
      () => issuer.didDocument()
    ),
    identity(
      DID_CONFIGURATION_PATH,
      'Proof that the issuer and this domain are one (DIF well-known DID configuration)',
      'Domain linkage credentials',
      () => issuer.didConfiguration()
    ),
    identity(
      DESCRIPTOR_PATH,
      'What the issuer says of itself, signed: names, kinds of credential, forms, endpoints',
      'The issuer descriptor',
      () => (issuer.facts() === undefined ? undefined : issuer.descriptor())
    ),
    streamRoute({
      method: 'get',
      path: '/status-lists/:id',
      access: 'none',
      summary: 'A signed status list (Bitstring Status List 1.0)',
      pathSchema: byId,
      media: 'application/vc+json',
      answers: 'A credential with the list, as it is now',
      handle: async ({ path, request, response }) =>
        publish(request, response, {
          value: await statusLists.signed(path.id),
          media: 'application/vc+json',
          maxAgeS: STATUS_MAX_AGE_S
        })
    })
  ]
}

/** A document that says who the issuer is; none where there is no issuer of that kind. */
function identity(
  path: string,
  summary: string,
  answers: string,
  find: () => JsonObject | undefined
): Route {
  return streamRoute({
    method: 'get',
    path,
    access: 'none',
    summary,
    media: 'application/json',
    answers,
    handle: ({ request, response }) =>
      publish(request, response, {
        value: find() ?? absent('no such issuer is set up here'),
        media: 'application/json',
        maxAgeS: IDENTITY_MAX_AGE_S
      })
  })
}

function vocabularyRoutes({ agent: { types }, node }: PublicationComponents): readonly Route[] {
  return [
    streamRoute({
      method: 'get',
      path: '/schemas/:id/:version',
      access: 'none',
      summary: 'The JSON Schema of the credentials of one kind (2020-12)',
      pathSchema: typeVersion,
      media: 'application/schema+json',
      answers: 'The schema, under the address it is asked for at',
      handle: ({ path, request, response }) => {
        const { type, state } = types.get(path.id, path.version)
        if (state === 'draft') absent(`${path.id} ${path.version} is not published`)
        const { public: outside, private: inside } = node.addresses()
        const url = `${outside ?? inside}/schemas/${type.id}/${type.version}`
        publish(request, response, {
          value: credentialSchemaOf(type, url),
          media: 'application/schema+json',
          maxAgeS: SCHEMA_MAX_AGE_S
        })
      }
    }),
    streamRoute({
      method: 'get',
      path: new URL(ELOCKER_CONTEXT).pathname,
      access: 'none',
      summary: 'The JSON-LD context of our credentials',
      media: 'application/ld+json',
      answers: 'The context, as it is built into the program',
      handle: ({ request, response }) =>
        publish(request, response, {
          value: bundledContext(ELOCKER_CONTEXT) ?? absent('the context is not built in'),
          media: 'application/ld+json',
          maxAgeS: SCHEMA_MAX_AGE_S
        })
    })
  ]
}

function absent(reason: string): never {
  throw new LockerError('not-found', reason)
}
