/**
 * Documents of the agent in memory (fake-agent.ts).
 *
 * @module
 */
import type { AddOptions, ByteRange, DocumentFacts, Documents } from '../../agent/agent.ts'
import { newId, refuse, type FakeCore } from './fake-core.ts'

/** Bytes of one chunk of content, as the agent's own. */
const CHUNK_BYTES = 64 * 1024

export class FakeDocuments implements Documents {
  readonly #core: FakeCore
  readonly #documents = new Map<string, { facts: DocumentFacts; versions: Buffer[] }>()
  /** Uploads being read now. */
  running = 0

  constructor(core: FakeCore) {
    this.#core = core
  }

  async add(source: AsyncIterable<Uint8Array>, options: AddOptions): Promise<DocumentFacts> {
    this.#core.guard()
    const bytes = await this.#read(source)
    const id = newId()
    const now = this.#core.clock.now().toISOString()
    const version = {
      number: 1,
      root: `bafy${id}1`,
      sizeBytes: bytes.length,
      mediaType: mediaTypeOf(bytes),
      addedAt: now
    }
    const facts: DocumentFacts = {
      id,
      name: options.name,
      mediaType: version.mediaType,
      sizeBytes: version.sizeBytes,
      root: version.root,
      version: 1,
      versions: [version],
      tags: options.tags ?? [],
      ...(options.type === undefined ? {} : { type: options.type }),
      addedAt: now,
      changedAt: now
    }
    this.#documents.set(id, { facts, versions: [bytes] })
    this.#core.log({ action: 'document-added', actor: 'owner', document: { id, name: facts.name } })
    this.#core.changed('document', id)
    return facts
  }

  async addVersion(id: string, source: AsyncIterable<Uint8Array>): Promise<DocumentFacts> {
    const held = this.#held(id)
    const bytes = await this.#read(source)
    const number = held.versions.push(bytes)
    const version = {
      number,
      root: `bafy${id}${number}`,
      sizeBytes: bytes.length,
      mediaType: mediaTypeOf(bytes),
      addedAt: this.#core.clock.now().toISOString()
    }
    const { root, sizeBytes, mediaType } = version
    const versions = [...held.facts.versions, version]
    held.facts = { ...held.facts, version: number, versions, root, sizeBytes, mediaType }
    return held.facts
  }

  list(options: { trashed?: boolean } = {}): readonly DocumentFacts[] {
    this.#core.guard()
    return [...this.#documents.values()]
      .map(({ facts }) => facts)
      .filter(({ trashedAt }) => (trashedAt !== undefined) === (options.trashed === true))
      .toReversed()
  }

  search(query: string): readonly DocumentFacts[] {
    return this.list().filter(({ name }) => name.toLowerCase().startsWith(query.toLowerCase()))
  }

  get(id: string): DocumentFacts {
    return this.#held(id).facts
  }

  async open(
    id: string,
    options: { version?: number; range?: ByteRange } = {}
  ): ReturnType<Documents['open']> {
    const { facts } = this.#held(id)
    const number = options.version ?? facts.version
    const version = facts.versions[number - 1] ?? refuse('version-unknown')
    return { facts, version, content: this.chunks(id, options.range, number) }
  }

  async change(
    id: string,
    { type, ...facts }: Parameters<Documents['change']>[1]
  ): Promise<DocumentFacts> {
    const held = this.#held(id)
    const { type: known, ...rest } = held.facts
    const next = type === undefined ? known : (type ?? undefined)
    held.facts = { ...rest, ...facts, ...(next === undefined ? {} : { type: next }) }
    return held.facts
  }

  async trash(id: string): Promise<DocumentFacts> {
    const held = this.#held(id)
    held.facts = { ...held.facts, trashedAt: this.#core.clock.now().toISOString() }
    return held.facts
  }

  async restore(id: string): Promise<DocumentFacts> {
    const held = this.#held(id)
    const { trashedAt: _gone, ...facts } = held.facts
    held.facts = facts
    return facts
  }

  async delete(id: string): Promise<void> {
    this.#held(id)
    this.#documents.delete(id)
  }

  async check({ id }: { id?: string } = {}): ReturnType<Documents['check']> {
    const documents = id === undefined ? this.list() : [this.get(id)]
    const bytes = documents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return { documents: documents.length, blocks: documents.length, bytes, damaged: [] }
  }

  bytesOf(id: string, version?: number): Buffer {
    const { facts, versions } = this.#held(id)
    return versions[(version ?? facts.version) - 1] ?? refuse('version-unknown')
  }

  /** The bytes as the agent gives them: in chunks, one when asked. */
  async *chunks(
    id: string,
    range?: ByteRange,
    version?: number
  ): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const bytes = this.bytesOf(id, version)
    const end = range === undefined ? bytes.length : range.end + 1
    for (let start = range?.start ?? 0; start < end; start += CHUNK_BYTES)
      yield new Uint8Array(bytes.subarray(start, Math.min(start + CHUNK_BYTES, end)))
  }

  async #read(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
    this.running += 1
    const parts: Uint8Array[] = []
    try {
      // Chunks are copied: the sender may use their memory again.
      for await (const chunk of source) parts.push(Uint8Array.from(chunk))
    } finally {
      this.running -= 1
    }
    return Buffer.concat(parts)
  }

  #held(id: string): { facts: DocumentFacts; versions: Buffer[] } {
    this.#core.guard()
    return this.#documents.get(id) ?? refuse('document-unknown', `no document ${id}`)
  }
}

/** Enough sniffing for the tests: the agent's own is better. */
function mediaTypeOf(bytes: Buffer): string {
  const start = bytes.subarray(0, 200).toString('latin1').toLowerCase()
  if (start.startsWith('%pdf')) return 'application/pdf'
  if (start.includes('<html')) return 'text/html'
  if (start.includes('<svg')) return 'image/svg+xml'
  return 'application/octet-stream'
}
