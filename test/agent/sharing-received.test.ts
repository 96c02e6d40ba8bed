import { Buffer } from 'node:buffer'
import { expect } from 'chai'
import { z } from 'zod'
import { openRecords } from '../../agent/records.ts'
import { VIEW_IDLE_MS } from '../../agent/sharing-fetch.ts'
import { newMessageId } from '../../protocols/message.ts'
import { until } from '../clock.ts'
import { collect, type Party, refusal, source } from '../lockers.ts'
import { noSpace, secureRandom } from './faults.ts'
import { DEGREE, openCast, read, received, same, type SharingCast } from './sharing-cast.ts'

const KEY = 'AAECAwQFBgcICQoLDA0ODw'

const HOUR = 3_600_000

/** File keys of received grants as they stand in the records, which are closed for looking. */
async function storedKeys(party: Party): Promise<ReadonlyMap<string, string | undefined>> {
  await party.close()
  const { db, files, logger, rootKey } = party
  const records = await openRecords({ db, rootKey, random: secureRandom, files, logger })
  const thread = z.object({ grant: z.object({ key: z.string().optional() }) })
  const threads = await records.collection('shares', thread)
  const keys = new Map([...threads.entries()].map(([id, { grant }]) => [id, grant.key]))
  await records.close()
  await party.open()
  return keys
}

