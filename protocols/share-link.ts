/**
 * Share links: `<public base>/s/<id>#<secret>`, a document for someone with nothing but a browser.
 *
 * The secret is in the fragment, which no browser sends. From it come two keys: one proves the right to
 * open, one opens the sealed capability, which holds the document's file key. The same code runs
 * where the link is made (Node) and where it is opened (the page).
 *
 * | value      | bytes | made of                                                                     |
 * |------------|-------|-----------------------------------------------------------------------------|
 * | id         | 16    | random; in the URL as 26 characters of lower-case base32                    |
 * | secret     | 32    | random; in the fragment as 43 characters of base64url                       |
 * | salt       | 16    | random, public                                                              |
 * | ikm        | 32/64 | secret, or secret ‖ scrypt(NFKC(passphrase), salt, N=2^15, r=8, p=1, 32 B)  |
 * | auth       | 32    | HKDF-SHA-256(ikm, salt = id bytes, info `elocker/v1/link-auth`)             |
 * | open key   | 32    | HKDF-SHA-256(ikm, salt = id bytes, info `elocker/v1/link-open`)             |
 * | capability | n     | 24 random nonce ‖ XChaCha20-Poly1305(open key, AAD `elocker/v1/link|<id>`)  |
 *
 * The agent keeps SHA-256(auth), so that its records do not open the link, and the open key inside a
 * sealed record, so that the capability can follow a document that was sealed again.
 *
 * | who                       | can open the document                                  |
 * |---------------------------|--------------------------------------------------------|
 * | has the URL (+ passphrase)| while the link is live                                 |
 * | sees requests, logs, disk | never: no request and no file holds secret or file key |
 *
 * @module
 */
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { scryptAsync } from '@noble/hashes/scrypt.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base32nopad, base64urlnopad } from '@scure/base'
import { z } from 'zod'
import { ProtocolError } from './errors.ts'

/** Bytes of a link's id: 128 bits cannot be guessed at any request rate. */
export const LINK_ID_BYTES = 16
/** Bytes of the secret in the fragment. */
export const LINK_SECRET_BYTES = 32
/** Bytes of the public salt for the passphrase. */
export const LINK_SALT_BYTES = 16
/** Bytes of the nonce before the sealed capability (XChaCha20: random nonces are safe). */
export const LINK_NONCE_BYTES = 24
/** Longest sealed capability, bytes: the name (1,000 characters) and purpose are the only long fields. */
export const CAPABILITY_BYTES_MAX = 16 * 1024
/** Longest passphrase, UTF-16 code units: bounds what NFKC and scrypt are handed. */
export const LINK_PASSPHRASE_CHARACTERS_MAX = 200
/** Longest URL taken apart, characters. */
const URL_CHARACTERS_MAX = 2048

