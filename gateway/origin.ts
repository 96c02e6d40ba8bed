/**
 * Where a request comes from: the name it was sent to, and the page that sent it.
 *
 * A private listener on loopback is reachable by every page the owner's browser shows. Two checks keep
 * those out. The **Host** allow-list stops DNS rebinding: a name of the attacker's that points at
 * 127.0.0.1 is still in the Host header. The **origin** check stops requests across sites, by Fetch
 * Metadata where the browser sends it and by `Origin` otherwise; a client that sends neither is not a
 * browser.
 *
 * @module
 */
import { LockerError } from '../agent/errors.ts'

/** Names that mean this machine to this machine. */
const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** Longest Host header looked at: a DNS name has at most 253 characters, and a port. */
const HOST_MAX = 260

/**
 * @param privateUrl - URL of the private listener.
 * @param further - Further names the listener is reached by, for example at a reverse proxy.
 * @returns whether a Host header is one of ours. When the listener is bound to all addresses, every IP
 * address is: rebinding needs a name.
 */
export function hostIsOurs(
  host: string | undefined,
  privateUrl: string,
  further: readonly string[] = []
): boolean {
  if (host === undefined || host.length > HOST_MAX) return false
  const name = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?$/i.exec(host)?.[1]?.toLowerCase()
  if (name === undefined) return false
  const bound = new URL(privateUrl).hostname.toLowerCase()
  if (LOOPBACK_NAMES.includes(name) || name === bound || further.includes(name)) return true
  const everywhere = bound === '0.0.0.0' || bound === '[::]'
  return everywhere && (name.startsWith('[') || /^[0-9]+(\.[0-9]+){3}$/.test(name))
}

/** Headers that tell which page made the browser send a request. */
export interface Provenance {
  readonly host: string
  readonly origin: string | undefined
  /** `Sec-Fetch-Site` of Fetch Metadata. */
  readonly site: string | undefined
}

/**
 * Refuses what a page of another origin made the browser send. Another port of this machine is another
 * origin though it is the same site, and gets the cookie: `same-site` is refused too.
 *
 * @throws `not-allowed`
 */
export function checkOrigin({ host, origin, site }: Provenance): void {
  if (site !== undefined && site !== 'same-origin' && site !== 'none')
    throw refused('sec-fetch-site names another site')
  if (origin === undefined) return
  // `Origin: null` comes from sandboxed and local files: none of ours.
  if (!/^https?:\/\//.test(origin) || origin.slice(origin.indexOf('//') + 2) !== host)
    throw refused('origin is not this address')
}

function refused(fact: string): LockerError {
  return new LockerError('not-allowed', `requests from other sites are not answered: ${fact}`)
}
