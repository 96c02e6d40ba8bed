/** A small locker to back up: vault, records and documents over storage whose faults a test decides. */
import { Buffer } from 'node:buffer'
import { CarReader } from '@ipld/car'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { createBackup, type BackupOptions, type BackupReport } from '../../agent/backup.ts'
import { restoreBackup, type RestoreOptions } from '../../agent/backup-restore.ts'
import { formatCarBlock, formatCarHeader, type CarBlock } from '../../agent/car.ts'
import type { LockerError, LockerErrorCode } from '../../agent/errors.ts'
import { documentIdentity } from '../../agent/keys.ts'
import { openRecords, type Collection, type Records } from '../../agent/records.ts'
import { storeSealed, type StoredFile } from '../../agent/sealed-writer.ts'
import { openVault, type RecoveryKit, type Vault } from '../../agent/vault.ts'
import {
  FaultyBlocks,
  FaultyLevel,
  ManualClock,
  MemoryFiles,
  RecordingLogger,
  secureRandom,
  Writes
} from './faults.ts'
import { failure, note, type Note } from './record-home.ts'

export const PASSPHRASE = 'correct horse battery staple'

/** The stores of one home; every write of any of them is counted by `writes`. */
export class Stores {
  readonly writes = new Writes()
  readonly db = new FaultyLevel(this.writes)
  readonly blocks = new FaultyBlocks(this.writes)
  readonly vaultFiles = new MemoryFiles()
  readonly logger = new RecordingLogger()
  readonly clock = new ManualClock()

  constructor() {
    const write = this.vaultFiles.write.bind(this.vaultFiles)
    const remove = this.vaultFiles.remove.bind(this.vaultFiles)
    const clear = this.db.clear.bind(this.db)
    this.db.clear = async () => {
      this.writes.next('clear')
      await clear()
    }
    this.vaultFiles.write = async (name, bytes) => {
      this.writes.next(`write ${name}`)
      await write(name, bytes)
    }
    this.vaultFiles.remove = async (name) => {
      this.writes.next(`remove ${name}`)
      await remove(name)
    }
  }

  /** After a crash: the same stores, writable again. */
  restart(): void {
    this.writes.crashed = false
    this.writes.plan = () => undefined
  }

  openVault(): Promise<Vault> {
    const { vaultFiles, clock, logger } = this
    return openVault({
      files: vaultFiles,
      clock,
      logger,
      random: secureRandom,
      scryptWorkFactor: 10
    })
  }

  openRecords(rootKey: Uint8Array): Promise<Records> {
    const { db, vaultFiles, logger } = this
    return openRecords({ db, rootKey, random: secureRandom, files: vaultFiles, logger })
  }

  restore(source: Uint8Array, options: RestoreOptions = {}): ReturnType<typeof restoreBackup> {
    return restoreBackup(this, pieces(source, 10_000), options)
  }
}

interface Made {
  readonly kit: RecoveryKit
  readonly rootKey: Uint8Array
  readonly records: Records
}

export class Locker extends Stores {
  readonly documents: Array<{ content: Uint8Array; stored: StoredFile }> = []
  /** Backups that hold the blocks at this moment. */
  holds = 0
  #made: Made | undefined

  static async create(): Promise<Locker> {
    const locker = new Locker()
    const vault = await locker.openVault()
    const made = await vault.create({ name: 'Alice', passphrase: PASSPHRASE, keyFile: true })
    locker.#made = { ...made, records: await locker.openRecords(made.rootKey) }
    return locker
  }

  get kit(): RecoveryKit {
    return this.#get().kit
  }

  get rootKey(): Uint8Array {
    return this.#get().rootKey
  }

  get records(): Records {
    return this.#get().records
  }

  /** Puts a note into the records, under the key given. */
  async addNotes(...keys: readonly string[]): Promise<void> {
    this.#notes ??= await this.records.collection('notes', note)
    for (const key of keys)
      await this.records.change((batch) => this.#notes?.put(batch, key, { text: key }))
  }

  #notes: Collection<Note> | undefined

  async add(content: Uint8Array): Promise<StoredFile> {
    const stored = await storeSealed(oneOf(content), {
      recipient: documentIdentity(this.rootKey).recipient,
      random: secureRandom,
      putBlock: async (cid, bytes) => {
        await this.blocks.put(cid, bytes)
      },
      sizeBytesMax: Number.POSITIVE_INFINITY
    })
    this.documents.push({ content, stored })
    return stored
  }

  /** The bytes of a backup as they are made. */
  write(options: BackupOptions = {}): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { db, blocks, vaultFiles, clock, logger, records } = this
    const betweenChanges = <T>(work: () => Promise<T>): Promise<T> => records.change(() => work())
    const documents = (): Array<{ roots: string[] }> =>
      this.documents.map(({ stored }) => ({ roots: [stored.root] }))
    const holdBlocks = (): (() => void) => {
      this.holds += 1
      return () => (this.holds -= 1)
    }
    return createBackup(
      { db, blocks, vaultFiles, clock, logger, betweenChanges, documents, holdBlocks },
      options
    )
  }

  async backup(): Promise<{ file: Buffer; report: BackupReport }> {
    let report: BackupReport | undefined
    const parts: Uint8Array[] = []
    for await (const part of this.write({ onEnd: (facts) => (report = facts) })) parts.push(part)
    if (report === undefined) throw new Error('the backup did not report its end')
    return { file: Buffer.concat(parts), report }
  }

  #get(): Made {
    if (this.#made === undefined) throw new Error('the locker has not been created')
    return this.#made
  }
}

/** An empty document, a small one and one of several blocks, and some notes. */
export async function filled(): Promise<Locker> {
  const locker = await Locker.create()
  for (const size of [0, 1_234, 2_500_000]) await locker.add(secureRandom(size))
  await locker.addNotes('one', 'two')
  return locker
}

/** A locker whose backup is small enough to be damaged at every byte. */
export async function small(): Promise<Locker> {
  const locker = await Locker.create()
  await locker.add(secureRandom(100))
  await locker.addNotes('one')
  return locker
}

export async function refuses(work: Promise<unknown>, code: LockerErrorCode): Promise<LockerError> {
  const error = await failure(work)
  expect(error.code, error.message).to.equal(code)
  return error
}

async function* oneOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** A stream of the bytes in pieces of a size. */
export async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** A CAR taken apart by @ipld/car, to be changed and put together again. */
export interface Parts {
  roots: CID[]
  blocks: CarBlock[]
}

export async function takeApart(file: Uint8Array): Promise<Parts> {
  const car = await CarReader.fromBytes(file)
  const blocks: CarBlock[] = []
  for await (const { cid, bytes } of car.blocks())
    blocks.push({ cid: CID.decode(cid.bytes), bytes: new Uint8Array(bytes) })
  return { roots: (await car.getRoots()).map((root) => CID.decode(root.bytes)), blocks }
}

export function putTogether({ roots, blocks }: Parts): Buffer {
  return Buffer.concat([
    formatCarHeader(roots),
    ...blocks.map(({ cid, bytes }) => formatCarBlock(cid, bytes))
  ])
}
