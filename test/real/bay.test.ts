// A pillar of real processes whose disk sleeps: its power by a real serial line, its file system really mounted and not.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { mountsIn } from '../../src/machine/mounts.ts'
import { systemSerial } from '../../src/serial/node.ts'
import { systemWorld } from '../../src/system/world.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { simController } from '../support/bay-controller.ts'
import { writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { startCable } from '../support/serial.ts'
import { until } from '../support/until.ts'

const possible = needs(t, ['socat', 'mount', 'umount'], true)

// [BAY-4] [BAY-5] [BAY-7] [BAY-9]
t.test('it wakes for work, delivers, is unmounted, and its power goes', possible, async (t) => {
  const archive = await makeArchive(t)
  const { home, pillars } = archive
  const mount = dirname(archive.volume('pillar-3'))
  const medium = `${mount}.medium`
  const run = join(home, 'run')
  renameSync(mount, medium)
  mkdirSync(mount)
  process.env.RUNTIME_DIRECTORY = run
  const cable = await startCable(t)
  const bays = await rack(cable.device, { mount, medium, requests: join(run, 'release') })
  t.teardown(bays.close)
  const agent = pillars['pillar-3']
  changeConfig(join(home, 'pillar-3', 'agent.toml'), {
    ...{ 'bay.index': 'index', 'bay.controller': cable.host, 'bay.slot': 1, 'bay.linger': '2s' },
  })
  await archive.start()
  t.ok(bays.isOn(), 'it was woken to be opened')
  const volume = JSON.parse(readFileSync(join(medium, 'colonnade/volume.json'), 'utf8')).volume
  const own = join(home, 'pillar-3', 'index', volume)
  t.ok(existsSync(join(own, '.index.sqlite')))
  t.notOk(existsSync(join(medium, 'colonnade/.index.sqlite')), 'one index, at one place')

  const source = join(home, 'source')
  writeNoise(join(source, 'a.bin'), 3_000_000, 1)
  const command = async (...args: string[]) => {
    const ended = await (await archive.colonnade(args)).ended
    t.equal(ended.code, 0, ended.errors)
    return ended.output
  }
  await command('put', collection, source, '--as', 'source', '--wait', 'all')
  await until('its power is gone', () => !bays.isOn())
  t.same(readdirSync(mount), [], 'nothing was written to where it is mounted')
  t.match(await command('status'), /pillar-3 .*1 file/, 'it is asked how it is, and sleeps on')
  const looking = spawnSync(process.execPath, [
    join(import.meta.dirname, '../../src/agent.ts'),
    ...['doctor', '--config', join(home, 'pillar-3', 'agent.toml')],
  ])
  t.match(`${looking.stdout}`, /^- +disk .*it sleeps, or is not there$/m)
  t.notOk(bays.isOn(), 'nor does the doctor wake it')

  // Killed while the disk sleeps, it wakes it when it starts: it has to look.
  await agent.kill()
  agent.start()
  await agent.ready()
  await until('its power is gone', () => !bays.isOn())
  const back = join(home, 'back.bin')
  const getting = command('get', collection, 'source/a.bin', '-o', back, '--pillar', 'pillar-3')
  await until('it is woken', () => bays.isOn())
  await getting
  t.ok(readFileSync(back).equals(readFileSync(join(source, 'a.bin'))))
  await until('its power is gone', () => !bays.isOn())
  t.same(bays.mistakes, [], 'no power was cut below a mounted file system')

  // Without its index, or by a configuration that does not know of it, it is not opened.
  await agent.kill('SIGTERM')
  renameSync(own, `${own}.lost`)
  agent.start()
  await agent.ended()
  t.match(agent.said(), /was kept elsewhere, and is not at/)
  t.notOk(bays.isOn(), 'and its disk is not left on')
  renameSync(`${own}.lost`, own)
})

/** A controller at the other end of the line, and what a machine does when a disk gets power, or is to be unmounted. */
async function rack(
  device: string,
  { mount, medium, requests }: Readonly<Record<'mount' | 'medium' | 'requests', string>>,
) {
  const slot = 1
  const { clock } = systemWorld('bays', 'silent')
  const sim = simController(clock, 2)
  const mistakes: string[] = []
  const isMounted = (): boolean =>
    mountsIn(readFileSync('/proc/self/mountinfo', 'utf8')).some(({ at }) => at === mount)
  const line = await systemSerial.open({ path: device, baud: 9600 })
  line.onBytes((bytes) => {
    const before = sim.hasPower(slot)
    const answer = sim.answer(bytes)
    if (before && !sim.hasPower(slot) && isMounted()) mistakes.push('cut while mounted')
    if (answer !== '') void line.write(Buffer.from(answer))
  })
  const timer = setInterval(() => {
    const [request] = existsSync(requests) ? readdirSync(requests) : []
    if (request !== undefined) {
      spawnSync('umount', [mount])
      rmSync(join(requests, request), { force: true })
    } else if (sim.onFor(slot) > 3_500 && !isMounted() && !released(sim.onFor(slot)))
      spawnSync('mount', ['--bind', medium, mount])
    if (request !== undefined) unmountedAt = sim.onFor(slot)
  }, 100)
  let unmountedAt: number | undefined
  /** Since it has power this time. */
  const released = (onFor: number): boolean => {
    if (unmountedAt !== undefined && onFor < unmountedAt) unmountedAt = undefined
    return unmountedAt !== undefined
  }
  return {
    mistakes,
    isOn: () => sim.hasPower(slot),
    async close() {
      clearInterval(timer)
      await line.close()
      if (isMounted()) spawnSync('umount', [mount])
    },
  }
}
