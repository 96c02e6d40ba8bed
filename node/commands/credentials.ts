/**
 * `elocker credential`: credentials the owner keeps, and those asked for.
 *
 * @module
 */
import type { CredentialFacts, IssuanceFacts, Verification } from '../../agent/agent.ts'
import { jsonFrom, oneOf } from './arguments.ts'
import type { Client } from './client.ts'
import { writeWhole } from './documents.ts'
import { CommandFailure, EXIT } from './outcome.ts'
import { printable, say, table, type Voice } from './output.ts'
import { tell } from './verify.ts'

/** Credentials, newest first. */
export async function list(client: Client, voice: Voice): Promise<void> {
  const items = await all(client)
  table(
    voice,
    items,
    ['id', 'name', 'from', 'state', 'until', 'received'],
    items.map((item) => [
      item.id,
      item.name,
      item.from.name,
      item.state,
      item.validUntil ?? '',
      item.receivedAt
    ]),
    'no credentials yet; ask for one with: elocker credential ask'
  )
}

/** One credential, whole. */
export async function show(client: Client, voice: Voice, id: string): Promise<void> {
  const facts = await client.call<CredentialFacts>(await pathOf(client, id))
  say(voice, facts, JSON.stringify(facts, undefined, 2))
}

/** What a verifier would say of it now. Sets the exit code as `elocker verify` does. */
export async function verify(
  client: Client,
  voice: Voice,
  id: string,
  options: { offline?: boolean }
): Promise<void> {
  const query = options.offline === true ? '?offline=1' : ''
  tell(await client.call<Verification>(`${await pathOf(client, id)}/verdict${query}`), voice)
}

/** Writes the certificate to print. */
export async function certificate(
  client: Client,
  voice: Voice,
  id: string,
  options: { output: string; language?: string; second?: string; force?: boolean }
): Promise<void> {
  const query = new URLSearchParams()
  if (options.language !== undefined) query.set('language', options.language)
  if (options.second !== undefined) query.set('second', options.second)
  const path = `${await pathOf(client, id)}/certificate?${query.toString()}`
  const answer = await client.stream(path)
  let bytes = 0
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length
      yield chunk
    }
  }
  await writeWhole(options.output, counted, options.force === true)
  if (bytes === 0)
    throw new CommandFailure(EXIT.failed, 'broken-off', 'the agent broke off the certificate')
  say(voice, { id, file: options.output, bytes }, '')
}

/** Asks an issuer for a credential, with its form filled in. */
export async function ask(
  client: Client,
  voice: Voice,
  options: { from: string; type: string; form?: string; comment?: string }
): Promise<void> {
  const { from, type, form, comment } = options
  const facts = await client.call<IssuanceFacts>('/api/v1/exchanges', {
    method: 'POST',
    json: {
      to: from,
      type,
      ...(form === undefined ? {} : { form: await jsonFrom(form) }),
      ...(comment === undefined ? {} : { comment })
    }
  })
  say(voice, facts, `${facts.thid}\tasked ${printable(facts.with.name)}`)
}

/** What was asked for and offered. */
export async function exchanges(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: IssuanceFacts[] }>('/api/v1/exchanges')
  table(
    voice,
    items,
    ['id', 'type', 'with', 'state', 'expected', 'said'],
    items.map((item) => [
      item.thid,
      item.type,
      item.with.name,
      item.ending ?? item.state,
      item.expectedAt ?? '',
      item.reason ?? ''
    ]),
    'nothing was asked for or offered'
  )
}

/** Takes back what was asked for. */
export async function cancel(
  client: Client,
  voice: Voice,
  id: string,
  options: { reason?: string }
): Promise<void> {
  const { items } = await client.call<{ items: IssuanceFacts[] }>('/api/v1/exchanges')
  const ids = items.map(({ thid }) => thid)
  const thid = oneOf(ids, id, 'exchange-unknown', 'exchange')
  const json = options.reason === undefined ? {} : { reason: options.reason }
  const path = `/api/v1/exchanges/${encodeURIComponent(thid)}/cancel`
  const facts = await client.call<IssuanceFacts>(path, { method: 'POST', json })
  say(voice, facts, `${facts.thid} ${facts.ending ?? facts.state}`)
}

async function pathOf(client: Client, prefix: string): Promise<string> {
  const ids = (await all(client)).map(({ id }) => id)
  return `/api/v1/credentials/${oneOf(ids, prefix, 'credential-unknown', 'credential')}`
}

async function all(client: Client): Promise<readonly CredentialFacts[]> {
  return (await client.call<{ items: CredentialFacts[] }>('/api/v1/credentials')).items
}
