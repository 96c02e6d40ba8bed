import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { BUNDLED_CONTEXTS, bundledContext } from '../../../protocols/credential/contexts.ts'
import { isJsonObject, type JsonValue } from '../../../protocols/credential/json.ts'

function sha256Of(file: string): string {
  const url = new URL(`../../../protocols/credential/contexts/${file}`, import.meta.url)
  return createHash('sha256').update(readFileSync(url)).digest('hex')
}

/** Terms and what they stand for, at every depth of a context. */
function termsOf(context: JsonValue | undefined): (readonly [term: string, iri: string])[] {
  if (Array.isArray(context)) return context.flatMap((one: JsonValue) => termsOf(one))
  if (!isJsonObject(context)) return []
  return Object.entries(context).flatMap(([term, definition]) => {
    if (term.startsWith('@')) return []
    if (typeof definition === 'string') return [[term, definition] as const]
    if (!isJsonObject(definition)) return []
    const iri = definition['@id']
    const inside = termsOf(definition['@context'])
    return typeof iri === 'string' ? [[term, iri] as const, ...inside] : inside
  })
}

/** The IRI of `cred:name` where a context has `cred` as a prefix. */
function expanded(iri: string, terms: ReadonlyMap<string, string>): string {
  const colon = iri.indexOf(':')
  const prefix = colon < 0 ? undefined : terms.get(iri.slice(0, colon))
  return prefix === undefined ? iri : prefix + iri.slice(colon + 1)
}

describe('bundled contexts', () => {
  // VCDM 2.0 Appendix B.1; Data Integrity 1.0 §2.4.2; VCDM 1.1 Appendix B.1.
  for (const [file, sha256] of [
    ['credentials-v2.json', '59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734'],
    ['data-integrity-v2.json', '67f21e6e33a6c14e5ccfd2fc7865f7474fb71a04af7e94136cb399dfac8ae8f4'],
    ['credentials-v1.json', 'ab4ddd9a531758807a79a5b450510d61ae8d147eab966cc9a200c07095b0cdcc']
  ] as const) {
    it(`has ${file} with the hash its specification publishes`, () =>
      expect(sha256Of(file)).to.equal(sha256))
  }

  // Nobody publishes hashes of these; they are held to what their publishers' repositories and packages have.
  for (const [file, sha256] of [
    [
      'credentials-examples-v2.json',
      '57393fbc69d6efb9b9b5dc9cb6b9880b0944360abfe2eaf459c9e58cf2279d7c'
    ],
    [
      'credentials-undefined-terms-v2.json',
      '82dab514ba44eb18f5d1b0f638c5e140c6a556fbfb5089601bdc0fa5eb8b2581'
    ],
    ['data-integrity-v1.json', 'b5d829bd09aa7c42abc6efa0c8ed7635313b5487f37ccfce3ecd149ca9418554'],
    ['did-v1.json', '62c1054bf404d6dd3a4b26b64f830fd72095f6a26edc4469908c94351352ce5f'],
    ['ed25519-2020-v1.json', 'b9e1ab971fd8bf2c7553e0c4a9438e0b9450afde1ea1ca5b2492368b9f549588'],
    [
      'status-list-2021-v1.json',
      '634d71c159289f068c96012e4511c657fdf82ac4231900081bda3ba24e2e1160'
    ],
    ['open-badges-3.0.3.json', 'ef2fa9c7846dce233cc166b43639027278be4ee44f00bb1d45c75de2dd0cd761']
  ] as const) {
    it(`has ${file} as it was published`, () => expect(sha256Of(file)).to.equal(sha256))
  }

  it('knows a context by exactly its URL', () => {
    for (const url of BUNDLED_CONTEXTS) {
      expect(bundledContext(url)).to.have.property('@context')
      expect(bundledContext(`${url}/`), url).to.equal(undefined)
    }
    expect(bundledContext('__proto__')).to.equal(undefined)
    expect(bundledContext('https://www.w3.org/ns/credentials/v3')).to.equal(undefined)
  })

  it('names no other context in any of them, so nothing is ever to be loaded', () => {
    const named: string[] = []
    const walk = (value: JsonValue): void => {
      if (Array.isArray(value)) for (const one of value) walk(one)
      if (!isJsonObject(value)) return
      for (const [name, member] of Object.entries(value)) {
        if (name === '@import' || (name === '@context' && typeof member === 'string'))
          named.push(name)
        walk(member)
      }
    }
    for (const url of BUNDLED_CONTEXTS) walk(bundledContext(url) ?? null)
    expect(named).to.be.empty
  })

  it('has no two terms for one meaning, or a signed member could be hidden under its other name', () => {
    const names = new Map<string, Set<string>>()
    for (const url of BUNDLED_CONTEXTS) {
      const terms = termsOf(bundledContext(url)?.['@context'])
      const prefixes = new Map(terms)
      for (const [term, iri] of terms) {
        if (iri.startsWith('@')) expect([term, iri]).to.deep.equal([iri.slice(1), iri])
        const whole = expanded(iri, prefixes)
        names.set(whole, (names.get(whole) ?? new Set()).add(term))
      }
    }
    const twice = [...names].filter(([, terms]) => terms.size > 1).map(([, terms]) => [...terms])
    // Open Badges names a property and the type of its value alike; neither decides whether a credential holds.
    expect(twice).to.deep.equal([
      ['criteria', 'Criteria'],
      ['geo', 'GeoCoordinates']
    ])
  })
})
