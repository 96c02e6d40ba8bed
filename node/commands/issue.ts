/**
 * `elocker issue` and `elocker issuer credential | request`: what an institution issues, corrects and revokes, and
 * what holders ask it for.
 *
 * @module
 */
import type { InvitationFacts, IssuanceFacts, IssuedFacts } from '../../agent/agent.ts'
import type { RegistryRecord } from '../../agent/registry.ts'
import { jsonFrom, moment, oneOf } from './arguments.ts'
import type { Client } from './client.ts'
import { warnWhenUnreachable } from './issuer.ts'
import { CommandFailure, EXIT } from './outcome.ts'
import { printable, remark, say, table, type Voice } from './output.ts'

/** What may be said of each credential that is prepared. */
export interface WishOptions {
  readonly format?: string
  readonly suite?: string
  /** 30d, 52w, or a date. */
  readonly validUntil?: string
  readonly comment?: string
}

export interface IssueOptions extends WishOptions {
  readonly type: string
  readonly to?: string
  /** What to call whoever answers the invitation. */
  readonly invite?: string
  /** A JSON file with the claims; `-` reads stdin. */
  readonly data: string
}

/** Offers a credential to a contact, or to whoever answers a new invitation. */
export async function issue(client: Client, voice: Voice, options: IssueOptions): Promise<void> {
  const { type, to, invite, data } = options
  if ((to === undefined) === (invite === undefined))
    throw new CommandFailure(EXIT.usage, 'usage', 'give either --to CONTACT or --invite NAME')
  const made = await client.call<IssuedFacts & { invitation?: InvitationFacts }>(
    '/api/v1/issuer/credentials',
    {
      method: 'POST',
      json: {
        ...wish(options),
        type,
        claims: await jsonFrom(data),
        ...(to === undefined ? { invitation: { name: invite } } : { to })
      }
    }
  )
  const { invitation } = made
  say(voice, made, invitation === undefined ? line(made) : `${line(made)}\n${invitation.url}`)
  await warnWhenUnreachable(client, voice)
  if (!voice.json && invitation !== undefined)
    remark(
      voice,
      `for one party, until ${invitation.expiresAt}; the offer goes out when they answer`
    )
}

function wish({ format, suite, validUntil, comment }: WishOptions): Record<string, string> {
  return {
    ...(format === undefined ? {} : { format }),
    ...(suite === undefined ? {} : { suite }),
    ...(validUntil === undefined
      ? {}
      : { validUntil: moment(validUntil, new Date()).toISOString() }),
    ...(comment === undefined ? {} : { comment })
  }
}

/** Credentials, newest first. */
export async function list(
  client: Client,
  voice: Voice,
  options: { type?: string; open?: boolean }
): Promise<void> {
  const query = new URLSearchParams()
  if (options.type !== undefined) query.set('type', options.type)
  if (options.open === true) query.set('open', '1')
  const { items } = await client.call<{ items: IssuedFacts[] }>(
    `/api/v1/issuer/credentials?${query.toString()}`
  )
  table(
    voice,
    items,
    ['id', 'type', 'to', 'state', 'status', 'issued', 'reason'],
    items.map((item) => [
      item.id,
      item.type,
      item.to?.name ?? item.subject ?? '',
      item.state,
      item.status,
      item.issuedAt ?? '',
      item.reason ?? ''
    ]),
    'nothing is issued'
  )
}

/** One credential with its history. */
export async function show(client: Client, voice: Voice, id: string): Promise<void> {
  const facts = await client.call<IssuedFacts>(await pathOf(client, id))
  say(voice, facts, JSON.stringify(facts, undefined, 2))
}

/** Approves, takes back, suspends, reinstates or revokes a credential. */
export async function decide(
  client: Client,
  voice: Voice,
  what: { id: string; action: 'approve' | 'withdraw' | 'suspend' | 'reinstate' | 'revoke' },
  options: { reason?: string }
): Promise<void> {
  const path = `${await pathOf(client, what.id)}/${what.action}`
  const json = options.reason === undefined ? undefined : { reason: options.reason }
  const facts = await client.call<IssuedFacts>(path, {
    method: 'POST',
    ...(json === undefined ? {} : { json })
  })
  say(voice, facts, line(facts))
}

