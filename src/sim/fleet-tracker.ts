/** The tracker of a simulated fleet, with its disks. */
import { openSpool } from '../exchange/spool.ts'
import type { Index } from '../index/index.ts'
import { asyncIndex, openIndex } from '../index/sqlite.ts'
import { openState } from '../state/sqlite.ts'
import type { State } from '../state/state.ts'
import { adoptVolume } from '../store/identity.ts'
import { openVolume } from '../store/volume.ts'
import type { FragmentParts } from '../tracker/fragments.ts'
import { type RecoveryParts, recoveringKey } from '../tracker/recovery.ts'
import { startTracker, type Tracker } from '../tracker/tracker.ts'
import type { Serve } from '../transfer/transfer.ts'
import { type Directory, openDirectory } from '../trust/directory.ts'
import { openView } from '../view/sqlite.ts'
import type { View } from '../view/view.ts'
import type { BoardClock } from './clock.ts'
import { type SimDisk, simDisk } from './disk.ts'
import {
  alive,
  archive,
  changed,
  type FleetOptions,
  type Ground,
  keys,
  owner,
  relayUrl,
  topics,
  version,
} from './fleet-ground.ts'
import { undying } from './fleet-volumes.ts'
import { simSigner } from './keys.ts'
import { type Life, life, mortal } from './mortal.ts'
import type { SimWorld } from './world.ts'

export interface TrackerBoard {
  start(): Promise<void>
  crash(): void
  running(): Tracker | undefined
  /** It takes the newest archive document. */
  decided(): Promise<void>
  readonly disk: SimDisk
  /** While it does not run: its disk for collections in fragments is lost, with catalogue and view. */
  lose(): void
  /** While it does not run: its machine is lost, and another has what the owner's kit says. */
  restore(): Promise<void>
  /** What is on that disk now. */
  vault(): { readonly disk: SimDisk; readonly index: Index; readonly view: View }
}

export function trackerBoard(ground: Ground, options: FleetOptions): TrackerBoard {
  const name = 'tracker'
  const clock = ground.time.board()
  const disk = simDisk({ capacity: 1 << 30, clock })
  let state: State = openState(':memory:')
  let first = (): Uint8Array => ground.sealed
  const vault = vaultGround(clock, name)
  let running: Tracker | undefined
  let directory: Directory | undefined
  let current = life()
  let server: { close(): void } | undefined
  async function start(): Promise<void> {
    const own = life()
    current = own
    const { world, connect, dial } = alive(ground, name, own, clock)
    const mine = mortal(own, undying(state))
    const opened = await openDirectory({ keys, owner: owner.publicKey, archive, state }, first())
    directory = opened
    const spool = await openSpool(world, disk.disk, mine, {
      quotaBytes: options.spoolBytes ?? 512 << 20,
      expiryMs: 7 * 24 * 3600_000,
    })
    running = await startTracker({
      ...{ world, name, version, state: mine, spool },
      ...(options.fragments ? { fragments: () => vault.open(world, own, options) } : {}),
      directory: opened,
      keys,
      signer: simSigner(name),
      topics,
      connect,
      dial,
      refresh: async () => void (await opened.accept(ground.sealed)),
      ...(options.recovery ? { recovery: simRecovery(ground, opened) } : {}),
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
      vault.disk().crash(ground.random.fork(`vault/crash/${ground.time.clock.monotonic()}`))
      running = undefined
    },
    lose: vault.lose,
    async restore() {
      vault.lose()
      state = openState(':memory:')
      await state.change([[recoveringKey, '[]']])
      first = () => emptyDocument(ground.sealed)
    },
    vault: vault.now,
  }
}

/** The tracker's disk for collections in fragments. */
function vaultGround(clock: BoardClock, name: string) {
  const fresh = () => ({
    disk: simDisk({ capacity: 1 << 30, clock }),
    index: asyncIndex(openIndex(':memory:')),
    view: openView(':memory:'),
    state: openState(':memory:'),
  })
  let on = fresh()
  return {
    disk: () => on.disk,
    now: () => on,
    /** Everything on it is gone. */
    lose() {
      on = fresh()
    },
    async open(
      world: SimWorld,
      own: Life,
      { graceMs, floors }: FleetOptions,
    ): Promise<FragmentParts> {
      const { disk } = on.disk
      if ((await disk.stat('volume.json')) === undefined)
        await adoptVolume(world, disk, { pillar: name, archive, volume: `volume-of-${name}` })
      const index = mortal(own, undying(on.index))
      const options = { pillar: name, archive, reserveBytes: 0, passing: true }
      return {
        ...{ disk, index, volume: await openVolume(world, disk, index, options) },
        ...{ view: mortal(own, undying(on.view)), state: mortal(own, undying(on.state)) },
        retainMs: 30 * 24 * 3_600_000,
        ...(graceMs === undefined ? {} : { graceMs }),
        ...(floors ? { floors } : {}),
      }
    },
  }
}

/** What a kit knows of the archive: itself. */
const emptyDocument = (sealed: Uint8Array): Uint8Array =>
  changed(
    sealed,
    (document) => ({
      ...document,
      identities: document.identities.filter(({ role }) => role === 'tracker'),
      collections: [],
    }),
    0,
  )

/** Sealed is what begins with a word that nobody else would say. */
const seal = new TextEncoder().encode('sealed ')

function simRecovery(ground: Ground, directory: Directory): RecoveryParts {
  return {
    sealing: {
      seal: (bytes) => Uint8Array.from([...seal, ...bytes]),
      open: (sealed) =>
        seal.every((byte, at) => sealed[at] === byte) ? sealed.subarray(seal.length) : undefined,
    },
    invitations: () => [],
    takeInvitations: () => undefined,
    async over(change) {
      const { version } = directory.document()
      ground.sealed = changed(directory.sealed(), change, version + 1)
      await directory.accept(ground.sealed)
    },
  }
}

const guarded =
  (own: Life, serve: Serve): Serve =>
  (peer, request, signal) =>
    own.own(serve(peer, request, signal))
