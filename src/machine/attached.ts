/** The disks of this machine, as the system sees them. */
import type { Systeminformation } from 'systeminformation'

/** A disk, or a file system on one. */
export interface Attached {
  /** `/dev/sda1`. */
  readonly device: string
  /** The whole disk that it is on; its own path when it is one. */
  readonly disk: string
  readonly bytes: number
  /** Kind of the file system; empty without one. */
  readonly fileSystem: string
  readonly uuid: string
  /** Where it is mounted; empty when it is not. */
  readonly mount: string
  readonly label: string
  readonly model: string
  /** Of the disk that it is on. */
  readonly serial: string
  /** How it is connected: usb, sata, nvme. */
  readonly connection: string
}

export async function attached(
  devices: () => Promise<readonly Systeminformation.BlockDevicesData[]> = blockDevices,
): Promise<Attached[]> {
  const all = await devices().catch(() => [])
  const found = fromDevices(all)
  return found.length > 0 ? found : mounted()
}

const blockDevices = async () => (await import('systeminformation')).blockDevices()

/** What is mounted, by `df`: where the system tells nothing of its devices there is no more to be known. */
async function mounted(): Promise<Attached[]> {
  const { getDiskInfo } = await import('node-disk-info')
  const unknown = { fileSystem: '', uuid: '', label: '', model: '', serial: '', connection: '' }
  return (await getDiskInfo())
    .filter(({ filesystem }) => filesystem.startsWith('/dev/'))
    .map(({ filesystem: device, blocks, mounted }) => {
      return { ...unknown, device, disk: diskOf(device), bytes: blocks * 1024, mount: mounted }
    })
}

function fromDevices(all: readonly Systeminformation.BlockDevicesData[]): Attached[] {
  const found = all.filter(({ type, size }) => /^(disk|part)$/.test(type) && size > 0)
  return found.map((one) => {
    const device = `/dev/${one.name}`
    const disk = one.type === 'disk' ? device : (one.device ?? diskOf(device))
    const whole = found.find(({ name }) => `/dev/${name}` === disk)
    return {
      device,
      disk,
      bytes: one.size,
      fileSystem: one.fsType,
      uuid: one.uuid,
      mount: one.mount,
      label: one.label,
      model: (whole?.model ?? one.model).trim(),
      serial: (whole?.serial ?? one.serial).trim(),
      connection: whole?.protocol ?? '',
    }
  })
}

/** `/dev/sda` of `/dev/sda1`, `/dev/mmcblk0` of `/dev/mmcblk0p2`. */
const diskOf = (device: string): string =>
  /\dp\d+$/.test(device) ? device.replace(/p\d+$/, '') : device.replace(/\d+$/, '')

/** The disk with this serial number, if it may be erased; throws a sentence otherwise. */
export function erasable(all: readonly Attached[], serial: string): Attached {
  const disks = all.filter((one) => one.device === one.disk && one.serial === serial)
  const [disk] = disks
  if (disk === undefined || serial === '') {
    const known = all.filter((one) => one.device === one.disk && one.serial !== '')
    const list = known.map((one) => `${one.serial} (${one.device})`).join(', ')
    throw new Error(
      `there is no disk with the serial number ${serial}; there is: ${list || 'none'}`,
    )
  }
  if (disks.length > 1)
    throw new Error(`${disks.length} disks say that their serial number is ${serial}; unplug one`)
  const used = all.find((one) => one.disk === disk.disk && one.mount !== '')
  if (used !== undefined)
    throw new Error(`${used.device} of that disk is mounted at ${used.mount}: unmount it first`)
  const ours = all.find((one) => one.disk === disk.disk && one.label === volumeLabel)
  if (ours !== undefined)
    throw new Error(
      `${ours.device} of that disk is a volume of a pillar; \`wipefs --all ${disk.device}\` if its files are not needed`,
    )
  return disk
}

/** What we call the file systems that we make. */
export const volumeLabel = 'colonnade'

/** The file system with this UUID; throws a sentence without one. */
export function fileSystemOf(all: readonly Attached[], uuid: string): Attached {
  const found = all.find((one) => one.uuid === uuid && one.fileSystem !== '')
  if (found) return found
  const list = all.filter((one) => one.uuid !== '').map((one) => `${one.uuid} (${one.device})`)
  throw new Error(`no disk has the UUID ${uuid}; there is: ${list.join(', ') || 'none'}`)
}
