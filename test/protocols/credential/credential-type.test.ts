import { readFileSync, readdirSync } from 'node:fs'
import { expect } from 'chai'
import {
  FIELDS_MAX,
  TYPE_CHARS_MAX,
  compareVersions,
  credentialSchemaOf,
  disclosablePointers,
  disclosureOf,
  fieldsOf,
  parseCredentialType,
  validUntilOf,
  versionFault,
  type CredentialType
} from '../../../protocols/credential/credential-type.ts'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue
} from '../../../protocols/credential/json.ts'
import { checkSchema } from '../../../protocols/credential/schema.ts'
import { HOLDER, SAMPLE_CLAIMS, SAMPLE_FORMS } from '../../sample-claims.ts'

const FOLDER = 'agent/credential-types'
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

const read = (file: string): JsonObject =>
  JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as JsonObject

async function typeOf(value: unknown): Promise<CredentialType> {
  const parsed = await parseCredentialType(value)
  if (!parsed.ok) throw new Error(parsed.problems.join(' '))
  return parsed.type
}

async function problemsOf(value: unknown): Promise<readonly string[]> {
  const parsed = await parseCredentialType(value)
  return parsed.ok ? [] : parsed.problems
}

/** The smallest type there is. */
const library = {
  id: 'library-card',
  version: '1.2.0',
  category: 'other',
  types: ['LibraryCard'],
  schema: {
    type: 'object',
    required: ['number'],
    properties: {
      number: { title: 'Number', type: 'string' },
      branch: { title: 'Branch', enum: ['north', 'south'] },
      loans: {
        title: 'Loans',
        type: 'array',
        items: { type: 'object', properties: { book: { title: 'Book', type: 'string' } } }
      }
    }
  },
  display: {
    en: {
      name: 'Library card',
      fields: { '/loans/*/book': { label: 'Title', help: 'Of the book.' } }
    },
    hi: { name: 'पुस्तकालय पत्र', fields: { '/number': { label: 'संख्या' } } }
  },
  disclosure: { '/branch': 'selectable', '/loans': 'hidden-by-default' }
}

const changed = (change: (type: typeof library & Record<string, unknown>) => void): unknown => {
  const copy = structuredClone(library) as typeof library & Record<string, unknown>
  change(copy)
  return copy
}

const sampleOf = (id: string): JsonObject => SAMPLE_CLAIMS.get(id) ?? {}

