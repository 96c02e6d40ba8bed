/**
 * Sharing between agents, as a story on a network in memory.
 *
 * Cast:
 *
 * 1. Alice owns a degree of several blocks.
 * 2. Bob is an employer and wants to see it.
 * 3. Carol is a registrar and has seen it before.
 * 4. Mallory is connected to Alice, is her contact too, and knows every CID.
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import type { DocumentFacts } from '../../agent/documents.ts'
import { LockerError } from '../../agent/errors.ts'
import type { GrantFacts } from '../../agent/sharing.ts'
import { until } from '../clock.ts'
import { collect, failure, Lockers, type Party, refusal, source } from '../lockers.ts'

const DEGREE = new Uint8Array(randomBytes(2_500_000))
const HOUR = 3_600_000

describe('scenario: sharing', () => {
  let parties: Lockers
  let alice: Party
  let bob: Party
  let carol: Party
  let mallory: Party
  let degree: DocumentFacts

  beforeEach(async () => {
    parties = new Lockers()
    alice = await parties.join('Alice')
    bob = await parties.join('Bob')
    carol = await parties.join('Carol')
    mallory = await parties.join('Mallory')
    for (const other of [bob, carol, mallory]) await parties.befriend(alice, other)
    degree = await alice.locker.documents.add(source(DEGREE), { name: 'degree.bin' })
  })

  afterEach(async () => {
    await parties.close()
  })

  /** Alice gives the degree; resolves when it is in the other's inbox. */
  async function given(
    to: Party,
    options: { document?: string; permission?: 'read' | 'copy'; expiresAt?: Date } = {}
  ): Promise<GrantFacts> {
    const grant = await alice.locker.sharing.give({
      document: degree.id,
      to: to.name,
      purpose: 'application',
      ...options
    })
    await until(() => received(to, grant.id) !== undefined, `${to.name} has the grant`)
    return grant
  }

  /** Alice gives it and the other accepts; resolves when Alice knows. */
  async function accepted(
    by: Party,
    options: { document?: string; permission?: 'read' | 'copy'; expiresAt?: Date } = {}
  ): Promise<GrantFacts> {
    const grant = await given(by, options)
    await by.locker.sharing.accept(grant.id)
    await until(
      () => alice.locker.sharing.grant(grant.id).state === 'accepted',
      'Alice knows that it was accepted'
    )
    return alice.locker.sharing.grant(grant.id)
  }

  it('lets Bob read what Alice gave him, asks her each time, and tells her', async () => {
    const grant = await given(bob)
    expect(bob.inbox()).to.deep.include({
      id: grant.id,
      kind: 'grant',
      state: 'granted',
      from: 'Alice',
      fromDid: bob.locker.contacts.get('Alice').did,
      subject: 'degree.bin',
      purpose: 'application',
      receivedAt: received(bob, grant.id)?.createdAt
    })
    expect(await refusal(bob.locker.sharing.open(grant.id))).to.equal('grant-state')
    await bob.locker.sharing.accept(grant.id)
    for (let opening = 1; opening <= 2; opening++) {
      same(await read(bob, grant.id), DEGREE)
      expect(alice.locker.sharing.grant(grant.id).fetches).to.equal(opening)
    }
    const fetched = (await alice.locker.audit.list()).filter(
      (entry) => entry.action === 'grant-fetched'
    )
    expect(fetched).to.have.length(2)
    expect(fetched[0]).to.deep.include({
      actor: alice.locker.contacts.get('Bob').did,
      actorName: 'Bob',
      grant: grant.id,
      document: { id: degree.id, name: 'degree.bin' },
      purpose: 'application',
      details: { peerId: bob.node.peerId, fetch: 2 }
    })
    expect(bob.locker.documents.list()).to.be.empty
  })

  it('reads byte ranges, and refuses those that cannot be without asking', async () => {
    const grant = await accepted(bob)
    for (const [start, end] of [
      [0, 0],
      [65_530, 65_545],
      [1_048_000, 1_200_000],
      [2_499_999, 2_499_999],
      [2_499_000, 9_999_999]
    ] as const) {
      const part = await read(bob, grant.id, { start, end })
      expect(Buffer.from(part).equals(DEGREE.subarray(start, end + 1)), `${start}-${end}`).to.be
        .true
    }
    const { fetches } = alice.locker.sharing.grant(grant.id)
    for (const [start, end] of [
      [2_500_000, 2_500_001],
      [5, 4],
      [-1, 4]
    ] as const)
      expect(await refusal(read(bob, grant.id, { start, end }))).to.equal('range-invalid')
    expect(alice.locker.sharing.grant(grant.id).fetches).to.equal(fetches)
  })

  it('gives out no block before the grant is accepted', async () => {
    const grant = await given(bob)
    expect(await pullProblem(bob, alice, grant.id)).to.equal('e.p.pull.grant-not-accepted')
    await bob.locker.sharing.accept(grant.id)
    await until(
      () => alice.locker.sharing.grant(grant.id).state === 'accepted',
      'Alice knows that it was accepted'
    )
    expect(await pullProblem(bob, alice, grant.id)).to.equal('none')
  })

  it('keeps no plaintext at Bob, and no second fetch of what he has', async () => {
    const grant = await accepted(bob)
    await read(bob, grant.id)
    const sample = Buffer.from(DEGREE.subarray(1_000_000, 1_000_032))
    for (const { bytes } of bob.blocks.blocks.values())
      expect(Buffer.from(bytes).includes(sample)).to.be.false
    const served = alice.node.served.get(bob.node.peerId) ?? 0
    await read(bob, grant.id)
    // The root alone comes from Alice each time.
    expect(alice.node.served.get(bob.node.peerId)).to.equal(served + 1)
  })

  it('notices a block damaged on Bob’s disk and fetches it again', async () => {
    const grant = await accepted(bob)
    await read(bob, grant.id)
    const leaves = [...bob.blocks.blocks.keys()].filter((cid) => cid !== degree.root)
    const [damaged = ''] = leaves
    for (const verifies of [true, false]) {
      bob.blocks.verifies = verifies
      bob.blocks.flip(damaged, 1000)
      const served = alice.node.served.get(bob.node.peerId) ?? 0
      same(await read(bob, grant.id), DEGREE)
      expect(alice.node.served.get(bob.node.peerId)).to.equal(served + 2)
    }
  })

  it('takes a grant back: refused, sealed again, told; and Carol’s goes on', async () => {
    const toBob = await accepted(bob)
    const toCarol = await accepted(carol)
    await read(bob, toBob.id)
    await read(carol, toCarol.id)
    const old = [...alice.blocks.blocks.keys()]
    await alice.locker.sharing.revoke(toBob.id, 'position was filled')
    await until(() => received(bob, toBob.id)?.state === 'revoked', 'Bob was told')
    await until(
      () => received(carol, toCarol.id)?.document.root !== degree.root,
      'Carol has the new root'
    )
    await parties.settled()
    expect(received(bob, toBob.id)?.reason).to.equal('position was filled')
    const refused = await failure(read(bob, toBob.id))
    expect(refused.code).to.equal('grant-revoked')
    expect(refused.facts).to.deep.equal({ reason: 'position was filled' })
    expect(await pullProblem(bob, alice, toBob.id)).to.equal('e.p.pull.grant-revoked')
    for (const cid of old) {
      expect(alice.blocks.blocks.has(cid), 'old block at Alice').to.be.false
      expect(bob.blocks.blocks.has(cid), 'old block at Bob').to.be.false
      expect(carol.blocks.blocks.has(cid), 'old block at Carol').to.be.false
    }
    same(await read(carol, toCarol.id), DEGREE)
    const { content } = await alice.locker.documents.open(degree.id)
    same(await collect(content), DEGREE)
    const told = await actions(alice)
    expect(told).to.include.members(['grant-revoked', 'document-resealed'])
    expect(await refusal(alice.locker.sharing.revoke(toBob.id))).to.equal('grant-state')
  })

  it('goes on reading where it was when the document is sealed again meanwhile', async () => {
    // More blocks than are read ahead.
    const thesis = new Uint8Array(randomBytes(7_000_000))
    const { id: document } = await alice.locker.documents.add(source(thesis), { name: 'thesis' })
    const toBob = await accepted(bob, { document })
    const toCarol = await accepted(carol, { document })
    const { content } = await carol.locker.sharing.open(toCarol.id)
    const parts: Uint8Array[] = []
    for await (const part of content) {
      if (parts.length === 1) await alice.locker.sharing.revoke(toBob.id)
      parts.push(part)
    }
    expect(alice.locker.sharing.grant(toCarol.id).fetches).to.equal(2)
    same(Buffer.concat(parts), thesis)
  })

  it('breaks off a reading when its own grant is taken back', async () => {
    const thesis = new Uint8Array(randomBytes(7_000_000))
    const { id: document } = await alice.locker.documents.add(source(thesis), { name: 'thesis' })
    const grant = await accepted(bob, { document })
    const { content } = await bob.locker.sharing.open(grant.id)
    const reading = async (): Promise<void> => {
      let parts = 0
      for await (const part of content)
        if (part.length > 0 && (parts += 1) === 1) await alice.locker.sharing.revoke(grant.id)
    }
    expect(await refusal(reading())).to.equal('grant-revoked')
  })

  it('gives Mallory nothing, whatever she knows', async () => {
    const grant = await accepted(bob)
    await read(bob, grant.id)
    const others = await accepted(mallory)
    await alice.locker.sharing.revoke(others.id)
    await parties.settled()
    const cids = [...alice.blocks.blocks.values()].map(({ cid }) => cid)
    // Under Bob's grant, under her own that was revoked, and under one that never was.
    expect(await pullProblem(mallory, alice, grant.id)).to.equal('e.p.pull.not-in-audience')
    expect(await pullProblem(mallory, alice, others.id)).to.equal('e.p.pull.grant-revoked')
    expect(await pullProblem(mallory, alice, 'constructor')).to.equal('e.p.pull.grant-unknown')
    // Under a live grant of another document of Alice's.
    const letter = await alice.locker.documents.add(source(new Uint8Array(5)), { name: 'letter' })
    const hers = await alice.locker.sharing.give({
      document: letter.id,
      to: 'Mallory',
      purpose: 'x'
    })
    await until(() => received(mallory, hers.id) !== undefined, 'Mallory has the letter')
    await mallory.locker.sharing.accept(hers.id)
    await until(
      () => alice.locker.sharing.grant(hers.id).state === 'accepted',
      'Alice knows that it was accepted'
    )
    const session = await mallory.node.pull(endpoint(alice), hers.id, {
      signal: new AbortController().signal
    })
    for (const cid of cids) {
      const refused = await failure(session.block(cid))
      expect(refused.facts['problem']).to.equal('e.p.pull.not-in-grant')
    }
    await session.block(CID.parse(received(mallory, hers.id)?.document.root ?? ''))
    expect(alice.node.served.get(mallory.node.peerId)).to.equal(1)
  })

  it('cannot be joined by Mallory accepting for Bob', async () => {
    const grant = await given(bob)
    await mallory.say(alice, 'accept', grant.id, { peer_ids: [mallory.node.peerId] })
    expect(alice.locker.sharing.grant(grant.id).state).to.equal('granted')
    expect(await pullProblem(mallory, alice, grant.id)).to.equal('e.p.pull.grant-not-accepted')
  })

  it('reaches Bob when he is back', async () => {
    bob.node.away = true
    const grant = await alice.locker.sharing.give({
      document: degree.id,
      to: 'Bob',
      purpose: 'application'
    })
    await parties.clock.advance(1000)
    expect(alice.locker.sharing.grant(grant.id).delivery).to.equal('waiting')
    expect(bob.inbox()).to.be.empty
    bob.node.away = false
    await parties.clock.advance(10_000)
    await until(() => received(bob, grant.id) !== undefined, 'Bob has the grant')
    await until(() => alice.locker.sharing.grant(grant.id).delivery === 'sent', 'Alice knows')
    await bob.locker.sharing.accept(grant.id)
    alice.node.away = true
    expect(await refusal(read(bob, grant.id))).to.equal('peer-unreachable')
    alice.node.away = false
    await parties.clock.advance(10_000)
    same(await read(bob, grant.id), DEGREE)
  })

  it('tells Bob of a revocation when he is back, and serves him nothing until then', async () => {
    const grant = await accepted(bob)
    bob.node.away = true
    await alice.locker.sharing.revoke(grant.id)
    expect(received(bob, grant.id)?.state).to.equal('accepted')
    bob.node.away = false
    const refused = await failure(read(bob, grant.id))
    expect(refused.code).to.equal('grant-revoked')
    await parties.clock.advance(10_000)
    await until(() => received(bob, grant.id)?.state === 'revoked', 'Bob was told')
  })

  it('ends at its time, on both sides, without a message', async () => {
    const expiresAt = new Date(parties.clock.now().getTime() + HOUR)
    const grant = await accepted(bob, { expiresAt })
    await read(bob, grant.id)
    await parties.clock.advance(HOUR - 1)
    same(await read(bob, grant.id), DEGREE)
    await parties.clock.advance(1)
    await parties.settled()
    expect(alice.locker.sharing.grant(grant.id).state).to.equal('expired')
    expect(received(bob, grant.id)?.state).to.equal('expired')
    expect(await refusal(read(bob, grant.id))).to.equal('grant-expired')
    expect(await pullProblem(bob, alice, grant.id)).to.equal('e.p.pull.grant-expired')
    expect(bob.blocks.blocks.size).to.equal(0)
    expect(await actions(bob)).to.include('grant-expired')
    expect(await refusal(bob.locker.sharing.accept(grant.id))).to.equal('grant-expired')
  })

  it('answers a request with a grant', async () => {
    const request = await bob.locker.sharing.request({
      from: 'Alice',
      wanted: 'your degree',
      purpose: 'application'
    })
    await until(() => alice.inbox().length === 1, 'Alice has the request')
    expect(alice.inbox()[0]).to.deep.include({
      id: request.id,
      kind: 'request',
      state: 'requested',
      from: 'Bob',
      subject: 'your degree',
      purpose: 'application'
    })
    const wrong = { document: degree.id, to: 'Carol', purpose: 'x', request: request.id }
    expect(await refusal(alice.locker.sharing.give(wrong))).to.equal('request-invalid')
    const grant = await alice.locker.sharing.give({ ...wrong, to: 'Bob' })
    expect(grant.id).to.equal(request.id)
    await until(() => received(bob, grant.id) !== undefined, 'Bob has the grant')
    expect(bob.locker.sharing.requests()[0]?.state).to.equal('granted')
    await bob.locker.sharing.accept(grant.id)
    same(await read(bob, grant.id), DEGREE)
    expect(await refusal(alice.locker.sharing.give({ ...wrong, to: 'Bob' }))).to.equal(
      'grant-state'
    )
  })

  it('answers a request with a no and its reason', async () => {
    const request = await bob.locker.sharing.request({
      from: 'Alice',
      wanted: 'your degree',
      purpose: 'application'
    })
    await until(() => alice.inbox().length === 1, 'Alice has the request')
    const declined = await alice.locker.sharing.declineRequest(
      request.id,
      'not before the interview'
    )
    expect(declined.state).to.equal('declined')
    await until(() => bob.locker.sharing.requests()[0]?.state === 'declined', 'Bob has the answer')
    expect(bob.locker.sharing.requests()[0]?.reason).to.equal('not before the interview')
    expect(await refusal(alice.locker.sharing.declineRequest(request.id))).to.equal('grant-state')
  })

  it('tells Alice when Bob declines, and when he hands a grant back', async () => {
    const grant = await given(bob)
    await bob.locker.sharing.decline(grant.id, 'wrong document')
    await until(() => alice.locker.sharing.grant(grant.id).state === 'declined', 'Alice was told')
    expect(alice.locker.sharing.grant(grant.id).reason).to.equal('wrong document')
    expect(await refusal(bob.locker.sharing.accept(grant.id))).to.equal('grant-state')
    const second = await accepted(bob)
    await read(bob, second.id)
    await bob.locker.sharing.decline(second.id)
    await until(() => alice.locker.sharing.grant(second.id).state === 'declined', 'Alice was told')
    await parties.settled()
    expect(bob.blocks.blocks.size).to.equal(0)
    expect(await pullProblem(bob, alice, second.id)).to.equal('e.p.pull.grant-not-accepted')
  })

  it('takes an accept twice: the later one names who may fetch', async () => {
    const grant = await accepted(bob)
    await bob.say(alice, 'accept', grant.id, { peer_ids: [bob.node.peerId, carol.node.peerId] })
    expect(alice.locker.sharing.grant(grant.id).state).to.equal('accepted')
    expect(await pullProblem(carol, alice, grant.id)).to.equal('none')
    await bob.say(alice, 'accept', grant.id, { peer_ids: [bob.node.peerId] })
    expect(await pullProblem(carol, alice, grant.id)).to.equal('e.p.pull.not-in-audience')
    same(await read(bob, grant.id), DEGREE)
  })

  it('ends revoked on both sides when revoke and accept cross', async () => {
    const grant = await given(bob)
    // Neither message arrives before the other has left.
    parties.network.faults.delayMs = 1000
    const revoked = alice.locker.sharing.revoke(grant.id, 'changed my mind')
    await bob.locker.sharing.accept(grant.id)
    await revoked
    expect(received(bob, grant.id)?.state).to.equal('accepted')
    await parties.clock.advance(5000)
    await until(() => received(bob, grant.id)?.state === 'revoked', 'Bob was told')
    expect(alice.locker.sharing.grant(grant.id).state).to.equal('revoked')
    expect(await refusal(read(bob, grant.id))).to.equal('grant-revoked')
  })

  it('refuses an accept that comes after the revocation', async () => {
    const grant = await given(bob)
    bob.node.away = true
    await bob.locker.sharing.accept(grant.id)
    await alice.locker.sharing.revoke(grant.id)
    bob.node.away = false
    await parties.clock.advance(10_000)
    await until(() => received(bob, grant.id)?.state === 'revoked', 'Bob was told')
    expect(alice.locker.sharing.grant(grant.id).state).to.equal('revoked')
    expect(await pullProblem(bob, alice, grant.id)).to.equal('e.p.pull.grant-revoked')
  })

  for (const how of ['trash', 'delete'] as const)
    it(`ends what was given of a document that Alice puts to the ${how}`, async () => {
      const grant = await accepted(bob)
      await read(bob, grant.id)
      await alice.locker.documents[how](degree.id)
      expect(alice.locker.sharing.grant(grant.id).state).to.equal('revoked')
      await until(() => received(bob, grant.id)?.state === 'revoked', 'Bob was told')
      await parties.settled()
      expect(bob.blocks.blocks.size).to.equal(0)
      expect(await pullProblem(bob, alice, grant.id)).to.equal('e.p.pull.grant-revoked')
      if (how === 'delete') return
      const restored = await alice.locker.documents.restore(degree.id)
      // Bob had its key: it has another one now.
      expect(restored.root).to.not.equal(degree.root)
      const { content } = await alice.locker.documents.open(degree.id)
      same(await collect(content), DEGREE)
    })

  it('ends what a contact was given when Alice forgets them', async () => {
    const grant = await accepted(bob)
    await alice.locker.contacts.remove(alice.locker.contacts.get('Bob').did)
    expect(alice.locker.sharing.grant(grant.id)).to.deep.include({ state: 'revoked' })
    expect(alice.locker.sharing.grant(grant.id).contact.name).to.equal('Bob')
    expect(await pullProblem(bob, alice, grant.id)).to.equal('e.p.pull.grant-revoked')
    await until(() => received(bob, grant.id)?.state === 'revoked', 'Bob was told')
    await parties.settled()
    // Bob had its key: it has another one now.
    expect(alice.locker.documents.get(degree.id).root).to.not.equal(degree.root)
  })

  it('drops what a contact gave when Bob forgets them', async () => {
    const grant = await accepted(bob)
    await read(bob, grant.id)
    await bob.locker.contacts.remove(bob.locker.contacts.get('Alice').did)
    expect(received(bob, grant.id)?.state).to.equal('declined')
    await until(() => alice.locker.sharing.grant(grant.id).state === 'declined', 'Alice was told')
    await parties.settled()
    expect(bob.blocks.blocks.size).to.equal(0)
  })
})

