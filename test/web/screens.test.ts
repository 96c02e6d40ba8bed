/**
 * Every screen in a real browser, in states a mock gateway brings about: accessible in light and dark, whole
 * at 320 px, within the policy, and usable by keyboard.
 */
import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { type Watched, axe, startBrowser, watch } from './browser.ts'
import { buildPage } from './built-page.ts'
import { type MockGateway, PASSPHRASE, TOKEN, startMockGateway } from './mock-gateway.ts'
import { MARIA, UNIVERSITY } from './sample-locker.ts'

const START_MS = 60_000
const STEP_MS = 30_000
/** The narrowest screen of WCAG 2.2 §1.4.10. */
const NARROW = 320

const document = (id: string): string => `#/documents/${id.padEnd(26, 'a')}`

/** A screen: its hash, what must be there before it is looked at, and what opens the dialog on it. */
interface Screen {
  readonly name: string
  readonly hash: string
  readonly shows: string | RegExp
  readonly act?: (page: Page) => Promise<void>
}

const SCREENS: readonly Screen[] = [
  { name: 'locker', hash: '#/', shows: 'Degree certificate.pdf' },
  { name: 'document with PDF', hash: document('degree'), shows: 'Anyone with the link' },
  { name: 'document with image', hash: document('photo'), shows: 'Only you.' },
  { name: 'damaged document with text', hash: document('letter'), shows: 'Dear Registrar' },
  { name: 'document without preview', hash: document('archive'), shows: 'No preview' },
  {
    name: 'share with a contact',
    hash: document('photo'),
    shows: 'Keep a copy',
    act: (page) => page.getByRole('button', { name: 'Share', exact: true }).click()
  },
  {
    name: 'share by link',
    hash: document('archive'),
    shows: 'shown only this once',
    act: async (page) => {
      await page.getByRole('button', { name: 'Share', exact: true }).click()
      await page.getByRole('tab', { name: 'By link' }).click()
      await page.getByRole('button', { name: 'Make the link' }).click()
    }
  },
  {
    name: 'edit details',
    hash: document('degree'),
    shows: 'Separated by commas.',
    act: (page) => page.getByRole('button', { name: 'Edit' }).click()
  },
  { name: 'credential', hash: document('marksheet'), shows: 'Name of the student' },
  {
    name: 'revoked credential',
    hash: document('revoked'),
    shows: 'Marks were entered for another'
  },
  { name: 'own declaration', hash: document('declared'), shows: 'Declared, not certified' },
  { name: 'issued credentials', hash: '#/issuer', shows: 'The fee is not settled.' },
  {
    name: 'revoke an issued credential',
    hash: '#/issuer',
    shows: 'ends for good',
    act: (page) =>
      page
        .getByRole('button', { name: /^Revoke/ })
        .first()
        .click()
  },
  { name: 'issue one', hash: '#/issuer/issue', shows: 'Add to “Subjects”' },
  { name: 'kinds of credential', hash: '#/issuer/types', shows: 'Skill badge' },
  {
    name: 'publish a kind',
    hash: '#/issuer/types',
    shows: 'never changes again',
    act: (page) => page.getByRole('button', { name: 'Publish Skill badge' }).click()
  },
  { name: 'trash', hash: '#/trash', shows: 'The trash is empty' },
  { name: 'inbox', hash: '#/inbox', shows: 'Migration certificate' },
  {
    name: 'answer a request',
    hash: '#/inbox',
    shows: 'Which document?',
    act: (page) => page.getByRole('button', { name: 'Choose a document' }).click()
  },
  {
    name: 'decline',
    hash: '#/inbox',
    shows: 'Reason (optional)',
    act: (page) => page.getByRole('button', { name: 'Decline' }).first().click()
  },
  { name: 'received document', hash: '#/inbox/grant-read', shows: 'Please check paragraph 4' },
  { name: 'contacts', hash: '#/contacts', shows: 'Open invitations' },
  {
    name: 'invitation',
    hash: '#/contacts',
    shows: 'let them scan the code',
    act: (page) => page.getByRole('button', { name: 'Show' }).click()
  },
  {
    name: 'contact that does not answer',
    hash: `#/contacts/${encodeURIComponent(UNIVERSITY)}`,
    shows: 'cannot be reached just now',
    act: (page) => page.getByRole('button', { name: 'Check connection' }).click()
  },
  { name: 'activity', hash: '#/activity', shows: 'Your locker was created' },
  { name: 'settings', hash: '#/settings', shows: 'Office scanner' },
  {
    name: 'new token',
    hash: '#/settings',
    shows: 'Treat it like a password',
    act: async (page) => {
      await page.getByRole('button', { name: 'Create a token' }).click()
      await page.getByLabel('What is it for?').fill('Backup script')
      await page.getByRole('button', { name: 'Create', exact: true }).click()
    }
  },
  { name: 'nothing here', hash: document('gone'), shows: 'may have been deleted' }
]

