/**
 * Status lists, W3C Bitstring Status List 1.0: one bit a credential, published as a signed credential of the
 * issuer's, so that nobody learns which credential is being looked up. StatusList2021, its predecessor, is read.
 *
 * Index 0 is the highest bit of the first byte; 1 means revoked, or suspended, as the list's purpose says.
 *
 * The proof of a list, its issuer and its age are not judged here: verdict.ts does that before it believes
 * what {@link readStatus} says.
 *
 * @module
 */
import { z } from 'zod'
import { ProtocolError } from '../errors.ts'
import { CREDENTIALS_V2, instantOf } from './credential.ts'
import type { JsonObject } from './json.ts'
import { packList, STATUS_LIST_CHARS_MAX, unpackList } from './status-list-encoding.ts'

/** Fewest entries in a list, §2.2 (16 KiB): a bit among fewer would tell whose it is. */
export const STATUS_LIST_ENTRIES = 131_072

const BYTES_MIN = STATUS_LIST_ENTRIES / 8

/** Largest list, inflated, in bytes: 8,388,608 credentials. */
export const STATUS_LIST_BYTES_MAX = 1_048_576

/** `ttl` of a list that names none, milliseconds, §2.2; also what DESIGN §11 caches for. */
export const STATUS_TTL_DEFAULT_MS = 300_000

/**
 * Random draws that may hit a taken entry before the free ones are counted; and draws for one number, of which
 * the first nearly always serves: 16 in a row fail once in 2^144.
 */
const DRAWS_MAX = 16

/** How many values a draw of four bytes has. */
const DRAW_VALUES = 2 ** 32

/** Longest URL read, characters, as in credential.ts. */
const URL_CHARS_MAX = 4096

/** Most purposes of one list; the standard knows four. */
const PURPOSES_MAX = 16

/** Longest `ttl` read, milliseconds: ten years, beyond which it is a mistake. */
const TTL_MAX_MS = 315_576_000_000

/** Why a status is not known. */
export type StatusFault =
  | 'entry-malformed'
  | 'entry-unsupported' // a type or a size of entry that is not read
  | 'list-malformed'
  | 'list-mismatch' // another list than the entry names
  | 'list-too-short' // fewer entries than a list must have
  | 'limit-exceeded'
  | 'purpose-mismatch'
  | 'index-out-of-range'

/** A list that has been read; its bits are worth keeping, as inflating costs more than looking. */
export interface StatusList {
  readonly id?: string
  /** The DID that published it: the caller checks that it may speak for the credential's issuer. */
  readonly issuer?: string
  readonly purposes: readonly string[]
  readonly bits: Uint8Array
  /** How long it may be cached, milliseconds. */
  readonly ttlMs: number
  readonly validFrom?: Date
  readonly validUntil?: Date
}

interface StatusRefused {
  readonly ok: false
  readonly code: StatusFault
  /** What is wrong, values included, fit to be shown. */
  readonly reason: string
}

export type StatusListOutcome = { readonly ok: true; readonly list: StatusList } | StatusRefused

export type StatusOutcome =
  | {
      readonly ok: true
      /** Whether the bit is set: revoked, suspended, or what else the purpose says. */
      readonly set: boolean
      readonly purpose: string
      readonly index: number
      readonly list: StatusList
    }
  | StatusRefused

/**
 * A list in which nothing is set.
 *
 * @throws ProtocolError `credential-malformed` for a number of entries that is not a multiple of 8 between
 * {@link STATUS_LIST_ENTRIES} and eight times {@link STATUS_LIST_BYTES_MAX}.
 */
export function newBitstring(entries: number = STATUS_LIST_ENTRIES): Uint8Array<ArrayBuffer> {
  const sizeBytes = entries / 8
  if (
    !Number.isInteger(sizeBytes) ||
    entries < STATUS_LIST_ENTRIES ||
    sizeBytes > STATUS_LIST_BYTES_MAX
  ) {
    throw new ProtocolError('credential-malformed', `a status list of ${entries} entries`)
  }
  return new Uint8Array(sizeBytes)
}

/** @throws ProtocolError `limit-exceeded` for an index outside the list. */
export function getStatus(bits: Uint8Array, index: number): boolean {
  return ((bits[byteOf(bits, index)] ?? 0) & maskOf(index)) !== 0
}

/**
 * A copy with one entry set or cleared: the list before stays whole for whoever is signing or sending it.
 *
 * @throws ProtocolError `limit-exceeded` for an index outside the list.
 */
export function setStatus(
  bits: Uint8Array,
  index: number,
  value: boolean
): Uint8Array<ArrayBuffer> {
  const at = byteOf(bits, index)
  const copy = new Uint8Array(bits)
  const byte = copy[at] ?? 0
  copy[at] = value ? byte | maskOf(index) : byte & ~maskOf(index)
  return copy
}

/**
 * A free entry, each as likely as every other: an index in order of issuing would tell how many were issued, and
 * which credentials came together.
 *
 * @param taken as {@link newBitstring} makes them; a set bit is an entry in use, whatever its status.
 * @throws ProtocolError `limit-exceeded` when none is free.
 */
