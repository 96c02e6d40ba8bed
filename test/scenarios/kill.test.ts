/**
 * An agent that is killed again and again while it adds, versions, shares, revokes, trashes and deletes.
 *
 * 1. Alice's agent opens her home, in a process of its own, and changes it without pause.
 * 2. At a random moment the process is killed with SIGKILL.
 * 3. The next life opens the same home: everything acknowledged is there and opens, everything listed opens,
 *    nothing but the one step that was under way may or may not have happened, the log's chain holds, and
 *    no block is left that no document needs.
 *
 * 200 lives with SLOW=1, 8 otherwise, or as many as LIVES says. `SEED` plays one run back.
 */
import { spawn } from 'node:child_process'
import { generateKeyPairSync, randomInt } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { openOffline } from '../../node/offline.ts'
import { serviceFor } from '../../protocols/did/document.ts'
import { keyFromJwk } from '../../protocols/did/multikey.ts'
import { createDidPeer2 } from '../../protocols/did/peer.ts'
import { invitation, invitationUrl, OUT_OF_BAND } from '../../protocols/out-of-band.ts'
import type { Change, Line } from './kill-worker.ts'

const WORKER = fileURLToPath(new URL('kill-worker.ts', import.meta.url))
const LIVES = Number(process.env['LIVES'] ?? (process.env['SLOW'] === '1' ? 200 : 8))
/** A life is killed at most this long after it said what it found, milliseconds. */
const LIFE_MS_MAX = 400
/** A process that says nothing for this long hangs, milliseconds. */
const SILENCE_MS = 60_000
const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31))

/** What must be there: per document its versions' digests and whether it is trashed; per grant its state. */
interface Model {
  readonly documents: Map<string, { versions: string[]; trashed: boolean }>
  readonly grants: Map<string, { document: string; state: string }>
}

/** An invitation of somebody who is never there: what is sent to them stays in the outbox. */
function invitationOfNobody(): string {
  const { publicKey: signing } = generateKeyPairSync('ed25519')
  const { publicKey: agreement } = generateKeyPairSync('x25519')
  // The port is never dialled: the agent of this test has no network.
  const nowhere = { kind: 'http', url: 'http://127.0.0.1:9/didcomm' } as const
  const from = createDidPeer2(
    [
      { purpose: 'authentication', jwk: keyFromJwk(signing.export({ format: 'jwk' })) },
      { purpose: 'keyAgreement', jwk: keyFromJwk(agreement.export({ format: 'jwk' })) }
    ],
    [serviceFor(nowhere)]
  )
  const message = invitation.parse({
    type: `${OUT_OF_BAND}/invitation`,
    id: 'invitation-of-nobody',
    from,
    body: { accept: ['didcomm/v2'] }
  })
  return invitationUrl('http://localhost', message)
}

/** Runs one life; answers every line it said. */
async function live(home: string, keyFile: string, seed: number, lifeMs: number): Promise<Line[]> {
  const child = spawn(process.execPath, [WORKER, home, keyFile, String(seed)], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const lines: Line[] = []
  let killed = false
  const kill = (): void => {
    killed = true
    child.kill('SIGKILL')
  }
  const silence = setTimeout(kill, SILENCE_MS)
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  for await (const text of createInterface({ input: child.stdout })) {
    // The last line of a killed process may be cut off; then it was not said.
    const line = parse(text)
    if (line === undefined) break
    lines.push(line)
    if (line.is === 'found') {
      clearTimeout(silence)
      setTimeout(kill, lifeMs)
    }
  }
  await ended
  clearTimeout(silence)
  if (!killed || lines.length === 0) throw new Error(`the agent died by itself: ${errors}`)
  return lines
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line
  } catch {
    return undefined
  }
}

/** The model after a change is known to have happened. */
function apply(model: Model, change: Change, id: string, grant: string | undefined): void {
  const document = model.documents.get(id)
  switch (change.kind) {
    case 'add':
      model.documents.set(id, { versions: [change.digest], trashed: false })
      break
    case 'version':
      document?.versions.push(change.digest)
      break
    case 'share':
      model.grants.set(grant ?? '', { document: id, state: 'granted' })
      break
    case 'revoke':
      model.grants.set(change.grant, { document: id, state: 'revoked' })
      break
    case 'trash':
      if (document !== undefined) document.trashed = true
      endGrants(model, id)
      break
    case 'delete':
      model.documents.delete(id)
      endGrants(model, id)
      break
  }
}

