/** Keys, credentials and shorthands of the tests of credentials. */
import { createHash } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64urlnopad } from '@scure/base'
import type { ProofSigner } from '../../../protocols/credential/crypto.ts'
import type {
  KeyAnswer,
  ProofOutcome,
  ProofVerification
} from '../../../protocols/credential/data-integrity.ts'
import { verifyProofs } from '../../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto, nativeSigner } from '../../../protocols/credential/native.ts'
import { decodeMultikey, encodeMultikey, publicJwk } from '../../../protocols/did/multikey.ts'

export interface TestKey {
  /** `z6Mk…` */
  readonly multikey: string
  readonly did: string
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  readonly signer: ProofSigner
}

/** A key that is the same in every run, as did:key. */
export function testKey(name: string): TestKey {
  return keyOfSeed(new Uint8Array(createHash('sha256').update(name).digest()))
}

export function keyOfSeed(seed: Uint8Array): TestKey {
  const publicKey = ed25519.getPublicKey(seed)
  const multikey = encodeMultikey(publicJwk('Ed25519', publicKey))
  const did = `did:key:${multikey}`
  const signer = nativeSigner(seed, `${did}#${multikey}`)
  return { multikey, did, seed, publicKey, signer }
}

/** Resolves did:key, and nothing else. */
export function didKey(verificationMethod: string): Promise<KeyAnswer> {
  const [did = '', multikey = ''] = verificationMethod.split('#')
  if (did !== `did:key:${multikey}`) {
    return Promise.resolve({ ok: false, reason: `${verificationMethod} is not a did:key` })
  }
  try {
    const { x } = decodeMultikey(multikey)
    return Promise.resolve({ ok: true, publicKey: base64urlnopad.decode(x) })
  } catch (cause) {
    return Promise.resolve({ ok: false, reason: String(cause) })
  }
}

export const verification: ProofVerification = { key: didKey, crypto: nativeProofCrypto }

/** What became of each proof, in a word: `ok`, or the fault. */
export async function faultsOf(document: JsonObject): Promise<string[]> {
  return (await verifyProofs(document, verification)).map(wordOf)
}

export function wordOf(outcome: ProofOutcome): string {
  return outcome.ok ? 'ok' : outcome.fault
}

/** A credential of VCDM 2.0 with 10 claims and a status, as the bench has it too. */
export function sampleCredential(issuer: string): JsonObject {
  return {
    '@context': [
      'https://www.w3.org/ns/credentials/v2',
      'https://elocker.example/contexts/credentials/v1'
    ],
    id: 'urn:uuid:58172aac-d8ba-41ed-83dd-0b3aef56cc33',
    type: ['VerifiableCredential', 'AcademicMarksheet'],
    issuer,
    validFrom: '2026-01-01T00:00:00Z',
    validUntil: '2036-01-01T00:00:00Z',
    credentialStatus: {
      id: 'https://university.example/status-lists/1#94567',
      type: 'BitstringStatusListEntry',
      statusPurpose: 'revocation',
      statusListIndex: '94567',
      statusListCredential: 'https://university.example/status-lists/1'
    },
    credentialSubject: {
      id: 'did:example:asha',
      name: 'आशा राव',
      rollNumber: '2023CS1047',
      institute: { name: 'University of Example' },
      programme: 'B.Tech',
      session: '2025–26',
      cgpa: 8.4,
      totalMarks: 311,
      division: null,
      passed: true,
      subjects: [
        { code: 'CS601', marks: 81 },
        { code: 'CS602', marks: 74 }
      ]
    }
  }
}
