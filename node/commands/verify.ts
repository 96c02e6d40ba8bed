/**
 * `elocker verify`: the verdict on a credential in a file, at a URL or from stdin, with every check.
 *
 * Asks the running agent, which knows the owner's contacts and what was looked up before. Where none runs it
 * looks itself: who verifies needs no locker.
 *
 * @module
 */
import { open } from 'node:fs/promises'
import type { Verdict, Verification } from '../../agent/agent.ts'
import { LockerError } from '../../agent/errors.ts'
import { createVerifier, VERIFIED_BYTES_MAX } from '../../agent/verification.ts'
import { systemClock } from '../clock.ts'
import { systemCode } from '../durable-files.ts'
import { createGuardedFetch } from '../guarded-fetch.ts'
import { createResolver } from '../resolver.ts'
import { connect, running } from './client.ts'
import { CommandFailure, EXIT, messageOf, type ExitCode } from './outcome.ts'
import { printable, say, type Voice } from './output.ts'

export interface VerifyCommand {
  /** A path, an http(s) URL, or `-` for stdin. */
  readonly what: string
  readonly home: string
  readonly offline?: boolean
  readonly challenge?: string
  readonly domain?: string
  /** Hosts outside the public rules that may be asked. */
  readonly allowedHosts: readonly string[]
}

/** What a script is to make of each result. */
const EXIT_OF_RESULT: Readonly<Record<Verdict['result'], ExitCode>> = {
  valid: EXIT.done,
  expired: EXIT.invalid,
  'not-yet-valid': EXIT.invalid,
  suspended: EXIT.invalid,
  revoked: EXIT.invalid,
  invalid: EXIT.invalid,
  'could-not-be-checked': EXIT.undetermined
}

const TITLE: Readonly<Record<Verdict['result'], string>> = {
  valid: 'VALID',
  expired: 'VALID BUT EXPIRED',
  'not-yet-valid': 'NOT YET VALID',
  suspended: 'SUSPENDED',
  revoked: 'REVOKED',
  invalid: 'INVALID',
  'could-not-be-checked': 'COULD NOT BE CHECKED'
}

const MARK: Readonly<Record<Verdict['checks'][number]['outcome'], string>> = {
  passed: 'ok',
  failed: 'FAILED',
  'not-checked': 'not checked',
  'not-applicable': '–'
}

/** Prints the verdict and sets the exit code: 0 valid, 7 not valid, 8 could not be checked. */
export async function verify(command: VerifyCommand, voice: Voice): Promise<void> {
  const shown = await read(command)
  const verification = (await running(command.home))
    ? await askAgent(command, shown)
    : await lookOurselves(command, shown)
  tell(verification, voice)
}

/** Prints a verification and sets the exit code by its result. */
export function tell(verification: Verification, voice: Voice): void {
  say(voice, verification, verification.verdicts.map(described).join('\n\n'))
  process.exitCode = EXIT_OF_RESULT[verification.result]
}

async function askAgent(command: VerifyCommand, shown: Uint8Array): Promise<Verification> {
  const client = await connect(command.home)
  const query = new URLSearchParams({
    ...(command.offline === true ? { offline: '1' } : {}),
    ...(command.challenge === undefined ? {} : { challenge: command.challenge }),
    ...(command.domain === undefined ? {} : { domain: command.domain })
  })
  const { Readable } = await import('node:stream')
  return client.call<Verification>(`/api/v1/verifications?${query.toString()}`, {
    method: 'POST',
    body: Readable.from([shown]),
    bytes: shown.byteLength
  })
}

async function lookOurselves(command: VerifyCommand, shown: Uint8Array): Promise<Verification> {
  const fetch = createGuardedFetch({ clock: systemClock, allow: command.allowedHosts })
  const verifier = createVerifier({
    resolve: createResolver({ fetch, clock: systemClock, allow: command.allowedHosts }),
    fetchJson: (url) => fetch.getJson(url),
    clock: systemClock
  })
  const { offline, challenge, domain } = command
  return verifier.verify(shown, {
    ...(offline === undefined ? {} : { offline }),
    ...(challenge === undefined ? {} : { challenge }),
    ...(domain === undefined ? {} : { domain })
  })
}

async function read({ what, allowedHosts, offline }: VerifyCommand): Promise<Uint8Array> {
  if (/^https?:\/\//.test(what)) {
    if (offline === true) {
      throw new CommandFailure(EXIT.usage, 'usage', `--offline asks nobody, and ${what} is a URL`)
    }
    return download(what, allowedHosts)
  }
  return what === '-' ? readStdin() : readWhole(what)
}

async function download(url: string, allow: readonly string[]): Promise<Uint8Array> {
  try {
    return await createGuardedFetch({ clock: systemClock, allow }).getJson(url)
  } catch (error) {
    if (!(error instanceof LockerError)) throw error
    throw new CommandFailure(
      EXIT.undetermined,
      'not-fetched',
      `cannot fetch ${url}: ${error.message}`
    )
  }
}

async function readStdin(): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > VERIFIED_BYTES_MAX) throw tooLarge('what was piped in', bytes)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    if (size > VERIFIED_BYTES_MAX) throw tooLarge(path, size)
    return await file.readFile()
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') throw new CommandFailure(EXIT.unknown, 'no-file', `no file ${path}`)
    if (code === undefined) throw error
    throw new CommandFailure(EXIT.failed, 'unreadable', `cannot read ${path}: ${messageOf(error)}`)
  }
}

function tooLarge(what: string, bytes: number): LockerError {
  return new LockerError(
    'request-too-large',
    `${what}: ${bytes} bytes, more than the ${VERIFIED_BYTES_MAX} that are looked at`
  )
}

/** The verdict for a person. What the credential says of itself is a stranger's text. */
function described(verdict: Verdict): string {
  const { issuer, subject, types, checks, knownAsOf, declaredBy } = verdict
  const heading = [
    TITLE[verdict.result],
    declaredBy === 'holder' ? '  declared by the holder, not by an institution' : '',
    types.length === 0 ? '' : `  what     ${types.join(', ')}`,
    issuer === undefined ? '' : `  issuer   ${issuer.name ?? issuer.did} (${issuer.trust})`,
    subject === undefined ? '' : `  subject  ${subject}`,
    knownAsOf === undefined ? '' : `  rests on what was known at ${knownAsOf}`
  ].filter((part) => part !== '')
  const width = Math.max(...checks.map(({ name }) => name.length))
  const rows = checks.map(
    ({ name, outcome, reason }) =>
      `  ${name.padEnd(width)}  ${MARK[outcome].padEnd(11)}  ${printable(reason)}`
  )
  return [...heading.map(printable), '', ...rows].join('\n')
}
