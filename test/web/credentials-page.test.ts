/**
 * Cast: 1. a holder with credentials kept, offered and under way, 2. a clerk of an institution, both at the
 * locker's page over the mock gateway.
 */
import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { type Watched, axe, startBrowser, watch } from './browser.ts'
import { buildPage } from './built-page.ts'
import { type MockGateway, TOKEN, startMockGateway } from './mock-gateway.ts'

const START_MS = 60_000
const STEP_MS = 20_000

describe('credentials in the locker', function () {
  this.timeout(STEP_MS)
  let browser: Browser
  let mock: MockGateway
  let watched: Watched
  let page: Page

  before(async function () {
    this.timeout(START_MS)
    const started = await startBrowser()
    if ('reason' in started) {
      console.log(`      no browser could be started: ${started.reason}`)
      this.skip()
    }
    browser = started
    await buildPage()
    mock = await startMockGateway({ vault: 'open', full: true })
    watched = await watch(browser, { origins: [mock.url] })
    page = watched.page
    await page.goto(`${mock.url}/#t=${TOKEN}`)
    await page.getByText('Degree certificate.pdf').waitFor()
  })

  after(async () => {
    await browser?.close()
    await mock?.close()
  })

  it('makes the certificate of one that is kept, and offers it for saving', async () => {
    await page.goto(`${mock.url}/#/documents/${'marksheet'.padEnd(26, 'a')}`)
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Certificate to print' }).click()
    expect((await saved).suggestedFilename()).to.equal('Marksheet, final year.pdf')
  })

  it('has no certificate for what the owner declared, and asks for a verdict on its text', async () => {
    await page.goto(`${mock.url}/#/documents/${'declared'.padEnd(26, 'a')}`)
    await page.getByText('Declared, not certified').waitFor()
    expect(await page.getByRole('button', { name: 'Certificate to print' }).count()).to.equal(0)
    expect(mock.asked).to.include('/api/v1/verifications')
  })

  it('shows an offer as it will be signed, takes one, and says where it stands', async () => {
    await page.goto(`${mock.url}/#/inbox`)
    await page.getByRole('heading', { name: 'Academic marksheet' }).waitFor()
    await page.getByText('See what it will say').click()
    await page.getByText('Roll number').waitFor()
    await page.getByRole('article').first().getByRole('button', { name: 'Accept' }).click()
    await page.getByText('Waiting to be issued').waitFor()
    expect(await axe(page)).to.deep.equal([])
  })

  it('takes a request back with a reason', async () => {
    await page.goto(`${mock.url}/#/inbox`)
    const line = page.getByRole('listitem').filter({ hasText: 'Expected by' })
    await line.getByRole('button', { name: 'Cancel request' }).click()
    await page.getByLabel('Reason (optional)').fill('I found the paper.')
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel request' }).click()
    await page.getByText('“I found the paper.”').waitFor()
  })

  it('publishes a kind, which can be issued from then on', async () => {
    await page.goto(`${mock.url}/#/issuer/types`)
    await page.getByRole('button', { name: 'Publish Land record' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Issue one' }).click()
    await page.getByLabel('Kind of credential').selectOption({ label: 'Land record' })
    await page.getByText('Survey number').first().waitFor()
  })

  it('offers one by its form, says what the agent found wrong, and keeps what was filled in', async () => {
    await fillIn(page, 'x')
    await page.getByLabel('Contact', { exact: true }).selectOption({ label: 'Maria Fernandes' })
    await page.getByRole('button', { name: 'Offer', exact: true }).click()
    await page.getByText('is not a roll number').waitFor()
    expect(await axe(page)).to.deep.equal([])
    expect(await page.getByLabel('Name of the student').inputValue()).to.equal('Maria Fernandes')
    await page.getByLabel('Roll number').fill('18-2204')
    await page.getByRole('button', { name: 'Offer', exact: true }).click()
    await page.getByText('Offered to Maria Fernandes').waitFor()
    await page.getByRole('link', { name: 'See what was issued' }).click()
    await page.getByText('5 credentials').waitFor()
  })

  it('makes an invitation for someone new', async () => {
    await fillIn(page, '18-2205')
    await page.getByText('Someone new').click()
    await page.getByRole('button', { name: 'Offer', exact: true }).click()
    await page.getByText('Offered to whoever answers the invitation').waitFor()
    expect(await page.getByLabel('Invitation', { exact: true }).inputValue()).to.include('/i?_oob=')
  })

  it('finds, suspends and reinstates by keyboard, with the reason', async () => {
    await page.goto(`${mock.url}/#/issuer`)
    await page.getByLabel('Search by person, kind or content').fill('asha')
    const card = page.getByRole('article').filter({ hasText: 'Asha Kulkarni' }).last()
    await card.getByRole('button', { name: /^Suspend/ }).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await page.getByLabel('Reason (optional)').fill('Under review.')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('“Under review.”').waitFor()
    await page.getByRole('button', { name: /^Reinstate .* Asha Kulkarni/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Reinstate' }).click()
    await page
      .getByRole('button', { name: /^Suspend .* Asha Kulkarni/ })
      .first()
      .waitFor()
  })

  it('shows nothing of an institution in a locker that is none', async () => {
    const empty = await startMockGateway({ vault: 'open', full: false })
    try {
      const { context, page: own } = await watch(browser, { origins: [empty.url] })
      await own.goto(`${empty.url}/#t=${TOKEN}`)
      await own.getByRole('heading', { name: 'Nothing here yet' }).waitFor()
      expect(await own.getByRole('link', { name: 'Issuer' }).count()).to.equal(0)
      await own.goto(`${empty.url}/#/issuer`)
      await own.getByText('elocker issuer init').waitFor()
      expect(await axe(own)).to.deep.equal([])
      await context.close()
    } finally {
      await empty.close()
    }
  })

  it('has caused no error, no policy violation and no request elsewhere', () => {
    expect(watched.errors).to.deep.equal([])
    expect(watched.violations).to.deep.equal([])
    expect(watched.strays).to.deep.equal([])
  })

  /** Every field a marksheet must have. */
  async function fillIn(at: Page, rollNumber: string): Promise<void> {
    await at.goto(`${mock.url}/#/issuer`)
    await at.goto(`${mock.url}/#/issuer/issue`)
    await at.getByLabel('Kind of credential').selectOption({ label: 'Academic marksheet' })
    for (const [label, text] of [
      ['Document number', 'UP/2024/0872'],
      ['Name of the student', 'Maria Fernandes'],
      ['Roll number', rollNumber],
      ['Institute', 'Fergusson College'],
      ['Board or university', 'University of Pune'],
      ['Programme', 'Bachelor of Science'],
      ['Examination', 'April 2024'],
      ['Date of result', '2024-06-01'],
      ['Subject', 'Algebra'],
      ['Marks obtained', '81'],
      ['Maximum marks', '100']
    ] as const)
      await at.getByLabel(label, { exact: true }).fill(text)
    await at.getByLabel('Result', { exact: true }).selectOption({ index: 1 })
  }
})
