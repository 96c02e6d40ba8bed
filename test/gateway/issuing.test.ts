/**
 * An institution and its holders over HTTP alone. Cast: the university with its staff, Asha who studied there; between
 * them go real envelopes.
 */
import { expect } from 'chai'
import { jsonLines, JSON_LINE_BYTES_MAX } from '../../gateway/json-lines.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { until } from '../clock.ts'
import { HOLDER, SAMPLE_CLAIMS, SAMPLE_FORMS } from '../sample-claims.ts'
import { Door, meet, WebWorld } from './door.ts'
import type { Answer } from './harness.ts'

const TYPE = 'academic-marksheet'

type Json = Record<string, unknown>

/** The claims of the sample, about whoever proves to be the holder. */
function claims(): JsonObject {
  const { id: _, ...rest } = SAMPLE_CLAIMS.get(TYPE) ?? {}
  return rest
}

/** Sets up the university by its own routes. */
async function setUp(door: Door, more: Json = {}): Promise<void> {
  await door.ask('POST', '/issuer', {
    names: { en: 'University', hi: 'विश्वविद्यालय' },
    categories: ['education'],
    domain: door.host,
    ...more
  })
  await door.ask('POST', `/issuer/types/${TYPE}/publish`)
}

/** A line of a file of records. */
const row = (name: string, rollNumber: string): string =>
  `${JSON.stringify({ ...claims(), name, rollNumber })}\n`

/** Waits until the holder keeps so many credentials: storing one is work in the background. */
function keeps(door: Door, count: number): Promise<void> {
  const { credentials } = door.party.agent
  return until(() => credentials.list().length === count, `${count} credentials are kept`)
}

async function staffToken(door: Door, role: string): Promise<{ id: string; token: string }> {
  const made = await door.ask('POST', '/issuer/staff', { name: `the ${role}`, role })
  return { id: String(made['id']), token: String(made['token']) }
}

