/**
 * The verify page and what it asks. `POST /verify` answers a stranger with what `POST /api/v1/verifications`
 * answers the owner: a verdict for each credential, with every check and its reason. Programs ask
 * `POST /credentials/verify`, which speaks VCALM.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { CREDENTIAL_BYTES_MAX } from '../../protocols/credential/json.ts'
import { readBytes } from '../body.ts'
import { verification } from '../credential-schemas.ts'
import type { Page } from '../page.ts'
import { streamRoute, uploadRoute, type Route } from '../route.ts'

/** The page takes PDFs and codes apart itself, so only the text of a credential comes here. */
const TAKEN = ['text/plain', 'application/vc+json', 'application/vp+json', 'application/dc+sd-jwt']

/** Bounded like the other verdicts for strangers (limits.ts). */
export const VERIFY_PAGE_PATH = '/verify'

export function verifyPageRoutes({ agent, page }: { agent: Agent; page: Page }): readonly Route[] {
  return [
    streamRoute({
      method: 'get',
      path: VERIFY_PAGE_PATH,
      access: 'none',
      summary: 'The page that checks a credential: upload, paste, scan',
      media: 'text/html',
      answers: 'The page',
      handle: ({ response }) => page.send(response, 'verify')
    }),
    uploadRoute({
      method: 'post',
      path: VERIFY_PAGE_PATH,
      access: 'none',
      summary: 'Judge a credential for the verify page; nothing of it is kept',
      takes: TAKEN,
      status: 200,
      answer: verification,
      answers: 'A verdict for each credential, with every check and its reason',
      // As text, since a PDF is for the page to take apart: unpacking one here would be a stranger's to order.
      handle: async ({ request }) =>
        agent.verification.verify((await readBytes(request, CREDENTIAL_BYTES_MAX)).toString('utf8'))
    })
  ]
}
