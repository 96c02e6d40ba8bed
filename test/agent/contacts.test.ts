import { expect } from 'chai'
import { NAME_CODE_POINTS_MAX } from '../../agent/contact-book.ts'
import { INVITATION_MS, INVITATION_MS_MAX } from '../../agent/contacts.ts'
import { LockerError } from '../../agent/errors.ts'
import { invitationUrl, parseInvitationUrl } from '../../protocols/out-of-band.ts'
import { turns } from '../clock.ts'
import { connect, contactOf, type Party, World } from '../parties.ts'
import { PING, profileOf, Stranger } from '../stranger.ts'

const HOUR = 3_600_000

/** Invitations that are not to be accepted. */
async function own(party: Party): Promise<string> {
  return (await party.agent.contacts.invite()).url
}

async function ended({ world }: Party): Promise<string> {
  return invitationUrl('https://eve.example', {
    type: 'https://didcomm.org/out-of-band/2.0/invitation',
    id: 'x',
    from: new Stranger(world, 'Eve').did,
    expires_time: world.clock.now().getTime() / 1000 - 1,
    body: {}
  })
}

async function silent({ world }: Party): Promise<string> {
  const [did] = new Stranger(world, 'Eve').did.split('.S')
  return invitationUrl('https://eve.example', {
    type: 'https://didcomm.org/out-of-band/2.0/invitation',
    id: 'x',
    from: did ?? '',
    body: {}
  })
}

