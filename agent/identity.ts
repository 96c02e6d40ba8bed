/**
 * Identity: the holder's own DID, one pairwise DID per contact, their keys, and what follows from keys:
 * packing, unpacking, rotation.
 *
 * Sublevel `identity`, one record a pairwise DID under a random id: the DID and the two private keys. The
 * holder's did:key hangs from the root key and is not stored. A pairwise DID is a did:peer:2 with an Ed25519
 * key (`#key-1`, authentication), an X25519 key (`#key-2`, key agreement) and the services this agent was
 * reached by when it was made.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import type { Clock, Endpoint, Network, Random } from './components.ts'
import { LockerError } from './errors.ts'
import { deriveKey } from './keys.ts'
import { newRecordId } from './record-id.ts'
import type { Batch, Collection, Records } from './records.ts'
import type { ProofSigner } from '../protocols/credential/crypto.ts'
import { nativeSigner } from '../protocols/credential/native.ts'
import {
  DID_CHARS_MAX,
  didOf,
  endpointsOf,
  isDid,
  keyOf,
  keysOf,
  serviceFor,
  type DidDocument,
  type ServiceEndpoint
} from '../protocols/did/document.ts'
import { didKeyOf, resolveDidKey } from '../protocols/did/key.ts'
import { publicJwk, type PublicKeyJwk } from '../protocols/did/multikey.ts'
import { createDidPeer2, resolveDidPeer } from '../protocols/did/peer.ts'
import { packFromPrior } from '../protocols/envelope/from-prior.ts'
import { wrapForward } from '../protocols/envelope/forward.ts'
import { packFor } from '../protocols/envelope/pack.ts'
import { unpack, type Unpacked } from '../protocols/envelope/unpack.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { newMessageId, type PlaintextMessage } from '../protocols/message.ts'

/** Addresses put into a DID: an invitation with more does not fit a QR code that a phone reads. */
export const ADDRESSES_MAX = 6

/** How long a document fetched from elsewhere (did:web) is used again, milliseconds. */
export const DOCUMENT_CACHE_MS = 300_000

/** Fetched documents kept. */
const DOCUMENTS_CACHED_MAX = 1_000

/** Hops of a route through mediators: each adds a third to the envelope. */
const ROUTING_KEYS_MAX = 4

const KEY_1 = '#key-1'
const KEY_2 = '#key-2'

/** A packed envelope and where it goes. */
interface Packed {
  readonly endpoint: Endpoint
  readonly envelope: Uint8Array<ArrayBuffer>
}

export interface Identity {
  /** did:key of the holder, the same for as long as the root key lives. */
  readonly holderDid: string
  /** Signs as the holder, by the only key of {@link holderDid}. Throws `vault-sealed` once closed. */
  holderSigner(): ProofSigner
  /** Makes a pairwise DID with the endpoints in force now; it can be used once the batch is durable. */
  pairwise(batch: Batch): string
  /** Forgets a pairwise DID and its keys: messages to it are not for us any more. */
  forget(batch: Batch, did: string): void
  /** Whether the keys of this DID are here. */
  owns(did: string): boolean
  /**
   * Whether this pairwise DID names the PeerId and the public URL this agent has now. Addresses may differ:
   * they are looked up by PeerId; and so may a URL it has no longer, which may come back.
   */
  current(did: string): boolean
  /** Throws `did-unresolvable`. */
  resolve(did: string): Promise<DidDocument>
  /** Where a DID is reached, libp2p first. Throws `did-unresolvable`. */
  endpoints(did: string): Promise<readonly Endpoint[]>
  /**
   * Packs by authcrypt from `message.from` to `message.to`'s only DID, once for each endpoint of it, libp2p
   * first. Throws `did-unresolvable`, ProtocolError.
   */
  pack(message: PlaintextMessage): Promise<readonly Packed[]>
  /** Opens an envelope; see protocols/envelope/unpack.ts for what is guaranteed. Throws ProtocolError, `did-unresolvable`. */
  unpack(envelope: Uint8Array): Promise<Unpacked>
  /** `from_prior` of our rotation from one pairwise DID to another. */
  fromPrior(from: string, to: string): string
  /** Drops every private key from memory. */
  close(): void
}

export interface IdentityComponents {
  readonly records: Records
  /** Used while opening only; the caller zeroes it. */
  readonly rootKey: Uint8Array
  readonly network: Pick<Network, 'endpoints'>
  /** For methods other than key and peer; guarded by the caller (DESIGN §6). */
  readonly resolve: (did: string) => Promise<DidDocument>
  readonly clock: Clock
  readonly random: Random
}

const seed = z.string().regex(/^[A-Za-z0-9_-]{43}$/)

