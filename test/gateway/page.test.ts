/** The built page: which entry where, under which policy, and nothing of the locker for strangers. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { PAGE_POLICY } from '../../gateway/headers.ts'
import { TestGateway } from './harness.ts'

/** A build as Vite writes it. */
const FILES: Readonly<Record<string, string>> = {
  'locker/index.html': '<script type="module" src="/assets/locker-A1.js"></script>locker',
  'share/index.html': '<script type="module" src="/assets/share-B2.js"></script>share',
  'assets/locker-A1.js': 'import "./common-C3.js"; const secretScreen = 1',
  'assets/share-B2.js': 'import("./open-D4.js"); new Worker("/assets/worker-E5.js")',
  'assets/common-C3.js': '',
  'assets/open-D4.js': 'import "./common-C3.js"; url = "/assets/style-F6.css"',
  'assets/worker-E5.js': '',
  'assets/style-F6.css': 'src: url(/assets/font-G7.woff2)',
  'assets/font-G7.woff2': 'font',
  'assets/icon-H8.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'assets/.hidden': 'hidden',
  'secret.txt': 'outside the assets'
}

describe('gateway: page', () => {
  let folder = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elocker-page-'))
    for (const [path, text] of Object.entries(FILES)) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
  })

  after(() => rm(folder, { recursive: true }))

  it('serves the locker on the private listener and the share page on the public one', async () => {
    await using test = await TestGateway.open({ pageFolder: folder })
    const pages = [
      [await test.bare('/'), 'locker'],
      [await test.bare('/i?_oob=x'), 'locker'],
      [await test.stranger('/s/abcdef'), 'share'],
      [await test.stranger('/i?_oob=x'), 'share']
    ] as const
    for (const [answer, entry] of pages) {
      expect(answer.status).to.equal(200)
      expect(answer.body.toString()).to.match(new RegExp(`${entry}$`))
      expect(answer.headers).to.include({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy': PAGE_POLICY,
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cross-origin-opener-policy': 'same-origin'
      })
      expect(answer.headers).to.not.have.property('x-powered-by')
    }
    expect(PAGE_POLICY).to.match(
      /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';/
    )
    expect(PAGE_POLICY).to.not.match(/unsafe-inline|'unsafe-eval'|\*|https?:/)
  })

  it('serves files with a hash in their name for a year', async () => {
    await using test = await TestGateway.open({ pageFolder: folder })
    const answer = await test.bare('/assets/locker-A1.js')
    expect(answer.headers).to.include({
      'content-type': 'text/javascript; charset=utf-8',
      'cache-control': 'public, max-age=31536000, immutable'
    })
  })

  it('gives strangers what the share page loads, directly or through another file, and nothing else', async () => {
    await using test = await TestGateway.open({ pageFolder: folder })
    const status = async (name: string): Promise<number> =>
      (await test.stranger(`/assets/${name}`)).status
    for (const name of [
      'share-B2.js',
      'open-D4.js',
      'common-C3.js',
      'worker-E5.js',
      'style-F6.css',
      'font-G7.woff2'
    ])
      expect([name, await status(name)]).to.deep.equal([name, 200])
    for (const name of [
      'locker-A1.js',
      'icon-H8.svg',
      '.hidden',
      '../secret.txt',
      '..%2fsecret.txt',
      '',
      'nothing.js'
    ])
      expect([name, await status(name)]).to.deep.equal([name, 404])
  })

  it('leaves the folder by no path', async () => {
    await using test = await TestGateway.open({ pageFolder: folder })
    for (const path of [
      '../secret.txt',
      '..%2fsecret.txt',
      '%2e%2e/secret.txt',
      '.hidden',
      '..%5csecret.txt',
      '%00',
      '....//secret.txt'
    ]) {
      const answer = await test.bare(`/assets/${path}`)
      expect([path, answer.status]).to.deep.equal([path, answer.status === 400 ? 400 : 404])
      expect(answer.body.toString()).to.not.contain('outside')
    }
  })

  it('says how to build a page that was not built', async () => {
    await using test = await TestGateway.open({ pageFolder: join(folder, 'nothing') })
    for (const answer of [await test.bare('/'), await test.stranger('/s/abc')]) {
      expect(answer.status).to.equal(503)
      expect(answer.headers['content-type']).to.equal('text/plain; charset=utf-8')
      expect(answer.body.toString()).to.contain('npm run page')
    }
    expect((await test.bare('/assets/x.js')).status).to.equal(404)
    expect((await test.stranger('/assets/x.js')).status).to.equal(404)
  })
})
