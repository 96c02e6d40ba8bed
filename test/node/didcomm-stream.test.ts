import { randomBytes } from 'node:crypto'
import { createLibp2p } from 'libp2p'
import type { Libp2p, Stream } from '@libp2p/interface'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { ENVELOPE_BYTES_MAX } from '../../node/didcomm-stream.ts'
import { FakeClock, turns, until } from '../clock.ts'
import { failure } from './faulty-files.ts'
import type { Peer, PeerOptions } from './peers.ts'
import { soon, startPeer } from './peers.ts'

/** A libp2p node that is none of ours and does as the test says. */
async function stranger(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() }
  })
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}

function closing(stream: Stream): Promise<string> {
  return new Promise((resolve) => {
    stream.addEventListener('close', ({ error }) => resolve(error?.name ?? 'closed'))
  })
}

describe('DIDComm over libp2p', () => {
  const started: AsyncDisposable[] = []
  const strangers: Libp2p[] = []
  const peer = async (options: PeerOptions = {}): Promise<Peer> => {
    const one = await startPeer(options)
    started.push(one)
    return one
  }
  const openStream = async (to: Peer, protocol = 'didcomm/v2'): Promise<Stream> => {
    const node = await stranger()
    strangers.push(node)
    return node.dialProtocol(
      to.network.addresses().map((a) => multiaddr(a)),
      protocol
    )
  }
  afterEach(async () => {
    await Promise.all(strangers.splice(0).map(async (node) => node.stop()))
    await Promise.all(started.splice(0).map((one) => one[Symbol.asyncDispose]()))
  })

  it('delivers an envelope from one byte to 256 KiB, and names the sender', async () => {
    const [a, b] = [await peer(), await peer()]
    for (const size of [1, 127, 128, 16_384, ENVELOPE_BYTES_MAX - 1, ENVELOPE_BYTES_MAX]) {
      const envelope = randomBytes(size)
      await a.network.send(b.endpoint, envelope, soon())
      const last = b.received.at(-1)
      expect(Buffer.from(last?.envelope ?? []).equals(envelope), `${size} bytes`).to.equal(true)
      expect(last?.peer).to.equal(a.network.peerId)
    }
    expect(b.received).to.have.length(6)
  })

  it('refuses to send nothing, and one byte more than 256 KiB', async () => {
    const [a, b] = [await peer(), await peer()]
    for (const size of [0, ENVELOPE_BYTES_MAX + 1]) {
      const sending = a.network.send(b.endpoint, Buffer.alloc(size), soon())
      expect((await failure(sending)).code).to.equal('envelope-too-large')
    }
  })

  it('keeps order and loses nothing with a hundred envelopes at once, on one stream', async () => {
    const [a, b] = [await peer(), await peer()]
    const envelopes = Array.from({ length: 100 }, (_, n) => Buffer.alloc(5000, n))
    await Promise.all(envelopes.map((envelope) => a.network.send(b.endpoint, envelope, soon())))
    expect(b.received.map(({ envelope }) => envelope[0])).to.deep.equal(envelopes.map((e) => e[0]))
  })

  it('has arrived when send resolves: the other side had it before', async () => {
    const [a, b] = [await peer(), await peer()]
    for (let n = 1; n <= 50; n++) {
      await a.network.send(b.endpoint, Buffer.alloc(100, n), soon())
      expect(b.received).to.have.length(n)
    }
  })

  it('answers on both spellings of the protocol', async () => {
    const b = await peer()
    for (const protocol of ['didcomm/v2', '/didcomm/v2']) {
      const stream = await openStream(b, protocol)
      stream.send(Uint8Array.of(3, 1, 2, 3))
      await stream.close()
    }
    await until(() => b.received.length === 2, 'both arrived')
  })

  it('delivers again after the other side restarted at the same address', async () => {
    const a = await peer()
    const first = await startPeer()
    await a.network.send(first.endpoint, Buffer.from('one'), soon())
    const { endpoint, privateKey } = first
    const listen = endpoint.multiaddrs.map((text) => text.replace(/\/p2p\/.*/, ''))
    await first[Symbol.asyncDispose]()
    const second = await peer({ privateKey, p2p: { listen } })
    await a.network.send(endpoint, Buffer.from('two'), soon())
    expect(Buffer.from(second.received[0]!.envelope).toString()).to.equal('two')
  })

  it('says peer-unreachable when nobody listens, when none is known, and for itself', async () => {
    const a = await peer()
    const gone = await startPeer()
    const { endpoint } = gone
    await gone[Symbol.asyncDispose]()
    for (const to of [endpoint, { ...endpoint, multiaddrs: [] }, a.endpoint])
      expect((await failure(a.network.send(to, Buffer.from('x'), soon()))).code).to.equal(
        'peer-unreachable'
      )
  })

  it('does not dial what names another peer, is no address, or would be looked up as many', async () => {
    const [a, b, c] = [await peer(), await peer(), await peer()]
    const multiaddrs = [...c.endpoint.multiaddrs, 'nonsense', '/dnsaddr/example.org', '/']
    const sending = a.network.send({ ...b.endpoint, multiaddrs }, Buffer.from('x'), soon())
    expect((await failure(sending)).message).to.contain('no address')
    expect(c.network.peers()).to.be.empty
  })

  it('resets a stream that announces 1 GiB, without allocating it', async () => {
    const b = await peer()
    const stream = await openStream(b)
    const closed = closing(stream)
    const before = process.memoryUsage()
    stream.send(varint(1024 ** 3))
    stream.send(Buffer.alloc(10))
    expect(await closed).to.equal('StreamResetError')
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers
    expect(grown).to.be.lessThan(8 * 1024 * 1024)
    expect(b.received).to.be.empty
  })

  for (const [name, bytes] of [
    ['one byte above the limit', varint(ENVELOPE_BYTES_MAX + 1)],
    ['a length that never ends', Buffer.alloc(10, 0xff)],
    ['an empty frame', Uint8Array.of(0)]
  ] as const)
    it(`resets a stream that announces ${name}`, async () => {
      const b = await peer()
      const stream = await openStream(b)
      const closed = closing(stream)
      stream.send(bytes)
      expect(await closed).to.equal('StreamResetError')
    })

  it('resets a stream that ends inside a frame and takes nothing of it', async () => {
    const b = await peer()
    const stream = await openStream(b)
    stream.send(Uint8Array.of(5, 1, 2))
    await stream.close()
    await until(() => b.events.includes('didcomm-stream-ended'), 'the stream was given up')
    expect(b.received).to.be.empty
  })

  it('resets a peer that drips a frame byte by byte once its time is over', async () => {
    const clock = new FakeClock()
    const b = await peer({ clock })
    const stream = await openStream(b)
    const closed = closing(stream)
    stream.send(Uint8Array.of(50))
    for (let byte = 0; byte < 40 && stream.status === 'open'; byte++) {
      stream.send(Uint8Array.of(byte))
      await clock.advance(1_000)
    }
    expect(await closed).to.equal('StreamResetError')
    expect(b.received).to.be.empty
  })

  it('resets a stream that stays silent for two minutes', async () => {
    const clock = new FakeClock()
    const b = await peer({ clock })
    const stream = await openStream(b)
    const closed = closing(stream)
    stream.send(Uint8Array.of(1, 7))
    await until(() => b.received.length === 1, 'the first frame arrived')
    await clock.advance(119_000)
    expect(stream.status).to.equal('open')
    await clock.advance(2_000)
    expect(await closed).to.equal('StreamResetError')
  })

  it('opens at most four streams a connection', async () => {
    const b = await peer()
    const node = await stranger()
    strangers.push(node)
    const connection = await node.dial(b.network.addresses().map((a) => multiaddr(a)))
    const open = await Promise.allSettled(
      Array.from({ length: 12 }, async () => {
        const stream = await connection.newStream('didcomm/v2', { negotiateFully: true })
        stream.send(Uint8Array.of(1, 9))
        return stream
      })
    )
    await until(() => b.received.length >= 4, 'four were taken')
    const status = open.map((s) => (s.status === 'fulfilled' ? s.value.status : 'refused'))
    expect(status.filter((s) => s === 'open').length).to.be.at.most(4)
  })

  it('slows a peer down to its rate instead of taking everything', async () => {
    const clock = new FakeClock()
    const b = await peer({ clock, rate: { perSecond: 50, burst: 100 } })
    const stream = await openStream(b)
    for (let n = 0; n < 250; n++) stream.send(Uint8Array.of(1, n))
    await until(() => b.received.length >= 100, 'the burst was taken')
    await clock.advance(0)
    expect(b.received).to.have.length(100)
    await clock.advance(1_000)
    expect(b.received.length).to.be.within(145, 151)
    await clock.advance(2_000)
    expect(b.received).to.have.length(250)
  })

  it('holds back a peer that sends faster than it is read, and keeps every envelope', async () => {
    const b = await peer()
    const gate = Promise.withResolvers<void>()
    b.receive = () => gate.promise
    const stream = await openStream(b)
    const frame = Buffer.concat([varint(200_000), Buffer.alloc(200_000, 5)])
    for (let n = 0; n < 60; n++) stream.send(frame)
    await turns(200)
    // One window and what had been read ahead are over there; the rest is still here.
    expect(stream.writeBufferLength).to.be.greaterThan(8_000_000)
    gate.resolve()
    await until(() => b.received.length === 60, 'everything arrived')
  })

  it('ends within ten seconds although streams are open both ways', async () => {
    const [a, b] = [await startPeer(), await startPeer()]
    await a.network.send(b.endpoint, Buffer.from('x'), soon())
    await b.network.send(a.endpoint, Buffer.from('x'), soon())
    const before = performance.now()
    await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
    expect(performance.now() - before).to.be.lessThan(10_000)
  })
})
