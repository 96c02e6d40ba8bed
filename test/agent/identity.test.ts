import { expect } from 'chai'
import type { Endpoint } from '../../agent/components.ts'
import { LockerError } from '../../agent/errors.ts'
import {
  ADDRESSES_MAX,
  DOCUMENT_CACHE_MS,
  type Identity,
  openIdentity
} from '../../agent/identity.ts'
import { PLAINTEXT_BYTES_MAX, queuedOf } from '../../agent/outbox-item.ts'
import { endpointsOf, keysOf, serviceFor, type DidDocument } from '../../protocols/did/document.ts'
import { createDidPeer2, resolveDidPeer } from '../../protocols/did/peer.ts'
import { readForward } from '../../protocols/envelope/forward.ts'
import { MESSAGE_BYTES_MAX, messageOf } from '../../protocols/message.ts'
import { FakeClock } from '../clock.ts'
import { secureRandom } from './faults.ts'
import { Home } from './record-home.ts'

const HOME: Endpoint & { kind: 'libp2p' } = {
  kind: 'libp2p',
  peerId: '12D3KooWPf2ytxsukWse8xtKr74WVzLJA9ehEx9SiYqbZDgDr6yv',
  multiaddrs: ['/ip4/127.0.0.1/tcp/4282']
}
const WEB: Endpoint = { kind: 'http', url: 'https://alice.example/didcomm' }

/** One locker's identity, and what it is told of the world. */
class Persona {
  readonly home = new Home()
  readonly clock = new FakeClock()
  endpoints: readonly Endpoint[] = [HOME]
  readonly resolved: string[] = []
  documents = new Map<string, DidDocument>()
  records = this.home.open()

  async open(): Promise<Identity> {
    return openIdentity({
      records: await this.records,
      rootKey: this.home.rootKey,
      network: { endpoints: () => this.endpoints },
      resolve: async (did) => {
        this.resolved.push(did)
        const document = this.documents.get(did)
        if (document === undefined) throw new Error('not found')
        return document
      },
      clock: this.clock,
      random: secureRandom
    })
  }

  async reopen(): Promise<Identity> {
    await (await this.records).close()
    this.records = this.home.open()
    return this.open()
  }

