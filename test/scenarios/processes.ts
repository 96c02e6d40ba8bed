/**
 * Real agents in real processes, each with a home of its own, spoken to as a person's script would: by the
 * command line. Loopback only, every port picked by the system.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../node/main.ts', import.meta.url))

/** How long a process may take to say that it is ready, or to end, milliseconds. */
const READY_MS = 30_000
/** How long one command may take, milliseconds. */
const COMMAND_MS = 120_000
/** What one command may print, bytes. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

export const PASSPHRASE = 'correct horse battery staple'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** What `up --json` prints when it is ready. */
export interface Ready {
  /** One-time address of the page. */
  readonly open: string
  readonly private: string
  readonly public: string | null
  readonly p2p: readonly string[]
}

/** One party: a home, and at most one running agent on it. */
export class Party {
  readonly name: string
  readonly folder: string
  readonly home: string
  ready: Ready | undefined
  /** Everything the agent wrote to stderr: its log. */
  log = ''
  #child: ChildProcess | undefined
  /** Whether there is a locker for the passphrase to open at start. */
  #created = false

  constructor(name: string, folder: string) {
    this.name = name
    this.folder = folder
    this.home = join(folder, 'home')
  }

  static async create(name: string): Promise<Party> {
    const folder = await mkdtemp(join(tmpdir(), `elocker-${name.toLowerCase()}-`))
    const party = new Party(name, folder)
    await writeFile(party.passphraseFile, `${PASSPHRASE}\n`)
    return party
  }

  get passphraseFile(): string {
    return join(this.folder, 'passphrase')
  }

  get environment(): NodeJS.ProcessEnv {
    const clean = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('ELOCKER_'))
    )
    return { ...clean, ELOCKER_HOME: this.home, NO_COLOR: '1' }
  }

  /** Runs one command to its end; never throws for an exit code. */
  async run(...args: string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [MAIN, ...args],
        {
          env: this.environment,
          timeout: COMMAND_MS,
          maxBuffer: OUTPUT_BYTES_MAX,
          cwd: this.folder
        },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
          resolve({ code, stdout, stderr })
        }
      ).stdin?.end()
    })
  }

  /** Runs one command with `--json` and reads what it prints; an exit code but 0 is an error. */
  async json<T>(...args: string[]): Promise<T> {
    const ended = await this.run(...args, '--json')
    if (ended.code !== 0) {
      throw new Error(
        `${this.name}: elocker ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}`
      )
    }
    return JSON.parse(ended.stdout) as T
  }

  async init(): Promise<{ did: string; words: string[]; documentIdentity: string }> {
    this.#created = true
    return this.json('init', '--name', this.name, '--passphrase-file', this.passphraseFile)
  }

  /** Starts the agent and waits until it answers. */
  async up(...more: string[]): Promise<Ready> {
    if (this.#child !== undefined) throw new Error(`${this.name} is up already`)
    const child = spawn(
      process.execPath,
      [
        MAIN,
        'up',
        '--json',
        '--private',
        '127.0.0.1:0',
        '--p2p',
        '/ip4/127.0.0.1/tcp/0',
        ...(this.#created ? ['--passphrase-file', this.passphraseFile] : []),
        ...more
      ],
      { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder }
    )
    this.#child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.log += text))
    this.ready = await new Promise<Ready>((resolve, reject) => {
      let text = ''
      const timer = setTimeout(
        () => reject(new Error(`${this.name} is not ready after ${READY_MS} ms: ${this.log}`)),
        READY_MS
      )
      child.stdout?.setEncoding('utf8').on('data', (part: string) => {
        text += part
        const line = text.split('\n', 1)[0]
        if (!text.includes('\n') || line === undefined) return
        clearTimeout(timer)
        resolve(JSON.parse(line) as Ready)
      })
      child.once('exit', (code, signal) => {
        clearTimeout(timer)
        reject(new Error(`${this.name} ended (${code ?? signal}) before it was ready: ${this.log}`))
      })
    })
    return this.ready
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Ends the agent and waits for it; answers how long that took, in milliseconds. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return 0
    const started = performance.now()
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill(signal)
    await ended
    return performance.now() - started
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL')
    await rm(this.folder, { recursive: true, force: true })
  }
}

/**
 * Asks again until `question` answers, at most for `withinMs`. Every question is a whole command, so
 * there is no pause between two.
 */
export async function eventually<T>(
  question: () => Promise<T | undefined>,
  what: string,
  withinMs = 30_000
): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    const answer = await question()
    if (answer !== undefined) return answer
    if (performance.now() > until) throw new Error(`${what}: not within ${withinMs} ms`)
  }
}
