/** An institution behind the agent's door: set up, sealed, opened again, stopped and started. */
import { expect } from 'chai'
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { IMPORT_BATCH_RECORDS } from '../../agent/registry.ts'
import { type Party, World } from '../parties.ts'
import { student, TYPE } from './registry-home.ts'

async function code(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    if (error instanceof LockerError) return error.code
    throw error
  }
  throw new Error('nothing was thrown')
}

const DOORS: Readonly<Record<string, (agent: Agent) => unknown>> = {
  issuer: (agent) => agent.issuer.facts(),
  setUp: (agent) => agent.issuer.setUp({ names: { en: 'U' }, categories: ['education'] }),
  types: (agent) => agent.types.list(),
  publish: (agent) => agent.types.publish('vaccination'),
  registry: (agent) => agent.registry.counts(),
  staff: (agent) => agent.staff.list(),
  statusLists: (agent) => agent.statusLists.list()
}

describe('an institution behind the door of its agent', () => {
  let world: World
  let university: Party

  beforeEach(async () => {
    world = new World()
    university = await world.party('University')
  })

  afterEach(() => world[Symbol.asyncDispose]())

  for (const [door, call] of Object.entries(DOORS))
    it(`says vault-sealed at ${door} while the vault is sealed`, async () => {
      await university.agent.vault.seal()
      expect(await code(() => call(university.agent))).to.equal('vault-sealed')
      await university.open()
      await call(university.agent)
    })

  it('is the same after it was sealed and after the agent was stopped', async () => {
    const { issuer, types, registry, staff } = university.agent
    await issuer.setUp({
      names: { en: 'University' },
      categories: ['education'],
      domain: 'university.example'
    })
    await issuer.rotateKey('rotated')
    await types.save(TYPE)
    await types.publish('enrolment')
    await registry.put('enrolment', student(1))
    const { token } = await staff.add({ name: 'Asha', role: 'registrar' })

    const whole = async (): Promise<unknown> => {
      const { agent } = university
      return [
        agent.issuer.facts(),
        agent.issuer.signer().verificationMethod,
        agent.types.published(),
        await agent.registry.match('enrolment', { rollNumber: 'R1' }),
        agent.staff.check(token)
      ]
    }
    const before = await whole()
    await university.agent.vault.seal()
    await university.open()
    expect(await whole()).to.deep.equal(before)
    await university.stop()
    await university.start()
    await university.open()
    expect(await whole()).to.deep.equal(before)
  })

  it('ends an import when it is sealed, and keeps the batches that were stored', async () => {
    const { types, registry, vault } = university.agent
    await types.save(TYPE)
    await types.publish('enrolment')
    let sealing: Promise<void> | undefined
    let closed = false
    async function* rows(): AsyncGenerator {
      try {
        for (let number = 0; number < 10 * IMPORT_BATCH_RECORDS; number++) yield student(number)
      } finally {
        closed = true
      }
    }
    const ended = await code(() =>
      registry.import('enrolment', rows(), {
        onProgress: (count) => {
          if (count === 2 * IMPORT_BATCH_RECORDS) sealing = vault.seal()
        }
      })
    )
    await sealing
    expect(ended).to.equal('vault-sealed')
    expect(closed, 'the source is let go').to.equal(true)
    await university.open()
    const count = (await university.agent.registry.counts()).get('enrolment') ?? 0
    expect(count % IMPORT_BATCH_RECORDS).to.equal(0)
    expect(count).to.be.at.least(2 * IMPORT_BATCH_RECORDS)
  })
})
