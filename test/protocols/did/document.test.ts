import { expect } from 'chai'
import {
  DID_CHARS_MAX,
  didOf,
  endpointsOf,
  isDid,
  isKeyId,
  keyOf,
  keysOf,
  keyTimesOf,
  parseDidDocument,
  serviceFor,
  type ServiceEndpoint
} from '../../../protocols/did/document.ts'
import { encodeMultikey } from '../../../protocols/did/multikey.ts'
import { refused } from '../../refusal.ts'
import { newParty } from '../envelope/parties.ts'

const DID = 'did:example:alice'
const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const [key] = newParty().agreement
if (key === undefined) throw new Error('no key')
const multikey = encodeMultikey(key.jwk)
const method = { id: '#k', type: 'Multikey', controller: DID, publicKeyMultibase: multikey }

describe('DID syntax', () => {
  for (const text of [
    'did:example:a',
    'did:web:good.example',
    'did:web:localhost%3A8443:a:b',
    'did:a:_-.',
    `did:a:${'x'.repeat(DID_CHARS_MAX - 6)}`
  ]) {
    it(`takes ${text.slice(0, 40)}`, () => expect(isDid(text)).to.equal(true))
  }
  for (const text of [
    '',
    'did',
    'did:example',
    'did:example:',
    'did:example:a:',
    'did:Example:a',
    'DID:example:a',
    'did:example:a b',
    'did:example:a%zz',
    'did:example:a#k',
    'did:example:a/p',
    'did:example:a?q',
    'did:example:ä',
    'did:example:a\n',
    `did:a:${'x'.repeat(DID_CHARS_MAX - 5)}`
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => expect(isDid(text)).to.equal(false))
  }

  it('tells key ids from DIDs', () => {
    expect(isKeyId(`${DID}#key-1`)).to.equal(true)
    for (const text of [
      DID,
      `${DID}#`,
      '#key-1',
      `${DID}?a#b`,
      `${DID}#a#b`,
      `${DID}#ä`,
      `${DID}#${'k'.repeat(257)}`
    ]) {
      expect(isKeyId(text), text).to.equal(false)
    }
  })

  it('cuts path, query and fragment off a DID URL', () => {
    for (const url of [DID, `${DID}#k`, `${DID}?a=b#k`, `${DID}/p`])
      expect(didOf(url)).to.equal(DID)
  })
})

describe('a DID document', () => {
  it('gives keys by purpose under absolute ids, in its order', () => {
    const [other] = newParty(['P-256']).agreement
    const document = parseDidDocument(
      {
        id: DID,
        verificationMethod: [
          method,
          { id: `${DID}#jwk`, type: 'JsonWebKey2020', controller: DID, publicKeyJwk: other?.jwk }
        ],
        keyAgreement: [`${DID}#jwk`, '#k'],
        authentication: [{ ...method, id: '#embedded' }]
      },
      DID
    )
    expect(keysOf(document, 'keyAgreement')).to.deep.equal([
      { kid: `${DID}#jwk`, jwk: other?.jwk },
      { kid: `${DID}#k`, jwk: key.jwk }
    ])
    expect(keysOf(document, 'keyAgreement', ['X25519'])).to.have.length(1)
    expect(keysOf(document, 'authentication')).to.deep.equal([
      { kid: `${DID}#embedded`, jwk: key.jwk }
    ])
    expect(keysOf(document, 'assertionMethod')).to.deep.equal([])
  })

  it('gives a key only for a purpose it is listed for', async () => {
    const document = parseDidDocument(
      { id: DID, verificationMethod: [method], keyAgreement: ['#k'] },
      DID
    )
    expect(keyOf(document, `${DID}#k`, 'keyAgreement')).to.deep.equal(key.jwk)
    await refused(() => keyOf(document, `${DID}#k`, 'authentication'), 'did-not-found')
    await refused(() => keyOf(document, '#k', 'keyAgreement'), 'did-not-found')
  })

  it('does not speak for keys of another DID', () => {
    const foreign = { ...method, id: 'did:example:bob#k' }
    const document = parseDidDocument(
      { id: DID, verificationMethod: [foreign], keyAgreement: [foreign.id, foreign] },
      DID
    )
    expect(keysOf(document, 'keyAgreement')).to.deep.equal([])
  })

  it('leaves out keys it cannot read and keeps the others', () => {
    const odd = [
      { ...method, id: '#a', publicKeyMultibase: 'z6MkInvalid0' },
      {
        id: '#b',
        type: 'JsonWebKey2020',
        controller: DID,
        publicKeyJwk: { kty: 'RSA', n: 'AQAB', e: 'AQAB' }
      },
      {
        id: '#c',
        type: 'JsonWebKey2020',
        controller: DID,
        publicKeyJwk: { kty: 'OKP', crv: 'X25519', x: '' }
      },
      { id: '#d', type: 'Unknown2030', controller: DID },
      method
    ]
    const document = parseDidDocument(
      { id: DID, verificationMethod: odd, keyAgreement: odd.map(({ id }) => id) },
      DID
    )
    expect(keysOf(document, 'keyAgreement').map(({ kid }) => kid)).to.deep.equal([`${DID}#k`])
  })

  // oxfmt-ignore
  const FAULTS: readonly unknown[] = [
    null, [], {}, { id: 'did:example:bob' }, { id: 7 },
    { id: DID, verificationMethod: {} }, { id: DID, verificationMethod: [{ id: 'k', type: 'Multikey' }] },
    { id: DID, verificationMethod: Array.from({ length: 65 }, () => method) }, { id: DID, keyAgreement: ['nothing'] },
    { id: DID, service: Array.from({ length: 65 }, () => ({ id: '#s', type: 'x', serviceEndpoint: 'x' })) }
  ]
  for (const document of FAULTS) {
    it(`is refused as ${JSON.stringify(document).slice(0, 90)}`, () =>
      refused(() => parseDidDocument(document, DID), 'did-malformed'))
  }
})

