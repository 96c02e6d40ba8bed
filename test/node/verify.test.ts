/**
 * `elocker verify` as a script calls it, without an agent: what it reads, what it prints, how it ends. Cast: an issuer
 * that is its key (did:key), so that nothing but a status list has to be asked for.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import type { Verification } from '../../agent/agent.ts'
import { addJcsProof } from '../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { issueSdJwt } from '../../protocols/credential/sd-jwt.ts'
import { newBitstring, statusListCredential } from '../../protocols/credential/status-list.ts'
import { attachmentParts, classicPdf } from '../pdf-builder.ts'
import { secureRandom } from '../agent/faults.ts'
import { holder, stranger } from '../protocols/credential/issuing-world.ts'

const MAIN = fileURLToPath(new URL('../../node/main.ts', import.meta.url))
const { signer } = stranger
const CREATED = new Date('2026-01-01T00:00:00Z')

function signed(more: JsonObject = {}): JsonObject {
  const credential = {
    '@context': ['https://www.w3.org/ns/credentials/v2'],
    type: ['VerifiableCredential'],
    issuer: stranger.did,
    validFrom: '2026-01-01T00:00:00Z',
    credentialSubject: { id: holder.did },
    ...more
  }
  return addJcsProof(credential, { signer, created: CREATED }, crypto)
}

describe('elocker verify', function () {
  this.timeout(60_000)
  let folder = ''
  let server: Server
  let host = ''
  /** What the server answers, by path. */
  const served = new Map<string, JsonObject>()

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'elocker-verify-'))
    server = createServer((request, response) => {
      const found = served.get(request.url ?? '')
      response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(found ?? {}))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    host = `localhost:${(server.address() as AddressInfo).port}`
  })

  after(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function file(name: string, content: Uint8Array | string | JsonObject): Promise<string> {
    const path = join(folder, name)
    const raw = typeof content === 'string' || content instanceof Uint8Array
    await writeFile(path, raw ? content : JSON.stringify(content))
    return path
  }

  async function verify(
    args: readonly string[],
    input = ''
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, [MAIN, 'verify', '--home', folder, ...args])
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.stdin.end(input)
    const [code] = (await once(child, 'close')) as [number]
    return { code, stdout, stderr }
  }

  async function result(...args: readonly string[]): Promise<readonly [number, string]> {
    const { code, stdout, stderr } = await verify([...args, '--json'])
    expect(stderr).to.equal('')
    return [code, (JSON.parse(stdout) as Verification).result]
  }

  it('ends in 0 for a valid credential and in 7 for one that is not', async () => {
    expect(await result(await file('valid.json', signed()))).to.deep.equal([0, 'valid'])
    const changed = { ...signed(), credentialSubject: { id: stranger.did } }
    expect(await result(await file('changed.json', changed))).to.deep.equal([7, 'invalid'])
    const old = signed({ validUntil: '2026-01-02T00:00:00Z' })
    expect(await result(await file('expired.json', old))).to.deep.equal([7, 'expired'])
  })

  it('shows every check with its reason to a person', async () => {
    const path = await file('person.json', signed({ validUntil: '2026-01-02T00:00:00Z' }))
    const { stdout } = await verify([path])
    expect(stdout).to.match(/^VALID BUT EXPIRED$/m)
    for (const name of ['structure', 'proof', 'issuer-key', 'validity', 'status', 'issuer-trust'])
      expect(stdout).to.match(new RegExp(`^  ${name} `, 'm'))
    expect(stdout).to.include(stranger.did)
  })

  it('reads stdin, an SD-JWT and what is attached to a PDF', async () => {
    const piped = await verify(['-', '--json'], JSON.stringify(signed()))
    expect([piped.code, (JSON.parse(piped.stdout) as Verification).carrier]).to.deep.equal([
      0,
      'json'
    ])
    const sdJwt = issueSdJwt(
      { name: 'Asha' },
      {
        signer,
        vct: 'https://elocker.example/vocab#Thing',
        iss: stranger.did,
        iat: CREATED,
        disclosable: ['/name'],
        random: secureRandom
      },
      crypto
    )
    expect(await result(await file('sd-jwt.txt', `${sdJwt}\n`))).to.deep.equal([0, 'valid'])
    const pdf = classicPdf(attachmentParts(Buffer.from(JSON.stringify(signed()))))
    expect(await result(await file('certificate.pdf', pdf))).to.deep.equal([0, 'valid'])
  })

  it('asks for the status list where its host is allowed, and ends in 8 where it cannot or may not', async () => {
    const url = `http://${host}/list`
    const unsigned = await statusListCredential({
      id: url,
      issuer: stranger.did,
      purpose: 'revocation',
      bits: newBitstring(),
      validFrom: CREATED,
      ttlMs: 300_000
    })
    served.set('/list', addJcsProof(unsigned, { signer, created: CREATED }, crypto))
    const entry = {
      type: 'BitstringStatusListEntry',
      statusPurpose: 'revocation',
      statusListIndex: '4711',
      statusListCredential: url
    }
    const path = await file('status.json', signed({ credentialStatus: entry }))
    const open = [8, 'could-not-be-checked'] as const
    expect(await result(path, '--allowed-hosts', host)).to.deep.equal([0, 'valid'])
    expect(await result(path)).to.deep.equal(open)
    expect(await result(path, '--allowed-hosts', host, '--offline')).to.deep.equal(open)
    served.delete('/list')
    expect(await result(path, '--allowed-hosts', host)).to.deep.equal(open)
  })

  it('fetches a URL, but not off-line and not from a host that is not allowed', async () => {
    served.set('/credential', signed())
    const url = `http://${host}/credential`
    expect(await result(url, '--allowed-hosts', host)).to.deep.equal([0, 'valid'])
    const offline = await verify([url, '--allowed-hosts', host, '--offline'])
    expect([offline.code, offline.stdout]).to.deep.equal([2, ''])
    const refused = await verify([url])
    expect(refused.code).to.equal(8)
    expect(refused.stderr).to.include(`cannot fetch ${url}: `)
    // Nothing was sent to anybody, so nothing is said of an outbox.
    expect(refused.stderr).to.not.include('outbox')
  })

  it('says what is wrong with what it cannot read', async () => {
    const missing = await verify([join(folder, 'none.json')])
    expect(missing.code).to.equal(5)
    expect(missing.stderr).to.include('no file')
    const empty = await verify([await file('empty.pdf', '%PDF-1.7\nnothing'), '--json'])
    expect(JSON.parse(empty.stderr)).to.have.nested.property('error.code', 'credential-absent')
    expect(await result(await file('text.txt', 'hello'))).to.deep.equal([7, 'invalid'])
  })
})
