/**
 * Asking another agent something and waiting for the answer: trust-ping 2.0, discover-features 2.0. Both
 * change nothing, so questions and answers live in memory only.
 *
 * @module
 */
import type { Clock } from './components.ts'
import type { Delivery, DeliveryOutcome, PostedMessage } from './delivery.ts'
import { LockerError } from './errors.ts'
import type { Handler, OpenExchanges } from './exchanges.ts'
import {
  DISCOVER_FEATURES,
  disclosures,
  matching,
  queries,
  type Feature
} from '../protocols/discover-features.ts'
import { EMPTY } from '../protocols/empty.ts'
import { MESSAGE_BYTES_MAX } from '../protocols/message.ts'
import { GOAL_CONNECT, OUT_OF_BAND } from '../protocols/out-of-band.ts'
import { REPORT_PROBLEM } from '../protocols/report-problem.ts'
import { ping, TRUST_PING } from '../protocols/trust-ping.ts'

/** How long an answer may take, milliseconds. */
const ANSWER_TIMEOUT_MS = 15_000

/** Questions waiting for their answer. */
const QUESTIONS_MAX = 100

export interface AskingComponents {
  readonly delivery: Pick<Delivery, 'post'>
  readonly clock: Clock
}

interface Question {
  readonly contact: string
  /** Last segment of the answer's type; the minor version may be another. */
  readonly answerName: string
  readonly answer: (body: unknown) => void
  readonly fail: (error: Error) => void
}

export class Asking {
  readonly #components: AskingComponents
  readonly #questions = new Map<string, Question>()

  constructor(components: AskingComponents) {
    this.#components = components
  }

  /** Registers the protocols: answers what others ask, and takes their answers. */
  register(exchanges: OpenExchanges): void {
    const stateless = true
    exchanges.handle(TRUST_PING, {
      roles: ['sender', 'receiver'],
      stateless,
      handler: (message, contact, batch) => {
        if (message.name !== 'ping') return this.#answered(message)
        const body = ping.safeParse(message.body)
        if (!body.success) return invalid('ping')
        if (body.data.response_requested)
          batch.afterwards(() => this.#reply(contact.did, message.id, PING_RESPONSE, {}))
        return undefined
      }
    })
    exchanges.handle(DISCOVER_FEATURES, {
      roles: ['requester', 'responder'],
      stateless,
      handler: (message, contact, batch) => {
        if (message.name !== 'queries') return this.#answered(message)
        const body = queries.safeParse(message.body)
        if (!body.success) return invalid('queries')
        const disclosed = matching(features(exchanges), body.data.queries)
        batch.afterwards(() =>
          this.#reply(contact.did, message.id, DISCLOSE, { disclosures: disclosed })
        )
        return undefined
      }
    })
    // Its headers have been read by the time a handler is called.
    exchanges.handle(EMPTY, { roles: ['sender', 'receiver'], stateless, handler: () => undefined })
  }

  /** Round trip in milliseconds. Throws `peer-unreachable`. */
  async ping(did: string): Promise<number> {
    const start = this.#components.clock.now().getTime()
    await this.#ask(
      did,
      { type: `${TRUST_PING}/ping`, body: { response_requested: true } },
      'ping-response'
    )
    return this.#components.clock.now().getTime() - start
  }

  /** PIURIs the other agent discloses. Throws `peer-unreachable`, `message-invalid`. */
  async features(did: string): Promise<readonly string[]> {
    const body = { queries: [{ 'feature-type': 'protocol', match: '*' }] }
    const answer = await this.#ask(did, { type: `${DISCOVER_FEATURES}/queries`, body }, 'disclose')
    const parsed = disclosures.safeParse(answer)
    if (!parsed.success)
      throw new LockerError('message-invalid', 'the other agent disclosed no list of features', {
        cause: parsed.error
      })
    return parsed.data.disclosures
      .filter((each) => each['feature-type'] === 'protocol')
      .map(({ id }) => id)
  }

  /** Whoever still waits for an answer gets `vault-sealed`. */
  close(): void {
    for (const { fail } of this.#questions.values())
      fail(new LockerError('vault-sealed', 'the vault was sealed'))
  }

  async #ask(contact: string, message: PostedMessage, answerName: string): Promise<unknown> {
    const { clock, delivery } = this.#components
    if (this.#questions.size >= QUESTIONS_MAX)
      throw new LockerError('rate-limited', `${QUESTIONS_MAX} questions wait for their answer`)
    const { id, done } = delivery.post(message, { contact })
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#questions.set(id, { contact, answerName, answer: resolve, fail: reject })
    const unreachable = (reason: string): void =>
      reject(new LockerError('peer-unreachable', reason))
    const cancel = clock.after(ANSWER_TIMEOUT_MS, () =>
      unreachable(`no answer in ${ANSWER_TIMEOUT_MS} ms`)
    )
    try {
      const [answer] = await Promise.all([promise, sent(done, unreachable)])
      return answer
    } finally {
      cancel()
      this.#questions.delete(id)
    }
  }

  /** An answer counts when it is of the contact that was asked, and what was asked for. */
  #answered({ thid, from, name, body }: Parameters<Handler>[0]): undefined {
    const question = this.#questions.get(thid)
    if (question?.contact === from && question.answerName === name) question.answer(body)
    return undefined
  }

  #reply(contact: string, thid: string, type: string, body: Record<string, unknown>): void {
    this.#components.delivery.post({ type, thid, body }, { contact })
  }
}

const PING_RESPONSE = `${TRUST_PING}/ping-response`
const DISCLOSE = `${DISCOVER_FEATURES}/disclose`

/** A question that could not even be sent needs no waiting. */
async function sent(
  done: Promise<DeliveryOutcome>,
  unreachable: (reason: string) => void
): Promise<void> {
  const outcome = await done
  if (!outcome.ok) unreachable(outcome.error)
}

function features(exchanges: OpenExchanges): readonly Feature[] {
  const registered = exchanges
    .protocols()
    .map(({ piuri, roles }) => ({ 'feature-type': 'protocol', id: piuri, roles }))
  return [
    ...registered,
    { 'feature-type': 'protocol', id: OUT_OF_BAND, roles: ['sender', 'receiver'] },
    { 'feature-type': 'protocol', id: REPORT_PROBLEM, roles: ['notifier', 'notified'] },
    { 'feature-type': 'goal-code', id: GOAL_CONNECT },
    {
      'feature-type': 'constraint',
      id: 'max_receive_bytes',
      max_receive_bytes: String(MESSAGE_BYTES_MAX)
    }
  ]
}

function invalid(name: string): { problem: string; comment: string } {
  return { problem: 'e.p.msg.invalid', comment: `the body of ${name} breaks its schema` }
}
