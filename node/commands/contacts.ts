/**
 * `elocker invite | contact`: the other parties.
 *
 * @module
 */
import { renderUnicodeCompact } from 'uqr'
import type { ContactFacts, InvitationFacts } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { moment } from './arguments.ts'
import type { Client } from './client.ts'
import { printable, remark, say, table, type Voice } from './output.ts'

/** Makes an invitation for one other party. */
export async function invite(
  client: Client,
  voice: Voice,
  options: { name?: string; expires?: string; qr?: boolean }
): Promise<void> {
  const json = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.expires === undefined
      ? {}
      : { expiresAt: moment(options.expires, new Date()).toISOString() })
  }
  const { id, url, expiresAt } = await client.call<InvitationFacts>('/api/v1/invitations', {
    method: 'POST',
    json
  })
  say(voice, { id, url, expiresAt }, url)
  if (!voice.json) {
    if (options.qr === true) remark(voice, renderUnicodeCompact(url))
    remark(voice, `for one party, until ${expiresAt}; they add you with: elocker contact add URL`)
  }
}

/** Accepts an invitation. */
export async function add(
  client: Client,
  voice: Voice,
  url: string,
  options: { name?: string }
): Promise<void> {
  const contact = await client.call<ContactFacts>('/api/v1/invitations/accept', {
    method: 'POST',
    json: { url, ...(options.name === undefined ? {} : { name: options.name }) }
  })
  say(voice, contact, `${printable(contact.name)}\t${contact.did}`)
}

/** Everyone known, by name. */
export async function list(client: Client, voice: Voice): Promise<void> {
  const items = await contacts(client)
  table(
    voice,
    items,
    ['name', 'state', 'seen', 'did'],
    items.map((contact) => [contact.name, contact.state, contact.lastSeenAt ?? '', contact.did]),
    'no contacts yet; make an invitation with: elocker invite'
  )
}

async function contacts(client: Client): Promise<ContactFacts[]> {
  return (await client.call<{ items: ContactFacts[] }>('/api/v1/contacts')).items
}

/** Path of the one contact with this DID or name. */
async function pathOf(client: Client, didOrName: string): Promise<string> {
  const wanted = didOrName.normalize('NFC').toLowerCase()
  const found = (await contacts(client)).find(
    (contact) => contact.did === didOrName || contact.name.normalize('NFC').toLowerCase() === wanted
  )
  if (found === undefined) throw new LockerError('contact-unknown', `no contact ${didOrName}`)
  return `/api/v1/contacts/${encodeURIComponent(found.did)}`
}

/** Gives a contact another name. */
export async function rename(
  client: Client,
  voice: Voice,
  didOrName: string,
  name: string
): Promise<void> {
  const path = await pathOf(client, didOrName)
  const contact = await client.call<ContactFacts>(path, { method: 'PATCH', json: { name } })
  say(voice, contact, `${printable(contact.name)}\t${contact.did}`)
}

/** Forgets a contact; what was granted to it is withdrawn first. */
export async function remove(client: Client, voice: Voice, didOrName: string): Promise<void> {
  await client.call(await pathOf(client, didOrName), { method: 'DELETE' })
  say(voice, { removed: didOrName }, `${printable(didOrName)} removed`)
}

/** Round trip to a contact's agent. */
export async function ping(client: Client, voice: Voice, didOrName: string): Promise<void> {
  const answer = await client.call<{ milliseconds: number }>(
    `${await pathOf(client, didOrName)}/ping`,
    { method: 'POST' }
  )
  say(voice, answer, `${printable(didOrName)} answered in ${answer.milliseconds.toFixed(1)} ms`)
}
