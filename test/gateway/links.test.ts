/** Share links and the letter box on the public listener. */
import { expect } from 'chai'
import { RATES } from '../../gateway/limits.ts'
import { TestGateway, type Answer } from './harness.ts'

const CONTENT = Buffer.alloc(200_000, 'sealed bytes ')

interface Made {
  readonly id: string
  readonly proof: string
}

/** A document and a link to it. */
async function link(test: TestGateway, options: Record<string, unknown> = {}): Promise<Made> {
  const document = await test.add('degree.pdf', CONTENT)
  const json = { document, link: true, ...options }
  const answer = await test.call('/api/v1/shares', { method: 'POST', json })
  const url = new URL(String(answer.json()['url']))
  return { id: String(answer.json()['id']), proof: url.hash.slice(1) }
}

function use(test: TestGateway, { id, proof }: Made): Promise<Answer> {
  return test.stranger(`/s/${id}/open`, { method: 'POST', json: { proof } })
}

describe('gateway: share links', () => {
  it('opens with the proof and reads the ciphertext with the ticket, whole and by range', async () => {
    await using test = await TestGateway.open()
    const made = await link(test)
    const opened = (await use(test, made)).json()
    expect(opened).to.include({ capability: 'AQID', sealedBytes: CONTENT.length, usesLeft: 0 })
    const path = `/s/${made.id}/content?ticket=${String(opened['ticket'])}`
    const whole = await test.stranger(path)
    expect(whole.body.equals(CONTENT)).to.equal(true)
    const part = await test.stranger(path, { headers: { range: 'bytes=100000-100009' } })
    expect(part.status).to.equal(206)
    expect(part.headers['content-range']).to.equal(`bytes 100000-100009/${CONTENT.length}`)
    expect(part.body.equals(CONTENT.subarray(100_000, 100_010))).to.equal(true)
  })

  it('gives one of a hundred simultaneous opens of a one-use link a document', async () => {
    await using test = await TestGateway.open()
    const made = await link(test)
    const answers = await Promise.all(Array.from({ length: 100 }, () => use(test, made)))
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).to.have.length(1)
    expect(statuses.filter((status) => status === 410)).to.have.length(99)
    expect(test.agent.links.list()[0]?.uses).to.equal(1)
  })

  it('uses nothing up by GET or HEAD, however often and on whatever path', async () => {
    await using test = await TestGateway.open()
    const { id, proof } = await link(test)
    for (let visit = 0; visit < 50; visit += 1)
      for (const path of [
        '',
        '/facts',
        '/open',
        `/open?proof=${proof}`,
        `/content?ticket=${proof}`,
        `?${proof}`
      ])
        for (const method of ['GET', 'HEAD']) await test.stranger(`/s/${id}${path}`, { method })
    expect(test.agent.links.list()[0]).to.include({ uses: 0, state: 'live' })
  })

  it('says what went wrong: used up, stopped, wrong proof, unknown', async () => {
    await using test = await TestGateway.open()
    const made = await link(test, { usesMax: 2 })
    const wrong = await use(test, { ...made, proof: 'A'.repeat(43) })
    await use(test, made)
    await use(test, made)
    const used = await use(test, made)
    const other = await link(test)
    await test.call(`/api/v1/shares/${other.id}`, { method: 'DELETE' })
    const stopped = await use(test, other)
    const unknown = await use(test, { ...made, id: 'a'.repeat(26) })
    const malformed = await use(test, { ...made, proof: 'short' })
    expect(
      [wrong, used, stopped, unknown, malformed].map((each) => [each.status, each.json()['code']])
    ).to.deep.equal([
      [403, 'link-proof-wrong'],
      [410, 'link-used-up'],
      [410, 'link-stopped'],
      [404, 'link-unknown'],
      [400, 'request-invalid']
    ])
  })

  it('reads nothing without a ticket of this very link, nor after ten minutes', async () => {
    await using test = await TestGateway.open()
    const [made, other] = [await link(test), await link(test)]
    const ticket = String((await use(test, made)).json()['ticket'])
    expect((await test.stranger(`/s/${made.id}/content`)).status).to.equal(400)
    expect((await test.stranger(`/s/${other.id}/content?ticket=${ticket}`)).status).to.equal(404)
    expect((await test.stranger(`/s/${made.id}/content?ticket=x`)).status).to.equal(404)
    test.clock.set(new Date(test.clock.now().getTime() + 10 * 60_000))
    expect((await test.stranger(`/s/${made.id}/content?ticket=${ticket}`)).status).to.equal(404)
  })

  it('says the locker is locked while it is', async () => {
    await using test = await TestGateway.open()
    const made = await link(test)
    await test.agent.vault.seal()
    const answers = [await use(test, made), await test.stranger(`/s/${made.id}/facts`)]
    expect(answers.map(({ status }) => status)).to.deep.equal([503, 503])
    expect(answers[0]?.headers['retry-after']).to.equal('60')
    expect(answers[0]?.json()['code']).to.equal('vault-sealed')
  })

  it('knows neither the control API nor the owner', async () => {
    await using test = await TestGateway.open()
    for (const path of [
      '/',
      '/api/v1/node',
      '/api/v1/documents',
      '/metrics',
      '/openapi.json',
      '/readyz'
    ])
      expect([path, (await test.stranger(path)).status]).to.deep.equal([path, 404])
    expect((await test.stranger('/livez')).json()).to.deep.equal({ status: 'ok' })
  })

  it('slows an address that asks too often, and believes no header about its address', async () => {
    const open = { windowMs: 60_000, requestsMax: 5 }
    await using test = await TestGateway.open({ limits: { rates: { open } } })
    const { id } = await link(test)
    const statuses: number[] = []
    for (let guess = 0; guess < 7; guess += 1) {
      const headers = { 'x-forwarded-for': `10.0.0.${guess}` }
      const json = { proof: 'A'.repeat(43) }
      statuses.push(
        (await test.stranger(`/s/${id}/open`, { method: 'POST', json, headers })).status
      )
    }
    expect(statuses).to.deep.equal([403, 403, 403, 403, 403, 429, 429])
  })

  it('tells addresses apart behind a proxy the owner named', async () => {
    const open = { windowMs: 60_000, requestsMax: 1 }
    await using test = await TestGateway.open({ limits: { rates: { open } }, trustProxy: 1 })
    const { id } = await link(test)
    const ask = async (address: string): Promise<number> => {
      const headers = { 'x-forwarded-for': address }
      const json = { proof: 'A'.repeat(43) }
      return (await test.stranger(`/s/${id}/open`, { method: 'POST', json, headers })).status
    }
    expect([await ask('10.0.0.1'), await ask('10.0.0.2'), await ask('10.0.0.1')]).to.deep.equal([
      403, 403, 429
    ])
  })
})

