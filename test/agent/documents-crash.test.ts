/**
 * The machine stops at every write. For each operation the writes are counted; then, for each of them, the
 * operation runs again in a fresh locker and the machine stops before that write, or after it and
 * before anyone hears of it. The locker opened afterwards must hold everything that was acknowledged,
 * list nothing that does not open, and be left with no block that nobody needs.
 */
import { expect } from 'chai'
import { randomBytes } from 'node:crypto'
import type { DocumentStore } from '../../agent/documents.ts'
import { LockerError } from '../../agent/errors.ts'
import { DocumentHome, type Opened, pieces, read } from './document-home.ts'
import { Crash } from './faults.ts'

const MIB = 1_048_576

/** Contents by what a document may read as, after the crash. */
interface Story {
  /** Documents that were there before, and what each version reads as. */
  readonly ids: Record<'kept' | 'touched', string>
  readonly contents: ReadonlySet<string>
}

const KEPT = randomBytes(5_000)
const BEFORE = randomBytes(MIB + 5)
const AFTER = randomBytes(MIB + 9)
const SMALL = randomBytes(700)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

async function prepare(home: DocumentHome): Promise<{ opened: Opened; story: Story }> {
  const opened = await home.open()
  const kept = await opened.documents.add(pieces(KEPT), { name: 'kept' })
  const touched = await opened.documents.add(pieces(BEFORE), { name: 'touched' })
  await opened.documents.addVersion(touched.id, pieces(SMALL))
  home.writes.count = 0
  return {
    opened,
    story: {
      ids: { kept: kept.id, touched: touched.id },
      contents: new Set([KEPT, BEFORE, AFTER, SMALL].map(hex))
    }
  }
}

/** Runs under the crash; returns whether it was acknowledged. */
type Operation = (opened: Opened, story: Story) => Promise<void>

const OPERATIONS: Record<
  string,
  { run: Operation; done: (store: DocumentStore, story: Story) => boolean }
> = {
  'adding a document': {
    run: async ({ documents }) => {
      await documents.add(pieces(AFTER), { name: 'new' })
    },
    done: (store) => store.list().some(({ name }) => name === 'new')
  },
  'adding a small document': {
    run: async ({ documents }) => {
      await documents.add(pieces(SMALL), { name: 'new' })
    },
    done: (store) => store.list().some(({ name }) => name === 'new')
  },
  'adding a version': {
    run: async ({ documents }, { ids }) => {
      await documents.addVersion(ids.touched, pieces(AFTER))
    },
    done: (store, { ids }) => store.get(ids.touched).version === 3
  },
  'deleting a document': {
    run: async ({ documents }, { ids }) => documents.delete(ids.touched),
    done: (store, { ids }) => store.list().every(({ id }) => id !== ids.touched)
  },
  'trashing a document': {
    run: async ({ documents }, { ids }) => {
      await documents.trash(ids.touched)
    },
    done: (store, { ids }) => store.get(ids.touched).trashedAt !== undefined
  },
  'sealing a document again': {
    run: async ({ documents, records }, { ids }) => {
      await records.change((batch) => documents.markReseal(batch, ids.touched))
      await documents.reseal(ids.touched, () => undefined)
    },
    done: (store) => store.pendingReseals().length === 0
  }
}

/** Everything that must hold of a locker, whatever happened to it before. */
async function checkLocker(home: DocumentHome, story: Story): Promise<DocumentStore> {
  const { records, documents, audit } = await home.open()
  expect(records.damaged).to.be.empty
  expect((await audit.verify()).ok).to.equal(true)
  expect(hex(await read(documents, story.ids.kept))).to.equal(hex(KEPT))
  const all = [...documents.list(), ...documents.list({ trashed: true })]
  for (const { id, versions } of all)
    for (const { number } of versions) {
      const content = await read(documents, id, { version: number })
      expect(story.contents.has(hex(content)), `content of ${id}/${number}`).to.equal(true)
    }
  expect((await documents.check()).damaged).to.be.empty
  await documents.collect()
  const needed = new Set<string>()
  for (const { versions } of all)
    for (const { root } of versions) for (const cid of await documents.dag(root)) needed.add(cid)
  expect(home.cids(), 'blocks').to.have.members([...needed])
  return documents
}

describe('agent/documents when the machine stops', () => {
  for (const [name, { run, done }] of Object.entries(OPERATIONS))
    it(`keeps what it acknowledged while ${name}, at every write`, async function () {
      this.timeout(60_000)
      const counted = new DocumentHome()
      const first = await prepare(counted)
      await run(first.opened, first.story)
      const writes = counted.writes.count
      expect(writes).to.be.greaterThan(0)
      expect(done(await checkLocker(await counted.restarted(), first.story), first.story)).to.equal(
        true
      )

      let undone = 0
      for (const when of ['before', 'after'] as const)
        for (let stop = 1; stop <= writes; stop++) {
          const home = new DocumentHome()
          const { opened, story } = await prepare(home)
          const crash = (write: number): void => {
            if (write === stop) throw new Crash(`${when} write ${stop}`)
          }
          if (when === 'before') home.writes.plan = crash
          else home.writes.planAfter = crash
          const acknowledged = await run(opened, story).then(
            () => true,
            (error: unknown) => {
              if (error instanceof LockerError) return false
              throw error
            }
          )
          expect(home.writes.crashed, `${when} write ${stop}`).to.equal(true)
          const store = await checkLocker(await home.restarted(), story)
          if (acknowledged) expect(done(store, story), `${when} write ${stop}`).to.equal(true)
          if (!done(store, story)) undone++
          // What was interrupted half-way can be brought to its end.
          for (const id of store.pendingReseals()) await store.reseal(id, () => undefined)
          expect(store.pendingReseals()).to.be.empty
        }
      expect(undone, 'stops that came before the change').to.be.greaterThan(0)
    })
})
