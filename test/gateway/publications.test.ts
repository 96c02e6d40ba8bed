/**
 * What a university publishes, and what strangers have judged by it. Cast: the university, with a domain, and
 * the mill, whose verifier anyone may ask. Between the two is HTTP alone.
 */
import { expect } from 'chai'
import { RATES } from '../../gateway/limits.ts'
import { bundledContext, ELOCKER_CONTEXT } from '../../protocols/credential/contexts.ts'
import { parseDidDocument } from '../../protocols/did/document.ts'
import { HOLDER, SAMPLE_CLAIMS } from '../sample-claims.ts'
import { Door, WebWorld } from './door.ts'
import type { Answer } from './harness.ts'

const TYPE = 'academic-marksheet'

type Json = Record<string, unknown>

/** A university that issues marksheets under its own domain. */
async function university(world: WebWorld): Promise<Door> {
  const door = await Door.open(world, 'University')
  const { issuer, types } = door.party.agent
  await issuer.setUp({
    names: { en: 'University' },
    categories: ['education'],
    domain: door.host
  })
  await types.publish(TYPE)
  return door
}

async function marksheet(door: Door): Promise<{ id: string; credential: Json }> {
  const claims = SAMPLE_CLAIMS.get(TYPE) ?? {}
  const { facts, credential } = await door.party.agent.issuance.issue({
    type: TYPE,
    claims,
    subject: HOLDER
  })
  return { id: facts.id, credential: JSON.parse(credential) as Json }
}

function judge(door: Door, json: Json): Promise<Answer> {
  return door.public.send('/credentials/verify', { method: 'POST', json })
}

const enveloped = (text: string): Json => ({
  verifiableCredential: {
    '@context': 'https://www.w3.org/ns/credentials/v2',
    type: 'EnvelopedVerifiableCredential',
    id: `data:application/dc+sd-jwt,${text}`
  }
})

const pathOf = (url: unknown): string => new URL(String(url)).pathname

