/**
 * Regular expressions of other people, in time linear in the text.
 *
 * A schema is written by an issuer, and a verifier runs its `pattern` over text that the same issuer
 * wrote. The engine of the platform backtracks: `^(a+)+$` over forty letters takes hours, and the page or
 * the agent stands still. So a pattern is checked for syntax by the platform and then run here as a set of
 * threads over a small program (R. Pike's construction, as RE2 does): every character is looked at once
 * per instruction, whatever the pattern is.
 *
 * What a regular language cannot say is refused when the pattern is compiled: look-ahead and look-behind,
 * back-references, and word boundaries, which nobody's schema was seen to use.
 *
 * @module
 */

/** Most instructions of one compiled pattern; `{n,m}` is written out, so `.{0,500}` takes a thousand. */
const INSTRUCTIONS_MAX = 4000

/** Most steps of one test (characters × live threads), about a second: the bound for a slow pattern over long text. */
const STEPS_MAX = 2_000_000

/** Deepest nesting of groups; each level is one call deep in the parser. */
const GROUPS_DEPTH_MAX = 64

/** Why a pattern, or a test of one, is refused: bad syntax, not a regular language, or beyond a limit. */
export class PatternError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'PatternError'
  }
}

/** A pattern ready to be run. */
export interface Pattern {
  /**
   * Whether it is found anywhere in the text, as JSON Schema 2020-12 §6.3.3 wants.
   *
   * @throws PatternError beyond 2,000,000 steps.
   */
  test(text: string): boolean
}

/**
 * Compiles an ECMA-262 pattern as with the flag `u`.
 *
 * @throws PatternError when its syntax is wrong, it uses what is not regular, or it is too large.
 */
export function compilePattern(source: string): Pattern {
  try {
    // Only its syntax: this object is never run.
    void new RegExp(source, 'u')
  } catch (cause) {
    throw new PatternError(`the pattern ${shown(source)} is not a regular expression`, { cause })
  }
  const program: Instruction[] = []
  emit(new Parser(source).read(), program)
  push(program, { kind: 'match' })
  return { test: (text) => run(program, text) }
}

type Matcher = (character: string) => boolean

type Node =
  | { readonly kind: 'character'; readonly matches: Matcher }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly ways: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }

/** Goes on at every target at once. The targets are set when what lies between has been emitted. */
interface Fork {
  readonly kind: 'split'
  targets: readonly number[]
}

type Instruction =
  | Fork
  | { readonly kind: 'character'; readonly matches: Matcher }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }
  | { readonly kind: 'match' }

/** Reads a pattern that the platform has found well-formed; it therefore need not say what is wrong where. */
class Parser {
  readonly #source: string
  #position = 0
  #depth = 0

  constructor(source: string) {
    this.#source = source
  }

  read(): Node {
    return this.#choice()
  }

  #choice(): Node {
    const ways = [this.#sequence()]
    while (this.#take('|')) ways.push(this.#sequence())
    return ways.length === 1 && ways[0] !== undefined ? ways[0] : { kind: 'choice', ways }
  }

  #sequence(): Node {
    const parts: Node[] = []
    while (this.#position < this.#source.length && !this.#at('|') && !this.#at(')')) {
      parts.push(this.#repeated(this.#atom()))
    }
    return { kind: 'sequence', parts }
  }

  #repeated(part: Node): Node {
    const bounds = this.#bounds()
    if (bounds === undefined) return part
    // Greedy or lazy decides what is captured, never whether there is a match.
    this.#take('?')
    return { kind: 'repeat', part, min: bounds[0], max: bounds[1] }
  }

  #bounds(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity]
    if (this.#take('+')) return [1, Infinity]
    if (this.#take('?')) return [0, 1]
    const counted = /^\{(\d+)(?:(,)(\d*))?\}/.exec(
      this.#source.slice(this.#position, this.#position + 32)
    )
    if (counted === null) {
      // Thirty digits of repetitions are well-formed for the platform and nonsense for everybody else.
      if (this.#at('{'))
        throw new PatternError(`the pattern ${shown(this.#source)} repeats too often`)
      return undefined
    }
    this.#position += counted[0].length
    const min = Number(counted[1])
    if (counted[2] === undefined) return [min, min]
    return [min, counted[3] === '' ? Infinity : Number(counted[3])]
  }

  #atom(): Node {
    if (this.#take('^')) return { kind: 'start' }
    if (this.#take('$')) return { kind: 'end' }
    if (this.#take('(')) return this.#group()
    if (this.#at('[')) return this.#tested(this.#classText())
    if (this.#at('\\')) return this.#tested(this.#escapeText())
    if (this.#at('.')) {
      this.#position += 1
      return this.#tested('.')
    }
    const literal = String.fromCodePoint(this.#source.codePointAt(this.#position) ?? 0)
    this.#position += literal.length
    return { kind: 'character', matches: (character) => character === literal }
  }

  #group(): Node {
    if (this.#take('?')) {
      const name = /^(?::|<[^=!>][^>]*>)/u.exec(this.#source.slice(this.#position))
      if (name === null) {
        throw new PatternError(
          `the pattern ${shown(this.#source)} looks ahead, looks behind or sets flags`
        )
      }
      this.#position += name[0].length
    }
    this.#depth += 1
    if (this.#depth > GROUPS_DEPTH_MAX) {
      throw new PatternError(
        `the pattern ${shown(this.#source)} nests more than ${GROUPS_DEPTH_MAX} groups`
      )
    }
    const inner = this.#choice()
    this.#depth -= 1
    this.#take(')')
    return inner
  }

  /** `[…]` as it stands: with the flag `u` classes do not nest. */
  #classText(): string {
    let end = this.#position + 1
    while (this.#source[end] !== ']') end += this.#source[end] === '\\' ? 2 : 1
    return this.#advanceTo(end + 1)
  }

  #escapeText(): string {
    const rest = this.#source.slice(this.#position)
    if (/^\\(?:[1-9]|k<|[bB])/.test(rest)) {
      throw new PatternError(
        `the pattern ${shown(this.#source)} refers back to a group or to a word boundary`
      )
    }
    const escape =
      /^\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}(?:\\ud[c-f][0-9a-f]{2})?|x[0-9a-f]{2}|p\{[^}]*\}|c[a-z]|[^])/iu.exec(
        rest
      )
    return this.#advanceTo(this.#position + pairedLength(escape?.[0] ?? rest))
  }

  #tested(text: string): Node {
    // One character against one class: the platform has nothing to backtrack over.
    const single = new RegExp(`^${text}$`, 'u')
    return { kind: 'character', matches: (character) => single.test(character) }
  }

  #advanceTo(end: number): string {
    const text = this.#source.slice(this.#position, end)
    this.#position = end
    return text
  }

  #at(character: string): boolean {
    return this.#source[this.#position] === character
  }

