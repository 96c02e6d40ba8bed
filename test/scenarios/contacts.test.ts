/**
 * How people and institutions get to know each other, and stay in touch over a network that fails.
 *
 * 1. Alice, a graduate, with an agent on her laptop.
 * 2. The university, whose agent runs all day and has a public listener.
 * 3. Mallory, who has got hold of Alice's invitation.
 */
import { expect } from 'chai'
import { until } from '../clock.ts'
import { connect, contactOf, type Party, World } from '../parties.ts'
import { profileOf, Stranger } from '../stranger.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Networks that fail, each in its own way, with 30 requests: 1,200 in all with SLOW=1 (decision 42). */
const NETWORKS = process.env['SLOW'] === '1' ? 40 : 5

describe('scenario: contacts', () => {
  let world: World
  let alice: Party
  let university: Party

  afterEach(() => world[Symbol.asyncDispose]())

  const begin = async (seed = 1): Promise<void> => {
    world = new World(seed)
    alice = await world.party('Alice')
    university = await world.party('University', { publicUrl: 'https://uni.example' })
  }

  /** What the university has been asked for, oldest first. */
  const asked = (): string[] =>
    university.agent
      .inbox()
      .map(({ subject }) => subject)
      .toSorted()

  it('becomes a contact over a closed laptop, a used invitation and a move', async () => {
    await begin()

    // Alice prints an invitation and closes the laptop.
    const { url } = await alice.agent.contacts.invite()
    alice.node.away = true

    // The university scans it. It cannot reach Alice, and says so.
    await university.agent.contacts.accept(url, { name: 'Student 4711' })
    await world.settle()
    expect(university.agent.contacts.list()).to.have.length(1)
    expect(university.agent.contacts.get('student 4711').state).to.equal('waiting')
    expect(university.agent.outbox().every(({ state }) => state === 'waiting')).to.equal(true)

    // Three hours later the laptop is on again; the locker is still sealed.
    await alice.agent.vault.seal()
    await world.pass(3 * HOUR)
    alice.node.away = false
    await world.pass(HOUR)
    expect(alice.spoolFiles.files.size).to.be.greaterThan(0)

    // Alice unlocks: the university is there, under the name it gives itself.
    await alice.open()
    await world.pass(MINUTE)
    expect(alice.agent.contacts.list().map(({ name }) => name)).to.deep.equal(['University'])
    expect(university.agent.contacts.get('Student 4711')).to.include({
      state: 'connected',
      claimedName: 'Alice'
    })

    // Mallory answers the same invitation and is told that it is used; Alice sees nothing of it.
    const mallory = await world.party('Mallory')
    await mallory.agent.contacts.accept(url)
    await world.settle()
    expect(mallory.agent.contacts.list()[0]?.problem).to.match(/invitation-used/)
    expect(alice.agent.contacts.list()).to.have.length(1)

    // The university moves to another host while Alice is away, and finds her when she is back.
    await alice.stop()
    const host = world.network.join('new host', { publicUrl: 'https://new.uni.example' })
    university.node.endpoints = () => host.endpoints()
    await university.restart()
    host.receiver = university.agent
    await university.agent.sharing.request({
      from: 'Student 4711',
      wanted: 'school certificate',
      purpose: 'enrolment'
    })
    await world.pass(MINUTE)
    await alice.start()
    await alice.open()
    await world.pass(HOUR)
    expect(alice.agent.inbox().map(({ subject }) => subject)).to.deep.equal(['school certificate'])
    const { did } = university.agent.contacts.get('Student 4711')
    expect(contactOf(alice, alice.agent.contacts.get('University').did).currentDid).to.equal(
      university.agent.contacts.get(did).ourDid
    )
    expect(await alice.agent.contacts.ping('University')).to.equal(0)
  })

  it('reaches an agent whose peer-to-peer address does not answer by its public listener', async () => {
    await begin()
    const { inviter } = await connect(university, alice)
    const send = alice.node.send.bind(alice.node)
    const ways: string[] = []
    alice.node.send = async (to, envelope, options) => {
      ways.push(to.kind)
      if (to.kind === 'libp2p') throw new Error('no route')
      await send(to, envelope, options)
    }
    expect(await alice.agent.contacts.ping(inviter.did)).to.equal(0)
    expect(ways).to.deep.equal(['libp2p', 'http'])
  })

  for (const seed of Array.from({ length: NETWORKS }, (_, number) => number + 1))
    it(`brings 30 requests once each over a network that loses, doubles and reorders (seed ${seed})`, async () => {
      await begin(seed)
      const { inviter } = await connect(university, alice)
      Object.assign(world.network.faults, { drop: 0.3, duplicate: 0.3, reorder: 0.3, delayMs: 20 })
      const wanted = Array.from({ length: 30 }, (_, number) => `document ${100 + number}`)
      for (const [position, each] of wanted.entries()) {
        await alice.agent.sharing.request({ from: inviter.did, wanted: each, purpose: 'x' })
        if (position % 10 === 5) university.node.away = true
        if (position % 10 === 9) university.node.away = false
        await world.clock.advance(MINUTE / 2)
      }
      for (let hours = 0; hours < 24; hours += 1) {
        await world.clock.advance(HOUR)
        world.network.release()
      }
      // Where five tries were lost, the next comes after a day: a message lives for seven.
      for (let days = 1; days < 7; days += 1) {
        await world.clock.advance(DAY)
        world.network.release()
      }
      expect(asked()).to.deep.equal(wanted)
      expect(alice.agent.outbox().filter(({ state }) => state !== 'sent')).to.be.empty
    })

  for (const seed of [11, 12, 13])
    it(`loses and doubles nothing when both agents are killed at any moment (seed ${seed})`, async () => {
      await begin(seed)
      const { inviter } = await connect(university, alice)
      let random = seed
      const chance = (): number => {
        random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0
        return random / 2 ** 32
      }
      const acknowledged: string[] = []
      for (let number = 0; number < 40; number += 1) {
        const wanted = `document ${100 + number}`
        const asking = alice.agent.sharing
          .request({ from: inviter.did, wanted, purpose: 'x' })
          .then(() => acknowledged.push(wanted))
          .catch(() => undefined)
        const [turn, who] = [Math.floor(chance() * 12), chance()]
        for (let count = 0; count < turn; count += 1)
          await new Promise((resolve) => setImmediate(resolve))
        if (who < 0.3) await revive(alice)
        else if (who < 0.6) await revive(university)
        await Promise.race([asking, world.clock.advance(1000)])
      }
      for (let hours = 0; hours < 12; hours += 1) await world.clock.advance(HOUR)
      await world.settle()
      const arrived = asked()
      expect(new Set(arrived).size, 'nothing arrives twice').to.equal(arrived.length)
      expect(arrived).to.include.members(acknowledged)
      expect(acknowledged.length).to.be.greaterThan(20)
    })

  it('answers a contact that shows up with all that waited for it, in order', async () => {
    await begin()
    const bob = new Stranger(world, 'Bob')
    const to = await bob.befriend(alice)
    bob.node.away = true
    for (const wanted of ['first', 'second', 'third'])
      await alice.agent.sharing.request({ from: bob.did, wanted, purpose: 'x' })
    await world.pass(DAY)
    bob.node.away = false
    await bob.send(alice, to, profileOf('Bob is back'))
    await until(() => bob.got('request').length === 3, 'three requests arrive')
    expect(bob.got('request').map(({ body }) => body['wanted'])).to.deep.equal([
      'first',
      'second',
      'third'
    ])
  })
})

async function revive(party: Party): Promise<void> {
  await party.kill()
  await party.start()
  await party.open()
}
