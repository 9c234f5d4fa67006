// What the agent's commands do to a machine and see of it, on made-up ones.

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { type Attached, erasable, fileSystemOf } from '../../src/machine/attached.ts'
import { board, bridges, clock, power } from '../../src/machine/board.ts'
import type { Computer } from '../../src/machine/computer.ts'
import { line } from '../../src/machine/doctor.ts'
import { firstBoot } from '../../src/machine/first-boot.ts'
import { joinArchive } from '../../src/machine/join.ts'
import { mountByUuid } from '../../src/machine/volumes.ts'
import { machine } from './tree.ts'

const examples = resolve(import.meta.dirname, '../../deploy/examples')

const disk = (about: Partial<Attached>): Attached => ({
  device: '/dev/sda',
  disk: '/dev/sda',
  bytes: 1e12,
  fileSystem: '',
  uuid: '',
  mount: '',
  label: '',
  model: 'WDC',
  serial: 'WD-1',
  connection: 'usb',
  ...about,
})
const part = (about: Partial<Attached>): Attached => disk({ device: '/dev/sda1', ...about })

t.test(
  'only the disk with this serial number is formatted, and only when nothing uses it',
  async (t) => {
    const other = disk({ device: '/dev/sdb', disk: '/dev/sdb', serial: 'WD-2' })
    t.equal(erasable([other, disk({})], 'WD-1').device, '/dev/sda')
    t.throws(() => erasable([other], 'WD-1'), /no disk with the serial number WD-1; .*WD-2/)
    t.throws(() => erasable([disk({ serial: '' })], ''), /no disk/)
    t.throws(
      () => erasable([disk({}), disk({ device: '/dev/sdb', disk: '/dev/sdb' })], 'WD-1'),
      /2 disks/,
    )
    t.throws(() => erasable([disk({}), part({ mount: '/' })], 'WD-1'), /mounted at \//)
    t.throws(
      () => erasable([disk({}), part({ label: 'colonnade' })], 'WD-1'),
      /a volume of a pillar/,
    )
  },
)

function computer(root: string): Computer & { calls: string[] } {
  const calls: string[] = []
  return { root, calls, run: (program, args) => void calls.push([program, ...args].join(' ')) }
}

t.test('a disk is mounted by its UUID, by systemd, and remembered for udev', async (t) => {
  const here = computer(t.testdir({}))
  const found = [disk({}), part({ fileSystem: 'ext4', uuid: 'aaaa-1' })]
  t.throws(() => fileSystemOf(found, 'bbbb-2'), /no disk has the UUID bbbb-2; there is: aaaa-1/)
  mountByUuid(here, found, 'aaaa-1', '/mnt/colonnade')
  const unit = readFileSync(join(here.root, 'etc/systemd/system/mnt-colonnade.mount'), 'utf8')
  t.match(unit, /^What=\/dev\/disk\/by-uuid\/aaaa-1$/m)
  t.match(unit, /^Options=nofail,/m)
  t.ok(existsSync(join(here.root, 'etc/colonnade/volumes/aaaa-1')))
  t.ok(existsSync(join(here.root, 'mnt/colonnade')))
  t.ok(here.calls.includes('systemctl start mnt-colonnade.mount'))
  const elsewhere = [part({ fileSystem: 'ext4', uuid: 'aaaa-1', mount: '/media/me' })]
  t.throws(() => mountByUuid(here, elsewhere, 'aaaa-1', '/mnt/colonnade'), /mounted at \/media\/me/)
})

/** The folder that the tracker makes. */
function member(folder: string, key = 'secret'): string {
  mkdirSync(folder, { recursive: true })
  cpSync(join(examples, 'agent.toml'), join(folder, 'agent.toml'))
  writeFileSync(join(folder, 'key.pem'), key, { mode: 0o600 })
  for (const name of ['certificate.pem', 'ca.pem', 'archive-document'])
    writeFileSync(join(folder, name), name)
  return folder
}

t.test('init puts everything in place, twice if need be, and never over another key', async (t) => {
  const here = computer(t.testdir({}))
  const from = member(join(here.root, 'usb/attic'))
  t.same(joinArchive(here, from), { name: 'attic', mount: '/mnt/colonnade' })
  joinArchive(here, from)
  const place = join(here.root, 'etc/colonnade/agent')
  const all = ['agent.toml', 'archive-document', 'ca.pem', 'certificate.pem', 'key.pem']
  t.same(readdirSync(place).sort(), all)
  t.equal(statSync(join(place, 'key.pem')).mode & 0o077, 0)
  writeFileSync(join(from, 'key.pem'), 'another')
  t.throws(() => joinArchive(here, from), /holds the key of a member already/)
  t.equal(readFileSync(join(place, 'key.pem'), 'utf8'), 'secret')
})

// [PKG-5]
t.test('the file on the boot partition is done once, and its secrets are wiped', async (t) => {
  const here = computer(t.testdir({}))
  const boot = join(here.root, 'boot/firmware')
  member(join(boot, 'attic'))
  const text = [
    ...['config = 1', 'name = "cellar-pi"', 'member = "attic"', '[wifi]', 'ssid = "the house"'],
    ...['password = "correct horse"', 'country = "DE"', '[disk]', 'format = "WD-1"', ''],
  ]
  const path = join(boot, 'colonnade.toml')
  writeFileSync(path, text.join('\n'))
  const adopted: string[] = []
  const said: string[] = []
  let list: Attached[] = []
  const steps = {
    computer: here,
    attached: async () => list,
    adopt: async (mount: string) => void adopted.push(mount),
    say: (one: string) => void said.push(one),
  }
  await t.rejects(firstBoot(path, steps), /there is no disk with the serial number WD-1/)
  t.ok(existsSync(path), 'it is tried again at the next start')
  t.notOk(existsSync(join(boot, 'attic')), 'the key is wiped already')
  t.notMatch(readFileSync(path, 'utf8'), /correct horse/)

  list = [disk({})]
  await firstBoot(path, steps)
  t.same(adopted, ['/mnt/colonnade'])
  t.notOk(existsSync(path))
  t.ok(existsSync(join(boot, 'colonnade.done')))
  t.equal(readFileSync(join(here.root, 'etc/hostname'), 'utf8'), 'cellar-pi\n')
  t.ok(here.calls.some((call) => call.startsWith('mkfs.ext4 -q -F -m 0 -L colonnade -U ')))
  t.equal(here.calls.at(-1), 'sync')
  const wifi = join(here.root, 'etc/wpa_supplicant/wpa_supplicant-wlan0.conf')
  t.match(readFileSync(wifi, 'utf8'), /psk="correct horse"/)
  t.equal(statSync(wifi).mode & 0o077, 0)
})

// [PKG-5]
t.test('a code is kept for when there is a network, and wiped from the card', async (t) => {
  const here = computer(t.testdir({}))
  const path = join(here.root, 'boot/firmware/colonnade.toml')
  mkdirSync(dirname(path), { recursive: true })
  const code = 'tracker.example.org/008J4-CT4AN-K7F24-SK647-ESJN8-GSJ44-80MQW'
  const write = (one: string): void =>
    writeFileSync(path, `config = 1\ncode = "${one}"\n[disk]\nuuid = "aaaa-1"\nmount = "/mnt/x"\n`)
  const adopted: string[] = []
  const steps = {
    computer: here,
    attached: async () => [disk({}), part({ fileSystem: 'ext4', uuid: 'aaaa-1' })],
    adopt: async (mount: string) => void adopted.push(mount),
    say: () => undefined,
  }
  write(code.replace('SK647', 'SK674'))
  await t.rejects(firstBoot(path, steps), /the code is mistyped/)
  t.match(readFileSync(path, 'utf8'), /SK674/, 'it can be corrected there')
  write(code)
  await firstBoot(path, steps)
  const kept = join(here.root, 'etc/colonnade/agent/invitation')
  t.equal(readFileSync(kept, 'utf8'), `${code}\n`)
  t.equal(statSync(kept).mode & 0o077, 0)
  t.notMatch(readFileSync(join(dirname(path), 'colonnade.done'), 'utf8'), /SK647/)
  t.ok(here.calls.includes('systemctl start mnt-x.mount'))
  t.equal(readFileSync(`${kept}-mount`, 'utf8'), '/mnt/x\n', 'it is adopted once we know for whom')
  t.same(adopted, [])
})

t.test('a disk that was formatted at the start that was cut is not formatted again', async (t) => {
  const here = computer(t.testdir({}))
  const boot = join(here.root, 'boot/firmware')
  member(join(boot, 'attic'))
  const path = join(boot, 'colonnade.toml')
  writeFileSync(path, 'config = 1\nmember = "attic"\n[disk]\nformat = "WD-1"\n')
  const before = part({ fileSystem: 'ext4', uuid: 'aaaa-1', label: 'colonnade' })
  const steps = {
    computer: here,
    attached: async () => [disk({}), before],
    adopt: async () => undefined,
    say: () => undefined,
  }
  await firstBoot(path, steps)
  t.notOk(here.calls.some((call) => call.startsWith('mkfs')))
  t.match(readFileSync(join(here.root, 'etc/systemd/system/mnt-colonnade.mount'), 'utf8'), /aaaa-1/)
})

t.test('the doctor knows the board, its power and its clock', async (t) => {
  const alarm = 'sys/class/hwmon/hwmon1/in0_lcrit_alarm'
  const root = machine(t, {
    'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
    'sys/class/hwmon/hwmon0/name': 'cpu_thermal\n',
    'sys/class/hwmon/hwmon1/name': 'rpi_volt\n',
    [alarm]: '0\n',
  })
  t.match(board(root).text, /^Raspberry Pi 4 Model B Rev 1\.4, /)
  t.equal(power(root).is, 'ok')
  writeFileSync(join(root, alarm), '1\n')
  t.equal(power(root).is, 'bad')
  t.equal(power(join(root, 'nowhere')).is, 'unknown')

  const built = Date.UTC(2026, 0, 1)
  t.equal(clock(root, 0, built).is, 'bad')
  t.equal(clock(root, built + 1, built).is, 'warn')
  mkdirSync(join(root, 'run/systemd/timesync'), { recursive: true })
  writeFileSync(join(root, 'run/systemd/timesync/synchronized'), '')
  t.equal(clock(root, built + 1, built).is, 'ok')
  const shown = line(clock(root, 0, built))
  t.match(
    shown,
    /^BAD {3}clock +1970-01-01T00:00:00\.000Z, no hardware clock: that is past; is the/,
  )
})

t.test('the doctor knows bridges that hang, by the driver they are used with', async (t) => {
  const usb = 'sys/devices/platform/usb2/2-1'
  const root = machine(t, {
    [`${usb}/idVendor`]: '152d\n',
    [`${usb}/idProduct`]: '0578\n',
    [`${usb}/2-1:1.0/host0/target0/0:0:0:0/block/sda/size`]: '1\n',
    'sys/bus/usb/drivers/uas/bind': '',
    'sys/bus/usb/drivers/usb-storage/bind': '',
  })
  mkdirSync(join(root, 'sys/block'))
  const block = join(root, usb, '2-1:1.0/host0/target0/0:0:0:0/block/sda')
  symlinkSync(block, join(root, 'sys/block/sda'))
  symlinkSync(join(root, 'sys/bus/usb/drivers/uas'), join(root, usb, '2-1:1.0/driver'))
  const [found] = bridges(root)
  t.match(found, { is: 'warn', hint: /usb-storage\.quirks=152d:0578:u/ })
  writeFileSync(join(root, usb, 'idProduct'), '1234\n')
  t.match(bridges(root), [{ is: 'ok', text: 'sda by 152d:1234 (uas)' }])
})
