/**
 * Every state of share 1.0 against every message, both roles, through real agents: what the table of
 * protocols/sharing.ts allows moves the thread, anything else is answered with a problem report and
 * changes nothing.
 */
import { expect } from 'chai'
import type { DocumentFacts } from '../../agent/documents.ts'
import type { OutboxItem } from '../../agent/outbox.ts'
import { newMessageId } from '../../protocols/message.ts'
import {
  sharing as protocol,
  type SharingMessage,
  type SharingRole,
  type SharingState
} from '../../protocols/sharing.ts'
import { secureRandom } from '../agent/faults.ts'
import { Lockers, type Party, source } from '../lockers.ts'

const ROLES: readonly SharingRole[] = ['owner', 'recipient']
const STATES: readonly SharingState[] = [
  'start',
  'requested',
  'granted',
  'accepted',
  'declined',
  'revoked'
]
const MESSAGES: readonly SharingMessage[] = [
  'request',
  'grant',
  'accept',
  'decline',
  'revoke',
  'replace',
  'problem-report'
]

/** A well-formed body for each message, so that only the state can be the reason of a refusal. */
const resource = {
  root: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
  sealed_bytes: 8192,
  size_bytes: 4000,
  media_type: 'application/pdf',
  name: 'theirs.pdf'
}
const key = 'AAECAwQFBgcICQoLDA0ODw'
const BODIES: Readonly<Record<SharingMessage, Readonly<Record<string, unknown>>>> = {
  request: { wanted: 'a degree', purpose: 'application' },
  grant: { resource, key, permission: 'read', purpose: 'application' },
  accept: { peer_ids: ['12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'] },
  decline: { reason: 'no' },
  revoke: { reason: 'no more' },
  replace: { resource: { ...resource, sealed_bytes: 8193 }, key },
  'problem-report': { code: 'e.p.msg.unsupported', comment: 'cannot' }
}

describe('share 1.0: state × message', () => {
  let lockers: Lockers
  let alice: Party
  let bob: Party
  let degree: DocumentFacts

  before(async () => {
    lockers = new Lockers()
    alice = await lockers.join('Alice')
    bob = await lockers.join('Bob')
    await lockers.befriend(alice, bob)
    degree = await alice.locker.documents.add(source(new Uint8Array(100)), { name: 'degree' })
  })

  beforeEach(async () => {
    // Both sides limit messages a second; time is what the limit asks for.
    await lockers.clock.advance(5000)
  })

  after(async () => {
    await lockers.close()
  })

  const say = (message: SharingMessage, thid: string, id?: string): Promise<OutboxItem> =>
    bob.say(alice, message, thid, BODIES[message], id)

  const given = async (): Promise<string> =>
    (await alice.locker.sharing.give({ document: degree.id, to: 'Bob', purpose: 'x' })).id

  const opened = async (message: 'request' | 'grant'): Promise<string> => {
    const id = newMessageId(secureRandom)
    expect((await say(message, id, id)).state).to.equal('sent')
    return id
  }

  /** Brings Alice into a role and state by what the owner does and what Bob says; returns the thread's id. */
  const REACH: Readonly<
    Record<SharingRole, Readonly<Record<SharingState, () => Promise<string>>>>
  > = {
    owner: {
      start: async () => newMessageId(secureRandom),
      requested: () => opened('request'),
      granted: given,
      accepted: async () => {
        const id = await given()
        await say('accept', id)
        return id
      },
      declined: async () => {
        const id = await given()
        await say('decline', id)
        return id
      },
      revoked: async () => {
        const id = await given()
        await alice.locker.sharing.revoke(id)
        return id
      }
    },
    recipient: {
      start: async () => newMessageId(secureRandom),
      requested: async () => {
        const options = { from: 'Bob', wanted: 'x', purpose: 'y' }
        return (await alice.locker.sharing.request(options)).id
      },
      granted: () => opened('grant'),
      accepted: async () => {
        const id = await opened('grant')
        await alice.locker.sharing.accept(id)
        return id
      },
      declined: async () => {
        const id = await opened('grant')
        await alice.locker.sharing.decline(id)
        return id
      },
      revoked: async () => {
        const id = await opened('grant')
        await say('revoke', id)
        return id
      }
    }
  }

  /** All that Alice holds of a thread, but not how her own last message fares. */
  function held(id: string): unknown {
    const { sharing } = alice.locker
    return JSON.parse(
      JSON.stringify({
        grants: sharing.grants().filter((grant) => grant.id === id),
        requests: sharing.requests().filter((request) => request.id === id)
      }),
      (member, value: unknown) => (member === 'delivery' ? undefined : value)
    )
  }

  function stateOf(id: string): SharingState {
    const { sharing } = alice.locker
    const grant = sharing.grants().find((each) => each.id === id)
    const request = sharing.requests().find((each) => each.id === id)
    const state = grant?.state ?? request?.state ?? 'start'
    if (state === 'expired') throw new Error(`share ${id} has expired`)
    return state
  }

  const reports = (): number => lockers.network.passed.filter(({ from }) => from === 'Alice').length

  for (const role of ROLES)
    for (const state of STATES)
      for (const message of MESSAGES) {
        const rule = protocol.rules.find(
          (row) => row[0] === role && row[1] === state && row[2] === 'receive' && row[3] === message
        )
        // Before anything was said there is no role: the first message makes Alice owner or recipient.
        const either = protocol.rules.find(
          (row) =>
            state === 'start' && row[1] === 'start' && row[2] === 'receive' && row[3] === message
        )
        const next = (rule ?? either)?.[4]

        it(`${role} in ${state} ${next === undefined ? 'refuses' : 'takes'} ${message}`, async () => {
          const id = await REACH[role][state]()
          await lockers.settled()
          const before = held(id)
          expect(stateOf(id)).to.equal(state)
          if (message === 'problem-report') {
            const sent = reports()
            await say(message, id)
            expect(stateOf(id)).to.equal(next ?? state)
            expect(reports(), 'a problem report is never answered').to.equal(sent)
          } else {
            const item = await say(message, id, state === 'start' ? id : undefined)
            expect(item.state).to.equal(next === undefined ? 'failed' : 'sent')
            if (next === undefined) expect(item.lastError).to.match(/^e\.p\.msg\.unexpected: /)
            expect(stateOf(id)).to.equal(next ?? state)
          }
          if (next === undefined) expect(held(id)).to.deep.equal(before)
        })
      }
})
