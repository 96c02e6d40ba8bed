/** Shares, inbox, requests, invitations, contacts, tokens, activity, outbox and backups over HTTP. */
import { expect } from 'chai'
import { TestGateway, type Answer } from './harness.ts'

const BOB = 'did:peer:2.Vz6MkBob'
const DAY = 86_400_000

async function open(): Promise<TestGateway> {
  const test = await TestGateway.open()
  test.agent.addContact(BOB, 'Bob')
  return test
}

function post(test: TestGateway, path: string, json: unknown): Promise<Answer> {
  return test.call(`/api/v1${path}`, { method: 'POST', json })
}

function itemsOf(answer: Answer): Array<Record<string, unknown>> {
  return answer.json()['items'] as Array<Record<string, unknown>>
}

describe('gateway: sharing', () => {
  it('gives a document to a contact by name, and revokes it with a reason', async () => {
    await using test = await open()
    const document = await test.add('degree.pdf', '%PDF')
    const expiresAt = new Date(test.clock.now().getTime() + DAY).toISOString()
    const given = await post(test, '/shares', {
      document,
      to: 'Bob',
      purpose: 'a job',
      permission: 'copy',
      expiresAt
    })
    expect(given.status).to.equal(201)
    expect(given.json()).to.include({
      kind: 'grant',
      permission: 'copy',
      expiresAt,
      state: 'granted'
    })
    const path = String(given.headers.location)
    expect((await test.call(path)).json()).to.deep.equal(given.json())
    const revoked = await test.call(path, { method: 'DELETE', json: { reason: 'changed my mind' } })
    expect(revoked.json()).to.include({ state: 'revoked', reason: 'changed my mind' })
    const again = await test.call(`${path}?reason=x`, { method: 'DELETE' })
    expect([again.status, again.json()['code']]).to.deep.equal([409, 'grant-state'])
  })

  it('makes a link whose url is given once and listed never', async () => {
    await using test = await open()
    const document = await test.add('degree.pdf', '%PDF')
    const made = (
      await post(test, '/shares', { document, link: true, usesMax: 3, passphrase: 'x' })
    ).json()
    expect(made).to.include({ kind: 'link', usesMax: 3, passphrase: true })
    expect(made['url']).to.match(/^http.*\/s\/[a-z0-9]+#.{43}$/)
    const listed = await test.call('/api/v1/shares')
    expect(itemsOf(listed)[0]).to.include({ kind: 'link', id: made['id'] })
    expect(listed.body.toString()).to.not.contain('#')
    expect((await test.call(`/api/v1/shares/${String(made['id'])}`)).json()).to.not.have.property(
      'url'
    )
  })

  it('lists grants and links together, newest first, or one kind or direction', async () => {
    await using test = await open()
    const document = await test.add('a.pdf', '%PDF')
    await post(test, '/shares', { document, to: BOB, purpose: 'x' })
    await test.clock.advance(1_000)
    await post(test, '/shares', { document, link: true })
    await test.clock.advance(1_000)
    test.agent.sharing.receive({ from: 'Bob', name: 'b.pdf', content: new Uint8Array(3) })
    const kinds = async (query: string): Promise<unknown[]> =>
      itemsOf(await test.call(`/api/v1/shares${query}`)).map(
        ({ kind, direction }) => direction ?? kind
      )
    expect(await kinds('')).to.deep.equal(['received', 'link', 'given'])
    expect(await kinds('?kind=link')).to.deep.equal(['link'])
    expect(await kinds('?kind=grant')).to.deep.equal(['received', 'given'])
    expect(await kinds('?direction=given')).to.deep.equal(['link', 'given'])
    expect(await kinds('?direction=received')).to.deep.equal(['received'])
    expect((await test.call('/api/v1/shares?kind=other')).status).to.equal(400)
  })

  it('refuses a share that is neither or both', async () => {
    await using test = await open()
    const document = await test.add('a.pdf', '%PDF')
    for (const json of [
      { document },
      { document, to: 'Bob' },
      { document, link: false },
      { document, link: true, to: 'Bob', purpose: 'x' },
      { document, to: 'Bob', purpose: '' },
      { document, to: 'Bob', purpose: 'x', permission: 'write' },
      { document, to: 'Bob', purpose: 'x', expiresAt: 'tomorrow' },
      { document, link: true, usesMax: 0 },
      { document, link: true, usesMax: 1.5 },
      { document, link: true, usesMax: 1_001 }
    ])
      expect((await post(test, '/shares', json)).status, JSON.stringify(json)).to.equal(400)
    expect(itemsOf(await test.call('/api/v1/shares'))).to.have.length(0)
  })

  it('accepts what came in and reads it by range; before, and after declining, it does not open', async () => {
    await using test = await open()
    const content = new Uint8Array(Buffer.from('the content of Bob'))
    const { id } = test.agent.sharing.receive({ from: 'Bob', name: 'b.pdf', content })
    const path = `/api/v1/inbox/${id}`
    expect(itemsOf(await test.call('/api/v1/inbox'))[0]).to.include({
      id,
      kind: 'grant',
      from: 'Bob'
    })
    expect((await test.call(`${path}/content`)).status).to.equal(409)
    expect((await test.call(`${path}/accept`, { method: 'POST' })).json()).to.include({
      state: 'accepted'
    })
    const part = await test.call(`${path}/content`, { headers: { range: 'bytes=4-10' } })
    expect([part.status, part.body.toString()]).to.deep.equal([206, 'content'])
    expect(part.headers['content-security-policy']).to.equal("sandbox; default-src 'none'")
    const declined = await test.call(`${path}/decline`, { method: 'POST', json: { reason: 'no' } })
    expect(declined.json()).to.include({ state: 'declined', reason: 'no' })
    expect((await test.call(`${path}/content`)).status).to.equal(409)
  })

  it('answers a request with a document, for the purpose that was asked', async () => {
    await using test = await open()
    const document = await test.add('degree.pdf', '%PDF')
    const { id } = test.agent.sharing.receiveRequest({ from: 'Bob', wanted: 'a degree' })
    const given = await post(test, `/inbox/${id}/grant`, { document })
    expect(given.json()).to.include({ direction: 'given', purpose: 'a test' })
    const declined = await post(test, `/inbox/${id}/decline`, {})
    expect(declined.json()).to.include({ wanted: 'a degree', state: 'declined' })
    expect((await post(test, '/inbox/nothing/grant', { document })).status).to.equal(404)
  })

  it('invites with a QR code, and accepts an invitation under a name', async () => {
    await using test = await open()
    const made = (await post(test, '/invitations', { name: 'Carol' })).json()
    expect(made['svg']).to.match(/^<svg [^]*<\/svg>\s*$/)
    expect(itemsOf(await test.call('/api/v1/invitations'))[0]).to.deep.equal(made)
    expect(
      (await test.call(`/api/v1/invitations/${String(made['id'])}`, { method: 'DELETE' })).status
    ).to.equal(204)
    const accepted = await post(test, '/invitations/accept', {
      url: 'http://x/i?_oob=y',
      name: 'Dave'
    })
    expect(accepted.json()).to.include({ name: 'Dave', state: 'connected' })
    expect((await post(test, '/invitations/accept', { url: 'nonsense' })).status).to.equal(422)
  })

  it('leaves the QR code out when the address is longer than one holds', async () => {
    await using test = await open()
    const invite = test.agent.contacts.invite.bind(test.agent.contacts)
    test.agent.contacts.invite = async (options) => ({
      ...(await invite(options)),
      url: `http://x/i?_oob=${'y'.repeat(4_000)}`
    })
    expect((await post(test, '/invitations', {})).json()).to.not.have.property('svg')
  })

  it('finds contacts by DID and by name, and refuses one that is not there', async () => {
    await using test = await open()
    for (const key of [BOB, 'Bob'])
      expect((await test.call(`/api/v1/contacts/${encodeURIComponent(key)}`)).json()).to.include({
        did: BOB
      })
    expect((await test.call('/api/v1/contacts/constructor')).status).to.equal(404)
    const renamed = await test.call(`/api/v1/contacts/${BOB}`, {
      method: 'PATCH',
      json: { name: 'Robert' }
    })
    expect(renamed.json()).to.include({ name: 'Robert' })
    const ping = await test.call('/api/v1/contacts/Robert/ping', { method: 'POST' })
    expect(ping.json()).to.deep.equal({ milliseconds: 3.5 })
    expect((await test.call('/api/v1/contacts/Robert', { method: 'DELETE' })).status).to.equal(204)
    expect(itemsOf(await test.call('/api/v1/contacts'))).to.have.length(0)
  })

  it('shows a token once, with the scopes asked for and no others', async () => {
    await using test = await open()
    const made = (await post(test, '/tokens', { name: 'ci', scopes: ['documents:read'] })).json()
    expect(made['token']).to.match(/^elk_.{43}$/)
    const listed = await test.call('/api/v1/tokens')
    expect(itemsOf(listed)[0]).to.include({ name: 'ci' })
    expect(listed.body.toString()).to.not.contain(String(made['token']))
    for (const scopes of [[], ['everything'], ['admin', 'root']])
      expect((await post(test, '/tokens', { name: 'x', scopes })).status).to.equal(400)
  })

  it('reads the activity in pages, newest first, and of one document', async () => {
    await using test = await open()
    const ids = [await test.add('a', 'x'), await test.add('b', 'x'), await test.add('c', 'x')]
    const first = await test.call('/api/v1/activity?limit=2')
    expect(itemsOf(first).map(({ number }) => number)).to.deep.equal([3, 2])
    const second = await test.call(
      `/api/v1/activity?limit=2&before=${String(first.json()['nextCursor'])}`
    )
    expect(itemsOf(second).map(({ number }) => number)).to.deep.equal([1])
    expect(second.json()).to.not.have.property('nextCursor')
    const of = await test.call(`/api/v1/activity?document=${ids[1]}`)
    expect(itemsOf(of).map(({ number }) => number)).to.deep.equal([2])
    expect((await post(test, '/activity/verify', undefined)).json()).to.deep.equal({
      entries: 3,
      ok: true
    })
  })

  it('writes a backup to be saved, and takes one back into an empty home only', async () => {
    await using test = await open()
    await test.add('a', 'the blocks')
    const backup = await test.call('/api/v1/backups', { method: 'POST' })
    expect(backup.headers).to.include({
      'content-type': 'application/vnd.ipld.car',
      'content-disposition': 'attachment; filename="elocker-2026-11-23.car"'
    })
    const sent = { method: 'POST', body: backup.body }
    expect((await test.call('/api/v1/backups/restore', sent)).status).to.equal(409)
    await using empty = await TestGateway.open({ state: 'new' })
    const restored = await empty.call('/api/v1/backups/restore', sent)
    expect(restored.json()).to.deep.equal({ documents: 0, blocks: 1, bytes: backup.body.length })
  })
})

describe('gateway: the locker', () => {
  it('goes from nothing to an open locker by a session alone', async () => {
    await using test = await TestGateway.open({ state: 'new' })
    const headers = { cookie: await test.session(), 'x-elocker': '1' }
    const call = (path: string, method: string, json?: unknown): Promise<Answer> =>
      test.bare(`/api/v1${path}`, { method, headers, ...(json === undefined ? {} : { json }) })
    expect((await call('/node', 'GET')).json()).to.include({ state: 'new' })
    const passphrase = 'correct horse battery staple'
    const created = await call('/locker', 'POST', { name: 'Alice', passphrase, keyFile: true })
    expect(created.status).to.equal(201)
    expect(created.json()).to.have.keys('owner', 'kit', 'keyFile')
    expect((await call('/locker/confirm', 'POST', { words: { 3: 'abandon' } })).status).to.equal(
      204
    )
    expect((await call('/locker/confirm', 'POST', { words: { 3: 'zebra' } })).status).to.equal(422)
    expect((await call('/locker/confirm', 'POST', { words: { 25: 'abandon' } })).status).to.equal(
      400
    )
    expect((await call('/node', 'GET')).json()).to.include({
      name: 'Alice',
      recoveryConfirmed: true
    })
    expect((await call('/node/lock', 'POST')).status).to.equal(204)
    expect((await call('/documents', 'GET')).json()['code']).to.equal('vault-sealed')
    expect((await call('/node/unlock', 'POST', { passphrase: 'wrong' })).status).to.equal(403)
    expect(
      (await call('/node/unlock', 'POST', { secret: { kind: 'passphrase', passphrase } })).status
    ).to.equal(200)
  })

  it('tells strangers the state and not the owner', async () => {
    await using test = await TestGateway.open()
    const facts = (await test.bare('/api/v1/node')).json()
    expect(facts).to.include({ state: 'open', peers: 0, relay: false, damage: 0 })
    expect(facts).to.not.have.any.keys('name', 'did', 'recoveryConfirmed')
    expect((await test.call('/api/v1/node')).json()).to.include({ name: 'Alice' })
  })

  it('refuses methods a path does not have, and paths in other letters', async () => {
    await using test = await TestGateway.open()
    const put = await test.call('/api/v1/node', { method: 'PUT' })
    expect([put.status, put.headers.allow, put.json()['code']]).to.deep.equal([
      405,
      'GET, HEAD',
      'method-not-allowed'
    ])
    const override = { 'x-http-method-override': 'DELETE' }
    expect((await test.call('/api/v1/documents', { headers: override })).status).to.equal(200)
    expect((await test.call('/api/v1/documents', { method: 'OPTIONS' })).status).to.equal(405)
    for (const path of [
      '/API/v1/node',
      '/api/v1/NODE',
      '/api/v1/node/',
      '/api/v1//node',
      '/api/v1/%ff'
    ])
      expect((await test.call(path)).status, path).to.be.oneOf([400, 404])
  })

  it('allows no other origin to read anything', async () => {
    await using test = await TestGateway.open()
    const headers = { origin: 'http://evil.test', 'access-control-request-method': 'GET' }
    for (const method of ['GET', 'OPTIONS']) {
      const answer = await test.call('/api/v1/node', { method, headers })
      expect(answer.status).to.equal(403)
      expect(
        Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))
      ).to.deep.equal([])
    }
  })
})

