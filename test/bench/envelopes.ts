/** DIDComm envelopes: pack and unpack of 1 KiB, authcrypt on X25519, beside didcomm-node. */
import {
  createCipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  randomBytes
} from 'node:crypto'
import { createRequire } from 'node:module'
import type { DidDocument } from '../../protocols/did/document.ts'
import { keyOf, keysOf } from '../../protocols/did/document.ts'
import { keyFromJwk, type PublicKeyJwk } from '../../protocols/did/multikey.ts'
import { createDidPeer2, resolveDidPeer } from '../../protocols/did/peer.ts'
import { packFor } from '../../protocols/envelope/pack.ts'
import { unpack } from '../../protocols/envelope/unpack.ts'
import { messageOf } from '../../protocols/message.ts'
import { perSecond, type Row } from './row.ts'

interface DidcommNode {
  readonly Message: new (value: unknown) => {
    pack_encrypted(...args: readonly unknown[]): Promise<readonly [string, unknown]>
  } & object
}

interface Agent {
  readonly document: DidDocument
  readonly secrets: ReadonlyMap<string, Readonly<Record<string, string>>>
}

function newAgent(): Agent {
  const pairs = (['ed25519', 'x25519'] as const).map((kind) => {
    const { privateKey } =
      kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519')
    return privateKey.export({ format: 'jwk' }) as Record<string, string>
  })
  const [signing = {}, agreement = {}] = pairs
  const did = createDidPeer2(
    [
      { purpose: 'authentication', jwk: publicPart(signing) },
      { purpose: 'keyAgreement', jwk: publicPart(agreement) }
    ],
    []
  )
  const document = resolveDidPeer(did)
  const secrets = new Map<string, Record<string, string>>()
  for (const { kid } of keysOf(document, 'authentication')) secrets.set(kid, signing)
  for (const { kid } of keysOf(document, 'keyAgreement')) secrets.set(kid, agreement)
  return { document, secrets }
}

function publicPart({ d: _d, ...jwk }: Readonly<Record<string, string>>): PublicKeyJwk {
  return keyFromJwk(jwk)
}

const kib = (from: string, to: string) =>
  messageOf({
    id: 'c2b0e4b8-5a40-4b0e-9b0a-0d7b6a3f8f11',
    type: 'https://didcomm.org/basicmessage/2.0/message',
    from,
    to: [to],
    body: { content: 'x'.repeat(1024) }
  })

const secretOf = (agent: Agent) => (kid: string) => agent.secrets.get(kid) as never

/** Packs and unpacks one message over and over, keys already known, as didcomm-node does beside it. */
export async function envelopeRows(): Promise<Row[]> {
  const [alice, bob] = [newAgent(), newAgent()]
  const documents = new Map([alice, bob].map(({ document }) => [document.id, document]))
  const message = kib(alice.document.id, bob.document.id)
  const options = { to: bob.document, from: alice.document, secrets: secretOf(alice) }
  const packed = packFor(message, options)
  const open = () =>
    unpack(packed, {
      secrets: secretOf(bob),
      resolveKey: async (kid, purpose) => {
        const document = documents.get(kid.split('#')[0] ?? '')
        if (document === undefined) throw new Error(kid)
        return keyOf(document, kid, purpose)
      }
    })
  const ours = {
    pack: await perSecond(() => packFor(message, options)),
    unpack: await perSecond(open)
  }
  const theirs = await didcommNode(alice, bob)
  const limit = { what: '2 DH, key pair, CBC, HMAC', value: await perSecond(primitives) }
  return [
    {
      what: 'DIDComm pack, 1 KiB authcrypt',
      unit: '/s',
      ours: ours.pack,
      asked: { value: 4000, bound: 'at least' },
      limit,
      peer: { what: 'didcomm-node', value: theirs.pack, asked: 3 }
    },
    {
      what: 'DIDComm unpack, 1 KiB authcrypt',
      unit: '/s',
      ours: ours.unpack,
      asked: { value: 4500, bound: 'at least' },
      peer: { what: 'didcomm-node', value: theirs.unpack, asked: 3 }
    }
  ]
}

/** The same job in didcomm-node, an independent implementation (Rust in WASM). */
async function didcommNode(alice: Agent, bob: Agent): Promise<{ pack: number; unpack: number }> {
  const library = createRequire(import.meta.url)('didcomm-node') as DidcommNode & {
    readonly Message: { unpack(...args: readonly unknown[]): Promise<unknown> }
  }
  const described = new Map([alice, bob].map((agent) => [agent.document.id, plainDocument(agent)]))
  const resolver = { resolve: async (did: string) => described.get(did) ?? null }
  const secretsOf = (agent: Agent) => {
    const all = new Map(
      [...agent.secrets].map(([id, privateKeyJwk]) => [
        id,
        { id, type: 'JsonWebKey2020', privateKeyJwk }
      ])
    )
    return {
      get_secret: async (id: string) => all.get(id) ?? null,
      find_secrets: async (ids: readonly string[]) => ids.filter((id) => all.has(id))
    }
  }
  const from = alice.document.id
  const to = bob.document.id
  const message = new library.Message(kib(from, to))
  const secrets = { alice: secretsOf(alice), bob: secretsOf(bob) }
  const seal = () =>
    message.pack_encrypted(to, from, null, resolver, secrets.alice, { forward: false })
  const [packed] = await seal()
  return {
    pack: await perSecond(seal),
    unpack: await perSecond(() => library.Message.unpack(packed, resolver, secrets.bob, {}))
  }
}

function plainDocument({ document, secrets }: Agent): unknown {
  const methods = [...secrets].map(([id, { d: _d, ...publicKeyJwk }]) => ({
    id,
    type: 'JsonWebKey2020',
    controller: document.id,
    publicKeyJwk
  }))
  const kidsOf = (purpose: 'keyAgreement' | 'authentication') =>
    keysOf(document, purpose).map(({ kid }) => kid)
  return {
    id: document.id,
    keyAgreement: kidsOf('keyAgreement'),
    authentication: kidsOf('authentication'),
    verificationMethod: methods,
    service: []
  }
}

const fixed = generateKeyPairSync('x25519')

/** What one authcrypt pack cannot do without. */
function primitives(): void {
  const ephemeral = generateKeyPairSync('x25519')
  diffieHellman({ privateKey: ephemeral.privateKey, publicKey: fixed.publicKey })
  diffieHellman({ privateKey: fixed.privateKey, publicKey: fixed.publicKey })
  const cipher = createCipheriv('aes-256-cbc', randomBytes(32), randomBytes(16))
  const sealed = cipher.update(randomBytes(1300))
  cipher.final()
  createHmac('sha512', randomBytes(32)).update(sealed).digest()
}
