/** The page's own reasoning that needs no browser: routes, words for numbers, file kinds, passphrases, problems. */
import { expect } from 'chai'
import fc from 'fast-check'
import { kindOf, previewOf, saveNameOf } from '../../gateway/web/file-kinds.ts'
import {
  dayOf,
  formatBytes,
  formatCountdown,
  formatDate,
  formatDay,
  formatRelative,
  groupByDay,
  initialsOf,
  shorten
} from '../../gateway/web/format.ts'
import { judgePassphrase, splitWords } from '../../gateway/web/passphrase.ts'
import { Problem, asProblem, problemOf, retryAt } from '../../gateway/web/problem.ts'
import { type Route, arrival, hashOf, parseRoute } from '../../gateway/web/routes.ts'
import { deadEndOf, deadEndOfFailure } from '../../gateway/web/share/state.ts'
import { ProtocolError } from '../../protocols/errors.ts'

describe('routes of the page', () => {
  const ROUTES: readonly Route[] = [
    { screen: 'locker' },
    { screen: 'trash' },
    { screen: 'document', id: 'abc' },
    { screen: 'inbox' },
    { screen: 'received', id: 'thread/1' },
    { screen: 'contacts' },
    { screen: 'contact', did: 'did:peer:2.Ez6LS#key?x=%2F' },
    { screen: 'activity' },
    { screen: 'settings' }
  ]
  for (const route of ROUTES)
    it(`finds ${route.screen} again from its hash`, () =>
      expect(parseRoute(hashOf(route))).to.deep.equal(route))

  it('keeps any identifier whole', () =>
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (did) => {
        expect(parseRoute(hashOf({ screen: 'contact', did }))).to.deep.equal({
          screen: 'contact',
          did
        })
      })
    ))

  it('shows the locker for a hash it does not know', () => {
    for (const hash of [
      '',
      '#',
      '#/',
      '#/nowhere',
      '#/documents',
      '#/documents/%E0%A4%A',
      '#t=abc'
    ])
      expect(parseRoute(hash)).to.deep.equal({ screen: 'locker' })
  })

  it('takes a one-time token and an invitation from the address', () => {
    expect(arrival(new URL('http://localhost:4280/#t=abc-_1'))).to.deep.equal({ token: 'abc-_1' })
    expect(arrival(new URL('http://localhost:4280/i?_oob=eyJ9#t=abc'))).to.deep.equal({
      token: 'abc',
      invitation: 'http://localhost:4280/i?_oob=eyJ9'
    })
    expect(arrival(new URL('http://localhost:4280/?_oob=eyJ9#/inbox'))).to.deep.equal({})
  })
})

describe('numbers and times in words', () => {
  const now = new Date('2026-11-23T12:00:00')

  it('says sizes with one decimal at most', () => {
    expect(formatBytes(1, 'en')).to.equal('1 byte')
    expect(formatBytes(999, 'en')).to.equal('999 bytes')
    expect(formatBytes(1400, 'en')).to.equal('1.4 kB')
    expect(formatBytes(123_456_789, 'en')).to.equal('123 MB')
    expect(formatBytes(4 * 1024 ** 3, 'en')).to.equal('4.3 GB')
  })

  it('says times by their largest unit', () => {
    expect(formatRelative(new Date(now.getTime() - 20_000), now, 'en')).to.equal('now')
    expect(formatRelative(new Date(now.getTime() - 120_000), now, 'en')).to.equal('2 minutes ago')
    expect(formatRelative(new Date(now.getTime() + 7 * 86_400_000), now, 'en')).to.equal(
      'in 7 days'
    )
  })

  it('names today and yesterday, and other days by their date', () => {
    expect(formatDay('2026-11-23T00:00:01', now, 'en')).to.equal('today')
    expect(formatDay('2026-11-22T23:59:59', now, 'en')).to.equal('yesterday')
    expect(formatDay('2026-11-01T10:00:00', now, 'en-GB')).to.contain('1 November 2026')
  })

  it('shows a dash for a time that is none', () => expect(formatDate('soon', 'en')).to.equal('—'))

  it('groups by calendar day and keeps the order', () => {
    const times = ['2026-11-23T10:00:00', '2026-11-23T09:00:00', '2026-11-21T23:00:00']
    const groups = groupByDay(times, (time) => time)
    expect(groups.map((group) => group.day)).to.deep.equal(['2026-11-23', '2026-11-21'])
    expect(groups.flatMap((group) => group.items)).to.deep.equal(times)
    expect(dayOf(times[2] ?? '')).to.equal('2026-11-21')
  })

  it('counts down to nothing and no further', () => {
    expect(formatCountdown(new Date(now.getTime() + 65_000), now)).to.equal('1:05')
    expect(formatCountdown(new Date(now.getTime() + 200), now)).to.equal('0:01')
    expect(formatCountdown(new Date(now.getTime() - 9_000), now)).to.equal('0:00')
  })

  it('makes initials in any script', () => {
    expect(initialsOf('Maria de Fernandes')).to.equal('MF')
    expect(initialsOf('आशा')).to.equal('आ')
    expect(initialsOf('😀 smile')).to.equal('😀S')
    expect(initialsOf('  ')).to.equal('?')
  })

  it('cuts only what is long', () => {
    expect(shorten('did:key:z6Mk')).to.equal('did:key:z6Mk')
    expect(shorten('a'.repeat(60))).to.equal(`${'a'.repeat(16)}…${'a'.repeat(6)}`)
  })
})