const endpoints = (...services: readonly unknown[]): readonly ServiceEndpoint[] =>
  endpointsOf(
    parseDidDocument(
      {
        id: DID,
        service: services.map((serviceEndpoint, index) => ({
          id: `#${index}`,
          type: 'DIDCommMessaging',
          serviceEndpoint
        }))
      },
      DID
    )
  )

const timesOf = (document: object, kid = `${DID}#k`): unknown =>
  keyTimesOf(parseDidDocument({ id: DID, ...document }, DID), kid)

describe('the life of a key', () => {
  const [expires, revoked] = ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z']

  it('is open when the document says nothing', () =>
    expect(timesOf({ verificationMethod: [method] })).to.deep.equal({}))

  it('ends where the document says so, for relative and absolute ids', () => {
    expect(timesOf({ verificationMethod: [{ ...method, expires, revoked }] })).to.deep.equal({
      expires,
      revoked
    })
    expect(timesOf({ verificationMethod: [{ ...method, id: `${DID}#k`, revoked }] })).to.deep.equal(
      {
        revoked
      }
    )
  })

  it('is found where the key stands inside a relationship', () =>
    expect(timesOf({ assertionMethod: [{ ...method, expires }] })).to.deep.equal({ expires }))

  it('is that of the key asked for', () =>
    expect(timesOf({ verificationMethod: [{ ...method, revoked }] }, `${DID}#other`)).to.deep.equal(
      {}
    ))

  it('keeps what is no text as an end that cannot be read', () => {
    for (const value of [null, 5, true, { a: 1 }, 'x'.repeat(65)]) {
      expect(timesOf({ verificationMethod: [{ ...method, revoked: value }] })).to.deep.equal({
        revoked: ''
      })
    }
  })
})

describe('the endpoints of a document', () => {
  it('are what serviceFor wrote', () => {
    const libp2p = {
      kind: 'libp2p',
      peerId: PEER,
      multiaddrs: ['/ip4/127.0.0.1/tcp/4282']
    } as const
    const http = { kind: 'http', url: 'https://agent.example/didcomm' } as const
    const services = [serviceFor(libp2p), serviceFor(http, ['did:example:mediator'])]
    expect(endpoints(...services.map(({ serviceEndpoint }) => serviceEndpoint))).to.deep.equal([
      { ...libp2p, routingKeys: [] },
      { ...http, routingKeys: ['did:example:mediator'] }
    ])
  })

  it('come from lists, bare strings and any spelling of the scheme', () => {
    expect(endpoints([{ uri: `LIBP2P-PEERID:${PEER}` }, 'https://a.example/d'])).to.deep.equal([
      { kind: 'libp2p', peerId: PEER, multiaddrs: [], routingKeys: [] },
      { kind: 'http', url: 'https://a.example/d', routingKeys: [] }
    ])
  })

  it('are at most 16 addresses of sane length each', () => {
    const multiAddrs = [
      'relative',
      `/dns4/${'x'.repeat(600)}`,
      ...Array.from({ length: 40 }, (_, port) => `/ip4/1.2.3.4/tcp/${port}`)
    ]
    const [endpoint] = endpoints({ uri: `libp2p-peerId:${PEER}`, multiAddrs })
    expect(endpoint?.kind === 'libp2p' && endpoint.multiaddrs).to.have.length(16)
  })

  // oxfmt-ignore
  const UNUSABLE: readonly unknown[] = [
    null, 7, {}, '', 'didcomm:transport/queue', 'ftp://a.example', 'https://user:pass@a.example/', 'libp2p-peerId:', 'libp2p-peerId:../..',
    { uri: 'https://a.example', accept: ['didcomm/aip2'] }, { uri: 'https://a.example', routingKeys: 'x' }, { uri: 'https://a.example', routingKeys: ['x'] }
  ]
  for (const value of UNUSABLE) {
    it(`leave out ${JSON.stringify(value)}`, () =>
      expect(endpoints(value, 'https://good.example/')).to.deep.equal([
        { kind: 'http', url: 'https://good.example/', routingKeys: [] }
      ]))
  }

  it('leave out other services', () => {
    const service = [{ id: '#x', type: 'LinkedDomains', serviceEndpoint: 'https://a.example' }]
    expect(endpointsOf(parseDidDocument({ id: DID, service }, DID))).to.deep.equal([])
  })
})
