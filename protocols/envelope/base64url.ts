/**
 * base64url as JOSE wants it (RFC 7515 §2): no padding, and exactly one text for the same bytes.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'

/** Encodes bytes, or the UTF-8 of a text. */
export function toBase64url(value: Uint8Array | string): string {
  if (typeof value === 'string') return Buffer.from(value, 'utf8').toString('base64url')
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64url')
}

/**
 * Decodes. Node ignores characters outside the alphabet and stray last bits, so two texts could stand for
 * one signature: the text must be what encoding would have given.
 *
 * @throws ProtocolError `envelope-malformed`.
 */
export function fromBase64url(text: string, what: string): Buffer<ArrayBuffer> {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) {
    throw new ProtocolError('envelope-malformed', `${what} is not canonical base64url`)
  }
  return bytes
}
