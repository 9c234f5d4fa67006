/** Unmounting a disk that nobody uses any more, and parking it: the heads of a disk that loses its power may not be. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Computer } from './computer.ts'
import { type Mount, mountOf } from './mounts.ts'

/** What was done, or is to be done by hand, in one sentence. */
export function letGo(computer: Computer, path: string, mounts: readonly Mount[]): string {
  const mount = mountOf(mounts, path)
  if (mount?.at !== path) return `${path} is no mount of its own: nothing is to be unmounted`
  try {
    computer.run('umount', [path])
  } catch {
    return `it could not be unmounted; next: sudo umount ${path}`
  }
  const others = mounts.filter((one) => one !== mount && sameDisk(computer.root, one, mount))
  if (others.length > 0)
    return `unmounted; ${others[0]?.source} of the same disk is still mounted at ${others[0]?.at}`
  return parked(computer.root, mount)
    ? 'unmounted and parked: it can be unplugged'
    : 'unmounted: it can be unplugged'
}

/** Folder of the whole disk below /sys; undefined of what is none. */
function diskFolder(root: string, { device }: Mount): string | undefined {
  try {
    const folder = realpathSync(join(root, 'sys/dev/block', device))
    return existsSync(join(folder, 'partition')) ? dirname(folder) : folder
  } catch {
    return undefined
  }
}

function sameDisk(root: string, one: Mount, other: Mount): boolean {
  const folder = diskFolder(root, one)
  return folder !== undefined && folder === diskFolder(root, other)
}

/** The kernel flushes the disk, stops it, and forgets it until it is plugged in again (sd(4), `delete`). */
function parked(root: string, mount: Mount): boolean {
  const folder = diskFolder(root, mount)
  const place = folder && join(folder, 'device/delete')
  if (!place || !existsSync(place)) return false
  try {
    writeFileSync(place, '1')
    return true
  } catch {
    return false
  }
}
