/** Sessions, tokens, names and origins on the private listener. */
import { expect } from 'chai'
import {
  cookieName,
  cookieValue,
  ONE_TIME_TOKEN_MS,
  ONE_TIME_TOKENS_MAX,
  SESSION_IDLE_MS,
  SESSION_MAX_MS,
  Sessions,
  SESSIONS_MAX
} from '../../gateway/auth.ts'
import { hostIsOurs } from '../../gateway/origin.ts'
import { FakeClock } from '../clock.ts'
import { RUN_TOKEN, TestGateway } from './harness.ts'
import { randomBytes } from 'node:crypto'

const SLOTS = '/api/v1/locker/slots'

function sessions(clock: FakeClock): Sessions {
  return new Sessions({ clock, random: (sizeBytes) => new Uint8Array(randomBytes(sizeBytes)) })
}

describe('gateway: sessions', () => {
  it('trades a one-time token for a cookie that scripts cannot read and other sites cannot send', async () => {
    await using test = await TestGateway.open()
    const token = test.gateway.oneTimeUrlToken()
    const answer = await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    expect(answer.status).to.equal(204)
    expect(answer.headers['set-cookie']?.[0]).to.match(
      new RegExp(
        `^elocker-session-${test.privatePort}=[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`
      )
    )
  })

  it('marks the cookie secure where the private address is https', async () => {
    await using test = await TestGateway.open({ privateUrl: 'https://locker.example', hosts: [] })
    const token = test.gateway.oneTimeUrlToken()
    const headers = { host: 'locker.example' }
    const answer = await test.bare('/api/v1/session', { method: 'POST', json: { token }, headers })
    expect(answer.headers['set-cookie']?.[0]).to.match(/^elocker-session=.*; Secure$/)
  })

  it('takes a one-time token once', async () => {
    await using test = await TestGateway.open()
    const token = test.gateway.oneTimeUrlToken()
    const first = await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    const second = await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    expect([first.status, second.status]).to.deep.equal([204, 401])
  })

  it('takes one of a hundred uses of a token at once', async () => {
    await using test = await TestGateway.open()
    const token = test.gateway.oneTimeUrlToken()
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        test.bare('/api/v1/session', { method: 'POST', json: { token } })
      )
    )
    expect(answers.filter(({ status }) => status === 204)).to.have.length(1)
  })

  it('makes a fresh address that lets a browser in once', async () => {
    await using test = await TestGateway.open()
    const made = await test.call('/api/v1/session/addresses', { method: 'POST' })
    const { url } = made.json()
    const token = /^http:\/\/localhost:\d+\/#t=([A-Za-z0-9_-]{43})$/.exec(String(url))?.[1]
    const first = await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    const second = await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    expect([made.status, first.status, second.status]).to.deep.equal([201, 204, 401])
  })

  it('ends a session on request', async () => {
    await using test = await TestGateway.open()
    const cookie = await test.session()
    const headers = { cookie, 'x-elocker': '1' }
    expect((await test.bare(SLOTS, { headers })).status).to.equal(200)
    const ended = await test.bare('/api/v1/session', { method: 'DELETE', headers })
    expect(ended.headers['set-cookie']?.[0]).to.match(/=; Path=\/; Max-Age=0;/)
    expect((await test.bare(SLOTS, { headers })).status).to.equal(401)
  })

  it('ends an idle session after 60 minutes and any after 12 hours', async () => {
    await using test = await TestGateway.open()
    const idle = { cookie: await test.session() }
    test.clock.set(new Date(test.clock.now().getTime() + SESSION_IDLE_MS - 1))
    expect((await test.bare(SLOTS, { headers: idle })).status).to.equal(200)
    test.clock.set(new Date(test.clock.now().getTime() + SESSION_IDLE_MS))
    expect((await test.bare(SLOTS, { headers: idle })).status).to.equal(401)

    const busy = { cookie: await test.session() }
    const end = test.clock.now().getTime() + SESSION_MAX_MS
    while (test.clock.now().getTime() < end - SESSION_IDLE_MS) {
      test.clock.set(new Date(test.clock.now().getTime() + SESSION_IDLE_MS - 1))
      expect((await test.bare(SLOTS, { headers: busy })).status).to.equal(200)
    }
    test.clock.set(new Date(end))
    expect((await test.bare(SLOTS, { headers: busy })).status).to.equal(401)
  })

  it('forgets a one-time token after 12 hours, and the oldest of too many', () => {
    const clock = new FakeClock()
    const known = sessions(clock)
    const [oldest = '', ...others] = Array.from({ length: ONE_TIME_TOKENS_MAX + 1 }, () =>
      known.issueToken()
    )
    expect(known.start(oldest)).to.equal(undefined)
    expect(known.start(others[0] ?? '')).to.be.a('string')
    clock.set(new Date(clock.now().getTime() + ONE_TIME_TOKEN_MS))
    expect(known.start(others[1] ?? '')).to.equal(undefined)
  })

  it('keeps at most so many sessions; the one idle longest makes room', () => {
    const known = sessions(new FakeClock())
    const ids = Array.from({ length: SESSIONS_MAX }, () => known.start(known.issueToken()) ?? '')
    expect(known.use(ids[0] ?? '')).to.be.a('string')
    known.start(known.issueToken())
    expect(known.use(ids[0] ?? '')).to.be.a('string')
    expect(known.use(ids[1] ?? '')).to.equal(undefined)
  })

  it('reads the cookie of its own port out of many', () => {
    const header = 'a=b; elocker-session-1=no; elocker-session-4280=yes; elocker-session-4280=later'
    expect(cookieValue(header, cookieName('localhost:4280'))).to.equal('yes')
    expect(cookieValue('__proto__=x', cookieName('localhost:4280'))).to.equal(undefined)
    expect(cookieName('locker.example')).to.equal('elocker-session')
  })
})

