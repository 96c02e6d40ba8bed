/**
 * Verdicts on what somebody shows the owner.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { VERIFIED_BYTES_MAX } from '../../agent/agent.ts'
import { readBytes } from '../body.ts'
import { verification, verificationQuery } from '../credential-schemas.ts'
import { uploadRoute, type Route } from '../route.ts'
import { isSet } from '../schemas.ts'

/** What a credential comes in. */
const TAKEN = [
  'application/vc+json',
  'application/vp+json',
  'application/json',
  'application/ld+json',
  'application/dc+sd-jwt',
  'application/pdf',
  'text/plain',
  'application/octet-stream'
]

export function verificationRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    uploadRoute({
      method: 'post',
      path: '/verifications',
      access: 'any',
      summary: 'Judge a credential: JSON, SD-JWT, a presentation, a PDF, the text of a QR code',
      takes: TAKEN,
      query: verificationQuery,
      status: 200,
      answer: verification,
      answers: 'A verdict for each credential, with every check and its reason',
      handle: async ({ query, request }) => {
        const { offline, challenge, domain } = query
        return agent.verification.verify(await readBytes(request, VERIFIED_BYTES_MAX), {
          offline: isSet(offline),
          ...(challenge === undefined ? {} : { challenge }),
          ...(domain === undefined ? {} : { domain })
        })
      }
    })
  ]
}
