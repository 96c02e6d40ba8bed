import { expect } from 'chai'
import { keysOf } from '../../../protocols/did/document.ts'
import { didKeyOf, resolveDidKey } from '../../../protocols/did/key.ts'
import {
  decodeMultikey,
  encodeMultikey,
  keyFromJwk,
  readVarint,
  varint,
  type PublicKeyJwk
} from '../../../protocols/did/multikey.ts'
import { publicKeyOf } from '../../../protocols/envelope/keys.ts'
import { refused } from '../../refusal.ts'
import { readVectors } from '../../vectors.ts'
import { newParty } from '../envelope/parties.ts'

/** From the did:key method, "Test Vectors": an Ed25519 key and its X25519 twin. */
const ED25519 = 'z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
const X25519 = 'z6LShs9GGnqk85isEBzzshkuVWrVKsRp24GnDuHk8QWkARMW'

describe('did:key', () => {
  it('of an Ed25519 key signs with it and agrees with its X25519 twin', () => {
    const did = `did:key:${ED25519}`
    expect(resolveDidKey(did)).to.deep.include({
      id: did,
      authentication: [`${did}#${ED25519}`],
      keyAgreement: [`${did}#${X25519}`]
    })
    expect(keysOf(resolveDidKey(did), 'keyAgreement')[0]?.jwk).to.deep.equal(decodeMultikey(X25519))
  })

  it('of an X25519 key only agrees on keys', () => {
    const document = resolveDidKey(`did:key:${X25519}`)
    expect(document).to.not.have.any.keys('authentication', 'assertionMethod')
    expect(keysOf(document, 'keyAgreement')).to.have.length(1)
  })

  for (const curve of ['P-256', 'P-384', 'P-521'] as const) {
    it(`gives back a ${curve} key`, () => {
      const [key] = newParty([curve]).agreement
      if (key === undefined) throw new Error('no key')
      expect(keysOf(resolveDidKey(didKeyOf(key.jwk)), 'keyAgreement')[0]?.jwk).to.deep.equal(
        key.jwk
      )
      expect(publicKeyOf(key.jwk).asymmetricKeyType).to.equal('ec')
    })
  }

  // oxfmt-ignore
  const FAULTS = [
    '', 'z', '6Mk', ED25519.slice(1), `Z${ED25519.slice(1)}`, ED25519.slice(0, -1), `${ED25519}1`, ED25519.replace('M', '0'), `z${'1'.repeat(47)}`,
    'z'.repeat(129), 'zUC7K4ndUaGZgV7Cp2yJy6JtMoUHY6u7tkcSYUvPrEidqBmLCTLmi6d5WvwnUqejscAkERJ3bfjEiSYtdPkRSE8kSa11'
  ]
  for (const text of FAULTS) {
    it(`refuses ${JSON.stringify(text.slice(0, 50))}`, () =>
      refused(() => resolveDidKey(`did:key:${text}`), 'did-malformed', 'did-unsupported'))
  }

  it('refuses a point that is not on its curve', async () => {
    // P-256 has no point with x = 4, whichever y is asked for.
    const off = encodeMultikey({
      kty: 'EC',
      crv: 'P-256',
      x: `${'A'.repeat(42)}Q`,
      y: `${'A'.repeat(42)}E`
    })
    await refused(() => decodeMultikey(off), 'did-malformed')
  })

  it('refuses other methods', () =>
    refused(() => resolveDidKey('did:web:a.example'), 'did-unsupported'))
})

