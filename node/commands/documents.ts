/**
 * `elocker add | list | show | get | rm | restore | search | check`: the owner's documents.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { randomBytes } from 'node:crypto'
import type { CheckReport, DocumentFacts, InboxItem } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { systemCode } from '../durable-files.ts'
import { oneOf } from './arguments.ts'
import type { Client } from './client.ts'
import { CommandFailure, EXIT, messageOf } from './outcome.ts'
import { printable, progress, remark, say, size, table, type Voice } from './output.ts'

/** Documents asked for a page. */
const PAGE = 200

/** Times one document's answer may break off: each but the last goes on where the one before stopped. */
const BREAKS_MAX = 8

interface AddOptions {
  readonly name?: string
  readonly tag?: readonly string[]
  readonly type?: string
  /** Id of the document this is a new version of. */
  readonly version?: string
}

/** Adds files (`-` for stdin); goes on after one that fails and then ends with exit code 3. */
export async function add(
  client: Client,
  voice: Voice,
  files: readonly string[],
  options: AddOptions
): Promise<void> {
  if (files.length > 1 && (options.name !== undefined || options.version !== undefined)) {
    throw new CommandFailure(EXIT.usage, 'usage', '--name and --version go with one file')
  }
  const failures: unknown[] = []
  for (const file of files) {
    try {
      const facts = await addOne(client, voice, file, options)
      say(voice, facts, `${facts.id}\t${printable(facts.name)}\t${size(facts.sizeBytes)}`)
    } catch (error) {
      if (files.length === 1) throw error
      failures.push(error)
      remark(voice, `elocker: ${printable(file)}: ${messageOf(error)}`)
    }
  }
  if (failures.length > 0) {
    const exit = failures.length === files.length ? EXIT.failed : EXIT.partial
    throw new CommandFailure(exit, 'partial', `${failures.length} of ${files.length} files failed`)
  }
}

async function addOne(
  client: Client,
  voice: Voice,
  file: string,
  options: AddOptions
): Promise<DocumentFacts> {
  const source = file === '-' ? undefined : await stat(file).catch(missing(file))
  if (source !== undefined && !source.isFile()) {
    throw new CommandFailure(EXIT.usage, 'not-a-file', `${file} is not a file`)
  }
  const query = new URLSearchParams({
    name: options.name ?? (file === '-' ? 'stdin' : basename(file))
  })
  if (options.type !== undefined) query.set('type', options.type)
  for (const tag of options.tag ?? []) query.append('tag', tag)
  const path =
    options.version === undefined
      ? `/api/v1/documents?${query.toString()}`
      : `/api/v1/documents/${await documentId(client, options.version)}/versions`
  const bar = progress(voice, options.name ?? basename(file), source?.size)
  let taken = 0
  const bytes =
    source === undefined ? process.stdin : createReadStream(file, { highWaterMark: 1 << 20 })
  const counted = Readable.from(
    (async function* () {
      for await (const chunk of bytes as AsyncIterable<Buffer>) {
        taken += chunk.length
        bar.at(taken)
        yield chunk
      }
    })(),
    { objectMode: false, highWaterMark: 1 << 20 }
  )
  try {
    return await client.call<DocumentFacts>(path, {
      method: 'POST',
      body: counted,
      ...(source === undefined ? {} : { bytes: source.size })
    })
  } finally {
    bar.end()
  }
}

function missing(file: string): (error: Error) => never {
  return (error) => {
    throw new CommandFailure(
      EXIT.unknown,
      'file-unreadable',
      `cannot read ${file}: ${error.message}`
    )
  }
}

/** Lists documents, newest first; with `query` only those that match all its words. */
export async function list(
  client: Client,
  voice: Voice,
  options: { trashed?: boolean; query?: string }
): Promise<void> {
  const items = await all(client, options)
  table(
    voice,
    items,
    ['id', 'name', 'size', 'kind', 'added'],
    items.map((item) => [
      item.id,
      item.name,
      size(item.sizeBytes),
      item.type ?? item.mediaType,
      item.addedAt.slice(0, 10)
    ]),
    options.query === undefined
      ? 'nothing here yet; add a file with: elocker add FILE'
      : 'nothing matches'
  )
}