const pairwiseRecord = z.strictObject({
  did: z.string().max(DID_CHARS_MAX).refine(isDid),
  ed25519: seed,
  x25519: seed,
  createdAt: z.iso.datetime()
})

type PairwiseRecord = z.infer<typeof pairwiseRecord>

/** Reads the pairwise DIDs and derives the holder's. */
export async function openIdentity(components: IdentityComponents): Promise<Identity> {
  const pairs = await components.records.collection('identity', pairwiseRecord)
  const holderSeed = deriveKey(components.rootKey, 'holder-key')
  try {
    return new SealedIdentity(components, pairs, privateKeyOf('Ed25519', holderSeed))
  } finally {
    holderSeed.fill(0)
  }
}

class SealedIdentity implements Identity {
  readonly holderDid: string
  #holderKey: KeyObject | undefined
  readonly #components: Omit<IdentityComponents, 'rootKey'>
  readonly #pairs: Collection<PairwiseRecord>
  /** DID → record id. */
  readonly #ids = new Map<string, string>()
  /** Imported keys by key id: importing costs more than the Diffie-Hellman it is for. */
  readonly #keys = new Map<string, KeyObject>()
  readonly #documents = new Map<
    string,
    { readonly document: DidDocument; readonly untilMs: number }
  >()

  constructor(
    components: IdentityComponents,
    pairs: Collection<PairwiseRecord>,
    holderKey: KeyObject
  ) {
    const { rootKey: _rootKey, ...rest } = components
    this.#components = rest
    this.#pairs = pairs
    this.#holderKey = holderKey
    this.holderDid = didKeyOf(publicHalf('Ed25519', holderKey))
    for (const [id, { did }] of pairs.entries()) this.#ids.set(did, id)
  }

  holderSigner(): ProofSigner {
    if (this.#holderKey === undefined)
      throw new LockerError('vault-sealed', 'the holder key is not in memory')
    // A did:key names its one key by the multikey it consists of.
    const method = `${this.holderDid}#${this.holderDid.slice('did:key:'.length)}`
    return nativeSigner(this.#holderKey, method)
  }

  pairwise(batch: Batch): string {
    const { random, clock, network } = this.#components
    const signing = random(32)
    const agreement = random(32)
    const services = network.endpoints().map((endpoint) => serviceFor(short(endpoint)))
    const did = createDidPeer2(
      [
        { purpose: 'authentication', jwk: publicKeyOf('Ed25519', signing) },
        { purpose: 'keyAgreement', jwk: publicKeyOf('X25519', agreement) }
      ],
      services
    )
    const id = newRecordId(random)
    this.#pairs.put(batch, id, {
      did,
      ed25519: base64urlnopad.encode(signing),
      x25519: base64urlnopad.encode(agreement),
      createdAt: clock.now().toISOString()
    })
    signing.fill(0)
    agreement.fill(0)
    batch.afterwards(() => this.#ids.set(did, id))
    return did
  }

  forget(batch: Batch, did: string): void {
    const id = this.#ids.get(did)
    if (id === undefined) return
    this.#pairs.delete(batch, id)
    batch.afterwards(() => {
      this.#ids.delete(did)
      this.#keys.delete(did + KEY_1)
      this.#keys.delete(did + KEY_2)
    })
  }

  owns(did: string): boolean {
    return this.#ids.has(did)
  }

  current(did: string): boolean {
    const named = endpointsOf(resolveDidPeer(did)).map(place)
    const now = this.#components.network.endpoints().map(place)
    return now.every((each) => named.includes(each))
  }

  async resolve(did: string): Promise<DidDocument> {
    try {
      if (did.startsWith('did:peer:')) return resolveDidPeer(did)
      if (did.startsWith('did:key:')) return resolveDidKey(did)
      return await this.#fetched(did)
    } catch (cause) {
      if (cause instanceof LockerError && cause.code === 'did-unresolvable') throw cause
      throw new LockerError('did-unresolvable', `cannot resolve ${did.slice(0, 200)}`, { cause })
    }
  }

  async endpoints(did: string): Promise<readonly Endpoint[]> {
    const document = await this.resolve(did)
    return preferred(document).map(({ routingKeys: _routing, ...endpoint }) => endpoint)
  }

  async pack(message: PlaintextMessage): Promise<readonly Packed[]> {
    const [recipient] = message.to ?? []
    if (message.from === undefined || recipient === undefined)
      throw new LockerError('message-invalid', 'a message without from or to')
    const to = await this.resolve(recipient)
    const from = resolveDidPeer(message.from)
    const secrets = (kid: string): KeyObject | undefined => this.#secret(kid)
    const envelope = packFor(message, { to, from, secrets })
    const packed: Packed[] = []
    for (const { routingKeys, ...endpoint } of preferred(to)) {
      const routed = await this.#routed(envelope, recipient, routingKeys)
      if (routed !== undefined) packed.push({ endpoint, envelope: routed })
    }
    return packed
  }

  async unpack(envelope: Uint8Array): Promise<Unpacked> {
    return unpack(envelope, {
      secrets: (kid) => this.#secret(kid),
      resolveKey: async (kid, purpose): Promise<PublicKeyJwk> =>
        keyOf(await this.resolve(didOf(kid)), kid, purpose)
    })
  }

  fromPrior(from: string, to: string): string {
    const key = this.#secret(from + KEY_1)
    if (key === undefined) throw new LockerError('not-found', `the keys of ${from} are not here`)
    const issuedAt = this.#components.clock.now()
    return packFromPrior({ iss: from, sub: to, issuedAt }, { kid: from + KEY_1, key })
  }

  close(): void {
    this.#holderKey = undefined
    this.#ids.clear()
    this.#keys.clear()
    this.#documents.clear()
  }

  #secret(kid: string): KeyObject | undefined {
    const cached = this.#keys.get(kid)
    if (cached !== undefined) return cached
    const id = this.#ids.get(didOf(kid))
    const record = id === undefined ? undefined : this.#pairs.get(id)
    if (record === undefined) return undefined
    const key =
      kid === record.did + KEY_1
        ? privateKeyOf('Ed25519', base64urlnopad.decode(record.ed25519))
        : kid === record.did + KEY_2
          ? privateKeyOf('X25519', base64urlnopad.decode(record.x25519))
          : undefined
    if (key !== undefined) this.#keys.set(kid, key)
    return key
  }