describe('agent/sharing-received', () => {
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

  const refused = async (
    message: string,
    body: Readonly<Record<string, unknown>>,
    id = newMessageId(secureRandom)
  ): Promise<string> => {
    const item = await bob.say(alice, message, id, body, id)
    expect(item.state).to.equal('failed')
    return item.lastError ?? ''
  }

  describe('receiving', () => {
    it('forgets the file key in the batch that ends the grant', async () => {
      const revoked = await accepted(bob)
      const declined = await accepted(bob)
      const live = await accepted(bob)
      await bob.locker.sharing.decline(declined)
      await alice.locker.sharing.revoke(revoked)
      await until(() => received(bob, revoked)?.state === 'revoked', 'Bob was told')
      const keys = await storedKeys(bob)
      expect(keys.get(revoked)).to.equal(undefined)
      expect(keys.get(declined)).to.equal(undefined)
      expect(keys.get(live)).to.have.length(22)
    })

    it('forgets the file key when the grant expires, also while it was closed', async () => {
      const ids: string[] = []
      for (const hours of [1, 2, 3]) {
        const expiresAt = new Date(lockers.clock.now().getTime() + hours * HOUR)
        ids.push(await accepted(bob, { expiresAt }))
      }
      const [first = '', second = '', third = ''] = ids
      // Two timers, one after the other, with nothing else happening in between.
      await lockers.clock.advance(2 * HOUR)
      await lockers.settled()
      const keys = await storedKeys(bob)
      expect(keys.get(first)).to.equal(undefined)
      expect(keys.get(second)).to.equal(undefined)
      expect(keys.get(third)).to.have.length(22)
      await bob.close()
      await lockers.clock.advance(HOUR)
      await bob.open()
      await lockers.settled()
      expect((await storedKeys(bob)).get(third)).to.equal(undefined)
    })

    it('goes on after the locker was restored on another machine', async () => {
      const id = await accepted(bob)
      const before = bob.node.peerId
      await bob.moveTo('Bob’s new laptop')
      expect(bob.node.peerId).to.not.equal(before)
      same(await read(bob, id), DEGREE)
      const answer = await alice.locker.sharing.authorisePull(id, before)
      expect(answer).to.deep.include({ ok: false, problem: 'e.p.pull.not-in-audience' })
    })

    it('lets nobody have Bob delete his own blocks', async () => {
      const diary = await bob.locker.documents.add(source(DEGREE), { name: 'diary' })
      const id = newMessageId(secureRandom)
      const resource = {
        root: diary.root,
        sealed_bytes: 2_000_000,
        size_bytes: DEGREE.length,
        media_type: 'application/pdf',
        name: 'yours.pdf'
      }
      const body = { resource, key: KEY, permission: 'read', purpose: 'x' }
      await alice.say(bob, 'grant', id, body, id)
      await bob.locker.sharing.accept(id)
      await alice.say(bob, 'revoke', id, {})
      await lockers.settled()
      expect(received(bob, id)?.state).to.equal('revoked')
      const { content } = await bob.locker.documents.open(diary.id)
      same(await collect(content), DEGREE)
    })

    it('refuses content that the key does not open, and keeps none of it', async () => {
      const id = newMessageId(secureRandom)
      const resource = {
        root: degree.root,
        sealed_bytes: 2_000_000,
        size_bytes: DEGREE.length,
        media_type: 'application/pdf',
        name: 'wrong-key.pdf'
      }
      // A grant of Alice's agent under this id, whose message names another key.
      await alice.say(
        bob,
        'grant',
        id,
        { resource, key: KEY, permission: 'copy', purpose: 'x' },
        id
      )
      alice.node.receiver = {
        receive: (envelope, from) =>
          alice.locker.exchanges.receive(envelope, from).then(() => undefined),
        authorisePull: async () => ({ ok: true, root: degree.root, has: () => true })
      }
      expect(await refusal(bob.locker.sharing.accept(id))).to.equal('integrity-failed')
      expect(bob.locker.documents.list()).to.be.empty
    })

    it('makes one copy of two accepts at once', async () => {
      const id = await given(bob, { permission: 'copy' })
      await Promise.all([bob.locker.sharing.accept(id), bob.locker.sharing.accept(id)])
      expect(bob.locker.documents.list()).to.have.length(1)
      expect(alice.locker.sharing.grant(id).fetches).to.equal(1)
    })

    it('finds the copy it had stored when the process ended before that was noted', async () => {
      const id = await given(bob, { permission: 'copy' })
      const stored = (): boolean => bob.locker.documents.list().length === 1
      bob.db.batchFails = () => (stored() ? { error: noSpace(), written: false } : undefined)
      expect(await refusal(bob.locker.sharing.accept(id))).to.equal('storage-full')
      bob.db.batchFails = undefined
      await bob.close()
      await bob.open()
      expect(received(bob, id)?.document.id).to.equal(undefined)
      const facts = await bob.locker.sharing.accept(id)
      expect(bob.locker.documents.list().map((each) => each.id)).to.deep.equal([facts.document.id])
      expect(alice.locker.sharing.grant(id).fetches).to.equal(1)
    })

    it('opens a stored copy without asking anyone, also after the grant has ended', async () => {
      const id = await accepted(bob, { permission: 'copy' })
      await alice.locker.sharing.revoke(id)
      await until(() => received(bob, id)?.state === 'revoked', 'Bob was told')
      alice.node.away = true
      same(await read(bob, id), DEGREE)
    })

    it('cuts a name that is longer than the locker takes', async () => {
      const id = newMessageId(secureRandom)
      const sealed = alice.locker.documents.sealed(degree.id)
      const resource = {
        root: sealed.root,
        sealed_bytes: sealed.sealedBytes,
        size_bytes: sealed.sizeBytes,
        media_type: sealed.mediaType,
        name: '😀'.repeat(500)
      }
      const key = Buffer.from(sealed.fileKey).toString('base64url')
      await alice.say(bob, 'grant', id, { resource, key, permission: 'copy', purpose: 'x' }, id)
      const cids = await alice.locker.documents.dag(sealed.root)
      alice.node.receiver = {
        receive: (envelope, from) =>
          alice.locker.exchanges.receive(envelope, from).then(() => undefined),
        authorisePull: async () => ({ ok: true, root: sealed.root, has: (cid) => cids.has(cid) })
      }
      await bob.locker.sharing.accept(id)
      expect(bob.locker.documents.list()[0]?.name).to.equal('😀'.repeat(255))
    })

    it('gives back the session of a view that nobody reads', async () => {
      const id = await accepted(bob)
      const { content } = await bob.locker.sharing.open(id)
      await lockers.clock.advance(VIEW_IDLE_MS)
      // The leaves are not cached, and the session they would come by is closed.
      expect(await refusal(collect(content))).to.equal('peer-unreachable')
      same(await read(bob, id), DEGREE)
    })

    it('stops when it is told to', async () => {
      const id = await accepted(bob)
      const signal = AbortSignal.abort(new Error('never mind'))
      const outcome = await bob.locker.sharing.open(id, { signal }).then(
        () => 'opened',
        (error: unknown) => error
      )
      expect(outcome).to.equal(signal.reason)
      const stopping = new AbortController()
      const { content } = await bob.locker.sharing.open(id, { signal: stopping.signal })
      const reading = async (): Promise<void> => {
        for await (const part of content) if (part.length > 0) stopping.abort(new Error('enough'))
      }
      const stopped = await reading().catch((error: unknown) => error)
      expect(stopped).to.equal(stopping.signal.reason)
    })
  })

  describe('messages', () => {
    const resource = {
      root: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
      sealed_bytes: 8192,
      size_bytes: 4000,
      media_type: 'application/pdf',
      name: 'theirs.pdf'
    }
    const grant = { resource, key: KEY, permission: 'read', purpose: 'x' }

    it('with a malformed body are refused, and nothing of them is kept', async () => {
      const wrong = [
        ['request', {}],
        ['request', { wanted: 'x'.repeat(501), purpose: 'y' }],
        ['grant', { ...grant, key: 'short' }],
        ['grant', { ...grant, resource: { ...resource, root: '../../x' } }],
        ['grant', { ...grant, valid_until: 'tomorrow' }],
        ['grant', { ...grant, grant_id: newMessageId(secureRandom) }]
      ] as const
      for (const [message, body] of wrong)
        expect(await refused(message, body)).to.match(/^e\.p\.msg\.invalid: /)
      for (const message of ['constructor', '__proto__', 'grants'])
        expect(await refused(message, {})).to.match(/^e\.p\.msg\.unsupported: /)
      expect(alice.inbox()).to.be.empty
    })

    it('need a thread id that is harmless in a path', async () => {
      for (const id of ['short', 'urn:uuid:0f3c', 'a/../../b', 'x'.repeat(65)])
        expect(await refused('request', { wanted: 'x', purpose: 'y' }, id)).to.match(
          /^e\.p\.msg\.invalid: /
        )
      const longest = 'x'.repeat(64)
      await bob.say(alice, 'request', longest, { wanted: 'x', purpose: 'y' }, longest)
      expect(alice.inbox()[0]?.id).to.equal(longest)
    })

    it('on another contact’s thread get the answer an unknown thread gets', async () => {
      const toBob = await given(bob)
      const known = await carol.say(alice, 'accept', toBob, { peer_ids: [carol.node.peerId] })
      const unknown = await carol.say(alice, 'accept', newMessageId(secureRandom), {
        peer_ids: [carol.node.peerId]
      })
      expect(known.lastError).to.equal(unknown.lastError)
      expect(stateAtAlice(toBob)).to.equal('granted')
      // Opening a thread under an id that Bob's has already.
      const stolen = await carol.say(alice, 'request', toBob, { wanted: 'x', purpose: 'y' }, toBob)
      expect(stolen.lastError).to.match(/^e\.p\.msg\.unexpected: /)
      expect(alice.locker.sharing.grant(toBob).contact.name).to.equal('Bob')
    })

    it('that grant what is over already are shown as expired, without a key', async () => {
      const id = newMessageId(secureRandom)
      const now = lockers.clock.now().toISOString()
      await bob.say(alice, 'grant', id, { ...grant, valid_until: now }, id)
      expect(alice.inbox()[0]).to.deep.include({ id, state: 'expired', expiresAt: now })
      expect(await refusal(alice.locker.sharing.accept(id))).to.equal('grant-expired')
      expect((await storedKeys(alice)).get(id)).to.equal(undefined)
    })

    it('show in the inbox newest first, and to listeners', async () => {
      const ids: string[] = []
      for (const [party, message, body] of [
        [bob, 'request', { wanted: 'x', purpose: 'y' }],
        [carol, 'grant', grant],
        [bob, 'grant', grant]
      ] as const) {
        const id = newMessageId(secureRandom)
        await party.say(alice, message, id, body, id)
        ids.unshift(id)
        await lockers.clock.advance(1000)
      }
      expect(alice.inbox().map(({ id }) => id)).to.deep.equal(ids)
      expect(alice.inbox().map(({ kind, from }) => `${kind} ${from}`)).to.deep.equal([
        'grant Bob',
        'grant Carol',
        'request Bob'
      ])
      expect(alice.changes).to.include.members([`grant ${ids[0]}`, `request ${ids[2]}`])
    })

    it('that a grant cannot be taken end it, with the reason', async () => {
      const id = await given(bob)
      await bob.say(alice, 'problem-report', id, { code: 'e.p.me.res.storage', comment: 'full' })
      expect(alice.locker.sharing.grant(id)).to.deep.include({ state: 'declined', reason: 'full' })
      const other = await given(bob)
      await bob.say(alice, 'problem-report', other, { code: 'w.p.msg', comment: 'hm' })
      await carol.say(alice, 'problem-report', other, { code: 'e.p.msg', comment: 'not mine' })
      expect(stateAtAlice(other)).to.equal('granted')
    })
  })
})
