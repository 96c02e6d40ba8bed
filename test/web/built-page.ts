/**
 * The built page, made when it is missing or older than its source: `mocha` alone must not test yesterday's.
 *
 * @module
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const WEB = fileURLToPath(new URL('../../gateway/web', import.meta.url))
const SHARED = fileURLToPath(new URL('../../protocols', import.meta.url))

/** Builds `gateway/web/dist` if needed; takes about four seconds then. */
export async function buildPage(): Promise<void> {
  const built = statSync(join(WEB, 'dist/share/index.html'), { throwIfNoEntry: false })?.mtimeMs
  if (built !== undefined && built > newest(WEB) && built > newest(SHARED)) return
  await build({ root: WEB, configFile: join(WEB, 'vite.config.ts'), logLevel: 'error' })
}

function newest(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(ts|svelte|css|html|json|svg)$/.test(path) && !path.startsWith('dist'))
    .reduce((latest, path) => Math.max(latest, statSync(join(folder, path)).mtimeMs), 0)
}