describe('screens', function () {
  this.timeout(STEP_MS)
  let browser: Browser
  let full: MockGateway
  let empty: MockGateway
  let sealed: MockGateway
  let watched: Watched

  before(async function () {
    this.timeout(START_MS)
    const started = await startBrowser()
    if ('reason' in started) {
      console.log(`      no browser could be started: ${started.reason}`)
      this.skip()
    }
    browser = started
    await buildPage()
    full = await startMockGateway({ vault: 'open', full: true })
    empty = await startMockGateway({ vault: 'open', full: false })
    sealed = await startMockGateway({ vault: 'sealed', full: true })
    watched = await watch(browser, { origins: [full.url, empty.url, sealed.url] })
    await watched.page.goto(`${full.url}/#t=${TOKEN}`)
    await watched.page.getByText('Degree certificate.pdf').waitFor()
  })

  after(async () => {
    await browser?.close()
    await Promise.all([full, empty, sealed].map((mock) => mock?.close()))
  })

  for (const screen of SCREENS)
    it(`${screen.name} is accessible, in light and dark, and fits a small phone`, async () => {
      const { page } = watched
      await closeDialog(page)
      await page.goto(`${full.url}/${screen.hash}`)
      await screen.act?.(page)
      await page.getByText(screen.shows).first().waitFor()
      await look(page)
    })

  it('an empty locker says so and offers two next steps', async () => {
    const { page } = watched
    await page.goto(`${empty.url}/#t=${TOKEN}`)
    await page.getByRole('heading', { name: 'Nothing here yet' }).waitFor()
    await page.getByText('Offline: sharing waits').last().waitFor()
    expect(await page.getByRole('button', { name: /^(Add files|Ask someone)/ }).count()).to.equal(3)
    await look(page)
    for (const [hash, title] of [
      ['inbox', 'No requests'],
      ['contacts', 'No contacts yet'],
      ['activity', 'Nothing has happened yet']
    ] as const) {
      await page.goto(`${empty.url}/#/${hash}`)
      await page.getByRole('heading', { name: title }).waitFor()
      expect(await axe(page), hash).to.deep.equal([])
    }
  })

  it('a file that cannot be stored says what, why and what now', async () => {
    const { page } = watched
    await page.goto(`${empty.url}/#/`)
    await page.getByLabel('Add files').setInputFiles({
      name: 'full of scans.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('x')
    })
    const alert = page.getByRole('alert')
    await alert.waitFor()
    const text = await alert.innerText()
    expect(text).to.include('full of scans.txt was not added')
    expect(text).to.include('not enough room on this disk')
    expect(text).to.include('Free some space')
    expect(await axe(page)).to.deep.equal([])
  })

  it('takes files dropped anywhere, several at once, and lets one be cancelled', async () => {
    const { page } = watched
    await page.goto(`${empty.url}/#/`)
    await page.getByRole('heading', { level: 1, name: 'Your documents' }).waitFor()
    await page.evaluate(
      `{
        const transfer = new DataTransfer()
        transfer.items.add(new File(['one'], 'dropped one.txt'))
        transfer.items.add(new File(['two'], 'slow two.txt'))
        const options = { dataTransfer: transfer, bubbles: true, cancelable: true }
        document.body.dispatchEvent(new DragEvent('dragover', options))
        setTimeout(() => document.body.dispatchEvent(new DragEvent('drop', options)), 50)
      }`
    )
    await page.getByText('Drop to add').waitFor()
    await page.getByRole('link', { name: 'dropped one.txt' }).first().waitFor()
    expect(await axe(page)).to.deep.equal([])
    await page.getByRole('button', { name: 'Cancel slow two.txt' }).click()
    await page.getByText('Cancelled', { exact: true }).waitFor()
    expect(await page.getByText('Drop to add').count()).to.equal(0)
  })

  it('too many wrong passphrases show the time left, and the words are the other way in', async () => {
    const { page } = watched
    await page.goto(`${sealed.url}/#t=${TOKEN}`)
    await page.getByLabel('Passphrase', { exact: true }).fill('slow down')
    await page.getByRole('button', { name: 'Unlock' }).click()
    await page.getByText(/next attempt is possible in [01]:\d\d/).waitFor()
    expect(await page.getByRole('button', { name: 'Unlock' }).isDisabled()).to.be.true
    await look(page)
    await page.getByRole('button', { name: 'Use my recovery words' }).click()
    await page.getByLabel('Recovery words').fill('1. abandon 2. ability')
    await page.getByText('2 of 24 words').waitFor()
    await look(page)
  })

  it('can be used by keyboard alone: skip link, dialog, tabs, and focus given back', async () => {
    const { page } = watched
    await page.goto(`${full.url}/${document('photo')}`)
    await page.getByRole('heading', { level: 1, name: 'Passport photo.png' }).waitFor()
    const share = page.getByRole('button', { name: 'Share', exact: true })
    await share.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.getByRole('tab', { name: 'To a contact' }).focus()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('button', { name: 'Make the link' }).waitFor()
    expect(await focused(page)).to.equal('By link')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused(page)).to.equal('Share')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused(page)).to.equal('Share')
    await page.goto(`${full.url}/#/settings`)
    await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor()
    // The new screen's heading has the focus, so that a screen reader begins there.
    expect(await focused(page)).to.equal('Settings')
  })

  it('shows what changes elsewhere without a reload', async () => {
    const { page } = watched
    await page.goto(`${full.url}/${document('drawing')}`)
    await page.getByRole('heading', { level: 1, name: 'Campus map' }).waitFor()
    await page.evaluate(
      `fetch('/api/v1/documents/${'drawing'.padEnd(26, 'a')}', { method: 'PATCH',
        headers: { 'content-type': 'application/json', 'x-elocker': '1' },
        body: JSON.stringify({ name: 'Renamed elsewhere.svg' }) })`
    )
    await page.getByRole('heading', { level: 1, name: 'Renamed elsewhere.svg' }).waitFor()
  })

  it('runs nothing of a hostile SVG, and asks the server for nothing it names', async () => {
    const { page } = watched
    await page.goto(`${full.url}/${document('drawing')}`)
    await page.getByText('globalThis.canary').waitFor()
    expect(await page.evaluate('globalThis.canary')).to.be.undefined
    expect(full.asked).to.not.include('/canary')
  })

  it('offers an invitation the page was opened with, and accepts it', async () => {
    const { page } = watched
    await page.goto(`${full.url}/i?_oob=eyJ0eXBlIjoiaW52aXRhdGlvbiJ9`)
    const dialog = page.getByRole('dialog', { name: 'Accept an invitation' })
    await dialog.waitFor()
    expect(await dialog.getByLabel('Invitation link').inputValue()).to.equal(
      `${full.url}/i?_oob=eyJ0eXBlIjoiaW52aXRhdGlvbiJ9`
    )
    expect(page.url()).to.equal(`${full.url}/`)
    await look(page)
    await dialog.getByRole('button', { name: 'Accept' }).click()
    await page.getByText('Registrar is now a contact').waitFor()
  })

  it('a contact that answers is said to, with the time it took', async () => {
    const { page } = watched
    await closeDialog(page)
    await page.goto(`${full.url}/#/contacts/${encodeURIComponent(MARIA)}`)
    await page.getByRole('button', { name: 'Check connection' }).click()
    await page.getByText('Maria Fernandes answered in 23 ms').waitFor()
  })

  it('opens with the passphrase the sealed locker knows', async () => {
    const { page } = watched
    await page.goto('about:blank')
    await page.goto(`${sealed.url}/`)
    await page.getByLabel('Passphrase', { exact: true }).fill(PASSPHRASE)
    await page.getByRole('button', { name: 'Unlock' }).click()
    await page.getByRole('heading', { name: 'Your documents' }).waitFor()
  })

  it('have caused no error, no policy violation and no request elsewhere', () => {
    expect(watched.errors).to.be.empty
    expect(watched.violations).to.be.empty
    expect(watched.strays).to.be.empty
  })
})

/** Looks at what is shown: light and dark, and that nothing needs scrolling sideways on a small phone. */
async function look(page: Page): Promise<void> {
  await wear(page, 'light')
  expect(await axe(page), 'light').to.deep.equal([])
  await wear(page, 'dark')
  expect(await axe(page, ['color-contrast']), 'dark').to.deep.equal([])
  await page.setViewportSize({ width: NARROW, height: 640 })
  const width = await page.evaluate('document.documentElement.scrollWidth')
  await page.setViewportSize({ width: 1280, height: 800 })
  expect(width, 'width on a small phone').to.be.at.most(NARROW)
}

/** Changes the reader's colour scheme, and waits until the page has been drawn in it. */
async function wear(page: Page, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
  await page.evaluate(
    'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))'
  )
}

/** A dialog of the screen before stays open while only the hash changes. */
async function closeDialog(page: Page): Promise<void> {
  if ((await page.getByRole('dialog').count()) === 0) return
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

/** The words of what has the focus. */
async function focused(page: Page): Promise<string> {
  return String(await page.evaluate('document.activeElement.textContent')).trim()
}
