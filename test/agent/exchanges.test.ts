import { expect } from 'chai'
import { EXPIRY_MS_MAX } from '../../agent/exchanges.ts'
import { contactOf, type Party, World } from '../parties.ts'
import { PING, profileOf, Stranger, type Written } from '../stranger.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Effects of profile messages: each new name is one entry, the first is not. */
async function nameChanges(party: Party): Promise<number> {
  const entries = await party.agent.activity.list({ limit: 500 })
  return entries.filter(({ action }) => action === 'contact-changed').length
}

/** A message that would change Bob's name. */
function renaming(times: Partial<Written>): Written {
  return { ...profileOf('Robert'), createdAt: new Date('2026-11-23T11:43:20Z'), ...times }
}

describe('exchanges', () => {
  let world: World
  let alice: Party
  let bob: Stranger
  /** Alice's DID for Bob. */
  let to: string

  beforeEach(async () => {
    world = new World()
    alice = await world.party('Alice')
    bob = new Stranger(world, 'Bob')
    to = await bob.befriend(alice)
    await bob.send(alice, to, profileOf('Bob'))
    bob.received.length = 0
  })

  afterEach(async () => {
    expect(alice.node.errors, 'receive never throws').to.be.empty
    await world[Symbol.asyncDispose]()
  })

  const at = (ms: number): Date => new Date(world.clock.now().getTime() + ms)
  const reports = (): Array<unknown> => bob.got('problem-report').map(({ body }) => body['code'])
  const reasons = (event: string): unknown[] => alice.logged(event).map(({ reason }) => reason)

  describe('who may be heard', () => {
    it('answers the ping of a contact', async () => {
      await bob.send(alice, to, { ...PING, id: 'ping-1' })
      expect(bob.got('ping-response').map(({ thid }) => thid)).to.deep.equal(['ping-1'])
    })

    const unheard: ReadonlyArray<[what: string, envelope: () => Uint8Array]> = [
      ['garbage', () => new TextEncoder().encode('{"hello":')],
      ['nothing', () => new Uint8Array()],
      ['more than 256 KiB', () => new Uint8Array(256 * 1024 + 1)],
      ['JSON 100,000 deep', () => new TextEncoder().encode('['.repeat(100_000))],
      [
        'a plaintext message',
        () => new TextEncoder().encode(JSON.stringify({ id: 'x', body: {}, ...PING }))
      ],
      ['a message whose sender is hidden', () => bob.pack(to, profileOf('X'), 'anoncrypt')],
      ['a message of someone unknown', () => new Stranger(world, 'Eve').pack(to, profileOf('X'))]
    ]
    for (const [what, envelope] of unheard)
      it(`does not answer ${what}`, async () => {
        await bob.deliver(alice, envelope())
        await world.settle()
        expect(bob.received).to.be.empty
        expect(contactOf(alice, bob.did).name).to.equal('Bob')
        expect([...reasons('envelope-refused'), ...reasons('message-refused')]).to.have.length(1)
      })

    it('takes a signed message, whose sender is as proven as by authcrypt', async () => {
      await bob.send(alice, to, profileOf('Robert'), 'sign')
      expect(contactOf(alice, bob.did).name).to.equal('Robert')
    })

    it('does not hear a contact that writes to the DID made for another', async () => {
      const carol = new Stranger(world, 'Carol')
      const toCarol = await carol.befriend(alice)
      await bob.send(alice, toCarol, profileOf('Carol'))
      expect(contactOf(alice, bob.did).name).to.equal('Bob')
      expect(reasons('message-refused')).to.deep.equal(['stranger'])
    })
  })

  describe('time', () => {
    const rows: ReadonlyArray<[what: string, times: () => Written, taken: boolean]> = [
      ['expired 300 s ago', () => renaming({ expiresAt: at(-300_000) }), true],
      ['expired 301 s ago', () => renaming({ expiresAt: at(-301_000) }), false],
      ['expired a day ago', () => renaming({ expiresAt: at(-DAY) }), false],
      ['created 300 s in the future', () => renaming({ createdAt: at(300_000) }), true],
      ['created 301 s in the future', () => renaming({ createdAt: at(301_000) }), false],
      [
        'created a day in the future',
        () => renaming({ createdAt: at(DAY), expiresAt: at(2 * DAY) }),
        false
      ],
      ['that expires before it was created', () => renaming({ expiresAt: at(-2_000_000) }), false],
      ['that expires in 90 days', () => renaming({ expiresAt: at(EXPIRY_MS_MAX) }), true],
      [
        'that expires in 90 days and a second',
        () => renaming({ expiresAt: at(EXPIRY_MS_MAX + 1000) }),
        false
      ]
    ]
    for (const [what, message, taken] of rows)
      it(`${taken ? 'takes' : 'refuses'} a message ${what}`, async () => {
        await bob.send(alice, to, message())
        expect(contactOf(alice, bob.did).name).to.equal(taken ? 'Robert' : 'Bob')
        expect(reports()).to.deep.equal(taken ? [] : ['e.p.req.time'])
      })

    it('refuses a message that changes something and never expires', async () => {
      const { expiresAt: _none, ...rest } = renaming({})
      const envelope = bob.pack(to, { ...rest, ...withoutExpiry })
      await bob.deliver(alice, envelope)
      await world.settle()
      expect(contactOf(alice, bob.did).name).to.equal('Bob')
      expect(reports()).to.deep.equal(['e.p.req.time'])
    })

    it('takes a ping that never expires', async () => {
      await bob.deliver(alice, bob.pack(to, { ...PING, ...withoutExpiry }))
      await world.settle()
      expect(bob.got('ping-response')).to.have.length(1)
    })

    it('takes nothing that is seven days old, also when the clock was set back meanwhile', async () => {
      const envelope = bob.pack(to, profileOf('Robert'))
      await bob.deliver(alice, envelope)
      await bob.send(alice, to, profileOf('Bobby'))
      world.clock.set('2026-11-22T00:00:00Z')
      await bob.deliver(alice, envelope)
      world.clock.set('2026-11-30T12:05:01Z')
      await bob.deliver(alice, envelope)
      await world.settle()
      expect(contactOf(alice, bob.did).name).to.equal('Bobby')
    })
  })

  describe('replay', () => {
    it('gives one message that comes 1,000 times one effect', async () => {
      const envelope = bob.pack(to, profileOf('Robert'))
      for (let time = 0; time < 1000; time += 1) {
        await bob.deliver(alice, envelope)
        if (time % 50 === 49) await world.pass(1000)
      }
      await world.settle()
      expect(await nameChanges(alice)).to.equal(1)
    })

    it('knows a message by its id, not its bytes', async () => {
      for (const name of ['Robert', 'Bobby'])
        await bob.send(alice, to, { ...profileOf(name), id: 'one' })
      expect(contactOf(alice, bob.did).name).to.equal('Robert')
    })

    it('knows it again when it comes over another peer', async () => {
      const envelope = bob.pack(to, profileOf('Robert'))
      await bob.deliver(alice, envelope)
      await bob.send(alice, to, profileOf('Bobby'))
      await alice.agent.receive(envelope, { transport: 'http', peer: '192.0.2.1' })
      await world.settle()
      expect(contactOf(alice, bob.did).name).to.equal('Bobby')
    })

    it('knows it again after a restart', async () => {
      const envelope = bob.pack(to, profileOf('Robert'))
      await bob.deliver(alice, envelope)
      await bob.send(alice, to, profileOf('Bobby'))
      await alice.restart()
      await bob.deliver(alice, envelope)
      await world.settle()
      expect(contactOf(alice, bob.did).name).to.equal('Bobby')
    })

    it('takes two copies that arrive together once', async () => {
      const envelope = bob.pack(to, profileOf('Robert'))
      const peers = ['one', 'two', 'three']
      await Promise.all(
        peers.map((peer) => alice.agent.receive(envelope, { transport: 'libp2p', peer }))
      )
      await world.settle()
      expect(await nameChanges(alice)).to.equal(1)
    })

    it('lets two contacts use the same id', async () => {
      const carol = new Stranger(world, 'Carol')
      const toCarol = await carol.befriend(alice)
      await bob.send(alice, to, { ...profileOf('Robert'), id: 'same' })
      await carol.send(alice, toCarol, { ...profileOf('Caroline'), id: 'same' })
      expect(contactOf(alice, carol.did).name).to.equal('Caroline')
    })

    it('acknowledges again what it knows', async () => {
      const message = { ...profileOf('Robert'), id: 'one', pleaseAck: [''] }
      for (let time = 0; time < 2; time += 1) await bob.send(alice, to, message)
      expect(bob.got('empty').map(({ ack }) => ack)).to.deep.equal([['one'], ['one']])
    })

    it('refuses again what it has refused, with the same words', async () => {
      const message: Written = {
        ...profileOf('X'),
        id: 'one',
        body: { profile: 7 },
        pleaseAck: ['']
      }
      for (let time = 0; time < 2; time += 1) await bob.send(alice, to, message)
      expect(reports()).to.deep.equal(['e.p.msg.invalid', 'e.p.msg.invalid'])
      expect(bob.got('empty')).to.be.empty
    })

    it('refuses to take more of one contact than it can remember, and of that one only', async () => {
      const small = await world.party('Small', { limits: { remembered: { perSender: 2 } } })
      const did = await bob.befriend(small)
      const other = new Stranger(world, 'Other')
      const toOther = await other.befriend(small)
      for (const name of ['One', 'Two', 'Three']) await bob.send(small, did, profileOf(name))
      await other.send(small, toOther, profileOf('Four'))
      expect(contactOf(small, bob.did).name).to.equal('Two')
      expect(contactOf(small, other.did).name).to.equal('Four')
      expect(reports()).to.deep.equal(['e.p.me.res.storage'])
      await world.pass(8 * DAY)
      await bob.send(small, did, profileOf('Three'))
      expect(contactOf(small, bob.did).name).to.equal('Three')
    })
  })

  describe('problem reports', () => {
    const UNKNOWN: Written = { type: 'https://example.org/dance/1.0/waltz', body: {} }

    it('reports a type it does not know, on the thread of the message', async () => {
      await bob.send(alice, to, { ...UNKNOWN, id: 'm1', thid: 't1' })
      const [report] = bob.got('problem-report')
      expect(report?.body['code']).to.equal('e.p.msg.unsupported')
      expect(report).to.deep.include({ pthid: 't1', ack: ['m1'] })
    })

    it('understands another minor version of a protocol it knows, and no other major', async () => {
      await bob.send(alice, to, { ...PING, type: 'https://didcomm.org/trust-ping/2.9/ping' })
      await bob.send(alice, to, { ...PING, type: 'https://didcomm.org/trust-ping/3.0/ping' })
      expect(bob.got('ping-response')).to.have.length(1)
      expect(reports()).to.deep.equal(['e.p.msg.unsupported'])
    })

    it('never answers a problem report, whatever is in it', async () => {
      const type = 'https://didcomm.org/report-problem/2.0/problem-report'
      const bodies = [
        { code: 'e.p.msg.unsupported', comment: 'no' },
        { code: 'nonsense' },
        {},
        { code: 'e.p.x', comment: 'x'.repeat(5000) }
      ]
      for (const body of bodies) await bob.send(alice, to, { type, pthid: 't1', body })
      const late = new Date(world.clock.now().getTime() - HOUR)
      await bob.send(alice, to, { type, body: {}, createdAt: late, expiresAt: late })
      expect(bob.received).to.be.empty
    })

    it('does not answer a report in another minor version or letter case of the type', async () => {
      await bob.send(alice, to, {
        type: 'https://didcomm.org/report-problem/2.1/problem-report',
        body: { code: 'e.p.x' }
      })
      expect(bob.received).to.be.empty
    })

    it('ends with one report when both sides complain', async () => {
      const dora = await world.party('Dora')
      const { url } = await alice.agent.contacts.invite()
      const { did } = await dora.agent.contacts.accept(url)
      await world.settle()
      world.network.passed.length = 0
      // Dora refuses what Alice sends; Alice must not refuse the refusal.
      const eve = new Stranger(world, 'Eve')
      const toEve = await eve.befriend(dora)
      await eve.send(dora, toEve, UNKNOWN)
      await world.pass(DAY)
      const reportsSent = eve.got('problem-report')
      expect(reportsSent).to.have.length(1)
      expect(dora.agent.contacts.get(did).state).to.equal('connected')
    })

    it('sends at most one report for a message', async () => {
      await bob.send(alice, to, { ...UNKNOWN, expiresAt: new Date(0), createdAt: new Date(0) })
      expect(reports()).to.have.length(1)
    })
  })

  describe('floods', () => {
    it('lets a contact send a burst, makes it wait, and drops what is beyond', async () => {
      const envelopes = Array.from({ length: 400 }, () => bob.pack(to, PING))
      const done = Promise.all(envelopes.map((envelope) => bob.deliver(alice, envelope)))
      await world.pass(10_000)
      await done
      const answered = bob.got('ping-response').length
      expect(answered).to.be.within(150, 250)
      expect(reasons('envelope-refused').every((reason) => reason === 'rate-limited')).to.equal(
        true
      )
      await bob.send(alice, to, { ...PING, id: 'after' })
      expect(bob.got('ping-response').at(-1)?.thid).to.equal('after')
    })

    it('hears a contact while strangers flood', async () => {
      const eve = new Stranger(world, 'Eve')
      const envelope = eve.pack(to, PING)
      const flood = Array.from({ length: 1000 }, (_, peer) =>
        alice.agent.receive(envelope, { transport: 'libp2p', peer: `stranger-${peer}` })
      )
      await bob.send(alice, to, { ...PING, id: 'meanwhile' })
      expect(bob.got('ping-response').map(({ thid }) => thid)).to.deep.equal(['meanwhile'])
      await world.pass(10_000)
      await Promise.all(flood)
      expect(reasons('message-refused').length).to.be.at.most(250)
    })
  })

  describe('faults of ours', () => {
    it('processes a message exactly once when its batch fails the first time', async () => {
      let failures = 0
      alice.db.batchFails = () => {
        failures += 1
        return failures === 1 ? { error: new Error('disk'), written: false } : undefined
      }
      await bob.send(alice, to, profileOf('Robert'))
      expect(contactOf(alice, bob.did).name).to.equal('Bob')
      await world.pass(MINUTE)
      expect(contactOf(alice, bob.did).name).to.equal('Robert')
      expect(await nameChanges(alice)).to.equal(1)
      expect(alice.spoolFiles.files.size).to.equal(0)
    })

    it('keeps the order of messages when the first of them fails', async () => {
      let failures = 0
      alice.db.batchFails = () => {
        failures += 1
        return failures === 1 ? { error: new Error('disk'), written: false } : undefined
      }
      await bob.send(alice, to, profileOf('One'))
      await bob.send(alice, to, profileOf('Two'))
      expect(contactOf(alice, bob.did).name).to.equal('Bob')
      await world.pass(MINUTE)
      expect(await nameChanges(alice)).to.equal(2)
      expect(contactOf(alice, bob.did).name).to.equal('Two')
    })
  })

  describe('names that are words of the language', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      it(`takes ${name} as message id, thread and name`, async () => {
        const message = { ...profileOf(name), id: name, thid: name, pleaseAck: [''] }
        await bob.send(alice, to, message)
        expect(contactOf(alice, bob.did).name).to.equal(name)
        expect(alice.agent.contacts.get(name).did).to.equal(bob.did)
        expect(bob.got('empty')[0]?.ack).to.deep.equal([name])
      })
  })
})

/** As a sender that sets no expiry: undefined takes the default of {@link Stranger.pack} away. */
const withoutExpiry = { expiresAt: undefined } as unknown as Partial<Written>
