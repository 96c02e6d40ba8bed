import { expect } from 'chai'
import {
  addJcsProof,
  addProof,
  verifyProofs
} from '../../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { canonicalRdf } from '../../../protocols/credential/rdfc.ts'
import { faultsOf, sampleCredential, testKey, verification } from './signers.ts'

const V2 = 'https://www.w3.org/ns/credentials/v2'
const OURS = 'https://elocker.example/contexts/credentials/v1'
const university = testKey('university')
const sample = sampleCredential(university.did)

function about(credentialSubject: unknown, more: object = {}): JsonObject {
  return {
    '@context': [V2, OURS],
    type: ['VerifiableCredential'],
    issuer: 'did:web:university.example',
    credentialSubject,
    ...more
  } as JsonObject
}

async function textOf(document: JsonObject): Promise<string> {
  const canonical = await canonicalRdf(document, crypto)
  return canonical.ok ? canonical.text : `${canonical.fault}: ${canonical.reason}`
}

function signedRdf(document: JsonObject): Promise<JsonObject> {
  const created = new Date('2026-11-23T10:00:00Z')
  return addProof(
    document,
    { suite: 'eddsa-rdfc-2022', signer: university.signer, created },
    crypto
  )
}

describe('canonical RDF', () => {
  it('gives every name that no context defines a meaning in our vocabulary', async () => {
    expect(await textOf(about({ rollNumber: 'CS1' }))).to.equal(
      [
        '_:c14n0 <https://elocker.example/vocab#rollNumber> "CS1" .',
        '_:c14n1 <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://www.w3.org/2018/credentials#VerifiableCredential> .',
        '_:c14n1 <https://www.w3.org/2018/credentials#credentialSubject> _:c14n0 .',
        '_:c14n1 <https://www.w3.org/2018/credentials#issuer> <did:web:university.example> .',
        ''
      ].join('\n')
    )
  })

  it('keeps language and direction of a name', async () => {
    const name = { '@value': 'شهادة', '@language': 'ar', '@direction': 'rtl' }
    expect(await textOf(about({ grade: 'A' }, { name }))).to.include(
      '"شهادة"^^<https://www.w3.org/ns/i18n#ar_rtl>'
    )
  })

  // oxfmt-ignore
  const REFUSED: readonly (readonly [what: string, document: JsonObject, answer: string])[] = [
    ['a context that is not bundled', about({ a: 1 }, { '@context': [V2, 'https://example.org/c'] }), 'context-unknown: context https://example.org/c is not one of the known ones'],
    ['a context under a URL that nearly is one', about({ a: 1 }, { '@context': [`${V2}#`] }), `context-unknown: context ${V2}# is not one of the known ones`],
    ['no context', { issuer: 'did:web:a.example' }, 'context-unknown: it names no context'],
    ['a context in the document itself', about({ a: 1 }, { '@context': [V2, { a: 'https://example.org/a' }] }), 'context-unknown: a context that stands in the document itself is not known'],
    ['a context inside the claims', about({ '@context': OURS, a: 1 }), 'context-unknown: a context inside /credentialSubject is not known'],
    ['a term that no context defines', about({ a: 1 }, { '@context': [V2] }), 'term-undefined: a is not a term of its contexts'],
    ['a type that no context defines', about({ id: 'did:example:a' }, { '@context': [V2], type: ['VerifiableCredential', 'Marksheet'] }), 'term-undefined: relative @type reference: Marksheet'],
    ['a member named by its IRI', about({ 'https://elocker.example/vocab#a': 1 }), 'term-undefined: /credentialSubject/https://elocker.example/vocab#a is not a term of its contexts'],
    ['a member named by a prefix', about({ 'cred:a': 1 }), 'term-undefined: /credentialSubject/cred:a is not a term of its contexts'],
    ['a keyword', about({ '@id': 'did:example:a', a: 1 }), 'term-undefined: /credentialSubject/@id is not a term of its contexts'],
    ['a graph', about({ a: 1 }, { '@graph': [] }), 'term-undefined: /@graph is not a term of its contexts'],
    ['a type named by its IRI', about({ a: 1 }, { type: ['VerifiableCredential', 'https://elocker.example/vocab#Marksheet'] }), 'term-undefined: type https://elocker.example/vocab#Marksheet of it is not a term'],
    ['a relative name', about({ id: 'asha', a: 1 }), 'term-undefined: relative @id reference: asha'],
    ['contexts that contradict each other', about({ a: 1 }, { '@context': [V2, 'https://www.w3.org/2018/credentials/v1'] }), 'proof-malformed: it is not JSON-LD: Invalid JSON-LD syntax; tried to redefine a protected term.']
  ]

  for (const [what, document, answer] of REFUSED) {
    it(`refuses ${what}`, async () => expect(await textOf(document)).to.equal(answer))
  }
})

