/**
 * A directory: a list of issuer descriptors that any agent can publish and any agent can subscribe to.
 *
 * The publisher's proof covers everything but `descriptors` itself; `digests` binds each of them (SHA-256
 * of its JCS form, RFC 8785), so that what is signed and verified stays small however long the list is.
 * Each descriptor has its issuer's own proof, read when somebody picks it (issuer-descriptor.ts): a
 * directory says which issuers its publisher lists, and vouches for nothing else.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import canonicalize from 'canonicalize'
import { z } from 'zod'
import type { ProofCrypto, ProofSigner } from './credential/crypto.ts'
import { isJsonObject, type JsonObject } from './credential/json.ts'
import { did } from './did/document.ts'
import { ProtocolError } from './errors.ts'
import { claimedDid, DESCRIPTOR_BYTES_MAX } from './issuer-descriptor.ts'
import { parseJsonBounded } from './message.ts'
import {
  jsonBytes,
  languageNames,
  readDocument,
  signDocument,
  type DocumentKind,
  type SignatureSources,
  type SignedReading
} from './signed-document.ts'

/** Largest directory, bytes of compact JSON. */
export const DIRECTORY_BYTES_MAX = 1_048_576
/** Descriptors in one directory. */
export const DIRECTORY_DESCRIPTORS_MAX = 500
/** Object keys in one directory: about 100 for each descriptor. */
const DIRECTORY_KEYS_MAX = 50_000

/** SHA-256, canonical base64url. */
const digest = z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)

const directoryHead = z.object({
  v: z.literal(1),
  /** The publisher. */
  did,
  title: languageNames,
  digests: z.array(digest).max(DIRECTORY_DESCRIPTORS_MAX),
  issuedAt: z.iso.datetime(),
  /** Absent: until the publisher signs another. */
  expiresAt: z.exactOptional(z.iso.datetime())
})

type DirectoryHead = z.infer<typeof directoryHead>

export interface Directory extends Omit<DirectoryHead, 'digests'> {
  /** Signed descriptors as they stand there; each is to be read by `readDescriptor` before it is believed. */
  readonly descriptors: readonly JsonObject[]
}

const DIRECTORY: DocumentKind<DirectoryHead> = {
  name: 'directory',
  bytesMax: DIRECTORY_BYTES_MAX,
  schema: directoryHead,
  speaker: (directory) => directory.did,
  times: (directory) => directory
}

/**
 * Signs a directory of descriptors that are signed already.
 *
 * @throws ProtocolError `message-malformed`, `limit-exceeded`.
 */
export function signDirectory(
  directory: Directory,
  options: { readonly signer: ProofSigner; readonly created: Date; readonly crypto: ProofCrypto }
): JsonObject {
  const { descriptors, ...rest } = directory
  const digests = descriptors.map((descriptor) => digestOf(descriptor, options.crypto))
  const signed = { ...signDocument(DIRECTORY, { ...rest, digests }, options), descriptors }
  const sizeBytes = jsonBytes(signed)
  if (sizeBytes > DIRECTORY_BYTES_MAX)
    throw new ProtocolError(
      'limit-exceeded',
      `a directory of ${sizeBytes} bytes, at most ${DIRECTORY_BYTES_MAX}`
    )
  return signed
}

/**
 * Reads the bytes of a directory. Guarantees that its publisher signed this very list, in this order, and
 * nothing about what the descriptors say.
 */
export async function readDirectory(
  bytes: Uint8Array,
  sources: SignatureSources
): Promise<SignedReading<Directory>> {
  const value = parsed(bytes)
  if ('fault' in value) return value
  const { descriptors, ...head } = value.document
  const reading = await readDocument(DIRECTORY, head, sources)
  if (!reading.ok) return reading
  const { digests, ...rest } = reading.value
  if (!Array.isArray(descriptors) || descriptors.length !== digests.length)
    return malformed(`the directory has ${digests.length} digests for other descriptors`)
  const list: JsonObject[] = []
  for (const [index, descriptor] of descriptors.entries()) {
    const fault = descriptorFault(descriptor, digests[index], sources.crypto)
    if (fault !== undefined || !isJsonObject(descriptor))
      return malformed(`descriptor ${index + 1} of the directory ${fault}`)
    list.push(descriptor)
  }
  return { ...reading, value: { ...rest, descriptors: list } }
}

type Refused = Extract<SignedReading<never>, { ok: false }>

function malformed(reason: string): Refused {
  return { ok: false, fault: 'malformed', reason }
}

function parsed(bytes: Uint8Array): { readonly document: JsonObject } | Refused {
  const limits = { bytesMax: DIRECTORY_BYTES_MAX, keysMax: DIRECTORY_KEYS_MAX }
  try {
    const document = parseJsonBounded(bytes, limits)
    return isJsonObject(document) ? { document } : malformed('the directory is not a JSON object')
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    const reason = `the directory cannot be read: ${error.message}`
    const fault = error.code === 'limit-exceeded' ? 'too-large' : 'malformed'
    return { ok: false, fault, reason }
  }
}

function descriptorFault(
  descriptor: unknown,
  expected: string | undefined,
  crypto: ProofCrypto
): string | undefined {
  if (!isJsonObject(descriptor) || claimedDid(descriptor) === undefined) return 'names no DID'
  const sizeBytes = jsonBytes(descriptor)
  if (sizeBytes > DESCRIPTOR_BYTES_MAX)
    return `has ${sizeBytes} bytes, at most ${DESCRIPTOR_BYTES_MAX}`
  return digestOf(descriptor, crypto) === expected
    ? undefined
    : 'is not the one its publisher signed'
}

function digestOf(descriptor: JsonObject, crypto: ProofCrypto): string {
  const canonical = canonicalize(descriptor)
  if (canonical === undefined)
    throw new ProtocolError('message-malformed', 'a descriptor that is not JSON')
  return base64urlnopad.encode(crypto.sha256(new TextEncoder().encode(canonical)))
}
