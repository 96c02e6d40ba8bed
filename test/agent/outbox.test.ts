import { expect } from 'chai'
import { openAudit, type Audit } from '../../agent/audit.ts'
import { LockerError } from '../../agent/errors.ts'
import type { DeliveryOutcome, Letter } from '../../agent/delivery.ts'
import { openOutbox, type DurableOutbox, type OutgoingMessage } from '../../agent/outbox.ts'
import { LIFETIME_MS, PLAINTEXT_BYTES_MAX } from '../../agent/outbox-item.ts'
import type { Records } from '../../agent/records.ts'
import { FakeClock, turns } from '../clock.ts'
import { secureRandom } from './faults.ts'
import { Home } from './record-home.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const AWAY: DeliveryOutcome = { ok: false, error: 'peer-unreachable: away', final: false }
const NOTE = { type: 'https://example.org/note/1.0/note', body: { text: 'hello' } }

/** An outbox over real records, whose delivery does what the test says. */
class Desk {
  readonly home = new Home()
  readonly clock = new FakeClock()
  /** Ids of letters in the order they were tried, with when. */
  readonly tried: Array<{ id: string; to: string; letter: Letter; at: number }> = []
  readonly contacts = new Set(['did:bob', 'did:carol'])
  /** Decides about each attempt. */
  outcome: (letter: Letter, to: string) => DeliveryOutcome | Promise<DeliveryOutcome> = () => ({
    ok: true
  })
  #records: Records | undefined
  #outbox: DurableOutbox | undefined
  #audit: Audit | undefined
  readonly #start = this.clock.now().getTime()

  get outbox(): DurableOutbox {
    if (this.#outbox === undefined) throw new Error('not open')
    return this.#outbox
  }

  get records(): Records {
    if (this.#records === undefined) throw new Error('not open')
    return this.#records
  }

  async open(itemsMax?: number): Promise<void> {
    this.#records = await this.home.open()
    this.#audit = await openAudit({ records: this.#records, clock: this.clock })
    this.#outbox = await openOutbox({
      records: this.#records,
      audit: this.#audit,
      delivery: {
        deliver: async (letter, route) => {
          const to = 'contact' in route ? route.contact : route.stranger
          const at = this.clock.now().getTime() - this.#start
          this.tried.push({ id: letter.id, to, letter, at })
          return this.outcome(letter, to)
        }
      },
      recipient: (did) => (this.contacts.has(did) ? { did, name: did.slice(4) } : undefined),
      clock: this.clock,
      random: secureRandom,
      logger: this.home.logger,
      ...(itemsMax === undefined ? {} : { itemsMax })
    })
    this.#outbox.begin()
  }

