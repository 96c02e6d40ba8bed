/**
 * Builds the page: three entries that share components and nothing else. The locker is served by the
 * private listener only; the share page is what a stranger with a link gets, the verify page what anyone gets
 * who was shown a credential, and neither holds any of its code.
 *
 * The page runs under `default-src 'none'` (gateway/private.ts), which decides three settings here: no
 * asset becomes a data: URL (`assetsInlineLimit`), no polyfill is written inline (`modulePreload`), and
 * styles are files.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import tailwindcss from '@tailwindcss/vite'
import { type Plugin, defineConfig } from 'vite'

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

/**
 * `en.json?sections=common,verify` is that language file with these sections alone. Translators keep one
 * file, and a page for strangers does not load the locker's words.
 */
function sections(): Plugin {
  return {
    name: 'elocker:sections',
    async load(id) {
      const [, file, names] = /^(.+\.json)\?sections=([\w,]+)$/.exec(id) ?? []
      if (file === undefined || names === undefined) return undefined
      this.addWatchFile(file)
      const all = new Map(Object.entries<unknown>(JSON.parse(await readFile(file, 'utf8'))))
      const words = Object.fromEntries(names.split(',').map((name) => [name, all.get(name)]))
      return { code: `export default ${JSON.stringify(words)}`, moduleType: 'js' }
    }
  }
}

export default defineConfig({
  root: path('.'),
  base: '/',
  plugins: [sections(), svelte(), tailwindcss()],
  worker: { format: 'es' },
  build: {
    outDir: path('dist'),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: ['es2023', 'chrome120', 'firefox128', 'safari17'],
    // pdf.js is loaded only when a PDF is opened.
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: {
        locker: path('locker/index.html'),
        share: path('share/index.html'),
        verify: path('verify/index.html')
      }
    }
  }
})
