/**
 * did:web: the way from a DID to the URL of its document (W3C CCG did:web method). Pure: fetching is
 * node/guarded-fetch.ts.
 *
 * The stock resolvers decode every percent escape into the URL, so that `did:web:good.example%40127.0.0.1`
 * fetches loopback. Here the only escape understood is `%3A` before a port, and only for hosts that the
 * operator allowed.
 *
 * @module
 */
import { ProtocolError } from '../errors.ts'

const PREFIX = 'did:web:'
const HOST_CHARS_MAX = 253
const SEGMENTS_MAX = 16
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/

export interface DidWebOptions {
  /**
   * Hosts (`name` or `name:port`) outside the public rules: single labels such as `localhost`, and hosts
   * with a port. Default none. An address literal is refused even here: the method forbids it.
   */
  readonly allow?: (host: string) => boolean
}

/**
 * The URL of a did:web's document: `https://host/.well-known/did.json`, or below the path the DID names.
 *
 * @throws ProtocolError `did-malformed` for any host that is not a public DNS name or explicitly allowed,
 * for address literals, escapes and path segments with anything but letters, digits, `-`, `_` and inner dots;
 * `did-unsupported` for another method.
 */
export function didWebUrl(did: string, options: DidWebOptions = {}): string {
  if (!did.startsWith(PREFIX)) throw new ProtocolError('did-unsupported', 'not a did:web')
  const [first = '', ...segments] = did.slice(PREFIX.length).split(':')
  const host = hostOf(first, options)
  if (segments.length > SEGMENTS_MAX || !segments.every((segment) => SEGMENT.test(segment))) {
    throw new ProtocolError('did-malformed', 'a did:web whose path has a segment that is not plain')
  }
  const path = segments.length === 0 ? '.well-known' : segments.join('/')
  return `https://${host}/${path}/did.json`
}

function hostOf(text: string, { allow }: DidWebOptions): string {
  const [name = '', port, ...more] = text.split('%3A')
  const host = port === undefined ? name : `${name}:${port}`
  const labels = name.split('.')
  const plain =
    more.length === 0 &&
    name.length <= HOST_CHARS_MAX &&
    labels.every((label) => LABEL.test(label)) &&
    (port === undefined || (/^[1-9]\d{0,4}$/.test(port) && Number(port) < 65_536)) &&
    // What ends in a number is an IPv4 address to every URL parser: 127.1, 2130706433, 1.0x7f.
    !/^\d/.test(labels.at(-1) ?? '')
  if (!plain) throw new ProtocolError('did-malformed', 'a did:web whose host is not a DNS name')
  const needsLeave = port !== undefined || labels.length < 2
  if (needsLeave && allow?.(host) !== true) {
    throw new ProtocolError('did-malformed', `did:web host ${host} is not allowed here`)
  }
  return host
}
