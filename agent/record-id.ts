/**
 * Ids of records: 26 characters of lower-case base32 (RFC 4648), 16 random bytes. They are the only thing
 * of a record that is readable on disk, so they are never derived from what the record says.
 *
 * @module
 */
import { base32nopad } from '@scure/base'
import type { Random } from './components.ts'

/** A fresh id. */
export function newRecordId(random: Random): string {
  return base32nopad.encode(random(16)).toLowerCase()
}
