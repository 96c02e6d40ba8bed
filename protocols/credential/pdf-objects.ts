/**
 * Objects of a PDF file by number, through its cross-reference (ISO 32000-1 §7.5): tables and streams, the chain of
 * updates, objects inside object streams, Flate streams with the PNG predictors.
 *
 * | limit | why |
 * |---|---|
 * | {@link SECTIONS_MAX} sections | a chain of updates that points at itself |
 * | {@link ENTRIES_MAX} entries | a table that claims a thousand million objects |
 * | {@link OBJECTS_MAX} objects read | references that lead round |
 * | {@link PARSED_BYTES_MAX} bytes read as values | objects that overlap |
 * | {@link INFLATED_BYTES_MAX} bytes inflated in all | streams that inflate a thousandfold |
 *
 * @module
 */
import {
  malformed,
  PdfFault,
  PdfReader,
  type PdfDictionary,
  type PdfReference,
  type PdfValue
} from './pdf-syntax.ts'

/** Most sections of the cross-reference: one for each time the file was added to. */
const SECTIONS_MAX = 64

/** Most objects a file may list; a book of 5,000 pages has about 60,000. */
const ENTRIES_MAX = 500_000

/** Most objects read on the way to the attachments. */
const OBJECTS_MAX = 2_000

/** Most references followed from one to the next. */
const REFERENCES_MAX = 8

/** Bytes inflated for one file in all: cross-reference, object streams, one credential. */
const INFLATED_BYTES_MAX = 16 * 1024 * 1024

/** Object streams kept inflated. */
const OBJECT_STREAMS_MAX = 64

/** Bytes read as values in all: the tables of 500,000 objects have 10 MB. */
const PARSED_BYTES_MAX = 32 * 1024 * 1024

/** How far into the file its header may stand, bytes (Annex H, note 13). */
const HEADER_WITHIN = 1024

/** How far from the end `startxref` may stand, bytes: a reader's rule is 1,024, and some files have more behind. */
const END_WITHIN = 2048

/** Where an object is: at a byte of the file, or as the nth of an object stream. */
type Place =
  | { readonly kind: 'free' }
  | { readonly kind: 'at'; readonly offset: number; readonly generation: number }
  | { readonly kind: 'within'; readonly stream: number }

/** A dictionary, and the bytes after it when it is a stream's. */
interface PdfObject {
  readonly value: PdfValue
  /** Raw, before any filter. */
  readonly stream?: Uint8Array
}

/** An object stream unpacked, and where in it each object begins. */
interface ObjectStream {
  readonly bytes: Uint8Array
  readonly offsets: ReadonlyMap<number, number>
}

/** A PDF whose cross-reference has been read. Every method throws {@link PdfFault} for what does not fit. */
export class PdfFile {
  readonly #bytes: Uint8Array
  readonly #places = new Map<number, Place>()
  readonly #objects = new Map<number, PdfObject>()
  /** Objects on the way to the one being read. */
  readonly #opening = new Set<number>()
  readonly #objectStreams = new Map<number, ObjectStream>()
  #trailer: PdfDictionary = new Map()
  #inflated = 0
  #parsed = 0
  #entries = 0

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  static async open(bytes: Uint8Array): Promise<PdfFile> {
    const header = textAt(bytes, 0, HEADER_WITHIN).indexOf('%PDF-')
    if (header < 0) throw new PdfFault('not-a-pdf', 'The file is not a PDF')
    // Offsets count from the header, whatever was put before it.
    const file = new PdfFile(bytes.subarray(header))
    await file.#readSections()
    if (file.#trailer.has('Encrypt')) {
      throw new PdfFault(
        'encrypted',
        'The PDF is protected by a password, so its attachments cannot be read'
      )
    }
    return file
  }

  get trailer(): PdfDictionary {
    return this.#trailer
  }

