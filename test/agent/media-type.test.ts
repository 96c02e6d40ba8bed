import { expect } from 'chai'
import fc from 'fast-check'
import { sniffMediaType } from '../../agent/media-type.ts'

const utf16 = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le')

const KNOWN: ReadonlyArray<readonly [content: string | Uint8Array, mediaType: string]> = [
  ['%PDF-1.7\n%âãÏÓ\n', 'application/pdf'],
  [
    Buffer.from(
      '89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154',
      'hex'
    ),
    'image/png'
  ],
  [Buffer.from('ffd8ffe000104a46494600010100', 'hex'), 'image/jpeg'],
  [Buffer.from('504b0506000000000000000000000000000000000000', 'hex'), 'application/zip'],
  ['{\\rtf1\\ansi hello}', 'application/rtf'],
  ['BM is how this letter begins', 'text/plain'],
  ['Zeugnis\r\nüber drei Jahre\t\f', 'text/plain'],
  ['\ufeffmit Marke', 'text/plain'],
  [utf16('auch Text'), 'text/plain'],
  ['', 'application/octet-stream'],
  [Buffer.from([0x47, 0xfc, 0x6e, 0x74, 0x65, 0x72]), 'application/octet-stream'],
  ['text with \0 in it', 'application/octet-stream'],
  ['{"a":1}', 'application/json'],
  [' [1, 2, 3]\n', 'application/json'],
  ['{}', 'application/json'],
  ['[draft] a letter', 'text/plain'],
  ['{"a":1} and more', 'text/plain'],
  ['name,age\nAnn,7\nBo,9\n', 'text/csv'],
  ['name;"a;b"\r\nAnn;"line\nbreak"', 'text/csv'],
  ['name\tage\nAnn\t7', 'text/tab-separated-values'],
  ['Dear Ann,\nI am well, and you, too.\nBo', 'text/plain'],
  ['<?xml version="1.0"?>\n<invoice/>', 'application/xml'],
  ['<?xml version="1.0"?><!DOCTYPE invoice [<!ENTITY a "b">]><invoice/>', 'application/xml'],
  ['<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', 'application/xhtml+xml']
]

/** What a browser would run if it were served as what it is. */
const ACTIVE: ReadonlyArray<readonly [content: string | Uint8Array, mediaType: string]> = [
  ['<!DOCTYPE html><p>', 'text/html'],
  ['<!doctype HTML>', 'text/html'],
  ['\n\t <HTML><body>', 'text/html'],
  ['<script>alert(1)</script>', 'text/html'],
  ['<!-- a comment --><b>bold', 'text/html'],
  ['<!-- only a comment', 'text/html'],
  ['<x><iframe src=//evil>', 'text/html'],
  ['\ufeff<html>', 'text/html'],
  [utf16('<html><script>'), 'text/html'],
  [Buffer.concat([Buffer.from('<html>'), Buffer.from([0xff, 0xfe, 0x00])]), 'text/html'],
  ['<svg xmlns="http://www.w3.org/2000/svg"><script/>', 'image/svg+xml'],
  ['<?xml version="1.0"?>\n<!-- x -->\n<svg onload="x()"/>', 'image/svg+xml'],
  ['<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg/>', 'image/svg+xml'],
  ['<!-- hidden --><s:svg xmlns:s="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
  [utf16('<svg/>'), 'image/svg+xml']
]

describe('agent/media-type', () => {
  for (const [content, mediaType] of [...KNOWN, ...ACTIVE])
    it(`takes ${JSON.stringify(Buffer.from(content).toString().slice(0, 40))} for ${mediaType}`, async () => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      expect(await sniffMediaType(bytes, true)).to.equal(mediaType)
    })

  it('tells the beginning of a long text, JSON or table', async () => {
    for (const [text, mediaType] of [
      ['ü'.repeat(40_000), 'text/plain'],
      [`[${'{"a":"b"},'.repeat(9_000)}`, 'application/json'],
      ['a,b\n'.repeat(20_000), 'text/csv']
    ] as const) {
      // An odd length cuts a character of two bytes.
      const head = Buffer.from(text).subarray(0, 65_535)
      expect(await sniffMediaType(head, false)).to.equal(mediaType)
    }
  })

  it('knows a credential by its first context and an SD-JWT by its parts', async () => {
    const context = 'https://www.w3.org/ns/credentials/v2'
    const credential = `{"@context":["${context}"],"type":"VerifiableCredential"}`
    const other = `{"@context":["https://example.org","${context}"]}`
    const table = 'eyJhbGciOiJFZERTQSJ9.eyJ2Y3QiOiJ1cm46eCJ9.c2ln'
    for (const [text, mediaType] of [
      [credential, 'application/vc+json'],
      [other, 'application/json'],
      [`${table}~`, 'application/dc+sd-jwt'],
      [`${table}~WyJzIiwiYSIsMV0~`, 'application/dc+sd-jwt'],
      [table, 'text/plain']
    ] as const)
      expect(await sniffMediaType(Buffer.from(text), true), text).to.equal(mediaType)
    const long = Buffer.from(`{"@context":["${context}"],"id":"${'x'.repeat(70_000)}"}`)
    expect(await sniffMediaType(long.subarray(0, 65_536), false)).to.equal('application/vc+json')
  })

  it('does not call anything harmless that begins as markup', async () => {
    const tag = fc.constantFrom('script', 'svg', 'html', 'iframe', 'body')
    const before = fc.constantFrom('', ' \n', '<!-- x -->', '\ufeff', '<?xml version="1.0"?>')
    await fc.assert(
      fc.asyncProperty(before, tag, fc.string(), async (prologue, name, rest) => {
        const bytes = Buffer.from(`${prologue}<${name} a="b">${rest}`)
        expect(await sniffMediaType(bytes, true)).to.match(/html|svg|xml/)
      }),
      { numRuns: 300 }
    )
  })

  it('survives any bytes, quickly', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4_000 }), fc.boolean(), async (bytes, whole) => {
        expect(await sniffMediaType(bytes, whole)).to.match(/^[a-z]+\/[a-z0-9.+-]+$/)
      }),
      { numRuns: 300 }
    )
    const start = performance.now()
    for (const piece of ['<!--', '<?', '<!doctype ', '{"', '"', '[', '<', ' '])
      await sniffMediaType(Buffer.from(piece.repeat(65_536 / piece.length)), false)
    expect(performance.now() - start).to.be.below(3_000)
  })
})
