import { hkdf } from '@noble/hashes/hkdf.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { expect } from 'chai'
import { deriveKey, documentIdentity } from '../../agent/keys.ts'

const root = Uint8Array.from({ length: 32 }, (_, at) => at)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('keys', () => {
  it('are HKDF-SHA-512 with the label of their purpose, as another library computes it', () => {
    for (const purpose of ['document-identity', 'records/documents', 'holder-key'])
      for (const size of [16, 32, 64]) {
        const info = Buffer.from(`elocker/v1/${purpose}`)
        const expected = hkdf(sha512, root, undefined, info, size)
        expect(hex(deriveKey(root, purpose, size))).to.equal(hex(expected))
      }
  })

  it('never change: what is sealed today opens for good', () => {
    expect(hex(deriveKey(root, 'document-identity'))).to.equal(
      '9047e467bdef229008aaeca2342023cb72146f809d2010a051ec4286f3f804dd'
    )
  })

  it('differ by purpose and by root key', () => {
    const other = root.with(31, 0)
    const keys = ['document-identity', 'manifest', 'records/a', 'records/b'].flatMap((purpose) => [
      hex(deriveKey(root, purpose)),
      hex(deriveKey(other, purpose))
    ])
    expect(new Set(keys).size).to.equal(keys.length)
  })

  it('come from a root key of 32 bytes only', () => {
    for (const size of [0, 16, 31, 33, 64])
      expect(() => deriveKey(new Uint8Array(size), 'manifest')).to.throw(RangeError)
  })

  it('give the document identity in its text form', () => {
    const identity = documentIdentity(root)
    expect(identity.toText()).to.match(/^AGE-SECRET-KEY-PQ-1/)
    expect(identity.recipient.text).to.match(/^age1pq1/)
  })
})
