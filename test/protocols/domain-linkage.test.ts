/** Domain linkage: what a domain serves about a DID, and every way in which it does not count. */
import { expect } from 'chai'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { addJcsProof } from '../../protocols/credential/data-integrity.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { LINKED_DIDS_MAX, linkDomain, readDomainLinkage } from '../../protocols/domain-linkage.ts'
import { CLOCK_SKEW_MS } from '../../protocols/message.ts'
import { DAY, Institution, later, NOW, sourcesOf, tampered } from './published.ts'

const university = new Institution('did:web:university.example', 1)
const impostor = new Institution('did:web:impostor.example', 2)
const ORIGIN = 'https://university.example'

const linked = (who = university, origin = ORIGIN): JsonObject =>
  linkDomain({ signer: who.signer, origin, validFrom: NOW, validUntil: later(365 * DAY), crypto })

async function faultOf(value: unknown, now = NOW, origin = ORIGIN): Promise<string> {
  const sources = sourcesOf([university, impostor], now)
  const reading = await readDomainLinkage(value, { did: university.did, origin }, sources)
  return reading.ok ? 'none' : reading.fault
}

/** The only entry of a configuration. */
function entryOf(configuration: JsonObject): JsonObject {
  const { linked_dids: entries } = configuration
  const [entry] = Array.isArray(entries) ? entries : []
  return entry as JsonObject
}

const withEntries = (...linked_dids: readonly unknown[]): unknown => ({ ...linked(), linked_dids })

describe('a domain linkage', () => {
  it('proves the domain until its end', async () => {
    const link = { did: university.did, origin: ORIGIN }
    expect(await readDomainLinkage(linked(), link, sourcesOf([university]))).to.deep.equal({
      ok: true,
      until: later(365 * DAY)
    })
    // An origin is compared as one: its default port, a slash at its end.
    expect(await faultOf(linked(), NOW, 'https://university.example:443/')).to.equal('none')
  })

  it('has the form of the standard', () => {
    const entry = entryOf(linked())
    expect(entry).to.not.have.property('id')
    expect(entry).to.deep.include({
      '@context': [
        'https://www.w3.org/2018/credentials/v1',
        'https://identity.foundation/.well-known/did-configuration/v1'
      ],
      type: ['VerifiableCredential', 'DomainLinkageCredential'],
      issuer: university.did,
      issuanceDate: '2026-11-23T12:00:00Z',
      expirationDate: '2027-11-23T12:00:00Z',
      credentialSubject: { id: university.did, origin: ORIGIN }
    })
  })

  it('is refused when anything in the entry was changed', async () => {
    for (const [path, changed] of tampered(entryOf(linked()))) {
      // Contexts behind the signed ones are no part of what is signed (eddsa-jcs-2022, "Verify Proof").
      if (path === '/@context/+') continue
      expect(await faultOf(withEntries(changed)), path).to.be.oneOf([
        'proof-wrong',
        'not-linked',
        'malformed'
      ])
    }
  })

  it('is of this DID and of this origin only', async () => {
    expect(await faultOf(linked(impostor))).to.equal('not-linked')
    expect(await faultOf(linked(university, 'https://other.example'))).to.equal('not-linked')
    expect(await faultOf(linked(), NOW, 'https://university.example.evil')).to.equal('not-linked')
    expect(await faultOf(linked(), NOW, 'http://university.example')).to.equal('not-linked')
  })

  it('is refused when another has signed it', async () => {
    const { proof: _, ...bare } = entryOf(linked())
    const forged = addJcsProof(bare, { signer: impostor.signer, created: NOW }, crypto)
    expect(await faultOf(withEntries(forged))).to.equal('proof-wrong')
    expect(await faultOf(withEntries(bare))).to.equal('proof-wrong')
  })

  it('is found among entries that cannot be read here', async () => {
    const jwt = 'eyJhbGciOiJFZERTQSJ9.e30.c2ln'
    const other = entryOf(linked(impostor))
    expect(await faultOf(withEntries(jwt, null, 1, other, entryOf(linked())))).to.equal('none')
    expect(await faultOf(withEntries(jwt))).to.equal('not-linked')
  })

  it('counts in its time only', async () => {
    expect(await faultOf(linked(), later(365 * DAY + CLOCK_SKEW_MS))).to.equal('none')
    expect(await faultOf(linked(), later(365 * DAY + CLOCK_SKEW_MS + 1))).to.equal('expired')
    expect(await faultOf(linked(), later(-CLOCK_SKEW_MS - 1))).to.equal('not-yet-valid')
    const { proof: _, ...bare } = entryOf(linked())
    for (const issuanceDate of ['2026-02-30T00:00:00Z', 'yesterday']) {
      const options = { signer: university.signer, created: NOW }
      const odd = addJcsProof({ ...bare, issuanceDate }, options, crypto)
      expect(await faultOf(withEntries(odd)), issuanceDate).to.equal('malformed')
    }
  })

  it('must not have an id', async () => {
    const { proof: _, ...bare } = entryOf(linked())
    const options = { signer: university.signer, created: NOW }
    const named = addJcsProof({ ...bare, id: 'urn:x' }, options, crypto)
    expect(await faultOf(withEntries(named))).to.equal('not-linked')
  })

  it('is refused whatever else it is', async () => {
    const many = Array.from({ length: LINKED_DIDS_MAX + 1 }, () => entryOf(linked()))
    const deep: unknown = JSON.parse(`{"a":${'['.repeat(40)}${']'.repeat(40)}}`)
    for (const value of [null, [], 'x', {}, { linked_dids: [] }, withEntries(...many), deep])
      expect(await faultOf(value)).to.equal('malformed')
    expect(await faultOf(withEntries(...many.slice(1)))).to.equal('none')
  })
})
