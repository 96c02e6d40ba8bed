import { expect } from 'chai'
import {
  signJws,
  signJwt,
  SIGNATURES_MAX,
  verifyJws,
  verifyJwt,
  type Jws
} from '../../../protocols/envelope/jws.ts'
import type { ProtocolErrorCode } from '../../../protocols/errors.ts'
import { refused } from '../../refusal.ts'
import { keysFor, newParty, utf8 } from './parties.ts'

const alice = newParty()
const signer = alice.secret('authentication')
const { resolveKey } = keysFor(alice)
const signed = (): Jws => signJws(utf8('{"a":1}'), signer)
const encode = (value: unknown): string => utf8(value).toString('base64url')

/** The group order of Ed25519, little-endian: S + L verifies in lax implementations. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n

function changed(jws: Jws, change: (signature: Jws['signatures'][number]) => object): unknown {
  return { ...jws, signatures: jws.signatures.map(change) }
}

describe('JWS', () => {
  it('verifies the general and the flattened form', async () => {
    const jws = signed()
    const [signature] = jws.signatures
    for (const form of [jws, { payload: jws.payload, ...signature }]) {
      const { payload, kids } = await verifyJws(form, resolveKey)
      expect(payload.toString()).to.equal('{"a":1}')
      expect(kids).to.deep.equal([signer.kid])
    }
  })

  it('takes the key id from the protected header, if both agree', async () => {
    const jwt = signJwt({ a: 1 }, signer)
    const [header = '', payload = '', signature = ''] = jwt.split('.')
    // typ JWT is not that of a signed message, so a header that names the key is made by signing anew.
    await refused(
      () => verifyJws({ payload, protected: header, signature }, resolveKey),
      'envelope-malformed'
    )
    const other = changed(signed(), (each) => ({ ...each, header: { kid: `${alice.did}#key-2` } }))
    await refused(() => verifyJws(other, resolveKey), 'did-not-found')
  })

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, jws: () => unknown, ...codes: ProtocolErrorCode[]]> = [
    ['no signatures',            () => ({ ...signed(), signatures: [] }),                                               'envelope-malformed'],
    ['too many signatures',      () => ({ ...signed(), signatures: Array(SIGNATURES_MAX + 1).fill(signed().signatures[0]) }), 'envelope-malformed'],
    ['another payload',          () => ({ ...signed(), payload: encode('{"a":2}') }),                                   'envelope-unauthenticated'],
    ['a padded payload',         () => ({ ...signed(), payload: `${signed().payload}==` }),                             'envelope-unauthenticated'],
    ['alg none',                 () => changed(signed(), (each) => ({ ...each, protected: encode({ alg: 'none' }), signature: '' })), 'envelope-unsupported'],
    ['alg HS256',                () => changed(signed(), (each) => ({ ...each, protected: encode({ alg: 'HS256' }) })),   'envelope-unsupported'],
    ['alg of another curve',     () => changed(signed(), (each) => ({ ...each, protected: encode({ alg: 'ES256' }) })),   'envelope-unsupported'],
    ['crit',                     () => changed(signed(), (each) => ({ ...each, protected: encode({ alg: 'EdDSA', crit: ['b64'], b64: false }) })), 'envelope-unsupported'],
    ['another typ',              () => changed(signed(), (each) => ({ ...each, protected: encode({ alg: 'EdDSA', typ: 'JWT' }) })), 'envelope-malformed'],
    ['no key id',                () => changed(signed(), (each) => ({ protected: each.protected, signature: each.signature })), 'envelope-malformed'],
    ['a key id without a DID',   () => changed(signed(), (each) => ({ ...each, header: { kid: '#key-1' } })),           'envelope-malformed'],
    ['more in the header',       () => changed(signed(), (each) => ({ ...each, header: { kid: signer.kid, jwk: {} } })), 'envelope-malformed'],
    ['a short signature',        () => changed(signed(), (each) => ({ ...each, signature: 'AAAA' })),                   'envelope-unauthenticated'],
    ['an all-zero signature',    () => changed(signed(), (each) => ({ ...each, signature: Buffer.alloc(64).toString('base64url') })), 'envelope-unauthenticated'],
    ['S + L for S',              () => changed(signed(), (each) => ({ ...each, signature: malleated(each.signature) })), 'envelope-unauthenticated']
  ]
  for (const [what, jws, ...codes] of FAULTS) {
    it(`refuses ${what}`, () => refused(() => verifyJws(jws(), resolveKey), ...codes))
  }

  it('refuses if one of two signatures is bad', async () => {
    const jws = signed()
    const [good] = jws.signatures
    const bad = { ...good, signature: Buffer.alloc(64, 1).toString('base64url') }
    await verifyJws({ ...jws, signatures: [good, good] }, resolveKey)
    for (const signatures of [
      [good, bad],
      [bad, good]
    ]) {
      await refused(() => verifyJws({ ...jws, signatures }, resolveKey), 'envelope-unauthenticated')
    }
  })

  it('refuses a key of small order that would verify a forged signature', async () => {
    // The identity point with R = identity and S = 0 satisfies the cofactored equation for every text.
    const identity = `01${'0'.repeat(62)}`
    const forged = changed(signed(), (each) => ({
      ...each,
      signature: Buffer.from(identity + '0'.repeat(64), 'hex').toString('base64url')
    }))
    const x = Buffer.from(identity, 'hex').toString('base64url')
    const weak = () => Promise.resolve({ kty: 'OKP', crv: 'Ed25519', x } as const)
    await refused(() => verifyJws(forged, weak), 'envelope-unauthenticated')
  })
})

describe('compact JWT', () => {
  it('verifies what it signed', async () => {
    const { claims, kid } = await verifyJwt(signJwt({ a: 1 }, signer), resolveKey)
    expect(claims).to.deep.equal({ a: 1 })
    expect(kid).to.equal(signer.kid)
  })

  for (const jwt of [
    '',
    'invalid',
    'a.b',
    'a.b.c',
    `${signJwt({}, signer)}.x`,
    signJwt({}, signer).slice(0, -1)
  ]) {
    it(`refuses ${jwt.slice(-12) || 'nothing'}`, () =>
      refused(
        () => verifyJwt(jwt, resolveKey),
        'envelope-malformed',
        'envelope-unauthenticated',
        'message-malformed'
      ))
  }
})

/** The same signature with S + L: accepted by implementations that do not check S < L (RFC 8032 §5.1.7). */
function malleated(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url')
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32).toReversed()).toString('hex')}`) + L
  const hex = s.toString(16).padStart(64, '0')
  const littleEndian = Buffer.from(hex, 'hex').toReversed()
  return Buffer.concat([bytes.subarray(0, 32), littleEndian]).toString('base64url')
}
