/**
 * `/openapi.json`: OpenAPI 3.1 made from the declared routes and their schemas, and from nothing else.
 *
 * @module
 */
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiParameters,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject
} from 'zod-openapi'
import type { Access } from './auth.ts'
import type { AnswerShape, Route } from './route.ts'
import { problem } from './schemas.ts'

/** A table of routes and the path they stand under. */
export interface RouteTable {
  /** Empty, or a path without trailing slash. */
  readonly base: string
  readonly listener: 'private' | 'public'
  readonly routes: readonly Route[]
}

/** The document as JSON text. */
export function openApiText(tables: readonly RouteTable[], version: string): string {
  const paths: Record<string, ZodOpenApiPathsObject[string]> = {}
  for (const { base, listener, routes } of tables)
    for (const route of routes) {
      const path = base + route.path.replace(/:([a-z]+)/g, '{$1}')
      paths[path] = { ...paths[path], [route.method]: operation(route, base, listener) }
    }
  return JSON.stringify(
    createDocument({
      openapi: '3.1.0',
      info: {
        title: 'eLocker gateway',
        version,
        description:
          'The agent over HTTP. Routes tagged `public` are on the public listener, all others on the private one.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
      },
      servers: [{ url: '/' }],
      paths,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'elocker-session',
            description:
              'Set by `POST /api/v1/session`; the name ends in `-<port>` where the address has a port. Changes carry the header `x-elocker: 1`.'
          }
        }
      }
    })
  )
}

function operation(
  route: Route,
  base: string,
  listener: 'private' | 'public'
): ZodOpenApiOperationObject {
  const { answer } = route
  const [first = 'node'] = route.path.split('/').filter((part) => part !== '')
  const parameters: ZodOpenApiParameters = { path: route.pathSchema, query: route.querySchema }
  return {
    operationId: operationId(route, base),
    summary: route.summary,
    tags: [listener === 'public' ? 'public' : first],
    security: security(route.access),
    requestParams: parameters,
    ...requestBody(route),
    responses: {
      [`${answer.status}`]: good(answer),
      default: {
        description: 'A problem (RFC 9457); `code` says which.',
        content: { 'application/problem+json': { schema: problem } }
      }
    }
  }
}

function good({ description, schema, media }: AnswerShape): ZodOpenApiResponseObject {
  if (schema !== undefined) return { description, content: { 'application/json': { schema } } }
  if (media === undefined) return { description }
  return { description, content: { [media]: { schema: { type: 'string', format: 'binary' } } } }
}

function requestBody({ body }: Route): Pick<ZodOpenApiOperationObject, 'requestBody'> {
  switch (body.kind) {
    case 'none':
      break
    case 'json':
      return {
        requestBody: {
          required: !body.optional,
          content: { 'application/json': { schema: body.schema } }
        }
      }
    case 'stream': {
      const bytes = { type: 'string', format: 'binary' } as const
      const content = body.media.map((media) => [
        media,
        media === 'multipart/form-data'
          ? { schema: { type: 'object' as const, properties: { file: bytes }, required: ['file'] } }
          : { schema: bytes }
      ])
      return { requestBody: { required: true, content: Object.fromEntries(content) } }
    }
  }
  return {}
}

/** OAuth-like scopes stand in the list even of a scheme that is not OAuth: OpenAPI 3.1 calls them roles. */
function security(access: Access): Array<Record<string, string[]>> {
  if (access === 'none') return []
  const roles = access === 'any' ? [] : [access]
  return [{ bearer: roles }, { session: roles }]
}

/** `post` `/documents/:id/restore` → `postDocumentsIdRestore`. */
function operationId({ method, path }: Route, base: string): string {
  const words = `${base.replace('/api/v1', '')}${path}`.split(/[^A-Za-z0-9]+/).filter(Boolean)
  return method + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('')
}
