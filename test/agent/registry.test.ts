import { expect } from 'chai'
import type { Audit } from '../../agent/audit.ts'
import type { CredentialTypes } from '../../agent/credential-types.ts'
import type { Records } from '../../agent/records.ts'
import {
  IMPORT_BATCH_RECORDS,
  MATCHES_SHOWN_MAX,
  SEARCH_LIMIT_MAX,
  type Match,
  type Registry
} from '../../agent/registry.ts'
import { IMPORT_PROBLEMS_MAX } from '../../agent/registry-import.ts'
import { REGISTRY_CLAIMS_BYTES_MAX } from '../../agent/registry-record.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { Crash, noSpace, type ManualClock } from './faults.ts'
import { failure, type Home } from './record-home.ts'
import { ASHA, codeOf, openRegistryHome, rowsOf, student, TYPE } from './registry-home.ts'

async function* students(count: number): AsyncGenerator {
  for (let number = 0; number < count; number++) yield student(number)
}

describe('agent/registry', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let types: CredentialTypes
  let registry: Registry

  async function open(again?: { home: Home; clock: ManualClock }): Promise<void> {
    ;({ home, clock, records, audit, types, registry } = await openRegistryHome(
      again?.home,
      again?.clock
    ))
  }

  beforeEach(async () => {
    await open()
    await types.save(TYPE)
    await types.publish('enrolment')
  })

  const outcomeOf = async (form: JsonObject): Promise<Match['outcome']> =>
    (await registry.match('enrolment', form)).outcome
  const total = async (query?: string): Promise<number> =>
    (await registry.search('enrolment', query === undefined ? {} : { query })).total

  describe('keeping records', () => {
    it('stores, changes and removes one, and keeps it when the locker is opened again', async () => {
      const { id } = await registry.put('enrolment', ASHA, { by: 'binod' })
      clock.advance(1000)
      const changed = await registry.put('enrolment', { ...ASHA, year: 3 }, { id })
      expect(changed).to.deep.equal({
        id,
        type: 'enrolment',
        claims: { ...ASHA, year: 3 },
        updatedAt: '2026-11-23T12:00:01.000Z'
      })
      await records.close()
      await open({ home, clock })
      expect(await registry.get(id)).to.deep.equal(changed)
      expect(await registry.counts()).to.deep.equal(new Map([['enrolment', 1]]))
      await registry.remove(id)
      for (const work of [
        registry.get(id),
        registry.remove(id),
        registry.put('enrolment', ASHA, { id }),
        registry.get('__proto__')
      ])
        expect(await codeOf(work)).to.equal('record-unknown')
      const entries = (await audit.list()).map(({ action, actor }) => `${action} ${actor}`)
      expect(entries.slice(0, 3)).to.deep.equal([
        'registry-removed owner',
        'registry-changed owner',
        'registry-changed binod'
      ])
    })

    it('says of whom nothing in the audit log or the log', async () => {
      await registry.put('enrolment', ASHA)
      await registry.import('enrolment', rowsOf(student(1)))
      const said = JSON.stringify([await audit.list(), home.logger.events])
      expect(said).to.not.include('Asha').and.not.include('Student')
      for (const [, value] of await home.db.contents())
        expect(Buffer.from(value).toString('latin1')).to.not.include('Asha')
    })

    it('takes what fits the type, and names what does not', async () => {
      const wrong: ReadonlyArray<readonly [JsonObject, string]> = [
        [{ name: 'Asha' }, ''],
        [{ ...ASHA, year: 'two' }, '/year'],
        [{ ...ASHA, dateOfBirth: '17-05-2003' }, '/dateOfBirth'],
        [{ ...ASHA, extra: 1 }, '/extra'],
        [{ ...ASHA, remark: 'x'.repeat(REGISTRY_CLAIMS_BYTES_MAX) }, '']
      ]
      for (const [claims, pointer] of wrong) {
        const refused = await failure(registry.put('enrolment', claims))
        expect(refused.code).to.equal('registry-invalid')
        expect(refused.facts['pointer'], refused.message).to.equal(pointer)
      }
      expect(await total()).to.equal(0)
      expect(await codeOf(registry.put('passport', ASHA))).to.equal('type-unknown')
      expect(await codeOf(registry.put('__proto__', ASHA))).to.equal('type-unknown')
    })

    it('does not read the records before somebody asks', async () => {
      await registry.put('enrolment', ASHA)
      await records.close()
      await open({ home, clock })
      expect(records.damaged).to.deep.equal([])
      expect(await total()).to.equal(1)
    })
  })

  describe('matching', () => {
    beforeEach(async () => {
      await registry.put('enrolment', ASHA)
      await registry.put('enrolment', student(1))
      await registry.put('enrolment', student(2, { name: 'Student 1' }))
    })

    it('tells none, one and many apart', async () => {
      expect(await registry.match('enrolment', { rollNumber: 'nobody' })).to.deep.equal({
        outcome: 'none'
      })
      const one = await registry.match('enrolment', { rollNumber: 'A-118/24' })
      expect(one.outcome === 'one' && one.record.claims).to.deep.equal(ASHA)
      const many = await registry.match('enrolment', { name: 'Student 1' })
      if (many.outcome !== 'many') throw new Error(many.outcome)
      expect(many.count).to.equal(2)
      expect(many.records.map(({ claims }) => claims['rollNumber'])).to.have.members(['R1', 'R2'])
    })

    it('takes all that the form gives, and nothing else', async () => {
      const both = { name: 'Student 1', rollNumber: 'R2' }
      expect(await outcomeOf(both)).to.equal('one')
      expect(await outcomeOf({ ...both, rollNumber: 'A-118/24' })).to.equal('none')
      // Told apart by a claim that records are not found by.
      expect(await outcomeOf({ ...both, dateOfBirth: '2004-01-01' })).to.equal('one')
      expect(await outcomeOf({ ...both, dateOfBirth: '2004-01-02' })).to.equal('none')
      // What is no claim is for people.
      expect(await outcomeOf({ ...both, term: 'for a visa' })).to.equal('one')
      // What the record does not have does not fit.
      expect(await outcomeOf({ ...both, phone: '098 765' })).to.equal('none')
      // A field of the form finds the claim of the same name, wherever it stands.
      expect(await outcomeOf({ phone: '098765' })).to.equal('none')
      expect(await outcomeOf({ phone: '098  765' })).to.equal('one')
    })

    it('compares as people do', async () => {
      const same = [
        { name: '  asha   RAO ' },
        { name: 'Ａｓｈａ Ｒａｏ' },
        { name: 'Asha\u200b Rao' },
        { name: 'Asha\u00a0Rao' },
        { rollNumber: 'a-118/24' },
        { rollNumber: 'A-११८/२४' },
        { rollNumber: 'A-118/24', dateOfBirth: '17-05-2003' },
        { rollNumber: 'A-118/24', dateOfBirth: '17/5/2003' },
        { rollNumber: 'A-118/24', dateOfBirth: '१७.०५.२००३' },
        { rollNumber: 'A-118/24', dateOfBirth: '20030517' },
        { rollNumber: 'A-118/24', dateOfBirth: '17052003' },
        { rollNumber: 'A-118/24', dateOfBirth: '2003-05-17T00:00:00+05:30' }
      ]
      for (const form of same) expect(await outcomeOf(form), JSON.stringify(form)).to.equal('one')
      const other = [
        { name: 'Rao, Asha' },
        { name: 'Asha Ra' },
        { name: 'Asha Rao 2' },
        { rollNumber: 'A11824' },
        { rollNumber: 'A-118/24', dateOfBirth: '05-17-2003' },
        { rollNumber: 'A-118/24', dateOfBirth: '2003-17-05' },
        { rollNumber: 'A-118/24', dateOfBirth: 'unknown' }
      ]
      for (const form of other) expect(await outcomeOf(form), JSON.stringify(form)).to.equal('none')
    })

    it('wants a form that fits, with something records are found by', async () => {
      const forms: readonly JsonObject[] = [
        {},
        { dateOfBirth: '2003-05-17' },
        { term: 'x' },
        { rollNumber: '' },
        { rollNumber: '   ' },
        { rollNumber: 7 },
        { rollNumber: ['A-118/24'] },
        { unknown: 'x', rollNumber: 'R1' }
      ]
      for (const form of forms) {
        const match = await registry.match('enrolment', form)
        if (match.outcome !== 'form-invalid') throw new Error(JSON.stringify(form))
        expect(match.problems).to.have.length.greaterThan(0)
      }
      expect(await codeOf(registry.match('passport', {}))).to.equal('type-unknown')
    })

    it(`shows ${MATCHES_SHOWN_MAX} of many, and counts all`, async () => {
      const rows = Array.from({ length: 30 }, (_, number) =>
        student(100 + number, { name: 'Same' })
      )
      await registry.import('enrolment', rowsOf(...rows))
      const many = await registry.match('enrolment', { name: 'same' })
      if (many.outcome !== 'many') throw new Error(many.outcome)
      expect(many.count).to.equal(30)
      expect(many.records).to.have.length(MATCHES_SHOWN_MAX)
    })

    it('goes by the search fields of the version that is published now', async () => {
      await types.save({ ...TYPE, version: '1.0.1', search: ['/year'] })
      await types.publish('enrolment')
      expect(await outcomeOf({ rollNumber: 'A-118/24' })).to.equal('form-invalid')
      const form = { type: 'object', properties: { year: { type: 'integer', title: 'Year' } } }
      await types.save({ ...TYPE, version: '1.0.2', search: ['/year'], form })
      await types.publish('enrolment')
      expect(await outcomeOf({ year: 2 })).to.equal('one')
      expect(await outcomeOf({ year: 4 })).to.equal('none')
    })

    it('follows every change: put, changed, removed, imported, and what failed', async () => {
      const count = async (form: JsonObject): Promise<number> => {
        const match = await registry.match('enrolment', form)
        return match.outcome === 'many' ? match.count : match.outcome === 'one' ? 1 : 0
      }
      expect(await count({ name: 'Student 1' })).to.equal(2)
      const { id } = await registry.put('enrolment', student(3, { name: 'Student 1' }))
      expect(await count({ name: 'Student 1' })).to.equal(3)
      await registry.put('enrolment', student(3), { id })
      expect(await count({ name: 'Student 1' })).to.equal(2)
      expect(await count({ name: 'Student 3' })).to.equal(1)
      await registry.remove(id)
      expect(await count({ name: 'Student 3' })).to.equal(0)
      const rows = [student(1, { name: 'Renamed' }), student(2)]
      await registry.import('enrolment', rowsOf(...rows), { key: ['/rollNumber'], whole: true })
      expect(await count({ name: 'Student 1' })).to.equal(0)
      expect(await count({ name: 'Renamed' })).to.equal(1)
      expect(await count({ rollNumber: 'A-118/24' })).to.equal(0)
      home.db.batchFails = () => ({ error: noSpace(), written: false })
      expect(await codeOf(registry.put('enrolment', student(7)))).to.equal('storage-full')
      home.db.batchFails = undefined
      expect(await count({ rollNumber: 'R7' })).to.equal(0)
      await records.close()
      await open({ home, clock })
      expect(await count({ name: 'Renamed' })).to.equal(1)
    })

    it('keeps the records of one type out of another', async () => {
      await types.save({ ...TYPE, id: 'other' })
      await types.publish('other')
      expect((await registry.match('other', { rollNumber: 'A-118/24' })).outcome).to.equal('none')
      expect((await registry.search('other')).total).to.equal(0)
    })
  })

  describe('searching', () => {
    it('finds every word, newest first, a page at a time', async () => {
      for (let number = 0; number < 5; number++) {
        await registry.put('enrolment', student(number))
        clock.advance(1000)
      }
      await registry.put('enrolment', ASHA)
      expect(await total()).to.equal(6)
      expect(await total('STUDENT')).to.equal(5)
      expect(await total('student r3')).to.equal(1)
      expect(await total('asha 098')).to.equal(1)
      expect(await total('2003')).to.equal(0)
      const page = await registry.search('enrolment', { query: 'student', offset: 1, limit: 2 })
      expect(page.total).to.equal(5)
      expect(page.records.map(({ claims }) => claims['rollNumber'])).to.deep.equal(['R3', 'R2'])
    })

    it('refuses pages that cannot be', async () => {
      for (const limit of [0, SEARCH_LIMIT_MAX + 1, 1.5, Number.NaN])
        expect(await codeOf(registry.search('enrolment', { limit }))).to.equal('request-invalid')
      expect(await codeOf(registry.search('enrolment', { offset: -1 }))).to.equal('request-invalid')
      await registry.search('enrolment', { limit: SEARCH_LIMIT_MAX })
    })
  })

  describe('importing', () => {
    it('stores what fits, and names the rows that do not', async () => {
      const rows = [student(1), { name: 'x' }, 7, null, student(2), { ...student(3), year: 'x' }]
      const report = await registry.import('enrolment', rowsOf(...rows))
      expect(report).to.deep.include({ rows: 6, added: 2, rejected: 4, replaced: 0, unchanged: 0 })
      expect(report.problems.map(({ row, pointer }) => [row, pointer])).to.deep.equal([
        [2, ''],
        [3, ''],
        [4, ''],
        [6, '/year']
      ])
      expect(await total()).to.equal(2)
    })

    it('is harmless a second time', async () => {
      const rows = [student(1), student(2), student(1)]
      expect(await registry.import('enrolment', rowsOf(...rows))).to.deep.include({
        added: 2,
        unchanged: 1
      })
      // The same claims in another order are the same record.
      const { name = '', ...rest } = student(1)
      const again = await registry.import('enrolment', rowsOf({ name, ...rest }, student(2)))
      expect(again).to.deep.include({ added: 0, replaced: 0, unchanged: 2 })
      expect(await total()).to.equal(2)
    })

    it('replaces by key: the last row of a record counts, also within one batch', async () => {
      const key = ['/rollNumber']
      await registry.import('enrolment', rowsOf(student(1), student(2)), { key })
      const rows = [
        student(1, { year: 2 }),
        student(2),
        { ...student(3), rollNumber: ' r3 ' },
        student(3, { year: 5 }),
        student(1, { year: 3 })
      ]
      const report = await registry.import('enrolment', rowsOf(...rows), { key })
      expect(report).to.deep.include({ rows: 5, added: 1, replaced: 1, unchanged: 1 })
      expect(await total()).to.equal(3)
      const one = await registry.match('enrolment', { rollNumber: 'R1' })
      expect(one.outcome === 'one' && one.record.claims['year']).to.equal(3)
      const third = await registry.match('enrolment', { rollNumber: 'R3' })
      expect(third.outcome === 'one' && third.record.claims['year']).to.equal(5)
    })

    it('removes what the whole register does not have any more', async () => {
      const rows = Array.from({ length: IMPORT_BATCH_RECORDS + 10 }, (_, number) => student(number))
      await registry.import('enrolment', rowsOf(...rows))
      const report = await registry.import('enrolment', rowsOf(student(3), student(9999)), {
        whole: true
      })
      expect(report).to.deep.include({
        added: 1,
        unchanged: 1,
        removed: IMPORT_BATCH_RECORDS + 9
      })
      expect(await total()).to.equal(2)
    })

    it('refuses a key that is no field of one value', async () => {
      for (const key of [[], ['/nothing'], ['/guardian'], ['/marks'], ['/__proto__']])
        expect(
          await codeOf(registry.import('enrolment', rowsOf(), { key })),
          JSON.stringify(key)
        ).to.equal('registry-invalid')
    })

    it('keeps the batches that were stored when it is stopped, the disk fills or the machine stops', async () => {
      const control = new AbortController()
      const stopped = registry.import('enrolment', students(3 * IMPORT_BATCH_RECORDS), {
        signal: control.signal,
        onProgress: (count) => {
          if (count === IMPORT_BATCH_RECORDS) control.abort()
        }
      })
      expect(await codeOf(stopped)).to.equal('operation-cancelled')
      expect(await total()).to.equal(IMPORT_BATCH_RECORDS)
      let batches = 0
      home.db.batchFails = () =>
        ++batches === 2 ? { error: noSpace(), written: false } : undefined
      expect(
        await codeOf(registry.import('enrolment', students(3 * IMPORT_BATCH_RECORDS)))
      ).to.equal('storage-full')
      home.db.batchFails = undefined
      const before = home.db.writes.count
      home.db.writes.plan = (write) => {
        if (write === before + 2) throw new Crash('power')
      }
      await registry.import('enrolment', students(3 * IMPORT_BATCH_RECORDS)).catch(() => undefined)
      const stored = await home.db.contents()
      home.db.writes.plan = () => undefined
      home.db.writes.crashed = false
      expect(
        stored.filter(([key]) => key.startsWith('registry/')).length % IMPORT_BATCH_RECORDS
      ).to.equal(0)
      await registry.import('enrolment', students(3 * IMPORT_BATCH_RECORDS))
      expect(await total()).to.equal(3 * IMPORT_BATCH_RECORDS)
    })

    it(`tells the first ${IMPORT_PROBLEMS_MAX} problems and counts the rest`, async () => {
      const rows = Array.from({ length: IMPORT_PROBLEMS_MAX + 5 }, () => ({}))
      const report = await registry.import('enrolment', rowsOf(...rows))
      expect(report.rejected).to.equal(IMPORT_PROBLEMS_MAX + 5)
      expect(report.problems).to.have.length(IMPORT_PROBLEMS_MAX)
    })

    it('reads no further ahead than a batch', async () => {
      let read = 0
      let storedBefore = 0
      async function* counted(): AsyncGenerator {
        for (; read < 4 * IMPORT_BATCH_RECORDS; read++) {
          expect(read - storedBefore).to.be.at.most(IMPORT_BATCH_RECORDS)
          yield student(read)
        }
      }
      await registry.import('enrolment', counted(), {
        onProgress: (rows) => {
          storedBefore = rows
        }
      })
      expect(read).to.equal(4 * IMPORT_BATCH_RECORDS)
    })

    it('imports 100,000 rows in bounded memory', async function () {
      if (process.env['SLOW'] !== '1') this.skip()
      this.timeout(300_000)
      globalThis.gc?.()
      const before = process.memoryUsage().heapUsed
      const start = performance.now()
      let peak = 0
      const report = await registry.import('enrolment', students(100_000), {
        onProgress: () => {
          peak = Math.max(peak, process.memoryUsage().heapUsed)
        }
      })
      const seconds = (performance.now() - start) / 1000
      expect(report.added).to.equal(100_000)
      const found = performance.now()
      expect(await outcomeOf({ rollNumber: 'R99999' })).to.equal('one')
      const matchMs = performance.now() - found
      console.log(
        `      ${Math.round(100_000 / seconds)} rows/s, heap ${Math.round((peak - before) / 2 ** 20)} MiB at most, a match in ${matchMs.toFixed(1)} ms`
      )
      expect(peak - before).to.be.lessThan(600 * 2 ** 20)
    })
  })
})
