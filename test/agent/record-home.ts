/** A locker's records over faulty storage, for the tests of records, audit and documents. */
import { expect } from 'chai'
import { z } from 'zod'
import { LockerError } from '../../agent/errors.ts'
import type { Collection, Records, Sequence } from '../../agent/records.ts'
import { openRecords } from '../../agent/records.ts'
import { FaultyLevel, MemoryFiles, RecordingLogger, secureRandom } from './faults.ts'

export const note = z.object({
  text: z.string().max(2_000_000),
  tags: z.array(z.string()).optional()
})
export type Note = z.infer<typeof note>

/** A locker's records and what they stand on, so that a test can open them again. */
export class Home {
  db = new FaultyLevel()
  files = new MemoryFiles()
  logger = new RecordingLogger()
  rootKey = secureRandom(32)

  async open(): Promise<Records> {
    const { db, files, logger, rootKey } = this
    return openRecords({ db, rootKey, random: secureRandom, files, logger })
  }

  async openNotes(): Promise<{ records: Records; notes: Collection<Note>; log: Sequence<string> }> {
    const records = await this.open()
    const notes = await records.collection('notes', note)
    const log = await records.sequence('log', z.string())
    return { records, notes, log }
  }

  /** Database key of the only record of the sublevel. */
  async pathIn(sublevel: string): Promise<string> {
    const paths = (await this.db.keys().all()).filter((path) => path.startsWith(`${sublevel}/`))
    expect(paths).to.have.length(1)
    return paths[0] ?? ''
  }

  async flip(path: string, offset: number): Promise<void> {
    const bytes = new Uint8Array((await this.db.get(path)) ?? [])
    bytes[offset] = (bytes[offset] ?? 0) ^ 1
    await this.db.put(path, bytes)
  }
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

export async function failure(work: Promise<unknown>): Promise<LockerError> {
  try {
    await work
  } catch (error) {
    if (error instanceof LockerError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

export const DEGREE = { text: 'Zeugnis', tags: ['Uni'] }
