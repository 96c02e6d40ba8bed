import {
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes
} from 'node:crypto'
import { expect } from 'chai'
import { decrypt, encrypt, type Jwe } from '../../../protocols/envelope/jwe.ts'
import { refused } from '../../refusal.ts'
import { keysFor, newParty, utf8 } from './parties.ts'

const alice = newParty()
const bob = newParty()
const keys = keysFor(bob, alice)
const plaintext = utf8('plaintext')
const anonymous = (): Jwe => encrypt(plaintext, { to: bob.agreement })
const authenticated = (): Jwe =>
  encrypt(plaintext, { to: bob.agreement, from: alice.secret('keyAgreement') })

const headerOf = (jwe: Jwe): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwe.protected, 'base64url').toString())

function withHeader(jwe: Jwe, change: Readonly<Record<string, unknown>>): Jwe {
  return { ...jwe, protected: utf8({ ...headerOf(jwe), ...change }).toString('base64url') }
}

const senderKid = alice.secret('keyAgreement').kid

/** Length in 32 bits, then the bytes. */
const prefixed = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, 0, bytes.length >> 8, bytes.length & 255]), bytes])

/** Authcrypt from Alice to Bob, step by step: RFC 7518 §4.6 and §5.2.5, RFC 3394, draft-madden-jose-ecdh-1pu-04. */
function handmade(more: Readonly<Record<string, string>>): unknown {
  const kid = bob.agreement[0]?.kid ?? ''
  const ephemeral = generateKeyPairSync('x25519')
  const apv = createHash('sha256').update(kid).digest()
  const header = utf8({
    alg: 'ECDH-1PU+A256KW',
    enc: 'A256CBC-HS512',
    apu: utf8(senderKid).toString('base64url'),
    apv: apv.toString('base64url'),
    epk: ephemeral.publicKey.export({ format: 'jwk' }),
    ...more
  }).toString('base64url')
  const [macKey, key, iv] = [randomBytes(32), randomBytes(32), randomBytes(16)]
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const ciphertext = Buffer.concat([cipher.update('by hand'), cipher.final()])
  const bits = Buffer.alloc(8)
  bits.writeUInt32BE(header.length * 8, 4)
  const mac = createHmac('sha512', macKey).update(header).update(iv).update(ciphertext).update(bits)
  const tag = mac.digest().subarray(0, 32)
  const publicKey = createPublicKey(bob.secret('keyAgreement').key)
  const secret = Buffer.concat([
    diffieHellman({ privateKey: ephemeral.privateKey, publicKey }),
    diffieHellman({ privateKey: alice.secret('keyAgreement').key, publicKey })
  ])
  const kek = createHash('sha256')
    .update(Buffer.from([0, 0, 0, 1]))
    .update(secret)
    .update(prefixed(utf8('ECDH-1PU+A256KW')))
    .update(prefixed(utf8(senderKid)))
    .update(prefixed(apv))
    .update(Buffer.from([0, 0, 1, 0]))
    .update(prefixed(tag))
    .digest()
  const wrap = createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6))
  const wrapped = Buffer.concat([wrap.update(Buffer.concat([macKey, key])), wrap.final()])
  return {
    protected: header,
    recipients: [{ header: { kid }, encrypted_key: wrapped.toString('base64url') }],
    iv: iv.toString('base64url'),
    ciphertext: ciphertext.toString('base64url'),
    tag: tag.toString('base64url')
  }
}

