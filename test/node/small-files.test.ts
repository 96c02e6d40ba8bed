import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { SmallFiles } from '../../agent/components.ts'
import { SMALL_FILE_BYTES_MAX, openSmallFiles } from '../../node/small-files.ts'
import { FaultyFiles, failure, systemFault, temporaryFolder } from './faulty-files.ts'

const text = (value: string): Uint8Array => Buffer.from(value)

describe('small files', () => {
  let folder: AsyncDisposable & { path: string }
  let faults: FaultyFiles
  let files: SmallFiles

  beforeEach(async () => {
    folder = await temporaryFolder()
    faults = new FaultyFiles()
    files = await openSmallFiles({ folder: join(folder.path, 'vault'), files: faults.files })
  })
  afterEach(() => folder[Symbol.asyncDispose]())

  it('writes, lists, reads and removes, in a folder only the owner sees', async () => {
    await files.write('slot-passphrase-1.age', text('a'))
    await files.write('head', text('b'))
    expect(await files.list()).to.deep.equal(['head', 'slot-passphrase-1.age'])
    expect(Buffer.from((await files.read('head'))!).toString()).to.equal('b')
    await files.remove('head')
    await files.remove('head')
    expect(await files.read('head')).to.equal(undefined)
    expect((await stat(join(folder.path, 'vault'))).mode & 0o777).to.equal(0o700)
    expect((await stat(join(folder.path, 'vault', 'slot-passphrase-1.age'))).mode & 0o777).to.equal(
      0o600
    )
  })

  for (const name of [
    '',
    '.',
    '..',
    '.hidden',
    '../escape',
    'a/b',
    'A',
    '~1',
    'a'.repeat(81),
    'a\0'
  ])
    it(`refuses the name ${JSON.stringify(name)}`, async () => {
      expect((await failure(files.write(name, text('x')))).code).to.equal('storage-failed')
      expect((await failure(files.read(name))).code).to.equal('storage-failed')
      expect((await failure(files.remove(name))).code).to.equal('storage-failed')
    })

  it('keeps 1 MiB and refuses one byte more, on writing and on reading', async () => {
    await files.write('a', Buffer.alloc(SMALL_FILE_BYTES_MAX))
    expect((await files.read('a'))?.length).to.equal(SMALL_FILE_BYTES_MAX)
    const larger = Buffer.alloc(SMALL_FILE_BYTES_MAX + 1)
    expect((await failure(files.write('a', larger))).code).to.equal('storage-failed')
    await writeFile(join(folder.path, 'vault', 'a'), larger)
    expect((await failure(files.read('a'))).code).to.equal('storage-failed')
  })

  it('keeps the content of the later of two writes at the same time', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, n) => files.write('a', text(String(n)))))
    expect(Buffer.from((await files.read('a'))!).toString()).to.equal('19')
  })

  for (const failing of ['open', 'writeFile', 'datasync', 'rename'] as const)
    it(`keeps the old content when ${failing} meets a full disk, and writes again later`, async () => {
      await files.write('a', text('old'))
      faults.before = (call, path) => {
        if (call === failing && path !== join(folder.path, 'vault')) throw systemFault('ENOSPC')
      }
      expect((await failure(files.write('a', text('new')))).code).to.equal('storage-full')
      faults.before = () => undefined
      expect(Buffer.from((await files.read('a'))!).toString()).to.equal('old')
      expect(await readdir(join(folder.path, 'vault'))).to.deep.equal(['a'])
      await files.write('a', text('new'))
      expect(Buffer.from((await files.read('a'))!).toString()).to.equal('new')
    })

  it('removes what a crash left half written', async () => {
    await writeFile(join(folder.path, 'vault', '~3'), 'half')
    await openSmallFiles({ folder: join(folder.path, 'vault') })
    expect(await readdir(join(folder.path, 'vault'))).to.be.empty
  })
})
