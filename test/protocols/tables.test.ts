/** The pages of the standard's small protocols say what their source says. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { advance, type Direction, type Rule } from '../../protocols/exchange.ts'
import { discoverFeatures } from '../../protocols/discover-features.ts'
import { outOfBand } from '../../protocols/out-of-band.ts'
import { trustPing } from '../../protocols/trust-ping.ts'

const PROTOCOLS = new URL('../../protocols/', import.meta.url)

/** Headings of didcomm.org's template, in order. */
const HEADINGS = ['What it is for', 'Roles', 'States', 'Messages', 'Security']

/** Rows of the table whose first column is `role`. */
function tableOf(page: string): readonly (readonly string[])[] {
  const lines = page.split('\n')
  const head = lines.findIndex((line) => /^\| role\s+\| state\s+\|/.test(line))
  if (head === -1) throw new Error('no state table')
  const end = lines.findIndex((line, index) => index > head && !line.startsWith('|'))
  return lines.slice(head + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

/** State, message and next state of every rule of a direction, sorted. */
function moves(
  rules: readonly Rule<string, string, string>[],
  direction: Direction
): readonly string[] {
  return rules
    .filter((rule) => rule[2] === direction)
    .map(([, state, , message, next]) => `${state} ${message} ${next}`)
    .toSorted()
}

const TABLES: ReadonlyArray<{
  readonly page: string
  readonly piuri: string
  readonly rules: readonly Rule<string, string, string>[]
}> = [
  { page: 'out-of-band.md', ...outOfBand },
  { page: 'trust-ping.md', ...trustPing },
  { page: 'discover-features.md', ...discoverFeatures }
]

for (const { page, piuri, rules } of TABLES) {
  describe(`the table of ${page}`, () => {
    const text = readFileSync(new URL(page, PROTOCOLS), 'utf8')

    it('is that of the source', () => {
      expect(tableOf(text)).to.deep.equal(rules.map((rule) => [...rule]))
      expect(text).to.include(`\`${piuri}\``)
    })

    it('has a receiver for every message sent, that ends in the same state', () => {
      expect(moves(rules, 'send')).to.deep.equal(moves(rules, 'receive'))
    })

    it('reaches every state from start, and lets nothing happen in the last', () => {
      const reached = new Set(['start'])
      for (const [, state, , , next] of rules) if (reached.has(state)) reached.add(next)
      for (const [, state] of rules) expect(reached).to.include(state)
      const role = rules[0]?.[0] ?? ''
      const final = rules.at(-1)?.[4] ?? ''
      const message = rules[0]?.[3] ?? ''
      expect(
        advance({ piuri, rules }, { thid: 't', role, state: final }, 'send', message)
      ).to.deep.equal({
        ok: false,
        problem: 'e.p.msg.unexpected',
        expected: []
      })
    })
  })
}

describe('the page of a protocol', () => {
  for (const page of readdirSync(PROTOCOLS).filter(
    (name) => name.endsWith('.md') && name !== 'README.md'
  )) {
    it(`${page} follows the template`, () => {
      const text = readFileSync(new URL(page, PROTOCOLS), 'utf8')
      expect([...text.matchAll(/^## (.+)$/gm)].map((match) => match[1])).to.deep.equal(HEADINGS)
    })
  }
})
