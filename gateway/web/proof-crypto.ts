/**
 * What the proofs of a credential need of cryptography, on \@noble: the same verdicts as node:crypto gives
 * the agent (protocols/credential/native.ts), on pages that have no `crypto.subtle` too.
 *
 * @module
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { sha256, sha384 } from '@noble/hashes/sha2.js'
import { base64urlnopad } from '@scure/base'
import type { ProofCrypto } from '../../protocols/credential/crypto.ts'
import type { PublicKeyJwk } from '../../protocols/did/multikey.ts'

/** First byte of a point with both coordinates, SEC 1 §2.3.3. */
const UNCOMPRESSED = 4
const COORDINATE_BYTES = 32

/** About 1 ms a signature on a laptop. test/web/verdict-here.test.ts holds it against the agent's. */
export const webProofCrypto: ProofCrypto = {
  sha256,
  sha384,
  // Strict as RFC 8032 §5.1.7 allows to be: ZIP 215 takes keys of small order, under which anything verifies.
  verifyEd25519: (publicKey, message, signature) =>
    holds(() => ed25519.verify(signature, message, publicKey, { zip215: false })),
  // ES256 knows no "low s": RFC 7518 §3.4 takes both.
  verifyP256: (publicKey, message, signature) =>
    holds(() => p256.verify(signature, message, pointOf(publicKey), { lowS: false }))
}

/** \@noble throws for keys and signatures that are none; to a verifier they do not verify. */
function holds(verify: () => boolean): boolean {
  try {
    return verify()
  } catch {
    return false
  }
}

function pointOf(key: PublicKeyJwk): Uint8Array {
  if (key.kty !== 'EC' || key.crv !== 'P-256') throw new TypeError('not a P-256 key')
  const point = new Uint8Array(1 + 2 * COORDINATE_BYTES)
  point[0] = UNCOMPRESSED
  point.set(base64urlnopad.decode(key.x), 1)
  point.set(base64urlnopad.decode(key.y), 1 + COORDINATE_BYTES)
  return point
}
