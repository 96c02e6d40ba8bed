/**
 * The command line's way to the running agent: the private listener of the process that holds the home,
 * found through `run.json`.
 *
 * @module
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { LockerError } from '../../agent/errors.ts'
import { systemCode } from '../durable-files.ts'
import { CommandFailure, EXIT, isLockerErrorCode, messageOf } from './outcome.ts'

/** Largest JSON answer read into memory, bytes: a full page of a list is far below. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/** What a running agent says of itself in `run.json` (0600: the token is the owner's). */
const runFile = z.object({
  pid: z.int().positive(),
  url: z.url(),
  socket: z.string().optional(),
  token: z.string().min(1)
})

type RunFile = z.infer<typeof runFile>

const problem = z.looseObject({
  title: z.string(),
  detail: z.string().optional(),
  code: z.string().optional(),
  status: z.number()
})

interface Call {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is, with back-pressure; `bytes` is its length when known. */
  readonly body?: Readable
  readonly bytes?: number
  readonly type?: string
  /** Further headers, by their names in small letters. */
  readonly headers?: Readonly<Record<string, string>>
}

/** One agent, spoken to over its unix socket where there is one, else over loopback TCP. */
export interface Client {
  readonly run: RunFile
  /** Calls and reads the JSON answer (`undefined` for 204). Throws the agent's own error as `LockerError`. */
  call<T>(path: string, call?: Call): Promise<T>
  /** Calls and hands over the body as a stream. */
  stream(path: string, call?: Call): Promise<IncomingMessage>
}

/**
 * Finds the agent that runs on this home.
 *
 * @throws CommandFailure `not-running` (exit 6) when there is none.
 */
export async function connect(home: string): Promise<Client> {
  const run = await readRunFile(home)
  if (run === undefined || !alive(run.pid)) {
    throw new CommandFailure(
      EXIT.notRunning,
      'not-running',
      `no agent is running on ${home}; start one with: elocker up`
    )
  }
  return {
    run,
    async call<T>(path: string, call: Call = {}) {
      const answer = await send(run, path, call)
      // The agent's own answer, over a 0600 socket or with its token: its schemas have checked it.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return (await readJson(answer)) as T
    },
    stream: (path, call = {}) => send(run, path, call)
  }
}

/** Whether an agent runs on this home. */
export async function running(home: string): Promise<boolean> {
  const run = await readRunFile(home)
  return run !== undefined && alive(run.pid)
}

async function readRunFile(home: string): Promise<RunFile | undefined> {
  const path = join(home, 'run.json')
  try {
    return runFile.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw new CommandFailure(
      EXIT.failed,
      'run-file-unreadable',
      `cannot read ${path}: ${messageOf(error)}`
    )
  }
}

/** A process that was killed leaves its run.json behind. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs, under another user.
    return systemCode(error) === 'EPERM'
  }
}

async function send(run: RunFile, path: string, call: Call): Promise<IncomingMessage> {
  const url = new URL(path, run.url)
  const json = call.json === undefined ? undefined : Buffer.from(JSON.stringify(call.json))
  const headers: Record<string, string> = {
    ...call.headers,
    host: url.host,
    authorization: `Bearer ${run.token}`,
    accept: 'application/json'
  }
  if (json !== undefined) headers['content-type'] = 'application/json'
  if (call.body !== undefined) headers['content-type'] = call.type ?? 'application/octet-stream'
  const length = json?.length ?? call.bytes
  if (length !== undefined) headers['content-length'] = String(length)
  const way =
    run.socket === undefined ? { host: url.hostname, port: url.port } : { socketPath: run.socket }
  const request = httpRequest({
    ...way,
    path: `${url.pathname}${url.search}`,
    method: call.method ?? 'GET',
    headers
  })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    let answered = false
    request.on('response', (message) => {
      answered = true
      resolve(message)
    })
    request.on('error', (error) => {
      // Once the answer has begun, its own stream reports what breaks.
      if (!answered) reject(unreachable(run, error))
    })
    if (call.body === undefined) request.end(json)
    else
      pipeline(call.body, request).catch((error: Error) => {
        // An early answer (refused upload) closes the request side first; then that answer counts.
        if (!answered) setImmediate(() => (answered ? undefined : reject(unreachable(run, error))))
      })
  })
  const status = answer.statusCode ?? 0
  if (status < 400) return answer
  const refused = await refusal(answer, status)
  // What is left of a refused upload is not sent: the command would wait for it to be dropped.
  request.destroy()
  throw refused
}

function unreachable(run: RunFile, error: Error): CommandFailure {
  const code = systemCode(error)
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return new CommandFailure(
      EXIT.notRunning,
      'not-running',
      `the agent with process id ${run.pid} does not answer at ${run.socket ?? run.url}`
    )
  }
  return new CommandFailure(
    EXIT.failed,
    'connection-broken',
    `the connection to the agent broke: ${error.message}`
  )
}

async function refusal(answer: IncomingMessage, status: number): Promise<Error> {
  const body = problem.safeParse(await readJson(answer).catch(() => undefined))
  if (!body.success) {
    return new CommandFailure(EXIT.failed, `http-${status}`, `the agent answered ${status}`)
  }
  const { code, detail, title, ...facts } = body.data
  const message = detail ?? title
  return isLockerErrorCode(code)
    ? new LockerError(code, message, { facts })
    : new CommandFailure(EXIT.failed, code ?? `http-${status}`, message)
}

async function readJson(answer: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is over ${ANSWER_BYTES_MAX} bytes`)
    parts.push(part)
  }
  return bytes === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString('utf8'))
}
