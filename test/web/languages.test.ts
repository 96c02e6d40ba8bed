/** The language files against each other and against the source that uses them. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

const WEB = fileURLToPath(new URL('../../gateway/web', import.meta.url))
const LANGUAGES = join(WEB, 'languages')
/** Endings i18next adds to a key by number (JSON v4); English has no `zero` of its own, so it is optional. */
const PLURAL = /_(zero|one|two|few|many|other)$/

function flatten(value: unknown, path = ''): Map<string, string> {
  const entries = new Map<string, string>()
  if (typeof value === 'string') return entries.set(path, value)
  for (const [key, child] of Object.entries(value as Record<string, unknown>))
    for (const [at, words] of flatten(child, path === '' ? key : `${path}.${key}`))
      entries.set(at, words)
  return entries
}

function load(file: string): Map<string, string> {
  return flatten(JSON.parse(readFileSync(join(LANGUAGES, file), 'utf8')))
}

function values(words: string): string[] {
  return [...words.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1] ?? '').toSorted()
}

/** Keys without their plural endings, which differ from language to language. */
function bare(keys: Iterable<string>): string[] {
  return [...new Set([...keys].map((key) => key.replace(PLURAL, '')))].toSorted()
}

const source = readdirSync(WEB, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.(ts|svelte)$/.test(path) && !path.startsWith('dist'))
  .map((path) => readFileSync(join(WEB, path), 'utf8'))
  .join('\n')

const english = load('en.json')

describe('languages', () => {
  it('have no empty words and no stray spaces', () => {
    for (const [key, words] of english) expect(words, key).to.match(/^\S(.*\S)?$/su)
  })

  it('hold no words that nothing uses', () => {
    const literals = new Set(
      [...source.matchAll(/['"]([\w:-]+(?:\.[\w:-]+)+)['"]/g)].map((m) => m[1])
    )
    // `kinds.${…}` uses every key below kinds.
    const made = [...source.matchAll(/`((?:[\w-]+\.)+)\$\{/g)].map((m) => m[1] ?? '')
    const unused = [...english.keys()]
      .map((key) => key.replace(PLURAL, ''))
      .filter((key) => !literals.has(key) && !made.some((prefix) => key.startsWith(prefix)))
    expect(unused).to.be.empty
  })

  it('use one value name in every plural form', () => {
    for (const [key, words] of english) {
      if (!key.endsWith('_one')) continue
      const other = english.get(key.replace(/_one$/, '_other'))
      expect(other, key).to.be.a('string')
      const more = new Set(values(other ?? ''))
      for (const name of values(words)) expect([...more], key).to.include(name)
    }
  })

  for (const file of readdirSync(LANGUAGES).filter((name) => name !== 'en.json'))
    it(`${file} has the keys and values of English`, () => {
      const words = load(file)
      expect(bare(words.keys())).to.deep.equal(bare(english.keys()))
      for (const [key, text] of words) {
        const original = english.get(key) ?? english.get(key.replace(PLURAL, '_other')) ?? ''
        for (const name of values(text)) expect(values(original), key).to.include(name)
      }
    })
})

describe('source of the page', () => {
  it('renders nothing as HTML and styles nothing inline, which the policy would refuse', () => {
    expect(source).to.not.match(/\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write/)
    expect(source).to.not.match(/\sstyle=["'{]|setAttribute\('style'/)
    expect(source).to.not.match(/\bon[a-z]+="/)
  })

  it('names no side of the page by left and right, which languages written the other way turn round', () => {
    expect(source).to.not.match(
      /[\s"'](?:-?m[lr]|p[lr]|left|right|text-left|text-right|border-[lr]|rounded-[lr])-/
    )
  })

  it('sets no theme: the reader’s system decides', () =>
    expect(source).to.not.include('data-theme'))
})