  /** Actions in the activity, oldest first, with the reason given. */
  async activity(): Promise<ReadonlyArray<readonly [action: string, reason: unknown]>> {
    const entries = (await this.#audit?.list()) ?? []
    return entries.map(({ action, details }) => [action, details?.['reason']] as const).toReversed()
  }

  async close(): Promise<void> {
    await this.outbox.close()
    await this.records.close()
  }

  async reopen(): Promise<void> {
    await this.close()
    await this.open()
  }

  /** Queues a message; by default to Bob. */
  async post(message: Partial<OutgoingMessage> = {}): Promise<string> {
    const id = await this.records.change((batch) =>
      this.outbox.enqueue(batch, { to: 'did:bob', ...NOTE, ...message })
    )
    await turns()
    return id
  }

  state(id: string): string | undefined {
    return this.outbox.get(id)?.state
  }

  times(id: string): number[] {
    return this.tried.filter((each) => each.id === id).map(({ at }) => at)
  }
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof LockerError) return error.code
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('outbox', () => {
  let desk: Desk

  beforeEach(async () => {
    desk = new Desk()
    await desk.open()
  })

  afterEach(() => desk.close())

  it('sends what is queued, once the batch is durable', async () => {
    const id = await desk.post()
    expect(desk.times(id)).to.deep.equal([0])
    expect(desk.state(id)).to.equal('sent')
  })

  it('sends nothing of a batch that fails', async () => {
    desk.home.db.batchFails = () => ({ error: new Error('disk'), written: false })
    expect(await failure(desk.post())).to.equal('storage-failed')
    desk.home.db.batchFails = undefined
    await desk.clock.advance(DAY)
    expect(desk.tried).to.be.empty
    expect(desk.outbox.list()).to.be.empty
  })

  it('gives each message its id, its thread and its expiry', async () => {
    const id = await desk.post({ thid: 't1', pthid: 'p1', ack: ['a1'] })
    const [sent] = desk.tried
    const nowSeconds = desk.clock.now().getTime() / 1000
    expect(sent?.letter).to.deep.include({ id, thid: 't1', pthid: 'p1', ack: ['a1'] })
    expect(sent?.letter).to.deep.include({ body: NOTE.body, pleaseAck: true })
    expect(sent?.letter.expiresTime).to.equal(nowSeconds + LIFETIME_MS / 1000)
    const other = await desk.post({ id: 'chosen' })
    expect(other).to.equal('chosen')
  })

  it('does not change with the object it was given', async () => {
    desk.outcome = () => AWAY
    const body = { list: ['one'] }
    const id = await desk.post({ body })
    body.list.push('two')
    await desk.clock.advance(5_000)
    expect(desk.tried.at(-1)).to.deep.include({ id })
    expect(desk.tried.at(-1)?.letter.body).to.deep.equal({ list: ['one'] })
  })

  it('tries again after 5 s, 30 s, 2 min, 10 min, 1 h, and then each hour', async () => {
    desk.outcome = () => AWAY
    const id = await desk.post()
    await desk.clock.advance(3 * HOUR + 15 * MINUTE)
    const pauses = desk.times(id).map((at, position, all) => at - (all[position - 1] ?? 0))
    expect(pauses).to.deep.equal([0, 5_000, 30_000, 120_000, 600_000, HOUR, HOUR, HOUR])
    expect(desk.outbox.get(id)).to.include({
      state: 'waiting',
      attempts: 8,
      lastError: 'peer-unreachable: away'
    })
  })

  it('shows when the next attempt is', async () => {
    desk.outcome = () => AWAY
    const id = await desk.post()
    expect(desk.outbox.get(id)?.nextAttemptAt).to.equal('2026-11-23T12:00:05.000Z')
  })

  it('tries at once when the contact shows up, and not again within two seconds', async () => {
    desk.outcome = () => AWAY
    const id = await desk.post()
    await desk.clock.advance(10_000)
    for (let time = 0; time < 3; time += 1) {
      desk.outbox.wake('did:bob')
      await turns()
    }
    expect(desk.times(id)).to.deep.equal([0, 5_000, 10_000])
  })

  it('keeps the order for one contact, and does not let one wait for another', async () => {
    desk.outcome = (_letter, to) => (to === 'did:bob' ? AWAY : { ok: true })
    const first = await desk.post()
    const second = await desk.post()
    const carols = await desk.post({ to: 'did:carol' })
    expect(desk.state(carols)).to.equal('sent')
    expect(desk.times(second)).to.be.empty
    desk.outcome = () => ({ ok: true })
    await desk.clock.advance(5_000)
    const order = desk.tried.filter(({ to }) => to === 'did:bob').map(({ id }) => id)
    expect(order).to.deep.equal([first, first, second])
  })

  it('has one message to a contact on its way at a time', async () => {
    let underWay = 0
    let most = 0
    desk.outcome = async () => {
      underWay += 1
      most = Math.max(most, underWay)
      await turns(3)
      underWay -= 1
      return { ok: true }
    }
    for (let count = 0; count < 5; count += 1) void desk.post()
    await turns(100)
    expect([most, desk.tried.length]).to.deep.equal([1, 5])
  })

  it('paces what it sends to one contact below what others accept', async () => {
    await desk.records.change((batch) => {
      for (let count = 0; count < 150; count += 1)
        desk.outbox.enqueue(batch, { to: 'did:bob', ...NOTE })
    })
    await turns(3000)
    expect(desk.tried).to.have.length(60)
    await desk.clock.advance(1000)
    expect(desk.tried).to.have.length(100)
  })

  it('gives up visibly when the message expires', async () => {
    desk.outcome = () => AWAY
    const id = await desk.post({ expiresAt: new Date(desk.clock.now().getTime() + HOUR) })
    const behind = await desk.post()
    await desk.clock.advance(HOUR)
    expect(desk.outbox.get(id)?.state).to.equal('failed')
    expect(desk.outbox.get(id)?.lastError).to.match(/^message-expired: .*peer-unreachable: away$/)
    expect(desk.times(behind), 'the next one had its turn').to.not.be.empty
  })

  it('gives up at once on what no attempt can mend', async () => {
    desk.outcome = () => ({ ok: false, error: 'limit-exceeded: too large', final: true })
    const id = await desk.post()
    expect(desk.outbox.get(id)).to.include({ state: 'failed', attempts: 1 })
    expect(await desk.activity()).to.deep.equal([['message-given-up', 'limit-exceeded: too large']])
  })

  it('tries a failed message anew, with its whole lifetime', async () => {
    desk.outcome = () => AWAY
    const id = await desk.post({ expiresAt: new Date(desk.clock.now().getTime() + HOUR) })
    await desk.clock.advance(2 * HOUR)
    desk.outcome = () => ({ ok: true })
    await desk.outbox.retry(id)
    await turns()
    expect(desk.state(id)).to.equal('sent')
    const { createdTime, expiresTime } = desk.tried.at(-1)?.letter ?? {
      createdTime: 0,
      expiresTime: 0
    }
    expect(expiresTime - createdTime).to.equal(3600)
  })

  it('knows nothing to retry under another id, or once it is sent', async () => {
    expect(await failure(desk.outbox.retry('nothing'))).to.equal('not-found')
    expect(await failure(desk.outbox.retry(await desk.post()))).to.equal('not-found')
  })

  it('says what is being sent while it is', async () => {
    const attempt = Promise.withResolvers<DeliveryOutcome>()
    desk.outcome = () => attempt.promise
    const states: string[] = []
    desk.outbox.onChange(({ state }) => states.push(state))
    await desk.post()
    attempt.resolve({ ok: true })
    await turns()
    expect(states).to.deep.equal(['waiting', 'sending', 'sent'])
  })

  describe('acknowledgements', () => {
    it('sends again, with the same id, until there is one', async () => {
      const id = await desk.post()
      await desk.clock.advance(12 * MINUTE)
      expect(desk.times(id)).to.deep.equal([0, MINUTE, 11 * MINUTE])
      await desk.records.change((batch) => desk.outbox.acknowledge(batch, 'did:bob', [id]))
      await desk.clock.advance(DAY - 13 * MINUTE)
      expect(desk.times(id)).to.have.length(3)
      expect(desk.outbox.get(id)?.acknowledgedAt).to.be.a('string')
    })

    it('leaves it as sent when there never is one', async () => {
      const id = await desk.post()
      await desk.clock.advance(7 * DAY - 1)
      expect(desk.times(id)).to.have.length(11)
      expect(desk.state(id)).to.equal('sent')
      await desk.clock.advance(3 * DAY)
      expect(desk.times(id)).to.have.length(11)
      expect(desk.state(id), 'listed no longer').to.equal(undefined)
    })

    it('sends once what asks for none', async () => {
      const id = await desk.post({ pleaseAck: false })
      await desk.clock.advance(20 * HOUR)
      expect(desk.times(id)).to.have.length(1)
    })

    it('takes none from another contact', async () => {
      const id = await desk.post()
      await desk.records.change((batch) => desk.outbox.acknowledge(batch, 'did:carol', [id]))
      expect(desk.outbox.get(id)?.acknowledgedAt).to.equal(undefined)
    })

    it('sends again when the contact comes back: it may have been killed before it stored the message', async () => {
      const id = await desk.post()
      await desk.clock.advance(40_000)
      desk.outbox.wake('did:bob')
      await turns()
      expect(desk.times(id)).to.deep.equal([0, 40_000])
    })

    it('goes on after a restart', async () => {
      const id = await desk.post()
      await desk.reopen()
      await desk.clock.advance(MINUTE)
      expect(desk.times(id)).to.deep.equal([0, MINUTE])
    })
  })

  describe('refusals', () => {
    const report = { code: 'e.p.msg.unsupported', comment: 'no such protocol' }

    it('marks the message that a problem report names', async () => {
      const id = await desk.post()
      await desk.records.change((batch) =>
        desk.outbox.refuse(batch, 'did:bob', { ...report, ack: [id], thid: 'other' })
      )
      expect(desk.outbox.get(id)).to.include({
        state: 'failed',
        lastError: 'e.p.msg.unsupported: no such protocol'
      })
      expect(await failure(desk.outbox.retry(id))).to.equal('peer-refused')
    })

    it('marks the last message of the thread when it names none', async () => {
      const opening = await desk.post()
      const last = await desk.post({ thid: opening })
      await desk.records.change((batch) =>
        desk.outbox.refuse(batch, 'did:bob', { ...report, ack: [], thid: opening })
      )
      expect([desk.state(opening), desk.state(last)]).to.deep.equal(['sent', 'failed'])
    })

    it('lets no contact refuse what went to another', async () => {
      const id = await desk.post()
      await desk.records.change((batch) =>
        desk.outbox.refuse(batch, 'did:carol', { ...report, ack: [id], thid: id })
      )
      expect(desk.state(id)).to.equal('sent')
    })
  })

  it('goes on after a restart, in the same order', async () => {
    desk.outcome = () => AWAY
    const ids = [await desk.post(), await desk.post(), await desk.post()]
    await desk.close()
    desk.outcome = () => ({ ok: true })
    desk.tried.length = 0
    await desk.open()
    await desk.clock.advance(5_000)
    expect(desk.tried.map(({ id }) => id)).to.deep.equal(ids)
    const later = await desk.post()
    expect(desk.outbox.list().map(({ id }) => id)).to.deep.equal([...ids, later])
  })

  it('tries again what was on its way when it was closed, without counting it as failed', async () => {
    const attempt = Promise.withResolvers<DeliveryOutcome>()
    desk.outcome = () => attempt.promise
    const id = await desk.post()
    const closing = desk.close()
    attempt.resolve({ ok: false, error: 'the vault was sealed', final: false })
    await closing
    desk.outcome = () => ({ ok: true })
    await desk.open()
    await turns()
    expect(desk.outbox.get(id)).to.include({ state: 'sent', attempts: 1 })
  })

  it('keeps going when an outcome cannot be stored', async () => {
    desk.outcome = () => {
      desk.home.db.batchFails = () => {
        desk.home.db.batchFails = undefined
        return { error: new Error('disk'), written: false }
      }
      return { ok: true }
    }
    const id = await desk.post()
    desk.outcome = () => ({ ok: true })
    expect(desk.state(id)).to.equal('waiting')
    await desk.clock.advance(30_000)
    expect(desk.state(id)).to.equal('sent')
  })

  it('lists what was sent for a day and what failed for a week', async () => {
    const sent = await desk.post({ pleaseAck: false })
    desk.outcome = () => ({ ok: false, error: 'x', final: true })
    const failed = await desk.post()
    await desk.clock.advance(DAY - HOUR)
    expect([desk.state(sent), desk.state(failed)]).to.deep.equal(['sent', 'failed'])
    await desk.clock.advance(2 * HOUR)
    expect([desk.state(sent), desk.state(failed)]).to.deep.equal([undefined, 'failed'])
    await desk.clock.advance(6 * DAY)
    expect(desk.state(failed)).to.equal(undefined)
  })

  it('refuses one message more than it may hold, also within one batch', async () => {
    await desk.close()
    await desk.open(3)
    desk.outcome = () => AWAY
    await desk.post()
    const three = desk.records.change((batch) => {
      for (let count = 0; count < 3; count += 1)
        desk.outbox.enqueue(batch, { to: 'did:bob', ...NOTE })
    })
    expect(await failure(three)).to.equal('outbox-full')
    await desk.post()
    await desk.post()
    expect(await failure(desk.post())).to.equal('outbox-full')
  })

  it('refuses a message that no envelope can hold, and takes the largest that one can', async () => {
    expect(await failure(desk.post({ body: { text: 'x'.repeat(PLAINTEXT_BYTES_MAX) } }))).to.equal(
      'envelope-too-large'
    )
    await desk.post({ body: { text: 'x'.repeat(PLAINTEXT_BYTES_MAX - 1_000) } })
  })

  it('refuses a message to nobody', async () => {
    expect(await failure(desk.post({ to: 'did:nobody' }))).to.equal('contact-unknown')
  })

  it('drops what waits for a contact that is removed, and leaves the others', async () => {
    desk.outcome = () => AWAY
    await desk.post()
    const carols = await desk.post({ to: 'did:carol' })
    const dropped = await desk.records.change((batch) => desk.outbox.drop(batch, 'did:bob'))
    expect(dropped).to.equal(1)
    expect(desk.outbox.list().map(({ id }) => id)).to.deep.equal([carols])
    desk.tried.length = 0
    await desk.clock.advance(HOUR)
    expect(desk.tried.every(({ to }) => to === 'did:carol')).to.equal(true)
  })

  it('says when nothing more can be done for a contact now', async () => {
    desk.outcome = () => AWAY
    await desk.post()
    let drained = false
    void desk.outbox.drained('did:bob', 5_000).then(() => (drained = true))
    await turns()
    expect(drained, 'an attempt has failed').to.equal(true)
    await desk.outbox.drained('did:carol', 5_000)
  })
})
