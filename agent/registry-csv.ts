/**
 * Records from a CSV file (RFC 4180), as a stream: a row at a time, whatever the size of the file.
 *
 * The first row names the columns: by JSON pointer (`/address/city`), property name, dotted name
 * (`address.city`), or the field's label in any of the type's languages. Cells become what the field's schema
 * says: numbers, truth values, dates in the usual notations, members of an enumeration in their spelling, JSON for
 * lists and groups. What does not fit stays a text, and the schema check names it.
 *
 * @module
 */
import { fieldsOf, type CredentialType } from '../protocols/credential/credential-type.ts'
import {
  isJsonObject,
  jsonFault,
  type JsonObject,
  type JsonValue
} from '../protocols/credential/json.ts'
import { LockerError } from './errors.ts'
import { folded, isoDate, numberOf } from './registry-comparison.ts'

/** Columns of a file. */
export const CSV_COLUMNS_MAX = 500
/** Characters of one cell: a list of subjects as JSON fits. */
export const CSV_CELL_CHARACTERS_MAX = 65_536

/** Separators that are recognised: the first of them in the first row is that of the file. */
const SEPARATORS = [',', ';', '\t', '|'] as const

export interface CsvRow {
  /** Line the row begins on, from 1; the columns' names are on line 1. */
  readonly line: number
  readonly claims: JsonObject
}

/**
 * The rows of a file. `ignored` is told the columns that name no field. Throws `registry-invalid` for what is
 * not CSV in UTF-8 or names no column or one twice.
 */
export async function* csvRows(
  type: CredentialType,
  source: AsyncIterable<Uint8Array | string>,
  ignored: (columns: readonly string[]) => void
): AsyncGenerator<CsvRow> {
  let columns: ReadonlyArray<Column | undefined> | undefined
  for await (const { line, cells } of records(source)) {
    if (columns === undefined) {
      columns = columnsOf(type, cells)
      ignored(cells.filter((_cell, index) => columns?.[index] === undefined))
      continue
    }
    if (cells.length === 1 && cells[0] === '') continue
    if (cells.length > columns.length)
      throw invalid(`line ${line} has ${cells.length} cells for ${columns.length} columns`)
    yield { line, claims: claimsOf(columns, cells) }
  }
  if (columns === undefined) throw invalid('the file is empty')
}

/** Claims while they are put together. */
type Members = { [name: string]: JsonValue }

interface Column {
  readonly pointer: string
  readonly schema: JsonObject
}

function columnsOf(
  type: CredentialType,
  names: readonly string[]
): ReadonlyArray<Column | undefined> {
  const known = new Map<string, Column>()
  // The names that say most come last and win: a label may be the name of another field.
  for (const language of Object.keys(type.display).toReversed())
    for (const { pointer, label, schema } of fieldsOf(type, language))
      if (!pointer.includes('/*')) known.set(folded(label), { pointer, schema })
  for (const { pointer, schema } of fieldsOf(type)) {
    if (pointer.includes('/*')) continue
    const column = { pointer, schema }
    known.set(folded(pointer.slice(1).replaceAll('/', '.')), column)
    known.set(folded(pointer), column)
  }
  const columns = names.map((name) => known.get(folded(name)))
  const named = columns.flatMap((column) => column?.pointer ?? [])
  if (named.length === 0) throw invalid(`the first line names no field of ${type.id}`)
  const twice = named.find((pointer, index) => named.indexOf(pointer) !== index)
  if (twice !== undefined) throw invalid(`two columns are for ${twice}`)
  return columns
}

function claimsOf(
  columns: ReadonlyArray<Column | undefined>,
  cells: readonly string[]
): JsonObject {
  const claims: Members = {}
  for (const [index, column] of columns.entries()) {
    const cell = cells[index]?.trim() ?? ''
    if (column === undefined || cell === '') continue
    put(claims, column.pointer.split('/').slice(1), typed(cell, column.schema))
  }
  return claims
}

/** Field names come from the type's schema, but `__proto__` is one that JSON Schema allows. */
function put(target: Members, path: readonly string[], value: JsonValue): void {
  const [part = '', ...rest] = path
  const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
  const own = Object.hasOwn(target, name) ? target[name] : undefined
  const inner: Members = isJsonObject(own) ? { ...own } : {}
  if (rest.length > 0) put(inner, rest, value)
  Object.defineProperty(target, name, {
    value: rest.length > 0 ? inner : value,
    enumerable: true,
    configurable: true,
    writable: true
  })
}

