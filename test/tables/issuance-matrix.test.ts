/**
 * Every state of issue-credential 3.0 against every message, both roles, through real agents: what the table
 * of protocols/issuance.ts allows moves the thread, anything else is answered with a problem report and
 * changes nothing.
 */
import { expect } from 'chai'
import type { OutboxItem } from '../../agent/outbox.ts'
import type { JsonObject } from '../../protocols/credential/json.ts'
import {
  CREDENTIAL_OFFER_FORMAT,
  CREDENTIAL_REQUEST_FORMAT,
  issuanceAttachment,
  LD_PROOF_FORMAT
} from '../../protocols/issuance-attachments.ts'
import {
  issuance as protocol,
  issuanceMessageType,
  type IssuanceMessage,
  type IssuanceRole,
  type IssuanceState
} from '../../protocols/issuance.ts'
import { newMessageId, type Attachment } from '../../protocols/message.ts'
import { secureRandom } from '../agent/faults.ts'
import { MARKS, setUpIssuer, TYPE } from '../agent/issuance-cast.ts'
import { Lockers, type Party } from '../lockers.ts'

const ROLES: readonly IssuanceRole[] = ['issuer', 'holder']
const STATES: readonly IssuanceState[] = [
  'start',
  'proposed',
  'offered',
  'requested',
  'issued',
  'done',
  'abandoned'
]
const MESSAGES: readonly IssuanceMessage[] = [
  'propose-credential',
  'offer-credential',
  'request-credential',
  'issue-credential',
  'ack',
  'pending',
  'problem-report'
]

/** A kind of credential that a person answers for, so that a proposal stays one. */
const LETTER = 'letter'
const request = { type: LETTER }
const offer = {
  issuer: 'did:web:university.example',
  type: LETTER,
  version: '1.0.0',
  types: ['AcademicMarksheet'],
  preview: MARKS,
  formats: ['vcdm-2.0']
}
/** By an issuer whose DID does not resolve here: it is neither kept nor refused, and the thread stays `issued`. */
const credential: JsonObject = {
  '@context': ['https://www.w3.org/ns/credentials/v2'],
  id: 'urn:uuid:5b0c0a0e-8d6c-4d29-9c1b-6d5a2f0c7b12',
  type: ['VerifiableCredential', 'AcademicMarksheet'],
  issuer: offer.issuer,
  credentialSubject: MARKS,
  proof: {
    type: 'DataIntegrityProof',
    cryptosuite: 'eddsa-jcs-2022',
    verificationMethod: `${offer.issuer}#key-1`,
    proofPurpose: 'assertionMethod',
    proofValue: `z${'2'.repeat(88)}`
  }
}

/** A well-formed body and attachments for each message, so that only the state can be the reason of a refusal. */
const CONTENTS: Readonly<
  Record<
    IssuanceMessage,
    { body: Readonly<Record<string, unknown>>; attachments?: readonly Attachment[] }
  >
> = {
  'propose-credential': {
    body: {},
    attachments: [issuanceAttachment(CREDENTIAL_REQUEST_FORMAT, request)]
  },
  'offer-credential': {
    body: {},
    attachments: [issuanceAttachment(CREDENTIAL_OFFER_FORMAT, offer)]
  },
  'request-credential': {
    body: {},
    attachments: [issuanceAttachment(CREDENTIAL_REQUEST_FORMAT, request)]
  },
  'issue-credential': {
    body: {},
    attachments: [issuanceAttachment(LD_PROOF_FORMAT, credential)]
  },
  ack: { body: { status: 'OK' } },
  pending: { body: { comment: 'soon' } },
  'problem-report': { body: { code: 'e.p.issuance-abandoned', comment: 'cannot' } }
}

