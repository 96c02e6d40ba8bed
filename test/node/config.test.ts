import { expect } from 'chai'
import { LockerError } from '../../agent/errors.ts'
import { SETTINGS, homeFolder, readConfig } from '../../node/config.ts'

const PEER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

function publicPort(environment: Record<string, string>): number | undefined {
  return readConfig({}, environment).public?.port
}

function faultsOf(environment: Record<string, string>): unknown {
  try {
    readConfig({}, environment)
  } catch (error) {
    if (error instanceof LockerError && error.code === 'config-invalid')
      return error.facts['faults']
    throw error
  }
  return []
}

describe('config', () => {
  it('needs nothing set', () => {
    const config = readConfig({}, { XDG_DATA_HOME: '/data' })
    expect(config.home).to.equal('/data/elocker')
    expect(config.private).to.deep.equal({
      host: '127.0.0.1',
      port: 4280,
      socket: true,
      hosts: []
    })
    expect(config.trustProxy).to.equal(0)
    expect(config.public).to.equal(undefined)
    expect(config.p2p.bootstrap).to.be.empty
    expect(config.p2p.bitswapPeers).to.be.empty
  })

  it('lets an option beat the variable and the variable beat the default', () => {
    const environment = { ELOCKER_PRIVATE: '127.0.0.1:1', ELOCKER_LOG: 'debug' }
    expect(readConfig({}, environment).private.port).to.equal(1)
    expect(readConfig({ private: '[::1]:2' }, environment).private).to.deep.include({
      host: '::1',
      port: 2
    })
    expect(readConfig({ private: 0 }, environment).private.port).to.equal(0)
    expect(readConfig({}, environment).logLevel).to.equal('debug')
  })

  it('switches the public listener on by address, by word or by its URL', () => {
    expect(publicPort({ ELOCKER_PUBLIC: '127.0.0.1:9' })).to.equal(9)
    expect(publicPort({ ELOCKER_PUBLIC: 'on' })).to.equal(4281)
    expect(publicPort({ ELOCKER_PUBLIC_URL: 'https://locker.example' })).to.equal(4281)
    expect(
      publicPort({ ELOCKER_PUBLIC: 'off', ELOCKER_PUBLIC_URL: 'https://locker.example' })
    ).to.equal(undefined)
  })

  it('reads lists from commas, spaces and repeated options', () => {
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']
    expect(readConfig({}, { ELOCKER_P2P: listen.join(', ') }).p2p.listen).to.deep.equal(listen)
    expect(readConfig({ p2p: listen }, {}).p2p.listen).to.deep.equal(listen)
    expect(readConfig({ hostName: ['Locker.Example'] }, {}).private.hosts).to.deep.equal([
      'locker.example'
    ])
    expect(readConfig({ bitswapPeer: [PEER] }, {}).p2p.bitswapPeers).to.deep.equal([PEER])
  })

  it('lists every fault at once', () => {
    const faults = faultsOf({
      ELOCKER_PRIVATE: 'example.org:80',
      ELOCKER_PUBLIC: '1.2.3.4:65536',
      ELOCKER_PUBLIC_URL: 'https://locker.example/#x',
      ELOCKER_P2P: '/ip4/127.0.0.1/tcp/0,nonsense',
      ELOCKER_BOOTSTRAP: '/ip4/127.0.0.1/tcp/1',
      ELOCKER_BITSWAP_PEERS: 'someone',
      ELOCKER_RELAY: 'perhaps',
      ELOCKER_LOG: 'loud',
      ELOCKER_UPLOAD_MAX: '-1',
      ELOCKER_HOSTS: 'locker.example:443',
      ELOCKER_TRUST_PROXY: '17',
      ELOCKER_PASSPHRASE_FILE: 'a',
      ELOCKER_KEY_FILE: 'b',
      ELOCKER_PROT: '1'
    })
    expect(faults).to.have.length(13)
  })

  it('takes an empty variable as absent, as containers set them', () => {
    const empty = Object.fromEntries(SETTINGS.map(([variable]) => [variable, '']))
    expect(readConfig({}, empty)).to.deep.equal(readConfig({}, {}))
  })

  it("finds the home by option, variable and the user's data folder", () => {
    expect(homeFolder('/a', { ELOCKER_HOME: '/b' })).to.equal('/a')
    expect(homeFolder(undefined, { ELOCKER_HOME: '/b' })).to.equal('/b')
    expect(homeFolder(undefined, { XDG_DATA_HOME: 'relative' })).to.match(
      /\.local\/share\/elocker$/
    )
  })
})
