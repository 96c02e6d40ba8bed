/**
 * What the verify page has done for it: reading in a worker, judging by the server or in the worker.
 *
 * @module
 */
import type { Reading } from '../credential/read.ts'
import { Problem, asProblem, problemOf } from '../problem.ts'
import type { Verification } from '../wire.ts'
import type { Order, Picture, Reply } from './verify.worker.ts'

/** How long one piece of work may take, milliseconds; a PDF of 64 MB takes some seconds. */
const WORK_MS = 30_000
/** How long the server is waited for, milliseconds: it asks other servers in turn. */
const SERVER_MS = 45_000
/** Where the server judges: the text goes in, a {@link Verification} comes out. */
const JUDGE_URL = '/verify'

/** An order without its number, which the desk gives. */
type Work = Order extends infer One ? (One extends Order ? Omit<One, 'number'> : never) : never

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (problem: Problem) => void
  readonly timer: ReturnType<typeof setTimeout>
}

export class Desk {
  #worker: Worker | undefined
  #number = 0
  readonly #waiting = new Map<number, Waiting>()

  /** The content of a file that is no picture. */
  readBytes(bytes: Uint8Array<ArrayBuffer>): Promise<Reading> {
    return this.#read({ kind: 'bytes', bytes })
  }

  readText(text: string): Promise<Reading> {
    return this.#read({ kind: 'text', text })
  }

  /** The QR code in a picture. */
  readPicture(picture: Picture): Promise<Reading> {
    return this.#read({ kind: 'picture', picture })
  }

  /** Asks the server this page came from. Throws a Problem, `unreachable` when no answer came. */
  async judgeByServer(text: string): Promise<Verification> {
    try {
      const response = await fetch(JUDGE_URL, {
        method: 'POST',
        headers: { 'content-type': 'text/plain', 'x-elocker': '1' },
        body: text,
        cache: 'no-store',
        credentials: 'omit',
        signal: AbortSignal.timeout(SERVER_MS)
      })
      const body = await response.text()
      if (!response.ok) throw problemOf(response.status, response.headers.get('content-type'), body)
      const verification: Verification = JSON.parse(body)
      return verification
    } catch (thrown) {
      if (thrown instanceof DOMException && thrown.name === 'TimeoutError')
        throw new Problem('unreachable', `no answer in ${SERVER_MS / 1_000} s`)
      throw asProblem(thrown)
    }
  }

  /** Judges in this browser and asks nobody. */
  async judgeHere(text: string): Promise<Verification> {
    const reply = await this.#ask({ kind: 'judge', text, now: new Date() })
    if (reply.kind !== 'judged') throw new Problem('unexpected', 'the worker gave no verdict')
    return reply.verification
  }

  close(): void {
    this.#stop(new Problem('operation-cancelled', 'the page was left'))
  }

  async #read(work: Work): Promise<Reading> {
    const reply = await this.#ask(work)
    if (reply.kind !== 'read') throw new Problem('unexpected', 'the worker read nothing')
    return reply.reading
  }

  #ask(work: Work): Promise<Reply> {
    const worker = (this.#worker ??= this.#start())
    this.#number += 1
    const number = this.#number
    return new Promise<Reply>((resolve, reject) => {
      // A worker that does not come to an end is ended, and with it whatever else it was asked.
      const timer = setTimeout(
        () => this.#stop(new Problem('unexpected', `not done in ${WORK_MS / 1_000} s`)),
        WORK_MS
      )
      this.#waiting.set(number, { resolve, reject, timer })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker takes none
      worker.postMessage({ ...work, number })
    })
  }

  #start(): Worker {
    const worker = new Worker(new URL('./verify.worker.ts', import.meta.url), { type: 'module' })
    worker.addEventListener('message', ({ data: reply }: MessageEvent<Reply>) => {
      const waiting = this.#waiting.get(reply.number)
      if (waiting === undefined) return
      this.#waiting.delete(reply.number)
      clearTimeout(waiting.timer)
      if (reply.kind === 'failed') waiting.reject(new Problem('unexpected', reply.message))
      else waiting.resolve(reply)
    })
    worker.addEventListener('error', () =>
      this.#stop(new Problem('unexpected', 'the worker stopped'))
    )
    return worker
  }

  #stop(problem: Problem): void {
    this.#worker?.terminate()
    this.#worker = undefined
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(problem)
    }
    this.#waiting.clear()
  }
}
