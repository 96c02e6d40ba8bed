/**
 * Who may do what over the private listener: every route of the gateway's own table × every kind of
 * caller × every state of the vault → status. The columns below say what a caller that may gets; what
 * the others get follows from the rules in `expected`. A route that is missing below, or is no longer
 * in the gateway, fails the first test.
 */
import { createServer, request as httpRequest, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import type { VaultState } from '../../agent/agent.ts'
import { PERMISSIONS, STAFF_ACTIONS, STAFF_ROLES, type StaffRole } from '../../agent/staff.ts'
import { SCOPES, type Access, type Scope } from '../../gateway/auth.ts'
import { createGateway, type Gateway } from '../../gateway/server.ts'
import { PASSPHRASE, FakeAgent, WORDS } from '../gateway/fake-agent.ts'
import { nodeFacts, RUN_TOKEN, silent } from '../gateway/harness.ts'
import { FakeClock } from '../clock.ts'
import { randomBytes } from 'node:crypto'

type State = Extract<VaultState, 'new' | 'sealed' | 'open'>

/** Things of each kind that the requests name. */
interface Cast {
  readonly document: string
  readonly trashed: string
  readonly offered: string
  readonly accepted: string
  readonly request: string
  readonly grant: string
  readonly invitation: string
  readonly message: string
  readonly token: string
  readonly oneTime: string
}

interface Row {
  readonly route: string
  readonly access: Access
  readonly open: number
  readonly sealed: number
  readonly new: number
  readonly path: (cast: Cast) => string
  readonly body?: (cast: Cast) => unknown
}

const BOB = 'did:example:bob'
const secret = { kind: 'passphrase', passphrase: PASSPHRASE }
const at = (path: string) => (): string => path

// oxfmt-ignore
const ROWS: readonly Row[] = [
  // route                              access             open        sealed       new
  { route: 'get /node',                 access: 'none',    open: 200, sealed: 200, new: 200, path: at('/node') },
  { route: 'post /node/unlock',         access: 'admin',   open: 200, sealed: 200, new: 409, path: at('/node/unlock'), body: () => ({ passphrase: PASSPHRASE }) },
  { route: 'post /node/lock',           access: 'admin',   open: 204, sealed: 204, new: 409, path: at('/node/lock') },
  { route: 'post /node/accept-loss',    access: 'admin',   open: 200, sealed: 423, new: 409, path: at('/node/accept-loss') },
  { route: 'get /node/peers',           access: 'admin',   open: 200, sealed: 200, new: 200, path: at('/node/peers') },
  { route: 'get /node/storage',         access: 'admin',   open: 200, sealed: 200, new: 200, path: at('/node/storage') },
  { route: 'post /session/addresses',   access: 'admin',   open: 201, sealed: 201, new: 201, path: at('/session/addresses') },
  { route: 'post /session',             access: 'none',    open: 204, sealed: 204, new: 204, path: at('/session'), body: ({ oneTime }) => ({ token: oneTime }) },
  { route: 'delete /session',           access: 'none',    open: 204, sealed: 204, new: 204, path: at('/session') },
  { route: 'post /locker',              access: 'admin',   open: 409, sealed: 409, new: 201, path: at('/locker'), body: () => ({ name: 'Alice', passphrase: PASSPHRASE }) },
  { route: 'patch /locker',             access: 'admin',   open: 200, sealed: 423, new: 409, path: at('/locker'), body: () => ({ name: 'Alicia' }) },
  { route: 'post /locker/confirm',      access: 'admin',   open: 204, sealed: 423, new: 409, path: at('/locker/confirm'), body: () => ({ words: { 3: WORDS[2] } }) },
  { route: 'post /locker/passphrase',   access: 'admin',   open: 204, sealed: 204, new: 409, path: at('/locker/passphrase'), body: () => ({ secret, passphrase: 'another good passphrase' }) },
  { route: 'post /locker/recovery-kit', access: 'admin',   open: 200, sealed: 200, new: 409, path: at('/locker/recovery-kit'), body: () => ({ secret }) },
  { route: 'get /locker/slots',         access: 'admin',   open: 200, sealed: 200, new: 200, path: at('/locker/slots') },

  { route: 'post /documents',               access: 'documents:write', open: 201, sealed: 423, new: 409, path: at('/documents?name=a.txt') },
  { route: 'post /documents/:id/versions',  access: 'documents:write', open: 201, sealed: 423, new: 409, path: ({ document }) => `/documents/${document}/versions` },
  { route: 'get /documents',                access: 'documents:read',  open: 200, sealed: 423, new: 409, path: at('/documents') },
  { route: 'get /documents/:id',            access: 'documents:read',  open: 200, sealed: 423, new: 409, path: ({ document }) => `/documents/${document}` },
  { route: 'patch /documents/:id',          access: 'documents:write', open: 200, sealed: 423, new: 409, path: ({ document }) => `/documents/${document}`, body: () => ({ name: 'b.txt' }) },
  { route: 'delete /documents/:id',         access: 'documents:write', open: 204, sealed: 423, new: 409, path: ({ document }) => `/documents/${document}` },
  { route: 'post /documents/:id/restore',   access: 'documents:write', open: 200, sealed: 423, new: 409, path: ({ trashed }) => `/documents/${trashed}/restore` },
  { route: 'get /documents/:id/content',    access: 'documents:read',  open: 200, sealed: 423, new: 409, path: ({ document }) => `/documents/${document}/content` },
  { route: 'post /documents/check',         access: 'documents:read',  open: 200, sealed: 423, new: 409, path: at('/documents/check'), body: () => ({}) },

  { route: 'get /shares',             access: 'shares', open: 200, sealed: 423, new: 409, path: at('/shares') },
  { route: 'post /shares',            access: 'shares', open: 201, sealed: 423, new: 409, path: at('/shares'), body: ({ document }) => ({ document, link: true }) },
  { route: 'get /shares/:id',         access: 'shares', open: 200, sealed: 423, new: 409, path: ({ grant }) => `/shares/${grant}` },
  { route: 'delete /shares/:id',      access: 'shares', open: 200, sealed: 423, new: 409, path: ({ grant }) => `/shares/${grant}` },
  { route: 'get /requests',           access: 'shares', open: 200, sealed: 423, new: 409, path: at('/requests') },
  { route: 'post /requests',          access: 'shares', open: 201, sealed: 423, new: 409, path: at('/requests'), body: () => ({ from: BOB, wanted: 'a degree', purpose: 'a job' }) },

  { route: 'get /inbox',              access: 'inbox', open: 200, sealed: 423, new: 409, path: at('/inbox') },
  { route: 'get /inbox/:id',          access: 'inbox', open: 200, sealed: 423, new: 409, path: ({ offered }) => `/inbox/${offered}` },
  { route: 'get /inbox/:id/content',  access: 'inbox', open: 200, sealed: 423, new: 409, path: ({ accepted }) => `/inbox/${accepted}/content` },
  { route: 'post /inbox/:id/accept',  access: 'inbox', open: 200, sealed: 423, new: 409, path: ({ offered }) => `/inbox/${offered}/accept` },
  { route: 'post /inbox/:id/decline', access: 'inbox', open: 200, sealed: 423, new: 409, path: ({ offered }) => `/inbox/${offered}/decline` },
  { route: 'post /inbox/:id/grant',   access: 'inbox', open: 200, sealed: 423, new: 409, path: ({ request }) => `/inbox/${request}/grant`, body: ({ document }) => ({ document }) },

  { route: 'get /invitations',          access: 'contacts', open: 200, sealed: 423, new: 409, path: at('/invitations') },
  { route: 'post /invitations',         access: 'contacts', open: 201, sealed: 423, new: 409, path: at('/invitations') },
  { route: 'delete /invitations/:id',   access: 'contacts', open: 204, sealed: 423, new: 409, path: ({ invitation }) => `/invitations/${invitation}` },
  { route: 'post /invitations/accept',  access: 'contacts', open: 201, sealed: 423, new: 409, path: at('/invitations/accept'), body: () => ({ url: 'http://localhost/i?_oob=x' }) },
  { route: 'get /contacts',             access: 'contacts', open: 200, sealed: 423, new: 409, path: at('/contacts') },
  { route: 'get /contacts/:did',        access: 'contacts', open: 200, sealed: 423, new: 409, path: at(`/contacts/${encodeURIComponent(BOB)}`) },
  { route: 'patch /contacts/:did',      access: 'contacts', open: 200, sealed: 423, new: 409, path: at(`/contacts/${BOB}`), body: () => ({ name: 'Robert' }) },
  { route: 'delete /contacts/:did',     access: 'contacts', open: 204, sealed: 423, new: 409, path: at(`/contacts/${BOB}`) },
  { route: 'post /contacts/:did/ping',  access: 'contacts', open: 200, sealed: 423, new: 409, path: at(`/contacts/${BOB}/ping`) },

  { route: 'get /activity',           access: 'activity', open: 200, sealed: 423, new: 409, path: at('/activity') },
  { route: 'post /activity/verify',   access: 'activity', open: 200, sealed: 423, new: 409, path: at('/activity/verify') },
  { route: 'get /outbox',             access: 'admin',    open: 200, sealed: 423, new: 409, path: at('/outbox') },
  { route: 'post /outbox/:id/retry',  access: 'admin',    open: 204, sealed: 423, new: 409, path: ({ message }) => `/outbox/${message}/retry` },
  { route: 'get /tokens',             access: 'admin',    open: 200, sealed: 423, new: 409, path: at('/tokens') },
  { route: 'post /tokens',            access: 'admin',    open: 201, sealed: 423, new: 409, path: at('/tokens'), body: () => ({ name: 'ci', scopes: ['shares'] }) },
  { route: 'delete /tokens/:id',      access: 'admin',    open: 204, sealed: 423, new: 409, path: ({ token }) => `/tokens/${token}` },
  { route: 'post /backups',           access: 'admin',    open: 200, sealed: 423, new: 409, path: at('/backups') },
  { route: 'post /backups/restore',   access: 'admin',    open: 409, sealed: 409, new: 200, path: at('/backups/restore') },
  { route: 'post /verifications',     access: 'any',      open: 200, sealed: 200, new: 200, path: at('/verifications') },
  // The agent of this table has no issuer: whoever may is told so.
  { route: 'get /issuer', access: 'issuer:read', open: 409, sealed: 423, new: 409, path: at('/issuer') },
  { route: 'post /issuer', access: 'admin', open: 409, sealed: 423, new: 409, path: at('/issuer'), body: () => ({ names: { en: 'U' }, categories: ['education'] }) },
  { route: 'patch /issuer', access: 'issuer:change', open: 409, sealed: 423, new: 409, path: at('/issuer'), body: () => ({ secondApproval: true }) },
  { route: 'post /issuer/keys', access: 'issuer:rotate-key', open: 409, sealed: 423, new: 409, path: at('/issuer/keys') },
  { route: 'get /issuer/descriptor', access: 'issuer:read', open: 409, sealed: 423, new: 409, path: at('/issuer/descriptor') },
  { route: 'get /issuer/staff', access: 'staff:read', open: 200, sealed: 423, new: 409, path: at('/issuer/staff') },
  { route: 'post /issuer/staff', access: 'staff:change', open: 409, sealed: 423, new: 409, path: at('/issuer/staff'), body: () => ({ name: 'Ravi', role: 'issuer' }) },
  { route: 'patch /issuer/staff/:id', access: 'staff:change', open: 409, sealed: 423, new: 409, path: at('/issuer/staff/x1'), body: () => ({ role: 'admin' }) },
  { route: 'post /issuer/staff/:id/token', access: 'staff:change', open: 409, sealed: 423, new: 409, path: at('/issuer/staff/x1/token') },
  { route: 'delete /issuer/staff/:id', access: 'staff:change', open: 409, sealed: 423, new: 409, path: at('/issuer/staff/x1') },
  { route: 'get /issuer/types', access: 'types:read', open: 409, sealed: 423, new: 409, path: at('/issuer/types') },
  { route: 'get /issuer/types/:id', access: 'types:read', open: 409, sealed: 423, new: 409, path: at('/issuer/types/degree') },
  { route: 'post /issuer/types', access: 'types:change', open: 409, sealed: 423, new: 409, path: at('/issuer/types'), body: () => ({ id: 'degree' }) },
  { route: 'post /issuer/types/:id/publish', access: 'types:publish', open: 409, sealed: 423, new: 409, path: at('/issuer/types/degree/publish') },
  { route: 'post /issuer/types/:id/versions/:version/deprecate', access: 'types:publish', open: 409, sealed: 423, new: 409, path: at('/issuer/types/degree/versions/1.0.0/deprecate') },
  { route: 'delete /issuer/types/:id/versions/:version', access: 'types:change', open: 409, sealed: 423, new: 409, path: at('/issuer/types/degree/versions/1.0.0') },
  { route: 'get /issuer/records', access: 'registry:read', open: 409, sealed: 423, new: 409, path: at('/issuer/records') },
  { route: 'get /issuer/records/:type', access: 'registry:read', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree') },
  { route: 'post /issuer/records/:type/import', access: 'registry:change', open: 415, sealed: 415, new: 415, path: at('/issuer/records/degree/import') },
  { route: 'post /issuer/records/:type/match', access: 'registry:read', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree/match'), body: () => ({ name: 'Asha' }) },
  { route: 'post /issuer/records/:type', access: 'registry:change', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree'), body: () => ({ name: 'Asha' }) },
  { route: 'get /issuer/records/:type/:id', access: 'registry:read', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree/x1') },
  { route: 'patch /issuer/records/:type/:id', access: 'registry:change', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree/x1'), body: () => ({ name: 'Asha' }) },
  { route: 'delete /issuer/records/:type/:id', access: 'registry:change', open: 409, sealed: 423, new: 409, path: at('/issuer/records/degree/x1') },
  { route: 'get /issuer/credentials', access: 'credentials:read', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials') },
  { route: 'post /issuer/credentials', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials'), body: () => ({ type: 'degree', claims: {}, to: BOB }) },
  { route: 'get /issuer/credentials/:id', access: 'credentials:read', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1') },
  { route: 'post /issuer/credentials/:id/approve', access: 'credentials:approve', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/approve') },
  { route: 'post /issuer/credentials/:id/replace', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/replace') },
  { route: 'post /issuer/credentials/:id/withdraw', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/withdraw') },
  { route: 'post /issuer/credentials/:id/revoke', access: 'credentials:revoke', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/revoke') },
  { route: 'post /issuer/credentials/:id/suspend', access: 'credentials:revoke', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/suspend') },
  { route: 'post /issuer/credentials/:id/reinstate', access: 'credentials:revoke', open: 409, sealed: 423, new: 409, path: at('/issuer/credentials/x1/reinstate') },
  { route: 'get /issuer/exchanges', access: 'credentials:read', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges') },
  { route: 'get /issuer/exchanges/:thid', access: 'credentials:read', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1') },
  { route: 'get /issuer/exchanges/:thid/candidates', access: 'registry:read', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1/candidates') },
  { route: 'post /issuer/exchanges/:thid/deliver', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1/deliver'), body: () => ({ record: 'r1' }) },
  { route: 'post /issuer/exchanges/:thid/pending', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1/pending') },
  { route: 'post /issuer/exchanges/:thid/refuse', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1/refuse') },
  { route: 'post /issuer/exchanges/:thid/sign', access: 'credentials:issue', open: 409, sealed: 423, new: 409, path: at('/issuer/exchanges/t1/sign') },
  { route: 'get /credentials', access: 'documents:read', open: 409, sealed: 423, new: 409, path: at('/credentials') },
  { route: 'get /credentials/:id', access: 'documents:read', open: 409, sealed: 423, new: 409, path: at('/credentials/x1') },
  { route: 'get /credentials/:id/verdict', access: 'documents:read', open: 409, sealed: 423, new: 409, path: at('/credentials/x1/verdict') },
  { route: 'get /credentials/:id/certificate', access: 'documents:read', open: 409, sealed: 423, new: 409, path: at('/credentials/x1/certificate') },
  { route: 'get /exchanges', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges') },
  { route: 'get /exchanges/:thid', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges/t1') },
  { route: 'post /exchanges', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges'), body: () => ({ to: BOB, type: 'degree' }) },
  { route: 'post /exchanges/:thid/accept', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges/t1/accept') },
  { route: 'post /exchanges/:thid/decline', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges/t1/decline') },
  { route: 'post /exchanges/:thid/cancel', access: 'inbox', open: 409, sealed: 423, new: 409, path: at('/exchanges/t1/cancel') },

  { route: 'get /events',             access: 'any',      open: 200, sealed: 200, new: 200, path: at('/events') }
]

type Caller =
  | 'none'
  | 'session'
  | 'session without header'
  | 'session from another site'
  | 'session from another port'
  | 'session of another origin'
  | 'session of no origin'
  | 'run token'
  | 'run token from another site'
  | 'unknown token'
  | 'expired token'
  | 'no bearer scheme'
  | `staff ${StaffRole}`
  | `token ${Scope}`

const CALLERS: readonly Caller[] = [
  'none',
  'session',
  'session without header',
  'session from another site',
  'session from another port',
  'session of another origin',
  'session of no origin',
  'run token',
  'run token from another site',
  'unknown token',
  'expired token',
  'no bearer scheme',
  ...STAFF_ROLES.map((role) => `staff ${role}` as const),
  ...SCOPES.map((scope) => `token ${scope}` as const)
]

/** While the locker is not open nobody can read what a token may: one of each kind stands for all. */
const CALLERS_UNREAD = CALLERS.filter(
  (caller) =>
    !/^(?:staff|token) /.test(caller) || caller === 'staff owner' || caller === 'token admin'
)

/** The rules. Everything that is not allowed is refused before the body is looked at. */
function expected(row: Row, caller: Caller, state: State): number {
  const change = !row.route.startsWith('get ')
  if (/another|no origin/.test(caller)) return 403
  if (caller === 'no bearer scheme') return 401
  const role = STAFF_ROLES.find((each) => caller === `staff ${each}`)
  if (role !== undefined || (caller.includes('token') && caller !== 'run token')) {
    // Tokens are kept in the locker: closed, nobody can say whether one is good.
    if (state === 'sealed') return 423
    if (state === 'new' || caller === 'unknown token' || caller === 'expired token') return 401
  }
  if (row.access === 'none') return caller === 'session without header' && change ? 403 : row[state]
  if (caller === 'none') return 401
  if (caller === 'session without header' && change) return 403
  if (role !== undefined && row.access !== 'any' && !roleMay(role, row.access)) return 403
  const scope = /^token (.*)$/.exec(caller)?.[1]
  if (scope !== undefined && scope !== 'admin' && row.access !== 'any' && scope !== row.access)
    return 403
  return row[state]
}

/** By the table of agent/staff.ts; the log is read by the scope of the same name without its `:read`. */
function roleMay(role: StaffRole, access: Access): boolean {
  const action = STAFF_ACTIONS.find(
    (each) => each === access || (each === 'activity:read' && access === 'activity')
  )
  return action !== undefined && PERMISSIONS[action].includes(role)
}

/** One agent with its cast, and credentials of every caller. */
interface Stage {
  readonly gateway: Gateway
  readonly cast: Cast
  readonly tokens: ReadonlyMap<string, string>
}

describe('gateway: access table', () => {
  let server: Server
  let port = 0
  let stage: Stage

  before(async () => {
    server = createServer((request, response) => stage.gateway.private(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })

  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('names every route of the gateway once, with the scope the gateway declares', async () => {
    stage = await setStage('open', port)
    const answer = await fetch(`http://localhost:${port}/openapi.json`)
    const { paths } = (await answer.json()) as {
      paths: Record<
        string,
        Record<string, { tags: string[]; security: Array<{ bearer?: string[] }> }>
      >
    }
    const declared = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { tags }]) => !tags.includes('public'))
        .map(([method, { security }]) => {
          const scope = security.length === 0 ? 'none' : (security[0]?.bearer?.[0] ?? 'any')
          return `${method} ${path.replace('/api/v1', '').replaceAll(/\{(\w+)\}/g, ':$1')} ${scope}`
        })
    )
    expect(ROWS.map(({ route, access }) => `${route} ${access}`)).to.have.members(declared)
  })

  for (const state of ['open', 'sealed', 'new'] as const)
    for (const row of ROWS)
      it(`${row.route} while the locker is ${state}`, async () => {
        stage = await setStage(state, port)
        const seen: Record<string, number> = {}
        const want: Record<string, number> = {}
        for (const caller of state === 'open' ? CALLERS : CALLERS_UNREAD) {
          want[caller] = expected(row, caller, state)
          seen[caller] = await ask(row, caller)
          // Whoever was let in may have changed what the next caller asks for.
          if (seen[caller] < 300) stage = await setStage(state, port)
        }
        expect(seen).to.deep.equal(want)
      })

  async function ask(row: Row, caller: Caller): Promise<number> {
    const [method = ''] = row.route.split(' ')
    const headers = await headersOf(caller, stage, port)
    const body = row.body?.(stage.cast)
    return statusOf(port, `/api/v1${row.path(stage.cast)}`, {
      method: method.toUpperCase(),
      headers,
      body: body === undefined ? undefined : JSON.stringify(body)
    })
  }
})

async function setStage(state: State, port: number): Promise<Stage> {
  const clock = new FakeClock()
  const agent = new FakeAgent(clock)
  const gateway = createGateway({
    agent,
    node: nodeFacts(`http://localhost:${port}`, null),
    runToken: RUN_TOKEN,
    clock,
    random: (sizeBytes) => new Uint8Array(randomBytes(sizeBytes)),
    logger: silent,
    pageFolder: '/nonexistent',
    limits: { rates: { failedAuthentication: { windowMs: 1_000, requestsMax: 1_000_000 } } }
  })
  const tokens = new Map<string, string>()
  let cast: Cast = castOf('x', gateway.oneTimeUrlToken())
  if (state !== 'new') {
    await agent.vault.create({ name: 'Alice', passphrase: PASSPHRASE })
    cast = await fill(agent, gateway)
    for (const scope of SCOPES)
      tokens.set(
        `token ${scope}`,
        (await agent.tokens.create({ name: scope, scopes: [scope] })).token
      )
    for (const role of STAFF_ROLES) {
      const scopes = STAFF_ACTIONS.filter((action) => PERMISSIONS[action].includes(role))
      const createdAt = clock.now().toISOString()
      agent.staffTokens.set(`els_${role}`, { id: role, name: role, role, scopes, createdAt })
      tokens.set(`staff ${role}`, `els_${role}`)
    }
    const expiresAt = new Date(clock.now().getTime() + 1_000)
    const { token } = await agent.tokens.create({ name: 'old', scopes: ['admin'], expiresAt })
    tokens.set('expired token', token)
    await clock.advance(2_000)
  }
  if (state === 'sealed') await agent.vault.seal()
  return { gateway, cast, tokens }
}

async function* bytes(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array([1, 2, 3])
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

async function fill(agent: FakeAgent, gateway: Gateway): Promise<Cast> {
  agent.addContact(BOB, 'Bob')
  const { id: document } = await agent.documents.add(bytes(), { name: 'a.txt' })
  const { id: trashed } = await agent.documents.add(bytes(), { name: 'b.txt' })
  await agent.documents.trash(trashed)
  const content = new Uint8Array([1, 2, 3])
  const { id: offered } = agent.sharing.receive({ from: BOB, name: 'c.pdf', content })
  const { id: accepted } = agent.sharing.receive({ from: BOB, name: 'd.pdf', content })
  await agent.sharing.accept(accepted)
  const { id: request } = agent.sharing.receiveRequest({ from: BOB, wanted: 'a degree' })
  const { id: grant } = await agent.sharing.give({ document, to: BOB, purpose: 'a job' })
  const { id: invitation } = await agent.contacts.invite()
  const createdAt = agent.clock.now().toISOString()
  const message = 'message-1'
  agent.outboxItems.push({
    id: message,
    to: { did: BOB },
    type: 'https://didcomm.org/trust-ping/2.0/ping',
    state: 'waiting',
    attempts: 1,
    createdAt,
    expiresAt: createdAt
  })
  const { facts } = await agent.tokens.create({ name: 'to revoke', scopes: ['inbox'] })
  const oneTime = gateway.oneTimeUrlToken()
  const token = facts.id
  return {
    document,
    trashed,
    offered,
    accepted,
    request,
    grant,
    invitation,
    message,
    token,
    oneTime
  }
}

function castOf(id: string, oneTime: string): Cast {
  return {
    document: id,
    trashed: id,
    offered: id,
    accepted: id,
    request: id,
    grant: id,
    invitation: id,
    message: id,
    token: id,
    oneTime
  }
}

async function headersOf(
  caller: Caller,
  { gateway, tokens }: Stage,
  port: number
): Promise<Record<string, string>> {
  const token = tokens.get(caller)
  if (token !== undefined) return bearer(token)
  const cookie = caller.startsWith('session') ? await startSession(gateway, port) : ''
  const session = { cookie, 'x-elocker': '1' }
  const own = `http://localhost:${port}`
  const headers: Partial<Record<Caller, Record<string, string>>> = {
    none: {},
    session: { ...session, 'sec-fetch-site': 'same-origin', origin: own },
    'session without header': { cookie, 'sec-fetch-site': 'same-origin' },
    'session from another site': { ...session, 'sec-fetch-site': 'cross-site' },
    'session from another port': { ...session, 'sec-fetch-site': 'same-site' },
    'session of another origin': { ...session, origin: `${own}.evil.test` },
    'session of no origin': { ...session, origin: 'null' },
    'run token': bearer(RUN_TOKEN),
    'run token from another site': { ...bearer(RUN_TOKEN), 'sec-fetch-site': 'cross-site' },
    'no bearer scheme': {
      authorization: `Basic ${Buffer.from(`x:${RUN_TOKEN}`).toString('base64')}`
    }
  }
  // What is left are tokens that no locker of this state holds.
  return headers[caller] ?? bearer('elk_unknown')
}

async function startSession(gateway: Gateway, port: number): Promise<string> {
  const answer = await fetch(`http://localhost:${port}/api/v1/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: gateway.oneTimeUrlToken() })
  })
  return answer.headers.get('set-cookie')?.split(';', 1)[0] ?? ''
}

/** The status alone: an event stream has no end to wait for. */
async function statusOf(
  port: number,
  path: string,
  sent: { method: string; headers: Record<string, string>; body: string | undefined }
): Promise<number> {
  const length = sent.body === undefined ? 0 : Buffer.byteLength(sent.body)
  const request = httpRequest({
    host: '127.0.0.1',
    port,
    path,
    method: sent.method,
    agent: false,
    headers: {
      host: `localhost:${port}`,
      ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(length === 0 ? {} : { 'content-length': length }),
      ...sent.headers
    }
  })
  const status = new Promise<number>((resolve, reject) => {
    request.on('response', (response) => {
      resolve(response.statusCode ?? 0)
      response.destroy()
    })
    request.on('error', reject)
  })
  request.end(sent.body)
  return status
}
