/**
 * One life of an agent that will be killed: opens the home, says what is there, then changes it until it dies.
 * Started by kill.test.ts; speaks JSON lines on stdout. A line that is not written whole was not said.
 *
 *     {"is":"found", …}                what the home holds after opening, every version hashed
 *     {"is":"begun","step":n, …}       before a step: from now on its effect may be there
 *     {"is":"done","step":n, …}        after it was acknowledged: from now on its effect must be there
 */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Agent, DocumentFacts } from '../../agent/agent.ts'
import { openOffline } from '../../node/offline.ts'

/** Largest sample, bytes: three blocks of 1 MiB are touched by some, most are small. */
const SAMPLE_BYTES_MAX = 2_500_000

export interface FoundDocument {
  readonly id: string
  readonly trashed: boolean
  /** sha256 of each version's content, oldest first. */
  readonly versions: readonly string[]
}

export type Change =
  | { readonly kind: 'add'; readonly digest: string }
  | { readonly kind: 'version'; readonly id: string; readonly digest: string }
  | { readonly kind: 'trash' | 'delete' | 'share'; readonly id: string }
  | { readonly kind: 'revoke'; readonly id: string; readonly grant: string }

export type Line =
  | {
      readonly is: 'found'
      readonly documents: readonly FoundDocument[]
      readonly grants: ReadonlyArray<{ id: string; document: string; state: string }>
      /** Blocks the documents consist of. */
      readonly blocks: number
      readonly damaged: readonly string[]
      readonly chain: boolean
      readonly damage: number
    }
  | { readonly is: 'begun'; readonly step: number; readonly change: Change }
  | { readonly is: 'done'; readonly step: number; readonly id: string; readonly grant?: string }

/** mulberry32: the same seed gives the same life. */
function numbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Synchronous, so that what was said was said before the next step. */
function say(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

async function digestOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of content) hash.update(piece)
  return hash.digest('hex')
}

async function found(agent: Agent): Promise<Line> {
  const all = [...agent.documents.list(), ...agent.documents.list({ trashed: true })]
  const documents: FoundDocument[] = []
  for (const { id, trashedAt, versions } of all) {
    const digests: string[] = []
    for (const { number } of versions) {
      digests.push(await digestOf((await agent.documents.open(id, { version: number })).content))
    }
    documents.push({ id, trashed: trashedAt !== undefined, versions: digests })
  }
  const report = await agent.documents.check()
  return {
    is: 'found',
    documents,
    grants: agent.sharing
      .grants({ direction: 'given' })
      .map(({ id, document, state }) => ({ id, document: document.id ?? '', state })),
    blocks: report.blocks,
    damaged: report.damaged.map(({ id }) => id),
    chain: (await agent.activity.verify()).ok,
    damage: agent.damage.length
  }
}

function sample(random: () => number): Uint8Array<ArrayBuffer> {
  const size = Math.floor(random() ** 4 * SAMPLE_BYTES_MAX)
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += 97) bytes[at] = Math.floor(random() * 256)
  return bytes
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** One change; what it answers is acknowledged. */
async function step(
  agent: Agent,
  random: () => number,
  number: number,
  contact: string
): Promise<void> {
  const begin = (change: Change): void => say({ is: 'begun', step: number, change })
  const documents = agent.documents.list()
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  const document: DocumentFacts | undefined = pick(documents)
  const grant = pick(
    agent.sharing.grants({ direction: 'given' }).filter(({ state }) => state === 'granted')
  )
  const choice = random()
  let id: string
  let given: string | undefined
  if (document === undefined || choice < 0.35 || documents.length < 3) {
    const bytes = sample(random)
    begin({ kind: 'add', digest: sha256(bytes) })
    id = (await agent.documents.add(pieces(bytes), { name: `sample ${number}` })).id
  } else if (choice < 0.5) {
    const bytes = sample(random)
    begin({ kind: 'version', id: document.id, digest: sha256(bytes) })
    id = (await agent.documents.addVersion(document.id, pieces(bytes))).id
  } else if (choice < 0.65) {
    begin({ kind: 'share', id: document.id })
    given = (await agent.sharing.give({ document: document.id, to: contact, purpose: 'to see' })).id
    id = document.id
  } else if (choice < 0.8 && grant !== undefined) {
    begin({ kind: 'revoke', id: grant.document.id ?? '', grant: grant.id })
    await agent.sharing.revoke(grant.id)
    id = grant.document.id ?? ''
    given = grant.id
  } else if (choice < 0.9) {
    begin({ kind: 'trash', id: document.id })
    id = (await agent.documents.trash(document.id)).id
  } else {
    begin({ kind: 'delete', id: document.id })
    await agent.documents.delete(document.id)
    id = document.id
  }
  say({ is: 'done', step: number, id, ...(given === undefined ? {} : { grant: given }) })
}

const [home = '', keyFile = '', seed = '0'] = process.argv.slice(2)
const { agent } = await openOffline(home)
await agent.vault.open({ kind: 'key-file', text: (await readFile(keyFile, 'utf8')).trim() })
say(await found(agent))
const random = numbers(Number(seed))
const contact = agent.contacts.list()[0]?.did ?? ''
for (let number = 1; ; number++) await step(agent, random, number, contact)
