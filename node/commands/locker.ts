/**
 * `elocker init | status | unlock | lock | recovery | backup`: the locker as a whole.
 *
 * Where an agent runs on the home, it does the work; `init` and `backup restore` also work without one,
 * on the home itself (node/offline.ts).
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat, writeFile } from 'node:fs/promises'
import type { Agent, OwnerFacts, RecoveryKit, Secret, VaultState } from '../../agent/agent.ts'
import { openOffline } from '../offline.ts'
import { ask, canAsk, passphraseFor, wholeFile } from './arguments.ts'
import { connect, running, type Client } from './client.ts'
import { CommandFailure, EXIT } from './outcome.ts'
import { printable, progress, remark, say, size, type Voice } from './output.ts'

/** Times a person may mistype the words that are asked back. */
const CONFIRM_TRIES = 5

/** What commands on the locker share. */
export interface LockerOptions {
  readonly home: string
  readonly input: boolean
  readonly passphraseFile?: string
}

interface Created {
  readonly owner: OwnerFacts
  readonly kit: RecoveryKit
  readonly keyFile?: string
}

/** `GET /api/v1/node`. */
export interface NodeStatus {
  readonly state: VaultState
  readonly version: string
  readonly name?: string
  readonly did?: string
  readonly recoveryConfirmed?: boolean
  readonly peerId: string
  readonly addresses: {
    readonly private: string
    readonly public: string | null
    readonly socket?: string
    readonly p2p: readonly string[]
  }
  readonly peers: number
  readonly relay: boolean
  readonly damage: number
}

/** Creates the locker; prints DID and recovery words, and asks three of them back where it can. */
export async function init(
  voice: Voice,
  options: LockerOptions & { name?: string; keyFile?: string }
): Promise<void> {
  const askable = canAsk({ input: options.input, json: voice.json })
  const name = options.name ?? (askable ? (await ask('Your name: ')).trim() : undefined)
  if (name === undefined || name === '') {
    throw new CommandFailure(EXIT.usage, 'usage', 'init needs --name NAME')
  }
  const passphrase = await passphraseFor({ file: options.passphraseFile, askable, fresh: true })
  const wantsKeyFile = options.keyFile !== undefined
  const body = { name, passphrase, ...(wantsKeyFile ? { keyFile: true } : {}) }
  await withLocker(options.home, async (locker) => {
    const created = await locker.create(body)
    if (options.keyFile !== undefined && created.keyFile !== undefined) {
      await writeFile(options.keyFile, `${created.keyFile}\n`, { mode: 0o600, flag: 'wx' })
    }
    const { owner, kit } = created
    const json = {
      did: owner.did,
      name: owner.name,
      words: kit.words,
      documentIdentity: kit.documentIdentity,
      documentRecipient: kit.documentRecipient
    }
    say(voice, json, kitText(owner, kit))
    if (askable) await confirmWords(kit, (words) => locker.confirm(words))
  })
}

/** Creating and confirming, by the running agent or on the home itself. */
interface LockerDoor {
  create(body: { name: string; passphrase: string; keyFile?: boolean }): Promise<Created>
  confirm(words: Readonly<Record<number, string>>): Promise<void>
}

async function withLocker(home: string, work: (door: LockerDoor) => Promise<void>): Promise<void> {
  if (await running(home)) {
    const client = await connect(home)
    await work({
      create: (json) => client.call<Created>('/api/v1/locker', { method: 'POST', json }),
      confirm: (words) => client.call('/api/v1/locker/confirm', { method: 'POST', json: { words } })
    })
    return
  }
  await using offline = await openOffline(home)
  const { vault }: Agent = offline.agent
  await work({
    create: (body) => vault.create(body),
    confirm: (words) => vault.confirmRecovery(words)
  })
}

function kitText(owner: OwnerFacts, kit: RecoveryKit): string {
  const words = kit.words.map((word, at) => `${String(at + 1).padStart(2)} ${word.padEnd(9)}`)
  const rows = Array.from(
    { length: 6 },
    (_, row) => `  ${words.slice(row * 4, row * 4 + 4).join('  ')}`
  )
  return [
    `The locker of ${printable(owner.name)} is ready: ${owner.did}`,
    '',
    'Recovery kit. Write it on paper and keep it away from this machine: it is shown only now.',
    '',
    ...rows,
    '',
    'Document identity (opens every document with stock age, from a backup):',
    `  ${kit.documentIdentity}`
  ].join('\n')
}

