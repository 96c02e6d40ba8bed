/** What a sealed agent goes on serving, to whom, and how its owner learns of it. */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import type { ActivityEntry, DocumentFacts, PullAnswer } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import {
  FETCH_NOTES_MAX,
  FETCH_NOTES_PEER_MAX,
  LOCKED,
  STANDING_GRANTS_MAX,
  StandingGrants
} from '../../agent/standing-grants.ts'
import { hybridIdentity } from '../../protocols/sealed/recipients.ts'
import { until } from '../clock.ts'
import { collect, source } from '../lockers.ts'
import { connect, type Party, seededRandom, World } from '../parties.ts'

const HOUR = 3_600_000
const DEGREE = new Uint8Array(randomBytes(2_300_000))

describe('agent/standing-grants', () => {
  let world: World
  let alice: Party
  let bob: Party
  let degree: DocumentFacts
  let grant: string

  beforeEach(async () => {
    world = new World()
    alice = await world.party('Alice')
    bob = await world.party('Bob')
    await connect(alice, bob)
    degree = await alice.agent.documents.add(source(DEGREE), { name: 'degree' })
    grant = await accepted()
  })

  afterEach(() => world[Symbol.asyncDispose]())

  /** Alice grants Bob the degree and he accepts; the grant's id. */
  async function accepted(expiresAt?: Date): Promise<string> {
    const { id } = await alice.agent.sharing.give({
      document: degree.id,
      to: alice.agent.contacts.list()[0]?.did ?? '',
      purpose: 'application',
      ...(expiresAt === undefined ? {} : { expiresAt })
    })
    await until(() => bob.agent.inbox().some((item) => item.id === id), 'Bob has the grant')
    await bob.agent.sharing.accept(id)
    await until(() => alice.agent.sharing.grant(id).state === 'accepted', 'Alice knows')
    return id
  }

  async function read(id = grant): Promise<boolean> {
    const { content } = await bob.agent.sharing.open(id)
    return Buffer.from(await collect(content)).equals(DEGREE)
  }

  async function problem(id = grant, peer = bob.node.peerId): Promise<string> {
    const answer: PullAnswer = await alice.agent.authorisePull(id, peer)
    return answer.ok ? 'served' : answer.problem
  }

  const fetches = async (): Promise<ActivityEntry[]> =>
    (await alice.agent.activity.list()).filter(({ action }) => action === 'grant-fetched')

  const notes = (): string[] =>
    [...alice.spoolFiles.files.keys()].filter((name) => name.startsWith('fetch-'))

  it('serves what was granted, and logs it once the vault is open again', async () => {
    await alice.agent.vault.seal()
    const sealedAt = world.clock.now().toISOString()
    expect(await read()).to.equal(true)
    expect(notes()).to.have.length(1)
    await world.pass(HOUR)
    await alice.open()
    await until(() => notes().length === 0, 'the note is taken')
    const [fetched] = await fetches()
    expect(fetched).to.deep.include({
      actor: alice.agent.contacts.list()[0]?.did,
      grant,
      document: { id: degree.id, name: 'degree' }
    })
    expect(fetched?.details).to.deep.equal({
      peerId: bob.node.peerId,
      fetch: 1,
      whileSealed: true,
      at: sealedAt
    })
    expect(alice.agent.sharing.grant(grant)).to.deep.include({
      fetches: 1,
      lastFetchedAt: sealedAt
    })
    // And from here on as ever.
    expect(await read()).to.equal(true)
    expect(alice.agent.sharing.grant(grant).fetches).to.equal(2)
  })

  it('leaves nothing readable on disk', async () => {
    await alice.agent.vault.seal()
    expect(await problem()).to.equal('served')
    for (const [name, bytes] of alice.spoolFiles.files)
      for (const told of [grant, bob.node.peerId, degree.root, degree.id]) {
        expect(name).to.not.include(told)
        expect(Buffer.from(bytes).includes(told), told).to.equal(false)
      }
  })

  it('serves nobody else, nothing else, and nothing any more that has ended', async () => {
    const soon = await accepted(new Date(world.clock.now().getTime() + HOUR))
    const revoked = await accepted()
    await alice.agent.sharing.revoke(revoked)
    await world.settle()
    await alice.agent.vault.seal()
    expect(await problem(grant, alice.node.peerId)).to.equal('e.p.pull.not-in-audience')
    expect(await problem(revoked)).to.equal('e.p.pull.locked')
    expect(await problem('constructor')).to.equal('e.p.pull.locked')
    expect(await problem(soon)).to.equal('served')
    await world.pass(HOUR)
    expect(await problem(soon)).to.equal('e.p.pull.grant-expired')
    const answer = await alice.agent.authorisePull(grant, bob.node.peerId)
    const other = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
    expect(answer.ok && answer.has(other.toString())).to.equal(false)
    // Revoking the third one has sealed the document anew: the standing root is the new one.
    expect(answer.ok && answer.root).to.not.equal(degree.root)
    expect(await read()).to.equal(true)
  })

  it('serves nothing after a restart until it has been opened once', async () => {
    await alice.agent.vault.seal()
    expect(await problem()).to.equal('served')
    await alice.stop()
    await alice.start()
    expect(await problem()).to.equal('e.p.pull.locked')
    await alice.open()
    await until(() => notes().length === 0, 'the note of the process before is taken')
    expect(await fetches()).to.have.length(1)
    await alice.agent.vault.seal()
    expect(await problem()).to.equal('served')
  })

  it('logs what was fetched before a kill', async () => {
    await alice.agent.vault.seal()
    expect(await problem()).to.equal('served')
    await alice.kill()
    await alice.start()
    await alice.open()
    await until(() => notes().length === 0, 'the note is taken')
    expect((await fetches()).map(({ details }) => details?.['whileSealed'])).to.deep.equal([true])
  })

  it('refuses what it cannot note: a full disk, and one peer asking too often', async () => {
    await alice.agent.vault.seal()
    alice.spoolFiles.writeFails = () => new LockerError('storage-full', 'no space left')
    expect(await problem()).to.equal('e.p.pull.busy')
    alice.spoolFiles.writeFails = () => undefined
    // The failed one counts: what it left on the disk is not known.
    for (let count = 1; count < FETCH_NOTES_PEER_MAX; count += 1)
      expect(await problem()).to.equal('served')
    expect(await problem()).to.equal('e.p.pull.busy')
    expect(notes()).to.have.length(FETCH_NOTES_PEER_MAX - 1)
  }).timeout(30_000)

  it('notes no more fetches than it has room for, those of earlier times included', async () => {
    await alice.agent.vault.seal()
    for (let count = 1; count < FETCH_NOTES_MAX; count += 1) {
      const name = `fetch-${count.toString(16).padStart(16, '0')}`
      alice.spoolFiles.files.set(name, new Uint8Array(10))
    }
    expect(await problem()).to.equal('served')
    expect(await problem()).to.equal('e.p.pull.busy')
    expect(notes()).to.have.length(FETCH_NOTES_MAX)
    alice.spoolFiles.files.clear()
  })

  it('keeps in memory the grants that end first', async () => {
    const [from, peers] = [world.clock.now().getTime() + HOUR, [bob.node.peerId]]
    const standing = new StandingGrants({
      grants: Array.from({ length: STANDING_GRANTS_MAX + 1 }, (_, count) => ({
        id: `grant ${count}`,
        root: alice.agent.documents.get(degree.id).root,
        peers,
        // The first has no end: it is the one that goes without.
        expiresAt: count === 0 ? undefined : new Date(from + count * 1000).toISOString()
      })),
      blocks: alice.blocks,
      files: alice.spoolFiles,
      recipient: hybridIdentity(new Uint8Array(32)).recipient,
      clock: world.clock,
      random: seededRandom('notes'),
      logger: alice.logger
    })
    const [without, first, last] = await Promise.all(
      [0, 1, STANDING_GRANTS_MAX].map((count) =>
        standing.authorise(`grant ${count}`, bob.node.peerId)
      )
    )
    expect(without).to.equal(LOCKED)
    expect([first?.ok, last?.ok]).to.deep.equal([true, true])
    await standing.close()
    expect(await standing.authorise('grant 1', bob.node.peerId)).to.equal(LOCKED)
  })

  it('drops a note that does not open, and says so in the log of the process', async () => {
    await alice.agent.vault.seal()
    expect(await problem()).to.equal('served')
    const [name = ''] = notes()
    alice.spoolFiles.files.set(name, new Uint8Array(randomBytes(300)))
    await alice.open()
    await until(() => notes().length === 0, 'the note is gone')
    expect(alice.logged('fetch-note-damaged')).to.have.length(1)
    expect(await fetches()).to.be.empty
  })

  it('ends a session that began while sealed as soon as the owner revokes', async () => {
    await alice.agent.vault.seal()
    const answer = await alice.agent.authorisePull(grant, bob.node.peerId)
    if (!answer.ok) throw new Error(answer.problem)
    expect(answer.has(answer.root)).to.equal(true)
    await alice.open()
    expect(answer.has(answer.root)).to.equal(true)
    await alice.agent.sharing.revoke(grant)
    expect(answer.has(answer.root)).to.equal(false)
  })
})
