/**
 * The header of an age v1 file (C2SP age.md, "Header"), parsed and formatted. Pure: runs in the browser.
 *
 *     age-encryption.org/v1 LF
 *     -> TYPE ARGUMENT… LF          one stanza for each recipient; arguments are 1*VCHAR, one space apart
 *     BODY… LF                      base64 without padding, 64 columns; the last line is shorter, may be empty
 *     --- MAC LF                    HMAC-SHA-256 over everything up to and including "---"
 *
 * The MAC key is HKDF-SHA-256(file key, no salt, "header"). The parser takes exactly this grammar:
 * a byte that does not belong, a carriage return, a non-canonical base64 group or a limit passed is
 * `sealed-malformed`; a header that parses but whose MAC does not fit is `sealed-damaged`.
 *
 * @module
 */
import { base64nopad } from '@scure/base'
import { ProtocolError } from '../errors.ts'
import type { Primitives } from './primitives.ts'

/** Bytes; DESIGN §11. A hybrid stanza takes about 1.6 KiB, so 32 of them fit. */
export const HEADER_BYTES_MAX = 65_536
/** Stanzas; each costs the reader a key agreement for each of its identities. */
export const STANZAS_MAX = 32
/** Bytes; age.md "File key". */
export const FILE_KEY_BYTES = 16

const VERSION_LINE = 'age-encryption.org/v1'
/** Columns of a full body line: 48 bytes in base64; age.md "Header". */
const BODY_COLUMNS = 64
const MAC_BYTES = 32
const LF = 0x0a
const VCHARS = /^[\x21-\x7e]+$/

/** One recipient's wrap of the file key. `args[0]` is its type. */
export interface Stanza {
  readonly args: readonly [string, ...string[]]
  readonly body: Uint8Array<ArrayBuffer>
}

export interface Header {
  readonly stanzas: readonly Stanza[]
  /** What the MAC covers: the header up to and including `---`. */
  readonly authenticated: Uint8Array<ArrayBuffer>
  readonly mac: Uint8Array<ArrayBuffer>
  /** Length of the whole header; the payload nonce begins here. */
  readonly sizeBytes: number
}

/**
 * Reads the header at the start of `bytes`; what follows it is left alone. Says nothing about
 * authenticity: {@link checkHeader} does, once the file key is known. Throws `sealed-malformed`.
 */
export function parseHeader(bytes: Uint8Array): Header {
  const lines = new HeaderLines(bytes)
  if (lines.next() !== VERSION_LINE) throw malformed('the first line is not age-encryption.org/v1')
  const stanzas: Stanza[] = []
  for (;;) {
    const lineStart = lines.offset
    const line = lines.next()
    if (line.startsWith('-> ')) {
      if (stanzas.length === STANZAS_MAX) throw malformed(`more than ${STANZAS_MAX} stanzas`)
      stanzas.push(parseStanza(line, lines))
      continue
    }
    if (!line.startsWith('--- ')) throw malformed('a line is neither a stanza nor the MAC')
    if (stanzas.length === 0) throw malformed('the header has no stanza')
    const mac = decodeBase64(line.slice('--- '.length))
    if (mac.length !== MAC_BYTES) throw malformed(`the MAC has ${mac.length} bytes`)
    const authenticated = new Uint8Array(bytes.subarray(0, lineStart + '---'.length))
    return { stanzas, authenticated, mac, sizeBytes: lines.offset }
  }
}

/** Writes a header around the stanzas, with its MAC. Throws `sealed-malformed` when a limit would be passed. */
export function formatHeader(
  stanzas: readonly Stanza[],
  fileKey: Uint8Array,
  primitives: Primitives
): Uint8Array<ArrayBuffer> {
  if (stanzas.length === 0 || stanzas.length > STANZAS_MAX)
    throw malformed(`${stanzas.length} stanzas; 1 to ${STANZAS_MAX} are possible`)
  let text = `${VERSION_LINE}\n`
  for (const { args, body } of stanzas) {
    if (!args.every((arg) => VCHARS.test(arg)))
      throw malformed('a stanza argument is not printable ASCII')
    text += `-> ${args.join(' ')}\n`
    const encoded = base64nopad.encode(body)
    // A body that fills its last line exactly is closed by an empty one: `<=` is the rule, not a slip.
    for (let start = 0; start <= encoded.length; start += BODY_COLUMNS)
      text += `${encoded.slice(start, start + BODY_COLUMNS)}\n`
  }
  text += '---'
  const mac = headerMac(ascii(text), fileKey, primitives)
  const header = ascii(`${text} ${base64nopad.encode(mac)}\n`)
  if (header.length > HEADER_BYTES_MAX)
    throw malformed(`a header of ${header.length} bytes; at most ${HEADER_BYTES_MAX} are possible`)
  return header
}

/** Whoever wrote the header knew `fileKey`, and nothing in it has changed since; else throws `sealed-damaged`. */
export function checkHeader(header: Header, fileKey: Uint8Array, primitives: Primitives): void {
  const expected = headerMac(header.authenticated, fileKey, primitives)
  let difference = 0
  // Every byte is compared, so the time taken says nothing about where the two differ.
  for (const [position, byte] of expected.entries())
    difference |= byte ^ (header.mac[position] ?? 0)
  if (difference !== 0)
    throw new ProtocolError('sealed-damaged', 'the MAC of the age header does not fit')
}

/** Strict base64 without padding: canonical, no white space. Throws `sealed-malformed`. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(base64nopad.decode(text))
  } catch (cause) {
    throw new ProtocolError('sealed-malformed', 'a field is not canonical base64', { cause })
  }
}

/** Lines of the header, each ended by LF, all within the size limit. */
class HeaderLines {
  /** Where the next line begins. */
  offset = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.subarray(0, HEADER_BYTES_MAX)
  }

  next(): string {
    const end = this.#bytes.indexOf(LF, this.offset)
    if (end === -1) throw malformed(`the header does not end within ${this.#bytes.length} bytes`)
    const line = latin1(this.#bytes.subarray(this.offset, end))
    this.offset = end + 1
    return line
  }
}

function parseStanza(line: string, lines: HeaderLines): Stanza {
  const [type, ...rest] = line.slice('-> '.length).split(' ')
  if (type === undefined || ![type, ...rest].every((arg) => VCHARS.test(arg)))
    throw malformed('a stanza argument is empty or not printable ASCII')
  let encoded = ''
  for (;;) {
    const bodyLine = lines.next()
    if (bodyLine.length > BODY_COLUMNS)
      throw malformed(`a body line has ${bodyLine.length} columns; ${BODY_COLUMNS} are the most`)
    encoded += bodyLine
    if (bodyLine.length < BODY_COLUMNS) break
  }
  return { args: [type, ...rest], body: decodeBase64(encoded) }
}

function headerMac(
  authenticated: Uint8Array,
  fileKey: Uint8Array,
  primitives: Primitives
): Uint8Array {
  const key = primitives.hkdfSha256(fileKey, new Uint8Array(), 'header', MAC_BYTES)
  return primitives.hmacSha256(key, authenticated)
}

/** The grammar has let nothing but ASCII through, of which UTF-8 is the same. */
function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

/** One character for each byte, so that a byte outside ASCII is seen by the grammar and refused there. */
function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function malformed(fact: string): ProtocolError {
  return new ProtocolError('sealed-malformed', `not an age v1 header: ${fact}`)
}
