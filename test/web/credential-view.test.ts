/** What the page makes of a credential without a browser: its content, its form, and verdicts on @noble. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  contentOfClaims,
  contentOfCredential,
  words
} from '../../gateway/web/credential/content.ts'
import { claimsOf, formOf } from '../../gateway/web/credential/form.ts'
import { judgeHere } from '../../gateway/web/credential/judge-here.ts'
import { labelsOf } from '../../gateway/web/credential/labels.ts'
import { contentsOf, readText } from '../../gateway/web/credential/read.ts'
import { webProofCrypto } from '../../gateway/web/proof-crypto.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto } from '../../protocols/credential/native.ts'
import { checkSchema } from '../../protocols/credential/schema.ts'
import { publicJwk } from '../../protocols/did/multikey.ts'
import { NOW, holder, issued, sign, unsigned } from '../protocols/credential/issuing-world.ts'
import { sampleTypes } from './sample-credentials.ts'

const bytes = (sizeBytes: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: sizeBytes, maxLength: sizeBytes })

describe('proof cryptography of the page', () => {
  it('verifies what node:crypto verifies, and no flipped bit', () => {
    fc.assert(
      fc.property(bytes(32), bytes(40), fc.nat(511), (seed, message, bit) => {
        const key = ed25519.getPublicKey(seed)
        const signature = ed25519.sign(message, seed)
        expect(webProofCrypto.verifyEd25519(key, message, signature)).to.equal(true)
        const flipped = Uint8Array.from(signature)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        for (const crypto of [webProofCrypto, nativeProofCrypto])
          expect(crypto.verifyEd25519(key, message, flipped)).to.equal(false)
      }),
      { numRuns: 20 }
    )
  })

  it('takes ES256 with either s, and refuses another message', () => {
    const secret = new Uint8Array(32).fill(7)
    const key = publicJwk('P-256', p256.getPublicKey(secret))
    const message = new TextEncoder().encode('a marksheet')
    const low = p256.sign(message, secret)
    const { r, s } = p256.Signature.fromBytes(low)
    const high = new p256.Signature(r, p256.Point.Fn.ORDER - s).toBytes()
    for (const signature of [low, high])
      for (const crypto of [webProofCrypto, nativeProofCrypto]) {
        expect(crypto.verifyP256(key, message, signature)).to.equal(true)
        expect(crypto.verifyP256(key, message.subarray(1), signature)).to.equal(false)
      }
  })

  it('calls keys and signatures that are none unverified, as node:crypto does', () => {
    const identity = new Uint8Array(32)
    identity[0] = 1
    const forged = new Uint8Array(64)
    forged[0] = 1
    const message = new Uint8Array(3)
    for (const crypto of [webProofCrypto, nativeProofCrypto]) {
      expect(crypto.verifyEd25519(identity, message, forged), 'small order').to.equal(false)
      expect(crypto.verifyEd25519(new Uint8Array(31), message, forged)).to.equal(false)
      expect(
        crypto.verifyEd25519(ed25519.getPublicKey(identity), message, new Uint8Array(63))
      ).to.equal(false)
      expect(crypto.verifyP256({ kty: 'OKP', crv: 'Ed25519', x: 'AA' }, message, forged)).to.equal(
        false
      )
    }
  })
})

describe('verdict in the browser', () => {
  const own = { issuer: holder.did, credentialStatus: undefined, credentialSchema: undefined }

  it('is valid for a did:key by itself and invalid after one change', async () => {
    const credential = await sign(unsigned(own), { signer: holder.signer })
    expect(await judgeHere(JSON.stringify(credential), NOW)).to.include({ result: 'valid' })
    const changed = { ...credential, credentialSubject: { degree: 'Doctor' } }
    expect(await judgeHere(JSON.stringify(changed), NOW)).to.include({ result: 'invalid' })
  })

  it('says that a did:web could not be checked, and that nobody was asked', async () => {
    const { result, verdicts } = await judgeHere(JSON.stringify(await issued()), NOW)
    expect(result).to.equal('could-not-be-checked')
    const key = verdicts[0]?.checks.find(({ name }) => name === 'issuer-key')
    expect(key?.reason).to.include('asked nobody')
  })

  it('judges each credential of a presentation', async () => {
    const credential = await sign(unsigned(own), { signer: holder.signer })
    const presentation = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiablePresentation'],
      verifiableCredential: [credential, await issued()]
    }
    const text = JSON.stringify(presentation)
    const { carrier, verdicts } = await judgeHere(text, NOW)
    expect(carrier).to.equal('presentation')
    expect(verdicts.map(({ result }) => result)).to.deep.equal(['valid', 'could-not-be-checked'])
    expect(contentsOf(text).map(({ title }) => title)).to.deep.equal([
      'Academic marksheet',
      'Academic marksheet'
    ])
  })

  for (const text of ['{', '{}', 'a.b.c', 'a.b.c~', '[]', '{"type":"VerifiablePresentation"}'])
    it(`gives a verdict and no error for ${text}`, async () => {
      expect((await judgeHere(text, NOW)).result).to.not.equal(undefined)
      expect((await readText(text)).kind).to.be.oneOf(['credential', 'nothing'])
    })
})

const picture = (type: string): JsonObject => ({
  credentialSubject: { photo: `data:${type};base64,AAAA` }
})

describe('content of a credential', () => {
  it('keeps names like __proto__ harmless and in view', () => {
    const credential = JSON.parse(
      '{"type":["VerifiableCredential"],"credentialSubject":{"__proto__":{"admin":true},"constructor":"x"}}'
    ) as JsonObject
    const { fields } = contentOfCredential(credential)
    expect(fields.map(({ label }) => label)).to.deep.equal(['Proto', 'Constructor'])
    expect(({} as Record<string, unknown>)['admin']).to.equal(undefined)
  })

  it('is bounded, and says so', () => {
    const wide = Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`f${n}`, 'x']))
    const { fields, cut } = contentOfCredential({ credentialSubject: wide })
    expect(fields.length).to.be.at.most(600)
    expect(cut).to.equal(true)
    let deep: JsonObject = { value: 1 }
    for (let level = 0; level < 30; level += 1) deep = { deep }
    expect(contentOfCredential({ credentialSubject: deep }).cut).to.equal(true)
  })

  it('takes out what turns text round and leaves the joiners of Indic scripts', () => {
    const [field] = contentOfClaims({ name: 'क्\u200dष\u202e\u0000a' }).fields
    expect(field).to.include({ value: 'क्\u200dषa' })
  })

  it('shows no SVG as a picture', () => {
    expect(contentOfCredential(picture('image/png')).fields[0]?.kind).to.equal('image')
    expect(contentOfCredential(picture('image/svg+xml')).fields[0]?.kind).to.equal('text')
  })

  it('makes words of the names of members', () => {
    expect(words('registerNumber')).to.equal('Register number')
    expect(words('IFSCCode')).to.equal('IFSC code')
    expect(words('date_of-birth')).to.equal('Date of birth')
  })
})

describe('form of a kind of credential', () => {
  const types = sampleTypes().map(({ type }) => type)

  for (const type of types)
    it(`of ${type.id} names every field and leaves out what nobody filled in`, () => {
      const fields = formOf(type, 'en')
      expect(fields.length).to.be.greaterThan(3)
      for (const field of fields) expect(field.label, field.name).to.match(/\S/)
      expect(labelsOf(type, 'hi').size).to.be.at.least(labelsOf(type, 'xx').size)
    })

  it('gives claims that fit the schema, with numbers as numbers and rows in order', async () => {
    const type = types.find(({ id }) => id === 'land-record')
    if (type === undefined) throw new Error('no land record')
    const texts = new Map([
      ['/documentNumber', 'RTC-7'],
      ['/parcelId', '29-MYS-0012'],
      ['/surveyNumber', '12/3'],
      ['/classification', 'agricultural'],
      ['/state', 'Karnataka'],
      ['/district', 'Mysuru'],
      ['/taluk', 'Hunsur'],
      ['/village', 'Bilikere'],
      ['/area/value', '1.5'],
      ['/area/unit', 'hectare'],
      ['/owners/0/name', 'S. Gowda'],
      ['/owners/0/sharePercent', '60'],
      ['/owners/0/ownership', 'joint'],
      ['/owners/1/name', 'R. Gowda'],
      ['/owners/1/sharePercent', '40'],
      ['/owners/1/ownership', 'joint'],
      ['/asOn', '2026-11-01'],
      ['/boundary', '  ']
    ])
    const claims = claimsOf(formOf(type, 'en'), { texts, rows: new Map([['/owners', 3]]) })
    expect(claims['area']).to.deep.equal({ value: 1.5, unit: 'hectare' })
    expect(claims['owners']).to.deep.include({
      name: 'R. Gowda',
      sharePercent: 40,
      ownership: 'joint'
    })
    expect(claims['owners']).to.have.length(2)
    expect(claims).to.not.have.any.keys('boundary', 'crops', 'id')
    const outcome = await checkSchema(type.schema, claims)
    expect(outcome.ok ? [] : outcome.problems).to.deep.equal([])
  })

  it('says what a badge is without asking for it', async () => {
    const type = types.find(({ id }) => id === 'skill-badge')
    if (type === undefined) throw new Error('no skill badge')
    const texts = new Map([
      ['/achievement/id', 'urn:uuid:1'],
      ['/achievement/name', 'Welding'],
      ['/achievement/description', 'Can weld.'],
      ['/achievement/criteria/narrative', 'Welds.']
    ])
    const claims = claimsOf(formOf(type, 'en'), { texts, rows: new Map() })
    expect(claims['type']).to.deep.equal(['AchievementSubject'])
    const outcome = await checkSchema(type.schema, claims)
    expect(outcome.ok ? [] : outcome.problems).to.deep.equal([])
  })
})
