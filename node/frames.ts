/**
 * Frames on a libp2p stream: each prefixed with its length as an unsigned varint (multiformats).
 *
 * libp2p's own helpers are not used because of three of their properties: `for await (stream)` queues
 * without a bound, `onDrain()` waits only once, and `lpStream` resets a stream whose reader is slow. Here a
 * reader that falls behind pauses the stream, which stops yamux from opening its window, and a frame that
 * is announced too large is refused when its length is read, before anything is allocated for it.
 *
 * @module
 */
import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Clock } from '../agent/components.ts'

/** A length takes at most this many bytes: 2^28 - 1, far above every frame of ours. */
const PREFIX_BYTES_MAX = 4

/** Whole frames held for a reader that is behind, bytes; above it the stream is paused. Yamux may still deliver one window (1 MiB). */
const AHEAD_BYTES_MAX = 512 * 1024

/** Unsent bytes above which a writer waits. One block of 1 MiB may be queued behind it. */
const UNSENT_BYTES_MAX = 256 * 1024

/** The other side broke the framing, or was too slow; the stream is reset. */
export class FrameError extends Error {
  readonly problem: 'too-large' | 'malformed' | 'cut' | 'slow' | 'idle'

  constructor(problem: FrameError['problem'], message: string) {
    super(message)
    this.name = 'FrameError'
    this.problem = problem
  }
}

export interface FrameLimits {
  /** Largest frame, bytes, without its prefix. */
  readonly frameBytesMax: number
  /** From the first byte of a frame to its last, milliseconds. */
  readonly frameMsMax: number
  /** Without any byte between two frames, milliseconds. */
  readonly idleMsMax: number
}

/** Reads frames. Errors abort the stream, so that the other side sees a reset at once. */
export class FrameReader {
  readonly #stream: Stream
  readonly #limits: FrameLimits
  readonly #clock: Clock
  readonly #frames: Array<Uint8Array<ArrayBuffer>> = []
  #framesBytes = 0
  /** The prefix of the next frame, as far as it has arrived. */
  #prefix: number[] = []
  /** The frame being filled, and how much of it is there. */
  #frame: Uint8Array<ArrayBuffer> | undefined
  #filled = 0
  #ended = false
  #error: Error | undefined
  #paused = false
  #wake: (() => void) | undefined
  #cancelTimer: () => void = () => undefined
  #timing: 'frame' | 'idle' | undefined

