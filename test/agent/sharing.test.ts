import { expect } from 'chai'
import { GRANTS_PER_DOCUMENT_MAX } from '../../agent/sharing-given.ts'
import {
  openThreads,
  REQUEST_LIFETIME_MS,
  THREADS_PER_CONTACT_MAX
} from '../../agent/sharing-threads.ts'
import { FakeClock, until } from '../clock.ts'
import { collect, failure, refusal, source } from '../lockers.ts'
import { noSpace } from './faults.ts'
import { Home } from './record-home.ts'
import { DEGREE, openCast, read, received, same, type SharingCast } from './sharing-cast.ts'

describe('agent/sharing', () => {
  let cast: SharingCast
  let lockers: SharingCast['lockers']
  let alice: SharingCast['alice']
  let bob: SharingCast['bob']
  let carol: SharingCast['carol']
  let degree: SharingCast['degree']
  let given: SharingCast['given']
  let accepted: SharingCast['accepted']
  let stateAtAlice: SharingCast['stateAtAlice']
  beforeEach(async () => {
    cast = await openCast()
    ;({ lockers, alice, bob, carol, degree, given, accepted, stateAtAlice } = cast)
  })

  afterEach(async () => {
    await cast.lockers.close()
  })

  const peerId = (): string => bob.node.peerId

  const revokedAndSealedAgain = async (toBob: string, toCarol: string): Promise<void> => {
    await until(() => alice.locker.documents.pendingReseals().length === 0, 'it is sealed again')
    await lockers.clock.advance(10_000)
    await until(
      () => received(carol, toCarol)?.document.root !== degree.root,
      'Carol has the new root'
    )
    await lockers.settled()
    expect(alice.blocks.blocks.has(degree.root)).to.be.false
    expect(stateAtAlice(toBob)).to.equal('revoked')
    same(await read(carol, toCarol), DEGREE)
    const { content } = await alice.locker.documents.open(degree.id)
    same(await collect(content), DEGREE)
  }

  describe('serving', () => {
    it('refuses a fetch that cannot be counted and recorded', async () => {
      const id = await accepted(bob)
      const entries = (await alice.locker.audit.list()).length
      alice.db.batchFails = () => ({ error: noSpace(), written: false })
      const answer = await alice.locker.sharing.authorisePull(id, peerId())
      expect(answer).to.deep.equal({
        ok: false,
        problem: 'e.p.pull.busy',
        comment: 'the fetch could not be recorded'
      })
      expect(await refusal(read(bob, id))).to.equal('peer-refused')
      alice.db.batchFails = undefined
      expect(alice.locker.sharing.grant(id).fetches).to.equal(0)
      expect((await alice.locker.audit.list()).length).to.equal(entries)
      same(await read(bob, id), DEGREE)
      expect(alice.locker.sharing.grant(id).fetches).to.equal(1)
    })

    it('has recorded the fetch before the answer', async () => {
      const id = await accepted(bob)
      const writes = alice.db.writes.count
      const answer = await alice.locker.sharing.authorisePull(id, peerId())
      expect(answer.ok).to.be.true
      expect(alice.db.writes.count).to.equal(writes + 1)
      const [entry] = await alice.locker.audit.list({ limit: 1 })
      expect(entry).to.deep.include({ action: 'grant-fetched', grant: id })
    })

    it('counts every one of a hundred fetches at the same moment', async () => {
      const id = await accepted(bob)
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => alice.locker.sharing.authorisePull(id, peerId()))
      )
      expect(answers.every(({ ok }) => ok)).to.be.true
      expect(alice.locker.sharing.grant(id).fetches).to.equal(100)
      expect(await alice.locker.audit.verify()).to.deep.include({ ok: true })
    })

    it('has only the blocks of the document that was given', async () => {
      const other = await alice.locker.documents.add(source(new Uint8Array(10)), { name: 'diary' })
      const id = await accepted(bob)
      const answer = await alice.locker.sharing.authorisePull(id, peerId())
      if (!answer.ok) throw new Error(answer.problem)
      expect(answer.root).to.equal(degree.root)
      for (const cid of await alice.locker.documents.dag(degree.root))
        expect(answer.has(cid)).to.be.true
      expect(answer.has(other.root)).to.be.false
      expect(answer.has('constructor')).to.be.false
      await alice.locker.sharing.revoke(id)
      expect(answer.has(degree.root)).to.be.false
    })

    it('refuses the fetch that a revocation has overtaken', async () => {
      const id = await accepted(bob)
      const revoking = alice.locker.sharing.revoke(id)
      const answer = await alice.locker.sharing.authorisePull(id, peerId())
      expect(answer).to.deep.include({ ok: false, problem: 'e.p.pull.grant-revoked' })
      expect((await revoking).fetches).to.equal(0)
    })

    it('says that a document is damaged, and counts nothing', async () => {
      const id = await accepted(bob)
      await alice.close()
      await alice.open()
      alice.blocks.flip(degree.root, 10)
      const answer = await alice.locker.sharing.authorisePull(id, peerId())
      expect(answer).to.deep.include({ ok: false, problem: 'e.p.pull.block-missing' })
      expect(alice.locker.sharing.grant(id).fetches).to.equal(0)
    })

    it('gives the version that was given, not a later one', async () => {
      const id = await accepted(bob)
      await alice.locker.documents.addVersion(degree.id, source(new Uint8Array(7)))
      same(await read(bob, id), DEGREE)
    })
  })

  describe('revoking', () => {
    it('stands although the disk is full, and is finished when it no longer is', async () => {
      const toBob = await accepted(bob)
      const toCarol = await accepted(carol)
      alice.blocks.writes.plan = () => {
        throw noSpace()
      }
      const revoked = await alice.locker.sharing.revoke(toBob)
      expect(revoked.state).to.equal('revoked')
      expect(alice.locker.documents.pendingReseals()).to.deep.equal([degree.id])
      expect(await refusal(read(bob, toBob))).to.equal('grant-revoked')
      // Carol keeps what she has until the new one is there.
      same(await read(carol, toCarol), DEGREE)
      alice.blocks.writes.plan = () => undefined
      await lockers.clock.advance(60_000)
      await revokedAndSealedAgain(toBob, toCarol)
    })

    it('is finished at the next opening when the process ended in between', async () => {
      const toBob = await accepted(bob)
      const toCarol = await accepted(carol)
      alice.blocks.writes.plan = () => {
        throw noSpace()
      }
      await alice.locker.sharing.revoke(toBob)
      await alice.close()
      alice.blocks.writes.plan = () => undefined
      await alice.open()
      await revokedAndSealedAgain(toBob, toCarol)
    })

    it('is no revocation when its batch was not written', async () => {
      const toBob = await accepted(bob)
      alice.db.batchFails = () => ({ error: noSpace(), written: false })
      expect(await refusal(alice.locker.sharing.revoke(toBob))).to.equal('storage-full')
      alice.db.batchFails = undefined
      expect(stateAtAlice(toBob)).to.equal('accepted')
      expect(alice.locker.documents.pendingReseals()).to.be.empty
      same(await read(bob, toBob), DEGREE)
    })

    it('reaches a grant not yet accepted, also when its first replacement was lost', async () => {
      const toBob = await accepted(bob)
      const toCarol = await given(carol)
      lockers.network.faults.drop = 1
      await alice.locker.sharing.revoke(toBob)
      await lockers.settled()
      lockers.network.faults.drop = 0
      expect(received(carol, toCarol)?.document.root).to.equal(degree.root)
      await carol.locker.sharing.accept(toCarol)
      await until(
        () => received(carol, toCarol)?.document.root !== degree.root,
        'Carol has the new root'
      )
      same(await read(carol, toCarol), DEGREE)
    })

    it('of two grants at once seals the document for neither', async () => {
      const toBob = await accepted(bob)
      const toCarol = await accepted(carol)
      await Promise.all([alice.locker.sharing.revoke(toBob), alice.locker.sharing.revoke(toCarol)])
      await lockers.settled()
      const keysSent = alice.locker.outbox.list().filter(({ type }) => type.endsWith('/replace'))
      // The first sealing may have come before the second revocation; then Carol's next one did not.
      const { root } = alice.locker.documents.get(degree.id)
      expect(received(carol, toCarol)?.document.root).to.not.equal(root)
      expect(keysSent.length).to.be.at.most(1)
      expect(alice.locker.documents.pendingReseals()).to.be.empty
    })
  })

  describe('asking and giving', () => {
    it('refuses what cannot be given', async () => {
      const { sharing, documents } = alice.locker
      const options = { document: degree.id, to: 'Bob', purpose: 'x' }
      expect(await refusal(sharing.give({ ...options, document: 'constructor' }))).to.equal(
        'document-unknown'
      )
      expect(await refusal(sharing.give({ ...options, to: 'Nobody' }))).to.equal('contact-unknown')
      for (const purpose of ['', 'x'.repeat(501)])
        expect(await refusal(sharing.give({ ...options, purpose }))).to.equal('request-invalid')
      for (const expiresAt of [lockers.clock.now(), new Date(Number.NaN)])
        expect(await refusal(sharing.give({ ...options, expiresAt }))).to.equal('request-invalid')
      expect(await refusal(sharing.give({ ...options, request: 'constructor' }))).to.equal(
        'inbox-unknown'
      )
      await documents.trash(degree.id)
      expect(await refusal(sharing.give(options))).to.equal('document-trashed')
      expect(sharing.grants()).to.be.empty
      expect(alice.locker.outbox.list()).to.have.length(
        alice.locker.outbox.list().filter(({ type }) => !type.includes('/share/')).length
      )
    })

    it('takes purposes and reasons at their limit', async () => {
      const purpose = 'x'.repeat(500)
      const { sharing } = alice.locker
      const { id } = await sharing.give({ document: degree.id, to: 'Bob', purpose })
      expect(await refusal(sharing.revoke(id, 'x'.repeat(501)))).to.equal('request-invalid')
      expect((await sharing.revoke(id, purpose)).reason).to.equal(purpose)
    })

    it('names what a grant is not', async () => {
      const toBob = await given(bob)
      const atBob = bob.locker.sharing
      expect(await refusal(alice.locker.sharing.accept(toBob))).to.equal('grant-not-yours')
      expect(await refusal(alice.locker.sharing.decline(toBob))).to.equal('grant-not-yours')
      expect(await refusal(read(alice, toBob))).to.equal('grant-not-yours')
      expect(await refusal(atBob.revoke(toBob))).to.equal('grant-not-yours')
      for (const id of ['constructor', '__proto__', '']) {
        expect(() => atBob.grant(id))
          .to.throw()
          .with.property('code', 'grant-unknown')
        expect(await refusal(atBob.accept(id))).to.equal('grant-unknown')
      }
      expect(await refusal(atBob.declineRequest(toBob))).to.equal('inbox-unknown')
    })

    it('lets a request wait 30 days', async () => {
      const request = await bob.locker.sharing.request({ from: 'Alice', wanted: 'x', purpose: 'y' })
      await until(() => alice.inbox().length === 1, 'Alice has the request')
      await lockers.clock.advance(REQUEST_LIFETIME_MS - 1000)
      expect(alice.inbox()[0]?.state).to.equal('requested')
      await lockers.clock.advance(1000)
      expect(alice.inbox()[0]?.state).to.equal('expired')
      expect(bob.locker.sharing.requests()[0]).to.deep.include({
        id: request.id,
        direction: 'sent',
        state: 'expired'
      })
      for (const wrong of [{ wanted: '' }, { purpose: 'x'.repeat(501) }, { from: 'Nobody' }]) {
        const asked = { from: 'Alice', wanted: 'x', purpose: 'y', ...wrong }
        const code = await refusal(bob.locker.sharing.request(asked))
        expect(code).to.equal('from' in wrong ? 'contact-unknown' : 'request-invalid')
      }
    })

    it(`gives one document to ${GRANTS_PER_DOCUMENT_MAX} at most`, async function () {
      this.timeout(60_000)
      bob.node.away = true
      const options = { document: degree.id, to: 'Bob', purpose: 'x' }
      for (let count = 0; count < GRANTS_PER_DOCUMENT_MAX; count++)
        await alice.locker.sharing.give(options)
      const refused = await failure(alice.locker.sharing.give(options))
      expect(refused.code).to.equal('request-invalid')
      expect(alice.locker.sharing.grants()).to.have.length(GRANTS_PER_DOCUMENT_MAX)
    })
  })
})

