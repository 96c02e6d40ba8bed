/** Sealing: the age format alone, beside typage; the whole way to disk, beside the sum of its parts. */
import {
  createCipheriv,
  createHash,
  createSecretKey,
  encapsulate,
  generateKeyPairSync,
  randomBytes
} from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Encrypter, generateHybridIdentity, identityToRecipient } from 'age-encryption'
import { systemRandom } from '../../node/clock.ts'
import { encrypt, sealStream } from '../../protocols/sealed/age.ts'
import { hybridIdentity } from '../../protocols/sealed/recipients.ts'
import { perSecond, seconds, type Row } from './row.ts'

const MIB = 1024 * 1024

/** Plaintext of the long runs, MiB. */
const LONG_MIB = 256

/** A stream of `count` MiB without copying: what is measured is not the source. */
export async function* mebibytes(count: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const piece = new Uint8Array(randomBytes(MIB))
  for (let at = 0; at < count; at++) yield piece
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of source) if (piece.length === 0) throw new Error('an empty piece')
}

/** Seals 256 MiB in memory, and one file key after another, beside typage and the bare primitives. */
export async function sealingRows(): Promise<Row[]> {
  const recipient = hybridIdentity(systemRandom(32)).recipient
  const seal = () =>
    drain(sealStream(mebibytes(LONG_MIB), { recipients: [recipient], random: systemRandom }))
  await seal()
  const ours = LONG_MIB / (await seconds(seal))
  const typage = new Encrypter()
  typage.addRecipient(await identityToRecipient(await generateHybridIdentity()))
  const plain = new Uint8Array(randomBytes(16 * MIB))
  const theirs = 16 / (await seconds(() => typage.encrypt(plain)))
  const small = new Uint8Array(16)
  return [
    {
      what: 'seal a stream (age, padded), no disk',
      unit: 'MiB/s',
      ours,
      limit: { what: 'ChaCha20-Poly1305 in 64 KiB', value: cipherAlone() },
      peer: { what: 'typage', value: theirs }
    },
    {
      what: 'hybrid stanza: wrap one file key',
      unit: '/s',
      ours: await perSecond(() => encrypt(small, [recipient], systemRandom)),
      limit: { what: 'ML-KEM-768 encapsulate', value: await perSecond(encapsulation()) },
      peer: { what: 'typage', value: await perSecond(() => typage.encrypt(small)) }
    }
  ]
}

function encapsulation(): () => void {
  const { publicKey } = generateKeyPairSync('ml-kem-768')
  return () => void encapsulate(publicKey)
}

/** MiB a second of the cipher alone, in the chunks age uses. */
function cipherAlone(): number {
  const chunk = randomBytes(65_536)
  // As a KeyObject: made from bytes, every cipher would import the key again.
  const key = createSecretKey(randomBytes(32))
  const nonce = randomBytes(12)
  const chunks = (LONG_MIB * MIB) / chunk.length
  const started = performance.now()
  for (let at = 0; at < chunks; at++) {
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
    cipher.update(chunk)
    cipher.final()
    cipher.getAuthTag()
  }
  return (LONG_MIB / (performance.now() - started)) * 1000
}

/**
 * MiB a second when one thread does, one after the other, what storing a document cannot do without: cipher,
 * sha2-256 of each block, and a file a block written with fdatasync.
 */
export async function sumOfParts(): Promise<number> {
  const cipher = LONG_MIB / cipherAlone()
  const block = randomBytes(MIB)
  const hash = await seconds(() => {
    for (let at = 0; at < LONG_MIB; at++) createHash('sha256').update(block).digest()
  })
  const folder = await mkdtemp(join(tmpdir(), 'elocker-bench-'))
  try {
    const write = await seconds(async () => {
      for (let at = 0; at < LONG_MIB; at++) {
        const file = await open(join(folder, String(at)), 'wx')
        await file.write(block)
        await file.datasync()
        await file.close()
      }
    })
    return LONG_MIB / (cipher + hash + write)
  } finally {
    await rm(folder, { recursive: true })
  }
}