async function actions(party: Party): Promise<string[]> {
  return (await party.locker.audit.list()).map((entry) => entry.action)
}

/** Compares bytes without printing megabytes. */
function same(actual: Uint8Array, expected: Uint8Array, what = 'content'): void {
  expect(Buffer.compare(actual, expected), `${what}: ${actual.length} bytes`).to.equal(0)
}

function received(party: Party, id: string): GrantFacts | undefined {
  return party.locker.sharing.grants({ direction: 'received' }).find((grant) => grant.id === id)
}

async function read(
  party: Party,
  id: string,
  range?: { start: number; end: number }
): Promise<Uint8Array> {
  const { content } = await party.locker.sharing.open(id, range === undefined ? {} : { range })
  return collect(content)
}

function endpoint(party: Party): { kind: 'libp2p'; peerId: string; multiaddrs: string[] } {
  return { kind: 'libp2p', peerId: party.node.peerId, multiaddrs: [] }
}

/** Asks for a grant's blocks beside the agent, as anyone on the network can. */
async function pullProblem(from: Party, to: Party, grant: string): Promise<unknown> {
  try {
    const signal = new AbortController().signal
    const session = await from.node.pull(endpoint(to), grant, { signal })
    await session.close()
    return 'none'
  } catch (error) {
    if (error instanceof LockerError && error.code === 'peer-refused') return error.facts['problem']
    throw error
  }
}
