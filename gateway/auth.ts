/**
 * Who calls the private listener, and what they may do.
 *
 * | caller    | proves itself by                                   | may                          |
 * |-----------|----------------------------------------------------|------------------------------|
 * | `run`     | `Authorization: Bearer` the run token of run.json  | everything (`admin`)         |
 * | `token`   | `Authorization: Bearer` a token the owner made     | the token's scopes           |
 * | `staff`   | `Authorization: Bearer` the token of an account    | what its role may (agent/staff.ts) |
 * | `session` | the session cookie, from a one-time token          | everything (`admin`)         |
 * | `none`    | –                                                  | the routes without a scope   |
 *
 * A cookie travels with whatever a page of another site makes the browser send, so a request that
 * changes something and is authenticated by it must carry `x-elocker` too, a header no form can set
 * (origin.ts holds the other half). Tests: test/tables/gateway-access.test.ts, test/gateway/auth.test.ts.
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { ISSUING_SCOPES, type Agent, type Clock, type Random } from '../agent/agent.ts'
import { LockerError } from '../agent/errors.ts'

/** What a token may be allowed. `admin` implies all. */
export const SCOPES = [
  'documents:read',
  'documents:write',
  'shares',
  'inbox',
  'contacts',
  'activity',
  ...ISSUING_SCOPES,
  'admin'
] as const

export type Scope = (typeof SCOPES)[number]

/** What a route asks of its caller: a scope, any proof at all (`any`), or nothing (`none`). */
export type Access = Scope | 'any' | 'none'

/** Header that every change made under a session cookie carries; its value is `1`. */
export const SESSION_HEADER = 'x-elocker'

/** A session ends 60 minutes after its last request … */
export const SESSION_IDLE_MS = 60 * 60 * 1_000

/** … and in any case after 12 hours: a working day. */
export const SESSION_MAX_MS = 12 * 60 * 60 * 1_000

/** Sessions at once; the one idle longest makes room. One person's browsers, with slack. */
export const SESSIONS_MAX = 64

/** The printed address opens the page for as long: whoever starts the agent may come back to the terminal later. */
export const ONE_TIME_TOKEN_MS = 12 * 60 * 60 * 1_000

/** One-time tokens not yet used; the oldest makes room. */
export const ONE_TIME_TOKENS_MAX = 32

/** Bytes of session ids and one-time tokens. */
const SECRET_BYTES = 32

/** Longest credential looked at, characters: ours have 43 to about 60. */
const CREDENTIAL_MAX = 512

export type Caller =
  | { readonly kind: 'none' }
  | { readonly kind: 'run' }
  | { readonly kind: 'session'; readonly id: string }
  | { readonly kind: 'token' | 'staff'; readonly id: string; readonly scopes: readonly string[] }

/** Stable name of a caller, to tell one caller's idempotency keys from another's. */
export function callerId(caller: Caller): string {
  return 'id' in caller ? `${caller.kind}/${caller.id}` : caller.kind
}

/** Who it was, for records and the log: the id of a member of staff, else `owner`. */
export function actorOf(caller: Caller): string {
  return caller.kind === 'staff' ? caller.id : 'owner'
}

/** Whether the caller may use a route of this access. */
export function permits(caller: Caller, access: Access): boolean {
  if (access === 'none') return true
  if (caller.kind !== 'token' && caller.kind !== 'staff') return caller.kind !== 'none'
  return access === 'any' || caller.scopes.includes(access) || caller.scopes.includes('admin')
}

/** Sessions of browsers and the one-time tokens they come from. In memory: a restart ends them all. */
export class Sessions {
  /** SHA-256 of the session id → times in ms. In the order of last use, longest idle first. */
  readonly #sessions = new Map<string, { readonly createdAt: number; usedAt: number }>()
  /** SHA-256 of the token → ms at which it ends. */
  readonly #tokens = new Map<string, number>()
  readonly #clock: Clock
  readonly #random: Random

