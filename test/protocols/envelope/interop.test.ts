/** Against didcomm-node (didcomm-rust in WebAssembly), an implementation that shares no code with ours: both ways. */
import { expect } from 'chai'
import didcomm from 'didcomm-node'
import { keysOf } from '../../../protocols/did/document.ts'
import type { ContentEncryption } from '../../../protocols/envelope/content-encryption.ts'
import { FORWARD_TYPE, readForward, wrapForward } from '../../../protocols/envelope/forward.ts'
import { packFromPrior } from '../../../protocols/envelope/from-prior.ts'
import { pack, packFor } from '../../../protocols/envelope/pack.ts'
import { unpack } from '../../../protocols/envelope/unpack.ts'
import { hello, keysFor, newParty, utf8, type Party } from './parties.ts'

const { FromPrior, Message } = didcomm

const THEIR_NAMES: Readonly<
  Record<
    ContentEncryption,
    'A256cbcHs512EcdhEsA256kw' | 'A256gcmEcdhEsA256kw' | 'Xc20pEcdhEsA256kw'
  >
> = {
  'A256CBC-HS512': 'A256cbcHs512EcdhEsA256kw',
  A256GCM: 'A256gcmEcdhEsA256kw',
  XC20P: 'Xc20pEcdhEsA256kw'
}
const ENCRYPTIONS = ['A256CBC-HS512', 'A256GCM', 'XC20P'] as const

/** Their view of our parties: resolver and secrets. */
function theirView(owner: Party, ...others: readonly Party[]) {
  const documents = new Map(
    [owner, ...others].map(({ did, document }) => {
      const agreement = keysOf(document, 'keyAgreement')
      const authentication = keysOf(document, 'authentication')
      const verificationMethod = [...agreement, ...authentication].map(({ kid, jwk }) => ({
        id: kid,
        type: 'JsonWebKey2020',
        controller: did,
        publicKeyJwk: jwk
      }))
      const ids = (keys: typeof agreement) => keys.map(({ kid }) => kid)
      return [
        did,
        {
          id: did,
          keyAgreement: ids(agreement),
          authentication: ids(authentication),
          verificationMethod,
          service: []
        }
      ]
    })
  )
  return {
    resolver: { resolve: async (did: string) => documents.get(did) ?? null },
    secrets: {
      get_secret: async (id: string) => {
        const key = owner.keys.get(id)
        return key === undefined
          ? null
          : { id, type: 'JsonWebKey2020', privateKeyJwk: key.export({ format: 'jwk' }) }
      },
      find_secrets: async (ids: string[]) => ids.filter((id) => owner.keys.has(id))
    }
  }
}

