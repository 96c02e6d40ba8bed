/**
 * What a sealed agent goes on serving (DESIGN §5.2): ciphertext that had been granted, to the peers it had
 * been granted to.
 *
 * When the vault is sealed, its live grants are left in memory as ids: grant, root, PeerIds, expiry. No key
 * is among them, and nothing of it is written: after a restart a sealed agent serves nothing until it has
 * been opened once (docs/decisions/0095).
 *
 * Each fetch is still on disk before a byte leaves (DESIGN §9, fail closed). The log cannot be written while
 * sealed, so it is a note beside the spool, sealed to a key that only an open vault has:
 *
 *     fetch-<16 hex digits>     age file of {v, grant, peer, time}
 *
 * {@link takeFetchNotes} puts the notes into the log at the next opening. A crash between the log and the
 * removal of a note logs a fetch twice, never not at all.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import type { Blockstore } from 'interface-blockstore'
import { z } from 'zod'
import type { PullProblem } from '../protocols/pull.ts'
import { decrypt, encrypt } from '../protocols/sealed/age.ts'
import type { Identity, Recipient } from '../protocols/sealed/recipients.ts'
import type { Clock, Logger, PullAnswer, Random, SmallFiles } from './components.ts'
import { DocumentBlocks } from './document-blocks.ts'

/** Grants served while sealed; the ones expiring last go without. About 400 bytes of memory each. */
export const STANDING_GRANTS_MAX = 10_000
/** Fetches noted until the next opening: files of 2 KiB, beside the spool. Then fetches are refused. */
export const FETCH_NOTES_MAX = 5_000
/** Fetches noted of one peer, so that no one peer can use the notes up. */
export const FETCH_NOTES_PEER_MAX = 500

const NOTE_NAME = /^fetch-[0-9a-f]{16}$/

const noteSchema = z.object({
  v: z.literal(1),
  grant: z.string().max(128),
  peer: z.string().max(128),
  time: z.iso.datetime()
})

/** A grant as a sealed agent knows it. */
export interface StandingGrant {
  readonly id: string
  readonly root: string
  /** PeerIds that may fetch. */
  readonly peers: readonly string[]
  /** `undefined`: until it is revoked. */
  readonly expiresAt?: string | undefined
}

/** A fetch that was served while the vault was sealed. */
export interface FetchNote {
  readonly grant: string
  readonly peer: string
  readonly time: string
}

export interface StandingComponents {
  readonly grants: readonly StandingGrant[]
  readonly blocks: Blockstore
  /** The spool's. */
  readonly files: SmallFiles
  /** Whom notes are sealed to: the public half of `sealedNotesIdentity`. */
  readonly recipient: Recipient
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export class StandingGrants {
  readonly #components: StandingComponents
  readonly #grants: ReadonlyMap<string, StandingGrant>
  readonly #blocks: DocumentBlocks
  readonly #notesOfPeer = new Map<string, number>()
  readonly #writing = new Set<Promise<void>>()
  /** Notes on disk, those of earlier sealed times included; unknown before the first. */
  #notes: number | undefined
  #closed = false

  constructor(components: StandingComponents) {
    this.#components = components
    const kept = components.grants.toSorted((one, other) =>
      (one.expiresAt ?? '9').localeCompare(other.expiresAt ?? '9')
    )
    this.#grants = new Map(kept.slice(0, STANDING_GRANTS_MAX).map((grant) => [grant.id, grant]))
    this.#blocks = new DocumentBlocks(components)
  }

  /** Whether a peer may fetch; noted on disk before this resolves with yes. Never throws. */
  async authorise(id: string, peer: string): Promise<PullAnswer> {
    const { logger } = this.#components
    const grant = this.#grants.get(id)
    // Who is told that a grant is not known here may know better: it may be new.
    if (grant === undefined || this.#closed) return LOCKED
    const refused = this.#refusal(grant, peer)
    if (refused !== undefined) return refused
    try {
      const cids = await this.#blocks.dag(grant.root)
      if (
        !(await this.#note({ grant: id, peer, time: this.#components.clock.now().toISOString() }))
      )
        return refuse('e.p.pull.busy', 'the fetch could not be recorded: open the locker')
      const has = (cid: string): boolean =>
        cids.has(cid) && this.#refusal(grant, peer) === undefined
      return { ok: true, root: grant.root, has }
    } catch (error) {
      logger.error('standing-pull-not-authorised', { grant: id, error: String(error) })
      return refuse('e.p.pull.busy', 'the fetch could not be recorded')
    }
  }

  /** The vault is open again: refuses, and waits for the notes that are being written. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#writing)
  }

  #refusal({ peers, expiresAt }: StandingGrant, peer: string): PullAnswer | undefined {
    if (!peers.includes(peer))
      return refuse('e.p.pull.not-in-audience', 'this peer is not in the audience of the grant')
    const ended =
      expiresAt !== undefined && Date.parse(expiresAt) <= this.#components.clock.now().getTime()
    return ended ? refuse('e.p.pull.grant-expired', 'the grant has expired') : undefined
  }

  /** False: there is no room for another note. */
  async #note(note: FetchNote): Promise<boolean> {
    const { files, recipient, random } = this.#components
    this.#notes ??= (await files.list()).filter((name) => NOTE_NAME.test(name)).length
    const ofPeer = this.#notesOfPeer.get(note.peer) ?? 0
    if (this.#notes >= FETCH_NOTES_MAX || ofPeer >= FETCH_NOTES_PEER_MAX) return false
    this.#notes += 1
    this.#notesOfPeer.set(note.peer, ofPeer + 1)
    const text = Buffer.from(JSON.stringify({ v: 1, ...note }))
    const name = `fetch-${Buffer.from(random(8)).toString('hex')}`
    const writing = encrypt(text, [recipient], random).then((file) => files.write(name, file))
    this.#writing.add(writing)
    try {
      await writing
    } finally {
      this.#writing.delete(writing)
    }
    return true
  }
}

/** The answer of an agent that is sealed and serves nothing, or not this. */
export const LOCKED: PullAnswer = {
  ok: false,
  problem: 'e.p.pull.locked',
  comment: 'the locker is locked'
}

function refuse(problem: PullProblem, comment: string): PullAnswer {
  return { ok: false, problem, comment }
}

/**
 * Hands the notes of sealed times to `take`, oldest first, and removes each once it has been taken. A note
 * that does not open is named in the log of the process and removed.
 */
export async function takeFetchNotes(
  components: { files: SmallFiles; identity: Identity; logger: Logger },
  take: (note: FetchNote) => Promise<void>
): Promise<void> {
  const { files, identity, logger } = components
  const notes: Array<{ name: string; note: FetchNote }> = []
  for (const name of (await files.list()).filter((each) => NOTE_NAME.test(each))) {
    const file = await files.read(name)
    if (file === undefined) continue
    try {
      const text = Buffer.from(await decrypt(file, [identity])).toString('utf8')
      notes.push({ name, note: noteSchema.parse(JSON.parse(text)) })
    } catch (error) {
      logger.error('fetch-note-damaged', { file: name, error: String(error) })
      await files.remove(name)
    }
  }
  for (const { name, note } of notes.toSorted((a, b) => a.note.time.localeCompare(b.note.time))) {
    await take(note)
    await files.remove(name)
  }
}
