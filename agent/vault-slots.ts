/**
 * Unlock slots: the root key, sealed once to each secret that opens the vault.
 *
 * | file in `vault/`              | sealed to                                                    |
 * |-------------------------------|--------------------------------------------------------------|
 * | `slot-passphrase-<id>.age`    | the passphrase (NFKC): age scrypt, work factor 18            |
 * | `slot-words-<id>.age`         | the hybrid identity derived from the 24 recovery words       |
 * | `slot-key-file-<id>.age`      | the hybrid identity in the key file                          |
 * | `slots.json`                  | not sealed: SHA-256 of each slot file                        |
 *
 * `<id>` is 16 hexadecimal digits, random, and stays when the slot's secret changes: the new slot is
 * written over the old one in one atomic step, so there is no moment with both and none with neither.
 *
 * A slot file is an age v1 file, openable with stock age, of 64 bytes:
 *
 *     offset  bytes
 *      0       8    "elkslot1": format and version
 *      8       1    kind: 1 passphrase, 2 words, 3 key file
 *      9       7    zero
 *     16       8    slot id
 *     24       8    zero
 *     32      32    root key
 *
 * Kind and id repeat the file's name, so a slot copied to another's place is refused.
 *
 * age cannot tell a wrong passphrase from a damaged salt or wrap, so each file's digest is kept
 * beside it: a slot that neither opens nor has its digest is named as damaged instead of blaming the
 * owner's memory. While a slot is being replaced both digests stand there. The digests decide only what is
 * said, never what is opened; without `slots.json` every failure reads as a wrong secret.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Logger, Random, SmallFiles } from './components.ts'
import { ROOT_KEY_BYTES } from './keys.ts'
import { decrypt, encrypt } from '../protocols/sealed/age.ts'
import { parseHeader } from '../protocols/sealed/header.ts'
import type { Identity, Recipient } from '../protocols/sealed/recipients.ts'
import { ProtocolError } from '../protocols/errors.ts'

/** Slots read from one vault: files beyond are ignored, for each may cost a second of scrypt. */
export const SLOTS_MAX = 16
/** Bytes of one slot file; a hybrid one has 1,820. */
const SLOT_BYTES_MAX = 16_384

const SUMS_FILE = 'slots.json'
const NAME = /^slot-(passphrase|words|key-file)-([0-9a-f]{16})\.age$/
/** In the order of their byte in the slot, from 1. */
const KINDS = ['passphrase', 'words', 'key-file'] as const
const MAGIC = 'elkslot1'
const PLAIN_BYTES = 64
const ID_BYTES = 8

/** What kind of secret opens a slot. */
export type SlotKind = (typeof KINDS)[number]

export interface Slot {
  readonly name: string
  readonly kind: SlotKind
  /** 16 hexadecimal digits. */
  readonly id: string
}

/** What came of trying a secret on one slot. */
export type Tried =
  | { readonly rootKey: Uint8Array<ArrayBuffer> }
  | { readonly wrong: true }
  | { readonly damaged: string }

/** Whether a file of the vault folder is a slot. */
export function isSlotName(name: string): boolean {
  return NAME.test(name)
}

/** A new slot's place. */
export function newSlot(kind: SlotKind, random: Random): Slot {
  const id = Buffer.from(random(ID_BYTES)).toString('hex')
  return { name: `slot-${kind}-${id}.age`, kind, id }
}

/** The slot files of one vault. */
export class Slots {
  readonly #files: SmallFiles
  readonly #random: Random
  readonly #logger: Logger

  constructor(components: {
    readonly files: SmallFiles
    readonly random: Random
    readonly logger: Logger
  }) {
    this.#files = components.files
    this.#random = components.random
    this.#logger = components.logger
  }

