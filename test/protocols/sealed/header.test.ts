import { expect } from 'chai'
import fc from 'fast-check'
import {
  checkHeader,
  formatHeader,
  HEADER_BYTES_MAX,
  parseHeader,
  STANZAS_MAX,
  type Stanza
} from '../../../protocols/sealed/header.ts'
import { native } from '../../../protocols/sealed/native.ts'
import { random, refuses } from './sealed-file.ts'

const fileKey = new Uint8Array(16).fill(7)
const stanza = (bodyBytes: number, ...args: string[]): Stanza => ({
  args: ['type', ...args],
  body: random(bodyBytes)
})
const format = (stanzas: readonly Stanza[]): Uint8Array => formatHeader(stanzas, fileKey, native)

/** Header whose only stanza makes it exactly so many bytes long. */
function headerOf(sizeBytes: number): Uint8Array {
  const without = format([stanza(32, 'a')]).length
  return format([stanza(32, 'a'.repeat(1 + sizeBytes - without))])
}

describe('age header', () => {
  it('reads what it writes, whatever the stanzas', () => {
    const vchar = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
    const arg = fc.string({ unit: vchar, minLength: 1, maxLength: 40 })
    const stanzas = fc.array(
      fc.record({
        args: fc.tuple(arg, arg).map(([type, more]) => [type, more] as [string, string]),
        body: fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes))
      }),
      { minLength: 1, maxLength: STANZAS_MAX }
    )
    fc.assert(
      fc.property(stanzas, fc.uint8Array({ maxLength: 20 }), (written, behind) => {
        const bytes = format(written)
        const header = parseHeader(Buffer.concat([bytes, behind]))
        expect(header.sizeBytes).to.equal(bytes.length)
        expect(header.stanzas).to.deep.equal(written)
        checkHeader(header, fileKey, native)
      })
    )
  })

  it('ends a body that fills its last line with an empty one', () => {
    for (const size of [0, 47, 48, 49, 96]) {
      const lines = Buffer.from(format([stanza(size)]))
        .toString()
        .split('\n')
      const body = lines.slice(
        2,
        lines.findIndex((line) => line.startsWith('---'))
      )
      expect(body.length).to.equal(Math.floor(size / 48) + 1)
      expect(body.at(-1)?.length).to.be.lessThan(64)
    }
  })

  it('takes headers up to 64 KiB and no larger', async () => {
    expect(parseHeader(headerOf(HEADER_BYTES_MAX)).sizeBytes).to.equal(HEADER_BYTES_MAX)
    await refuses(() => headerOf(HEADER_BYTES_MAX + 1), 'sealed-malformed')
    const [line, ...rest] = Buffer.from(headerOf(HEADER_BYTES_MAX)).toString().split('-> type ')
    const longer = Buffer.from(`${line}-> type a${rest.join('-> type ')}`)
    await refuses(() => parseHeader(longer), 'sealed-malformed')
  })

  it('takes up to 32 stanzas and at least one', async () => {
    const many = Array.from({ length: STANZAS_MAX }, () => stanza(32))
    const bytes = format(many)
    expect(parseHeader(bytes).stanzas).to.have.lengthOf(STANZAS_MAX)
    await refuses(() => format([...many, stanza(32)]), 'sealed-malformed')
    await refuses(() => format([]), 'sealed-malformed')
    const text = Buffer.from(bytes).toString()
    await refuses(
      () => parseHeader(Buffer.from(text.replace('---', '-> one more\n\n---'))),
      'sealed-malformed'
    )
    const none = `age-encryption.org/v1\n--- ${'A'.repeat(43)}\n`
    await refuses(() => parseHeader(Buffer.from(none)), 'sealed-malformed')
  })

  it('writes no argument that could break its line', async () => {
    for (const arg of ['', 'a b', 'a\nb', 'ä', '\u007f'])
      await refuses(() => format([stanza(32, arg)]), 'sealed-malformed')
  })

  it('refuses a header whose MAC was made with another file key', async () => {
    const header = parseHeader(format([stanza(32)]))
    await refuses(() => checkHeader(header, new Uint8Array(16), native), 'sealed-damaged')
  })

  it('refuses bytes outside ASCII and lines ended by anything but a line feed', async () => {
    const text = Buffer.from(format([stanza(32, 'abc')])).toString('latin1')
    for (const bad of [
      text.replace('abc', 'ab\u00e9'),
      text.replace('abc', 'ab\u0000'),
      text.replace('abc\n', 'abc\r\n'),
      text.replace('-> type', '->  type'),
      text.replace('-> type', '->\ttype'),
      text.replace('abc\n', 'abc \n'),
      `\n${text}`,
      ` ${text}`
    ])
      await refuses(() => parseHeader(Buffer.from(bad, 'latin1')), 'sealed-malformed')
  })
})
