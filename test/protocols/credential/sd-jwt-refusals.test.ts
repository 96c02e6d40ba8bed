import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'chai'
import { systemRandom } from '../../../node/clock.ts'
import { JSON_DEPTH_MAX } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { DISCLOSURES_MAX } from '../../../protocols/credential/sd-jwt-disclosures.ts'
import type { SdJwtFault, TokenKey } from '../../../protocols/credential/sd-jwt-token.ts'
import { peekSdJwt, type SdJwtReading } from '../../../protocols/credential/sd-jwt.ts'
import { keyFromJwk, publicJwk } from '../../../protocols/did/multikey.ts'
import {
  NOW,
  ISS,
  AUD,
  NONCE,
  issuer,
  holder,
  p256Jwk,
  encode,
  digest,
  BASE,
  disclosure,
  text,
  p256Signer,
  issued,
  presented,
  read,
  accepted,
  faultOf,
  signed,
  nested
} from './sd-jwt-parties.ts'

describe('SD-JWT: what is refused', () => {
  const name = disclosure('name', 'Ann')
  const element = disclosure('Ann')

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, text: () => string, fault: SdJwtFault]> = [
    ['an empty text',                         () => '',                                                        'malformed'],
    ['a JWT without a tilde',                 () => signed(BASE),                                              'malformed'],
    ['two parts',                             () => `${signed(BASE).split('.').slice(0, 2).join('.')}~`,       'malformed'],
    ['four parts',                            () => `${signed(BASE)}.x~`,                                      'malformed'],
    ['an empty signature',                    () => `${signed(BASE).split('.').slice(0, 2).join('.')}.~`,      'malformed'],
    ['padding in the signature',              () => `${signed(BASE)}==~`,                                      'malformed'],
    ['stray bits in the signature',           () => `${strayBits(signed(BASE))}~`,                             'malformed'],
    ['a character that is not ASCII',         () => `${signed(BASE)}é~`,                                       'malformed'],
    ['a payload that is an array',            () => `${signed([1])}~`,                                         'malformed'],
    ['a payload with a name twice',           () => `${signed('{"iss":"a","iss":"b","vct":"v"}')}~`,           'malformed'],
    ['alg none',                              () => `${signed(BASE, { alg: 'none', typ: 'dc+sd-jwt' })}~`,     'algorithm-unsupported'],
    ['alg none in capitals',                  () => `${signed(BASE, { alg: 'NONE', typ: 'dc+sd-jwt' })}~`,     'algorithm-unsupported'],
    ['no alg',                                () => `${signed(BASE, { typ: 'dc+sd-jwt' })}~`,                  'algorithm-unsupported'],
    ['alg HS256',                             () => `${signed(BASE, { alg: 'HS256', typ: 'dc+sd-jwt' })}~`,    'algorithm-unsupported'],
    ['alg RS256',                             () => `${signed(BASE, { alg: 'RS256', typ: 'dc+sd-jwt' })}~`,    'algorithm-unsupported'],
    ['alg ES256 with an Ed25519 key',         () => `${signed(BASE, { alg: 'ES256', typ: 'dc+sd-jwt' })}~`,    'algorithm-unsupported'],
    ['crit',                                  () => `${signed(BASE, { alg: 'EdDSA', typ: 'dc+sd-jwt', crit: ['b64'], b64: false })}~`, 'algorithm-unsupported'],
    ['an unknown hash',                       () => text({ _sd_alg: 'md5' }),                                  'algorithm-unsupported'],
    ['a hash that is no text',                () => text({ _sd_alg: 256 }),                                    'algorithm-unsupported'],
    ['typ JWT',                               () => `${signed(BASE, { alg: 'EdDSA', typ: 'JWT' })}~`,          'type-unsupported'],
    ['a key binding as a credential',         () => `${signed(BASE, { alg: 'EdDSA', typ: 'kb+jwt' })}~`,       'type-unsupported'],
    ['no typ',                                () => `${signed(BASE, { alg: 'EdDSA' })}~`,                      'type-unsupported'],
    ['a signature by another key',            () => `${signed(BASE, undefined, holder.signer)}~`,         'signature-wrong'],
    ['an iss that is no text',                () => `${signed({ ...BASE, iss: 7 })}~`,                         'claims-malformed'],
    ['no vct',                                () => `${signed({ iss: ISS })}~`,                                'claims-malformed'],
    ['an empty vct',                          () => `${signed({ iss: ISS, vct: '' })}~`,                       'claims-malformed'],
    ['exp that is a text',                    () => text({ exp: '2030' }),                                     'claims-malformed'],
    ['nbf before 1970',                       () => text({ nbf: -1 }),                                         'claims-malformed'],
    ['iat beyond 9999',                       () => text({ iat: 1e15 }),                                       'claims-malformed'],
    ['_sd that is a text',                    () => text({ _sd: digest(name) }, name),                         'claims-malformed'],
    ['_sd of numbers',                        () => text({ _sd: [7] }),                                        'claims-malformed'],
    ['a hidden element with more in it',      () => text({ a: [{ '...': digest(element), b: 1 }] }, element),  'claims-malformed'],
    ['a hidden element that is no text',      () => text({ a: [{ '...': 7 }] }),                               'claims-malformed'],
    ['half a surrogate pair',                 () => `${signed('{"iss":"a","vct":"v","x":"\\ud800"}')}~`,       'claims-malformed'],
    ['... outside an array',                  () => text({ '...': digest(element) }, element),                 'claim-reserved'],
    ['a disclosure of _sd',                   () => { const d = disclosure('_sd', []);    return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of ...',                   () => { const d = disclosure('...', 'x');   return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of _sd_alg',               () => { const d = disclosure('_sd_alg', 1); return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of exp',                   () => { const d = disclosure('exp', 1);     return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of vct',                   () => { const d = disclosure('vct', 'x');   return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of status',                () => { const d = disclosure('status', {}); return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a disclosure of cnf',                   () => { const d = disclosure('cnf', {});    return text({ _sd: [digest(d)] }, d) }, 'claim-reserved'],
    ['a claim that is there already',         () => text({ name: 'Zed', _sd: [digest(name)] }, name),          'claim-repeated'],
    ['two disclosures of one claim',          () => { const d = disclosure('name', 'Bob'); return text({ _sd: [digest(name), digest(d)] }, name, d) }, 'claim-repeated'],
    ['a digest twice in one object',          () => text({ _sd: [digest(name), digest(name)] }, name),         'digest-repeated'],
    ['a digest in two places',                () => text({ _sd: [digest(name)], a: { _sd: [digest(name)] } }, name), 'digest-repeated'],
    ['a digest twice in an array',            () => text({ a: [{ '...': digest(element) }, { '...': digest(element) }] }, element), 'digest-repeated'],
    ['a digest twice, and not disclosed',     () => text({ _sd: [digest(name), digest(name)] }),               'digest-repeated'],
    ['a digest again inside a disclosure',    () => { const d = disclosure('a', { _sd: [digest(name)] }); return text({ _sd: [digest(name), digest(d)] }, name, d) }, 'digest-repeated'],
    ['a disclosure twice',                    () => text({ _sd: [digest(name)] }, name, name),                 'disclosure-repeated'],
    ['a disclosure of nobody’s',              () => text({}, name),                                            'disclosure-unused'],
    ['a disclosure inside one not shown',     () => { const d = disclosure('a', { _sd: [digest(name)] }); return text({ _sd: [digest(d)] }, name) }, 'disclosure-unused'],
    ['a claim disclosed as an element',       () => text({ a: [{ '...': digest(name) }] }, name),              'disclosure-malformed'],
    ['an element disclosed as a claim',       () => text({ _sd: [digest(element)] }, element),                 'disclosure-malformed'],
    ['a disclosure of one',                   () => { const d = encode(['salt']);                 return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a disclosure of four',                  () => { const d = disclosure('a', 1, 2);            return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a disclosure that is an object',        () => { const d = encode({ salt: 's' });            return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a disclosure that is not JSON',         () => { const d = encode('["s","a",');              return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a disclosure with a name twice',        () => { const d = encode('["s","a",{"b":1,"b":2}]'); return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a disclosure that is not base64url',    () => text({ _sd: [digest('a+b')] }, 'a+b'),                     'disclosure-malformed'],
    ['an empty disclosure',                   () => `${signed(BASE)}~~`,                                       'disclosure-malformed'],
    ['a name that is a number',               () => { const d = encode(['s', 1, 2]);              return text({ _sd: [digest(d)] }, d) }, 'disclosure-malformed'],
    ['a payload nested too deep',             () => `${signed({ ...BASE, a: nested(JSON_DEPTH_MAX) })}~`,      'limit-exceeded'],
    ['a disclosure nested too deep',          () => { const d = encode(`["s","a",${'['.repeat(20_000)}${']'.repeat(20_000)}]`); return text({ _sd: [digest(d)] }, d) }, 'limit-exceeded'],
    ['disclosures nested too deep together',  () => chain(60),                                                 'limit-exceeded'],
    ['too many disclosures',                  () => `${signed(BASE)}~${`${name}~`.repeat(DISCLOSURES_MAX + 1)}`, 'limit-exceeded']
  ]
  for (const [what, given, fault] of FAULTS) {
    it(`refuses ${what}`, async () => {
      expect(await faultOf(given())).to.equal(fault)
    })
  }

  it('takes a disclosure that is not shown, and a decoy, for nothing', async () => {
    const outcome = await accepted(text({ _sd: [digest(name), 'decoy'], a: [{ '...': 'decoy2' }] }))
    expect(outcome.claims).to.deep.equal({ ...BASE, a: [] })
  })

  it('takes a salt of any kind', async () => {
    const salted = encode([7, 'name', 'Ann'])
    const outcome = await accepted(text({ _sd: [digest(salted)] }, salted))
    expect(outcome.claims['name']).to.equal('Ann')
  })

  it('says that the issuer’s key is not known, with the reason', async () => {
    const outcome = await read(issued(), {
      key: async () => ({ ok: false, reason: 'did:web:uni.example is away' })
    })
    expect(outcome).to.deep.equal({
      ok: false,
      fault: 'key-unknown',
      reason: 'did:web:uni.example is away'
    })
  })

  it('asks for the key that header and claims name, and takes a kid that is no text for none', async () => {
    const asked: unknown[] = []
    const key: SdJwtReading['key'] = async (...names) => {
      asked.push(names)
      return { ok: true, publicKey: issuer.publicKey }
    }
    await accepted(issued(), { key })
    await accepted(`${signed({ vct: 'v' }, { alg: 'Ed25519', typ: 'vc+sd-jwt', kid: 42 })}~`, {
      key
    })
    expect(asked).to.deep.equal([
      [`${ISS}#key-1`, ISS],
      [undefined, undefined]
    ])
  })

  it('looks for no key for an algorithm that is not read', async () => {
    const jwt = `${signed(BASE, { alg: 'none', typ: 'dc+sd-jwt' })}~`
    let asked = 0
    const key: SdJwtReading['key'] = async () => {
      asked++
      return { ok: true, publicKey: issuer.publicKey }
    }
    expect(await faultOf(jwt, { key })).to.equal('algorithm-unsupported')
    expect(asked).to.equal(0)
  })

  it('hands on what the search for the key throws', async () => {
    await read(issued(), { key: () => Promise.reject(new RangeError('a fault of ours')) }).then(
      () => expect.fail('it was read'),
      (error: unknown) => expect(error).to.be.instanceOf(RangeError)
    )
  })

  it('verifies ES256, with a P-256 key only', async () => {
    const jwt = `${signed(BASE, { alg: 'ES256', typ: 'dc+sd-jwt' }, p256Signer)}~`
    await accepted(jwt, by({ jwk: p256Jwk }))
    expect(await faultOf(jwt, by({ jwk: issuer.jwk }))).to.equal('algorithm-unsupported')
    expect(await faultOf(issued(), by({ jwk: p256Jwk }))).to.equal('algorithm-unsupported')
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      format: 'jwk'
    })
    expect(await faultOf(jwt, by({ jwk: keyFromJwk({ ...other }) }))).to.equal('signature-wrong')
    const x25519 = publicJwk('X25519', systemRandom(32))
    expect(await faultOf(issued(), by({ jwk: x25519 }))).to.equal('algorithm-unsupported')
  })

  it('reads sha-384', async () => {
    const sha384 = Buffer.from(crypto.sha384(Buffer.from(name))).toString('base64url')
    const outcome = await accepted(text({ _sd_alg: 'sha-384', _sd: [sha384] }, name))
    expect(outcome.claims).to.deep.equal({ ...BASE, name: 'Ann' })
    expect(await faultOf(text({ _sd_alg: 'sha-384', _sd: [digest(name)] }, name))).to.equal(
      'disclosure-unused'
    )
  })

  it('reads another type only when asked, and then without the rules of SD-JWT VC', async () => {
    const status = disclosure('status', 'well')
    const jwt = `${signed({ _sd: [digest(status)] }, { alg: 'EdDSA', typ: 'example+sd-jwt' })}~${status}~`
    expect(await faultOf(jwt)).to.equal('type-unsupported')
    const outcome = await accepted(jwt, { types: ['example+sd-jwt'] })
    expect(outcome.claims).to.deep.equal({ status: 'well' })
  })

  it('peeks without a key, at texts that fit together only', () => {
    const peek = peekSdJwt(presented(['/name']), crypto)
    if (!peek.ok) expect.fail(peek.reason)
    expect(peek.claims['name']).to.equal('Ananya Iyer')
    expect(peek.disclosed).to.deep.equal(['/name'])
    expect(peek.keyBinding).to.deep.equal({ aud: AUD, nonce: NONCE, iat: NOW })
    expect(peekSdJwt(text({}, name), crypto)).to.include({ ok: false, fault: 'disclosure-unused' })
  })
})

/** The same signature by its bytes, in a text that a lax decoder takes. */
function strayBits(jwt: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return jwt.slice(0, -1) + alphabet.charAt(alphabet.indexOf(jwt.at(-1) ?? '') ^ 1)
}

/** Disclosures of which each holds the next, so that each is shallow and the whole is deep. */
function chain(length: number): string {
  const disclosures = [disclosure('a', 1)]
  for (let at = 1; at < length; at++)
    disclosures.push(disclosure('a', { _sd: [digest(disclosures.at(-1) ?? '')] }))
  return text({ _sd: [digest(disclosures.at(-1) ?? '')] }, ...disclosures)
}

function by(key: TokenKey): Pick<SdJwtReading, 'key'> {
  return { key: async () => ({ ok: true, ...key }) }
}
