/** An owner who knows what is lost and goes on without it. */
import { expect } from 'chai'
import { z } from 'zod'
import { ACCEPTED_MAX } from '../../agent/record-manifest.ts'
import { noSpace } from './faults.ts'
import { all, DEGREE, failure, Home } from './record-home.ts'

describe('agent/records: accepting a loss', () => {
  let home: Home

  beforeEach(async () => {
    home = new Home()
    const { records, notes, log } = await home.openNotes()
    await records.change((batch) => {
      for (const key of ['a', 'b', 'c', 'd']) notes.put(batch, key, { text: key })
      for (let entry = 1; entry <= 6; entry += 1) log.append(batch, `entry ${entry}`)
    })
    await records.close()
  })

  /** Paths of a sublevel, ascending. */
  const paths = async (sublevel: string): Promise<string[]> =>
    (await home.db.keys().all()).filter((path) => path.startsWith(`${sublevel}/`))

  /** Accepts what is lost, with one entry in the log; answers what it was. */
  async function accept(): Promise<string[]> {
    const { records, log } = await home.openNotes()
    const lost: string[] = []
    const count = await records.acceptLoss((batch, damaged) => {
      lost.push(...damaged.map(({ sublevel, key }) => `${sublevel}/${key}`))
      log.append(batch, 'accepted')
    })
    expect(count).to.equal(lost.length)
    expect(records.damaged).to.be.empty
    await records.close()
    return lost
  }

  /** Opens twice, with a change between: nothing is named any more. */
  async function isSound(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      const { records, notes, log } = await home.openNotes()
      await all(log.read({ limit: 100 }))
      expect(records.damaged).to.be.empty
      await records.change((batch) => {
        notes.put(batch, `round ${round}`, DEGREE)
        log.append(batch, 'next')
      })
      await records.close()
    }
  }

  it('goes on without records that are missing or do not open, and keeps the others', async () => {
    const [first = '', second = '', third = ''] = await paths('notes')
    await home.db.del(first)
    await home.flip(second, 20)
    const lost = await accept()
    expect(lost).to.have.length(2)
    expect(await home.db.get(second)).to.equal(undefined)
    expect(await home.db.get(third)).to.not.equal(undefined)
    const { records, notes } = await home.openNotes()
    expect(notes.size).to.equal(2)
    await records.close()
    await isSound()
  })

  it('goes on without entries in the middle, at the end, and with foreign ones', async () => {
    const entries = await paths('log')
    await home.db.del(entries[1] ?? '')
    await home.flip(entries[3] ?? '', 20)
    await home.db.del(entries[5] ?? '')
    await home.db.put('log/not-a-number', new Uint8Array(40))
    const { records, log } = await home.openNotes()
    await all(log.read({ limit: 100 }))
    expect(records.damaged.map(({ key }) => key)).to.have.members([
      '000000000002',
      '000000000004',
      '000000000006',
      'not-a-number'
    ])
    await records.acceptLoss((batch) => log.append(batch, 'accepted'))
    await records.close()
    await isSound()
    const again = await home.openNotes()
    const values = (await all(again.log.read({ limit: 100 }))).map(({ value }) => value)
    // No number is given twice.
    expect(values).to.deep.equal(['entry 1', 'entry 3', 'entry 5', 'accepted', 'next', 'next'])
  })

  it('goes on with a database from last month, and without sublevels of strangers', async () => {
    const old = await home.db.contents()
    const { records, notes } = await home.openNotes()
    await records.change((batch) => notes.put(batch, 'later', DEGREE))
    await records.close()
    await home.db.clear()
    await home.db.batch(
      old.map(([key, value]) => ({ type: 'put', key, value })),
      {}
    )
    await home.db.put('strangers/x', new Uint8Array(40))
    await home.db.put('without-slash', new Uint8Array(40))
    expect(await accept()).to.have.members(['manifest/head', 'strangers/*', 'without-slash/*'])
    expect(await home.db.get('strangers/x')).to.equal(undefined)
    await isSound()
  })

  it('names what is lost later', async () => {
    const [first = '', second = ''] = await paths('notes')
    await home.db.del(first)
    await accept()
    await home.db.del(second)
    const { records } = await home.openNotes()
    expect(records.damaged.map(({ reason }) => reason)).to.deep.equal([
      '2 records where 3 should be'
    ])
  })

  it('changes nothing where nothing is lost, and nothing when it cannot be written', async () => {
    const sound = await home.openNotes()
    const before = await home.db.contents()
    expect(await sound.records.acceptLoss((batch) => sound.log.append(batch, 'x'))).to.equal(0)
    expect(await home.db.contents()).to.deep.equal(before)
    await sound.records.close()
    await home.flip((await paths('notes'))[0] ?? '', 20)
    const { records, log } = await home.openNotes()
    home.db.batchFails = () => ({ error: noSpace(), written: false })
    const failed = records.acceptLoss((batch) => log.append(batch, 'accepted'))
    expect((await failure(failed)).code).to.equal('storage-full')
    expect(records.damaged).to.have.length(1)
    home.db.batchFails = undefined
    await records.close()
    expect((await home.openNotes()).records.damaged).to.have.length(1)
  })

  it('refuses more lost entries than it can remember', async () => {
    const { records } = await home.openNotes()
    const long = await records.sequence('long', z.string())
    await records.change((batch) => {
      for (let entry = 0; entry <= ACCEPTED_MAX; entry += 1) long.append(batch, 'x')
    })
    await records.close()
    for (const path of await paths('long')) await home.db.put(path, new Uint8Array(50))
    const again = await home.openNotes()
    const lost = await again.records.sequence('long', z.string())
    await all(lost.read({ limit: 1000 }))
    expect(again.records.damaged.length).to.be.greaterThan(ACCEPTED_MAX)
    const accepting = again.records.acceptLoss((batch) => again.log.append(batch, 'accepted'))
    expect((await failure(accepting)).code).to.equal('records-damaged')
    expect(again.records.damaged.length).to.be.greaterThan(ACCEPTED_MAX)
  })
})
