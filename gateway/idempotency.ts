/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again under the same
 * key is answered again and not done again.
 *
 * | the key of this caller and route is …        | answer                                     |
 * |-----------------------------------------------|--------------------------------------------|
 * | new                                           | the request is done                        |
 * | of a request still running                    | 409 `request-conflict`                     |
 * | of a finished request with the same body      | the first answer, `idempotent-replayed: true` |
 * | of a request with another body                | 422 `request-mismatch`                     |
 *
 * Only answers of success are kept: a request that failed has changed nothing and may be tried again.
 * A body that is streamed is not hashed (it is gone once sealed): there the key alone decides. Answers
 * that show a secret once are kept for minutes, in memory like all of them, and not for a day.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'

/** Answers are kept for a day. */
export const KEPT_MS = 24 * 60 * 60 * 1_000

/** Answers with a secret in them: long enough for a client that lost its connection to ask again. */
export const KEPT_SECRET_MS = 10 * 60 * 1_000

/** Keys remembered; the oldest finished one makes room. */
const KEYS_MAX = 10_000

/** Bytes of answers kept in all; past it the oldest make room. */
export const ANSWER_BYTES_MAX = 16 * 1024 * 1024

/** Longest key, characters; a UUID has 36. */
const KEY_MAX = 255

/** An answer as it can be given again. */
export interface KeptAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** JSON text; empty for 204. */
  readonly body: string
}

/** The request behind a key. */
export interface KeyedRequest {
  readonly caller: string
  /** Method and path as sent, with the query: what the key belongs to. */
  readonly target: string
  readonly key: string
  /** `undefined` for a streamed body. */
  readonly body: Uint8Array | undefined
  readonly secret: boolean
}

/** Permission to do a request: exactly one of the two is called. */
export interface Turn {
  finish(answer: KeptAnswer): void
  /** The request failed: the key is free again. */
  release(): void
}

interface Entry {
  readonly hash: string
  answer: KeptAnswer | undefined
  endsAt: number
}

export class Idempotency {
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #keysMax: number
  #bytes = 0

  constructor({ clock, keysMax = KEYS_MAX }: { clock: Clock; keysMax?: number }) {
    this.#clock = clock
    this.#keysMax = keysMax
  }

  /**
   * The answer to give again, or the turn to do the request.
   *
   * @throws `request-conflict`, `request-mismatch`; `request-invalid` for a key that is none.
   */
  begin(request: KeyedRequest): { replay: KeptAnswer } | { turn: Turn } {
    if (!/^[\x21-\x7e]+$/.test(request.key) || request.key.length > KEY_MAX)
      throw new LockerError(
        'request-invalid',
        `an idempotency key has 1 to ${KEY_MAX} visible ASCII characters`
      )
    this.#forgetEnded()
    const name = digest(`${request.caller}\n${request.target}\n${request.key}`)
    const hash = request.body === undefined ? '' : digest(request.body)
    const known = this.#entries.get(name)
    if (known === undefined) return { turn: this.#turn(name, hash, request.secret) }
    if (known.hash !== hash)
      throw new LockerError('request-mismatch', 'the idempotency key was used with another body')
    if (known.answer === undefined)
      throw new LockerError(
        'request-conflict',
        'a request with this idempotency key is still running'
      )
    return { replay: known.answer }
  }

  #turn(name: string, hash: string, secret: boolean): Turn {
    this.#makeRoom()
    const entry: Entry = { hash, answer: undefined, endsAt: Number.POSITIVE_INFINITY }
    this.#entries.set(name, entry)
    return {
      finish: (answer) => {
        entry.answer = answer
        entry.endsAt = this.#clock.now().getTime() + (secret ? KEPT_SECRET_MS : KEPT_MS)
        this.#bytes += answer.body.length
        this.#shrink()
      },
      release: () => void this.#entries.delete(name)
    }
  }

  /** Running requests keep their place: were one forgotten, it could be done twice. */
  #makeRoom(): void {
    if (this.#entries.size < this.#keysMax) return
    for (const [name, entry] of this.#entries) {
      if (entry.answer === undefined) continue
      this.#drop(name, entry)
      return
    }
    throw new LockerError('gateway-busy', `${this.#keysMax} requests are running under their keys`)
  }

  #shrink(): void {
    for (const [name, entry] of this.#entries) {
      if (this.#bytes <= ANSWER_BYTES_MAX) return
      if (entry.answer !== undefined) this.#drop(name, entry)
    }
  }

  #forgetEnded(): void {
    const now = this.#clock.now().getTime()
    for (const [name, entry] of this.#entries) if (entry.endsAt <= now) this.#drop(name, entry)
  }

  #drop(name: string, entry: Entry): void {
    this.#bytes -= entry.answer?.body.length ?? 0
    this.#entries.delete(name)
  }
}

function digest(of: string | Uint8Array): string {
  return createHash('sha256').update(of).digest('base64url')
}
