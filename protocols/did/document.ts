/**
 * DID documents: what of DID Core 1.0 eLocker reads, and the two questions asked of a document: which
 * keys for this purpose, and where is the party reached.
 *
 * A document comes from outside, so nothing is read from one that has not passed {@link parseDidDocument}.
 * Parts that eLocker does not use are dropped by the schema; a service that cannot be used is skipped,
 * not an error, because other software puts services of its own there.
 *
 * @module
 */
import { base58 } from '@scure/base'
import { z } from 'zod'
import { ProtocolError } from '../errors.ts'
import { decodeMultikey, keyFromJwk, publicJwk, type Curve, type PublicKeyJwk } from './multikey.ts'

/**
 * Longest DID accepted, in characters. A did:peer:4 long form with a libp2p service takes 1,238; base58
 * decoding is quadratic, so the bound is also what keeps resolution cheap.
 */
export const DID_CHARS_MAX = 4096

/** Longest fragment of a DID URL accepted, in characters; did:key repeats a whole key there. */
const FRAGMENT_CHARS_MAX = 256

/** Most verification methods and most services in a document. Institutions keep old keys listed; tens, not hundreds. */
const ENTRIES_MAX = 64

/** Most multiaddrs read from one libp2p endpoint; beyond that an address list is an attack on the dialler. */
const MULTIADDRS_MAX = 16

/** Longest multiaddr read, in characters; one with a certificate hash and a relay takes about 200. */
const MULTIADDR_CHARS_MAX = 512

/** Nearly all DIDs; a character class alone is several times faster than one with an alternative. */
const PLAIN_DID = /^did:[a-z0-9]{1,32}:[A-Za-z0-9._:-]*[A-Za-z0-9._-]$/
const DID =
  /^did:[a-z0-9]{1,32}:(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{2})*(?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2})$/
const FRAGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})+$/
const PEER_ID = /^[A-Za-z0-9]{32,128}$/
const LIBP2P_SCHEME = /^libp2p-peerid:/i

/** What a key may be used for, DID Core §5.3. */
export type Relationship =
  | 'authentication'
  | 'assertionMethod'
  | 'keyAgreement'
  | 'capabilityInvocation'
  | 'capabilityDelegation'

/** A public key under the absolute DID URL that names it on the wire (`kid`, `skid`). */
export interface KeyRef {
  readonly kid: string
  readonly jwk: PublicKeyJwk
}

/** Where a DID is reached; DIDComm v2.1 "Service Endpoint", and its libp2p transport extension. */
export type ServiceEndpoint =
  | {
      readonly kind: 'libp2p'
      /** Base58 or CID text form of the PeerId. */
      readonly peerId: string
      readonly multiaddrs: readonly string[]
      /** DIDs or key ids of the mediators on the way, the nearest to the recipient last; empty for none. */
      readonly routingKeys: readonly string[]
    }
  | { readonly kind: 'http'; readonly url: string; readonly routingKeys: readonly string[] }

/** A DID without path, query or fragment. */
export const did = z.string().refine((text) => isDid(text), 'not a DID')

const reference = z
  .string()
  .max(DID_CHARS_MAX + FRAGMENT_CHARS_MAX + 1)
  .refine((text) => isReference(text), 'not a DID URL')

const verificationMethod = z.object({
  id: reference,
  type: z.string().max(64),
  /** Absent in a did:peer:4 input document; the resolver fills it in. */
  controller: z.exactOptional(reference),
  publicKeyMultibase: z.exactOptional(z.string().max(256)),
  publicKeyBase58: z.exactOptional(z.string().max(256)),
  publicKeyJwk: z.exactOptional(z.record(z.string().max(32), z.unknown())),
  /** Controlled Identifiers 1.0 §2.2; what is no text is kept as none, so that it is not taken for absent. */
  expires: z.exactOptional(z.string().max(64).catch('')),
  revoked: z.exactOptional(z.string().max(64).catch(''))
})

const relationship = z.exactOptional(
  z.array(z.union([reference, verificationMethod])).max(ENTRIES_MAX)
)

const service = z.object({
  /** Any URI, DID Core §5.4; not used. */
  id: z.string().max(DID_CHARS_MAX + FRAGMENT_CHARS_MAX + 1),
  type: z.union([z.string().max(128), z.array(z.string().max(128)).max(8)]),
  serviceEndpoint: z.unknown()
})

/** Schema of a DID document as far as eLocker reads it; everything else in it is dropped. */
const didDocument = z.object({
  '@context': z.exactOptional(z.unknown()),
  id: did,
  alsoKnownAs: z.exactOptional(z.array(z.string().max(DID_CHARS_MAX)).max(16)),
  verificationMethod: z.exactOptional(z.array(verificationMethod).max(ENTRIES_MAX)),
  authentication: relationship,
  assertionMethod: relationship,
  keyAgreement: relationship,
  capabilityInvocation: relationship,
  capabilityDelegation: relationship,
  service: z.exactOptional(z.array(service).max(ENTRIES_MAX))
})

/** Never changed after it was read: {@link keysOf} remembers what it found in it. */
export type DidDocument = Readonly<z.infer<typeof didDocument>>
type VerificationMethod = z.infer<typeof verificationMethod>

