/**
 * The recipient's side of a grant: blocks from the owner's agent, a cache of ciphertext, and what is made
 * of them, a view or a copy.
 *
 * Each opening begins with the owner's agent: it authorises, counts and records, and the root block
 * always comes from there. Inner blocks and leaves may come from the cache, whose every block is hashed
 * before it is used; a damaged one is fetched again. Plaintext is never stored.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import type { Blockstore } from 'interface-blockstore'
import { CID } from 'multiformats/cid'
import type { PullProblem } from '../protocols/pull.ts'
import type { Audit } from './audit.ts'
import type { Clock, Logger, Network, PullSession } from './components.ts'
import type { ContactDirectory } from './contacts.ts'
import { NAME_LENGTH_MAX } from './document-record.ts'
import type { ByteRange, DocumentStore } from './documents.ts'
import { LockerError, type LockerErrorCode } from './errors.ts'
import type { Records } from './records.ts'
import { openSealed } from './sealed-reader.ts'
import type { GrantThread, Threads } from './sharing-threads.ts'

/** Longest wait for the owner's agent to answer an opening, milliseconds: dialling, relays and its disk included. */
const OPEN_TIMEOUT_MS = 30_000
/** A view that nobody reads gives its session back after this many milliseconds. */
export const VIEW_IDLE_MS = 60_000
/** An accept may still be on its way when the first fetch arrives: tries, and the pause between them. */
const ACCEPT_TRIES_MAX = 20
const ACCEPT_PAUSE_MS = 250
/** Tries to reach the owner of a damaged copy, and the pause between them: someone is waiting for the document. */
const SOURCE_TRIES_MAX = 5
const SOURCE_PAUSE_MS = 2_000
/** How often one reading goes on after the document was sealed again under it. */
const RESTARTS_MAX = 3
/** Longest wait for the `replace` message that explains why a block is no longer in the grant, milliseconds. */
const REPLACE_WAIT_MS = 10_000

export interface FetchComponents {
  readonly records: Records
  readonly audit: Audit
  readonly threads: Threads
  readonly documents: Pick<DocumentStore, 'list' | 'addCopy'>
  readonly contacts: Pick<ContactDirectory, 'endpoints'>
  readonly network: Network
  readonly blocks: Blockstore
  readonly clock: Clock
  readonly logger: Logger
  /** Has unreferenced blocks removed, soon. Never block by block from here: a grant may name any CID, one of our own too. */
  readonly collect: () => void
}

export interface ReadOptions {
  readonly range?: ByteRange
  readonly signal?: AbortSignal
}

/** One authorised session, and the root block it began with. */
interface View {
  readonly root: string
  readonly fileKey: Uint8Array
  readonly session: PullSession
  readonly rootBlock: Uint8Array
}

export class GrantReader {
  readonly #components: FetchComponents
  /** Copies under way, by grant: a second accept waits for the first. */
  readonly #copying = new Map<string, Promise<void>>()

  constructor(components: FetchComponents) {
    this.#components = components
  }

  /**
   * Plaintext of an accepted grant, in chunks of at most 64 KiB. Resolves once the owner's agent has
   * authorised and the root block is here. Throws `grant-revoked`, `grant-expired`, `grant-state`,
   * `peer-unreachable`, `peer-refused`, `range-invalid`.
   */
  async open(
    id: string,
    options: ReadOptions = {}
  ): Promise<AsyncIterable<Uint8Array<ArrayBuffer>>> {
    const { threads, clock } = this.#components
    const { sizeBytes } = threads.grant(id, 'received').grant
    const { start = 0, end = sizeBytes - 1 } = options.range ?? {}
    const fits = Number.isSafeInteger(start) && start >= 0 && start <= end && start < sizeBytes
    // Asked before anyone is: a range that cannot be must not be counted as a fetch.
    if (options.range !== undefined && !fits)
      throw new LockerError('range-invalid', `bytes ${start} to ${end} of ${sizeBytes}`)
    const view = await this.#view(id, options.signal)
    const cancelIdle = clock.after(VIEW_IDLE_MS, () => void view.session.close())
    return this.#stream(id, view, options, cancelIdle)
  }

