/**
 * What the share page asks the public listener, and the worker it lets open the document.
 *
 * @module
 */
import { base64nopad, base64urlnopad } from '@scure/base'
import { z } from 'zod'
import {
  type LinkCapability,
  type LinkKeys,
  deriveLinkKeys,
  openCapability,
  parseLinkSecret
} from '../../../protocols/share-link.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { essenceOf, previewOf } from '../file-kinds.ts'
import { Problem, asProblem, problemOf } from '../problem.ts'
import { type PublicFacts, linkFacts } from './link-facts.ts'
import type { OpenAnswer, OpenOrder } from './open.worker.ts'

const openAnswer = z.object({
  capability: z.string().max(32_768),
  ticket: z.string().max(256),
  sealedBytes: z.int().positive(),
  usesLeft: z.int().nonnegative()
})

/** An opened link: what the sender said, and where the sealed bytes are. */
export interface OpenedLink {
  readonly capability: LinkCapability
  readonly contentUrl: string
  readonly usesLeft: number
}

/** Asks for a link's state. Inert: uses nothing up. */
export async function describeLink(id: string): Promise<PublicFacts> {
  return linkFacts.parse(await json(`/s/${id}/facts`, { method: 'GET' }))
}

/** Derives the keys; with a passphrase this takes a moment. Throws `link-malformed`. */
export function keysOf(
  id: string,
  secret: string,
  facts: PublicFacts,
  passphrase: string
): Promise<LinkKeys> {
  return deriveLinkKeys({
    id,
    secret: parseLinkSecret(secret),
    ...(facts.passphrase ? { passphrase: { text: passphrase, salt: decode(facts.salt) } } : {})
  })
}

/** Uses the link: the server counts before it answers. Throws a Problem, or ProtocolError `sealed-damaged`. */
export async function openLink(id: string, keys: LinkKeys): Promise<OpenedLink> {
  const answer = openAnswer.parse(
    await json(`/s/${id}/open`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-elocker': '1' },
      body: JSON.stringify({ proof: base64urlnopad.encode(keys.auth) })
    })
  )
  const capability = openCapability(keys.openKey, id, decode(answer.capability))
  if (capability.sealedBytes !== answer.sealedBytes)
    throw new ProtocolError('sealed-damaged', 'the file is not as long as the sender said')
  return {
    capability,
    contentUrl: `/s/${id}/content?ticket=${encodeURIComponent(answer.ticket)}`,
    usesLeft: answer.usesLeft
  }
}

/** Fetches and decrypts in a worker. Throws ProtocolError `sealed-…`, or a Problem. */
export function openContent(
  opened: OpenedLink,
  onProgress: (received: number) => void
): Promise<Blob> {
  const { capability } = opened
  const worker = new Worker(new URL('./open.worker.ts', import.meta.url), { type: 'module' })
  return new Promise<Blob>((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<OpenAnswer>) => {
      if (data.kind === 'progress') onProgress(data.received)
      else if (data.kind === 'opened') resolve(data.blob)
      else reject(new Problem(data.code, data.message))
    })
    worker.addEventListener('error', () => reject(new Problem('unexpected', 'the worker stopped')))
    const order: OpenOrder = {
      url: opened.contentUrl,
      fileKey: decode(capability.fileKey),
      sealedBytes: capability.sealedBytes,
      sizeBytes: capability.sizeBytes,
      mediaType: blobTypeOf(capability.mediaType)
    }
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker takes none
    worker.postMessage(order)
  }).finally(() => worker.terminate())
}

/** A blob URL belongs to this page's origin: only types that cannot hold a script keep their name. */
function blobTypeOf(mediaType: string): string {
  const kind = previewOf(mediaType)
  if (kind === 'text') return 'text/plain'
  return kind === 'none' ? 'application/octet-stream' : essenceOf(mediaType)
}

/** base64url or base64, with or without padding: the contract says bytes, JSON has none. */
function decode(text: string): Uint8Array {
  const bare = text.replace(/=+$/, '')
  return /[+/]/.test(bare) ? base64nopad.decode(bare) : base64urlnopad.decode(bare)
}

async function json(path: string, init: RequestInit): Promise<unknown> {
  let response: Response
  let body: string
  try {
    response = await fetch(path, { ...init, cache: 'no-store', credentials: 'omit' })
    body = await response.text()
  } catch (thrown) {
    throw asProblem(thrown)
  }
  if (!response.ok) throw problemOf(response.status, response.headers.get('content-type'), body)
  return JSON.parse(body)
}
