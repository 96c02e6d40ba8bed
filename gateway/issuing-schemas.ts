/**
 * Bodies of the routes of an issuer and of the holder's credentials; those of verdicts are in
 * credential-schemas.ts, the rest in schemas.ts.
 *
 * @module
 */
import { z } from 'zod'
import { STAFF_ROLES } from '../agent/agent.ts'
import { CREDENTIAL_CATEGORIES, credentialType } from '../protocols/credential/credential-type.ts'
import { CREDENTIAL_FORMATS } from '../protocols/issuance-attachments.ts'
import { logo } from '../protocols/issuer-descriptor.ts'
import { languageNames } from '../protocols/signed-document.ts'
import { jsonObject } from './vcalm.ts'

/** One line for a person. */
const line = (charactersMax: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters')

/** What is told to the other side: several lines, at most 500 characters (protocols/issuance.ts). */
const text = z
  .string()
  .min(1)
  .max(500)
  .regex(/^(?:[^\p{Cc}]|[\t\n])*$/u, 'must be text without control characters')

const instant = z.string().meta({ format: 'date-time' })
const when = z.iso.datetime({ offset: true })
const count = z.number().int().min(0)
const id = z.string().regex(/^[A-Za-z0-9_~-]{1,64}$/, 'must be an id: letters, digits, _ ~ -')
const typeId = credentialType.shape.id
const version = credentialType.shape.version
/** DID or the owner's name of a contact. */
const contact = line(4_096)
const flag = z.enum(['0', '1', 'false', 'true'])
/** Threads are named by whoever began them (protocols/sharing.ts `threadId`). */
export const byThread = z.object({ thid: z.string().regex(/^[\x21-\x7e]{1,128}$/) })

// ── The issuer ───────────────────────────────────────────────────────────────────────────────────────

export const issuerFacts = z
  .object({
    did: z.string(),
    domain: z.string().exactOptional(),
    names: z.record(z.string(), z.string()),
    categories: z.array(z.enum(CREDENTIAL_CATEGORIES)).readonly(),
    logo: z.string().exactOptional(),
    secondApproval: z.boolean(),
    createdAt: instant,
    keys: z
      .array(
        z.object({
          id: z.string(),
          createdAt: instant,
          expiresAt: instant.exactOptional(),
          revokedAt: instant.exactOptional()
        })
      )
      .readonly()
  })
  .meta({ id: 'IssuerFacts' })

const categories = z.array(z.enum(CREDENTIAL_CATEGORIES)).min(1).max(CREDENTIAL_CATEGORIES.length)

export const setUpIssuer = z.strictObject({
  names: languageNames,
  categories,
  /** Host, and port where it is not 443; the issuer is a did:web then. */
  domain: line(260).exactOptional(),
  logo: logo.exactOptional(),
  secondApproval: z.boolean().exactOptional()
})
export const changeIssuer = z.strictObject({
  names: languageNames.exactOptional(),
  categories: categories.exactOptional(),
  logo: logo.exactOptional(),
  secondApproval: z.boolean().exactOptional()
})
export const rotateKey = z.strictObject({
  reason: z.enum(['rotated', 'compromised']).exactOptional(),
  /** Id of an older key that was found out. */
  key: line(4_096).exactOptional()
})

export const staffFacts = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(STAFF_ROLES),
    scopes: z.array(z.string()).readonly(),
    createdAt: instant,
    expiresAt: instant.exactOptional()
  })
  .meta({ id: 'StaffFacts' })
export const addStaff = z.strictObject({
  name: line(100),
  role: z.enum(STAFF_ROLES),
  expiresAt: when.exactOptional()
})
export const changeStaff = z.strictObject({
  name: line(100).exactOptional(),
  role: z.enum(STAFF_ROLES).exactOptional()
})
export const staffWithToken = staffFacts
  .extend({ token: z.string() })
  .meta({ id: 'StaffWithToken', description: '`token` is given once.' })

// ── Types and records ────────────────────────────────────────────────────────────────────────────────

export const typeFacts = z
  .object({
    type: jsonObject,
    state: z.enum(['draft', 'published', 'deprecated']),
    builtIn: z.boolean(),
    savedAt: instant.exactOptional(),
    publishedAt: instant.exactOptional(),
    deprecatedAt: instant.exactOptional()
  })
  .meta({ id: 'CredentialTypeFacts' })
