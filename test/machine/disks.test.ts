// What the agent's commands see of disks, and how they let go of one.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Attached } from '../../src/machine/attached.ts'
import { attached } from '../../src/machine/attached.ts'
import { described } from '../../src/machine/described.ts'
import { letGo } from '../../src/machine/let-go.ts'
import {
  disksBelow,
  fileSystemId,
  mountOf,
  mountsIn,
  mountTable,
} from '../../src/machine/mounts.ts'
import { thermometer } from '../../src/machine/temperature.ts'
import { machine } from './tree.ts'

const table = [
  '21 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw',
  '30 21 8:17 / /mnt/one rw - ext4 /dev/sdb1 rw',
  '31 21 8:33 / /media/my\\040disk rw - exfat /dev/sdc1 rw',
  '32 21 0:40 / /mnt/net rw - nfs4 server:/x rw',
  '33 30 8:49 / /mnt/one rw - xfs /dev/sdd1 rw',
  '34 21 8:18 / /mnt/other rw - ext4 /dev/sdb2 rw',
].join('\n')
const mounts = mountsIn(table)

t.test('[VOL-3] the table of mounts tells what lies where', async (t) => {
  t.equal(
    mountOf(mounts, '/mnt/one/colonnade')?.source,
    '/dev/sdd1',
    'the last one covers the rest',
  )
  t.equal(mountOf(mounts, '/mnt/onetwo')?.id, '21')
  t.equal(mountOf(mounts, '/media/my disk')?.id, '31')
  t.same(
    disksBelow(mounts, ['/mnt', '/media']).map(({ id }) => id),
    ['31', '33', '34'],
    'disks only, and none that is covered',
  )
  t.same(disksBelow(mounts, ['/srv']), [])
})

t.test('[VOL-3] the UUID of a file system is told by udev, or by its links', async (t) => {
  const mount = mounts[1]
  const noted = machine(t, {
    'run/udev/data/b8:17': 'S:x\nE:ID_FS_UUID=aaaa-1\nE:ID_FS_TYPE=ext4\n',
  })
  t.equal(fileSystemId(mount, noted), 'aaaa-1')
  const linked = machine(t, { 'dev/sdb1': '', 'dev/sdc1': '' })
  mkdirSync(join(linked, 'dev/disk/by-uuid'), { recursive: true })
  symlinkSync('../../sdc1', join(linked, 'dev/disk/by-uuid/cccc-3'))
  symlinkSync('../../sdb1', join(linked, 'dev/disk/by-uuid/bbbb-2'))
  t.equal(fileSystemId(mount, linked), 'bbbb-2')
  t.equal(fileSystemId(mount, machine(t, {})), undefined)
})

t.test('a disk is told with its room, temperature, health and volume', async (t) => {
  const at = machine(t, {
    'colonnade/volume.json': '{"volume":"v1","pillar":"attic","archive":"home"}',
  })
  const disk: Attached = {
    ...{ device: '/dev/sdb', disk: '/dev/sdb', bytes: 1e12, fileSystem: '', uuid: '', mount: '' },
    ...{ label: '', model: 'WDC', serial: 'WD-1', connection: 'usb' },
  }
  const told = { volumes: [{ id: 'v1', state: 'failed' }] }
  const smart = '{"temperature":{"current":41},"smart_status":{"passed":false}}'
  const [whole, part] = described(
    [disk, { ...disk, device: '/dev/sdb1', mount: at }],
    told,
    () => smart,
  )
  t.match(whole, { celsius: 41, health: 'failing' })
  t.notOk('celsius' in (part ?? {}))
  t.match(part, { volume: 'v1', owner: ' of attic in home', state: ', failed' })
  t.ok((part?.bytesFree ?? 0) > 0)
  const [bare] = described([disk], undefined, () => undefined)
  t.notOk('health' in (bare ?? {}))
})

