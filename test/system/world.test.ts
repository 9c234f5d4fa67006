import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { test } from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { systemWorld } from '../../src/system/world.ts'
import { digestOf, type World } from '../../src/world/world.ts'

const time = simClock()
const worlds: [string, World][] = [
  ['system', systemWorld('test', 'silent')],
  ['simulated', simWorld(time.clock, simRandom(1), 'test')],
]

for (const [name, world] of worlds) {
  test(`${name}: digests are SHA-256 in lower-case hexadecimal`, async (t) => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    t.equal(digestOf(world, 'abc'), abc)
    const pieces = world.hashing
      .start('sha256')
      .update('a')
      .update(new Uint8Array([98, 99]))
    t.equal(pieces.hex(), abc)
  })

  test(`${name}: chance lies in [0, 1) and bytes are as many as asked for`, async (t) => {
    const drawn = Array.from({ length: 1000 }, () => world.random.next())
    t.ok(drawn.every((number) => number >= 0 && number < 1))
    t.ok(new Set(drawn).size > 990)
    t.equal(world.random.bytes(33).length, 33)
    t.equal(world.random.bytes(0).length, 0)
    t.notSame(world.random.bytes(16), world.random.bytes(16))
  })

  test(`${name}: an aborted sleep resolves at once`, async (t) => {
    const stop = new AbortController()
    const asleep = world.clock.sleep(3600_000, stop.signal)
    stop.abort()
    await asleep
    await world.clock.sleep(3600_000, stop.signal)
    t.pass('woke')
  })
}

test('a real sleep lasts as long as was asked for', async (t) => {
  const { clock } = systemWorld('test', 'silent')
  const before = clock.monotonic()
  await clock.sleep(20)
  t.ok(clock.monotonic() - before >= 20)
  await clock.sleep(0)
  await clock.sleep(-5)
})

test('a sleep longer than a timer can be does not end at once', async (t) => {
  const { clock } = systemWorld('test', 'silent')
  const stop = new AbortController()
  let woken = false
  const asleep = clock.sleep(2 ** 40, stop.signal).then(() => {
    woken = true
  })
  await clock.sleep(20)
  t.equal(woken, false)
  stop.abort()
  await asleep
})

test('the simulated log keeps its last lines, the error of a failure among them', async (t) => {
  const world = simWorld(time.clock, simRandom(1), 'north')
  for (let n = 0; n < 300; n++) world.log.debug('step', { n })
  world.log.error('disk.failed', { error: new Error('EIO: write') })
  const lines = world.lines()
  t.equal(lines.length, 200)
  t.match(lines.at(-1), /north error disk\.failed .*EIO: write/)
})

test('the log writes one line of JSON an event on stderr, from its level on', async (t) => {
  const lines = logged(`systemLog({ name: 'agent', level: 'info' })`).trim().split('\n')
  t.equal(lines.length, 2)
  const [first, second] = lines.map((line) => JSON.parse(line))
  t.match(first, { level: 'info', name: 'agent', event: 'volume.open', volume: 'v1' })
  t.match(second, { level: 'error', event: 'volume.lost', error: { message: 'gone' } })
  t.match(first.time, /^\d{4}-\d\d-\d\dT/)
})

test('the log for people is one readable line an event', async (t) => {
  const lines = logged(`systemLog({ name: 'agent', level: 'info', pretty: true })`)
  t.match(lines, /^\d\d:\d\d:\d\d info {2}agent: volume\.open \{"volume":"v1"\}\n/)
})

/** What a process of its own says on stderr. */
function logged(log: string): string {
  const source = join(resolve(import.meta.dirname, '../..'), 'src/system/log.ts')
  const script = `import { systemLog } from ${JSON.stringify(source)}
    const log = ${log}
    log.debug('not.said')
    log.info('volume.open', { volume: 'v1' })
    log.error('volume.lost', { error: new Error('gone') })
    process.kill(process.pid, 'SIGKILL')`
  const { NODE_OPTIONS: _, ...env } = process.env
  const options = { env, encoding: 'utf8' } as const
  return spawnSync(process.execPath, ['--input-type=module', '-e', script], options).stderr
}
