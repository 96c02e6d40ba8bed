/**
 * The verification bundle: what a verdict needs of the world, kept beside a credential so that it can be judged
 * off-line and when the issuer is gone: the issuer's DID document with its key history, the schemas, the status lists
 * with their times. Contexts are not in it: they come with the program.
 *
 * Who vouches for a bundle decides what it is worth. One that the issuer's own agent sent, over an authenticated channel, is as good as
 * asking the issuer then. One that came from whoever presents the credential could hold keys of their own making under the
 * issuer's name; of such a bundle the DID document is never used, and of its lists only what the issuer signed
 * counts, with the time it was signed (docs/decisions/0114).
 *
 * @module
 */
import { z } from 'zod'
import { parseDidDocument, isDid } from '../did/document.ts'
import { ProtocolError } from '../errors.ts'
import type { IssuerDocument, Known, VerificationSources } from './checks.ts'
import { instantOf } from './credential.ts'
import { isJsonObject, jsonFault, type JsonObject } from './json.ts'

/**
 * Largest bundle, in characters of JSON. It travels with its credential in one message of at most 256 KiB; two status
 * lists take 2 to 45 KiB, a schema 10, a DID document 5.
 */
export const BUNDLE_CHARS_MAX = 196_608

/** Most lists and most schemas: as many as a verdict looks up. */
const LISTS_MAX = 8
const SCHEMAS_MAX = 4

const url = z.string().min(1).max(4096)
const instant = z
  .string()
  .refine((text) => instantOf(text) !== undefined, 'not a date and time with its zone')
const jsonObject = z.custom<JsonObject>((value) => isJsonObject(value), 'not a JSON object')

const verificationBundle = z.strictObject({
  v: z.literal(1),
  /** When it was put together, ISO 8601. */
  madeAt: instant,
  /** The issuer's DID document as it was then, with `expires` and `revoked` of old keys. */
  issuerDocument: jsonObject,
  schemas: z.array(z.strictObject({ url, schema: jsonObject })).max(SCHEMAS_MAX),
  statusLists: z
    .array(
      z.strictObject({
        url,
        /** The status list credential, signed. */
        list: jsonObject,
        /** When it was read from the issuer, ISO 8601. */
        asOf: instant
      })
    )
    .max(LISTS_MAX),
  /** The issuer's descriptor, signed: its names, logo and endpoints. */
  descriptor: z.exactOptional(jsonObject)
})

export type VerificationBundle = Readonly<z.infer<typeof verificationBundle>>

export type ParsedBundle =
  | { readonly ok: true; readonly bundle: VerificationBundle }
  | { readonly ok: false; readonly reason: string }

/** Reads a bundle from outside, or from a record. */
export function parseBundle(value: unknown): ParsedBundle {
  const fault = jsonFault(value)
  if (fault !== undefined) return { ok: false, reason: `not a verification bundle: ${fault}` }
  const parsed = verificationBundle.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('/')}: `
    const what = issue?.message ?? 'wrong structure'
    return { ok: false, reason: `not a verification bundle: ${where}${what}` }
  }
  const characters = JSON.stringify(value).length
  if (characters > BUNDLE_CHARS_MAX) {
    const reason = `a verification bundle of ${characters} characters, at most ${BUNDLE_CHARS_MAX}`
    return { ok: false, reason }
  }
  try {
    issuerDocumentOf(parsed.data)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { ok: false, reason: `not a verification bundle: ${error.message}` }
  }
  return { ok: true, bundle: parsed.data }
}

/** The DID whose credentials the bundle is for. */
export function bundledIssuer(bundle: VerificationBundle): string {
  return issuerDocumentOf(bundle).id
}

/**
 * Sources that fall back on a bundle where `base` has nothing, or something older.
 *
 * @param vouchedFor - Whether the bundle came from the issuer itself over an authenticated channel, or from the own
 * records. False for one that came with a credential from somebody else: then `base` alone answers for keys, and what
 * it has is never replaced.
 */
export function sourcesFromBundle(
  bundle: VerificationBundle,
  base: VerificationSources,
  { vouchedFor }: { readonly vouchedFor: boolean }
): VerificationSources {
  const document = issuerDocumentOf(bundle)
  const schemas = new Map(bundle.schemas.map((one) => [one.url, one.schema]))
  const lists = new Map(bundle.statusLists.map((one) => [one.url, one]))
  const known = <T>(value: T, time: string): Known<T> => ({
    ok: true,
    value,
    asOf: earlier(instantOf(time) ?? base.now, base.now),
    from: 'bundle'
  })
  return {
    ...base,
    // Spread copies own members only; an object with methods on its prototype is asked itself.
    trust: (did) => base.trust(did),
    name: (did) => base.name?.(did),
    issuerDocument: async (did) => {
      const own = await base.issuerDocument(did)
      if (did !== document.id) return own
      if (vouchedFor) return newer(own, known(document, bundle.madeAt))
      return own.ok ? own : unvouched(own)
    },
    statusList: async (at) => {
      const own = await base.statusList(at)
      const bundled = lists.get(at)
      if (bundled === undefined) return own
      const kept = known<unknown>(bundled.list, bundled.asOf)
      return vouchedFor ? newer(own, kept) : fallback(own, kept)
    },
    schema: async (at) => {
      const own = await base.schema(at)
      const bundled = schemas.get(at)
      return bundled === undefined ? own : fallback(own, known<unknown>(bundled, bundle.madeAt))
    }
  }
}

function issuerDocumentOf({ issuerDocument }: VerificationBundle): IssuerDocument {
  const { id } = issuerDocument
  if (typeof id !== 'string' || !isDid(id)) {
    throw new ProtocolError('did-malformed', 'the issuer’s document has no DID')
  }
  return parseDidDocument(issuerDocument, id)
}

function unvouched(own: Extract<Known<unknown>, { ok: false }>): Known<never> {
  return {
    ...own,
    reason: `${own.reason}, and nobody vouches for the keys that came along with the credential`
  }
}

function newer<T>(own: Known<T>, bundled: Known<T>): Known<T> {
  if (!own.ok) return bundled
  if (own.from === 'live' || !bundled.ok) return own
  return bundled.asOf > own.asOf ? bundled : own
}

function fallback<T>(own: Known<T>, bundled: Known<T>): Known<T> {
  return own.ok ? own : bundled
}

function earlier(one: Date, other: Date): Date {
  return one < other ? one : other
}
