/**
 * What the proofs of a credential need of cryptography, handed in: node:crypto in the agent (native.ts),
 * \@noble in a browser. All of it is synchronous, so a proof over bytes at hand waits for nothing.
 *
 * @module
 */
import type { PublicKeyJwk } from '../did/multikey.ts'

export interface ProofCrypto {
  sha256(bytes: Uint8Array): Uint8Array
  sha384(bytes: Uint8Array): Uint8Array
  /**
   * Whether `signature` (64 bytes) over `message` is by `publicKey` (32 bytes, raw), RFC 8032 §5.1.7. False, never a
   * throw, for what does not verify: wrong lengths, a key off its curve, a key of small order (under
   * which one signature fits every message).
   */
  verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
  /** Whether `signature` (r ‖ s, 64 bytes, RFC 7518 §3.4) over the SHA-256 of `message` is by a P-256 key. Never a throw. */
  verifyP256(publicKey: PublicKeyJwk, message: Uint8Array, signature: Uint8Array): boolean
}

/** A private key under the name its public half has in a DID document. */
export interface ProofSigner {
  readonly algorithm: 'EdDSA'
  /** Absolute DID URL, as it stands in the proof. */
  readonly verificationMethod: string
  /** 64 bytes, RFC 8032 §5.1.6: the same message gives the same signature. */
  sign(message: Uint8Array): Uint8Array
}
