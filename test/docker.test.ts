/**
 * Holds the container files to the program. No engine runs here: this is parsing, and docker/README.md says so.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { parse } from 'yaml'
import { readConfig, SETTINGS } from '../node/config.ts'

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly profiles: readonly string[]
        readonly volumes: readonly string[]
        readonly ports: readonly string[]
        readonly environment?: Readonly<Record<string, string>>
        readonly secrets?: readonly string[]
        readonly read_only: boolean
        readonly cap_drop: readonly string[]
      }
    >
  >
  readonly volumes: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, unknown>>
}

const compose = parse(readFileSync('docker/compose.yaml', 'utf8'), { merge: true }) as Compose
const dockerfile = readFileSync('docker/Dockerfile', 'utf8')
const instructions = dockerfile
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const known = new Set<string>(SETTINGS.map(([variable]) => variable))

/** Value of an ENV of the image. */
function imageVariables(): Record<string, string> {
  const env = instructions.filter((line) => line.startsWith('ENV ')).join(' ')
  return Object.fromEntries(
    [...env.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value])
  )
}

describe('docker/', () => {
  it('has one service for each role, behind a profile of its name', () => {
    expect(Object.keys(compose.services)).to.have.members(['holder', 'issuer', 'verifier', 'relay'])
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.profiles).to.deep.equal([name])
      expect(service.read_only).to.equal(true)
      expect(service.cap_drop).to.deep.equal(['ALL'])
    }
  })

  it('sets only variables that the program reads, to values it takes', () => {
    for (const service of Object.values(compose.services)) {
      const own = Object.entries(service.environment ?? {})
      const all = { ...imageVariables(), ...Object.fromEntries(own) }
      const ours = Object.entries(all)
        .filter(([name]) => name.startsWith('ELOCKER_'))
        // `${NAME:-default}` as compose fills it in with nothing set.
        .map(([name, value]) => [name, value.replace(/\$\{\w+:-([^}]*)\}/g, '$1')] as const)
      for (const [name] of ours) expect(known.has(name), name).to.equal(true)
      expect(() => readConfig({}, Object.fromEntries(ours))).not.to.throw()
    }
  })

  it('declares every volume and secret it uses', () => {
    for (const service of Object.values(compose.services)) {
      for (const volume of service.volumes) {
        const [name = '', place] = volume.split(':')
        expect(compose.volumes).to.have.property(name)
        expect(place).to.equal(imageVariables()['ELOCKER_HOME'])
      }
      for (const secret of service.secrets ?? []) expect(compose.secrets).to.have.property(secret)
    }
  })

  it('publishes the private listener on loopback only', () => {
    const mapped = Object.values(compose.services).flatMap((service) => service.ports)
    const toPage = mapped.filter((port) => port.endsWith(':4280'))
    expect(toPage).to.have.length(3)
    for (const port of toPage) expect(port).to.match(/^127\.0\.0\.1:/)
  })

  it('runs the published command as a user of its own, with a health check on a real route', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      bin: Readonly<Record<string, string>>
    }
    const last = (word: string): string =>
      instructions.findLast((line) => line.startsWith(`${word} `)) ?? ''
    expect(last('ENTRYPOINT')).to.include(`"${bin['elocker']}"`)
    expect(last('USER')).to.match(/^USER [1-9]\d*:[1-9]\d*$/)
    expect(last('HEALTHCHECK')).to.include('/livez')
    expect(instructions.filter((line) => line.startsWith('FROM ')).length).to.equal(2)
    for (const line of instructions.filter((text) => text.startsWith('FROM '))) {
      expect(line).to.match(/^FROM node:24-slim/)
    }
  })
})
