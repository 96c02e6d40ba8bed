/**
 * The machine of one side stops at every write between an offer and its acknowledgement, before the write or right
 * after it. Started again, both sides come to the same end: one credential, signed once, kept once.
 */
import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import { until } from '../clock.ts'
import { connect, World, type Party } from '../parties.ts'
import { Crash } from './faults.ts'
import { FORM, MARKS, TYPE } from './issuance-cast.ts'

const HOUR_MS = 3_600_000
/** Hours in which the story must have come to its end. */
const HOURS_MAX = 12

interface Stop {
  readonly who: 'University' | 'Asha'
  readonly when: 'before' | 'after'
  readonly write: number
}

interface Cast {
  readonly world: World
  readonly university: Party
  readonly asha: Party
}

async function prepare(seed = 1): Promise<Cast> {
  const world = new World(seed)
  const university = await world.party('University')
  const asha = await world.party('Asha')
  await connect(university, asha)
  await university.agent.issuer.setUp({ names: { en: 'University' }, categories: ['education'] })
  await university.agent.types.publish(TYPE)
  await world.settle()
  for (const { db } of [university, asha]) db.writes.count = 0
  return { world, university, asha }
}

/** What a person at either side does next; what the machine's end keeps them from is tried again later. */
async function goOn({ university, asha }: Cast): Promise<void> {
  try {
    if (university.agent.issuance.issued().length === 0)
      await university.agent.issuance.offer({ type: TYPE, claims: MARKS, to: 'Asha' })
    for (const { thid, attention } of asha.agent.issuance.list({ open: true }))
      if (attention === 'accept') await asha.agent.issuance.accept(thid)
  } catch (error) {
    if (!(error instanceof LockerError)) throw error
  }
}

async function revive(party: Party): Promise<void> {
  if (!party.db.writes.crashed) return
  await party.kill()
  await party.start()
  await party.open()
}

/** Judging takes time of the real machine, and none of the clock's. */
async function judged(asha: Party): Promise<void> {
  await until(
    () =>
      asha.db.writes.crashed || !asha.agent.issuance.list().some(({ state }) => state === 'issued'),
    'Asha has judged what has arrived'
  )
  await asha.world.settle()
}

function isDone({ university, asha }: Cast): boolean {
  return (
    university.agent.issuance.issued().some(({ state }) => state === 'accepted') &&
    asha.agent.credentials.list().length > 0
  )
}

/** From the offer to the end, with the machine of one side stopping once. */
async function play(cast: Cast, stop?: Stop): Promise<void> {
  const { world, university, asha } = cast
  const target = stop?.who === 'Asha' ? asha : university
  const { writes } = target.db
  const crash = (write: number): void => {
    if (write === stop?.write) throw new Crash(`${stop.when} write ${write} of ${stop.who}`)
  }
  if (stop?.when === 'before') writes.plan = crash
  if (stop?.when === 'after') writes.planAfter = crash
  for (let hour = 0; hour < HOURS_MAX && !isDone(cast); hour++) {
    await goOn(cast)
    await world.settle()
    await judged(asha)
    for (const party of [university, asha]) await revive(party)
    await world.pass(HOUR_MS)
    for (const party of [university, asha]) await revive(party)
    await judged(asha)
  }
  // A stop that has not come by now would come while the test looks.
  writes.plan = () => undefined
  writes.planAfter = () => undefined
}

async function check({ university, asha }: Cast, what: string): Promise<void> {
  const issued = university.agent.issuance.issued()
  expect(
    issued.map(({ state, status }) => `${state} ${status}`),
    what
  ).to.deep.equal(['accepted valid'])
  const kept = asha.agent.credentials.list()
  expect(
    kept.map(({ credentialId }) => credentialId),
    what
  ).to.deep.equal([issued[0]?.credentialId])
  const { text } = await asha.agent.credentials.verdictInput(kept[0]?.id ?? '')
  expect(text, what).to.equal(university.agent.issuance.signedText(issued[0]?.id ?? ''))
  expect(asha.agent.documents.list(), what).to.have.length(1)
  for (const { agent } of [university, asha]) {
    expect(agent.damage, what).to.be.empty
    expect((await agent.activity.verify()).ok, what).to.equal(true)
    expect(
      agent.issuance.list().map(({ state }) => state),
      what
    ).to.deep.equal(['done'])
  }
}

