/**
 * From a DID to its document: did:key and did:peer by computation, did:web over the guarded fetch. did-resolver
 * is the registry of methods.
 *
 * Results are kept in bounded caches. One fetch serves all who ask meanwhile, and a failure is remembered for a
 * while: otherwise strangers' envelopes, each naming a did:web sender, would make this process hammer that host.
 *
 * @module
 */
import { Resolver, type DIDDocument, type DIDResolutionResult } from 'did-resolver'
import type { Clock } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import { isDid, parseDidDocument, type DidDocument } from '../protocols/did/document.ts'
import { resolveDidKey } from '../protocols/did/key.ts'
import { resolveDidPeer } from '../protocols/did/peer.ts'
import { didWebUrl } from '../protocols/did/web.ts'
import { parseJsonBounded } from '../protocols/message.ts'
import { ANSWER_BYTES_MAX, type GuardedFetch } from './guarded-fetch.ts'

/** Documents kept of methods that need no fetch; a few KiB each. */
export const COMPUTED_MAX = 1024

/** Documents kept of did:web; at most 512 KiB each. */
export const FETCHED_MAX = 64

/**
 * How long a did:web document is handed out again, milliseconds. The agent keeps what it got for five minutes
 * more (agent/identity.ts), so a key removed from a document lives on for six at most.
 */
export const FETCHED_MS = 60_000

/** How long a did:web that could not be fetched is not asked again, milliseconds. */
export const FAILED_MS = 60_000

export interface ResolverComponents {
  readonly fetch: Pick<GuardedFetch, 'getJson'>
  readonly clock: Clock
  /** did:web hosts (`name`, `name:port`) outside the public rules; the fetch must allow them too. Default none. */
  readonly allow?: readonly string[]
}

interface Entry {
  readonly document: Promise<DidDocument>
  readonly until: number
}

/**
 * Makes `resolve(did)`.
 *
 * It throws LockerError `did-unresolvable`, with what failed as its cause.
 */
export function createResolver(
  components: ResolverComponents
): (did: string) => Promise<DidDocument> {
  const { clock, fetch, allow = [] } = components
  const web = new Map<string, Entry>()
  const computed = new Map<string, Entry>()

  const fetchWeb = async (did: string): Promise<DidDocument> => {
    const url = didWebUrl(did, { allow: (host) => allow.includes(host) })
    const bytes = await fetch.getJson(isOwnMachine(url) ? url.replace(/^https/, 'http') : url)
    return parseDidDocument(parseJsonBounded(bytes, { bytesMax: ANSWER_BYTES_MAX }), did)
  }
  const resolveWeb = (did: string): Promise<DidDocument> => {
    const now = clock.now().getTime()
    const known = recall(web, did)
    if (known !== undefined && now < known.until) return known.document
    const document = fetchWeb(did)
    remember(web, did, { document, until: now + FETCHED_MS }, FETCHED_MAX)
    document.catch(() => {
      // Only if it is still ours: it may have been forgotten and asked again meanwhile.
      if (web.get(did)?.document === document) web.set(did, { document, until: now + FAILED_MS })
    })
    return document
  }
  const compute =
    (resolve: (did: string) => DidDocument) =>
    (did: string): Promise<DidDocument> => {
      const known = recall(computed, did)
      if (known !== undefined) return known.document
      const document = Promise.resolve(resolve(did))
      remember(computed, did, { document, until: Infinity }, COMPUTED_MAX)
      return document
    }
  const registry = {
    key: method(compute(resolveDidKey)),
    peer: method(compute(resolveDidPeer)),
    web: method(resolveWeb)
  }
  // did-resolver looks methods up by name as members, and would find `did:constructor:x` in Object.prototype.
  Object.setPrototypeOf(registry, null)
  const resolver = new Resolver(registry)
  return (did) => resolveWith(resolver, did)
}

/**
 * Whether the URL stays on this machine (RFC 6761 §6.3). Nobody is between, no authority gives a certificate for that
 * name, and it is asked only when the owner has allowed it by name.
 */
function isOwnMachine(url: string): boolean {
  return new URL(url).hostname === 'localhost'
}

async function resolveWith(resolver: Resolver, did: string): Promise<DidDocument> {
  // Before did-resolver, whose parser also takes DID URLs and any length.
  if (!isDid(did)) throw new LockerError('did-unresolvable', 'not a DID')
  let result: DIDResolutionResult
  try {
    result = await resolver.resolve(did)
  } catch (cause) {
    throw new LockerError('did-unresolvable', `${did} cannot be resolved`, {
      cause,
      facts: { did }
    })
  }
  const { didDocument, didResolutionMetadata } = result
  if (didDocument === null) {
    throw new LockerError(
      'did-unresolvable',
      `${did} cannot be resolved: ${didResolutionMetadata.error ?? 'no document'}`,
      { facts: { did } }
    )
  }
  return didDocument
}

/** As did-resolver wants a method. */
function method(
  resolve: (did: string) => Promise<DidDocument>
): (did: string) => Promise<DIDResolutionResult> {
  return async (did) => ({
    didResolutionMetadata: {},
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- its type only says more of parts we leave unread
    didDocument: (await resolve(did)) as DIDDocument,
    didDocumentMetadata: {}
  })
}

function recall(cache: Map<string, Entry>, did: string): Entry | undefined {
  const entry = cache.get(did)
  if (entry === undefined) return undefined
  // To the end of the order: the first in the map is the one unused for longest.
  cache.delete(did)
  cache.set(did, entry)
  return entry
}

function remember(cache: Map<string, Entry>, did: string, entry: Entry, sizeMax: number): void {
  cache.delete(did)
  cache.set(did, entry)
  if (cache.size <= sizeMax) return
  const [oldest] = cache.keys()
  if (oldest !== undefined) cache.delete(oldest)
}