async function confirmWords(
  kit: RecoveryKit,
  confirm: (words: Readonly<Record<number, string>>) => Promise<void>
): Promise<void> {
  process.stderr.write('\nThree words back, so that the kit is known to be right.\n')
  for (let attempt = 1; attempt <= CONFIRM_TRIES; attempt++) {
    const words: Record<number, string> = {}
    for (const position of kit.ask) {
      words[position] = (await ask(`Word ${position}: `)).trim().toLowerCase()
    }
    if (kit.ask.every((position) => words[position] === kit.words[position - 1])) {
      await confirm(words)
      process.stderr.write('Right. Start the agent with: elocker up\n')
      return
    }
    process.stderr.write('That is not what the kit says.\n')
  }
  process.stderr.write('Not confirmed; do it later with: elocker recovery create\n')
}

/** State, name, addresses; exit code 6 when no agent runs. */
export async function status(client: Client, voice: Voice): Promise<void> {
  const node = await client.call<NodeStatus>('/api/v1/node')
  const lines: Array<[string, string]> = [
    ['locker', node.state],
    ['name', node.name ?? ''],
    ['did', node.did ?? ''],
    ['page', node.addresses.private],
    ['public', node.addresses.public ?? 'off'],
    ['p2p', node.addresses.p2p.join('\n          ')],
    ['peers', String(node.peers)],
    ['damage', node.damage === 0 ? '' : `${node.damage} records; see: elocker doctor`],
    ['recovery', node.recoveryConfirmed === false ? 'words not yet confirmed' : '']
  ]
  const shown = lines.filter(([, value]) => value !== '')
  say(
    voice,
    { ...node, pid: client.run.pid },
    shown
      .map(
        ([label, value]) => `${label.padEnd(8)}  ${printable(value).replaceAll('\\u000a', '\n')}`
      )
      .join('\n')
  )
}

/** Prints an address that opens the page in a browser, once: the last one was used, or its session has ended. */
export async function openPage(client: Client, voice: Voice): Promise<void> {
  const { url } = await client.call<{ url: string }>('/api/v1/session/addresses', {
    method: 'POST'
  })
  say(voice, { url }, url)
}

/** Opens the vault of the running agent. */
export async function unlock(
  client: Client,
  voice: Voice,
  options: Omit<LockerOptions, 'home'> & { words?: boolean; keyFile?: string }
): Promise<void> {
  const secret = await secretOf(voice, options)
  const owner = await client.call<OwnerFacts>('/api/v1/node/unlock', {
    method: 'POST',
    json: { secret }
  })
  say(voice, owner, `open: ${printable(owner.name)}`)
}

async function secretOf(
  voice: Voice,
  options: Omit<LockerOptions, 'home'> & { words?: boolean; keyFile?: string; wordsFile?: string }
): Promise<Secret> {
  const askable = canAsk({ input: options.input, json: voice.json })
  if (options.keyFile !== undefined) {
    return { kind: 'key-file', text: (await wholeFile(options.keyFile)).trim() }
  }
  if (options.wordsFile !== undefined || options.words === true) {
    const text =
      options.wordsFile === undefined
        ? await ask('The 24 words: ', { hidden: true })
        : await wholeFile(options.wordsFile)
    return { kind: 'words', words: text.trim().toLowerCase().split(/\s+/) }
  }
  return {
    kind: 'passphrase',
    passphrase: await passphraseFor({ file: options.passphraseFile, askable })
  }
}

/** Seals the vault of the running agent. */
export async function lock(client: Client, voice: Voice): Promise<void> {
  await client.call('/api/v1/node/lock', { method: 'POST' })
  say(voice, { state: 'sealed' }, 'sealed')
}

