/**
 * `elocker issuer`: an institution's issuer, its types, staff and records.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { TypeFacts } from '../../agent/credential-types.ts'
import type { IssuerFacts } from '../../agent/issuer.ts'
import type { ImportReport, RegistryRecord } from '../../agent/registry.ts'
import type { StaffFacts } from '../../agent/staff.ts'
import { jsonFrom, moment, oneOf } from './arguments.ts'
import type { Client } from './client.ts'
import type { NodeStatus } from './locker.ts'
import { CommandFailure, EXIT, messageOf } from './outcome.ts'
import { printable, remark, say, table, type Voice } from './output.ts'

export interface InitOptions {
  /** `Name`, in English, or `hi=नाम`; the first is what the institution is called. */
  readonly name: readonly string[]
  readonly domain?: string
  readonly category?: readonly string[]
  readonly secondApproval?: boolean
}

/** Sets up the issuer and its first key. */
export async function init(client: Client, voice: Voice, options: InitOptions): Promise<void> {
  const { domain, secondApproval, category = ['other'] } = options
  const facts = await client.call<IssuerFacts>('/api/v1/issuer', {
    method: 'POST',
    json: {
      names: Object.fromEntries(options.name.map(nameIn)),
      categories: category,
      ...(domain === undefined ? {} : { domain }),
      ...(secondApproval === undefined ? {} : { secondApproval })
    }
  })
  say(voice, facts, facts.did)
  await warnWhenUnreachable(client, voice)
  if (voice.json) return
  remark(
    voice,
    domain === undefined
      ? 'without --domain the issuer is its key: it cannot be changed later'
      : `others find it at https://${domain}/.well-known/did.json, which the public listener serves`
  )
  remark(voice, 'publish a kind of credential with: elocker issuer type publish ID')
}

/**
 * What is issued names the public listener for its status and schema, for good: where there is none, nobody will
 * ever look them up. Said with `--json` too: stderr is not the answer.
 */
export async function warnWhenUnreachable(client: Client, voice: Voice): Promise<void> {
  const { addresses } = await client.call<NodeStatus>('/api/v1/node')
  if (addresses.public !== null) return
  remark(
    voice,
    'warning: the public listener is off, so nobody can look up the status of what is issued now; start the agent with --public on, and --public-url URL where a proxy stands before it'
  )
}

/** Changes what the issuer says of itself, and whether a second person has to approve. */
export async function change(
  client: Client,
  voice: Voice,
  options: { name?: readonly string[]; category?: readonly string[]; secondApproval?: string }
): Promise<void> {
  const { name, category, secondApproval } = options
  const facts = await client.call<IssuerFacts>('/api/v1/issuer', {
    method: 'PATCH',
    json: {
      ...(name === undefined ? {} : { names: Object.fromEntries(name.map(nameIn)) }),
      ...(category === undefined ? {} : { categories: category }),
      ...(secondApproval === undefined ? {} : { secondApproval: secondApproval === 'on' })
    }
  })
  say(voice, facts, facts.did)
}