describe('vectors of did:key', () => {
  interface Vector {
    readonly didDocument: {
      readonly verificationMethod: { publicKeyJwk?: Record<string, unknown> }[]
    }
  }
  for (const [file, resolvable] of [
    ['ed25519-x25519', true],
    ['nist-curves', true],
    ['secp256k1', true],
    ['x25519', true],
    ['rsa', false],
    ['bls12381', false]
  ] as const) {
    it(`${resolvable ? 'resolves' : 'refuses'} those of ${file}`, async function () {
      const parsed: Record<string, Vector> = JSON.parse(readVectors(this, `did-key/${file}.json`))
      const entries =
        file === 'x25519' ? Object.entries(parsed['didDocument'] ?? {}) : Object.entries(parsed)
      expect(entries).to.not.be.empty
      for (const [did, vector] of entries) {
        if (!resolvable) {
          await refused(() => resolveDidKey(did), 'did-unsupported', 'did-malformed')
          continue
        }
        const document = resolveDidKey(did)
        const keys = [...keysOf(document, 'authentication'), ...keysOf(document, 'keyAgreement')]
        expect(keys, did).to.not.be.empty
        const multikey = encodeMultikey(keys[0]?.jwk as PublicKeyJwk)
        expect(did).to.equal(`did:key:${multikey}`)
        const expected = vector.didDocument?.verificationMethod?.[0]?.publicKeyJwk
        if (expected !== undefined) expect(keys[0]?.jwk).to.deep.equal(keyFromJwk(expected))
      }
    })
  }

  it('derives the X25519 keys of the Ed25519 vectors', function () {
    const parsed: Record<string, { didDocument: { keyAgreement: string[] } }> = JSON.parse(
      readVectors(this, 'did-key/ed25519-x25519.json')
    )
    for (const [did, { didDocument }] of Object.entries(parsed)) {
      expect(resolveDidKey(did).keyAgreement).to.deep.equal(didDocument.keyAgreement)
    }
  })
})

describe('a JWK from outside', () => {
  const x = 'A'.repeat(43)
  it('is read into its public members', () => {
    expect(keyFromJwk({ kty: 'OKP', crv: 'X25519', x, kid: 'k', use: 'enc' })).to.deep.equal({
      kty: 'OKP',
      crv: 'X25519',
      x
    })
  })

  it('gets back the leading zeros of coordinates that lost them', () => {
    const short = Buffer.alloc(64, 7).toString('base64url')
    const full = Buffer.concat([Buffer.alloc(2), Buffer.alloc(64, 7)]).toString('base64url')
    expect(keyFromJwk({ kty: 'EC', crv: 'P-521', x: short, y: short })).to.deep.equal({
      kty: 'EC',
      crv: 'P-521',
      x: full,
      y: full
    })
  })

  // oxfmt-ignore
  const FAULTS = [
    {}, { crv: '__proto__' }, { kty: 'OKP', crv: 'X25519' }, { kty: 'EC', crv: 'X25519', x }, { kty: 'OKP', crv: 'P-256', x, y: x },
    { kty: 'OKP', crv: 'X25519', x, d: x }, { kty: 'OKP', crv: 'X25519', x: `${x}=` }, { kty: 'OKP', crv: 'X25519', x: `${'A'.repeat(42)}B` },
    { kty: 'OKP', crv: 'X25519', x: 'AAAA' }, { kty: 'EC', crv: 'P-256', x }, { kty: 'EC', crv: 'P-256', x, y: '' }, { kty: 'EC', crv: 'P-256', x, y: 'A'.repeat(60) },
    { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, { kty: 'oct', k: x }
  ]
  for (const jwk of FAULTS) {
    it(`is refused as ${JSON.stringify(jwk).slice(0, 70)}`, () =>
      refused(() => keyFromJwk(jwk), 'did-malformed', 'did-unsupported'))
  }
})

describe('varints', () => {
  for (const value of [0, 1, 127, 128, 0xed, 0x1200, 0x1f_ffff]) {
    it(`carry ${value}`, () => expect(readVarint(varint(value))[0]).to.equal(value))
  }
  for (const bytes of [[], [0x80], [0x80, 0x00], [0xff, 0xff, 0xff, 0x01], [0x80, 0x80, 0x80]]) {
    it(`are not ${JSON.stringify(bytes)}`, () =>
      refused(() => readVarint(Uint8Array.from(bytes)), 'did-malformed'))
  }
})
