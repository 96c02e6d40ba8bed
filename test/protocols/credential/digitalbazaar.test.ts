import { expect } from 'chai'
import { addProof, type Cryptosuite } from '../../../protocols/credential/data-integrity.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { theirIssuer, theyVerify } from './digitalbazaar.ts'
import { faultsOf, sampleCredential, testKey } from './signers.ts'

const university = testKey('university')
const sample = sampleCredential(university.did)
const date = '2026-11-23T10:00:00Z'
const created = new Date(date)

for (const suite of ['eddsa-jcs-2022', 'eddsa-rdfc-2022'] satisfies Cryptosuite[]) {
  describe(`${suite} beside Digital Bazaar's libraries`, () => {
    it('verifies what they issue, and refuses it changed', async () => {
      const issue = await theirIssuer(university, suite, date)
      const theirs = await issue(sample)
      expect(await faultsOf(theirs)).to.deep.equal(['ok'])
      expect(await faultsOf({ ...theirs, validUntil: '2037-01-01T00:00:00Z' })).to.deep.equal([
        'signature-wrong'
      ])
    })

    it('issues what they verify, and refuse changed', async () => {
      const ours = await addProof(sample, { suite, signer: university.signer, created }, crypto)
      expect(await theyVerify(ours, suite, created)).to.equal(true)
      const changed = { ...ours, validUntil: '2037-01-01T00:00:00Z' }
      expect(await theyVerify(changed, suite, created)).to.match(/Invalid signature/)
    })

    it('makes the very signature they make', async () => {
      const issue = await theirIssuer(university, suite, date)
      const ours = await addProof(sample, { suite, signer: university.signer, created }, crypto)
      expect(ours).to.deep.equal(await issue(sample))
    })

    it('verifies a set of which they made one proof and we the other', async () => {
      const issue = await theirIssuer(university, suite, date)
      const board = testKey('board')
      const both = await addProof(
        await issue(sample),
        { suite, signer: board.signer, created },
        crypto
      )
      expect(await faultsOf(both)).to.deep.equal(['ok', 'ok'])
    })
  })
}
