import { expect } from 'chai'
import { openAudit, type Audit } from '../../agent/audit.ts'
import {
  openCredentialTypes,
  TYPE_VERSIONS_MAX,
  type CredentialTypes
} from '../../agent/credential-types.ts'
import type { Records } from '../../agent/records.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { ManualClock } from './faults.ts'
import { failure, Home } from './record-home.ts'

const SEVEN = [
  'academic-marksheet',
  'bank-statement',
  'government-id',
  'insurance-policy',
  'land-record',
  'skill-badge',
  'vaccination'
]

interface Change {
  readonly id?: string
  readonly version?: string
  readonly properties?: JsonObject
  readonly required?: readonly string[]
  readonly search?: readonly string[]
}

/** A type as an institution would write it, small. */
function library({ id = 'library-card', version = '1.0.0', ...change }: Change = {}): JsonObject {
  return {
    id,
    version,
    category: 'other',
    types: ['LibraryCard'],
    schema: {
      type: 'object',
      properties: {
        name: { type: 'string', title: 'Name' },
        number: { type: 'string', title: 'Number' },
        ...change.properties
      },
      required: change.required ?? ['name', 'number']
    },
    display: { en: { name: 'Library card', fields: {} } },
    disclosure: {},
    template: 'certificate',
    search: change.search ?? ['/number']
  }
}
const branch = { branch: { type: 'string', title: 'Branch' } }

const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code

