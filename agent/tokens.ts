/**
 * Bearer tokens: what a machine shows instead of the owner's session.
 *
 * | record           | key          | holds                                                       |
 * |------------------|--------------|-------------------------------------------------------------|
 * | `tokens`         | the token id | name, scopes, times, SHA-256 of the token text              |
 *
 * The token is 256 random bits, so a plain hash is enough: there is nothing to guess. Its text is
 * returned once and stored nowhere.
 *
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { base32nopad, base64urlnopad } from '@scure/base'
import { z } from 'zod'
import type { Audit } from './audit.ts'
import type { Clock, Logger, Random } from './components.ts'
import { LockerError } from './errors.ts'
import type { Collection, Records } from './records.ts'
import { ISSUING_SCOPES } from './staff.ts'

/** What a token may be allowed; `admin` implies the others. */
const TOKEN_SCOPES = [
  'documents:read',
  'documents:write',
  'shares',
  'inbox',
  'contacts',
  'activity',
  ...ISSUING_SCOPES,
  'admin'
] as const

/** Tokens of one locker; each check compares against all of them. */
export const TOKENS_MAX = 1000
/** Longest name, UTF-16 code units. */
export const TOKEN_NAME_CHARACTERS_MAX = 100
/** Random bytes of a token. */
const TOKEN_BYTES = 32
const TOKEN_TEXT = /^elk_[A-Za-z0-9_-]{43}$/
/** Least time between two writes of `lastUsedAt`, milliseconds: a busy machine must not cost a batch a request. */
const LAST_USED_INTERVAL_MS = 60_000

const tokenRecord = z.object({
  name: z.string().min(1).max(TOKEN_NAME_CHARACTERS_MAX),
  scopes: z.array(z.enum(TOKEN_SCOPES)).min(1).max(TOKEN_SCOPES.length),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().optional(),
  lastUsedAt: z.iso.datetime().optional(),
  /** SHA-256 of the token text, canonical base64url: the last of 43 characters carries two zero bits. */
  hash: z.string().regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)
})
type TokenRecord = z.infer<typeof tokenRecord>

/** A bearer token for a machine; the token text is shown once and stored hashed. */
export interface TokenFacts {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt?: string
  readonly lastUsedAt?: string
}

export interface TokensComponents {
  readonly records: Records
  readonly audit: Audit
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface Tokens {
  /** Newest first, the expired ones too. */
  list(): readonly TokenFacts[]
  /** Throws `request-invalid` for a name, scope or time that cannot be, or beyond {@link TOKENS_MAX}. */
  create(options: {
    name: string
    scopes: readonly string[]
    expiresAt?: Date
  }): Promise<{ facts: TokenFacts; token: string }>
  /** From the next check on the token is nothing. Throws `token-unknown`. */
  revoke(id: string): Promise<void>
  /** The token's facts when it is live, or `undefined`. Takes the same time for every wrong text. */
  check(token: string): TokenFacts | undefined
}

/** Opens the tokens of an open vault. */
export async function openTokens(components: TokensComponents): Promise<Tokens> {
  return new TokenStore(components, await components.records.collection('tokens', tokenRecord))
}

class TokenStore implements Tokens {
  readonly #components: TokensComponents
  readonly #tokens: Collection<TokenRecord>
  /** Ids whose `lastUsedAt` is being written. */
  readonly #writing = new Set<string>()

  constructor(components: TokensComponents, tokens: Collection<TokenRecord>) {
    this.#components = components
    this.#tokens = tokens
  }

  list(): readonly TokenFacts[] {
    return [...this.#tokens.entries()]
      .map(([id, record]) => factsOf(id, record))
      .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
  }

  async create(options: Parameters<Tokens['create']>[0]): ReturnType<Tokens['create']> {
    const { records, audit, clock, random } = this.#components
    const { name, scopes, expiresAt } = options
    const now = clock.now()
    const id = base32nopad.encode(random(16)).toLowerCase()
    const token = `elk_${base64urlnopad.encode(random(TOKEN_BYTES))}`
    if (expiresAt !== undefined && !(expiresAt.getTime() > now.getTime()))
      throw new LockerError('request-invalid', 'the token would be expired from the start')
    const parsed = tokenRecord.safeParse({
      name: name.trim(),
      scopes: [...new Set(scopes)],
      createdAt: now.toISOString(),
      expiresAt: expiresAt?.toISOString(),
      hash: base64urlnopad.encode(hashOf(token))
    })
    if (!parsed.success)
      throw new LockerError(
        'request-invalid',
        `a token needs a name of 1 to ${TOKEN_NAME_CHARACTERS_MAX} characters and scopes of: ${TOKEN_SCOPES.join(', ')}`,
        { cause: parsed.error }
      )
    await records.change((batch) => {
      if (this.#tokens.size >= TOKENS_MAX)
        throw new LockerError('request-invalid', `there are ${TOKENS_MAX} tokens already`)
      this.#tokens.put(batch, id, parsed.data)
      audit.append(batch, {
        action: 'token-created',
        actor: 'owner',
        details: { token: id, scopes: parsed.data.scopes.join(' ') }
      })
    })
    return { facts: factsOf(id, parsed.data), token }
  }

  async revoke(id: string): Promise<void> {
    const { records, audit } = this.#components
    await records.change((batch) => {
      if (this.#tokens.get(id) === undefined)
        throw new LockerError('token-unknown', `no token ${id}`)
      this.#tokens.delete(batch, id)
      audit.append(batch, { action: 'token-revoked', actor: 'owner', details: { token: id } })
    })
  }

  check(token: string): TokenFacts | undefined {
    if (!TOKEN_TEXT.test(token)) return undefined
    const hash = hashOf(token)
    let found: [string, TokenRecord] | undefined
    // Every record is compared, found or not, so the time says nothing about how near a guess was.
    for (const entry of this.#tokens.entries())
      if (timingSafeEqual(base64urlnopad.decode(entry[1].hash), hash)) found = entry
    if (found === undefined) return undefined
    const [id, record] = found
    const now = this.#components.clock.now()
    if (record.expiresAt !== undefined && now.getTime() >= Date.parse(record.expiresAt))
      return undefined
    const last = record.lastUsedAt === undefined ? 0 : Date.parse(record.lastUsedAt)
    if (now.getTime() - last >= LAST_USED_INTERVAL_MS) this.#noteUse(id, now)
    return factsOf(id, record)
  }

  /** In the background: an answer must not wait for a date, and a full disk must not lock machines out. */
  #noteUse(id: string, now: Date): void {
    const { records, logger } = this.#components
    if (this.#writing.has(id)) return
    this.#writing.add(id)
    records
      .change((batch) => {
        const record = this.#tokens.get(id)
        if (record !== undefined)
          this.#tokens.put(batch, id, { ...record, lastUsedAt: now.toISOString() })
      })
      .catch((error: unknown) => logger.warn('token-use-not-noted', { id, error: String(error) }))
      .finally(() => this.#writing.delete(id))
  }
}

function hashOf(token: string): Uint8Array {
  return createHash('sha256').update(token, 'utf8').digest()
}

function factsOf(id: string, record: TokenRecord): TokenFacts {
  const { name, scopes, createdAt, expiresAt, lastUsedAt } = record
  return {
    id,
    name,
    scopes,
    createdAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt })
  }
}
