/** Notices of status: their tables, their page and their bodies. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { advance, type Direction } from '../../protocols/exchange.ts'
import {
  CREDENTIAL_ID_CHARACTERS_MAX,
  CREDENTIAL_STATUS,
  credentialStatusNotice,
  readStatusNotice,
  REVOCATION_NOTIFICATION,
  revocationNotification,
  STATUS_TEXT_CHARACTERS_MAX,
  type StatusRole,
  type StatusState
} from '../../protocols/credential-status.ts'

const PAGE = readFileSync(new URL('../../protocols/credential-status.md', import.meta.url), 'utf8')
const ROLES: readonly StatusRole[] = ['issuer', 'holder']
const STATES: readonly StatusState[] = ['start', 'told']
const DIRECTIONS: readonly Direction[] = ['send', 'receive']

const ID = 'urn:uuid:9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d'
const REVOKE = { revocation_format: 'BitstringStatusListEntry', credential_id: ID }
const CHANGED = { credential_id: ID, status: 'suspended', at: '2026-11-23T12:00:00Z' }

const revoke = (body: unknown): unknown => readStatusNotice(REVOCATION_NOTIFICATION, 'revoke', body)
const changed = (body: unknown): unknown => readStatusNotice(CREDENTIAL_STATUS, 'changed', body)

for (const protocol of [
  { ...revocationNotification, message: 'revoke' as const },
  { ...credentialStatusNotice, message: 'changed' as const }
])
  describe(`${protocol.piuri}: role × state × direction`, () => {
    for (const role of ROLES)
      for (const state of STATES)
        for (const direction of DIRECTIONS) {
          const may = state === 'start' && (role === 'issuer') === (direction === 'send')
          it(`the ${role} in ${state} ${may ? 'may' : 'refuses to'} ${direction}`, () => {
            const outcome = advance(
              protocol,
              { thid: 't', role, state },
              direction,
              protocol.message
            )
            expect(outcome.ok && outcome.exchange.state).to.equal(may ? 'told' : false)
          })
        }

    it('has the table and the identifier of its page', () => {
      const tables = [...PAGE.matchAll(/^\| role .*\n\|.*\n((?:\|.*\n)+)/gm)].map((match) =>
        (match[1] ?? '')
          .trim()
          .split('\n')
          .map((line) =>
            line
              .split('|')
              .slice(1, -1)
              .map((cell) => cell.trim())
          )
      )
      expect(tables).to.have.length(2)
      expect(tables).to.deep.include(protocol.rules.map((rule) => [...rule]))
      expect(PAGE).to.include(`\`${protocol.piuri}\``)
    })
  })

describe('notices of status', () => {
  it('are read as the page shows them', () => {
    const [first, second] = [...PAGE.matchAll(/```json\n([\s\S]*?)```/g)].map((match): unknown =>
      JSON.parse(match[1] ?? '')
    )
    expect(revoke(first)).to.deep.equal({
      credential_id: ID,
      status: 'revoked',
      reason: 'Issued to the wrong person.'
    })
    expect(changed(second)).to.deep.equal(second)
  })

  it('are read under their own protocol only', () => {
    expect(readStatusNotice(CREDENTIAL_STATUS, 'revoke', REVOKE)).to.equal(undefined)
    expect(readStatusNotice(REVOCATION_NOTIFICATION, 'changed', CHANGED)).to.equal(undefined)
    expect(readStatusNotice('__proto__', 'constructor', {})).to.equal(undefined)
  })

  it('are nothing for another revocation format', () => {
    expect(revoke({ ...REVOKE, revocation_format: 'indy-anoncreds' })).to.equal(undefined)
    expect(revoke({ credential_id: ID })).to.equal(undefined)
  })

  it('name a replacement only for what was replaced', () => {
    const replaced = { ...CHANGED, status: 'replaced', replacement_id: 'urn:uuid:1' }
    expect(changed(replaced)).to.deep.equal(replaced)
    expect(changed({ ...replaced, status: 'revoked' })).to.equal(undefined)
    expect(changed({ ...CHANGED, status: 'replaced' })).to.deep.include({ status: 'replaced' })
  })

  it('are refused for anything that is not in their schema', () => {
    const hostile: readonly object[] = [
      { credential_id: '' },
      { credential_id: 'not a uri' },
      { credential_id: 'urn:a\n' },
      { credential_id: ['urn:a'] },
      { status: 'valid' },
      { status: '__proto__' },
      { at: 'yesterday' },
      { at: 1_774_000_000 },
      { reason: 1 },
      { reason: 'x'.repeat(STATUS_TEXT_CHARACTERS_MAX + 1) }
    ]
    for (const change of hostile)
      expect(changed({ ...CHANGED, ...change }), JSON.stringify(change)).to.equal(undefined)
    for (const body of [null, [], 'x', 1, undefined]) {
      expect(changed(body)).to.equal(undefined)
      expect(revoke(body)).to.equal(undefined)
    }
  })

  it('bound ids and reasons at their limits', () => {
    const longest = `urn:${'x'.repeat(CREDENTIAL_ID_CHARACTERS_MAX - 4)}`
    expect(changed({ ...CHANGED, credential_id: longest })).to.not.equal(undefined)
    expect(changed({ ...CHANGED, credential_id: `${longest}x` })).to.equal(undefined)
    const reason = 'x'.repeat(STATUS_TEXT_CHARACTERS_MAX)
    expect(changed({ ...CHANGED, reason })).to.deep.equal({ ...CHANGED, reason })
    expect(revoke({ ...REVOKE, comment: reason })).to.deep.include({ reason })
    expect(revoke({ ...REVOKE, comment: `${reason}x` })).to.equal(undefined)
  })
})
