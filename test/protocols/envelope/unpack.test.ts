import { expect } from 'chai'
import { packFromPrior } from '../../../protocols/envelope/from-prior.ts'
import { encrypt, type Jwe } from '../../../protocols/envelope/jwe.ts'
import { signJws } from '../../../protocols/envelope/jws.ts'
import { LAYERS_MAX, unpack, type UnpackOptions } from '../../../protocols/envelope/unpack.ts'
import type { PlaintextMessage } from '../../../protocols/message.ts'
import { refused } from '../../refusal.ts'
import { hello, keysFor, newParty, utf8 } from './parties.ts'

const alice = newParty()
const bob = newParty()
const carol = newParty()
/** Bob and Carol are one agent here: it holds the keys of both. */
const everyone: UnpackOptions = {
  ...keysFor(bob, alice, carol),
  secrets: (kid) => bob.secrets(kid) ?? carol.secrets(kid)
}

/** Layers without the checks that pack makes. */
const authcrypt = (value: unknown, from = alice, to = bob): Jwe =>
  encrypt(utf8(value), { to: to.agreement, from: from.secret('keyAgreement') })
const anoncrypt = (value: unknown, to = bob): Jwe => encrypt(utf8(value), { to: to.agreement })
const sign = (value: unknown, by = alice): unknown =>
  signJws(utf8(value), by.secret('authentication'))

function without(message: PlaintextMessage, member: 'from' | 'to'): Partial<PlaintextMessage> {
  const { [member]: _, ...rest } = message
  return rest
}

/** The JWE with members of its protected header replaced; authenticity is then lost, syntax is not. */
function withHeader(jwe: Jwe, change: Readonly<Record<string, unknown>>): unknown {
  const header: unknown = JSON.parse(Buffer.from(jwe.protected, 'base64url').toString())
  const changed = utf8({ ...(header as object), ...change })
  return { ...jwe, protected: changed.toString('base64url') }
}

describe('addressing of an envelope', () => {
  const message = hello(alice, bob)
  // oxfmt-ignore
  const MISMATCHES: ReadonlyArray<readonly [what: string, envelope: () => unknown]> = [
    ['authcrypt whose from is another DID',             () => authcrypt({ ...message, from: carol.did })],
    ['authcrypt without from',                          () => authcrypt(without(message, 'from'))],
    ['authcrypt whose to leaves us out',                () => authcrypt({ ...message, to: [carol.did] })],
    ['anoncrypt whose to leaves us out',                () => anoncrypt({ ...message, to: [carol.did] })],
    ['a signature whose from is another DID',           () => anoncrypt(sign({ ...message, from: carol.did }))],
    ['a signature without from',                        () => anoncrypt(sign(without(message, 'from')))],
    ['a signature without to',                          () => anoncrypt(sign(without(message, 'to')))],
    ['a message signed for Carol, encrypted on to us',  () => anoncrypt(sign({ ...message, to: [carol.did] }))],
    ['a signer who is not the sender',                  () => authcrypt(sign(message, carol))],
    ['a signature passed on under one’s own authcrypt', () => authcrypt(sign(message), carol)],
    ['layers to two DIDs',                              () => anoncrypt(authcrypt(hello(alice, carol), alice, carol))],
    ['a recipient list that apv does not bind',         () => {
      const jwe = authcrypt(message)
      const [own] = jwe.recipients
      return { ...jwe, recipients: [own, { ...own, header: { kid: `${bob.did}#key-9` } }] }
    }],
    ['recipients of two DIDs',                          () => {
      const jwe = authcrypt(message)
      const [own] = jwe.recipients
      return { ...jwe, recipients: [own, { ...own, header: { kid: `${carol.did}#key-2` } }] }
    }],
    ['apu that is not skid',                            () => withHeader(authcrypt(message), { skid: `${carol.did}#key-2` })],
    ['signers of two DIDs',                             () => {
      const [ours, theirs] = [sign(message), sign(message, carol)] as { payload: string; signatures: unknown[] }[]
      return anoncrypt({ ...ours, signatures: [...(ours?.signatures ?? []), ...(theirs?.signatures ?? [])] })
    }],
    ['a sender key that is for signing',                () => {
      const kid = `${alice.did}#key-1`
      return encrypt(utf8(message), { to: bob.agreement, from: { ...alice.secret('keyAgreement'), kid } })
    }],
    ['a signer key that is for key agreement',          () => {
      const kid = `${alice.did}#key-2`
      return anoncrypt(signJws(utf8(message), { ...alice.secret('authentication'), kid }))
    }],
    ['from_prior about another DID',                    () => authcrypt({
      ...message,
      from_prior: packFromPrior({ iss: carol.did, sub: bob.did, issuedAt: new Date(0) }, carol.secret('authentication'))
    })],
    ['from_prior signed by the new DID',                () => {
      const { kid, key } = alice.secret('authentication')
      const jwt = packFromPrior({ iss: carol.did, sub: alice.did, issuedAt: new Date(0) }, { kid: `${carol.did}#key-1`, key })
      expect(kid).to.not.equal(`${carol.did}#key-1`)
      return authcrypt({ ...message, from_prior: jwt })
    }]
  ]

  for (const [what, envelope] of MISMATCHES) {
    it(`refuses ${what}`, async () => {
      await refused(
        () => unpack(utf8(envelope()), everyone),
        'envelope-unauthenticated',
        'envelope-malformed',
        'did-not-found'
      )
    })
  }

  it('takes the same parts when they belong together', async () => {
    const kinds = [authcrypt(message), anoncrypt(sign(message)), authcrypt(sign(message))]
    for (const envelope of kinds) {
      const { meta } = await unpack(utf8(envelope), everyone)
      expect(meta.from).to.equal(alice.did)
    }
  })

  it('takes an authcrypted message without to', async () => {
    const { meta } = await unpack(utf8(authcrypt(without(message, 'to'))), everyone)
    expect(meta.to).to.equal(bob.did)
  })

  it('hands on a verified change of DID', async () => {
    const old = carol.secret('authentication')
    const from_prior = packFromPrior(
      { iss: carol.did, sub: alice.did, issuedAt: new Date(5000) },
      old
    )
    const { meta } = await unpack(utf8(authcrypt({ ...message, from_prior })), everyone)
    expect(meta.fromPrior).to.deep.equal({ iss: carol.did, sub: alice.did, iat: 5, kid: old.kid })
  })
})

