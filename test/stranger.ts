/**
 * A stranger: someone who speaks DIDComm without our agent. Tests let it send what our agent never would, and
 * read what it gets.
 *
 * @module
 */
import { generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto'
import { didOf, keyOf, serviceFor, type DidDocument } from '../protocols/did/document.ts'
import { resolveDidKey } from '../protocols/did/key.ts'
import { keyFromJwk, type PublicKeyJwk } from '../protocols/did/multikey.ts'
import { createDidPeer2, resolveDidPeer } from '../protocols/did/peer.ts'
import { packFromPrior } from '../protocols/envelope/from-prior.ts'
import { packFor } from '../protocols/envelope/pack.ts'
import { unpack } from '../protocols/envelope/unpack.ts'
import { messageOf, type MessageFields, type PlaintextMessage } from '../protocols/message.ts'
import { parseInvitationUrl } from '../protocols/out-of-band.ts'
import type { LocalNode } from './network.ts'
import type { Party, World } from './parties.ts'

interface Keys {
  readonly did: string
  readonly keys: ReadonlyMap<string, KeyObject>
}

/** A message as a test writes it; from, to, id and times are added where they are not given. */
export type Written = Partial<MessageFields> & { readonly type: string }

export class Stranger {
  readonly world: World
  readonly node: LocalNode
  readonly received: PlaintextMessage[] = []
  #present: Keys

  constructor(world: World, name: string) {
    this.world = world
    this.node = world.network.join(name)
    this.#present = makeKeys(this.node)
    const former: Keys[] = [this.#present]
    this.rotate = () => {
      const before = this.#present
      this.#present = makeKeys(this.node)
      former.push(this.#present)
      const kid = `${before.did}#key-1`
      const key = before.keys.get(kid)
      if (key === undefined) throw new Error('no key')
      const claims = { iss: before.did, sub: this.did, issuedAt: this.world.clock.now() }
      return packFromPrior(claims, { kid, key })
    }
    this.node.receiver = {
      receive: async (envelope) => {
        const { message } = await unpack(envelope, {
          secrets: (kid) => former.find(({ did }) => did === didOf(kid))?.keys.get(kid),
          resolveKey: async (kid, purpose) => keyOf(resolve(didOf(kid)), kid, purpose)
        })
        this.received.push(message)
      },
      authorisePull: async () => ({ ok: false, problem: 'e.p.pull.grant-unknown', comment: '' })
    }
  }

  /** Makes a new DID; returns the `from_prior` that says so. */
  readonly rotate: () => string

  get did(): string {
    return this.#present.did
  }

  /** Packs a message to a DID; times default to now and an hour from now. */
  pack(
    to: string,
    written: Written,
    as: 'authcrypt' | 'anoncrypt' | 'sign' = 'authcrypt'
  ): Uint8Array<ArrayBuffer> {
    const now = this.world.clock.now()
    const message = messageOf({
      id: randomUUID(),
      from: this.did,
      to: [to],
      createdAt: now,
      expiresAt: new Date(now.getTime() + 3_600_000),
      ...written
    })
    const from = resolve(this.did)
    return packFor(message, {
      to: resolve(to),
      ...(as === 'anoncrypt'
        ? {}
        : { from, secrets: (kid: string) => this.#present.keys.get(kid), as })
    })
  }

  /** Hands a packed envelope to the party's transport, as this node. */
  async deliver(party: Party, envelope: Uint8Array): Promise<void> {
    await party.agent.receive(envelope, { transport: 'libp2p', peer: this.node.peerId })
  }

  async send(
    party: Party,
    to: string,
    written: Written,
    as?: 'authcrypt' | 'anoncrypt' | 'sign'
  ): Promise<void> {
    await this.deliver(party, this.pack(to, written, as))
    await this.world.settle()
  }

  /** Answers an invitation of the party; returns the party's DID for this stranger. */
  async befriend(party: Party): Promise<string> {
    const { url } = await party.agent.contacts.invite()
    const invitation = parseInvitationUrl(url)
    await this.send(party, invitation.from, { ...PING, pthid: invitation.id })
    return invitation.from
  }

  /** Messages received with this last segment of their type. */
  got(name: string): readonly PlaintextMessage[] {
    return this.received.filter(({ type }) => type.endsWith(`/${name}`))
  }
}

export const PING: Written = {
  type: 'https://didcomm.org/trust-ping/2.0/ping',
  body: { response_requested: true }
}

/** Changes what others call the sender: a message whose effect can be seen, and counted in the activity. */
export function profileOf(displayName: string): Written {
  return {
    type: 'https://didcomm.org/user-profile/1.0/profile',
    body: { profile: { displayName } }
  }
}

function makeKeys(node: LocalNode): Keys {
  const signing = generateKeyPairSync('ed25519')
  const agreement = generateKeyPairSync('x25519')
  const did = createDidPeer2(
    [
      { purpose: 'authentication', jwk: jwkOf(signing.publicKey) },
      { purpose: 'keyAgreement', jwk: jwkOf(agreement.publicKey) }
    ],
    node.endpoints().map((endpoint) => serviceFor(endpoint))
  )
  return {
    did,
    keys: new Map([
      [`${did}#key-1`, signing.privateKey],
      [`${did}#key-2`, agreement.privateKey]
    ])
  }
}

function jwkOf(key: KeyObject): PublicKeyJwk {
  return keyFromJwk({ ...key.export({ format: 'jwk' }) })
}

function resolve(did: string): DidDocument {
  return did.startsWith('did:key:') ? resolveDidKey(did) : resolveDidPeer(did)
}