export const byType = z.object({ id: typeId })
export const byTypeVersion = z.object({ id: typeId, version })
export const typeQuery = z.strictObject({ version: version.exactOptional() })
export const publishType = z.strictObject({ version: version.exactOptional() })

export const recordFacts = z
  .object({ id: z.string(), type: z.string(), claims: jsonObject, updatedAt: instant })
  .meta({ id: 'RegistryRecord' })
export const recordsOf = z.object({ type: typeId })
export const recordOf = z.object({ type: typeId, id })
export const recordQuery = z.strictObject({
  q: z.string().min(1).max(200).exactOptional(),
  limit: z.coerce.number().int().min(1).max(200).exactOptional(),
  offset: z.coerce.number().int().min(0).max(1_000_000).exactOptional()
})
export const recordPage = z.object({ total: count, items: z.array(recordFacts).readonly() })
export const recordCounts = z.object({
  items: z.array(z.object({ type: z.string(), records: count }))
})
/** `key`: JSON pointers that make two rows one record; may be repeated. */
export const importQuery = z.strictObject({
  key: z.union([line(256), z.array(line(256)).min(1).max(8)]).exactOptional(),
  whole: flag.exactOptional()
})
export const importReport = z
  .object({
    rows: count,
    added: count,
    replaced: count,
    unchanged: count,
    removed: count,
    rejected: count,
    problems: z
      .array(z.object({ row: count, pointer: z.string(), message: z.string() }))
      .readonly(),
    ignored: z.array(z.string()).readonly()
  })
  .meta({ id: 'ImportReport' })
export const matchAnswer = z.object({
  outcome: z.enum(['none', 'one', 'many', 'form-invalid']),
  count: count.exactOptional(),
  records: z.array(recordFacts).readonly().exactOptional(),
  problems: z
    .array(z.object({ pointer: z.string(), message: z.string() }))
    .readonly()
    .exactOptional()
})

// ── Issuing ──────────────────────────────────────────────────────────────────────────────────────────

export const issuedFacts = z
  .object({
    id: z.string(),
    type: z.string(),
    version: z.string(),
    format: z.enum(CREDENTIAL_FORMATS),
    credentialId: z.string(),
    series: z.string(),
    state: z.enum([
      'awaiting-approval',
      'awaiting-contact',
      'offered',
      'issued',
      'accepted',
      'refused',
      'declined',
      'withdrawn'
    ]),
    status: z.enum(['unsigned', 'valid', 'suspended', 'revoked', 'replaced']),
    to: z.object({ did: z.string(), name: z.string() }).exactOptional(),
    thid: z.string().exactOptional(),
    subject: z.string().exactOptional(),
    claims: jsonObject,
    validFrom: instant,
    validUntil: instant.exactOptional(),
    replaces: z.string().exactOptional(),
    replacedBy: z.string().exactOptional(),
    preparedBy: z.string(),
    approvedBy: z.string().exactOptional(),
    createdAt: instant,
    issuedAt: instant.exactOptional(),
    reason: z.string().exactOptional(),
    history: z
      .array(
        z.object({
          at: instant,
          by: z.string(),
          what: z.string(),
          reason: z.string().exactOptional()
        })
      )
      .readonly()
  })
  .meta({ id: 'IssuedFacts' })
export const issuedQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).exactOptional(),
  cursor: z.string().min(1).max(8_192).exactOptional(),
  type: typeId.exactOptional(),
  open: flag.exactOptional(),
  series: line(256).exactOptional()
})

/** What may be said of every credential that is prepared. */
const wish = {
  format: z.enum(CREDENTIAL_FORMATS).exactOptional(),
  suite: z.enum(['eddsa-jcs-2022', 'eddsa-rdfc-2022']).exactOptional(),
  validFrom: when.exactOptional(),
  validUntil: when.exactOptional(),
  comment: text.exactOptional()
}

