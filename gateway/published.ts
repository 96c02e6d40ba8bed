/**
 * Documents that everyone may read and any page may load: what an issuer publishes so that others can verify.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Request, Response } from 'express'
import type { JsonObject } from '../protocols/credential/json.ts'

export interface Publication {
  readonly value: JsonObject
  /** A JSON media type; no browser runs these. */
  readonly media: string
  /** How long caches may answer in our place, seconds. */
  readonly maxAgeS: number
}

/**
 * Answers with the document, or 304 to who has it. Any origin may read it (no credential is looked at on the way
 * here, so there is nothing that another origin could read with the owner's rights).
 */
export function publish(
  request: Request,
  response: Response,
  { value, media, maxAgeS }: Publication
): void {
  const body = JSON.stringify(value)
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  response.setHeader('access-control-allow-origin', '*')
  response.setHeader('cross-origin-resource-policy', 'cross-origin')
  response.setHeader('cache-control', `public, max-age=${maxAgeS}`)
  response.setHeader('etag', etag)
  if (hasIt(request.headers['if-none-match'], etag)) {
    response.status(304).end()
    return
  }
  response.setHeader('content-type', media)
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

/** RFC 9110 §13.1.2: weak comparison, so what a cache made weak still counts. */
function hasIt(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header
    .split(',', TAGS_MAX)
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag)
}

/** Tags looked at in one header; a cache sends the few it has. */
const TAGS_MAX = 16
