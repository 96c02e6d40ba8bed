/** Backups and their restoration; files are read and changed with @ipld/car, an independent implementation. */
import { Buffer } from 'node:buffer'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { Decrypter } from 'age-encryption'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { clearUnfinishedRestore } from '../../agent/backup-restore.ts'
import { removePadding } from '../../protocols/sealed/padding.ts'
import {
  filled,
  Locker,
  PASSPHRASE,
  refuses,
  small,
  Stores,
  takeApart,
  type Parts
} from './backup-home.ts'
import { Crash, noSpace, secureRandom } from './faults.ts'
import { note } from './record-home.ts'

const MIB = 1024 * 1024

/** Bytes of a UnixFS file in a CAR, by its links. */
function cat(blocks: ReadonlyMap<string, Uint8Array>, cid: CID): Uint8Array {
  const bytes = blocks.get(cid.toString())
  if (bytes === undefined) throw new Error(`no block ${cid.toString()}`)
  if (cid.code !== dagPb.code) return bytes
  return Buffer.concat(dagPb.decode(bytes).Links.map(({ Hash }) => cat(blocks, Hash)))
}

const byCid = ({ blocks }: Parts): Map<string, Uint8Array> =>
  new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]))

/** Everything a home holds, to be compared. */
async function contents(stores: Stores): Promise<unknown> {
  return {
    records: (await stores.db.contents()).map(([key, value]) => [key, Buffer.from(value)]),
    blocks: [...stores.blocks.blocks.keys()].toSorted(),
    vault: [...stores.vaultFiles.files].toSorted(([a], [b]) => a.localeCompare(b))
  }
}

describe('backup', () => {
  it('holds the manifest as its first root, then every document', async () => {
    const locker = await filled()
    const { file, report } = await locker.backup()
    const parts = await takeApart(file)
    const [manifest, ...documents] = parts.roots
    expect(documents.map(String)).to.deep.equal(locker.documents.map(({ stored }) => stored.root))
    expect(parts.blocks[0]?.cid.toString()).to.equal(manifest?.toString())
    expect(report).to.deep.include({ documents: 3, missing: [] })
    expect(report.bytes).to.be.greaterThan(2_500_000)
  })

  it('gives every document to stock tools, with nothing but the recovery kit', async () => {
    const locker = await filled()
    const { file } = await locker.backup()
    const blocks = byCid(await takeApart(file))
    const stock = new Decrypter()
    stock.addIdentity(locker.kit.documentIdentity)
    for (const { content, stored } of locker.documents) {
      const padded = Buffer.from(await stock.decrypt(cat(blocks, CID.parse(stored.root))))
      const length = Number(padded.readBigUInt64BE(padded.length - 8))
      expect(padded.subarray(0, length).equals(content)).to.equal(true)
      expect(removePadding(new Uint8Array(padded)).length).to.equal(length)
    }
  }).timeout(30_000)

  it('holds nothing an outsider can read', async () => {
    const locker = await Locker.create()
    await locker.add(new Uint8Array(Buffer.from('the content of the diploma')))
    await locker.addNotes('a note in the records')
    const { file } = await locker.backup()
    const { words, documentIdentity } = locker.kit
    const secrets = [PASSPHRASE, 'Alice', words.join(' '), documentIdentity, 'diploma', 'a note']
    for (const secret of secrets) expect(file.includes(secret), secret).to.equal(false)
    const rootKey = Buffer.from(locker.rootKey)
    for (const encoding of ['latin1', 'hex', 'base64'] as const)
      expect(file.includes(rootKey.toString(encoding), 0, 'latin1')).to.equal(false)
  })

  it('leaves the count of wrong passphrases behind', async () => {
    const locker = await small()
    await locker.vaultFiles.write('attempts.json', new Uint8Array(Buffer.from('{}')))
    const home = new Stores()
    await home.restore((await locker.backup()).file)
    expect([...home.vaultFiles.files.keys()]).to.not.include('attempts.json')
  })

  it('is of one moment, whatever changes while it is written', async () => {
    const locker = await filled()
    const writing = locker.write()
    const parts: Uint8Array[] = []
    let before: unknown
    for await (const part of writing) {
      parts.push(part)
      if (parts.length > 1) continue
      before = await contents(locker)
      expect(locker.holds).to.equal(1)
      await locker.add(secureRandom(10))
      await locker.addNotes('later')
      await locker.vaultFiles.write('head', new Uint8Array(10))
    }
    expect(locker.holds).to.equal(0)
    const home = new Stores()
    await home.restore(Buffer.concat(parts))
    expect(await contents(home)).to.deep.equal(before)
  })

  it('names the blocks it could not read, and saves the rest', async () => {
    const locker = await filled()
    const { stored } = locker.documents.at(-1) ?? {}
    const leaf = [...locker.blocks.blocks.keys()].find(
      (cid) => CID.parse(cid).code === 0x55 && !locker.documents.some((d) => d.stored.root === cid)
    )
    if (leaf === undefined || stored === undefined) throw new Error('no leaf')
    locker.blocks.flip(leaf)
    const { file, report } = await locker.backup()
    expect(report.missing).to.deep.equal([leaf])
    const home = new Stores()
    const restored = await home.restore(file)
    expect(restored.missing).to.deep.equal([leaf])
    expect(home.blocks.blocks.size).to.equal(locker.blocks.blocks.size - 1)
    // An inner block hides what lies below it.
    locker.blocks.blocks.delete(stored.root)
    const second = await locker.backup()
    expect(second.report.missing).to.deep.equal([stored.root])
    expect((await new Stores().restore(second.file)).missing).to.deep.equal([stored.root])
  })

  it('reads no further than its reader, and gives everything back when it is left', async () => {
    const locker = await Locker.create()
    await locker.add(secureRandom(20 * MIB))
    locker.blocks.reads = 0
    let taken = 0
    for await (const part of locker.write()) {
      taken += part.length
      expect(locker.blocks.reads * MIB).to.be.lessThan(taken + 3 * MIB)
      if (taken > 10 * MIB) break
    }
    expect(locker.holds).to.equal(0)
  })

  it('ends when it is cancelled', async () => {
    const locker = await filled()
    const cancel = new AbortController()
    const read = async (): Promise<void> => {
      for await (const part of locker.write({ signal: cancel.signal }))
        if (part.length > 0) cancel.abort()
    }
    await refuses(read(), 'operation-cancelled')
    expect(locker.holds).to.equal(0)
  })
})

