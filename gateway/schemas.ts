/**
 * Every body the gateway takes and every body it gives, as zod schemas: the only source of validation
 * and of `/openapi.json`.
 *
 * What is taken is strict: an unknown member is an error, since it is a typing mistake or a client of
 * another version. What is given is a list of what may leave: a member the schema does not name is
 * dropped. `mirrors` holds a schema to the agent's type in both directions, so that neither can gain a
 * member without the other.
 *
 * @module
 */
import { z } from 'zod'
import type {
  ActivityEntry,
  CheckReport,
  ContactFacts,
  DocumentFacts,
  GrantFacts,
  InboxItem,
  InvitationFacts,
  LinkFacts,
  OutboxItem,
  RecoveryKit,
  RequestFacts,
  VersionFacts
} from '../agent/agent.ts'
import type { OwnerFacts, TokenFacts } from '../agent/agent.ts'
import { SCOPES } from './auth.ts'
import type { NodeAddresses, PeerFacts, StorageFacts } from './node-facts.ts'

/** Items on a page at most, and when the caller does not say (agent/audit.ts `Activity.list` has the same bound). */
export const PAGE_MAX = 500

type Fits<Facts, S extends z.ZodObject> = [Facts] extends [z.input<S>]
  ? [keyof z.input<S>] extends [keyof Facts]
    ? [keyof Facts] extends [keyof z.input<S>]
      ? S
      : { readonly missing: Exclude<keyof Facts, keyof z.input<S>> }
    : { readonly unknown: Exclude<keyof z.input<S>, keyof Facts> }
  : { readonly differs: Facts }

/** The schema itself; compiles only while it has exactly the members of `Facts`. */
function mirrors<Facts>(): <S extends z.ZodObject>(schema: S & Fits<Facts, S>) => S {
  return (schema) => schema
}

// ── Parts ────────────────────────────────────────────────────────────────────────────────────────────

/** One line for a person: no control characters. */
function line(charactersMax: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^[^\p{Cc}]*$/u, 'must be one line without control characters')
}

/** Text of several lines for a person: no control characters but tab and line feed. */
function prose(charactersMax: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(charactersMax)
    .regex(/^(?:[^\p{Cc}]|[\t\n])*$/u, 'must be text without control characters')
}

const instant = z.string().meta({ format: 'date-time' })
const count = z.number().int().min(0)

/** An instant as it comes in: RFC 3339, with its offset. */
const when = z.iso.datetime({ offset: true })

/** A document's name as it comes in; 255 is what file systems hold. */
const documentName = line(255)
const documentType = line(100)
const tag = line(100)
const tags = z.array(tag).max(50)
/** Purposes, wants and reasons (protocols/sharing.ts `SHARING_TEXT_CHARACTERS_MAX`). */
const text = prose(500)
const personName = line(100)
/** Long enough for every passphrase a person types; scrypt's time does not depend on it. */
const passphrase = z.string().min(1).max(1_024)

/** Ids made by an agent: base32 of ours, or a thread id of the other side (protocols/sharing.ts `threadId`). */
const id = z.string().regex(/^[A-Za-z0-9_~-]{1,64}$/, 'must be an id: letters, digits, _ ~ -')
/** Message ids, which other agents may choose (protocols/message.ts). */
const messageId = z.string().regex(/^[\x21-\x7e]{1,128}$/)
/** A contact by DID or by name: DIDs that hold a whole document (did:peer:2, :4) are long. */
const contactKey = line(4_096)

export const byId = z.object({ id })
export const byMessageId = z.object({ id: messageId })
export const byContact = z.object({ did: contactKey })

const limit = z.coerce.number().int().min(1).max(PAGE_MAX)
const flag = z.enum(['0', '1', 'false', 'true'])

/** `?limit=&cursor=`. */
export const pageQuery = z.strictObject({
  limit: limit.exactOptional(),
  cursor: z.string().min(1).max(8_192).exactOptional()
})

/** `{ items, nextCursor? }`. */
export function page<Item extends z.ZodType>(
  item: Item
): z.ZodObject<{
  items: z.ZodReadonly<z.ZodArray<Item>>
  nextCursor: z.ZodExactOptional<z.ZodString>
}> {
  return z.object({
    items: z.array(item).readonly(),
    nextCursor: z.string().exactOptional()
  })
}

/** Whether a query flag is set: `1` or `true`. */
export function isSet(value: z.output<typeof flag> | undefined): boolean {
  return value === '1' || value === 'true'
}

// ── The locker ───────────────────────────────────────────────────────────────────────────────────────

export const ownerFacts = mirrors<OwnerFacts>()(
  z
    .object({
      name: z.string(),
      did: z.string(),
      createdAt: instant,
      recoveryConfirmed: z.boolean()
    })
    .meta({ id: 'OwnerFacts' })
)

