// The pillar's program on MQTT 3.1.1, whatever more the broker understands: `agent-3.ts AGENT.toml`.

import { readFileSync } from 'node:fs'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { runAgent } from '../../src/programs/agent.ts'
import { openWorld, read, runProgram } from '../../src/programs/program.ts'
import { agentShape } from '../../src/system/config-shapes.ts'

const config = read(process.argv[2] ?? '', agentShape)
const world = openWorld(config)
const pem = (path: string): string => readFileSync(path, 'utf8')
const connect = mqttBus({
  ...{ url: config['broker.url'], identity: config['broker.identity'], world },
  tls: { ca: pem(config.ca), cert: pem(config.certificate), key: pem(config.key) },
  protocolVersion: 4,
})
void runProgram('agent-3', () => runAgent(world, config, { connect }), { stopWithParent: true })
