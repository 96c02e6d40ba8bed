import { expect } from 'chai'
import { z } from 'zod'
import { openAudit, type Audit } from '../../agent/audit.ts'
import type { Random } from '../../agent/components.ts'
import type { Records } from '../../agent/records.ts'
import {
  openStatusLists,
  STATUS_ENTRIES,
  STATUS_LIST_FILL_MAX,
  type StatusAllocation,
  type StatusLists
} from '../../agent/status-lists.ts'
import { verifyProofs } from '../../protocols/credential/data-integrity.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { readStatus, STATUS_TTL_DEFAULT_MS } from '../../protocols/credential/status-list.ts'
import { Institution } from '../protocols/published.ts'
import { Crash, ManualClock, secureRandom } from './faults.ts'
import { failure, Home } from './record-home.ts'

const BASE = 'https://university.example'
const university = new Institution('did:web:university.example', 1)
const rotated = new Institution('did:web:university.example', 2)

const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code

describe('agent/status-lists', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let lists: StatusLists
  let signer = university.signer
  let random: Random = secureRandom

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
    lists = await openStatusLists({
      records,
      audit,
      clock,
      random: (size) => random(size),
      issuer: { signer: () => signer },
      baseUrl: () => BASE
    })
  }
  const allocate = (): Promise<StatusAllocation> => records.change((batch) => lists.allocate(batch))

  /** What a verifier reads of both entries of a credential, off the signed lists. */
  async function read(allocation: StatusAllocation): Promise<string[]> {
    const found: string[] = []
    for (const [index, entry] of [allocation.revocation, allocation.suspension].entries()) {
      const signed = await lists.signed(entry.list)
      const outcome = await readStatus(allocation.credentialStatus[index], signed)
      if (!outcome.ok) throw new Error(outcome.reason)
      if (outcome.set) found.push(outcome.purpose)
    }
    return found
  }
  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock()
    signer = university.signer
    random = secureRandom
    await open()
  })

  it('gives a credential one entry of each purpose, which a verifier can read', async () => {
    const allocation = await allocate()
    const { revocation, suspension, credentialStatus } = allocation
    expect(credentialStatus).to.deep.equal(
      [[revocation, 'revocation'] as const, [suspension, 'suspension'] as const].map(
        ([{ list, index }, statusPurpose]) => ({
          id: `${BASE}/status-lists/${list}#${index}`,
          type: 'BitstringStatusListEntry',
          statusPurpose,
          statusListIndex: String(index),
          statusListCredential: `${BASE}/status-lists/${list}`
        })
      )
    )
    expect(revocation.list).to.not.equal(suspension.list)
    expect(await read(allocation)).to.deep.equal([])
  })

  it('says what is set, and after it was cleared says nothing', async () => {
    const [one, other] = [await allocate(), await allocate()]
    await records.change((batch) => lists.set(batch, one.suspension, true))
    expect(await read(one)).to.deep.equal(['suspension'])
    await records.change((batch) => lists.set(batch, one.revocation, true))
    expect(await read(one)).to.deep.equal(['revocation', 'suspension'])
    expect(lists.isSet(one.revocation)).to.equal(true)
    await records.change((batch) => lists.set(batch, one.suspension, false))
    expect(await read(one)).to.deep.equal(['revocation'])
    expect(await read(other)).to.deep.equal([])
  })

  it('keeps everything when the locker is opened again', async () => {
    const allocations: StatusAllocation[] = []
    for (let count = 0; count < 20; count++) allocations.push(await allocate())
    for (const { revocation } of allocations.slice(0, 7))
      await records.change((batch) => lists.set(batch, revocation, true))
    const before = lists.list()
    await records.close()
    await open()
    expect(lists.list()).to.deep.equal(before)
    expect(before.map(({ taken, set, purpose }) => [purpose, taken, set])).to.deep.equal([
      ['revocation', 20, 7],
      ['suspension', 20, 0]
    ])
    for (const [index, allocation] of allocations.entries())
      expect(await read(allocation)).to.deep.equal(index < 7 ? ['revocation'] : [])
  })

  it('gives no entry twice, within one batch and between batches', async () => {
    // Numbers of four values only: nearly every draw hits what is taken.
    random = (size) =>
      size === 4 ? Uint8Array.of(0, 0, 0, (secureRandom(1)[0] ?? 0) & 3) : secureRandom(size)
    const indices = new Set<number>()
    await records.change((batch) => {
      for (let count = 0; count < 40; count++) indices.add(lists.allocate(batch).revocation.index)
    })
    for (let count = 0; count < 10; count++) indices.add((await allocate()).revocation.index)
    expect(indices.size).to.equal(50)
    expect(lists.list().map(({ taken }) => taken)).to.deep.equal([50, 50])
  }).timeout(20_000)

  it('spreads the entries over the whole list', async () => {
    const indices: number[] = []
    await records.change((batch) => {
      for (let count = 0; count < 200; count++) indices.push(lists.allocate(batch).revocation.index)
    })
    const quarters = [0, 1, 2, 3].map(
      (quarter) =>
        indices.filter((index) => Math.floor((index * 4) / STATUS_ENTRIES) === quarter).length
    )
    // 200 fair draws leave a quarter below 20 once in 10^8 runs.
    for (const count of quarters) expect(count).to.be.greaterThan(20)
  })

  it('takes nothing when the batch fails or the machine stops', async () => {
    const kept = await allocate()
    let lost: StatusAllocation | undefined
    const refused = records.change((batch) => {
      lost = lists.allocate(batch)
      lists.set(batch, kept.revocation, true)
      throw new Error('the offer does not fit')
    })
    await refused.catch(() => undefined)
    expect(lists.list().map(({ taken, set }) => [taken, set])).to.deep.equal([
      [1, 0],
      [1, 0]
    ])
    const entry = lost?.revocation
    if (entry === undefined) throw new Error('nothing was allocated')
    expect(() => lists.isSet(entry)).to.throw('no entry')
    home.db.writes.plan = () => {
      throw new Crash('power')
    }
    await allocate().catch(() => undefined)
    expect(lists.list().map(({ taken }) => taken)).to.deep.equal([1, 1])
  })

  it('serves a list signed by the issuer, the same until it changes or five minutes have passed', async () => {
    const { revocation } = await allocate()
    const first = await lists.signed(revocation.list)
    expect(first).to.deep.include({
      id: `${BASE}/status-lists/${revocation.list}`,
      issuer: university.did
    })
    const [outcome] = await verifyProofs(first, {
      crypto,
      key: async () => ({ ok: true, publicKey: university.publicKey })
    })
    expect(outcome?.ok).to.equal(true)
    clock.advance(STATUS_TTL_DEFAULT_MS - 1)
    expect(await lists.signed(revocation.list)).to.equal(first)
    clock.advance(1)
    const second = await lists.signed(revocation.list)
    expect(second['validFrom']).to.equal(clock.now().toISOString())
    await records.change((batch) => lists.set(batch, revocation, true))
    const third = await lists.signed(revocation.list)
    expect(third).to.not.equal(second)
    signer = { ...rotated.signer, verificationMethod: `${rotated.did}#key-2` }
    const fourth = await lists.signed(revocation.list)
    expect(fourth['proof']).to.have.property('verificationMethod', `${rotated.did}#key-2`)
  })

  it('signs once for many who ask at once', async () => {
    const { revocation } = await allocate()
    let signatures = 0
    signer = {
      ...university.signer,
      sign: (message) => {
        signatures++
        return university.signer.sign(message)
      }
    }
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => lists.signed(revocation.list))
    )
    expect(new Set(answers).size).to.equal(1)
    expect(signatures).to.equal(1)
  })

  it('says which lists and entries there are not', async () => {
    const { revocation } = await allocate()
    const free = { ...revocation, index: (revocation.index + 1) % STATUS_ENTRIES }
    const unknown = [
      free,
      { list: 'nothing', index: 0 },
      { list: '__proto__', index: 0 },
      { ...revocation, index: -1 },
      { ...revocation, index: STATUS_ENTRIES },
      { ...revocation, index: 0.5 },
      { ...revocation, index: Number.NaN }
    ]
    for (const entry of unknown) {
      expect(() => lists.isSet(entry), JSON.stringify(entry)).to.throw('no entry')
      const work = records.change((batch) => lists.set(batch, entry, true))
      expect(await codeOf(work)).to.equal('not-found')
    }
    for (const id of ['nothing', '__proto__', ''])
      expect(await codeOf(lists.signed(id))).to.equal('not-found')
  })

  it('begins another list when three quarters are taken', async () => {
    const first = await allocate()
    await records.close()
    await fill(first.revocation.list)
    await open()
    const taken = (): Array<readonly [string, number]> =>
      lists.list().map((list) => [list.purpose, list.taken])
    expect(taken()).to.deep.include(['revocation', STATUS_LIST_FILL_MAX - 1])
    const last = await allocate()
    expect(last.revocation.list).to.equal(first.revocation.list)
    clock.advance(1000)
    const next = await allocate()
    expect(next.revocation.list).to.not.equal(first.revocation.list)
    expect(next.suspension.list).to.equal(first.suspension.list)
    expect(lists.list()).to.have.length(3)
    await records.close()
    await open()
    expect((await allocate()).revocation.list).to.equal(next.revocation.list)
    expect(lists.list()).to.have.length(3)
    const [entry] = await audit.list()
    expect(entry?.details).to.deep.equal({ list: next.revocation.list, purpose: 'revocation' })
  })

  /** Takes all but one of the entries that a list gives out, by its records. */
  async function fill(list: string): Promise<void> {
    const reopened = await home.open()
    const pages = await reopened.collection(
      'status-pages',
      z.object({ taken: z.string(), set: z.string() })
    )
    await reopened.change((batch) => {
      const entries = STATUS_LIST_FILL_MAX - 1
      for (let number = 0; number < 128; number++) {
        const bits = Buffer.alloc(128)
        for (let index = 0; index < 1024; index++)
          if (number * 1024 + index < entries)
            bits.writeUInt8(bits.readUInt8(index >> 3) | (0x80 >> (index & 7)), index >> 3)
        pages.put(batch, `${list}/${number}`, {
          taken: bits.toString('base64url'),
          set: Buffer.alloc(128).toString('base64url')
        })
      }
    })
    await reopened.close()
  }

  it('signs and gives out nothing while pages are damaged, until they are repaired', async () => {
    const [one, other] = [await allocate(), await allocate()]
    await records.change((batch) => lists.set(batch, one.revocation, true))
    await records.close()
    for (const path of (await home.db.keys().all()).filter((key) =>
      key.startsWith('status-pages/')
    ))
      await home.flip(path, 40)
    await open()
    expect(lists.lost()).to.equal(true)
    expect(await codeOf(allocate())).to.equal('records-damaged')
    expect(await codeOf(lists.signed(one.revocation.list))).to.equal('records-damaged')
    await lists.repair([
      { entry: one.revocation, set: true },
      { entry: one.suspension, set: false },
      { entry: other.revocation, set: false },
      { entry: other.suspension, set: false },
      { entry: { list: 'gone', index: 1 }, set: true }
    ])
    expect(lists.lost()).to.equal(false)
    expect(await read(one)).to.deep.equal(['revocation'])
    expect(await read(other)).to.deep.equal([])
    expect(lists.list().map(({ taken }) => taken)).to.deep.equal([2, 2])
    await records.close()
    await open()
    expect(lists.lost()).to.equal(false)
    expect(records.damaged.filter(({ sublevel }) => sublevel === 'status-pages')).to.deep.equal([])
    expect(await read(one)).to.deep.equal(['revocation'])
  })

  it('notices pages that are missing', async () => {
    const { revocation } = await allocate()
    await records.close()
    const [path = ''] = (await home.db.keys().all()).filter((key) =>
      key.startsWith('status-pages/')
    )
    await home.db.del(path)
    await open()
    expect(lists.lost()).to.equal(true)
    expect(await codeOf(lists.signed(revocation.list))).to.equal('records-damaged')
  })

  it('hides purpose and index on the disk', async () => {
    const allocation = await allocate()
    for (const [key, value] of await home.db.contents()) {
      expect(key).to.not.include(allocation.revocation.list)
      expect(Buffer.from(value).toString('latin1')).to.not.include('revocation')
    }
  })
})
