import { expect } from 'chai'
import { z } from 'zod'
import { openAudit, type Audit } from '../../agent/audit.ts'
import type { Endpoint } from '../../agent/components.ts'
import { openCredentialTypes, type CredentialTypes } from '../../agent/credential-types.ts'
import {
  DESCRIPTOR_LIFETIME_MS,
  ISSUER_KEYS_MAX,
  LINKAGE_LIFETIME_MS,
  openIssuer,
  SIGNED_FRESH_MS,
  type Issuer,
  type IssuerProfile
} from '../../agent/issuer.ts'
import type { Records } from '../../agent/records.ts'
import { addJcsProof, verifyProofs } from '../../protocols/credential/data-integrity.ts'
import { isJsonObject, type JsonObject } from '../../protocols/credential/json.ts'
import { nativeProofCrypto as crypto } from '../../protocols/credential/native.ts'
import { keysOf, parseDidDocument } from '../../protocols/did/document.ts'
import { resolveDidKey } from '../../protocols/did/key.ts'
import { readDomainLinkage } from '../../protocols/domain-linkage.ts'
import { readDescriptor } from '../../protocols/issuer-descriptor.ts'
import type { SignatureSources } from '../../protocols/signed-document.ts'
import { ManualClock, secureRandom } from './faults.ts'
import { failure, Home } from './record-home.ts'

const PROFILE: IssuerProfile = {
  names: { en: 'University of Example', hi: 'उदाहरण विश्वविद्यालय' },
  categories: ['education']
}
const DOMAIN = 'university.example'
const DID = 'did:web:university.example'
const ENDPOINT: Endpoint = {
  kind: 'libp2p',
  peerId: '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA',
  multiaddrs: ['/ip4/192.0.2.1/tcp/4282']
}
const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code

const createdOf = ({ proof }: JsonObject): string =>
  isJsonObject(proof) && typeof proof['created'] === 'string' ? proof['created'] : ''

