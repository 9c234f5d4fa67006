/**
 * How a disk is mounted by its UUID, by systemd. `nofail` and the short wait: a board without a screen has to start
 * without its disk, too; and when the disk comes later, it is mounted then.
 */

export interface Mounting {
  readonly uuid: string
  readonly mount: string
  readonly fileSystem: string
}

/** File systems without owners of files: all of it belongs to the agent. */
const ownerless = /^(exfat|vfat|ntfs|ntfs3)$/

/** The files that do it, by absolute path. */
export function mountingFiles({ uuid, mount, fileSystem }: Mounting): Map<string, string> {
  if (!/^[0-9A-Za-z-]+$/.test(uuid)) throw new Error(`${uuid} is no UUID of a file system`)
  if (!/^\/[^\s"'\\%]+$/.test(mount) || mount.includes('..'))
    throw new Error(`${mount} can not be where a disk is mounted`)
  const device = `/dev/disk/by-uuid/${uuid}`
  const owner = ownerless.test(fileSystem) ? [`uid=${agentUser}`, `gid=${agentUser}`] : []
  const options = ['nofail', 'noatime', 'nodev', 'nosuid', 'noexec', ...owner]
  const unit = `${escaped(mount)}.mount`
  const units = '/etc/systemd/system'
  return new Map([
    [
      `${units}/${unit}`,
      lines(
        '# Made by `colonnade-agent disks adopt`.',
        '[Unit]',
        'Description=Disk of a Colonnade pillar',
        'Wants=colonnade-agent.service',
        'Before=colonnade-agent.service',
        '',
        '[Mount]',
        `What=${device}`,
        `Where=${mount}`,
        ...(fileSystem === '' ? [] : [`Type=${fileSystem}`]),
        `Options=${options.join(',')}`,
        'TimeoutSec=90s',
        '',
        '[Install]',
        `WantedBy=multi-user.target ${escaped(device)}.device`,
      ),
    ],
    [
      `${units}/${escaped(device)}.device.d/colonnade.conf`,
      lines('# How long a start waits for this disk.', '[Unit]', 'JobRunningTimeoutSec=10s'),
    ],
    [
      `${units}/colonnade-agent.service.d/volume-${uuid}.conf`,
      lines('# Where its disk is mounted.', '[Service]', `ReadWritePaths=-${mount}`),
    ],
    [`/etc/colonnade/volumes/${uuid}`, lines(mount)],
  ])
}

/** Name of the unit that mounts there. */
export const mountUnit = (mount: string): string => `${escaped(mount)}.mount`

/** The user that the agent runs as. */
export const agentUser = 'colonnade'

/** As `systemd-escape --path` does. */
function escaped(path: string): string {
  const inner = path.replace(/^\/+|\/+$/g, '').replace(/\/{2,}/g, '/')
  const bytes = [...Buffer.from(inner)].map((byte, at) => {
    const letter = String.fromCharCode(byte)
    if (letter === '/') return '-'
    return /[A-Za-z0-9:_.]/.test(letter) && !(at === 0 && letter === '.')
      ? letter
      : `\\x${byte.toString(16).padStart(2, '0')}`
  })
  return bytes.join('')
}

const lines = (...all: string[]): string => `${all.join('\n')}\n`
