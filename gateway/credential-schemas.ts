/**
 * Bodies of the routes about credentials; the rest is in schemas.ts.
 *
 * @module
 */
import { z } from 'zod'
import type { Check, Verdict, Verification } from '../agent/agent.ts'

const instant = z.string().meta({ format: 'date-time' })

/** What one asks and gives in one line: a challenge, a domain. */
const question = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters')

export const verificationQuery = z.strictObject({
  offline: z.enum(['0', '1', 'false', 'true']).exactOptional(),
  challenge: question.exactOptional(),
  domain: question.exactOptional()
})

const check = z
  .object({
    name: z.enum([
      'structure',
      'schema',
      'proof',
      'issuer-key',
      'validity',
      'status',
      'holder-binding',
      'issuer-trust'
    ] satisfies ReadonlyArray<Check['name']>),
    outcome: z.enum(['passed', 'failed', 'not-checked', 'not-applicable'] satisfies ReadonlyArray<
      Check['outcome']
    >),
    code: z.string(),
    reason: z.string(),
    facts: z.record(z.string(), z.union([z.string(), z.number()])).exactOptional()
  })
  .meta({ id: 'Check' })

const result = z
  .enum([
    'valid',
    'expired',
    'not-yet-valid',
    'suspended',
    'revoked',
    'invalid',
    'could-not-be-checked'
  ] satisfies ReadonlyArray<Verdict['result']>)
  .meta({ id: 'VerificationResult' })

const verdict = z
  .object({
    result,
    format: z.enum(['vcdm-2.0', 'vcdm-1.1', 'sd-jwt-vc', 'unknown']),
    checks: z.array(check).readonly(),
    issuer: z
      .object({
        did: z.string(),
        name: z.string().exactOptional(),
        trust: z.enum(['own-contact', 'trust-list', 'domain-proven', 'unknown'])
      })
      .exactOptional(),
    subject: z.string().exactOptional(),
    types: z.array(z.string()).readonly(),
    checkedAt: instant,
    knownAsOf: instant.exactOptional(),
    offline: z.boolean(),
    declaredBy: z.enum(['issuer', 'holder'])
  })
  .meta({ id: 'Verdict' })

export const verification = z
  .object({
    carrier: z.enum(['json', 'sd-jwt', 'qr', 'pdf', 'presentation'] satisfies ReadonlyArray<
      Verification['carrier']
    >),
    verdicts: z.array(verdict).readonly(),
    result,
    holder: check.exactOptional()
  })
  .meta({ id: 'Verification' })
