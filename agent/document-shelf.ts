/**
 * Where documents stand: their records and their blocks, kept in step.
 *
 * Into the shelf: blocks, then the record that names them. Out of it: the record, then the blocks. Between
 * the two the machine may stop, and what is left over is collected (document-blocks.ts).
 *
 * @module
 */
import type { Blockstore } from 'interface-blockstore'
import type { Recipient } from '../protocols/sealed/recipients.ts'
import type { Audit } from './audit.ts'
import type { Clock, Logger, Random } from './components.ts'
import { DocumentBlocks } from './document-blocks.ts'
import {
  DAMAGED_MAX,
  documentRecord,
  type DocumentRecord,
  type VersionRecord
} from './document-record.ts'
import { LockerError } from './errors.ts'
import { documentIdentity } from './keys.ts'
import type { Batch, Collection, Records } from './records.ts'
import { cancelled, DOCUMENT_BYTES_MAX, type StoredFile, storeSealed } from './sealed-writer.ts'

export interface ShelfComponents {
  readonly records: Records
  readonly audit: Audit
  readonly blocks: Blockstore
  readonly rootKey: Uint8Array
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Called after a change is durable, with the document's id. */
  readonly changed: (id: string) => void
  /** Plaintext bytes of one document; default 4 GiB. */
  readonly sizeBytesMax?: number
}

interface TakeOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (bytes: number) => void
  /** A document already accepted is sealed again whatever the limit is now. */
  readonly unlimited?: boolean
}

/** Seals a stream into blocks; they are durable when it resolves. */
export type Take = (source: AsyncIterable<Uint8Array>, options?: TakeOptions) => Promise<StoredFile>

export class Shelf {
  readonly components: ShelfComponents
  readonly documents: Collection<DocumentRecord>
  readonly blocks: DocumentBlocks
  readonly #recipient: Recipient
  readonly #staged = new WeakMap<Batch, Map<string, DocumentRecord>>()

  private constructor(components: ShelfComponents, documents: Collection<DocumentRecord>) {
    this.components = components
    this.documents = documents
    this.blocks = new DocumentBlocks(components)
    this.#recipient = documentIdentity(components.rootKey).recipient
  }

  static async open(components: ShelfComponents): Promise<Shelf> {
    const documents = await components.records.collection<DocumentRecord>(
      'documents',
      documentRecord
    )
    return new Shelf(components, documents)
  }

  /** Throws `document-unknown`, and `vault-sealed`. */
  get(id: string): DocumentRecord {
    const record = this.documents.get(id)
    if (record === undefined)
      throw new LockerError('document-unknown', `no document has the id ${id}`)
    return record
  }

  /** Throws `vault-sealed`: before a source is read that could not be stored. */
  mustBeOpen(): void {
    this.documents.get('')
  }

  /**
   * The record as the batch leaves it so far. Two features may touch a document in one batch: what
   * the first has put must not be lost to the second. Throws `document-unknown`.
   */
  current(batch: Batch, id: string): DocumentRecord {
    return this.#staged.get(batch)?.get(id) ?? this.get(id)
  }

  /** Puts the record, to be told of once it is durable. */
  put(batch: Batch, id: string, record: DocumentRecord): void {
    this.documents.put(batch, id, record)
    const staged = this.#staged.get(batch) ?? new Map<string, DocumentRecord>()
    this.#staged.set(batch, staged.set(id, record))
    batch.afterwards(() => this.components.changed(id))
  }

  remove(batch: Batch, id: string): void {
    this.documents.delete(batch, id)
    batch.afterwards(() => this.components.changed(id))
  }

  now(): string {
    return this.components.clock.now().toISOString()
  }

  /**
   * Runs `work`, which takes files in and then makes the change that names them. When it fails, the
   * blocks are removed again; when the outcome of the change is unknown, collecting decides later.
   */
  async taking<T>(work: (take: Take) => Promise<T>): Promise<T> {
    this.mustBeOpen()
    const incoming = this.blocks.begin()
    const { random, sizeBytesMax = DOCUMENT_BYTES_MAX } = this.components
    try {
      const result = await work(async (source, options = {}) => {
        const { unlimited = false, ...rest } = options
        const stored = await storeSealed(source, {
          ...rest,
          recipient: this.#recipient,
          random,
          putBlock: incoming.putBlock,
          sizeBytesMax: unlimited ? Number.POSITIVE_INFINITY : sizeBytesMax
        })
        if (options.signal?.aborted === true) throw cancelled(options.signal)
        return stored
      })
      this.blocks.keep(incoming)
      return result
    } catch (error) {
      if (isOutcomeUnknown(error)) this.blocks.keep(incoming)
      else await this.blocks.discard(incoming)
      throw error
    }
  }

  /** The record with each version whose root is in `sealed` replaced; what was known damaged of it is over. */
  replaceVersions(
    record: DocumentRecord,
    sealed: ReadonlyMap<string, VersionRecord>
  ): DocumentRecord {
    const replaced = new Set(
      record.versions.filter(({ root }) => sealed.has(root)).map(({ number }) => number)
    )
    return {
      ...record,
      versions: record.versions.map((version) => sealed.get(version.root) ?? version),
      damaged: record.damaged.filter(({ version }) => !replaced.has(version))
    }
  }

  /**
   * Remembers which blocks of a version are damaged: those found by a reading are added, a whole check
   * replaces them. Failing to write it down is logged: the reading says it as well.
   */
  async noteDamage(
    id: string,
    version: VersionRecord,
    found: { blocks: readonly string[]; whole: boolean }
  ): Promise<void> {
    const { records, audit, logger } = this.components
    try {
      await records.change((batch) => {
        const record = this.documents.get(id)
        // Sealed again or deleted meanwhile: the blocks are of no version any more.
        if (record?.versions.some(({ root }) => root === version.root) !== true) return
        const others = record.damaged.filter((each) => each.version !== version.number)
        const known = record.damaged.flatMap((each) =>
          each.version === version.number ? [each.block] : []
        )
        const blocks = [...new Set([...(found.whole ? [] : known), ...found.blocks])]
        const fresh = blocks.filter((block) => !known.includes(block))
        if (fresh.length === 0 && blocks.length === known.length) return
        const damaged = [
          ...others,
          ...blocks.map((block) => ({ version: version.number, block }))
        ].slice(0, DAMAGED_MAX)
        this.put(batch, id, { ...record, damaged })
        if (fresh.length > 0)
          audit.append(batch, {
            action: 'document-damaged',
            actor: 'locker',
            document: { id, name: record.name },
            details: { version: version.number, blocks: fresh.length }
          })
      })
    } catch (error) {
      logger.error('document-damage-not-noted', { id, error })
    }
  }
}

function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof LockerError && error.facts['outcome'] === 'unknown'
}
