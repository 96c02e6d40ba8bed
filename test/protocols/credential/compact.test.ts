import { createHash } from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  COMPACT_CHARS_MAX,
  compactCredential,
  readCompact
} from '../../../protocols/credential/compact.ts'
import { COMPACT_TERMS } from '../../../protocols/credential/compact-terms.ts'
import { addJcsProof } from '../../../protocols/credential/data-integrity.ts'
import type { JsonObject, JsonValue } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { refused } from '../../refusal.ts'
import { faultsOf, sampleCredential, testKey } from './signers.ts'

const university = testKey('university')
const created = new Date('2026-11-23T10:00:00Z')
const signed = addJcsProof(
  sampleCredential(university.did),
  { signer: university.signer, created },
  crypto
)

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:'

/** The text of bytes that are no credential: RFC 9285 written another way than in compact.ts. */
function textOf(cbor: readonly number[] | Uint8Array): string {
  const packed = deflateRawSync(Uint8Array.from(cbor))
  const pairs = Array.from({ length: Math.ceil(packed.length / 2) }, (_, pair) =>
    packed.subarray(2 * pair, 2 * pair + 2)
  )
  const encoded = pairs.map((pair) => {
    const value = pair.reduce((sum, byte) => sum * 256 + byte, 0)
    const digits = pair.length === 2 ? [0, 1, 2] : [0, 1]
    return digits.map((place) => ALPHABET[Math.floor(value / 45 ** place) % 45]).join('')
  })
  return `ELC1:${encoded.join('')}`
}

async function readingOf(text: string): Promise<JsonObject | string> {
  const reading = await readCompact(text)
  return reading.ok ? reading.credential : reading.reason
}

