import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as dagPb from '@ipld/dag-pb'
import { identity } from 'multiformats/hashes/identity'
import { sha256 } from 'multiformats/hashes/sha2'
import type { BlockStore } from '../../node/blocks.ts'
import { OPEN_FILES_MAX, openBlocks } from '../../node/blocks.ts'
import { BLOCK_BYTES_MAX } from '../../protocols/pull.ts'
import {
  FaultyFiles,
  failure,
  keepingLogger,
  systemFault,
  temporaryFolder
} from './faulty-files.ts'

async function block(bytes: Uint8Array, code: number = raw.code): Promise<CID> {
  return CID.createV1(code, await sha256.digest(bytes))
}

async function fileOf(folder: string, cid: CID): Promise<string> {
  const names = await readdir(folder, { recursive: true })
  const name = names.find(
    (entry) => entry.endsWith(`/${cid.toString()}`) && !entry.startsWith('damaged/')
  )
  if (name === undefined) throw new Error(`no file of ${cid.toString()}`)
  return join(folder, name)
}

describe('block store', () => {
  let folder: AsyncDisposable & { path: string }
  let faults: FaultyFiles
  let damaged: string[]
  let blocks: BlockStore

  beforeEach(async () => {
    folder = await temporaryFolder()
    faults = new FaultyFiles()
    damaged = []
    blocks = await openBlocks({
      folder: folder.path,
      logger: keepingLogger(),
      damaged: (cid) => damaged.push(cid.toString()),
      files: faults.files
    })
  })
  afterEach(() => folder[Symbol.asyncDispose]())

  it('gives back what was put, with its CID', async () => {
    const bytes = randomBytes(1000)
    const cids = [await block(bytes), await block(randomBytes(3), dagPb.code)]
    await blocks.put(cids[0]!, bytes)
    expect(Buffer.from(await blocks.read(cids[0]!))).to.deep.equal(bytes)
    expect(await blocks.has(cids[0]!)).to.equal(true)
    expect(await blocks.has(cids[1]!)).to.equal(false)
    expect(await blocks.stat()).to.deep.equal({ blocks: 1, bytes: 1000 })
    const all: string[] = []
    for await (const pair of blocks.getAll()) {
      for await (const part of pair.bytes) expect(Buffer.from(part)).to.deep.equal(bytes)
      all.push(pair.cid.toString())
    }
    expect(all).to.deep.equal([cids[0]!.toString()])
    await blocks.delete(cids[0]!)
    await blocks.delete(cids[0]!)
    expect((await failure(blocks.read(cids[0]!))).name).to.equal('NotFoundError')
    expect(damaged).to.be.empty
  })

  it('keeps blocks over a reopen and removes what a crash left half written', async () => {
    const bytes = randomBytes(100)
    const cid = await block(bytes)
    await blocks.put(cid, bytes)
    await writeFile(join(folder.path, 'tmp', '7'), 'half')
    const reopened = await openBlocks({ folder: folder.path, logger: keepingLogger() })
    expect(await readdir(join(folder.path, 'tmp'))).to.be.empty
    expect(Buffer.from(await reopened.read(cid))).to.deep.equal(bytes)
  })

  it('puts many blocks and yields their CIDs in order', async () => {
    const bytes = Array.from({ length: 40 }, () => randomBytes(50))
    const pairs = await Promise.all(bytes.map(async (b) => ({ cid: await block(b), bytes: b })))
    const stored: string[] = []
    for await (const cid of blocks.putMany(pairs)) stored.push(cid.toString())
    expect(stored).to.deep.equal(pairs.map(({ cid }) => cid.toString()))
    expect(await blocks.stat()).to.deep.equal({ blocks: 40, bytes: 2000 })
  })

  it('reports every flipped byte, sets the block aside and takes it again', async () => {
    const bytes = randomBytes(64)
    const cid = await block(bytes)
    for (let position = 0; position < bytes.length; position++) {
      await blocks.put(cid, bytes)
      const file = await fileOf(folder.path, cid)
      const flipped = await readFile(file)
      flipped[position]! ^= 1
      await writeFile(file, flipped)
      expect((await failure(blocks.read(cid))).name).to.equal('NotFoundError')
      expect(await blocks.has(cid)).to.equal(false)
      expect(await readFile(join(folder.path, 'damaged', cid.toString()))).to.deep.equal(flipped)
    }
    expect(damaged).to.have.length(bytes.length)
    expect(new Set(damaged)).to.deep.equal(new Set([cid.toString()]))
  })

  it('finds a cut, an emptied and a grown block damaged, the last without reading it', async () => {
    for (const content of [Buffer.alloc(9), Buffer.alloc(0), Buffer.alloc(BLOCK_BYTES_MAX + 1)]) {
      const bytes = randomBytes(10)
      const cid = await block(bytes)
      await blocks.put(cid, bytes)
      await writeFile(await fileOf(folder.path, cid), content)
      faults.before = (call) => {
        if (call === 'read' && content.length > 10) throw systemFault('EIO')
      }
      expect((await failure(blocks.read(cid))).name).to.equal('NotFoundError')
      expect(damaged.pop()).to.equal(cid.toString())
    }
  })

  it('does not set aside the good block that replaced the damaged one it read', async () => {
    const bytes = randomBytes(10)
    const cid = await block(bytes)
    await blocks.put(cid, bytes)
    const file = await fileOf(folder.path, cid)
    await writeFile(file, 'wrong')
    await writeFile(`${file}.good`, bytes)
    let healed: Promise<void> | undefined
    faults.before = (call) => {
      // The damaged file has been read when its replacement arrives.
      if (call === 'stat') healed ??= rename(`${file}.good`, file)
    }
    const stat = faults.files.stat
    Object.assign(faults.files, {
      stat: async (path: string) => {
        faults.before('stat', path)
        await healed
        return stat(path)
      }
    })
    expect((await failure(blocks.read(cid))).name).to.equal('NotFoundError')
    expect(damaged).to.be.empty
    expect(Buffer.from(await blocks.read(cid))).to.deep.equal(bytes)
  })

  it('opens at most 64 files however many blocks are asked for', async () => {
    const bytes = Array.from({ length: 300 }, () => randomBytes(20))
    const cids = await Promise.all(bytes.map((b) => block(b)))
    await Promise.all(cids.map((cid, number) => blocks.put(cid, bytes[number]!)))
    const read = await Promise.all([...cids, ...cids, ...cids].map((cid) => blocks.read(cid)))
    expect(read).to.have.length(900)
    expect(faults.openMax).to.be.within(2, OPEN_FILES_MAX)
    expect(faults.open).to.equal(0)
  })

  it('gives up a wait for a descriptor when the signal aborts', async () => {
    const bytes = randomBytes(20)
    const cid = await block(bytes)
    await blocks.put(cid, bytes)
    const controller = new AbortController()
    const reads = Array.from({ length: 200 }, () =>
      blocks.read(cid, { signal: controller.signal }).then(
        () => 'read',
        (error: unknown) => (error === controller.signal.reason ? 'aborted' : 'other')
      )
    )
    controller.abort()
    const outcomes = await Promise.all(reads)
    expect(outcomes.filter((outcome) => outcome === 'aborted')).to.have.length(200 - OPEN_FILES_MAX)
    expect(outcomes).to.not.include('other')
  })

  const faultsOfReading = {
    EIO: 'storage-failed',
    EMFILE: 'storage-failed',
    EACCES: 'storage-failed'
  }
  for (const [fault, code] of Object.entries(faultsOfReading))
    it(`says ${code} for ${fault} while reading, not "absent"`, async () => {
      const bytes = randomBytes(20)
      const cid = await block(bytes)
      await blocks.put(cid, bytes)
      for (const failing of ['open', 'read'] as const) {
        faults.before = (call) => {
          if (call === failing) throw systemFault(fault)
        }
        expect((await failure(blocks.read(cid))).code).to.equal(code)
      }
      faults.before = () => undefined
      expect(damaged).to.be.empty
      expect(Buffer.from(await blocks.read(cid))).to.deep.equal(bytes)
    })

  for (const failing of ['open', 'writeFile', 'datasync', 'rename', 'sync'] as const)
    it(`says storage-full when ${failing} meets a full disk, leaves no half block, and goes on later`, async () => {
      const bytes = randomBytes(20)
      const cid = await block(bytes)
      faults.before = (call) => {
        if (call === failing) throw systemFault('ENOSPC')
      }
      expect((await failure(Promise.resolve(blocks.put(cid, bytes)))).code).to.equal('storage-full')
      faults.before = () => undefined
      expect(await readdir(join(folder.path, 'tmp'))).to.be.empty
      expect(faults.open).to.equal(0)
      await blocks.put(cid, bytes)
      expect(Buffer.from(await blocks.read(cid))).to.deep.equal(bytes)
    })

  it('makes a block and its name durable before put resolves', async () => {
    const calls: string[] = []
    faults.before = (call) => void calls.push(call)
    const bytes = randomBytes(20)
    const cid = await block(bytes)
    await blocks.put(cid, bytes)
    const order = calls.filter((call) => call !== 'open' && call !== 'stat')
    expect(order.slice(-4)).to.deep.equal(['writeFile', 'datasync', 'rename', 'sync'])
  })

  it('takes 2 MiB and refuses one byte more, and a hash it cannot check', async () => {
    const largest = randomBytes(BLOCK_BYTES_MAX)
    const cid = await block(largest)
    await blocks.put(cid, [largest.subarray(0, 5), largest.subarray(5)])
    expect((await blocks.read(cid)).length).to.equal(BLOCK_BYTES_MAX)
    for (const tooLarge of [Buffer.alloc(BLOCK_BYTES_MAX + 1), [largest, Buffer.alloc(1)]])
      expect((await failure(Promise.resolve(blocks.put(cid, tooLarge)))).code).to.equal(
        'integrity-failed'
      )
    const inline = CID.createV1(raw.code, identity.digest(Buffer.from('../../escape')))
    expect((await failure(Promise.resolve(blocks.put(inline, Buffer.alloc(1))))).code).to.equal(
      'integrity-failed'
    )
    expect(await blocks.has(inline)).to.equal(false)
    expect((await failure(blocks.read(inline))).name).to.equal('NotFoundError')
  })

  it('leaves foreign files in its folders alone', async () => {
    const bytes = randomBytes(20)
    const cid = await block(bytes)
    await blocks.put(cid, bytes)
    await writeFile(join(await fileOf(folder.path, cid), '..', 'notes.txt'), 'mine')
    expect(await blocks.stat()).to.deep.equal({ blocks: 1, bytes: 20 })
  })
})
