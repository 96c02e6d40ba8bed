import { expect } from 'chai'
import fc from 'fast-check'
import {
  addJcsProof,
  addProof,
  PROOFS_MAX,
  verifyProofs,
  type Cryptosuite,
  type ProofFault
} from '../../../protocols/credential/data-integrity.ts'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue
} from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../../protocols/credential/native.ts'
import { refused } from '../../refusal.ts'
import { readVectors } from '../../vectors.ts'
import { base58 } from '@scure/base'
import {
  didKey,
  faultsOf,
  keyOfSeed,
  sampleCredential,
  testKey,
  verification,
  wordOf
} from './signers.ts'

const university = testKey('university')
const board = testKey('board')
const created = new Date('2026-11-23T10:00:00Z')
const SUITES: readonly Cryptosuite[] = ['eddsa-jcs-2022', 'eddsa-rdfc-2022']
const sample = sampleCredential(university.did)

function sign(document: JsonObject, suite: Cryptosuite, more = {}): Promise<JsonObject> {
  return addProof(document, { suite, signer: university.signer, created, ...more }, crypto)
}

/** The document with another value at a path; a member is added when it is not there. */
function changed(
  document: JsonObject,
  path: readonly (string | number)[],
  value: unknown
): JsonObject {
  const copy: unknown = structuredClone(document)
  let at = copy as Record<string | number, unknown>
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = value
  return copy as JsonObject
}

/** Paths of everything that is neither object nor array. */
function leaves(value: JsonValue, path: readonly (string | number)[] = []): (string | number)[][] {
  if (Array.isArray(value))
    return value.flatMap((one: JsonValue, index) => leaves(one, [...path, index]))
  if (!isJsonObject(value)) return [[...path]]
  return Object.entries(value).flatMap(([name, member]) => leaves(member, [...path, name]))
}

function valueAt(document: JsonObject, path: readonly (string | number)[]): unknown {
  let value: unknown = document
  for (const step of path) value = (value as Record<string | number, unknown>)[step]
  return value
}

/** Every text that differs in one character: replaced, and if asked for, left out or doubled. */
function misspellings(text: string, every: boolean): string[] {
  return Array.from(text).flatMap((character, position, all) => {
    const joined = (...middle: string[]) =>
      [...all.slice(0, position), ...middle, ...all.slice(position + 1)].join('')
    const other = character === '1' ? '2' : '1'
    return every ? [joined(other), joined(), joined(character, character)] : [joined(other)]
  })
}

function wrongValues(value: unknown, every: boolean): unknown[] {
  if (typeof value === 'string') return [...misspellings(value, every), 7]
  if (typeof value === 'number') return [value + 1, -value, String(value)]
  if (typeof value === 'boolean') return [!value, 'true']
  return ['null', 0]
}

function vector(context: Mocha.Context, path: string): JsonObject {
  return JSON.parse(readVectors(context, `vc-di-eddsa/${path}`)) as JsonObject
}

function secretKey(multibase: string): ReturnType<typeof keyOfSeed> {
  return keyOfSeed(base58.decode(multibase.slice(1)).subarray(2, 34))
}

/** The first of its proofs made again must be the proof. */
async function resigned(context: Mocha.Context, folder: string, file: string): Promise<void> {
  const signed = vector(context, `${folder}/${file}`)
  const keys = vector(context, 'keyPair.json') as { privateKeyMultibase: string }
  const key = secretKey(keys.privateKeyMultibase)
  const { proof, ...document } = signed as JsonObject & {
    proof: { cryptosuite: Cryptosuite; created: string }
  }
  const again = await addProof(
    document,
    { suite: proof.cryptosuite, signer: key.signer, created: new Date(proof.created) },
    crypto
  )
  expect(again).to.deep.equal(signed)
  expect(await faultsOf(signed)).to.deep.equal(['ok'])
}

