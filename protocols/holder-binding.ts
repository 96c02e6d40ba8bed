/**
 * `elocker/holder-binding@v1.0`: the holder shows, when requesting a credential, that the DID it is to be
 * about is theirs (protocols/issuance.md, "request-credential").
 *
 * One Data Integrity proof, eddsa-jcs-2022 for `authentication`, over `{holder, type}`, with the challenge
 * of the offer and the issuer's DID as domain: what was signed for one offer is of no use with another, nor with another
 * issuer. Only DIDs that are their own document are taken, did:key and did:peer: an issuer looks
 * up nothing at the word of whoever asks.
 *
 * @module
 */
import { base64urlnopad } from '@scure/base'
import type { ProofCrypto, ProofSigner } from './credential/crypto.ts'
import { addJcsProof, verifyProofs, type KeyAnswer } from './credential/data-integrity.ts'
import { isJsonObject, type JsonObject } from './credential/json.ts'
import { didOf, keyOf } from './did/document.ts'
import { resolveDidKey } from './did/key.ts'
import type { PublicKeyJwk } from './did/multikey.ts'
import { resolveDidPeer } from './did/peer.ts'
import { ProtocolError } from './errors.ts'
import type { HolderBinding } from './issuance-attachments.ts'

/** What the offer asks to be signed. */
export interface BindingQuestion {
  /** The issuer's, fresh for this offer. */
  readonly challenge: string
  /** The issuer's DID. */
  readonly domain: string
}

/** `jwk`: the holder's key, which an SD-JWT VC is bound to. */
export type BindingOutcome =
  | { readonly ok: true; readonly did: string; readonly jwk: PublicKeyJwk }
  | { readonly ok: false; readonly reason: string }

/** Signs as the DID of the signer's key. */
export function signHolderBinding(
  question: BindingQuestion,
  options: { readonly signer: ProofSigner; readonly created: Date; readonly crypto: ProofCrypto }
): JsonObject {
  const { signer, created, crypto } = options
  const holder = didOf(signer.verificationMethod)
  return addJcsProof(
    { holder, type: 'HolderBinding' },
    { signer, created, purpose: 'authentication', ...question },
    crypto
  )
}

/** Whose DID it is, when the proof answers the question. `reason`: a fact in lower case. */
export async function verifyHolderBinding(
  binding: HolderBinding,
  question: BindingQuestion,
  crypto: ProofCrypto
): Promise<BindingOutcome> {
  const { holder } = binding
  // Its schema has passed, so it is; members beyond those it knows are part of what was signed.
  if (!isJsonObject(binding)) return { ok: false, reason: 'not a JSON object' }
  let jwk: PublicKeyJwk | undefined
  const outcomes = await verifyProofs(binding, {
    crypto,
    key: async (method, purpose): Promise<KeyAnswer> => {
      if (purpose !== 'authentication') return { ok: false, reason: `a proof for ${purpose}` }
      const found = keyFor(holder, method)
      if (typeof found === 'string') return { ok: false, reason: found }
      jwk = found
      return { ok: true, publicKey: base64urlnopad.decode(found.x) }
    }
  })
  const [outcome] = outcomes
  if (outcome === undefined || outcomes.length > 1)
    return { ok: false, reason: `${outcomes.length} proofs, not one` }
  if (!outcome.ok) return { ok: false, reason: outcome.reason }
  if (outcome.challenge !== question.challenge)
    return { ok: false, reason: 'it was made for another offer: its challenge differs' }
  if (outcome.domain !== question.domain)
    return { ok: false, reason: `it was made for another issuer than ${question.domain}` }
  if (jwk === undefined) return { ok: false, reason: 'no key was asked for' }
  return { ok: true, did: holder, jwk }
}

/** The Ed25519 key of a method of this very DID, or why there is none. */
function keyFor(holder: string, method: string): PublicKeyJwk | string {
  if (didOf(method) !== holder) return `${method.slice(0, 200)} is not a key of the holder`
  try {
    const document = holder.startsWith('did:key:') ? resolveDidKey(holder) : resolveDidPeer(holder)
    const jwk = keyOf(document, method, 'authentication')
    return jwk.crv === 'Ed25519' ? jwk : `a key of the kind ${jwk.crv}, not Ed25519`
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return `only did:key and did:peer are bound: ${error.message}`
  }
}