describe('restored backup', () => {
  it('is the same locker, opened by its words, its passphrase and its key file', async () => {
    const locker = await filled()
    const { file } = await locker.backup()
    const home = new Stores()
    let progress = 0
    const report = await home.restore(file, { onProgress: (bytes) => (progress = bytes) })
    expect(report).to.deep.include({ documents: 3, missing: [] })
    expect(progress).to.equal(report.bytes)
    expect(await contents(home)).to.deep.equal(await contents(locker))
    const vault = await home.openVault()
    expect(vault.state).to.equal('sealed')
    const rootKey = await vault.open({ kind: 'words', words: locker.kit.words })
    expect(Buffer.compare(rootKey, locker.rootKey)).to.equal(0)
    await vault.open({ kind: 'passphrase', passphrase: PASSPHRASE })
  })

  it('has every record, in as many blocks as they take', async () => {
    const locker = await Locker.create()
    const notes = await locker.records.collection('notes', note)
    const log = await locker.records.sequence('log', note)
    const text = 'x'.repeat(900_000)
    for (let number = 0; number < 5; number++)
      await locker.records.change((batch) => {
        notes.put(batch, `note ${number}`, { text: `${number}${text}` })
        for (let entry = 0; entry < 300; entry++) log.append(batch, { text: `entry ${entry}` })
      })
    const { file } = await locker.backup()
    const manifest = dagCbor.decode<{ records: unknown[]; recordCount: number }>(
      (await takeApart(file)).blocks[0]?.bytes ?? new Uint8Array()
    )
    expect(manifest.records.length).to.be.greaterThan(3)
    const home = new Stores()
    await home.restore(file)
    const vault = await home.openVault()
    const restored = await home.openRecords(
      await vault.open({ kind: 'words', words: locker.kit.words })
    )
    const restoredNotes = await restored.collection('notes', note)
    const restoredLog = await restored.sequence('log', note)
    expect(restored.damaged).to.be.empty
    expect(restoredNotes.get('note 3')?.text).to.equal(`3${text}`)
    expect(restoredLog.last).to.equal(1_500)
  })

  it('is put with four blocks at a time, each durable before the first record', async () => {
    const locker = await Locker.create()
    await locker.add(secureRandom(12 * MIB))
    await locker.addNotes('one')
    const home = new Stores()
    await home.restore((await locker.backup()).file)
    expect(home.blocks.putsMax).to.equal(4)
    const order = home.writes.names
    const lastPut = order.findLastIndex((name) => name.startsWith('put '))
    const firstBatch = order.findIndex((name) => name.startsWith('batch '))
    const firstSlot = order.findIndex((name) => name.startsWith('write slot-'))
    const lastBatch = order.findLastIndex((name) => name.startsWith('batch '))
    expect(lastPut).to.be.lessThan(firstBatch)
    expect(lastBatch).to.be.lessThan(firstSlot)
    expect(order.filter((name) => name.startsWith('write ')).slice(-3)[0]).to.contain('words')
    expect(order.at(-1)).to.equal('remove restoring')
  })

  it('never overwrites a locker, nor records without slots', async () => {
    const { file } = await (await small()).backup()
    const other = await small()
    const before = await contents(other)
    await refuses(other.restore(file), 'vault-exists')
    expect(await contents(other)).to.deep.equal(before)
    const orphaned = new Stores()
    await orphaned.db.put('notes/any', new Uint8Array(40))
    await refuses(orphaned.restore(file), 'vault-exists')
    expect(await orphaned.db.contents()).to.have.lengthOf(1)
  })

  it('ends when it is cancelled, and leaves no locker', async () => {
    const { file } = await (await filled()).backup()
    const home = new Stores()
    const cancel = new AbortController()
    const options = { signal: cancel.signal, onProgress: () => cancel.abort() }
    await refuses(home.restore(file, options), 'operation-cancelled')
    expect((await home.openVault()).state).to.equal('new')
    expect([...home.vaultFiles.files.keys()]).to.be.empty
  })
})

