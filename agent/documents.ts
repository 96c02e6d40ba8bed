/**
 * Documents: sealed files in the owner's locker.
 *
 * What is sealed how: protocols/sealed. Blocks: sealed-writer.ts, sealed-dag.ts, sealed-reader.ts. Which
 * blocks belong to whom: document-blocks.ts. The record: document-record.ts. Content over time (reading,
 * checking, healing, sealing again): document-content.ts. Here: what the owner does with documents.
 *
 * @module
 */
import type { Audit, AuditAction } from './audit.ts'
import { DocumentContent, type Heal, rootsOf, versionFactsOf } from './document-content.ts'
import type {
  AddOptions,
  ByteRange,
  CheckReport,
  DocumentFacts,
  OpenedDocument,
  SealedVersion
} from './document-facts.ts'
import {
  checkedLabels,
  currentVersion,
  type DocumentRecord,
  factsOf,
  sealedVersionOf,
  VERSIONS_MAX,
  versionOf,
  versionRecordOf,
  wordsOfDocument
} from './document-record.ts'
import { Shelf, type ShelfComponents } from './document-shelf.ts'
import { LockerError } from './errors.ts'
import { newRecordId } from './record-id.ts'
import type { Batch } from './records.ts'
import { matches, queryWords } from './search.ts'
import { readSealedBytes } from './sealed-reader.ts'
import { cancelled } from './sealed-writer.ts'

export type {
  AddOptions,
  ByteRange,
  CheckReport,
  DocumentFacts,
  SealedVersion,
  VersionFacts
} from './document-facts.ts'

/** How long a document stays in the trash, milliseconds: 30 days. */
export const TRASH_LIFETIME_MS = 30 * 24 * 60 * 60 * 1_000
/** Between two looks into the trash, milliseconds: a day. */
export const PURGE_INTERVAL_MS = 24 * 60 * 60 * 1_000
/**
 * The owner's openings of one version within this many milliseconds are one entry of the log: a viewer
 * that reads a file in a hundred ranges has opened it once.
 */
export const OPENING_INTERVAL_MS = 10 * 60 * 1_000
/** Openings remembered for {@link OPENING_INTERVAL_MS}. */
const OPENINGS_REMEMBERED_MAX = 1_024
/** Features told when a document goes. */
const REMOVE_HOOKS_MAX = 16