describe('agent/issuance when the machine stops', () => {
  for (const who of ['University', 'Asha'] as const)
    it(`gives and keeps one credential, at every write of ${who}`, async function () {
      this.timeout(120_000)
      const whole = await prepare()
      await play(whole)
      await check(whole, 'undisturbed')
      const target = who === 'Asha' ? whole.asha : whole.university
      const writes = target.db.writes.count
      await whole.world[Symbol.asyncDispose]()
      expect(writes).to.be.within(3, 60)
      // Each of the first ones matters; what comes after the story has ended are acknowledgements.
      for (let write = 1; write <= writes; write++)
        for (const when of ['before', 'after'] as const) {
          const cast = await prepare()
          await play(cast, { who, when, write })
          await check(cast, `${who} stopped ${when} write ${write}`)
          await cast.world[Symbol.asyncDispose]()
        }
    })

  it('revokes in list, record and notice, or in none, at every write', async function () {
    this.timeout(120_000)
    for (const when of ['before', 'after'] as const)
      for (let write = 1; write <= 2; write++) {
        const cast = await prepare()
        const { world, university, asha } = cast
        await play(cast)
        const { writes } = university.db
        const start = writes.count
        const crash = (count: number): void => {
          if (count === start + write) throw new Crash(`${when} write ${write}`)
        }
        if (when === 'before') writes.plan = crash
        else writes.planAfter = crash
        const [issued] = university.agent.issuance.issued()
        const told = await university.agent.issuance.revoke(issued?.id ?? '').then(
          () => true,
          (error: unknown) => {
            if (error instanceof LockerError) return false
            throw error
          }
        )
        await world.settle()
        await revive(university)
        await world.pass(HOUR_MS)
        await revive(university)
        const status = university.agent.issuance.issued()[0]?.status
        const set = university.agent.statusLists.list().reduce((sum, list) => sum + list.set, 0)
        const revoked = status === 'revoked'
        if (told) expect(revoked, 'what was acknowledged').to.equal(true)
        expect(set, 'bits that are set').to.equal(revoked ? 1 : 0)
        expect(asha.agent.credentials.list()[0]?.state).to.equal(revoked ? 'revoked' : 'current')
        await world[Symbol.asyncDispose]()
      }
  })

  it('comes to the same end over a network that drops, doubles and reorders', async function () {
    this.timeout(120_000)
    for (let seed = 1; seed <= 12; seed++) {
      const cast = await prepare(seed)
      const { world, university, asha } = cast
      const { registry, issuance } = university.agent
      for (const percentage of [61, 62]) await registry.put(TYPE, { ...MARKS, percentage })
      Object.assign(world.network.faults, { drop: 0.3, duplicate: 0.3, reorder: 0.3 })
      const { thid } = await asha.agent.issuance.propose({
        to: 'University',
        type: TYPE,
        form: FORM
      })
      for (let hour = 0; hour < 96 && !isDone(cast); hour++) {
        await world.pass(HOUR_MS)
        world.network.release()
        const [waiting] = issuance.list({ role: 'issuer' })
        if (waiting?.attention === 'choose') {
          // Two messages one after the other: the second may overtake the first.
          await issuance.pending(thid, { comment: 'now' })
          const [record] = await issuance.candidates(thid)
          await issuance.deliver(thid, { record: record?.id ?? '' })
        }
        if (asha.agent.issuance.get(thid).attention === 'accept')
          await asha.agent.issuance.accept(thid)
        await world.settle()
        await judged(asha)
      }
      await check(cast, `seed ${seed}`)
      await world[Symbol.asyncDispose]()
    }
  })
})
