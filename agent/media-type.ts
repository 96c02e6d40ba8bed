/**
 * What a document is, from its first bytes: never from its name or from what the sender says.
 *
 * Binary formats are told by their signatures (npm `file-type`), text by its grammar. What a browser
 * would run (HTML, XHTML, SVG) is looked for first and generously: a file that might be run must not
 * pass as something harmless. The gateway serves these as downloads only.
 *
 * @module
 */
import { fileTypeFromBuffer } from 'file-type'
import { CREDENTIALS_V2 } from '../protocols/credential/credential.ts'
import { isJsonObject } from '../protocols/credential/json.ts'

/** Bytes of a document that are looked at. A zip of an office document shows what it is within a few KiB. */
export const SNIFF_BYTES = 65_536

/** Nothing more is known of it. */
const OCTET_STREAM = 'application/octet-stream'

/** Credentials: VCDM 2.0 §C.1 with its proofs inside, and SD-JWT VC §3.1. */
const VC_JSON = 'application/vc+json'
const VC_SD_JWT = 'application/dc+sd-jwt'

/** A JWT, whose header and claims begin with `{"`, with its disclosures and nothing else: RFC 9901 §4. */
const COMPACT_SD_JWT = /^eyJ[A-Za-z0-9_-]*\.eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+~[A-Za-z0-9_~-]*\s*$/

/** `whole`: the bytes are the whole document, not only its beginning. */
export async function sniffMediaType(head: Uint8Array, whole: boolean): Promise<string> {
  const text = decodeText(head, whole)
  // Browsers look past invalid bytes when they look for HTML, so they are not taken for an excuse.
  const markup = sniffMarkup(text ?? Buffer.from(head).toString('latin1'))
  if (markup !== undefined) return markup
  const binary = await sniffBinary(head)
  if (text === undefined) return binary ?? OCTET_STREAM
  // Two letters are a signature to some formats (BM is a bitmap): of a clean text only these are believed.
  if (binary !== undefined && TEXTUAL_SIGNATURES.has(binary)) return binary
  if (isJson(text, whole)) return isCredential(text, whole) ? VC_JSON : 'application/json'
  if (COMPACT_SD_JWT.test(text)) return VC_SD_JWT
  return sniffTable(text, whole) ?? (head.length === 0 ? OCTET_STREAM : 'text/plain')
}

/** Formats whose files may be clean text from beginning to end. */
const TEXTUAL_SIGNATURES = new Set([
  'application/pdf',
  'application/postscript',
  'application/eps',
  'application/rtf',
  'application/pgp-encrypted',
  'text/calendar',
  'text/vcard'
])

async function sniffBinary(head: Uint8Array): Promise<string | undefined> {
  try {
    const found = await fileTypeFromBuffer(head)
    return found?.mime
  } catch {
    // A parser that trips over hostile bytes has found no type: that is an answer, not a failure.
    return undefined
  }
}

/** Characters that no text has; form feed and escape occur in plain ones. */
// oxlint-disable-next-line no-control-regex -- the control characters are what is looked for
const NOT_TEXT = /[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]/

/** UTF-8, or UTF-16 with its mark; `undefined` when it is not text. */
function decodeText(head: Uint8Array, whole: boolean): string | undefined {
  const [first, second] = head
  let encoding = 'utf-8'
  if (first === 0xff && second === 0xfe) encoding = 'utf-16le'
  if (first === 0xfe && second === 0xff) encoding = 'utf-16be'
  try {
    const decoder = new TextDecoder(encoding, { fatal: true })
    // In a beginning, the last character may be cut in two.
    const text = decoder.decode(head, { stream: !whole })
    return NOT_TEXT.test(text) ? undefined : text
  } catch {
    // Invalid in this encoding: not text.
    return undefined
  }
}

/** Elements that make a browser take a file for HTML: WHATWG MIME Sniffing §7.1, with svg's neighbours. */
const HTML_START =
  /^<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|img|svg:svg|meta|link|form|object|embed|math|video|audio)(?=[\s>/])/i
