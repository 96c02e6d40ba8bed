/**
 * What every command has in common: its options, the voice it answers in, the way to the running agent.
 *
 * @module
 */
import { Option, type Command } from 'commander'
import { homeFolder } from '../config.ts'
import type { Client } from './client.ts'
import { fail, type Voice } from './output.ts'

/** Options every command takes. */
export interface Common {
  readonly home?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly input: boolean
  readonly passphraseFile?: string
}

/** Adds the options every command takes. */
export function command(parent: Command, usage: string, summary: string): Command {
  return parent
    .command(usage)
    .description(summary)
    .addOption(new Option('--home <folder>', 'where this locker lives').env('ELOCKER_HOME'))
    .option('--json', 'print JSON')
    .option('-q, --quiet', 'print nothing but errors')
    .option('--no-input', 'never ask')
}

const voiceOf = (options: Common): Voice => ({
  json: options.json === true,
  quiet: options.quiet === true
})

/** Runs one command: reports what it throws in the asked voice. */
export async function run(options: Common, work: (voice: Voice) => Promise<void>): Promise<void> {
  const voice = voiceOf(options)
  try {
    await work(voice)
  } catch (error) {
    fail(voice, error)
  }
}

/** Runs one command that needs the running agent. */
export async function withClient(
  options: Common,
  work: (client: Client, voice: Voice) => Promise<void>
): Promise<void> {
  await run(options, async (voice) => {
    const { connect } = await import('./client.ts')
    await work(await connect(homeFolder(options.home)), voice)
  })
}

/** Of an option that may be given several times. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value
]
