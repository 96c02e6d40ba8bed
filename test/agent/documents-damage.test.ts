import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import type { Heal } from '../../agent/document-content.ts'
import type { DocumentFacts, DocumentStore } from '../../agent/documents.ts'
import { LockerError } from '../../agent/errors.ts'
import { bytesOf, DocumentHome, type Opened, pieces, read } from './document-home.ts'
import { noSpace, systemError } from './faults.ts'
import { failure } from './record-home.ts'

const MIB = 1_048_576

describe('agent/documents under damage', () => {
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

  /** A document of several leaves, its content, and its blocks: the root node first, then the leaves in order. */
  async function large(): Promise<{ facts: DocumentFacts; content: Buffer; cids: string[] }> {
    const content = randomBytes(4 * MIB)
    const facts = await documents.add(pieces(content), { name: 'large' })
    return { facts, content, cids: [...(await documents.dag(facts.root))] }
  }

  async function actions(): Promise<string[]> {
    return (await opened.audit.list()).map(({ action }) => action).toReversed()
  }

  for (const verifies of [true, false])
    describe(`over a store that ${verifies ? 'hashes what it reads' : 'gives out what it has'}`, () => {
      beforeEach(() => {
        home.blocks.verifies = verifies
      })

      it('reads up to a damaged leaf, names it, and reads on behind it', async () => {
        const { facts, content, cids } = await large()
        const bad = cids[3] ?? ''
        home.blocks.flip(bad, 500_000)
        let taken = 0
        const error = await failure(
          (async () => {
            const { content: chunks } = await documents.open(facts.id)
            for await (const chunk of chunks) {
              const expected = content.subarray(taken, taken + chunk.length)
              expect(Buffer.compare(expected, chunk)).to.equal(0)
              taken += chunk.length
            }
          })()
        )
        expect(error.code).to.equal('document-damaged')
        expect(error.facts).to.deep.equal({ document: facts.id, version: 1, blocks: [bad] })
        expect(taken).to.be.greaterThan(MIB)
        const range = { start: 3 * MIB + 70_000, end: 4 * MIB - 1 }
        const rest = await read(documents, facts.id, { range })
        expect(rest.equals(content.subarray(range.start))).to.equal(true)
        expect(documents.get(facts.id).damagedBlocks).to.deep.equal([bad])
        await reopen()
        expect(documents.get(facts.id).damagedBlocks).to.deep.equal([bad])
        expect((await actions()).filter((action) => action === 'document-damaged')).to.have.length(
          1
        )
      })

      it('names the root node, and the root of a small document', async () => {
        const { facts } = await large()
        const small = await documents.add(pieces('small'), { name: 'small' })
        for (const { id, root } of [facts, small]) {
          home.blocks.flip(root, 10)
          expect((await failure(read(documents, id))).facts['blocks']).to.deep.equal([root])
        }
      })

      it('refuses every flipped byte of a small document', async function () {
        this.timeout(30_000)
        const { id, root } = await documents.add(pieces('Zeugnis'), { name: 'small' })
        const { length } = home.blocks.blocks.get(root)?.bytes ?? []
        for (let offset = 0; offset < (length ?? 0); offset += 7) {
          home.blocks.flip(root, offset)
          const outcome = await bytesOf(documents.readSealed(root)).catch((e: unknown) => e)
          expect(outcome).to.be.instanceOf(LockerError)
          expect((await failure(read(documents, id))).code).to.equal('document-damaged')
          home.blocks.flip(root, offset)
        }
        expect((await read(documents, id)).toString()).to.equal('Zeugnis')
      })

      it('finds by a check what is damaged and what is missing, and that it is well again', async () => {
        const { facts, cids } = await large()
        await documents.add(pieces('well'), { name: 'well' })
        const [, flipped = '', missing = ''] = cids
        home.blocks.flip(flipped, 1)
        const block = home.blocks.blocks.get(missing)
        home.blocks.blocks.delete(missing)
        const seen: number[] = []
        const report = await documents.check({ onProgress: (bytes) => seen.push(bytes) })
        expect(report).to.deep.include({ documents: 2, blocks: cids.length + 1 })
        expect(report.damaged).to.deep.equal([
          { id: facts.id, name: 'large', version: 1, blocks: [flipped, missing] }
        ])
        expect(seen.at(-1)).to.equal(report.bytes)
        expect(documents.get(facts.id).damagedBlocks).to.deep.equal([flipped, missing])
        home.blocks.flip(flipped, 1)
        if (block !== undefined) home.blocks.blocks.set(missing, block)
        expect((await documents.check({ id: facts.id })).damaged).to.be.empty
        expect(documents.get(facts.id)).to.not.have.property('damagedBlocks')
      })
    })

  it('can stop a check', async () => {
    await large()
    const abort = new AbortController()
    const check = documents.check({ signal: abort.signal, onProgress: () => abort.abort() })
    expect((await failure(check)).code).to.equal('operation-cancelled')
  })

  it('tells a disk that fails from a block that is damaged', async () => {
    const { facts } = await large()
    home.blocks.readFails = () => {
      throw systemError('EMFILE', 'too many open files')
    }
    expect((await failure(read(documents, facts.id))).code).to.equal('storage-failed')
    expect((await failure(documents.check())).code).to.equal('storage-failed')
    home.blocks.readFails = () => undefined
    expect(documents.get(facts.id)).to.not.have.property('damagedBlocks')
  })

  it('reports a damage it has no room to write down', async () => {
    const { facts, cids } = await large()
    await documents.open(facts.id)
    home.blocks.flip(cids[2] ?? '', 0)
    home.db.batchFails = () => ({ error: noSpace(), written: false })
    expect((await failure(read(documents, facts.id))).code).to.equal('document-damaged')
    home.db.batchFails = undefined
    expect(documents.get(facts.id)).to.not.have.property('damagedBlocks')
  })

  it('refuses leaves that changed places, and those of another document', async () => {
    const { facts, cids } = await large()
    const other = await large()
    home.blocks.verifies = false
    const swap = (one: string, another: string): void => {
      const [a, b] = [home.blocks.blocks.get(one), home.blocks.blocks.get(another)]
      if (a === undefined || b === undefined) throw new Error('both blocks exist')
      home.blocks.blocks.set(one, { cid: a.cid, bytes: b.bytes })
      home.blocks.blocks.set(another, { cid: b.cid, bytes: a.bytes })
    }
    for (const [one = '', another = ''] of [
      [cids[2], cids[3]],
      [cids[2], other.cids[2]]
    ]) {
      swap(one, another)
      expect((await failure(read(documents, facts.id))).code).to.equal('document-damaged')
      swap(one, another)
    }
    expect((await read(documents, facts.id)).length).to.equal(4 * MIB)
  })

  describe('a copy', () => {
    const source = { grant: 'g1', from: 'did:peer:2.alice' }

    async function copy(content: Buffer): Promise<DocumentFacts> {
      return documents.addCopy(pieces(content), { name: 'copy', source })
    }

    it('is healed from its source while it is read, at the same offset', async () => {
      const content = randomBytes(4 * MIB)
      const facts = await copy(content)
      expect(facts.source).to.deep.equal(source)
      let asked = 0
      documents.setHeal(async (known) => {
        expect(known.id).to.equal(facts.id)
        asked++
        return { content: pieces(content) }
      })
      const [, , bad = ''] = await documents.dag(facts.root)
      home.blocks.flip(bad, 7)
      const readers = await Promise.all([1, 2, 3].map(async () => read(documents, facts.id)))
      for (const each of readers) expect(each.equals(content)).to.equal(true)
      expect(asked).to.equal(1)
      const healed = documents.get(facts.id)
      expect(healed.root).to.not.equal(facts.root)
      expect(healed).to.not.have.property('damagedBlocks')
      expect(home.cids()).to.have.members([...(await documents.dag(healed.root))])
      expect(await actions()).to.deep.equal([
        'document-copied',
        'document-opened',
        'document-opened',
        'document-opened',
        'document-damaged',
        'document-healed'
      ])
    })

    const sources: Record<string, Heal> = {
      'has nothing': async () => undefined,
      'gives another length': async () => ({ content: pieces('shorter') }),
      fails: async () => Promise.reject(new Error('unreachable'))
    }
    for (const [what, heal] of Object.entries(sources))
      it(`stays damaged when its source ${what}`, async () => {
        const facts = await copy(randomBytes(2 * MIB))
        const blocks = home.cids()
        documents.setHeal(heal)
        const bad = [...(await documents.dag(facts.root))][1] ?? ''
        home.blocks.flip(bad, 7)
        expect((await failure(read(documents, facts.id))).code).to.equal('document-damaged')
        expect(documents.get(facts.id).damagedBlocks).to.deep.equal([bad])
        expect(home.cids()).to.have.members(blocks)
      })

    it('does not heal a version the owner added, nor a document of their own', async () => {
      let asked = 0
      documents.setHeal(async () => {
        asked++
        return undefined
      })
      const own = await documents.add(pieces('own'), { name: 'own' })
      const { id } = await copy(randomBytes(10))
      const second = await documents.addVersion(id, pieces('second'))
      for (const { root } of [own, second]) home.blocks.flip(root, 0)
      expect((await failure(read(documents, own.id))).code).to.equal('document-damaged')
      expect((await failure(read(documents, id))).code).to.equal('document-damaged')
      expect(asked).to.equal(0)
    })
  })

  describe('sealing again', () => {
    it('gives every version a new key and new blocks in one batch, then drops the old ones', async () => {
      const { facts, content } = await large()
      await documents.addVersion(facts.id, pieces('second'))
      const before = [documents.sealed(facts.id, 1), documents.sealed(facts.id, 2)]
      await opened.records.change((batch) => documents.markReseal(batch, facts.id))
      expect(documents.pendingReseals()).to.deep.equal([facts.id])
      await reopen()
      expect(documents.pendingReseals()).to.deep.equal([facts.id])
      let given: readonly { root: string; version: number }[] = []
      await documents.reseal(facts.id, (batch, sealed) => {
        given = sealed
        opened.audit.append(batch, { action: 'grant-replaced', actor: 'locker' })
      })
      expect(documents.pendingReseals()).to.be.empty
      expect(given).to.deep.equal([documents.sealed(facts.id, 1), documents.sealed(facts.id, 2)])
      for (const [index, sealed] of before.entries()) {
        const now = documents.sealed(facts.id, index + 1)
        expect(now.root).to.not.equal(sealed.root)
        expect(now.fileKey).to.not.deep.equal(sealed.fileKey)
        expect({ ...now, root: '', fileKey: '' }).to.deep.equal({
          ...sealed,
          root: '',
          fileKey: ''
        })
        expect(home.blocks.blocks.has(sealed.root)).to.equal(false)
      }
      expect((await read(documents, facts.id, { version: 1 })).equals(content)).to.equal(true)
      expect((await read(documents, facts.id)).toString()).to.equal('second')
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
    })

    it('lets a reading go on at the same offset', async () => {
      const { facts, content } = await large()
      const { content: chunks } = await documents.open(facts.id)
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) {
        if (parts.length === 3) await documents.reseal(facts.id, () => undefined)
        parts.push(chunk)
      }
      expect(Buffer.concat(parts).equals(content)).to.equal(true)
    })

    it('twice at the same time, one after the other', async () => {
      const { facts, content } = await large()
      const roots: string[] = []
      await Promise.all(
        [1, 2].map(async () =>
          documents.reseal(facts.id, (_, [sealed]) => roots.push(sealed?.root ?? ''))
        )
      )
      expect(new Set([facts.root, ...roots]).size).to.equal(3)
      expect((await read(documents, facts.id)).equals(content)).to.equal(true)
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
    })

    it('leaves everything as it was, still pending, when there is no room or the batch is refused', async () => {
      const { facts } = await large()
      const blocks = home.cids()
      await opened.records.change((batch) => documents.markReseal(batch, facts.id))
      home.writes.plan = (_, what) => {
        if (what.startsWith('put')) throw noSpace()
      }
      const full = documents.reseal(facts.id, () => undefined)
      expect((await failure(full)).code).to.equal('storage-full')
      home.writes.plan = () => undefined
      const refused = documents.reseal(facts.id, () => {
        throw new LockerError('outbox-full', 'no')
      })
      expect((await failure(refused)).code).to.equal('outbox-full')
      expect(home.cids()).to.have.members(blocks)
      expect(documents.pendingReseals()).to.deep.equal([facts.id])
      expect(documents.get(facts.id).root).to.equal(facts.root)
    })

    it('leaves a version that cannot be read under its key and goes on with the others', async () => {
      const { facts, cids } = await large()
      const second = await documents.addVersion(facts.id, pieces('second'))
      home.blocks.flip(cids[2] ?? '', 0)
      await opened.records.change((batch) => documents.markReseal(batch, facts.id))
      await documents.reseal(facts.id, () => undefined)
      expect(documents.pendingReseals()).to.be.empty
      expect(documents.sealed(facts.id, 1).root).to.equal(facts.root)
      expect(documents.sealed(facts.id, 2).root).to.not.equal(second.root)
      expect(documents.get(facts.id).damagedBlocks).to.deep.equal([cids[2]])
    })

    it('of a document deleted meanwhile keeps nothing', async () => {
      const { facts } = await large()
      const resealing = documents.reseal(facts.id, () => undefined)
      await documents.delete(facts.id)
      const { code } = await failure(resealing)
      expect(code).to.be.oneOf(['document-unknown', 'document-damaged'])
      await documents.collect()
      expect(home.cids()).to.be.empty
    })
  })

  describe('for those it is given to', () => {
    it('names every block of a file, the inner ones too', async () => {
      const { facts } = await large()
      expect([...(await documents.dag(facts.root))]).to.have.members(home.cids())
      const small = await documents.add(pieces('small'), { name: 'small' })
      expect([...(await documents.dag(small.root))]).to.deep.equal([small.root])
      expect(CID.parse(small.root).code).to.equal(0x55)
    })

    it('gives sealed bytes by range', async () => {
      const { facts } = await large()
      const whole = await bytesOf(documents.readSealed(facts.root))
      expect(whole.length).to.equal(documents.sealed(facts.id).sealedBytes)
      for (const [start, end] of [
        [0, 0],
        [MIB - 1, MIB],
        [5, 3 * MIB],
        [whole.length - 1, whole.length + 99]
      ] as const) {
        const part = await bytesOf(documents.readSealed(facts.root, { start, end }))
        expect(part.equals(whole.subarray(start, end + 1))).to.equal(true)
      }
      const behind = bytesOf(documents.readSealed(facts.root, { start: whole.length, end: 9e9 }))
      expect((await failure(behind)).code).to.equal('range-invalid')
    })
  })
})
