/**
 * DIDComm over HTTP: `POST` of one packed envelope, as `application/didcomm-encrypted+json` (DIDComm v2.1
 * "Transports", HTTPS).
 *
 * @module
 */
import { LockerError } from '../agent/errors.ts'
import { ENVELOPE_BYTES_MAX } from './didcomm-stream.ts'

const MEDIA_TYPE = 'application/didcomm-encrypted+json'

/** One guarded request, resolved when the other side has answered 2xx (node/guarded-fetch.ts). */
export type GuardedPost = (
  url: string,
  request: { mediaType: string; body: Uint8Array; signal: AbortSignal }
) => Promise<void>

/** Delivers one envelope. Throws `peer-unreachable`, `envelope-too-large`. */
export async function deliverByHttp(
  post: GuardedPost,
  url: string,
  envelope: Uint8Array,
  signal: AbortSignal
): Promise<void> {
  if (envelope.length === 0 || envelope.length > ENVELOPE_BYTES_MAX)
    throw new LockerError(
      'envelope-too-large',
      `an envelope of ${envelope.length} bytes; 1 to ${ENVELOPE_BYTES_MAX} are sent`
    )
  try {
    await post(url, { mediaType: MEDIA_TYPE, body: envelope, signal })
  } catch (error) {
    throw new LockerError('peer-unreachable', `${hostOf(url)} did not take the message`, {
      cause: error,
      facts: { host: hostOf(url) }
    })
  }
}

/** Only the host may stand in errors and logs: a path may identify a person. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the endpoint'
}
