/**
 * The configuration of the process: the only reader of `process.env`. A flag of the command line beats
 * the variable, the variable beats the default. Every fault is found before anything starts, and all of
 * them are listed at once.
 *
 * @module
 */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import { LockerError } from '../agent/errors.ts'
import type { LogLevel } from './log.ts'

/** Multiaddrs, PeerIds or hosts one setting may list. */
const LIST_MAX = 64

/** Largest upload when nothing is set, bytes: 4 GiB (DESIGN §11). */
const UPLOAD_BYTES_MAX_DEFAULT = 4 * 1024 ** 3

/** Where the listeners are when nothing is set. Port 0 means any free one, everywhere. */
const PRIVATE = { host: '127.0.0.1', port: 4280 }
const PUBLIC = { host: '0.0.0.0', port: 4281 }

/** Proxies one request may pass before it comes here. */
const PROXIES_MAX = 16

const ON = ['on', 'true', '1', 'yes']
const OFF = ['off', 'false', '0', 'no']

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface Config {
  /** Absolute path of the home folder. */
  readonly home: string
  /**
   * The owner's listener. `host` is an IP address; the page is reached as `localhost`, and by the names in
   * `hosts` (in small letters, without a port), e.g. at a reverse proxy.
   */
  readonly private: {
    readonly host: string
    readonly port: number
    readonly socket: boolean
    readonly hosts: readonly string[]
  }
  /** What others may reach; `undefined` while it is off. `url`: the base others know it by. */
  readonly public?:
    | { readonly host: string; readonly port: number; readonly url: string | undefined }
    | undefined
  /** Proxies before the public listener whose `X-Forwarded-For` is believed; 0: none. */
  readonly trustProxy: number
  readonly p2p: {
    readonly listen: readonly string[]
    /** Addresses told to others instead of the ones listened on; empty: those listened on. */
    readonly announce: readonly string[]
    /** Peers connected to at start and whenever the connection is lost. */
    readonly bootstrap: readonly string[]
    /** Relays through which this agent can be reached behind a NAT. */
    readonly relays: readonly string[]
    /** Whether this agent is a relay for others. */
    readonly relay: boolean
    /** PeerIds that may fetch any block by bitswap; empty: bitswap is off. */
    readonly bitswapPeers: readonly string[]
    /** Whether agents on the same LAN are looked for; never on a loopback-only node. */
    readonly mdns: boolean
  }
  /** Files whose secret opens the vault at start. */
  readonly unlock: { readonly passphraseFile?: string; readonly keyFile?: string }
  readonly logLevel: LogLevel
  readonly uploadBytesMax: number
  /** `host` or `host:port` that outgoing requests may reach although they are not public. */
  readonly allowedHosts: readonly string[]
}

/** Every setting there is: variable, flag, meaning, default. test/node/config.test.ts holds that {@link readConfig} reads exactly these. */
export const SETTINGS = [
  ['ELOCKER_HOME', 'home', 'home folder', '$XDG_DATA_HOME/elocker or ~/.local/share/elocker'],
  ['ELOCKER_PRIVATE', 'private', 'host:port of the page and the API', 'localhost:4280'],
  ['ELOCKER_SOCKET', 'socket', 'unix socket beside it: on or off', 'on'],
  [
    'ELOCKER_PUBLIC',
    'public',
    'host:port of what others may reach, on (0.0.0.0:4281), or off',
    'off'
  ],
  ['ELOCKER_PUBLIC_URL', 'publicUrl', 'base URL others reach it by, e.g. behind a proxy', 'none'],
  ['ELOCKER_HOSTS', 'hostName', 'further names the page is reached by, e.g. at a proxy', 'none'],
  ['ELOCKER_TRUST_PROXY', 'trustProxy', 'proxies before the public listener to believe', '0'],
  ['ELOCKER_P2P', 'p2p', 'multiaddrs to listen on', 'tcp 4282 and ws 4283, all interfaces'],
  ['ELOCKER_ANNOUNCE', 'announce', 'multiaddrs told to others', 'those listened on'],
  ['ELOCKER_BOOTSTRAP', 'bootstrap', 'multiaddrs of peers to stay connected to', 'none'],
  ['ELOCKER_RELAYS', 'relays', 'multiaddrs of relays to be reachable through', 'none'],
  ['ELOCKER_RELAY', 'relay', 'be relay and bootstrap for others: on or off', 'off'],
  ['ELOCKER_BITSWAP_PEERS', 'bitswapPeer', 'PeerIds that may fetch by bitswap', 'none'],
  ['ELOCKER_MDNS', 'mdns', 'look for agents on the LAN: on or off', 'on'],
  ['ELOCKER_PASSPHRASE_FILE', 'passphraseFile', 'its first line opens the vault at start', 'none'],
  ['ELOCKER_KEY_FILE', 'keyFile', 'key file that opens the vault at start', 'none'],
  ['ELOCKER_LOG', 'log', `log level: ${LOG_LEVELS.join(', ')}`, 'info'],
  ['ELOCKER_UPLOAD_MAX', 'uploadMax', 'largest upload, bytes', String(UPLOAD_BYTES_MAX_DEFAULT)],
  ['ELOCKER_ALLOWED_HOSTS', 'allowedHosts', 'non-public hosts outgoing requests may reach', 'none']
] as const

