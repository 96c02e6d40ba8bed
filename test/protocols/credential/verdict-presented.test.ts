/** Verdicts on the other formats and on what somebody presents: VC 1.1, SD-JWT VC, presentations. */
import { base58 } from '@scure/base'
import { expect } from 'chai'
import fc from 'fast-check'
import type {
  CheckCode,
  CheckName,
  VerificationSources
} from '../../../protocols/credential/checks.ts'
import type { ProofSigner } from '../../../protocols/credential/crypto.ts'
import { addProof, type ProofOptions } from '../../../protocols/credential/data-integrity.ts'
import { isJsonObject, type JsonObject } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto } from '../../../protocols/credential/native.ts'
import { canonicalRdf } from '../../../protocols/credential/rdfc.ts'
import { issueSdJwt, presentSdJwt, type SdJwtIssue } from '../../../protocols/credential/sd-jwt.ts'
import {
  PRESENTED_MAX,
  judge,
  judgePresentation,
  type JudgeOptions,
  type PresentationVerdict,
  type Result,
  type Verdict
} from '../../../protocols/credential/verdict.ts'
import { publicJwk } from '../../../protocols/did/multikey.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  DAY_MS,
  ISSUER,
  NOW,
  REVOCATION,
  ROTATED_AT,
  cached,
  entryOf,
  gone,
  holder,
  issued,
  keys,
  listOf,
  live,
  seedOf,
  stranger,
  worldOf
} from './issuing-world.ts'

const CHALLENGE = 'c6f1a2'
const DOMAIN = 'https://employer.example'

const checkOf = (checks: Verdict['checks'], name: CheckName): Verdict['checks'][number] => {
  const check = checks.find((one) => one.name === name)
  if (check === undefined) throw new Error(`no check ${name}`)
  return check
}

function expectVerdict(verdict: Verdict, result: Result, name: CheckName, code: CheckCode): string {
  const check = checkOf(verdict.checks, name)
  expect(`${verdict.result} ${check.code}`, JSON.stringify(verdict.checks, null, 1)).to.equal(
    `${result} ${code}`
  )
  return check.reason
}

/** A VC 1.1 with Ed25519Signature2020, as Sunbird RC issues them; the product verifies these and makes none. */
async function issuedAsVc11(
  changes: JsonObject = {},
  signer: ProofSigner = keys.current
): Promise<JsonObject> {
  const credential: JsonObject = {
    '@context': [
      'https://www.w3.org/2018/credentials/v1',
      'https://w3id.org/security/suites/ed25519-2020/v1',
      'https://elocker.example/contexts/credentials/v1'
    ],
    id: 'urn:uuid:0b1c2d0e-6a1f-4f8c-9d55-0d9f1c3b4a12',
    type: ['VerifiableCredential', 'AcademicMarksheet'],
    issuer: ISSUER,
    issuanceDate: '2026-05-01T00:00:00Z',
    expirationDate: '2030-05-01T00:00:00Z',
    credentialSubject: { id: holder.did, degree: 'Bachelor of Engineering' },
    ...changes
  }
  const config = {
    type: 'Ed25519Signature2020',
    created: '2026-05-01T00:00:00Z',
    verificationMethod: signer.verificationMethod,
    proofPurpose: 'assertionMethod'
  }
  const digests = await Promise.all(
    [{ ...config, '@context': credential['@context'] ?? [] }, credential].map(async (part) => {
      const canonical = await canonicalRdf(part, nativeProofCrypto)
      if (!canonical.ok) throw new Error(canonical.reason)
      return nativeProofCrypto.sha256(new TextEncoder().encode(canonical.text))
    })
  )
  const proofValue = `z${base58.encode(signer.sign(Buffer.concat(digests)))}`
  return { ...credential, proof: { ...config, proofValue } }
}

