/**
 * Which IP addresses are somewhere out on the internet, by the IANA special-purpose address registries
 * (RFC 6890 and its successors, as of 2026).
 *
 * @module
 */
import { BlockList, isIP } from 'node:net'

// oxfmt-ignore
const NOT_PUBLIC_IPV4: ReadonlyArray<readonly [network: string, bits: number]> = [
  ['0.0.0.0', 8],        // this network
  ['10.0.0.0', 8],       // private
  ['100.64.0.0', 10],    // carrier-grade NAT
  ['127.0.0.0', 8],      // loopback
  ['169.254.0.0', 16],   // link-local, and the metadata services of clouds
  ['172.16.0.0', 12],    // private
  ['192.0.0.0', 24],     // IETF protocol assignments
  ['192.0.2.0', 24],     // documentation
  ['192.88.99.0', 24],   // 6to4 relays, deprecated
  ['192.168.0.0', 16],   // private
  ['198.18.0.0', 15],    // benchmarking
  ['198.51.100.0', 24],  // documentation
  ['203.0.113.0', 24],   // documentation
  ['224.0.0.0', 4],      // multicast
  ['240.0.0.0', 4]       // reserved, and broadcast
]

/** Within global unicast (2000::/3), what is not: all else outside it is refused anyway. */
// oxfmt-ignore
const NOT_PUBLIC_IPV6: ReadonlyArray<readonly [network: string, bits: number]> = [
  ['2001::', 23],        // IETF protocol assignments: Teredo, benchmarking, ORCHID
  ['2001:db8::', 32],    // documentation
  ['2002::', 16],        // 6to4: carries any IPv4 address
  ['3fff::', 20]         // documentation
]

const notPublic = new BlockList()
for (const [network, bits] of NOT_PUBLIC_IPV4) notPublic.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of NOT_PUBLIC_IPV6) notPublic.addSubnet(network, bits, 'ipv6')

const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

/**
 * Whether the text is an IP address in its usual form that is globally reachable unicast. Not so: loopback,
 * private, link-local, shared, multicast, documentation and reserved ranges; IPv6 forms that carry an IPv4
 * address (mapped, NAT64, 6to4, Teredo); addresses with a zone; anything that is not an IP address.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublic.check(address, 'ipv4')
    case 6:
      return (
        !address.includes('%') &&
        globalUnicast.check(address, 'ipv6') &&
        !notPublic.check(address, 'ipv6')
      )
    default:
      return false
  }
}
