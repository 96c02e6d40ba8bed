import { expect } from 'chai'
import { COMMENT_CHARS_MAX, commentOf, problemReport } from '../../protocols/report-problem.ts'

describe('a problem report', () => {
  for (const code of [
    'e.p.xfer.cant-use-endpoint',
    'w.m.me.res.storage',
    'e.get-pay-details.payment-failed',
    'e.m',
    'E.P.MSG'
  ]) {
    it(`has a code such as ${code}`, () =>
      expect(problemReport.safeParse({ code }).success).to.equal(true))
  }
  for (const code of [
    '',
    'e',
    'x.p.msg',
    'e.',
    'e..msg',
    'e.p.',
    'e p msg',
    `e.p.${'x'.repeat(300)}`,
    'e.p.a.b.c.d.e.f.g.h.i',
    7,
    undefined
  ]) {
    it(`has no code such as ${String(code).slice(0, 30)}`, () =>
      expect(problemReport.safeParse({ code }).success).to.equal(false))
  }

  // oxfmt-ignore
  const COMMENTS: ReadonlyArray<readonly [comment: string | undefined, args: unknown[] | undefined, text: string]> = [
    ['Unable to use the {1} endpoint for {2}.', ['https://a.example', 'did:x:y'], 'Unable to use the https://a.example endpoint for did:x:y.'],
    ['{2} before {1}',                          ['a', 'b'],                       'b before a'],
    ['Missing {1} and {2}',                     ['a'],                            'Missing a and ?'],
    ['Null {1}',                                [null],                           'Null ?'],
    ['Surplus',                                 ['a', 7, 'c'],                    'Surplus a, 7, c'],
    ['Not again {1}',                           ['{2}', 'x'],                     'Not again {2} x'],
    ['{0} {100} {x} {}',                        undefined,                        '? {100} {x} {}'],
    [undefined,                                 undefined,                        ''],
    ['Line\r\nbreak\u202e and\u0000 more',      undefined,                        'Line break  and  more']
  ]
  for (const [comment, args, text] of COMMENTS) {
    it(`reads ${JSON.stringify(comment)} with ${JSON.stringify(args)}`, () => {
      const report = problemReport.parse({
        code: 'e.p.msg',
        ...(comment === undefined ? {} : { comment }),
        ...(args === undefined ? {} : { args })
      })
      expect(commentOf(report)).to.equal(text)
    })
  }

  it('shows at most 500 characters, and no half of one', () => {
    const report = problemReport.parse({ code: 'e.p.msg', comment: '🙂'.repeat(600) })
    expect(commentOf(report)).to.equal('🙂'.repeat(COMMENT_CHARS_MAX))
  })
})
