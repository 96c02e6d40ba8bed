/**
 * The process: state, peers, storage, locking.
 *
 * @module
 */
import type { Agent } from '../../agent/agent.ts'
import type { NodeFacts } from '../node-facts.ts'
import { pageOf } from '../paging.ts'
import { emptyRoute, jsonRoute, type Route } from '../route.ts'
import {
  acceptedLoss,
  nodeState,
  ownerFacts,
  page,
  pageQuery,
  peerFacts,
  storageFacts,
  unlock
} from '../schemas.ts'

export function nodeRoutes({ agent, node }: { agent: Agent; node: NodeFacts }): readonly Route[] {
  return [...lockerState({ agent, node }), ...connectionsAndDisk(node)]
}

function lockerState({ agent, node }: { agent: Agent; node: NodeFacts }): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/node',
      access: 'none',
      summary: 'How the agent is doing; who the owner is only for callers that prove themselves',
      answer: nodeState,
      answers: 'The state',
      handle: ({ caller }) => {
        const known = caller.kind !== 'none' && agent.vault.state === 'open'
        const owner = known ? agent.owner() : undefined
        return {
          state: agent.vault.state,
          version: node.version,
          ...(owner === undefined
            ? {}
            : { name: owner.name, did: owner.did, recoveryConfirmed: owner.recoveryConfirmed }),
          peerId: node.peerId,
          addresses: node.addresses(),
          peers: node.peers().length,
          relay: node.relay,
          damage: agent.damage.length
        }
      }
    }),
    jsonRoute({
      method: 'post',
      path: '/node/unlock',
      access: 'admin',
      summary: 'Open the locker',
      body: unlock,
      answer: ownerFacts,
      answers: 'The owner',
      handle: ({ body }) =>
        agent.vault.open(
          'secret' in body ? body.secret : { kind: 'passphrase', passphrase: body.passphrase }
        )
    }),
    emptyRoute({
      method: 'post',
      path: '/node/lock',
      access: 'admin',
      summary: 'Close the locker: keys leave the memory',
      answers: 'Closed',
      handle: () => agent.vault.seal()
    }),
    jsonRoute({
      method: 'post',
      path: '/node/accept-loss',
      access: 'admin',
      summary:
        'Take records found missing or damaged as lost for good; they are not named any more',
      answer: acceptedLoss,
      answers: 'How much was lost',
      handle: async () => ({ lost: await agent.acceptLoss() })
    })
  ]
}

function connectionsAndDisk(node: NodeFacts): readonly Route[] {
  return [
    jsonRoute({
      method: 'get',
      path: '/node/peers',
      access: 'admin',
      summary: 'Peers connected over libp2p',
      query: pageQuery,
      answer: page(peerFacts),
      answers: 'Peers',
      handle: ({ query }) => pageOf(node.peers(), query, ({ peerId }) => peerId)
    }),
    jsonRoute({
      method: 'get',
      path: '/node/storage',
      access: 'admin',
      summary: 'What the blocks take on the disk',
      answer: storageFacts,
      answers: 'Storage',
      handle: () => node.storage()
    })
  ]
}
