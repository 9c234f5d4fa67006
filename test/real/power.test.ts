// Power by real lines, real servers of Network UPS Tools, and a real agent.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { nutPower } from '../../src/power/nut.ts'
import type { Power, Reading } from '../../src/power/power.ts'
import { q1Power } from '../../src/power/q1.ts'
import { systemSerial } from '../../src/serial/node.ts'
import { systemClock } from '../../src/system/clock.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { plainEnvironment } from '../support/program.ts'
import { startCable } from '../support/serial.ts'
import { until } from '../support/until.ts'
import { connectUps, startNut } from '../support/ups.ts'

const { signal } = new AbortController()
const look = (power: Power): Promise<Reading> => power.read(signal)
const supply = (power: Power, wanted: Reading['supply']): Promise<Reading> =>
  until(`it reads ${wanted}`, async () => {
    const found = await look(power)
    return found.supply === wanted && found
  })

const serial = needs(t, ['socat'])
const nut = needs(t, ['upsc', '/lib/nut/upsd', '/lib/nut/dummy-ups'], true)
const drivers = needs(t, ['socat', 'upsc', '/lib/nut/blazer_ser', '/lib/nut/nutdrv_qx'], true)

t.test(
  '[PWR-2] [PWR-4] a UPS on a line: well, on battery, noise, pulled, again',
  serial,
  async (t) => {
    const cable = await startCable(t)
    const ups = await connectUps(t, cable.device)
    const power = q1Power({ clock: systemClock() }, systemSerial, { path: cable.host })
    t.teardown(() => power.close())
    t.match(await look(power), { supply: 'mains', inputVolts: 230.1, batteryVolts: 27.3 })
    ups.mains = false
    t.match(await look(power), { supply: 'battery' })
    ups.manners = 'noise'
    t.match(await look(power), { supply: 'unknown', text: /speed/ })
    ups.manners = 'half'
    t.match(await look(power), { supply: 'unknown' })
    ups.manners = 'good'
    await supply(power, 'battery')
    cable.pull()
    t.match(await supply(power, 'unknown'), { text: /./ })
    await cable.plug()
    Object.assign(ups, { mains: true })
    await connectUps(t, cable.device, ups)
    t.match(await supply(power, 'mains'), { low: false })
  },
)

// The simulated UPS is right if those who know real ones take it for one.
for (const driver of ['blazer_ser', 'nutdrv_qx'] as const)
  t.test(`the driver ${driver} of NUT recognises the simulated UPS`, drivers, async (t) => {
    const cable = await startCable(t)
    const ups = await connectUps(t, cable.device)
    const { port } = await startNut(t, driver, cable.host)
    const power = nutPower({ ups: 'ups', host: '127.0.0.1', port })
    t.teardown(() => power.close())
    t.match(await supply(power, 'mains'), { inputVolts: 230.1, batteryVolts: 27.3, load: 12 })
    Object.assign(ups, { mains: false, low: true })
    t.match(await supply(power, 'battery'), { low: true })
  })

t.test('[PWR-2] a server of NUT: mains, battery, low, stale, stopped, gone', nut, async (t) => {
  const { port, says, driver, server } = await startNut(t, 'dummy-ups')
  const power = nutPower({ ups: 'ups', host: '127.0.0.1', port })
  const other = nutPower({ ups: 'other', host: '127.0.0.1', port })
  const user = nutPower({ ups: 'ups', host: '127.0.0.1', port, user: 'ann', password: 'a "b"' })
  t.teardown(() => Promise.all([power.close(), other.close(), user.close()]))
  t.match(await supply(power, 'mains'), { low: false })
  t.match(await look(other), { supply: 'unknown', text: /no UPS of this name/ })
  t.match(await look(user), { supply: 'mains' })
  says('OB DISCHRG', { 'battery.charge': '87', 'battery.runtime': '1200' })
  await supply(power, 'battery')
  t.match(await look(power), { charge: 87, runtimeMs: 1_200_000 })
  says('OB LB')
  await until('it is low', async () => (await look(power)).low)
  driver.kill('SIGSTOP')
  t.match(await supply(power, 'unknown'), { text: /has not heard from the UPS/ })
  driver.kill('SIGCONT')
  await supply(power, 'battery')
  server.kill('SIGSTOP')
  t.match(await look(power), { supply: 'unknown', text: /does not answer/ })
  server.kill('SIGCONT')
  await supply(power, 'battery')
  server.kill('SIGKILL')
  await once(server, 'exit')
  t.match(await supply(power, 'unknown'), { text: /ECONNREFUSED|closed/ })
})

