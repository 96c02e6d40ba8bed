/**
 * What an open locker has for credentials: the issuer with its types, records, staff and status lists, the
 * holder's credentials, and the exchanges between the two. Every locker can be both.
 *
 * @module
 */
import type { Clock, Logger, Network, Random } from './components.ts'
import type { Audit } from './audit.ts'
import type { ContactDirectory } from './contacts.ts'
import { openCredentialTypes, type CredentialTypes } from './credential-types.ts'
import { openCredentials, type Credentials, type CredentialStore } from './credentials.ts'
import type { DocumentStore } from './documents.ts'
import { doorTo } from './door.ts'
import type { Exchanges } from './exchanges.ts'
import type { Identity } from './identity.ts'
import { openIssuance, type Issuance, type IssuanceStore } from './issuance.ts'
import { openIssuer, type Issuer } from './issuer.ts'
import type { Outbox } from './outbox.ts'
import type { Records } from './records.ts'
import { openRegistry, type Registry } from './registry.ts'
import { openStaff, type Staff } from './staff.ts'
import { openStatusLists, type StatusLists } from './status-lists.ts'

export interface Issuing {
  readonly issuer: Issuer
  readonly types: CredentialTypes
  readonly registry: Registry
  readonly staff: Staff
  readonly statusLists: StatusLists
  readonly credentials: CredentialStore
  readonly issuance: IssuanceStore
}

/** The same for the gateway: only what each feature offers at its door, and only while the vault is open. */
export interface IssuingDoors {
  /** Credentials kept as holder. */
  readonly credentials: Credentials
  /** Exchanges of issuing, both roles, and what was issued. */
  readonly issuance: Issuance
  /** As issuer. */
  readonly issuer: Issuer
  readonly types: CredentialTypes
  readonly registry: Registry
  readonly staff: Staff
  readonly statusLists: StatusLists
}

/** Doors to what is behind now; each call throws `vault-sealed` while there is nothing. */
export function issuingDoors(behind: () => IssuingDoors): IssuingDoors {
  return {
    credentials: doorTo<Credentials>(() => behind().credentials),
    issuance: doorTo<Issuance>(() => behind().issuance),
    issuer: doorTo(() => behind().issuer),
    types: doorTo(() => behind().types),
    registry: doorTo(() => behind().registry),
    staff: doorTo(() => behind().staff),
    statusLists: doorTo(() => behind().statusLists)
  }
}

export interface IssuingComponents {
  readonly records: Records
  readonly audit: Audit
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly network: Network
  readonly baseUrl: () => string
  readonly identity: Identity
  readonly contacts: ContactDirectory
  readonly exchanges: Exchanges
  readonly outbox: Outbox
  readonly documents: DocumentStore
  readonly changed: (kind: 'issuance' | 'issued' | 'credential', id: string) => void
}

/** Opens everything of issuing and of holding credentials on an open vault. */
export async function openIssuing(components: IssuingComponents): Promise<Issuing> {
  const { changed } = components
  const types = await openCredentialTypes(components)
  const issuer = await openIssuer({ ...components, types: () => types.published() })
  const registry = openRegistry({ ...components, types })
  const staff = await openStaff(components)
  const statusLists = await openStatusLists({ ...components, issuer })
  const credentials = await openCredentials({
    ...components,
    changed: (id) => changed('credential', id)
  })
  const own = { issuer, types, registry, staff, statusLists, credentials }
  const issuance = await openIssuance({ ...components, ...own })
  return { ...own, issuance }
}
