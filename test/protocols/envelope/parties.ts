/** Parties with keys and DID documents, for the envelope tests. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  didOf,
  keyOf,
  keysOf,
  type DidDocument,
  type KeyRef
} from '../../../protocols/did/document.ts'
import { keyFromJwk } from '../../../protocols/did/multikey.ts'
import { createDidPeer2, resolveDidPeer } from '../../../protocols/did/peer.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import type { AgreementCurve, DecryptKeys } from '../../../protocols/envelope/jwe.ts'
import type { SecretKeyRef } from '../../../protocols/envelope/keys.ts'
import { messageOf, type MessageFields, type PlaintextMessage } from '../../../protocols/message.ts'

export type SigningCurve = 'Ed25519' | 'P-256' | 'secp256k1'

export interface Party {
  readonly did: string
  readonly document: DidDocument
  readonly keys: ReadonlyMap<string, KeyObject>
  readonly secrets: (kid: string) => KeyObject | undefined
  /** Public key agreement keys, in the document's order. */
  readonly agreement: readonly KeyRef[]
  /** The first private key for the purpose. */
  readonly secret: (
    purpose: 'keyAgreement' | 'authentication'
  ) => SecretKeyRef & { readonly key: KeyObject }
}

/** A party with a fresh did:peer:2. Default: one Ed25519 and one X25519 key. */
export function newParty(
  agreement: readonly AgreementCurve[] = ['X25519'],
  signing: readonly SigningCurve[] = ['Ed25519']
): Party {
  const pairs = [
    ...signing.map((curve) => ({ purpose: 'authentication' as const, pair: newPair(curve) })),
    ...agreement.map((curve) => ({ purpose: 'keyAgreement' as const, pair: newPair(curve) }))
  ]
  const did = createDidPeer2(
    pairs.map(({ purpose, pair }) => ({
      purpose,
      jwk: keyFromJwk({ ...pair.publicKey.export({ format: 'jwk' }) })
    }))
  )
  const keys = new Map(
    pairs.map(({ pair }, position) => [`${did}#key-${position + 1}`, pair.privateKey])
  )
  const document = resolveDidPeer(did)
  return {
    did,
    document,
    keys,
    secrets: (kid) => keys.get(kid),
    agreement: keysOf(document, 'keyAgreement'),
    secret: (purpose) => {
      const kid = keysOf(document, purpose)[0]?.kid ?? ''
      const key = keys.get(kid)
      if (key === undefined) throw new Error(`no ${purpose} key`)
      return { kid, key }
    }
  }
}

function newPair(curve: AgreementCurve | SigningCurve): {
  publicKey: KeyObject
  privateKey: KeyObject
} {
  if (curve === 'X25519') return generateKeyPairSync('x25519')
  if (curve === 'Ed25519') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('ec', { namedCurve: curve })
}

/** What `receiver` unpacks with: its own private keys, and the public keys of everyone given. */
export function keysFor(receiver: Party, ...others: readonly Party[]): DecryptKeys {
  const documents = new Map([receiver, ...others].map(({ did, document }) => [did, document]))
  return {
    secrets: receiver.secrets,
    resolveKey: async (kid, purpose) => {
      const document = documents.get(didOf(kid))
      if (document === undefined)
        throw new ProtocolError('did-not-found', `${kid} is not known here`)
      return keyOf(document, kid, purpose)
    }
  }
}

/** A message between two parties, as people send it. */
export function hello(
  from: Party | undefined,
  to: Party,
  fields: Partial<MessageFields> = {}
): PlaintextMessage {
  return messageOf({
    id: '7d0f2d6c-6bb0-4c3c-9a43-7d7ea8a0e9b1',
    type: 'https://didcomm.org/basicmessage/2.0/message',
    ...(from === undefined ? {} : { from: from.did }),
    to: [to.did],
    body: { content: 'Wird die Lücke größer? 🙂' },
    ...fields
  })
}

export const utf8 = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
