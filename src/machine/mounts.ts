/** What is mounted where, by the kernel's own table: reading it touches no disk. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

export interface Mount {
  /** Another one each time that something is mounted. */
  readonly id: string
  /** Major and minor number of the device. */
  readonly device: string
  readonly at: string
  readonly fileSystem: string
  /** `/dev/sda1`, or whatever it is mounted from. */
  readonly source: string
}

/** The table as text: the same as long as nothing was mounted or unmounted. Empty where there is none. */
export function mountTable(root = '/'): string {
  try {
    return readFileSync(join(root, 'proc/self/mountinfo'), 'utf8')
  } catch {
    return ''
  }
}

export const mountsIn = (table: string): Mount[] =>
  table.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [id, , device, , at] = before.split(' ')
    const [fileSystem, source] = after.split(' ')
    return id && device && at && fileSystem && source
      ? [{ id, device, at: unescaped(at), fileSystem, source: unescaped(source) }]
      : []
  })

/** Spaces and the like stand as three octal digits. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )

/** The mount that a path lies on: of several in one place the last. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined
  for (const mount of mounts) {
    const covers = path === mount.at || path.startsWith(mount.at === '/' ? '/' : `${mount.at}/`)
    if (covers && mount.at.length >= (found?.at.length ?? 0)) found = mount
  }
  return found
}

const onDisks =
  /^(ext[234]|xfs|btrfs|f2fs|exfat|vfat|ntfs3?|fuseblk|fuse\.exfat(-fuse)?|zfs|bcachefs)$/

/** File systems on disks, mounted below one of these folders. */
export function disksBelow(mounts: readonly Mount[], folders: readonly string[]): Mount[] {
  const isBelow = (at: string): boolean =>
    folders.some((folder) => at === folder || at.startsWith(`${folder}/`))
  const seen = mounts.filter(({ at, fileSystem }) => onDisks.test(fileSystem) && isBelow(at))
  // What another is mounted over can not be reached.
  return seen.filter((one) => mountOf(mounts, one.at) === one)
}

/** UUID of the file system of a mount, as udev has noted it; undefined where there is no udev. */
export function fileSystemId(mount: Mount | undefined, root = '/'): string | undefined {
  if (!mount) return undefined
  try {
    const noted = readFileSync(join(root, 'run/udev/data', `b${mount.device}`), 'utf8')
    const [, uuid] = /^E:ID_FS_UUID=(.+)$/m.exec(noted) ?? []
    if (uuid) return uuid
  } catch {
    // It may be told in another way.
  }
  const folder = join(root, 'dev/disk/by-uuid')
  try {
    const device = realpathSync(join(root, mount.source))
    return readdirSync(folder).find((name) => realpathSync(join(folder, name)) === device)
  } catch {
    return undefined
  }
}
