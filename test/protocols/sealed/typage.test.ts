/** Our age files against typage (npm age-encryption), an independent implementation, both ways. */
import { randomBytes } from 'node:crypto'
import { Decrypter, Encrypter } from 'age-encryption'
import { expect } from 'chai'
import { decrypt, encrypt } from '../../../protocols/sealed/age.ts'
import {
  hybridIdentity,
  parseIdentity,
  parseRecipient,
  scryptIdentity,
  scryptRecipient,
  x25519Identity,
  type Identity,
  type Recipient
} from '../../../protocols/sealed/recipients.ts'

const random = (sizeBytes: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(randomBytes(sizeBytes))
const SIZES = [0, 1, 65_535, 65_536, 65_537, 300_000]
const PASSPHRASE = 'größer als zwölf Zeichen'

interface Kind {
  readonly recipient: Recipient
  readonly identity: Identity
  readonly encrypter: Encrypter
  readonly decrypter: Decrypter
}

function keyPairKind(text: string): Kind {
  const identity = parseIdentity(text)
  const encrypter = new Encrypter()
  encrypter.addRecipient(identity.recipient.text)
  const decrypter = new Decrypter()
  decrypter.addIdentity(text)
  return { recipient: parseRecipient(identity.recipient.text), identity, encrypter, decrypter }
}

function passphraseKind(): Kind {
  const encrypter = new Encrypter()
  encrypter.setPassphrase(PASSPHRASE)
  encrypter.setScryptWorkFactor(10)
  const decrypter = new Decrypter()
  decrypter.addPassphrase(PASSPHRASE)
  return {
    recipient: scryptRecipient(PASSPHRASE, { workFactor: 10 }),
    identity: scryptIdentity(PASSPHRASE),
    encrypter,
    decrypter
  }
}

const KINDS: ReadonlyArray<readonly [name: string, make: () => Kind]> = [
  ['hybrid', () => keyPairKind(hybridIdentity(random(32)).toText())],
  ['X25519', () => keyPairKind(x25519Identity(random(32)).toText())],
  ['scrypt', passphraseKind]
]

describe('age files and typage', () => {
  for (const [name, make] of KINDS)
    for (const sizeBytes of SIZES) {
      it(`typage opens ${sizeBytes} bytes sealed here to ${name}`, async () => {
        const { recipient, decrypter } = make()
        const plaintext = random(sizeBytes)
        const opened = await decrypter.decrypt(await encrypt(plaintext, [recipient], random))
        expect(Buffer.compare(opened, plaintext)).to.equal(0)
      })

      it(`opens ${sizeBytes} bytes that typage sealed to ${name}`, async () => {
        const { identity, encrypter } = make()
        const plaintext = random(sizeBytes)
        const opened = await decrypt(await encrypter.encrypt(plaintext), [identity])
        expect(Buffer.compare(opened, plaintext)).to.equal(0)
      })
    }

  it('reads the key texts of typage and writes the same recipient', async () => {
    const typage = await import('age-encryption')
    for (const text of [
      await typage.generateHybridIdentity(),
      await typage.generateX25519Identity()
    ]) {
      const identity = parseIdentity(text)
      expect(identity.toText()).to.equal(text)
      expect(identity.recipient.text).to.equal(await typage.identityToRecipient(text))
    }
  })
})
