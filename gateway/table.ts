/**
 * Every route of the gateway. test/tables/gateway-access.test.ts runs through this table.
 *
 * @module
 */
import type { Agent, Clock } from '../agent/agent.ts'
import type { Authenticator, Sessions } from './auth.ts'
import type { CertificateRenderer } from './certificate.ts'
import type { EventHub } from './events.ts'
import type { NodeFacts } from './node-facts.ts'
import type { Page } from './page.ts'
import type { Route } from './route.ts'
import { activityRoutes } from './routes/activity.ts'
import { backupRoutes } from './routes/backups.ts'
import { contactRoutes } from './routes/contacts.ts'
import { credentialTypeRoutes } from './routes/credential-types.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { didcommRoutes } from './routes/didcomm.ts'
import { documentRoutes } from './routes/documents.ts'
import { eventRoutes } from './routes/events.ts'
import { inboxRoutes } from './routes/inbox.ts'
import { invitationRoutes } from './routes/invitations.ts'
import { issuerRoutes } from './routes/issuer.ts'
import { issuingRoutes } from './routes/issuing.ts'
import { lockerRoutes } from './routes/locker.ts'
import { nodeRoutes } from './routes/node.ts'
import { outboxRoutes } from './routes/outbox.ts'
import { publicationRoutes } from './routes/publications.ts'
import { registryRoutes } from './routes/registry.ts'
import { requestRoutes } from './routes/requests.ts'
import { sessionRoutes } from './routes/session.ts'
import { shareRoutes } from './routes/share-page.ts'
import { sharingRoutes } from './routes/shares.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { vcalmIssuerRoutes } from './routes/vcalm-issuer.ts'
import { vcalmVerifierRoutes } from './routes/vcalm-verifier.ts'
import { verificationRoutes } from './routes/verifications.ts'
import { verifyPageRoutes } from './routes/verify-page.ts'

/** What the routes of the private listener need. */
export interface PrivateRoutesComponents {
  readonly agent: Agent
  readonly node: NodeFacts
  readonly clock: Clock
  readonly sessions: Sessions
  readonly authenticator: Authenticator
  readonly events: EventHub
  /** Largest document taken, bytes. */
  readonly uploadBytesMax: number
  /** Makes certificates; without it that route says that none are made here. */
  readonly certificates?: CertificateRenderer
}

/** The routes under /api/v1 of the private listener. */
export function privateRoutes(components: PrivateRoutesComponents): readonly Route[] {
  return [
    ...nodeRoutes(components),
    ...sessionRoutes(components),
    ...lockerRoutes(components),
    ...documentRoutes(components),
    ...sharingRoutes(components),
    ...inboxRoutes(components),
    ...requestRoutes(components),
    ...invitationRoutes(components),
    ...contactRoutes(components),
    ...activityRoutes(components),
    ...outboxRoutes(components),
    ...tokenRoutes(components),
    ...backupRoutes(components),
    ...verificationRoutes(components),
    ...issuerRoutes(components),
    ...credentialTypeRoutes(components),
    ...registryRoutes(components),
    ...issuingRoutes(components),
    ...credentialRoutes(components),
    ...eventRoutes(components)
  ]
}

/** The routes of the public listener. */
export function publicRoutes(components: {
  agent: Agent
  node: NodeFacts
  page: Page
  clock: Clock
}): readonly Route[] {
  return [
    ...shareRoutes(components),
    ...didcommRoutes(components),
    ...publicationRoutes(components),
    ...vcalmIssuerRoutes(components),
    ...vcalmVerifierRoutes(components),
    ...verifyPageRoutes(components)
  ]
}
