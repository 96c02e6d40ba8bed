import { expect } from 'chai'
import {
  CREDENTIAL_STATUS,
  REVOCATION_FORMAT,
  REVOCATION_NOTIFICATION
} from '../../protocols/credential-status.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import { openStatusList, statusIn } from '../../protocols/credential/status-list.ts'
import { failure, refusal } from '../lockers.ts'
import { noSpace } from './faults.ts'
import {
  credentialActions,
  MARKS,
  openIssuanceCast,
  textOf,
  type IssuanceCast
} from './issuance-cast.ts'

describe('agent/issuance, what a credential is worth', () => {
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

  /** What the university's signed lists say of a kept credential, by purpose. */
  async function listed(document: string): Promise<Record<string, boolean>> {
    const credential = JSON.parse(await textOf(asha, document)) as JsonObject
    const { statusLists } = university.locker
    const said: Record<string, boolean> = {}
    for (const entry of credential['credentialStatus'] as readonly JsonObject[]) {
      const facts = statusLists.list().find(({ url }) => url === entry['statusListCredential'])
      const opened = await openStatusList(await statusLists.signed(facts?.id ?? ''))
      if (!opened.ok) throw new Error(opened.reason)
      const status = statusIn(entry, opened.list)
      if (!status.ok) throw new Error(status.reason)
      said[status.purpose] = status.set
    }
    return said
  }

  it('suspends, reinstates and revokes, in list, record and word to the holder', async () => {
    const { id } = await cast.delivered()
    const { issuance } = university.locker
    const document = cast.kept()[0]?.id ?? ''
    expect(await listed(document)).to.deep.equal({ revocation: false, suspension: false })
    await issuance.suspend(id, { reason: 'Under inquiry.' })
    await cast.lockers.settled()
    expect(await listed(document)).to.deep.equal({ revocation: false, suspension: true })
    expect(cast.kept()[0]).to.deep.include({ state: 'suspended', reason: 'Under inquiry.' })
    await issuance.reinstate(id, { reason: 'Cleared.' })
    await cast.lockers.settled()
    expect(await listed(document)).to.deep.equal({ revocation: false, suspension: false })
    expect(cast.kept()[0]).to.deep.include({ state: 'current', reason: 'Cleared.' })
    await issuance.revoke(id, { reason: 'Issued to the wrong person.' })
    await cast.lockers.settled()
    expect(await listed(document)).to.deep.equal({ revocation: true, suspension: false })
    expect(cast.kept()[0]).to.deep.include({
      state: 'revoked',
      reason: 'Issued to the wrong person.'
    })
    expect(issuance.issuedCredential(id)).to.deep.include({ state: 'accepted', status: 'revoked' })
    expect((await credentialActions(university)).slice(-3)).to.deep.equal([
      'credential-suspended',
      'credential-reinstated',
      'credential-revoked'
    ])
    expect((await credentialActions(asha)).slice(-3)).to.deep.equal([
      'credential-status-told',
      'credential-status-told',
      'credential-status-told'
    ])
  })

  it('changes only what can be changed', async () => {
    const { issuance } = university.locker
    const offered = await cast.offered()
    for (const change of ['suspend', 'reinstate', 'revoke'] as const)
      expect(await refusal(issuance[change](offered.id)), change).to.equal('credential-state')
    expect(await refusal(issuance.revoke('nothing'))).to.equal('credential-unknown')
    const { id } = await cast.delivered()
    expect(await refusal(issuance.reinstate(id))).to.equal('credential-state')
    expect(await refusal(issuance.suspend(id, { reason: 'x'.repeat(501) }))).to.equal(
      'request-invalid'
    )
    await issuance.revoke(id)
    for (const change of ['suspend', 'reinstate', 'revoke'] as const)
      expect(await refusal(issuance[change](id)), change).to.equal('credential-state')
    expect(await refusal(issuance.replace(id))).to.equal('credential-state')
  })

  it('changes nothing at all when it cannot be written', async () => {
    const { id } = await cast.delivered()
    const document = cast.kept()[0]?.id ?? ''
    university.db.batchFails = () => ({ error: noSpace(), written: false })
    expect((await failure(university.locker.issuance.revoke(id))).code).to.equal('storage-full')
    university.db.batchFails = undefined
    await cast.lockers.settled()
    expect(university.locker.issuance.issuedCredential(id).status).to.equal('valid')
    expect(await listed(document)).to.deep.equal({ revocation: false, suspension: false })
    expect(cast.kept()[0]?.state).to.equal('current')
  })

  it('corrects: exactly one of the series holds, and the old one says which', async () => {
    const first = await cast.delivered()
    const { issuance } = university.locker
    const claims = { ...MARKS, name: 'Asha R. Kulkarni' }
    const next = await issuance.replace(first.id, { claims, comment: 'The name was wrong.' })
    await cast.lockers.settled()
    expect(next.series).to.equal(first.series)
    // Offered, not signed: the old one holds.
    expect(issuance.issuedCredential(first.id).status).to.equal('valid')
    expect(await refusal(issuance.replace(first.id))).to.equal('credential-state')
    await asha.locker.issuance.accept(cast.threadOf(issuance.issuedCredential(next.id)))
    await cast.lockers.settled()
    const series = issuance.issued({ series: first.series })
    expect(series.map(({ status }) => status).toSorted()).to.deep.equal(['replaced', 'valid'])
    expect(issuance.issuedCredential(first.id)).to.deep.include({
      status: 'replaced',
      replacedBy: next.id,
      reason: 'The name was wrong.'
    })
    const kept = new Map(cast.kept().map((each) => [each.credentialId, each]))
    const [old, now] = [kept.get(first.credentialId), kept.get(next.credentialId)]
    expect(old).to.deep.include({ state: 'replaced', replacedBy: now?.id })
    expect(now).to.deep.include({ state: 'current', replaces: old?.id })
    expect(await listed(old?.id ?? '')).to.deep.include({ revocation: true })
    expect(await listed(now?.id ?? '')).to.deep.include({ revocation: false })
  })

  it('renews with the same claims, and leaves the old one when the new is declined', async () => {
    const first = await cast.delivered()
    const { issuance } = university.locker
    const validUntil = new Date('2036-01-01T00:00:00.000Z')
    const next = await issuance.replace(first.id, { validUntil })
    expect(next).to.deep.include({ validUntil: validUntil.toISOString(), claims: first.claims })
    await cast.lockers.settled()
    await asha.locker.issuance.decline(cast.threadOf(issuance.issuedCredential(next.id)))
    await cast.lockers.settled()
    expect(issuance.issuedCredential(first.id).status).to.equal('valid')
    const again = await issuance.replace(first.id, { validUntil })
    expect(again.state).to.equal('offered')
  })

  it('leaves a revoked one revoked when its replacement comes after', async () => {
    const first = await cast.delivered()
    const { issuance } = university.locker
    const next = await issuance.replace(first.id)
    await cast.lockers.settled()
    await issuance.revoke(first.id, { reason: 'lost' })
    await asha.locker.issuance.accept(cast.threadOf(issuance.issuedCredential(next.id)))
    await cast.lockers.settled()
    expect(issuance.issuedCredential(first.id)).to.deep.include({
      status: 'revoked',
      replacedBy: next.id
    })
    expect(
      cast
        .kept()
        .map(({ state }) => state)
        .toSorted()
    ).to.deep.equal(['current', 'revoked'])
  })

  it('believes a notice from nobody but the contact the credential came from', async () => {
    const { credentialId } = await cast.delivered()
    const revoke = {
      type: `${REVOCATION_NOTIFICATION}/revoke`,
      thid: 'notice-0001',
      body: { revocation_format: REVOCATION_FORMAT, credential_id: credentialId }
    }
    const item = await cast.mallory.tell(asha, revoke)
    expect(item.lastError).to.match(/^e\.p\.msg\.unexpected/)
    const changed = {
      type: `${CREDENTIAL_STATUS}/changed`,
      thid: 'notice-0002',
      body: {
        credential_id: credentialId,
        status: 'suspended',
        at: cast.lockers.clock.now().toISOString()
      }
    }
    expect((await cast.mallory.tell(asha, changed)).state).to.equal('failed')
    // About one that is not here, the answer is the same.
    const other = { ...revoke.body, credential_id: 'urn:uuid:00000000-0000-4000-8000-000000000000' }
    const unknown = await university.tell(asha, { ...revoke, thid: 'notice-0003', body: other })
    expect(unknown.lastError).to.equal(item.lastError)
    expect(cast.kept()[0]?.state).to.equal('current')
    const unread = { ...revoke.body, revocation_format: 'indy-anoncreds' }
    const odd = await university.tell(asha, { ...revoke, thid: 'notice-0004', body: unread })
    expect(odd.lastError).to.match(/^e\.p\.msg\.invalid/)
  })

  it('is not reinstated by a late notice once it is revoked', async () => {
    const { id, credentialId } = await cast.delivered()
    await university.locker.issuance.revoke(id)
    await cast.lockers.settled()
    await university.tell(asha, {
      type: `${CREDENTIAL_STATUS}/changed`,
      thid: 'notice-0005',
      body: {
        credential_id: credentialId,
        status: 'reinstated',
        at: cast.lockers.clock.now().toISOString()
      }
    })
    expect(cast.kept()[0]?.state).to.equal('revoked')
  })

  it('revokes what a contact holds that has been removed, and tells nobody', async () => {
    const { id } = await cast.delivered()
    await university.locker.contacts.remove(university.locker.contacts.get('Asha').did)
    expect((await university.locker.issuance.revoke(id)).status).to.equal('revoked')
    expect(university.locker.issuance.issuedCredential(id).to?.name).to.equal('Asha')
  })
})
