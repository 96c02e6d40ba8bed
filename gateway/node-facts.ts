/**
 * What the gateway asks of the process around it. Implemented by node/.
 *
 * @module
 */

/** One libp2p connection. */
export interface PeerFacts {
  /** Base58. */
  readonly peerId: string
  /** Multiaddrs of the connections to the peer. */
  readonly addresses: readonly string[]
  readonly direction: 'inbound' | 'outbound'
  /** ISO 8601. */
  readonly since: string
}

/** Where this agent answers. */
export interface NodeAddresses {
  /** URL of the private listener. Its host is one the gateway answers to. */
  readonly private: string
  /** URL of the public listener; `null` while it is off. */
  readonly public: string | null
  /** Path of the unix socket of the private listener, when there is one. */
  readonly socket?: string
  /** Multiaddrs. */
  readonly p2p: readonly string[]
}

export interface StorageFacts {
  readonly blocks: number
  /** Bytes of the blocks. */
  readonly bytes: number
  readonly documents: number
  /** Bytes free on the disk; absent when the system does not say. */
  readonly free?: number
}

/** The process, as the gateway shows it. */
export interface NodeFacts {
  readonly version: string
  /** Base58. */
  readonly peerId: string
  /** Whether this agent relays for others. */
  readonly relay: boolean
  addresses(): NodeAddresses
  peers(): readonly PeerFacts[]
  storage(): Promise<StorageFacts>
}
