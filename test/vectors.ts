/**
 * Published test vectors that are not part of the repository: read from `../shared/vectors` beside it, or from
 * the folder that ELOCKER_VECTORS names. Tests that need absent ones say so and are skipped; every such suite
 * has a sibling with vectors of its own that always runs.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import type { Context } from 'mocha'

const FOLDER =
  process.env['ELOCKER_VECTORS'] ?? fileURLToPath(new URL('../../shared/vectors', import.meta.url))

/** The file's text, or skips the running test or suite with a printed message. */
export function readVectors(context: Context, path: string): string {
  const file = join(FOLDER, path)
  if (!existsSync(file)) {
    process.stdout.write(`      vectors ${path} are absent: set ELOCKER_VECTORS to their folder\n`)
    context.skip()
  }
  return readFileSync(file, 'utf8')
}
