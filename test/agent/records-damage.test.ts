import { expect } from 'chai'
import fc from 'fast-check'
import { HEAD_EVERY } from '../../agent/record-manifest.ts'
import { DAMAGED_NAMED_MAX } from '../../agent/records.ts'
import { noSpace, secureRandom, systemError } from './faults.ts'
import { DEGREE, failure, Home, note } from './record-home.ts'

async function storeNote(home: Home): Promise<string> {
  const { records, notes } = await home.openNotes()
  await records.change((batch) => notes.put(batch, 'a', DEGREE))
  await records.close()
  return home.pathIn('notes')
}

describe('agent/records under damage', () => {
  let home: Home
  beforeEach(() => {
    home = new Home()
  })

  describe('damage', () => {
    it('refuses and names a record with any byte flipped', async () => {
      const path = await storeNote(home)
      const { length } = (await home.db.get(path)) ?? []
      for (let offset = 0; offset < (length ?? 0); offset++) {
        await home.flip(path, offset)
        const { records, notes } = await home.openNotes()
        expect(notes.get('a'), `byte ${offset}`).to.equal(undefined)
        expect(records.damaged.map(({ sublevel, key }) => `${sublevel}/${key}`)).to.deep.equal([
          path
        ])
        await home.flip(path, offset)
      }
      expect((await home.openNotes()).records.damaged).to.be.empty
    })

    it('refuses and names every truncation', async () => {
      const path = await storeNote(home)
      const sealed = (await home.db.get(path)) ?? new Uint8Array()
      for (let length = 0; length < sealed.length; length++) {
        await home.db.put(path, sealed.subarray(0, length))
        const { records, notes } = await home.openNotes()
        expect(notes.size).to.equal(0)
        expect(records.damaged).to.have.length(1)
      }
    })

    it('refuses two records that changed places', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => {
        notes.put(batch, 'a', { text: 'mine' })
        notes.put(batch, 'b', { text: 'yours' })
      })
      await records.close()
      const [one, two] = (await home.db.contents()).filter(([path]) => path.startsWith('notes/'))
      if (one === undefined || two === undefined) throw new Error('two records were written')
      await home.db.put(one[0], two[1])
      await home.db.put(two[0], one[1])
      const again = await home.openNotes()
      expect(again.notes.size).to.equal(0)
      expect(again.records.damaged).to.have.length(2)
    })

    it('refuses a record moved to another sublevel', async () => {
      const path = await storeNote(home)
      await home.db.put(
        path.replace('notes/', 'other/'),
        (await home.db.get(path)) ?? new Uint8Array()
      )
      const records = await home.open()
      const other = await records.collection('other', note)
      expect(other.size).to.equal(0)
      expect(records.damaged.map(({ sublevel }) => sublevel)).to.include('other')
    })

    it('refuses everything sealed under another root key', async () => {
      await storeNote(home)
      home.rootKey = secureRandom(32)
      const { records, notes } = await home.openNotes()
      expect(notes.size).to.equal(0)
      expect(records.damaged.map(({ sublevel }) => sublevel)).to.include.members([
        'manifest',
        'notes'
      ])
    })

    it('names a record that is missing', async () => {
      await home.db.del(await storeNote(home))
      const { records } = await home.openNotes()
      expect(records.damaged).to.deep.equal([
        { sublevel: 'notes', key: '*', reason: '0 records where 1 should be' }
      ])
    })

    it('names an earlier state of a record brought back', async () => {
      const path = await storeNote(home)
      const earlier = (await home.db.get(path)) ?? new Uint8Array()
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', { text: 'later' }))
      await records.close()
      await home.db.put(path, earlier)
      const again = await home.openNotes()
      expect(again.records.damaged).to.deep.equal([
        { sublevel: 'notes', key: '*', reason: 'a record is not the one last written' }
      ])
    })

    it('goes on naming a loss after further changes', async () => {
      await home.db.del(await storeNote(home))
      for (let round = 0; round < 3; round++) {
        const { records, notes } = await home.openNotes()
        expect(records.damaged).to.have.length(1)
        await records.change((batch) => notes.put(batch, `round ${round}`, DEGREE))
        await records.close()
      }
    })

    it('is over when the damaged record has been written anew', async () => {
      const path = await storeNote(home)
      await home.flip(path, 30)
      const { records, notes } = await home.openNotes()
      expect(records.damaged).to.have.length(1)
      await records.change((batch) => notes.put(batch, 'a', { text: 'again' }))
      await records.close()
      const again = await home.openNotes()
      expect(again.records.damaged).to.be.empty
      expect(again.notes.get('a')?.text).to.equal('again')
    })

    for (const [name, batches] of [
      ['one batch', [['a', 'b', 'c', 'd']]],
      ['several batches', [['b'], ['c', 'a'], ['d']]],
      [
        'two by two',
        [
          ['d', 'c'],
          ['b', 'a']
        ]
      ]
    ] as const)
      it(`is over when several damaged records have been written anew in ${name}`, async () => {
        const { records, notes } = await home.openNotes()
        await records.change((batch) => {
          for (const key of ['a', 'b', 'c', 'd']) notes.put(batch, key, { text: key })
        })
        await records.close()
        for (const path of (await home.db.keys().all()).filter((key) => key.startsWith('notes/')))
          await home.flip(path, 20)
        const damaged = await home.openNotes()
        expect(damaged.records.damaged).to.have.length(4)
        for (const keys of batches)
          await damaged.records.change((batch) => {
            for (const key of keys) damaged.notes.put(batch, key, DEGREE)
          })
        await damaged.records.close()
        const again = await home.openNotes()
        expect(again.records.damaged).to.deep.equal([])
        expect([...again.notes.entries()]).to.have.length(4)
      })

    it('leaves a damaged record where it is', async () => {
      const path = await storeNote(home)
      await home.flip(path, 30)
      const sealed = await home.db.get(path)
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'b', DEGREE))
      expect(await home.db.get(path)).to.deep.equal(sealed)
    })

    it('names a sublevel that the manifest does not know', async () => {
      await storeNote(home)
      await home.db.put('strangers/x', new Uint8Array(40))
      await home.db.put('without-slash', new Uint8Array(40))
      const { records } = await home.openNotes()
      expect(records.damaged.map(({ sublevel }) => sublevel)).to.have.members([
        'strangers',
        'without-slash'
      ])
    })

    it('names a missing or damaged manifest and opens what is there', async () => {
      await storeNote(home)
      await home.flip('manifest/manifest', 15)
      const damaged = await home.openNotes()
      expect(damaged.notes.get('a')).to.deep.equal(DEGREE)
      expect(damaged.records.damaged.map(({ sublevel }) => sublevel)).to.deep.equal(['manifest'])
      await home.db.del('manifest/manifest')
      const missing = await home.openNotes()
      expect(missing.notes.get('a')).to.deep.equal(DEGREE)
      expect(missing.records.damaged.map(({ reason }) => reason)).to.deep.equal([
        'the manifest is missing'
      ])
    })

    it('names a thousand damaged records, and how many more there are', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => {
        for (let n = 0; n < DAMAGED_NAMED_MAX + 2; n++) notes.put(batch, `${n}`, DEGREE)
      })
      await records.close()
      for (const [path] of await home.db.contents())
        if (path.startsWith('notes/')) await home.db.put(path, new Uint8Array(50))
      const { damaged } = (await home.openNotes()).records
      expect(damaged).to.have.length(DAMAGED_NAMED_MAX + 1)
      expect(damaged.at(-1)?.reason).to.equal('2 further records are damaged')
    })

    it('survives any bytes in place of a record', async () => {
      const path = await storeNote(home)
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
          await home.db.put(path, bytes)
          const { records, notes } = await home.openNotes()
          expect(notes.size).to.equal(0)
          expect(records.damaged).to.have.length(1)
        }),
        { numRuns: 50 }
      )
    })
  })

  describe('the head file', () => {
    it('tells a database from last month', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', DEGREE))
      const old = await home.db.contents()
      await records.change((batch) => notes.put(batch, 'b', DEGREE))
      await records.close()
      await home.db.clear()
      await home.db.batch(
        old.map(([key, value]) => ({ type: 'put', key, value })),
        {}
      )
      const again = await home.openNotes()
      expect(again.records.damaged).to.deep.equal([
        {
          sublevel: 'manifest',
          key: 'head',
          reason: 'the database is at change 1, but change 2 had been made'
        }
      ])
      expect(again.notes.size).to.equal(1)
    })

    it('tells an empty database in place of a full one', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', DEGREE))
      await records.close()
      await home.db.clear()
      const again = await home.openNotes()
      expect(again.records.damaged[0]?.reason).to.match(/change 0, but change 1/)
    })

    it('tells another history of the same length', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', DEGREE))
      await records.close()
      const head = home.files.files.get('head')
      await home.db.clear()
      home.files.files.clear()
      const other = await home.openNotes()
      await other.records.change((batch) => other.notes.put(batch, 'b', DEGREE))
      await other.records.close()
      if (head !== undefined) home.files.files.set('head', head)
      const again = await home.openNotes()
      expect(again.records.damaged[0]?.reason).to.match(/not the one the head file remembers/)
    })

    it('is named when it was changed, and when it is gone after long use', async () => {
      const { records, notes } = await home.openNotes()
      for (let n = 0; n < 130; n++)
        await records.change((batch) => notes.put(batch, 'a', { text: String(n) }))
      await records.close()
      const head = home.files.files.get('head')
      if (head === undefined) throw new Error('the head was not written')
      home.files.files.set('head', head.with(20, (head[20] ?? 0) ^ 1))
      expect((await home.openNotes()).records.damaged[0]?.reason).to.match(/head file is not what/)
      home.files.files.delete('head')
      expect((await home.openNotes()).records.damaged[0]?.reason).to.match(/head file is missing/)
    })

    it('is written every 64 changes; failing to write it harms nothing', async () => {
      const { records, notes } = await home.openNotes()
      home.files.writeFails = () => noSpace()
      for (let n = 0; n < HEAD_EVERY; n++)
        await records.change((batch) => notes.put(batch, 'a', { text: String(n) }))
      await records.close()
      expect(home.logger.events.map(({ event }) => event)).to.include('records-head-not-written')
      home.files.writeFails = undefined
      const again = await home.openNotes()
      expect(again.records.damaged).to.be.empty
      for (let n = 0; n < HEAD_EVERY; n++)
        await again.records.change((batch) => again.notes.put(batch, 'a', { text: String(n) }))
      await new Promise(setImmediate)
      expect(home.files.files.has('head')).to.equal(true)
    })
  })

  describe('a storage that fails', () => {
    for (const { name, error, code } of [
      { name: 'no space', error: noSpace(), code: 'storage-full' },
      {
        name: 'no space, in LevelDB words',
        error: new Error('Database failed', {
          cause: new Error('IO error: /records/000005.log: No space left on device')
        }),
        code: 'storage-full'
      },
      {
        name: 'a broken disk',
        error: systemError('EIO', 'i/o error, write'),
        code: 'storage-failed'
      }
    ])
      it(`says ${code} for ${name}, keeps memory and takes later changes`, async () => {
        const { records, notes } = await home.openNotes()
        await records.change((batch) => notes.put(batch, 'a', DEGREE))
        let told = 0
        home.db.batchFails = () => ({ error, written: false })
        const failed = records.change((batch) => {
          notes.put(batch, 'a', { text: 'lost' })
          notes.put(batch, 'b', { text: 'lost' })
          batch.afterwards(() => told++)
        })
        expect((await failure(failed)).code).to.equal(code)
        expect([...notes.entries()]).to.deep.equal([['a', DEGREE]])
        expect(told).to.equal(0)
        home.db.batchFails = undefined
        await records.change((batch) => notes.put(batch, 'c', DEGREE))
        await records.close()
        const again = await home.openNotes()
        expect([...again.notes.entries()].map(([key]) => key)).to.have.members(['a', 'c'])
        expect(again.records.damaged).to.be.empty
      })

    it('undoes a batch that reached the disk although it failed', async () => {
      const { records, notes, log } = await home.openNotes()
      await records.change((batch) => {
        notes.put(batch, 'a', DEGREE)
        log.append(batch, 'a')
      })
      let failures = 1
      home.db.batchFails = () =>
        failures-- > 0 ? { error: systemError('EIO', 'sync failed'), written: true } : undefined
      const failed = records.change((batch) => {
        notes.put(batch, 'a', { text: 'told to have failed' })
        notes.put(batch, 'b', { text: 'told to have failed' })
        log.append(batch, 'b')
      })
      expect((await failure(failed)).facts).to.not.have.property('outcome')
      await records.close()
      const again = await home.openNotes()
      expect([...again.notes.entries()]).to.deep.equal([['a', DEGREE]])
      expect(again.log.last).to.equal(1)
      expect(again.records.damaged).to.be.empty
    })

    it('says that the outcome is unknown while the database does not open, and recovers later', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', DEGREE))
      home.db.batchFails = () => ({ error: noSpace(), written: true })
      home.db.openFails = () => noSpace()
      const put = async (key: string): Promise<void> =>
        records.change((batch) => notes.put(batch, key, DEGREE))
      const first = await failure(put('b'))
      expect(first.code).to.equal('storage-full')
      expect(first.facts).to.deep.equal({ outcome: 'unknown' })
      expect((await failure(put('c'))).code).to.equal('storage-full')
      expect(notes.get('a')).to.deep.equal(DEGREE)
      home.db.openFails = undefined
      home.db.batchFails = undefined
      await put('d')
      await records.close()
      const again = await home.openNotes()
      expect([...again.notes.entries()].map(([key]) => key)).to.have.members(['a', 'd'])
      expect(again.records.damaged).to.be.empty
    })
  })
})
