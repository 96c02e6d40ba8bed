/** A second process for test/node/home.test.ts: takes the home named on its command line and tells its parent how it went. */
import { openHome } from '../../node/home.ts'

try {
  const home = await openHome(process.argv[2] ?? '')
  process.send?.({ held: home.folder })
  process.on('message', () => {
    void home.close().then(() => process.disconnect())
  })
} catch (error) {
  process.send?.({ failed: error instanceof Error && 'code' in error ? error.code : String(error) })
  process.disconnect()
}
