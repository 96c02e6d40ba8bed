/**
 * The issuer: an institution's identity as a signer of credentials, its keys, and what it publishes about
 * itself.
 *
 * | record        | key       | holds                                                                  |
 * |---------------|-----------|------------------------------------------------------------------------|
 * | `issuer`      | `issuer`  | DID, domain, names, categories, logo, whether two have to approve       |
 * | `issuer-keys` | fragment  | public key, times, and of the present key only its seed                |
 *
 * With a domain the issuer is a did:web, whose document the public gateway serves; without one a did:key,
 * which is its key and cannot rotate. Seeds are random, not derived: a key that is compromised must not
 * come back with the recovery words, and one that is rotated is deleted in the batch that replaces it.
 *
 * **Rotation** leaves old credentials verifiable. The document keeps every public key in `assertionMethod`:
 * a rotated one with `expires` (proofs made before count), a compromised one with `revoked` (none of its
 * proofs counts, as whoever has the key also writes the date). W3C Controlled Identifiers 1.0 §2.2.
 *
 * @module
 */
import { createPublicKey, createPrivateKey, type KeyObject } from 'node:crypto'
import { base64urlnopad } from '@scure/base'
import { z } from 'zod'
import {
  CREDENTIAL_CATEGORIES,
  type CredentialType
} from '../protocols/credential/credential-type.ts'
import type { ProofSigner } from '../protocols/credential/crypto.ts'
import type { JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto, nativeSigner } from '../protocols/credential/native.ts'
import { DID_CHARS_MAX, isDid, serviceFor } from '../protocols/did/document.ts'
import { encodeMultikey, publicJwk } from '../protocols/did/multikey.ts'
import { didWebUrl } from '../protocols/did/web.ts'
import { linkDomain } from '../protocols/domain-linkage.ts'
import { ProtocolError } from '../protocols/errors.ts'
import { CREDENTIAL_FORMATS } from '../protocols/issuance-attachments.ts'
import {
  DESCRIPTOR_PATH,
  DESCRIPTOR_SERVICE,
  logo as logoSchema,
  signDescriptor,
  type DescriptorType,
  type IssuerDescriptor
} from '../protocols/issuer-descriptor.ts'
import { languageNames } from '../protocols/signed-document.ts'
import type { Audit } from './audit.ts'
import type { Clock, Network, Random } from './components.ts'
import type { ByWhom } from './credential-types.ts'
import { LockerError } from './errors.ts'
import type { Batch, Collection, Records } from './records.ts'

/** Keys of one issuer, old ones included: they all stand in its DID document, which others read up to 64 of. */
export const ISSUER_KEYS_MAX = 60
/** How long a descriptor speaks, milliseconds: an institution that is gone is not found a month later. */
export const DESCRIPTOR_LIFETIME_MS = 30 * 24 * 3_600_000
/** How long the proof of the domain speaks, milliseconds. */
export const LINKAGE_LIFETIME_MS = 365 * 24 * 3_600_000
/** How long a signed document is served again before it is signed anew, milliseconds. */
export const SIGNED_FRESH_MS = 3_600_000

const SEED_BYTES = 32

type Category = (typeof CREDENTIAL_CATEGORIES)[number]

interface IssuerKeyFacts {
  /** Absolute DID URL, as it stands in proofs. */
  readonly id: string
  readonly createdAt: string
  /** Rotated: proofs made before then count. */
  readonly expiresAt?: string
  /** Compromised: no proof by it counts. */
  readonly revokedAt?: string
}

export interface IssuerFacts {
  readonly did: string
  /** Host, and port where it is not 443. Absent: a did:key. */
  readonly domain?: string
  /** By language (BCP 47). */
  readonly names: Readonly<Record<string, string>>
  readonly categories: readonly Category[]
  /** `data:` URL of a PNG or WebP picture. */
  readonly logo?: string
  /** Whether a credential goes out only when a second person has approved it. */
  readonly secondApproval: boolean
  readonly createdAt: string
  /** The oldest first; the last is the one that signs. */
  readonly keys: readonly IssuerKeyFacts[]
}

export interface IssuerProfile {
  readonly names: Readonly<Record<string, string>>
  readonly categories: readonly Category[]
  readonly logo?: string
  readonly secondApproval?: boolean
}