/** The owner's documents; every method throws `vault-sealed` while the vault is not open. */
export interface Documents {
  /** Seals and stores a stream; resolves when record and blocks are durable. Throws `document-too-large`, `storage-full`. */
  add(source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<DocumentFacts>
  /** A new current version under a key of its own. Throws as {@link add}, and `document-trashed`. */
  addVersion(
    id: string,
    source: AsyncIterable<Uint8Array>,
    options?: Pick<AddOptions, 'signal' | 'onProgress'>
  ): Promise<DocumentFacts>
  /** Newest first. `trashed` true lists the trash only, otherwise it is left out. */
  list(options?: { trashed?: boolean }): readonly DocumentFacts[]
  /** Words in name, type, tags and media type; all must match (prefix, case- and accent-insensitive). Without the trash, newest first. */
  search(query: string): readonly DocumentFacts[]
  /** Throws `document-unknown`. */
  get(id: string): DocumentFacts
  /**
   * The content, whole or by range (an end behind the document's is taken as its end), also of a document
   * in the trash. Throws `document-unknown`, `version-unknown`, `range-invalid`; reading throws
   * `document-damaged`, `operation-cancelled`.
   */
  open(
    id: string,
    options?: { version?: number; range?: ByteRange; signal?: AbortSignal }
  ): Promise<OpenedDocument>
  /**
   * Sets what is given: rename, tag, type (`null` removes the type). Any Unicode is a name: it is data and
   * never a path. Throws `request-invalid` beyond the limits, `document-trashed`.
   */
  change(
    id: string,
    facts: { name?: string; tags?: readonly string[]; type?: string | null }
  ): Promise<DocumentFacts>
  /** Whatever gives the document out ends. It is deleted 30 days later, unless it is restored. */
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
  /** As add; `along` puts what belongs to the document into the same batch as its record. */
  addAlong(
    source: AsyncIterable<Uint8Array>,
    options: AddOptions,
    along: (batch: Batch, id: string) => void
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
  /** From now until the returned function is called no block is removed: a backup reads them. */
  holdBlocks(): () => void
  /**
   * Removes blocks that no document and no keeper refers to; call it once every keeper is named. Removes
   * nothing while records are damaged: the blocks may be of a document whose record can be brought back.
   */
  collect(): Promise<{ removed: number }>
  /** Deletes what has been in the trash for 30 days; done at opening and daily by itself. */
  purge(): Promise<{ deleted: number }>
  /** Called inside the batch that trashes or deletes a document: whatever gives it out ends with it. */
  onRemove(hook: (batch: Batch, id: string) => void): void
  /** Ends the daily look into the trash. Readings under way end with the records. */
  close(): void
}

export interface DocumentsComponents extends ShelfComponents {
  /** The same as {@link DocumentStore.setHeal}. */
  readonly heal?: Heal
}

/**
 * Opens the documents of an open vault, and deletes what has been in the trash long enough. Throws
 * `storage-failed`.
 */
export async function openDocuments(components: DocumentsComponents): Promise<DocumentStore> {
  const documents = new OpenDocuments(await Shelf.open(components), components.audit)
  if (components.heal !== undefined) documents.setHeal(components.heal)
  await documents.begin()
  return documents
}

class OpenDocuments implements DocumentStore {
  readonly #shelf: Shelf
  readonly #audit: Audit
  readonly #content: DocumentContent
  readonly #removeHooks: Array<(batch: Batch, id: string) => void> = []
  /** When the owner last opened a version, by document and number; the first is the oldest. */
  readonly #openings = new Map<string, number>()
  #cancelPurge: () => void = () => undefined

  constructor(shelf: Shelf, audit: Audit) {
    this.#shelf = shelf
    this.#audit = audit
    this.#content = new DocumentContent(shelf)
  }

  async begin(): Promise<void> {
    const { clock, logger } = this.#shelf.components
    this.#cancelPurge = clock.after(PURGE_INTERVAL_MS, () => void this.begin())
    try {
      await this.purge()
    } catch (error) {
      // A full disk keeps nobody from reading; the trash is emptied another day.
      logger.error('trash-not-purged', { error })
    }
  }

  close(): void {
    this.#cancelPurge()
  }

  async add(source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<DocumentFacts> {
    return this.#add(source, options)
  }

  async addCopy(
    source: AsyncIterable<Uint8Array>,
    options: AddOptions & { source: { grant: string; from: string } }
  ): Promise<DocumentFacts> {
    return this.#add(source, options, { copyOf: options.source })
  }

  async addAlong(
    source: AsyncIterable<Uint8Array>,
    options: AddOptions,
    along: (batch: Batch, id: string) => void
  ): Promise<DocumentFacts> {
    return this.#add(source, options, { along })
  }

  async addVersion(
    id: string,
    source: AsyncIterable<Uint8Array>,
    options: Pick<AddOptions, 'signal' | 'onProgress'> = {}
  ): Promise<DocumentFacts> {
    const { records } = this.#shelf.components
    roomForVersion(id, this.#outsideTrash(id))
    return this.#shelf.taking(async (take) => {
      const stored = await take(source, options)
      await records.change((batch) => {
        const record = this.#outsideTrash(id, batch)
        const number = roomForVersion(id, record)
        const now = this.#shelf.now()
        const versions = [...record.versions, versionOf(number, stored, now)]
        this.#shelf.put(batch, id, { ...record, versions, changedAt: now })
        this.#log(batch, 'document-version-added', id, record, {
          version: number,
          bytes: stored.sizeBytes
        })
      })
      return this.get(id)
    })
  }

  list(options: { trashed?: boolean } = {}): readonly DocumentFacts[] {
    return this.#listed((record) => (record.trashedAt !== undefined) === (options.trashed === true))
  }

