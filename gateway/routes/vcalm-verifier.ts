/**
 * VCALM 1.0 verification on the public listener: anyone may have a credential judged. A credential that does not
 * hold is 200 with `verified: false`; 400 is for what is no question at all.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { jsonRoute, type Route } from '../route.ts'
import {
  credentialAnswer,
  credentialVerified,
  presentationAnswer,
  presentationVerified,
  textOf,
  verifyCredentialRequest,
  verifyPresentationRequest
} from '../vcalm.ts'

/** Judging costs signatures and look-ups at hosts the asker names: limits.ts bounds how often. */
export const VERIFIER_PATHS = ['/credentials/verify', '/presentations/verify'] as const

export function vcalmVerifierRoutes({ agent }: { agent: Agent }): readonly Route[] {
  const { verification } = agent
  return [
    jsonRoute({
      method: 'post',
      path: VERIFIER_PATHS[0],
      access: 'none',
      summary: 'Judge a credential (VCALM 1.0)',
      body: verifyCredentialRequest,
      answer: credentialVerified,
      answers: 'Whether it holds, and why not',
      handle: async ({ body: { verifiableCredential, options } }) => {
        const judged = await verification.verify(textOf(verifiableCredential))
        return credentialAnswer(judged, verifiableCredential, options)
      }
    }),
    jsonRoute({
      method: 'post',
      path: VERIFIER_PATHS[1],
      access: 'none',
      summary: 'Judge a presentation and each credential in it (VCALM 1.0)',
      body: verifyPresentationRequest,
      answer: presentationVerified,
      answers: 'Whether it holds, and why not',
      handle: async ({ body: { verifiablePresentation, presentation, options = {} } }) => {
        const shown = verifiablePresentation ?? presentation
        if (
          shown === undefined ||
          (verifiablePresentation !== undefined && presentation !== undefined)
        )
          throw new LockerError(
            'request-invalid',
            'either verifiablePresentation or presentation has to be given'
          )
        if (![shown['type']].flat().includes('VerifiablePresentation'))
          throw new LockerError(
            'request-invalid',
            'the presentation is not of the type VerifiablePresentation'
          )
        const { challenge, domain } = options
        const judged = await verification.verify(JSON.stringify(shown), {
          ...(challenge === undefined ? {} : { challenge }),
          ...(domain === undefined ? {} : { domain })
        })
        return presentationAnswer(judged, shown, options)
      }
    })
  ]
}