export const recoveryKit = mirrors<RecoveryKit>()(
  z
    .object({
      words: z.array(z.string()).readonly(),
      documentIdentity: z.string(),
      documentRecipient: z.string(),
      ask: z.tuple([z.number(), z.number(), z.number()]).readonly()
    })
    .meta({ id: 'RecoveryKit', description: 'Shown once. Opens the locker and every document.' })
)

const secret = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('passphrase'), passphrase }),
    z.strictObject({ kind: z.literal('words'), words: z.array(z.string().max(20)).max(24) }),
    z.strictObject({ kind: z.literal('key-file'), text: z.string().min(1).max(8_192) })
  ])
  .meta({ id: 'Secret' })

export const createLocker = z.strictObject({
  name: personName,
  passphrase,
  keyFile: z.boolean().exactOptional()
})
export const createdLocker = z.object({
  owner: ownerFacts,
  kit: recoveryKit,
  keyFile: z.string().exactOptional()
})
export const confirmRecovery = z.strictObject({
  words: z.partialRecord(
    z.string().regex(/^(?:[1-9]|1[0-9]|2[0-4])$/, 'must be the place of a word, 1 to 24'),
    z.string().regex(/^[a-z]{1,20}$/, 'must be a word of small letters')
  )
})
export const renameOwner = z.strictObject({ name: personName })
export const changePassphrase = z.strictObject({ secret, passphrase })
export const withSecret = z.strictObject({ secret })
export const unlock = z.union([withSecret, z.strictObject({ passphrase })])
export const slotFacts = z
  .object({
    id: z.string(),
    kind: z.enum(['passphrase', 'words', 'key-file']),
    damaged: z.string().exactOptional()
  })
  .meta({ id: 'SlotFacts' })

// ── The node ─────────────────────────────────────────────────────────────────────────────────────────

const addresses = mirrors<NodeAddresses>()(
  z.object({
    private: z.string(),
    public: z.string().nullable(),
    socket: z.string().exactOptional(),
    p2p: z.array(z.string()).readonly()
  })
)

export const nodeState = z
  .object({
    state: z.enum(['new', 'sealed', 'opening', 'open']),
    version: z.string(),
    name: z.string().exactOptional(),
    did: z.string().exactOptional(),
    recoveryConfirmed: z.boolean().exactOptional(),
    peerId: z.string(),
    addresses,
    peers: count,
    relay: z.boolean(),
    damage: count
  })
  .meta({ id: 'NodeState' })

/** Records and sublevels that were named as damaged. */
export const acceptedLoss = z.object({ lost: count })

export const peerFacts = mirrors<PeerFacts>()(
  z
    .object({
      peerId: z.string(),
      addresses: z.array(z.string()).readonly(),
      direction: z.enum(['inbound', 'outbound']),
      since: instant
    })
    .meta({ id: 'PeerFacts' })
)

export const storageFacts = mirrors<StorageFacts>()(
  z
    .object({ blocks: count, bytes: count, documents: count, free: count.exactOptional() })
    .meta({ id: 'StorageFacts' })
)

/** A one-time token: 32 bytes in base64url. */
export const startSession = z.strictObject({ token: z.string().min(1).max(200) })

/** `<private url>/#t=<one-time token>`, good once within 12 hours. */
export const openingAddress = z.object({ url: z.string() })

// ── Documents ────────────────────────────────────────────────────────────────────────────────────────

const versionFacts = mirrors<VersionFacts>()(
  z
    .object({
      number: count,
      root: z.string(),
      sizeBytes: count,
      mediaType: z.string(),
      addedAt: instant
    })
    .meta({ id: 'VersionFacts' })
)

export const documentFacts = mirrors<DocumentFacts>()(
  z
    .object({
      id: z.string(),
      name: z.string(),
      mediaType: z.string(),
      sizeBytes: count,
      root: z.string(),
      version: count,
      versions: z.array(versionFacts).readonly(),
      tags: z.array(z.string()).readonly(),
      type: z.string().exactOptional(),
      addedAt: instant,
      changedAt: instant,
      trashedAt: instant.exactOptional(),
      source: z.object({ grant: z.string(), from: z.string() }).exactOptional(),
      damagedBlocks: z.array(z.string()).readonly().exactOptional()
    })
    .meta({ id: 'DocumentFacts' })
)

