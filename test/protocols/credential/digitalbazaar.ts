/** Digital Bazaar's libraries as another implementation, for tests and bench: issuing and verifying under the keys of signers.ts. */
import { inspect } from 'node:util'
import { DataIntegrityProof } from '@digitalbazaar/data-integrity'
import { generate } from '@digitalbazaar/ed25519-multikey'
import {
  createSignCryptosuite,
  createVerifyCryptosuite
} from '@digitalbazaar/eddsa-jcs-2022-cryptosuite'
import { cryptosuite as rdfc } from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite'
import { issue, verifyCredential } from '@digitalbazaar/vc'
import { bundledContext } from '../../../protocols/credential/contexts.ts'
import type { Cryptosuite } from '../../../protocols/credential/data-integrity.ts'
import type { JsonObject } from '../../../protocols/credential/json.ts'
import type { TestKey } from './signers.ts'

const MULTIKEY_URL = 'https://w3id.org/security/multikey/v1'

/** Our bundled contexts and did:key; nothing is fetched. */
function documentLoader(
  url: string
): Promise<{ documentUrl: string; document: object; tag?: string }> {
  const context = bundledContext(url)
  if (context !== undefined) {
    return Promise.resolve({ documentUrl: url, document: structuredClone(context), tag: 'static' })
  }
  const [did = '', multikey] = url.split('#')
  if (!did.startsWith('did:key:')) return Promise.reject(new Error(`${url} is not at hand`))
  const id = `${did}#${did.slice('did:key:'.length)}`
  const method = {
    '@context': MULTIKEY_URL,
    id,
    type: 'Multikey',
    controller: did,
    publicKeyMultibase: did.slice('did:key:'.length)
  }
  const controller = {
    '@context': ['https://www.w3.org/ns/did/v1', MULTIKEY_URL],
    id: did,
    verificationMethod: [method],
    assertionMethod: [id]
  }
  return Promise.resolve({
    documentUrl: url,
    document: multikey === undefined ? controller : method
  })
}

/** Their issuer with that key and suite. */
export async function theirIssuer(
  { did, seed, signer }: TestKey,
  suite: Cryptosuite,
  date: string
): Promise<(credential: JsonObject) => Promise<JsonObject>> {
  const key = await generate({ id: signer.verificationMethod, controller: did, seed })
  return async (credential) => {
    const proof = new DataIntegrityProof({
      signer: key.signer(),
      date,
      cryptosuite: suite === 'eddsa-rdfc-2022' ? rdfc : createSignCryptosuite()
    })
    const given = structuredClone(credential)
    return (await issue({ credential: given, suite: proof, documentLoader })) as JsonObject
  }
}

/** Their verifier's answer: true, or what it found wrong. */
export async function theyVerify(
  credential: JsonObject,
  suite: Cryptosuite,
  now: Date
): Promise<true | string> {
  const cryptosuite = suite === 'eddsa-rdfc-2022' ? rdfc : createVerifyCryptosuite()
  const { verified, error } = await verifyCredential({
    credential: structuredClone(credential),
    suite: new DataIntegrityProof({ cryptosuite }),
    documentLoader,
    now,
    checkStatus: () => Promise.resolve({ verified: true })
  })
  return verified || inspect(error, { depth: 4 })
}
