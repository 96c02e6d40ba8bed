/**
 * What the agent is handed from outside: time, randomness, files, the network, a log. The process
 * (node/) supplies the real ones, the tests supply their own, so every fault can be played back.
 *
 * @module
 */
import type { CID } from 'multiformats/cid'

/** Wall clock and timers. Tests move it by hand; nothing in agent/ calls Date.now() or setTimeout(). */
export interface Clock {
  now(): Date
  /** Calls `work` once after `delayMs` (0 to 2^31-1 ms); returns what cancels it. Never keeps a process alive. */
  after(delayMs: number, work: () => void): () => void
}

/** Cryptographically secure random bytes. */
export type Random = (sizeBytes: number) => Uint8Array<ArrayBuffer>

/**
 * Small files that must survive a crash whole: vault slots, the attempt counter, the head. Names are
 * `[a-z0-9.-]{1,80}`. `write` is atomic and durable on return: tmp, fsync, rename, fsync of the folder.
 */
export interface SmallFiles {
  /** The file's bytes, or `undefined` when there is none. Larger than 1 MiB is refused. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>
  write(name: string, bytes: Uint8Array): Promise<void>
  remove(name: string): Promise<void>
  list(): Promise<readonly string[]>
}

/** Where a DID can be reached: DIDComm v2.1 "Service Endpoint", and the libp2p transport extension. */
export type Endpoint =
  | {
      readonly kind: 'libp2p'
      /** Base58 (`12D3…`) or CID text form of the PeerId. */
      readonly peerId: string
      readonly multiaddrs: readonly string[]
    }
  | { readonly kind: 'http'; readonly url: string }

/** Opened by {@link Network.pull}: blocks of one grant from one peer. */
export interface PullSession {
  /**
   * Fetches one block; its hash has been checked on return. At most 4 in flight, further calls wait.
   * Throws `peer-refused` with `facts.problem` (a code of protocols/pull.ts), `peer-unreachable`, or
   * `integrity-failed`.
   */
  block(cid: CID, options?: { signal?: AbortSignal }): Promise<Uint8Array<ArrayBuffer>>
  close(): Promise<void>
}

/** The answer to a peer that asks for a grant's blocks. */
export type PullAnswer =
  | { readonly ok: true; readonly root: string; readonly has: (cid: string) => boolean }
  /** `problem` is a code of protocols/pull.ts. */
  | { readonly ok: false; readonly problem: string; readonly comment: string }

/** The way out. Implemented over libp2p and HTTP in node/, in memory in test/network.ts. */
export interface Network {
  /** Delivers one packed envelope (≤ 256 KiB); resolves when the other side's transport has taken it. Throws `peer-unreachable`. */
  send(to: Endpoint, envelope: Uint8Array, options: { signal: AbortSignal }): Promise<void>
  /** Asks the peer for a grant's blocks. The peer authorises before the promise resolves; throws `peer-refused` or `peer-unreachable`. */
  pull(to: Endpoint, grant: string, options: { signal: AbortSignal }): Promise<PullSession>
  /** Where this agent can be reached now; put into new DIDs and invitations. */
  endpoints(): readonly Endpoint[]
  /** This agent's own PeerId, base58: what an accepted grant names as its audience. */
  readonly peerId: string
  /**
   * Hands over where peers were last reached, by PeerId, and hears of changes, until the returned function
   * is called. `undefined` where peers do not move.
   */
  learnt?(
    before: ReadonlyMap<string, readonly string[]>,
    changed: (peerId: string, multiaddrs: readonly string[]) => void
  ): () => void
}

/** Structured log: an event name and fields; DIDs and CIDs yes, names, keys and document text never. */
export interface Logger {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void
  info(event: string, fields?: Readonly<Record<string, unknown>>): void
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void
  error(event: string, fields?: Readonly<Record<string, unknown>>): void
}
