import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { openRecordDatabase } from '../../node/records.ts'
import { failure, keepingLogger, temporaryFolder } from './faulty-files.ts'

const RECORDS = 500

async function filled(folder: string): Promise<void> {
  const db = await openRecordDatabase({ folder, logger: keepingLogger() })
  for (let n = 0; n < RECORDS; n++) await db.put(`key-${n}`, Buffer.alloc(200, n), { sync: false })
  await db.close()
}

async function count(folder: string): Promise<{ records: number; events: string[] }> {
  const logger = keepingLogger()
  const db = await openRecordDatabase({ folder, logger })
  const records = (await db.keys().all()).length
  await db.close()
  return { records, events: logger.events }
}

describe('record database', () => {
  it('opens what it created, without a repair', async () => {
    await using folder = await temporaryFolder()
    await filled(folder.path)
    expect(await count(folder.path)).to.deep.equal({ records: RECORDS, events: [] })
  })

  it('repairs a database whose CURRENT is gone instead of making an empty one', async () => {
    await using folder = await temporaryFolder()
    await filled(folder.path)
    await rm(join(folder.path, 'CURRENT'))
    const { records, events } = await count(folder.path)
    expect(records).to.equal(RECORDS)
    expect(events).to.deep.equal(['records-repair', 'records-repaired'])
  })

  for (const damage of ['gone', 'cut', 'overwritten'] as const)
    it(`repairs a database whose MANIFEST is ${damage}`, async () => {
      await using folder = await temporaryFolder()
      await filled(folder.path)
      const names = await readdir(folder.path)
      const manifest = join(
        folder.path,
        names.find((name) => name.startsWith('MANIFEST'))!
      )
      const bytes = await readFile(manifest)
      if (damage === 'gone') await rm(manifest)
      if (damage === 'cut') await writeFile(manifest, bytes.subarray(0, 3))
      if (damage === 'overwritten') await writeFile(manifest, Buffer.alloc(bytes.length, 0x55))
      expect((await count(folder.path)).records).to.equal(RECORDS)
    })

  it('says home-locked while someone else has it open', async () => {
    await using folder = await temporaryFolder()
    const db = await openRecordDatabase({ folder: folder.path, logger: keepingLogger() })
    try {
      const second = openRecordDatabase({ folder: folder.path, logger: keepingLogger() })
      expect((await failure(second)).code).to.equal('home-locked')
    } finally {
      await db.close()
    }
  })

  it('names a folder it cannot use', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'records'), 'a file')
    const opening = openRecordDatabase({
      folder: join(folder.path, 'records'),
      logger: keepingLogger()
    })
    expect((await failure(opening)).code).to.equal('storage-failed')
  })
})
