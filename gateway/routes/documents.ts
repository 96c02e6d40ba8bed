/**
 * Documents: adding, finding, reading, changing.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import type { Agent, DocumentFacts } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { etagOf, sendContent } from '../content.ts'
import { documentHeaders } from '../headers.ts'
import { pageOf } from '../paging.ts'
import { invalid } from '../problem.ts'
import { emptyRoute, jsonRoute, streamRoute, uploadRoute, type Route } from '../route.ts'
import {
  addDocumentFields,
  addDocumentQuery,
  byId,
  changeDocument,
  checkDocuments,
  checkReport,
  contentQuery,
  deleteDocumentQuery,
  documentFacts,
  isSet,
  listDocumentsQuery,
  page
} from '../schemas.ts'
import { upload, type Upload } from '../uploads.ts'

export interface DocumentRoutesComponents {
  readonly agent: Agent
  /** Largest document, bytes. */
  readonly uploadBytesMax: number
}

const BODY = ['application/octet-stream', 'multipart/form-data']

export function documentRoutes(components: DocumentRoutesComponents): readonly Route[] {
  return [...listing(components), ...adding(components), ...reading(components)]
}

function adding({ agent, uploadBytesMax }: DocumentRoutesComponents): readonly Route[] {
  return [
    uploadRoute({
      method: 'post',
      path: '/documents',
      access: 'documents:write',
      summary: 'Add a document: its bytes as the body, or as the file of a form',
      query: addDocumentQuery,
      takes: BODY,
      answer: documentFacts,
      answers: 'Sealed and stored',
      handle: async ({ query, request, response, signal }) => {
        checkOpen(agent)
        const incoming = await upload(request, uploadBytesMax)
        const facts = await agent.documents.add(incoming.content, {
          ...namesOf(query, incoming, request),
          signal
        })
        response.setHeader('location', `/api/v1/documents/${facts.id}`)
        return facts
      }
    }),
    uploadRoute({
      method: 'post',
      path: '/documents/:id/versions',
      access: 'documents:write',
      summary: 'Add a version: its bytes as the body, or as the file of a form',
      pathSchema: byId,
      takes: BODY,
      answer: documentFacts,
      answers: 'Sealed and stored',
      handle: async ({ path, request, response, signal }) => {
        // Before a byte is taken: an upload to nowhere is not to be waited for.
        agent.documents.get(path.id)
        const { content } = await upload(request, uploadBytesMax)
        const facts = await agent.documents.addVersion(path.id, content, { signal })
        response.setHeader('location', `/api/v1/documents/${facts.id}`)
        return facts
      }
    })
  ]
}

function listing({ agent }: DocumentRoutesComponents): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/documents',
      access: 'documents:read',
      summary: 'List documents, newest first; `q` searches, `trashed=1` lists the trash',
      query: listDocumentsQuery,
      answer: page(documentFacts),
      answers: 'Documents',
      handle: ({ query }) => pageOf(listed(agent, query), query, ({ id }) => id)
    }),
    jsonRoute({
      method: 'get',
      path: '/documents/:id',
      access: 'documents:read',
      summary: 'What is known of a document',
      pathSchema: byId,
      answer: documentFacts,
      answers: 'The document',
      handle: ({ path }) => agent.documents.get(path.id)
    }),
    jsonRoute({
      method: 'patch',
      path: '/documents/:id',
      access: 'documents:write',
      summary: 'Rename, tag, or say what kind of document it is',
      pathSchema: byId,
      body: changeDocument,
      answer: documentFacts,
      answers: 'The document',
      handle: ({ path, body }) => agent.documents.change(path.id, body)
    }),
    emptyRoute({
      method: 'delete',
      path: '/documents/:id',
      access: 'documents:write',
      summary: 'Put into the trash, or with `permanent=1` delete for good',
      pathSchema: byId,
      query: deleteDocumentQuery,
      answers: 'Gone',
      handle: async ({ path, query }) => {
        if (isSet(query.permanent)) await agent.documents.delete(path.id)
        else await agent.documents.trash(path.id)
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/documents/:id/restore',
      access: 'documents:write',
      summary: 'Take out of the trash',
      pathSchema: byId,
      answer: documentFacts,
      answers: 'The document',
      handle: ({ path }) => agent.documents.restore(path.id)
    })
  ]
}