  async #fetched(did: string): Promise<DidDocument> {
    const nowMs = this.#components.clock.now().getTime()
    const cached = this.#documents.get(did)
    if (cached !== undefined && cached.untilMs > nowMs) return cached.document
    const document = await this.#components.resolve(did)
    this.#documents.delete(did)
    this.#documents.set(did, { document, untilMs: nowMs + DOCUMENT_CACHE_MS })
    const [oldest] = this.#documents.keys()
    if (this.#documents.size > DOCUMENTS_CACHED_MAX && oldest !== undefined)
      this.#documents.delete(oldest)
    return document
  }

  /** Wraps for the mediators on the way, the last one first; `undefined` when there are too many. */
  async #routed(
    envelope: Uint8Array<ArrayBuffer>,
    recipient: string,
    routingKeys: readonly string[]
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (routingKeys.length > ROUTING_KEYS_MAX) return undefined
    let next = recipient
    let wrapped = envelope
    for (const routingKey of routingKeys.toReversed()) {
      const document = await this.resolve(didOf(routingKey))
      const keys = keysOf(document, 'keyAgreement', ['X25519', 'P-256', 'P-384', 'P-521'])
      const curve = (keys.find(({ kid }) => kid === routingKey) ?? keys[0])?.jwk.crv
      const to = keys.filter(({ jwk }) => jwk.crv === curve)
      if (to.length === 0)
        throw new ProtocolError('envelope-unsupported', `no key of the mediator ${document.id}`)
      wrapped = wrapForward(wrapped, { id: newMessageId(this.#components.random), next, to })
      next = routingKey
    }
    return wrapped
  }
}

function preferred(document: DidDocument): readonly ServiceEndpoint[] {
  const all = endpointsOf(document)
  return [
    ...all.filter(({ kind }) => kind === 'libp2p'),
    ...all.filter(({ kind }) => kind === 'http')
  ]
}

/** The endpoint in few characters: the PeerId stands in the URI already, and need not end each address too. */
function short(endpoint: Endpoint): Endpoint {
  if (endpoint.kind === 'http') return endpoint
  const suffix = `/p2p/${endpoint.peerId}`
  const multiaddrs = endpoint.multiaddrs
    .slice(0, ADDRESSES_MAX)
    .map((address) => (address.endsWith(suffix) ? address.slice(0, -suffix.length) : address))
  return { ...endpoint, multiaddrs }
}

function place(endpoint: ServiceEndpoint | Endpoint): string {
  return endpoint.kind === 'libp2p' ? endpoint.peerId : endpoint.url
}

/** PKCS #8 of a 32-byte private key, RFC 8410 §7, up to the key. */
const PKCS8 = {
  Ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  X25519: Buffer.from('302e020100300506032b656e04220420', 'hex')
}

function privateKeyOf(curve: 'Ed25519' | 'X25519', bytes: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8[curve], bytes])
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}

function publicKeyOf(curve: 'Ed25519' | 'X25519', bytes: Uint8Array): PublicKeyJwk {
  return publicHalf(curve, privateKeyOf(curve, bytes))
}

function publicHalf(curve: 'Ed25519' | 'X25519', key: KeyObject): PublicKeyJwk {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return publicJwk(curve, spki.subarray(-32))
}
