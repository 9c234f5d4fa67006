// What deploy/ ships is right, as far as the programs that read it can tell without being installed.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { firstBootShape } from '../src/machine/first-boot.ts'
import { mountingFiles, mountUnit } from '../src/machine/mounting.ts'
import { readConfig, type Shape } from '../src/system/config.ts'
import { agentShape, clientShape, trackerShape } from '../src/system/config-shapes.ts'
import { needs } from './support/needs.ts'

const deploy = resolve(import.meta.dirname, '../deploy')
const read = (path: string): string => readFileSync(join(deploy, path), 'utf8')
const analyze = needs(t, ['systemd-analyze'])

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const
  const { status, stdout, stderr } = spawnSync(command, args, options)
  return { status, said: `${stdout}${stderr}` }
}

t.test('every example is a configuration that the programs take', async (t) => {
  const shapes: Record<string, Shape> = {
    'agent.toml': agentShape,
    'tracker.toml': trackerShape,
    'client.toml': clientShape,
    'colonnade.toml': firstBootShape,
  }
  t.same(readdirSync(join(deploy, 'examples')).sort(), Object.keys(shapes).sort())
  for (const [name, shape] of Object.entries(shapes))
    t.same(readConfig(join(deploy, 'examples', name), shape).warnings, [], name)
})

t.test('the services are confined: a score of 3.0 at most', analyze, async (t) => {
  for (const name of ['agent', 'tracker']) {
    const unit = join(deploy, 'systemd', `colonnade-${name}.service`)
    const args = ['security', '--offline=true', '--threshold=30', '--no-pager', unit]
    const { status, said } = run('systemd-analyze', args)
    t.equal(status, 0, said)
  }
})