describe('gateway: health and figures', () => {
  it('is live and ready in every state, and says which', async () => {
    for (const state of ['new', 'sealed', 'open'] as const) {
      await using test = await TestGateway.open({ state })
      expect((await test.bare('/livez')).json()).to.deep.equal({ status: 'ok' })
      expect((await test.bare('/readyz')).json()).to.deep.equal({
        status: 'ok',
        checks: { vault: state, damage: 0 }
      })
    }
  })

  it('counts requests by route pattern and problems by code, and names nothing', async () => {
    await using test = await TestGateway.open()
    const id = await test.add('secret-name.pdf', 'x')
    await test.call(`/api/v1/documents/${id}`)
    await test.call('/api/v1/documents/unknown')
    await test.call('/nowhere', { method: 'BREW' }).catch(() => undefined)
    const text = (await test.bare('/metrics')).body.toString()
    expect(text).to.match(
      /elocker_http_request_seconds_count\{listener="private",method="GET",route="\/documents\/:id",status="200"\} 1/
    )
    expect(text).to.match(
      /elocker_http_problems_total\{listener="private",code="document-unknown"\} 1/
    )
    expect(text).to.match(/^elocker_documents 1$/m)
    expect(text).to.match(/^elocker_resident_memory_bytes \d{7,}$/m)
    expect(text).to.not.contain(id)
    expect(text).to.not.contain('secret-name')
  })

  it('gives figures while the locker is locked too', async () => {
    await using test = await TestGateway.open({ state: 'sealed' })
    const text = (await test.bare('/metrics')).body.toString()
    expect(text).to.match(/^elocker_vault_open 0$/m)
    expect(text).to.match(/^elocker_documents 0$/m)
  })
})
