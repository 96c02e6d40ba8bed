/**
 * Keys derived from the root key. Everything in a locker hangs from 32 random bytes:
 *
 *     root key ─HKDF-SHA-512, no salt, info "elocker/v1/<purpose>"─> one key for each purpose
 *
 * | purpose                    | bytes | use                                                                            |
 * |----------------------------|-------|--------------------------------------------------------------------------------|
 * | `document-identity`        | 32    | seed of the hybrid identity every document is sealed to                        |
 * | `records/<sublevel>`       | 32    | AES-256-GCM over the records of one feature; `manifest`: of counts and digests |
 * | `record-names/<sublevel>`  | 32    | HMAC-SHA-256 that hides the keys of records                                    |
 * | `record-digest/<sublevel>` | 32    | HMAC-SHA-256 over sealed records, for the manifest                             |
 * | `holder-key`               | 32    | Ed25519 seed of the holder's did:key                                           |
 * | `fetch-notes`              | 32    | seed of the hybrid identity that notes of fetches are sealed to while sealed   |
 * | `recovery-check`           | 32    | seed of the hybrid identity the asked recovery words are sealed to             |
 *
 * From the 32 bytes behind the recovery words, and not from the root key, comes `words-identity`: the
 * seed of the hybrid identity that opens the words' slot (recovery-words.ts).
 *
 * A purpose is used for one algorithm only; a new use is a new purpose. The label is versioned, so a
 * changed format gets other keys.
 *
 * @module
 */
import { hkdfSync } from 'node:crypto'
import { hybridIdentity, type KeyPair } from '../protocols/sealed/recipients.ts'

/** Bytes of the root key. */
export const ROOT_KEY_BYTES = 32

const LABEL = 'elocker/v1/'

/** The key of one purpose, 32 bytes unless said; zero it when its owner closes. RFC 5869 with SHA-512. */
export function deriveKey(
  root: Uint8Array,
  purpose: string,
  sizeBytes = 32
): Uint8Array<ArrayBuffer> {
  if (root.length !== ROOT_KEY_BYTES) throw new RangeError(`a root key of ${root.length} bytes`)
  return new Uint8Array(hkdfSync('sha512', root, new Uint8Array(), LABEL + purpose, sizeBytes))
}

/** The hybrid key pair every document of this locker is sealed to; its text form is the recovery kit's `documentIdentity`. */
export function documentIdentity(root: Uint8Array): KeyPair {
  const seed = deriveKey(root, 'document-identity')
  const identity = hybridIdentity(seed)
  seed.fill(0)
  return identity
}

/** The hybrid key pair that a sealed agent's notes of fetches are sealed to (standing-grants.ts). */
export function sealedNotesIdentity(root: Uint8Array): KeyPair {
  const seed = deriveKey(root, 'fetch-notes')
  const identity = hybridIdentity(seed)
  seed.fill(0)
  return identity
}
