/**
 * A verdict made in this browser, by the files the agent judges with and without asking anybody: what a
 * did:key or did:peer proves by itself. Whatever lies on a server (the keys of a did:web, status lists,
 * schemas) is said not to have been looked up.
 *
 * @module
 */
import type { Known, VerificationSources } from '../../../protocols/credential/checks.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import { judge, judgePresentation } from '../../../protocols/credential/verdict.ts'
import type { DidDocument } from '../../../protocols/did/document.ts'
import { resolveDidKey } from '../../../protocols/did/key.ts'
import { resolveDidPeer } from '../../../protocols/did/peer.ts'
import { ProtocolError } from '../../../protocols/errors.ts'
import { webProofCrypto } from '../proof-crypto.ts'
import type { Verification } from '../wire.ts'
import { documentIn } from './read.ts'

const NOT_ASKED = 'the check was made in this browser, which asked nobody'

/** Judges the text of a credential or presentation (JSON, or a compact SD-JWT). Never throws for what it is. */
export async function judgeHere(text: string, now: Date): Promise<Verification> {
  const sources: VerificationSources = {
    now,
    crypto: webProofCrypto,
    offline: true,
    issuerDocument: async (did) => documentOf(did, now),
    statusList: async () => ({ ok: false, reason: NOT_ASKED }),
    schema: async () => ({ ok: false, reason: NOT_ASKED }),
    trust: async () => 'unknown'
  }
  const presentation = presentationIn(text)
  if (presentation !== undefined) {
    const judged = await judgePresentation(presentation, sources, undefined)
    return { carrier: 'presentation', ...judged }
  }
  const verdict = await judge(text, sources)
  const carrier = text.trimStart().startsWith('{') ? 'json' : 'sd-jwt'
  return { carrier, verdicts: [verdict], result: verdict.result }
}

function documentOf(did: string, now: Date): Known<DidDocument> {
  const resolve = did.startsWith('did:key:')
    ? resolveDidKey
    : did.startsWith('did:peer:')
      ? resolveDidPeer
      : undefined
  if (resolve === undefined) return { ok: false, reason: NOT_ASKED }
  try {
    return { ok: true, value: resolve(did), asOf: now, from: 'live' }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { ok: false, reason: error.message }
  }
}

function presentationIn(text: string): JsonObject | undefined {
  // What cannot be parsed is judged as a credential, which says what is wrong with it.
  const value = documentIn(text)
  return [value?.['type']].flat().includes('VerifiablePresentation') ? value : undefined
}
