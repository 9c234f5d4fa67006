// What a run of the conformance suite stands on: a bus, an exchange, keys; and perhaps hands on the pillar.

import type { ConnectBus } from '../../src/bus/bus.ts'
import type { Topics } from '../../src/protocol/topics.ts'
import type { Serve } from '../../src/transfer/transfer.ts'
import type { Directory } from '../../src/trust/directory.ts'
import type { Keys, Signer } from '../../src/trust/trust.ts'
import type { World } from '../../src/world/world.ts'

/** A client of the archive, and the pillar that is held to its word. */
export interface Ground {
  readonly world: World
  /** Who we are. */
  readonly identity: string
  readonly signer: Signer
  /** Another client of the archive. */
  readonly other?: { readonly identity: string; readonly signer: Signer }
  /** A key that the archive does not know. */
  readonly stranger: Signer
  readonly keys: Keys
  readonly directory: Directory
  readonly topics: Topics
  readonly connect: ConnectBus
  /** Opens our exchange where the pillar can reach it. */
  serve(serve: Serve): Promise<{ readonly urls: readonly string[]; close(): Promise<void> }>
  readonly pillar: string
  /** Where files are put. */
  readonly collection: string
  /** A pillar without a sign for so long has not answered, milliseconds. */
  readonly timeoutMs: number
  /** After it has answered something newer, what it does not answer for so long it will not answer, milliseconds. */
  readonly graceMs: number
  readonly hands?: Partial<Hands>
}

/** What nobody can do to a pillar by messages. */
export interface Hands {
  /** Its power goes, and comes back: resolves when it is up again. */
  restart(): Promise<void>
  /** One stored byte of a file becomes another one. */
  flip(collection: string, id: string, offset: number): Promise<void>
  /** Files without bytes, all stored at one time: only listings may be asked for them. */
  fill(collection: string, ids: readonly string[]): Promise<void>
  /** The next so many writes find no room on the disk. */
  full(writes: number): Promise<void>
}
