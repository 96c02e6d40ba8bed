/**
 * Builds the page: two entries that share components and nothing else. The locker is served by the
 * private listener only; the share page is what a stranger with a link gets, and holds none of its code.
 *
 * The page runs under `default-src 'none'` (gateway/private.ts), which decides three settings here: no
 * asset becomes a data: URL (`assetsInlineLimit`), no polyfill is written inline (`modulePreload`), and
 * styles are files.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import tailwindcss from '@tailwindcss/vite'
import { defineConfig } from 'vite'

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

export default defineConfig({
  root: path('.'),
  base: '/',
  plugins: [svelte(), tailwindcss()],
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
      input: { locker: path('locker/index.html'), share: path('share/index.html') }
    }
  }
})
