/**
 * The mock gateway's routes of credentials: held, offered, issued.
 *
 * @module
 */
import type { AgentEvent, InboxItem, IssuanceFacts } from '../../agent/agent.ts'
import { Refused, type Route } from './mock-route.ts'
import { sampleCredentials, sampleIssued, sampleIssuer, sampleTypes } from './sample-credentials.ts'
import { MARIA, ago } from './sample-locker.ts'

/** Tells the page that something changed. */
export type Emit = (type: AgentEvent['type']) => void

/** A locker that is no institution's and holds no credential. */
export function nobodys(): Route[] {
  return [
    [
      'GET',
      /^\/issuer$/,
      () => {
        throw new Refused(404, 'issuer-absent')
      }
    ],
    ['GET', /^\/exchanges$/, () => ({ items: [] })]
  ]
}

/** Offers as the inbox lists them (agent/inbox.ts). */
export function offersOf(exchanges: Iterable<IssuanceFacts>): InboxItem[] {
  return [...exchanges]
    .filter(({ offer }) => offer !== undefined)
    .map(({ thid, state, with: contact, offer, reason = '', createdAt }) => ({
      id: thid,
      kind: 'credential-offer',
      state,
      from: contact.name,
      fromDid: contact.did,
      subject: offer?.types[0] ?? '',
      purpose: reason,
      receivedAt: createdAt
    }))
}

/** Credentials the owner keeps, and those on their way. */
export function holding(emit: Emit, exchanges: Map<string, IssuanceFacts>): Route[] {
  const kept = new Map(sampleCredentials().map((one) => [one.document, one]))
  const found = (id: string): NonNullable<ReturnType<typeof sampleCredentials>[number]> => {
    const credential = kept.get(id)
    if (credential?.facts === undefined) throw new Refused(404, 'credential-unknown')
    return credential
  }
  return [
    ['GET', /^\/credentials\/([^/]+)$/, (_call, id = '') => found(id).facts],
    ['GET', /^\/credentials\/([^/]+)\/verdict$/, (_call, id = '') => found(id).verification],
    [
      'GET',
      /^\/credentials\/([^/]+)\/certificate$/,
      ({ response }, id = '') => {
        response.setHeader('content-type', 'application/pdf')
        return Buffer.from(`%PDF-1.7 of ${found(id).name}`)
      }
    ],
    [
      'POST',
      /^\/verifications$/,
      ({ raw }) =>
        [...kept.values()].find(({ content }) => content === raw.toString())?.verification
    ],
    ['GET', /^\/exchanges$/, () => ({ items: [...exchanges.values()] })],
    [
      'POST',
      /^\/exchanges\/([^/]+)\/(accept|decline|cancel)$/,
      ({ body }, thid = '', deed = '') => {
        const exchange = exchanges.get(thid)
        if (exchange === undefined) throw new Refused(404, 'exchange-unknown')
        const { attention: _answered, ...rest } = exchange
        const next =
          deed === 'accept'
            ? { ...rest, state: 'requested' as const }
            : {
                ...rest,
                state: 'abandoned' as const,
                ending: deed === 'decline' ? ('declined' as const) : ('cancelled' as const),
                ...(typeof body['reason'] === 'string' ? { reason: body['reason'] } : {})
              }
        exchanges.set(thid, next)
        emit('issuance')
        return next
      }
    ]
  ]
}

/** The institution's console. */
export function institution(emit: Emit): Route[] {
  const types = sampleTypes()
  const issued = sampleIssued()
  return [
    ['GET', /^\/issuer$/, () => sampleIssuer()],
    ['GET', /^\/issuer\/types$/, () => ({ items: types })],
    [
      'POST',
      /^\/issuer\/types\/([^/]+)\/publish$/,
      (_call, id = '') => {
        const place = types.findIndex(({ type }) => type.id === id)
        const draft = types[place]
        if (draft === undefined) throw new Refused(404, 'type-unknown')
        types[place] = { ...draft, state: 'published', publishedAt: ago(0) }
        return types[place]
      }
    ],
    ['GET', /^\/issuer\/credentials$/, () => ({ items: issued })],
    [
      'POST',
      /^\/issuer\/credentials$/,
      ({ body }) => {
        const claims = body['claims'] as Record<string, unknown>
        if (claims['rollNumber'] === 'x')
          throw new Refused(422, 'claims-invalid', {
            problems: [{ pointer: '/rollNumber', message: 'is not a roll number' }]
          })
        const [first] = sampleIssued()
        const { to: _to, ...rest } = { ...first, ...body, id: `new${issued.length}` }
        const offered = {
          ...rest,
          state: 'offered',
          status: 'unsigned',
          ...(body['to'] === undefined ? {} : { to: { did: MARIA, name: 'Maria Fernandes' } })
        } as (typeof issued)[number]
        issued.unshift(offered)
        emit('issued')
        return body['invitation'] === undefined
          ? offered
          : {
              ...offered,
              invitation: { id: 'i', url: 'https://pune.example/i?_oob=eyJ0', expiresAt: ago(-1) }
            }
      }
    ],
    [
      'POST',
      /^\/issuer\/credentials\/([^/]+)\/(approve|withdraw|revoke|suspend|reinstate)$/,
      ({ body }, id = '', deed = '') => {
        const place = issued.findIndex((one) => one.id === id)
        const one = issued[place]
        if (one === undefined) throw new Refused(404, 'credential-unknown')
        const status = { revoke: 'revoked', suspend: 'suspended', reinstate: 'valid' } as const
        const next = new Map<string, (typeof one)['status']>(Object.entries(status)).get(deed)
        issued[place] = {
          ...one,
          ...(next === undefined ? { state: 'withdrawn' } : { status: next }),
          ...(typeof body['reason'] === 'string' ? { reason: body['reason'] } : {})
        }
        emit('issued')
        return issued[place]
      }
    ]
  ]
}
