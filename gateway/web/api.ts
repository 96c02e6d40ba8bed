/**
 * The page's one way to the private listener. Every call returns what was asked or throws a
 * {@link Problem}; nothing here knows a screen.
 *
 * The session is a cookie the page cannot read. `x-elocker: 1` on every change is what a page of another
 * origin cannot send without asking first (gateway/auth.ts).
 *
 * @module
 */
import type { JsonObject } from '../../protocols/credential/json.ts'
import { Problem, asProblem, problemOf } from './problem.ts'
import type {
  ActivityEntry,
  CheckReport,
  ContactFacts,
  CredentialFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem,
  InvitationFacts,
  IssuanceFacts,
  IssuedFacts,
  IssuerFacts,
  LinkFacts,
  Listed,
  NodeState,
  OutboxItem,
  OwnerFacts,
  PeerFacts,
  Permission,
  RecoveryKit,
  RequestFacts,
  Secret,
  ShareFacts,
  StorageFacts,
  TokenFacts,
  TypeFacts,
  Verification
} from './wire.ts'

const BASE = '/api/v1'
/** Pages of one list that are fetched on end: 25,000 documents are more than a page can list usefully. */
const PAGES_MAX = 50
/** Items on a page; the most the server gives. */
const PAGE_ITEMS = 500
/** Activity entries fetched at once. */
const ENTRIES = 100

type Query = Readonly<Record<string, string | number | undefined>>

/** How far an upload has come, bytes of the file. */
export interface UploadProgress {
  readonly sent: number
  readonly total: number
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly query?: Query
  readonly json?: unknown
  /** A body as it is, instead of `json`. */
  readonly text?: string
  readonly signal?: AbortSignal | undefined
}

/** Who is asked, and how the process is doing. Answers without a session too, with less in it. */
export function node(signal?: AbortSignal): Promise<NodeState> {
  return call('/node', { signal })
}

/** Exchanges the one-time token of the printed address for a session cookie. */
export function startSession(token: string): Promise<void> {
  return call('/session', { method: 'POST', json: { token } })
}

/** Whether this browser has a session: the slots are for the owner only, in every state of the vault. */
export async function hasSession(): Promise<boolean> {
  try {
    await call('/locker/slots')
    return true
  } catch (thrown) {
    const problem = asProblem(thrown)
    if (problem.status === 401 || problem.status === 403) return false
    if (problem.status === 0) throw problem
    // Any other refusal (no locker yet, sealed) was made to a caller that is known.
    return true
  }
}

export const locker = {
  create: (name: string, passphrase: string): Promise<{ owner: OwnerFacts; kit: RecoveryKit }> =>
    call('/locker', { method: 'POST', json: { name, passphrase } }),
  confirm: (words: Readonly<Record<string, string>>): Promise<void> =>
    call('/locker/confirm', { method: 'POST', json: { words } }),
  rename: (name: string): Promise<OwnerFacts> =>
    call('/locker', { method: 'PATCH', json: { name } }),
  changePassphrase: (secret: Secret, passphrase: string): Promise<void> =>
    call('/locker/passphrase', { method: 'POST', json: { secret, passphrase } }),
  newRecoveryKit: (secret: Secret): Promise<RecoveryKit> =>
    call('/locker/recovery-kit', { method: 'POST', json: { secret } }),
  unlock: (secret: Secret): Promise<OwnerFacts> =>
    call('/node/unlock', { method: 'POST', json: { secret } }),
  lock: (): Promise<void> => call('/node/lock', { method: 'POST' })
}

export const documents = {
  list: (
    options: { q?: string; trashed?: boolean } = {},
    signal?: AbortSignal
  ): Promise<readonly DocumentFacts[]> =>
    everything<DocumentFacts>(
      '/documents',
      { q: options.q === '' ? undefined : options.q, trashed: options.trashed ? 1 : undefined },
      signal
    ),
  get: (id: string, signal?: AbortSignal): Promise<DocumentFacts> =>
    call(documentPath(id), { signal }),
  change: (
    id: string,
    facts: { name?: string; tags?: readonly string[]; type?: string | null }
  ): Promise<DocumentFacts> => call(documentPath(id), { method: 'PATCH', json: facts }),
  trash: (id: string): Promise<void> => call(documentPath(id), { method: 'DELETE' }),
  restore: (id: string): Promise<DocumentFacts> =>
    call(`${documentPath(id)}/restore`, { method: 'POST' }),
  remove: (id: string): Promise<void> =>
    call(documentPath(id), { method: 'DELETE', query: { permanent: 1 } }),
  check: (id?: string): Promise<CheckReport> =>
    call('/documents/check', { method: 'POST', json: id === undefined ? {} : { id } }),
  /** Where the bytes are; for `href` and for {@link bytes}. */
  contentUrl: (id: string, version?: number): string =>
    `${BASE}${documentPath(id)}/content${version === undefined ? '' : `?version=${version}`}`,
  add: (
    file: File,
    onProgress: (progress: UploadProgress) => void,
    signal: AbortSignal
  ): Promise<DocumentFacts> =>
    upload(`/documents?name=${encodeURIComponent(file.name)}`, file, onProgress, signal),
  addVersion: (
    id: string,
    file: File,
    onProgress: (progress: UploadProgress) => void,
    signal: AbortSignal
  ): Promise<DocumentFacts> => upload(`${documentPath(id)}/versions`, file, onProgress, signal)
}

