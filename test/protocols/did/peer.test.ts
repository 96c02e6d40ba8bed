import { base58, base64urlnopad } from '@scure/base'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  DID_CHARS_MAX,
  endpointsOf,
  isDid,
  keysOf,
  serviceFor
} from '../../../protocols/did/document.ts'
import {
  createDidPeer2,
  createDidPeer4,
  didPeer3Of,
  didPeer4Short,
  encodeDidPeer4,
  resolveDidPeer,
  resolveShortDidPeer4,
  type PeerKey
} from '../../../protocols/did/peer.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { refused } from '../../refusal.ts'
import { readVectors } from '../../vectors.ts'
import { newParty } from '../envelope/parties.ts'

const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const party = newParty(['X25519', 'P-384'])
const keys: readonly PeerKey[] = [
  ...keysOf(party.document, 'authentication').map(({ jwk }) => ({
    purpose: 'authentication' as const,
    jwk
  })),
  ...party.agreement.map(({ jwk }) => ({ purpose: 'keyAgreement' as const, jwk }))
]
const endpoint = {
  kind: 'libp2p',
  peerId: PEER,
  multiaddrs: ['/ip4/127.0.0.1/tcp/4282', '/dns4/a.example/tcp/443/wss']
} as const
const services = [
  serviceFor(endpoint),
  serviceFor({ kind: 'http', url: 'https://a.example/didcomm' })
]

/** did:peer method specification, "Method 2" example: the DID and the document's parts that follow from it. */
const SPEC_PEER2 =
  'did:peer:2.Vz6Mkj3PUd1WjvaDhNZhhhXQdz5UnZXmS7ehtx8bsPpD47kKc.Ez6LSg8zQom395jKLrGiBNruB9MM6V8PWuf2FpEy4uRFiqQBR.SeyJ0IjoiZG0iLCJzIjp7InVyaSI6Imh0dHA6Ly9leGFtcGxlLmNvbS9kaWRjb21tIiwiYSI6WyJkaWRjb21tL3YyIl0sInIiOlsiZGlkOmV4YW1wbGU6MTIzNDU2Nzg5YWJjZGVmZ2hpI2tleS0xIl19fQ.SeyJ0IjoiZG0iLCJzIjp7InVyaSI6Imh0dHA6Ly9leGFtcGxlLmNvbS9hbm90aGVyIiwiYSI6WyJkaWRjb21tL3YyIl0sInIiOlsiZGlkOmV4YW1wbGU6MTIzNDU2Nzg5YWJjZGVmZ2hpI2tleS0yIl19fQ'