const as = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` })

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

async function read(...texts: string[]): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const value of jsonLines(chunks(...texts))) found.push(value)
  return found
}

const messageOf = async (...texts: string[]): Promise<string> =>
  read(...texts).then(
    () => 'read',
    (error: Error) => error.message
  )

describe('gateway: an institution', () => {
  it('is set up, changed and given a new key, and says so in its document', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    expect((await door.call('GET', '/issuer')).json()).to.include({ code: 'issuer-absent' })
    await setUp(door)
    expect((await door.ask('GET', '/issuer'))['did']).to.equal('did:web:university.test')
    const changed = await door.ask('PATCH', '/issuer', { secondApproval: true })
    expect(changed).to.include({ secondApproval: true })
    const rotated = await door.ask('POST', '/issuer/keys')
    expect(rotated['keys']).to.have.length(2)
    const document = (await door.public.send('/.well-known/did.json')).json()
    expect(document['assertionMethod']).to.have.length(2)
    expect(await door.ask('GET', '/issuer/descriptor')).to.include({ did: document['id'] })
    const twice = await door.call('POST', '/issuer', {
      json: { names: { en: 'U' }, categories: ['education'] }
    })
    expect(twice.json()).to.include({ status: 409, code: 'issuer-state' })
  })

  it('takes a type of one JSON file, publishes it, and serves its schema', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await setUp(door)
    const { type } = await door.ask('GET', `/issuer/types/${TYPE}`)
    const own = { ...(type as Json), id: 'diploma', types: ['Diploma'] }
    expect(await door.ask('POST', '/issuer/types', own)).to.include({ state: 'draft' })
    expect((await door.public.send('/schemas/diploma/1.0.0')).status).to.equal(404)
    await door.ask('POST', '/issuer/types/diploma/publish', { version: '1.0.0' })
    expect((await door.public.send('/schemas/diploma/1.0.0')).status).to.equal(200)
    await door.ask('POST', '/issuer/types/diploma/versions/1.0.0/deprecate')
    expect(await door.ask('GET', '/issuer/types/diploma')).to.include({ state: 'deprecated' })
    expect((await door.public.send('/schemas/diploma/1.0.0')).status).to.equal(200)
    const wrong = await door.call('POST', '/issuer/types', { json: { id: 'x' } })
    expect(wrong.json()).to.include({ status: 422, code: 'type-invalid' })
  })

  it('imports records as CSV and as JSON lines, searches and matches them', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await setUp(door)
    const path = `/issuer/records/${TYPE}`
    const lines = await door.call('POST', `${path}/import?key=/rollNumber`, {
      headers: { 'content-type': 'application/x-ndjson' },
      body: `${row('Asha Kulkarni', '21CS0471')}\n${row('Ravi Rao', '21CS0472')}{"name": 5}\n`
    })
    expect(lines.status, lines.body.toString()).to.equal(200)
    expect(lines.json()).to.include({ rows: 3, added: 2, rejected: 1 })
    const csv = await door.call('POST', `${path}/import`, {
      headers: { 'content-type': 'text/csv' },
      body: 'name,rollNumber\nNobody,1\n'
    })
    expect(csv.json(), csv.body.toString()).to.include({ rows: 1, rejected: 1 })
    const found = await door.ask('GET', `${path}?q=asha`)
    expect(found).to.include({ total: 1 })
    const match = await door.ask('POST', `${path}/match`, SAMPLE_FORMS.get(TYPE))
    expect(match).to.include({ outcome: 'one' })
    const [record] = match['records'] as Json[]
    const id = String(record?.['id'])
    expect((await door.call('GET', `/issuer/records/vaccination/${id}`)).status).to.equal(404)
    expect((await door.call('DELETE', `${path}/${id}`)).status).to.equal(204)
    expect(await door.ask('GET', '/issuer/records')).to.deep.equal({
      items: [{ type: TYPE, records: 1 }]
    })
  })

  it('offers, and the holder accepts, keeps and has judged; revoked, both know why', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await using asha = await Door.open(world, 'Asha')
    await setUp(door)
    await meet(world, door, asha)
    const offer = { type: TYPE, claims: claims(), to: 'Asha' }
    const made = await door.ask('POST', '/issuer/credentials', offer)
    expect(made).to.include({ state: 'offered', status: 'unsigned' })
    await world.settle()
    const [item] = await asha.list('/inbox')
    expect(item).to.include({ kind: 'credential-offer', from: 'University' })
    const thid = String(item?.['id'])
    expect(await asha.ask('GET', `/exchanges/${thid}`)).to.include({ attention: 'accept' })
    expect((await asha.call('GET', `/issuer/exchanges/${thid}`)).status).to.equal(404)
    await asha.ask('POST', `/inbox/${thid}/accept`)
    await keeps(asha, 1)
    const [kept] = await asha.list('/credentials')
    expect(kept).to.include({ type: TYPE, state: 'current', issuer: 'did:web:university.test' })
    const verdict = `/credentials/${String(kept?.['id'])}/verdict`
    expect(await asha.ask('GET', verdict)).to.include({ result: 'valid' })
    await world.settle()
    const issued = `/issuer/credentials/${String(made['id'])}`
    expect(await door.ask('GET', issued)).to.include({ state: 'accepted', status: 'valid' })

    await door.ask('POST', `${issued}/suspend`, { reason: 'being looked into' })
    await door.ask('POST', `${issued}/reinstate`)
    const revoked = await door.ask('POST', `${issued}/revoke`, { reason: 'issued in error' })
    expect(revoked).to.include({ status: 'revoked', reason: 'issued in error' })
    await world.pass(300_001)
    const [told] = await asha.list('/credentials')
    expect(told).to.include({ state: 'revoked', reason: 'issued in error' })
    expect(await asha.ask('GET', verdict)).to.include({ result: 'revoked' })
  })

  it('works off what holders ask for: pending, delivered from a record, refused', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await using asha = await Door.open(world, 'Asha')
    await setUp(door)
    await meet(world, door, asha)
    const records: Json[] = []
    for (const documentNumber of ['MS-1', 'MS-2'])
      records.push(
        await door.ask('POST', `/issuer/records/${TYPE}`, { ...claims(), documentNumber })
      )
    const form = SAMPLE_FORMS.get(TYPE)
    const askFor = async (filled: JsonObject | undefined): Promise<string> => {
      const wish = { to: 'University', type: TYPE, form: filled }
      const { thid } = await asha.ask('POST', '/exchanges', wish)
      await world.settle()
      return String(thid)
    }
    const thid = await askFor(form)
    const [waiting] = await door.list('/issuer/exchanges?open=1')
    expect(waiting).to.include({ thid, attention: 'choose', candidates: 2 })
    const path = `/issuer/exchanges/${thid}`
    expect(await door.list(`${path}/candidates`)).to.have.length(2)
    await door.ask('POST', `${path}/pending`, {
      expectedTime: '2030-01-01T00:00:00Z',
      comment: 'the archive is being asked'
    })
    await world.settle()
    expect(await asha.ask('GET', `/exchanges/${thid}`)).to.include({
      reason: 'the archive is being asked'
    })
    await door.ask('POST', `${path}/deliver`, { record: records[1]?.['id'] })
    await world.settle()
    await asha.ask('POST', `/exchanges/${thid}/accept`)
    await keeps(asha, 1)

    const other = await askFor(form)
    await door.ask('POST', `/issuer/exchanges/${other}/refuse`, { reason: 'once is enough' })
    await world.settle()
    const none = await askFor({ ...form, rollNumber: 'X' })
    for (const ended of [other, none])
      expect(await asha.ask('GET', `/exchanges/${ended}`)).to.include({ state: 'abandoned' })
  })

  it('declines by the inbox: the holder what is offered, the issuer what is asked for', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await using asha = await Door.open(world, 'Asha')
    await setUp(door)
    await meet(world, door, asha)
    for (const documentNumber of ['MS-1', 'MS-2'])
      await door.ask('POST', `/issuer/records/${TYPE}`, { ...claims(), documentNumber })
    const wish = { to: 'University', type: TYPE, form: SAMPLE_FORMS.get(TYPE) }
    const { thid } = await asha.ask('POST', '/exchanges', wish)
    await world.settle()
    const [asked] = await door.list('/inbox')
    expect(asked).to.include({ id: thid, kind: 'credential-request', from: 'Asha' })
    expect((await door.call('POST', `/inbox/${String(thid)}/accept`)).status).to.equal(404)
    await door.ask('POST', `/inbox/${String(thid)}/decline`, { reason: 'come by in person' })
    await world.settle()
    expect(await asha.ask('GET', `/exchanges/${String(thid)}`)).to.include({
      state: 'abandoned',
      endedByThem: true,
      reason: 'come by in person'
    })

    const offer = { type: TYPE, claims: claims(), to: 'Asha' }
    const made = await door.ask('POST', '/issuer/credentials', offer)
    await world.settle()
    await asha.ask('POST', `/inbox/${String(made['thid'])}/decline`, { reason: 'not mine' })
    await world.settle()
    const path = `/issuer/credentials/${String(made['id'])}`
    expect(await door.ask('GET', path)).to.include({ state: 'declined', reason: 'not mine' })
  })

  it('lets staff do what their role allows, and two people approve', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await using asha = await Door.open(world, 'Asha')
    await setUp(door, { secondApproval: true })
    await meet(world, door, asha)
    const issuer = await staffToken(door, 'issuer')
    const other = await staffToken(door, 'admin')
    const auditor = await staffToken(door, 'auditor')
    const call = (token: string, method: string, path: string, json?: unknown): Promise<Answer> =>
      door.call(method, path, { headers: as(token), ...(json === undefined ? {} : { json }) })
    const offer = { type: TYPE, claims: claims(), to: 'Asha' }
    expect((await call(auditor.token, 'POST', '/issuer/credentials', offer)).status).to.equal(403)
    const made = (await call(issuer.token, 'POST', '/issuer/credentials', offer)).json()
    expect(made).to.include({ state: 'awaiting-approval', preparedBy: issuer.id })
    const approve = `/issuer/credentials/${String(made['id'])}/approve`
    expect((await call(issuer.token, 'POST', approve)).json()).to.include({
      code: 'role-forbidden'
    })
    expect((await call(other.token, 'POST', approve)).json()).to.include({
      state: 'offered',
      approvedBy: other.id
    })
    expect((await call(auditor.token, 'GET', '/activity')).status).to.equal(200)
    expect((await call(issuer.token, 'GET', '/documents')).status).to.equal(403)
    await door.call('DELETE', `/issuer/staff/${issuer.id}`)
    expect((await call(issuer.token, 'GET', '/issuer')).status).to.equal(401)
  })

  it('replaces a credential: one is current, the holder has both', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await using asha = await Door.open(world, 'Asha')
    await setUp(door)
    await meet(world, door, asha)
    const offer = { type: TYPE, claims: claims(), to: 'Asha' }
    const first = await door.ask('POST', '/issuer/credentials', offer)
    await world.settle()
    await asha.ask('POST', `/exchanges/${String(first['thid'])}/accept`)
    await keeps(asha, 1)
    await world.settle()
    const better = { claims: { ...claims(), name: 'Asha V. Kulkarni' } }
    const second = await door.ask(
      'POST',
      `/issuer/credentials/${String(first['id'])}/replace`,
      better
    )
    await world.settle()
    await asha.ask('POST', `/exchanges/${String(second['thid'])}/accept`)
    await keeps(asha, 2)
    await world.settle()
    const kept = await asha.list('/credentials')
    expect(kept.map(({ state }) => state)).to.have.members(['current', 'replaced'])
    const all = await door.list('/issuer/credentials')
    expect(all.map(({ status }) => status)).to.have.members(['valid', 'replaced'])
  })
})

describe('gateway: issuing by VCALM', () => {
  it('signs for a token that may issue, and sets statuses for one that may revoke', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await setUp(door)
    const service = await staffToken(door, 'service')
    const issuer = await staffToken(door, 'issuer')
    const post = (path: string, token: string, json: unknown): Promise<Answer> =>
      door.public.send(path, { method: 'POST', json, headers: as(token) })
    const { type } = await door.ask('GET', `/issuer/types/${TYPE}`)
    const credential = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiableCredential', ...((type as Json)['types'] as string[])],
      issuer: 'did:web:university.test',
      credentialSubject: { ...claims(), id: HOLDER }
    }
    const made = await post('/credentials/issue', service.token, { credential })
    expect(made.status, made.body.toString()).to.equal(201)
    const { verifiableCredential } = made.json() as { verifiableCredential: Json }
    const verify = async (): Promise<Json> =>
      (
        await door.public.send('/credentials/verify', {
          method: 'POST',
          json: { verifiableCredential }
        })
      ).json()
    expect(await verify()).to.include({ verified: true })
    const status = (statusPurpose: string, value: boolean): Json => ({
      credentialId: verifiableCredential['id'],
      credentialStatus: { type: 'BitstringStatusListEntry', statusPurpose },
      status: value
    })
    const set = async (token: string, json: Json): Promise<number> =>
      (await post('/credentials/status', token, json)).status
    expect(await set(service.token, status('revocation', true))).to.equal(403)
    expect(await set(issuer.token, status('suspension', true))).to.equal(200)
    expect(await set(issuer.token, status('suspension', false))).to.equal(200)
    expect(await set(issuer.token, status('revocation', true))).to.equal(200)
    expect(await set(issuer.token, status('revocation', false))).to.equal(400)
    expect(
      await set(issuer.token, { ...status('revocation', true), credentialId: 'urn:uuid:none' })
    ).to.equal(404)
    await world.pass(300_001)
    expect(await verify()).to.include({ verified: false })
  })

  it('refuses strangers, the run token, other issuers, unknown types and members it would not sign', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    await setUp(door)
    const { token } = await staffToken(door, 'service')
    const credential = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiableCredential', 'AcademicMarksheet'],
      credentialSubject: claims()
    }
    const statusOf = async (json: unknown, headers: Record<string, string>): Promise<number> =>
      (await door.public.send('/credentials/issue', { method: 'POST', json, headers })).status
    expect(await statusOf({ credential }, {})).to.equal(401)
    expect(await statusOf({ credential }, as('run-token-of-this-process'))).to.equal(401)
    expect(await statusOf({ credential }, as('els_unknown'))).to.equal(401)
    const refused = async (more: Json): Promise<number> =>
      statusOf({ credential: { ...credential, ...more } }, as(token))
    expect(await refused({ issuer: 'did:web:other.test' })).to.equal(400)
    expect(await refused({ id: 'urn:uuid:1' })).to.equal(400)
    expect(await refused({ type: ['VerifiableCredential', 'Nothing'] })).to.equal(404)
    expect(await refused({ credentialSubject: { name: 5 } })).to.equal(422)
    await door.party.agent.vault.seal()
    expect(await statusOf({ credential }, as(token))).to.equal(503)
  })
})

describe('gateway: JSON lines', () => {
  it('reads lines wherever the chunks break, and skips empty ones', async () => {
    expect(await read('{"a":', '1}\n\r\n', '', '{"b":"', 'ä"}')).to.deep.equal([
      { a: 1 },
      { b: 'ä' }
    ])
  })

  it('names the line that is not JSON or too long', async () => {
    expect(await messageOf('{}\n{"a"')).to.include('line 2')
    expect(await messageOf('{}\n', 'x'.repeat(JSON_LINE_BYTES_MAX + 1))).to.include('line 2')
    expect(await messageOf(`"${'x'.repeat(JSON_LINE_BYTES_MAX)}"\n`)).to.include('line 1')
  })
})
