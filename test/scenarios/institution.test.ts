/**
 * An institution run from the command line, in two processes.
 *
 * 1. The university sets itself up with staff, and takes its register from a CSV file; a row that does not fit is
 *    named, and the exit code says so.
 * 2. Alice asks for her badge. Two records fit, so it waits; the university says until when, chooses one, and Alice
 *    accepts. Asked again, it refuses with a reason.
 * 3. The badge is suspended, reinstated and corrected; of the two, one is current.
 * 4. A member of staff prepares a badge over HTTP, the owner approves it on the command line.
 * 5. Nothing more is issued under a deprecated kind; what is unknown is said to be so.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import type { CredentialFacts, InboxItem, IssuanceFacts, IssuedFacts } from '../../agent/agent.ts'
import type { ImportReport, RegistryRecord } from '../../agent/registry.ts'
import { eventually, Party } from './processes.ts'

const TYPE = 'membership'

/** The kind of credential, as its JSON file. */
const MEMBERSHIP = {
  id: TYPE,
  version: '1.0.0',
  category: 'education',
  types: ['Membership'],
  schema: {
    type: 'object',
    properties: {
      name: { type: 'string', title: 'Name' },
      number: { type: 'string', title: 'Number' },
      year: { type: 'integer', title: 'Year' }
    },
    required: ['name', 'number', 'year'],
    additionalProperties: false
  },
  display: { en: { name: 'Membership', fields: {} } },
  disclosure: {},
  template: 'certificate',
  search: ['/name'],
  form: {
    type: 'object',
    properties: { name: { type: 'string', title: 'Name' } },
    required: ['name']
  }
}