/** Either `to` a contact, or by `invitation` to whoever answers it. */
export const offerCredential = z
  .strictObject({
    ...wish,
    type: typeId,
    claims: jsonObject,
    to: contact.exactOptional(),
    invitation: z
      .strictObject({ name: line(100).exactOptional(), expiresAt: when.exactOptional() })
      .exactOptional()
  })
  .refine(({ to, invitation }) => (to === undefined) !== (invitation === undefined), {
    message: 'has either `to` or `invitation`'
  })
export const offered = issuedFacts
  .extend({
    invitation: z.object({ id: z.string(), url: z.string(), expiresAt: instant }).exactOptional()
  })
  .meta({ id: 'OfferedCredential' })
export const replaceCredential = z.strictObject({ ...wish, claims: jsonObject.exactOptional() })
export const deliverCredential = z
  .strictObject({
    ...wish,
    record: id.exactOptional(),
    claims: jsonObject.exactOptional()
  })
  .refine(({ record, claims }) => (record === undefined) !== (claims === undefined), {
    message: 'has either `record` or `claims`'
  })
export const sayPending = z.strictObject({
  expectedTime: when.exactOptional(),
  comment: text.exactOptional()
})
export const whyBody = z.strictObject({ reason: text.exactOptional() })

/** What is offered, unsigned; the challenge in it is between the agents. */
const offer = z.object({
  issuer: z.string(),
  type: z.string(),
  version: z.string(),
  types: z.array(z.string()).readonly(),
  preview: z.record(z.string(), z.unknown()).readonly(),
  formats: z.array(z.enum(CREDENTIAL_FORMATS)).readonly(),
  valid_from: instant.exactOptional(),
  valid_until: instant.exactOptional(),
  replaces: z.string().exactOptional()
})

export const issuanceFacts = z
  .object({
    thid: z.string(),
    role: z.enum(['issuer', 'holder']),
    state: z.enum(['start', 'proposed', 'offered', 'requested', 'issued', 'done', 'abandoned']),
    ending: z.enum(['declined', 'cancelled', 'failed']).exactOptional(),
    endedByThem: z.boolean().exactOptional(),
    type: z.string(),
    version: z.string().exactOptional(),
    with: z.object({ did: z.string(), name: z.string() }),
    openedBy: z.enum(['us', 'them']),
    createdAt: instant,
    at: instant,
    expectedAt: instant.exactOptional(),
    reason: z.string().exactOptional(),
    form: z.record(z.string(), z.unknown()).readonly().exactOptional(),
    offer: offer.exactOptional(),
    candidates: count.exactOptional(),
    credentialId: z.string().exactOptional(),
    attention: z.enum(['accept', 'choose', 'approve', 'sign']).exactOptional(),
    delivery: z.enum(['waiting', 'sent', 'failed']).exactOptional()
  })
  .meta({ id: 'IssuanceFacts' })
export const exchangesQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).exactOptional(),
  cursor: z.string().min(1).max(8_192).exactOptional(),
  open: flag.exactOptional()
})
export const recordList = z.object({ items: z.array(recordFacts).readonly() })

// ── Holding ──────────────────────────────────────────────────────────────────────────────────────────

export const credentialFacts = z
  .object({
    id: z.string(),
    name: z.string(),
    credentialId: z.string(),
    type: z.string(),
    version: z.string(),
    types: z.array(z.string()).readonly(),
    format: z.enum(CREDENTIAL_FORMATS),
    issuer: z.string(),
    from: z.object({ did: z.string(), name: z.string() }),
    subject: z.string().exactOptional(),
    state: z.enum(['current', 'suspended', 'revoked', 'replaced']),
    reason: z.string().exactOptional(),
    stateAt: instant.exactOptional(),
    validFrom: instant.exactOptional(),
    validUntil: instant.exactOptional(),
    receivedAt: instant,
    replaces: z.string().exactOptional(),
    replacedBy: z.string().exactOptional(),
    thid: z.string()
  })
  .meta({ id: 'CredentialFacts' })
export const verdictQuery = z.strictObject({ offline: flag.exactOptional() })
export const proposeCredential = z.strictObject({
  to: contact,
  type: typeId,
  version: version.exactOptional(),
  form: jsonObject.exactOptional(),
  formats: z.array(z.enum(CREDENTIAL_FORMATS)).min(1).max(4).exactOptional(),
  comment: text.exactOptional()
})
