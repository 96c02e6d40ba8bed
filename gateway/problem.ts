/**
 * Errors as RFC 9457 problem details: one table from error code to HTTP status, and what of an error may
 * leave.
 *
 * `type` is stable and names the code; `detail` is the error's own sentence (fact and value, no secret);
 * `instance` names this one request, so that a report can be found in the log. Input is never written
 * into a header, control and direction characters are cut from `detail`, and the body escapes `<`, so
 * that a browser that ignores the content type still finds no markup in it.
 *
 * @module
 */
import type { Response } from 'express'
import type { z } from 'zod'
import { LockerError, type ErrorFacts, type LockerErrorCode } from '../agent/errors.ts'

/** `type` is this and the code. */
export const PROBLEM_BASE = 'https://elocker.example/problems/'

/** Longest `detail`, characters: a sentence with one identifier of a DID's length in it. */
const DETAIL_MAX = 1_000

/** Invalid fields listed, so that a hostile body does not get an answer larger than itself. */
const FIELD_ERRORS_MAX = 20

/** Invalid fields named in the sentence itself: it stays one that is read. */
const FIELDS_NAMED_MAX = 3

interface Kind {
  readonly status: number
  readonly title: string
}

/** Total: a new code does not compile until it has a status. */
export const PROBLEMS: Readonly<Record<LockerErrorCode, Kind>> = {
  'vault-absent': { status: 409, title: 'No locker has been created here' },
  'vault-exists': { status: 409, title: 'A locker exists here already' },
  'vault-sealed': { status: 423, title: 'The locker is locked' },
  'vault-secret-wrong': { status: 403, title: 'The secret does not open the locker' },
  'vault-throttled': { status: 429, title: 'Too many wrong secrets' },
  'vault-damaged': { status: 500, title: 'The locker cannot be read' },
  'passphrase-weak': { status: 422, title: 'The passphrase is too weak' },
  'words-invalid': { status: 422, title: 'The recovery words are not right' },
  'integrity-failed': { status: 500, title: 'Stored data is not what was stored' },
  'records-damaged': { status: 500, title: 'Records are lost or changed' },
  'storage-full': { status: 507, title: 'The disk is full' },
  'storage-failed': { status: 500, title: 'The disk failed' },
  'home-locked': { status: 409, title: 'Another process uses this locker' },
  'port-taken': { status: 409, title: 'The port is taken' },
  'config-invalid': { status: 500, title: 'The configuration is not valid' },
  'document-unknown': { status: 404, title: 'No such document' },
  'document-damaged': { status: 500, title: 'The document is damaged' },
  'document-too-large': { status: 413, title: 'The document is too large' },
  'document-trashed': { status: 409, title: 'The document is in the trash' },
  'version-unknown': { status: 404, title: 'No such version' },
  'range-invalid': { status: 416, title: 'The range lies outside the document' },
  'contact-unknown': { status: 404, title: 'No such contact' },
  'contact-ambiguous': { status: 409, title: 'More than one contact has this name' },
  'contact-exists': { status: 409, title: 'A contact has this name already' },
  'invitation-invalid': { status: 422, title: 'The invitation cannot be read' },
  'invitation-expired': { status: 410, title: 'The invitation has expired' },
  'invitation-used': { status: 409, title: 'The invitation has been used' },
  'did-unresolvable': { status: 422, title: 'The identifier cannot be resolved' },
  'envelope-malformed': { status: 400, title: 'The envelope cannot be read' },
  'envelope-unauthenticated': { status: 400, title: 'The envelope proves no sender' },
  'envelope-unsupported': { status: 400, title: 'The envelope is of a kind not supported' },
  'envelope-too-large': { status: 413, title: 'The envelope is too large' },
  'message-invalid': { status: 400, title: 'The message is not valid' },
  'message-expired': { status: 410, title: 'The message has expired' },
  'peer-unreachable': { status: 504, title: 'The other agent cannot be reached' },
  'peer-refused': { status: 502, title: 'The other agent refused' },
  'outbox-full': { status: 503, title: 'The outbox is full' },
  'spool-full': { status: 503, title: 'No more messages are taken while the locker is locked' },
  'grant-unknown': { status: 404, title: 'No such share' },
  'grant-expired': { status: 410, title: 'The share has expired' },
  'grant-revoked': { status: 410, title: 'The share has been revoked' },
  'grant-used-up': { status: 410, title: 'The share has been used up' },
  'grant-state': { status: 409, title: 'The state of the share does not allow this' },
  // The same as unknown: who asks must not learn that a share of others exists.
  'grant-not-yours': { status: 404, title: 'No such share' },
  'link-unknown': { status: 404, title: 'No such link' },
  'link-expired': { status: 410, title: 'The link has expired' },
  'link-used-up': { status: 410, title: 'The link has been used up' },
  'link-stopped': { status: 410, title: 'The link has been stopped' },
  'link-proof-wrong': { status: 403, title: 'The link does not open with this' },
  'inbox-unknown': { status: 404, title: 'No such inbox item' },
  'issuer-absent': { status: 409, title: 'No issuer has been set up here' },
  'issuer-state': { status: 409, title: 'The issuer does not allow this' },
  'type-unknown': { status: 404, title: 'No such credential type' },
  'type-invalid': { status: 422, title: 'The credential type is not valid' },
  'type-state': { status: 409, title: 'The state of the credential type does not allow this' },
  'credential-unknown': { status: 404, title: 'No such credential' },
  'credential-absent': { status: 422, title: 'No credential in it' },
  'claims-invalid': { status: 422, title: 'The claims do not fit their type' },
  'credential-state': { status: 409, title: 'The state of the credential does not allow this' },
  'registry-invalid': { status: 422, title: 'The record does not fit its type' },
  'record-unknown': { status: 404, title: 'No such record' },
  'record-ambiguous': { status: 409, title: 'More than one record fits' },
  'staff-unknown': { status: 404, title: 'No such member of staff' },
  'role-forbidden': { status: 403, title: 'This role may not do that' },
  'exchange-unknown': { status: 404, title: 'No such exchange' },
  'exchange-state': { status: 409, title: 'The state of the exchange does not allow this' },
  'certificate-invalid': { status: 422, title: 'The certificate cannot be made from this' },
  'certificate-failed': { status: 500, title: 'The certificate could not be made' },
  'certificate-busy': { status: 503, title: 'Too many certificates are waiting' },
  'template-unknown': { status: 404, title: 'No such certificate template' },
  'template-invalid': { status: 422, title: 'The certificate template is not right' },
  'request-invalid': { status: 400, title: 'The request is not valid' },
  'request-too-large': { status: 413, title: 'The request is too large' },
  'request-conflict': { status: 409, title: 'The same request is still running' },
  'request-mismatch': { status: 422, title: 'The idempotency key was used for another request' },
  'request-unsupported': { status: 415, title: 'The format of the request is not supported' },
  'request-misdirected': { status: 421, title: 'This server does not answer to that name' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed here' },
  'precondition-failed': { status: 412, title: 'The document is another version' },
  'not-authenticated': { status: 401, title: 'Authentication is needed' },
  'not-allowed': { status: 403, title: 'Not allowed' },
  'not-found': { status: 404, title: 'Not found' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'gateway-busy': { status: 503, title: 'Too many open streams' },
  'internal-fault': { status: 500, title: 'A fault of eLocker itself' },
  'token-unknown': { status: 404, title: 'No such token' },
  'backup-damaged': { status: 422, title: 'The backup is damaged' },
  'backup-exists': { status: 409, title: 'The backup exists already' },
  'operation-cancelled': { status: 499, title: 'The request was given up by the client' }
}

/** Members of every problem; facts of the error may stand beside them, never over them. */
const RESERVED = new Set(['type', 'title', 'status', 'detail', 'instance', 'code', 'errors'])

/** One field that does not fit its schema. */
interface FieldError {
  /** JSON pointer (RFC 6901) into the body, or `query/<name>`. */
  readonly pointer: string
  readonly detail: string
}

/**
 * The error every route throws for input that does not fit its schema. Its sentence names the first fields,
 * since a person at a command line sees nothing else; `facts.errors` lists them all.
 *
 * @param value - What was checked: its fields are measured (type, length), never repeated. A body may hold a
 * passphrase.
 */
export function invalid(
  part: 'body' | 'query' | 'path',
  error: z.ZodError,
  value: unknown
): LockerError {
  const errors = error.issues.slice(0, FIELD_ERRORS_MAX).map((issue): FieldError => ({
    pointer: `${part === 'body' ? '' : part}${issue.path.map((key) => `/${segment(key)}`).join('')}`,
    detail: fieldDetail(issue, fieldAt(value, issue.path))
  }))
  const named = error.issues.slice(0, FIELDS_NAMED_MAX).map((issue, index) => {
    const field = issue.path.map(segment).join('.')
    return `${field === '' ? 'it' : field} ${errors[index]?.detail ?? ''}`
  })
  const more = error.issues.length - named.length
  return new LockerError(
    'request-invalid',
    `the ${part} does not fit: ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    { facts: { errors } }
  )
}

/** The field an issue speaks of; own members only, so that a name like `constructor` finds nothing. */
function fieldAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let field = value
  for (const key of path)
    field =
      typeof field === 'object' && field !== null && Object.hasOwn(field, key)
        ? Reflect.get(field, key)
        : undefined
  return field
}

/** A key of the input, when it is one an honest client would send. */
function segment(key: PropertyKey): string {
  const text = String(key)
  return /^[A-Za-z0-9_-]{1,40}$/.test(text) ? text : '?'
}

/** Zod's own messages repeat the input, so these are ours: what the field must be, and how it is not. */
function fieldDetail(issue: z.core.$ZodIssue, field: unknown): string {
  if (field === undefined && issue.code !== 'unrecognized_keys') return 'is missing'
  switch (issue.code) {
    case 'invalid_type':
      return `must be of type ${issue.expected}, is ${typeOf(field)}`
    case 'too_big':
      return `must be at most ${issue.maximum}${unit(issue.origin)}${measure(field)}`
    case 'too_small':
      return `must be at least ${issue.minimum}${unit(issue.origin)}${measure(field)}`
    case 'invalid_format':
      // A pattern says nothing to a person; our schemas say beside it what it stands for.
      return issue.format === 'regex' && !issue.message.startsWith('Invalid ')
        ? issue.message
        : `must have the format ${issue.format}`
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'unrecognized_keys':
      return unknownMembers(issue.keys)
    case 'invalid_value':
      return `must be one of: ${issue.values.map(String).join(', ')}`
    case 'invalid_union':
      return 'fits none of the allowed forms'
    case 'invalid_key':
      return 'has a member name that is not allowed'
    case 'invalid_element':
      return 'has an element that is not valid'
    case 'custom':
      break
  }
  return issue.message
}

/** A misspelt name is named, when it is a plain word. */
function unknownMembers(keys: readonly string[]): string {
  const plain = keys.filter((key) => segment(key) === key).slice(0, FIELDS_NAMED_MAX)
  const which = plain.length === 0 ? '' : `: ${plain.join(', ')}`
  return `has members that are not known here${which}`
}

function typeOf(field: unknown): string {
  if (field === null) return 'null'
  return Array.isArray(field) ? 'array' : typeof field
}

function measure(field: unknown): string {
  if (typeof field === 'string' || Array.isArray(field)) return `, has ${field.length}`
  return typeof field === 'number' ? `, is ${field}` : ''
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' || origin === 'set' ? ' elements' : ''
}

/** The body of a problem, ready for JSON. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly instance: string
  readonly code: LockerErrorCode
  readonly [fact: string]: unknown
}

/**
 * What of an error may leave. An error that was not thrown on purpose leaves nothing but its request's id.
 *
 * @param requestId - Id of the request, in the log and in `instance`.
 */
export function problemOf(
  error: unknown,
  requestId: string,
  listener: 'private' | 'public' = 'private'
): Problem {
  const known = asLockerError(error)
  const { title } = PROBLEMS[known.code]
  const status = statusOf(known.code, listener)
  return {
    ...facts(known.facts),
    type: `${PROBLEM_BASE}${known.code}`,
    title,
    status,
    detail: printable(known.message),
    instance: `urn:elocker:request:${requestId}`,
    code: known.code,
    ...('errors' in known.facts ? { errors: known.facts['errors'] } : {})
  }
}

/** To a stranger a locked locker is a service that comes back: 503, which says when to ask again. */
function statusOf(code: LockerErrorCode, listener: 'private' | 'public'): number {
  return code === 'vault-sealed' && listener === 'public' ? 503 : PROBLEMS[code].status
}

/** The error as one of the closed list; everything unforeseen is `internal-fault` with the error as cause. */
export function asLockerError(error: unknown): LockerError {
  if (error instanceof LockerError) return error
  // What express' router throws for a path that does not percent-decode.
  if (error instanceof URIError || memberOf(error, 'status') === 400)
    return new LockerError('request-invalid', 'the request cannot be read', { cause: error })
  if (memberOf(error, 'name') === 'AbortError')
    return new LockerError('operation-cancelled', 'the client closed the connection', {
      cause: error
    })
  return new LockerError('internal-fault', 'something went wrong inside eLocker', { cause: error })
}

/** A member of whatever was thrown. */
export function memberOf(thrown: unknown, name: string): unknown {
  return typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, name) : undefined
}

/**
 * Answers with the problem, unless the answer has begun: then the connection is cut, so that the client
 * notices that the body is not whole.
 */
export function sendProblem(
  response: Response,
  error: unknown,
  { requestId, now, listener }: { requestId: string; now: Date; listener: 'private' | 'public' }
): Problem {
  const problem = problemOf(error, requestId, listener)
  if (response.headersSent) {
    response.destroy()
    return problem
  }
  for (const name of [
    'etag',
    'content-disposition',
    'accept-ranges',
    'content-length',
    'content-range'
  ])
    response.removeHeader(name)
  const size = problem['size']
  if (problem.code === 'not-authenticated')
    response.setHeader('www-authenticate', 'Bearer realm="eLocker"')
  if (problem.code === 'range-invalid' && typeof size === 'number')
    response.setHeader('content-range', `bytes */${size}`)
  if (problem.status === 429 || problem.status === 503)
    if (!response.hasHeader('retry-after'))
      response.setHeader('retry-after', retryAfter(problem['retryAt'], now))
  response.setHeader('cache-control', 'no-store')
  response.status(problem.status)
  response.setHeader('content-type', 'application/problem+json')
  response.end(JSON.stringify(problem).replaceAll('<', '\\u003c'))
  return problem
}

/** Seconds, RFC 9110 §10.2.3. The fact is an instant; without one a minute is a fair guess. */
function retryAfter(retryAt: unknown, now: Date): string {
  const at = typeof retryAt === 'string' ? Date.parse(retryAt) : Number.NaN
  return Number.isNaN(at) ? '60' : String(Math.max(1, Math.ceil((at - now.getTime()) / 1_000)))
}

function facts(given: ErrorFacts): ErrorFacts {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !RESERVED.has(name)))
}

/** Without control characters (C0, C1) and without the marks that turn the direction of text. */
function printable(text: string): string {
  const plain = text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, ' ')
  return plain.length > DETAIL_MAX ? `${plain.slice(0, DETAIL_MAX)}…` : plain
}
