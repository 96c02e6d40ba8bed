/**
 * Byte ranges and preconditions: RFC 9110 §13 and §14, for one strong entity tag and one range.
 *
 * @module
 */

/** Inclusive byte offsets. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Request headers that decide which part of a body, if any, is sent. */
export interface Conditions {
  readonly range: string | undefined
  readonly ifRange: string | undefined
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
}

export type Selection =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: Range }
  /** 304: the client has it. */
  | { readonly kind: 'unchanged' }
  /** 412: the client asks for another version. */
  | { readonly kind: 'failed' }
  /** 416. */
  | { readonly kind: 'unsatisfiable' }

/** Longest condition header looked at, characters: a few entity tags. A longer one is taken as absent. */
const HEADER_MAX = 4_096

/**
 * What of a representation to send. Pure.
 *
 * @param etag - The strong entity tag, with its quotes.
 * @param sizeBytes - Length of the representation.
 */
export function select(
  method: string,
  conditions: Conditions,
  etag: string,
  sizeBytes: number
): Selection {
  const { ifMatch, ifNoneMatch } = conditions
  // RFC 9110 §13.2.2 gives the order: If-Match, If-None-Match, then Range with If-Range.
  if (ifMatch !== undefined && !listed(ifMatch, etag, 'strong')) return { kind: 'failed' }
  if (ifNoneMatch !== undefined && listed(ifNoneMatch, etag, 'weak')) return { kind: 'unchanged' }
  // §14.2: a Range is defined for GET alone.
  if (method !== 'GET' || conditions.range === undefined) return { kind: 'whole' }
  // §13.1.5: compared strongly. A date never fits: there is no Last-Modified to compare with.
  if (conditions.ifRange !== undefined && conditions.ifRange.trim() !== etag)
    return { kind: 'whole' }
  return rangeOf(conditions.range, sizeBytes)
}

/**
 * One range of §14.1.2. What is not a range of bytes, or is several of them, is ignored, as §14.2 allows:
 * the whole body answers every such question.
 */
function rangeOf(header: string, sizeBytes: number): Selection {
  const match = /^\s*bytes\s*=\s*(?:([0-9]{1,16})-([0-9]{0,16})|-([0-9]{1,16}))\s*$/i.exec(
    header.slice(0, HEADER_MAX)
  )
  // Nothing can be a part of nothing, and clients that always send a Range are served (as Go does).
  if (match === null || sizeBytes === 0) return { kind: 'whole' }
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), sizeBytes)
    return length === 0
      ? { kind: 'unsatisfiable' }
      : { kind: 'part', range: { start: sizeBytes - length, end: sizeBytes - 1 } }
  }
  const start = Number(first)
  const end =
    last === undefined || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (last !== undefined && last !== '' && Number(last) < start) return { kind: 'whole' }
  return start >= sizeBytes ? { kind: 'unsatisfiable' } : { kind: 'part', range: { start, end } }
}

/** Whether an If-Match or If-None-Match list (§13.1.1) names the tag. */
function listed(header: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true
  const tags = header.slice(0, HEADER_MAX).match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []
  return tags.some((tag) => (comparison === 'weak' ? tag.replace(/^W\//, '') : tag) === etag)
}
