/**
 * DIDComm plaintext messages, DIDComm Messaging v2.1 "Plaintext Message Structure", and the guarded way
 * to parse JSON from outside.
 *
 * A message is read in this order: size, depth, keys and duplicate keys by one pass over the bytes, then
 * JSON.parse, then the schema. JSON.parse itself takes a depth of 1,000,000, but nearly everything that
 * later walks such a value (JSON.stringify, structuredClone, canonicalization) overflows the stack.
 * Duplicate keys are refused because two readers may take different ones.
 *
 * @module
 */
import { z } from 'zod'
import { did } from './did/document.ts'
import { ProtocolError } from './errors.ts'

/** Base of the protocol identifiers that eLocker defines itself. */
export const PIURI_BASE = 'https://elocker.example/protocols'

/** Largest envelope and largest message, in bytes (DESIGN §11); announced as `max_receive_bytes`. */
export const MESSAGE_BYTES_MAX = 256 * 1024

/** Deepest nesting of arrays and objects. */
export const JSON_DEPTH_MAX = 32

/** Most object keys in one text, all objects together. */
export const JSON_KEYS_MAX = 10_000

/** Clock difference between two agents that is forgiven, in milliseconds. */
export const CLOCK_SKEW_MS = 300_000

/** Most attachments of one message; each carries inline data, so the frame is the real bound. */
export const ATTACHMENTS_MAX = 32

/** Largest epoch second: the end of the year 9999, beyond which Date and calendars disagree. */
const EPOCH_SECONDS_MAX = 253_402_300_799

export interface JsonLimits {
  readonly bytesMax: number
  /** Default {@link JSON_DEPTH_MAX}. */
  readonly depthMax?: number
  /** Default {@link JSON_KEYS_MAX}. */
  readonly keysMax?: number
}

/**
 * Parses UTF-8 JSON from outside within limits.
 *
 * A key `__proto__` stays an own property of the result, as JSON.parse makes it: do not copy the result
 * with Object.assign.
 *
 * @throws ProtocolError `limit-exceeded` beyond a limit, `message-malformed` when it is not UTF-8, not
 * JSON, or has a key twice in one object.
 */
export function parseJsonBounded(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.length > limits.bytesMax) {
    throw new ProtocolError(
      'limit-exceeded',
      `JSON of ${bytes.length} bytes, at most ${limits.bytesMax}`
    )
  }
  scanJson(bytes, limits.depthMax ?? JSON_DEPTH_MAX, limits.keysMax ?? JSON_KEYS_MAX)
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch (cause) {
    throw new ProtocolError('message-malformed', 'not JSON in UTF-8', { cause })
  }
}

/**
 * Message, thread and attachment ids. The standard asks for unreserved URI characters; other printable
 * ASCII (`urn:uuid:…`) is forgiven. Compared as they stand.
 */
const identifier = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, 'not 1 to 128 printable ASCII characters')

const epochSeconds = z.int().min(0).max(EPOCH_SECONDS_MAX)

/**
 * An object as JSON.parse made it, handed on without a copy: copying member by member is where a key
 * `__proto__` would do harm.
 */
const jsonObject = z.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'not a JSON object'
)

/** DIDComm v2.1 "Attachments": inline as base64 or JSON, or links, and then the hash of what they lead to. */
const attachmentData = z
  .object({
    base64: z.exactOptional(z.string()),
    json: z.exactOptional(z.unknown()),
    links: z.exactOptional(z.array(z.string().max(2048)).min(1).max(16)),
    hash: z.exactOptional(z.string().min(1).max(256)),
    jws: z.exactOptional(z.unknown())
  })
  .refine(
    (data) => data.base64 !== undefined || data.json !== undefined || data.links !== undefined,
    'an attachment without data'
  )
  .refine((data) => data.links === undefined || data.hash !== undefined, 'links without a hash')

export const attachment = z.object({
  id: z.exactOptional(identifier),
  description: z.exactOptional(z.string().max(4096)),
  filename: z.exactOptional(z.string().max(1024)),
  media_type: z.exactOptional(z.string().max(256)),
  format: z.exactOptional(z.string().max(256)),
  lastmod_time: z.exactOptional(epochSeconds),
  byte_count: z.exactOptional(z.int().min(0)),
  data: attachmentData
})

export type Attachment = z.infer<typeof attachment>

/** `<base>/<protocol>/<major>.<minor>/<message>`, DIDComm v2.1 "Message Type URI". */
const MESSAGE_TYPE =
  /^([a-z][a-z0-9+.-]*:[\x21-\x7e]*?)\/([a-z0-9._-]+)\/(\d{1,4})\.(\d{1,4})\/([a-z0-9._-]+)$/i
