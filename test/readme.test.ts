/** Holds the README to the program: its settings, its commands, its scripts. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { SETTINGS } from '../node/config.ts'

const readme = readFileSync('README.md', 'utf8')
const main = ['node/main.ts', 'node/issuer-program.ts', 'node/commands/wiring.ts']
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n')

/** Cells of the first table behind a marker, without its head. */
function tableAfter(marker: string): string[][] {
  const rest = readme.slice(readme.indexOf(marker) + marker.length)
  const lines = rest.trimStart().split('\n')
  const end = lines.findIndex((line) => !line.startsWith('|'))
  return lines.slice(2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

/** `publicUrl` as it is typed: `--public-url`. */
const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

describe('README.md', () => {
  it('lists every setting with its variable, flag and default', () => {
    const marker = '<!-- settings: this table is compared with node/config.ts -->'
    const expected = SETTINGS.map(([variable, flag, meaning, preset]) => [
      `\`${variable}\``,
      `\`${flagOf(flag)}\``,
      meaning,
      preset
    ])
    expect(tableAfter(marker)).to.deep.equal(expected)
  })

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Readonly<Record<string, string>>
    }
    const named = [...readme.matchAll(/npm (?:run )?(start|test|[a-z]+)\b/g)]
      .map(([, name]) => name ?? '')
      .filter((name) => !['ci', 'install'].includes(name))
    expect(named).to.include.members(['start', 'test', 'dev'])
    for (const name of named) expect(scripts).to.have.property(name)
  })

  it('shows only commands and options that exist', () => {
    const lines = [...readme.matchAll(/^elocker (.+)$/gm)].map(
      ([, line]) => (line ?? '').split('#')[0] ?? ''
    )
    expect(lines.length).to.be.greaterThan(8)
    for (const line of lines) {
      const word = line.trim().split(' ')[0] ?? ''
      expect(main, word).to.match(new RegExp(`['" ]${word}[' ]`))
      for (const [option] of line.matchAll(/--[a-z-]+/g)) expect(main, line).to.include(option)
    }
  })
})
