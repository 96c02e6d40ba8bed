import { expect } from 'chai'
import fc from 'fast-check'
import {
  matches,
  QUERY_LENGTH_MAX,
  QUERY_WORDS_MAX,
  queryWords,
  wordsOf
} from '../../agent/search.ts'

const found = (text: string, query: string): boolean => matches(wordsOf(text), queryWords(query))

describe('agent/search', () => {
  for (const [text, query] of [
    ['Zeugnis_2020-final.PDF', 'final zeugnis pdf'],
    ['Universität Zürich', 'universitat ZUR'],
    ['Universita\u0308t', 'Universität'],
    ['Straße', 'STRASSE'],
    ['Straße', 'straße'],
    ['Łódź Øresund Ærø', 'lodz oresund aero'],
    ['İstanbul ılık', 'istanbul ilik'],
    ['ΑΘΉΝΑ', 'αθηνα'],
    ['ﬁnance ２０２０', 'finance 2020'],
    ['a\u200bb invisible', 'ab'],
    ['\u202efdp.exe', 'fdp'],
    ['प्रमाणपत्र', 'प्रमाण'],
    ['卒業証明書 2020', '証明'],
    ['ใบรับรองการศึกษา', 'การศึกษา'],
    ['__proto__ constructor', '__proto__ constr'],
    ['anything', ''],
    ['anything', ' .,! ']
  ] as const)
    it(`finds ${JSON.stringify(text)} by ${JSON.stringify(query)}`, () => {
      expect(found(text, query)).to.equal(true)
    })

  for (const [text, query] of [
    ['Zeugnis', 'eugnis'],
    ['Zeugnis', 'Zeugnisse'],
    ['Zeugnis 2020', 'zeugnis 2021'],
    ['कि', 'की'],
    ['卒業証明書', '明証']
  ] as const)
    it(`does not find ${JSON.stringify(text)} by ${JSON.stringify(query)}`, () => {
      expect(found(text, query)).to.equal(false)
    })

  it('looks at a bounded part of a query', () => {
    const words = Array.from({ length: 100 }, (_, n) => `w${n}`).join(' ')
    expect(queryWords(words)).to.have.length(QUERY_WORDS_MAX)
    expect(queryWords('x'.repeat(1_000_000))[0]).to.have.length(QUERY_LENGTH_MAX)
  })

  it('finds every text by each of its words and their beginnings', () => {
    const word = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => /^[\p{L}\p{N}]+$/u.test(text))
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        const text = words.join(' — ')
        for (const each of words) {
          expect(found(text, each)).to.equal(true)
          // A capital may be written with more letters (ᾀ as ἈΙ): another spelling, not another case.
          const upper = each.toUpperCase()
          if (upper.length === each.length) expect(found(text, upper)).to.equal(true)
          expect(found(text, Array.from(each)[0] ?? '')).to.equal(true)
        }
      }),
      { numRuns: 300 }
    )
  })
})