const rows = (value: JsonValue | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter((row: JsonValue) => isJsonObject(row)) : []

const sum = (values: readonly JsonObject[], name: string): number =>
  values.reduce((total, row) => total + Number(row[name]), 0)

const until = async (validity: string, from: string): Promise<string | undefined> => {
  const type = await typeOf(changed((copy) => (copy['validity'] = validity)))
  return validUntilOf(type, new Date(from))?.toISOString()
}

type Change = (type: typeof library & Record<string, unknown>) => void

const next = (
  version: string,
  change: (type: typeof library & Record<string, unknown>) => void
): Promise<CredentialType> =>
  typeOf(
    changed((copy) => {
      copy.version = version
      change(copy)
    })
  )

const floor: Change = (type) =>
  ((type.schema.properties as Record<string, unknown>)['floor'] = { title: 'Floor' })

const gone: Change = (type) => (type.schema.required = [])

describe('credential type', () => {
  describe('of the seven that come with it', () => {
    it('covers what institutions issue', () => {
      expect(FILES.map((file) => file.replace('.json', ''))).to.have.members([
        ...SAMPLE_CLAIMS.keys()
      ])
    })

    for (const file of FILES) {
      const id = file.replace('.json', '')

      it(`${id} is well-formed and named like its file`, async () => {
        expect((await typeOf(read(file))).id).to.equal(id)
      })

      it(`${id} has a label for every field in English and Hindi`, async () => {
        const type = await typeOf(read(file))
        const english = new Map(fieldsOf(type, 'en').map((field) => [field.pointer, field.label]))
        for (const field of fieldsOf(type, 'hi-IN')) {
          expect(Object.hasOwn(type.display['hi']?.fields ?? {}, field.pointer), field.pointer).to
            .be.true
          expect(field.label.trim(), field.pointer).to.not.equal('')
          expect(english.get(field.pointer), field.pointer).to.match(/^[A-Z].*[^.:]$/)
        }
      })

      it(`${id} takes its sample, by the claims alone and inside a credential`, async () => {
        const type = await typeOf(read(file))
        const claims = SAMPLE_CLAIMS.get(id)
        expect(await checkSchema(type.schema, claims)).to.deep.equal({ ok: true })
        const schema = credentialSchemaOf(type, `https://uni.example/schemas/${id}-1.0.0`)
        expect(
          await checkSchema(schema, { type: ['x'], credentialSubject: claims ?? {} })
        ).to.deep.equal({ ok: true })
        expect(
          await checkSchema(schema, { credentialSubject: [claims ?? {}, claims ?? {}] })
        ).to.deep.equal({ ok: true })
        const wrong = await checkSchema(schema, { credentialSubject: { ...claims, surprise: 1 } })
        expect(wrong.ok ? [] : wrong.problems).to.deep.equal([
          { pointer: '/credentialSubject/surprise', message: 'is not a field of this form' }
        ])
      })

      it(`${id} takes a form of a holder and refuses an empty one`, async () => {
        const { form } = await typeOf(read(file))
        expect(await checkSchema(form, SAMPLE_FORMS.get(id))).to.deep.equal({ ok: true })
        expect((await checkSchema(form, {})).ok).to.be.false
      })

      it(`${id} uses no name in its claims that JSON-LD keeps for itself`, async () => {
        const reserved = fieldsOf(await typeOf(read(file))).filter(
          ({ pointer }) => /\/(id|type)$/.test(pointer) && pointer !== '/id'
        )
        // Only Open Badges give their objects types and ids, as its own context defines them.
        if (id !== 'skill-badge') expect(reserved).to.be.empty
      })
    }
  })

  describe('sample', () => {
    it('bank statement reconciles', () => {
      const statement = sampleOf('bank-statement')
      let paise = Math.round(Number(statement['openingBalance']) * 100)
      for (const row of rows(statement['transactions'])) {
        paise += (row['kind'] === 'CREDIT' ? 1 : -1) * Math.round(Number(row['amount']) * 100)
        expect(paise).to.equal(Math.round(Number(row['balance']) * 100))
      }
      expect(paise).to.equal(Math.round(Number(statement['closingBalance']) * 100))
    })

    it('land record and policy share out a hundred per cent', () => {
      expect(sum(rows(sampleOf('land-record')['owners']), 'sharePercent')).to.equal(100)
      expect(sum(rows(sampleOf('insurance-policy')['nominees']), 'sharePercent')).to.equal(100)
    })

    it('marksheet adds up', () => {
      const sheet = sampleOf('academic-marksheet')
      expect(sum(rows(sheet['subjects']), 'totalMarks')).to.equal(sheet['totalMarks'])
      expect(sum(rows(sheet['subjects']), 'maximumMarks')).to.equal(sheet['maximumMarks'])
    })
  })

  describe('from outside', () => {
    it('is read, with the default template', async () => {
      const type = await typeOf(library)
      expect(type.template).to.equal('certificate')
      expect(validUntilOf(type, new Date())).to.be.undefined
    })

    const faults: readonly (readonly [string, unknown, string])[] = [
      ['nothing', null, 'credential type'],
      ['a misspelt member', changed((type) => (type['validty'] = 'P1Y')), 'validty'],
      ['an id with a slash', changed((type) => (type.id = '../x')), 'id: not a name'],
      [
        'a version without patch',
        changed((type) => (type.version = '1.2')),
        'version: not MAJOR.MINOR.PATCH'
      ],
      ['a version with a leading zero', changed((type) => (type.version = '01.2.0')), 'version'],
      [
        'no English',
        changed((type) => Reflect.deleteProperty(type.display, 'en')),
        'English (en) is missing'
      ],
      [
        'a schema that does not compile',
        changed((type) => (type['schema'] = { type: 'objct' } as never)),
        'schema: the schema cannot be used'
      ],
      [
        'a schema that is no object',
        changed((type) => (type.schema.type = 'string')),
        'schema: its type is not "object"'
      ],
      [
        'a form that does not compile',
        changed((type) => (type['form'] = { type: 'object', properties: { a: { pattern: '(' } } })),
        'form: the schema cannot be used'
      ],
      [
        'a field without title',
        changed((type) => Reflect.deleteProperty(type.schema.properties.number, 'title')),
        'the field /number has no title'
      ],
      [
        'a field that SD-JWT keeps for itself',
        changed(
          (type) => ((type.schema.properties as Record<string, unknown>)['status'] = { title: 'S' })
        ),
        'the name of the field /status is kept'
      ],
      [
        'a keyword of JSON-LD as a field',
        changed(
          (type) => ((type.schema.properties as Record<string, unknown>)['@id'] = { title: 'S' })
        ),
        'the name of the field /@id is kept'
      ],
      [
        'a label for no field',
        changed(
          (type) =>
            ((type.display.hi.fields as JsonObject as Record<string, unknown>)['/x'] = {
              label: 'X'
            })
        ),
        'display.hi: there is no field /x'
      ],
      [
        'a rule for no field',
        changed((type) => ((type.disclosure as Record<string, string>)['/x'] = 'always')),
        'disclosure: there is no field /x'
      ],
      [
        'a search over a list',
        changed((type) => (type['search'] = ['/loans/*/book'])),
        'search: the field /loans/*/book is not a single value'
      ],
      [
        'a search over a group',
        changed((type) => (type['search'] = ['/loans'])),
        'search: the field /loans is not a single value'
      ],
      [
        'a validity of hours',
        changed((type) => (type['validity'] = 'PT5H')),
        'validity: not an ISO 8601 duration'
      ],
      [
        'a validity of nothing',
        changed((type) => (type['validity'] = 'P0D')),
        'validity: P0D is no time at all'
      ],
      [
        'a validity of 999 years',
        changed((type) => (type['validity'] = 'P999Y')),
        'more than 200 years'
      ],
      [
        'VerifiableCredential as its type',
        changed((type) => type.types.push('VerifiableCredential')),
        'goes without saying'
      ],
      [
        'a language that is none',
        changed(
          (type) => ((type.display as Record<string, unknown>)['English'] = library.display.en)
        ),
        'display'
      ],
      [
        'a description longer than the whole may be',
        changed((type) => (type['x'] = 'a'.repeat(TYPE_CHARS_MAX))),
        `longer than ${TYPE_CHARS_MAX}`
      ],
      [
        'more fields than a form has',
        changed((type) => {
          type.schema.properties = Object.fromEntries(
            Array.from({ length: FIELDS_MAX + 1 }, (_, index) => [`f${index}`, { title: 'F' }])
          ) as never
          type.disclosure = {} as never
          type.display.en.fields = {} as never
          type.display.hi.fields = {} as never
        }),
        `more than ${FIELDS_MAX} fields`
      ]
    ]
    for (const [what, value, message] of faults) {
      it(`refuses ${what}`, async () => {
        expect((await problemsOf(value)).join(' ')).to.include(message)
      })
    }

    it('takes no harm from names of Object.prototype', async () => {
      const hostile: unknown = JSON.parse(
        JSON.stringify(library).replace(
          '"disclosure":{',
          '"disclosure":{"__proto__":"always","/constructor":"always",'
        )
      )
      expect((await problemsOf(hostile)).join(' ')).to.not.equal('')
      expect(disclosureOf(await typeOf(library), '/constructor')).to.equal('always')
    })
  })

  it('lists fields with label, help, rule and whether they are required', async () => {
    const fields = fieldsOf(await typeOf(library), 'hi').map(
      ({ pointer, label, help, required, disclosure, group }) => ({
        pointer,
        label,
        ...(help === undefined ? {} : { help }),
        required,
        disclosure,
        group
      })
    )
    expect(fields).to.deep.equal([
      { pointer: '/number', label: 'संख्या', required: true, disclosure: 'always', group: false },
      {
        pointer: '/branch',
        label: 'Branch',
        required: false,
        disclosure: 'selectable',
        group: false
      },
      {
        pointer: '/loans',
        label: 'Loans',
        required: false,
        disclosure: 'hidden-by-default',
        group: true
      },
      {
        pointer: '/loans/*/book',
        label: 'Title',
        help: 'Of the book.',
        required: false,
        disclosure: 'hidden-by-default',
        group: false
      }
    ])
  })

  it('names what a holder may keep back, entry by entry, and only what is there', async () => {
    const type = await typeOf(
      changed(
        (copy) =>
          ((copy as Record<string, unknown>)['disclosure'] = {
            '/loans/*/book': 'selectable',
            '/branch': 'selectable'
          })
      )
    )
    expect(
      disclosablePointers(type, { loans: [{ book: 'A' }, {}, { book: 'B' }] })
    ).to.have.members(['/loans/0/book', '/loans/2/book'])
    expect(disclosablePointers(type, { number: '1', branch: 'north', loans: 5 })).to.have.members([
      '/branch'
    ])
  })

  it('counts validity by the calendar', async () => {
    expect(await until('P1Y', '2024-02-29T10:00:00Z')).to.equal('2025-02-28T10:00:00.000Z')
    expect(await until('P1M', '2026-01-31T00:00:00Z')).to.equal('2026-02-28T00:00:00.000Z')
    expect(await until('P1Y6M', '2026-11-23T12:00:00Z')).to.equal('2028-05-23T12:00:00.000Z')
    expect(await until('P2W3D', '2026-12-25T00:00:00Z')).to.equal('2027-01-11T00:00:00.000Z')
  })

  it('keeps references inside the claims working in the schema that is published', async () => {
    const type = await typeOf(
      changed((copy) => {
        ;(copy as Record<string, unknown>)['schema'] = {
          type: 'object',
          properties: {
            number: { title: 'Number', $ref: '#/$defs/code' },
            branch: { title: 'B' },
            loans: {
              title: 'L',
              type: 'array',
              items: { type: 'object', properties: { book: { title: 'Book' } } }
            }
          },
          $defs: { code: { type: 'string', maxLength: 3 } }
        }
      })
    )
    const schema = credentialSchemaOf(type, 'https://lib.example/schemas/library-card')
    expect((await checkSchema(schema, { credentialSubject: { id: HOLDER, number: 'abc' } })).ok).to
      .be.true
    expect((await checkSchema(schema, { credentialSubject: { number: 'abcd' } })).ok).to.be.false
  })

  describe('versions', () => {
    // oxfmt-ignore
    const cases: readonly (readonly [string, Change, 'additive' | 'breaking'])[] = [
      ['nothing', () => undefined, 'additive'],
      ['a label', (type) => (type.display.en.name = 'Card'), 'additive'],
      ['a title', (type) => (type.schema.properties.number.title = 'No.'), 'additive'],
      ['an optional field', (type) => ((type.schema.properties as Record<string, unknown>)['floor'] = { title: 'Floor' }), 'additive'],
      ['an optional field in a list', (type) => ((type.schema.properties.loans.items.properties as Record<string, unknown>)['due'] = { title: 'Due' }), 'additive'],
      ['one more value', (type) => type.schema.properties.branch.enum.push('west'), 'additive'],
      ['a required field', (type) => type.schema.required.push('branch'), 'breaking'],
      ['a field that may now be absent', (type) => (type.schema.required = []), 'breaking'],
      ['a field that is gone', (type) => { Reflect.deleteProperty(type.schema.properties, 'branch'); Reflect.deleteProperty(type.disclosure, '/branch') }, 'breaking'],
      ['a value that is gone', (type) => type.schema.properties.branch.enum.pop(), 'breaking'],
      ['another kind of value', (type) => (type.schema.properties.number.type = 'number'), 'breaking'],
      ['another rule of disclosure', (type) => (type.disclosure['/branch'] = 'always'), 'breaking'],
      ['another VC type', (type) => (type.types = ['Card']), 'breaking']
    ]
    for (const [what, change, expected] of cases) {
      it(`calls ${what} ${expected}`, async () => {
        expect(compareVersions(await typeOf(library), await next('1.3.0', change))).to.equal(
          expected
        )
      })
    }

    // oxfmt-ignore
    const rules: readonly (readonly [string, Change, string | undefined])[] = [
      ['1.3.0', floor, undefined],
      ['1.2.1', (type) => (type.display.en.name = 'Card'), undefined],
      ['2.0.0', gone, undefined],
      ['1.2.1', floor, 'it must be 1.3.0'],
      ['1.3.0', gone, 'it must be 2.0.0'],
      ['1.2.0', floor, 'does not come after version 1.2.0'],
      ['1.1.9', floor, 'does not come after version 1.2.0']
    ]
    for (const [version, change, fault] of rules) {
      it(`${fault === undefined ? 'takes' : 'refuses'} ${version} after 1.2.0${fault === undefined ? '' : `: ${fault}`}`, async () => {
        const said = versionFault(await typeOf(library), await next(version, change))
        if (fault === undefined) expect(said).to.be.undefined
        else expect(said).to.include(fault)
      })
    }
  })
})
