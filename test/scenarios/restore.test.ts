/**
 * A locker lost with its machine, and brought back from a backup and the words on paper.
 *
 * 1. Alice adds documents, one of them in two versions, and makes a backup.
 * 2. With nothing but the backup file and the document identity of her recovery kit, a document opens with
 *    another age implementation: no eLocker. Typage always; stock `age` too where it is installed.
 * 3. On an empty machine the backup is restored; the words open it; every byte is there.
 * 4. A backup with one damaged byte is refused, and so is one that would overwrite a locker.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as dagPb from '@ipld/dag-pb'
import { CarReader } from '@ipld/car'
import { Decrypter } from 'age-encryption'
import { expect } from 'chai'
import type { DocumentFacts } from '../../agent/agent.ts'
import { CID } from 'multiformats/cid'
import { Party } from './processes.ts'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Bytes of a UnixFS file in a CAR, by walking its links: what `ipfs cat` does. */
async function cat(car: CarReader, cid: CID): Promise<Buffer> {
  const block = await car.get(cid)
  if (block === undefined) throw new Error(`the backup lacks ${cid.toString()}`)
  if (cid.code !== dagPb.code) return Buffer.from(block.bytes)
  const { Links } = dagPb.decode(block.bytes)
  const parts: Buffer[] = []
  for (const { Hash } of Links) parts.push(await cat(car, Hash))
  return Buffer.concat(parts)
}

const run = promisify(execFile)

/** Whether `age` is in PATH and knows the hybrid recipients of the sealed document: from 1.3 on. */
async function hasStockAge(): Promise<boolean> {
  const { stdout } = await run('age', ['--version']).catch(() => ({ stdout: '' }))
  const [, major = 0, minor = 0] = /^v?(\d+)\.(\d+)/.exec(stdout.trim()) ?? []
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 3)
}

describe('a locker that comes back from its backup', function () {
  this.timeout(120_000)
  let alice: Party
  let fresh: Party
  let kit: { words: string[]; documentIdentity: string }
  let small: DocumentFacts
  let large: DocumentFacts
  const first = randomBytes(1234)
  const second = randomBytes(70_000)
  const big = randomBytes(3_333_333)

  before(async () => {
    ;[alice, fresh] = await Promise.all([Party.create('Alice'), Party.create('Fresh')])
    kit = await alice.init()
    await alice.up()
    await writeFile(join(alice.folder, 'first'), first)
    await writeFile(join(alice.folder, 'second'), second)
    await writeFile(join(alice.folder, 'big'), big)
    small = await alice.json<DocumentFacts>('add', 'first', '--name', 'diploma', '--tag', 'school')
    small = await alice.json<DocumentFacts>('add', 'second', '--version-of', small.id)
    large = await alice.json<DocumentFacts>('add', 'big')
    await alice.json('backup', 'create', 'locker.car')
    await alice.stop()
  })
  after(async () => {
    await alice[Symbol.asyncDispose]()
    await fresh[Symbol.asyncDispose]()
  })

  it('opens with another age implementation from the file and the kit alone', async () => {
    const car = await CarReader.fromBytes(await readFile(join(alice.folder, 'locker.car')))
    const roots = (await car.getRoots()).map((root) => root.toString())
    expect(roots).to.include.members([small.root, large.root])
    const stock = new Decrypter()
    stock.addIdentity(kit.documentIdentity)
    for (const [facts, expected] of [
      [small, second],
      [large, big]
    ] as const) {
      const padded = Buffer.from(await stock.decrypt(await cat(car, CID.parse(facts.root))))
      const length = Number(padded.readBigUInt64BE(padded.length - 8))
      expect(length).to.equal(expected.length)
      expect(digest(padded.subarray(0, length))).to.equal(digest(expected))
    }
  })

  it('opens with stock age from the file and the kit alone', async function () {
    if (!(await hasStockAge())) {
      console.log('      no `age` from 1.3 on (hybrid keys) in PATH: skipped')
      this.skip()
    }
    const car = await CarReader.fromBytes(await readFile(join(alice.folder, 'locker.car')))
    const identity = join(alice.folder, 'identity')
    await writeFile(identity, `${kit.documentIdentity}\n`, { mode: 0o600 })
    for (const [facts, expected] of [
      [small, second],
      [large, big]
    ] as const) {
      await writeFile(join(alice.folder, 'sealed.age'), await cat(car, CID.parse(facts.root)))
      const args = ['--decrypt', '--identity', identity, '--output', 'padded', 'sealed.age']
      await run('age', args, { cwd: alice.folder })
      const padded = await readFile(join(alice.folder, 'padded'))
      expect(digest(padded.subarray(0, facts.sizeBytes))).to.equal(digest(expected))
      expect(Number(padded.readBigUInt64BE(padded.length - 8))).to.equal(expected.length)
    }
  })

  it('refuses a damaged backup and leaves the empty home empty', async () => {
    const bytes = await readFile(join(alice.folder, 'locker.car'))
    bytes[bytes.length - 1000]! ^= 1
    await writeFile(join(fresh.folder, 'damaged.car'), bytes)
    const ended = await fresh.run('backup', 'restore', 'damaged.car', '--json')
    expect(ended.code).to.equal(7)
    expect(ended.stderr).to.include('backup-damaged')
  })

  it('brings every byte back on an empty machine, by the words', async () => {
    await fresh.json('backup', 'restore', join(alice.folder, 'locker.car'))
    await fresh.up()
    await writeFile(join(fresh.folder, 'words'), kit.words.join(' '))
    await fresh.json('unlock', '--words-file', 'words')
    const documents = await fresh.json<DocumentFacts[]>('list')
    expect(documents.map(({ id }) => id)).to.have.members([small.id, large.id])
    const wanted = [
      [small.id, '1', first],
      [small.id, '2', second],
      [large.id, '1', big]
    ] as const
    for (const [id, version, bytes] of wanted) {
      const file = `${id}-${version}`
      await fresh.json('get', id, '--version-number', version, '-o', file)
      expect(digest(await readFile(join(fresh.folder, file)))).to.equal(digest(bytes))
    }
    const found = await fresh.json<DocumentFacts[]>('search', 'school')
    expect(found.map(({ name }) => name)).to.deep.equal(['diploma'])
  })

  it('never overwrites a locker', async () => {
    await fresh.stop()
    const ended = await fresh.run('backup', 'restore', join(alice.folder, 'locker.car'), '--json')
    expect(ended.code).to.equal(1)
    expect(ended.stderr).to.include('vault-exists')
  })
})
