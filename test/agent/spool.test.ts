import { expect } from 'chai'
import type { Origin } from '../../agent/exchanges.ts'
import { openSpool, SPOOL_BYTES_MAX, type Spool } from '../../agent/spool.ts'
import { turns } from '../clock.ts'
import { MemoryFiles, RecordingLogger } from './faults.ts'

const BOB: Origin = { transport: 'libp2p', peer: 'bob' }

function envelope(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Empties the spool; returns the texts in the order they came. */
async function drained(spool: Spool): Promise<string[]> {
  const texts: string[] = []
  const emptied = await spool.drain(async (bytes) => {
    texts.push(new TextDecoder().decode(bytes))
    return 'done'
  })
  expect(emptied).to.equal(true)
  return texts
}

describe('spool', () => {
  let files: MemoryFiles
  let logger: RecordingLogger

  beforeEach(() => {
    files = new MemoryFiles()
    logger = new RecordingLogger()
  })

  const open = (limits = {}): Promise<Spool> => openSpool({ files, logger, limits })
  it('gives back what it kept, in the order it came', async () => {
    const spool = await open()
    const texts = Array.from({ length: 12 }, (_, number) => `envelope ${number}`)
    for (const text of texts) await spool.put(envelope(text), BOB)
    expect(await drained(spool)).to.deep.equal(texts)
    expect(files.files.size).to.equal(0)
    expect(spool.size).to.equal(0)
  })

  it('keeps the order over restarts', async () => {
    for (const text of ['one', 'two', 'three']) await (await open()).put(envelope(text), BOB)
    expect(await drained(await open())).to.deep.equal(['one', 'two', 'three'])
  })

  it('keeps the order when writes end in another order than they began', async () => {
    const spool = await open()
    const write = files.write.bind(files)
    files.write = async (name, bytes) => {
      if (bytes.length === 5) await turns(3)
      await write(name, bytes)
    }
    await Promise.all(['first', 'x', 'y'].map((text) => spool.put(envelope(text), BOB)))
    expect(await drained(spool)).to.deep.equal(['first', 'x', 'y'])
  })

  it('takes what arrives while it is emptied', async () => {
    const spool = await open()
    await spool.put(envelope('one'), BOB)
    const texts: string[] = []
    await spool.drain(async (bytes) => {
      texts.push(new TextDecoder().decode(bytes))
      if (texts.length < 3) await spool.put(envelope(`after ${texts.length}`), BOB)
      return 'done'
    })
    expect(texts).to.deep.equal(['one', 'after 1', 'after 2'])
  })

  it('keeps an envelope that cannot be processed now, and those behind it', async () => {
    const spool = await open()
    for (const text of ['one', 'two', 'three']) await spool.put(envelope(text), BOB)
    let count = 0
    const emptied = await spool.drain(async () => ((count += 1) < 2 ? 'done' : 'later'))
    expect(emptied).to.equal(false)
    expect(await drained(spool)).to.deep.equal(['two', 'three'])
  })

  it('keeps an envelope whose processing throws', async () => {
    const spool = await open()
    await spool.put(envelope('one'), BOB)
    const failed = await spool.drain(() => Promise.reject(new Error('x'))).catch(() => 'threw')
    expect(failed).to.equal('threw')
    expect(await drained(spool)).to.deep.equal(['one'])
  })

  it('leaves no place taken by what could not be written', async () => {
    const spool = await open({ envelopes: 10 })
    files.writeFails = () => new Error('disk full')
    expect(await spool.put(envelope('x'), BOB).catch(() => 'threw')).to.equal('threw')
    files.writeFails = undefined
    expect(await spool.put(envelope('y'), BOB)).to.equal(true)
    expect(await drained(spool)).to.deep.equal(['y'])
  })

  it('takes as many envelopes as it may hold and none more, also after a restart', async () => {
    const spool = await open({ envelopes: 20 })
    const results: boolean[] = []
    for (let peer = 0; peer < 22; peer += 1)
      results.push(await spool.put(envelope('x'), { transport: 'http', peer: `${peer}` }))
    expect(results.filter(Boolean)).to.have.length(20)
    const again = await open({ envelopes: 20 })
    expect(await again.put(envelope('x'), BOB)).to.equal(false)
    expect(logger.events.at(-1)?.fields).to.deep.include({ reason: 'spool-full' })
  })

  it('takes as many bytes as it may hold and not one more', async () => {
    const spool = await open()
    const part = new Uint8Array(SPOOL_BYTES_MAX / 16)
    for (let peer = 0; peer < 15; peer += 1)
      expect(await spool.put(part, { transport: 'http', peer: `${peer}` })).to.equal(true)
    expect(await spool.put(part.subarray(1), { transport: 'http', peer: 'last' })).to.equal(true)
    expect(await spool.put(new Uint8Array(2), BOB)).to.equal(false)
    expect(await spool.put(new Uint8Array(1), BOB)).to.equal(true)
    expect(await spool.put(new Uint8Array(1), BOB)).to.equal(false)
  })

  it('takes a tenth of either from one peer, and again when that has been processed', async () => {
    const spool = await open({ envelopes: 30, bytes: 1000 })
    const puts = async (sizeBytes: number, count: number): Promise<number> => {
      let taken = 0
      for (let time = 0; time < count; time += 1)
        if (await spool.put(new Uint8Array(sizeBytes), BOB)) taken += 1
      return taken
    }
    expect(await puts(1, 5)).to.equal(3)
    await drained(spool)
    expect(await puts(60, 3)).to.equal(1)
    expect(await spool.put(envelope('x'), { transport: 'http', peer: 'bob' })).to.equal(true)
  })

  it('leaves files alone that are not its own', async () => {
    await files.write('readme.txt', envelope('hello'))
    await files.write('000000000001.short.1', envelope('x'))
    expect(await drained(await open())).to.be.empty
    expect(files.files.size).to.equal(2)
  })

  it('goes on when a file has gone', async () => {
    const spool = await open()
    for (const text of ['one', 'two']) await spool.put(envelope(text), BOB)
    const [name = ''] = files.files.keys()
    files.files.delete(name)
    expect(await drained(spool)).to.deep.equal(['two'])
  })

  it('names files as the small files may be named, and no peer in them', async () => {
    const spool = await open()
    await spool.put(envelope('x'), { transport: 'libp2p', peer: '12D3KooW/../x' })
    for (const name of files.files.keys()) expect(name).to.match(/^[0-9a-f.]{1,80}$/)
  })
})
