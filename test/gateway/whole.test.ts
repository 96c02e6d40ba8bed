/**
 * The gateway over whole agents. Cast: Alice, who has a degree; Bob, whom she gives it to; and a stranger
 * with a link. Every step is an HTTP request; between the agents go real envelopes and pulls.
 */
import { expect } from 'chai'
import { deriveLinkKeys, openCapability, parseLinkUrl } from '../../protocols/share-link.ts'
import { PASSPHRASE, World } from '../parties.ts'
import { Door, meet } from './door.ts'
import type { Answer } from './harness.ts'

const DEGREE = Buffer.from(`%PDF-1.7\n${'degree of science '.repeat(20_000)}`)

describe('gateway: whole agents', () => {
  it('gives a degree from Alice to Bob and takes it back', async () => {
    await using world = new World()
    await using alice = await Door.open(world, 'Alice')
    await using bob = await Door.open(world, 'Bob')
    await meet(world, alice, bob)
    expect((await bob.list('/contacts'))[0]).to.include({ name: 'Alice', state: 'connected' })

    const document = await alice.add('degree.pdf', DEGREE)
    const grant = await alice.ask('POST', '/shares', { document, to: 'Bob', purpose: 'a job' })
    await world.settle()
    const [item] = await bob.list('/inbox')
    expect(item).to.include({
      kind: 'grant',
      from: 'Alice',
      subject: 'degree.pdf',
      purpose: 'a job'
    })
    const path = `/inbox/${String(item?.['id'])}`
    expect((await bob.call('GET', `${path}/content`)).status).to.equal(409)
    await bob.ask('POST', `${path}/accept`)
    await world.settle()

    const whole = await bob.call('GET', `${path}/content`)
    expect(whole.status).to.equal(200)
    expect(whole.body.equals(DEGREE)).to.equal(true)
    expect(whole.headers['content-type']).to.equal('application/pdf')
    const part = await bob.call('GET', `${path}/content`, {
      headers: { range: 'bytes=100000-100099' }
    })
    expect(part.status).to.equal(206)
    expect(part.body.equals(DEGREE.subarray(100_000, 100_100))).to.equal(true)
    const given = await alice.ask('GET', `/shares/${String(grant['id'])}`)
    expect(given).to.include({ state: 'accepted', fetches: 2 })

    await alice.ask('DELETE', `/shares/${String(grant['id'])}`, { reason: 'not any more' })
    await world.settle()
    expect((await bob.call('GET', `${path}/content`)).json()).to.include({ code: 'grant-revoked' })
    const log = (await alice.list('/activity')).map(({ action }) => action)
    expect(log).to.include.members(['document-added', 'grant-given', 'grant-revoked'])
    expect(await alice.ask('POST', '/activity/verify')).to.include({ ok: true })
  })

  it('opens a one-use link for one of a hundred strangers, who can open the capability', async () => {
    await using world = new World()
    await using alice = await Door.open(world, 'Alice')
    const document = await alice.add('degree.pdf', DEGREE)
    const { url } = await alice.ask('POST', '/shares', { document, link: true, usesMax: 1 })
    const { id, secret } = parseLinkUrl(String(url))
    const keys = await deriveLinkKeys({ id, secret })
    const proof = Buffer.from(keys.auth).toString('base64url')
    for (const path of ['', '/facts', '/content?ticket=x'])
      await alice.public.send(`/s/${id}${path}`)

    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        alice.public.send(`/s/${id}/open`, { method: 'POST', json: { proof } })
      )
    )
    const good = answers.filter(({ status }) => status === 200)
    expect(good).to.have.length(1)
    expect(answers.filter(({ status }) => status === 410)).to.have.length(99)
    const opened = good[0]?.json() ?? {}
    const capability = openCapability(
      keys.openKey,
      id,
      Buffer.from(String(opened['capability']), 'base64url')
    )
    expect(capability).to.include({ name: 'degree.pdf', sizeBytes: DEGREE.length })
    const sealed = await alice.public.send(`/s/${id}/content?ticket=${String(opened['ticket'])}`)
    expect(sealed.body.length).to.equal(capability.sealedBytes)
    expect(sealed.body.subarray(0, 22).toString()).to.equal('age-encryption.org/v1\n')
    const tail = await alice.public.send(`/s/${id}/content?ticket=${String(opened['ticket'])}`, {
      headers: { range: 'bytes=-1000' }
    })
    expect(tail.body.equals(sealed.body.subarray(-1_000))).to.equal(true)
    expect(await alice.ask('GET', `/shares/${id}`)).to.include({ uses: 1, state: 'used-up' })
  })

  it('locks and unlocks, and a token works only in between', async () => {
    await using world = new World()
    await using alice = await Door.open(world, 'Alice')
    const document = await alice.add('degree.pdf', DEGREE)
    const { token } = await alice.ask('POST', '/tokens', { name: 'ci', scopes: ['documents:read'] })
    const read = (): Promise<Answer> =>
      alice.call('GET', `/documents/${document}/content`, {
        headers: { authorization: `Bearer ${String(token)}` }
      })
    expect((await read()).body.equals(DEGREE)).to.equal(true)
    await alice.ask('POST', '/node/lock')
    expect((await read()).status).to.equal(423)
    expect((await alice.call('GET', '/documents')).status).to.equal(423)
    expect((await alice.call('POST', '/documents?name=x', { body: 'x' })).status).to.equal(423)
    const wrong = await alice.call('POST', '/node/unlock', { json: { passphrase: 'not this one' } })
    expect(wrong.json()).to.include({ status: 403, code: 'vault-secret-wrong' })
    await alice.ask('POST', '/node/unlock', { passphrase: PASSPHRASE })
    expect((await read()).body.equals(DEGREE)).to.equal(true)
  })

  it('keeps versions, the trash and the check of documents', async () => {
    await using world = new World()
    await using alice = await Door.open(world, 'Alice')
    const id = await alice.add('degree.pdf', DEGREE)
    await alice.call('POST', `/documents/${id}/versions`, { body: '%PDF-1.7 corrected' })
    const facts = await alice.ask('GET', `/documents/${id}`)
    expect(facts).to.include({ version: 2, mediaType: 'application/pdf' })
    const first = await alice.call('GET', `/documents/${id}/content?version=1`)
    expect(first.body.equals(DEGREE)).to.equal(true)
    await alice.ask('PATCH', `/documents/${id}`, {
      name: 'Degree.pdf',
      tags: ['study'],
      type: 'degree'
    })
    expect((await alice.list('/documents?q=stud'))[0]).to.include({
      name: 'Degree.pdf',
      type: 'degree'
    })
    expect(await alice.ask('POST', '/documents/check')).to.deep.include({
      documents: 1,
      damaged: []
    })
    await alice.ask('DELETE', `/documents/${id}`)
    expect(await alice.list('/documents?trashed=1')).to.have.length(1)
    await alice.ask('POST', `/documents/${id}/restore`)
    await alice.ask('DELETE', `/documents/${id}?permanent=1`)
    expect((await alice.call('GET', `/documents/${id}`)).json()).to.include({
      code: 'document-unknown'
    })
  })

  it('asks for a document and is given it', async () => {
    await using world = new World()
    await using alice = await Door.open(world, 'Alice')
    await using bob = await Door.open(world, 'Bob')
    await meet(world, alice, bob)
    const document = await alice.add('degree.pdf', DEGREE)
    await bob.ask('POST', '/requests', { from: 'Alice', wanted: 'your degree', purpose: 'a job' })
    await world.settle()
    const [item] = await alice.list('/inbox')
    expect(item).to.include({ kind: 'request', from: 'Bob', subject: 'your degree' })
    await alice.ask('POST', `/inbox/${String(item?.['id'])}/grant`, {
      document,
      permission: 'copy'
    })
    await world.settle()
    const grant = (await bob.list('/inbox')).find(({ kind }) => kind === 'grant')
    const accepted = await bob.ask('POST', `/inbox/${String(grant?.['id'])}/accept`)
    expect(accepted).to.include({ state: 'accepted', permission: 'copy' })
    const [copy] = await bob.list('/documents')
    const read = await bob.call('GET', `/documents/${String(copy?.['id'])}/content`)
    expect(read.body.equals(DEGREE)).to.equal(true)
  })
})