t.test('the services stop, start and are limited as promised', async (t) => {
  for (const name of ['agent', 'tracker']) {
    const unit = read(`systemd/colonnade-${name}.service`)
    for (const line of ['Type=notify', 'Restart=always', 'WatchdogSec=2min', 'TasksMax=64'])
      t.ok(unit.includes(`\n${line}\n`), line)
    t.match(unit, /^MemoryMax=\d+M$/m)
    t.match(unit, /^Environment="NODE_OPTIONS=--max-old-space-size=\d+ /m)
  }
})

t.test('of all devices the agent may open serial lines only', async (t) => {
  const unit = read('systemd/colonnade-agent.service')
  t.match(unit, /^DevicePolicy=closed$/m)
  const allowed = [...unit.matchAll(/^DeviceAllow=(.*)$/gm)].map(([, what]) => what)
  t.ok(allowed.length > 0)
  for (const what of allowed) t.match(what, /^char-tty(USB|ACM|AMA|S) rw$/)
})

// [PKG-4]
t.test(
  'the units that mount a disk are right, and a start does not wait for it',
  analyze,
  async (t) => {
    const root = t.testdir({})
    const uuid = '0f1d2c3b-4a59-4687-9e10-a2b3c4d5e6f7'
    const mount = '/mnt/my disk'
    t.throws(() => mountingFiles({ uuid, mount, fileSystem: 'ext4' }), 'a space is not taken')
    const files = mountingFiles({ uuid, mount: '/mnt/my-disk', fileSystem: 'exfat' })
    for (const [path, text] of files) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    const name = mountUnit('/mnt/my-disk')
    t.equal(name, 'mnt-my\\x2ddisk.mount')
    const escaped = run('systemd-escape', ['--path', `/dev/disk/by-uuid/${uuid}`]).said.trim()
    t.ok(files.has(`/etc/systemd/system/${escaped}.device.d/colonnade.conf`), escaped)
    const unit = files.get(`/etc/systemd/system/${name}`) ?? ''
    t.match(unit, /^Options=nofail,.*uid=colonnade/m)
    t.match(unit, /^WantedBy=multi-user.target dev-disk-by/m)
    const path = join(root, '/etc/systemd/system', name)
    const { status, said } = run('systemd-analyze', ['verify', '--man=no', path])
    t.equal(status, 0, said)
  },
)

t.test('the rule for disks names labels that there are', async (t) => {
  const rules = read('udev/61-colonnade.rules')
  const wanted = [...rules.matchAll(/GOTO="(\w+)"/g)].map(([, name]) => name)
  const there = [...rules.matchAll(/LABEL="(\w+)"/g)].map(([, name]) => name)
  t.ok(wanted.length > 0)
  t.same([...new Set(wanted)], there)
  for (const line of rules.split('\n').filter((one) => one !== '' && !one.startsWith('#')))
    t.match(line, /^(\w+(\{\w+\})?(==|!=|=|\+=)"[^"]*"(, )?)+$/, line)
})

// [BAY-7]
t.test('what is asked to be unmounted is a disk of ours, or stays', async (t) => {
  const folder = t.testdir({
    bin: {},
    release: {
      'mnt-disk.mount': '',
      'mnt-else.mount': '',
      'colonnade-agent.service': '',
      'mnt-$(reboot).mount': '',
      '.hidden.mount': '',
    },
    stop: { 'mnt-disk.mount': '', 'mnt-else.mount': '', 'mnt-a b.mount': '' },
    units: {
      'mnt-disk.mount':
        '[Unit]\nDescription=Disk of a Colonnade pillar\n[Mount]\nWhat=/dev/disk/by-uuid/a-b\n',
      'mnt-else.mount': '[Unit]\nDescription=Somebody else\n',
      'colonnade-agent.service': '[Unit]\nDescription=Disk of a Colonnade pillar\n',
    },
  })
  const tool = `#!/bin/sh\necho "\${0##*/} $*; $(ls ${folder}/release | grep -c '^mnt-disk')" >>${folder}/calls\n`
  for (const name of ['systemctl', 'hdparm'])
    writeFileSync(join(folder, 'bin', name), tool, { mode: 0o755 })
  const { status, said } = run('sh', [join(deploy, 'packages/release')], {
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    RELEASE_FOLDER: join(folder, 'release'),
    STOP_FOLDER: join(folder, 'stop'),
    RELEASE_UNITS: join(folder, 'units'),
  })
  t.equal(status, 0, said)
  t.same(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n'), [
    'systemctl stop mnt-disk.mount; 1',
    // Its heads are parked before its power goes: until then the request is there.
    'hdparm -q -y /dev/disk/by-uuid/a-b; 1',
    // One that stays mounted is only stopped.
    'hdparm -q -y /dev/disk/by-uuid/a-b; 0',
  ])
  t.same(readdirSync(join(folder, 'stop')), [])
  t.same(readdirSync(join(folder, 'release')), ['.hidden.mount'], 'and is not asked again')
  const made = mountingFiles({ uuid: 'a-b', mount: '/mnt/disk', fileSystem: 'ext4' })
  t.match(
    made.get('/etc/systemd/system/mnt-disk.mount'),
    /^Description=Disk of a Colonnade pillar$/m,
  )
})

// [BAY-8]
t.test('the agent asks for a disk to be stopped by the unit that mounts it', analyze, async (t) => {
  const folder = t.testdir({})
  const { status, said } = run('sh', [join(deploy, 'packages/stop-disk'), '/mnt/my-disk'], {
    RUNTIME_DIRECTORY: folder,
  })
  t.equal(status, 0, said)
  t.same(readdirSync(join(folder, 'stop')), [mountUnit('/mnt/my-disk')])
  t.match(
    read('systemd/colonnade-release.path'),
    /^PathExistsGlob=\/run\/colonnade-agent\/stop\/\*$/m,
  )
})

// [PWR-9]
t.test('what the agent leaves behind switches the board off, once', async (t) => {
  const notes = readFileSync(resolve(deploy, '../firmware-notes/ups-megatec.md'), 'utf8')
  const [, file] = /shutdown = \["touch", "([^"]+)"\]/.exec(notes) ?? []
  t.match(read('systemd/colonnade-power-off.path'), new RegExp(`^PathExists=${file}$`, 'm'))
  const unit = read('systemd/colonnade-power-off.service')
  const steps = [...unit.matchAll(/^ExecStart=(.*)$/gm)].map(([, step]) => step)
  t.same(steps, [`rm -f ${file}`, 'systemctl poweroff'])
})

