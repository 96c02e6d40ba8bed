/**
 * The home folder: its layout, the lock that keeps it to one process, and the facts of the running
 * process.
 *
 *     vault/      unlock slots and the counters beside them (small files)
 *     blocks/     sealed blocks (node/blocks.ts)
 *     records/    LevelDB of sealed records (node/records.ts)
 *     spool/      envelopes that arrived while the vault was sealed (small files)
 *     network/    what the network remembers: sequence numbers of address records (small files)
 *     lock/       held by the process; `lock/pid` names it
 *     node.key    libp2p private key, 0600
 *     run.json    facts of the running process, 0600; the command line finds the process by it
 *     api.sock    unix socket of the private listener
 *
 * Node has no call for an advisory file lock, LevelDB has one (fcntl on its `LOCK`): an otherwise empty
 * database in `lock/` is the lock. The kernel drops it when the process dies, however it dies, so there
 * is nothing stale to clean up.
 *
 * @module
 */
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { z } from 'zod'
import { LockerError } from '../agent/errors.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, readBounded, storageError, systemCode, writeDurably } from './durable-files.ts'

/** Longest path of a unix socket, bytes with its final zero: `sun_path` of macOS; Linux has 108. */
const SOCKET_PATH_BYTES_MAX = 104

/** Largest run.json and pid file read, bytes. */
const RUN_BYTES_MAX = 64 * 1024

const runFacts = z.strictObject({
  pid: z.int().positive(),
  /** Base URL of the private listener, e.g. `http://localhost:4280`. */
  url: z.url(),
  socket: z.string().optional(),
  /** Bearer token with scope `admin`; valid as long as the process runs. */
  token: z.string().min(1),
  publicUrl: z.url().optional(),
  p2p: z.array(z.string())
})

/** What run.json says of the running process. `token` is a secret. */
type RunFacts = z.infer<typeof runFacts>

export interface Home {
  readonly folder: string
  readonly vault: string
  readonly blocks: string
  readonly records: string
  readonly spool: string
  readonly network: string
  readonly nodeKey: string
  /** `undefined` when the path is too long for a unix socket. */
  readonly socket: string | undefined
  writeRun(facts: RunFacts): Promise<void>
  /** Removes run.json and gives the lock back. */
  close(): Promise<void>
}

/**
 * Creates the home folder (0700) where it is missing and takes its lock. Nothing else in it has been
 * touched when this throws `home-locked` (`facts.pid` when known), `storage-full` or `storage-failed`.
 */
export async function openHome(folder: string, files: FileSystem = diskFiles): Promise<Home> {
  const lockFolder = join(folder, 'lock')
  try {
    await files.mkdir(lockFolder, { recursive: true, mode: 0o700 })
    // The folder may have been made by hand with the usual 0755.
    await files.chmod(folder, 0o700)
  } catch (error) {
    throw storageError(error, 'opening', folder)
  }
  const lock = await takeLock(folder, lockFolder, files)
  const runPath = join(folder, 'run.json')
  // Left by a process that was killed: it holds no lock any more, so its facts are void.
  await files.rm(runPath, { force: true })
  const socket = join(folder, 'api.sock')
  return {
    folder,
    vault: join(folder, 'vault'),
    blocks: join(folder, 'blocks'),
    records: join(folder, 'records'),
    spool: join(folder, 'spool'),
    network: join(folder, 'network'),
    nodeKey: join(folder, 'node.key'),
    socket: Buffer.byteLength(socket) < SOCKET_PATH_BYTES_MAX ? socket : undefined,
    writeRun: (facts) => writeRun(files, runPath, facts),
    async close() {
      await files.rm(runPath, { force: true })
      await lock.close()
    }
  }
}

async function writeRun(files: FileSystem, path: string, facts: RunFacts): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(runFacts.parse(facts))}\n`)
  try {
    // writeDurably makes its temporary file 0600, and a rename keeps the mode.
    await writeDurably(files, `${path}.tmp`, path, bytes)
  } catch (error) {
    throw storageError(error, 'writing', path)
  }
}

async function takeLock(
  folder: string,
  lockFolder: string,
  files: FileSystem
): Promise<ClassicLevel> {
  const pidPath = join(lockFolder, 'pid')
  const lock = await openLock(lockFolder)
    .catch(async (error: unknown) => {
      if (!isLocked(error)) {
        // A lock database that a crash damaged holds nothing worth keeping.
        await ClassicLevel.repair(lockFolder)
        return openLock(lockFolder)
      }
      throw error
    })
    .catch(async (error: unknown) => {
      throw isLocked(error)
        ? await homeLocked(folder, pidPath, files, error)
        : storageError(error, 'locking', folder)
    })
  try {
    await writeDurably(files, `${pidPath}.tmp`, pidPath, Buffer.from(String(process.pid)))
  } catch (error) {
    await lock.close()
    throw storageError(error, 'locking', folder)
  }
  return lock
}

async function openLock(lockFolder: string): Promise<ClassicLevel> {
  // Smallest buffers: nothing is ever stored.
  const lock = new ClassicLevel(lockFolder, { cacheSize: 1, writeBufferSize: 64 * 1024 })
  await lock.open()
  return lock
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && systemCode(error.cause) === 'LEVEL_LOCKED'
}

async function homeLocked(
  folder: string,
  pidPath: string,
  files: FileSystem,
  cause: unknown
): Promise<LockerError> {
  const file = await readBounded(files, pidPath, RUN_BYTES_MAX).catch(() => undefined)
  const pid = file === undefined ? Number.NaN : Number(Buffer.from(file.bytes).toString())
  // The holder writes its pid right after it took the lock; until then the file may name a dead one.
  const known = Number.isSafeInteger(pid) && pid > 0 && alive(pid)
  return new LockerError(
    'home-locked',
    known ? `process ${pid} uses ${folder}` : `another process uses ${folder}`,
    { cause, facts: known ? { path: folder, pid } : { path: folder } }
  )
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it exists and belongs to someone else.
    return systemCode(error) === 'EPERM'
  }
}
