/**
 * Cast: 1. a university that issued a marksheet, 2. whoever was shown it, with a browser at the public
 * listener's `/verify`, 3. a camera that sees a printed code.
 */
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { compactCredential } from '../../protocols/credential/compact.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { holder, issued, sign, unsigned } from '../protocols/credential/issuing-world.ts'
import { type Watched, axe, startBrowser, watch } from './browser.ts'
import { buildPage } from './built-page.ts'
import { png } from './documents.ts'
import {
  type VerifierWorld,
  codeFilm,
  codePicture,
  pdfWith,
  startVerifierWorld
} from './verify-world.ts'

const START_MS = 60_000
const STEP_MS = 30_000
const PAGE_FOLDER = fileURLToPath(new URL('../../gateway/web/dist', import.meta.url))
/** What the page may cost before anything is checked, bytes of gzip. */
const FIRST_LOAD_BYTES_MAX = 60_000

const STATEMENT = { issuer: holder.did, credentialStatus: undefined, credentialSchema: undefined }

describe('verify page', function () {
  this.timeout(STEP_MS)
  let browser: Browser
  let world: VerifierWorld
  let watched: Watched
  let page: Page
  let marksheet: JsonObject
  let code: string

  before(async function () {
    this.timeout(START_MS)
    const started = await startBrowser()
    if ('reason' in started) {
      console.log(`      no browser could be started: ${started.reason}`)
      this.skip()
    }
    browser = started
    await buildPage()
    world = await startVerifierWorld(PAGE_FOLDER)
    watched = await watch(browser, { origins: [world.url] })
    page = watched.page
    marksheet = await issued()
    code = (await compactCredential(await issued({ credentialSchema: undefined }))) ?? ''
  })

  after(async () => {
    await browser?.close()
    await world?.[Symbol.asyncDispose]()
  })

  async function open(): Promise<void> {
    await page.goto(`${world.url}/verify`)
    await page.getByRole('heading', { name: 'Check a credential' }).waitFor()
  }

  async function paste(credential: unknown): Promise<void> {
    await open()
    await page.getByRole('tab', { name: 'Paste' }).click()
    const text = typeof credential === 'string' ? credential : JSON.stringify(credential)
    await page.getByLabel('Credential as text').fill(text)
    await page.getByRole('button', { name: 'Check', exact: true }).click()
  }

  async function upload(name: string, mimeType: string, buffer: Buffer): Promise<void> {
    await page.getByLabel('Choose a file').setInputFiles({ name, mimeType, buffer })
  }

  /** The words of the result band, once there is one. */
  async function band(): Promise<string> {
    await page.getByRole('heading', { level: 1, name: 'Result' }).waitFor()
    return page.getByRole('article').getByRole('status').innerText()
  }

  it('costs little before it is used, and nothing of the locker', async () => {
    const html = readFileSync(join(PAGE_FOLDER, 'verify/index.html'), 'utf8')
    const names = [...html.matchAll(/\/assets\/([\w.-]+\.js)/g)].map((match) => match[1] ?? '')
    // A Set that grows while it is walked: what a file imports at once is loaded at once.
    const loaded = new Set(names)
    let bytes = 0
    for (const name of loaded) {
      const text = readFileSync(join(PAGE_FOLDER, 'assets', name), 'utf8')
      bytes += gzipSync(text).length
      for (const [, next] of text.matchAll(/(?:from|import)\s*"\.\/([\w.-]+\.js)"/g))
        loaded.add(next ?? '')
    }
    expect(loaded.size).to.be.greaterThan(1)
    expect(bytes).to.be.lessThan(FIRST_LOAD_BYTES_MAX)
    const answer = await fetch(`${world.url}/verify`)
    expect(answer.headers.get('permissions-policy')).to.match(/^camera=\(self\), microphone=\(\)/)
    expect(await answer.text()).to.not.include('locker-')
  })

  it('says valid, by whom and how that one is known, with every check', async () => {
    await paste(marksheet)
    expect(await band()).to.match(/^Valid\n/)
    const card = page.getByRole('article')
    const text = await card.innerText()
    expect(text).to.include('uni.example')
    expect(text).to.include('Nobody known here vouches for it')
    expect(text).to.include('Bachelor of Engineering')
    expect(await card.getByRole('listitem').count()).to.equal(8)
    expect(text).to.match(/Who shows it\s+Does not apply/)
    await look()
    await page.emulateMedia({ media: 'print' })
    expect(await page.getByRole('button', { name: 'Print receipt' }).isVisible()).to.equal(false)
    expect(await page.getByText('SHA-256 of what was checked').isVisible()).to.equal(true)
    await page.emulateMedia({ media: null })
  })

  for (const [result, changes, words] of [
    ['expired', { validUntil: '2026-06-01T00:00:00Z' }, 'Valid, but expired'],
    ['not-yet-valid', { validFrom: '2027-06-01T00:00:00Z' }, 'Not yet valid']
  ] as const)
    it(`tells ${result} from invalid`, async () => {
      await paste(await issued(changes))
      expect(await band()).to.match(new RegExp(`^${words}\n`))
    })

  it('says when the issuer has suspended or revoked it', async () => {
    world.suspended = true
    await paste(marksheet)
    expect(await band()).to.match(/^Suspended\n/)
    world.suspended = false
    world.revoked = true
    await paste(marksheet)
    expect(await band()).to.match(/^Revoked\n[^]*uni\.example\/status\/1/)
    await look()
    world.revoked = false
  })

  it('says invalid for one changed value, and warns of what it says', async () => {
    await paste({ ...marksheet, credentialSubject: { id: holder.did, degree: 'Doctor' } })
    expect(await band()).to.match(/^Invalid\n/)
    expect(await page.getByRole('article').innerText()).to.include(
      'Do not rely on this: a check failed.'
    )
    await look()
  })

  it('says what could not be checked when the issuer does not answer', async () => {
    world.online = false
    await paste(marksheet)
    expect(await band()).to.match(/^Could not be checked\n/)
    await look()
    world.online = true
  })

  it('draws what a holder declares apart from what an institution issues', async () => {
    await paste(await sign(unsigned(STATEMENT), { signer: holder.signer }))
    expect(await band()).to.match(/^Declared, not certified\n/)
    expect(await page.getByRole('region', { name: 'Declared by the holder' }).count()).to.equal(1)
    expect(await page.getByRole('region', { name: 'Issued by' }).count()).to.equal(0)
    await look()
  })

  it('shows a stranger’s text as text, without what would turn it round', async () => {
    const evil = '<img src=x onerror="globalThis.canary=1">\u202egnp.exe'
    await paste(await issued({ name: evil, credentialSchema: undefined }))
    expect(await band()).to.match(/^Valid\n/)
    const title = await page.getByRole('heading', { level: 2 }).innerText()
    expect(title).to.equal('<img src=x onerror="globalThis.canary=1">gnp.exe')
    expect(await page.evaluate('globalThis.canary')).to.equal(undefined)
  })

  it('judges a PDF in this browser when nobody is to be asked, and says what that leaves open', async () => {
    await open()
    await page.getByLabel('Check here, ask nobody').check()
    const asked: string[] = []
    page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`))
    const statement = await sign(unsigned(STATEMENT), { signer: holder.signer })
    await upload('Statement.pdf', 'application/pdf', pdfWith(JSON.stringify(statement)))
    expect(await band()).to.match(/^Declared, not certified\n/)
    expect(await page.getByText('File: Statement.pdf').count()).to.equal(1)
    expect(asked.filter((line) => line.startsWith('POST'))).to.deep.equal([])
    await look()
    await open()
    await page.getByLabel('Check here, ask nobody').check()
    await upload('Marksheet.pdf', 'application/pdf', pdfWith(JSON.stringify(marksheet)))
    expect(await band()).to.match(/^Could not be checked\n[^]*asked nobody/)
    await page.getByRole('button', { name: 'Check with the server' }).click()
    await page.getByText('It is unchanged since its issuer signed it').waitFor()
  })

  it('judges by itself when the server is gone', async () => {
    await page.route('**/verify', (route) =>
      route.request().method() === 'POST' ? route.abort() : route.continue()
    )
    const statement = await sign(
      unsigned({ ...STATEMENT, credentialSubject: { id: 'did:key:z6Mk', degree: 'B. Sc.' } }),
      { signer: holder.signer }
    )
    await paste(statement)
    expect(await band()).to.match(/^Valid\n/)
    expect(await page.getByText('The server could not be reached').count()).to.equal(1)
    await page.unroute('**/verify')
  })

  it('judges eddsa-rdfc-2022 in this browser under the page’s policy', async () => {
    await open()
    await page.getByLabel('Check here, ask nobody').check()
    const statement = await sign(unsigned(STATEMENT), {
      signer: holder.signer,
      suite: 'eddsa-rdfc-2022'
    })
    await upload('rdf.json', 'application/json', Buffer.from(JSON.stringify(statement)))
    expect(await band()).to.match(/^Declared, not certified\n/)
  })

  it('reads the code in an uploaded picture', async () => {
    await open()
    await upload('code.png', 'image/png', codePicture(code))
    expect(await band()).to.match(/^Valid\n/)
  })

  for (const [what, name, type, content, words] of [
    ['a picture without a code', 'photo.png', 'image/png', png(300, 200), 'No code was found'],
    ['any text', 'notes.txt', 'text/plain', Buffer.from('hello'), 'No credential was found'],
    ['a broken PDF', 'x.pdf', 'application/pdf', Buffer.from('%PDF-1.7 x'), 'cannot be read'],
    [
      'the code of an address',
      'url.png',
      'image/png',
      codePicture('https://uni.example/c/1'),
      'an address, not a credential'
    ]
  ] as const)
    it(`says what to do about ${what}`, async () => {
      await open()
      await upload(name, type, content)
      await page.getByText(words).first().waitFor()
      await look()
    })

  it('can be used by keyboard alone, and begins the result at its heading', async () => {
    await open()
    await page.getByRole('tab', { name: 'Upload' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Tab')
    await page.keyboard.insertText(JSON.stringify(marksheet))
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await band()
    expect(await page.evaluate('document.activeElement.textContent.trim()')).to.equal('Result')
  })

  it('offers the upload when the camera is refused', async () => {
    const { context, page: own } = await watch(browser, { origins: [world.url] })
    await own.addInitScript(
      `navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException('no', 'NotAllowedError'))`
    )
    await own.goto(`${world.url}/verify`)
    await own.getByRole('tab', { name: 'Scan' }).click()
    await own.getByRole('button', { name: 'Turn the camera on' }).click()
    await own.getByText('The camera was not allowed').waitFor()
    expect(await axe(own)).to.deep.equal([])
    await own.getByRole('button', { name: 'Upload a picture instead' }).click()
    await own.getByLabel('Choose a file').waitFor({ state: 'attached' })
    await context.close()
  })

  it('reads the code a camera sees', async function () {
    const film = join(tmpdir(), `elocker-code-${process.pid}.y4m`)
    await writeFile(film, codeFilm(code, 640, 480))
    const filming = await startBrowser([
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-video-capture=${film}`
    ])
    if ('reason' in filming) {
      console.log(`      no browser could be started: ${filming.reason}`)
      this.skip()
    }
    try {
      const { page: own, violations } = await watch(filming, { origins: [world.url] })
      await own.goto(`${world.url}/verify`)
      await own.getByRole('tab', { name: 'Scan' }).click()
      await own.getByRole('button', { name: 'Turn the camera on' }).click()
      await own.getByText('It is unchanged since its issuer signed it').waitFor()
      expect(violations).to.deep.equal([])
    } finally {
      await filming.close()
      await rm(film)
    }
  })

  it('has caused no error, no policy violation and no request elsewhere', () => {
    expect(watched.errors).to.deep.equal([])
    expect(watched.violations).to.deep.equal([])
    expect(watched.strays).to.deep.equal([])
  })

  /** Accessible in light and dark, and whole on a small phone. */
  async function look(): Promise<void> {
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
    expect(await axe(page), 'light').to.deep.equal([])
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
    expect(await axe(page, ['color-contrast']), 'dark').to.deep.equal([])
    await page.setViewportSize({ width: 320, height: 640 })
    const width = await page.evaluate('document.documentElement.scrollWidth')
    await page.setViewportSize({ width: 1280, height: 800 })
    expect(width, 'width on a small phone').to.be.at.most(320)
  }
})
