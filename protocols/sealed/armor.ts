/**
 * The ASCII armor of age files (C2SP age.md, "ASCII armor"; strict PEM of RFC 7468), read only: eLocker
 * writes binary files, but takes in what others have sealed and pasted.
 *
 *     -----BEGIN AGE ENCRYPTED FILE-----
 *     base64, 64 columns, padded; the last line shorter or full
 *     -----END AGE ENCRYPTED FILE-----
 *
 * Lines end in LF or CRLF. White space is taken before and after the whole, nowhere inside.
 *
 * @module
 */
import { base64 } from '@scure/base'
import { ProtocolError } from '../errors.ts'

/** Bytes; armor is for what people paste. Documents travel in binary. */
const ARMORED_BYTES_MAX = 16 * 1024 * 1024

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----'
const END = '-----END AGE ENCRYPTED FILE-----'
const COLUMNS = 64

/** Whether the file begins as an armored one does; a binary age file begins with its version line. */
export function isArmored(file: Uint8Array): boolean {
  return new TextDecoder('latin1').decode(file.subarray(0, 1024)).trimStart().startsWith('-----')
}

/** The binary age file inside. Throws `sealed-malformed` for anything but the strict form. */
export function decodeArmor(file: Uint8Array): Uint8Array<ArrayBuffer> {
  if (file.length > ARMORED_BYTES_MAX) throw malformed(`it has ${file.length} bytes`)
  const text = new TextDecoder('latin1').decode(file).replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
  const lines = text.split(/\r?\n/)
  if (lines.shift() !== BEGIN || lines.pop() !== END)
    throw malformed('its first and last line do not enclose it')
  const full = lines.slice(0, -1)
  const last = lines.at(-1) ?? ''
  if (!full.every(({ length }) => length === COLUMNS) || last.length > COLUMNS)
    throw malformed(`a line other than the last has not ${COLUMNS} columns`)
  if (lines.length > 0 && last === '') throw malformed('an empty line')
  try {
    return new Uint8Array(base64.decode(lines.join('')))
  } catch (cause) {
    throw new ProtocolError('sealed-malformed', 'the armor is not canonical base64', { cause })
  }
}

function malformed(fact: string): ProtocolError {
  return new ProtocolError('sealed-malformed', `not an armored age file: ${fact}`)
}