t.test('the units of requests are right', analyze, async (t) => {
  for (const name of ['colonnade-release', 'colonnade-power-off']) {
    const units = ['path', 'service'].map((kind) => join(deploy, 'systemd', `${name}.${kind}`))
    const { said } = run('systemd-analyze', ['verify', '--man=no', ...units])
    // Programs of the package are not installed here.
    const wrong = said.split('\n').filter((line) => line !== '' && !/is not executable/.test(line))
    t.same(wrong, [])
  }
})

// [BAY-8]
t.test('a disk is told when to stop by what there is, and only where it is wished', async (t) => {
  const folder = t.testdir({ bin: {}, wished: '' })
  const tell = (works: readonly string[], wish: string) => {
    for (const tool of ['hdparm', 'sdparm']) {
      const text = `#!/bin/sh\necho ${tool} "$@" >>${folder}/calls\nexit ${works.includes(tool) ? 0 : 1}\n`
      writeFileSync(join(folder, 'bin', tool), text, { mode: 0o755 })
    }
    writeFileSync(join(folder, 'calls'), '')
    const { status, said } = run('/bin/sh', [join(deploy, 'packages/spin-down'), '/dev/sda1'], {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      SPIN_DOWN_WISH: join(folder, wish),
    })
    t.equal(status, 0, said)
    return { said, calls: readFileSync(join(folder, 'calls'), 'utf8') }
  }
  t.equal(tell(['hdparm'], 'not-wished').calls, '')
  t.equal(tell(['hdparm'], 'wished').calls, 'hdparm -q -S 120 /dev/sda1\n')
  t.match(tell(['sdparm'], 'wished').calls, /^hdparm .*\nsdparm --quiet .* \/dev\/sda1\n$/)
  t.match(tell([], 'wished').said, /could not be told/)
})

