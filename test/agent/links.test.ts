import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { expect } from 'chai'
import { openAudit, type Audit } from '../../agent/audit.ts'
import { openDocuments, type DocumentStore } from '../../agent/documents.ts'
import type { DocumentFacts } from '../../agent/documents.ts'
import { LockerError } from '../../agent/errors.ts'
import {
  LINK_LIFETIME_DEFAULT_MS,
  LINK_LIFETIME_MAX_MS,
  LINK_USES_MAX,
  openLinks,
  TICKET_LIFETIME_MS,
  WRONG_PROOFS_MAX,
  type Links,
  type LinksComponents,
  type OpenedLink
} from '../../agent/links.ts'
import type { Records } from '../../agent/records.ts'
import { openSealed } from '../../agent/sealed-reader.ts'
import {
  deriveLinkKeys,
  openCapability,
  parseLinkUrl,
  type LinkCapability
} from '../../protocols/share-link.ts'
import { Crash, FaultyBlocks, ManualClock, noSpace, secureRandom } from './faults.ts'
import { all, failure, Home } from './record-home.ts'

const CONTENT = new Uint8Array(randomBytes(150_000))

describe('agent/links', () => {
  let home: Home
  let blocks: FaultyBlocks
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let documents: DocumentStore
  let links: Links
  let degree: DocumentFacts
  const changes: string[] = []

  async function open(limits: LinksComponents['limits'] = {}): Promise<void> {
    const { logger, rootKey } = home
    records = await home.open()
    audit = await openAudit({ records, clock })
    documents = await openDocuments({
      records,
      audit,
      blocks,
      rootKey,
      clock,
      random: secureRandom,
      logger,
      changed: () => undefined
    })
    links = await openLinks({
      records,
      audit,
      documents,
      clock,
      random: secureRandom,
      baseUrl: () => 'https://locker.example',
      ownerName: () => 'Alice',
      changed: (id) => changes.push(id),
      limits
    })
  }

  beforeEach(async () => {
    home = new Home()
    blocks = new FaultyBlocks()
    clock = new ManualClock()
    changes.length = 0
    await open()
    degree = await documents.add(source(CONTENT), { name: 'degree.bin' })
  })

  /** What the page does with a URL: keys, proof, capability. */
  async function visit(
    url: string,
    passphrase?: string
  ): Promise<{ opened: OpenedLink; capability: LinkCapability }> {
    const { id, secret } = parseLinkUrl(url)
    const { salt } = links.describe(id)
    const keys = await deriveLinkKeys({
      id,
      secret,
      ...(passphrase === undefined
        ? {}
        : { passphrase: { text: passphrase, salt: base64urlnopad.decode(salt) } })
    })
    const opened = await links.open(id, keys.auth)
    return { opened, capability: openCapability(keys.openKey, id, opened.capability) }
  }

  const after = (ms: number): Date => new Date(clock.now().getTime() + ms)

  const actions = async (): Promise<string[]> =>
    (await audit.list()).map((entry) => entry.action).filter((name) => name.startsWith('link-'))

  it('opens for who has the URL, and the ciphertext opens with the file key inside', async () => {
    const { facts, url } = await links.create({ document: degree.id, purpose: 'admission' })
    const { opened, capability } = await visit(url)
    expect(capability).to.deep.include({
      root: degree.root,
      sizeBytes: CONTENT.length,
      sealedBytes: opened.sealedBytes,
      name: 'degree.bin',
      from: 'Alice',
      purpose: 'admission',
      expiresAt: facts.expiresAt
    })
    const sealed = Buffer.concat(await all(await links.read(facts.id, opened.ticket)))
    expect(sealed.length).to.equal(opened.sealedBytes)
    expect(sealed.subarray(0, 21).toString()).to.equal('age-encryption.org/v1')
    const plaintext = openSealed({
      root: capability.root,
      fileKey: base64urlnopad.decode(capability.fileKey),
      sizeBytes: capability.sizeBytes,
      getBlock: async (cid) => Buffer.concat(await all(blocks.get(cid)))
    })
    expect(Buffer.concat(await all(plaintext)).equals(CONTENT)).to.be.true
  })

  it('lives 24 hours and for one use unless told otherwise', async () => {
    const { facts } = await links.create({ document: degree.id })
    const lifetimeMs = Date.parse(facts.expiresAt) - Date.parse(facts.createdAt)
    expect(lifetimeMs).to.equal(LINK_LIFETIME_DEFAULT_MS)
    expect(facts).to.deep.include({ usesMax: 1, uses: 0, state: 'live', passphrase: false })
    expect(links.list()).to.deep.equal([facts])
  })

  it('tells used up, expired and stopped apart', async () => {
    const used = await links.create({ document: degree.id })
    await visit(used.url)
    const expired = await links.create({
      document: degree.id,
      expiresAt: new Date(clock.now().getTime() + 1000)
    })
    const stopped = await links.create({ document: degree.id })
    await links.stop(stopped.facts.id)
    clock.advance(999)
    expect(links.describe(expired.facts.id).state).to.equal('live')
    clock.advance(1)
    expect((await failure(visit(used.url))).code).to.equal('link-used-up')
    expect((await failure(visit(expired.url))).code).to.equal('link-expired')
    expect((await failure(visit(stopped.url))).code).to.equal('link-stopped')
    const states = [used, expired, stopped].map(({ facts }) => links.describe(facts.id).state)
    expect(states).to.deep.equal(['used-up', 'expired', 'stopped'])
  })

  it('knows no link by another name', async () => {
    for (const id of ['a'.repeat(26), 'constructor', '__proto__', ''])
      expect(() => links.describe(id))
        .to.throw(LockerError)
        .with.property('code', 'link-unknown')
    const proof = new Uint8Array(32)
    expect((await failure(links.open('constructor', proof))).code).to.equal('link-unknown')
    expect((await failure(links.stop('a'.repeat(26)))).code).to.equal('link-unknown')
  })

  for (const visitors of [100, 500])
    it(`opens exactly once for ${visitors} visitors at the same moment`, async () => {
      const { facts, url } = await links.create({ document: degree.id })
      const { id, secret } = parseLinkUrl(url)
      const { auth } = await deriveLinkKeys({ id, secret })
      const outcomes = await Promise.all(
        Array.from({ length: visitors }, () =>
          links.open(id, auth).then(
            () => 'opened',
            (error: unknown) => (error instanceof LockerError ? error.code : String(error))
          )
        )
      )
      expect(outcomes.filter((each) => each === 'opened')).to.have.length(1)
      expect(outcomes.filter((each) => each === 'link-used-up')).to.have.length(visitors - 1)
      expect(links.list().find((each) => each.id === facts.id)?.uses).to.equal(1)
      expect(await actions()).to.deep.equal(['link-opened', 'link-created'])
    })

  it('uses nothing up by being described', async () => {
    const { facts, url } = await links.create({ document: degree.id })
    const writes = home.db.writes.count
    for (let times = 0; times < 1000; times++) links.describe(facts.id)
    expect(home.db.writes.count).to.equal(writes)
    expect((await visit(url)).opened.usesLeft).to.equal(0)
  })

  it('keeps the count when the machine stops right after it', async () => {
    const { facts, url } = await links.create({ document: degree.id, usesMax: 2 })
    await visit(url)
    await records.close()
    await open()
    expect(links.list()[0]).to.deep.include({ id: facts.id, uses: 1, state: 'live' })
    expect((await visit(url)).opened.usesLeft).to.equal(0)
    expect((await failure(visit(url))).code).to.equal('link-used-up')
  })

  it('gives nothing out when the use cannot be recorded', async () => {
    const { url } = await links.create({ document: degree.id })
    home.db.batchFails = () => ({ error: noSpace(), written: false })
    expect((await failure(visit(url))).code).to.equal('storage-full')
    home.db.batchFails = undefined
    expect((await visit(url)).opened.usesLeft).to.equal(0)
    expect(await actions()).to.deep.equal(['link-opened', 'link-created'])
  })

  it('counts a use at most once when the machine stops while writing it', async () => {
    const { url } = await links.create({ document: degree.id })
    home.db.batchFails = () => ({ error: new Crash('power'), written: true })
    await visit(url).then(
      () => expect.fail('it opened without a durable count'),
      () => undefined
    )
    home.db.batchFails = undefined
    await open()
    // The visitor has seen nothing, so either count is honest; the log and the count must agree.
    const uses = links.list()[0]?.uses
    const opened = (await actions()).filter((action) => action === 'link-opened')
    expect(opened).to.have.length(uses ?? -1)
  })

  it('asks for the passphrase, and refuses the right secret with a wrong one', async () => {
    const { facts, url } = await links.create({ document: degree.id, passphrase: 'açaí 123' })
    expect(links.describe(facts.id).passphrase).to.be.true
    expect((await failure(visit(url))).code).to.equal('link-proof-wrong')
    expect((await failure(visit(url, 'acai 123'))).code).to.equal('link-proof-wrong')
    // The same letters in another normal form.
    expect((await visit(url, 'açaí 123'.normalize('NFD'))).opened.usesLeft).to.equal(0)
  })

  it(`stops a link after ${WRONG_PROOFS_MAX} wrong proofs, across restarts`, async () => {
    const { facts, url } = await links.create({ document: degree.id, usesMax: 5 })
    const wrong = new Uint8Array(32)
    for (let attempt = 1; attempt < WRONG_PROOFS_MAX; attempt++) {
      const refused = await failure(links.open(facts.id, wrong))
      expect(refused.code).to.equal('link-proof-wrong')
      expect(refused.facts).to.deep.equal({ attemptsLeft: WRONG_PROOFS_MAX - attempt })
      if (attempt === 10) {
        await records.close()
        await open()
      }
    }
    expect(links.describe(facts.id).state).to.equal('live')
    expect((await failure(links.open(facts.id, wrong))).code).to.equal('link-proof-wrong')
    expect((await failure(visit(url))).code).to.equal('link-stopped')
    const [last] = await audit.list()
    expect(last).to.deep.include({ action: 'link-stopped', actor: 'link', link: facts.id })
    expect(last?.details).to.deep.equal({ reason: 'wrong-proofs' })
  })

  it('refuses proofs of any other length', async () => {
    const { facts } = await links.create({ document: degree.id })
    for (const length of [0, 31, 33, 1_000_000]) {
      const refused = await failure(links.open(facts.id, new Uint8Array(length)))
      expect(refused.code).to.equal('link-proof-wrong')
    }
  })

  it('serves byte ranges of the sealed file to a live ticket', async () => {
    const { facts, url } = await links.create({ document: degree.id })
    const { opened } = await visit(url)
    const whole = Buffer.concat(await all(await links.read(facts.id, opened.ticket)))
    const last = opened.sealedBytes - 1
    for (const [start, end] of [
      [0, 0],
      [100, 65_535],
      [last, last],
      [last - 10, last + 1000]
    ] as const) {
      const part = Buffer.concat(
        await all(await links.read(facts.id, opened.ticket, { start, end }))
      )
      expect(part.equals(whole.subarray(start, end + 1)), `${start}-${end}`).to.be.true
    }
    for (const [start, end] of [
      [-1, 5],
      [5, 4],
      [last + 1, last + 2],
      [0.5, 2],
      [Number.NaN, 2]
    ] as const) {
      const refused = await failure(links.read(facts.id, opened.ticket, { start, end }))
      expect(refused.code, `${start}-${end}`).to.equal('range-invalid')
    }
  })

  it('serves nothing to a ticket that is unknown, late, of another link, or of a stopped one', async () => {
    const one = await links.create({ document: degree.id, usesMax: 3 })
    const other = await links.create({ document: degree.id })
    const { ticket } = (await visit(one.url)).opened
    const refused = async (id: string, text: string): Promise<string> =>
      (await failure(links.read(id, text))).code
    expect(await refused(one.facts.id, 'A'.repeat(43))).to.equal('link-unknown')
    expect(await refused(one.facts.id, '__proto__')).to.equal('link-unknown')
    expect(await refused(other.facts.id, ticket)).to.equal('link-unknown')
    clock.advance(TICKET_LIFETIME_MS - 1)
    await all(await links.read(one.facts.id, ticket))
    clock.advance(1)
    expect(await refused(one.facts.id, ticket)).to.equal('link-unknown')
    const second = (await visit(one.url)).opened.ticket
    await links.stop(one.facts.id)
    expect(await refused(one.facts.id, second)).to.equal('link-unknown')
  })

  it('follows a document that is sealed again', async () => {
    const { facts, url } = await links.create({ document: degree.id, usesMax: 2 })
    const before = await visit(url)
    await records.change((batch) => documents.markReseal(batch, degree.id))
    await documents.reseal(degree.id, () => undefined)
    expect((await failure(links.read(facts.id, before.opened.ticket))).code).to.equal(
      'link-unknown'
    )
    const again = await visit(url)
    expect(again.capability.root).to.not.equal(before.capability.root)
    expect(again.capability.fileKey).to.not.equal(before.capability.fileKey)
    const sealed = Buffer.concat(await all(await links.read(facts.id, again.opened.ticket)))
    expect(sealed.length).to.equal(again.opened.sealedBytes)
  })

  it('shows the version it was made for', async () => {
    const { url } = await links.create({ document: degree.id })
    await documents.addVersion(degree.id, source(new Uint8Array(10)))
    const { capability } = await visit(url)
    expect(capability.root).to.equal(degree.root)
    expect(capability.sizeBytes).to.equal(CONTENT.length)
  })

  for (const [what, remove] of [
    ['trashed', (id: string) => documents.trash(id)],
    ['deleted', (id: string) => documents.delete(id)]
  ] as const)
    it(`ends with its document when that is ${what}`, async () => {
      const { facts, url } = await links.create({ document: degree.id })
      await remove(degree.id)
      expect((await failure(visit(url))).code).to.equal('link-stopped')
      expect(links.list()[0]?.state).to.equal('stopped')
      expect((await actions())[0]).to.equal('link-stopped')
      expect(changes).to.include(facts.id)
    })

  it('is refused for documents that are unknown or in the trash', async () => {
    expect((await failure(links.create({ document: 'a'.repeat(26) }))).code).to.equal(
      'document-unknown'
    )
    await documents.trash(degree.id)
    expect((await failure(links.create({ document: degree.id }))).code).to.equal('document-trashed')
  })

  it('is refused beyond its limits, and made at them', async () => {
    const document = degree.id
    const refused = [
      { document, expiresAt: after(LINK_LIFETIME_MAX_MS + 1) },
      { document, expiresAt: after(0) },
      { document, expiresAt: new Date(Number.NaN) },
      { document, usesMax: 0 },
      { document, usesMax: LINK_USES_MAX + 1 },
      { document, usesMax: 1.5 },
      { document, passphrase: 'abc' },
      { document, passphrase: 'x'.repeat(201) },
      { document, purpose: 'x'.repeat(501) }
    ]
    for (const options of refused)
      expect((await failure(links.create(options))).code, JSON.stringify(options)).to.equal(
        'request-invalid'
      )
    const made = await links.create({
      document,
      expiresAt: after(LINK_LIFETIME_MAX_MS),
      usesMax: LINK_USES_MAX,
      purpose: 'x'.repeat(500)
    })
    expect(made.facts.usesMax).to.equal(LINK_USES_MAX)
    expect(links.list()).to.have.length(1)
  })

  it('refuses one live link too many, and forgets the oldest ended ones', async () => {
    await records.close()
    await open({ live: 3, kept: 5 })
    const made: string[] = []
    const create = async (): Promise<void> => {
      const { facts } = await links.create({ document: degree.id })
      made.push(facts.id)
      clock.advance(1000)
    }
    for (let count = 0; count < 3; count++) await create()
    expect((await failure(create())).code).to.equal('request-invalid')
    for (let count = 3; count < 7; count++) {
      await links.stop(made[count - 3] ?? '')
      await create()
    }
    const kept = links.list().map(({ id }) => id)
    expect(kept).to.deep.equal(made.slice(2).toReversed())
    expect(() => links.describe(made[0] ?? ''))
      .to.throw(LockerError)
      .with.property('code', 'link-unknown')
    expect((await failure(create())).code).to.equal('request-invalid')
  })

  it('ends the oldest ticket when there are too many', async () => {
    await records.close()
    await open({ tickets: 2 })
    const { facts, url } = await links.create({ document: degree.id, usesMax: 3 })
    const tickets: string[] = []
    for (let use = 0; use < 3; use++) tickets.push((await visit(url)).opened.ticket)
    const [first = '', ...others] = tickets
    expect((await failure(links.read(facts.id, first))).code).to.equal('link-unknown')
    for (const ticket of others) await all(await links.read(facts.id, ticket))
  })

  it('leaves neither secret nor file key in logs, records or events', async () => {
    const { url } = await links.create({ document: degree.id, passphrase: 'açaí 123' })
    const { capability } = await visit(url, 'açaí 123')
    const fragment = url.slice(url.indexOf('#') + 1)
    await records.close()
    const stored = (await home.db.contents()).map(
      ([key, value]) => key + Buffer.from(value).toString('latin1')
    )
    const told = [...stored, JSON.stringify(home.logger.events), changes.join()].join('\n')
    for (const secret of [fragment, capability.fileKey, 'açaí 123'])
      expect(told).to.not.include(secret)
  })
})

async function* source(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
