/**
 * Where peers we talk to were last reached, kept sealed. Addresses in a did:peer are as old as the
 * invitation; what the network learns while connected lets two agents find each other again after both have
 * moved, without anyone in between. It says whom the owner knows, so it is a record like any other.
 *
 * Sublevel `peer-addresses`: key PeerId (base58) → {@link peerAddresses}.
 *
 * @module
 */
import { z } from 'zod'
import type { Clock, Network } from './components.ts'
import type { Background } from './background.ts'
import type { Records } from './records.ts'

/** Peers remembered; the one changed longest ago makes room. */
export const PEERS_MAX = 1_000

/** Addresses of one peer, and characters of one address. */
const ADDRESSES_MAX = 8
const ADDRESS_CHARACTERS_MAX = 300

const peerAddresses = z.strictObject({
  multiaddrs: z.array(z.string().max(ADDRESS_CHARACTERS_MAX)).max(ADDRESSES_MAX),
  changedAt: z.iso.datetime()
})

/** Gives the network what was remembered, and remembers what it learns until the returned function is called. */
export async function openPeerAddresses(components: {
  records: Records
  network: Network
  clock: Clock
  background: Background
}): Promise<() => void> {
  const { records, network, clock, background } = components
  if (network.learnt === undefined) return () => undefined
  const peers = await records.collection('peer-addresses', peerAddresses)
  return network.learnt(
    new Map([...peers.entries()].map(([peer, { multiaddrs }]) => [peer, multiaddrs])),
    (peer, learnt) => {
      const multiaddrs = learnt
        .filter((address) => address.length <= ADDRESS_CHARACTERS_MAX)
        .slice(0, ADDRESSES_MAX)
      background.run('peer-address-not-kept', () =>
        records.change((batch) => {
          if (peers.get(peer) === undefined && peers.size >= PEERS_MAX) {
            const oldest = [...peers.entries()].reduce((a, b) =>
              b[1].changedAt < a[1].changedAt ? b : a
            )
            peers.delete(batch, oldest[0])
          }
          peers.put(batch, peer, { multiaddrs, changedAt: clock.now().toISOString() })
        })
      )
    }
  )
}
