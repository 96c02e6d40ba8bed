/**
 * The spool: envelopes that arrived while the vault was sealed, or while a fault of ours kept them from being
 * processed. They stay packed, in the order they came, one small file each:
 *
 *     <number>.<peer>.<size>     000000000042.9f86d081884c7d65.1843
 *
 * number: order of arrival, 12 digits; peer: first 8 bytes of SHA-256 over transport and peer, hex; size:
 * bytes. The names alone say how full the spool is, so nothing else has to be kept in step with the files.
 * A file is removed after its envelope has been processed; the envelope's id, remembered in the batch of
 * its effect, makes a crash in between harmless.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Logger, SmallFiles } from './components.ts'
import type { Origin, Reception } from './exchanges.ts'

/** Bytes of all spooled envelopes (DESIGN §11). */
export const SPOOL_BYTES_MAX = 64 * 1024 * 1024

/** Spooled envelopes: each is a file, and every opening lists the folder. */
const SPOOL_ENVELOPES_MAX = 5_000

/** Share of either limit that one peer may take, so that no one peer can fill the spool. */
const SPOOL_PEER_SHARE = 0.1

const NAME = /^(\d{12})\.([0-9a-f]{16})\.(\d{1,9})$/

export interface SpoolComponents {
  readonly files: SmallFiles
  readonly logger: Logger
  /** Defaults {@link SPOOL_BYTES_MAX} and {@link SPOOL_ENVELOPES_MAX}. */
  readonly limits?: { readonly bytes?: number; readonly envelopes?: number }
}

interface Spooled {
  readonly name: string
  readonly peer: string
  readonly sizeBytes: number
}

/** Lists what is there. Files whose names are not the spool's are left alone. */
export async function openSpool(components: SpoolComponents): Promise<Spool> {
  const names = await components.files.list()
  return new Spool(components, names)
}

export class Spool {
  readonly #files: SmallFiles
  readonly #logger: Logger
  readonly #bytesMax: number
  readonly #envelopesMax: number
  /** In order of arrival. */
  readonly #waiting: Spooled[] = []
  readonly #bytesOfPeer = new Map<string, number>()
  readonly #envelopesOfPeer = new Map<string, number>()
  #bytes = 0
  #number = 0
  #writing = 0

  constructor(components: SpoolComponents, names: readonly string[]) {
    this.#files = components.files
    this.#logger = components.logger
    this.#bytesMax = components.limits?.bytes ?? SPOOL_BYTES_MAX
    this.#envelopesMax = components.limits?.envelopes ?? SPOOL_ENVELOPES_MAX
    for (const name of names.toSorted()) {
      const [, number, peer, size] = NAME.exec(name) ?? []
      if (number === undefined || peer === undefined || size === undefined) continue
      this.#number = Number(number)
      const spooled = { name, peer, sizeBytes: Number(size) }
      this.#waiting.push(spooled)
      this.#count(spooled, 1)
    }
  }

  /** Envelopes waiting, those being written included. */
  get size(): number {
    return this.#waiting.length + this.#writing
  }

  /** Keeps an envelope; durable when it resolves. False: dropped, because the spool or the peer's share of it is full. */
  async put(envelope: Uint8Array, origin: Origin): Promise<boolean> {
    const peer = createHash('sha256')
      .update(`${origin.transport}:${origin.peer ?? ''}`)
      .digest('hex')
      .slice(0, 16)
    const sizeBytes = envelope.byteLength
    if (this.#full(peer, sizeBytes)) {
      this.#logger.warn('envelope-refused', { reason: 'spool-full', peer, waiting: this.size })
      return false
    }
    const number = String((this.#number += 1)).padStart(12, '0')
    const spooled = { name: `${number}.${peer}.${sizeBytes}`, peer, sizeBytes }
    this.#count(spooled, 1)
    this.#writing += 1
    try {
      await this.#files.write(spooled.name, envelope)
      this.#insert(spooled)
      return true
    } catch (error) {
      this.#count(spooled, -1)
      throw error
    } finally {
      this.#writing -= 1
    }
  }

  /**
   * Processes what waits, oldest first, what arrives meanwhile included, until nothing waits. False: an
   * envelope could not be processed now; it and those behind it stay.
   */
  async drain(process: (envelope: Uint8Array) => Promise<Reception>): Promise<boolean> {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined) return true
      const envelope = await this.#files.read(next.name)
      if (envelope !== undefined && (await process(envelope)) === 'later') return false
      await this.#files.remove(next.name)
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#count(next, -1)
    }
  }

  #full(peer: string, sizeBytes: number): boolean {
    const bytesOfPeer = (this.#bytesOfPeer.get(peer) ?? 0) + sizeBytes
    const envelopesOfPeer = (this.#envelopesOfPeer.get(peer) ?? 0) + 1
    return (
      this.#bytes + sizeBytes > this.#bytesMax ||
      this.size + 1 > this.#envelopesMax ||
      bytesOfPeer > this.#bytesMax * SPOOL_PEER_SHARE ||
      envelopesOfPeer > this.#envelopesMax * SPOOL_PEER_SHARE
    )
  }

  /** Two writes may end in the other order than they began. */
  #insert(spooled: Spooled): void {
    const after = this.#waiting.findLastIndex(({ name }) => name < spooled.name)
    this.#waiting.splice(after + 1, 0, spooled)
  }

  #count({ peer, sizeBytes }: Spooled, sign: 1 | -1): void {
    this.#bytes += sign * sizeBytes
    const bytes = (this.#bytesOfPeer.get(peer) ?? 0) + sign * sizeBytes
    const envelopes = (this.#envelopesOfPeer.get(peer) ?? 0) + sign
    if (envelopes > 0) {
      this.#bytesOfPeer.set(peer, bytes)
      this.#envelopesOfPeer.set(peer, envelopes)
    } else {
      this.#bytesOfPeer.delete(peer)
      this.#envelopesOfPeer.delete(peer)
    }
  }
}