export interface Issuer {
  /** `undefined` where none has been set up. */
  facts(): IssuerFacts | undefined
  /**
   * Makes the issuer and its first key. `domain` as in a URL (`university.example`); a host that is not
   * public, or has a port, is resolved only by those who allow it (node/resolver.ts). Throws `issuer-state`
   * when there is one, `request-invalid`.
   */
  setUp(options: IssuerProfile & { readonly domain?: string } & ByWhom): Promise<IssuerFacts>
  /** Changes what the issuer says of itself; what is not given stays. Throws `issuer-absent`, `request-invalid`. */
  change(options: Partial<IssuerProfile> & ByWhom): Promise<IssuerFacts>
  /**
   * `rotated`: a new key signs from now on, and what the old one signed stays valid. `compromised`: nothing
   * it ever signed counts any more; `key`, an older one's id, marks that one and leaves the present key.
   * Throws `issuer-absent`, `issuer-state` for a did:key, an unknown key or beyond {@link ISSUER_KEYS_MAX}.
   */
  rotateKey(
    reason: 'rotated' | 'compromised',
    options?: ByWhom & { readonly key?: string }
  ): Promise<IssuerFacts>
  /** What `https://<domain>/.well-known/did.json` serves; `undefined` for a did:key and without an issuer. */
  didDocument(): JsonObject | undefined
  /** What `https://<domain>/.well-known/did-configuration.json` serves; `undefined` as above. */
  didConfiguration(): JsonObject | undefined
  /** The signed issuer descriptor. `invitation`: URL that many may use. Throws `issuer-absent`, `issuer-state` when it is too large. */
  descriptor(options?: { readonly invitation?: string }): JsonObject
  /** Signs as the issuer, with the present key. Throws `issuer-absent`. */
  signer(): ProofSigner
}

export interface IssuerComponents {
  readonly records: Records
  readonly audit: Pick<Audit, 'append'>
  readonly clock: Clock
  readonly random: Random
  /** Where this agent is reached now. */
  readonly network: Pick<Network, 'endpoints'>
  /** Base URL of the public gateway, without a trailing slash. */
  readonly baseUrl: () => string
  /** What is issued now. */
  readonly types: () => readonly CredentialType[]
}

const instant = z.iso.datetime()

const profile = {
  names: languageNames,
  categories: z.array(z.enum(CREDENTIAL_CATEGORIES)).min(1).max(CREDENTIAL_CATEGORIES.length),
  logo: z.exactOptional(logoSchema),
  secondApproval: z.boolean()
}

const issuerRecord = z.strictObject({
  ...profile,
  did: z.string().max(DID_CHARS_MAX).refine(isDid),
  domain: z.exactOptional(z.string().max(260)),
  createdAt: instant
})

const keyRecord = z.strictObject({
  /** Counts from 1: the order of the keys. */
  number: z.int().positive(),
  /** 32 bytes, base64url; only of the key that signs. */
  seed: z.exactOptional(z.string().regex(/^[A-Za-z0-9_-]{43}$/)),
  publicKeyMultibase: z.string().regex(/^z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/),
  createdAt: instant,
  expiresAt: z.exactOptional(instant),
  revokedAt: z.exactOptional(instant)
})

type IssuerRecord = z.infer<typeof issuerRecord>
type KeyRecord = z.infer<typeof keyRecord>

/** Sublevel of the keys, as damage is named by it. */
const KEYS_NAME = 'issuer-keys'
/** Key of the only record of sublevel `issuer`. */
const ISSUER = 'issuer'

/** Opens the issuer of an open vault, if there is one. */
export async function openIssuer(components: IssuerComponents): Promise<Issuer> {
  const { records } = components
  const issuer = await records.collection('issuer', issuerRecord)
  const keys = await records.collection(KEYS_NAME, keyRecord)
  return new SealedIssuer(components, issuer, keys)
}

interface Signed {
  /** What it says, without times; another one is signed when this changes. */
  readonly basis: string
  readonly document: JsonObject
  readonly untilMs: number
}

class SealedIssuer implements Issuer {
  readonly #components: IssuerComponents
  readonly #issuer: Collection<IssuerRecord>
  readonly #keys: Collection<KeyRecord>
  /** Of the present key: importing it costs more than a signature. */
  #signer: ProofSigner | undefined
  #descriptor: Signed | undefined
  #configuration: Signed | undefined

