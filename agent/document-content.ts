/**
 * The content of documents: reading it, checking it, healing copies, sealing it again under a new key.
 *
 * @module
 */
import type { ByteRange, CheckReport, DocumentFacts, SealedVersion } from './document-facts.ts'
import {
  currentVersion,
  type DocumentRecord,
  factsOf,
  fileKeyOf,
  sealedVersionOf,
  type VersionRecord,
  versionOf,
  versionRecordOf
} from './document-record.ts'
import type { Shelf, Take } from './document-shelf.ts'
import { LockerError } from './errors.ts'
import type { Batch } from './records.ts'
import { hasHash } from './sealed-dag.ts'
import { openSealed } from './sealed-reader.ts'
import { cancelled, type StoredFile } from './sealed-writer.ts'

/** How often one reading goes on after the document was sealed again or healed under it. */
const RESTARTS_MAX = 3
/** Only the first version of a copy is what the grant gave; later ones are the owner's. */
const COPIED_VERSION = 1

/** Gives the content of a copy again, from where it came; `undefined` when it cannot. */
export type Heal = (
  facts: DocumentFacts
) => Promise<{ content: AsyncIterable<Uint8Array> } | undefined>

export class DocumentContent {
  readonly #shelf: Shelf
  /** Copies being healed: further readers of the same damage wait for the first. */
  readonly #healing = new Map<string, Promise<boolean>>()
  /** The last sealing of each document that is being sealed again. */
  readonly #resealing = new Map<string, Promise<void>>()
  #heal: Heal | undefined

  constructor(shelf: Shelf) {
    this.#shelf = shelf
  }

  setHeal(heal: Heal): void {
    this.#heal = heal
  }

