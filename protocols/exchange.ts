/**
 * The rules of a DIDComm protocol as data, and the one function that applies them.
 *
 * A protocol is a table: who may send or receive which message in which state, and the state that
 * follows. Nothing here performs I/O, so Node, the browser and the tests run the same rules. The
 * agent stores the outcome and sends the messages (agent/exchanges.ts).
 *
 * @module
 */

export type Direction = 'send' | 'receive'

/** One row of a protocol's state table. */
export type Rule<Role, State, Message> = readonly [
  role: Role,
  state: State,
  direction: Direction,
  message: Message,
  next: State
]

export interface Protocol<Role, State, Message> {
  /** Protocol identifier URI without trailing slash, DIDComm Messaging v2.1 "Protocol Identifier URI". */
  readonly piuri: string
  readonly rules: ReadonlyArray<Rule<Role, State, Message>>
}

/** One run of a protocol between two parties. */
export interface Exchange<Role, State> {
  /** `thid` of the thread: the `id` of the message that opened it. */
  readonly thid: string
  readonly role: Role
  readonly state: State
}

/** What {@link advance} says: the next exchange, or the DIDComm problem code to report. */
export type Outcome<Role, State> =
  | { readonly ok: true; readonly exchange: Exchange<Role, State> }
  | {
      readonly ok: false
      readonly problem: 'e.p.msg.unexpected'
      /** What the table would have allowed, as `<direction> <message>`; empty in a final state. */
      readonly expected: readonly string[]
    }

/** Applies one sent or received message. Pure: the same input gives the same outcome. */
export function advance<Role, State, Message>(
  protocol: Protocol<Role, State, Message>,
  exchange: Exchange<Role, State>,
  direction: Direction,
  message: Message
): Outcome<Role, State> {
  const open = protocol.rules.filter(
    ([role, state]) => role === exchange.role && state === exchange.state
  )
  const rule = open.find((row) => row[2] === direction && row[3] === message)
  if (rule === undefined) {
    const expected = open.map((row) => `${row[2]} ${String(row[3])}`)
    return { ok: false, problem: 'e.p.msg.unexpected', expected }
  }
  return { ok: true, exchange: { ...exchange, state: rule[4] } }
}
