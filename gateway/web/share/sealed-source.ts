/**
 * The sealed bytes of an opened link, from the network. A link may allow one use only, so a connection that
 * breaks must not cost it: reading goes on where it stopped, on the same ticket.
 *
 * @module
 */
import { Problem, asProblem, problemOf } from '../problem.ts'

/** Attempts without a single new byte before giving up. */
const ATTEMPTS_MAX = 5
/** Pause before attempt n, milliseconds, times n. */
const PAUSE_MS = 600

/** Bytes by the network; handed in so that tests need none. */
export interface Source {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly pause: (milliseconds: number) => Promise<void>
}

/** Yields `sealedBytes` bytes from `url`, by Range requests. Throws a Problem when they cannot be had. */
export async function* readSealed(
  url: string,
  sealedBytes: number,
  source: Source,
  onProgress: (received: number) => void
): AsyncGenerator<Uint8Array> {
  let received = 0
  let fruitless = 0
  while (received < sealedBytes) {
    const before = received
    try {
      for await (const piece of await request(url, received, source)) {
        received += piece.length
        if (received > sealedBytes)
          throw new Problem('sealed-damaged', 'more bytes came than exist')
        onProgress(received)
        yield piece
      }
      if (received === before) fruitless += 1
    } catch (thrown) {
      const problem = asProblem(thrown)
      // Only a broken connection is worth another attempt; a refusal stays one.
      if (problem.code !== 'unreachable') throw problem
      fruitless = received > before ? 1 : fruitless + 1
      if (fruitless >= ATTEMPTS_MAX) throw problem
      await source.pause(PAUSE_MS * fruitless)
    }
    if (fruitless >= ATTEMPTS_MAX) throw new Problem('unreachable', `${received} bytes came`)
  }
}

async function request(
  url: string,
  offset: number,
  source: Source
): Promise<AsyncIterable<Uint8Array>> {
  const response = await source.fetch(url, {
    headers: { range: `bytes=${offset}-` },
    cache: 'no-store'
  })
  if (!response.ok)
    throw problemOf(response.status, response.headers.get('content-type'), await response.text())
  // A server that ignores the range would begin again: its bytes would be taken for later ones.
  if (offset > 0 && response.status !== 206)
    throw new Problem('unexpected', 'the answer does not begin where reading stopped')
  return streamOf(response)
}

/** Safari has no async iteration over streams. */
async function* streamOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader()
  if (reader === undefined) return
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    // Cancelling ends the transfer when the reader of this generator stops early; closed, it does nothing.
    await reader.cancel()
  }
}
