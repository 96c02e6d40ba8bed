/**
 * Share 1.0: an owner gives a contact a document, or a contact asks for one.
 * Specified in protocols/sharing.md; test/protocols/sharing.test.ts keeps the two tables the same.
 *
 * Expiry is no message: both sides read it off `valid_until`, and the owner's agent enforces it.
 *
 * @module
 */
import { CID } from 'multiformats/cid'
import { z } from 'zod'
import type { Protocol } from './exchange.ts'
import { PIURI_BASE } from './message.ts'

export type SharingRole = 'owner' | 'recipient'
export type SharingState = 'start' | 'requested' | 'granted' | 'accepted' | 'declined' | 'revoked'
export type SharingMessage =
  | 'request'
  | 'grant'
  | 'accept'
  | 'decline'
  | 'revoke'
  | 'replace'
  | 'problem-report'

/** The state table, both roles. `declined` and `revoked` are final: nothing leads out of them. */
// oxfmt-ignore
export const sharing: Protocol<SharingRole, SharingState, SharingMessage> = {
  piuri: `${PIURI_BASE}/share/1.0`,
  rules: [
    // role        state        direction  message           next
    ['recipient', 'start',     'send',    'request',        'requested'],
    ['owner',     'start',     'receive', 'request',        'requested'],
    ['owner',     'requested', 'send',    'grant',          'granted'],
    ['recipient', 'requested', 'receive', 'grant',          'granted'],
    ['owner',     'requested', 'send',    'decline',        'declined'],
    ['recipient', 'requested', 'receive', 'decline',        'declined'],
    ['owner',     'requested', 'send',    'problem-report', 'declined'],
    ['recipient', 'requested', 'receive', 'problem-report', 'declined'],
    ['owner',     'start',     'send',    'grant',          'granted'],
    ['recipient', 'start',     'receive', 'grant',          'granted'],
    ['recipient', 'granted',   'send',    'accept',         'accepted'],
    ['owner',     'granted',   'receive', 'accept',         'accepted'],
    ['recipient', 'granted',   'send',    'decline',        'declined'],
    ['owner',     'granted',   'receive', 'decline',        'declined'],
    ['recipient', 'granted',   'send',    'problem-report', 'declined'],
    ['owner',     'granted',   'receive', 'problem-report', 'declined'],
    ['owner',     'granted',   'send',    'replace',        'granted'],
    ['recipient', 'granted',   'receive', 'replace',        'granted'],
    ['owner',     'granted',   'send',    'revoke',         'revoked'],
    ['recipient', 'granted',   'receive', 'revoke',         'revoked'],
    ['recipient', 'accepted',  'send',    'accept',         'accepted'],
    ['owner',     'accepted',  'receive', 'accept',         'accepted'],
    ['recipient', 'accepted',  'send',    'decline',        'declined'],
    ['owner',     'accepted',  'receive', 'decline',        'declined'],
    ['owner',     'accepted',  'send',    'replace',        'accepted'],
    ['recipient', 'accepted',  'receive', 'replace',        'accepted'],
    ['owner',     'accepted',  'send',    'revoke',         'revoked'],
    ['recipient', 'accepted',  'receive', 'revoke',         'revoked'],
  ],
}

/** Names, purposes, wants and reasons, UTF-16 code units: what fits an envelope and a screen. */
export const SHARING_TEXT_CHARACTERS_MAX = 500
/** A document's name; longer than any file system's 255 bytes, short enough for a frame. */
export const SHARING_NAME_CHARACTERS_MAX = 1000
/** PeerIds one `accept` may name: the recipient's agents. */
export const SHARING_PEERS_MAX = 4

/**
 * A thread's id, which is also the grant's: unreserved characters of RFC 3986 without the dot, so that
 * no id means something else in a URL path. 8 to 64 characters.
 */
export const threadId = z.string().regex(/^[A-Za-z0-9_~-]{8,64}$/)

const text = z.string().min(1).max(SHARING_TEXT_CHARACTERS_MAX)
const reason = z.string().max(SHARING_TEXT_CHARACTERS_MAX).optional()

/** CIDv1 of a UnixFS root: dag-pb or a single raw leaf, sha2-256, in its canonical base32 text. */
const rootCid = z
  .string()
  .max(128)
  .refine((value) => {
    try {
      const cid = CID.parse(value)
      const known = (cid.code === 0x70 || cid.code === 0x55) && cid.multihash.code === 0x12
      return cid.version === 1 && known && cid.multihash.size === 32 && cid.toString() === value
    } catch {
      // Not a CID at all, which is the same answer: refused.
      return false
    }
  }, 'not a CIDv1 of a sha2-256 dag-pb or raw block')

/** 16 bytes in canonical base64url: the last of 22 characters carries four zero bits. */
const fileKey = z.string().regex(/^[A-Za-z0-9_-]{21}[AQgw]$/)

/** What is shared: the sealed file and what the owner says of it. */
const sharedResource = z
  .object({
    /** Root CID of the sealed age file. */
    root: rootCid,
    /** Length of the age file, bytes. */
    sealed_bytes: z.int().positive(),
    /** True length of the document, bytes: cuts the padding. */
    size_bytes: z.int().nonnegative(),
    media_type: z
      .string()
      .max(127)
      .regex(/^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/i),
    name: z.string().min(1).max(SHARING_NAME_CHARACTERS_MAX)
  })
  .refine((resource) => resource.size_bytes < resource.sealed_bytes, {
    message: 'the document is not smaller than its sealed file'
  })

/** Bodies of the messages. Unknown members are dropped: a later minor version may add some. */
export const sharingBodies = {
  request: z.object({ wanted: text, purpose: text }),
  grant: z.object({
    /** The thread's id, for readers that keep the body alone; another value is refused. */
    grant_id: threadId.optional(),
    resource: sharedResource,
    key: fileKey,
    permission: z.enum(['read', 'copy']),
    purpose: text,
    /** ISO 8601 in UTC; absent: until revoked. */
    valid_until: z.iso.datetime().optional()
  }),
  accept: z.object({
    /** PeerIds (base58 or CID text) the owner's agent may serve; replaces those named before. */
    peer_ids: z
      .array(z.string().regex(/^[A-Za-z0-9]{20,128}$/))
      .min(1)
      .max(SHARING_PEERS_MAX)
  }),
  decline: z.object({ reason }),
  revoke: z.object({ reason }),
  replace: z.object({ resource: sharedResource, key: fileKey })
} as const

export type SharedResource = z.infer<typeof sharedResource>
export type GrantBody = z.infer<typeof sharingBodies.grant>
export type ReplaceBody = z.infer<typeof sharingBodies.replace>
export type AcceptBody = z.infer<typeof sharingBodies.accept>
export type RequestBody = z.infer<typeof sharingBodies.request>

/** Messages that travel under the protocol's own PIURI; a problem report has report-problem's. */
export type SharingBodyName = keyof typeof sharingBodies

/** Whether a message name is one of share/1.0; safe for any text a peer may put there. */
export function isSharingMessage(name: string): name is SharingBodyName {
  return Object.hasOwn(sharingBodies, name)
}
