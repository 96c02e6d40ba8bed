/**
 * The vault: the root key, the slots it can be opened by, and its states.
 *
 *     new ──create──> opening ──> open ──seal──> sealed ──open──> opening ──> open
 *                        └─ wrong secret, damage, or sealed meanwhile ──> sealed (create: new)
 *
 * The root key, 32 random bytes, is made once and never changes; it is in memory only while the vault is
 * open, in one array that {@link Vault.seal} fills with zeros. A secret is changed by writing its slot
 * over (vault-slots.ts): one atomic step, after which the old secret opens nothing, and no other slot
 * is touched. A crash leaves the old slot or the new one.
 *
 * A locker exists as soon as one slot does. The passphrase's slot is the first that is written, so a
 * creation that a crash cut short leaves a locker its owner can open, and make new words for.
 *
 * `recovery-check.age` holds, sealed to the vault itself, the three words that are asked back and
 * whether they were given: a page opened again can still ask, and words that are replaced are
 * unconfirmed again.
 *
 * @module
 */
import { z } from 'zod'
import { openAttempts, type Attempts } from './attempts.ts'
import type { Clock, Logger, Random, SmallFiles } from './components.ts'
import { LockerError } from './errors.ts'
import { deriveKey, documentIdentity, ROOT_KEY_BYTES } from './keys.ts'
import { checkPassphrase, normalisePassphrase } from './passphrase.ts'
import { newWords, normaliseWord, positionsToAsk, wordsIdentity } from './recovery-words.ts'
import { jsonOf, newSlot, Slots, type Slot, type SlotKind, type Tried } from './vault-slots.ts'
import { decrypt, encrypt } from '../protocols/sealed/age.ts'
import {
  hybridIdentity,
  parseIdentity,
  scryptIdentity,
  scryptRecipient,
  SCRYPT_WORK_FACTOR,
  type Identity,
  type KeyPair,
  type Recipient
} from '../protocols/sealed/recipients.ts'
import { ProtocolError } from '../protocols/errors.ts'

/** log2 of scrypt's N that a slot may ask for on reading: 1 GiB. A slot comes from this machine or from a backup file. */
const WORK_FACTOR_MAX = 20

const KEY_FILE_CHARACTERS_MAX = 16_384
const CHECK_FILE = 'recovery-check.age'

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

export interface VaultComponents {
  readonly files: SmallFiles
  readonly random: Random
  readonly clock: Clock
  readonly logger: Logger
  /** log2 of scrypt's N for new passphrase slots: 18 unless given; tests take 10. */
  readonly scryptWorkFactor?: number
}

export interface Vault {
  readonly state: VaultState
  /**
   * Makes the locker's root key and slots and opens the vault. Throws `vault-exists`, `passphrase-weak`.
   * `keyFile` true also makes a key file; its text is returned and not kept. `rootKey`: see {@link open}.
   */
  create(options: { name: string; passphrase: string; keyFile?: boolean }): Promise<{
    kit: RecoveryKit
    keyFile?: string
    rootKey: Uint8Array<ArrayBuffer>
  }>
  /**
   * Opens the vault. The root key returned is the vault's own array, zeros after {@link seal}: derive
   * from it, keep no copy. Throws `vault-secret-wrong`, `vault-throttled`, `vault-damaged` (with
   * `facts.slots`), `vault-absent`, `words-invalid`, and `operation-cancelled` when the vault was
   * sealed while it opened.
   */
  open(secret: Secret): Promise<Uint8Array<ArrayBuffer>>
  /** Looks at the folder again: a restore has written slots. */
  look(): Promise<void>
  /** Zeros the root key. Needs no secret: a panic button. */
  seal(): void
  /**
   * Replaces the passphrase; the vault need not be open. Throws what {@link open} throws, and
   * `passphrase-weak`. `name` undefined: the passphrase is not compared with the owner's name.
   */
  changePassphrase(
    secret: Secret,
    passphrase: string,
    options?: { readonly name?: string }
  ): Promise<void>
  /** Replaces the recovery words. Throws what {@link open} throws. */
  newRecoveryKit(secret: Secret): Promise<RecoveryKit>
  /** Whether the words of the present kit were given back; false while the vault is not open. */
  readonly recoveryConfirmed: boolean
  /** Takes the asked words back, position (1 to 24) → word. Throws `vault-sealed`, `words-invalid` with `facts.positions`. */
  confirmRecovery(words: Readonly<Record<number, string>>): Promise<void>
  /** Slots by kind; `damaged` says why a file cannot be what was written. */
  slots(): Promise<ReadonlyArray<{ id: string; kind: SlotKind; damaged?: string }>>
  /** The hybrid key pair documents are sealed to. */
  documentIdentity(rootKey: Uint8Array): KeyPair
}

