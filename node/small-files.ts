/**
 * Small files that survive a crash whole (agent/components.ts `SmallFiles`): vault slots, the attempt
 * counter, the head, spooled envelopes.
 *
 * A previous content is not kept: an unlock slot that was replaced must open nothing any more, and the
 * rename already makes half a file impossible.
 *
 * @module
 */
import { join } from 'node:path'
import type { SmallFiles } from '../agent/components.ts'
import { LockerError } from '../agent/errors.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, readBounded, storageError, syncFolder, writeDurably } from './durable-files.ts'

/** Largest small file, bytes: a spooled envelope has 256 KiB, a vault slot about 4 KiB. */
export const SMALL_FILE_BYTES_MAX = 1024 * 1024

/** Names the agent may use. A leading dot is refused beside it, so `.` and `..` are never names. */
const NAME = /^[a-z0-9-][a-z0-9.-]{0,79}$/

/** Temporary files carry a character no {@link NAME} has, so the two can never meet. */
const TEMPORARY = /^~[0-9]+$/

/**
 * Opens a folder of small files, creating it (0700) and removing what a crash left half written.
 * Methods throw `storage-full` and `storage-failed`; a name outside `[a-z0-9.-]{1,80}` throws `storage-failed`.
 */
export async function openSmallFiles(components: {
  folder: string
  files?: FileSystem
}): Promise<SmallFiles> {
  const { folder, files = diskFiles } = components
  try {
    await files.mkdir(folder, { recursive: true, mode: 0o700 })
    for (const name of await files.readdir(folder))
      if (TEMPORARY.test(name)) await files.rm(join(folder, name), { force: true })
  } catch (error) {
    throw storageError(error, 'opening', folder)
  }
  return new FolderOfSmallFiles(folder, files)
}

class FolderOfSmallFiles implements SmallFiles {
  readonly #folder: string
  readonly #files: FileSystem
  /** Changes run one after the other: of two writes to one name the later call wins. */
  #lastChange: Promise<unknown> = Promise.resolve()
  #temporaries = 0

  constructor(folder: string, files: FileSystem) {
    this.#folder = folder
    this.#files = files
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const path = this.#path(name)
    try {
      return (await readBounded(this.#files, path, SMALL_FILE_BYTES_MAX))?.bytes
    } catch (error) {
      throw storageError(error, 'reading', path)
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name)
    if (bytes.length > SMALL_FILE_BYTES_MAX)
      throw new LockerError(
        'storage-failed',
        `${name} would have ${bytes.length} bytes, at most ${SMALL_FILE_BYTES_MAX} are kept`
      )
    const temporary = join(this.#folder, `~${this.#temporaries++}`)
    await this.#change('writing', path, () => writeDurably(this.#files, temporary, path, bytes))
  }

  async remove(name: string): Promise<void> {
    const path = this.#path(name)
    await this.#change('removing', path, async () => {
      await this.#files.rm(path, { force: true })
      await syncFolder(this.#files, this.#folder)
    })
  }

  async list(): Promise<readonly string[]> {
    try {
      const names = await this.#files.readdir(this.#folder)
      return names.filter((name) => NAME.test(name)).toSorted()
    } catch (error) {
      throw storageError(error, 'listing', this.#folder)
    }
  }

  #path(name: string): string {
    if (!NAME.test(name))
      throw new LockerError(
        'storage-failed',
        `${JSON.stringify(name)} is not a name of a small file`
      )
    return join(this.#folder, name)
  }

  async #change(doing: string, path: string, work: () => Promise<void>): Promise<void> {
    const change = this.#lastChange.then(work)
    // The failure belongs to the caller of this change; the next one starts regardless.
    this.#lastChange = change.catch(() => undefined)
    try {
      await change
    } catch (error) {
      throw storageError(error, doing, path)
    }
  }
}
