/**
 * The one exception class of eLocker and the closed list of its codes.
 *
 * A code reads `<subject>-<what>`. `gateway/problem.ts` maps every code to an HTTP status and
 * `node/commands/outcome.ts` to an exit code; both maps are total, so a new code does not compile until both
 * say what it means.
 *
 * Refusals by the other party are values, not exceptions (protocols/exchange.ts `Outcome`).
 *
 * @module
 */

export type LockerErrorCode =
  // The vault.
  | 'vault-absent' // no locker has been created in this home
  | 'vault-exists' // a locker exists; creating would overwrite it
  | 'vault-sealed' // the operation needs an open vault
  | 'vault-secret-wrong' // passphrase, words or key file open no slot
  | 'vault-throttled' // too many wrong secrets; field retryAt
  | 'vault-damaged' // no readable slot of the asked kind
  | 'passphrase-weak'
  | 'words-invalid' // not 24 words of the list, or the checksum fails
  // Stored data.
  | 'integrity-failed' // sealed bytes are not what was sealed
  | 'records-damaged' // the database lost or changed records; named in `lost`
  | 'storage-full'
  | 'storage-failed'
  | 'home-locked' // another process uses this home
  | 'port-taken'
  | 'config-invalid'
  // Documents.
  | 'document-unknown'
  | 'document-damaged' // blocks are missing or damaged; named in `blocks`
  | 'document-too-large'
  | 'document-trashed'
  | 'version-unknown'
  | 'range-invalid'
  // Other parties.
  | 'contact-unknown'
  | 'contact-ambiguous'
  | 'contact-exists'
  | 'invitation-invalid'
  | 'invitation-expired'
  | 'invitation-used'
  | 'did-unresolvable'
  | 'envelope-malformed'
  | 'envelope-unauthenticated'
  | 'envelope-unsupported'
  | 'envelope-too-large'
  | 'message-invalid'
  | 'message-expired'
  | 'peer-unreachable'
  | 'peer-refused' // the other agent said no; its reason in `problem`
  | 'outbox-full'
  | 'spool-full'
  // Sharing.
  | 'grant-unknown'
  | 'grant-expired'
  | 'grant-revoked'
  | 'grant-used-up'
  | 'grant-state' // the grant's state does not allow the operation
  | 'grant-not-yours'
  | 'link-unknown'
  | 'link-expired'
  | 'link-used-up'
  | 'link-stopped'
  | 'link-proof-wrong'
  | 'inbox-unknown'
  // Issuing and holding credentials.
  | 'issuer-absent' // no issuer has been set up here
  | 'issuer-state' // the issuer's kind or state does not allow the operation
  | 'type-unknown'
  | 'type-invalid' // the credential type breaks a rule, named in the message; `problems` where there are several
  | 'type-state' // published or deprecated: the version cannot be changed
  | 'credential-unknown'
  | 'credential-absent' // what was shown holds no credential
  | 'credential-state'
  | 'claims-invalid' // the claims do not fit their type; named in `problems`
  | 'registry-invalid' // a record, a file of records or a question does not fit the type
  | 'record-unknown'
  | 'record-ambiguous' // more than one record fits; their number in `count`
  | 'staff-unknown'
  | 'role-forbidden' // the member of staff may not do this; `role`, `action`
  | 'exchange-unknown'
  | 'exchange-state'
  // Certificates.
  | 'certificate-invalid' // input over its limits, a picture that is none, a text no font can show
  | 'certificate-failed' // too slow, too much memory, or the compiler died
  | 'certificate-busy' // as many certificates wait as may
  | 'template-unknown'
  | 'template-invalid' // named in `problems`: message, line, column
  // The gateway.
  | 'request-invalid'
  | 'request-too-large'
  | 'request-conflict' // a request with the same idempotency key is still running
  | 'request-mismatch' // the idempotency key was used with another body
  | 'request-unsupported' // media type or content encoding
  | 'request-misdirected' // the Host header names none of our names
  | 'method-not-allowed'
  | 'precondition-failed' // If-Match names another version
  | 'not-authenticated'
  | 'not-allowed'
  | 'not-found'
  | 'rate-limited'
  | 'gateway-busy' // as many event streams as are served at once
  | 'internal-fault' // a fault of eLocker itself; the log has it under the request's id
  | 'token-unknown'
  | 'backup-damaged'
  | 'backup-exists'
  | 'operation-cancelled'

/** Facts that belong to an error beside its message, for programs: never a secret, never document text. */
export type ErrorFacts = Readonly<Record<string, unknown>>

/** Everything eLocker throws on purpose. The message states the fact and the value, lower case, no secret. */
export class LockerError extends Error {
  readonly code: LockerErrorCode
  readonly facts: ErrorFacts

  /**
   * @param code - What went wrong, from the closed list.
   * @param message - The fact and the value, for a person.
   * @param options - `cause`: the error underneath; `facts`: values for programs.
   */
  constructor(
    code: LockerErrorCode,
    message: string,
    options: { cause?: unknown; facts?: ErrorFacts } = {}
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'LockerError'
    this.code = code
    this.facts = options.facts ?? {}
  }
}