t.test('[BAY-4] a disk that sleeps is told of by what the agent knows, and not read', async (t) => {
  const at = machine(t, { 'colonnade/volume.json': '{"volume":"read","pillar":"a","archive":"b"}' })
  const part: Attached = {
    ...{ device: '/dev/sdb1', disk: '/dev/sdb', bytes: 1e12, fileSystem: 'ext4', uuid: 'u' },
    ...{ mount: at, label: '', model: 'WDC', serial: 'WD-1', connection: 'usb' },
  }
  const told = {
    volumes: [{ id: 'v1', state: 'ready', space: { bytesFree: 7 } }],
    places: { v1: at },
    bays: [{ mount: at, state: 'asleep' }],
  }
  t.match(described([part], told), [{ volume: 'v1', state: ', asleep', bytesFree: 7 }])
  const awake = { ...told, bays: [{ mount: at, state: 'awake' }] }
  t.match(described([part], awake), [{ volume: 'read', owner: ' of a in b' }])
})

t.test('[VOL-7] a disk is parked when nothing else of it is mounted', async (t) => {
  const root = machine(t, { 'sys/devices/usb/block/sdb/device/delete': '' })
  const folder = join(root, 'sys/devices/usb/block/sdb')
  for (const [part, device] of [
    ['sdb1', '8:17'],
    ['sdb2', '8:18'],
  ] as const) {
    mkdirSync(join(folder, part), { recursive: true })
    writeFileSync(join(folder, part, 'partition'), '1')
    mkdirSync(join(root, 'sys/dev/block'), { recursive: true })
    symlinkSync(join(folder, part), join(root, 'sys/dev/block', device))
  }
  const calls: string[] = []
  const computer = { root, run: (...call: unknown[]) => void calls.push(call.flat().join(' ')) }
  const only = mounts.filter(({ id }) => id !== '33')
  t.match(letGo(computer, '/mnt/one', only), /\/dev\/sdb2 of the same disk is still mounted/)
  t.equal(readFileSync(join(folder, 'device/delete'), 'utf8'), '')
  const alone = only.filter(({ id }) => id !== '34')
  t.match(letGo(computer, '/mnt/one', alone), /unmounted and parked/)
  t.equal(readFileSync(join(folder, 'device/delete'), 'utf8'), '1')
  t.same(calls, ['umount /mnt/one', 'umount /mnt/one'])
  t.match(letGo(computer, '/mnt/one/folder', alone), /is no mount of its own/)
  const failing = {
    root,
    run: () => {
      throw new Error('busy')
    },
  }
  t.match(letGo(failing, '/mnt/one', alone), /next: sudo umount \/mnt\/one/)
})

t.test('[SCRUB-1] the kernel says how hot a disk is, and is asked once a minute', async (t) => {
  const root = t.testdir({})
  const disk = join(root, 'sys/devices/ata1/block/sda')
  const sensor = join(disk, 'device/hwmon/hwmon3/temp1_input')
  mkdirSync(join(disk, 'sda1'), { recursive: true })
  mkdirSync(join(sensor, '..'), { recursive: true })
  writeFileSync(sensor, '41000\n')
  mkdirSync(join(root, 'sys/dev/block'), { recursive: true })
  symlinkSync(join(disk, 'sda1'), join(root, 'sys/dev/block/8:1'))
  let now = 0
  const celsius = thermometer({ monotonic: () => now }, () => ['8:1', '8:17'], root)
  t.equal(celsius(), 41)
  writeFileSync(sensor, '57000\n')
  t.equal(celsius(), 41)
  now += 60_000
  t.equal(celsius(), 57)
  t.equal(thermometer({ monotonic: () => 0 }, () => ['8:17'], root)(), undefined)
})

t.test('where the system tells of no devices, what is mounted is told all the same', async (t) => {
  for (const devices of [async () => [], async () => Promise.reject(new Error('no lsblk'))]) {
    const found = await attached(devices)
    const mounts = mountsIn(mountTable()).filter(({ source }) => source.startsWith('/dev/'))
    for (const { device, mount, bytes } of found) {
      t.ok(bytes > 0, device)
      t.ok(
        mounts.some(({ at }) => at === mount),
        mount,
      )
    }
    t.equal(found.length > 0, mounts.length > 0)
  }
})
