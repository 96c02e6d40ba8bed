import { expect } from 'chai'
import {
  BUNDLE_CHARS_MAX,
  bundledIssuer,
  parseBundle,
  sourcesFromBundle,
  type VerificationBundle
} from '../../../protocols/credential/bundle.ts'
import type { VerificationSources } from '../../../protocols/credential/checks.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { judge, type Verdict } from '../../../protocols/credential/verdict.ts'
import {
  DAY_MS,
  ISSUER,
  NOW,
  REVOCATION,
  SCHEMA_URL,
  SUSPENSION,
  cached,
  gone,
  issued,
  issuerDocument,
  keys,
  listOf,
  live,
  multikeyOf,
  schema,
  seedOf,
  worldOf
} from './issuing-world.ts'

const MADE_AT = new Date(NOW.getTime() - 10 * DAY_MS)

async function bundleOf(
  changes: Readonly<Record<string, unknown>> = {}
): Promise<VerificationBundle> {
  const list = async (purpose: 'revocation' | 'suspension'): Promise<JsonObject> =>
    listOf(purpose, { created: MADE_AT })
  const parsed = parseBundle({
    v: 1,
    madeAt: MADE_AT.toISOString(),
    issuerDocument: structuredClone(issuerDocument),
    schemas: [{ url: SCHEMA_URL, schema }],
    statusLists: [
      { url: REVOCATION, list: await list('revocation'), asOf: MADE_AT.toISOString() },
      { url: SUSPENSION, list: await list('suspension'), asOf: MADE_AT.toISOString() }
    ],
    ...changes
  })
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.bundle
}

/** A verifier who reaches nothing, on purpose or not. */
const nowhere = (offline: boolean): Promise<VerificationSources> =>
  worldOf({
    offline,
    issuerDocument: async () => gone('there is no network'),
    statusList: async () => gone('there is no network'),
    schema: async () => gone('there is no network')
  })

const codeOf = (verdict: Verdict, name: string): string =>
  verdict.checks.find((check) => check.name === name)?.code ?? ''

