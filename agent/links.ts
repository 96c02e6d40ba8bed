/**
 * Share links: a document for someone with nothing but a browser.
 *
 * @module
 */

export interface LinkFacts {
  /** 26 characters of lower-case base32. */
  readonly id: string
  readonly document: { readonly id: string; readonly name: string }
  readonly purpose?: string
  readonly createdAt: string
  readonly expiresAt: string
  readonly usesMax: number
  readonly uses: number
  readonly passphrase: boolean
  readonly state: 'live' | 'used-up' | 'expired' | 'stopped'
}

/** What the public listener needs to answer `POST /s/<id>/open`. */
export interface OpenedLink {
  /** Sealed capability (protocols/share-link.ts): the page opens it with the key from the fragment. */
  readonly capability: Uint8Array<ArrayBuffer>
  /** Lets the page read the ciphertext for 10 minutes. */
  readonly ticket: string
  /** Length of the sealed age file, bytes. */
  readonly sealedBytes: number
  readonly usesLeft: number
}

export interface Links {
  list(): readonly LinkFacts[]
  /** The URL holds the key in its fragment and is shown once: only the link's own record stays. */
  create(options: {
    document: string
    purpose?: string
    /** Default 24 h from now, at most 30 days. */
    expiresAt?: Date
    /** Default 1, at most 1,000. */
    usesMax?: number
    passphrase?: string
  }): Promise<{ facts: LinkFacts; url: string }>
  stop(id: string): Promise<LinkFacts>
  /** Public facts before opening; inert. Throws `link-unknown`. */
  describe(id: string): {
    passphrase: boolean
    salt: string
    state: LinkFacts['state']
    expiresAt: string
  }
  /** Checks the proof, counts the use and audits, in one batch, before it resolves. Throws `link-…`. */
  open(id: string, proof: Uint8Array): Promise<OpenedLink>
  /** Ciphertext of an opened link, by byte range of the sealed file. Throws `link-unknown` for a ticket that is not live. */
  read(
    id: string,
    ticket: string,
    range?: ByteRangeOfSealed
  ): Promise<AsyncIterable<Uint8Array<ArrayBuffer>>>
}

/** Inclusive byte offsets of the sealed file. */
export interface ByteRangeOfSealed {
  readonly start: number
  readonly end: number
}
