/**
 * did:key: a DID that is its own public key (W3C CCG did:key method 1.0). Nothing is looked up.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'
import type { DidDocument } from './document.ts'
import { decodeMultikey, encodeMultikey, x25519Of, type PublicKeyJwk } from './multikey.ts'

const PREFIX = 'did:key:'
const CONTEXTS = ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1']

/** The did:key of a public key. */
export function didKeyOf(key: PublicKeyJwk): string {
  return PREFIX + encodeMultikey(key)
}

/**
 * The document of a did:key. An Ed25519 key signs, and its X25519 twin agrees on keys; an X25519 key
 * only agrees on keys; the others do both.
 *
 * @throws ProtocolError `did-malformed`, or `did-unsupported` for other methods and key types.
 */
export function resolveDidKey(did: string): DidDocument {
  if (!did.startsWith(PREFIX)) throw new ProtocolError('did-unsupported', 'not a did:key')
  const multikey = did.slice(PREFIX.length)
  const key = decodeMultikey(multikey)
  const method = methodFor(did, multikey)
  const agreement = key.crv === 'Ed25519' ? methodFor(did, encodeMultikey(x25519Of(key))) : method
  const signs = [method.id]
  return {
    '@context': CONTEXTS,
    id: did,
    verificationMethod: agreement === method ? [method] : [method, agreement],
    ...(key.crv === 'X25519'
      ? {}
      : {
          authentication: signs,
          assertionMethod: signs,
          capabilityInvocation: signs,
          capabilityDelegation: signs
        }),
    keyAgreement: [agreement.id]
  }
}

function methodFor(
  did: string,
  multikey: string
): {
  readonly id: string
  readonly type: 'Multikey'
  readonly controller: string
  readonly publicKeyMultibase: string
} {
  return {
    id: `${did}#${multikey}`,
    type: 'Multikey',
    controller: did,
    publicKeyMultibase: multikey
  }
}
