/**
 * A first opinion on a passphrase while it is typed. The agent decides (it knows the common ones); this
 * says only what can be said without a dictionary, and so never "strong".
 *
 * @module
 */

/** Characters, the rule the agent accepts without further question. */
export const PASSPHRASE_LENGTH_MIN = 12

/** `level`: 0 nothing, 1 too short, 2 close, 3 long enough, 4 comfortable. */
export interface PassphraseOpinion {
  readonly level: 0 | 1 | 2 | 3 | 4
  readonly verdict: 'empty' | 'short' | 'repeated' | 'close' | 'enough' | 'comfortable'
}

/** Length counts, repetition does not: `aaaaaaaaaaaa` is as long as its different characters. */
export function judgePassphrase(text: string): PassphraseOpinion {
  const characters = Array.from(text)
  const distinct = new Set(characters).size
  if (characters.length === 0) return { level: 0, verdict: 'empty' }
  if (characters.length < PASSPHRASE_LENGTH_MIN)
    return characters.length < PASSPHRASE_LENGTH_MIN - 3
      ? { level: 1, verdict: 'short' }
      : { level: 2, verdict: 'close' }
  if (distinct < 6) return { level: 1, verdict: 'repeated' }
  return characters.length >= 20 && distinct >= 9
    ? { level: 4, verdict: 'comfortable' }
    : { level: 3, verdict: 'enough' }
}

/** Words out of whatever was pasted: numbered lists, commas, line breaks, capitals. */
export function splitWords(text: string): readonly string[] {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter(Boolean)
}
