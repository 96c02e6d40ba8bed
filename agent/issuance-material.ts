/**
 * What goes with a credential so that it can be verified when its issuer is out of reach, and how it is used on
 * arrival.
 *
 * @module
 */
import { parseBundle, sourcesFromBundle } from '../protocols/credential/bundle.ts'
import type { Known, VerificationSources } from '../protocols/credential/checks.ts'
import type { CredentialType } from '../protocols/credential/credential-type.ts'
import { isJsonObject, type JsonObject } from '../protocols/credential/json.ts'
import { nativeProofCrypto } from '../protocols/credential/native.ts'
import { judge } from '../protocols/credential/verdict.ts'
import type { DidDocument } from '../protocols/did/document.ts'
import { resolveDidKey } from '../protocols/did/key.ts'
import type { Clock } from './components.ts'
import { LockerError } from './errors.ts'
import type { Identity } from './identity.ts'
import type { Judge } from './issuance-holder.ts'
import { publishedSchemaOf, schemaUrlOf } from './issuance-signing.ts'
import type { IssuedCredential } from './issued.ts'
import type { Issuer } from './issuer.ts'
import type { StatusLists } from './status-lists.ts'

export interface BundleComponents {
  readonly issuer: Issuer
  readonly statusLists: StatusLists
  readonly clock: Clock
  /** Base URL of the public gateway, without a trailing slash. */
  readonly baseUrl: () => string
}

/** Bundles for a credential of our own, the fullest first. */
export function bundler({
  issuer,
  statusLists,
  clock,
  baseUrl
}: BundleComponents): (
  credential: IssuedCredential,
  type: CredentialType
) => Promise<readonly JsonObject[]> {
  return async (credential, type) => {
    const facts = issuer.facts()
    if (facts === undefined) return []
    const madeAt = clock.now().toISOString()
    const places = [credential.revocation, credential.suspension]
    const lists = await Promise.all(
      places.map(async ({ list }, index) => ({
        url: credential.entries[index]?.['statusListCredential'] ?? '',
        list: await statusLists.signed(list),
        asOf: madeAt
      }))
    )
    const small: JsonObject = {
      v: 1,
      madeAt,
      issuerDocument: issuer.didDocument() ?? plain(resolveDidKey(facts.did)),
      schemas: [{ url: schemaUrlOf(baseUrl(), type), schema: publishedSchemaOf(baseUrl(), type) }],
      statusLists: lists
    }
    const descriptor = descriptorOf(issuer)
    return [
      ...(descriptor === undefined ? [] : [{ ...small, descriptor }]),
      small,
      { ...small, statusLists: [] }
    ]
  }
}

/** Who the issuer says it is; a bundle goes without one that is too large to be signed. */
function descriptorOf(issuer: Pick<Issuer, 'descriptor'>): JsonObject | undefined {
  try {
    return issuer.descriptor()
  } catch (error) {
    if (error instanceof LockerError && error.code === 'issuer-state') return undefined
    throw error
  }
}

/** Judges by the keys that DIDs resolve to; schema and status lists may come from the bundle. */
export function judgeWith({
  identity,
  clock
}: {
  readonly identity: Pick<Identity, 'resolve'>
  readonly clock: Clock
}): Judge {
  return async (input, came) => {
    const parsed = came === undefined ? undefined : parseBundle(came)
    const bundle = parsed?.ok === true ? parsed.bundle : undefined
    const resolved = new Map<string, DidDocument>()
    const notAsked: Known<never> = { ok: false, reason: 'it was not asked for on arrival' }
    const base: VerificationSources = {
      now: clock.now(),
      crypto: nativeProofCrypto,
      offline: false,
      issuerDocument: async (did) => {
        try {
          const value = await identity.resolve(did)
          resolved.set(did, value)
          return { ok: true, value, asOf: clock.now(), from: 'live' }
        } catch (error) {
          if (!(error instanceof LockerError)) throw error
          return { ok: false, reason: error.message }
        }
      },
      statusList: async () => notAsked,
      schema: async () => notAsked,
      trust: async () => 'unknown'
    }
    const sources =
      bundle === undefined ? base : sourcesFromBundle(bundle, base, { vouchedFor: false })
    const verdict = await judge(input, sources)
    const document = resolved.get(verdict.issuer?.did ?? '')
    if (bundle === undefined || document === undefined) return { verdict }
    const madeAt = clock.now().toISOString()
    return { verdict, bundle: { ...came, madeAt, issuerDocument: plain(document) } }
  }
}

/** A DID document as JSON without members that are undefined. */
function plain(document: DidDocument): JsonObject {
  const value: unknown = JSON.parse(JSON.stringify(document))
  return isJsonObject(value) ? value : {}
}
