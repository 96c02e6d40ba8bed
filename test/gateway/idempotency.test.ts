/** Idempotency keys: what is sent twice is done once. */
import { request as httpRequest } from 'node:http'
import { once } from 'node:events'
import { expect } from 'chai'
import {
  ANSWER_BYTES_MAX,
  Idempotency,
  KEPT_MS,
  KEPT_SECRET_MS,
  type KeyedRequest
} from '../../gateway/idempotency.ts'
import { FakeClock, until } from '../clock.ts'
import { RUN_TOKEN, TestGateway } from './harness.ts'

const KEY = { 'idempotency-key': 'c0ffee' }
const ANSWER = { status: 201, headers: {}, body: '{}' }

function keyed(changes: Partial<KeyedRequest> = {}): KeyedRequest {
  const body = Buffer.from('{}')
  return { caller: 'run', target: 'POST /x', key: 'k', body, secret: false, ...changes }
}

/** Begins and finishes; whether it was this time that did the work. */
function done(known: Idempotency, request: KeyedRequest): boolean {
  const begun = known.begin(request)
  if ('replay' in begun) return false
  begun.turn.finish(ANSWER)
  return true
}

describe('gateway: idempotency', () => {
  it('does a request with one key once, and answers again with the same answer', async () => {
    await using test = await TestGateway.open()
    const sent = { method: 'POST', json: { name: 'Bob' }, headers: KEY }
    const first = await test.call('/api/v1/invitations', sent)
    const second = await test.call('/api/v1/invitations', sent)
    expect(second.status).to.equal(201)
    expect(second.body.equals(first.body)).to.equal(true)
    expect(second.headers['idempotent-replayed']).to.equal('true')
    expect(first.headers).to.not.have.property('idempotent-replayed')
    expect(test.agent.contacts.invitations()).to.have.length(1)
  })

  it('refuses a key that comes with another body, and does nothing', async () => {
    await using test = await TestGateway.open()
    await test.call('/api/v1/invitations', { method: 'POST', json: { name: 'Bob' }, headers: KEY })
    const other = await test.call('/api/v1/invitations', {
      method: 'POST',
      json: { name: 'Eve' },
      headers: KEY
    })
    expect([other.status, other.json()['code']]).to.deep.equal([422, 'request-mismatch'])
    expect(test.agent.contacts.invitations()).to.have.length(1)
  })

  it('stores an upload once, and says where again', async () => {
    await using test = await TestGateway.open()
    const sent = { method: 'POST', body: 'hello', headers: KEY }
    const first = await test.call('/api/v1/documents?name=a.txt', sent)
    const second = await test.call('/api/v1/documents?name=a.txt', sent)
    expect(second.headers['location']).to.equal(first.headers['location'])
    expect(test.agent.documents.list()).to.have.length(1)
  })

  it('answers 409 while the first is still running', async () => {
    await using test = await TestGateway.open()
    const upload = httpRequest({
      host: '127.0.0.1',
      port: test.privatePort,
      path: '/api/v1/documents?name=a.txt',
      method: 'POST',
      headers: {
        host: `localhost:${test.privatePort}`,
        authorization: `Bearer ${RUN_TOKEN}`,
        ...KEY
      }
    })
    upload.write('first half')
    await until(() => test.agent.documents.running === 1, 'the upload began')
    const again = await test.call('/api/v1/documents?name=a.txt', {
      method: 'POST',
      body: 'x',
      headers: KEY
    })
    expect([again.status, again.json()['code']]).to.deep.equal([409, 'request-conflict'])
    const answered = once(upload, 'response')
    upload.end(' and the second')
    await answered
    expect(test.agent.documents.list()).to.have.length(1)
  })

  it('leaves a failed request free to be tried again', async () => {
    await using test = await TestGateway.open()
    const sent = { method: 'POST', json: { from: 'Bob', wanted: 'x', purpose: 'y' }, headers: KEY }
    expect((await test.call('/api/v1/requests', sent)).status).to.equal(404)
    test.agent.addContact('did:example:bob', 'Bob')
    expect((await test.call('/api/v1/requests', sent)).status).to.equal(201)
  })

  it('tells callers and addresses apart', async () => {
    const known = new Idempotency({ clock: new FakeClock() })
    expect(done(known, keyed())).to.equal(true)
    expect(done(known, keyed({ caller: 'session/a' }))).to.equal(true)
    expect(done(known, keyed({ target: 'POST /y' }))).to.equal(true)
    expect(done(known, keyed())).to.equal(false)
  })

  it('refuses keys that are none', async () => {
    await using test = await TestGateway.open()
    for (const key of [' ', 'a b', 'a'.repeat(256)]) {
      const headers = { 'idempotency-key': key }
      const answer = await test.call('/api/v1/invitations', { method: 'POST', json: {}, headers })
      expect(answer.status).to.equal(400)
    }
  })

  it('forgets an answer after a day, and one with a secret after minutes', () => {
    const clock = new FakeClock()
    const known = new Idempotency({ clock })
    done(known, keyed())
    done(known, keyed({ key: 's', secret: true }))
    clock.set(new Date(clock.now().getTime() + KEPT_SECRET_MS))
    expect(done(known, keyed())).to.equal(false)
    expect(done(known, keyed({ key: 's', secret: true }))).to.equal(true)
    clock.set(new Date(clock.now().getTime() + KEPT_MS))
    expect(done(known, keyed())).to.equal(true)
  })

  it('keeps so many keys and no more; running requests keep theirs', () => {
    const known = new Idempotency({ clock: new FakeClock(), keysMax: 3 })
    const running = known.begin(keyed({ key: 'running' }))
    for (const key of ['a', 'b', 'c']) done(known, keyed({ key }))
    expect(done(known, keyed({ key: 'c' }))).to.equal(false)
    expect(done(known, keyed({ key: 'a' }))).to.equal(true)
    expect(() => known.begin(keyed({ key: 'running' }))).to.throw('still running')
    expect(running).to.have.property('turn')
  })

  it('keeps so many bytes of answers and no more', () => {
    const known = new Idempotency({ clock: new FakeClock() })
    const finish = (key: string, sizeBytes: number): void => {
      const begun = known.begin(keyed({ key }))
      if ('turn' in begun) begun.turn.finish({ ...ANSWER, body: 'x'.repeat(sizeBytes) })
    }
    finish('a', 1)
    finish('b', ANSWER_BYTES_MAX - 1)
    expect(done(known, keyed({ key: 'a' }))).to.equal(false)
    finish('c', 1)
    expect(done(known, keyed({ key: 'c' }))).to.equal(false)
    expect(done(known, keyed({ key: 'b' }))).to.equal(false)
    expect(done(known, keyed({ key: 'a' }))).to.equal(true)
  })
})