describe('restore with faults', () => {
  it('leaves no locker whichever write fails, and works when it is tried again', async () => {
    const { file } = await (await filled()).backup()
    const whole = new Stores()
    await whole.restore(file)
    const expected = await contents(whole)
    // The last write removes the mark, which no longer matters.
    for (let failing = 1; failing < whole.writes.count; failing++) {
      const home = new Stores()
      home.writes.plan = (write) => {
        if (write === failing) throw noSpace()
      }
      const error: unknown = await home.restore(file).then(
        () => undefined,
        (thrown: unknown) => thrown
      )
      expect(error, `write ${failing}`).to.be.instanceOf(Error)
      expect((await home.openVault()).state).to.equal('new')
      expect(await home.db.contents()).to.be.empty
      await home.restore(file)
      expect(await contents(home)).to.deep.equal(expected)
    }
  }).timeout(30_000)

  it('leaves no locker or a whole one wherever the machine stops, and can be started again', async () => {
    const locker = await filled()
    const { file } = await locker.backup()
    const whole = new Stores()
    await whole.restore(file)
    const expected = await contents(whole)
    for (let stopping = 1; stopping <= whole.writes.count; stopping++) {
      const home = new Stores()
      home.writes.plan = (write) => {
        if (write === stopping) throw new Crash('the machine stopped')
      }
      await home.restore(file).catch(() => undefined)
      home.restart()
      const vault = await home.openVault()
      if (vault.state === 'new') {
        await home.restore(file)
        expect(await contents(home), `write ${stopping}`).to.deep.equal(expected)
      }
      const restarted = await home.openVault()
      await restarted.open({ kind: 'words', words: locker.kit.words })
      expect((await home.db.contents()).length).to.equal((await whole.db.contents()).length)
      expect(home.blocks.blocks.size).to.equal(whole.blocks.blocks.size)
    }
  }).timeout(30_000)

  it('is cleared away when a new locker is created instead', async () => {
    const locker = await small()
    const { file } = await locker.backup()
    const home = new Stores()
    home.writes.plan = (_, what) => {
      if (what.startsWith('write slot')) throw new Crash('the machine stopped')
    }
    await home.restore(file).catch(() => undefined)
    home.restart()
    expect(await home.db.contents()).to.not.be.empty
    await clearUnfinishedRestore(home)
    expect(await home.db.contents()).to.be.empty
    await clearUnfinishedRestore(home)
    await clearUnfinishedRestore(locker)
    expect(await locker.db.contents()).to.not.be.empty
  })
})
