import { createHash, hkdfSync, scryptSync } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import { ProtocolError } from '../../protocols/errors.ts'
import {
  CAPABILITY_BYTES_MAX,
  deriveLinkKeys,
  formatLinkId,
  formatLinkUrl,
  hashProof,
  openCapability,
  parseLinkId,
  parseLinkSecret,
  parseLinkUrl,
  sealCapability,
  type LinkCapability
} from '../../protocols/share-link.ts'

const ID_BYTES = Uint8Array.from({ length: 16 }, (_, index) => index)
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => 255 - index)
const SALT = Uint8Array.from({ length: 16 }, (_, index) => 7 * index)
const NONCE = Uint8Array.from({ length: 24 }, (_, index) => index)
const ID = formatLinkId(ID_BYTES)

const capability: LinkCapability = {
  v: 1,
  fileKey: 'AAECAwQFBgcICQoLDA0ODw',
  root: 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
  sealedBytes: 8192,
  sizeBytes: 4000,
  name: 'degree – पदवी.pdf',
  mediaType: 'application/pdf',
  from: 'Alice',
  purpose: 'admission',
  createdAt: '2026-11-23T20:00:00.000Z',
  expiresAt: '2026-11-24T20:00:00.000Z'
}

const hex = (bytes: ArrayBuffer | Uint8Array): string =>
  Buffer.from(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)).toString('hex')

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

function codeOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ProtocolError) return error.code
    throw error
  }
  return 'nothing thrown'
}

describe('share link', () => {
  it('derives its keys as HKDF-SHA-256 of node:crypto does', async () => {
    const keys = await deriveLinkKeys({ id: ID, secret: SECRET })
    const expected = (purpose: string): string =>
      hex(hkdfSync('sha256', SECRET, ID_BYTES, `elocker/v1/link-${purpose}`, 32))
    expect(hex(keys.auth)).to.equal(expected('auth'))
    expect(hex(keys.openKey)).to.equal(expected('open'))
    expect(hex(hashProof(keys.auth))).to.equal(createHash('sha256').update(keys.auth).digest('hex'))
  })

  it('mixes a passphrase in as scrypt of node:crypto does, after NFKC', async () => {
    // The ligature and the full-width digit are one passphrase with their plain forms.
    const keys = await deriveLinkKeys({
      id: ID,
      secret: SECRET,
      passphrase: { text: 'ﬁnal１', salt: SALT }
    })
    const stretched = scryptSync('final1', SALT, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 })
    const ikm = Buffer.concat([SECRET, stretched])
    expect(hex(keys.auth)).to.equal(
      hex(hkdfSync('sha256', ikm, ID_BYTES, 'elocker/v1/link-auth', 32))
    )
    expect(hex(keys.openKey)).to.equal(
      hex(hkdfSync('sha256', ikm, ID_BYTES, 'elocker/v1/link-open', 32))
    )
  })

  it('keeps giving the same keys: links made today open after an update', async () => {
    const keys = await deriveLinkKeys({ id: ID, secret: SECRET })
    expect(hex(keys.auth)).to.equal(
      '4aa6df17d5ff7d33b1b79768860db0c511a4f90202ca841f9d8d0a1fc5125bd7'
    )
    expect(hex(keys.openKey)).to.equal(
      '36e320d3ae7c25ecbe5d0b128f2d58669654d6f77a2eb9cb119831c016e380ab'
    )
    const sealed = sealCapability(keys.openKey, ID, capability, NONCE)
    expect(createHash('sha256').update(sealed).digest('hex')).to.equal(
      '70821f6da9265c6ad853ffcdba5f4cc667a1c2027adeba4975ad13894160f327'
    )
  })

  it('gives other keys for another id, secret, passphrase or salt', async () => {
    const other = formatLinkId(Uint8Array.from(ID_BYTES, (byte) => byte ^ 1))
    const passphrase = { text: 'open sesame', salt: SALT }
    const all = await Promise.all([
      deriveLinkKeys({ id: ID, secret: SECRET }),
      deriveLinkKeys({ id: other, secret: SECRET }),
      deriveLinkKeys({ id: ID, secret: Uint8Array.from(SECRET, (byte) => byte ^ 1) }),
      deriveLinkKeys({ id: ID, secret: SECRET, passphrase }),
      deriveLinkKeys({
        id: ID,
        secret: SECRET,
        passphrase: { ...passphrase, text: 'open Sesame' }
      }),
      deriveLinkKeys({ id: ID, secret: SECRET, passphrase: { ...passphrase, salt: ID_BYTES } })
    ])
    const texts = all.flatMap((keys) => [hex(keys.auth), hex(keys.openKey)])
    expect(new Set(texts).size).to.equal(12)
  })

  it('refuses secrets, salts and passphrases of another length', async () => {
    const attempts = [
      { id: ID, secret: SECRET.subarray(1) },
      { id: ID, secret: SECRET, passphrase: { text: 'x', salt: SALT.subarray(1) } },
      { id: ID, secret: SECRET, passphrase: { text: 'x'.repeat(201), salt: SALT } },
      { id: 'constructor', secret: SECRET }
    ]
    for (const attempt of attempts) {
      const outcome = await deriveLinkKeys(attempt).catch((error: unknown) => error)
      expect(outcome).to.be.instanceOf(ProtocolError)
    }
  })

  it('opens the capability it sealed', async () => {
    const { openKey } = await deriveLinkKeys({ id: ID, secret: SECRET })
    const sealed = sealCapability(openKey, ID, capability, NONCE)
    expect(openCapability(openKey, ID, sealed)).to.deep.equal(capability)
  })

  it('refuses a capability with any byte flipped, or cut at any length', async () => {
    const { openKey } = await deriveLinkKeys({ id: ID, secret: SECRET })
    const sealed = sealCapability(openKey, ID, capability, NONCE)
    for (let position = 0; position < sealed.length; position++) {
      const flipped = Uint8Array.from(sealed)
      flipped[position] = (flipped[position] ?? 0) ^ 1
      expect(codeOf(() => openCapability(openKey, ID, flipped))).to.equal('sealed-damaged')
      expect(codeOf(() => openCapability(openKey, ID, sealed.subarray(0, position)))).to.equal(
        'sealed-damaged'
      )
    }
  })

  it('refuses a capability of another link, and one opened with the proof', async () => {
    const { openKey, auth } = await deriveLinkKeys({ id: ID, secret: SECRET })
    const sealed = sealCapability(openKey, ID, capability, NONCE)
    const other = formatLinkId(Uint8Array.from(ID_BYTES, (byte) => byte ^ 1))
    expect(codeOf(() => openCapability(openKey, other, sealed))).to.equal('sealed-damaged')
    expect(codeOf(() => openCapability(auth, ID, sealed))).to.equal('sealed-damaged')
  })

  it('validates what it finds inside, and bounds what it opens', async () => {
    const { openKey } = await deriveLinkKeys({ id: ID, secret: SECRET })
    const wrong = { ...capability, fileKey: 'short' }
    expect(() => sealCapability(openKey, ID, wrong, NONCE)).to.throw()
    const large = new Uint8Array(CAPABILITY_BYTES_MAX + 1)
    expect(codeOf(() => openCapability(openKey, ID, large))).to.equal('limit-exceeded')
    expect(codeOf(() => openCapability(openKey, ID, large.subarray(1)))).to.equal('sealed-damaged')
    const longest = { ...capability, name: '\u0001'.repeat(1000), purpose: '\u0001'.repeat(500) }
    const sealed = sealCapability(openKey, ID, { ...longest, from: '\u0001'.repeat(500) }, NONCE)
    expect(sealed.length).to.be.lessThan(CAPABILITY_BYTES_MAX)
    expect(openCapability(openKey, ID, sealed).name).to.equal(longest.name)
  })
})

