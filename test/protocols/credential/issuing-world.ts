/**
 * A small world for verdicts: a university with a DID document, keys, status lists and a schema, a holder, and the
 * sources a verifier has of them. Everything is an ordinary value that a test may replace.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import type { Known, VerificationSources } from '../../../protocols/credential/checks.ts'
import type { ProofSigner } from '../../../protocols/credential/crypto.ts'
import { addProof, type Cryptosuite } from '../../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { nativeProofCrypto, nativeSigner } from '../../../protocols/credential/native.ts'
import {
  newBitstring,
  setStatus,
  statusListCredential
} from '../../../protocols/credential/status-list.ts'
import { parseDidDocument, type DidDocument } from '../../../protocols/did/document.ts'
import { encodeMultikey, publicJwk } from '../../../protocols/did/multikey.ts'

export const NOW = new Date('2026-11-23T10:00:00Z')
export const ISSUER = 'did:web:uni.example'
export const OTHER = 'did:web:mill.example'
export const SCHEMA_URL = 'https://uni.example/schemas/degree-1.0.0'
export const REVOCATION = 'https://uni.example/status/1'
export const SUSPENSION = 'https://uni.example/status/2'
export const INDEX = 4711
export const DAY_MS = 86_400_000

export const seedOf = (text: string): Uint8Array =>
  nativeProofCrypto.sha256(new TextEncoder().encode(text))

export const multikeyOf = (seed: Uint8Array): string =>
  encodeMultikey(publicJwk('Ed25519', ed25519.getPublicKey(seed)))

/** A did:key and its signer. */
function selfCertified(text: string): { readonly did: string; readonly signer: ProofSigner } {
  const did = `did:key:${multikeyOf(seedOf(text))}`
  return { did, signer: nativeSigner(seedOf(text), `${did}#${did.slice('did:key:'.length)}`) }
}

export const holder = selfCertified('the holder')
export const stranger = selfCertified('a stranger')

const signerOf = (did: string, name: string): ProofSigner =>
  nativeSigner(seedOf(`${did} ${name}`), `${did}#${name}`)

/** By the name of the key in the issuer's document. */
export const keys = {
  current: signerOf(ISSUER, 'current'),
  rotated: signerOf(ISSUER, 'rotated'),
  revoked: signerOf(ISSUER, 'revoked'),
  unlisted: signerOf(ISSUER, 'unlisted'),
  login: signerOf(ISSUER, 'login'),
  other: signerOf(OTHER, 'current')
}

export const ROTATED_AT = '2026-06-01T00:00:00Z'
const REVOKED_AT = '2026-08-01T00:00:00Z'

/** A key by the name of its fragment. */
interface Method {
  readonly name: string
  readonly expires?: string
  readonly revoked?: string
}

function documentOf(
  did: string,
  methods: readonly Method[],
  login: readonly string[] = []
): DidDocument {
  return parseDidDocument(
    {
      id: did,
      verificationMethod: methods.map(({ name, ...times }) => ({
        id: `${did}#${name}`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: multikeyOf(seedOf(`${did} ${name}`)),
        ...times
      })),
      assertionMethod: methods
        .map(({ name }) => `${did}#${name}`)
        .filter((id) => !login.includes(id)),
      authentication: login
    },
    did
  )
}

export const issuerDocument = documentOf(
  ISSUER,
  [
    { name: 'current' },
    { name: 'rotated', expires: ROTATED_AT },
    { name: 'revoked', revoked: REVOKED_AT },
    { name: 'login' }
  ],
  [`${ISSUER}#login`]
)

function keyDocument(did: string): DidDocument {
  const multikey = did.slice('did:key:'.length)
  const id = `${did}#${multikey}`
  return parseDidDocument(
    {
      id: did,
      verificationMethod: [{ id, type: 'Multikey', controller: did, publicKeyMultibase: multikey }],
      assertionMethod: [id],
      authentication: [id]
    },
    did
  )
}

export const schema = {
  $id: SCHEMA_URL,
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    credentialSubject: {
      type: 'object',
      required: ['degree'],
      properties: {
        degree: { title: 'Degree', type: 'string' },
        grade: { title: 'Grade', type: 'number', maximum: 10 }
      }
    }
  }
}

