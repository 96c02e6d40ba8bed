import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { openHome } from '../../node/home.ts'
import { FaultyFiles, failure, systemFault, temporaryFolder } from './faulty-files.ts'

function holder(folder: string): ChildProcess {
  return fork(new URL('./hold-home.ts', import.meta.url), [folder], { stdio: 'inherit' })
}

async function answer(process: ChildProcess): Promise<unknown> {
  const [message] = await once(process, 'message')
  return message
}

describe('home', () => {
  it('is a folder only the owner sees, even when it was made by hand', async () => {
    await using folder = await temporaryFolder()
    await chmod(folder.path, 0o755)
    const home = await openHome(folder.path)
    expect((await stat(folder.path)).mode & 0o777).to.equal(0o700)
    await home.close()
  })

  it('refuses a second process, naming the first, and touches nothing', async () => {
    await using folder = await temporaryFolder()
    const first = holder(folder.path)
    expect(await answer(first)).to.deep.equal({ held: folder.path })
    await writeFile(join(folder.path, 'run.json'), 'of the first')
    const error = await failure(openHome(folder.path))
    expect(error.code).to.equal('home-locked')
    expect(error.message).to.contain(String(first.pid))
    expect(error).to.have.deep.nested.property('facts.pid', first.pid)
    expect(await readFile(join(folder.path, 'run.json'), 'utf8')).to.equal('of the first')
    first.send('close')
    await once(first, 'exit')
    await (await openHome(folder.path)).close()
  })

  it('is free again after its process was killed', async () => {
    await using folder = await temporaryFolder()
    const first = holder(folder.path)
    await answer(first)
    first.kill('SIGKILL')
    await once(first, 'exit')
    const home = await openHome(folder.path)
    await home.close()
  })

  it('lets exactly one of several racing processes in', async () => {
    await using folder = await temporaryFolder()
    const racing = Array.from({ length: 4 }, () => holder(folder.path))
    const answers = await Promise.all(racing.map(answer))
    const refused = { failed: 'home-locked' }
    expect(answers).to.have.deep.members([{ held: folder.path }, refused, refused, refused])
    for (const process of racing) {
      const exit = once(process, 'exit')
      // Those refused may have left already; then the signal finds nobody.
      if (process.kill('SIGKILL')) await exit
    }
  }).timeout(20_000)

  it('writes run.json for the owner alone and removes it at the end', async () => {
    await using folder = await temporaryFolder()
    const home = await openHome(folder.path)
    const facts = { pid: process.pid, url: 'http://localhost:4280', token: 't', p2p: ['/x'] }
    await home.writeRun(facts)
    const path = join(folder.path, 'run.json')
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal(facts)
    await home.close()
    expect(await readdir(folder.path)).to.deep.equal(['lock'])
  })

  it('voids the run.json of a process that was killed', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'run.json'), '{}')
    const home = await openHome(folder.path)
    expect(await readdir(folder.path)).to.deep.equal(['lock'])
    await home.close()
  })

  it('takes the lock although its database was damaged', async () => {
    await using folder = await temporaryFolder()
    await (await openHome(folder.path)).close()
    const names = await readdir(join(folder.path, 'lock'))
    for (const name of names.filter((n) => n !== 'LOCK'))
      await writeFile(join(folder.path, 'lock', name), 'x')
    const home = await openHome(folder.path)
    expect((await failure(openHome(folder.path))).code).to.equal('home-locked')
    await home.close()
  })

  it('says storage-full on a full disk and lets go of the lock', async () => {
    await using folder = await temporaryFolder()
    const faults = new FaultyFiles()
    faults.before = (call) => {
      if (call === 'writeFile') throw systemFault('ENOSPC')
    }
    expect((await failure(openHome(folder.path, faults.files))).code).to.equal('storage-full')
    await (await openHome(folder.path)).close()
  })

  it('knows when its path is too long for a unix socket', async () => {
    await using folder = await temporaryFolder()
    const short = await openHome(folder.path)
    expect(short.socket).to.equal(join(folder.path, 'api.sock'))
    await short.close()
    const long = await openHome(join(folder.path, 'a'.repeat(100)))
    expect(long.socket).to.equal(undefined)
    await long.close()
  })
})
