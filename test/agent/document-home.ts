/** A locker's documents over faulty storage, opened again at will. */
import { openAudit, type Audit } from '../../agent/audit.ts'
import { openDocuments, type DocumentStore } from '../../agent/documents.ts'
import type { Records } from '../../agent/records.ts'
import { openRecords } from '../../agent/records.ts'
import {
  FaultyBlocks,
  FaultyLevel,
  ManualClock,
  MemoryFiles,
  RecordingLogger,
  secureRandom,
  Writes
} from './faults.ts'

export interface Opened {
  readonly records: Records
  readonly audit: Audit
  readonly documents: DocumentStore
}

export class DocumentHome {
  readonly writes = new Writes()
  readonly db = new FaultyLevel(this.writes)
  readonly blocks = new FaultyBlocks(this.writes)
  readonly files = new MemoryFiles()
  readonly logger = new RecordingLogger()
  readonly clock = new ManualClock()
  readonly rootKey: Uint8Array<ArrayBuffer>
  /** Ids the locker told of, in order. */
  readonly changed: string[] = []
  sizeBytesMax: number | undefined

  constructor(rootKey = secureRandom(32)) {
    this.rootKey = rootKey
  }

  /** The same locker after the machine was switched off and on: what was written is there, nothing else is. */
  async restarted(): Promise<DocumentHome> {
    const home = new DocumentHome(this.rootKey)
    for (const [name, { cid, bytes }] of this.blocks.blocks)
      home.blocks.blocks.set(name, { cid, bytes: new Uint8Array(bytes) })
    for (const [name, bytes] of this.files.files) home.files.files.set(name, bytes)
    if (this.db.status !== 'open') await this.db.open()
    const entries = await this.db.contents()
    await home.db.batch(
      entries.map(([key, value]) => ({ type: 'put', key, value })),
      {}
    )
    home.clock.advance(this.clock.now().getTime() - home.clock.now().getTime())
    home.writes.count = 0
    return home
  }

  async open(): Promise<Opened> {
    const { db, files, logger, rootKey, clock, blocks, sizeBytesMax } = this
    const records = await openRecords({ db, rootKey, random: secureRandom, files, logger })
    const audit = await openAudit({ records, clock })
    const documents = await openDocuments({
      records,
      audit,
      blocks,
      rootKey,
      clock,
      random: secureRandom,
      logger,
      changed: (id) => this.changed.push(id),
      ...(sizeBytesMax !== undefined && { sizeBytesMax })
    })
    return { records, audit, documents }
  }

  /** Block CIDs in the store. */
  cids(): string[] {
    return [...this.blocks.blocks.keys()]
  }
}

/** A source that yields the bytes in pieces. */
export async function* pieces(
  content: Uint8Array | string,
  sizeBytes = 100_000
): AsyncGenerator<Uint8Array> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  for (let start = 0; start < bytes.length; start += sizeBytes)
    yield bytes.subarray(start, start + sizeBytes)
}

export async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return Buffer.concat(parts)
}

/** The whole plaintext of a document. */
export async function read(
  documents: DocumentStore,
  id: string,
  options: Parameters<DocumentStore['open']>[1] = {}
): Promise<Buffer> {
  return bytesOf((await documents.open(id, options)).content)
}
