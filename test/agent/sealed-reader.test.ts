/** Sealed files as a peer might make them: every tree our writer does not make is refused. */
import { encode as encodeNode } from '@ipld/dag-pb'
import { expect } from 'chai'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { createHash, randomBytes } from 'node:crypto'
import {
  LEAF_BYTES_MIN,
  LEVELS_MAX,
  LINKS_MAX,
  SealedDag,
  walkDag
} from '../../agent/sealed-dag.ts'
import { openSealed, READ_AHEAD, readSealedBytes } from '../../agent/sealed-reader.ts'
import { storeSealed, type StoredFile } from '../../agent/sealed-writer.ts'
import { hybridIdentity } from '../../protocols/sealed/recipients.ts'
import { bytesOf, pieces } from './document-home.ts'
import { secureRandom } from './faults.ts'
import { all, failure } from './record-home.ts'

const RAW = 0x55
const DAG_PB = 0x70
const MIB = 1_048_576

/** A peer's blocks. */
class Blocks {
  readonly blocks = new Map<string, Uint8Array>()
  gets = 0
  ahead = 0
  aheadMax = 0

  get = async (cid: CID): Promise<Uint8Array> => {
    this.gets++
    this.aheadMax = Math.max(this.aheadMax, ++this.ahead)
    await new Promise(setImmediate)
    this.ahead--
    const bytes = this.blocks.get(cid.toString())
    if (bytes === undefined) throw new RangeError(`no block ${cid.toString()}`)
    return bytes
  }

  put(code: number, bytes: Uint8Array): CID {
    const digest = Digest.create(0x12, createHash('sha256').update(bytes).digest())
    const cid = CID.createV1(code, digest)
    this.blocks.set(cid.toString(), bytes)
    return cid
  }

  leaf(sizeBytes: number): { cid: CID; size: bigint } {
    return { cid: this.put(RAW, randomBytes(sizeBytes)), size: BigInt(sizeBytes) }
  }

  /** A UnixFS node over the children. */
  node(
    children: ReadonlyArray<{ cid: CID; size: bigint }>,
    options: { type?: 'file' | 'directory'; data?: Uint8Array; sizes?: readonly bigint[] } = {}
  ): { cid: CID; size: bigint } {
    const { type = 'file', data, sizes = children.map(({ size }) => size) } = options
    const file = new UnixFS({ type, ...(data !== undefined && { data }), blockSizes: [...sizes] })
    const Links = children.map(({ cid, size }) => ({ Hash: cid, Name: '', Tsize: Number(size) }))
    const cid = this.put(DAG_PB, encodeNode({ Data: file.marshal(), Links }))
    return { cid, size: sizes.reduce((sum, size) => sum + size, 0n) }
  }

  async store(content: Uint8Array): Promise<StoredFile> {
    return storeSealed(pieces(content), {
      recipient: hybridIdentity(secureRandom(32)).recipient,
      random: secureRandom,
      putBlock: async (cid, bytes) => void this.blocks.set(cid.toString(), bytes),
      sizeBytesMax: Number.POSITIVE_INFINITY
    })
  }
}

const refuse = async (): Promise<Uint8Array> => Promise.reject(new RangeError('peer says no'))

