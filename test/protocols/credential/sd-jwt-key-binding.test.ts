import { expect } from 'chai'
import { systemRandom } from '../../../node/clock.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import type { SdJwtFault } from '../../../protocols/credential/sd-jwt-token.ts'
import { presentSdJwt } from '../../../protocols/credential/sd-jwt.ts'
import { publicJwk } from '../../../protocols/did/multikey.ts'
import {
  NOW,
  AUD,
  NONCE,
  ASKED,
  issuer,
  holder,
  p256Jwk,
  bind,
  digest,
  BASE,
  p256Signer,
  issued,
  presented,
  accepted,
  faultOf,
  signed
} from './sd-jwt-parties.ts'

describe('SD-JWT: key binding', () => {
  it('binds a presentation to verifier, request and holder', async () => {
    const outcome = await accepted(presented(), { keyBinding: ASKED })
    expect(outcome.keyBound).to.equal(true)
    expect(outcome.keyBinding).to.deep.equal({ aud: AUD, nonce: NONCE, iat: NOW })
  })

  it('takes a holder’s key on P-256', async () => {
    const jwt = signed({ ...BASE, cnf: { jwk: p256Jwk } })
    const binding = {
      aud: AUD,
      nonce: NONCE,
      iat: NOW.getTime() / 1000,
      sd_hash: digest(`${jwt}~`)
    }
    const kb = signed(binding, { alg: 'ES256', typ: 'kb+jwt' }, p256Signer)
    expect((await accepted(`${jwt}~${kb}`, { keyBinding: ASKED })).keyBound).to.equal(true)
    const confused = signed(binding, { alg: 'EdDSA', typ: 'kb+jwt' }, p256Signer)
    expect(await faultOf(`${jwt}~${confused}`)).to.equal('algorithm-unsupported')
  })

  it('tells what was bound when it was not asked for, and claims nothing by it', async () => {
    const outcome = await accepted(presented())
    expect(outcome.keyBound).to.equal(false)
    expect(outcome.keyBinding).to.include({ aud: AUD })
  })

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, text: () => string, fault: SdJwtFault]> = [
    ['none at all',                         () => presentSdJwt(issued(), { disclose: [] }, crypto), 'key-binding-missing'],
    ['one for another verifier',            () => presented([], { ...bind, aud: 'https://else.example' }), 'key-binding-audience'],
    ['one for another request',             () => presented([], { ...bind, nonce: 'another' }),  'key-binding-nonce'],
    ['one made too long ago',               () => presented([], at(-301_000)),                   'key-binding-stale'],
    ['one made in the future',              () => presented([], at(301_000)),                    'key-binding-stale'],
    ['one over other disclosures',          () => transplanted(),                                'key-binding-wrong'],
    ['one over fewer disclosures',          () => withoutDisclosure(),                           'key-binding-wrong'],
    ['one by another key',                  () => changedBinding({}, {}, issuer.signer),         'key-binding-wrong'],
    ['one where the issuer names no key',   () => bindingAlone(BASE),                            'key-binding-wrong'],
    ['one with a key of another kind',      () => bindingAlone({ ...BASE, cnf: { jwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' } } }), 'key-binding-wrong'],
    ['one with a key on a curve that is not verified', () => bindingAlone({ ...BASE, cnf: { jwk: publicJwk('X25519', systemRandom(32)) } }), 'key-binding-wrong'],
    ['one with a private key in cnf',       () => bindingAlone({ ...BASE, cnf: { jwk: { ...holder.jwk, d: holder.jwk.x } } }), 'key-binding-wrong'],
    ['one without sd_hash',                 () => changedBinding({ sd_hash: undefined }),        'key-binding-wrong'],
    ['one with typ JWT',                    () => changedBinding({}, { typ: 'JWT' }),            'key-binding-malformed'],
    ['one without nonce',                   () => changedBinding({ nonce: undefined }),          'key-binding-malformed'],
    ['one without aud',                     () => changedBinding({ aud: undefined }),            'key-binding-malformed'],
    ['one for many',                        () => changedBinding({ aud: [AUD] }),                'key-binding-malformed'],
    ['one without iat',                     () => changedBinding({ iat: undefined }),            'key-binding-malformed'],
    ['one with iat as a text',              () => changedBinding({ iat: '1' }),                  'key-binding-malformed'],
    ['one with alg none',                   () => changedBinding({}, { alg: 'none' }),           'algorithm-unsupported'],
    ['one with crit',                       () => changedBinding({}, { crit: ['x'] }),           'algorithm-unsupported'],
    ['one that is no JWT',                  () => `${issued()}x`,                                'key-binding-malformed']
  ]
  for (const [what, given, fault] of FAULTS) {
    it(`refuses ${what}`, async () => {
      expect(await faultOf(given(), { keyBinding: ASKED })).to.equal(fault)
    })
  }

  it('forgives the clocks their difference, and no more', async () => {
    for (const ms of [-300_000, 300_000]) {
      expect((await accepted(presented([], at(ms)), { keyBinding: ASKED })).keyBound).to.equal(true)
    }
  })
})

/** A key binding by the holder, over other claims than it is put behind. */
function transplanted(): string {
  const whole = issued()
  const present = (disclose: string[]): string =>
    presentSdJwt(whole, { disclose, keyBinding: bind }, crypto)
  const [one, other] = [present(['/name']), present(['/note'])]
  return one.slice(0, one.lastIndexOf('~') + 1) + other.slice(other.lastIndexOf('~') + 1)
}

function withoutDisclosure(): string {
  const [jwt, , ...rest] = presented(['/name', '/note']).split('~')
  return [jwt, ...rest].join('~')
}

function bindingAlone(payload: object): string {
  const jwt = `${signed(payload)}~`
  const binding = { aud: AUD, nonce: NONCE, iat: NOW.getTime() / 1000, sd_hash: digest(jwt) }
  return jwt + signed(binding, { alg: 'EdDSA', typ: 'kb+jwt' }, holder.signer)
}

/** A key binding that says something else. */
function changedBinding(claims: object, header: object = {}, by = holder.signer): string {
  const whole = presentSdJwt(issued(), { disclose: ['/name'] }, crypto)
  const binding = {
    aud: AUD,
    nonce: NONCE,
    iat: NOW.getTime() / 1000,
    sd_hash: digest(whole),
    ...claims
  }
  return whole + signed(binding, { alg: 'EdDSA', typ: 'kb+jwt', ...header }, by)
}
/** A binding made so much later. */
function at(ms: number): typeof bind {
  return { ...bind, iat: new Date(NOW.getTime() + ms) }
}
