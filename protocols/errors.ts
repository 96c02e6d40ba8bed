/**
 * What a format or protocol refuses, with a code from a closed list. The agent translates these at its
 * edge into `LockerError` (agent/errors.ts), with this error as the cause.
 *
 * @module
 */

export type ProtocolErrorCode =
  | 'sealed-malformed' // not an age v1 file, or beyond its limits
  | 'sealed-damaged' // MAC or tag does not fit: tampered, truncated or extended
  | 'sealed-no-match' // sealed to none of the given identities
  | 'envelope-malformed'
  | 'envelope-unsupported' // algorithm, curve or header outside the list
  | 'envelope-unauthenticated' // signature, tag or addressing does not fit
  | 'envelope-not-for-us' // no recipient key is ours
  | 'did-malformed'
  | 'did-unsupported'
  | 'did-not-found'
  | 'message-malformed'
  | 'link-malformed'
  | 'credential-malformed' // what a credential, presentation or status list cannot be made of
  | 'limit-exceeded'

export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode

  constructor(code: ProtocolErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ProtocolError'
    this.code = code
  }
}
