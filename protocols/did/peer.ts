/**
 * did:peer, methods 2 and 4 (and the id of method 3): DIDs for one relationship, resolved from the DID
 * itself (DIF peer DID method specification 1.0).
 *
 * | method | holds                                                | used for                                 |
 * |--------|------------------------------------------------------|------------------------------------------|
 * | 2      | keys and abbreviated services, element by element    | invitations, pairwise DIDs               |
 * | 3      | SHA-256 of a method 2 DID                            | recognised only: `alsoKnownAs`           |
 * | 4 long | hash and whole document                              | first contact                            |
 * | 4 short| the hash                                             | after it; the reader must know the long  |
 *
 * Method 2 form: `did:peer:2` then for each element `.` purpose value; purpose `A` assertionMethod, `E`
 * keyAgreement, `V` authentication, `I` capabilityInvocation, `D` capabilityDelegation with a Multikey, or
 * `S` with a base64url service. Keys are `#key-1`, `#key-2` in order of appearance; services `#service`,
 * `#service-1`.
 *
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { ProtocolError } from '../errors.ts'
import { parseJsonBounded } from '../message.ts'
import { DID_CHARS_MAX, parseDidDocument, type DidDocument, type Relationship } from './document.ts'
import {
  concat,
  decodeMultibase58,
  decodeMultikey,
  encodeMultibase58,
  encodeMultikey,
  readVarint,
  varint,
  type PublicKeyJwk
} from './multikey.ts'

const CONTEXTS = ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1']

/** Most elements of a method 2 DID; eLocker writes four. */
const ELEMENTS_MAX = 32

/** Nesting of a service or an input document; endpoints with lists need 5. */
const DEPTH_MAX = 12

/** Largest input document of a did:peer:4, bytes: with its codec what @scure/base encodes at once. eLocker's take 900. */
const INPUT_BYTES_MAX = 2046

/**
 * Documents remembered: resolving is pure, takes 45 to 160 µs, and every message names the same few DIDs. A few KiB
 * each; frozen, because they are shared.
 */
const REMEMBERED_MAX = 512

/** Multicodec `json`. */
const JSON_CODEC = 0x0200

/** Multihash prefix of SHA-256, 32 bytes. */
const SHA2_256 = Uint8Array.of(0x12, 0x20)

// oxfmt-ignore
const PURPOSES: ReadonlyMap<string, Relationship> = new Map([
  ['A', 'assertionMethod'],
  ['E', 'keyAgreement'],
  ['V', 'authentication'],
  ['I', 'capabilityInvocation'],
  ['D', 'capabilityDelegation']
])
const PURPOSE_CODES: ReadonlyMap<Relationship, string> = new Map(
  [...PURPOSES].map(([code, purpose]) => [purpose, code])
)
const LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ['t', 'type'],
  ['s', 'serviceEndpoint'],
  ['r', 'routingKeys'],
  ['a', 'accept']
])
const SHORT_NAMES: ReadonlyMap<string, string> = new Map(
  [...LONG_NAMES].map(([short, long]) => [long, short])
)

/** A key of a new did:peer and what it is for. */
export interface PeerKey {
  readonly purpose: Relationship
  readonly jwk: PublicKeyJwk
}

/** A service of a new did:peer: `serviceFor` of ./document.ts makes one. */
export type PeerService = Readonly<Record<string, unknown>>

/**
 * Makes a did:peer:2. The keys get the ids `#key-1`, `#key-2` in the order given.
 *
 * @throws ProtocolError `limit-exceeded` when the DID would be longer than {@link DID_CHARS_MAX}.
 */
export function createDidPeer2(
  keys: readonly PeerKey[],
  services: readonly PeerService[] = []
): string {
  const elements = [
    ...keys.map(({ purpose, jwk }) => `.${PURPOSE_CODES.get(purpose)}${encodeMultikey(jwk)}`),
    ...services.map((service) => `.S${encodeService(service)}`)
  ]
  const did = `did:peer:2${elements.join('')}`
  if (did.length > DID_CHARS_MAX) {
    throw new ProtocolError(
      'limit-exceeded',
      `a DID of ${did.length} characters, at most ${DID_CHARS_MAX}`
    )
  }
  return did
}

