/**
 * What exists only while the vault is open: every feature, built once per opening from the root key, in the
 * order they need each other, and closed in the reverse order.
 *
 * @module
 */
import type { Blockstore } from 'interface-blockstore'
import { z } from 'zod'
import { Admission } from './admission.ts'
import type { Changed } from './agent-event.ts'
import { Asking } from './asking.ts'
import { openAudit, type Audit } from './audit.ts'
import { Background } from './background.ts'
import type { Clock, Logger, Network, Random, SmallFiles } from './components.ts'
import { openContactBook } from './contact-book.ts'
import { OpenContacts } from './contacts.ts'
import { createCourier } from './courier.ts'
import { createDelivery, type Delivery } from './delivery.ts'
import { openDocuments, type DocumentStore } from './documents.ts'
import { OpenExchanges } from './exchanges.ts'
import { openIdentity, type Identity } from './identity.ts'
import { deriveKey } from './keys.ts'
import { openLinks, type Links } from './links.ts'
import { openIssuing, type Issuing } from './open-issuing.ts'
import { openOutbox, type DurableOutbox } from './outbox.ts'
import { openPeerAddresses } from './peer-addresses.ts'
import { openRecords, type Collection, type RecordDatabase, type Records } from './records.ts'
import { openReplayMemory, type ReplayMemory } from './replay.ts'
import { openSharing, type SharingStore } from './sharing.ts'
import type { StandingGrant } from './standing-grants.ts'
import { openTokens, type Tokens } from './tokens.ts'
import type { DidDocument } from '../protocols/did/document.ts'
import { newMessageId } from '../protocols/message.ts'

/** Bounds that tests and small machines set lower; the defaults are the constants of each feature. */
export interface AgentLimits {
  /** Messages waiting in the outbox. */
  readonly outboxItems?: number
  readonly remembered?: { readonly total?: number; readonly perSender?: number }
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  readonly spool?: { readonly bytes?: number; readonly envelopes?: number }
  /** log2 of scrypt's N for new passphrase slots; 18. */
  readonly scryptWorkFactor?: number
  /**
   * Seals the vault when no door was used for so long, milliseconds; a page or a metrics scrape that looks
   * counts as use, messages of others do not. Default: never.
   */
  readonly idleMs?: number
}

export interface LockerComponents {
  readonly db: RecordDatabase
  readonly blocks: Blockstore
  readonly vaultFiles: SmallFiles
  readonly network: Network
  /** For DID methods other than key and peer: guarded, throws `did-unresolvable`. */
  readonly resolve: (did: string) => Promise<DidDocument>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Where links and invitations lead, without a trailing slash. */
  readonly baseUrl: () => string
  readonly limits?: AgentLimits
}

const ownerRecord = z.strictObject({ name: z.string(), createdAt: z.iso.datetime() })

type OwnerRecord = Readonly<z.infer<typeof ownerRecord>>

/** Key of the only record of sublevel `owner`. */
export const OWNER = 'owner'

export interface OpenLocker extends Issuing {
  readonly records: Records
  readonly audit: Audit
  readonly owner: Collection<OwnerRecord>
  readonly identity: Identity
  readonly documents: DocumentStore
  readonly contacts: OpenContacts
  readonly outbox: DurableOutbox
  readonly exchanges: OpenExchanges
  readonly sharing: SharingStore
  readonly links: Links
  readonly tokens: Tokens
  /** Sends what waits and greets the contacts. Called once, when the opening has succeeded. */
  begin(): void
  /**
   * Ends everything; the records are closed last. The caller zeroes the root key afterwards. Resolves with
   * the grants that may be served while sealed.
   */
  close(): Promise<readonly StandingGrant[]>
}

/** What messages need: who we are, who they are, how they get out. */
interface Correspondence {
  readonly identity: Identity
  readonly delivery: Delivery
  readonly outbox: DurableOutbox
  readonly contacts: OpenContacts
  readonly exchanges: OpenExchanges
}

/**
 * Opens every feature. When one fails, those opened before it are closed again and its error is thrown:
 * there is no half-open locker.
 */
