/** What is used of jsonld 9, which brings no types; those of DefinitelyTyped describe jsonld 1.5. */
declare module 'jsonld' {
  interface CanonizeOptions {
    readonly algorithm: 'RDFC-1.0'
    /** Whether what JSON-LD would drop silently is an error. */
    readonly safe: boolean
    readonly rdfDirection: 'i18n-datatype'
    readonly documentLoader: (url: string) => Promise<{
      readonly documentUrl: string
      readonly document: object
      /** `static`: the document under that URL never changes. */
      readonly tag: 'static'
    }>
    readonly canonizeOptions: {
      readonly maxDeepIterations: number
      readonly createMessageDigest: () => { update(text: string): void; digest(): string }
    }
  }

  const jsonld: { canonize(input: object, options: CanonizeOptions): Promise<string> }
  // oxlint-disable-next-line import/no-default-export
  export default jsonld
}
