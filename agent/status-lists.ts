/**
 * The issuer's status lists (Bitstring Status List 1.0): which entry belongs to nobody yet, which is set, and
 * the signed list that everyone may read.
 *
 * | record         | key                | holds                                                          |
 * |----------------|--------------------|----------------------------------------------------------------|
 * | `status-lists` | the list's id      | purpose, URL, when it was begun                                |
 * | `status-pages` | `<list>/<page>`    | 1,024 entries: 128 bytes "taken", 128 bytes "set"              |
 *
 * A list is 131,072 entries, and issuing one credential takes one of each purpose at random. Pages keep that
 * cheap: two small records are written, not two lists. Revocation and suspension are separate lists with
 * separate indices, so that the two entries of a credential say nothing about each other.
 *
 * A list is full at three quarters. Beyond that the few free entries would tell who came last.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { addJcsProof } from '../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import {
  getStatus,
  newBitstring,
  pickIndex,
  setStatus,
  statusListCredential,
  STATUS_TTL_DEFAULT_MS
} from '../protocols/credential/status-list.ts'
import type { Audit } from './audit.ts'
import type { Clock, Random } from './components.ts'
import { LockerError } from './errors.ts'
import type { Issuer } from './issuer.ts'
import { newRecordId } from './record-id.ts'
import type { Batch, Collection, Records } from './records.ts'

/** Lists of one issuer, each 32 KiB in memory: some 49 million credentials. */
const STATUS_LISTS_MAX = 1000
/** Entries of a list: as few as the standard allows, among which nobody stands out. */
export const STATUS_ENTRIES = newBitstring().length * 8
/** Entries of a list that are given out before the next list is begun. */
export const STATUS_LIST_FILL_MAX = (STATUS_ENTRIES / 4) * 3

/** Entries of one page. */
const PAGE_ENTRIES = 1024
const PAGE_BYTES = PAGE_ENTRIES / 8
const PAGES = STATUS_ENTRIES / PAGE_ENTRIES
/** Sublevel of the pages, as damage is named by it. */
const PAGES_NAME = 'status-pages'

type StatusPurpose = 'revocation' | 'suspension'

/** One entry of one list; kept with the credential it was given to. */
interface StatusEntry {
  readonly list: string
  readonly index: number
}

/** What a new credential is given. */
export interface StatusAllocation {
  readonly revocation: StatusEntry
  readonly suspension: StatusEntry
  /** `credentialStatus` of the credential, both entries. */
  readonly credentialStatus: readonly JsonObject[]
}

interface StatusListFacts {
  readonly id: string
  readonly url: string
  readonly purpose: StatusPurpose
  readonly entries: number
  readonly taken: number
  readonly set: number
  readonly createdAt: string
}

export interface StatusLists {
  /** The oldest first. */
  list(): readonly StatusListFacts[]
  /** Two random free entries, taken when the batch is durable. Throws `storage-full`. */
  allocate(batch: Batch): StatusAllocation
  /** Sets or clears. Throws `not-found` for an entry nobody was given. */
  set(batch: Batch, entry: StatusEntry, value: boolean): void
  /** Throws `not-found`. */
  isSet(entry: StatusEntry): boolean
  /**
   * The signed list as it is now, the same for five minutes while nothing changes. Throws `not-found`,
   * `issuer-absent`, `records-damaged` while {@link lost}.
   */
  signed(id: string): Promise<JsonObject>
  /**
   * Whether pages are damaged or missing. A list signed then could say that a revoked credential is valid, and an
   * entry could be given out twice; so neither is done until {@link repair}.
   */
  lost(): boolean
  /**
   * Writes every page anew, of what could be read and what `known` says: every entry that was given out, from
   * the records of what was issued.
   */
  repair(known: Iterable<KnownStatus>): Promise<void>
}

/** An entry that was given out, and whether it is set. */
interface KnownStatus {
  readonly entry: StatusEntry
  readonly set: boolean
}

export interface StatusListsComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly clock: Clock
  readonly random: Random
  readonly issuer: Pick<Issuer, 'signer'>
  /** Base URL of the public gateway, without a trailing slash; part of what is signed, so it has to last. */
  readonly baseUrl: () => string
}

const listRecord = z.strictObject({
  purpose: z.enum(['revocation', 'suspension']),
  url: z.string().max(2048),
  createdAt: z.iso.datetime()
})

/** 128 bytes, base64url. */
const page = z.string().regex(/^[A-Za-z0-9_-]{171}$/)
const pageRecord = z.strictObject({ taken: page, set: page })

type ListRecord = z.infer<typeof listRecord>
type PageRecord = z.infer<typeof pageRecord>

/** Reads every page into memory. */
export async function openStatusLists(components: StatusListsComponents): Promise<StatusLists> {
  const { records } = components
  const lists = await records.collection('status-lists', listRecord)
  const pages = await records.collection(PAGES_NAME, pageRecord)
  return new PagedStatusLists(components, lists, pages)
}

