/**
 * Those who are connected and may not, against real processes.
 *
 * 1. Alice has a document. She granted it to Bob, who has read it, and another one to Mallory, who is her
 *    contact too. An archive is named as bitswap peer.
 * 2. Mallory knows every CID and every grant's id. She asks with her own PeerId, by the pull protocol under
 *    Bob's grant and under her own, and by bitswap: she gets no block. The archive gets every one.
 * 3. Somebody announces a DIDComm frame of 1 GiB, and sends JSON nested a million deep wherever Alice's
 *    agent reads JSON. It refuses, needs no memory for it, and Alice's document still opens.
 */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { CarReader } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import type {
  ActivityEntry,
  ContactFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem
} from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { openNodeKey } from '../../node/node-key.ts'
import { ipfsNode } from '../node/ipfs-node.ts'
import { type Peer, startPeer } from '../node/peers.ts'
import { eventually, Party } from './processes.ts'

/** Long enough for bitswap to answer over loopback, milliseconds. */
const SERVED_MS = 10_000
/** How long a block that must not come is waited for, milliseconds. */
const REFUSED_MS = 1_500
const DEPTH = 1_000_000
const MIB = 1024 * 1024

describe('strangers and contacts who may not', function () {
  this.timeout(180_000)
  const secret = randomBytes(2_500_000)
  let alice: Party
  let bob: Party
  let mallory: Party
  let document: DocumentFacts
  let forBob: GrantFacts
  let forMallory: GrantFacts
  let archive: PrivateKey
  let mallorysKey: PrivateKey
  /** Every block of what she gave Bob. */
  let cids: readonly CID[]

  before(async () => {
    ;[alice, bob, mallory] = await Promise.all([
      Party.create('Alice'),
      Party.create('Bob'),
      Party.create('Mallory')
    ])
    await Promise.all([alice.init(), bob.init(), mallory.init()])
    archive = await generateKeyPair('Ed25519')
    const named = peerIdFromPrivateKey(archive).toString()
    await alice.up('--public', '127.0.0.1:0', '--bitswap-peer', named)
    await Promise.all([bob.up(), mallory.up()])
    await writeFile(join(alice.folder, 'degree'), secret)
    await writeFile(join(alice.folder, 'letter'), 'Dear Mallory')
    document = await alice.json<DocumentFacts>('add', 'degree')
    forBob = await given(bob, document)
    const got = await bob.run('get', forBob.id, '-o', 'got')
    expect(got.code, got.stderr).to.equal(0)
    await alice.json('backup', 'create', 'degree.car')
    const car = await CarReader.fromBytes(await readFile(join(alice.folder, 'degree.car')))
    const root = CID.parse(document.root)
    const node = dagPb.decode((await car.get(root))?.bytes ?? new Uint8Array())
    cids = [root, ...node.Links.map(({ Hash }) => CID.asCID(Hash) ?? root)]
    forMallory = await given(mallory, await alice.json<DocumentFacts>('add', 'letter'))
    // From here on the test speaks for her, with her agent's own PeerId.
    await mallory.stop()
    mallorysKey = await openNodeKey(join(mallory.home, 'node.key'))
  })

  after(async () => {
    for (const party of [alice, bob, mallory]) await party?.[Symbol.asyncDispose]()
  })

  /** Makes the party Alice's contact and grants it the document; resolves when it has accepted. */
  async function given(to: Party, what: DocumentFacts): Promise<GrantFacts> {
    const { url } = await to.json<{ url: string }>('invite')
    await alice.json<ContactFacts>('contact', 'add', url, '--name', to.name)
    const args = ['--to', to.name, '--purpose', 'a look']
    const grant = await alice.json<GrantFacts>('share', 'create', what.id, ...args)
    await eventually(async () => {
      const items = await to.json<InboxItem[]>('inbox', 'list')
      return items.find(({ id }) => id === grant.id)
    }, `the grant in the inbox of ${to.name}`)
    await to.json('inbox', 'accept', grant.id)
    await eventually(async () => {
      const { state } = await alice.json<GrantFacts>('share', 'show', grant.id)
      return state === 'accepted' ? true : undefined
    }, 'the accept at Alice')
    return grant
  }

  /** Where Alice's agent listens. */
  function endpoint(): { kind: 'libp2p'; peerId: string; multiaddrs: readonly string[] } {
    const multiaddrs = alice.ready?.p2p ?? []
    return { kind: 'libp2p', peerId: multiaddrs[0]?.split('/p2p/').at(-1) ?? '', multiaddrs }
  }

  async function aliceIsWell(): Promise<void> {
    const got = await alice.run('get', document.id, '-o', 'own', '--force')
    expect(got.code, got.stderr).to.equal(0)
    expect((await readFile(join(alice.folder, 'own'))).equals(secret)).to.equal(true)
  }

  it('give no block to a contact who knows every CID and grant, by pull', async () => {
    await using asMallory: Peer = await startPeer({ privateKey: mallorysKey })
    const signal = AbortSignal.timeout(30_000)
    const { network } = asMallory
    expect(await refusal(network.pull(endpoint(), forBob.id, { signal }))).to.equal(
      'e.p.pull.not-in-audience'
    )
    expect(await refusal(network.pull(endpoint(), 'constructor', { signal }))).to.equal(
      'e.p.pull.grant-unknown'
    )
    const session = await network.pull(endpoint(), forMallory.id, { signal })
    expect(cids.length).to.be.greaterThan(3)
    for (const cid of cids)
      expect(await refusal(session.block(cid)), cid.toString()).to.equal('e.p.pull.not-in-grant')
    await session.close()
    // The others are not told of it, and neither is it counted as theirs.
    const fetches = (await alice.json<ActivityEntry[]>('activity')).filter(
      ({ action, grant }) => action === 'grant-fetched' && grant === forBob.id
    )
    expect(fetches.map(({ actorName }) => actorName)).to.deep.equal(['Bob'])
  })

  it('give no block to a contact who knows every CID, by bitswap; the named archive has all', async () => {
    const [asMallory, asArchive] = await Promise.all([ipfsNode(mallorysKey), ipfsNode(archive)])
    try {
      for (const cid of cids) {
        const [served, stolen] = await Promise.all([
          asArchive.fetch(endpoint(), cid, SERVED_MS),
          asMallory.fetch(endpoint(), cid, REFUSED_MS)
        ])
        expect(served, `${cid.toString()} to the archive`).to.not.equal(undefined)
        expect(stolen, `${cid.toString()} to Mallory`).to.equal(undefined)
      }
    } finally {
      await Promise.all([asMallory.stop(), asArchive.stop()])
    }
    await aliceIsWell()
  })

  it('are cut off when they announce a frame of 1 GiB, which takes no memory', async () => {
    const node = await createLibp2p({
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()]
    })
    try {
      const before = await residentMib(alice)
      const stream = await node.dialProtocol(
        endpoint().multiaddrs.map((address) => multiaddr(address)),
        'didcomm/v2'
      )
      const closed = closing(stream)
      // 2^30 as an unsigned varint, and the first bytes of what never comes.
      stream.send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x04))
      stream.send(Buffer.alloc(1000))
      expect(await closed).to.equal('StreamResetError')
      if (before !== undefined) expect((await residentMib(alice)) ?? 0).to.be.lessThan(before + 100)
    } finally {
      await node.stop()
    }
    await aliceIsWell()
  })

  it('are refused when they announce an envelope of 1 GiB over HTTP', async () => {
    const url = `${alice.ready?.public ?? ''}/didcomm`
    const headers = {
      'content-type': 'application/didcomm-encrypted+json',
      'content-length': String(1024 ** 3)
    }
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asking = request(url, { method: 'POST', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
        asking.destroy()
      })
      asking.on('error', reject)
      asking.write('{')
    })
    expect(status).to.equal(413)
    await aliceIsWell()
  })

  it('are refused at once when their JSON is nested a million deep', async () => {
    const run = JSON.parse(await readFile(join(alice.home, 'run.json'), 'utf8')) as {
      url: string
      token: string
    }
    const deep = [
      '['.repeat(DEPTH),
      `{"a":${'['.repeat(DEPTH - 6)}`,
      '{"a":'.repeat(200_000),
      `${'['.repeat(DEPTH / 2)}${']'.repeat(DEPTH / 2)}`
    ]
    for (const body of deep) {
      const started = performance.now()
      const own = await fetch(`${run.url}/api/v1/shares`, {
        method: 'POST',
        headers: { authorization: `Bearer ${run.token}`, 'content-type': 'application/json' },
        body
      })
      expect(own.status).to.equal(400)
      const problem = (await own.json()) as { code: string; detail: string }
      expect(problem.code).to.equal('request-invalid')
      expect(problem.detail).to.not.be.empty
      // Whether an envelope could be read is not told to strangers; one that is too large is refused.
      for (const [size, status] of [
        [200_000, 202],
        [DEPTH, 413]
      ] as const) {
        const stranger = await fetch(`${alice.ready?.public ?? ''}/didcomm`, {
          method: 'POST',
          headers: { 'content-type': 'application/didcomm-encrypted+json' },
          body: body.slice(0, size)
        })
        expect(stranger.status).to.equal(status)
        await stranger.arrayBuffer()
      }
      expect(performance.now() - started).to.be.lessThan(5_000)
    }
    expect(alice.log).to.match(/"event":"envelope-refused"/)
    await aliceIsWell()
  })
})

/** The refusal of a pull or of one block; `served` when there was none. */
async function refusal(asked: Promise<unknown>): Promise<unknown> {
  try {
    await asked
    return 'served'
  } catch (error) {
    if (!(error instanceof LockerError)) throw error
    return error.facts['problem']
  }
}

function closing(stream: Stream): Promise<string> {
  return new Promise((resolve) => {
    stream.addEventListener('close', ({ error }) => resolve(error?.name ?? 'closed'))
  })
}

/** Resident memory of a party's agent, MiB (proc(5)); `undefined` where there is no /proc. */
async function residentMib(party: Party): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const status = await readFile(`/proc/${party.pid}/status`, 'utf8')
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / MIB
}
