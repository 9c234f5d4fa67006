/** The file system of a board: Debian, its firmware, our package. */
import { cpSync, existsSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Board } from './boards.ts'

const packages = [
  ...['systemd', 'systemd-sysv', 'systemd-timesyncd', 'systemd-resolved', 'udev', 'dbus'],
  ...['linux-image-arm64', 'busybox-static', 'ca-certificates', 'e2fsprogs', 'fdisk', 'dosfstools'],
  ...['iproute2', 'hostname', 'kmod', 'libstdc++6', 'procps'],
]
const piPackages = ['raspi-firmware', 'firmware-brcm80211', 'wpasupplicant']

/** The shell script that makes the file system; in it, `$1`s are names without spaces. */
export function systemScript(board: Board, suite: string, system: string, deb: string): string {
  const all = [...packages, ...(board.firmware ? piPackages : [])].join(',')
  const options = [
    '--mode=root',
    // In a namespace of its own it may not; where it may, udev does it at the start.
    '--skip=setup/mknod,chroot/mount/dev',
    '--variant=minbase',
    '--arch=arm64',
    `--components=main${board.firmware ? ',non-free-firmware' : ''}`,
    `--include=${all}`,
    '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-exclude=/usr/share/locale/*',
  ]
  return [
    // The first one is made by hand; see initrd.
    'export INITRD=No',
    `mmdebstrap ${options.join(' ')} ${suite} ${system}`,
    `cp ${deb} ${system}/tmp/agent.deb`,
    `chroot ${system} dpkg -i /tmp/agent.deb`,
    `rm ${system}/tmp/agent.deb`,
    `chroot ${system} systemctl --quiet enable systemd-networkd systemd-resolved systemd-timesyncd`,
    `chroot ${system} systemctl --quiet mask ${quiet.join(' ')}`,
  ].join('\n')
}

/** What would write to the card again and again. */
const quiet = [
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer'],
  'e2scrub_reap.service',
]

const files: Readonly<Record<string, string>> = {
  'etc/fstab': [
    'LABEL=colonnade-root / ext4 noatime,commit=60,errors=remount-ro 0 1',
    'LABEL=COLONNADE /boot/firmware vfat noatime,umask=0077,nofail,x-systemd.device-timeout=60s 0 2',
    'tmpfs /tmp tmpfs nodev,nosuid,size=64M 0 0',
    '',
  ].join('\n'),
  // Logs live in memory: the card is not written to while nothing happens.
  'etc/systemd/journald.conf.d/colonnade.conf': '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n',
  'etc/systemd/timesyncd.conf.d/colonnade.conf': '[Time]\nSaveIntervalSec=infinity\n',
  // The board starts again when its kernel hangs; a Raspberry Pi can count no further than 15 s.
  'etc/systemd/system.conf.d/colonnade.conf':
    '[Manager]\nRuntimeWatchdogSec=14s\nRebootWatchdogSec=14s\n',
  'etc/systemd/network/80-dhcp.network':
    '[Match]\nName=en* eth* end* wlan*\n\n[Network]\nDHCP=yes\n\n[Link]\nRequiredForOnline=no\n',
  'etc/hostname': 'colonnade\n',
}

/** What is written after Debian has been installed. */
export function configureSystem(system: string, more: Readonly<Record<string, string>> = {}): void {
  for (const [path, text] of Object.entries({ ...files, ...more })) {
    const place = join(system, path)
    mkdirSync(join(place, '..'), { recursive: true })
    rmSync(place, { force: true })
    writeFileSync(place, text)
  }
  rmSync(join(system, 'etc/resolv.conf'), { force: true })
  writeFileSync(join(system, 'etc/machine-id'), 'uninitialized\n')
  mkdirSync(join(system, 'boot/firmware'), { recursive: true })
}

/** Version of the kernel in it. */
export function kernelOf(system: string): string {
  const [found] = globSync('*', { cwd: join(system, 'lib/modules') })
  if (found === undefined) throw new Error(`there is no kernel in ${system}`)
  return found
}

/** Lays out what the firmware of a Raspberry Pi reads; on other machines only the file for the first start is there. */
export function bootPartition(system: string, board: Board, folder: string, initrd: Buffer): void {
  mkdirSync(folder, { recursive: true })
  const kernel = kernelOf(system)
  writeFileSync(join(system, 'boot', `initrd.img-${kernel}`), initrd)
  if (!board.firmware) return
  const firmware = join(system, 'usr/lib/raspi-firmware')
  if (existsSync(firmware)) cpSync(firmware, folder, { recursive: true })
  const trees = join(system, `usr/lib/linux-image-${kernel}/broadcom`)
  for (const pattern of board.trees)
    for (const name of globSync(pattern, { cwd: trees }))
      cpSync(join(trees, name), join(folder, name))
  cpSync(join(system, `boot/vmlinuz-${kernel}`), join(folder, `vmlinuz-${kernel}`))
  writeFileSync(join(folder, `initrd.img-${kernel}`), initrd)
  writeFileSync(join(folder, 'config.txt'), configTxt(kernel))
  writeFileSync(join(folder, 'cmdline.txt'), `${commandLine(board)}\n`)
}

export const commandLine = (board: Board): string =>
  `console=tty0 console=${board.console} root=LABEL=colonnade-root rw rootwait panic=10`

const configTxt = (kernel: string): string =>
  [
    'arm_64bit=1',
    'enable_uart=1',
    'upstream_kernel=1',
    `kernel=vmlinuz-${kernel}`,
    `initramfs initrd.img-${kernel} followkernel`,
    // No screen is there: leave the memory to the programs.
    'gpu_mem=16',
    '',
  ].join('\n')