describe('agent/sealed-reader', () => {
  let blocks: Blocks
  beforeEach(() => {
    blocks = new Blocks()
  })

  const walk = async (root: { cid: CID } | string): Promise<number> =>
    (await all(walkDag(typeof root === 'string' ? root : root.cid.toString(), blocks.get))).length

  describe('the tree', () => {
    it('may have 1,024 links a node and four levels', async () => {
      const leaf = blocks.leaf(LEAF_BYTES_MIN)
      const wide = blocks.node(Array.from({ length: LINKS_MAX }, () => leaf))
      expect(await walk(wide)).to.equal(LINKS_MAX + 1)
      const deep = blocks.node([blocks.node([blocks.node([leaf])])])
      expect(await walk(deep)).to.equal(LEVELS_MAX)
    })

    const refused: Record<string, (made: Blocks) => { cid: CID } | string> = {
      'no CID': () => 'not a cid',
      CIDv0: () => CID.createV0(Digest.create(0x12, randomBytes(32))).toString(),
      'another codec': (made) => ({ cid: made.put(0x71, randomBytes(10)) }),
      'another hash': () => CID.createV1(RAW, Digest.create(0x13, randomBytes(64))).toString(),
      'a digest cut short': () =>
        CID.createV1(RAW, Digest.create(0x12, randomBytes(20))).toString(),
      'a child with an identity hash': (made) =>
        made.node([{ cid: CID.createV1(RAW, Digest.create(0x00, randomBytes(9))), size: 9n }]),
      'a directory': (made) => made.node([made.leaf(70_000)], { type: 'directory' }),
      'a node with data of its own': (made) =>
        made.node([made.leaf(70_000)], { data: randomBytes(5) }),
      'a node without links': (made) => made.node([]),
      '1,025 links': (made) => {
        const leaf = made.leaf(LEAF_BYTES_MIN)
        return made.node(Array.from({ length: LINKS_MAX + 1 }, () => leaf))
      },
      'five levels': (made) =>
        made.node([made.node([made.node([made.node([made.leaf(70_000)])])])]),
      'more links than sizes': (made) => made.node([made.leaf(70_000)], { sizes: [] }),
      'a size of 0': (made) => made.node([made.leaf(0), made.leaf(70_000)]),
      'a leaf said to be larger than a block': (made) =>
        made.node([made.leaf(70_000)], { sizes: [2n * 1_048_576n + 1n] }),
      'a size beyond 2^53': (made) =>
        made.node([made.node([made.leaf(70_000)])], { sizes: [2n ** 60n] }),
      'an inner node of another size than its parent says': (made) =>
        made.node([{ ...made.node([made.leaf(70_000)]), size: 80_000n }]),
      'crumbs in the middle of a file': (made) => made.node([made.leaf(10), made.leaf(70_000)]),
      'bytes that are no node': (made) => ({ cid: made.put(DAG_PB, randomBytes(100)) }),
      'a node of 2 MiB and a byte': (made) => ({
        cid: made.put(DAG_PB, randomBytes(2 * MIB + 1))
      })
    }
    for (const [what, make] of Object.entries(refused))
      it(`is refused with ${what}`, async () => {
        expect((await failure(walk(make(blocks)))).code).to.equal('integrity-failed')
      })

    it('is refused as damaged when a node is not what its CID says', async () => {
      const { cid } = blocks.node([blocks.leaf(70_000)])
      const other = blocks.node([blocks.leaf(80_000)])
      blocks.blocks.set(cid.toString(), blocks.blocks.get(other.cid.toString()) ?? randomBytes(1))
      const error = await failure(walk({ cid }))
      expect(error.code).to.equal('document-damaged')
      expect(error.facts).to.deep.equal({ blocks: [cid.toString()] })
    })

    it('survives any bytes for a node', async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
          const { code } = await failure(walk({ cid: blocks.put(DAG_PB, bytes) }))
          expect(code).to.equal('integrity-failed')
        }),
        { numRuns: 200 }
      )
    })

    it('passes on what the source of blocks throws', async () => {
      const root = blocks.node([blocks.leaf(70_000)]).cid.toString()
      const refusal = await SealedDag.open(root, refuse).catch((thrown: unknown) => thrown)
      expect(refusal).to.be.instanceOf(RangeError)
    })
  })

  describe('the file', () => {
    it('is read three blocks ahead, and no further than it is asked', async () => {
      const file = await blocks.store(randomBytes(10 * MIB))
      blocks.gets = 0
      const reading = openSealed({ ...file, getBlock: blocks.get })
      await reading.next()
      await new Promise(setImmediate)
      await reading.return()
      // Root; the header's leaves; then the first leaf and those ahead of it.
      expect(blocks.gets).to.be.at.most(2 * (READ_AHEAD + 1) + 1)
      expect(blocks.aheadMax).to.be.within(2, READ_AHEAD + 1)
      expect((await bytesOf(openSealed({ ...file, getBlock: blocks.get }))).length).to.equal(
        10 * MIB
      )
    })

    it('is refused with another key', async () => {
      const file = await blocks.store(randomBytes(100))
      const reading = bytesOf(
        openSealed({ ...file, fileKey: secureRandom(16), getBlock: blocks.get })
      )
      expect((await failure(reading)).code).to.equal('integrity-failed')
    })

    for (const difference of [-1, 1, 5_000])
      it(`is refused when its length is said to be ${difference} bytes off`, async () => {
        const file = await blocks.store(randomBytes(10_000))
        const sizeBytes = file.sizeBytes + difference
        const reading = bytesOf(openSealed({ ...file, sizeBytes, getBlock: blocks.get }))
        expect((await failure(reading)).code).to.equal('integrity-failed')
      })

    it('is refused when it is cut short, at a chunk or elsewhere', async () => {
      const content = randomBytes(200_000)
      const file = await blocks.store(content)
      const sealed = await bytesOf(readSealedBytes({ root: file.root, getBlock: blocks.get }))
      const chunkEnd = sealed.length - ((sealed.length - 2_000) % 65_552)
      for (const length of [0, 1, 200, 2_000, chunkEnd, sealed.length - 1]) {
        const root = blocks.put(RAW, sealed.subarray(0, length)).toString()
        const reading = bytesOf(openSealed({ ...file, root, getBlock: blocks.get }))
        expect((await failure(reading)).code, `${length} bytes`).to.equal('integrity-failed')
      }
      const longer = blocks.put(RAW, Buffer.concat([sealed, Buffer.alloc(1)])).toString()
      const reading = bytesOf(openSealed({ ...file, root: longer, getBlock: blocks.get }))
      expect((await failure(reading)).code).to.equal('integrity-failed')
    })

    it('is refused with any byte changed, whoever computed the CIDs', async () => {
      const file = await blocks.store(randomBytes(70_000))
      const sealed = await bytesOf(readSealedBytes({ root: file.root, getBlock: blocks.get }))
      await fc.assert(
        fc.asyncProperty(fc.nat({ max: sealed.length - 1 }), async (offset) => {
          const forged = Buffer.from(sealed)
          forged[offset] = (forged[offset] ?? 0) ^ 1
          const root = blocks.put(RAW, forged).toString()
          const reading = bytesOf(openSealed({ ...file, root, getBlock: blocks.get }))
          expect((await failure(reading)).code).to.equal('integrity-failed')
        }),
        { numRuns: 150 }
      )
    })

    it('opens under another tree of the same bytes', async () => {
      const content = randomBytes(500_000)
      const file = await blocks.store(content)
      const sealed = await bytesOf(readSealedBytes({ root: file.root, getBlock: blocks.get }))
      const leaves: Array<{ cid: CID; size: bigint }> = []
      for (let start = 0; start < sealed.length; start += 70_000) {
        const bytes = sealed.subarray(start, start + 70_000)
        leaves.push({ cid: blocks.put(RAW, bytes), size: BigInt(bytes.length) })
      }
      const root = blocks
        .node([blocks.node(leaves.slice(0, 3)), blocks.node(leaves.slice(3))])
        .cid.toString()
      const opened = await bytesOf(openSealed({ ...file, root, getBlock: blocks.get }))
      expect(opened.equals(content)).to.equal(true)
      await fc.assert(
        fc.asyncProperty(fc.nat(499_999), fc.nat(499_999), async (one, other) => {
          const range = { start: Math.min(one, other), end: Math.max(one, other) }
          const part = openSealed({ ...file, root, getBlock: blocks.get }, range)
          const expected = content.subarray(range.start, range.end + 1)
          expect((await bytesOf(part)).equals(expected)).to.equal(true)
        }),
        { numRuns: 40 }
      )
    })
  })
})
