/** Names and types of documents in headers: whatever a document is called, the header is one header. */
import { expect } from 'chai'
import fc from 'fast-check'
import { attachment, fileName, safeMediaType } from '../../gateway/headers.ts'
import { TestGateway } from './harness.ts'

/** Names that are something else somewhere: a path, a device, a header, markup, a trick of the eye. */
const NAMES: readonly string[] = [
  'report.pdf',
  'Zeugnis München.pdf',
  'डिग्री.pdf',
  '学位.pdf',
  '😀.png',
  'a b.txt',
  "o'clock.txt",
  '../../etc/passwd',
  '..\\..\\windows\\system32',
  '/etc/passwd',
  'C:\\boot.ini',
  '\\\\server\\share',
  '%2e%2e%2fpasswd',
  '..%2f..%2f',
  '%00.pdf',
  '%0d%0aSet-Cookie: a=b',
  '100%.pdf',
  '%41.txt',
  'a\r\nSet-Cookie: a=b',
  'a\nb',
  'a\rb',
  'a\0b',
  'a\tb',
  '\u001b[31mred',
  'a\u0085b',
  'a\u2028b',
  'a"b.pdf',
  'a".exe',
  '";filename="b.exe',
  'a\\"b',
  'a;b=c',
  "a; filename*=UTF-8''b.exe",
  'a,b',
  '<script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  'javascript:alert(1)',
  '=cmd|calc!A0',
  '\u202egnp.exe',
  'a\u200eb\u200f',
  '\u2066a\u2069',
  '\ufeffa.txt',
  'a\u200bb',
  'a\u00adb',
  'CON',
  'con.txt',
  'NUL',
  'aux.pdf',
  'COM1',
  'LPT9.doc',
  'console.txt',
  '.',
  '..',
  '...',
  '.htaccess',
  '~',
  '~/.ssh/id',
  'name.',
  'name ',
  ' name',
  '',
  'constructor',
  '__proto__',
  'hasOwnProperty',
  'toString',
  'a'.repeat(300),
  `${'b'.repeat(300)}.pdf`,
  '\ud800',
  'a\udc00b',
  'e\u0301.txt',
  'ﬁle.pdf'
]

/** The value of `filename*`, decoded as RFC 8187 §3.2 says; else of `filename`. */
function read(header: string): string {
  const extended = /; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)$/.exec(header)?.[1]
  if (extended !== undefined) return decodeURIComponent(extended)
  return /; filename="([^"\\]*)"$/.exec(header)?.[1] ?? '(none)'
}

describe('gateway: content headers', () => {
  it('has a corpus of at least 60 names', () => expect(NAMES.length).to.be.at.least(60))

  for (const name of NAMES)
    it(`keeps ${JSON.stringify(name).slice(0, 60)} inside one Content-Disposition`, () => {
      const header = attachment(name)
      // RFC 6266 §4.1: a token, a quoted string of printable ASCII without escapes, and an ext-value.
      expect(header).to.match(
        /^attachment; filename="[\x20-\x21\x23-\x5b\x5d-\x7e]+"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?$/
      )
      expect(read(header)).to.equal(fileName(name))
    })

  it('sends what another agent calls its document as one header, whatever that is', async () => {
    await using test = await TestGateway.open()
    test.agent.addContact('did:example:bob', 'Bob')
    for (const name of NAMES) {
      const content = new Uint8Array(3)
      const { id } = test.agent.sharing.receive({ from: 'Bob', name, content })
      await test.agent.sharing.accept(id)
      const { status, headers } = await test.call(`/api/v1/inbox/${id}/content`)
      expect(status).to.equal(200)
      expect(headers['content-disposition']).to.equal(attachment(name))
      expect(headers).to.not.have.property('set-cookie')
    }
  })

  it('makes a file name that is no path, device or hidden file of any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...NAMES)), (name) => {
        const safe = fileName(name)
        expect(safe).to.match(/^[^\p{Cc}/\\:*?"<>|]+$/u)
        expect(safe).to.not.match(/^[.~]|^(con|nul|aux|prn)(\.|$)|[. ]$/i)
        expect(Array.from(safe).length).to.be.at.most(201)
        expect(() => encodeURIComponent(safe)).to.not.throw()
      })
    )
  })

  it('keeps ordinary names as they are', () => {
    for (const name of [
      'report.pdf',
      'Zeugnis München.pdf',
      'डिग्री.pdf',
      '学位.pdf',
      "o'clock.txt"
    ])
      expect(fileName(name)).to.equal(name)
  })

  it('keeps the extension of a long name', () => {
    expect(fileName(`${'b'.repeat(300)}.pdf`)).to.match(/^b+\.pdf$/)
  })

  // oxfmt-ignore
  const TYPES: ReadonlyArray<readonly [given: string, sent: string]> = [
    ['application/pdf',             'application/pdf'],
    ['image/png',                   'image/png'],
    ['text/plain',                  'text/plain; charset=utf-8'],
    ['text/csv; charset=latin1',    'text/csv; charset=utf-8'],
    ['text/html',                   'application/octet-stream'],
    ['TEXT/HTML',                   'application/octet-stream'],
    ['text/html; charset=utf-8',    'application/octet-stream'],
    ['application/xhtml+xml',       'application/octet-stream'],
    ['image/svg+xml',               'application/octet-stream'],
    ['application/xml',             'application/octet-stream'],
    ['text/xml',                    'application/octet-stream'],
    ['application/rss+xml',         'application/octet-stream'],
    ['application/mathml+xml',      'application/octet-stream'],
    ['text/javascript',             'application/octet-stream'],
    ['application/wasm',            'application/octet-stream'],
    ['multipart/x-mixed-replace',   'application/octet-stream'],
    ['message/rfc822',              'application/octet-stream'],
    ['',                            'application/octet-stream'],
    ['nonsense',                    'application/octet-stream'],
    ['a/b\r\nSet-Cookie: c=d',      'application/octet-stream'],
    ['*/*',                         '*/*']
  ]
  for (const [given, sent] of TYPES)
    it(`sends ${JSON.stringify(given)} as ${sent}`, () =>
      expect(safeMediaType(given)).to.equal(sent))
})