describe('verdict on VC 1.1 with Ed25519Signature2020', () => {
  it('is valid', async () => {
    const verdict = await judge(await issuedAsVc11(), await worldOf())
    expectVerdict(verdict, 'valid', 'proof', 'proof-fits')
    expect(verdict.format).to.equal('vcdm-1.1')
  })

  it('is invalid when a claim was changed', async () => {
    const changed = {
      ...(await issuedAsVc11()),
      credentialSubject: { id: holder.did, degree: 'Doctor' }
    }
    expectVerdict(await judge(changed, await worldOf()), 'invalid', 'proof', 'proof-wrong')
  })

  it('is expired by its own names for the dates', async () => {
    const old = await issuedAsVc11({ expirationDate: '2026-06-01T00:00:00Z' })
    expectVerdict(await judge(old, await worldOf()), 'expired', 'validity', 'expired')
  })

  it('is invalid with a date that is none', async () => {
    const wrong = { ...(await issuedAsVc11()), issuanceDate: '2023-02-30T00:00:00Z' }
    const reason = expectVerdict(
      await judge(wrong, await worldOf()),
      'invalid',
      'structure',
      'dates-malformed'
    )
    expect(reason).to.include('issuanceDate').and.include('2023-02-30')
  })

  it('is invalid by a key that is not the issuer’s', async () => {
    const forged = await issuedAsVc11({}, stranger.signer)
    expectVerdict(await judge(forged, await worldOf()), 'invalid', 'issuer-key', 'key-of-another')
  })

  it('is revoked by a list', async () => {
    const credential = await issuedAsVc11({ credentialStatus: entryOf('revocation') })
    const world = await worldOf({
      lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) }
    })
    expectVerdict(await judge(credential, world), 'revoked', 'status', 'revoked')
  })
})

const VCT = 'https://uni.example/types/degree'
const holderJwk = publicJwk('Ed25519', ed25519.getPublicKey(seedOf('the holder')))

function issuedSdJwt(changes: Partial<SdJwtIssue> = {}, claims: JsonObject = {}): string {
  return issueSdJwt(
    { sub: holder.did, degree: 'Bachelor of Engineering', grade: 8.4, ...claims },
    {
      signer: keys.current,
      vct: VCT,
      iss: ISSUER,
      iat: new Date('2026-05-01T00:00:00Z'),
      exp: new Date('2030-05-01T00:00:00Z'),
      cnf: { jwk: holderJwk },
      disclosable: ['/degree', '/grade'],
      random: (sizeBytes) => seedOf('salt').subarray(0, sizeBytes),
      ...changes
    },
    nativeProofCrypto
  )
}

const presentedSdJwt = (nonce = CHALLENGE, aud = DOMAIN, iat = NOW): string =>
  presentSdJwt(
    issuedSdJwt({ disclosable: ['/grade'] }),
    { disclose: [], keyBinding: { signer: holder.signer, aud, nonce, iat } },
    nativeProofCrypto
  )

const QUESTION: JudgeOptions = { holder: { challenge: CHALLENGE, domain: DOMAIN } }

interface SdJwtRow {
  readonly what: string
  readonly text: () => string
  readonly world?: () => Promise<VerificationSources>
  readonly options?: JudgeOptions
  readonly result: Result
  readonly check: CheckName
  readonly code: CheckCode
  readonly says: string
}

const statusClaim = { status: { bitstring_status_list: entryOf('revocation') } }

