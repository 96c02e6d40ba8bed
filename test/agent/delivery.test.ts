import { expect } from 'chai'
import type { Endpoint } from '../../agent/components.ts'
import {
  createDelivery,
  type Delivery,
  type Letter,
  POST_LIFETIME_MS,
  POSTS_WAITING_MAX,
  SEND_TIMEOUT_MS,
  SENDS_IN_FLIGHT_MAX
} from '../../agent/delivery.ts'
import { LockerError } from '../../agent/errors.ts'
import { ProtocolError } from '../../protocols/errors.ts'
import { FakeClock, turns } from '../clock.ts'
import { RecordingLogger } from './faults.ts'

const HOME: Endpoint = { kind: 'libp2p', peerId: '12D3KooW', multiaddrs: [] }
const WEB: Endpoint = { kind: 'http', url: 'https://bob.example/didcomm' }
const LETTER: Letter = {
  id: '1',
  type: 'https://example.org/note/1.0/note',
  body: {},
  createdTime: 0,
  expiresTime: 1
}
const BOB = { contact: 'did:bob' } as const

describe('delivery', () => {
  let clock: FakeClock
  let logger: RecordingLogger
  let endpoints: readonly Endpoint[]
  let tried: Endpoint[]
  let letters: Letter[]
  let send: (to: Endpoint, signal: AbortSignal) => Promise<void>
  let pack: () => void
  let delivery: Delivery

  beforeEach(() => {
    clock = new FakeClock()
    logger = new RecordingLogger()
    endpoints = [HOME, WEB]
    tried = []
    letters = []
    send = async () => {}
    pack = () => {}
    let count = 0
    delivery = createDelivery({
      network: {
        send: async (to, _envelope, { signal }) => {
          tried.push(to)
          await send(to, signal)
        }
      },
      courier: {
        pack: async (letter) => {
          letters.push(letter)
          pack()
          return endpoints.map((endpoint) => ({ endpoint, envelope: new Uint8Array(10) }))
        }
      },
      clock,
      logger,
      newId: () => `id-${(count += 1)}`
    })
  })

  it('is content with the first endpoint that takes the envelope', async () => {
    expect(await delivery.deliver(LETTER, BOB)).to.deep.equal({ ok: true })
    expect(tried).to.deep.equal([HOME])
  })

  it('tries the next endpoint when one does not take it', async () => {
    send = async (to) => {
      if (to === HOME) throw new LockerError('peer-unreachable', 'no route')
    }
    expect(await delivery.deliver(LETTER, BOB)).to.deep.equal({ ok: true })
    expect(tried).to.deep.equal([HOME, WEB])
  })

  it('says what the last endpoint said when none takes it', async () => {
    send = async (to) => {
      throw new LockerError('peer-unreachable', to === HOME ? 'no route' : 'answered 503')
    }
    expect(await delivery.deliver(LETTER, BOB)).to.deep.equal({
      ok: false,
      error: 'peer-unreachable: answered 503',
      final: false
    })
  })

  it('keeps the problem code of a transport that refuses', async () => {
    send = async () => {
      const facts = { problem: 'e.p.xfer.too-large' }
      throw new LockerError('peer-refused', 'answered 413', { facts })
    }
    expect(await delivery.deliver(LETTER, BOB)).to.include({
      error: 'e.p.xfer.too-large: answered 413'
    })
  })

  it('says that a contact names no endpoint', async () => {
    endpoints = []
    expect(await delivery.deliver(LETTER, BOB)).to.deep.equal({
      ok: false,
      error: 'the contact names no endpoint we can use',
      final: false
    })
  })

  const hopeless: ReadonlyArray<[what: string, error: Error, final: boolean]> = [
    ['a contact that is gone', new LockerError('contact-unknown', 'x'), true],
    ['a message too large for an envelope', new ProtocolError('limit-exceeded', 'x'), true],
    ['a DID that cannot be resolved now', new LockerError('did-unresolvable', 'x'), false]
  ]
  for (const [what, error, final] of hopeless)
    it(`${final ? 'gives up' : 'does not give up'} on ${what}`, async () => {
      pack = () => {
        throw error
      }
      expect(await delivery.deliver(LETTER, BOB)).to.include({ ok: false, final })
    })

  it('leaves a transport that does not answer after 20 s, also one that forgets its signal', async () => {
    send = () => new Promise(() => {})
    const outcome = delivery.deliver(LETTER, BOB)
    await clock.advance(SEND_TIMEOUT_MS)
    expect(tried).to.have.length(2)
    await clock.advance(SEND_TIMEOUT_MS)
    expect(await outcome).to.include({
      ok: false,
      error: 'peer-unreachable: no answer in 20000 ms'
    })
    expect(clock.pending).to.equal(0)
  })

  it('has 64 sends under way at most, and lets the others follow in order', async () => {
    const waiting: Array<() => void> = []
    send = () => new Promise((resolve) => waiting.push(resolve))
    const all = Array.from({ length: 100 }, (_, number) =>
      delivery.deliver({ ...LETTER, id: `${number}` }, BOB)
    )
    await turns()
    expect(waiting).to.have.length(SENDS_IN_FLIGHT_MAX)
    while (waiting.length > 0) {
      waiting.shift()?.()
      await turns(1)
    }
    expect((await Promise.all(all)).every(({ ok }) => ok)).to.equal(true)
    expect(letters.map(({ id }) => Number(id))).to.deep.equal(
      Array.from({ length: 100 }, (_, number) => number)
    )
  })

  it('posts with an id and a minute to live', async () => {
    const { id, done } = delivery.post({ type: LETTER.type, body: {} }, BOB)
    expect(await done).to.deep.equal({ ok: true })
    const [letter] = letters
    expect(letter?.id).to.equal(id)
    expect((letter?.expiresTime ?? 0) - (letter?.createdTime ?? 0)).to.equal(
      POST_LIFETIME_MS / 1000
    )
  })

  it('drops posts when a thousand wait', async () => {
    send = () => new Promise(() => {})
    const outcomes = Array.from(
      { length: POSTS_WAITING_MAX + 1 },
      () => delivery.post({ type: LETTER.type, body: {} }, BOB).done
    )
    expect(await outcomes.at(-1)).to.include({ ok: false, final: true })
    expect(logger.events.filter(({ event }) => event === 'post-dropped')).to.have.length(1)
    await delivery.close()
    await Promise.all(outcomes)
  })

  it('aborts what is under way when it is closed, and sends nothing afterwards', async () => {
    let aborted = false
    send = (_to, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true
          reject(new Error('aborted'))
        })
      })
    const outcome = delivery.deliver(LETTER, BOB)
    await turns()
    await delivery.close()
    expect(aborted).to.equal(true)
    expect(await outcome).to.include({ ok: false, final: false })
    const count = tried.length
    expect(await delivery.deliver(LETTER, BOB)).to.include({ ok: false, final: false })
    expect(tried).to.have.length(count)
  })
})
