/**
 * What the file on the boot partition says, done once: name, Wi-Fi, membership, disk. Then the secrets are wiped from that
 * partition, which every computer shows, and the file is put aside. What failed is tried again at the next start.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { readConfig, type Shape, type Values } from '../system/config.ts'
import { agentShape } from '../system/config-shapes.ts'
import { readCode } from '../trust/code.ts'
import { type Attached, volumeLabel } from './attached.ts'
import { type Computer, install } from './computer.ts'
import { installedConfig, joinArchive, pendingCode, pendingMount, usualMount } from './join.ts'
import { formatDisk, mountAlways, mountByUuid } from './volumes.ts'

export const firstBootShape = {
  name: { type: 'text', optional: true, doc: 'What this machine calls itself in its network.' },
  member: {
    type: 'path',
    optional: true,
    doc: 'Folder beside this file with what `colonnade-tracker add pillar` has made.',
  },
  code: {
    type: 'text',
    optional: true,
    doc: 'Instead: the code by `colonnade-tracker invite pillar`; used once there is a network, and wiped.',
  },
  'wifi.ssid': { type: 'text', optional: true, doc: 'Name of the wireless network.' },
  'wifi.password': { type: 'text', optional: true, doc: 'Its password; wiped after use.' },
  'wifi.country': { type: 'text', default: 'GB', doc: 'Where the board is: decides the channels.' },
  'disk.mount': {
    type: 'text',
    optional: true,
    doc: 'With a code: where its disk is mounted; /mnt/colonnade when absent.',
  },
  'disk.uuid': { type: 'text', optional: true, doc: 'File system that becomes the volume.' },
  'disk.format': {
    type: 'text',
    optional: true,
    doc: 'Serial number of a disk that is erased and becomes the volume.',
  },
} as const satisfies Shape
type FirstBoot = Values<typeof firstBootShape>

/** Where the vendor's systems and ours mount the boot partition. */
export const firstBootPlaces = ['/boot/firmware/colonnade.toml', '/boot/colonnade.toml'] as const

export interface Steps {
  readonly computer: Computer
  attached(): Promise<Attached[]>
  /** Makes what is mounted there a volume, unless it is ours already. */
  adopt(mount: string): Promise<void>
  say(line: string): void
}

export async function firstBoot(path: string, steps: Steps): Promise<void> {
  const { computer, say } = steps
  const { values } = readConfig(path, firstBootShape)
  if (values['disk.uuid'] !== undefined && values['disk.format'] !== undefined)
    throw new Error(`${path}: a disk is either found by its UUID or formatted, not both`)
  if (values.code !== undefined && values.member !== undefined)
    throw new Error(`${path}: a board enrols by a code or comes with a folder, not both`)
  if (values.name !== undefined) nameMachine(computer, values.name)
  if (values['wifi.ssid'] !== undefined) connectWifi(computer, values)
  if (values.member !== undefined && existsSync(join(values.member, 'agent.toml'))) {
    const { name } = joinArchive(computer, values.member)
    say(`this machine is the pillar ${name}`)
  }
  const installed = join(computer.root, installedConfig)
  const isMember = existsSync(installed)
  // There is no network yet: colonnade-enrol.service goes on when there is one.
  if (values.code !== undefined && !isMember) keepCode(computer, values.code)
  wipe(path, values)
  if (isMember)
    await openDisk(values, readConfig(installed, agentShape).values['volume.mount'], steps)
  else if (existsSync(join(computer.root, pendingCode)))
    await openDisk(values, values['disk.mount'] ?? usualMount, steps)
  renameSync(path, join(dirname(path), 'colonnade.done'))
  computer.run('sync', [])
  say('done; the secrets are wiped from the boot partition')
}

/** A mistyped code is said before it is wiped from where it can be corrected. */
function keepCode(computer: Computer, code: string): void {
  readCode(code)
  install(computer, pendingCode, `${code}\n`, 0o600)
}

