/**
 * `/elocker/pull/1.0.0`: blocks of one grant, from the agent that gave it to the peer it was given to.
 *
 * One libp2p stream, every frame prefixed with its length as an unsigned varint.
 *
 * | frame            | direction       | bytes                                            | size max |
 * |------------------|-----------------|--------------------------------------------------|----------|
 * | open             | client → server | UTF-8 JSON `{"grant":"<id>"}`                    | 1 KiB    |
 * | opened           | server → client | `00` then UTF-8 JSON `{"root":"<cid>"}`          | 1 KiB    |
 * | want             | client → server | binary CID of one block                          | 128 B    |
 * | block            | server → client | `00` then the block                              | 2 MiB + 1|
 * | refusal          | server → client | `01` then UTF-8 JSON `{"problem","comment"}`     | 1 KiB    |
 *
 * Answers come in the order of the wants. At most {@link WANTS_IN_FLIGHT_MAX} wants are unanswered: the
 * bound, not the stream's back-pressure, is what limits memory on both sides. A refusal ends the
 * stream, except for `e.p.pull.not-in-grant` and `e.p.pull.block-missing`, which answer one want.
 *
 * @module
 */

export const PULL_PROTOCOL = '/elocker/pull/1.0.0'

/** Wants a client may leave unanswered. Four blocks of 1 MiB fill a loopback link and stay under 8 MiB of memory a side. */
export const WANTS_IN_FLIGHT_MAX = 4

/** Largest block, bytes (DESIGN §11). */
export const BLOCK_BYTES_MAX = 2 * 1024 * 1024

/** Largest open, opened and refusal frame, bytes. */
export const CONTROL_FRAME_BYTES_MAX = 1024

/** Longest binary CID accepted, bytes: CIDv1 with sha2-256 takes 36. */
export const WANT_BYTES_MAX = 128

export const FRAME_OK = 0
export const FRAME_REFUSED = 1

/** Why a server refuses, DIDComm problem codes. */
export type PullProblem =
  | 'e.p.pull.grant-unknown'
  | 'e.p.pull.grant-not-accepted'
  | 'e.p.pull.grant-expired'
  | 'e.p.pull.grant-revoked'
  | 'e.p.pull.not-in-audience'
  | 'e.p.pull.not-in-grant'
  | 'e.p.pull.block-missing'
  | 'e.p.pull.locked'
  | 'e.p.pull.busy'
  | 'e.p.pull.malformed'
