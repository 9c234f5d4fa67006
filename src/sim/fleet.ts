/**
 * A whole archive in one thread: the real pillars, tracker and clients on simulated clock, bus, disks and net. Boards
 * lose their power and come back, and everything follows from one seed.
 */

import type { ConnectBus } from '../bus/bus.ts'
import { type Client, startClient } from '../client/client.ts'
import type { Disk } from '../disk/disk.ts'
import { openSpool } from '../exchange/spool.ts'
import type { Index } from '../index/index.ts'
import { asyncIndex, openIndex } from '../index/sqlite.ts'
import { type Pillar, startPillar } from '../pillar/pillar.ts'
import type { ArchiveDocument } from '../protocol/document.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import { topicsUnder } from '../protocol/topics.ts'
import { openState } from '../state/sqlite.ts'
import type { State } from '../state/state.ts'
import { openChecksumVolume } from '../store/checksum-volume.ts'
import { adoptVolume } from '../store/identity.ts'
import { openVolume } from '../store/volume.ts'
import { startTracker, type Tracker } from '../tracker/tracker.ts'
import type { Dial, Serve } from '../transfer/transfer.ts'
import { type Directory, openDirectory, sealDocument } from '../trust/directory.ts'
import { hashingInThread } from '../world/hashing.ts'
import { type BusFaults, type SimBroker, simBroker } from './bus.ts'
import { type BoardClock, type SimClock, simClock } from './clock.ts'
import { type SimDisk, simDisk } from './disk.ts'
import { simKeys, simSigner } from './keys.ts'
import { type Life, life, mortal } from './mortal.ts'
import { calmNet, type NetFaults, type SimNet, simNet } from './net.ts'
import { type SimRandom, simRandom } from './random.ts'
import { type SlowReading, slowDisk } from './slow-disk.ts'
import { type SimWorld, simWorld } from './world.ts'

export interface FleetOptions {
  readonly seed: number | string
  readonly pillars: number
  readonly copiesMin: number
  readonly capacity?: number
  readonly spoolBytes?: number
  /** The last so many of the pillars keep checksums only. */
  readonly checksumPillars?: number
  /** These are told the checksums, and fetch no bytes. */
  readonly told?: boolean
  /** All pillars read the files from such a disk. */
  readonly slow?: SlowReading
  /** How many of them keep the collection at first; all when absent. */
  readonly keepers?: number
  /** False: the clients have no exchange of their own that anybody could reach. */
  readonly lan?: boolean
}

export interface Board {
  readonly name: string
  readonly disk: SimDisk
  readonly clock: BoardClock
  running(): Pillar | undefined
  start(): Promise<void>
  /** The power goes, now; the disk forgets what it may. */
  crash(): void
  stop(): Promise<void>
  /** The index as it is on the disk. */
  readonly index: Index
  /** The disk is thrown away, and an empty one adopted under the same name. The board must not run. */
  newDisk(): void
}

export interface Fleet {
  readonly random: SimRandom
  readonly time: SimClock
  readonly broker: SimBroker
  readonly busFaults: Required<BusFaults>
  readonly net: SimNet
  readonly netFaults: NetFaults
  readonly boards: readonly Board[]
  readonly tracker: {
    start(): Promise<void>
    crash(): void
    running(): Tracker | undefined
    /** It takes the newest archive document. */
    decided(): Promise<void>
    readonly disk: SimDisk
  }
  client(name: 'ann' | 'bob'): Promise<Client>
  readonly collection: string
  /** The owner decides which pillars keep it: signed, and taken by the tracker at once. */
  keepOn(pillars: readonly string[]): Promise<void>
  readonly hashing: SimWorld['hashing']
  /** The archive document as it was signed. */
  readonly sealed: Uint8Array
  /** The last lines of every log, for the report of a failure. */
  lines(): string[]
}

const archive = 'test'
const version = '0-sim'
const relayUrl = 'https://203.0.113.1:443'
const owner = simSigner('owner')
const keys = simKeys()
const topics = topicsUnder('colonnade')

function documentFor(
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
      { name: 'home', pillars: [...keepers], copiesMin: options.copiesMin, algorithm: 'sha256' },
    ],
    exchanges: [{ identity: 'tracker', urls: [relayUrl] }],
  }
  return sealDocument(document, owner)
}

/** What all members of a fleet share. */
interface Ground {
  readonly time: SimClock
  readonly random: SimRandom
  readonly broker: SimBroker
  readonly net: SimNet
  /** The newest document. */
  sealed: Uint8Array
  readonly worlds: SimWorld[]
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const random = simRandom(options.seed)
  const time = simClock()
  const busFaults: Required<BusFaults> = {
    lost: 0,
    duplicated: 0,
    delayed: 0,
    delayMsMax: 0,
    reordered: 0,
    cut: 0,
    cutMsMax: 0,
    noticeMsMax: 0,
  }
  const netFaults = calmNet()
  const broker = simBroker({ clock: time.clock, random: random.fork('bus'), faults: busFaults })
  const net = simNet({ clock: time.clock, random: random.fork('net'), faults: netFaults })
  const names = Array.from({ length: options.pillars }, (_, n) => `pillar-${n + 1}`)
  const ground: Ground = {
    time,
    random,
    broker,
    net,
    sealed: documentFor(options, names, names.slice(0, options.keepers)),
    worlds: [],
  }
  const tracker = trackerBoard(ground, options)
  await tracker.start()
  const files = names.length - (options.checksumPillars ?? 0)
  const boards = names.map((name, n) =>
    pillarBoard(ground, name, options.capacity ?? 1 << 30, {
      kind: n < files ? 'file' : 'checksum',
      told: options.told ?? false,
      ...(options.slow ? { slow: options.slow } : {}),
    }),
  )
  for (const board of boards) await time.finish(board.start())
  let runs = 0
  let decisions = 1
  return {
    random,
    time,
    broker,
    busFaults,
    net,
    netFaults,
    boards,
    tracker,
    collection: 'home',
    hashing: hashingInThread(),
    async keepOn(pillars) {
      ground.sealed = documentFor(options, names, pillars, ++decisions)
      await tracker.decided()
    },
    sealed: ground.sealed,
    client: (name) => simClient(ground, name, ++runs, options.lan ?? true),
    lines: () =>
      ground.worlds
        .flatMap((world) => world.lines())
        .sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b)),
  }
}