/** Makes a did:peer:4 with the same key and service ids as {@link createDidPeer2} gives. */
export function createDidPeer4(
  keys: readonly PeerKey[],
  services: readonly PeerService[] = []
): { readonly short: string; readonly long: string } {
  const relationships = Map.groupBy(
    keys.map(({ purpose }, position) => ({ purpose, id: `#key-${position + 1}` })),
    ({ purpose }) => purpose
  )
  return encodeDidPeer4({
    '@context': CONTEXTS,
    verificationMethod: keys.map(({ jwk }, position) => ({
      id: `#key-${position + 1}`,
      type: 'Multikey',
      publicKeyMultibase: encodeMultikey(jwk)
    })),
    ...Object.fromEntries(
      [...relationships].map(([purpose, entries]) => [purpose, entries.map(({ id }) => id)])
    ),
    ...(services.length === 0
      ? {}
      : { service: services.map((service, position) => ({ id: serviceId(position), ...service })) })
  })
}

/**
 * Makes a did:peer:4 of an input document: a DID document without `id`, all references relative.
 *
 * @throws ProtocolError `limit-exceeded` when the document is larger than 2,046 bytes.
 */
export function encodeDidPeer4(input: Readonly<Record<string, unknown>>): {
  readonly short: string
  readonly long: string
} {
  const json = new TextEncoder().encode(JSON.stringify(input))
  if (json.length > INPUT_BYTES_MAX) {
    throw new ProtocolError('limit-exceeded', `a did:peer:4 document of ${json.length} bytes`)
  }
  const encoded = encodeMultibase58(concat([varint(JSON_CODEC), json]))
  const short = `did:peer:4${hashOf(encoded)}`
  return { short, long: `${short}:${encoded}` }
}

/**
 * The document of a did:peer:2 or a long did:peer:4.
 *
 * @throws ProtocolError `did-malformed`; `did-not-found` for short forms (did:peer:3 and the short
 * did:peer:4), which only those who kept the long form can resolve; `did-unsupported` otherwise.
 */
export function resolveDidPeer(did: string): DidDocument {
  if (did.length > DID_CHARS_MAX) {
    throw new ProtocolError('limit-exceeded', `a DID of ${did.length} characters`)
  }
  let document = remembered.get(did)
  // To the end of the order: the first in the map is the one unused for longest.
  if (document !== undefined) remembered.delete(did)
  else document = freeze(resolve(did))
  remembered.set(did, document)
  if (remembered.size > REMEMBERED_MAX) {
    const [oldest] = remembered.keys()
    if (oldest !== undefined) remembered.delete(oldest)
  }
  return document
}

const remembered = new Map<string, DidDocument>()

function resolve(did: string): DidDocument {
  if (did.startsWith('did:peer:2.')) return resolveMethod2(did)
  if (/^did:peer:4z[1-9A-HJ-NP-Za-km-z]+:/.test(did)) return resolveMethod4(did)
  if (/^did:peer:[34]z[1-9A-HJ-NP-Za-km-z]+$/.test(did)) {
    throw new ProtocolError(
      'did-not-found',
      `${did} is a short form, and its long form is not known`
    )
  }
  throw new ProtocolError('did-unsupported', 'not a did:peer of method 2 or 4')
}

/**
 * The document of a long did:peer:4 under its short form: what stands for the party after the first
 * message.
 *
 * @throws ProtocolError as {@link resolveDidPeer}.
 */
export function resolveShortDidPeer4(long: string): DidDocument {
  return resolveMethod4(long, didPeer4Short(long))
}

/** The short form of a long did:peer:4. Checks that the hash in it is the document's. */
export function didPeer4Short(long: string): string {
  const [, , , encoded] = long.split(':')
  const short = long.slice(0, long.lastIndexOf(':'))
  if (encoded === undefined || short !== `did:peer:4${hashOf(encoded)}`) {
    throw new ProtocolError('did-malformed', 'a did:peer:4 whose hash is not that of its document')
  }
  return short
}

/** The did:peer:3 that stands for a did:peer:2. */
export function didPeer3Of(did: string): string {
  return `did:peer:3${hashOf(did.slice('did:peer:2'.length))}`
}

