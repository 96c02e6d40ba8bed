/**
 * Finds the credential attached to a PDF (ISO 32000-1 §7.11.4, PDF/A-3), in Node and in a browser.
 *
 * Only what leads to an attachment is read: cross-reference tables and streams, object streams, the catalogue, the name
 * tree `EmbeddedFiles` and the list `AF`, the embedded stream. No page, no font, no script. What is read is hostile: every
 * number is checked against the file, every loop is counted, and all that is inflated comes out of one budget. A file
 * whose cross-reference does not fit is refused and never searched for something that looks like an object: what two
 * readers find differently in a broken file, a forger can use.
 *
 * The page and the attachment are two things, and only the attachment is signed: whoever verifies shows the credential's
 * own values, never the page as proof of them.
 *
 * @module
 */
import { CREDENTIAL_BYTES_MAX } from './json.ts'
import { isReference, PdfFile } from './pdf-objects.ts'
import {
  PdfFault,
  type PdfDictionary,
  type PdfFaultCode,
  type PdfReference,
  type PdfValue
} from './pdf-syntax.ts'

/** Largest PDF searched, bytes; a certificate has about 100 kB, one with a scan beside it a few MiB. */
export const PDF_BYTES_MAX = 64 * 1024 * 1024

/** Most attachments looked at. */
const ATTACHMENTS_MAX = 64

/** Most nodes of the name tree; one of 64 names is flat. */
const TREE_NODES_MAX = 256

/** Longest name or media type given back, characters. */
const NAME_CHARACTERS_MAX = 255

/** Media types of what can be verified: VCDM 2.0 §C.2, VC-JOSE-COSE, SD-JWT VC and what it was called before. */
const MEDIA_TYPES: ReadonlySet<string> = new Set([
  'application/vc+json',
  'application/vc',
  'application/vc+ld+json',
  'application/vp+json',
  'application/vp',
  'application/dc+sd-jwt',
  'application/vc+sd-jwt'
])

/** Names of attachments that are credentials where the media type is missing or says only what the syntax is. */
const NAMES = /^(?:credential|vc|verifiable-?credential)\.(?:json|jsonld|sd-jwt|jwt)$/i

/** Media types that do not contradict a name. */
const SYNTAX_ONLY: ReadonlySet<string> = new Set([
  '',
  'application/json',
  'application/ld+json',
  'application/octet-stream',
  'text/plain'
])

export type PdfOutcome =
  | {
      readonly ok: true
      /** As the file calls it; for people, never a path. */
      readonly name: string
      /** As the file declares it; empty when it does not. */
      readonly mediaType: string
      /** Exactly as attached, at most {@link CREDENTIAL_BYTES_MAX} bytes; nothing about them has been checked. */
      readonly bytes: Uint8Array
    }
  | {
      readonly ok: false
      readonly code: PdfFaultCode | 'no-credential' | 'several-credentials'
      /** A whole sentence. */
      readonly reason: string
    }

/** The one credential attached to a PDF. Never throws for what the bytes are. */
export async function credentialInPdf(bytes: Uint8Array): Promise<PdfOutcome> {
  if (bytes.length > PDF_BYTES_MAX) {
    return refused(
      'limit-exceeded',
      `The PDF has ${bytes.length} bytes, more than ${PDF_BYTES_MAX}.`
    )
  }
  try {
    const file = await PdfFile.open(bytes)
    const found = (await attachmentsOf(file)).filter(isCredential)
    const [only] = found
    if (only === undefined)
      return refused('no-credential', 'No credential is attached to this PDF.')
    if (found.length > 1) {
      const names = found.map(({ name }) => name).join(', ')
      return refused(
        'several-credentials',
        `${found.length} credentials are attached to this PDF (${names}), so which one it shows cannot be said.`
      )
    }
    const { name, mediaType, stream } = only
    return { ok: true, name, mediaType, bytes: await file.content(stream, CREDENTIAL_BYTES_MAX) }
  } catch (error) {
    if (!(error instanceof PdfFault)) throw error
    return refused(error.code, `${error.message}.`)
  }
}

function refused(code: (PdfOutcome & { ok: false })['code'], reason: string): PdfOutcome {
  return { ok: false, code, reason }
}

