/**
 * Fetches, checks and decrypts one document away from the page's thread, so that the page stays answerable
 * and progress moves. Ends up with one Blob, which browsers keep on disk when it is large.
 *
 * @module
 */
import { ProtocolError } from '../../../protocols/errors.ts'
import { asProblem } from '../problem.ts'
import { webPrimitives } from './primitives.ts'
import { openSealedFile } from './sealed-file.ts'
import { readSealed } from './sealed-source.ts'

/** What the page asks for. */
export interface OpenOrder {
  readonly url: string
  readonly fileKey: Uint8Array
  readonly sealedBytes: number
  readonly sizeBytes: number
  /** Given to the Blob: one of the types the page previews, else `application/octet-stream`. */
  readonly mediaType: string
}

/** What the worker answers: progress several times, then one of the others. */
export type OpenAnswer =
  | { readonly kind: 'progress'; readonly received: number }
  | { readonly kind: 'opened'; readonly blob: Blob }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }

/** Decrypted bytes held before they go into a Blob, where the browser may move them out of memory. */
const GATHERED_BYTES = 8 * 1024 * 1024
/** Least bytes between two progress messages. */
const PROGRESS_BYTES = 256 * 1024

addEventListener('message', (event: MessageEvent<OpenOrder>) => {
  open(event.data).then(
    (blob) => answer({ kind: 'opened', blob }),
    (thrown: unknown) => {
      const { code, message } = thrown instanceof ProtocolError ? thrown : asProblem(thrown)
      answer({ kind: 'failed', code, message })
    }
  )
})

async function open(order: OpenOrder): Promise<Blob> {
  let reported = 0
  const sealed = readSealed(
    order.url,
    order.sealedBytes,
    {
      fetch: (url, init) => fetch(url, init),
      pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
    },
    (received) => {
      if (received - reported < PROGRESS_BYTES && received < order.sealedBytes) return
      reported = received
      answer({ kind: 'progress', received })
    }
  )
  const parts: Blob[] = []
  let gathered: Uint8Array<ArrayBuffer>[] = []
  let gatheredBytes = 0
  for await (const chunk of openSealedFile(sealed, order, webPrimitives)) {
    gathered.push(chunk)
    gatheredBytes += chunk.length
    if (gatheredBytes < GATHERED_BYTES) continue
    parts.push(new Blob(gathered))
    gathered = []
    gatheredBytes = 0
  }
  return new Blob([...parts, ...gathered], { type: order.mediaType })
}

function answer(message: OpenAnswer): void {
  postMessage(message)
}