describe('a signature over RDF', () => {
  const cred = 'https://www.w3.org/2018/credentials#'

  it('does not hold for a document that hides what it says', async () => {
    const signed = await signedRdf(sample)
    expect(await faultsOf(signed)).to.deep.equal(['ok'])
    const { validUntil, credentialStatus, ...rest } = signed
    const time = {
      '@value': validUntil ?? null,
      '@type': 'http://www.w3.org/2001/XMLSchema#dateTime'
    }
    const contexts = rest['@context'] as string[]
    // Each means in RDF exactly what was signed, and JSON finds no end of validity, or no status.
    const hidden: readonly JsonObject[] = [
      { ...rest, credentialStatus: credentialStatus ?? null, [`${cred}validUntil`]: time },
      {
        ...rest,
        '@context': [
          ...contexts,
          {
            until: {
              '@id': `${cred}validUntil`,
              '@type': 'http://www.w3.org/2001/XMLSchema#dateTime'
            }
          }
        ],
        credentialStatus: credentialStatus ?? null,
        until: validUntil ?? null
      },
      {
        ...rest,
        validUntil: validUntil ?? null,
        [`${cred}credentialStatus`]: credentialStatus ?? null
      },
      {
        ...rest,
        validUntil: validUntil ?? null,
        '@included': [{ id: sample['id'] ?? null, credentialStatus: credentialStatus ?? null }]
      }
    ]
    for (const document of hidden) {
      const [outcome] = await verifyProofs(document, verification)
      expect(outcome?.ok).to.equal(false)
      expect(outcome).to.have.property('fault').that.is.oneOf(['term-undefined', 'context-unknown'])
    }
  })

  it('follows a proof of the other suite', async () => {
    const created = new Date('2026-11-23T10:00:00Z')
    const { signer } = university
    const first = addJcsProof(sample, { signer, created, id: 'urn:proof:1' }, crypto)
    const both = await addProof(
      first,
      { suite: 'eddsa-rdfc-2022', signer, created, previousProof: 'urn:proof:1' },
      crypto
    )
    expect(await faultsOf(both)).to.deep.equal(['ok', 'ok'])
    const [jcs, rdf] = both['proof'] as JsonObject[]
    const later = { ...jcs, created: '2026-11-23T10:00:01Z' }
    expect(await faultsOf({ ...both, proof: [later, rdf ?? null] })).to.deep.equal([
      'signature-wrong',
      'signature-wrong'
    ])
    const foreign = { ...jcs, '@context': ['https://example.org/c'] }
    expect(await faultsOf({ ...both, proof: [foreign, rdf ?? null] })).to.deep.equal([
      'context-mismatch',
      'context-unknown'
    ])
  })

  it('holds for the same document in another order of members', async () => {
    const signed = await signedRdf(sample)
    const turned = Object.fromEntries(Object.entries(signed).toReversed())
    expect(await faultsOf(turned)).to.deep.equal(['ok'])
  })

  it('holds for two subjects that look alike', async () => {
    const alike = { ...sample, credentialSubject: [{ a: { b: '1' } }, { a: { b: '1' } }] }
    expect(await faultsOf(await signedRdf(alike))).to.deep.equal(['ok'])
  })
})

function nodes(count: number, of: (position: number) => object): object[] {
  return Array.from({ length: count }, (_, position) => of(position))
}

const links = (to: number[]) => to.map((position) => ({ id: `_:n${position}` }))
const range = (count: number) => Array.from({ length: count }, (_, position) => position)

describe('poison graphs', () => {
  // oxfmt-ignore
  const POISON: readonly (readonly [what: string, claims: object])[] = [
    ['30 nodes that all name each other', { m: nodes(30, (n) => ({ id: `_:n${n}`, k: links(range(30).filter((to) => to !== n)) })) }],
    ['8 nodes that all name 8 others', { m: nodes(8, (n) => ({ id: `_:a${n}`, k: links(range(8)) })) }],
    ['a ring of 300', { m: nodes(300, (n) => ({ id: `_:n${n}`, k: links([(n + 1) % 300]) })) }]
  ]

  for (const [what, claims] of POISON) {
    it(`gives up on ${what}`, async () => {
      const canonical = await canonicalRdf(about(claims), crypto)
      expect(canonical).to.include({ ok: false, fault: 'limit-exceeded' })
    })
  }

  it('is done with one that many proofs follow after the first', async () => {
    const ring = about({ m: nodes(300, (n) => ({ id: `_:n${n}`, k: links([(n + 1) % 300]) })) })
    const { proof } = (await signedRdf(sample)) as { proof: JsonObject }
    const chain = range(16).map((n) => ({
      ...proof,
      id: `urn:proof:${n}`,
      ...(n === 0 ? {} : { previousProof: `urn:proof:${n - 1}` })
    }))
    let digests = 0
    const counting = {
      ...crypto,
      sha256(bytes: Uint8Array) {
        digests++
        return crypto.sha256(bytes)
      }
    }
    const outcomes = await verifyProofs(
      { ...ring, proof: chain },
      { ...verification, crypto: counting }
    )
    expect(outcomes.map((one) => !one.ok && one.fault)).to.deep.equal(
      Array(16).fill('limit-exceeded')
    )
    expect(digests).to.be.lessThan(50_001)
  })

  it('reads a table of 300 rows that are all the same', async () => {
    const rows = nodes(300, () => ({ code: 'CS601', marks: { theory: 81 } }))
    expect(await canonicalRdf(about({ rows }), crypto)).to.include({ ok: true })
  })
})