export function pickIndex(taken: Uint8Array, random: (sizeBytes: number) => Uint8Array): number {
  const entries = taken.length * 8
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const index = below(entries, random)
    if (!getStatus(taken, index)) return index
  }
  const free = freeEntries(taken)
  if (free === 0) {
    throw new ProtocolError('limit-exceeded', `all ${entries} entries of the status list are taken`)
  }
  let left = below(free, random)
  for (let index = 0; ; index++) if (!getStatus(taken, index) && left-- === 0) return index
}

/**
 * `encodedList` of a bitstring.
 *
 * @throws ProtocolError `limit-exceeded` for more than {@link STATUS_LIST_BYTES_MAX}.
 */
export async function encodeList(bits: Uint8Array): Promise<string> {
  if (bits.length > STATUS_LIST_BYTES_MAX) {
    throw new ProtocolError('limit-exceeded', `a status list of ${bits.length} bytes`)
  }
  return packList(bits)
}

export interface DecodeList {
  /** Most entries read; default eight times {@link STATUS_LIST_BYTES_MAX}. */
  readonly entriesMax?: number
  /** Whether the text is multibase, as in Bitstring Status List; StatusList2021 has plain base64 or base64url. Default true. */
  readonly multibase?: boolean
}

/**
 * The bitstring of an `encodedList`.
 *
 * @throws ProtocolError `credential-malformed` for what is not base64url of GZIP, or inflates to fewer than
 * {@link STATUS_LIST_ENTRIES} entries; `limit-exceeded` for what inflates to more than `entriesMax`: inflating
 * has stopped there.
 */
export async function decodeList(
  text: string,
  { entriesMax = STATUS_LIST_BYTES_MAX * 8, multibase = true }: DecodeList = {}
): Promise<Uint8Array<ArrayBuffer>> {
  const bytesMax = Math.min(Math.ceil(entriesMax / 8), STATUS_LIST_BYTES_MAX)
  const outcome = await unpackList(text, { bytesMin: BYTES_MIN, bytesMax, multibase })
  if (outcome.ok) return outcome.bits
  const code = outcome.code === 'limit-exceeded' ? 'limit-exceeded' : 'credential-malformed'
  throw new ProtocolError(code, outcome.reason)
}

export interface StatusListFacts {
  /** URL the list is served at. */
  readonly id: string
  /** The publisher's DID. */
  readonly issuer: string
  readonly purpose: 'revocation' | 'suspension'
  readonly bits: Uint8Array
  readonly validFrom: Date
  /** How long it may be cached, milliseconds. */
  readonly ttlMs: number
}

/** A list as a VCDM 2.0 credential without a proof, §2.2. */
export async function statusListCredential(facts: StatusListFacts): Promise<JsonObject> {
  const { id, issuer, purpose, bits, validFrom, ttlMs } = facts
  return {
    '@context': [CREDENTIALS_V2],
    id,
    type: ['VerifiableCredential', 'BitstringStatusListCredential'],
    issuer,
    validFrom: validFrom.toISOString(),
    credentialSubject: {
      id: `${id}#list`,
      type: 'BitstringStatusList',
      statusPurpose: purpose,
      ttl: ttlMs,
      encodedList: await encodeList(bits)
    }
  }
}

/**
 * Reads a list credential and inflates it.
 *
 * @param value of any shape; its proof has been verified, or is before the outcome is believed.
 */
export async function openStatusList(value: unknown): Promise<StatusListOutcome> {
  const parsed = listSchema.safeParse(value)
  if (!parsed.success)
    return refused('list-malformed', `not a status list: ${issueOf(parsed.error)}`)
  const { id, issuer, type, credentialSubject: subject, ...times } = parsed.data
  const form = FORMS.find(({ list }) => list === subject.type)
  if (form === undefined || ![type].flat().includes(form.credential)) {
    return refused('list-malformed', `a status list of type ${JSON.stringify(subject.type)}`)
  }
  if (subject.statusSize !== undefined && subject.statusSize !== 1) {
    return refused('entry-unsupported', `a status list with ${subject.statusSize} bits an entry`)
  }
  const { multibase } = form
  const unpacked = await unpackList(subject.encodedList, {
    bytesMin: BYTES_MIN,
    bytesMax: STATUS_LIST_BYTES_MAX,
    multibase
  })
  if (!unpacked.ok) return unpacked
  const from = times.validFrom ?? times.issuanceDate
  const until = times.validUntil ?? times.expirationDate
  return {
    ok: true,
    list: {
      purposes: [subject.statusPurpose].flat(),
      bits: unpacked.bits,
      ttlMs: subject.ttl ?? STATUS_TTL_DEFAULT_MS,
      ...(id === undefined ? {} : { id }),
      ...(issuer === undefined ? {} : { issuer: typeof issuer === 'string' ? issuer : issuer.id }),
      ...(from === undefined ? {} : { validFrom: from }),
      ...(until === undefined ? {} : { validUntil: until })
    }
  }
}

/**
 * What a list says of one entry of `credentialStatus`, §3.2.
 *
 * @param entry of any shape.
 */