describe('JWE', () => {
  it('has the general form with one common ephemeral key', () => {
    const jwe = authenticated()
    expect(Object.keys(jwe)).to.deep.equal(['protected', 'recipients', 'iv', 'ciphertext', 'tag'])
    expect(Object.keys(headerOf(jwe))).to.deep.equal([
      'typ',
      'alg',
      'enc',
      'skid',
      'apu',
      'apv',
      'epk'
    ])
    expect(headerOf(jwe)['epk']).to.have.all.keys('kty', 'crv', 'x')
  })

  it('resolves nothing for an envelope that is not for us', async () => {
    let resolved = 0
    const stranger = newParty()
    const work = () =>
      decrypt(authenticated(), {
        secrets: stranger.secrets,
        resolveKey: async (kid, purpose) => {
          resolved++
          return keys.resolveKey(kid, purpose)
        }
      })
    await refused(work, 'envelope-not-for-us')
    expect(resolved).to.equal(0)
  })

  it('passes on what resolving the sender throws', async () => {
    const failure = new Error('no network')
    const work = () =>
      decrypt(authenticated(), { ...keys, resolveKey: () => Promise.reject(failure) })
    let caught: unknown
    await work().catch((error: unknown) => (caught = error))
    expect(caught).to.equal(failure)
  })

  it('opens an envelope made by hand from the RFCs', async () => {
    const { plaintext: opened, skid } = await decrypt(handmade({ skid: senderKid }), keys)
    expect(opened.toString()).to.equal('by hand')
    expect(skid).to.equal(senderKid)
  })

  it('takes the sender from apu when skid is absent', async () => {
    expect((await decrypt(handmade({}), keys)).skid).to.equal(senderKid)
  })

  // oxfmt-ignore
  const HEADERS: ReadonlyArray<readonly [what: string, change: Record<string, unknown>, code: 'envelope-unsupported' | 'envelope-malformed']> = [
    ['zip',                        { zip: 'DEF' },                          'envelope-unsupported'],
    ['crit',                       { crit: ['exp'] },                       'envelope-unsupported'],
    ['alg dir',                    { alg: 'dir' },                          'envelope-unsupported'],
    ['alg RSA1_5',                 { alg: 'RSA1_5' },                       'envelope-unsupported'],
    ['alg ECDH-ES+A128KW',         { alg: 'ECDH-ES+A128KW' },               'envelope-unsupported'],
    ['enc A128CBC-HS256',          { enc: 'A128CBC-HS256' },                'envelope-unsupported'],
    ['enc __proto__',              { enc: '__proto__' },                    'envelope-unsupported'],
    ['1PU with A256GCM',           { enc: 'A256GCM' },                      'envelope-unsupported'],
    ['1PU with XC20P',             { enc: 'XC20P' },                        'envelope-unsupported'],
    ['another typ',                { typ: 'application/didcomm-plain+json' }, 'envelope-malformed'],
    ['apv null',                   { apv: null },                           'envelope-malformed'],
    ['apv of other keys',          { apv: utf8('x').toString('base64url') }, 'envelope-malformed'],
    ['apu null',                   { apu: null },                           'envelope-malformed'],
    ['no epk',                     { epk: undefined },                      'envelope-malformed'],
    ['epk without x',              { epk: { kty: 'OKP', crv: 'X25519' } },  'envelope-malformed'],
    ['epk with short x',           { epk: { kty: 'OKP', crv: 'X25519', x: 'AAAA' } }, 'envelope-malformed'],
    ['epk that is EC on X25519',   { epk: { kty: 'EC', crv: 'X25519', x: 'A'.repeat(43) } }, 'envelope-malformed'],
    ['epk with a private part',    { epk: { kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43), d: 'A'.repeat(43) } }, 'envelope-malformed'],
    ['epk on Ed25519',             { epk: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } }, 'envelope-unsupported'],
    ['epk on secp256k1',           { epk: { kty: 'EC', crv: 'secp256k1', x: 'A'.repeat(43), y: 'A'.repeat(43) } }, 'envelope-unsupported'],
    ['skid without a fragment',    { skid: alice.did, apu: utf8(alice.did).toString('base64url') }, 'envelope-malformed']
  ]
  for (const [what, change, code] of HEADERS) {
    it(`refuses a protected header with ${what}`, async () => {
      await refused(() => decrypt(withHeader(authenticated(), change), keys), code)
    })
  }

  it('refuses skid on an anonymous envelope', async () => {
    const skid = `${alice.did}#key-2`
    await refused(() => decrypt(withHeader(anonymous(), { skid }), keys), 'envelope-malformed')
  })

  it('refuses an ephemeral key on another curve than ours', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const epk = publicKey.export({ format: 'jwk' })
    await refused(() => decrypt(withHeader(anonymous(), { epk }), keys), 'envelope-malformed')
  })

  it('refuses an ephemeral key that is not on its curve', async () => {
    const party = newParty(['P-256'])
    const jwe = encrypt(plaintext, { to: party.agreement })
    const epk = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }
    await refused(() => decrypt(withHeader(jwe, { epk }), keysFor(party)), 'envelope-malformed')
  })

  // RFC 7748 §6.1: points of small order give an all-zero secret, whatever our key is.
  for (const x of [
    '0'.repeat(64),
    `01${'0'.repeat(62)}`,
    `ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f`
  ]) {
    it(`refuses the ephemeral key of small order ${x.slice(0, 8)}…`, async () => {
      const epk = { kty: 'OKP', crv: 'X25519', x: Buffer.from(x, 'hex').toString('base64url') }
      await refused(
        () => decrypt(withHeader(anonymous(), { epk }), keys),
        'envelope-unauthenticated'
      )
    })
  }

  // oxfmt-ignore
  const SHAPES: ReadonlyArray<readonly [what: string, change: Record<string, unknown>]> = [
    ['aad',                      { aad: 'AA' }],
    ['an unprotected header',    { unprotected: { enc: 'A256GCM' } }],
    ['no recipients',            { recipients: [] }],
    ['flattened recipients',     { recipients: undefined, header: {}, encrypted_key: '' }],
    ['a padded tag',             { tag: `${authenticated().tag}=` }],
    ['a tag of half the size',   { tag: authenticated().tag.slice(0, 22) }],
    ['an empty tag',             { tag: '' }],
    ['an iv of another size',    { iv: 'AAAA' }],
    ['standard base64',          { iv: '++++++++++++++++++++/w' }],
    ['stray last bits',          { iv: `${'A'.repeat(21)}B` }]
  ]
  for (const [what, change] of SHAPES) {
    it(`refuses an envelope with ${what}`, async () => {
      await refused(() => decrypt({ ...authenticated(), ...change }, keys), 'envelope-malformed')
    })
  }

  // oxfmt-ignore
  const RECIPIENTS: ReadonlyArray<readonly [what: string, change: (jwe: Jwe) => unknown]> = [
    ['twice',                       (jwe) => [jwe.recipients[0], jwe.recipients[0]]],
    ['with a header of its own',    (jwe) => [{ ...jwe.recipients[0], header: { kid: `${bob.did}#key-2`, alg: 'dir' } }]],
    ['without a fragment',          (jwe) => [{ ...jwe.recipients[0], header: { kid: bob.did } }]],
    ['that is no string',           (jwe) => [{ ...jwe.recipients[0], header: { kid: 7 } }]]
  ]
  for (const [what, change] of RECIPIENTS) {
    it(`refuses a recipient ${what}`, async () => {
      const jwe = authenticated()
      await refused(() => decrypt({ ...jwe, recipients: change(jwe) }, keys), 'envelope-malformed')
    })
  }

  it('refuses 65 recipients', async () => {
    const jwe = anonymous()
    const recipients = Array.from({ length: 65 }, (_, position) => ({
      header: { kid: `${bob.did}#copy-${position}` },
      encrypted_key: 'AA'
    }))
    await refused(() => decrypt({ ...jwe, recipients }, keys), 'limit-exceeded')
  })

  it('refuses a protected header over 16 KiB', async () => {
    const jwe = withHeader(anonymous(), { filler: 'x'.repeat(16 * 1024) })
    await refused(() => decrypt(jwe, keys), 'limit-exceeded')
  })

  it('reads coordinates whose leading zeros were stripped', async () => {
    // A P-521 key whose x is short: about one in two has a zero top byte, so a few tries find one.
    const party = newParty(['P-521'])
    for (let tries = 0; tries < 64; tries++) {
      const jwe = encrypt(plaintext, { to: party.agreement })
      const epk = headerOf(jwe)['epk'] as { x: string; y: string }
      const x = Buffer.from(epk.x, 'base64url')
      if (x[0] !== 0) continue
      // Changing the header breaks the tag; that the key was read shows in the refusal.
      const short = withHeader(jwe, { epk: { ...epk, x: x.subarray(1).toString('base64url') } })
      await refused(() => decrypt(short, keysFor(party)), 'envelope-unauthenticated')
      return
    }
    expect.fail('no short coordinate in 64 keys')
  })

  it('refuses a private key of ours that is not for key agreement', async () => {
    const kid = bob.agreement[0]?.kid ?? ''
    const { privateKey } = generateKeyPairSync('ed25519')
    const secrets = (id: string) => (id === kid ? privateKey : undefined)
    await refused(() => decrypt(anonymous(), { ...keys, secrets }), 'envelope-malformed')
  })
})
