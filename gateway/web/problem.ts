/**
 * What went wrong, as the page handles it: an RFC 9457 problem of the gateway, or the gateway not being
 * reached at all.
 *
 * @module
 */
const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** Thrown by every call of api.ts. The words for a person are in languages/, by `code`. */
export class Problem extends Error {
  /** A code of agent/errors.ts, or `unreachable` when no answer came. */
  readonly code: string
  /** HTTP status; 0 when no answer came. */
  readonly status: number
  /** Further members of the problem document, e.g. `retryAt`. */
  readonly facts: ReadonlyMap<string, unknown>

  constructor(
    code: string,
    message: string,
    status = 0,
    facts: ReadonlyMap<string, unknown> = new Map(),
    options: { cause?: unknown } = {}
  ) {
    super(message, options)
    this.name = 'Problem'
    this.code = code
    this.status = status
    this.facts = facts
  }
}

/** Reads a refused answer. Anything that is no problem document becomes code `unexpected`. */
export function problemOf(status: number, contentType: string | null, body: string): Problem {
  if (contentType?.startsWith(PROBLEM_MEDIA_TYPE)) {
    const document = parseObject(body)
    const code = document.get('code')
    const detail = document.get('detail')
    if (typeof code === 'string')
      return new Problem(code, typeof detail === 'string' ? detail : code, status, document)
  }
  return new Problem('unexpected', `the answer was ${status}`, status)
}

/** Whatever was thrown, as a Problem; an abort stays recognisable by its code `operation-cancelled`. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  if (thrown instanceof DOMException && thrown.name === 'AbortError')
    return new Problem('operation-cancelled', 'cancelled', 0, new Map(), { cause: thrown })
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  // fetch() throws a TypeError, and nothing else, when no answer came.
  return new Problem(
    thrown instanceof TypeError ? 'unreachable' : 'unexpected',
    message,
    0,
    new Map(),
    {
      cause: thrown
    }
  )
}

/** The time a throttled caller may try again, when the problem names one. */
export function retryAt(problem: Problem): Date | undefined {
  const value = problem.facts.get('retryAt')
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  const time = new Date(value)
  return Number.isNaN(time.getTime()) ? undefined : time
}

function parseObject(text: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
  } catch {
    return new Map()
  }
}
