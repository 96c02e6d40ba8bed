/** The disk with faults put into single calls, and a temporary folder that is gone after the test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FileSystem } from '../../node/durable-files.ts'
import { diskFiles } from '../../node/durable-files.ts'
import type { Logger } from '../../agent/components.ts'

export type Call = keyof FileSystem | 'writeFile' | 'datasync' | 'sync' | 'read'

/** A system error as node:fs throws it. */
export function systemFault(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

/** Calls `before` ahead of every call; what it throws is what the call throws. Counts the files open at once. */
export class FaultyFiles {
  before: (call: Call, path: string) => void = () => undefined
  open = 0
  openMax = 0

  readonly files: FileSystem = {
    ...diskFiles,
    open: async (path, flags, mode) => {
      this.before('open', String(path))
      const handle = await diskFiles.open(path, flags, mode)
      this.open++
      this.openMax = Math.max(this.openMax, this.open)
      return new Proxy(handle, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name)
          if (typeof value !== 'function') return value
          return (...parameters: unknown[]): unknown => {
            if (name === 'writeFile' || name === 'datasync' || name === 'sync' || name === 'read')
              this.before(name, String(path))
            if (name === 'close') this.open--
            return Reflect.apply(value, target, parameters)
          }
        }
      })
    },
    rename: async (from, to) => {
      this.before('rename', String(to))
      await diskFiles.rename(from, to)
    },
    rm: async (path, options) => {
      this.before('rm', String(path))
      await diskFiles.rm(path, options)
    },
    stat: new Proxy(diskFiles.stat, {
      apply: (target, self, parameters: [string]) => {
        try {
          this.before('stat', parameters[0])
        } catch (error) {
          return Promise.reject(error)
        }
        return Reflect.apply(target, self, parameters)
      }
    })
  }
}

/** A folder under the system's temporary folder, removed by `await using`. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'elocker-'))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true })
  }
}

/** Keeps the events written, for tests that look at them. */
export function keepingLogger(): Logger & { events: string[] } {
  const events: string[] = []
  const write = (event: string): void => void events.push(event)
  return { events, debug: write, info: write, warn: write, error: write }
}

/** The error a promise rejects with; throws when it does not. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  if (outcome instanceof Error) return outcome
  throw new Error(`expected a failure, got ${String(outcome)}`)
}
