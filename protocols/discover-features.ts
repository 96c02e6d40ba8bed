/**
 * Discover Features 2.0: which protocols, in which roles, and how large a message another agent takes.
 *
 * @module
 */
import { z } from 'zod'
import type { Protocol } from './exchange.ts'

export const DISCOVER_FEATURES = 'https://didcomm.org/discover-features/2.0'

export type DiscoveryRole = 'requester' | 'responder'
export type DiscoveryState = 'start' | 'asked' | 'disclosed'
export type DiscoveryMessage = 'queries' | 'disclose'

/** A disclosure may come unasked. The page discover-features.md has the same table. */
// oxfmt-ignore
export const discoverFeatures: Protocol<DiscoveryRole, DiscoveryState, DiscoveryMessage> = {
  piuri: DISCOVER_FEATURES,
  rules: [
    ['requester', 'start', 'send',    'queries',  'asked'],
    ['responder', 'start', 'receive', 'queries',  'asked'],
    ['responder', 'asked', 'send',    'disclose', 'disclosed'],
    ['requester', 'asked', 'receive', 'disclose', 'disclosed'],
    ['responder', 'start', 'send',    'disclose', 'disclosed'],
    ['requester', 'start', 'receive', 'disclose', 'disclosed']
  ]
}

/** Queries answered of one message. */
export const QUERIES_MAX = 16

/** Disclosures read of one message. */
export const DISCLOSURES_MAX = 256

export const queries = z.object({
  queries: z
    .array(z.object({ 'feature-type': z.string().max(64), match: z.string().max(256) }))
    .max(QUERIES_MAX)
})

export const disclosures = z.object({
  disclosures: z
    .array(
      z.object({
        'feature-type': z.string().max(64),
        id: z.string().max(256),
        roles: z.exactOptional(z.array(z.string().max(64)).max(16)),
        /** Of the constraint of that name: largest message taken, bytes, as a decimal number. */
        max_receive_bytes: z.exactOptional(
          z.union([z.string().regex(/^\d{1,15}$/), z.int().min(0)])
        )
      })
    )
    .max(DISCLOSURES_MAX)
})

/** One thing an agent discloses; further members, such as the value of a constraint, go out as they are. */
export interface Feature {
  readonly 'feature-type': string
  readonly id: string
  readonly roles?: readonly string[]
  readonly [member: string]: unknown
}

/**
 * The features that a message's queries ask for, each once. `*` stands for any text and may only end a
 * pattern, as in the standard's examples; anywhere else it is a letter like others, so that a pattern
 * cannot be made expensive.
 */
export function matching(
  features: readonly Feature[],
  asked: z.infer<typeof queries>['queries']
): readonly Feature[] {
  return features.filter((feature) =>
    asked.some((query) => {
      if (query['feature-type'] !== feature['feature-type']) return false
      return query.match.endsWith('*')
        ? feature.id.startsWith(query.match.slice(0, -1))
        : feature.id === query.match
    })
  )
}
