/**
 * The audit log: what happened to the owner's documents and who did it, in an append-only chain of
 * sealed entries. An entry is durable before the byte it speaks of leaves (DESIGN §9).
 *
 * Entries are a sequence (agent/records.ts, sublevel `audit`): sealed, numbered from 1 without gaps, put
 * into the batch of the change they speak of, so there is no effect without its entry and no entry
 * without its effect. Inside each stands
 *
 *     previous   SHA-256 of the sealed bytes of the entry before, hex; empty in the first
 *
 * and the manifest holds the hash of the last. The chain runs over sealed bytes: should an entry's
 * content have to be erased, the hash of its sealed form can stay in its place and the chain still
 * closes. Nobody without the root key can make an entry that opens; with it, the chain, the manifest and
 * the head file outside the database still show a part cut away or put back from an older copy.
 *
 * @module
 */
import { z } from 'zod'
import type { Clock } from './components.ts'
import type { Batch, Records, Sequence } from './records.ts'

/**
 * Everything the log speaks of. `<subject>-<what happened>`; a reader that does not know an action
 * refuses the entry, so an action once used is never removed from the list.
 */
export const AUDIT_ACTIONS = [
  'locker-created',
  'locker-restored',
  'owner-renamed',
  'vault-opened',
  'vault-sealed',
  'passphrase-changed',
  'recovery-kit-replaced',
  'recovery-confirmed',
  'backup-created',
  'damage-found',
  'loss-accepted',
  'document-added',
  'document-copied',
  'document-version-added',
  'document-opened',
  'document-changed',
  'document-trashed',
  'document-restored',
  'document-deleted',
  'document-purged',
  'document-damaged',
  'document-healed',
  'document-resealed',
  'request-sent',
  'request-received',
  'request-declined',
  'request-expired',
  'grant-given',
  'grant-received',
  'grant-accepted',
  'grant-copied',
  'grant-declined',
  'grant-fetched',
  'grant-opened',
  'grant-refused',
  'grant-replaced',
  'grant-revoked',
  'grant-expired',
  'link-created',
  'link-opened',
  'link-refused',
  'link-stopped',
  'contact-added',
  'contact-renamed',
  'contact-changed',
  'contact-removed',
  'invitation-created',
  'invitation-accepted',
  'invitation-cancelled',
  'message-refused',
  'message-given-up',
  'token-created',
  'token-revoked',
  'issuer-created',
  'issuer-changed',
  'issuer-key-rotated',
  'staff-added',
  'staff-changed',
  'staff-removed',
  'type-saved',
  'type-published',
  'type-deprecated',
  'registry-imported',
  'registry-changed',
  'registry-removed',
  'status-list-created',
  'credential-requested',
  'credential-prepared',
  'credential-approved',
  'credential-offered',
  'credential-issued',
  'credential-delivered',
  'credential-received',
  'credential-refused',
  'credential-abandoned',
  'credential-suspended',
  'credential-reinstated',
  'credential-revoked',
  'credential-replaced',
  'credential-status-told'
] as const

export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/** Entries {@link Activity.list} returns at most. */
export const LIST_LIMIT_MAX = 500
/** Entries {@link Activity.list} returns when nothing is said. */
export const LIST_LIMIT_DEFAULT = 100
/** Facts of one entry's `details`. */
export const DETAILS_MAX = 32
/** Characters of the longest text in an entry: a purpose, a DID. Keeps an entry below 64 KiB. */
const TEXT_LENGTH_MAX = 8_192

/** One entry as the owner sees it. */
export interface ActivityEntry {
  readonly number: number
  readonly time: string
  /** `document-added`, `grant-given`, `grant-fetched`, `link-opened`, `vault-opened` … */
  readonly action: AuditAction
  /** Who: `owner`, the id of a member of staff, a contact's DID, `link`, or `locker` for what the agent does by itself. */
  readonly actor: string
  /** Name of the actor at the time, when it is a contact. */
  readonly actorName?: string
  readonly document?: { readonly id: string; readonly name: string }
  readonly grant?: string
  readonly link?: string
  readonly purpose?: string
  /** Further facts, e.g. `{ bytes, peerId }`. */
  readonly details?: Readonly<Record<string, string | number | boolean>>
}

