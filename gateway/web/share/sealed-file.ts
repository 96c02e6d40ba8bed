/**
 * Opens a sealed document (an age v1 file, protocols/sealed/) as it arrives, with the file key from a
 * link's capability. Pure: the worker feeds it from the network, the tests from memory.
 *
 * @module
 */
import { ProtocolError } from '../../../protocols/errors.ts'
import {
  FILE_KEY_BYTES,
  HEADER_BYTES_MAX,
  checkHeader,
  parseHeader
} from '../../../protocols/sealed/header.ts'
import { checkPadding, paddedLength } from '../../../protocols/sealed/padding.ts'
import type { Primitives } from '../../../protocols/sealed/primitives.ts'
import { PAYLOAD_NONCE_BYTES, openPayload, payloadKey } from '../../../protocols/sealed/stream.ts'

/** Written at the end of an age header's MAC line. */
const MAC_LINE = /\n--- [^\n]*\n/

/**
 * Yields the document's own bytes: header and every chunk authenticated before they are handed on, the
 * padding checked and cut. That the file was whole is known only when the generator returns.
 *
 * Throws `sealed-malformed` or `sealed-damaged`; also when the true length is not `sizeBytes`.
 */
export async function* openSealedFile(
  source: AsyncIterable<Uint8Array>,
  file: { readonly fileKey: Uint8Array; readonly sizeBytes: number },
  primitives: Primitives
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (file.fileKey.length !== FILE_KEY_BYTES)
    throw new ProtocolError('sealed-malformed', `a file key has ${FILE_KEY_BYTES} bytes`)
  const pieces = source[Symbol.asyncIterator]()
  const { header, nonce, rest } = await readStart(pieces)
  checkHeader(header, file.fileKey, primitives)
  const key = payloadKey(file.fileKey, nonce, primitives)

  let offset = 0
  for await (const chunk of openPayload(following(rest, pieces), key, primitives.aead)) {
    checkPadding(chunk, offset, file.sizeBytes)
    const content = chunk.subarray(0, Math.max(0, file.sizeBytes - offset))
    offset += chunk.length
    if (content.length > 0) yield content
  }
  // Chunks authenticate one by one; only the sum shows that none of the content is missing.
  if (offset !== paddedLength(file.sizeBytes))
    throw new ProtocolError('sealed-damaged', `the document ends after ${offset} padded bytes`)
}

/** Gathers bytes until header and payload nonce are there; at most the largest header and a piece. */
async function readStart(pieces: AsyncIterator<Uint8Array>): Promise<{
  header: ReturnType<typeof parseHeader>
  nonce: Uint8Array
  rest: Uint8Array
}> {
  let bytes: Uint8Array = new Uint8Array()
  for (;;) {
    const complete = MAC_LINE.test(latin1(bytes.subarray(0, HEADER_BYTES_MAX)))
    if (complete || bytes.length >= HEADER_BYTES_MAX) {
      const header = parseHeader(bytes)
      const start = header.sizeBytes + PAYLOAD_NONCE_BYTES
      if (bytes.length >= start)
        return {
          header,
          nonce: bytes.subarray(header.sizeBytes, start),
          rest: bytes.subarray(start)
        }
    }
    const next = await pieces.next()
    if (next.done === true)
      throw new ProtocolError('sealed-malformed', `the file ends after ${bytes.length} bytes`)
    bytes = joined(bytes, next.value)
  }
}

async function* following(
  first: Uint8Array,
  pieces: AsyncIterator<Uint8Array>
): AsyncGenerator<Uint8Array> {
  yield first
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next())
    yield next.value
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes)
}