  /** The value, references followed. Missing objects are null (§7.3.10). */
  async value(value: PdfValue | undefined): Promise<PdfValue> {
    return (await this.#object(value)).value
  }

  /** The dictionary, references followed, a stream's too; undefined for anything else. */
  async dictionary(value: PdfValue | undefined): Promise<PdfDictionary | undefined> {
    const found = await this.value(value)
    return found instanceof Map ? found : undefined
  }

  /** A stream's bytes with its filters undone; more than `bytesMax` is `limit-exceeded`. */
  async content(value: PdfValue, bytesMax: number): Promise<Uint8Array> {
    return this.#content(await this.#object(value), bytesMax)
  }

  async #object(value: PdfValue | undefined): Promise<PdfObject> {
    let found: PdfObject = { value: value ?? null }
    for (let followed = 0; isReference(found.value); followed++) {
      if (followed > REFERENCES_MAX) throw malformed('a reference leads to no value')
      found = await this.#numbered(found.value)
    }
    return found
  }

  async #numbered({ reference, generation }: PdfReference): Promise<PdfObject> {
    const known = this.#objects.get(reference)
    if (known !== undefined) return known
    if (this.#objects.size >= OBJECTS_MAX) {
      throw new PdfFault(
        'limit-exceeded',
        `More than ${OBJECTS_MAX} objects of the PDF lead to its attachments`
      )
    }
    // A stream's length may be an object of its own, and that one a stream.
    if (this.#opening.has(reference) || this.#opening.size > REFERENCES_MAX) {
      throw malformed('an object is inside itself')
    }
    this.#opening.add(reference)
    const place = this.#places.get(reference) ?? { kind: 'free' as const }
    let object: PdfObject = { value: null }
    switch (place.kind) {
      case 'free':
        break
      case 'at':
        if (place.generation === generation) object = await this.#objectAt(place.offset, reference)
        break
      case 'within':
        object = { value: await this.#within(place.stream, reference) }
    }
    this.#opening.delete(reference)
    this.#objects.set(reference, object)
    return object
  }

  /** §7.3.10: `12 0 obj … endobj`. */
  async #objectAt(offset: number, reference: number | undefined): Promise<PdfObject> {
    if (offset >= this.#bytes.length)
      throw malformed(`an object is said to begin at byte ${offset}`)
    const reader = new PdfReader(this.#bytes, offset)
    const value = this.#read(reader, () => {
      const number = reader.count()
      reader.count()
      if (!reader.keyword('obj') || (reference !== undefined && number !== reference)) {
        throw malformed(`object ${reference ?? number} is not at byte ${offset}`)
      }
      return reader.value()
    })
    if (!(value instanceof Map) || !reader.keyword('stream')) return { value }
    return { value, stream: await this.#raw(value, reader.at) }
  }

