/** Byte ranges and preconditions (RFC 9110 §13, §14) as one table. */
import { expect } from 'chai'
import fc from 'fast-check'
import { select, type Conditions, type Selection } from '../../gateway/ranges.ts'

const ETAG = '"root-1"'
const NONE: Conditions = {
  range: undefined,
  ifRange: undefined,
  ifMatch: undefined,
  ifNoneMatch: undefined
}

function part(start: number, end: number): Selection {
  return { kind: 'part', range: { start, end } }
}

// oxfmt-ignore
const TABLE: ReadonlyArray<readonly [what: string, conditions: Partial<Conditions>, sizeBytes: number, want: Selection['kind'] | readonly [number, number]]> = [
  ['no range',                        {},                                              100, 'whole'],
  ['first bytes',                     { range: 'bytes=0-9' },                          100, [0, 9]],
  ['one byte',                        { range: 'bytes=0-0' },                          100, [0, 0]],
  ['the last byte',                   { range: 'bytes=99-99' },                        100, [99, 99]],
  ['from an offset',                  { range: 'bytes=90-' },                          100, [90, 99]],
  ['the end, cut',                    { range: 'bytes=90-200' },                       100, [90, 99]],
  ['a suffix',                        { range: 'bytes=-10' },                          100, [90, 99]],
  ['a suffix longer than all',        { range: 'bytes=-1000' },                        100, [0, 99]],
  ['a suffix of nothing',             { range: 'bytes=-0' },                           100, 'unsatisfiable'],
  ['past the end',                    { range: 'bytes=100-' },                         100, 'unsatisfiable'],
  ['far past the end',                { range: 'bytes=9999999999999999-' },            100, 'unsatisfiable'],
  ['last before first',               { range: 'bytes=9-0' },                          100, 'whole'],
  ['several ranges',                  { range: 'bytes=0-1,5-6' },                      100, 'whole'],
  ['another unit',                    { range: 'pages=0-1' },                          100, 'whole'],
  ['no numbers',                      { range: 'bytes=-' },                            100, 'whole'],
  ['negative',                        { range: 'bytes=-1-5' },                         100, 'whole'],
  ['hexadecimal',                     { range: 'bytes=0x0-0x9' },                      100, 'whole'],
  ['a number without end',            { range: `bytes=${'9'.repeat(5_000)}-` },        100, 'whole'],
  ['spaces around',                   { range: '  bytes = 0-9 ' },                     100, [0, 9]],
  ['unit in capitals',                { range: 'BYTES=0-9' },                          100, [0, 9]],
  ['of nothing',                      { range: 'bytes=0-' },                             0, 'whole'],
  ['a suffix of an empty document',   { range: 'bytes=-5' },                             0, 'whole'],
  ['If-Range of this version',        { range: 'bytes=0-9', ifRange: ETAG },           100, [0, 9]],
  ['If-Range of another version',     { range: 'bytes=0-9', ifRange: '"root-2"' },     100, 'whole'],
  ['If-Range, weak',                  { range: 'bytes=0-9', ifRange: `W/${ETAG}` },    100, 'whole'],
  ['If-Range by date',                { range: 'bytes=0-9', ifRange: 'Mon, 23 Nov 2026 12:00:00 GMT' }, 100, 'whole'],
  ['If-Match of this version',        { ifMatch: ETAG },                               100, 'whole'],
  ['If-Match of several',             { ifMatch: `"a", ${ETAG}` },                     100, 'whole'],
  ['If-Match of any',                 { ifMatch: '*' },                                100, 'whole'],
  ['If-Match of another',             { ifMatch: '"a"' },                              100, 'failed'],
  ['If-Match, weak',                  { ifMatch: `W/${ETAG}` },                        100, 'failed'],
  ['If-Match before a range',         { ifMatch: '"a"', range: 'bytes=0-9' },          100, 'failed'],
  ['If-None-Match of this version',   { ifNoneMatch: ETAG },                           100, 'unchanged'],
  ['If-None-Match, weak',             { ifNoneMatch: `W/${ETAG}` },                    100, 'unchanged'],
  ['If-None-Match of any',            { ifNoneMatch: '*' },                            100, 'unchanged'],
  ['If-None-Match of another',        { ifNoneMatch: '"a"', range: 'bytes=0-9' },      100, [0, 9]],
  ['If-None-Match before a range',    { ifNoneMatch: ETAG, range: 'bytes=0-9' },       100, 'unchanged'],
  ['If-Match of what is no tag',      { ifMatch: 'root-1' },                           100, 'failed']
]

describe('gateway: ranges', () => {
  for (const [what, conditions, sizeBytes, want] of TABLE)
    it(`answers ${what} with ${typeof want === 'string' ? want : want.join('-')}`, () => {
      const selection = select('GET', { ...NONE, ...conditions }, ETAG, sizeBytes)
      expect(selection).to.deep.equal(
        typeof want === 'string' ? { kind: want } : part(want[0], want[1])
      )
    })

  it('ignores a range on HEAD', () => {
    const selection = select('HEAD', { ...NONE, range: 'bytes=0-9' }, ETAG, 100)
    expect(selection).to.deep.equal({ kind: 'whole' })
  })

  it('never selects a byte outside the document, whatever the header', () => {
    const header = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([first, last]) => `bytes=${first}-${last}`),
      fc.nat().map((length) => `bytes=-${length}`),
      fc.nat().map((first) => `bytes=${first}-`)
    )
    fc.assert(
      fc.property(header, fc.nat({ max: 10_000 }), (range, sizeBytes) => {
        const selection = select('GET', { ...NONE, range }, ETAG, sizeBytes)
        if (selection.kind !== 'part') return
        const { start, end } = selection.range
        expect(start).to.be.within(0, end)
        expect(end).to.be.below(sizeBytes)
      })
    )
  })
})
