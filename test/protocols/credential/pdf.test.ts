/** Attachments of PDFs: what writers produce is read, what forgers produce is refused in bounded time. */
import { deflateSync } from 'node:zlib'
import { expect } from 'chai'
import fc from 'fast-check'
import { CREDENTIAL_BYTES_MAX } from '../../../protocols/credential/json.ts'
import {
  credentialInPdf,
  PDF_BYTES_MAX,
  type PdfOutcome
} from '../../../protocols/credential/pdf.ts'
import {
  attachmentParts,
  classicPdf,
  latin1,
  packedPdf,
  updated,
  type PdfPart
} from '../../pdf-builder.ts'
import { samplePdf } from '../../sample-pdf.ts'

const CREDENTIAL = Buffer.from(
  '{"@context":["https://www.w3.org/ns/credentials/v2"],"type":["VerifiableCredential"],"क्ष":"ज्ञ"}'
)

/** Slowest a hostile file may be, milliseconds, on a machine that does other things beside. */
const HOSTILE_MS_MAX = 3_000

function codeOf(outcome: PdfOutcome): string {
  return outcome.ok ? `found ${outcome.name}` : outcome.code
}

async function refusal(file: Uint8Array): Promise<{ code: string; reason: string }> {
  const start = performance.now()
  const outcome = await credentialInPdf(file)
  expect(performance.now() - start).to.be.lessThan(HOSTILE_MS_MAX)
  if (outcome.ok) throw new Error(`found ${outcome.name}`)
  expect(outcome.reason).to.match(/^[A-Z0-9].*\.$/)
  return outcome
}

/** The parts of the usual file with some exchanged. */
function parts(...changed: readonly (readonly [number, PdfPart])[]): Map<number, PdfPart> {
  return new Map([...attachmentParts(CREDENTIAL), ...changed])
}

const CATALOGUE = (names: string): string =>
  `<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles ${names} >> >>`

/** An embedded file as it is packed. */
function embedded(packed: Uint8Array): PdfPart {
  return {
    dictionary: '/Type /EmbeddedFile /Subtype /application#2Fvc+json /Filter /FlateDecode',
    stream: packed
  }
}

