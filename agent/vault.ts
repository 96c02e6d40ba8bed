/**
 * The vault: the root key, the slots it can be opened by, and its states.
 *
 * @module
 */

/** `new`: nothing created yet. */
export type VaultState = 'new' | 'sealed' | 'opening' | 'open'

/** What opens a vault. */
export type Secret =
  | { readonly kind: 'passphrase'; readonly passphrase: string }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** Text of a key file: an age identity, `AGE-SECRET-KEY-…`. */
  | { readonly kind: 'key-file'; readonly text: string }

/** Shown once, at creation or when new words are made. */
export interface RecoveryKit {
  readonly words: readonly string[]
  /** The locker's document identity in age's own text form, `AGE-SECRET-KEY-PQ-1…`: opens every document with stock age. */
  readonly documentIdentity: string
  readonly documentRecipient: string
  /** Positions (1 to 24) of the three words to ask back. */
  readonly ask: readonly [number, number, number]
}