  constructor(stream: Stream, limits: FrameLimits, clock: Clock) {
    this.#stream = stream
    this.#limits = limits
    this.#clock = clock
    stream.addEventListener('message', ({ data }) => this.#take(data))
    // libp2p says `end` also ahead of the `close` that brings a reset; that is no end between two frames.
    stream.addEventListener('end', () => {
      if (stream.status !== 'reset' && stream.status !== 'aborted') this.#end(undefined)
    })
    stream.addEventListener('close', ({ error }) => this.#end(error))
    if (stream.readableEnded) this.#end(undefined)
    else this.#watch('idle')
  }

  /**
   * The next frame, or `undefined` when the other side has ended the stream between two frames. Throws
   * {@link FrameError}, or the error the stream was closed with. One call at a time.
   */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    while (true) {
      const frame = this.#frames.shift()
      if (frame !== undefined) {
        this.#framesBytes -= frame.length
        this.#flow()
        return frame
      }
      if (this.#error !== undefined) throw this.#error
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  #take(data: Uint8Array | Uint8ArrayList): void {
    if (this.#error !== undefined || this.#ended) return
    try {
      if (data instanceof Uint8Array) this.#parse(data)
      else for (const part of data) this.#parse(part)
      this.#watch(this.#frame !== undefined || this.#prefix.length > 0 ? 'frame' : 'idle')
      this.#flow()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
    this.#wakeUp()
  }

  #parse(data: Uint8Array): void {
    let position = 0
    while (position < data.length) {
      if (this.#frame === undefined) {
        position = this.#parsePrefix(data, position)
        continue
      }
      const part = data.subarray(position, position + this.#frame.length - this.#filled)
      this.#frame.set(part, this.#filled)
      this.#filled += part.length
      position += part.length
      if (this.#filled === this.#frame.length) this.#complete(this.#frame)
    }
  }

  #parsePrefix(data: Uint8Array, start: number): number {
    const byte = data[start] ?? 0
    this.#prefix.push(byte)
    if (byte >= 0x80) {
      if (this.#prefix.length === PREFIX_BYTES_MAX)
        throw new FrameError(
          'too-large',
          `a frame length takes more than ${PREFIX_BYTES_MAX} bytes`
        )
      return start + 1
    }
    const length = this.#prefix.reduceRight((sum, part) => sum * 128 + (part & 0x7f), 0)
    this.#prefix = []
    const { frameBytesMax } = this.#limits
    if (length > frameBytesMax)
      throw new FrameError(
        'too-large',
        `a frame of ${length} bytes, at most ${frameBytesMax} are read`
      )
    if (length === 0) throw new FrameError('malformed', 'an empty frame')
    // Not from Buffer's pool, so that the block or envelope can be handed on without a copy.
    this.#frame = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    this.#filled = 0
    return start + 1
  }

  #complete(frame: Uint8Array<ArrayBuffer>): void {
    this.#frame = undefined
    this.#frames.push(frame)
    this.#framesBytes += frame.length
    // A new frame has its own time, even when its first bytes came with the last of this one.
    this.#timing = undefined
  }

  /** Pauses or resumes the stream by what the reader has not fetched yet. */
  #flow(): void {
    const behind = this.#framesBytes > AHEAD_BYTES_MAX
    if (behind === this.#paused || this.#ended || this.#error !== undefined) return
    this.#paused = behind
    // Pausing inside the `message` event is undone when the event ends (reference p2p §3), so: afterwards.
    queueMicrotask(() => {
      if (this.#stream.status !== 'open' || this.#paused !== behind) return
      if (behind) this.#stream.pause()
      else this.#stream.resume()
    })
  }

  #watch(what: 'frame' | 'idle'): void {
    // A frame's time runs from its first byte: bytes dripped in later do not extend it.
    if (what === 'frame' && this.#timing === 'frame') return
    this.#cancelTimer()
    this.#timing = what
    const limitMs = what === 'frame' ? this.#limits.frameMsMax : this.#limits.idleMsMax
    this.#cancelTimer = this.#clock.after(limitMs, () => {
      // A reader that is behind has paused the stream: the silence is ours.
      if (this.#paused) this.#restart(what)
      else if (what === 'frame') this.#fail(new FrameError('slow', `no frame within ${limitMs} ms`))
      else this.#fail(new FrameError('idle', `silent for ${limitMs} ms`))
    })
  }

  #restart(what: 'frame' | 'idle'): void {
    this.#timing = undefined
    this.#watch(what)
  }

  #fail(error: Error): void {
    this.#end(error)
    this.#stream.abort(error)
  }

  #end(error: Error | undefined): void {
    if (this.#ended || this.#error !== undefined) return
    this.#cancelTimer()
    const cut = this.#frame !== undefined || this.#prefix.length > 0
    this.#error =
      error ?? (cut ? new FrameError('cut', 'the stream ended inside a frame') : undefined)
    this.#ended = true
    this.#frame = undefined
    this.#wakeUp()
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}

/**
 * Writes one frame of the given parts without joining them, once fewer than {@link UNSENT_BYTES_MAX}
 * bytes are unsent. The parts must not change afterwards. Calls for one stream one after the other.
 */
export async function writeFrame(
  stream: Stream,
  parts: readonly Uint8Array[],
  signal: AbortSignal
): Promise<void> {
  await unsentAtMost(stream, UNSENT_BYTES_MAX, signal)
  sendFrame(stream, parts)
}

/** Queues one frame at once, however much is unsent: for callers that bound what they have under way. */
export function sendFrame(stream: Stream, parts: readonly Uint8Array[]): void {
  stream.send(new Uint8ArrayList(prefixed(parts), ...parts))
}

/** Resolves when at most `bytes` wait to be sent; rejects when the stream closes or the signal aborts. */
export async function unsentAtMost(
  stream: Stream,
  bytes: number,
  signal: AbortSignal
): Promise<void> {
  signal.throwIfAborted()
  while (stream.writeBufferLength > bytes) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const closed = ({ error }: { error?: Error }): void =>
      reject(error ?? new Error('the stream was closed'))
    const aborted = (): void => reject(signal.reason)
    const moved = (): void => resolve()
    stream.addEventListener('drain', moved)
    stream.addEventListener('idle', moved)
    stream.addEventListener('close', closed)
    signal.addEventListener('abort', aborted)
    try {
      await promise
    } finally {
      stream.removeEventListener('drain', moved)
      stream.removeEventListener('idle', moved)
      stream.removeEventListener('close', closed)
      signal.removeEventListener('abort', aborted)
    }
  }
  if (stream.status !== 'open') throw new Error(`the stream is ${stream.status}`)
}

function prefixed(parts: readonly Uint8Array[]): Uint8Array {
  let length = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes: number[] = []
  while (length >= 0x80) {
    bytes.push((length % 128) | 0x80)
    length = Math.floor(length / 128)
  }
  return Uint8Array.from([...bytes, length])
}