export const shares = {
  list: async (signal?: AbortSignal): Promise<readonly ShareFacts[]> =>
    everything<ShareFacts>('/shares', {}, signal),
  give: (options: {
    document: string
    to: string
    purpose: string
    permission?: Permission
    expiresAt?: string
    request?: string
  }): Promise<{ kind: 'grant' } & GrantFacts> => call('/shares', { method: 'POST', json: options }),
  link: (options: {
    document: string
    usesMax: number
    expiresAt?: string
    passphrase?: string
    purpose?: string
  }): Promise<{ kind: 'link'; url: string } & LinkFacts> =>
    call('/shares', { method: 'POST', json: { ...options, link: true } }),
  stop: (id: string, reason?: string): Promise<void> =>
    call(`/shares/${encodeURIComponent(id)}`, {
      method: 'DELETE',
      ...(reason === undefined || reason === '' ? {} : { json: { reason } })
    })
}

export const inbox = {
  list: (signal?: AbortSignal): Promise<readonly InboxItem[]> =>
    everything<InboxItem>('/inbox', {}, signal),
  accept: (id: string): Promise<GrantFacts> =>
    call(`/inbox/${encodeURIComponent(id)}/accept`, { method: 'POST' }),
  decline: (id: string, reason?: string): Promise<unknown> =>
    call(`/inbox/${encodeURIComponent(id)}/decline`, {
      method: 'POST',
      json: reason === undefined || reason === '' ? {} : { reason }
    }),
  grant: (
    id: string,
    options: { document: string; permission?: Permission; expiresAt?: string; purpose?: string }
  ): Promise<GrantFacts> =>
    call(`/inbox/${encodeURIComponent(id)}/grant`, { method: 'POST', json: options }),
  contentUrl: (id: string): string => `${BASE}/inbox/${encodeURIComponent(id)}/content`
}

export const requests = {
  list: (signal?: AbortSignal): Promise<readonly RequestFacts[]> =>
    everything<RequestFacts>('/requests', {}, signal),
  create: (options: { from: string; wanted: string; purpose: string }): Promise<RequestFacts> =>
    call('/requests', { method: 'POST', json: options })
}

export const contacts = {
  list: (signal?: AbortSignal): Promise<readonly ContactFacts[]> =>
    everything<ContactFacts>('/contacts', {}, signal),
  get: (did: string, signal?: AbortSignal): Promise<ContactFacts> =>
    call(`/contacts/${encodeURIComponent(did)}`, { signal }),
  rename: (did: string, name: string): Promise<ContactFacts> =>
    call(`/contacts/${encodeURIComponent(did)}`, { method: 'PATCH', json: { name } }),
  remove: (did: string): Promise<void> =>
    call(`/contacts/${encodeURIComponent(did)}`, { method: 'DELETE' }),
  ping: (did: string): Promise<{ milliseconds: number }> =>
    call(`/contacts/${encodeURIComponent(did)}/ping`, { method: 'POST' }),
  invitations: (signal?: AbortSignal): Promise<readonly InvitationFacts[]> =>
    everything<InvitationFacts>('/invitations', {}, signal),
  invite: (name?: string): Promise<InvitationFacts> =>
    call('/invitations', {
      method: 'POST',
      json: name === undefined || name === '' ? {} : { name }
    }),
  cancelInvitation: (id: string): Promise<void> =>
    call(`/invitations/${encodeURIComponent(id)}`, { method: 'DELETE' }),
  accept: (url: string, name?: string): Promise<ContactFacts> =>
    call('/invitations/accept', {
      method: 'POST',
      json: { url, ...(name === undefined || name === '' ? {} : { name }) }
    })
}

