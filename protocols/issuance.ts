/**
 * Issue Credential 3.0 (WACI): an issuer offers a credential, or a holder asks for one; it is accepted,
 * issued and acknowledged. Specified in protocols/issuance.md; test/protocols/issuance.test.ts keeps the
 * two tables the same. What the attachments hold is protocols/issuance-attachments.ts.
 *
 * The standard has one list of state names for each role (`proposal-sent`, `proposal-received`); here both
 * sides have one name, so that a thread reads the same in both logs. The page maps them.
 *
 * @module
 */
import { z } from 'zod'
import type { Protocol } from './exchange.ts'
import { PIURI_BASE } from './message.ts'

export const ISSUE_CREDENTIAL = 'https://didcomm.org/issue-credential/3.0'

/** Ours: how a request is getting on. Of the same threads, and in the same table. */
export const ISSUANCE_STATUS = `${PIURI_BASE}/issuance-status/1.0`

export type IssuanceRole = 'issuer' | 'holder'

/** `done` and `abandoned` are final. */
export type IssuanceState =
  | 'start'
  | 'proposed'
  | 'offered'
  | 'requested'
  | 'issued'
  | 'done'
  | 'abandoned'

export type IssuanceMessage =
  | 'propose-credential'
  | 'offer-credential'
  | 'request-credential'
  | 'issue-credential'
  | 'ack'
  | 'pending'
  | 'problem-report'

/**
 * The state table, both roles. A thread begins with a proposal, an offer or a request ("Choreography
 * Diagram"), and either side may give it up until the credential has been issued. After that only the
 * holder may: a credential that is out is taken back by its status, not by a message
 * (docs/decisions/0115-an-issued-credential-is-revoked-not-cancelled.md).
 */
// oxfmt-ignore
export const issuance: Protocol<IssuanceRole, IssuanceState, IssuanceMessage> = {
  piuri: ISSUE_CREDENTIAL,
  rules: [
    // role     state        direction  message               next
    ['holder', 'start',     'send',    'propose-credential', 'proposed'],
    ['issuer', 'start',     'receive', 'propose-credential', 'proposed'],
    ['issuer', 'start',     'send',    'offer-credential',   'offered'],
    ['holder', 'start',     'receive', 'offer-credential',   'offered'],
    ['holder', 'start',     'send',    'request-credential', 'requested'],
    ['issuer', 'start',     'receive', 'request-credential', 'requested'],
    ['issuer', 'proposed',  'send',    'pending',            'proposed'],
    ['holder', 'proposed',  'receive', 'pending',            'proposed'],
    ['issuer', 'proposed',  'send',    'offer-credential',   'offered'],
    ['holder', 'proposed',  'receive', 'offer-credential',   'offered'],
    ['holder', 'proposed',  'send',    'problem-report',     'abandoned'],
    ['issuer', 'proposed',  'receive', 'problem-report',     'abandoned'],
    ['issuer', 'proposed',  'send',    'problem-report',     'abandoned'],
    ['holder', 'proposed',  'receive', 'problem-report',     'abandoned'],
    ['holder', 'offered',   'send',    'propose-credential', 'proposed'],
    ['issuer', 'offered',   'receive', 'propose-credential', 'proposed'],
    ['holder', 'offered',   'send',    'request-credential', 'requested'],
    ['issuer', 'offered',   'receive', 'request-credential', 'requested'],
    ['holder', 'offered',   'send',    'problem-report',     'abandoned'],
    ['issuer', 'offered',   'receive', 'problem-report',     'abandoned'],
    ['issuer', 'offered',   'send',    'problem-report',     'abandoned'],
    ['holder', 'offered',   'receive', 'problem-report',     'abandoned'],
    ['issuer', 'requested', 'send',    'pending',            'requested'],
    ['holder', 'requested', 'receive', 'pending',            'requested'],
    ['issuer', 'requested', 'send',    'offer-credential',   'offered'],
    ['holder', 'requested', 'receive', 'offer-credential',   'offered'],
    ['issuer', 'requested', 'send',    'issue-credential',   'issued'],
    ['holder', 'requested', 'receive', 'issue-credential',   'issued'],
    ['holder', 'requested', 'send',    'problem-report',     'abandoned'],
    ['issuer', 'requested', 'receive', 'problem-report',     'abandoned'],
    ['issuer', 'requested', 'send',    'problem-report',     'abandoned'],
    ['holder', 'requested', 'receive', 'problem-report',     'abandoned'],
    ['holder', 'issued',    'send',    'ack',                'done'],
    ['issuer', 'issued',    'receive', 'ack',                'done'],
    ['holder', 'issued',    'send',    'problem-report',     'abandoned'],
    ['issuer', 'issued',    'receive', 'problem-report',     'abandoned'],
  ],
}