  /**
   * Plaintext of a version. Ends as soon as the document is deleted or the vault sealed. Where the file was
   * sealed again or healed meanwhile, goes on at the same offset of the new one. Throws
   * `document-damaged` naming document, version and blocks; `operation-cancelled`.
   */
  async *read(
    id: string,
    number: number,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    let position = range?.start ?? 0
    for (let restarts = 0; ; restarts++) {
      const version = versionRecordOf(id, this.#shelf.get(id), number)
      const end = range?.end ?? version.sizeBytes - 1
      const from = range === undefined && position === 0 ? undefined : { start: position, end }
      try {
        for await (const chunk of this.#open(version, from)) {
          if (signal?.aborted === true) throw cancelled(signal)
          this.#shelf.get(id)
          position += chunk.length
          yield chunk
        }
        return
      } catch (error) {
        if (restarts >= RESTARTS_MAX || !(await this.#goesOn(id, version, error)))
          throw named(id, version, error)
        if (position > end) return
      }
    }
  }

  /**
   * Reads and hashes every block of the documents given. What it finds is remembered, and forgotten
   * where a block is well again. Throws `operation-cancelled`.
   */
  async check(
    ids: readonly string[],
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
  ): Promise<CheckReport> {
    const damaged: Array<CheckReport['damaged'][number]> = []
    const count = { blocks: 0, bytes: 0 }
    let documents = 0
    for (const id of ids) {
      const record = this.#shelf.documents.get(id)
      // Deleted since the check began.
      if (record === undefined) continue
      documents++
      for (const version of record.versions) {
        const blocks = await this.#checkVersion(version, count, options)
        const now = this.#shelf.documents.get(id)
        if (now?.versions.some(({ root }) => root === version.root) !== true) continue
        await this.#shelf.noteDamage(id, version, { blocks, whole: true })
        if (blocks.length > 0)
          damaged.push({ id, name: record.name, version: version.number, blocks })
      }
    }
    return { documents, ...count, damaged }
  }

  /**
   * Seals every version under a new key, puts all in place in one batch which `andThen` adds to, and
   * removes the old blocks. A version too damaged to be read keeps its key: what is left of it is
   * refused by the grant. One sealing of a document after the other. Throws `document-unknown`, also when
   * it is deleted meanwhile; `storage-full`.
   */
  async reseal(
    id: string,
    andThen: (batch: Batch, sealed: readonly SealedVersion[]) => void
  ): Promise<void> {
    const before = this.#resealing.get(id) ?? Promise.resolve()
    const run = async (): Promise<void> => this.#reseal(id, andThen)
    // The one before tells its own caller how it ended.
    const next = before.then(run, run)
    this.#resealing.set(id, next)
    try {
      await next
    } finally {
      if (this.#resealing.get(id) === next) this.#resealing.delete(id)
    }
  }

  async #reseal(
    id: string,
    andThen: (batch: Batch, sealed: readonly SealedVersion[]) => void
  ): Promise<void> {
    const { records, audit, logger } = this.#shelf.components
    const removed = await this.#shelf.taking(async (take) => {
      const sealed = new Map<string, VersionRecord>()
      for (const version of this.#shelf.get(id).versions) {
        const again = await this.#sealAgain(id, version, take)
        if (again === undefined) logger.warn('version-not-resealed', { id, root: version.root })
        else sealed.set(version.root, again)
      }
      return records.change((batch) => {
        const record = this.#shelf.get(id)
        const { reseal: _, ...next } = this.#shelf.replaceVersions(record, sealed)
        this.#shelf.put(batch, id, next)
        andThen(
          batch,
          next.versions.map((version) => sealedVersionOf(next, version))
        )
        audit.append(batch, {
          action: 'document-resealed',
          actor: 'locker',
          document: { id, name: next.name },
          details: { versions: sealed.size, left: next.versions.length - sealed.size }
        })
        return [...sealed.keys()]
      })
    })
    await this.#shelf.blocks.remove(removed)
  }

  #open(
    version: VersionRecord,
    range: ByteRange | undefined
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    const { root, sizeBytes } = version
    const file = { root, fileKey: fileKeyOf(version), sizeBytes, getBlock: this.#shelf.blocks.get }
    return openSealed(file, range)
  }

  /** Whether a failed reading can go on: the file is another one by now, or the copy has been healed. */
  async #goesOn(id: string, version: VersionRecord, error: unknown): Promise<boolean> {
    const now = versionRecordOf(id, this.#shelf.get(id), version.number)
    if (now.root !== version.root) return true
    const blocks = damagedBlocksOf(error)
    if (blocks === undefined) return false
    await this.#shelf.noteDamage(id, version, { blocks, whole: false })
    return this.#healOnce(id, version)
  }

  async #healOnce(id: string, version: VersionRecord): Promise<boolean> {
    const running = this.#healing.get(version.root)
    if (running !== undefined) return running
    const healing = this.#healCopy(id, version).finally(() => this.#healing.delete(version.root))
    this.#healing.set(version.root, healing)
    return healing
  }