export const credentials = {
  /** `undefined` for a document that did not come from an issuer through this locker. */
  get: (id: string, signal?: AbortSignal): Promise<CredentialFacts | undefined> =>
    known(call<CredentialFacts>(`/credentials/${encodeURIComponent(id)}`, { signal })),
  /** Of one that is kept, with what came along with it. */
  verdict: (id: string, signal?: AbortSignal): Promise<Verification> =>
    call(`/credentials/${encodeURIComponent(id)}/verdict`, { signal }),
  /** Of any text of a credential. */
  judge: (text: string, signal?: AbortSignal): Promise<Verification> =>
    call('/verifications', { method: 'POST', text, signal }),
  certificate: async (id: string, language: string): Promise<Blob> => {
    const path = `/credentials/${encodeURIComponent(id)}/certificate`
    return (await answer(path, { query: { language } })).blob()
  }
}

export const exchanges = {
  /** Credentials offered to the owner and asked for by them. */
  list: (signal?: AbortSignal): Promise<readonly IssuanceFacts[]> =>
    everything<IssuanceFacts>('/exchanges', {}, signal),
  accept: (thid: string): Promise<IssuanceFacts> =>
    call(`/exchanges/${encodeURIComponent(thid)}/accept`, { method: 'POST' }),
  decline: (thid: string, reason: string): Promise<IssuanceFacts> =>
    call(`/exchanges/${encodeURIComponent(thid)}/decline`, { method: 'POST', json: why(reason) }),
  cancel: (thid: string, reason: string): Promise<IssuanceFacts> =>
    call(`/exchanges/${encodeURIComponent(thid)}/cancel`, { method: 'POST', json: why(reason) })
}

/** What is decided of an issued credential. */
export type IssuedDeed = 'approve' | 'withdraw' | 'revoke' | 'suspend' | 'reinstate'

export const issuer = {
  /** `undefined` where no issuer has been set up. */
  get: (signal?: AbortSignal): Promise<IssuerFacts | undefined> =>
    known(call<IssuerFacts>('/issuer', { signal })),
  types: (signal?: AbortSignal): Promise<readonly TypeFacts[]> =>
    everything<TypeFacts>('/issuer/types', {}, signal),
  publish: (id: string, version: string): Promise<TypeFacts> =>
    call(`/issuer/types/${encodeURIComponent(id)}/publish`, { method: 'POST', json: { version } }),
  issued: (signal?: AbortSignal): Promise<readonly IssuedFacts[]> =>
    everything<IssuedFacts>('/issuer/credentials', {}, signal),
  /** Either `to` a contact, or to whoever answers the `invitation` that is made. */
  offer: (options: {
    type: string
    claims: JsonObject
    to?: string
    invitation?: { name?: string }
    format?: IssuedFacts['format']
    comment?: string
  }): Promise<IssuedFacts & { invitation?: { url: string; expiresAt: string } }> =>
    call('/issuer/credentials', { method: 'POST', json: options }),
  decide: (id: string, deed: IssuedDeed, reason: string): Promise<IssuedFacts> =>
    call(`/issuer/credentials/${encodeURIComponent(id)}/${deed}`, {
      method: 'POST',
      ...(deed === 'approve' ? {} : { json: why(reason) })
    })
}

export const activity = {
  /** Newest first; `before`: entries with a smaller number only. */
  list: (
    options: { before?: number; document?: string } = {},
    signal?: AbortSignal
  ): Promise<Listed<ActivityEntry>> =>
    call('/activity', { query: { ...options, limit: ENTRIES }, signal }),
  verify: (): Promise<{ entries: number; ok: boolean; firstBad?: number }> =>
    call('/activity/verify', { method: 'POST' })
}

export const outbox = {
  list: (signal?: AbortSignal): Promise<readonly OutboxItem[]> =>
    everything<OutboxItem>('/outbox', {}, signal),
  retry: (id: string): Promise<void> =>
    call(`/outbox/${encodeURIComponent(id)}/retry`, { method: 'POST' })
}

export const network = {
  peers: (signal?: AbortSignal): Promise<readonly PeerFacts[]> =>
    everything<PeerFacts>('/node/peers', {}, signal),
  storage: (signal?: AbortSignal): Promise<StorageFacts> => call('/node/storage', { signal })
}