describe('gateway: what an issuer publishes', () => {
  it('serves the DID document with rotated keys, the proof of the domain and the descriptor', async () => {
    await using world = new WebWorld()
    await using door = await university(world)
    await door.party.agent.issuer.rotateKey('rotated')
    const did = await door.public.send('/.well-known/did.json')
    expect(did.status).to.equal(200)
    expect(did.headers).to.include({
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'cache-control': 'public, max-age=300',
      'content-type': 'application/json'
    })
    const document = parseDidDocument(did.json(), 'did:web:university.test')
    expect(document.assertionMethod).to.have.length(2)
    const configuration = await door.public.send('/.well-known/did-configuration.json')
    expect(configuration.json()['linked_dids']).to.have.length(1)
    const descriptor = (await door.public.send('/.well-known/elocker-issuer.json')).json()
    expect(descriptor).to.include({ did: 'did:web:university.test' })
    expect((descriptor['types'] as Json[]).map(({ id }) => id)).to.deep.equal([TYPE])
  })

  it('answers 304 to who has the document, and the whole again when it has changed', async () => {
    await using world = new WebWorld()
    await using door = await university(world)
    const first = await door.public.send('/.well-known/did.json')
    const etag = String(first.headers.etag)
    const again = async (tag: string): Promise<number> =>
      (await door.public.send('/.well-known/did.json', { headers: { 'if-none-match': tag } }))
        .status
    expect(await again(etag)).to.equal(304)
    expect(await again(`"other", W/${etag}`)).to.equal(304)
    expect(await again('"other"')).to.equal(200)
    await door.party.agent.issuer.rotateKey('rotated')
    expect(await again(etag)).to.equal(200)
  })

  it('serves status lists and schemas under the addresses that stand in its credentials', async () => {
    await using world = new WebWorld()
    await using door = await university(world)
    const { credential } = await marksheet(door)
    const [status] = credential['credentialStatus'] as Json[]
    const list = await door.public.send(pathOf(status?.['statusListCredential']))
    expect(list.status).to.equal(200)
    expect(list.headers['content-type']).to.equal('application/vc+json')
    expect(list.headers['cache-control']).to.equal('public, max-age=300')
    expect(list.json()).to.include({ id: status?.['statusListCredential'] })
    const url = [credential['credentialSchema']].flat()[0] as Json
    const schema = await door.public.send(pathOf(url['id']))
    expect(schema.headers['content-type']).to.equal('application/schema+json')
    expect(schema.json()).to.include({ $id: url['id'] })
  })

  it('serves the schema of no draft and of nothing it does not know, and the context to everybody', async () => {
    await using world = new WebWorld()
    await using door = await university(world)
    const statusOf = async (path: string): Promise<number> => (await door.public.send(path)).status
    expect(await statusOf('/schemas/vaccination/1.0.0')).to.equal(404)
    expect(await statusOf('/schemas/constructor/1.0.0')).to.equal(404)
    expect(await statusOf('/schemas/..%2f/1.0.0')).to.equal(404)
    expect(await statusOf('/status-lists/nothing')).to.equal(404)
    const context = await door.public.send(new URL(ELOCKER_CONTEXT).pathname)
    expect(context.json()).to.deep.equal(bundledContext(ELOCKER_CONTEXT))
  })

  it('publishes nothing without an issuer, and no did:web document of a did:key', async () => {
    await using world = new WebWorld()
    await using door = await Door.open(world, 'Nobody')
    const paths = ['did.json', 'did-configuration.json', 'elocker-issuer.json']
    const statuses = async (): Promise<number[]> => {
      const found: number[] = []
      for (const path of paths) found.push((await door.public.send(`/.well-known/${path}`)).status)
      return found
    }
    expect(await statuses()).to.deep.equal([404, 404, 404])
    await door.party.agent.issuer.setUp({ names: { en: 'Nobody' }, categories: ['other'] })
    expect(await statuses()).to.deep.equal([404, 404, 200])
  })

  it('says 503 and when to ask again while its locker is locked', async () => {
    await using world = new WebWorld()
    await using door = await university(world)
    const { credential } = await marksheet(door)
    const [status] = credential['credentialStatus'] as Json[]
    await door.party.agent.vault.seal()
    const paths = ['/.well-known/did.json', pathOf(status?.['statusListCredential'])]
    for (const path of [...paths, `/schemas/${TYPE}/1.0.0`]) {
      const answer = await door.public.send(path)
      expect(answer.status, path).to.equal(503)
      expect(answer.headers['retry-after'], path).to.equal('60')
      expect(answer.headers['cache-control'], path).to.equal('no-store')
    }
    expect((await door.public.send(new URL(ELOCKER_CONTEXT).pathname)).status).to.equal(200)
  })
})

