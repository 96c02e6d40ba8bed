/** Some sections of a language file (vite.config.ts): an entry loads the words it has a use for. */
declare module '*.json?sections=common,verify,verdict' {
  import type english from './languages/en.json'

  const words: Pick<typeof english, 'common' | 'verify' | 'verdict'>
  // oxlint-disable-next-line import/no-default-export -- as Vite makes JSON modules
  export default words
}
