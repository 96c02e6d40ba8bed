/**
 * The built page (gateway/web/dist): two entries, and the files with a hash in their names that they
 * load. The public listener gives a stranger the share page and what it loads, and none of the locker's
 * code.
 *
 * @module
 */
import { readFile, readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import express, { type RequestHandler, type Response } from 'express'
import { LockerError } from '../agent/errors.ts'
import { PAGE_POLICY } from './headers.ts'

/** What to do when the page was never built. Plain text: there is no page to show it on. */
const NOT_BUILT = `eLocker runs, but its page has not been built.

In a checkout, build it with:   npm run page
then load this address again. (npm start does both.)
`

/** Files that can name other files. */
const LINKING = new Set(['.js', '.css', '.html'])

/** Files of one build looked at: a build has some dozens. */
const ASSETS_MAX = 2_000

export class Page {
  readonly #folder: string
  /** Files of the share page, and the time of the build they were read from. */
  #shared: { readonly builtMs: number; readonly names: Promise<ReadonlySet<string>> } | undefined

  /** @param folder - What `vite build gateway/web` wrote. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Answers with an entry's HTML: never cached, since the names of its files change with each build. */
  async send(response: Response, entry: 'locker' | 'share'): Promise<void> {
    const html = await readFile(join(this.#folder, entry, 'index.html')).catch(absent)
    if (html === undefined) {
      response.status(503).setHeader('content-type', 'text/plain; charset=utf-8')
      response.end(NOT_BUILT)
      return
    }
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.setHeader('content-security-policy', PAGE_POLICY)
    response.end(html)
  }

  /** Answers `/assets/<name>`. `entry`: only files this entry loads, or all. */
  assets(entry: 'share' | 'all'): readonly RequestHandler[] {
    const files = express.static(join(this.#folder, 'assets'), {
      index: false,
      redirect: false,
      dotfiles: 'ignore',
      etag: true,
      cacheControl: false,
      setHeaders: (response) => {
        response.setHeader('cache-control', 'public, max-age=31536000, immutable')
        // A worker has the policy of its own file, and must fetch and load what the page may.
        response.setHeader('content-security-policy', PAGE_POLICY)
      }
    })
    if (entry === 'all') return [files]
    return [
      async (request, _response, next) => {
        const names = await this.#sharedNames()
        if (!names.has(request.path.slice(1)))
          throw new LockerError('not-found', 'there is nothing at this address')
        next()
      },
      files
    ]
  }

  async #sharedNames(): Promise<ReadonlySet<string>> {
    const built = await stat(join(this.#folder, 'share', 'index.html')).catch(absent)
    if (built === undefined) return new Set()
    if (this.#shared?.builtMs !== built.mtimeMs)
      this.#shared = { builtMs: built.mtimeMs, names: this.#reachable(join('share', 'index.html')) }
    return this.#shared.names
  }

  /** Names of the files that an entry loads, itself or through another: each stands in the text of what loads it. */
  async #reachable(entry: string): Promise<ReadonlySet<string>> {
    const all = (await readdir(join(this.#folder, 'assets')).catch(absent)) ?? []
    const found = new Set<string>()
    const left = [entry]
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      if (!LINKING.has(extname(path))) continue
      const text = await readFile(join(this.#folder, path), 'utf8')
      for (const name of all.slice(0, ASSETS_MAX)) {
        if (found.has(name) || !text.includes(name)) continue
        found.add(name)
        left.push(join('assets', name))
      }
    }
    return found
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}