export const addDocumentQuery = z.strictObject({
  name: documentName.exactOptional(),
  type: documentType.exactOptional(),
  tag: z.union([tag, tags]).exactOptional()
})
/** The same, as fields of a multipart form. */
export const addDocumentFields = z.strictObject({
  name: documentName.exactOptional(),
  type: documentType.exactOptional(),
  tag: tags.exactOptional()
})
export const listDocumentsQuery = pageQuery.extend({
  q: z.string().max(200).exactOptional(),
  trashed: flag.exactOptional()
})
export const changeDocument = z.strictObject({
  name: documentName.exactOptional(),
  tags: tags.exactOptional(),
  type: documentType.nullable().exactOptional()
})
export const deleteDocumentQuery = z.strictObject({ permanent: flag.exactOptional() })
export const contentQuery = z.strictObject({
  version: z.coerce.number().int().min(1).max(1_000_000).exactOptional()
})
export const checkDocuments = z.strictObject({ id: id.exactOptional() })
export const checkReport = mirrors<CheckReport>()(
  z
    .object({
      documents: count,
      blocks: count,
      bytes: count,
      damaged: z
        .array(
          z.object({
            id: z.string(),
            name: z.string(),
            version: count,
            blocks: z.array(z.string()).readonly()
          })
        )
        .readonly()
    })
    .meta({ id: 'CheckReport' })
)

// ── Sharing ──────────────────────────────────────────────────────────────────────────────────────────

const permission = z.enum(['read', 'copy'])
const party = z.object({ did: z.string(), name: z.string() })

export const grantFacts = mirrors<GrantFacts>()(
  z
    .object({
      id: z.string(),
      direction: z.enum(['given', 'received']),
      state: z.enum(['requested', 'granted', 'accepted', 'declined', 'revoked', 'expired']),
      contact: party,
      document: z.object({
        id: z.string().exactOptional(),
        name: z.string(),
        mediaType: z.string(),
        sizeBytes: count,
        root: z.string()
      }),
      permission,
      purpose: z.string(),
      createdAt: instant,
      expiresAt: instant.exactOptional(),
      reason: z.string().exactOptional(),
      fetches: count.exactOptional(),
      lastFetchedAt: instant.exactOptional(),
      delivery: z.enum(['waiting', 'sent', 'failed']).exactOptional()
    })
    .meta({ id: 'GrantFacts' })
)

const linkFacts = mirrors<LinkFacts>()(
  z
    .object({
      id: z.string(),
      document: z.object({ id: z.string(), name: z.string() }),
      purpose: z.string().exactOptional(),
      createdAt: instant,
      expiresAt: instant,
      usesMax: count,
      uses: count,
      passphrase: z.boolean(),
      state: z.enum(['live', 'used-up', 'expired', 'stopped'])
    })
    .meta({ id: 'LinkFacts' })
)

/** A grant or a link, told apart by `kind`. */
export const share = z
  .discriminatedUnion('kind', [
    grantFacts.extend({ kind: z.literal('grant') }).meta({ id: 'GrantShare' }),
    linkFacts
      .extend({ kind: z.literal('link'), url: z.string().exactOptional() })
      .meta({ id: 'LinkShare', description: '`url` holds the key and is given once, at creation.' })
  ])
  .meta({ id: 'Share' })

export const listSharesQuery = pageQuery.extend({
  kind: z.enum(['grant', 'link']).exactOptional(),
  direction: z.enum(['given', 'received']).exactOptional()
})
export const createShare = z.union([
  z.strictObject({
    document: id,
    to: contactKey,
    purpose: text,
    permission: permission.exactOptional(),
    expiresAt: when.exactOptional(),
    request: id.exactOptional()
  }),
  z.strictObject({
    document: id,
    link: z.literal(true),
    usesMax: z.number().int().min(1).max(1_000).exactOptional(),
    expiresAt: when.exactOptional(),
    passphrase: z.string().min(1).max(200).exactOptional(),
    purpose: text.exactOptional()
  })
])
export const withReason = z.strictObject({ reason: text.exactOptional() })

export const requestFacts = mirrors<RequestFacts>()(
  z
    .object({
      id: z.string(),
      direction: z.enum(['sent', 'received']),
      state: z.enum(['requested', 'granted', 'declined', 'expired']),
      contact: party,
      wanted: z.string(),
      purpose: z.string(),
      createdAt: instant,
      reason: z.string().exactOptional()
    })
    .meta({ id: 'RequestFacts' })
)
export const createRequest = z.strictObject({ from: contactKey, wanted: text, purpose: text })

export const inboxItem = mirrors<InboxItem>()(
  z
    .object({
      id: z.string(),
      kind: z.enum(['grant', 'request', 'credential-offer', 'credential-request']),
      state: z.string(),
      from: z.string(),
      fromDid: z.string(),
      subject: z.string(),
      purpose: z.string(),
      receivedAt: instant,
      expiresAt: instant.exactOptional()
    })
    .meta({ id: 'InboxItem' })
)
export const answerRequest = z.strictObject({
  document: id,
  permission: permission.exactOptional(),
  expiresAt: when.exactOptional(),
  purpose: text.exactOptional()
})

