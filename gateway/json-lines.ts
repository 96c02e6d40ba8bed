/**
 * JSON documents as they arrive, one a line (application/x-ndjson): a file of any length, of which no more than a
 * line is held.
 *
 * @module
 */
import { LockerError } from '../agent/errors.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { parseJsonBounded } from '../protocols/message.ts'

/** Longest line, bytes: a record of the registry has at most 64 KiB of claims. */
export const JSON_LINE_BYTES_MAX = 131_072

/**
 * The documents; empty lines are none. Throws `registry-invalid` naming the line for what is not JSON in UTF-8 or
 * longer than {@link JSON_LINE_BYTES_MAX}.
 */
export async function* jsonLines(source: AsyncIterable<Uint8Array>): AsyncGenerator {
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const chunk of source) {
    let bytes: Buffer = Buffer.concat([rest, chunk])
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
      line += 1
      yield* parsed(bytes.subarray(0, end), line)
      bytes = bytes.subarray(end + 1)
    }
    rest = bytes
    if (rest.byteLength > JSON_LINE_BYTES_MAX) throw tooLong(line + 1)
  }
  yield* parsed(rest, line + 1)
}

function* parsed(bytes: Uint8Array, line: number): Generator {
  if (bytes.byteLength > JSON_LINE_BYTES_MAX) throw tooLong(line)
  if (bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)) return
  try {
    yield parseJsonBounded(bytes, { bytesMax: JSON_LINE_BYTES_MAX })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new LockerError('registry-invalid', `line ${line} is not JSON that is read here`, {
      cause,
      facts: { line }
    })
  }
}

function tooLong(line: number): LockerError {
  return new LockerError(
    'registry-invalid',
    `line ${line} is longer than ${JSON_LINE_BYTES_MAX} bytes`,
    { facts: { line } }
  )
}
