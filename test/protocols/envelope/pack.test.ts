import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import {
  CONTENT_CIPHERS,
  type ContentEncryption
} from '../../../protocols/envelope/content-encryption.ts'
import { AGREEMENT_CURVES, RECIPIENTS_MAX } from '../../../protocols/envelope/jwe.ts'
import { pack, packFor } from '../../../protocols/envelope/pack.ts'
import { unpack } from '../../../protocols/envelope/unpack.ts'
import { MESSAGE_BYTES_MAX } from '../../../protocols/message.ts'
import { refused } from '../../refusal.ts'
import { hello, keysFor, newParty } from './parties.ts'

const ENCRYPTIONS: readonly ContentEncryption[] = ['A256CBC-HS512', 'A256GCM', 'XC20P']

describe('envelopes', () => {
  for (const curve of AGREEMENT_CURVES) {
    describe(`between ${curve} keys`, () => {
      const alice = newParty([curve])
      const bob = newParty([curve])

      it('carries an authcrypted message and proves its sender', async () => {
        const message = hello(alice, bob)
        const envelope = packFor(message, {
          to: bob.document,
          from: alice.document,
          secrets: alice.secrets
        })
        const { message: received, meta } = await unpack(envelope, keysFor(bob, alice))
        expect(received).to.deep.equal(message)
        expect(meta).to.deep.equal({
          authenticated: true,
          nonRepudiable: false,
          encrypted: true,
          senderHidden: false,
          signerKids: [],
          layers: 1,
          to: bob.did,
          recipientKid: `${bob.did}#key-2`,
          enc: 'A256CBC-HS512',
          from: alice.did,
          senderKid: `${alice.did}#key-2`
        })
      })

      for (const enc of ENCRYPTIONS) {
        it(`carries a message by anoncrypt with ${enc} and believes no sender`, async () => {
          const message = hello(alice, bob)
          const envelope = packFor(message, { to: bob.document, enc })
          const { message: received, meta } = await unpack(envelope, keysFor(bob))
          expect(received).to.deep.equal(message)
          expect(meta).to.include({ authenticated: false, senderHidden: true, enc, layers: 1 })
          expect(meta.from).to.equal(undefined)
        })
      }

      it('hides the sender of an authcrypted message behind anoncrypt', async () => {
        const envelope = packFor(hello(alice, bob), {
          to: bob.document,
          from: alice.document,
          secrets: alice.secrets,
          as: 'protect-sender',
          enc: 'A256GCM'
        })
        expect(Buffer.from(envelope).toString()).to.not.include(alice.did)
        const { meta } = await unpack(envelope, keysFor(bob, alice))
        expect(meta).to.include({
          authenticated: true,
          senderHidden: true,
          from: alice.did,
          layers: 2
        })
      })
    })
  }

  for (const [curve, alg] of [
    ['Ed25519', 'EdDSA'],
    ['P-256', 'ES256'],
    ['secp256k1', 'ES256K']
  ] as const) {
    it(`carries a message signed with ${alg} by anoncrypt`, async () => {
      const alice = newParty(['X25519'], [curve])
      const bob = newParty()
      const envelope = packFor(hello(alice, bob), {
        to: bob.document,
        from: alice.document,
        secrets: alice.secrets,
        as: 'sign'
      })
      const { meta } = await unpack(envelope, keysFor(bob, alice))
      expect(meta).to.include({
        authenticated: true,
        nonRepudiable: true,
        from: alice.did,
        layers: 2
      })
      expect(meta.signerKids).to.deep.equal([`${alice.did}#key-1`])
    })
  }

  it('takes private keys as JWK as well', async () => {
    const alice = newParty()
    const bob = newParty()
    const asJwk = (kid: string) => {
      const key = bob.keys.get(kid)
      return (
        key && {
          kty: 'OKP' as const,
          crv: 'X25519' as const,
          x: '',
          d: '',
          ...key.export({ format: 'jwk' })
        }
      )
    }
    const envelope = pack(hello(alice, bob), {
      to: bob.agreement,
      from: alice.secret('keyAgreement')
    })
    const { resolveKey } = keysFor(bob, alice)
    const { meta } = await unpack(envelope, { resolveKey, secrets: asJwk as typeof bob.secrets })
    expect(meta.from).to.equal(alice.did)
  })

  it('encrypts to all keys of the first type both sides have', async () => {
    const alice = newParty(['P-256'])
    const bob = newParty(['X25519', 'P-256', 'X25519', 'P-256'])
    const envelope = packFor(hello(alice, bob), {
      to: bob.document,
      from: alice.document,
      secrets: alice.secrets
    })
    for (const position of [1, 3]) {
      const { kid } = bob.agreement[position] ?? { kid: '' }
      const keys = {
        ...keysFor(bob, alice),
        secrets: (id: string) => (id === kid ? bob.secrets(id) : undefined)
      }
      const { meta } = await unpack(envelope, keys)
      expect(meta.recipientKid).to.equal(kid)
    }
  })

  it('opens with a second own key when the first does not fit its wrapped key', async () => {
    const bob = newParty(['X25519', 'X25519'])
    const envelope = packFor(hello(undefined, bob), { to: bob.document })
    const [first, second] = bob.agreement
    const wrong = newParty().secret('keyAgreement').key
    const keys = keysFor(bob)
    const secrets = (kid: string) => (kid === first?.kid ? wrong : bob.secrets(kid))
    const { meta } = await unpack(envelope, { ...keys, secrets })
    expect(meta.recipientKid).to.equal(second?.kid)
  })

  it('refuses to pack when the two sides have no key type in common', async () => {
    const alice = newParty(['P-256'])
    const bob = newParty(['X25519'])
    await refused(
      () =>
        packFor(hello(alice, bob), {
          to: bob.document,
          from: alice.document,
          secrets: alice.secrets
        }),
      'envelope-unsupported'
    )
    const silent = newParty([])
    await refused(
      () => packFor(hello(alice, silent), { to: silent.document }),
      'envelope-unsupported'
    )
  })

  it('refuses to pack what the other side would refuse', async () => {
    const alice = newParty()
    const bob = newParty()
    const carol = newParty()
    const from = alice.secret('keyAgreement')
    const sign = alice.secret('authentication')
    const to = bob.agreement
    const bad = 'envelope-unauthenticated'
    await refused(() => pack(hello(carol, bob), { to, from }), bad)
    await refused(() => pack(hello(alice, carol), { to, from }), bad)
    const { to: _, ...unaddressed } = hello(alice, bob)
    await refused(() => pack(unaddressed, { to, sign }), bad)
    await refused(() => pack(hello(alice, bob), { to, from, sign }), 'envelope-unsupported')
    await refused(
      () => pack(hello(alice, bob), { to, from, enc: 'A256GCM' }),
      'envelope-unsupported'
    )
    await refused(
      () => pack(hello(alice, bob), { to, protectSender: true }),
      'envelope-unsupported'
    )
    await refused(
      () => pack(hello(alice, bob), { to: [...to, ...carol.agreement] }),
      'envelope-unsupported'
    )
    await refused(() => pack(hello(alice, bob), { to, sign: from }), 'envelope-unsupported')
  })

  it('packs for 64 keys and not for 65', async () => {
    const bob = newParty()
    const key = bob.agreement[0]
    if (key === undefined) throw new Error('no key')
    const keys = (count: number) =>
      Array.from({ length: count }, (_, position) => ({
        ...key,
        kid: `${bob.did}#copy-${position}`
      }))
    const secrets = (kid: string) =>
      kid === `${bob.did}#copy-63` ? bob.secrets(key.kid) : undefined
    const envelope = pack(hello(undefined, bob), { to: keys(RECIPIENTS_MAX) })
    const { meta } = await unpack(envelope, {
      ...keysFor(bob),
      secrets
    })
    expect(meta.recipientKid).to.equal(`${bob.did}#copy-63`)
    await refused(
      () => pack(hello(undefined, bob), { to: keys(RECIPIENTS_MAX + 1) }),
      'limit-exceeded'
    )
  })

  it('packs up to 256 KiB and refuses an envelope that is larger', async () => {
    const alice = newParty()
    const bob = newParty()
    const packed = (chars: number) =>
      pack(hello(alice, bob, { body: { content: 'a'.repeat(chars) } }), {
        to: bob.agreement,
        from: alice.secret('keyAgreement')
      })
    // CBC grows in steps of 16 bytes, so the largest content is searched for.
    let fits = 0
    for (let step = 1 << 17; step >= 1; step >>= 1) {
      try {
        if (packed(fits + step).length <= MESSAGE_BYTES_MAX) fits += step
      } catch {
        // Too large: the search goes on below.
      }
    }
    const largest = packed(fits)
    expect(largest.length).to.be.within(MESSAGE_BYTES_MAX - 32, MESSAGE_BYTES_MAX)
    expect((await unpack(largest, keysFor(bob, alice))).meta.authenticated).to.equal(true)
    await refused(() => packed(fits + 1), 'limit-exceeded')
  })

  it('unpacks exactly 256 KiB and refuses one byte more', async () => {
    const bob = newParty()
    const envelope = packFor(hello(undefined, bob), { to: bob.document })
    const padded = (size: number) =>
      Buffer.concat([envelope, Buffer.alloc(size - envelope.length, ' ')])
    await unpack(padded(MESSAGE_BYTES_MAX), keysFor(bob))
    await refused(() => unpack(padded(MESSAGE_BYTES_MAX + 1), keysFor(bob)), 'limit-exceeded')
  })

  it('never gives the same envelope twice', () => {
    const bob = newParty()
    const message = hello(undefined, bob)
    const texts = Array.from({ length: 20 }, () =>
      Buffer.from(packFor(message, { to: bob.document })).toString()
    )
    expect(new Set(texts).size).to.equal(20)
  })
})