const TYPE_CHARS_MAX = 512

const messageType = z.string().max(TYPE_CHARS_MAX).regex(MESSAGE_TYPE, 'not a message type URI')

/**
 * Schema of a plaintext message. Headers that eLocker does not know are dropped, as the standard asks.
 * `body` may be missing (optional since v2.1) and is then an empty object.
 */
const plaintextMessage = z.object({
  typ: z.exactOptional(z.enum(['application/didcomm-plain+json', 'didcomm-plain+json'])),
  id: identifier,
  type: messageType,
  from: z.exactOptional(did),
  to: z.exactOptional(z.array(did).min(1).max(64)),
  thid: z.exactOptional(identifier),
  pthid: z.exactOptional(identifier),
  created_time: z.exactOptional(epochSeconds),
  expires_time: z.exactOptional(epochSeconds),
  /** JWT; verified by protocols/envelope/from-prior.ts. */
  from_prior: z.exactOptional(z.string().max(16_384)),
  please_ack: z.exactOptional(z.array(z.string().max(128)).max(64)),
  ack: z.exactOptional(z.array(identifier).max(64)),
  lang: z.exactOptional(z.string().max(64)),
  return_route: z.exactOptional(z.enum(['none', 'all', 'thread'])),
  body: jsonObject.default({}),
  attachments: z.exactOptional(z.array(attachment).max(ATTACHMENTS_MAX))
})

export type PlaintextMessage = Readonly<z.infer<typeof plaintextMessage>>

/**
 * Reads a plaintext message from a parsed JSON value. Says nothing about who sent it.
 *
 * @throws ProtocolError `message-malformed`.
 */
export function parseMessage(value: unknown): PlaintextMessage {
  const parsed = plaintextMessage.safeParse(value)
  if (parsed.success) return parsed.data
  const where = parsed.error.issues.map((issue) => issue.path.join('.') || 'message').slice(0, 4)
  throw new ProtocolError('message-malformed', `not a DIDComm message: ${where.join(', ')}`, {
    cause: parsed.error
  })
}

export interface MessageType {
  /** Protocol identifier URI, `https://didcomm.org/trust-ping/2.0`. */
  readonly piuri: string
  /** Name of the protocol, `trust-ping`. */
  readonly protocol: string
  /** `2.0`; by semantic versioning, so agents with the same major version understand each other. */
  readonly version: string
  readonly major: number
  readonly minor: number
  /** Name of the message, `ping-response`. */
  readonly name: string
}

/** @throws ProtocolError `message-malformed` when it is no message type URI. */
export function parseMessageType(type: string): MessageType {
  const match = type.length <= TYPE_CHARS_MAX ? MESSAGE_TYPE.exec(type) : null
  const [, base, protocol, major, minor, name] = match ?? []
  if (!base || !protocol || !major || !minor || !name) {
    throw new ProtocolError('message-malformed', `not a message type URI: ${type.slice(0, 80)}`)
  }
  const version = `${major}.${minor}`
  return {
    piuri: `${base}/${protocol}/${version}`,
    protocol,
    version,
    major: Number(major),
    minor: Number(minor),
    name
  }
}

export interface MessageFields {
  readonly type: string
  /** Unique to the sender: {@link newMessageId}. */
  readonly id: string
  readonly from?: string
  readonly to?: readonly string[]
  /** Absent: this message opens its thread. */
  readonly thid?: string
  readonly pthid?: string
  readonly createdAt?: Date
  /** Absent: does not expire. */
  readonly expiresAt?: Date
  readonly fromPrior?: string
  /** Ids of messages to acknowledge; the empty string stands for this one. */
  readonly pleaseAck?: readonly string[]
  readonly ack?: readonly string[]
  readonly lang?: string
  /** Absent: `{}`. */
  readonly body?: Readonly<Record<string, unknown>>
  readonly attachments?: readonly Attachment[]
}

/**
 * Builds a message, with times in whole seconds rounded down (created) and up (expires).
 *
 * @throws ProtocolError `message-malformed` when the fields do not make a message: our own fault, found
 * here and not at the other side.
 */
export function messageOf(fields: MessageFields): PlaintextMessage {
  const { type, id, from, to, thid, pthid, lang, ack, attachments, body = {} } = fields
  const { createdAt, expiresAt, fromPrior, pleaseAck } = fields
  return parseMessage({
    typ: 'application/didcomm-plain+json',
    id,
    type,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(thid === undefined ? {} : { thid }),
    ...(pthid === undefined ? {} : { pthid }),
    ...(createdAt === undefined ? {} : { created_time: Math.floor(createdAt.getTime() / 1000) }),
    ...(expiresAt === undefined ? {} : { expires_time: Math.ceil(expiresAt.getTime() / 1000) }),
    ...(fromPrior === undefined ? {} : { from_prior: fromPrior }),
    ...(pleaseAck === undefined ? {} : { please_ack: pleaseAck }),
    ...(ack === undefined ? {} : { ack }),
    ...(lang === undefined ? {} : { lang }),
    body,
    ...(attachments === undefined ? {} : { attachments })
  })
}

