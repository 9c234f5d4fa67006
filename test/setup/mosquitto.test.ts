// What members may say and hear is the same at the embedded broker and at mosquitto, by one table, message by message.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Bus } from '../../src/bus/bus.ts'
import { mqttBus } from '../../src/bus/mqtt.ts'
import type { Identity } from '../../src/protocol/document.ts'
import { eventTypes, mayUse, topicsUnder } from '../../src/protocol/topics.ts'
import { add, init } from '../../src/setup/found.ts'
import { mosquittoAcl } from '../../src/setup/mosquitto.ts'
import { startEmbedded, startMosquitto } from '../support/brokers.ts'
import { needs } from '../support/needs.ts'
import { plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'

const prefix = 'colonnade'
const topics = topicsUnder(prefix)
const members = {
  tracker: 'tracker',
  attic: 'pillar',
  cellar: 'pillar',
  ann: 'client',
  bob: 'client',
} as const
type Name = keyof typeof members
const names = Object.keys(members) as Name[]
const identities: Identity[] = names.map((name) => ({ name, role: members[name], publicKey: name }))

/** Everything that is ever said somewhere, and some places that are not for anybody. */
const places = [
  ...['photos', 'x'].map(topics.collectionRequests),
  ...names.map(topics.pillarRequests),
  ...names.map(topics.pillarState),
  ...names.map((one) => topics.replies(one, 'run')),
  ...[topics.trackerRequests(), topics.trackerState(), topics.alarms()],
  ...eventTypes.map(topics.event),
  ...['colonnade/collections/photos', 'colonnade/replies/ann', 'colonnade/pillars/attic/state/x'],
  ...['colonnade/alarms/x', 'other/alarms', 'colonnade/tracker/x', 'colonnade/pillars/attic/else'],
]

/** Who hears whom where, as people would say it; the rest of the table is made by the rule itself. */
const known: readonly (readonly [says: Name, topic: string, hears: Name, isHeard: boolean])[] = [
  ['ann', 'colonnade/collections/photos/requests', 'attic', true],
  ['ann', 'colonnade/pillars/attic/requests', 'attic', true],
  ['ann', 'colonnade/pillars/attic/requests', 'cellar', false],
  ['ann', 'colonnade/pillars/attic/requests', 'bob', false],
  ['attic', 'colonnade/replies/ann/run', 'ann', true],
  ['attic', 'colonnade/replies/ann/run', 'bob', false],
  ['attic', 'colonnade/replies/ann/run', 'cellar', false],
  ['attic', 'colonnade/replies/ann/run', 'tracker', false],
  ['attic', 'colonnade/pillars/attic/state', 'ann', true],
  ['attic', 'colonnade/pillars/cellar/state', 'ann', false],
  ['ann', 'colonnade/pillars/attic/state', 'bob', false],
  ['ann', 'colonnade/pillars/ann/state', 'bob', false],
  ['attic', 'colonnade/tracker/state', 'ann', false],
  ['tracker', 'colonnade/tracker/state', 'ann', true],
  ['tracker', 'colonnade/pillars/tracker/state', 'ann', true],
  ['bob', 'colonnade/tracker/requests', 'tracker', true],
  ['bob', 'colonnade/tracker/requests', 'attic', false],
  ['attic', 'colonnade/tracker/hello', 'cellar', false],
  ['tracker', 'colonnade/tracker/hello', 'cellar', true],
  ['ann', 'colonnade/clients/join/requested', 'tracker', false],
  ['attic', 'colonnade/clients/join/requested', 'tracker', true],
  ['attic', 'colonnade/clients/join/requested', 'cellar', false],
  ['attic', 'colonnade/fragments/distribution/delivered', 'cellar', false],
  ['cellar', 'colonnade/alarms', 'tracker', true],
  ['ann', 'other/alarms', 'bob', false],
]

interface Broker {
  readonly url: string
  readonly world: Parameters<typeof mqttBus>[0]['world']
  readonly pki: { credentialsOf(name: string): Promise<{ ca: string; cert: string; key: string }> }
}

async function heardBy(t: Test, { url, world, pki }: Broker): Promise<Map<Name, Set<string>>> {
  const heard = new Map<Name, Set<string>>()
  const buses = new Map<Name, Bus>()
  for (const name of names) {
    const mine = new Set<string>()
    heard.set(name, mine)
    const tls = await pki.credentialsOf(name)
    await new Promise<void>((resolve) => {
      const bus = mqttBus({ url, identity: 'broker', tls, world })({
        ...{
          clientId: name,
          persistent: false,
          subscriptions: [...places, topics.replies(name, 'end')],
        },
        receive: (topic, payload) => void mine.add(`${Buffer.from(payload)} ${topic}`),
        connected: resolve,
        closed: () => undefined,
      })
      buses.set(name, bus)
    })
  }
  t.teardown(() => Promise.all([...buses.values()].map((bus) => bus.close())))
  for (const [name, bus] of buses)
    await Promise.all(
      // By MQTT 5 mosquitto says so when it drops one.
      places.map((topic) => bus.publish(topic, Buffer.from(name)).catch(() => undefined)),
    )
  for (const name of names)
    await buses.get('tracker')?.publish(topics.replies(name, 'end'), Buffer.from('end'))
  for (const [name, mine] of heard)
    await until(`${name} has heard all`, () => mine.delete(`end ${topics.replies(name, 'end')}`))
  return heard
}

async function table(t: Test, broker: Broker): Promise<void> {
  const heard = await heardBy(t, broker)
  for (const [says, topic, hears, isHeard] of known)
    t.equal(heard.get(hears)?.has(`${says} ${topic}`), isHeard, `${says} on ${topic}, to ${hears}`)
  const wrong = names.flatMap((hears) =>
    names.flatMap((says) =>
      places.filter((topic) => {
        const may =
          mayUse(prefix, members[says], says, 'publish', topic) &&
          mayUse(prefix, members[hears], hears, 'subscribe', topic)
        return may !== heard.get(hears)?.has(`${says} ${topic}`)
      }),
    ),
  )
  t.same(wrong, [], `and so everywhere: ${names.length ** 2 * places.length} ways`)
}

t.test('[ACL-1] the embedded broker gives each member his rights', async (t) => {
  const allow = (name: string, action: 'publish' | 'subscribe', topic: string) =>
    name in members && mayUse(prefix, members[name as Name], name, action, topic)
  await table(t, await startEmbedded(t, { allow }))
})

t.test('[ACL-1] mosquitto gives the same', needs(t, ['mosquitto']), async (t) => {
  const acl = mosquittoAcl({ archive: 'home', version: 1, identities }, prefix)
  const { port, ...rest } = await startMosquitto(t, acl)
  await table(t, { ...rest, url: `mqtts://127.0.0.1:${port}` })
})

t.test('[ACL-1] who is not in the document has no right at mosquitto', async (t) => {
  const some = identities.filter(({ name }) => name !== 'cellar')
  const acl = mosquittoAcl({ archive: 'home', version: 2, identities: some }, 'archive/one')
  t.notMatch(acl, /cellar|^pattern/m)
  t.match(acl, /^user attic\n(.+\n)*topic write archive\/one\/pillars\/attic\/state$/m)
  t.notMatch(acl, /topic \w+ colonnade/)
})

t.test('[ACL-1] the command writes it by the archive document', async (t) => {
  const home = t.testdir()
  mkdirSync(home, { recursive: true })
  await init(home, {
    archive: 'home',
    host: 'tracker.example.org',
    exchangePort: '8443',
    brokerPort: '8883',
  })
  await add(home, 'pillar', 'attic', join(home, 'attic'), { 'volume.mount': home })
  const tracker = (...args: string[]) =>
    spawnSync(
      process.execPath,
      [join(import.meta.dirname, '..', '..', 'src', 'tracker.ts'), 'acl', ...args],
      {
        ...{ env: plainEnvironment(), encoding: 'utf8' },
      },
    )
  const config = ['--config', join(home, 'tracker', 'tracker.toml')]
  const shown = tracker('mosquitto', ...config)
  t.match(shown, { status: 0, stdout: /^# Who may .* archive home, by version 3/ })
  t.match(shown.stdout, /^user attic$/m)
  const out = join(home, 'acl')
  t.match(tracker('mosquitto', ...config, '--out', out), { status: 0, stdout: '' })
  t.equal(readFileSync(out, 'utf8'), shown.stdout)
  t.equal(statSync(out).mode & 0o777, 0o600)
  t.match(tracker('emqx', ...config), { status: 1, stderr: /Allowed choices are mosquitto/ })
})
