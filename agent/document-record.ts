/**
 * The sealed record of a document, and the facts made of it.
 *
 * Sublevel `documents`, key: the document's id. The file key of each version is in here and nowhere else
 * in the clear: with the record goes the document (DESIGN §5.4).
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { FILE_KEY_BYTES } from '../protocols/sealed/header.ts'
import type { DocumentFacts, SealedVersion, VersionFacts } from './document-facts.ts'
import { LockerError } from './errors.ts'
import { wordsOf, type Words } from './search.ts'

/** Code points of a name: what common file systems take, and more than anyone reads. */
export const NAME_LENGTH_MAX = 255
/** Tags of one document. */
export const TAGS_MAX = 32
/** Code points of a tag. */
export const TAG_LENGTH_MAX = 64
/** Code points of the owner's word for the kind of document. */
export const TYPE_LENGTH_MAX = 64
/** Versions of one document; its record holds them all, at about 350 bytes each. */
export const VERSIONS_MAX = 1_000
/** Damaged blocks remembered for one document; a check finds them all again. */
export const DAMAGED_MAX = 256

/** UTF-16 code units a text of so many code points takes at most. */
const units = (codePoints: number): number => 2 * codePoints

const cid = z.string().regex(/^b[a-z2-7]{58}$/)
const sizeBytes = z.int().nonnegative()
const versionRecord = z.object({
  number: z.int().min(1),
  root: cid,
  /** 16 bytes, base64url. */
  fileKey: z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/),
  sizeBytes,
  sealedBytes: sizeBytes,
  mediaType: z.string().max(255),
  addedAt: z.iso.datetime()
})
export const documentRecord = z.object({
  name: z.string().min(1).max(units(NAME_LENGTH_MAX)),
  tags: z.array(z.string().min(1).max(units(TAG_LENGTH_MAX))).max(TAGS_MAX),
  type: z.string().min(1).max(units(TYPE_LENGTH_MAX)).exactOptional(),
  addedAt: z.iso.datetime(),
  changedAt: z.iso.datetime(),
  trashedAt: z.iso.datetime().exactOptional(),
  source: z.object({ grant: z.string().max(255), from: z.string().max(4_096) }).exactOptional(),
  /** A grant on it was revoked: it must get a new key. */
  reseal: z.literal(true).exactOptional(),
  damaged: z.array(z.object({ version: z.int().min(1), block: cid })).max(DAMAGED_MAX),
  versions: z.array(versionRecord).min(1).max(VERSIONS_MAX)
})
export type DocumentRecord = Readonly<z.infer<typeof documentRecord>>
export type VersionRecord = Readonly<z.infer<typeof versionRecord>>

/** What a version record takes from a file just stored. */
export function versionOf(
  number: number,
  stored: Omit<VersionRecord, 'number' | 'addedAt' | 'fileKey'> & { readonly fileKey: Uint8Array },
  addedAt: string
): VersionRecord {
  const { root, sizeBytes: size, sealedBytes, mediaType } = stored
  const fileKey = base64urlnopad.encode(stored.fileKey)
  return { number, root, fileKey, sizeBytes: size, sealedBytes, mediaType, addedAt }
}

/** The current version: the last one. */
export function currentVersion(record: DocumentRecord): VersionRecord {
  const version = record.versions.at(-1)
  if (version === undefined) throw new TypeError('a document record without a version')
  return version
}

/** Throws `version-unknown`. Without a number, the current one. */
export function versionRecordOf(
  id: string,
  record: DocumentRecord,
  number?: number
): VersionRecord {
  if (number === undefined) return currentVersion(record)
  const version = record.versions.find((each) => each.number === number)
  if (version === undefined)
    throw new LockerError('version-unknown', `document ${id} has no version ${number}`)
  return version
}

export function fileKeyOf(version: VersionRecord): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(base64urlnopad.decode(version.fileKey))
  if (key.length !== FILE_KEY_BYTES) throw new TypeError(`a file key of ${key.length} bytes`)
  return key
}

export function sealedVersionOf(record: DocumentRecord, version: VersionRecord): SealedVersion {
  return {
    version: version.number,
    root: version.root,
    fileKey: fileKeyOf(version),
    sealedBytes: version.sealedBytes,
    sizeBytes: version.sizeBytes,
    name: record.name,
    mediaType: version.mediaType
  }
}

/** Records are frozen and replaced whole, so what is made of one is made once. */
const factsMade = new WeakMap<DocumentRecord, DocumentFacts>()
const wordsMade = new WeakMap<DocumentRecord, Words>()

/** The facts the owner and the gateway see: no key, nothing a caller could change. */
export function factsOf(id: string, record: DocumentRecord): DocumentFacts {
  const made = factsMade.get(record) ?? makeFacts(id, record)
  factsMade.set(record, made)
  return made
}

/** The words a document is found by. */
export function wordsOfDocument(record: DocumentRecord): Words {
  const { name, type = '', tags } = record
  const made =
    wordsMade.get(record) ??
    wordsOf([name, type, ...tags, currentVersion(record).mediaType].join('\n'))
  wordsMade.set(record, made)
  return made
}

/** Throws `request-invalid` for a name, tag or type beyond its limit; tags come back each once. */
export function checkedLabels(labels: {
  name?: string
  tags?: readonly string[]
  type?: string | null
}): { name?: string; tags?: string[]; type?: string | null } {
  const { name, tags, type } = labels
  if (name !== undefined) checkLength('name', name, NAME_LENGTH_MAX)
  if (typeof type === 'string') checkLength('type', type, TYPE_LENGTH_MAX)
  const unique = tags === undefined ? undefined : [...new Set(tags)]
  if (unique !== undefined) {
    if (unique.length > TAGS_MAX)
      throw new LockerError('request-invalid', `${unique.length} tags; at most ${TAGS_MAX} fit`)
    for (const tag of unique) checkLength('tag', tag, TAG_LENGTH_MAX)
  }
  return {
    ...(name !== undefined && { name }),
    ...(unique !== undefined && { tags: unique }),
    ...(type !== undefined && { type })
  }
}

function checkLength(what: string, text: string, codePointsMax: number): void {
  // Counted only when it may fit, so a text of megabytes is not taken apart.
  const length = text.length > units(codePointsMax) ? text.length : Array.from(text).length
  if (length === 0 || length > codePointsMax)
    throw new LockerError(
      'request-invalid',
      `a ${what} has 1 to ${codePointsMax} characters, this one has ${length}`
    )
}

function makeFacts(id: string, record: DocumentRecord): DocumentFacts {
  const { name, tags, type, addedAt, changedAt, trashedAt, source, damaged } = record
  const { number, root, sizeBytes: size, mediaType } = currentVersion(record)
  const versions = record.versions.map((version): VersionFacts =>
    Object.freeze({
      number: version.number,
      root: version.root,
      sizeBytes: version.sizeBytes,
      mediaType: version.mediaType,
      addedAt: version.addedAt
    })
  )
  const blocks = [...new Set(damaged.map(({ block }) => block))]
  return Object.freeze({
    id,
    name,
    mediaType,
    sizeBytes: size,
    root,
    version: number,
    versions: Object.freeze(versions),
    tags,
    ...(type !== undefined && { type }),
    addedAt,
    changedAt,
    ...(trashedAt !== undefined && { trashedAt }),
    ...(source !== undefined && { source }),
    ...(blocks.length > 0 && { damagedBlocks: Object.freeze(blocks) })
  })
}