describe('kinds of files', () => {
  it('shows markup and SVG as their text and never as themselves', () => {
    for (const type of ['text/html', 'image/svg+xml', 'application/xml', 'text/xml; charset=utf-8'])
      expect(previewOf(type), type).to.equal('text')
    for (const type of [
      'application/xhtml+xml',
      'application/zip',
      'application/octet-stream',
      '',
      'video/mp4'
    ])
      expect(previewOf(type), type).to.equal('none')
  })

  it('shows PDF and raster images, whatever the letter case', () => {
    expect(previewOf('Application/PDF')).to.equal('pdf')
    for (const type of ['image/png', 'image/JPEG', 'image/webp'])
      expect(previewOf(type), type).to.equal('image')
  })

  it('knows families by their type', () => {
    expect(kindOf('text/csv')).to.equal('sheet')
    expect(kindOf('application/zip')).to.equal('archive')
    expect(kindOf('audio/ogg')).to.equal('sound')
    expect(kindOf('constructor')).to.equal('other')
  })

  it('offers no name that is a path, hides its end, or is empty', () => {
    expect(saveNameOf('../../etc/passwd')).to.equal('-..-etc-passwd')
    expect(saveNameOf('invoice\u202Efdp.exe')).to.equal('invoicefdp.exe')
    expect(saveNameOf('...')).to.equal('document')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const saved = saveNameOf(name)
        expect(saved).to.not.match(/[\p{Cc}\p{Cf}\\/:*?"<>|]/u)
        expect(saved.length).to.be.greaterThan(0)
        expect(Array.from(saved).length).to.be.at.most(120)
      })
    )
  })
})

describe('passphrases while typed', () => {
  it('wants length, and different characters', () => {
    expect(judgePassphrase('').verdict).to.equal('empty')
    expect(judgePassphrase('abc').verdict).to.equal('short')
    expect(judgePassphrase('abcdefghijk').verdict).to.equal('close')
    expect(judgePassphrase('aaaaaaaaaaaaaaaa').verdict).to.equal('repeated')
    expect(judgePassphrase('abcdefghijkl').verdict).to.equal('enough')
    expect(judgePassphrase('correct horse battery staple').verdict).to.equal('comfortable')
  })

  it('finds the words in a numbered list, in capitals, over several lines', () =>
    expect(splitWords(' 1. Abandon\r\n 2) ABILITY, 3 able;')).to.deep.equal([
      'abandon',
      'ability',
      'able'
    ]))
})

describe('problems', () => {
  it('reads code and facts of a problem document', () => {
    const problem = problemOf(
      429,
      'application/problem+json; charset=utf-8',
      '{"code":"vault-throttled","detail":"4 wrong","retryAt":"2026-11-23T12:00:00Z"}'
    )
    expect(problem).to.include({ code: 'vault-throttled', status: 429, message: '4 wrong' })
    expect(retryAt(problem)?.toISOString()).to.equal('2026-11-23T12:00:00.000Z')
  })

  it('takes anything else for an unexpected answer', () => {
    for (const [type, body] of [
      ['text/html', '<h1>502</h1>'],
      ['application/problem+json', '{"code":7}'],
      ['application/problem+json', 'null'],
      ['application/problem+json', '{'],
      [null, '']
    ] as const)
      expect(problemOf(502, type, body).code).to.equal('unexpected')
  })

  it('tells a broken connection from an abort and from a fault of its own', () => {
    expect(asProblem(new TypeError('Failed to fetch')).code).to.equal('unreachable')
    expect(asProblem(new DOMException('', 'AbortError')).code).to.equal('operation-cancelled')
    expect(asProblem(new RangeError('bug')).code).to.equal('unexpected')
  })

  it('has no time to try again where none, or none that is one, was told', () => {
    expect(retryAt(new Problem('vault-throttled', ''))).to.be.undefined
    const odd = new Problem('vault-throttled', '', 429, new Map([['retryAt', 'later']]))
    expect(retryAt(odd)).to.be.undefined
  })
})

describe('ends of a share link', () => {
  const facts = { passphrase: false, salt: '', expiresAt: '2026-11-24T00:00:00Z' }

  it('keeps expired, used up and stopped apart', () => {
    expect(deadEndOf({ ...facts, state: 'live' })).to.be.undefined
    for (const state of ['expired', 'used-up', 'stopped'] as const)
      expect(deadEndOf({ ...facts, state })).to.equal(state)
  })

  for (const [code, end] of [
    ['link-used-up', 'used-up'],
    ['link-expired', 'expired'],
    ['link-stopped', 'stopped'],
    ['link-unknown', 'unknown'],
    ['link-proof-wrong', 'wrong-key'],
    ['rate-limited', 'too-many'],
    ['document-damaged', 'damaged'],
    ['unreachable', 'unreachable'],
    ['internal-fault', 'failed']
  ] as const)
    it(`says ${end} for ${code}`, () =>
      expect(deadEndOfFailure(new Problem(code, ''))).to.equal(end))

  it('tells damage from half a link', () => {
    expect(deadEndOfFailure(new ProtocolError('sealed-damaged', ''))).to.equal('damaged')
    expect(deadEndOfFailure(new ProtocolError('sealed-malformed', ''))).to.equal('damaged')
    expect(deadEndOfFailure(new ProtocolError('link-malformed', ''))).to.equal('incomplete')
  })
})