/** Trashing or deleting a document withdraws what was granted of it. */
function endGrants(model: Model, document: string): void {
  for (const grant of model.grants.values()) {
    if (grant.document === document) grant.state = 'revoked'
  }
}

const clone = (model: Model): Model => structuredClone(model)

/** Text of the model, to compare by. */
const documentsOf = (model: Model): string =>
  JSON.stringify([...model.documents].toSorted(([a], [b]) => (a < b ? -1 : 1)))
const grantsOf = (model: Model): string =>
  JSON.stringify(
    [...model.grants]
      .filter(([, { document }]) => model.documents.has(document))
      .map(([id, { state }]) => [id, state])
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
  )

function modelOf(found: Extract<Line, { is: 'found' }>): Model {
  return {
    documents: new Map(
      found.documents.map(({ id, versions, trashed }) => [id, { versions: [...versions], trashed }])
    ),
    grants: new Map(found.grants.map(({ id, document, state }) => [id, { document, state }]))
  }
}

/** Every state that may be found: what is certain, and that with the step under way done. */
function candidates(model: Model, pending: Change | undefined, found: Model): Model[] {
  if (pending === undefined) return [model]
  const after = clone(model)
  const known = new Set(model.documents.keys())
  const fresh = [...found.documents.keys()].find((id) => !known.has(id))
  const freshGrant = [...found.grants.keys()].find((id) => !model.grants.has(id))
  const id = pending.kind === 'add' ? (fresh ?? '') : pending.id
  if (pending.kind === 'add' && fresh === undefined) return [model]
  if (pending.kind === 'share' && freshGrant === undefined) return [model]
  apply(after, pending, id, freshGrant)
  return [model, after]
}

async function blockFiles(home: string): Promise<number> {
  const entries = await readdir(join(home, 'blocks'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && !/(tmp|damaged)$/.test(entry.parentPath))
    .length
}

describe(`an agent killed ${LIVES} times (SEED=${SEED})`, function () {
  this.timeout(LIVES * 10_000 + 60_000)
  let folder: string
  let home: string
  let keyFile: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elocker-kill-'))
    home = join(folder, 'home')
    keyFile = join(folder, 'key')
    await using offline = await openOffline(home)
    const { vault, contacts } = offline.agent
    const created = await vault.create({
      name: 'Alice',
      passphrase: 'correct horse battery staple',
      keyFile: true
    })
    await writeFile(keyFile, created.keyFile ?? '')
    await contacts.accept(invitationOfNobody(), { name: 'Nobody' })
  })

  after(() => rm(folder, { recursive: true, force: true }))

  it('loses nothing it acknowledged and leaves nothing behind', async () => {
    let model: Model = { documents: new Map(), grants: new Map() }
    let pending: Change | undefined
    let acknowledged = 0
    for (let life = 1; life <= LIVES; life++) {
      const where = `life ${life} of SEED=${SEED}`
      const lifeMs = (((SEED ^ (life * 2654435761)) >>> 0) / 2 ** 32) * LIFE_MS_MAX
      const [first, ...rest] = await live(home, keyFile, SEED + life, lifeMs)
      if (first?.is !== 'found') throw new Error(`${where}: nothing was found`)
      expect(first.damage, `${where}: damage`).to.equal(0)
      expect(first.damaged, `${where}: damaged documents`).to.be.empty
      expect(first.chain, `${where}: the log's chain`).to.equal(true)
      const found = modelOf(first)
      const allowed = candidates(model, pending, found)
      const fits = allowed.find((one) => documentsOf(one) === documentsOf(found))
      if (fits === undefined) {
        expect(documentsOf(found), `${where}: documents`).to.equal(documentsOf(model))
      }
      expect(
        allowed.map(grantsOf),
        `${where}: grants after ${pending?.kind ?? 'nothing'}`
      ).to.include(grantsOf(found))
      model = found
      pending = undefined
      for (const line of rest) {
        if (line.is === 'begun') pending = line.change
        if (line.is !== 'done' || pending === undefined) continue
        apply(model, pending, line.id, line.grant)
        acknowledged += 1
        pending = undefined
      }
    }
    console.log(`      ${acknowledged} changes acknowledged over ${LIVES} lives`)
    expect(acknowledged).to.be.greaterThan(LIVES)
    await using offline = await openOffline(home)
    await offline.agent.vault.open({
      kind: 'passphrase',
      passphrase: 'correct horse battery staple'
    })
    const { blocks } = await offline.agent.documents.check()
    expect(await blockFiles(home), 'block files').to.equal(blocks)
  })
})
