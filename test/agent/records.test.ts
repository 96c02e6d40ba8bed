import { expect } from 'chai'
import fc from 'fast-check'
import { LockerError } from '../../agent/errors.ts'
import { BATCH_OPERATIONS_MAX, RECORD_BYTES_MAX } from '../../agent/record-batch.ts'
import { KEY_LENGTH_MAX } from '../../agent/record-collection.ts'
import { CHANGES_WAITING_MAX } from '../../agent/records.ts'
import type { Batch } from '../../agent/records.ts'
import { noSpace } from './faults.ts'
import { all, DEGREE, failure, Home, type Note } from './record-home.ts'

describe('agent/records', () => {
  let home: Home
  beforeEach(() => {
    home = new Home()
  })

  describe('a change', () => {
    it('is there after opening again', async () => {
      const { records, notes, log } = await home.openNotes()
      await records.change((batch) => {
        notes.put(batch, 'a', DEGREE)
        log.append(batch, 'added a')
      })
      await records.close()
      const again = await home.openNotes()
      expect(again.notes.get('a')).to.deep.equal(DEGREE)
      expect(again.log.last).to.equal(1)
      expect(again.records.damaged).to.be.empty
    })

    it('is not seen before it is durable, then whole, then tells', async () => {
      const { records, notes } = await home.openNotes()
      const order: string[] = []
      await records.change((batch) => {
        batch.afterwards(() => order.push(`first sees ${notes.get('a')?.text}`))
        notes.put(batch, 'a', DEGREE)
        batch.afterwards(() => order.push('second'))
        order.push(`inside sees ${notes.get('a')?.text}`)
      })
      expect(order).to.deep.equal(['inside sees undefined', 'first sees Zeugnis', 'second'])
    })

    it('keeps nothing when its function throws', async () => {
      const { records, notes } = await home.openNotes()
      const refused = records.change((batch) => {
        notes.put(batch, 'a', DEGREE)
        throw new Error('no')
      })
      expect(await refused.catch((error: Error) => error.message)).to.equal('no')
      expect(notes.size).to.equal(0)
      expect(await home.db.keys().all()).to.be.empty
    })

    it('writes one batch, and none when nothing was put', async () => {
      const { records, notes, log } = await home.openNotes()
      await records.change((batch) => {
        for (const key of ['a', 'b', 'c']) notes.put(batch, key, DEGREE)
        notes.delete(batch, 'c')
        log.append(batch, 'one')
        log.append(batch, 'two')
      })
      await records.change(() => undefined)
      expect(home.db.writes.count).to.equal(1)
      expect(notes.size).to.equal(2)
      expect(log.last).to.equal(2)
    })

    it('waits for the one before it', async () => {
      const { records, notes } = await home.openNotes()
      const counter = async (): Promise<void> =>
        records.change(async (batch) => {
          const seen = Number(notes.get('n')?.text ?? 0)
          await new Promise(setImmediate)
          notes.put(batch, 'n', { text: String(seen + 1) })
        })
      await Promise.all(Array.from({ length: 50 }, counter))
      expect(notes.get('n')?.text).to.equal('50')
    })

    it('refuses a change inside a change instead of waiting for itself', async () => {
      const { records } = await home.openNotes()
      const nested = records.change(() => records.change(() => 'inner'))
      expect(await nested.catch((error: Error) => error.message)).to.match(/inside a change/)
      expect(await records.change(() => 'next')).to.equal('next')
    })

    it('may start another one afterwards', async () => {
      const { records, notes } = await home.openNotes()
      let second: Promise<void> | undefined
      await records.change((batch) => {
        notes.put(batch, 'a', DEGREE)
        batch.afterwards(() => {
          second = records.change((next) => notes.put(next, 'b', DEGREE))
        })
      })
      await second
      expect(notes.size).to.equal(2)
    })

    it('does not fail because what runs afterwards fails', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => {
        notes.put(batch, 'a', DEGREE)
        batch.afterwards(() => {
          throw new Error('broken listener')
        })
      })
      expect(notes.get('a')).to.deep.equal(DEGREE)
      expect(home.logger.events.map(({ event }) => event)).to.include('records-afterwards-failed')
    })

    it('bounds a batch', async function () {
      this.timeout(20_000)
      const { records, log } = await home.openNotes()
      const append = async (count: number): Promise<void> =>
        records.change((batch) => {
          for (let n = 0; n < count; n++) log.append(batch, 'x')
        })
      await append(BATCH_OPERATIONS_MAX)
      const refused = await append(BATCH_OPERATIONS_MAX + 1).catch((error: Error) => error)
      expect(refused).to.be.instanceOf(RangeError)
      expect(log.last).to.equal(BATCH_OPERATIONS_MAX)
    })

    it('bounds how many changes wait', async () => {
      const { records } = await home.openNotes()
      const waiting = Array.from({ length: CHANGES_WAITING_MAX }, async () =>
        records.change(() => undefined)
      )
      expect((await failure(records.change(() => undefined))).code).to.equal('storage-failed')
      await Promise.all(waiting)
      await records.change(() => undefined)
    })

    it('refuses a batch that has ended', async () => {
      const { records, notes } = await home.openNotes()
      let kept: Batch | undefined
      await records.change((batch) => {
        kept = batch
      })
      expect(() => kept !== undefined && notes.put(kept, 'a', DEGREE)).to.throw(/has ended/)
    })
  })

  describe('a collection', () => {
    it('refuses to write what its schema does not allow, and records too large', async () => {
      const { records, notes } = await home.openNotes()
      const wrong = records.change((batch) => {
        // @ts-expect-error A number where a text belongs.
        notes.put(batch, 'a', { text: 7 })
      })
      expect(await wrong.catch((error: Error) => error.name)).to.equal('ZodError')
      // `["k",{"text":"…"}]` is 17 characters besides the text.
      const large = async (extra: number): Promise<void> =>
        records.change((batch) =>
          notes.put(batch, 'k', { text: 'x'.repeat(RECORD_BYTES_MAX - 17 + extra) })
        )
      await large(0)
      expect(await large(1).catch((error: Error) => error.message)).to.match(/more than 1048576/)
    })

    it('bounds keys', async () => {
      const { records, notes } = await home.openNotes()
      const put = async (length: number): Promise<void> =>
        records.change((batch) => notes.put(batch, 'k'.repeat(length), DEGREE))
      await put(1)
      await put(KEY_LENGTH_MAX)
      for (const length of [0, KEY_LENGTH_MAX + 1])
        expect(await put(length).catch((error: Error) => error.name)).to.equal('RangeError')
      expect(notes.size).to.equal(2)
    })

    it('treats names of JavaScript as names', async () => {
      const { records, notes } = await home.openNotes()
      const names = [
        '__proto__',
        'constructor',
        'toString',
        '../../x',
        'notes/a',
        '\u202egnp',
        '\0'
      ]
      await records.change((batch) => {
        for (const name of names) notes.put(batch, name, { text: name })
      })
      await records.close()
      const again = await home.openNotes()
      expect([...again.notes.entries()].map(([key]) => key)).to.have.members(names)
      expect(again.records.damaged).to.be.empty
    })

    it('gives out values that cannot be changed in passing', async () => {
      const { records, notes } = await home.openNotes()
      await records.change((batch) => notes.put(batch, 'a', DEGREE))
      expect(() => notes.get('a')?.tags?.push('other')).to.throw(TypeError)
    })

    it('shows nothing of keys and values to who reads the disk', async () => {
      const { records, notes, log } = await home.openNotes()
      await records.change((batch) => {
        notes.put(batch, 'did:peer:2.contact', DEGREE)
        log.append(batch, 'Zeugnis')
      })
      const stored = (await home.db.contents())
        .map(([path, value]) => `${path} ${Buffer.from(value).toString('latin1')}`)
        .join('\n')
      for (const secret of ['did:peer', 'Zeugnis', 'Uni', 'text'])
        expect(stored).to.not.contain(secret)
    })
  })

  describe('a sequence', () => {
    it('counts from 1 and reads pages both ways', async () => {
      const { records, log } = await home.openNotes()
      for (let n = 1; n <= 25; n++)
        expect(await records.change((batch) => log.append(batch, `entry ${n}`))).to.equal(n)
      const numbers = async (options: Parameters<typeof log.read>[0]): Promise<number[]> =>
        (await all(log.read(options))).map(({ number }) => number)
      expect(await numbers({ limit: 3 })).to.deep.equal([1, 2, 3])
      expect(await numbers({ limit: 3, reverse: true })).to.deep.equal([25, 24, 23])
      expect(await numbers({ from: 10, to: 12, limit: 99 })).to.deep.equal([10, 11, 12])
      expect(await numbers({ to: 2, reverse: true, limit: 99 })).to.deep.equal([2, 1])
      expect(await numbers({ from: 26, limit: 1 })).to.be.empty
    })

    it('knows the hash the next entry carries, within a batch too', async () => {
      const { records, log } = await home.openNotes()
      const heads: string[] = [log.head()]
      await records.change((batch) => {
        log.append(batch, 'one')
        heads.push(log.head(batch))
        log.append(batch, 'two')
        heads.push(log.head(batch))
      })
      expect(heads[0]).to.equal('')
      const hashes = (await all(log.read({ limit: 9 }))).map(({ hash }) => hash)
      expect(hashes).to.deep.equal(heads.slice(1))
      expect(log.head()).to.equal(hashes[1])
    })

    it('names an entry taken out, a cut tail and a foreign entry', async () => {
      const { records, log } = await home.openNotes()
      await records.change((batch) => {
        for (let n = 1; n <= 9; n++) log.append(batch, `entry ${n}`)
      })
      await records.close()
      await home.db.del('log/000000000004')
      await home.db.del('log/000000000009')
      await home.db.put('log/zzz', new Uint8Array(40))
      const again = await home.openNotes()
      expect(again.records.damaged.map(({ key, reason }) => `${key}: ${reason}`)).to.have.members([
        '000000000004: the entry is missing',
        '000000000009: the entry is missing',
        'zzz: not an entry of this sequence'
      ])
      // A number is never given twice.
      expect(await again.records.change((batch) => again.log.append(batch, 'next'))).to.equal(10)
    })

    it('names a last entry that was replaced by another', async () => {
      const { records, log } = await home.openNotes()
      await records.change((batch) => log.append(batch, 'first'))
      await records.close()
      await home.flip('log/000000000001', 20)
      const again = await home.openNotes()
      expect(again.records.damaged).to.have.length(1)
      expect(await all(again.log.read({ limit: 9 }))).to.be.empty
    })
  })

  describe('closing', () => {
    it('lets waiting changes finish, then refuses', async () => {
      const { records, notes } = await home.openNotes()
      const waiting = [1, 2, 3].map((n) =>
        records.change(async (batch) => {
          await new Promise(setImmediate)
          notes.put(batch, String(n), DEGREE)
        })
      )
      await records.close()
      await Promise.all(waiting)
      expect((await failure(records.change(() => undefined))).code).to.equal('vault-sealed')
      expect(() => notes.get('1'))
        .to.throw(LockerError)
        .with.property('code', 'vault-sealed')
      expect((await home.openNotes()).notes.size).to.equal(3)
    })
  })

  it('keeps what a map would keep, whatever the changes', async function () {
    this.timeout(20_000)
    const key = fc.constantFrom('a', 'b', 'c', '__proto__')
    const step = fc.record({ key, text: fc.option(fc.string()), fails: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        home = new Home()
        const model = new Map<string, Note>()
        const { records, notes } = await home.openNotes()
        for (const { key: name, text, fails } of steps) {
          home.db.batchFails = fails ? () => ({ error: noSpace(), written: false }) : undefined
          const change = records.change((batch) =>
            text === null ? notes.delete(batch, name) : notes.put(batch, name, { text })
          )
          if (fails) {
            expect((await failure(change)).code).to.equal('storage-full')
            continue
          }
          await change
          if (text === null) model.delete(name)
          else model.set(name, { text })
        }
        home.db.batchFails = undefined
        await records.close()
        const again = await home.openNotes()
        expect(new Map(again.notes.entries())).to.deep.equal(model)
        expect(again.records.damaged).to.be.empty
      }),
      { numRuns: 60 }
    )
  })
})