describe('did:peer:2', () => {
  it('gives back keys by purpose and endpoints', () => {
    const did = createDidPeer2(keys, services)
    expect(isDid(did)).to.equal(true)
    const document = resolveDidPeer(did)
    expect(keysOf(document, 'authentication')).to.deep.equal([
      { kid: `${did}#key-1`, jwk: keys[0]?.jwk }
    ])
    expect(keysOf(document, 'keyAgreement').map(({ kid }) => kid)).to.deep.equal([
      `${did}#key-2`,
      `${did}#key-3`
    ])
    expect(endpointsOf(document)).to.deep.equal([
      { ...endpoint, routingKeys: [] },
      { kind: 'http', url: 'https://a.example/didcomm', routingKeys: [] }
    ])
    expect(document.service?.map(({ id }) => id)).to.deep.equal(['#service', '#service-1'])
  })

  it('resolves the example of the specification', () => {
    const document = resolveDidPeer(SPEC_PEER2)
    expect(document.alsoKnownAs).to.deep.equal([
      'did:peer:3zQmd6RdU6e2nDrLn1rjwdA5Buzq7wJwsv3WJ1AgrwKYJoLE'
    ])
    expect(endpointsOf(document)).to.deep.equal([
      {
        kind: 'http',
        url: 'http://example.com/didcomm',
        routingKeys: ['did:example:123456789abcdefghi#key-1']
      },
      {
        kind: 'http',
        url: 'http://example.com/another',
        routingKeys: ['did:example:123456789abcdefghi#key-2']
      }
    ])
  })

  it('reads several services in one element, and names written out', () => {
    const list = [
      { type: 'DIDCommMessaging', serviceEndpoint: { uri: 'https://a.example' } },
      { t: 'dm', s: 'https://b.example', id: '#own' }
    ]
    const element = base64urlnopad.encode(new TextEncoder().encode(JSON.stringify(list)))
    const document = resolveDidPeer(`${createDidPeer2(keys)}.S${element}`)
    expect(document.service?.map(({ id }) => id)).to.deep.equal(['#service', '#own'])
    expect(endpointsOf(document)).to.have.length(2)
  })

  it('is at most as long as a DID may be', () => {
    const long = {
      type: 'DIDCommMessaging',
      serviceEndpoint: { uri: `https://${'x'.repeat(DID_CHARS_MAX)}` }
    }
    return refused(() => createDidPeer2(keys, [long]), 'limit-exceeded')
  })

  const base = createDidPeer2(keys.slice(0, 1))
  const service = (value: unknown): string =>
    `${base}.S${base64urlnopad.encode(new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)))}`
  let deep: unknown = 1
  for (let depth = 0; depth < 20; depth++) deep = { s: deep }
  // oxfmt-ignore
  const FAULTS: ReadonlyArray<readonly [what: string, did: string]> = [
    ['no elements',             'did:peer:2'],
    ['an empty element',        `${base}.`],
    ['an unknown purpose',      `${base}.Xz6Mk`],
    ['a key that is none',      `${base}.Vz6Mk`],
    ['too many elements',       `did:peer:2${'.S'.repeat(33)}`],
    ['a service not base64url', `${base}.S%20`],
    ['a padded service',        `${base}.SeyJ0IjoieCJ9==`],
    ['a service not JSON',      service('{')],
    ['a service of a number',   service(7)],
    ['a service nested deeply', service(deep)],
    ['a key twice',             service('{"t":"dm","t":"x","s":""}')],
    ['a service without type',  service({ s: 'https://a.example' })],
    ['another method',          'did:peer:5zabc'],
    ['method 0',                `did:peer:0${base.slice('did:peer:2.V'.length)}`],
    ['a capital letter',        base.replace('did:', 'DID:')],
    ['a DID too long',          `did:peer:2.S${'A'.repeat(DID_CHARS_MAX)}`]
  ]
  for (const [what, did] of FAULTS) {
    it(`is refused with ${what}`, () =>
      refused(() => resolveDidPeer(did), 'did-malformed', 'did-unsupported', 'limit-exceeded'))
  }

  it('treats a service member __proto__ as a name like others', () => {
    const document = resolveDidPeer(
      service('{"t":"dm","s":{"uri":"https://a.example","__proto__":{"x":1}},"__proto__":{"y":1}}')
    )
    expect(({} as Record<string, unknown>)['x']).to.equal(undefined)
    expect(endpointsOf(document)).to.have.length(1)
  })
})

/** An input document of so many bytes. */
const inputOf = (sizeBytes: number): object => ({ x: 'x'.repeat(sizeBytes - '{"x":""}'.length) })

describe('did:peer:4', () => {
  const { short, long } = createDidPeer4(keys, services)

  it('gives back keys and endpoints, under the long and the short form', () => {
    for (const [id, document] of [
      [long, resolveDidPeer(long)],
      [short, resolveShortDidPeer4(long)]
    ] as const) {
      expect(document.id).to.equal(id)
      expect(keysOf(document, 'keyAgreement').map(({ kid }) => kid)).to.deep.equal([
        `${id}#key-2`,
        `${id}#key-3`
      ])
      expect(document.alsoKnownAs).to.deep.equal([id === long ? short : long])
      expect(endpointsOf(document)).to.have.length(2)
    }
    expect(didPeer4Short(long)).to.equal(short)
  })

  it('is refused when the document is not the one hashed', async () => {
    const other = createDidPeer4(keys.slice(0, 1)).long
    const mixed = `${short}:${other.split(':')[3]}`
    await refused(() => resolveDidPeer(mixed), 'did-malformed')
    await refused(
      () => resolveDidPeer(`${long.slice(0, -1)}${long.endsWith('2') ? '3' : '2'}`),
      'did-malformed'
    )
  })

  it('is not resolved by its short form alone, nor is did:peer:3', async () => {
    await refused(() => resolveDidPeer(short), 'did-not-found')
    await refused(() => resolveDidPeer(didPeer3Of(createDidPeer2(keys))), 'did-not-found')
  })

  for (const input of [
    { id: 'did:example:a' },
    { verificationMethod: 'x' },
    { verificationMethod: [{ id: 'no reference', type: 'x' }] },
    { keyAgreement: [7] }
  ]) {
    it(`is refused with the input ${JSON.stringify(input)}`, () =>
      refused(() => resolveDidPeer(encodeDidPeer4(input).long), 'did-malformed'))
  }

  it('holds a document of 2,046 bytes and not of one more', async () => {
    const largest = encodeDidPeer4({ ...inputOf(2046) }).long
    expect(isDid(largest)).to.equal(true)
    expect(resolveDidPeer(largest).id).to.equal(largest)
    await refused(() => encodeDidPeer4({ ...inputOf(2047) }), 'limit-exceeded')
  })
})

