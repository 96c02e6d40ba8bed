/**
 * Share links: a document for someone with nothing but a browser.
 *
 * | record  | key         | holds                                                                      |
 * |---------|-------------|----------------------------------------------------------------------------|
 * | `links` | the link id | document and version, limits, uses, SHA-256 of the proof, open key, salt   |
 *
 * The record holds the open key, not the secret (protocols/share-link.ts): the capability is sealed
 * anew at each opening, from what the document is at that moment, so a document that was sealed again
 * after a revocation needs no second place brought up to date. A use is counted and audited in one
 * batch before the capability is returned; a crash after that loses the use, never the count.
 *
 * @module
 */
import { timingSafeEqual } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import {
  deriveLinkKeys,
  formatLinkId,
  formatLinkUrl,
  hashProof,
  LINK_ID_BYTES,
  LINK_NONCE_BYTES,
  LINK_PASSPHRASE_CHARACTERS_MAX,
  LINK_SALT_BYTES,
  LINK_SECRET_BYTES,
  sealCapability
} from '../protocols/share-link.ts'
import type { Audit } from './audit.ts'
import type { Clock, Random } from './components.ts'
import type { DocumentStore } from './documents.ts'
import { LockerError } from './errors.ts'
import type { Batch, Collection, Records } from './records.ts'

export interface LinkFacts {
  /** 26 characters of lower-case base32. */
  readonly id: string
  readonly document: { readonly id: string; readonly name: string }
  readonly purpose?: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly usesMax: number
  readonly uses: number
  readonly passphrase: boolean
  readonly state: 'live' | 'used-up' | 'expired' | 'stopped'
}

/** What the public listener needs to answer `POST /s/<id>/open`. */
export interface OpenedLink {
  /** Sealed capability (protocols/share-link.ts): the page opens it with the key from the fragment. */
  readonly capability: Uint8Array<ArrayBuffer>
  /** Lets the page read the ciphertext for 10 minutes. */
  readonly ticket: string
  /** Length of the sealed age file, bytes. */
  readonly sealedBytes: number
  readonly usesLeft: number
}

export interface Links {
  list(): readonly LinkFacts[]
  /** The URL holds the key in its fragment and is shown once: only the link's own record stays. */
  create(options: {
    document: string
    purpose?: string
    /** Default 24 h from now, at most 30 days. */
    expiresAt?: Date
    /** Default 1, at most 1,000. */
    usesMax?: number
    passphrase?: string
  }): Promise<{ facts: LinkFacts; url: string }>
  stop(id: string): Promise<LinkFacts>
  /** Public facts before opening; inert. Throws `link-unknown`. */
  describe(id: string): {
    passphrase: boolean
    salt: string
    state: LinkFacts['state']
    expiresAt: string
  }
  /** Checks the proof, counts the use and audits, in one batch, before it resolves. Throws `link-…`. */
  open(id: string, proof: Uint8Array): Promise<OpenedLink>
  /** Ciphertext of an opened link, by byte range of the sealed file. Throws `link-unknown` for a ticket that is not live. */
  read(
    id: string,
    ticket: string,
    range?: ByteRangeOfSealed
  ): Promise<AsyncIterable<Uint8Array<ArrayBuffer>>>
}

/** Inclusive byte offsets of the sealed file. */
interface ByteRangeOfSealed {
  readonly start: number
  readonly end: number
}

