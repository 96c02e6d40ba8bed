/** Backups damaged, cut, forged: every one is refused and leaves the home as it was. */
import { Buffer } from 'node:buffer'
import * as dagCbor from '@ipld/dag-cbor'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { cborBlock, rawBlock } from '../../agent/backup-format.ts'
import { restoreBackup } from '../../agent/backup-restore.ts'
import { formatCarBlock, formatCarHeader } from '../../agent/car.ts'
import { LockerError } from '../../agent/errors.ts'
import {
  pieces,
  putTogether,
  refuses,
  small,
  Stores,
  takeApart,
  type Parts
} from './backup-home.ts'

const MIB = 1024 * 1024

/** Refused, naming why, and nothing of it stays. */
async function refusesFile(damaged: Uint8Array): Promise<LockerError> {
  const home = new Stores()
  const error = await refuses(home.restore(damaged), 'backup-damaged')
  expect(error.facts['reason']).to.be.a('string')
  expect([...home.vaultFiles.files.keys()]).to.be.empty
  expect(await home.db.contents()).to.be.empty
  return error
}

/** Record entries as a hostile backup may hold them. */
function entries(...keys: string[]): unknown[] {
  return keys.map((key) => [key, new Uint8Array(40)])
}

describe('damaged backup', () => {
  let file: Buffer
  let parts: Parts
  before(async () => {
    const locker = await small()
    file = (await locker.backup()).file
    parts = await takeApart(file)
  })

  const changed = (change: (copy: Parts) => void): Buffer => {
    const copy = { roots: [...parts.roots], blocks: [...parts.blocks] }
    change(copy)
    return putTogether(copy)
  }
  const manifest = (): Record<string, unknown> =>
    dagCbor.decode(parts.blocks[0]?.bytes ?? new Uint8Array())
  /** The backup with another manifest, as the first root and the first block. */
  const withManifest = (value: unknown): Buffer => {
    const block = rawBlock(new Uint8Array(dagCbor.encode(value)))
    const first = { cid: CID.createV1(dagCbor.code, block.cid.multihash), bytes: block.bytes }
    return changed((copy) => {
      copy.roots[0] = first.cid
      copy.blocks[0] = first
    })
  }

  /** Header, manifest and end are damaged byte by byte, also where what lies between is not. */
  const nearEdge = (at: number): boolean => at < 700 || at > file.length - 400

  it('is refused with any byte flipped', async () => {
    const step = process.env['SLOW'] === '1' ? 1 : 11
    for (let at = 0; at < file.length; at += nearEdge(at) ? 1 : step) {
      const flipped = Buffer.from(file)
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8))
      await refusesFile(flipped)
    }
  }).timeout(120_000)

  it('is refused cut short at any byte', async () => {
    const step = process.env['SLOW'] === '1' ? 1 : 11
    for (let length = 0; length < file.length; length += nearEdge(length) ? 1 : step)
      await refusesFile(file.subarray(0, length))
  }).timeout(120_000)

  it('is refused with any section left out, doubled or swapped with the next', async () => {
    for (let at = 0; at < parts.blocks.length; at++) {
      const error = await refusesFile(changed(({ blocks }) => blocks.splice(at, 1)))
      expect(error.message).to.be.a('string')
      await refusesFile(changed(({ blocks }) => blocks.splice(at, 0, ...blocks.slice(at, at + 1))))
      if (at + 1 < parts.blocks.length)
        await refusesFile(
          changed(({ blocks }) => blocks.splice(at, 2, ...blocks.slice(at, at + 2).toReversed()))
        )
    }
  })

  it('names the block a document lacks, also when its end agrees', async () => {
    const at = parts.blocks.findIndex(({ cid }) => cid.equals(parts.roots[1]))
    const removed = parts.blocks[at]
    if (removed === undefined) throw new Error('no document block')
    const error = await refusesFile(
      changed(({ roots, blocks }) => {
        blocks.splice(at, 1)
        const [root] = roots
        if (root === undefined) throw new Error('no root')
        blocks[blocks.length - 1] = cborBlock({
          kind: 'elocker/backup-end',
          version: 1,
          manifest: root,
          blocks: 0,
          bytes: 0,
          missing: [],
          missingCount: 0
        })
      })
    )
    expect(error.facts['blocks']).to.deep.equal([removed.cid.toString()])
  })

  it('is refused when the manifest is not one', async () => {
    const good = manifest()
    const bad: unknown[] = [
      null,
      [],
      'manifest',
      { ...good, kind: 'other' },
      { ...good, version: 2 },
      { ...good, more: 1 },
      { ...good, vault: [] },
      { ...good, vault: [{ name: '../node.key', cid: parts.roots[0] }] },
      { ...good, vault: [{ name: 'attempts.json', cid: parts.roots[0] }] },
      { ...good, records: ['bafy'] },
      { ...good, recordCount: -1 }
    ]
    for (const value of bad) await refusesFile(withManifest(value))
  })

  it('is refused when its records are none, out of order or twice there', async () => {
    const bad: unknown[] = [
      [],
      {},
      [['notes/a']],
      [['notes/a', 'text']],
      entries('notes/b', 'notes/a'),
      entries('notes/a', 'notes/a'),
      entries('notes'),
      entries('../notes/a'),
      entries('__proto__/a'),
      entries(`notes/${'a'.repeat(65)}`)
    ]
    for (const value of bad) {
      const encoded = rawBlock(new Uint8Array(dagCbor.encode(value)))
      const cid = CID.createV1(dagCbor.code, encoded.cid.multihash)
      const forged = await takeApart(
        withManifest({ ...manifest(), records: [cid], recordCount: 1 })
      )
      const at = forged.blocks.findIndex(
        (block, place) => place > 0 && block.cid.code === dagCbor.code
      )
      forged.blocks[at] = { cid, bytes: encoded.bytes }
      await refusesFile(putTogether(forged))
    }
  })

  it('is refused for lengths, hashes and headers no backup has', async () => {
    const [, document] = parts.roots
    if (document === undefined) throw new Error('no document')
    const bad: Uint8Array[] = [
      Buffer.from('not a car at all'),
      Buffer.from([0]),
      Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
      // 256 MiB asked for: refused before a byte of it is read.
      Buffer.from([0x80, 0x80, 0x80, 0x80]),
      Buffer.from([0xff, 0xff, 0xff, 0x7f]),
      formatCarHeader([document]),
      Buffer.concat([formatCarHeader([document]), Buffer.from([0xff, 0xff, 0xff, 0x01])]),
      Buffer.concat([Buffer.from([0x81, 0x00]), Buffer.alloc(10)]),
      nested(5_000)
    ]
    for (const bytes of bad) await refusesFile(bytes)
    const inline = CID.createV1(0x55, identity.digest(Buffer.alloc(32)))
    await refusesFile(
      Buffer.concat([formatCarHeader(parts.roots), formatCarBlock(inline, Buffer.alloc(32))])
    )
  })

  it('is refused for a header or a block longer than any, before it is read', async () => {
    let taken = 0
    const endless = async function* (start: Uint8Array): AsyncGenerator<Uint8Array> {
      yield start
      for (;;) {
        taken += 65_536
        if (taken > 64 * MIB) throw new Error('read on and on')
        yield new Uint8Array(65_536)
      }
    }
    for (const start of [
      Buffer.from([0xff, 0xff, 0xff, 0x7f]),
      Buffer.concat([file.subarray(0, file.length), Buffer.from([0xff, 0xff, 0xff, 0x7f])])
    ])
      await refuses(restoreBackup(new Stores(), endless(start)), 'backup-damaged')
    expect(taken).to.be.lessThan(MIB)
  })

  it('closes its source when it is refused', async () => {
    let closed = 0
    const source = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      try {
        yield* pieces(bytes, 100)
      } finally {
        closed += 1
      }
    }
    const flipped = Buffer.from(file)
    flipped[600] = (flipped[600] ?? 0) ^ 1
    for (const bytes of [flipped, Buffer.alloc(1_000), file])
      await restoreBackup(new Stores(), source(bytes)).catch((error: unknown) => {
        if (!(error instanceof LockerError)) throw error
      })
    expect(closed).to.equal(3)
  })
})

/** A CAR header of lists in lists, to exhaust a recursive reader. */
function nested(depth: number): Buffer {
  const length = depth + 1
  return Buffer.concat([
    Buffer.from([(length % 128) | 0x80, Math.floor(length / 128)]),
    Buffer.alloc(depth, 0x81),
    Buffer.from([0])
  ])
}