describe('credentials as the text of a QR code', () => {
  it('brings back every character, so that the proof still fits', async () => {
    const text = (await compactCredential(signed)) ?? ''
    expect(text).to.match(/^ELC1:[0-9A-Z $%*+\-./:]+$/)
    expect(text.length).to.be.lessThan(800)
    const back = await readingOf(text)
    expect(back).to.deep.equal(signed)
    expect(JSON.stringify(back)).to.equal(JSON.stringify(signed))
    expect(await faultsOf(back as JsonObject)).to.deep.equal(['ok'])
  })

  it('reads what another writer of base45, DEFLATE and CBOR makes', async () => {
    expect(await readingOf(textOf([0xa1, 0x61, 0x61, 0xf5]))).to.deep.equal({ a: true })
  })

  it('is undefined for a credential that does not fit', async () => {
    const notes = Array.from({ length: 60 }, (_, note) =>
      crypto.sha256(Uint8Array.of(note)).join(' ')
    )
    expect(await compactCredential({ ...signed, notes })).to.equal(undefined)
  })

  it('refuses to write what is beyond the limits', async () => {
    const deep = JSON.parse('['.repeat(40) + ']'.repeat(40)) as JsonValue
    await refused(() => compactCredential({ ...signed, deep }), 'limit-exceeded')
  })

  it('never gives a term another number: their order is the format', () => {
    expect(COMPACT_TERMS).to.have.length(new Set(COMPACT_TERMS).size)
    const first = COMPACT_TERMS.slice(0, 249).join('\n')
    expect(createHash('sha256').update(first).digest('hex')).to.equal(
      '26dfa213a25da227e19b12de8854c80b5b9477eaa41b45e382e4f52a0db28882'
    )
  })

  it('keeps members that JavaScript has names for itself', async () => {
    const odd = JSON.parse('{"__proto__":{"a":1},"constructor":"x","toString":null}') as JsonObject
    const back = await readingOf((await compactCredential(odd)) ?? '')
    expect(JSON.stringify(back)).to.equal(JSON.stringify(odd))
    expect(Object.getPrototypeOf(back)).to.equal(Object.prototype)
  })

  it('brings back any JSON', async () => {
    const numbers = fc.oneof(
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true })
    )
    const texts = fc.oneof(
      fc.constantFrom(...COMPACT_TERMS),
      fc.string({ unit: 'grapheme', maxLength: 8 })
    )
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        numbers,
        texts,
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(texts, tie('value'), { maxKeys: 5 })
      )
    }))
    await fc.assert(
      fc.asyncProperty(fc.dictionary(texts, value, { maxKeys: 4 }), async (given) => {
        const document = given as JsonObject
        const text = await compactCredential(document)
        if (text === undefined) return
        expect(JSON.stringify(await readingOf(text))).to.equal(JSON.stringify(document))
      }),
      { numRuns: 200 }
    )
  })

  // oxfmt-ignore
  const REFUSED: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
    ['another prefix', 'HC1:ABC', /begin with ELC1:/],
    ['an empty text', 'ELC1:', /damaged/],
    ['one character too many', `ELC1:${'0'.repeat(COMPACT_CHARS_MAX)}`, /longer than 1200/],
    ['small letters', 'ELC1:abcdef', /base45/],
    ['a length base45 does not have', 'ELC1:ABCD', /base45/],
    ['a triple beyond two bytes', 'ELC1::::', /base45/],
    ['a pair beyond one byte', 'ELC1:::', /base45/],
    ['a bomb', textOf(new Uint8Array(200_000)), /more than 65536 bytes/],
    ['a text', textOf([0x61, 0x61]), /no JSON object/],
    ['something behind the credential', textOf([0xa0, 0xa0]), /follows/],
    ['a map that breaks off', textOf([0xa2, 0x61, 0x61, 0xf5]), /breaks off/],
    ['a length beyond the end', textOf([0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), /breaks off/],
    ['a text beyond the end', textOf([0xa1, 0x7a, 0xff, 0xff, 0xff, 0xff, 0x61]), /breaks off/],
    ['an indefinite length', textOf([0xbf, 0xff]), /not definite/],
    ['bytes', textOf([0xa1, 0x61, 0x61, 0x41, 0x00]), /type 2/],
    ['another tag', textOf([0xa1, 0x61, 0x61, 0xc1, 0x00]), /type 6/],
    ['undefined', textOf([0xa1, 0x61, 0x61, 0xf7]), /simple value/],
    ['a half float', textOf([0xa1, 0x61, 0x61, 0xf9, 0x7e, 0x00]), /simple value/],
    ['not a number', textOf([0xa1, 0x61, 0x61, 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]), /NaN/],
    ['an unknown term', textOf([0xa1, 0x19, 0x7f, 0xff, 0xf5]), /term 32767/],
    ['a name that is a list', textOf([0xa1, 0x80, 0xf5]), /not a text/],
    ['a member twice', textOf([0xa2, 0x61, 0x61, 0xf5, 0x61, 0x61, 0xf4]), /twice/],
    ['a member twice, once by its number', textOf([0xa2, 0x00, 0xf5, 0x62, 0x69, 0x64, 0xf4]), /twice/],
    ['a broken text', textOf([0xa1, 0x61, 0xff, 0xf5]), /UTF-8/],
    ['too many levels', textOf([0xa1, 0x61, 0x61, ...Array<number>(40).fill(0x81), 0x80]), /deeper than 32/]
  ]

  for (const [what, text, reason] of REFUSED) {
    it(`refuses ${what}`, async () => expect(await readingOf(text)).to.match(reason))
  }

  it('answers every text with one character changed', async () => {
    const text = (await compactCredential(signed)) ?? ''
    for (let position = 5; position < text.length; position++) {
      const other = text[position] === 'A' ? 'B' : 'A'
      const reading = await readCompact(text.slice(0, position) + other + text.slice(position + 1))
      if (reading.ok)
        expect(await faultsOf(reading.credential), String(position)).to.not.deep.equal(['ok'])
    }
  })
})
