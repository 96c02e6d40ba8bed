/**
 * The UnixFS tree over a sealed file, read with suspicion: it may come from a peer.
 *
 * Allowed is what agent/sealed-writer.ts makes, and no more: CIDv1 with sha2-256; dag-pb nodes of UnixFS
 * type `file` without data of their own; raw leaves. At most {@link LEVELS_MAX} levels, {@link LINKS_MAX}
 * links a node, 2 MiB a block. The sizes a node gives must be those its children turn out to have,
 * so a range is found without reading what lies before it, and the work is bounded by the file's size.
 * The bytes of inner nodes are checked against their CID here; leaves are checked by who opens them.
 *
 * @module
 */
import { hash } from 'node:crypto'
import { decode as decodeNode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { BLOCK_BYTES_MAX } from '../protocols/pull.ts'
import { LockerError } from './errors.ts'

/** Levels of a tree, leaves included: 1,024³ leaves, 1 PiB. */
export const LEVELS_MAX = 4
/** Links of one node; kubo and Helia make at most 1,024. */
export const LINKS_MAX = 1_024
/**
 * Bytes of every leaf but a file's last. Smaller ones would let a peer's tree of a small file cost
 * millions of fetches.
 */
export const LEAF_BYTES_MIN = 65_536

const RAW = 0x55
const DAG_PB = 0x70
const SHA2_256 = 0x12
const SHA2_256_BYTES = 32

/** Gives a block's bytes. Its errors are passed on as they are. */
export type GetBlock = (cid: CID) => Promise<Uint8Array>

/** A block of the tree. */
export interface DagBlock {
  readonly cid: CID
  readonly kind: 'node' | 'leaf'
  /** Where its bytes begin in the file. */
  readonly start: number
  /** Bytes of the file below it. */
  readonly sizeBytes: number
}

interface Link {
  readonly cid: CID
  readonly sizeBytes: number
}

/** A tree whose root has been read. */
export class SealedDag {
  readonly root: CID
  /** Length of the file. */
  readonly sizeBytes: number
  /** Links of the root, unless it is a leaf. */
  readonly #links: readonly Link[] | undefined
  /** The root's bytes, when it is a leaf. */
  readonly #leaf: Uint8Array | undefined
  readonly #getBlock: GetBlock

  private constructor(
    root: CID,
    sizeBytes: number,
    read: { links?: readonly Link[]; leaf?: Uint8Array },
    getBlock: GetBlock
  ) {
    this.root = root
    this.sizeBytes = sizeBytes
    this.#links = read.links
    this.#leaf = read.leaf
    this.#getBlock = getBlock
  }

  /** Reads the root. Throws `integrity-failed` for a root that is none, and what `getBlock` throws. */
  static async open(root: string, getBlock: GetBlock): Promise<SealedDag> {
    const cid = parseRoot(root)
    const bytes = await getBlock(cid)
    if (cid.code === RAW) {
      if (bytes.length > BLOCK_BYTES_MAX) throw malformed(cid, `has ${bytes.length} bytes`)
      // Its length is the file's and stands nowhere else, so it is checked before it is believed.
      if (!hasHash(cid, bytes)) throw damaged(cid)
      return new SealedDag(cid, bytes.length, { leaf: bytes }, getBlock)
    }
    const links = linksOf(cid, bytes)
    return new SealedDag(cid, sumOf(links), { links }, getBlock)
  }

  /** Bytes of a leaf; the root's own are not fetched twice. Throws `integrity-failed` for a wrong length. */
  async leaf(block: DagBlock): Promise<Uint8Array> {
    if (this.#leaf !== undefined) return this.#leaf
    const bytes = await this.#getBlock(block.cid)
    if (bytes.length !== block.sizeBytes)
      throw hasHash(block.cid, bytes)
        ? malformed(block.cid, `has ${bytes.length} bytes where ${block.sizeBytes} should be`)
        : damaged(block.cid)
    return bytes
  }

  /**
   * The blocks that hold bytes `start` to `end` (exclusive) of the file, each node before what lies
   * below it, leaves in order. Only nodes are read.
   */
  async *blocks(start = 0, end = this.sizeBytes): AsyncGenerator<DagBlock> {
    const whole = { cid: this.root, start: 0, sizeBytes: this.sizeBytes }
    if (this.#links === undefined) {
      yield { ...whole, kind: 'leaf' }
      return
    }
    yield { ...whole, kind: 'node' }
    yield* this.#below(this.#links, { offset: 0, level: 2, start, end })
  }

  /** The leaves among {@link blocks}. */
  async *leaves(start: number, end: number): AsyncGenerator<DagBlock> {
    for await (const block of this.blocks(start, end)) if (block.kind === 'leaf') yield block
  }

  async *#below(
    links: readonly Link[],
    at: { offset: number; level: number; start: number; end: number }
  ): AsyncGenerator<DagBlock> {
    const { level, start, end } = at
    let { offset } = at
    for (const { cid, sizeBytes } of links) {
      const behind = offset + sizeBytes
      if (offset < end && behind > start) {
        if (cid.code === RAW) {
          if (sizeBytes < LEAF_BYTES_MIN && behind !== this.sizeBytes)
            throw malformed(cid, `is a leaf of ${sizeBytes} bytes in the middle of a file`)
          yield { cid, kind: 'leaf', start: offset, sizeBytes }
        } else {
          if (level >= LEVELS_MAX) throw malformed(cid, `lies below level ${LEVELS_MAX}`)
          const children = linksOf(cid, await this.#getBlock(cid))
          if (sumOf(children) !== sizeBytes)
            throw malformed(cid, `holds ${sumOf(children)} bytes where ${sizeBytes} should be`)
          yield { cid, kind: 'node', start: offset, sizeBytes }
          yield* this.#below(children, { offset, level: level + 1, start, end })
        }
      }
      offset = behind
    }
  }
}

/**
 * Every block of the tree below `root`. Leaves are named, not read, and so is a root that is a leaf: its
 * size is then 0. Throws `integrity-failed`, and what `getBlock` throws.
 */
export async function* walkDag(root: string, getBlock: GetBlock): AsyncGenerator<DagBlock> {
  const cid = parseRoot(root)
  if (cid.code === RAW) {
    yield { cid, kind: 'leaf', start: 0, sizeBytes: 0 }
    return
  }
  const dag = await SealedDag.open(root, getBlock)
  yield* dag.blocks()
}

/** Whether the bytes are the block's. */
export function hasHash(cid: CID, bytes: Uint8Array): boolean {
  return Buffer.compare(hash('sha256', bytes, 'buffer'), cid.multihash.digest) === 0
}

/** A block that is missing or not what its CID says; its CID is in `facts.blocks`. */
export function damaged(cid: CID, cause?: unknown): LockerError {
  return new LockerError('document-damaged', `block ${cid.toString()} is missing or damaged`, {
    cause,
    facts: { blocks: [cid.toString()] }
  })
}

function parseRoot(root: string): CID {
  let cid: CID
  try {
    cid = CID.parse(root)
  } catch (cause) {
    throw new LockerError('integrity-failed', 'the root is not a CID', { cause })
  }
  checkCid(cid)
  return cid
}

function checkCid(cid: CID): void {
  const { version, code, multihash } = cid
  const allowed =
    version === 1 &&
    (code === RAW || code === DAG_PB) &&
    multihash.code === SHA2_256 &&
    multihash.digest.length === SHA2_256_BYTES
  if (!allowed) throw malformed(cid, 'is not a CIDv1 of raw or dag-pb with sha2-256')
}

function linksOf(cid: CID, bytes: Uint8Array): readonly Link[] {
  if (bytes.length > BLOCK_BYTES_MAX) throw malformed(cid, `has ${bytes.length} bytes`)
  if (!hasHash(cid, bytes)) throw damaged(cid)
  const { file, children } = decodeFile(cid, bytes)
  if (file.type !== 'file') throw malformed(cid, `is a UnixFS ${file.type}`)
  if (file.data !== undefined && file.data.length > 0) throw malformed(cid, 'has data of its own')
  if (children.length === 0 || children.length > LINKS_MAX)
    throw malformed(cid, `has ${children.length} links`)
  if (children.length !== file.blockSizes.length)
    throw malformed(cid, `has ${children.length} links and ${file.blockSizes.length} sizes`)
  return children.map((child, position) => {
    checkCid(child)
    const sizeBytes = Number(file.blockSizes[position])
    const most = child.code === RAW ? BLOCK_BYTES_MAX : Number.MAX_SAFE_INTEGER
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1 || sizeBytes > most)
      throw malformed(cid, `gives a child ${sizeBytes} bytes`)
    return { cid: child, sizeBytes }
  })
}

function decodeFile(cid: CID, bytes: Uint8Array): { file: UnixFS; children: readonly CID[] } {
  try {
    const { Data, Links } = decodeNode(bytes)
    return {
      file: UnixFS.unmarshal(Data ?? new Uint8Array()),
      children: Links.map(({ Hash }) => Hash)
    }
  } catch (cause) {
    throw new LockerError('integrity-failed', `block ${cid.toString()} is not a UnixFS node`, {
      cause
    })
  }
}

function sumOf(links: readonly Link[]): number {
  const sum = links.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
  if (!Number.isSafeInteger(sum))
    throw new LockerError('integrity-failed', 'a tree of more than 2^53 bytes')
  return sum
}

function malformed(cid: CID, fact: string): LockerError {
  return new LockerError('integrity-failed', `block ${cid.toString()} ${fact}`)
}