/** Longest life of a link, milliseconds: 30 days (DESIGN §11). */
export const LINK_LIFETIME_MAX_MS = 30 * 24 * 3_600_000
/** Life of a link when none is given, milliseconds: 24 hours (DESIGN §11). */
export const LINK_LIFETIME_DEFAULT_MS = 24 * 3_600_000
/** Most uses of a link. */
export const LINK_USES_MAX = 1000
/** Live links of one locker: what a page can list and a sweep can walk. */
const LINKS_LIVE_MAX = 10_000
/** Links remembered, live and ended: beyond it the oldest ended ones are forgotten and become `link-unknown`. */
const LINKS_KEPT_MAX = 20_000
/** Wrong proofs that stop a link: someone has the address and is guessing the passphrase. */
export const WRONG_PROOFS_MAX = 20
/** Life of a ticket, milliseconds. */
export const TICKET_LIFETIME_MS = 10 * 60_000
/** Tickets held in memory; beyond it the oldest one ends. */
const TICKETS_MAX = 10_000
/** Shortest passphrase. The secret in the URL carries the strength; the passphrase is a second thing to know. */
const LINK_PASSPHRASE_CHARACTERS_MIN = 4
/** Longest purpose, UTF-16 code units. */
const PURPOSE_CHARACTERS_MAX = 500
/** Longest name of a document in a link, UTF-16 code units; a longer one is cut. */
const NAME_CHARACTERS_MAX = 1000
/** Longest name of an owner in a link, UTF-16 code units; a longer one is cut. */
const FROM_CHARACTERS_MAX = 500
/** Random bytes of a ticket. */
const TICKET_BYTES = 32

/** 32 bytes in canonical base64url: the last of 43 characters carries two zero bits. */
const bytes32 = z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)

const linkRecord = z.object({
  document: z.string().min(1).max(64),
  /** Version the link shows; later versions are not in it. */
  version: z.int().positive(),
  /** The document's name when the link was made: kept for the list after the document is gone. */
  name: z.string().max(NAME_CHARACTERS_MAX),
  purpose: z.string().max(PURPOSE_CHARACTERS_MAX).optional(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  usesMax: z.int().min(1).max(LINK_USES_MAX),
  uses: z.int().min(0).max(LINK_USES_MAX),
  passphrase: z.boolean(),
  /** 16 bytes, canonical base64url. */
  salt: z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/),
  proofHash: bytes32,
  openKey: bytes32,
  wrongProofs: z.int().min(0).max(WRONG_PROOFS_MAX),
  stoppedAt: z.iso.datetime().optional()
})
type LinkRecord = z.infer<typeof linkRecord>

export interface LinksComponents {
  readonly records: Records
  readonly audit: Audit
  readonly documents: Pick<DocumentStore, 'get' | 'sealed' | 'readSealed' | 'onRemove'>
  readonly clock: Clock
  readonly random: Random
  /** Public base URL, for the links that are handed out. */
  readonly baseUrl: () => string
  /** What the owner calls themself; the page shows it as unproven. */
  readonly ownerName: () => string
  /** Called after a link changed, with its id. */
  readonly changed: (id: string) => void
  /** Bounds that tests set lower; default 10,000 live links, 20,000 remembered, 10,000 tickets. */
  readonly limits?: { readonly live?: number; readonly kept?: number; readonly tickets?: number }
}

/** What an opening ended in, decided inside the batch; a refusal must not undo the counting of it. */
type Opening = { readonly refused: LockerError } | { readonly opened: OpenedLink }

interface Ticket {
  readonly link: string
  readonly root: string
  readonly sealedBytes: number
  readonly expiresAtMs: number
}

/** Opens the links of an open vault. */
export async function openLinks(components: LinksComponents): Promise<Links> {
  const links = await components.records.collection('links', linkRecord)
  return new LinkStore(components, links)
}

class LinkStore implements Links {
  readonly #components: LinksComponents
  readonly #links: Collection<LinkRecord>
  /** In the order they were made, so the first one is the oldest. */
  readonly #tickets = new Map<string, Ticket>()

