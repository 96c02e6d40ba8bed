import { expect } from 'chai'
import { refusal } from '../lockers.ts'
import { FORM, MARKS, openIssuanceCast, TYPE, type IssuanceCast } from './issuance-cast.ts'

describe('agent/issuance, asked for by the holder', () => {
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

  const recorded = (name = 'Asha Kulkarni'): Promise<{ id: string }> =>
    university.locker.registry.put(TYPE, { ...MARKS, name })

  it('offers at once what one record says', async () => {
    await recorded()
    const thread = await cast.proposed()
    expect(thread).to.deep.include({ state: 'offered', attention: 'accept', openedBy: 'us' })
    expect(thread.offer?.preview).to.deep.equal(MARKS)
    await asha.locker.issuance.accept(thread.thid)
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thread.thid)).to.deep.include({
      state: 'done',
      credentialId: cast.kept()[0]?.id
    })
    const [issued] = university.locker.issuance.issued()
    expect(issued).to.deep.include({ state: 'accepted', preparedBy: 'locker', thid: thread.thid })
  })

  it('begins with a request as well as with a proposal', async () => {
    await recorded()
    const { issuance } = asha.locker
    const { thid, state } = await issuance.request({ to: 'University', type: TYPE, form: FORM })
    expect(state).to.equal('requested')
    await cast.lockers.settled()
    expect(issuance.get(thid).state).to.equal('offered')
    await issuance.accept(thid)
    await cast.lockers.settled()
    expect(issuance.get(thid).state).to.equal('done')
  })

  it('answers what the holder wants instead of what was offered', async () => {
    await recorded()
    const first = await cast.offered({ claims: { ...MARKS, name: 'Asha K.' } })
    const thid = cast.threadOf(first)
    await asha.locker.issuance.counter(thid, { form: FORM, comment: 'My name is longer.' })
    await cast.lockers.settled()
    expect(university.locker.issuance.issuedCredential(first.id)).to.deep.include({
      state: 'declined',
      reason: 'My name is longer.'
    })
    const again = asha.locker.issuance.get(thid)
    expect(again).to.deep.include({ state: 'offered', attention: 'accept' })
    expect(again.offer?.preview).to.deep.equal(MARKS)
    await asha.locker.issuance.accept(thid)
    await cast.lockers.settled()
    expect(
      university.locker.issuance
        .issued()
        .map(({ state }) => state)
        .toSorted()
    ).to.deep.equal(['accepted', 'declined'])
    expect(await refusal(asha.locker.issuance.counter(thid))).to.equal('exchange-state')
  })

  it('issues in the format the holder prefers', async () => {
    await recorded()
    const { thid } = await asha.locker.issuance.propose({
      to: 'University',
      type: TYPE,
      form: FORM,
      formats: ['sd-jwt-vc']
    })
    await cast.lockers.settled()
    await asha.locker.issuance.accept(thid)
    await cast.lockers.settled()
    expect(cast.kept()[0]?.format).to.equal('sd-jwt-vc')
  })

  it('says that there is no record, and why a form does not fit', async () => {
    const none = await cast.proposed()
    expect(none).to.deep.include({ state: 'abandoned', ending: 'failed', endedByThem: true })
    expect(none.reason).to.equal('No record fits what the form says.')
    const unfit = await cast.proposed({ rollNumber: 7 })
    expect(unfit.state).to.equal('abandoned')
    expect(unfit.reason).to.match(/^The form does not fit: .*(name|rollNumber)/)
    const { issuance } = asha.locker
    const unknown = await issuance.propose({ to: 'University', type: 'diploma' })
    await cast.lockers.settled()
    expect(issuance.get(unknown.thid).reason).to.equal('diploma is not issued here.')
    const nobody = await issuance.propose({ to: 'Mallory', type: TYPE, form: FORM })
    await cast.lockers.settled()
    expect(issuance.get(nobody.thid).reason).to.equal(`${TYPE} is not issued here.`)
    const states = university.locker.issuance.list({ role: 'issuer' }).map(({ state }) => state)
    expect(states).to.deep.equal(['abandoned', 'abandoned', 'abandoned'])
  })

  it('leaves several records to a person, who delivers days later', async () => {
    const one = await recorded()
    await university.locker.registry.put(TYPE, { ...MARKS, percentage: 12 })
    const thread = await cast.proposed()
    expect(thread).to.deep.include({
      state: 'proposed',
      reason: 'Somebody at the issuer looks at it.'
    })
    const { issuance } = university.locker
    const [work] = issuance.list({ role: 'issuer', open: true })
    expect(work).to.deep.include({ attention: 'choose', candidates: 2, state: 'proposed' })
    expect(university.inbox()[0]).to.deep.include({ kind: 'credential-request', subject: TYPE })
    expect((await issuance.candidates(thread.thid)).map(({ id }) => id)).to.include(one.id)
    const expectedTime = new Date('2026-11-26T12:00:00.000Z')
    await issuance.pending(thread.thid, { expectedTime, comment: 'On Thursday.' })
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thread.thid)).to.deep.include({
      state: 'proposed',
      expectedAt: expectedTime.toISOString(),
      reason: 'On Thursday.'
    })
    await cast.lockers.clock.advance(3 * 24 * 3_600_000)
    await issuance.deliver(thread.thid, { record: one.id })
    await cast.lockers.settled()
    expect(issuance.get(thread.thid)).to.not.have.property('attention')
    await asha.locker.issuance.accept(thread.thid)
    await cast.lockers.settled()
    expect(cast.kept()).to.have.length(1)
  })

  it('takes one answer to a proposal and no second', async () => {
    const one = await recorded()
    const other = await university.locker.registry.put(TYPE, { ...MARKS, percentage: 12 })
    const { thid } = await cast.proposed()
    const { issuance } = university.locker
    await issuance.deliver(thid, { record: one.id })
    expect(await refusal(issuance.deliver(thid, { record: other.id }))).to.equal('exchange-state')
    expect(issuance.issued()).to.have.length(1)
    const wrong = await university.locker.registry.put(TYPE, { ...MARKS, name: 'Other' })
    await university.locker.registry.remove(wrong.id)
    const again = await cast.proposed()
    const lost = issuance.deliver(again.thid, { record: wrong.id })
    expect(await refusal(lost)).to.equal('record-unknown')
    await issuance.deliver(again.thid, { claims: MARKS, by: 'owner' })
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(again.thid).state).to.equal('offered')
  })

  it('gives a kind without a form to a person', async () => {
    const { form: _form, ...type } = university.locker.types.get(TYPE).type
    await university.locker.types.save({ ...type, id: 'letter', version: '1.0.0' })
    await university.locker.types.publish('letter')
    const { thid } = await asha.locker.issuance.propose({ to: 'University', type: 'letter' })
    await cast.lockers.settled()
    expect(university.locker.issuance.get(thid).attention).to.equal('choose')
    await university.locker.issuance.refuse(thid, { reason: 'Come by in person.' })
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thid)).to.deep.include({
      state: 'abandoned',
      ending: 'declined',
      reason: 'Come by in person.'
    })
  })

  it('lets the holder cancel, and the issuer knows', async () => {
    await recorded()
    await university.locker.registry.put(TYPE, { ...MARKS, percentage: 12 })
    const { thid } = await cast.proposed()
    await asha.locker.issuance.cancel(thid, 'Not needed any more.')
    await cast.lockers.settled()
    const { issuance } = university.locker
    expect(issuance.get(thid)).to.deep.include({
      state: 'abandoned',
      ending: 'cancelled',
      endedByThem: true,
      reason: 'Not needed any more.'
    })
    expect(await refusal(issuance.deliver(thid, { claims: MARKS }))).to.equal('exchange-state')
    expect(await refusal(issuance.pending(thid))).to.equal('exchange-state')
  })

  it('cancels an accepted request whose credential has not come', async () => {
    await recorded()
    const { thid } = await cast.proposed()
    university.node.away = true
    await asha.locker.issuance.accept(thid)
    await asha.locker.issuance.cancel(thid)
    university.node.away = false
    await cast.lockers.clock.advance(3_600_000)
    await cast.lockers.settled()
    expect(asha.locker.issuance.get(thid).state).to.equal('abandoned')
    expect(cast.kept()).to.be.empty
    // Accepted first and cancelled then: it was signed, the holder refused it, and a person may revoke it.
    const [issued] = university.locker.issuance.issued()
    expect(issued).to.deep.include({ state: 'refused', status: 'valid' })
  })

  it('refuses to ask for what no issuer could answer', async () => {
    const { issuance } = asha.locker
    const asked = { to: 'University', type: TYPE }
    for (const [options, code] of [
      [{ ...asked, to: 'Nobody' }, 'contact-unknown'],
      [{ ...asked, type: 'Not An Id' }, 'request-invalid'],
      [{ ...asked, form: { text: 'x'.repeat(40_000) } }, 'request-invalid'],
      [{ ...asked, comment: 'x'.repeat(501) }, 'request-invalid']
    ] as const)
      expect(await refusal(issuance.propose(options)), code).to.equal(code)
    expect(issuance.list()).to.be.empty
    expect(await refusal(issuance.accept('0123456789'))).to.equal('exchange-unknown')
  })

  describe('with a second approval', () => {
    beforeEach(async () => {
      await university.locker.issuer.change({ secondApproval: true })
    })

    it('tells the holder to wait, and offers once another person has approved', async () => {
      await recorded()
      const { thid, state } = await cast.proposed()
      expect(state).to.equal('proposed')
      const { issuance } = university.locker
      expect(issuance.get(thid).attention).to.equal('approve')
      const [prepared] = issuance.issued({ open: true })
      expect(prepared).to.deep.include({ state: 'awaiting-approval', preparedBy: 'locker', thid })
      await issuance.approve(prepared?.id ?? '')
      await cast.lockers.settled()
      expect(issuance.issuedCredential(prepared?.id ?? '')).to.deep.include({
        state: 'offered',
        approvedBy: 'owner'
      })
      await asha.locker.issuance.accept(thid)
      await cast.lockers.settled()
      expect(cast.kept()).to.have.length(1)
    })

    it('lets nobody approve their own', async () => {
      const { staff, issuance } = university.locker
      const clerk = (await staff.add({ name: 'Clerk', role: 'issuer' })).facts.id
      const dean = (await staff.add({ name: 'Dean', role: 'admin' })).facts.id
      const auditor = (await staff.add({ name: 'Auditor', role: 'auditor' })).facts.id
      const wish = { type: TYPE, claims: MARKS, to: 'Asha', by: clerk }
      const { id, state } = await issuance.offer(wish)
      expect(state).to.equal('awaiting-approval')
      expect(asha.locker.issuance.list()).to.be.empty
      expect(await refusal(issuance.approve(id, { by: clerk }))).to.equal('role-forbidden')
      expect(await refusal(issuance.approve(id, { by: auditor }))).to.equal('role-forbidden')
      await issuance.approve(id, { by: dean })
      await cast.lockers.settled()
      expect(asha.locker.issuance.list()).to.have.length(1)
      expect(await refusal(issuance.approve(id, { by: dean }))).to.equal('credential-state')
      const direct = issuance.issue({ type: TYPE, claims: MARKS })
      expect(await refusal(direct)).to.equal('issuer-state')
    })

    it('offers to who has answered the invitation before it was approved', async () => {
      const { issuance } = university.locker
      const { facts, invitation } = await issuance.offerByInvitation({
        type: TYPE,
        claims: MARKS,
        by: 'clerk'
      })
      expect(facts.state).to.equal('awaiting-approval')
      const ravi = await cast.lockers.join('Ravi')
      await ravi.locker.contacts.accept(invitation.url, { name: 'University' })
      await cast.lockers.settled()
      expect(ravi.locker.issuance.list()).to.be.empty
      await issuance.approve(facts.id)
      await cast.lockers.settled()
      expect(ravi.locker.issuance.list()[0]).to.deep.include({ state: 'offered' })
    })

    it('takes back what nobody approves', async () => {
      await recorded()
      const { thid } = await cast.proposed()
      const { issuance } = university.locker
      const [prepared] = issuance.issued()
      await issuance.withdraw(prepared?.id ?? '', { reason: 'Fees are due.' })
      await cast.lockers.settled()
      expect(asha.locker.issuance.get(thid)).to.deep.include({
        state: 'abandoned',
        reason: 'Fees are due.'
      })
    })
  })
})
