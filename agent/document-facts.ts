/**
 * What is said about documents: to the owner, and to the features that give them out.
 *
 * @module
 */

/** One sealed version. */
export interface VersionFacts {
  /** 1, 2, 3 … */
  readonly number: number
  /** Root CID of the sealed age file. Changes when the version is sealed again after a revocation. */
  readonly root: string
  /** True plaintext length in bytes. */
  readonly sizeBytes: number
  readonly mediaType: string
  /** ISO 8601. */
  readonly addedAt: string
}

/** What is known of a document without opening it. */
export interface DocumentFacts {
  /** 26 characters of lower-case base32: 16 random bytes. */
  readonly id: string
  readonly name: string
  /** From the content, never from the name: `application/pdf`, `text/plain`, `application/octet-stream` … */
  readonly mediaType: string
  readonly sizeBytes: number
  /** Root CID of the current version. */
  readonly root: string
  readonly version: number
  readonly versions: readonly VersionFacts[]
  readonly tags: readonly string[]
  /** The owner's word for the kind of document, e.g. `degree`; absent when unset. */
  readonly type?: string
  readonly addedAt: string
  readonly changedAt: string
  /** Set while the document is in the trash; it is deleted for good 30 days later. */
  readonly trashedAt?: string
  /** The grant a copy came from, and from whom. */
  readonly source?: { readonly grant: string; readonly from: string }
  /** CIDs found damaged or missing by the last check or read. */
  readonly damagedBlocks?: readonly string[]
}

/** `start` and `end` are byte offsets of the plaintext, both inclusive, as in RFC 9110 §14.1.2. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export interface OpenedDocument {
  readonly facts: DocumentFacts
  readonly version: VersionFacts
  /** Plaintext, in chunks of at most 64 KiB; each chunk has been authenticated before it is yielded. */
  readonly content: AsyncIterable<Uint8Array<ArrayBuffer>>
}

export interface AddOptions {
  readonly name: string
  readonly tags?: readonly string[]
  readonly type?: string
  readonly signal?: AbortSignal
  /** Called with the plaintext bytes taken so far. */
  readonly onProgress?: (bytes: number) => void
}

export interface CheckReport {
  readonly documents: number
  readonly blocks: number
  readonly bytes: number
  readonly damaged: ReadonlyArray<{
    id: string
    name: string
    version: number
    blocks: readonly string[]
  }>
}

/** A version as it is sealed now: what a grant or a link hands over. */
export interface SealedVersion {
  readonly version: number
  readonly root: string
  /** 16 bytes (C2SP age.md "File key"). */
  readonly fileKey: Uint8Array
  /** Length of the age file, bytes. */
  readonly sealedBytes: number
  /** True length of the plaintext, bytes. */
  readonly sizeBytes: number
  readonly name: string
  readonly mediaType: string
}
