import { once } from 'node:events'
import { connect } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect } from 'chai'
import { failure } from './faulty-files.ts'
import type { Peer, PeerOptions } from './peers.ts'
import { eventually, soon, startPeer } from './peers.ts'

describe('network', () => {
  const started: AsyncDisposable[] = []
  const peer = async (options: PeerOptions = {}): Promise<Peer> => {
    const one = await startPeer(options)
    started.push(one)
    return one
  }
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one[Symbol.asyncDispose]()))
  })

  it('starts alone, without any peer, and says where it is', async () => {
    const alone = await peer({ publicUrl: 'https://locker.example' })
    expect(alone.network.peers()).to.be.empty
    const [p2p, http] = alone.network.endpoints()
    expect(p2p).to.deep.equal({
      kind: 'libp2p',
      peerId: alone.network.peerId,
      multiaddrs: alone.network.addresses()
    })
    expect(alone.network.addresses()[0]).to.match(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3Koo/)
    expect(http).to.deep.equal({ kind: 'http', url: 'https://locker.example/didcomm' })
  })

  it('takes a PeerId in its CID form too', async () => {
    const [a, b] = [await peer(), await peer()]
    const cid = peerIdFromPrivateKey(b.privateKey).toCID().toString()
    await a.network.send({ ...b.endpoint, peerId: cid }, Buffer.from('x'), soon())
    expect(b.received).to.have.length(1)
  })

  it('speaks over websockets', async () => {
    const a = await peer()
    const b = await peer({ p2p: { listen: ['/ip4/127.0.0.1/tcp/0/ws'] } })
    await a.network.send(b.endpoint, Buffer.from('x'), soon())
    expect(b.received).to.have.length(1)
  })

  it('names the port that another program has', async () => {
    const a = await peer()
    const listen = a.network.addresses().map((text) => text.replace(/\/p2p\/.*/, ''))
    const error = await failure(startPeer({ p2p: { listen } }))
    expect(error.code).to.equal('port-taken')
    expect(error.message).to.contain(listen[0])
  })

  it('says who is connected, from where and since when', async () => {
    const [a, b] = [await peer(), await peer()]
    await a.network.send(b.endpoint, Buffer.from('x'), soon())
    const [facts] = a.network.peers()
    expect(facts).to.deep.include({ peerId: b.network.peerId, direction: 'outbound' })
    expect(Date.parse(facts!.since)).to.be.closeTo(Date.now(), 60_000)
    await eventually(() => b.network.peers().length === 1, 'the other side knows too')
    expect(b.network.peers()[0]).to.deep.include({
      peerId: a.network.peerId,
      direction: 'inbound'
    })
  })

  it('lets an honest peer in while thirty sockets stay silent', async () => {
    const [a, b] = [await peer(), await peer()]
    const port = Number(b.network.addresses()[0]?.split('/')[4])
    const silent = Array.from({ length: 30 }, () => connect(port, '127.0.0.1'))
    await Promise.all(silent.map((socket) => once(socket, 'connect')))
    await a.network.send(b.endpoint, Buffer.from('x'), soon())
    expect(b.received).to.have.length(1)
    for (const socket of silent) socket.destroy()
  })

  it('connects to the named peers and to nobody else', async () => {
    const bootstrap = await peer()
    const a = await peer({ p2p: { bootstrap: bootstrap.network.addresses() } })
    await eventually(() => a.network.peers().length === 1, 'connected')
    expect(a.network.peers()[0]?.peerId).to.equal(bootstrap.network.peerId)
  })

  it('finds a peer that moved to another address, by what the DHT keeps', async () => {
    const bootstrap = (await peer()).network.addresses()
    await peer({ p2p: { bootstrap } })
    const privateKey = await generateKeyPair('Ed25519')
    const asker = await peer({ p2p: { bootstrap } })
    const before = await startPeer({ privateKey, p2p: { bootstrap } })
    const stale = before.endpoint
    await asker.network.send(stale, Buffer.from('first'), soon())
    await before[Symbol.asyncDispose]()
    const after = await peer({ privateKey, p2p: { bootstrap } })
    expect(after.endpoint.multiaddrs).to.not.deep.equal(stale.multiaddrs)
    // The record is put a second after the DHT is there: asked for again until it is.
    let sent = false
    for (let attempt = 0; attempt < 20 && !sent; attempt++)
      sent = await asker.network.send(stale, Buffer.from('second'), soon()).then(
        () => true,
        () => false
      )
    expect(Buffer.from(after.received[0]!.envelope).toString()).to.equal('second')
    expect(asker.events).to.include('peer-moved')
  }).timeout(30_000)

  it('finds a peer again by what it learnt, after both have moved and with nobody in between', async () => {
    const keys = await Promise.all([generateKeyPair('Ed25519'), generateKeyPair('Ed25519')])
    const learnt = new Map<string, readonly string[]>()
    const a = await startPeer({ privateKey: keys[0] })
    const forget = a.network.learnt(new Map(), (peerId, addresses) => learnt.set(peerId, addresses))
    const b = await startPeer({ privateKey: keys[1] })
    const invited = b.endpoint
    await a.network.send(invited, Buffer.from('one'), soon())
    await eventually(() => learnt.size === 1, 'the address is learnt')
    await b[Symbol.asyncDispose]()
    const moved = await peer({ privateKey: keys[1] })
    await moved.network.send(a.endpoint, Buffer.from('here I am'), soon())
    await eventually(
      () => learnt.get(invited.peerId)?.join() === moved.network.addresses().join(),
      'the new address is learnt'
    )
    forget()
    await a[Symbol.asyncDispose]()
    const again = await peer({ privateKey: keys[0] })
    expect((await failure(again.network.send(invited, Buffer.from('two'), soon()))).code).to.equal(
      'peer-unreachable'
    )
    again.network.learnt(learnt, () => undefined)
    await again.network.send(invited, Buffer.from('two'), soon())
    expect(moved.received).to.have.length(1)
  })

  it('learns no address of a stranger that only connects', async () => {
    const [a, b] = [await peer(), await peer()]
    const learnt: string[] = []
    a.network.learnt(new Map(), (peerId) => learnt.push(peerId))
    await b.network.send(a.endpoint, Buffer.from('x'), soon())
    expect(a.received).to.have.length(1)
    expect(learnt).to.be.empty
  })

  it('is reached through a relay, and again after the relay restarted', async () => {
    const relayKey = await generateKeyPair('Ed25519')
    const relay = await startPeer({ privateKey: relayKey, p2p: { relay: true } })
    const relays = relay.network.addresses()
    const hidden = await peer({ p2p: { listen: [], relays } })
    const circuit = (): readonly string[] =>
      hidden.network.addresses().filter((text) => text.includes('/p2p-circuit'))
    await eventually(() => circuit().length > 0, 'a place at the relay')
    const a = await peer()
    await a.network.send(hidden.endpoint, Buffer.from('one'), soon())
    await a.network.send(hidden.endpoint, Buffer.alloc(200_000), soon())
    expect(hidden.received).to.have.length(2)
    await relay[Symbol.asyncDispose]()
    await eventually(() => hidden.network.peers().length === 0, 'the relay is lost')
    const listen = relays.map((text) => text.replace(/\/p2p\/.*/, ''))
    await peer({ privateKey: relayKey, p2p: { relay: true, listen } })
    await eventually(
      () => circuit().length > 0 && hidden.network.peers().length > 0,
      'a place again'
    )
    const late = await peer()
    await late.network.send(hidden.endpoint, Buffer.from('two'), soon())
    expect(hidden.received).to.have.length(3)
  }).timeout(40_000)
})
