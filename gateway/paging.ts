/**
 * Pages of a list that is in memory.
 *
 * @module
 */
import { LockerError } from '../agent/errors.ts'
import { PAGE_MAX } from './schemas.ts'

/**
 * One page. The cursor names the last item given and its place: where that item has gone meanwhile, the
 * place is where the reader goes on.
 *
 * @param keyOf - What tells one item from another.
 * @throws `request-invalid` for a cursor that is none of ours.
 */
export function pageOf<Item>(
  items: readonly Item[],
  { limit = PAGE_MAX, cursor }: { limit?: number; cursor?: string },
  keyOf: (item: Item) => string
): { items: readonly Item[]; nextCursor?: string } {
  const start = cursor === undefined ? 0 : startAfter(items, cursor, keyOf)
  const found = items.slice(start, start + limit)
  const last = found.at(-1)
  if (last === undefined || start + limit >= items.length) return { items: found }
  const place = `${start + limit} ${keyOf(last)}`
  return { items: found, nextCursor: Buffer.from(place, 'utf8').toString('base64url') }
}

function startAfter<Item>(
  items: readonly Item[],
  cursor: string,
  keyOf: (item: Item) => string
): number {
  const match = /^([0-9]{1,9}) (.+)$/s.exec(Buffer.from(cursor, 'base64url').toString('utf8'))
  if (match === null) throw new LockerError('request-invalid', 'the cursor is none of this list')
  const index = items.findIndex((item) => keyOf(item) === match[2])
  return index < 0 ? Number(match[1]) : index + 1
}