describe('Data Integrity vectors (vc-di-eddsa)', () => {
  it('signs eddsa-jcs-2022 byte for byte', function () {
    return resigned(this, 'eddsa-jcs-2022', 'signedJCS.json')
  })

  it('signs eddsa-rdfc-2022 byte for byte', function () {
    return resigned(this, 'eddsa-rdfc-2022', 'signedDataInt.json')
  })

  it('verifies Ed25519Signature2020', async function () {
    const signed = vector(this, 'Ed25519Signature2020/signedEdSig.json')
    const [outcome] = await verifyProofs(signed, verification)
    expect(outcome).to.include({ ok: true, cryptosuite: 'Ed25519Signature2020' })
    const name = changed(signed, ['name'], 'Alumni Credentials')
    expect(await faultsOf(name)).to.deep.equal(['signature-wrong'])
  })

  it('verifies the proof sets', async function () {
    expect(await faultsOf(vector(this, 'proof-set-chain/signedProofSet1.json'))).to.deep.equal([
      'ok'
    ])
    const two = vector(this, 'proof-set-chain/signedProofSet2.json')
    expect(await faultsOf(two)).to.deep.equal(['ok', 'ok'])
  })

  it('signs the proof chain again, proof by proof', async function () {
    const signed = vector(this, 'proof-set-chain/signedProofChain2.json')
    const keys = vector(this, 'proof-set-chain/multiKeyPairs.json') as Record<
      string,
      { privateKeyMultibase: string }
    >
    expect(await faultsOf(signed)).to.deep.equal(['ok', 'ok', 'ok', 'ok'])
    const { proof, ...document } = signed
    let again: JsonObject = document
    for (const [position, one] of (proof as JsonObject[]).entries()) {
      const { id, previousProof, created: time } = one as Record<string, string>
      again = await addProof(
        again,
        {
          suite: 'eddsa-rdfc-2022',
          signer: secretKey(keys[`keyPair${position + 1}`]?.privateKeyMultibase ?? '').signer,
          created: new Date(time ?? ''),
          ...(id === undefined ? {} : { id }),
          ...(previousProof === undefined ? {} : { previousProof })
        },
        crypto
      )
    }
    expect(again).to.deep.equal(signed)
  })

  it('names the context of the employment vector, which does not come with the program', async function () {
    const signed = vector(this, 'eddsa-rdfc-2022/employ/signedDataInt.json')
    const [outcome] = await verifyProofs(signed, verification)
    expect(outcome).to.include({
      ok: false,
      fault: 'context-unknown',
      reason: 'context https://w3id.org/citizenship/v4rc1 is not one of the known ones'
    })
  })
})