type Variable = (typeof SETTINGS)[number][0]

type Environment = Readonly<Record<string, string | undefined>>

/** Options of the command line by their name in {@link SETTINGS}; a list is an array or comma-separated. */
export type Flags = Readonly<
  Partial<
    Record<(typeof SETTINGS)[number][1], string | number | boolean | readonly string[] | undefined>
  >
>

/** The home folder, absolute: the option, else `ELOCKER_HOME`, else the user's data folder. */
export function homeFolder(option?: string, environment: Environment = process.env): string {
  const home = option ?? environment['ELOCKER_HOME']
  if (home !== undefined && home.trim() !== '') return resolve(home)
  const data = environment['XDG_DATA_HOME']
  // XDG Base Directory: a relative path there is invalid and ignored.
  return data !== undefined && isAbsolute(data)
    ? join(data, 'elocker')
    : join(homedir(), '.local', 'share', 'elocker')
}

/** Reads options and environment. Throws `config-invalid` whose message and `facts.faults` list every fault. */
export function readConfig(flags: Flags = {}, environment: Environment = process.env): Config {
  const faults = unknownVariables(environment)
  const read = new Reader(flags, environment, faults)
  const publicUrl = read.url('ELOCKER_PUBLIC_URL')
  const publicListener = read.listener('ELOCKER_PUBLIC')
  const config: Config = {
    home: read.path('ELOCKER_HOME') ?? homeFolder(undefined, environment),
    private: {
      ...(read.listener('ELOCKER_PRIVATE') || PRIVATE),
      socket: read.onOrOff('ELOCKER_SOCKET') ?? true,
      hosts: read.hostNames('ELOCKER_HOSTS') ?? []
    },
    public:
      publicListener === false || (publicListener === undefined && publicUrl === undefined)
        ? undefined
        : { ...(publicListener ?? PUBLIC), url: publicUrl },
    trustProxy: read.number('ELOCKER_TRUST_PROXY', PROXIES_MAX) ?? 0,
    p2p: {
      listen: read.multiaddrs('ELOCKER_P2P') ?? [
        '/ip4/0.0.0.0/tcp/4282',
        '/ip4/0.0.0.0/tcp/4283/ws'
      ],
      announce: read.multiaddrs('ELOCKER_ANNOUNCE') ?? [],
      bootstrap: read.multiaddrs('ELOCKER_BOOTSTRAP', 'with peer') ?? [],
      relays: read.multiaddrs('ELOCKER_RELAYS', 'with peer') ?? [],
      relay: read.onOrOff('ELOCKER_RELAY') ?? false,
      bitswapPeers: read.peers('ELOCKER_BITSWAP_PEERS') ?? [],
      mdns: read.onOrOff('ELOCKER_MDNS') ?? true
    },
    unlock: read.unlock(),
    logLevel: read.level('ELOCKER_LOG') ?? 'info',
    uploadBytesMax: read.bytes('ELOCKER_UPLOAD_MAX') ?? UPLOAD_BYTES_MAX_DEFAULT,
    allowedHosts: read.list('ELOCKER_ALLOWED_HOSTS') ?? []
  }
  if (faults.length > 0)
    throw new LockerError('config-invalid', `the configuration is wrong: ${faults.join('; ')}`, {
      facts: { faults }
    })
  return config
}

/** A misspelt variable would be ignored silently otherwise. */
function unknownVariables(environment: Environment): string[] {
  const known = new Set<string>(SETTINGS.map(([variable]) => variable))
  return Object.keys(environment)
    .filter((name) => name.startsWith('ELOCKER_') && !known.has(name) && !FOREIGN.has(name))
    .map((name) => `${name} is not a setting`)
}

/** Variables of the tests (where vectors lie), not of the process. */
const FOREIGN = new Set(['ELOCKER_VECTORS'])

/** Reads single settings; a fault is added to the list and reads as absent. */
class Reader {
  readonly #flags: Flags
  readonly #environment: Environment
  readonly #faults: string[]

  constructor(flags: Flags, environment: Environment, faults: string[]) {
    this.#flags = flags
    this.#environment = environment
    this.#faults = faults
  }

  path(variable: Variable): string | undefined {
    const text = this.#text(variable)
    return text === undefined ? undefined : resolve(text)
  }

  unlock(): Config['unlock'] {
    const passphraseFile = this.path('ELOCKER_PASSPHRASE_FILE')
    const keyFile = this.path('ELOCKER_KEY_FILE')
    if (passphraseFile !== undefined && keyFile !== undefined)
      this.#faults.push('ELOCKER_PASSPHRASE_FILE and ELOCKER_KEY_FILE are both set')
    return {
      ...(passphraseFile === undefined ? {} : { passphraseFile }),
      ...(keyFile === undefined ? {} : { keyFile })
    }
  }

