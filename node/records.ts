/**
 * The LevelDB under the sealed records: opened without ever mistaking a damaged database for a new one.
 *
 * LevelDB makes an empty database where `CURRENT` is missing, and repairing finds nothing afterwards.
 * So a folder with anything in it is opened with `createIfMissing: false`, and repaired first when it
 * does not open. What a repair could not save is noticed by the manifest and head of agent/records.ts.
 *
 * @module
 */
import { ClassicLevel } from 'classic-level'
import type { Logger } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, systemCode } from './durable-files.ts'

/** The database agent/records.ts is handed: text keys, sealed bytes. */
export type RecordDatabase = ClassicLevel<string, Uint8Array>

/**
 * Opens or creates the database. Throws `home-locked` when another process has it open, `storage-full`,
 * `storage-failed`, and `records-damaged` when it does not open even after a repair.
 */
export async function openRecordDatabase(components: {
  folder: string
  logger: Logger
  files?: FileSystem
}): Promise<RecordDatabase> {
  const { folder, logger, files = diskFiles } = components
  try {
    await files.mkdir(folder, { recursive: true, mode: 0o700 })
    const names = await files.readdir(folder)
    if (!names.some(belongsToDatabase)) return await open(folder, true)
    if (!names.includes('CURRENT')) return await repair(folder, logger, 'CURRENT is missing')
  } catch (error) {
    throw databaseError(error, folder)
  }
  try {
    return await open(folder, false)
  } catch (error) {
    if (!isDamage(error)) throw databaseError(error, folder)
    return await repair(folder, logger, reason(error))
  }
}

/** Whether the file holds, or held, data. `LOCK` and `LOG` exist before the first byte is stored. */
function belongsToDatabase(name: string): boolean {
  return /^(CURRENT|MANIFEST-\d+|\d+\.(ldb|sst|log|dbtmp))$/.test(name)
}

async function open(folder: string, createIfMissing: boolean): Promise<RecordDatabase> {
  const db: RecordDatabase = new ClassicLevel(folder, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    createIfMissing,
    // Sealed bytes do not compress; trying costs time.
    compression: false
  })
  await db.open()
  return db
}

async function repair(folder: string, logger: Logger, why: string): Promise<RecordDatabase> {
  logger.warn('records-repair', { reason: why })
  try {
    await ClassicLevel.repair(folder)
    const db = await open(folder, false)
    logger.warn('records-repaired')
    return db
  } catch (error) {
    const named = databaseError(error, folder)
    if (named.code !== 'storage-failed') throw named
    throw new LockerError(
      'records-damaged',
      `the database in ${folder} does not open, and repairing it failed: ${reason(error)}`,
      { cause: error, facts: { path: folder } }
    )
  }
}

/** What LevelDB says is wrong; classic-level puts it into the cause. */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error) return cause.message
  return error instanceof Error ? error.message : String(error)
}

function isDamage(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return (
    systemCode(cause) === 'LEVEL_CORRUPTION' ||
    /corrupt|does not exist|missing|no such file/i.test(reason(error))
  )
}

function databaseError(error: unknown, folder: string): LockerError {
  if (error instanceof LockerError) return error
  const cause = error instanceof Error ? error.cause : undefined
  if (systemCode(cause) === 'LEVEL_LOCKED')
    return new LockerError('home-locked', `another process has ${folder} open`, {
      cause: error,
      facts: { path: folder }
    })
  if (/no space left|quota exceeded/i.test(reason(error)))
    return new LockerError('storage-full', `opening ${folder} failed: no space left`, {
      cause: error,
      facts: { path: folder }
    })
  return new LockerError('storage-failed', `opening ${folder} failed: ${reason(error)}`, {
    cause: error,
    facts: { path: folder, systemError: systemCode(error) ?? systemCode(cause) ?? 'unknown' }
  })
}
