/**
 * A share link, from a real process, opened by someone with nothing but HTTP.
 *
 * 1. Alice makes a link to a document that opens once.
 * 2. Link previews load it many times: nothing is used up.
 * 3. 100 people open it at the same moment: exactly one gets the ciphertext, and it opens with the key of
 *    the fragment.
 * 4. Neither the key nor the document's name is in the server's log or anywhere in its home.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { DocumentFacts, LinkFacts } from '../../agent/agent.ts'
import { deriveLinkKeys, openCapability, parseLinkUrl } from '../../protocols/share-link.ts'
import { openHeader } from '../../protocols/sealed/age.ts'
import { native } from '../../protocols/sealed/native.ts'
import { removePadding } from '../../protocols/sealed/padding.ts'
import { openChunk, SEALED_CHUNK_BYTES } from '../../protocols/sealed/stream.ts'
import { samplePdf } from '../sample-pdf.ts'
import { Party } from './processes.ts'

interface Opened {
  readonly capability: string
  readonly ticket: string
  readonly usesLeft: number
}

const OPENS = 100

describe('a share link of a real process', function () {
  this.timeout(120_000)
  let alice: Party
  let url: string
  let made: LinkFacts
  const pdf = samplePdf('Household insurance', ['Policy 4711-0815'])

  before(async () => {
    alice = await Party.create('Alice')
    await alice.init()
    await alice.up('--public', '127.0.0.1:0')
    await writeFile(join(alice.folder, 'policy.pdf'), pdf)
    const document = await alice.json<DocumentFacts>('add', 'policy.pdf')
    const created = await alice.json<LinkFacts & { url: string }>(
      ...(['share', 'create', document.id, '--link', '--uses', '1'] as const)
    )
    ;({ url } = created)
    made = created
  })
  after(() => alice[Symbol.asyncDispose]())

  const link = async (): Promise<LinkFacts | undefined> => {
    const all = await alice.json<LinkFacts[]>('share', 'list', '--kind', 'link')
    return all.find(({ id }) => id === made.id)
  }

  it('is inert when it is only looked at', async () => {
    const { base, id } = parseLinkUrl(url)
    for (let look = 0; look < 20; look++) {
      const page = await fetch(`${base}/s/${id}`)
      await page.arrayBuffer()
      const facts = await fetch(`${base}/s/${id}/facts`)
      await facts.arrayBuffer()
      expect(facts.status).to.equal(200)
    }
    expect((await link())?.uses).to.equal(0)
  })

  it(`opens for exactly one of ${OPENS} at once, and what opens is the document`, async () => {
    const { base, id, secret } = parseLinkUrl(url)
    const { auth, openKey } = await deriveLinkKeys({ id, secret })
    const proof = Buffer.from(auth).toString('base64url')
    const answers = await Promise.all(
      Array.from({ length: OPENS }, async () => {
        const answer = await fetch(`${base}/s/${id}/open`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ proof })
        })
        return { status: answer.status, body: (await answer.json()) as Opened }
      })
    )
    const won = answers.filter(({ status }) => status === 200)
    expect(won).to.have.length(1)
    const others = new Set(
      answers.filter(({ status }) => status !== 200).map(({ status }) => status)
    )
    // Used up, or told to slow down: never a second document.
    expect([...others].every((status) => status === 410 || status === 429)).to.equal(true)
    expect(others.has(410)).to.equal(true)
    const { body } = won[0] ?? { body: { capability: '', ticket: '' } }
    const facts = openCapability(openKey, id, Buffer.from(body.capability, 'base64url'))
    expect(facts.name).to.equal('policy.pdf')
    const sealed = await fetch(`${base}/s/${id}/content?ticket=${body.ticket}`)
    const file = new Uint8Array(await sealed.arrayBuffer())
    const opened = await openHeader(file, { fileKey: Buffer.from(facts.fileKey, 'base64url') })
    const payload = file.subarray(opened.payloadOffset)
    expect(payload.length).to.be.lessThan(SEALED_CHUNK_BYTES)
    const plain = openChunk(native.aead, opened.payloadKey, {
      index: 0,
      last: true,
      sealed: payload
    })
    expect(Buffer.from(removePadding(plain)).equals(pdf)).to.equal(true)
    expect((await link())?.state).to.equal('used-up')
  })

  it('leaves its key nowhere on the server', async () => {
    await alice.stop()
    const { secret, id } = parseLinkUrl(url)
    const { auth, openKey } = await deriveLinkKeys({ id, secret })
    const forms = [secret, openKey, auth].flatMap((bytes) => {
      const buffer = Buffer.from(bytes)
      return [
        buffer,
        ...(['base64url', 'base64', 'hex'] as const).map((form) =>
          Buffer.from(buffer.toString(form))
        )
      ]
    })
    const entries = await readdir(alice.home, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    expect(files.length).to.be.greaterThan(5)
    for (const entry of files) {
      const bytes = await readFile(join(entry.parentPath, entry.name))
      for (const form of forms) expect(bytes.includes(form), entry.name).to.equal(false)
    }
    for (const form of forms) expect(Buffer.from(alice.log).includes(form)).to.equal(false)
    expect(alice.log).to.not.include('policy.pdf')
  })
})
