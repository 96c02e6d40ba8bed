/**
 * Proof that a DID and a domain are one party's: `/.well-known/did-configuration.json` of the domain, DIF
 * "Well Known DID Configuration" v1, with Domain Linkage Credentials in JSON-LD form and an eddsa-jcs-2022
 * proof. The domain serves it, so whoever runs the domain names the DID; the DID signs it, so its owner
 * names the domain. Both are needed: either alone proves nothing.
 *
 * @module
 */
import { z } from 'zod'
import type { ProofCrypto, ProofSigner } from './credential/crypto.ts'
import { addJcsProof, verifyProofs, type KeyAnswer } from './credential/data-integrity.ts'
import { instantOf } from './credential/credential.ts'
import { isJsonObject, jsonFault, type JsonObject } from './credential/json.ts'
import { didOf } from './did/document.ts'
import { CLOCK_SKEW_MS } from './message.ts'
import type { SignatureSources } from './signed-document.ts'

/** Where it stands on the domain. */
export const DID_CONFIGURATION_PATH = '/.well-known/did-configuration.json'
/** Linked DIDs looked at; each costs a signature check. */
export const LINKED_DIDS_MAX = 32

const DID_CONFIGURATION_V1 = 'https://identity.foundation/.well-known/did-configuration/v1'
const CREDENTIALS_V1 = 'https://www.w3.org/2018/credentials/v1'

const didConfiguration = z.object({
  '@context': z.string().max(256),
  linked_dids: z.array(z.unknown()).min(1).max(LINKED_DIDS_MAX)
})

/** "Domain Linkage Credential". It MUST NOT have an id, and MUST have both dates. */
const domainLinkage = z.object({
  '@context': z.array(z.string().max(256)).min(2).max(8),
  id: z.undefined().optional(),
  type: z.array(z.string().max(128)).max(8),
  issuer: z.string().max(4096),
  issuanceDate: z.string().max(64),
  expirationDate: z.string().max(64),
  credentialSubject: z.object({ id: z.string().max(4096), origin: z.string().max(512) })
})

type LinkageFault =
  | 'malformed'
  | 'not-linked' // no entry for this DID and origin that can be read here
  | 'proof-wrong'
  | 'not-yet-valid'
  | 'expired'

/** Whether the domain is proven to be the DID's; `until`: when that has to be looked at again at the latest. */
export type LinkageReading =
  | { readonly ok: true; readonly until: Date }
  | { readonly ok: false; readonly fault: LinkageFault; readonly reason: string }

/** The document that a domain serves. `origin`: `https://university.example`, without a path. */
export function linkDomain(options: {
  readonly signer: ProofSigner
  readonly origin: string
  readonly validFrom: Date
  readonly validUntil: Date
  readonly crypto: ProofCrypto
}): JsonObject {
  const { signer, origin, validFrom, validUntil, crypto } = options
  const did = didOf(signer.verificationMethod)
  const credential = addJcsProof(
    {
      '@context': [CREDENTIALS_V1, DID_CONFIGURATION_V1],
      type: ['VerifiableCredential', 'DomainLinkageCredential'],
      issuer: did,
      issuanceDate: wholeSeconds(validFrom),
      expirationDate: wholeSeconds(validUntil),
      credentialSubject: { id: did, origin }
    },
    { signer, created: validFrom },
    crypto
  )
  return { '@context': DID_CONFIGURATION_V1, linked_dids: [credential] }
}

/**
 * Reads what was fetched from `origin`. The caller has fetched it from there, over TLS and without
 * redirects: this function cannot see where a document came from. Entries for other DIDs, in JWT form or of
 * other origins are passed over.
 */
export async function readDomainLinkage(
  value: unknown,
  link: { readonly did: string; readonly origin: string },
  sources: SignatureSources
): Promise<LinkageReading> {
  if (jsonFault(value) !== undefined)
    return refused('malformed', 'it is not JSON that is read here')
  const configuration = didConfiguration.safeParse(value)
  if (!configuration.success) return refused('malformed', 'it is no DID configuration')
  let first: LinkageReading | undefined
  for (const entry of configuration.data.linked_dids) {
    if (!isJsonObject(entry)) continue
    const reading = await readEntry(entry, link, sources)
    if (reading?.ok === true) return reading
    first ??= reading
  }
  return first ?? refused('not-linked', `${link.origin} names no ${link.did}`)
}

async function readEntry(
  entry: JsonObject,
  { did, origin }: { readonly did: string; readonly origin: string },
  sources: SignatureSources
): Promise<LinkageReading | undefined> {
  const parsed = domainLinkage.safeParse(entry)
  if (!parsed.success || parsed.data.issuer !== did) return undefined
  const { credentialSubject: subject, type, issuanceDate, expirationDate } = parsed.data
  if (subject.id !== did || URL.parse(subject.origin)?.origin !== URL.parse(origin)?.origin)
    return undefined
  if (!type.includes('DomainLinkageCredential')) return undefined
  const from = instantOf(issuanceDate)
  const until = instantOf(expirationDate)
  if (from === undefined || until === undefined)
    return refused('malformed', 'its linkage has no dates that can be read')
  const outcomes = await verifyProofs(entry, {
    crypto: sources.crypto,
    key: async (method): Promise<KeyAnswer> =>
      didOf(method) === did
        ? sources.key(method)
        : { ok: false, reason: `${method} is not a key of ${did}` }
  })
  const [outcome] = outcomes
  if (outcomes.length !== 1 || outcome === undefined)
    return refused('proof-wrong', `its linkage has ${outcomes.length} proofs, not one`)
  if (!outcome.ok) return refused('proof-wrong', `its linkage is not proved: ${outcome.reason}`)
  if (outcome.purpose !== 'assertionMethod')
    return refused('proof-wrong', `its linkage is proved for ${outcome.purpose}`)
  const nowMs = sources.now.getTime()
  if (from.getTime() > nowMs + CLOCK_SKEW_MS)
    return refused('not-yet-valid', `its linkage begins at ${issuanceDate}`)
  if (until.getTime() < nowMs - CLOCK_SKEW_MS)
    return refused('expired', `its linkage ended at ${expirationDate}`)
  return { ok: true, until }
}

function refused(
  fault: LinkageFault,
  reason: string
): Extract<LinkageReading, { readonly ok: false }> {
  return { ok: false, fault, reason }
}

/** VCDM 1.1 readers of others take no fractions of a second. */
function wholeSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