function resolveMethod2(did: string): DidDocument {
  const elements = did.slice('did:peer:2.'.length).split('.')
  if (elements.length > ELEMENTS_MAX) {
    throw new ProtocolError('limit-exceeded', `a did:peer:2 of ${elements.length} elements`)
  }
  const methods: Record<string, string>[] = []
  const purposes = new Map<Relationship, string[]>()
  const services: Record<string, unknown>[] = []
  for (const element of elements) {
    const code = element.slice(0, 1)
    const value = element.slice(1)
    if (code === 'S') {
      services.push(...decodeServices(value))
      continue
    }
    const purpose = PURPOSES.get(code)
    if (purpose === undefined) {
      throw new ProtocolError('did-malformed', 'a did:peer:2 element with an unknown purpose')
    }
    decodeMultikey(value)
    const id = `#key-${methods.length + 1}`
    methods.push({ id, type: 'Multikey', controller: did, publicKeyMultibase: value })
    purposes.set(purpose, [...(purposes.get(purpose) ?? []), id])
  }
  return parseDidDocument(
    {
      '@context': CONTEXTS,
      id: did,
      alsoKnownAs: [didPeer3Of(did)],
      verificationMethod: methods,
      ...Object.fromEntries(purposes),
      ...(services.length === 0 ? {} : { service: withIds(services) })
    },
    did
  )
}

const inputDocument = z.looseObject({
  alsoKnownAs: z.exactOptional(z.array(z.string()).max(16)),
  verificationMethod: z.exactOptional(z.array(z.looseObject({})).max(64))
})

function resolveMethod4(long: string, id = long): DidDocument {
  const short = didPeer4Short(long)
  const bytes = decodeMultibase58(long.slice(short.length + 1), DID_CHARS_MAX)
  const [codec, start] = readVarint(bytes)
  if (codec !== JSON_CODEC)
    throw new ProtocolError('did-malformed', 'a did:peer:4 that is not JSON')
  const input = inputDocument.safeParse(parseInner(bytes.subarray(start)))
  if (!input.success || 'id' in input.data) {
    throw new ProtocolError(
      'did-malformed',
      'a did:peer:4 whose input is not a document without id'
    )
  }
  const { alsoKnownAs = [], verificationMethod: methods } = input.data
  return parseDidDocument(
    {
      ...input.data,
      id,
      alsoKnownAs: [...alsoKnownAs, id === long ? short : long],
      ...(methods === undefined
        ? {}
        : { verificationMethod: methods.map((method) => ({ controller: id, ...method })) })
    },
    id
  )
}

/** Freezes all of it. Depth is bounded by the parser that made the value. */
function freeze<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) freeze(member)
  return Object.freeze(value)
}

/** JSON inside a DID: a fault in it is a fault of the DID. */
function parseInner(bytes: Uint8Array): unknown {
  try {
    return parseJsonBounded(bytes, { bytesMax: DID_CHARS_MAX, depthMax: DEPTH_MAX })
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'a did:peer with malformed JSON inside', { cause })
  }
}

function encodeService(service: PeerService): string {
  const short = rename(service, SHORT_NAMES)
  const abbreviated =
    isObject(short) && short['t'] === 'DIDCommMessaging' ? { ...short, t: 'dm' } : short
  return base64urlnopad.encode(new TextEncoder().encode(JSON.stringify(abbreviated)))
}

/** One service, or a list of them (written by older software), with its names unabbreviated. */
function decodeServices(value: string): Record<string, unknown>[] {
  let bytes: Uint8Array
  try {
    bytes = base64urlnopad.decode(value)
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'a did:peer:2 service that is not base64url', {
      cause
    })
  }
  const parsed = parseInner(bytes)
  return (Array.isArray(parsed) ? parsed : [parsed]).map((entry: unknown) => {
    const service = rename(entry, LONG_NAMES)
    if (!isObject(service)) throw new ProtocolError('did-malformed', 'a service that is no object')
    return service['type'] === 'dm' ? { ...service, type: 'DIDCommMessaging' } : service
  })
}

function withIds(services: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  let unnamed = 0
  return services.map((service) => ({ ...service, id: service['id'] ?? serviceId(unnamed++) }))
}

function serviceId(position: number): string {
  return position === 0 ? '#service' : `#service-${position}`
}

/** Renames keys throughout. Depth is bounded by the parser that made the value. */
function rename(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((entry: unknown) => rename(entry, names))
  if (!isObject(value)) return value
  // Object.fromEntries defines own properties, so a key `__proto__` is only a strange name.
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [names.get(key) ?? key, rename(entry, names)])
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hashOf(text: string): string {
  return encodeMultibase58(concat([SHA2_256, sha256(new TextEncoder().encode(text))]))
}
