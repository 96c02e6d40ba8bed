/**
 * The page in a real browser against a real node.
 *
 * Cast:
 *   1. Asha, who sets up her locker in the browser, adds a document and shares it by link.
 *   2. A stranger with the link, in a browser of their own, on the public listener.
 */
import { expect } from 'chai'
import type { Browser } from 'playwright-core'
import { type Watched, axe, startBrowser, watch } from './browser.ts'
import { buildPage } from './built-page.ts'
import { pdf, png } from './documents.ts'
import { type TestNode, startTestNode } from './real-node.ts'

const PASSPHRASE = 'five calm herons over water'
const START_MS = 60_000
const STEP_MS = 30_000

/** Everything that must stay empty whatever is done. */
function clean(watched: Watched): void {
  expect(watched.errors, 'console errors').to.be.empty
  expect(watched.violations, 'policy violations').to.be.empty
  expect(watched.strays, 'requests to other origins').to.be.empty
}

describe('the page, against a real node', function () {
  this.timeout(STEP_MS)
  let browser: Browser
  let test: TestNode
  let asha: Watched
  let words: string[] = []

  before(async function () {
    this.timeout(START_MS)
    const started = await startBrowser()
    if ('reason' in started) {
      console.log(`      no browser could be started: ${started.reason}`)
      this.skip()
    }
    browser = started
    await buildPage()
    test = await startTestNode()
    asha = await watch(browser, { origins: test.origins })
  })

  after(async () => {
    await browser?.close()
    await test?.[Symbol.asyncDispose]()
  })

  async function makeLink(
    name: string,
    options: { passphrase?: string; uses?: number } = {}
  ): Promise<string> {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/`)
    await page.getByRole('link', { name }).last().click()
    await page.getByRole('heading', { level: 1, name }).waitFor()
    await page.getByRole('button', { name: 'Share', exact: true }).click()
    await page.getByRole('tab', { name: 'By link' }).click()
    if (options.passphrase !== undefined)
      await page.getByLabel('Passphrase (optional)').fill(options.passphrase)
    await page.getByLabel('How many times').fill(String(options.uses ?? 1))
    await page.getByLabel('What is it for?').fill('Admission 2027')
    await page.getByRole('button', { name: 'Make the link' }).click()
    const url = await page.getByLabel('Link', { exact: true }).inputValue()
    await page.getByRole('button', { name: 'Done' }).click()
    return url
  }

  it('lets the owner in by the one-time address and takes the token out of the address bar', async () => {
    await asha.page.goto(test.node.urls.open)
    await asha.page.getByRole('heading', { name: 'Set up your locker' }).waitFor()
    expect(asha.page.url()).to.equal(`${test.node.urls.private}/`)
  })

  it('tells a browser that comes without a token where to get one', async () => {
    const stranger = await watch(browser, { origins: test.origins })
    await stranger.page.goto(`${test.node.urls.private}/`)
    await stranger.page.getByRole('heading', { name: 'from its own address' }).waitFor()
    clean(stranger)
    await stranger.context.close()
  })

  it('says why a passphrase is refused, and what now', async () => {
    const { page } = asha
    await page.getByLabel('Your name').fill('Asha Kulkarni')
    await page.getByLabel(/^Passphrase \(/).fill('password')
    await page.getByLabel('The passphrase again').fill('password')
    await page.getByRole('button', { name: 'Create my locker' }).click()
    await page.getByText('too easy to guess').waitFor()
  })

  it('creates the locker, shows 24 words and asks three back', async () => {
    const { page } = asha
    await page.getByLabel(/^Passphrase \(/).fill(PASSPHRASE)
    await page.getByLabel('The passphrase again').fill(PASSPHRASE)
    await page.getByRole('button', { name: 'Create my locker' }).click()
    const list = page.getByRole('list', { name: 'Your 24 recovery words' })
    await list.waitFor()
    words = await list.locator('li span:last-child').allInnerTexts()
    expect(words).to.have.length(24)
    await page.getByRole('button', { name: 'I have the words' }).click()
    const fields = page.getByLabel(/^Word \d+$/)
    await fields.first().waitFor()
    expect(await fields.count()).to.equal(3)
    for (const label of await page.getByText(/^Word \d+$/).allInnerTexts())
      await page.getByLabel(label, { exact: true }).fill(words[Number(label.slice(5)) - 1] ?? '')
    await page.getByRole('button', { name: 'Finish' }).click()
    await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor()
    expect(test.node.agent.owner().recoveryConfirmed).to.be.true
  })

  it('adds several files at once and lists them', async () => {
    const { page } = asha
    await page.getByLabel('Add files').setInputFiles([
      {
        name: 'Degree.pdf',
        mimeType: 'application/pdf',
        buffer: pdf(['Degree', 'Asha Kulkarni'])
      },
      { name: 'Photo.png', mimeType: 'image/png', buffer: png(320, 200) },
      {
        name: 'Trap <img src=x onerror=alert(1)>.html',
        mimeType: 'text/html',
        buffer: Buffer.from('<!doctype html><script>document.title = "taken"</script><h1>Trap</h1>')
      }
    ])
    await page.getByText('3 files added').waitFor()
    for (const name of ['Degree.pdf', 'Photo.png', 'Trap <img src=x onerror=alert(1)>.html'])
      expect(await page.getByRole('listitem').getByRole('link', { name }).count()).to.be.above(0)
  })

  it('shows a PDF on canvases, an image, and markup as its text', async () => {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/`)
    await page.getByRole('link', { name: 'Degree.pdf' }).last().click()
    // pdf.js has drawn the page once its text stands beside the canvas.
    await page.getByRole('figure', { name: 'Page 1 of 1' }).getByText('Asha Kulkarni').waitFor({
      state: 'attached'
    })
    await page.goto(`${test.node.urls.private}/#/`)
    await page.getByRole('link', { name: 'Photo.png' }).last().click()
    const image = page.getByRole('img', { name: 'Preview of Photo.png' })
    await image.waitFor()
    expect(
      await image.evaluate((element) => Number(Reflect.get(element, 'naturalWidth')))
    ).to.equal(320)
    await page.goto(`${test.node.urls.private}/#/`)
    await page.getByRole('link', { name: 'Trap' }).last().click()
    await page.getByText('<h1>Trap</h1>').waitFor()
    expect(await page.title()).to.not.equal('taken')
  })

  let link = ''
  it('makes a link to a document in the share dialog', async () => {
    link = await makeLink('Degree.pdf')
    expect(link).to.match(new RegExp(`^${test.node.urls.public}/s/[a-z2-7]{26}#[A-Za-z0-9_-]{43}$`))
    await asha.page.getByText('Anyone with the link').waitFor()
  })

  it('opens the document for a stranger, in the browser alone, and uses the link up', async () => {
    const stranger = await watch(browser, { origins: [test.node.urls.public ?? ''] })
    await stranger.page.goto(link)
    await stranger.page.getByRole('heading', { name: 'shared a document with you' }).waitFor()
    expect(stranger.page.url(), 'key in the address bar').to.not.include('#')
    expect(test.node.agent.links.list()[0], 'looking uses nothing up').to.include({ uses: 0 })
    expect(await axe(stranger.page)).to.deep.equal([])

    await stranger.page.getByRole('button', { name: 'Open the document' }).click()
    await stranger.page.getByRole('heading', { name: 'Degree.pdf' }).waitFor()
    await stranger.page.getByText('Admission 2027').waitFor()
    await stranger.page.getByText('Asha Kulkarni shared this with you').waitFor()
    await stranger.page
      .getByRole('figure', { name: 'Page 1 of 1' })
      .getByText('Asha Kulkarni')
      .waitFor({ state: 'attached' })
    expect(await axe(stranger.page)).to.deep.equal([])
    const saving = stranger.page.waitForEvent('download')
    await stranger.page.getByRole('button', { name: 'Download' }).click()
    expect((await saving).suggestedFilename()).to.equal('Degree.pdf')
    expect(test.node.agent.links.list()[0]).to.include({ uses: 1, state: 'used-up' })
    clean(stranger)
    await stranger.context.close()
  })

  it('says that the link is used up when it is opened again', async () => {
    const again = await watch(browser, { origins: test.origins })
    await again.page.goto(link)
    await again.page.getByRole('heading', { name: 'This link has been used up' }).waitFor()
    clean(again)
    await again.context.close()
  })

  it('asks for the passphrase of a link, and says so when it is wrong without using it up', async () => {
    const url = await makeLink('Photo.png', { passphrase: 'blue boat', uses: 3 })
    const stranger = await watch(browser, { origins: test.origins })
    // As on a LAN without TLS: no secure context, so no crypto.subtle; the page must not need it.
    await stranger.page.addInitScript(
      'Object.defineProperty(Crypto.prototype, "subtle", { value: undefined })'
    )
    await stranger.page.goto(url)
    await stranger.page.getByLabel('Passphrase').fill('red boat')
    await stranger.page.getByRole('button', { name: 'Open the document' }).click()
    await stranger.page.getByText('This is not the passphrase').waitFor()
    await stranger.page.getByLabel('Passphrase').fill('blue boat')
    await stranger.page.getByRole('button', { name: 'Open the document' }).click()
    await stranger.page.getByRole('img', { name: 'Preview of Photo.png' }).waitFor()
    await stranger.page.getByText('2 more').waitFor()
    clean(stranger)
    await stranger.context.close()
  })

  it('keeps half a link, a foreign key and a stopped link apart', async () => {
    const url = await makeLink('Degree.pdf')
    const [address = '', key = ''] = url.split('#')
    const stranger = await watch(browser, { origins: test.origins })
    await stranger.page.goto(address)
    await stranger.page.getByRole('heading', { name: 'This link is incomplete' }).waitFor()
    await stranger.page.goto('about:blank')
    await stranger.page.goto(`${address}#${key.startsWith('A') ? 'B' : 'A'}${key.slice(1)}`)
    await stranger.page.getByRole('button', { name: 'Open the document' }).click()
    await stranger.page.getByRole('heading', { name: 'key in this link does not fit' }).waitFor()

    await asha.page.getByRole('button', { name: 'Stop sharing' }).first().click()
    await asha.page.getByRole('dialog').getByRole('button', { name: 'Stop sharing' }).click()
    await asha.page.getByText('Stopped').first().waitFor()
    await stranger.page.goto('about:blank')
    await stranger.page.goto(url)
    await stranger.page.getByRole('heading', { name: 'The sender stopped this link' }).waitFor()
    clean(stranger)
    await stranger.context.close()
  })

  it('gives the locker’s code to nobody on the public listener', async () => {
    const html = await (await fetch(`${test.node.urls.private}/`)).text()
    const script = /src="(\/assets\/locker-[^"]+\.js)"/.exec(html)?.[1] ?? ''
    expect(script).to.not.equal('')
    expect((await fetch(`${test.node.urls.private}${script}`)).status).to.equal(200)
    expect((await fetch(`${test.node.urls.public}${script}`)).status).to.equal(404)
  })

  it('moves a document to the trash, and back', async () => {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/`)
    await page.getByRole('link', { name: 'Trap' }).last().click()
    await page.getByRole('button', { name: 'Move to trash' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Move to trash' }).click()
    await page.getByText('2 documents').waitFor()
    await page.getByRole('link', { name: 'Trash' }).click()
    await page.getByRole('button', { name: 'Restore' }).click()
    await page.getByRole('heading', { name: 'The trash is empty' }).waitFor()
  })

  it('tells in Activity who opened what', async () => {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/activity`)
    await page.getByText('Someone opened Degree.pdf by its link').waitFor()
    await page.getByText('You added Degree.pdf').waitFor()
    await page.getByRole('button', { name: 'Check the record' }).click()
    await page.getByText('The record is complete').waitFor()
  })

  it('makes an invitation, and explains it to whoever opens it in a browser', async () => {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/contacts`)
    await page.getByRole('button', { name: 'Invite someone' }).first().click()
    await page.getByRole('button', { name: 'Make the invitation' }).click()
    const url = await page.getByLabel('Invitation', { exact: true }).inputValue()
    await page.getByRole('img', { name: 'The invitation as a QR code' }).waitFor()
    await page.getByRole('button', { name: 'Done' }).click()
    const stranger = await watch(browser, { origins: test.origins })
    await stranger.page.goto(url)
    await stranger.page.getByRole('heading', { name: 'You are invited to connect' }).waitFor()
    expect(await axe(stranger.page)).to.deep.equal([])
    clean(stranger)
    await stranger.context.close()
  })

  it('locks, refuses a wrong passphrase, and opens with the right one', async () => {
    const { page } = asha
    await page.getByRole('button', { name: 'Lock now' }).click()
    await page.getByRole('heading', { name: 'Your locker is locked' }).waitFor()
    await page.getByLabel('Passphrase', { exact: true }).fill('not this one at all')
    await page.getByRole('button', { name: 'Unlock' }).click()
    await page.getByText('This is not the passphrase').waitFor()
    await page.getByLabel('Passphrase', { exact: true }).fill(PASSPHRASE)
    await page.getByRole('button', { name: 'Unlock' }).click()
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.getByRole('link', { name: 'Contacts' }).waitFor()
    expect(test.node.agent.vault.state).to.equal('open')
  })

  it('brings the locker back on another computer, from its backup and the words', async () => {
    const { page } = asha
    await page.goto(`${test.node.urls.private}/#/settings`)
    const saving = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download a backup' }).click()
    const backup = await (await saving).path()

    await using other = await startTestNode()
    const elsewhere = await watch(browser, { origins: other.origins })
    await elsewhere.page.goto(other.node.urls.open)
    await elsewhere.page.getByRole('button', { name: 'Restore a backup' }).click()
    await elsewhere.page.getByLabel('Backup file').setInputFiles(backup)
    await elsewhere.page.getByRole('button', { name: 'Restore', exact: true }).click()
    await elsewhere.page.getByText('3 documents restored').waitFor()
    await elsewhere.page.getByLabel('Recovery words').fill(words.toReversed().join(' '))
    await elsewhere.page.getByRole('button', { name: 'Unlock' }).click()
    await elsewhere.page
      .getByText('do not open this locker')
      .or(elsewhere.page.getByText('not the words of a recovery kit'))
      .first()
      .waitFor()
    await elsewhere.page.getByLabel('Recovery words').fill(words.join('\n'))
    await elsewhere.page.getByRole('button', { name: 'Unlock' }).click()
    await elsewhere.page.getByRole('link', { name: 'Degree.pdf' }).click()
    await elsewhere.page
      .getByRole('figure', { name: 'Page 1 of 1' })
      .getByText('Asha Kulkarni')
      .waitFor({ state: 'attached' })
    clean(elsewhere)
    await elsewhere.context.close()
  })

  it('has caused no error, no policy violation and no request elsewhere', () => clean(asha))
})