// oxfmt-ignore
const SD_JWT_ROWS: readonly SdJwtRow[] = [
  { what: 'in order', text: () => issuedSdJwt({ random: randomSalt() }), result: 'valid', check: 'proof', code: 'proof-fits', says: '1 May 2026' },
  { what: 'changed in its signature', text: () => issuedSdJwt({ random: randomSalt() }).replace(/\.([\w-])([\w-]+)~/, (_, first: string, rest: string) => `.${first === 'A' ? 'B' : 'A'}${rest}~`), result: 'invalid', check: 'proof', code: 'proof-wrong', says: 'changed after it was signed' },
  { what: 'with a disclosure of its own making', text: () => `${issuedSdJwt({ random: randomSalt() })}WyJzIiwiZ3JhZGUiLDEwXQ~`, result: 'invalid', check: 'proof', code: 'proof-malformed', says: 'do not fit what was signed' },
  { what: 'by a key of nobody’s', text: () => issuedSdJwt({ random: randomSalt(), signer: stranger.signer }), result: 'invalid', check: 'issuer-key', code: 'key-not-the-issuers', says: stranger.did },
  { what: 'by a key the issuer never listed', text: () => issuedSdJwt({ random: randomSalt(), signer: keys.unlisted }), result: 'invalid', check: 'issuer-key', code: 'key-not-the-issuers', says: '#unlisted' },
  { what: 'by a rotated key, before', text: () => issuedSdJwt({ random: randomSalt(), signer: keys.rotated }), result: 'valid', check: 'issuer-key', code: 'key-rotated-since', says: '1 June 2026' },
  { what: 'by a rotated key, after', text: () => issuedSdJwt({ random: randomSalt(), signer: keys.rotated, iat: new Date(ROTATED_AT) }), result: 'invalid', check: 'issuer-key', code: 'key-rotated-before', says: '1 June 2026' },
  { what: 'by a revoked key', text: () => issuedSdJwt({ random: randomSalt(), signer: keys.revoked }), result: 'invalid', check: 'issuer-key', code: 'key-revoked', says: '1 August 2026' },
  { what: 'expired', text: () => issuedSdJwt({ random: randomSalt(), exp: new Date('2026-11-20T00:00:00Z') }), result: 'expired', check: 'validity', code: 'expired', says: '3 days ago' },
  { what: 'not yet valid', text: () => issuedSdJwt({ random: randomSalt(), nbf: new Date('2026-12-01T00:00:00Z') }), result: 'not-yet-valid', check: 'validity', code: 'not-yet-valid', says: '1 December 2026' },
  { what: 'by an issuer that cannot be reached', text: () => issuedSdJwt({ random: randomSalt() }), world: () => worldOf({ documents: { [ISSUER]: gone('its domain does not answer') } }), result: 'could-not-be-checked', check: 'issuer-key', code: 'issuer-unreachable', says: 'its domain does not answer' },
  { what: 'by an issuer that is an address', text: () => issuedSdJwt({ random: randomSalt(), iss: 'https://uni.example', signer: { ...keys.current, verificationMethod: 'key-1' } }), result: 'could-not-be-checked', check: 'issuer-key', code: 'issuer-no-did', says: 'https://uni.example' },
  { what: 'on a list that clears it', text: () => issuedSdJwt({ random: randomSalt(), ...statusClaim }), result: 'valid', check: 'status', code: 'status-clear', says: 'was not revoked' },
  { what: 'on a list that revokes it', text: () => issuedSdJwt({ random: randomSalt(), ...statusClaim }), world: async () => worldOf({ lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) } }), result: 'revoked', check: 'status', code: 'revoked', says: 'has revoked it' },
  { what: 'on a list that is old', text: () => issuedSdJwt({ random: randomSalt(), ...statusClaim }), world: async () => worldOf({ lists: { [REVOCATION]: cached(await listOf('revocation'), DAY_MS) } }), result: 'could-not-be-checked', check: 'status', code: 'status-old', says: '1 day ago' },
  { what: 'with a status of another kind', text: () => issuedSdJwt({ random: randomSalt(), status: { status_list: { idx: 1, uri: 'https://uni.example/tsl' } } }), result: 'could-not-be-checked', check: 'status', code: 'status-unsupported', says: 'cannot be read' },
  { what: 'declared by its holder', text: () => issuedSdJwt({ random: randomSalt(), iss: holder.did, signer: holder.signer }), result: 'valid', check: 'issuer-trust', code: 'trust-self', says: 'declared by the one it is about' },
  { what: 'of another type of token', text: () => 'eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.e30.c2ln~', result: 'invalid', check: 'structure', code: 'structure-malformed', says: 'SD-JWT' },
  { what: 'presented by its subject', text: () => issuedSdJwt({ random: randomSalt() }), options: { holder: { did: holder.did } }, result: 'valid', check: 'holder-binding', code: 'holder-proven', says: holder.did },
  { what: 'presented by somebody else', text: () => issuedSdJwt({ random: randomSalt() }), options: { holder: { did: stranger.did } }, result: 'invalid', check: 'holder-binding', code: 'holder-another', says: stranger.did },
  { what: 'bound to this request', text: () => presentedSdJwt(), options: QUESTION, result: 'valid', check: 'holder-binding', code: 'holder-proven', says: 'for this request' },
  { what: 'bound to an earlier request', text: () => presentedSdJwt('c6f1a1'), options: QUESTION, result: 'invalid', check: 'holder-binding', code: 'holder-challenge-wrong', says: 'holder’s signature' },
  { what: 'bound to another verifier', text: () => presentedSdJwt(CHALLENGE, 'https://mill.example'), options: QUESTION, result: 'invalid', check: 'holder-binding', code: 'holder-challenge-wrong', says: 'holder’s signature' },
  { what: 'bound an hour ago', text: () => presentedSdJwt(CHALLENGE, DOMAIN, new Date(NOW.getTime() - 3_600_000)), options: QUESTION, result: 'invalid', check: 'holder-binding', code: 'holder-stale', says: 'holder’s signature' },
  { what: 'not bound where that was asked', text: () => issuedSdJwt({ random: randomSalt() }), options: QUESTION, result: 'invalid', check: 'holder-binding', code: 'holder-proof-missing', says: 'holder' }
]