/** A fresh message id: UUID version 4 (RFC 9562 §5.4), lower case. */
export function newMessageId(random: (sizeBytes: number) => Uint8Array): string {
  const bytes = Uint8Array.from(random(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20)
  ].join('-')
}

/** Why a message's times make it unacceptable now. */
export type TimeFault = 'expired' | 'created-in-future' | 'expires-before-created'

/**
 * Checks `created_time` and `expires_time` against the clock, forgiving {@link CLOCK_SKEW_MS} both ways.
 * `undefined`: acceptable. A message without times is acceptable at any time; protocols that need
 * `expires_time` demand it in their own schema.
 */
export function timeFault(
  message: Pick<PlaintextMessage, 'created_time' | 'expires_time'>,
  now: Date
): TimeFault | undefined {
  const { created_time: created, expires_time: expires } = message
  const time = now.getTime()
  if (created !== undefined && expires !== undefined && expires < created) {
    return 'expires-before-created'
  }
  if (expires !== undefined && time > expires * 1000 + CLOCK_SKEW_MS) return 'expired'
  if (created !== undefined && created * 1000 > time + CLOCK_SKEW_MS) return 'created-in-future'
  return undefined
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d

/**
 * One pass over the bytes. Structural characters are ASCII, so UTF-8 need not be decoded; in valid JSON
 * they stand outside strings only, and on invalid JSON this pass and JSON.parse agree up to the fault.
 * `open` holds the keys of each open object, or undefined for an array.
 */
function scanJson(bytes: Uint8Array, depthMax: number, keysMax: number): void {
  const open: (Set<string> | undefined)[] = []
  let keys = 0
  for (let position = 0; position < bytes.length; position++) {
    const byte = bytes[position]
    if (byte === QUOTE) {
      const end = stringEnd(bytes, position)
      const key = isKey(bytes, end) ? open.at(-1) : undefined
      if (key !== undefined) {
        if (++keys > keysMax) {
          throw new ProtocolError('limit-exceeded', `JSON with more than ${keysMax} keys`)
        }
        addKey(key, bytes.subarray(position, end + 1))
      }
      position = end
    } else if (byte === BRACE_OPEN || byte === BRACKET_OPEN) {
      open.push(byte === BRACE_OPEN ? new Set() : undefined)
      if (open.length > depthMax) {
        throw new ProtocolError('limit-exceeded', `JSON nested deeper than ${depthMax}`)
      }
    } else if (byte === BRACE_CLOSE || byte === BRACKET_CLOSE) {
      open.pop()
    }
  }
}

/**
 * Where the string that begins at `start` ends: the index of its closing quote, or the last index. A quote
 * closes unless an odd number of backslashes stands before it. Every run of backslashes is looked at once.
 */
function stringEnd(bytes: Uint8Array, start: number): number {
  for (let from = start + 1; ;) {
    const end = bytes.indexOf(QUOTE, from)
    if (end === -1) return bytes.length - 1
    let backslashes = 0
    while (bytes[end - 1 - backslashes] === BACKSLASH && end - 1 - backslashes >= from)
      backslashes++
    if (backslashes % 2 === 0) return end
    from = end + 1
  }
}

/** Whether the string that ends at `end` is followed by a colon, that is, is a key. */
function isKey(bytes: Uint8Array, end: number): boolean {
  let position = end + 1
  while (
    bytes[position] === 0x20 ||
    bytes[position] === 0x0a ||
    bytes[position] === 0x0d ||
    bytes[position] === 0x09
  ) {
    position++
  }
  return bytes[position] === COLON
}

/** Adds the key as a reader sees it: `"a"` and `"\u0061"` are the same one. */
function addKey(keys: Set<string>, quoted: Uint8Array): void {
  let key: unknown
  try {
    key = quoted.includes(BACKSLASH)
      ? JSON.parse(UTF8.decode(quoted))
      : UTF8.decode(quoted.subarray(1, -1))
  } catch (cause) {
    throw new ProtocolError('message-malformed', 'a JSON key that is not a string in UTF-8', {
      cause
    })
  }
  if (typeof key !== 'string' || keys.has(key)) {
    throw new ProtocolError('message-malformed', 'JSON with the same key twice in one object')
  }
  keys.add(key)
}
