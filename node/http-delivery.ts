/**
 * DIDComm over HTTP: `POST` of one packed envelope, as `application/didcomm-encrypted+json` (DIDComm v2.1
 * "Transports", HTTPS).
 *
 * @module
 */
import { LockerError } from '../agent/errors.ts'
import { ENVELOPE_BYTES_MAX } from './didcomm-stream.ts'

const MEDIA_TYPE = 'application/didcomm-encrypted+json'

/** One guarded request: no redirects, public addresses only, bounded in time and answer (node/guarded-fetch.ts). */
export type GuardedPost = (
  url: string,
  request: { mediaType: string; body: Uint8Array; signal: AbortSignal }
) => Promise<{ status: number }>

/** Delivers one envelope; any 2xx means taken. Throws `peer-unreachable`, `envelope-too-large`. */
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
  let status
  try {
    status = (await post(url, { mediaType: MEDIA_TYPE, body: envelope, signal })).status
  } catch (error) {
    throw new LockerError('peer-unreachable', `${hostOf(url)} could not be reached`, {
      cause: error,
      facts: { host: hostOf(url) }
    })
  }
  if (status < 200 || status > 299)
    throw new LockerError('peer-unreachable', `${hostOf(url)} answered ${status}`, {
      facts: { host: hostOf(url), status }
    })
}

/** Only the host may stand in errors and logs: a path may identify a person. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the endpoint'
}
