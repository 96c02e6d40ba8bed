import { base64urlnopad } from '@scure/base'
import { expect } from 'chai'
import {
  invitation,
  INVITATION_URL_CHARS_MAX,
  invitationUrl,
  OUT_OF_BAND,
  parseInvitationUrl
} from '../../protocols/out-of-band.ts'
import { refused } from '../refusal.ts'
import { newParty } from './envelope/parties.ts'

const { did } = newParty()
const message = invitation.parse({
  type: `${OUT_OF_BAND}/invitation`,
  id: '69212a3a-d068-4f9d-a2dd-4741bca89af3',
  from: did,
  expires_time: 1_800_000_000,
  body: { goal_code: 'elocker.connect', accept: ['didcomm/v2'] }
})

const urlOf = (value: unknown): string =>
  `https://a.example/i?_oob=${base64urlnopad.encode(new TextEncoder().encode(JSON.stringify(value)))}`

/** DIDComm Messaging v2.1, "Example Out-of-Band Message Encoding". */
const SPEC_URL =
  'https://example.com/path?_oob=eyJ0eXBlIjoiaHR0cHM6Ly9kaWRjb21tLm9yZy9vdXQtb2YtYmFuZC8yLjAvaW52aXRhdGlvbiIsImlkIjoiNjkyMTJhM2EtZDA2OC00ZjlkLWEyZGQtNDc0MWJjYTg5YWYzIiwiZnJvbSI6ImRpZDpleGFtcGxlOmFsaWNlIiwiYm9keSI6eyJnb2FsX2NvZGUiOiIiLCJnb2FsIjoiIn0sImF0dGFjaG1lbnRzIjpbeyJpZCI6InJlcXVlc3QtMCIsIm1lZGlhX3R5cGUiOiJhcHBsaWNhdGlvbi9qc29uIiwiZGF0YSI6eyJqc29uIjoiPGpzb24gb2YgcHJvdG9jb2wgbWVzc2FnZT4ifX1dfQ'

describe('an invitation', () => {
  it('comes back from its URL', () => {
    const url = invitationUrl('https://a.example', message)
    expect(url).to.match(/^https:\/\/a\.example\/i\?_oob=[A-Za-z0-9_-]+$/)
    expect(parseInvitationUrl(url)).to.deep.equal(message)
  })

  it('is read from the example of the standard', () => {
    expect(parseInvitationUrl(SPEC_URL)).to.deep.equal({
      type: `${OUT_OF_BAND}/invitation`,
      id: '69212a3a-d068-4f9d-a2dd-4741bca89af3',
      from: 'did:example:alice',
      body: { goal_code: '', goal: '' }
    })
  })

  it('is read with padding, spaces around and other parameters', () => {
    const url = invitationUrl('https://a.example', message)
    for (const text of [`  ${url}\n`, `${url}%3D%3D`, `${url}&coupon=1#x`]) {
      expect(parseInvitationUrl(text)).to.deep.equal(message)
    }
  })

  it('has a URL of at most 16 KiB', async () => {
    const padded = (length: number): string => {
      const url = `${invitationUrl('https://a.example', message)}&x=`
      return url + 'x'.repeat(length - url.length)
    }
    expect(parseInvitationUrl(padded(INVITATION_URL_CHARS_MAX))).to.deep.equal(message)
    await refused(() => parseInvitationUrl(padded(INVITATION_URL_CHARS_MAX + 1)), 'limit-exceeded')
  })

  // oxfmt-ignore
  const FAULTS: readonly string[] = [
    '', 'hello', 'https://a.example/', 'https://a.example/?_oob=', 'https://a.example/?_oob=%20', 'https://a.example/?_oob=e30', 'https://a.example/?oob=e30',
    'https://a.example/?_oob=e+30', urlOf([]), urlOf({ ...message, from: undefined }), urlOf({ ...message, from: 'alice' }), urlOf({ ...message, id: '' }),
    urlOf({ ...message, id: undefined }), urlOf({ ...message, type: 'https://didcomm.org/out-of-band/1.0/invitation' }), urlOf({ ...message, body: [] }),
    urlOf({ ...message, expires_time: 'soon' }), urlOf({ ...message, body: { goal: 'x'.repeat(501) } })
  ]
  for (const text of FAULTS) {
    it(`is not ${text.slice(0, 60) || 'nothing'}`, () =>
      refused(() => parseInvitationUrl(text), 'message-malformed'))
  }

  it('is refused when the inviter does not speak DIDComm v2', () =>
    refused(
      () => parseInvitationUrl(urlOf({ ...message, body: { accept: ['didcomm/aip1'] } })),
      'did-unsupported'
    ))
})
