import { expect } from 'chai'
import fc from 'fast-check'
import {
  entriesOf,
  instantOf,
  issuerIdOf,
  parseCredential,
  subjectsOf,
  typesOf,
  validityOf,
  type Credential
} from '../../../protocols/credential/credential.ts'
import { JSON_DEPTH_MAX, JSON_KEYS_MAX } from '../../../protocols/credential/json.ts'
import { sampleCredential } from './signers.ts'

const sample = sampleCredential('did:web:university.example')
const older = {
  '@context': ['https://www.w3.org/2018/credentials/v1'],
  type: 'VerifiableCredential',
  issuer: { id: 'did:web:rc.example', name: 'Registry' },
  issuanceDate: '2020-01-01T00:00:00+05:30',
  expirationDate: '2030-01-01T00:00:00Z',
  credentialSubject: [{ id: 'did:example:a', name: 'A' }, { name: 'B' }]
}

function parsed(value: unknown): Credential {
  const result = parseCredential(value)
  if (!result.ok) throw new Error(result.reason)
  return result.credential
}

describe('credentials by structure', () => {
  it('reads 2.0', () => {
    const result = parseCredential(sample)
    expect(result).to.include({ ok: true, model: '2.0' })
    const credential = parsed(sample)
    expect(issuerIdOf(credential)).to.equal('did:web:university.example')
    expect(typesOf(credential)).to.deep.equal(['VerifiableCredential', 'AcademicMarksheet'])
    expect(entriesOf(credential, 'credentialStatus')).to.deep.equal([sample['credentialStatus']])
    expect(entriesOf(credential, 'credentialSchema')).to.deep.equal([])
  })

  it('reads 1.1', () => {
    expect(parseCredential(older)).to.include({ ok: true, model: '1.1' })
    const credential = parsed(older)
    expect(issuerIdOf(credential)).to.equal('did:web:rc.example')
    expect(typesOf(credential)).to.deep.equal(['VerifiableCredential'])
    expect(subjectsOf(credential)).to.deep.equal(older.credentialSubject)
    expect(validityOf(credential)).to.deep.equal({
      from: new Date('2019-12-31T18:30:00Z'),
      until: new Date('2030-01-01T00:00:00Z')
    })
  })

  it('hands back the very object, with what it does not know', () => {
    const credential = { ...sample, 'https://example.org/x': { y: [null] } }
    expect(parsed(credential)).to.equal(credential)
  })

  it('leaves the ends of validity open that are not given', () => {
    const { validFrom: _, validUntil: __, ...open } = sample
    expect(validityOf(parsed(open))).to.deep.equal({})
  })

  it('names a validity that ends before it begins', () => {
    const credential = parsed({ ...sample, validUntil: '2025-01-01T00:00:00Z' })
    expect(validityOf(credential)).to.equal(
      'its validity ends at 2025-01-01T00:00:00.000Z, before it begins at 2026-01-01T00:00:00.000Z'
    )
  })

  it('does not take the dates of one model for those of the other', () => {
    const credential = parsed({ ...sample, expirationDate: '2020-01-01T00:00:00Z' })
    expect(validityOf(credential)).to.deep.include({ until: new Date('2036-01-01T00:00:00Z') })
  })

  // oxfmt-ignore
  const REFUSED: readonly (readonly [what: string, value: unknown, reason: RegExp])[] = [
    ['a text', 'credential', /not a JSON object/],
    ['a list', [sample], /not a JSON object/],
    ['null', null, /not a JSON object/],
    ['a function', () => sample, /function is not JSON/],
    ['a date object', { ...sample, validFrom: new Date() }, /class/],
    ['NaN', { ...sample, a: Number.NaN }, /NaN/],
    ['no context', { ...sample, '@context': undefined }, /undefined/],
    ['a context of its own first', { ...sample, '@context': ['https://example.org', 'https://www.w3.org/ns/credentials/v2'] }, /first @context/],
    ['a context that is a text', { ...sample, '@context': 'https://www.w3.org/ns/credentials/v2' }, /first @context/],
    ['another type', { ...sample, type: ['VerifiablePresentation'] }, /type: VerifiableCredential is not among them/],
    ['no issuer', Object.fromEntries(Object.entries(sample).filter(([name]) => name !== 'issuer')), /issuer/],
    ['an issuer that is no URL', { ...sample, issuer: 'University' }, /issuer/],
    ['an issuer without a name', { ...sample, issuer: { name: 'University' } }, /issuer/],
    ['an id with a space', { ...sample, id: 'urn:a b' }, /id: not an absolute URL/],
    ['no subject', { ...sample, credentialSubject: [] }, /credentialSubject/],
    ['a subject without a claim', { ...sample, credentialSubject: {} }, /credentialSubject/],
    ['a subject that is a text', { ...sample, credentialSubject: 'did:example:a' }, /credentialSubject/],
    ['the 30th of February', { ...sample, validFrom: '2026-02-30T00:00:00Z' }, /validFrom: not a date/],
    ['a date alone', { ...sample, validUntil: '2026-02-20' }, /validUntil: not a date/],
    ['a date nobody can read', { ...sample, validUntil: 'next year' }, /validUntil: not a date/],
    ['a status without a type', { ...sample, credentialStatus: { id: 'https://example.org' } }, /credentialStatus/],
    ['a schema without an id', { ...sample, credentialSchema: { type: 'JsonSchema' } }, /credentialSchema/],
    ['a 1.1 without issuance', { ...older, issuanceDate: undefined }, /undefined/],
    ['a proof that is a text', { ...sample, proof: 'x' }, /proof/],
    ['33 levels', { ...sample, a: JSON.parse('['.repeat(32) + ']'.repeat(32)) as unknown }, /nested deeper than 32/],
    ['10,001 members', { ...sample, a: Array.from({ length: JSON_KEYS_MAX + 1 }, () => 1) }, /more than 10000 members/],
    ['257 KiB', { ...sample, a: 'x'.repeat(263_168) }, /larger than 262144/],
    ['a name with half a surrogate pair', { ...sample, '\udc00': 1 }, /surrogate/],
    ['101 types', { ...sample, type: ['VerifiableCredential', ...Array.from({ length: 100 }, String)] }, /type/]
  ]

  for (const [what, value, reason] of REFUSED) {
    it(`refuses ${what}`, () => {
      const result = parseCredential(value)
      expect(result.ok).to.equal(false)
      expect(!result.ok && result.reason).to.match(reason)
      expect(!result.ok && result.reason).to.match(/^not a credential: /)
    })
  }

  it('survives nesting that would overflow a stack', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown
    expect(parseCredential({ ...sample, deep })).to.have.property('ok', false)
    expect(JSON_DEPTH_MAX).to.equal(32)
  })

  it('answers whatever JSON there is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(sample)), (value, name) => {
        for (const given of [value, { ...sample, [name]: value }]) {
          const result = parseCredential(given)
          if (!result.ok) expect(result.reason).to.be.a('string').that.is.not.empty
        }
      })
    )
  })
})

describe('instants', () => {
  for (const text of [
    '2026-11-23T10:00:00Z',
    '2024-02-29T23:59:59.123456789+14:00',
    '0001-01-01T00:00:00-00:00',
    '2026-12-31T24:00:00Z'
  ]) {
    it(`reads ${text}`, () => expect(instantOf(text)).to.be.instanceOf(Date))
  }

  for (const text of [
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T24:00:01Z',
    '2026-01-01T25:00:00Z',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+15:00',
    '2026-01-01 00:00:00Z',
    '-2026-01-01T00:00:00Z',
    '12026-01-01T00:00:00Z',
    '2026-01-01T00:00:00.Z',
    ''
  ]) {
    it(`does not read ${text || 'an empty text'}`, () =>
      expect(instantOf(text)).to.equal(undefined))
  }

  it('reads what Date writes', () => {
    const dates = fc.date({
      min: new Date(0),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true
    })
    fc.assert(
      fc.property(dates, (date) => {
        expect(instantOf(date.toISOString())).to.deep.equal(date)
      })
    )
  })
})