describe('gateway: letter box', () => {
  const TYPE = { 'content-type': 'application/didcomm-encrypted+json' }

  it('takes an envelope and tells nothing of it', async () => {
    await using test = await TestGateway.open()
    const answer = await test.stranger('/didcomm', {
      method: 'POST',
      body: '{"x":1}',
      headers: TYPE
    })
    expect([answer.status, answer.body.length]).to.deep.equal([202, 0])
    expect(test.agent.received.map((each) => Buffer.from(each).toString())).to.deep.equal([
      '{"x":1}'
    ])
  })

  it('takes parameters of the media type, and while the locker is locked', async () => {
    await using test = await TestGateway.open({ state: 'sealed' })
    const headers = { 'content-type': 'Application/DIDComm-Encrypted+JSON; charset=utf-8' }
    const answer = await test.stranger('/didcomm', { method: 'POST', body: '{}', headers })
    expect(answer.status).to.equal(202)
  })

  it('takes 256 KiB and refuses one byte more, announced or not', async () => {
    await using test = await TestGateway.open()
    const send = (sizeBytes: number, headers: Record<string, string> = {}): Promise<Answer> =>
      test.stranger('/didcomm', {
        method: 'POST',
        body: Buffer.alloc(sizeBytes, ' '),
        headers: { ...TYPE, ...headers }
      })
    expect((await send(262_143)).status).to.equal(202)
    expect((await send(262_144)).status).to.equal(202)
    expect((await send(262_145)).status).to.equal(413)
    expect((await send(3_000_000)).status).to.equal(413)
    const chunked = { 'transfer-encoding': 'chunked' }
    expect((await send(262_145, chunked)).status).to.equal(413)
    expect((await send(262_144, chunked)).status).to.equal(202)
    expect(test.agent.received).to.have.length(3)
  })

  it('refuses other media types, codings and methods', async () => {
    await using test = await TestGateway.open()
    const post = (headers: Record<string, string>): Promise<Answer> =>
      test.stranger('/didcomm', { method: 'POST', body: '{}', headers })
    expect((await post({ 'content-type': 'application/json' })).status).to.equal(415)
    expect((await post({})).status).to.equal(415)
    expect((await post({ ...TYPE, 'content-encoding': 'gzip' })).status).to.equal(415)
    const get = await test.stranger('/didcomm')
    expect([get.status, get.headers['allow']]).to.deep.equal([405, 'POST'])
    expect(test.agent.received).to.have.length(0)
  })

  it('slows an address that sends more than a hundred at once', async () => {
    // The limit's own window is 2 s, which a busy machine may take for the requests themselves.
    const envelopes = { ...RATES.envelopes, windowMs: 60_000 }
    await using test = await TestGateway.open({ limits: { rates: { envelopes } } })
    const answers = await Promise.all(
      Array.from({ length: 120 }, () =>
        test.stranger('/didcomm', { method: 'POST', body: '{}', headers: TYPE })
      )
    )
    const taken = answers.filter(({ status }) => status === 202).length
    expect(taken).to.equal(100)
    expect(answers.find(({ status }) => status === 429)?.headers['retry-after']).to.match(/^\d+$/)
  })
})