describe('share link URL', () => {
  it('comes back from the text it was put into', () => {
    const bases = fc.constantFrom(
      'https://locker.example',
      'http://127.0.0.1:4281/',
      'https://example.org/lockers/alice'
    )
    fc.assert(
      fc.property(bases, bytes(16), bytes(32), (base, idBytes, secret) => {
        const id = formatLinkId(idBytes)
        expect(parseLinkId(id)).to.deep.equal(idBytes)
        const parts = parseLinkUrl(formatLinkUrl(base, id, secret))
        expect(parts.base).to.equal(base.replace(/\/$/, ''))
        expect(parts.id).to.equal(id)
        expect(parts.secret).to.deep.equal(secret)
      })
    )
  })

  it('keeps the secret in the fragment alone', () => {
    const url = new URL(formatLinkUrl('https://locker.example', ID, SECRET))
    expect(url.hash.slice(1)).to.have.lengthOf(43)
    expect(`${url.origin}${url.pathname}${url.search}`).to.equal(`https://locker.example/s/${ID}`)
    expect(parseLinkSecret(url.hash.slice(1))).to.deep.equal(SECRET)
  })

  it('is refused when cut off, changed or of another scheme', () => {
    const url = formatLinkUrl('https://locker.example', ID, SECRET)
    const wrong = [
      '',
      url.slice(0, -1),
      `${url}A`,
      url.replace('#', '?key='),
      url.replace('https:', 'javascript:'),
      url.replace('https:', 'ftp:'),
      url.replace('/s/', '/t/'),
      url.toUpperCase(),
      `${url.slice(0, -1)}_`,
      `https://${'x'.repeat(2100)}.example/s/${ID}#${'A'.repeat(43)}`
    ]
    for (const text of wrong)
      expect(
        codeOf(() => parseLinkUrl(text)),
        text
      ).to.equal('link-malformed')
  })

  it('takes an id in its one text form', () => {
    const wrong = [
      ID.toUpperCase(),
      ID.slice(1),
      `${ID}a`,
      `${ID.slice(0, -1)}b`,
      '__proto__',
      `${ID.slice(0, -1)}1`,
      `${ID}\n`
    ]
    for (const text of wrong)
      expect(
        codeOf(() => parseLinkId(text)),
        text
      ).to.equal('link-malformed')
  })
})
