/** The board itself: which it is, its power, its clock, what connects its disks. All of it is read from /proc and /sys. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { formatBytes } from '../world/units.ts'
import { bad, type Finding, ok, unknown, warn } from './finding.ts'

/** Below this folder lie `proc`, `sys` and `run`: `/` but in tests. */
type Root = string

export function board(root: Root): Finding {
  const model =
    read(root, 'proc/device-tree/model') ?? read(root, 'sys/class/dmi/id/product_name') ?? 'unknown'
  const text = `${model}, ${process.arch}, ${availableParallelism()} cores, ${formatBytes(totalmem())}`
  return totalmem() < 400 * 1024 * 1024
    ? warn('board', text, 'the agent wants 256 MiB for itself: run nothing else here')
    : ok('board', text)
}

/**
 * Whether the 5 V were too low within the last seconds, as the firmware of a Raspberry Pi tells it (Linux:
 * hwmon/raspberrypi-hwmon); undefined of a board that does not tell.
 */
export function underVoltage(root: Root): boolean | undefined {
  for (const name of list(root, 'sys/class/hwmon')) {
    const folder = `sys/class/hwmon/${name}`
    if (read(root, `${folder}/name`) !== 'rpi_volt') continue
    const alarm = read(root, `${folder}/in0_lcrit_alarm`)
    return alarm === '1' ? true : alarm === '0' ? false : undefined
  }
  return undefined
}

export function power(root: Root): Finding {
  const weak = underVoltage(root)
  if (weak === undefined) return unknown('power', 'this board does not tell')
  return weak
    ? bad('power', 'under-voltage', 'a better supply or cable, or a hub with its own for the disks')
    : ok('power', 'no under-voltage')
}

/**
 * Bridges that hang or crawl by UAS on boards, as reported: home-assistant/operating-system #3220, #3687, #3857, #4366;
 * raspberrypi/linux #3070, #5153; getumbrel/umbrel-os #95; DeskPi-Team/deskpi #13; OpenCCU #3301.
 */
const badByUas = new Map([
  ['152d:0562', 'JMicron JMS562'],
  ['152d:0567', 'JMicron JMS567'],
  ['152d:0578', 'JMicron JMS578 or JMS579'],
  ['152d:0583', 'JMicron JMS583'],
  ['152d:a578', 'JMicron JMS578'],
  ['152d:a583', 'JMicron JMS583'],
])

/** Each USB disk, by which bridge and driver. */
export function bridges(root: Root): Finding[] {
  const found = list(root, 'sys/block').flatMap((name) => {
    const bridge = /^sd/.test(name) ? usbOf(root, name) : undefined
    return bridge === undefined ? [] : [judged(name, bridge)]
  })
  return found.length > 0 ? found : [ok('bridge', 'no disk is connected by USB')]
}

interface Bridge {
  readonly id: string
  readonly driver: string
}

function judged(name: string, { id, driver }: Bridge): Finding {
  const known = badByUas.get(id)
  const text = `${name} by ${known ?? id} (${driver})`
  if (driver !== 'uas' || known === undefined) return ok('bridge', text)
  return warn(
    'bridge',
    `${text}: known to hang in this mode`,
    `add usb-storage.quirks=${id}:u to the kernel's command line (cmdline.txt)`,
  )
}

/** Up from the disk to the USB device: the interface on the way has the driver. */
function usbOf(root: Root, name: string): Bridge | undefined {
  let driver = ''
  let folder = real(join(root, 'sys/block', name))
  for (; folder !== undefined && folder.length > root.length; folder = dirname(folder)) {
    const bound = real(join(folder, 'driver'))
    if (bound !== undefined && /^(uas|usb-storage)$/.test(basename(bound))) driver = basename(bound)
    const vendor = read(folder, 'idVendor')
    if (vendor !== undefined) return { id: `${vendor}:${read(folder, 'idProduct')}`, driver }
    if (folder === dirname(folder)) break
  }
  return undefined
}

/** `now` in milliseconds; `built` is a time that can not be before it. */
export function clock(root: Root, now: number, built: number): Finding {
  const hasClock = list(root, 'sys/class/rtc').length > 0
  const battery = hasClock ? 'there is a hardware clock' : 'no hardware clock'
  const text = `${new Date(now).toISOString()}, ${battery}`
  if (now < built)
    return bad('clock', `${text}: that is past`, 'is the network there, and systemd-timesyncd?')
  if (read(root, 'run/systemd/timesync/synchronized') === undefined)
    return warn('clock', `${text}, not known to be right`, 'timedatectl shows who sets it')
  return ok('clock', `${text}, set by the network`)
}

function read(root: Root, path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8').replaceAll('\0', '').trim()
  } catch {
    return undefined
  }
}

function list(root: Root, path: string): string[] {
  try {
    return readdirSync(join(root, path)).sort()
  } catch {
    return []
  }
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
