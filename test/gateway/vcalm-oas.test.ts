/** Our answers beside the OpenAPI document of VCALM: what it describes is what we answer. */
import { expect } from 'chai'
import type { Context } from 'mocha'
import { parse } from 'yaml'
import { isJsonObject, type JsonObject } from '../../protocols/credential/json.ts'
import { checkSchema } from '../../protocols/credential/schema.ts'
import { HOLDER, SAMPLE_CLAIMS } from '../sample-claims.ts'
import { readVectors } from '../vectors.ts'
import { Door, WebWorld } from './door.ts'

const TYPE = 'academic-marksheet'

/** A schema of the document, with what it refers to put in its place. */
function schemaOf(context: Context, file: string, name: string): JsonObject {
  const parsed: unknown = parse(readVectors(context, `vcalm-oas/components/${file}`))
  const { components } = parsed as { components: { schemas: Record<string, JsonObject> } }
  return inlined(context, components.schemas[name] ?? {}) as JsonObject
}

function inlined(context: Context, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((each) => inlined(context, each))
  if (!isJsonObject(value)) return value
  const reference = value['$ref']
  if (typeof reference === 'string') {
    const [file = '', pointer = ''] = reference.split('#')
    return schemaOf(context, file.replace('./', ''), pointer.split('/').at(-1) ?? '')
  }
  // An example that is no value of its own schema stands in the document.
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'example')
      .map(([name, member]) => [name, inlined(context, member)])
  )
}

describe('gateway: VCALM by its OpenAPI document', () => {
  it('answers verifications as the document describes them, good and bad', async function () {
    const expected = schemaOf(this, 'VerifyCredentialResult.yml', 'VerificationResult')
    const presentation = schemaOf(this, 'VerifyPresentationResult.yml', 'VerificationResult')
    for (const schema of [expected, presentation])
      expect(await checkSchema(schema, { verified: 'yes' })).to.include({ ok: false })
    await using world = new WebWorld()
    await using door = await Door.open(world, 'University')
    const { issuer, types, issuance } = door.party.agent
    await issuer.setUp({
      names: { en: 'University' },
      categories: ['education'],
      domain: door.host
    })
    await types.publish(TYPE)
    const claims = SAMPLE_CLAIMS.get(TYPE) ?? {}
    const validUntil = new Date(world.clock.now().getTime() + 86_400_000)
    const { credential } = await issuance.issue({
      type: TYPE,
      claims,
      subject: HOLDER,
      validUntil
    })
    const good = JSON.parse(credential) as JsonObject
    const ask = async (path: string, json: unknown): Promise<JsonObject> => {
      const answer = await door.public.send(path, { method: 'POST', json })
      expect(answer.status).to.equal(200)
      return answer.json() as JsonObject
    }
    const options = { returnResults: true, returnCredential: true, returnProblemDetails: true }
    for (const verifiableCredential of [good, { ...good, issuer: 'did:web:other.test' }, {}]) {
      const answer = await ask('/credentials/verify', { verifiableCredential, options })
      expect(await checkSchema(expected, answer)).to.deep.equal({ ok: true })
      expect(answer['verified']).to.equal(verifiableCredential === good)
    }

    const verifiablePresentation = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiablePresentation'],
      holder: HOLDER,
      verifiableCredential: [good]
    }
    for (const asked of [{}, { challenge: 'c', domain: 'd', returnPresentation: true }]) {
      const answer = await ask('/presentations/verify', { verifiablePresentation, options: asked })
      expect(await checkSchema(presentation, answer)).to.deep.equal({ ok: true })
    }
  })
})
