/**
 * How one record is sealed. `agent/records.ts` says where records lie and in which order they are
 * written; this file is about the bytes of one of them.
 *
 *     path    <sublevel>/<name>                                     the database key, and the AAD
 *     name    base64url(HMAC-SHA-256(names key, key)[0..16])         of a collection: 22 characters
 *             number in twelve decimal digits                        of a sequence
 *     value   nonce (12 random bytes) ‖ AES-256-GCM ciphertext ‖ tag (16 bytes)
 *     inside  JSON, UTF-8
 *
 *     records key  HKDF(root key, `elocker/v1/records/<sublevel>`)         encrypts values
 *     names key    HKDF(root key, `elocker/v1/record-names/<sublevel>`)    hides keys
 *     digest key   HKDF(root key, `elocker/v1/record-digest/<sublevel>`)   names a state, see below
 *
 * The path is authenticated, so a record cannot be moved to another name or sublevel. Keys are hidden
 * because a DID or a message id in the clear would tell who holds a copy of the disk whom the owner
 * knows (docs/decisions/0030). A random nonce of 96 bits bounds one sublevel to 2^32 writes (NIST SP
 * 800-38D §8.3): at 100 a second that is more than a year of writing without a pause, and rotating the
 * root key starts anew.
 *
 * The digest of a record is keyed: the manifest XORs digests together, and whoever could compute them
 * could look for a set of old records with the same XOR.
 *
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  type KeyObject
} from 'node:crypto'
import type { Random } from './components.ts'
import { deriveKey } from './keys.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Bytes of the HMAC kept for a name: 2^64 records before two are expected to share one. */
const NAME_BYTES = 16
/** Bytes of the HMAC kept for a digest; it is compared, never published. */
const DIGEST_BYTES = 16

/** What sealing adds to a record's JSON, bytes. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/** Seals and opens the records of one sublevel. */
export class RecordSeal {
  readonly #random: Random
  readonly #records: KeyObject
  readonly #names: KeyObject
  readonly #digests: KeyObject

  constructor(rootKey: Uint8Array, sublevel: string, random: Random) {
    this.#random = random
    this.#records = secretKey(rootKey, `records/${sublevel}`)
    this.#names = secretKey(rootKey, `record-names/${sublevel}`)
    this.#digests = secretKey(rootKey, `record-digest/${sublevel}`)
  }

  /** The name under which `key` is stored; says nothing about the key to who has no root key. */
  name(key: string): string {
    const mac = createHmac('sha256', this.#names).update(key).digest()
    return mac.toString('base64url', 0, NAME_BYTES)
  }

  seal(path: string, text: string): Uint8Array {
    const nonce = this.#random(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#records, nonce, {
      authTagLength: TAG_BYTES
    })
    cipher.setAAD(Buffer.from(path))
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  }

  /** The JSON text of a record; throws when a byte of it, or its place, is not what was sealed. */
  open(path: string, sealed: Uint8Array): string {
    if (sealed.length < SEAL_BYTES) throw new RangeError(`${sealed.length} bytes are no record`)
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#records,
      sealed.subarray(0, NONCE_BYTES),
      { authTagLength: TAG_BYTES }
    )
    decipher.setAAD(Buffer.from(path))
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    const head = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
    return Buffer.concat([head, decipher.final()]).toString('utf8')
  }

  /** Keyed digest of these bytes at this path, for the manifest's XOR. */
  digest(path: string, sealed: Uint8Array): bigint {
    const mac = createHmac('sha256', this.#digests)
      .update(path)
      .update('\0')
      .update(sealed)
      .digest()
    return BigInt(`0x${mac.toString('hex', 0, DIGEST_BYTES)}`)
  }
}

/** SHA-256 of a sealed record, lower-case hex: what the next entry of a hash chain carries. */
export function sealedHash(sealed: Uint8Array): string {
  return hash('sha256', sealed, 'hex')
}

function secretKey(rootKey: Uint8Array, purpose: string): KeyObject {
  const bytes = deriveKey(rootKey, purpose)
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}
