/**
 * Runs before `npm start`, `npm run dev` and `npm test`: installs the dependencies when the lockfile
 * asks for something that is not there. Plain JavaScript without imports from node_modules, because it
 * runs under whatever Node the machine has, before Node 24 (an npm package of ours) is installed.
 *
 * npm writes `node_modules/.package-lock.json` at the end of a complete install. That file lists what is
 * installed; an interrupted install leaves it missing or old, so comparing the two lists is enough.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Package path → version, of a lockfile; empty when it cannot be read. */
function packagesOf(path) {
  try {
    const { packages = {} } = JSON.parse(readFileSync(path, 'utf8'))
    return new Map(Object.entries(packages).map(([name, facts]) => [name, facts]))
  } catch {
    // A missing or half-written list means: install.
    return new Map()
  }
}

const wanted = packagesOf(`${root}/package-lock.json`)
const installed = packagesOf(`${root}/node_modules/.package-lock.json`)
const missing = [...wanted].filter(
  ([name, facts]) =>
    name !== '' && !facts.optional && installed.get(name)?.version !== facts.version
)

if (missing.length > 0) {
  console.error(`eLocker: installing ${missing.length} packages (npm ci); this takes a minute …`)
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  // A nested npm must not inherit the outer one's idea of the command it runs.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('npm_lifecycle'))
  )
  const { status } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    env: environment,
    shell: process.platform === 'win32'
  })
  if (status !== 0) {
    console.error('eLocker: npm ci failed; its message stands above')
    process.exit(status ?? 1)
  }
}
