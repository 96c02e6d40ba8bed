/**
 * Writing files so that a crash leaves the old or the new content, never half of it, and naming what
 * goes wrong with the disk.
 *
 * The file-system calls are a component, so that tests can let each of them fail (a full disk, a bad
 * sector, no descriptors left) without a special mount.
 *
 * @module
 */
import * as promises from 'node:fs/promises'
import { dirname } from 'node:path'
import { LockerError } from '../agent/errors.ts'

/** The calls of node:fs/promises that node/ uses for the owner's data. */
export type FileSystem = Pick<
  typeof promises,
  'chmod' | 'mkdir' | 'open' | 'readdir' | 'rename' | 'rm' | 'stat'
>

/** The disk of this machine. */
export const diskFiles: FileSystem = promises

/** Errors by which a file system says that no more bytes fit: full, over quota, file too large. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** The code of a system error (`ENOENT`…), or `undefined`. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/**
 * Names a failed file-system call: `storage-full` or `storage-failed`, with the system's code and the
 * path as facts. A {@link LockerError} and an abort pass unchanged.
 */
export function storageError(error: unknown, doing: string, path: string): Error {
  if (error instanceof LockerError) return error
  if (error instanceof Error && error.name === 'AbortError') return error
  const systemError = systemCode(error) ?? 'unknown'
  const full = FULL.has(systemError)
  return new LockerError(
    full ? 'storage-full' : 'storage-failed',
    `${doing} ${path} failed: ${full ? 'no space left' : systemError}`,
    { cause: error, facts: { path, systemError } }
  )
}

/** Makes the names in a folder durable: on POSIX a rename is only safe once its folder is synced. */
export async function syncFolder(files: FileSystem, folder: string): Promise<void> {
  const handle = await files.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes `bytes` to `temporary`, makes them durable and renames the file to `target` (same file
 * system). The name is durable only after {@link syncFolder}. On failure the temporary file is
 * removed and `target` is what it was.
 */
export async function writeThenRename(
  files: FileSystem,
  temporary: string,
  target: string,
  bytes: Uint8Array
): Promise<void> {
  // A leftover of a crashed run under the same name is overwritten: `w`, not `wx`.
  const handle = await files.open(temporary, 'w', 0o600)
  try {
    try {
      await handle.writeFile(bytes)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await files.rename(temporary, target)
  } catch (error) {
    await files.rm(temporary, { force: true })
    throw error
  }
}

/** {@link writeThenRename} and the folder synced: atomic and durable on return. */
export async function writeDurably(
  files: FileSystem,
  temporary: string,
  target: string,
  bytes: Uint8Array
): Promise<void> {
  await writeThenRename(files, temporary, target, bytes)
  await syncFolder(files, dirname(target))
}

/**
 * Reads a whole file. `undefined` when there is none. A file larger than `sizeBytesMax` is not read:
 * throws `storage-failed` with `facts.sizeBytes`.
 */
export async function readBounded(
  files: FileSystem,
  path: string,
  sizeBytesMax: number
): Promise<{ bytes: Uint8Array<ArrayBuffer>; inode: number } | undefined> {
  let handle
  try {
    handle = await files.open(path, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    const { size, ino } = await handle.stat()
    if (size > sizeBytesMax)
      throw new LockerError(
        'storage-failed',
        `${path} has ${size} bytes, at most ${sizeBytesMax} are read`,
        { facts: { path, sizeBytes: size, inode: ino } }
      )
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
    let read = 0
    while (read < size) {
      const { bytesRead } = await handle.read(bytes, read, size - read, read)
      // A file shorter than its own size: it is being cut, or the disk lies. The caller's hash check decides.
      if (bytesRead === 0) break
      read += bytesRead
    }
    return { bytes: read === size ? bytes : bytes.slice(0, read), inode: ino }
  } finally {
    await handle.close()
  }
}
