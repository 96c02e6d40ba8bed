import { expect } from 'chai'
import type { ActivityEntry, Audit } from '../../agent/audit.ts'
import { DETAILS_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, openAudit } from '../../agent/audit.ts'
import type { Records } from '../../agent/records.ts'
import { ManualClock, noSpace } from './faults.ts'
import { failure, Home } from './record-home.ts'

const path = (number: number): string => `audit/${String(number).padStart(12, '0')}`

const numbers = (entries: readonly ActivityEntry[]): number[] => entries.map((e) => e.number)

const details = (count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`fact ${n}`, n]))

describe('agent/audit', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
  }

  /** Appends `count` entries that speak of two documents in turn. */
  async function fill(count: number): Promise<void> {
    for (let n = 1; n <= count; n++)
      await records.change((batch) => {
        audit.append(batch, {
          action: 'document-opened',
          actor: 'owner',
          document: n % 2 === 1 ? { id: 'odd', name: 'Odd' } : { id: 'even', name: 'Even' },
          details: { n }
        })
        clock.advance(1_000)
      })
  }

  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock('2026-11-23T12:00:00.000Z')
    await open()
  })

  it('shows an entry with everything it was given, and its time', async () => {
    const entry = {
      action: 'grant-fetched',
      actor: 'did:peer:2.bob',
      actorName: 'Bob',
      document: { id: 'd', name: '__proto__' },
      grant: 'g',
      purpose: 'visa',
      details: { bytes: 7, first: true, peerId: '12D3' }
    } as const
    const number = await records.change((batch) => audit.append(batch, entry))
    expect(number).to.equal(1)
    expect(await audit.list()).to.deep.equal([
      { number: 1, time: '2026-11-23T12:00:00.000Z', ...entry }
    ])
  })

  it('pages newest first, and by document', async () => {
    await fill(9)
    expect(numbers(await audit.list({ limit: 4 }))).to.deep.equal([9, 8, 7, 6])
    expect(numbers(await audit.list({ limit: 4, before: 6 }))).to.deep.equal([5, 4, 3, 2])
    expect(numbers(await audit.list({ before: 1 }))).to.be.empty
    expect(numbers(await audit.list({ limit: 0 }))).to.be.empty
    expect(numbers(await audit.list({ document: 'even' }))).to.deep.equal([8, 6, 4, 2])
    expect(numbers(await audit.list({ document: 'even', limit: 2, before: 8 }))).to.deep.equal([
      6, 4
    ])
    expect(numbers(await audit.list({ document: 'neither' }))).to.be.empty
  })

  it('lists at most 500 entries', async () => {
    await records.change((batch) => {
      for (let n = 0; n <= LIST_LIMIT_MAX; n++)
        audit.append(batch, { action: 'vault-opened', actor: 'owner' })
    })
    expect(await audit.list({ limit: 10_000 })).to.have.length(LIST_LIMIT_MAX)
    expect(await audit.list()).to.have.length(LIST_LIMIT_DEFAULT)
  })

  it('verifies an empty chain, several entries a batch, and a chain opened again', async () => {
    expect(await audit.verify()).to.deep.equal({ entries: 0, ok: true })
    await records.change((batch) => {
      for (let n = 0; n < 3; n++) audit.append(batch, { action: 'vault-opened', actor: 'owner' })
    })
    await records.close()
    await open()
    await fill(3)
    expect(await audit.verify()).to.deep.equal({ entries: 6, ok: true })
  })

  it('bounds the details of an entry', async () => {
    for (const [count, allowed] of [
      [DETAILS_MAX, true],
      [DETAILS_MAX + 1, false]
    ] as const) {
      const outcome = await records
        .change((batch) =>
          audit.append(batch, {
            action: 'vault-opened',
            actor: 'owner',
            details: details(count)
          })
        )
        .catch((error: Error) => error.name)
      expect(outcome).to.equal(allowed ? 1 : 'ZodError')
    }
  })

  it('has no entry of a change that failed', async () => {
    await fill(1)
    home.db.batchFails = () => ({ error: noSpace(), written: false })
    expect((await failure(fill(1))).code).to.equal('storage-full')
    home.db.batchFails = undefined
    await fill(1)
    expect(await audit.verify()).to.deep.equal({ entries: 2, ok: true })
  })

  for (const bad of [1, 3, 5])
    it(`finds entry ${bad} of 5 changed, missing, or replaced`, async () => {
      await fill(5)
      const sealed = (await home.db.get(path(bad))) ?? new Uint8Array()
      const changes: Array<[string, () => Promise<void>]> = [
        ['changed', async () => home.flip(path(bad), sealed.length - 20)],
        ['missing', async () => home.db.del(path(bad))],
        [
          'another entry',
          async () => home.db.put(path(bad), (await home.db.get(path(2))) ?? sealed)
        ]
      ]
      for (const [how, change] of changes) {
        await change()
        expect(await audit.verify(), how).to.deep.equal({ entries: 5, ok: false, firstBad: bad })
        await home.db.put(path(bad), sealed)
      }
      expect((await audit.verify()).ok).to.equal(true)
    })

  it('finds an entry that opens but belongs to another history', async () => {
    const empty = await home.db.contents()
    await fill(2)
    const other = (await home.db.get(path(2))) ?? new Uint8Array()
    await records.close()
    await home.db.clear()
    home.files.files.clear()
    await home.db.batch(
      empty.map(([key, value]) => ({ type: 'put', key, value })),
      {}
    )
    await open()
    await fill(3)
    await home.db.put(path(2), other)
    expect(await audit.verify()).to.deep.equal({ entries: 3, ok: false, firstBad: 2 })
  })

  it('finds the newest entries cut away', async () => {
    await fill(4)
    await records.close()
    await home.db.del(path(4))
    await open()
    expect(await audit.verify()).to.deep.equal({ entries: 4, ok: false, firstBad: 4 })
    expect(records.damaged.map(({ key }) => key)).to.deep.equal(['000000000004'])
  })
})
