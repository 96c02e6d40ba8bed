import { expect } from 'chai'
import { openAudit, type Audit } from '../../agent/audit.ts'
import type { Records } from '../../agent/records.ts'
import {
  mayDo,
  openStaff,
  STAFF_ACTIONS,
  STAFF_MAX,
  STAFF_ROLES,
  type Staff,
  type StaffAction,
  type StaffRole
} from '../../agent/staff.ts'
import { ManualClock, secureRandom } from './faults.ts'
import { failure, Home } from './record-home.ts'

const HOUR = 3_600_000

/** The table a second time, the other way round: what each role may do, and by absence what it may not. */
const MAY: Readonly<Record<StaffRole, readonly StaffAction[]>> = {
  owner: STAFF_ACTIONS,
  admin: STAFF_ACTIONS.filter((action) => action !== 'issuer:rotate-key'),
  issuer: [
    'issuer:read',
    'types:read',
    'registry:read',
    'credentials:read',
    'credentials:issue',
    'credentials:approve',
    'credentials:revoke'
  ],
  registrar: [
    'issuer:read',
    'types:read',
    'types:change',
    'registry:read',
    'registry:change',
    'credentials:read'
  ],
  auditor: [
    'issuer:read',
    'staff:read',
    'types:read',
    'registry:read',
    'credentials:read',
    'activity:read'
  ],
  service: ['issuer:read', 'types:read', 'registry:read', 'credentials:read', 'credentials:issue']
}

const codeOf = async (work: Promise<unknown>): Promise<string> => (await failure(work)).code

