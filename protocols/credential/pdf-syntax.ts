/**
 * The objects of a PDF as bytes (ISO 32000-1 §7.2, §7.3): numbers, strings, names, lists, dictionaries, references.
 * What is no object is {@link PdfFault} `malformed`; nothing is guessed.
 *
 * @module
 */

export type PdfFaultCode =
  | 'not-a-pdf' // no header
  | 'malformed' // does not fit ISO 32000
  | 'encrypted'
  | 'unsupported' // a filter or predictor this reader does not know
  | 'limit-exceeded'

/** Thrown inside the reader; {@link PdfOutcome} of pdf.ts is what leaves it. */
export class PdfFault extends Error {
  readonly code: PdfFaultCode

  constructor(code: PdfFaultCode, message: string) {
    super(message)
    this.name = 'PdfFault'
    this.code = code
  }
}

/** `/Name`, told apart from a string. */
interface PdfName {
  readonly name: string
}

/** `12 0 R`. */
export interface PdfReference {
  readonly reference: number
  readonly generation: number
}

/** A Map, so that no key of a file is a member of an object. */
export type PdfDictionary = ReadonlyMap<string, PdfValue>

export type PdfValue =
  | null
  | boolean
  | number
  /** A string. */
  | Uint8Array
  | PdfName
  | PdfReference
  | readonly PdfValue[]
  | PdfDictionary

/** Deepest nesting, levels. */
const DEPTH_MAX = 32

/** Most values in one object; a name tree leaf or a list of 10,000 pages is one. */
const VALUES_MAX = 100_000

/** Longest number, name or keyword, bytes: ISO 32000-1 Annex C has 127 for names. */
const TOKEN_BYTES_MAX = 255

/** Most digits of a whole number that an offset or a count can be: below 2^53. */
const DIGITS_MAX = 15

/** Longest string, bytes: Annex C has 32,767 for strings in content. */
const STRING_BYTES_MAX = 65_535

/** Longest run of white space and comments, bytes: longer ones are there to be slow. */
const GAP_BYTES_MAX = 65_536

const WHITE = new Set([0, 9, 10, 12, 13, 32])
const DELIMITERS = new Set(new TextEncoder().encode('()<>[]{}/%'))

const LEFT_PARENTHESIS = 0x28
const RIGHT_PARENTHESIS = 0x29
const BACKSLASH = 0x5c

/** Reads values one after the other from a position. */
export class PdfReader {
  readonly bytes: Uint8Array
  at: number
  #values = 0

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  /** The next value. References are values: `12 0 R` is one, `12 0` are two. */
  value(depth = 0): PdfValue {
    if (depth > DEPTH_MAX) throw new PdfFault('limit-exceeded', 'The PDF is nested too deep')
    if (++this.#values > VALUES_MAX) {
      throw new PdfFault(
        'limit-exceeded',
        `An object of the PDF has more than ${VALUES_MAX} values`
      )
    }
    this.skipGap()
    const character = String.fromCharCode(this.bytes[this.at] ?? 0)
    if (character === '/') return { name: this.#name() }
    if (character === '(') return this.#literal()
    if (character === '[') return this.#list(depth)
    if (character === '<') {
      return this.bytes[this.at + 1] === 0x3c ? this.#dictionary(depth) : this.#hexadecimal()
    }
    return this.#plain()
  }

  /** Whether the keyword stands next; it is read when it does. */
  keyword(word: string): boolean {
    this.skipGap()
    for (let index = 0; index < word.length; index++) {
      if (this.bytes[this.at + index] !== word.charCodeAt(index)) return false
    }
    const after = this.bytes[this.at + word.length]
    if (after !== undefined && !WHITE.has(after) && !DELIMITERS.has(after)) return false
    this.at += word.length
    return true
  }

  /** A whole number, at least 0. Without a text between: a cross-reference has a million of them. */
  count(): number {
    this.skipGap()
    const start = this.at
    let number = 0
    for (; this.at - start < DIGITS_MAX; this.at++) {
      const digit = (this.bytes[this.at] ?? 0) - 0x30
      if (digit < 0 || digit > 9) break
      number = number * 10 + digit
    }
    const after = this.bytes[this.at]
    if (this.at === start || (after !== undefined && !WHITE.has(after) && !DELIMITERS.has(after))) {
      throw malformed(`byte ${start} is not a whole number`)
    }
    return number
  }

  /** Past white space and comments. */
  skipGap(): void {
    const start = this.at
    let comment = false
    for (; this.at < this.bytes.length; this.at++) {
      if (this.at - start > GAP_BYTES_MAX) {
        throw new PdfFault('limit-exceeded', 'The PDF has a gap that is too long')
      }
      const byte = this.bytes[this.at] ?? 0
      if (comment) comment = byte !== 10 && byte !== 13
      else if (byte === 0x25) comment = true
      else if (!WHITE.has(byte)) return
    }
  }

  #token(): string {
    const start = this.at
    while (this.at < this.bytes.length && this.at - start <= TOKEN_BYTES_MAX) {
      const byte = this.bytes[this.at] ?? 0
      if (WHITE.has(byte) || DELIMITERS.has(byte)) break
      this.at++
    }
    if (this.at - start > TOKEN_BYTES_MAX) throw malformed('a word of it is too long')
    return String.fromCharCode(...this.bytes.subarray(start, this.at))
  }

