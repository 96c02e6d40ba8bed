/** Documents through a whole agent on disk: large ones in and out, small ones one by one, and many at once opened. */
import { randomBytes } from 'node:crypto'
import { temporaryFolder } from '../node/faulty-files.ts'
import type { Row } from './row.ts'
import { each, median, seconds } from './row.ts'
import { mebibytes, sumOfParts } from './sealing.ts'
import type { WholeAgent } from './whole-agent.ts'
import { PASSPHRASE, startAgent } from './whole-agent.ts'

/** The large document, MiB. */
const LARGE_MIB = 256
/** Times the large document is stored and read; the median counts. */
const ROUNDS = 3
/** Bytes of a small document. */
const SMALL_BYTES = 2_000
/** Small documents of one measurement. */
const SMALL_COUNT = 400
/** Documents of the vault that is opened. */
const VAULT_DOCUMENTS = 10_000
/** Documents added at the same time while that vault is filled. */
const FILLING_AT_ONCE = 32

/** Seals 256 MiB into the block files of a home and reads them back, beside the parts of that work one after the other. */
export async function largeRows(): Promise<readonly Row[]> {
  await using folder = await temporaryFolder()
  await using whole = await newLocker(folder.path)
  const { documents } = whole.agent
  const stored: number[] = []
  const read: number[] = []
  const parts: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    parts.push(await sumOfParts())
    let id = ''
    const storing = await seconds(async () => {
      id = (await documents.add(mebibytes(LARGE_MIB), { name: 'large' })).id
    })
    stored.push(LARGE_MIB / storing)
    read.push(LARGE_MIB / (await seconds(() => readWhole(whole, id))))
    await documents.delete(id)
  }
  return [
    {
      what: `seal and store ${LARGE_MIB} MiB, whole agent on disk`,
      unit: 'MiB/s',
      ours: median(stored),
      asked: { value: 180, bound: 'at least' },
      limit: { what: 'its parts in one thread', value: median(parts), asked: 0.6 }
    },
    {
      what: `open and read ${LARGE_MIB} MiB back`,
      unit: 'MiB/s',
      ours: median(read),
      asked: { value: 250, bound: 'at least' }
    }
  ]
}

/** Adds small documents, each durable when its promise resolves: one after the other, and eight at a time. */
export async function smallRows(): Promise<readonly Row[]> {
  await using folder = await temporaryFolder()
  await using whole = await newLocker(folder.path)
  const rate = async (atOnce: number): Promise<number> => {
    const work = (): Promise<void> => addSmall(whole, SMALL_COUNT, atOnce)
    return SMALL_COUNT / (await seconds(work))
  }
  // The first additions compile the code; they do not count.
  await addSmall(whole, 100, 8)
  return [
    {
      what: 'durable small documents, one after the other',
      unit: '/s',
      ours: median([await rate(1), await rate(1), await rate(1)]),
      asked: { value: 200, bound: 'at least' }
    },
    {
      what: 'durable small documents, 8 at once',
      unit: '/s',
      ours: median([await rate(8), await rate(8), await rate(8)]),
      asked: { value: 200, bound: 'at least' }
    }
  ]
}

/** Opens a vault of 10,000 documents by its passphrase: scrypt of work factor 18, then every record opened and checked. */
export async function openingRows(): Promise<readonly Row[]> {
  await using folder = await temporaryFolder()
  {
    await using filling = await newLocker(folder.path)
    await addSmall(filling, VAULT_DOCUMENTS, FILLING_AT_ONCE)
  }
  await using whole = await startAgent(folder.path)
  const { vault, documents } = whole.agent
  const time = await seconds(() => vault.open({ kind: 'passphrase', passphrase: PASSPHRASE }))
  const count = documents.list().length
  if (count !== VAULT_DOCUMENTS) throw new Error(`the vault opened with ${count} documents`)
  return [
    {
      what: 'open a vault of 10,000 documents, with scrypt',
      unit: 's',
      ours: time,
      asked: { value: 3, bound: 'at most' }
    }
  ]
}

async function newLocker(folder: string): Promise<WholeAgent> {
  const whole = await startAgent(folder)
  await whole.agent.vault.create({ name: 'Bench', passphrase: PASSPHRASE })
  return whole
}

async function readWhole({ agent }: WholeAgent, id: string): Promise<void> {
  const { content } = await agent.documents.open(id)
  let bytes = 0
  for await (const piece of content) bytes += piece.length
  if (bytes !== LARGE_MIB * 1024 * 1024) throw new Error(`${bytes} bytes were read`)
}

async function addSmall({ agent }: WholeAgent, count: number, atOnce: number): Promise<void> {
  const content = new Uint8Array(randomBytes(SMALL_BYTES))
  await each(Array.from({ length: count }).keys(), atOnce, async (number) => {
    await agent.documents.add(once(content), { name: `document ${number}` })
  })
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
