/**
 * The page may not import the agent, so it repeats the shapes it is answered with. This file does not
 * compile when the two differ, and fails when a code has no words.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import type * as agent from '../../agent/agent.ts'
import { AUDIT_ACTIONS } from '../../agent/audit.ts'
import type { TypeFacts } from '../../agent/credential-types.ts'
import type { LockerErrorCode } from '../../agent/errors.ts'
import type { IssuerFacts } from '../../agent/issuer.ts'
import { SCOPES as GATEWAY_SCOPES } from '../../gateway/auth.ts'
import type * as node from '../../gateway/node-facts.ts'
import type * as page from '../../gateway/web/wire.ts'
import { SCOPES } from '../../gateway/web/wire.ts'

/** `true` only when each of the two can stand for the other. */
type Same<One, Other> = [One] extends [Other] ? ([Other] extends [One] ? true : false) : false

/** One line a shape: a difference makes the element `false`, which is not assignable. */
const same: readonly true[] = [
  true satisfies Same<page.VaultState, agent.VaultState>,
  true satisfies Same<page.Secret, agent.Secret>,
  true satisfies Same<page.OwnerFacts, agent.OwnerFacts>,
  true satisfies Same<page.RecoveryKit, agent.RecoveryKit>,
  true satisfies Same<page.DocumentFacts, agent.DocumentFacts>,
  true satisfies Same<page.CheckReport, agent.CheckReport>,
  true satisfies Same<page.GrantFacts, agent.GrantFacts>,
  true satisfies Same<page.LinkFacts, agent.LinkFacts>,
  true satisfies Same<page.RequestFacts, agent.RequestFacts>,
  true satisfies Same<page.InboxItem, agent.InboxItem>,
  true satisfies Same<page.ContactFacts, agent.ContactFacts>,
  true satisfies Same<page.InvitationFacts, agent.InvitationFacts>,
  true satisfies Same<Omit<page.ActivityEntry, 'action'>, Omit<agent.ActivityEntry, 'action'>>,
  true satisfies Same<page.OutboxItem, agent.OutboxItem>,
  true satisfies Same<page.TokenFacts, agent.TokenFacts>,
  true satisfies Same<page.AgentEvent, agent.AgentEvent>,
  true satisfies Same<page.Verification, agent.Verification>,
  true satisfies Same<page.CredentialFacts, agent.CredentialFacts>,
  true satisfies Same<page.IssuanceFacts, agent.IssuanceFacts>,
  true satisfies Same<page.IssuedFacts, agent.IssuedFacts>,
  true satisfies Same<page.IssuerFacts, IssuerFacts>,
  true satisfies Same<page.TypeFacts, TypeFacts>,
  true satisfies Same<page.PeerFacts, node.PeerFacts>,
  true satisfies Same<page.StorageFacts, node.StorageFacts>,
  true satisfies Same<page.NodeState['addresses'], node.NodeAddresses>
]

describe('what the page is answered with', () => {
  it('has the shapes of the agent', () => expect(same).to.not.include(false))

  it('knows every scope a token may have', () =>
    expect(SCOPES.toSorted()).to.deep.equal(GATEWAY_SCOPES.toSorted()))

  it('has words for everything the activity speaks of', () => {
    const { actions, own } = words().activity
    expect(Object.keys(actions).toSorted()).to.deep.equal(AUDIT_ACTIONS.toSorted())
    expect(Object.keys(own).filter((action) => !(action in actions))).to.be.empty
  })

  it('has words for every error code, why and what now', () => {
    const { problems } = words()
    const codes = [...errorCodes(), 'unreachable', 'unexpected']
    const wordless = codes.filter(
      (code) => !problems[code]?.why?.trim() || !problems[code].now?.trim()
    )
    expect(wordless).to.be.empty
    expect(Object.keys(problems).filter((code) => !codes.includes(code))).to.be.empty
  })
})

function words(): {
  problems: Record<string, { why?: string; now?: string }>
  activity: { actions: Record<string, string>; own: Record<string, string> }
} {
  const file = new URL('../../gateway/web/languages/en.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof words>
}

/** The closed list, from its source: a type leaves nothing behind to count. */
function errorCodes(): readonly LockerErrorCode[] {
  const source = readFileSync(new URL('../../agent/errors.ts', import.meta.url), 'utf8')
  const list = source.slice(source.indexOf('type LockerErrorCode'), source.indexOf('ErrorFacts'))
  return [...list.matchAll(/^\s*\| '([a-z-]+)'/gm)].map((match) => match[1] as LockerErrorCode)
}