  /** §7.3.8: after `stream` comes an end of line and then as many bytes as the dictionary says. */
  async #raw(dictionary: PdfDictionary, at: number): Promise<Uint8Array> {
    const [first, second] = this.#bytes.subarray(at, at + 2)
    const start = at + (first === 13 && second === 10 ? 2 : 1)
    const length = await this.value(dictionary.get('Length'))
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
      throw malformed('a stream has no length')
    }
    if (start + length > this.#bytes.length) {
      throw malformed(`a stream is said to have ${length} bytes, more than the file has behind it`)
    }
    const reader = new PdfReader(this.#bytes, start + length)
    if (!reader.keyword('endstream')) throw malformed('a stream does not end where it is said to')
    return this.#bytes.subarray(start, start + length)
  }

  async #content({ value, stream }: PdfObject, bytesMax: number): Promise<Uint8Array> {
    if (!(value instanceof Map) || stream === undefined) throw malformed('a stream is missing')
    const filters = await this.#listed(value.get('Filter'))
    const parameters = await this.#listed(value.get('DecodeParms'))
    if (filters.length > 1 || value.has('F')) {
      throw new PdfFault(
        'unsupported',
        'A stream of the PDF is packed in a way that is not read here'
      )
    }
    const [filter] = filters
    if (filter === undefined) return this.#limited(stream, bytesMax)
    if (!(filter instanceof Object && 'name' in filter) || filter.name !== 'FlateDecode') {
      throw new PdfFault(
        'unsupported',
        'A stream of the PDF is packed in a way that is not read here'
      )
    }
    const inflated = await this.#inflate(stream, bytesMax)
    const facts = await this.dictionary(parameters[0])
    return facts === undefined ? inflated : unpredicted(inflated, await this.#numbers(facts))
  }

  #limited(bytes: Uint8Array, bytesMax: number): Uint8Array {
    if (bytes.length <= bytesMax) return bytes
    throw new PdfFault('limit-exceeded', `An attachment of the PDF has more than ${bytesMax} bytes`)
  }

  /** RFC 1950, by the platform, chunk by chunk: stops where the limit is passed. */
  async #inflate(packed: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    const limit = Math.min(bytesMax, INFLATED_BYTES_MAX - this.#inflated)
    const stream = new DecompressionStream('deflate')
    const writer = stream.writable.getWriter()
    // Its failure is the reader's too, and is told there.
    const written = writer
      .write(new Uint8Array(packed))
      .then(() => writer.close())
      .then(
        () => undefined,
        (error: unknown) => error
      )
    const reader = stream.readable.getReader()
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        size += value.length
        if (size > limit) {
          await reader.cancel()
          throw new PdfFault(
            'limit-exceeded',
            `A stream of the PDF inflates to more than ${limit} bytes`
          )
        }
        chunks.push(value)
      }
      await written
    } catch (error) {
      if (error instanceof PdfFault) throw error
      throw malformed('a stream does not inflate')
    } finally {
      this.#inflated += size
    }
    return joined(chunks, size)
  }

  async #listed(value: PdfValue | undefined): Promise<readonly PdfValue[]> {
    const found = await this.value(value)
    return found === null ? [] : Array.isArray(found) ? found : [found]
  }

  /** The direct numbers of a dictionary by key. */
  async #numbers(dictionary: PdfDictionary): Promise<ReadonlyMap<string, number>> {
    const numbers = new Map<string, number>()
    for (const key of ['Predictor', 'Colors', 'BitsPerComponent', 'Columns']) {
      const value = await this.value(dictionary.get(key))
      if (typeof value === 'number') numbers.set(key, value)
    }
    return numbers
  }

  /** §7.5.7: an object stream has pairs of number and offset, then the objects. */
  async #within(container: number, reference: number): Promise<PdfValue> {
    const { bytes, offsets } = await this.#objectStream(container)
    const offset = offsets.get(reference)
    if (offset === undefined) throw malformed(`object ${reference} is not in its object stream`)
    return this.#read(new PdfReader(bytes, offset), (reader) => reader.value())
  }

  async #objectStream(container: number): Promise<ObjectStream> {
    const known = this.#objectStreams.get(container)
    if (known !== undefined) return known
    if (this.#objectStreams.size >= OBJECT_STREAMS_MAX) {
      throw new PdfFault(
        'limit-exceeded',
        `More than ${OBJECT_STREAMS_MAX} object streams of the PDF lead to its attachments`
      )
    }
    // Noted before it is read: its own length may be said to be inside it.
    this.#objectStreams.set(container, { bytes: new Uint8Array(), offsets: new Map() })
    const place = this.#places.get(container)
    if (place?.kind !== 'at') throw malformed('an object stream is missing')
    const object = await this.#objectAt(place.offset, container)
    const dictionary = object.value instanceof Map ? object.value : new Map<string, PdfValue>()
    const [count = NaN, first = NaN] = numbersIn([
      dictionary.get('N') ?? null,
      dictionary.get('First') ?? null
    ])
    const bytes = await this.#content(object, INFLATED_BYTES_MAX)
    if (!(count <= ENTRIES_MAX) || !(first <= bytes.length)) {
      throw malformed('an object stream does not say what is in it')
    }
    const offsets = this.#read(new PdfReader(bytes), (reader) => {
      const pairs = Array.from({ length: count }, () => [reader.count(), reader.count()] as const)
      return new Map(pairs.map(([number, offset]) => [number, first + offset] as const))
    })
    const stream = { bytes, offsets }
    this.#objectStreams.set(container, stream)
    return stream
  }

  /** Counts what is read: objects may overlap, so a small file can hold much to read. */
  #read<T>(reader: PdfReader, work: (reader: PdfReader) => T): T {
    const start = reader.at
    const result = work(reader)
    this.#parsed += reader.at - start
    if (this.#parsed > PARSED_BYTES_MAX) {
      throw new PdfFault(
        'limit-exceeded',
        `More than ${PARSED_BYTES_MAX} bytes of the PDF lead to its attachments`
      )
    }
    return result
  }

  /** §7.5.4–8: from the last section to the first; what a later one says of an object holds. */
  async #readSections(): Promise<void> {
    const tail = textAt(this.#bytes, this.#bytes.length - END_WITHIN, END_WITHIN)
    const match = /startxref\s+(\d{1,10})\s+%%EOF/.exec(
      tail.slice(Math.max(0, tail.lastIndexOf('startxref')))
    )
    if (match === null) throw malformed('it does not end with its cross-reference')
    const pending = [Number(match[1])]
    const seen = new Set<number>()
    for (let offset = pending.shift(); offset !== undefined; offset = pending.shift()) {
      if (seen.has(offset)) throw malformed('its cross-reference leads round')
      if (seen.size >= SECTIONS_MAX) {
        throw new PdfFault('limit-exceeded', `The PDF was added to more than ${SECTIONS_MAX} times`)
      }
      seen.add(offset)
      const trailer = await this.#readSection(offset)
      if (seen.size === 1) this.#trailer = trailer
      for (const key of ['XRefStm', 'Prev']) {
        const next = trailer.get(key)
        if (typeof next === 'number') pending.push(next)
      }
    }
  }

  async #readSection(offset: number): Promise<PdfDictionary> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset >= this.#bytes.length) {
      throw malformed(`its cross-reference is said to begin at byte ${offset}`)
    }
    const reader = new PdfReader(this.#bytes, offset)
    if (!reader.keyword('xref')) return this.#readStreamSection(offset)
    const trailer = this.#read(reader, () => {
      while (!reader.keyword('trailer')) this.#readTable(reader)
      return reader.value()
    })
    if (!(trailer instanceof Map)) throw malformed('it has no trailer')
    return trailer
  }

  /** §7.5.4: `first count`, then a line for each. */
  #readTable(reader: PdfReader): void {
    const first = reader.count()
    const count = reader.count()
    for (let each = 0; each < count; each++) {
      const offset = reader.count()
      const generation = reader.count()
      const used = reader.keyword('n')
      if (!used && !reader.keyword('f'))
        throw malformed('its cross-reference has a line that is none')
      this.#place(first + each, used ? { kind: 'at', offset, generation } : { kind: 'free' })
    }
  }

  /** §7.5.8: rows of three big-endian fields. */
  async #readStreamSection(offset: number): Promise<PdfDictionary> {
    const object = await this.#objectAt(offset, undefined)
    const dictionary = object.value
    if (!(dictionary instanceof Map))
      throw malformed('its cross-reference is not where it is said to be')
    const widths = numbersIn(dictionary.get('W'))
    const size = dictionary.get('Size')
    const [kindWidth = 0, secondWidth = 0, thirdWidth = 0] = widths
    const rowWidth = kindWidth + secondWidth + thirdWidth
    if (
      widths.length !== 3 ||
      widths.some((width) => width > 7) ||
      rowWidth === 0 ||
      typeof size !== 'number'
    ) {
      throw malformed('its cross-reference stream does not say how wide it is')
    }
    const rows = await this.#content(object, INFLATED_BYTES_MAX)
    const sections = dictionary.has('Index') ? numbersIn(dictionary.get('Index')) : [0, size]
    let at = 0
    for (let section = 0; section + 1 < sections.length; section += 2) {
      const [first = 0, count = 0] = sections.slice(section, section + 2)
      for (let each = 0; each < count; each++, at += rowWidth) {
        if (at + rowWidth > rows.length) throw malformed('its cross-reference stream is too short')
        const kind = kindWidth === 0 ? 1 : bigEndian(rows, at, kindWidth)
        const second = bigEndian(rows, at + kindWidth, secondWidth)
        const third = bigEndian(rows, at + kindWidth + secondWidth, thirdWidth)
        this.#place(first + each, placeOf(kind, second, third))
      }
    }
    return dictionary
  }

  #place(number: number, place: Place): void {
    // The newest section was read first.
    if (!this.#places.has(number)) this.#places.set(number, place)
    // Lines are counted, not objects: sections may repeat each other.
    if (++this.#entries > ENTRIES_MAX) {
      throw new PdfFault('limit-exceeded', `The PDF lists more than ${ENTRIES_MAX} objects`)
    }
  }
}

