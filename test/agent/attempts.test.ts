/** Wrong passphrases and the time they cost, with a clock moved by hand. */
import { expect } from 'chai'
import { delayMs, openAttempts, pauseMs, WAITING_MAX, type Attempts } from '../../agent/attempts.ts'
import type { Clock } from '../../agent/components.ts'
import { LockerError } from '../../agent/errors.ts'
import { openVault } from '../../agent/vault.ts'
import { turns } from '../clock.ts'
import { MemoryFiles, RecordingLogger, secureRandom } from './faults.ts'
import { failure } from './record-home.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A clock on which every wait is over at once, and that shows it. */
class EagerClock implements Clock {
  #nowMs = Date.parse('2026-11-23T12:00:00.000Z')

  now(): Date {
    return new Date(this.#nowMs)
  }

  after(waitMs: number, work: () => void): () => void {
    this.#nowMs += waitMs
    const timer = setImmediate(work)
    return () => clearImmediate(timer)
  }

  set(toMs: number): void {
    this.#nowMs = toMs
  }

  /** Negative to set it back. */
  move(byMs: number): void {
    this.#nowMs += byMs
  }
}

class Door {
  files = new MemoryFiles()
  clock = new EagerClock()
  logger = new RecordingLogger()
  evaluated = 0

  open(): Promise<Attempts> {
    return openAttempts(this)
  }

  async try(attempts: Attempts, right: boolean): Promise<'right' | 'wrong' | LockerError> {
    try {
      const opened = await attempts.run(() => {
        this.evaluated++
        return Promise.resolve(right ? true : undefined)
      })
      return opened === true ? 'right' : 'wrong'
    } catch (error) {
      if (error instanceof LockerError) return error
      throw error
    }
  }

