/**
 * PORT: one HTTPS exchange of request and response between two identities. Bytes stream; both sides are proved by
 * certificates. A chunk of a body is its maker's again once the next one is asked for, whoever made it: readers keep copies.
 * Ranges, resumption, tokens and spools are behaviour on top of this.
 */
export interface Request {
  readonly method: 'GET' | 'HEAD' | 'PATCH' | 'DELETE'
  /** Path with a leading slash, no query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: AsyncIterable<Uint8Array>
}

export interface Response {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: AsyncIterable<Uint8Array>
}

/**
 * Sends one request to `identity` at `url` (scheme, host and port only). Rejects with `Unreachable` when no
 * connection to that identity could be made, with `Cut` when it broke or fell silent later; so may the body.
 * The whole body must be read, or its iterator returned, or the signal aborted.
 */
export type Dial = (to: Address, request: Request, options: DialOptions) => Promise<Response>

export interface Address {
  /** Whom the certificate must prove; the host in the URL is only where to dial. */
  readonly identity: string
  readonly url: string
}

export interface DialOptions {
  readonly signal?: AbortSignal
  readonly connectMs: number
  /** A connection without a byte for so long is a cut one. */
  readonly idleMs: number
  /** Who comes first where the link is limited; `store` when absent. */
  readonly urgency?: Urgency
}

/** What bytes are for: somebody waits for them, they are being stored, or copies are brought back to their number. */
export type Urgency = 'restore' | 'store' | 'mend'

/** Answers one request of a peer whose certificate proved `peer`. The signal is aborted when the peer is gone. */
export type Serve = (peer: string, request: Request, signal: AbortSignal) => Promise<Response>

export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

export class Cut extends Error {
  override readonly name = 'Cut'
}
