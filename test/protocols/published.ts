/** An institution with keys, for the tests of what it publishes about itself. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { ProofSigner } from '../../protocols/credential/crypto.ts'
import { nativeProofCrypto, nativeSigner } from '../../protocols/credential/native.ts'
import type { SignatureSources } from '../../protocols/signed-document.ts'

export const NOW = new Date('2026-11-23T12:00:00.000Z')
export const DAY = 24 * 3_600_000
export const later = (byMs: number): Date => new Date(NOW.getTime() + byMs)

/** One DID with one key made of a repeated byte. */
export class Institution {
  readonly did: string
  readonly signer: ProofSigner
  readonly publicKey: Uint8Array

  constructor(did: string, byte: number) {
    const seed = new Uint8Array(32).fill(byte)
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    this.did = did
    this.signer = nativeSigner(key, `${did}#key-1`)
    this.publicKey = new Uint8Array(
      createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
    )
  }
}

/** What signatures are checked with: the keys of these institutions, and which were asked for. */
export function sourcesOf(
  institutions: readonly Institution[],
  now = NOW
): SignatureSources & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    now,
    crypto: nativeProofCrypto,
    asked,
    key: async (method) => {
      asked.push(method)
      const found = institutions.find(({ signer }) => signer.verificationMethod === method)
      return found === undefined
        ? { ok: false, reason: `no key ${method}` }
        : { ok: true, publicKey: found.publicKey }
    }
  }
}

export const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value))

/** The value with one character of each text in it changed, one text at a time, with its path. */
export function* tampered(value: unknown, path = ''): Generator<[path: string, value: unknown]> {
  if (typeof value === 'string') {
    yield [path, value.endsWith('x') ? `${value.slice(0, -1)}y` : `${value.slice(0, -1)}x`]
  } else if (typeof value === 'number') {
    yield [path, value + 1]
  } else if (Array.isArray(value)) {
    for (const [index, member] of value.entries())
      for (const [at, changed] of tampered(member, `${path}/${index}`))
        yield [at, value.with(index, changed)]
    yield [`${path}/+`, [...value, 'more']]
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value))
      for (const [at, changed] of tampered(member, `${path}/${name}`))
        yield [at, { ...value, [name]: changed }]
  }
}
