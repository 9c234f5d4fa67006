/** Bays with disks in them, on one controller, as one board has them. */
import type { Mount } from '../../src/bay/bay.ts'
import { coldDisk, stretch } from '../../src/bay/cold-disk.ts'
import { controller } from '../../src/bay/controller.ts'
import { poweredBay } from '../../src/bay/powered.ts'
import { type Disk, DiskError } from '../../src/disk/disk.ts'
import { simSerial } from '../../src/sim/serial.ts'
import type { Clock, World } from '../../src/world/world.ts'
import { simController } from './bay-controller.ts'

const [minute, day] = [60_000, 24 * 3_600_000]
const path = '/dev/serial/by-id/usb-bays'
/** From power to a file system that is mounted. */
export const mountedMs = 12_000

export function rack(slots: number, onMax = slots) {
  const calls: { readonly at: number; readonly slot: number; readonly method: string }[] = []
  const line = simSerial()
  const released = new Set<number>()
  let bays: ReturnType<typeof simController> | undefined
  /** Disks that get power, and no file system comes. */
  const broken = new Set<number>()
  let [written, isPlugged] = [0, false]
  const hosts = new Map<World, ReturnType<typeof controller>>()
  const wakings = new Map<World, ReturnType<typeof stretch>>()
  const plugged = (clock: Clock) => {
    bays ??= simController(clock, slots, onMax)
    if (isPlugged) return bays
    isPlugged = true
    const { device } = bays
    line.plug(path, (end) => {
      const take = device(end)
      return (bytes) => {
        written++
        take(bytes)
      }
    })
    return bays
  }
  /** A call to a disk that is off would be a mistake of ours. */
  function watched(slot: number, clock: Clock, disk: Disk): Disk {
    const spied = Object.entries(disk).map(([method, work]) => [
      method,
      (...args: unknown[]) => {
        if (method !== 'close') calls.push({ at: clock.monotonic(), slot, method })
        if ((bays?.onFor(slot) ?? 0) < mountedMs) throw new DiskError('EIO', 'there is no power')
        return (work as (...all: unknown[]) => unknown)(...args)
      },
    ])
    return { ...Object.fromEntries(spied), close: async () => undefined } as Disk
  }
  return {
    ...{ calls, broken },
    bays: () => bays,
    asked: () => written,
    /** The board and its controller lose their power. */
    reset() {
      bays?.reset()
      line.pull(path)
      isPlugged = false
    },
    wakes: () => bays?.changes.filter(({ on }) => on).length ?? 0,
    /** A disk in a bay; `inUse` keeps its file system from being taken away. */
    disk(slot: number, world: World, inner: Disk, inUse = () => false) {
      const held = plugged(world.clock)
      const host = hosts.get(world) ?? controller(world, line, { path, baud: 9600 })
      hosts.set(world, host)
      const waking = wakings.get(world) ?? stretch(world.clock)
      wakings.set(world, waking)
      const mount: Mount = {
        isThere() {
          if (!held.hasPower(slot)) released.delete(slot)
          return !broken.has(slot) && held.onFor(slot) >= mountedMs && !released.has(slot)
        },
        release: async () => {
          if (!inUse()) released.add(slot)
        },
        keep: async () => undefined,
      }
      return coldDisk(world, {
        bay: poweredBay(world, host.bay(slot), mount),
        open: async () => watched(slot, world.clock, inner),
        lingerMs: minute,
        ...{ workEveryMs: 7 * day, waking },
      })
    },
  }
}
