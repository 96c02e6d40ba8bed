/**
 * The libp2p identity of this node: its own Ed25519 key, not a key of any DID. A DID document names the
 * PeerId as an endpoint; authcrypt proves the reverse.
 *
 * @module
 */
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { LockerError } from '../agent/errors.ts'
import type { FileSystem } from './durable-files.ts'
import { diskFiles, readBounded, storageError, writeDurably } from './durable-files.ts'

/** An Ed25519 key in libp2p's protobuf has 68 bytes; an RSA key brought along has more. */
const KEY_BYTES_MAX = 8 * 1024

/**
 * Reads the key, or creates it once (0600). A damaged key is not replaced, because contacts know the PeerId
 * by it: throws `storage-failed`.
 */
export async function openNodeKey(
  path: string,
  files: FileSystem = diskFiles
): Promise<PrivateKey> {
  let bytes
  try {
    bytes = (await readBounded(files, path, KEY_BYTES_MAX))?.bytes
    if (bytes !== undefined) {
      await files.chmod(path, 0o600)
    } else {
      const key = await generateKeyPair('Ed25519')
      // The temporary file is made 0600, and a rename keeps the mode.
      await writeDurably(files, `${path}.tmp`, path, privateKeyToProtobuf(key))
      return key
    }
  } catch (error) {
    throw storageError(error, 'opening', path)
  }
  try {
    return privateKeyFromProtobuf(bytes)
  } catch (error) {
    throw new LockerError('storage-failed', `${path} is not a libp2p private key`, {
      cause: error,
      facts: { path }
    })
  }
}
