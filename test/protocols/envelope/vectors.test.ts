/**
 * Vectors of others: DIDComm Messaging v2.1 appendix (10 messages), and those of didcomm-rust 0.4.1 with its
 * refusals. Ours is the only npm implementation known to read all ten.
 */
import { expect } from 'chai'
import {
  didOf,
  keyOf,
  parseDidDocument,
  type DidDocument
} from '../../../protocols/did/document.ts'
import type { PrivateKeyJwk } from '../../../protocols/did/multikey.ts'
import { unpackFromPrior } from '../../../protocols/envelope/from-prior.ts'
import { unpack, type UnpackOptions } from '../../../protocols/envelope/unpack.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { refused } from '../../refusal.ts'
import { readVectors } from '../../vectors.ts'
import { utf8 } from './parties.ts'

interface Section {
  readonly section: string
  readonly value: Record<string, unknown> | Record<string, string>[]
}

function optionsOf(
  secrets: ReadonlyMap<string, PrivateKeyJwk>,
  documents: readonly DidDocument[]
): UnpackOptions {
  return {
    secrets: (kid) => secrets.get(kid),
    resolveKey: async (kid, purpose) => {
      const document = documents.find(({ id }) => id === didOf(kid))
      if (document === undefined) throw new ProtocolError('did-not-found', kid)
      return keyOf(document, kid, purpose)
    },
    allowUnencrypted: true
  }
}

describe('vectors of DIDComm Messaging v2.1', () => {
  const messages: unknown[] = []
  let options: UnpackOptions
  let plaintext: Record<string, unknown> = {}

  before(function () {
    const sections: Section[] = JSON.parse(readVectors(this, 'didcomm-spec-v2.1/appendix.json'))
    const values = (prefix: string) =>
      sections.filter(({ section }) => section.startsWith(prefix)).map(({ value }) => value)
    const secrets = values('A.').flatMap((list) => list as Record<string, string>[])
    const documents = values('B.').map((document) =>
      parseDidDocument(document, String((document as Record<string, unknown>)['id']))
    )
    options = optionsOf(
      // The appendix writes the member `kid` with a space behind it for Bob's keys.
      new Map(
        secrets.map((jwk) => [jwk['kid'] ?? jwk['kid '] ?? '', jwk as unknown as PrivateKeyJwk])
      ),
      documents
    )
    plaintext = values('C.1')[0] as Record<string, unknown>
    messages.push(...values('C.'))
  })

  it('are ten messages', () => expect(messages).to.have.length(10))

  for (let position = 0; position < 10; position++) {
    it(`reads message ${position + 1} of the appendix`, async () => {
      const { message, meta } = await unpack(utf8(messages[position]), options)
      expect(message.body).to.deep.equal(plaintext['body'])
      expect(message).to.include({ id: plaintext['id'], from: plaintext['from'] })
      if (meta.authenticated) expect(meta.from).to.equal('did:example:alice')
      if (meta.encrypted) expect(meta.to).to.equal('did:example:bob')
    })
  }
})

describe('vectors of didcomm-rust', () => {
  type Named = ReadonlyMap<string, unknown>
  let groups: ReadonlyMap<string, Named>
  let options: UnpackOptions
  const named = (group: string): Named => groups.get(group) ?? new Map()

  before(function () {
    const file: {
      did_docs: Record<string, { id: string }>
      secrets: Record<string, { id: string; privateKeyJwk: PrivateKeyJwk }[]>
      messages: Record<string, Record<string, unknown>>
    } = JSON.parse(readVectors(this, 'didcomm-rust/vectors.json'))
    groups = new Map(
      Object.entries(file.messages).map(([group, entries]) => [
        group,
        new Map(Object.entries(entries))
      ])
    )
    const secrets = Object.values(file.secrets).flat()
    options = optionsOf(
      new Map(secrets.map(({ id, privateKeyJwk }) => [id, privateKeyJwk])),
      Object.values(file.did_docs).map((document) => parseDidDocument(document, document.id))
    )
  })

  const jwt = (name: string): string => String(named('from_prior_jwt.rs').get(name))

  /** A message without a body: didcomm-rust refuses it by v2.0, and v2.1 made the body optional for readers. */
  const BY_V20 = 'INVALID_PLAINTEXT_MSG_NO_BODY'

  it('gives every message of the positive vectors', async () => {
    let read = 0
    for (const group of ['encrypted.rs', 'signed.rs', 'plaintext.rs']) {
      for (const [name, message] of named(group)) {
        if (name.includes('INVALID')) continue
        const { message: plaintext } = await unpack(utf8(message), options)
        expect(plaintext.type, name).to.equal(
          'http://example.com/protocols/lets_do_lunch/1.0/proposal'
        )
        read++
      }
    }
    expect(read).to.equal(17)
  })

  it('refuses every message of the negative vectors', async () => {
    let read = 0
    for (const group of ['encrypted.rs', 'signed.rs', 'plaintext.rs']) {
      for (const [name, message] of named(group)) {
        if (!name.includes('INVALID') || name === BY_V20) continue
        await refused(
          () => unpack(utf8(message), options),
          'message-malformed',
          'envelope-malformed',
          'envelope-unauthenticated'
        )
        read++
      }
    }
    expect(read).to.equal(17)
  })

  it('reads a message without a body as one with an empty body', async () => {
    const { message } = await unpack(utf8(named('plaintext.rs').get(BY_V20)), options)
    expect(message.body).to.deep.equal({})
  })

  it('verifies its from_prior and refuses the two bad ones', async () => {
    const claims = await unpackFromPrior(jwt('FROM_PRIOR_JWT_FULL'), options.resolveKey)
    expect(claims).to.include({ iss: 'did:example:charlie', sub: 'did:example:alice', exp: 1234 })
    for (const name of ['FROM_PRIOR_JWT_INVALID', 'FROM_PRIOR_JWT_INVALID_SIGNATURE']) {
      await refused(
        () => unpackFromPrior(jwt(name), options.resolveKey),
        'envelope-malformed',
        'envelope-unauthenticated'
      )
    }
  })
})
