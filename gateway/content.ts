/**
 * Answers with bytes that are opened as they are sent.
 *
 * Nothing of the status is committed before the first chunk has been opened, so that what is damaged,
 * sealed or unreachable answers with its problem. What fails later cuts the connection: the length was
 * promised, and a client must not take half a document for a whole one.
 *
 * @module
 */
import { once } from 'node:events'
import type { Request, Response } from 'express'
import { LockerError } from '../agent/errors.ts'
import { select, type Range } from './ranges.ts'

export interface Representation {
  /** Strong, with its quotes, and nothing of the plaintext in it: a root CID and a version. */
  readonly etag: string
  readonly sizeBytes: number
  /** Opens the whole (`undefined`) or a part. Not called for HEAD. */
  readonly open: (range: Range | undefined) => Promise<AsyncIterable<Uint8Array>>
}

/** The root CID changes with every sealing and no two documents have the same. */
export function etagOf(root: string, version?: number): string {
  return `"${root}${version === undefined ? '' : `-${version}`}"`
}

/** Answers a GET or HEAD for a representation; the caller has set what the headers say of the content. */
export async function sendContent(
  request: Request,
  response: Response,
  { etag, sizeBytes, open }: Representation,
  signal: AbortSignal
): Promise<void> {
  const { headers } = request
  const ifRange = headers['if-range']
  const selection = select(
    request.method,
    {
      range: headers.range,
      ifRange: typeof ifRange === 'string' ? ifRange : undefined,
      ifMatch: headers['if-match'],
      ifNoneMatch: headers['if-none-match']
    },
    etag,
    sizeBytes
  )
  switch (selection.kind) {
    case 'failed':
      throw new LockerError('precondition-failed', 'the document is not the version asked for')
    case 'unsatisfiable':
      throw new LockerError('range-invalid', `the range lies outside ${sizeBytes} bytes`, {
        facts: { size: sizeBytes }
      })
    case 'unchanged':
      response.status(304).end()
      return
    case 'whole':
      response.status(200)
      await sendBytes(request, response, sizeBytes, () => open(undefined), signal)
      return
    case 'part': {
      const { start, end } = selection.range
      response.status(206).setHeader('content-range', `bytes ${start}-${end}/${sizeBytes}`)
      await sendBytes(request, response, end - start + 1, () => open(selection.range), signal)
    }
  }
}

async function sendBytes(
  request: Request,
  response: Response,
  length: number,
  open: () => Promise<AsyncIterable<Uint8Array>>,
  signal: AbortSignal
): Promise<void> {
  response.setHeader('content-length', length)
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const sent = await writeAll(response, await open(), signal)
  if (sent !== length) {
    response.destroy()
    throw new LockerError('integrity-failed', `${sent} bytes were sent of ${length}`)
  }
  response.end()
}

/** Writes as fast as the client reads. Resolves with the bytes written; the response is not ended. */
export async function writeAll(
  response: Response,
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal
): Promise<number> {
  let sent = 0
  for await (const chunk of content) {
    signal.throwIfAborted()
    sent += chunk.length
    if (!response.write(chunk)) await once(response, 'drain', { signal })
  }
  return sent
}
