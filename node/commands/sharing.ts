/**
 * `elocker share | inbox | request`: grants to contacts, share links, and what contacts want of the owner.
 *
 * @module
 */
import { renderUnicodeCompact } from 'uqr'
import type {
  GrantFacts,
  InboxItem,
  IssuanceFacts,
  LinkFacts,
  RequestFacts
} from '../../agent/agent.ts'
import { moment, oneOf, secretFrom } from './arguments.ts'
import type { Client } from './client.ts'
import { documentId } from './documents.ts'
import type { NodeStatus } from './locker.ts'
import { CommandFailure, EXIT } from './outcome.ts'
import { printable, remark, say, size, table, type Voice } from './output.ts'

/** A grant or a link, as `/api/v1/shares` lists them. */
type Share = (GrantFacts & { kind: 'grant' }) | (LinkFacts & { kind: 'link' })

export interface ShareOptions {
  /** Name or DID of a contact. */
  readonly to?: string
  readonly link?: boolean
  readonly purpose?: string
  readonly expires?: string
  readonly permission?: string
  readonly uses?: string
  readonly linkPassphraseFile?: string
  readonly qr?: boolean
}

/** Shares a document with a contact, or makes a link to it. */
export async function create(
  client: Client,
  voice: Voice,
  id: string,
  options: ShareOptions
): Promise<void> {
  if ((options.to === undefined) === (options.link !== true)) {
    throw new CommandFailure(EXIT.usage, 'usage', 'give either --to CONTACT or --link')
  }
  const document = await documentId(client, id)
  const expiresAt =
    options.expires === undefined ? undefined : moment(options.expires, new Date()).toISOString()
  const shared = {
    document,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(options.purpose === undefined ? {} : { purpose: options.purpose })
  }
  if (options.to !== undefined) await give(client, voice, options, shared)
  else await link(client, voice, options, shared)
}

async function give(
  client: Client,
  voice: Voice,
  options: ShareOptions,
  shared: Readonly<Record<string, string>>
): Promise<void> {
  if (options.purpose === undefined) {
    throw new CommandFailure(EXIT.usage, 'usage', 'a grant needs its purpose: --purpose TEXT')
  }
  const json = { ...shared, to: options.to, permission: options.permission ?? 'read' }
  const grant = await client.call<GrantFacts>('/api/v1/shares', { method: 'POST', json })
  const until = grant.expiresAt === undefined ? '' : ` until ${grant.expiresAt}`
  say(voice, grant, `${grant.id}\toffered to ${printable(grant.contact.name)}${until}`)
}

async function link(
  client: Client,
  voice: Voice,
  options: ShareOptions,
  shared: Readonly<Record<string, string>>
): Promise<void> {
  const file = options.linkPassphraseFile
  const json = {
    ...shared,
    link: true,
    ...(options.uses === undefined ? {} : { usesMax: wholeNumber(options.uses, '--uses') }),
    ...(file === undefined ? {} : { passphrase: await secretFrom(file) })
  }
  const made = await client.call<LinkFacts & { url: string }>('/api/v1/shares', {
    method: 'POST',
    json
  })
  say(voice, made, made.url)
  if (!voice.json && options.qr === true) remark(voice, renderUnicodeCompact(made.url))
  remark(
    voice.json ? { ...voice, quiet: true } : voice,
    `opens ${made.usesMax} time${made.usesMax === 1 ? '' : 's'}, until ${made.expiresAt}; shown only now`
  )
  const reach = reachOf(made.url, await client.call<NodeStatus>('/api/v1/node'))
  // Also with --json: stderr is not the answer, and a script that mails the link wants to know.
  if (reach !== undefined) remark(voice, `warning: ${reach}`)
}

/** What keeps the link from others; `undefined` when nothing is known to. */
function reachOf(url: string, node: NodeStatus): string | undefined {
  if (node.addresses.public === null)
    return 'the public listener is off, so this link opens on this machine only and others cannot reach it; start the agent with --public on, and --public-url URL where a proxy stands before it'
  const { hostname } = new URL(url)
  const local = hostname === 'localhost' || /^127\.|^\[::1\]$|^0\.0\.0\.0$|^\[::\]$/.test(hostname)
  return local
    ? `${hostname} is this machine to whoever opens the link; say with --public-url how others reach it`
    : undefined
}

function wholeNumber(text: string, flag: string): number {
  if (!/^\d{1,6}$/.test(text)) {
    throw new CommandFailure(EXIT.usage, 'usage', `${flag} takes a whole number, not '${text}'`)
  }
  return Number(text)
}

/** Lists grants, given and received, and links. */
export async function list(
  client: Client,
  voice: Voice,
  options: { kind?: string; direction?: string }
): Promise<void> {
  const query = new URLSearchParams()
  if (options.kind !== undefined) query.set('kind', options.kind)
  if (options.direction !== undefined) query.set('direction', options.direction)
  const { items } = await client.call<{ items: Share[] }>(`/api/v1/shares?${query.toString()}`)
  table(
    voice,
    items,
    ['id', 'what', 'document', 'with', 'state', 'until', 'used'],
    items.map((share) => [
      share.id,
      share.kind === 'link' ? 'link' : `${share.direction} ${share.permission}`,
      share.document.name,
      share.kind === 'link' ? 'whoever has the link' : share.contact.name,
      share.state,
      share.expiresAt ?? '',
      share.kind === 'link' ? `${share.uses}/${share.usesMax}` : String(share.fetches ?? '')
    ]),
    'nothing is shared'
  )
}

