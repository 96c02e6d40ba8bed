import { expect } from 'chai'
import fc from 'fast-check'
import { CSV_CELL_CHARACTERS_MAX, CSV_COLUMNS_MAX, csvRows } from '../../agent/registry-csv.ts'
import type { Registry } from '../../agent/registry.ts'
import { credentialType } from '../../protocols/credential/credential-type.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { ASHA, codeOf, openRegistryHome, textOf, TYPE } from './registry-home.ts'

const LABELS = 'Roll no.,नाम,dateOfBirth,/year,fullTime,result,guardian.phone,marks,Comment'

/** A first line of so many columns, of which two name fields. */
const columns = (count: number): string =>
  ['rollNumber', 'name', ...Array.from({ length: count - 2 }, (_, index) => `x${index}`)].join(',')

const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`

describe('agent/registry: a CSV file', () => {
  let registry: Registry

  beforeEach(async () => {
    const opened = await openRegistryHome()
    registry = opened.registry
    await opened.types.save(TYPE)
    await opened.types.publish('enrolment')
  })

  const total = async (query?: string): Promise<number> =>
    (await registry.search('enrolment', query === undefined ? {} : { query })).total

  const imported = async (
    ...parts: ReadonlyArray<string | Uint8Array>
  ): Promise<readonly JsonObject[]> => {
    await registry.importCsv('enrolment', textOf(...parts))
    const { records: found } = await registry.search('enrolment')
    return found.map(({ claims }) => claims)
  }

  it('names columns by property, pointer, dots or label, and cells by their type', async () => {
    const text = [
      LABELS,
      'A-118/24,Asha Rao,17/05/2003,2,yes,pass,098 765,"[40, 50]",ignored'
    ].join('\r\n')
    const report = await registry.importCsv('enrolment', textOf(text))
    expect(report).to.deep.include({ rows: 1, added: 1, ignored: ['Comment'], problems: [] })
    const { records: found } = await registry.search('enrolment')
    expect(found[0]?.claims).to.deep.equal({
      ...ASHA,
      fullTime: true,
      result: 'Pass',
      marks: [40, 50]
    })
  })

  it('reads quotes, empty cells, either line end and any cut of the bytes', async () => {
    const text = 'rollNumber;name;remark\r\nR1;"Rao; ""Asha""";"two\nlines"\r\n\r\nR2;X;\rR3;Y;"z"'
    const expected = [
      { rollNumber: 'R1', name: 'Rao; "Asha"', remark: 'two\nlines' },
      { rollNumber: 'R2', name: 'X' },
      { rollNumber: 'R3', name: 'Y', remark: 'z' }
    ]
    expect(await imported(text)).to.have.deep.members(expected)
    const bytes = new TextEncoder().encode(text.replace('Asha', 'आशा'))
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte))
    const report = await registry.importCsv('enrolment', textOf(...single), {
      key: ['/rollNumber']
    })
    expect(report).to.deep.include({ rows: 3, replaced: 1, unchanged: 2 })
    expect(await total('आशा')).to.equal(1)
  })

  it('takes a byte order mark and tabs', async () => {
    const mark = Uint8Array.of(0xef, 0xbb, 0xbf)
    const text = new TextEncoder().encode('rollNumber\tname\nR1\tA, B\n')
    expect(await imported(mark, text)).to.deep.equal([{ rollNumber: 'R1', name: 'A, B' }])
  })

  it('names rows that do not fit by their line', async () => {
    const text = 'rollNumber,name,year\nR1,A,1\nR2,,2\nR3,"C\nC",x\nR4,D,4\n'
    const report = await registry.importCsv('enrolment', textOf(text))
    expect(report).to.deep.include({ rows: 4, added: 2, rejected: 2 })
    expect(report.problems.map(({ row, pointer }) => [row, pointer])).to.deep.equal([
      [3, ''],
      [4, '/year']
    ])
  })

  it('refuses what is no CSV of this type', async () => {
    const files: ReadonlyArray<readonly (string | Uint8Array)[]> = [
      [''],
      ['a,b\n1,2\n'],
      ['rollNumber,rollNumber\n1,2\n'],
      ['rollNumber,Roll no.\n1,2\n'],
      ['rollNumber,name\n1,2,3\n'],
      ['rollNumber,name\n1,"2\n'],
      ['rollNumber,name\n1,"2"x\n'],
      ['rollNumber,name\n1,a"b"\n'],
      ['rollNumber,name\n', Uint8Array.of(0xff, 0xfe)],
      [`rollNumber,name\n1,${'x'.repeat(CSV_CELL_CHARACTERS_MAX + 1)}\n`],
      [columns(CSV_COLUMNS_MAX + 1)]
    ]
    for (const parts of files)
      expect(
        await codeOf(registry.importCsv('enrolment', textOf(...parts))),
        String(parts[0]).slice(0, 40)
      ).to.equal('registry-invalid')
    expect(await total()).to.equal(0)
  })

  it(`has at most ${CSV_COLUMNS_MAX} columns and ${CSV_CELL_CHARACTERS_MAX} characters a cell`, async () => {
    const wide = await registry.importCsv(
      'enrolment',
      textOf(`${columns(CSV_COLUMNS_MAX)}\nR1,A\n`)
    )
    expect(wide).to.deep.include({ added: 1 })
    const long = `rollNumber,name\nR2,${'x'.repeat(CSV_CELL_CHARACTERS_MAX)}\n`
    // The cell is read; that the record is too large is another rule.
    expect(await registry.importCsv('enrolment', textOf(long))).to.deep.include({ rejected: 1 })
  })

  it('is read back as it was written, whatever is in its cells and wherever its bytes are cut', async () => {
    const type = credentialType.parse(TYPE)
    const cell = fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.trim())
    const rows = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 7 }), async (written, cut) => {
        const text = ['rollNumber,remark', ...written.map((row) => row.map(quoted).join(','))].join(
          '\n'
        )
        const bytes = new TextEncoder().encode(text)
        const parts: Uint8Array[] = []
        for (let at = 0; at < bytes.length; at += cut) parts.push(bytes.subarray(at, at + cut))
        const read: JsonObject[] = []
        for await (const { claims } of csvRows(type, textOf(...parts), () => undefined))
          read.push(claims)
        expect(read).to.deep.equal(
          written.map(([rollNumber, remark]) => ({
            ...(rollNumber === '' ? {} : { rollNumber }),
            ...(remark === '' ? {} : { remark })
          }))
        )
      }),
      { numRuns: 200 }
    )
  })
})
