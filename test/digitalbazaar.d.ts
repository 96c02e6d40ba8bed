/** What the tests use of Digital Bazaar's libraries, which bring no types. */
declare module '@digitalbazaar/ed25519-multikey' {
  interface KeyPair {
    readonly publicKeyMultibase: string
    signer(): object
  }
  export function generate(options: {
    readonly id: string
    readonly controller: string
    readonly seed: Uint8Array
  }): Promise<KeyPair>
}

declare module '@digitalbazaar/data-integrity' {
  // oxlint-disable-next-line typescript/no-extraneous-class -- a declaration; theirs has methods.
  export class DataIntegrityProof {
    constructor(options: {
      readonly cryptosuite: object
      readonly signer?: object
      readonly date?: string
    })
  }
}

declare module '@digitalbazaar/eddsa-jcs-2022-cryptosuite' {
  export function createSignCryptosuite(): object
  export function createVerifyCryptosuite(): object
}

declare module '@digitalbazaar/eddsa-rdfc-2022-cryptosuite' {
  export const cryptosuite: object
}

declare module '@digitalbazaar/vc' {
  type Loader = (
    url: string
  ) => Promise<{ readonly documentUrl: string; readonly document: object; readonly tag?: string }>
  export function issue(options: {
    readonly credential: object
    readonly suite: object
    readonly documentLoader: Loader
  }): Promise<object>
  export function verifyCredential(options: {
    readonly credential: object
    readonly suite: object
    readonly documentLoader: Loader
    readonly now?: Date
    /** Asked when the credential has a status. */
    readonly checkStatus?: () => Promise<{ readonly verified: boolean }>
  }): Promise<{ readonly verified: boolean; readonly error?: unknown }>
}
