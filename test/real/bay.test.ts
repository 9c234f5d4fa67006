// A pillar of real processes whose disks sleep: their power by a real serial line, their file systems really mounted and not.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { mountUnit } from '../../src/machine/mounting.ts'
import { mountsIn } from '../../src/machine/mounts.ts'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld } from '../../src/programs/program.ts'
import { systemSerial } from '../../src/serial/node.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { systemWorld } from '../../src/system/world.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { simController } from '../support/bay-controller.ts'
import { writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { startCable } from '../support/serial.ts'
import { until } from '../support/until.ts'

const possible = needs(t, ['socat', 'mount', 'umount'], true)

/** Disks of a pillar, small ones, by the bays that they are in. */
interface Bay {
  readonly slot: number
  readonly mount: string
  /** What is mounted there when it has power. */
  readonly medium: string
}

// [BAY-3] [BAY-4] [BAY-5] [BAY-7] [BAY-9]
t.test('two disks', possible, async (t) => {
  const archive = await makeArchive(t)
  const { home, pillars } = archive
  const path = join(home, 'pillar-3', 'agent.toml')
  const first = dirname(archive.volume('pillar-3'))
  const disks: [Bay, Bay] = [
    { slot: 1, mount: first, medium: `${home}-1` },
    { slot: 0, mount: `${first}.second`, medium: `${home}-2` },
  ]
  const [one, two] = disks
  const { values } = readConfig(path, agentShape)
  makeMedium(t, one.medium, 128)
  makeMedium(t, two.medium, 126)
  rmSync(archive.volume('pillar-3'), { recursive: true })
  for (const { medium, mount } of disks) {
    await adopt(openWorld(values), values, medium)
    mkdirSync(mount, { recursive: true })
  }
  const run = join(home, 'run')
  process.env.RUNTIME_DIRECTORY = run
  const cable = await startCable(t)
  const bays = await rack(cable.device, disks, join(run, 'release'))
  t.teardown(bays.close)
  const agent = pillars['pillar-3']
  changeConfig(path, {
    ...{ 'volume.mounts': [two.mount], 'bay.slots': ['0'], 'bay.slot': 1, 'bay.linger': '2s' },
    ...{ 'bay.index': 'index', 'bay.controller': cable.host },
  })
  await archive.start()
  const [began, then] = bays.starts()
  t.ok((then ?? 0) - (began ?? 0) >= 12_000, 'both were woken to be opened, one after the other')
  const volume = JSON.parse(readFileSync(join(one.medium, 'colonnade/volume.json'), 'utf8')).volume
  const own = join(home, 'pillar-3', 'index', volume)
  t.ok(existsSync(join(own, '.index.sqlite')))
  t.notOk(existsSync(join(one.medium, 'colonnade/.index.sqlite')), 'one index, at one place')
  const asleep = () => until('their power is gone', () => !bays.isOn(0) && !bays.isOn(1))

  const source = join(home, 'source')
  writeNoise(join(source, 'a.bin'), 5_000_000, 1)
  writeNoise(join(home, 'more', 'b.bin'), 3_000_000, 2)
  const command = async (...args: string[]) => {
    const ended = await (await archive.colonnade(args)).ended
    t.equal(ended.code, 0, ended.errors)
    return ended.output
  }
  await asleep()
  await command('put', collection, source, '--as', 'source', '--wait', 'all')
  await asleep()
  await command('put', collection, join(home, 'more'), '--as', 'more', '--wait', 'all')
  await asleep()
  for (const { mount } of disks)
    t.same(readdirSync(mount), [], 'nothing was written to where it is mounted')
  const kept = (disk: Bay, id: string) =>
    existsSync(join(disk.medium, 'colonnade', collection, 'data', id))
  t.ok(kept(one, 'source/a.bin') && kept(two, 'more/b.bin'), 'each disk has a file')
  t.match(await command('status'), /pillar-3 .*2 files/, 'it is asked how it is, and sleeps on')
  const ask = (what: string): string => {
    const script = join(import.meta.dirname, '../../src/agent.ts')
    return `${spawnSync(process.execPath, [script, what, '--config', path]).stdout}`
  }
  t.match(ask('doctor'), /^- +disk .*: it sleeps$/m)
  t.match(ask('power'), /^disk .* in bay 1: asleep, and can be read in [\d.]+ s$/m)
  t.match(ask('disks'), /./)
  t.notOk(bays.isOn(0) || bays.isOn(1), 'none of them wakes one')

  // Killed while the disks sleep, it wakes them when it starts: it has to look.
  await agent.kill()
  agent.start()
  await agent.ready()
  await asleep()
  // Both asked for at once.
  const woken = bays.starts().length
  const back = join(home, 'back')
  const names = ['source/a.bin', 'more/b.bin']
  await command('get', collection, ...names, '-o', back, '--pillar', 'pillar-3')
  const [third, fourth] = bays.starts().slice(woken)
  t.ok((fourth ?? 0) - (third ?? 0) >= 12_000, 'one after the other')
  for (const name of names)
    t.ok(readFileSync(join(back, name)).equals(readFileSync(join(home, name))))
  await asleep()
  t.same(bays.mistakes, [], 'no power was cut below a mounted file system')

  // Without its index, or by a configuration that does not know of it, it is not opened; the other is.
  await agent.kill('SIGTERM')
  renameSync(own, `${own}.lost`)
  agent.start()
  await agent.ready()
  t.match(agent.said(), /was kept elsewhere, and is not at/)
  t.match(await command('status'), /is not available/)
  await asleep()
  renameSync(`${own}.lost`, own)
})

/** A small file system, so that it is known which disk has more room. */
function makeMedium(t: Test, at: string, megabytes: number): void {
  mkdirSync(at, { recursive: true })
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', at])
  t.teardown(() => {
    spawnSync('umount', ['-l', at])
    rmSync(at, { recursive: true, force: true })
  })
}

/** A controller at the other end of the line, and what a machine does when a disk gets power, or is to be unmounted. */
async function rack(device: string, disks: readonly Bay[], requests: string) {
  const { clock } = systemWorld('bays', 'silent')
  const sim = simController(clock, 2)
  const mistakes: string[] = []
  const isMounted = ({ mount }: Bay): boolean =>
    mountsIn(readFileSync('/proc/self/mountinfo', 'utf8')).some(({ at }) => at === mount)
  const line = await systemSerial.open({ path: device, baud: 9600 })
  line.onBytes((bytes) => {
    const before = disks.filter(({ slot }) => sim.hasPower(slot))
    const answer = sim.answer(bytes)
    for (const one of before)
      if (!sim.hasPower(one.slot) && isMounted(one)) mistakes.push('cut while mounted')
    if (answer !== '') void line.write(Buffer.from(answer))
  })
  /** For how long each had power when it was unmounted. */
  const unmountedAt = new Map<Bay, number>()
  const timer = setInterval(() => {
    for (const disk of disks) {
      const request = join(requests, mountUnit(disk.mount))
      const onFor = sim.onFor(disk.slot)
      if (onFor < (unmountedAt.get(disk) ?? 0)) unmountedAt.delete(disk)
      if (existsSync(request)) {
        spawnSync('umount', [disk.mount])
        rmSync(request, { force: true })
        unmountedAt.set(disk, onFor)
      } else if (onFor > 3_500 && !isMounted(disk) && !unmountedAt.has(disk))
        spawnSync('mount', ['--bind', disk.medium, disk.mount])
    }
  }, 100)
  return {
    mistakes,
    isOn: sim.hasPower,
    starts: () => sim.changes.filter(({ on }) => on).map(({ at }) => at),
    async close() {
      clearInterval(timer)
      await line.close()
      for (const one of disks) if (isMounted(one)) spawnSync('umount', [one.mount])
    },
  }
}
