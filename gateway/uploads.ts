/**
 * Uploads: a document's bytes on their way from the socket into the agent, as a raw body or as the one
 * file of a multipart form. Nothing is kept on the way: the agent asks for a chunk when it has sealed the
 * one before, and the socket waits (no temporary file, no plaintext on disk).
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import busboy from 'busboy'
import { LockerError } from '../agent/errors.ts'
import { memberOf } from './problem.ts'
import { broken, checkCoding, chunksOf, mediaTypeOf } from './body.ts'

/** Largest document when the owner does not say, bytes (DESIGN §11). */
export const UPLOAD_BYTES_MAX = 4 * 1024 ** 3

/** Fields of a form beside its file: name, type, and tags. */
const FIELDS_MAX = 60

/** Bytes of one field's value: 255 characters of UTF-8, with slack. */
const FIELD_BYTES_MAX = 2_048

/** Bytes of a field's name. */
const FIELD_NAME_BYTES_MAX = 100

/** Header lines of one part. */
const HEADER_PAIRS_MAX = 20

/** A document as it arrives. */
export interface Upload {
  /** As the client's form says; the last path segment only. Absent for a raw body. */
  readonly name?: string
  /** Fields that stood before the file, in their order. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  /**
   * The bytes. Throws `document-too-large`, `operation-cancelled` when the client goes away and
   * `request-invalid` when the form breaks off, so whoever reads it never takes a part for a whole.
   */
  readonly content: AsyncIterable<Uint8Array>
}

/**
 * Takes a request's body as an upload.
 *
 * @throws `request-unsupported` for a content coding; `document-too-large` when the length is announced;
 * `request-invalid` for a form without a file.
 */
export async function upload(request: IncomingMessage, bytesMax: number): Promise<Upload> {
  checkCoding(request)
  if (mediaTypeOf(request) === 'multipart/form-data') return form(request, bytesMax)
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax)
  return { fields: [], content: bounded(request, bytesMax) }
}

async function* bounded(request: IncomingMessage, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const chunk of chunksOf(request)) {
      bytes += chunk.length
      if (bytes > bytesMax) throw tooLarge(bytesMax)
      yield chunk
    }
  } catch (error) {
    throw error instanceof LockerError ? error : broken(error)
  }
}

function tooLarge(bytesMax: number): LockerError {
  return new LockerError('document-too-large', `the document is over ${bytesMax} bytes`, {
    facts: { bytesMax }
  })
}

async function form(request: IncomingMessage, bytesMax: number): Promise<Upload> {
  const parser = parserOf(request, bytesMax)
  const ended = finished(parser, { readable: false })
  // Whoever reads `content` hears of a failure there; without a reader it must not be unhandled.
  ended.catch(() => undefined)
  const fields: Array<readonly [string, string]> = []
  const file = new Promise<{ stream: Readable; name: string | undefined }>((resolve, reject) => {
    let files = 0
    parser.on('field', (name, value, { nameTruncated, valueTruncated }) => {
      if (nameTruncated || valueTruncated) parser.destroy(malformed('a field is too long'))
      else if (files > 0) parser.destroy(malformed('a field stands after the file'))
      else fields.push([name, value])
    })
    parser.on('file', (_name, stream, { filename }) => {
      files += 1
      // A file that is given up on says so; its reader hears of it through `content`.
      stream.on('error', () => undefined)
      stream.on('limit', () => parser.destroy(tooLarge(bytesMax)))
      resolve({ stream, name: filename })
    })
    for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const)
      parser.on(limit, () => parser.destroy(malformed('too many parts')))
    parser.on('error', (error) => reject(asMalformed(error)))
    parser.on('close', () => reject(malformed('no file in it')))
  })
  // Not `pipeline`: it destroys the request on a failure, and the socket that is to carry the answer with it.
  request.once('close', () => {
    if (!request.complete) parser.destroy(broken(undefined))
  })
  request.pipe(parser)
  const { stream, name } = await file
  return { ...(name === undefined ? {} : { name }), fields, content: whole(stream, ended) }
}

/** The file's bytes, and then the end of the form: a file counts only when the form around it is complete. */
async function* whole(file: Readable, ended: Promise<void>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) yield chunk
    await ended
  } catch (error) {
    throw asMalformed(error)
  }
}

function parserOf(request: IncomingMessage, bytesMax: number): busboy.Busboy {
  try {
    return busboy({
      headers: request.headers,
      defParamCharset: 'utf8',
      limits: {
        files: 1,
        fields: FIELDS_MAX,
        parts: FIELDS_MAX + 1,
        // Busboy takes the limit itself for too large.
        fileSize: bytesMax + 1,
        fieldSize: FIELD_BYTES_MAX,
        fieldNameSize: FIELD_NAME_BYTES_MAX,
        headerPairs: HEADER_PAIRS_MAX
      }
    })
  } catch (cause) {
    throw malformed('no boundary', cause)
  }
}

function malformed(fact: string, cause?: unknown): LockerError {
  return new LockerError('request-invalid', `the form cannot be read: ${fact}`, { cause })
}

function asMalformed(error: unknown): LockerError {
  if (error instanceof LockerError) return error
  const code = memberOf(error, 'code')
  // What Node says of a request whose socket closed.
  if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') return broken(error)
  return malformed('it breaks off', error)
}
