/**
 * Copies between agents, as a story on a network in memory.
 *
 * Cast:
 *
 * 1. Alice owns a degree and lets Bob keep a copy.
 * 2. Bob makes it his own, over interruptions and damage.
 */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { DocumentFacts } from '../../agent/documents.ts'
import { COPY_RETRIES_MS } from '../../agent/sharing-pending.ts'
import { DEGREE, openCast, same, type SharingCast } from '../agent/sharing-cast.ts'
import { until } from '../clock.ts'
import { collect, failure, refusal, source } from '../lockers.ts'

/** The longest pause before a copy that has not arrived is tried again, milliseconds. */
const LONGEST_MS = Math.max(...COPY_RETRIES_MS)

describe('scenario: copies', () => {
  let lockers: SharingCast['lockers']
  let alice: SharingCast['alice']
  let bob: SharingCast['bob']
  let degree: DocumentFacts
  let given: SharingCast['given']
  let accepted: SharingCast['accepted']

  beforeEach(async () => {
    ;({ lockers, alice, bob, degree, given, accepted } = await openCast())
  })

  afterEach(async () => {
    await lockers.close()
  })

  it('makes a copy that is Bob’s own, under another key', async () => {
    const id = await given(bob, { permission: 'copy' })
    let progress = 0
    const facts = await bob.locker.sharing.accept(id, {
      onProgress: (bytes) => (progress = bytes)
    })
    expect(progress).to.equal(DEGREE.length)
    const [copy] = bob.locker.documents.list()
    expect(facts.document.id).to.equal(copy?.id)
    expect(copy?.source).to.deep.equal({
      grant: id,
      from: bob.locker.contacts.get('Alice').did
    })
    expect(copy?.root).to.not.equal(degree.root)
    const { content } = await bob.locker.documents.open(copy?.id ?? '')
    same(await collect(content), DEGREE)
    await lockers.settled()
    // What was fetched on the way is gone; nothing of Alice's ciphertext stays.
    for (const cid of alice.blocks.blocks.keys()) expect(bob.blocks.blocks.has(cid)).to.be.false
    const actions = (await bob.locker.audit.list()).map(({ action }) => action)
    expect(actions).to.include('grant-copied')
    // A second accept of a stored copy fetches nothing.
    const { fetches } = alice.locker.sharing.grant(id)
    await bob.locker.sharing.accept(id)
    expect(alice.locker.sharing.grant(id).fetches).to.equal(fetches)
  })

  it('goes on with a copy where Alice’s absence broke it off', async () => {
    const thesis = new Uint8Array(randomBytes(7_000_000))
    const { id: document } = await alice.locker.documents.add(source(thesis), { name: 'thesis' })
    const id = await given(bob, { document, permission: 'copy' })
    let reads = 0
    alice.blocks.readFails = () => {
      // The root and some of the leaves have gone through.
      if ((reads += 1) === 6) alice.node.away = true
    }
    expect(await refusal(bob.locker.sharing.accept(id))).to.equal('peer-unreachable')
    expect(bob.locker.documents.list()).to.be.empty
    alice.blocks.readFails = () => undefined
    alice.node.away = false
    const { root } = alice.locker.documents.get(document)
    const cids = await alice.locker.documents.dag(root)
    const missing = [...cids].filter((cid) => !bob.blocks.blocks.has(cid)).length
    expect(missing)
      .to.be.greaterThan(0)
      .and.lessThan(cids.size - 1)
    const before = alice.node.served.get(bob.node.peerId) ?? 0
    await bob.locker.sharing.accept(id)
    const [copy] = bob.locker.documents.list()
    const { content } = await bob.locker.documents.open(copy?.id ?? '')
    same(await collect(content), thesis)
    // The root anew, and each leaf that had not arrived, once.
    expect(alice.node.served.get(bob.node.peerId)).to.equal(before + 1 + missing)
  })

  it('fetches an accepted copy by itself when Alice is back', async () => {
    const id = await given(bob, { permission: 'copy' })
    alice.node.away = true
    const failed = failure(bob.locker.sharing.accept(id))
    await lockers.clock.advance(30_000)
    const { code, message } = await failed
    expect(code).to.equal('peer-unreachable')
    expect(message).to.match(/^accepted; the copy follows by itself/)
    expect(bob.locker.documents.list()).to.be.empty
    alice.node.away = false
    // Her agent greets its contacts when it starts: that is the sign of life.
    await lockers.clock.advance(6_000)
    await alice.locker.contacts.ping('Bob')
    await lockers.clock.advance(6_000)
    await until(() => bob.locker.documents.list().length === 1, 'Bob has his copy')
    const [copy] = bob.locker.documents.list()
    const { content } = await bob.locker.documents.open(copy?.id ?? '')
    same(await collect(content), DEGREE)
    expect(bob.locker.sharing.grant(id).document.id).to.equal(copy?.id)
    // It is fetched once, whatever is heard afterwards.
    await lockers.clock.advance(LONGEST_MS)
    expect(bob.locker.documents.list()).to.have.length(1)
  })

  it('fetches an accepted copy without a sign of life too, and after a restart', async () => {
    for (const restarted of [false, true]) {
      const id = await given(bob, { permission: 'copy' })
      const before = bob.locker.documents.list().length
      alice.blocks.readFails = () => {
        alice.node.away = true
      }
      const failed = refusal(bob.locker.sharing.accept(id))
      await lockers.clock.advance(30_000)
      expect(await failed).to.equal('peer-unreachable')
      alice.blocks.readFails = () => undefined
      if (restarted) await bob.close()
      alice.node.away = false
      if (restarted) await bob.open()
      else await lockers.clock.advance(LONGEST_MS)
      await until(() => bob.locker.documents.list().length === before + 1, 'Bob has his copy')
      expect(bob.locker.sharing.grant(id).document.id).to.be.a('string')
    }
  })

  it('lets a copy go that was handed back before it arrived', async () => {
    const id = await given(bob, { permission: 'copy' })
    alice.node.away = true
    const failed = refusal(bob.locker.sharing.accept(id))
    await lockers.clock.advance(30_000)
    expect(await failed).to.equal('peer-unreachable')
    await bob.locker.sharing.decline(id)
    alice.node.away = false
    await lockers.clock.advance(2 * LONGEST_MS)
    await lockers.settled()
    expect(bob.locker.documents.list()).to.be.empty
    expect(alice.locker.sharing.grant(id).state).to.equal('declined')
  })

  it('mends a damaged copy from its source', async () => {
    const id = await accepted(bob, { permission: 'copy' })
    await lockers.settled()
    const [copy] = bob.locker.documents.list()
    const [leaf = ''] = [...bob.blocks.blocks.keys()].filter((cid) => cid !== copy?.root)
    bob.blocks.flip(leaf, 500)
    const { content } = await bob.locker.documents.open(copy?.id ?? '')
    same(await collect(content), DEGREE)
    expect(alice.locker.sharing.grant(id).fetches).to.equal(2)
  })

  it('waits for Alice to be back before it gives a damaged copy up', async () => {
    const damageCopy = (): DocumentFacts => {
      const [copy] = bob.locker.documents.list()
      if (copy === undefined) throw new Error('Bob has no copy')
      const [leaf = ''] = [...bob.blocks.blocks.keys()].filter((cid) => cid !== copy.root)
      bob.blocks.flip(leaf, 500)
      return copy
    }
    await accepted(bob, { permission: 'copy' })
    await lockers.settled()
    alice.node.away = true
    const copy = damageCopy()
    const reading = bob.locker.documents.open(copy.id).then(({ content }) => collect(content))
    await lockers.clock.advance(3000)
    alice.node.away = false
    await lockers.clock.advance(3000)
    same(await reading, DEGREE)
    alice.node.away = true
    damageCopy()
    const failing = refusal(
      bob.locker.documents.open(copy.id).then(({ content }) => collect(content))
    )
    await lockers.clock.advance(60_000)
    expect(await failing).to.equal('document-damaged')
  })
})
