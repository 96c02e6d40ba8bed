/** Sealed documents for tests, and a reader that opens one whole from memory. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import { openHeader, sealStream, type Opener } from '../../../protocols/sealed/age.ts'
import { native } from '../../../protocols/sealed/native.ts'
import { removePadding } from '../../../protocols/sealed/padding.ts'
import type { Recipient } from '../../../protocols/sealed/recipients.ts'
import { openPayload } from '../../../protocols/sealed/stream.ts'
import { ProtocolError, type ProtocolErrorCode } from '../../../protocols/errors.ts'

export const random = (sizeBytes: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(randomBytes(sizeBytes))

/** The bytes in pieces of a size, without copying. */
export function* cut(bytes: Uint8Array, sizeBytes: number): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += sizeBytes)
    yield bytes.subarray(start, start + sizeBytes)
}

export async function joined(source: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  for await (const piece of source) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

export function seal(
  content: Uint8Array,
  recipient: Recipient,
  fileKey?: Uint8Array
): Promise<Uint8Array<ArrayBuffer>> {
  const options = { recipients: [recipient], random }
  return joined(
    sealStream(cut(content, 50_000), fileKey === undefined ? options : { ...options, fileKey })
  )
}

/** The content of a sealed document, everything in it checked. */
export async function open(file: Uint8Array, opener: Opener): Promise<Uint8Array> {
  const { payloadKey, payloadOffset } = await openHeader(file, opener)
  const payload = cut(file.subarray(payloadOffset), 30_000)
  return removePadding(await joined(openPayload(payload, payloadKey, native.aead)))
}

/** Expects a refusal, with one of the codes. */
export async function refuses(
  work: () => unknown,
  ...codes: readonly ProtocolErrorCode[]
): Promise<ProtocolError> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    expect(codes).to.include(error.code)
    return error
  }
  throw new Error('nothing was refused')
}