  constructor(
    components: IssuerComponents,
    issuer: Collection<IssuerRecord>,
    keys: Collection<KeyRecord>
  ) {
    this.#components = components
    this.#issuer = issuer
    this.#keys = keys
  }

  facts(): IssuerFacts | undefined {
    const record = this.#issuer.get(ISSUER)
    if (record === undefined) return undefined
    return { ...record, keys: this.#ordered().map(([id, key]) => keyFacts(record.did, id, key)) }
  }

  async setUp(
    options: IssuerProfile & { readonly domain?: string } & ByWhom
  ): Promise<IssuerFacts> {
    const { records, audit } = this.#components
    const { domain, by = 'owner', secondApproval = false, ...said } = options
    const host = domain === undefined ? undefined : hostOf(domain)
    const key = this.#newKey(1)
    const multikey = key.publicKeyMultibase
    const did = host === undefined ? `did:key:${multikey}` : didWebOf(host)
    const record = parsedRecord({
      ...picked(said),
      secondApproval,
      did,
      createdAt: key.createdAt,
      ...(host === undefined ? {} : { domain: host })
    })
    await records.change((batch) => {
      const existing = this.#issuer.get(ISSUER)
      if (existing !== undefined)
        throw new LockerError('issuer-state', `the issuer ${existing.did} is set up already`)
      this.#issuer.put(batch, ISSUER, record)
      this.#keys.put(batch, host === undefined ? multikey : 'key-1', key)
      audit.append(batch, { action: 'issuer-created', actor: by, details: { did } })
    })
    return this.#mustHaveFacts()
  }

  async change(options: Partial<IssuerProfile> & ByWhom): Promise<IssuerFacts> {
    const { records, audit } = this.#components
    const { by = 'owner', ...said } = options
    await records.change((batch) => {
      const before = this.#record()
      this.#issuer.put(batch, ISSUER, parsedRecord({ ...before, ...picked(said) }))
      const details = { did: before.did }
      audit.append(batch, { action: 'issuer-changed', actor: by, details })
    })
    return this.#mustHaveFacts()
  }

  async rotateKey(
    reason: 'rotated' | 'compromised',
    options: ByWhom & { readonly key?: string } = {}
  ): Promise<IssuerFacts> {
    const { records, audit } = this.#components
    const { by = 'owner', key } = options
    await records.change((batch) => {
      const { did, domain } = this.#record()
      if (domain === undefined)
        throw new LockerError('issuer-state', `${did} is its own key and cannot change it`)
      const present = this.#found()?.[0]
      const ending = key === undefined ? present : this.#fragmentOf(key)
      if (ending !== undefined) this.#end(batch, ending, reason)
      const next = ending === present ? this.#addKey(batch) : undefined
      audit.append(batch, {
        action: 'issuer-key-rotated',
        actor: by,
        details: {
          reason,
          ...(ending === undefined ? {} : { key: `${did}#${ending}` }),
          ...(next === undefined ? {} : { next: `${did}#${next}` })
        }
      })
      batch.afterwards(() => {
        this.#signer = undefined
      })
    })
    return this.#mustHaveFacts()
  }

  didDocument(): JsonObject | undefined {
    const record = this.#issuer.get(ISSUER)
    if (record?.domain === undefined) return undefined
    const { did, domain } = record
    const keys = this.#ordered()
    return {
      '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
      id: did,
      verificationMethod: keys.map(([id, { publicKeyMultibase, expiresAt, revokedAt }]) => ({
        id: `${did}#${id}`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase,
        ...(expiresAt === undefined ? {} : { expires: expiresAt }),
        ...(revokedAt === undefined ? {} : { revoked: revokedAt })
      })),
      assertionMethod: keys.map(([id]) => `${did}#${id}`),
      service: [
        {
          id: `${did}#descriptor`,
          type: DESCRIPTOR_SERVICE,
          serviceEndpoint: `https://${domain}${DESCRIPTOR_PATH}`
        },
        { id: `${did}#domain`, type: 'LinkedDomains', serviceEndpoint: `https://${domain}` }
      ]
    }
  }

  didConfiguration(): JsonObject | undefined {
    const domain = this.#issuer.get(ISSUER)?.domain
    if (domain === undefined) return undefined
    const signer = this.signer()
    const basis = `${signer.verificationMethod} ${domain}`
    this.#configuration = this.#fresh(this.#configuration, basis, (now) =>
      linkDomain({
        signer,
        origin: `https://${domain}`,
        validFrom: now,
        validUntil: new Date(now.getTime() + LINKAGE_LIFETIME_MS),
        crypto: nativeProofCrypto
      })
    )
    return this.#configuration.document
  }

