/**
 * The inbox: what came to the owner and what waits for them, from the records of sharing and of issuing.
 *
 * @module
 */
import type { Issuance, IssuanceFacts } from './issuance.ts'
import type { InboxItem, Sharing } from './sharing.ts'

/**
 * Received grants and requests, credentials offered to the owner, and requests for credentials that came to the
 * owner as issuer; newest first. Throws `vault-sealed` with the features it asks.
 */
export function listInbox(
  sharing: Pick<Sharing, 'grants' | 'requests'>,
  issuance: Pick<Issuance, 'list'>
): readonly InboxItem[] {
  const grants = sharing.grants({ direction: 'received' }).map((grant): InboxItem => ({
    id: grant.id,
    kind: 'grant',
    state: grant.state,
    from: grant.contact.name,
    fromDid: grant.contact.did,
    subject: grant.document.name,
    purpose: grant.purpose,
    receivedAt: grant.createdAt,
    ...(grant.expiresAt === undefined ? {} : { expiresAt: grant.expiresAt })
  }))
  const requests = sharing
    .requests()
    .filter((request) => request.direction === 'received')
    .map((request): InboxItem => ({
      id: request.id,
      kind: 'request',
      state: request.state,
      from: request.contact.name,
      fromDid: request.contact.did,
      subject: request.wanted,
      purpose: request.purpose,
      receivedAt: request.createdAt
    }))
  const offers = issuance.list({ role: 'holder' }).filter(({ offer }) => offer !== undefined)
  const wishes = issuance.list({ role: 'issuer' }).filter(({ openedBy }) => openedBy === 'them')
  return [
    ...grants,
    ...requests,
    ...offers.map((facts) => issuanceItem('credential-offer', facts)),
    ...wishes.map((facts) => issuanceItem('credential-request', facts))
  ].toSorted((one, other) => other.receivedAt.localeCompare(one.receivedAt))
}

/** `subject`: what the credential is called; `purpose`: what was said with it. */
function issuanceItem(
  kind: 'credential-offer' | 'credential-request',
  { thid, state, type, offer, reason, with: contact, createdAt }: IssuanceFacts
): InboxItem {
  return {
    id: thid,
    kind,
    state,
    from: contact.name,
    fromDid: contact.did,
    subject: offer?.types[0] ?? type,
    purpose: reason ?? '',
    receivedAt: createdAt
  }
}
