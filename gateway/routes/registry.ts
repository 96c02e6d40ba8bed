/**
 * The institution's own records, from which it issues.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { actorOf } from '../auth.ts'
import { mediaTypeOf } from '../body.ts'
import {
  importQuery,
  importReport,
  matchAnswer,
  recordCounts,
  recordFacts,
  recordOf,
  recordPage,
  recordQuery,
  recordsOf
} from '../issuing-schemas.ts'
import { jsonLines } from '../json-lines.ts'
import { emptyRoute, jsonRoute, uploadRoute, type Route } from '../route.ts'
import { isSet } from '../schemas.ts'
import { upload } from '../uploads.ts'
import { jsonObject } from '../vcalm.ts'

/** Largest file of records taken, bytes: a quarter of a million records of 1 KiB, with slack. */
const IMPORT_BYTES_MAX = 1024 ** 3

export function registryRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [...together(agent), importRoute(agent), ...single(agent)]
}

function together({ registry }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/issuer/records',
      access: 'registry:read',
      summary: 'How many records there are, by type',
      answer: recordCounts,
      answers: 'Counts',
      handle: async () => ({
        items: [...(await registry.counts())].map(([type, records]) => ({ type, records }))
      })
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/records/:type',
      access: 'registry:read',
      summary: 'Records in which every word of `q` is found, newest first',
      pathSchema: recordsOf,
      query: recordQuery,
      answer: recordPage,
      answers: 'Records, and how many there are in all',
      handle: async ({ path, query: { q, ...rest } }) => {
        const found = await registry.search(path.type, {
          ...rest,
          ...(q === undefined ? {} : { query: q })
        })
        return { total: found.total, items: found.records }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/issuer/records/:type/match',
      access: 'registry:read',
      summary: 'Which records fit what a holder fills in: none, one or many',
      pathSchema: recordsOf,
      body: jsonObject,
      answer: matchAnswer,
      answers: 'How many fit, and which',
      handle: async ({ path, body }) => {
        const match = await registry.match(path.type, body)
        if (match.outcome === 'one') return { outcome: 'one' as const, records: [match.record] }
        return match
      }
    })
  ]
}

function importRoute({ registry }: Agent): Route {
  return uploadRoute({
    method: 'post',
    path: '/issuer/records/:type/import',
    access: 'registry:change',
    summary: 'Take records from a file as it arrives: CSV, or one JSON object a line',
    takes: ['text/csv', 'application/x-ndjson'],
    pathSchema: recordsOf,
    query: importQuery,
    status: 200,
    answer: importReport,
    answers: 'What it came to, and the first rows that do not fit',
    handle: async ({ path, query: { key, whole }, caller, request, signal }) => {
      const { content } = await upload(request, IMPORT_BYTES_MAX)
      const options = {
        by: actorOf(caller),
        signal,
        whole: isSet(whole),
        ...(key === undefined ? {} : { key: [key].flat() })
      }
      const media = mediaTypeOf(request)
      if (media === 'text/csv') return registry.importCsv(path.type, content, options)
      if (media === 'application/x-ndjson')
        return registry.import(path.type, jsonLines(content), options)
      throw new LockerError(
        'request-unsupported',
        'records come as text/csv or application/x-ndjson'
      )
    }
  })
}

function single({ registry }: Agent): readonly Route[] {
  return [
    jsonRoute({
      method: 'post',
      path: '/issuer/records/:type',
      access: 'registry:change',
      summary: 'Add a record',
      pathSchema: recordsOf,
      body: jsonObject,
      status: 201,
      answer: recordFacts,
      answers: 'The record',
      handle: ({ path, body, caller }) => registry.put(path.type, body, { by: actorOf(caller) })
    }),
    jsonRoute({
      method: 'get',
      path: '/issuer/records/:type/:id',
      access: 'registry:read',
      summary: 'One record',
      pathSchema: recordOf,
      answer: recordFacts,
      answers: 'The record',
      handle: ({ path }) => ofType(registry, path)
    }),
    jsonRoute({
      method: 'patch',
      path: '/issuer/records/:type/:id',
      access: 'registry:change',
      summary: 'Put other claims in the place of a record’s',
      pathSchema: recordOf,
      body: jsonObject,
      answer: recordFacts,
      answers: 'The record',
      handle: async ({ path, body, caller }) => {
        await ofType(registry, path)
        return registry.put(path.type, body, { id: path.id, by: actorOf(caller) })
      }
    }),
    emptyRoute({
      method: 'delete',
      path: '/issuer/records/:type/:id',
      access: 'registry:change',
      summary: 'Remove a record',
      pathSchema: recordOf,
      answers: 'Removed',
      handle: async ({ path, caller }) => {
        await ofType(registry, path)
        await registry.remove(path.id, { by: actorOf(caller) })
      }
    })
  ]
}

/** The record, when it is of the type its address names. Throws `record-unknown`. */
async function ofType(
  registry: Agent['registry'],
  { type, id }: { type: string; id: string }
): ReturnType<Agent['registry']['get']> {
  const record = await registry.get(id)
  if (record.type !== type)
    throw new LockerError('record-unknown', `no record ${id} of the type ${type}`)
  return record
}
