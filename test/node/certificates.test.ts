/**
 * Certificates as their readers have them: our own reader of attachments, poppler, a reader of codes; and templates
 * that try to get out of the compiler's process. How the scripts look is not for a machine to say, and was looked at.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import { expect } from 'chai'
import jsQR from 'jsqr'
import { LockerError } from '../../agent/errors.ts'
import {
  createCertificateRenderer,
  INPUT_BYTES_MAX,
  QUEUE_MAX,
  type CertificateInput,
  type CertificateRenderer
} from '../../node/certificates.ts'
import { CERTIFICATE_LANGUAGES } from '../../node/certificate-words.ts'
import { credentialType, type CredentialType } from '../../protocols/credential/credential-type.ts'
import {
  COMPACT_CHARS_MAX,
  compactCredential,
  readCompact
} from '../../protocols/credential/compact.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { credentialInPdf } from '../../protocols/credential/pdf.ts'
import { FakeClock, turns } from '../clock.ts'
import { hasPoppler, PopplerFile } from '../poppler.ts'

const ISSUER = 'did:web:university.example'
const HOLDER = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'

/** A template that is right and says where the attachment comes from. */
const OWN = '#import "parts.typ": *\n#show: certificate\n'

/** Loops for hours inside the compiler's native code. */
const ENDLESS = `${OWN}#let n = 0\n#let r = range(30000)\n#for a in r { for b in r { for c in r { n += 1 } } }\n`

function builtIn(id: string): CredentialType {
  return credentialType.parse(JSON.parse(readFileSync(`agent/credential-types/${id}.json`, 'utf8')))
}

const MARKSHEET = builtIn('academic-marksheet')

function credential(subject: JsonObject): JsonObject {
  return {
    '@context': ['https://www.w3.org/ns/credentials/v2'],
    id: 'urn:uuid:1f0e3c4a-7a3e-4a86-9c7b-2b0b8f1d6a11',
    type: ['VerifiableCredential'],
    issuer: { id: ISSUER },
    validFrom: '2026-06-30T20:00:00Z',
    credentialSubject: { id: HOLDER, ...subject }
  }
}

function input(changes: Partial<CertificateInput> = {}): CertificateInput {
  return {
    credential: credential({
      name: 'लक्ष्मी ज्ञानेश्वर',
      rollNumber: 'CS-21-0173',
      dateOfBirth: '2004-02-11'
    }),
    type: MARKSHEET,
    language: 'hi',
    secondLanguage: 'en',
    issuerNames: { en: 'State University', hi: 'राज्य विश्वविद्यालय' },
    qr: { kind: 'url', url: 'https://elocker.example/verify#eyJ2IjoxfQ', hash: 'zQmWvQ 9f2c 77aa' },
    verifyUrl: 'https://elocker.example/verify',
    ...changes
  }
}

/** PNG 1.2: header, size, one grey line for each row, end. Good enough for a decoder that checks sums. */
function png(width: number, height: number): Buffer {
  const table = Array.from({ length: 256 }, (_, byte) => {
    let sum = byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? 0xedb88320 ^ (sum >>> 1) : sum >>> 1
    return sum >>> 0
  })
  const chunk = (name: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
    let sum = 0xffffffff
    for (const byte of body) sum = (table[(sum ^ byte) & 255] ?? 0) ^ (sum >>> 8)
    const [size, check] = [Buffer.alloc(4), Buffer.alloc(4)]
    size.writeUInt32BE(data.length)
    check.writeUInt32BE((sum ^ 0xffffffff) >>> 0)
    return Buffer.concat([size, body, check])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 8
  const rows = Buffer.alloc(Math.min(height, 64) * (width + 1), 128).map((byte, at) =>
    at % (width + 1) === 0 ? 0 : byte
  )
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1A\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0))
  ])
}

