/** An issuer, a holder and a verifier of SD-JWT credentials, and the texts an issuer could send that ours would not. */
import { generateKeyPairSync, sign as nodeSign } from 'node:crypto'
import { expect } from 'chai'
import { systemRandom } from '../../../node/clock.ts'
import type { ProofSigner } from '../../../protocols/credential/crypto.ts'
import type { JsonObject, JsonValue } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto, nativeSigner } from '../../../protocols/credential/native.ts'
import type { SdJwtFault } from '../../../protocols/credential/sd-jwt-token.ts'
import {
  issueSdJwt,
  presentSdJwt,
  readSdJwt,
  type SdJwtIssue,
  type SdJwtKeyAnswer,
  type SdJwtOutcome,
  type SdJwtReading
} from '../../../protocols/credential/sd-jwt.ts'
import { keyFromJwk, type PublicKeyJwk } from '../../../protocols/did/multikey.ts'

export const NOW = new Date('2026-11-23T12:00:00Z')
export const ISS = 'did:web:uni.example'
export const AUD = 'did:web:employer.example'
export const NONCE = 'b0e1a7d6c3f24f0fa8d5'
export const ASKED = { aud: AUD, nonce: NONCE, now: NOW, maxAgeS: 300 }

interface Ed25519Party {
  readonly publicKey: Uint8Array
  readonly jwk: PublicKeyJwk
  readonly signer: ProofSigner
}

function ed25519(kid: string): Ed25519Party {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = keyFromJwk({ ...publicKey.export({ format: 'jwk' }) })
  return { publicKey: Buffer.from(jwk.x, 'base64url'), jwk, signer: nativeSigner(privateKey, kid) }
}

export const issuer = ed25519(`${ISS}#key-1`)
export const holder = ed25519('did:key:holder#key')
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const p256Jwk = keyFromJwk({ ...p256.publicKey.export({ format: 'jwk' }) })

export const CLAIMS: JsonObject = {
  sub: 'did:key:holder',
  name: 'Ananya Iyer',
  address: { street: '7 Mission Road', city: 'Bengaluru', 'a/b~c': true },
  marks: [
    { subject: 'Physics', mark: 81 },
    { subject: 'Tamil', mark: 93 }
  ],
  languages: ['en', 'hi', 'ta'],
  note: null
}
export const DISCLOSABLE = [
  '/name',
  '/address',
  '/address/street',
  '/address/a~1b~0c',
  '/marks/0',
  '/marks/1',
  '/marks/1/mark',
  '/languages/1',
  '/note'
]

export function issued(claims: JsonObject = CLAIMS, changes: Partial<SdJwtIssue> = {}): string {
  const options = {
    signer: issuer.signer,
    vct: 'https://uni.example/marksheet',
    iss: ISS,
    iat: NOW,
    cnf: { jwk: holder.jwk },
    disclosable: DISCLOSABLE,
    random: systemRandom
  }
  return issueSdJwt(claims, { ...options, ...changes }, crypto)
}

export const bind = { signer: holder.signer, aud: AUD, nonce: NONCE, iat: NOW }

export function presented(
  disclose: readonly string[] = ['/name', '/marks/1'],
  keyBinding = bind
): string {
  return presentSdJwt(issued(), { disclose, keyBinding }, crypto)
}

async function issuerKey(): Promise<SdJwtKeyAnswer> {
  return { ok: true, publicKey: issuer.publicKey }
}

/** Reads by the issuer's key. */
export function read(text: string, changes: Partial<SdJwtReading> = {}): Promise<SdJwtOutcome> {
  return readSdJwt(text, { key: issuerKey, crypto, ...changes })
}

/** What is read of a text that must be taken. */
export async function accepted(
  text: string,
  changes: Partial<SdJwtReading> = {}
): Promise<Extract<SdJwtOutcome, { readonly ok: true }>> {
  const outcome = await read(text, changes)
  if (!outcome.ok) expect.fail(`${outcome.fault}: ${outcome.reason}`)
  return outcome
}

/** The fault of a text that must be refused. */
export async function faultOf(
  text: string,
  changes: Partial<SdJwtReading> = {}
): Promise<SdJwtFault> {
  const outcome = await read(text, changes)
  if (outcome.ok) expect.fail(`it was read: ${JSON.stringify(outcome.claims).slice(0, 200)}`)
  expect(outcome.reason).to.match(/\S/)
  return outcome.fault
}

// What an issuer could send that ours would not: made by hand.

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
export const digest = (text: string): string =>
  Buffer.from(crypto.sha256(Buffer.from(text))).toString('base64url')
export const BASE = { iss: ISS, vct: 'https://uni.example/marksheet', iat: 1 }
export const disclosure = (...content: unknown[]): string =>
  encode(['c2FsdHNhbHRzYWx0c2FsdA', ...content])

export function signed(
  payload: unknown,
  header: unknown = { alg: 'EdDSA', typ: 'dc+sd-jwt' },
  by: { readonly sign: (message: Uint8Array) => Uint8Array } = issuer.signer
): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${Buffer.from(by.sign(Buffer.from(input))).toString('base64url')}`
}

export const text = (payload: JsonObject, ...disclosures: readonly string[]): string =>
  [signed({ ...BASE, ...payload }), ...disclosures, ''].join('~')

/** ES256. */
export const p256Signer = {
  sign: (message: Uint8Array): Uint8Array =>
    nodeSign('sha256', message, { key: p256.privateKey, dsaEncoding: 'ieee-p1363' })
}

/** Every pointer into a value, the root apart. */
export function pointersOf(value: JsonValue, at = ''): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => {
    const pointer = `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    return [pointer, ...pointersOf(member, pointer)]
  })
}

export function nested(depth: number): JsonObject {
  return depth === 1 ? { b: 1 } : { a: nested(depth - 1) }
}

export function numbered(count: number): JsonObject {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`c${at}`, at]))
}
