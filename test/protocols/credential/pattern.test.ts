import { expect } from 'chai'
import fc from 'fast-check'
import { PatternError, compilePattern } from '../../../protocols/credential/pattern.ts'

/** Patterns of all that is supported, over a small alphabet so that they match now and then. */
const pattern: fc.Arbitrary<string> = fc.letrec<{ node: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'a',
        'b',
        '.',
        '[ab]',
        '[^a]',
        '\\w',
        '\\d',
        '\\.',
        '\\u0061',
        '\\p{L}',
        '^',
        '$'
      )
    },
    { weight: 1, arbitrary: tie('node').map((node) => `(?:${node})`) },
    { weight: 1, arbitrary: tie('node').map((node) => `(${node})`) }
  ),
  node: fc.oneof(
    { depthSize: 'small' },
    tie('atom'),
    fc.tuple(tie('atom'), tie('node')).map(([left, right]) => left + right),
    fc.tuple(tie('node'), tie('node')).map(([left, right]) => `${left}|${right}`),
    fc
      .tuple(tie('atom'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{2,}', '*?', '{0}'))
      .filter(([atom]) => atom !== '^' && atom !== '$')
      .map(([atom, bound]) => atom + bound)
  )
})).node

const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', '.', '\n', 'अ', '😀'), maxLength: 8 })

describe('pattern', () => {
  it('finds what the engine of the platform finds', () => {
    fc.assert(
      fc.property(pattern, text, (source, subject) => {
        expect(
          compilePattern(source).test(subject),
          `${source} in ${JSON.stringify(subject)}`
        ).to.equal(new RegExp(source, 'u').test(subject))
      }),
      { numRuns: 2000 }
    )
  })

  const cases: readonly (readonly [string, string, boolean])[] = [
    ['^[A-Z]{4}0[A-Z0-9]{6}$', 'SBIN0001234', true],
    ['^[A-Z]{4}0[A-Z0-9]{6}$', 'SBIN1001234', false],
    ['^\\p{Script=Devanagari}+$', 'पदवी', true],
    ['^\\u{1F600}$', '😀', true],
    ['^\\ud83d\\ude00$', '😀', true],
    ['^\\x41\\t\\/$', 'A\t/', true],
    ['^[\\]a-]+$', ']-a', true],
    ['^(?<year>\\d{4})-\\d\\d$', '2026-11', true],
    ['', 'anything', true],
    ['^$', '', true],
    ['a||b', 'c', true],
    ['^(?:a?){3}$', 'aa', true],
    ['^(a*)*$', 'aaab', false]
  ]
  for (const [source, subject, expected] of cases) {
    it(`says ${expected} for ${source} in ${JSON.stringify(subject)}`, () => {
      expect(compilePattern(source).test(subject)).to.equal(expected)
      expect(new RegExp(source, 'u').test(subject), 'the platform').to.equal(expected)
    })
  }

  for (const source of ['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', '^a*a*a*a*a*a*b$', '^([a-z]+\\s?)+$']) {
    it(`answers at once for ${source}, over which a backtracking engine hangs`, () => {
      const begun = process.cpuUsage()
      expect(compilePattern(source).test(`${'a'.repeat(5000)}!`)).to.be.false
      expect(process.cpuUsage(begun).user / 1000, 'milliseconds of processor').to.be.below(1000)
    })
  }

  for (const [what, source] of [
    ['what is no regular expression', '(a'],
    ['a quantifier without an atom', '*'],
    ['look-ahead', '^(?=a)b'],
    ['look-behind', '(?<!a)b'],
    ['a back-reference', '(a)\\1'],
    ['a named back-reference', '(?<x>a)\\k<x>'],
    ['a word boundary', '\\bword'],
    ['more than 4,000 instructions', 'a{5000}'],
    ['a billion repetitions of nothing', '(?:){1000000000}'],
    ['repetitions of repetitions', '((a{100}){100}){100}'],
    ['a count of forty digits', `a{${'1'.repeat(40)}}`],
    ['deep nesting', `${'('.repeat(65)}a${')'.repeat(65)}`]
  ] as const) {
    it(`refuses ${what}`, () => {
      expect(() => compilePattern(source)).to.throw(PatternError)
    })
  }

  it('takes 64 nested groups', () => {
    expect(compilePattern(`${'('.repeat(64)}a${')'.repeat(64)}`).test('a')).to.be.true
  })

  it('stops a test that takes more than its steps', () => {
    const slow = compilePattern('(?:a?){1000}b')
    expect(() => slow.test('a'.repeat(100_000))).to.throw(PatternError, 'steps')
  })
})
