/** A backup of real documents while their owner works on: nothing it needs is removed before it has ended. */
import { expect } from 'chai'
import { createBackup } from '../../agent/backup.ts'
import { restoreBackup } from '../../agent/backup-restore.ts'
import { openVault } from '../../agent/vault.ts'
import { until } from '../clock.ts'
import { bytesOf, DocumentHome, pieces } from './document-home.ts'
import { secureRandom } from './faults.ts'

const LARGE = secureRandom(2_200_000)
const SMALL = secureRandom(900)

describe('backup of documents', () => {
  it('holds what was deleted or sealed anew while it was written', async () => {
    const rootKey = secureRandom(32)
    const home = new DocumentHome(rootKey)
    const { files, db, blocks, clock, logger } = home
    // The slots stand for a vault; its root key is not the documents', which are opened below with their own.
    const vault = await openVault({
      files,
      clock,
      logger,
      random: secureRandom,
      scryptWorkFactor: 10
    })
    await vault.create({ name: 'Alice', passphrase: 'correct horse battery staple' })
    const { records, documents } = await home.open()
    const large = await documents.add(pieces(LARGE), { name: 'large' })
    const small = await documents.add(pieces(SMALL), { name: 'small' })
    const before = home.cids()
    const backup = createBackup({
      db,
      blocks,
      vaultFiles: files,
      clock,
      logger,
      betweenChanges: (work) => records.change(() => work()),
      documents: () =>
        documents.list().map(({ versions }) => ({ roots: versions.map((v) => v.root) })),
      holdBlocks: () => documents.holdBlocks()
    })
    const parts: Uint8Array[] = []
    for await (const part of backup) {
      parts.push(part)
      if (parts.length > 1) continue
      await documents.delete(large.id)
      await records.change((batch) => documents.markReseal(batch, small.id))
      await documents.reseal(small.id, () => undefined)
      expect(await documents.collect()).to.deep.equal({ removed: 0 })
      expect(home.cids()).to.include.members(before)
    }
    await until(
      () => !home.cids().some((cid) => before.includes(cid)),
      'the old blocks are removed'
    )

    const restored = new DocumentHome(rootKey)
    const report = await restoreBackup(
      {
        db: restored.db,
        blocks: restored.blocks,
        vaultFiles: restored.files,
        logger: restored.logger
      },
      pieces(Buffer.concat(parts))
    )
    expect(report).to.deep.include({ documents: 2, missing: [] })
    const opened = await restored.open()
    expect(opened.records.damaged).to.be.empty
    for (const [id, content] of [
      [large.id, LARGE],
      [small.id, SMALL]
    ] as const) {
      const document = await opened.documents.open(id)
      expect((await bytesOf(document.content)).equals(content)).to.equal(true)
    }
  }).timeout(20_000)
})
