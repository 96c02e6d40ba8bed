/** What a verifier makes of an issuer's keys and status lists: from what the issuer itself publishes. */
import { expect } from 'chai'
import { openAudit } from '../../agent/audit.ts'
import { openIssuer, type Issuer } from '../../agent/issuer.ts'
import type { Records } from '../../agent/records.ts'
import {
  openStatusLists,
  type StatusAllocation,
  type StatusLists
} from '../../agent/status-lists.ts'
import { addJcsProof } from '../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { judge, type Verdict } from '../../protocols/credential/verdict.ts'
import { parseDidDocument } from '../../protocols/did/document.ts'
import { ManualClock, secureRandom } from './faults.ts'
import { Home } from './record-home.ts'

const DID = 'did:web:university.example'
const HOUR = 3_600_000

describe('an issuer, as verifiers see it', () => {
  let clock: ManualClock
  let records: Records
  let issuer: Issuer
  let lists: StatusLists
  let status: StatusAllocation

  beforeEach(async () => {
    clock = new ManualClock()
    records = await new Home().open()
    const audit = await openAudit({ records, clock })
    const basis = {
      records,
      audit,
      clock,
      random: secureRandom,
      baseUrl: () => 'https://u.example'
    }
    issuer = await openIssuer({ ...basis, network: { endpoints: () => [] }, types: () => [] })
    lists = await openStatusLists({ ...basis, issuer })
    await issuer.setUp({
      names: { en: 'University' },
      categories: ['education'],
      domain: 'university.example'
    })
    status = await records.change((batch) => lists.allocate(batch))
  })

  function issued(): JsonObject {
    const created = clock.now()
    const credential = {
      '@context': [
        'https://www.w3.org/ns/credentials/v2',
        'https://elocker.example/contexts/credentials/v1'
      ],
      id: 'urn:uuid:9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d',
      type: ['VerifiableCredential', 'Enrolment'],
      issuer: DID,
      validFrom: new Date(Date.parse('2026-11-01T00:00:00Z')).toISOString(),
      credentialSubject: { id: 'did:example:asha', name: 'Asha' },
      credentialStatus: status.credentialStatus
    }
    return addJcsProof(credential, { signer: issuer.signer(), created }, crypto)
  }

  /** By the DID document and the lists as they are published now. */
  function verdictOf(credential: JsonObject): Promise<Verdict> {
    const now = clock.now()
    return judge(credential, {
      now,
      crypto,
      offline: false,
      issuerDocument: async (did) => ({
        ok: true,
        value: parseDidDocument(issuer.didDocument(), did),
        asOf: now,
        from: 'live'
      }),
      statusList: async (url) => ({
        ok: true,
        value: await lists.signed(url.slice(url.lastIndexOf('/') + 1)),
        asOf: now,
        from: 'live'
      }),
      schema: async () => ({ ok: false, reason: 'there is none' }),
      trust: async () => 'unknown'
    })
  }

  const set = (purpose: 'revocation' | 'suspension', value: boolean): Promise<void> =>
    records.change((batch) => lists.set(batch, status[purpose], value))

  it('signs credentials that hold', async () => {
    const { result, checks } = await verdictOf(issued())
    expect(result, JSON.stringify(checks)).to.equal('valid')
  })

  it('leaves what a rotated key signed valid, up to the second of the rotation', async () => {
    const before = issued()
    clock.advance(999)
    const same = issued()
    await issuer.rotateKey('rotated')
    clock.advance(HOUR)
    for (const credential of [before, same, issued()])
      expect((await verdictOf(credential)).result).to.equal('valid')
  })

  it('cannot go on with a rotated key', async () => {
    const old = issuer.signer()
    await issuer.rotateKey('rotated')
    clock.advance(HOUR)
    const { proof: _, ...credential } = issued()
    const late = addJcsProof(credential, { signer: old, created: clock.now() }, crypto)
    expect((await verdictOf(late)).result).to.equal('invalid')
  })

  it('makes all that a compromised key signed invalid, and nothing else', async () => {
    const first = issued()
    clock.advance(HOUR)
    await issuer.rotateKey('rotated')
    const second = issued()
    clock.advance(HOUR)
    await issuer.rotateKey('compromised', { key: `${DID}#key-1` })
    expect((await verdictOf(first)).result).to.equal('invalid')
    expect((await verdictOf(second)).result).to.equal('valid')
    await issuer.rotateKey('compromised')
    expect((await verdictOf(second)).result).to.equal('invalid')
    expect((await verdictOf(issued())).result).to.equal('valid')
  })

  it('suspends, reinstates and revokes', async () => {
    const credential = issued()
    await set('suspension', true)
    expect((await verdictOf(credential)).result).to.equal('suspended')
    await set('suspension', false)
    expect((await verdictOf(credential)).result).to.equal('valid')
    await set('revocation', true)
    expect((await verdictOf(credential)).result).to.equal('revoked')
  })

  it('keeps status lists readable across a rotation', async () => {
    await set('revocation', true)
    expect((await verdictOf(issued())).result).to.equal('revoked')
    await issuer.rotateKey('compromised')
    expect((await verdictOf(issued())).result).to.equal('revoked')
  })
})