  search(query: string): readonly DocumentFacts[] {
    const wanted = queryWords(query)
    return this.#listed(
      (record) => record.trashedAt === undefined && matches(wordsOfDocument(record), wanted)
    )
  }

  get(id: string): DocumentFacts {
    return factsOf(id, this.#shelf.get(id))
  }

  async open(
    id: string,
    options: { version?: number; range?: ByteRange; signal?: AbortSignal } = {}
  ): Promise<OpenedDocument> {
    const { range, signal } = options
    const record = this.#shelf.get(id)
    const facts = factsOf(id, record)
    const version = versionFactsOf(facts, record, options.version)
    if (range !== undefined) checkRange(range, version.sizeBytes)
    if (signal?.aborted === true) throw cancelled(signal)
    await this.#logOpening(id, record, version.number)
    return { facts, version, content: this.#content.read(id, version.number, range, signal) }
  }

  async change(
    id: string,
    facts: { name?: string; tags?: readonly string[]; type?: string | null }
  ): Promise<DocumentFacts> {
    const { name, tags, type } = checkedLabels(facts)
    await this.#shelf.components.records.change((batch) => {
      const { type: typeBefore, ...record } = this.#outsideTrash(id, batch)
      const typeNow = type === undefined ? typeBefore : type
      const next = {
        ...record,
        ...(name !== undefined && { name }),
        ...(tags !== undefined && { tags }),
        ...(typeof typeNow === 'string' && { type: typeNow }),
        changedAt: this.#shelf.now()
      }
      this.#shelf.put(batch, id, next)
      const what = Object.keys(facts).join(', ')
      this.#log(batch, 'document-changed', id, next, { what })
    })
    return this.get(id)
  }

  async trash(id: string): Promise<DocumentFacts> {
    await this.#shelf.components.records.change((batch) => {
      const record = this.#shelf.get(id)
      if (record.trashedAt !== undefined) return
      this.#shelf.put(batch, id, { ...record, trashedAt: this.#shelf.now() })
      for (const hook of this.#removeHooks) hook(batch, id)
      this.#log(batch, 'document-trashed', id, record)
    })
    return this.get(id)
  }

  async restore(id: string): Promise<DocumentFacts> {
    await this.#shelf.components.records.change((batch) => {
      const { trashedAt, ...record } = this.#shelf.get(id)
      if (trashedAt === undefined) return
      this.#shelf.put(batch, id, record)
      this.#log(batch, 'document-restored', id, record)
    })
    return this.get(id)
  }

  async delete(id: string): Promise<void> {
    await this.#delete(id, 'document-deleted', 'owner')
  }

  async purge(): Promise<{ deleted: number }> {
    const { clock } = this.#shelf.components
    const before = new Date(clock.now().getTime() - TRASH_LIFETIME_MS).toISOString()
    const due = [...this.#shelf.documents.entries()].filter(
      ([, { trashedAt }]) => trashedAt !== undefined && trashedAt <= before
    )
    for (const [id] of due) await this.#delete(id, 'document-purged', 'locker')
    return { deleted: due.length }
  }

  async check(
    options: { id?: string; signal?: AbortSignal; onProgress?: (bytes: number) => void } = {}
  ): Promise<CheckReport> {
    const { id, ...rest } = options
    if (id === undefined)
      return this.#content.check(
        [...this.#shelf.documents.entries()].map(([each]) => each),
        rest
      )
    this.#shelf.get(id)
    return this.#content.check([id], rest)
  }

  sealed(id: string, version?: number): SealedVersion {
    const record = this.#shelf.get(id)
    return sealedVersionOf(record, versionRecordOf(id, record, version))
  }

  async dag(root: string): Promise<ReadonlySet<string>> {
    return this.#shelf.blocks.dag(root)
  }

  readSealed(root: string, range?: ByteRange): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return readSealedBytes({ root, getBlock: this.#shelf.blocks.get }, range)
  }

  markReseal(batch: Batch, id: string): void {
    this.#shelf.put(batch, id, { ...this.#shelf.current(batch, id), reseal: true })
  }

  async reseal(
    id: string,
    andThen: (batch: Batch, sealed: readonly SealedVersion[]) => void
  ): Promise<void> {
    await this.#content.reseal(id, andThen)
  }

  pendingReseals(): readonly string[] {
    return [...this.#shelf.documents.entries()].flatMap(([id, { reseal }]) =>
      reseal === true ? [id] : []
    )
  }

  setHeal(heal: Heal): void {
    this.#content.setHeal(heal)
  }

  keepBlocks(name: string, roots: () => Iterable<string>): void {
    this.#shelf.blocks.keepBlocks(name, roots)
  }

  holdBlocks(): () => void {
    return this.#shelf.blocks.hold()
  }

  async collect(): Promise<{ removed: number }> {
    const { records, logger } = this.#shelf.components
    if (records.damaged.length > 0) {
      logger.warn('blocks-not-collected', { damagedRecords: records.damaged.length })
      return { removed: 0 }
    }
    return this.#shelf.blocks.collect(() => rootsOf(this.#shelf.documents.entries()))
  }

  onRemove(hook: (batch: Batch, id: string) => void): void {
    if (this.#removeHooks.length >= REMOVE_HOOKS_MAX)
      throw new RangeError(`more than ${REMOVE_HOOKS_MAX} hooks on removal`)
    this.#removeHooks.push(hook)
  }

  async #add(
    source: AsyncIterable<Uint8Array>,
    options: AddOptions,
    more: {
      readonly copyOf?: { readonly grant: string; readonly from: string }
      readonly along?: (batch: Batch, id: string) => void
    } = {}
  ): Promise<DocumentFacts> {
    const { copyOf, along } = more
    const { records, random } = this.#shelf.components
    const { name = '', tags = [], type } = checkedLabels(options)
    const id = newRecordId(random)
    return this.#shelf.taking(async (take) => {
      const stored = await take(source, options)
      await records.change((batch) => {
        const now = this.#shelf.now()
        const record: DocumentRecord = {
          name,
          tags,
          ...(typeof type === 'string' && { type }),
          addedAt: now,
          changedAt: now,
          ...(copyOf !== undefined && { source: { grant: copyOf.grant, from: copyOf.from } }),
          damaged: [],
          versions: [versionOf(1, stored, now)]
        }
        this.#shelf.put(batch, id, record)
        const action = copyOf === undefined ? 'document-added' : 'document-copied'
        this.#log(batch, action, id, record, { bytes: stored.sizeBytes })
        along?.(batch, id)
      })
      return this.get(id)
    })
  }

  async #delete(id: string, action: AuditAction, actor: string): Promise<void> {
    const roots = await this.#shelf.components.records.change((batch) => {
      const record = this.#shelf.get(id)
      for (const hook of this.#removeHooks) hook(batch, id)
      this.#shelf.remove(batch, id)
      this.#audit.append(batch, { action, actor, document: { id, name: record.name } })
      return record.versions.map(({ root }) => root)
    })
    await this.#shelf.blocks.remove(roots)
  }

  #listed(wanted: (record: DocumentRecord) => boolean): readonly DocumentFacts[] {
    const facts: DocumentFacts[] = []
    for (const [id, record] of this.#shelf.documents.entries())
      if (wanted(record)) facts.push(factsOf(id, record))
    // ISO 8601 in UTC sorts as text; ids keep the order the same among documents of one millisecond.
    return facts.toSorted((one, other) =>
      one.addedAt === other.addedAt
        ? compareText(one.id, other.id)
        : compareText(other.addedAt, one.addedAt)
    )
  }

  #outsideTrash(id: string, batch?: Batch): DocumentRecord {
    const record = batch === undefined ? this.#shelf.get(id) : this.#shelf.current(batch, id)
    if (record.trashedAt !== undefined)
      throw new LockerError('document-trashed', `document ${id} is in the trash`)
    return record
  }

  #log(
    batch: Batch,
    action: AuditAction,
    id: string,
    record: Pick<DocumentRecord, 'name'>,
    details?: Readonly<Record<string, string | number>>
  ): void {
    this.#audit.append(batch, {
      action,
      actor: 'owner',
      document: { id, name: record.name },
      ...(details !== undefined && { details })
    })
  }

  /** An opening is in the log before its first byte, once within {@link OPENING_INTERVAL_MS}. */
  async #logOpening(id: string, record: DocumentRecord, version: number): Promise<void> {
    const { records, clock, logger } = this.#shelf.components
    const key = `${id}/${version}`
    const now = clock.now().getTime()
    const last = this.#openings.get(key)
    if (last !== undefined && now - last < OPENING_INTERVAL_MS) return
    try {
      await records.change((batch) => this.#log(batch, 'document-opened', id, record, { version }))
    } catch (error) {
      // The owner reads their own document: a full disk must not take it from them (docs/decisions/0033).
      if (!(error instanceof LockerError) || !error.code.startsWith('storage-')) throw error
      logger.error('opening-not-logged', { id, error })
      return
    }
    this.#openings.delete(key)
    this.#openings.set(key, now)
    const [oldest] = this.#openings.keys()
    if (this.#openings.size > OPENINGS_REMEMBERED_MAX && oldest !== undefined)
      this.#openings.delete(oldest)
  }
}

/** Number of the next version. Throws `request-invalid` when the document has all it can have. */
function roomForVersion(id: string, record: DocumentRecord): number {
  if (record.versions.length >= VERSIONS_MAX)
    throw new LockerError('request-invalid', `document ${id} has ${VERSIONS_MAX} versions`)
  return currentVersion(record).number + 1
}

function checkRange({ start, end }: ByteRange, sizeBytes: number): void {
  const fits = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0
  if (!fits || start > end || start >= sizeBytes)
    throw new LockerError('range-invalid', `bytes ${start} to ${end} of ${sizeBytes}`)
}

function compareText(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}
