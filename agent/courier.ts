/**
 * The courier: a letter gets the DIDs in force now, is packed, and is told where to go.
 *
 * @module
 */
import type { ContactBook } from './contact-book.ts'
import type { Courier, Letter, Route } from './delivery.ts'
import { LockerError } from './errors.ts'
import type { Identity } from './identity.ts'
import { messageOf } from '../protocols/message.ts'

export interface CourierComponents {
  readonly identity: Pick<Identity, 'pack'>
  readonly book: Pick<ContactBook, 'record'>
}

/** Builds the courier of one open vault. */
export function createCourier(components: CourierComponents): Courier {
  return {
    async pack(letter, route) {
      const { from, to, fromPrior } = addresses(components, route)
      const message = messageOf({
        ...contentOf(letter),
        from,
        to: [to],
        ...(fromPrior === undefined ? {} : { fromPrior })
      })
      return components.identity.pack(message)
    }
  }
}

function addresses(
  components: CourierComponents,
  route: Route
): { from: string; to: string; fromPrior?: string | undefined } {
  if ('stranger' in route) return { from: route.from, to: route.stranger }
  const record = components.book.record(route.contact)
  if (record === undefined) throw new LockerError('contact-unknown', `no contact ${route.contact}`)
  return { from: record.ourDid, to: record.currentDid, fromPrior: record.fromPrior?.jwt }
}

function contentOf(letter: Letter): Parameters<typeof messageOf>[0] {
  const { pleaseAck, createdTime, expiresTime, ...content } = letter
  return {
    ...content,
    createdAt: new Date(createdTime * 1000),
    expiresAt: new Date(expiresTime * 1000),
    // The empty string stands for the message itself, DIDComm v2.1 "ACKs".
    ...(pleaseAck === true ? { pleaseAck: [''] } : {})
  }
}