/** Both bitstrings of a list; never changed, only replaced. */
interface Bits {
  readonly taken: Uint8Array
  readonly set: Uint8Array
}

const NONE: Bits = { taken: newBitstring(), set: newBitstring() }

class PagedStatusLists implements StatusLists {
  readonly #components: StatusListsComponents
  readonly #lists: Collection<ListRecord>
  readonly #pages: Collection<PageRecord>
  /** As the durable pages have it. */
  readonly #bits = new Map<string, Bits>()
  /** Lists as a batch that has not ended has them, so that two credentials of one batch do not share an entry. */
  readonly #pending = new WeakMap<Batch, Map<string, Bits>>()
  /** Lists begun by a batch that has not ended. */
  readonly #begun = new WeakMap<Batch, Map<string, ListRecord>>()
  /** Pages did not open, or are fewer than there were. */
  #lost: boolean
  readonly #signed = new Map<
    string,
    {
      readonly bits: Bits
      readonly key: string
      readonly untilMs: number
      readonly document: Promise<JsonObject>
    }
  >()

  constructor(
    components: StatusListsComponents,
    lists: Collection<ListRecord>,
    pages: Collection<PageRecord>
  ) {
    this.#components = components
    this.#lists = lists
    this.#pages = pages
    this.#lost = components.records.damaged.some(({ sublevel }) => sublevel === PAGES_NAME)
    const read = new Map<string, { taken: Uint8Array; set: Uint8Array }>()
    for (const [key, record] of pages.entries()) {
      const [id = '', number = ''] = key.split('/')
      const bits = read.get(id) ?? { taken: newBitstring(), set: newBitstring() }
      const offset = Number(number) * PAGE_BYTES
      bits.taken.set(base64urlnopad.decode(record.taken), offset)
      bits.set.set(base64urlnopad.decode(record.set), offset)
      read.set(id, bits)
    }
    for (const [id, bits] of read) this.#bits.set(id, bits)
  }

