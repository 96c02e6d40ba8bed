/** Holds package-lock.json to what `npm ci` needs on every platform, not only on the one that wrote it. */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Each place where Node looks for a package that the one at `path` asks for, nearest first. */
function* placesOf(path: string, name: string): Generator<string> {
  for (let folder = path; ;) {
    yield `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (folder === '') return
    const above = folder.lastIndexOf('/node_modules/')
    folder = above < 0 ? '' : folder.slice(0, above)
  }
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>
  }

  it('has the optional packages of every platform, without which npm ci refuses', () => {
    const absent = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) =>
        placesOf(path, name).every((place) => packages[place]?.version === undefined)
      )
    )
    expect(absent).to.deep.equal([])
  })

  it('names no download address, so that any mirror of the registry will do', () => {
    const named = Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined)
    expect(named.map(([path]) => path)).to.deep.equal([])
  })
})
