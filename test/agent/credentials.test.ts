import { expect } from 'chai'
import { HISTORY_MAX } from '../../agent/issued.ts'
import { ISSUANCE_THREADS_PER_CONTACT_MAX, openThreads } from '../../agent/issuance-threads.ts'
import { parseBundle, sourcesFromBundle } from '../../protocols/credential/bundle.ts'
import type { Known, VerificationSources } from '../../protocols/credential/checks.ts'
import { isJsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto } from '../../protocols/credential/native.ts'
import { judge, type Verdict } from '../../protocols/credential/verdict.ts'
import { parseDidDocument } from '../../protocols/did/document.ts'
import { MARKS, openIssuanceCast, setUpIssuer, TYPE, type IssuanceCast } from './issuance-cast.ts'
import { Home } from './record-home.ts'

const MINUTE_MS = 60_000

describe('agent/credentials', () => {
  let cast: IssuanceCast
  let university: IssuanceCast['university']
  let asha: IssuanceCast['asha']
  beforeEach(async () => {
    cast = await openIssuanceCast()
    ;({ university, asha } = cast)
  })
  afterEach(async () => {
    await cast.lockers.close()
  })

  /** The verdict on a kept credential with nothing but what is kept. */
  async function offline(id: string): Promise<Verdict> {
    const { text, bundle } = await asha.locker.credentials.verdictInput(id)
    const parsed = parseBundle(bundle)
    if (!parsed.ok) throw new Error(parsed.reason)
    const nothing: Known<never> = { ok: false, reason: 'no network' }
    const base: VerificationSources = {
      now: cast.lockers.clock.now(),
      crypto: nativeProofCrypto,
      offline: true,
      issuerDocument: async () => nothing,
      statusList: async () => nothing,
      schema: async () => nothing,
      trust: async () => 'unknown'
    }
    return judge(text, sourcesFromBundle(parsed.bundle, base, { vouchedFor: true }))
  }

  for (const format of ['vcdm-2.0', 'sd-jwt-vc'] as const)
    it(`keeps what an off-line verdict needs, for ${format}`, async () => {
      await cast.delivered({ format })
      await university.close()
      await cast.lockers.clock.advance(10 * MINUTE_MS)
      const verdict = await offline(cast.kept()[0]?.id ?? '')
      expect(verdict.result, JSON.stringify(verdict.checks)).to.equal('valid')
      const outcomes = new Map(verdict.checks.map(({ name, outcome }) => [name, outcome]))
      for (const name of ['structure', 'proof', 'issuer-key', 'status'] as const)
        expect(outcomes.get(name), name).to.equal('passed')
      expect(outcomes.get('schema')).to.equal(format === 'vcdm-2.0' ? 'passed' : 'not-applicable')
      expect(verdict.knownAsOf).to.not.equal(undefined)
      await university.open()
    })

  it('lists the newest first, after a restart too', async () => {
    await cast.delivered()
    await cast.lockers.clock.advance(MINUTE_MS)
    await cast.delivered({ format: 'sd-jwt-vc' })
    const before = cast.kept()
    expect(before.map(({ format }) => format)).to.deep.equal(['sd-jwt-vc', 'vcdm-2.0'])
    await asha.close()
    await asha.open()
    expect(cast.kept()).to.deep.equal(before)
    expect(asha.locker.credentials.get(before[1]?.id ?? '')).to.deep.equal(before[1])
  })

  it('keeps one of an issuer with a domain, under the keys its DID resolves to', async () => {
    const academy = await cast.lockers.join('Academy')
    await cast.lockers.befriend(academy, asha)
    await setUpIssuer(academy, { domain: 'academy.example' })
    const document = (): ReturnType<typeof parseDidDocument> => {
      const published = academy.locker.issuer.didDocument()
      return parseDidDocument(published, 'did:web:academy.example')
    }
    const { thid = '' } = await academy.locker.issuance.offer({
      type: TYPE,
      claims: MARKS,
      to: 'Asha'
    })
    await cast.lockers.settled()
    await asha.locker.issuance.accept(thid)
    await cast.lockers.settled()
    const waiting = asha.locker.issuance.get(thid)
    expect(waiting.state).to.equal('issued')
    expect(waiting.reason).to.match(/^It has arrived and cannot be checked yet\. .*did:web:academy/)
    cast.lockers.documents.set('did:web:academy.example', document())
    await cast.lockers.clock.advance(MINUTE_MS)
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thid).state).to.equal('done')
    const [credential] = cast.kept()
    expect(credential?.issuer).to.equal('did:web:academy.example')
    // Rotated afterwards: what the old key signed before stays valid.
    await academy.locker.issuer.rotateKey('rotated')
    expect((await offline(credential?.id ?? '')).result).to.equal('valid')
    const { bundle } = await asha.locker.credentials.verdictInput(credential?.id ?? '')
    const kept = bundle?.['issuerDocument']
    expect(isJsonObject(kept) ? kept['id'] : undefined).to.equal('did:web:academy.example')
  })

  it('lets one contact open so many threads and no more, unless older ones have ended', async () => {
    const records = await new Home().open()
    const threads = await openThreads({
      records,
      clock: cast.lockers.clock,
      contacts: { find: () => undefined },
      outbox: {
        enqueue: () => {
          throw new Error('nothing is sent here')
        },
        get: () => undefined
      },
      changed: () => undefined
    })
    const now = cast.lockers.clock.now().toISOString()
    const proposed = {
      role: 'issuer' as const,
      state: 'proposed' as const,
      contact: 'did:example:bob',
      contactName: 'Bob',
      type: TYPE,
      createdAt: now,
      changedAt: now,
      openedByThem: true
    }
    await records.change((batch) => {
      for (let count = 0; count < ISSUANCE_THREADS_PER_CONTACT_MAX; count++)
        threads.put(batch, { ...proposed, id: `thread-${count}` })
      threads.put(batch, { ...proposed, id: 'other', contact: 'did:example:carol' })
    })
    const room = (contact: string): Promise<boolean> =>
      records.change((batch) => threads.makeRoom(batch, contact))
    expect(await room('did:example:bob')).to.equal(false)
    expect(await room('did:example:carol')).to.equal(true)
    await records.change((batch) =>
      threads.put(batch, { ...proposed, state: 'abandoned', id: 'thread-500' })
    )
    expect(await room('did:example:bob')).to.equal(true)
    expect(threads.find('thread-500')).to.equal(undefined)
    await records.close()
  })

  it('remembers how a credential began, however often its status changes', async () => {
    const { id } = await cast.delivered()
    const { issuance } = university.locker
    for (let each = 0; each < HISTORY_MAX / 2; each++) {
      await issuance.suspend(id)
      await issuance.reinstate(id)
      await cast.lockers.clock.advance(1000)
    }
    const { history } = issuance.issuedCredential(id)
    expect(history).to.have.length(HISTORY_MAX)
    expect(history[0]?.what).to.equal('prepared')
    expect(history.at(-1)?.what).to.equal('reinstated')
  })
})