  descriptor(options: { readonly invitation?: string } = {}): JsonObject {
    const content = this.#descriptorContent(options.invitation)
    const signer = this.signer()
    const basis = JSON.stringify([signer.verificationMethod, content])
    this.#descriptor = this.#fresh(this.#descriptor, basis, (now) => {
      const expiresAt = new Date(now.getTime() + DESCRIPTOR_LIFETIME_MS).toISOString()
      const descriptor = { ...content, issuedAt: now.toISOString(), expiresAt }
      try {
        return signDescriptor(descriptor, { signer, created: now, crypto: nativeProofCrypto })
      } catch (cause) {
        if (!(cause instanceof ProtocolError)) throw cause
        throw new LockerError('issuer-state', `no descriptor: ${cause.message}`, { cause })
      }
    })
    return this.#descriptor.document
  }

  signer(): ProofSigner {
    if (this.#signer !== undefined) return this.#signer
    const { did } = this.#record()
    const [id, { seed }] = this.#present()
    const bytes = base64urlnopad.decode(seed)
    try {
      this.#signer = nativeSigner(bytes, `${did}#${id}`)
      return this.#signer
    } finally {
      bytes.fill(0)
    }
  }

  #descriptorContent(
    invitation: string | undefined
  ): Omit<IssuerDescriptor, 'issuedAt' | 'expiresAt'> {
    const { network, baseUrl, types } = this.#components
    const { did, names, categories, logo } = this.#record()
    const gateway = baseUrl()
    return {
      v: 1,
      did,
      names,
      ...(logo === undefined ? {} : { logo }),
      categories,
      types: types().map(descriptorTypeOf),
      endpoints: {
        didcomm: network.endpoints().map((endpoint) => {
          const { serviceEndpoint } = serviceFor(endpoint)
          return didcommEndpoint.parse(serviceEndpoint)
        }),
        ...(invitation === undefined ? {} : { invitation }),
        ...(gateway === '' ? {} : { gateway })
      }
    }
  }

  /** The document again while it says the same and is young, else a new one. */
  #fresh(kept: Signed | undefined, basis: string, sign: (now: Date) => JsonObject): Signed {
    const now = this.#components.clock.now()
    if (kept !== undefined && kept.basis === basis && now.getTime() < kept.untilMs) return kept
    return { basis, document: sign(now), untilMs: now.getTime() + SIGNED_FRESH_MS }
  }

  #end(batch: Batch, id: string, reason: 'rotated' | 'compromised'): void {
    const before = this.#keys.get(id)
    if (before === undefined) throw new LockerError('issuer-state', `the issuer has no key ${id}`)
    if (reason === 'rotated' && before.seed === undefined)
      throw new LockerError('issuer-state', `the key ${id} is not the one that signs`)
    if (before.revokedAt !== undefined)
      throw new LockerError('issuer-state', `the key ${id} is revoked since ${before.revokedAt}`)
    const { seed: _deleted, ...kept } = before
    const nowMs = this.#components.clock.now().getTime()
    // Proofs carry whole seconds, rounded down: those of this very second are before the end.
    const ended = new Date((Math.floor(nowMs / 1000) + 1) * 1000).toISOString()
    const revoked = new Date(nowMs).toISOString()
    this.#keys.put(batch, id, {
      ...kept,
      ...(reason === 'rotated' ? { expiresAt: ended } : { revokedAt: revoked })
    })
  }

  #addKey(batch: Batch): string {
    if (this.#keys.size >= ISSUER_KEYS_MAX)
      throw new LockerError('issuer-state', `the issuer has had ${ISSUER_KEYS_MAX} keys already`)
    // Behind every key there was, those that cannot be read included: a key id never means two keys.
    const unread = this.#components.records.damaged.filter(({ sublevel }) => sublevel === KEYS_NAME)
    const number = (this.#ordered().at(-1)?.[1].number ?? 0) + unread.length + 1
    const id = `key-${number}`
    this.#keys.put(batch, id, this.#newKey(number))
    return id
  }

  #newKey(number: number): KeyRecord & { readonly seed: string } {
    const { random, clock } = this.#components
    const seed = random(SEED_BYTES)
    try {
      return {
        number,
        seed: base64urlnopad.encode(seed),
        publicKeyMultibase: multikeyOf(seed),
        createdAt: clock.now().toISOString()
      }
    } finally {
      seed.fill(0)
    }
  }

  /** The fragment of a key id of ours, `did:…#key-1` or `key-1`. */
  #fragmentOf(key: string): string {
    return key.slice(key.indexOf('#') + 1)
  }

  #ordered(): ReadonlyArray<[id: string, key: KeyRecord]> {
    return [...this.#keys.entries()].toSorted(([, one], [, other]) => one.number - other.number)
  }

  /** The key that signs. */
  #present(): [id: string, key: KeyRecord & { readonly seed: string }] {
    const found = this.#found()
    if (found !== undefined) return found
    throw new LockerError('issuer-state', 'the key of the issuer cannot be read; rotate it')
  }

  #found(): [id: string, key: KeyRecord & { readonly seed: string }] | undefined {
    for (const [id, key] of this.#ordered())
      if (key.seed !== undefined) return [id, { ...key, seed: key.seed }]
    return undefined
  }

  #record(): IssuerRecord {
    const record = this.#issuer.get(ISSUER)
    if (record === undefined) throw new LockerError('issuer-absent', 'no issuer has been set up')
    return record
  }

  #mustHaveFacts(): IssuerFacts {
    const facts = this.facts()
    if (facts === undefined) throw new LockerError('issuer-absent', 'no issuer has been set up')
    return facts
  }
}

