/**
 * Two people, two real nodes, two browsers: what is shared from locker to locker, through the page alone.
 *
 * Cast:
 *   1. The registrar's office, which offers a transcript to keep, and asks for a photo.
 *   2. Asha, who accepts, answers, and reads.
 */
import { expect } from 'chai'
import type { Browser, Page } from 'playwright-core'
import { type Watched, startBrowser, watch } from './browser.ts'
import { buildPage } from './built-page.ts'
import { pdf, png } from './documents.ts'
import { type TestNode, startTestNode } from './real-node.ts'

const STEP_MS = 60_000

describe('two lockers, through their pages', function () {
  this.timeout(STEP_MS)
  let browser: Browser
  let office: { test: TestNode; watched: Watched }
  let asha: { test: TestNode; watched: Watched }

  before(async function () {
    const started = await startBrowser()
    if ('reason' in started) {
      console.log(`      no browser could be started: ${started.reason}`)
      this.skip()
    }
    browser = started
    await buildPage()
    office = await party('Registrar’s office')
    asha = await party('Asha Kulkarni')
  })

  after(async () => {
    await browser?.close()
    for (const one of [office, asha]) await one?.test[Symbol.asyncDispose]()
  })

  async function party(name: string): Promise<{ test: TestNode; watched: Watched }> {
    const test = await startTestNode()
    await test.node.agent.vault.create({ name, passphrase: 'five calm herons over water' })
    const watched = await watch(browser, { origins: test.origins })
    await watched.page.goto(test.node.urls.open)
    await watched.page.getByRole('heading', { name: 'Nothing here yet' }).waitFor()
    return { test, watched }
  }

  it('become contacts by an invitation', async () => {
    const { page: host } = office.watched
    await show(host, '#/contacts', 'Contacts')
    await host.getByRole('button', { name: 'Invite someone' }).first().click()
    await host.getByRole('button', { name: 'Make the invitation' }).click()
    const url = await host.getByLabel('Invitation', { exact: true }).inputValue()
    await host.getByRole('button', { name: 'Done' }).click()

    const { page: guest } = asha.watched
    await show(guest, '#/contacts', 'Contacts')
    await guest.getByRole('button', { name: 'Accept an invitation' }).first().click()
    await guest.getByLabel('Invitation link').fill(url)
    await guest.getByLabel('What will you call them?').fill('Registrar')
    await guest.getByRole('button', { name: 'Accept', exact: true }).click()
    await guest.getByText('Registrar is now a contact').waitFor()
    await guest.getByRole('button', { name: 'Done' }).click()

    await host.getByRole('link', { name: 'Asha Kulkarni' }).click()
    await host.getByRole('button', { name: 'Check connection' }).click()
    await host.getByText(/Asha Kulkarni answered in \d+ ms/).waitFor()
  })

  it('a copy that is offered is accepted, kept and read', async () => {
    const { page: host } = office.watched
    await show(host, '#/', 'Your documents')
    await host.getByLabel('Add files').setInputFiles({
      name: 'Transcript.pdf',
      mimeType: 'application/pdf',
      buffer: pdf(['Transcript', 'All semesters passed'])
    })
    await host.getByText('1 file added').waitFor()
    await host.getByRole('link', { name: 'Transcript.pdf' }).last().click()
    await host.getByRole('button', { name: 'Share', exact: true }).click()
    await host.getByLabel('Contact', { exact: true }).selectOption({ label: 'Asha Kulkarni' })
    await host.getByLabel('What is it for?').fill('You asked for it')
    await host.getByRole('radio', { name: /Keep a copy/ }).check()
    await host.getByRole('dialog').getByRole('button', { name: 'Share', exact: true }).click()
    await host.getByText('Offered to Asha Kulkarni').waitFor()

    const { page: guest } = asha.watched
    await show(guest, '#/', 'Your documents')
    // Told by the event stream, without a reload.
    await guest.getByText('1 thing waits for your answer').click()
    await guest.getByRole('button', { name: 'Accept' }).click()
    await guest.getByRole('link', { name: 'Open your copy' }).click()
    await guest
      .getByRole('figure', { name: 'Page 1 of 1' })
      .getByText('All semesters passed')
      .waitFor({ state: 'attached' })
    await guest.getByText('Copy from').waitFor()
  })

  it('a request is answered with a document to look at, until it is stopped', async () => {
    const { page: host } = office.watched
    await host.getByRole('button', { name: 'Done' }).click()
    await show(host, '#/inbox', 'Inbox')
    await host.getByRole('button', { name: 'Ask for a document' }).first().click()
    await host.getByLabel('Whom do you ask?').selectOption({ label: 'Asha Kulkarni' })
    await host.getByLabel('Which document?').fill('A photo')
    await host.getByLabel('What is it for?').fill('Your student card')
    await host.getByRole('button', { name: 'Send the request' }).click()
    await host.getByText('Asha Kulkarni was asked').waitFor()
    await host.getByRole('button', { name: 'Done' }).click()

    const { page: guest } = asha.watched
    await show(guest, '#/', 'Your documents')
    await guest.getByLabel('Add files').setInputFiles({
      name: 'Photo.png',
      mimeType: 'image/png',
      buffer: png(300, 400)
    })
    await guest.getByText('1 file added').waitFor()
    await show(guest, '#/inbox', 'Inbox')
    await guest.getByRole('button', { name: 'Choose a document' }).click()
    await guest.getByRole('radio', { name: /Photo.png/ }).check()
    await guest.getByRole('button', { name: 'Share', exact: true }).click()
    await guest.getByText('You shared a document').waitFor()

    await host.getByRole('button', { name: 'Accept' }).click()
    await host.getByRole('link', { name: 'Open', exact: true }).click()
    await host.getByRole('img', { name: 'Preview of Photo.png' }).waitFor()

    await show(guest, '#/', 'Your documents')
    await guest.getByRole('link', { name: 'Photo.png' }).last().click()
    await guest.getByText('Can open it', { exact: true }).waitFor()
    await guest.getByRole('button', { name: 'Stop sharing' }).click()
    await guest.getByRole('dialog').getByRole('button', { name: 'Stop sharing' }).click()
    await guest.getByText('Stopped', { exact: true }).waitFor()
    await host.getByText('Stopped by them').waitFor()
  })

  it('both sides can read who did what', async () => {
    const { page: host } = office.watched
    await show(host, '#/activity', 'Activity')
    await host.getByText('You shared Transcript.pdf with Asha Kulkarni').waitFor()
    await host.getByText('Asha Kulkarni accepted Transcript.pdf').waitFor()
    const { page: guest } = asha.watched
    await show(guest, '#/activity', 'Activity')
    await guest.getByText('You stopped sharing Photo.png').waitFor()
    await guest.getByText('Registrar opened Photo.png').waitFor()
  })

  it('has caused no error, no policy violation and no request elsewhere', () => {
    for (const { watched } of [office, asha]) {
      expect(watched.errors).to.be.empty
      expect(watched.violations).to.be.empty
      expect(watched.strays).to.be.empty
    }
  })
})

async function show(page: Page, hash: string, heading: string): Promise<void> {
  await page.goto(`${new URL(page.url()).origin}/${hash}`)
  await page.getByRole('heading', { level: 1, name: heading }).waitFor()
}