export interface Activity {
  /** Newest first. `before`: entries with a smaller number only. `limit` at most 500. */
  list(options?: {
    before?: number
    limit?: number
    document?: string
  }): Promise<readonly ActivityEntry[]>
  /**
   * Recomputes the hash chain. `entries`: how many there should be; `firstBad`: number of the first that
   * is missing, does not open or does not carry the hash of the one before.
   */
  verify(): Promise<{ entries: number; ok: boolean; firstBad?: number }>
}

/** What the other features write: an entry joins the batch of the change it speaks of. */
export interface Audit extends Activity {
  /** Number the entry gets. It exists once the batch is durable. */
  append(batch: Batch, entry: Omit<ActivityEntry, 'number' | 'time'>): number
}

const text = z.string().max(TEXT_LENGTH_MAX)
const storedEntry = z.object({
  previous: z.string().regex(/^([0-9a-f]{64})?$/),
  time: z.iso.datetime(),
  action: z.enum(AUDIT_ACTIONS),
  actor: text,
  actorName: text.exactOptional(),
  document: z.object({ id: text, name: text }).exactOptional(),
  grant: text.exactOptional(),
  link: text.exactOptional(),
  purpose: text.exactOptional(),
  details: z
    .record(z.string().max(64), z.union([text, z.number(), z.boolean()]))
    .refine((details) => Object.keys(details).length <= DETAILS_MAX)
    .exactOptional()
})
type StoredEntry = z.infer<typeof storedEntry>

/** Opens the log of an open vault. */
export async function openAudit(components: { records: Records; clock: Clock }): Promise<Audit> {
  const { records, clock } = components
  return new SealedAudit(await records.sequence<StoredEntry>('audit', storedEntry), clock)
}

class SealedAudit implements Audit {
  readonly #entries: Sequence<StoredEntry>
  readonly #clock: Clock

  constructor(entries: Sequence<StoredEntry>, clock: Clock) {
    this.#entries = entries
    this.#clock = clock
  }

  append(batch: Batch, entry: Omit<ActivityEntry, 'number' | 'time'>): number {
    const previous = this.#entries.head(batch)
    return this.#entries.append(batch, {
      ...entry,
      time: this.#clock.now().toISOString(),
      previous
    })
  }

  async list(
    options: { before?: number; limit?: number; document?: string } = {}
  ): Promise<readonly ActivityEntry[]> {
    const { before = Number.POSITIVE_INFINITY, document } = options
    const limit = Math.min(options.limit ?? LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX)
    const to = Math.min(before - 1, this.#entries.last)
    const found: ActivityEntry[] = []
    if (limit <= 0) return found
    // Read until enough are found, to the beginning of the log if need be: few may speak of the document.
    for await (const { number, value } of this.#entries.read({ to, reverse: true, limit: to })) {
      if (document !== undefined && value.document?.id !== document) continue
      const { previous: _, ...entry } = value
      found.push({ number, ...entry })
      if (found.length === limit) break
    }
    return found
  }

  async verify(): Promise<{ entries: number; ok: boolean; firstBad?: number }> {
    // Entries appended meanwhile are the next verification's.
    const entries = this.#entries.last
    const head = this.#entries.head()
    let expected = 1
    let previous = ''
    for await (const { number, value, hash } of this.#entries.read({
      to: entries,
      limit: entries
    })) {
      if (number !== expected || value.previous !== previous)
        return { entries, ok: false, firstBad: expected }
      previous = hash
      expected++
    }
    if (expected <= entries || previous !== head)
      return { entries, ok: false, firstBad: Math.min(expected, entries) }
    return { entries, ok: true }
  }
}