  async pairwise(identity: Identity): Promise<string> {
    return (await this.records).change((batch) => identity.pairwise(batch))
  }
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

describe('identity', () => {
  let alice: Persona
  let bob: Persona
  let ours: Identity
  let theirs: Identity

  beforeEach(async () => {
    alice = new Persona()
    bob = new Persona()
    ours = await alice.open()
    theirs = await bob.open()
  })

  it('has one holder DID for as long as the root key lives, and another key gives another', async () => {
    expect(ours.holderDid).to.match(/^did:key:z6Mk/)
    expect((await alice.reopen()).holderDid).to.equal(ours.holderDid)
    expect(theirs.holderDid).to.not.equal(ours.holderDid)
  })

  it('makes a pairwise DID with a key for each use, and the endpoints of the moment', async () => {
    alice.endpoints = [HOME, WEB]
    const document = resolveDidPeer(await alice.pairwise(ours))
    expect(keysOf(document, 'authentication').map(({ jwk }) => jwk.crv)).to.deep.equal(['Ed25519'])
    expect(keysOf(document, 'keyAgreement').map(({ jwk }) => jwk.crv)).to.deep.equal(['X25519'])
    expect(endpointsOf(document)).to.deep.equal([
      { ...HOME, routingKeys: [] },
      { ...WEB, routingKeys: [] }
    ])
  })

  it('makes another one each time', async () => {
    expect(await alice.pairwise(ours)).to.not.equal(await alice.pairwise(ours))
  })

  it('names so few addresses that a DID fits a QR code', async () => {
    const multiaddrs = Array.from({ length: 40 }, (_, port) => `/ip4/10.0.0.1/tcp/${4000 + port}`)
    alice.endpoints = [{ ...HOME, multiaddrs }]
    const [endpoint] = endpointsOf(resolveDidPeer(await alice.pairwise(ours)))
    expect(endpoint).to.deep.include({ multiaddrs: multiaddrs.slice(0, ADDRESSES_MAX) })
  })

  it('names its PeerId once, and not at the end of each address again', async () => {
    const direct = `/ip4/10.0.0.1/tcp/1/p2p/${HOME.peerId}`
    const relay = '12D3KooWDqgWP67eVMa5pZXNemxgPfB4ZWwcZ3FXggnvrnbaAMqU'
    const relayed = `/ip4/10.0.0.2/tcp/1/p2p/${relay}/p2p-circuit/p2p/${HOME.peerId}`
    alice.endpoints = [{ ...HOME, multiaddrs: [direct, relayed] }]
    const [endpoint] = endpointsOf(resolveDidPeer(await alice.pairwise(ours)))
    expect(endpoint).to.deep.include({
      multiaddrs: ['/ip4/10.0.0.1/tcp/1', `/ip4/10.0.0.2/tcp/1/p2p/${relay}/p2p-circuit`]
    })
  })

  it('owns a DID once its batch is durable, until it is forgotten, also after opening again', async () => {
    const records = await alice.records
    let made = ''
    await records.change((batch) => {
      made = ours.pairwise(batch)
      expect(ours.owns(made)).to.equal(false)
    })
    expect(ours.owns(made)).to.equal(true)
    const again = await alice.reopen()
    expect(again.owns(made)).to.equal(true)
    await (await alice.records).change((batch) => again.forget(batch, made))
    expect(again.owns(made)).to.equal(false)
    expect((await alice.reopen()).owns(made)).to.equal(false)
  })

  it('packs for another, who knows who wrote', async () => {
    const [from, to] = [await alice.pairwise(ours), await bob.pairwise(theirs)]
    const message = messageOf({ id: '1', type: 'https://example.org/x/1.0/y', from, to: [to] })
    const [packed, ...more] = await ours.pack(message)
    expect(more).to.be.empty
    expect(packed?.endpoint).to.deep.equal(HOME)
    const { message: read, meta } = await theirs.unpack(packed?.envelope ?? new Uint8Array())
    expect(read).to.deep.include({ id: '1', from, to: [to] })
    expect(meta).to.include({ authenticated: true, from, to })
  })

  it('cannot open what is for another, nor for a DID that it has forgotten', async () => {
    const [from, to] = [await alice.pairwise(ours), await bob.pairwise(theirs)]
    const [packed] = await ours.pack(
      messageOf({ id: '1', type: 'https://example.org/x/1.0/y', from, to: [to] })
    )
    const envelope = packed?.envelope ?? new Uint8Array()
    const refused = async (identity: Identity): Promise<unknown> =>
      identity.unpack(envelope).catch((error: { code: unknown }) => error.code)
    expect(await refused(ours)).to.equal('envelope-not-for-us')
    await theirs.unpack(envelope)
    await (await bob.records).change((batch) => theirs.forget(batch, to))
    expect(await refused(theirs)).to.equal('envelope-not-for-us')
  })

  it('packs once for each endpoint of the other, libp2p first', async () => {
    bob.endpoints = [WEB, HOME]
    const [from, to] = [await alice.pairwise(ours), await bob.pairwise(theirs)]
    const packed = await ours.pack(
      messageOf({ id: '1', type: 'https://example.org/x/1.0/y', from, to: [to] })
    )
    expect(packed.map(({ endpoint }) => endpoint)).to.deep.equal([HOME, WEB])
    expect(await ours.endpoints(to)).to.deep.equal([HOME, WEB])
  })

  it('packs the largest message that the outbox takes', async () => {
    const [from, to] = [await alice.pairwise(ours), await bob.pairwise(theirs)]
    const body = { text: 'x'.repeat(PLAINTEXT_BYTES_MAX - 600 - to.length) }
    const type = 'https://example.org/x/1.0/y'
    queuedOf({ to, type, body }, { to, order: 1, now: new Date() })
    const [packed] = await ours.pack(messageOf({ id: '1', type, from, to: [to], body }))
    expect(packed?.envelope.length).to.be.at.most(MESSAGE_BYTES_MAX)
    expect(packed?.envelope.length).to.be.greaterThan(MESSAGE_BYTES_MAX * 0.95)
  })

  it('wraps for the mediator on the way, who learns only whom it is for', async () => {
    const mediator = new Persona()
    const between = await mediator.open()
    const via = await mediator.pairwise(between)
    const from = await alice.pairwise(ours)
    const keys = resolveDidPeer(await bob.pairwise(theirs))
    const [authentication] = keysOf(keys, 'authentication')
    const [agreement] = keysOf(keys, 'keyAgreement')
    if (authentication === undefined || agreement === undefined) throw new Error('no keys')
    const to = createDidPeer2(
      [
        { purpose: 'authentication', jwk: authentication.jwk },
        { purpose: 'keyAgreement', jwk: agreement.jwk }
      ],
      [serviceFor(HOME, [`${via}#key-2`])]
    )
    const [packed] = await ours.pack(
      messageOf({ id: '1', type: 'https://example.org/x/1.0/y', from, to: [to] })
    )
    const { message, meta } = await between.unpack(packed?.envelope ?? new Uint8Array())
    expect(meta.authenticated).to.equal(false)
    expect(readForward(message).next).to.equal(to)
  })

  describe('resolving', () => {
    const WEB_DID = 'did:web:uni.example'

    it('asks nobody for did:key and did:peer', async () => {
      const did = await alice.pairwise(ours)
      expect((await ours.resolve(did)).id).to.equal(did)
      expect((await ours.resolve(ours.holderDid)).id).to.equal(ours.holderDid)
      expect(alice.resolved).to.be.empty
    })

    it('asks for others, once in five minutes', async () => {
      alice.documents.set(WEB_DID, { id: WEB_DID })
      for (let time = 0; time < 3; time += 1)
        expect((await ours.resolve(WEB_DID)).id).to.equal(WEB_DID)
      expect(alice.resolved).to.have.length(1)
      await alice.clock.advance(DOCUMENT_CACHE_MS)
      await ours.resolve(WEB_DID)
      expect(alice.resolved).to.have.length(2)
    })

    for (const did of ['did:web:nowhere.example', 'did:peer:2.Vxyz', 'did:key:z6Mk', 'nonsense'])
      it(`says that ${did} cannot be resolved`, async () =>
        expect(await code(ours.resolve(did))).to.equal('did-unresolvable'))
  })

  describe('rotation', () => {
    it('is proven to the other side by the old DID', async () => {
      const [before, after] = [await alice.pairwise(ours), await alice.pairwise(ours)]
      const to = await bob.pairwise(theirs)
      const [packed] = await ours.pack(
        messageOf({
          id: '1',
          type: 'https://example.org/x/1.0/y',
          from: after,
          to: [to],
          fromPrior: ours.fromPrior(before, after)
        })
      )
      const { meta } = await theirs.unpack(packed?.envelope ?? new Uint8Array())
      expect(meta.fromPrior).to.include({ iss: before, sub: after })
    })

    it('cannot be signed for a DID of another', async () => {
      const to = await bob.pairwise(theirs)
      const did = await alice.pairwise(ours)
      expect(() => ours.fromPrior(to, did)).to.throw(LockerError, 'are not here')
    })

    it('is due when the PeerId or the URL is another, not when addresses are', async () => {
      alice.endpoints = [HOME, WEB]
      const did = await alice.pairwise(ours)
      expect(ours.current(did)).to.equal(true)
      alice.endpoints = [{ ...HOME, multiaddrs: ['/ip4/10.1.2.3/tcp/1'] }]
      expect(ours.current(did), 'a URL less, which may come back').to.equal(true)
      alice.endpoints = [HOME, { kind: 'http', url: 'https://other.example/didcomm' }]
      expect(ours.current(did)).to.equal(false)
      alice.endpoints = [{ ...HOME, peerId: HOME.peerId.replace('P', 'Q') }]
      expect(ours.current(did)).to.equal(false)
    })
  })

  it('leaves no key and no DID readable in the database', async () => {
    const did = await alice.pairwise(ours)
    const [key = ''] = did.split('.').slice(1)
    for await (const [path, value] of alice.home.db.iterator())
      expect(path + Buffer.from(value).toString('latin1')).to.not.include(key.slice(0, 16))
  })
})
