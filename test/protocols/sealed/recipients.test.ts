import { expect } from 'chai'
import { bech32 } from '@scure/base'
import { decrypt, encrypt } from '../../../protocols/sealed/age.ts'
import { isArmored, decodeArmor } from '../../../protocols/sealed/armor.ts'
import { parseHeader } from '../../../protocols/sealed/header.ts'
import {
  hybridIdentity,
  parseIdentity,
  parseRecipient,
  scryptIdentity,
  scryptRecipient,
  x25519Identity
} from '../../../protocols/sealed/recipients.ts'
import { random, refuses } from './sealed-file.ts'

const encode = (prefix: string, bytes: Uint8Array): string =>
  bech32.encode(prefix, bech32.toWords(bytes), false)

describe('age recipients', () => {
  it('open a file each, sealed to several', async () => {
    const identities = [
      hybridIdentity(random(32)),
      x25519Identity(random(32)),
      hybridIdentity(random(32))
    ]
    const plaintext = random(100)
    const file = await encrypt(
      plaintext,
      identities.map(({ recipient }) => recipient),
      random
    )
    expect(parseHeader(file).stanzas.map(({ args }) => args[0])).to.deep.equal([
      'mlkem768x25519',
      'X25519',
      'mlkem768x25519'
    ])
    for (const identity of identities)
      expect(Buffer.compare(await decrypt(file, [identity]), plaintext)).to.equal(0)
    const strangers = [hybridIdentity(random(32)), x25519Identity(random(32)), scryptIdentity('no')]
    await refuses(() => decrypt(file, strangers), 'sealed-no-match')
  })

  it('never share a file with a passphrase', async () => {
    const passphrase = scryptRecipient('secret', { workFactor: 2 })
    const { recipient } = hybridIdentity(random(32))
    await refuses(() => encrypt(random(1), [passphrase, recipient], random), 'sealed-malformed')
    await refuses(() => encrypt(random(1), [passphrase, passphrase], random), 'sealed-malformed')
    await refuses(() => encrypt(random(1), [], random), 'sealed-malformed')
  })

  it('take passphrase work factors up to the limit of the reader', async () => {
    const file = await encrypt(random(10), [scryptRecipient('secret', { workFactor: 6 })], random)
    const open = (workFactorMax: number): Promise<Uint8Array> =>
      decrypt(file, [scryptIdentity('secret', { workFactorMax })])
    expect((await open(6)).length).to.equal(10)
    await refuses(() => open(5), 'sealed-malformed')
    for (const workFactor of [0, -1, 1.5, 23, Number.NaN])
      await refuses(() => scryptRecipient('secret', { workFactor }), 'limit-exceeded')
  })

  it('seal the same content differently each time', async () => {
    const { recipient } = hybridIdentity(random(32))
    const files = [1, 2].map(() => encrypt(new Uint8Array(100), [recipient], random))
    const [one, two] = await Promise.all(files)
    expect(Buffer.from(one ?? []).equals(Buffer.from(two ?? []))).to.equal(false)
  })

  it('take file keys of sixteen bytes only', async () => {
    const { recipient } = hybridIdentity(random(32))
    for (const size of [0, 15, 17, 32])
      await refuses(
        () => encrypt(random(1), [recipient], random, { fileKey: random(size) }),
        'sealed-malformed'
      )
  })
})

describe('age key texts', () => {
  it('are read back as they were written', () => {
    for (const identity of [hybridIdentity(random(32)), x25519Identity(random(32))]) {
      expect(parseIdentity(identity.toText()).recipient.text).to.equal(identity.recipient.text)
      expect(parseRecipient(identity.recipient.text).text).to.equal(identity.recipient.text)
    }
  })

  it('are refused in the wrong case, with a wrong checksum, prefix or length', async () => {
    const hybrid = hybridIdentity(random(32))
    const text = hybrid.toText()
    const recipient = hybrid.recipient.text
    const badIdentities = [
      '',
      '1',
      'AGE-SECRET-KEY-PQ-1',
      text.toLowerCase(),
      text.slice(0, -1),
      `${text}Q`,
      ` ${text}`,
      text.replace(/.$/, (last) => (last === 'Q' ? 'P' : 'Q')),
      encode('age-secret-key-pq-', random(31)).toUpperCase(),
      encode('age-secret-key-', random(33)).toUpperCase(),
      encode('age-secret-key-other-', random(32)).toUpperCase(),
      recipient,
      'x'.repeat(5_000)
    ]
    for (const bad of badIdentities) {
      const error = await refuses(() => parseIdentity(bad), 'sealed-malformed')
      // A secret pasted wrongly must not end up in a log.
      expect(error.cause).to.equal(undefined)
      if (bad.length > 20) expect(error.message).to.not.contain(bad.slice(0, 20))
    }
    const badRecipients = [
      '',
      text,
      recipient.toUpperCase(),
      recipient.slice(0, -2),
      encode('age', random(31)),
      encode('age1pq', random(1_215)),
      encode('age1other', random(32))
    ]
    for (const bad of badRecipients) await refuses(() => parseRecipient(bad), 'sealed-malformed')
  })

  it('are refused where they are no public key', async () => {
    // Every coefficient of an ML-KEM key is below 3,329 (FIPS 203 §7.2): all ones are not.
    const noKey = new Uint8Array(1_216).fill(255)
    await refuses(() => parseRecipient(encode('age1pq', noKey)), 'sealed-malformed')
    // The X25519 point 0 gives a shared secret of zeros (RFC 7748 §6.1).
    const lowOrder = parseRecipient(encode('age', new Uint8Array(32)))
    await refuses(() => encrypt(random(1), [lowOrder], random), 'sealed-malformed')
    await refuses(() => hybridIdentity(random(31)), 'sealed-malformed')
    await refuses(() => x25519Identity(random(33)), 'sealed-malformed')
  })

  it('of low order in the X25519 half of a hybrid recipient are refused when sealing', async () => {
    const bytes = bech32.fromWords(
      bech32.decode(hybridIdentity(random(32)).recipient.text as `${string}1${string}`, false).words
    )
    bytes.fill(0, 1_184)
    const recipient = parseRecipient(encode('age1pq', bytes))
    await refuses(() => encrypt(random(1), [recipient], random), 'sealed-malformed')
  })
})

describe('age armor', () => {
  it('is told from binary files, and read strictly', async () => {
    const file = await encrypt(random(100), [hybridIdentity(random(32)).recipient], random)
    const lines = (
      Buffer.from(file)
        .toString('base64')
        .match(/.{1,64}/g) ?? []
    ).join('\n')
    const armored = Buffer.from(
      `-----BEGIN AGE ENCRYPTED FILE-----\n${lines}\n-----END AGE ENCRYPTED FILE-----\n`
    )
    expect(isArmored(file)).to.equal(false)
    expect(isArmored(armored)).to.equal(true)
    expect(Buffer.compare(decodeArmor(armored), file)).to.equal(0)
    await refuses(() => decodeArmor(file), 'sealed-malformed')
    await refuses(() => decodeArmor(new Uint8Array(16 * 1024 * 1024 + 1)), 'sealed-malformed')
  })
})