describe('agent/issuer', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let types: CredentialTypes
  let issuer: Issuer

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
    types = await openCredentialTypes({ records, audit, clock })
    issuer = await openIssuer({
      records,
      audit,
      clock,
      random: secureRandom,
      network: { endpoints: () => [ENDPOINT] },
      baseUrl: () => 'https://university.example',
      types: () => types.published()
    })
  }

  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock('2026-11-23T12:00:00.250Z')
    await open()
  })

  const document = (): JsonObject => {
    const found = issuer.didDocument()
    if (found === undefined) throw new Error('no document')
    return found
  }

  /** Keys as a reader finds them: in the document that the gateway serves, or in the did:key itself. */
  function sources(): SignatureSources {
    const facts = issuer.facts()
    if (facts === undefined) throw new Error('no issuer')
    const { did } = facts
    const read = facts.domain === undefined ? resolveDidKey(did) : parseDidDocument(document(), did)
    return {
      now: clock.now(),
      crypto,
      key: async (method) => {
        const found = keysOf(read, 'assertionMethod').find(({ kid }) => kid === method)
        if (found === undefined) return { ok: false, reason: `no key ${method}` }
        return { ok: true, publicKey: new Uint8Array(Buffer.from(found.jwk.x, 'base64url')) }
      }
    }
  }

  const sign = (): JsonObject =>
    addJcsProof({ hello: 'world' }, { signer: issuer.signer(), created: clock.now() }, crypto)

  async function verifies(signed: JsonObject): Promise<boolean> {
    const { key } = sources()
    const outcomes = await verifyProofs(signed, { key: (method) => key(method), crypto })
    return outcomes.every(({ ok }) => ok)
  }

  /** Seeds in the records of a locker that is closed. */
  async function seeds(): Promise<number> {
    const reopened = await home.open()
    const keys = await reopened.collection('issuer-keys', z.record(z.string(), z.unknown()))
    const held = [...keys.entries()].filter(([, key]) => key['seed'] !== undefined)
    await reopened.close()
    return held.length
  }

  it('is absent until it is set up', async () => {
    expect(issuer.facts()).to.equal(undefined)
    expect(issuer.didDocument()).to.equal(undefined)
    expect(issuer.didConfiguration()).to.equal(undefined)
    expect(() => issuer.signer()).to.throw('no issuer')
    expect(() => issuer.descriptor()).to.throw('no issuer')
    expect(await codeOf(issuer.rotateKey('rotated'))).to.equal('issuer-absent')
    expect(await codeOf(issuer.change({ secondApproval: true }))).to.equal('issuer-absent')
  })

  it('is a did:web where there is a domain, and stays it when the locker is opened again', async () => {
    const facts = await issuer.setUp({ ...PROFILE, domain: ' University.Example ' })
    expect(facts).to.deep.equal({
      ...PROFILE,
      did: DID,
      domain: DOMAIN,
      secondApproval: false,
      createdAt: '2026-11-23T12:00:00.250Z',
      keys: [{ id: `${DID}#key-1`, createdAt: '2026-11-23T12:00:00.250Z' }]
    })
    const signed = sign()
    await records.close()
    await open()
    expect(issuer.facts()).to.deep.equal(facts)
    expect(await verifies(signed)).to.equal(true)
    expect(await verifies(sign())).to.equal(true)
    expect(issuer.signer().verificationMethod).to.equal(`${DID}#key-1`)
  })

  it('is a did:key where there is none, serves no document and cannot rotate', async () => {
    const { did, keys } = await issuer.setUp(PROFILE)
    expect(did).to.match(/^did:key:z6Mk/)
    expect(keys[0]?.id).to.equal(`${did}#${did.slice('did:key:'.length)}`)
    expect(await verifies(sign())).to.equal(true)
    expect(issuer.didDocument()).to.equal(undefined)
    expect(issuer.didConfiguration()).to.equal(undefined)
    expect(await codeOf(issuer.rotateKey('rotated'))).to.equal('issuer-state')
    expect(await readDescriptor(issuer.descriptor(), sources())).to.deep.include({ ok: true })
  })

  it('is set up once', async () => {
    await issuer.setUp({ ...PROFILE, domain: DOMAIN })
    expect(await codeOf(issuer.setUp(PROFILE))).to.equal('issuer-state')
    expect((await audit.list()).map(({ action }) => action)).to.deep.equal(['issuer-created'])
  })

  it('refuses names, categories, logos and domains that cannot be', async () => {
    const refused: readonly (IssuerProfile & { domain?: string })[] = [
      { ...PROFILE, names: {} },
      { ...PROFILE, names: { english: 'x' } },
      { ...PROFILE, categories: [] },
      { ...PROFILE, logo: 'https://university.example/logo.png' },
      { ...PROFILE, domain: '' },
      { ...PROFILE, domain: '127.0.0.1' },
      { ...PROFILE, domain: 'https://university.example' },
      { ...PROFILE, domain: 'university.example/path' },
      { ...PROFILE, domain: 'university.example:1:2' },
      { ...PROFILE, domain: 'university.example:path' },
      { ...PROFILE, domain: 'user@university.example' }
    ]
    for (const options of refused)
      expect(await codeOf(issuer.setUp(options)), JSON.stringify(options)).to.equal(
        'request-invalid'
      )
    expect(issuer.facts()).to.equal(undefined)
    const { did } = await issuer.setUp({ ...PROFILE, domain: 'localhost:4281' })
    expect(did).to.equal('did:web:localhost%3A4281')
  })

  it('changes what it says of itself, and only what is given', async () => {
    await issuer.setUp({ ...PROFILE, domain: DOMAIN })
    const changed = await issuer.change({ secondApproval: true, by: 'asha' })
    expect(changed).to.deep.include({ ...PROFILE, secondApproval: true, did: DID })
    await issuer.change({ names: { en: 'Other' } })
    expect(issuer.facts()).to.deep.include({ names: { en: 'Other' }, secondApproval: true })
    expect(await codeOf(issuer.change({ names: {} }))).to.equal('request-invalid')
    const hostile: object = { did: 'did:web:evil.example', domain: 'evil.example' }
    expect(await issuer.change(hostile)).to.deep.include({ did: DID, domain: DOMAIN })
    expect((await audit.list()).map(({ actor }) => actor)).to.include('asha')
  })

  describe('with its keys', () => {
    beforeEach(async () => {
      await issuer.setUp({ ...PROFILE, domain: DOMAIN })
    })

    it('keeps a rotated key in its document with its end, and signs with the new one', async () => {
      const before = sign()
      const facts = await issuer.rotateKey('rotated')
      expect(facts.keys).to.deep.equal([
        {
          id: `${DID}#key-1`,
          createdAt: '2026-11-23T12:00:00.250Z',
          expiresAt: '2026-11-23T12:00:01.000Z'
        },
        { id: `${DID}#key-2`, createdAt: '2026-11-23T12:00:00.250Z' }
      ])
      const { verificationMethod, assertionMethod } = document()
      expect(assertionMethod).to.deep.equal([`${DID}#key-1`, `${DID}#key-2`])
      const [first, second] = Array.isArray(verificationMethod) ? verificationMethod : []
      expect(first).to.deep.include({ expires: '2026-11-23T12:00:01.000Z', type: 'Multikey' })
      expect(second).to.not.have.any.keys('expires', 'revoked')
      expect(await verifies(before)).to.equal(true)
      // What was signed in the very second of the rotation is before the end of the key.
      expect(createdOf(before) < '2026-11-23T12:00:01.000Z').to.equal(true)
      expect(issuer.signer().verificationMethod).to.equal(`${DID}#key-2`)
      expect(await verifies(sign())).to.equal(true)
    })

    it('marks a compromised key, the present one or an older', async () => {
      await issuer.rotateKey('rotated')
      clock.advance(5000)
      const older = await issuer.rotateKey('compromised', { key: `${DID}#key-1` })
      expect(older.keys.map(({ id, revokedAt }) => [id, revokedAt])).to.deep.equal([
        [`${DID}#key-1`, '2026-11-23T12:00:05.250Z'],
        [`${DID}#key-2`, undefined]
      ])
      expect(issuer.signer().verificationMethod).to.equal(`${DID}#key-2`)
      const present = await issuer.rotateKey('compromised')
      expect(present.keys).to.have.length(3)
      expect(issuer.signer().verificationMethod).to.equal(`${DID}#key-3`)
      const { verificationMethod } = document()
      const revoked = (Array.isArray(verificationMethod) ? verificationMethod : []).map(
        (method: unknown) => isJsonObject(method) && method['revoked'] !== undefined
      )
      expect(revoked).to.deep.equal([true, true, false])
    })

    it('refuses to end a key that is not there, not present, or revoked', async () => {
      await issuer.rotateKey('rotated')
      for (const key of ['key-9', `${DID}#key-9`, '__proto__', ''])
        expect(await codeOf(issuer.rotateKey('compromised', { key })), key).to.equal('issuer-state')
      expect(await codeOf(issuer.rotateKey('rotated', { key: 'key-1' }))).to.equal('issuer-state')
      await issuer.rotateKey('compromised', { key: 'key-1' })
      expect(await codeOf(issuer.rotateKey('compromised', { key: 'key-1' }))).to.equal(
        'issuer-state'
      )
      expect(issuer.facts()?.keys).to.have.length(2)
    })

    it('forgets the seed of a key that ended, in the same batch', async () => {
      await issuer.rotateKey('rotated')
      await issuer.rotateKey('compromised')
      await records.close()
      expect(await seeds()).to.equal(1)
      await open()
      expect(await verifies(sign())).to.equal(true)
    })

    it(`has at most ${ISSUER_KEYS_MAX} keys, all of them readable by others`, async () => {
      for (let count = 1; count < ISSUER_KEYS_MAX; count++) await issuer.rotateKey('rotated')
      expect(await codeOf(issuer.rotateKey('rotated'))).to.equal('issuer-state')
      const read = parseDidDocument(document(), DID)
      expect(keysOf(read, 'assertionMethod')).to.have.length(ISSUER_KEYS_MAX)
      expect(await verifies(sign())).to.equal(true)
    })

    it('goes on with a new key, under an id of its own, when the present one is damaged', async () => {
      await issuer.rotateKey('rotated')
      const before = sign()
      await records.close()
      const paths = (await home.db.keys().all()).filter((key) => key.startsWith('issuer-keys/'))
      for (const path of paths) {
        await home.flip(path, 40)
        await open()
        if (issuer.facts()?.keys[0]?.id === `${DID}#key-1`) break
        await records.close()
        await home.flip(path, 40)
      }
      expect(() => issuer.signer()).to.throw('cannot be read')
      const { keys } = await issuer.rotateKey('rotated')
      expect(keys.map(({ id }) => id)).to.deep.equal([`${DID}#key-1`, `${DID}#key-3`])
      expect(await verifies(sign())).to.equal(true)
      expect(await verifies(before)).to.equal(false)
    })

    it('keeps no seed in what it tells or logs', async () => {
      await issuer.rotateKey('rotated', { by: 'asha' })
      const told = JSON.stringify([
        issuer.facts(),
        document(),
        issuer.descriptor(),
        await audit.list(),
        home.logger.events
      ])
      expect(told).to.not.include('"seed"')
      const [entry] = await audit.list()
      expect(entry).to.deep.include({
        action: 'issuer-key-rotated',
        actor: 'asha',
        details: { reason: 'rotated', key: `${DID}#key-1`, next: `${DID}#key-2` }
      })
    })
  })

  describe('in what it publishes', () => {
    beforeEach(async () => {
      await issuer.setUp({ ...PROFILE, domain: DOMAIN })
    })

    it('describes itself, its types and where it is reached', async () => {
      await types.publish('academic-marksheet')
      const reading = await readDescriptor(issuer.descriptor(), sources())
      if (!reading.ok) throw new Error(reading.reason)
      const { value } = reading
      expect(value.names).to.deep.equal(PROFILE.names)
      expect(value.endpoints).to.deep.equal({
        didcomm: [
          {
            uri: `libp2p-peerId:${ENDPOINT.peerId}`,
            accept: ['didcomm/v2'],
            multiAddrs: ['/ip4/192.0.2.1/tcp/4282']
          }
        ],
        gateway: 'https://university.example'
      })
      const [type] = value.types
      expect(type).to.deep.include({ id: 'academic-marksheet', version: '1.0.0' })
      expect(type?.names).to.include.all.keys('en', 'hi')
      expect(type?.form).to.have.nested.property('properties.rollNumber')
    })

    it('serves a descriptor again until it changes or an hour has passed', async () => {
      const first = issuer.descriptor()
      clock.advance(SIGNED_FRESH_MS - 1)
      expect(issuer.descriptor()).to.equal(first)
      clock.advance(1)
      const second = issuer.descriptor()
      expect(second).to.not.deep.equal(first)
      await types.publish('vaccination')
      const third = issuer.descriptor()
      expect(third['types']).to.have.length(1)
      await issuer.rotateKey('rotated')
      expect(issuer.descriptor()['proof']).to.have.property('verificationMethod', `${DID}#key-2`)
      expect(await readDescriptor(issuer.descriptor(), sources())).to.deep.include({ ok: true })
      clock.advance(DESCRIPTOR_LIFETIME_MS + 600_000)
      expect(await readDescriptor(third, sources())).to.deep.include({ fault: 'expired' })
    })

    it('fits the seven types that come with the program', async () => {
      for (const { type } of types.list()) await types.publish(type.id)
      const reading = await readDescriptor(issuer.descriptor(), sources())
      expect(reading.ok && reading.value.types).to.have.length(7)
    })

    it('says so when a descriptor would be too large', async () => {
      const { type } = types.get('vaccination')
      const comment = 'x'.repeat(33_000)
      for (const id of ['one', 'two'])
        await types.save({ ...type, id, form: { type: 'object', $comment: comment } })
      await types.publish('one')
      issuer.descriptor()
      await types.publish('two')
      expect(() => issuer.descriptor()).to.throw('no descriptor: a descriptor of')
    })

    it('proves its domain', async () => {
      const configuration = issuer.didConfiguration()
      const link = { did: DID, origin: 'https://university.example' }
      const reading = await readDomainLinkage(configuration, link, sources())
      if (!reading.ok) throw new Error(reading.reason)
      expect(reading.until.getTime() - clock.now().getTime()).to.be.within(
        LINKAGE_LIFETIME_MS - 1000,
        LINKAGE_LIFETIME_MS
      )
      expect(issuer.didConfiguration()).to.equal(configuration)
    })
  })
})