/** One grant or link, whole. */
export async function show(client: Client, voice: Voice, id: string): Promise<void> {
  const share = await client.call<Share>(`/api/v1/shares/${await shareId(client, id)}`)
  say(voice, share, JSON.stringify(share, undefined, 2))
}

/** Withdraws a grant, or stops a link. */
export async function revoke(
  client: Client,
  voice: Voice,
  id: string,
  options: { reason?: string }
): Promise<void> {
  const full = await shareId(client, id)
  const json = options.reason === undefined ? {} : { reason: options.reason }
  const share = await client.call<Share | undefined>(`/api/v1/shares/${full}`, {
    method: 'DELETE',
    json
  })
  say(voice, share ?? { id: full }, `${full} ${share?.state ?? 'withdrawn'}`)
}

async function shareId(client: Client, prefix: string): Promise<string> {
  const { items } = await client.call<{ items: Share[] }>('/api/v1/shares')
  return oneOf(
    items.map((share) => share.id),
    prefix,
    'grant-unknown',
    'share'
  )
}

/** What waits for the owner, newest first. */
export async function inboxList(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: InboxItem[] }>('/api/v1/inbox')
  table(
    voice,
    items,
    ['id', 'kind', 'state', 'from', 'subject', 'purpose', 'until'],
    items.map((item) => [
      item.id,
      item.kind,
      item.state,
      item.from,
      item.subject,
      item.purpose,
      item.expiresAt ?? ''
    ]),
    'nothing waits for you'
  )
}

/** One item of the inbox, whole. */
export async function inboxShow(client: Client, voice: Voice, id: string): Promise<void> {
  const item = await client.call<InboxItem>(`/api/v1/inbox/${await inboxId(client, id)}`)
  say(voice, item, JSON.stringify(item, undefined, 2))
}

/**
 * Accepts a grant; of a copy the document is in this locker afterwards. A request is accepted by naming
 * the document that answers it. An accepted credential arrives when its issuer has signed it.
 */
export async function accept(
  client: Client,
  voice: Voice,
  id: string,
  options: { document?: string; permission?: string; expires?: string }
): Promise<void> {
  const { id: full, kind } = await inboxItem(client, id)
  if (kind === 'credential-offer') {
    const path = `/api/v1/inbox/${full}/accept`
    const exchange = await client.call<IssuanceFacts>(path, { method: 'POST' })
    const { state, type } = exchange
    say(
      voice,
      exchange,
      `${full}\t${printable(type)}\t${state}\tsee it with: elocker credential list`
    )
    return
  }
  if (options.document === undefined) {
    const grant = await client.call<GrantFacts>(`/api/v1/inbox/${full}/accept`, { method: 'POST' })
    const where = grant.document.id ?? grant.id
    say(
      voice,
      grant,
      `${where}\t${printable(grant.document.name)}\t${size(grant.document.sizeBytes)}\tread it with: elocker get ${where} -o FILE`
    )
    return
  }
  const json = {
    document: await documentId(client, options.document),
    ...(options.permission === undefined ? {} : { permission: options.permission }),
    ...(options.expires === undefined
      ? {}
      : { expiresAt: moment(options.expires, new Date()).toISOString() })
  }
  const grant = await client.call<GrantFacts>(`/api/v1/inbox/${full}/grant`, {
    method: 'POST',
    json
  })
  say(voice, grant, `${grant.id}\toffered to ${printable(grant.contact.name)}`)
}

/** Declines a grant or a request. */
export async function decline(
  client: Client,
  voice: Voice,
  id: string,
  options: { reason?: string }
): Promise<void> {
  const full = await inboxId(client, id)
  const json = options.reason === undefined ? {} : { reason: options.reason }
  const path = `/api/v1/inbox/${full}/decline`
  const facts = await client.call<GrantFacts | RequestFacts | IssuanceFacts>(path, {
    method: 'POST',
    json
  })
  say(voice, facts, `${full} ${facts.state}`)
}

async function inboxId(client: Client, prefix: string): Promise<string> {
  return (await inboxItem(client, prefix)).id
}

/** The item whose id begins so. */
async function inboxItem(
  client: Client,
  prefix: string
): Promise<{ readonly id: string; readonly kind?: InboxItem['kind'] }> {
  const { items } = await client.call<{ items: InboxItem[] }>('/api/v1/inbox')
  const ids = items.map((item) => item.id)
  const id = oneOf(ids, prefix, 'inbox-unknown', 'inbox item')
  return items.find((item) => item.id === id) ?? { id }
}

/** Asks a contact for a document. */
export async function request(
  client: Client,
  voice: Voice,
  wanted: string,
  options: { from: string; purpose: string }
): Promise<void> {
  const facts = await client.call<RequestFacts>('/api/v1/requests', {
    method: 'POST',
    json: { from: options.from, wanted, purpose: options.purpose }
  })
  say(voice, facts, `${facts.id}\tasked ${printable(facts.contact.name)}`)
}

/** Requests sent and received. */
export async function requests(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: RequestFacts[] }>('/api/v1/requests')
  table(
    voice,
    items,
    ['id', 'direction', 'contact', 'wanted', 'purpose', 'state'],
    items.map((item) => [
      item.id,
      item.direction,
      item.contact.name,
      item.wanted,
      item.purpose,
      item.state
    ]),
    'no requests'
  )
}