  /** `false` when it is switched off. `localhost` is bound as 127.0.0.1: one address, whatever the resolver says. */
  listener(variable: Variable): { host: string; port: number } | false | undefined {
    const what = 'host:port (an IP address or localhost; port 0 to 65535)'
    return this.#parsed(variable, what, (text) => {
      const switchable = variable === 'ELOCKER_PUBLIC'
      if (switchable && ON.includes(text)) return PUBLIC
      if (switchable && OFF.includes(text)) return false
      const [, ip6, name, port] = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text) ?? []
      if (port === undefined || Number(port) > 65_535) return undefined
      if (ip6 !== undefined) validated(`/ip6/${ip6}`)
      else if (name !== undefined && name !== 'localhost') validated(`/ip4/${name}`)
      const host = ip6 ?? (name === 'localhost' ? undefined : name) ?? '127.0.0.1'
      return { host, port: Number(port) }
    })
  }

  bytes(variable: Variable): number | undefined {
    return this.#parsed(variable, 'a number of bytes', (text) =>
      integer(text, Number.MAX_SAFE_INTEGER)
    )
  }

  number(variable: Variable, max: number): number | undefined {
    return this.#parsed(variable, `a number from 0 to ${max}`, (text) => integer(text, max))
  }

  /** Without a port: the check of the Host header looks at the name alone. */
  hostNames(variable: Variable): readonly string[] | undefined {
    return this.#each(variable, 'a host name', (text) =>
      /^[a-z0-9_](?:[a-z0-9_.-]{0,252})$/i.test(text) ? text.toLowerCase() : undefined
    )
  }

  onOrOff(variable: Variable): boolean | undefined {
    return this.#parsed(variable, '`on` or `off`', (text) => {
      if (ON.includes(text)) return true
      return OFF.includes(text) ? false : undefined
    })
  }

  level(variable: Variable): LogLevel | undefined {
    return this.#parsed(variable, `one of ${LOG_LEVELS.join(', ')}`, (text) =>
      LOG_LEVELS.find((level) => level === text)
    )
  }

  url(variable: Variable): string | undefined {
    return this.#parsed(variable, 'an http or https URL without query or fragment', (text) => {
      const url = new URL(text)
      const plain = url.search === '' && url.hash === '' && url.username === ''
      const web = url.protocol === 'https:' || url.protocol === 'http:'
      return plain && web ? url.href.replace(/\/$/, '') : undefined
    })
  }

  multiaddrs(variable: Variable, kind?: 'with peer'): readonly string[] | undefined {
    const what = kind === undefined ? 'a multiaddr' : 'a multiaddr that ends in /p2p/<PeerId>'
    return this.#each(variable, what, (text) => {
      const components = validated(text).getComponents()
      return kind === undefined || components.at(-1)?.name === 'p2p' ? text : undefined
    })
  }

  peers(variable: Variable): readonly string[] | undefined {
    return this.#each(variable, 'a PeerId', (text) => (validated(`/p2p/${text}`), text))
  }

  list(variable: Variable): readonly string[] | undefined {
    return this.#each(variable, 'a host', (text) => text)
  }

  #each(
    variable: Variable,
    what: string,
    parse: (text: string) => string | undefined
  ): readonly string[] | undefined {
    const text = this.#text(variable)
    if (text === undefined) return undefined
    const entries = text.split(/[\s,]+/).filter((entry) => entry !== '')
    if (entries.length > LIST_MAX)
      this.#faults.push(`${variable} lists ${entries.length} entries, at most ${LIST_MAX} are read`)
    return entries.slice(0, LIST_MAX).flatMap((entry) => {
      const value = attempt(() => parse(entry))
      if (value === undefined) this.#faults.push(`${variable}: ${entry} is not ${what}`)
      return value === undefined ? [] : [value]
    })
  }

  #parsed<T>(
    variable: Variable,
    what: string,
    parse: (text: string) => T | undefined
  ): T | undefined {
    const text = this.#text(variable)
    if (text === undefined) return undefined
    const value = attempt(() => parse(text))
    if (value === undefined) this.#faults.push(`${variable}: ${text} is not ${what}`)
    return value
  }

  /** The flag's text, else the variable's; an empty one counts as absent, as a container sets it. */
  #text(variable: Variable): string | undefined {
    const flag = this.#flags[SETTINGS.find(([name]) => name === variable)?.[1] ?? 'home']
    const text = flag === undefined ? this.#environment[variable] : String(flag)
    return text === undefined || text.trim() === '' ? undefined : text.trim()
  }
}

function integer(text: string, max: number): number | undefined {
  const value = Number(text)
  return /^\d{1,16}$/.test(text) && value <= max ? value : undefined
}

/** The library checks some values, PeerIds among them, only when their bytes are asked for. */
function validated(text: string): Multiaddr {
  const address = multiaddr(text)
  if (address.bytes.length === 0) throw new RangeError('an empty multiaddr')
  return address
}

/** Parsers of other libraries throw; here that means: not such a value. */
function attempt<T>(parse: () => T | undefined): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}
