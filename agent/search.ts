/**
 * Finding documents by words.
 *
 * A text is folded (case, accents, ligatures and letter variants go) and cut into words. A query matches
 * when each of its words begins a word of the text. Scripts that do not put spaces between words
 * (Chinese, Japanese, Thai …) give runs instead of words, and there a query may stand anywhere in a run.
 *
 * @module
 */

/** Characters of a query that are looked at; longer ones are cut. */
export const QUERY_LENGTH_MAX = 256
/** Words of a query that are looked at. */
export const QUERY_WORDS_MAX = 16

/** A text as its folded words, each once. */
export type Words = readonly string[]

/** Cuts text into folded words. */
export function wordsOf(text: string): Words {
  return [...new Set(fold(text).match(WORD))]
}

/** Whether every word of the query is found; a query without words finds everything. */
export function matches(words: Words, query: Words): boolean {
  return query.every((wanted) => words.some((word) => startsWith(word, wanted)))
}

/** The words of a query, within the limits. */
export function queryWords(query: string): Words {
  return wordsOf(query.slice(0, QUERY_LENGTH_MAX)).slice(0, QUERY_WORDS_MAX)
}

/** Letters, digits, and the marks that carry vowels in Indic and Arabic scripts. */
const WORD = /[\p{L}\p{N}\p{M}]+/gu
/** Accents that combine with letters of any script. A vowel sign of Devanagari belongs to its own script and stays. */
const ACCENTS = /[\p{M}&&[\p{sc=Inherited}\p{sc=Common}]]/gv
/** Zero-width and direction characters: a name must not hide behind them. */
const INVISIBLE = /\p{Cf}/gu
const RUNS_WITHOUT_SPACES =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/u
/** Letters that Unicode does not take apart, and what people type for them. */
const VARIANTS: ReadonlyMap<string, string> = new Map([
  ['ø', 'o'],
  ['ł', 'l'],
  ['đ', 'd'],
  ['ð', 'd'],
  ['þ', 'th'],
  ['æ', 'ae'],
  ['œ', 'oe'],
  ['ı', 'i']
])
const VARIANT = /[øłđðþæœı]/g

function fold(text: string): string {
  return (
    text
      .normalize('NFKD')
      .replace(ACCENTS, '')
      .replace(INVISIBLE, '')
      // Upper and lower: ß becomes ss, as in the case folding of Unicode.
      .toUpperCase()
      .toLowerCase()
      .normalize('NFKD')
      .replace(ACCENTS, '')
      .replace(VARIANT, (letter) => VARIANTS.get(letter) ?? letter)
  )
}

function startsWith(word: string, wanted: string): boolean {
  return RUNS_WITHOUT_SPACES.test(wanted) ? word.includes(wanted) : word.startsWith(wanted)
}
