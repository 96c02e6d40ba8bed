import { randomBytes } from 'node:crypto'
import { identify } from '@libp2p/identify'
import type { Libp2p, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { sha512 } from 'multiformats/hashes/sha2'
import { LockerError } from '../../agent/errors.ts'
import { FrameReader, sendFrame } from '../../node/frames.ts'
import { systemClock } from '../../node/clock.ts'
import {
  BLOCK_BYTES_MAX,
  CONTROL_FRAME_BYTES_MAX,
  FRAME_OK,
  FRAME_REFUSED,
  PULL_PROTOCOL,
  WANTS_IN_FLIGHT_MAX
} from '../../protocols/pull.ts'
import { FakeClock, turns, until } from '../clock.ts'
import { failure } from './faulty-files.ts'
import type { Peer, PeerOptions } from './peers.ts'
import { rawBlock, soon, startPeer } from './peers.ts'

const LIMITS = { frameBytesMax: BLOCK_BYTES_MAX + 1, frameMsMax: 60_000, idleMsMax: 60_000 }

async function problemOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await failure(promise)
  return error instanceof LockerError ? (error.facts['problem'] ?? error.code) : error
}

async function stored(peer: Peer, sizeBytes: number): Promise<{ cid: CID; bytes: Uint8Array }> {
  const bytes = randomBytes(sizeBytes)
  const cid = await rawBlock(bytes)
  await peer.blocks.put(cid, bytes)
  return { cid, bytes }
}

/** A grant `g` whose audience is `to` and whose document is made of `cids`. */
function grant(owner: Peer, to: Peer, cids: readonly CID[]): void {
  const dag = new Set(cids.map(String))
  owner.authorise = (id, peerId) => {
    if (id !== 'g') return { ok: false, problem: 'e.p.pull.grant-unknown', comment: 'no' }
    if (peerId !== to.network.peerId)
      return { ok: false, problem: 'e.p.pull.not-in-audience', comment: 'no' }
    return { ok: true, root: String(cids[0]), has: (cid) => dag.has(cid) }
  }
}

