/**
 * The cryptography the sealed-document format stands on, as an interface: node:crypto implements it in
 * `native.ts`, the web page with @noble. Header, stream and padding are written against this alone, so
 * the same code runs in both places.
 *
 * @module
 */

/** ChaCha20-Poly1305, RFC 8439 §2.8, without associated data: key 32 bytes, nonce 12, tag 16 after the ciphertext. */
export interface Aead {
  seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array<ArrayBuffer>
  /** Throws (anything) when the tag does not fit; never returns unauthenticated bytes. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array<ArrayBuffer>
}

/** What reading and writing an age file computes with. */
export interface Primitives {
  readonly aead: Aead
  /** HKDF-SHA-256, RFC 5869. */
  hkdfSha256(
    key: Uint8Array,
    salt: Uint8Array,
    info: string,
    sizeBytes: number
  ): Uint8Array<ArrayBuffer>
  /** HMAC-SHA-256, RFC 2104: 32 bytes. */
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array<ArrayBuffer>
}

/** Cryptographically secure random bytes. The same shape as the agent's component of that name. */
export type Random = (sizeBytes: number) => Uint8Array<ArrayBuffer>
