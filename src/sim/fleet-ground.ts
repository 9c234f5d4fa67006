/** What all members of a simulated fleet share: who is who, the world while they live, and the archive document. */
import type { ConnectBus } from '../bus/bus.ts'
import type { FloorOptions } from '../pillar/floors.ts'
import { type ArchiveDocument, parseDocument } from '../protocol/document.ts'
import { unseal } from '../protocol/envelope.ts'
import { topicsUnder } from '../protocol/topics.ts'
import type { Dial } from '../transfer/transfer.ts'
import { documentBytesMax, sealDocument } from '../trust/directory.ts'
import type { SimBroker } from './bus.ts'
import type { BoardClock, SimClock } from './clock.ts'
import type { Cold } from './fleet-volumes.ts'
import { simKeys, simSigner } from './keys.ts'
import type { Life } from './mortal.ts'
import type { SimNet } from './net.ts'
import type { PowerOptions } from './powered.ts'
import type { SimRandom } from './random.ts'
import type { SlowReading } from './slow-disk.ts'
import { type SimWorld, simWorld } from './world.ts'

export interface FleetOptions {
  readonly seed: number | string
  readonly pillars: number
  readonly copiesMin: number
  /** Beside `home`, which all pillars keep: by whom others are kept. */
  readonly collections?: Readonly<Record<string, readonly string[]>>
  readonly capacity?: number
  readonly spoolBytes?: number
  /** The last so many of the pillars keep checksums only. */
  readonly checksumPillars?: number
  /** These are told the checksums, and fetch no bytes. */
  readonly told?: boolean
  /** All pillars read the files from such a disk. */
  readonly slow?: SlowReading
  /** The disks of each pillar sleep while nothing is asked of them. */
  readonly cold?: Cold
  /** So many of them, each a volume; one when absent. */
  readonly disks?: number
  /** The last so many of the pillars are not switched on at first. */
  readonly late?: number
  /** How many of them keep the collection at first; all when absent. */
  readonly keepers?: number
  /** False: the clients have no exchange of their own that anybody could reach. */
  readonly lan?: boolean
  /** A second collection, `pieces`, is kept in fragments. */
  readonly fragments?: { readonly bytes: number; readonly copies: number }
  /** Pillars keep what brings a lost tracker back. */
  readonly recovery?: boolean
  /** How long a pillar that is away counts there, milliseconds; a day when absent. */
  readonly graceMs?: number
  /** How much may be destroyed in a day, on each pillar and in the vault; the usual when absent. */
  readonly floors?: FloorOptions
  /** Each pillar has a UPS of its own, and works by it. */
  readonly power?: PowerOptions
}

export const archive = 'test'
export const version = '0-sim'
export const relayUrl = 'https://203.0.113.1:443'
export const owner = simSigner('owner')
export const keys = simKeys()
export const topics = topicsUnder('colonnade')

export function documentFor(
  options: FleetOptions,
  names: readonly string[],
  keepers: readonly string[],
  documentVersion = 1,
): Uint8Array {
  const identity = (name: string, role: 'pillar' | 'client' | 'tracker') => ({
    name,
    role,
    publicKey: simSigner(name).publicKey,
  })
  const policy = { pillars: [...names], copiesMin: options.copiesMin, algorithm: 'sha256' as const }
  const document: ArchiveDocument = {
    archive,
    version: documentVersion,
    issuedAt: '2026-01-01T00:00:00.000Z',
    identities: [
      ...names.map((name) => identity(name, 'pillar')),
      identity('ann', 'client'),
      identity('bob', 'client'),
      identity('tracker', 'tracker'),
    ],
    collections: [
      ...Object.entries({ home: keepers, ...options.collections }).map(([name, pillars]) => ({
        ...{ name, ...policy, pillars: [...pillars] },
      })),
      ...(options.fragments ? [{ name: 'pieces', ...policy, fragments: options.fragments }] : []),
    ],
    exchanges: [{ identity: 'tracker', urls: [relayUrl] }],
  }
  return sealDocument(document, owner)
}

/** The next version, as the owner signs it. */
export function changed(
  sealed: Uint8Array,
  change: (document: ArchiveDocument) => ArchiveDocument,
  documentVersion: number,
): Uint8Array {
  const document = parseDocument(unseal(sealed, documentBytesMax)?.line ?? new Uint8Array())
  if (!document) throw new Error('no document')
  return sealDocument({ ...change(document), version: documentVersion }, owner)
}

/** What all members of a fleet share. */
export interface Ground {
  readonly time: SimClock
  readonly random: SimRandom
  readonly broker: SimBroker
  readonly net: SimNet
  /** The newest document. */
  sealed: Uint8Array
  /** True while no pillar can ask the tracker for it. */
  trackerAway?: boolean
  readonly worlds: SimWorld[]
}

/** What a member has of the world while it lives. */
export function alive(
  ground: Ground,
  name: string,
  own: Life,
  clock: BoardClock,
): { world: SimWorld; connect: ConnectBus; dial: Dial } {
  const world = simWorld(
    { ...clock, sleep: (ms, signal) => own.own(clock.sleep(ms, signal)) },
    ground.random.fork(`${name}/${ground.worlds.length}`),
    name,
  )
  ground.worlds.push(world)
  const dial = ground.net.dialAs(name)
  return {
    world,
    connect: ground.broker.connectAs(name),
    dial: (to, request, dialOptions) =>
      own.dead() ? new Promise(() => undefined) : own.own(dial(to, request, dialOptions)),
  }
}