/** Offers a correction or renewal to the same holder. */
export async function replace(
  client: Client,
  voice: Voice,
  id: string,
  options: WishOptions & { data?: string }
): Promise<void> {
  const json = {
    ...wish(options),
    ...(options.data === undefined ? {} : { claims: await jsonFrom(options.data) })
  }
  const path = `${await pathOf(client, id)}/replace`
  const facts = await client.call<IssuedFacts>(path, { method: 'POST', json })
  say(voice, facts, line(facts))
}

async function pathOf(client: Client, prefix: string): Promise<string> {
  const { items } = await client.call<{ items: IssuedFacts[] }>('/api/v1/issuer/credentials')
  const ids = items.map((item) => item.id)
  const id = oneOf(ids, prefix, 'credential-unknown', 'issued credential')
  return `/api/v1/issuer/credentials/${id}`
}

function line({ id, type, to, state, status }: IssuedFacts): string {
  return [id, type, printable(to?.name ?? ''), state, status].join('\t')
}

// ── What holders ask for ─────────────────────────────────────────────────────────────────────────────

/** Exchanges with holders that have not ended. */
export async function requests(
  client: Client,
  voice: Voice,
  options: { all?: boolean }
): Promise<void> {
  const query = options.all === true ? '' : '?open=1'
  const { items } = await client.call<{ items: IssuanceFacts[] }>(
    `/api/v1/issuer/exchanges${query}`
  )
  table(
    voice,
    items,
    ['id', 'type', 'from', 'state', 'waits for', 'records', 'changed'],
    items.map((item) => [
      item.thid,
      item.type,
      item.with.name,
      item.ending ?? item.state,
      item.attention ?? '',
      item.candidates === undefined ? '' : String(item.candidates),
      item.at
    ]),
    'nobody asks for anything'
  )
}

/** One exchange, and the records that fit it. */
export async function request(client: Client, voice: Voice, id: string): Promise<void> {
  const path = await exchangePath(client, id)
  const facts = await client.call<IssuanceFacts>(path)
  const { items } = await client.call<{ items: RegistryRecord[] }>(`${path}/candidates`)
  const whole = { ...facts, records: items }
  say(voice, whole, JSON.stringify(whole, undefined, 2))
}

/** Answers with a record of the registry, or with claims. */
export async function deliver(
  client: Client,
  voice: Voice,
  id: string,
  options: WishOptions & { record?: string; data?: string }
): Promise<void> {
  const { record, data } = options
  if ((record === undefined) === (data === undefined))
    throw new CommandFailure(EXIT.usage, 'usage', 'give either --record ID or --data FILE')
  const json = {
    ...wish(options),
    ...(data === undefined ? { record } : { claims: await jsonFrom(data) })
  }
  const path = `${await exchangePath(client, id)}/deliver`
  const facts = await client.call<IssuedFacts>(path, { method: 'POST', json })
  say(voice, facts, line(facts))
}

/** Tells the holder that it takes longer. */
export async function pending(
  client: Client,
  voice: Voice,
  id: string,
  options: { until?: string; comment?: string }
): Promise<void> {
  const json = {
    ...(options.until === undefined
      ? {}
      : { expectedTime: moment(options.until, new Date()).toISOString() }),
    ...(options.comment === undefined ? {} : { comment: options.comment })
  }
  const path = `${await exchangePath(client, id)}/pending`
  const facts = await client.call<IssuanceFacts>(path, { method: 'POST', json })
  say(voice, facts, `${facts.thid} told`)
}

/** Ends an exchange with a reason. */
export async function refuse(
  client: Client,
  voice: Voice,
  id: string,
  options: { reason?: string }
): Promise<void> {
  const json = options.reason === undefined ? {} : { reason: options.reason }
  const path = `${await exchangePath(client, id)}/refuse`
  const facts = await client.call<IssuanceFacts>(path, { method: 'POST', json })
  say(voice, facts, `${facts.thid} ${facts.state}`)
}

async function exchangePath(client: Client, prefix: string): Promise<string> {
  const { items } = await client.call<{ items: IssuanceFacts[] }>('/api/v1/issuer/exchanges')
  const ids = items.map(({ thid }) => thid)
  const thid = oneOf(ids, prefix, 'exchange-unknown', 'exchange')
  return `/api/v1/issuer/exchanges/${encodeURIComponent(thid)}`
}
