import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { until } from '../clock.ts'
import { failure, refusal } from '../lockers.ts'
import { SAMPLE_CLAIMS } from '../sample-claims.ts'
import {
  credentialActions,
  MARKS,
  openIssuanceCast,
  textOf,
  TYPE,
  type IssuanceCast
} from './issuance-cast.ts'

describe('agent/issuance, from offer to credential', () => {
  let cast: IssuanceCast
  let university: IssuanceCast['university']
  let asha: IssuanceCast['asha']
  beforeEach(async () => {
    cast = await openIssuanceCast()
    ;({ university, asha } = cast)
  })
  afterEach(async () => {
    await cast.lockers.close()
  })

  const issuer = (): string => university.locker.issuer.facts()?.did ?? ''

  it('issues a marksheet that the holder checks and keeps', async () => {
    const issued = await cast.delivered()
    expect(issued).to.deep.include({
      state: 'accepted',
      status: 'valid',
      subject: asha.locker.identity.holderDid
    })
    expect(issued.history.map(({ what }) => what)).to.deep.equal([
      'prepared',
      'offered',
      'issued',
      'accepted'
    ])
    const [credential, ...more] = cast.kept()
    expect(more).to.be.empty
    expect(credential).to.deep.include({
      type: TYPE,
      types: ['AcademicMarksheet'],
      issuer: issuer(),
      subject: asha.locker.identity.holderDid,
      format: 'vcdm-2.0',
      state: 'current',
      name: 'Academic marksheet',
      credentialId: issued.credentialId
    })
    const id = credential?.id ?? ''
    const text = await textOf(asha, id)
    expect(text).to.equal(university.locker.issuance.signedText(issued.id))
    const subject = (JSON.parse(text) as JsonObject)['credentialSubject']
    expect(subject).to.deep.equal({ ...MARKS, id: asha.locker.identity.holderDid })
    const document = asha.locker.documents.get(id)
    expect(document).to.deep.include({ mediaType: 'application/vc+json', tags: ['credential'] })
    const input = await asha.locker.credentials.verdictInput(id)
    expect(input.text).to.equal(text)
    expect(input.bundle?.['issuerDocument']).to.deep.include({ id: issuer() })
  })

  it('shows the offer before it is accepted, and signs nothing before', async () => {
    const issued = await cast.offered({ comment: 'Congratulations.' })
    const [thread] = asha.locker.issuance.list({ role: 'holder' })
    expect(thread).to.deep.include({
      state: 'offered',
      attention: 'accept',
      reason: 'Congratulations.'
    })
    expect(thread?.offer?.preview).to.deep.equal(MARKS)
    expect(thread?.offer?.issuer).to.equal(issuer())
    expect(issued).to.deep.include({ state: 'offered', status: 'unsigned' })
    expect(await refusalOf(() => university.locker.issuance.signedText(issued.id))).to.equal(
      'credential-state'
    )
    expect(asha.inbox().map(({ kind, subject }) => `${kind} ${subject}`)).to.deep.equal([
      'credential-offer AcademicMarksheet'
    ])
  })

  it('binds an SD-JWT VC to the holder, with what the type lets be kept back', async () => {
    const issued = await cast.delivered({ format: 'sd-jwt-vc' })
    const [credential] = cast.kept()
    expect(credential).to.deep.include({ format: 'sd-jwt-vc', credentialId: issued.credentialId })
    const id = credential?.id ?? ''
    expect(asha.locker.documents.get(id).mediaType).to.equal('application/dc+sd-jwt')
    const text = await textOf(asha, id)
    const [payload = ''] = text.split('.').slice(1)
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JsonObject
    expect(claims).to.deep.include({ sub: asha.locker.identity.holderDid, iss: issuer() })
    expect(claims).to.have.property('cnf')
    expect(claims).to.not.have.property('dateOfBirth')
    expect(text.split('~').length).to.be.greaterThan(5)
  })

  for (const [type, claims] of SAMPLE_CLAIMS)
    for (const suite of ['eddsa-jcs-2022', 'eddsa-rdfc-2022'] as const)
      it(`issues ${type} with ${suite}`, async () => {
        const { types } = university.locker
        if (types.get(type).state === 'draft') await types.publish(type)
        const { id: _id, ...rest } = claims
        await cast.delivered({ type, claims: rest, suite })
        expect(cast.kept()[0]?.type).to.equal(type)
      })

  it('issues a kind that is one JSON file, with no id in its schema', async () => {
    await university.locker.types.save({
      id: 'library-card',
      version: '1.0.0',
      category: 'other',
      types: ['LibraryCard'],
      schema: {
        type: 'object',
        properties: { name: { type: 'string', title: 'Name' } },
        required: ['name'],
        additionalProperties: false
      },
      display: { en: { name: 'Library card', fields: {} } },
      disclosure: {},
      template: 'certificate'
    })
    await university.locker.types.publish('library-card')
    await cast.delivered({ type: 'library-card', claims: { name: 'Asha' } })
    expect(cast.kept()[0]?.name).to.equal('Library card')
  })

  it('says which claims do not fit before anything is recorded', async () => {
    const { issuance } = university.locker
    const claims = { ...MARKS, rollNumber: 7 }
    const error = await failure(issuance.offer({ type: TYPE, claims, to: 'Asha' }))
    expect(error.code).to.equal('claims-invalid')
    expect(JSON.stringify(error.facts['problems'])).to.contain('/rollNumber')
    expect(issuance.issued()).to.be.empty
    expect(university.locker.statusLists.list()).to.be.empty
  })

  it('refuses what it cannot offer', async () => {
    const { issuance } = university.locker
    const offer = { type: TYPE, claims: MARKS, to: 'Asha' }
    const past = new Date('2020-01-01T00:00:00Z')
    for (const [wish, code] of [
      [{ ...offer, to: 'Nobody' }, 'contact-unknown'],
      [{ ...offer, type: 'no-such-type' }, 'type-unknown'],
      [{ ...offer, type: 'land-record' }, 'type-state'],
      [{ ...offer, validUntil: past }, 'request-invalid'],
      [{ ...offer, replaces: 'nothing' }, 'credential-unknown'],
      [{ ...offer, claims: { ...MARKS, id: 'not a DID' } }, 'claims-invalid']
    ] as const)
      expect(await refusal(issuance.offer(wish)), code).to.equal(code)
    expect(await refusal(asha.locker.issuance.offer({ ...offer, to: 'University' }))).to.equal(
      'issuer-absent'
    )
    expect(issuance.issued()).to.be.empty
  })

  for (const [format, bytes] of [
    ['vcdm-2.0', 128 * 1024],
    ['sd-jwt-vc', 64 * 1024]
  ] as const)
    it(`carries the largest claims there may be as ${format}, and refuses larger ones`, async () => {
      await university.locker.types.save({
        id: 'essay',
        version: '1.0.0',
        category: 'other',
        types: ['Essay'],
        schema: { type: 'object', properties: { text: { type: 'string', title: 'Text' } } },
        display: { en: { name: 'Essay', fields: {} } },
        disclosure: { '/text': 'selectable' },
        template: 'certificate'
      })
      await university.locker.types.publish('essay')
      const claims = { text: 'x'.repeat(bytes - '{"text":""}'.length) }
      await cast.delivered({ type: 'essay', claims, format })
      expect(cast.kept()).to.have.length(1)
      const larger = { type: 'essay', claims: { text: `${claims.text}x` }, format, to: 'Asha' }
      expect(await refusal(university.locker.issuance.offer(larger))).to.equal('claims-invalid')
    })

  it('waits for a person when a fault of its own keeps it from signing', async () => {
    const issued = await cast.offered()
    const thid = cast.threadOf(issued)
    const { issuer: own, issuance } = university.locker
    const signs = own.signer.bind(own)
    Reflect.set(own, 'signer', () => {
      throw new LockerError('issuer-state', 'the key of the issuer cannot be read')
    })
    await asha.locker.issuance.accept(thid)
    await cast.lockers.settled()
    expect(issuance.get(thid)).to.deep.include({
      state: 'requested',
      attention: 'sign',
      reason: 'the key of the issuer cannot be read'
    })
    expect(await refusal(issuance.sign(thid))).to.equal('issuer-state')
    expect(issuance.issuedCredential(issued.id).status).to.equal('unsigned')
    Reflect.set(own, 'signer', signs)
    await issuance.sign(thid)
    await cast.lockers.settled()
    expect(issuance.issuedCredential(issued.id)).to.deep.include({
      state: 'accepted',
      subject: asha.locker.identity.holderDid
    })
    expect(await refusal(issuance.sign(thid))).to.equal('exchange-state')
  })

  it('tells the issuer that the holder does not want it', async () => {
    const issued = await cast.offered()
    await asha.locker.issuance.decline(cast.threadOf(issued), 'The name is wrong.')
    await cast.lockers.settled()
    expect(university.locker.issuance.issuedCredential(issued.id)).to.deep.include({
      state: 'declined',
      status: 'unsigned',
      reason: 'The name is wrong.'
    })
    expect(university.locker.issuance.get(cast.threadOf(issued))).to.deep.include({
      state: 'abandoned',
      ending: 'declined',
      endedByThem: true
    })
  })

  it('takes an offer back, and the holder cannot accept it any more', async () => {
    const issued = await cast.offered()
    const thid = cast.threadOf(issued)
    await university.locker.issuance.withdraw(issued.id, { reason: 'Offered twice.' })
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thid)).to.deep.include({
      state: 'abandoned',
      ending: 'cancelled',
      reason: 'Offered twice.'
    })
    expect(await refusal(asha.locker.issuance.accept(thid))).to.equal('exchange-state')
    expect(await refusal(university.locker.issuance.withdraw(issued.id))).to.equal(
      'credential-state'
    )
  })

  it('waits for the holder who is away, and delivers days later', async () => {
    asha.node.away = true
    const issued = await cast.offered()
    await cast.lockers.clock.advance(9 * 24 * 3_600_000)
    asha.node.away = false
    await cast.lockers.clock.advance(3_600_000)
    await cast.lockers.settled()
    await asha.locker.issuance.accept(cast.threadOf(issued))
    await cast.lockers.settled()
    expect(university.locker.issuance.issuedCredential(issued.id).state).to.equal('accepted')
    expect(cast.kept()).to.have.length(1)
  })

  it('offers to somebody new once the invitation is answered', async () => {
    const { facts, invitation } = await university.locker.issuance.offerByInvitation({
      type: TYPE,
      claims: MARKS,
      name: 'Ravi'
    })
    expect(facts).to.deep.include({ state: 'awaiting-contact', status: 'unsigned' })
    const ravi = await cast.lockers.join('Ravi')
    await university.close()
    await university.open()
    await ravi.locker.contacts.accept(invitation.url, { name: 'University' })
    await until(() => ravi.locker.issuance.list().length === 1, 'Ravi has the offer')
    const [thread] = ravi.locker.issuance.list()
    await ravi.locker.issuance.accept(thread?.thid ?? '')
    await cast.lockers.settled()
    expect(university.locker.issuance.issuedCredential(facts.id)).to.deep.include({
      state: 'accepted',
      subject: ravi.locker.identity.holderDid
    })
    expect(ravi.locker.credentials.list()).to.have.length(1)
  })

  it('leaves no invitation open for what cannot be offered', async () => {
    const { issuance, contacts } = university.locker
    const wish = { type: TYPE, claims: { name: 'Ravi' }, name: 'Ravi' }
    expect(await refusal(issuance.offerByInvitation(wish))).to.equal('claims-invalid')
    expect(contacts.invitations().filter(({ usedBy }) => usedBy === undefined)).to.be.empty
  })

  it('signs at once for a caller that delivers it', async () => {
    const { issuance } = university.locker
    const { facts, credential } = await issuance.issue({
      type: TYPE,
      claims: MARKS,
      subject: asha.locker.identity.holderDid
    })
    expect(facts).to.deep.include({ state: 'issued', status: 'valid' })
    expect(issuance.signedText(facts.id)).to.equal(credential)
    expect((await issuance.revoke(facts.id, { reason: 'typo' })).status).to.equal('revoked')
  })

  it('ends what is open with a contact that is removed', async () => {
    const issued = await cast.offered()
    const thid = cast.threadOf(issued)
    const { contacts, issuance } = university.locker
    await contacts.remove(contacts.get('Asha').did)
    await cast.lockers.settled()
    expect(issuance.get(thid).state).to.equal('abandoned')
    expect(issuance.issuedCredential(issued.id).state).to.equal('withdrawn')
    expect(asha.locker.issuance.get(thid)).to.deep.include({
      state: 'abandoned',
      reason: 'contact removed'
    })
  })

  it('has an entry in both logs for everything that happened', async () => {
    await cast.delivered()
    expect(await credentialActions(university)).to.deep.equal([
      'credential-prepared',
      'credential-offered',
      'credential-issued',
      'credential-delivered'
    ])
    expect(await credentialActions(asha)).to.deep.equal([
      'credential-offered',
      'credential-received'
    ])
  })

  it('forgets a credential with its document, and shows none from the trash', async () => {
    await cast.delivered()
    const id = cast.kept()[0]?.id ?? ''
    await asha.locker.documents.trash(id)
    expect(cast.kept()).to.be.empty
    await asha.locker.documents.restore(id)
    expect(cast.kept()).to.have.length(1)
    await asha.locker.documents.delete(id)
    await asha.close()
    await asha.open()
    expect(cast.kept()).to.be.empty
    expect(await refusalOf(() => asha.locker.credentials.get(id))).to.equal('credential-unknown')
  })
})

/** The code of what a call that does not wait throws. */
async function refusalOf(work: () => unknown): Promise<string> {
  return refusal((async () => work())())
}
