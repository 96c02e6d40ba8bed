/**
 * What the public listener says of a link before it is opened.
 *
 * @module
 */
import { z } from 'zod'

/** The answer of `GET /s/<id>/facts`. */
export const linkFacts = z.object({
  passphrase: z.boolean(),
  salt: z.string().max(64),
  state: z.enum(['live', 'used-up', 'expired', 'stopped']),
  expiresAt: z.iso.datetime()
})
/** What may be known of a link without using it up. */
export type PublicFacts = z.infer<typeof linkFacts>
