/**
 * Cast: 1. a university with did:web, keys and status lists, 2. a holder, 3. a verifier who looks things up over a network
 * that the test switches off and on, and a clock that it moves.
 */
import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import { createVerifier, LOOKED_UP_FRESH_MS, type Verifier } from '../../agent/verification.ts'
import type { Check } from '../../protocols/credential/checks.ts'
import { compactCredential } from '../../protocols/credential/compact.ts'
import { resolveDidKey } from '../../protocols/did/key.ts'
import { FakeClock } from '../clock.ts'
import {
  DAY_MS,
  issued,
  ISSUER,
  issuerDocument,
  listOf,
  NOW,
  REVOCATION,
  schema,
  SCHEMA_URL,
  SUSPENSION
} from '../protocols/credential/issuing-world.ts'
import { failure } from '../lockers.ts'

interface World {
  readonly verifier: Verifier
  readonly clock: FakeClock
  /** URLs and DIDs asked for, in order. */
  readonly asked: string[]
  online: boolean
  revoked: boolean
}

function worldOf(): World {
  const clock = new FakeClock(NOW.toISOString())
  const asked: string[] = []
  const world: World = {
    clock,
    asked,
    online: true,
    revoked: false,
    verifier: createVerifier({
      clock,
      resolve: async (did) => {
        if (did.startsWith('did:key:')) return resolveDidKey(did)
        asked.push(did)
        if (!world.online || did !== ISSUER)
          throw new LockerError('did-unresolvable', `${did} does not answer`)
        return issuerDocument
      },
      fetchJson: async (url) => {
        asked.push(url)
        if (!world.online) throw new LockerError('peer-unreachable', 'no connection to uni.example')
        const answers: Readonly<Record<string, unknown>> = {
          [REVOCATION]: await listOf('revocation', { set: world.revoked, created: clock.now() }),
          [SUSPENSION]: await listOf('suspension', { created: clock.now() }),
          [SCHEMA_URL]: schema
        }
        return Buffer.from(JSON.stringify(answers[url] ?? {}))
      }
    })
  }
  return world
}

const reasonOf = (checks: readonly Check[], name: Check['name']): string =>
  checks.find((check) => check.name === name)?.reason ?? ''

describe('verification', () => {
  it('judges JSON with what it looks up, and says how the issuer is known', async () => {
    const { verifier, asked } = worldOf()
    const { carrier, result, verdicts } = await verifier.verify(JSON.stringify(await issued()))
    expect({ carrier, result }).to.deep.equal({ carrier: 'json', result: 'valid' })
    expect(verdicts[0]?.issuer).to.deep.equal({ did: ISSUER, trust: 'domain-proven' })
    expect(asked).to.have.members([ISSUER, SCHEMA_URL, REVOCATION, SUSPENSION])
  })

  it('uses a status list again for five minutes, then asks anew', async () => {
    const world = worldOf()
    const text = JSON.stringify(await issued())
    await world.verifier.verify(text)
    world.revoked = true
    await world.clock.advance(LOOKED_UP_FRESH_MS)
    expect((await world.verifier.verify(text)).result).to.equal('valid')
    await world.clock.advance(1)
    expect((await world.verifier.verify(text)).result).to.equal('revoked')
  })

  it('says what could not be checked, and since when, once the issuer is away and the list old', async () => {
    const world = worldOf()
    const text = JSON.stringify(await issued())
    await world.verifier.verify(text)
    world.online = false
    await world.clock.advance(3 * DAY_MS)
    const { result, verdicts } = await world.verifier.verify(text)
    expect(result).to.equal('could-not-be-checked')
    const reason = reasonOf(verdicts[0]?.checks ?? [], 'status')
    expect(reason).to.contain(REVOCATION)
    expect(reason).to.contain('23 November 2026')
  })

  it('off-line asks nobody, takes what it knows and says its age', async () => {
    const world = worldOf()
    const text = JSON.stringify(await issued())
    await world.verifier.verify(text)
    world.asked.length = 0
    await world.clock.advance(3 * DAY_MS)
    const { result, verdicts } = await world.verifier.verify(text, { offline: true })
    expect(result).to.equal('valid')
    expect(verdicts[0]).to.include({ offline: true, knownAsOf: NOW.toISOString() })
    expect(reasonOf(verdicts[0]?.checks ?? [], 'status')).to.contain('3 days')
    expect(world.asked).to.deep.equal([])
  })

  it('off-line without ever having looked says so', async () => {
    const { verifier } = worldOf()
    const { result, verdicts } = await verifier.verify(JSON.stringify(await issued()), {
      offline: true
    })
    expect(result).to.equal('could-not-be-checked')
    expect(reasonOf(verdicts[0]?.checks ?? [], 'issuer-key')).to.contain('never looked up')
  })

  it('takes what came along with the credential from its issuer', async () => {
    const { verifier } = worldOf()
    const at = NOW.toISOString()
    const bundle = {
      v: 1 as const,
      madeAt: at,
      issuerDocument: JSON.parse(JSON.stringify(issuerDocument)),
      schemas: [{ url: SCHEMA_URL, schema: JSON.parse(JSON.stringify(schema)) }],
      statusLists: [
        { url: REVOCATION, list: await listOf('revocation'), asOf: at },
        { url: SUSPENSION, list: await listOf('suspension'), asOf: at }
      ]
    }
    const { result } = await verifier.verify(JSON.stringify(await issued()), {
      offline: true,
      bundle: { value: bundle, vouchedFor: true }
    })
    expect(result).to.equal('valid')
  })

  it('reads the text of a QR code', async () => {
    const { verifier } = worldOf()
    const small = await issued({ credentialSchema: undefined, credentialStatus: undefined })
    const text = await compactCredential(small)
    const { carrier, result } = await verifier.verify(`${text ?? ''}\n`)
    expect({ carrier, result }).to.deep.equal({ carrier: 'qr', result: 'valid' })
  })

  it('judges what is in a presentation and says that nobody was asked whose it is', async () => {
    const { verifier } = worldOf()
    const presentation = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: 'VerifiablePresentation',
      verifiableCredential: [await issued(), await issued({ validUntil: '2026-06-01T00:00:00Z' })]
    }
    const { carrier, holder, result, verdicts } = await verifier.verify(
      JSON.stringify(presentation)
    )
    expect(carrier).to.equal('presentation')
    expect(verdicts.map((verdict) => verdict.result)).to.deep.equal(['valid', 'expired'])
    expect(result).to.equal('expired')
    expect(holder?.code).to.equal('holder-not-asked')
  })

  it('asks once for many who ask at the same time', async () => {
    const { verifier, asked } = worldOf()
    const text = JSON.stringify(await issued())
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(text)))
    expect(asked.filter((url) => url === REVOCATION)).to.have.length(1)
  })

  it('refuses a PDF without a credential, a broken QR text and what is too large', async () => {
    const { verifier } = worldOf()
    const pdf = Buffer.from('%PDF-1.7\nnothing follows')
    expect((await failure(verifier.verify(pdf))).code).to.equal('credential-absent')
    expect((await failure(verifier.verify('ELC1:%%%'))).code).to.equal('credential-absent')
    expect((await failure(verifier.verify('{'.repeat(300_000)))).code).to.equal('request-too-large')
  })

  it('gives a verdict on text that is no credential at all', async () => {
    const { verifier } = worldOf()
    for (const text of ['', 'hello', '{}', '[]', '{"a":', 'a~b~', '\u0000']) {
      const { result } = await verifier.verify(text)
      expect(result, text).to.equal('invalid')
    }
  })
})