function reading({ agent }: DocumentRoutesComponents): readonly Route[] {
  return [
    streamRoute({
      method: 'get',
      path: '/documents/:id/content',
      access: 'documents:read',
      summary: 'The bytes of a document; `Range` gives a part',
      pathSchema: byId,
      query: contentQuery,
      media: 'application/octet-stream',
      answers: 'The bytes, to be saved and not shown',
      handle: async ({ path, query, request, response, signal }) => {
        const facts = agent.documents.get(path.id)
        const number = query.version ?? facts.version
        const version = facts.versions.find((known) => known.number === number)
        if (version === undefined)
          throw new LockerError('version-unknown', `document ${facts.id} has no version ${number}`)
        const etag = etagOf(version.root, number)
        documentHeaders(response, { name: facts.name, mediaType: version.mediaType, etag })
        const open = async (
          range: { start: number; end: number } | undefined
        ): Promise<AsyncIterable<Uint8Array>> => {
          const opened = await agent.documents.open(facts.id, {
            version: number,
            signal,
            ...(range === undefined ? {} : { range })
          })
          return opened.content
        }
        await sendContent(request, response, { etag, sizeBytes: version.sizeBytes, open }, signal)
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/documents/check',
      access: 'documents:read',
      summary: 'Read and verify every block of one document, or of all',
      body: checkDocuments,
      bodyOptional: true,
      answer: checkReport,
      answers: 'What was read, and what is damaged',
      handle: ({ body, signal }) => agent.documents.check({ ...body, signal })
    })
  ]
}

function listed(
  agent: Agent,
  { q, trashed }: z.output<typeof listDocumentsQuery>
): readonly DocumentFacts[] {
  const words = q?.trim() ?? ''
  if (isSet(trashed)) {
    if (words !== '')
      throw new LockerError('request-invalid', 'q searches documents outside the trash only')
    return agent.documents.list({ trashed: true })
  }
  return words === '' ? agent.documents.list() : agent.documents.search(words)
}

/** Sealed or absent is said before a byte is taken. */
function checkOpen(agent: Agent): void {
  if (agent.vault.state === 'new')
    throw new LockerError('vault-absent', 'no locker has been created')
  if (agent.vault.state !== 'open') throw new LockerError('vault-sealed', 'the locker is locked')
}

/** The query goes before the form: a script that says a name means it. */
function namesOf(
  query: z.output<typeof addDocumentQuery>,
  incoming: Upload,
  request: IncomingMessage
): { name: string; tags?: readonly string[]; type?: string } {
  const given = fieldsOf(incoming)
  const name = query.name ?? given.name
  if (name === undefined)
    throw new LockerError(
      'request-invalid',
      `a document needs a name: say it as ?name= (${request.method} with a raw body)`
    )
  const tags = query.tag === undefined ? given.tag : [query.tag].flat()
  const type = query.type ?? given.type
  return {
    name,
    ...(tags === undefined ? {} : { tags }),
    ...(type === undefined ? {} : { type })
  }
}

function fieldsOf({ fields, name }: Upload): z.output<typeof addDocumentFields> {
  const of = (wanted: string): string[] =>
    fields.filter(([field]) => field === wanted).map(([, value]) => value)
  const unknown = fields.filter(([field]) => !['name', 'type', 'tag'].includes(field))
  if (unknown.length > 0)
    throw new LockerError('request-invalid', 'the form has fields that are not known here')
  const [named = name] = of('name')
  const [type] = of('type')
  const tags = of('tag')
  const given = {
    ...(named === undefined ? {} : { name: named }),
    ...(type === undefined ? {} : { type }),
    ...(tags.length === 0 ? {} : { tag: tags })
  }
  const result = addDocumentFields.safeParse(given)
  if (!result.success) throw invalid('body', result.error, given)
  return result.data
}