export async function openLocker(
  components: LockerComponents,
  rootKey: Uint8Array,
  changed: Changed
): Promise<OpenLocker> {
  await using opened = new AsyncDisposableStack()
  const { clock, random, logger, blocks, network, baseUrl } = components
  const records = await openRecords({ ...components, rootKey, files: components.vaultFiles })
  opened.defer(() => records.close())
  const audit = announcing(await openAudit({ records, clock }), changed)
  const basis = { records, audit, clock, random, logger }
  const owner = await records.collection('owner', ownerRecord)
  const ownerName = (): string => owner.get(OWNER)?.name ?? UNNAMED_OWNER
  const documents = await openDocuments({
    ...basis,
    blocks,
    rootKey,
    changed: (id) => changed('document', id)
  })
  opened.defer(() => documents.close())
  const names = { rootKey, ownerName, changed }
  const correspondence = await openCorrespondence(components, opened, { ...basis, ...names })
  const links = await openLinks({
    ...basis,
    documents,
    baseUrl,
    ownerName,
    changed: (id) => changed('link', id)
  })
  const tokens = await openTokens(basis)
  const shared = { ...basis, ...correspondence, documents, network, changed }
  const sharing = await openSharing({ ...shared, blocks })
  opened.defer(() => sharing.close())
  const issuing = await openIssuing({ ...shared, baseUrl })
  opened.defer(() => issuing.issuance.close())
  const background = new Background(logger)
  opened.defer(() => background.close())
  opened.defer(await openPeerAddresses({ records, network, clock, background }))
  const closing = opened.move()
  return {
    ...basis,
    ...correspondence,
    ...issuing,
    owner,
    documents,
    sharing,
    links,
    tokens,
    begin() {
      correspondence.outbox.begin()
      correspondence.contacts.start()
      sharing.begin()
      issuing.issuance.begin()
      // What a crash left behind. Every feature has named the blocks it needs by now.
      background.run('leftovers-not-collected', async () => {
        const { removed } = await documents.collect()
        if (removed > 0) logger.info('leftovers-collected', { blocks: removed })
      })
    },
    async close() {
      // No message is taken any more while the features that would take it close.
      await correspondence.exchanges.close()
      await closing.disposeAsync()
      return sharing.standing()
    }
  }
}

/** What every feature is built on. */
interface Basis {
  readonly records: Records
  readonly audit: Audit
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

async function openCorrespondence(
  components: LockerComponents,
  opened: AsyncDisposableStack,
  core: Basis & {
    readonly rootKey: Uint8Array
    readonly ownerName: () => string
    readonly changed: Changed
  }
): Promise<Correspondence> {
  const { clock, random, logger, network, baseUrl, limits = {} } = components
  const { records, audit, rootKey, ownerName } = core
  const basis = { records, audit, clock, random, logger }
  const changed = (did: string): void => core.changed('contact', did)
  const identity = await openIdentity({ ...components, records, rootKey })
  opened.defer(() => identity.close())
  const book = await openContactBook(basis)
  // After everything that hears of contacts has been closed.
  opened.defer(() => records.change((batch) => book.storeSeen(batch)))
  const courier = createCourier({ identity, book })
  const newId = (): string => newMessageId(random)
  const delivery = createDelivery({ network, courier, clock, logger, newId })
  const outbox = await openOutbox({
    ...basis,
    delivery,
    recipient: (did, batch) => (batch === undefined ? book.find(did) : book.findWithin(batch, did)),
    ...(limits.outboxItems === undefined ? {} : { itemsMax: limits.outboxItems })
  })
  outbox.onChange(({ id }) => core.changed('outbox', id))
  opened.defer(async () => {
    // The outbox first notes nothing more, then what is under way is aborted, so that neither an aborted
    // attempt counts as failed nor closing waits for the network.
    const stopped = outbox.close()
    await delivery.close()
    await stopped
  })
  const asking = new Asking({ delivery, clock })
  const ways = { identity, book, outbox, delivery, changed }
  const contacts = new OpenContacts({ ...basis, ...ways, asking, baseUrl, ownerName })
  opened.defer(() => contacts.close())
  opened.defer(() => asking.close())
  const replay = await openReplay(basis, opened, rootKey, limits)
  const admission = new Admission({
    clock,
    ...(limits.rate === undefined ? {} : { rate: limits.rate })
  })
  const reception = { ...basis, ...ways, replay, admission, introductions: contacts }
  const exchanges = new OpenExchanges(reception)
  opened.defer(() => exchanges.close())
  asking.register(exchanges)
  contacts.register(exchanges)
  return { identity, delivery, outbox, contacts, exchanges }
}

async function openReplay(
  basis: Basis,
  opened: AsyncDisposableStack,
  rootKey: Uint8Array,
  limits: AgentLimits
): Promise<ReplayMemory> {
  const key = deriveKey(rootKey, 'received-ids')
  opened.defer(() => {
    key.fill(0)
  })
  const { remembered } = limits
  const bounds = remembered === undefined ? {} : { limits: remembered }
  const replay = await openReplayMemory({ ...basis, key, ...bounds })
  opened.defer(() => replay.close())
  return replay
}

/** What an owner is called whose record was never written, because a crash came right after creating the vault. */
export const UNNAMED_OWNER = 'Owner'

/** The audit log, telling of each entry once it is durable. */
function announcing(audit: Audit, changed: Changed): Audit {
  return {
    list: (options) => audit.list(options),
    verify: () => audit.verify(),
    append(batch, entry) {
      const number = audit.append(batch, entry)
      batch.afterwards(() => changed('activity', String(number)))
      return number
    }
  }
}
