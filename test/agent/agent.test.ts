import { expect } from 'chai'
import type { Agent, AgentEvent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { turns } from '../clock.ts'
import { connect, contactOf, type Party, PASSPHRASE, World } from '../parties.ts'
import { PING, profileOf, Stranger } from '../stranger.ts'

const HOUR = 3_600_000
const SECRET = { kind: 'passphrase', passphrase: PASSPHRASE } as const

async function code(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof LockerError) return error.code
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Names that contacts have given themselves after their first, in the order they were processed. */
async function changes(party: Party): Promise<string[]> {
  return (await party.agent.activity.list())
    .filter(({ action }) => action === 'contact-changed')
    .map(({ details }) => String(details?.['claimedName']))
    .toReversed()
}

/** One call through every door. */
const DOORS: Readonly<Record<string, (agent: Agent) => unknown>> = {
  owner: (agent) => agent.owner(),
  rename: (agent) => agent.rename('X'),
  documents: (agent) => agent.documents.list(),
  search: (agent) => agent.documents.search('x'),
  contacts: (agent) => agent.contacts.list(),
  invite: (agent) => agent.contacts.invite(),
  sharing: (agent) => agent.sharing.grants(),
  request: (agent) => agent.sharing.request({ from: 'x', wanted: 'x', purpose: 'x' }),
  links: (agent) => agent.links.list(),
  activity: (agent) => agent.activity.list(),
  credentials: (agent) => agent.credentials.list(),
  issuance: (agent) => agent.issuance.list(),
  issued: (agent) => agent.issuance.issued(),
  issuer: (agent) => agent.issuer.facts(),
  types: (agent) => agent.types.list(),
  registry: (agent) => agent.registry.counts(),
  staff: (agent) => agent.staff.list(),
  statusLists: (agent) => agent.statusLists.list(),
  inbox: (agent) => agent.inbox(),
  outbox: (agent) => agent.outbox(),
  retryOutbox: (agent) => agent.retryOutbox('x'),
  tokens: (agent) => agent.tokens.list(),
  backup: (agent) => agent.backup.create(),
  confirmRecovery: (agent) => agent.vault.confirmRecovery({})
}

describe('agent', () => {
  let world: World
  let alice: Party

  beforeEach(async () => {
    world = new World()
    alice = await world.party('Alice')
  })

  afterEach(() => world[Symbol.asyncDispose]())

  describe('opening and sealing', () => {
    for (const [door, call] of Object.entries(DOORS))
      it(`says vault-sealed at ${door} while the vault is sealed`, async () => {
        await alice.agent.vault.seal()
        expect(await code(() => call(alice.agent))).to.equal('vault-sealed')
        await alice.open()
        if (!['request', 'retryOutbox', 'confirmRecovery'].includes(door)) await call(alice.agent)
      })

    it('goes from new to open to sealed and back', async () => {
      const states = [alice.agent.vault.state]
      await alice.agent.vault.seal()
      states.push(alice.agent.vault.state)
      const opening = alice.open()
      await Promise.resolve()
      states.push(alice.agent.vault.state)
      await opening
      states.push(alice.agent.vault.state)
      expect(states).to.deep.equal(['open', 'sealed', 'opening', 'open'])
      await alice.stop()
      await alice.start()
      expect(alice.agent.vault.state).to.equal('sealed')
    })

    it('is new before a locker was made, and takes no envelope then', async () => {
      const fresh = await world.party('Fresh')
      await fresh.stop()
      fresh.vaultFiles.files.clear()
      await fresh.start()
      expect(fresh.agent.vault.state).to.equal('new')
      await fresh.agent.receive(new Uint8Array(10), { transport: 'http' })
      expect(fresh.spoolFiles.files.size).to.equal(0)
      expect(await code(() => fresh.open())).to.equal('vault-absent')
    })

    it('makes one locker in a home', async () => {
      expect(await code(() => alice.create())).to.equal('vault-exists')
      expect(alice.agent.vault.state).to.equal('open')
      await alice.agent.vault.seal()
      expect(await code(() => alice.create())).to.equal('vault-exists')
      expect(alice.agent.vault.state).to.equal('sealed')
    })

    it('opens once when it is asked ten times together', async () => {
      await alice.agent.vault.seal()
      await Promise.all(Array.from({ length: 10 }, () => alice.open()))
      const entries = await alice.agent.activity.list()
      expect(entries.filter(({ action }) => action === 'vault-opened')).to.have.length(1)
    })

    it('stays sealed for a wrong passphrase, and open when it is open', async () => {
      const wrong = { kind: 'passphrase', passphrase: 'not the one of this locker' } as const
      expect(await code(() => alice.agent.vault.open(wrong))).to.equal('vault-secret-wrong')
      expect(alice.agent.vault.state).to.equal('open')
      await alice.agent.vault.seal()
      expect(await code(() => alice.agent.vault.open(wrong))).to.equal('vault-secret-wrong')
      expect(alice.agent.vault.state).to.equal('sealed')
    })

    it('stays sealed when opening fails halfway, says why, and opens when the cause is gone', async () => {
      await alice.agent.vault.seal()
      alice.db.batchFails = () => ({ error: new Error('disk'), written: false })
      expect(await code(() => alice.open())).to.equal('storage-failed')
      expect(alice.agent.vault.state).to.equal('sealed')
      expect(await code(() => alice.agent.documents.list())).to.equal('vault-sealed')
      alice.db.batchFails = undefined
      await alice.open()
      expect(alice.agent.owner().name).to.equal('Alice')
    })

    it('ends sealed when it is sealed while it opens', async () => {
      await alice.agent.vault.seal()
      const opening = alice.open()
      await alice.agent.vault.seal()
      await opening.catch(() => undefined)
      expect(alice.agent.vault.state).to.equal('sealed')
    })

    it('seals although nothing can be written any more', async () => {
      alice.db.batchFails = () => ({ error: new Error('disk'), written: false })
      const bob = new Stranger(world, 'Bob')
      await alice.agent.vault.seal().catch(() => undefined)
      expect(alice.agent.vault.state).to.equal('sealed')
      alice.db.batchFails = undefined
      await alice.open()
      await bob.befriend(alice)
    })

    it('seals by itself when no feature was used for so long', async () => {
      const idle = await world.party('Idle', { limits: { idleMs: HOUR } })
      const bob = new Stranger(world, 'Bob')
      const to = await bob.befriend(idle)
      await world.pass(HOUR - 1)
      idle.agent.documents.list()
      await world.pass(HOUR - 1)
      await bob.send(idle, to, PING)
      expect(idle.agent.vault.state, 'messages of others are no use of it').to.equal('open')
      await world.pass(1)
      expect(idle.agent.vault.state).to.equal('sealed')
    })

    it('writes down when it was opened and sealed', async () => {
      await alice.agent.vault.seal()
      await alice.open()
      const actions = (await alice.agent.activity.list()).map(({ action }) => action)
      expect(actions).to.deep.equal(['vault-opened', 'vault-sealed', 'locker-created'])
    })

    it('names what is damaged, and opens the rest', async () => {
      const bob = new Stranger(world, 'Bob')
      await bob.befriend(alice)
      await alice.stop()
      const [path = ''] = (await alice.db.keys().all()).filter((key) => key.startsWith('contacts/'))
      await alice.db.put(path, new Uint8Array(100))
      await alice.start()
      expect(alice.agent.damage).to.be.empty
      await alice.open()
      expect(alice.agent.damage.map(({ sublevel }) => sublevel)).to.include('contacts')
      expect(alice.agent.contacts.list()).to.be.empty
      await alice.agent.contacts.invite()
    })
  })

  describe('the owner', () => {
    it('is the same person after a restart', async () => {
      const before = alice.agent.owner()
      expect(before).to.include({ name: 'Alice', recoveryConfirmed: false })
      expect(before.did).to.match(/^did:key:z6Mk/)
      await alice.restart()
      expect(alice.agent.owner()).to.deep.equal(before)
    })

    it('can be renamed, to a name that can be read', async () => {
      expect((await alice.agent.rename('  Alice\tLiddell ')).name).to.equal('Alice Liddell')
      await alice.restart()
      expect(alice.agent.owner().name).to.equal('Alice Liddell')
      expect(await code(() => alice.agent.rename('a\u0007b'))).to.equal('request-invalid')
    })

    it('changes the passphrase, and the old one opens nothing', async () => {
      await alice.agent.vault.changePassphrase(SECRET, 'nine lanterns under the old bridge')
      await alice.agent.vault.seal()
      expect(await code(() => alice.open())).to.equal('vault-secret-wrong')
      await alice.agent.vault.open({
        kind: 'passphrase',
        passphrase: 'nine lanterns under the old bridge'
      })
      const actions = (await alice.agent.activity.list()).map(({ action }) => action)
      expect(actions).to.include('passphrase-changed')
    })

    it('confirms the recovery words', async () => {
      const { words, ask } = await alice.agent.vault.newRecoveryKit(SECRET)
      await alice.agent.vault.confirmRecovery(
        Object.fromEntries(ask.map((position) => [position, words[position - 1] ?? '']))
      )
      expect(alice.agent.owner().recoveryConfirmed).to.equal(true)
    })
  })

  describe('events', () => {
    it('number what changes, without a gap, and name it', async () => {
      const events: AgentEvent[] = []
      const stop = alice.agent.subscribe((event) => events.push(event))
      const bob = new Stranger(world, 'Bob')
      await bob.befriend(alice)
      await alice.agent.vault.seal()
      expect(events.map(({ type }) => type)).to.include.members([
        'contact',
        'activity',
        'outbox',
        'vault'
      ])
      expect(events.some(({ type, id }) => type === 'contact' && id === bob.did)).to.equal(true)
      const [first] = events
      const numbers = events.map((event) => event.number)
      expect(numbers).to.deep.equal(numbers.map((_, position) => (first?.number ?? 0) + position))
      stop()
      const count = events.length
      await alice.open()
      expect(events).to.have.length(count)
    })

    it('reach every listener when one of them throws', async () => {
      const events: AgentEvent[] = []
      alice.agent.subscribe(() => {
        throw new Error('broken')
      })
      alice.agent.subscribe((event) => events.push(event))
      await alice.agent.rename('Alicia')
      expect(events).to.not.be.empty
      expect(alice.agent.owner().name).to.equal('Alicia')
    })
  })

  describe('while the vault is sealed', () => {
    let bob: Stranger
    let to: string

    beforeEach(async () => {
      bob = new Stranger(world, 'Bob')
      to = await bob.befriend(alice)
      await alice.agent.vault.seal()
    })

    it('keeps envelopes, and processes them in the order they came once it is open', async () => {
      for (const name of ['One', 'Two', 'Three']) await bob.send(alice, to, profileOf(name))
      expect(alice.spoolFiles.files.size).to.equal(3)
      await alice.open()
      await world.settle()
      expect(await changes(alice)).to.deep.equal(['Two', 'Three'])
      expect(alice.spoolFiles.files.size).to.equal(0)
    })

    it('keeps them over a restart', async () => {
      for (const name of ['One', 'Two']) await bob.send(alice, to, profileOf(name))
      await alice.stop()
      await alice.start()
      await bob.send(alice, to, profileOf('Three'))
      await alice.open()
      await world.settle()
      expect(await changes(alice)).to.deep.equal(['Two', 'Three'])
    })

    it('lets nothing overtake what waits', async () => {
      for (let count = 0; count < 20; count += 1) await bob.send(alice, to, profileOf(`N${count}`))
      const opening = alice.open()
      for (let count = 20; count < 40; count += 1) {
        await bob.deliver(alice, bob.pack(to, profileOf(`N${count}`)))
        await turns(1)
      }
      await opening
      await world.settle()
      expect(await changes(alice)).to.deep.equal(
        Array.from({ length: 39 }, (_, count) => `N${count + 1}`)
      )
    })

    it('gives each one effect, also when it is killed between the effect and removing the file', async () => {
      for (const name of ['One', 'Two']) await bob.send(alice, to, profileOf(name))
      const spooled = new Map(alice.spoolFiles.files)
      await alice.open()
      await world.settle()
      await alice.stop()
      for (const [name, bytes] of spooled) alice.spoolFiles.files.set(name, bytes)
      await alice.start()
      await alice.open()
      await world.settle()
      expect(await changes(alice)).to.deep.equal(['Two'])
      expect(alice.spoolFiles.files.size).to.equal(0)
    })

    it('loses none when it is sealed again while they are processed', async () => {
      for (let count = 0; count < 30; count += 1) await bob.send(alice, to, profileOf(`N${count}`))
      await alice.open()
      await turns(20)
      await alice.agent.vault.seal()
      await alice.open()
      await world.pass(60_000)
      expect(await changes(alice)).to.have.length(29)
      expect(alice.spoolFiles.files.size).to.equal(0)
    })

    it('keeps no envelope that is too large to be one', async () => {
      await bob.deliver(alice, new Uint8Array(256 * 1024 + 1))
      expect(alice.spoolFiles.files.size).to.equal(0)
    })

    it('does not serve blocks, and says that it is locked', async () => {
      const answer = await alice.agent.authorisePull('grant', bob.node.peerId)
      expect(answer).to.include({ ok: false, problem: 'e.p.pull.locked' })
    })

    it('never throws at a transport, not even when the disk is full', async () => {
      alice.spoolFiles.writeFails = () => new Error('disk full')
      await bob.send(alice, to, PING)
      expect(alice.logged('envelope-lost')).to.have.length(1)
      expect(alice.node.errors).to.be.empty
    })
  })

  it('takes no envelope and no opening once it is closed', async () => {
    const { agent } = alice
    await alice.stop()
    await agent.receive(new Uint8Array(10), { transport: 'http' })
    expect(alice.spoolFiles.files.size).to.equal(0)
    expect(await code(() => agent.vault.open(SECRET))).to.equal('operation-cancelled')
    await agent.close()
  })

  it('moves to another machine from a backup, and its contacts follow', async () => {
    const bob = await world.party('Bob')
    const { inviter } = await connect(alice, bob)
    const parts: Uint8Array[] = []
    for await (const part of alice.agent.backup.create()) parts.push(part)
    await alice.stop()
    alice.node.away = true
    const restored = await world.empty('Alice, second machine')
    await restored.agent.backup.restore(
      (async function* () {
        yield* parts
      })()
    )
    expect(restored.agent.vault.state).to.equal('sealed')
    await restored.open()
    await world.pass(1000)
    expect(restored.agent.owner().name).to.equal('Alice')
    expect(await bob.agent.contacts.ping(inviter.did)).to.equal(0)
    expect(contactOf(bob, inviter.did).currentDid).to.equal(
      restored.agent.contacts.get('Bob').ourDid
    )
  })
})