/** `hi=नाम` or a name in English. */
function nameIn(text: string): readonly [string, string] {
  const named = /^([a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)=(.+)$/s.exec(text)
  return named === null ? ['en', text] : [named[1] ?? 'en', named[2] ?? '']
}

/** The issuer and its keys. */
export async function show(client: Client, voice: Voice): Promise<void> {
  const facts = await client.call<IssuerFacts>('/api/v1/issuer')
  const lines = [
    `${printable(facts.names['en'] ?? Object.values(facts.names)[0] ?? '')}\t${facts.did}`,
    ...facts.keys.map(({ id, createdAt, expiresAt, revokedAt }) => {
      const ended =
        revokedAt === undefined
          ? expiresAt === undefined
            ? 'signs'
            : `rotated ${expiresAt}`
          : `revoked ${revokedAt}`
      return `${id}\t${createdAt}\t${ended}`
    }),
    ...(facts.secondApproval ? ['a second person has to approve'] : [])
  ]
  say(voice, facts, lines.join('\n'))
}

/** Signs with a new key from now on, or says that one was found out. */
export async function rotateKey(
  client: Client,
  voice: Voice,
  options: { compromised?: boolean; key?: string }
): Promise<void> {
  const facts = await client.call<IssuerFacts>('/api/v1/issuer/keys', {
    method: 'POST',
    json: {
      reason: options.compromised === true ? 'compromised' : 'rotated',
      ...(options.key === undefined ? {} : { key: options.key })
    }
  })
  say(voice, facts, facts.keys.at(-1)?.id ?? '')
}

/** The signed descriptor, as it is published. */
export async function descriptor(client: Client, voice: Voice): Promise<void> {
  const value = await client.call<unknown>('/api/v1/issuer/descriptor')
  say(voice, value, JSON.stringify(value, undefined, 2))
}

// ── Types ────────────────────────────────────────────────────────────────────────────────────────────

/** Every version of every type. */
export async function typeList(client: Client, voice: Voice): Promise<void> {
  const { items } = await client.call<{ items: TypeFacts[] }>('/api/v1/issuer/types')
  table(
    voice,
    items,
    ['id', 'version', 'state', 'name'],
    items.map(({ type, state }) => [
      type.id,
      type.version,
      state,
      type.display['en']?.name ?? type.types[0] ?? ''
    ]),
    'no types'
  )
}

/** One type as its JSON file. */
export async function typeShow(
  client: Client,
  voice: Voice,
  id: string,
  options: { typeVersion?: string }
): Promise<void> {
  const query =
    options.typeVersion === undefined ? '' : `?version=${encodeURIComponent(options.typeVersion)}`
  const facts = await client.call<TypeFacts>(`${typePath(id)}${query}`)
  say(voice, facts, JSON.stringify(facts.type, undefined, 2))
}

/** Saves a type from its JSON file as a draft. */
export async function typeAdd(client: Client, voice: Voice, file: string): Promise<void> {
  const json = await jsonFrom(file)
  sayType(voice, await client.call<TypeFacts>('/api/v1/issuer/types', { method: 'POST', json }))
}

/** Publishes a draft. */
export async function typePublish(
  client: Client,
  voice: Voice,
  id: string,
  options: { typeVersion?: string }
): Promise<void> {
  const json = options.typeVersion === undefined ? {} : { version: options.typeVersion }
  const facts = await client.call<TypeFacts>(`${typePath(id)}/publish`, { method: 'POST', json })
  sayType(voice, facts)
}

/** Issues nothing more under a version. */
export async function typeDeprecate(
  client: Client,
  voice: Voice,
  id: string,
  options: { typeVersion?: string }
): Promise<void> {
  const version = options.typeVersion ?? (await client.call<TypeFacts>(typePath(id))).type.version
  const path = `${typePath(id)}/versions/${encodeURIComponent(version)}/deprecate`
  sayType(voice, await client.call<TypeFacts>(path, { method: 'POST' }))
}

function typePath(id: string): string {
  return `/api/v1/issuer/types/${encodeURIComponent(id)}`
}

function sayType(voice: Voice, facts: TypeFacts): void {
  say(voice, facts, `${facts.type.id}\t${facts.type.version}\t${facts.state}`)
}

// ── Staff ────────────────────────────────────────────────────────────────────────────────────────────

/** Makes an account and prints its token, this once. */
export async function staffAdd(
  client: Client,
  voice: Voice,
  name: string,
  options: { role: string; expires?: string }
): Promise<void> {
  const made = await client.call<StaffFacts & { token: string }>('/api/v1/issuer/staff', {
    method: 'POST',
    json: {
      name,
      role: options.role,
      ...(options.expires === undefined
        ? {}
        : { expiresAt: moment(options.expires, new Date()).toISOString() })
    }
  })
  say(voice, made, made.token)
  if (!voice.json)
    remark(voice, `the token of ${printable(made.name)} (${made.role}); shown only now`)
}

/** Accounts with their roles. */
export async function staffList(client: Client, voice: Voice): Promise<void> {
  const items = await staff(client)
  table(
    voice,
    items,
    ['id', 'name', 'role', 'until'],
    items.map(({ id, name, role, expiresAt }) => [id, name, role, expiresAt ?? '']),
    'no staff: the owner does everything'
  )
}

/** Removes an account. */
export async function staffRemove(client: Client, voice: Voice, id: string): Promise<void> {
  const ids = (await staff(client)).map((account) => account.id)
  const full = oneOf(ids, id, 'staff-unknown', 'account')
  await client.call(`/api/v1/issuer/staff/${full}`, { method: 'DELETE' })
  say(voice, { id: full }, `${full} removed`)
}

async function staff(client: Client): Promise<readonly StaffFacts[]> {
  return (await client.call<{ items: StaffFacts[] }>('/api/v1/issuer/staff')).items
}

// ── Records ──────────────────────────────────────────────────────────────────────────────────────────

/** Takes records from a CSV file, or one with a JSON object a line. */
export async function recordImport(
  client: Client,
  voice: Voice,
  where: { type: string; file: string },
  options: { key?: readonly string[]; whole?: boolean }
): Promise<void> {
  const { type, file } = where
  const media = /\.(?:ndjson|jsonl)$/i.test(file) ? 'application/x-ndjson' : 'text/csv'
  const { size } = await stat(file).catch((error: unknown) => {
    throw new CommandFailure(
      EXIT.unknown,
      'file-unreadable',
      `cannot read ${file}: ${messageOf(error)}`
    )
  })
  const query = new URLSearchParams()
  for (const key of options.key ?? []) query.append('key', key)
  if (options.whole === true) query.set('whole', '1')
  const report = await client.call<ImportReport>(
    `${recordsPath(type)}/import?${query.toString()}`,
    { method: 'POST', body: createReadStream(file), bytes: size, type: media }
  )
  const { rows, added, replaced, unchanged, removed, rejected, problems, ignored } = report
  say(
    voice,
    report,
    `${rows} rows: ${added} added, ${replaced} replaced, ${unchanged} unchanged, ${removed} removed, ${rejected} rejected`
  )
  if (!voice.json) {
    for (const { row, pointer, message } of problems)
      remark(voice, `row ${row} ${printable(pointer)}: ${printable(message)}`)
    if (ignored.length > 0)
      remark(voice, `columns that name no field: ${ignored.map(printable).join(', ')}`)
  }
  if (rejected > 0) process.exitCode = EXIT.failed
}

/** Records of a type; with words only those in which all are found. */
export async function recordList(
  client: Client,
  voice: Voice,
  where: { type: string; words: readonly string[] }
): Promise<void> {
  const query = where.words.length === 0 ? '' : `?q=${encodeURIComponent(where.words.join(' '))}`
  const found = await client.call<{ total: number; items: RegistryRecord[] }>(
    `${recordsPath(where.type)}${query}`
  )
  table(
    voice,
    found,
    ['id', 'changed', 'claims'],
    found.items.map(({ id, updatedAt, claims }) => [id, updatedAt, summary(claims)]),
    'no records'
  )
  if (!voice.json && found.total > found.items.length)
    remark(voice, `the first ${found.items.length} of ${found.total}`)
}

/** The first plain values of the claims, for one line. */
function summary(claims: RegistryRecord['claims']): string {
  return Object.values(claims)
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .slice(0, SUMMARY_VALUES_MAX)
    .join(', ')
}

const SUMMARY_VALUES_MAX = 4

/** One record, whole. */
export async function recordShow(
  client: Client,
  voice: Voice,
  where: { type: string; id: string }
): Promise<void> {
  const record = await client.call<RegistryRecord>(
    `${recordsPath(where.type)}/${encodeURIComponent(where.id)}`
  )
  say(voice, record, JSON.stringify(record, undefined, 2))
}

function recordsPath(type: string): string {
  return `/api/v1/issuer/records/${encodeURIComponent(type)}`
}