export const tokens = {
  list: (signal?: AbortSignal): Promise<readonly TokenFacts[]> =>
    everything<TokenFacts>('/tokens', {}, signal),
  create: (options: {
    name: string
    scopes: readonly string[]
    expiresAt?: string
  }): Promise<TokenFacts & { token: string }> => call('/tokens', { method: 'POST', json: options }),
  revoke: (id: string): Promise<void> =>
    call(`/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' })
}

export const backups = {
  /** The whole locker as one CAR. The browser keeps a large blob on disk, not in memory. */
  download: async (signal?: AbortSignal): Promise<Blob> =>
    (await answer('/backups', { method: 'POST', signal })).blob(),
  restore: (
    file: File,
    onProgress: (progress: UploadProgress) => void,
    signal: AbortSignal
  ): Promise<{ documents: number; blocks: number; bytes: number }> =>
    upload<{ documents: number; blocks: number; bytes: number }>(
      '/backups/restore',
      file,
      onProgress,
      signal
    )
}

/**
 * The bytes behind a content URL. `bytesMax`: only the first so many are asked for; `whole` tells whether
 * they are all there.
 */
export async function bytes(
  url: string,
  options: { bytesMax?: number; signal?: AbortSignal } = {}
): Promise<{ blob: Blob; whole: boolean }> {
  const headers: Record<string, string> =
    options.bytesMax === undefined ? {} : { range: `bytes=0-${options.bytesMax - 1}` }
  try {
    const response = await fetch(url, { headers, signal: options.signal ?? null })
    // An empty document has no first byte, so a range of it cannot be satisfied (RFC 9110 §15.5.17).
    if (response.status === 416) return { blob: new Blob(), whole: true }
    if (!response.ok) throw await refusal(response)
    const total = Number(/\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1])
    const blob = await response.blob()
    return { blob, whole: response.status !== 206 || blob.size === total }
  } catch (thrown) {
    throw asProblem(thrown)
  }
}

/** `undefined` for what is not there. */
async function known<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (thrown) {
    const { code, status } = asProblem(thrown)
    if (code === 'issuer-absent' || status === 404) return undefined
    throw thrown
  }
}

function why(reason: string): { reason?: string } {
  return reason === '' ? {} : { reason }
}

async function call<T>(path: string, options: Call = {}): Promise<T> {
  const response = await answer(path, options)
  const text = await response.text()
  // A 204 has no body; the callers that get one are typed void. What comes is not validated again: it is of
  // the server this code came from (gateway/schemas.ts), and test/web/wire.test.ts holds the types.
  const value: T = text === '' ? undefined : JSON.parse(text)
  return value
}

async function answer(path: string, options: Call): Promise<Response> {
  const method = options.method ?? 'GET'
  const headers = new Headers({ accept: 'application/json' })
  if (method !== 'GET') headers.set('x-elocker', '1')
  if (options.json !== undefined) headers.set('content-type', 'application/json')
  if (options.text !== undefined) headers.set('content-type', 'text/plain')
  try {
    const response = await fetch(`${BASE}${path}${queryString(options.query)}`, {
      method,
      headers,
      body: options.json === undefined ? (options.text ?? null) : JSON.stringify(options.json),
      signal: options.signal ?? null,
      credentials: 'same-origin',
      cache: 'no-store'
    })
    if (!response.ok) throw await refusal(response)
    return response
  } catch (thrown) {
    throw asProblem(thrown)
  }
}

async function refusal(response: Response): Promise<Problem> {
  return problemOf(response.status, response.headers.get('content-type'), await response.text())
}

async function everything<T>(
  path: string,
  query: Query,
  signal?: AbortSignal
): Promise<readonly T[]> {
  const items: T[] = []
  let cursor: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const listed: Listed<T> = await call(path, {
      query: { ...query, limit: PAGE_ITEMS, cursor },
      signal
    })
    items.push(...listed.items)
    cursor = listed.nextCursor
    if (cursor === undefined) break
  }
  return items
}

/** XMLHttpRequest, since fetch() still reports no upload progress. The type is decided from the content. */
function upload<T = DocumentFacts>(
  path: string,
  file: File,
  onProgress: (progress: UploadProgress) => void,
  signal: AbortSignal
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', `${BASE}${path}`)
    request.setRequestHeader('x-elocker', '1')
    request.setRequestHeader('content-type', 'application/octet-stream')
    request.upload.addEventListener('progress', (event) =>
      onProgress({ sent: event.loaded, total: file.size })
    )
    request.addEventListener('load', () => {
      if (request.status >= 200 && request.status < 300) {
        const value: T = JSON.parse(request.responseText)
        resolve(value)
        return
      }
      const type = request.getResponseHeader('content-type')
      reject(problemOf(request.status, type, request.responseText))
    })
    request.addEventListener('error', () =>
      reject(new Problem('unreachable', 'the upload was cut off'))
    )
    request.addEventListener('abort', () => reject(new Problem('operation-cancelled', 'cancelled')))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
}

function documentPath(id: string): string {
  return `/documents/${encodeURIComponent(id)}`
}

function queryString(query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value))
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}
