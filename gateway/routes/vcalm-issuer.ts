/**
 * VCALM 1.0 issuing on the public listener, for an institution's own machines: with a bearer token that may issue.
 * The credential is one of the published types, and its status entries and `id` are given here: a request that asks
 * for something else is refused and not signed in part.
 *
 * @module
 */
import { z } from 'zod'
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { isJsonObject, type JsonObject } from '../../protocols/credential/json.ts'
import { actorOf } from '../auth.ts'
import { jsonRoute, type Route } from '../route.ts'
import { jsonObject } from '../vcalm.ts'

const when = z.iso.datetime({ offset: true })

/** VCDM 2.0 without a proof; members that we would not sign as they are have no place here. */
const unsigned = z.strictObject({
  '@context': z.array(z.string().max(2_048)).min(1).max(16),
  type: z.array(z.string().min(1).max(128)).min(2).max(16),
  issuer: z.union([z.string().max(4_096), z.looseObject({ id: z.string() })]).exactOptional(),
  validFrom: when.exactOptional(),
  validUntil: when.exactOptional(),
  credentialSubject: jsonObject
})

const issueRequest = z.strictObject({
  credential: unsigned,
  options: z.strictObject({}).exactOptional()
})

const issueAnswer = z
  .object({ verifiableCredential: jsonObject })
  .meta({ id: 'VerifiableCredentialAnswer' })

const statusRequest = z.strictObject({
  credentialId: z.string().min(1).max(2_048),
  credentialStatus: z.strictObject({
    id: z.string().max(4_096).exactOptional(),
    type: z.literal('BitstringStatusListEntry'),
    statusPurpose: z.enum(['revocation', 'suspension']),
    statusListIndex: z.string().max(32).exactOptional(),
    statusListCredential: z.string().max(4_096).exactOptional()
  }),
  status: z.boolean()
})

export function vcalmIssuerRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/credentials/issue',
      access: 'credentials:issue',
      summary: 'Sign a credential of a published type (VCALM 1.0)',
      body: issueRequest,
      status: 201,
      answer: issueAnswer,
      answers: 'The signed credential',
      handle: async ({ body: { credential }, caller }) => {
        const { validFrom, validUntil, credentialSubject: claims } = credential
        checkIssuer(agent, credential.issuer)
        const issued = await agent.issuance.issue({
          type: typeOf(agent, credential.type),
          claims,
          by: actorOf(caller),
          ...(validFrom === undefined ? {} : { validFrom: new Date(validFrom) }),
          ...(validUntil === undefined ? {} : { validUntil: new Date(validUntil) })
        })
        return { verifiableCredential: objectIn(issued.credential) }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/credentials/status',
      access: 'credentials:revoke',
      summary: 'Set or clear a status of an issued credential (VCALM 1.0)',
      body: statusRequest,
      answer: z.object({}),
      answers: 'Set',
      handle: async ({ body: { credentialId, credentialStatus, status }, caller }) => {
        const found = agent.issuance.issued().find((each) => each.credentialId === credentialId)
        if (found === undefined)
          throw new LockerError(
            'credential-unknown',
            `no credential ${credentialId} was issued here`
          )
        const by = { by: actorOf(caller) }
        if (credentialStatus.statusPurpose === 'suspension') {
          await (status
            ? agent.issuance.suspend(found.id, by)
            : agent.issuance.reinstate(found.id, by))
          return {}
        }
        if (!status) throw new LockerError('request-invalid', 'a revocation is for good')
        await agent.issuance.revoke(found.id, by)
        return {}
      }
    })
  ]
}

/** Throws `request-invalid` when somebody else is named, `issuer-absent` when nobody can sign. */
function checkIssuer({ issuer }: Agent, named: string | { id: string } | undefined): void {
  const did = issuer.facts()?.did
  if (did === undefined) throw new LockerError('issuer-absent', 'no issuer has been set up')
  const id = typeof named === 'string' ? named : named?.id
  if (id !== undefined && id !== did)
    throw new LockerError('request-invalid', `the issuer here is ${did}`)
}

/** The published type whose VC types these are, in any order. */
function typeOf({ types }: Agent, names: readonly string[]): string {
  const wanted = names.filter((name) => name !== 'VerifiableCredential').toSorted()
  const found = types
    .published()
    .find((type) => JSON.stringify(type.types.toSorted()) === JSON.stringify(wanted))
  if (found === undefined)
    throw new LockerError(
      'type-unknown',
      `nothing of the types ${wanted.join(', ')} is issued here`
    )
  return found.id
}

function objectIn(text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) throw new LockerError('internal-fault', 'what was signed is no object')
  return value
}
