/**
 * Documents: sealed files in the owner's locker.
 *
 * @module
 */
import type { Batch } from './records.ts'

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

/** The owner's documents; every method throws `vault-sealed` while the vault is not open. */
export interface Documents {
  /** Seals and stores a stream; resolves when record and blocks are durable. Throws `document-too-large`, `storage-full`. */
  add(source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<DocumentFacts>
  addVersion(
    id: string,
    source: AsyncIterable<Uint8Array>,
    options?: Pick<AddOptions, 'signal' | 'onProgress'>
  ): Promise<DocumentFacts>
  /** Newest first. `trashed` true lists the trash only. */
  list(options?: { trashed?: boolean }): readonly DocumentFacts[]
  /** Words in name, type, tags and media type; all must match (prefix, case- and accent-insensitive). */
  search(query: string): readonly DocumentFacts[]
  /** Throws `document-unknown`. */
  get(id: string): DocumentFacts
  open(
    id: string,
    options?: { version?: number; range?: ByteRange; signal?: AbortSignal }
  ): Promise<OpenedDocument>
  /** Sets what is given: rename, tag, type (`null` removes the type). */
  change(
    id: string,
    facts: { name?: string; tags?: readonly string[]; type?: string | null }
  ): Promise<DocumentFacts>
  trash(id: string): Promise<DocumentFacts>
  restore(id: string): Promise<DocumentFacts>
  /** For good: refuse serving, remove record and key in one batch, collect blocks. */
  delete(id: string): Promise<void>
  /** Re-reads and verifies every block of one document, or of all. */
  check(options?: {
    id?: string
    signal?: AbortSignal
    onProgress?: (bytes: number) => void
  }): Promise<CheckReport>
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

/** What the other features use of the documents beside the owner's door. */
export interface DocumentStore extends Documents {
  /** The current version, or the one asked for. Throws `document-unknown`, `version-unknown`. */
  sealed(id: string, version?: number): SealedVersion
  /** Every CID of a sealed file held here. Throws `document-damaged` when the inner blocks are. */
  dag(root: string): Promise<ReadonlySet<string>>
  /** Ciphertext by inclusive byte range of the sealed file, read-ahead 3. */
  readSealed(root: string, range?: ByteRange): AsyncIterable<Uint8Array<ArrayBuffer>>
  /** As add, for a copy received under a grant. */
  addCopy(
    source: AsyncIterable<Uint8Array>,
    options: AddOptions & { source: { grant: string; from: string } }
  ): Promise<DocumentFacts>
  /** Marks a document for a new key, in the batch that takes the old one's permission away (DESIGN §5.4). */
  markReseal(batch: Batch, id: string): void
  /** Seals every version under a new key; `andThen` fills the batch that puts the new ones in place. */
  reseal(
    id: string,
    andThen: (batch: Batch, sealed: readonly SealedVersion[]) => void
  ): Promise<void>
  /** Documents marked and not sealed again yet. */
  pendingReseals(): readonly string[]
  /** Called when a copy's block is damaged; the content is sealed anew and the read goes on. */
  setHeal(
    heal: (facts: DocumentFacts) => Promise<{ content: AsyncIterable<Uint8Array> } | undefined>
  ): void
  /** Foreign sealed files that {@link collect} must leave alone; `roots` is asked each time. */
  keepBlocks(name: string, roots: () => Iterable<string>): void
  /** Removes blocks that no document and no keeper refers to. */
  collect(): Promise<{ removed: number }>
  /** Called inside the batch that trashes or deletes a document: whatever gives it out ends with it. */
  onRemove(hook: (batch: Batch, id: string) => void): void
}
