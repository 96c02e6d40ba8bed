/**
 * PDF files made by hand for tests of the attachment reader: classic tables, cross-reference streams, object streams,
 * updates, and whatever a forger may want to say in them.
 */
import { deflateSync } from 'node:zlib'

/** An object of a PDF: its text, or a dictionary's inside and a stream. */
export type PdfPart =
  | string
  | { readonly dictionary: string; readonly stream: Uint8Array; readonly length?: number | string }

/** Bytes of a string, one for each character. */
export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** `<number> 0 obj … endobj`. */
function objectBytes(number: number, part: PdfPart): Buffer {
  if (typeof part === 'string') return latin1(`${number} 0 obj\n${part}\nendobj\n`)
  const head = `${number} 0 obj\n<< ${part.dictionary} /Length ${part.length ?? part.stream.length} >>\nstream\n`
  return Buffer.concat([latin1(head), part.stream, latin1('\nendstream\nendobj\n')])
}

/** The parts of a file with one attachment. Object 1 is the catalogue. */
export function attachmentParts(
  content: Uint8Array,
  facts: { name?: string; mediaType?: string; stream?: Partial<Exclude<PdfPart, string>> } = {}
): Map<number, PdfPart> {
  const name = facts.name ?? 'credential.json'
  const subtype = (facts.mediaType ?? 'application/vc+json').replaceAll('/', '#2F')
  return new Map<number, PdfPart>([
    [
      1,
      `<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(${name}) 3 0 R] >> >> /AF [3 0 R] >>`
    ],
    [2, '<< /Type /Pages /Kids [] /Count 0 >>'],
    [
      3,
      `<< /Type /Filespec /F (${name}) /UF (${name}) /AFRelationship /Source /EF << /F 4 0 R >> >>`
    ],
    [
      4,
      {
        dictionary: `/Type /EmbeddedFile ${subtype === '' ? '' : `/Subtype /${subtype}`} /Filter /FlateDecode`,
        stream: deflateSync(content),
        ...facts.stream
      }
    ]
  ])
}

/** A file with a classic table; `trailer` goes into its dictionary, `before` in front of its header. */
export function classicPdf(
  parts: ReadonlyMap<number, PdfPart>,
  { trailer = '', before = '' }: { trailer?: string; before?: string } = {}
): Buffer {
  const { body, offsets } = bodyOf(parts, latin1('%PDF-1.7\n'))
  const size = Math.max(...offsets.keys()) + 1
  const rows = [...offsets].map(
    ([number, offset]) => `${number} 1\n${String(offset).padStart(10, '0')} 00000 n \n`
  )
  const tail = `xref\n0 1\n0000000000 65535 f \n${rows.join('')}trailer\n<< /Size ${size} /Root 1 0 R ${trailer} >>\nstartxref\n${body.length}\n%%EOF\n`
  return Buffer.concat([latin1(before), body, latin1(tail)])
}

/** What is added to a file to change some of its objects (ISO 32000-1 §7.5.6). */
export function updated(file: Buffer, parts: ReadonlyMap<number, PdfPart>, trailer = ''): Buffer {
  const previous = /startxref\n(\d+)\n%%EOF\n$/.exec(file.toString('latin1'))?.[1] ?? '0'
  const { body, offsets } = bodyOf(parts, file)
  const rows = [...offsets].map(
    ([number, offset]) => `${number} 1\n${String(offset).padStart(10, '0')} 00000 n \n`
  )
  const tail = `xref\n${rows.join('')}trailer\n<< /Size 20 /Root 1 0 R /Prev ${previous} ${trailer} >>\nstartxref\n${body.length}\n%%EOF\n`
  return Buffer.concat([body, latin1(tail)])
}

/** The same file as PDF 1.5 packs it: objects in an object stream, a cross-reference stream with the PNG predictor "up". */
export function packedPdf(parts: ReadonlyMap<number, PdfPart>): Buffer {
  const texts = [...parts].filter(
    (entry): entry is [number, string] => typeof entry[1] === 'string'
  )
  const container = Math.max(...parts.keys()) + 1
  const index: string[] = []
  let inside = ''
  for (const [number, text] of texts) {
    index.push(`${number} ${inside.length}`)
    inside += `${text} `
  }
  const first = `${index.join(' ')} `
  const streams = new Map<number, PdfPart>(
    [...parts].filter(([, part]) => typeof part !== 'string')
  )
  streams.set(container, {
    dictionary: `/Type /ObjStm /N ${texts.length} /First ${first.length} /Filter /FlateDecode`,
    stream: deflateSync(latin1(first + inside))
  })
  const { body, offsets } = bodyOf(streams, latin1('%PDF-1.5\n'))
  const table = container + 1
  const rows = Array.from({ length: table + 1 }, (_, number) => {
    const within = texts.findIndex(([each]) => each === number)
    if (number === table) return [1, body.length, 0] as const
    if (within >= 0) return [2, container, within] as const
    const offset = offsets.get(number)
    return offset === undefined ? ([0, 0, 0] as const) : ([1, offset, 0] as const)
  }).map(([kind, second, third]) =>
    Uint8Array.of(kind, second >> 16, (second >> 8) & 255, second & 255, third)
  )
  const predicted = rows.map((row, at) =>
    Buffer.from([2, ...row.map((byte, column) => byte - (rows[at - 1]?.[column] ?? 0))])
  )
  const section = objectBytes(table, {
    dictionary: `/Type /XRef /Size ${table + 1} /W [1 3 1] /Root 1 0 R /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 5 >>`,
    stream: deflateSync(Buffer.concat(predicted))
  })
  return Buffer.concat([body, section, latin1(`startxref\n${body.length}\n%%EOF\n`)])
}

function bodyOf(
  parts: ReadonlyMap<number, PdfPart>,
  before: Buffer
): { body: Buffer; offsets: ReadonlyMap<number, number> } {
  const offsets = new Map<number, number>()
  const pieces = [before]
  let length = before.length
  for (const [number, part] of parts) {
    const bytes = objectBytes(number, part)
    offsets.set(number, length)
    pieces.push(bytes)
    length += bytes.length
  }
  return { body: Buffer.concat(pieces), offsets }
}