function placeOf(kind: number, second: number, third: number): Place {
  if (kind === 1) return { kind: 'at', offset: second, generation: third }
  return kind === 2 ? { kind: 'within', stream: second } : { kind: 'free' }
}

/** Whether it is `12 0 R`. */
export function isReference(value: PdfValue): value is PdfReference {
  return value instanceof Object && 'reference' in value
}

function numbersIn(value: PdfValue | undefined): readonly number[] {
  if (!Array.isArray(value)) return []
  return value.filter(
    (each): each is number => typeof each === 'number' && Number.isSafeInteger(each) && each >= 0
  )
}

function bigEndian(bytes: Uint8Array, at: number, width: number): number {
  let number = 0
  for (let index = at; index < at + width; index++) number = number * 256 + (bytes[index] ?? 0)
  return number
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  const start = Math.max(0, at)
  return new TextDecoder('latin1').decode(bytes.subarray(start, start + length))
}

function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** PNG 1.2 §6: each row begins with its filter, and rows are the bytes above, to the left, or both. */
function unpredicted(bytes: Uint8Array, facts: ReadonlyMap<string, number>): Uint8Array {
  const predictor = facts.get('Predictor') ?? 1
  if (predictor === 1) return bytes
  const columns = facts.get('Columns') ?? 1
  const plain = (facts.get('Colors') ?? 1) === 1 && (facts.get('BitsPerComponent') ?? 8) === 8
  if (predictor < 10 || predictor > 15 || !plain || !(columns >= 1 && columns <= 65_536)) {
    throw new PdfFault(
      'unsupported',
      'A stream of the PDF is packed in a way that is not read here'
    )
  }
  const rows = Math.floor(bytes.length / (columns + 1))
  const out = new Uint8Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    const filter = bytes[row * (columns + 1)] ?? 0
    if (filter > 4) throw malformed('a stream has a row that is filtered in no known way')
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column
      const left = column === 0 ? 0 : (out[at - 1] ?? 0)
      const up = row === 0 ? 0 : (out[at - columns] ?? 0)
      const corner = column === 0 || row === 0 ? 0 : (out[at - columns - 1] ?? 0)
      const raw = bytes[row * (columns + 1) + 1 + column] ?? 0
      out[at] = raw + predicted(filter, left, up, corner)
    }
  }
  return out
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return Math.floor((left + up) / 2)
  if (filter === 0) return 0
  const estimate = left + up - corner
  const [toLeft, toUp, toCorner] = [left, up, corner].map((each) => Math.abs(estimate - each))
  if ((toLeft ?? 0) <= (toUp ?? 0) && (toLeft ?? 0) <= (toCorner ?? 0)) return left
  return (toUp ?? 0) <= (toCorner ?? 0) ? up : corner
}
