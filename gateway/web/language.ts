/**
 * Words in the reader's language. One JSON a language, loaded when chosen; English is the one the others
 * are measured against, and the fallback for a missing key.
 *
 * @module
 */
import i18next, { type ParseKeys, type TOptions } from 'i18next'
import type english from './languages/en.json'

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof english }
    returnNull: false
    nsSeparator: false
  }
}

/** A key of languages/en.json: a wrong one does not compile. */
export type WordKey = ParseKeys

const FALLBACK = 'en'
const others = import.meta.glob<{ default: typeof english }>([
  './languages/*.json',
  '!./languages/en.json'
])

/**
 * Chooses the first of the reader's languages that exists here; call once before anything is shown.
 *
 * @param words - The English of this entry: all of it, or the sections its page has words in.
 */
export async function loadLanguage(
  words: Partial<typeof english>,
  wished: readonly string[] = navigator.languages
): Promise<void> {
  const known = new Map(
    Object.keys(others).map((path) => [path.replace(/^.*\/|\.json$/g, ''), path])
  )
  const chosen =
    wished
      .map((tag) => tag.split('-')[0] ?? '')
      .find((tag) => tag === FALLBACK || known.has(tag)) ?? FALLBACK
  const load = others[known.get(chosen) ?? '']
  await i18next.init({
    lng: chosen,
    fallbackLng: FALLBACK,
    // Scopes of tokens have a colon in their names.
    nsSeparator: false,
    resources: {
      [FALLBACK]: { translation: words },
      ...(load === undefined ? {} : { [chosen]: { translation: (await load()).default } })
    },
    // Svelte escapes what it renders; escaping twice would show &amp;.
    interpolation: { escapeValue: false }
  })
  document.documentElement.lang = chosen
  document.documentElement.dir = i18next.dir(chosen)
}

/** The words for a key, with its values put in. */
export function t(key: WordKey, values: TOptions = {}): string {
  return i18next.t(key, values)
}

/** The words for a key made at run time, or `undefined` where there are none. */
export function tIfKnown(key: string, values: TOptions = {}): string | undefined {
  return isKnown(key) ? i18next.t(key, values) : undefined
}

function isKnown(key: string): key is WordKey {
  return i18next.exists(key)
}

/** The chosen language, for Intl. */
export function language(): string {
  // The region of the reader's own setting decides how dates and numbers look.
  const tag = i18next.resolvedLanguage ?? FALLBACK
  return navigator.languages.find((wished) => wished.startsWith(tag)) ?? tag
}
