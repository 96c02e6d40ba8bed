/**
 * CARv1, the file of content-addressed blocks that every IPFS tool reads (ipld.io, "CARv1").
 *
 *     varint ‖ dag-cbor { version: 1, roots: [CID…] }
 *     varint ‖ CID ‖ bytes                                one section for each block, to the end of the file
 *
 * Our own reader, for a backup is taken from anywhere: that of @ipld/car gathers as much as a length in the
 * file asks for, and leaves hashes to the caller. Here each length is bounded before a byte of it is read,
 * and a block is handed out only when its hash fits. Only CIDv1 with sha2-256 is known.
 *
 * @module
 */
import { hash } from 'node:crypto'
import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { z } from 'zod'
import { BLOCK_BYTES_MAX } from '../protocols/pull.ts'
import { LockerError } from './errors.ts'

/** Bytes of the header: about 400,000 roots at 41 bytes. */
const CAR_HEADER_BYTES_MAX = 16 * 1024 * 1024
/** Binary CIDv1 with a codec of one byte and sha2-256: 01, codec, 12 20, digest. */
const CID_BYTES = 36
const SECTION_BYTES_MAX = CID_BYTES + BLOCK_BYTES_MAX
const SHA2_256_PREFIX = [0x12, 0x20]
/** Bytes of a varint below 2^28, more than any length here. */
const VARINT_BYTES_MAX = 4

export interface CarBlock {
  readonly cid: CID
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** A CAR whose header has been read. */
export interface OpenedCar {
  readonly roots: readonly CID[]
  /** Every block in order, its hash checked. Throws `backup-damaged` with `facts.offset`. */
  readonly blocks: AsyncGenerator<CarBlock>
  /** Ends the source, wherever reading stopped. */
  close(): Promise<void>
}

/** A CID as a value of dag-cbor. */
export const cidValue = z.custom<CID>((value) => CID.asCID(value) !== null, 'not a CID')

const header = z.strictObject({ version: z.literal(1), roots: z.array(cidValue).min(1) })

/** The first bytes of a CAR. Throws `storage-failed` for more roots than its header may hold. */
export function formatCarHeader(roots: readonly CID[]): Uint8Array<ArrayBuffer> {
  const bytes = encodeCbor({ version: 1, roots })
  if (bytes.length > CAR_HEADER_BYTES_MAX)
    throw new LockerError('storage-failed', `${roots.length} roots are too many for one CAR`)
  return joined(varint(bytes.length), bytes)
}

/** One block as a section. */
export function formatCarBlock(cid: CID, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return joined(varint(cid.bytes.length + bytes.length), cid.bytes, bytes)
}

/** Begins to read a CAR from a stream cut anywhere; holds one block. Throws `backup-damaged`, and what the source throws. */
export async function openCar(source: AsyncIterable<Uint8Array>): Promise<OpenedCar> {
  const bytes = new ByteReader(source)
  try {
    const roots = await readRoots(bytes)
    return { roots, blocks: readBlocks(bytes), close: () => bytes.close() }
  } catch (error) {
    await bytes.close()
    throw error
  }
}

/** dag-cbor, or `undefined` where the bytes are none: a schema decides next. */
export function decodeBlock(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes)
  } catch {
    return undefined
  }
}

/** A backup that is not what was written. */
export function carDamaged(offset: number, fact: string, cause?: unknown): LockerError {
  return new LockerError('backup-damaged', `the backup is damaged at byte ${offset}: ${fact}`, {
    cause,
    facts: { offset, reason: fact }
  })
}

async function readRoots(bytes: ByteReader): Promise<readonly CID[]> {
  const length = await readLength(bytes, CAR_HEADER_BYTES_MAX)
  if (length === undefined) throw carDamaged(0, 'the file is empty')
  const parsed = header.safeParse(decodeBlock(await bytes.take(length)))
  if (!parsed.success) throw carDamaged(0, 'the header is not that of a CARv1')
  return parsed.data.roots
}

async function* readBlocks(bytes: ByteReader): AsyncGenerator<CarBlock> {
  for (;;) {
    const offset = bytes.offset
    const length = await readLength(bytes, SECTION_BYTES_MAX)
    if (length === undefined) return
    if (length < CID_BYTES) throw carDamaged(offset, `a section of ${length} bytes`)
    const cid = parseCid(await bytes.take(CID_BYTES), offset)
    const block = await bytes.take(length - CID_BYTES)
    if (Buffer.compare(hash('sha256', block, 'buffer'), cid.multihash.digest) !== 0)
      throw carDamaged(offset, `block ${cid.toString()} does not have its hash`)
    yield { cid, bytes: block }
  }
}

function parseCid(bytes: Uint8Array, offset: number): CID {
  const [version, codec = 0x80, ...multihash] = bytes
  const known = version === 1 && codec < 0x80 && SHA2_256_PREFIX.every((b, i) => multihash[i] === b)
  if (!known) throw carDamaged(offset, 'a block is not named by a CIDv1 with sha2-256')
  return CID.decode(bytes)
}

/** `undefined` at the end of the file. */
async function readLength(bytes: ByteReader, most: number): Promise<number | undefined> {
  const offset = bytes.offset
  let length = 0
  for (let position = 0; position < VARINT_BYTES_MAX; position++) {
    const byte = await bytes.next()
    if (byte === undefined) {
      if (position === 0) return undefined
      throw carDamaged(offset, 'the file ends within a length')
    }
    length += (byte & 0x7f) * 128 ** position
    if (byte < 0x80) {
      // A length has one form: a zero at its end would be a second one.
      if (byte === 0 && position > 0) throw carDamaged(offset, 'a length is not canonical')
      if (length > most) throw carDamaged(offset, `a length of ${length} where ${most} is the most`)
      return length
    }
  }
  throw carDamaged(offset, 'a length has no end')
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Uint8Array.from([...bytes, rest])
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** Bytes of a stream by number, whatever pieces it comes in; holds the piece it is in. */
class ByteReader {
  /** Bytes given out. */
  offset = 0
  readonly #source: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array()

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** One byte, or `undefined` at the end. */
  async next(): Promise<number | undefined> {
    if (!(await this.#fill())) return undefined
    const [byte] = this.#piece
    this.#advance(1)
    return byte
  }

  /** Exactly so many bytes, in an array of their own. */
  async take(length: number): Promise<Uint8Array<ArrayBuffer>> {
    const start = this.offset
    const taken = new Uint8Array(length)
    for (let filled = 0; filled < length;) {
      if (!(await this.#fill())) throw carDamaged(start, 'the file ends within a block')
      const part = this.#piece.subarray(0, length - filled)
      taken.set(part, filled)
      filled += part.length
      this.#advance(part.length)
    }
    return taken
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const next = await this.#source.next()
      if (next.done === true) return false
      this.#piece = next.value
    }
    return true
  }

  #advance(length: number): void {
    this.#piece = this.#piece.subarray(length)
    this.offset += length
  }
}
