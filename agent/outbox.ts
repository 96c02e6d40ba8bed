/**
 * The outbox: messages on their way to parties that may be away.
 *
 * @module
 */

export interface OutboxItem {
  readonly id: string
  readonly to: { readonly did: string; readonly name?: string }
  /** Message type URI. */
  readonly type: string
  readonly thid?: string
  readonly state: 'waiting' | 'sending' | 'sent' | 'failed'
  readonly attempts: number
  readonly createdAt: string
  readonly nextAttemptAt?: string
  readonly expiresAt: string
  readonly lastError?: string
}
