/**
 * Empty 1.0: a message that only carries headers, here the acknowledgement (`ack`).
 *
 * @module
 */
export const EMPTY = 'https://didcomm.org/empty/1.0'
