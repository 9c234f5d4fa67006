/** Formatting and mounting disks for a pillar. */

import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Attached, erasable, fileSystemOf, volumeLabel } from './attached.ts'
import { type Computer, install } from './computer.ts'
import { type Mounting, mountingFiles, mountUnit } from './mounting.ts'

/** Erases the disk with this serial number: one partition, one ext4 file system. Returns its device. */
export function formatDisk(
  computer: Computer,
  all: readonly Attached[],
  serial: string,
): { device: string; uuid: string } {
  const disk = erasable(all, serial)
  const device = /\d$/.test(disk.device) ? `${disk.device}p1` : `${disk.device}1`
  const uuid = randomUUID()
  computer.run('sfdisk', ['--quiet', '--wipe', 'always', disk.device], 'label: gpt\ntype=linux\n')
  computer.run('udevadm', ['settle', `--exit-if-exists=${device}`])
  // A block for root in a hundred would be space that nobody uses.
  const options = ['-q', '-F', '-m', '0', '-L', volumeLabel, '-U', uuid, device]
  computer.run('mkfs.ext4', options)
  computer.run('udevadm', ['settle'])
  return { device, uuid }
}

/** Mounts the file system with this UUID now and at every start. */
export function mountByUuid(
  computer: Computer,
  all: readonly Attached[],
  uuid: string,
  mount: string,
): void {
  const { fileSystem, mount: where, device } = fileSystemOf(all, uuid)
  if (where !== '' && where !== mount)
    throw new Error(`${device} is mounted at ${where} already: adopt it there, or unmount it`)
  mountAlways(computer, { uuid, mount, fileSystem })
}

export function mountAlways(computer: Computer, mounting: Mounting): void {
  for (const [path, text] of mountingFiles(mounting)) install(computer, path, text)
  mkdirSync(join(computer.root, mounting.mount), { recursive: true })
  const unit = mountUnit(mounting.mount)
  computer.run('systemctl', ['daemon-reload'])
  computer.run('systemctl', ['enable', '--quiet', unit])
  computer.run('systemctl', ['start', unit])
  computer.run('udevadm', ['control', '--reload'])
}
