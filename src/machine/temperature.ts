/** How warm disks are, as the kernel knows it: no disk is woken or asked by us. */
import { globSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../world/world.ts'
import { disksBelow, mountOf, mountsIn, mountTable } from './mounts.ts'

/** Of the disk with this number, `8:1`; undefined when the kernel does not know it. */
function celsiusOf(device: string, root = '/'): number | undefined {
  try {
    // A partition stands within its disk.
    const part = realpathSync(join(root, 'sys/dev/block', device))
    for (const disk of [part, dirname(part)])
      for (const path of globSync('device/hwmon{,/hwmon}*/temp1_input', { cwd: disk }))
        return Number(readFileSync(join(disk, path), 'utf8')) / 1000
  } catch {
    // Not a disk of the kernel's.
  }
  return undefined
}

/** Some disks put off their sleep when they are asked. */
const againMs = 60_000

/** The hottest of these disks, looked at once a minute at most. */
export function thermometer(
  { monotonic }: Pick<Clock, 'monotonic'>,
  devices: () => readonly string[],
  root = '/',
): () => number | undefined {
  let [at, last]: [number, number | undefined] = [Number.NEGATIVE_INFINITY, undefined]
  return () => {
    if (monotonic() - at < againMs) return last
    at = monotonic()
    const known = devices().flatMap((device) => celsiusOf(device, root) ?? [])
    last = known.length === 0 ? undefined : Math.max(...known)
    return last
  }
}

/** The disks that lie at these places, or are mounted below these folders. */
export function devicesOf(places: readonly string[], folders: readonly string[]): string[] {
  const mounts = mountsIn(mountTable())
  const named = places.flatMap((place) => mountOf(mounts, place) ?? [])
  return [...new Set([...named, ...disksBelow(mounts, folders)].map(({ device }) => device))]
}