/** Looks at the vault folder; nothing is opened. */
export async function openVault(components: VaultComponents): Promise<Vault> {
  const slots = new Slots(components)
  const vault = new SlottedVault(components, slots, await openAttempts(components))
  await vault.look()
  return vault
}

const recoveryCheck = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the words' slot the check belongs to: other words, other check. */
  slotSha256: z.string().length(64),
  asked: z
    .array(z.strictObject({ position: z.int().min(1).max(24), word: z.string().max(32) }))
    .length(3),
  confirmed: z.boolean()
})
type RecoveryCheck = z.output<typeof recoveryCheck>

class SlottedVault implements Vault {
  readonly #components: VaultComponents
  readonly #slots: Slots
  readonly #attempts: Attempts
  #rootKey: Uint8Array<ArrayBuffer> | undefined
  #check: RecoveryCheck | undefined
  #exists = false
  /** Calls of create and open that have not ended. */
  #opening = 0
  /** Counts seals, so that one that comes while the vault opens is not lost. */
  #seals = 0
  /** Changes of slots run one after the other. */
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(components: VaultComponents, slots: Slots, attempts: Attempts) {
    this.#components = components
    this.#slots = slots
    this.#attempts = attempts
  }

  get state(): VaultState {
    if (this.#rootKey !== undefined) return 'open'
    if (this.#opening > 0) return 'opening'
    return this.#exists ? 'sealed' : 'new'
  }

  get recoveryConfirmed(): boolean {
    return this.#check?.confirmed ?? false
  }

  async create(options: { name: string; passphrase: string; keyFile?: boolean }): Promise<{
    kit: RecoveryKit
    keyFile?: string
    rootKey: Uint8Array<ArrayBuffer>
  }> {
    await checkPassphrase(options.passphrase, { name: options.name })
    return this.#oneChange(async () => {
      // Asked of the disk and not of the state: a restore may have brought slots since the start.
      if ((await this.#slots.list()).length > 0)
        throw new LockerError('vault-exists', 'a locker exists in this home')
      const seals = this.#seals
      const rootKey = this.#components.random(ROOT_KEY_BYTES)
      this.#opening += 1
      try {
        await this.#writePassphrase(rootKey, options.passphrase)
        const keyFile = options.keyFile === true ? await this.#writeKeyFile(rootKey) : undefined
        const kit = await this.#writeWords(rootKey)
        await this.#becomeOpen(rootKey, seals)
        return { kit, rootKey, ...(keyFile === undefined ? {} : { keyFile }) }
      } catch (error) {
        rootKey.fill(0)
        await this.#removeUnfinished()
        throw error
      } finally {
        this.#opening -= 1
      }
    })
  }

  async open(secret: Secret): Promise<Uint8Array<ArrayBuffer>> {
    const seals = this.#seals
    this.#opening += 1
    try {
      const rootKey = await this.#unlock(secret)
      if (this.#rootKey !== undefined) {
        // Open already, and the secret was right: there is one array to zero, not two.
        rootKey.fill(0)
        return this.#rootKey
      }
      await this.#becomeOpen(rootKey, seals)
      return rootKey
    } finally {
      this.#opening -= 1
    }
  }

  seal(): void {
    this.#seals += 1
    this.#rootKey?.fill(0)
    this.#rootKey = undefined
    this.#check = undefined
  }

  async look(): Promise<void> {
    this.#exists = (await this.#slots.list()).length > 0
  }

  async changePassphrase(
    secret: Secret,
    passphrase: string,
    options: { readonly name?: string } = {}
  ): Promise<void> {
    await checkPassphrase(passphrase, options)
    await this.#withRootKey(secret, (rootKey) => this.#writePassphrase(rootKey, passphrase))
  }

  newRecoveryKit(secret: Secret): Promise<RecoveryKit> {
    return this.#withRootKey(secret, (rootKey) => this.#writeWords(rootKey))
  }

  async confirmRecovery(words: Readonly<Record<number, string>>): Promise<void> {
    await this.#oneChange(async () => {
      const rootKey = this.#rootKey
      if (rootKey === undefined) throw new LockerError('vault-sealed', 'the vault is not open')
      const check = this.#check
      if (check === undefined)
        throw new LockerError('words-invalid', 'no words wait to be confirmed; make new ones')
      const given = new Map(Object.entries(words))
      const wrong = check.asked.flatMap(({ position, word }) =>
        normaliseWord(given.get(String(position)) ?? '') === word ? [] : [position]
      )
      if (wrong.length > 0)
        throw new LockerError('words-invalid', `other words at position ${wrong.join(', ')}`, {
          facts: { positions: wrong }
        })
      if (!check.confirmed) await this.#writeCheck(rootKey, { ...check, confirmed: true })
    })
  }

