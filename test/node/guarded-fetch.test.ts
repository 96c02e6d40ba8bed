/**
 * The guard before every request to a place that somebody else named. Look-up and connecting are the test's, so
 * nothing is sent anywhere; a listener on loopback counts what gets through to the real connect: nothing.
 */
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { duplexPair, type Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import {
  ANSWER_BYTES_MAX,
  connectTo,
  createGuardedFetch,
  FETCH_TIMEOUT_MS,
  HOSTS_MAX,
  PER_HOST_MAX,
  PER_HOST_WAITING_MAX,
  type ConnectTarget,
  type FetchFault,
  type GuardedFetch,
  type GuardedFetchComponents
} from '../../node/guarded-fetch.ts'
import { FakeClock, turns, until } from '../clock.ts'

const PUBLIC = '93.184.215.14'
const JSON_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const contentType = 'application/didcomm-encrypted+json'

interface Stage {
  readonly fetch: GuardedFetch
  readonly clock: FakeClock
  readonly connections: ConnectTarget[]
  readonly lookups: string[]
  /** What the fetch wrote on the connection so far. */
  readonly received: () => string
  /** Our ends of the connections. */
  readonly peers: Duplex[]
}

/** A fetch whose peer answers each connection with the given bytes; undefined: stays silent. */
function stage(
  answer: string | Buffer | undefined,
  components: Partial<GuardedFetchComponents> = {}
): Stage {
  const clock = new FakeClock()
  const connections: ConnectTarget[] = []
  const lookups: string[] = []
  const peers: Duplex[] = []
  let received = ''
  const fetch = createGuardedFetch({
    clock,
    lookup: async (host) => {
      lookups.push(host)
      return [PUBLIC]
    },
    connect: async (target) => {
      connections.push(target)
      const [ours, theirs] = duplexPair()
      peers.push(ours)
      ours.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
      // A fetch that gives up destroys its end; what we still write then fails, and that is no fault here.
      ours.on('error', () => {})
      if (answer !== undefined) ours.write(answer)
      return theirs
    },
    ...components
  })
  return { fetch, clock, connections, lookups, peers, received: () => received }
}

/** Expects `peer-unreachable` for the reason. */
async function fails(work: Promise<unknown>, reason: FetchFault): Promise<LockerError> {
  const error: unknown = await work.then(
    () => undefined,
    (caught: unknown) => caught
  )
  expect(error).to.be.instanceOf(LockerError)
  if (!(error instanceof LockerError)) throw error
  expect(error.code).to.equal('peer-unreachable')
  expect(error.facts['reason'], error.message).to.equal(reason)
  return error
}

/** A name with these addresses. */
const addresses = (...list: readonly string[]): Stage => stage('', { lookup: async () => list })
const unknownName = (): Promise<never> => Promise.reject(new Error('ENOTFOUND'))

describe('guarded fetch', () => {
  it('fetches JSON from the address it looked up', async () => {
    const { fetch, connections, received } = stage(`${JSON_HEAD}Content-Length: 7\r\n\r\n{"a":1}`)
    const bytes = await fetch.getJson('https://good.example/.well-known/did.json?v=1#f')
    expect(Buffer.from(bytes).toString()).to.equal('{"a":1}')
    expect(connections).to.deep.equal([
      { address: PUBLIC, port: 443, tls: true, servername: 'good.example' }
    ])
    expect(received()).to.match(/^GET \/\.well-known\/did\.json\?v=1 HTTP\/1\.1\r\n/)
    expect(received().toLowerCase()).to.include('\r\nhost: good.example\r\n')
  })

  it('posts bytes and is content with any 2xx', async () => {
    const { fetch, connections, received } = stage(
      'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'
    )
    await fetch.post('http://good.example:4281/didcomm', Buffer.from('{}'), { contentType })
    expect(connections).to.deep.equal([
      { address: PUBLIC, port: 4281, tls: false, servername: 'good.example' }
    ])
    expect(received()).to.match(/\r\n\r\n\{\}$/)
    expect(received().toLowerCase()).to.include(`content-type: ${contentType}`)
  })

  // Every way of naming a machine that is not out on the internet.
  // oxfmt-ignore
  const HOSTS = [
    '127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.1', '127.255.255.254', '0', '0.0.0.0',
    '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '0xa9fea9fe', '100.64.0.1', '192.0.0.192', '198.18.0.1', '224.0.0.1', '255.255.255.255',
    '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[fe80::1]', '[fd00:ec2::254]', '[ff02::1]', '[2001:db8::1]',
    'localhost', 'LOCALHOST', 'localhost.', 'good.example.', 'intranet', '１２７.0.0.1', '①②⑦.0.0.1', '127。0。0。1', 'user@127.0.0.1', 'good.example@127.0.0.1', ':p@good.example'
  ]
  for (const host of HOSTS) {
    it(`never connects to ${host}`, async () => {
      for (const method of ['get', 'post'] as const) {
        const { fetch, connections, lookups } = stage('')
        const url = `https://${host}/`
        const work =
          method === 'get' ? fetch.getJson(url) : fetch.post(url, Buffer.from(''), { contentType })
        const error = await work.then(
          () => undefined,
          (caught: unknown) => caught
        )
        expect(error).to.be.instanceOf(LockerError)
        expect((error as LockerError).facts['reason']).to.match(/^(url|address)-refused$/)
        expect(connections).to.deep.equal([])
        expect(lookups).to.deep.equal([])
      }
    })
  }

  // oxfmt-ignore
  const URLS = [
    '', 'good.example', '//good.example', 'file:///etc/passwd', 'ftp://good.example/', 'gopher://good.example/', 'data:application/json,1', 'javascript:1',
    'unix:/run/x.sock', 'http://good.example/', 'https://good.example:22/', 'https://good.example:8443/', 'https://good.example:99999/', `https://good.example/${'x'.repeat(2048)}`
  ]
  for (const url of URLS) {
    it(`does not get ${url.slice(0, 50) || 'nothing'}`, async () => {
      const { fetch, connections } = stage('')
      await fails(fetch.getJson(url), 'url-refused')
      expect(connections).to.deep.equal([])
    })
  }

  it('does not post to privileged ports other than those of HTTP', async () => {
    for (const port of [22, 25, 81, 587, 1023]) {
      const { fetch, connections } = stage('')
      await fails(
        fetch.post(`https://good.example:${port}/`, Buffer.from(''), { contentType }),
        'url-refused'
      )
      expect(connections).to.deep.equal([])
    }
  })

  describe('and names', () => {
    for (const bad of [
      '127.0.0.1',
      '10.0.0.1',
      '::1',
      '::ffff:169.254.169.254',
      'fe80::1%eth0',
      'good.example',
      ''
    ]) {
      it(`refuses a name that leads to ${bad || 'nothing'}`, async () => {
        const { fetch, connections } = addresses(bad)
        await fails(fetch.getJson('https://evil.example/'), 'address-refused')
        expect(connections).to.deep.equal([])
      })
    }

    it('refuses a name with one private address among public ones', async () => {
      const { fetch, connections } = addresses(PUBLIC, '2606:4700::1111', '192.168.0.1')
      await fails(fetch.getJson('https://evil.example/'), 'address-refused')
      expect(connections).to.deep.equal([])
    })

    it('looks a name up once, so changing the address afterwards gains nothing', async () => {
      const answers = [[PUBLIC], ['127.0.0.1']]
      const lookups: string[] = []
      const { fetch, connections } = stage(`${JSON_HEAD}Content-Length: 2\r\n\r\n{}`, {
        lookup: async (host) => {
          lookups.push(host)
          return answers.shift() ?? []
        }
      })
      await fetch.getJson('https://rebinding.example/')
      expect(connections.map(({ address }) => address)).to.deep.equal([PUBLIC])
      expect(lookups).to.deep.equal(['rebinding.example'])
      await fails(fetch.getJson('https://rebinding.example/'), 'address-refused')
    })

    it('says when a name is unknown', async () => {
      await fails(addresses().fetch.getJson('https://gone.example/'), 'name-unknown')
      await fails(
        stage('', { lookup: unknownName }).fetch.getJson('https://gone.example/'),
        'name-unknown'
      )
    })

    it('tries the next address when one does not answer', async () => {
      const tried: string[] = []
      const [ours, theirs] = duplexPair()
      ours.write(`${JSON_HEAD}Content-Length: 2\r\n\r\n{}`)
      ours.resume()
      const { fetch } = stage('', {
        lookup: async () => ['1.1.1.1', '1.0.0.1', '9.9.9.9'],
        connect: async ({ address }) => {
          tried.push(address)
          if (tried.length < 3) throw new Error('ECONNREFUSED')
          return theirs
        }
      })
      await fetch.getJson('https://good.example/')
      expect(tried).to.deep.equal(['1.1.1.1', '1.0.0.1', '9.9.9.9'])
    })

    it('tries at most four addresses', async () => {
      let tried = 0
      const { fetch } = stage('', {
        lookup: async () => Array.from({ length: 40 }, (_, index) => `1.1.1.${index + 1}`),
        connect: async () => {
          tried++
          throw new Error('ECONNREFUSED')
        }
      })
      await fails(fetch.getJson('https://good.example/'), 'no-connection')
      expect(tried).to.equal(4)
    })
  })

  describe('and answers', () => {
    // oxfmt-ignore
    const ANSWERS: ReadonlyArray<readonly [what: string, answer: string | Buffer, reason: FetchFault]> = [
      ['a redirect to loopback',          'HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n',                        'redirect'],
      ['a permanent redirect',            'HTTP/1.1 308 Permanent\r\nLocation: https://good.example/x\r\n\r\n',                'redirect'],
      ['404',                             'HTTP/1.1 404 Not Found\r\n\r\n',                                                    'status'],
      ['500',                             'HTTP/1.1 500 Oops\r\n\r\n',                                                         'status'],
      ['206',                             'HTTP/1.1 206 Partial\r\nContent-Type: application/json\r\n\r\n{}',                  'status'],
      ['HTML',                            'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{}',                              'content-type'],
      ['no content type',                 'HTTP/1.1 200 OK\r\n\r\n{}',                                                         'content-type'],
      ['a type that only looks like JSON','HTTP/1.1 200 OK\r\nContent-Type: application/jsonp\r\n\r\n{}',                      'content-type'],
      ['a compressed body',               `${JSON_HEAD}Content-Encoding: gzip\r\n\r\n`,                                        'content-type'],
      ['a length of 1 GiB',               `${JSON_HEAD}Content-Length: 1073741824\r\n\r\n`,                                    'too-large'],
      ['one byte too many, declared',     `${JSON_HEAD}Content-Length: ${ANSWER_BYTES_MAX + 1}\r\n\r\n`,                       'too-large'],
      ['one byte too many, undeclared',   `${JSON_HEAD}\r\n${' '.repeat(ANSWER_BYTES_MAX + 1)}`,                               'too-large'],
      ['headers without end',             `${JSON_HEAD}${'X-A: '.padEnd(8000, 'x')}\r\n`.padEnd(200_000, 'y'),                 'no-connection'],
      ['no HTTP',                         'SSH-2.0-OpenSSH_9\r\n',                                                             'no-connection'],
      ['another protocol',                'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',               'no-connection']
    ]
    for (const [what, answer, reason] of ANSWERS) {
      it(`refuses ${what}`, async () => {
        const { fetch, connections, peers } = stage(answer)
        await fails(fetch.getJson('https://good.example/'), reason)
        expect(connections).to.have.length(1)
        await until(
          () => peers.every((peer) => peer.destroyed || peer.readableEnded),
          'the connection is closed'
        )
      })
    }

    for (const type of [
      'application/json',
      'application/did+json',
      'application/did+ld+json; charset=utf-8',
      'APPLICATION/JSON;a=b'
    ]) {
      it(`reads ${type}`, async () => {
        const { fetch } = stage(
          `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: 2\r\n\r\n{}`
        )
        expect(Buffer.from(await fetch.getJson('https://good.example/')).toString()).to.equal('{}')
      })
    }

    it('reads exactly 512 KiB', async () => {
      const { fetch } = stage(
        `${JSON_HEAD}Content-Length: ${ANSWER_BYTES_MAX}\r\n\r\n${' '.repeat(ANSWER_BYTES_MAX)}`
      )
      expect(await fetch.getJson('https://good.example/')).to.have.length(ANSWER_BYTES_MAX)
    })

    it('refuses a body that breaks off', async () => {
      const { fetch, peers } = stage(`${JSON_HEAD}Content-Length: 100\r\n\r\n{}`)
      const work = fails(fetch.getJson('https://good.example/'), 'no-connection')
      await until(() => peers.length === 1, 'a connection')
      await turns()
      peers[0]?.end()
      await work
    })

    it('posts to nobody who answers with a redirect or an error', async () => {
      for (const [answer, reason] of [
        ['HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1/\r\n\r\n', 'redirect'],
        ['HTTP/1.1 429 Slow down\r\n\r\n', 'status']
      ] as const) {
        const { fetch } = stage(answer)
        await fails(fetch.post('https://good.example/', Buffer.from('{}'), { contentType }), reason)
      }
    })
  })

  describe('and time', () => {
    // oxfmt-ignore
    const SILENCES: ReadonlyArray<readonly [what: string, begin: () => Stage]> = [
      ['a name server',        () => stage('', { lookup: () => new Promise(() => {}) })],
      ['a server',             () => stage(undefined)],
      ['a server in its head', () => stage('HTTP/1.1 200 OK\r\nContent-')],
      ['a server in its body', () => stage(`${JSON_HEAD}Content-Length: 10\r\n\r\n{`)]
    ]
    for (const [what, begin] of SILENCES) {
      it(`gives up on ${what} that stays silent after 10 s`, async () => {
        const { fetch, clock } = begin()
        let done = false
        const work = fails(fetch.getJson('https://good.example/'), 'timeout').finally(
          () => (done = true)
        )
        await turns()
        await clock.advance(FETCH_TIMEOUT_MS - 1)
        await turns()
        expect(done).to.equal(false)
        await clock.advance(1)
        await work
      })
    }

    it('does not let a trickle of bytes go on for longer', async () => {
      const { fetch, clock, peers } = stage(`${JSON_HEAD}Content-Length: 1000\r\n\r\n`)
      const work = fails(fetch.getJson('https://good.example/'), 'timeout')
      await until(() => peers.length === 1, 'a connection')
      for (let second = 0; second < 10; second++) {
        peers[0]?.write(' ')
        await turns()
        await clock.advance(1000)
      }
      await work
    })

    it('stops when the caller does', async () => {
      const { fetch, peers } = stage(undefined)
      const controller = new AbortController()
      const reason = new Error('enough')
      const work = fetch.getJson('https://good.example/', { signal: controller.signal })
      await until(() => peers.length === 1, 'a connection')
      controller.abort(reason)
      const error: unknown = await work.catch((caught: unknown) => caught)
      expect(error).to.not.be.instanceOf(LockerError)
      await until(
        () => peers[0]?.destroyed === true || peers[0]?.readableEnded === true,
        'the connection is closed'
      )
    })
  })

  describe('and many requests', () => {
    it('opens two connections to a host at once, queues 64, and refuses more', async () => {
      const { fetch, connections, clock } = stage(undefined)
      const waiting = Array.from({ length: PER_HOST_MAX + PER_HOST_WAITING_MAX }, () =>
        fetch.getJson('https://good.example/').catch((error: unknown) => error)
      )
      await turns()
      expect(connections).to.have.length(PER_HOST_MAX)
      await fails(fetch.getJson('https://good.example/'), 'busy')
      for (let turn = 0; turn < waiting.length; turn++) {
        await clock.advance(FETCH_TIMEOUT_MS)
        await turns()
      }
      await Promise.all(waiting)
      expect(connections).to.have.length(waiting.length)
    })

    it('serves other hosts while one is slow, up to 64', async () => {
      const { fetch, clock, connections } = stage(undefined)
      const waiting = Array.from({ length: HOSTS_MAX }, (_, index) =>
        fetch.getJson(`https://h${index}.example/`).catch((error: unknown) => error)
      )
      await turns()
      expect(connections).to.have.length(HOSTS_MAX)
      await fails(fetch.getJson('https://one-more.example/'), 'busy')
      await clock.advance(FETCH_TIMEOUT_MS)
      await Promise.all(waiting)
      const again = fetch.getJson('https://one-more.example/').catch((error: unknown) => error)
      await until(() => connections.length === HOSTS_MAX + 1, 'a place is free again')
      await clock.advance(FETCH_TIMEOUT_MS)
      await again
    })
  })

  describe('and the allow-list', () => {
    const answer = `${JSON_HEAD}Content-Length: 2\r\n\r\n{}`
    // oxfmt-ignore
    const ALLOWED: ReadonlyArray<readonly [entry: string, url: string, allowed: boolean]> = [
      ['localhost:8443',   'https://localhost:8443/',      true],
      ['localhost:8443',   'https://localhost:8444/',      false],
      ['localhost:8443',   'https://localhost/',           false],
      ['localhost:80',     'http://localhost/',            true],
      ['intranet',         'https://intranet/',            true],
      ['intranet',         'http://intranet/',             true],
      ['intranet',         'https://intranet:8443/',       false],
      ['10.0.0.1:4281',    'http://10.0.0.1:4281/x',       true],
      ['10.0.0.1:4281',    'http://10.0.0.2:4281/x',       false],
      ['[::1]:4281',       'http://[::1]:4281/',           true],
      ['good.example',     'https://evil-good.example:22/', false],
      ['intranet',         'https://u:p@intranet/',        false]
    ]
    for (const [entry, url, allowed] of ALLOWED) {
      it(`with ${entry} ${allowed ? 'takes' : 'refuses'} ${url}`, async () => {
        const { fetch } = stage(answer, { allow: [entry], lookup: async () => ['127.0.0.1'] })
        if (allowed) await fetch.getJson(url)
        else {
          const error: unknown = await fetch.getJson(url).catch((caught: unknown) => caught)
          expect(error).to.be.instanceOf(LockerError)
        }
      })
    }
  })

  describe('over real sockets on loopback', () => {
    const servers: Server[] = []
    const listen = async (server: Server): Promise<number> => {
      servers.push(server)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    }
    afterEach(async () => {
      for (const server of servers.splice(0)) {
        server.close()
        await once(server, 'close')
      }
    })

    it('a listener that nobody allowed counts no connection', async () => {
      let connections = 0
      const port = await listen(
        createServer((socket) => {
          connections++
          socket.destroy()
        })
      )
      const fetch = createGuardedFetch({ clock: new FakeClock() })
      for (const host of [
        '127.0.0.1',
        '2130706433',
        '0x7f.1',
        '[::ffff:127.0.0.1]',
        'localhost',
        'localhost.',
        '0'
      ]) {
        for (const scheme of ['http', 'https']) {
          const url = `${scheme}://${host}:${port}/`
          await fetch.getJson(url).then(
            () => expect.fail(url),
            () => undefined
          )
          await fetch.post(url, Buffer.from(''), { contentType }).then(
            () => expect.fail(url),
            () => undefined
          )
        }
      }
      expect(connections).to.equal(0)
    })

    it('posts to an allowed one', async () => {
      let body = ''
      const server = createHttpServer((request, response) => {
        request.on('data', (chunk: Buffer) => (body += chunk.toString()))
        request.on('end', () => response.writeHead(202).end())
      })
      const port = await listen(server)
      const fetch = createGuardedFetch({ clock: new FakeClock(), allow: [`127.0.0.1:${port}`] })
      await fetch.post(`http://127.0.0.1:${port}/didcomm`, Buffer.from('{"a":1}'), { contentType })
      expect(body).to.equal('{"a":1}')
    })

    it('sends nothing to a server with a certificate that nobody vouches for', async () => {
      let heard = 0
      const server = createTlsServer({ key: SELF_SIGNED_KEY, cert: SELF_SIGNED }, (socket) => {
        socket.on('data', () => heard++)
        socket.on('error', () => {})
      })
      server.on('tlsClientError', () => {})
      const port = await listen(server)
      const fetch = createGuardedFetch({
        clock: new FakeClock(),
        allow: [`agent.example:${port}`],
        lookup: async () => ['127.0.0.1'],
        connect: connectTo
      })
      const url = `https://agent.example:${port}/`
      const error = await fails(
        fetch.post(url, Buffer.from('{}'), { contentType }),
        'no-connection'
      )
      expect(error.cause).to.have.property('code', 'DEPTH_ZERO_SELF_SIGNED_CERT')
      expect(heard).to.equal(0)
    })
  })
})

/** For agent.example, until 2126; made for this test, used nowhere. */
const SELF_SIGNED = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBoTCCAUegAwIBAgIUPGn9Fde9cPWEja8H1Pg0qE3szp0wCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNYWdlbnQuZXhhbXBsZTAgFw0yNjExMjMyMTI0MTlaGA8yMTI2MTAzMDIxMjQxOVowGDEWMBQGA1UEAwwNYWdlbnQuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEFg/lJICwVJC9YV0vT6H5lts6VIdH6aQKVO8HQCdwRIiWLVtEFCx3UBs82CE6y047A//XMZyCsuyos4RSDuq0WjbTBrMB0GA1UdDgQWBBTF8seRmqqJrCy6wmKKTBJca+zV3TAfBgNVHSMEGDAWgBTF8seRmqqJrCy6wmKKTBJca+zV3TAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDWFnZW50LmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIgAqIQX3iJx+PDvqeHHoYMCO7n4s8Bu50JGwV/vrZ5uk8CIQDXTYeBXaxtn9B+pf8onD5UqB6OunvS2+QiYtk5MnFMog==',
  '-----END CERTIFICATE-----'
].join('\n')
const SELF_SIGNED_KEY = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    x: 'QWD-UkgLBUkL1hXS9PofmW2zpUh0fppApU7wdAJ3BEg',
    y: 'iWLVtEFCx3UBs82CE6y047A__XMZyCsuyos4RSDuq0U',
    crv: 'P-256',
    d: 'nJW5DBZTA-ISqHqn9AXPZqBA3GB82A9xjvMfL483I9U'
  }
}).export({ format: 'pem', type: 'pkcs8' })
