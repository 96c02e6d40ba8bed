/**
 * What is taken as a passphrase: the same check when a locker is created and when its passphrase is
 * changed.
 *
 * | characters (Unicode, after NFKC) | zxcvbn score needed                     |
 * |----------------------------------|-----------------------------------------|
 * | up to 11                         | 3: more than 10^8 guesses               |
 * | 12 to 1,024                      | 2: more than 10^6 guesses, which refuses repeats, sequences and common passwords of any length |
 *
 * and never the owner's name. scrypt makes each guess cost about a second and 256 MiB.
 *
 * @module
 */
import type { ZxcvbnFactory } from '@zxcvbn-ts/core'
import { LockerError } from './errors.ts'

/** Characters from which on {@link SCORE_MIN_LONG} is enough; DESIGN §5.2. */
const PASSPHRASE_CHARACTERS_MIN = 12
/** Characters; more is a file, not a passphrase. */
const PASSPHRASE_CHARACTERS_MAX = 1_024
/** zxcvbn's scale: 0 to 4. */
const SCORE_MIN_SHORT = 3
const SCORE_MIN_LONG = 2

/** Characters handed to zxcvbn, whose time grows faster than its input; what follows can only make a passphrase stronger. */
const SCORED_CHARACTERS = 64

/** One form for what keyboards and systems write differently (Unicode NFKC); applied before every use. */
export function normalisePassphrase(passphrase: string): string {
  return passphrase.normalize('NFKC')
}

/**
 * Throws `passphrase-weak` with `facts.reason`: `short`, `guessable`, `name` or `long`; the passphrase
 * itself is in neither message nor facts. `name` undefined: the owner's name is not known here.
 */
export async function checkPassphrase(
  passphrase: string,
  options: { readonly name?: string | undefined } = {}
): Promise<void> {
  const normal = normalisePassphrase(passphrase)
  const characters = Array.from(normal)
  if (characters.length > PASSPHRASE_CHARACTERS_MAX)
    throw weak('long', `a passphrase has at most ${PASSPHRASE_CHARACTERS_MAX} characters`)
  const name = options.name?.normalize('NFKC').trim() ?? ''
  if (name !== '' && normal.trim().toLowerCase() === name.toLowerCase())
    throw weak('name', "the passphrase is the owner's name")
  const long = characters.length >= PASSPHRASE_CHARACTERS_MIN
  const scored = characters.slice(0, SCORED_CHARACTERS).join('')
  const { score } = (await judge()).check(scored, name === '' ? [] : [name, ...name.split(/\s+/)])
  if (score >= (long ? SCORE_MIN_LONG : SCORE_MIN_SHORT)) return
  if (long) throw weak('guessable', `the passphrase is easily guessed: score ${score} of 4`)
  throw weak('short', `${characters.length} characters with a score of ${score} of 4`)
}

let loading: Promise<ZxcvbnFactory> | undefined

/** Loaded at its first use: the dictionary takes 30 MiB of memory, and most runs choose no passphrase. */
function judge(): Promise<ZxcvbnFactory> {
  loading ??= Promise.all([import('@zxcvbn-ts/core'), import('@zxcvbn-ts/language-common')]).then(
    ([core, common]) =>
      new core.ZxcvbnFactory({
        dictionary: { ...common.dictionary },
        graphs: common.adjacencyGraphs
      })
  )
  return loading
}

function weak(reason: string, fact: string): LockerError {
  return new LockerError('passphrase-weak', fact, { facts: { reason } })
}