for (const suite of SUITES) {
  describe(`${suite} proofs`, () => {
    it('says who signed what, when and for what', async () => {
      const challenge = 'q1'
      const domain = 'employer.example'
      const id = 'urn:uuid:26329423-bec9-4b2e-88cb-a7c7d9dc4544'
      const signed = await sign(sample, suite, { challenge, domain, id, purpose: 'authentication' })
      expect(await verifyProofs(signed, verification)).to.deep.equal([
        {
          ok: true,
          verificationMethod: university.signer.verificationMethod,
          cryptosuite: suite,
          purpose: 'authentication',
          created,
          challenge,
          domain,
          id,
          previous: []
        }
      ])
    })

    it('asks for the key with the purpose it was used for', async () => {
      const signed = await sign(sample, suite)
      const asked: string[] = []
      const key = (method: string, purpose: string) => {
        asked.push(`${method} ${purpose}`)
        return Promise.resolve({ ok: false as const, reason: 'the issuer does not list it' })
      }
      expect(await verifyProofs(signed, { key, crypto })).to.deep.equal([
        {
          ok: false,
          fault: 'key-unknown',
          reason: 'the issuer does not list it',
          verificationMethod: university.signer.verificationMethod
        }
      ])
      expect(asked).to.deep.equal([`${university.signer.verificationMethod} assertionMethod`])
    })

    it('refuses every misspelling of every value', async function () {
      this.timeout(60_000)
      const signed = await sign(sample, suite)
      const every = suite === 'eddsa-jcs-2022' || process.env['SLOW'] === '1'
      const passed: unknown[] = []
      let tried = 0
      for (const path of leaves(signed)) {
        for (const value of wrongValues(valueAt(signed, path), every)) {
          tried++
          const faults = await faultsOf(changed(signed, path, value))
          if (faults[0] === 'ok') passed.push([...path, value])
        }
      }
      expect(tried).to.be.greaterThan(every ? 2000 : 700)
      // RDF says nothing of a member that is null.
      const open = passed.filter((path) => !(path as unknown[]).includes('division'))
      expect(open).to.deep.equal([])
      if (suite === 'eddsa-jcs-2022') expect(passed).to.deep.equal([])
    })

    it('refuses a member more and a member less, anywhere', async () => {
      const signed = await sign(sample, suite)
      const objects: (readonly (string | number)[])[] = [
        [],
        ['credentialSubject'],
        ['credentialStatus'],
        ['proof']
      ]
      for (const path of objects) {
        const more = await faultsOf(changed(signed, [...path, 'rank'], 'first'))
        expect(more, path.join('/')).to.not.deep.equal(['ok'])
        for (const name of Object.keys(valueAt(signed, path) as JsonObject)) {
          if (name === 'division') continue
          const less = structuredClone(signed)
          Reflect.deleteProperty(valueAt(less, path) as object, name)
          expect(await faultsOf(less), `${path.join('/')}/${name}`).to.not.deep.equal(['ok'])
        }
      }
    })

    it('covers members that JavaScript has names for itself', async () => {
      const signed = await sign(sample, suite)
      for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'toJSON']) {
        const text = JSON.stringify(signed).replace(
          '"rollNumber"',
          `"${name}":{"a":"1"},"rollNumber"`
        )
        const document = JSON.parse(text) as JsonObject
        expect(await faultsOf(document), name).to.not.deep.equal(['ok'])
        const { proof: _, ...unsigned } = document
        if (suite === 'eddsa-rdfc-2022' && name === '__proto__') {
          await refused(() => sign(unsigned, suite), 'credential-malformed')
          continue
        }
        const own = await sign(unsigned, suite)
        expect(await faultsOf(own), name).to.deep.equal(['ok'])
        const other = JSON.parse(
          JSON.stringify(own).replace('{"a":"1"}', '{"a":"2"}')
        ) as JsonObject
        expect(await faultsOf(other), name).to.deep.equal(['signature-wrong'])
      }
    })

    it('verifies each proof of a set by itself', async () => {
      const two = await sign(await sign(sample, suite), suite, { signer: board.signer })
      expect(await faultsOf(two)).to.deep.equal(['ok', 'ok'])
      const wrong = changed(two, ['proof', 0, 'created'], '2026-11-23T10:00:01Z')
      expect(await faultsOf(wrong)).to.deep.equal(['signature-wrong', 'ok'])
    })

    it('binds a proof to those it follows', async () => {
      const first = await sign(sample, suite, { id: 'urn:proof:1' })
      const second = await sign(first, suite, {
        signer: board.signer,
        id: 'urn:proof:2',
        previousProof: 'urn:proof:1'
      })
      const third = await sign(second, suite, { previousProof: ['urn:proof:1', 'urn:proof:2'] })
      const outcomes = await verifyProofs(third, verification)
      expect(outcomes.map(wordOf)).to.deep.equal(['ok', 'ok', 'ok'])
      expect(outcomes.map((one) => one.ok && one.previous)).to.deep.equal([
        [],
        ['urn:proof:1'],
        ['urn:proof:1', 'urn:proof:2']
      ])
      const proofs = third['proof'] as JsonObject[]
      expect(await faultsOf({ ...third, proof: proofs.slice(1) })).to.deep.equal([
        'previous-unknown',
        'previous-unknown'
      ])
      // The first proof made again by another, under the same name: it verifies, those that follow it do not.
      const { proof: _, ...bare } = third
      const other = await sign(bare, suite, { id: 'urn:proof:1', signer: board.signer })
      const swapped = { ...third, proof: [other['proof'] as JsonObject, ...proofs.slice(1)] }
      expect(await faultsOf(swapped)).to.deep.equal(['ok', 'signature-wrong', 'signature-wrong'])
    })

    it('refuses a signature under a key of small order, which fits every document', async () => {
      const signed = await sign(sample, suite)
      const proof = signed['proof'] as JsonObject
      // R = identity, S = 0: verifies under A = identity by the bare equation.
      const identity = Uint8Array.of(1, ...new Uint8Array(31))
      const signature = Uint8Array.of(...identity, ...new Uint8Array(32))
      const forged = { ...signed, proof: { ...proof, proofValue: `z${base58.encode(signature)}` } }
      const key = () => Promise.resolve({ ok: true as const, publicKey: identity })
      const [outcome] = await verifyProofs(forged, { key, crypto })
      expect(outcome).to.include({ ok: false, fault: 'signature-wrong' })
    })
  })
}

