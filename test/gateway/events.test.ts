/** Server-sent events: what is missed is brought, and nobody holds the gateway up. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'chai'
import { CLIENTS_MAX, COMMENT_EVERY_MS, RING_MAX } from '../../gateway/events.ts'
import { turns, until } from '../clock.ts'
import { RUN_TOKEN, TestGateway } from './harness.ts'

/** An open stream and the text that has come so far. */
class Listener {
  text = ''
  ended = false
  readonly response: IncomingMessage

  private constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (text: string) => (this.text += text))
    response.on('close', () => (this.ended = true))
    response.on('error', () => undefined)
  }

  static async open(test: TestGateway, headers: Record<string, string> = {}): Promise<Listener> {
    const request = httpRequest({
      host: '127.0.0.1',
      port: test.privatePort,
      path: '/api/v1/events',
      agent: false,
      headers: {
        host: `localhost:${test.privatePort}`,
        ...('cookie' in headers ? {} : { authorization: `Bearer ${RUN_TOKEN}` }),
        ...headers
      }
    })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return new Listener(response)
  }

  /** Numbers of the events that have come. */
  get numbers(): number[] {
    return [...this.text.matchAll(/^data: (\{"number".*)$/gm)].map(
      ([, json]) => (JSON.parse(json ?? '') as { number: number }).number
    )
  }

  close(): void {
    this.response.destroy()
  }
}

/** Makes events happen. */
function happen(test: TestGateway, count: number): void {
  for (let event = 0; event < count; event += 1) test.agent.changed('document', `d${event}`)
}