describe('layers of an envelope', () => {
  const message = hello(alice, bob)
  const inner = (): Jwe => authcrypt(message)

  it(`reads ${LAYERS_MAX} layers: anoncrypt(authcrypt(sign))`, async () => {
    const { meta } = await unpack(utf8(anoncrypt(authcrypt(sign(message)))), everyone)
    expect(meta).to.include({ layers: 3, nonRepudiable: true, senderHidden: true })
  })

  // oxfmt-ignore
  const STACKS: ReadonlyArray<readonly [what: string, envelope: () => unknown]> = [
    ['four layers',                () => anoncrypt(authcrypt(sign(sign(message))))],
    ['anoncrypt in anoncrypt',     () => anoncrypt(anoncrypt(message))],
    ['authcrypt in authcrypt',     () => authcrypt(inner())],
    ['anoncrypt in authcrypt',     () => authcrypt(anoncrypt(message))],
    ['a signature in a signature', () => anoncrypt(sign(sign(message)))],
    ['encryption in a signature',  () => sign(inner())]
  ]
  for (const [what, envelope] of STACKS) {
    it(`refuses ${what}`, async () => {
      await refused(
        () => unpack(utf8(envelope()), { ...everyone, allowUnencrypted: true }),
        'envelope-malformed',
        'limit-exceeded'
      )
    })
  }

  it('refuses what is not encrypted, unless the caller asks for it', async () => {
    for (const bare of [message, sign(message)]) {
      await refused(() => unpack(utf8(bare), everyone), 'envelope-unauthenticated')
      const { meta } = await unpack(utf8(bare), { ...everyone, allowUnencrypted: true })
      expect(meta.encrypted).to.equal(false)
    }
  })

  it('resolves no signer of what is not encrypted', async () => {
    let resolved = 0
    const resolveKey: UnpackOptions['resolveKey'] = (kid, purpose) => {
      resolved++
      return everyone.resolveKey(kid, purpose)
    }
    await refused(
      () => unpack(utf8(sign(message)), { ...everyone, resolveKey }),
      'envelope-unauthenticated'
    )
    expect(resolved).to.equal(0)
  })

  it('does not believe the sender of a bare plaintext message', async () => {
    const { meta } = await unpack(utf8(message), { ...everyone, allowUnencrypted: true })
    expect(meta).to.include({ authenticated: false, layers: 0 })
  })

  for (const text of [
    '',
    'null',
    '[]',
    '7',
    '"text"',
    '{}',
    '{"ciphertext":1}',
    '{"payload":{}}'
  ]) {
    it(`refuses ${text || 'nothing'} for an envelope`, async () => {
      await refused(
        () => unpack(utf8(text), { ...everyone, allowUnencrypted: true }),
        'envelope-malformed',
        'message-malformed'
      )
    })
  }
})
