/**
 * Trust Ping 2.0: are you there, and do we still understand each other?
 *
 * @module
 */
import { z } from 'zod'
import type { Protocol } from './exchange.ts'

export const TRUST_PING = 'https://didcomm.org/trust-ping/2.0'

/** A response is wanted unless the ping says otherwise, DIDComm v2.1 "Trust Ping Protocol 2.0". */
export const ping = z.object({ response_requested: z.boolean().default(true) })

export type PingRole = 'sender' | 'receiver'
export type PingState = 'start' | 'pinged' | 'answered'
export type PingMessage = 'ping' | 'ping-response'

/** A ping that wants no response leaves both sides in `pinged`. The page trust-ping.md has the same table. */
// oxfmt-ignore
export const trustPing: Protocol<PingRole, PingState, PingMessage> = {
  piuri: TRUST_PING,
  rules: [
    ['sender',   'start',  'send',    'ping',          'pinged'],
    ['receiver', 'start',  'receive', 'ping',          'pinged'],
    ['receiver', 'pinged', 'send',    'ping-response', 'answered'],
    ['sender',   'pinged', 'receive', 'ping-response', 'answered']
  ]
}