  list(): readonly StatusListFacts[] {
    return [...this.#lists.entries()]
      .map(([id, record]) => {
        const { taken, set } = this.#bits.get(id) ?? NONE
        const counts = { taken: ones(taken), set: ones(set) }
        return { id, ...record, entries: STATUS_ENTRIES, ...counts }
      })
      .toSorted(
        (one, other) =>
          one.createdAt.localeCompare(other.createdAt) ||
          one.purpose.localeCompare(other.purpose) ||
          one.id.localeCompare(other.id)
      )
  }

  lost(): boolean {
    return this.#lost
  }

  async repair(known: Iterable<KnownStatus>): Promise<void> {
    const { records } = this.#components
    const repaired = new Map<string, Bits>()
    for (const { entry, set } of known) {
      const { list, index } = entry
      if (this.#lists.get(list) === undefined) continue
      const bits = repaired.get(list) ?? this.#bits.get(list) ?? NONE
      const taken = setStatus(bits.taken, index, true)
      repaired.set(list, { taken, set: setStatus(bits.set, index, set) })
    }
    // Every page, known of or not: what is put in the place of a damaged record is whole again.
    for (const [id] of this.#lists.entries()) {
      const bits = repaired.get(id) ?? this.#bits.get(id) ?? NONE
      await records.change((batch) => {
        for (let number = 0; number < PAGES; number++) this.#putPage(batch, id, number, bits)
        batch.afterwards(() => this.#bits.set(id, bits))
      })
    }
    this.#lost = false
  }

  allocate(batch: Batch): StatusAllocation {
    this.#mustBeWhole()
    const revocation = this.#take(batch, 'revocation')
    const suspension = this.#take(batch, 'suspension')
    return {
      revocation,
      suspension,
      credentialStatus: [
        this.#statusOf(batch, revocation, 'revocation'),
        this.#statusOf(batch, suspension, 'suspension')
      ]
    }
  }

  set(batch: Batch, entry: StatusEntry, value: boolean): void {
    const bits = this.#within(batch, entry.list)
    if (!isTaken(bits, entry)) throw unknownEntry(entry)
    this.#put(batch, entry, { taken: bits.taken, set: setStatus(bits.set, entry.index, value) })
  }

  isSet(entry: StatusEntry): boolean {
    const bits = this.#bits.get(entry.list) ?? NONE
    if (!isTaken(bits, entry)) throw unknownEntry(entry)
    return getStatus(bits.set, entry.index)
  }

  async signed(id: string): Promise<JsonObject> {
    const record = this.#lists.get(id)
    if (record === undefined)
      throw new LockerError('not-found', `no status list ${id.slice(0, 100)}`)
    this.#mustBeWhole()
    const { clock, issuer } = this.#components
    const { verificationMethod: key } = issuer.signer()
    const bits = this.#bits.get(id) ?? NONE
    const nowMs = clock.now().getTime()
    const kept = this.#signed.get(id)
    if (kept?.bits === bits && kept.key === key && nowMs < kept.untilMs) return kept.document
    const document = this.#sign(record, bits)
    this.#signed.set(id, { bits, key, untilMs: nowMs + STATUS_TTL_DEFAULT_MS, document })
    try {
      return await document
    } catch (error) {
      // Whoever asks next tries again.
      this.#signed.delete(id)
      throw error
    }
  }

  async #sign({ url, purpose }: ListRecord, { set: bits }: Bits): Promise<JsonObject> {
    const { clock, issuer } = this.#components
    const signer = issuer.signer()
    const validFrom = clock.now()
    const unsigned = await statusListCredential({
      id: url,
      issuer: signer.verificationMethod.slice(0, signer.verificationMethod.indexOf('#')),
      purpose,
      bits,
      validFrom,
      ttlMs: STATUS_TTL_DEFAULT_MS
    })
    return addJcsProof(unsigned, { signer, created: validFrom }, nativeProofCrypto)
  }

  #take(batch: Batch, purpose: StatusPurpose): StatusEntry {
    const list = this.#withRoom(batch, purpose) ?? this.#begin(batch, purpose)
    const bits = this.#within(batch, list)
    const index = pickIndex(bits.taken, this.#components.random)
    const entry = { list, index }
    this.#put(batch, entry, { taken: setStatus(bits.taken, index, true), set: bits.set })
    return entry
  }

  /** A list of the purpose that is not full; there is at most one. */
  #withRoom(batch: Batch, purpose: StatusPurpose): string | undefined {
    const lists = [...this.#lists.entries(), ...(this.#begun.get(batch) ?? [])]
    const found = lists.find(
      ([id, list]) =>
        list.purpose === purpose && ones(this.#within(batch, id).taken) < STATUS_LIST_FILL_MAX
    )
    return found?.[0]
  }

  #begin(batch: Batch, purpose: StatusPurpose): string {
    const { audit, clock, random, baseUrl } = this.#components
    const begun = this.#begun.get(batch) ?? new Map<string, ListRecord>()
    if (this.#lists.size + begun.size >= STATUS_LISTS_MAX)
      throw new LockerError(
        'storage-full',
        `${STATUS_LISTS_MAX} status lists, the most there can be`
      )
    const id = newRecordId(random)
    const url = `${baseUrl()}/status-lists/${id}`
    const record: ListRecord = { purpose, url, createdAt: clock.now().toISOString() }
    this.#lists.put(batch, id, record)
    this.#begun.set(batch, begun.set(id, record))
    const details = { list: id, purpose }
    audit.append(batch, { action: 'status-list-created', actor: 'locker', details })
    return id
  }

  #statusOf(batch: Batch, { list, index }: StatusEntry, purpose: StatusPurpose): JsonObject {
    const record = this.#begun.get(batch)?.get(list) ?? this.#lists.get(list)
    const url = record?.url ?? ''
    return {
      id: `${url}#${index}`,
      type: 'BitstringStatusListEntry',
      statusPurpose: purpose,
      statusListIndex: String(index),
      statusListCredential: url
    }
  }

  /** The list as this batch has it so far. */
  #within(batch: Batch, list: string): Bits {
    return this.#pending.get(batch)?.get(list) ?? this.#bits.get(list) ?? NONE
  }

  #put(batch: Batch, { list, index }: StatusEntry, bits: Bits): void {
    this.#putPage(batch, list, Math.floor(index / PAGE_ENTRIES), bits)
    let pending = this.#pending.get(batch)
    if (pending === undefined) {
      const lists = new Map<string, Bits>()
      this.#pending.set(batch, (pending = lists))
      batch.afterwards(() => {
        for (const [id, durable] of lists) this.#bits.set(id, durable)
      })
    }
    pending.set(list, bits)
  }

  #putPage(batch: Batch, list: string, number: number, { taken, set }: Bits): void {
    const range = [number * PAGE_BYTES, (number + 1) * PAGE_BYTES] as const
    this.#pages.put(batch, `${list}/${number}`, {
      taken: base64urlnopad.encode(taken.slice(...range)),
      set: base64urlnopad.encode(set.slice(...range))
    })
  }

  #mustBeWhole(): void {
    if (this.#lost)
      throw new LockerError('records-damaged', 'pages of the status lists are damaged or missing')
  }
}

function isTaken({ taken }: Bits, { index }: StatusEntry): boolean {
  return (
    Number.isInteger(index) && index >= 0 && index < taken.length * 8 && getStatus(taken, index)
  )
}

function unknownEntry({ list, index }: StatusEntry): LockerError {
  return new LockerError('not-found', `no entry ${index} in the status list ${list.slice(0, 100)}`)
}

/** Bits that are set. Every four bytes at once: a list is counted for each credential that is issued. */
function ones(bits: Uint8Array): number {
  const words = new Uint32Array(bits.buffer, bits.byteOffset, bits.byteLength / 4)
  let count = 0
  for (let word of words) {
    word -= (word >>> 1) & 0x55555555
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333)
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return count
}
