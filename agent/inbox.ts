/**
 * The inbox: what came to the owner and what waits for them, from the records of sharing.
 *
 * @module
 */
import type { InboxItem, Sharing } from './sharing.ts'

/** Received grants and requests, newest first. Throws `vault-sealed` with the sharing it asks. */
export function listInbox(sharing: Pick<Sharing, 'grants' | 'requests'>): readonly InboxItem[] {
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
  return [...grants, ...requests].toSorted((one, other) =>
    other.receivedAt.localeCompare(one.receivedAt)
  )
}