describe('gateway: events', () => {
  it('says what happens, with its number as the id', async () => {
    await using test = await TestGateway.open()
    const listener = await Listener.open(test)
    test.agent.changed('grant', 'g1')
    await until(() => listener.numbers.length === 1, 'an event came')
    // Creating the locker was event 1.
    expect(listener.text).to.equal(
      'retry: 2000\n\nid: 2\ndata: {"number":2,"type":"grant","id":"g1"}\n\n'
    )
    expect(listener.response.headers).to.include({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store'
    })
    listener.close()
  })

  it('tells a member of staff of the institution alone, now and of what was missed', async () => {
    await using test = await TestGateway.open()
    const createdAt = test.clock.now().toISOString()
    const facts = { id: 's1', name: 'Ravi', role: 'issuer', scopes: [], createdAt } as const
    test.agent.staffTokens.set('els_ravi', facts)
    test.agent.changed('contact', 'did:example:bob')
    test.agent.changed('issued', 'i1')
    const authorization = 'Bearer els_ravi'
    const listener = await Listener.open(test, { authorization, 'last-event-id': '1' })
    test.agent.changed('document', 'd1')
    test.agent.changed('issuance', 't1')
    await until(() => listener.numbers.length === 2, 'two events came')
    expect(listener.numbers).to.deep.equal([3, 5])
    expect(listener.text).not.to.include('bob')
    listener.close()
  })

  it('brings what a client missed, once and in order', async () => {
    await using test = await TestGateway.open()
    happen(test, 9)
    const listener = await Listener.open(test, { 'last-event-id': '4' })
    happen(test, 1)
    await until(() => listener.numbers.length === 7, 'seven events came')
    expect(listener.numbers).to.deep.equal([5, 6, 7, 8, 9, 10, 11])
    listener.close()
  })

  it('tells a client of a gap when what it missed is no longer known', async () => {
    await using test = await TestGateway.open()
    happen(test, RING_MAX + 5)
    const late = await Listener.open(test, { 'last-event-id': '2' })
    await until(() => late.text.includes('event: gap'), 'a gap was told')
    expect(late.numbers).to.deep.equal([])
    expect(late.text).to.contain(`id: ${RING_MAX + 6}\n`)
    const within = await Listener.open(test, { 'last-event-id': '6' })
    await until(() => within.numbers.length === RING_MAX, 'the whole ring came')
    expect(within.text).to.not.contain('gap')
    late.close()
    within.close()
  })

  it('tells a client that comes from an earlier run of the agent of a gap', async () => {
    await using test = await TestGateway.open()
    const listener = await Listener.open(test, { 'last-event-id': '5000' })
    await until(() => listener.text.includes('event: gap'), 'a gap was told')
    listener.close()
  })

  it('sends a comment each 15 seconds', async () => {
    await using test = await TestGateway.open()
    const listener = await Listener.open(test)
    await test.clock.advance(2 * COMMENT_EVERY_MS)
    await until(() => listener.text.split(':\n\n').length === 3, 'two comments came')
    listener.close()
  })

  it('ends the stream of a session that has ended and of a token that was revoked', async () => {
    await using test = await TestGateway.open()
    const cookie = await test.session()
    const { facts, token } = await test.agent.tokens.create({ name: 'ci', scopes: ['inbox'] })
    const page = await Listener.open(test, { cookie })
    const machine = await Listener.open(test, { authorization: `Bearer ${token}` })
    await test.clock.advance(COMMENT_EVERY_MS)
    expect([page.ended, machine.ended]).to.deep.equal([false, false])
    await test.bare('/api/v1/session', { method: 'DELETE', headers: { cookie, 'x-elocker': '1' } })
    await test.agent.tokens.revoke(facts.id)
    await test.clock.advance(COMMENT_EVERY_MS)
    await until(() => page.ended && machine.ended, 'both streams ended')
  })

  it('takes so many listeners and no more, and takes another when one goes', async () => {
    await using test = await TestGateway.open()
    const listeners = await Promise.all(
      Array.from({ length: CLIENTS_MAX }, () => Listener.open(test))
    )
    const refused = await test.call('/api/v1/events')
    expect([refused.status, refused.json()['code']]).to.deep.equal([503, 'gateway-busy'])
    listeners[0]?.close()
    let next: Listener | undefined
    while (next === undefined) {
      const tried = await Listener.open(test)
      if (tried.response.statusCode === 200) next = tried
      else await turns()
    }
    for (const listener of [...listeners, next]) listener.close()
  })

  it('drops a client that does not read, and keeps the others', async () => {
    await using test = await TestGateway.open()
    const good = await Listener.open(test)
    const slow = connect(test.privatePort, '127.0.0.1')
    slow.pause()
    slow.on('error', () => undefined)
    slow.write(
      `GET /api/v1/events HTTP/1.1\r\nHost: localhost:${test.privatePort}\r\nAuthorization: Bearer ${RUN_TOKEN}\r\n\r\n`
    )
    let dropped = false
    slow.once('close', () => (dropped = true))
    const id = 'x'.repeat(10_000)
    let sent = 0
    // The kernel holds some megabytes for the client before the gateway notices.
    while (!dropped && sent < 5_000) {
      test.agent.changed('document', id)
      sent += 1
      if (sent % 50 === 0)
        await until(() => good.numbers.length >= sent - 50, 'the good client reads')
      const streams = (await test.call('/metrics')).body.toString()
      if (sent > 50 && streams.includes('elocker_event_streams 1')) dropped = true
    }
    expect(dropped).to.equal(true)
    expect(good.ended).to.equal(false)
    slow.destroy()
    good.close()
  }).timeout(30_000)

  it('ends every stream when the gateway closes, and says it is not ready', async () => {
    await using test = await TestGateway.open()
    const listeners = await Promise.all([Listener.open(test), Listener.open(test)])
    expect((await test.bare('/readyz')).status).to.equal(200)
    test.gateway.close()
    await until(() => listeners.every(({ ended }) => ended), 'the streams ended')
    expect((await test.bare('/readyz')).status).to.equal(503)
    expect((await test.call('/api/v1/events')).status).to.equal(503)
    expect(test.clock.pending).to.equal(0)
  })
})