/** A problem without the id that was asked for and the id of the request. */
function strip({ body }: { body: Buffer }, asked: string): string {
  return body
    .toString()
    .replace(asked, 'ID')
    .replace(/request:[^"]+/, '')
}

describe('gateway: tokens', () => {
  it('refuses a revoked token in the next request', async () => {
    await using test = await TestGateway.open()
    const { facts, token } = await test.agent.tokens.create({ name: 'ci', scopes: ['shares'] })
    const headers = { authorization: `Bearer ${token}` }
    expect((await test.bare('/api/v1/shares', { headers })).status).to.equal(200)
    await test.call(`/api/v1/tokens/${facts.id}`, { method: 'DELETE' })
    const answer = await test.bare('/api/v1/shares', { headers })
    expect(answer.status).to.equal(401)
    expect(answer.headers['www-authenticate']).to.equal('Bearer realm="eLocker"')
  })

  it('answers unknown and foreign ids alike', async () => {
    await using test = await TestGateway.open()
    test.agent.addContact('did:example:bob', 'Bob')
    const id = await test.add('a.txt', 'a')
    // A grant the owner gave exists, and is nobody's inbox item.
    const given = await test.agent.sharing.give({ document: id, to: 'Bob', purpose: 'x' })
    const foreign = await test.call(`/api/v1/inbox/${given.id}/accept`, { method: 'POST' })
    const unknown = await test.call('/api/v1/inbox/nothing/accept', { method: 'POST' })
    expect(foreign.status).to.equal(404)
    expect(strip(foreign, given.id)).to.equal(strip(unknown, 'nothing'))
  })

  it('slows those who guess, and not those who know', async () => {
    const failedAuthentication = { windowMs: 60_000, requestsMax: 3 }
    await using test = await TestGateway.open({ limits: { rates: { failedAuthentication } } })
    const headers = { authorization: 'Bearer guess' }
    const statuses: number[] = []
    for (let guess = 0; guess < 5; guess += 1)
      statuses.push((await test.bare(SLOTS, { headers })).status)
    expect(statuses).to.deep.equal([401, 401, 401, 429, 429])
    const held = await test.bare(SLOTS, { headers })
    expect(held.headers['ratelimit']).to.match(/r=0; t=\d+/)
    expect(Number(held.headers['retry-after'])).to.be.within(1, 60)
    expect((await test.call(SLOTS)).status).to.equal(200)
  })

  it('writes no credential into the log, and no path or query', async () => {
    await using test = await TestGateway.open()
    const token = test.gateway.oneTimeUrlToken()
    await test.bare(`/api/v1/documents?t=${token}`, {
      headers: { authorization: `Bearer ${token}` }
    })
    await test.bare('/api/v1/session', { method: 'POST', json: { token } })
    await test.call(`/api/v1/documents/${token}`)
    await test.stranger(`/s/abc/content?ticket=${token}`)
    const log = JSON.stringify(test.logged)
    expect(test.logged.length).to.be.at.least(4)
    expect(log).to.not.contain(token)
    expect(log).to.not.contain(RUN_TOKEN)
    expect(log).to.contain('/documents/:id')
  })
})

describe('gateway: hosts', () => {
  const LOCAL = 'http://localhost:4280'
  // oxfmt-ignore
  const HOSTS: ReadonlyArray<readonly [host: string | undefined, bound: string, ours: boolean]> = [
    ['localhost:4280',            LOCAL,                     true],
    ['LOCALHOST:4280',            LOCAL,                     true],
    ['localhost',                 LOCAL,                     true],
    ['127.0.0.1:4280',            LOCAL,                     true],
    ['[::1]:4280',                LOCAL,                     true],
    [undefined,                   LOCAL,                     false],
    ['',                          LOCAL,                     false],
    ['evil.test',                 LOCAL,                     false],
    ['localhost.evil.test',       LOCAL,                     false],
    ['evil.test:4280',            LOCAL,                     false],
    ['127.0.0.1.nip.io',          LOCAL,                     false],
    ['127.0.0.2',                 LOCAL,                     false],
    ['192.168.1.5',               LOCAL,                     false],
    ['localhost:4280@evil.test',  LOCAL,                     false],
    ['evil.test/localhost',       LOCAL,                     false],
    ['localhost.',                LOCAL,                     false],
    ['localhost:port',            LOCAL,                     false],
    ['a'.repeat(300),             LOCAL,                     false],
    ['192.168.1.5:4280',          'http://192.168.1.5:4280', true],
    ['192.168.1.6:4280',          'http://192.168.1.5:4280', false],
    ['192.168.1.6:4280',          'http://0.0.0.0:4280',     true],
    ['[fe80::1]:4280',            'http://[::]:4280',        true],
    ['evil.test',                 'http://0.0.0.0:4280',     false],
    ['locker.lan',                LOCAL,                     true]
  ]
  for (const [host, bound, ours] of HOSTS)
    it(`${ours ? 'answers to' : 'refuses'} ${String(host).slice(0, 40)} on ${bound}`, () =>
      expect(hostIsOurs(host, bound, ['locker.lan'])).to.equal(ours))

  it('answers 421 to a rebound name on every path, whatever the credential', async () => {
    await using test = await TestGateway.open()
    for (const path of [
      '/',
      '/livez',
      '/metrics',
      '/openapi.json',
      '/docs/',
      '/api/v1/node',
      '/assets/x.js'
    ]) {
      const answer = await test.call(path, { headers: { host: 'rebind.evil.test' } })
      expect([path, answer.status]).to.deep.equal([path, 421])
      expect(answer.json()['code']).to.equal('request-misdirected')
    }
  })
})
