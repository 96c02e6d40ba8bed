/**
 * The 24 recovery words (BIP39, English list): 256 random bits, and the identity that opens the words' slot.
 *
 *     words ─BIP39 checksum─> 32 bytes of entropy ─HKDF-SHA-512, "elocker/v1/words-identity"─> hybrid seed
 *
 * 256 bits need no slow derivation: nobody guesses them.
 *
 * @module
 */
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import type { Random } from './components.ts'
import { LockerError } from './errors.ts'
import { deriveKey } from './keys.ts'
import { hybridIdentity, type KeyPair } from '../protocols/sealed/recipients.ts'

const WORDS = 24
/** Words asked back after the kit was shown. */
const WORDS_ASKED = 3

const ENTROPY_BYTES = 32
/** Characters; the longest word of the list has 8. What is longer is no word and is not looked at. */
const WORD_LENGTH_MAX = 32

/** Fresh words. */
export function newWords(random: Random): readonly string[] {
  return entropyToMnemonic(random(ENTROPY_BYTES), wordlist).split(' ')
}

/** A word as the list writes it: what people type differs in case, in spaces around it and in Unicode form. */
export function normaliseWord(word: string): string {
  return word.normalize('NFKD').trim().toLowerCase()
}

/** Throws `words-invalid` unless these are 24 words of the list with a right checksum. */
export function wordsIdentity(words: readonly string[]): KeyPair {
  if (words.length !== WORDS || words.some((word) => word.length > WORD_LENGTH_MAX))
    throw new LockerError('words-invalid', `${words.length} words given, ${WORDS} needed`)
  const normal = words.map(normaliseWord)
  const unknown = normal.flatMap((word, at) => (wordlist.includes(word) ? [] : [at + 1]))
  if (unknown.length > 0)
    throw new LockerError(
      'words-invalid',
      `not a word of the list at position ${unknown.join(', ')}`,
      { facts: { positions: unknown } }
    )
  let entropy: Uint8Array
  try {
    entropy = mnemonicToEntropy(normal.join(' '), wordlist)
  } catch {
    // The library's error is not kept as the cause: it may quote the words.
    throw new LockerError('words-invalid', 'the checksum of the words does not fit')
  }
  const seed = deriveKey(entropy, 'words-identity')
  const identity = hybridIdentity(seed)
  seed.fill(0)
  entropy.fill(0)
  return identity
}

/** Three different positions, 1 to 24, ascending. Which ones are asked is no secret. */
export function positionsToAsk(random: Random): [number, number, number] {
  const left = Array.from({ length: WORDS }, (_, at) => at + 1)
  const [first = 1, second = 2, third = 3] = [...random(WORDS_ASKED)]
    .flatMap((byte) => left.splice(byte % left.length, 1))
    .toSorted((a, b) => a - b)
  return [first, second, third]
}
