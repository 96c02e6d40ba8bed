/**
 * What a route of the mock gateway is, and how it refuses.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request that has passed the mock's access rules. */
export interface Call {
  readonly body: Readonly<Record<string, unknown>>
  readonly raw: Buffer
  readonly url: URL
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** Answers with JSON, bytes, or nothing (204). */
type Handler = (call: Call, ...parts: string[]) => unknown
/** `path` is matched below /api/v1; its groups are handed on. */
export type Route = readonly [method: string, path: RegExp, handle: Handler]

/** Thrown by a handler: becomes a problem document. */
export class Refused extends Error {
  readonly status: number
  readonly code: string
  readonly facts: object

  constructor(status: number, code: string, facts: object = {}) {
    super(code)
    this.status = status
    this.code = code
    this.facts = facts
  }
}