async function all(
  client: Client,
  options: { trashed?: boolean; query?: string }
): Promise<DocumentFacts[]> {
  const items: DocumentFacts[] = []
  let cursor: string | undefined
  do {
    const query = new URLSearchParams({ limit: String(PAGE) })
    if (options.trashed === true) query.set('trashed', '1')
    if (options.query !== undefined) query.set('q', options.query)
    if (cursor !== undefined) query.set('cursor', cursor)
    const page = await client.call<{ items: DocumentFacts[]; nextCursor?: string }>(
      `/api/v1/documents?${query.toString()}`
    )
    items.push(...page.items)
    cursor = page.nextCursor
  } while (cursor !== undefined)
  return items
}

/** The full id of a document given by id or by its first characters (four or more). */
export async function documentId(client: Client, prefix: string): Promise<string> {
  if (/^[a-z2-7]{26}$/.test(prefix)) return prefix
  const known = [...(await all(client, {})), ...(await all(client, { trashed: true }))]
  return oneOf(
    known.map((document) => document.id),
    prefix,
    'document-unknown',
    'document'
  )
}

/** Everything known of one document. */
export async function show(client: Client, voice: Voice, id: string): Promise<void> {
  const facts = await client.call<DocumentFacts>(
    `/api/v1/documents/${await documentId(client, id)}`
  )
  const lines: Array<[string, string]> = [
    ['id', facts.id],
    ['name', facts.name],
    ['media type', facts.mediaType],
    ['size', `${size(facts.sizeBytes)} (${facts.sizeBytes} bytes)`],
    ['kind', facts.type ?? ''],
    ['tags', facts.tags.join(', ')],
    ['root', facts.root],
    ['added', facts.addedAt],
    ['changed', facts.changedAt],
    [
      'versions',
      facts.versions.map((version) => `${version.number} (${version.addedAt})`).join(', ')
    ],
    ['in the trash since', facts.trashedAt ?? ''],
    ['copy from', facts.source?.from ?? ''],
    ['damaged blocks', (facts.damagedBlocks ?? []).join(' ')]
  ]
  const shown = lines.filter(([, value]) => value !== '')
  const width = Math.max(...shown.map(([label]) => label.length))
  say(
    voice,
    facts,
    shown.map(([label, value]) => `${label.padEnd(width)}  ${printable(value)}`).join('\n')
  )
}

/**
 * Writes a document, or a received grant's document, to a file or stdout. The file appears whole or not
 * at all: it is written beside its place and renamed.
 */
export async function get(
  client: Client,
  voice: Voice,
  id: string,
  options: { output?: string; version?: string; force?: boolean }
): Promise<void> {
  const path = await contentPath(client, id, options.version)
  const first = await client.stream(path)
  const total = Number(first.headers['content-length'] ?? Number.NaN)
  const bar = progress(voice, 'get', Number.isNaN(total) ? undefined : total)
  let taken = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of whole(client, path, first)) {
      taken += chunk.length
      bar.at(taken)
      yield chunk
    }
  }
  try {
    if (options.output === undefined || options.output === '-') {
      await pipeline(counted, process.stdout, { end: false })
      return
    }
    await writeWhole(options.output, counted, options.force === true)
    say(voice, { id, file: options.output, bytes: taken }, '')
  } finally {
    bar.end()
  }
}

/**
 * The bytes of an answer, to the end. Where it breaks off, the rest is asked for: the agent either goes
 * on, or says what is wrong (a damaged block, a grant taken back, the other side away), which it could
 * not say in the middle of an answer that had begun.
 */
async function* whole(
  client: Client,
  path: string,
  first: IncomingMessage
): AsyncGenerator<Buffer> {
  const total = Number(first.headers['content-length'] ?? Number.NaN)
  let answer = first
  let taken = 0
  for (let breaks = 1; ; breaks += 1) {
    const cause = yield* rest()
    if (taken === total || (Number.isNaN(total) && cause === undefined)) return
    if (Number.isNaN(total) || breaks > BREAKS_MAX) {
      const message = `the agent broke off after ${taken} bytes of ${total}, ${breaks} times`
      throw new CommandFailure(EXIT.failed, 'connection-broken', message)
    }
    answer = await client.stream(path, {
      headers: { range: `bytes=${taken}-`, 'if-match': first.headers.etag ?? '*' }
    })
  }

  /** One answer to its end; the value is the error it broke off with. */
  async function* rest(): AsyncGenerator<Buffer, unknown> {
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        taken += chunk.length
        yield chunk
      }
      return undefined
    } catch (error) {
      const code = systemCode(error)
      if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return error
      throw error
    }
  }
}

