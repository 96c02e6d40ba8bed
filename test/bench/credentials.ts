/**
 * Credentials of 10 claims with a status: issued and verified a second in each suite, beside Digital Bazaar's
 * libraries and the signature alone. Keys are at hand on both sides, as they are for the second credential of an issuer.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { compactCredential, readCompact } from '../../protocols/credential/compact.ts'
import {
  addJcsProof,
  addProof,
  verifyProofs,
  type Cryptosuite,
  type ProofVerification
} from '../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { theirIssuer, theyVerify } from '../protocols/credential/digitalbazaar.ts'
import { sampleCredential, testKey, type TestKey } from '../protocols/credential/signers.ts'
import { perSecond, type Row } from './row.ts'

const DATE = '2026-11-23T10:00:00Z'
const PEER = '@digitalbazaar/vc'

/** Issuing, verifying, and the text of a QR code. */
export async function credentialRows(): Promise<Row[]> {
  const issuer = testKey('bench')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const digests = new Uint8Array(64)
  const signature = sign(null, digests, privateKey)
  const signing = {
    what: 'Ed25519 alone',
    value: await perSecond(() => sign(null, digests, privateKey))
  }
  const verifying = {
    what: 'Ed25519 alone',
    value: await perSecond(() => verify(null, digests, publicKey, signature))
  }
  return [
    ...(await rowsOf('eddsa-jcs-2022', issuer, signing, verifying)),
    ...(await rowsOf('eddsa-rdfc-2022', issuer, signing, verifying)),
    ...(await compactRows(issuer))
  ]
}

async function rowsOf(
  suite: Cryptosuite,
  issuer: TestKey,
  signing: NonNullable<Row['limit']>,
  verifying: NonNullable<Row['limit']>
): Promise<Row[]> {
  const credential = sampleCredential(issuer.did)
  const created = new Date(DATE)
  const options = { suite, signer: issuer.signer, created }
  const signed = await addProof(credential, options, crypto)
  const key: ProofVerification['key'] = () =>
    Promise.resolve({ ok: true, publicKey: issuer.publicKey })
  await mustVerify(signed, key)
  const theirs = await theirIssuer(issuer, suite, DATE)
  const refusal = await theyVerify(signed, suite, created)
  if (refusal !== true) throw new Error(`the other implementation refuses: ${refusal}`)
  const asked = (value: number): Pick<Row, 'asked'> =>
    suite === 'eddsa-jcs-2022' ? { asked: { value, bound: 'at least' } } : {}
  const ours =
    suite === 'eddsa-jcs-2022'
      ? () => addJcsProof(credential, options, crypto)
      : () => addProof(credential, options, crypto)
  return [
    {
      what: `issue a credential of 10 claims, ${suite}`,
      unit: '/s',
      ours: await perSecond(ours),
      ...asked(12_000),
      limit: signing,
      peer: { what: PEER, value: await perSecond(() => theirs(credential)) }
    },
    {
      what: `verify a credential of 10 claims, ${suite}`,
      unit: '/s',
      ours: await perSecond(() => mustVerify(signed, key)),
      ...asked(6_000),
      limit: verifying,
      peer: { what: PEER, value: await perSecond(() => theyVerify(signed, suite, created)) }
    }
  ]
}

async function compactRows({ did, signer }: TestKey): Promise<Row[]> {
  const options = { signer, created: new Date(DATE) }
  const signed = addJcsProof(sampleCredential(did), options, crypto)
  const text = await compactCredential(signed)
  if (text === undefined) throw new Error('the sample does not fit a QR code')
  return [
    {
      what: 'credential to QR text',
      unit: '/s',
      ours: await perSecond(() => compactCredential(signed))
    },
    { what: 'credential from QR text', unit: '/s', ours: await perSecond(() => readCompact(text)) }
  ]
}

async function mustVerify(document: JsonObject, key: ProofVerification['key']): Promise<void> {
  const [outcome] = await verifyProofs(document, { key, crypto })
  if (outcome?.ok !== true) throw new Error('a proof of the bench does not verify')
}
