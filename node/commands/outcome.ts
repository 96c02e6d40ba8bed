/**
 * Exit codes of the command line, and which error ends in which.
 *
 * | code | meaning                                                        |
 * |------|----------------------------------------------------------------|
 * | 0    | done                                                           |
 * | 1    | failed                                                         |
 * | 2    | used wrongly: unknown command, option or value                 |
 * | 3    | partly done: some files or rows failed, each named             |
 * | 4    | the locker is sealed, or this caller may not                   |
 * | 5    | no such document, contact, share …                             |
 * | 6    | the agent is not running                                       |
 * | 7    | a verification says invalid: damaged or tampered               |
 * | 8    | could not be determined: the other agent cannot be reached     |
 * | 130  | interrupted                                                    |
 *
 * @module
 */
import type { LockerErrorCode } from '../../agent/errors.ts'

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  locked: 4,
  unknown: 5,
  notRunning: 6,
  invalid: 7,
  undetermined: 8,
  interrupted: 130
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Total over the codes: a new code does not compile until it is said what a script is to make of it. */
export const EXIT_OF: Readonly<Record<LockerErrorCode, ExitCode>> = {
  'vault-absent': EXIT.locked,
  'vault-exists': EXIT.failed,
  'vault-sealed': EXIT.locked,
  'vault-secret-wrong': EXIT.locked,
  'vault-throttled': EXIT.locked,
  'vault-damaged': EXIT.invalid,
  'passphrase-weak': EXIT.usage,
  'words-invalid': EXIT.usage,
  'integrity-failed': EXIT.invalid,
  'records-damaged': EXIT.invalid,
  'storage-full': EXIT.failed,
  'storage-failed': EXIT.failed,
  'home-locked': EXIT.failed,
  'port-taken': EXIT.failed,
  'config-invalid': EXIT.usage,
  'document-unknown': EXIT.unknown,
  'document-damaged': EXIT.invalid,
  'document-too-large': EXIT.failed,
  'document-trashed': EXIT.unknown,
  'version-unknown': EXIT.unknown,
  'range-invalid': EXIT.usage,
  'contact-unknown': EXIT.unknown,
  'contact-ambiguous': EXIT.usage,
  'contact-exists': EXIT.failed,
  'invitation-invalid': EXIT.usage,
  'invitation-expired': EXIT.failed,
  'invitation-used': EXIT.failed,
  'did-unresolvable': EXIT.undetermined,
  'envelope-malformed': EXIT.invalid,
  'envelope-unauthenticated': EXIT.invalid,
  'envelope-unsupported': EXIT.failed,
  'envelope-too-large': EXIT.failed,
  'message-invalid': EXIT.invalid,
  'message-expired': EXIT.failed,
  'peer-unreachable': EXIT.undetermined,
  'peer-refused': EXIT.failed,
  'outbox-full': EXIT.failed,
  'spool-full': EXIT.failed,
  'grant-unknown': EXIT.unknown,
  'grant-expired': EXIT.failed,
  'grant-revoked': EXIT.failed,
  'grant-used-up': EXIT.failed,
  'grant-state': EXIT.failed,
  'grant-not-yours': EXIT.unknown,
  'link-unknown': EXIT.unknown,
  'link-expired': EXIT.failed,
  'link-used-up': EXIT.failed,
  'link-stopped': EXIT.failed,
  'link-proof-wrong': EXIT.locked,
  'inbox-unknown': EXIT.unknown,
  'issuer-absent': EXIT.unknown,
  'issuer-state': EXIT.failed,
  'type-unknown': EXIT.unknown,
  'type-invalid': EXIT.usage,
  'type-state': EXIT.failed,
  'credential-unknown': EXIT.unknown,
  'credential-absent': EXIT.unknown,
  'claims-invalid': EXIT.usage,
  'credential-state': EXIT.failed,
  'registry-invalid': EXIT.usage,
  'record-unknown': EXIT.unknown,
  'record-ambiguous': EXIT.usage,
  'staff-unknown': EXIT.unknown,
  'role-forbidden': EXIT.locked,
  'exchange-unknown': EXIT.unknown,
  'exchange-state': EXIT.failed,
  'certificate-invalid': EXIT.failed,
  'certificate-failed': EXIT.failed,
  'certificate-busy': EXIT.failed,
  'template-unknown': EXIT.unknown,
  'template-invalid': EXIT.failed,
  'request-invalid': EXIT.usage,
  'request-too-large': EXIT.failed,
  'request-conflict': EXIT.failed,
  'request-mismatch': EXIT.usage,
  'request-unsupported': EXIT.usage,
  'request-misdirected': EXIT.usage,
  'method-not-allowed': EXIT.usage,
  'precondition-failed': EXIT.failed,
  'not-authenticated': EXIT.locked,
  'not-allowed': EXIT.locked,
  'not-found': EXIT.unknown,
  'rate-limited': EXIT.failed,
  'gateway-busy': EXIT.failed,
  'internal-fault': EXIT.failed,
  'token-unknown': EXIT.unknown,
  'backup-damaged': EXIT.invalid,
  'backup-exists': EXIT.failed,
  'operation-cancelled': EXIT.interrupted
}

/** Whether a text is one of the agent's error codes. */
export function isLockerErrorCode(code: string | undefined): code is LockerErrorCode {
  return code !== undefined && Object.hasOwn(EXIT_OF, code)
}

/** A failure that ends the process with a code of its own and has no error code of the agent. */
export class CommandFailure extends Error {
  readonly exit: ExitCode
  /** Short stable name for scripts, e.g. `not-running`. */
  readonly code: string

  constructor(exit: ExitCode, code: string, message: string) {
    super(message)
    this.name = 'CommandFailure'
    this.exit = exit
    this.code = code
  }
}

/** What a caught value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