export function statusIn(entry: unknown, list: StatusList): StatusOutcome {
  const parsed = entrySchema.safeParse(entry)
  if (!parsed.success) {
    return refused('entry-malformed', `not an entry of a status list: ${issueOf(parsed.error)}`)
  }
  const {
    statusPurpose: purpose,
    statusListIndex,
    statusListCredential: url,
    statusSize
  } = parsed.data
  if (statusSize !== undefined && statusSize !== 1) {
    return refused('entry-unsupported', `a status of ${statusSize} bits`)
  }
  if (list.id !== undefined && list.id !== url) {
    return refused(
      'list-mismatch',
      `the list is ${quoted(list.id)}, the entry names ${quoted(url)}`
    )
  }
  if (!list.purposes.includes(purpose)) {
    const theirs = list.purposes.map(quoted).join(', ')
    return refused(
      'purpose-mismatch',
      `the list is for ${theirs}, the entry for ${quoted(purpose)}`
    )
  }
  const index = Number(statusListIndex)
  const entries = list.bits.length * 8
  if (index >= entries) {
    return refused('index-out-of-range', `index ${statusListIndex} of a list of ${entries} entries`)
  }
  return { ok: true, set: getStatus(list.bits, index), purpose, index, list }
}

/** {@link openStatusList} and {@link statusIn} in one. */
export async function readStatus(entry: unknown, listCredential: unknown): Promise<StatusOutcome> {
  const outcome = await openStatusList(listCredential)
  return outcome.ok ? statusIn(entry, outcome.list) : outcome
}

/** Whether a `credentialStatus` entry is one that {@link statusIn} reads; the URL of its list if so. */
export function statusListUrl(entry: unknown): string | undefined {
  const parsed = entrySchema.safeParse(entry)
  return parsed.success ? parsed.data.statusListCredential : undefined
}

// oxfmt-ignore
const FORMS = [
  { credential: 'BitstringStatusListCredential', list: 'BitstringStatusList', multibase: true },
  { credential: 'StatusList2021Credential',      list: 'StatusList2021',      multibase: false }
] as const

const word = z.string().min(1).max(URL_CHARS_MAX)
const instant = z
  .string()
  .transform((given) => instantOf(given))
  .refine((date) => date !== undefined, 'not a date and time with its zone')

const listSchema = z.looseObject({
  id: word.optional(),
  type: z.union([word, z.array(word).min(1).max(PURPOSES_MAX)]),
  issuer: z.union([word, z.looseObject({ id: word })]).optional(),
  validFrom: instant.optional(),
  validUntil: instant.optional(),
  issuanceDate: instant.optional(),
  expirationDate: instant.optional(),
  credentialSubject: z.looseObject({
    type: word,
    statusPurpose: z.union([word, z.array(word).min(1).max(PURPOSES_MAX)]),
    encodedList: z.string().max(STATUS_LIST_CHARS_MAX, 'encodedList is too long'),
    statusSize: z.number().optional(),
    ttl: z.int().min(0).max(TTL_MAX_MS).optional()
  })
})

const entrySchema = z.looseObject({
  type: z.enum(['BitstringStatusListEntry', 'StatusList2021Entry']),
  statusPurpose: word,
  /** A text, §2.1; 15 digits are more than any list has and fewer than Number loses. */
  statusListIndex: z.string().regex(/^(?:0|[1-9]\d{0,14})$/, 'not a whole number as a text'),
  statusListCredential: word,
  statusSize: z.number().optional()
})

function freeEntries(taken: Uint8Array): number {
  let free = taken.length * 8
  for (let byte of taken) for (; byte !== 0; byte &= byte - 1) free--
  return free
}

/** A number below `count` (at most 2^23), each as likely as every other. */
function below(count: number, random: (sizeBytes: number) => Uint8Array): number {
  // The remainder would prefer small numbers where `count` does not divide 2^32: such draws, one in 512 at
  // most, are thrown away.
  const limit = DRAW_VALUES - (DRAW_VALUES % count)
  for (let attempt = 0; attempt < DRAWS_MAX; attempt++) {
    const bytes = random(4)
    const draw = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    if (draw < limit) return draw % count
  }
  throw new ProtocolError('limit-exceeded', `${DRAWS_MAX} draws gave no number below ${count}`)
}

function byteOf(bits: Uint8Array, index: number): number {
  if (!Number.isSafeInteger(index) || index < 0 || index >= bits.length * 8) {
    throw new ProtocolError(
      'limit-exceeded',
      `index ${index} of a list of ${bits.length * 8} entries`
    )
  }
  return index >>> 3
}

/** Index 0 is the highest bit of the first byte, §2.2. */
function maskOf(index: number): number {
  return 0x80 >>> (index & 7)
}

function refused(code: StatusFault, reason: string): StatusRefused {
  return { ok: false, code, reason }
}

function issueOf({ issues: [issue] }: z.ZodError): string {
  return issue === undefined ? 'wrong structure' : `${issue.path.join('/')}: ${issue.message}`
}

/** A text from outside for a reason: short, whatever it is. */
function quoted(value: string): string {
  return JSON.stringify(value.slice(0, 200))
}