interface Attachment {
  readonly name: string
  readonly mediaType: string
  /** A stream is never anything but referenced (ISO 32000-1 §7.3.8.1). */
  readonly stream: PdfReference
}

function isCredential({ name, mediaType }: Attachment): boolean {
  return MEDIA_TYPES.has(mediaType) || (SYNTAX_ONLY.has(mediaType) && NAMES.test(name))
}

/** Each embedded file once, whether the name tree names it, the catalogue's `AF`, or both. */
async function attachmentsOf(file: PdfFile): Promise<readonly Attachment[]> {
  const catalogue = await file.dictionary(file.trailer.get('Root'))
  if (catalogue === undefined) throw new PdfFault('malformed', 'The PDF has no catalogue')
  const names = await file.dictionary(catalogue.get('Names'))
  const associated = await file.value(catalogue.get('AF'))
  const specifications = [
    ...(await namedIn(file, names?.get('EmbeddedFiles'))),
    ...(Array.isArray(associated) ? associated.slice(0, ATTACHMENTS_MAX + 1) : [])
  ]
  // The usual file names each attachment in both places.
  if (specifications.length > 2 * ATTACHMENTS_MAX) {
    throw new PdfFault('limit-exceeded', `The PDF has more than ${ATTACHMENTS_MAX} attachments`)
  }
  const found = new Map<number, Attachment>()
  for (const specification of specifications) {
    const attachment = await attachmentOf(file, specification)
    if (attachment !== undefined) found.set(attachment.stream.reference, attachment)
  }
  return [...found.values()]
}

/** ISO 32000-1 §7.9.6: leaves hold pairs of name and value, inner nodes `Kids`. */
async function namedIn(file: PdfFile, root: PdfValue | undefined): Promise<readonly PdfValue[]> {
  const found: PdfValue[] = []
  const nodes: (PdfValue | undefined)[] = [root]
  // The list grows while it is walked; a node that is its own child makes it grow to the limit.
  for (const node of nodes) {
    const dictionary = await file.dictionary(node)
    const pairs = await file.value(dictionary?.get('Names'))
    if (Array.isArray(pairs))
      found.push(...pairs.slice(0, 2 * ATTACHMENTS_MAX + 2).filter((_, at) => at % 2 === 1))
    const kids = await file.value(dictionary?.get('Kids'))
    if (Array.isArray(kids)) nodes.push(...kids.slice(0, TREE_NODES_MAX + 1))
    if (nodes.length > TREE_NODES_MAX || found.length > ATTACHMENTS_MAX) {
      throw new PdfFault('limit-exceeded', 'The PDF has too many attachments to look at')
    }
  }
  return found
}

/** ISO 32000-1 §7.11.3: a file specification with an embedded stream; undefined for one without. */
async function attachmentOf(
  file: PdfFile,
  specification: PdfValue
): Promise<Attachment | undefined> {
  const dictionary = await file.dictionary(specification)
  const embedded = await file.dictionary(dictionary?.get('EF'))
  if (dictionary === undefined || embedded === undefined) return undefined
  const stream = embedded.get('UF') ?? embedded.get('F')
  const facts = await file.dictionary(stream)
  if (stream === undefined || !isReference(stream) || facts === undefined) return undefined
  const name = await textOf(file, dictionary, 'UF', 'F')
  const subtype = await file.value(facts.get('Subtype'))
  return {
    name,
    mediaType: subtype instanceof Object && 'name' in subtype ? clipped(subtype.name) : '',
    stream
  }
}

/** ISO 32000-1 §7.9.2.2: UTF-16 with a byte order mark, or (PDF 2.0) UTF-8 with one, or one byte a character. */
async function textOf(
  file: PdfFile,
  dictionary: PdfDictionary,
  ...keys: readonly string[]
): Promise<string> {
  for (const key of keys) {
    const value = await file.value(dictionary.get(key))
    if (!(value instanceof Uint8Array)) continue
    const [first, second, third] = value
    if (first === 0xfe && second === 0xff) return clipped(new TextDecoder('utf-16be').decode(value))
    if (first === 0xef && second === 0xbb && third === 0xbf)
      return clipped(new TextDecoder().decode(value))
    return clipped(new TextDecoder('latin1').decode(value))
  }
  return ''
}

/** For people: short, and without characters that move what stands around them. */
function clipped(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '').slice(0, NAME_CHARACTERS_MAX)
}