  /** By name, which orders them by kind; of one kind or all. */
  async list(kind?: SlotKind): Promise<readonly Slot[]> {
    const names = (await this.#files.list()).filter(isSlotName).toSorted()
    return names
      .slice(0, SLOTS_MAX)
      .map(slotOf)
      .filter((slot) => kind === undefined || slot.kind === kind)
  }

  /** Writes a slot, over the one there was. */
  async write(slot: Slot, rootKey: Uint8Array, recipient: Recipient): Promise<void> {
    const plaintext = formatSlot(slot, rootKey)
    const file = await encrypt(plaintext, [recipient], this.#random)
    plaintext.fill(0)
    const previous = await this.#files.read(slot.name)
    const sum = sumOf(file)
    const allowed = previous === undefined ? [sum] : [sumOf(previous), sum]
    await this.#keepSums(slot.name, allowed)
    await this.#files.write(slot.name, file)
    await this.#keepSums(slot.name, [sum])
  }

  async remove(slot: Slot): Promise<void> {
    await this.#files.remove(slot.name)
    await this.#keepSums(slot.name, [])
  }

  /** Tries a secret on one slot. The root key belongs to the caller. */
  async open(slot: Slot, identity: Identity): Promise<Tried> {
    const file = await this.#files.read(slot.name)
    if (file === undefined) return { damaged: GONE }
    const fault = faultOf(file)
    if (fault !== undefined) return { damaged: fault }
    const known = await this.#known(slot, file)
    let plaintext: Uint8Array
    try {
      plaintext = await decrypt(file, [identity])
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      if (error.code !== 'sealed-no-match') return { damaged: error.message }
      return known === false ? { damaged: CHANGED } : { wrong: true }
    }
    const rootKey = parseSlot(slot, plaintext)
    plaintext.fill(0)
    if (rootKey === undefined) return { damaged: 'it holds another slot' }
    if (known !== true) await this.#repairSums(slot, file)
    return { rootKey }
  }

  /** Why a slot file cannot be what was written; `undefined` for all that shows without its secret. */
  async fault(slot: Slot): Promise<string | undefined> {
    const file = await this.#files.read(slot.name)
    if (file === undefined) return GONE
    return faultOf(file) ?? ((await this.#known(slot, file)) === false ? CHANGED : undefined)
  }

  /** SHA-256 of the file as it lies there, hexadecimal; `undefined` when there is none. */
  async sum(slot: Slot): Promise<string | undefined> {
    const file = await this.#files.read(slot.name)
    return file === undefined ? undefined : sumOf(file)
  }

  /** Whether the file's digest is the one written down; `undefined` when none is. */
  async #known(slot: Slot, file: Uint8Array): Promise<boolean | undefined> {
    return (await this.#readSums()).get(slot.name)?.includes(sumOf(file))
  }

  /** The slot has just been opened, so the digest is what was lost or damaged. */
  async #repairSums(slot: Slot, file: Uint8Array): Promise<void> {
    this.#logger.warn('vault-digest-repaired', { slot: slot.id })
    try {
      await this.#keepSums(slot.name, [sumOf(file)])
    } catch (error) {
      // Opening needs no digest; a disk that cannot be written must not keep the vault shut.
      this.#logger.warn('vault-digest-not-written', { slot: slot.id, error: String(error) })
    }
  }

  async #readSums(): Promise<Map<string, readonly string[]>> {
    const bytes = await this.#files.read(SUMS_FILE)
    if (bytes === undefined) return new Map()
    const parsed = sumsFile.safeParse(jsonOf(bytes))
    if (!parsed.success) {
      this.#logger.warn('vault-digests-unreadable')
      return new Map()
    }
    return new Map(parsed.data.slots.map(({ name, sha256 }) => [name, sha256]))
  }

  async #keepSums(name: string, sums: readonly string[]): Promise<void> {
    const all = await this.#readSums()
    if (sums.length === 0) all.delete(name)
    else all.set(name, sums)
    const slots = [...all].map(([slot, sha256]) => ({ name: slot, sha256: [...sha256] }))
    const file: z.input<typeof sumsFile> = { version: 1, slots }
    await this.#files.write(SUMS_FILE, new TextEncoder().encode(JSON.stringify(file)))
  }
}

const GONE = 'the file is gone'
const CHANGED = 'its bytes are not those that were written'

const sumsFile = z.strictObject({
  version: z.literal(1),
  slots: z
    .array(
      z.strictObject({
        name: z.string().regex(NAME),
        sha256: z
          .array(z.string().regex(/^[0-9a-f]{64}$/))
          .min(1)
          .max(2)
      })
    )
    .max(SLOTS_MAX)
})

function slotOf(name: string): Slot {
  const [, kindText, id = ''] = NAME.exec(name) ?? []
  const kind = KINDS.find((candidate) => candidate === kindText) ?? 'passphrase'
  return { name, kind, id }
}

/** What is wrong with a slot file as far as that shows without a secret. */
function faultOf(file: Uint8Array): string | undefined {
  if (file.length > SLOT_BYTES_MAX) return `it has ${file.length} bytes`
  try {
    parseHeader(file)
    return undefined
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
}

function formatSlot(slot: Slot, rootKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const plaintext = new Uint8Array(PLAIN_BYTES)
  plaintext.set(Buffer.from(MAGIC))
  plaintext[8] = KINDS.indexOf(slot.kind) + 1
  plaintext.set(Buffer.from(slot.id, 'hex'), 16)
  plaintext.set(rootKey, PLAIN_BYTES - ROOT_KEY_BYTES)
  return plaintext
}

/** The root key, or `undefined` when this is not the slot its file name says. */
function parseSlot(slot: Slot, plaintext: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (plaintext.length !== PLAIN_BYTES) return undefined
  const rootKey = new Uint8Array(plaintext.subarray(PLAIN_BYTES - ROOT_KEY_BYTES))
  // There is exactly one plaintext for a slot and a root key, so comparing with it checks every field.
  return Buffer.compare(formatSlot(slot, rootKey), plaintext) === 0 ? rootKey : undefined
}

function sumOf(file: Uint8Array): string {
  return createHash('sha256').update(file).digest('hex')
}

/** Parsed JSON, or `undefined` when it is none: a schema decides next. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