  #take(character: string): boolean {
    if (!this.#at(character)) return false
    this.#position += 1
    return true
  }
}

/** `\ud83d\ude00` is one character, `\u0041\ude00` two: the second escape counts only after a high surrogate. */
function pairedLength(escape: string): number {
  return escape.length === 12 && !/^\\ud[89ab]/i.test(escape) ? 6 : escape.length
}

function push(program: Instruction[], instruction: Instruction): number {
  if (program.length >= INSTRUCTIONS_MAX) {
    throw new PatternError(`a pattern takes more than ${INSTRUCTIONS_MAX} steps to write out`)
  }
  return program.push(instruction) - 1
}

function emit(node: Node, program: Instruction[]): void {
  switch (node.kind) {
    case 'character':
    case 'start':
    case 'end':
      push(program, node)
      return
    case 'sequence':
      for (const part of node.parts) emit(part, program)
      return
    case 'choice':
      emitChoice(node.ways, program)
      return
    case 'repeat':
      emitRepeat(node.part, node.min, node.max, program)
  }
}

function emitChoice(ways: readonly Node[], program: Instruction[]): void {
  const fork: Fork = { kind: 'split', targets: [] }
  push(program, fork)
  const starts: number[] = []
  const ends: Fork[] = []
  for (const way of ways) {
    starts.push(program.length)
    emit(way, program)
    const end: Fork = { kind: 'split', targets: [] }
    push(program, end)
    ends.push(end)
  }
  fork.targets = starts
  for (const end of ends) end.targets = [program.length]
}

function emitRepeat(part: Node, min: number, max: number, program: Instruction[]): void {
  // An empty part, repeated a billion times, would loop without ever emitting: the fork below counts too.
  for (let count = 0; count < min; count += 1) {
    push(program, { kind: 'split', targets: [program.length + 1] })
    emit(part, program)
  }
  if (max === Infinity) {
    const fork: Fork = { kind: 'split', targets: [] }
    const loop = push(program, fork)
    emit(part, program)
    push(program, { kind: 'split', targets: [loop] })
    fork.targets = [loop + 1, program.length]
    return
  }
  const forks: Fork[] = []
  for (let count = min; count < max; count += 1) {
    const fork: Fork = { kind: 'split', targets: [] }
    fork.targets = [push(program, fork) + 1]
    forks.push(fork)
    emit(part, program)
  }
  for (const fork of forks) fork.targets = [...fork.targets, program.length]
}

/** Runs all threads at once, one character at a time. */
function run(program: readonly Instruction[], text: string): boolean {
  const characters = Array.from(text)
  const seenAt = new Int32Array(program.length).fill(-1)
  let steps = 0
  let threads: number[] = []
  for (let position = 0; position <= characters.length; position += 1) {
    // A match may begin anywhere, so a thread starts at every position.
    const live: number[] = []
    for (const thread of [...threads, 0]) {
      if (follow(program, thread, position, characters.length, seenAt, live)) return true
    }
    steps += live.length + 1
    if (steps > STEPS_MAX) {
      throw new PatternError(
        `a pattern takes more than ${STEPS_MAX} steps over a text of ${text.length} characters`
      )
    }
    const character = characters[position]
    if (character === undefined) return false
    threads = live.filter((thread) => {
      const instruction = program[thread]
      return instruction?.kind === 'character' && instruction.matches(character)
    })
    threads = threads.map((thread) => thread + 1)
  }
  return false
}

/**
 * Follows a thread over all that consumes no character, and adds what waits for one to `live`.
 *
 * @returns Whether the end of the program was reached: a match.
 */
function follow(
  program: readonly Instruction[],
  thread: number,
  position: number,
  length: number,
  seenAt: Int32Array,
  live: number[]
): boolean {
  const open = [thread]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    // Seen at this position already: also what ends loops over nothing.
    if (seenAt[at] === position) continue
    seenAt[at] = position
    const instruction = program[at]
    if (instruction === undefined) continue
    switch (instruction.kind) {
      case 'match':
        return true
      case 'character':
        live.push(at)
        break
      case 'split':
        open.push(...instruction.targets)
        break
      case 'start':
        if (position === 0) open.push(at + 1)
        break
      case 'end':
        if (position === length) open.push(at + 1)
    }
  }
  return false
}

/** A pattern for a message: quoted and short. */
function shown(source: string): string {
  return JSON.stringify(source.length > 80 ? `${source.slice(0, 80)}…` : source)
}