/** Makes a new recovery kit; the old words open nothing afterwards. */
export async function newKit(
  client: Client,
  voice: Voice,
  options: Omit<LockerOptions, 'home'>
): Promise<void> {
  const secret = await secretOf(voice, options)
  const kit = await client.call<RecoveryKit>('/api/v1/locker/recovery-kit', {
    method: 'POST',
    json: { secret }
  })
  const { name, did } = await client.call<NodeStatus>('/api/v1/node')
  const owner = { name: name ?? '', did: did ?? '', createdAt: '', recoveryConfirmed: false }
  say(voice, kit, kitText(owner, kit))
  if (canAsk({ input: options.input, json: voice.json })) {
    await confirmWords(kit, (words) =>
      client.call('/api/v1/locker/confirm', { method: 'POST', json: { words } })
    )
  }
}

/** Whether these words open the locker, tried on the agent without changing anything but its state. */
export async function testWords(
  client: Client,
  voice: Voice,
  options: Omit<LockerOptions, 'home'> & { wordsFile?: string }
): Promise<void> {
  const secret = await secretOf(voice, { ...options, words: true })
  const owner = await client.call<OwnerFacts>('/api/v1/node/unlock', {
    method: 'POST',
    json: { secret }
  })
  say(voice, { ok: true, did: owner.did }, `the words open the locker of ${printable(owner.name)}`)
}

/** Sets a new passphrase, with the old one or with the words. */
export async function changePassphrase(
  client: Client,
  voice: Voice,
  options: Omit<LockerOptions, 'home'> & {
    words?: boolean
    wordsFile?: string
    newPassphraseFile?: string
  }
): Promise<void> {
  const secret = await secretOf(voice, options)
  const askable = canAsk({ input: options.input, json: voice.json })
  if (options.newPassphraseFile === undefined && askable) remark(voice, 'Now the new one.')
  const fresh = await passphraseFor({ file: options.newPassphraseFile, askable, fresh: true })
  await client.call('/api/v1/locker/passphrase', {
    method: 'POST',
    json: { secret, passphrase: fresh }
  })
  say(voice, { changed: true }, 'changed; the old passphrase opens nothing any more')
}

/** Writes a backup of the running agent's locker; the file appears whole or not at all. */
export async function backup(
  client: Client,
  voice: Voice,
  file: string,
  options: { force?: boolean }
): Promise<void> {
  if (options.force !== true && (await stat(file).catch(() => undefined)) !== undefined) {
    throw new CommandFailure(
      EXIT.failed,
      'file-exists',
      `${file} exists; give another name or --force`
    )
  }
  const answer = await client.stream('/api/v1/backups', { method: 'POST' })
  const bar = progress(voice, 'backup', undefined)
  const partial = `${file}.part`
  const handle = await open(partial, 'w', 0o600)
  let bytes = 0
  try {
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        bytes += chunk.length
        bar.at(bytes)
        await handle.writeFile(chunk)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(partial, file)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  } finally {
    bar.end()
  }
  say(voice, { file, bytes }, `${printable(file)}: ${size(bytes)}`)
}

/** Brings a locker back from a backup into an empty home; opened with the words afterwards. */
export async function restoreBackup(voice: Voice, home: string, file: string): Promise<void> {
  const { size: total } = await stat(file).catch((error: Error) => {
    throw new CommandFailure(
      EXIT.unknown,
      'file-unreadable',
      `cannot read ${file}: ${error.message}`
    )
  })
  const bar = progress(voice, 'restore', total)
  try {
    const report = (await running(home))
      ? await restoreThroughAgent(home, file, total)
      : await restoreOffline(home, file, (bytes) => bar.at(bytes))
    bar.end()
    say(
      voice,
      report,
      `${report.documents} documents, ${report.blocks} blocks, ${size(report.bytes)} restored; open it with: elocker unlock --words`
    )
  } finally {
    bar.end()
  }
}

type RestoreReport = Awaited<ReturnType<Agent['backup']['restore']>>

async function restoreThroughAgent(
  home: string,
  file: string,
  bytes: number
): Promise<RestoreReport> {
  const client = await connect(home)
  return client.call<RestoreReport>('/api/v1/backups/restore', {
    method: 'POST',
    body: createReadStream(file, { highWaterMark: 1 << 20 }),
    bytes,
    type: 'application/vnd.ipld.car'
  })
}

async function restoreOffline(
  home: string,
  file: string,
  onProgress: (bytes: number) => void
): Promise<RestoreReport> {
  await using offline = await openOffline(home)
  return await offline.agent.backup.restore(createReadStream(file, { highWaterMark: 1 << 20 }), {
    onProgress
  })
}
