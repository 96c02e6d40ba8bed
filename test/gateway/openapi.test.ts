/** /openapi.json and /docs. */
import { expect } from 'chai'
import { PAGE_POLICY } from '../../gateway/headers.ts'
import { TestGateway } from './harness.ts'

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly parameters?: ReadonlyArray<{ in: string; name: string; required?: boolean }>
  readonly security: unknown
  readonly responses: Record<string, { description: string }>
}

interface Document {
  readonly openapi: string
  readonly info: { version: string }
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: {
    schemas: Record<string, unknown>
    securitySchemes: Record<string, unknown>
  }
}

async function read(test: TestGateway): Promise<Document> {
  const answer = await test.bare('/openapi.json')
  expect(answer.headers['content-type']).to.equal('application/json; charset=utf-8')
  return answer.json() as unknown as Document
}

/** Every `$ref` in a value. */
function refs(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) =>
    name === '$ref' && typeof member === 'string' ? [member] : refs(member)
  )
}

/** What a JSON pointer in a fragment leads to. */
function follow(document: unknown, ref: string): unknown {
  let value = document
  for (const part of ref.replace(/^#\//, '').split('/'))
    value = (value as Record<string, unknown> | undefined)?.[part]
  return value
}

describe('gateway: openapi', () => {
  it('is OpenAPI 3.1.0 with unique operations, each with a summary, a good answer and the problem', async () => {
    await using test = await TestGateway.open()
    const { openapi, info, paths } = await read(test)
    expect(openapi).to.equal('3.1.0')
    expect(info.version).to.equal('0.0.0-test')
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods))
    expect(operations.length).to.be.at.least(55)
    const ids = operations.map(({ operationId }) => operationId)
    expect(new Set(ids).size).to.equal(ids.length)
    for (const operation of operations) {
      expect(operation.operationId).to.match(/^[a-z][A-Za-z0-9]+$/)
      expect(operation.summary).to.match(/^[A-Z].{5,}/)
      expect(
        Object.keys(operation.responses).filter((code) => /^20[0-4]$/.test(code))
      ).to.have.length(1)
      expect(operation.responses['default']?.description).to.contain('RFC 9457')
    }
  })

  it('declares each name in a path as a required parameter', async () => {
    await using test = await TestGateway.open()
    const { paths } = await read(test)
    for (const [path, methods] of Object.entries(paths))
      for (const { parameters = [] } of Object.values(methods)) {
        const declared = parameters.filter((each) => each.in === 'path' && each.required === true)
        const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
        expect(
          declared.map(({ name }) => name),
          path
        ).to.have.members(named)
      }
  })

  it('has no reference that leads nowhere, and no schema that is not referred to', async () => {
    await using test = await TestGateway.open()
    const document = await read(test)
    const all = refs(document)
    expect(all.length).to.be.at.least(50)
    for (const ref of all) expect(follow(document, ref), ref).to.be.an('object')
    const used = new Set(all.map((ref) => ref.replace('#/components/schemas/', '')))
    expect([...used]).to.have.members(Object.keys(document.components.schemas))
  })

  it('describes what the gateway answers: a document fits its schema', async () => {
    await using test = await TestGateway.open()
    const { components } = await read(test)
    const id = await test.add('a.txt', 'hello')
    const facts = (await test.call(`/api/v1/documents/${id}`)).json()
    const schema = components.schemas['DocumentFacts'] as {
      properties: Record<string, unknown>
      required: string[]
    }
    expect(Object.keys(schema.properties)).to.include.members(Object.keys(facts))
    expect(Object.keys(facts)).to.include.members(schema.required)
  })

  it('serves the reference page and its files from this origin, under a policy of its own', async () => {
    await using test = await TestGateway.open()
    const page = await test.bare('/docs/')
    expect(page.status).to.equal(200)
    expect(page.headers['content-security-policy']).to.equal(
      PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    )
    const loaded = [...page.body.toString().matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, url]) => url
    )
    expect(loaded).to.have.length(3)
    for (const url of loaded) {
      const file = await test.bare(url ?? '')
      expect([url, file.status]).to.deep.equal([url, 200])
      expect(file.body.length).to.be.greaterThan(100)
    }
    expect((await test.bare('/docs/package.json')).status).to.equal(404)
    expect((await test.bare('/docs/..%2fpackage.json')).status).to.equal(404)
    expect((await test.stranger('/docs/')).status).to.equal(404)
  })
})