describe('what proofs are refused for', () => {
  const signed = addJcsProof(sample, { signer: university.signer, created }, crypto)
  const proof = signed['proof'] as JsonObject

  // oxfmt-ignore
  const FAULTS: readonly (readonly [what: string, document: JsonObject, fault: ProofFault, reason: RegExp])[] = [
    ['no proof', sample, 'proof-missing', /no proof/],
    ['an empty list of proofs', { ...sample, proof: [] }, 'proof-missing', /empty/],
    ['a proof that is a text', { ...sample, proof: 'trust me' }, 'proof-malformed', /not an object/],
    ['another suite', { ...signed, proof: { ...proof, cryptosuite: 'ecdsa-rdfc-2019' } }, 'suite-unsupported', /ecdsa-rdfc-2019/],
    ['another kind of proof', { ...signed, proof: { ...proof, type: 'RsaSignature2018' } }, 'suite-unsupported', /RsaSignature2018/],
    ['a suite that is no text', { ...signed, proof: { ...proof, cryptosuite: 7 } }, 'suite-unsupported', /no named suite/],
    ['a suite named as a type', { ...signed, proof: { ...proof, type: 'eddsa-jcs-2022' } }, 'suite-unsupported', /eddsa-jcs-2022/],
    ['no verification method', { ...signed, proof: { ...proof, verificationMethod: '' } }, 'proof-malformed', /verificationMethod/],
    ['another purpose', { ...signed, proof: { ...proof, proofPurpose: 'keyAgreement' } }, 'proof-malformed', /proofPurpose/],
    ['a day that is none', { ...signed, proof: { ...proof, created: '2026-02-30T00:00:00Z' } }, 'proof-malformed', /created/],
    ['a time without a zone', { ...signed, proof: { ...proof, created: '2026-02-20T00:00:00' } }, 'proof-malformed', /created/],
    ['base64 for base58', { ...signed, proof: { ...proof, proofValue: 'mAAAA' } }, 'proof-malformed', /base58/],
    ['63 bytes', { ...signed, proof: { ...proof, proofValue: `z${base58.encode(new Uint8Array(63).fill(9))}` } }, 'proof-malformed', /63 bytes/],
    ['other contexts than were signed', { ...signed, '@context': ['https://www.w3.org/ns/credentials/v2'] }, 'context-mismatch', /contexts/],
    ['a previous proof that is not there', { ...signed, proof: { ...proof, previousProof: 'urn:x' } }, 'previous-unknown', /urn:x/],
    ['17 proofs', { ...signed, proof: Array.from({ length: PROOFS_MAX + 1 }, () => proof) }, 'limit-exceeded', /17 proofs/],
    ['33 levels', { ...signed, deep: JSON.parse('['.repeat(32) + ']'.repeat(32)) as JsonValue }, 'limit-exceeded', /32 levels/],
    ['10,001 members', { ...signed, many: Array.from({ length: 10_001 }, () => 0) }, 'limit-exceeded', /10000 members/],
    ['more than 256 KiB', { ...signed, long: 'x'.repeat(262_144) }, 'limit-exceeded', /262144 bytes/],
    ['half a surrogate pair', { ...signed, broken: '\ud800' }, 'limit-exceeded', /surrogate/]
  ]

  for (const [what, document, fault, reason] of FAULTS) {
    it(`refuses ${what} with ${fault}`, async () => {
      const outcomes = await verifyProofs(document, verification)
      expect(outcomes).to.have.length(1)
      const [outcome] = outcomes
      expect(outcome).to.include({ ok: false, fault })
      expect(outcome?.ok === false && outcome.reason).to.match(reason)
    })
  }

  it('takes exactly 32 levels', async () => {
    const deep = JSON.parse('['.repeat(31) + ']'.repeat(31)) as JsonValue
    const document = addJcsProof(
      { ...sample, deep },
      { signer: university.signer, created },
      crypto
    )
    expect(await faultsOf(document)).to.deep.equal(['ok'])
  })

  it('verifies what was signed when contexts were added behind it', async () => {
    const contexts = [...(sample['@context'] as string[]), 'https://example.org/more']
    expect(await faultsOf({ ...signed, '@context': contexts })).to.deep.equal(['ok'])
  })

  it('refuses proofs that follow each other in a circle', async () => {
    const circle = [
      { ...proof, id: 'urn:a', previousProof: 'urn:b' },
      { ...proof, id: 'urn:b', previousProof: ['urn:c'] },
      { ...proof, id: 'urn:c', previousProof: ['urn:a'] }
    ]
    const outcomes = await verifyProofs({ ...signed, proof: circle }, verification)
    expect(outcomes.map(wordOf)).to.deep.equal(Array(3).fill('previous-unknown'))
    const itself = { ...proof, id: 'urn:a', previousProof: 'urn:a' }
    expect(await faultsOf({ ...signed, proof: itself })).to.deep.equal(['previous-unknown'])
  })

  it('refuses to follow one of two proofs with the same name', async () => {
    const twins = [1, 2].map(() => ({ ...proof, id: 'urn:a' }))
    const next = { ...proof, previousProof: 'urn:a' }
    const outcomes = await verifyProofs({ ...signed, proof: [...twins, next] }, verification)
    expect(outcomes.map(wordOf).at(2)).to.equal('proof-malformed')
  })

  it('signs nothing that it would refuse', async () => {
    const options = { signer: university.signer, created }
    await refused(
      () => addJcsProof(sample, { ...options, previousProof: 'urn:x' }, crypto),
      'credential-malformed'
    )
    await refused(
      () => addJcsProof({ ...sample, broken: '\ud800' }, options, crypto),
      'limit-exceeded'
    )
    const full = { ...sample, proof: Array.from({ length: PROOFS_MAX }, () => proof) }
    await refused(() => addJcsProof(full, options, crypto), 'limit-exceeded')
    const contexts = ['https://www.w3.org/ns/credentials/v2', 'https://example.org/unknown']
    await refused(
      () => sign({ ...sample, '@context': contexts }, 'eddsa-rdfc-2022'),
      'credential-malformed'
    )
  })

  it('answers whatever JSON stands as the proof', async () => {
    const near = fc.record(
      {
        type: fc.constantFrom('DataIntegrityProof', 'Ed25519Signature2020', 'x'),
        cryptosuite: fc.constantFrom('eddsa-jcs-2022', 'eddsa-rdfc-2022', 'x'),
        verificationMethod: fc.oneof(
          fc.constant(university.signer.verificationMethod),
          fc.string()
        ),
        proofPurpose: fc.constantFrom('assertionMethod', 'authentication', 'x'),
        created: fc.oneof(fc.constant('2026-11-23T10:00:00Z'), fc.string()),
        proofValue: fc.oneof(fc.constant(proof['proofValue']), fc.string()),
        previousProof: fc.jsonValue(),
        id: fc.jsonValue()
      },
      { requiredKeys: [] }
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(near, fc.jsonValue(), fc.array(near)), async (value) => {
        const document = { ...sample, proof: value as JsonValue }
        const outcomes = await verifyProofs(document, { key: didKey, crypto })
        expect(outcomes).to.not.be.empty
        expect(outcomes.every((outcome) => !outcome.ok)).to.equal(true)
      }),
      { numRuns: 200 }
    )
  })
})

describe('any document', () => {
  const claims = fc.dictionary(
    fc
      .stringMatching(/^[a-z][A-Za-z0-9]{0,12}$/)
      .filter((name) => name !== 'id' && name !== 'type'),
    fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.integer(),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true })
    ),
    { minKeys: 1, maxKeys: 8 }
  )

  for (const suite of SUITES) {
    it(`verifies as signed with ${suite}, and not with a claim changed`, async () => {
      await fc.assert(
        fc.asyncProperty(claims, fc.nat(), async (given, pick) => {
          const document = { ...sample, credentialSubject: { ...given } }
          const signed = await sign(document, suite)
          expect(await faultsOf(JSON.parse(JSON.stringify(signed)) as JsonObject)).to.deep.equal([
            'ok'
          ])
          const names = Object.keys(given)
          const name = names[pick % names.length] ?? ''
          const other = changed(signed, ['credentialSubject', name], 'something else entirely')
          expect(await faultsOf(other)).to.deep.equal(['signature-wrong'])
        }),
        { numRuns: 60 }
      )
    })
  }
})
