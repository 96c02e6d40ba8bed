import { expect } from 'chai'
import fc from 'fast-check'
import {
  JSON_DEPTH_MAX,
  type JsonObject,
  type JsonValue
} from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { DISCLOSURES_MAX } from '../../../protocols/credential/sd-jwt-disclosures.ts'
import { SD_JWT_BYTES_MAX, type SdJwtFault } from '../../../protocols/credential/sd-jwt-token.ts'
import { presentSdJwt } from '../../../protocols/credential/sd-jwt.ts'
import { refused } from '../../refusal.ts'
import {
  NOW,
  ISS,
  ASKED,
  issuer,
  holder,
  CLAIMS,
  DISCLOSABLE,
  bind,
  BASE,
  issued,
  presented,
  read,
  accepted,
  faultOf,
  signed,
  pointersOf,
  nested,
  numbered
} from './sd-jwt-parties.ts'

describe('SD-JWT: issuing and presenting', () => {
  it('gives the holder every claim, each hidden one with a disclosure of its own', async () => {
    const outcome = await accepted(issued())
    expect(outcome.claims).to.deep.include(CLAIMS)
    expect(outcome.disclosed).to.have.members(DISCLOSABLE)
    expect(outcome.holderKey).to.deep.equal(holder.jwk)
    expect(outcome).to.deep.include({
      iss: ISS,
      kid: `${ISS}#key-1`,
      vct: 'https://uni.example/marksheet',
      iat: NOW,
      keyBound: false
    })
    expect(outcome.header).to.deep.equal({
      alg: 'EdDSA',
      typ: 'dc+sd-jwt',
      kid: `${ISS}#key-1`
    })
  })

  it('says nothing of a hidden claim in what is not disclosed', () => {
    const [jwt = ''] = presented([]).split('~')
    const payload = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()
    expect(payload).to.not.match(/Ananya|name|Physics|Tamil|Mission|Bengaluru|note|hi/)
  })

  it('orders digests by themselves, so that their places tell nothing', () => {
    const claims = numbered(40)
    const [jwt = ''] = issued(claims, { disclosable: pointersOf(claims) }).split('~')
    const { _sd: digests } = JSON.parse(
      Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()
    ) as { readonly _sd: readonly string[] }
    expect(digests).to.have.length(40)
    expect(digests).to.deep.equal(digests.toSorted())
  })

  it('shows what is chosen, with what it is inside of, and no more', async () => {
    const outcome = await accepted(presented(['/address/street', '/marks/1/subject']))
    expect(outcome.claims['address']).to.deep.equal({
      street: '7 Mission Road',
      city: 'Bengaluru'
    })
    expect(outcome.claims['marks']).to.deep.equal([{ subject: 'Tamil' }])
    expect(outcome.claims['languages']).to.deep.equal(['en', 'ta'])
    expect(outcome.claims).to.not.have.any.keys('name', 'note')
    expect(outcome.disclosed).to.have.members(['/address', '/address/street', '/marks/0'])
  })

  it('presents any choice as that choice', async () => {
    const whole = issued()
    await fc.assert(
      fc.asyncProperty(fc.subarray(DISCLOSABLE), async (chosen) => {
        const outcome = await accepted(presentSdJwt(whole, { disclose: chosen }, crypto))
        const open = new Set(
          chosen.flatMap((pointer) =>
            DISCLOSABLE.filter((each) => `${pointer}/`.startsWith(`${each}/`))
          )
        )
        expect(outcome.disclosed).to.have.length(open.size)
        expect('name' in outcome.claims).to.equal(open.has('/name'))
        expect('address' in outcome.claims).to.equal(open.has('/address'))
      }),
      { numRuns: 60 }
    )
  })

  it('comes back as it was for any claims with anything hidden', async () => {
    const json = fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), {
      maxKeys: 5
    })
    await fc.assert(
      fc.asyncProperty(json, fc.integer(), async (raw, seed) => {
        const claims = { ...CLAIMS, any: JSON.parse(JSON.stringify(raw)) as JsonValue }
        const pointers = pointersOf(claims).filter((_, at) => ((seed >>> (at % 31)) & 1) === 1)
        const outcome = await accepted(issued(claims, { disclosable: pointers }))
        expect(outcome.claims).to.deep.include(claims)
        expect(outcome.disclosed).to.have.members(pointers)
      }),
      { numRuns: 60 }
    )
  })

  it('salts each disclosure anew, 128 bits', () => {
    const salts = [issued(), issued()].flatMap((each) =>
      each
        .split('~')
        .slice(1, -1)
        .map((one) => String(JSON.parse(Buffer.from(one, 'base64url').toString())[0]))
    )
    expect(new Set(salts).size).to.equal(2 * DISCLOSABLE.length)
    for (const salt of salts) expect(Buffer.from(salt, 'base64url')).to.have.length(16)
  })

  it('puts times and status where a verifier must see them', async () => {
    const status = { status_list: { idx: 7, uri: 'https://uni.example/lists/1' } }
    const [exp, nbf] = [new Date('2030-01-01T00:00:00Z'), new Date('2026-11-23T12:00:00.900Z')]
    const outcome = await accepted(
      presentSdJwt(issued(CLAIMS, { exp, nbf, status }), { disclose: [] }, crypto)
    )
    expect(outcome).to.deep.include({ exp, nbf: NOW })
    expect(outcome.claims['status']).to.deep.equal(status)
  })

  it('keeps a claim named __proto__ a claim', async () => {
    const claims = JSON.parse(
      '{"__proto__":{"admin":true},"constructor":{"__proto__":7}}'
    ) as JsonObject
    const outcome = await accepted(
      issued(claims, { disclosable: ['/__proto__', '/constructor/__proto__'] })
    )
    expect(Object.hasOwn(outcome.claims, '__proto__')).to.equal(true)
    expect(JSON.stringify(outcome.claims)).to.contain('"__proto__":{"admin":true}')
    expect((outcome.claims as { admin?: unknown }).admin).to.equal(undefined)
    expect(outcome.disclosed).to.have.members(['/__proto__', '/constructor/__proto__'])
  })

  // oxfmt-ignore
  const MISUSES: ReadonlyArray<readonly [what: string, work: () => string, code?: 'limit-exceeded']> = [
    ['a pointer that leads to nothing',      () => issued(CLAIMS, { disclosable: ['/nothing'] })],
    ['a pointer to the whole',               () => issued(CLAIMS, { disclosable: [''] })],
    ['an element beyond the array',          () => issued(CLAIMS, { disclosable: ['/languages/3'] })],
    ['vct among the claims',                 () => issued({ vct: 'x' }, { disclosable: [] })],
    ['cnf hidden',                           () => issued(CLAIMS, { disclosable: ['/cnf'] })],
    ['_sd_alg among the claims',             () => issued({ _sd_alg: 'sha-256' }, { disclosable: [] })],
    ['a claim named _sd',                    () => issued({ deep: { _sd: [] } }, { disclosable: [] })],
    ['a claim named ...',                    () => issued({ deep: [{ '...': 'x' }] }, { disclosable: [] })],
    ['claims too deep',                      () => issued(nested(JSON_DEPTH_MAX + 1), { disclosable: [] })],
    ['claims that are too deep when hidden', () => issued(nested(JSON_DEPTH_MAX), { disclosable: [`${'/a'.repeat(JSON_DEPTH_MAX - 1)}/b`] })],
    ['half a surrogate pair',                () => issued({ name: '\ud800' }, { disclosable: [] })],
    ['too many disclosures',                 () => issued(numbered(DISCLOSURES_MAX + 1), { disclosable: pointersOf(numbered(DISCLOSURES_MAX + 1)) }), 'limit-exceeded'],
    ['a text too long',                      () => issued({ a: 'x'.repeat(200_000) }, { disclosable: [] }), 'limit-exceeded'],
    ['presenting what is not there',         () => presentSdJwt(issued(), { disclose: ['/nothing'] }, crypto)],
    ['presenting an inherited name',         () => presentSdJwt(issued(), { disclose: ['/constructor'] }, crypto)],
    ['presenting the length of an array',    () => presentSdJwt(issued(), { disclose: ['/languages/length'] }, crypto)],
    ['presenting by a name, not a pointer',  () => presentSdJwt(issued(), { disclose: ['name'] }, crypto)],
    ['presenting a presentation',            () => presentSdJwt(presented(), { disclose: [] }, crypto)],
    ['presenting what is no SD-JWT',         () => presentSdJwt('x~', { disclose: [] }, crypto)],
    ['binding with another key',             () => presentSdJwt(issued(), { disclose: [], keyBinding: { ...bind, signer: issuer.signer } }, crypto)],
    ['binding without a holder’s key',       () => presentSdJwt(`${signed(BASE)}~`, { disclose: [], keyBinding: bind }, crypto)]
  ]
  for (const [what, work, code = 'credential-malformed'] of MISUSES) {
    it(`refuses ${what}`, () => refused(work, code))
  }

  it('issues, presents and reads as many disclosures as are allowed', async () => {
    const claims = numbered(DISCLOSURES_MAX)
    const whole = issued(claims, { disclosable: pointersOf(claims) })
    expect((await accepted(whole)).disclosed).to.have.length(DISCLOSURES_MAX)
    const few = await accepted(presentSdJwt(whole, { disclose: ['/c0', '/c999'] }, crypto))
    expect(few.disclosed).to.have.members(['/c0', '/c999'])
  })

  it('reads a text of the largest size, and writes and reads none beyond', async () => {
    let fill = 196_400
    while (filled(fill + 1).length <= SD_JWT_BYTES_MAX) fill += 1
    expect(filled(fill).length).to.be.within(SD_JWT_BYTES_MAX - 1, SD_JWT_BYTES_MAX)
    await accepted(filled(fill))
    expect(await faultOf(filled(fill + 1))).to.equal('limit-exceeded')
    await refused(() => issued({ a: 'x'.repeat(fill) }, { disclosable: [] }), 'limit-exceeded')
    const half = issued({ a: 'x'.repeat(98_000), b: 'x'.repeat(98_000 - 600) }, { disclosable: [] })
    const binding = { ...bind, nonce: 'n'.repeat(1_000) }
    await refused(
      () => presentSdJwt(half, { disclose: [], keyBinding: binding }, crypto),
      'limit-exceeded'
    )
  })
})