  constructor(components: LinksComponents, links: Collection<LinkRecord>) {
    this.#components = components
    this.#links = links
    components.documents.onRemove((batch, document) => this.#stopAll(batch, document))
  }

  list(): readonly LinkFacts[] {
    return [...this.#links.entries()]
      .map(([id, record]) => this.#factsOf(id, record))
      .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
  }

  async create(
    options: Parameters<Links['create']>[0]
  ): Promise<{ facts: LinkFacts; url: string }> {
    const { random, records, documents, audit, baseUrl, changed } = this.#components
    const record = this.#validated(options)
    const id = formatLinkId(random(LINK_ID_BYTES))
    const secret = random(LINK_SECRET_BYTES)
    const salt = random(LINK_SALT_BYTES)
    const keys = await deriveLinkKeys({
      id,
      secret,
      ...(options.passphrase === undefined
        ? {}
        : { passphrase: { text: options.passphrase, salt } })
    })
    const stored: LinkRecord = {
      ...record,
      salt: base64urlnopad.encode(salt),
      proofHash: base64urlnopad.encode(hashProof(keys.auth)),
      openKey: base64urlnopad.encode(keys.openKey)
    }
    await records.change((batch) => {
      // Looked at again: the document may have gone to the trash while the passphrase was stretched.
      refuseTrashed(documents.get(options.document))
      this.#makeRoom(batch)
      this.#links.put(batch, id, stored)
      audit.append(batch, { ...entryOf(id, stored), action: 'link-created', actor: 'owner' })
      batch.afterwards(() => changed(id))
    })
    return { facts: this.#factsOf(id, stored), url: formatLinkUrl(baseUrl(), id, secret) }
  }

  async stop(id: string): Promise<LinkFacts> {
    const { records } = this.#components
    await records.change((batch) => {
      const record = this.#recordOf(id)
      if (record.stoppedAt === undefined) this.#stop(batch, id, record, 'owner', 'asked')
    })
    return this.#factsOf(id, this.#recordOf(id))
  }

  describe(id: string): ReturnType<Links['describe']> {
    const record = this.#recordOf(id)
    const { passphrase, salt, expiresAt } = record
    return { passphrase, salt, state: this.#stateOf(record), expiresAt }
  }

  async open(id: string, proof: Uint8Array): Promise<OpenedLink> {
    const opening = await this.#components.records.change((batch) => this.#openIn(batch, id, proof))
    if ('refused' in opening) throw opening.refused
    return opening.opened
  }

  async read(
    id: string,
    ticket: string,
    range?: ByteRangeOfSealed
  ): Promise<AsyncIterable<Uint8Array<ArrayBuffer>>> {
    const { clock, documents } = this.#components
    const held = this.#tickets.get(ticket)
    const record = this.#links.get(id)
    const live =
      held !== undefined &&
      held.link === id &&
      held.expiresAtMs > clock.now().getTime() &&
      record !== undefined &&
      record.stoppedAt === undefined &&
      // After a re-seal the ticket's ciphertext is gone; the key the page holds opens nothing else.
      documents.sealed(record.document, record.version).root === held.root
    if (!live) throw new LockerError('link-unknown', 'the ticket is not live')
    const end = Math.min(range?.end ?? held.sealedBytes - 1, held.sealedBytes - 1)
    const start = range?.start ?? 0
    if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end))
      throw new LockerError(
        'range-invalid',
        `bytes ${start} to ${end} of a sealed file of ${held.sealedBytes} bytes`
      )
    return documents.readSealed(held.root, { start, end })
  }

  /** Checks what the owner asked for; throws `request-invalid`, `document-unknown`, `document-trashed`. */
  #validated(
    options: Parameters<Links['create']>[0]
  ): Omit<LinkRecord, 'salt' | 'proofHash' | 'openKey'> {
    const { clock, documents } = this.#components
    const now = clock.now()
    const expiresAt = options.expiresAt ?? new Date(now.getTime() + LINK_LIFETIME_DEFAULT_MS)
    const usesMax = options.usesMax ?? 1
    const lifetimeMs = expiresAt.getTime() - now.getTime()
    if (!(lifetimeMs > 0 && lifetimeMs <= LINK_LIFETIME_MAX_MS))
      throw new LockerError('request-invalid', 'a link lives for at most 30 days from now')
    if (!(Number.isInteger(usesMax) && usesMax >= 1 && usesMax <= LINK_USES_MAX))
      throw new LockerError('request-invalid', `a link has 1 to ${LINK_USES_MAX} uses`)
    const { passphrase, purpose } = options
    if (
      passphrase !== undefined &&
      !(
        passphrase.length >= LINK_PASSPHRASE_CHARACTERS_MIN &&
        passphrase.length <= LINK_PASSPHRASE_CHARACTERS_MAX
      )
    )
      throw new LockerError(
        'request-invalid',
        `a link's passphrase has ${LINK_PASSPHRASE_CHARACTERS_MIN} to ${LINK_PASSPHRASE_CHARACTERS_MAX} characters`
      )
    if (purpose !== undefined && purpose.length > PURPOSE_CHARACTERS_MAX)
      throw new LockerError(
        'request-invalid',
        `a purpose has at most ${PURPOSE_CHARACTERS_MAX} characters`
      )
    const document = documents.get(options.document)
    refuseTrashed(document)
    return {
      document: document.id,
      version: document.version,
      name: document.name.slice(0, NAME_CHARACTERS_MAX),
      purpose,
      createdAt: now.toISOString(),
      expiresAt: expiresAt.toISOString(),
      usesMax,
      uses: 0,
      passphrase: passphrase !== undefined,
      wrongProofs: 0
    }
  }

  /** The whole decision about one opening. Changes run one after the other, so no two see the same count. */
  #openIn(batch: Batch, id: string, proof: Uint8Array): Opening {
    const { documents, audit, random, clock, ownerName, changed } = this.#components
    const record = this.#recordOf(id)
    const state = this.#stateOf(record)
    if (state !== 'live') return { refused: endedError(id, state) }
    if (!timingSafeEqual(hashProof(proof), base64urlnopad.decode(record.proofHash)))
      return this.#countWrongProof(batch, id, record)
    const sealed = documents.sealed(record.document, record.version)
    const used: LinkRecord = { ...record, uses: record.uses + 1 }
    const ticket = base64urlnopad.encode(random(TICKET_BYTES))
    const capability = sealCapability(
      base64urlnopad.decode(record.openKey),
      id,
      {
        v: 1,
        fileKey: base64urlnopad.encode(sealed.fileKey),
        root: sealed.root,
        sealedBytes: sealed.sealedBytes,
        sizeBytes: sealed.sizeBytes,
        name: sealed.name.slice(0, NAME_CHARACTERS_MAX),
        mediaType: sealed.mediaType,
        from: ownerName().slice(0, FROM_CHARACTERS_MAX),
        ...(record.purpose === undefined ? {} : { purpose: record.purpose }),
        createdAt: record.createdAt,
        expiresAt: record.expiresAt
      },
      random(LINK_NONCE_BYTES)
    )
    this.#links.put(batch, id, used)
    audit.append(batch, {
      ...entryOf(id, record),
      action: 'link-opened',
      actor: 'link',
      details: { use: used.uses, usesMax: used.usesMax }
    })
    batch.afterwards(() => {
      this.#keepTicket(ticket, {
        link: id,
        root: sealed.root,
        sealedBytes: sealed.sealedBytes,
        expiresAtMs: clock.now().getTime() + TICKET_LIFETIME_MS
      })
      changed(id)
    })
    const usesLeft = used.usesMax - used.uses
    return { opened: { capability, ticket, sealedBytes: sealed.sealedBytes, usesLeft } }
  }

  #countWrongProof(batch: Batch, id: string, record: LinkRecord): Opening {
    const wrong: LinkRecord = { ...record, wrongProofs: record.wrongProofs + 1 }
    const attemptsLeft = WRONG_PROOFS_MAX - wrong.wrongProofs
    this.#components.audit.append(batch, {
      ...entryOf(id, record),
      action: 'link-refused',
      actor: 'link',
      details: { attemptsLeft }
    })
    if (wrong.wrongProofs >= WRONG_PROOFS_MAX) this.#stop(batch, id, wrong, 'link', 'wrong-proofs')
    else this.#links.put(batch, id, wrong)
    return {
      refused: new LockerError('link-proof-wrong', `the proof does not open link ${id}`, {
        facts: { attemptsLeft }
      })
    }
  }

  #stop(batch: Batch, id: string, record: LinkRecord, actor: string, why: string): void {
    const { audit, clock, changed } = this.#components
    this.#links.put(batch, id, { ...record, stoppedAt: clock.now().toISOString() })
    audit.append(batch, {
      ...entryOf(id, record),
      action: 'link-stopped',
      actor,
      details: { reason: why }
    })
    batch.afterwards(() => changed(id))
  }

  /** The document leaves the locker: its links end in the same batch. */
  #stopAll(batch: Batch, document: string): void {
    for (const [id, record] of this.#links.entries())
      if (record.document === document && this.#stateOf(record) === 'live')
        this.#stop(batch, id, record, 'owner', 'document-removed')
  }

  /** Refuses a link too many; forgets the oldest ended ones. */
  #makeRoom(batch: Batch): void {
    const { live = LINKS_LIVE_MAX, kept = LINKS_KEPT_MAX } = this.#components.limits ?? {}
    if (this.#links.size < live) return
    const ended = [...this.#links.entries()].filter(([, each]) => this.#stateOf(each) !== 'live')
    if (this.#links.size - ended.length >= live)
      throw new LockerError('request-invalid', `there are ${live} live links already`)
    const tooMany = this.#links.size + 1 - kept
    if (tooMany <= 0) return
    const oldest = ended.toSorted(([, one], [, other]) =>
      one.createdAt.localeCompare(other.createdAt)
    )
    for (const [id] of oldest.slice(0, tooMany)) this.#links.delete(batch, id)
  }

  #keepTicket(ticket: string, facts: Ticket): void {
    const { clock, limits } = this.#components
    const now = clock.now().getTime()
    for (const [old, { expiresAtMs }] of this.#tickets) {
      // All live equally long, so the first one that is still live ends the walk.
      if (expiresAtMs > now && this.#tickets.size < (limits?.tickets ?? TICKETS_MAX)) break
      this.#tickets.delete(old)
    }
    this.#tickets.set(ticket, facts)
  }

  #recordOf(id: string): LinkRecord {
    const record = this.#links.get(id)
    if (record === undefined) throw new LockerError('link-unknown', 'no such link')
    return record
  }

  #stateOf(record: LinkRecord): LinkFacts['state'] {
    if (record.stoppedAt !== undefined) return 'stopped'
    if (record.uses >= record.usesMax) return 'used-up'
    if (this.#components.clock.now().getTime() >= Date.parse(record.expiresAt)) return 'expired'
    return 'live'
  }

  #factsOf(id: string, record: LinkRecord): LinkFacts {
    const { document, name, purpose, createdAt, expiresAt, usesMax, uses, passphrase } = record
    return {
      id,
      document: { id: document, name },
      ...(purpose === undefined ? {} : { purpose }),
      createdAt,
      expiresAt,
      usesMax,
      uses,
      passphrase,
      state: this.#stateOf(record)
    }
  }
}

function refuseTrashed(document: { id: string; trashedAt?: string }): void {
  if (document.trashedAt !== undefined)
    throw new LockerError('document-trashed', `document ${document.id} is in the trash`)
}

const ENDED = {
  'used-up': { code: 'link-used-up', what: 'has been used up' },
  expired: { code: 'link-expired', what: 'has expired' },
  stopped: { code: 'link-stopped', what: 'was stopped' }
} as const

function endedError(id: string, state: keyof typeof ENDED): LockerError {
  const { code, what } = ENDED[state]
  return new LockerError(code, `link ${id} ${what}`)
}

function entryOf(
  id: string,
  record: LinkRecord
): { link: string; document: { id: string; name: string }; purpose?: string } {
  return {
    link: id,
    document: { id: record.document, name: record.name },
    ...(record.purpose === undefined ? {} : { purpose: record.purpose })
  }
}
