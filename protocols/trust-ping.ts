/**
 * Trust Ping 2.0: are you there, and do we still understand each other?
 *
 * @module
 */
import { z } from 'zod'

export const TRUST_PING = 'https://didcomm.org/trust-ping/2.0'

/** A response is wanted unless the ping says otherwise, DIDComm v2.1 "Trust Ping Protocol 2.0". */
export const ping = z.object({ response_requested: z.boolean().default(true) })
