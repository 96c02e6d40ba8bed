import { expect } from 'chai'
import { ageOf, oldest, whenOf, type Known } from '../../../protocols/credential/checks.ts'

const at = (text: string): Date => new Date(text)

describe('checks', () => {
  it('say times as people do, in UTC', () => {
    expect(whenOf(at('2026-11-03T09:05:59Z'))).to.equal('3 November 2026, 09:05 UTC')
    expect(whenOf(at('2026-12-31T23:30:00-01:00'))).to.equal('1 January 2027, 00:30 UTC')
  })

  const now = at('2026-11-23T10:00:00Z')
  const ages: readonly (readonly [string, string])[] = [
    ['2026-11-23T10:00:00Z', 'less than a minute'],
    ['2026-11-23T09:59:01Z', 'less than a minute'],
    ['2026-11-23T09:59:00Z', '1 minute'],
    ['2026-11-23T09:01:00Z', '59 minutes'],
    ['2026-11-23T09:00:00Z', '1 hour'],
    ['2026-11-22T10:00:01Z', '23 hours'],
    ['2026-11-22T10:00:00Z', '1 day'],
    ['2026-11-03T10:00:00Z', '20 days'],
    ['2026-11-23T10:05:00Z', 'less than a minute']
  ]
  for (const [from, age] of ages) {
    it(`say ${age} since ${from}`, () => expect(ageOf(at(from), now)).to.equal(age))
  }

  it('find the oldest of what was not asked for live', () => {
    const kept = (text: string, from: 'live' | 'cache' | 'bundle'): Known<number> => ({
      ok: true,
      value: 1,
      asOf: at(text),
      from
    })
    expect(oldest([])).to.be.undefined
    expect(oldest([kept('2020-01-01T00:00:00Z', 'live')])).to.be.undefined
    const mixed = [
      kept('2020-01-01T00:00:00Z', 'live'),
      kept('2023-01-01T00:00:00Z', 'cache'),
      kept('2022-01-01T00:00:00Z', 'bundle'),
      { ok: false, reason: 'gone', since: at('2019-01-01T00:00:00Z') } as const
    ]
    expect(oldest(mixed)).to.deep.equal(at('2022-01-01T00:00:00Z'))
  })
})