/** Salts that differ from each other and are the same in every run. */
function randomSalt(): (sizeBytes: number) => Uint8Array {
  let count = 0
  return (sizeBytes) => {
    count += 1
    return seedOf(`salt ${count}`).subarray(0, sizeBytes)
  }
}

describe('verdict on SD-JWT VC', () => {
  for (const { what, text, world, options, result, check, code, says } of SD_JWT_ROWS) {
    it(`${what} is ${result}`, async () => {
      const verdict = await judge(text(), await (world ?? worldOf)(), options)
      expect(expectVerdict(verdict, result, check, code)).to.include(says)
      for (const { reason } of verdict.checks) expect(reason).to.match(/^[A-Z][^]*\.$/)
    })
  }

  it('on one character changed anywhere is invalid', async () => {
    const text = issuedSdJwt({ random: randomSalt(), ...statusClaim })
    const world = await worldOf()
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 2),
        fc.constantFrom('A', 'b', '7', '_', '~', '.'),
        async (at, letter) => {
          fc.pre(text[at] !== letter)
          const changed = `${text.slice(0, at)}${letter}${text.slice(at + 1)}`
          expect((await judge(changed, world)).result, changed).to.equal('invalid')
        }
      ),
      { numRuns: 500 }
    )
  })

  it('says what it is, by whom and about whom', async () => {
    const verdict = await judge(issuedSdJwt({ random: randomSalt() }), await worldOf())
    expect([verdict.format, verdict.types, verdict.issuer?.did, verdict.subject]).to.deep.equal([
      'sd-jwt-vc',
      [VCT],
      ISSUER,
      holder.did
    ])
  })
})

type Presenting = Partial<Omit<ProofOptions, 'signer' | 'created'>> & {
  readonly signer?: ProofSigner
  readonly holder?: string
}

async function presentationOf(
  credentials: readonly JsonObject[],
  { signer = holder.signer, holder: named = holder.did, ...options }: Presenting = {}
): Promise<JsonObject> {
  return addProof(
    {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiablePresentation'],
      holder: named,
      verifiableCredential: credentials
    },
    {
      suite: 'eddsa-jcs-2022',
      signer,
      created: NOW,
      purpose: 'authentication',
      challenge: CHALLENGE,
      domain: DOMAIN,
      ...options
    },
    nativeProofCrypto
  )
}

async function judged(
  presentation: JsonObject,
  changes: Parameters<typeof worldOf>[0] = {}
): Promise<PresentationVerdict> {
  return judgePresentation(presentation, await worldOf(changes), {
    challenge: CHALLENGE,
    domain: DOMAIN
  })
}

const withProof = (presentation: JsonObject, changes: JsonObject): JsonObject => {
  const proof = presentation['proof']
  return { ...presentation, proof: { ...(isJsonObject(proof) ? proof : {}), ...changes } }
}

