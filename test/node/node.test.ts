import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Flags } from '../../node/config.ts'
import { readConfig } from '../../node/config.ts'
import { openNodeKey } from '../../node/node-key.ts'
import type { RunningNode } from '../../node/node.ts'
import { startNode } from '../../node/node.ts'
import { failure, temporaryFolder } from './faulty-files.ts'

const PASSPHRASE = 'correct horse battery staple'

function peerOf(node: RunningNode): string | undefined {
  return node.urls.p2p[0]?.split('/p2p/')[1]
}

describe('node', function () {
  this.timeout(30_000)
  let home: AsyncDisposable & { path: string }
  const running: RunningNode[] = []
  const start = async (flags: Flags = {}): Promise<RunningNode> => {
    const loopback = { private: 0, p2p: '/ip4/127.0.0.1/tcp/0', log: 'silent', home: home.path }
    const node = await startNode(readConfig({ ...loopback, ...flags }, {}))
    running.push(node)
    return node
  }
  const stop = async (): Promise<void> => {
    for (const node of running.splice(0)) await node.close()
  }
  beforeEach(async () => {
    home = await temporaryFolder()
  })
  afterEach(async () => {
    await stop()
    await home[Symbol.asyncDispose]()
  })

  it('answers on the listeners that are on, and describes itself in run.json', async () => {
    const node = await start({ public: '127.0.0.1:0' })
    const facts: unknown = await (await fetch(`${node.urls.private}/api/v1/node`)).json()
    expect(facts).to.have.property('state', 'new')
    expect((await fetch(`${node.urls.public}/livez`)).status).to.equal(200)
    const path = join(home.path, 'run.json')
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    const run: unknown = JSON.parse(await readFile(path, 'utf8'))
    expect(run).to.deep.include({
      pid: process.pid,
      url: node.urls.private,
      publicUrl: node.urls.public,
      socket: join(home.path, 'api.sock'),
      p2p: node.urls.p2p
    })
    expect(node.urls.open).to.match(/^http:\/\/localhost:\d+\/#t=[\w-]{20,}$/)
  })

  it('keeps the public listener off, and leaves nothing running behind', async () => {
    const node = await start()
    expect(node.urls.public).to.equal(undefined)
    const { private: url } = node.urls
    await stop()
    await failure(fetch(url))
    expect(await readdir(home.path)).to.not.include.members(['run.json', 'api.sock'])
    await start()
  })

  it('keeps its PeerId over restarts, and does not replace a damaged key', async () => {
    const first = peerOf(await start())
    await stop()
    expect(peerOf(await start())).to.equal(first)
    await stop()
    const path = join(home.path, 'node.key')
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    await writeFile(path, 'damaged')
    expect((await failure(openNodeKey(path))).code).to.equal('storage-failed')
    expect((await failure(start())).code).to.equal('storage-failed')
    expect(await readFile(path, 'utf8')).to.equal('damaged')
  })

  it('refuses a second node on the same home, which goes on', async () => {
    const node = await start()
    expect((await failure(start())).code).to.equal('home-locked')
    expect((await fetch(`${node.urls.private}/livez`)).status).to.equal(200)
  })

  it('closes what it had opened when a port is taken', async () => {
    await using other = await temporaryFolder()
    const node = await start()
    const taken = node.urls.private.replace('http://', '')
    expect((await failure(start({ home: other.path, private: taken }))).code).to.equal('port-taken')
    // Neither the lock nor the libp2p port of the failed start is held any more.
    await start({ home: other.path })
  })

  it('opens the vault from a passphrase file, and refuses to start with a wrong one', async () => {
    const passphraseFile = join(home.path, 'secret')
    await writeFile(passphraseFile, `${PASSPHRASE}\nsecond line\n`)
    const first = await start({ passphraseFile })
    expect(first.agent.vault.state).to.equal('new')
    await first.agent.vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    await stop()
    expect((await start({ passphraseFile })).agent.vault.state).to.equal('open')
    await stop()
    await writeFile(passphraseFile, 'another one entirely')
    expect((await failure(start({ passphraseFile }))).code).to.equal('vault-secret-wrong')
    await writeFile(passphraseFile, '')
    expect((await failure(start({ passphraseFile }))).code).to.equal('config-invalid')
    expect((await failure(start({ passphraseFile: '/nonexistent' }))).code).to.equal(
      'config-invalid'
    )
    expect((await start()).agent.vault.state).to.equal('sealed')
  })

  it('ends within ten seconds', async () => {
    await start({ public: '127.0.0.1:0' })
    const before = performance.now()
    await stop()
    expect(performance.now() - before).to.be.lessThan(10_000)
  })
})