describe('gateway: verification by VCALM', () => {
  it('verifies a credential by what its issuer publishes, and says when it is revoked', async () => {
    await using world = new WebWorld()
    await using issuer = await university(world)
    await using verifier = await Door.open(world, 'Mill')
    const { id, credential } = await marksheet(issuer)
    const json = { verifiableCredential: credential, options: { returnResults: true } }
    const good = await judge(verifier, json)
    expect(good.status).to.equal(200)
    expect(good.json(), good.body.toString()).to.include({ verified: true })
    expect(good.json()).not.to.have.property('credential')
    const results = good.json()['results'] as Record<string, Json[]>
    expect(results['credentialStatus']?.map(({ value }) => value)).to.deep.equal([0, 0])
    expect(results['proof']?.map(({ verified }) => verified)).to.deep.equal([true])

    await issuer.party.agent.issuance.revoke(id, { reason: 'issued in error' })
    await world.pass(300_001)
    const revoked = (await judge(verifier, json)).json()
    expect(revoked['verified']).to.equal(false)
    expect((revoked['problemDetails'] as Json[])[0]).to.include({ title: 'revoked' })
    const entries = (revoked['results'] as Record<string, Json[]>)['credentialStatus'] ?? []
    expect(entries[0]).to.include({ value: 1, verified: false })
  })

  it('finds what was changed in a field, and returns the credential and no problems when so asked', async () => {
    await using world = new WebWorld()
    await using issuer = await university(world)
    await using verifier = await Door.open(world, 'Mill')
    const { credential } = await marksheet(issuer)
    const subject = credential['credentialSubject'] as Json
    const changed = { ...credential, credentialSubject: { ...subject, name: 'Somebody Else' } }
    const answer = (await judge(verifier, { verifiableCredential: changed })).json()
    expect(answer['verified']).to.equal(false)
    expect((answer['problemDetails'] as Json[]).map(({ title }) => title)).to.include('proof-wrong')
    const options = { returnCredential: true, returnProblemDetails: false }
    const short = (await judge(verifier, { verifiableCredential: changed, options })).json()
    expect(short).to.deep.equal({ verified: false, credential: changed })
  })

  it('judges an enveloped SD-JWT', async () => {
    await using world = new WebWorld()
    await using issuer = await university(world)
    await using verifier = await Door.open(world, 'Mill')
    const { credential } = await issuer.party.agent.issuance.issue({
      type: TYPE,
      claims: SAMPLE_CLAIMS.get(TYPE) ?? {},
      subject: HOLDER,
      format: 'sd-jwt-vc'
    })
    const good = (await judge(verifier, enveloped(credential))).json()
    expect(good, JSON.stringify(good)).to.include({ verified: true })
    const cut = (await judge(verifier, enveloped(credential.slice(0, 200)))).json()
    expect(cut).to.include({ verified: false })
    expect((await judge(verifier, enveloped(''))).status).to.equal(400)
  })

  it('answers 400 only to what is no question, and says of a malformed credential that it is none', async () => {
    await using world = new WebWorld()
    await using verifier = await Door.open(world, 'Mill')
    for (const json of [{}, { verifiableCredential: 'text' }, { verifiableCredential: [1] }, []])
      expect((await judge(verifier, json as Json)).status, JSON.stringify(json)).to.equal(400)
    const none = await judge(verifier, { verifiableCredential: { a: 1 } })
    expect(none.status).to.equal(200)
    expect(none.json()).to.include({ verified: false })
    const present = (json: Json): Promise<Answer> =>
      verifier.public.send('/presentations/verify', { method: 'POST', json })
    expect((await present({ verifiablePresentation: { type: 'Other' } })).status).to.equal(400)
    expect((await present({})).status).to.equal(400)
  })

  it('judges a presentation without a proof by its credentials, and not one with an unanswered question', async () => {
    await using world = new WebWorld()
    await using issuer = await university(world)
    await using verifier = await Door.open(world, 'Mill')
    const { credential } = await marksheet(issuer)
    const presentation = {
      '@context': ['https://www.w3.org/ns/credentials/v2'],
      type: ['VerifiablePresentation'],
      verifiableCredential: [credential]
    }
    const present = async (json: Json): Promise<Json> =>
      (await verifier.public.send('/presentations/verify', { method: 'POST', json })).json()
    const open = await present({ presentation })
    expect(open, JSON.stringify(open)).to.include({ verified: true })
    const asked = await present({
      verifiablePresentation: presentation,
      options: { challenge: 'c1', domain: 'mill.test', returnPresentation: true }
    })
    expect(asked).to.deep.include({ verified: false, verifiablePresentation: presentation })
    const results = asked['results'] as { presentation: Json; credentials: Json[] }
    expect(results.presentation['challenge']).to.deep.equal({ verified: false, input: 'c1' })
  })

  it('slows who asks for many verdicts, and works while its own locker is locked', async () => {
    await using world = new WebWorld()
    await using verifier = await Door.open(world, 'Mill')
    await verifier.party.agent.vault.seal()
    const statuses: number[] = []
    for (let count = 0; count <= RATES.verdicts.requestsMax; count += 1)
      statuses.push((await judge(verifier, { verifiableCredential: { a: 1 } })).status)
    expect(statuses[0]).to.equal(200)
    expect(statuses.at(-1)).to.equal(429)
  })
})
