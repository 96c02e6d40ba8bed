/**
 * Turns what a disk or database says into `storage-full` or `storage-failed`.
 *
 * @module
 */
import { LockerError } from './errors.ts'

/** Causes looked through; deeper chains come from nowhere honest and may be circular. */
const CAUSES_MAX = 8

const FULL_CODES = new Set(['ENOSPC', 'EDQUOT'])
/** LevelDB hands over the system's text, not its code: "IO error: …: No space left on device". */
const FULL_TEXT = /no space left|disk quota exceeded/i

/**
 * Names a failed storage operation: `storage-full` when space ran out, else `storage-failed`. A
 * LockerError is returned as it is. `doing` reads as in "writing records".
 */
export function storageError(error: unknown, doing: string): LockerError {
  if (error instanceof LockerError) return error
  const chain = causes(error)
  const text = error instanceof Error ? error.message : String(error)
  if (chain.some(saysFull))
    return new LockerError('storage-full', `${doing} failed: no space left`, { cause: error })
  return new LockerError('storage-failed', `${doing} failed: ${text}`, { cause: error })
}

/** Whether the store says that it does not have the thing, as opposed to that it could not look. */
export function isNotFound(error: unknown): boolean {
  return causes(error).some(
    (cause) => cause.name === 'NotFoundError' || code(cause) === 'LEVEL_NOT_FOUND'
  )
}

function saysFull(error: Error): boolean {
  return FULL_CODES.has(code(error)) || FULL_TEXT.test(error.message)
}

function causes(error: unknown): Error[] {
  const chain: Error[] = []
  for (let next = error; next instanceof Error && chain.length < CAUSES_MAX; next = next.cause)
    chain.push(next)
  return chain
}

function code(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
