/**
 * The sealed format's cryptography for the browser, on @noble: `crypto.subtle` is absent on a page served
 * over plain http from a LAN address, where a share link must open all the same.
 *
 * @module
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import type { Primitives } from '../../../protocols/sealed/primitives.ts'

const encoder = new TextEncoder()

/** Pure JavaScript: about 100 MiB/s opened on a laptop, so run it in a worker. */
export const webPrimitives: Primitives = {
  aead: {
    seal: (key, nonce, plaintext) => own(chacha20poly1305(key, nonce).encrypt(plaintext)),
    open: (key, nonce, sealed) => own(chacha20poly1305(key, nonce).decrypt(sealed))
  },
  hkdfSha256: (key, salt, info, sizeBytes) =>
    own(hkdf(sha256, key, salt, encoder.encode(info), sizeBytes)),
  hmacSha256: (key, message) => own(hmac(sha256, key, message))
}

/** The narrow buffer type Blob wants; noble always allocates a plain ArrayBuffer, so nothing is copied. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    : Uint8Array.from(bytes)
}
