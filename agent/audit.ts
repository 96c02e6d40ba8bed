/**
 * The audit log: what happened to the owner's documents and who did it, in an append-only chain of
 * sealed entries. An entry is durable before the byte it speaks of leaves (DESIGN §9).
 *
 * @module
 */
import type { Batch } from './records.ts'

/** One entry as the owner sees it. */
export interface ActivityEntry {
  readonly number: number
  readonly time: string
  /** `document-added`, `grant-given`, `grant-fetched`, `link-opened`, `vault-opened` … */
  readonly action: string
  /** Who: `owner`, a contact's DID, or `link`. */
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
  /** Recomputes the hash chain. */
  verify(): Promise<{ entries: number; ok: boolean; firstBad?: number }>
}

/** What the other features use of the audit log. */
export interface Audit extends Activity {
  /** Puts an entry into the batch of the change it speaks of; returns its number. */
  append(batch: Batch, entry: Omit<ActivityEntry, 'number' | 'time'>): number
}
