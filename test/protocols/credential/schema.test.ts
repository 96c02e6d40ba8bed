import { expect } from 'chai'
import { checkSchema, schemaFault } from '../../../protocols/credential/schema.ts'
import {
  SCHEMA_BYTES_MAX,
  SCHEMA_PROBLEMS_MAX,
  type SchemaOutcome
} from '../../../protocols/credential/schema-problems.ts'

/** `pointer: message` of each problem, or `ok`. */
async function outcome(schema: unknown, value: unknown): Promise<string> {
  const result = await checkSchema(schema, value)
  return result.ok
    ? 'ok'
    : `${result.code} ${result.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join('; ')}`
}

async function codeOf(schema: unknown, value: unknown = {}): Promise<string> {
  const result: SchemaOutcome = await checkSchema(schema, value)
  return result.ok ? 'ok' : result.code
}

const marks = {
  type: 'object',
  required: ['name', 'marks'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', maxLength: 20 },
    born: { type: 'string', format: 'date' },
    grade: { enum: ['A1', 'A2'] },
    marks: { type: 'array', minItems: 1, items: { type: 'integer', minimum: 0, maximum: 100 } },
    code: { type: 'string', pattern: '^[A-Z]{3}$' }
  }
}

describe('schema', () => {
  it('passes a value that conforms', async () => {
    const value = { name: 'Asha', born: '2004-02-29', grade: 'A2', marks: [91, 100], code: 'ABC' }
    expect(await outcome(marks, value)).to.equal('ok')
  })

  const wrongs: readonly (readonly [string, unknown, string])[] = [
    ['a field that is absent', { name: 'A' }, ': lacks "marks"'],
    ['a field of another kind', { name: 5, marks: [1] }, '/name: must be text, not 5'],
    [
      'a value outside a list',
      { name: 'A', marks: [1], grade: 'Z' },
      '/grade: must be one of "A1", "A2", not "Z"'
    ],
    [
      'a number too large',
      { name: 'A', marks: [1, 101] },
      '/marks/1: must be at most 100, not 101'
    ],
    [
      'a date that is none',
      { name: 'A', marks: [1], born: '2023-02-30' },
      '/born: is not a valid date: "2023-02-30"'
    ],
    [
      'another form',
      { name: 'A', marks: [1], code: 'abc' },
      '/code: does not have the form "^[A-Z]{3}$": "abc"'
    ],
    [
      'a field that is not there',
      { name: 'A', marks: [1], x: 1 },
      '/x: is not a field of this form'
    ],
    [
      'too long a text',
      { name: 'A'.repeat(21), marks: [1] },
      '/name: must have at most this many characters: 20, not'
    ],
    [
      'an empty list',
      { name: 'A', marks: [] },
      '/marks: must have at least this many entries: 1, not []'
    ]
  ]
  for (const [what, value, message] of wrongs) {
    it(`says what is wrong with ${what}`, async () => {
      expect(await outcome(marks, value)).to.include(`value-wrong ${message}`)
    })
  }

  it('reports every problem, at most fifty', async () => {
    const two = await checkSchema(marks, { name: 5, marks: ['x'] })
    expect(two.ok ? [] : two.problems.map(({ pointer }) => pointer)).to.have.members([
      '/name',
      '/marks/0'
    ])
    const many = await checkSchema(marks, {
      name: 'A',
      marks: Array.from({ length: 200 }, () => 'x')
    })
    expect(many.ok ? 0 : many.problems.length).to.equal(SCHEMA_PROBLEMS_MAX)
  })

  it('forgets what failed on the way when another alternative holds', async () => {
    expect(await outcome({ anyOf: [{ type: 'string' }, { type: 'number' }] }, 5)).to.equal('ok')
  })

  it('follows references inside the schema, by pointer, anchor and name', async () => {
    const schema = {
      $id: 'https://uni.example/schemas/a',
      $ref: '#/$defs/text',
      anyOf: [{ $ref: '#named' }, { $ref: 'https://uni.example/schemas/b' }],
      $defs: {
        text: { type: 'string' },
        named: { $anchor: 'named', maxLength: 1 },
        other: { $id: 'b', minLength: 3 }
      }
    }
    expect(await outcome(schema, 'abc')).to.equal('ok')
    expect(await codeOf(schema, 'ab')).to.equal('value-wrong')
  })

  it('looks through patternProperties, additionalProperties and unevaluatedProperties', async () => {
    const schema = {
      patternProperties: { '^x-': { type: 'number' } },
      properties: { a: true },
      additionalProperties: { type: 'boolean' }
    }
    expect(await outcome(schema, { a: 'free', 'x-1': 1, other: true })).to.equal('ok')
    expect(await outcome(schema, { 'x-1': 'no', other: 1 })).to.equal(
      'value-wrong /x-1: must be a number, not "no"; /other: must be true or false, not 1'
    )
    const closed = {
      allOf: [{ patternProperties: { '^x-': true } }, { properties: { a: true } }],
      unevaluatedProperties: false
    }
    expect(await outcome(closed, { a: 1, 'x-1': 1 })).to.equal('ok')
    expect(await outcome(closed, { b: 1 })).to.equal('value-wrong /b: is not a field of this form')
  })

  it('takes names of Object.prototype for ordinary names', async () => {
    const schema: unknown = JSON.parse(
      '{"properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}},"additionalProperties":false}'
    )
    expect(await outcome(schema, JSON.parse('{"__proto__":"a","constructor":"b"}'))).to.equal('ok')
    expect(await outcome(schema, JSON.parse('{"__proto__":1}'))).to.equal(
      'value-wrong /__proto__: must be text, not 1'
    )
    expect(await codeOf(schema, JSON.parse('{"toString":1}'))).to.equal('value-wrong')
    expect(await codeOf({ required: ['constructor'] }, {})).to.equal('value-wrong')
  })

  it('keeps two schemas of the same name apart', async () => {
    const id = 'https://uni.example/schemas/same'
    expect(await codeOf({ $id: id, type: 'string' }, 'a')).to.equal('ok')
    expect(await codeOf({ $id: id, type: 'number' }, 'a')).to.equal('value-wrong')
  })

  // oxfmt-ignore
  const formats: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['date', ['2024-02-29'], ['2023-02-29', '2023-2-1', '2023-01-01T00:00:00Z', '']],
    ['date-time', ['2026-11-23T10:00:00Z', '2026-11-23t10:00:00.5+05:30'], ['2026-11-23T10:00:00', '2026-11-23', '2023-02-30T00:00:00Z']],
    ['time', ['10:00:00Z', '10:00:00.25+05:30'], ['10:00', '25:00:00Z']],
    ['duration', ['P1Y', 'P3W', 'PT36H', 'P1DT12H'], ['P', 'PT', '1Y', 'P1DT']],
    ['email', ['asha@example.org', 'आशा@उदाहरण.भारत'], ['asha', 'asha@', '@example.org', 'a b@example.org', 'asha@localhost']],
    ['uri', ['https://uni.example/a', 'did:key:z6Mk', 'urn:uuid:1'], ['uni.example', '/a', 'https://a b']],
    ['uuid', ['7d1c2d0e-6a1f-4f8c-9d55-0d9f1c3b4a11'], ['7d1c2d0e6a1f4f8c9d550d9f1c3b4a11']]
  ]
  for (const [format, right, wrong] of formats) {
    it(`holds ${format} to its form`, async () => {
      for (const text of right) expect(await outcome({ format }, text)).to.equal('ok')
      for (const text of wrong) expect(await codeOf({ format }, text), text).to.equal('value-wrong')
      expect(await outcome({ format }, 5)).to.equal('ok')
    })
  }

  it('takes a format that it does not know as it stands', async () => {
    expect(await outcome({ format: 'hostname' }, 'a b')).to.equal('ok')
  })

  const malformed: readonly (readonly [string, unknown])[] = [
    ['a type that does not exist', { type: 'strnig' }],
    ['a text instead of a schema', 'schema'],
    ['nothing', null],
    ['a pattern that is none', { pattern: '(' }],
    ['a pattern with look-ahead', { properties: { a: { pattern: '^(?=a)' } } }],
    ['a reference to nothing inside', { $ref: '#/$defs/absent' }],
    ['a reference to a name of Object.prototype', { $ref: '#constructor' }],
    ['an older draft', { $schema: 'http://json-schema.org/draft-07/schema#' }],
    [
      'an older draft further in',
      { properties: { a: { $schema: 'http://json-schema.org/draft-07/schema#' } } }
    ],
    ['a vocabulary of its own', { $id: 'https://a.example/', $vocabulary: {} }],
    [
      'the name of JSON Schema itself',
      { $id: 'https://json-schema.org/draft/2020-12/schema', type: 'object' }
    ]
  ]
  for (const [what, schema] of malformed) {
    it(`refuses ${what}`, async () => {
      expect(await codeOf(schema)).to.equal('schema-malformed')
    })
  }

  it('still knows JSON Schema after a schema that called itself by its name', async () => {
    await codeOf({ $id: 'https://json-schema.org/draft/2020-12/schema', type: 'object' })
    expect(await codeOf({ type: 'nonsense' })).to.equal('schema-malformed')
    expect(await codeOf({ type: 'object' })).to.equal('ok')
  })

  it('takes a claim named like a keyword for data', async () => {
    const schema = { properties: { $vocabulary: { const: { $vocabulary: 'x' } } } }
    expect(await outcome(schema, { $vocabulary: { $vocabulary: 'x' } })).to.equal('ok')
  })

  it('never fetches: a reference that leads out is named', async () => {
    const fetched = globalThis.fetch
    let asked = 0
    globalThis.fetch = () => {
      asked += 1
      return Promise.reject(new Error('no network here'))
    }
    try {
      for (const url of ['https://evil.example/schema', 'file:///etc/passwd']) {
        const result = await checkSchema({ $ref: url }, {})
        expect(result.ok ? 'ok' : result.code).to.equal('schema-remote-ref')
        expect(result.ok ? '' : result.problems[0]?.message).to.include(url)
      }
    } finally {
      globalThis.fetch = fetched
    }
    expect(asked).to.equal(0)
  })

  it('reads a schema of 64 KiB and refuses one byte more', async () => {
    const overhead = JSON.stringify({ title: '' }).length
    const title = 'a'.repeat(SCHEMA_BYTES_MAX - overhead)
    expect(await codeOf({ title })).to.equal('ok')
    expect(await codeOf({ title: `${title}a` })).to.equal('schema-too-large')
    expect(
      await codeOf({ title: 'आ'.repeat(SCHEMA_BYTES_MAX / 2) }),
      'bytes, not characters'
    ).to.equal('schema-too-large')
  })

  it('refuses a schema of 10 MB at once', async () => {
    const properties = Object.fromEntries(
      Array.from({ length: 200_000 }, (_, index) => [
        `field-${index}`,
        { type: 'string', title: 'a field' }
      ])
    )
    const begun = process.cpuUsage()
    expect(await codeOf({ properties })).to.equal('schema-too-large')
    expect(process.cpuUsage(begun).user / 1000, 'milliseconds of processor').to.be.below(1000)
  })

  it('refuses a schema nested beyond 32 levels, however deep', async () => {
    let schema: unknown = {}
    for (let depth = 0; depth < 100_000; depth += 1) schema = { not: schema }
    expect(await codeOf(schema)).to.equal('schema-too-large')
  })

  it('stops a schema whose evaluation explodes', async () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [
        `d${index}`,
        { allOf: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }] }
      ])
    )
    expect(await codeOf({ $ref: '#/$defs/d0', $defs: { ...$defs, d30: {} } })).to.equal(
      'schema-too-costly'
    )
  })

  it('stops a schema that refers to itself and to nothing else', async () => {
    expect(await codeOf({ $ref: '#' })).to.equal('schema-too-costly')
  })

  it('refuses values that are not JSON', async () => {
    for (const value of [undefined, Number.NaN, '\ud800', new Date(0), () => 1]) {
      const result = await checkSchema({}, value)
      expect(result.ok ? 'ok' : result.code).to.equal('value-wrong')
    }
  })

  it('says of a schema alone whether it compiles', async () => {
    expect(await schemaFault(marks)).to.be.undefined
    expect((await schemaFault({ type: 'x' }))?.code).to.equal('schema-malformed')
  })
})