t.test('the compose file mounts what there is, and confines both', async (t) => {
  const { services, volumes } = parse(read('compose.yaml'))
  t.same(Object.keys(services).sort(), ['broker', 'tracker'])
  for (const service of Object.values<Record<string, string[]>>(services)) {
    t.same(service.cap_drop, ['ALL'])
    t.equal(service.read_only, true)
    for (const volume of service.volumes ?? [])
      t.ok(/^\.{1,2}\//.test(volume) || (volume.split(':')[0] ?? '') in volumes, volume)
  }
  t.ok(services.tracker.volumes[0].startsWith('../dist/colonnade-tracker-linux-x64:'))
  t.equal(
    services.broker.ports[0].split(':')[1],
    read('mosquitto.conf').match(/^listener (\d+)/m)?.[1],
  )
})

/** A folder as the package leaves it, with a `systemctl` that says what the test wants. */
function versions(t: Test, show: string) {
  const folder = t.testdir({ package: {}, bin: {} })
  writeFileSync(join(folder, 'versions'), read('packages/versions'), { mode: 0o755 })
  const systemctl = `#!/bin/sh\necho "$@" >>${folder}/calls\n[ "$1" = show ] || exit 0\n${show}\n`
  writeFileSync(join(folder, 'bin/systemctl'), systemctl, { mode: 0o755 })
  const say = (...args: string[]) =>
    run(join(folder, 'versions'), args, {
      PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
      TRIAL_SECONDS: '1',
      TRIAL_PAUSE: '1',
    })
  return {
    say,
    folder,
    /** What dpkg does: another file under the same name. */
    unpack(text: string) {
      const path = join(folder, 'package/program')
      spawnSync('rm', ['-f', path])
      writeFileSync(path, text)
      chmodSync(path, 0o755)
    },
    link: (name: string) => readlinkSync(join(folder, name)),
    runs: () => readFileSync(join(folder, 'current/program'), 'utf8'),
  }
}

const healthy = 'case $3 in NRestarts) echo 0;; MainPID) echo 7;; ActiveState) echo active;; esac'
const crashing =
  'case $3 in NRestarts) n=$(wc -l <$0.n 2>/dev/null || echo 0); echo >>$0.n; echo $n;; MainPID) echo 0;; *) echo activating;; esac'

t.test('a new version that works becomes the only one that is tried', async (t) => {
  const { say, unpack, link, runs, folder } = versions(t, healthy)
  unpack('one')
  t.equal(say('install', '1.0').status, 0)
  unpack('two')
  t.equal(say('try', '2.0').status, 0)
  t.equal(link('current'), '2.0')
  t.equal(link('previous'), '1.0')
  t.equal(readFileSync(join(folder, '1.0/program'), 'utf8'), 'one', 'the one before is left')
  t.equal(say('check', 'x.service').status, 0)
  t.equal(runs(), 'two')
  t.notOk(existsSync(join(folder, 'trial')))
  t.notMatch(readFileSync(join(folder, 'calls'), 'utf8'), /restart/)
  unpack('three')
  say('install', '3.0')
  t.notOk(existsSync(join(folder, '1.0')), 'two are kept')
})

// [PKG-2]
t.test('a new version that keeps ending is taken back', async (t) => {
  const { say, unpack, link, runs, folder } = versions(t, crashing)
  unpack('one')
  say('install', '1.0')
  unpack('two')
  say('try', '2.0')
  t.equal(runs(), 'two')
  const { status, said } = say('check', 'x.service')
  t.equal(status, 0)
  t.match(said, /version 2.0 failed, 1.0 is started again/)
  t.equal(link('current'), '1.0')
  t.equal(runs(), 'one')
  t.match(readFileSync(join(folder, 'calls'), 'utf8'), /^restart --no-block x\.service$/m)
  t.equal(say('check', 'x.service').said, '', 'it is over')
})

t.test('a new version that never says that it is ready is taken back', async (t) => {
  const starting =
    'case $3 in NRestarts) echo 0;; MainPID) echo 7;; ActiveState) echo activating;; esac'
  const { say, unpack, link } = versions(t, starting)
  unpack('one')
  say('install', '1.0')
  unpack('two')
  say('try', '2.0')
  t.match(say('check', 'x.service').said, /version 2.0 failed/)
  t.equal(link('current'), '1.0')
})

t.test('a cut between the steps of an upgrade leaves one that runs', async (t) => {
  const { say, unpack, runs, folder } = versions(t, healthy)
  unpack('one')
  say('install', '1.0')
  // Noted as on trial, not yet switched.
  mkdirSync(join(folder, '2.0'))
  writeFileSync(join(folder, 'trial'), '1.0\n')
  t.equal(say('check', 'x.service').status, 0)
  t.equal(runs(), 'one')
  t.notOk(existsSync(join(folder, 'trial')))
  t.equal(say('install', '../etc').status, 2)
})

t.test('pauses between failed starts grow, and are forgotten', async (t) => {
  const folder = t.testdir({})
  const say = (what: string, result = '') =>
    run('sh', [join(deploy, 'packages/back-off'), what, 'x'], {
      BACK_OFF_FOLDER: folder,
      BACK_OFF_SLEEP: 'echo slept',
      SERVICE_RESULT: result,
    }).said
  t.equal(say('wait'), '')
  const pauses = Array.from({ length: 8 }, () => {
    say('ended', 'exit-code')
    return Number(say('wait').match(/slept (\d+)/)?.[1])
  })
  t.same(pauses, [5, 10, 20, 40, 80, 160, 300, 300])
  say('ended', 'success')
  t.equal(say('wait'), '')
  say('ended', 'watchdog')
  writeFileSync(join(folder, 'x.failures'), '5 -1000\n')
  say('ended', 'exit-code')
  t.match(say('wait'), /slept 5/, 'what ran for long has not failed to start')
})
