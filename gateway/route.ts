/**
 * One route, declared once: the declaration is what express registers, what `/openapi.json` shows and
 * what the access table of the tests runs through.
 *
 * @module
 */
import type { Request, Response } from 'express'
import { z } from 'zod'
import type { Access, Caller } from './auth.ts'

type Method = 'get' | 'post' | 'patch' | 'delete'

/** A request that has passed authentication, access and validation. */
interface Asked<Path, Query, Body> {
  readonly path: Path
  readonly query: Query
  readonly body: Body
  readonly caller: Caller
  /** Fires when the client goes away before the answer is complete. */
  readonly signal: AbortSignal
  readonly request: Request
  readonly response: Response
}

/** What the answer to a good request looks like. */
export interface AnswerShape {
  readonly status: 200 | 201 | 202 | 204
  readonly description: string
  /** Of the JSON body. What the schema does not name does not leave. */
  readonly schema?: z.ZodType
  /** Media type of a body that the route writes itself. */
  readonly media?: string
}

/** How the body of a request is read. */
type BodyShape =
  | { readonly kind: 'none' }
  /** `optional`: no body at all stands for `{}`. */
  | { readonly kind: 'json'; readonly schema: z.ZodType; readonly optional: boolean }
  /** Read by the route itself, as it arrives. */
  | { readonly kind: 'stream'; readonly media: readonly string[] }

/** A route with its types erased, for the table. */
export interface Route {
  readonly method: Method
  /** As express and people write it: `/documents/:id`. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly pathSchema: z.ZodObject
  readonly querySchema: z.ZodObject
  readonly body: BodyShape
  readonly answer: AnswerShape
  /** The answer holds a secret that is shown once: it is not kept for repetition as long as others are. */
  readonly secret: boolean
  /** Runs the handler; the value is the JSON body, `undefined` where the route answers itself or has none. */
  run(asked: Asked<unknown, unknown, unknown>): Promise<unknown>
}

type Handler<Path, Query, Body, Answer> = (
  asked: Asked<Path, Query, Body>
) => Promise<Answer> | Answer

interface Declaration<Path extends z.ZodObject, Query extends z.ZodObject> {
  readonly method: Method
  readonly path: string
  readonly access: Access
  readonly summary: string
  readonly pathSchema?: Path
  readonly query?: Query
  readonly secret?: boolean
}

const NO_FIELDS = z.strictObject({})

type NoFields = typeof NO_FIELDS

/** A route that answers with JSON, after a JSON body or none. */
export function jsonRoute<
  Answer extends z.ZodType,
  Path extends z.ZodObject = NoFields,
  Query extends z.ZodObject = NoFields,
  Body extends z.ZodType = z.ZodUndefined
>(
  declared: Declaration<Path, Query> & {
    readonly body?: Body
    readonly bodyOptional?: boolean
    readonly answer: Answer
    readonly status?: 200 | 201 | 202
    readonly answers: string
    readonly handle: Handler<z.output<Path>, z.output<Query>, z.output<Body>, z.input<Answer>>
  }
): Route {
  return erase(declared, {
    body: jsonBody(declared.body, declared.bodyOptional),
    answer: {
      status: declared.status ?? 200,
      description: declared.answers,
      schema: declared.answer
    },
    handle: declared.handle
  })
}

/** A route that answers with nothing: 204, or 202 for what is done later. */
export function emptyRoute<
  Path extends z.ZodObject = NoFields,
  Query extends z.ZodObject = NoFields,
  Body extends z.ZodType = z.ZodUndefined
>(
  declared: Declaration<Path, Query> & {
    readonly body?: Body
    /** Media types of a body the route reads itself, instead of `body`. */
    readonly takes?: readonly string[]
    readonly status?: 202 | 204
    readonly answers: string
    readonly handle: Handler<z.output<Path>, z.output<Query>, z.output<Body>, void>
  }
): Route {
  const { takes } = declared
  return erase(declared, {
    body:
      takes === undefined ? jsonBody(declared.body, undefined) : { kind: 'stream', media: takes },
    answer: { status: declared.status ?? 204, description: declared.answers },
    handle: declared.handle
  })
}

/** A route that reads its body as it arrives and answers with JSON. */
export function uploadRoute<
  Answer extends z.ZodType,
  Path extends z.ZodObject = NoFields,
  Query extends z.ZodObject = NoFields
>(
  declared: Declaration<Path, Query> & {
    /** Media types of the body. */
    readonly takes: readonly string[]
    readonly answer: Answer
    readonly status?: 200 | 201
    readonly answers: string
    readonly handle: Handler<z.output<Path>, z.output<Query>, undefined, z.input<Answer>>
  }
): Route {
  return erase(declared, {
    body: { kind: 'stream', media: declared.takes },
    answer: {
      status: declared.status ?? 201,
      description: declared.answers,
      schema: declared.answer
    },
    handle: declared.handle
  })
}

/** A route that writes its answer itself: bytes, or events. */
export function streamRoute<
  Path extends z.ZodObject = NoFields,
  Query extends z.ZodObject = NoFields
>(
  declared: Declaration<Path, Query> & {
    readonly media: string
    readonly answers: string
    readonly handle: Handler<z.output<Path>, z.output<Query>, undefined, void>
  }
): Route {
  return erase(declared, {
    body: { kind: 'none' },
    answer: { status: 200, description: declared.answers, media: declared.media },
    handle: declared.handle
  })
}

function jsonBody(schema: z.ZodType | undefined, optional: boolean | undefined): BodyShape {
  if (schema === undefined) return { kind: 'none' }
  return { kind: 'json', schema, optional: optional ?? false }
}

function erase<Path extends z.ZodObject, Query extends z.ZodObject, Body, Answer>(
  declared: Declaration<Path, Query>,
  {
    body,
    answer,
    handle
  }: {
    body: BodyShape
    answer: AnswerShape
    handle: Handler<z.output<Path>, z.output<Query>, Body, Answer>
  }
): Route {
  return {
    method: declared.method,
    path: declared.path,
    access: declared.access,
    summary: declared.summary,
    pathSchema: declared.pathSchema ?? NO_FIELDS,
    querySchema: declared.query ?? NO_FIELDS,
    body,
    answer,
    secret: declared.secret ?? false,
    // The three parts have passed the schemas these types come from (private.ts, `ask`).
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    run: async (asked) => handle(asked as Asked<z.output<Path>, z.output<Query>, Body>)
  }
}
