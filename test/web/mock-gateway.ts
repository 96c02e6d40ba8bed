/**
 * A stand-in for the private listener: the HTTP contract over a sample locker in memory, with the page's
 * own security headers. It lets every screen be looked at in states that take minutes to bring about with
 * real agents; what the two must agree on is tested against the real gateway in locker-page.test.ts.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AgentEvent, ContactFacts, LinkFacts } from '../../agent/agent.ts'
import { holding, institution, nobodys, offersOf } from './mock-credentials.ts'
import { type Call, Refused, type Route } from './mock-route.ts'
import { sampleCredentials, sampleExchanges } from './sample-credentials.ts'
import {
  MARIA,
  SAMPLE_KIT,
  ago,
  inboxOf,
  sampleActivity,
  sampleContacts,
  sampleDocument,
  sampleDocuments,
  sampleGrants,
  sampleInvitation,
  sampleLinks,
  sampleOutbox,
  sampleRequests,
  sampleTokens
} from './sample-locker.ts'

/** Where `vite build gateway/web` writes. */
const PAGE_FOLDER = fileURLToPath(new URL('../../gateway/web/dist', import.meta.url))

/** What the page must do with: nothing inline, nothing from elsewhere (gateway/headers.ts). */
const STRICT_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The one passphrase the mock opens to, and the one-time token it takes. */
export const PASSPHRASE = 'correct horse battery staple'
export const TOKEN = 'one-time-token'

const TYPES = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript'],
  ['.mjs', 'text/javascript'],
  ['.css', 'text/css'],
  ['.svg', 'image/svg+xml'],
  ['.woff2', 'font/woff2'],
  ['.wasm', 'application/wasm']
])

export interface MockOptions {
  readonly vault: 'new' | 'sealed' | 'open'
  /** Whether the sample locker is in it. */
  readonly full: boolean
  readonly peers?: number
}

