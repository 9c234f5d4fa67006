/**
 * PORT: the coordination layer as we use it: topics, QoS 1, retained messages, Last Will, sessions. It may lose,
 * repeat, delay and reorder, and may forget everything: it is a hint channel, state lives in its users.
 */
export type ConnectBus = (link: Link) => Bus

/** What one participant asks of the broker. Handlers must return quickly and never throw. */
export interface Link {
  /** MQTT client id: the identity itself for agents and trackers, `identity.random` for a run of the CLI. */
  readonly clientId: string
  /** A persistent session keeps subscriptions and queued messages while the link is down. */
  readonly persistent: boolean
  /** Topic filters, `+` and `#` as in MQTT; subscribed again on every connect. */
  readonly subscriptions: readonly string[]
  readonly will?: { readonly topic: string; readonly payload: Uint8Array }
  /** One message; acknowledged to the broker when this returns. */
  receive(topic: string, payload: Uint8Array, retained: boolean): void
  /** After each connect, once the subscriptions are granted. */
  connected(): void
  /** The link is down; the adapter goes on trying with back-off and jitter. */
  closed(reason: string): void
}

export interface Bus {
  /**
   * Resolves when the broker has acknowledged, rejects when the link is down or goes down first. Neither says that
   * anybody received it. Nothing is queued while the link is down.
   */
  publish(topic: string, payload: Uint8Array, retain?: boolean): Promise<void>
  /** Leaves in order (no Last Will is sent); after it no handler is called. */
  close(): Promise<void>
}