describe('agent/staff', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let staff: Staff

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
    staff = await openStaff({ records, audit, clock, random: secureRandom })
  }
  const join = async (role: StaffRole, name: string = role): Promise<string> =>
    (await staff.add({ name, role })).facts.id

  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock()
    await open()
  })

  describe('role × action', () => {
    for (const role of STAFF_ROLES)
      for (const action of STAFF_ACTIONS) {
        const may = MAY[role].includes(action)
        it(`${role} ${may ? 'may' : 'may not'} ${action}`, async () => {
          const id = await join(role)
          expect(mayDo(role, action)).to.equal(may)
          expect(staff.get(id).scopes.includes(action)).to.equal(may)
          if (may) staff.require(id, action)
          else expect(() => staff.require(id, action)).to.throw('does not allow')
        })
      }

    it('the owner of the locker may everything, and nobody unknown may anything', () => {
      for (const action of STAFF_ACTIONS) {
        staff.require('owner', action)
        for (const id of ['nobody', '__proto__', ''])
          expect(() => staff.require(id, action)).to.throw('no member of staff')
      }
    })
  })

  it('knows an account by its token, also after the locker was opened again', async () => {
    const { facts, token } = await staff.add({ name: '  Asha   Rao ', role: 'registrar' })
    expect(token).to.match(/^els_[A-Za-z0-9_-]{43}$/)
    expect(facts).to.deep.include({ name: 'Asha Rao', role: 'registrar' })
    await records.close()
    await open()
    expect(staff.check(token)).to.deep.equal(facts)
    expect(staff.list()).to.deep.equal([facts])
  })

  it('keeps no text of a token, on disk or in what it tells', async () => {
    const { token } = await staff.add({ name: 'Asha', role: 'issuer' })
    const secret = token.slice(4)
    expect(JSON.stringify([staff.list(), await audit.list()])).to.not.include(secret)
    await records.close()
    for (const [, value] of await home.db.contents())
      expect(Buffer.from(value).toString('latin1')).to.not.include(secret)
  })

  it('knows no other text', async () => {
    const { token } = await staff.add({ name: 'Asha', role: 'issuer' })
    const wrong = ['', 'els_', token.slice(0, -1), `${token}A`, token.replace('els_', 'elk_')]
    for (const text of [...wrong, `els_${'A'.repeat(43)}`, '__proto__'])
      expect(staff.check(text), text).to.equal(undefined)
  })

  it('ends an account at its time, for the token and for the role', async () => {
    const expiresAt = new Date(clock.now().getTime() + HOUR)
    const { facts, token } = await staff.add({ name: 'Asha', role: 'admin', expiresAt })
    clock.advance(HOUR - 1)
    expect(staff.check(token)?.id).to.equal(facts.id)
    staff.require(facts.id, 'types:publish')
    clock.advance(1)
    expect(staff.check(token)).to.equal(undefined)
    expect(() => staff.require(facts.id, 'types:publish')).to.throw('does not allow')
    expect(staff.mayApprove(facts.id, 'owner')).to.equal(false)
  })

  it('replaces a token: the old one is nothing at once', async () => {
    const { facts, token } = await staff.add({ name: 'Asha', role: 'issuer' })
    const replaced = await staff.replaceToken(facts.id)
    expect(staff.check(token)).to.equal(undefined)
    expect(staff.check(replaced.token)?.id).to.equal(facts.id)
  })

  it('changes name and role, and removes', async () => {
    const { facts, token } = await staff.add({ name: 'Asha', role: 'issuer' })
    expect(await staff.change(facts.id, { name: 'Asha Rao' })).to.deep.include({
      name: 'Asha Rao',
      role: 'issuer'
    })
    expect((await staff.change(facts.id, { role: 'auditor' })).scopes).to.deep.equal(MAY.auditor)
    await staff.remove(facts.id)
    expect(staff.check(token)).to.equal(undefined)
    for (const work of [
      staff.remove(facts.id),
      staff.change(facts.id, { name: 'X' }),
      staff.replaceToken(facts.id),
      staff.remove('constructor')
    ])
      expect(await codeOf(work)).to.equal('staff-unknown')
  })

  it('lets admins manage everybody but owners, and nobody below them manage anybody', async () => {
    const owner = await join('owner')
    for (const role of STAFF_ROLES) {
      const by = await join(role, `${role} who acts`)
      for (const target of STAFF_ROLES) {
        const may = role === 'owner' || (role === 'admin' && target !== 'owner')
        const id = await join(target, `${target} of ${role}`)
        const attempts: Array<() => Promise<unknown>> = [
          () => staff.add({ name: 'new', role: target, by }),
          () => staff.change(id, { name: 'other', by }),
          () => staff.replaceToken(id, { by }),
          () => staff.remove(id, { by })
        ]
        for (const attempt of attempts)
          if (may) await attempt()
          else expect(await codeOf(attempt()), `${role} and ${target}`).to.equal('role-forbidden')
      }
      // No way up: neither for somebody else nor for oneself.
      if (role === 'owner') continue
      expect(await codeOf(staff.change(by, { role: 'owner', by }))).to.equal('role-forbidden')
    }
    expect(staff.get(owner).role).to.equal('owner')
  })

  it('asks for two people where one asks and one approves', async () => {
    const [asha, binod, service, auditor] = [
      await join('issuer', 'Asha'),
      await join('issuer', 'Binod'),
      await join('service'),
      await join('auditor')
    ]
    expect(staff.mayApprove(binod, asha)).to.equal(true)
    expect(staff.mayApprove(asha, asha)).to.equal(false)
    expect(staff.mayApprove(asha, service)).to.equal(true)
    expect(staff.mayApprove('owner', asha)).to.equal(true)
    expect(staff.mayApprove('owner', 'owner')).to.equal(false)
    for (const other of [service, auditor, 'nobody', '__proto__'])
      expect(staff.mayApprove(other, asha), other).to.equal(false)
  })

  it('notes who did what to whom', async () => {
    const admin = await join('admin')
    const { facts } = await staff.add({ name: 'Asha', role: 'issuer', by: admin })
    await staff.remove(facts.id, { by: admin })
    const entries = (await audit.list()).map(({ action, actor, details }) => [
      action,
      actor,
      details?.['role']
    ])
    expect(entries).to.deep.equal([
      ['staff-removed', admin, 'issuer'],
      ['staff-added', admin, 'issuer'],
      ['staff-added', 'owner', 'admin']
    ])
  })

  it('refuses names, roles and times that cannot be', async () => {
    const role = 'issuer'
    const refused = [
      { name: '', role },
      { name: ' ', role },
      { name: 'n'.repeat(500), role },
      { name: 'a\u202eb', role },
      { name: 'n', role: 'root' as StaffRole },
      { name: 'n', role: '__proto__' as StaffRole },
      { name: 'n', role, expiresAt: clock.now() } as const,
      { name: 'n', role, expiresAt: new Date(Number.NaN) } as const
    ] as const
    for (const options of refused)
      expect(await codeOf(staff.add(options))).to.equal('request-invalid')
    expect(staff.list()).to.deep.equal([])
  })

  it(`keeps at most ${STAFF_MAX}`, async () => {
    for (let count = 0; count < STAFF_MAX; count++) await join('auditor', `auditor ${count}`)
    expect(await codeOf(staff.add({ name: 'one more', role: 'auditor' }))).to.equal(
      'request-invalid'
    )
  })
})
