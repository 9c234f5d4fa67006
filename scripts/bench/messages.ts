/** One question to a hundred pillars over mosquitto, and their answers: signed, verified and parsed on both sides. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { processorMs } from '../../test/support/net-watch.ts'
import { type Credentials, makePki } from '../../test/support/pki.ts'
import { percentile } from './contest.ts'
import { type Crowd, joinAs, newCrowd } from './crowd.ts'
import { freePort, isHere, listens } from './peers.ts'
import { type Row, tell } from './result.ts'

const pillarsMax = 100
/** Conversations that are not counted. */
const warming = 20

export const messages: Row = async ({ home, quick }) => {
  if (!isHere('mosquitto')) return []
  tell(`ask ${pillarsMax} pillars`)
  const port = await freePort()
  const pki = await makePki()
  const broker = await startMosquitto(home, port, await pki.credentialsOf('broker'))
  const crowd = await newCrowd(pillarsMax, port, pki.credentialsOf)
  const pillars = fork(join(import.meta.dirname, 'crowd.process.ts'), { execArgv: [] })
  const joined = new Promise((resolve) => pillars.once('message', resolve))
  pillars.send(crowd)
  await joined
  const count = quick ? 100 : 500
  const pids = { client: process.pid, broker: broker.pid ?? 0, 'all pillars': pillars.pid ?? 0 }
  const before = Object.values(pids).map(processorMs)
  const times = await conversations(crowd, count)
  const costs = Object.entries(pids).map(([name, pid], n) => {
    const ms = (processorMs(pid) - (before[n] ?? 0)) / (count + warming)
    return `${name} ${ms.toFixed(1)} ms`
  })
  await ended(pillars, 'disconnect')
  await ended(broker, 'kill')
  const ms = (percent: number, of: readonly number[]): number => percentile(of, percent)
  const [p50, p99] = [ms(50, times.all), ms(99, times.all)]
  return [
    {
      job: `a question to ${pillarsMax} pillars through mosquitto, to the last answer`,
      ours: `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; CPU: ${costs.join(', ')}`,
      reach: 'p50 ≤ 40 ms, p99 ≤ 100 ms',
      met: p50 <= 40 && p99 <= 100,
    },
    {
      job: 'the same, to the first answer',
      ours: `p50 ${ms(50, times.first).toFixed(1)} ms`,
      reach: 'p50 ≤ 5 ms',
      met: ms(50, times.first) <= 5,
    },
  ]
}

/** Milliseconds until the last, and until the first answer. */
async function conversations(
  crowd: Crowd,
  count: number,
): Promise<{ all: number[]; first: number[] }> {
  const client = await joinAs(crowd, 'ann')
  const times = { all: [] as number[], first: [] as number[] }
  for (let n = 0; n < count + warming; n++) {
    const began = performance.now()
    const { first, last } = await client.ask(pillarsMax)
    // The first ones warm up all those who take part.
    if (n < warming) continue
    times.all.push(last - began)
    times.first.push(first - began)
  }
  await client.close()
  return times
}

/** With the configuration that we ship; only paths, port and user are changed. */
async function startMosquitto(
  home: string,
  port: number,
  { ca, cert, key }: Credentials,
): Promise<ChildProcess> {
  const folder = join(home, 'mosquitto')
  mkdirSync(folder)
  const shipped = join(import.meta.dirname, '../../deploy')
  const config = readFileSync(join(shipped, 'mosquitto.conf'), 'utf8')
    .replaceAll(/\/etc\/mosquitto\/colonnade|\/var\/lib\/mosquitto/g, folder)
    .replace('listener 8883', `listener ${port} 127.0.0.1`)
  writeFileSync(join(folder, 'ca.crt'), ca)
  writeFileSync(join(folder, 'broker.crt'), cert)
  writeFileSync(join(folder, 'broker.key'), key)
  writeFileSync(join(folder, 'acl'), readFileSync(join(shipped, 'mosquitto.acl')), { mode: 0o600 })
  writeFileSync(join(folder, 'mosquitto.conf'), `${config}\nuser root\n`)
  const child = spawn('mosquitto', ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' })
  await listens(port)
  return child
}

async function ended(child: ChildProcess, how: 'kill' | 'disconnect'): Promise<void> {
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child[how]()
  await exit
}
