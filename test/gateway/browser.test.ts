/**
 * The gateway in a real browser: the reference page under its policy, pages of other origins that try the
 * owner's session, and documents that would run if they could.
 */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import type { Browser } from 'playwright-core'
import { startBrowser, watch } from '../web/browser.ts'
import { TestGateway } from './harness.ts'

/** Documents that call home when a browser runs them. */
const ACTIVE: ReadonlyArray<readonly [name: string, content: string]> = [
  ['page.html', '<html><script>fetch("/ran")</script><img src="/ran"></html>'],
  [
    'picture.svg',
    '<svg xmlns="http://www.w3.org/2000/svg" onload="fetch(\'/ran\')"><image href="/ran"/></svg>'
  ],
  ['really.pdf', '<!doctype html><html><body onload="fetch(\'/ran\')"></body></html>'],
  [
    'feed.xml',
    '<?xml-stylesheet href="/ran"?><html xmlns="http://www.w3.org/1999/xhtml"><script>fetch("/ran")</script></html>'
  ],
  ['script.js', 'fetch("/ran")'],
  ['polyglot.gif', 'GIF89a/*<script>fetch("/ran")</script>*/=1;fetch("/ran")']
]

describe('gateway: in a browser', function () {
  this.timeout(60_000)
  let browser: Browser

  before(async function () {
    const started = await startBrowser()
    if ('reason' in started) {
      process.stdout.write(`    no browser can be started: ${started.reason}\n`)
      this.skip()
    } else browser = started
  })

  after(async () => {
    await browser?.close()
  })

  it('renders the reference page without a violation of its policy or a request elsewhere', async () => {
    await using test = await TestGateway.open()
    const origin = `http://localhost:${test.privatePort}`
    const { page, context, errors, violations, strays } = await watch(browser, {
      origins: [origin]
    })
    await page.goto(`${origin}/docs/`)
    await page.waitForSelector('.opblock-summary')
    expect(await page.locator('.opblock-summary').count()).to.be.at.least(55)
    expect({ errors, violations, strays }).to.deep.equal({ errors: [], violations: [], strays: [] })
    await context.close()
  })

  for (const evil of ['127.0.0.1', 'localhost'])
    it(`lets no page of ${evil} on another port use the owner's session`, async () => {
      await using test = await TestGateway.open()
      const origin = `http://localhost:${test.privatePort}`
      const context = await browser.newContext()
      const page = await context.newPage()
      const [name = '', value = ''] = (await test.session()).split('=')
      await context.addCookies([{ name, value, url: origin, httpOnly: true, sameSite: 'Strict' }])
      // The session is good where it belongs.
      await page.goto(`${origin}/api/v1/locker/slots`)
      expect(await page.textContent('body')).to.contain('slot-passphrase')

      test.logged.length = 0
      await using attacker = await otherOrigin(evil, attack(origin))
      await page.goto(attacker.url)
      await page.waitForFunction("document.title !== ''")
      const seen = JSON.parse(await page.title()) as Record<string, string>
      expect(seen).to.deep.equal({
        read: 'refused',
        change: 'refused',
        plain: 'refused',
        image: 'refused'
      })
      await page.evaluate("document.querySelector('form').submit()")
      await page.waitForLoadState('load')
      expect(test.agent.vault.state).to.equal('open')
      expect(test.agent.documents.list()).to.have.length(0)
      const statuses = test.logged
        .filter(({ event }) => event === 'request answered')
        .map(({ fields }) => fields?.['status'])
      expect(statuses.length).to.be.at.least(4)
      expect([...new Set(statuses)]).to.deep.equal([403])
      await context.close()
    })

  it('saves documents and runs nothing in them', async () => {
    await using test = await TestGateway.open()
    const origin = `http://localhost:${test.privatePort}`
    const context = await browser.newContext({ acceptDownloads: true })
    const page = await context.newPage()
    const asked: string[] = []
    context.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const [name = '', value = ''] = (await test.session()).split('=')
    await context.addCookies([{ name, value, url: origin, httpOnly: true, sameSite: 'Strict' }])
    for (const [title, content] of ACTIVE) {
      const path = `/api/v1/documents/${await test.add(title, content)}/content`
      const download = page.waitForEvent('download')
      // The navigation is given up for the download.
      await page.goto(`${origin}${path}`).catch(() => undefined)
      expect((await download).suggestedFilename()).to.contain(title.replace(/\..*/, ''))
    }
    expect(asked).to.not.include('/ran')
    await context.close()
  })
})

/** A page that tries what a page of another origin can, and puts what came of it into its title. */
function attack(origin: string): string {
  return `<!doctype html><form method="post" action="${origin}/api/v1/node/lock"></form><script type="module">
    const tried = async (work) => { try { return await work() } catch { return 'refused' } }
    const read = await tried(async () => (await fetch('${origin}/api/v1/documents', { credentials: 'include' })).text())
    const change = await tried(async () => (await fetch('${origin}/api/v1/node/lock', {
      method: 'POST', credentials: 'include', headers: { 'x-elocker': '1' } })).text())
    const plain = await tried(async () => (await fetch('${origin}/api/v1/documents?name=evil.txt', {
      method: 'POST', credentials: 'include', mode: 'no-cors', body: 'x' })).type === 'opaque' ? 'no answer' : 'an answer')
    const image = await new Promise((resolve) => {
      const element = new Image()
      element.onload = () => resolve('loaded')
      element.onerror = () => resolve('refused')
      element.src = '${origin}/api/v1/documents'
    })
    document.title = JSON.stringify({ read, change, plain, image })
  </script>`
}

class OtherOrigin implements AsyncDisposable {
  readonly url: string
  readonly #server: Server

  constructor(server: Server, host: string) {
    this.#server = server
    this.url = `http://${host}:${(server.address() as AddressInfo).port}/`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

async function otherOrigin(host: string, html: string): Promise<OtherOrigin> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(html)
  })
  server.listen(0, host)
  await once(server, 'listening')
  return new OtherOrigin(server, host)
}
