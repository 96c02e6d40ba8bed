/**
 * A disk that is full, for real: Alice's home is a small file system of its own.
 *
 * 1. Alice adds a document; then one that does not fit. It is refused, and says why; what had been written
 *    of it is gone.
 * 2. Somebody else fills the rest of the disk. Nothing can be added, invited or granted; what she has opens.
 * 3. Space comes back: everything works again, without a restart and after one.
 *
 * Needs SLOW=1, and the right to mount a tmpfs.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { open, mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import type { DocumentFacts } from '../../agent/agent.ts'
import { systemCode } from '../../node/durable-files.ts'
import { Party } from './processes.ts'

const DISK = '48m'
const MB = 1_000_000

const run = promisify(execFile)
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

describe('a full disk', function () {
  this.timeout(180_000)
  let alice: Party
  let mounted = false
  let first: DocumentFacts
  const bytes = randomBytes(3 * MB)

  before(async function () {
    if (process.env['SLOW'] !== '1') {
      console.log('      a full disk is tried with SLOW=1 only: skipped')
      this.skip()
    }
    alice = await Party.create('Alice')
    await mkdir(alice.home, { mode: 0o700 })
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'tmpfs', alice.home])
      mounted = true
    } catch {
      console.log('      this user may not mount a tmpfs: a real full disk is skipped')
      this.skip()
    }
    await alice.init()
    await alice.up()
    await writeFile(join(alice.folder, 'first'), bytes)
    first = await alice.json<DocumentFacts>('add', 'first')
  })
  after(async () => {
    await alice?.stop('SIGKILL')
    if (mounted) await run('umount', [alice.home])
    await alice?.[Symbol.asyncDispose]()
  })

  async function failure(...args: string[]): Promise<{ code: string; message: string }> {
    const ended = await alice.run(...args, '--json')
    expect(ended.code, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`).to.equal(1)
    const text = ended.stderr.trim().split('\n').at(-1) ?? ''
    return (JSON.parse(text) as { error: { code: string; message: string } }).error
  }

  async function opens(document: DocumentFacts, expected: Uint8Array): Promise<void> {
    const got = await alice.run('get', document.id, '-o', 'got', '--force')
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(await readFile(join(alice.folder, 'got')))).to.equal(digest(expected))
  }

  async function freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(alice.home)
    return bavail * bsize
  }

  it('refuses a document that does not fit, says why, and keeps nothing of it', async () => {
    await writeFile(join(alice.folder, 'large'), randomBytes(60 * MB))
    const before = await freeBytes()
    const startedMs = performance.now()
    const error = await failure('add', 'large')
    expect(performance.now() - startedMs, 'the command ends with the refusal').to.be.lessThan(
      20_000
    )
    expect(error.code).to.equal('storage-full')
    expect(error.message).to.match(/full|space/i)
    await opens(first, bytes)
    expect((await alice.json<DocumentFacts[]>('list')).map(({ id }) => id)).to.deep.equal([
      first.id
    ])
    // Blocks that no document names are gone; the database may have grown by its own bookkeeping.
    expect(before - (await freeBytes())).to.be.lessThan(2 * MB)
  })

  it('loses nothing while nothing can be written, and goes on when there is space again', async () => {
    const ballast = join(alice.home, 'ballast')
    await fillDisk(ballast)
    await writeFile(join(alice.folder, 'small'), 'a few words')
    expect((await failure('add', 'small')).code).to.equal('storage-full')
    expect((await failure('invite')).code).to.equal('storage-full')
    await opens(first, bytes)
    expect((await failure('change', first.id, '--name', 'renamed')).code).to.equal('storage-full')
    expect((await alice.json<DocumentFacts>('show', first.id)).name).to.equal('first')
    await rm(ballast)
    const small = await alice.json<DocumentFacts>('add', 'small')
    await alice.json('change', first.id, '--name', 'renamed')
    await alice.stop()
    await alice.up()
    await opens(small, Buffer.from('a few words'))
    await opens(first, bytes)
    expect((await alice.json<DocumentFacts>('show', first.id)).name).to.equal('renamed')
    const check = await alice.json<{ damaged: unknown[] }>('check')
    expect(check.damaged).to.be.empty
  })

  it('starts on a full disk, and opens what is there', async () => {
    await alice.stop()
    const ballast = join(alice.home, 'ballast')
    await fillDisk(ballast)
    const started = await alice.up().then(
      () => 'started',
      () => 'refused'
    )
    if (started === 'started') await opens(first, bytes)
    else expect(alice.log).to.match(/storage-full/)
    await alice.stop()
    await rm(ballast)
    await alice.up()
    await opens(first, bytes)
  })
})

/** Writes until nothing more fits: not one block is left. */
async function fillDisk(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (let size = 65_536; size >= 1;)
      try {
        await file.write(Buffer.alloc(size, 1))
      } catch (error) {
        if (systemCode(error) !== 'ENOSPC') throw error
        size = Math.floor(size / 2)
      }
  } finally {
    await file.close()
  }
}
