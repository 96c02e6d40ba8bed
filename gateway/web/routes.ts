/**
 * Hash routes of the locker: `#/documents/<id>` and so on. A hash never reaches a server, and the page
 * needs no rewriting rules to be served.
 *
 * @module
 */
export type Route =
  | { readonly screen: 'locker' }
  | { readonly screen: 'trash' }
  | { readonly screen: 'document'; readonly id: string }
  | { readonly screen: 'inbox' }
  | { readonly screen: 'received'; readonly id: string }
  | { readonly screen: 'contacts' }
  | { readonly screen: 'contact'; readonly did: string }
  | { readonly screen: 'activity' }
  | { readonly screen: 'settings' }
  /** The institution's console: what was issued, issuing one, kinds of credential. */
  | { readonly screen: 'issuer'; readonly place: 'issued' | 'issue' | 'types' }

/** The route a hash names; anything unknown is the locker. */
export function parseRoute(hash: string): Route {
  const [first = '', second = ''] = hash.replace(/^#\/?/, '').split('/').map(decode)
  switch (first) {
    case 'documents':
      return second === '' ? { screen: 'locker' } : { screen: 'document', id: second }
    case 'inbox':
      return second === '' ? { screen: 'inbox' } : { screen: 'received', id: second }
    case 'contacts':
      return second === '' ? { screen: 'contacts' } : { screen: 'contact', did: second }
    case 'trash':
      return { screen: 'trash' }
    case 'activity':
      return { screen: 'activity' }
    case 'settings':
      return { screen: 'settings' }
    case 'issuer':
      return {
        screen: 'issuer',
        place: second === 'issue' || second === 'types' ? second : 'issued'
      }
    default:
      return { screen: 'locker' }
  }
}

/** The hash of a route, for `href`. */
export function hashOf(route: Route): string {
  if (route.screen === 'document') return `#/documents/${encodeURIComponent(route.id)}`
  if (route.screen === 'received') return `#/inbox/${encodeURIComponent(route.id)}`
  if (route.screen === 'contact') return `#/contacts/${encodeURIComponent(route.did)}`
  if (route.screen === 'issuer')
    return route.place === 'issued' ? '#/issuer' : `#/issuer/${route.place}`
  return route.screen === 'locker' ? '#/' : `#/${route.screen}`
}

/** What the address bar brought: a one-time token (`#t=…`) and an invitation (`/i?_oob=…`), if any. */
export function arrival(url: URL): { token?: string; invitation?: string } {
  const token = new URLSearchParams(url.hash.slice(1)).get('t')
  const invited = url.pathname === '/i' && url.searchParams.has('_oob')
  return {
    ...(token === null || token === '' ? {} : { token }),
    ...(invited ? { invitation: `${url.origin}${url.pathname}${url.search}` } : {})
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
