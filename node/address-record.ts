/**
 * Signed address records: where a peer can be reached, put into the DHT by that peer.
 *
 *     key     /elocker-address/<PeerId, base58>
 *     value   libp2p signed envelope (RFC 0002) over a peer record (RFC 0003): PeerId, multiaddrs, seq
 *
 * A record is valid when the envelope's signature is the peer's own and `seq` is not below one seen before.
 * The second condition is ours: js-libp2p's DHT lets an older, validly signed record overwrite a newer one,
 * and with it bring back an address that someone else may have now. The highest numbers are kept on disk.
 *
 * @module
 */
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import type { Multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import type { Clock, SmallFiles } from '../agent/components.ts'

const NAMESPACE = 'elocker-address'

/** Largest record, bytes: sixteen relayed addresses take about 2.5 KiB. */
export const ADDRESS_RECORD_BYTES_MAX = 4 * 1024

/** Addresses of one record. */
const RECORD_ADDRESSES_MAX = 16

/** Peers whose highest number is remembered: about 80 bytes each, below a small file's 1 MiB. */
const PEERS_MAX = 10_000

/** Numbers are written together, this long after the first of them came. */
const WRITE_AFTER_MS = 5_000

const FILE = 'sequences'

const memoryFile = z.strictObject({
  v: z.literal(1),
  /** PeerId and number, the one heard of longest ago first. */
  peers: z
    .array(z.tuple([z.string().min(1).max(128), z.string().regex(/^\d{1,20}$/)]))
    .max(PEERS_MAX)
})

export interface AddressRecord {
  readonly peerId: string
  readonly multiaddrs: readonly Multiaddr[]
  readonly sequence: bigint
}

/** The DHT key under which a peer's record lies. */
export function addressKey(peerId: string): Uint8Array {
  return Buffer.from(`/${NAMESPACE}/${peerId}`)
}

/** Signs a record of the first {@link RECORD_ADDRESSES_MAX} addresses. */
export async function sealAddressRecord(
  privateKey: PrivateKey,
  multiaddrs: readonly Multiaddr[],
  sequence: bigint
): Promise<Uint8Array> {
  const peerId = peerIdFromPublicKey(privateKey.publicKey)
  const record = new PeerRecord({
    peerId,
    multiaddrs: multiaddrs.slice(0, RECORD_ADDRESSES_MAX),
    seqNumber: sequence
  })
  return (await RecordEnvelope.seal(record, privateKey)).marshal()
}

/** Checks size, signature and that key, signer and record name the same peer; throws when they do not. */
export async function openAddressRecord(
  key: Uint8Array,
  value: Uint8Array
): Promise<AddressRecord> {
  if (value.length > ADDRESS_RECORD_BYTES_MAX)
    throw new RangeError(`an address record of ${value.length} bytes`)
  const envelope = await RecordEnvelope.openAndCertify(value, PeerRecord.DOMAIN)
  const record = PeerRecord.createFromProtobuf(envelope.payload)
  const signer = peerIdFromPublicKey(envelope.publicKey)
  const peerId = record.peerId.toString()
  const named = Buffer.compare(key, addressKey(peerId)) === 0
  if (!signer.equals(record.peerId) || !named)
    throw new TypeError(`an address record of ${peerId}, signed by ${signer.toString()}`)
  return {
    peerId,
    multiaddrs: record.multiaddrs.slice(0, RECORD_ADDRESSES_MAX),
    sequence: record.seqNumber
  }
}

/** The highest sequence number seen of each peer, kept over restarts. */
export class SequenceMemory {
  readonly #files: SmallFiles
  readonly #clock: Clock
  readonly #peers: Map<string, bigint>
  #cancelWrite: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(files: SmallFiles, clock: Clock, peers: Map<string, bigint>) {
    this.#files = files
    this.#clock = clock
    this.#peers = peers
  }

  /** Reads what was kept. A damaged file counts as empty: the numbers come back as records are seen. */
  static async open(files: SmallFiles, clock: Clock): Promise<SequenceMemory> {
    const bytes = await files.read(FILE)
    const kept = memoryFile.safeParse(bytes === undefined ? undefined : json(bytes))
    const peers = kept.success ? kept.data.peers : []
    return new SequenceMemory(
      files,
      clock,
      new Map(peers.map(([peer, sequence]) => [peer, BigInt(sequence)]))
    )
  }

  /** 0 when nothing is known of the peer. */
  highest(peerId: string): bigint {
    return this.#peers.get(peerId) ?? 0n
  }

  /** Throws when a higher number has been seen. */
  note(peerId: string, sequence: bigint): void {
    const highest = this.highest(peerId)
    if (sequence < highest)
      throw new RangeError(`address record ${sequence} of ${peerId}, ${highest} has been seen`)
    this.#peers.delete(peerId)
    this.#peers.set(peerId, sequence)
    if (this.#peers.size > PEERS_MAX) {
      const [oldest] = this.#peers.keys()
      if (oldest !== undefined) this.#peers.delete(oldest)
    }
    if (sequence === highest) return
    this.#cancelWrite ??= this.#clock.after(WRITE_AFTER_MS, () => {
      // A full disk loses the memory of a restart only; the next number tries again.
      this.flush().catch(() => undefined)
    })
  }

  /** Resolves when everything noted before is on disk. */
  async flush(): Promise<void> {
    if (this.#cancelWrite !== undefined) {
      this.#cancelWrite()
      this.#cancelWrite = undefined
      this.#writing = this.#write()
    }
    await this.#writing
  }

  async #write(): Promise<void> {
    const peers = [...this.#peers].map(([peer, sequence]) => [peer, sequence.toString()])
    await this.#files.write(FILE, Buffer.from(JSON.stringify({ v: 1, peers })))
  }
}

/** What kad-dht asks to judge records of ours. */
export function addressRecordRules(memory: SequenceMemory): {
  validators: Record<string, (key: Uint8Array, value: Uint8Array) => Promise<void>>
  selectors: Record<string, (key: Uint8Array, records: Uint8Array[]) => number>
} {
  return {
    validators: {
      [NAMESPACE]: async (key, value) => {
        const record = await openAddressRecord(key, value)
        memory.note(record.peerId, record.sequence)
      }
    },
    selectors: {
      [NAMESPACE]: (_key, records) => {
        const sequences = records.map(sequenceOf)
        const best = sequences.reduce((a, b) => (b > a ? b : a), -1n)
        return Math.max(0, sequences.indexOf(best))
      }
    }
  }
}

/** Of a record that may not have been checked: -1 when it cannot be read. */
function sequenceOf(value: Uint8Array): bigint {
  try {
    return PeerRecord.createFromProtobuf(RecordEnvelope.createFromProtobuf(value).payload).seqNumber
  } catch {
    return -1n
  }
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}