/** scrypt for the passphrase: about 32 MiB and 0.1 to 0.3 s in a browser. The secret beside it has 256 bits. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, dkLen: 32 } as const

const encoder = new TextEncoder()

const base64url = (sizeBytes: number): z.ZodType<string> =>
  z.string().refine((text) => isCanonical(text, sizeBytes), `not ${sizeBytes} bytes of base64url`)

/** What the page learns when it opens the sealed capability. */
const linkCapability = z.object({
  v: z.literal(1),
  /** 16 bytes, base64url: the age file key (C2SP age.md). */
  fileKey: base64url(16),
  /** Root CID of the sealed file. */
  root: z.string().max(128),
  /** Length of the sealed age file, bytes. */
  sealedBytes: z.int().positive(),
  /** True length of the document, bytes. */
  sizeBytes: z.int().nonnegative(),
  name: z.string().max(1000),
  mediaType: z.string().max(127),
  /** What the owner calls themself; unproven. */
  from: z.string().max(500),
  purpose: z.string().max(500).optional(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime()
})
export type LinkCapability = z.infer<typeof linkCapability>

/** A link taken apart. */
export interface LinkUrl {
  /** Origin and path before `/s/`, without trailing slash. */
  readonly base: string
  readonly id: string
  /** 32 bytes. */
  readonly secret: Uint8Array
}

/** The two keys of a link, 32 bytes each. */
export interface LinkKeys {
  /** Sent as the proof when opening. */
  readonly auth: Uint8Array<ArrayBuffer>
  /** Opens the capability; never leaves the page. */
  readonly openKey: Uint8Array<ArrayBuffer>
}

/** The id's text form. Throws `link-malformed` when it is not 16 bytes. */
export function formatLinkId(bytes: Uint8Array): string {
  if (bytes.length !== LINK_ID_BYTES)
    throw new ProtocolError('link-malformed', `a link id has 16 bytes, not ${bytes.length}`)
  return base32nopad.encode(bytes).toLowerCase()
}

/** The id's 16 bytes. Throws `link-malformed` for anything but its one text form. */
export function parseLinkId(id: string): Uint8Array {
  if (!/^[a-z2-7]{26}$/.test(id)) throw new ProtocolError('link-malformed', 'not a link id')
  try {
    return base32nopad.decode(id.toUpperCase())
  } catch (cause) {
    // The 26th character carries two spare bits, which must be zero.
    throw new ProtocolError('link-malformed', 'not a link id', { cause })
  }
}

/**
 * The URL to hand over. The fragment is a secret: show it once, log it never.
 *
 * @param base - Public base URL of the agent, with or without a trailing slash.
 */
export function formatLinkUrl(base: string, id: string, secret: Uint8Array): string {
  parseLinkId(id)
  if (secret.length !== LINK_SECRET_BYTES)
    throw new ProtocolError('link-malformed', `a link secret has 32 bytes, not ${secret.length}`)
  return `${base.replace(/\/+$/, '')}/s/${id}#${base64urlnopad.encode(secret)}`
}

/** Takes a link apart, without asking anyone. Throws `link-malformed`. */
export function parseLinkUrl(url: string): LinkUrl {
  const parts =
    url.length > URL_CHARACTERS_MAX
      ? null
      : /^(https?:\/\/[^?#\s]+?)\/s\/([a-z2-7]{26})#([A-Za-z0-9_-]{43})$/.exec(url)
  const [, base, id, secret] = parts ?? []
  if (base === undefined || id === undefined || secret === undefined)
    throw new ProtocolError('link-malformed', 'not a share link')
  parseLinkId(id)
  return { base, id, secret: parseLinkSecret(secret) }
}

/** The fragment's 32 bytes. Throws `link-malformed` for anything but their one text form. */
export function parseLinkSecret(fragment: string): Uint8Array {
  if (!isCanonical(fragment, LINK_SECRET_BYTES))
    throw new ProtocolError('link-malformed', 'the link is cut off or changed: no secret in it')
  return base64urlnopad.decode(fragment)
}

/**
 * Derives a link's keys. With a passphrase this takes about 0.1 to 0.3 s and yields to the event loop.
 *
 * Any secret and any passphrase give keys; only the agent's answer to the proof says whether they are
 * the right ones. Throws `link-malformed` for wrong lengths.
 */
export async function deriveLinkKeys(input: {
  readonly id: string
  readonly secret: Uint8Array
  /** `undefined` for a link without one. The salt is the link's public 16 bytes. */
  readonly passphrase?: { readonly text: string; readonly salt: Uint8Array }
}): Promise<LinkKeys> {
  const salt = parseLinkId(input.id)
  if (input.secret.length !== LINK_SECRET_BYTES)
    throw new ProtocolError('link-malformed', 'a link secret has 32 bytes')
  let ikm = input.secret
  if (input.passphrase !== undefined) {
    const { text, salt: passphraseSalt } = input.passphrase
    if (passphraseSalt.length !== LINK_SALT_BYTES)
      throw new ProtocolError('link-malformed', 'a link salt has 16 bytes')
    if (text.length > LINK_PASSPHRASE_CHARACTERS_MAX)
      throw new ProtocolError('limit-exceeded', 'the passphrase is longer than 200 characters')
    const stretched = await scryptAsync(
      encoder.encode(text.normalize('NFKC')),
      passphraseSalt,
      SCRYPT
    )
    ikm = concat(input.secret, stretched)
  }
  const derive = (purpose: string): Uint8Array<ArrayBuffer> =>
    own(hkdf(sha256, ikm, salt, encoder.encode(`elocker/v1/link-${purpose}`), 32))
  return { auth: derive('auth'), openKey: derive('open') }
}

/** What the agent stores of the proof: SHA-256, 32 bytes. Compare in constant time. */
export function hashProof(proof: Uint8Array): Uint8Array<ArrayBuffer> {
  return own(sha256(proof))
}

/** Seals a capability. `nonce`: 24 random bytes, never used twice with one key. */
export function sealCapability(
  openKey: Uint8Array,
  id: string,
  capability: LinkCapability,
  nonce: Uint8Array
): Uint8Array<ArrayBuffer> {
  const plaintext = encoder.encode(JSON.stringify(linkCapability.parse(capability)))
  const sealed = xchacha20poly1305(openKey, nonce, additional(id)).encrypt(plaintext)
  return concat(nonce, sealed)
}

/**
 * Opens a capability and validates what was inside.
 *
 * Throws `sealed-damaged` when the key does not fit or a byte was changed, `link-malformed` when what
 * is inside is no capability, `limit-exceeded` when it is longer than 16 KiB.
 */
export function openCapability(
  openKey: Uint8Array,
  id: string,
  sealed: Uint8Array
): LinkCapability {
  if (sealed.length > CAPABILITY_BYTES_MAX)
    throw new ProtocolError('limit-exceeded', `a capability of ${sealed.length} bytes`)
  const nonce = sealed.subarray(0, LINK_NONCE_BYTES)
  let plaintext: Uint8Array
  try {
    plaintext = xchacha20poly1305(openKey, nonce, additional(id)).decrypt(
      sealed.subarray(LINK_NONCE_BYTES)
    )
  } catch (cause) {
    throw new ProtocolError('sealed-damaged', 'the capability does not open with this key', {
      cause
    })
  }
  try {
    return linkCapability.parse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plaintext))
    )
  } catch (cause) {
    throw new ProtocolError('link-malformed', 'the capability has unknown contents', { cause })
  }
}

/** Binds a capability to its link, so that an agent cannot hand out one link's for another's. */
function additional(id: string): Uint8Array {
  parseLinkId(id)
  return encoder.encode(`elocker/v1/link|${id}`)
}

/** Whether the text is the one base64url form of that many bytes: decoders differ on spare bits. */
function isCanonical(text: string, sizeBytes: number): boolean {
  if (text.length !== Math.ceil((sizeBytes * 4) / 3) || !/^[A-Za-z0-9_-]+$/.test(text)) return false
  try {
    return base64urlnopad.decode(text).length === sizeBytes
  } catch {
    // Spare bits are set: not the canonical form, which is the answer.
    return false
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}

/** Narrows noble's result to the buffer type WebCrypto and fetch want. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes)
}
