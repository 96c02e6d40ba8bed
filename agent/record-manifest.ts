/**
 * What the database should hold: the manifest, written in every batch, and the head file, which
 * outlives the database.
 *
 * LevelDB can lose the end of a damaged log without an error, and a copy of the folder from last month
 * opens as if nothing had happened since. So every batch carries a sealed manifest, and now and then its
 * number goes to a file outside the database:
 *
 *     manifest/manifest   {v, seq, sublevels: [[name, count, digest]…],     in every batch
 *                          accepted?: [[name, number]…]}
 *     vault/head          {v, seq, digest}                                  at close and every 64 batches
 *
 *     seq      batches so far
 *     count    records of a collection, or number of the last entry of a sequence
 *     digest   of a collection: XOR of the keyed digests of its sealed records (record-seal.ts);
 *              of a sequence: SHA-256 of its last sealed entry, empty before the first
 *     accepted entries of sequences that are lost, and whose owner lives with it
 *     head     digest of the sealed manifest of that seq
 *
 * A record changed, lost, brought back from an earlier state or added by another hand makes count or
 * digest disagree. The numbers carry on from what the manifest says, not from what was found, so a
 * disagreement is named at every opening and not only at the first.
 *
 * @module
 */
import { z } from 'zod'
import type { Logger, SmallFiles } from './components.ts'
import { type RecordSeal, sealedHash } from './record-seal.ts'

export const MANIFEST_PATH = 'manifest/manifest'
const HEAD_FILE = 'head'
/** Batches between two writes of the head file: a loss of fewer is not noticed after a crash. */
export const HEAD_EVERY = 64
/** Sublevels a manifest may name; every feature has a handful. */
export const SUBLEVELS_MAX = 256

/** Lost entries an owner may accept: they travel in every batch from then on. */
export const ACCEPTED_MAX = 300

/** What one sublevel should hold. */
export interface SublevelState {
  readonly count: number
  /** 32 hexadecimal digits for a collection, 64 for a sequence, empty for an empty sequence. */
  readonly digest: string
}

const seqNumber = z.int().nonnegative()
const manifestSchema = z.object({
  v: z.literal(1),
  seq: seqNumber,
  sublevels: z
    .array(z.tuple([z.string().max(64), seqNumber, z.string().regex(/^[0-9a-f]{0,64}$/)]))
    .max(SUBLEVELS_MAX),
  accepted: z
    .array(z.tuple([z.string().max(64), z.string().max(64)]))
    .max(ACCEPTED_MAX)
    .exactOptional()
})
const headSchema = z.object({ v: z.literal(1), seq: seqNumber, digest: z.string().length(64) })

/** One state of the whole database. */
export interface Manifest {
  readonly seq: number
  readonly sublevels: ReadonlyMap<string, SublevelState>
  /** Lost entries that are not named any more, as `<sublevel>/<number>`. */
  readonly accepted: ReadonlySet<string>
}

export const EMPTY_MANIFEST: Manifest = { seq: 0, sublevels: new Map(), accepted: new Set() }

export function sealManifest(seal: RecordSeal, manifest: Manifest): Uint8Array {
  const sublevels = [...manifest.sublevels].map(([name, { count, digest }]) => [
    name,
    count,
    digest
  ])
  const accepted = [...manifest.accepted].map((path) => path.split('/'))
  const text = JSON.stringify({
    v: 1,
    seq: manifest.seq,
    sublevels,
    ...(accepted.length === 0 ? {} : { accepted })
  })
  return seal.seal(MANIFEST_PATH, text)
}

/** Throws when the bytes are not a manifest sealed in this locker. */
export function openManifest(seal: RecordSeal, sealed: Uint8Array): Manifest {
  const text = seal.open(MANIFEST_PATH, sealed)
  const { seq, sublevels, accepted = [] } = manifestSchema.parse(JSON.parse(text))
  return {
    seq,
    sublevels: new Map(sublevels.map(([name, count, digest]) => [name, { count, digest }])),
    accepted: new Set(accepted.map((path) => path.join('/')))
  }
}

/** The head file: remembers, outside the database, how far the database was. */
export class HeadFile {
  readonly #files: SmallFiles
  readonly #seal: RecordSeal
  readonly #logger: Logger
  #written: number | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(components: { files: SmallFiles; seal: RecordSeal; logger: Logger }) {
    this.#files = components.files
    this.#seal = components.seal
    this.#logger = components.logger
  }

  /**
   * What is wrong with a database at this state, judged by the head file; `undefined` when nothing is.
   * `minimumSeq` is where counting must go on.
   */
  async compare(
    manifest: Manifest,
    sealedManifest: Uint8Array | undefined
  ): Promise<{ minimumSeq: number; reason?: string }> {
    const sealed = await this.#files.read(HEAD_FILE)
    if (sealed === undefined) {
      // The file is written behind the batch that is due, so a crash may come first once, not twice.
      const lost = manifest.seq >= 2 * HEAD_EVERY
      return {
        minimumSeq: manifest.seq,
        ...(lost && { reason: `the head file is missing at change ${manifest.seq}` })
      }
    }
    let head: z.infer<typeof headSchema>
    try {
      head = headSchema.parse(JSON.parse(this.#seal.open(HEAD_FILE, sealed)))
    } catch {
      // The reason names it; what a tampered file says is of no use.
      return { minimumSeq: manifest.seq, reason: 'the head file is not what was sealed' }
    }
    if (head.seq > manifest.seq)
      return {
        minimumSeq: head.seq,
        reason: `the database is at change ${manifest.seq}, but change ${head.seq} had been made`
      }
    const forked =
      head.seq === manifest.seq &&
      sealedManifest !== undefined &&
      sealedHash(sealedManifest) !== head.digest
    return {
      minimumSeq: manifest.seq,
      ...(forked && { reason: `change ${head.seq} is not the one the head file remembers` })
    }
  }

  /** Writes the head in the background when it is {@link HEAD_EVERY} batches old. */
  passed(seq: number, sealedManifest: Uint8Array): void {
    if (seq - (this.#written ?? 0) < HEAD_EVERY) return
    this.#written = seq
    this.#writing = this.#writing.then(() => this.#write(seq, sealedManifest))
  }

  /** Waits for a write under way, then writes this state. A failure is logged: the database itself is whole. */
  async close(seq: number, sealedManifest: Uint8Array | undefined): Promise<void> {
    await this.#writing
    if (sealedManifest !== undefined) await this.#write(seq, sealedManifest)
  }

  async #write(seq: number, sealedManifest: Uint8Array): Promise<void> {
    const head = JSON.stringify({ v: 1, seq, digest: sealedHash(sealedManifest) })
    try {
      await this.#files.write(HEAD_FILE, this.#seal.seal(HEAD_FILE, head))
    } catch (error) {
      this.#logger.warn('records-head-not-written', { seq, error })
    }
  }
}
