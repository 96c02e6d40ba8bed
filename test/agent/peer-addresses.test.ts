import { expect } from 'chai'
import { Background } from '../../agent/background.ts'
import type { Network } from '../../agent/components.ts'
import { openPeerAddresses, PEERS_MAX } from '../../agent/peer-addresses.ts'
import { ManualClock, RecordingLogger } from './faults.ts'
import { Home } from './record-home.ts'

type Before = ReadonlyMap<string, readonly string[]>

/** A network that only learns addresses, when the test says so. */
class LearningNetwork implements Network {
  readonly peerId = 'self'
  before: Before = new Map()
  tell: ((peerId: string, multiaddrs: readonly string[]) => void) | undefined

  send = (): Promise<never> => Promise.reject(new Error('nobody is there'))
  pull = (): Promise<never> => Promise.reject(new Error('nobody is there'))
  endpoints = (): readonly [] => []

  learnt(
    before: Before,
    changed: (peerId: string, multiaddrs: readonly string[]) => void
  ): () => void {
    this.before = before
    this.tell = changed
    return () => (this.tell = undefined)
  }
}

describe('agent/peer-addresses', () => {
  const clock = new ManualClock('2026-11-23T12:00:00.000Z')
  const openOn = async (
    home: Home,
    network: LearningNetwork
  ): Promise<{ background: Background; close: () => Promise<void> }> => {
    const records = await home.open()
    const background = new Background(new RecordingLogger())
    const forget = await openPeerAddresses({ records, network, clock, background })
    return {
      background,
      close: async () => {
        forget()
        await background.close()
        await records.close()
      }
    }
  }

  it('gives back after the next opening what the network learnt, sealed in between', async () => {
    const home = new Home()
    const network = new LearningNetwork()
    const first = await openOn(home, network)
    network.tell?.('12D3KooWAlice', ['/ip4/127.0.0.1/tcp/1'])
    network.tell?.('__proto__', ['/ip4/127.0.0.1/tcp/2'])
    network.tell?.('12D3KooWAlice', ['/ip4/127.0.0.1/tcp/3'])
    await first.background.settled()
    await first.close()
    for (const [key, value] of await home.db.iterator().all())
      expect(`${key}${Buffer.from(value).toString('latin1')}`).to.not.contain('12D3KooWAlice')
    const again = await openOn(home, network)
    expect([...network.before]).to.have.deep.members([
      ['12D3KooWAlice', ['/ip4/127.0.0.1/tcp/3']],
      ['__proto__', ['/ip4/127.0.0.1/tcp/2']]
    ])
    await again.close()
    expect(network.tell).to.equal(undefined)
  })

  it('keeps eight addresses of a peer and none that is too long', async () => {
    const home = new Home()
    const network = new LearningNetwork()
    const first = await openOn(home, network)
    const many = Array.from({ length: 20 }, (_, n) => `/ip4/127.0.0.1/tcp/${n + 1}`)
    network.tell?.('peer', [`/dns4/${'x'.repeat(400)}/tcp/1`, ...many])
    await first.background.settled()
    await first.close()
    await openOn(home, network)
    expect(network.before.get('peer')).to.deep.equal(many.slice(0, 8))
  })

  it('forgets the peer that changed longest ago when it knows a thousand', async () => {
    const home = new Home()
    const network = new LearningNetwork()
    const first = await openOn(home, network)
    for (let n = 0; n <= PEERS_MAX; n++) {
      network.tell?.(`peer-${n}`, ['/ip4/127.0.0.1/tcp/1'])
      await first.background.settled()
      clock.advance(1_000)
    }
    await first.close()
    await openOn(home, network)
    expect(network.before.size).to.equal(PEERS_MAX)
    expect(network.before.has('peer-0')).to.equal(false)
    expect(network.before.has('peer-1')).to.equal(true)
  })
})