  async slots(): Promise<ReadonlyArray<{ id: string; kind: SlotKind; damaged?: string }>> {
    const slots = await this.#slots.list()
    return Promise.all(
      slots.map(async (slot) => {
        const fault = await this.#slots.fault(slot)
        const { id, kind } = slot
        return fault === undefined ? { id, kind } : { id, kind, damaged: fault }
      })
    )
  }

  documentIdentity(rootKey: Uint8Array): KeyPair {
    return documentIdentity(rootKey)
  }

  /** The root key, in an array of the caller's. */
  async #unlock(secret: Secret): Promise<Uint8Array<ArrayBuffer>> {
    // Words that are no words are said to be so before anything is looked at.
    const identity = identityOf(secret)
    const all = await this.#slots.list()
    if (all.length === 0) throw new LockerError('vault-absent', 'no locker exists in this home')
    const slots = all.filter(({ kind }) => kind === secret.kind)
    const damaged: Array<{ id: string; kind: SlotKind; reason: string }> = []
    const attempt = (): Promise<Uint8Array<ArrayBuffer> | undefined> =>
      this.#tryEach(slots, identity, damaged)
    const rootKey =
      secret.kind === 'passphrase' && slots.length > 0
        ? await this.#attempts.run(attempt)
        : await attempt()
    if (rootKey !== undefined) return rootKey
    if (slots.length === 0)
      throw new LockerError('vault-damaged', `the vault has no slot for a ${secret.kind}`, {
        facts: { slots: [], kind: secret.kind }
      })
    if (damaged.length > 0) {
      const named = damaged.map(({ id, reason }) => `${id} (${reason})`).join(', ')
      throw new LockerError('vault-damaged', `damaged ${secret.kind} slot: ${named}`, {
        facts: { slots: damaged, kind: secret.kind }
      })
    }
    throw wrongSecret(secret)
  }

  async #tryEach(
    slots: readonly Slot[],
    identity: Identity,
    damaged: Array<{ id: string; kind: SlotKind; reason: string }>
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (const slot of slots) {
      const tried: Tried = await this.#slots.open(slot, identity)
      if ('rootKey' in tried) return tried.rootKey
      if ('damaged' in tried) {
        damaged.push({ id: slot.id, kind: slot.kind, reason: tried.damaged })
        this.#components.logger.warn('vault-slot-damaged', { slot: slot.id, kind: slot.kind })
      }
    }
    return undefined
  }

  async #becomeOpen(rootKey: Uint8Array<ArrayBuffer>, seals: number): Promise<void> {
    const check = await this.#readCheck(rootKey)
    if (seals !== this.#seals) {
      rootKey.fill(0)
      throw new LockerError('operation-cancelled', 'the vault was sealed while it opened')
    }
    this.#rootKey = rootKey
    this.#check = check
    this.#exists = true
  }

  #withRootKey<T>(secret: Secret, work: (rootKey: Uint8Array) => Promise<T>): Promise<T> {
    return this.#oneChange(async () => {
      const rootKey = await this.#unlock(secret)
      try {
        return await work(rootKey)
      } finally {
        rootKey.fill(0)
      }
    })
  }

  async #writePassphrase(rootKey: Uint8Array, passphrase: string): Promise<void> {
    const workFactor = this.#components.scryptWorkFactor ?? SCRYPT_WORK_FACTOR
    const recipient = scryptRecipient(normalisePassphrase(passphrase), { workFactor })
    await this.#attempts.exclusively(() => this.#replace('passphrase', rootKey, recipient))
  }

  async #writeKeyFile(rootKey: Uint8Array): Promise<string> {
    const identity = hybridIdentity(this.#components.random(ROOT_KEY_BYTES))
    await this.#replace('key-file', rootKey, identity.recipient)
    return `# Opens an eLocker vault without its passphrase. Keep it secret.\n${identity.toText()}\n`
  }

  async #writeWords(rootKey: Uint8Array): Promise<RecoveryKit> {
    const words = newWords(this.#components.random)
    const slot = await this.#replace('words', rootKey, wordsIdentity(words).recipient)
    const ask = positionsToAsk(this.#components.random)
    await this.#writeCheck(rootKey, {
      version: 1,
      slotSha256: (await this.#slots.sum(slot)) ?? '',
      asked: ask.map((position) => ({ position, word: words[position - 1] ?? '' })),
      confirmed: false
    })
    const identity = documentIdentity(rootKey)
    return {
      words,
      documentIdentity: identity.toText(),
      documentRecipient: identity.recipient.text,
      ask
    }
  }

  /** Writes over the slot of a kind. Others of that kind, which only a copied file can be, go: they may open with the old secret. */
  async #replace(kind: SlotKind, rootKey: Uint8Array, recipient: Recipient): Promise<Slot> {
    const [first, ...others] = await this.#slots.list(kind)
    const slot = first ?? newSlot(kind, this.#components.random)
    await this.#slots.write(slot, rootKey, recipient)
    for (const other of others) await this.#slots.remove(other)
    return slot
  }

  /** After a creation that failed: no slot stays, so that it can be tried again. */
  async #removeUnfinished(): Promise<void> {
    try {
      for (const slot of await this.#slots.list()) await this.#slots.remove(slot)
      await this.#components.files.remove(CHECK_FILE)
      await this.look()
    } catch (error) {
      // What is thrown is why the creation failed; a passphrase's slot that stays can be opened.
      this.#components.logger.error('vault-unfinished-not-removed', { error: String(error) })
    }
  }

  async #readCheck(rootKey: Uint8Array): Promise<RecoveryCheck | undefined> {
    const file = await this.#components.files.read(CHECK_FILE)
    const [slot] = await this.#slots.list('words')
    if (file === undefined || slot === undefined) return undefined
    try {
      const plaintext = await decrypt(file, [checkIdentity(rootKey)])
      const check = recoveryCheck.parse(jsonOf(plaintext))
      return check.slotSha256 === (await this.#slots.sum(slot)) ? check : undefined
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof z.ZodError)) throw error
      // The words still open the vault; only that they were confirmed is not known any more.
      this.#components.logger.warn('recovery-check-unreadable', { reason: error.message })
      return undefined
    }
  }

  async #writeCheck(rootKey: Uint8Array, check: RecoveryCheck): Promise<void> {
    const plaintext = new TextEncoder().encode(JSON.stringify(check))
    const recipient = checkIdentity(rootKey).recipient
    await this.#components.files.write(
      CHECK_FILE,
      await encrypt(plaintext, [recipient], this.#components.random)
    )
    plaintext.fill(0)
    // A kit made while the vault is sealed is confirmed after it is opened: the check is read then.
    if (this.#rootKey !== undefined) this.#check = check
  }

  #oneChange<T>(work: () => Promise<T>): Promise<T> {
    const change = this.#lastChange.then(work)
    this.#lastChange = change.catch(() => undefined)
    return change
  }
}

function identityOf(secret: Secret): Identity {
  if (secret.kind === 'words') return wordsIdentity(secret.words)
  if (secret.kind === 'key-file') return keyFileIdentity(secret)
  return scryptIdentity(normalisePassphrase(secret.passphrase), { workFactorMax: WORK_FACTOR_MAX })
}

/** A key file is lines: comments that begin with `#`, empty ones, and one age identity, as age-keygen writes it. */
function keyFileIdentity(secret: Secret & { readonly kind: 'key-file' }): Identity {
  const [identity, ...others] = secret.text
    .slice(0, KEY_FILE_CHARACTERS_MAX)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  if (identity === undefined || others.length > 0) throw wrongSecret(secret)
  try {
    return parseIdentity(identity)
  } catch (error) {
    if (error instanceof ProtocolError) throw wrongSecret(secret)
    throw error
  }
}

function checkIdentity(rootKey: Uint8Array): KeyPair {
  const seed = deriveKey(rootKey, 'recovery-check')
  const identity = hybridIdentity(seed)
  seed.fill(0)
  return identity
}

function wrongSecret(secret: Secret): LockerError {
  return new LockerError('vault-secret-wrong', `the ${secret.kind} opens no slot`, {
    facts: { kind: secret.kind }
  })
}
