/** Documents over HTTP: uploading, reading, changing, and all the ways an upload ends early. */
import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { expect } from 'chai'
import { until } from '../clock.ts'
import { RUN_TOKEN, TestGateway, type Answer, type Sent } from './harness.ts'

const BYTES = Buffer.alloc(300_000, 'elocker ')

/** A request whose body the test writes by hand. */
function byHand(
  test: TestGateway,
  path: string,
  headers: Record<string, string> = {}
): ClientRequest {
  const request = httpRequest({
    host: '127.0.0.1',
    port: test.privatePort,
    path,
    method: 'POST',
    agent: false,
    headers: {
      host: `localhost:${test.privatePort}`,
      authorization: `Bearer ${RUN_TOKEN}`,
      ...headers
    }
  })
  // A test that cuts the connection hears of it here too.
  request.on('error', () => undefined)
  return request
}

/** A multipart form: fields and files in their order. */
function form(
  ...parts: ReadonlyArray<readonly [disposition: string, content: Buffer | string]>
): Sent {
  const body = Buffer.concat([
    ...parts.map(([disposition, content]) =>
      Buffer.concat([
        Buffer.from(`--B\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
        Buffer.from(content),
        Buffer.from('\r\n')
      ])
    ),
    Buffer.from('--B--\r\n')
  ])
  return { method: 'POST', body, headers: { 'content-type': 'multipart/form-data; boundary=B' } }
}

function codeOf(answer: Answer): readonly unknown[] {
  return [answer.status, answer.json()['code']]
}

describe('gateway: uploads', () => {
  it('adds a raw body and gives the same bytes back', async () => {
    await using test = await TestGateway.open()
    const sent = { method: 'POST', body: BYTES }
    const added = await test.call('/api/v1/documents?name=a.bin&type=report&tag=x&tag=y', sent)
    expect(added.status).to.equal(201)
    expect(added.json()).to.include({ name: 'a.bin', type: 'report', sizeBytes: BYTES.length })
    expect(added.json()['tags']).to.deep.equal(['x', 'y'])
    const read = await test.call(`${String(added.headers.location)}/content`)
    expect(read.body.equals(BYTES)).to.equal(true)
  })

  it('takes a body of any media type as it is, JSON too', async () => {
    await using test = await TestGateway.open()
    for (const type of ['application/json', 'text/html', 'application/x-www-form-urlencoded', '']) {
      const headers = { 'content-type': type }
      const sent = { method: 'POST', body: '{"a":1}', headers }
      const added = await test.call('/api/v1/documents?name=a.json', sent)
      expect(test.agent.documents.bytesOf(String(added.json()['id'])).toString()).to.equal(
        '{"a":1}'
      )
    }
  })

  it('takes an empty body: an empty document', async () => {
    await using test = await TestGateway.open()
    const id = await test.add('empty.txt', '')
    const read = await test.call(`/api/v1/documents/${id}/content`)
    expect([read.status, read.headers['content-length']]).to.deep.equal([200, '0'])
  })

  it('adds the file of a form, with the fields before it', async () => {
    await using test = await TestGateway.open()
    const answer = await test.call(
      '/api/v1/documents',
      form(
        ['name="tag"', 'x'],
        ['name="type"', 'degree'],
        ['name="file"; filename="Zeugnis ä.pdf"', BYTES]
      )
    )
    expect(answer.json()).to.include({ name: 'Zeugnis ä.pdf', type: 'degree' })
    expect(test.agent.documents.bytesOf(String(answer.json()['id'])).equals(BYTES)).to.equal(true)
  })

  it('keeps of a form’s file name the last segment, whichever way the slashes lean', async () => {
    await using test = await TestGateway.open()
    for (const name of ['../../etc/passwd', '/etc/passwd', 'C:\\\\x\\\\passwd'])
      expect(
        (
          await test.call('/api/v1/documents', form([`name="file"; filename="${name}"`, 'x']))
        ).json()['name']
      ).to.equal('passwd')
  })

  it('refuses names that are no names', async () => {
    await using test = await TestGateway.open()
    for (const name of ['', 'a\nb', 'a\0b', '\u001b[31m', 'x'.repeat(256)]) {
      const path = `/api/v1/documents?name=${encodeURIComponent(name)}`
      expect(codeOf(await test.call(path, { method: 'POST', body: 'x' }))).to.deep.equal([
        400,
        'request-invalid'
      ])
    }
    expect(
      codeOf(await test.call('/api/v1/documents', { method: 'POST', body: 'x' }))
    ).to.deep.equal([400, 'request-invalid'])
    expect(test.agent.documents.list()).to.have.length(0)
  })

  // oxfmt-ignore
  const FORMS: ReadonlyArray<readonly [what: string, sent: Sent]> = [
    ['without a file', form(['name="name"', 'a.txt'])],
    ['with a field nobody knows', form(['name="owner"', 'me'], ['name="file"; filename="a"', 'x'])],
    ['with a field that is too long', form(['name="tag"', 'x'.repeat(5_000)], ['name="file"; filename="a"', 'x'])],
    ['with a second file', form(['name="file"; filename="a"', BYTES], ['name="file"; filename="b"', 'x'])],
    ['with a field after the file', form(['name="file"; filename="a"', BYTES], ['name="tag"', 'x'])],
    ['with too many fields', form(...Array.from({ length: 100 }, () => ['name="tag"', 'x'] as const), ['name="file"; filename="a"', 'x'])],
    ['without an end', { ...form(['name="file"; filename="a"', BYTES]), body: Buffer.concat([Buffer.from('--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'), BYTES]) }],
    ['that breaks off in a header', { ...form(), body: '--B\r\nContent-Dispo' }],
    ['that is empty', { ...form(), body: '' }],
    ['without a boundary', { ...form(), headers: { 'content-type': 'multipart/form-data' } }]
  ]
  for (const [what, sent] of FORMS)
    it(`refuses a form ${what} and stores nothing`, async () => {
      await using test = await TestGateway.open()
      expect(codeOf(await test.call('/api/v1/documents', sent))).to.deep.equal([
        400,
        'request-invalid'
      ])
      expect(test.agent.documents.list()).to.have.length(0)
      expect(test.agent.documents.running).to.equal(0)
    })

  it('takes a document of the largest size and refuses one byte more, raw or in a form', async () => {
    const uploadBytesMax = 100_000
    await using test = await TestGateway.open({ limits: { uploadBytesMax } })
    for (const sizeBytes of [uploadBytesMax - 1, uploadBytesMax, uploadBytesMax + 1]) {
      const body = Buffer.alloc(sizeBytes)
      const answers = [
        await test.call('/api/v1/documents?name=a', { method: 'POST', body }),
        await test.call('/api/v1/documents', form(['name="file"; filename="a"', body]))
      ]
      const want = sizeBytes > uploadBytesMax ? 413 : 201
      expect(answers.map(({ status }) => status)).to.deep.equal([want, want])
      if (want === 413) expect(answers[0]?.json()['code']).to.equal('document-too-large')
    }
    expect(test.agent.documents.list()).to.have.length(4)
  })

  it('refuses a body in a content coding', async () => {
    await using test = await TestGateway.open()
    for (const coding of ['gzip', 'br', 'deflate', 'zstd', 'gzip, br', 'x']) {
      const headers = { 'content-encoding': coding }
      const answer = await test.call('/api/v1/documents?name=a', {
        method: 'POST',
        body: 'x',
        headers
      })
      expect(codeOf(answer)).to.deep.equal([415, 'request-unsupported'])
    }
  })

  it('refuses a chunked body that grows past the limit, with an answer', async () => {
    await using test = await TestGateway.open({ limits: { uploadBytesMax: 100_000 } })
    const request = byHand(test, '/api/v1/documents?name=a')
    const answered = once(request, 'response')
    for (let part = 0; part < 5; part += 1) request.write(Buffer.alloc(50_000))
    const [response] = (await answered) as [IncomingMessage]
    expect(response.statusCode).to.equal(413)
    response.destroy()
    expect(test.agent.documents.list()).to.have.length(0)
  })

  it('answers a refused upload before it has come', async () => {
    await using test = await TestGateway.open({ state: 'sealed' })
    const request = byHand(test, '/api/v1/documents?name=a', { 'content-length': '1000000000' })
    request.write('the first bytes')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect(response.statusCode).to.equal(423)
    request.destroy()
  })

  for (const kind of ['raw', 'form'] as const)
    it(`leaves nothing of a ${kind} upload whose client goes away`, async () => {
      await using test = await TestGateway.open()
      const headers: Record<string, string> =
        kind === 'form' ? { 'content-type': 'multipart/form-data; boundary=B' } : {}
      const request = byHand(test, '/api/v1/documents?name=a', headers)
      if (kind === 'form')
        request.write('--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
      request.write(BYTES)
      await until(() => test.agent.documents.running === 1, 'the upload began')
      request.destroy()
      await until(() => test.agent.documents.running === 0, 'the upload ended')
      expect(test.agent.documents.list()).to.have.length(0)
      expect((await test.call('/api/v1/documents')).status).to.equal(200)
      const log = test.logged.filter(({ level }) => level === 'error')
      expect(log).to.deep.equal([])
    })

  it('stores a document that comes byte by byte', async () => {
    await using test = await TestGateway.open()
    const request = byHand(test, '/api/v1/documents?name=a')
    for (const byte of 'slow') {
      request.write(byte)
      await until(() => test.agent.documents.running === 1, 'the upload goes on')
    }
    const answered = once(request, 'response')
    request.end()
    await answered
    const [facts] = test.agent.documents.list()
    expect(test.agent.documents.bytesOf(facts?.id ?? '').toString()).to.equal('slow')
  })

  it('holds the sender back while the agent is busy', async () => {
    await using test = await TestGateway.open()
    let taken = 0
    const { promise: gate, resolve: go } = Promise.withResolvers<void>()
    const add = test.agent.documents.add.bind(test.agent.documents)
    test.agent.documents.add = (source, options) =>
      add(
        (async function* () {
          for await (const chunk of source) {
            taken += chunk.length
            await gate
            yield chunk
          }
        })(),
        options
      )
    const request = byHand(test, '/api/v1/documents?name=a')
    const megabyte = Buffer.alloc(1_048_576)
    let written = 0
    // Past what the kernel and Node hold for it (tens of megabytes at most), the sender must wait.
    while (request.write(megabyte) || written < 64) {
      written += 1
      if (written >= 64) break
    }
    await until(() => taken > 0, 'the first chunk was taken')
    expect(taken).to.be.at.most(65_536)
    go()
    const answered = once(request, 'response')
    request.end()
    await answered
    expect(taken).to.equal((written + (written < 64 ? 1 : 0)) * megabyte.length)
  }).timeout(20_000)
})

/** Adds a document; the path of its bytes. */
async function contentOf(test: TestGateway): Promise<string> {
  return `/api/v1/documents/${await test.add('a.pdf', BYTES)}/content`
}

describe('gateway: reading documents', () => {
  it('sends bytes to be saved and never run', async () => {
    await using test = await TestGateway.open()
    for (const body of [
      '<html><script>alert(1)</script>',
      '<svg onload="alert(1)"/>',
      '%PDF-1.7'
    ]) {
      const { headers } = await test.call(`/api/v1/documents/${await test.add('x', body)}/content`)
      expect(headers).to.include({
        'content-disposition': 'attachment; filename="x"',
        'content-security-policy': "sandbox; default-src 'none'",
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
        'accept-ranges': 'bytes'
      })
      expect(headers['content-type']).to.equal(
        body.startsWith('%PDF') ? 'application/pdf' : 'application/octet-stream'
      )
    }
  })

  // oxfmt-ignore
  const RANGES: ReadonlyArray<readonly [range: string, status: number, contentRange: string | undefined, start: number, end: number]> = [
    ['bytes=0-0',             206, 'bytes 0-0/300000',           0,       1],
    ['bytes=65535-65536',     206, 'bytes 65535-65536/300000',   65_535,  65_537],
    ['bytes=299999-',         206, 'bytes 299999-299999/300000', 299_999, 300_000],
    ['bytes=-1',              206, 'bytes 299999-299999/300000', 299_999, 300_000],
    ['bytes=0-',              206, 'bytes 0-299999/300000',      0,       300_000],
    ['bytes=100000-9999999',  206, 'bytes 100000-299999/300000', 100_000, 300_000],
    ['bytes=0-1,4-5',         200, undefined,                    0,       300_000]
  ]
  for (const [range, status, contentRange, start, end] of RANGES)
    it(`answers ${range} with ${status}`, async () => {
      await using test = await TestGateway.open()
      const answer = await test.call(await contentOf(test), { headers: { range } })
      expect([answer.status, answer.headers['content-range']]).to.deep.equal([status, contentRange])
      expect(answer.headers['content-length']).to.equal(String(end - start))
      expect(answer.body.equals(BYTES.subarray(start, end))).to.equal(true)
    })

  it('answers 416 with the size, 412 and 304 without a body', async () => {
    await using test = await TestGateway.open()
    const path = await contentOf(test)
    const { headers } = await test.call(path, { method: 'HEAD' })
    const etag = String(headers.etag)
    const beyond = await test.call(path, { headers: { range: 'bytes=300000-' } })
    expect([beyond.status, beyond.headers['content-range']]).to.deep.equal([416, 'bytes */300000'])
    expect(beyond.headers).to.not.have.property('etag')
    const other = await test.call(path, { headers: { 'if-match': '"other"' } })
    expect(codeOf(other)).to.deep.equal([412, 'precondition-failed'])
    const same = await test.call(path, { headers: { 'if-none-match': etag } })
    expect([same.status, same.body.length, same.headers.etag]).to.deep.equal([304, 0, etag])
  })

  it('answers HEAD like GET, without opening the document', async () => {
    await using test = await TestGateway.open()
    const path = await contentOf(test)
    test.agent.documents.open = () => Promise.reject(new Error('it was opened'))
    const head = await test.call(path, { method: 'HEAD', headers: { range: 'bytes=0-9' } })
    expect([head.status, head.headers['content-length'], head.body.length]).to.deep.equal([
      200,
      '300000',
      0
    ])
  })

  it('has an entity tag that changes with the version and says nothing of the content', async () => {
    await using test = await TestGateway.open()
    const id = await test.add('a', 'same')
    const other = await test.add('b', 'same')
    await test.call(`/api/v1/documents/${id}/versions`, { method: 'POST', body: 'more' })
    const tagOf = async (path: string): Promise<unknown> => (await test.call(path)).headers.etag
    const tags = [
      await tagOf(`/api/v1/documents/${id}/content?version=1`),
      await tagOf(`/api/v1/documents/${id}/content`),
      await tagOf(`/api/v1/documents/${other}/content`)
    ]
    expect(new Set(tags).size).to.equal(3)
    expect((await test.call(`/api/v1/documents/${id}/content?version=1`)).body.toString()).to.equal(
      'same'
    )
    expect(codeOf(await test.call(`/api/v1/documents/${id}/content?version=3`))).to.deep.equal([
      404,
      'version-unknown'
    ])
  })

  it('answers damage found at the start with a problem, and later damage by cutting the connection', async () => {
    await using test = await TestGateway.open()
    const path = await contentOf(test)
    const open = test.agent.documents.open.bind(test.agent.documents)
    const damage = async (good: number, last = Infinity): Promise<unknown> => {
      test.agent.documents.open = async (id, options) => {
        const opened = await open(id, options)
        const content = (async function* () {
          let chunks = 0
          for await (const chunk of opened.content) {
            if (chunks === good) throw new RangeError('a chunk does not open')
            // An end that comes too soon is damage too.
            if (chunks === last) return
            chunks += 1
            yield chunk
          }
        })()
        return { ...opened, content }
      }
      return test.call(path).then(
        ({ status, headers }) => [status, headers['content-type'], headers['content-disposition']],
        (error: NodeJS.ErrnoException) => error.code
      )
    }
    expect(await damage(99, 1)).to.equal('ECONNRESET')
    expect(test.logged.map(({ fields }) => fields?.['code'])).to.include('integrity-failed')
    expect(await damage(0)).to.deep.equal([500, 'application/problem+json', undefined])
    expect(await damage(2)).to.equal('ECONNRESET')
  })

  it('stops reading when the client goes away', async () => {
    await using test = await TestGateway.open()
    const path = await contentOf(test)
    let closed = false
    const open = test.agent.documents.open.bind(test.agent.documents)
    test.agent.documents.open = async (id, options) => {
      const opened = await open(id, options)
      const content = (async function* () {
        try {
          // Without end, so that only the client can be what ends it.
          for (;;) yield new Uint8Array(65_536)
        } finally {
          closed = true
        }
      })()
      return { ...opened, content }
    }
    const request = httpRequest({
      host: '127.0.0.1',
      port: test.privatePort,
      path,
      agent: false,
      headers: { host: `localhost:${test.privatePort}`, authorization: `Bearer ${RUN_TOKEN}` }
    })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    response.once('data', () => response.destroy())
    response.on('error', () => undefined)
    await until(() => closed, 'the document was closed')
  })
})

describe('gateway: lists of documents', () => {
  it('gives a list in pages, without losing or repeating one when documents come and go', async () => {
    await using test = await TestGateway.open()
    const ids: string[] = []
    for (let document = 0; document < 7; document += 1)
      ids.unshift(await test.add(`d${document}`, 'x'))
    const page = async (cursor: string): Promise<{ ids: string[]; next: string | undefined }> => {
      const answer = (await test.call(`/api/v1/documents?limit=3${cursor}`)).json()
      const items = answer['items'] as Array<{ id: string }>
      return { ids: items.map(({ id }) => id), next: answer['nextCursor'] as string | undefined }
    }
    const first = await page('')
    await test.add('new', 'x')
    const second = await page(`&cursor=${first.next}`)
    expect([...first.ids, ...second.ids]).to.deep.equal(ids.slice(0, 6))
    await test.call(`/api/v1/documents/${second.ids[2]}?permanent=1`, { method: 'DELETE' })
    const third = await page(`&cursor=${second.next}`)
    expect(third.next).to.equal(undefined)
    expect((await test.call('/api/v1/documents?cursor=nonsense')).status).to.equal(400)
    expect((await test.call('/api/v1/documents?limit=0')).status).to.equal(400)
    expect((await test.call('/api/v1/documents?limit=501')).status).to.equal(400)
    expect((await test.call('/api/v1/documents?colour=blue')).status).to.equal(400)
  })

  it('searches, lists the trash, and deletes for good', async () => {
    await using test = await TestGateway.open()
    const id = await test.add('degree.pdf', 'x')
    await test.add('photo.png', 'y')
    const names = async (query: string): Promise<string[]> =>
      (
        (await test.call(`/api/v1/documents${query}`)).json()['items'] as Array<{ name: string }>
      ).map(({ name }) => name)
    expect(await names('?q=deg')).to.deep.equal(['degree.pdf'])
    await test.call(`/api/v1/documents/${id}`, { method: 'DELETE' })
    expect(await names('')).to.deep.equal(['photo.png'])
    expect(await names('?trashed=1')).to.deep.equal(['degree.pdf'])
    await test.call(`/api/v1/documents/${id}/restore`, { method: 'POST' })
    expect(await names('?trashed=0')).to.have.length(2)
    await test.call(`/api/v1/documents/${id}?permanent=1`, { method: 'DELETE' })
    expect((await test.call(`/api/v1/documents/${id}`)).status).to.equal(404)
  })

  it('changes name, tags and type, and nothing else', async () => {
    await using test = await TestGateway.open()
    const path = `/api/v1/documents/${await test.add('a.txt', 'x')}`
    const change = (json: unknown): Promise<Answer> => test.call(path, { method: 'PATCH', json })
    expect((await change({ name: 'b.txt', tags: ['x'], type: 'note' })).json()).to.include({
      name: 'b.txt',
      type: 'note'
    })
    expect((await change({ type: null })).json()).to.not.have.property('type')
    for (const json of [
      { id: 'x' },
      { root: 'x' },
      { name: '' },
      { tags: 'x' },
      { __proto__: null, name: 7 },
      [],
      'x',
      null
    ])
      expect((await change(json)).status).to.equal(400)
    const headers = { 'content-type': 'application/json' }
    const body = '{"__proto__":{"name":"x"},"constructor":{}}'
    expect((await test.call(path, { method: 'PATCH', body, headers })).status).to.equal(400)
  })
})
