/**
 * A whole archive in one thread: the real pillars, tracker and clients on simulated clock, bus, disks and net. Boards
 * lose their power and come back, and everything follows from one seed.
 */

import { type Client, startClient } from '../client/client.ts'
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { type Pillar, startPillar } from '../pillar/pillar.ts'
import type { Leave, Supply } from '../power/power.ts'
import type { ArchiveDocument } from '../protocol/document.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import { openState } from '../state/sqlite.ts'
import type { State } from '../state/state.ts'
import { openChecksumVolume } from '../store/checksum-volume.ts'
import { adoptVolume } from '../store/identity.ts'
import type { Store } from '../store/store.ts'
import { openVolume } from '../store/volume.ts'
import type { Serve } from '../transfer/transfer.ts'
import { openDirectory } from '../trust/directory.ts'
import { hashingInThread } from '../world/hashing.ts'
import { type BusFaults, type SimBroker, simBroker } from './bus.ts'
import { type BoardClock, type SimClock, simClock } from './clock.ts'
import type { SimDisk } from './disk.ts'
import {
  alive,
  archive,
  changed,
  documentFor,
  type FleetOptions,
  type Ground,
  keys,
  owner,
  topics,
  version,
} from './fleet-ground.ts'
import { type TrackerBoard, trackerBoard } from './fleet-tracker.ts'
import { openPooled, type SimVolume, simRack, undying } from './fleet-volumes.ts'
import { simSigner } from './keys.ts'
import { type Life, life, mortal } from './mortal.ts'
import { calmNet, type NetFaults, type SimNet, simNet } from './net.ts'
import { type PoweredBoard, poweredBoard, usualPower } from './powered.ts'
import { type SimRandom, simRandom } from './random.ts'
import { slowDisk } from './slow-disk.ts'
import type { SimWorld } from './world.ts'

export interface Board {
  readonly name: string
  readonly disk: SimDisk
  readonly clock: BoardClock
  running(): Pillar | undefined
  start(): Promise<void>
  /** The power goes, now; the disk forgets what it may. */
  crash(): void
  stop(): Promise<void>
  /** The index as it is on the disk, and the state beside it. */
  readonly index: Index
  /** Each disk, with its index; the first is that of above. */
  readonly volumes: readonly SimVolume[]
  /** Disks that are not plugged in at the next start, by their numbers. */
  readonly unplugged: Set<number>
  /** Another disk takes the place of this one. The board must not run. */
  swap(number: number): void
  readonly state: State
  /** How warm its disk is. */
  celsius: number | undefined
  /** Of a fleet with UPSes. */
  readonly power: PoweredBoard | undefined
  /** The disk is thrown away, and an empty one adopted under the same name. The board must not run. */
  newDisk(): void
  /** The board is thrown away, and another takes its disk, name and key; it remembers nothing. The board must not run. */
  newBoard(): void
}

export interface Fleet {
  readonly random: SimRandom
  readonly time: SimClock
  readonly broker: SimBroker
  readonly busFaults: Required<BusFaults>
  readonly net: SimNet
  readonly netFaults: NetFaults
  readonly boards: readonly Board[]
  /** Another board under this name, with a disk of its own. */
  twin(name: string): Board
  readonly tracker: TrackerBoard
  client(name: 'ann' | 'bob'): Promise<Client>
  readonly collection: string
  /** Of the collection in fragments. */
  readonly pieces: { readonly copies: number }
  /** The owner decides which pillars keep it: signed, and taken by the tracker at once. */
  keepOn(pillars: readonly string[]): Promise<void>
  /** The owner signs another document; nobody is told of it when `told` is false. */
  publish(change: (document: ArchiveDocument) => ArchiveDocument, told?: boolean): Promise<void>
  /** Whether pillars can ask the tracker for the document. */
  trackerAway(away: boolean): void
  readonly hashing: SimWorld['hashing']
  /** The archive document as it was signed. */
  readonly sealed: Uint8Array
  /** The last lines of every log, for the report of a failure. */
  lines(): string[]
  /** What all of them have logged, in bytes. */
  logged(): number
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
      ...(options.cold ? { cold: options.cold } : {}),
      disks: options.disks ?? 1,
      ...(options.power ? { power: options.power } : {}),
      ...(options.floors ? { floors: options.floors } : {}),
    }),
  )
  const early = boards.slice(0, boards.length - (options.late ?? 0))
  for (const board of early) await time.finish(board.start())
  let [runs, decisions] = [0, 1]
  return {
    random,
    time,
    broker,
    busFaults,
    net,
    netFaults,
    boards,
    twin: (name) => pillarBoard(ground, name, 1 << 30, { kind: 'file', told: false }),
    tracker,
    collection: 'home',
    pieces: { copies: options.fragments?.copies ?? 0 },
    hashing: hashingInThread(),
    async keepOn(pillars) {
      ground.sealed = documentFor(options, names, pillars, ++decisions)
      await tracker.decided()
    },
    async publish(change, told = true) {
      ground.sealed = changed(ground.sealed, change, ++decisions)
      if (told) await tracker.decided()
    },
    trackerAway(away) {
      ground.trackerAway = away
    },
    sealed: ground.sealed,
    client: (name) => simClient(ground, name, ++runs, options.lan ?? true),
    logged: () => ground.worlds.reduce((sum, world) => sum + world.logged(), 0),
    lines: () =>
      ground.worlds
        .flatMap((world) => world.lines())
        .sort((a, b) => Number.parseFloat(a) - Number.parseFloat(b)),
  }
}