/** What a member has of the world while it lives. */
function alive(
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

const undying = <T extends { close(): Promise<void> }>(inner: T): T => ({
  ...inner,
  close: async () => undefined,
})

function pillarBoard(
  ground: Ground,
  name: string,
  capacity: number,
  { kind, told, slow }: Pick<FleetOptions, 'slow' | 'told'> & { readonly kind: PillarKind },
): Board {
  const clock = ground.time.board()
  let disk = simDisk({ capacity, clock })
  let index = asyncIndex(openIndex(':memory:'))
  const state = openState(':memory:')
  const signer = simSigner(name)
  let pillar: Pillar | undefined
  let current = life()
  async function start(): Promise<void> {
    const own = life()
    current = own
    const { world, connect, dial } = alive(ground, name, own, clock)
    const mine: Disk = slow ? slowDisk(disk.disk, world.clock, slow) : disk.disk
    if ((await mine.stat('volume.json')) === undefined)
      await adoptVolume(world, mine, { pillar: name, archive, volume: `volume-of-${name}`, kind })
    const directory = await openDirectory(
      { keys, owner: owner.publicKey, archive, state },
      ground.sealed,
    )
    const volume = { pillar: name, archive, reserveBytes: 0 }
    const rows = mortal(own, undying(index))
    const store =
      kind === 'file'
        ? await openVolume(world, mine, rows, volume)
        : await openChecksumVolume(world, mine, rows, { ...volume, told: told ?? false })
    const begun = await startPillar({
      world,
      name,
      version,
      store,
      state: mortal(own, undying(state)),
      directory,
      keys,
      signer,
      topics,
      connect,
      dial,
      refresh: async () => void (await directory.accept(ground.sealed)),
      retainMs: 30 * 24 * 3_600_000,
      scrubMs: 90 * 24 * 3_600_000,
    })
    if (!own.dead()) pillar = begun
  }
  return {
    name,
    get disk() {
      return disk
    },
    clock,
    start,
    get index() {
      return index
    },
    newDisk() {
      disk = simDisk({ capacity, clock })
      index = asyncIndex(openIndex(':memory:'))
    },
    running: () => pillar,
    crash() {
      current.die()
      ground.broker.kill(name)
      disk.crash(ground.random.fork(`${name}/crash/${ground.time.clock.monotonic()}`))
      pillar = undefined
    },
    async stop() {
      const going = pillar
      pillar = undefined
      await going?.stop()
      current.die()
    },
  }
}

function trackerBoard(ground: Ground, options: FleetOptions): Fleet['tracker'] {
  const name = 'tracker'
  const clock = ground.time.board()
  const disk = simDisk({ capacity: 1 << 30, clock })
  const state: State = openState(':memory:')
  let running: Tracker | undefined
  let directory: Directory | undefined
  let current = life()
  let server: { close(): void } | undefined
  async function start(): Promise<void> {
    const own = life()
    current = own
    const { world, connect, dial } = alive(ground, name, own, clock)
    const mine = mortal(own, undying(state))
    const opened = await openDirectory(
      { keys, owner: owner.publicKey, archive, state },
      ground.sealed,
    )
    directory = opened
    const spool = await openSpool(world, disk.disk, mine, {
      quotaBytes: options.spoolBytes ?? 512 << 20,
      expiryMs: 7 * 24 * 3600_000,
    })
    running = await startTracker({
      world,
      name,
      version,
      state: mine,
      spool,
      directory: opened,
      keys,
      signer: simSigner(name),
      topics,
      connect,
      dial,
      refresh: async () => void (await opened.accept(ground.sealed)),
    })
    server = ground.net.serveAs(name, relayUrl, guarded(own, running.serve))
  }
  return {
    disk,
    start,
    running: () => running,
    async decided() {
      if (await directory?.accept(ground.sealed)) running?.announce()
    },
    crash() {
      current.die()
      server?.close()
      ground.broker.kill(name)
      disk.crash(ground.random.fork(`${name}/crash/${ground.time.clock.monotonic()}`))
      running = undefined
    },
  }
}

const guarded =
  (own: Life, serve: Serve): Serve =>
  (peer, request, signal) =>
    own.own(serve(peer, request, signal))

async function simClient(ground: Ground, name: string, run: number, lan: boolean): Promise<Client> {
  const clock = ground.time.board()
  const own = life()
  const { world, connect, dial } = alive(ground, name, own, clock)
  const directory = await openDirectory(
    { keys, owner: owner.publicKey, archive, state: openState(':memory:') },
    ground.sealed,
  )
  const url = `https://192.168.1.${name === 'ann' ? 10 : 11}:${10_000 + run}`
  return startClient({
    world,
    name,
    instance: `run${run}`,
    directory,
    keys,
    signer: simSigner(name),
    topics,
    connect,
    dial,
    refresh: async () => void (await directory.accept(ground.sealed)),
    ...(lan
      ? {
          serve: async (serve: Serve) => ({
            urls: [url],
            close: closer(ground.net.serveAs(name, url, serve)),
          }),
        }
      : {}),
  })
}

const closer = (server: { close(): void }) => async (): Promise<void> => server.close()
