// What `npm run build` makes: the programs run with nothing beside them, on both processors; the packages install.

import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'
import { composeStory } from '../support/compose-story.ts'
import { needs } from '../support/needs.ts'
import { asksUps } from '../support/serial.ts'
import { type CommandOf, tellStory } from '../support/story.ts'
import { upgradeStory } from '../support/upgrade-story.ts'

const root = resolve(import.meta.dirname, '../..')
const base = mkdtempSync(join(tmpdir(), 'colonnade-binaries-'))
const dist = join(base, 'dist')
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
const names = { agent: 'colonnade-agent', tracker: 'colonnade-tracker', cli: 'colonnade' } as const

function build(...args: string[]) {
  const script = join(root, 'scripts/build.ts')
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, SOURCE_DATE_EPOCH: '1700000000' }
  return spawnSync(process.execPath, [script, '--fast', ...args], { encoding: 'utf8', env })
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  t.equal(status, 0, `${command} ${args.join(' ')}: ${stderr.slice(-2000)}`)
  return stdout
}

const sums = (folder: string): string => readFileSync(join(folder, 'SHA256SUMS'), 'utf8')

t.before(() => {
  const built = build('--out', dist)
  t.equal(built.status, 0, built.stderr)
})
t.teardown(() => rmSync(base, { recursive: true, force: true }))

t.test('programs and packages are there for both processors, with their digests', async (t) => {
  const arches = [
    ['x64', 'amd64'],
    ['arm64', 'arm64'],
  ]
  const wanted = arches.flatMap(([node, debian]) => [
    ...Object.values(names).map((name) => `${name}-linux-${node}`),
    ...['agent', 'tracker'].map((name) => `colonnade-${name}_${version}_${debian}.deb`),
  ])
  t.same(readdirSync(dist).sort(), [...wanted, 'LICENCES', 'SHA256SUMS'].sort())
  const checked = spawnSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: dist, encoding: 'utf8' })
  t.equal(checked.status, 0, checked.stderr)
  t.equal(checked.stdout.match(/: OK$/gm)?.length, wanted.length + 1)
  // Of Node.js 24 stripped; some megabytes more are a bundle that has grown by something that it should not have.
  for (const name of Object.values(names))
    t.ok(statSync(join(dist, `${name}-linux-arm64`)).size < 109e6, name)
  t.match(readFileSync(join(dist, 'LICENCES'), 'utf8'), /^mqtt 5\.\d+\.\d+\n\nThe MIT License/m)
})

// [PKG-1]
t.test('a build from another folder gives the same bytes', async (t) => {
  const again = join(base, 'again')
  const built = build('--out', again, '--arch', 'x64')
  t.equal(built.status, 0, built.stderr)
  const lines = sums(again).trimEnd().split('\n')
  t.equal(lines.length, 6)
  for (const line of lines) t.ok(sums(dist).includes(line), line)
  rmSync(again, { recursive: true })
})

const native: CommandOf = (program) => [join(dist, `${names[program]}-linux-x64`)]

t.test('the x64 programs do the whole work with nothing beside them', (t) =>
  tellStory(t, join(base, 'x64'), {
    tracker: native,
    pillars: { attic: native, cellar: native },
    putter: native,
    getter: native,
  }),
)

const cable = needs(t, ['socat'])

// [PKG-7]
t.test('the x64 program speaks over a serial line', cable, (t) =>
  asksUps(t, native('agent'), join(base, 'x64-serial')),
)

// [PKG-2]
t.test('a transfer goes on where it was when the program is upgraded', (t) =>
  upgradeStory(t, join(dist, `${names.agent}-linux-x64`)),
)

const emulation = needs(t, ['qemu-aarch64-static', 'mmdebstrap', 'socat'])
const sysroot = join(base, 'arm64-root')
// Its loader and libraries are named, not `-L`: that would also lead the program's own paths into the root.
const emulated: CommandOf = (program) => [
  '/usr/bin/qemu-aarch64-static',
  join(sysroot, 'lib/ld-linux-aarch64.so.1'),
  '--library-path',
  ['lib', 'usr/lib'].map((lib) => join(sysroot, lib, 'aarch64-linux-gnu')).join(':'),
  join(dist, `${names[program]}-linux-arm64`),
]

t.test('the arm64 programs do it together with x64 ones', emulation, async (t) => {
  const packages = '--include=libc6,libstdc++6,libgcc-s1'
  run('mmdebstrap', '--variant=extract', '--arch=arm64', packages, 'bookworm', sysroot)
  await tellStory(t, join(base, 'arm64'), {
    tracker: emulated,
    pillars: { attic: emulated, cellar: native },
    putter: emulated,
    getter: native,
  })
  await asksUps(t, emulated('agent'), join(base, 'arm64-serial'))
})

