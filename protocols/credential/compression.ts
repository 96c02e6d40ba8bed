/**
 * Bytes through one of the platform's compression streams, which Node and browsers have alike, with a
 * bound on what comes out: 1 KiB of DEFLATE may stand for 1 MiB of zeros.
 *
 * @module
 */

/**
 * All that comes out of a stream; undefined when that is more than `bytesMax`, and then no more is made. Rejects
 * with the platform's own error when the input is not what the stream reads.
 */
export async function through(
  stream: CompressionStream | DecompressionStream,
  bytes: Uint8Array,
  bytesMax: number
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const writer = stream.writable.getWriter()
  const reader = stream.readable.getReader()
  // Written while the other end is read: a stream takes no more than it has room for. What fails in writing
  // fails the reading too, and is reported there.
  writer
    .write(new Uint8Array(bytes))
    .then(() => writer.close())
    .catch(() => undefined)
  const parts: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    size += value.length
    if (size > bytesMax) {
      await reader.cancel()
      return undefined
    }
    parts.push(value)
  }
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
