import { spawnSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { simBroker } from '../../src/sim/bus.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { startEmbedded, startMosquitto, startRelay } from '../support/brokers.ts'
import { type BusUnderTest, busContract, identities } from './bus.ts'

busContract(t, 'the simulated broker', async (t) => {
  const { clock, advance } = simClock()
  let over = false
  t.teardown(() => {
    over = true
  })
  const pass = async () => {
    while (!over) {
      await advance(10)
      await setImmediate()
    }
  }
  void pass()
  return simBroker({ clock, random: simRandom(1) })
})

busContract(t, 'the embedded broker, by TLS', async (t) => {
  const { broker, pki, url, world } = await startEmbedded(t)
  const tls = new Map<string, Awaited<ReturnType<typeof pki.credentialsOf>>>()
  for (const name of identities) tls.set(name, await pki.credentialsOf(name))
  return {
    connectAs: (name) => mqttBus({ url, identity: 'broker', ...pick(tls, name), world }),
    cut: broker.drop,
  }
})

busContract(t, 'the embedded broker, from within its process', async (t) => {
  const { broker } = await startEmbedded(t, { allow: () => false })
  return { connectAs: () => broker.connectLocal }
})

const mosquitto = spawnSync('mosquitto', ['-h']).error === undefined
for (const protocolVersion of [5, 4] as const) {
  const name = `mosquitto, MQTT ${protocolVersion === 5 ? '5' : '3.1.1'}`
  if (mosquitto) busContract(t, name, (t) => onMosquitto(t, protocolVersion))
  else if (process.env.REQUIRE_FAULTS === '1') t.fail(`${name}: mosquitto is not installed`)
  else t.test(name, { skip: 'mosquitto is not installed' }, async () => {})
}

async function onMosquitto(t: Test, protocolVersion: 4 | 5): Promise<BusUnderTest> {
  const { pki, port, world } = await startMosquitto(t)
  const tls = new Map<string, Awaited<ReturnType<typeof pki.credentialsOf>>>()
  const relays = new Map<string, Awaited<ReturnType<typeof startRelay>>>()
  for (const name of identities) {
    tls.set(name, await pki.credentialsOf(name))
    relays.set(name, await startRelay(t, port))
  }
  return {
    connectAs(name) {
      const url = `mqtts://127.0.0.1:${relays.get(name)?.port}`
      return mqttBus({ url, identity: 'broker', ...pick(tls, name), protocolVersion, world })
    },
    cut: (name) => relays.get(name)?.cut(),
  }
}

const pick = <T>(from: ReadonlyMap<string, T>, name: string): { tls?: T } => {
  const tls = from.get(name)
  return tls ? { tls } : {}
}