describe('content encryption', () => {
  // RFC 7518 Appendix B.3: AES_256_CBC_HMAC_SHA_512.
  it('gives the tag of RFC 7518 appendix B.3', () => {
    const key = Buffer.from(Array.from({ length: 64 }, (_, index) => index))
    const iv = Buffer.from('1af38c2dc2b96ffdd86694092341bc04', 'hex')
    const aad = Buffer.from('The second principle of Auguste Kerckhoffs')
    const text = Buffer.from(
      'A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy without inconvenience'
    )
    const { ciphertext, tag } = CONTENT_CIPHERS['A256CBC-HS512'].seal(key, iv, aad, text)
    expect(Buffer.from(ciphertext).toString('hex')).to.match(/^4affaaadb78c31c5da4b1b590d10ffbd/)
    expect(Buffer.from(tag).toString('hex')).to.equal(
      '4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5'
    )
  })

  for (const enc of ENCRYPTIONS) {
    it(`opens with ${enc} only under the same associated data`, () => {
      const cipher = CONTENT_CIPHERS[enc]
      const key = randomBytes(cipher.keyBytes)
      const iv = randomBytes(cipher.ivBytes)
      const { ciphertext, tag } = cipher.seal(key, iv, Buffer.from('a'), Buffer.from('text'))
      const open = (aad: string) =>
        cipher.open(key, iv, Buffer.from(aad), Buffer.from(ciphertext), Buffer.from(tag)).toString()
      expect(open('a')).to.equal('text')
      expect(() => open('b')).to.throw()
    })
  }
})
