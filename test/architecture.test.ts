/**
 * Holds the source to its own layout: which folder may import which, and which file names say
 * nothing. The table is the architecture; the picture in README.md draws the same arrows.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'chai'

interface Layer {
  /** Folders (ending in `/`) and single files that this layer may import. */
  readonly source: readonly string[]
  readonly packages: RegExp
  /** Packages allowed for their types only. */
  readonly types?: RegExp
}

/** Of node:, what is computation and not the outside world. */
const COMPUTATION = 'node:async_hooks|node:crypto|node:zlib|node:buffer|node:util'

const LAYERS: Readonly<Record<string, Layer>> = {
  'protocols/': {
    source: ['protocols/'],
    packages: new RegExp(
      `^(${COMPUTATION}|zod|multiformats/.*|@noble/.*|@scure/.*|@ipld/dag-pb|@ipld/dag-cbor|canonicalize|jsonld|@hyperjump/.*|did-resolver)$`
    )
  },
  'agent/': {
    source: ['agent/', 'protocols/'],
    packages: new RegExp(
      `^(${COMPUTATION}|zod|multiformats/.*|@noble/.*|@scure/.*|@ipld/.*|ipfs-unixfs|ipfs-unixfs-importer|ipfs-unixfs-importer/.*|@zxcvbn-ts/.*|canonicalize|file-type|file-type/.*|did-resolver)$`
    ),
    types: /^(abstract-level|interface-blockstore)$/
  },
  'gateway/web/': {
    source: ['gateway/web/', 'protocols/'],
    packages:
      /^(svelte|svelte\/.*|i18next|uqr|zod|@noble\/.*|@scure\/base|pdfjs-dist|pdfjs-dist\/.*|@lucide\/svelte.*|vite|@sveltejs\/vite-plugin-svelte|@tailwindcss\/vite|jsqr|node:url|node:fs\/promises)$/
  },
  'gateway/': {
    source: ['gateway/', 'agent/agent.ts', 'agent/errors.ts', 'protocols/'],
    packages:
      /^(node:.*|express|zod|zod-openapi|zod-openapi\/.*|helmet|express-rate-limit|prom-client|busboy|uqr)$/,
    types: /^(multiformats\/cid)$/
  },
  'node/': {
    source: ['node/', 'gateway/', 'agent/', 'protocols/'],
    packages: /./
  }
}
const EMPTY_NAMES =
  /^(index|utils?|helpers?|common|misc|shared|types|constants)\.ts$|-(manager|service|helper|utils?)\.ts$/
const IMPORT =
  /^\s*(?:import|export)\s(type\s)?(?:[^'"`;]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm

/** The longest layer that begins the path: `gateway/web/app.ts` is in `gateway/web/`. */
function layerOf(path: string): string {
  const layers = Object.keys(LAYERS).filter((layer) => path.startsWith(layer))
  return layers.reduce((longest, layer) => (layer.length > longest.length ? layer : longest), '')
}

const files = Object.keys(LAYERS)
  .flatMap((layer) =>
    readdirSync(layer, { encoding: 'utf8', recursive: true }).map((path) => join(layer, path))
  )
  .filter(
    (path, position, all) =>
      /\.(ts|svelte)$/.test(path) && all.indexOf(path) === position && existsSync(path)
  )

describe('architecture', () => {
  it('has source to check', () => expect(files.length).to.be.greaterThan(20))

  for (const file of files) {
    it(`${file} keeps to its layer`, () => {
      const layer = LAYERS[layerOf(file)]
      if (layer === undefined) throw new Error(`${file} is in no layer`)
      const refused = [...readFileSync(file, 'utf8').matchAll(IMPORT)]
        .map((match) => ({ typeOnly: match[1] !== undefined, name: match[2] ?? match[3] ?? '' }))
        .filter(({ typeOnly, name }) => {
          if (!name.startsWith('.'))
            return !layer.packages.test(name) && !(typeOnly && layer.types?.test(name))
          const target = join(dirname(file), name)
          return !layer.source.includes(layerOf(target)) && !layer.source.includes(target)
        })
      expect(refused, 'imports outside the layer').to.be.empty
      expect(basename(file)).to.not.match(EMPTY_NAMES)
    })
  }
})