/** Whether the text is a DID of at most {@link DID_CHARS_MAX} characters, without path, query or fragment. */
export function isDid(text: string): boolean {
  return text.length <= DID_CHARS_MAX && (PLAIN_DID.test(text) || DID.test(text))
}

/** Whether the text is an absolute key id: a DID, `#`, and a fragment. */
export function isKeyId(text: string): boolean {
  const hash = text.indexOf('#')
  return hash > 0 && isDid(text.slice(0, hash)) && isFragment(text.slice(hash + 1))
}

/** The DID of a DID URL: everything before the first `/`, `?` or `#`. Checks no syntax. */
export function didOf(didUrl: string): string {
  const end = didUrl.search(/[/?#]/)
  return end === -1 ? didUrl : didUrl.slice(0, end)
}

/**
 * Reads a document from outside, that was asked for as `expected`.
 *
 * @throws ProtocolError `did-malformed` when it breaks the schema or is the document of another DID.
 */
export function parseDidDocument(value: unknown, expected: string): DidDocument {
  const parsed = didDocument.safeParse(value)
  if (!parsed.success) {
    throw new ProtocolError('did-malformed', `the document of ${expected} breaks the schema`, {
      cause: parsed.error
    })
  }
  if (parsed.data.id !== expected) {
    throw new ProtocolError(
      'did-malformed',
      `the document found for ${expected} is of ${parsed.data.id}`
    )
  }
  return parsed.data
}

/**
 * The keys a document lists for a purpose, in its order, under absolute key ids. Keys in formats or on
 * curves that eLocker does not know are left out, and so are keys that belong to another DID.
 *
 * @param curves - Only keys on these; all known ones when undefined.
 */
export function keysOf(
  document: DidDocument,
  purpose: Relationship,
  curves?: readonly Curve[]
): readonly KeyRef[] {
  let byPurpose = readKeys.get(document)
  if (byPurpose === undefined) readKeys.set(document, (byPurpose = new Map()))
  let keys = byPurpose.get(purpose)
  if (keys === undefined) byPurpose.set(purpose, (keys = readKeysOf(document, purpose)))
  return curves === undefined ? keys : keys.filter(({ jwk }) => curves.includes(jwk.crv))
}

/** Keys read from a document, for as long as somebody holds it: expanding a point costs more than using it. */
const readKeys = new WeakMap<DidDocument, Map<Relationship, readonly KeyRef[]>>()

function readKeysOf(document: DidDocument, purpose: Relationship): readonly KeyRef[] {
  return (document[purpose] ?? []).flatMap((entry) => {
    const method = typeof entry === 'string' ? methodOf(document, entry) : entry
    return method === undefined ? [] : (keyRefOf(document.id, method) ?? [])
  })
}

/**
 * One key by its id, if the document allows it for the purpose: DIDComm v2.1 "Message Layer Addressing
 * Consistency" requires the key to stand in that relationship, not only somewhere in the document.
 *
 * @throws ProtocolError `did-not-found` when it does not.
 */
export function keyOf(document: DidDocument, kid: string, purpose: Relationship): PublicKeyJwk {
  const key = keysOf(document, purpose).find((candidate) => candidate.kid === kid)
  if (key === undefined) {
    throw new ProtocolError('did-not-found', `${kid} is not a usable ${purpose} key of its DID`)
  }
  return key.jwk
}

/** Until when a key was its controller's. As the document has it: a text that is no instant is for the reader to judge. */
export interface KeyTimes {
  /** From then on the key signs nothing new: rotated. What it signed before stays. */
  readonly expires?: string
  /** The key is known to others: nothing it signed counts, since whoever signs also writes the time. */
  readonly revoked?: string
}

/**
 * What a document says of the life of a key, wherever in it the key stands; Controlled Identifiers 1.0 §2.2.
 * Of two entries with one id the first time found counts.
 *
 * @param kid - Absolute DID URL.
 */
export function keyTimesOf(document: DidDocument, kid: string): KeyTimes {
  const embedded = RELATIONSHIPS.flatMap((purpose) => document[purpose] ?? []).filter(
    (entry) => typeof entry !== 'string'
  )
  const methods = [...(document.verificationMethod ?? []), ...embedded].filter(
    (method) => absolute(method.id, document.id) === kid
  )
  const expires = methods.find((method) => method.expires !== undefined)?.expires
  const revoked = methods.find((method) => method.revoked !== undefined)?.revoked
  return {
    ...(expires === undefined ? {} : { expires }),
    ...(revoked === undefined ? {} : { revoked })
  }
}

const RELATIONSHIPS: readonly Relationship[] = [
  'authentication',
  'assertionMethod',
  'keyAgreement',
  'capabilityInvocation',
  'capabilityDelegation'
]

/**
 * Where the party can be reached by DIDComm v2, in the document's order of preference. Endpoints of
 * other services, profiles and transports are left out.
 */
export function endpointsOf(document: DidDocument): readonly ServiceEndpoint[] {
  return (document.service ?? [])
    .filter((entry) => entry.type === 'DIDCommMessaging' || entry.type.includes('DIDCommMessaging'))
    .flatMap((entry) =>
      Array.isArray(entry.serviceEndpoint) ? entry.serviceEndpoint : [entry.serviceEndpoint]
    )
    .slice(0, ENTRIES_MAX)
    .flatMap((value: unknown) => endpointOf(value) ?? [])
}

/** What {@link serviceFor} needs of an endpoint: agent/components.ts `Endpoint` fits. */
export type ReachableAt =
  | { readonly kind: 'libp2p'; readonly peerId: string; readonly multiaddrs: readonly string[] }
  | { readonly kind: 'http'; readonly url: string }

/** The `DIDCommMessaging` service that announces an endpoint, without an id: did:peer numbers them. */
export function serviceFor(
  endpoint: ReachableAt,
  routingKeys: readonly string[] = []
): {
  readonly type: 'DIDCommMessaging'
  readonly serviceEndpoint: Readonly<Record<string, unknown>>
} {
  const routing = routingKeys.length > 0 ? { routingKeys: [...routingKeys] } : {}
  const serviceEndpoint =
    endpoint.kind === 'libp2p'
      ? {
          uri: `libp2p-peerId:${endpoint.peerId}`,
          multiAddrs: endpoint.multiaddrs.slice(0, MULTIADDRS_MAX),
          accept: ['didcomm/v2'],
          ...routing
        }
      : { uri: endpoint.url, accept: ['didcomm/v2'], ...routing }
  return { type: 'DIDCommMessaging', serviceEndpoint }
}

const endpointObject = z.object({
  uri: z.string().max(2048),
  accept: z.exactOptional(z.array(z.string().max(128)).max(16)),
  routingKeys: z.exactOptional(z.array(reference).max(8)),
  multiAddrs: z.exactOptional(z.array(z.string()))
})

/** One usable endpoint, or undefined. A bare string is its URI (DID Core §5.4). */
function endpointOf(value: unknown): ServiceEndpoint | undefined {
  const parsed = endpointObject.safeParse(typeof value === 'string' ? { uri: value } : value)
  if (!parsed.success) return undefined
  const { uri, accept, routingKeys = [], multiAddrs = [] } = parsed.data
  if (accept !== undefined && !accept.includes('didcomm/v2')) return undefined
  if (LIBP2P_SCHEME.test(uri)) {
    const peerId = uri.slice(uri.indexOf(':') + 1)
    if (!PEER_ID.test(peerId)) return undefined
    const multiaddrs = multiAddrs
      .filter((text) => text.startsWith('/') && text.length <= MULTIADDR_CHARS_MAX)
      .slice(0, MULTIADDRS_MAX)
    return { kind: 'libp2p', peerId, multiaddrs, routingKeys }
  }
  return isHttpUrl(uri) ? { kind: 'http', url: uri, routingKeys } : undefined
}

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.password === ''
  )
}

