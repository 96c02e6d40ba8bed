/** What a certificate is made of: the credential as it is kept, and a type that labels it. */
import { expect } from 'chai'
import type { CredentialFacts } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { certificateInput } from '../../gateway/certificate.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto } from '../../protocols/credential/native.ts'
import { issueSdJwt } from '../../protocols/credential/sd-jwt.ts'
import { secureRandom } from '../agent/faults.ts'
import { issued, ISSUER, issuerDocument, stranger } from '../protocols/credential/issuing-world.ts'

const FACTS: CredentialFacts = {
  id: 'd1',
  name: 'Degree',
  credentialId: 'urn:uuid:1',
  type: 'degree',
  version: '1.0.0',
  types: ['Degree'],
  format: 'vcdm-2.0',
  issuer: ISSUER,
  from: { did: 'did:peer:2', name: 'University' },
  state: 'current',
  receivedAt: '2026-01-01T00:00:00Z',
  thid: 't1'
}

const unknown = (): never => {
  throw new LockerError('type-unknown', 'no such type')
}
const OPTIONS = {
  types: { get: unknown },
  verifyUrl: 'https://uni.example/verify',
  language: 'en'
}

describe('gateway: what a certificate is made of', () => {
  it('attaches the credential byte for byte and labels it by the schema that came along', async () => {
    const text = JSON.stringify(await issued(), undefined, 1)
    const schema = {
      title: 'Degree of the university',
      $defs: {
        subject: { type: 'object', properties: { name: { type: 'string', title: 'Full name' } } }
      }
    }
    const bundle = {
      v: 1,
      madeAt: '2026-01-01T00:00:00Z',
      issuerDocument: JSON.parse(JSON.stringify(issuerDocument)) as JsonObject,
      schemas: [{ url: 'https://uni.example/schemas/degree/1.0.0', schema }],
      statusLists: [],
      descriptor: { names: { en: 'The University', hi: 'विश्वविद्यालय' } }
    }
    const input = await certificateInput(FACTS, { text, bundle }, { ...OPTIONS, second: 'hi' })
    expect(Buffer.from(input.attachment.bytes).toString()).to.equal(text)
    expect(input.attachment.mediaType).to.equal('application/vc+json')
    expect(input.type.schema).to.deep.equal(schema.$defs.subject)
    expect(input.type.display['en']?.name).to.equal('Degree of the university')
    expect(input.issuerNames).to.deep.equal({ en: 'The University', hi: 'विश्वविद्यालय' })
    expect(input).to.include({ language: 'en', secondLanguage: 'hi' })
  })

  it('names the contact where no description of the issuer came along, and puts a hash where the credential is too large for a code', async () => {
    const credential = await issued()
    const noise = Buffer.from(secureRandom(4_000)).toString('base64')
    const large = { ...credential, credentialSubject: { remark: noise } }
    const text = JSON.stringify(large)
    const { issuerNames, qr, type } = await certificateInput(FACTS, { text }, OPTIONS)
    expect(issuerNames).to.deep.equal({ en: 'University' })
    expect(type.display['en']?.name).to.equal('Degree')
    expect(qr.kind === 'url' ? [qr.url, qr.hash.length] : []).to.deep.equal([
      'https://uni.example/verify',
      64
    ])
  })

  it('shows the claims of an SD-JWT without what every SD-JWT says of itself', async () => {
    const text = issueSdJwt(
      { name: 'Asha' },
      {
        signer: stranger.signer,
        vct: 'https://elocker.example/vocab#Degree',
        iss: stranger.did,
        iat: new Date('2026-01-01T00:00:00Z'),
        disclosable: ['/name'],
        random: secureRandom
      },
      nativeProofCrypto
    )
    const facts: CredentialFacts = { ...FACTS, format: 'sd-jwt-vc', subject: 'did:key:z6Mk' }
    const { credential, attachment } = await certificateInput(facts, { text }, OPTIONS)
    expect(attachment.mediaType).to.equal('application/dc+sd-jwt')
    expect(credential['credentialSubject']).to.deep.equal({ id: 'did:key:z6Mk', name: 'Asha' })
  })
})