/** A file in the folder of a party. */
const write = async (party: Party, name: string, content: unknown): Promise<string> => {
  const path = join(party.folder, name)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('an institution on the command line', function () {
  this.timeout(180_000)
  let university: Party
  let alice: Party

  before(async () => {
    university = await Party.create('University')
    alice = await Party.create('Alice')
    for (const party of [university, alice]) {
      await party.init()
      await party.up()
    }
  })

  after(async () => {
    for (const party of [university, alice]) await party[Symbol.asyncDispose]()
  })

  const requests = (...more: string[]): Promise<IssuanceFacts[]> =>
    university.json('issuer', 'request', 'list', ...more)
  const kept = (): Promise<CredentialFacts[]> => alice.json('credential', 'list')

  /** Accepts the offer that waits, and waits for the credential. */
  async function accept(count: number): Promise<void> {
    const offer = await eventually(async () => {
      const items = await alice.json<InboxItem[]>('inbox', 'list')
      return items.find(({ kind, state }) => kind === 'credential-offer' && state === 'offered')
    }, 'an offer')
    const said = await alice.run('inbox', 'accept', offer.id)
    expect(said.code, said.stderr).to.equal(0)
    await eventually(
      async () => ((await kept()).length === count ? true : undefined),
      `${count} credentials`
    )
  }

  async function ask(): Promise<string> {
    const form = await write(alice, 'form.json', { name: 'Asha Rao' })
    const args = ['--from', 'University', '--type', TYPE, '--form', form]
    const { thid } = await alice.json<IssuanceFacts>('credential', 'ask', ...args)
    await eventually(
      async () => (await requests()).find((each) => each.thid === thid),
      'the request arrives'
    )
    return thid
  }

  it('1. sets itself up, with staff, a kind of credential and a register', async () => {
    const init = ['issuer', 'init', '--name', 'University', '--category', 'education'] as const
    const made = await university.run(...init)
    expect(made.stdout).to.match(/^did:key:z6Mk/)
    expect(made.stderr).to.include('the public listener is off')
    const rotated = await university.run('issuer', 'rotate-key')
    expect(rotated.code).to.equal(1)
    expect(rotated.stderr).to.include('its own key')
    await university.json('issuer', 'type', 'add', await write(university, 'type.json', MEMBERSHIP))
    await university.json('issuer', 'type', 'publish', TYPE)
    const types = await university.run('issuer', 'type', 'list')
    expect(types.stdout).to.match(/^membership\t1\.0\.0\tpublished\tMembership$/m)
    const csv = 'name,number,year\nAsha Rao,1,2025\nAsha Rao,2,2026\nRavi Rao,3,next\n'
    const file = await write(university, 'members.csv', csv)
    const imported = await university.run('issuer', 'record', 'import', TYPE, file, '--json')
    expect(imported.code).to.equal(1)
    const report = JSON.parse(imported.stdout) as ImportReport
    expect(report).to.include({ rows: 3, added: 2, rejected: 1 })
    const shown = await university.run('issuer', 'record', 'list', TYPE, 'asha')
    expect(shown.stdout.trim().split('\n')).to.have.length(2)
    const { did } = await university.json<{ did: string }>('issuer', 'descriptor')
    expect((await university.run('issuer', 'show')).stdout).to.include(did)
  })

  it('2. answers what Alice asks for: later, with the record it chooses, or not', async () => {
    const { url } = await university.json<{ url: string }>('invite', '--name', 'Alice')
    await alice.json('contact', 'add', url, '--name', 'University')
    const thid = await ask()
    const waiting = (await requests())[0]
    expect(waiting).to.include({ thid, attention: 'choose', candidates: 2 })
    const whole = await university.json<{ records: RegistryRecord[] }>(
      ...(['issuer', 'request', 'show', thid] as const)
    )
    expect(whole.records).to.have.length(2)
    await university.json(
      ...(['issuer', 'request', 'pending', thid, '--until', '3d'] as const),
      ...(['--comment', 'the registrar is away'] as const)
    )
    await eventually(async () => {
      const said = await alice.run('credential', 'requests')
      return said.stdout.includes('the registrar is away') || undefined
    }, 'Alice is told')
    const record = whole.records.find(({ claims }) => claims['year'] === 2026)
    await university.json('issuer', 'request', 'deliver', thid, '--record', String(record?.id))
    await accept(1)

    const again = await ask()
    await university.json('issuer', 'request', 'refuse', again, '--reason', 'once is enough')
    await eventually(async () => {
      const all = await alice.run('credential', 'requests')
      return all.stdout.includes('once is enough') || undefined
    }, 'Alice hears the refusal')
    expect((await requests()).map((each) => each.thid)).not.to.include(again)
    expect((await requests('--all')).map((each) => each.thid)).to.include(again)
  })

  it('3. suspends, reinstates and corrects what it issued', async () => {
    const [issued] = await university.json<IssuedFacts[]>('issuer', 'credential', 'list')
    const id = String(issued?.id)
    const decide = (action: string, ...more: string[]): Promise<IssuedFacts> =>
      university.json('issuer', 'credential', action, id, ...more)
    expect(await decide('suspend', '--reason', 'fees')).to.include({ status: 'suspended' })
    await eventually(
      async () => ((await kept())[0]?.state === 'suspended' ? true : undefined),
      'Alice hears of it'
    )
    expect(await decide('reinstate')).to.include({ status: 'valid' })
    const claims = { name: 'Asha V. Rao', number: '2', year: 2026 }
    await decide('replace', '--data', await write(university, 'claims.json', claims))
    await accept(2)
    await eventually(async () => {
      const states = (await kept()).map(({ state }) => state).toSorted()
      return states.join(' ') === 'current replaced' ? true : undefined
    }, 'one of two is current')
    const history = (await decide('show')).history.map(({ what }) => what)
    expect(history).to.include.members(['issued', 'suspended', 'reinstated', 'replaced'])
  })

  it('4. lets a member of staff prepare and the owner approve', async () => {
    await university.json('issuer', 'change', '--second-approval', 'on')
    const args = ['issuer', 'staff', 'add', 'Ravi', '--role', 'issuer'] as const
    const { id, token } = await university.json<{ id: string; token: string }>(...args)
    const base = `${university.ready?.private ?? ''}/api/v1`
    const call = (path: string, method: string, json: unknown): Promise<Response> =>
      fetch(`${base}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(json)
      })
    expect((await call('/issuer', 'PATCH', { secondApproval: false })).status).to.equal(403)
    const claims = { name: 'Asha Rao', number: '4', year: 2027 }
    const offer = await call('/issuer/credentials', 'POST', { type: TYPE, claims, to: 'Alice' })
    const made = (await offer.json()) as IssuedFacts
    expect(made).to.include({ state: 'awaiting-approval', preparedBy: id })
    const approve = ['issuer', 'credential', 'approve', made.id] as const
    expect(await university.json<IssuedFacts>(...approve)).to.include({
      state: 'offered',
      approvedBy: 'owner'
    })
    await university.json(
      'issuer',
      'change',
      '--second-approval',
      'off',
      '--name',
      'The University'
    )
    await university.json('issuer', 'credential', 'withdraw', made.id, '--reason', 'a mistake')
    await university.json('issuer', 'staff', 'remove', id)
    expect((await call('/issuer/credentials', 'POST', {})).status).to.equal(401)
    expect((await university.run('issuer', 'staff', 'list')).stdout).to.equal('')
  })

  it('5. issues nothing more of a deprecated kind, and says what it does not know', async () => {
    await university.json('issuer', 'type', 'deprecate', TYPE)
    const data = await write(university, 'more.json', { name: 'A', number: '5', year: 2027 })
    const refused = await university.run(
      ...(['issue', '--type', TYPE, '--to', 'Alice', '--data', data] as const)
    )
    expect([refused.code, refused.stderr]).to.deep.equal([
      1,
      `elocker: ${TYPE} 1.0.0 is deprecated, not published\n`
    ])
    const codes = async (...args: string[]): Promise<number> => (await university.run(...args)).code
    expect(await codes('issuer', 'type', 'publish', 'nothing')).to.equal(5)
    expect(await codes('issuer', 'credential', 'revoke', 'nothing')).to.equal(5)
    expect(await codes('issuer', 'record', 'show', TYPE, 'nothing')).to.equal(5)
    expect(await codes('credential', 'show', 'nothing')).to.equal(5)
    expect(await codes('issue', '--type', TYPE, '--data', data)).to.equal(2)
    expect(await codes('issuer', 'staff', 'add', 'X', '--role', 'king')).to.equal(2)
    expect(await codes('issuer', 'type', 'add', join(university.folder, 'members.csv'))).to.equal(2)
  })
})