async function actions(party: Party): Promise<string[]> {
  return (await party.agent.activity.list()).map(({ action }) => action).toReversed()
}

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof LockerError) return error.code
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('contacts', () => {
  let world: World
  let alice: Party

  beforeEach(async () => {
    world = new World()
    alice = await world.party('Alice')
  })

  afterEach(() => world[Symbol.asyncDispose]())

  describe('inviting and accepting', () => {
    it('gives each side a DID of its own for the other', async () => {
      const [bob, carol] = [await world.party('Bob'), await world.party('Carol')]
      const first = await connect(alice, bob)
      const second = await connect(alice, carol)
      expect(first.guest.did).to.equal(first.inviter.ourDid)
      expect(first.inviter.did).to.equal(first.guest.ourDid)
      expect(new Set([first.guest.ourDid, second.guest.ourDid]).size).to.equal(2)
    })

    it('makes an out-of-band 2.0 URL that names a DID and no person', async () => {
      const { url, expiresAt } = await alice.agent.contacts.invite({ name: 'Bob' })
      expect(url).to.match(/^http:\/\/localhost:4280\/i\?_oob=[A-Za-z0-9_-]+$/)
      const invitation = parseInvitationUrl(url)
      expect(invitation.body.accept).to.deep.equal(['didcomm/v2'])
      expect(Date.parse(expiresAt) - world.clock.now().getTime()).to.equal(INVITATION_MS)
      expect(JSON.stringify(invitation)).to.not.match(/Alice|Bob/)
    })

    it('makes a URL that a QR code holds, however many addresses there are', async () => {
      const [libp2p] = alice.node.endpoints()
      if (libp2p?.kind !== 'libp2p') throw new Error('no libp2p endpoint')
      const multiaddrs = Array.from(
        { length: 20 },
        (_, port) => `/ip4/203.0.113.7/tcp/${42_000 + port}/ws/p2p/${libp2p.peerId}`
      )
      alice.node.publicUrl = 'https://alice.example'
      alice.node.endpoints = () => [
        { ...libp2p, multiaddrs },
        { kind: 'http', url: 'https://alice.example/didcomm' }
      ]
      const { url } = await alice.agent.contacts.invite()
      // Version 40, error correction L: 2,953 bytes; a phone reads half of that off a screen.
      expect(url.length).to.be.lessThan(1500)
    })

    it('stores the contact at once when the inviter is away, and connects when it is back', async () => {
      const bob = await world.party('Bob')
      const { url } = await alice.agent.contacts.invite()
      alice.node.away = true
      const { did, state } = await bob.agent.contacts.accept(url, { name: 'Alice' })
      expect(state).to.equal('waiting')
      await world.settle()
      expect(bob.agent.contacts.get(did).state).to.equal('waiting')
      alice.node.away = false
      await world.pass(5_000)
      expect(bob.agent.contacts.get(did).state).to.equal('connected')
      expect(alice.agent.contacts.list()).to.have.length(1)
    })

    it('takes one answer to an invitation, tells the second party, and does not store it', async () => {
      const [bob, carol] = [await world.party('Bob'), await world.party('Carol')]
      const { id, url } = await alice.agent.contacts.invite()
      await bob.agent.contacts.accept(url)
      await world.settle()
      const { did } = await carol.agent.contacts.accept(url)
      await world.settle()
      expect(alice.agent.contacts.list().map(({ name }) => name)).to.deep.equal(['Bob'])
      expect(carol.agent.contacts.get(did)).to.include({ state: 'waiting' })
      expect(carol.agent.contacts.get(did).problem).to.match(/^e\.p\.req\.invitation-used: /)
      expect(carol.agent.outbox().map(({ state }) => state)).to.deep.equal(['failed', 'failed'])
      const bobs = alice.agent.contacts.get('Bob').did
      expect(alice.agent.contacts.invitations()).to.deep.include({
        ...alice.agent.contacts.invitations().find((each) => each.id === id),
        usedBy: bobs
      })
    })

    it('takes one of two answers that arrive together', async () => {
      const strangers = [new Stranger(world, 'One'), new Stranger(world, 'Two')]
      const { url } = await alice.agent.contacts.invite()
      const { from, id } = parseInvitationUrl(url)
      await Promise.all(
        strangers.map((each) => each.deliver(alice, each.pack(from, { ...PING, pthid: id })))
      )
      await world.settle()
      expect(alice.agent.contacts.list()).to.have.length(1)
      expect(strangers.flatMap((each) => each.got('problem-report'))).to.have.length(1)
    })

    it('does not hear who knows the DID of an invitation but not its id', async () => {
      const eve = new Stranger(world, 'Eve')
      const { url } = await alice.agent.contacts.invite()
      await eve.send(alice, parseInvitationUrl(url).from, { ...PING, pthid: 'guessed' })
      expect(alice.agent.contacts.list()).to.be.empty
      expect(eve.received).to.be.empty
    })

    it('refuses an answer after the end of the invitation, and says so', async () => {
      const eve = new Stranger(world, 'Late')
      const soon = new Date(world.clock.now().getTime() + HOUR)
      const { url } = await alice.agent.contacts.invite({ expiresAt: soon })
      const { from, id } = parseInvitationUrl(url)
      await world.pass(HOUR + 300_000)
      await eve.send(alice, from, { ...PING, pthid: id })
      expect(alice.agent.contacts.list(), 'within the clock skew').to.have.length(1)
      const { url: second } = await alice.agent.contacts.invite({
        expiresAt: new Date(world.clock.now().getTime() + HOUR)
      })
      const other = parseInvitationUrl(second)
      await world.pass(HOUR + 301_000)
      const late = new Stranger(world, 'Later')
      await late.send(alice, other.from, { ...PING, pthid: other.id })
      expect(alice.agent.contacts.list()).to.have.length(1)
      expect(late.got('problem-report')[0]?.body['code']).to.equal('e.p.req.invitation-expired')
    })

    it('refuses an answer to a cancelled invitation, and does not list it any more', async () => {
      const bob = await world.party('Bob')
      const { id, url } = await alice.agent.contacts.invite()
      await alice.agent.contacts.cancelInvitation(id)
      expect(alice.agent.contacts.invitations()).to.be.empty
      await bob.agent.contacts.accept(url)
      await world.settle()
      expect(alice.agent.contacts.list()).to.be.empty
      expect(bob.agent.contacts.list()[0]?.problem).to.match(/invitation-expired/)
      expect(await code(alice.agent.contacts.cancelInvitation(id))).to.equal('not-found')
    })

    it('cannot cancel what has been answered', async () => {
      const bob = await world.party('Bob')
      await connect(alice, bob)
      const [invitation] = alice.agent.contacts.invitations()
      expect(await code(alice.agent.contacts.cancelInvitation(invitation?.id ?? ''))).to.equal(
        'invitation-used'
      )
    })

    it('answers an invitation after a restart', async () => {
      const bob = await world.party('Bob')
      const { url } = await alice.agent.contacts.invite({ name: 'Robert' })
      await alice.restart()
      await bob.agent.contacts.accept(url)
      await world.settle()
      expect(alice.agent.contacts.list().map(({ name }) => name)).to.deep.equal(['Robert'])
    })

    const refused: ReadonlyArray<
      [what: string, url: (party: Party) => Promise<string>, code: string]
    > = [
      ['its own invitation', own, 'invitation-invalid'],
      ['an invitation that has ended', ended, 'invitation-expired'],
      ['an invitation that names no endpoint', silent, 'invitation-invalid'],
      ['no URL', async () => 'hello', 'invitation-invalid'],
      ['a URL without an invitation', async () => 'https://x.example/i', 'invitation-invalid'],
      [
        'an invitation that is not base64url',
        async () => 'https://x.example/i?_oob=%%%',
        'invitation-invalid'
      ],
      [
        'an invitation of a megabyte',
        async () => `https://x.example/i?_oob=${'a'.repeat(1_000_000)}`,
        'invitation-invalid'
      ]
    ]
    for (const [what, url, expected] of refused)
      it(`does not accept ${what}`, async () => {
        expect(await code(alice.agent.contacts.accept(await url(alice)))).to.equal(expected)
        expect(alice.agent.contacts.list()).to.be.empty
      })

    it('does not accept the invitation of a contact again', async () => {
      const bob = await world.party('Bob')
      const { url } = await alice.agent.contacts.invite()
      await bob.agent.contacts.accept(url)
      expect(await code(bob.agent.contacts.accept(url))).to.equal('contact-exists')
    })

    it('refuses an invitation that ends before now or in more than 90 days', async () => {
      const now = world.clock.now().getTime()
      for (const at of [now, now - 1, now + INVITATION_MS_MAX + 1, Number.NaN])
        expect(await code(alice.agent.contacts.invite({ expiresAt: new Date(at) }))).to.equal(
          'request-invalid'
        )
      await alice.agent.contacts.invite({ expiresAt: new Date(now + INVITATION_MS_MAX) })
    })

    it('writes down who was invited, accepted, renamed and removed', async () => {
      const bob = await world.party('Bob')
      const { guest } = await connect(alice, bob)
      await alice.agent.contacts.rename(guest.did, 'Robert')
      await alice.agent.contacts.remove(guest.did)
      expect(await actions(alice)).to.deep.equal([
        'locker-created',
        'invitation-created',
        'invitation-accepted',
        'contact-renamed',
        'contact-removed'
      ])
      expect(await actions(bob)).to.deep.equal(['locker-created', 'contact-added'])
    })
  })

  describe('names', () => {
    let bob: Stranger
    let to: string

    beforeEach(async () => {
      bob = new Stranger(world, 'Bob')
      to = await bob.befriend(alice)
    })

    it('takes the name that a contact gives itself until the owner gives one', async () => {
      expect(contactOf(alice, bob.did).name).to.equal('Contact')
      await bob.send(alice, to, profileOf('Bob'))
      expect(contactOf(alice, bob.did)).to.include({ name: 'Bob', claimedName: 'Bob' })
      await alice.agent.contacts.rename(bob.did, 'My brother')
      await bob.send(alice, to, profileOf('Robert'))
      expect(contactOf(alice, bob.did)).to.include({ name: 'My brother', claimedName: 'Robert' })
    })

    it('numbers claimed names that are taken, without regard to case and form', async () => {
      await bob.send(alice, to, profileOf('Élise'))
      for (const [claimed, name] of [
        ['ÉLISE', 'ÉLISE (2)'],
        ['E\u0301lise', 'Élise (3)'],
        ['Ｅ\u0301lise', 'Ｅ\u0301lise (4)']
      ] as const) {
        const other = new Stranger(world, claimed)
        const toOther = await other.befriend(alice)
        await other.send(alice, toOther, profileOf(claimed))
        expect(contactOf(alice, other.did).name).to.equal(name.normalize('NFC'))
      }
      expect(alice.agent.contacts.get('élise').did).to.equal(bob.did)
    })

    it('keeps its number when a contact repeats its name', async () => {
      await bob.send(alice, to, profileOf('Bob'))
      await bob.send(alice, to, profileOf('Bob'))
      expect(contactOf(alice, bob.did).name).to.equal('Bob')
    })

    it('takes from a claimed name what cannot be seen, and cuts it at 100 characters', async () => {
      await bob.send(alice, to, profileOf('\u202eBob\u0000\n  \u200bSmith\u2066'))
      expect(contactOf(alice, bob.did).name).to.equal('Bob Smith')
      await bob.send(alice, to, profileOf('😀'.repeat(300)))
      expect(contactOf(alice, bob.did).name).to.equal('😀'.repeat(NAME_CODE_POINTS_MAX))
    })

    it('leaves joiners in names, which Persian, Indic scripts and emoji need', async () => {
      await bob.send(alice, to, profileOf('علی\u200cرضا'))
      expect(contactOf(alice, bob.did).name).to.equal('علی\u200cرضا')
    })

    it('does not let a contact call itself like a DID, or nothing', async () => {
      await bob.send(alice, to, profileOf('Bob'))
      for (const name of ['did:peer:2.x', '', ' \u200b ']) {
        await bob.send(alice, to, profileOf(name))
        expect(contactOf(alice, bob.did).name).to.equal('Bob')
      }
    })

    it('refuses a name of the owner that is taken, empty, too long, invisible or a DID', async () => {
      const carol = new Stranger(world, 'Carol')
      await carol.befriend(alice)
      await alice.agent.contacts.rename(carol.did, 'Carol')
      const rename = (name: string): Promise<string> =>
        code(alice.agent.contacts.rename(bob.did, name))
      expect(await rename('cAROL')).to.equal('contact-exists')
      for (const name of [
        '',
        '  ',
        'x'.repeat(NAME_CODE_POINTS_MAX + 1),
        'a\u202eb',
        'did:web:x.example'
      ])
        expect(await rename(name), JSON.stringify(name)).to.equal('request-invalid')
      for (const longest of ['x', 'X'].map((letter) => letter.repeat(NAME_CODE_POINTS_MAX)))
        expect((await alice.agent.contacts.rename(bob.did, longest)).name).to.equal(longest)
      expect(await code(alice.agent.contacts.invite({ name: 'carol' }))).to.equal('contact-exists')
    })

    it('does not know a contact under another name', () => {
      expect(() => alice.agent.contacts.get('Nobody')).to.throw(LockerError, 'no contact Nobody')
    })
  })

  describe('ping and features', () => {
    it('measures the way to the contact and back', async () => {
      const bob = await world.party('Bob')
      const { guest } = await connect(alice, bob)
      world.network.faults.delayMs = 40
      const ping = alice.agent.contacts.ping(guest.did)
      await world.clock.advance(100)
      expect(await ping).to.equal(80)
    })

    it('says at once that a contact cannot be reached, and after 15 s that it does not answer', async () => {
      const bob = await world.party('Bob')
      const { guest } = await connect(alice, bob)
      bob.node.away = true
      expect(await code(alice.agent.contacts.ping(guest.did))).to.equal('peer-unreachable')
      bob.node.away = false
      world.network.faults.drop = 1
      const unanswered = code(alice.agent.contacts.ping(guest.did))
      await world.pass(15_000)
      expect(await unanswered).to.equal('peer-unreachable')
    })

    it('takes the answer of the contact it asked only', async () => {
      const [bob, eve] = [new Stranger(world, 'Bob'), new Stranger(world, 'Eve')]
      await bob.befriend(alice)
      const toEve = await eve.befriend(alice)
      const asked = code(alice.agent.contacts.ping(bob.did))
      await world.settle()
      const thid = bob.got('ping').at(-1)?.id ?? ''
      await eve.send(alice, toEve, {
        type: 'https://didcomm.org/trust-ping/2.0/ping-response',
        thid
      })
      await world.pass(15_000)
      expect(await asked).to.equal('peer-unreachable')
    })

    it('lists the protocols of the other agent', async () => {
      const bob = await world.party('Bob')
      const { guest } = await connect(alice, bob)
      const features = await alice.agent.contacts.features(guest.did)
      expect(features).to.include.members([
        'https://didcomm.org/trust-ping/2.0',
        'https://didcomm.org/discover-features/2.0',
        'https://elocker.example/protocols/share/1.0'
      ])
    })

    it('discloses what is asked for, and how large a message may be', async () => {
      const bob = new Stranger(world, 'Bob')
      const to = await bob.befriend(alice)
      const type = 'https://didcomm.org/discover-features/2.0/queries'
      const ask = async (featureType: string, match: string): Promise<unknown> => {
        const queries = [{ 'feature-type': featureType, match }]
        await bob.send(alice, to, { type, body: { queries } })
        return bob.got('disclose').at(-1)?.body['disclosures']
      }
      expect(await ask('constraint', 'max_receive_bytes')).to.deep.equal([
        {
          'feature-type': 'constraint',
          id: 'max_receive_bytes',
          max_receive_bytes: '262144'
        }
      ])
      expect(await ask('protocol', 'https://didcomm.org/trust-ping/*')).to.deep.equal([
        {
          'feature-type': 'protocol',
          id: 'https://didcomm.org/trust-ping/2.0',
          roles: ['sender', 'receiver']
        }
      ])
      expect(await ask('protocol', 'https://didcomm.org/none/1.0')).to.deep.equal([])
    })
  })

  describe('removing', () => {
    it('forgets the contact and its keys, and hears it no more', async () => {
      const bob = new Stranger(world, 'Bob')
      const to = await bob.befriend(alice)
      await alice.agent.contacts.remove(bob.did)
      bob.received.length = 0
      await bob.send(alice, to, PING)
      expect(bob.received).to.be.empty
      expect(alice.logged('envelope-refused').map(({ reason }) => reason)).to.deep.equal([
        'envelope-not-for-us'
      ])
      expect(await code(alice.agent.contacts.remove(bob.did))).to.equal('contact-unknown')
    })

    it('waits five seconds at most for the last messages to go out', async () => {
      const bob = await world.party('Bob')
      const { guest } = await connect(alice, bob)
      world.network.faults.drop = 1
      alice.node.send = () => new Promise(() => {})
      const renamed = alice.agent.rename('Alicia')
      await renamed
      let removed = false
      const removing = alice.agent.contacts.remove(guest.did).then(() => (removed = true))
      await turns()
      expect(removed).to.equal(false)
      await world.clock.advance(5_000)
      await removing
      expect(alice.agent.contacts.list()).to.be.empty
      expect(alice.agent.outbox()).to.be.empty
    })
  })

  it('tells its contacts when the owner is renamed', async () => {
    const bob = await world.party('Bob')
    const { inviter } = await connect(alice, bob)
    await alice.agent.rename('Alice Liddell')
    await world.settle()
    expect(contactOf(bob, inviter.did).claimedName).to.equal('Alice Liddell')
  })

  it('remembers when a contact was heard of, across restarts', async () => {
    const bob = new Stranger(world, 'Bob')
    const to = await bob.befriend(alice)
    await world.pass(HOUR)
    await bob.send(alice, to, PING)
    const seen = world.clock.now().toISOString()
    expect(contactOf(alice, bob.did).lastSeenAt).to.equal(seen)
    await alice.restart()
    expect(contactOf(alice, bob.did).lastSeenAt).to.equal(seen)
  })

  it('greets its contacts one after the other when it is opened', async () => {
    const bob = new Stranger(world, 'Bob')
    const carol = new Stranger(world, 'Carol')
    await bob.befriend(alice)
    await carol.befriend(alice)
    for (const each of [bob, carol]) each.received.length = 0
    await alice.restart()
    await world.settle()
    expect(bob.got('ping').length + carol.got('ping').length).to.equal(1)
    await world.pass(200)
    expect([bob.got('ping').length, carol.got('ping').length]).to.deep.equal([1, 1])
    expect(bob.got('ping')[0]?.body).to.deep.equal({ response_requested: false })
  })
})