const didcommEndpoint = z.object({
  uri: z.string(),
  accept: z.exactOptional(z.array(z.string())),
  routingKeys: z.exactOptional(z.array(z.string())),
  multiAddrs: z.exactOptional(z.array(z.string()))
})

function keyFacts(did: string, id: string, key: KeyRecord): IssuerKeyFacts {
  const { createdAt, expiresAt, revokedAt } = key
  return {
    id: `${did}#${id}`,
    createdAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(revokedAt === undefined ? {} : { revokedAt })
  }
}

/** What a holder sees of a type before asking for it. */
function descriptorTypeOf(type: CredentialType): DescriptorType {
  const { id, version, category, display, form } = type
  const names = Object.fromEntries(
    Object.entries(display).map(([language, { name }]) => [language, name])
  )
  const formats = [...CREDENTIAL_FORMATS]
  return { id, version, names, category, formats, ...(form === undefined ? {} : { form }) }
}

/** The members of a profile alone, without those that are undefined: whatever else a caller's object holds. */
function picked({ names, categories, logo, secondApproval }: Partial<IssuerProfile>): object {
  return {
    ...(names === undefined ? {} : { names }),
    ...(categories === undefined ? {} : { categories }),
    ...(logo === undefined ? {} : { logo }),
    ...(secondApproval === undefined ? {} : { secondApproval })
  }
}

function parsedRecord(value: object): IssuerRecord {
  const parsed = issuerRecord.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new LockerError(
    'request-invalid',
    `the issuer does not hold: ${issue?.path.map(String).join('.') ?? ''}: ${issue?.message ?? ''}`,
    { cause: parsed.error }
  )
}

/** Throws `request-invalid` for what no did:web can name. */
function hostOf(domain: string): string {
  const host = domain.trim().toLowerCase()
  try {
    if (!/^[^:]+(?::\d+)?$/.test(host)) throw new ProtocolError('did-malformed', 'not a host')
    // Who may reach the host is for those who resolve it; here it must only be one.
    didWebUrl(didWebOf(host), { allow: () => true })
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new LockerError('request-invalid', `${domain.slice(0, 100)} is not a domain`, { cause })
  }
  return host
}

function didWebOf(host: string): string {
  return `did:web:${host.replace(':', '%3A')}`
}

/** PKCS #8 of a 32-byte Ed25519 key, RFC 8410 §7, up to the key. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

function multikeyOf(seed: Uint8Array): string {
  const der = Buffer.concat([PKCS8_ED25519, seed])
  try {
    const key: KeyObject = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    return encodeMultikey(publicJwk('Ed25519', spki.subarray(-32)))
  } finally {
    der.fill(0)
  }
}