async function failure(work: Promise<unknown>): Promise<LockerError> {
  try {
    await work
  } catch (error) {
    if (error instanceof LockerError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

/** What a code on the page says. */
function codeOn(file: PopplerFile, page: number): string | undefined {
  const { width, height, grey } = file.corner(page, { sizeMm: 95, dotsPerInch: 300 })
  const colours = new Uint8ClampedArray(4 * grey.length)
  for (const [at, value] of grey.entries()) colours.fill(value, 4 * at, 4 * at + 4)
  return jsQR.default(colours, width, height)?.data
}

describe('certificates', function () {
  this.timeout(30_000)
  let renderer: CertificateRenderer

  before(() => {
    renderer = createCertificateRenderer()
  })

  after(() => renderer.close())

  describe('the file', () => {
    it('carries the credential, byte for byte', async () => {
      const found = await credentialInPdf(await renderer.render(input()))
      if (!found.ok) throw new Error(found.reason)
      expect(found).to.include({ name: 'credential.json', mediaType: 'application/vc+json' })
      expect(Buffer.from(found.bytes).toString()).to.equal(JSON.stringify(input().credential))
    })

    it('carries the bytes it is handed, as of an SD-JWT', async () => {
      const bytes = Buffer.from('eyJhbGciOiJFZERTQSJ9.eyJ2Y3QiOiJ4In0.c2ln~WyJhIiwiYiIsImMiXQ~')
      const pdf = await renderer.render(
        input({ attachment: { mediaType: 'application/dc+sd-jwt', bytes } })
      )
      const found = await credentialInPdf(pdf)
      expect(found).to.include({
        ok: true,
        name: 'credential.sd-jwt',
        mediaType: 'application/dc+sd-jwt'
      })
      expect(found.ok && Buffer.compare(found.bytes, bytes)).to.equal(0)
    })

    it('is PDF/A-3a in what it says of itself', async () => {
      const text = Buffer.from(await renderer.render(input())).toString('latin1')
      expect(text)
        .to.match(/pdfaid:part>3</)
        .and.match(/pdfaid:conformance>A</)
      expect(text)
        .to.match(/\/AFRelationship\s*\/Source/)
        .and.match(/\/Lang\s*\(hi\)/)
    })

    it('is the same file for the same input', async () => {
      const [one, other] = [await renderer.render(input()), await renderer.render(input())]
      expect(Buffer.compare(one, other)).to.equal(0)
    })
  })

  describe('as poppler reads it', () => {
    before(function () {
      if (hasPoppler) return
      console.log('      skipped: pdfinfo is not here (apt-get install poppler-utils)')
      this.skip()
    })

    it('is tagged, has a title, is A4 and lists the credential', async () => {
      using file = new PopplerFile(await renderer.render(input()))
      const info = file.info()
      expect(info.get('Title')).to.equal('अंकपत्र: लक्ष्मी ज्ञानेश्वर')
      expect(info.get('Author')).to.equal('राज्य विश्वविद्यालय')
      expect(info.get('Tagged')).to.equal('yes')
      expect(info.get('Page size')).to.include('A4')
      expect(info.get('JavaScript')).to.equal('no')
      expect(file.attachments()).to.include('1: credential.json')
    })

    it('names the institution and the fields in both languages, dates in words, ids that can be copied', async () => {
      using file = new PopplerFile(await renderer.render(input({ timeZone: 'Asia/Kolkata' })))
      const text = file.text(1)
      expect(text)
        .to.include('State University')
        .and.include('Roll number')
        .and.include('CS-21-0173')
      expect(text).to.include('11 फ़रवरी 2004')
      // 20:00 in Greenwich on the 30th is the 1st in India.
      expect(text).to.include('1 जुलाई 2026')
      expect(text).to.include(HOLDER).and.include(ISSUER).and.include('zQmWvQ 9f2c 77aa')
    })

    it('sets every language from the left, Punjabi too, which is set from the right elsewhere', async () => {
      for (const language of CERTIFICATE_LANGUAGES) {
        const issuerNames = { en: 'ਰਾਜ ਯੂਨੀਵਰਸਿਟੀ' }
        using file = new PopplerFile(await renderer.render(input({ language, issuerNames })))
        expect(file.indent(1), language).to.be.lessThan(10)
      }
    })

    it('has a code that reads as the address', async () => {
      using file = new PopplerFile(await renderer.render(input()))
      expect(codeOn(file, 1)).to.equal('https://elocker.example/verify#eyJ2IjoxfQ')
    })

    it('has a code that reads as the credential itself, where it is small', async () => {
      const text = (await compactCredential(input().credential)) ?? ''
      using file = new PopplerFile(await renderer.render(input({ qr: { kind: 'compact', text } })))
      const reading = await readCompact(codeOn(file, 1) ?? '')
      expect(reading.ok && reading.credential).to.deep.equal(input().credential)
    })

    it('has a code that can be read of the longest text a compact credential has', async () => {
      const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:'
      const text = Array.from(
        { length: COMPACT_CHARS_MAX },
        (_, at) => letters[(at * 7) % 45]
      ).join('')
      using file = new PopplerFile(await renderer.render(input({ qr: { kind: 'compact', text } })))
      expect(codeOn(file, 1)).to.equal(text)
    })

    it('sets a list of entries as a table that goes on over pages, with its head and the institution repeated', async () => {
      const transactions = Array.from({ length: 70 }, (_, at) => ({
        transactionId: `T${at}`,
        kind: 'DEBIT',
        mode: 'UPI',
        amount: `${at}.00`,
        balance: '1000.00',
        at: '2026-06-01T10:00:00Z',
        valueDate: '2026-06-01',
        narration: `UPI/${'9'.repeat(40)}/entry ${at}`,
        reference: `R${at}`
      }))
      const statement = input({
        type: builtIn('bank-statement'),
        language: 'en',
        credential: credential({
          bank: 'State Bank',
          holders: [{ name: 'Asha Rao' }],
          transactions
        })
      })
      using file = new PopplerFile(await renderer.render(statement))
      const pages = Number(file.info().get('Pages'))
      expect(pages).to.be.greaterThan(2)
      expect(file.info().get('Title')).to.match(/: Asha Rao$/)
      const [first, second] = [file.text(1), file.text(2)]
      const head = /Narration|narration/
      expect(first).to.match(head)
      expect(second).to.match(head).and.include('State University')
      const all = Array.from({ length: pages }, (_, at) => file.text(at + 1)).join('\n')
      expect(all).to.include('R0').and.include('R69')
    })

    it('uses the shipped fonts only, for all nine scripts', async () => {
      const name = 'A क ক ਕ ક କ க క ಕ ക'
      using file = new PopplerFile(
        await renderer.render(input({ credential: credential({ name }) }))
      )
      const families = file.fonts().map((font) => font.replace(/-.*$/, ''))
      expect([...new Set(families)].toSorted()).to.deep.equal([
        'NotoSans',
        'NotoSansBengali',
        'NotoSansDevanagari',
        'NotoSansGujarati',
        'NotoSansGurmukhi',
        'NotoSansKannada',
        'NotoSansMalayalam',
        'NotoSansOriya',
        'NotoSansTamil',
        'NotoSansTelugu'
      ])
    })

    it('finds no font of the machine, not even by name', async function () {
      if (process.platform !== 'linux') this.skip()
      const templateSource = `${OWN}#text(font: ("DejaVu Sans", "Liberation Sans"), fallback: true)[abc]`
      using file = new PopplerFile(await renderer.render(input({ templateSource })))
      expect(file.fonts().join(' ')).to.not.match(/DejaVu|Liberation/)
    })
  })

  describe('every language it has words of its own in', () => {
    for (const language of CERTIFICATE_LANGUAGES) {
      it(`has a letter for every character of ${language}`, async () => {
        const compact = { kind: 'compact', text: 'ELC1:A' } as const
        for (const qr of [compact, input().qr]) {
          const pdf = await renderer.render(
            input({
              language,
              secondLanguage: 'en',
              qr,
              credential: credential({ yes: true, no: false })
            })
          )
          expect((await credentialInPdf(pdf)).ok).to.equal(true)
        }
      })
    }
  })

  describe('every shipped type', () => {
    for (const id of [
      'academic-marksheet',
      'bank-statement',
      'government-id',
      'insurance-policy',
      'land-record',
      'skill-badge',
      'vaccination'
    ]) {
      it(`makes a certificate of ${id} with nested fields, a picture and a logo`, async () => {
        const subject: JsonObject = {
          givenName: 'Asha',
          familyName: 'Rao',
          portrait: `data:image/png;base64,${png(60, 60).toString('base64')}`,
          sumInsured: { amount: '500000.00', currency: 'INR' },
          residentAddress: { street: 'MG Road', locality: 'Mysuru' },
          achievement: {
            id: 'https://a.example',
            type: ['Achievement'],
            name: 'Go',
            criteria: { narrative: 'x '.repeat(900) }
          },
          identifier: [
            { type: 'IdentityObject', hashed: true, tags: [['a', 'b'], { deep: [{ x: 1 }] }] }
          ],
          nothing: null,
          empty: {},
          none: [],
          __proto__: 'x',
          constructor: 'y'
        }
        const pdf = await renderer.render(
          input({ type: builtIn(id), credential: credential(subject), logo: png(40, 30) })
        )
        expect((await credentialInPdf(pdf)).ok).to.equal(true)
      })
    }
  })

  describe('what it refuses', () => {
    it('names a text that no font can show', async () => {
      const error = await failure(
        renderer.render(input({ credential: credential({ name: '漢字' }) }))
      )
      expect(error.code).to.equal('certificate-invalid')
      expect(error.message).to.include('漢')
    })

    it('refuses a logo that is no PNG, or is too wide', async () => {
      for (const logo of [Buffer.from('<svg/>'), png(4097, 1), png(8, 8).subarray(0, 40)]) {
        expect((await failure(renderer.render(input({ logo })))).code).to.equal(
          'certificate-invalid'
        )
      }
    })

    it('refuses a picture in a claim that is none', async () => {
      const portrait = `data:image/png;base64,${Buffer.from('not a picture').toString('base64')}`
      const error = await failure(renderer.render(input({ credential: credential({ portrait }) })))
      expect(error.code).to.equal('certificate-invalid')
    })

    it('takes input of the largest size and refuses one byte more', async () => {
      const source = OWN.padEnd(
        INPUT_BYTES_MAX - Buffer.byteLength(JSON.stringify(input().credential)),
        ' '
      )
      expect(await renderer.render(input({ templateSource: source }))).to.be.instanceOf(Uint8Array)
      const error = await failure(renderer.render(input({ templateSource: `${source} ` })))
      expect(error.code).to.equal('certificate-invalid')
    })

    const wrong: Readonly<Record<string, readonly [Partial<CertificateInput>, string]>> = {
      'a template that is not shipped': [{ template: 'diploma' }, 'template-unknown'],
      'a template by a path': [{ template: '../../package' }, 'template-unknown'],
      'a code that is too long': [
        { qr: { kind: 'compact', text: 'a'.repeat(2901) } },
        'certificate-invalid'
      ],
      'an empty code': [{ qr: { kind: 'compact', text: '' } }, 'certificate-invalid'],
      'a language that is none': [{ language: 'Hindi!' }, 'certificate-invalid'],
      'a time zone that is none': [{ timeZone: 'Mars/Olympus' }, 'certificate-invalid'],
      'a link that is a script': [{ verifyUrl: 'javascript:alert(1)' }, 'certificate-invalid']
    }
    for (const [title, [changes, code]] of Object.entries(wrong)) {
      it(`refuses ${title}: ${code}`, async () => {
        expect((await failure(renderer.render(input(changes)))).code).to.equal(code)
      })
    }
  })

  describe('a template of an institution', () => {
    it('can be put together of the shipped parts', async () => {
      const templateSource = `${OWN}#masthead\n#title\nIn our own words.\n#proof`
      const pdf = await renderer.render(input({ templateSource }))
      expect((await credentialInPdf(pdf)).ok).to.equal(true)
    })

    it('has its mistake named with line and column', async () => {
      const error = await failure(renderer.render(input({ templateSource: `${OWN}\n#nonsense` })))
      expect(error.code).to.equal('template-invalid')
      expect(error.message).to.include('unknown variable: nonsense').and.include('line 4')
      expect(error.facts['problems']).to.deep.include({
        message: 'unknown variable: nonsense',
        file: 'own-template.typ',
        line: 4,
        column: 2
      })
    })

    it('must attach the credential, and that one', async () => {
      const date = '#set document(title: "t", date: datetime(year: 2026, month: 1, day: 1))\n'
      const none = await failure(renderer.render(input({ templateSource: date })))
      expect(none.code).to.equal('template-invalid')
      expect(none.message).to.include('no credential')
      const other = `${date}#pdf.attach("credential.json", bytes("{}"), relationship: "source", mime-type: "application/vc+json", description: "d")`
      const wrong = await failure(renderer.render(input({ templateSource: other })))
      expect(wrong.message).to.include('another credential')
    })

    const escapes: Readonly<Record<string, string>> = {
      'a file by an absolute path': '#read("/etc/passwd")',
      'a file outside the folder': '#read("../certificates.ts")',
      'a picture from the network': '#image("https://elocker.example/x.png")',
      'the pictures of the certificate before it': '#image("claim-0.png")'
    }
    for (const [title, source] of Object.entries(escapes)) {
      it(`does not reach ${title}`, async () => {
        const portrait = `data:image/png;base64,${png(8, 8).toString('base64')}`
        await renderer.render(input({ credential: credential({ portrait }) }))
        const error = await failure(renderer.render(input({ templateSource: `${OWN}${source}` })))
        expect(error.code).to.equal('template-invalid')
        expect(error.message).to.match(/file not found|access denied|cannot read/)
        expect(error.message).to.not.include(process.cwd())
      })
    }

    it('imports no package, whose request goes to a proxy of ours and nowhere else', async () => {
      let asked = ''
      const proxy = createServer((socket) => {
        socket.once('data', (bytes) => {
          asked = bytes.toString('latin1').split('\r\n')[0] ?? ''
          socket.destroy()
        })
        socket.on('error', () => socket.destroy())
      })
      proxy.listen(0, '127.0.0.1')
      await once(proxy, 'listening')
      const { port } = proxy.address() as AddressInfo
      const watched = createCertificateRenderer({ proxyUrl: `http://127.0.0.1:${port}` })
      try {
        // Put together, so that no look at the text would find it.
        const templateSource = `${OWN}#let name = "@pre" + "view/cetz:0.3.0"\n#import name`
        const error = await failure(watched.render(input({ templateSource })))
        expect(error.code).to.equal('template-invalid')
        expect(error.message).to.include('packages are off')
        expect(asked).to.match(/^CONNECT packages\.typst\.org:443 /)
      } finally {
        watched.close()
        proxy.close()
      }
      const error = await failure(
        renderer.render(input({ templateSource: '#import "@preview/cetz:0.3.0"' }))
      )
      expect(error.message).to.include('packages are off')
    })
  })

  describe('the process', () => {
    it('is killed when time is up, and the next certificate is made', async () => {
      const clock = new FakeClock()
      const timed = createCertificateRenderer({ clock })
      try {
        const endless = failure(timed.render(input({ templateSource: ENDLESS })))
        const next = timed.render(input())
        await turns()
        await clock.advance(30_000)
        const error = await endless
        expect(error.code).to.equal('certificate-failed')
        expect(error.message).to.include('30000 ms')
        expect((await credentialInPdf(await next)).ok).to.equal(true)
      } finally {
        timed.close()
      }
    })

    it('ends when a template takes too much memory, and the next certificate is made', async function () {
      if (process.platform !== 'linux') this.skip()
      const small = createCertificateRenderer({ memoryKib: 700_000 })
      try {
        const greedy = `${OWN}#let a = range(3000000).map(i => str(i) * 1000)\n#a.len()`
        expect((await failure(small.render(input({ templateSource: greedy })))).code).to.equal(
          'certificate-failed'
        )
        expect((await credentialInPdf(await small.render(input()))).ok).to.equal(true)
      } finally {
        small.close()
      }
    })

    it('lets a hundred wait, refuses one more, and ends them all when closed', async () => {
      const full = createCertificateRenderer()
      const waiting = Array.from({ length: QUEUE_MAX + 1 }, () =>
        failure(full.render(input({ templateSource: ENDLESS })))
      )
      expect((await failure(full.render(input()))).code).to.equal('certificate-busy')
      full.close()
      const codes = new Set((await Promise.all(waiting)).map(({ code }) => code))
      expect([...codes]).to.deep.equal(['operation-cancelled'])
      expect((await failure(full.render(input()))).code).to.equal('operation-cancelled')
    })
  })
})