describe('agent/credential-types', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let types: CredentialTypes

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
    types = await openCredentialTypes({ records, audit, clock })
  }
  const states = (id: string): string[] =>
    types
      .list()
      .filter(({ type }) => type.id === id)
      .map(({ type, state }) => `${type.version} ${state}`)
  const actions = async (): Promise<string[]> =>
    (await audit.list()).map(({ action, actor }) => `${action} ${actor}`)

  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock()
    await open()
  })

  it('comes with seven types, as drafts that are in no record', async () => {
    expect(types.list().map(({ type }) => type.id)).to.deep.equal(SEVEN)
    for (const { state, builtIn, savedAt } of types.list())
      expect({ state, builtIn, savedAt }).to.deep.equal({
        state: 'draft',
        builtIn: true,
        savedAt: undefined
      })
    expect(types.published()).to.deep.equal([])
    expect([...(await home.db.keys().all())].join(' ')).to.not.include('credential-types/')
  })

  it('publishes each of the seven with one call', async () => {
    for (const id of SEVEN) await types.publish(id)
    expect(types.published().map(({ id }) => id)).to.deep.equal(SEVEN)
    await records.close()
    await open()
    expect(types.published().map(({ id }) => id)).to.deep.equal(SEVEN)
    expect(types.list()).to.have.length(SEVEN.length)
  })

  it('takes a type from one file: draft, published, deprecated', async () => {
    const draft = await types.save(library())
    expect(draft).to.deep.include({ state: 'draft', builtIn: false })
    clock.advance(1000)
    const published = await types.publish('library-card', { by: 'asha' })
    expect(published).to.deep.include({
      state: 'published',
      savedAt: '2026-11-23T12:00:00.000Z',
      publishedAt: '2026-11-23T12:00:01.000Z'
    })
    expect(types.published().map(({ id }) => id)).to.deep.equal(['library-card'])
    const deprecated = await types.deprecate('library-card', '1.0.0')
    expect(deprecated).to.deep.include({ state: 'deprecated' })
    expect(types.published()).to.deep.equal([])
    expect(types.get('library-card').state).to.equal('deprecated')
    expect(await actions()).to.deep.equal([
      'type-deprecated owner',
      'type-published asha',
      'type-saved owner'
    ])
  })

  it('replaces a draft, and nothing that was published', async () => {
    await types.save(library())
    const { type } = await types.save(library({ properties: branch }))
    expect(type.schema).to.have.nested.property('properties.branch')
    expect(states('library-card')).to.deep.equal(['1.0.0 draft'])
    await types.publish('library-card')
    expect(await codeOf(types.save(library()))).to.equal('type-state')
    expect(await codeOf(types.publish('library-card'))).to.equal('type-state')
    expect(await codeOf(types.publish('library-card', { version: '1.0.0' }))).to.equal('type-state')
    await types.deprecate('library-card', '1.0.0')
    expect(await codeOf(types.publish('library-card'))).to.equal('type-state')
    expect(await codeOf(types.deprecate('library-card', '1.0.0'))).to.equal('type-state')
  })

  it('lets a version only add when it is a minor one', async () => {
    await types.save(library())
    await types.publish('library-card')
    const saved = async (change: Change): Promise<string> => {
      try {
        await types.save(library(change))
        return 'saved'
      } catch (error) {
        return error instanceof Error && 'code' in error ? String(error.code) : 'fault'
      }
    }
    const added = { properties: branch }
    const required = { ...added, required: ['name', 'number', 'branch'] }
    expect(await saved({ version: '0.9.0', ...added })).to.equal('type-invalid')
    expect(await saved({ version: '1.0.1', ...added })).to.equal('type-invalid')
    expect(await saved({ version: '1.1.0', ...required })).to.equal('type-invalid')
    expect(await saved({ version: '1.1.0', ...added })).to.equal('saved')
    expect(await saved({ version: '2.0.0', ...required })).to.equal('saved')
    expect(states('library-card')).to.deep.equal(['2.0.0 draft', '1.1.0 draft', '1.0.0 published'])
    expect(types.get('library-card').type.version).to.equal('1.0.0')
  })

  it('holds a draft to what was published after it was saved', async () => {
    await types.save(library())
    await types.publish('library-card')
    await types.save(library({ version: '1.1.0', properties: branch }))
    await types.save(library({ version: '2.0.0', required: ['name'] }))
    await types.publish('library-card', { version: '2.0.0' })
    expect(await codeOf(types.publish('library-card', { version: '1.1.0' }))).to.equal(
      'type-invalid'
    )
  })

  it('offers the newest published version, and keeps the older ones', async () => {
    for (const version of ['1.0.0', '1.9.0', '1.10.0']) {
      await types.save(library({ version }))
      await types.publish('library-card')
    }
    expect(types.published().map(({ version }) => version)).to.deep.equal(['1.10.0'])
    expect(types.get('library-card', '1.9.0').state).to.equal('published')
    await types.deprecate('library-card', '1.10.0')
    expect(types.get('library-card').type.version).to.equal('1.9.0')
  })

  it('puts a saved type in the place of a built-in one', async () => {
    const [builtIn] = types.list().filter(({ type }) => type.id === 'vaccination')
    if (builtIn === undefined) throw new Error('no such type')
    await types.save({ ...builtIn.type, category: 'other' })
    expect(types.get('vaccination')).to.deep.include({ builtIn: false, state: 'draft' })
    expect(states('vaccination')).to.deep.equal(['1.0.0 draft'])
    await types.discard('vaccination', '1.0.0')
    expect(types.get('vaccination')).to.deep.include({ builtIn: true })
    expect(await codeOf(types.discard('vaccination', '1.0.0'))).to.equal('type-state')
  })

  it('says which types there are not', async () => {
    for (const id of ['passport', '__proto__', 'constructor', '']) {
      expect(() => types.get(id), id).to.throw('no credential type')
      expect(await codeOf(types.publish(id))).to.equal('type-unknown')
    }
    expect(await codeOf(types.publish('vaccination', { version: '9.0.0' }))).to.equal(
      'type-unknown'
    )
    expect(await codeOf(types.deprecate('vaccination', '9.0.0'))).to.equal('type-unknown')
    expect(await codeOf(types.deprecate('vaccination', '1.0.0'))).to.equal('type-state')
  })

  it('refuses what is no type, with every problem', async () => {
    const hostile: readonly unknown[] = [
      null,
      'x',
      [],
      {},
      { ...library(), id: '../x' },
      { ...library(), extra: 1 },
      { ...library(), schema: { type: 'string' } },
      {
        ...library(),
        schema: { type: 'object', properties: { a: { $ref: 'https://x.example' } } }
      },
      library({ search: ['/nothing'] }),
      library({ properties: { untitled: { type: 'string' } } }),
      JSON.parse('{"__proto__":{"id":"x"}}'),
      { ...library(), text: 'x'.repeat(1_000_000) }
    ]
    for (const value of hostile) {
      const refused = await failure(types.save(value))
      expect(refused.code, JSON.stringify(value)?.slice(0, 80)).to.equal('type-invalid')
      expect(refused.facts['problems']).to.be.an('array').with.length.greaterThan(0)
    }
    expect(await actions()).to.deep.equal([])
  })

  it(`keeps at most ${TYPE_VERSIONS_MAX} versions`, async function () {
    this.timeout(20_000)
    for (let count = 0; count < TYPE_VERSIONS_MAX; count++)
      await types.save(library({ id: `card-${count}` }))
    expect(await codeOf(types.save(library()))).to.equal('storage-full')
    await types.save(library({ id: 'card-0', properties: branch }))
  })
})
