import { expect } from 'chai'
import {
  DISCLOSURES_MAX,
  disclosures,
  matching,
  queries,
  QUERIES_MAX,
  type Feature
} from '../../protocols/discover-features.ts'

const features: readonly Feature[] = [
  {
    'feature-type': 'protocol',
    id: 'https://didcomm.org/trust-ping/2.0',
    roles: ['sender', 'receiver']
  },
  {
    'feature-type': 'protocol',
    id: 'https://elocker.example/protocols/share/1.0',
    roles: ['owner']
  },
  { 'feature-type': 'goal-code', id: 'elocker.connect' },
  { 'feature-type': 'constraint', id: 'max_receive_bytes', max_receive_bytes: '262144' }
]

const idsOf = (...asked: readonly (readonly [type: string, match: string])[]): readonly string[] =>
  matching(
    features,
    asked.map(([type, match]) => ({ 'feature-type': type, match }))
  ).map(({ id }) => id)

describe('discover-features', () => {
  // oxfmt-ignore
  const QUERIES: ReadonlyArray<readonly [type: string, match: string, found: number]> = [
    ['protocol',   '*',                                2],
    ['protocol',   'https://didcomm.org/*',            1],
    ['protocol',   'https://didcomm.org/trust-ping/2.*', 1],
    ['protocol',   'https://didcomm.org/trust-ping/2.0', 1],
    ['protocol',   'https://didcomm.org/trust-ping/2', 0],
    ['protocol',   '*/2.0',                            0],
    ['protocol',   '',                                 0],
    ['goal-code',  'elocker.*',                        1],
    ['constraint', 'max_receive_bytes',                1],
    ['header',     '*',                                0],
    ['__proto__',  '*',                                0],
    ['protocol',   '.*',                               0]
  ]
  for (const [type, match, found] of QUERIES) {
    it(`finds ${found} of type ${type} for ${match || 'nothing'}`, () =>
      expect(idsOf([type, match])).to.have.length(found))
  }

  it('discloses what several queries match once', () => {
    expect(idsOf(['protocol', '*'], ['protocol', 'https://didcomm.org/*'])).to.have.length(2)
  })

  it('reads what it discloses', () => {
    const body = JSON.parse(JSON.stringify({ disclosures: features }))
    expect(disclosures.parse(body)).to.deep.equal(body)
  })

  it('reads 16 queries and 256 disclosures, and not one more', () => {
    const query = { 'feature-type': 'protocol', match: '*' }
    const feature = { 'feature-type': 'protocol', id: 'x' }
    const asked = (length: number) =>
      queries.safeParse({ queries: Array.from({ length }, () => query) }).success
    const disclosed = (length: number) =>
      disclosures.safeParse({ disclosures: Array.from({ length }, () => feature) }).success
    expect([asked(QUERIES_MAX), asked(QUERIES_MAX + 1)]).to.deep.equal([true, false])
    expect([disclosed(DISCLOSURES_MAX), disclosed(DISCLOSURES_MAX + 1)]).to.deep.equal([
      true,
      false
    ])
  })

  for (const body of [
    {},
    { queries: {} },
    { queries: [{}] },
    { queries: [{ 'feature-type': 'protocol', match: 7 }] }
  ]) {
    it(`does not read the queries ${JSON.stringify(body)}`, () =>
      expect(queries.safeParse(body).success).to.equal(false))
  }
})