describe('verification bundle', () => {
  it('judges off-line from what it holds, and says how old that is', async () => {
    const sources = sourcesFromBundle(await bundleOf(), await nowhere(true), { vouchedFor: true })
    const verdict = await judge(await issued(), sources)
    expect([verdict.result, verdict.offline, verdict.knownAsOf]).to.deep.equal([
      'valid',
      true,
      MADE_AT.toISOString()
    ])
    expect(codeOf(verdict, 'schema')).to.equal('schema-conforms')
    const reasons = verdict.checks.map(({ reason }) => reason).join(' ')
    expect(reasons).to.include('13 November 2026').and.include('10 days ago')
  })

  it('does not make old lists new: on-line the status could not be checked', async () => {
    const sources = sourcesFromBundle(await bundleOf(), await nowhere(false), { vouchedFor: true })
    const verdict = await judge(await issued(), sources)
    expect([verdict.result, codeOf(verdict, 'status')]).to.deep.equal([
      'could-not-be-checked',
      'status-old'
    ])
  })

  it('gives way to what is live, and to what is newer', async () => {
    const revoked = await listOf('revocation', { set: true })
    const bundle = await bundleOf()
    const online = sourcesFromBundle(
      bundle,
      await worldOf({ lists: { [REVOCATION]: live(revoked) } }),
      { vouchedFor: true }
    )
    expect((await judge(await issued(), online)).result).to.equal('revoked')
    const later = await worldOf({ offline: true, lists: { [REVOCATION]: cached(revoked, DAY_MS) } })
    expect(
      (await judge(await issued(), sourcesFromBundle(bundle, later, { vouchedFor: true }))).result
    ).to.equal('revoked')
    const older = await worldOf({
      offline: true,
      lists: { [SUSPENSION]: cached(await listOf('suspension', { set: true }), 20 * DAY_MS) }
    })
    expect(
      (await judge(await issued(), sourcesFromBundle(bundle, older, { vouchedFor: true }))).result
    ).to.equal('valid')
  })

  it('answers only for its own issuer', async () => {
    const sources = sourcesFromBundle(await bundleOf(), await nowhere(true), { vouchedFor: true })
    expect((await sources.issuerDocument('did:web:mill.example')).ok).to.be.false
    expect((await sources.statusList('https://mill.example/status')).ok).to.be.false
    expect(bundledIssuer(await bundleOf())).to.equal(ISSUER)
  })

  it('keeps the trust and names of the one who asks', async () => {
    const sources = sourcesFromBundle(await bundleOf(), await nowhere(true), { vouchedFor: true })
    expect((await judge(await issued(), sources)).issuer).to.deep.equal({
      did: ISSUER,
      name: 'University',
      trust: 'own-contact'
    })
  })

  describe('that nobody vouches for', () => {
    /** Keys of a forger's own under the university's name. */
    const forgedDocument = {
      id: ISSUER,
      verificationMethod: [
        {
          id: `${ISSUER}#current`,
          type: 'Multikey',
          controller: ISSUER,
          publicKeyMultibase: multikeyOf(seedOf('forger'))
        }
      ],
      assertionMethod: [`${ISSUER}#current`]
    }

    it('does not make a forger the issuer', async () => {
      const { nativeSigner } = await import('../../../protocols/credential/native.ts')
      const signer = nativeSigner(seedOf('forger'), `${ISSUER}#current`)
      const forged = await issued({ credentialStatus: undefined }, { signer })
      const bundle = await bundleOf({ issuerDocument: forgedDocument })
      const sources = sourcesFromBundle(bundle, await nowhere(true), { vouchedFor: false })
      const verdict = await judge(forged, sources)
      expect([verdict.result, codeOf(verdict, 'issuer-key')]).to.deep.equal([
        'could-not-be-checked',
        'issuer-unreachable'
      ])
      expect(verdict.checks.map(({ reason }) => reason).join(' ')).to.include(
        'nobody vouches for the keys'
      )
      // The forgery is a good one: vouched for, it would pass.
      const believed = sourcesFromBundle(bundle, await nowhere(true), { vouchedFor: true })
      expect((await judge(forged, believed)).result).to.equal('valid')
    })

    it('serves signed lists where there are none, at the time they were signed', async () => {
      const bundle = await bundleOf()
      const claimed = {
        ...bundle,
        statusLists: bundle.statusLists.map((one) => ({ ...one, asOf: NOW.toISOString() }))
      }
      const base = await worldOf({
        offline: true,
        statusList: async () => gone('there is no network')
      })
      const verdict = await judge(
        await issued(),
        sourcesFromBundle(claimed, base, { vouchedFor: false })
      )
      expect([verdict.result, verdict.knownAsOf]).to.deep.equal(['valid', MADE_AT.toISOString()])
    })

    it('never replaces what the verifier has', async () => {
      const own = cached(await listOf('revocation', { set: true }), 20 * DAY_MS)
      const base = await worldOf({ offline: true, lists: { [REVOCATION]: own } })
      const sources = sourcesFromBundle(await bundleOf(), base, { vouchedFor: false })
      expect((await judge(await issued(), sources)).result).to.equal('revoked')
    })

    it('holds no list of a forger’s', async () => {
      const list = await listOf('revocation', { signer: keys.other })
      const bundle = await bundleOf({
        statusLists: [{ url: REVOCATION, list, asOf: MADE_AT.toISOString() }]
      })
      const base = await worldOf({
        offline: true,
        lists: { [REVOCATION]: gone('there is no network') }
      })
      const verdict = await judge(
        await issued(),
        sourcesFromBundle(bundle, base, { vouchedFor: false })
      )
      expect(codeOf(verdict, 'status')).to.equal('status-list-unproven')
    })
  })

  describe('from outside', () => {
    // oxfmt-ignore
    const wrong: readonly (readonly [string, Readonly<Record<string, unknown>>, string])[] = [
      ['of another version', { v: 2 }, 'v: '],
      ['with a member nobody knows', { contexts: [] }, 'contexts'],
      ['with a time that is none', { madeAt: '2023-02-30T00:00:00Z' }, 'madeAt'],
      ['without a DID document', { issuerDocument: undefined }, 'issuerDocument'],
      ['with a document of nobody', { issuerDocument: { id: 'uni.example' } }, 'no DID'],
      ['with a document that is malformed', { issuerDocument: { id: ISSUER, service: 'x' } }, 'breaks the schema'],
      ['with nine lists', { statusLists: Array.from({ length: 9 }, () => ({ url: 'a:b', list: {}, asOf: NOW.toISOString() })) }, 'statusLists'],
      ['that is too large', { descriptor: { text: 'a'.repeat(BUNDLE_CHARS_MAX) } }, 'at most 196608'],
      ['that is nested too deep', { descriptor: Array.from({ length: 40 }).reduce((inner) => ({ inner }), 1) }, 'nested deeper']
    ]
    for (const [what, changes, reason] of wrong) {
      it(`is refused ${what}`, async () => {
        const { v, madeAt, issuerDocument: document, schemas, statusLists } = await bundleOf()
        const value = JSON.parse(
          JSON.stringify({ v, madeAt, issuerDocument: document, schemas, statusLists, ...changes })
        ) as unknown
        const parsed = parseBundle(value)
        expect(parsed.ok ? '' : parsed.reason)
          .to.include('bundle')
          .and.include(reason)
      })
    }

    it('takes no asOf of the future', async () => {
      const list = await listOf('revocation')
      const bundle = await bundleOf({
        statusLists: [{ url: REVOCATION, list, asOf: '2099-01-01T00:00:00Z' }]
      })
      const known = await sourcesFromBundle(bundle, await nowhere(true), {
        vouchedFor: true
      }).statusList(REVOCATION)
      expect(known.ok && known.asOf.getTime()).to.equal(NOW.getTime())
    })
  })
})
