import { Buffer } from 'node:buffer'
import { expect } from 'chai'
import { openAudit, type Audit } from '../../agent/audit.ts'
import type { Records } from '../../agent/records.ts'
import {
  openTokens,
  TOKENS_MAX,
  TOKEN_NAME_CHARACTERS_MAX,
  type Tokens
} from '../../agent/tokens.ts'
import { ManualClock, noSpace, secureRandom } from './faults.ts'
import { failure, Home } from './record-home.ts'

const MINUTE = 60_000

describe('agent/tokens', () => {
  let home: Home
  let clock: ManualClock
  let records: Records
  let audit: Audit
  let tokens: Tokens

  async function open(): Promise<void> {
    records = await home.open()
    audit = await openAudit({ records, clock })
    const { logger } = home
    tokens = await openTokens({ records, audit, clock, random: secureRandom, logger })
  }

  beforeEach(async () => {
    home = new Home()
    clock = new ManualClock()
    await open()
  })

  it('knows a token it made, also after the locker was opened again', async () => {
    const { facts, token } = await tokens.create({ name: ' CI ', scopes: ['documents:read'] })
    expect(token).to.match(/^elk_[A-Za-z0-9_-]{43}$/)
    expect(facts).to.deep.include({ name: 'CI', scopes: ['documents:read'] })
    expect(tokens.check(token)?.id).to.equal(facts.id)
    await records.close()
    await open()
    expect(tokens.check(token)?.id).to.equal(facts.id)
  })

  it('keeps no text of the token on disk or in the log', async () => {
    const { token } = await tokens.create({ name: 'CI', scopes: ['admin'] })
    tokens.check(token)
    expect(JSON.stringify(tokens.list())).to.not.include(token.slice(4))
    await records.close()
    const stored = await home.db.contents()
    const secret = token.slice(4)
    for (const [key, value] of stored) {
      expect(key).to.not.include(secret)
      expect(Buffer.from(value).toString('latin1')).to.not.include(secret)
    }
    expect(JSON.stringify(home.logger.events)).to.not.include(secret)
  })

  it('answers nothing for any other text', async () => {
    const { token } = await tokens.create({ name: 'CI', scopes: ['admin'] })
    const wrong = [
      '',
      'elk_',
      token.slice(0, -1),
      `${token}A`,
      token.toUpperCase(),
      token.replace('elk_', ''),
      `elk_${'A'.repeat(43)}`,
      '__proto__',
      'x'.repeat(1_000_000)
    ]
    for (const text of wrong) expect(tokens.check(text)).to.equal(undefined)
    for (let position = 4; position < token.length - 1; position++) {
      const other = token[position] === 'A' ? 'B' : 'A'
      const changed = `${token.slice(0, position)}${other}${token.slice(position + 1)}`
      expect(tokens.check(changed)).to.equal(undefined)
    }
  })

  it('ends a token at its time, to the millisecond', async () => {
    const expiresAt = new Date(clock.now().getTime() + MINUTE)
    const { token } = await tokens.create({ name: 'CI', scopes: ['admin'], expiresAt })
    clock.advance(MINUTE - 1)
    expect(tokens.check(token)?.expiresAt).to.equal(expiresAt.toISOString())
    clock.advance(1)
    expect(tokens.check(token)).to.equal(undefined)
    expect(tokens.list()).to.have.length(1)
  })

  it('ends a revoked token at once, and says when there is none', async () => {
    const { facts, token } = await tokens.create({ name: 'CI', scopes: ['admin'] })
    await tokens.revoke(facts.id)
    expect(tokens.check(token)).to.equal(undefined)
    expect((await failure(tokens.revoke(facts.id))).code).to.equal('token-unknown')
    expect((await failure(tokens.revoke('constructor'))).code).to.equal('token-unknown')
    const actions = (await audit.list()).map((entry) => entry.action)
    expect(actions).to.deep.equal(['token-revoked', 'token-created'])
  })

  it('notes the last use, at most once a minute', async () => {
    const { token } = await tokens.create({ name: 'CI', scopes: ['admin'] })
    const first = clock.now().toISOString()
    const writes = home.db.writes.count
    tokens.check(token)
    tokens.check(token)
    await records.change(() => undefined)
    expect(tokens.list()[0]?.lastUsedAt).to.equal(first)
    const afterOne = home.db.writes.count
    expect(afterOne).to.be.greaterThan(writes)
    clock.advance(MINUTE - 1)
    tokens.check(token)
    await records.change(() => undefined)
    expect(tokens.list()[0]?.lastUsedAt).to.equal(first)
    clock.advance(1)
    tokens.check(token)
    await records.change(() => undefined)
    expect(tokens.list()[0]?.lastUsedAt).to.equal(clock.now().toISOString())
  })

  it('lets a machine in while its last use cannot be written', async () => {
    const { facts, token } = await tokens.create({ name: 'CI', scopes: ['admin'] })
    home.db.batchFails = () => ({ error: noSpace(), written: false })
    expect(tokens.check(token)?.id).to.equal(facts.id)
    await failure(
      records.change((batch) => audit.append(batch, { action: 'vault-opened', actor: 'owner' }))
    )
    home.db.batchFails = undefined
    expect(home.logger.events.map((each) => each.event)).to.include('token-use-not-noted')
    expect(tokens.list()[0]?.lastUsedAt).to.equal(undefined)
  })

  it('refuses names, scopes and times that cannot be', async () => {
    const refused = [
      { name: '', scopes: ['admin'] },
      { name: '   ', scopes: ['admin'] },
      { name: 'n'.repeat(TOKEN_NAME_CHARACTERS_MAX + 1), scopes: ['admin'] },
      { name: 'n', scopes: [] },
      { name: 'n', scopes: ['everything'] },
      { name: 'n', scopes: ['__proto__'] },
      { name: 'n', scopes: ['admin'], expiresAt: clock.now() },
      { name: 'n', scopes: ['admin'], expiresAt: new Date(Number.NaN) }
    ]
    for (const options of refused)
      expect((await failure(tokens.create(options))).code, JSON.stringify(options)).to.equal(
        'request-invalid'
      )
    const longest = { name: 'n'.repeat(TOKEN_NAME_CHARACTERS_MAX), scopes: ['admin', 'admin'] }
    expect((await tokens.create(longest)).facts.scopes).to.deep.equal(['admin'])
    expect(tokens.list()).to.have.length(1)
  })

  it(`keeps at most ${TOKENS_MAX}`, async () => {
    for (let count = 0; count < TOKENS_MAX; count++)
      await tokens.create({ name: `token ${count}`, scopes: ['inbox'] })
    const refused = await failure(tokens.create({ name: 'one more', scopes: ['inbox'] }))
    expect(refused.code).to.equal('request-invalid')
    expect(tokens.list()).to.have.length(TOKENS_MAX)
  })
})