describe('verdict on a presentation', () => {
  interface Row {
    readonly what: string
    readonly presentation: () => Promise<JsonObject>
    readonly result: Result
    readonly code: CheckCode
    readonly says: string
  }
  // oxfmt-ignore
  const rows: readonly Row[] = [
    { what: 'by the holder, for this request', presentation: async () => presentationOf([await issued()]), result: 'valid', code: 'holder-proven', says: holder.did },
    { what: 'with two credentials', presentation: async () => presentationOf([await issued(), await issuedAsVc11()]), result: 'valid', code: 'holder-proven', says: holder.did },
    { what: 'with none', presentation: () => presentationOf([]), result: 'valid', code: 'holder-proven', says: holder.did },
    { what: 'of somebody else’s credential', presentation: async () => presentationOf([await issued()], { signer: stranger.signer, holder: stranger.did }), result: 'invalid', code: 'holder-proven', says: stranger.did },
    { what: 'shown again for another request', presentation: async () => presentationOf([await issued()], { challenge: 'older' }), result: 'invalid', code: 'holder-challenge-wrong', says: '"older"' },
    { what: 'made for another verifier', presentation: async () => presentationOf([await issued()], { domain: 'https://mill.example' }), result: 'invalid', code: 'holder-challenge-wrong', says: 'https://mill.example' },
    { what: 'with the challenge written over', presentation: async () => withProof(await presentationOf([await issued()], { challenge: 'older' }), { challenge: CHALLENGE }), result: 'invalid', code: 'holder-proof-wrong', says: 'does not fit' },
    { what: 'naming one holder and signed by another', presentation: async () => presentationOf([await issued()], { signer: stranger.signer }), result: 'invalid', code: 'holder-proof-wrong', says: stranger.did },
    { what: 'signed to assert, not to authenticate', presentation: async () => presentationOf([await issued()], { purpose: 'assertionMethod' }), result: 'invalid', code: 'holder-proof-wrong', says: 'assertionMethod' },
    { what: 'without a proof', presentation: async () => { const { proof: _, ...rest } = await presentationOf([await issued()]); return rest }, result: 'invalid', code: 'holder-proof-missing', says: 'does not say whose it is' },
    { what: 'with a credential put in afterwards', presentation: async () => ({ ...(await presentationOf([])), verifiableCredential: [await issued()] }), result: 'invalid', code: 'holder-proof-wrong', says: 'does not fit' },
    { what: 'by a holder whose keys cannot be had', presentation: async () => presentationOf([], { signer: { ...holder.signer, verificationMethod: 'did:web:gone.example#k' }, holder: 'did:web:gone.example' }), result: 'could-not-be-checked', code: 'holder-unreachable', says: 'its domain does not answer' },
    { what: 'of too many credentials', presentation: async () => ({ type: 'VerifiablePresentation', verifiableCredential: Array.from({ length: PRESENTED_MAX + 1 }, () => ({})) }), result: 'invalid', code: 'holder-proof-wrong', says: `${PRESENTED_MAX + 1} credentials` },
    { what: 'that is none', presentation: () => issued(), result: 'invalid', code: 'holder-proof-wrong', says: 'not a presentation' },
    { what: 'of what is no credential', presentation: async () => ({ type: 'VerifiablePresentation', verifiableCredential: [5] }), result: 'invalid', code: 'holder-proof-wrong', says: 'no credential' }
  ]
  for (const { what, presentation, result, code, says } of rows) {
    it(`${what} is ${result}`, async () => {
      const verdict = await judged(await presentation())
      expect(`${verdict.result} ${verdict.holder.code}`, JSON.stringify(verdict, null, 1)).to.equal(
        `${result} ${code}`
      )
      expect(verdict.holder.reason)
        .to.include(says)
        .and.match(/^[A-Z][^]*\.$/)
    })
  }

  it('judges each credential, the gravest result being that of the whole', async () => {
    const world = { lists: { [REVOCATION]: live(await listOf('revocation', { set: true })) } }
    const expired = await issued({
      validUntil: '2026-06-01T00:00:00Z',
      credentialStatus: undefined
    })
    const verdict = await judged(await presentationOf([expired, await issued()]), world)
    expect(verdict.verdicts.map(({ result }) => result)).to.deep.equal(['expired', 'revoked'])
    expect(verdict.result).to.equal('revoked')
  })

  it('says of each credential whether it is the presenter’s', async () => {
    const presentation = await presentationOf([await issued()], {
      signer: stranger.signer,
      holder: stranger.did
    })
    const [verdict] = (await judged(presentation)).verdicts
    const check = checkOf(verdict?.checks ?? [], 'holder-binding')
    expect([verdict?.result, check.code]).to.deep.equal(['invalid', 'holder-another'])
  })

  it('judges an enveloped SD-JWT', async () => {
    const text = issuedSdJwt({ random: randomSalt() })
    const envelope = {
      '@context': 'https://www.w3.org/ns/credentials/v2',
      id: `data:application/dc+sd-jwt,${text}`,
      type: 'EnvelopedVerifiableCredential'
    }
    const { verdicts, result } = await judged(await presentationOf([envelope]))
    expect([result, verdicts[0]?.format, verdicts[0]?.result]).to.deep.equal([
      'valid',
      'sd-jwt-vc',
      'valid'
    ])
  })

  it('binds a single credential to the presentation it came in', async () => {
    const credential = await issued()
    const presentation = await presentationOf([credential])
    const options = { holder: { presentation, challenge: CHALLENGE, domain: DOMAIN } }
    expectVerdict(
      await judge(credential, await worldOf(), options),
      'valid',
      'holder-binding',
      'holder-proven'
    )
    const again = { holder: { ...options.holder, challenge: 'newer' } }
    expectVerdict(
      await judge(credential, await worldOf(), again),
      'invalid',
      'holder-binding',
      'holder-challenge-wrong'
    )
  })
})