  async #healCopy(id: string, version: VersionRecord): Promise<boolean> {
    const record = this.#shelf.get(id)
    if (record.source === undefined || version.number !== COPIED_VERSION) return false
    const { logger } = this.#shelf.components
    try {
      const found = await this.#heal?.(factsOf(id, record))
      if (found === undefined) return false
      await this.#shelf.taking(async (take) => {
        const stored = await take(found.content, { unlimited: true })
        if (stored.sizeBytes !== version.sizeBytes)
          throw new LockerError(
            'integrity-failed',
            `the source gave ${stored.sizeBytes} bytes where ${version.sizeBytes} should be`
          )
        await this.#putHealed(id, version, stored)
      })
      await this.#shelf.blocks.remove([version.root])
      return true
    } catch (error) {
      // The reading reports the damage; the log says why it could not be mended.
      logger.warn('document-not-healed', { id, error })
      return false
    }
  }

  async #putHealed(id: string, version: VersionRecord, stored: StoredFile): Promise<void> {
    const { records, audit } = this.#shelf.components
    await records.change((batch) => {
      const record = this.#shelf.get(id)
      const sealed = new Map([[version.root, replacing(version, stored)]])
      this.#shelf.put(batch, id, this.#shelf.replaceVersions(record, sealed))
      audit.append(batch, {
        action: 'document-healed',
        actor: 'locker',
        document: { id, name: record.name },
        ...(record.source !== undefined && { grant: record.source.grant })
      })
    })
  }

  async #sealAgain(
    id: string,
    version: VersionRecord,
    take: Take
  ): Promise<VersionRecord | undefined> {
    try {
      return replacing(version, await take(this.#open(version, undefined), { unlimited: true }))
    } catch (error) {
      const blocks = damagedBlocksOf(error)
      if (blocks === undefined && !isIntegrityFailure(error)) throw error
      await this.#shelf.noteDamage(id, version, { blocks: blocks ?? [], whole: false })
      return undefined
    }
  }

  async #checkVersion(
    version: VersionRecord,
    count: { blocks: number; bytes: number },
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
  ): Promise<readonly string[]> {
    const { signal, onProgress } = options
    const bad: string[] = []
    try {
      for await (const { cid, kind } of this.#shelf.blocks.walk(version.root)) {
        if (signal?.aborted === true) throw cancelled(signal)
        count.blocks++
        // Inner nodes were hashed on the way.
        if (kind === 'node') continue
        const bytes = await this.#wellBlock(cid)
        if (bytes === undefined) bad.push(cid.toString())
        count.bytes += bytes?.length ?? 0
        onProgress?.(count.bytes)
      }
    } catch (error) {
      const blocks =
        damagedBlocksOf(error) ?? (isIntegrityFailure(error) ? [version.root] : undefined)
      if (blocks === undefined) throw error
      // An inner node is gone: the leaves below it cannot be named.
      bad.push(...blocks)
    }
    return bad
  }

  async #wellBlock(cid: Parameters<typeof hasHash>[0]): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#shelf.blocks.get(cid)
      return hasHash(cid, bytes) ? bytes : undefined
    } catch (error) {
      if (damagedBlocksOf(error) === undefined) throw error
      return undefined
    }
  }
}

/** The version under the key and root it was sealed again with. */
function replacing(version: VersionRecord, stored: StoredFile): VersionRecord {
  return {
    ...versionOf(version.number, stored, version.addedAt),
    // What it is was told once; the owner may have acted on it.
    mediaType: version.mediaType
  }
}

/** CIDs in a `document-damaged`; `undefined` for other errors. */
function damagedBlocksOf(error: unknown): readonly string[] | undefined {
  if (!(error instanceof LockerError) || error.code !== 'document-damaged') return undefined
  const { blocks } = error.facts
  return Array.isArray(blocks) ? blocks.filter((block) => typeof block === 'string') : []
}

function isIntegrityFailure(error: unknown): boolean {
  return error instanceof LockerError && error.code === 'integrity-failed'
}

/** A damage with the document it is in. */
function named(id: string, version: VersionRecord, error: unknown): unknown {
  const blocks = damagedBlocksOf(error)
  if (blocks === undefined) return error
  const { number } = version
  return new LockerError(
    'document-damaged',
    `document ${id}, version ${number}: block ${blocks.join(', ')} is missing or damaged`,
    { cause: error, facts: { document: id, version: number, blocks } }
  )
}

/** Roots of every version of the documents: what collecting must leave. */
export function* rootsOf(
  documents: Iterable<readonly [id: string, record: DocumentRecord]>
): Generator<string> {
  for (const [, { versions }] of documents) for (const { root } of versions) yield root
}

/** Facts of the version asked for, or of the current one. */
export function versionFactsOf(
  facts: DocumentFacts,
  record: DocumentRecord,
  number?: number
): DocumentFacts['versions'][number] {
  const wanted = number ?? currentVersion(record).number
  const version = facts.versions.find((each) => each.number === wanted)
  if (version === undefined)
    throw new LockerError('version-unknown', `document ${facts.id} has no version ${wanted}`)
  return version
}
