import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import {
  COMPUTED_MAX,
  createResolver,
  FAILED_MS,
  FETCHED_MAX,
  FETCHED_MS
} from '../../node/resolver.ts'
import { keysOf } from '../../protocols/did/document.ts'
import { didKeyOf } from '../../protocols/did/key.ts'
import { publicJwk } from '../../protocols/did/multikey.ts'
import { createDidPeer4 } from '../../protocols/did/peer.ts'
import { FakeClock } from '../clock.ts'
import { newParty } from '../protocols/envelope/parties.ts'

const party = newParty()

function stage(answer: (url: string) => unknown, allow: readonly string[] = []) {
  const clock = new FakeClock()
  const urls: string[] = []
  const getJson = async (url: string) => {
    urls.push(url)
    return Buffer.from(JSON.stringify(answer(url)))
  }
  return { clock, urls, resolve: createResolver({ fetch: { getJson }, clock, allow }) }
}

const documentOf = (url: string): unknown => {
  const { hostname } = new URL(url)
  return { ...party.document, id: `did:web:${hostname}` }
}

const documentAtPort = (url: string): unknown => {
  const { hostname, port } = new URL(url)
  const id = `did:web:${hostname}${port === '' ? '' : `%3A${port}`}`
  return { ...party.document, id }
}

async function unresolvable(work: Promise<unknown>): Promise<LockerError> {
  const error: unknown = await work.catch((caught: unknown) => caught)
  expect(error).to.be.instanceOf(LockerError)
  if (!(error instanceof LockerError)) throw error
  expect(error.code).to.equal('did-unresolvable')
  return error
}

function numberedKey(index: number): string {
  const bytes = Buffer.alloc(32, 9)
  bytes.writeUInt32BE(index, 0)
  return didKeyOf(publicJwk('X25519', bytes))
}

describe('the resolver', () => {
  it('resolves did:key and did:peer without fetching', async () => {
    const { resolve, urls } = stage(documentOf)
    const key = 'did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp'
    expect((await resolve(key)).id).to.equal(key)
    expect(keysOf(await resolve(party.did), 'keyAgreement')).to.deep.equal(party.agreement)
    expect(await resolve(party.did)).to.equal(await resolve(party.did))
    expect(urls).to.deep.equal([])
  })

  it('resolves did:web through the fetch it was given', async () => {
    const { resolve, urls } = stage(documentOf)
    expect((await resolve('did:web:good.example')).id).to.equal('did:web:good.example')
    expect(urls).to.deep.equal(['https://good.example/.well-known/did.json'])
  })

  it('asks localhost, where it is allowed, over plain HTTP, and nothing else', async () => {
    const { resolve, urls } = stage(documentAtPort, ['localhost:4281', 'intranet:4281'])
    await resolve('did:web:localhost%3A4281')
    await resolve('did:web:intranet%3A4281')
    await unresolvable(resolve('did:web:localhost%3A4282'))
    expect(urls).to.deep.equal([
      'http://localhost:4281/.well-known/did.json',
      'https://intranet:4281/.well-known/did.json'
    ])
  })

  it('believes a fetched document for a minute', async () => {
    const { resolve, urls, clock } = stage(documentOf)
    await resolve('did:web:good.example')
    await clock.advance(FETCHED_MS - 1)
    await resolve('did:web:good.example')
    expect(urls).to.have.length(1)
    await clock.advance(1)
    await resolve('did:web:good.example')
    expect(urls).to.have.length(2)
  })

  it('asks a host that failed again only after a minute', async () => {
    let broken = true
    const { resolve, urls, clock } = stage((url) => {
      if (broken) throw new LockerError('peer-unreachable', 'no')
      return documentOf(url)
    })
    for (let time = 0; time < 5; time++) await unresolvable(resolve('did:web:good.example'))
    expect(urls).to.have.length(1)
    broken = false
    await clock.advance(FAILED_MS - 1)
    await unresolvable(resolve('did:web:good.example'))
    await clock.advance(1)
    await resolve('did:web:good.example')
    expect(urls).to.have.length(2)
  })

  it('fetches once for all who ask at the same time', async () => {
    const { resolve, urls } = stage(documentOf)
    const documents = await Promise.all(
      Array.from({ length: 50 }, () => resolve('did:web:good.example'))
    )
    expect(urls).to.have.length(1)
    expect(new Set(documents).size).to.equal(1)
  })

  it('keeps the documents used last', async () => {
    const { resolve, urls } = stage(documentOf)
    await resolve('did:web:first.example')
    for (let index = 0; index < FETCHED_MAX; index++) {
      await resolve(`did:web:h${index}.example`)
      await resolve('did:web:first.example')
    }
    expect(urls).to.have.length(FETCHED_MAX + 1)
    await resolve('did:web:h0.example')
    expect(urls).to.have.length(FETCHED_MAX + 2)
  })

  it('keeps as many computed documents as it says', async () => {
    const { resolve } = stage(documentOf)
    const first = await resolve(numberedKey(0))
    for (let index = 1; index < COMPUTED_MAX; index++) await resolve(numberedKey(index))
    expect(await resolve(numberedKey(0))).to.equal(first)
    for (let index = 0; index < COMPUTED_MAX; index++)
      await resolve(numberedKey(COMPUTED_MAX + index))
    expect(await resolve(numberedKey(0))).to.not.equal(first)
  })

  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, did: string, answer?: unknown]> = [
    ['no DID',                      'good.example'],
    ['a DID URL',                   'did:web:good.example#key-1'],
    ['an unknown method',           'did:btcr:xyz'],
    ['a method of Object',         'did:constructor:xyz'],
    ['a short did:peer:4',          createDidPeer4([]).short],
    ['a did:web of an address',     'did:web:127.0.0.1'],
    ['a did:web with an escape',    'did:web:good.example%40127.0.0.1'],
    ['a document of another DID',   'did:web:good.example', { id: 'did:web:evil.example' }],
    ['a document that is none',     'did:web:good.example', []],
    ['a document that nests',       'did:web:good.example', JSON.parse('['.repeat(40) + ']'.repeat(40))]
  ]
  for (const [what, did, answer] of FAULTS) {
    it(`refuses ${what}`, async () => {
      const { resolve, urls } = stage(() => answer)
      await unresolvable(resolve(did))
      if (answer === undefined) expect(urls).to.deep.equal([])
    })
  }

  it('takes did:web hosts the operator allowed', async () => {
    const { resolve, urls } = stage(() => ({ id: 'did:web:localhost%3A8443' }), ['localhost:8443'])
    await resolve('did:web:localhost%3A8443')
    expect(urls).to.deep.equal(['http://localhost:8443/.well-known/did.json'])
    await unresolvable(resolve('did:web:localhost%3A9999'))
  })
})
