/**
 * `elocker activity | outbox | token`: what happened, what waits, and who else may speak to the agent.
 *
 * @module
 */
import type { ActivityEntry, OutboxItem, TokenFacts } from '../../agent/agent.ts'
import { moment, oneOf } from './arguments.ts'
import type { Client } from './client.ts'
import { documentId } from './documents.ts'
import { EXIT } from './outcome.ts'
import { printable, remark, say, table, type Voice } from './output.ts'

/** What happened, newest first. */
export async function activity(
  client: Client,
  voice: Voice,
  options: { limit: string; document?: string }
): Promise<void> {
  const query = new URLSearchParams({ limit: options.limit })
  if (options.document !== undefined) {
    query.set('document', await documentId(client, options.document))
  }
  const { items } = await client.call<{ items: ActivityEntry[] }>(
    `/api/v1/activity?${query.toString()}`
  )
  table(
    voice,
    items,
    ['time', 'what', 'who', 'document', 'more'],
    items.map((entry) => [
      entry.time,
      entry.action,
      entry.actorName ?? entry.actor,
      entry.document?.name ?? '',
      [
        entry.purpose,
        ...Object.entries(entry.details ?? {}).map(([key, value]) => `${key}=${value}`)
      ]
        .filter((part) => part !== undefined)
        .join(' ')
    ]),
    'nothing happened yet'
  )
}

/** Recomputes the log's hash chain; exit code 7 when it does not hold. */
export async function verifyActivity(client: Client, voice: Voice): Promise<void> {
  const result = await client.call<{ entries: number; ok: boolean; firstBad?: number }>(
    '/api/v1/activity/verify',
    { method: 'POST' }
  )
  say(
    voice,
    result,
    result.ok
      ? `${result.entries} entries, the chain holds`
      : `the chain of ${result.entries} entries breaks at entry ${result.firstBad ?? '?'}`
  )
  if (!result.ok) process.exitCode = EXIT.invalid
}

/** Messages on their way. */
export async function outbox(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: OutboxItem[] }>('/api/v1/outbox')
  table(
    voice,
    items,
    ['id', 'to', 'what', 'state', 'tries', 'next', 'last error'],
    items.map((item) => [
      item.id,
      item.to.name ?? item.to.did,
      item.type.split('/').slice(-3).join('/'),
      item.state,
      String(item.attempts),
      item.nextAttemptAt ?? '',
      item.lastError ?? ''
    ]),
    'nothing waits'
  )
}

/** Tries a waiting or failed message again at once. */
export async function retry(client: Client, voice: Voice, id: string): Promise<void> {
  await client.call(`/api/v1/outbox/${encodeURIComponent(id)}/retry`, { method: 'POST' })
  say(voice, { id }, `${id} is tried again`)
}

/** Makes a token for a machine; its text is shown once. */
export async function createToken(
  client: Client,
  voice: Voice,
  options: { name: string; scope: readonly string[]; expires?: string }
): Promise<void> {
  const json = {
    name: options.name,
    scopes: options.scope,
    ...(options.expires === undefined
      ? {}
      : { expiresAt: moment(options.expires, new Date()).toISOString() })
  }
  const made = await client.call<TokenFacts & { token: string }>('/api/v1/tokens', {
    method: 'POST',
    json
  })
  say(voice, made, made.token)
  if (!voice.json) remark(voice, `may: ${made.scopes.join(', ')}; shown only now`)
}

/** Tokens, without their text. */
export async function tokens(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: TokenFacts[] }>('/api/v1/tokens')
  table(
    voice,
    items,
    ['id', 'name', 'may', 'until', 'last used'],
    items.map((token) => [
      token.id,
      token.name,
      token.scopes.join(','),
      token.expiresAt ?? '',
      token.lastUsedAt ?? ''
    ]),
    'no tokens'
  )
}

/** Ends a token; the next request with it is refused. */
export async function revokeToken(client: Client, voice: Voice, id: string): Promise<void> {
  const { items } = await client.call<{ items: TokenFacts[] }>('/api/v1/tokens')
  const full = oneOf(
    items.map((token) => token.id),
    id,
    'token-unknown',
    'token'
  )
  await client.call(`/api/v1/tokens/${full}`, { method: 'DELETE' })
  say(voice, { id: full }, `${printable(full)} revoked`)
}
