/**
 * The locker itself: creating it, its recovery, its passphrase.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import {
  changePassphrase,
  confirmRecovery,
  createLocker,
  createdLocker,
  ownerFacts,
  page,
  pageQuery,
  recoveryKit,
  renameOwner,
  slotFacts,
  withSecret
} from '../schemas.ts'
import { pageOf } from '../paging.ts'

export function lockerRoutes({ agent }: { agent: Agent }): readonly Route[] {
  const { vault } = agent
  return [
    jsonRoute({
      method: 'post',
      path: '/locker',
      access: 'admin',
      summary: 'Create the locker and open it',
      body: createLocker,
      status: 201,
      answer: createdLocker,
      answers: 'The owner, and the recovery kit this once',
      secret: true,
      handle: ({ body }) => vault.create(body)
    }),
    jsonRoute({
      method: 'patch',
      path: '/locker',
      access: 'admin',
      summary: "Change the owner's name",
      body: renameOwner,
      answer: ownerFacts,
      answers: 'The owner',
      handle: ({ body }) => agent.rename(body.name)
    }),
    emptyRoute({
      method: 'post',
      path: '/locker/confirm',
      access: 'admin',
      summary: 'Give three of the recovery words back',
      body: confirmRecovery,
      answers: 'They were right',
      handle: ({ body }) => vault.confirmRecovery(wordsOf(body.words))
    }),
    emptyRoute({
      method: 'post',
      path: '/locker/passphrase',
      access: 'admin',
      summary: 'Change the passphrase',
      body: changePassphrase,
      answers: 'Changed',
      handle: ({ body }) => vault.changePassphrase(body.secret, body.passphrase)
    }),
    jsonRoute({
      method: 'post',
      path: '/locker/recovery-kit',
      access: 'admin',
      summary: 'Make new recovery words; the old ones open nothing afterwards',
      body: withSecret,
      answer: recoveryKit,
      answers: 'The kit, this once',
      secret: true,
      handle: ({ body }) => vault.newRecoveryKit(body.secret)
    }),
    jsonRoute({
      method: 'get',
      path: '/locker/slots',
      access: 'admin',
      summary: 'What opens the locker',
      query: pageQuery,
      answer: page(slotFacts),
      answers: 'Slots',
      handle: async ({ query }) => pageOf(await vault.slots(), query, ({ id }) => id)
    })
  ]
}

/** Positions as numbers; the schema has held them to 1 to 24. */
function wordsOf(words: Readonly<Record<string, string | undefined>>): Record<number, string> {
  const given: Record<number, string> = {}
  for (const [position, word] of Object.entries(words))
    if (word !== undefined) given[Number(position)] = word
  return given
}
