/**
 * The gateway's event stream, shared by all screens: one connection, any number of listeners. The browser
 * reconnects by itself and sends Last-Event-ID; what was missed meanwhile is replayed.
 *
 * @module
 */
import type { AgentEvent } from './wire.ts'

const EVENTS_URL = '/api/v1/events'
const TYPES: readonly AgentEvent['type'][] = [
  'vault',
  'document',
  'grant',
  'request',
  'link',
  'contact',
  'outbox',
  'activity',
  'issuance',
  'issued',
  'credential'
]

/** Pause before connecting again after the server has refused the stream, milliseconds. */
const REFUSED_PAUSE_MS = 10_000

/** Stands for whatever was missed. */
const GAP: AgentEvent = { number: 0, type: 'vault' }

type Listener = (event: AgentEvent) => void

const listeners = new Set<{ types: ReadonlySet<string>; listener: Listener }>()
let stream: EventSource | undefined

/** Calls `listener` for events of these types; returns what ends it. */
export function follow(types: readonly AgentEvent['type'][], listener: Listener): () => void {
  const entry = { types: new Set(types), listener }
  listeners.add(entry)
  stream ??= connect()
  return () => {
    listeners.delete(entry)
    if (listeners.size > 0) return
    stream?.close()
    stream = undefined
  }
}

function connect(): EventSource {
  const source = new EventSource(EVENTS_URL)
  source.addEventListener('message', onMessage)
  // Missed too much (the agent was started again, or the browser slept): everything shown is read anew.
  source.addEventListener('gap', () => {
    for (const entry of listeners) entry.listener(GAP)
  })
  for (const type of TYPES) source.addEventListener(type, onMessage)
  // A broken connection is made again by the browser; a refusal (too many streams, session ended) is not.
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) return
    setTimeout(() => {
      if (stream === source) stream = connect()
    }, REFUSED_PAUSE_MS)
  })
  return source
}

function onMessage(message: MessageEvent<string>): void {
  const event: AgentEvent = JSON.parse(message.data)
  for (const entry of listeners) if (entry.types.has(event.type)) entry.listener(event)
}
