/**
 * Admission: how fast who may send us envelopes. What comes too fast waits its turn, which holds its
 * transport back; what comes while too much waits is dropped.
 *
 * A peer is known once it has brought a message of a contact, and then has a rate of its own. All others
 * share one: an envelope from nobody costs a Diffie-Hellman, and this bounds what all strangers together can
 * make us spend.
 *
 * @module
 */
import type { Clock } from './components.ts'
import { TokenBucket, type Rate } from './token-bucket.ts'

/** Envelopes of one peer, and messages of one contact (DESIGN §11). */
export const PEER_RATE: Rate = { perSecond: 50, burst: 100 }

/** Envelopes that may wait for their turn, for each rate: two seconds' worth. */
const WAITING_MAX = 100

/** Bytes of all envelopes being processed or waiting. */
const INTAKE_BYTES_MAX = 64 * 1024 * 1024

/** Peers and contacts whose rate is remembered; one that is full again is forgotten first. */
const BUCKETS_MAX = 10_000

export interface AdmissionComponents {
  readonly clock: Clock
  /** Default {@link PEER_RATE}. */
  readonly rate?: Rate
}

export class Admission {
  readonly #clock: Clock
  readonly #rate: Rate
  readonly #buckets = new Map<string, TokenBucket>()
  readonly #strangers: TokenBucket
  readonly #known = new Set<string>()
  readonly #waiting = new Set<() => void>()
  #bytes = 0

  constructor(components: AdmissionComponents) {
    this.#clock = components.clock
    this.#rate = components.rate ?? PEER_RATE
    this.#strangers = new TokenBucket(this.#rate, this.#clock.now())
  }

  /** Resolves when the envelope may be opened; false: drop it. Every true needs a {@link leave}. */
  async enter(peer: string, sizeBytes: number): Promise<boolean> {
    if (this.#bytes + sizeBytes > INTAKE_BYTES_MAX) return false
    this.#bytes += sizeBytes
    const bucket = this.#known.has(peer) ? this.#bucketOf(peer) : this.#strangers
    if (await this.#turn(bucket)) return true
    this.#bytes -= sizeBytes
    return false
  }

  leave(sizeBytes: number): void {
    this.#bytes -= sizeBytes
  }

  /** The turn of a contact, over whatever peers its messages come; false: drop the message. */
  async contact(did: string): Promise<boolean> {
    return this.#turn(this.#bucketOf(did))
  }

  /** The peer has brought a message of a contact. */
  recognise(peer: string): void {
    // Added anew, so that the peer unheard of for longest is the first to be forgotten.
    this.#known.delete(peer)
    this.#known.add(peer)
    const [oldest] = this.#known
    if (this.#known.size > BUCKETS_MAX && oldest !== undefined) this.#known.delete(oldest)
  }

  /** Ends all waiting at once: the vault is being sealed, and whoever waits is told by its own caller. */
  close(): void {
    for (const proceed of this.#waiting) proceed()
  }

  async #turn(bucket: TokenBucket): Promise<boolean> {
    const waitMs = bucket.reserve(this.#clock.now(), WAITING_MAX)
    if (waitMs === undefined) return false
    if (waitMs > 0)
      await new Promise<void>((resolve) => {
        const proceed = (): void => {
          cancel()
          this.#waiting.delete(proceed)
          resolve()
        }
        const cancel = this.#clock.after(waitMs, proceed)
        this.#waiting.add(proceed)
      })
    return true
  }

  #bucketOf(name: string): TokenBucket {
    const now = this.#clock.now()
    const known = this.#buckets.get(name)
    if (known !== undefined) return known
    if (this.#buckets.size >= BUCKETS_MAX)
      for (const [other, bucket] of this.#buckets) if (bucket.full(now)) this.#buckets.delete(other)
    const bucket = new TokenBucket(this.#rate, now)
    this.#buckets.set(name, bucket)
    return bucket
  }
}