t.test('[PWR-2] who answers as a server of NUT does not is not believed', async (t) => {
  let answer = ''
  const server = createServer((socket) => socket.on('data', () => void socket.write(answer)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close())
  const { port } = server.address() as { port: number }
  const power = nutPower({ ups: 'ups', host: '127.0.0.1', port })
  t.teardown(() => power.close())
  const good = 'BEGIN LIST VAR ups\nVAR ups ups.status "OL"\nEND LIST VAR ups\n'
  for (const [said, why] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', /another question/],
    [good + good, /more answers/],
    [good.replaceAll(' ups', ' den'), /another question/],
    [`BEGIN LIST VAR ups\n${'x'.repeat(70_000)}`, /does not end/],
  ] as const) {
    answer = said
    t.match(await look(power), { supply: 'unknown', text: why }, said.slice(0, 30))
  }
  answer = good
  t.match(await look(power), { supply: 'mains' })
  // The command, on such a server.
  const file = join(t.testdir({}), 'agent.toml')
  const text = readFileSync(join(import.meta.dirname, '../../deploy/examples/agent.toml'), 'utf8')
  const member = text.slice(0, text.indexOf('[power]'))
  writeFileSync(file, `${member}[power]\nsource = "nut"\nserver = "ups@127.0.0.1:${port}"\n`)
  const run = async (...args: string[]): Promise<string> => {
    const all = [
      join(import.meta.dirname, '../../src/agent.ts'),
      'power',
      '--config',
      file,
      ...args,
    ]
    return (await promisify(execFile)(process.execPath, all, { env: plainEnvironment() })).stdout
  }
  t.match(await run(), /^power +on mains\nplan +everything is done\n$/)
  answer = good.replace('"OL"', '"OB DISCHRG"').replace('END', 'VAR ups battery.charge "80"\nEND')
  t.match(
    await run(),
    /^power +on battery, charge 80 %\nplan +new files are refused \(it runs on battery/,
  )
  t.match(JSON.parse(await run('--json')), {
    mode: 'battery',
    reading: { charge: 80 },
    plan: { stop: false },
  })
  answer = good.replace('"OL"', '"OB LB"')
  t.match(await run(), /plan +stop in order, park the disk, switch off/)
})

// [PWR-7] [PWR-9]: refuses on battery, stops in order. The name is short: its socket stands in a folder of it.
t.test('outage', serial, async (t) => {
  const cable = await startCable(t)
  const ups = await connectUps(t, cable.device)
  const archive = await makeArchive(t)
  const { home, pillars } = archive
  const off = join(home, 'switched-off')
  const script = join(home, 'off.sh')
  writeFileSync(script, `#!/bin/sh\ntouch "$1"\n`, { mode: 0o755 })
  const config = join(home, 'pillar-1', 'agent.toml')
  changeConfig(config, {
    'power.source': 'q1',
    'power.device': cable.host,
    'power.every': '500ms',
    'power.steady': '3s',
    'power.shutdown': [script, off],
  })
  await archive.start()
  const run = async (...args: string[]) => (await archive.colonnade(args)).ended
  const source = join(home, 'source')
  writeNoise(join(source, 'one'), 100_000, 1)
  t.match(await run('put', collection, source, '--wait', 'all'), { code: 0 })
  ups.mains = false
  const one = pillars['pillar-1']
  // The line belongs to the agent, which is asked; not waited for, since the UPS is in this process.
  const agent = async (file: string, ...more: string[]): Promise<string> => {
    const args = [join(import.meta.dirname, '../../src/agent.ts'), 'power', '--config', file]
    const options = { env: plainEnvironment() }
    return (await promisify(execFile)(process.execPath, [...args, ...more], options)).stdout
  }
  t.match(await agent(join(home, 'pillar-2', 'agent.toml')), /nobody tells of the power here/)
  await until('it saves its power', () =>
    one.events('power.mode').some(({ is }) => is === 'battery'),
  )
  const said = await agent(config)
  t.match(said, /^state +on battery, since 20.* are left$/m)
  t.match(said, /^plan +new files are refused \(it runs on/m)
  t.match(await run('status'), { output: /pillar-1 .*WARNING: on battery/ })
  writeNoise(join(source, 'two'), 100_000, 2)
  const put = await run('put', collection, source, '--json')
  t.match(put.output, /"owed":\["pillar-1"\]/)
  await pillars['pillar-2'].kill('SIGTERM')
  writeNoise(join(source, 'three'), 100_000, 3)
  const refused = await run('put', collection, source)
  t.not(refused.code, 0)
  t.match(
    `${refused.output}${refused.errors}`,
    /pillar-1: it runs on battery; nothing new is taken/,
  )
  t.notOk(existsSync(off))
  ups.low = true
  await until('it is switched off', () => existsSync(off))
  t.same(
    one.events('power.step').map(({ step }) => step),
    ['close', 'park', 'shutDown'],
  )
  t.match(await run('status'), { output: /pillar-1 .*down on purpose until 20/ })
  t.same(one.events('power.stepFailed'), [])
  const waiting = JSON.parse(await agent(config, '--json'))
  t.match(waiting, { mode: 'ending', plan: { stop: true }, reading: { low: true } })
  // The machine is still there when the mains are back.
  Object.assign(ups, { mains: true, low: false })
  pillars['pillar-2'].start()
  await until('it is open again', () => one.events('agent.started').length === 2)
  t.match(await run('put', collection, source, '--wait', 'all'), { code: 0 })
  await one.kill('SIGTERM')
  t.equal(await one.ended(), 0)
})
