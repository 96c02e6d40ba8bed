import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../node/clock.ts'
import type { Listening } from '../../node/http-servers.ts'
import { listenTcp, listenUnix } from '../../node/http-servers.ts'
import { failure, temporaryFolder } from './faulty-files.ts'

const HOST = '127.0.0.1'
const answer: RequestListener = (_request, response) => response.end('here')

async function said(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => (text += part))
  await once(socket, 'close')
  return text
}

describe('HTTP servers', () => {
  const open: Listening[] = []
  const listen = async (listener = answer): Promise<number> => {
    const where = { host: HOST, port: 0, setting: 'ELOCKER_PRIVATE' }
    const listening = await listenTcp(listener, where, systemClock)
    open.push(listening)
    return listening.port ?? 0
  }
  afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))

  it('answers on the port the system picked', async () => {
    expect(await (await fetch(`http://${HOST}:${await listen()}/`)).text()).to.equal('here')
  })

  it('names the port that another program has, and what to do', async () => {
    const port = await listen()
    const error = await failure(
      listenTcp(answer, { host: HOST, port, setting: 'ELOCKER_PRIVATE' }, systemClock)
    )
    expect(error.code).to.equal('port-taken')
    expect(error.message).to.contain(String(port)).and.contain('ELOCKER_PRIVATE')
  })

  it('says config-invalid for an address that is not of this machine', async () => {
    const where = { host: '192.0.2.1', port: 0, setting: 'ELOCKER_PUBLIC' }
    expect((await failure(listenTcp(answer, where, systemClock))).code).to.equal('config-invalid')
  })

  it('takes headers of 15 KiB and refuses more than 16 KiB', async () => {
    const port = await listen()
    const status = async (bytes: number): Promise<number> => {
      const headers = { 'x-long': 'x'.repeat(bytes) }
      return (await fetch(`http://${HOST}:${port}/`, { headers })).status
    }
    expect(await status(15 * 1024)).to.equal(200)
    expect(await status(17 * 1024)).to.equal(431)
  })

  it('ends a client whose headers take more than ten seconds, byte by byte', async function () {
    if (process.env['SLOW'] !== '1') this.skip()
    this.timeout(20_000)
    const port = await listen()
    const socket = connect(port, HOST)
    const text = said(socket)
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nx-slow: ')
    const drip = setInterval(() => socket.write('x'), 500)
    try {
      expect(await text).to.match(/408/)
    } finally {
      clearInterval(drip)
    }
  })

  it('refuses a request that has two lengths', async () => {
    const socket = connect(await listen(), HOST)
    const text = said(socket)
    socket.end(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'
    )
    expect(await text).to.match(/^HTTP\/1\.1 400/)
  })

  it('listens on a unix socket of the owner alone, in the place of a stale one', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'api.sock')
    await writeFile(path, 'left behind')
    open.push(await listenUnix(answer, path, systemClock))
    expect((await stat(path)).mode & 0o777).to.equal(0o600)
    const status = await new Promise((resolve, reject) => {
      request({ socketPath: path, path: '/' }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).to.equal(200)
  })

  it('lets a request under way end at close, and takes no new one', async () => {
    const begun = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    const port = await listen((_request, response) => {
      begun.resolve()
      void go.promise.then(() => response.end('done'))
    })
    const first = fetch(`http://${HOST}:${port}/`)
    await begun.promise
    const closed = Promise.all(open.splice(0).map((one) => one.close()))
    await failure(fetch(`http://${HOST}:${port}/`))
    go.resolve()
    expect(await (await first).text()).to.equal('done')
    await closed
  })
})
