/**
 * `elocker up`: starts the agent in the foreground and stops it on SIGTERM or SIGINT.
 *
 * @module
 */
import { renderUnicodeCompact } from 'uqr'
import { readConfig, type Flags } from '../config.ts'
import { startNode } from '../node.ts'
import { EXIT } from './outcome.ts'
import { remark, say, type Voice } from './output.ts'

/** Stopping takes at most this long, milliseconds; then the process ends as after a crash, which it survives. */
const STOP_MS_MAX = 10_000

/** Settings as the command line hands them over, and how to speak. */
export type UpOptions = Flags & {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly input: boolean
}

/** Runs until a signal ends it. The one-time address of the page goes to stdout, the log to stderr. */
export async function up(voice: Voice, options: UpOptions): Promise<void> {
  const stop = new AbortController()
  let signals = 0
  const onSignal = (): void => {
    signals += 1
    // The second signal means: now.
    if (signals > 1) process.exit(EXIT.interrupted)
    stop.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  const node = await startNode(readConfig(flagsOf(options)))
  const ready = {
    private: node.urls.private,
    public: node.urls.public ?? null,
    p2p: node.urls.p2p,
    pid: process.pid
  }
  say(voice, { ...ready, open: node.urls.open }, `Open ${node.urls.open}`)
  if (!voice.json && process.stdout.isTTY) {
    remark(voice, renderUnicodeCompact(node.urls.open))
    remark(voice, 'That address opens the page once, in one browser. Stop the agent with Ctrl-C.')
  }
  await new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve()
    else stop.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const force = setTimeout(() => process.exit(EXIT.failed), STOP_MS_MAX)
  await node.close()
  clearTimeout(force)
}

/** What is left of the options once those that say how to speak are gone: settings. */
function flagsOf(options: UpOptions): Flags {
  const { json: _json, quiet: _quiet, input: _input, ...flags } = options
  return flags
}
