/**
 * The first command of the README, as a person types it: `npm start` with an empty home ends in a page at
 * the printed address.
 *
 * 1. The page is built, the agent starts, and one line with the address comes out.
 * 2. A browser that opens the address gets the page, its script, and with the token of the address a session.
 * 3. Ctrl-C ends it.
 *
 * Needs SLOW=1 (it builds the page) and npm.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Building and starting on a busy machine of two cores, milliseconds. */
const STARTED_MS = 150_000
const STOPPED_MS = 15_000

describe('npm start, with an empty home', function () {
  this.timeout(STARTED_MS + STOPPED_MS + 30_000)
  let folder: string
  let child: ChildProcess | undefined
  let output = ''
  let errors = ''

  before(async function () {
    if (process.env['SLOW'] !== '1') {
      console.log('      npm start builds the page: run with SLOW=1 only, skipped')
      this.skip()
    }
    if (!(await hasNpm())) {
      console.log('      no npm in PATH: skipped')
      this.skip()
    }
    folder = await mkdtemp(join(tmpdir(), 'elocker-start-'))
  })

  after(async () => {
    if (folder === undefined) return
    signal('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  /** npm, its shell and the agent are one process group. */
  function signal(name: 'SIGINT' | 'SIGKILL'): void {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    process.kill(-child.pid, name)
  }

  /** The address in the printed line. */
  async function address(): Promise<URL> {
    const free = ['--private', '127.0.0.1:0', '--p2p', '/ip4/127.0.0.1/tcp/0']
    const started = spawn('npm', ['start', '--', ...free], {
      cwd: ROOT,
      env: { ...process.env, ELOCKER_HOME: join(folder, 'home'), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true
    })
    child = started
    started.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no address within ${STARTED_MS} ms: ${output}${errors}`)),
        STARTED_MS
      )
      const ended = (code: number | null): void =>
        reject(new Error(`npm start ended with ${code}: ${output}${errors}`))
      started.once('exit', ended)
      started.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        const [, url] = /^Open (http:\/\/\S+)$/m.exec(output) ?? []
        if (url === undefined) return
        clearTimeout(timer)
        started.off('exit', ended)
        resolve(new URL(url))
      })
    })
  }

  it('ends in a page at the printed address', async () => {
    const url = await address()
    expect(url.hostname).to.equal('localhost')
    const page = await fetch(url.origin)
    expect(page.status).to.equal(200)
    const html = await page.text()
    expect(html).to.match(/<title>.*eLocker/)
    const [, script = ''] = /<script[^>]+src="([^"]+)"/.exec(html) ?? []
    const code = await fetch(new URL(script, url.origin))
    expect(code.headers.get('content-type')).to.match(/javascript/)
    expect((await code.text()).length).to.be.greaterThan(10_000)
    const session = await fetch(`${url.origin}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: new URLSearchParams(url.hash.slice(1)).get('t') })
    })
    expect(session.status).to.equal(204)
    expect(session.headers.get('set-cookie')).to.match(/HttpOnly/)
    const node = (await (await fetch(`${url.origin}/api/v1/node`)).json()) as { state: string }
    expect(node.state).to.equal('new')
    expect(await readdir(join(folder, 'home'))).to.include('run.json')
  })

  it('ends with Ctrl-C, and leaves no sign of a running agent', async () => {
    const ended = new Promise<void>((resolve) => child?.once('exit', () => resolve()))
    signal('SIGINT')
    await ended
    expect(await readdir(join(folder, 'home'))).to.not.include('run.json')
  })
})

async function hasNpm(): Promise<boolean> {
  return promisify(execFile)('npm', ['--version']).then(
    () => true,
    () => false
  )
}
