/** Each of the seven types, issued with its sample in every format and judged, field by field. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { ELOCKER_CONTEXT } from '../../../protocols/credential/contexts.ts'
import { CREDENTIALS_V2 } from '../../../protocols/credential/credential.ts'
import {
  credentialSchemaOf,
  disclosablePointers,
  parseCredentialType,
  type CredentialType
} from '../../../protocols/credential/credential-type.ts'
import type { VerificationSources } from '../../../protocols/credential/checks.ts'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue
} from '../../../protocols/credential/json.ts'
import { nativeProofCrypto } from '../../../protocols/credential/native.ts'
import { issueSdJwt, peekSdJwt, presentSdJwt } from '../../../protocols/credential/sd-jwt.ts'
import { judge } from '../../../protocols/credential/verdict.ts'
import { SAMPLE_CLAIMS } from '../../sample-claims.ts'
import { ISSUER, NOW, keys, live, seedOf, sign, worldOf } from './issuing-world.ts'

async function typeOf(id: string): Promise<CredentialType> {
  const parsed = await parseCredentialType(
    JSON.parse(readFileSync(`agent/credential-types/${id}.json`, 'utf8'))
  )
  if (!parsed.ok) throw new Error(parsed.problems.join(' '))
  return parsed.type
}

const urlOf = (type: CredentialType): string =>
  `https://uni.example/schemas/${type.id}/${type.version}`

/** A credential of the type, as an issuer makes it of claims. */
function credentialOf(type: CredentialType, claims: JsonObject): JsonObject {
  return {
    '@context': [CREDENTIALS_V2, ...(type.context ?? []), ELOCKER_CONTEXT],
    id: 'urn:uuid:7d1c2d0e-6a1f-4f8c-9d55-0d9f1c3b4a11',
    type: ['VerifiableCredential', ...type.types],
    // Open Badges 3.0 asks for a name of the credential itself.
    name: type.display['en']?.name ?? type.id,
    issuer: ISSUER,
    validFrom: '2026-05-01T00:00:00Z',
    credentialSubject: claims,
    credentialSchema: { id: urlOf(type), type: 'JsonSchema' }
  }
}

const worldFor = (type: CredentialType): Promise<VerificationSources> =>
  worldOf({ schema: async (url) => live(credentialSchemaOf(type, url)) })

/** The same JSON with the value at the n-th leaf that is a text or a number changed; undefined after the last. */
function changedAt(value: JsonValue, target: number): JsonValue | undefined {
  let leaf = -1
  const walk = (part: JsonValue): JsonValue => {
    if (Array.isArray(part)) return part.map((entry: JsonValue) => walk(entry))
    if (isJsonObject(part)) {
      return Object.fromEntries(Object.entries(part).map(([name, member]) => [name, walk(member)]))
    }
    leaf += 1
    if (leaf !== target) return part
    if (typeof part === 'string') return `${part}x`
    return typeof part === 'number' ? part + 1 : !part
  }
  const changed = walk(value)
  return leaf < target ? undefined : changed
}

const wordOf = async (
  credential: JsonObject | string,
  world: VerificationSources
): Promise<string> => {
  const verdict = await judge(credential, world)
  const failing = verdict.checks.filter(({ outcome }) => outcome === 'failed')
  return [verdict.result, ...failing.map(({ name, reason }) => `${name}: ${reason}`)].join('; ')
}

describe('credential types, issued', () => {
  for (const [id, claims] of SAMPLE_CLAIMS) {
    for (const suite of ['eddsa-jcs-2022', 'eddsa-rdfc-2022'] as const) {
      it(`${id} by ${suite} is valid, and invalid with any claim changed`, async () => {
        const type = await typeOf(id)
        const world = await worldFor(type)
        const credential = await sign(credentialOf(type, claims), { suite })
        expect(await wordOf(credential, world)).to.equal('valid')
        let leaves = 0
        for (;;) {
          const changed = changedAt(claims, leaves)
          if (!isJsonObject(changed)) break
          const verdict = await judge({ ...credential, credentialSubject: changed }, world)
          expect(verdict.result, JSON.stringify(changed).slice(0, 200)).to.equal('invalid')
          leaves += 1
        }
        expect(leaves).to.be.greaterThan(10)
      })
    }

    it(`${id} as SD-JWT VC keeps back what its rules say`, async () => {
      const type = await typeOf(id)
      const { id: sub, ...rest } = claims
      const disclosable = disclosablePointers(type, rest)
      let salts = 0
      const text = issueSdJwt(
        { sub: sub ?? '', ...rest },
        {
          signer: keys.current,
          vct: urlOf(type),
          iss: ISSUER,
          iat: NOW,
          disclosable,
          random: (sizeBytes) => seedOf(`salt ${(salts += 1)}`).subarray(0, sizeBytes)
        },
        nativeProofCrypto
      )
      const bare = presentSdJwt(text, { disclose: [] }, nativeProofCrypto)
      expect(await wordOf(bare, await worldFor(type))).to.equal('valid')
      const peeked = peekSdJwt(bare, nativeProofCrypto)
      const shown = peeked.ok ? peeked.claims : {}
      for (const pointer of disclosable.filter((each) => each.lastIndexOf('/') === 0)) {
        expect(shown, pointer).to.not.have.property(pointer.slice(1))
      }
      const all = peekSdJwt(text, nativeProofCrypto)
      expect(all.ok ? all.claims : {}).to.deep.include(rest)
    })
  }
})