describe('credential in a PDF', () => {
  describe('as writers attach it', () => {
    const files: Readonly<Record<string, Buffer>> = {
      'a cross-reference table': classicPdf(attachmentParts(CREDENTIAL)),
      'object streams and a cross-reference stream': packedPdf(attachmentParts(CREDENTIAL)),
      'something before its header': classicPdf(attachmentParts(CREDENTIAL), {
        before: 'HTTP junk\n'
      }),
      'a stream that is not packed': classicPdf(
        parts([
          4,
          { dictionary: '/Type /EmbeddedFile /Subtype /application#2Fvc+json', stream: CREDENTIAL }
        ])
      ),
      'a length that stands elsewhere': classicPdf(
        attachmentParts(CREDENTIAL, { stream: { length: '9 0 R' } }).set(
          9,
          String(deflateSync(CREDENTIAL).length)
        )
      ),
      'a name tree of several levels': classicPdf(
        parts(
          [1, CATALOGUE('5 0 R')],
          [5, '<< /Kids [6 0 R] >>'],
          [6, '<< /Kids [7 0 R] /Limits [(a) (z)] >>'],
          [7, '<< /Names [(credential.json) 3 0 R] /Limits [(a) (z)] >>']
        )
      ),
      'only the list of associated files': classicPdf(
        parts([1, '<< /Type /Catalog /Pages 2 0 R /AF 5 0 R >>'], [5, '[3 0 R]'])
      ),
      'an update that changes something else': updated(
        classicPdf(attachmentParts(CREDENTIAL)),
        new Map([[2, '<< /Type /Pages /Kids [] /Count 0 /X 1 >>']])
      )
    }
    for (const [title, file] of Object.entries(files)) {
      it(`finds it byte for byte: ${title}`, async () => {
        const found = await credentialInPdf(file)
        if (!found.ok) throw new Error(found.reason)
        expect(Buffer.compare(found.bytes, CREDENTIAL)).to.equal(0)
        expect(found).to.include({ name: 'credential.json', mediaType: 'application/vc+json' })
      })
    }

    it('goes by the media type, whatever the name', async () => {
      const file = classicPdf(
        attachmentParts(CREDENTIAL, { name: 'marks.bin', mediaType: 'application/dc+sd-jwt' })
      )
      expect(codeOf(await credentialInPdf(file))).to.equal('found marks.bin')
    })

    it('goes by the name where the media type is only a syntax or missing', async () => {
      for (const mediaType of ['application/json', 'application/octet-stream', '']) {
        const file = classicPdf(attachmentParts(CREDENTIAL, { mediaType }))
        expect(codeOf(await credentialInPdf(file))).to.equal('found credential.json')
      }
    })

    it('gives a name in UTF-16 as text, without characters that turn it round', async () => {
      const name = Buffer.from('\uFEFFअंक\u202Etxt.json', 'utf16le').swap16().toString('hex')
      const file = classicPdf(parts([3, `<< /Type /Filespec /UF <${name}> /EF << /F 4 0 R >> >>`]))
      expect(codeOf(await credentialInPdf(file))).to.equal('found अंकtxt.json')
    })

    it('reads what the newest update attaches', async () => {
      const other = Buffer.from('{"type":["VerifiableCredential"],"id":"urn:uuid:2"}')
      const [, stream] = [...attachmentParts(other)].find(([number]) => number === 4) ?? []
      if (stream === undefined) throw new Error('no stream')
      const found = await credentialInPdf(
        updated(classicPdf(attachmentParts(CREDENTIAL)), new Map([[4, stream]]))
      )
      expect(found.ok && Buffer.from(found.bytes).toString()).to.equal(other.toString())
    })
  })

  describe('where there is none, or no one', () => {
    it('says that a PDF has no credential', async () => {
      expect((await refusal(samplePdf('Title', ['text']))).code).to.equal('no-credential')
      const image = classicPdf(
        attachmentParts(CREDENTIAL, { name: 'credential.json', mediaType: 'image/png' })
      )
      expect((await refusal(image)).code).to.equal('no-credential')
    })

    it('says that a file is no PDF', async () => {
      for (const file of [new Uint8Array(), CREDENTIAL, latin1('x'.repeat(2000))]) {
        expect((await refusal(file)).code).to.equal('not-a-pdf')
      }
    })

    it('refuses to choose between two credentials, and names them', async () => {
      const file = classicPdf(
        parts(
          [1, CATALOGUE('<< /Names [(a) 3 0 R (b) 5 0 R] >>')],
          [5, '<< /Type /Filespec /F (vc.json) /EF << /F 6 0 R >> >>'],
          [6, { dictionary: '/Type /EmbeddedFile', stream: CREDENTIAL }]
        )
      )
      const { code, reason } = await refusal(file)
      expect(code).to.equal('several-credentials')
      expect(reason).to.include('credential.json, vc.json')
    })

    it('says that a PDF is encrypted', async () => {
      const file = classicPdf(attachmentParts(CREDENTIAL), {
        trailer: '/Encrypt << /Filter /Standard /V 4 >>'
      })
      expect((await refusal(file)).code).to.equal('encrypted')
    })

    it('names a packing it does not read', async () => {
      for (const dictionary of [
        '/Filter /LZWDecode',
        '/Filter [/ASCIIHexDecode /FlateDecode]',
        '/F (http://x)'
      ]) {
        const file = classicPdf(
          parts([
            4,
            { dictionary: `/Subtype /application#2Fvc+json ${dictionary}`, stream: CREDENTIAL }
          ])
        )
        expect((await refusal(file)).code).to.equal('unsupported')
      }
    })
  })

  describe('made to harm', () => {
    const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024))
    const nested = `${'['.repeat(5000)}${']'.repeat(5000)}`
    const cases: Readonly<Record<string, readonly [Uint8Array, string]>> = {
      'a stream said to have 1 GiB': [
        classicPdf(attachmentParts(CREDENTIAL, { stream: { length: 2 ** 30 } })),
        'malformed'
      ],
      'a stream said to end earlier than it does': [
        classicPdf(attachmentParts(CREDENTIAL, { stream: { length: 10 } })),
        'malformed'
      ],
      'a length that is itself in the stream': [
        classicPdf(attachmentParts(CREDENTIAL, { stream: { length: '4 0 R' } })),
        'malformed'
      ],
      'lengths that stand in a thousand streams, each with its length in the next': [
        classicPdf(
          new Map<number, PdfPart>([
            ...attachmentParts(CREDENTIAL, { stream: { length: '100 0 R' } }),
            ...Array.from(
              { length: 1000 },
              (_, at) =>
                [
                  100 + at,
                  { dictionary: '', stream: CREDENTIAL, length: `${101 + at} 0 R` }
                ] as const
            )
          ])
        ),
        'malformed'
      ],
      'an attachment that inflates to 64 MiB': [
        classicPdf(parts([4, embedded(bomb)])),
        'limit-exceeded'
      ],
      'an attachment that is cut off': [
        classicPdf(parts([4, embedded(deflateSync(CREDENTIAL).subarray(0, 20))])),
        'malformed'
      ],
      'an attachment that does not inflate': [
        classicPdf(parts([4, embedded(CREDENTIAL)])),
        'malformed'
      ],
      'an update that comes before itself': [
        (() => {
          const file = classicPdf(attachmentParts(CREDENTIAL), {
            trailer: '/Prev 0000000000'
          }).toString('latin1')
          const at = /startxref\n(\d+)/.exec(file)?.[1] ?? ''
          return latin1(file.replace('/Prev 0000000000', `/Prev ${at.padStart(10, '0')}`))
        })(),
        'malformed'
      ],
      'a name tree that holds itself': [
        classicPdf(parts([1, CATALOGUE('5 0 R')], [5, `<< /Kids [${'5 0 R '.repeat(300)}] >>`])),
        'limit-exceeded'
      ],
      'a reference to itself': [classicPdf(parts([3, '3 0 R'])), 'malformed'],
      'more attachments than are looked at': [
        classicPdf(parts([1, CATALOGUE(`<< /Names [${'(a) 3 0 R '.repeat(200)}] >>`)])),
        'limit-exceeded'
      ],
      'lists within lists': [
        classicPdf(parts([1, `<< /Type /Catalog /AF ${nested} >>`])),
        'limit-exceeded'
      ],
      'an object of a million values': [
        classicPdf(parts([1, `<< /Type /Catalog /AF [${'0 '.repeat(1_000_000)}] >>`])),
        'limit-exceeded'
      ],
      'a table of a thousand million lines': [
        latin1(
          `%PDF-1.7\nxref\n0 999999999\n${'0000000000 00000 n \n'.repeat(600_000)}startxref\n9\n%%EOF\n`
        ),
        'limit-exceeded'
      ],
      'a cross-reference stream of rows without width': [
        latin1(
          '%PDF-1.7\n1 0 obj\n<< /Type /XRef /Size 9999999 /W [0 0 0] /Root 1 0 R /Length 0 >>\nstream\n\nendstream\nendobj\nstartxref\n9\n%%EOF\n'
        ),
        'malformed'
      ],
      'a dictionary that says two things': [
        classicPdf(parts([3, '<< /F (credential.json) /EF << /F 4 0 R /F 2 0 R >> >>'])),
        'malformed'
      ],
      'an object that is not where the table says': [
        (() => {
          const file = classicPdf(attachmentParts(CREDENTIAL)).toString('latin1')
          return latin1(file.replace('3 0 obj', '8 0 obj'))
        })(),
        'malformed'
      ],
      'a megabyte of white space': [
        classicPdf(parts([3, `<<${' '.repeat(1_000_000)}/EF << /F 4 0 R >> >>`])),
        'limit-exceeded'
      ],
      'no end': [classicPdf(attachmentParts(CREDENTIAL)).subarray(0, -60), 'malformed'],
      'a credential of more bytes than one may have': [
        classicPdf(attachmentParts(Buffer.alloc(CREDENTIAL_BYTES_MAX + 1, 0x20))),
        'limit-exceeded'
      ]
    }
    for (const [title, [file, code]] of Object.entries(cases)) {
      it(`refuses ${title}: ${code}`, async () => {
        expect((await refusal(file)).code).to.equal(code)
      })
    }

    it('reads a credential of exactly the size one may have', async () => {
      const found = await credentialInPdf(
        classicPdf(attachmentParts(Buffer.alloc(CREDENTIAL_BYTES_MAX, 0x20)))
      )
      expect(found.ok && found.bytes.length).to.equal(CREDENTIAL_BYTES_MAX)
    })

    it('does not look into a file over its limit', async () => {
      expect((await refusal(new Uint8Array(PDF_BYTES_MAX + 1))).code).to.equal('limit-exceeded')
    })

    it('gives a value for every file with bytes changed, never an exception', async () => {
      const files = [
        classicPdf(attachmentParts(CREDENTIAL)),
        packedPdf(attachmentParts(CREDENTIAL))
      ]
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...files),
          fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 4 }),
          async (file, changes) => {
            const changed = Buffer.from(file)
            for (const [at, byte] of changes) changed[at % changed.length] = byte
            const outcome = await credentialInPdf(changed)
            if (outcome.ok) expect(outcome.bytes.length).to.be.at.most(CREDENTIAL_BYTES_MAX)
            else expect(outcome.reason).to.not.equal('')
          }
        ),
        { numRuns: 500 }
      )
    })
  })
})
