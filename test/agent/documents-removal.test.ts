import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import type { DocumentFacts, DocumentStore } from '../../agent/documents.ts'
import { PURGE_INTERVAL_MS, TRASH_LIFETIME_MS } from '../../agent/documents.ts'
import { KEEPERS_MAX } from '../../agent/document-blocks.ts'
import { LockerError } from '../../agent/errors.ts'
import { DocumentHome, type Opened, pieces, read } from './document-home.ts'
import { failure } from './record-home.ts'

const MIB = 1_048_576

describe('agent/documents, removing', () => {
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

  describe('the trash', () => {
    it('hides, can be opened and taken back, refuses changes', async () => {
      const { id } = await add()
      const facts = await documents.trash(id)
      expect(facts.trashedAt).to.equal('2026-11-23T12:00:00.000Z')
      expect(documents.list()).to.be.empty
      expect(documents.search('a')).to.be.empty
      expect(documents.list({ trashed: true })).to.deep.equal([facts])
      expect((await read(documents, id)).toString()).to.equal('Zeugnis')
      expect((await failure(documents.change(id, { name: 'b' }))).code).to.equal('document-trashed')
      const version = failure(documents.addVersion(id, pieces('y')))
      expect((await version).code).to.equal('document-trashed')
      expect(await documents.restore(id)).to.not.have.property('trashedAt')
      expect(documents.list()).to.have.length(1)
      await documents.restore(id)
      expect(await actions()).to.deep.equal([
        'document-added',
        'document-trashed',
        'document-opened',
        'document-restored'
      ])
    })

    it('is emptied of what is 30 days old, daily and at opening', async () => {
      const { id } = await add('first')
      const other = await add('second')
      await documents.trash(id)
      home.clock.advance(TRASH_LIFETIME_MS - 1)
      await reopen()
      expect(documents.list({ trashed: true })).to.have.length(1)
      home.clock.advance(1)
      await reopen()
      expect(documents.list({ trashed: true })).to.be.empty
      expect((await opened.audit.list())[0]).to.deep.include({
        action: 'document-purged',
        actor: 'locker'
      })
      await documents.trash(other.id)
      for (let day = 0; day < 30; day++) {
        expect(documents.list({ trashed: true })).to.have.length(1)
        home.clock.advance(PURGE_INTERVAL_MS)
        await new Promise(setImmediate)
      }
      await opened.records.change(() => undefined)
      expect(documents.list({ trashed: true })).to.be.empty
      documents.close()
      expect(home.clock.timers).to.equal(0)
    })

    it('ends whatever gives the document out, in the same batch', async () => {
      const { id } = await add()
      const ended: string[] = []
      documents.onRemove((batch, document) => {
        ended.push(document)
        opened.audit.append(batch, { action: 'link-stopped', actor: 'owner' })
      })
      const before = home.writes.count
      await documents.trash(id)
      expect(home.writes.count - before).to.equal(1)
      expect(ended).to.deep.equal([id])
      await documents.delete(id)
      expect(ended).to.deep.equal([id, id])
      expect((await actions()).filter((action) => action === 'link-stopped')).to.have.length(2)
    })
  })

  it('loses neither of two changes of one document in one batch', async () => {
    const { id } = await add()
    documents.onRemove((batch, document) => documents.markReseal(batch, document))
    await documents.trash(id)
    expect(documents.get(id).trashedAt).to.not.equal(undefined)
    expect(documents.pendingReseals()).to.deep.equal([id])
    await documents.delete(id)
    expect(documents.list({ trashed: true })).to.be.empty
    await reopen()
    expect(documents.list({ trashed: true })).to.be.empty
  })

  it('bounds who keeps blocks', () => {
    for (let n = 0; n < KEEPERS_MAX; n++) documents.keepBlocks(`keeper ${n}`, () => [])
    documents.keepBlocks('keeper 0', () => [])
    expect(() => documents.keepBlocks('one more', () => [])).to.throw(RangeError)
  })

  describe('deleting', () => {
    it('removes record, key and every block of every version', async () => {
      const keep = await add('keep')
      const { id } = await add(randomBytes(3 * MIB))
      await documents.addVersion(id, pieces(randomBytes(2 * MIB)))
      await documents.delete(id)
      expect(home.cids()).to.deep.equal([keep.root])
      expect(() => documents.get(id)).to.throw(LockerError, /no document/)
      expect(
        (await home.db.contents()).filter(([key]) => key.startsWith('documents/'))
      ).to.have.length(1)
      expect((await failure(documents.delete(id))).code).to.equal('document-unknown')
    })
  })

  describe('unreferenced blocks', () => {
    it('are collected; those of documents, keepers and uploads under way are not', async () => {
      const kept = await add(randomBytes(3 * MIB))
      const foreign = await add(randomBytes(3 * MIB))
      const foreignBlocks = new Map(home.blocks.blocks)
      await documents.delete(foreign.id)
      for (const [cid, block] of foreignBlocks) home.blocks.blocks.set(cid, block)
      documents.keepBlocks('sharing', () => [foreign.root, 'not a root'])
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
      documents.keepBlocks('sharing', () => [])

      async function* slow(): AsyncGenerator<Uint8Array> {
        yield randomBytes(4 * MIB)
        const { removed } = await documents.collect()
        expect(removed).to.equal(await documents.dag(kept.root).then(({ size }) => size))
        yield randomBytes(4 * MIB)
      }
      const { id } = await documents.add(slow(), { name: 'slow' })
      expect(await read(documents, id)).to.have.length(8 * MIB)
      expect(await read(documents, kept.id)).to.have.length(3 * MIB)
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
    })

    it('stay while a record is damaged or an inner block is', async () => {
      const { root } = await add(randomBytes(3 * MIB))
      const node = home.blocks.blocks.get(root)
      home.blocks.blocks.delete(root)
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
      if (node !== undefined) home.blocks.blocks.set(root, node)
      const path = (await home.db.keys().all()).find((key) => key.startsWith('documents/')) ?? ''
      const sealed = (await home.db.get(path)) ?? new Uint8Array()
      await home.db.put(path, sealed.with(30, (sealed[30] ?? 0) ^ 1))
      await reopen()
      expect(documents.list()).to.be.empty
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
      await home.db.put(path, sealed)
      await reopen()
      expect(documents.list()).to.have.length(1)
    })

    it('stay while they are held, and go afterwards when deleted', async () => {
      const { id } = await add(randomBytes(3 * MIB))
      const before = home.cids()
      const release = documents.holdBlocks()
      await documents.delete(id)
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
      expect(home.cids()).to.deep.equal(before)
      const second = documents.holdBlocks()
      release()
      release()
      expect(home.cids()).to.deep.equal(before)
      second()
      while (home.cids().length > 0) await new Promise(setImmediate)
    })

    it('of an add that ends while collecting are safe', async () => {
      await Promise.all([
        ...Array.from({ length: 20 }, async (_, n) => add(randomBytes(MIB + n))),
        ...Array.from({ length: 5 }, async () => documents.collect())
      ])
      expect(documents.list()).to.have.length(20)
      expect((await documents.check()).damaged).to.be.empty
    })
  })
})
