import { unixfs } from '@helia/unixfs'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { randomBytes } from 'node:crypto'
import { documentIdentity } from '../../agent/keys.ts'
import type { DocumentFacts, DocumentStore } from '../../agent/documents.ts'
import { OPENING_INTERVAL_MS } from '../../agent/documents.ts'
import {
  NAME_LENGTH_MAX,
  TAG_LENGTH_MAX,
  TAGS_MAX,
  TYPE_LENGTH_MAX
} from '../../agent/document-record.ts'
import { LockerError } from '../../agent/errors.ts'
import { PUTS_AT_ONCE } from '../../agent/sealed-writer.ts'
import { openHeader } from '../../protocols/sealed/age.ts'
import { removePadding } from '../../protocols/sealed/padding.ts'
import { native } from '../../protocols/sealed/native.ts'
import { openPayload } from '../../protocols/sealed/stream.ts'
import { bytesOf, DocumentHome, type Opened, pieces, read } from './document-home.ts'
import { noSpace } from './faults.ts'
import { failure } from './record-home.ts'

const MIB = 1_048_576

async function* broken(): AsyncGenerator<Uint8Array> {
  yield randomBytes(3 * MIB)
  throw new RangeError('connection reset')
}

describe('agent/documents', () => {
  let home: DocumentHome
  let opened: Opened
  let documents: DocumentStore

  beforeEach(async () => {
    home = new DocumentHome()
    opened = await home.open()
    documents = opened.documents
  })

  async function reopen(): Promise<void> {
    documents.close()
    await opened.records.close()
    opened = await home.open()
    documents = opened.documents
  }

  async function add(content: Uint8Array | string = 'Zeugnis', name = 'a'): Promise<DocumentFacts> {
    return documents.add(pieces(content), { name })
  }

  async function actions(): Promise<string[]> {
    return (await opened.audit.list()).map(({ action }) => action).toReversed()
  }

  describe('adding', () => {
    for (const size of [0, 1, 4_087, 4_088, 4_089, 65_535, 65_536, MIB - 1, MIB, 3 * MIB + 7])
      it(`gives back a document of ${size} bytes, opened again`, async () => {
        const content = randomBytes(size)
        const facts = await add(content)
        expect(facts.sizeBytes).to.equal(size)
        await reopen()
        expect(documents.get(facts.id)).to.deep.equal(facts)
        expect((await read(documents, facts.id)).equals(content)).to.equal(true)
      })

    it('states what was added', async () => {
      const facts = await documents.add(pieces('%PDF-1.7\n1 0 obj'), {
        name: 'Zeugnis.txt',
        tags: ['Uni', 'Uni', '2020'],
        type: 'degree'
      })
      expect(facts.id).to.match(/^[a-z2-7]{26}$/)
      expect(facts).to.deep.include({
        name: 'Zeugnis.txt',
        mediaType: 'application/pdf',
        sizeBytes: 16,
        version: 1,
        tags: ['Uni', '2020'],
        type: 'degree',
        addedAt: '2026-11-23T12:00:00.000Z',
        changedAt: '2026-11-23T12:00:00.000Z'
      })
      expect(facts.versions).to.have.length(1)
      expect(facts.versions[0]?.root).to.equal(facts.root)
      expect(facts).to.not.have.any.keys('trashedAt', 'source', 'damagedBlocks')
      expect(home.changed).to.deep.equal([facts.id])
      expect(await actions()).to.deep.equal(['document-added'])
    })

    it('seals: nothing of content or key is on the disk', async () => {
      const content = randomBytes(200_000)
      const { id } = await add(content)
      const { fileKey } = documents.sealed(id)
      const stored = Buffer.concat([
        ...[...home.blocks.blocks.values()].map(({ bytes }) => bytes),
        ...(await home.db.contents()).flatMap(([key, value]) => [Buffer.from(key), value])
      ])
      for (let offset = 0; offset + 32 <= content.length; offset += 32)
        expect(stored.includes(content.subarray(offset, offset + 32))).to.equal(false)
      expect(stored.includes(Buffer.from(fileKey))).to.equal(false)
      expect(stored.includes(Buffer.from(fileKey).toString('base64url'))).to.equal(false)
    })

    it('is an age file in UnixFS that Helia reads and the document identity opens', async () => {
      const content = randomBytes(3 * MIB)
      const { id, root } = await add(content)
      const file = await bytesOf(unixfs({ blockstore: home.blocks }).cat(CID.parse(root)))
      expect(file.equals(await bytesOf(documents.readSealed(root)))).to.equal(true)
      expect(file.length).to.equal(documents.sealed(id).sealedBytes)
      const identities = [documentIdentity(home.rootKey)]
      const { payloadKey, payloadOffset } = await openHeader(file, { identities })
      const plaintext = openPayload([file.subarray(payloadOffset)], payloadKey, native.aead)
      const padded = new Uint8Array(await bytesOf(plaintext))
      expect(Buffer.compare(removePadding(padded), content)).to.equal(0)
    })

    it('gives the same file twice other roots and other keys', async () => {
      const one = await add('same')
      const other = await add('same')
      expect(one.root).to.not.equal(other.root)
      expect(documents.sealed(one.id).fileKey).to.not.deep.equal(documents.sealed(other.id).fileKey)
    })

    it('reports progress and puts few blocks at once', async () => {
      const seen: number[] = []
      await documents.add(pieces(randomBytes(9 * MIB)), {
        name: 'a',
        onProgress: (bytes) => seen.push(bytes)
      })
      expect(seen.at(-1)).to.equal(9 * MIB)
      expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b))
      expect(home.blocks.putsMax).to.be.within(2, PUTS_AT_ONCE)
    })

    it('refuses one byte more than the limit and keeps nothing of it', async () => {
      home.sizeBytesMax = 2 * MIB
      await reopen()
      await add(randomBytes(2 * MIB))
      const before = home.cids()
      const error = await failure(add(randomBytes(2 * MIB + 1)))
      expect(error.code).to.equal('document-too-large')
      expect(error.facts).to.deep.equal({ sizeBytesMax: 2 * MIB })
      expect(home.cids()).to.have.members(before)
      expect(documents.list()).to.have.length(1)
    })

    it('stops at once when aborted, even while the source is silent, and keeps nothing', async () => {
      const abort = new AbortController()
      async function* silent(): AsyncGenerator<Uint8Array> {
        yield randomBytes(3 * MIB)
        queueMicrotask(() => abort.abort(new Error('gone')))
        await new Promise(() => undefined)
      }
      const error = await failure(documents.add(silent(), { name: 'a', signal: abort.signal }))
      expect(error.code).to.equal('operation-cancelled')
      expect(home.cids()).to.be.empty
      expect(documents.list()).to.be.empty
    })

    it('passes on what the source throws and keeps nothing', async () => {
      const error = await documents.add(broken(), { name: 'a' }).catch((e: Error) => e)
      expect(error).to.be.instanceOf(RangeError)
      expect(home.cids()).to.be.empty
    })

    it('says storage-full when a block does not fit and leaves nothing behind', async () => {
      for (let fit = 0; fit < 6; fit++) {
        home.writes.count = 0
        home.writes.plan = (write, what) => {
          if (write > fit && what.startsWith('put')) throw noSpace()
        }
        expect((await failure(add(randomBytes(5 * MIB)))).code).to.equal('storage-full')
        expect(home.cids()).to.be.empty
      }
      home.writes.plan = () => undefined
      const { id } = await add('now there is room')
      expect((await read(documents, id)).toString()).to.equal('now there is room')
    })

    it('says storage-full when the record does not fit and leaves no block behind', async () => {
      home.db.batchFails = () => ({ error: noSpace(), written: false })
      expect((await failure(add(randomBytes(2 * MIB)))).code).to.equal('storage-full')
      expect(home.cids()).to.be.empty
    })

    it('leaves the blocks when nobody knows whether the record is there', async () => {
      home.db.batchFails = () => ({ error: noSpace(), written: true })
      home.db.openFails = () => noSpace()
      const error = await failure(add('uncertain'))
      expect(error.facts).to.deep.equal({ outcome: 'unknown' })
      expect(home.cids()).to.have.length(1)
      home.db.batchFails = undefined
      home.db.openFails = undefined
      await add('later')
      expect(documents.list()).to.have.length(1)
      expect(await documents.collect()).to.deep.equal({ removed: 1 })
    })
  })

  describe('names', () => {
    for (const name of [
      '__proto__',
      'constructor',
      '../../etc/passwd',
      'C:\\x',
      '\u202efdp.exe',
      'a\0b\nc',
      '\ud800',
      'ज़ैग्निस',
      '👩‍👩‍👧',
      ' '
    ])
      it(`keeps ${JSON.stringify(name)} as it is`, async () => {
        const { id } = await documents.add(pieces('x'), { name, tags: [name], type: name })
        await reopen()
        expect(documents.get(id)).to.deep.include({ name, tags: [name], type: name })
      })

    it('refuses names, tags and types beyond their limits', async () => {
      // A character outside the basic plane is one code point and two units.
      const long = '𝄞'.repeat(NAME_LENGTH_MAX)
      expect((await add('x', long)).name).to.equal(long)
      const tags = Array.from({ length: TAGS_MAX }, (_, n) => `${n}`.padEnd(TAG_LENGTH_MAX, 'x'))
      const type = 'x'.repeat(TYPE_LENGTH_MAX)
      await documents.add(pieces('x'), { name: 'a', tags, type })
      for (const options of [
        { name: `${long}𝄞` },
        { name: '' },
        { name: 'a', tags: [...tags, 'one more'] },
        { name: 'a', tags: ['x'.repeat(65)] },
        { name: 'a', tags: [''] },
        { name: 'a', type: `${type}x` }
      ]) {
        const error = await failure(documents.add(pieces('x'), options))
        expect(error.code).to.equal('request-invalid')
      }
      expect(documents.list()).to.have.length(2)
    })
  })

  describe('reading', () => {
    it('gives any byte range', async () => {
      const content = randomBytes(3 * MIB + 17)
      const { id } = await add(content)
      const edges = [0, 1, 65_535, 65_536, 65_537, MIB - 1, MIB, 2 * MIB + 5, content.length - 1]
      for (const start of edges)
        for (const end of edges.filter((each) => each >= start)) {
          const part = await read(documents, id, { range: { start, end } })
          expect(part.equals(content.subarray(start, end + 1)), `${start}-${end}`).to.equal(true)
        }
      const behind = await read(documents, id, { range: { start: content.length - 2, end: 1e12 } })
      expect(behind.length).to.equal(2)
    })

    it('reads only the blocks a range needs, and no further than three ahead', async () => {
      const { id } = await add(randomBytes(12 * MIB))
      home.blocks.reads = 0
      await read(documents, id, { range: { start: 7 * MIB, end: 7 * MIB } })
      // The root node, the first leaf for the header, and one or two leaves of the range.
      expect(home.blocks.reads).to.be.at.most(4)
      home.blocks.reads = 0
      const { content } = await documents.open(id)
      for await (const chunk of content) {
        expect(chunk.length).to.be.at.most(65_536)
        break
      }
      expect(home.blocks.reads).to.be.at.most(7)
    })

    for (const range of [
      { start: 7, end: 7 },
      { start: -1, end: 2 },
      { start: 3, end: 2 },
      { start: 0.5, end: 2 },
      { start: 0, end: Number.NaN }
    ])
      it(`refuses the range ${range.start} to ${range.end} of 7 bytes`, async () => {
        const { id } = await add('1234567')
        expect((await failure(documents.open(id, { range }))).code).to.equal('range-invalid')
      })

    it('refuses what is not there', async () => {
      const { id } = await add()
      const missing = failure(documents.open('aaaaaaaaaaaaaaaaaaaaaaaaaa'))
      expect((await missing).code).to.equal('document-unknown')
      expect((await failure(documents.open(id, { version: 2 }))).code).to.equal('version-unknown')
      expect(() => documents.get('__proto__')).to.throw(LockerError, /no document/)
      expect(() => documents.sealed(id, 9)).to.throw(LockerError, /no version 9/)
    })

    it('can be cancelled', async () => {
      const { id } = await add(randomBytes(2 * MIB))
      const abort = new AbortController()
      const { content } = await documents.open(id, { signal: abort.signal })
      const reading = async (): Promise<void> => {
        for await (const _ of content) abort.abort()
      }
      expect((await failure(reading())).code).to.equal('operation-cancelled')
      const again = documents.open(id, { signal: abort.signal })
      expect((await failure(again)).code).to.equal('operation-cancelled')
    })

    it('is in the log before the first byte, once within ten minutes', async () => {
      const { id } = await add()
      await documents.open(id)
      expect(await actions()).to.deep.equal(['document-added', 'document-opened'])
      await read(documents, id)
      await read(documents, id, { range: { start: 0, end: 1 } })
      expect(await actions()).to.have.length(2)
      home.clock.advance(OPENING_INTERVAL_MS)
      await read(documents, id)
      expect(await actions()).to.have.length(3)
    })

    it('goes on when the disk is too full for the log', async () => {
      const { id } = await add()
      home.db.batchFails = () => ({ error: noSpace(), written: false })
      expect((await read(documents, id)).toString()).to.equal('Zeugnis')
      expect(home.logger.events.map(({ event }) => event)).to.include('opening-not-logged')
    })

    it('ends when the document is deleted or the vault sealed', async () => {
      for (const end of [
        async (id: string) => documents.delete(id),
        async () => opened.records.close()
      ]) {
        const { id } = await add(randomBytes(2 * MIB))
        const { content } = await documents.open(id)
        const reading = async (): Promise<void> => {
          for await (const _ of content) await end(id)
        }
        const { code } = await failure(reading())
        expect(code).to.be.oneOf(['document-unknown', 'vault-sealed'])
      }
      expect((await failure(add())).code).to.equal('vault-sealed')
      expect(() => documents.list())
        .to.throw(LockerError)
        .with.property('code', 'vault-sealed')
    })
  })

  describe('versions', () => {
    it('has each under its own key, the last one current', async () => {
      const { id } = await add('first')
      home.clock.advance(1_000)
      const facts = await documents.addVersion(id, pieces('%PDF-2.0 second'))
      expect(facts).to.deep.include({ version: 2, mediaType: 'application/pdf', sizeBytes: 15 })
      expect(facts.changedAt > facts.addedAt).to.equal(true)
      expect(facts.root).to.equal(facts.versions[1]?.root)
      expect((await read(documents, id)).toString()).to.equal('%PDF-2.0 second')
      expect((await read(documents, id, { version: 1 })).toString()).to.equal('first')
      expect(documents.sealed(id, 1).fileKey).to.not.deep.equal(documents.sealed(id, 2).fileKey)
    })

    it('numbers versions added at the same time one after the other', async () => {
      const { id } = await add('0')
      await Promise.all(['1', '2', '3'].map(async (text) => documents.addVersion(id, pieces(text))))
      expect(documents.get(id).versions.map(({ number }) => number)).to.deep.equal([1, 2, 3, 4])
    })

    it('keeps nothing of a version whose document goes meanwhile', async () => {
      const { id } = await add('first')
      async function* deleting(): AsyncGenerator<Uint8Array> {
        yield randomBytes(3 * MIB)
        await documents.delete(id)
        yield randomBytes(MIB)
      }
      expect((await failure(documents.addVersion(id, deleting()))).code).to.equal(
        'document-unknown'
      )
      expect(home.cids()).to.be.empty
    })
  })

  describe('labels', () => {
    it('changes what is given and leaves the rest', async () => {
      const { id } = await documents.add(pieces('x'), { name: 'a', tags: ['t'], type: 'degree' })
      home.clock.advance(1_000)
      expect((await documents.change(id, { name: 'b' })).type).to.equal('degree')
      expect(await documents.change(id, { tags: [], type: null })).to.not.have.property('type')
      const facts = await documents.change(id, { type: 'policy' })
      expect(facts).to.deep.include({ name: 'b', tags: [], type: 'policy' })
      expect(facts.changedAt > facts.addedAt).to.equal(true)
      await reopen()
      expect(documents.get(id)).to.deep.equal(facts)
      expect((await failure(documents.change(id, { name: '' }))).code).to.equal('request-invalid')
    })

    it('lists newest first and finds by every word', async () => {
      await documents.add(pieces('%PDF-1.7'), { name: 'Zeugnis Universität Zürich.pdf' })
      home.clock.advance(1_000)
      await documents.add(pieces('x'), { name: 'Polizza', tags: ['Città'], type: 'insurance' })
      expect(documents.list().map(({ name }) => name)[0]).to.equal('Polizza')
      const found = (query: string): number => documents.search(query).length
      expect(found('zeug')).to.equal(1)
      expect(found('ZURICH universitat')).to.equal(1)
      expect(found('citta INSUR')).to.equal(1)
      expect(found('pdf')).to.equal(1)
      expect(found('zeugnis polizza')).to.equal(0)
      expect(found('eugnis')).to.equal(0)
      expect(found('')).to.equal(2)
    })
  })
})
