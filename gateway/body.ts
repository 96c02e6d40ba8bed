/**
 * Request bodies that are read whole: bounded in bytes, depth and members before they are parsed.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { LockerError } from '../agent/errors.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { parseJsonBounded } from '../protocols/message.ts'

/** Largest JSON body, bytes (DESIGN §11). */
export const JSON_BYTES_MAX = 1024 * 1024

/** Bytes of an unwanted body that are still taken: what is on its way when the answer reaches the client. */
const LINGER_BYTES_MAX = 16 * 1024 * 1024

/**
 * Reads a body of at most `bytesMax` bytes.
 *
 * @throws `request-too-large` as soon as the length is known or passed; `request-unsupported` for a body
 * in a content coding, since what a few bytes unpack to has no bound; `operation-cancelled`.
 */
export async function readBytes(
  request: IncomingMessage,
  bytesMax: number
): Promise<Buffer<ArrayBuffer>> {
  checkCoding(request)
  const tooLarge = (): LockerError =>
    new LockerError('request-too-large', `the body is over ${bytesMax} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge()
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of chunksOf(request)) {
      bytes += part.length
      if (bytes > bytesMax) throw tooLarge()
      parts.push(part)
    }
  } catch (error) {
    throw error instanceof LockerError ? error : broken(error)
  }
  return Buffer.concat(parts)
}

/**
 * Parses a JSON body; at most 1 MiB, 32 levels and 10,000 members.
 *
 * @throws `request-invalid`
 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseJsonBounded(bytes, { bytesMax: JSON_BYTES_MAX })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const fact =
      cause.code === 'limit-exceeded' ? 'is nested too deeply or too large' : 'is not JSON'
    throw new LockerError('request-invalid', `the body ${fact}`, { cause })
  }
}

/**
 * The chunks of a body. Leaving the loop early leaves the request as it is: the default would destroy it,
 * and what is still on its way could not be taken any more ({@link linger}).
 */
export function chunksOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
}

/**
 * Takes and drops what is left of a body whose answer has been given, so that the client reads the
 * answer before it meets a closed connection; past a bound the connection is cut.
 */
export function linger(request: IncomingMessage): void {
  if (request.complete) return
  let bytes = 0
  request.unpipe()
  request.on('error', () => undefined)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > LINGER_BYTES_MAX) request.destroy()
  })
  request.resume()
}

/** Throws `request-unsupported` for a body in a content coding. */
export function checkCoding(request: IncomingMessage): void {
  const coding = request.headers['content-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'identity')
    throw new LockerError('request-unsupported', 'bodies are taken without content-encoding only')
}

/** The media type of a body without its parameters, in lower case; empty when none is given. */
export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** Whether a body follows, RFC 9112 §6: either a length or chunks. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return (
    request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
  )
}

/** The connection broke while the body was on its way. */
export function broken(cause: unknown): LockerError {
  return new LockerError('operation-cancelled', 'the client closed the connection', { cause })
}