export interface MockGateway {
  readonly url: string
  /** Every path that was asked for. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/** Listens on loopback, on a free port. */
export async function startMockGateway(options: MockOptions): Promise<MockGateway> {
  const asked: string[] = []
  const streams = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    asked.push(url.pathname)
    answer(request, response, url).catch((error: unknown) => refuse(response, error))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`
  const routes = routesOf(options, origin, streams)

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL
  ): Promise<void> {
    response.setHeader('content-security-policy', STRICT_POLICY)
    response.setHeader('x-content-type-options', 'nosniff')
    const path = url.pathname
    if (path === '/' || path === '/i') return sendFile(response, 'locker/index.html')
    if (path.startsWith('/assets/')) return sendFile(response, path.slice(1))
    if (!path.startsWith('/api/v1/')) throw new Refused(404, 'not-found')
    const known = request.headers.cookie?.includes('elocker-session=1') === true
    const open = path === '/api/v1/node' || path === '/api/v1/session'
    if (!known && !open) throw new Refused(401, 'not-authenticated')
    if (request.method !== 'GET' && request.headers['x-elocker'] !== '1')
      throw new Refused(403, 'not-allowed')
    await handle(request, response, url)
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL
  ): Promise<void> {
    const raw = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>))
    const json = request.headers['content-type'] === 'application/json'
    const body = (json ? JSON.parse(raw.toString()) : {}) as Record<string, unknown>
    for (const [method, pattern, run] of routes) {
      const match = pattern.exec(url.pathname.slice('/api/v1'.length))
      if (method !== request.method || match === null) continue
      const parts = match.slice(1).map(decodeURIComponent)
      const result: unknown = await run({ body, raw, url, request, response }, ...parts)
      if (response.headersSent || response.writableEnded) return
      if (result === undefined) response.writeHead(204).end()
      else if (Buffer.isBuffer(result)) response.end(result)
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(result))
      return
    }
    throw new Refused(404, 'not-found')
  }

  return {
    url: origin,
    asked,
    close: async () => {
      for (const stream of streams) stream.end()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

function routesOf(
  options: MockOptions,
  origin: string,
  streams: Set<ServerResponse>
): readonly Route[] {
  const full = options.full
  const documents = new Map(
    (full ? sampleDocuments() : []).map((document) => [document.facts.id, document])
  )
  for (const { document, name, content } of full ? sampleCredentials() : []) {
    const bytes = Buffer.from(content)
    const made = sampleDocument(document, name, 'application/vc+json', bytes, ago(1_000))
    documents.set(document, made)
  }
  const contacts = full ? sampleContacts() : []
  const grants = full ? sampleGrants() : []
  const links = full ? sampleLinks() : []
  const exchanges = new Map((full ? sampleExchanges() : []).map((one) => [one.thid, one] as const))
  const requests = full ? sampleRequests() : []
  const tokens = full ? sampleTokens() : []
  const invitations = full ? [sampleInvitation(origin)] : []
  let vault = options.vault
  let confirmed = full
  let events = 0

  const emit = (type: AgentEvent['type']): void => {
    events += 1
    for (const stream of streams)
      stream.write(`id: ${events}\ndata: ${JSON.stringify({ number: events, type })}\n\n`)
  }
  const found = (id: string): ReturnType<typeof sampleDocuments>[number] => {
    const document = documents.get(id)
    if (document === undefined) throw new Refused(404, 'document-unknown')
    return document
  }
  const changed = (id: string, facts: object): unknown => {
    const document = { ...found(id), facts: { ...found(id).facts, ...facts } }
    documents.set(id, document)
    emit('document')
    return document.facts
  }
  const lockerRoutes: Route[] = [
    [
      'GET',
      /^\/node$/,
      ({ request }) => ({
        state: vault,
        version: '0.1.0',
        peerId: '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp',
        addresses: {
          private: origin,
          public: full ? 'https://asha.example' : null,
          p2p: ['/ip4/192.0.2.7/tcp/4282', '/ip4/192.0.2.7/tcp/4283/ws']
        },
        peers: options.peers ?? (full ? 3 : 0),
        relay: false,
        damage: 0,
        ...(vault === 'open' && request.headers.cookie?.includes('elocker-session=1')
          ? { name: 'Asha Kulkarni', did: 'did:key:z6Mk', recoveryConfirmed: confirmed }
          : {})
      })
    ],
    [
      'POST',
      /^\/session$/,
      ({ body, response }) => {
        if (body['token'] !== TOKEN) throw new Refused(401, 'not-authenticated')
        response.setHeader('set-cookie', 'elocker-session=1; Path=/; HttpOnly; SameSite=Strict')
      }
    ],
    ['GET', /^\/locker\/slots$/, () => ({ items: [] })],
    [
      'POST',
      /^\/locker$/,
      ({ body }) => {
        if (String(body['passphrase']).length < 12) throw new Refused(422, 'passphrase-weak')
        vault = 'open'
        return { owner: {}, kit: SAMPLE_KIT }
      }
    ],
    ['POST', /^\/locker\/confirm$/, () => void (confirmed = true)],
    ['PATCH', /^\/locker$/, ({ body }) => ({ name: body['name'] })],
    ['POST', /^\/locker\/passphrase$/, ({ body }) => checkPassphrase(body)],
    [
      'POST',
      /^\/locker\/recovery-kit$/,
      ({ body }) => {
        checkPassphrase(body)
        return SAMPLE_KIT
      }
    ],
    [
      'POST',
      /^\/node\/unlock$/,
      ({ body }) => {
        checkPassphrase(body)
        vault = 'open'
        return {}
      }
    ],
    [
      'POST',
      /^\/node\/lock$/,
      () => {
        vault = 'sealed'
        emit('vault')
      }
    ],
    [
      'GET',
      /^\/events$/,
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(': here\n\n')
        streams.add(response)
      }
    ],
    [
      'GET',
      /^\/node\/peers$/,
      () => ({
        items: full
          ? [
              {
                peerId: '12D3KooWQwR5fM9PHy8Hn1sMQw3TLSr1Z1fKxUMrBhfkgBP8YhYd',
                addresses: ['/ip4/192.0.2.9/tcp/4282'],
                direction: 'outbound',
                since: ago(400_000)
              }
            ]
          : []
      })
    ],
    [
      'GET',
      /^\/node\/storage$/,
      () => ({ blocks: 12, bytes: 734_003, documents: documents.size, free: 48_230_000_000 })
    ],
    ['POST', /^\/backups$/, () => Buffer.from('a backup')],
    [
      'POST',
      /^\/backups\/restore$/,
      () => {
        vault = 'sealed'
        return { documents: 6, blocks: 12, bytes: 734_003 }
      }
    ]
  ]

  const documentRoutes: Route[] = [
    [
      'GET',
      /^\/documents$/,
      ({ url }) => {
        const words = (url.searchParams.get('q') ?? '').toLowerCase()
        const trashed = url.searchParams.has('trashed')
        return {
          items: [...documents.values()]
            .map((document) => document.facts)
            .filter((facts) => (facts.trashedAt !== undefined) === trashed)
            .filter((facts) => facts.name.toLowerCase().includes(words))
        }
      }
    ],
    [
      'POST',
      /^\/documents$/,
      ({ url, raw }) => {
        const name = url.searchParams.get('name') ?? ''
        // Never answered: stands for an upload under way.
        if (name.startsWith('slow')) return new Promise(() => undefined)
        if (name.startsWith('full')) throw new Refused(507, 'storage-full', { free: 120_000_000 })
        const id = `new${documents.size}`.padEnd(26, 'b')
        const time = new Date().toISOString()
        const mediaType = name.endsWith('.pdf') ? 'application/pdf' : 'text/plain'
        const facts = {
          id,
          name,
          mediaType,
          sizeBytes: raw.length,
          root: 'bafybeia',
          version: 1,
          versions: [
            { number: 1, root: 'bafybeia', sizeBytes: raw.length, mediaType, addedAt: time }
          ],
          tags: [],
          addedAt: time,
          changedAt: time
        }
        documents.set(id, { facts, content: raw })
        emit('document')
        return facts
      }
    ],
    ['GET', /^\/documents\/([^/]+)$/, (_call, id = '') => found(id).facts],
    ['PATCH', /^\/documents\/([^/]+)$/, ({ body }, id = '') => changed(id, body)],
    [
      'DELETE',
      /^\/documents\/([^/]+)$/,
      ({ url }, id = '') => {
        if (url.searchParams.has('permanent')) documents.delete(id)
        else changed(id, { trashedAt: new Date().toISOString() })
      }
    ],
    [
      'POST',
      /^\/documents\/([^/]+)\/restore$/,
      (_call, id = '') => changed(id, { trashedAt: undefined })
    ],
    [
      'GET',
      /^\/documents\/([^/]+)\/content$/,
      ({ response }, id = '') => {
        response.setHeader('content-disposition', 'attachment')
        return found(id).content
      }
    ],
    [
      'POST',
      /^\/documents\/check$/,
      () => ({ documents: documents.size, blocks: 12, bytes: 734_003, damaged: [] })
    ]
  ]

  const sharingRoutes: Route[] = [
    [
      'GET',
      /^\/shares$/,
      () => ({
        items: [
          ...grants.map((grant) => ({ kind: 'grant', ...grant })),
          ...links.map((link) => ({ kind: 'link', ...link }))
        ]
      })
    ],
    [
      'POST',
      /^\/shares$/,
      ({ body }) => {
        const document = found(String(body['document'])).facts
        if (body['link'] === true) {
          const link: LinkFacts = {
            id: `made${links.length}`.padEnd(26, 'a'),
            document,
            createdAt: ago(0),
            expiresAt: String(body['expiresAt']),
            usesMax: Number(body['usesMax']),
            uses: 0,
            passphrase: 'passphrase' in body,
            state: 'live'
          }
          links.push(link)
          emit('link')
          return { kind: 'link', ...link, url: `${origin}/s/${link.id}#${'k'.repeat(43)}` }
        }
        const contact = contacts.find((one) => one.did === body['to'])
        if (contact === undefined) throw new Refused(404, 'contact-unknown')
        return { kind: 'grant', ...sampleGrants()[1], contact, delivery: 'waiting' }
      }
    ],
    ['DELETE', /^\/shares\/([^/]+)$/, () => ({})],
    [
      'GET',
      /^\/inbox$/,
      () => ({
        items: [...offersOf(exchanges.values()), ...inboxOf(grants, requests)]
      })
    ],
    [
      'POST',
      /^\/inbox\/([^/]+)\/(accept|decline|grant)$/,
      (_call, id = '', deed = '') => {
        const state = deed === 'accept' ? 'accepted' : deed === 'decline' ? 'declined' : 'granted'
        for (const list of [grants, requests] as { id: string }[][])
          for (const [place, one] of list.entries())
            if (one.id === id) list[place] = { ...one, state } as { id: string }
        emit('grant')
        return {}
      }
    ],
    ['GET', /^\/inbox\/([^/]+)\/content$/, () => sampleDocuments()[0]?.content],
    ['GET', /^\/requests$/, () => ({ items: requests })],
    [
      'POST',
      /^\/requests$/,
      ({ body }) => ({
        ...sampleRequests()[1],
        contact: contacts.find((one) => one.did === body['from'])
      })
    ],
    ['GET', /^\/contacts$/, () => ({ items: contacts })],
    [
      'GET',
      /^\/contacts\/([^/]+)$/,
      (_call, did = '') => {
        const contact = contacts.find((one) => one.did === did)
        if (contact === undefined) throw new Refused(404, 'contact-unknown')
        return contact
      }
    ],
    [
      'POST',
      /^\/contacts\/([^/]+)\/ping$/,
      (_call, did = '') => {
        if (did !== MARIA) throw new Refused(504, 'peer-unreachable')
        return { milliseconds: 23.4 }
      }
    ],
    ['GET', /^\/invitations$/, () => ({ items: invitations })],
    ['POST', /^\/invitations$/, () => sampleInvitation(origin)],
    [
      'POST',
      /^\/invitations\/accept$/,
      ({ body }) => {
        if (!String(body['url']).includes('_oob=')) throw new Refused(422, 'invitation-invalid')
        const contact: ContactFacts = {
          did: 'did:peer:2.new',
          ourDid: 'did:peer:2.us-new',
          name: 'Registrar',
          state: 'waiting',
          addedAt: ago(0)
        }
        contacts.push(contact)
        return contact
      }
    ],
    ['GET', /^\/activity$/, () => ({ items: full ? sampleActivity() : [] })],
    ['POST', /^\/activity\/verify$/, () => ({ entries: 7, ok: true })],
    ['GET', /^\/outbox$/, () => ({ items: full ? sampleOutbox() : [] })],
    ['GET', /^\/tokens$/, () => ({ items: tokens })],
    [
      'POST',
      /^\/tokens$/,
      ({ body }) => ({ ...sampleTokens()[0], ...body, token: 'elocker-token-0123456789abcdef' })
    ]
  ]
  const credentialRoutes = full ? [...holding(emit, exchanges), ...institution(emit)] : nobodys()
  return [...lockerRoutes, ...documentRoutes, ...sharingRoutes, ...credentialRoutes]
}

function checkPassphrase(body: Call['body']): void {
  const { passphrase = '' } = body['secret'] as { passphrase?: string }
  if (passphrase === 'slow down')
    // From now on, not from when the sample was made: a whole run takes minutes until it comes here.
    throw new Refused(429, 'vault-throttled', {
      retryAt: new Date(Date.now() + 95_000).toISOString()
    })
  if (passphrase !== PASSPHRASE) throw new Refused(403, 'vault-secret-wrong')
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, code, facts } =
    error instanceof Refused
      ? error
      : { status: 500, code: 'internal-fault', facts: { detail: String(error) } }
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ title: code, detail: code, status, code, ...facts }))
}

async function sendFile(response: ServerResponse, path: string): Promise<void> {
  if (path.includes('..')) throw new Refused(404, 'not-found')
  const content = await readFile(join(PAGE_FOLDER, path)).catch(() => {
    throw new Refused(404, 'not-found')
  })
  response.setHeader('content-type', TYPES.get(extname(path)) ?? 'application/octet-stream')
  response.end(content)
}