describe('a document of did:peer', () => {
  it('is shared, so nobody can change it', () => {
    const did = createDidPeer2(keys, services)
    const document = resolveDidPeer(did)
    expect(resolveDidPeer(did)).to.equal(document)
    expect(() => document.service?.push({ id: '#x', type: 'x', serviceEndpoint: 'x' })).to.throw(
      TypeError
    )
    const shared = document.service?.[0]?.serviceEndpoint as Record<string, unknown>
    expect(() => (shared['uri'] = 'https://evil.example')).to.throw(TypeError)
  })

  it('is forgotten for others in the end', () => {
    const did = createDidPeer2(keys, services)
    const document = resolveDidPeer(did)
    for (let index = 0; index < 600; index++) {
      resolveDidPeer(
        createDidPeer2(keys, [
          { type: 'DIDCommMessaging', serviceEndpoint: `https://h${index}.example` }
        ])
      )
    }
    expect(resolveDidPeer(did)).to.not.equal(document)
    expect(resolveDidPeer(did)).to.deep.equal(document)
  })
})

describe('did:peer, whatever is in it', () => {
  it('gives a document or a ProtocolError', () => {
    const part = fc.constantFrom(
      '.V',
      '.E',
      '.S',
      ':',
      'z',
      '4z',
      '2',
      'z6Mk',
      ...createDidPeer2(keys, services).split('.'),
      base58.encode(Uint8Array.of(1, 2, 3))
    )
    fc.assert(
      fc.property(
        fc.array(fc.oneof(part, fc.string({ maxLength: 8 })), { maxLength: 12 }),
        (parts) => {
          try {
            resolveDidPeer(`did:peer:${parts.join('')}`)
          } catch (error) {
            expect(error).to.be.instanceOf(ProtocolError)
          }
        }
      ),
      { numRuns: 1500 }
    )
  })
})

describe('vectors of did:peer', () => {
  interface Examples {
    readonly peer2: { readonly did: string; readonly document: unknown }
    readonly peer3: { readonly method2: string; readonly method3: string }
    readonly peer4: Readonly<
      Record<'input' | 'longDocument' | 'shortDocument', Record<string, unknown>>
    > &
      Readonly<Record<'long' | 'short', string>>
  }
  let examples: Examples
  before(function () {
    examples = JSON.parse(readVectors(this, 'did-peer/spec-examples.json'))
  })

  it('resolves the method 2 example to its document', () => {
    expect(resolveDidPeer(examples.peer2.did)).to.deep.equal(examples.peer2.document)
  })

  it('computes the method 3 example', () => {
    expect(didPeer3Of(examples.peer3.method2)).to.equal(examples.peer3.method3)
  })

  it('creates and resolves the method 4 example', () => {
    const { input, long, short, longDocument, shortDocument } = examples.peer4
    expect(encodeDidPeer4(input)).to.deep.equal({ long, short })
    expect(resolveDidPeer(long)).to.deep.equal(longDocument)
    expect(resolveShortDidPeer4(long)).to.deep.equal(shortDocument)
  })
})
