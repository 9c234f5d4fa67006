// The conformance suite against our agent as a process of its own, on mosquitto, by one version of MQTT.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import type { Archive } from '../support/archive.ts'
import { quietWorld } from '../support/brokers.ts'
import { program } from '../support/program.ts'
import { clientConfig, collection, realPillar } from './archive.ts'
import { cases } from './cases.ts'
import { groundOf } from './member.ts'
import { report } from './report.ts'
import { runCases } from './suite.ts'

export async function onMosquitto(mqtt: 4 | 5): Promise<void> {
  const name = `the conformance suite on mosquitto, MQTT ${mqtt === 5 ? '5' : '3.1.1'}`
  if (spawnSync('mosquitto', ['-h']).error !== undefined) {
    if (process.env.REQUIRE_FAULTS === '1') t.fail(`${name}: mosquitto is not installed`)
    else t.test(name, { skip: 'mosquitto is not installed' }, async () => {})
    return
  }
  const { pillar, client, other, hands } = await realPillar(
    t,
    'mosquitto',
    mqtt === 4 ? agent3 : undefined,
  )
  const { ground, close } = await groundOf({
    ...{ world: quietWorld(), config: clientConfig(client), other: clientConfig(other) },
    ...{ pillar, collection, timeoutMs: 30_000, hands, mqtt },
  })
  const results = await runCases(cases, ground, ({ name }, ms) => {
    if (ms > 1_500) t.comment(`${Math.round(ms)} ms: ${name}`)
  })
  await close()
  report(t, results, ['fill', 'full'])
}

const agent3 = ({ home }: Archive) =>
  program({
    name: 'agent-3',
    log: join(home, 'logs', 'agent-3.log'),
    command: process.execPath,
    args: [join(import.meta.dirname, 'agent-3.ts'), join(home, 'pillar-1', 'agent.toml')],
    isReady: (events) => events.some(({ event }) => event === 'bus.connected'),
  })
