/** A bay whose power is switched, and one whose disk sees to its sleep by itself. */
import type { World } from '../world/world.ts'
import type { Bay, Mount, Switch } from './bay.ts'

/** How often the table of mounts is looked at while something is awaited; it is in memory. */
const lookMs = 250
/** A disk turns within 10 to 20 s; USB and the file system need a few more. */
const mountMs = 60_000
const releaseMs = 30_000
/** From power to the file system, until it was measured. */
const assumedMs = 20_000

export function poweredBay(world: World, power: Switch, mount: Mount): Bay {
  const { clock } = world
  let comesMs = assumedMs
  return {
    upMs: (before) => power.onMs(before) + comesMs,
    isWanted: power.isWanted,
    whenWanted: power.whenWanted,
    async up() {
      const was = mount.isThere()
      await power.on()
      const begun = clock.monotonic()
      if (!(await becomes(world, mountMs, mount.isThere)))
        throw new Error('the disk has power, and its file system did not come')
      if (!was) comesMs = clock.monotonic() - begun
    },
    async down() {
      if (mount.isThere()) await mount.release()
      if (!(await becomes(world, releaseMs, () => !mount.isThere()))) {
        await mount.keep()
        throw new Error('the file system is still in use: the disk keeps its power')
      }
      await power.off()
    },
  }
}

/** The disk starts with the first access, and stops when it is told to, or by its own timer: there is nothing to switch. */
export const selfSleepingBay = (
  mount: Pick<Mount, 'isThere'>,
  stop: () => Promise<void> = async () => undefined,
): Bay => ({
  upMs: () => 10_000,
  async up() {
    if (!mount.isThere()) throw new Error('the disk is not plugged in')
  },
  async down() {
    if (mount.isThere()) await stop()
  },
  isWanted: () => false,
  whenWanted: () => undefined,
})

async function becomes({ clock }: World, ms: number, so: () => boolean): Promise<boolean> {
  const end = clock.monotonic() + ms
  while (!so()) {
    if (clock.monotonic() >= end) return false
    await clock.sleep(lookMs)
  }
  return true
}
