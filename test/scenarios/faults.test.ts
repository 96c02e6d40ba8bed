/**
 * What goes wrong on real machines, seen from the command line: each fault has a clear error, an exit code
 * of its own kind, and loses nothing.
 *
 * 1. Alice creates a locker and starts her agent.
 * 2. Things go wrong, one at a time. After each her document still opens.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { ClassicLevel } from 'classic-level'
import type { ActivityEntry, DocumentFacts } from '../../agent/agent.ts'
import { samplePdf } from '../sample-pdf.ts'
import { Party, PASSPHRASE } from './processes.ts'

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

interface Failure {
  readonly error: { readonly code: string; readonly message: string }
}

describe('faults, from the command line', function () {
  this.timeout(120_000)
  let alice: Party
  let document: DocumentFacts
  const pdf = samplePdf('Degree certificate', ['Alice Example', '1998'])

  before(async () => {
    alice = await Party.create('Alice')
    await alice.init()
    await alice.up()
    await writeFile(join(alice.folder, 'degree.pdf'), pdf)
    document = await alice.json<DocumentFacts>('add', 'degree.pdf')
  })
  after(() => alice[Symbol.asyncDispose]())
  afterEach(async () => {
    if (alice.pid === undefined) await alice.up()
    const got = await alice.run('get', document.id)
    expect(got.code, got.stderr).to.equal(0)
    expect(digest(Buffer.from(got.stdout, 'utf8'))).to.equal(digest(pdf))
  })

  /** Runs a command that must fail; answers its code and message. */
  async function failure(exit: number, ...args: string[]): Promise<Failure['error']> {
    const ended = await alice.run(...args, '--json')
    expect(ended.code, `${args.join(' ')}: ${ended.stdout}${ended.stderr}`).to.equal(exit)
    const { error } = JSON.parse(ended.stderr.trim().split('\n').at(-1) ?? '') as Failure
    expect(error.message).to.be.a('string').and.not.be.empty
    return error
  }

  it('refuses a second process on the same home, naming the first', async () => {
    const args = ['up', '--private', '127.0.0.1:0', '--p2p', '/ip4/127.0.0.1/tcp/0']
    const error = await failure(1, ...args)
    expect(error.code).to.equal('home-locked')
    expect(error.message).to.include(String(alice.pid))
  })

  it('names a port that is taken', async () => {
    await alice.stop()
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    const { port } = server.address() as AddressInfo
    const error = await failure(
      1,
      'up',
      '--private',
      `127.0.0.1:${port}`,
      '--p2p',
      '/ip4/127.0.0.1/tcp/0'
    )
    expect(error.code).to.equal('port-taken')
    expect(error.message).to.include(String(port))
    await new Promise((resolve) => server.close(resolve))
  })

  it('refuses a wrong passphrase, and a weak new one', async () => {
    await alice.json('lock')
    const wrong = join(alice.folder, 'wrong')
    await writeFile(wrong, 'not the passphrase\n')
    expect((await failure(4, 'unlock', '--passphrase-file', wrong)).code).to.equal(
      'vault-secret-wrong'
    )
    expect((await failure(4, 'list')).code).to.equal('vault-sealed')
    await alice.json('unlock', '--passphrase-file', alice.passphraseFile)
    const weak = join(alice.folder, 'weak')
    await writeFile(weak, 'password1\n')
    const args = ['--passphrase-file', alice.passphraseFile, '--new-passphrase-file', weak]
    expect((await failure(2, 'passphrase', ...args)).code).to.equal('passphrase-weak')
  })

  it('opens with the words when the passphrase slot is damaged, and names the damage', async () => {
    const other = await Party.create('Carol')
    try {
      const { words } = await other.init()
      const vault = join(other.home, 'vault')
      const slot = (await readdir(vault)).find((name) => name.startsWith('slot-passphrase'))
      const path = join(vault, slot ?? '')
      const bytes = await readFile(path)
      bytes[bytes.length - 3]! ^= 1
      await writeFile(path, bytes)
      const before = await readdir(vault)
      const doctor = await other.run('doctor')
      expect(doctor.code, doctor.stdout).to.equal(1)
      expect(doctor.stdout).to.match(/slot.*passphrase/)
      // The secret at start opens nothing: the agent starts all the same, sealed.
      await other.up()
      expect((await other.json<{ state: string }>('status')).state).to.equal('sealed')
      await writeFile(join(other.folder, 'words'), words.join(' '))
      const unlocked = await other.run('unlock', '--words-file', 'words', '--json')
      expect(unlocked.code, unlocked.stderr).to.equal(0)
      expect(await readdir(vault)).to.include.members(before)
    } finally {
      await other[Symbol.asyncDispose]()
    }
  })

  it('names lost records until their owner accepts the loss', async () => {
    const other = await Party.create('Dora')
    try {
      await other.init()
      await other.up()
      for (const name of ['one', 'two']) await writeFile(join(other.folder, name), name)
      expect((await other.run('add', 'one', 'two')).code).to.equal(0)
      await other.stop()
      const db = new ClassicLevel(join(other.home, 'records'), { createIfMissing: false })
      const lost = (await db.keys().all()).find((key) => key.startsWith('documents/')) ?? ''
      await db.del(lost)
      await db.close()
      await other.up()
      const named = await other.run('doctor')
      expect(named.code, named.stdout).to.equal(1)
      expect(named.stdout).to.match(/FAIL {2}records: 1 damaged.*\n.*--accept-loss/)
      expect(await other.json('doctor', '--accept-loss')).to.deep.equal({ lost: 1 })
      await other.stop()
      await other.up()
      const sound = await other.run('doctor')
      expect(sound.stdout).to.match(/ok {4}records: complete/)
      expect(await other.json<DocumentFacts[]>('list')).to.have.length(1)
      const log = await other.json<ActivityEntry[]>('activity')
      const accepted = log.find(({ action }) => action === 'loss-accepted')
      expect(accepted?.details).to.deep.equal({ lost: 1, sublevels: 'documents' })
    } finally {
      await other[Symbol.asyncDispose]()
    }
  })

  it('keeps odd names as they are, and none of them becomes a path', async () => {
    const names = [
      '../../x',
      'constructor',
      '__proto__',
      '\u202egpj.exe',
      'a'.repeat(255),
      '/etc/passwd'
    ]
    const before = await readdir(alice.folder)
    for (const name of names) {
      const added = await alice.json<DocumentFacts>('add', 'degree.pdf', '--name', name)
      expect(added.name).to.equal(name)
      const shown = await alice.json<DocumentFacts>('show', added.id)
      expect(shown.name).to.equal(name)
    }
    const error = await failure(2, 'add', 'degree.pdf', '--name', 'b'.repeat(300))
    expect(error.message).to.match(/name must be at most 255 characters, has 300/)
    expect(await readdir(alice.folder)).to.deep.equal(before)
    const listed = await alice.json<DocumentFacts[]>('list')
    expect(listed.map(({ name }) => name)).to.include.members(names)
  })

  it('says that a link reaches nobody while the public listener is off', async () => {
    const made = await alice.run('share', 'create', document.id, '--link', '--json')
    expect(made.code, made.stderr).to.equal(0)
    expect(made.stderr).to.match(/public listener is off.*this machine only.*--public/)
    const quiet = await alice.run('share', 'create', document.id, '--link', '--quiet')
    expect(quiet.stderr).to.equal('')
    await alice.stop()
    await alice.up('--public', '127.0.0.1:0')
    const local = await alice.run('share', 'create', document.id, '--link')
    expect(local.stderr).to.match(/this machine to whoever opens the link.*--public-url/)
    await alice.stop()
    await alice.up('--public', '127.0.0.1:0', '--public-url', 'https://locker.example')
    const reachable = await alice.run('share', 'create', document.id, '--link')
    expect(reachable.stdout).to.match(/^https:\/\/locker\.example\/s\//)
    expect(reachable.stderr).to.not.include('warning')
    await alice.stop()
  })

  it('answers to its own names only, and to those of the proxy it was told of', async () => {
    await alice.stop()
    const { private: url } = await alice.up('--host-name', 'locker.example')
    const status = async (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request(`${url}/livez`, { headers: { host } }, (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        })
          .on('error', reject)
          .end()
      })
    expect(await status('locker.example')).to.equal(200)
    expect(await status('LOCKER.example:8443')).to.equal(200)
    expect(await status('attacker.example')).to.equal(421)
  })

  it('names a damaged block, and the rest stays usable', async () => {
    await writeFile(join(alice.folder, 'big.bin'), randomBytes(3_000_000))
    const big = await alice.json<DocumentFacts>('add', 'big.bin')
    const blocks = join(alice.home, 'blocks')
    const files = await readdir(blocks, { recursive: true, withFileTypes: true })
    const sized = await Promise.all(
      files
        .filter((entry) => entry.isFile())
        .map(async (entry) => {
          const path = join(entry.parentPath, entry.name)
          return { path, size: (await stat(path)).size }
        })
    )
    const largest = sized.toSorted((a, b) => b.size - a.size)[0]
    const bytes = await readFile(largest?.path ?? '')
    bytes[1000]! ^= 1
    await writeFile(largest?.path ?? '', bytes)
    const check = await alice.run('check', '--json')
    expect(check.code).to.equal(7)
    const report = JSON.parse(check.stdout) as { damaged: Array<{ id: string; blocks: string[] }> }
    expect(report.damaged.map(({ id }) => id)).to.deep.equal([big.id])
    expect(report.damaged[0]?.blocks).to.have.length(1)
    const got = await alice.run('get', big.id, '-o', 'big.out')
    expect(got.code).to.equal(7)
    expect(got.stderr).to.match(/damaged/)
    expect(await readdir(alice.folder)).to.not.include('big.out')
  })

  it('survives kill -9 and starts again on the same home', async () => {
    await alice.stop('SIGKILL')
    await alice.up()
    const documents = await alice.json<DocumentFacts[]>('list')
    expect(documents.map(({ id }) => id)).to.include(document.id)
  })

  it('says that no agent runs, and that an id is not known', async () => {
    expect((await failure(5, 'show', 'a'.repeat(26))).code).to.equal('document-unknown')
    expect((await failure(5, 'contact', 'ping', 'Nobody')).code).to.equal('contact-unknown')
    await alice.stop()
    expect((await failure(6, 'list')).code).to.equal('not-running')
    expect(
      (await failure(1, 'init', '--name', 'Again', '--passphrase-file', alice.passphraseFile)).code
    ).to.equal('vault-exists')
  })

  it('writes neither passphrase nor names where they can be read', async () => {
    await alice.stop()
    const files = await readdir(alice.home, { recursive: true, withFileTypes: true })
    const secrets = [PASSPHRASE, 'degree.pdf', 'Alice', 'application/pdf'].map((text) =>
      Buffer.from(text)
    )
    let looked = 0
    for (const entry of files.filter((one) => one.isFile())) {
      const bytes = await readFile(join(entry.parentPath, entry.name))
      looked += 1
      for (const secret of secrets) {
        expect(bytes.includes(secret), `${secret.toString()} in ${entry.name}`).to.equal(false)
      }
    }
    expect(looked).to.be.greaterThan(5)
    expect(alice.log).to.not.include(PASSPHRASE)
    expect(alice.log).to.not.include('degree.pdf')
  })
})