describe('issue-credential 3.0: state × message', () => {
  let lockers: Lockers
  let alice: Party
  let bob: Party

  before(async () => {
    lockers = new Lockers()
    alice = await lockers.join('Alice')
    bob = await lockers.join('Bob')
    await lockers.befriend(alice, bob)
    await setUpIssuer(alice)
    const { form: _form, ...type } = alice.locker.types.get(TYPE).type
    await alice.locker.types.save({ ...type, id: LETTER })
    await alice.locker.types.publish(LETTER)
  })

  beforeEach(async () => {
    // Both sides limit messages a second; time is what the limit asks for.
    await lockers.clock.advance(5000)
    await lockers.settled()
  })

  after(async () => {
    await lockers.close()
  })

  /** Bob's own agent plays no part: he says what no healthy agent would. */
  const say = (
    message: IssuanceMessage,
    thid: string,
    id?: string,
    contents = CONTENTS[message]
  ): Promise<OutboxItem> =>
    bob.tell(alice, {
      type: message === 'problem-report' ? message : issuanceMessageType(message),
      thid,
      ...contents,
      ...(id === undefined ? {} : { id })
    })

  /** While Bob hears nothing: his agent would refuse what Alice answers to words that are not its own. */
  async function deafly(work: () => Promise<unknown>): Promise<void> {
    const { receiver } = bob.node
    bob.node.receiver = {
      receive: async () => {},
      authorisePull: async () => ({ ok: false, problem: 'e.p.pull.locked', comment: 'away' })
    }
    await work()
    await lockers.settled()
    bob.node.receiver = receiver
  }

  /** As {@link say}, without waiting for an answer. */
  const shout = (message: IssuanceMessage, thid: string, id?: string): Promise<void> =>
    deafly(() =>
      bob.locker.records.change((batch) =>
        bob.locker.outbox.enqueue(batch, {
          to: bob.locker.contacts.get('Alice').did,
          type: message === 'problem-report' ? message : issuanceMessageType(message),
          thid,
          ...CONTENTS[message],
          ...(id === undefined ? {} : { id })
        })
      )
    )

  /** Begins a thread that Alice answers. */
  const asked = async (message: IssuanceMessage): Promise<string> => {
    const id = newMessageId(secureRandom)
    await shout(message, id, id)
    return id
  }

  /** Alice offers; Bob's real agent has the offer, and his side of the thread goes on from there. */
  const offered = async (): Promise<string> => {
    const wish = { type: TYPE, claims: MARKS, to: 'Bob' }
    const { thid = '' } = await alice.locker.issuance.offer(wish)
    await lockers.settled()
    return thid
  }

  /** Bob takes an offer of Alice's while what she answers is lost on him. */
  const signed = async (): Promise<string> => {
    const thid = await offered()
    await deafly(() => bob.locker.issuance.accept(thid))
    return thid
  }

  /** Brings Alice into a role and state by what she does and what Bob says; returns the thread's id. */
  const REACH: Readonly<
    Record<IssuanceRole, Readonly<Record<IssuanceState, () => Promise<string>>>>
  > = {
    issuer: {
      start: async () => newMessageId(secureRandom),
      proposed: () => asked('propose-credential'),
      offered,
      requested: () => asked('request-credential'),
      issued: signed,
      done: async () => {
        const thid = await offered()
        await bob.locker.issuance.accept(thid)
        await lockers.settled()
        return thid
      },
      abandoned: async () => {
        const thid = await asked('propose-credential')
        await alice.locker.issuance.refuse(thid)
        return thid
      }
    },
    holder: {
      start: async () => newMessageId(secureRandom),
      proposed: async () => {
        let thid = ''
        // His agent issues nothing and would say so.
        await deafly(async () => {
          ;({ thid } = await alice.locker.issuance.propose({ to: 'Bob', type: LETTER }))
        })
        return thid
      },
      offered: () => asked('offer-credential'),
      requested: () => requested(),
      issued: async () => {
        const thid = await requested()
        await say('issue-credential', thid)
        return thid
      },
      done: async () => {
        await setUpOnce(bob)
        const wish = { type: TYPE, claims: MARKS, to: 'Alice' }
        const { thid = '' } = await bob.locker.issuance.offer(wish)
        await lockers.settled()
        await alice.locker.issuance.accept(thid)
        await lockers.settled()
        return thid
      },
      abandoned: async () => {
        const thid = await asked('offer-credential')
        await alice.locker.issuance.decline(thid)
        return thid
      }
    }
  }

  async function requested(): Promise<string> {
    const thid = await asked('offer-credential')
    await deafly(() => alice.locker.issuance.accept(thid))
    return thid
  }

  /** All that Alice holds of a thread, but not how her own last message fares. */
  function held(thid: string): unknown {
    const { issuance, credentials } = alice.locker
    return JSON.parse(
      JSON.stringify({
        threads: issuance.list().filter((thread) => thread.thid === thid),
        issued: issuance.issued().filter((issued) => issued.thid === thid),
        credentials: credentials.list()
      }),
      (member, value: unknown) => (member === 'delivery' ? undefined : value)
    )
  }

  const stateOf = (thid: string): IssuanceState =>
    alice.locker.issuance.list().find((thread) => thread.thid === thid)?.state ?? 'start'

  const reports = (): number =>
    bob.logger.events.filter(({ event }) => event === 'problem-reported').length

  /**
   * Where the agent is by itself once the message has been taken: what it answers is sent in the same batch.
   * Undefined where the state that the table says is where it stays.
   */
  const MOVES_ON: Readonly<Partial<Record<string, IssuanceState>>> = {
    // No proof of the holder's DID: ended by a problem report of the issuer's.
    'issuer offered request-credential': 'abandoned'
  }

  for (const role of ROLES)
    for (const state of STATES)
      for (const message of MESSAGES) {
        const next = protocol.rules.find(
          ([of, from, direction, what]) =>
            // Before anything was said there is no role: the first message makes Alice one or the other.
            (of === role || state === 'start') &&
            from === state &&
            direction === 'receive' &&
            what === message
        )?.[4]
        const stays = MOVES_ON[`${role} ${state} ${message}`] ?? next

        it(`${role} in ${state} ${next === undefined ? 'refuses' : 'takes'} ${message}`, async () => {
          const thid = await REACH[role][state]()
          await lockers.settled()
          const before = held(thid)
          expect(stateOf(thid)).to.equal(state)
          if (message === 'problem-report') {
            const sent = reports()
            await say(message, thid)
            expect(reports(), 'a problem report is never answered').to.equal(sent)
          } else if (next === undefined) {
            const item = await say(message, thid, state === 'start' ? thid : undefined)
            expect(item.state).to.equal('failed')
            expect(item.lastError).to.match(/^e\.p\.msg\.unexpected: /)
          } else await shout(message, thid, state === 'start' ? thid : undefined)
          expect(stateOf(thid)).to.equal(stays ?? state)
          if (next === undefined) expect(held(thid)).to.deep.equal(before)
        })
      }
})

async function setUpOnce(party: Party): Promise<void> {
  if (party.locker.issuer.facts() === undefined) await setUpIssuer(party)
}