describe('SD-JWT: any changed character', () => {
  /** Faults that name the part a character is in. */
  // oxfmt-ignore
  const NAMED: Readonly<Record<'jwt' | 'disclosure' | 'binding', readonly SdJwtFault[]>> = {
    jwt:        ['malformed', 'signature-wrong', 'type-unsupported', 'algorithm-unsupported', 'limit-exceeded', 'claims-malformed'],
    disclosure: ['disclosure-malformed', 'disclosure-unused', 'limit-exceeded'],
    binding:    ['key-binding-malformed', 'key-binding-wrong', 'algorithm-unsupported']
  }

  it('is refused, with a fault that names its part', async () => {
    const whole = presented(['/name', '/marks/1', '/address/street'])
    const endOfJwt = whole.indexOf('~')
    const endOfDisclosures = whole.lastIndexOf('~')
    for (let at = 0; at < whole.length; at++) {
      const character = whole.charAt(at)
      if (character === '~') continue
      const changed = `${whole.slice(0, at)}${character === 'A' ? 'B' : 'A'}${whole.slice(at + 1)}`
      const fault = await faultOf(changed, { keyBinding: ASKED })
      const part = at < endOfJwt ? 'jwt' : at < endOfDisclosures ? 'disclosure' : 'binding'
      expect(NAMED[part], `character ${at} of ${whole.length}: ${fault}`).to.include(fault)
    }
  })

  it('is refused also as any other character, and when one is missing or more', async () => {
    const whole = presented()
    const ascii = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code))
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      by: fc.oneof(ascii, fc.constant('')),
      drop: fc.boolean()
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ at, by, drop }) => {
        const changed = whole.slice(0, at) + by + whole.slice(drop ? at + 1 : at)
        fc.pre(changed !== whole)
        expect((await read(changed, { keyBinding: ASKED })).ok).to.equal(false)
      }),
      { numRuns: 500 }
    )
  })
})

function filled(sizeBytes: number): string {
  return `${signed({ ...BASE, a: 'x'.repeat(sizeBytes) })}~`
}
