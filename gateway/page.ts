/**
 * The built page (gateway/web/dist): three entries, and the files with a hash in their names that they
 * load. The public listener gives a stranger the share page, the verify page and what they load, and none of
 * the locker's code.
 *
 * @module
 */
import { readFile, readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import express, { type RequestHandler, type Response } from 'express'
import { LockerError } from '../agent/errors.ts'
import { CAMERA_PERMISSIONS, PAGE_POLICY } from './headers.ts'

/** What to do when the page was never built. Plain text: there is no page to show it on. */
const NOT_BUILT = `eLocker runs, but its page has not been built.

In a checkout, build it with:   npm run page
then load this address again. (npm start does both.)
`

/** Files that can name other files. */
const LINKING = new Set(['.js', '.css', '.html'])

/** Files of one build looked at: a build has some dozens. */
const ASSETS_MAX = 2_000

export type PageEntry = 'locker' | 'share' | 'verify'

/** What strangers get. */
const PUBLIC_ENTRIES: readonly PageEntry[] = ['share', 'verify']

export class Page {
  readonly #folder: string
  /** Files of the public entries, and the time of the build they were read from. */
  #shared: { readonly builtMs: number; readonly names: Promise<ReadonlySet<string>> } | undefined

  /** @param folder - What `vite build gateway/web` wrote. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Answers with an entry's HTML: never cached, since the names of its files change with each build. */
  async send(response: Response, entry: PageEntry): Promise<void> {
    const html = await readFile(join(this.#folder, entry, 'index.html')).catch(absent)
    if (html === undefined) {
      response.status(503).setHeader('content-type', 'text/plain; charset=utf-8')
      response.end(NOT_BUILT)
      return
    }
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.setHeader('content-security-policy', PAGE_POLICY)
    // The one page that scans codes; no other may ask for the camera.
    if (entry === 'verify') response.setHeader('permissions-policy', CAMERA_PERMISSIONS)
    response.end(html)
  }

  /** Answers `/assets/<name>`. `which`: only files that a public entry loads, or all. */
  assets(which: 'public' | 'all'): readonly RequestHandler[] {
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
    if (which === 'all') return [files]
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
      this.#shared = { builtMs: built.mtimeMs, names: this.#reachable(PUBLIC_ENTRIES) }
    return this.#shared.names
  }

  /** Names of the files that these entries load, themselves or through another: each stands in the text of what loads it. */
  async #reachable(entries: readonly PageEntry[]): Promise<ReadonlySet<string>> {
    const all = (await readdir(join(this.#folder, 'assets')).catch(absent)) ?? []
    const found = new Set<string>()
    const left = entries.map((entry) => join(entry, 'index.html'))
    for (let path = left.pop(); path !== undefined; path = left.pop()) {
      if (!LINKING.has(extname(path))) continue
      // A build without an entry has nothing for it.
      const text = (await readFile(join(this.#folder, path), 'utf8').catch(absent)) ?? ''
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