describe('agent/sharing-threads', () => {
  const requested = {
    role: 'owner' as const,
    state: 'requested' as const,
    contact: 'did:example:bob',
    contactName: 'Bob',
    createdAt: '2026-11-23T12:00:00.000Z',
    openedByThem: true,
    request: { wanted: 'x', purpose: 'y' },
    peers: []
  }

  it('forgets ended threads of a contact to make room, and refuses when none has ended', async () => {
    const home = new Home()
    const records = await home.open()
    const clock = new FakeClock()
    const threads = await openThreads({
      records,
      clock,
      contacts: { find: () => undefined },
      outbox: {
        enqueue: () => {
          throw new Error('nothing is sent here')
        },
        get: () => undefined
      },
      changed: () => undefined
    })
    await records.change((batch) => {
      for (let count = 0; count < THREADS_PER_CONTACT_MAX; count++)
        threads.put(batch, { ...requested, id: `thread-${count}` })
      threads.put(batch, { ...requested, id: 'other', contact: 'did:example:carol' })
    })
    const room = (contact: string): Promise<boolean> =>
      records.change((batch) => threads.makeRoom(batch, contact))
    expect(await room('did:example:bob')).to.be.false
    expect(await room('did:example:carol')).to.be.true
    await records.change((batch) =>
      threads.put(batch, { ...requested, state: 'declined', id: 'thread-500' })
    )
    expect(await room('did:example:bob')).to.be.true
    expect(threads.get('thread-500')).to.equal(undefined)
    expect([...threads.all()]).to.have.length(THREADS_PER_CONTACT_MAX)
    await records.close()
  })
})