function typed(cell: string, schema: JsonObject): JsonValue {
  const { type, format, enum: values } = schema
  if (Array.isArray(values)) {
    const same = values.find(
      (value: JsonValue) => typeof value === 'string' && folded(value) === folded(cell)
    )
    return same ?? cell
  }
  if (type === 'number' || type === 'integer') return numberOf(folded(cell)) ?? cell
  if (type === 'boolean') return TRUTH.get(folded(cell)) ?? cell
  if (type === 'array' || type === 'object') return jsonOf(cell)
  return format === 'date' ? (isoDate(cell) ?? cell) : cell
}

const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['0', false]
])

/** A list or a group; what is neither stays a text, which the schema check names with its field. */
function jsonOf(cell: string): JsonValue {
  let value: unknown
  try {
    value = JSON.parse(cell)
  } catch {
    return cell
  }
  if (jsonFault(value) !== undefined) return cell
  return isJsonObject(value) || isList(value) ? value : cell
}

function isList(value: unknown): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** Cells by row: quotes may hold separators, line ends and doubled quotes. */
async function* records(source: AsyncIterable<Uint8Array | string>): AsyncGenerator<CsvRecord> {
  const reader = new CsvReader()
  for await (const text of decoded(source)) yield* reader.read(text)
  const last = reader.end()
  if (last !== undefined) yield last
}

interface CsvRecord {
  /** Line it begins on, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

async function* decoded(source: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const chunk of source)
      yield typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    yield decoder.decode()
  } catch (error) {
    if (error instanceof TypeError) throw invalid('the file is not text in UTF-8', error)
    throw error
  }
}

class CsvReader {
  #line = 1
  #begun = 1
  #cells: string[] = []
  #cell = ''
  /** `end`: a quoted cell was closed; only a separator or a line end may follow, or a second quote. */
  #state: 'plain' | 'quoted' | 'end' = 'plain'
  #separator: string | undefined
  #carriage = false

  /** The rows that end in this part of the text. */
  read(text: string): readonly CsvRecord[] {
    const rows: CsvRecord[] = []
    for (const character of text) {
      // One line end in two characters, perhaps in two chunks.
      if (this.#carriage && character === '\n') {
        this.#carriage = false
        continue
      }
      this.#carriage = character === '\r' && this.#state !== 'quoted'
      const row = this.#next(character)
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  /** The last row, when no line end follows it. */
  end(): CsvRecord | undefined {
    if (this.#state === 'quoted')
      throw invalid(`the quotation that begins on line ${this.#begun} does not end`)
    const begun = this.#cells.length > 0 || this.#cell !== '' || this.#state === 'end'
    return begun ? this.#row() : undefined
  }

  #next(character: string): CsvRecord | undefined {
    if (this.#state === 'quoted') {
      if (character === '"') this.#state = 'end'
      else this.#add(character)
      if (character === '\n') this.#line++
      return undefined
    }
    if (character === '\n' || character === '\r') {
      const row = this.#row()
      this.#line++
      this.#begun = this.#line
      return row
    }
    if (character === '"') {
      if (this.#state === 'end') this.#add(character)
      else if (this.#cell.trim() === '') this.#cell = ''
      else throw invalid(`a quotation mark inside a cell on line ${this.#line}`)
      this.#state = 'quoted'
      return undefined
    }
    if (this.#isSeparator(character)) {
      this.#cells.push(this.#cell)
      this.#cell = ''
      this.#state = 'plain'
      if (this.#cells.length >= CSV_COLUMNS_MAX)
        throw invalid(`line ${this.#line} has more than ${CSV_COLUMNS_MAX} cells`)
      return undefined
    }
    if (this.#state === 'end') {
      if (character.trim() === '') return undefined
      throw invalid(`text behind a quotation on line ${this.#line}`)
    }
    this.#add(character)
    return undefined
  }

  /** The first one outside of quotes decides. */
  #isSeparator(character: string): boolean {
    if (this.#separator !== undefined) return character === this.#separator
    const found = SEPARATORS.find((separator) => separator === character)
    if (found === undefined) return false
    this.#separator = found
    return true
  }

  #add(character: string): void {
    this.#cell += character
    if (this.#cell.length > CSV_CELL_CHARACTERS_MAX)
      throw invalid(
        `a cell of more than ${CSV_CELL_CHARACTERS_MAX} characters, line ${this.#begun}`
      )
  }

  #row(): CsvRecord {
    const row = { line: this.#begun, cells: [...this.#cells, this.#cell] }
    this.#cells = []
    this.#cell = ''
    this.#state = 'plain'
    return row
  }
}

function invalid(reason: string, cause?: unknown): LockerError {
  return new LockerError('registry-invalid', reason, cause === undefined ? {} : { cause })
}
