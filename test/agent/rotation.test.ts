import { expect } from 'chai'
import { connect, contactOf, type Party, World } from '../parties.ts'
import { PING, profileOf, Stranger } from '../stranger.ts'

const DAY = 24 * 3_600_000

describe('rotation', () => {
  let world: World
  let alice: Party
  let bob: Stranger
  let to: string
  let handle: string

  beforeEach(async () => {
    world = new World()
    alice = await world.party('Alice')
    bob = new Stranger(world, 'Bob')
    to = await bob.befriend(alice)
    handle = bob.did
  })

  afterEach(() => world[Symbol.asyncDispose]())

  const at = (ms: number): Date => new Date(world.clock.now().getTime() + ms)

  it('follows a contact to its new DID, in the batch of the message that says so', async () => {
    const fromPrior = bob.rotate()
    await bob.send(alice, to, { ...profileOf('Robert'), fromPrior })
    expect(contactOf(alice, handle)).to.include({ currentDid: bob.did, name: 'Robert' })
    expect(alice.agent.contacts.get(bob.did).did).to.equal(handle)
    await bob.send(alice, to, { ...PING, id: 'after', fromPrior })
    expect(bob.got('ping-response').at(-1)).to.deep.include({ thid: 'after', to: [bob.did] })
  })

  it('takes what was sent from the old DID for a day more', async () => {
    const before = bob.pack(to, { ...profileOf('Early'), expiresAt: at(3 * DAY) })
    const late = bob.pack(to, { ...profileOf('Late'), expiresAt: at(3 * DAY) })
    await bob.send(alice, to, { ...PING, fromPrior: bob.rotate() })
    await bob.deliver(alice, before)
    await world.settle()
    expect(contactOf(alice, handle).name).to.equal('Early')
    await world.pass(DAY)
    await bob.deliver(alice, late)
    await world.settle()
    expect(contactOf(alice, handle).name).to.equal('Early')
    expect(alice.logged('message-refused').map(({ reason }) => reason)).to.deep.equal([
      'former-did'
    ])
  })

  it('does not follow to a DID that the old one has not signed for', async () => {
    const eve = new Stranger(world, 'Eve')
    // Eve's own rotation, claimed to be Bob's: the JWT is of another issuer.
    const fromPrior = eve.rotate()
    await eve.send(alice, to, { ...PING, fromPrior })
    expect(contactOf(alice, handle).currentDid).to.equal(undefined)
    expect(eve.received).to.be.empty
  })

  it('moves to a new DID when its PeerId has changed, and says so until it is answered', async () => {
    const moved = world.network.join('Alice on another machine')
    const before = contactOf(alice, handle).ourDid
    alice.node.endpoints = () => moved.endpoints()
    bob.received.length = 0
    await alice.restart()
    await world.settle()
    const ours = contactOf(alice, handle).ourDid
    expect(ours).to.not.equal(before)
    const [greeting] = bob.got('ping')
    expect(greeting).to.include({ from: ours })
    expect(greeting?.from_prior).to.be.a('string')
    await alice.agent.rename('Alicia')
    await world.settle()
    expect(bob.got('profile').at(-1)?.from_prior).to.be.a('string')
    await bob.send(alice, ours, PING)
    expect(bob.got('ping-response').at(-1)).to.not.have.property('from_prior')
  })

  it('still opens what is sent to its old DID', async () => {
    alice.node.endpoints = () => world.network.join('elsewhere').endpoints()
    await alice.restart()
    await bob.send(alice, to, profileOf('Robert'))
    expect(contactOf(alice, handle).name).to.equal('Robert')
  })

  it('is understood by another agent of ours, twice in a row, over the loss of messages', async () => {
    const dora = await world.party('Dora')
    const { guest, inviter } = await connect(alice, dora)
    for (const place of ['second machine', 'third machine']) {
      const moved = world.network.join(place)
      moved.receiver = undefined
      alice.node.endpoints = () => moved.endpoints()
      world.network.faults.drop = 1
      await alice.restart()
      await world.pass(1000)
      world.network.faults.drop = 0
      moved.receiver = alice.agent
    }
    await alice.restart()
    await world.pass(1000)
    expect(contactOf(dora, inviter.did).currentDid).to.equal(contactOf(alice, guest.did).ourDid)
  })
})