/** A Debian where they were never installed; made once. */
const system = join(base, 'system')
t.before(() => {
  if (installing.skip !== undefined) return
  const include = '--include=systemd,udev,passwd,libstdc++6,init-system-helpers,mosquitto'
  run('mmdebstrap', '--variant=minbase', include, 'bookworm', system)
})

const installing = needs(t, ['mmdebstrap', 'dpkg-deb', 'systemd-analyze', 'chroot'], true)

// [PKG-3]
t.test('the packages install, upgrade, and leave all data when they go', installing, async (t) => {
  const inside = (...args: string[]): string => run('chroot', system, ...args)
  const install = (folder: string, ...packages: string[]): void => {
    for (const one of packages) {
      const name = readdirSync(folder).find((found) => found.startsWith(`${one}_`)) ?? one
      run('cp', join(folder, name), join(system, 'tmp', 'package.deb'))
      inside('dpkg', '-i', '/tmp/package.deb')
    }
  }
  const amd64 = join(base, 'amd64')
  mkdirSync(amd64)
  for (const name of readdirSync(dist).filter((one) => one.endsWith('_amd64.deb')))
    run('cp', join(dist, name), amd64)
  install(amd64, 'colonnade-agent', 'colonnade-tracker')

  t.match(inside('getent', 'passwd', 'colonnade'), /:\/nonexistent:\/usr\/sbin\/nologin$/m)
  t.match(inside('getent', 'passwd', 'colonnade-tracker'), /nologin$/m)
  t.equal(inside('colonnade-agent', '--version').trim(), version)
  t.equal(inside('colonnade-tracker', '--version').trim(), version)
  t.equal(inside('colonnade', '--version').trim(), version)
  for (const unit of ['colonnade-agent', 'colonnade-tracker', 'colonnade-first-boot']) {
    t.equal(inside('systemctl', 'is-enabled', `${unit}.service`).trim(), 'enabled')
    const path = `/usr/lib/systemd/system/${unit}.service`
    run('systemd-analyze', 'verify', '--man=no', `--root=${system}`, path)
  }

  // A member with data, as a board has it.
  inside('colonnade-tracker', 'init', '/var/lib/colonnade-tracker', '--host', '127.0.0.1')
  const owner = inside('stat', '-c', '%U', '/var/lib/colonnade-tracker/tracker/key.pem')
  t.equal(owner.trim(), 'colonnade-tracker')
  // With it the tracker signs for those who were invited.
  const ownerKey = inside('stat', '-c', '%U %a', '/var/lib/colonnade-tracker/archive/owner.key')
  t.equal(ownerKey.trim(), 'colonnade-tracker 600')
  inside('colonnade-tracker', 'add', 'pillar', 'attic', '/var/lib/colonnade-tracker', '--out', '/a')
  inside('colonnade-agent', 'init', '/a')
  inside('colonnade-agent', 'init', '/a')
  t.equal(inside('stat', '-c', '%U %a', '/etc/colonnade/agent/key.pem').trim(), 'colonnade 600')
  inside('mkdir', '/mnt/colonnade')
  inside('colonnade-agent', 'disks', 'adopt', '/mnt/colonnade')
  t.equal(inside('stat', '-c', '%U', '/mnt/colonnade/colonnade/volume.json').trim(), 'colonnade')

  const next = join(base, 'next')
  t.equal(build('--out', next, '--arch', 'x64', '--as', '9.9.9').status, 0)
  install(next, 'colonnade-agent')
  rmSync(next, { recursive: true })
  const lib = '/usr/lib/colonnade/agent'
  t.equal(inside('readlink', `${lib}/current`).trim(), '9.9.9')
  t.equal(inside('readlink', `${lib}/previous`).trim(), version)
  t.equal(inside(`${lib}/previous/colonnade-agent`, '--version').trim(), version)
  t.notOk(existsSync(join(system, lib, 'trial')), 'nothing ran, so nothing is on trial')

  inside('dpkg', '--purge', 'colonnade-agent', 'colonnade-tracker')
  t.notOk(existsSync(join(system, 'usr/lib/colonnade')))
  t.notOk(existsSync(join(system, 'usr/bin/colonnade-agent')))
  const kept = ['mnt/colonnade/colonnade/volume.json', 'etc/colonnade/agent/key.pem']
  for (const path of [...kept, 'var/lib/colonnade-tracker/archive/owner.key'])
    t.ok(existsSync(join(system, path)), `${path} is left`)
  t.match(inside('getent', 'passwd', 'colonnade'), /nologin/)
})

const containers = needs(t, ['mmdebstrap', 'bwrap', 'setpriv', 'ip'], true)

t.test('the services of the compose file do the work, confined as it says', containers, (t) =>
  composeStory(t, { base: join(base, 'compose'), dist, image: system }),
)