  #plain(): PdfValue {
    const token = this.#token()
    if (token === 'true' || token === 'false') return token === 'true'
    if (token === 'null') return null
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(token)) {
      throw malformed(`"${token.slice(0, 20)}" at byte ${this.at} is no value`)
    }
    return /^\d{1,10}$/.test(token)
      ? (this.#reference(Number(token)) ?? Number(token))
      : Number(token)
  }

  /** `0 R` after a number makes it a reference; anything else is left where it is. */
  #reference(reference: number): PdfReference | undefined {
    const start = this.at
    this.skipGap()
    const generation = this.#token()
    if (/^\d{1,5}$/.test(generation) && this.keyword('R')) {
      return { reference, generation: Number(generation) }
    }
    this.at = start
    return undefined
  }

  /** §7.3.5: `#2F` is a slash. */
  #name(): string {
    this.at++
    return this.#token().replaceAll(/#([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16))
    )
  }

  #list(depth: number): readonly PdfValue[] {
    this.at++
    const values: PdfValue[] = []
    while (!this.#closes(']')) values.push(this.value(depth + 1))
    return values
  }

  #dictionary(depth: number): PdfDictionary {
    this.at += 2
    const members = new Map<string, PdfValue>()
    while (!this.#closes('>>')) {
      if (this.bytes[this.at] !== 0x2f) throw malformed('a dictionary has a key that is no name')
      const key = this.#name()
      // The first one counts for some readers and the last for others.
      if (members.has(key)) throw malformed(`a dictionary has the key ${key} twice`)
      members.set(key, this.value(depth + 1))
    }
    return members
  }

  #closes(bracket: string): boolean {
    this.skipGap()
    if (this.at >= this.bytes.length) throw malformed('it ends inside an object')
    for (let index = 0; index < bracket.length; index++) {
      if (this.bytes[this.at + index] !== bracket.charCodeAt(index)) return false
    }
    this.at += bracket.length
    return true
  }

  #hexadecimal(): Uint8Array {
    const end = this.bytes.subarray(this.at, this.at + 2 * STRING_BYTES_MAX).indexOf(0x3e)
    if (end < 0) throw malformed('a string has no end')
    const digits = new TextDecoder('latin1')
      .decode(this.bytes.subarray(this.at + 1, this.at + end))
      .replaceAll(/\s/g, '')
    if (!/^[0-9A-Fa-f]*$/.test(digits)) throw malformed('a string has digits that are none')
    this.at += end + 1
    // §7.3.4.3: a last digit that is missing is 0.
    const padded = digits.length % 2 === 0 ? digits : `${digits}0`
    return Uint8Array.from({ length: padded.length / 2 }, (_, index) =>
      Number.parseInt(padded.slice(2 * index, 2 * index + 2), 16)
    )
  }

  /** §7.3.4.2: balanced parentheses stand for themselves, a backslash escapes. */
  #literal(): Uint8Array {
    const out: number[] = []
    let depth = 0
    for (; this.at < this.bytes.length && out.length <= STRING_BYTES_MAX; this.at++) {
      let byte = this.bytes[this.at] ?? 0
      if (byte === LEFT_PARENTHESIS && depth++ === 0) continue
      if (byte === RIGHT_PARENTHESIS && --depth === 0) {
        this.at++
        return Uint8Array.from(out)
      }
      if (byte === BACKSLASH) {
        const escaped = this.#escape()
        if (escaped === undefined) continue
        byte = escaped
      }
      out.push(byte)
    }
    throw malformed('a string has no end')
  }

  /** The byte an escape stands for, with the position on its last byte; undefined for a line that goes on. */
  #escape(): number | undefined {
    const next = this.bytes[++this.at] ?? 0
    if (next === 13) {
      if (this.bytes[this.at + 1] === 10) this.at++
      return undefined
    }
    if (next === 10) return undefined
    if (next >= 0x30 && next <= 0x37) {
      let code = next - 0x30
      for (let digits = 1; digits < 3; digits++) {
        const digit = this.bytes[this.at + 1] ?? 0
        if (digit < 0x30 || digit > 0x37) break
        code = code * 8 + digit - 0x30
        this.at++
      }
      return code & 0xff
    }
    const at = 'nrtbf'.indexOf(String.fromCharCode(next))
    return at < 0 ? next : [10, 13, 9, 8, 12][at]
  }
}

/** A fault that says what does not fit. */
export function malformed(fact: string): PdfFault {
  return new PdfFault('malformed', `The PDF cannot be read: ${fact}`)
}