describe('pull protocol', () => {
  const started: AsyncDisposable[] = []
  const strangers: Libp2p[] = []
  const peer = async (options: PeerOptions = {}): Promise<Peer> => {
    const one = await startPeer(options)
    started.push(one)
    return one
  }
  const stranger = async (): Promise<Libp2p> => {
    const node = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() }
    })
    strangers.push(node)
    return node
  }
  const rawStream = async (to: Peer): Promise<Stream> => {
    const addresses = to.network.addresses().map((a) => multiaddr(a))
    return (await stranger()).dialProtocol(addresses, PULL_PROTOCOL)
  }
  /** A server that answers what the test says; the endpoint to reach it. */
  const server = async (
    serve: (stream: Stream) => void | Promise<void>
  ): Promise<Peer['endpoint']> => {
    const node = await stranger()
    await node.handle(PULL_PROTOCOL, serve)
    return {
      kind: 'libp2p',
      peerId: node.peerId.toString(),
      multiaddrs: node.getMultiaddrs().map(String)
    }
  }
  afterEach(async () => {
    await Promise.all(strangers.splice(0).map(async (node) => node.stop()))
    await Promise.all(started.splice(0).map((one) => one[Symbol.asyncDispose]()))
  })

  it('fetches the blocks of a grant, the largest too, in whatever order they are asked for', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const blocks = [
      await stored(owner, 1),
      await stored(owner, BLOCK_BYTES_MAX),
      ...(await Promise.all(Array.from({ length: 30 }, (_, n) => stored(owner, 1 + n * 10_000))))
    ]
    grant(
      owner,
      reader,
      blocks.map(({ cid }) => cid)
    )
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    const fetched = await Promise.all(
      blocks.toReversed().map(({ cid }) => session.block(cid, soon()))
    )
    for (const [n, { bytes }] of blocks.toReversed().entries())
      expect(Buffer.from(fetched[n]!).equals(bytes)).to.equal(true)
    await session.close()
    expect(await problemOf(session.block(blocks[0]!.cid))).to.equal('peer-unreachable')
  })

  it('serves a block only to the audience of a live grant, and only of its document', async () => {
    const [owner, reader, other] = [await peer(), await peer(), await peer()]
    const [inside, outside] = [await stored(owner, 10), await stored(owner, 10)]
    const missing = await rawBlock(randomBytes(4))
    grant(owner, reader, [inside.cid, missing])
    const table = [
      [reader, 'g', inside.cid, 'block'],
      [reader, 'g', outside.cid, 'e.p.pull.not-in-grant'],
      [reader, 'g', missing, 'e.p.pull.block-missing'],
      [reader, 'unknown', inside.cid, 'e.p.pull.grant-unknown'],
      [other, 'g', inside.cid, 'e.p.pull.not-in-audience'],
      [other, 'g', outside.cid, 'e.p.pull.not-in-audience'],
      [other, 'unknown', inside.cid, 'e.p.pull.grant-unknown']
    ] as const
    for (const [who, id, cid, expected] of table) {
      const outcome = async (): Promise<Uint8Array> =>
        (await who.network.pull(owner.endpoint, id, soon())).block(cid, soon())
      if (expected === 'block')
        expect(Buffer.from(await outcome()).equals(inside.bytes)).to.equal(true)
      else expect(await problemOf(outcome()), expected).to.equal(expected)
    }
  })

  it('goes on after a want outside the grant', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const [inside, outside] = [await stored(owner, 10), await stored(owner, 10)]
    grant(owner, reader, [inside.cid])
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    const [refused, block] = await Promise.all([
      problemOf(session.block(outside.cid)),
      session.block(inside.cid)
    ])
    expect(refused).to.equal('e.p.pull.not-in-grant')
    expect(Buffer.from(block).equals(inside.bytes)).to.equal(true)
  })

  it('stops serving an open session when the grant is revoked', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const block = await stored(owner, 10)
    let live = true
    owner.authorise = () => ({ ok: true, root: String(block.cid), has: () => live })
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    await session.block(block.cid)
    live = false
    expect(await problemOf(session.block(block.cid))).to.equal('e.p.pull.not-in-grant')
  })

  it('sends a damaged block to nobody', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const { cid } = await stored(owner, 10)
    await owner.blocks.put(cid, Buffer.from('other bytes'))
    grant(owner, reader, [cid])
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    expect(await problemOf(session.block(cid))).to.equal('e.p.pull.block-missing')
    expect(owner.events).to.include('block-damaged')
  })

  it('asks for at most four blocks at a time', async () => {
    const reader = await peer()
    const blocks = Array.from({ length: 12 }, () => randomBytes(10))
    const cids = await Promise.all(blocks.map(rawBlock))
    let asked = 0
    let askedMax = 0
    const answer = Promise.withResolvers<void>()
    const endpoint = await server(async (stream) => {
      const frames = new FrameReader(stream, LIMITS, systemClock)
      await frames.next()
      sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.from('{"root":"x"}')])
      for (let want = await frames.next(); want !== undefined; want = await frames.next()) {
        asked++
        askedMax = Math.max(askedMax, asked)
        const wanted = CID.decode(want)
        const bytes = blocks[cids.findIndex((cid) => cid.equals(wanted))]!
        void answer.promise.then(() => {
          asked--
          return sendFrame(stream, [Uint8Array.of(FRAME_OK), bytes])
        })
      }
    })
    const session = await reader.network.pull(endpoint, 'g', soon())
    const fetched = Promise.all(cids.map((cid) => session.block(cid)))
    await until(() => asked === WANTS_IN_FLIGHT_MAX, 'four are asked for')
    await turns(50)
    expect(asked).to.equal(WANTS_IN_FLIGHT_MAX)
    answer.resolve()
    expect(await fetched).to.have.length(12)
    expect(askedMax).to.equal(WANTS_IN_FLIGHT_MAX)
  })

  it('refuses a client that has more than four wants unanswered', async () => {
    const owner = await peer()
    const blocks = await Promise.all(Array.from({ length: 12 }, () => stored(owner, 1_000_000)))
    owner.authorise = () => ({ ok: true, root: 'x', has: () => true })
    const stream = await rawStream(owner)
    const frames = new FrameReader(stream, LIMITS, systemClock)
    sendFrame(stream, [Buffer.from('{"grant":"g"}')])
    await frames.next()
    for (const { cid } of blocks) sendFrame(stream, [cid.bytes])
    const answers: number[] = []
    let last: Uint8Array | undefined
    for (let frame = await frames.next(); frame !== undefined; frame = await frames.next()) {
      answers.push(frame[0]!)
      last = frame
    }
    expect(answers.filter((first) => first === FRAME_OK)).to.have.length(WANTS_IN_FLIGHT_MAX)
    expect(Buffer.from(last!).toString()).to.contain('e.p.pull.malformed')
  })

  const malformedOpenings: ReadonlyArray<readonly [string, Uint8Array]> = [
    ['no JSON', Buffer.from('hello')],
    ['no grant', Buffer.from('{}')],
    ['a grant that is no text', Buffer.from('{"grant":{}}')],
    ['another field', Buffer.from('{"grant":"g","__proto__":{}}')],
    ['JSON too deep', Buffer.from('['.repeat(1000))]
  ]
  for (const [name, frame] of malformedOpenings)
    it(`refuses an opening with ${name}`, async () => {
      const owner = await peer()
      owner.authorise = () => ({ ok: true, root: 'x', has: () => true })
      const stream = await rawStream(owner)
      const frames = new FrameReader(stream, LIMITS, systemClock)
      sendFrame(stream, [frame])
      const answer = await frames.next()
      expect(answer?.[0]).to.equal(FRAME_REFUSED)
      expect(Buffer.from(answer!).toString()).to.contain('e.p.pull.malformed')
      expect(await frames.next()).to.equal(undefined)
    })

  it('resets a stream with a larger opening or want than there is', async () => {
    const owner = await peer()
    const stream = await rawStream(owner)
    const frames = new FrameReader(stream, LIMITS, systemClock)
    sendFrame(stream, [Buffer.alloc(CONTROL_FRAME_BYTES_MAX + 1)])
    expect((await failure(frames.next())).name).to.equal('StreamResetError')
  })

  it('refuses a want that is no CID', async () => {
    const owner = await peer()
    owner.authorise = () => ({ ok: true, root: 'x', has: () => true })
    for (const want of [Buffer.from('no cid'), Buffer.alloc(129, 1)]) {
      const stream = await rawStream(owner)
      const frames = new FrameReader(stream, LIMITS, systemClock)
      sendFrame(stream, [Buffer.from('{"grant":"g"}')])
      await frames.next()
      sendFrame(stream, [want])
      expect(Buffer.from((await frames.next())!).toString()).to.contain('e.p.pull.malformed')
    }
  })

  it('gives a silent client up', async () => {
    const clock = new FakeClock()
    const owner = await peer({ clock })
    const stream = await rawStream(owner)
    const closed = new Promise((resolve) => stream.addEventListener('close', resolve))
    stream.send(Uint8Array.of(10, 1))
    await until(() => owner.network.peers().length === 1, 'connected')
    await clock.advance(300_000)
    await closed
    expect(stream.status).to.equal('reset')
  })

  const lies: ReadonlyArray<readonly [string, readonly Uint8Array[], string]> = [
    ['other bytes', [Uint8Array.of(FRAME_OK), Buffer.from('other')], 'integrity-failed'],
    ['an unknown kind of frame', [Uint8Array.of(7, 7)], 'peer-unreachable'],
    ['a refusal without a reason', [Uint8Array.of(FRAME_REFUSED)], 'e.p.pull.malformed']
  ]
  for (const [name, parts, expected] of lies)
    it(`ends the session with a server that answers with ${name}`, async () => {
      const reader = await peer()
      const endpoint = await server(async (stream) => {
        const frames = new FrameReader(stream, LIMITS, systemClock)
        await frames.next()
        sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.from('{"root":"x"}')])
        for (let want = await frames.next(); want !== undefined; want = await frames.next())
          sendFrame(stream, parts)
      })
      const session = await reader.network.pull(endpoint, 'g', soon())
      const cid = await rawBlock(Buffer.from('asked for'))
      expect(await problemOf(session.block(cid))).to.equal(expected)
      expect(await problemOf(session.block(cid))).to.equal(expected)
    })

  it('resets a server that announces a block above 2 MiB', async () => {
    const reader = await peer()
    const endpoint = await server(async (stream) => {
      const frames = new FrameReader(stream, LIMITS, systemClock)
      await frames.next()
      sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.from('{"root":"x"}')])
      await frames.next()
      sendFrame(stream, [Buffer.alloc(BLOCK_BYTES_MAX + 2)])
    })
    const session = await reader.network.pull(endpoint, 'g', soon())
    expect(await problemOf(session.block(await rawBlock(Buffer.from('x'))))).to.equal(
      'peer-unreachable'
    )
  })

  it('resets a server that sends what nobody asked for', async () => {
    const reader = await peer()
    const reset = Promise.withResolvers<void>()
    const endpoint = await server(async (stream) => {
      const frames = new FrameReader(stream, LIMITS, systemClock)
      await frames.next()
      sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.from('{"root":"x"}')])
      stream.addEventListener('close', () => reset.resolve())
      for (let n = 0; n < 100 && stream.status === 'open'; n++) {
        sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.alloc(100_000)])
        await turns(1)
      }
    })
    await reader.network.pull(endpoint, 'g', soon())
    await reset.promise
  })

  it('gives a server up that does not answer within a minute', async () => {
    const clock = new FakeClock()
    const reader = await peer({ clock })
    const endpoint = await server(async (stream) => {
      const frames = new FrameReader(stream, LIMITS, systemClock)
      await frames.next()
      sendFrame(stream, [Uint8Array.of(FRAME_OK), Buffer.from('{"root":"x"}')])
      await frames.next()
    })
    const session = await reader.network.pull(endpoint, 'g', soon())
    const block = problemOf(session.block(await rawBlock(Buffer.from('x'))))
    await turns(20)
    await clock.advance(61_000)
    expect(await block).to.equal('peer-unreachable')
  })

  it('lets a caller go at once when its signal aborts, and keeps the session', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const block = await stored(owner, 10)
    const held = Promise.withResolvers<void>()
    grant(owner, reader, [block.cid])
    const read = owner.blocks.read.bind(owner.blocks)
    let first = true
    owner.blocks.read = async (cid, options) => {
      if (first) {
        first = false
        await held.promise
      }
      return read(cid, options)
    }
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    const controller = new AbortController()
    const cancelled = problemOf(session.block(block.cid, { signal: controller.signal }))
    await turns(20)
    controller.abort()
    expect(await cancelled).to.equal('operation-cancelled')
    held.resolve()
    expect(Buffer.from(await session.block(block.cid)).equals(block.bytes)).to.equal(true)
  })

  it('lets the ninth session between two peers wait for a place', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const block = await stored(owner, 10)
    grant(owner, reader, [block.cid])
    const eight = await Promise.all(
      Array.from({ length: 8 }, () => reader.network.pull(owner.endpoint, 'g', soon()))
    )
    let open = false
    const ninth = reader.network.pull(owner.endpoint, 'g', soon()).then((session) => {
      open = true
      return session
    })
    await turns(200)
    expect(open).to.equal(false)
    await eight[0]!.close()
    await (await ninth).block(block.cid)
  })

  it('refuses a CID it could not check, before asking', async () => {
    const [owner, reader] = [await peer(), await peer()]
    const block = await stored(owner, 10)
    grant(owner, reader, [block.cid])
    const session = await reader.network.pull(owner.endpoint, 'g', soon())
    const odd = CID.createV1(0x55, await sha512.digest(Buffer.from('x')))
    expect(await problemOf(session.block(odd))).to.equal('integrity-failed')
  })
})
