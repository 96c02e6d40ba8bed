/** A status list of 131,072 entries, one in a hundred set: encode, decode, look up; beside Node's own zlib. */
import { gunzipSync, gzipSync } from 'node:zlib'
import { systemRandom } from '../../node/clock.ts'
import {
  decodeList,
  encodeList,
  getStatus,
  newBitstring,
  pickIndex,
  setStatus,
  STATUS_LIST_ENTRIES
} from '../../protocols/credential/status-list.ts'
import { perSecond, type Row } from './row.ts'

export async function statusListRows(): Promise<Row[]> {
  let bits = newBitstring()
  for (let set = 0; set < STATUS_LIST_ENTRIES / 100; set++) {
    bits = setStatus(bits, pickIndex(bits, systemRandom), true)
  }
  const text = await encodeList(bits)
  const packed = gzipSync(bits)
  return [
    {
      what: 'status list, 1 % set: encode',
      unit: '/s',
      ours: await perSecond(() => encodeList(bits)),
      limit: { what: 'zlib gzipSync', value: await perSecond(() => gzipSync(bits)) }
    },
    {
      what: 'status list, 1 % set: decode',
      unit: '/s',
      ours: await perSecond(() => decodeList(text)),
      limit: { what: 'zlib gunzipSync', value: await perSecond(() => gunzipSync(packed)) }
    },
    {
      what: 'status list: 1,000 look-ups in a decoded one',
      unit: '/s',
      ours: await perSecond(() => {
        let set = 0
        for (let index = 0; index < 1000; index++) if (getStatus(bits, index * 131)) set++
        return set
      })
    }
  ]
}