  async wrong(attempts: Attempts, times: number): Promise<void> {
    for (let time = 0; time < times; time++)
      expect(await this.try(attempts, false), `attempt ${time + 1}`).to.equal('wrong')
  }
}

function retryAt(result: 'right' | 'wrong' | LockerError): number {
  if (!(result instanceof LockerError)) throw new Error(`was ${result}, not refused`)
  expect(result.code).to.equal('vault-throttled')
  return Date.parse(String(result.facts['retryAt']))
}

describe('attempts at a passphrase', () => {
  it('wait longer from the fourth on, and pause longer each time', () => {
    expect([0, 2, 3, 4, 5, 8, 9].map(delayMs)).to.deep.equal([0, 0, 250, 500, 1_000, 8_000, 8_000])
    expect([1, 2, 3, 4, 5, 6, 7, 10].map((pauses) => pauseMs(pauses) / MINUTE)).to.deep.equal([
      1, 4, 16, 64, 256, 1_024, 1_440, 1_440
    ])
  })

  it('pause after ten wrong ones in an hour, the right one included, until the time is over', async () => {
    const door = new Door()
    const attempts = await door.open()
    await door.wrong(attempts, 10)
    const until = retryAt(await door.try(attempts, true))
    expect(door.evaluated).to.equal(10)
    door.clock.set(until - 1)
    retryAt(await door.try(attempts, true))
    door.clock.set(until)
    expect(await door.try(attempts, true)).to.equal('right')
  })

  it('are not paused by nine', async () => {
    const door = new Door()
    const attempts = await door.open()
    await door.wrong(attempts, 9)
    expect(await door.try(attempts, true)).to.equal('right')
  })

  it('are forgotten after an hour while there was no pause', async () => {
    const door = new Door()
    const attempts = await door.open()
    for (let time = 0; time < 40; time++) {
      await door.wrong(attempts, 1)
      door.clock.move(7 * MINUTE)
    }
  })

  it('grow the pause with each further wrong one, up to a day, until one is right', async () => {
    const door = new Door()
    const attempts = await door.open()
    await door.wrong(attempts, 10)
    const pauses: number[] = []
    for (let pause = 0; pause < 9; pause++) {
      const from = door.clock.now().getTime()
      const until = retryAt(await door.try(attempts, false))
      pauses.push(Math.round((until - from) / MINUTE))
      door.clock.set(until)
      await door.wrong(attempts, 1)
    }
    expect(pauses).to.deep.equal([1, 4, 16, 64, 256, 1_024, 1_440, 1_440, 1_440])
    door.clock.set(retryAt(await door.try(attempts, false)))
    expect(await door.try(attempts, true)).to.equal('right')
    await door.wrong(attempts, 10)
    const again = retryAt(await door.try(attempts, false)) - door.clock.now().getTime()
    expect(Math.round(again / MINUTE)).to.equal(1)
  })

  it('are counted across restarts', async () => {
    const door = new Door()
    for (let time = 0; time < 10; time++) await door.wrong(await door.open(), 1)
    retryAt(await door.try(await door.open(), true))
    expect(door.evaluated).to.equal(10)
  })

  it('count when the process dies while they are evaluated', async () => {
    const door = new Door()
    for (let time = 0; time < 10; time++) {
      const attempts = await door.open()
      void attempts.run(() => new Promise(() => undefined))
      await turns()
    }
    retryAt(await door.try(await door.open(), true))
  })

  it('do not count when evaluating them failed', async () => {
    const door = new Door()
    const attempts = await door.open()
    for (let time = 0; time < 20; time++) {
      const failing = attempts.run(() => Promise.reject(new Error('out of memory')))
      expect(await failing.catch((error: unknown) => String(error))).to.contain('out of memory')
    }
    expect(await door.try(attempts, true)).to.equal('right')
  })

  it('are not taken earlier when the clock is set back, nor much later', async () => {
    for (const backMs of [1_000, HOUR, 50 * 365 * 24 * HOUR]) {
      const door = new Door()
      const attempts = await door.open()
      await door.wrong(attempts, 10)
      door.clock.move(-backMs)
      const from = door.clock.now().getTime()
      const until = retryAt(await door.try(attempts, true))
      expect(until - from).to.equal(MINUTE)
      // The pause that began anew is kept: a restart does not know the later time any more.
      const restarted = await door.open()
      expect(retryAt(await door.try(restarted, true))).to.equal(until)
      door.clock.set(until)
      expect(await door.try(restarted, true)).to.equal('right')
    }
  })

  it('stay in the count when the clock is set back', async () => {
    const door = new Door()
    const attempts = await door.open()
    await door.wrong(attempts, 9)
    door.clock.move(-5 * HOUR)
    await door.wrong(attempts, 1)
    retryAt(await door.try(attempts, true))
  })

  it('pause once when the count cannot be read', async () => {
    const damaged = [
      '',
      'not json',
      '[]',
      '{"version":2,"wrongAt":[],"pauses":0}',
      '{"version":1,"wrongAt":["yesterday"],"pauses":0}',
      '{"version":1,"wrongAt":[],"pauses":-1}',
      '{"version":1,"wrongAt":[],"pauses":1e9}',
      '{"version":1,"wrongAt":[],"pauses":0,"__proto__":{}}'
    ]
    for (const content of damaged) {
      const door = new Door()
      door.files.files.set('attempts.json', new Uint8Array(Buffer.from(content)))
      const attempts = await door.open()
      const until = retryAt(await door.try(attempts, true))
      expect(until - door.clock.now().getTime(), content).to.equal(MINUTE)
      expect(retryAt(await door.try(await door.open(), true))).to.equal(until)
      door.clock.set(until)
      expect(await door.try(attempts, true)).to.equal('right')
    }
  })

  it('are counted in memory when the disk is full, and the right one still opens', async () => {
    const door = new Door()
    const attempts = await door.open()
    door.files.writeFails = () => new LockerError('storage-full', 'full')
    await door.wrong(attempts, 9)
    expect(await door.try(attempts, true)).to.equal('right')
    await door.wrong(attempts, 10)
    retryAt(await door.try(attempts, true))
  })

  it('are evaluated one at a time, with a bounded number waiting', async () => {
    const door = new Door()
    const attempts = await door.open()
    let running = 0
    let most = 0
    const tries = Array.from({ length: 200 }, () =>
      attempts.run(async () => {
        most = Math.max(most, ++running)
        await turns(1)
        running--
        return undefined
      })
    )
    const results = await Promise.allSettled(tries)
    const evaluated = results.filter(({ status }) => status === 'fulfilled')
    expect(most).to.equal(1)
    expect(evaluated).to.have.lengthOf(WAITING_MAX + 1)
    for (const result of results)
      if (result.status === 'rejected')
        expect(result.reason).to.have.property('code', 'vault-throttled')
  })
})

describe('a throttled vault', () => {
  const PASSPHRASE = 'correct horse battery staple'

  it('refuses the right passphrase after 400 parallel wrong ones, and opens with the words', async () => {
    const files = new MemoryFiles()
    const clock = new EagerClock()
    const components = { files, clock, logger: new RecordingLogger(), random: secureRandom }
    const vault = await openVault({ ...components, scryptWorkFactor: 10 })
    const { kit } = await vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    vault.seal()
    for (let round = 0; round < 2; round++) {
      const wrong = Array.from({ length: 200 }, (_, at) =>
        vault.open({ kind: 'passphrase', passphrase: `wrong ${at}` })
      )
      await Promise.allSettled(wrong)
    }
    expect(vault.state).to.equal('sealed')
    const refused = await failure(vault.open({ kind: 'passphrase', passphrase: PASSPHRASE }))
    expect(refused.code).to.equal('vault-throttled')
    const words = { kind: 'words', words: kit.words } as const
    const change = vault.changePassphrase(
      { kind: 'passphrase', passphrase: PASSPHRASE },
      'winter snow over the hills'
    )
    expect((await failure(change)).code).to.equal('vault-throttled')
    await vault.open(words)
    vault.seal()
    clock.set(retryAt(refused))
    await vault.open({ kind: 'passphrase', passphrase: PASSPHRASE })
    expect(vault.state).to.equal('open')
  })
})