/** Comments, processing instructions and document types before the first element. */
const PROLOGUE =
  /^(?:\s+|<\?[^>]*>|<!--[\s\S]*?-->|<!doctype(?![^>[]*\bhtml\b)[^>[]*(?:\[[^\]]*\]\s*)?>)/i
const FIRST_ELEMENT = /^<(?:([\w.-]+):)?([\w.-]+)/
/** Pieces of prologue skipped; each takes at least two bytes, so 64 KiB of them end here too. */
const PROLOGUE_PIECES_MAX = 1_000

/** HTML, XHTML, SVG or other XML; `undefined` for everything else. */
function sniffMarkup(text: string): string | undefined {
  let rest = text.replace(/^\ufeff|^\u00ef\u00bb\u00bf/, '').trimStart()
  const xml = rest.startsWith('<?xml')
  for (let pieces = 0; pieces < PROLOGUE_PIECES_MAX; pieces++) {
    const [piece] = PROLOGUE.exec(rest) ?? []
    if (piece === undefined) break
    rest = rest.slice(piece.length)
  }
  const [, , name] = FIRST_ELEMENT.exec(rest) ?? []
  if (name?.toLowerCase() === 'svg') return 'image/svg+xml'
  if (xml) return name?.toLowerCase() === 'html' ? 'application/xhtml+xml' : 'application/xml'
  if (HTML_START.test(rest)) return 'text/html'
  // A comment at the very start makes a browser think of HTML, whatever follows it.
  if (text.trimStart().startsWith('<!--')) return 'text/html'
  // Markup that begins with an unknown element: run by nobody as it is, but only a step from it.
  return /<(?:script|svg|iframe|html|body)[\s>/]/i.test(rest) && rest.startsWith('<')
    ? 'text/html'
    : undefined
}

/** How JSON begins: an object's first key or end, an array's first value or end. */
const JSON_START = /^\s*(?:\{\s*(?:"|\}\s*$)|\[\s*(?:["{[\d-]|true|false|null|\]\s*$))/

function isJson(text: string, whole: boolean): boolean {
  if (!JSON_START.test(text)) return false
  if (!whole)
    return /^\s*(?:\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*(?:\{\s*["}]|\[|"|-?\d|true|false|null))/.test(
      text
    )
  try {
    JSON.parse(text)
    return true
  } catch {
    // Looks like it but is not: a text that begins with a bracket.
    return false
  }
}

/** By the first of its contexts, VCDM 2.0 §4.3; whether it holds is another question. */
function isCredential(text: string, whole: boolean): boolean {
  // Every writer of credentials puts the contexts first; of the rest of a large one nothing is known here.
  if (!whole) return CREDENTIAL_START.test(text)
  const value: unknown = JSON.parse(text)
  if (!isJsonObject(value)) return false
  const { '@context': contexts } = value
  return Array.isArray(contexts) && contexts[0] === CREDENTIALS_V2
}

const CREDENTIAL_START =
  /^\s*\{\s*"@context"\s*:\s*\[\s*"https:\/\/www\.w3\.org\/ns\/credentials\/v2"/

/** Lines of a table that are compared. */
const TABLE_LINES_MAX = 20
const SEPARATORS: ReadonlyArray<readonly [separator: string, mediaType: string]> = [
  [',', 'text/csv'],
  [';', 'text/csv'],
  ['\t', 'text/tab-separated-values']
]

/** A table: at least two lines, all with the same number of columns, at least two. */
function sniffTable(text: string, whole: boolean): string | undefined {
  const found = SEPARATORS.find(([separator]) => {
    const columns = columnCounts(text, separator, whole)
    const [first = 0] = columns
    return columns.length >= 2 && first >= 2 && columns.every((count) => count === first)
  })
  return found?.[1]
}

/** Columns of each of the first complete lines, RFC 4180: in quotes, separators and line ends are content. */
function columnCounts(text: string, separator: string, whole: boolean): number[] {
  const counts: number[] = []
  let columns = 1
  let quoted = false
  let lineStart = 0
  for (let at = 0; at < text.length && counts.length < TABLE_LINES_MAX; at++) {
    const character = text[at]
    if (character === '"') quoted = !quoted
    else if (!quoted && character === separator) columns++
    else if (!quoted && character === '\n') {
      if (text.slice(lineStart, at).trim() !== '') counts.push(columns)
      columns = 1
      lineStart = at + 1
    }
  }
  const lastLine = text.slice(lineStart).trim() !== ''
  if (whole && !quoted && lastLine && counts.length < TABLE_LINES_MAX) counts.push(columns)
  return counts
}