for (const curve of ['X25519', 'P-256'] as const) {
  describe(`didcomm-node and we, with ${curve}`, () => {
    const alice = newParty([curve])
    const bob = newParty([curve, curve])
    const old = newParty([curve])
    const sender = theirView(alice, bob, old)
    const receiver = theirView(bob, alice, old)
    const message = hello(alice, bob)
    const theirMessage = () =>
      new Message({
        ...message,
        to: [bob.did],
        typ: 'application/didcomm-plain+json',
        body: message.body
      } as never)
    const open = async (envelope: Uint8Array) => {
      const [received, meta] = await Message.unpack(
        Buffer.from(envelope).toString(),
        receiver.resolver,
        receiver.secrets,
        {}
      )
      return { value: received.as_value(), meta }
    }

    it('they read our authcrypt, and we theirs', async () => {
      const ours = packFor(message, {
        to: bob.document,
        from: alice.document,
        secrets: alice.secrets
      })
      const { value, meta } = await open(ours)
      expect(value.body).to.deep.equal(message.body)
      expect(meta).to.include({ authenticated: true, encrypted: true, anonymous_sender: false })
      const [theirs] = await theirMessage().pack_encrypted(
        bob.did,
        alice.did,
        null,
        sender.resolver,
        sender.secrets,
        { forward: false }
      )
      const read = await unpack(utf8(theirs), keysFor(bob, alice))
      expect(read.message.body).to.deep.equal(message.body)
      expect(read.meta).to.include({ authenticated: true, from: alice.did })
    })

    for (const enc of ENCRYPTIONS) {
      it(`they read our anoncrypt with ${enc}, and we theirs`, async () => {
        const { value, meta } = await open(packFor(message, { to: bob.document, enc }))
        expect(value.body).to.deep.equal(message.body)
        expect(meta).to.include({ authenticated: false, anonymous_sender: true })
        const [theirs] = await theirMessage().pack_encrypted(
          bob.did,
          null,
          null,
          sender.resolver,
          sender.secrets,
          {
            forward: false,
            enc_alg_anon: THEIR_NAMES[enc]
          }
        )
        const read = await unpack(utf8(theirs), keysFor(bob))
        expect(read.meta).to.include({ authenticated: false, enc })
      })
    }

    it('they read our protected sender, and we theirs, signed as well', async () => {
      const ours = packFor(message, {
        to: bob.document,
        from: alice.document,
        secrets: alice.secrets,
        as: 'protect-sender'
      })
      expect((await open(ours)).meta).to.include({ authenticated: true, anonymous_sender: true })
      const [theirs] = await theirMessage().pack_encrypted(
        bob.did,
        alice.did,
        alice.did,
        sender.resolver,
        sender.secrets,
        {
          forward: false,
          protect_sender: true
        }
      )
      const read = await unpack(utf8(theirs), keysFor(bob, alice))
      expect(read.meta).to.include({
        layers: 3,
        senderHidden: true,
        nonRepudiable: true,
        from: alice.did
      })
    })

    it('they read our signature inside anoncrypt, and we theirs', async () => {
      const ours = packFor(message, {
        to: bob.document,
        from: alice.document,
        secrets: alice.secrets,
        as: 'sign'
      })
      expect((await open(ours)).meta).to.include({ non_repudiation: true, authenticated: true })
      const [theirs] = await theirMessage().pack_encrypted(
        bob.did,
        null,
        alice.did,
        sender.resolver,
        sender.secrets,
        { forward: false }
      )
      const read = await unpack(utf8(theirs), keysFor(bob, alice))
      expect(read.meta).to.include({ nonRepudiable: true, from: alice.did })
    })

    it('they believe our from_prior, and we theirs', async () => {
      const from_prior = packFromPrior(
        { iss: old.did, sub: alice.did, issuedAt: new Date() },
        old.secret('authentication')
      )
      const rotated = { ...message, from_prior }
      const ours = pack(rotated, { to: bob.agreement, from: alice.secret('keyAgreement') })
      expect((await open(ours)).meta.from_prior).to.include({ iss: old.did, sub: alice.did })
      const previous = theirView(old, alice, bob)
      const [jwt] = await new FromPrior({ iss: old.did, sub: alice.did }).pack(
        null,
        previous.resolver,
        previous.secrets
      )
      const theirs = pack(
        { ...message, from_prior: jwt },
        { to: bob.agreement, from: alice.secret('keyAgreement') }
      )
      const read = await unpack(theirs, keysFor(bob, alice, old))
      expect(read.meta.fromPrior).to.include({ iss: old.did, sub: alice.did })
    })

    it('they read our forward, and we theirs', async () => {
      const mediator = newParty([curve])
      const inner = packFor(message, {
        to: bob.document,
        from: alice.document,
        secrets: alice.secrets
      })
      const ours = wrapForward(inner, { id: 'f', next: bob.did, to: mediator.agreement })
      const view = theirView(mediator, bob)
      const [received] = await Message.unpack(
        Buffer.from(ours).toString(),
        view.resolver,
        view.secrets,
        {}
      )
      // Their try_parse_forward gives an object without the method its type has, so the message itself is read.
      const { type, body, attachments } = received.as_value()
      expect(type).to.equal(FORWARD_TYPE)
      expect(body).to.deep.equal({ next: bob.did })
      expect(attachments?.[0]?.data).to.have.nested.property('json.ciphertext')
      const theirs = await Message.wrap_in_forward(
        Buffer.from(inner).toString(),
        {},
        bob.did,
        [mediator.agreement[0]?.kid ?? ''],
        'A256cbcHs512EcdhEsA256kw',
        view.resolver
      )
      const { message: forward } = await unpack(utf8(theirs), keysFor(mediator))
      const { next, envelope } = readForward(forward)
      expect(next).to.equal(bob.did)
      expect((await unpack(envelope, keysFor(bob, alice))).meta.from).to.equal(alice.did)
    })
  })
}
