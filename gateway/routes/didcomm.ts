/**
 * The letter box: DIDComm v2.1 "Transports", HTTPS.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { MESSAGE_BYTES_MAX } from '../../protocols/message.ts'
import { mediaTypeOf, readBytes } from '../body.ts'
import { emptyRoute, type Route } from '../route.ts'

const ENVELOPE = 'application/didcomm-encrypted+json'

export function didcommRoutes({ agent }: { agent: Agent }): readonly Route[] {
  return [
    emptyRoute({
      method: 'post',
      path: '/didcomm',
      access: 'none',
      summary: 'Leave an encrypted DIDComm v2 envelope',
      takes: [ENVELOPE],
      status: 202,
      answers: 'Taken. Whether it could be read is not told to strangers',
      handle: async ({ request }) => {
        if (mediaTypeOf(request) !== ENVELOPE)
          throw new LockerError('request-unsupported', `envelopes are ${ENVELOPE}`)
        const envelope = await readBytes(request, MESSAGE_BYTES_MAX)
        const peer = request.ip
        await agent.receive(envelope, {
          transport: 'http',
          ...(peer === undefined ? {} : { peer })
        })
      }
    })
  ]
}