async function openDisk(values: FirstBoot, mount: string, steps: Steps): Promise<void> {
  const { computer } = steps
  const serial = values['disk.format']
  const uuid = values['disk.uuid']
  if (serial !== undefined) {
    const all = await steps.attached()
    // A start that was cut has formatted it before, or it comes from another card: it is not formatted again.
    const before = all.find((one) => one.serial === serial && one.label === volumeLabel)
    const made = before ?? formatDisk(computer, all, serial)
    mountAlways(computer, { uuid: made.uuid, mount, fileSystem: 'ext4' })
    steps.say(`${before ? 'found' : 'formatted'} ${made.device}, mounted at ${mount}`)
  } else if (uuid !== undefined) {
    mountByUuid(computer, await steps.attached(), uuid, mount)
    steps.say(`mounted ${uuid} at ${mount}`)
  } else return
  // Whose volume it is to be is not known before it has enrolled.
  if (existsSync(join(computer.root, installedConfig))) await steps.adopt(mount)
  else install(computer, pendingMount, `${mount}\n`)
}

function nameMachine(computer: Computer, name: string): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name))
    throw new Error(`${name} can not be the name of a machine`)
  install(computer, '/etc/hostname', `${name}\n`)
  const hosts = join(computer.root, 'etc/hosts')
  const others = existsSync(hosts)
    ? readFileSync(hosts, 'utf8').replace(/^127\.0\.1\.1.*\n/gm, '')
    : ''
  install(computer, '/etc/hosts', `${others}127.0.1.1 ${name}\n`)
  computer.run('hostname', [name])
}

/** For NetworkManager (the vendor's system) where it is, else for wpa_supplicant and systemd-networkd (our image). */
function connectWifi(computer: Computer, values: FirstBoot): void {
  const { 'wifi.ssid': ssid = '', 'wifi.password': password, 'wifi.country': country } = values
  if (/[\n\r]/.test(`${ssid}${password}`) || !/^[A-Z]{2}$/.test(country))
    throw new Error('wifi: name and password are one line each, the country two capital letters')
  if (existsSync(join(computer.root, 'etc/NetworkManager'))) {
    const security =
      password === undefined ? [] : ['[wifi-security]', 'key-mgmt=wpa-psk', `psk=${password}`]
    const head = ['[connection]', 'id=colonnade', 'type=wifi', '[wifi]', `ssid=${ssid}`]
    const text = [...head, ...security, '[ipv4]', 'method=auto', '[ipv6]', 'method=auto', '']
    const path = '/etc/NetworkManager/system-connections/colonnade.nmconnection'
    install(computer, path, text.join('\n'), 0o600)
    return
  }
  const hex = (text: string): string => Buffer.from(text).toString('hex')
  const security =
    password === undefined
      ? 'key_mgmt=NONE'
      : `psk="${password}"\n  key_mgmt=WPA-PSK SAE\n  ieee80211w=1`
  install(
    computer,
    '/etc/wpa_supplicant/wpa_supplicant-wlan0.conf',
    `ctrl_interface=/run/wpa_supplicant\ncountry=${country}\nnetwork={\n  ssid=${hex(ssid)}\n  ${security}\n}\n`,
    0o600,
  )
  computer.run('systemctl', ['enable', '--quiet', 'wpa_supplicant@wlan0.service'])
  computer.run('systemctl', ['start', '--no-block', 'wpa_supplicant@wlan0.service'])
}

/** Writes over what was secret, and takes it away. A card may keep old blocks: the key is worth what the card is worth. */
function wipe(path: string, values: FirstBoot): void {
  if (values.member !== undefined && existsSync(values.member)) {
    for (const name of readdirSync(values.member)) overwrite(join(values.member, name))
    rmSync(values.member, { recursive: true })
  }
  if (values['wifi.password'] === undefined && values.code === undefined) return
  // The name goes with the password: at another try the network would be taken for an open one.
  const lines =
    values['wifi.password'] === undefined
      ? /^\s*(code)\s*=.*$/gm
      : /^\s*(code|ssid|password)\s*=.*$/gm
  const text = readFileSync(path, 'utf8').replace(lines, '# $1: used, and wiped')
  overwrite(path)
  writeFileSync(path, text, { flush: true })
}

function overwrite(path: string): void {
  const size = statSync(path).size
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(size, '#'), 0, size, 0)
  fsyncSync(file)
  closeSync(file)
}