function isFragment(text: string): boolean {
  return text.length <= FRAGMENT_CHARS_MAX && FRAGMENT.test(text)
}

/** A relative (`#key-1`) or absolute DID URL, or a bare DID. */
function isReference(text: string): boolean {
  return text.startsWith('#') ? isFragment(text.slice(1)) : isDid(text) || isKeyId(text)
}

function absolute(id: string, documentDid: string): string {
  return id.startsWith('#') ? documentDid + id : id
}

function methodOf(document: DidDocument, id: string): VerificationMethod | undefined {
  const wanted = absolute(id, document.id)
  return document.verificationMethod?.find((method) => absolute(method.id, document.id) === wanted)
}

/**
 * The key of a verification method, if we know its format. A method whose id is under another DID is
 * refused: a document must not speak for keys of somebody else.
 */
function keyRefOf(documentDid: string, method: VerificationMethod): KeyRef | undefined {
  const kid = absolute(method.id, documentDid)
  if (!isKeyId(kid) || didOf(kid) !== documentDid) return undefined
  try {
    const jwk = keyMaterialOf(method)
    return jwk === undefined ? undefined : { kid, jwk }
  } catch (error) {
    // One key in an unknown format or off its curve must not take the others with it.
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

function keyMaterialOf(method: VerificationMethod): PublicKeyJwk | undefined {
  if (method.publicKeyJwk !== undefined) return keyFromJwk(method.publicKeyJwk)
  if (method.publicKeyMultibase !== undefined) return decodeMultikey(method.publicKeyMultibase)
  if (method.publicKeyBase58 === undefined) return undefined
  const curve = BASE58_TYPES.get(method.type)
  return curve === undefined ? undefined : publicJwk(curve, decodeBase58(method.publicKeyBase58))
}

/** The 2018/2019 verification method types that Veramo and older software still write. */
const BASE58_TYPES: ReadonlyMap<string, Curve> = new Map([
  ['Ed25519VerificationKey2018', 'Ed25519'],
  ['X25519KeyAgreementKey2019', 'X25519']
])

function decodeBase58(text: string): Uint8Array {
  try {
    return base58.decode(text)
  } catch (cause) {
    throw new ProtocolError('did-malformed', 'a key is not base58', { cause })
  }
}