/** What the public listener says of a link before it is opened. */
export const linkDescription = z
  .object({
    passphrase: z.boolean(),
    salt: z.string(),
    state: z.enum(['live', 'used-up', 'expired', 'stopped']),
    expiresAt: instant
  })
  .meta({ id: 'LinkDescription' })
/** 32 bytes in base64url without padding (protocols/share-link.ts `auth`). */
export const openLink = z.strictObject({
  proof: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'must be 32 bytes in base64url')
})
export const openedLink = z
  .object({ capability: z.string(), ticket: z.string(), sealedBytes: count, usesLeft: count })
  .meta({ id: 'OpenedLink' })
export const ticketQuery = z.strictObject({ ticket: z.string().min(1).max(200) })

// ── Contacts ─────────────────────────────────────────────────────────────────────────────────────────

export const contactFacts = mirrors<ContactFacts>()(
  z
    .object({
      did: z.string(),
      currentDid: z.string().exactOptional(),
      ourDid: z.string(),
      name: z.string(),
      claimedName: z.string().exactOptional(),
      state: z.enum(['waiting', 'connected']),
      problem: z.string().exactOptional(),
      addedAt: instant,
      lastSeenAt: instant.exactOptional()
    })
    .meta({ id: 'ContactFacts' })
)
export const renameContact = z.strictObject({ name: personName })
export const pong = z.object({ milliseconds: z.number().min(0) })

const invitationMembers = mirrors<InvitationFacts>()(
  z.object({
    id: z.string(),
    url: z.string(),
    expiresAt: instant,
    usedBy: z.string().exactOptional()
  })
)
export const invitationFacts = invitationMembers.extend({ svg: z.string().exactOptional() }).meta({
  id: 'InvitationFacts',
  description: '`svg` is the URL as a QR code; absent when the URL is longer than one holds.'
})
export const createInvitation = z.strictObject({
  name: personName.exactOptional(),
  expiresAt: when.exactOptional()
})
export const acceptInvitation = z.strictObject({
  /** An out-of-band URL holds the inviter's whole DID; a few addresses make some kilobytes. */
  url: z.string().min(1).max(16_384),
  name: personName.exactOptional()
})

// ── Activity, outbox, tokens, backups, events ────────────────────────────────────────────────────────

export const activityEntry = mirrors<ActivityEntry>()(
  z
    .object({
      number: count,
      time: instant,
      action: z.string(),
      actor: z.string(),
      actorName: z.string().exactOptional(),
      document: z.object({ id: z.string(), name: z.string() }).exactOptional(),
      grant: z.string().exactOptional(),
      link: z.string().exactOptional(),
      purpose: z.string().exactOptional(),
      details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).exactOptional()
    })
    .meta({ id: 'ActivityEntry' })
)
const entryNumber = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
export const activityQuery = z.strictObject({
  before: entryNumber.exactOptional(),
  cursor: entryNumber.exactOptional(),
  limit: limit.exactOptional(),
  document: id.exactOptional()
})
export const activityVerdict = z.object({
  entries: count,
  ok: z.boolean(),
  firstBad: z.number().exactOptional()
})

export const outboxItem = mirrors<OutboxItem>()(
  z
    .object({
      id: z.string(),
      to: z.object({ did: z.string(), name: z.string().exactOptional() }),
      type: z.string(),
      thid: z.string().exactOptional(),
      state: z.enum(['waiting', 'sending', 'sent', 'failed']),
      attempts: count,
      createdAt: instant,
      nextAttemptAt: instant.exactOptional(),
      expiresAt: instant,
      lastError: z.string().exactOptional(),
      acknowledgedAt: instant.exactOptional()
    })
    .meta({ id: 'OutboxItem' })
)

export const tokenFacts = mirrors<TokenFacts>()(
  z
    .object({
      id: z.string(),
      name: z.string(),
      scopes: z.array(z.string()).readonly(),
      createdAt: instant,
      expiresAt: instant.exactOptional(),
      lastUsedAt: instant.exactOptional()
    })
    .meta({ id: 'TokenFacts' })
)
export const createToken = z.strictObject({
  name: personName,
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
  expiresAt: when.exactOptional()
})
export const createdToken = tokenFacts
  .extend({ token: z.string() })
  .meta({ id: 'CreatedToken', description: '`token` is given once.' })

export const restored = z.object({ documents: count, blocks: count, bytes: count })

/** An RFC 9457 problem, as every error answers. */
export const problem = z
  .looseObject({
    type: z.string().meta({ format: 'uri' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).exactOptional()
  })
  .meta({ id: 'Problem' })
