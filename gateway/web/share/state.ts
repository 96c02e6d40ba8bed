/**
 * What the share page can find, as states; which words each gets is decided here, apart from drawing.
 *
 * @module
 */
import { ProtocolError } from '../../../protocols/errors.ts'
import { asProblem } from '../problem.ts'
import type { PublicFacts } from './link-facts.ts'

/** Ends of the way: each has a title, a reason and a next step of its own in the language file. */
export type DeadEnd =
  | 'incomplete' // no key, or half of one, behind the `#`
  | 'unknown' // no such link here
  | 'used-up'
  | 'expired'
  | 'stopped'
  | 'wrong-key' // the server refused the proof of a link without passphrase
  | 'damaged' // what came is not what was sealed
  | 'too-many' // asked too often
  | 'unreachable'
  | 'failed'

/** A link that is not live any more, or `undefined` for one that is. */
export function deadEndOf(facts: PublicFacts): DeadEnd | undefined {
  return facts.state === 'live' ? undefined : facts.state
}

/** The end a failure leads to. A wrong proof is `wrong-key`; with a passphrase the caller asks again instead. */
export function deadEndOfFailure(thrown: unknown): DeadEnd {
  if (thrown instanceof ProtocolError)
    return /^sealed-|^limit-/.test(thrown.code)
      ? 'damaged'
      : thrown.code === 'link-malformed'
        ? 'incomplete'
        : 'failed'
  const { code } = asProblem(thrown)
  switch (code) {
    case 'link-used-up':
      return 'used-up'
    case 'link-expired':
      return 'expired'
    case 'link-stopped':
      return 'stopped'
    case 'link-unknown':
    case 'not-found':
      return 'unknown'
    case 'link-proof-wrong':
      return 'wrong-key'
    case 'rate-limited':
      return 'too-many'
    case 'unreachable':
      return 'unreachable'
    case 'sealed-damaged':
    case 'sealed-malformed':
    case 'limit-exceeded':
    case 'document-damaged':
    case 'integrity-failed':
      return 'damaged'
    default:
      return 'failed'
  }
}