async function contentPath(
  client: Client,
  id: string,
  version: string | undefined
): Promise<string> {
  const suffix = version === undefined ? '' : `?version=${encodeURIComponent(version)}`
  try {
    return `/api/v1/documents/${await documentIdKnown(client, id)}/content${suffix}`
  } catch (error) {
    if (!(error instanceof LockerError) || error.code !== 'document-unknown') throw error
    // Not ours: perhaps something a contact lets us read.
    const { items } = await client.call<{ items: InboxItem[] }>('/api/v1/inbox')
    const found = items.find((item) => item.id === id || (id.length >= 4 && item.id.startsWith(id)))
    if (found === undefined) throw error
    return `/api/v1/inbox/${encodeURIComponent(found.id)}/content`
  }
}

async function documentIdKnown(client: Client, id: string): Promise<string> {
  const full = await documentId(client, id)
  return (await client.call<DocumentFacts>(`/api/v1/documents/${full}`)).id
}

export async function writeWhole(
  path: string,
  source: () => AsyncIterable<Buffer>,
  force: boolean
): Promise<void> {
  if (!force && (await stat(path).catch(() => undefined)) !== undefined) {
    throw new CommandFailure(
      EXIT.failed,
      'file-exists',
      `${path} exists; give another name or --force`
    )
  }
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`)
  const handle = await open(partial, 'wx', 0o600)
  try {
    try {
      for await (const chunk of source()) await handle.writeFile(chunk)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

/** Moves documents to the trash, or deletes them for good. */
export async function remove(
  client: Client,
  voice: Voice,
  ids: readonly string[],
  options: { permanent?: boolean }
): Promise<void> {
  for (const id of ids) {
    const full = await documentId(client, id)
    const suffix = options.permanent === true ? '?permanent=1' : ''
    await client.call(`/api/v1/documents/${full}${suffix}`, { method: 'DELETE' })
    say(
      voice,
      { id: full, permanent: options.permanent === true },
      options.permanent === true ? `${full} deleted` : `${full} is in the trash for 30 days`
    )
  }
}

/** Takes a document out of the trash. */
export async function restore(client: Client, voice: Voice, id: string): Promise<void> {
  const full = await documentId(client, id)
  const facts = await client.call<DocumentFacts>(`/api/v1/documents/${full}/restore`, {
    method: 'POST'
  })
  say(voice, facts, `${facts.id} restored`)
}

/** Renames, tags, sets the kind. */
export async function change(
  client: Client,
  voice: Voice,
  id: string,
  facts: { name?: string; tag?: readonly string[]; type?: string }
): Promise<void> {
  const json = {
    ...(facts.name === undefined ? {} : { name: facts.name }),
    ...(facts.tag === undefined ? {} : { tags: facts.tag.filter((tag) => tag !== '') }),
    ...(facts.type === undefined ? {} : { type: facts.type === '' ? null : facts.type })
  }
  const full = await documentId(client, id)
  const changed = await client.call<DocumentFacts>(`/api/v1/documents/${full}`, {
    method: 'PATCH',
    json
  })
  say(voice, changed, `${changed.id} changed`)
}

/** Re-reads and verifies every block; exit code 7 when any is damaged or missing. */
export async function check(client: Client, voice: Voice, id: string | undefined): Promise<void> {
  const json = id === undefined ? {} : { id: await documentId(client, id) }
  const report = await client.call<CheckReport>('/api/v1/documents/check', { method: 'POST', json })
  const lines = report.damaged.map(
    (one) =>
      `${one.id}  ${printable(one.name)}, version ${one.version}: damaged or missing ${one.blocks.join(' ')}`
  )
  lines.push(
    `${report.documents} documents, ${report.blocks} blocks, ${size(report.bytes)}: ${report.damaged.length === 0 ? 'all sound' : `${report.damaged.length} damaged`}`
  )
  say(voice, report, lines.join('\n'))
  if (report.damaged.length > 0) process.exitCode = EXIT.invalid
}
