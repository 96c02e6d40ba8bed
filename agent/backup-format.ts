/**
 * A backup: one CARv1 file (car.ts) of what lies on the disk, sealed as it lies there.
 *
 *     roots       the manifest, then the root of every document version
 *     section 1   the manifest
 *     then        the blocks of the documents, file by file, each node before what lies below it
 *     then        the record blocks, as the manifest lists them
 *     then        the files of the vault, as the manifest lists them
 *     last        the end
 *
 * | block    | codec       | holds                                                                        |
 * |----------|-------------|------------------------------------------------------------------------------|
 * | manifest | dag-cbor    | {kind: "elocker/backup", version: 1, createdAt, documents, records: [CID…], recordCount, vault: [{name, cid}…]} |
 * | document | raw, dag-pb | UnixFS over an age file (agent/sealed-writer.ts)                             |
 * | records  | dag-cbor    | [[key, sealed value]…], ascending keys, about 1 MiB                          |
 * | vault    | raw         | one file: the slots, their digests, the recovery check, the head             |
 * | end      | dag-cbor    | {kind: "elocker/backup-end", version: 1, manifest: CID, blocks, bytes, missing: [CID…], missingCount} |
 *
 * Any IPFS tool imports the file, and any age implementation opens a document from it with the recovery kit's
 * document identity. Who has the file alone learns sizes, counts and the time, nothing else.
 *
 * Records and vault files are one state of the locker: they are read from a snapshot. Documents that could
 * not be read stand in `missing`, so one rotten block does not keep the rest from being saved. A file
 * without its end was cut off. The end proves nothing about who wrote the file: what makes a forged backup
 * harmless is that its records do not open under the root key in the slots (records.ts).
 *
 * @module
 */
import { hash } from 'node:crypto'
import { encode as encodeCbor } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { z } from 'zod'
import { type CarBlock, cidValue, decodeBlock } from './car.ts'
import { isSlotName, SLOTS_MAX } from './vault-slots.ts'

/** Bytes of values after which a record block is closed; one record may take 1 MiB beyond it. */
export const RECORD_BLOCK_BYTES = 786_432
/** Record blocks: about 24 GiB of records, and a manifest that fits a block. */
export const RECORD_BLOCKS_MAX = 32_768
/** Bytes of one file of the vault folder. */
export const VAULT_FILE_BYTES_MAX = 65_536
/** Missing blocks named; beyond it they are counted. */
export const MISSING_NAMED_MAX = 1_000

const RAW = 0x55
const DAG_CBOR = 0x71
const SHA2_256 = 0x12

/** Files of the vault that are not slots: digests, recovery check, head. The count of wrong passphrases is no part of a backup. */
const OTHER_FILES = new Set(['slots.json', 'recovery-check.age', 'head'])

/** Database keys: a sublevel, and a name the sublevel gives (record-seal.ts). */
export const RECORD_KEY = /^[a-z][a-z0-9-]{0,63}\/[A-Za-z0-9_-]{1,64}$/

const count = z.int().nonnegative()

export const backupManifest = z.strictObject({
  kind: z.literal('elocker/backup'),
  version: z.literal(1),
  createdAt: z.iso.datetime(),
  /** Documents of the locker, of one or more versions each. */
  documents: count,
  records: z.array(cidValue).max(RECORD_BLOCKS_MAX),
  recordCount: count,
  vault: z
    .array(z.strictObject({ name: z.string().refine(belongsToBackup), cid: cidValue }))
    .max(SLOTS_MAX + OTHER_FILES.size)
})
export type BackupManifest = z.output<typeof backupManifest>

export const recordBlock = z
  .array(z.tuple([z.string().regex(RECORD_KEY), z.instanceof(Uint8Array)]))
  .min(1)
export type RecordEntry = readonly [key: string, value: Uint8Array]

export const backupEnd = z.strictObject({
  kind: z.literal('elocker/backup-end'),
  version: z.literal(1),
  manifest: cidValue,
  /** Blocks of documents in the file, and their bytes. */
  blocks: count,
  bytes: count,
  missing: z.array(cidValue).max(MISSING_NAMED_MAX),
  /** All of them, also those not named. */
  missingCount: count
})
export type BackupEnd = z.output<typeof backupEnd>

/** Whether a file of the vault folder goes into a backup. */
export function belongsToBackup(name: string): boolean {
  return isSlotName(name) || OTHER_FILES.has(name)
}

export function cborBlock(value: BackupManifest | BackupEnd | readonly RecordEntry[]): CarBlock {
  return blockOf(DAG_CBOR, new Uint8Array(encodeCbor(value)))
}

/** What a dag-cbor block holds; `undefined` for another codec and for bytes that are none. */
export function valueOf({ cid, bytes }: CarBlock): unknown {
  return cid.code === DAG_CBOR ? decodeBlock(bytes) : undefined
}

export function rawBlock(bytes: Uint8Array<ArrayBuffer>): CarBlock {
  return blockOf(RAW, bytes)
}

function blockOf(codec: number, bytes: Uint8Array<ArrayBuffer>): CarBlock {
  const digest = createDigest(SHA2_256, hash('sha256', bytes, 'buffer'))
  return { cid: CID.createV1(codec, digest), bytes }
}
