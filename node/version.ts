/**
 * The version of this package, from its own package.json.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const manifest = z.looseObject({ version: z.string() })

/** For example `0.1.0`. package.json is one folder up in a checkout, two in the built package. */
export function packageVersion(): string {
  const path = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json'
  return manifest.parse(JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))).version
}