interface BoardOptions
  extends Pick<FleetOptions, 'slow' | 'told' | 'power' | 'cold' | 'disks' | 'floors'> {
  readonly kind: PillarKind
}

function pillarBoard(ground: Ground, name: string, capacity: number, options: BoardOptions): Board {
  const clock = ground.time.board()
  const rack = simRack(capacity, clock, options.disks ?? 1)
  let pillar: Pillar | undefined
  let current = life()
  const power = options.power && poweredBoard(clock, options.power)

  /** Gives what stops it. */
  async function open(own: Life, part: Living, supply?: Supply) {
    const begun = await openPillar(ground, name, {
      ...{ own, part, volumes: rack.all, unplugged: rack.unplugged, options, supply },
      celsius: () => board.celsius,
    })
    if (!own.dead()) pillar = begun
    return {
      async stop(leave?: Leave): Promise<void> {
        pillar = undefined
        await begun.stop(leave)
      },
    }
  }
  /** What it leaves is unmounted, and may be used again: only what is safe is still there. */
  async function opened(own: Life, part: Living, supply: Supply) {
    const running = await open(own, part, supply)
    return {
      async stop(leave?: Leave): Promise<void> {
        await running.stop(leave)
        forget()
      },
    }
  }
  let stopping = async (): Promise<void> => undefined
  async function start(): Promise<void> {
    const own = life()
    current = own
    const part = alive(ground, name, own, clock)
    if (power) {
      const attendance = power.attend(part.world, (supply) => opened(own, part, supply), crash)
      stopping = () => attendance.stop()
      return attendance.begun
    }
    const running = await open(own, part)
    stopping = () => running.stop()
  }
  function crash(): void {
    current.die()
    ground.broker.kill(name)
    forget()
    pillar = undefined
  }
  const forget = (): void =>
    rack.crash(ground.random.fork(`${name}/crash/${ground.time.clock.monotonic()}`))
  const board: Board = {
    ...{ name, clock, start, crash, power, celsius: undefined },
    ...{ volumes: rack.all, unplugged: rack.unplugged, swap: rack.swap },
    ...{ newDisk: rack.newDisk, newBoard: rack.newBoard },
    get disk() {
      return rack.first().disk
    },
    get index() {
      return rack.first().index
    },
    get state() {
      return rack.first().state
    },
    running: () => pillar,
    async stop() {
      pillar = undefined
      await stopping()
      current.die()
    },
  }
  return board
}

type Living = ReturnType<typeof alive>

async function openPillar(
  ground: Ground,
  name: string,
  board: {
    readonly own: Life
    readonly part: Living
    readonly volumes: readonly SimVolume[]
    readonly unplugged: ReadonlySet<number>
    readonly options: BoardOptions
    readonly supply: Supply | undefined
    celsius(): number | undefined
  },
): Promise<Pillar> {
  const { own, part, supply, celsius } = board
  const { power, floors } = board.options
  const { world, connect, dial } = part
  const { store, state, end } = await openStored(world, name, board)
  const directory = await openDirectory(
    { keys, owner: owner.publicKey, archive, state },
    ground.sealed,
  )
  const pillar = await startPillar({
    ...{ world, name, version, store, directory, keys, topics, connect, dial },
    state: mortal(own, undying(state)),
    signer: simSigner(name),
    async refresh() {
      if (ground.trackerAway) throw new Error('the tracker does not answer')
      await directory.accept(ground.sealed)
      return ground.time.clock.now()
    },
    retainMs: 30 * 24 * 3_600_000,
    scrubMs: 90 * 24 * 3_600_000,
    celsius,
    ...(floors ? { floors } : {}),
    ...(supply === undefined ? {} : { supply, awayMs: power?.awayMs ?? usualPower.awayMs }),
  })
  return { ...pillar, stop: (leave) => pillar.stop(leave).then(end) }
}

/** What it stores in. */
async function openStored(
  world: SimWorld,
  name: string,
  {
    own,
    volumes,
    unplugged,
    options,
  }: {
    readonly own: Life
    readonly volumes: readonly SimVolume[]
    readonly unplugged: ReadonlySet<number>
    readonly options: BoardOptions
  },
): Promise<{ store: Store; state: State; end(): Promise<void> }> {
  const { kind, told, slow, cold } = options
  const [ours] = volumes
  if (!ours) throw new Error('no volume')
  if (cold || volumes.length > 1)
    return openPooled(world, own, volumes, { pillar: name, archive, kind, cold, unplugged })
  const bare = ours.disk.disk
  const mine: Disk = slow ? slowDisk(bare, world.clock, slow) : bare
  if ((await mine.stat('volume.json')) === undefined)
    await adoptVolume(world, mine, { pillar: name, archive, volume: `volume-of-${name}`, kind })
  const volume = { pillar: name, archive, reserveBytes: 0 }
  const rows = mortal(own, undying(ours.index))
  const store =
    kind === 'file'
      ? await openVolume(world, mine, rows, volume)
      : await openChecksumVolume(world, mine, rows, { ...volume, told: told ?? false })
  return { store, state: ours.state, end: async () => undefined }
}

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
