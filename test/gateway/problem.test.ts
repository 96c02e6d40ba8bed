/** Problems: what of an error leaves, and in which form. */
import { expect } from 'chai'
import { z } from 'zod'
import { LockerError, type LockerErrorCode } from '../../agent/errors.ts'
import { invalid, PROBLEM_BASE, PROBLEMS, problemOf } from '../../gateway/problem.ts'
import { TestGateway } from './harness.ts'

/** Text that means something to a terminal, a browser, a header or a log. */
const PAYLOADS: readonly string[] = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "'-alert(1)-'",
  '{{7*7}}',
  '${7*7}',
  '\r\nSet-Cookie: a=b',
  '%0d%0aSet-Cookie:a=b',
  '\u202etxt.exe',
  '\u001b[2J',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '\u0000',
  'javascript:alert(1)',
  '<svg/onload=alert(1)>',
  '%3Cscript%3E',
  '</title>',
  '<!--',
  ']]>',
  '\ufeff'
]

/** A JSON body of exactly so many bytes. */
function nameOf(sizeBytes: number): string {
  return `{"name":"${'a'.repeat(sizeBytes - 11)}"}`
}

describe('gateway: problems', () => {
  for (const [code, { status, title }] of Object.entries(PROBLEMS))
    it(`says ${code} as RFC 9457 does`, () => {
      const error = new LockerError(code as LockerErrorCode, 'a fact', { facts: { value: 7 } })
      expect(problemOf(error, 'r1')).to.deep.equal({
        type: `${PROBLEM_BASE}${code}`,
        title,
        status,
        detail: 'a fact',
        instance: 'urn:elocker:request:r1',
        code,
        value: 7
      })
      expect(status).to.be.within(400, 599)
    })

  it('lets no fact stand over a member of its own', () => {
    const facts = { status: 200, type: 'about:blank', code: 'fine', instance: 'x' }
    const problem = problemOf(new LockerError('not-found', 'gone', { facts }), 'r1')
    expect(problem).to.include({ status: 404, code: 'not-found', type: `${PROBLEM_BASE}not-found` })
  })

  it('says nothing of an error that nobody foresaw', () => {
    const problem = problemOf(new Error('the passphrase is hunter2'), 'r1')
    expect(JSON.stringify(problem)).to.not.contain('hunter2')
    expect(problem).to.include({ status: 500, code: 'internal-fault' })
  })

  it('cuts control and direction characters, and what is too long', () => {
    const { detail } = problemOf(
      new LockerError('not-found', `a\u202e\r\nb${'c'.repeat(5_000)}`),
      'r1'
    )
    expect(detail).to.match(/^a {3}bc+…$/)
    expect(detail.length).to.be.below(1_100)
  })

  it('holds no markup even where the detail names what was asked for', async () => {
    await using test = await TestGateway.open()
    const answer = await test.call(`/api/v1/contacts/${encodeURIComponent('<b>x</b>')}`)
    expect(answer.body.toString()).to.not.contain('<')
    expect(answer.json()['detail']).to.equal('no contact <b>x</b>')
  })

  it('points at the fields that do not fit, in words of its own', () => {
    const schema = z.strictObject({
      name: z.string().max(3),
      age: z.number().min(1),
      code: z.string().regex(/^a+$/, 'must be nothing but a'),
      wanted: z.string(),
      size: z.number().max(9)
    })
    const given = { name: '<script>', age: '<b>', '<i>': 1, nmae: 'x', code: '<u>', size: 12 }
    const result = schema.safeParse(given)
    const error = invalid('body', result.error ?? new z.ZodError([]), given)
    expect(error.facts['errors']).to.deep.equal([
      { pointer: '/name', detail: 'must be at most 3 characters, has 8' },
      { pointer: '/age', detail: 'must be of type number, is string' },
      { pointer: '/code', detail: 'must be nothing but a' },
      { pointer: '/wanted', detail: 'is missing' },
      { pointer: '/size', detail: 'must be at most 9, is 12' },
      { pointer: '', detail: 'has members that are not known here: nmae' }
    ])
    expect(error.message).to.equal(
      'the body does not fit: name must be at most 3 characters, has 8; ' +
        'age must be of type number, is string; code must be nothing but a; and 3 more'
    )
    expect(JSON.stringify(error.facts) + error.message).to.not.contain('<')
  })

  it('repeats no payload from path, query, header or body', async () => {
    await using test = await TestGateway.open()
    for (const payload of PAYLOADS) {
      const encoded = encodeURIComponent(payload)
      const visible = payload.replaceAll(/[^\x20-\x7e]/g, '')
      const answers = await Promise.all([
        test.call(`/api/v1/documents/${encoded}`),
        test.call(`/${encoded}`),
        test.call(`/api/v1/documents?${encoded}=${encoded}`),
        test.call('/api/v1/node', { headers: { authorization: `Bearer ${visible}` } }),
        test.call('/api/v1/shares', { method: 'POST', json: { [payload]: payload } }),
        test.call('/api/v1/shares', {
          method: 'POST',
          body: payload,
          headers: { 'content-type': visible }
        }),
        test.call('/api/v1/node', { headers: { origin: visible } }),
        test.stranger(`/s/${encoded}/facts`),
        test.stranger(`/didcomm`, {
          method: 'POST',
          body: payload,
          headers: { 'content-type': visible }
        })
      ])
      for (const { status, headers, body } of answers) {
        expect(status).to.be.within(400, 499)
        expect(headers['content-type']).to.equal('application/problem+json')
        expect(headers['x-content-type-options']).to.equal('nosniff')
        expect(headers).to.not.have.property('set-cookie')
        expect(JSON.stringify(headers)).to.not.contain('Set-Cookie')
        expect(body.toString('latin1')).to.not.contain('<')
        // A word that could be an id may be named as one; nothing that could be more.
        if (/\W/.test(visible) && visible.length > 3)
          expect(body.toString('utf8')).to.not.contain(visible)
      }
    }
  })

  it('answers what is not JSON, and what is nested a million deep, quickly and alike', async () => {
    await using test = await TestGateway.open()
    const startedMs = performance.now()
    for (const body of [
      '{',
      '[',
      '"',
      'nul',
      '\u0000',
      '['.repeat(1_000_000),
      '{"a":'.repeat(200_000)
    ]) {
      const headers = { 'content-type': 'application/json' }
      const answer = await test.call('/api/v1/shares', { method: 'POST', body, headers })
      expect(answer.status).to.equal(400)
      expect(answer.json()['code']).to.equal('request-invalid')
    }
    expect(performance.now() - startedMs).to.be.below(2_000)
  })

  it('takes a JSON body of 1 MiB and refuses one byte more', async () => {
    await using test = await TestGateway.open()
    const headers = { 'content-type': 'application/json' }
    const exact = await test.call('/api/v1/locker', {
      method: 'PATCH',
      body: nameOf(1_048_576),
      headers
    })
    const over = await test.call('/api/v1/locker', {
      method: 'PATCH',
      body: nameOf(1_048_577),
      headers
    })
    expect([exact.status, exact.json()['code']]).to.deep.equal([400, 'request-invalid'])
    expect([over.status, over.json()['code']]).to.deep.equal([413, 'request-too-large'])
  })

  it('logs where an unforeseen error arose, under the id the client was told, and not its message', async () => {
    await using test = await TestGateway.open()
    test.agent.inbox = () => {
      throw new TypeError('the name of the patient is Bob')
    }
    const answer = await test.call('/api/v1/inbox')
    const [line] = test.logged.filter(({ level }) => level === 'error')
    expect(answer.json()['instance']).to.equal(
      `urn:elocker:request:${String(line?.fields?.['requestId'])}`
    )
    expect(answer.headers['x-request-id']).to.equal(line?.fields?.['requestId'])
    expect(String(line?.fields?.['fault'])).to.match(/TypeError[^]*problem\.test\.ts/)
    expect(JSON.stringify(test.logged)).to.not.contain('patient')
    expect(answer.body.toString()).to.not.contain('patient')
  })

  it('lets no member out that the schema does not name', async () => {
    await using test = await TestGateway.open()
    const id = await test.add('a.txt', 'hello')
    const facts = test.agent.documents.get(id)
    test.agent.documents.get = () => ({ ...facts, fileKey: 'secret' }) as typeof facts
    const answer = await test.call(`/api/v1/documents/${id}`)
    expect(answer.json()).to.deep.equal(facts)
  })
})