  constructor({ clock, random }: { clock: Clock; random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /** A token for the printed URL: good once, for 12 hours. */
  issueToken(): string {
    const token = Buffer.from(this.#random(SECRET_BYTES)).toString('base64url')
    makeRoom(this.#tokens, ONE_TIME_TOKENS_MAX)
    this.#tokens.set(digest(token), this.#now() + ONE_TIME_TOKEN_MS)
    return token
  }

  /** Trades a one-time token for a session id; `undefined` when the token is not (or no longer) good. */
  start(token: string): string | undefined {
    const key = digest(token)
    const endsAt = this.#tokens.get(key)
    this.#tokens.delete(key)
    if (endsAt === undefined || endsAt <= this.#now()) return undefined
    const id = Buffer.from(this.#random(SECRET_BYTES)).toString('base64url')
    makeRoom(this.#sessions, SESSIONS_MAX)
    this.#sessions.set(digest(id), { createdAt: this.#now(), usedAt: this.#now() })
    return id
  }

  /** The session's name (not its secret), and the idle time starts again; `undefined` when it has ended. */
  use(id: string): string | undefined {
    const key = digest(id)
    const session = this.#sessions.get(key)
    if (session === undefined) return undefined
    this.#sessions.delete(key)
    if (!this.#live(session)) return undefined
    session.usedAt = this.#now()
    this.#sessions.set(key, session)
    return key
  }

  /** Whether the session of this name goes on; does not count as use. */
  live(name: string): boolean {
    const session = this.#sessions.get(name)
    return session !== undefined && this.#live(session)
  }

  end(name: string): void {
    this.#sessions.delete(name)
  }

  #live(session: { createdAt: number; usedAt: number }): boolean {
    const now = this.#now()
    return now < session.createdAt + SESSION_MAX_MS && now < session.usedAt + SESSION_IDLE_MS
  }

  #now(): number {
    return this.#clock.now().getTime()
  }
}

/** Credentials as they stand in a request's headers. */
export interface Credentials {
  readonly authorization: string | undefined
  /** Value of the session cookie. */
  readonly session: string | undefined
}

/** Tells who calls. */
export class Authenticator {
  readonly #agent: Agent
  readonly #sessions: Sessions
  readonly #runToken: Buffer
  readonly #clock: Clock

  constructor({
    agent,
    sessions,
    runToken,
    clock
  }: {
    agent: Agent
    sessions: Sessions
    runToken: string
    clock: Clock
  }) {
    this.#clock = clock
    this.#agent = agent
    this.#sessions = sessions
    this.#runToken = sha256(runToken)
  }

  /**
   * The caller. A credential in `Authorization` that is no good is an error and not an anonymous caller,
   * so that a client learns that its token ended; a cookie that ended is what every browser sends one day.
   *
   * @throws `not-authenticated`; `vault-sealed` for a token of the owner's while the locker is closed,
   * since tokens are kept in it.
   */
  caller({ authorization, session }: Credentials): Caller {
    if (authorization !== undefined) return this.#bearer(authorization)
    const name =
      session === undefined ? undefined : this.#sessions.use(session.slice(0, CREDENTIAL_MAX))
    return name === undefined ? { kind: 'none' } : { kind: 'session', id: name }
  }

  /** Whether the caller's proof still holds; asked again during long answers. */
  holds(caller: Caller): boolean {
    if (caller.kind === 'session') return this.#sessions.live(caller.id)
    // Tokens and accounts can be read only while the locker is open.
    if (!('scopes' in caller) || this.#agent.vault.state !== 'open') return true
    const { staff, tokens } = this.#agent
    const known: ReadonlyArray<{ id: string; expiresAt?: string }> =
      caller.kind === 'staff' ? staff.list() : tokens.list()
    const facts = known.find(({ id }) => id === caller.id)
    if (facts === undefined) return false
    return (
      facts.expiresAt === undefined || Date.parse(facts.expiresAt) > this.#clock.now().getTime()
    )
  }

  #bearer(authorization: string): Caller {
    // RFC 6750 §2.1: `Bearer` and one token68.
    const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(
      authorization.slice(0, CREDENTIAL_MAX)
    )?.[1]
    if (token === undefined)
      throw new LockerError('not-authenticated', 'the authorization header holds no bearer token')
    // Digests have one length, and where they differ says nothing of the token.
    if (timingSafeEqual(sha256(token), this.#runToken)) return { kind: 'run' }
    if (this.#agent.vault.state !== 'open' && this.#agent.vault.state !== 'new')
      throw new LockerError(
        'vault-sealed',
        'the locker is locked; its tokens can be checked once it is open'
      )
    const caller = this.#agent.vault.state === 'open' ? this.#known(token) : undefined
    if (caller === undefined)
      throw new LockerError('not-authenticated', 'the bearer token is unknown, expired or revoked')
    return caller
  }

  /** Both lists are asked, so the time says nothing about which one a guess was meant for. */
  #known(token: string): Caller | undefined {
    const own = this.#agent.tokens.check(token)
    const staff = this.#agent.staff.check(token)
    if (own !== undefined) return { kind: 'token', id: own.id, scopes: own.scopes }
    if (staff === undefined) return undefined
    const scopes = staff.scopes.map((scope) => (scope === 'activity:read' ? 'activity' : scope))
    return { kind: 'staff', id: staff.id, scopes }
  }
}

/**
 * Name of the session cookie for a Host header. Cookies do not tell ports apart, so two agents on one
 * machine would end each other's sessions under one name.
 */
export function cookieName(host: string): string {
  const port = /:([0-9]{1,5})$/.exec(host)?.[1]
  return port === undefined ? 'elocker-session' : `elocker-session-${port}`
}

/** `Set-Cookie` that starts a session, or with `undefined` ends it (RFC 6265 §4.1). */
export function sessionCookie(
  name: string,
  id: string | undefined,
  { secure }: { secure: boolean }
): string {
  const age = id === undefined ? 0 : SESSION_MAX_MS / 1_000
  const flags = `Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
  return `${name}=${id ?? ''}; ${flags}`
}

/** The value of a cookie in a `Cookie` header (RFC 6265 §4.2); the first of that name. */
export function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';', COOKIES_MAX)) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}

/** Cookies looked at in one header: every program on localhost may have left some. */
const COOKIES_MAX = 200

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}

function digest(text: string): string {
  return sha256(text).toString('base64url')
}

/** Drops the oldest entry of a full map. */
function makeRoom(map: Map<string, unknown>, sizeMax: number): void {
  if (map.size < sizeMax) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