  /**
   * Fetches a `copy` grant and seals it into the own locker. Takes up where it was interrupted: blocks in
   * the cache are not fetched again. Throws as {@link open}, and `storage-full`.
   */
  async copy(
    id: string,
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void } = {}
  ): Promise<void> {
    const running = this.#copying.get(id)
    if (running !== undefined) return running
    const work = this.#copy(id, options).finally(() => this.#copying.delete(id))
    this.#copying.set(id, work)
    return work
  }

  /**
   * The content of a copy's source, to mend it with. Waits some seconds for an owner who cannot be reached:
   * an agent that was just started is only now telling its contacts where it is. Throws as {@link open}.
   */
  async source(id: string): Promise<AsyncIterable<Uint8Array<ArrayBuffer>>> {
    for (let tries = 1; ; tries++) {
      try {
        return this.#thenCollect(await this.open(id))
      } catch (error) {
        const away = error instanceof LockerError && error.code === 'peer-unreachable'
        if (!away || tries >= SOURCE_TRIES_MAX) throw error
        await pause(this.#components.clock, SOURCE_PAUSE_MS, undefined)
      }
    }
  }

  /** Roots whose ciphertext is cached or may be: live read grants, and copies not yet stored. */
  *cachedRoots(): IterableIterator<string> {
    const { threads } = this.#components
    for (const thread of threads.grants('received'))
      if (
        thread.state === 'accepted' &&
        threads.isLive(thread) &&
        thread.grant.document === undefined
      )
        yield thread.grant.root
  }

  async #copy(
    id: string,
    options: { signal?: AbortSignal; onProgress?: (bytes: number) => void }
  ): Promise<void> {
    const { threads, documents, records, audit, collect } = this.#components
    const thread = threads.grant(id, 'received')
    if (thread.grant.document !== undefined) return
    // A crash may have come between storing the copy and noting it here.
    const stored = [...documents.list(), ...documents.list({ trashed: true })].find(
      (each) => each.source?.grant === id
    )
    const copy =
      stored ??
      (await documents.addCopy(await this.open(id, options), {
        // Theirs may be longer than the locker takes.
        name: Array.from(thread.grant.name).slice(0, NAME_LENGTH_MAX).join(''),
        source: { grant: id, from: thread.contact },
        ...options
      }))
    await records.change((batch) => {
      const now = threads.grant(id, 'received')
      threads.put(batch, { ...now, grant: { ...now.grant, document: copy.id } })
      audit.append(batch, {
        action: 'grant-copied',
        actor: 'owner',
        grant: id,
        document: { id: copy.id, name: copy.name },
        purpose: now.grant.purpose,
        details: { bytes: copy.sizeBytes, from: threads.contactOf(now).name }
      })
    })
    collect()
  }

  /** What was cached on the way to mend a copy is of no further use. */
  async *#thenCollect(
    content: AsyncIterable<Uint8Array<ArrayBuffer>>
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    try {
      yield* content
    } finally {
      this.#components.collect()
    }
  }

  async *#stream(
    id: string,
    first: View,
    { range, signal }: ReadOptions,
    cancelIdle: () => void
  ): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
    cancelIdle()
    const { threads } = this.#components
    let view = first
    let position = range?.start ?? 0
    for (let restarts = 0; ; restarts++) {
      const { sizeBytes } = threads.grant(id, 'received').grant
      try {
        const content = openSealed(
          {
            root: view.root,
            fileKey: view.fileKey,
            sizeBytes,
            getBlock: (cid) => this.#block(view, cid, signal)
          },
          // Without a range the length is proven too.
          range === undefined && position === 0
            ? undefined
            : { start: position, end: range?.end ?? sizeBytes - 1 }
        )
        for await (const chunk of content) {
          signal?.throwIfAborted()
          position += chunk.length
          yield chunk
        }
        return
      } catch (error) {
        // The same plaintext stands under the new root: the reading goes on where it was.
        const again =
          restarts < RESTARTS_MAX && (await this.#replaced(id, view.root, error, signal))
        if (!again) throw clearError(id, error)
      } finally {
        await view.session.close()
      }
      if (position > (range?.end ?? sizeBytes - 1)) return
      view = await this.#view(id, signal)
    }
  }

  /** A block refused as not in the grant may mean that it was sealed again: the message that says so is on its way. */
  async #replaced(
    id: string,
    root: string,
    error: unknown,
    signal: AbortSignal | undefined
  ): Promise<boolean> {
    if (problemOf(error) !== 'e.p.pull.not-in-grant') return false
    const { threads, clock } = this.#components
    const settled = (): boolean => {
      const thread = threads.get(id)
      return thread === undefined || !threads.isLive(thread) || thread.grant?.root !== root
    }
    if (!settled()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const unwatch = threads.watch(() => {
        if (settled()) resolve()
      })
      const cancel = clock.after(REPLACE_WAIT_MS, resolve)
      signal?.addEventListener('abort', () => resolve(), { once: true })
      await promise
      unwatch()
      cancel()
    }
    signal?.throwIfAborted()
    const thread = threads.grant(id, 'received')
    // Revoked in the meantime: that is the better answer than a block that is missing.
    threads.mustBeAccepted(thread)
    return thread.grant.root !== root
  }

  async #view(id: string, signal: AbortSignal | undefined): Promise<View> {
    for (let tries = 0; ; tries++) {
      const session = await this.#session(id, signal)
      const { grant } = this.#live(id)
      try {
        const rootBlock = await session.block(
          CID.parse(grant.root),
          signal === undefined ? {} : { signal }
        )
        await this.#store(CID.parse(grant.root), rootBlock)
        const fileKey = base64urlnopad.decode(grant.key ?? '')
        return { root: grant.root, fileKey, session, rootBlock }
      } catch (error) {
        await session.close()
        const again = tries < RESTARTS_MAX && (await this.#replaced(id, grant.root, error, signal))
        if (!again) throw clearError(id, error)
      }
    }
  }

  /** An authorised session. Tries again while the accept may still be on its way to the owner. */
  async #session(id: string, signal: AbortSignal | undefined): Promise<PullSession> {
    const { clock } = this.#components
    for (let tries = 1; ; tries++) {
      const thread = this.#live(id)
      try {
        return await this.#connect(thread, signal)
      } catch (error) {
        const problem = problemOf(error)
        const early =
          problem === 'e.p.pull.grant-not-accepted' || problem === 'e.p.pull.not-in-audience'
        if (!early || tries >= ACCEPT_TRIES_MAX) throw clearError(id, error)
        await pause(clock, ACCEPT_PAUSE_MS, signal)
      }
    }
  }

  /** Asks each address the owner's agent has for pulling, in order; the first answer counts. */
  async #connect(thread: GrantThread, signal: AbortSignal | undefined): Promise<PullSession> {
    const { contacts, network, clock } = this.#components
    const endpoints = await contacts.endpoints(thread.contact)
    let failure = new LockerError('peer-unreachable', 'the contact has no address for pulling')
    for (const endpoint of endpoints.filter(({ kind }) => kind === 'libp2p')) {
      const timeout = new AbortController()
      const cancel = clock.after(OPEN_TIMEOUT_MS, () =>
        timeout.abort(
          new LockerError('peer-unreachable', `no answer within ${OPEN_TIMEOUT_MS / 1000} s`)
        )
      )
      try {
        return await network.pull(endpoint, thread.id, {
          signal: signal === undefined ? timeout.signal : AbortSignal.any([signal, timeout.signal])
        })
      } catch (error) {
        if (!(error instanceof LockerError) || error.code !== 'peer-unreachable') throw error
        failure = error
      } finally {
        cancel()
      }
    }
    throw failure
  }

  #live(id: string): GrantThread {
    const { threads } = this.#components
    const thread = threads.grant(id, 'received')
    threads.mustBeAccepted(thread)
    return thread
  }

  async #block(view: View, cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (cid.toString() === view.root) return view.rootBlock
    const cached = await this.#cached(cid)
    if (cached !== undefined) return cached
    const block = await view.session.block(cid, signal === undefined ? {} : { signal })
    await this.#store(cid, block)
    return block
  }

  /** A block from the own store if it is there and is what its CID says. */
  async #cached(cid: CID): Promise<Uint8Array | undefined> {
    const { blocks, logger } = this.#components
    try {
      if (!(await blocks.has(cid))) return undefined
      const parts: Uint8Array[] = []
      for await (const part of blocks.get(cid)) parts.push(part)
      const block = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
      const digest = createHash('sha256').update(block).digest()
      if (digest.equals(cid.multihash.digest)) return block
      logger.warn('sharing-cache-damaged', { cid: cid.toString() })
    } catch (error) {
      // The owner's agent has it: a cache that cannot be read costs a fetch, not the reading.
      logger.warn('sharing-cache-unreadable', { cid: cid.toString(), error: String(error) })
    }
    return undefined
  }

  async #store(cid: CID, block: Uint8Array): Promise<void> {
    const { blocks, logger } = this.#components
    try {
      await blocks.put(cid, block)
    } catch (error) {
      // A full disk must not keep a document from being read.
      logger.warn('sharing-cache-not-written', { cid: cid.toString(), error: String(error) })
    }
  }
}

