/**
 * Notices about a credential that was issued: Revocation Notification 2.0 (Aries RFC 0721), and our own
 * for what it has no word for. Specified in protocols/credential-status.md;
 * test/protocols/credential-status.test.ts keeps the tables the same.
 *
 * A notice is a hint to look, never the truth: what a credential's status is stands in the issuer's signed
 * status list.
 *
 * @module
 */
import { z } from 'zod'
import type { Protocol } from './exchange.ts'
import { PIURI_BASE } from './message.ts'

export const REVOCATION_NOTIFICATION = 'https://didcomm.org/revocation_notification/2.0'
export const CREDENTIAL_STATUS = `${PIURI_BASE}/credential-status/1.0`

/** The only `revocation_format` written and read: what `credentialStatus` of the credential names. */
export const REVOCATION_FORMAT = 'BitstringStatusListEntry'

/** Comments and reasons, UTF-16 code units. */
export const STATUS_TEXT_CHARACTERS_MAX = 500
/** A credential's `id`, characters: as long as a URL that other software takes. */
export const CREDENTIAL_ID_CHARACTERS_MAX = 2048

export type StatusRole = 'issuer' | 'holder'
export type StatusState = 'start' | 'told'
export type RevocationMessage = 'revoke'
export type StatusMessage = 'changed'

/** Each notice is a thread of its own. */
// oxfmt-ignore
export const revocationNotification: Protocol<StatusRole, StatusState, RevocationMessage> = {
  piuri: REVOCATION_NOTIFICATION,
  rules: [
    // role     state    direction  message   next
    ['issuer', 'start', 'send',    'revoke', 'told'],
    ['holder', 'start', 'receive', 'revoke', 'told'],
  ]
}

/** Each notice is a thread of its own. */
// oxfmt-ignore
export const credentialStatusNotice: Protocol<StatusRole, StatusState, StatusMessage> = {
  piuri: CREDENTIAL_STATUS,
  rules: [
    // role     state    direction  message    next
    ['issuer', 'start', 'send',    'changed', 'told'],
    ['holder', 'start', 'receive', 'changed', 'told'],
  ]
}

/** `id` of a credential: a URI, so no spaces and no controls. */
const credentialId = z
  .string()
  .max(CREDENTIAL_ID_CHARACTERS_MAX)
  .regex(/^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i, 'not a URI')

const reason = z.exactOptional(z.string().max(STATUS_TEXT_CHARACTERS_MAX))

/** Body of `revoke`, RFC 0721. Unknown members are dropped. */
const revokeBody = z.object({
  revocation_format: z.string().min(1).max(128),
  credential_id: credentialId,
  comment: reason
})

/** Body of `changed`. `replacement_id` with `replaced`, and with nothing else. */
const statusChangedBody = z
  .object({
    credential_id: credentialId,
    status: z.enum(['suspended', 'reinstated', 'revoked', 'replaced']),
    reason,
    /** When the issuer changed it, ISO 8601 in UTC. */
    at: z.iso.datetime(),
    /** `id` of the credential that holds now. */
    replacement_id: z.exactOptional(credentialId)
  })
  .refine((body) => body.replacement_id === undefined || body.status === 'replaced', {
    message: 'a replacement of a credential that was not replaced'
  })

export type RevokeBody = z.infer<typeof revokeBody>
export type StatusChangedBody = z.infer<typeof statusChangedBody>

/** A notice of either protocol; `at` is absent in a revocation notification, which has no time. */
export type StatusNotice = Omit<StatusChangedBody, 'at'> & { readonly at?: string }

/**
 * What a notice says, whichever protocol it came by; undefined for a body that breaks its schema, another
 * protocol, or a `revocation_format` that names no status list.
 */
export function readStatusNotice(
  piuri: string,
  name: string,
  body: unknown
): StatusNotice | undefined {
  if (piuri === REVOCATION_NOTIFICATION && name === 'revoke') {
    const parsed = revokeBody.safeParse(body)
    if (!parsed.success || parsed.data.revocation_format !== REVOCATION_FORMAT) return undefined
    const { credential_id, comment } = parsed.data
    return {
      credential_id,
      status: 'revoked',
      ...(comment === undefined ? {} : { reason: comment })
    }
  }
  if (piuri !== CREDENTIAL_STATUS || name !== 'changed') return undefined
  const parsed = statusChangedBody.safeParse(body)
  return parsed.success ? parsed.data : undefined
}