/** An unsigned credential as the university issues it; `changes` replace members, undefined removes one. */
export function unsigned(changes: Readonly<Record<string, unknown>> = {}): JsonObject {
  const credential: Record<string, unknown> = {
    '@context': [
      'https://www.w3.org/ns/credentials/v2',
      'https://elocker.example/contexts/credentials/v1'
    ],
    id: 'urn:uuid:7d1c2d0e-6a1f-4f8c-9d55-0d9f1c3b4a11',
    type: ['VerifiableCredential', 'AcademicMarksheet'],
    issuer: ISSUER,
    validFrom: '2026-05-01T00:00:00Z',
    validUntil: '2030-05-01T00:00:00Z',
    credentialSubject: { id: holder.did, degree: 'Bachelor of Engineering', grade: 8.4 },
    credentialStatus: [entryOf('revocation'), entryOf('suspension')],
    credentialSchema: { id: SCHEMA_URL, type: 'JsonSchema' },
    ...changes
  }
  return Object.fromEntries(
    Object.entries(credential).filter(([, value]) => value !== undefined)
  ) as JsonObject
}

export function entryOf(
  purpose: 'revocation' | 'suspension',
  changes: JsonObject = {}
): JsonObject {
  const url = purpose === 'revocation' ? REVOCATION : SUSPENSION
  return {
    id: `${url}#${INDEX}`,
    type: 'BitstringStatusListEntry',
    statusPurpose: purpose,
    statusListIndex: String(INDEX),
    statusListCredential: url,
    ...changes
  }
}

export interface Signing {
  readonly signer?: ProofSigner
  readonly suite?: Cryptosuite
  readonly created?: string
}

export function sign(
  document: JsonObject,
  {
    signer = keys.current,
    suite = 'eddsa-jcs-2022',
    created = '2026-05-01T00:00:00Z'
  }: Signing = {}
): Promise<JsonObject> {
  return addProof(document, { suite, signer, created: new Date(created) }, nativeProofCrypto)
}

/** The university's credential, signed. */
export const issued = async (
  changes: Readonly<Record<string, unknown>> = {},
  signing: Signing = {}
): Promise<JsonObject> => sign(unsigned(changes), signing)

export interface ListOptions {
  readonly set?: boolean
  readonly signer?: ProofSigner
  readonly issuer?: string
  readonly created?: Date
  readonly changes?: (list: JsonObject) => JsonObject
}

/** A status list of the university's. */
export async function listOf(
  purpose: 'revocation' | 'suspension',
  options: ListOptions = {}
): Promise<JsonObject> {
  const { set = false, signer = keys.current, issuer = ISSUER, created = NOW } = options
  const list = await statusListCredential({
    id: purpose === 'revocation' ? REVOCATION : SUSPENSION,
    issuer,
    purpose,
    bits: setStatus(newBitstring(), INDEX, set),
    validFrom: new Date('2026-05-01T00:00:00Z'),
    ttlMs: 300_000
  })
  return sign(options.changes?.(list) ?? list, { signer, created: created.toISOString() })
}

export const live = <T>(value: T): Known<T> => ({ ok: true, value, asOf: NOW, from: 'live' })
export const cached = <T>(value: T, ageMs: number): Known<T> => ({
  ok: true,
  value,
  asOf: new Date(NOW.getTime() - ageMs),
  from: 'cache'
})
export const gone = (reason: string, since?: Date): Known<never> => ({
  ok: false,
  reason,
  ...(since === undefined ? {} : { since })
})

/** What a verifier can reach, all of it live and in order but for `changes`. */
export async function worldOf(
  changes: Partial<VerificationSources> & {
    readonly lists?: Readonly<Record<string, Known<unknown>>>
    readonly documents?: Readonly<Record<string, Known<DidDocument>>>
  } = {}
): Promise<VerificationSources & { readonly asked: string[] }> {
  const { lists = {}, documents = {}, ...others } = changes
  const own = new Map<string, Known<unknown>>([
    [REVOCATION, live(await listOf('revocation'))],
    [SUSPENSION, live(await listOf('suspension'))],
    ...Object.entries(lists)
  ])
  const known = new Map<string, Known<DidDocument>>([
    [ISSUER, live(issuerDocument)],
    [OTHER, live(documentOf(OTHER, [{ name: 'current' }]))],
    ...Object.entries(documents)
  ])
  const asked: string[] = []
  return {
    now: NOW,
    crypto: nativeProofCrypto,
    offline: false,
    issuerDocument: async (did) => {
      asked.push(did)
      if (did.startsWith('did:key:')) return live(keyDocument(did))
      return known.get(did) ?? gone('its domain does not answer')
    },
    statusList: async (url) => {
      asked.push(url)
      return own.get(url) ?? gone('the server does not answer')
    },
    schema: async (url) => {
      asked.push(url)
      return url === SCHEMA_URL ? live(schema) : gone('the server does not answer')
    },
    trust: async (did) => (did === ISSUER ? 'own-contact' : 'unknown'),
    name: (did) => (did === ISSUER ? 'University' : undefined),
    asked,
    ...others
  }
}