const CODES: ReadonlyMap<string, LockerErrorCode> = new Map<PullProblem, LockerErrorCode>([
  ['e.p.pull.grant-unknown', 'grant-unknown'],
  ['e.p.pull.grant-not-accepted', 'grant-state'],
  ['e.p.pull.grant-expired', 'grant-expired'],
  ['e.p.pull.grant-revoked', 'grant-revoked'],
  ['e.p.pull.not-in-audience', 'grant-not-yours']
])

/** The pull problem behind an error, however often it was wrapped. */
function problemOf(error: unknown): string | undefined {
  let each = error
  for (let depth = 0; depth < 8 && each instanceof Error; depth++) {
    if (each instanceof LockerError && each.code === 'peer-refused') {
      const { problem } = each.facts
      return typeof problem === 'string' ? problem : undefined
    }
    each = each.cause
  }
  return undefined
}

/** A refusal under the code that says what it is about; other errors as they are. */
function clearError(id: string, error: unknown): unknown {
  const problem = problemOf(error)
  const code = problem === undefined ? undefined : CODES.get(problem)
  if (code === undefined) return error
  return new LockerError(code, `the owner's agent refuses grant ${id}: ${problem}`, {
    cause: error,
    facts: { problem }
  })
}

/** Waits by the clock; rejects with the signal's reason when it aborts. */
async function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(ms, resolve)
  signal?.addEventListener('abort', () => resolve(), { once: true })
  await promise
  cancel()
  signal?.throwIfAborted()
}