/** Comments and reasons, UTF-16 code units: what fits an envelope and a screen. */
export const ISSUANCE_TEXT_CHARACTERS_MAX = 500
/** Attributes of a standard credential preview that are read. */
export const PREVIEW_ATTRIBUTES_MAX = 200

const comment = z.exactOptional(z.string().max(ISSUANCE_TEXT_CHARACTERS_MAX))
const goalCode = z.exactOptional(z.string().max(128))

/**
 * The standard's preview: attributes as text, for agents that know none of our formats. Shown, never
 * signed: what will be issued stands in the offer's attachment. `{}` stands in some examples.
 */
const credentialPreview = z.object({
  type: z.exactOptional(z.string().max(256)),
  body: z.exactOptional(
    z.object({
      attributes: z
        .array(
          z.object({
            name: z.string().min(1).max(128),
            media_type: z.exactOptional(z.string().max(128)),
            value: z.string().max(4096)
          })
        )
        .max(PREVIEW_ATTRIBUTES_MAX)
    })
  )
})

/**
 * Names a credential and all that come after it in its stead, "Offer Credential": the same in the first
 * issue and in every correction. Unique at the issuer; in no presentation.
 */
const replacementId = z.exactOptional(z.string().min(1).max(256))

/** Bodies of the messages. Unknown members are dropped: a later minor version may add some. */
export const issuanceBodies = {
  'propose-credential': z.object({
    goal_code: goalCode,
    comment,
    credential_preview: z.exactOptional(credentialPreview)
  }),
  'offer-credential': z.object({
    goal_code: goalCode,
    comment,
    replacement_id: replacementId,
    credential_preview: z.exactOptional(credentialPreview)
  }),
  'request-credential': z.object({ goal_code: goalCode, comment }),
  'issue-credential': z.object({ goal_code: goalCode, comment, replacement_id: replacementId }),
  /** RFC 0015 has other values; each says that the credential has not been taken yet, so none moves a thread. */
  ack: z.object({ status: z.literal('OK') }),
  pending: z.object({
    /** When the issuer expects to be ready, ISO 8601 in UTC; absent: not known. */
    expected_time: z.exactOptional(z.iso.datetime()),
    comment
  })
} as const

/** Messages with a body of their own; a problem report has report-problem's. */
export type IssuanceBodyName = keyof typeof issuanceBodies
export type IssuanceBody<Name extends IssuanceBodyName> = z.infer<(typeof issuanceBodies)[Name]>

/** Messages of {@link ISSUANCE_STATUS}; the others are of {@link ISSUE_CREDENTIAL}. */
const STATUS_MESSAGES: ReadonlySet<IssuanceBodyName> = new Set<IssuanceBodyName>(['pending'])

/** Whether a name is a message of the protocol with this identifier; safe for any text a peer may put there. */
export function isIssuanceMessage(piuri: string, name: string): name is IssuanceBodyName {
  if (!isBodyName(name)) return false
  return piuri === (STATUS_MESSAGES.has(name) ? ISSUANCE_STATUS : ISSUE_CREDENTIAL)
}

/** The full message type, `<piuri>/<name>`. */
export function issuanceMessageType(name: IssuanceBodyName): string {
  return `${STATUS_MESSAGES.has(name) ? ISSUANCE_STATUS : ISSUE_CREDENTIAL}/${name}`
}

/** Problem codes that end a thread, and what each says; all but the first are ours. */
export const ISSUANCE_PROBLEMS = {
  /** The standard's own, for any reason that has no code here. */
  abandoned: 'e.p.issuance-abandoned',
  /** The other side's proposal, offer or request is not wanted. */
  declined: 'e.p.req.declined',
  /** Whoever said it takes the own proposal, offer or request back. */
  cancelled: 'e.p.req.cancelled',
  /** The issuer has nothing for what the form says. */
  noRecord: 'e.p.req.no-record',
  /** What the form says fits several records: the holder has to say more. */
  ambiguous: 'e.p.req.ambiguous',
  typeUnknown: 'e.p.req.type-unknown',
  formInvalid: 'e.p.req.form-invalid',
  /** The proof of the holder's DID is missing or wrong. */
  bindingWrong: 'e.p.req.binding-wrong',
  formatUnsupported: 'e.p.req.format-unsupported',
  /** The holder's check of what was issued says that it is not what was offered, or not valid. */
  credentialInvalid: 'e.p.req.credential-invalid'
} as const

/** How an abandoned thread is told to a person. `failed`: neither side wanted it. */
export function endingOf(problem: string): 'declined' | 'cancelled' | 'failed' {
  if (problem === ISSUANCE_PROBLEMS.declined) return 'declined'
  return problem === ISSUANCE_PROBLEMS.cancelled ? 'cancelled' : 'failed'
}

function isBodyName(name: string): name is IssuanceBodyName {
  return Object.hasOwn(issuanceBodies, name)
}
